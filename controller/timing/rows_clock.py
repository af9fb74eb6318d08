"""Rows of the fault matrix about clocks: time code over a day, a host whose time of day is set, leap seconds, 2038."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from controller.timing.played import SETTLED_S, Played, play
from controller.timing.settings import configuration
from controller.timing.virtual import START_NS, Plot, VirtualShow
from runtime.clock import ASSUMED_TAI_MINUS_UTC_S, NS_PER_S
from stage.rate import RATES, Rate
from stage.timecode import drops, frame_of, frames_per_day, nominal_fps, timecode_at

if TYPE_CHECKING:
    from controller.timing.rows import Stage

LABEL_RATES: Final = ("23.976", "29.97", "59.94")
STRIDE: Final = 97
Y2038_UNIX_S: Final = 2**31


def host_clock_set(stage: Stage) -> float:
    """T6: the host's time of day is stepped, forwards and back: pacing follows the monotonic clock alone."""
    end_s = SETTLED_S + 8.0
    steps = [(SETTLED_S + 1.0, 3600), (SETTLED_S + 3.0, -7200), (SETTLED_S + 5.0, 400 * 86_400)]

    def set_clock(show: VirtualShow) -> None:
        for at_s, by_s in steps:
            show.at(at_s, lambda by_s=by_s: show.clock.step_tai(by_s * NS_PER_S))  # type: ignore[misc]  # a lambda with defaults

    played = play(stage.plot(), end_s, set_clock)
    _even(stage, "T6", played, "the time of day is set by hours and days")
    order = np.diff(np.array(played.recording.frame, dtype=np.int64))
    stage.judge.holds("order", bool((order == 1).all()), "T6", "frames go on counting one by one")
    stage.kept("T6", played)
    return end_s


def _even(stage: Stage, row: str, played: Played, name: str) -> None:
    """Every frame is as long as the rate says."""
    rate = played.stage.rate
    t_ns = np.array(played.recording.t_present_ns, dtype=np.int64)
    frame = np.array(played.recording.frame, dtype=np.int64)
    steps, frames = np.diff(t_ns), np.diff(frame)
    exact = frames * rate.den * (NS_PER_S / rate.num)
    # Deadlines are whole nanoseconds: one of rounding is no drift.
    off = np.maximum(np.abs(steps - exact) - 1.0, 0.0) / np.maximum(exact, 1.0)
    stage.judge.limit("pace_ppm", float(off.max()) * 1e6, row, f"{name}: a frame's length beside the rate's")


def day_of_labels(stage: Stage) -> float:
    """K1: over a day every label is the next one, none that is dropped appears, and each leads back to its frame."""
    for name in LABEL_RATES:
        rate = RATES[name]
        wrong = _wrong_labels(rate)
        words = f"{name}: labels around every minute of a day, and every {STRIDE}th between, lead back to their frame"
        stage.judge.holds("labels", wrong == 0, "K1", words, float(wrong))
        last = frames_per_day(rate) - 1
        whole_ns = rate.deadline_ns(0, last + 1)
        exact = (last + 1) * rate.den * NS_PER_S
        good = whole_ns == exact // rate.num and rate.frame_at(0, whole_ns) == last + 1
        stage.judge.holds("deadlines", good, "K1", f"{name}: the day's last deadline is exact to the nanosecond")
    return 0.0


def next_label(rate: Rate, label: str) -> str:
    """The label after one, worked out by counting as a clock does: another way than the product's."""
    mark = ";" if ";" in label else ":"
    hours, minutes, seconds, frames = (int(part) for part in label.replace(";", ":").split(":"))
    frames += 1
    if frames == nominal_fps(rate):
        frames, seconds = 0, seconds + 1
    if seconds == 60:
        seconds, minutes = 0, minutes + 1
        if minutes % 10:
            frames += drops(rate)
    if minutes == 60:
        minutes, hours = 0, hours + 1
    digits = 3 if nominal_fps(rate) > 100 else 2
    return f"{hours % 24:02d}:{minutes:02d}:{seconds:02d}{mark}{frames:0{digits}d}"


def _wrong_labels(rate: Rate) -> int:
    day, nominal = frames_per_day(rate), nominal_fps(rate)
    wrong = 0
    for minute in range(24 * 60):
        # The first frame of the minute, as near as makes no difference.
        middle = minute * 60 * nominal - drops(rate) * (minute - minute // 10)
        label = timecode_at(rate, middle - 3)
        for frame in range(middle - 2, middle + 5):
            expected = next_label(rate, label)
            label = timecode_at(rate, frame)
            wrong += label != expected or frame_of(rate, label) != frame % day
    for frame in range(0, day, STRIDE):
        wrong += frame_of(rate, timecode_at(rate, frame)) != frame
    return wrong


def drop_labels(stage: Stage) -> float:
    """K1: a show that runs over midnight of its time code, and over a minute that drops labels."""
    seconds = 0.0
    for name in LABEL_RATES[:2]:
        rate = RATES[name]
        settings = replace(stage.settings, rate=rate)
        for what, frame in (("midnight", frames_per_day(rate)), ("a dropped minute", 60 * nominal_fps(rate))):
            # Frame 0 is at the epoch of TAI: the show begins five seconds before the label.
            tai_ns = rate.deadline_ns(0, 4000 * frames_per_day(rate) + frame) - 5 * NS_PER_S
            plot = replace(
                stage.plot(),
                loaded=configuration(settings),
                smpte=True,
                tai_minus_monotonic_ns=tai_ns - START_NS,
            )
            played = play(plot, 8.0)
            seconds += 8.0
            labels = played.recording.timecode
            frames = np.array(played.recording.frame, dtype=np.int64)
            good = all(
                after == next_label(rate, before)
                for before, after, step in zip(labels, labels[1:], np.diff(frames), strict=False)
                if step == 1
            )
            good = good and bool((np.diff(frames) == 1).all()) and len(labels) > 100
            stage.judge.holds("labels", good, "K1", f"{name}: the plans' labels over {what} follow each other")
            _even(stage, "K1", played, f"{name} over {what}")
            stage.kept("K1", played)
    return seconds


def leap_second(stage: Stage) -> float:
    """K2: a leap second is put in, and one is taken out, while the show runs by the SMPTE epoch."""
    end_s = SETTLED_S + 10.0

    def leap(show: VirtualShow) -> None:
        show.at(SETTLED_S + 1.0, lambda: show.clock.step_tai(NS_PER_S))
        show.at(SETTLED_S + 5.0, lambda: show.clock.step_tai(-NS_PER_S))

    played = play(replace(stage.plot(), smpte=True), end_s, leap)
    _even(stage, "K2", played, "a leap second told wrongly")
    stage.kept("K2", played)
    return end_s


def end_of_2038(stage: Stage) -> float:
    """K2: the second in which 32-bit clocks end, and a change to summer time, pass unnoticed."""
    end_s = SETTLED_S + 4.0
    tai_ns = (Y2038_UNIX_S + ASSUMED_TAI_MINUS_UTC_S) * NS_PER_S - int((SETTLED_S + 1.0) * NS_PER_S)
    plot: Plot = replace(stage.plot(), smpte=True, tai_minus_monotonic_ns=tai_ns - START_NS)
    played = play(plot, end_s)
    _even(stage, "K2", played, "19 January 2038")
    labels = np.array(played.recording.tai_ns, dtype=np.int64) - np.array(played.recording.t_present_ns, dtype=np.int64)
    words = "TAI labels keep their distance from the monotonic clock"
    stage.judge.holds("tai", bool(np.ptp(labels) == 0), "K2", words)
    stage.kept("K2", played)
    return end_s
