"""FreeD D1: third-party vectors and their broken twins, the worked example, resync, and the real take."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage.frames import pan_tilt_roll_from_rotation
from tracking.config import Source
from tracking.mapping import mapping_of
from tracking.protocols.freed import SIZE, FreeDPacket, parse
from tracking.sample import Refusal, Sample, Stamp

EXAMPLE = bytes.fromhex("d1010f0000fb0000028000013880fe0c0001b5800012340056780000d5")
SOURCE = Source(protocol="freed", listen="127.0.0.1:40000", camera="a")


def one(datagram: bytes) -> FreeDPacket:
    (packet,) = parse(datagram)
    assert isinstance(packet, FreeDPacket)
    return packet


def sample_of(packet: FreeDPacket, source: Source = SOURCE) -> Sample:
    (sample,) = packet.samples(mapping_of("t", source), Stamp(1, 2, 3))
    assert isinstance(sample, Sample)
    return sample


def test_worked_example() -> None:
    packet = one(EXAMPLE)
    assert (packet.pan_deg, packet.tilt_deg, packet.roll_deg) == (30.0, -10.0, 5.0)
    assert (packet.x_mm, packet.y_mm, packet.z_mm) == (1250.0, -2000.0, 1750.0)
    assert (packet.zoom, packet.focus, packet.camera_id, packet.spare) == (0x1234, 0x5678, 1, 0)
    assert bytes(packet) == EXAMPLE
    sample = sample_of(packet)
    expected: list[list[float]] = [
        [0.855163, 0.492404, 0.161973, 1.25],
        [-0.511204, 0.852869, 0.106234, -2.0],
        [-0.085832, -0.173648, 0.981060, 1.75],
        [0.0, 0.0, 0.0, 1.0],
    ]
    assert np.allclose(sample.stage_from_camera, expected, atol=1e-6)
    assert pan_tilt_roll_from_rotation(sample.stage_from_camera)[0] == pytest.approx(-30.0)
    assert (sample.t_sampled_ns, sample.t_received_ns, sample.packet_id) == (1, 2, 3)


def test_third_party_vectors(reference: Path) -> None:
    vectors = json.loads((reference / "tracking/freed/jwetzell_vectors.json").read_text())
    for vector in vectors["good"]:
        datagram = bytes.fromhex(vector["hex"])
        packet, expected = one(datagram), vector["expected"]
        assert datagram[0] == expected["type"]
        assert packet.camera_id == expected["id"]
        for name in ("pan_deg", "tilt_deg", "roll_deg", "x_mm", "y_mm", "z_mm", "zoom", "focus", "spare"):
            assert getattr(packet, name) == expected[name], name
        assert bytes(packet) == datagram
    reasons = {
        vector["name"]: [item.reason for item in parse(bytes.fromhex(vector["hex"])) if isinstance(item, Refusal)]
        for vector in vectors["bad"]
    }
    assert reasons == {
        "bad checksum": ["checksum"],
        "28 bytes only": ["short"],
        "empty": ["short"],
        "unknown type": ["magic"],
    }
    assert not any(
        isinstance(item, FreeDPacket) for vector in vectors["bad"] for item in parse(bytes.fromhex(vector["hex"]))
    )


def test_equivalent_poses(reference: Path) -> None:
    for case in json.loads((reference / "tracking/poses/equivalent_poses.json").read_text())["cases"]:
        packet = one(bytes.fromhex(case["freed"]["hex"]))
        sample = sample_of(packet)
        # One count is 1/32768 degree and 1/64 mm.
        assert np.allclose(sample.stage_from_camera, case["stage_from_camera"], atol=3e-5)


def test_real_take(reference: Path) -> None:
    path = next((reference / "tracking/freed").glob("take_*.jsonl"))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == 250
    for line in lines:
        datagram = bytes.fromhex(line["hex"])
        packet, stated = one(datagram), line["in"]
        assert bytes(packet) == datagram
        for name in ("pan_deg", "tilt_deg", "roll_deg"):
            assert abs(getattr(packet, name) - stated[name]) <= 1 / 32768 + 1e-9
        for name in ("x_mm", "y_mm", "z_mm"):
            assert abs(getattr(packet, name) - stated[name]) <= 1 / 64 + 1e-9
        assert (packet.zoom, packet.focus, packet.spare) == (stated["zoom"], stated["focus"], stated["spare"])


def test_coalesced_messages_and_resync() -> None:
    other = bytes(FreeDPacket(2, 1, 2, 3, 4, 5, 6, 7, 8, 9))
    status = bytes([0xD2, 1] + [0] * 13)
    status += bytes([(0x40 - sum(status)) & 0xFF])
    assert [type(item).__name__ for item in parse(EXAMPLE + other)] == ["FreeDPacket", "FreeDPacket"]
    # Rubbish between, a broken message, another message type, and a message cut off at the end.
    broken = bytearray(EXAMPLE)
    broken[5] ^= 1
    items = parse(b"\x00\x01" + EXAMPLE + bytes(broken) + other + status + EXAMPLE[:20])
    assert [item.reason if isinstance(item, Refusal) else item.camera_id for item in items] == [
        "magic", 1, "checksum", 2, "other_message", "short",
    ]  # fmt: skip
    assert parse(bytes(5000))[0] == Refusal("long", "5000 bytes")


def test_checksum_settings() -> None:
    zero = EXAMPLE[:-1] + b"\0"
    wrong = EXAMPLE[:-1] + b"\x11"
    assert isinstance(parse(zero)[0], Refusal)
    (lenient,) = parse(zero, checksum="zero")
    assert isinstance(lenient, FreeDPacket)
    assert bytes(lenient) == zero
    assert isinstance(parse(wrong, checksum="zero")[0], Refusal)
    (careless,) = parse(wrong, checksum="ignore")
    assert isinstance(careless, FreeDPacket)
    assert bytes(careless) == wrong


def test_implausible_tilt_is_refused() -> None:
    packet = FreeDPacket(1, 0, 120 * 32768, 0, 0, 0, 0)
    assert parse(bytes(packet)) == [Refusal("range", "tilt 120.000 degrees")]


def test_camera_id_filter() -> None:
    mapping = mapping_of("t", SOURCE.model_copy(update={"camera_id": 7}))
    assert not one(EXAMPLE).is_for(mapping)
    assert FreeDPacket(7, 0, 0, 0, 0, 0, 0).is_for(mapping)
    assert FreeDPacket(255, 0, 0, 0, 0, 0, 0).is_for(mapping)


def test_from_units_refuses_what_the_format_cannot_hold() -> None:
    with pytest.raises(ValueError, match="131 m"):
        FreeDPacket.from_units(camera_id=1, pan_deg=0, tilt_deg=0, roll_deg=0, x_mm=140_000, y_mm=0, z_mm=0)


signed24 = st.integers(-0x800000, 0x7FFFFF)
unsigned24 = st.integers(0, 0xFFFFFF)


wire_fields = st.tuples(
    st.integers(0, 255), signed24, st.integers(-90 * 32768, 90 * 32768), signed24, signed24, signed24, signed24,
    unsigned24, unsigned24, st.integers(0, 0xFFFF),
)  # fmt: skip


@given(wire_fields)
def test_round_trip(fields: tuple[int, ...]) -> None:
    packet = FreeDPacket(*fields)
    assert len(bytes(packet)) == SIZE
    assert parse(bytes(packet)) == [packet]
