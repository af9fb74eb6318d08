"""All tracking of a stage in one place: sockets in, samples and predicted poses out. What the conductor holds.

    inputs = TrackingInputs(config, clock, mounts={"a": body_from_sensor})
    inputs.open()
    for fd in inputs.filenos(): loop.add_reader(fd, inputs.drain)
    inputs.drain()                                   # at the latch: everything that waits
    pose = inputs.predict("a", t_photo_ns)

Under a virtual clock nothing is opened and datagrams are put in with `inject`; all else is the same code.
A change is prepared (sockets opened, faults found) and then committed whole.
"""

from __future__ import annotations

import select
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from runtime.clock import Clock
from stage.errors import Problem
from stage.frames import Array
from stage.overscan import PoseErrors
from stage.rate import Rate
from tracking.at_photo import pose_at_photo
from tracking.config import Source, TrackingConfig
from tracking.errors import UnknownSource
from tracking.feed import CameraFeed
from tracking.follower import PERIOD_NS
from tracking.health import State
from tracking.history import History
from tracking.intake import take, take_all
from tracking.lens_feed import lens_at_photo, lens_of, with_lens
from tracking.lens_table import LensGrid
from tracking.mapping import Mapping as SourceMapping
from tracking.mapping import mapping_of
from tracking.predict import PredictedPose
from tracking.receivers import MAX_READ, Arrival, Receiver, open_receiver
from tracking.report import SourceStatistics, alarms_of, link_alarms, statistics_of
from tracking.sample import LensReading, Sample
from tracking.senders_seen import Sender
from tracking.stream import Link, SourceStream, carried_stream, fresh_stream, link_of
from tracking.subjects import PredictedSubject, predicted_subject, stream_name, subject_mapping, subject_source
from tracking.tap import LinkInfo, Tap
from tracking.timecode_match import DayAt

TURN: Final = 128
"""Datagrams read from a socket before the next one has its turn."""
ONE_EACH: Final = 3
"""So often one is read from each first: more seldom wait."""
CROWDED: Final = 2
"""Where so many waited in each socket that had any, as many are expected the next time."""


@dataclass(slots=True)
class Prepared:
    """A configuration whose sockets are open and whose faults are known, ready to be committed or given up."""

    config: TrackingConfig
    mounts: Mapping[str, Array]
    mappings: dict[str, SourceMapping]
    subjects: dict[str, tuple[Source, SourceMapping]]
    receivers: dict[tuple[str, ...], Receiver]
    opened: list[Receiver]
    frame_ns: int


class TrackingInputs:
    """All sources of a stage.

    Parameters
    ----------
    config : the `tracking` section.
    clock : stamps arrivals and tells the time to health and prediction.
    mounts : body_from_sensor, [4, 4], of each camera that has a mount; used by sources whose `pose_point` is `body`.
    lens_tables : what the files hold that sources name in `lens_table`, by name; sources whose file is not among them
        go without.
    pictures_mm : width and height of each camera's desqueezed picture on its sensor; without it, protocols that tell a
        field of view or pixels tell no focal length.
    rate : of the show: what a frame is, in delays and limits. None: 25.
    day_at : the show's time of day by its time code, ns since midnight, at a time of the clock; sources matched
        by time code are met with it.
    """

    def __init__(
        self,
        config: TrackingConfig,
        clock: Clock,
        *,
        mounts: Mapping[str, Array] | None = None,
        lens_tables: Mapping[str, LensGrid] | None = None,
        pictures_mm: Mapping[str, tuple[float, float]] | None = None,
        rate: Rate | None = None,
        day_at: DayAt | None = None,
    ) -> None:
        self._clock = clock
        self._day_at = day_at
        self._frame_ns = PERIOD_NS if rate is None else rate.period_ns
        self._is_open = False
        self.tap: Tap | None = None
        """Told everything that is received, before it is decoded."""
        self.only: frozenset[Sender] | None = None
        """Hosts and ports of the senders that are heard while a take is replayed; None: everybody."""
        self.received = 0
        """Datagrams read from the sockets so far."""
        self._crowded = False
        self._adapted = -1
        self._links: list[Link] = []
        self._by_fd: dict[int, Link] = {}
        self._unpolled: list[Link] = []
        self._poll = select.poll()
        self._sources: dict[str, SourceStream] = {}
        self._feeds: dict[str, CameraFeed] = {}
        self._lenses: dict[str, list[SourceStream]] = {}
        """Sources that say what a camera's lens does and no pose, by camera."""
        self._subjects: dict[str, SourceStream] = {}
        self._config = config
        self.commit(self.prepare(config, mounts=mounts, lens_tables=lens_tables, pictures_mm=pictures_mm))

    @property
    def config(self) -> TrackingConfig:
        """The configuration in force."""
        return self._config

    # --- sockets ------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Bind every socket; nothing stays open when one cannot be.

        Raises
        ------
        ListenError : an address is in use, or not of this machine.
        """
        if self._is_open:
            return
        opened: list[Receiver] = []
        try:
            for link in self._links:
                first = link.sources[0]
                opened.append(open_receiver(first.name, first.source, self._clock))
        except Exception:
            for receiver in opened:
                receiver.close()
            raise
        for link, receiver in zip(self._links, opened, strict=True):
            link.receiver = receiver
        self._is_open = True
        self._listen()

    def close(self) -> None:
        """Close every socket; histories stay."""
        for link in self._links:
            if link.receiver is not None:
                link.receiver.close()
                link.receiver = None
        self._is_open = False
        self._listen()

    def _listen(self) -> None:
        """Know again which sockets there are."""
        self._poll = select.poll()
        self._by_fd = {}
        self._unpolled = []
        for link in self._links:
            if link.receiver is None:
                continue
            if link.receiver.polled:
                fd = link.receiver.fileno()
                self._by_fd[fd] = link
                self._poll.register(fd, select.POLLIN)
            else:
                self._unpolled.append(link)
            link.screen()

    def filenos(self) -> list[int]:
        """Descriptors to wait on. ZeroMQ's are edge-triggered: `drain` after each wake-up, and at the latch anyway."""
        return [link.receiver.fileno() for link in self._links if link.receiver is not None]

    def addresses(self) -> dict[str, str]:
        """Where each source listens, as bound."""
        return {
            state.name: link.receiver.address if link.receiver is not None else state.source.listen
            for link in self._links
            for state in link.sources
        }

    # --- in -----------------------------------------------------------------------------------------------------

    def drain(self, now_ns: int | None = None) -> list[Sample]:
        """Read everything that waits on every socket; the samples that entered a history, in order of arrival.

        now_ns: lets the sources' health see the time too, when given. Never raises for what was received, never blocks.
        """
        taken: list[Sample] = []
        poll = self._poll.poll
        # Asking which of them have something costs less than asking each of sixteen sockets; asking again after one
        # datagram of each, less than finding every one of them empty, unless several wait in each.
        ready = poll(0)
        before, sockets = self.received, len(ready)
        for _ in range(0 if self._crowded else ONE_EACH):
            if not ready:
                break
            for fd, _ in ready:
                link = self._by_fd[fd]
                if link.receiver is not None:
                    self._take(link, link.receiver.receive(1), taken, 1)
            ready = poll(0)
        if ready or self._unpolled:
            waiting = [self._by_fd[fd] for fd, _ in ready] + self._unpolled
            for _ in range(MAX_READ // TURN):
                # A socket that had more than its turn comes again after all others, a flooded one with the next call
                # only.
                # Read all, then take all in: each finds its code warm.
                read = [(link, link.receiver.receive(TURN)) for link in waiting if link.receiver is not None]
                waiting = [link for link, arrivals in read if self._take(link, arrivals, taken, TURN)]
                if not waiting:
                    break
        self._crowded = self.received - before >= CROWDED * max(1, sockets)
        if now_ns is not None:
            for state in (*self._sources.values(), *self._subjects.values()):
                state.health.step(now_ns)
        return taken

    def _take(self, link: Link, arrivals: list[Arrival], taken: list[Sample], most: int) -> bool:
        """Take in what a socket has said in its turn, `most` datagrams; whether it should have another one."""
        if self.only is not None:
            arrivals = [arrival for arrival in arrivals if (arrival.host, arrival.port) in self.only]
        if not arrivals:
            return False
        self.received += len(arrivals)
        if self.tap is not None:
            self.tap.take(link.info or self._told(link), arrivals)
        unread = link.unread
        take_all(link, arrivals, taken)
        if arrivals[-1].t_received_ns >= link.guard.due_ns:
            link.watch(arrivals[-1].t_received_ns)
        return len(arrivals) >= most and 2 * (link.unread - unread) < len(arrivals)

    def inject(
        self, source: str, datagram: bytes, t_received_ns: int | None = None, *, sender: tuple[str, int] = ("", 0)
    ) -> list[Sample]:
        """Put a datagram in as if it had come to the source's socket; the samples that entered a history.

        sender: host and port it came from; without a host, allow-lists and the one-sender rule do not ask.

        Raises
        ------
        UnknownSource : no such source.
        """
        state = self._state(source)
        link = next(link for link in self._links if state in link.sources)
        arrived_ns = self._clock.now_ns() if t_received_ns is None else t_received_ns
        arrival = Arrival(datagram, sender[0], sender[1], arrived_ns)
        if self.tap is not None:
            self.tap.take(self._told(link), [arrival])
        taken: list[Sample] = []
        take(link, arrival, taken)
        return taken

    def adapt(self, until_ns: int | None = None) -> None:
        """Let predictions learn from what has come, for the slack between frames. Each source in its turn, none begun
        at or after `until_ns`; those that stand by for a camera seldom and more at a time."""
        states = [*self._sources.values(), *self._subjects.values()]
        moving = {id(feed.active) for feed in self._feeds.values()}
        for _ in states:
            now_ns = self._clock.now_ns()
            if until_ns is not None and now_ns >= until_ns:
                return
            self._adapted = (self._adapted + 1) % len(states)
            state = states[self._adapted]
            state.adapt(now_ns, standing_by=bool(state.source.camera) and id(state) not in moving)

    def look_ahead(self) -> None:
        """Prepare the predictions of what moves the cameras, from their newest samples: those to come cost less."""
        for feed in self._feeds.values():
            feed.active.predictor.look_ahead(feed.active.history)

    def next_datagram_ns(self) -> int:
        """When the next datagram of what moves a camera is likely to come; 0 where nobody knows."""
        return min((due for feed in self._feeds.values() if (due := feed.active.next_arrival_ns())), default=0)

    # --- out ----------------------------------------------------------------------------------------------------

    def latest(self, camera: str) -> Sample | None:
        """The newest sample of a camera; None when nothing ever came, or nothing is configured to."""
        feed = self._feeds.get(camera)
        return None if feed is None else feed.step(self._clock.now_ns()).history.newest

    def predict(self, camera: str, t_photo_ns: int, now_ns: int | None = None) -> PredictedPose | None:
        """Where a camera will be at `t_photo_ns`, as known at `now_ns` (the clock's now); None before its first sample.

        With `prediction: off` the newest sample exactly.
        """
        feed = self._feeds.get(camera)
        if feed is None:
            return None
        now = self._now(now_ns)
        state = feed.step(now)
        left = feed.left()
        if left is not None and state.source.prediction != "off":
            # Where the camera is seen now is where the other source begins.
            held = pose_at_photo(left, camera, t_photo_ns, now)
            if held is not None:
                state.follower.take_over(held.stage_from_camera)
        predicted = pose_at_photo(state, camera, t_photo_ns, now)
        lenses = self._lenses.get(camera)
        return predicted if lenses is None else with_lens(predicted, lenses, t_photo_ns, now)

    def lens(self, camera: str, own: LensReading | None, t_ns: int) -> LensReading | None:
        """What is known of a camera's lens at a time. own : what came with its pose."""
        return lens_of(own, self._lenses.get(camera, ()), t_ns, self._clock.now_ns())

    def lens_alone(
        self, camera: str, t_photo_ns: int, now_ns: int | None = None
    ) -> tuple[LensReading | None, PoseErrors | None]:
        """The lens of a camera that nothing moves (yet) at a photo, and how wrong its focal lengths were; None: nothing
        has been said of it."""
        return lens_at_photo(None, None, self._lenses.get(camera, ()), t_photo_ns, self._now(now_ns))

    def prefer(self, sources: Mapping[str, str]) -> None:
        """Somebody says which source moves a camera, by camera; "" leaves it to their priorities. At once where that
        source is ok; what is said again changes nothing."""
        for camera, source in sources.items():
            feed = self._feeds.get(camera)
            if feed is not None:
                feed.prefer(source)

    def step(self, now_ns: int) -> None:
        """Let time pass: the sources' health, and who moves each camera. Who predicts need not ask."""
        for feed in self._feeds.values():
            feed.step(now_ns)

    def moving(self, camera: str) -> str:
        """The source that moves a camera; "" when none is configured to."""
        feed = self._feeds.get(camera)
        return "" if feed is None else feed.active.name

    def predict_subject(self, subject: str, t_photo_ns: int, now_ns: int | None = None) -> PredictedSubject | None:
        """Where a subject will be at `t_photo_ns`, as `predict` says it of a camera; None before its first sample.

        Raises
        ------
        UnknownSource : no such subject.
        """
        state = self._subject(subject)
        pose = pose_at_photo(state, subject, t_photo_ns, self._now(now_ns))
        return None if pose is None else predicted_subject(subject, state, pose)

    def latest_subject(self, subject: str) -> Sample | None:
        """The newest sample of a subject; None when nothing ever came. Raises UnknownSource."""
        return self._subject(subject).history.newest

    def subject_states(self, now_ns: int | None = None) -> dict[str, State]:
        """Health of every subject, by id."""
        now = self._now(now_ns)
        return {name: state.health.step(now) for name, state in self._subjects.items()}

    def state(self, source: str, now_ns: int | None = None) -> State:
        """Health of a source. Raises UnknownSource."""
        return self._state(source).health.step(self._clock.now_ns() if now_ns is None else now_ns)

    def history(self, source: str) -> History:
        """History of a source, to be read only. Raises UnknownSource."""
        return self._state(source).history

    def mapping(self, source: str) -> SourceMapping:
        """How a source's packets become samples. Raises UnknownSource."""
        return self._state(source).mapping

    def residuals(self, source: str) -> Array:
        """Absolute residuals of a source's last photos, [n, 5]: tilt, roll, pan (deg), position (m), relative zoom.

        Raises UnknownSource.
        """
        return self._state(source).predictor.residuals()

    def statistics(self, now_ns: int | None = None) -> dict[str, SourceStatistics]:
        """Every source as it stands, by id."""
        now = self._clock.now_ns() if now_ns is None else now_ns
        return {state.name: statistics_of(state, link, now) for link in self._links for state in link.sources}

    def alarms(self, now_ns: int | None = None) -> list[Problem]:
        """What a person should know about the inputs now."""
        now = self._clock.now_ns() if now_ns is None else now_ns
        out: list[Problem] = []
        for state in self._sources.values():
            path = f"tracking/sources/{state.name}"
            out.extend(alarms_of(state, path, now))
        for name, state in self._subjects.items():
            out.extend(alarms_of(state, f"tracking/subjects/{name}", now))
        for link in self._links:
            out.extend(link_alarms(link, now))
        for feed in self._feeds.values():
            feed.step(now)
            out.extend(feed.alarms())
        return out

    # --- change -------------------------------------------------------------------------------------------------

    def prepare(
        self,
        config: TrackingConfig,
        *,
        mounts: Mapping[str, Array] | None = None,
        lens_tables: Mapping[str, LensGrid] | None = None,
        pictures_mm: Mapping[str, tuple[float, float]] | None = None,
        rate: Rate | None = None,
    ) -> Prepared:
        """Open what a new configuration needs beside what is open; nothing in force changes.

        Raises
        ------
        ListenError : an address is in use, or not of this machine; nothing stays open.
        """
        mounts = {} if mounts is None else mounts
        grids = {} if lens_tables is None else lens_tables
        pictures = {} if pictures_mm is None else pictures_mm
        mappings = {
            name: mapping_of(
                name,
                source,
                mounts.get(source.camera),
                lens_grid=None if source.lens_table is None else grids.get(source.lens_table.file),
                picture_mm=pictures.get(source.camera),
            )
            for name, source in config.sources.items()
        }
        subjects: dict[str, tuple[Source, SourceMapping]] = {}
        for name in config.subjects:
            source = subject_source(config, name)
            subjects[name] = (source, subject_mapping(config, name, source))
        have = {link.key: link.receiver for link in self._links if link.receiver is not None}
        receivers: dict[tuple[str, ...], Receiver] = {}
        opened: list[Receiver] = []
        if self._is_open:
            try:
                for name, source in config.sources.items():
                    if source.link in receivers:
                        continue
                    receiver = have.get(source.link)
                    if receiver is None:
                        receiver = open_receiver(name, source, self._clock)
                        opened.append(receiver)
                    receivers[source.link] = receiver
            except Exception:
                for receiver in opened:
                    receiver.close()
                raise
        frame_ns = self._frame_ns if rate is None else rate.period_ns
        return Prepared(config, mounts, mappings, subjects, receivers, opened, frame_ns)

    def commit(self, prepared: Prepared) -> None:
        """Put a prepared configuration in force, whole. A source that stays the same stream keeps its history, moved
        to its new alignment, so that a nudge is no movement. One change at a time: prepare, then commit or give up.

        Raises
        ------
        ListenError : the inputs were opened since `prepare`, and an address is in use; nothing has changed.
        """
        now_ns, day_at = self._clock.now_ns(), self._day_at
        frame_ns = self._frame_ns = prepared.frame_ns
        if self._is_open:
            for name, source in prepared.config.sources.items():
                if source.link not in prepared.receivers:
                    prepared.receivers[source.link] = open_receiver(name, source, self._clock)
        sources: dict[str, SourceStream] = {}
        for name, source in prepared.config.sources.items():
            mapping = prepared.mappings[name]
            old = self._sources.get(name)
            sources[name] = (
                carried_stream(old, source, mapping, frame_ns=frame_ns)
                if old is not None
                else fresh_stream(name, source, mapping, now_ns, frame_ns=frame_ns, day_at=day_at)
            )
        subjects: dict[str, SourceStream] = {}
        followed: dict[tuple[str, ...], list[SourceStream]] = {}
        for name, (source, mapping) in prepared.subjects.items():
            old = self._subjects.get(name)
            subjects[name] = (
                carried_stream(old, source, mapping, frame_ns=frame_ns)
                if old is not None
                else fresh_stream(stream_name(name), source, mapping, now_ns, frame_ns=frame_ns, day_at=day_at)
            )
            followed.setdefault(source.link, []).append(subjects[name])
        grouped: dict[tuple[str, ...], list[SourceStream]] = {}
        for state in sources.values():
            grouped.setdefault(state.source.link, []).append(state)
        old_links = {link.key: link for link in self._links}
        links = [
            link_of(key, states, prepared.receivers.get(key), old_links.get(key), followed.get(key, ()))
            for key, states in grouped.items()
        ]
        for link in self._links:
            if link.receiver is not None and link.receiver not in prepared.receivers.values():
                link.receiver.close()
        self._links, self._sources, self._subjects, self._config = links, sources, subjects, prepared.config
        self._listen()
        cameras: dict[str, list[SourceStream]] = {}
        lenses: dict[str, list[SourceStream]] = {}
        for state in sources.values():
            if state.lens_track is not None:
                lenses.setdefault(state.source.camera, []).append(state)
            elif state.source.camera:
                cameras.setdefault(state.source.camera, []).append(state)
        self._lenses = lenses
        before, self._feeds = self._feeds, {camera: CameraFeed(camera, states) for camera, states in cameras.items()}
        for camera, feed in self._feeds.items():
            if camera in before:
                feed.carry(before[camera])

    def give_up(self, prepared: Prepared) -> None:
        """Close what was opened for a configuration that will not be committed."""
        for receiver in prepared.opened:
            receiver.close()

    def apply(
        self,
        config: TrackingConfig,
        *,
        mounts: Mapping[str, Array] | None = None,
        lens_tables: Mapping[str, LensGrid] | None = None,
        pictures_mm: Mapping[str, tuple[float, float]] | None = None,
        rate: Rate | None = None,
    ) -> None:
        """`commit(prepare(...))`. Raises ListenError, and then nothing has changed."""
        self.commit(self.prepare(config, mounts=mounts, lens_tables=lens_tables, pictures_mm=pictures_mm, rate=rate))

    def _state(self, source: str) -> SourceStream:
        state = self._sources.get(source)
        if state is None:
            known = ", ".join(self._sources) or "none is configured"
            raise UnknownSource(
                Problem(UnknownSource.code, "tracking/sources", "no such source", source, f"use one of: {known}")
            )
        return state

    def _subject(self, subject: str) -> SourceStream:
        state = self._subjects.get(subject)
        if state is None:
            known = ", ".join(self._subjects) or "none is configured"
            raise UnknownSource(
                Problem(UnknownSource.code, "tracking/subjects", "no such subject", subject, f"use one of: {known}")
            )
        return state

    def _told(self, link: Link) -> LinkInfo:
        """How the tap knows a socket."""
        if link.info is None:
            source = link.sources[0].source
            names = tuple(state.name for state in link.sources)
            link.info = LinkInfo(source.listen, source.protocol, names)
        return link.info

    def _now(self, now_ns: int | None) -> int:
        return self._clock.now_ns() if now_ns is None else now_ns
