"""The scene pass: one view of a compiled scene into one framebuffer, linear ACEScg, 1.0 = 100 nit.

Everything is drawn relative to the eye along the scene's axes, worked out in float64 on the CPU, so that float32
holds a micrometre wherever the stage stands. There is no history: the same inputs give the same pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import moderngl
import numpy as np
from numpy.typing import ArrayLike

from renderer.device import Device
from renderer.domes import OCTAHEDRON_PX, ROUGHNESS_LEVELS
from renderer.materials import BLOCK_BYTES
from renderer.panoramas import HALF_MAX
from renderer.passes.air import (
    AIR_CONSTANTS,
    AirBlock,
    air_defines,
    backdrop_defines,
    bind_surroundings,
    dome_turn,
    has_backdrop,
)
from renderer.passes.casters import ShadowStatistics
from renderer.passes.lighting import Lighting, constants, view_floats
from renderer.passes.night import NightPass
from renderer.passes.visible import DrawList, Run
from renderer.scene import F32, F64, Batch, Draws, Scene
from renderer.shaders import source
from stage.frames import Array

Output = Literal["colour", "position", "fringes"]

_OUTPUTS: Final[dict[Output, int]] = {"colour": 0, "position": 1, "fringes": 2}
_SRC1_COLOR, _SRC1_ALPHA = 0x88F9, 0x8589
_ALPHA_TO_COVERAGE, _ALPHA_TO_ONE = 0x809E, 0x809F
_BLEND: Final = (moderngl.ONE, _SRC1_COLOR, moderngl.ONE, _SRC1_ALPHA)
"""What a surface adds, and the share of each colour behind it that it leaves: glass may be coloured."""
_REFLECTIONS_UNIT, _DOME_UNIT = 5, 7
_OF_SUN_SHADOW: Final = ("SHADOW", "SHADOW_CASCADES", "MOVING_SHADOW")
_VIEW_FLOATS: Final = 3 * 16 + 16 * 4

_Defines = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Fringes:
    """Cosine fringes in place of the scene's colours: 0.5 + 0.5 cos(2 pi (count * place + phase)).

    Surfaces take place = stage position (metres) along `axis`, the sky the angle (radians) of the view direction
    towards `axis`.
    """

    axis: tuple[float, float, float] = (1.0, 0.0, 0.0)
    """Unit vector in the stage frame."""
    cycles_per_rad: float = 20.0
    cycles_per_m: float = 2.0
    phase_cycles: float = 0.0


@dataclass(slots=True)
class Statistics:
    """What the last view drew."""

    draws: int = 0
    """Meshes, or clusters of large ones."""
    triangles: int = 0
    commands: int = 0
    """Equal meshes that stand in several places are one command."""
    calls: int = 0


def target(
    device: Device, size_px: tuple[int, int], /, *, dtype: Literal["f2", "f4"] = "f2", samples: int = 0
) -> moderngl.Framebuffer:
    """A framebuffer the pass can draw into: RGBA half (`f2`, colour) or full floats (`f4`, positions), with depth."""
    ctx = device.ctx
    return ctx.framebuffer(
        [ctx.texture(size_px, 4, dtype=dtype, samples=samples)], ctx.depth_texture(size_px, samples=samples)
    )


def release_target(framebuffer: moderngl.Framebuffer, /) -> None:
    """Free a framebuffer with its attachments."""
    attachments = (*framebuffer.color_attachments, framebuffer.depth_attachment)
    framebuffer.release()
    for attachment in attachments:
        if attachment is not None:
            attachment.release()


class ScenePass:
    """Draws views of scenes. One for a device; it keeps the programs, and the shadow maps of the scenes on air."""

    def __init__(self, device: Device, *, shadow_px: int = 2048) -> None:
        self._ctx = device.ctx
        self._shadow_px = shadow_px
        self._device = device
        self._programs: dict[tuple[str, str, _Defines], moderngl.Program] = {}
        self._arrays: dict[tuple[int, _Defines], list[tuple[_Defines, moderngl.VertexArray] | None]] = {}
        """By scene and what its programs share; for each batch what its material's program was made for."""
        self._lists: dict[int, tuple[Draws, int, DrawList]] = {}
        """By scene: what it was made for, and how its materials were then."""
        self._skies: dict[_Defines, moderngl.VertexArray] = {}
        self._lightings: dict[int, Lighting] = {}
        self._view = device.ctx.buffer(reserve=4 * _VIEW_FLOATS)
        self._air = AirBlock(device)
        self._night = NightPass(device)
        self.statistics = Statistics()

    def prepare(self, scene: Scene, *, stage_from_scene: ArrayLike, scene_time_s: float) -> Lighting | None:
        """Once a frame before its views: move the scene, and draw the shadow maps in which something moved.

        `draw` calls it too; a second call with the same values does nothing.
        """
        scene.update(scene_time_s)
        lighting = self._lightings.get(id(scene))
        if lighting is None:
            if not scene.lights.lamps and (scene.sun is None or not scene.sun.shadow):
                return None
            lighting = self._lightings[id(scene)] = Lighting(
                self._device, scene, shadow_px=self._shadow_px, lamp_px=scene.config.lamp_shadow_px
            )
        lighting.update(np.asarray(stage_from_scene, dtype=np.float64))
        return lighting

    def shadow_statistics(self, scene: Scene) -> ShadowStatistics:
        """What the shadows of `scene` have cost so far; a frame's share is the difference of two readings."""
        lighting = self._lightings.get(id(scene))
        return ShadowStatistics() if lighting is None else replace(lighting.statistics)

    def draw(
        self,
        scene: Scene,
        *,
        view_from_stage: ArrayLike,
        clip_from_view: ArrayLike,
        stage_from_scene: ArrayLike,
        target: moderngl.Framebuffer,
        scene_time_s: float = 0.0,
        exposure_ev: float = 0.0,
        output: Output = "colour",
        fringes: Fringes | None = None,
    ) -> None:
        """Draw one view over the whole of `target` (a float colour attachment and a depth attachment).

        view_from_stage : [4, 4]  rigid; view axes are GL's (x right, y up, looks along -z).
        clip_from_view : [4, 4]  any projection to GL clip space (z -1..1), off-centre or upside down too.
        stage_from_scene : [4, 4]  rigid; where the scene lies in the stage.
        output : `colour` linear ACEScg times 2^(exposure_ev + the scene's), alpha 1; `position` the stage position
            of the surface seen in metres, w = 1, and for the sky its direction * 1e5, w = 0 (transparent surfaces
            are left out; take an RGBA32F target); `fringes` the measuring pattern of `fringes`.
        """
        lighting = self.prepare(scene, stage_from_scene=stage_from_scene, scene_time_s=scene_time_s)
        view = _View(view_from_stage, clip_from_view, stage_from_scene)
        ctx = self._ctx
        shared = self._begin(scene, view, lighting, target, exposure_ev, output, fringes or Fringes())
        sky = output != "colour" or has_backdrop(scene)
        visible = self._visible(scene, view)
        self.statistics = Statistics()
        solid = [run for run in visible if not scene.draws.batches[run.batch].material.blend]
        self._draw_batches(scene, solid, shared, flipped=view.flipped)
        if sky:
            self._draw_sky(scene, view, output)
        if output == "colour" and len(solid) < len(visible):
            target.depth_mask = False
            ctx.enable(moderngl.BLEND)
            ctx.blend_func = _BLEND  # type: ignore[assignment]  # moderngl takes colour and alpha apart too
            self._draw_batches(scene, visible[len(solid) :], shared, flipped=view.flipped)
            _end_blending(ctx)
            target.depth_mask = True

    def warm(
        self,
        scene: Scene,
        *,
        stage_from_scene: ArrayLike,
        target: moderngl.Framebuffer,
        scene_time_s: float = 0.0,
    ) -> Iterator[None]:
        """Compile every program the surfaces of `scene` need and use each once, one a step, whatever is in view, hidden
        or left to another variant: the first picture on air then finds them all.

        Drivers compile again for another kind of target: take one like those on air, it may be small.
        """
        view = _View(np.eye(4), np.diag([1.0, 1.0, -1.0, 1.0]), stage_from_scene)
        known: set[tuple[object, ...]] = set()
        for number, batch in enumerate(scene.draws.batches):
            material = batch.material
            key = (material.defines, id(batch.geometry), material.double_sided, batch.mode)
            if key in known:
                continue
            known.add(key)
            lighting = self.prepare(scene, stage_from_scene=stage_from_scene, scene_time_s=scene_time_s)
            shared = self._begin(scene, view, lighting, target, 0.0, "colour", Fringes())
            self._use_once(scene, number, shared, target)
            yield
        if has_backdrop(scene):
            lighting = self.prepare(scene, stage_from_scene=stage_from_scene, scene_time_s=scene_time_s)
            self._begin(scene, view, lighting, target, 0.0, "colour", Fringes())
            self._draw_sky(scene, view, "colour")
            yield

    def rehearse(
        self, scene: Scene, look: Scene, *, stage_from_scene: ArrayLike, target: moderngl.Framebuffer
    ) -> Iterator[None]:
        """Compile the programs that `scene` will need to look as `look` says, and use each once, one a step; those that
        are there take no step. `look` is a copy of the scene whose configuration and materials are others: what is
        drawn with is the scene's own."""
        view = _View(np.eye(4), np.diag([1.0, 1.0, -1.0, 1.0]), stage_from_scene)
        lighting = self._lightings.get(id(scene))
        for number, batch in enumerate(look.draws.batches):
            shared = self._shared(look, lighting, "colour", samples=target.samples)
            if look.sun is None or not look.sun.shadow:
                shared = tuple((name, 0 if name in _OF_SUN_SHADOW else value) for name, value in shared)
            if ("surface.vert", "surface.frag", (*shared, *batch.material.defines)) in self._programs:
                continue
            self._begin(scene, view, lighting, target, 0.0, "colour", Fringes())
            self._use_once(look, number, shared, target)
            yield
        sky = _defines({"OUTPUT": _OUTPUTS["colour"], **backdrop_defines(look)})
        if has_backdrop(look) and sky not in self._skies:
            self._begin(scene, view, lighting, target, 0.0, "colour", Fringes())
            self._draw_sky(look, view, "colour")
            yield

    def _use_once(self, scene: Scene, number: int, shared: _Defines, target: moderngl.Framebuffer) -> None:
        """Draw the first mesh of a batch, wherever it stands."""
        batch = scene.draws.batches[number]
        rows = np.zeros((1, 3, 4), dtype=np.float32)
        rows[0, :, :3] = np.eye(3)
        command = scene.draws.commands[batch.first : batch.first + 1].copy()
        command[0, 4] = 0
        scene.rows.orphan()
        scene.rows.write(rows.tobytes())
        scene.commands.orphan()
        scene.commands.write(command.tobytes())
        run = Run(number, 0, 1, int(command[0, 0]) // 3, 1)
        if batch.material.blend:
            target.depth_mask = False
            self._ctx.enable(moderngl.BLEND)
            self._ctx.blend_func = _BLEND  # type: ignore[assignment]  # moderngl takes colour and alpha apart too
        self._draw_batches(scene, [run], shared, flipped=False)
        _end_blending(self._ctx)
        target.depth_mask = True

    # --- one view ---------------------------------------------------------------------------------------------

    def _begin(
        self,
        scene: Scene,
        view: _View,
        lighting: Lighting | None,
        target: moderngl.Framebuffer,
        exposure_ev: float,
        output: Output,
        fringes: Fringes,
    ) -> _Defines:
        """Clear the target, write and bind what all surfaces of a view share; what their programs depend on."""
        ctx = self._ctx
        target.use()
        ctx.enable_only(moderngl.DEPTH_TEST)
        ctx.depth_func = "<="
        target.depth_mask = True
        # A plain background costs nothing as the colour the target is cleared to; what is more is drawn where it shows.
        ground = np.clip(scene.background * 2.0 ** (exposure_ev + scene.config.exposure_ev), 0.0, HALF_MAX)
        target.clear(float(ground[0]), float(ground[1]), float(ground[2]), 1.0, depth=1.0)
        self._view.orphan()
        self._view.write(self._pack(scene, view, lighting, exposure_ev, fringes, target.size).tobytes())
        self._view.bind_to_uniform_block(0)
        self._air.write(scene, view.eye_in_scene, view.rad_per_px(target.size))
        if output == "colour":
            bind_surroundings(scene, reflections_unit=_REFLECTIONS_UNIT, background_unit=_DOME_UNIT)
        if lighting is not None and output == "colour":
            lighting.bind()
        return self._shared(scene, lighting, output, samples=target.samples)

    def _pack(
        self,
        scene: Scene,
        view: _View,
        lighting: Lighting | None,
        exposure_ev: float,
        fringes: Fringes,
        size_px: tuple[int, int],
    ) -> F32:
        """The View block of shaders/scene/view.glsl."""
        out = np.zeros(_VIEW_FLOATS, dtype=np.float32)
        out[0:16] = view.clip_from_relative.T.reshape(16)
        out[16:32] = view.stage_from_relative.T.reshape(16)
        of_lights = view_floats(lighting, view.eye_in_scene)
        out[32:48] = of_lights[:16]
        rest = out[48:].reshape(16, 4)
        rest[0:9, : scene.sh.shape[1]] = scene.sh
        if scene.sun is not None:
            rest[9, :3] = scene.sun.direction
            rest[10, :3] = scene.sun.light
        if lighting is not None:
            rest[9, 3], rest[10, 3] = lighting.texels()
        rest[11] = dome_turn(scene, view.rad_per_px(size_px))
        rest[12] = *scene.background, 2.0 ** (exposure_ev + scene.config.exposure_ev)
        rest[13] = *fringes.axis, fringes.phase_cycles
        rest[14] = fringes.cycles_per_rad, fringes.cycles_per_m, 0.0, 0.0
        rest[15] = of_lights[16:]
        return out

    def _visible(self, scene: Scene, view: _View) -> list[Run]:
        """Write rows and visible commands; what is seen of each batch, in drawing order."""
        key = id(scene)
        held = self._lists.get(key)
        if held is None or held[0] is not scene.draws or held[1] != scene.painted:
            held = self._lists[key] = scene.draws, scene.painted, DrawList(scene.draws, scene.batches_alike())
        centres, radii = scene.placement.bounds()
        centres = centres - view.eye_in_scene
        seen = np.flatnonzero(view.sees(centres, radii)) if len(radii) else np.zeros(0, np.intp)
        near = centres[seen]
        visible = held[2].seen(seen, np.sqrt(np.einsum("ni,ni->n", near, near)), radii[seen])
        if visible.runs:
            rows = scene.placement.scene_from_objects[visible.objects, :3, :]
            rows[:, :, 3] -= view.eye_in_scene
            scene.rows.orphan()
            scene.rows.write(rows.astype(np.float32).tobytes())
            scene.commands.orphan()
            scene.commands.write(visible.commands.tobytes())
        return visible.runs

    def _draw_batches(self, scene: Scene, visible: list[Run], shared: _Defines, *, flipped: bool) -> None:
        ctx = self._ctx
        arrays = self._arrays.setdefault((id(scene), shared), [None] * len(scene.draws.batches))
        textured = shared[0][1] == _OUTPUTS["colour"]
        coverage = dict(shared)["COVERAGE"] == 1
        culled, front, covering = None, None, False
        for run in visible:
            batch = scene.draws.batches[run.batch]
            material = batch.material
            if material.double_sided is not culled:
                culled = material.double_sided
                (ctx.disable if culled else ctx.enable)(moderngl.CULL_FACE)
            facing = "cw" if batch.mirrored != flipped else "ccw"
            if facing != front:
                ctx.front_face = front = facing
            if textured:
                for unit, texture in material.textures:
                    texture.use(unit)
            elif material.masked:
                for unit, texture in material.textures[:1]:
                    texture.use(unit)
            if (material.masked and coverage) is not covering:
                covering = not covering
                for state in (_ALPHA_TO_COVERAGE, _ALPHA_TO_ONE):
                    (ctx.enable_direct if covering else ctx.disable_direct)(state)
            made = arrays[run.batch]
            if made is None or (made[0] is not material.defines and made[0] != material.defines):
                if made is not None:
                    made[1].release()
                made = arrays[run.batch] = material.defines, self._array(scene, batch, shared)
            array = made[1]
            scene.material_blocks.bind_to_uniform_block(1, offset=material.index * BLOCK_BYTES, size=BLOCK_BYTES)
            array.render_indirect(scene.commands, batch.mode, run.count, first=run.first)
            self.statistics.draws += run.draws
            self.statistics.commands += run.count
            self.statistics.triangles += run.triangles
        if covering:
            for state in (_ALPHA_TO_COVERAGE, _ALPHA_TO_ONE):
                ctx.disable_direct(state)
        self.statistics.calls += len(visible)

    def _draw_sky(self, scene: Scene, view: _View, output: Output) -> None:
        defines = _defines({"OUTPUT": _OUTPUTS[output], **(backdrop_defines(scene) if output == "colour" else {})})
        if defines not in self._skies:
            self._skies[defines] = self._ctx.vertex_array(self._program("full.vert", "sky.frag", defines), [])
        array = self._skies[defines]
        uniform = array.program.get("relative_from_clip", None)
        if isinstance(uniform, moderngl.Uniform):
            inverse = np.linalg.inv(view.clip_from_relative).T
            uniform.write(np.ascontiguousarray(inverse, dtype=np.float32).tobytes())
        self._ctx.disable(moderngl.CULL_FACE)
        array.render(vertices=3)
        if output == "colour" and scene.sky is not None and scene.sky.night is not None:
            size_px = self._ctx.fbo.size
            self._night.draw(
                scene.sky.night, view.clip_from_relative, rad_per_px=view.rad_per_px(size_px), size_px=size_px,
                gain=scene.sky.gain, fog=scene.fog is not None,
            )  # fmt: skip

    # --- programs ---------------------------------------------------------------------------------------------

    def _shared(self, scene: Scene, lighting: Lighting | None, output: Output, *, samples: int) -> _Defines:
        """What of the scene every surface's program depends on."""
        lit = output == "colour"
        return _defines(
            {
                "OUTPUT": _OUTPUTS[output],
                **(air_defines(scene) if lit else {}),
                # Cut-out edges cover samples of a pixel one by one.
                "COVERAGE": int(lit and samples > 1 and any(b.material.masked for b in scene.draws.batches)),
                "DOME_KEY": int(lit and bool(scene.sh[3:6, 3:].any())),
                "SUN": int(lit and scene.sun is not None),
                **(lighting.defines() if lit and lighting is not None else {}),
            }
        )

    def _array(self, scene: Scene, batch: Batch, shared: _Defines) -> moderngl.VertexArray:
        program = self._program("surface.vert", "surface.frag", (*shared, *batch.material.defines))
        attributes = batch.geometry.layout.attributes
        wanted = [name for name, _ in attributes if name in program]
        form = " ".join(f"{n}f" if name in wanted else f"{4 * n}x" for name, n in attributes)
        return self._ctx.vertex_array(
            program,
            [
                (batch.geometry.vertices, form, *wanted),
                (scene.rows, "4f 4f 4f/i", "in_row0", "in_row1", "in_row2"),
            ],
            index_buffer=batch.geometry.indices,
        )

    def _program(self, vertex: str, fragment: str, defines: _Defines) -> moderngl.Program:
        key = (vertex, fragment, defines)
        if key not in self._programs:
            settings: dict[str, object] = {
                "OCTAHEDRON_PX": OCTAHEDRON_PX,
                **dict(defines),
                **{f"OUTPUT_{name.upper()}": value for name, value in _OUTPUTS.items()},
                "WORKING_FROM_REC709": ", ".join(repr(float(v)) for v in self._device.working_from_rec709.T.reshape(9)),
                "ROUGHNESS_LEVELS": ROUGHNESS_LEVELS,
                **AIR_CONSTANTS,
                **constants(software=self._device.capabilities.software),
            }
            self._programs[key] = self._ctx.program(
                source(f"scene/{vertex}", settings), source(f"scene/{fragment}", settings)
            )
        return self._programs[key]

    def forget(self, scene: Scene) -> None:
        """Free what is kept for `scene`; call it before the scene is released."""
        for key in [key for key in self._arrays if key[0] == id(scene)]:
            _release([made and made[1] for made in self._arrays.pop(key)])
        self._lists.pop(id(scene), None)
        lighting = self._lightings.pop(id(scene), None)
        if lighting is not None:
            lighting.release()

    def release(self) -> None:
        """Free all programs, arrays and maps."""
        for lighting in self._lightings.values():
            lighting.release()
        for arrays in self._arrays.values():
            _release([made and made[1] for made in arrays])
        _release(list(self._skies.values()))
        for program in self._programs.values():
            program.release()
        self._view.release()
        self._air.release()
        self._night.release()


def _release(arrays: Sequence[moderngl.VertexArray | None]) -> None:
    for array in arrays:
        if array is not None:
            array.release()


def _defines(values: Mapping[str, int]) -> _Defines:
    return tuple(values.items())


def _end_blending(ctx: moderngl.Context) -> None:
    """No blending, and no function with two sources: drivers refuse to draw to several targets while one is set."""
    ctx.disable(moderngl.BLEND)
    ctx.blend_func = moderngl.SRC_ALPHA, moderngl.ONE_MINUS_SRC_ALPHA


class _View:
    """One view's transforms, in float64: everything is relative to the eye, along the scene's axes."""

    def __init__(self, view_from_stage: ArrayLike, clip_from_view: ArrayLike, stage_from_scene: ArrayLike) -> None:
        view = np.asarray(view_from_stage, dtype=np.float64)
        clip = np.asarray(clip_from_view, dtype=np.float64)
        stage_from_scene = np.asarray(stage_from_scene, dtype=np.float64)
        eye_in_stage = -np.linalg.solve(view[:3, :3], view[:3, 3])
        turn = stage_from_scene[:3, :3]
        self.eye_in_scene: F64 = np.linalg.solve(turn, eye_in_stage - stage_from_scene[:3, 3])
        view_from_relative = np.eye(4)
        view_from_relative[:3, :3] = view[:3, :3] @ turn
        self.clip_from_relative: Array = clip @ view_from_relative
        self.stage_from_relative: Array = np.eye(4)
        self.stage_from_relative[:3, :3] = turn
        self.stage_from_relative[:3, 3] = eye_in_stage
        self._clip = clip
        self.flipped = bool(np.linalg.det(clip[:2, :2]) < 0.0)
        """The projection is upside down (canvases are), which turns front faces round."""

    def rad_per_px(self, size_px: tuple[int, int]) -> float:
        """Angle of a pixel where the view axis meets the picture."""
        return float(min(2.0 / (abs(self._clip[0, 0]) * size_px[0]), 2.0 / (abs(self._clip[1, 1]) * size_px[1])))

    def sees(self, centres: F64, radii: F64) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which spheres, [n, 3] relative to the eye and [n], reach into the view."""
        rows = self.clip_from_relative
        seen = np.ones(len(centres), dtype=np.bool_)
        for axis in range(3):
            for sign in (1.0, -1.0):
                plane = rows[3] + sign * rows[axis]
                length = float(np.linalg.norm(plane[:3]))
                if length > 1e-12:
                    seen &= (centres @ plane[:3] + plane[3]) / length > -radii
        return seen
