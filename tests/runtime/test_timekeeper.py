"""A show's time from outside: LTC that drifts, stops, jumps and runs backwards; MTC and Art-Net; system and free."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.clock import NS_PER_MS, NS_PER_S, SystemClock, VirtualClock
from runtime.config import TimeConfig
from runtime.frame_clock import ClockState, ClockStateError
from runtime.references.art_timecode import packet
from runtime.references.ltc import LtcEncoder, write_word
from runtime.references.mtc import quarter_frames
from runtime.timekeeper import HEAD_START_NS, Timekeeper
from stage.rate import RATES, Rate
from stage.timecode import drops, frame_of, label_rate, nominal_fps, parts_at, timecode_at

START_NS = 5 * NS_PER_S


class Show:
    """What a conductor does with a timekeeper, and a tape beside it whose clock is its own."""

    def __init__(self, config: dict[str, Any], rate: str) -> None:
        self.clock = VirtualClock(START_NS)
        self.rate = RATES[rate]
        self.keeper = Timekeeper(TimeConfig.model_validate(config), self.rate, self.clock, sockets=False)
        self.frame = self.keeper.begin()
        self.told: list[tuple[int, int, str]] = []
        self.play: Callable[[int], None] | None = None

    def run(self, seconds: float) -> None:
        """Latch every frame that is due, looking around in between."""
        end_ns = self.clock.now_ns() + int(seconds * NS_PER_S)
        while (due_ns := self.keeper.frames.deadline_ns(self.frame)) <= end_ns:
            # Its slack: half a frame before it is due.
            for t_ns in (due_ns - self.rate.period_ns // 2, due_ns):
                self.clock.advance_to(max(t_ns, self.clock.now_ns()))
                if self.play is not None:
                    self.play(self.clock.now_ns())
                self.keeper.look(self.clock.now_ns())
            self.frame = self.keeper.latching(self.frame)
            self.told.append((self.frame, self.keeper.frames.deadline_ns(self.frame), self.keeper.timecode(self.frame)))
            self.keeper.latched()
            self.frame += 1

    @property
    def state(self) -> str:
        return self.keeper.frames.state.value

    def alarms(self) -> set[str]:
        found = self.keeper.alarms(self.clock.now_ns())
        assert all(problem.mend and problem.detail and since_ns > 0 for _, problem, since_ns in found)
        return {problem.code for _, problem, _ in found}


class Tape:
    """LTC at the show's label rate from label `first` on, its sound card `ppm` slow against this machine's clock;
    label `first` begins at `begins_ns`."""

    def __init__(
        self, show: Show, first: int, *, ppm: float = 0.0, begins_ns: int = START_NS, rate: Rate | None = None
    ):
        self.show, self.first, self.ppm, self.begins_ns = show, first, ppm, begins_ns
        self.rate = rate or label_rate(show.rate)
        self.encoder = LtcEncoder(self.rate, 48000)
        self.samples = np.zeros(0, dtype=np.float32)
        self.written = self.sent = 0
        self.step = 1

    def __call__(self, now_ns: int) -> None:
        wanted = int((now_ns - self.begins_ns) * 48000 / NS_PER_S / (1 + self.ppm * 1e-6))
        while self.sent + len(self.samples) < wanted:
            parts = parts_at(self.rate, self.first + self.step * self.written)
            word = write_word(parts, labels_per_s=nominal_fps(self.rate), drop_frame=drops(self.rate) > 0)
            self.samples = np.concatenate([self.samples, self.encoder.frame(word)])
            self.written += 1
        count = wanted - self.sent
        if count > 0:
            data = (self.samples[:count] * 20000).astype("<i2").tobytes()
            self.samples, self.sent = self.samples[count:], wanted
            self.show.keeper.take(data, now_ns)

    def label_begins_ns(self, number: int) -> float:
        return self.begins_ns + (number - self.first) * self.rate.den * NS_PER_S / self.rate.num * (1 + self.ppm * 1e-6)


LTC = {"reference": "timecode", "timecode": {"type": "ltc", "listen": "127.0.0.1:0"}}


@pytest.mark.parametrize(("rate", "ppm"), [("24", 0.0), ("23.976", 12.0), ("29.97", -20.0), ("25", 30.0), ("60", 5.0)])
def test_ltc_gives_labels_phase_and_speed(rate: str, ppm: float) -> None:
    show = Show(LTC, rate)
    assert (show.state, show.keeper.timecode(5)) == ("locking", timecode_at(show.rate, 5))
    first = 107_892
    tape = show.play = Tape(show, first, ppm=ppm, begins_ns=START_NS + 12_345_678)
    show.run(90.0)
    assert show.state == "locked"
    assert show.alarms() == set()
    report = show.keeper.report(show.clock.now_ns())
    assert (report.labels, report.fault, report.reference) == ("jammed", "", "timecode")
    assert report.frequency_ppm == pytest.approx(ppm, abs=1.5)
    each = nominal_fps(show.rate) // nominal_fps(tape.rate)
    checked = 0
    for _, begins_ns, label in show.told[-40 * each :]:
        number = frame_of(show.rate, label)
        if number % each == 0:
            # A label's frame begins with it, to a tenth of a millisecond.
            assert begins_ns - tape.label_begins_ns(number // each) == pytest.approx(0.0, abs=150_000)
            checked += 1
    assert checked >= 39
    steps_ns = np.diff([begins_ns for _, begins_ns, _ in show.told[100:]])
    assert np.abs(steps_ns - show.rate.period_ns).max() <= show.rate.period_ns * 50e-6 + 2
    assert [frame for frame, _, _ in show.told] == list(range(len(show.told)))


def test_a_tape_that_ends_is_carried_on_and_found_again() -> None:
    show = Show(LTC, "25")
    tape = show.play = Tape(show, 1000, ppm=20.0)
    show.run(100.0)
    assert show.state == "locked"
    show.play = None
    show.run(20.0)
    assert show.state == "holdover"
    assert show.alarms() == {"clock.holdover", "clock.timecode_silent"}
    report = show.keeper.report(show.clock.now_ns())
    assert 19.0 < report.holdover_s < 20.0
    assert report.frequency_ppm == pytest.approx(20.0, abs=1.5), "the last speed is kept"
    _, begins_ns, label = show.told[-1]
    assert begins_ns - tape.label_begins_ns(frame_of(show.rate, label)) == pytest.approx(0.0, abs=250_000)
    # It comes back as if it had never gone: no jump, no other label.
    again = Tape(show, 1000 + 25 * 125, ppm=20.0, begins_ns=round(tape.label_begins_ns(1000 + 25 * 125)))
    show.play = lambda now_ns: again(now_ns) if now_ns >= again.begins_ns else None
    show.run(20.0)
    assert (show.state, show.alarms()) == ("locked", set())
    assert show.keeper.report(show.clock.now_ns()).jumps <= 1
    labels = [frame_of(show.rate, label) for _, _, label in show.told[100:]]
    assert set(np.diff(labels)) == {1}


def test_labels_of_another_place_wait_for_the_takes_end() -> None:
    show = Show(LTC, "24")
    show.play = Tape(show, 5000)
    show.run(10.0)
    show.keeper.rolling = True
    before = show.told[-1][2]
    show.play = Tape(show, 700_000, begins_ns=show.clock.now_ns())
    show.run(10.0)
    assert "clock.timecode_jumped" in show.alarms()
    labels = [frame_of(show.rate, label) for _, _, label in show.told[-230:]]
    assert labels == list(range(labels[0], labels[0] + 230))
    assert labels[-1] - frame_of(show.rate, before) == pytest.approx(240, abs=1)
    with pytest.raises(ClockStateError, match="take rolls"):
        show.keeper.order_jam()
    show.keeper.rolling = False
    show.run(3.0)
    assert frame_of(show.rate, show.told[-1][2]) == pytest.approx(700_000 + 24 * 13, abs=2)


def test_backwards_is_said_and_not_followed() -> None:
    show = Show(LTC, "25")
    show.play = Tape(show, 5000)
    show.run(5.0)
    backwards = Tape(show, 90_000, begins_ns=show.clock.now_ns())
    backwards.encoder = LtcEncoder(backwards.rate, 48000, speed=-1.0)
    backwards.step = -1
    show.play = backwards
    show.run(4.0)
    assert {"clock.holdover", "clock.timecode_reverse"} == show.alarms()
    labels = [frame_of(show.rate, label) for _, _, label in show.told[-100:]]
    assert set(np.diff(labels)) == {1}


def test_a_tape_of_another_speed_is_refused_as_a_step_in_the_end() -> None:
    """200 ppm off cannot be followed: frames go on at 50 ppm and it is said."""
    show = Show(LTC, "25")
    show.play = Tape(show, 1000, ppm=200.0)
    show.run(100.0)
    assert show.state == "step_refused"
    assert "clock.step_refused" in show.alarms()
    steps_ns = np.diff([begins_ns for _, begins_ns, _ in show.told[40:]])
    assert np.abs(steps_ns - show.rate.period_ns).max() <= show.rate.period_ns * 50e-6 + 2


@pytest.mark.parametrize("rate", ["24", "25", "29.97", "50", "120"])
def test_art_timecode_names_frames(rate: str) -> None:
    show = Show({"reference": "timecode", "timecode": {"type": "art_timecode"}}, rate)
    labels = label_rate(show.rate)
    count, drop = nominal_fps(labels), drops(labels) > 0
    random = np.random.default_rng(4)
    sent = [0]

    def play(now_ns: int) -> None:
        # 3 ms on the wire, with jitter.
        while START_NS + labels.deadline_ns(0, sent[0]) + 3 * NS_PER_MS <= now_ns:
            at_ns = START_NS + labels.deadline_ns(0, sent[0]) + int(random.uniform(2, 4) * NS_PER_MS)
            parts = parts_at(labels, 50_000 + sent[0])
            show.keeper.take(packet(parts, labels_per_s=count, drop_frame=drop), at_ns)
            sent[0] += 1

    show.play = play
    show.run(10.0)
    assert (show.state, show.alarms()) == ("locked", set())
    each = nominal_fps(show.rate) // count
    _, begins_ns, label = show.told[-1]
    expected = labels.frame_at(START_NS, begins_ns) + 50_000
    assert frame_of(show.rate, label) / each == pytest.approx(expected, abs=1.01)
    assert show.keeper.frames.frequency_ppm == 0.0, "a network's moments steer nothing"
    numbers = [frame_of(show.rate, label) for _, _, label in show.told[round(show.rate.hz) :]]
    assert set(np.diff(numbers)) == {1}


def test_mtc_from_a_fifo_in_real_time_is_not_needed_to_know_its_labels(tmp_path: Path) -> None:
    path = tmp_path / "midi"
    os.mkfifo(path)
    clock = VirtualClock(START_NS)
    config = TimeConfig.model_validate({"reference": "timecode", "timecode": {"type": "mtc", "path": str(path)}})
    keeper = Timekeeper(config, RATES["25"], clock)
    frame = keeper.begin()
    keeper.look(clock.now_ns())
    assert keeper.filenos() == ()
    writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    for label in range(2000, 2030, 2):
        for message in quarter_frames(parts_at(RATES["25"], label), labels_per_s=25):
            os.write(writer, message)
            keeper.look(clock.now_ns())
            clock.advance_to(clock.now_ns() + 10 * NS_PER_MS)
    assert len(keeper.filenos()) == 1
    report = keeper.report(clock.now_ns())
    assert (report.labels, report.state, report.heard) == ("jammed", "locked", 15)
    frame = keeper.frames.frame_at(clock.now_ns())
    assert frame_of(RATES["25"], keeper.timecode(frame)) == pytest.approx(2030, abs=1)
    os.close(writer)
    keeper.close()


def test_a_source_that_is_not_there_is_an_alarm_and_is_tried_again(tmp_path: Path) -> None:
    clock = VirtualClock(START_NS)
    path = tmp_path / "ltc"
    config = TimeConfig.model_validate({"reference": "timecode", "timecode": {"type": "ltc", "path": str(path)}})
    keeper = Timekeeper(config, RATES["24"], clock)
    keeper.begin()
    (alarm,) = [problem for weight, problem, _ in keeper.alarms(clock.now_ns()) if weight == "critical"]
    assert (alarm.code, alarm.path) == ("runtime.timecode_source", "time/timecode/path")
    os.mkfifo(path)
    clock.advance_to(clock.now_ns() + 2 * NS_PER_S)
    keeper.look(clock.now_ns())
    assert [problem for weight, problem, _ in keeper.alarms(clock.now_ns()) if weight == "critical"] == []
    keeper.close()


def test_a_flood_of_nonsense_is_counted_and_gives_no_label() -> None:
    clock = SystemClock()
    config = TimeConfig.model_validate(
        {"reference": "timecode", "timecode": {"type": "art_timecode", "listen": "127.0.0.1:0"}}
    )
    keeper = Timekeeper(config, RATES["24"], clock)
    keeper.begin()
    (fd,) = keeper.filenos()
    with socket.socket(fileno=os.dup(fd)) as probe, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        port = probe.getsockname()[1]
        for i in range(100):
            sender.sendto(b"Art-Net\0\x00\x97" + bytes([i]) * (i % 20), ("127.0.0.1", port))
    for _ in range(3):
        keeper.look(clock.now_ns())
    report = keeper.report(clock.now_ns())
    assert sum(report.refused.values()) == 100
    assert (report.heard, report.state) == (0, "locking")
    keeper.close()


def test_free_counts_from_the_start_and_has_nothing_to_jump_to() -> None:
    show = Show({"reference": "free", "label_offset_frames": 24 * 60}, "24")
    show.run(2.0)
    assert show.told[0] == (0, START_NS + HEAD_START_NS, "00:01:00:00")
    assert (show.state, show.alarms()) == ("free", set())
    with pytest.raises(ClockStateError, match="no reference"):
        show.keeper.order_jam()


def test_what_is_followed_may_change_while_the_show_runs() -> None:
    show = Show(LTC, "25")
    show.play = Tape(show, 1000, begins_ns=START_NS + 5 * NS_PER_MS)
    show.run(10.0)
    frame, _, _ = show.told[-1]
    show.keeper.reconfigure(TimeConfig(reference="free"), RATES["25"], show.frame)
    show.play = None
    show.run(5.0)
    assert (show.state, show.keeper.reference) == ("free", "free")
    assert [f for f, _, _ in show.told] == list(range(len(show.told)))
    assert {b[1] - a[1] for a, b in pairwise(show.told[frame + 1 :])} == {40 * NS_PER_MS}
    show.keeper.reconfigure(TimeConfig.model_validate(LTC), RATES["50"], show.frame)
    show.rate = RATES["50"]
    show.play = Tape(show, 1000, begins_ns=show.clock.now_ns())
    show.run(10.0)
    assert (show.state, show.alarms()) == ("locked", set())
    assert show.keeper.frames.state is ClockState.LOCKED


def test_other_settings_change_only_themselves() -> None:
    """`auto` was decided at the start: another label offset does not decide it anew."""
    show = Show({"reference": "auto"}, "25")
    show.run(1.0)
    show.keeper.reconfigure(TimeConfig(label_offset_frames=250), RATES["25"], show.frame)
    show.run(1.0)
    assert (show.keeper.reference, show.state) == ("free", "free")
    frame, _, label = show.told[-1]
    assert frame_of(RATES["25"], label) == frame + 250
    show = Show(LTC, "25")
    show.play = Tape(show, 1000)
    show.run(5.0)
    again = TimeConfig.model_validate({**LTC, "label_offset_frames": 25})
    show.keeper.reconfigure(again, RATES["25"], show.frame)
    show.run(1.0)
    assert show.state == "locked"
    labels = [frame_of(RATES["25"], label) for _, _, label in show.told[-40:]]
    assert sorted(set(np.diff(labels))) == [1, 26]


def test_alarms_tell_since_when() -> None:
    show = Show(LTC, "25")
    show.play = Tape(show, 1000)
    show.run(5.0)
    show.play = None
    show.run(2.0)
    first = {problem.code: since for _, problem, since in show.keeper.alarms(show.clock.now_ns())}
    show.run(5.0)
    assert {problem.code: since for _, problem, since in show.keeper.alarms(show.clock.now_ns())} == first


def test_a_successor_keeps_labels_and_speed() -> None:
    show = Show(LTC, "25")
    tape = show.play = Tape(show, 1000, ppm=25.0)
    show.run(100.0)
    kept = show.keeper.keep()
    frame, begins_ns, label = show.told[-1]
    other = Timekeeper(TimeConfig.model_validate(LTC), RATES["25"], show.clock, sockets=False)
    first = other.begin(before=(frame, begins_ns), kept=kept)
    assert first > frame
    assert frame_of(RATES["25"], other.timecode(frame)) == frame_of(RATES["25"], label)
    assert other.frames.frequency_ppm == pytest.approx(25.0, abs=1.5)
    show.keeper, show.frame = other, first
    show.run(10.0)
    assert (show.state, show.alarms()) == ("locked", set())
    _, begins_ns, label = show.told[-1]
    assert begins_ns - tape.label_begins_ns(frame_of(show.rate, label)) == pytest.approx(0.0, abs=150_000)
