"""PosiStageNet: a real server's packet, an INFO packet, frames in several packets, names, broken twins."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking.config import Source
from tracking.mapping import mapping_of
from tracking.protocols.psn import Assembler, PsnData, PsnHeader, PsnInfo, PsnTracker, parse
from tracking.sample import Refusal, Sample, Stamp

SOURCE: dict[str, Any] = {"protocol": "psn", "listen": "236.10.10.10:56565", "camera": "a"}


def mapping(**change: Any) -> Any:
    return mapping_of("t", Source.model_validate(SOURCE | change))


def data_of(datagram: bytes) -> PsnData:
    (packet,) = parse(datagram)
    assert isinstance(packet, PsnData)
    return packet


def frame(number: int, *ids: int, packets: int = 1, t_us: int = 0) -> bytes:
    header = PsnHeader(t_us or 1000 * number, (2, 3), number & 255, packets)
    return bytes(PsnData(header, tuple(PsnTracker(i, (float(i), 2.0, 3.0)) for i in ids)))


@pytest.fixture(scope="module")
def robospot(reference: Path) -> dict[str, Any]:
    vector: dict[str, Any] = json.loads((reference / "tracking/psn/robospot_data.json").read_text())
    return vector


@pytest.fixture(scope="module")
def info(reference: Path) -> dict[str, Any]:
    vector: dict[str, Any] = json.loads((reference / "tracking/psn/jwetzell_info.json").read_text())
    return vector


def test_a_real_server(robospot: dict[str, Any]) -> None:
    datagram, expected = bytes.fromhex(robospot["hex"]), robospot["expected"]
    packet = data_of(datagram)
    header = packet.header
    assert header.timestamp_us == expected["timestamp_us"]
    assert header.version == (expected["version_high"], expected["version_low"])
    assert (header.frame_id, header.frame_packets) == (expected["frame_id"], expected["frame_packet_count"])
    assert [list(t.position_m or ()) for t in packet.trackers] == [t["pos"] for t in expected["trackers"]]
    assert bytes(packet) == datagram
    # The same from the fields alone: nothing of the packet went unread.
    assert bytes(msgspec.structs.replace(packet, raw=b"")) == datagram
    (sample,) = packet.samples(mapping(), Stamp())
    assert isinstance(sample, Sample)
    x, y, z = expected["trackers"][0]["pos"]
    np.testing.assert_allclose(sample.stage_from_camera[:3, 3], (x, z, y))
    np.testing.assert_allclose(sample.stage_from_camera[:3, :3], np.eye(3))
    assert packet.t_source_ns == expected["timestamp_us"] * 1000


def test_names(info: dict[str, Any]) -> None:
    datagram, expected = bytes.fromhex(info["hex"]), info["expected"]
    (packet,) = parse(datagram)
    assert isinstance(packet, PsnInfo)
    assert packet.system_name == expected["system_name"]
    assert packet.names == {t["id"]: t["name"] for t in expected["trackers"]}
    assert packet.header.frame_packets == expected["frame_packet_count"]
    assert packet.header.timestamp_us == expected["timestamp_us"]
    assert bytes(packet) == datagram
    assert bytes(msgspec.structs.replace(packet, raw=b"")) == datagram
    # A frame that says 123 packets and sends one: the names count all the same.
    assembler = Assembler()
    assert assembler.feed(datagram) == []
    assert assembler.names == {1: "Tracker 1"}
    assert assembler.system_name == "PSN Server"


def test_broken_twins(robospot: dict[str, Any], info: dict[str, Any]) -> None:
    for vector in (robospot, info):
        datagram = bytes.fromhex(vector["hex"])
        broken = {
            "magic": b"\x3c\x50" + datagram[2:],
            "short": datagram[:-1],
            "long": datagram + b"\0",
            "version": datagram.replace(datagram[16:18], b"\x03\x00", 1),
        }
        cut = bytearray(datagram)
        cut[-10] ^= 0xFF if vector is info else 0
        cut[22:24] = struct.pack("<H", 0x7FFF)
        broken["malformed"] = bytes(cut)
        for reason, twin in broken.items():
            assert [i.reason for i in parse(twin) if isinstance(i, Refusal)] == [reason]
            assert len(parse(twin)) == 1
    assert [i.reason for i in parse(b"abc") if isinstance(i, Refusal)] == ["short"]
    assert [i.reason for i in parse(bytes(1501)) if isinstance(i, Refusal)] == ["long"]


def test_equivalent_poses(reference: Path) -> None:
    cases = json.loads((reference / "tracking/poses/equivalent_poses.json").read_text())["cases"]
    for case in cases:
        for handedness, place, turn in (
            ("left", case["psn_lh"]["pos"], case["psn_lh"]["ori"]),
            ("right", case["yup_rh"]["p"], [-v if i < 2 else v for i, v in enumerate(case["psn_lh"]["ori"])]),
        ):
            tracker = PsnTracker(1, tuple(place), orientation_rad=tuple(turn))
            packet = data_of(bytes(PsnData(PsnHeader(0, (2, 3), 0, 1), (tracker,))))
            (sample,) = packet.samples(mapping(psn={"handedness": handedness}), Stamp())
            assert isinstance(sample, Sample)
            np.testing.assert_allclose(sample.stage_from_camera, case["stage_from_camera"], atol=2e-6)


def test_which_tracker() -> None:
    assembler = Assembler()
    header = PsnHeader(0, (2, 3), 0, 1)
    assembler.feed(bytes(PsnInfo(header, "server", {3: "hat", 4: "a", 5: "crane"})))
    (packet,) = assembler.feed(frame(1, 3, 4, 5))
    assert isinstance(packet, PsnData)

    def followed(**change: Any) -> int | None:
        tracker = packet.tracker_for(mapping(**change))
        return None if tracker is None else tracker.id

    assert followed() == 4  # named like the camera
    assert followed(body="5") == 5
    assert followed(body="hat") == 3
    assert followed(body="9") is None
    assert not packet.is_for(mapping(body="nobody"))
    assert packet.samples(mapping(body="nobody"), Stamp()) == []
    # Without names the only tracker is meant, but not the only one of a packet when the server has more.
    alone = Assembler()
    (first,) = alone.feed(frame(1, 7))
    assert isinstance(first, PsnData)
    assert first.is_for(mapping())
    (second,) = alone.feed(frame(2, 8))
    assert isinstance(second, PsnData)
    assert not second.is_for(mapping())
    assert second.is_for(mapping(body="8"))


def test_a_frame_in_several_packets() -> None:
    assembler = Assembler()
    for n, ids in enumerate(((1, 2), (3, 4), (5,))):
        (packet,) = assembler.feed(frame(10, *ids, packets=3))
        assert isinstance(packet, PsnData)
        assert len(packet.trackers) == len(ids), n
    # The next frame loses a packet; the one after tells so. What came is used all the same.
    assert all(isinstance(i, PsnData) for i in assembler.feed(frame(11, 1, 2, packets=3)))
    assert all(isinstance(i, PsnData) for i in assembler.feed(frame(11, 5, packets=3)))
    lost, packet = assembler.feed(frame(12, 1, packets=1))
    assert lost == Refusal("segment", "2 of 3 packets of frame 11")
    assert isinstance(packet, PsnData)
    # 8-bit frame ids come again: the time stamp tells the frames apart.
    assert all(isinstance(i, PsnData) for i in assembler.feed(frame(12, 1, packets=1, t_us=99_000_000)))


def test_doubles_count_once() -> None:
    assembler = Assembler()
    assembler.feed(frame(1, 1))
    assert assembler.feed(frame(1, 1)) == [Refusal("duplicate", "frame 1")]


def test_when_a_tracker_was_measured() -> None:
    header = PsnHeader(5_000_000, (2, 3), 1, 1)
    for measured_us, older_ns in ((4_990_000, 10_000_000), (None, 0), (0, 0)):
        tracker = PsnTracker(1, (0.0, 0.0, 0.0), timestamp_us=measured_us)
        (sample,) = PsnData(header, (tracker,)).samples(mapping(), Stamp(1_000_000_000, 0, 0))
        assert isinstance(sample, Sample)
        assert sample.t_sampled_ns == 1_000_000_000 - older_ns


def test_trackers_that_cannot_be_used() -> None:
    header = PsnHeader(0, (2, 3), 0, 1)
    (item,) = PsnData(header, (PsnTracker(1),)).samples(mapping(), Stamp())
    assert item == Refusal("other_message", "tracker 1 without a position")
    (item,) = PsnData(header, (PsnTracker(1, (0.0, float("nan"), 0.0)),)).samples(mapping(), Stamp())
    assert item == Refusal("nan", "tracker 1")


def test_unknown_and_longer_chunks_are_stepped_over() -> None:
    header = bytes(PsnHeader(7, (2, 9), 1, 1))
    longer = struct.pack("<I", 0x0000 | 20 << 16) + struct.pack("<3f", 1.0, 2.0, 3.0) + bytes(8)
    unknown = struct.pack("<I", 0x0042 | 4 << 16) + bytes(4)
    tracker = struct.pack("<I", 5 | (len(longer + unknown) << 16) | 1 << 31) + longer + unknown
    trackers = struct.pack("<I", 0x0001 | len(tracker) << 16 | 1 << 31) + tracker
    strange = struct.pack("<I", 0x0777 | 0 << 16)
    body = strange + header + trackers
    datagram = struct.pack("<I", 0x6755 | len(body) << 16 | 1 << 31) + body
    packet = data_of(datagram)
    assert [(t.id, t.position_m) for t in packet.trackers] == [(5, (1.0, 2.0, 3.0))]
    assert bytes(packet) == datagram


real = st.floats(-1e6, 1e6, width=32)
vector = st.none() | st.tuples(real, real, real)
trackers = st.lists(
    st.builds(PsnTracker, st.integers(0, 0xFFFF), vector, vector, vector, st.none() | real, vector, vector,
              st.none() | st.integers(0, 2**64 - 1)), max_size=8)  # fmt: skip


@given(trackers, st.integers(0, 2**64 - 1), st.integers(0, 255), st.integers(0, 255))
def test_round_trip(many: list[PsnTracker], timestamp_us: int, frame_id: int, packets: int) -> None:
    datagram = bytes(PsnData(PsnHeader(timestamp_us, (2, 3), frame_id, packets), tuple(many)))
    packet = data_of(datagram)
    assert packet.trackers == tuple(many)
    assert bytes(packet) == datagram == bytes(msgspec.structs.replace(packet, raw=b""))
