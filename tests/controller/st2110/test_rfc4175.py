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

from controller.st2110.frame import PacketFrame, chosen_packing
from controller.st2110.rfc4175 import (
    BLOCK_OCTETS,
    MAX_RTP_OCTETS,
    Packing,
    VideoForm,
    VideoFormatError,
    packet_layout,
    parse,
    rtp_timestamp,
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
    frame = PacketFrame(packet_layout(form))
    frame.octets[:] = np.frombuffer(rows, np.uint8)
    frame.stamp(first_sequence=0, timestamp=90_000, ssrc=0x11223344)
    assert left(frame) == packets_of((folder / f"{name}.pkts").read_bytes())


def left(frame: PacketFrame) -> list[bytes]:
    """Packets as the kernel cuts them from runs."""
    out: list[bytes] = []
    for run in frame.runs:
        data = b"".join(run.stretches)
        made = [data[at : at + run.size] for at in range(0, len(data), run.size)]
        assert len(made) == run.count
        out += made
    assert out == [frame.packet(index) for index in range(frame.layout.packets)]
    return out


@settings(max_examples=40, deadline=None)
@given(
    groups=st.integers(1, 400),
    height=st.integers(1, 40),
    form=st.sampled_from(FORMS),
    packing=st.sampled_from(["general", "rows", "block"]),
    first=st.integers(0, 2**32 - 1),
)
def test_any_raster_comes_back(groups: int, height: int, form: VideoForm, packing: Packing, first: int) -> None:
    form = VideoForm(groups * form.group[1], height, form.sampling, form.bits)
    octets = np.random.default_rng(3).bytes(form.octets)
    frame = PacketFrame(packet_layout(form, 96, packing), run_packets=12)
    frame.octets[:] = np.frombuffer(octets, np.uint8)
    frame.stamp(first_sequence=first, timestamp=7, ssrc=9)
    found = bytearray(form.octets)
    packets = left(frame)
    for index, packet in enumerate(packets):
        assert len(packet) <= MAX_RTP_OCTETS
        parsed = parse(packet)
        assert parsed is not None
        assert (parsed.sequence, parsed.timestamp, parsed.ssrc) == ((first + index) & 0xFFFFFFFF, 7, 9)
        assert parsed.marker == (index == len(packets) - 1)
        if packing == "block" and not parsed.marker and groups * form.group[0] > 50:
            assert sum(len(data) for _, _, data in parsed.segments) == BLOCK_OCTETS
        assert packing != "rows" or len(parsed.segments) == 1
        for row, offset_px, data in parsed.segments:
            assert len(data) % form.group[0] == 0
            at = row * form.row_octets + offset_px // form.group[1] * form.group[0]
            found[at : at + len(data)] = data
    assert bytes(found) == octets


def test_packets_of_one_length_leave_in_few_calls() -> None:
    """Full packets of 10 bits change their length at every line end; equal parts of rows do not."""
    ten, eight = VideoForm(1920, 1080, "RGB", 10), VideoForm(1920, 1080, "RGB", 8)
    assert (chosen_packing(ten, "auto"), chosen_packing(eight, "auto")) == ("rows", "general")
    assert chosen_packing(ten, "general") == "general"
    layout = packet_layout(ten, packing="rows")
    assert layout.packets == 6 * 1080
    runs = PacketFrame(layout, run_packets=12).runs
    assert len(runs) == layout.packets // 12
    full = packet_layout(ten)
    assert 3 * len(runs) < len(PacketFrame(full, run_packets=12).runs)


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
        "left", VideoForm(64, 36), Rate(30000, 1001), ways, session_id=5, clocks=(Clock("EC-46-70-FF-FE-00-CE-DE"),)
    )
    assert "a=group:DUP primary secondary" in text
    assert text.count("m=video") == text.count("a=mid:") == text.count("a=source-filter: incl IN IP4 239") == 2
    assert "exactframerate=30000/1001" in text
    assert "ptp=IEEE1588-2008:EC-46-70-FF-FE-00-CE-DE:0" in text
