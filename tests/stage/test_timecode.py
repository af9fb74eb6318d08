"""Time code against third-party vectors, and both ways over whole days."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage.rate import RATES, Rate
from stage.timecode import TimecodeError, drops, frame_of, frames_per_day, timecode_at


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
