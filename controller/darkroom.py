"""The darkroom: the one off-air GL process. It photographs the running walls through the virtual camera on request.

It reads what everybody may read (plans, canvas rings) and can never hold up a frame: the newest request of a camera
replaces one that still waits, and whatever fails is told to the asker.
"""

from __future__ import annotations

import logging
import os
from collections import OrderedDict, deque
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray
from renderer.sinks.ring import KIND_CANVAS, codes_of

from controller.ledger import percentiles_of
from controller.messages import (
    KIND_PHOTO,
    KIND_STATUS,
    PIXELS_RGB8,
    STATUS_CAPACITY,
    Abort,
    Failed,
    NodeStatus,
    PhotoFailed,
    PhotoReady,
    PhotoRequest,
    Prepare,
    Prepared,
    RoleState,
    encode,
)
from controller.node import KIND_PLAN
from controller.post import Post
from controller.rundir import RunDir
from controller.show import Snapshot, decode_snapshot
from renderer.device import Device
from renderer.twin.camera import VirtualCamera
from renderer.twin.display import srgb8
from renderer.twin.emulator import Codes
from runtime.clock import NS_PER_MS, NS_PER_S, Clock
from runtime.ring import RingReader, RingWriter
from stage.compiled import CompiledStage, decode_stage
from stage.errors import OpenVolumeError, Problem
from stage.plan import FramePlan, decode_plan

log = logging.getLogger(__name__)

IDLE_NS = NS_PER_S // 10
PHOTO_SLOTS = 4
FINE = 2
"""Sub-pixels per side of a live photo."""


class PhotoError(OpenVolumeError):
    """No photo can be made now."""

    code = "controller.photo"


class Darkroom:
    """Role. One GL context, one Python thread, never on the air."""

    def __init__(self, *, run: RunDir, clock: Clock) -> None:
        self._run, self._clock = run, clock
        self._stages: dict[int, CompiledStage] = {}
        self._camera: tuple[int, VirtualCamera] | None = None
        self._waiting: OrderedDict[str, PhotoRequest] = OrderedDict()
        self._plans: RingReader | None = None
        self._canvases: dict[str, RingReader] = {}
        self._photos: dict[str, RingWriter] = {}
        self._took_ms: deque[float] = deque(maxlen=128)
        self._last_frame = 0
        self._status_due_ns = 0

    def start(self) -> None:
        """A context of its own, and the version that holds now."""
        self._post = Post(self._run.darkroom_socket)
        self._status = RingWriter.create(
            self._run.darkroom_status, kind=KIND_STATUS, slots=4, capacity=STATUS_CAPACITY
        )
        self._device = Device.create()
        self._keep(decode_snapshot(self._run.snapshot(self._run.current_version()).read_bytes()))

    def wake_fds(self) -> Sequence[int]:
        """The letter box."""
        return (self._post.fileno(),)

    def step(self, now_ns: int) -> int:
        """Answer letters, then make one photo."""
        self._letters()
        if now_ns >= self._status_due_ns:
            self._publish_status(now_ns, "running")
            self._status_due_ns = now_ns + IDLE_NS
        if self._waiting:
            _, request = self._waiting.popitem(last=False)
            self._answer(request)
        return self._clock.now_ns() if self._waiting else now_ns + IDLE_NS

    def stop(self) -> None:
        """Photos stay in their rings."""
        self._publish_status(self._clock.now_ns(), "stopped")
        if self._camera is not None:
            self._camera[1].release()
        self._device.release()
        self._post.close()
        self._status.close()
        for ring in self._photos.values():
            ring.close()

    # --- letters ------------------------------------------------------------------------------------------------

    def _letters(self) -> None:
        for message in self._post.receive():
            if isinstance(message, PhotoRequest):
                self._waiting.pop(message.camera, None)
                self._waiting[message.camera] = message
            elif isinstance(message, Prepare):
                self._prepare(message)
            elif isinstance(message, Abort):
                continue

    def _prepare(self, message: Prepare) -> None:
        answer: Prepared | Failed
        started_ns = self._clock.now_ns()
        try:
            self._keep(decode_snapshot(self._run.snapshot(message.version).read_bytes()))
            answer = Prepared(message.version, "darkroom", (self._clock.now_ns() - started_ns) / NS_PER_MS)
        except (OSError, msgspec.MsgspecError) as error:
            problem = Problem("darkroom.snapshot", str(self._run.snapshot(message.version)), str(error))
            answer = Failed(message.version, "darkroom", [problem])
        self._post.send(self._run.path / message.reply_to, answer)

    def _keep(self, snapshot: Snapshot) -> None:
        self._stages[snapshot.show.config_version] = decode_stage(snapshot.stage)
        for old in sorted(self._stages)[:-4]:
            del self._stages[old]

    # --- photos -------------------------------------------------------------------------------------------------

    def _answer(self, request: PhotoRequest) -> None:
        started_ns = self._clock.now_ns()
        reply = self._run.path / request.reply_to
        try:
            picture, frame = self._photograph(request)
        except OpenVolumeError as error:
            self._post.send(reply, PhotoFailed(request.camera, request.request, list(error.problems)))
            return
        height, width, _ = picture.shape
        n = self._photo_ring(request.camera, width, height).publish(
            memoryview(picture).cast("B"), frame=frame, t_ns=started_ns
        )
        took_ms = (self._clock.now_ns() - started_ns) / NS_PER_MS
        self._took_ms.append(took_ms)
        self._last_frame = frame
        self._post.send(reply, PhotoReady(request.camera, request.request, n, frame, took_ms))

    def _photograph(self, request: PhotoRequest) -> tuple[NDArray[np.uint8], int]:
        plan = self._plan(request.frame)
        stage = self._stages.get(plan.config_version)
        if stage is None:
            # A version committed while this process was away.
            self._keep(decode_snapshot(self._run.snapshot(plan.show_version).read_bytes()))
            stage = self._stages[plan.config_version]
        if request.camera not in stage.cameras:
            known = ", ".join(stage.cameras)
            raise _error(f"cameras/{request.camera}", "there is no such camera", f"use one of {known}")
        codes = {name: self._codes(name, plan.frame) for name in stage.canvases}
        camera = self._virtual_camera(plan.config_version, stage)
        light = camera.photo(codes, plan, width_px=request.width_px, camera=request.camera, fine=FINE)
        return np.ascontiguousarray(srgb8(light)), plan.frame

    def _plan(self, frame: int) -> FramePlan:
        if self._plans is None:
            self._plans = RingReader.try_open(self._run.plans, kind=KIND_PLAN)
        if self._plans is None:
            raise _error("plans", "no frame was planned yet", "wait for the conductor")
        wanted = frame or self._presented_frame()
        # A frame has one plan; the newest few are looked through, newest first.
        newest = self._plans.latest_n
        for n in range(newest, max(0, newest - self._plans.shape.slots), -1):
            slot = self._plans.read(n)
            if slot is not None and slot.frame <= wanted:
                return decode_plan(slot.data)
        raise _error("plans", f"the plan of frame {wanted} is no longer kept", "ask for a newer frame")

    def _presented_frame(self) -> int:
        newest = [reader.latest() for name in self._run.canvases() if (reader := self._canvas(name)) is not None]
        frames = [slot.frame for slot in newest if slot is not None]
        if not frames:
            raise _error("canvases", "nothing was presented yet", "wait for a node")
        return min(frames)

    def _canvas(self, name: str) -> RingReader | None:
        reader = self._canvases.get(name)
        if reader is None:
            reader = RingReader.try_open(self._run.canvas(name), kind=KIND_CANVAS)
            if reader is not None:
                self._canvases[name] = reader
        elif reader.refresh():
            log.info("canvas %s has a new size", name)
        return reader

    def _codes(self, name: str, frame: int) -> Codes | None:
        """What a processor shows at `frame`: that picture, or the newest there is; None before the first."""
        reader = self._canvas(name)
        if reader is None:
            return None
        for n in range(reader.latest_n, max(0, reader.latest_n - reader.shape.slots), -1):
            slot = reader.read(n)
            if slot is not None and slot.frame <= frame:
                return codes_of(reader.shape, slot.data)
        slot = reader.latest()
        return codes_of(reader.shape, slot.data) if slot is not None else None

    def _virtual_camera(self, version: int, stage: CompiledStage) -> VirtualCamera:
        if self._camera is None or self._camera[0] != version:
            if self._camera is not None:
                self._camera[1].release()
            self._camera = (version, VirtualCamera(self._device, stage))
        return self._camera[1]

    def _photo_ring(self, camera: str, width: int, height: int) -> RingWriter:
        ring = self._photos.get(camera)
        if ring is None or (ring.shape.width, ring.shape.height) != (width, height):
            if ring is not None:
                ring.close()
            ring = self._photos[camera] = RingWriter.create(
                self._run.photo(camera),
                kind=KIND_PHOTO,
                slots=PHOTO_SLOTS,
                capacity=width * height * 3,
                width=width,
                height=height,
                row_stride=width * 3,
                pixel_format=PIXELS_RGB8,
            )
        return ring

    def _publish_status(self, now_ns: int, state: RoleState) -> None:
        status = NodeStatus(
            t_ns=now_ns,
            pid=os.getpid(),
            node="darkroom",
            state=state,
            frame=self._last_frame,
            show_version=0,
            config_version=max(self._stages, default=0),
            rt_class=0,
            renderer=self._device.renderer,
            draw_ms=percentiles_of(list(self._took_ms)),
        )
        self._status.publish(encode(status), frame=self._last_frame, t_ns=now_ns)
        self._status.heartbeat(now_ns)


def _error(path: str, detail: str, mend: str) -> PhotoError:
    return PhotoError(Problem(PhotoError.code, path, detail, mend=mend))
