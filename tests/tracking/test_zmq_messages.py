"""OpenVolume's ZeroMQ pose message: JSON and msgpack, what is needed, what is refused."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage.frames import pan_tilt_roll_from_rotation, pose_from_pan_tilt_roll, quaternion_from_rotation
from tracking.config import Source
from tracking.mapping import mapping_of
from tracking.protocols.zmq_pose import PoseMessage, ZmqPosePacket, parse
from tracking.sample import LensReading, Refusal, Sample, Stamp

MAPPING = mapping_of("t", Source(protocol="zmq", listen="tcp://127.0.0.1:5556", camera="a"))


def pose_of(data: bytes) -> Sample:
    (packet,) = parse(data)
    assert isinstance(packet, ZmqPosePacket)
    (sample,) = packet.samples(MAPPING, Stamp())
    assert isinstance(sample, Sample)
    return sample


def test_angles_and_quaternion_give_the_same_pose() -> None:
    truth = pose_from_pan_tilt_roll((1.0, -2.0, 1.5), pan_deg=20.0, tilt_deg=-5.0, roll_deg=2.0)
    angles = b'{"position_m":[1,-2,1.5],"pan_deg":20,"tilt_deg":-5,"roll_deg":2,"camera":"a","something":[1]}'
    assert np.allclose(pose_of(angles).stage_from_camera, truth)
    rotation = quaternion_from_rotation(truth).tolist()
    tree = {"position_m": [1, -2, 1.5], "rotation": rotation, "sequence": 7, "quality": "caution"}
    for data in (msgspec.json.encode(tree), msgspec.msgpack.encode(tree)):
        sample = pose_of(data)
        assert np.allclose(sample.stage_from_camera, truth)
        assert (sample.sequence, sample.quality) == (7, "caution")


def test_lens_and_camera_name() -> None:
    message = PoseMessage((0, 0, 1), camera="b", pan_deg=0.0, tilt_deg=0.0, focal_length_mm=35.0, entrance_pupil_m=0.1)
    packet = ZmqPosePacket(message)
    assert not packet.is_for(MAPPING)
    (sample,) = packet.samples(MAPPING, Stamp())
    assert isinstance(sample, Sample)
    assert sample.lens == LensReading(focal_length_mm=35.0, entrance_pupil_m=0.1)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "short"),
        (b"hello", "encoding"),
        (b"\xc1\x00", "encoding"),
        (b'{"position_m":[1,2,3]', "malformed"),
        (b'{"position_m":[1,2,3]}', "schema"),
        (b'{"position_m":[1,2],"pan_deg":0,"tilt_deg":0}', "schema"),
        (b'{"position_m":[1,2,"3"],"pan_deg":0,"tilt_deg":0}', "schema"),
        (b'{"position_m":[1,2,3],"pan_deg":0,"tilt_deg":0,"camera":5}', "schema"),
        (msgspec.msgpack.encode({"position_m": [1.0, 2.0, float("nan")], "pan_deg": 0, "tilt_deg": 0}), "nan"),
        (msgspec.msgpack.encode({"position_m": [1.0, 2.0, 3.0], "rotation": [0, 0, float("inf"), 1]}), "nan"),
        (b'{"position_m":[1,2,3],' + b" " * 20_000 + b'"pan_deg":0,"tilt_deg":0}', "long"),
        (b"{" + b'"a":{' * 2_500 + b"}" * 2_501, "malformed"),
    ],
)
def test_malformed_is_counted_not_raised(data: bytes, reason: str) -> None:
    (refusal,) = parse(data)
    assert isinstance(refusal, Refusal)
    assert refusal.reason == reason


def test_zero_quaternion_is_refused() -> None:
    (packet,) = parse(b'{"position_m":[1,2,3],"rotation":[0,0,0,0]}')
    assert isinstance(packet, ZmqPosePacket)
    (refusal,) = packet.samples(MAPPING, Stamp())
    assert isinstance(refusal, Refusal)
    assert refusal.reason == "range"


number = st.floats(-1e6, 1e6)


@given(st.tuples(number, number, number), st.tuples(number, number, number, number),
       st.one_of(st.none(), st.integers(-(2**62), 2**62)), st.sampled_from(["json", "msgpack"]))  # fmt: skip
def test_round_trip(position: tuple[float, float, float], rotation: tuple[float, float, float, float],
                    t_ns: int | None, encoding: str) -> None:  # fmt: skip
    packet = ZmqPosePacket(PoseMessage(position, t_ns=t_ns, rotation=rotation), encoding)  # type: ignore[arg-type]
    assert parse(bytes(packet)) == [packet]


def test_the_pose_reads_back_as_angles() -> None:
    sample = pose_of(b'{"position_m":[0,0,1.6],"pan_deg":-12.5,"tilt_deg":3.25}')
    assert pan_tilt_roll_from_rotation(sample.stage_from_camera) == pytest.approx((-12.5, 3.25, 0.0))


@pytest.mark.parametrize(("length", "taken"), [(1.0, True), (0.985, True), (1.015, True), (0.9, False), (2.0, False)])
def test_a_quaternion_that_is_no_rotation_is_refused(length: float, taken: bool) -> None:
    (packet,) = parse(msgspec.json.encode({"position_m": [0, 0, 0], "rotation": [0, 0, 0.6 * length, 0.8 * length]}))
    assert isinstance(packet, ZmqPosePacket)
    (made,) = packet.samples(MAPPING, Stamp())
    assert isinstance(made, Sample) is taken
    assert taken or (isinstance(made, Refusal) and made.reason == "range")
