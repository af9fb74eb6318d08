"""What is wrong with how a body's packets arrive, in words; and the counters that protocols hide."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from tracking.decoders import Packet
from tracking.doctor.bodies import Body
from tracking.doctor.findings import Finding, Flow
from tracking.doctor.rates import Mark, flow_of
from tracking.protocols.freed import FreeDPacket
from tracking.protocols.mosys_f4 import F4Packet
from tracking.protocols.natnet import Frame
from tracking.protocols.opentrackio import OpenTrackIOPacket
from tracking.protocols.psn import PsnData
from tracking.protocols.rttrpm import RttrpmPacket
from tracking.protocols.stype import StypePacket
from tracking.protocols.zmq_pose import ZmqPosePacket

LOSS_MATTERS = 0.01
LOSS_NOTED = 0.001
DISORDER_MATTERS = 0.01
SHAKES_RATIO = 0.12
"""Jitter of so much of a period shakes a moving picture where arrivals stamp the samples."""
SHAKES_MS = 1.0
STOPPED_MS = 250.0
STOPPED_PERIODS = 8.0
SIXTEEN_BITS = 1 << 16
FULL_LENGTH = 1 << 40
"""For counters that never wrap within a recording."""


def body_flow(body: Body, doubles: int) -> Flow:
    """How a body's packets arrive.

    doubles: how many of its datagrams were taken out before as doubles.
    """
    modulus, word = _modulus([packet for _, packet in body.items])
    marks = [
        Mark(a.t_received_ns, _counter(p, word) if modulus else None, p.t_source_ns, hash(a.data))
        for a, p in body.items
    ]
    flow = flow_of(marks, modulus, doubles=doubles)
    return msgspec.structs.replace(flow, counter=word) if flow.counted_by == "counter" else flow


def _modulus(packets: Sequence[Packet]) -> tuple[int | None, str]:
    """Where a protocol's counter wraps, and what it is called; None: it has none."""
    match packets[0] if packets else None:
        case F4Packet():
            return 16, "frame counter (0 to 15)"
        case StypePacket() as packet:
            return (256, "packet number") if packet.format == "hf" else (None, "")
        case PsnData():
            return 256, "frame id"
        case RttrpmPacket():
            return 1 << 32, "packet id"
        case Frame():
            return 1 << 31, "frame number"
        case ZmqPosePacket():
            return FULL_LENGTH, "sequence"
        case OpenTrackIOPacket():
            numbers = [p.sequence or 0 for p in packets if isinstance(p, OpenTrackIOPacket)]
            return (SIXTEEN_BITS if max(numbers) < SIXTEEN_BITS else FULL_LENGTH), "sequence number"
        case FreeDPacket():
            spares = [p.spare for p in packets if isinstance(p, FreeDPacket)]
            if _counts(spares, SIXTEEN_BITS):
                return SIXTEEN_BITS, "the two spare bytes"
            if _counts([s >> 12 for s in spares], 16):
                return 16, "top 4 bits of the spare bytes"
    return None, ""


def _counts(numbers: Sequence[int], modulus: int) -> bool:
    """Whether numbers go up by one nearly always."""
    steps = Counter((b - a) % modulus for a, b in pairwise(numbers))
    return len(numbers) > 8 and steps[1] > 0.6 * (len(numbers) - 1)


def _counter(packet: Packet, word: str) -> int | None:
    if isinstance(packet, FreeDPacket):
        return packet.spare >> 12 if word.startswith("top") else packet.spare
    return getattr(packet, "sequence", None)


def flow_findings(flow: Flow, *, by_arrival: bool) -> list[Finding]:
    """What is wrong with how packets arrive. by_arrival: whether arrivals stamp the samples."""
    out: list[Finding] = []
    period_ms = 1000.0 / flow.rate_hz if flow.rate_hz > 0.0 else 0.0
    stopped = flow.longest_gap_ms > max(STOPPED_MS, STOPPED_PERIODS * period_ms) and flow.rate_hz > 0.0
    guess = "" if flow.counted_by == "counter" else f" (told by {'its time' if flow.counted_by == 'time' else 'gaps'})"
    if flow.lost_ratio >= LOSS_NOTED and (flow.lost_ratio >= LOSS_MATTERS or not stopped):
        out.append(
            Finding(
                "doctor.loss",
                "fault" if flow.lost_ratio >= LOSS_MATTERS else "note",
                f"{100 * flow.lost_ratio:.1f} % of its packets never arrive{guess}",
                f"{flow.packets} arrived in {flow.seconds_s:.1f} s",
                "a wire instead of radio; no slow link, hub or busy switch port between tracker and controller",
            )
        )
    if stopped:
        out.append(
            Finding(
                "doctor.stops",
                "fault",
                f"nothing came for {flow.longest_gap_ms / 1000.0:.2f} s in the midst of it",
                f"usually a packet comes every {period_ms:.1f} ms",
                "look whether the tracker lost its sight, and whether the cable or the radio link holds",
            )
        )
    if flow.duplicate_ratio >= DISORDER_MATTERS:
        out.append(
            Finding(
                "doctor.duplicates",
                "fault",
                f"{100 * flow.duplicate_ratio:.1f} % of its packets come twice",
                f"{flow.packets} arrived in {flow.seconds_s:.1f} s",
                "one way only: no second network path, no relay beside the tracker, no mirrored switch port",
            )
        )
    if flow.reorder_ratio >= DISORDER_MATTERS:
        out.append(
            Finding(
                "doctor.reorder",
                "fault",
                f"{100 * flow.reorder_ratio:.1f} % of its packets are overtaken by younger ones",
                f"{flow.packets} arrived in {flow.seconds_s:.1f} s",
                "one way only: no radio, no bonded links between tracker and controller",
            )
        )
    if period_ms and flow.jitter_ms > max(SHAKES_MS, SHAKES_RATIO * period_ms):
        says = f"packets arrive unevenly, by {flow.jitter_ms:.1f} ms"
        seen = f"one in a hundred is {flow.latest_ms:.1f} ms late; the period is {period_ms:.1f} ms"
        if by_arrival:
            mend = "a wire and a quiet network; or a protocol with time stamps, which take the unevenness out"
            out.append(Finding("doctor.jitter", "fault", says + ", and nothing else stamps its samples", seen, mend))
        else:
            out.append(Finding("doctor.jitter", "note", says + "; the sender's own time takes it out", seen))
    return out
