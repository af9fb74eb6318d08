"""The darkroom: the one off-air GL process. It photographs the running walls through the virtual camera on request.

It reads what everybody may read (plans, canvas rings) and can never hold up a frame: the newest request of a camera
replaces one that still waits, and whatever fails is told to the asker. The truth of a camera, the scene drawn
straight from its pupil, is made here too; the scenes are loaded when it is first asked for. Scenes are compiled here
(`controller.library.compiler`), one after the other, photos first.
"""

from __future__ import annotations

import logging
import os
from collections import OrderedDict, deque
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from controller.config import OpenVolumeConfig, load_config_text
from controller.emulated import EmulatedProcessors
from controller.errors import ControllerError
from controller.ledger import percentiles_of
from controller.library.cache import SceneCache
from controller.library.compiler import compile_scene, problems_of
from controller.library.order import read_order
from controller.library.portraits import Portraits
from controller.library.rehearsals import Rehearsals
from controller.look_order import read_order as read_look_order
from controller.look_stills import LookStills
from controller.messages import (
    KIND_PHOTO,
    PIXELS_RGB8,
    Abort,
    CompileScene,
    DrawThumbnail,
    Failed,
    LookStill,
    PhotoFailed,
    PhotoReady,
    PhotoRequest,
    Prepare,
    Prepared,
    RehearseEdits,
    SceneCompiled,
    SceneLoaded,
    SceneRefused,
    ThumbnailDrawn,
)
from controller.post import Post
from controller.resident import apply_known
from controller.rundir import RunDir
from controller.scene_book import SceneBook, States
from controller.show import Snapshot, decode_snapshot
from controller.status import KIND_STATUS, STATUS_CAPACITY, NodeStatus, RoleState, encode_status
from controller.wall_programs import make_wall_programs
from renderer.config import SceneConfig
from renderer.device import Device, DeviceLostError
from renderer.frozen import Thaw, thaw
from renderer.scene import Scene
from renderer.scene_world import SceneWorld
from renderer.sinks.ring import codes_of
from renderer.twin.camera import VirtualCamera
from renderer.twin.display import srgb8
from renderer.twin.emulator import Codes
from renderer.twin.truth import Truth
from renderer.twin.view import PhotoView
from runtime.clock import NS_PER_MS, NS_PER_S, Clock
from runtime.ring import KIND_CANVAS, KIND_PLANS, RingReader, RingWriter
from stage.compiled import CompiledStage, decode_stage
from stage.errors import OpenVolumeError, Problem
from stage.plan import FramePlan, decode_plan, transform_of

log = logging.getLogger(__name__)

IDLE_NS = NS_PER_S // 10
SPARE_NS = 20 * NS_PER_S
"""So long nobody must have wanted anything before it makes what may be wanted one day."""
PHOTO_SLOTS = 4
KEEP_VERSIONS = 2
_NEWEST = 1 << 62
FINE = 2
"""Sub-pixels per side of a live photo."""


class PhotoError(ControllerError):
    """No photo can be made now."""

    code = "controller.photo"


class StageVersion:
    """One version of the stage, and what is made for it when it is first needed."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.stage: CompiledStage = decode_stage(snapshot.stage)
        self._camera: VirtualCamera | None = None
        self._world: SceneWorld | None = None
        self._config: OpenVolumeConfig | None = None
        self._scenes: dict[tuple[str, str], tuple[Scene, Thaw | None]] = {}

    @property
    def config(self) -> OpenVolumeConfig:
        """The configuration it was compiled from."""
        if self._config is None:
            folder = Path(self.snapshot.base_dir)
            self._config = load_config_text(self.snapshot.config_text, base_dir=folder).config
        return self._config

    def camera(self, device: Device) -> VirtualCamera:
        """What photographs this stage's walls."""
        if self._camera is None:
            self._camera = VirtualCamera(device, self.stage)
        return self._camera

    def world(self, device: Device, plan: FramePlan, book: States) -> SceneWorld:
        """The scenes of a plan, as live as it says. Raises OpenVolumeError when one cannot be read."""
        folder, config = Path(self.snapshot.base_dir), self.config
        if self._world is None:
            self._world = SceneWorld(device, {}, shadow_px=config.render.shadow_px)
        cache = SceneCache(Path(self.snapshot.scene_cache))
        shown: dict[str, Scene] = {}
        for entry in plan.scenes:
            if entry.id not in config.scenes:
                continue
            state = book.state(entry.id, entry.version)
            found = self._scenes.get((entry.id, state.key))
            if found is None:
                if state.key and cache.has(state.key):
                    thawed = thaw(device, cache.scene(state.key))
                    assert thawed.scene is not None
                    found = self._scenes[entry.id, state.key] = (thawed.scene, thawed)
                else:
                    found = self._scenes[entry.id, state.key] = (
                        Scene(device, config.scenes[entry.id], folder), None,
                    )  # fmt: skip
            apply_known(found[0], state.edits)
            shown[entry.id] = found[0]
        # What was switched away from is let go: this process may hold less than a node does.
        for ident in [ident for ident, (scene, _) in self._scenes.items() if scene not in shown.values()]:
            self._let_go(ident)
        self._world.scenes = shown
        return self._world

    def _let_go(self, ident: tuple[str, str]) -> None:
        scene, thawed = self._scenes.pop(ident)
        if self._world is not None:
            self._world.scene_pass.forget(scene)
        if thawed is not None:
            thawed.release()
        else:
            scene.release()

    def release(self) -> None:
        """Free what it holds on the GPU."""
        if self._camera is not None:
            self._camera.release()
        for ident in list(self._scenes):
            self._let_go(ident)
        if self._world is not None:
            self._world.release()


class Darkroom:
    """Role. One GL context, one Python thread, never on the air."""

    def __init__(self, *, run: RunDir, clock: Clock) -> None:
        self._run, self._clock = run, clock
        self._versions: dict[int, StageVersion] = {}
        self._book = SceneBook(run)
        self._truth: Truth | None = None
        self._emulated = EmulatedProcessors(run)
        self._waiting: OrderedDict[str, PhotoRequest] = OrderedDict()
        self._looks: deque[LookStill] = deque()
        self._stills: LookStills | None = None
        self._still_ring: RingWriter | None = None
        self._orders: deque[CompileScene] = deque()
        self._compiling: SceneWorld | None = None
        self._edits: deque[RehearseEdits] = deque()
        self._rehearsals: Rehearsals | None = None
        self._to_draw: deque[DrawThumbnail] = deque()
        self._portraits: Portraits | None = None
        self._plans: RingReader | None = None
        self._canvases: dict[str, RingReader] = {}
        self._photos: dict[str, RingWriter] = {}
        self._programs: Generator[None] | None = None
        self._programs_of = 0
        """The configuration whose programs are made, or were."""
        self._busy_ns = clock.now_ns()
        self._took_ms: deque[float] = deque(maxlen=128)
        self._last_frame = 0
        self._status_due_ns = 0
        self._taken = ExitStack()

    def start(self) -> None:
        """A context of its own, and the version that holds now."""
        take = self._taken.callback
        self._post = Post(self._run.darkroom_socket)
        take(self._post.close)
        self._status = RingWriter.create(self._run.darkroom_status, kind=KIND_STATUS, slots=4, capacity=STATUS_CAPACITY)
        take(self._status.close)
        self._device = Device.create()
        take(self._device.release)
        take(self._release)
        self._keep(decode_snapshot(self._run.snapshot(self._run.current_version()).read_bytes()))
        take(self._say_stopped)

    def wake_fds(self) -> Sequence[int]:
        """The letter box."""
        return (self._post.fileno(),)

    def step(self, now_ns: int) -> int:
        """Answer letters, then make one photo."""
        self._letters()
        if now_ns >= self._status_due_ns:
            self._publish_status(now_ns, "running")
            self._status_due_ns = now_ns + IDLE_NS
            newest = self._versions[max(self._versions)]
            # What is frozen between two photos was on the walls then.
            self._emulated.look(newest.stage, lambda name: self._codes(name, _NEWEST))
        if self._edits:
            self._rehearse(self._edits.popleft())
        elif self._waiting:
            _, request = self._waiting.popitem(last=False)
            self._answer(request)
        elif self._looks:
            self._draw_look(self._looks.popleft())
        elif self._orders:
            self._compile(self._orders.popleft())
        elif self._to_draw:
            self._draw_thumbnail(self._to_draw.popleft())
        elif now_ns - self._busy_ns > SPARE_NS:
            self._make_programs()
            return now_ns + IDLE_NS
        else:
            return now_ns + IDLE_NS
        self._busy_ns = self._clock.now_ns()
        more = self._waiting or self._looks or self._orders or self._to_draw or self._edits
        return self._clock.now_ns() if more else now_ns + IDLE_NS

    def stop(self) -> None:
        """Photos stay in their rings."""
        self._taken.close()

    def _release(self) -> None:
        self._drop_programs()
        self._emulated.close()
        for ring in [*self._photos.values(), *([self._still_ring] if self._still_ring is not None else [])]:
            ring.close()
        if self._stills is not None:
            self._stills.release()
        if self._truth is not None:
            self._truth.release()
        for version in self._versions.values():
            version.release()
        if self._portraits is not None:
            self._portraits.release()
        if self._rehearsals is not None:
            self._rehearsals.release()
        if self._compiling is not None:
            self._compiling.release()

    def _make_programs(self) -> None:
        """A piece of the programs that the newest stage would need if it was graded."""
        newest = max(self._versions)
        if self._programs_of != newest:
            self._drop_programs()
            version = self._versions[newest]
            self._programs = make_wall_programs(self._device, version.stage, version.config.render)
            self._programs_of = newest
        if self._programs is not None:
            try:
                next(self._programs)
            except StopIteration:
                self._programs = None
            except OpenVolumeError:
                log.exception("programs of graded walls could not be made")
                self._programs = None

    def _drop_programs(self) -> None:
        if self._programs is not None:
            self._programs.close()
            self._programs = None

    def _say_stopped(self) -> None:
        self._publish_status(self._clock.now_ns(), "stopped")

    # --- letters ------------------------------------------------------------------------------------------------

    def _letters(self) -> None:
        for message in self._post.receive():
            if isinstance(message, PhotoRequest):
                self._waiting.pop(message.camera, None)
                self._waiting[message.camera] = message
            elif isinstance(message, LookStill):
                self._looks.append(message)
            elif isinstance(message, CompileScene):
                self._orders.append(message)
            elif isinstance(message, RehearseEdits):
                self._edits.append(message)
            elif isinstance(message, DrawThumbnail):
                self._to_draw.append(message)
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

    def _keep(self, snapshot: Snapshot) -> StageVersion:
        number = snapshot.show.config_version
        version = self._versions.get(number)
        if version is None:
            version = self._versions[number] = StageVersion(snapshot)
        for old in sorted(self._versions)[:-KEEP_VERSIONS]:
            self._versions.pop(old).release()
        if self._stills is not None:
            self._stills.keep(set(self._versions))
        return version

    # --- scenes -------------------------------------------------------------------------------------------------

    def _compile(self, message: CompileScene) -> None:
        reply = self._run.path / message.reply_to
        began_ns = self._clock.now_ns()
        answer: SceneCompiled | SceneRefused
        try:
            order = read_order(self._run.scene_order(message.request))
            if self._compiling is None:
                self._compiling = SceneWorld(self._device, {})
            state, cached = compile_scene(
                self._device,
                self._compiling,
                SceneConfig.model_validate_json(order.config),
                Path(order.folder),
                SceneCache(Path(order.cache), limit_bytes=order.limit_bytes),
                scene_id=order.scene,
                clock=self._clock,
                stage_from_scene=transform_of(order.stage_from_scene) if order.stage_from_scene else None,
                keep=order.keep,
            )
            took_ms = (self._clock.now_ns() - began_ns) / NS_PER_MS
            answer = SceneCompiled(message.scene, message.request, state.key, took_ms, cached)
        except DeviceLostError:
            raise
        except Exception as error:  # whatever an asset holds, the darkroom goes on, and so does what is on air
            if not isinstance(error, OpenVolumeError | OSError):
                log.exception("scene %s cannot be compiled", message.scene)
            problems = problems_of(error, message.scene)
            answer = SceneRefused(message.scene, message.request, "darkroom", problems)
        self._post.send(reply, answer)

    def _rehearse(self, message: RehearseEdits) -> None:
        """Leave in the driver's cache, and on disk, what nodes will need for edits: they find it within moments."""
        began_ns = self._clock.now_ns()
        answer: SceneLoaded | SceneRefused
        try:
            if self._compiling is None:
                self._compiling = SceneWorld(self._device, {})
            if self._rehearsals is None:
                self._rehearsals = Rehearsals(self._device, self._compiling)
            self._rehearsals.make(self._versions[max(self._versions)].snapshot, message)
            took_ms = (self._clock.now_ns() - began_ns) / NS_PER_MS
            answer = SceneLoaded(message.scene, message.request, "darkroom", took_ms)
        except DeviceLostError:
            raise
        except Exception as error:  # the edit is made all the same
            if not isinstance(error, OpenVolumeError | OSError):
                log.exception("edits of scene %s cannot be rehearsed", message.scene)
            answer = SceneRefused(message.scene, message.request, "darkroom", problems_of(error, message.scene))
        self._post.send(self._run.path / message.reply_to, answer)

    def _draw_thumbnail(self, message: DrawThumbnail) -> None:
        began_ns = self._clock.now_ns()
        problems: list[Problem] = []
        try:
            if self._compiling is None:
                self._compiling = SceneWorld(self._device, {})
            if self._portraits is None:
                self._portraits = Portraits(self._device, self._compiling)
            self._portraits.make(Path(message.file), message.kind, Path(message.out))
        except DeviceLostError:
            raise
        except Exception as error:  # whatever a file holds, the darkroom goes on
            if not isinstance(error, OpenVolumeError | OSError):
                log.exception("no thumbnail of %s", message.file)
            problems = problems_of(error, message.file)
            if isinstance(error, OpenVolumeError):
                problems = list(error.problems)
        took_ms = (self._clock.now_ns() - began_ns) / NS_PER_MS
        self._post.send(self._run.path / message.reply_to, ThumbnailDrawn(message.request, took_ms, problems[:1]))

    # --- photos -------------------------------------------------------------------------------------------------

    def _answer(self, request: PhotoRequest) -> None:
        started_ns = self._clock.now_ns()
        reply = self._run.path / request.reply_to
        try:
            picture, frame = self._photograph(request)
        except DeviceLostError:
            raise
        except Exception as error:
            if isinstance(error, OpenVolumeError):
                problems = list(error.problems)
            else:
                log.exception("no photo of camera %s", request.camera)
                path = f"cameras/{request.camera}"
                problems = [Problem(PhotoError.code, path, f"{type(error).__name__}: {error}")]
            self._post.send(reply, PhotoFailed(request.camera, request.request, problems))
            return
        height, width, _ = picture.shape
        n = self._photo_ring(request.camera, width, height).publish(
            picture.data.cast("B"), frame=frame, t_ns=started_ns
        )
        took_ms = (self._clock.now_ns() - started_ns) / NS_PER_MS
        self._took_ms.append(took_ms)
        self._last_frame = frame
        self._post.send(reply, PhotoReady(request.camera, request.request, n, frame, took_ms))

    def _draw_look(self, message: LookStill) -> None:
        """Answer with the walls as they would stand with a look on."""
        started_ns = self._clock.now_ns()
        reply, of = self._run.path / message.reply_to, "look"
        try:
            order = read_look_order(self._run.look_order(message.request))
            of = order.of
            plan, version = self._planned(message.frame)
            if self._stills is None:
                self._stills = LookStills(self._device)
            picture = self._stills.draw(version, plan, order, width_px=message.width_px)
        except DeviceLostError:
            raise
        except Exception as error:  # whatever a look or a scene holds, the darkroom goes on
            if isinstance(error, OpenVolumeError):
                problems = list(error.problems)
            else:
                log.exception("no still of a look")
                problems = [Problem(PhotoError.code, of, f"{type(error).__name__}: {error}")]
            self._post.send(reply, PhotoFailed(of, message.request, problems))
            return
        height, width, _ = picture.shape
        if self._still_ring is None or (self._still_ring.shape.width, self._still_ring.shape.height) != (width, height):
            if self._still_ring is not None:
                self._still_ring.close()
            self._still_ring = _rgb_ring(self._run.look_still, width, height)
        n = self._still_ring.publish(picture.data.cast("B"), frame=plan.frame, t_ns=started_ns)
        took_ms = (self._clock.now_ns() - started_ns) / NS_PER_MS
        self._post.send(reply, PhotoReady(of, message.request, n, plan.frame, took_ms))

    def _planned(self, frame: int) -> tuple[FramePlan, StageVersion]:
        plan = self._plan(frame)
        version = self._versions.get(plan.config_version)
        if version is None:
            # A version committed while this process was away.
            version = self._keep(decode_snapshot(self._run.snapshot(plan.show_version).read_bytes()))
        return plan, version

    def _photograph(self, request: PhotoRequest) -> tuple[NDArray[np.uint8], int]:
        plan, version = self._planned(request.frame)
        chosen = next((camera for camera in plan.cameras if camera.id == request.camera), None)
        if chosen is None:
            known = ", ".join(camera.id for camera in plan.cameras)
            raise _error(f"cameras/{request.camera}", "there is no such camera", f"use one of {known}")
        if request.kind == "truth":
            if self._truth is None:
                self._truth = Truth(self._device)
            view = PhotoView.of(chosen, width_px=request.width_px)
            light = self._truth.picture(version.world(self._device, plan, self._book), plan, view, fine=FINE)
        else:
            codes = {name: self._codes(name, plan.frame) for name in version.stage.canvases}
            camera = version.camera(self._device)
            self._emulated.look(version.stage, lambda name: codes[name])
            shown = self._emulated.shown(version.stage, codes)
            light = camera.photo(shown, plan, width_px=request.width_px, camera=request.camera, fine=FINE)
        return np.ascontiguousarray(srgb8(light)), plan.frame

    def _plan(self, frame: int) -> FramePlan:
        if self._plans is None:
            self._plans = RingReader.try_open(self._run.plans, kind=KIND_PLANS)
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

    def _photo_ring(self, camera: str, width: int, height: int) -> RingWriter:
        ring = self._photos.get(camera)
        if ring is None or (ring.shape.width, ring.shape.height) != (width, height):
            if ring is not None:
                ring.close()
            ring = self._photos[camera] = _rgb_ring(self._run.photo(camera), width, height)
        return ring

    def _publish_status(self, now_ns: int, state: RoleState) -> None:
        status = NodeStatus(
            t_ns=now_ns,
            pid=os.getpid(),
            node="darkroom",
            state=state,
            frame=self._last_frame,
            show_version=0,
            config_version=max(self._versions, default=0),
            rt_class=0,
            renderer=self._device.capabilities.renderer,
            draw_ms=percentiles_of(list(self._took_ms)),
        )
        self._status.publish(encode_status(status), frame=self._last_frame, t_ns=now_ns)
        self._status.heartbeat(now_ns)


def _rgb_ring(path: Path, width: int, height: int) -> RingWriter:
    return RingWriter.create(
        path,
        kind=KIND_PHOTO,
        slots=PHOTO_SLOTS,
        capacity=width * height * 3,
        width=width,
        height=height,
        row_stride=width * 3,
        pixel_format=PIXELS_RGB8,
    )


def _error(path: str, detail: str, mend: str) -> PhotoError:
    return PhotoError(Problem(PhotoError.code, path, detail, mend=mend))
