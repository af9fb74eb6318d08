"""Time code against third-party vectors, and both ways over whole days."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage.rate import RATES, Rate
from stage.timecode import (
    LabelParts,
    TimecodeError,
    drops,
    frame_of,
    frame_of_parts,
    frames_per_day,
    frames_per_label,
    label_rate,
    nominal_fps,
    parts_at,
    timecode_at,
)


def rate_and_drop(name: str) -> tuple[Rate, bool]:
    return RATES[name.removesuffix("NDF").removesuffix("DF")], name.endswith("DF") and not name.endswith("NDF")


def test_vectors(reference: Path) -> None:
    data = json.loads((reference / "tracking/timecode/frames.json").read_text())
    assert len(data["vectors"]) >= 8
    for name, label, one_based in data["vectors"]:
        rate, drop = rate_and_drop(name)
        assert frame_of(rate, label, drop_frame=drop) == one_based - 1
        assert timecode_at(rate, one_based - 1, drop_frame=drop) == label
    for name, label, following in data["next"]:
        rate, drop = rate_and_drop(name)
        assert timecode_at(rate, frame_of(rate, label, drop_frame=drop) + 1, drop_frame=drop) == following
    for name, label, _ in data["normalise"]:
        with pytest.raises(TimecodeError, match="dropped"):
            frame_of(rate_and_drop(name)[0], label)


@given(st.sampled_from(list(RATES.values())), st.integers(0, 10**9), st.booleans())
def test_labels_and_frames_are_one_to_one(rate: Rate, frame: int, drop: bool) -> None:
    label = timecode_at(rate, frame, drop_frame=drop)
    assert frame_of(rate, label, drop_frame=drop) == frame % frames_per_day(rate, drop_frame=drop)


@given(st.sampled_from(["29.97", "59.94"]), st.integers(0, 5_000_000))
def test_drop_labels_follow_the_clock(name: str, frame: int) -> None:
    rate = RATES[name]
    hours, minutes, seconds_frames = timecode_at(rate, frame).split(":")
    seconds, frames = seconds_frames.split(";")
    told = int(hours) * 3600 + int(minutes) * 60 + int(seconds) + int(frames) / (30 if name == "29.97" else 60)
    true = (frame % frames_per_day(rate)) * rate.den / rate.num
    # Up to two (four) labels within ten minutes, and 86 ms over the day; the dropped ones never come up.
    assert abs(told - true) < 0.16
    assert not (int(seconds) == 0 and int(minutes) % 10 and int(frames) < drops(rate))


def test_a_day_of_drop_frame_is_a_day_of_the_clock_less_86_ms() -> None:
    rate = RATES["29.97"]
    assert frames_per_day(rate) == 2_589_408
    assert timecode_at(rate, frames_per_day(rate) - 1) == "23:59:59;29"
    assert timecode_at(rate, frames_per_day(rate)) == "00:00:00;00"


@pytest.mark.parametrize(
    "label", ["", "1:2:3:4", "24:00:00:00", "00:60:00:00", "00:00:00:24", "00:00:00", "aa:00:00:00"]
)
def test_other_texts_are_refused(label: str) -> None:
    with pytest.raises(TimecodeError) as caught:
        frame_of(RATES["24"], label)
    assert caught.value.problems[0].value == label


def every_label(nominal: int, left_out: int) -> np.ndarray:
    """[n, 4]  the labels of a day in order, written down by their definition."""
    hours, minutes, seconds, frames = np.meshgrid(
        np.arange(24), np.arange(60), np.arange(60), np.arange(nominal), indexing="ij"
    )
    labels = np.stack([hours, minutes, seconds, frames], axis=-1).reshape(-1, 4)
    dropped = (labels[:, 2] == 0) & (labels[:, 3] < left_out) & (labels[:, 1] % 10 != 0)
    return labels[~dropped]


@pytest.mark.parametrize("name", ["29.97", "23.976"])
def test_every_frame_of_24_hours_has_its_label_and_its_deadline(name: str) -> None:
    """Numbers, time code and deadlines of a whole day, frame by frame, against the definition."""
    rate = RATES[name]
    labels = every_label(nominal_fps(rate), drops(rate))
    count = frames_per_day(rate)
    assert len(labels) == count
    frames = np.arange(count)
    parts = parts_at(rate, frames)  # type: ignore[arg-type]  # whole days at once
    assert np.array_equal(np.stack(parts, axis=-1), labels)
    deadlines_ns = rate.deadline_ns(0, frames)  # type: ignore[arg-type]
    exact, rest = np.divmod(frames * (rate.den * 1_000_000_000), rate.num)
    assert np.array_equal(deadlines_ns, exact)
    assert rest.max() < rate.num
    assert np.array_equal(rate.frame_at(0, deadlines_ns), frames)  # type: ignore[arg-type]
    assert np.array_equal(rate.frame_at(0, deadlines_ns - 1), frames - 1)  # type: ignore[arg-type]
    lengths_ns = np.diff(deadlines_ns)
    assert set(lengths_ns.tolist()) == {rate.period_ns, rate.period_ns + 1}
    # Drop-frame labels end the day 86.4 ms from the clock's; those of 23.976 run 86.4 s late.
    end_s = rate.deadline_ns(0, count) / 1e9 - 86400
    assert end_s == pytest.approx(-0.0864 if name == "29.97" else 86.4, abs=1e-6)


@pytest.mark.parametrize("rate", RATES.values(), ids=str)
def test_a_day_wraps_in_both_directions(rate: Rate) -> None:
    day = frames_per_day(rate)
    assert timecode_at(rate, day) == timecode_at(rate, 0)
    assert timecode_at(rate, -1) == timecode_at(rate, day - 1)
    last = parts_at(rate, day - 1)
    assert last == (23, 59, 59, nominal_fps(rate) - 1)
    if nominal_fps(rate) > 30:
        # Every frame of a fast show has a label of its own.
        assert len({timecode_at(rate, frame) for frame in range(nominal_fps(rate))}) == nominal_fps(rate)


@given(st.sampled_from(list(RATES.values())), st.integers(-(10**12), 10**12))
def test_frames_deadlines_and_labels_agree_both_ways(rate: Rate, frame: int) -> None:
    """From a frame to its instant and back, to its label and back, forwards and in reverse."""
    assert rate.frame_at(7, rate.deadline_ns(7, frame)) == frame
    parts = parts_at(rate, frame)
    assert frame_of_parts(rate, parts) == frame % frames_per_day(rate)
    assert frame_of(rate, timecode_at(rate, frame)) == frame % frames_per_day(rate)
    following = parts_at(rate, frame + 1)
    # Labels only ever go on: by one, over the dropped ones, or around the day.
    assert following > parts or following == (0, 0, 0, 0)


@given(st.sampled_from(list(RATES.values())), st.integers(0, 10**9))
def test_a_slower_label_stands_for_whole_frames(rate: Rate, frame: int) -> None:
    labels = label_rate(rate)
    each = frames_per_label(rate, labels)
    assert labels.num * rate.den * each == rate.num * labels.den
    assert frames_per_day(rate) == each * frames_per_day(labels)
    # The label of the frame's first companion tells the same hours, minutes and seconds.
    own, theirs = parts_at(rate, frame - frame % each), parts_at(labels, frame // each)
    assert (own[:3], own.frames) == (theirs[:3], theirs.frames * each)


def test_labels_that_do_not_fit_the_show_are_refused() -> None:
    assert label_rate(RATES["120"]) == Rate(30)
    assert label_rate(RATES["120"], 24) == Rate(24)
    assert label_rate(RATES["59.94"]) == RATES["29.97"]
    with pytest.raises(ValueError, match="use 25"):
        label_rate(RATES["50"], 24)
    with pytest.raises(TimecodeError, match="out of range"):
        frame_of_parts(RATES["25"], LabelParts(0, 0, 0, 25))
    with pytest.raises(TimecodeError, match="dropped"):
        frame_of_parts(RATES["59.94"], LabelParts(0, 1, 0, 3))
