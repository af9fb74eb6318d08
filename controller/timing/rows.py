"""Rows of the fault matrix as scripts with a verdict: T1-T10 about tracking, R6 about drawing, K1 and K2 about clocks.

A script says what goes wrong when, and how the show it was played in is judged: states told in time, no jump of the
picture, no slot lost. Under the virtual clock each script has a show of its own; in real time it is a stretch of the
one that runs. What is measured is compared with the same camera undisturbed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf
from random import Random
from time import perf_counter_ns
from typing import Final

import numpy as np

from controller.timing.judging import Check, Judge, judge_slots, p
from controller.timing.limits import Limits
from controller.timing.played import SETTLED_S, Played, play, plot_with
from controller.timing.recording import NO_PLAN
from controller.timing.rows_clock import day_of_labels, drop_labels, end_of_2038, host_clock_set, leap_second
from controller.timing.settings import ROWS, Settings, configuration
from controller.timing.virtual import Plot, VirtualShow, usual_cost
from runtime.clock import NS_PER_MS, NS_PER_S, VirtualClock
from stage.plan import REASONS
from tracking.encoders import encoder
from tracking.faults import NONSENSE, Faults, malformed
from tracking.inputs import TrackingInputs
from tracking.moment import Moment

AT_S: Final = 1.0
"""A fault begins so long after its own stretch of the show does."""
UNSTAMPED: Final = frozenset({"freed", "osc"})
"""Protocols that do not say when a pose was taken: what is late on the way looks like movement."""
APART_MM: Final = 2.0
FAR_MM: Final = 10.0
"""Real trackers scatter, and no second of a move is like another: only a pose this far off was disturbed."""
LEAST_MM: Final = 0.5
LEAST_DEG: Final = 0.1
"""Below such errors a ratio says nothing: noise beside noise."""
HOOK_EVERY: Final = 100
HOOK_SHARE: Final = 0.72
"""R6: 30 ms at 24 frames a second."""
FLOOD_HZ: Final = 2000


@dataclass(frozen=True, slots=True)
class RowResult:
    """What came of one row."""

    row: str
    title: str
    mode: str
    """`virtual` or `real`."""
    checks: tuple[Check, ...]
    seconds: float

    @property
    def good(self) -> bool:
        """Whether none of its checks failed."""
        return all(check.good is not False for check in self.checks)


@dataclass(frozen=True, slots=True)
class Script:
    """What happens, in seconds since the script's beginning, and how it is judged.

    spells : begin, end, names of tracking.faults; stalls : the reader of the datagrams stands still: begin, for how
    long; plot : changes the virtual show (None: it needs none, and can be played for real too).
    """

    seconds: float
    judge: Callable[[Stage, Played], None]
    spells: tuple[tuple[float, float, tuple[str, ...]], ...] = ()
    stalls: tuple[tuple[float, float], ...] = ()
    plot: Callable[[Plot], Plot] | None = None


class Stage:
    """What rows are judged with: the settings, the limits, and undisturbed shows to compare with.

    clean : the undisturbed show of a real run; None: one is played under the virtual clock when it is needed.
    """

    def __init__(self, settings: Settings, limits: Limits, *, clean: Played | None = None, lost: int = 0) -> None:
        self.settings, self.limits = settings, limits
        self.loaded = configuration(settings) if clean is None else clean.loaded
        self.judge = Judge(limits)
        self.real = clean
        self.lost = lost
        """Slots that a metronome of equal class lost meanwhile."""
        self._clean: dict[float, Played] = {}

    def plot(self) -> Plot:
        """The show asked for, undisturbed."""
        s = self.settings
        return Plot(
            self.loaded, move=s.move, seed=s.seed, samples=s.samples, protocol=s.protocol, draw_ms=s.draw_ms
        )  # fmt: skip

    def clean(self, seconds: float) -> Played:
        """The same camera undisturbed, at least so long."""
        if self.real is not None:
            return self.real
        for length, found in self._clean.items():
            if length >= seconds:
                return found
        self._clean[seconds] = play(self.plot(), seconds)
        return self._clean[seconds]

    def usual(self, begin_s: float, end_s: float, share: float = 95) -> tuple[float, float]:
        """Pose error, mm and degrees, without the fault: of the same stretch, or of the real show before."""
        if self.real is not None:
            begin_s, end_s = 0.0, float(self.real.t_s[-1])
        clean = self.clean(end_s)
        return clean.error_mm(begin_s, end_s, share), clean.error_deg(begin_s, end_s, share)

    def kept(self, row: str, played: Played, *, from_s: float = SETTLED_S, plans_may_miss: bool = False) -> None:
        """No slot was lost, whatever else happened: what rows have in common."""
        slots = played.whole.only(played.whole_between(from_s, inf))
        if plans_may_miss:
            self.judge.limit("slots_unreported", float((~slots.reported).sum()), row)
            extra = max(0, int(slots.repeated.sum()) - self.lost)
            self.judge.limit("repeats_beyond_metronome_share", extra / max(1, len(slots)), row)
            return
        judge_slots(self.judge, slots, allowed_repeats=self.lost, where=row)

    def returned(self, row: str, played: Played, begin_s: float, end_s: float, name: str) -> None:
        """The picture's camera came back without a jump, and follows again."""
        m_s, deg_s = played.fastest(begin_s, end_s)
        self.judge.limit("return_m_s", m_s, row, f"{name}: fastest the picture's camera moved while it came back")
        self.judge.limit("return_deg_s", deg_s, row, f"{name}: fastest it turned while it came back")
        self.follows(row, played, end_s, name)

    def follows(self, row: str, played: Played, end_s: float, name: str) -> None:
        """The source is ok again at the end of a span."""
        last = played.qualities(end_s - 0.5, end_s)
        self.judge.holds("follows_again", last[-1:] == ["ok"], row, f"{name}: the source is ok again at the end")

    def worse(
        self, row: str, played: Played, begin_s: float, end_s: float, name: str, *, jitters: bool = False
    ) -> None:
        """How much worse the pose is than without the fault. `jitters`: datagrams come unevenly."""
        usual_mm, usual_deg = self.usual(begin_s, end_s)
        ratios = (
            played.error_mm(begin_s, end_s) / max(usual_mm, LEAST_MM),
            played.error_deg(begin_s, end_s) / max(usual_deg, LEAST_DEG),
        )
        unstamped = jitters and played.protocol in UNSTAMPED
        limit = "impaired_unstamped_error_ratio" if unstamped else "impaired_error_ratio"
        self.judge.limit(limit, max(ratios), row, f"{name}: pose error (p95) over the usual one")


def scripts_of(row: str, stage: Stage) -> list[Script]:
    """What a row does, in one or more parts."""
    return _ROWS[row](stage)


def play_row(row: str, settings: Settings, limits: Limits) -> RowResult:
    """Play one row under the virtual clock."""
    stage = Stage(settings, limits)
    seconds = 0.0
    for script in scripts_of(row, stage):
        plot = stage.plot() if script.plot is None else script.plot(stage.plot())
        faults = [(begin, end, Faults.of(names, settings.seed)) for begin, end, names in script.spells]

        def arrange(show: VirtualShow, script: Script = script) -> None:
            for begin_s, for_s in script.stalls:
                show.stall(begin_s, for_s)

        script.judge(stage, play(plot_with(plot, faults), script.seconds, arrange))
        seconds += script.seconds
    if row in _CLOCKS:
        seconds += sum(part(stage) for part in _CLOCKS[row])
    return RowResult(row, ROWS[row], "virtual", tuple(stage.judge.checks), seconds)


# --- tracking that stops ------------------------------------------------------------------------------------------


def _t1(_: Stage) -> list[Script]:
    begin_s = SETTLED_S
    spells: list[tuple[float, float, tuple[str, ...]]] = []
    spans: list[tuple[float, float, float]] = []
    for for_s, length_s in ((0.1, 3.0), (1.0, 6.0), (10.0, 16.0)):
        spells.append((begin_s, begin_s + length_s, (f"T1:at={AT_S:g},for={for_s:g}",)))
        spans.append((for_s, begin_s + AT_S, begin_s + length_s))
        begin_s += length_s

    def judge(stage: Stage, played: Played) -> None:
        for for_s, stop_s, end_s in spans:
            name = f"{for_s:g} s"
            seen = played.qualities(stop_s, end_s)
            if for_s < 0.2:
                words = f"{name}: a short stop is bridged by prediction"
                stage.judge.holds("bridged", "lost" not in seen, "T1", words)
            else:
                said_s = played.source_state("lost", stop_s)
                late_ms = None
                if said_s is not None and said_s < end_s:
                    late_ms = (said_s - played.last_sample_s(stop_s + 0.05)) * 1000.0
                stage.judge.holds("told_lost", late_ms is not None, "T1", f"{name}: the source is told as lost")
                words = f"{name}: from the last sample to `lost` in the status"
                stage.judge.limit("lost_told_ms", late_ms, "T1", words)
                stage.judge.holds("coasts_first", "coasting" in seen, "T1", f"{name}: it coasts before it is lost")
            stage.returned("T1", played, stop_s + for_s, min(end_s, stop_s + for_s + 3.0), name)
        stage.kept("T1", played)

    return [Script(begin_s, judge, tuple(spells))]


def _t3(_: Stage) -> list[Script]:
    middle_s, end_s = SETTLED_S + 9.0, SETTLED_S + 15.0
    spells = (
        (SETTLED_S, middle_s, (f"T3:at={AT_S:g},for=0.3,every=2",)),
        (middle_s, end_s - 1.0, ("T3:half",)),
    )

    def judge(stage: Stage, played: Played) -> None:
        stage.returned("T3", played, SETTLED_S, middle_s, "bursts")
        stage.returned("T3", played, middle_s, end_s, "half of all")
        half_lost = "lost" in played.qualities(middle_s + 0.5, end_s - 1.0)
        stage.judge.holds("holds_on", not half_lost, "T3", "half of all datagrams are enough to follow")
        stage.kept("T3", played)

    return [Script(end_s, judge, spells)]


# --- a wire that is bad -------------------------------------------------------------------------------------------


def _t2(_: Stage) -> list[Script]:
    end_s = SETTLED_S + 12.0

    def judge(stage: Stage, played: Played) -> None:
        stage.worse("T2", played, SETTLED_S + 1.0, end_s, "jitter, loss, duplicates, overtaking", jitters=True)
        if played.protocol in ("opentrackio", "zmq"):
            dropped = sum(played.refused.get(reason, 0) for reason in ("duplicate", "late"))
            words = "duplicates and overtaken datagrams are dropped by their numbers, and counted"
            stage.judge.holds("counted", dropped > 0, "T2", words, float(dropped))
        stage.kept("T2", played)

    return [Script(end_s, judge, ((SETTLED_S, end_s, ("T2",)),))]


def _t8(_: Stage) -> list[Script]:
    end_s = SETTLED_S + 8.0

    def judge(stage: Stage, played: Played) -> None:
        refused = sum(played.refused.values())
        stage.judge.holds("refused", refused > 0, "T8", "broken datagrams are refused and counted", float(refused))
        stage.judge.limit("bad_datagram_ms", _slowest_refusal_ms(stage), "T8")
        stage.follows("T8", played, end_s, "good datagrams alone")
        stage.kept("T8", played)

    return [Script(end_s, judge, ((SETTLED_S, end_s - 1.0, ("T8:share=1",)),))]


def _slowest_refusal_ms(stage: Stage) -> float:
    """Real time (p99) that decoding a broken datagram takes, over 2,000 of them."""
    name, source = next(iter(stage.loaded.config.tracking.sources.items()))
    encode = encoder(stage.settings.protocol or source.protocol, camera=source.camera_name or source.camera)
    (data, *_) = encode(Moment(np.eye(4), 1, NS_PER_S))
    inputs = TrackingInputs(stage.loaded.config.tracking, VirtualClock())
    random = Random(stage.settings.seed)
    took: list[float] = []
    for _ in range(2000):
        broken = malformed(data, random)
        began_ns = perf_counter_ns()
        inputs.inject(name, broken)
        took.append((perf_counter_ns() - began_ns) / NS_PER_MS)
    return p(np.array(took), 99) or 0.0


def _t9(_: Stage) -> list[Script]:
    middle_s, end_s = SETTLED_S + 4.0, SETTLED_S + 8.0
    spells = (
        (SETTLED_S, middle_s, (f"T9:at=0.2,hz={FLOOD_HZ}",)),
        (middle_s, end_s, (f"T9:spoof:at=0.2,hz={FLOOD_HZ}",)),
    )

    def judge(stage: Stage, played: Played) -> None:
        clean = stage.clean(end_s)
        for name, begin_s, until_s in (("garbage", SETTLED_S, middle_s), ("copies", middle_s, end_s)):
            span = (begin_s + 0.5, until_s)
            usual_span = span if stage.real is None else (0.0, float(clean.t_s[-1]))
            flooded = p(played.photos.age_ms[played.between(*span)], 99) or 0.0
            usual = p(clean.photos.age_ms[clean.between(*usual_span)], 99) or 0.0
            words = f"{name}: age of poses (p99) beyond the usual one"
            stage.judge.limit("flooded_age_extra_ms", flooded - usual, "T9", words)
            stage.worse("T9", played, *span, name)
        stage.kept("T9", played)

    return [Script(end_s, judge, spells)]


# --- a tracker that is wrong --------------------------------------------------------------------------------------


def _t5(_: Stage) -> list[Script]:
    begin_s = SETTLED_S
    spells: list[tuple[float, float, tuple[str, ...]]] = []
    spans: list[tuple[str, float, float]] = []
    for name, fault, length_s in (
        ("jump", "T5:jump:at=1,by=3600", 6.0),
        ("back", "T5:back:at=1,by=-3600", 6.0),
        ("drift", "T5:drift:ppm=200", 12.0),
        ("wrap", "T5:wrap:at=1", 6.0),
        ("stand", "T5:stand:at=1,for=3", 6.0),
    ):
        spells.append((begin_s, begin_s + length_s, (fault,)))
        spans.append((name, begin_s, begin_s + length_s))
        begin_s += length_s
    total_s = begin_s

    def judge(stage: Stage, played: Played) -> None:
        for name, from_s, end_s in spans:
            jump_s = from_s + (AT_S if name != "drift" else 0.0)
            if stage.real is None:
                off = played.apart_mm(stage.clean(total_s)) > APART_MM
                words = f"{name}: until poses are within {APART_MM:g} mm of the undisturbed ones"
            else:
                off = played.measured.error_mm > max(FAR_MM, 2.0 * stage.usual(0.0, 0.0, 100)[0])
                words = f"{name}: until poses are as right as before"
            off_s = played.t_s[played.between(jump_s, end_s) & off]
            settled_ms = (float(off_s[-1]) - jump_s) * 1000.0 if len(off_s) else 0.0
            stage.judge.limit("clock_settled_ms", settled_ms, "T5", words)
            m_s, deg_s = played.fastest(from_s, end_s)
            stage.judge.limit("return_m_s", m_s, "T5", f"{name}: the picture's camera does not jump")
            stage.judge.limit("return_deg_s", deg_s, "T5", f"{name}: nor does it turn suddenly")
        if played.protocol == "opentrackio" and played.clock_jumps is not None:
            jumps = played.clock_jumps
            stage.judge.holds("counted", jumps >= 2, "T5", "jumps of the tracker's clock are counted", float(jumps))
        stage.kept("T5", played)

    return [Script(total_s, judge, tuple(spells))]


def _t7(_: Stage) -> list[Script]:
    """Each kind of nonsense by itself: a mixture would hide that one is believed."""
    begin_s, for_s, length_s = SETTLED_S, 1.0, 5.0
    spells: list[tuple[float, float, tuple[str, ...]]] = []
    spans: list[tuple[str, float, float]] = []
    for kind in NONSENSE:
        spells.append((begin_s, begin_s + length_s, (f"T7:{kind}:share=1,at={AT_S:g},for={for_s:g}",)))
        spans.append((kind, begin_s + AT_S, begin_s + length_s))
        begin_s += length_s

    def judge(stage: Stage, played: Played) -> None:
        finite = bool(np.isfinite(played.photos.predicted).all())
        stage.judge.holds("finite", finite, "T7", "no plan carries a number that is none")
        refused = sum(played.refused.values())
        stage.judge.holds("refused", refused > 0, "T7", "numbers no camera has are refused and counted", float(refused))
        for kind, stop_s, end_s in spans:
            rows = played.between(stop_s, end_s)
            away_m = float(played.measured.error_mm[rows].max()) / 1000.0
            if kind == "denormal":
                # The number that it means, 0, is a place: told for long enough, it is believed like any other.
                words = f"{kind}: does nothing that a plain 0 would not"
                stage.judge.holds("finite", bool(np.isfinite(away_m)), "T7", words, away_m)
            else:
                words = f"{kind}: the last good pose is kept, never metres away"
                stage.judge.holds("last_good_kept", away_m < 0.6, "T7", words, away_m)
            stage.returned("T7", played, stop_s, end_s, kind)
        told = played.source_state("bad", SETTLED_S)
        stage.judge.holds("told_bad", told is not None, "T7", "the source is told as bad")
        stage.kept("T7", played)

    return [Script(begin_s, judge, tuple(spells))]


def _t10(stage: Stage) -> list[Script]:
    begin_s, end_s = SETTLED_S + 1.0, SETTLED_S + 7.0

    def senders(stage: Stage, played: Played) -> None:
        _second(stage, played, begin_s + 0.5, "tracking.second_sender", "a second sender to the same address")
        stage.worse("T10", played, begin_s, end_s, "a second sender")
        stage.kept("T10", played)

    def sources(stage: Stage, played: Played) -> None:
        _second(stage, played, begin_s, "tracking.second_source", "a second source for the same camera")
        words = "the first source keeps the camera: nobody switches it"
        stage.judge.holds("first_keeps", played.sources <= {played.source, ""}, "T10", words)
        stage.worse("T10", played, begin_s, end_s, "a second source")
        stage.kept("T10", played)

    def rivalled(plot: Plot) -> Plot:
        loaded = configuration(stage.settings, rival=True)
        return replace(plot, loaded=loaded, silent_until_s={"rival": begin_s})

    return [
        Script(end_s, senders, ((begin_s, end_s, ("T10:at=0,behind=0.5",)),)),
        Script(end_s, sources, plot=rivalled),
    ]


def _second(stage: Stage, played: Played, from_s: float, alarm: str, name: str) -> None:
    told_s = played.state_first(lambda state: alarm in state.alarms, from_s)
    stage.judge.holds("told", told_s is not None, "T10", f"{name} is told as an alarm")
    late_ms = None if told_s is None else (told_s - from_s) * 1000.0
    stage.judge.limit("second_source_told_ms", late_ms, "T10", f"{name}: until the alarm")


# --- the house ----------------------------------------------------------------------------------------------------


def _t4(_: Stage) -> list[Script]:
    stop_s, for_s, end_s = SETTLED_S + 1.0, 1.0, SETTLED_S + 5.0

    def judge(stage: Stage, played: Played) -> None:
        age_ms = played.age_at_latch_ms(stop_s + for_s)
        stage.judge.limit("stalled_age_ms", age_ms, "T4")
        missed = played.whole.only(played.whole_between(stop_s, stop_s + for_s + 0.1))
        made = int(((missed.t_latched_ns == 0) & (missed.reason == NO_PLAN)).sum())
        wanted = int((missed.t_latched_ns == 0).sum())
        words = "the node makes the plans that never came itself"
        stage.judge.holds("made_by_node", wanted > 0 and made >= wanted - 1 - stage.lost, "T4", words, float(made))
        stage.follows("T4", played, end_s, "the reader goes on")
        stage.kept("T4", played, plans_may_miss=True)

    return [Script(end_s, judge, stalls=((stop_s, for_s),))]


def _r6(stage: Stage) -> list[Script]:
    rate = stage.loaded.config.rate
    usual = usual_cost(rate, stage.settings.draw_ms, stage.settings.seed)
    extra_ns = int(HOOK_SHARE * rate.period_ns)
    first = int(SETTLED_S * rate.hz)

    def hooked(frame: int) -> bool:
        return frame >= first and frame % HOOK_EVERY == HOOK_EVERY // 2

    def judge(stage: Stage, played: Played) -> None:
        slots = played.whole.only(np.asarray(played.whole.frame >= first))
        hooks = [frame for frame in slots.frame.tolist() if hooked(frame)]
        repeated = slots.frame[slots.repeated].tolist()
        words = f"{len(hooks)} frames were drawn {extra_ns / NS_PER_MS:.0f} ms too long: at most one repeat each"
        stage.judge.holds("one_each", len(repeated) <= len(hooks), "R6", words, float(len(repeated)))
        near = all(any(0 <= frame - hook <= 1 for hook in hooks) for frame in repeated)
        stage.judge.holds("in_phase", near, "R6", "only the slow frame's own slot repeats; the next is on time again")
        reasons = {REASONS[i] for i in slots.reason[slots.repeated].tolist()}
        stage.judge.holds("reason", reasons <= {"late_draw"}, "R6", "the reason told is the drawing")
        stage.judge.limit("slots_unreported", float((~slots.reported).sum()), "R6")

    def slow(plot: Plot) -> Plot:
        return replace(plot, cost=lambda frame: usual(frame) + (extra_ns if hooked(frame) else 0))

    return [Script((first + 6 * HOOK_EVERY) / rate.hz, judge, plot=slow)]


_ROWS: Final[dict[str, Callable[[Stage], list[Script]]]] = {
    "T1": _t1, "T2": _t2, "T3": _t3, "T4": _t4, "T5": _t5, "T6": lambda _: [], "T7": _t7, "T8": _t8, "T9": _t9,
    "T10": _t10, "K1": lambda _: [], "K2": lambda _: [], "R6": _r6,
}  # fmt: skip
_CLOCKS: Final[dict[str, Sequence[Callable[[Stage], float]]]] = {
    "T6": (host_clock_set,),
    "K1": (day_of_labels, drop_labels),
    "K2": (leap_second, end_of_2038),
}
PLAYABLE: Final[tuple[str, ...]] = tuple(row for row in ROWS if row in _ROWS)
"""Rows that can be played under the virtual clock."""
