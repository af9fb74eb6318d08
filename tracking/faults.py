"""What goes wrong between a tracker and its reader, seeded and pure: datagrams in, datagrams with other times out.

Two kinds. Faults of the wire (`WireFault`) take datagrams with their arrival times and give back none, the same, or
more of them, later: stops, jitter, loss, bursts, duplicates, reorder, stalled readers, malformed bytes, floods, a
second sender. Faults of the tracker (`TrackerFault`) spoil a pose or its time label before it is encoded: clocks that
jump, drift, run back, wrap or stand, and numbers no camera has. Nothing here reads a clock or sleeps: the same seed
gives the same faults in a test under virtual time, in the simulator and in a timing run.

    faults = Faults.of(["T2", "T5:jump"], seed=7)
    moment = faults.spoil(moment, t_ns)                       # before the encoder
    for item in faults.apply(Timed(t, data) for ...): ...     # after it, in order of `reads_ns`

T1 to T10 are the rows of the fault matrix that concern tracking; `SCENARIOS` lists all names and what they do.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from math import inf, nan
from random import Random
from typing import Final, Protocol

import numpy as np
from msgspec import Struct

from stage.errors import Problem
from tracking.errors import SendError
from tracking.moment import Moment
from tracking.sample import LensReading

S: Final = 1_000_000_000
MS: Final = 1_000_000
DAY_NS: Final = 24 * 3600 * S
BEGIN_S: Final = 2.0
"""Faults that begin at a moment begin so long after the first datagram, unless told otherwise."""


class Timed(Struct, frozen=True, gc=False):
    """One datagram and when it reaches the reader's machine."""

    t_ns: int
    """Arrival: the kernel's stamp."""
    data: bytes
    host: str = ""
    """Sender's address; empty: the one true sender's."""
    port: int = 0
    read_ns: int = 0
    """When the reader gets to it, if that is later: a stalled reader."""

    @property
    def reads_ns(self) -> int:
        """When the reader sees it."""
        return max(self.t_ns, self.read_ns)


class WireFault(Protocol):
    """Turns one datagram into those that arrive; times never lie before its own."""

    @property
    def name(self) -> str:
        """What its doings are counted as."""

    def feed(self, item: Timed, done: Counter[str]) -> list[Timed]:
        """What becomes of a datagram; `done` counts what was done to it."""


class TrackerFault(Protocol):
    """Spoils what the tracker itself says."""

    @property
    def name(self) -> str:
        """What its doings are counted as."""

    def spoil(self, moment: Moment, t_ns: int, done: Counter[str]) -> Moment:
        """The moment as the tracker says it; t_ns is the true time."""


@dataclass(slots=True)
class Window:
    """When a fault acts, counted from the first thing it sees: from `at_s` for `for_s`, again every `every_s`."""

    at_s: float = BEGIN_S
    for_s: float = inf
    every_s: float = 0.0
    first_ns: int | None = None

    def inside(self, t_ns: int) -> bool:
        """Whether the fault acts at `t_ns`."""
        return self.since_ns(t_ns) is not None

    def since_ns(self, t_ns: int) -> int | None:
        """How long it has acted at `t_ns`; None outside."""
        if self.first_ns is None:
            self.first_ns = t_ns
        since_ns = t_ns - self.first_ns - int(self.at_s * S)
        if since_ns >= 0 and self.every_s > 0.0:
            since_ns %= int(self.every_s * S)
        return since_ns if since_ns >= 0 and (self.for_s == inf or since_ns < int(self.for_s * S)) else None


# --- the wire -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Stop:
    """Nothing arrives for a while (T1), or again and again (T3)."""

    window: Window
    name: str = "stopped"

    def feed(self, item: Timed, done: Counter[str]) -> list[Timed]:
        """Nothing, inside the window."""
        if not self.window.inside(item.t_ns):
            return [item]
        done[self.name] += 1
        return []


@dataclass(slots=True)
class Jitter:
    """Each datagram is late by 0 to twice `half_ms`: the usual way plus or minus `half_ms`. May change the order."""

    half_ms: float
    random: Random
    window: Window = field(default_factory=lambda: Window(0.0))
    name: str = "jittered"

    def feed(self, item: Timed, done: Counter[str]) -> list[Timed]:
        """The datagram, later."""
        if not self.window.inside(item.t_ns):
            return [item]
        done[self.name] += 1
        return [_later(item, int(self.random.random() * 2.0 * self.half_ms * MS))]


@dataclass(slots=True)
class Loss:
    """A share of the datagrams never arrives."""

    share: float
    random: Random
    window: Window = field(default_factory=lambda: Window(0.0))
    name: str = "lost"

    def feed(self, item: Timed, done: Counter[str]) -> list[Timed]:
        """The datagram, or nothing."""
        if not self.window.inside(item.t_ns) or self.random.random() >= self.share:
            return [item]
        done[self.name] += 1
        return []


@dataclass(slots=True)
class Duplicate:
    """A share of the datagrams arrives twice, the second up to `late_ms` later."""

    share: float
    random: Random
    late_ms: float = 5.0
    name: str = "duplicated"

    def feed(self, item: Timed, done: Counter[str]) -> list[Timed]:
        """The datagram once or twice."""
        if self.random.random() >= self.share:
            return [item]
        done[self.name] += 1
        return [item, _later(item, int(self.random.random() * self.late_ms * MS))]


@dataclass(slots=True)
class Reorder:
    """A share of the datagrams is overtaken: it arrives between one and two `late_ms` late."""

    share: float
    random: Random
    late_ms: float = 20.0
    name: str = "reordered"

    def feed(self, item: Timed, done: Counter[str]) -> list[Timed]:
        """The datagram, some of them much later."""
        if self.random.random() >= self.share:
            return [item]
        done[self.name] += 1
        return [_later(item, int((1.0 + self.random.random()) * self.late_ms * MS))]


@dataclass(slots=True)
class Stall:
    """The reader stands still: the kernel stamps and keeps what arrives, and all of it is read at the end (T4)."""

    window: Window
    name: str = "read_late"

    def feed(self, item: Timed, done: Counter[str]) -> list[Timed]:
        """The datagram, read when the stall ends."""
        since_ns = self.window.since_ns(item.t_ns)
        if since_ns is None:
            return [item]
        done[self.name] += 1
        end_ns = item.t_ns - since_ns + int(self.window.for_s * S)
        return [Timed(item.t_ns, item.data, item.host, item.port, max(item.read_ns, end_ns))]


@dataclass(slots=True)
class Malform:
    """A share of the datagrams arrives broken (T8)."""

    share: float
    random: Random
    extra: bool = True
    """True: beside the good one, so that nothing is lost by it; False: instead of it."""
    window: Window = field(default_factory=lambda: Window(0.0))
    name: str = "malformed"

    def feed(self, item: Timed, done: Counter[str]) -> list[Timed]:
        """The datagram, or a broken one, or both."""
        if not self.window.inside(item.t_ns) or self.random.random() >= self.share:
            return [item]
        done[self.name] += 1
        broken = Timed(item.t_ns, malformed(item.data, self.random), item.host, item.port, item.read_ns)
        return [item, broken] if self.extra else [broken]


@dataclass(slots=True)
class Flood:
    """Another program sends to the same socket, far faster than any tracker (T9): garbage, or copies of what the true
    sender says under another address."""

    rate_hz: float
    random: Random
    window: Window
    host: str = "127.0.0.66"
    port: int = 6666
    copies: bool = False
    name: str = "flooded"
    _last_ns: int | None = None

    def feed(self, item: Timed, done: Counter[str]) -> list[Timed]:
        """The datagram, and what the flood sends until about the next one."""
        step_ns = 0 if self._last_ns is None else min(item.t_ns - self._last_ns, S)
        self._last_ns = item.t_ns
        if not self.window.inside(item.t_ns):
            return [item]
        out = [item]
        number = int(step_ns * 1e-9 * self.rate_hz)
        for i in range(number):
            data = item.data if self.copies else self.random.randbytes(self.random.randrange(1, 200))
            out.append(Timed(item.t_ns + step_ns * i // max(number, 1), data, self.host, self.port, item.read_ns))
        done[self.name] += number
        return out


@dataclass(slots=True)
class Rival:
    """A second sender claims the same camera (T10): it says, under its own address, where the camera was a while
    ago, so that believing it would be seen."""

    window: Window
    behind_s: float = 1.0
    host: str = "127.0.0.77"
    port: int = 7777
    name: str = "rivalled"
    _said: deque[Timed] = field(default_factory=deque)

    def feed(self, item: Timed, done: Counter[str]) -> list[Timed]:
        """The datagram, and the rival's."""
        out = [item]
        self._said.append(item)
        old: Timed | None = None
        while self._said and self._said[0].t_ns <= item.t_ns - int(self.behind_s * S):
            old = self._said.popleft()
        if old is not None and self.window.inside(item.t_ns):
            done[self.name] += 1
            out.append(Timed(item.t_ns, old.data, self.host, self.port, item.read_ns))
        else:
            self.window.inside(item.t_ns)  # counts from the first datagram, also while there is nothing to repeat
        return out


def malformed(data: bytes, random: Random) -> bytes:
    """A broken twin of a datagram: bits turned, bytes missing, inserted, repeated or replaced, or nothing like it."""
    kind = random.randrange(9)
    broken = bytearray(data)
    if kind == 0 or not data:
        return random.randbytes(random.randrange(0, 64))
    if kind == 1:
        return data[: random.randrange(len(data))]
    if kind == 2:
        return data + random.randbytes(random.randrange(1, 32))
    if kind == 3:
        return data + data
    at = random.randrange(len(data))
    if kind == 4:
        broken[at:at] = random.randbytes(random.randrange(1, 8))
    elif kind == 5:
        del broken[at : at + random.randrange(1, 8)]
    elif kind == 6:
        # Counts and sizes at their ends are what parsers trip over.
        width = random.choice((1, 2, 4))
        broken[at : at + width] = random.choice((b"\xff", b"\x00", b"\x7f")) * width
    elif kind == 7:
        for _ in range(random.randrange(2, 17)):
            broken[random.randrange(len(broken))] = random.randrange(256)
    else:
        broken[at] ^= 1 << random.randrange(8)
    return bytes(broken)


# --- the tracker --------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class ClockFault:
    """The sender's clock: set to another time (T5), running too fast, wrapping at 24 h, or standing still.

    kind: `jump` (label + by_s from then on), `drift` (by_ppm), `wrap` (labels are the time of day and midnight comes
    when the window begins), `stand` (the label stays).
    """

    kind: str
    window: Window
    by_s: float = 0.0
    by_ppm: float = 0.0
    _at: tuple[int, int] | None = None
    """True time and label when it began."""

    @property
    def name(self) -> str:
        return f"clock_{self.kind}"

    def spoil(self, moment: Moment, t_ns: int, done: Counter[str]) -> Moment:
        """The moment under the clock's own label."""
        if self.kind == "wrap":
            # Midnight is fixed by the first label, so that the labels before it already are a time of day.
            if self.window.first_ns is None:
                self.window.inside(t_ns)
                self._at = (t_ns + int(self.window.at_s * S), moment.t_ns + int(self.window.at_s * S))
            assert self._at is not None
            label_ns = (moment.t_ns - self._at[1]) % DAY_NS
            done[self.name] += moment.t_ns >= self._at[1]
            return replace(moment, t_ns=label_ns)
        if not self.window.inside(t_ns):
            return moment
        if self._at is None:
            self._at = (t_ns, moment.t_ns)
        done[self.name] += 1
        if self.kind == "jump":
            return replace(moment, t_ns=moment.t_ns + int(self.by_s * S))
        if self.kind == "drift":
            return replace(moment, t_ns=moment.t_ns + round((moment.t_ns - self._at[1]) * self.by_ppm * 1e-6))
        return replace(moment, t_ns=self._at[1])


NONSENSE: Final = ("nan", "inf", "denormal", "zero_quaternion", "far", "fov_0", "fov_180", "unit")
"""Numbers no camera has: not a number, infinite, a place of 1e-310 m, a quaternion of length 0, 10 km away, fields of
view of 0 and 180 degrees (focal lengths of 1e9 and 1e-9 mm), millimetres said as metres."""


@dataclass(slots=True)
class Nonsense:
    """A share of the poses says what no camera can do (T7)."""

    kinds: Sequence[str]
    share: float
    random: Random
    window: Window
    name: str = "nonsense"

    def spoil(self, moment: Moment, t_ns: int, done: Counter[str]) -> Moment:
        """The moment, or one that no camera can be in."""
        if not self.window.inside(t_ns) or self.random.random() >= self.share:
            return moment
        kind = self.kinds[self.random.randrange(len(self.kinds))]
        done[kind] += 1
        return nonsense(moment, kind)


def nonsense(moment: Moment, kind: str) -> Moment:
    """A moment spoilt in one of the ways of `NONSENSE`. Raises ValueError: no such way."""
    pose = np.array(moment.stage_from_camera)
    lens = moment.lens or LensReading()
    if kind == "nan":
        pose[:3, 3] = nan
        return replace(moment, stage_from_camera=pose, quaternion_xyzw=(nan, nan, nan, nan))
    if kind == "inf":
        pose[0, 3] = inf
        return replace(moment, stage_from_camera=pose)
    if kind == "denormal":
        pose[:3, 3] = 1e-310
        return replace(moment, stage_from_camera=pose)
    if kind == "zero_quaternion":
        return replace(moment, quaternion_xyzw=(0.0, 0.0, 0.0, 0.0))
    if kind == "far":
        pose[0, 3] += 10_000.0
        return replace(moment, stage_from_camera=pose)
    if kind == "unit":
        pose[:3, 3] *= 1000.0
        return replace(moment, stage_from_camera=pose)
    focal_lengths_mm = {"fov_0": 1e9, "fov_180": 1e-9}
    if kind not in focal_lengths_mm:
        raise ValueError(f"no such nonsense: {kind}")
    values = {name: getattr(lens, name) for name in lens.__struct_fields__}
    return replace(moment, lens=LensReading(**{**values, "focal_length_mm": focal_lengths_mm[kind]}))


# --- together -----------------------------------------------------------------------------------------------------


class Faults:
    """Some faults together, in the order given: the tracker's first, then the wire's.

    Attributes
    ----------
    done : how often each fault did something.
    """

    def __init__(self, wire: Sequence[WireFault] = (), tracker: Sequence[TrackerFault] = ()) -> None:
        self.wire, self.tracker = tuple(wire), tuple(tracker)
        self.done: Counter[str] = Counter()

    @classmethod
    def of(cls, names: Iterable[str], seed: int = 0) -> Faults:
        """The named scenarios together: `T2`, `loss`, `T1:for=10`, `T5:jump:by=-3600`, `loss:share=0.2` ...

        A name is one of `SCENARIOS`; `key=value` after a colon changes one of its figures. Each scenario draws from
        its own chance, so that adding one does not change another.

        Raises
        ------
        SendError : a name, a key or a value that means nothing; every fault is named.
        """
        wire: list[WireFault] = []
        tracker: list[TrackerFault] = []
        problems: list[Problem] = []
        for text in names:
            name, figures, problem = _parsed(text)
            if problem is not None:
                problems.append(problem)
                continue
            for part in SCENARIOS[name].make(figures, Random(f"{seed}:{name}")):
                if isinstance(part, ClockFault | Nonsense):
                    tracker.append(part)
                else:
                    wire.append(part)
        if problems:
            raise SendError(*problems)
        return cls(wire, tracker)

    def spoil(self, moment: Moment, t_ns: int) -> Moment:
        """What the tracker says instead of the truth at `t_ns`."""
        for fault in self.tracker:
            moment = fault.spoil(moment, t_ns, self.done)
        return moment

    def feed(self, item: Timed) -> list[Timed]:
        """What becomes of one datagram, each with its own time, not sorted; times never lie before its own."""
        items = [item]
        for fault in self.wire:
            items = [out for each in items for out in fault.feed(each, self.done)]
        return items

    def apply(self, stream: Iterable[Timed]) -> Iterator[Timed]:
        """A whole stream, in order of `reads_ns`, oldest first; `stream` is in order of `t_ns`."""
        waiting: list[tuple[int, int, Timed]] = []
        ages = count()
        for item in stream:
            while waiting and waiting[0][0] < item.t_ns:
                yield heapq.heappop(waiting)[2]
            for out in self.feed(item):
                heapq.heappush(waiting, (out.reads_ns, next(ages), out))
        while waiting:
            yield heapq.heappop(waiting)[2]


Part = Stop | Jitter | Loss | Duplicate | Reorder | Stall | Malform | Flood | Rival | ClockFault | Nonsense


@dataclass(frozen=True, slots=True)
class Scenario:
    """One named fault. figures: what `key=value` may change, with what stands unless told otherwise."""

    about: str
    figures: Mapping[str, float]
    make: Callable[[Mapping[str, float], Random], Sequence[Part]]


def _window(f: Mapping[str, float]) -> Window:
    return Window(f.get("at", 0.0), f.get("for", inf), f.get("every", 0.0))


def _clock(kind: str) -> Callable[[Mapping[str, float], Random], Sequence[Part]]:
    return lambda f, _: [ClockFault(kind, _window(f), f.get("by", 0.0), f.get("ppm", 0.0))]


def _nonsense(*kinds: str) -> Callable[[Mapping[str, float], Random], Sequence[Part]]:
    return lambda f, random: [Nonsense(kinds, f["share"], random, _window(f))]


def _t2(f: Mapping[str, float], random: Random) -> Sequence[Part]:
    return [
        Loss(f["loss"], random),
        Duplicate(f["duplicate"], random),
        Reorder(f["reorder"], random),
        Jitter(f["ms"], random),
    ]


_STOP: Final = {"at": BEGIN_S, "for": 1.0, "every": 0.0}
_NONSENSE: Final = {"share": 0.3, "at": BEGIN_S, "for": 2.0, "every": 0.0}
SCENARIOS: Final[dict[str, Scenario]] = {
    "T1": Scenario("tracking stops for a while", _STOP, lambda f, _: [Stop(_window(f))]),
    "T2": Scenario(
        "jitter, loss, duplicates, reorder", {"ms": 4.0, "loss": 0.05, "duplicate": 0.02, "reorder": 0.03}, _t2
    ),
    "T3": Scenario(
        "bursts of loss, again and again",
        {"at": BEGIN_S, "for": 0.3, "every": 2.0},
        lambda f, _: [Stop(_window(f), "burst_lost")],
    ),
    "T3:half": Scenario(
        "half of the datagrams lost", {"share": 0.5, "at": 0.0}, lambda f, r: [Loss(f["share"], r, _window(f))]
    ),
    "T4": Scenario("the reader stalls", {"at": BEGIN_S, "for": 1.0, "every": 0.0}, lambda f, _: [Stall(_window(f))]),
    "T5": Scenario("the sender's clock is set an hour on", {"at": BEGIN_S, "by": 3600.0}, _clock("jump")),
    "T5:jump": Scenario("the sender's clock is set", {"at": BEGIN_S, "by": 3600.0}, _clock("jump")),
    "T5:back": Scenario("the sender's clock is set an hour back", {"at": BEGIN_S, "by": -3600.0}, _clock("jump")),
    "T5:drift": Scenario("the sender's clock runs fast", {"at": 0.0, "ppm": 200.0}, _clock("drift")),
    "T5:wrap": Scenario("the sender's clock wraps at 24 h", {"at": BEGIN_S}, _clock("wrap")),
    "T5:stand": Scenario("the sender's clock stands", {"at": BEGIN_S, "for": inf}, _clock("stand")),
    "T7": Scenario("numbers no camera has", _NONSENSE, _nonsense(*NONSENSE)),
    **{f"T7:{kind}": Scenario(f"numbers no camera has: {kind}", _NONSENSE, _nonsense(kind)) for kind in NONSENSE},
    "T8": Scenario(
        "broken datagrams beside the good ones", {"share": 0.5, "at": 0.0}, lambda f, r: [Malform(f["share"], r)]
    ),
    "T9": Scenario(
        "a flood of garbage from another sender",
        {"hz": 10_000.0, "at": BEGIN_S, "for": inf},
        lambda f, r: [Flood(f["hz"], r, _window(f))],
    ),
    "T9:spoof": Scenario(
        "a flood of copies from another sender",
        {"hz": 10_000.0, "at": BEGIN_S, "for": inf},
        lambda f, r: [Flood(f["hz"], r, _window(f), copies=True)],
    ),
    "T10": Scenario(
        "a second sender claims the camera",
        {"at": BEGIN_S, "for": inf, "behind": 1.0},
        lambda f, _: [Rival(_window(f), f["behind"])],
    ),
    "jitter": Scenario("late by 0 to twice ms", {"ms": 4.0}, lambda f, r: [Jitter(f["ms"], r)]),
    "loss": Scenario("a share is lost", {"share": 0.05}, lambda f, r: [Loss(f["share"], r)]),
    "duplicate": Scenario(
        "a share comes twice", {"share": 0.02, "ms": 5.0}, lambda f, r: [Duplicate(f["share"], r, f["ms"])]
    ),
    "reorder": Scenario(
        "a share is overtaken", {"share": 0.03, "ms": 20.0}, lambda f, r: [Reorder(f["share"], r, f["ms"])]
    ),
}
"""Everything that can be asked for by name. T6, the host's own clock being set, is a matter of the reader's clock
(`VirtualClock.step_tai`), not of a tracker."""


def _parsed(text: str) -> tuple[str, dict[str, float], Problem | None]:
    parts = text.split(":")
    name = parts[0]
    rest = parts[1:]
    if rest and f"{name}:{rest[0]}" in SCENARIOS:
        name, rest = f"{name}:{rest[0]}", rest[1:]
    scenario = SCENARIOS.get(name)
    if scenario is None:
        return name, {}, _problem(text, "no such fault", f"use {', '.join(SCENARIOS)}")
    figures = dict(scenario.figures)
    for part in ",".join(rest).split(",") if rest else ():
        key, _, value = part.partition("=")
        if key not in figures:
            return name, {}, _problem(text, f"{name} knows no {key!r}", f"use {', '.join(figures) or 'nothing'}")
        try:
            figures[key] = float(value)
        except ValueError:
            return name, {}, _problem(text, f"{key} is no number: {value!r}", f"for example {key}={figures[key]:g}")
        if not abs(figures[key]) < 1e9 or (figures[key] < 0.0 and key != "by"):
            return name, {}, _problem(text, f"{key} is out of range: {value}", f"for example {scenario.figures[key]:g}")
    return name, figures, None


def _problem(value: str, detail: str, mend: str) -> Problem:
    return Problem("tracking.fault", "fault", detail, value, mend)


def _later(item: Timed, by_ns: int) -> Timed:
    return Timed(item.t_ns + by_ns, item.data, item.host, item.port, item.read_ns)
