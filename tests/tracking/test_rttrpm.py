"""RTTrPM: the third-party vector, every module there and back, both byte orders, time, axes, broken twins."""

from __future__ import annotations

import json
from math import pi, radians
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from stage.frames import pan_tilt_roll_from_rotation
from tracking.config import Source
from tracking.mapping import mapping_of
from tracking.protocols.rttrpm import (
    CENTROID,
    CENTROID_MOTION,
    EULER,
    POINT,
    POINT_MOTION,
    QUATERNION,
    ZONES,
    Assembler,
    RttrpmModule,
    RttrpmPacket,
    RttrpmTrackable,
    parse,
)
from tracking.sample import Refusal, Sample, Stamp

SOURCE: dict[str, Any] = {"protocol": "rttrpm", "listen": "127.0.0.1:24220", "camera": "a"}
HERE = RttrpmModule(CENTROID, (1.0, 2.0, 3.0), 16)
TURN = RttrpmModule(QUATERNION, (0.0, 0.0, 0.0, 1.0), 16)


def mapping(**change: Any) -> Any:
    return mapping_of("t", Source.model_validate(SOURCE | change))


def one(datagram: bytes) -> RttrpmPacket:
    (packet,) = parse(datagram)
    assert isinstance(packet, RttrpmPacket)
    return packet


def thing(*modules: RttrpmModule, name: str = "a", timestamp: int | None = None) -> RttrpmPacket:
    return RttrpmPacket(1, (RttrpmTrackable(name, modules, timestamp),))


def sample_of(packet: RttrpmPacket, stamp: Stamp | None = None, **change: Any) -> Sample:
    (sample,) = packet.samples(mapping(**change), stamp or Stamp())
    assert isinstance(sample, Sample)
    return sample


def test_third_party_vectors_and_their_broken_twins(reference: Path) -> None:
    for vector in json.loads((reference / "tracking/rttrpm/vectors.json").read_text())["vectors"]:
        datagram, expected = bytes.fromhex(vector["hex"]), vector["expected"]
        packet = one(datagram)
        assert (packet.version, packet.packet_id) == (expected["version"], expected["packet_id"])
        assert (packet.format, packet.context) == (expected["format"], expected["context"])
        assert len(datagram) == expected["size"]
        assert datagram[:4] == expected["int_header"].to_bytes(2, "big") + expected["float_header"].to_bytes(2, "big")
        assert [(t.name, len(t.modules)) for t in packet.trackables] == [
            (m["name"], m["modules"]) for m in expected["modules"]
        ]
        assert bytes(packet) == datagram
        assert bytes(msgspec.structs.replace(packet, raw=b"")) == datagram
        # It tells no place: that is counted, not raised.
        assert packet.samples(mapping(), Stamp()) == [Refusal("other_message", "Test without a centroid")]
        twins = {
            "magic": b"\x41\x55" + datagram[2:],
            "other_message": datagram[:2] + b"\x44\x34" + datagram[4:],
            "version": datagram[:5] + b"\x03" + datagram[6:],
            "encoding": datagram[:10] + b"\x01" + datagram[11:],
            "short": datagram[:-1],
            "long": datagram + b"\0",
            "malformed": datagram[:17] + b"\x02" + datagram[18:],
        }
        for reason, twin in twins.items():
            assert [i.reason for i in parse(twin) if isinstance(i, Refusal)] == [reason]
    assert [i.reason for i in parse(b"AT") if isinstance(i, Refusal)] == ["short"]
    assert [i.reason for i in parse(bytes(10_000)) if isinstance(i, Refusal)] == ["long"]


def test_modules_cut_off_are_refused() -> None:
    whole = bytes(thing(HERE, TURN))
    for place, value in ((20, 1), (20, 200), (21, 200), (23, 9), (26, 1), (26, 250)):
        twin = bytearray(whole)
        twin[place] = value
        assert [i.reason for i in parse(bytes(twin)) if isinstance(i, Refusal)] == ["malformed"], place


def test_pose_in_the_stage() -> None:
    half = (0.0, 0.0, np.sin(radians(15)), np.cos(radians(15)))
    packet = one(bytes(thing(HERE, RttrpmModule(QUATERNION, half, 16))))
    pose = sample_of(packet).stage_from_camera
    np.testing.assert_allclose(pose[:3, 3], (1.0, 2.0, 3.0))
    np.testing.assert_allclose(pan_tilt_roll_from_rotation(pose), (30.0, 0.0, 0.0), atol=1e-12)
    y_up = one(bytes(thing(HERE, RttrpmModule(QUATERNION, (0.0, half[2], 0.0, half[3]), 16))))
    pose = sample_of(y_up, rttrpm={"up": "y"}).stage_from_camera
    np.testing.assert_allclose(pose[:3, 3], (1.0, -3.0, 2.0))
    np.testing.assert_allclose(pan_tilt_roll_from_rotation(pose), (30.0, 0.0, 0.0), atol=1e-12)
    assert np.array_equal(sample_of(thing(HERE)).stage_from_camera[:3, :3], np.eye(3))


@pytest.mark.parametrize("order", [0x0123, 0x0321, 0x0213, 0x0121, 0x0313])
def test_euler_orders(order: int) -> None:
    angles = (0.3, -0.5, 1.1)
    letters = "".join("_xyz"[order >> shift & 15] for shift in (8, 4, 0))
    packet = one(bytes(thing(HERE, RttrpmModule(EULER, angles, 16, order))))
    turned = Rotation.identity()
    fixed = Rotation.identity()
    for letter, angle in zip(letters, angles, strict=True):
        turned = turned * Rotation.from_euler(letter, angle)
        fixed = Rotation.from_euler(letter, angle) * fixed
    np.testing.assert_allclose(sample_of(packet).stage_from_camera[:3, :3], turned.as_matrix(), atol=1e-12)
    pose = sample_of(packet, rttrpm={"euler": "extrinsic"}).stage_from_camera
    np.testing.assert_allclose(pose[:3, :3], fixed.as_matrix(), atol=1e-12)


def test_numbers_that_are_none() -> None:
    nan, nought = float("nan"), RttrpmModule(QUATERNION, (0.0, 0.0, 0.0, 0.0), 0)
    for module, reason in (
        (RttrpmModule(EULER, (0.0, 0.0, 0.0), 0, 0x0900), "range"),
        (nought, "range"),
        (RttrpmModule(EULER, (0.0, nan, 0.0), 0, 0x0123), "range"),
    ):
        (item,) = one(bytes(thing(HERE, module))).samples(mapping(), Stamp())
        assert isinstance(item, Refusal)
        assert item.reason == reason
    (item,) = one(bytes(thing(RttrpmModule(CENTROID, (nan, 0.0, 0.0), 0)))).samples(mapping(), Stamp())
    assert item == Refusal("nan", "a")


def test_centroid_or_point() -> None:
    points = [RttrpmModule(POINT, (float(i), 0.0, 0.0), 0, index=i) for i in (1, 2, 3)]
    moving = RttrpmModule(POINT_MOTION, (4.0, 0.0, 0.0, *[0.0] * 6), index=4)
    packet = one(bytes(thing(*points, moving, RttrpmModule(CENTROID_MOTION, (9.0, 0.0, 0.0, *[1.0] * 6)))))
    assert sample_of(packet).stage_from_camera[0, 3] == 9.0
    for index in (1, 2, 3, 4):
        assert sample_of(packet, rttrpm={"point": index}).stage_from_camera[0, 3] == index
    (item,) = packet.samples(mapping(rttrpm={"point": 7}), Stamp())
    assert item == Refusal("other_message", "a without point 7")


def test_when_it_was_measured() -> None:
    stamp = Stamp(1_000_000_000, 1_000_000_000, 1)
    assert sample_of(thing(HERE), stamp).t_sampled_ns == 984_000_000
    (packet,) = Assembler(timestamp_hz=100.0).feed(bytes(thing(HERE, timestamp=250)))
    assert isinstance(packet, RttrpmPacket)
    assert packet.t_source_ns == 2_500_000_000
    (packet,) = Assembler().feed(bytes(thing(HERE, timestamp=250)))
    assert isinstance(packet, RttrpmPacket)
    assert packet.t_source_ns is None


def test_which_trackable() -> None:
    packet = RttrpmPacket(1, (RttrpmTrackable("hat", (HERE,)), RttrpmTrackable("a", (TURN,))))
    assert packet.trackable_for(mapping()) is packet.trackables[1]
    assert packet.trackable_for(mapping(body="hat")) is packet.trackables[0]
    assert not packet.is_for(mapping(body="crane"))
    # BlackTrax sends each trackable by itself: the only one of a packet is not the only one there is.
    assembler = Assembler()
    (first,) = assembler.feed(bytes(thing(HERE, name="hat")))
    (second,) = assembler.feed(bytes(thing(HERE, name="crane")))
    assert isinstance(first, RttrpmPacket)
    assert isinstance(second, RttrpmPacket)
    assert first.is_for(mapping())
    assert not second.is_for(mapping())
    assert second.is_for(mapping(body="crane"))
    # A heartbeat is for nobody.
    assert not one(bytes(RttrpmPacket(5))).is_for(mapping())


number = st.floats(-1e6, 1e6)
small = st.floats(-1e3, 1e3, width=32)
three = st.tuples(number, number, number)
motion = st.tuples(number, number, number, small, small, small, small, small, small)
byte, word = st.integers(0, 255), st.integers(0, 65535)
modules = st.one_of(
    st.builds(RttrpmModule, st.just(CENTROID), three, word),
    st.builds(RttrpmModule, st.just(POINT), three, word, st.none(), byte),
    st.builds(RttrpmModule, st.just(QUATERNION), st.tuples(number, number, number, number), word),
    st.builds(RttrpmModule, st.just(EULER), st.tuples(*[st.floats(-pi, pi)] * 3), word, word),
    st.builds(RttrpmModule, st.just(CENTROID_MOTION), motion),
    st.builds(RttrpmModule, st.just(POINT_MOTION), motion, st.none(), st.none(), byte),
    st.builds(lambda zones: RttrpmModule(ZONES, zones=tuple(zones)), st.lists(st.text("zone 12", max_size=9))),
    st.builds(lambda rest: RttrpmModule(0x77, rest=rest), st.binary(max_size=9)),
)
trackables = st.builds(
    RttrpmTrackable, st.text("abc é", max_size=12), st.lists(modules, max_size=5).map(tuple),
    st.none() | st.integers(0, 2**32 - 1),
)  # fmt: skip


@given(st.lists(trackables, max_size=4), st.sampled_from("<>"), st.sampled_from("<>"), st.integers(0, 2**32 - 1))
def test_round_trip(many: list[RttrpmTrackable], order: Any, floats: Any, context: int) -> None:
    packet = RttrpmPacket(9, tuple(many), context, order=order, floats=floats)
    back = one(bytes(packet))
    assert back.trackables == packet.trackables
    assert (back.context, back.order, back.floats, back.packet_id) == (context, order, floats, 9)
    assert bytes(back) == bytes(packet) == bytes(msgspec.structs.replace(back, raw=b""))
