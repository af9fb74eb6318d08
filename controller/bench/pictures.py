"""Our pictures beside three.js's: the same glTF assets, camera, dome, sun and curve, both working in linear Rec.709.

Both draw without anti-aliasing into half floats; the linear light is then encoded by one function here, so that only
the renderers differ. `python -m controller.bench.pictures [FOLDER]` prints the figures and, with a folder, writes
what each drew and where they differ. It needs Chromium and `scripts/peers`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from controller.bench.browser import Browser
from renderer.config import DomeConfig, SceneConfig, SunConfig
from renderer.device import Device
from renderer.domes import Dome, Key, split_key
from renderer.gltf.loader import load
from renderer.panoramas import DomePicture, load_picture
from renderer.passes.scene import ScenePass, release_target, target
from renderer.scene import Scene
from renderer.working import AP1_FROM_REC709
from stage.frames import STAGE_FROM_Y_UP, pose_from_pan_tilt_roll, rotation_from_pan_tilt_roll, stage_from_gl

F64 = NDArray[np.float64]

FOV_DEG: Final = 35.0
NEAR_M, FAR_M = 0.02, 500.0
BEACH: Final = "spiaggia_di_mondello_1k.hdr"


@dataclass(frozen=True, slots=True)
class Subject:
    """What is drawn, from where. Metres in the stage frame; the camera looks from `eye_m` at `at_m`."""

    name: str
    asset: str
    dome: str
    eye_m: tuple[float, float, float]
    at_m: tuple[float, float, float]
    time_s: float = 0.0
    exposure_ev: float = 0.0
    light_limit: float | None = None
    sun: tuple[float, float, float] | None = None
    """Pan and elevation in degrees, illuminance; without a shadow here."""

    @property
    def world_from_camera(self) -> F64:
        """[4, 4]  in the stage frame; the camera's axes are GL's (x right, y up, looks along -z)."""
        x, y, z = (b - a for a, b in zip(self.eye_m, self.at_m, strict=True))
        pan, tilt = np.degrees(np.arctan2(-x, y)), np.degrees(np.arctan2(z, np.hypot(x, y)))
        return np.asarray(stage_from_gl(pose_from_pan_tilt_roll(self.eye_m, pan_deg=float(pan), tilt_deg=float(tilt))))


HELMET: Final = Subject("FlightHelmet", "FlightHelmet/FlightHelmet.gltf", BEACH, (0.5, -1.3, 0.55), (0.0, 0.0, 0.33))
SUBJECTS: Final = (
    HELMET,
    Subject("BoxTextured", "BoxTextured.glb", BEACH, (1.4, -2.0, 1.2), (0.0, 0.0, 0.0)),
    Subject("alien", "alien.glb", BEACH, (0.65, -1.85, 0.85), (0.0, 0.0, 0.37)),
    Subject("SimpleSkin", "SimpleSkin.gltf", BEACH, (0.9, -4.2, 1.6), (0.0, 0.0, 1.0), time_s=1.2),
)


def demo(folder: Path) -> Subject:
    """The demo's scene, whose files lie in `folder`."""
    return Subject(
        "demo", str(folder / "demo.glb"), str(folder / "demo_sky.hdr"), (0.0, -2.0, 1.7), (0.0, 10.0, 2.4),
        light_limit=4.0, sun=(112.0, 19.0, 9.0),
    )  # fmt: skip


def clip_from_camera(aspect: float) -> F64:
    """[4, 4]"""
    t = 1.0 / np.tan(np.radians(FOV_DEG) / 2.0)
    depth = NEAR_M - FAR_M
    return np.array(
        [
            [t / aspect, 0, 0, 0], [0, t, 0, 0],
            [0, 0, (FAR_M + NEAR_M) / depth, 2 * FAR_M * NEAR_M / depth], [0, 0, -1.0, 0],
        ]
    )  # fmt: skip


def rec709_picture(file: Path, light_limit: float | None = None) -> DomePicture:
    """A dome's picture in linear Rec.709."""
    pixels = load_picture(file).pixels @ np.linalg.inv(AP1_FROM_REC709).T
    return DomePicture(np.clip(pixels, 0.0, light_limit).astype(np.float32))


@dataclass(frozen=True, slots=True)
class Drawn:
    """Linear light, [h, w, 3], row 0 top, and where a surface is, [h, w]."""

    light: F64
    mask: NDArray[np.bool_]


class OurStudio:
    """Draws subjects with the scene pass; with `rec709` its working space is three.js's."""

    def __init__(self, assets: Path, size_px: tuple[int, int], *, rec709: bool = True, device: Device | None = None):
        self._own = device is None
        self.device = device or Device.create()
        self._assets, self._size_px, self._rec709 = assets, size_px, rec709
        self._before = self.device.working_from_rec709
        if rec709:
            self.device.working_from_rec709 = np.eye(3)
        self._pass = ScenePass(self.device)
        self._out = target(self.device, size_px, dtype="f4")

    def draw(self, subject: Subject, *, background: bool = False, shadow: bool = False, **more: Any) -> Drawn:
        """One picture; `more` are further settings of the scene."""
        file = self._assets / subject.dome
        picture = rec709_picture(file, subject.light_limit) if self._rec709 else load_picture(file)
        dome = Dome(self.device, picture, light_limit=subject.light_limit)
        settings: dict[str, Any] = {"dome": DomeConfig(file="none", background=background), **more}
        if subject.sun:
            pan, elevation, illuminance = subject.sun
            settings.setdefault(
                "sun", SunConfig(pan_deg=pan, elevation_deg=elevation, illuminance=illuminance, shadow=shadow)
            )
        scene = Scene.from_assets(self.device, SceneConfig(**settings), [load(self._assets / subject.asset)], dome=dome)
        width, height = self._size_px
        pictures = []
        for output in ("colour", "position"):
            self._pass.draw(
                scene,
                view_from_stage=np.linalg.inv(subject.world_from_camera),
                clip_from_view=clip_from_camera(width / height),
                stage_from_scene=np.eye(4),
                target=self._out,
                scene_time_s=subject.time_s,
                exposure_ev=subject.exposure_ev,
                output=output,
            )
            pictures.append(self.device.read(self._out).astype(np.float64)[::-1])
        self._pass.forget(scene)
        scene.release()
        return Drawn(pictures[0][..., :3], pictures[1][..., 3] == 1.0)

    def close(self) -> None:
        """Free what it made; a device that was given goes back to its own working space."""
        self._pass.release()
        release_target(self._out)
        self.device.working_from_rec709 = self._before
        if self._own:
            self.device.release()


class ThreeStudio:
    """Draws subjects with three.js in a browser.

    Its blurred maps spread a dome's sun so far that surfaces turned away from it shine; with `sun_apart` such a sun is
    taken out of the panorama and given as a light of its own, of the same direction and the same light.
    """

    def __init__(self, assets: Path, size_px: tuple[int, int], *, sun_apart: bool = True) -> None:
        self._sun_apart = sun_apart
        self._key: Key | None = None
        self._assets, self._size_px = assets, size_px
        self._folder = tempfile.TemporaryDirectory(prefix="openvolume-pictures-")
        folders = {"data": Path(self._folder.name), "assets": assets}
        self._roots = [("assets", assets)]
        self._browser: Browser | None = None
        self._folders = folders
        self._light: tuple[str, float | None] | None = None
        self.version = ""

    def draw(self, subject: Subject) -> Drawn:
        """One picture."""
        file = (self._assets / subject.asset).resolve()
        if not file.is_relative_to(self._assets.resolve()):
            self._folders[subject.name] = file.parent
        if self._browser is None or subject.name in self._folders:
            self.close_browser()
            self._browser = Browser("pictures.js", folders=self._folders)
        url = f"/assets/{subject.asset}" if subject.name not in self._folders else f"/{subject.name}/{file.name}"
        if self._light != (subject.dome, subject.light_limit):
            self._light = (subject.dome, subject.light_limit)
            picture = rec709_picture(self._assets / subject.dome, subject.light_limit)
            rest, self._key = split_key(picture) if self._sun_apart else (picture, None)
            pixels = rest.pixels
            height, width = pixels.shape[:2]
            # three.js has the picture's middle at its +X and row 0 at the nadir; ours is at -Z of glTF.
            rgba = np.ones((height, width, 4), np.float32)
            rgba[..., :3] = np.roll(pixels, -width // 4, axis=1)[::-1]
            (Path(self._folder.name) / "light").write_bytes(rgba.tobytes())
            self.version = self._browser.ask("open", {"light": "/data/light", "width": width, "height": height})
        width, height = self._size_px
        y_up_from_stage = np.linalg.inv(STAGE_FROM_Y_UP)
        to_sun, light = np.zeros(3), np.zeros(3)
        if subject.sun:
            pan, elevation, illuminance = subject.sun
            to_sun, light = rotation_from_pan_tilt_roll(pan, elevation, 0.0)[:, 1], np.full(3, illuminance)
        elif self._key is not None:
            to_sun, light = self._key.direction, self._key.light * np.pi
        sun = None
        if light.any():
            sun = {"to_sun": (y_up_from_stage[:3, :3] @ to_sun).tolist(), "illuminance": light.tolist()}
        raw = self._browser.ask(
            "picture",
            {
                "url": url,
                "time_s": subject.time_s,
                "width": width,
                "height": height,
                "sun": sun,
                "world_from_camera": (y_up_from_stage @ subject.world_from_camera).reshape(16).tolist(),
                "clip_from_camera": clip_from_camera(width / height).reshape(16).tolist(),
            },
        )
        rgba = np.frombuffer(raw, np.float16).reshape(height, width, 4)[::-1].astype(np.float32)
        return Drawn(rgba[..., :3].astype(np.float64) * 2.0**subject.exposure_ev, rgba[..., 3] > 0.0)

    def close_browser(self) -> None:
        if self._browser is not None:
            self._browser.close()
        self._browser, self._light = None, None

    def close(self) -> None:
        """End the browser."""
        self.close_browser()
        self._folder.cleanup()


def encoded(light: F64) -> F64:
    """Linear light through the sRGB curve, 0..255, clipped."""
    clipped = np.clip(light, 0.0, 1.0)
    low = clipped * 12.92
    return np.asarray(np.where(clipped <= 0.0031308, low, 1.055 * clipped ** (1 / 2.4) - 0.055) * 255.0)


def difference(ours: Drawn, theirs: Drawn) -> dict[str, float]:
    """Codes of 255 apart, over the mask of the object: mean, p95 and p99 of all pixels' colours; and the mask's share
    of the picture and how much of it only one of the two drew on."""
    mask = ours.mask | theirs.mask
    apart = np.abs(encoded(ours.light) - encoded(theirs.light))[mask]
    return {
        "mean": round(float(apart.mean()), 3),
        "p95": round(float(np.quantile(apart, 0.95)), 3),
        "p99": round(float(np.quantile(apart, 0.99)), 3),
        "mask": round(float(mask.mean()), 4),
        "mask_apart": round(float((ours.mask != theirs.mask).sum() / mask.sum()), 5),
    }


@contextmanager
def studios(
    assets: Path, size_px: tuple[int, int], device: Device | None = None, *, sun_apart: bool = True
) -> Iterator[tuple[OurStudio, ThreeStudio]]:
    """Both, closed at the end."""
    three = ThreeStudio(assets, size_px, sun_apart=sun_apart)
    ours = OurStudio(assets, size_px, device=device)
    try:
        yield ours, three
    finally:
        three.close()
        ours.close()


def compare(
    assets: Path,
    subjects: Sequence[Subject] = SUBJECTS,
    *,
    size_px: tuple[int, int] = (640, 480),
    folder: Path | None = None,
    device: Device | None = None,
    sun_apart: bool = True,
) -> dict[str, dict[str, float]]:
    """Difference of each subject's two pictures; `folder` gets ours, theirs and five times the difference as PNG.

    Raises
    ------
    PeerMissingError, RuntimeError : no browser, or three.js failed.
    """
    from renderer.sinks.png import png_bytes

    out: dict[str, dict[str, float]] = {}
    with studios(assets, size_px, device, sun_apart=sun_apart) as (ours, three):
        for subject in subjects:
            mine, theirs = ours.draw(subject), three.draw(subject)
            out[subject.name] = difference(mine, theirs)
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
                apart = np.abs(encoded(mine.light) - encoded(theirs.light))
                row = np.concatenate([encoded(mine.light), encoded(theirs.light), apart * 5.0], axis=1)
                (folder / f"{subject.name}.png").write_bytes(png_bytes(np.clip(row + 0.5, 0, 255).astype(np.uint8)))
    return out


def main(arguments: Sequence[str]) -> int:
    """`pictures ASSETS [FOLDER]`: figures as JSON lines."""
    from configs import find

    assets, *rest = (Path(a) for a in arguments)
    subjects = (*SUBJECTS, demo(Path(str(find("demo"))).resolve().parent / "assets"))
    for name, figures in compare(assets, subjects, folder=rest[0] if rest else None).items():
        sys.stdout.write(json.dumps({"subject": name, **figures}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
