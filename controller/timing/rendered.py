"""A few frames of a run, really drawn and photographed afterwards, and compared with the truth.

What each slot's photo is wrong by is worked out for all of them from poses alone (`slip`); here the whole picture is
made for some: canvases as the node draws them, processor emulators, walls, lens, from where the camera truly was.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from math import isfinite
from typing import Any, Final

import msgspec
import numpy as np
import simplejpeg

from controller.beginning import fresh_show
from controller.config import LoadedConfig
from controller.planner import InnerLimits, Planner, TrackedPose
from controller.timing.result import CameraResult, Result
from controller.timing.settings import configuration
from renderer.device import Device
from renderer.renderer import Renderer
from renderer.scene import Scene
from renderer.scene_world import SceneWorld
from renderer.twin.camera import VirtualCamera
from renderer.twin.display import srgb8
from renderer.twin.evidence import Evidence, gather
from runtime.clock import NS_PER_S
from stage.compiled import CompiledStage
from stage.errors import OpenVolumeError
from stage.frames import Array
from stage.plan import FramePlan, PlanLens, matrix16

WIDTH_PX: Final = 960
QUALITY: Final = 82


def render_some(result: Result) -> None:
    """Render the frames that tell most: the worst slip, the middle one, and others between, into `result.rendered`.

    A machine that cannot draw leaves them out, and says so.
    """
    loaded = configuration(result.settings)
    for camera, found in result.cameras.items():
        chosen = _chosen(found, result.settings.photos)
        if not chosen:
            continue
        try:
            result.rendered += photograph(loaded, result, camera, found, chosen)
        except OpenVolumeError as error:
            result.notes.append(f"No photo was rendered: {error.problems[0].detail}")
            return


def _chosen(found: CameraResult, count: int) -> list[tuple[int, str]]:
    """Rows of photos, and why these."""
    slip = np.where(np.isfinite(found.measured.slip_px), found.measured.slip_px, -1.0)
    known = np.flatnonzero(slip >= 0.0)
    if not len(known) or count <= 0:
        return []
    order = known[np.argsort(slip[known], kind="stable")]
    named = [
        (int(order[-1]), "the worst slip"),
        (int(order[len(order) // 2]), "a typical one"),
        (int(order[0]), "the least slip"),
    ]
    shares = np.linspace(0.1, 0.95, max(0, count - 3))
    named += [(int(order[int(share * (len(order) - 1))]), f"{100 * share:.0f} of 100 slip less") for share in shares]
    return list(dict.fromkeys(named))[:count]


def photograph(
    loaded: LoadedConfig, result: Result, camera: str, found: CameraResult, chosen: Sequence[tuple[int, str]]
) -> list[dict[str, Any]]:
    """Photograph frames of one camera: geometry and picture measures, and a small JPEG of each photo.

    Raises
    ------
    OpenVolumeError : no GL here, or a scene cannot be read.
    """
    stage, render = result.stage, loaded.config.render
    frames = result.slots.only(result.slots.plan >= 0).frame
    out: list[dict[str, Any]] = []
    with Device.create() as device:
        scenes = {name: Scene(device, scene, loaded.base_dir) for name, scene in loaded.config.scenes.items()}
        renderer = Renderer(device, shadow_px=render.shadow_px)
        renderer.load_stage(stage, version=0, scale=render.scale, render=render)
        world = SceneWorld(device, scenes, shadow_px=render.shadow_px)
        positions = SceneWorld(device, scenes, shadow_px=16, output="position") if scenes else None
        twin = VirtualCamera(device, stage)

        def prove(seen: FramePlan, drawn: FramePlan) -> Evidence:
            return gather(
                renderer,
                twin,
                seen,
                scene=world,
                positions=positions,
                fringes=False,
                width_px=WIDTH_PX,
                scale=render.scale,
                drawn_plan=drawn,
            )

        for row, why in chosen:
            lens = result.recording.lenses[int(found.photos.lens[row])]
            true, drawn = plans_of(loaded, stage, camera, found, row, lens)
            evidence = prove(true, drawn)
            # What the drawing's own size leaves, were the camera exactly known: no prediction is better than that.
            exact = prove(true, true)
            report = evidence.report()
            out.append(
                {
                    "camera": camera,
                    "frame": int(frames[row]),
                    "t_s": float((found.photos.t_photo_ns[row] - result.begin_ns) / NS_PER_S),
                    "why": why,
                    "slip_px": _number(found.measured.slip_px[row]),
                    "geometry": report.get("geometry"),
                    "picture": report.get("picture"),
                    "exact": _told_picture(exact),
                    "inner_coverage": report.get("inner_coverage"),
                    "image": _jpeg(evidence),
                }
            )
    return out


def plans_of(
    loaded: LoadedConfig, stage: CompiledStage, camera: str, found: CameraResult, row: int, lens: PlanLens
) -> tuple[FramePlan, FramePlan]:
    """Two plans of one photo: with the camera where it truly was, and as it was drawn."""
    show = fresh_show(loaded.config, stage)
    settings = {
        name: msgspec.structs.replace(s, enabled=name == camera, on_air=name == camera)
        for name, s in show.cameras.items()
    }
    show = msgspec.structs.replace(show, cameras=settings, outer_mode="live")
    render = loaded.config.render
    limits = InnerLimits(render.texels_per_led, render.max_inner_px, render.scale)

    def plan(pose: Array) -> FramePlan:
        planner = Planner(stage, limits)
        made = planner.plan(show, {camera: TrackedPose(pose, source="timing")}, frame=0, t_present_ns=0)
        cameras = sorted(made.cameras, key=lambda c: c.id != camera)
        return msgspec.structs.replace(made, cameras=cameras)

    true, drawn = plan(found.photos.true[row]), plan(found.photos.predicted[row])
    # Overscan as it was: the photo's edge may lie where the inner picture ended.
    sides = tuple(float(v) for v in found.photos.overscan_deg[row])
    planned = drawn.cameras[0]
    cover = msgspec.structs.replace(
        planned,
        stage_from_camera=matrix16(found.photos.predicted[row]),
        pupil_m=tuple(float(v) for v in found.photos.predicted_pupil_m[row]),
        lens=lens,
        overscan_deg=sides,
    )
    seen = msgspec.structs.replace(true.cameras[0], lens=lens, overscan_deg=sides)
    return (
        msgspec.structs.replace(true, cameras=[seen, *true.cameras[1:]]),
        msgspec.structs.replace(drawn, cameras=[cover, *drawn.cameras[1:]]),
    )


def _told_picture(evidence: Evidence) -> dict[str, Any] | None:
    found: dict[str, Any] | None = evidence.report().get("picture")
    return found if found is not None and found.get("mean_px") is not None else None


def _number(value: float) -> float | None:
    return float(value) if isfinite(value) else None


def _jpeg(evidence: Evidence) -> str:
    pixels = np.ascontiguousarray(srgb8(evidence.photo.light[0]))
    data = simplejpeg.encode_jpeg(pixels, quality=QUALITY, colorspace="RGB")
    return "data:image/jpeg;base64," + base64.b64encode(data).decode()
