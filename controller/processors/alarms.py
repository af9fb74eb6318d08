"""What of an LED processor's state a person should know, with where and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from controller.processors.keeper import Kept, said
from controller.processors.mode import Capacity, Delay
from controller.status import Alarm, AlarmValue, Severity
from runtime.clock import NS_PER_S
from stage.errors import Problem

BUSY_NS: Final = 5 * NS_PER_S
"""A processor that loads a project is busy for a while: only then it is worth an alarm."""


def rate_fits(found_hz: float, wanted_hz: float) -> bool:
    """Whether an input's rate is the show's or a whole multiple of it, as finely as processors tell it."""
    times = round(found_hz / wanted_hz)
    return times >= 1 and abs(found_hz - times * wanted_hz) < 0.06 * times


def alarms_of(name: str, kept: Kept, *, rate_hz: float, now_ns: int) -> Iterator[Alarm]:
    """The alarms of one processor; `since_ns` is `now_ns` unless the link tells."""
    path = f"processors/{name}"
    since_ns = kept.since_ns
    match kept.link:
        case "away":
            yield _told("away", path, kept.trouble, "check its power, cable and address", since_ns)
        case "locked":
            yield _told("locked", path, kept.trouble, "let it go on the other host", since_ns)
        case "busy" if now_ns - since_ns >= BUSY_NS:
            yield _told("busy", path, kept.trouble, "wait until it has started, or load a project on it", since_ns)
        case "strange":
            yield _told("trouble", path, kept.trouble, "check address, driver and firmware", since_ns)
        case "ready" if kept.reading is not None:
            yield from _of_reading(path, kept, rate_hz, now_ns)


def _of_reading(path: str, kept: Kept, rate_hz: float, now_ns: int) -> Iterator[Alarm]:
    reading = kept.reading
    assert reading is not None
    signal = reading.signal
    if signal.present is False:
        detail = f"nothing arrives at its input {signal.port}".rstrip()
        mend = "check cable and output"
        yield _alarm("no_signal", f"{path}/signal", detail, mend, now_ns, "critical", input=signal.port)
    elif signal.rate_hz is not None and not rate_fits(signal.rate_hz, rate_hz):
        detail = f"its input runs at {signal.rate_hz:g} Hz, the show at {rate_hz:g}"
        mend = "set the output to the show's rate or a whole multiple of it"
        yield _alarm(
            "rate", f"{path}/signal", detail, mend, now_ns, found_hz=signal.rate_hz, wanted_hz=round(rate_hz, 4)
        )
    if reading.health.troubles:
        detail = "; ".join(reading.health.troubles)
        mend = "see to it at the processor"
        yield _alarm("trouble", f"{path}/health", detail, mend, now_ns, troubles=list(reading.health.troubles))
    for drift in kept.drift:
        mend = f"POST /api/v1/{path}/restore sets it as the show wants it"
        yield _alarm(
            "drift", f"{path}/settings/{drift.name}", drift.words, mend, now_ns,
            setting=drift.name, wanted=said(drift.wanted), found=said(drift.found),
        )  # fmt: skip


def alarms_of_mode(
    name: str, delay: Delay | None, capacity: Capacity | None, *, fits: bool, now_ns: int
) -> Iterator[Alarm]:
    """The alarms of the mode a processor is in. `fits`: what arrives is as large as its canvas."""
    path = f"processors/{name}"
    if not fits:
        detail = "what arrives is not as large as its canvas: it is scaled"
        yield _alarm("size", f"{path}/signal", detail, "set output and processor to the size of the canvas", now_ns)
    if delay is not None and delay.differs:
        detail = f"it delays {delay.real_frames:g} frames, {delay.configured_frames:g} are configured: "
        detail += "; ".join(delay.why)
        mend = f"set stage/{path}/latency_frames to {delay.real_frames:g}, or put the processor back into its mode"
        yield _alarm(
            "latency", f"{path}/latency_frames", detail, mend, now_ns,
            real_frames=delay.real_frames or 0.0, configured_frames=delay.configured_frames,
        )  # fmt: skip
    for broken in capacity.over if capacity is not None else ():
        mend = "lower its rate, multiplier or bits, or give part of its tiles to another processor"
        yield _alarm("capacity", f"{path}/capacity", broken, mend, now_ns, why=broken)


def _told(kind: str, path: str, trouble: Problem | None, mend: str, since_ns: int) -> Alarm:
    detail = trouble.detail if trouble is not None else kind
    mend = (trouble.mend if trouble is not None else "") or mend
    # What it says of itself: `troubles` whether it was told in its health or instead of an answer.
    return _alarm(kind, path, detail, mend, since_ns, troubles=[detail])


def _alarm(
    kind: str,
    path: str,
    detail: str,
    mend: str,
    since_ns: int,
    severity: Severity = "warning",
    **values: AlarmValue,
) -> Alarm:
    return Alarm(f"processor.{kind}", path, detail, severity, mend, since_ns, values)
