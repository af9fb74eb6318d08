"""MIDI time code: a third party's messages, forwards and backwards, with other traffic in between; broken twins."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.references.labels import HeardLabel
from runtime.references.mtc import MtcDecoder, full_frame, quarter_frames
from stage.rate import RATES, Rate
from stage.timecode import LabelParts, frame_of, frames_per_day, parts_at, timecode_at

KINDS = [("24", 24, False), ("25", 25, False), ("29.97", 30, True), ("30", 30, False)]


def play(
    decoder: MtcDecoder, messages: list[bytes], *, t_ns: int = 0, quarter_ns: int = 10_000_000
) -> list[HeardLabel]:
    found: list[HeardLabel] = []
    for index, message in enumerate(messages):
        found += decoder.feed(message, t_ns + index * quarter_ns)
    return found


def test_a_third_partys_messages(reference: Path) -> None:
    (told,) = json.loads((reference / "tracking/timecode/mtc.json").read_text())["messages"]
    rate = RATES[told["rate"]]
    messages = [bytes.fromhex(text) for text in told["quarter_frames"]]
    expected = parts_at(rate, frame_of(rate, told["tc"]))
    decoder = MtcDecoder()
    (label,) = play(decoder, messages, t_ns=1000)
    assert (label.parts, label.labels_per_s, label.drop_frame, label.reverse) == (expected, 25, False, False)
    # The label names the frame that piece 0 began: when piece 7 is there, two frames less a quarter have passed.
    assert label.t_ns == 1000
    assert timecode_at(rate, frame_of(rate, told["tc"]) + 2) == "15:03:47:04"
    assert quarter_frames(expected, labels_per_s=25) == messages
    assert decoder.feed(bytes.fromhex(told["full_frame"]), 5) == [], "a machine that was located does not run"
    assert decoder.located is not None
    assert decoder.located.parts == expected
    assert full_frame(expected, labels_per_s=25).hex() == told["full_frame"]
    assert decoder.refused == {}


def test_broken_twins_are_counted(reference: Path) -> None:
    (told,) = json.loads((reference / "tracking/timecode/mtc.json").read_text())["messages"]
    messages = [bytes.fromhex(text) for text in told["quarter_frames"]]
    lost = MtcDecoder()
    assert play(lost, messages[:3] + messages[4:]) == []
    assert lost.refused == {"order": 1}
    impossible = MtcDecoder()
    assert play(impossible, [*messages[:6], b"\xf1\x6f", b"\xf1\x73"]) == [], "31 hours"
    assert impossible.refused == {"range": 1}
    cut = MtcDecoder()
    assert play(cut, [messages[0], b"\xf1", *messages[1:]]) != [], "a byte that got lost is followed by a new message"
    assert cut.refused == {"short": 1}
    short = MtcDecoder()
    assert short.feed(bytes.fromhex("f07f7f01012f0302f7"), 0) == []
    assert (short.refused, short.located) == ({"short": 1}, None)
    broken_off = MtcDecoder()
    assert broken_off.feed(bytes.fromhex("f07f7f01012f") + messages[0], 0) == []
    assert broken_off.refused == {"short": 1}


@given(
    st.sampled_from(KINDS),
    st.integers(0, 3_000_000),
    st.integers(1, 6),
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 47), st.sampled_from([b"\xf8", b"\xfe", b"\x90\x40\x7f", b"\xf0\x7e\x01\xf7"]))),
    st.integers(1, 5),
)
def test_labels_of_any_kind_in_any_portions(
    kind: tuple[str, int, bool],
    first: int,
    count: int,
    reverse: bool,
    others: list[tuple[int, bytes]],
    portion: int,
) -> None:
    """Two frames a label; clock ticks, notes and other machines' messages stand in between."""
    name, labels_per_s, drop = kind
    rate = RATES[name]
    day = frames_per_day(rate)
    numbers = [(first + 2 * i) % day for i in range(count)]
    if reverse:
        numbers.reverse()
    messages: list[bytes] = []
    for number in numbers:
        pieces = quarter_frames(parts_at(rate, number), labels_per_s=labels_per_s, drop_frame=drop)
        messages += pieces[::-1] if reverse else pieces
    for at, other in others:
        messages.insert(min(at, len(messages)), other)
    stream = b"".join(messages)
    decoder = MtcDecoder()
    found: list[HeardLabel] = []
    for at in range(0, len(stream), portion):
        found += decoder.feed(stream[at : at + portion], at)
    assert [label.parts for label in found] == [parts_at(rate, number) for number in numbers]
    # One label alone does not tell which way it runs until its second piece.
    assert {(label.labels_per_s, label.drop_frame, label.reverse) for label in found} == {(labels_per_s, drop, reverse)}
    assert decoder.refused == {}


@given(st.binary(max_size=200))
def test_any_bytes_at_all(data: bytes) -> None:
    for label in MtcDecoder().feed(data, 0):
        assert label.parts.hours < 24


def test_a_change_of_direction_needs_a_whole_label() -> None:
    rate: Rate = RATES["24"]
    forward = quarter_frames(parts_at(rate, 100), labels_per_s=24)
    backward = quarter_frames(parts_at(rate, 98), labels_per_s=24)[::-1]
    decoder = MtcDecoder()
    found = play(decoder, forward + forward[:3] + backward + backward)
    assert [label.reverse for label in found] == [False, True, True]
    assert decoder.refused["order"] >= 1


def test_other_label_rates_do_not_exist() -> None:
    with pytest.raises(ValueError, match="24, 25 or 30"):
        quarter_frames(LabelParts(0, 0, 0, 0), labels_per_s=48)
