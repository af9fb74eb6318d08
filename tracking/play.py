"""Plays files of recorded datagrams to an address at their own pace. `play` is what `openvolume play` calls.

A file holds one JSON object a line: `t`, seconds from the start, and `hex`, one datagram, or `datagrams`, a list of
them; other keys (what was sent, where, what is expected) are let pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from math import isfinite
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from runtime.clock import Clock, SystemClock
from stage.errors import Problem
from stage.rate import NS_PER_S
from tracking.errors import PlayError
from tracking.sender import UdpWire, Wire

MAX_DATAGRAM: Final = 65507
MAX_PROBLEMS: Final = 20


class Line(Struct, frozen=True):
    """One line: when, and what was sent then."""

    t_s: float
    datagrams: tuple[bytes, ...]


class _Wire(Struct, frozen=True):
    t: float
    hex: str | None = None
    datagrams: tuple[str, ...] | None = None


_DECODER: Final = msgspec.json.Decoder(_Wire)


def read_take(path: Path | str) -> list[Line]:
    """Every line of a file, in order of time.

    Raises
    ------
    PlayError : the file cannot be read, holds nothing, or lines are malformed; each is named with its number.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise PlayError(
            Problem("tracking.play_file", str(path), f"cannot be read: {reason}", mend="give a .jsonl file")
        ) from error
    lines: list[Line] = []
    problems: list[Problem] = []
    last_s = 0.0
    for number, row in enumerate(text.splitlines(), 1):
        if not row.strip():
            continue
        try:
            line = _line(row)
            if line.t_s < last_s:
                raise ValueError(f"t {line.t_s:g} is before the line above ({last_s:g})")
        except (msgspec.DecodeError, ValueError) as error:
            problems.append(
                Problem(
                    "tracking.play_line",
                    str(path),
                    str(error),
                    line=number,
                    mend='each line is {"t": seconds, "hex": "..."} or {"t": seconds, "datagrams": ["...", ...]}',
                )
            )
            if len(problems) == MAX_PROBLEMS:
                break
            continue
        last_s = line.t_s
        lines.append(line)
    if problems:
        raise PlayError(*problems)
    if not lines:
        raise PlayError(Problem("tracking.play_file", str(path), "holds no datagrams", mend="give a recorded take"))
    return lines


def _line(row: str) -> Line:
    wire = _DECODER.decode(row)
    if not isfinite(wire.t) or wire.t < 0.0:
        raise ValueError(f"t is {wire.t:g}")
    if (wire.hex is None) == (wire.datagrams is None):
        raise ValueError("either hex or datagrams is needed")
    texts = (wire.hex,) if wire.hex is not None else wire.datagrams or ()
    datagrams = tuple(_bytes(text) for text in texts)
    return Line(wire.t, datagrams)


def _bytes(text: str) -> bytes:
    try:
        data = bytes.fromhex(text)
    except ValueError as error:
        raise ValueError(f"not hexadecimal: {text[:24]}") from error
    if len(data) > MAX_DATAGRAM:
        raise ValueError(f"a datagram of {len(data)} bytes fits no UDP packet")
    return data


def play(
    path: Path | str,
    target: str,
    *,
    speed: float = 1.0,
    loop: bool = False,
    clock: Clock | None = None,
    wire: Wire | None = None,
    stop: Callable[[], bool] | None = None,
    started: Callable[[int, float], None] | None = None,
) -> int:
    """Send a file's datagrams to HOST:PORT, each at its own time; datagrams sent. What `openvolume play` calls.

    speed: 2 plays twice as fast; loop: begin again, one usual step after the last line, until `stop` says so; wire:
    where to send instead of the target; started: told the number of lines and the length in seconds.

    Raises
    ------
    PlayError : the file is malformed (lines named) or the speed is no speed.
    SendError : the target is not HOST:PORT.
    """
    if not 0.01 <= speed <= 1000.0:
        raise PlayError(Problem("tracking.speed", "speed", "not a speed", speed, "use 0.01 to 1000; 1 is as recorded"))
    lines = read_take(path)
    out = wire if wire is not None else UdpWire(target)
    try:
        if started is not None:
            started(len(lines), lines[-1].t_s - lines[0].t_s)
        return _play(lines, out, clock or SystemClock(), speed, loop, stop)
    finally:
        if wire is None:
            out.close()


def _play(
    lines: list[Line], wire: Wire, clock: Clock, speed: float, loop: bool, stop: Callable[[], bool] | None
) -> int:
    first_s = lines[0].t_s
    t0_ns = clock.now_ns()
    loop_ns = int((lines[-1].t_s - first_s + usual_step_s(line.t_s for line in lines)) / speed * NS_PER_S)
    sent = 0
    turn = 0
    while True:
        for line in lines:
            if stop is not None and stop():
                return sent
            clock.sleep_until(t0_ns + turn * loop_ns + int((line.t_s - first_s) / speed * NS_PER_S))
            for datagram in line.datagrams:
                wire.send(datagram)
                sent += 1
        if not loop:
            return sent
        turn += 1


def usual_step_s(times_s: Iterable[float]) -> float:
    """Median time between lines, seconds; 0.04 for a single line."""
    times = list(times_s)
    steps = sorted(b - a for a, b in pairwise(times))
    return steps[len(steps) // 2] if steps else 0.04
