"""stYpe HF and A5: layout, conventions, lens, packet numbers as time, broken twins."""

from __future__ import annotations

import struct
from math import radians, tan
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage.frames import pan_tilt_roll_from_rotation
from stage.rate import Rate
from tracking.config import Source
from tracking.mapping import mapping_of
from tracking.protocols.stype import A5_SIZE, HF_SIZE, Assembler, StypePacket, parse
from tracking.sample import Refusal, Sample, Stamp

SOURCE: dict[str, Any] = {"protocol": "stype", "listen": "127.0.0.1:6301", "camera": "a"}
FLOATS = (1.25, 1.75, -2.0, 30.0, -10.0, 5.0, 60.0, 16 / 9, 0.5, 0.25, 1e-4, -2e-6, 0.05, -0.02, 9.59)


def hf(floats: tuple[float, ...] = FLOATS, number: int = 7) -> bytes:
    """An HF packet put together by hand: header, command, time code, number, fifteen floats, sum."""
    body = bytes((0x0F, 3, 0xAA, 0xBB, 0xCC, number)) + struct.pack("<15f", *floats)
    return body + bytes((sum(body) & 0xFF,))


def a5() -> bytes:
    body = bytes((0xA5,)) + struct.pack("<13f", *FLOATS[:7], 36.0, *FLOATS[8:9], *FLOATS[10:14])
    return body + bytes((sum(body) & 0xFF,))


def one(datagram: bytes) -> StypePacket:
    (packet,) = parse(datagram)
    assert isinstance(packet, StypePacket)
    return packet


def sample_of(packet: StypePacket, picture_mm: tuple[float, float] | None = None, **section: Any) -> Sample:
    mapping = mapping_of("t", Source.model_validate(SOURCE | {"stype": section}), picture_mm=picture_mm)
    (sample,) = packet.samples(mapping, Stamp())
    assert isinstance(sample, Sample)
    return sample


def test_layouts() -> None:
    assert (len(hf()), len(a5())) == (HF_SIZE, A5_SIZE) == (67, 54)
    packet = one(hf())
    assert (packet.format, packet.command, packet.timecode, packet.number) == ("hf", 3, b"\xaa\xbb\xcc", 7)
    assert (packet.x_m, packet.y_m, packet.z_m) == (1.25, 1.75, -2.0)
    assert (packet.pan_deg, packet.tilt_deg, packet.roll_deg, packet.fov_x_deg) == (30.0, -10.0, 5.0, 60.0)
    assert (packet.focus, packet.zoom) == (0.5, 0.25)
    assert (packet.aspect, packet.sensor_width_mm) == (pytest.approx(16 / 9), pytest.approx(9.59))
    assert (packet.k1, packet.k2) == (pytest.approx(1e-4), pytest.approx(-2e-6))
    assert (packet.center_x, packet.center_y) == (pytest.approx(0.05), pytest.approx(-0.02))
    assert bytes(packet) == hf()
    packet = one(a5())
    assert (packet.format, packet.fov_y_deg, packet.focus, packet.sequence) == ("a5", 36.0, 0.5, None)
    assert (packet.k1, packet.center_y) == (pytest.approx(1e-4), pytest.approx(-0.02))
    assert bytes(packet) == a5()


def test_broken_twins() -> None:
    for whole in (hf(), a5()):
        for place in range(len(whole)):
            twin = bytearray(whole)
            twin[place] ^= 0x40
            (item,) = parse(bytes(twin))
            assert isinstance(item, Refusal), place
            assert item.reason == ("checksum" if place else "magic")
        for twin_of, reason in ((whole[:-1], "short"), (whole + b"\0", "long"), (b"", "short")):
            (item,) = parse(twin_of)
            assert isinstance(item, Refusal)
            assert item.reason == reason
    (item,) = parse(hf((float("inf"), *FLOATS[1:])))
    assert item == Refusal("nan", "a number is not finite")
    (item,) = parse(hf((*FLOATS[:4], 95.0, *FLOATS[5:])))
    assert item == Refusal("range", "tilt 95.000 degrees")


def test_checksum_settings() -> None:
    zero, wrong = hf()[:-1] + b"\0", hf()[:-1] + bytes(((hf()[-1] + 1) & 0xFF,))
    for datagram, setting in ((zero, "zero"), (zero, "ignore"), (wrong, "ignore")):
        (packet,) = parse(datagram, checksum=setting)
        assert isinstance(packet, StypePacket)
        assert bytes(packet) == datagram
    assert isinstance(parse(wrong, checksum="zero")[0], Refusal)


@pytest.mark.parametrize(
    ("convention", "angles", "place"),
    [
        ("right_hand", (30.0, -10.0, -5.0), (1.25, 2.0, 1.75)),
        ("hf_client", (30.0, 10.0, -5.0), (1.25, 2.0, 1.75)),
        ("a5_client", (-30.0, -10.0, -5.0), (1.25, 2.0, 1.75)),
        ("unreal_client", (-30.0, -10.0, 5.0), (-2.0, 1.25, 1.75)),
    ],
)
def test_conventions(convention: str, angles: tuple[float, ...], place: tuple[float, ...]) -> None:
    pose = sample_of(one(hf()), convention=convention).stage_from_camera
    np.testing.assert_allclose(pan_tilt_roll_from_rotation(pose), angles, atol=1e-9)
    np.testing.assert_allclose(pose[:3, 3], place)


def test_the_lens_on_the_cameras_own_sensor() -> None:
    own = sample_of(one(hf())).lens
    assert own is not None
    assert own.focal_length_mm == pytest.approx(9.59 / 2 / tan(radians(30.0)), rel=1e-6)
    assert own.radial == pytest.approx((1e-4, 0.0, -2e-6))
    assert (own.zoom_raw, own.focus_raw, own.focus_distance_m) == (0.25, 0.5, None)
    assert own.projection_offset_mm is None
    wide = sample_of(one(hf()), (36.0, 20.25), center_shift="right_up").lens
    assert wide is not None
    assert wide.focal_length_mm == pytest.approx(18.0 / tan(radians(30.0)), rel=1e-6)
    scale = 36.0 / 9.59
    assert wide.radial == pytest.approx((1e-4 / scale**2, 0.0, -2e-6 / scale**4), rel=1e-5)
    assert wide.projection_offset_mm == pytest.approx((0.05 * scale, 0.02 * scale), rel=1e-5)
    # A5 knows no sensor: with the camera's own the field of view counts, without it nothing does.
    assert sample_of(one(a5())).lens.focal_length_mm is None  # type: ignore[union-attr]
    lens = sample_of(one(a5()), (36.0, 20.25)).lens
    assert lens is not None
    assert lens.focal_length_mm == pytest.approx(18.0 / tan(radians(30.0)), rel=1e-6)
    assert lens.radial is None


def test_what_focus_means() -> None:
    near, far = one(hf()), one(hf((*FLOATS[:8], 2.5, *FLOATS[9:])))
    for packet, setting, raw, distance in (
        (near, "auto", 0.5, None),
        (near, "distance", None, 0.5),
        (far, "auto", None, 2.5),
        (far, "normalised", 2.5, None),
    ):
        lens = sample_of(packet, focus=setting).lens
        assert lens is not None
        assert (lens.focus_raw, lens.focus_distance_m) == (raw, distance)


def test_the_packet_number_as_time() -> None:
    assembler = Assembler(rate=Rate(50))
    times = []
    for number in (250, 251, 255, 1, 0, 2):  # losses, a wrap, and one that comes late
        (packet,) = assembler.feed(hf(number=number))
        assert isinstance(packet, StypePacket)
        assert packet.t_source_ns is not None
        times.append(packet.t_source_ns // 20_000_000)
    assert times == [0, 1, 5, 7, 6, 8]
    (packet,) = Assembler().feed(hf())
    assert isinstance(packet, StypePacket)
    assert packet.t_source_ns is None
    assert isinstance(Assembler(rate=Rate(50)).feed(b"")[0], Refusal)


real = st.floats(-(2.0**100), 2.0**100, width=32)
angle = st.floats(-90, 90, width=32)


@given(st.tuples(*[real] * 4), angle, st.tuples(*[real] * 10), st.binary(min_size=5, max_size=5))
def test_round_trip(before: tuple[float, ...], tilt: float, after: tuple[float, ...], head: bytes) -> None:
    body = b"\x0f" + head + struct.pack("<15f", *before, tilt, *after)
    datagram = body + bytes((sum(body) & 0xFF,))
    assert bytes(one(datagram)) == datagram
    body = b"\xa5" + struct.pack("<13f", *before, tilt, *after[:8])
    datagram = body + bytes((sum(body) & 0xFF,))
    assert bytes(one(datagram)) == datagram
