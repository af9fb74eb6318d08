"""OSC poses: bundles and their traps, frames, mappings, and what python-osc would have died of."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage.frames import pan_tilt_roll_from_rotation
from tracking.config import Source
from tracking.mapping import mapping_of
from tracking.protocols.osc import IMMEDIATELY, OscPacket, parse, time_tag_from_unix_ns
from tracking.sample import LensReading, Refusal, Sample, Stamp


def source(**osc: object) -> Source:
    return Source.model_validate({"protocol": "osc", "listen": "127.0.0.1:40001", "camera": "a", "osc": osc})


def samples(packet: OscPacket, **osc: object) -> list[Sample | LensReading | Refusal]:
    return packet.samples(mapping_of("t", source(**osc)), Stamp())


def pose_of(packet: OscPacket, **osc: object) -> Sample:
    (sample,) = samples(packet, **osc)
    assert isinstance(sample, Sample)
    return sample


def test_third_party_bundles(reference: Path) -> None:
    for case in json.loads((reference / "tracking/osc/bundles.json").read_text()):
        datagram, expected = bytes.fromhex(case["hex"]), case["expected"]
        packets = parse(datagram)
        tag = expected["timetag"]
        wanted = IMMEDIATELY if tag == "immediate" else tag["seconds"] << 32 | tag["fraction"]
        assert [(p.address, list(p.arguments)) for p in packets if isinstance(p, OscPacket)] == [
            (address, arguments) for address, arguments in expected["messages"]
        ]
        assert all(isinstance(p, OscPacket) and p.time_tag == wanted for p in packets)
        if len(packets) == 1:
            assert isinstance(packets[0], OscPacket)
            assert bytes(packets[0]) == datagram
        # Each with a broken twin: the last byte gone, and a wrong first byte.
        if packets:
            assert any(isinstance(p, Refusal) for p in parse(datagram[:-1]))
        assert parse(b"x" + datagram[1:]) == [Refusal("magic", "neither a message nor a bundle")]


def test_default_pose_and_lens() -> None:
    pose = OscPacket.build("/openvolume/camera/a/pose", (1.0, -2.0, 1.5, 30.0, -10.0, 5.0, 35.0, 4.0))
    (parsed,) = parse(bytes(pose))
    assert parsed == pose
    sample = pose_of(pose)
    assert np.allclose(sample.stage_from_camera[:3, 3], (1.0, -2.0, 1.5))
    assert pan_tilt_roll_from_rotation(sample.stage_from_camera) == pytest.approx((30.0, -10.0, 5.0))
    assert sample.lens == LensReading(focal_length_mm=35.0, focus_distance_m=4.0)
    assert pose_of(OscPacket.build("/openvolume/camera/a/pose", (1.0, -2.0, 1.5, 30.0, -10.0, 5.0))).lens is None
    assert pose_of(OscPacket.build("/openvolume/camera/a/pose", (1, -2, 1, 30, -10, 5))).lens is None
    lens = OscPacket.build("/openvolume/camera/a/lens", (50.0, 2.5, 0.125, 2.75))
    assert samples(lens) == [LensReading(50.0, 2.5, 0.125, 2.75)]
    mapping = mapping_of("t", source())
    assert not OscPacket.build("/openvolume/camera/b/pose", (1.0,)).is_for(mapping)
    assert pose.is_for(mapping)
    assert lens.is_for(mapping)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((1.0, 2.0, 3.0, 0.0, 0.0), "type"),
        ((1.0, 2.0, "three", 0.0, 0.0, 0.0), "type"),
        ((1.0, 2.0, True, 0.0, 0.0, 0.0), "type"),
        ((1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 0.0), "range"),
    ],
)
def test_arguments_that_do_not_fit(arguments: tuple[object, ...], reason: str) -> None:
    (refusal,) = samples(OscPacket.build("/openvolume/camera/a/pose", arguments))
    assert isinstance(refusal, Refusal)
    assert refusal.reason == reason


def test_frames_agree(reference: Path) -> None:
    for case in json.loads((reference / "tracking/poses/equivalent_poses.json").read_text())["cases"]:
        expected = case["stage_from_camera"]
        unity, y_up, unreal = case["unity_lh_yup"], case["yup_rh"], case["unreal_cm"]
        angles = case["opentrackio"]["rotation"]
        rows = {
            "unity": (*unity["p"], *unity["q_xyzw"]),
            "y_up": (*y_up["p"], *y_up["q_xyzw"]),
            "unreal": tuple(unreal[k] for k in ("x", "y", "z", "pitch", "yaw", "roll")),
            "stage": (*case["opentrackio"]["translation"], angles["pan"], angles["tilt"], angles["roll"]),
        }
        for preset, arguments in rows.items():
            packet = OscPacket("/openvolume/camera/a/pose", arguments)
            assert np.allclose(pose_of(packet, preset=preset).stage_from_camera, expected, atol=1e-9), preset


def test_vmc_camera_and_own_fields() -> None:
    vmc = OscPacket("/VMC/Ext/Cam", ("Camera", 1.25, 1.75, -2.0, 0.072859, 0.261261, -0.064509, 0.960350, 40.0))
    sample = pose_of(vmc, preset="vmc")
    assert np.allclose(sample.stage_from_camera[:3, 3], (1.25, -2.0, 1.75))
    assert pan_tilt_roll_from_rotation(sample.stage_from_camera) == pytest.approx((-30.0, -10.0, 5.0), abs=1e-3)
    own = OscPacket("/rig/cam7", ("x", 90.0, 0.0, 1000.0, 2000.0, 3000.0))
    sample = pose_of(own, address="/rig/cam7", fields=["_", "pan_deg", "tilt_deg", "x_mm", "y_mm", "z_mm"])
    assert np.allclose(sample.stage_from_camera[:3, 3], (1.0, 2.0, 3.0))


def test_zero_quaternion_is_refused() -> None:
    packet = OscPacket("/openvolume/camera/a/pose", (0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0))
    (refusal,) = samples(packet, preset="unity")
    assert isinstance(refusal, Refusal)
    assert refusal.reason == "range"


def test_time_tag_is_exact_to_the_nanosecond() -> None:
    for t_ns in (1_718_806_554_123_456_789, 1_700_000_000_000_000_001, 1_700_000_000_999_999_999):
        packet = OscPacket.build("/a", (1.0,), time_tag=time_tag_from_unix_ns(t_ns))
        (back,) = parse(bytes(packet))
        assert isinstance(back, OscPacket)
        assert back.t_source_ns == t_ns
    assert OscPacket.build("/a", (), time_tag=IMMEDIATELY).t_source_ns is None


def bundle(*elements: bytes) -> bytes:
    return b"#bundle\0" + struct.pack(">Q", 1) + b"".join(struct.pack(">i", len(e)) + e for e in elements)


MESSAGE = bytes(OscPacket.build("/a", (1.0,)))


def nested(depth: int) -> bytes:
    out = MESSAGE
    for _ in range(depth):
        out = bundle(out)
    return out


@pytest.mark.parametrize(
    ("datagram", "reasons"),
    [
        (nested(200), ["depth"]),
        (b"#bundle\0" + struct.pack(">Qi", 1, -4), ["malformed"]),  # python-osc never returns from this one
        (b"#bundle\0" + struct.pack(">Qi", 1, 0), ["malformed"]),
        (b"#bundle\0\0\0", ["short"]),
        (bundle(b"rubbish!"), ["magic"]),
        (b"/\xff\xfe\0,f\0\0" + struct.pack(">f", 1), ["malformed"]),
        (b"/a\0\0,f\0\0" + struct.pack(">f", float("nan")), ["nan"]),
        (b"/a\0\0,f\0\0" + struct.pack(">f", float("inf")), ["nan"]),
        (b"/a\0\0,q\0\0" + bytes(8), ["type"]),
        (b"/a\0\0,f\0\0\0", ["short"]),
        (b"/a\0\0,ff\0" + struct.pack(">f", 1), ["short"]),  # python-osc reads the second as 0
        (b"/a\0\0,sf\0abcdefg\0", ["short"]),
        (b"/a\0\0,b\0\0" + struct.pack(">i", 1000), ["short"]),
        (b"/a\0\0,b\0\0" + struct.pack(">i", -1000), ["short"]),
        (b"/a\0\0ffff", ["malformed"]),
        (b"/a\0\0," + b"[" * 60 + b"]" * 60 + b"\0\0\0", ["depth"]),
        (b"/abc", ["malformed"]),
        (b"/", ["short"]),
        (bytes(20_000), ["long"]),
    ],
)
def test_malformed_is_counted_not_raised(datagram: bytes, reasons: list[str]) -> None:
    assert [item.reason for item in parse(datagram) if isinstance(item, Refusal)] == reasons


def test_depth_and_count_have_limits() -> None:
    assert [type(p).__name__ for p in parse(nested(8))] == ["OscPacket"]
    items = parse(bundle(*[MESSAGE] * 400))
    assert len(items) == 257
    assert isinstance(items[-1], Refusal)
    assert items[-1].reason == "long"


@given(st.lists(st.one_of(st.floats(width=32, allow_nan=False, allow_infinity=False), st.integers(-(2**31), 2**31 - 1),
                          st.text(st.characters(min_codepoint=32, max_codepoint=126)), st.booleans(), st.none()),
                max_size=12),
       st.one_of(st.none(), st.integers(0, 2**64 - 1)))  # fmt: skip
def test_round_trip(arguments: list[object], time_tag: int | None) -> None:
    packet = OscPacket.build("/some/address", tuple(arguments), time_tag=time_tag)
    (back,) = parse(bytes(packet))
    assert back == packet
    assert bytes(back) == bytes(packet)
