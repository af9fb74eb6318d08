"""The sender: canvases on their way into the network, each in its slots, and what is told of them.

It reads rings as any other program may; nobody waits for it. Several streams share its one thread: each sends the run
of packets that is due and gives way. Where a stream goes can be changed while it runs, with a frame, by letters.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import msgspec

from controller.action import read_action
from controller.errors import UnknownAddress
from controller.ledger_feed import open_ring
from controller.messages import Connect, Connected, Disregard, NotConnected
from controller.post import Post
from controller.rundir import RunDir, replace_file
from controller.show import decode_snapshot
from controller.snapshots import running_config
from controller.st2110.config import St2110Config, form_of
from controller.st2110.connection import Connection, Leg
from controller.st2110.frame import chosen_packing
from controller.st2110.network import address_of, interface_of
from controller.st2110.output import Output, Slot
from controller.st2110.pixels import Coding
from controller.st2110.qdisc import held_by_kernel
from controller.st2110.sdp import Clock as MediaClock
from controller.st2110.sdp import Colorimetry, Transfer, session
from controller.st2110.status import (
    KIND_SENT,
    SENT_CAPACITY,
    SENT_SLOTS,
    PathStatus,
    SenderStatus,
    SentNote,
    StreamState,
    StreamStatus,
    decode_sender,
)
from controller.st2110.stream import VideoStream
from controller.status import KIND_STATUS, STATUS_CAPACITY, Alarm, RoleState, decode_conductor
from controller.v4l2.output import DeviceOutput
from runtime.clock import NS_PER_MS, NS_PER_S, Clock
from runtime.pace import smpte_epoch_ns
from runtime.ring import RingReader, RingShape, RingWriter
from stage.compiled import CompiledStage, Encoding, decode_stage
from stage.errors import OpenVolumeError, Problem
from stage.rate import Rate

if TYPE_CHECKING:
    from controller.config import OutputConfig
    from controller.ndi.source import NdiSource

log = logging.getLogger(__name__)

LOOK_NS: Final = NS_PER_S // 2
TELL_NS: Final = NS_PER_S // 2
LETTERS_NS: Final = 4 * NS_PER_MS
STEP_NS: Final = 50_000
"""TAI is taken to have been set when it moves by more; less is the reading's own jitter."""
LATE_PER_S: Final = 2


class _Saved(msgspec.Struct):
    """A connection that is not as configured."""

    configured: Connection
    connection: Connection
    activated_tai_ns: int


@dataclass(slots=True)
class _Sent:
    """One output with what it is made of."""

    output: Output
    config: St2110Config
    configured: Connection
    encoding: Encoding
    coding: Coding
    transfer: Transfer
    waiting: Connect | None = None
    session: int = 0
    description: str = ""
    refused: int = 0
    """Packets that paths had refused when it was told last."""
    late: int = 0


class SenderRole:
    """Role."""

    def __init__(self, *, run: RunDir, clock: Clock) -> None:
        self._run, self._clock = run, clock
        self._sent: dict[str, _Sent] = {}
        self._devices: dict[str, tuple[DeviceOutput, object]] = {}
        """By their address in the configuration, and what that says."""
        self._seen = -1
        self._config_version = 0
        self._tai_offset_ns = 0
        self._grandmaster = ""
        self._domain = 127
        self._look_due_ns = self._tell_due_ns = self._letters_due_ns = 0
        self._since: dict[tuple[str, str], int] = {}
        self._before: dict[str, Slot] = {}
        """The last slots of a sender before this one."""
        self._saved: dict[str, _Saved] = {}
        self._conductor: RingReader | None = None

    def start(self) -> None:
        """Take box and rings, and open the streams of the version that holds."""
        self._before = _last_slots(self._run)
        try:
            self._saved = msgspec.msgpack.decode(self._run.connections.read_bytes(), type=dict[str, _Saved])
        except (OSError, msgspec.MsgspecError):
            self._saved = {}
        self._post = Post(self._run.sender_socket)
        self._status = RingWriter.create(self._run.sender_status, kind=KIND_STATUS, slots=4, capacity=STATUS_CAPACITY)
        self._notes = RingWriter.create(self._run.sent, kind=KIND_SENT, slots=SENT_SLOTS, capacity=SENT_CAPACITY)
        self._measure()
        self._follow()

    def wake_fds(self) -> Sequence[int]:
        """The letter box."""
        return (self._post.fileno(),)

    def step(self, now_ns: int) -> int:
        """Send what is due."""
        due_ns = now_ns + LOOK_NS
        for sent in self._sent.values():
            due_ns = min(due_ns, sent.output.step(now_ns))
        for device, _ in self._devices.values():
            due_ns = min(due_ns, device.step(now_ns))
        if now_ns >= self._letters_due_ns:
            self._letters_due_ns = now_ns + LETTERS_NS
            self._letters()
        if now_ns >= self._look_due_ns:
            self._look_due_ns = now_ns + LOOK_NS
            self._measure()
            self._follow()
        if now_ns >= self._tell_due_ns:
            self._publish(now_ns, "running")
            self._tell_due_ns = now_ns + TELL_NS
        return due_ns

    def stop(self) -> None:
        """Close every socket."""
        for sent in self._sent.values():
            sent.output.close()
        for device, _ in self._devices.values():
            device.close()
        self._publish(self._clock.now_ns(), "stopped")
        if self._conductor is not None:
            self._conductor.close()
        self._post.close()
        self._notes.close()
        self._status.close()

    # --- what there is ------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        """Take up the version that holds, and the clock's own reference."""
        number = self._run.current_version()
        if number != self._seen:
            try:
                snapshot = decode_snapshot(self._run.snapshot(number).read_bytes())
                config = running_config(snapshot)
                stage = decode_stage(snapshot.stage)
            except (OSError, msgspec.MsgspecError):
                return  # being replaced: the next look finds it
            except OpenVolumeError as error:
                log.error("version %d cannot be used: %s", number, error)
                self._seen = number
                return
            self._seen, self._config_version = number, snapshot.show.config_version
            self._domain = config.time.ptp.domain
            wanted = {name: o.st2110 for name, o in config.outputs.items() if o.st2110 is not None}
            self._configure(wanted, stage)
            self._write_into(config.outputs, stage.rate)
        grandmaster = self._reference()
        if grandmaster != self._grandmaster:
            self._grandmaster = grandmaster
            for sent in self._sent.values():
                self._describe(sent)

    def _configure(self, wanted: dict[str, St2110Config], stage: CompiledStage) -> None:
        for name in list(self._sent):
            sent = self._sent[name]
            canvas = stage.canvases.get(name)
            if (
                name not in wanted
                or canvas is None
                or (sent.config, sent.encoding, sent.output.rate) != (wanted[name], canvas.encoding, stage.rate)
            ):
                sent.output.close()
                del self._sent[name]
        for name, config in wanted.items():
            if name not in self._sent and name in stage.canvases:
                self._sent[name] = self._begin(name, config, stage)

    def _write_into(self, outputs: Mapping[str, OutputConfig], rate: Rate) -> None:
        """Canvases that go into video devices, and those that are NDI sources."""
        wanted: dict[str, tuple[str, object]] = {}
        for name, output in outputs.items():
            if output.v4l2 is not None:
                wanted[f"outputs/{name}/v4l2/device"] = (name, output.v4l2)
            if output.ndi is not None:
                wanted[f"outputs/{name}/ndi"] = (name, (output.ndi, rate))
        for where in [w for w, (_, made) in self._devices.items() if w not in wanted or wanted[w][1] != made]:
            self._devices.pop(where)[0].close()
        for where, (name, config) in wanted.items():
            if where not in self._devices:
                self._devices[where] = self._device(name, where, outputs[name], rate), config

    def _device(self, name: str, where: str, output: OutputConfig, rate: Rate) -> DeviceOutput:
        path = self._run.canvas(name)
        if not where.endswith("/ndi"):
            assert output.v4l2 is not None
            return DeviceOutput(name, path, output.v4l2.device, where=where)
        assert output.ndi is not None
        source, groups = output.ndi.name or f"OpenVolume {name}", output.ndi.groups

        def opened(source: str, width_px: int, height_px: int, where: str) -> NdiSource:
            from controller.ndi.source import NdiSource

            made = NdiSource(source, width_px, height_px, rate=rate, where=where, groups=groups)
            log.info("%s is the NDI source %r", name, source)
            return made

        return DeviceOutput(name, path, source, where=where, open_device=opened)

    def _begin(self, name: str, config: St2110Config, stage: CompiledStage) -> _Sent:
        encoding = stage.canvases[name].encoding
        configured = configured_connection(config)
        connection, activated_tai_ns = configured, 0
        saved = self._saved.get(name)
        if saved is not None and saved.configured == configured:
            connection, activated_tai_ns = saved.connection, saved.activated_tai_ns

        def opened(shape: RingShape, where: Connection) -> VideoStream:
            form = form_of(config, shape.width, shape.height, encoding.bits)
            form.check(f"outputs/{name}")
            stream = VideoStream(
                form,
                where.paths,
                period_ns=stage.rate.period_ns,
                ssrc=int.from_bytes(blake2b(f"{self._run.run}/{name}".encode(), digest_size=4).digest(), "big"),
                now_ns=self._clock.now_ns,
                payload_type=config.payload_type,
                packing=chosen_packing(form, config.packing),
                coding=sent.coding,
                ttl=config.ttl,
                holds_packets=held_by_kernel,
            )
            places = ", ".join(f"{p.destination}:{p.port}" for p in where.paths) or "nobody"
            log.info("%s is sent to %s, paced by %s", name, places, "the kernel" if stream.lead_ns else "this process")
            self._describe(sent, stream)
            return stream

        output = Output(
            name,
            self._run.canvas(name),
            stage.rate,
            connection,
            open_stream=opened,
            now_ns=self._clock.now_ns,
            tai_at_ns=self._tai_at_ns,
            held=lambda: read_action(self._run.action_word).action == "hold",
            tell=self._note,
        )
        output.activated_tai_ns = activated_tai_ns
        coding, transfer = coding_of(config, encoding)
        sent = _Sent(output, config, configured, encoding, coding, transfer)
        output.on_slot = lambda slot: self._at_slot(sent, slot)
        return sent

    def _describe(self, sent: _Sent, stream: VideoStream | None = None) -> None:
        """Write the session description anew."""
        stream = stream or sent.output.stream
        path = self._run.description(sent.output.name)
        if stream is None or not sent.output.connection.paths:
            sent.description = ""
            path.unlink(missing_ok=True)
            return
        sent.session = max(sent.session + 1, self._clock.tai_ns() // NS_PER_S)
        digest = blake2b(f"{self._run.run}/{sent.output.name}/sdp".encode(), digest_size=4).digest()
        paths = tuple(sent.output.connection.paths)
        sent.description = session(
            f"OpenVolume {sent.output.name}",
            stream.form,
            sent.output.rate,
            paths,
            session_id=int.from_bytes(digest, "big"),
            version=sent.session,
            payload_type=sent.config.payload_type,
            packing=chosen_packing(stream.form, sent.config.packing),
            colorimetry=sent.coding.colorimetry,
            transfer=sent.transfer,
            range_=sent.coding.wire,
            ttl=sent.config.ttl,
            clocks=tuple(self._media_clock(path_.source) for path_ in paths),
        )
        replace_file(path, sent.description.encode())

    def _media_clock(self, source: str) -> MediaClock:
        if self._grandmaster:
            return MediaClock(self._grandmaster, self._domain)
        found = interface_of(source)
        return MediaClock(mac=found.mac if found is not None else "00-00-00-00-00-00")

    def _reference(self) -> str:
        """The grandmaster that this machine's clock follows, in the form of session descriptions; empty: none."""
        if self._conductor is None:
            self._conductor = open_ring(self._run.conductor_status, KIND_STATUS)
        slot = self._conductor.latest() if self._conductor is not None else None
        if slot is None:
            return ""
        try:
            clock = decode_conductor(slot.data).clock
        except msgspec.MsgspecError:
            return ""
        digits = "".join(c for c in clock.grandmaster if c.isalnum()).upper()
        return "-".join(digits[i : i + 2] for i in range(0, 16, 2)) if len(digits) == 16 else ""

    def _measure(self) -> None:
        """How far TAI is ahead of the monotonic clock: kept until somebody sets it, so that labels step evenly."""
        epoch_ns = smpte_epoch_ns(self._clock)
        if epoch_ns is not None and abs(-epoch_ns - self._tai_offset_ns) > STEP_NS:
            self._tai_offset_ns = -epoch_ns

    def _tai_at_ns(self, t_ns: int) -> int:
        return t_ns + self._tai_offset_ns

    # --- connections --------------------------------------------------------------------------------------------

    def _letters(self) -> None:
        for message in self._post.receive():
            if isinstance(message, Connect):
                sent = self._sent.get(message.canvas)
                if sent is None:
                    path = f"streams/{message.canvas}"
                    told = Problem(UnknownAddress.code, path, "no such canvas is sent", None, "configure outputs")
                    self._answer(message, NotConnected(message.canvas, message.request, [told]))
                    continue
                sent.waiting = message
                if sent.output.slot is None and message.at_tai_ns <= self._clock.tai_ns():
                    self._connect(sent, None)
            elif isinstance(message, Disregard):
                sent = self._sent.get(message.canvas)
                if sent is not None and sent.waiting is not None and sent.waiting.request == message.request:
                    sent.waiting = None

    def _at_slot(self, sent: _Sent, slot: Slot) -> None:
        """Before a slot's picture leaves: what begins with it begins now."""
        before = self._before.pop(sent.output.name, None)
        if before is not None:
            missed = round((slot.t_ns - before.t_ns) / sent.output.rate.period_ns) - 1
            if missed > 0:
                sent.output.reasons["away"] += missed
                self._note(SentNote(sent.output.name, slot.frame - 1, "away", missed))
        if sent.waiting is not None and sent.waiting.at_tai_ns <= self._tai_at_ns(slot.t_ns):
            self._connect(sent, slot)

    def _connect(self, sent: _Sent, slot: Slot | None) -> None:
        order = sent.waiting
        assert order is not None
        sent.waiting = None
        tai_ns = self._tai_at_ns(slot.t_ns) if slot is not None else self._clock.tai_ns()
        try:
            sent.output.connect(order.connection)
        except OSError as error:
            path = f"streams/{order.canvas}/connection"
            mend = "give the address of one of this machine's interfaces, and one it can reach"
            told = Problem("controller.not_connected", path, str(error.strerror or error), None, mend)
            self._answer(order, NotConnected(order.canvas, order.request, [told]))
            return
        sent.output.activated_tai_ns, sent.refused = tai_ns, 0
        self._saved[order.canvas] = _Saved(sent.configured, order.connection, tai_ns)
        replace_file(self._run.connections, msgspec.msgpack.encode(self._saved))
        self._describe(sent)
        where = ", ".join(f"{p.destination}:{p.port}" for p in order.connection.paths) or "nobody"
        log.info(
            "%s is sent to %s from frame %s on", order.canvas, where, slot.frame if slot is not None else "(first)"
        )
        # First what is so, then that it is so: whoever hears finds it.
        self._publish(self._clock.now_ns(), "running")
        self._answer(order, Connected(order.canvas, order.request, slot.frame if slot is not None else 0, tai_ns))

    def _answer(self, order: Connect, answer: Connected | NotConnected) -> None:
        self._post.send(self._run.path / order.reply_to, answer)

    # --- what is told -------------------------------------------------------------------------------------------

    def _note(self, note: SentNote) -> None:
        self._notes.publish(msgspec.msgpack.encode(note), frame=max(0, note.frame), t_ns=self._clock.now_ns())

    def _publish(self, now_ns: int, state: RoleState) -> None:
        streams = {name: self._told(sent, now_ns) for name, sent in self._sent.items()}
        alarms = self._alarms(streams, now_ns) if state == "running" else []
        status = SenderStatus(now_ns, os.getpid(), state, self._config_version, streams, alarms)
        self._status.publish(msgspec.msgpack.encode(status), frame=0, t_ns=now_ns)
        self._status.heartbeat(now_ns)

    def _told(self, sent: _Sent, now_ns: int) -> StreamStatus:
        output, stream = sent.output, sent.output.stream
        begun_ms, late_ms, took_ms, bucket = output.spread()
        counts = iter(output.counts)
        told: list[PathStatus] = []
        for leg in output.connection.legs:
            count = next(counts, None) if leg.enabled and output.connection.enabled else None
            status = PathStatus(leg.destination, leg.port, leg.source, leg.source_port, leg.enabled)
            if count is not None:
                source_port = count.source_port or leg.source_port
                status = msgspec.structs.replace(
                    status, source_port=source_port, packets=count.packets, refused=count.refused
                )
            told.append(status)
        return StreamStatus(
            state=_state_of(output, now_ns),
            connection=output.connection,
            activated_tai_ns=output.activated_tai_ns,
            sdp=sent.description,
            session=sent.session,
            paths=told,
            frame=output.slot.frame if output.slot is not None else 0,
            t_ns=output.slot.t_ns if output.slot is not None else 0,
            frames=output.frames,
            reasons=dict(output.reasons),
            width_px=stream.form.width_px if stream is not None else 0,
            height_px=stream.form.height_px if stream is not None else 0,
            sampling=sent.config.sampling,
            bits=sent.config.bits or sent.encoding.bits,
            range=sent.coding.wire,
            colorimetry=sent.coding.colorimetry,
            transfer=sent.transfer,
            packets=stream.packets if stream is not None else 0,
            begun_ms=begun_ms,
            late_ms=late_ms,
            took_ms=took_ms,
            bucket=bucket,
            bucket_limit=stream.bucket_limit if stream is not None else 0,
            paced_by="kernel" if stream is not None and stream.lead_ns else "program",
            detail=output.detail,
        )

    def _alarms(self, streams: dict[str, StreamStatus], now_ns: int) -> list[Alarm]:
        found: list[Alarm] = []
        for name, told in streams.items():
            path, sent = f"streams/{name}", self._sent[name]
            refused = sum(way.refused for way in told.paths)
            if refused > sent.refused:
                bad = [f"{way.destination}:{way.port}" for way in told.paths if way.refused]
                detail = f"packets to {' and '.join(bad)} are refused by this machine's network"
                mend = "check interface, cable and route, and that a single receiver listens; two paths let one fail"
                found.append(Alarm("sender.refused", f"{path}/paths", detail, "warning", mend, values={"paths": bad}))
            sent.refused = refused
            late = told.reasons.get("late", 0)
            if late - sent.late > LATE_PER_S * TELL_NS // NS_PER_S:
                detail = f"{late - sent.late} frames of the last {TELL_NS / NS_PER_S:g} s left late"
                values = {"late_frames": late - sent.late, "window_s": TELL_NS / NS_PER_S}
                mend = "free the machine, or send fewer pixels"
                found.append(Alarm("sender.late", path, detail, "warning", mend, values=values))
            sent.late = late
            if told.state == "stalled":
                detail = "no new picture comes; the last one is sent again and again"
                found.append(Alarm("sender.stalled", path, detail, "warning", "see the node that draws it"))
            elif told.state == "failed":
                mend = "give the address or name of one of this machine's interfaces as source"
                error = {"error": told.detail}
                found.append(Alarm("sender.cannot_send", path, told.detail, "critical", mend, values=error))
        for path, (device, _) in self._devices.items():
            if device.detail:
                error = {"error": device.detail}
                found.append(Alarm(device.code, path, device.detail, "warning", device.mend, values=error))
        since = {(a.code, a.path): self._since.get((a.code, a.path), now_ns) for a in found}
        self._since = since
        return [msgspec.structs.replace(a, since_ns=since[a.code, a.path]) for a in found]


def configured_connection(config: St2110Config) -> Connection:
    """Where an output goes as configured."""
    return Connection([Leg(p.destination, p.port, address_of(p.source), p.source_port) for p in config.paths])


def coding_of(config: St2110Config, encoding: Encoding) -> tuple[Coding, Transfer]:
    """What codes mean on the way, and what is said of their transfer."""
    colorimetry: Colorimetry = "UNSPECIFIED"
    if encoding.primaries == "rec709":
        colorimetry = "BT709"
    elif encoding.primaries == "rec2020":
        colorimetry = "BT2100" if encoding.transfer == "pq" else "BT2020"
    own = "full" if encoding.range == "full" else "narrow"
    wire = config.range or (own if config.sampling == "RGB" else "narrow")
    return Coding("full" if own == "full" else "narrow", "full" if wire == "full" else "narrow", colorimetry), (
        "PQ" if encoding.transfer == "pq" else "SDR"
    )


def _state_of(output: Output, now_ns: int) -> StreamState:
    if not output.connection.paths:
        return "off"
    if output.detail and output.stream is None:
        return "failed"
    if output.slot is None:
        return "waiting"
    return "stalled" if output.stalled(now_ns) and not output.holds else "sending"


def _last_slots(run: RunDir) -> dict[str, Slot]:
    """What a sender before this one of the run had sent last."""
    reader = open_ring(run.sender_status, KIND_STATUS)
    slot = reader.latest() if reader is not None else None
    if reader is not None:
        reader.close()
    try:
        streams = decode_sender(slot.data).streams if slot is not None else {}
    except msgspec.MsgspecError:
        return {}
    return {name: Slot(told.frame, told.t_ns) for name, told in streams.items() if told.t_ns}
