"""Line-up and test patterns. They lie over everything and bypass exposure,
looks and roll-off: their light is nits of the canvas' own primaries, so a code can be checked against a table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import moderngl
import numpy as np
from numpy.typing import NDArray

from renderer.colour.encode import CanvasColour
from renderer.device import Device
from renderer.errors import RendererError
from renderer.passes.inner import inner_view
from renderer.passes.wall import Program, Reach, Surface, clip_planes, float32
from renderer.shaders import source
from stage.errors import Problem
from stage.lens import pinhole_tangents
from stage.plan import PlanCamera

KINDS: Final = ("inner_grid", "eye_card", "tile_outlines", "alignment_grid", "uniform_<nits>", "ramp")
"""What `PlanPattern.kind` may be; `uniform_100` is plain white of 100 nits."""

_NUMBER: Final = {
    "inner_grid": 0, "eye_card": 1, "tile_outlines": 2, "alignment_grid": 3, "uniform": 4, "ramp": 5,
}  # fmt: skip
_UNIFORM: Final = re.compile(r"uniform_(\d{1,5}(?:\.\d{1,3})?)$")
_LINE_NITS: Final = 100.0


class PatternError(RendererError):
    """A pattern that does not exist."""

    code = "renderer.pattern"


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern to draw: its number in the shader, its light in nits, and what it lies on (empty: all)."""

    number: int
    nits: float
    targets: tuple[str, ...] = ()


def parse_pattern(kind: str, targets: list[str] | tuple[str, ...] = (), /) -> Pattern:
    """The pattern of a plan's `kind`, one of `KINDS`.

    Raises
    ------
    PatternError : there is none of that name.
    """
    plain = _UNIFORM.match(kind)
    if plain:
        return Pattern(_NUMBER["uniform"], float(plain[1]), tuple(targets))
    if kind in _NUMBER and kind != "uniform":
        return Pattern(_NUMBER[kind], _LINE_NITS, tuple(targets))
    raise PatternError(
        Problem("renderer.pattern", "patterns/kind", "there is no such pattern", kind, f"use one of {', '.join(KINDS)}")
    )


class PatternPass:
    """Draws patterns into canvases, over what they hold."""

    def __init__(self, device: Device) -> None:
        self._ctx = device.ctx
        self._programs: dict[tuple[bool, CanvasColour], Program] = {}

    def draw(
        self,
        surface: Surface,
        pattern: Pattern,
        eye_m: tuple[float, float, float],
        inners: list[tuple[PlanCamera, Reach]],
    ) -> None:
        """Draw one pattern into a canvas. The canvas' scene is then no longer at rest: it is drawn whole next time."""
        surface.framebuffer.use()
        surface.rest_key = None
        self._ctx.disable(moderngl.DEPTH_TEST | moderngl.CULL_FACE | moderngl.BLEND)
        if pattern.number == _NUMBER["inner_grid"]:
            for camera, reach in inners:
                if not pattern.targets or camera.id in pattern.targets:
                    self._draw(surface, pattern, eye_m, camera, reach.items[surface.mesh.canvas.id])
            return
        on_walls = tuple(
            np.array([not pattern.targets or wall in pattern.targets for wall in buffers.part.walls], dtype=bool)[
                buffers.part.wall
            ]
            for buffers in surface.over
        )
        self._draw(surface, pattern, eye_m, None, on_walls)

    def _draw(
        self,
        surface: Surface,
        pattern: Pattern,
        eye_m: tuple[float, float, float],
        camera: PlanCamera | None,
        items: tuple[NDArray[np.bool_], ...],
    ) -> None:
        if camera is not None:
            view = inner_view(camera)
            point, axes = view.point_m, view.axes
            left, right, bottom, top = pinhole_tangents(camera.lens)
            edge, frame = view.sampled_edge, (left, bottom, right, top)
        else:
            point = np.array(eye_m, dtype=np.float64)
            axes = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
            edge = frame = (0.0, 0.0, 0.0, 0.0)
        light = min(pattern.nits, surface.colour.encoding.peak_nits) / 100.0
        for buffers, drawn in zip(surface.over, items, strict=True):
            part = buffers.part
            zeros = np.zeros(part.items, dtype=np.int64)
            buffers.group(zeros, zeros, drawn)
            if not buffers.groups:
                continue
            program = self._program(part.kind == "mesh", surface.colour.plain())
            write = program.write
            write("canvas_px", float32(surface.size))
            write("point_offset", float32(surface.mesh.origin_m - point))
            write("point_view", float32(axes.T))
            write("kind", np.int32(pattern.number))
            write("ink", float32((light, light, light)))
            write("led_step", float32(surface.mesh.canvas.width_px / surface.mesh.width_px))
            write("edge", float32(edge))
            write("frame", float32(frame))
            clip_planes(self._ctx, on=program.mesh)
            for _, _, first, count in buffers.groups:
                buffers.array(self._ctx, program.program).render(moderngl.TRIANGLES, vertices=count, first=first)
        clip_planes(self._ctx, on=False)

    def _program(self, mesh: bool, colour: CanvasColour) -> Program:
        program = self._programs.get((mesh, colour))
        if program is None:
            defines = {"MESH": int(mesh), **colour.constants()}
            program = self._programs[mesh, colour] = Program(
                self._ctx, source("wall/pattern.vert", {"MESH": int(mesh)}), source("wall/pattern.frag", defines), mesh
            )
        return program

    def prepare(self, surface: Surface) -> None:
        """Compile what a canvas needs, before it is on air."""
        for buffers in surface.parts:
            self._program(buffers.part.kind == "mesh", surface.colour.plain())

    def release(self) -> None:
        """Free the programs."""
        for program in self._programs.values():
            program.release()
        self._programs.clear()
