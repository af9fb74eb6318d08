"""The relay: sends cameras' poses on to other programs, in a process of its own, so that no plan ever waits for it.

Predicted poses come from the plans as they are published. Raw ones come from the datagrams the conductor's sockets
received: the same decoders, gates, alignment and fail-over run here once more on copies from its ring.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Final

import msgspec

from controller.ledger_feed import RingQueue
from controller.relay_status import RelayStatus, RelayTold
from controller.rundir import RunDir
from controller.sources import mounts_of, pictures_of, preferences, steered
from controller.status import KIND_STATUS, Alarm, RoleState
from controller.tracking_recorder import KIND_DATAGRAMS
from controller.versions import Version, load_version
from runtime.clock import NS_PER_MS, NS_PER_S, Clock
from runtime.ring import KIND_PLANS, RingWriter
from stage.errors import OpenVolumeError
from stage.plan import FramePlan, decode_plan, transform_of
from tracking.errors import SendError
from tracking.inputs import TrackingInputs
from tracking.moment import Moment
from tracking.relay import OpenWire, RelaySender, lens_of_plan, senders_of
from tracking.sample import Sample
from tracking.tap import decode_batch

log = logging.getLogger(__name__)

POLL_NS: Final = 3 * NS_PER_MS
LOOK_NS: Final = NS_PER_S // 4
TELL_NS: Final = NS_PER_S
_STATUS_CAPACITY: Final = 65_472


class RelayRole:
    """Role. wire : opens a wire; UDP sockets by default."""

    def __init__(self, *, run: RunDir, clock: Clock, wire: OpenWire | None = None) -> None:
        self._run, self._clock, self._wire = run, clock, wire
        self._plans = RingQueue(run.plans, KIND_PLANS)
        self._datagrams = RingQueue(run.datagrams, KIND_DATAGRAMS)
        self._version: Version | None = None
        self._raw: dict[str, list[RelaySender]] = {}
        self._predicted: dict[str, list[RelaySender]] = {}
        self._inputs: TrackingInputs | None = None
        self._look_due_ns = self._tell_due_ns = 0
        self._faults: dict[str, str] = {}
        """Why a relay cannot send, by its id."""
        self._unreadable = ""
        """Why the newest version is not followed."""
        self._before: dict[str, tuple[int, int]] = {}
        """Poses and what could not be sent when it was told last."""

    def start(self) -> None:
        """Open the sockets of the version that holds."""
        self._status = RingWriter.create(self._run.relay_status, kind=KIND_STATUS, slots=4, capacity=_STATUS_CAPACITY)
        self._load(self._run.current_version())

    def wake_fds(self) -> Sequence[int]:
        """Rings are polled."""
        return ()

    def step(self, now_ns: int) -> int:
        """Send on what is new."""
        look = now_ns >= self._look_due_ns
        if look:
            self._look_due_ns = now_ns + LOOK_NS
        slots = self._plans.take(look=look)
        if slots:
            newest = decode_plan(slots[-1].data)
            # What came late is not worth saying any more: receivers want where the camera is.
            if self._version is None or newest.show_version != self._version.show.version:
                self._load(newest.show_version)
            self._send_predicted(newest)
        self._send_raw(look=look)
        if now_ns >= self._tell_due_ns:
            self._tell_due_ns = now_ns + TELL_NS
            for sender in self._all():
                # An interface that was not there may have come.
                if sender.name in self._faults:
                    self._try(sender)
            self._publish(now_ns, "running")
        return now_ns + POLL_NS

    def stop(self) -> None:
        """Close every socket."""
        self._close()
        self._publish(self._clock.now_ns(), "stopped")
        self._plans.close()
        self._datagrams.close()
        self._status.close()

    def _load(self, number: int) -> None:
        """Take up a version: its relays, and what raw poses are made with."""
        try:
            version = load_version(self._run, number)
        except (OpenVolumeError, OSError, msgspec.MsgspecError) as error:
            self._unreadable = f"version {number} cannot be read: {error}"
            log.error("%s", self._unreadable)
            return
        before, self._version, self._unreadable = self._version, version, ""
        tracking = steered(version.config.tracking, version.show)
        if (
            before is None
            or before.config.tracking.relays != tracking.relays
            or before.stage.rate != version.stage.rate
        ):
            self._open(version)
        if not self._raw:
            self._inputs = None
            return
        mounts, pictures = mounts_of(version.stage), pictures_of(version.stage)
        if self._inputs is None:
            self._inputs = TrackingInputs(
                tracking,
                self._clock,
                mounts=mounts,
                pictures_mm=pictures,
                lens_tables=version.lens_tables,
                rate=version.stage.rate,
            )
        elif before is None or _said(before) != _said(version):
            self._inputs.apply(
                tracking, mounts=mounts, pictures_mm=pictures, lens_tables=version.lens_tables, rate=version.stage.rate
            )
        self._inputs.prefer(preferences(version.show))

    def _open(self, version: Version) -> None:
        self._close()
        relays, rate = version.config.tracking.relays, version.stage.rate
        self._faults.clear()
        self._before.clear()
        self._raw = senders_of(relays, pose="raw", wire=self._wire)
        self._predicted = senders_of(relays, pose="predicted", rate=rate, wire=self._wire)
        for sender in self._all():
            self._try(sender)

    def _try(self, sender: RelaySender) -> None:
        try:
            sender.open()
        except (SendError, OSError) as error:
            fault = error.problems[0].detail if isinstance(error, SendError) else error.strerror or str(error)
            if self._faults.get(sender.name) != fault:
                log.error("relay %s: %s", sender.name, fault)
            self._faults[sender.name] = fault
        else:
            self._faults.pop(sender.name, None)

    def _close(self) -> None:
        for sender in self._all():
            sender.close()

    def _all(self) -> list[RelaySender]:
        return [sender for senders in (*self._raw.values(), *self._predicted.values()) for sender in senders]

    def _send_predicted(self, plan: FramePlan) -> None:
        if not self._predicted:
            return
        for camera in plan.cameras:
            if not camera.source:
                continue  # nothing tracks it
            t_ns = plan.tai_ns + camera.t_photo_ns - plan.t_present_ns
            moment = Moment(transform_of(camera.stage_from_camera), plan.frame, t_ns, lens_of_plan(camera.lens))
            for sender in self._predicted.get(camera.id, ()):
                sender.send(moment)

    def _send_raw(self, *, look: bool) -> None:
        slots = self._datagrams.take(look=look)
        inputs = self._inputs
        if inputs is None or not slots:
            return
        tai_minus_monotonic_ns = self._clock.tai_ns() - self._clock.now_ns()
        for slot in slots:
            batch = decode_batch(slot.data)
            # Nobody predicts here: who moves a camera must be asked for, or nobody ever takes over. As of when this
            # came, not of now: what lay in the ring meanwhile has not been late.
            inputs.step(batch.datagrams[0].t_received_ns)
            for datagram in batch.datagrams:
                name = next((n for n in batch.links[datagram.link].sources if n in inputs.config.sources), None)
                if name is None:
                    continue
                sender = (datagram.host, datagram.port)
                for sample in inputs.inject(name, datagram.data, datagram.t_received_ns, sender=sender):
                    self._send_sample(inputs, sample, tai_minus_monotonic_ns)

    def _send_sample(self, inputs: TrackingInputs, sample: Sample, tai_minus_monotonic_ns: int) -> None:
        senders = self._raw.get(sample.camera)
        if not senders or inputs.moving(sample.camera) != sample.source:
            return
        pose, lens = sample.stage_from_camera, inputs.lens(sample.camera, sample.lens, sample.t_sampled_ns)
        if sample.pose_point == "pupil":
            configured = self._version.stage.cameras[sample.camera].lens if self._version is not None else None
            pupil_m = configured.entrance_pupil_m if configured is not None else 0.0
            if lens is not None and lens.entrance_pupil_m is not None:
                pupil_m = lens.entrance_pupil_m
            pose = pose.copy()
            pose[:3, 3] -= pupil_m * pose[:3, 1]
        moment = Moment(pose, 0, sample.t_sampled_ns + tai_minus_monotonic_ns, lens)
        for sender in senders:
            sender.send(moment)

    def _publish(self, now_ns: int, state: RoleState) -> None:
        told, alarms = {}, []
        for sender in self._all():
            counts, fault = sender.statistics, self._faults.get(sender.name, "")
            poses, unsendable = self._before.get(sender.name, (0, 0))
            self._before[sender.name] = counts.poses, counts.unsendable
            told[sender.name] = RelayTold(
                counts.poses,
                counts.datagrams,
                counts.unsendable,
                (counts.poses - poses) * NS_PER_S / TELL_NS,
                fault,
            )
            path, lost = f"relays/{sender.name}", counts.unsendable - unsendable
            if fault:
                mend = "give targets and an interface of this machine's networks"
                alarms.append(Alarm("relay.not_open", path, fault, "warning", mend, values={"error": fault}))
            elif lost:
                detail = f"{lost} of its poses or datagrams could not be sent in the last second"
                mend = "look at the network to its targets, and whether its protocol can say such places"
                alarms.append(Alarm("relay.unsendable", path, detail, "warning", mend, values={"lost": lost}))
        if self._unreadable:
            why = self._unreadable[:500]
            alarms.append(Alarm("relay.version", "relays", why, "warning", "restart the show", values={"error": why}))
        status = RelayStatus(now_ns, os.getpid(), state, told, alarms)
        self._status.publish(msgspec.msgpack.encode(status), frame=0, t_ns=now_ns)
        self._status.heartbeat(now_ns)


def _said(version: Version) -> tuple[object, ...]:
    """What of a version decides where a tracker's samples lie."""
    show = version.show
    return show.config_version, show.nudges, show.delays
