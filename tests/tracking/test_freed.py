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
from tracking.protocols.freed import SIZE, FreeDPacket, StreamReader, parse
from tracking.protocols.freed_makers import MAKERS, Maker, fraction
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


def of_maker(maker: Maker, **fields: int) -> Sample:
    packet = FreeDPacket(1, 0, 0, 0, 0, 0, 0, **fields)
    return sample_of(packet, Source(protocol="freed", listen="127.0.0.1:1", camera="a", freed={"maker": maker}))  # type: ignore[arg-type]


def test_what_makers_put_beside_the_pose() -> None:
    lens = of_maker("zcam", zoom=3520, focus=25_000, spare=0x7000 | 280).lens
    assert lens is not None
    assert (lens.focal_length_mm, lens.focus_distance_m, lens.f_stop) == (35.2, 2.5, 2.8)
    sample = of_maker("sony", zoom=0x3D60, focus=0x8000, spare=0x7000 | 560)
    assert sample.lens is not None
    assert (sample.sequence, sample.lens.f_stop, sample.lens.focal_length_mm) == (7, 5.6, None)
    assert (sample.lens.zoom_raw, sample.lens.focus_raw) == (0x3D60, 0x8000)
    assert fraction(0x3D60, MAKERS["sony"].zoom_ends) == 0.5
    assert [fraction(v, MAKERS["panasonic"].focus_ends) for v in (0, 0x555, 0xFFF, 0xFFFF)] == [0.0, 0.0, 1.0, 1.0]
    iris = of_maker("panasonic", spare=0xAAA).lens
    assert iris is not None
    assert iris.iris_raw == 0xAAA
    assert [of_maker("mosys", spare=code).quality for code in (0, 1, 2, 3, 9)] == [
        "ok", "ok", "caution", "bad", "quality 9",
    ]  # fmt: skip
    generic = of_maker("generic", zoom=5, spare=0x0123)
    assert generic.lens is not None
    assert (generic.quality, generic.sequence, generic.lens.f_stop, generic.lens.iris_raw) == ("ok", None, None, None)


def test_a_stream_cut_anywhere() -> None:
    messages = [FreeDPacket(1, n, 2 * n, 3, 4, 5, 0xD1D1, 0xD1D1D1, 8, n) for n in range(40)]
    stream = b"".join(map(bytes, messages))
    for size in (1, 7, 28, 29, 30, 100):
        reader = StreamReader()
        out = [item for at in range(0, len(stream), size) for item in reader.feed(stream[at : at + size])]
        assert out == messages, size
    # Joined in the middle of a message, with rubbish and a broken message on the way: found again, and told.
    reader = StreamReader()
    broken = bytearray(stream[29:58])
    broken[12] ^= 0x55
    noisy = stream[13:29] + b"\xd1\x00\x01" + bytes(broken) + stream[58:]
    out = [item for at in range(0, len(noisy), 11) for item in reader.feed(noisy[at : at + 11])]
    assert [item for item in out if isinstance(item, FreeDPacket)] == messages[2:]
    assert any(isinstance(item, Refusal) for item in out)
    assert reader.feed(bytes(5000)) == [Refusal("long", "5000 bytes")]


@given(st.lists(st.integers(0, 90 * 32768), min_size=1, max_size=6), st.lists(st.integers(1, 60), min_size=1))
def test_a_stream_cut_at_random(tilts: list[int], cuts: list[int]) -> None:
    messages = [FreeDPacket(1, 0, tilt, 0, 0, 0, 0) for tilt in tilts]
    stream, reader, out, at, n = b"".join(map(bytes, messages)), StreamReader(), [], 0, 0
    while at < len(stream):
        size = cuts[n % len(cuts)]
        out += reader.feed(stream[at : at + size])
        at, n = at + size, n + 1
    assert out == messages


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
