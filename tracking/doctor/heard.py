"""What the doctor examines: datagrams as they came to one address, live, from a take or from a recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from stage.errors import Problem
from stage.rate import NS_PER_S
from tracking.errors import PlayError
from tracking.play import read_take
from tracking.receivers import Arrival

CAPTURE_SUFFIX: Final = ".mcap"


@dataclass(frozen=True, slots=True)
class Heard:
    """Everything that came to one address."""

    listen: str
    """As a source's `listen` would name it; empty: not known (a take)."""
    arrivals: Sequence[Arrival] = field(repr=False)
    """In the order they were read."""
    interface: str = ""
    """Of a multicast group."""
    tai_minus_arrival_ns: int | None = None
    """Added to an arrival it gives TAI; None: when it was is not known."""


def heard_from_file(path: Path) -> list[Heard]:
    """What a take (JSON lines, as `openvolume play` sends) or a recording (`.mcap`) holds, one for each address.

    Raises
    ------
    TrackingError : the file cannot be read, or is neither.
    """
    if path.suffix == CAPTURE_SUFFIX:
        return _from_capture(path)
    arrivals = [Arrival(data, "", 0, int(line.t_s * NS_PER_S)) for line in read_take(path) for data in line.datagrams]
    return [Heard("", arrivals)]


def _from_capture(path: Path) -> list[Heard]:
    from tracking.capture import read_capture

    capture = read_capture(path)
    if not capture.datagrams:
        raise PlayError(Problem("tracking.play_file", str(path), "holds no datagrams", mend="give a recorded take"))
    by_link: dict[int, list[Arrival]] = {}
    for datagram in capture.datagrams:
        arrival = Arrival(datagram.data, datagram.host, datagram.port, datagram.t_received_ns)
        by_link.setdefault(datagram.link, []).append(arrival)
    tai_ns = capture.info.tai_minus_monotonic_ns
    return [
        Heard(capture.links[link].listen, arrivals, tai_minus_arrival_ns=tai_ns) for link, arrivals in by_link.items()
    ]


class _Step(Struct, frozen=True):
    step: str = ""


_STEP: Final = msgspec.json.Decoder(_Step)


def steps_from_file(path: Path) -> dict[str, list[Arrival]]:
    """A guided check that was saved: a take whose lines say in `step` what the operator was doing.

    Raises
    ------
    PlayError : the file cannot be read, or names no steps.
    """
    lines = read_take(path)
    rows = [row for row in path.read_text(encoding="utf-8").splitlines() if row.strip()]
    out: dict[str, list[Arrival]] = {}
    for line, row in zip(lines, rows, strict=True):
        try:
            step = _STEP.decode(row).step
        except msgspec.DecodeError as error:
            raise PlayError(Problem("tracking.play_line", str(path), str(error), mend="step is a text")) from error
        if step:
            out.setdefault(step, []).extend(Arrival(d, "", 0, int(line.t_s * NS_PER_S)) for d in line.datagrams)
    if not out:
        raise PlayError(
            Problem(
                "tracking.play_file",
                str(path),
                "its lines name no steps",
                mend='each line of a guided check holds "step": "still", "pan_right" ...',
            )
        )
    return out


def take_line(arrival: Arrival, first_ns: int, step: str = "") -> str:
    """A datagram as a line of a take, with the step it belongs to."""
    t_s = (arrival.t_received_ns - first_ns) / NS_PER_S
    more = {"step": step} if step else {}
    return msgspec.json.encode({"t": round(t_s, 9), "hex": arrival.data.hex(), **more}).decode() + "\n"
