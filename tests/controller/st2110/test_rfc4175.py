"""Packets against FFmpeg's, octet for octet, and every form there and back."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.st2110.rfc4175 import (
    MAX_RTP_OCTETS,
    PacketFrame,
    VideoForm,
    VideoFormatError,
    octets_of,
    packet_layout,
    parse,
    rtp_timestamp,
    stamped,
)
from controller.st2110.sdp import Clock, session
from controller.st2110.sdp import Path as Way
from stage.rate import Rate

FORMS = [VideoForm(64, 36, sampling, bits) for sampling in ("RGB", "YCbCr-4:2:2") for bits in (8, 10, 12)]


def packets_of(data: bytes) -> list[bytes]:
    out, at = [], 0
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        out.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return out


@pytest.mark.parametrize("name", ["rgb8_64x36", "ycbcr422_8_64x36", "ycbcr422_10_48x20"])
def test_the_same_packets_as_ffmpeg(reference: Path, name: str) -> None:
    folder = reference / "output/rfc4175"
    about: dict[str, Any] = next(e for e in json.loads((folder / "index.json").read_text()) if e["name"] == name)
    form = VideoForm(about["width"], about["height"], about["sampling"], about["depth"])
    rows = (folder / f"{name}.rows").read_bytes()
    assert (form.octets, form.group) == (len(rows), (about["pgroup_octets"], about["pgroup_pixels"]))
    layout = packet_layout(form)
    headers = stamped(layout, first_sequence=0, timestamp=90_000, ssrc=0x11223344)
    made = [bytes(h) + rows[a:b] for h, (a, b) in zip(headers, layout.ranges, strict=True)]
    assert made == packets_of((folder / f"{name}.pkts").read_bytes())


def pictures(form: VideoForm, rng: np.random.Generator) -> Any:
    return rng.integers(0, 256, (form.height_px, form.width_px, 4), dtype=np.uint8)


def unpacked(form: VideoForm, octets: bytes) -> np.ndarray[Any, Any]:
    """Codes by plain big-endian bit strings: another way than the code's."""
    bits = np.unpackbits(np.frombuffer(octets, np.uint8))
    words = bits.reshape(-1, form.bits).astype(np.int64)
    weights = 1 << np.arange(form.bits - 1, -1, -1, dtype=np.int64)
    return np.asarray(words @ weights)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_octets_hold_the_codes(form: VideoForm) -> None:
    picture = pictures(form, np.random.default_rng(1))
    out = np.empty(form.octets, np.uint8)
    octets_of(picture, form, out)
    codes = unpacked(form, out.tobytes())
    wanted = picture[..., :3].astype(np.int64)
    if form.sampling == "RGB":
        found = codes.reshape(form.height_px, form.width_px, 3)
        assert (found >> (form.bits - 8) == wanted).all()
        assert found.max() <= 2**form.bits - 1
        return
    cb, y0, cr, y1 = np.moveaxis(codes.reshape(form.height_px, form.width_px // 2, 4), -1, 0)
    luma = np.stack([y0, y1], -1).reshape(form.height_px, form.width_px)
    top = 2**form.bits - 1
    wide = wanted if form.bits == 8 else wanted << (form.bits - 8) | wanted >> (16 - form.bits)
    r, g, b = np.moveaxis(wide / top, -1, 0)
    y = 0.2126 * r + 0.7152 * g + 0.0722 * b
    unit = 2 ** (form.bits - 8)
    assert np.abs(luma - (16 + 219 * y) * unit).max() <= 0.5 + 1e-3 * unit
    pairs = (
        ((b - y) / 1.8556).reshape(form.height_px, -1, 2).mean(-1),
        ((r - y) / 1.5748).reshape(form.height_px, -1, 2).mean(-1),
    )
    for found, pair in zip((cb, cr), pairs, strict=True):
        assert np.abs(found - (128 + 224 * pair) * unit).max() <= 0.5 + 1e-3 * unit


def test_ten_bits_go_through_exactly() -> None:
    rng = np.random.default_rng(2)
    words = rng.integers(0, 1 << 30, (8, 16), dtype=np.uint32)
    form = VideoForm(16, 8, "RGB", 10)
    out = np.empty(form.octets, np.uint8)
    octets_of(words, form, out)
    found = unpacked(form, out.tobytes()).reshape(8, 16, 3)
    assert (found == np.stack([(words >> s) & 1023 for s in (0, 10, 20)], -1)).all()


@settings(max_examples=40, deadline=None)
@given(
    groups=st.integers(1, 400), height=st.integers(1, 40), form=st.sampled_from(FORMS), first=st.integers(0, 2**32 - 1)
)
def test_any_raster_comes_back(groups: int, height: int, form: VideoForm, first: int) -> None:
    form = VideoForm(groups * form.group[1], height, form.sampling, form.bits)
    octets = np.random.default_rng(3).bytes(form.octets)
    layout = packet_layout(form)
    found = bytearray(form.octets)
    headers = stamped(layout, first_sequence=first, timestamp=7, ssrc=9)
    for index, (header, (a, b)) in enumerate(zip(headers, layout.ranges, strict=True)):
        packet = bytes(header) + octets[a:b]
        assert len(packet) <= MAX_RTP_OCTETS
        parsed = parse(packet)
        assert parsed is not None
        assert (parsed.sequence, parsed.timestamp, parsed.ssrc) == ((first + index) & 0xFFFFFFFF, 7, 9)
        assert parsed.marker == (index == layout.packets - 1)
        for row, offset_px, data in parsed.segments:
            assert len(data) % form.group[0] == 0
            at = row * form.row_octets + offset_px // form.group[1] * form.group[0]
            found[at : at + len(data)] = data
    assert bytes(found) == octets


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_packets_of_one_length_hold_the_same_picture(form: VideoForm) -> None:
    picture = pictures(form, np.random.default_rng(6))
    wanted = np.empty(form.octets, np.uint8)
    octets_of(picture, form, wanted)
    frame = PacketFrame(form)
    octets_of(picture, form, frame.places)
    frame.stamp(first_sequence=2**32 - 2, timestamp=11, ssrc=12)
    found = np.zeros_like(wanted)
    for index, packet in enumerate(frame.packets):
        parsed = parse(packet.tobytes())
        assert parsed is not None
        assert (parsed.sequence, parsed.timestamp, parsed.ssrc) == ((2**32 - 2 + index) % 2**32, 11, 12)
        assert parsed.marker == (index == len(frame.packets) - 1)
        [(row, offset_px, data)] = parsed.segments
        at = row * form.row_octets + offset_px // form.group[1] * form.group[0]
        found[at : at + len(data)] = np.frombuffer(data, np.uint8)
    assert (found == wanted).all()
    assert frame.packets.shape[1] <= MAX_RTP_OCTETS


@given(st.binary(max_size=120))
def test_no_packet_is_no_packet(data: bytes) -> None:
    parse(data)
    parse(b"\x80" + data)


@pytest.mark.parametrize(
    "form", [VideoForm(63, 4, "RGB", 10), VideoForm(40_000, 4, "RGB", 8), VideoForm(4, 4, "RGB", 16)], ids=str
)
def test_what_cannot_be_sent_is_told(form: VideoForm) -> None:
    with pytest.raises(VideoFormatError) as caught:
        form.check("outputs/left")
    assert caught.value.problems[0].mend


def test_time_labels_count_from_the_epoch() -> None:
    assert rtp_timestamp(0) == 0
    assert rtp_timestamp(1_000_000_000) == 90_000
    assert rtp_timestamp(10**18) == 10**9 * 90_000 % 2**32


def fields(line: str) -> dict[str, str]:
    return dict(part.strip().partition("=")[::2] for part in line.split(" ", 1)[1].split(";"))


def test_the_description_says_what_the_vectors_say(reference: Path) -> None:
    text = (reference / "output/rfc4175/rgb8_64x36.sdp").read_text()
    theirs = next(line for line in text.splitlines() if line.startswith("a=fmtp"))
    ours = session(
        "golden", VideoForm(64, 36, "RGB", 8), Rate(25), (Way("127.0.0.1", 5004, "127.0.0.1"),), session_id=1
    )
    assert fields(next(line for line in ours.splitlines() if line.startswith("a=fmtp"))) == fields(theirs)


def test_two_ways_are_a_duplicate() -> None:
    ways = (Way("239.1.1.1", 5004, "10.0.0.1"), Way("239.2.1.1", 5004, "10.1.0.1"))
    text = session(
        "left", VideoForm(64, 36), Rate(30000, 1001), ways, session_id=5, clock=Clock("EC-46-70-FF-FE-00-CE-DE")
    )
    assert "a=group:DUP primary secondary" in text
    assert text.count("m=video") == text.count("a=mid:") == text.count("a=source-filter: incl IN IP4 239") == 2
    assert "exactframerate=30000/1001" in text
    assert "ptp=IEEE1588-2008:EC-46-70-FF-FE-00-CE-DE:0" in text
