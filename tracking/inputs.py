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

from collections.abc import Mapping
from dataclasses import dataclass

from runtime.clock import Clock
from stage.errors import Problem
from stage.frames import Array
from tracking.config import Source, TrackingConfig
from tracking.errors import UnknownSource
from tracking.health import COAST_NS, State
from tracking.history import History
from tracking.lens_table import LensGrid
from tracking.mapping import Mapping as SourceMapping
from tracking.mapping import mapping_of
from tracking.predict import PredictedPose
from tracking.receivers import Arrival, Receiver, open_receiver
from tracking.report import SourceStatistics, alarms_of, statistics_of
from tracking.sample import Sample
from tracking.stream import Link, SourceStream, carried_stream, fresh_stream, link_of, take
from tracking.subjects import PredictedSubject, predicted_subject, stream_name, subject_mapping, subject_source
from tracking.tap import LinkInfo, Tap


@dataclass(slots=True)
class Prepared:
    """A configuration whose sockets are open and whose faults are known, ready to be committed or given up."""

    config: TrackingConfig
    mounts: Mapping[str, Array]
    mappings: dict[str, SourceMapping]
    subjects: dict[str, tuple[Source, SourceMapping]]
    receivers: dict[tuple[str, ...], Receiver]
    opened: list[Receiver]


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
    """

    def __init__(
        self,
        config: TrackingConfig,
        clock: Clock,
        *,
        mounts: Mapping[str, Array] | None = None,
        lens_tables: Mapping[str, LensGrid] | None = None,
        pictures_mm: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        self._clock = clock
        self._is_open = False
        self.tap: Tap | None = None
        """Told everything that is received, before it is decoded."""
        self._adapted = -1
        self._links: list[Link] = []
        self._sources: dict[str, SourceStream] = {}
        self._cameras: dict[str, list[SourceStream]] = {}
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

    def close(self) -> None:
        """Close every socket; histories stay."""
        for link in self._links:
            if link.receiver is not None:
                link.receiver.close()
                link.receiver = None
        self._is_open = False

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
        for link in self._links:
            if link.receiver is not None:
                arrivals = link.receiver.receive()
                if arrivals and self.tap is not None:
                    self.tap.take(_told(link), arrivals)
                for arrival in arrivals:
                    take(link, arrival, taken)
        if now_ns is not None:
            for state in (*self._sources.values(), *self._subjects.values()):
                state.health.step(now_ns)
        return taken

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
            self.tap.take(_told(link), [arrival])
        taken: list[Sample] = []
        take(link, arrival, taken)
        return taken

    def adapt(self, until_ns: int | None = None) -> None:
        """Let predictions learn from what has come, for the slack between frames. Each source in its turn, none begun
        at or after `until_ns`."""
        states = [*self._sources.values(), *self._subjects.values()]
        for _ in states:
            if until_ns is not None and self._clock.now_ns() >= until_ns:
                return
            self._adapted = (self._adapted + 1) % len(states)
            states[self._adapted].predictor.adapt(states[self._adapted].history)

    # --- out ----------------------------------------------------------------------------------------------------

    def latest(self, camera: str) -> Sample | None:
        """The newest sample of a camera; None when nothing ever came, or nothing is configured to."""
        state = self._active(camera)
        return None if state is None else state.history.newest

    def predict(self, camera: str, t_photo_ns: int, now_ns: int | None = None) -> PredictedPose | None:
        """Where a camera will be at `t_photo_ns`, as known at `now_ns` (the clock's now); None before its first sample.

        With `prediction: off` the newest sample exactly.
        """
        state = self._active(camera)
        return None if state is None else _predicted(state, camera, t_photo_ns, self._now(now_ns))

    def predict_subject(self, subject: str, t_photo_ns: int, now_ns: int | None = None) -> PredictedSubject | None:
        """Where a subject will be at `t_photo_ns`, as `predict` says it of a camera; None before its first sample.

        Raises
        ------
        UnknownSource : no such subject.
        """
        state = self._subject(subject)
        pose = _predicted(state, subject, t_photo_ns, self._now(now_ns))
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
        for camera, states in self._cameras.items():
            speaking = [s.name for s in states if s.health.state in (State.OK, State.COASTING)]
            if len(states) > 1 and len(speaking) > 1:
                out.append(
                    Problem(
                        "tracking.second_source",
                        f"cameras/{camera}",
                        f"sources {', '.join(speaking)} all move it; {states[0].name} counts",
                        mend="remove a source, or give it another camera",
                    )
                )
        return out

    # --- change -------------------------------------------------------------------------------------------------

    def prepare(
        self,
        config: TrackingConfig,
        *,
        mounts: Mapping[str, Array] | None = None,
        lens_tables: Mapping[str, LensGrid] | None = None,
        pictures_mm: Mapping[str, tuple[float, float]] | None = None,
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
        return Prepared(config, mounts, mappings, subjects, receivers, opened)

    def commit(self, prepared: Prepared) -> None:
        """Put a prepared configuration in force, whole. A source that stays the same stream keeps its history, moved
        to its new alignment, so that a nudge is no movement. One change at a time: prepare, then commit or give up.

        Raises
        ------
        ListenError : the inputs were opened since `prepare`, and an address is in use; nothing has changed.
        """
        now_ns = self._clock.now_ns()
        if self._is_open:
            for name, source in prepared.config.sources.items():
                if source.link not in prepared.receivers:
                    prepared.receivers[source.link] = open_receiver(name, source, self._clock)
        sources: dict[str, SourceStream] = {}
        for name, source in prepared.config.sources.items():
            mapping = prepared.mappings[name]
            old = self._sources.get(name)
            sources[name] = (
                carried_stream(old, source, mapping) if old is not None else fresh_stream(name, source, mapping, now_ns)
            )
        subjects: dict[str, SourceStream] = {}
        followed: dict[tuple[str, ...], list[SourceStream]] = {}
        for name, (source, mapping) in prepared.subjects.items():
            old = self._subjects.get(name)
            subjects[name] = (
                carried_stream(old, source, mapping)
                if old is not None
                else fresh_stream(stream_name(name), source, mapping, now_ns)
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
        self._cameras = {}
        for state in sources.values():
            if state.source.camera:
                self._cameras.setdefault(state.source.camera, []).append(state)

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
    ) -> None:
        """`commit(prepare(...))`. Raises ListenError, and then nothing has changed."""
        self.commit(self.prepare(config, mounts=mounts, lens_tables=lens_tables, pictures_mm=pictures_mm))

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

    def _now(self, now_ns: int | None) -> int:
        return self._clock.now_ns() if now_ns is None else now_ns

    def _active(self, camera: str) -> SourceStream | None:
        states = self._cameras.get(camera)
        return states[0] if states else None


def _predicted(state: SourceStream, name: str, t_photo_ns: int, now_ns: int) -> PredictedPose | None:
    """Where what a stream follows will be at the photo; None before its first sample."""
    sample = state.history.newest
    if sample is None:
        return None
    quality = state.health.step(now_ns)
    overdue_ns = state.health.overdue_ns(now_ns)
    if state.source.prediction == "off":
        stage_from_camera = state.predictor.hold(state.history, t_photo_ns, overdue_ns)
    else:
        predicted = state.predictor.predict(state.history, t_photo_ns, overdue_ns)
        stage_from_camera = state.follower.follow(predicted, t_photo_ns, holding=overdue_ns > COAST_NS)
    return PredictedPose(
        name,
        t_photo_ns,
        stage_from_camera,
        sample.pose_point,
        sample,
        quality.value,
        t_photo_ns - sample.t_sampled_ns,
        state.predictor.error(),
    )


def _told(link: Link) -> LinkInfo:
    source = link.sources[0].source
    return LinkInfo(source.listen, source.protocol, tuple(state.name for state in link.sources))
