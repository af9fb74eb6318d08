"""Time code jam: labels for frames, however the time code misbehaves (row K1: jam, reverse, stop)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.references.jam import AGREE, SLIP_LABELS, Jam, JamState
from runtime.references.labels import HeardLabel
from stage.rate import RATES, Rate
from stage.timecode import LabelParts, frames_per_day, frames_per_label, label_rate, parts_at, timecode_at


class Source:
    """A time code beside a show: label n begins with frame n * each - offset of the show."""

    def __init__(self, show: str, *, offset: int = 0, exact: bool = True, labels_per_s: int | None = None) -> None:
        self.rate = RATES[show]
        self.labels = label_rate(self.rate, labels_per_s)
        self.each = frames_per_label(self.rate, self.labels)
        self.offset, self.exact = offset, exact
        self.drop = "1001" in str(self.rate) and self.labels.num // self.labels.den > 25

    def label(self, number: int, *, drop: bool | None = None, reverse: bool = False) -> tuple[HeardLabel, int]:
        drop = self.drop if drop is None else drop
        frame = number * self.each - self.offset
        t_ns = self.rate.deadline_ns(0, frame)
        parts = parts_at(self.labels, number, drop_frame=drop)
        return HeardLabel(parts, t_ns, 0, drop, reverse, self.exact), frame

    def run(self, first: int, count: int) -> Iterator[tuple[HeardLabel, int]]:
        for number in range(first, first + count):
            yield self.label(number)


def feed(jam: Jam, heard: Iterator[tuple[HeardLabel, int]], *, late: float = 0.0, rolling: bool = False) -> None:
    for label, frame in heard:
        jam.hear(label, frame + late, rolling=rolling)


@pytest.mark.parametrize(("show", "labels_per_s"), [(name, None) for name in RATES] + [("120", 24), ("48", 24)])
def test_a_few_agreeing_labels_name_every_frame(show: str, labels_per_s: int | None) -> None:
    source = Source(show, offset=-777, labels_per_s=labels_per_s)
    jam = Jam(source.rate, labels_per_s=labels_per_s)
    feed(jam, source.run(5000, AGREE - 1))
    assert (jam.state, jam.offset) == (JamState.WAITING, None)
    feed(jam, source.run(5000 + AGREE - 1, 1))
    assert jam.state is JamState.JAMMED
    for number in (5000, 5100, 200_000):
        label, frame = source.label(number)
        named = jam.timecode(frame)
        expected = timecode_at(source.labels, number, drop_frame=source.drop)
        assert named[:8] == expected[:8]
        assert int(named[9:]) == label.parts.frames * source.each
    day = frames_per_day(source.rate, drop_frame=source.drop)
    assert jam.timecode(1234 + day) == jam.timecode(1234)


def test_wrong_labels_one_by_one_change_nothing() -> None:
    source = Source("25", offset=12)
    jam = Jam(source.rate)
    feed(jam, source.run(100, 20))
    before = jam.offset
    for i in range(30):
        wrong, _ = source.label(7 * i * i + 3000)
        _, frame = source.label(120 + 2 * i)
        jam.hear(wrong, frame)
        feed(jam, source.run(121 + 2 * i, 1))
    assert (jam.offset, jam.state, jam.jumps) == (before, JamState.JAMMED, 0)
    assert jam.refused["alone"] == 30


def test_a_jump_is_taken_over_outside_a_take_and_after_it() -> None:
    source = Source("24", offset=0)
    jam = Jam(source.rate)
    feed(jam, source.run(100, 10))
    source.offset = 50_000
    feed(jam, source.run(50_111, 10))
    assert (jam.jumps, jam.offset, jam.state) == (1, 50_000, JamState.JAMMED)
    source.offset = 90_000
    feed(jam, source.run(90_130, 30), rolling=True)
    assert (jam.jumps, jam.offset, jam.state, jam.fault) == (1, 50_000, JamState.FLYWHEEL, "jumped")
    jam.tick(10**12, rolling=True)
    assert jam.offset == 50_000
    jam.tick(10**12, rolling=False)
    assert (jam.jumps, jam.offset, jam.waiting_offset, jam.fault) == (2, 90_000, None, "")


def test_loss_is_carried_by_the_flywheel_until_labels_come_back() -> None:
    source = Source("29.97", offset=3)
    jam = Jam(source.rate)
    feed(jam, source.run(1000, 30))
    last = jam.last_ns
    jam.tick(last + jam.silent_after_ns)
    assert jam.state is JamState.JAMMED
    jam.tick(last + jam.silent_after_ns + 1)
    assert jam.state is JamState.FLYWHEEL
    _, frame = source.label(9000)
    assert jam.timecode(frame) == timecode_at(source.rate, 9000)
    feed(jam, source.run(9000, 1))
    assert (jam.state, jam.jumps) == (JamState.JAMMED, 0), "the same time code goes on at once"


def test_backwards_and_standing_still_are_faults_and_no_labels() -> None:
    source = Source("25")
    jam = Jam(source.rate)
    feed(jam, source.run(100, 10))
    for number in range(109, 60, -1):
        label, _ = source.label(number, reverse=True)
        jam.hear(label, 300 - number)
    assert (jam.fault, jam.offset) == ("reverse", 0)
    # Senders without a direction show it by their numbers.
    other = Source("25", exact=False)
    jam = Jam(other.rate)
    feed(jam, other.run(100, 10))
    for step, number in enumerate(range(108, 60, -1)):
        label, _ = other.label(number)
        jam.hear(label, 110 + step)
    assert (jam.fault, jam.offset) == ("reverse", 0)
    still, _ = other.label(60)
    for step in range(20):
        jam.hear(HeardLabel(still.parts, step * 40_000_000 + 10**10, exact=False), 300 + step)
    assert jam.fault == "stopped"
    feed(jam, other.run(400, 2))
    assert (jam.fault, jam.state) == ("", JamState.JAMMED)


@pytest.mark.parametrize("repeats", [2, 3])
def test_senders_that_repeat_each_label_are_understood(repeats: int) -> None:
    source = Source("30", exact=False, offset=5)
    jam = Jam(source.rate)
    for label, frame in source.run(700, 30):
        for again in range(repeats):
            jam.hear(label, frame + again / repeats)
    assert (jam.state, jam.offset, jam.fault) == (JamState.JAMMED, 5, "")


@given(st.floats(-0.45, 0.95), st.lists(st.floats(-0.45, 0.45), min_size=40, max_size=80))
def test_jitter_of_less_than_half_a_frame_never_moves_a_label(late: float, jitter: list[float]) -> None:
    source = Source("24", exact=False, offset=100)
    jam = Jam(source.rate)
    offsets = set()
    for (label, frame), shake in zip(source.run(200, len(jitter)), jitter, strict=True):
        jam.hear(label, frame + late + shake)
        if jam.offset is not None:
            offsets.add(jam.offset)
    assert len(offsets) <= 1
    assert offsets <= {98, 99, 100, 101}


def test_labels_that_drift_by_a_frame_slip_after_a_while_but_not_in_a_take() -> None:
    source = Source("25", exact=False)
    jam = Jam(source.rate)
    feed(jam, source.run(0, 10))
    feed(jam, source.run(10, 2 * SLIP_LABELS), late=1.0, rolling=True)
    assert (jam.offset, jam.slips) == (0, 0)
    feed(jam, source.run(200, 2), late=1.0)
    assert jam.slips == 1
    assert jam.timecode(1) == "00:00:00:00"


def test_a_time_code_of_another_rate_is_refused_by_name() -> None:
    show = Jam(RATES["25"])
    show.hear(HeardLabel(LabelParts(1, 0, 0, 3), 0, 30), 0)
    assert (show.fault, show.refused) == ("rate", {"rate": 1})
    # LTC does not tell its rate: frame 29 does.
    show.hear(HeardLabel(LabelParts(1, 0, 0, 29), 0), 0)
    assert (show.fault, show.refused) == ("rate", {"rate": 1, "range": 1})
    strict = Jam(RATES["29.97"], drop_frame=True)
    strict.hear(HeardLabel(LabelParts(1, 0, 0, 3), 0, 30, drop_frame=False), 0)
    assert (strict.fault, strict.refused) == ("drop_frame", {"drop_frame": 1})
    with pytest.raises(ValueError, match="use 25"):
        Jam(RATES["50"], labels_per_s=30)


def test_without_a_setting_the_time_code_says_whether_frames_are_dropped() -> None:
    source = Source("29.97")
    jam = Jam(source.rate)
    assert jam.timecode(1800) == "00:01:00;02"
    for number in range(100, 110):
        label, frame = source.label(number, drop=False)
        jam.hear(label, frame)
    assert jam.drop_frame is False
    assert jam.timecode(1800) == "00:01:00:00"


def test_a_successor_keeps_the_labels_until_they_are_confirmed() -> None:
    source = Source("24", offset=-500)
    jam = Jam(source.rate)
    jam.restore(-500)
    assert jam.state is JamState.FLYWHEEL
    assert jam.timecode(500 + 24) == "00:00:01:00"
    feed(jam, source.run(90, 1))
    assert jam.state is JamState.JAMMED


def test_labels_wrap_at_midnight() -> None:
    source = Source("29.97", offset=1000)
    jam = Jam(source.rate)
    day = frames_per_day(source.rate)
    feed(jam, source.run(day - 5, 10))
    assert (jam.state, jam.offset, jam.jumps, jam.refused.total()) == (JamState.JAMMED, 1000, 0, 0)
    assert jam.timecode(day - 1000 - 1) == "23:59:59;29"
    assert jam.timecode(day - 1000) == "00:00:00;00"
    assert isinstance(source.rate, Rate)
