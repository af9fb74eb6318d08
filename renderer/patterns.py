"""Line-up and test pictures. They lie over everything and bypass exposure, looks and roll-off: their light is nits of
the canvas' own primaries, or codes, so that each can be checked against a table.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import moderngl
import numpy as np
from numpy.typing import NDArray

from renderer.colour.encode import CanvasColour
from renderer.device import Device
from renderer.glyphs import atlas
from renderer.passes.inner import inner_view
from renderer.passes.wall import Program, Reach, Surface, clip_planes, float32
from renderer.pattern_kinds import KINDS, NUMBERS, Pattern, PatternError, parse_pattern
from renderer.pattern_text import (
    MOST_FIELDS,
    RANGE_CODES,
    count_rows,
    depth_rows,
    field_rows,
    nit_steps,
    tile_rows,
)
from renderer.shaders import source
from stage.compiled import CompiledStage
from stage.lens import pinhole_tangents
from stage.plan import FramePlan, PlanCamera

__all__ = ["KINDS", "Pattern", "PatternError", "PatternPass", "parse_pattern"]

_ATLAS_UNIT, _TEXT_UNIT = 1, 2
_WITH_TILES: Final = (NUMBERS["alignment_grid"], NUMBERS["cabinet_map"])


class PatternPass:
    """Draws patterns into canvases, over what they hold."""

    def __init__(self, device: Device) -> None:
        self._ctx = device.ctx
        self._programs: dict[tuple[bool, CanvasColour, int], Program] = {}
        dots = atlas()
        self._atlas = device.ctx.texture(dots.shape[::-1], 1, dots.tobytes(), alignment=1)
        self._texts: dict[object, tuple[object, moderngl.Texture]] = {}

    def draw(
        self,
        surface: Surface,
        pattern: Pattern,
        plan: FramePlan,
        inners: list[tuple[PlanCamera, Reach]],
        stage: CompiledStage,
    ) -> None:
        """Draw one pattern into a canvas. The canvas' scene is then no longer at rest: it is drawn whole next time."""
        surface.framebuffer.use()
        surface.rest_key = None
        self._ctx.disable(moderngl.DEPTH_TEST | moderngl.CULL_FACE | moderngl.BLEND)
        self._say(surface, pattern, plan, stage)
        if pattern.number == NUMBERS["inner_grid"]:
            for camera, reach in inners:
                if not pattern.targets or camera.id in pattern.targets:
                    self._draw(surface, pattern, plan, camera, reach.items[surface.mesh.canvas.id])
            return
        everywhere = not pattern.targets or surface.mesh.canvas.id in pattern.targets
        on_walls = tuple(
            np.array([everywhere or wall in pattern.targets for wall in buffers.part.walls], dtype=bool)[
                buffers.part.wall
            ]
            for buffers in surface.over
        )
        self._draw(surface, pattern, plan, None, on_walls)

    def _say(self, surface: Surface, pattern: Pattern, plan: FramePlan, stage: CompiledStage) -> None:
        """Put what a picture says where the shader reads it; made once, but for what counts."""
        if pattern.number in _WITH_TILES:
            key: object = ("tiles", id(surface))
            known = self._texts.get(key)
            if known is None or known[0] is not surface.mesh:
                self._put(key, surface.mesh, tile_rows(surface.mesh, stage))
        elif pattern.number == NUMBERS["frame_count"]:
            key = "count"
            self._put(key, None, count_rows(plan))
        elif pattern.number == NUMBERS["nit_steps"]:
            peak_nits = surface.colour.encoding.peak_nits
            key = ("nits", peak_nits)
            if key not in self._texts:
                self._put(key, None, field_rows(nit_steps(peak_nits)))
        elif pattern.number in (NUMBERS["range"], NUMBERS["bit_depth"]):
            key = pattern.number
            if key not in self._texts:
                self._put(key, None, field_rows(RANGE_CODES) if pattern.number == NUMBERS["range"] else depth_rows())
        else:
            return
        self._atlas.use(_ATLAS_UNIT)
        self._texts[key][1].use(_TEXT_UNIT)

    def _put(self, key: object, of: object, rows: NDArray[np.uint8]) -> None:
        held = self._texts.pop(key, None)
        size = (rows.shape[1], rows.shape[0])
        if held is not None and held[1].size != size:
            held[1].release()
            held = None
        texture = held[1] if held is not None else self._ctx.texture(size, 1, alignment=1)
        texture.write(rows.tobytes(), alignment=1)
        self._texts[key] = of, texture

    def _draw(
        self,
        surface: Surface,
        pattern: Pattern,
        plan: FramePlan,
        camera: PlanCamera | None,
        items: tuple[NDArray[np.bool_], ...],
    ) -> None:
        if camera is not None:
            view = inner_view(camera)
            point, axes = view.point_m, view.axes
            left, right, bottom, top = pinhole_tangents(camera.lens)
            edge, frame = view.sampled_edge, (left, bottom, right, top)
        else:
            point = np.array(plan.outer.eye_m, dtype=np.float64)
            axes = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
            edge = frame = (0.0, 0.0, 0.0, 0.0)
        values = np.array(RANGE_CODES, dtype=np.float64)
        if pattern.number == NUMBERS["nit_steps"]:
            values = np.array(nit_steps(surface.colour.encoding.peak_nits)) / 100.0
        light = min(pattern.nits, surface.colour.encoding.peak_nits) / 100.0
        for buffers, drawn in zip(surface.over, items, strict=True):
            part = buffers.part
            zeros = np.zeros(part.items, dtype=np.int64)
            buffers.group(zeros, zeros, drawn)
            if not buffers.groups:
                continue
            program = self._program(part.kind == "mesh", surface.colour.plain(), pattern.number)
            write = program.write
            write("canvas_px", float32(surface.size))
            write("point_offset", float32(surface.mesh.origin_m - point))
            write("point_view", float32(axes.T))
            write("ink", float32((light, light, light)))
            write("led_step", float32(surface.mesh.canvas.width_px / surface.mesh.width_px))
            write("edge", float32(edge))
            write("frame", float32(frame))
            write("frame_number", np.int32(plan.frame & 0x7FFFFFFF))
            write("frames_per_s", float32(plan.rate[0] / plan.rate[1]))
            write("leds", float32(pattern.leds))
            write("fields", np.int32(len(values)))
            write("field_value", float32(np.pad(values, (0, MOST_FIELDS - len(values)))))
            write("code_step", float32((2.0 ** (surface.colour.encoding.bits - 10), surface.colour.stored_highest)))
            clip_planes(self._ctx, on=program.mesh)
            for _, _, first, count in buffers.groups:
                buffers.array(self._ctx, program.program).render(moderngl.TRIANGLES, vertices=count, first=first)
        clip_planes(self._ctx, on=False)

    def _program(self, mesh: bool, colour: CanvasColour, number: int) -> Program:
        key = (mesh, colour, number)
        program = self._programs.get(key)
        if program is None:
            defines = {"MESH": int(mesh), "KIND": number, **colour.constants()}
            program = self._programs[key] = Program(
                self._ctx, source("wall/pattern.vert", {"MESH": int(mesh)}), source("wall/pattern.frag", defines), mesh
            )
        return program

    def prepare(self, surface: Surface) -> Iterator[None]:
        """Compile what a canvas needs, before it is on air, a program at a time."""
        for buffers in surface.parts:
            for number in NUMBERS.values():
                self._program(buffers.part.kind == "mesh", surface.colour.plain(), number)
                yield

    def release(self) -> None:
        """Free the programs."""
        for program in self._programs.values():
            program.release()
        self._programs.clear()
        for _, texture in self._texts.values():
            texture.release()
        self._texts.clear()
        self._atlas.release()
