"""What processes tell of themselves fits its rings and comes back as it went."""

from __future__ import annotations

import msgspec

from controller.status import (
    STATUS_CAPACITY,
    Alarm,
    CameraStatus,
    ConductorStatus,
    NodeStatus,
    Percentiles,
    SourceStatus,
    decode_conductor,
    decode_node,
    encode_status,
)


def test_a_large_stage_fits_its_status_ring() -> None:
    percentiles = Percentiles(1.5, 2.5, 3.5, 4.5)
    sources = {
        f"source_number_{n}": SourceStatus(
            "ok", "opentrackio", "239.135.1.1:55555", "camera_a", refused={"late": 10**9, "nan": 10**9},
            stage_from_tracker=[0.123456789] * 16, prediction_error_deg=percentiles, prediction_error_mm=percentiles,
        )
        for n in range(64)
    }  # fmt: skip
    cameras = {
        f"camera_number_{n}": CameraStatus("ok", "s", "ok", (1.0, 2.0, 3.0), 1.0, 2.0, 3.0, 35.0, 20.0, (1.0,) * 4)
        for n in range(64)
    }
    alarms = [Alarm("a.b", f"sources/{n}", "detail " * 20, "critical", "mend " * 20) for n in range(64)]
    status = ConductorStatus(
        1, 2, "running", 3, (24000, 1001), 1, 0, 5, 6, 25, 12.5, sources=sources, cameras=cameras, alarms=alarms
    )
    data = encode_status(status)
    assert len(data) < STATUS_CAPACITY
    assert decode_conductor(data) == status


def test_a_node_status_comes_back_and_newer_fields_do_no_harm() -> None:
    status = NodeStatus(1, 2, "n0", "running", 3, 4, 5, 20, "GPU", ["left"], repeats={"late_draw": 1})
    assert decode_node(encode_status(status)) == status
    newer = msgspec.to_builtins(status) | {"colour": "blue"}
    assert decode_node(msgspec.msgpack.encode(newer)) == status
