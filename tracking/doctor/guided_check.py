"""The guided check on datagrams: what came during each step, read without corrections, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from stage.frames import Array
from tracking.doctor.bodies import decode, poses_of
from tracking.doctor.checksums import checksum_of
from tracking.doctor.diagnose import default_listen
from tracking.doctor.findings import Finding
from tracking.doctor.guided import STEPS, guided
from tracking.doctor.judge_poses import arrays_of
from tracking.doctor.section import merged, section_of
from tracking.doctor.sniff import sniff
from tracking.receivers import Arrival


class GuidedReport(Struct, frozen=True):
    """What a guided check found."""

    protocol: str
    body: str = ""
    certain: bool = False
    """Whether every step was done and understood."""
    findings: tuple[Finding, ...] = ()
    source: dict[str, Any] = {}
    section: str = ""
    """YAML to paste."""

    @property
    def faults(self) -> list[Finding]:
        """Every finding that matters."""
        return [finding for finding in self.findings if finding.weight == "fault"]


def guided_report(
    steps: Mapping[str, list[Arrival]], *, listen: str = "", interface: str = "", cameras: Iterable[str] = ()
) -> GuidedReport:
    """What the moves of a guided check tell. steps: what arrived during each of `guided.STEPS`, steps in any order."""
    arrivals = [arrival for came in steps.values() for arrival in came]
    if not arrivals:
        return GuidedReport("", findings=(Finding("doctor.silence", "fault", "nothing arrived during the steps"),))
    guess = sniff([arrival.data for arrival in arrivals])
    if guess.protocol is None:
        says = f"what it sends is {guess.other or 'no protocol that OpenVolume reads'}"
        return GuidedReport("", findings=(Finding("doctor.unknown", "fault", says),))
    protocol = guess.protocol
    decoded = decode(protocol, arrivals, {"freed": {"stream": True}} if guess.stream else {})
    _, findings = checksum_of(protocol, [packet for _, packet in decoded.packets], decoded.refused)
    fixed = merged(decoded.fixed, *(finding.source for finding in findings))
    # The camera of the check is the body that is told of most, and of those the one that moved.
    best: tuple[float, str, dict[str, Any], dict[str, tuple[Array, Array]]] | None = None
    for body in decoded.bodies:
        keys = merged(fixed, body.keys)
        times_ns, positions_m, rotations = arrays_of(poses_of(protocol, body, keys))
        read: dict[str, tuple[Array, Array]] = {}
        for name in STEPS:
            came = steps.get(name)
            if came:
                inside = (times_ns >= came[0].t_received_ns) & (times_ns <= came[-1].t_received_ns)
                read[name] = (positions_m[inside], rotations[inside])
        swing = sum(float(abs(r - r[0]).max()) + float(abs(p - p[0]).max()) for p, r in read.values() if len(p))
        if any(len(p) for p, _ in read.values()) and (best is None or swing > best[0]):
            best = (swing, body.name, body.keys, read)
    if best is None:
        findings.append(Finding("doctor.no_pose", "fault", "it speaks the protocol, but says no poses"))
        return GuidedReport(protocol, findings=tuple(findings))
    _, body_name, own, read = best
    told = guided(read)
    needed = own if len(decoded.bodies) > 1 or protocol in ("osc", "zmq") else {}
    address = {"protocol": protocol, "listen": listen or default_listen(protocol)}
    address |= {"interface": interface} if interface else {}
    source = merged(address, needed, fixed, told.keys)
    return GuidedReport(
        protocol, body_name, told.certain, (*findings, *told.findings), source, section_of([source], cameras)
    )
