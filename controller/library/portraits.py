"""Pictures of the library's files, drawn by the darkroom: assets in a studio, domes as they are looked into, scenes as
from the stage's middle."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from controller.library.compiler import THUMBNAIL_PX, thumbnail, write_jpeg
from renderer.config import DomeConfig, SceneConfig
from renderer.device import Device
from renderer.domes import Dome, directions
from renderer.gltf.loader import load
from renderer.panoramas import DomePicture, load_picture
from renderer.passes.target import ViewTarget
from renderer.scene import Scene
from renderer.scene_file import read_scene_file
from renderer.scene_world import SceneWorld
from renderer.twin.display import srgb8
from stage.errors import OpenVolumeError, Problem
from stage.frames import Array

F32 = NDArray[np.float32]

_FROM: Final = (-35.0, 18.0)
"""Pan and elevation of the place an asset is looked at from, seen from its middle: its front, a little aside."""
_HALF_WIDE: Final = np.tan(np.radians(15.0))
_FILLS: Final = 0.88
"""Share of the picture that an asset fills, across or down."""
_BACKGROUND: Final = (0.13, 0.13, 0.14)
_LIGHT: Final = {"pan_deg": -70.0, "elevation_deg": 50.0, "illuminance": 1.6, "shadow": False}
_MIDDLE: Final = 0.35
"""Light that half of a dome's picture is brighter than, as it is shown."""
_FINE: Final = 2


class UnreadableSceneError(OpenVolumeError):
    """A scene file that cannot be read."""

    code = "controller.library_scene"


class Portraits:
    """Draws them, one after the other. The studio is made with the first asset."""

    def __init__(self, device: Device, world: SceneWorld) -> None:
        self._device, self._world = device, world
        self._studio: Dome | None = None

    def make(self, file: Path, kind: str, out: Path) -> None:
        """Draw a file and write its JPEG.

        Raises
        ------
        OpenVolumeError : it cannot be read, as whoever reads it says. OSError
        """
        if kind == "asset":
            picture = self._asset(file)
        elif kind == "dome":
            picture = self._dome(file)
        elif kind == "scene":
            picture = self._scene(file)
        else:
            picture = _flat(file)
        out.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_jpeg(out, picture)

    def release(self) -> None:
        """Let the studio go."""
        if self._studio is not None:
            self._studio.release()

    def _asset(self, file: Path) -> NDArray[np.uint8]:
        if self._studio is None:
            self._studio = Dome(self._device, studio())
        config = SceneConfig.model_validate(
            {"sun": _LIGHT, "background": _BACKGROUND, "dome": {"file": "studio", "background": False}}
        )
        scene = Scene.from_assets(self._device, config, [load(file)], dome=self._studio)
        try:
            return self._framed(scene)
        finally:
            # The studio stays for the next one.
            scene.dome = None
            self._world.scene_pass.forget(scene)
            scene.release()

    def _framed(self, scene: Scene) -> NDArray[np.uint8]:
        """An asset as large as the picture holds it."""
        scene.update(0.0)
        centres, radii = scene.placement.bounds()
        seen = np.isfinite(radii) & (radii >= 0.0)
        if not seen.any():
            return self._view(scene, np.eye(4), _clip(1.0, 0.01, 100.0))
        low = (centres[seen] - radii[seen, None]).min(axis=0)
        high = (centres[seen] + radii[seen, None]).max(axis=0)
        middle, radius = (low + high) / 2.0, max(float(np.linalg.norm(high - low)) / 2.0, 1e-4)
        away = radius / np.sin(np.arctan(_HALF_WIDE)) * 1.05
        pan, elevation = np.radians(_FROM)
        aside = np.array([np.sin(pan) * np.cos(elevation), -np.cos(pan) * np.cos(elevation), np.sin(elevation)])
        view = looking(middle + away * aside, middle)
        clip = _clip(1.0, away - 1.02 * radius, away + 1.02 * radius)
        return self._view(scene, view, self._closer(scene, view, clip))

    def _closer(self, scene: Scene, view: Array, clip: Array) -> Array:
        """`clip` moved and widened so that what is solid of the scene fills the picture."""
        width, height = THUMBNAIL_PX
        target = ViewTarget(self._device, width, height, "f4")
        try:
            self._world.scene_pass.draw(
                scene,
                view_from_stage=view,
                clip_from_view=clip,
                stage_from_scene=np.eye(4),
                target=target.framebuffer,
                output="position",
            )
            there = self._device.read(target.framebuffer, dtype="f4")[..., 3] > 0.5
        finally:
            target.release()
        rows, columns = np.flatnonzero(there.any(axis=1)), np.flatnonzero(there.any(axis=0))
        if not rows.size:
            return clip
        left, right = 2.0 * columns[0] / width - 1.0, 2.0 * (columns[-1] + 1) / width - 1.0
        down, up = 2.0 * rows[0] / height - 1.0, 2.0 * (rows[-1] + 1) / height - 1.0
        wider = 2.0 * _FILLS / max(right - left, up - down)
        closer = np.diag([wider, wider, 1.0, 1.0])
        closer[0, 3], closer[1, 3] = -wider * (left + right) / 2.0, -wider * (down + up) / 2.0
        return np.asarray(closer @ clip)

    def _view(self, scene: Scene, view: Array, clip: Array, *, exposure_ev: float = 0.0) -> NDArray[np.uint8]:
        width, height = THUMBNAIL_PX
        target = ViewTarget(self._device, _FINE * width, _FINE * height, "f2")
        try:
            self._world.scene_pass.draw(
                scene,
                view_from_stage=view,
                clip_from_view=clip,
                stage_from_scene=np.eye(4),
                target=target.framebuffer,
                exposure_ev=exposure_ev,
            )
            target.finish(mips=False)
            light = self._device.read(target.framebuffer, dtype="f2")[::-1, :, :3].astype(np.float32)
        finally:
            target.release()
        return srgb8(light.reshape(height, _FINE, width, _FINE, 3).mean(axis=(1, 3)))

    def _dome(self, file: Path) -> NDArray[np.uint8]:
        picture = load_picture(file)
        config = SceneConfig(dome=DomeConfig(file=str(file)))
        scene = Scene.from_assets(self._device, config, [], dome=Dome(self._device, picture))
        try:
            view = looking(np.zeros(3), np.array([0.0, 1.0, 0.12]))
            clip = _clip(float(np.tan(np.radians(52.0)) / _HALF_WIDE), 0.05, 100.0)
            return self._view(scene, view, clip, exposure_ev=_exposure_ev(picture))
        finally:
            self._world.scene_pass.forget(scene)
            scene.release()

    def _scene(self, file: Path) -> NDArray[np.uint8]:
        config, problems = read_scene_file(file)
        if config is None:
            raise UnreadableSceneError(*(problems or (Problem(UnreadableSceneError.code, str(file), "is no scene"),)))
        scene = Scene(self._device, config, file.parent)
        try:
            return thumbnail(self._device, self._world, scene)
        finally:
            self._world.scene_pass.forget(scene)
            scene.release()


def studio() -> DomePicture:
    """A studio's light: grey walls, paler above, with a soft window on each side for what is shiny to mirror."""
    around = directions(128, 64)
    light = 0.22 + 0.5 * np.clip(around[..., 2:], -0.2, 1.0)
    for pan_deg, elevation_deg, wide, bright in ((-60.0, 35.0, 0.88, 5.0), (75.0, 20.0, 0.92, 2.5)):
        pan, elevation = np.radians((pan_deg, elevation_deg))
        at = np.array([-np.sin(pan) * np.cos(elevation), np.cos(pan) * np.cos(elevation), np.sin(elevation)])
        # The windows stand before the asset, where it is looked at from: at -Y.
        facing = around @ (at * np.array([1.0, -1.0, 1.0]))
        light = light + bright * np.clip((facing - wide) / 0.05, 0.0, 1.0)[..., None]
    return DomePicture(np.broadcast_to(light, (64, 128, 3)).astype(np.float32).copy())


def looking(eye: Array, at: Array) -> Array:
    """`view_from_stage` of a level view from `eye` to `at`, [3] each, not straight up or down."""
    forward = np.asarray(at - eye, dtype=np.float64)
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    out = np.eye(4)
    out[:3, :3] = np.stack([right, np.cross(right, forward), -forward])
    out[:3, 3] = -out[:3, :3] @ eye
    return out


def _clip(wider: float, near_m: float, far_m: float) -> Array:
    width, height = THUMBNAIL_PX
    near_m = max(near_m, far_m * 1e-4)
    out = np.zeros((4, 4))
    out[0, 0] = 1.0 / (_HALF_WIDE * wider)
    out[1, 1] = width / height / (_HALF_WIDE * wider)
    out[2, 2], out[2, 3] = -(far_m + near_m) / (far_m - near_m), -2.0 * far_m * near_m / (far_m - near_m)
    out[3, 2] = -1.0
    return out


def _exposure_ev(picture: DomePicture) -> float:
    """Stops that bring half of a dome's picture above `_MIDDLE`; small differences are left as they are."""
    step = max(1, picture.pixels.shape[1] // 256)
    middle = float(np.median(picture.pixels[::step, ::step] @ np.array([0.27, 0.67, 0.06], np.float32)))
    stops = float(np.log2(_MIDDLE / max(middle, 1e-6)))
    return float(np.clip(stops, -16.0, 16.0)) if abs(stops) > 1.5 else 0.0


def _flat(file: Path) -> NDArray[np.uint8]:
    """A picture that is no dome, whole, on grey."""
    width, height = THUMBNAIL_PX
    if file.suffix.lower() in (".hdr", ".exr"):
        import OpenImageIO as oiio

        pixels = oiio.ImageBuf(str(file)).get_pixels(oiio.FLOAT)
        if pixels is None or pixels.ndim != 3 or pixels.shape[2] < 3:
            raise UnreadableSceneError(Problem("controller.library_picture", str(file), "cannot be decoded"))
        opened = Image.fromarray(srgb8(np.maximum(np.nan_to_num(pixels[..., :3]), 0.0).astype(np.float32)))
    else:
        opened = Image.open(file).convert("RGB")
    opened = ImageOps.contain(opened, (width, height))
    out = Image.new("RGB", (width, height), (96, 96, 98))
    out.paste(opened, ((width - opened.width) // 2, (height - opened.height) // 2))
    return np.asarray(out)
