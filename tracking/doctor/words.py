"""The report in plain words for a terminal: what comes, how, what is wrong, what to change."""

from __future__ import annotations

from textwrap import wrap
from typing import Final

from tracking.doctor.findings import BodyReport, ClockReport, Finding, Report, SenderReport
from tracking.doctor.guided_check import GuidedReport
from tracking.doctor.names import NAMES

WIDTH: Final = 110
_CLOCKS: Final = {
    "time_stamp": "the sender's time stamps",
    "time_code": "the sender's time code",
    "counter": "the sender's packet counter",
    "time_tag": "OSC time tags",
    "arrival": "arrival: the protocol carries no time that runs",
}
_EPOCHS: Final = {"tai": ", TAI", "unix": ", Unix time", "day": ", time of day"}


def told(report: Report) -> str:
    """The whole report, lines of at most about WIDTH characters."""
    out: list[str] = []
    for sender in report.senders:
        out += [*_sender(sender), ""]
    for finding in report.findings:
        out += [*_finding(finding, 0), ""]
    if report.section:
        out += ["To paste into the configuration (camera ids are yours to choose):", ""]
        out += [f"    {line}" for line in report.section.splitlines()] + [""]
    faults = len(report.faults)
    if not faults:
        out.append("Nothing is wrong with what was heard." if report.senders else "Nothing was heard.")
    else:
        out.append("1 thing matters." if faults == 1 else f"{faults} things matter.")
    return "\n".join(out) + "\n"


def guided_told(report: GuidedReport) -> str:
    """What a guided check found."""
    name = NAMES.get(report.protocol, "nothing that is read")
    out = [f"{name}{', ' + report.body if report.body else ''}"]
    for finding in report.findings:
        out += _finding(finding, 2)
    if report.section:
        out += ["", "To paste into the configuration (camera ids are yours to choose):", ""]
        out += [f"    {line}" for line in report.section.splitlines()]
    out += ["", "Every move was understood." if report.certain else "Not every move was understood: see above."]
    return "\n".join(out) + "\n"


def _sender(sender: SenderReport) -> list[str]:
    where = " to ".join(part for part in (sender.sender, sender.listen) if part) or "recorded datagrams"
    sizes = f"{sender.bytes_min} bytes" if sender.bytes_min == sender.bytes_max else (
        f"{sender.bytes_min} to {sender.bytes_max} bytes"
    )  # fmt: skip
    out = [f"{where}: {NAMES.get(sender.protocol, 'nothing that is read')}"]
    out += _row("datagrams", f"{sender.datagrams}, {sender.datagrams_hz:.2f} a second, {sizes}")
    if sender.about:
        out += _row("format", sender.about)
    if sender.checksum:
        out += _row("checksum", sender.checksum)
    for finding in sender.findings:
        out += _finding(finding, 2)
    for body in sender.bodies:
        out += _body(body, alone=len(sender.bodies) == 1)
    return out


def _body(body: BodyReport, *, alone: bool) -> list[str]:
    flow = body.flow
    out = [] if alone and not body.name else [f"  {body.name or 'unnamed'}"]
    if flow.rate_hz:
        by = {"counter": flow.counter, "time": "its time"}.get(flow.counted_by, "arrivals")
        out += _row("rate", f"{flow.rate_hz:.3f} a second; jitter {flow.jitter_ms:.2f} ms, 1 in 100 is "
                    f"{flow.latest_ms:.1f} ms late")  # fmt: skip
        out += _row(
            "on the way",
            f"{100 * flow.lost_ratio:.1f} % lost (by {by}), {100 * flow.duplicate_ratio:.1f} % double, "
            f"{100 * flow.reorder_ratio:.1f} % overtaken, longest gap {flow.longest_gap_ms:.0f} ms",
        )
    out += _row("time", _clock(body.clock))
    if body.position_m is not None and body.angles_deg is not None:
        x, y, z = body.position_m
        pan, tilt, roll = body.angles_deg
        out += _row("pose", f"x {x:.3f} y {y:.3f} z {z:.3f} m, pan {pan:.2f} tilt {tilt:.2f} roll {roll:.2f} deg; "
                    f"moved {body.moved_m:.3f} m, turned {body.turned_deg:.1f} deg")  # fmt: skip
    for finding in body.findings:
        out += _finding(finding, 2)
    return out


def _clock(clock: ClockReport) -> str:
    words = _CLOCKS[clock.source] + _EPOCHS.get(clock.epoch, "")
    if clock.drift_ppm is not None and clock.source != "arrival":
        words += f", {round(clock.drift_ppm):+d} ppm"
    return words + (", standing still" if clock.stands else "")


def _row(name: str, text: str) -> list[str]:
    lines = wrap(text, WIDTH - 15) or [""]
    return [f"    {name:<11}{lines[0]}", *(f"{'':15}{line}" for line in lines[1:])]


def _finding(finding: Finding, indent: int) -> list[str]:
    mark = "!" if finding.weight == "fault" else "-"
    pad = " " * indent
    text = finding.says + (f" ({finding.seen})" if finding.seen else "")
    lines = wrap(text, WIDTH - indent - 2)
    out = [f"{pad}{mark} {lines[0]}", *(f"{pad}  {line}" for line in lines[1:])]
    if finding.tracker:
        mend = wrap(f"at the tracker: {finding.tracker}", WIDTH - indent - 6)
        out += [f"{pad}    {line}" for line in mend]
    if finding.source:
        out.append(f"{pad}    here: {', '.join(_keys(finding.source))}")
    return out


def _keys(source: dict[str, object], prefix: str = "") -> list[str]:
    out = []
    for key, value in source.items():
        if isinstance(value, dict):
            out += _keys(value, f"{prefix}{key}.")
        else:
            out.append(f"{prefix}{key}: {value}")
    return out
