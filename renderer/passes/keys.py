"""Chroma keys: a plain colour and its markers over what one camera sees, in codes of each canvas' own.

They lie over every picture and bypass exposure, looks and roll-off, as patterns do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import moderngl
import numpy as np

from renderer.canvas_mesh import CanvasMesh
from renderer.colour.encode import CanvasColour
from renderer.device import Device
from renderer.passes.inner import inner_view
from renderer.passes.view import View
from renderer.passes.wall import Program, Reach, Surface, clip_planes, float32, reach_of
from renderer.shaders import source
from stage.compiled import Wall
from stage.lens import pinhole_tangents
from stage.plan import FramePlan, PlanCamera
from stage.plan_cards import KeyMarkers, PlanKey

_MARKERS: Final[dict[KeyMarkers, int]] = {"none": 0, "crosses": 1, "dots": 2, "triangles": 3, "grid": 4}


def key_view(camera: PlanCamera, key: PlanKey) -> View:
    """What a key covers, as a view from the camera's pupil."""
    view = inner_view(camera)
    return View(view.point_m, view.view_from_stage, key.tangents, camera.raster_px)


class KeyPass:
    """Draws the keys of a plan into canvases, over what they hold."""

    def __init__(self, device: Device) -> None:
        self._ctx = device.ctx
        self._programs: dict[tuple[bool, CanvasColour], Program] = {}

    def reaches(self, plan: FramePlan, meshes: dict[str, CanvasMesh]) -> list[tuple[PlanKey, PlanCamera, View, Reach]]:
        """The keys that show, with where: those of cameras whose inner pictures are on the walls."""
        cameras = {camera.id: camera for camera in plan.cameras if camera.enabled}
        found = []
        for key in plan.key or ():
            camera = cameras.get(key.camera)
            left, right, bottom, top = key.tangents
            if camera is not None and left < right and bottom < top:
                view = key_view(camera, key)
                found.append((key, camera, view, reach_of(meshes, camera, view)))
        return found

    def draw(
        self,
        surface: Surface,
        keys: list[tuple[PlanKey, PlanCamera, View, Reach]],
        walls: Mapping[str, Wall],
    ) -> None:
        """Draw keys into a canvas. What they touch is drawn again in the next frame, also where all else rests."""
        if not keys:
            return
        self._ctx.disable(moderngl.DEPTH_TEST | moderngl.CULL_FACE | moderngl.BLEND)
        surface.framebuffer.use()
        for key, camera, view, reach in keys:
            items = reach.items[surface.mesh.canvas.id]
            for index, (buffers, drawn) in enumerate(zip(surface.over, items, strict=True)):
                if not drawn.any():
                    continue
                surface.reached[index] = surface.reached[index] | drawn
                part = buffers.part
                buffers.group(np.zeros(part.items, dtype=np.int64), part.wall, drawn)
                program = self._program(part.kind == "mesh", surface.colour.plain())
                self._write(program, surface, key, camera, view)
                clip_planes(self._ctx, on=program.mesh)
                for _, wall, first, count in buffers.groups:
                    on_wall = key.marker_space == "stage"
                    led_m = walls[part.walls[wall]].pitch_mm / 1000.0 if on_wall else 0.0
                    program.write("led_m", np.float32(led_m))
                    buffers.array(self._ctx, program.program).render(moderngl.TRIANGLES, vertices=count, first=first)
        clip_planes(self._ctx, on=False)

    def _write(self, program: Program, surface: Surface, key: PlanKey, camera: PlanCamera, view: View) -> None:
        left, right, bottom, top = key.tangents
        frame = pinhole_tangents(camera.lens)
        peak = surface.colour.encoding.peak_nits
        ink: tuple[float, ...]
        marker: tuple[float, ...]
        if key.codes is not None:
            bits = surface.colour.encoding.bits
            ink, marker = key.codes, key.marker_codes or key.codes
            step = 2.0 ** (bits - 10), float(surface.colour.stored_highest)
        else:
            ink, marker = (tuple(min(nits, peak) / 100.0 for nits in each) for each in (key.nits, key.marker_nits))
            step = 0.0, 0.0
        for name, values in (
            ("canvas_px", surface.size),
            ("point_offset", surface.mesh.origin_m - view.point_m),
            ("point_view", view.axes.T),
            ("edge", (left, bottom, right, top)),
            ("middle", ((frame[0] + frame[1]) / 2.0, (frame[2] + frame[3]) / 2.0)),
            ("marks", (key.marker_size, key.marker_spacing, key.marker_size * key.marker_line)),
            ("ink", ink),
            ("marker_ink", marker),
            ("code_step", step),
        ):
            program.write(name, float32(values))
        program.write("marker", np.int32(_MARKERS[key.markers]))

    def _program(self, mesh: bool, colour: CanvasColour) -> Program:
        program = self._programs.get((mesh, colour))
        if program is None:
            defines = {"MESH": int(mesh), **colour.constants()}
            program = self._programs[mesh, colour] = Program(
                self._ctx, source("wall/key.vert", {"MESH": int(mesh)}), source("wall/key.frag", defines), mesh
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
