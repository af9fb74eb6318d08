"""Relays: what is sent on decodes to the same pose and lens, to every target; what cannot be said is counted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from stage.frames import Array, pose_from_pan_tilt_roll
from stage.plan import PlanLens
from stage.rate import Rate
from tracking.config import Source, TrackingConfig
from tracking.decoders import assembler_of, parser_of
from tracking.errors import SendError
from tracking.mapping import mapping_of
from tracking.moment import Moment
from tracking.relay import STATIC_NS, RelaySender, lens_of_plan, senders_of
from tracking.relay_config import Relay, reaches
from tracking.sample import LensReading, Refusal, Sample, Stamp

POSE = pose_from_pan_tilt_roll((1.25, -2.0, 1.75), pan_deg=-30.0, tilt_deg=-10.0, roll_deg=5.0)
LENS = PlanLens(
    focal_length_mm=35.25, sensor_width_mm=27.0, sensor_height_mm=18.0, squeeze=1.8, radial=[1e-4, 0.0, 2e-8],
    tangential=[1e-6, -2e-6], distortion_offset_mm=(0.05, -0.03), projection_offset_mm=(0.1, 0.2),
    entrance_pupil_m=0.125, focus_distance_m=2.5, f_stop=2.8,
)  # fmt: skip
T_NS = 1_800_000_000_123_456_789


class Wire:
    def __init__(self, target: str, broken: bool = False) -> None:
        self.target, self.broken = target, broken
        self.sent: list[bytes] = []
        self.closed = False

    def send(self, data: bytes) -> None:
        if self.broken:
            raise OSError(101, "Network is unreachable")
        self.sent.append(data)

    def close(self) -> None:
        self.closed = True


def relay(protocol: str, **changes: Any) -> Relay:
    return Relay.model_validate({"camera": "a", "protocol": protocol, "targets": ["127.0.0.1:9"], **changes})


def read(protocol: str, datagrams: list[bytes], **changes: Any) -> Sample:
    """What a receiver of the protocol makes of datagrams."""
    source = Source.model_validate(
        {"protocol": protocol, "listen": "127.0.0.1:1", "camera": "a", "pose_point": "sensor", **changes}
    )
    mapping = mapping_of("t", source)
    parse = parser_of(source)
    feed = assembler_of(source).feed if parse is None else parse
    packets = [item for datagram in datagrams for item in feed(datagram)]
    assert not any(isinstance(item, Refusal) for item in packets), packets
    samples = [s for p in packets for s in p.samples(mapping, Stamp()) if isinstance(s, Sample)]  # type: ignore[union-attr]
    assert len(samples) == 1
    return samples[0]


def far(a: Array, b: Array) -> float:
    return float(np.abs(a - b).max())


@pytest.mark.parametrize("protocol", ["opentrackio", "opentrackio_cbor"])
def test_opentrackio_says_everything(protocol: str) -> None:
    sender = RelaySender("r", relay(protocol, source_number=7), Rate(24000, 1001))
    datagrams = sender.datagrams(Moment(POSE, 0, T_NS, lens_of_plan(LENS)))
    assert len(datagrams) == 1  # one Ethernet packet
    sample = read("opentrackio", datagrams, source_number=7)
    assert far(sample.stage_from_camera, POSE) < 1e-9
    lens = sample.lens
    assert lens is not None
    assert (lens.focal_length_mm, lens.focus_distance_m, lens.entrance_pupil_m, lens.f_stop) == (35.25, 2.5, 0.125, 2.8)
    assert lens.radial == (1e-4, 0.0, 2e-8, 0.0, 0.0, 0.0)  # six: with fewer, Unreal takes none
    assert lens.tangential == (1e-6, -2e-6)
    assert lens.model == "Brown-Conrady D-U"
    assert (lens.distortion_offset_mm, lens.projection_offset_mm) == ((0.05, -0.03), (0.1, 0.2))
    assert (lens.sensor_width_mm, lens.sensor_height_mm, lens.squeeze) == (27.0, 18.0, 1.8)


def test_the_static_block_comes_every_two_seconds() -> None:
    sender = RelaySender("r", relay("opentrackio"))
    told = [
        b'"static"' in sender.datagrams(Moment(POSE, 0, T_NS + n * STATIC_NS // 10, lens_of_plan(LENS)))[0]
        for n in range(31)
    ]
    assert [n for n, has in enumerate(told) if has] == [0, 10, 20, 30]


def test_freed_and_osc() -> None:
    freed = RelaySender("r", relay("freed", camera_id=9)).datagrams(Moment(POSE, 0, T_NS, lens_of_plan(LENS)))
    sample = read("freed", freed, camera_id=9)
    assert far(sample.stage_from_camera, POSE) < 2e-5  # 1/64 mm, 1/32768 degree
    table = {"focal_length_mm": [[0, 0.0], [10_000, 100.0]], "focus_distance_m": [[0, 0.0], [100_000, 100.0]]}
    lens = read("freed", freed, lens_table=table).lens
    assert lens is not None
    assert (lens.focal_length_mm, lens.focus_distance_m) == pytest.approx((35.25, 2.5))
    for protocol in ("osc", "osc_bundle"):
        datagrams = RelaySender("r", relay(protocol, camera_name="Main")).datagrams(
            Moment(POSE, 0, T_NS, lens_of_plan(LENS))
        )
        sample = read("osc", datagrams, camera_name="Main")
        assert far(sample.stage_from_camera, POSE) < 1e-6
        assert sample.lens is not None
        assert sample.lens.focal_length_mm == 35.25


@pytest.mark.parametrize("preset", ["unity", "unreal", "y_up", "stage_quaternion"])
def test_osc_in_other_programs_frames(preset: str) -> None:
    sender = RelaySender("r", relay("osc", osc={"preset": preset}))
    sample = read("osc", sender.datagrams(Moment(POSE, 0, T_NS)), osc={"preset": preset})
    assert far(sample.stage_from_camera, POSE) < 1e-5


def test_raw_encoders_are_passed_on() -> None:
    sender = RelaySender("r", relay("freed", pose="raw", encoders=True))
    lens = LensReading(focal_length_mm=35.0, zoom_raw=12_345.0, focus_raw=0x1234567 * 1.0)
    (datagram,) = sender.datagrams(Moment(POSE, 0, T_NS, lens))
    assert int.from_bytes(datagram[20:23], "big") == 12_345
    assert int.from_bytes(datagram[23:26], "big") == 0xFFFFFF


def test_every_target_gets_it_and_trouble_is_counted() -> None:
    wires = [Wire("one"), Wire("two", broken=True), Wire("three")]
    found = iter(wires)
    sender = RelaySender("r", relay("freed", targets=["127.0.0.1:1", "127.0.0.1:2", "239.1.1.1:3"]),
                         wire=lambda target, interface: next(found))  # fmt: skip
    sender.open()
    assert sender.send(Moment(POSE, 0, T_NS)) == 2
    far_away = POSE.copy()
    far_away[0, 3] = 500.0  # beyond what FreeD holds
    assert sender.send(Moment(far_away, 0, T_NS)) == 0
    nothing = POSE.copy()
    nothing[:] = np.nan
    assert sender.send(Moment(nothing, 0, T_NS)) == 0
    assert (sender.statistics.poses, sender.statistics.datagrams, sender.statistics.unsendable) == (1, 2, 3)
    sender.close()
    assert all(wire.closed for wire in wires)


def test_relays_are_sorted_by_what_they_send() -> None:
    relays = {"x": relay("freed"), "y": relay("osc", pose="raw"), "z": relay("osc", camera="b")}
    assert {camera: [s.name for s in found] for camera, found in senders_of(relays, pose="predicted").items()} == {
        "a": ["x"],
        "b": ["z"],
    }
    assert [s.name for s in senders_of(relays, pose="raw")["a"]] == ["y"]


# --- configuration --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"targets": []}, "at least 1"),
        ({"targets": ["there"]}, "host:port"),
        ({"targets": ["127.0.0.1:0"]}, "port 0"),
        ({"targets": ["127.0.0.1:5", "127.0.0.1:5"]}, "stands twice"),
        ({"protocol": "psn"}, "Input should be"),
        ({"camera_id": 255}, "less than or equal to 254"),
        ({"encoders": True}, "raw FreeD"),
        ({"osc": {"preset": "unity"}}, "belongs to OSC"),
        ({"interface": "eth0"}, "IPv4"),
        ({"rate": 5}, "Extra inputs"),
    ],
)
def test_relays_that_cannot_be(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        relay(**{"protocol": "freed", **change})


@pytest.mark.parametrize(
    ("target", "listen", "itself"),
    [
        ("127.0.0.1:40000", "127.0.0.1:40000", True),
        ("127.0.0.1:40000", "0.0.0.0:40000", True),
        ("10.0.0.5:40000", "0.0.0.0:40000", True),
        ("127.0.0.1:40001", "0.0.0.0:40000", False),
        ("239.135.1.7:55555", "239.135.1.7:55555", True),
        ("239.135.1.8:55555", "239.135.1.7:55555", False),
        ("127.0.0.1:5556", "tcp://127.0.0.1:5556", False),
    ],
)
def test_a_relay_may_not_feed_itself(target: str, listen: str, itself: bool) -> None:
    assert reaches(target, listen) is itself
    if listen.startswith("tcp"):
        return
    tree = {
        "sources": {"t": {"protocol": "freed", "listen": listen, "camera": "a"}},
        "relays": {"r": {"camera": "a", "protocol": "freed", "targets": [target]}},
    }
    if itself:
        with pytest.raises(ValidationError, match="to itself"):
            TrackingConfig.model_validate(tree)
    else:
        assert TrackingConfig.model_validate(tree).relays["r"].targets == [target]


def test_a_target_that_cannot_be_opened_is_told() -> None:
    sender = RelaySender("r", relay("freed", interface="203.0.113.77"))
    with pytest.raises(SendError, match="no interface"):
        sender.open()
    sender.close()
