"""`openvolume photo`: the twin photographs the walls, and the photo is measured against the truth.

Writes photo.png, truth.png, difference.png, canvases/<id>.png, plan.json and report.json into one folder.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from controller.beginning import fresh_show
from controller.config import compile_config, load_config
from controller.planner import InnerLimits, still_plan
from renderer.config import RenderConfig
from renderer.device import Device
from renderer.renderer import CanvasPicture, Renderer, form_of_bits
from renderer.scene import Scene
from renderer.scene_world import SceneWorld
from renderer.sinks.png import canvas_png, png_bytes
from renderer.twin.camera import VirtualCamera
from renderer.twin.display import srgb8
from renderer.twin.evidence import Evidence, gather
from stage.compiled import CompiledStage
from stage.errors import OpenVolumeError, Problem
from stage.frames import Array, pan_tilt_roll_from_rotation, pose_from_pan_tilt_roll
from stage.plan import FramePlan

PHOTO_WIDTH_PX = 1920
FULL_MSAA = 4
DIFFERENCE_GAIN = 4.0
"""difference.png: mid grey plus so many times photo minus truth, display-coded, both blurred alike."""


class PhotoError(OpenVolumeError):
    """A photo that cannot be taken as asked."""

    code = "controller.photo"


def photo_command(
    config: str,
    camera: str,
    out: Path,
    scene: str | None = None,
    *,
    pan_deg: float | None = None,
    tilt_deg: float | None = None,
    roll_deg: float | None = None,
    x_m: float | None = None,
    y_m: float | None = None,
    z_m: float | None = None,
    scaled: bool = False,
) -> int:
    """Take the photo, write its files into `out` and print what was measured. Returns 0.

    Parts of the pose that are None are the camera's configured ones. Draws at render.scale 1 unless `scaled`.

    Raises
    ------
    OpenVolumeError : the configuration, camera, scene, folder or machine will not do.
    """
    began_s = time.perf_counter()
    loaded = load_config(config)
    stage = compile_config(loaded)
    if camera not in stage.cameras:
        known = ", ".join(stage.cameras) or "none"
        raise PhotoError(
            Problem("controller.unknown_camera", "--camera", "there is no such camera", camera, f"use one of: {known}")
        )
    show = fresh_show(loaded.config, stage, scene=scene)
    stage_from_camera = _pose(
        stage.cameras[camera].default_stage_from_camera, (pan_deg, tilt_deg, roll_deg), (x_m, y_m, z_m)
    )
    render = loaded.config.render
    if not scaled:
        # As a machine with a GPU would draw it: full size, and edges of several samples.
        # Caps on pictures are meant for the size the show is drawn at here: they grow with it.
        caps = {
            "max_inner_px": min(16384, render.max_inner_px * render.scale),
            "outer_px": min(8192, render.outer_px * render.scale),
        }
        render = render.model_copy(update={"scale": 1, "msaa": max(FULL_MSAA, render.msaa), **caps})
    scale = render.scale
    limits = InnerLimits(texels_per_led=render.texels_per_led, max_side_px=render.max_inner_px, scale=scale)
    plan = still_plan(stage, show, camera=camera, stage_from_camera=stage_from_camera, limits=limits)
    _make_folder(out)
    with Device.create() as device:
        scenes = {
            entry.id: Scene(device, loaded.config.scenes[entry.id], loaded.base_dir)
            for entry in plan.scenes
            if entry.id in loaded.config.scenes
        }
        evidence = _evidence(device, stage, plan, scenes, render, scale)
    _write(out, stage, plan, evidence, report := {**evidence.report(), "scale": scale, "msaa": render.msaa})
    sys.stdout.write(_told(report, plan, out, time.perf_counter() - began_s))
    return 0


def _pose(configured: Array, angles_deg: tuple[float | None, ...], place_m: tuple[float | None, ...]) -> Array:
    angles = [
        known if given is None else given
        for given, known in zip(angles_deg, pan_tilt_roll_from_rotation(configured), strict=True)
    ]
    place = [known if given is None else given for given, known in zip(place_m, configured[:3, 3], strict=True)]
    if not np.all(np.isfinite([*angles, *place])):
        value = [float(number) for number in (*angles, *place)]
        mend = "give numbers: degrees for --pan --tilt --roll, metres for --x --y --z"
        raise PhotoError(Problem("controller.pose", "--pan ... --z", "the pose must be finite", value, mend))
    return pose_from_pan_tilt_roll(place, pan_deg=angles[0], tilt_deg=angles[1], roll_deg=angles[2])


def _make_folder(out: Path) -> None:
    try:
        (out / "canvases").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        detail = f"the folder cannot be made: {error.strerror}"
        raise PhotoError(Problem("controller.out_folder", "--out", detail, str(out), "name another place")) from error


def _evidence(
    device: Device,
    stage: CompiledStage,
    plan: FramePlan,
    scenes: dict[str, Scene],
    render: RenderConfig,
    scale: int,
) -> Evidence:
    renderer = Renderer(device, shadow_px=render.shadow_px)
    renderer.load_stage(stage, version=plan.config_version, scale=scale, render=render)
    world = SceneWorld(device, scenes, shadow_px=render.shadow_px)
    positions = SceneWorld(device, scenes, shadow_px=16, output="position") if scenes else None
    return gather(
        renderer,
        VirtualCamera(device, stage),
        plan,
        scene=world,
        positions=positions,
        width_px=PHOTO_WIDTH_PX,
        scale=scale,
    )


def _write(out: Path, stage: CompiledStage, plan: FramePlan, evidence: Evidence, report: dict[str, object]) -> None:
    assert evidence.truth is not None

    def canvas(name: str) -> None:
        codes = evidence.canvases[name]
        form = form_of_bits(stage.canvases[name].encoding.bits)
        (out / "canvases" / f"{name}.png").write_bytes(canvas_png(CanvasPicture(name, form, codes)))

    def picture(name: str, pixels: NDArray[np.uint8]) -> None:
        (out / name).write_bytes(png_bytes(pixels, level=3))

    # Packing PNGs leaves Python's lock free: both cores work.
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(canvas, name) for name in evidence.canvases]
        jobs.append(pool.submit(picture, "photo.png", srgb8(evidence.photo.light[0])))
        jobs.append(pool.submit(picture, "truth.png", srgb8(evidence.truth)))
        jobs.append(pool.submit(picture, "difference.png", _difference(evidence)))
        (out / "plan.json").write_bytes(msgspec.json.format(msgspec.json.encode(plan), indent=1) + b"\n")
        (out / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
        for job in jobs:
            job.result()


def _difference(evidence: Evidence) -> NDArray[np.uint8]:
    assert evidence.picture is not None
    mask = evidence.photo.inner[..., None] > 0.999
    apart = 0.5 + DIFFERENCE_GAIN * (evidence.picture.photo - evidence.picture.truth) * mask
    return np.asarray(np.clip(apart * 255.0 + 0.5, 0.0, 255.0).astype(np.uint8))


def _told(report: dict[str, object], plan: FramePlan, out: Path, took_s: float) -> str:
    camera = plan.cameras[0]

    def figures(name: str, *keys: tuple[str, str]) -> str:
        values = report.get(name)
        if not isinstance(values, dict):
            return "not measured"
        return ", ".join(f"{text} {values[key]:.3g}" if values[key] is not None else f"{text} -" for key, text in keys)

    def number(name: str) -> str:
        value = report[name]
        return "-" if value is None else f"{value:.3g}"

    slips = (("mean_px", "mean"), ("p99_px", "p99"))
    return (
        f"camera {camera.id}, inner {camera.raster_px[0]} x {camera.raster_px[1]} texels, "
        f"{number('texels_per_led')} a LED; the photo has {number('q')} px a LED, "
        f"{number('inner_coverage')} of it on the inner picture\n"
        f"slips in px of a 3840-wide sensor\n"
        f"  geometry  {figures('geometry', *slips, ('kept', 'kept'))}\n"
        f"  path      {figures('path', *slips)}\n"
        f"  picture   {figures('picture', *slips, ('psnr_db', 'PSNR dB'))}\n"
        f"{out / 'photo.png'} and report.json beside it, {took_s:.1f} s\n"
    )
