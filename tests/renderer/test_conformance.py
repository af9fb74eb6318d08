"""What of glTF 2.0 is read and drawn: every feature with an asset made here, its verdict proved by what comes out.

Pictures are 32 x 32 pixels of an orthographic view: glTF's x and y from -1 to 1 fill it, z looks at the camera.
`docs/gltf.md` holds the list; a test keeps it in step (write it anew: `OPENVOLUME_WRITE=1 pytest` this file).
"""

from __future__ import annotations

import os
import runpy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import moderngl
import numpy as np
import pytest

from renderer.config import SceneConfig
from renderer.device import Device
from renderer.gltf.loader import load
from renderer.gltf.model import Asset
from renderer.object_config import ObjectConfig
from renderer.passes.scene import ScenePass, release_target, target
from renderer.scene import Scene
from renderer.working import AP1_FROM_REC709
from stage.frames import pose_from_pan_tilt_roll, stage_from_gl

SIZE = 32


class Look:
    """Loads and draws what a test has put together."""

    def __init__(self, device: Device, folder: Path) -> None:
        self.device, self.folder = device, folder
        self.scene_pass = ScenePass(device, shadow_px=64)
        self.out = target(device, (SIZE, SIZE), dtype="f4")
        self.scenes: list[Scene] = []

    def load(self, build: Any, *, glb: bool = False) -> Asset:
        return load(build.write(self.folder, glb=glb))

    def scene(self, build: Any, objects: dict[str, Any] | None = None, **config: Any) -> Scene:
        name = build.write(self.folder).name
        made = ObjectConfig(gltf=name, **(objects or {}))
        self.scenes.append(Scene(self.device, SceneConfig(objects={"it": made}, **config), self.folder))
        return self.scenes[-1]

    def rgb(self, what: Any, time_s: float = 0.0, **config: Any) -> Any:
        """[32, 32, 3] linear Rec.709, row 0 top."""
        scene = what if isinstance(what, Scene) else self.scene(what, **config)
        return self._draw(scene, time_s, "colour")[..., :3] @ np.linalg.inv(AP1_FROM_REC709).T

    def places(self, what: Any, time_s: float = 0.0, **config: Any) -> Any:
        """[32, 32, 4] glTF position of what is seen, w = 1 where something is."""
        scene = what if isinstance(what, Scene) else self.scene(what, **config)
        seen = self._draw(scene, time_s, "position")
        return seen[..., [0, 2, 1, 3]] * np.array([1, 1, -1, 1])

    def _draw(self, scene: Scene, time_s: float, output: Any) -> Any:
        self.scene_pass.draw(
            scene,
            view_from_stage=np.linalg.inv(stage_from_gl(pose_from_pan_tilt_roll((0, 0, 0)))),
            clip_from_view=np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -0.2, -1], [0, 0, 0, 1.0]]),
            stage_from_scene=np.eye(4),
            target=self.out,
            scene_time_s=time_s,
            output=output,
        )
        return self.device.read(self.out, dtype="f4").astype(np.float64)[::-1]

    def release(self) -> None:
        for scene in self.scenes:
            self.scene_pass.forget(scene)
            scene.release()
        self.scene_pass.release()
        release_target(self.out)


@dataclass(frozen=True)
class Row:
    """One line of the list."""

    section: str
    feature: str
    verdict: str
    note: str
    check: Callable[[Look], None]


ROWS = [
    Row(*entry)
    for part in ("still", "moving", "extensions")
    for entry in runpy.run_path(str(Path(__file__).with_name(f"_conformance_{part}.py")))["ROWS"]
]


# --- the list -------------------------------------------------------------------------------------------------------


@pytest.fixture
def look(gl: Device, tmp_path: Path) -> Iterator[Look]:
    made = Look(gl, tmp_path)
    yield made
    made.release()
    gl.ctx.enable_only(moderngl.NOTHING)


@pytest.mark.parametrize("entry", ROWS, ids=[entry.check.__name__.strip("_") for entry in ROWS])
def test_conformance(entry: Row, look: Look) -> None:
    entry.check(look)


def test_the_list_in_the_docs_is_this_one(root: Path) -> None:
    page = root / "docs" / "gltf.md"
    lines = ["| | feature | verdict | |", "|---|---|---|---|"]
    section = ""
    for entry in ROWS:
        shown = "" if entry.section == section else entry.section
        section = entry.section
        lines.append(f"| {shown} | {entry.feature} | {entry.verdict} | {entry.note} |")
    text = page.read_text()
    head, begin, rest = text.partition("<!-- list -->\n")
    _, end, tail = rest.partition("<!-- end of list -->\n")
    wanted = head + begin + "\n".join(lines) + "\n" + end + tail
    if os.environ.get("OPENVOLUME_WRITE"):
        page.write_text(wanted)
        text = wanted
    assert begin
    assert text == wanted, "run: OPENVOLUME_WRITE=1 pytest tests/renderer/test_conformance.py"
