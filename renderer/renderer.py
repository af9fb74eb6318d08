"""The renderer: a frame plan in, canvases out. The same plan gives the same pixels.

`submit` queues a frame's GPU work and returns at once; `collect` waits (Python's lock free) and copies the canvases
into memory that is used again every frame, or into memory the caller gives (a ring's slot). `draw` is both.
Several versions of the stage may be loaded at a time: a plan is drawn on the one its `config_version` names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import moderngl
import numpy as np
from numpy.typing import NDArray

from renderer.actions import ActionPicture, ActionPictures
from renderer.canvas_mesh import CanvasMesh, canvas_mesh, stage_origin
from renderer.colour.encode import canvas_colour
from renderer.config import RenderConfig
from renderer.device import Device, Fence
from renderer.errors import RendererError
from renderer.passes.cards import CardSheet
from renderer.passes.given import GivenInner, GivenInners
from renderer.passes.grade import LayerGrades
from renderer.passes.inner import InnerPass, inner_view
from renderer.passes.keys import KeyPass
from renderer.passes.outer import OuterPass
from renderer.passes.wall import MAX_INNERS, Output, PartBuffers, Reach, Surface, WallPass, reach_of
from renderer.patterns import Pattern, PatternPass, parse_pattern
from renderer.scene import Scene
from renderer.scene_world import SceneWorld
from renderer.world import World
from stage.compiled import CompiledStage
from stage.errors import Problem
from stage.frames import Array
from stage.plan import FramePlan, PlanCamera

Format = Literal["rgba8", "rgb10a2", "rgba12", "rgba32f"]
FOURCC: Final[dict[Format, str]] = {"rgba8": "AB24", "rgb10a2": "AB30", "rgba12": "AB4C", "rgba32f": "AB4F"}
"""DRM's names: bytes R G B A; one little-endian word with red in its low 10 bits. Our own: `AB4C`, four words of 16
bits R G B A whose codes are of 12 bits (0..4095, alpha 65535); `AB4F`, four float32."""


_ORDERS: Final[tuple[ActionPicture, ...]] = ("black", "work", "safe")
"""Where several are ordered at once, the first of these is obeyed."""
_PICTURES: Final[tuple[ActionPicture, ...]] = (*_ORDERS, "identify")
"""All that are made beforehand."""


class NoStageError(RendererError):
    """A plan names a version of the stage that is not loaded."""

    code = "renderer.no_stage"


@dataclass(frozen=True, slots=True)
class CanvasPicture:
    """What one processor gets, row 0 on top.

    `array` is uint8 [h, w, 4] (`rgba8`), packed uint32 [h, w] (`rgb10a2`), uint16 [h, w, 4] (`rgba12`) or float32
    [h, w, 4] (`rgba32f`: light, data, coverage). It is overwritten by the next frame of the same canvas and output.
    """

    id: str
    format: Format
    array: NDArray[Any]

    @property
    def fourcc(self) -> str:
        """Four characters that name the pixel format (CONTRACTS, ring header)."""
        return FOURCC[self.format]


@dataclass(slots=True)
class _Rig:
    """One version of the stage on the GPU."""

    stage: CompiledStage
    config: RenderConfig
    outer: OuterPass
    inner: InnerPass
    pictures: ActionPictures
    meshes: dict[str, CanvasMesh] = field(default_factory=dict)
    """Of every canvas of the stage: sizes of pictures come from all of them, whichever are drawn here."""
    surfaces: dict[str, Surface] = field(default_factory=dict)
    """Of the canvases drawn here."""
    others: dict[str, list[PartBuffers]] = field(default_factory=dict)
    """Walls of canvases that are drawn elsewhere: a lens blurs across the seam."""
    stored: dict[ActionPicture, dict[str, NDArray[Any]]] = field(default_factory=dict)
    buffers: dict[tuple[str, Output], NDArray[Any]] = field(default_factory=dict)
    origin_m: Array = field(default_factory=lambda: np.zeros(3))

    def wall_arrays(self) -> Iterator[tuple[moderngl.Buffer, moderngl.Buffer, int]]:
        """Every wall's triangles, as `FocusPass` reads them."""
        for name in self.meshes:
            parts = self.surfaces[name].parts if name in self.surfaces else self.others[name]
            for buffers in parts:
                yield buffers.shape, buffers.index, buffers.part.triangles.size

    @property
    def own(self) -> Collection[str] | None:
        """The canvases drawn here; None: all of the stage."""
        return self.surfaces if self.others else None

    def looked_up(self, reach: Reach) -> Array | None:
        """Corners, [n, 3] stage metres, of what looks an inner picture up; None where all canvases are drawn here."""
        if not self.others:
            return None
        corners = [
            part.points_m[on].reshape(-1, 3)
            for name in self.surfaces
            for part, on in zip(self.meshes[name].parts, reach.items[name], strict=True)
        ]
        return np.concatenate(corners)

    def release(self) -> None:
        for surface in self.surfaces.values():
            surface.release()
        for parts in self.others.values():
            for buffers in parts:
                buffers.release()
        self.outer.release()
        self.inner.release()


class Submission:
    """A frame on its way through the GPU."""

    def __init__(
        self,
        device: Device,
        rig: _Rig,
        plan: FramePlan,
        output: Output,
        stored: dict[str, NDArray[Any]] | None,
    ) -> None:
        self._device, self._rig, self._stored = device, rig, stored
        self.plan, self.output = plan, output
        self._fence: Fence | None = device.fence()

    @property
    def done(self) -> bool:
        """Whether the GPU has finished it; never waits."""
        return self._fence is None or self._fence.done

    def wait(self, timeout_ns: int | None = None) -> bool:
        """Wait for the GPU with Python's lock free; False if `timeout_ns` passed first."""
        if self._fence is None:
            return True
        return self._fence.wait() if timeout_ns is None else self._fence.wait(timeout_ns)

    def collect(self, into: Mapping[str, Any] | None = None) -> dict[str, CanvasPicture]:
        """Wait, and copy every canvas out.

        `into` gives writable memory for canvases by id (at least `nbytes` of the picture; its start is filled);
        the others use buffers of the renderer's own, the same ones every frame.
        """
        self.wait()
        self._fence = None
        return {
            name: self._read(name, surface, None if into is None else into.get(name))
            for name, surface in self._rig.surfaces.items()
        }

    def _read(self, name: str, surface: Surface, memory: Any) -> CanvasPicture:
        width, height = surface.size
        if self.output != "canvas":
            form: Format = "rgba32f"
        else:
            form = surface_format(surface)
        if memory is None:
            array = self._rig.buffers.get((name, self.output))
            if array is None:
                array = self._rig.buffers[name, self.output] = _empty(form, width, height)
        else:
            count = width * height * {"rgba32f": 16, "rgba12": 8}.get(form, 4)
            array = np.frombuffer(memory, dtype=np.uint8, count=count).view(_empty(form, 1, 1).dtype)
            array = array.reshape((height, width) if form == "rgb10a2" else (height, width, 4))
        if self._stored is not None:
            np.copyto(array, self._stored[name])
        elif form == "rgb10a2":
            self._device.read_10bit_into(surface.framebuffer, array)
        elif form == "rgba8":
            self._device.read_into(surface.framebuffer, array)
        elif form == "rgba12":
            self._device.read_into(surface.framebuffer, array, dtype="nu2")
        else:
            self._device.read_into(surface.float_framebuffer, array, dtype="f4")
        return CanvasPicture(name, form, array)


def surface_format(surface: Surface) -> Format:
    """The pixel format of a canvas' codes."""
    return form_of_bits(surface.colour.encoding.bits)


def form_of_bits(bits: int) -> Format:
    """The pixel format of codes of so many bits."""
    forms: dict[int, Format] = {10: "rgb10a2", 12: "rgba12"}
    return forms.get(bits, "rgba8")


def _empty(form: Format, width: int, height: int) -> NDArray[Any]:
    if form == "rgb10a2":
        return np.empty((height, width), dtype=np.uint32)
    kinds: dict[Format, type] = {"rgba8": np.uint8, "rgba12": np.uint16}
    return np.empty((height, width, 4), dtype=kinds.get(form, np.float32))


class Renderer:
    """Draws frame plans on one device."""

    def __init__(self, device: Device, *, shadow_px: int = 2048) -> None:
        """`shadow_px` is the side of the loaded scenes' shadow maps."""
        self.device = device
        self._shadow_px = shadow_px
        self._wall = WallPass(device)
        self._patterns = PatternPass(device)
        self._cards = CardSheet(device.ctx)
        self._keys = KeyPass(device)
        self._given = GivenInners(device)
        self._rigs: dict[int, _Rig] = {}
        self._scenes: SceneWorld | None = None

    def load_stage(
        self,
        stage: CompiledStage,
        /,
        *,
        version: int = 0,
        scale: int | None = None,
        render: RenderConfig | None = None,
        canvases: Collection[str] | None = None,
    ) -> None:
        """Put a version of the stage on the GPU and compile what it needs; a version already there is replaced.

        `scale` None takes `render.scale`, or the compiled stage's own. Of `canvases` (None: all) only these are drawn
        here, each as if all were.

        Raises
        ------
        ScaleError, BitsError
        """
        for _ in self.loading_stage(
            stage, version=version, scale=scale, render=render, canvases=canvases, actions=False
        ):
            pass

    def loading_stage(
        self,
        stage: CompiledStage,
        /,
        *,
        version: int = 0,
        scale: int | None = None,
        render: RenderConfig | None = None,
        canvases: Collection[str] | None = None,
        actions: bool = True,
        grades: bool = False,
    ) -> Iterator[None]:
        """`load_stage` in slices, for a node on the air: each step does a little, the version is there after the last.

        With `actions` the pictures of BLACK, WORK LIGHT and SAFE PICTURE are made too, so that the first order costs
        nothing; with `grades` the programs of graded layers. Closing the iterator before its end frees what was made.
        """
        config = render or RenderConfig(scale=stage.scale)
        divisor = config.scale if scale is None else scale
        rig = _Rig(
            stage,
            config,
            OuterPass(
                self.device,
                face_px=config.outer_px,
                texels_per_led=config.outer_texels_per_led,
                samples=config.msaa,
                near_m=config.near_m,
                far_m=config.far_m,
            ),
            InnerPass(
                self.device,
                samples=config.msaa,
                near_m=config.near_m,
                far_m=config.far_m,
                finer=config.supersample,
            ),
            ActionPictures(stage, config, scale=divisor),
        )
        origin = rig.origin_m = stage_origin(stage)
        try:
            for name, canvas in stage.canvases.items():
                mesh = rig.meshes[name] = canvas_mesh(stage, name, origin_m=origin, scale=divisor)
                yield
                if canvases is not None and name not in canvases:
                    rig.others[name] = [PartBuffers.create(self.device.ctx, part) for part in mesh.parts]
                    yield
                    continue
                colour = canvas_colour(
                    canvas.encoding,
                    knee=config.roll_off_knee,
                    content=config.roll_off_content,
                    dither=config.dither,
                )
                surface = rig.surfaces[name] = Surface(self.device, mesh, colour)
                yield
                yield from self._wall.prepare(surface, min(len(stage.cameras), MAX_INNERS), grades=grades)
                yield from self._patterns.prepare(surface)
                self._keys.prepare(surface)
                yield
            if actions:
                for action in _PICTURES:
                    rig.stored[action] = {}
                    for name in rig.surfaces:
                        rig.stored[action][name] = rig.pictures.codes(action, name)
                        yield
        except BaseException:
            rig.release()
            raise
        self.drop_stage(version)
        self._rigs[version] = rig

    def drop_stage(self, version: int) -> None:
        """Free a version of the stage; harmless when it is not there."""
        rig = self._rigs.pop(version, None)
        if rig is not None and not any(rig is other for other in self._rigs.values()):
            rig.release()

    def share_stage(self, version: int, *, of: int) -> None:
        """Draw plans of `version` as those of the version `of`: nothing that is drawn differs between the two.

        Raises
        ------
        NoStageError : `of` is not loaded.
        """
        rig = self._rig(of)
        self.drop_stage(version)
        self._rigs[version] = rig

    def action_pictures(self, version: int) -> dict[ActionPicture, dict[str, NDArray[Any]]]:
        """Codes of every canvas for BLACK, WORK LIGHT, SAFE PICTURE and its card, as `collect` gives them; do not write
        to them.

        Raises
        ------
        NoStageError
        """
        rig = self._rig(version)
        for action in _PICTURES:
            if action not in rig.stored:
                rig.stored[action] = {name: rig.pictures.codes(action, name) for name in rig.surfaces}
        return rig.stored

    @property
    def stage_versions(self) -> tuple[int, ...]:
        """Versions of the stage that can be drawn."""
        return tuple(self._rigs)

    @property
    def scenes(self) -> SceneWorld:
        """The world plans are drawn of when no other is given: the scenes loaded here."""
        if self._scenes is None:
            self._scenes = SceneWorld(self.device, {}, shadow_px=self._shadow_px)
        return self._scenes

    def load_scene(self, scene_id: str, scene: Scene, /) -> None:
        """Make a scene ready for plans that name it; the one of that name before is freed. The renderer owns it."""
        self.drop_scene(scene_id)
        self.scenes.scenes[scene_id] = scene

    def drop_scene(self, scene_id: str, /) -> None:
        """Free a scene; harmless when it is not there."""
        scene = self.scenes.forget(scene_id)
        if scene is not None:
            scene.release()

    def draw(
        self, plan: FramePlan, *, world: World | None = None, output: Output = "canvas"
    ) -> dict[str, CanvasPicture]:
        """Draw a plan, of the loaded scenes unless another world is given, and wait for its canvases.

        output: `canvas` codes as the processors get them; `light` linear AP1 (1.0 = 100 nit) before the encoding;
        `data` what the world wrote, in float32 all the way (measuring); `coverage` alpha of the inner frusta, one
        channel for each of the first four enabled cameras by rank.

        Raises
        ------
        NoStageError : the plan's `config_version` is not loaded.
        UnknownSceneError : a scene on air is not loaded.
        PatternError : a pattern of the plan does not exist.
        """
        return self.submit(plan, world=world, output=output).collect()

    def submit(
        self,
        plan: FramePlan,
        *,
        world: World | None = None,
        output: Output = "canvas",
        inners: Mapping[str, GivenInner] | None = None,
    ) -> Submission:
        """Queue the GPU work of a plan (see `draw`). Collect it before the next is submitted.

        inners : inner pictures of cameras that somebody else has drawn, by camera; they stand where ours would.
        """
        rig = self._rig(plan.config_version)
        patterns = [parse_pattern(pattern.kind, pattern.targets) for pattern in plan.patterns]
        stored = self._action(plan) if output == "canvas" else None
        if stored is None and not (output == "canvas" and "hold" in plan.actions):
            self._draw(rig, plan, world or self.scenes, output, patterns, inners or {})
        return Submission(self.device, rig, plan, output, stored)

    def inner(self, plan: FramePlan, camera_id: str, *, world: World | None = None) -> NDArray[np.float16]:
        """The inner picture of one camera of a plan as `draw` puts it on the walls: linear AP1, [h, w, 4] half floats,
        row 0 on top. It changes no canvas.

        Raises
        ------
        NoStageError, UnknownSceneError ; KeyError : the plan has no such camera.
        """
        rig = self._rig(plan.config_version)
        camera = next((camera for camera in plan.cameras if camera.id == camera_id), None)
        if camera is None:
            raise KeyError(camera_id)
        world = world or self.scenes
        world.prepare(plan)
        picture = rig.inner.draw(
            plan, camera, world, kind="f2", texels_per_pixel=0.0, walls=rig.wall_arrays(), origin_m=rig.origin_m
        )
        # Python's lock is free while the GPU draws, not while it is read.
        self.device.fence().wait()
        width, height = picture.texture.size
        rows = np.frombuffer(picture.texture.read(), dtype=np.float16).reshape(height, width, 4)
        return np.ascontiguousarray(rows[::-1])

    def ahead(self, plan: FramePlan, *, world: World | None = None) -> int:
        """Draw a piece of what a plan that is still to come will need and can be drawn now: a face of an outer picture
        that is drawn every few frames. How many pieces are missing then. It changes no pixel of any plan.

        Raises as `draw`.
        """
        rig = self._rig(plan.config_version)
        world = world or self.scenes
        if rig.outer.is_ahead(plan, world, kind="f2", canvases=rig.own):
            return 0
        world.prepare(plan)
        missing = rig.outer.ahead(plan, rig.meshes, world, kind="f2", canvases=rig.own)
        # Flushed, not waited for: the GPU works while the caller does something else.
        self.device.fence().release()
        return missing

    def _action(self, plan: FramePlan) -> dict[str, NDArray[Any]] | None:
        """The stored pictures of BLACK, WORK LIGHT or SAFE PICTURE, in this order, if the plan orders one."""
        for action in _ORDERS:
            if action in plan.actions:
                return self.action_pictures(plan.config_version)[action]
        return None

    def _draw(
        self,
        rig: _Rig,
        plan: FramePlan,
        world: World,
        output: Output,
        patterns: list[Pattern],
        inners: Mapping[str, GivenInner],
    ) -> None:
        kind: Literal["f2", "f4"] = "f4" if output == "data" else "f2"
        world.prepare(plan)
        rig.outer.draw(plan, rig.meshes, world, kind=kind, canvases=rig.own)
        pictures = []
        for camera in shown_cameras(plan):
            given = inners.get(camera.id)
            reach = reach_of(rig.meshes, camera, inner_view(camera) if given is None else self._given.view(given))
            if given is not None and reach.on(rig.surfaces):
                picture = self._given.picture(camera, given, texels_per_pixel=reach.texels_per_pixel)
                pictures.append((picture, reach))
            elif reach.on(rig.surfaces) or output == "coverage":
                picture = rig.inner.draw(
                    plan,
                    camera,
                    world,
                    kind=kind,
                    texels_per_pixel=reach.texels_per_pixel,
                    walls=rig.wall_arrays(),
                    origin_m=rig.origin_m,
                    looked_up_m=rig.looked_up(reach),
                )
                pictures.append((picture, reach))
        gain = float(2.0 ** (plan.exposure_ev - rig.outer.exposure_ev)) if output != "data" else 1.0
        self._cards.put(plan.cards, rig.origin_m)
        keys = self._keys.reaches(plan, rig.meshes) if plan.key else []
        grades = LayerGrades(plan.looks)
        for surface in rig.surfaces.values():
            self._wall.draw(
                surface,
                rig.outer,
                pictures,
                outer_gain=gain,
                output=output,
                seed=plan.seed,
                cards=self._cards,
                grades=grades,
            )
            if output == "canvas":
                self._keys.draw(surface, keys, rig.stage.walls)
                reached = [(picture.camera, reach) for picture, reach in pictures]
                for pattern in patterns:
                    self._patterns.draw(surface, pattern, plan, reached, rig.stage)

    def _rig(self, version: int) -> _Rig:
        rig = self._rigs.get(version)
        if rig is None:
            loaded = ", ".join(str(v) for v in self._rigs) or "none"
            raise NoStageError(
                Problem(
                    "renderer.no_stage",
                    "plan/config_version",
                    f"this version of the stage is not loaded (loaded: {loaded})",
                    version,
                    "load the stage before the first plan that names it",
                )
            )
        return rig

    def release(self) -> None:
        """Free everything."""
        for version in list(self._rigs):
            self.drop_stage(version)
        self._wall.release()
        self._patterns.release()
        self._cards.release()
        self._keys.release()
        self._given.release()
        if self._scenes is not None:
            for scene_id in list(self._scenes.scenes):
                self.drop_scene(scene_id)
            self._scenes.release()


def shown_cameras(plan: FramePlan) -> list[PlanCamera]:
    """Cameras whose inner frusta are on the walls, from the undermost to the uppermost."""
    return sorted((camera for camera in plan.cameras if camera.enabled), key=lambda camera: camera.rank)
