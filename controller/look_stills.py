"""Stills of looks that are not on the air, drawn by the darkroom: the walls, and the camera's photo of them.

The frame's plan with the look's grades and light in place of its own is drawn by the same renderer that nodes have,
but coarser and in the darkroom's own context: nothing of the air is touched, and no node waits. Cards and keys are
in it; test pictures, BLACK and what processors were set to by hand are not, for they hide what a look does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from controller.errors import ControllerError
from controller.look_order import LookOrder
from controller.looks import planned_looks
from controller.show import SceneState
from renderer.canvas_mesh import ScaleError
from renderer.config import RenderConfig
from renderer.device import Device
from renderer.renderer import Renderer
from renderer.twin.display import srgb8
from renderer.twin.emulator import channels
from stage.compiled import CompiledStage
from stage.errors import Problem
from stage.plan import FramePlan, PlanOuter

if TYPE_CHECKING:
    from controller.darkroom import StageVersion

MOST_PX: Final = 1 << 20
"""LEDs drawn for a still, of all canvases together: so many that a photo of 640 pixels shows none of them."""
_FINE: Final = 2
_COARSER: Final = (16, 8, 4, 3, 2)


class StillError(ControllerError):
    """A still of something that is not there."""

    code = "controller.look_still"


class OrderBook:
    """The live states of scenes that an order names, whatever version a plan carries (as `SceneBook`)."""

    def __init__(self, states: dict[str, SceneState]) -> None:
        self._states = states

    def state(self, scene: str, _: int, /) -> SceneState:
        """As the order has it; as its files have it when nothing of it was ever changed."""
        return self._states.get(scene, SceneState())


class LookStills:
    """Draws them. Made with the first; versions of the stage are put on the GPU when a still first needs them."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._renderer = Renderer(device)
        self._coarser: dict[int, int] = {}
        """By configuration: how many times coarser than nodes draw it."""
        self._drawn = 0

    def draw(self, version: StageVersion, plan: FramePlan, order: LookOrder, *, width_px: int) -> NDArray[np.uint8]:
        """The picture, 8-bit sRGB [h, w, 3] of a photo, or a canvas' codes of 8 bits.

        width_px : of a photo; a canvas comes as it is drawn.

        Raises
        ------
        OpenVolumeError : there is no such camera or canvas, or a scene cannot be read.
        """
        kind, _, rest = order.of.partition("/")
        name = rest.removesuffix("/photo")
        known = version.stage.canvases if kind == "canvases" else {camera.id for camera in plan.cameras}
        if name not in known:
            mend = f"use one of {', '.join(sorted(known)) or '(none)'}"
            raise StillError(Problem(StillError.code, order.of, "there is none of this name", name, mend))
        coarser = self._loaded(version, plan.config_version)
        self._drawn += 1
        still = with_look(plan, order, coarser, drawn_frame=-self._drawn)
        world = version.world(self._device, still, OrderBook(order.scene_states))
        drawn = self._renderer.draw(still, world=world)
        codes = {canvas: picture.array for canvas, picture in drawn.items()}
        if kind == "canvases":
            encoding = version.stage.canvases[name].encoding
            return (channels(encoding, codes[name]) >> (encoding.bits - 8)).astype(np.uint8)
        light = version.camera(self._device).photo(codes, still, width_px=width_px, camera=name, fine=_FINE)
        return np.ascontiguousarray(srgb8(light))

    def keep(self, versions: set[int]) -> None:
        """Free every other version of the stage."""
        for number in self._coarser.keys() - versions:
            self._renderer.drop_stage(number)
            del self._coarser[number]

    def release(self) -> None:
        """Free what it holds on the GPU."""
        self._renderer.release()

    def _loaded(self, version: StageVersion, number: int) -> int:
        if number not in self._coarser:
            render = version.config.render
            for times in coarser_choices(version.stage, render.scale):
                try:
                    self._renderer.load_stage(version.stage, version=number, render=coarse(render, times))
                except ScaleError:
                    continue  # tiles that do not divide so far
                self._coarser[number] = times
                break
        return self._coarser[number]


def coarser_by(stage: CompiledStage, scale: int) -> int:
    """By how much a still is coarser than the air, so that it costs no more than `MOST_PX` LEDs."""
    drawn_px = sum(canvas.width_px * canvas.height_px for canvas in stage.canvases.values()) / scale**2
    return max(1, int(np.ceil(np.sqrt(drawn_px / MOST_PX))))


def coarser_choices(stage: CompiledStage, scale: int) -> tuple[int, ...]:
    """What to try, the coarsest first: tiles may not divide so far (ScaleError)."""
    wanted = coarser_by(stage, scale)
    return (*(times for times in _COARSER if times <= wanted), 1)


def coarse(render: RenderConfig, times: int) -> RenderConfig:
    """What is drawn so many times coarser: canvases, and the pictures that lie on them."""
    if times == 1:
        return render
    update = {
        "scale": render.scale * times,
        "outer_px": min(render.outer_px, max(64, render.outer_px // times)),
        "max_inner_px": max(64, render.max_inner_px // times),
    }
    return render.model_copy(update=update)


def with_look(plan: FramePlan, order: LookOrder, coarser: int, *, drawn_frame: int) -> FramePlan:
    """The plan as the look would have it, and nothing over it that hides the look.

    drawn_frame : a number of no other picture, so that no outer picture of another look is taken for this one's.
    """
    cameras = [
        msgspec.structs.replace(
            camera, raster_px=(max(1, camera.raster_px[0] // coarser), max(1, camera.raster_px[1] // coarser))
        )
        for camera in plan.cameras
    ]
    return msgspec.structs.replace(
        plan,
        cameras=cameras,
        outer=PlanOuter("live", drawn_frame, plan.outer.eye_m),
        scenes=[msgspec.structs.replace(scene, moving={}) for scene in plan.scenes],
        looks=planned_looks(order.grades, order.look, order.version),
        patterns=[],
        actions=[],
        outputs={},
        output_delays={},
        engines=[],
    )
