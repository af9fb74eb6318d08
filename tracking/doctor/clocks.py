"""What a sender's time is worth: whether it runs, at whose pace, from which epoch, and whether it was set."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, Literal

import numpy as np

from tracking.doctor.findings import ClockReport, Finding
from tracking.protocols.freed import FreeDPacket
from tracking.protocols.mosys_f4 import F4Packet
from tracking.protocols.opentrackio import OpenTrackIOPacket, epoch_of
from tracking.protocols.osc import OscPacket
from tracking.protocols.stype import StypePacket
from tracking.protocols.vmc import VmcFigure, VmcMessage

Kind = Literal["time_stamp", "time_code", "counter", "time_tag", "arrival"]
Pairs = list[tuple[int, int]]
"""Arrival and the sender's own time, ns."""

JUMP_NS: Final = 100_000_000
STANDS_NS: Final = 250_000_000
STANDS_PACKETS: Final = 4
DAY_NS: Final = 86_400_000_000_000
MATTERS_PPM: Final = 1000.0
"""A clock off by so much is no crystal: it counts another rate than it is told to."""
NOTED_PPM: Final = 50.0
MONTH_NS: Final = 30 * DAY_NS


def clock_of(
    packet: object, times: Sequence[tuple[int, int | None]], tai_minus_arrival_ns: int | None
) -> tuple[ClockReport, list[Finding]]:
    """What stamps a body's samples.

    packet: one of them; times: arrival and the sender's own time of each packet, ns, in order of arrival.
    """
    pairs = [(t, s) for t, s in times if s is not None]
    if len(pairs) < 2 or len(pairs) < len(times) // 2:
        return ClockReport(), []
    kind = _kind(packet)
    findings: list[Finding] = []
    stands_ns = _standing_ns(pairs)
    stretches = _stretches(pairs)
    jumps = len(stretches) - 1
    midnights = sum(1 for a, b in pairwise(stretches) if abs(abs(_offset(b[0]) - _offset(a[-1])) - DAY_NS) < JUMP_NS)
    longest = max(stretches, key=lambda part: part[-1][0] - part[0][0])
    drift_ppm, error_ppm = _drift(longest)
    stands = stands_ns > 0
    mend = {"match": "arrival"}
    what = {"time_code": "time code", "time_tag": "time tags"}.get(kind, "time stamps")
    if stands:
        findings.append(
            Finding(
                "doctor.clock_stands",
                "fault",
                f"the sender's {what} stand{'s' if kind == 'time_code' else ''} still while packets come",
                f"{stands_ns / 1e9:.2f} s with the same time",
                f"start the tracker's clock: connect its {'time code' if kind == 'time_code' else 'sync'} input",
                mend,
            )
        )
    real_jumps = jumps - midnights
    if real_jumps > 0 and not stands:
        leap_s = max((abs(_offset(b[0]) - _offset(a[-1])) for a, b in pairwise(stretches)), default=0) / 1e9
        findings.append(
            Finding(
                "doctor.clock_jumps",
                "fault",
                f"the sender's clock was set {_times(real_jumps)} while it was listened to",
                f"by up to {leap_s:.3f} s",
                "let one clock lead: no second time server, no time code that loops or is cut",
                mend if real_jumps > 2 else {},
            )
        )
    if drift_ppm is not None and abs(drift_ppm) > max(MATTERS_PPM, 5.0 * error_ppm) and not stands:
        percent = drift_ppm / 1e4
        findings.append(
            Finding(
                "doctor.clock_rate",
                "fault",
                f"the pace of the sender's {what} is {abs(percent):.2f} % too {'fast' if percent > 0 else 'slow'}"
                + (": its time code runs at another rate than it says" if kind == "time_code" else ""),
                f"{drift_ppm:+.0f} ppm against this machine",
                "set the rate of the tracker's time code and of its output to the same frame rate"
                if kind == "time_code"
                else "set the tracker's clock and sample rate",
                mend,
            )
        )
    elif drift_ppm is not None and abs(drift_ppm) > max(NOTED_PPM, 5.0 * error_ppm):
        findings.append(
            Finding(
                "doctor.clock_drift",
                "note",
                f"the sender's clock is {abs(drift_ppm):.0f} ppm {'fast' if drift_ppm > 0 else 'slow'}; it is followed",
                f"{drift_ppm:+.0f} +- {error_ppm:.0f} ppm against this machine",
            )
        )
    epoch, about = _epoch(packet, pairs[-1], tai_minus_arrival_ns, kind)
    return ClockReport(kind, epoch, drift_ppm, max(0, real_jumps), stands), findings + about


def _kind(packet: object) -> Kind:
    match packet:
        case F4Packet():
            return "time_code"
        case OpenTrackIOPacket():
            timing = packet.sample.timing
            return "time_stamp" if timing is not None and timing.sample_timestamp is not None else "time_code"
        case OscPacket() | VmcMessage() | VmcFigure():
            return "time_tag"
        case StypePacket():
            return "counter"
        case FreeDPacket():
            return "arrival"
        case _:
            return "time_stamp"


def _offset(pair: tuple[int, int]) -> int:
    return pair[0] - pair[1]


def _times(count: int) -> str:
    return "once" if count == 1 else "twice" if count == 2 else f"{count} times"


def _standing_ns(pairs: Pairs) -> int:
    """How long the sender's time stood still at most; 0: it did not."""
    longest_ns, count, begin = 0, 0, pairs[0]
    for a, b in pairwise(pairs):
        if b[1] != a[1]:
            count, begin = 0, b
            continue
        count += 1
        if count >= STANDS_PACKETS and b[0] - begin[0] >= STANDS_NS:
            longest_ns = max(longest_ns, b[0] - begin[0])
    return longest_ns


def _stretches(pairs: Pairs) -> list[Pairs]:
    """The pairs, cut where the sender's clock was set: where what follows stays off by more than a delay can be."""
    out: list[Pairs] = [[pairs[0]]]
    waiting: Pairs = []
    for pair in pairs[1:]:
        offset_ns = _offset(out[-1][-1])
        if abs(_offset(pair) - offset_ns) <= JUMP_NS:
            out[-1].append(pair)
            waiting.clear()
            continue
        waiting.append(pair)
        # One late datagram is no new clock; three in a row, or one from the future, are.
        if len(waiting) >= 3 and abs(_offset(waiting[0]) - _offset(pair)) <= JUMP_NS:
            out.append(list(waiting))
            waiting.clear()
    return out


def _drift(pairs: Pairs) -> tuple[float | None, float]:
    """How fast the sender's clock runs against ours, ppm, and how well that is known; None: too short to say."""
    if len(pairs) < 10 or pairs[-1][0] - pairs[0][0] < 1_000_000_000:
        return None, 0.0
    arrival = np.array([p[0] - pairs[0][0] for p in pairs], dtype=np.float64)
    source = np.array([p[1] - pairs[0][1] for p in pairs], dtype=np.float64)
    centred = arrival - arrival.mean()
    spread = float(centred @ centred)
    slope = float(centred @ (source - source.mean())) / spread
    left = source - source.mean() - slope * centred
    # Neighbours in a queue are late together: fewer are independent than there are.
    error = float(np.sqrt((left @ left) / max(1, len(pairs) // 4 - 2) / spread))
    return (slope - 1.0) * 1e6, error * 1e6 * 2.0


def _epoch(
    packet: object, last: tuple[int, int], tai_minus_arrival_ns: int | None, kind: Kind
) -> tuple[str, list[Finding]]:
    """What the sender's time counts from."""
    t_received_ns, t_source_ns = last
    if kind == "time_code" or (0 <= t_source_ns <= DAY_NS and not isinstance(packet, OscPacket)):
        return "day" if kind == "time_code" else "other", []
    if tai_minus_arrival_ns is None or kind == "counter":
        return "", []
    tai_ns = t_received_ns + tai_minus_arrival_ns
    epoch = epoch_of(t_source_ns, tai_ns)
    if epoch == "unix" and isinstance(packet, OpenTrackIOPacket):
        return epoch, [
            Finding(
                "doctor.unix_time",
                "note",
                "its time stamps are Unix time; OpenTrackIO says TAI, 37 s more. Poses are not moved by it",
                tracker="have the tracker send PTP time (TAI) if its stamps are compared with other devices'",
            )
        ]
    if epoch == "other" and abs(t_source_ns - tai_ns) < MONTH_NS:
        off_s = (t_source_ns - tai_ns) / 1e9
        return epoch, [
            Finding(
                "doctor.clock_off",
                "note",
                f"its clock is {abs(off_s):.1f} s {'ahead' if off_s > 0 else 'behind'}; only its pace is used",
                tracker="give the tracker the stage's PTP or NTP time if its stamps are compared with other devices'",
            )
        ]
    return epoch, []
