"""The whole examination: from what was heard on some addresses to a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any, Final

import msgspec

from tracking.config import ProtocolName
from tracking.doctor.about import about
from tracking.doctor.bodies import Body, Decoded, decode, poses_of
from tracking.doctor.checksums import checksum_of
from tracking.doctor.clocks import clock_of
from tracking.doctor.findings import BodyReport, Finding, Report, SenderReport
from tracking.doctor.flows import body_flow, flow_findings
from tracking.doctor.heard import Heard
from tracking.doctor.judge_poses import judged
from tracking.doctor.names import NAMES
from tracking.doctor.section import merged, section_of
from tracking.doctor.sniff import Guess, sniff
from tracking.protocols import natnet, psn, vmc
from tracking.protocols.cooke import CookePacket
from tracking.protocols.vmc import VmcFigure
from tracking.receivers import Arrival
from tracking.sender import DEFAULT_PORTS

FEW: Final = 3
"""A port is a sender of its own from so many datagrams on: some programs open one for each."""
FLOOD_HZ: Final = 1000.0
BROKEN_MATTERS: Final = 0.01
OVERLAP_NS: Final = 300_000_000
MOST_IN_SECTION: Final = 8


def diagnose(heard: Sequence[Heard], *, cameras: Iterable[str] = ()) -> Report:
    """Everything that can be told of what was heard. cameras: ids of the cameras in the proposed section, in order."""
    senders: list[SenderReport] = []
    findings: list[Finding] = []
    sources: dict[tuple[str, str, str], tuple[int, dict[str, Any]]] = {}
    for address in heard:
        if not address.arrivals:
            findings.append(_silence(address))
            continue
        examined = [_examine(address, name, arrivals) for name, arrivals in _by_sender(address.arrivals)]
        findings += _contests(address, examined)
        alone = any(report.protocol for report, _ in examined)
        for report, _ in examined:
            if not report.protocol and alone:
                report = _stranger_beside(report)
            senders.append(report)
            for body in report.bodies:
                key = (address.listen, report.protocol, body.name)
                if body.source and body.samples > sources.get(key, (0, {}))[0]:
                    sources[key] = (body.samples, body.source)
    proposed = [source for _, source in list(sources.values())[:MOST_IN_SECTION]]
    return Report(tuple(senders), tuple(findings), section_of(_one_protocol_each(proposed), cameras))


def _by_sender(arrivals: Sequence[Arrival]) -> list[tuple[str, list[Arrival]]]:
    counts = Counter((a.host, a.port) for a in arrivals)
    out: dict[str, list[Arrival]] = {}
    for arrival in arrivals:
        many = counts[arrival.host, arrival.port] >= FEW
        name = arrival.host and (f"{arrival.host}:{arrival.port}" if many else f"{arrival.host}:*")
        out.setdefault(name, []).append(arrival)
    return sorted(out.items(), key=lambda item: -len(item[1]))


def _examine(
    heard: Heard, sender: str, arrivals: list[Arrival]
) -> tuple[SenderReport, dict[str, tuple[int, int, int]]]:
    """The report of one sender, and for each of its bodies the first and last arrival and the packets."""
    guess = sniff([arrival.data for arrival in arrivals])
    sizes = [len(arrival.data) for arrival in arrivals]
    times = sorted(arrival.t_received_ns for arrival in arrivals)
    span_s = (times[-1] - times[0]) / 1e9
    rate_hz = (len(times) - 1) / span_s if span_s > 0.0 else 0.0
    if guess.protocol is None:
        found = [_not_tracking(guess, rate_hz)]
        report = SenderReport(
            heard.listen, sender, "", datagrams=len(arrivals), datagrams_hz=rate_hz, bytes_min=min(sizes),
            bytes_max=max(sizes), findings=tuple(found),
        )  # fmt: skip
        return report, {}
    protocol = guess.protocol
    decoded = decode(protocol, arrivals, {"freed": {"stream": True}} if guess.stream else {})
    checksum, findings = checksum_of(protocol, [p for _, p in decoded.packets], decoded.refused)
    if any(finding.code == "doctor.checksum_errors" for finding in findings):
        # A checksum that is right but for damage tells what is damaged.
        decoded = decode(protocol, arrivals, merged(decoded.fixed, {"checksum": "strict"}))
        decoded.fixed.pop("checksum")
    fixed = merged(decoded.fixed, *(finding.source for finding in findings))
    findings += _broken(decoded, guess, len(arrivals), bool(decoded.bodies))
    bodies = [_body(heard, protocol, body, decoded, fixed) for body in decoded.bodies]
    report = SenderReport(
        heard.listen,
        sender,
        protocol,
        about(decoded),
        checksum,
        len(arrivals),
        rate_hz,
        min(sizes),
        max(sizes),
        tuple(bodies),
        tuple(findings),
    )
    spans = {
        body.name: (body.items[0][0].t_received_ns, body.items[-1][0].t_received_ns, len(body.items))
        for body in decoded.bodies
        if body.items
    }
    return report, spans


def _body(heard: Heard, protocol: ProtocolName, body: Body, decoded: Decoded, fixed: dict[str, Any]) -> BodyReport:
    doubles = decoded.refused["duplicate"] * len(body.items) // max(1, len(decoded.packets))
    flow = body_flow(body, doubles)
    times = [(arrival.t_received_ns, packet.t_source_ns) for arrival, packet in body.items]
    packet = body.items[0][1] if body.items else None
    clock, findings = clock_of(packet, times, heard.tai_minus_arrival_ns)
    if isinstance(packet, CookePacket):
        # A line gives several records at a time, and tells of none that is missing.
        flow = msgspec.structs.replace(flow, lost_ratio=0.0)
    else:
        findings += flow_findings(flow, by_arrival=clock.source == "arrival")
    looked = merged(fixed, body.keys)
    poses = poses_of(protocol, body, looked)
    refused = Counter(poses.refused)
    for reason in ("untracked", "nan", "range", "type", "schema"):
        if poses.refused[reason]:
            findings.append(_unusable(reason, poses.refused[reason], len(body.items), poses.details[reason]))
    judgement = judged(protocol, body, looked, poses)
    findings += judgement.findings
    source: dict[str, Any] = {}
    if (poses.samples and not isinstance(packet, VmcFigure)) or isinstance(packet, CookePacket):
        needed = body.keys if len(decoded.bodies) > 1 or protocol in ("osc", "zmq") else {}
        listen = heard.listen or default_listen(protocol)
        address = {"protocol": protocol, "listen": listen}
        if heard.interface:
            address["interface"] = heard.interface
        source = merged(address, needed, fixed, *(finding.source for finding in findings))
    if isinstance(packet, CookePacket):
        findings.append(
            Finding("doctor.lens", "note", "a lens, no poses: its source stands beside the one that moves the camera")
        )
    if isinstance(packet, VmcFigure):
        findings.append(
            Finding("doctor.performer", "note", "a performer's skeleton, no camera: configure it as a subject")
        )
    return BodyReport(
        name=body.name,
        flow=flow,
        clock=clock,
        samples=len(body.items) if isinstance(packet, CookePacket) else len(poses.samples),
        refused=dict(refused),
        position_m=judgement.position_m,
        angles_deg=judgement.angles_deg,
        moved_m=judgement.moved_m,
        turned_deg=judgement.turned_deg,
        findings=tuple(findings),
        source=source,
    )


def default_listen(protocol: str) -> str:
    """Where a protocol usually is listened for, when a take does not say."""
    if protocol == "zmq":
        return "tcp://127.0.0.1:40002"
    host = {"psn": psn.GROUP, "natnet": natnet.GROUP, "opentrackio": "239.135.1.1"}.get(protocol, "0.0.0.0")  # noqa: S104
    return f"{host}:{vmc.PORT if protocol == 'vmc' else DEFAULT_PORTS[protocol]}"


# --- findings about senders and addresses -------------------------------------------------------------------------


def _silence(heard: Heard) -> Finding:
    return Finding(
        "doctor.silence",
        "fault",
        f"nothing arrives at {heard.listen}",
        tracker="this machine's address and this port as its target, and sending switched on; then "
        "cables and the firewall; for multicast the interface (`--listen udp://GROUP:PORT@ADDRESS`)",
    )


def _not_tracking(guess: Guess, rate_hz: float) -> Finding:
    what = guess.other or "no protocol that OpenVolume reads"
    seen = f"{rate_hz:.0f} datagrams a second"
    known = ", ".join(name for name in NAMES.values())
    mend = f"set the tracker to a protocol of this list: {known}"
    return Finding("doctor.unknown", "fault", f"what it sends is {what}", seen, mend)


def _stranger_beside(report: SenderReport) -> SenderReport:
    """A sender of something else beside a tracker: it matters when it floods."""
    first = report.findings[0]
    flood = report.datagrams_hz > FLOOD_HZ
    host = report.sender.rpartition(":")[0]
    says = first.says.removeprefix("what it sends is ")
    finding = Finding(
        "doctor.flood" if flood else "doctor.unknown",
        "fault" if flood else "note",
        f"{host} floods this port with {says}" if flood else f"{host} sends {says} to the tracker's port",
        first.seen,
        f"stop it, or give the tracker another port; `allow` with the tracker's address keeps {host} out",
    )
    return SenderReport(
        report.listen, report.sender, "", datagrams=report.datagrams, datagrams_hz=report.datagrams_hz,
        bytes_min=report.bytes_min, bytes_max=report.bytes_max, findings=(finding,),
    )  # fmt: skip


_HARMLESS: Final = ("duplicate", "segment", "other_message", "checksum")


def _broken(decoded: Decoded, guess: Guess, total: int, has_bodies: bool) -> list[Finding]:
    out = []
    reasons = {r: n for r, n in decoded.refused.items() if r not in _HARMLESS}
    count = sum(reasons.values())
    if count:
        worst = max(reasons, key=lambda r: reasons[r])
        detail = decoded.details.get(worst, "")
        heavy = count > BROKEN_MATTERS * total or not has_bodies
        out.append(
            Finding(
                "doctor.broken",
                "fault" if heavy else "note",
                f"{count} of {total} datagrams are refused: {worst}" + (f" ({detail})" if detail else ""),
                ", ".join(f"{r} {n}" for r, n in sorted(reasons.items(), key=lambda item: -item[1])),
                _BROKEN_MENDS.get(worst, "look for a converter or relay that changes the datagrams on the way"),
            )
        )
    if decoded.refused["segment"] > BROKEN_MATTERS * total:
        out.append(
            Finding(
                "doctor.segments",
                "fault",
                f"{decoded.refused['segment']} samples came in parts, and some parts never came",
                decoded.details.get("segment", ""),
                "send fewer fields, so that a sample fits one datagram (1456 bytes); and see what loses datagrams",
            )
        )
    if not decoded.bodies and not count:
        out.append(
            Finding(
                "doctor.no_pose",
                "fault",
                "it speaks the protocol, but says no poses",
                ", ".join(f"{r} {n}" for r, n in decoded.refused.items()) or f"{guess.whole} datagrams",
                "switch on the streaming of cameras or rigid bodies in the tracker",
            )
        )
    return out


_BROKEN_MENDS: Final = {
    "range": "tilt must be within 90 degrees: tilt and pan or roll may be exchanged, or angles sent as 0 to 360",
    "version": "set the sender to a version that is read: see the tracking page",
    "nan": "the tracker sends numbers that are none: let it initialise, or see its log",
    "short": "datagrams arrive cut off: look at converters, and at a limit on their size (MTU)",
    "schema": "fields are missing or of the wrong kind: compare with the tracking page",
    "type": "arguments are missing or of the wrong kind: compare with the tracking page",
}
_UNUSABLE: Final = {
    "untracked": ("the tracker says it does not see the body", "give the tracker sight of its markers or stars"),
    "nan": ("poses hold numbers that are none", "let the tracker initialise, or see its log"),
    "range": ("poses cannot be: a quaternion without direction, or values no camera has", "see the tracker's log"),
    "type": ("arguments do not fit the mapping", "compare the sender's message with the mapping"),
    "schema": ("a pose lacks its place or its turn", "send location and rotation of the bone"),
}


def _unusable(reason: str, count: int, total: int, detail: str) -> Finding:
    says, mend = _UNUSABLE[reason]
    code = "doctor.zero_quaternion" if "no direction" in detail else f"doctor.{reason}"
    if code == "doctor.zero_quaternion":
        says, mend = "quaternions of length zero: no rotation at all", "let the tracker initialise before it sends"
    heavy = count > BROKEN_MATTERS * total
    return Finding(code, "fault" if heavy else "note", says, f"{count} of {total}: {detail}", mend)


def _contests(heard: Heard, examined: Sequence[tuple[SenderReport, dict[str, tuple[int, int, int]]]]) -> list[Finding]:
    """Senders that claim the same body at the same time."""
    out = []
    for (a, spans_a), (b, spans_b) in combinations(examined, 2):
        if a.protocol != b.protocol or not a.sender or a.sender == b.sender:
            continue
        for name in spans_a.keys() & spans_b.keys():
            begin = max(spans_a[name][0], spans_b[name][0])
            end = min(spans_a[name][1], spans_b[name][1])
            if end - begin < OVERLAP_NS or min(spans_a[name][2], spans_b[name][2]) < FEW:
                continue
            first, other = (a, b) if spans_a[name][0] <= spans_b[name][0] else (b, a)
            host = first.sender.rpartition(":")[0]
            differ = host != other.sender.rpartition(":")[0]
            out.append(
                Finding(
                    "doctor.second_sender",
                    "fault",
                    f"{first.sender} and {other.sender} both send"
                    + (f" {name}" if name else "")
                    + f" to {heard.listen}; the first one counts",
                    f"{(end - begin) / 1e9:.1f} s side by side",
                    "stop one of them, or give it another port or id",
                    {"allow": [host]} if differ else {},
                )
            )
    return out


def _one_protocol_each(sources: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sources without those whose address another protocol has: one address carries one."""
    protocols: dict[str, str] = {}
    return [s for s in sources if protocols.setdefault(s["listen"], s["protocol"]) == s["protocol"]]
