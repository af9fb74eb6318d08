"""One source's stream and the socket it comes through: from a datagram to samples in a history."""

from __future__ import annotations

import ipaddress
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Literal
from zlib import crc32

import msgspec

from tracking.config import LENS_ONLY, Source
from tracking.decoders import Assembler, Joiner, Packet, Parse, assembler_of, joiner_of, parser_of
from tracking.even_pace import EvenPace, Places
from tracking.flood_guard import FloodGuard
from tracking.follower import PERIOD_NS, Follower
from tracking.health import Health
from tracking.history import History
from tracking.lags import NO_LAGS, NO_OFFSETS, WHICH_WAY, Lags, Offsets
from tracking.lens_judge import LensJudge
from tracking.lens_track import LensTrack
from tracking.mapping import Mapping
from tracking.packet_counter import MODULI, PacketCounter
from tracking.predict import Predictor
from tracking.protocols import natnet
from tracking.protocols.mosys_f4 import F4Packet
from tracking.protocols.opentrackio import OpenTrackIOPacket
from tracking.receivers import Arrival, Receiver
from tracking.sample import LensReading, Reason, Refusal, Sample, Stamp
from tracking.senders_seen import MAX_SENDERS, RateCap, Sender, SenderLock
from tracking.socket_filter import Screen
from tracking.source_clock import SourceClock
from tracking.tap import LinkInfo
from tracking.timecode_match import DayAt, TimecodeMatch

ARRIVALS = 128
"""So many arrivals are kept for rate and jitter."""
ONE_INSTANT_NS: Final = 1000
LAST_WORD_NS: Final = 200_000_000
"""After so long without another packet, what waits for the next ones' word about the sender's clock waits no longer."""
OVERTAKEN_SHARE: Final = 0.5
"""Without any time of the sender's, a packet was overtaken if it fits so much better there than in order: a camera that
stands still, or a tracker's noise, says nothing."""


@dataclass(slots=True)
class SourceStream:
    """Everything one source remembers."""

    name: str
    source: Source
    mapping: Mapping
    history: History
    health: Health
    clock: SourceClock
    predictor: Predictor = field(default_factory=Predictor)
    follower: Follower = field(default_factory=Follower)
    lock: SenderLock = field(default_factory=SenderLock)
    joiner: Joiner | None = None
    """Joins the source's packets where one is not a whole pose."""
    lens_track: LensTrack | None = None
    """Of sources that say no pose: what the lens did of late,"""
    lens_judge: LensJudge = field(default_factory=LensJudge)
    """and how wrong the focal lengths foretold from it were."""
    lens: LensReading | None = None
    lens_said: LensReading | None = None
    lens_is_more: bool = False
    """Whether `lens` knows more than was said last."""
    refused: Counter[Reason] = field(default_factory=Counter)
    lags: Lags = NO_LAGS
    """In force: what is configured, and what the tracker says of its parts on top."""
    configured: Lags = NO_LAGS
    offsets_ns: Offsets = NO_OFFSETS
    """As the tracker said them last."""
    day_at: DayAt | None = None
    """The show's time code, for sources that are matched by theirs."""
    timecode: TimecodeMatch = field(default_factory=TimecodeMatch)
    counter: PacketCounter | None = None
    """The sender's own numbers."""
    arrivals: deque[int] = field(default_factory=lambda: deque(maxlen=ARRIVALS))
    pace: EvenPace = field(default_factory=EvenPace)
    """Of sources that tell no time."""
    said: deque[bytes] = field(default_factory=lambda: deque(maxlen=8))
    waiting: list[tuple[Packet, Arrival, int]] = field(default_factory=list)
    """Packets, with their numbers, of which it is not known yet when they were sampled."""
    came_ns: int = 0
    """The time of the last one that was placed by its arrival."""
    restarts: int = 0
    """Of the history, as the follower knows them."""
    packets: int = 0
    samples: int = 0
    schema_faults: int = 0

    def hear(self, arrival: Arrival) -> None:
        """Note a packet of a source that moves no camera itself: subjects follow what it carries."""
        t_received_ns = arrival.t_received_ns
        if arrival.host and not self.lock.lets_in((arrival.host, arrival.port), t_received_ns):
            self.refused["second_sender"] += 1
            return
        self.packets += 1
        self.arrivals.append(t_received_ns)
        self.health.accepted(t_received_ns, None)

    def next_arrival_ns(self) -> int:
        """When its next packet is likely to come, as evenly as the last ones did; 0 before the second."""
        arrivals = self.arrivals
        if len(arrivals) < 2:
            return 0
        return arrivals[-1] + (arrivals[-1] - arrivals[0]) // (len(arrivals) - 1)

    def refuse(self, refusal: Refusal, t_received_ns: int) -> None:
        """Count a refusal, and let the health know."""
        self.refused[refusal.reason] += 1
        self.health.refused(refusal.reason, t_received_ns, refusal.detail)

    def take(self, packet: Packet, arrival: Arrival, taken: list[Sample]) -> None:
        """Add what a packet meant for this source says to its history, and to `taken`."""
        t_received_ns = arrival.t_received_ns
        if arrival.host and not self.lock.lets_in((arrival.host, arrival.port), t_received_ns):
            self.refused["second_sender"] += 1
            return
        self.take_in(packet, arrival, taken)

    def take_in(self, packet: Packet, arrival: Arrival, taken: list[Sample]) -> None:
        """`take` of a packet whose sender may speak."""
        t_received_ns = arrival.t_received_ns
        self.packets += 1
        self.arrivals.append(t_received_ns)
        if type(packet) is OpenTrackIOPacket:
            self.schema_faults += 1 if packet.faults else 0
            offsets_ns = packet.offsets_ns
            if offsets_ns != self.offsets_ns:
                self._offset(offsets_ns)
        t_sampled_ns, by_arrival = self._sampled_ns(packet, t_received_ns)
        if by_arrival and packet.t_source_ns is None and self.clock.match == "auto":
            placed_ns = self._placed(packet, arrival)
            if placed_ns == "duplicate":
                self.refuse(Refusal("duplicate"), t_received_ns)
                return
            t_sampled_ns = t_sampled_ns if placed_ns is None else placed_ns
        if by_arrival:
            # Two that came in the same instant are two samples all the same.
            if t_sampled_ns <= self.came_ns < t_sampled_ns + ONE_INSTANT_NS:
                t_sampled_ns = self.came_ns + 1
            self.came_ns = t_sampled_ns
        if self.clock.undecided:
            self.waiting.append((packet, arrival, self.packets))
            return
        if self.waiting and not self.clock.deciding:
            # Now it is known what the sender's clock did.
            self._join_waiting(taken)
        self._join(packet, t_sampled_ns, t_received_ns, self.packets, by_arrival, taken)

    def _join_waiting(self, taken: list[Sample]) -> None:
        for packet, arrival, number in self.waiting:
            t_source_ns = packet.t_source_ns
            assert t_source_ns is not None
            self._join(packet, self.clock.again_ns(t_source_ns), arrival.t_received_ns, number, False, taken)
        self.waiting.clear()

    def take_lens(self, packet: Packet, arrival: Arrival) -> None:
        """Take in what a packet of a source without poses says of its camera's lens."""
        t_received_ns, track = arrival.t_received_ns, self.lens_track
        if track is None or (arrival.host and not self.lock.lets_in((arrival.host, arrival.port), t_received_ns)):
            self.refused["second_sender"] += 1
            return
        self.packets += 1
        self.arrivals.append(t_received_ns)
        lags = self.lags
        for item in packet.samples(self.mapping, Stamp(t_received_ns, t_received_ns, self.packets)):
            if type(item) is LensReading:
                self.lens = item.over(self.lens)
                track.add(t_received_ns - (lags.pose_ns - lags.lens_ns), t_received_ns, self.lens)
                self.samples += 1
                self.health.accepted(t_received_ns, track.period_ns)
            elif type(item) is Refusal:
                self.refuse(item, t_received_ns)

    def adapt(self, now_ns: int, *, standing_by: bool) -> None:
        """Learn from what has come, as `Predictor.adapt` does it."""
        if self.waiting and now_ns - self.waiting[-1][1].t_received_ns > LAST_WORD_NS:
            self.clock.give_up()
            self._join_waiting([])
        if self.lens_track is None:
            self.predictor.adapt(self.history, standing_by=standing_by)
        elif self.lens_track.newest is not None:
            self.lens_judge.settle(self.lens_track.newest.t_sampled_ns, self.lens_track.at)

    def _offset(self, offsets_ns: Offsets) -> None:
        """The tracker says anew how far from its stamp it samples its parts. Older samples stay where they were put."""
        before, self.offsets_ns = self.lags, offsets_ns
        self.lags = self.configured.after(offsets_ns, WHICH_WAY[self.source.opentrackio.offsets])
        if not self.lags.turns_as(before):
            self.predictor.forget_pending()

    def _join(
        self,
        packet: Packet,
        t_sampled_ns: int,
        t_received_ns: int,
        packet_id: int,
        by_arrival: bool,
        taken: list[Sample],
    ) -> None:
        """Add a packet's samples to the history, and to `taken`."""
        stamp = Stamp(t_sampled_ns - self.lags.pose_ns, t_received_ns, packet_id)
        joiner = self.joiner
        for item in packet.samples(self.mapping, stamp) if joiner is None else joiner.feed(packet, self.mapping, stamp):
            if type(item) is Sample:
                sample = self._with_lens(item)
                reason = self._misplaced(sample, by_arrival) or self.history.add(sample)
                if reason is None:
                    self.samples += 1
                    self.health.accepted(t_received_ns, self.history.period_ns())
                    taken.append(sample)
                else:
                    self.refuse(Refusal(reason), t_received_ns)
            elif type(item) is LensReading:
                self.lens = item.over(self.lens)
                self.lens_said = None
            elif type(item) is Refusal:
                self.refuse(item, t_received_ns)

    def _placed(self, packet: Packet, arrival: Arrival) -> int | Literal["duplicate"] | None:
        """When a packet that tells no time was sampled, by its source's pace; None: its arrival stands."""
        pace = self.pace
        if pace.period_ns:
            said = self.said.count(arrival.data)
            placed_ns = pace.place(self.packets, self.arrivals, partial(self._overtaken, packet), said)
        else:
            placed_ns = pace.place(self.packets, self.arrivals, _in_order)
        self.said.append(arrival.data)
        if pace.moved:
            self.history.retime(pace.moved, -self.lags.pose_ns)
            pace.moved = {}
            if pace.begun:
                # What was taken in by its arrival is where it belongs now, and learned from anew.
                newest = self.history.newest
                self.predictor.begin_again(newest.t_sampled_ns if newest is not None and pace.disordered else 0)
                pace.begun = False
        return placed_ns

    def _overtaken(self, packet: Packet, places: Places) -> int | None:
        """Which of the free slots a packet belongs to, as its pose says; None: it came in order."""
        history, later_ns = self.history, self.lags.pose_ns
        samples = packet.samples(self.mapping, Stamp(places.in_order_ns))
        pose = next((s.stage_from_camera for s in samples if type(s) is Sample), None)
        if pose is None or len(history) < 2:
            return None
        in_order = history.far_past(places.in_order_ns, pose, places.last_ns, places.before_ns)
        far = [history.far_from(t_ns - later_ns, pose) for t_ns in places.free_ns]
        nearest = min(far)
        return far.index(nearest) if nearest < OVERTAKEN_SHARE * in_order else None

    def _sampled_ns(self, packet: Packet, t_received_ns: int) -> tuple[int, bool]:
        """When a packet's pose was taken, on our clock, and whether only its arrival tells."""
        clock = self.clock
        t_source_ns = packet.t_source_ns
        if type(packet) is OpenTrackIOPacket or type(packet) is F4Packet:
            label = packet.label if clock.match == "timecode" or packet.by_label else None
            if label is not None:
                show = None if self.day_at is None else self.day_at(t_received_ns)
                if clock.match == "timecode" and show is not None:
                    found_ns = self.timecode.local_ns(label, t_received_ns, show)
                    if found_ns is not None:
                        return found_ns, False
                t_source_ns, clock.day_ns = label.counted(show)
            elif clock.match == "timecode":
                t_source_ns = None
        t_sampled_ns = clock.local_ns(t_source_ns, t_received_ns)
        return t_sampled_ns, t_source_ns is None or clock.match == "arrival" or clock.stalled

    def _misplaced(self, sample: Sample, by_arrival: bool) -> Reason | None:
        """Whether the sender's counter says that a sample came before or was overtaken. Only its arrival would place it
        then, and wrongly; where the sender tells the time, the history knows better."""
        if sample.sequence is None or self.counter is None:
            return None
        verdict = self.counter.take(sample.sequence)
        return verdict if by_arrival and verdict != "next" else None

    def _with_lens(self, sample: Sample) -> Sample:
        said = sample.lens
        if said is None:
            return sample if self.lens is None else msgspec.structs.replace(sample, lens=self.lens)
        if said is not self.lens_said and said != self.lens_said:
            self.lens_said = said
            self.lens = said.over(self.lens)
            self.lens_is_more = self.lens != said
        return msgspec.structs.replace(sample, lens=self.lens) if self.lens_is_more else sample


@dataclass(slots=True)
class Link:
    """One socket and the sources that share it."""

    key: tuple[str, ...]
    sources: list[SourceStream]
    receiver: Receiver | None
    cap: RateCap
    parse: Parse | None
    """None: by an assembler for each sender."""
    subjects: list[SourceStream] = field(default_factory=list)
    """Streams of the subjects that the sources' packets carry."""
    assemblers: dict[str, Assembler] = field(default_factory=dict)
    networks: dict[str, list[ipaddress.IPv4Network | ipaddress.IPv6Network]] = field(default_factory=dict)
    allowed: dict[tuple[str, str], bool] = field(default_factory=dict)
    refused: Counter[Reason] = field(default_factory=Counter)
    has_allow_lists: bool = False
    datagrams: int = 0
    unread: int = 0
    """Of them, those not decoded: from senders that are not let in, or above the rate."""
    guard: FloodGuard = field(default_factory=FloodGuard)
    info: LinkInfo | None = None
    """How the tap knows it."""

    def screen(self) -> None:
        """Have the kernel keep out whom no source would hear; where it does not, `take` looks at senders anyway."""
        if self.receiver is None:
            return
        lists = [self.networks[s.name] for s in self.sources]
        networks = () if not all(lists) else tuple(dict.fromkeys(n for networks in lists for n in networks))
        senders: tuple[Sender, ...] | None = None
        if self.guard.flooded:
            locks = [state.lock for state in (*self.sources, *self.subjects)]
            senders = tuple({lock.sender for lock in locks if lock.sender is not None})
        self.receiver.screen(Screen(networks, senders, self.guard.one_in))

    def watch(self, t_ns: int) -> None:
        """See whether the socket is flooded. t_ns: arrival of the newest datagram, or now."""
        taken = sum(state.packets for state in (*self.sources, *self.subjects))
        if self.guard.look(self.datagrams - taken, t_ns):
            self.screen()

    def within_rate(self, arrival: Arrival) -> bool:
        """Whether its sender may say so much. Who moves something has a rate of its own: another program on the same
        host takes nothing away from it."""
        sender = (arrival.host, arrival.port)
        for state in self.sources:
            if state.lock.holder == sender:
                return self.cap.lets_in(sender, arrival.t_received_ns)
        return self.cap.lets_in(arrival.host, arrival.t_received_ns)

    def items(self, arrival: Arrival) -> Sequence[Packet | Refusal]:
        """What a datagram decodes to."""
        if arrival.truncated:
            return [Refusal("long", "datagram cut off")]
        if self.parse is not None:
            return self.parse(arrival.data)
        assembler = self.assemblers.get(arrival.host)
        if assembler is None:
            if len(self.assemblers) >= MAX_SENDERS:
                self.assemblers.pop(next(iter(self.assemblers)))
            assembler = self.assemblers[arrival.host] = assembler_of(self.sources[0].source)
        if type(assembler) is natnet.Assembler:
            # Its echoes measure the way of the datagrams.
            return assembler.feed(arrival.data, arrival.t_received_ns)
        return assembler.feed(arrival.data)

    def lets_in(self, name: str, host: str) -> bool:
        """Whether a source's allow-list names the host."""
        known = self.allowed.get((name, host))
        if known is None:
            networks = self.networks[name]
            known = not networks or not host or any(ipaddress.ip_address(host) in n for n in networks)
            if len(self.allowed) > 4 * MAX_SENDERS:
                self.allowed.clear()
            self.allowed[name, host] = known
        return known


def fresh_stream(
    name: str, source: Source, mapping: Mapping, now_ns: int, *, frame_ns: int = PERIOD_NS, day_at: DayAt | None = None
) -> SourceStream:
    """A stream that has received nothing. frame_ns: a frame of the show; day_at: its time code."""
    modulus = MODULI.get(source.protocol)
    lags = Lags.of(source, frame_ns)
    return SourceStream(
        name,
        source,
        mapping,
        History(source.gates),
        Health(now_ns),
        SourceClock(source.match),
        follower=Follower(source.returning.step_mm, source.returning.step_deg, frame_ns),
        joiner=joiner_of(mapping),
        lags=lags,
        configured=lags,
        lens_track=LensTrack() if source.protocol in LENS_ONLY else None,
        day_at=day_at,
        counter=None if modulus is None else PacketCounter(modulus),
        # By the name, so that the same show is the same every time.
        pace=EvenPace(stagger=crc32(name.encode())),
    )


def carried_stream(old: SourceStream, source: Source, mapping: Mapping, *, frame_ns: int = PERIOD_NS) -> SourceStream:
    """The state of a source under a new configuration; a fresh one where the stream is another."""
    was = old.source
    if (was.link, was.decoding, was.camera, was.camera_id, was.source_id, was.source_number, was.body) != (
        source.link, source.decoding, source.camera, source.camera_id, source.source_id, source.source_number,
        source.body,
    ):  # fmt: skip
        return fresh_stream(old.name, source, mapping, old.health.since_ns, frame_ns=frame_ns, day_at=old.day_at)
    old.history.gates = source.gates
    same_numbers = (was.axes, was.signs, was.offsets, was.osc, was.sections, was.pose_point) == (
        source.axes, source.signs, source.offsets, source.osc, source.sections, source.pose_point,
    )  # fmt: skip
    old.configured = Lags.of(source, frame_ns)
    lags = old.configured.after(old.offsets_ns, WHICH_WAY[source.opentrackio.offsets])
    if lags != old.lags:
        old.history.shift(old.lags.pose_ns - lags.pose_ns)
        old.predictor.forget_pending()
        old.lags = lags
    old.follower.limit(source.returning.step_mm, source.returning.step_deg, frame_ns)
    if not same_numbers:
        # The old samples mean something else: they cannot stand beside the new ones.
        old.history.clear()
        old.joiner = joiner_of(mapping)
        old.predictor.forget_pending()
        old.follower.reset()
    elif was.stage_from_tracker != source.stage_from_tracker or was.body_from_camera != source.body_from_camera:
        old.history.remap(mapping)
        old.predictor.forget_pending()
        old.follower.reset()
    if was.match != source.match:
        old.clock, old.timecode = SourceClock(source.match), TimecodeMatch()
    old.source, old.mapping = source, mapping
    return old


def _in_order(_: Places) -> int | None:
    return None


def link_of(
    key: tuple[str, ...],
    states: list[SourceStream],
    receiver: Receiver | None,
    old: Link | None,
    subjects: Sequence[SourceStream] = (),
) -> Link:
    """The link of sources and subjects that share a socket, with the counts and assemblers of the one it replaces."""
    source = states[0].source
    link = Link(
        key,
        states,
        receiver,
        RateCap(max(s.source.rate_limit_hz for s in states)),
        parser_of(source),
        networks={
            s.name: [ipaddress.ip_network(entry, strict=False) for entry in s.source.allow]
            for s in (*states, *subjects)
        },
    )
    link.subjects = list(subjects)
    link.has_allow_lists = any(link.networks.values())
    link.guard = FloodGuard(max(s.source.rate_limit_hz for s in states))
    if old is not None:
        link.refused, link.datagrams = old.refused, old.datagrams
        if old.sources[0].source.decoding == source.decoding:
            link.assemblers = old.assemblers
    return link
