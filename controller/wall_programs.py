"""Programs of graded walls, made before anybody grades: by a process off the air that has nothing else to do.

A show without grades starts without their programs, and the first grade makes them in that very frame: a few
milliseconds where the driver keeps them on the disk, but up to two seconds on a machine that never made them. The
driver's files are everybody's: what is made here is quick for the nodes from then on.
"""

from __future__ import annotations

from collections.abc import Generator

from controller.look_stills import coarse, coarser_choices
from renderer.canvas_mesh import ScaleError
from renderer.config import RenderConfig
from renderer.device import Device
from renderer.renderer import Renderer
from stage.compiled import CompiledStage


def make_wall_programs(device: Device, stage: CompiledStage, render: RenderConfig) -> Generator[None]:
    """Make them for a stage, drawn as coarsely as it can be, a piece at a time. Closing it frees what was made."""
    renderer = Renderer(device)
    try:
        for times in coarser_choices(stage, render.scale):
            try:
                for _ in renderer.loading_stage(stage, render=coarse(render, times), actions=False, grades=True):
                    device.finish()
                    yield
            except ScaleError:
                continue  # tiles that do not divide so far
            return
    finally:
        renderer.release()
