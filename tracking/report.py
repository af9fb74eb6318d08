"""What the inputs tell about themselves: statistics and alarms of each source."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from operator import mul, sub
from typing import Final

from stage.errors import Problem
from tracking.health import State
from tracking.judge import Misses, PredictionError
from tracking.sample import Reason
from tracking.stream import Link, SourceStream


@dataclass(frozen=True, slots=True)
class SourceStatistics:
    """One source as it stands. Counts are since it was configured."""

    state: State
    reason: str
    since_ns: int
    protocol: str
    address: str
    """Where it listens, as bound; as configured while nothing is open."""
    camera: str
    datagrams: int
    """Of its socket, which sources may share."""
    packets: int
    samples: int
    refused: dict[Reason, int]
    """By reason; what could not be told apart on a shared socket counts for each source on it."""
    lost: int
    """Numbers of the sender's own counter that never came; 0 where it has none."""
    dropped: int
    """Datagrams for its socket that the kernel dropped: senders not allowed, a flood, or more than the buffer holds."""
    rate_hz: float
    jitter_ms: float
    """Standard deviation of the time between arrivals."""
    age_ms: float | None
    """Since the newest sample was received."""
    last_packet_id: int
    sender: str
    clock_offset_ns: int | None
    """Our clock less the sender's; None while arrivals stamp the samples."""
    clock_drift_ppm: float
    """By how much our clock runs faster than the sender's."""
    clock_jumps: int
    clock_stalled: bool
    error: PredictionError
    misses: dict[str, Misses]
    """Errors at the last photos: of what was `predicted`, had it been `held`, and at constant `velocity`."""
    learned_s: float
    """How much movement prediction has been learned from."""
    schema_faults: int
    """OpenTrackIO samples with blocks that did not fit the schema and were left out."""


TOLD_NS: Final = 10_000_000_000
"""That a sender's clock was set is told for so long."""


def statistics_of(state: SourceStream, link: Link, now_ns: int) -> SourceStatistics:
    """The figures of one source at `now_ns`."""
    health = state.health
    health.step(now_ns)
    newest = state.history.newest if state.lens_track is None else state.lens_track.newest
    arrivals = list(state.arrivals)
    steps = list(map(sub, arrivals[1:], arrivals))
    span_ns = arrivals[-1] - arrivals[0] if steps else 0
    mean_ns = span_ns / len(steps) if steps else 0.0
    holder = state.lock.holder
    return SourceStatistics(
        state=health.state,
        reason=health.reason,
        since_ns=health.since_ns,
        protocol=state.source.protocol,
        address=link.receiver.address if link.receiver is not None else state.source.listen,
        camera=state.source.camera,
        datagrams=link.datagrams,
        packets=state.packets,
        samples=state.samples,
        refused=dict(state.refused + link.refused),
        lost=0 if state.counter is None else state.counter.lost,
        dropped=0 if link.receiver is None else link.receiver.dropped,
        rate_hz=1e9 / mean_ns if mean_ns > 0.0 and health.state in (State.OK, State.COASTING) else 0.0,
        jitter_ms=sqrt(max(0.0, sum(map(mul, steps, steps)) / len(steps) - mean_ns * mean_ns)) / 1e6 if steps else 0.0,
        age_ms=None if newest is None else (now_ns - newest.t_received_ns) / 1e6,
        last_packet_id=state.packets,
        sender="" if holder is None else f"{holder[0]}:{holder[1]}",
        clock_offset_ns=state.clock.offset_ns if not state.clock.stalled else None,
        clock_drift_ppm=state.clock.drift_ppm,
        clock_jumps=state.clock.jumps,
        clock_stalled=state.clock.stalled,
        error=state.predictor.error(),
        misses=state.predictor.misses(),
        learned_s=state.predictor.learned_s,
        schema_faults=state.schema_faults,
    )


def alarms_of(state: SourceStream, path: str, now_ns: int) -> list[Problem]:
    """What a person should know about one source at `now_ns`; `path` is its address."""
    out: list[Problem] = []
    if state.health.step(now_ns) in (State.LOST, State.BAD):
        mends = {
            State.LOST: "check that the tracker runs and sends to this address",
            State.BAD: "check the protocol, the unit and the gates of this source",
        }
        name = state.health.state.value
        values = {"reason": state.health.reason}
        mend = mends[state.health.state]
        out.append(Problem(f"tracking.source_{name}", path, state.health.reason, mend=mend, values=values))
    if state.lock.contested(now_ns) and state.lock.rival is not None and state.lock.holder is not None:
        rival, holder = (f"{host}:{port}" for host, port in (state.lock.rival, state.lock.holder))
        out.append(
            Problem(
                "tracking.second_sender",
                path,
                f"{rival} sends too; {holder} came first and counts",
                mend="stop one of them",
                values={"rival": rival, "holder": holder},
            )
        )
    jumped_ns = state.clock.jumped_ns
    if jumped_ns is not None and now_ns - jumped_ns < TOLD_NS:
        out.append(
            Problem(
                "tracking.clock_set",
                path,
                f"the sender's clock was set (for the {state.clock.jumps}. time); its poses were matched anew",
                mend="nothing, unless it goes on: then lock the sender's clock (PTP, NTP), or set `match: arrival`",
                values={"times": state.clock.jumps},
            )
        )
    apart_ns = state.timecode.apart_ns
    if apart_ns is not None:
        out.append(
            Problem(
                "tracking.timecode_apart",
                path,
                f"its time code is {apart_ns / 1e9:.3f} s behind the show's; it is matched as a clock of its own",
                mend="jam both from one source, or set `match: sample_time` or `match: arrival`",
                values={"behind_ms": round(apart_ns / 1e6)},
            )
        )
    if state.clock.stalled:
        out.append(
            Problem(
                "tracking.clock_stalled",
                path,
                "the sender's time stamps stand still; arrivals are used",
                mend="set `match: arrival`, or start the sender's clock",
            )
        )
    if state.lens is not None and state.lens.fault:
        out.append(
            Problem(
                "tracking.lens",
                path,
                f"{state.lens.fault}; the last values that can be hold",
                mend="home the encoders, or correct the lens table or what the tracker sends",
                values={"fault": state.lens.fault},
            )
        )
    return out


def link_alarms(link: Link, now_ns: int) -> list[Problem]:
    """What a person should know about one socket or line."""
    trouble = "" if link.receiver is None else getattr(link.receiver, "trouble", "")
    if trouble:
        first = link.sources[0]
        mend = "plug it in, correct `listen`, or let the show's user read it (the group dialout)"
        values = {"device": first.source.listen, "error": trouble}
        path = f"tracking/sources/{first.name}"
        return [Problem("tracking.device", path, trouble, first.source.listen, mend, values=values)]
    return _flood_alarms(link, now_ns)


def _flood_alarms(link: Link, now_ns: int) -> list[Problem]:
    """That a socket is flooded, for as long as it is."""
    if link.guard.flooded and now_ns > link.guard.due_ns:
        # Nothing may have come for a while: then nobody has looked.
        link.watch(now_ns)
    if not link.guard.flooded:
        return []
    first, one_in = link.sources[0], link.guard.one_in
    return [
        Problem(
            "tracking.flood",
            f"tracking/sources/{first.name}",
            f"{first.source.listen} is flooded; only who moves something already is heard, and one in {one_in} others",
            mend="stop what sends there, or name the tracker's address in `allow`",
            values={"address": first.source.listen, "heard_one_in": one_in},
        )
    ]
