"""Fixtures of the renderer's tests."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from renderer.config import SceneConfig
from renderer.device import Device
from renderer.domes import Dome
from renderer.gltf.model import Asset
from renderer.passes.scene import ScenePass, release_target, target
from renderer.scene import Scene
from stage.frames import pose_from_pan_tilt_roll, stage_from_gl


@pytest.fixture(scope="session")
def wallkit() -> ModuleType:
    """Hand-built stages, plans and analytic worlds (`_wallkit.py`)."""
    name = "renderer_wallkit"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("_wallkit.py"))
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


class Easel:
    """Draws scenes of a test; a picture is [h, w, 4] float64, row 0 top. What it was given to keep it frees."""

    def __init__(self, device: Device, size_px: tuple[int, int], shadow_px: int) -> None:
        self.device, self.size_px = device, size_px
        self.scene_pass = ScenePass(device, shadow_px=shadow_px)
        self.target = target(device, size_px, dtype="f4")
        self._kept: list[Scene] = []

    def keep(self, scene: Scene) -> Scene:
        """A scene to be freed at the end."""
        self._kept.append(scene)
        return scene

    def scene(self, *assets: Asset, dome: Dome | None = None, **config: Any) -> Scene:
        """A scene of assets and fields of its configuration, to be freed at the end."""
        return self.keep(Scene.from_assets(self.device, SceneConfig(**config), list(assets), dome=dome))

    def pinhole(self, tangent: float) -> NDArray[np.float64]:
        """`clip_from_view` of a view whose half height has this tangent."""
        w, h = self.size_px
        return np.array([[h / w / tangent, 0, 0, 0], [0, 1 / tangent, 0, 0], [0, 0, -1, -0.2], [0, 0, -1, 0]])

    def look(
        self,
        scene: Scene,
        eye: Any = (0.0, 0.0, 2.0),
        *,
        along: Any = None,
        pan_deg: float = 0.0,
        tilt_deg: float = 0.0,
        tangent: float = 0.5,
    ) -> NDArray[np.float64]:
        """What is seen from `eye`, along a direction or by pan and tilt; see `pinhole`."""
        if along is not None:
            x, y, z = along
            pan_deg, tilt_deg = float(np.degrees(np.arctan2(-x, y))), float(np.degrees(np.arctan2(z, np.hypot(x, y))))
        return self.draw(scene, pose_from_pan_tilt_roll(eye, pan_deg=pan_deg, tilt_deg=tilt_deg), self.pinhole(tangent))

    def draw(self, scene: Scene, stage_from_camera: Any, clip_from_view: Any, **options: Any) -> NDArray[np.float64]:
        """What a camera at `stage_from_camera` sees; `options` as `ScenePass.draw` takes them."""
        self.scene_pass.draw(
            scene,
            view_from_stage=np.linalg.inv(stage_from_gl(stage_from_camera)),
            clip_from_view=clip_from_view,
            target=self.target,
            **{"stage_from_scene": np.eye(4), **options},
        )
        return self.device.read(self.target, dtype="f4").astype(np.float64)[::-1]

    def release(self) -> None:
        """Free everything."""
        for scene in self._kept:
            self.scene_pass.forget(scene)
            scene.release()
        self.scene_pass.release()
        release_target(self.target)


@pytest.fixture
def easel(gl: Device) -> Iterator[Callable[..., Easel]]:
    """Makes easels of a size, `easel((w, h), shadow_px=64)`, and frees them."""
    made: list[Easel] = []

    def make(size_px: tuple[int, int], *, shadow_px: int = 64) -> Easel:
        made.append(Easel(gl, size_px, shadow_px))
        return made[-1]

    yield make
    for one in made:
        one.release()
