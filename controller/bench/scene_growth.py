"""`openvolume bench scene --growth`: what a picture costs as triangles, views, wall pixels and lights grow.

Every point is drawn once a round, all points in turn, so that a slow stretch of the machine meets all of them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from controller.bench import reference
from controller.bench.wall import COLUMNS, FOCAL_MM, HALF_MM, ROWS, WallBench
from renderer.config import SceneConfig
from renderer.device import Device
from renderer.passes.scene import ScenePass, release_target, target
from renderer.scene import Scene
from stage.frames import stage_from_gl

ROUNDS: Final = 7
VIEW_PX: Final = (960, 540)
SMALL_PX: Final = (480, 270)
TRIANGLES: Final = (10_000, 30_000, 100_000, 300_000, 1_000_000)
VIEWS: Final = (1, 2, 3, 4, 5, 6)
PANELS_PX: Final = (88, 128, 176, 256, 352, 512)
"""Sides of the wall's 64 panels: 0.5 to 16.8 million pixels."""
LIGHTS: Final = (0, 1, 2, 4, 8, 16, 32)
_LAMP_RANGES_M: Final = {"near": 6.0, "far": 60.0}
"""Lamps that light a part of the picture each, and lamps that light all of it."""


@dataclass(frozen=True, slots=True)
class _Case:
    of: str
    at: float
    draw: Callable[[], None]


def run_growth(*, folder: Path | None = None, rounds: int = ROUNDS) -> dict[str, Any]:
    """Measure every point; with `folder`, plot them into `scene-growth.png`.

    Returns
    -------
    dict : per kind of growth a list of points with the median and the least ms.
    """
    with Device.create() as device, ExitStack() as stack:
        views = _Views(device, stack)
        cases = [*views.triangles(), *views.views(), *views.lights(), *_walls(device)]
        times: dict[int, list[float]] = {i: [] for i in range(len(cases))}
        for number in range(-1, rounds):
            for i in range(len(cases)) if number % 2 == 0 else reversed(range(len(cases))):
                cases[i].draw()  # its own buffers back in the caches
                device.finish()
                begin = time.perf_counter_ns()
                cases[i].draw()
                device.finish()
                if number >= 0:  # the round before the first warms up
                    times[i].append((time.perf_counter_ns() - begin) / 1e6)
        about = device.capabilities
    out: dict[str, Any] = {
        "benchmark": "scene --growth",
        "device": about.renderer,
        "software": about.software,
        "rounds": rounds,
    }
    for i, case in enumerate(cases):
        point = {
            "at": case.at,
            "ms": round(statistics.median(times[i]), 2),
            "least_ms": round(min(times[i]), 2),
        }
        out.setdefault(case.of, []).append(point)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        plot(out, folder / "scene-growth.png")
    return out


class _Views:
    """Scenes, and views of them."""

    def __init__(self, device: Device, stack: ExitStack) -> None:
        self._device, self._stack = device, stack
        self._pass = ScenePass(device)
        stack.callback(self._pass.release)
        self._poses = [np.linalg.inv(stage_from_gl(pose)) for pose in reference.cameras(max(VIEWS))]
        self._clip = reference.clip_from_view(VIEW_PX[0] / VIEW_PX[1])
        self._targets = {}
        for size in (VIEW_PX, SMALL_PX):
            self._targets[size] = target(device, size)
            stack.callback(release_target, self._targets[size])

    def triangles(self) -> list[_Case]:
        """One view of scenes of more and more triangles."""
        return [
            _Case("triangles", scene.triangles, self._draw(scene, VIEW_PX, 1))
            for scene in (self._scene(count) for count in TRIANGLES)
        ]

    def views(self) -> list[_Case]:
        """More and more views of one scene with a sun that casts shadows, as one frame draws them."""
        scene = self._scene(100_000, shadow=True)
        return [_Case("views", count, self._draw(scene, SMALL_PX, count)) for count in VIEWS]

    def lights(self) -> list[_Case]:
        """One view under more and more lamps."""
        return [
            _Case(f"lights_{name}", count, self._draw(self._scene(100_000, lamps=count, range_m=range_m), VIEW_PX, 1))
            for name, range_m in _LAMP_RANGES_M.items()
            for count in LIGHTS
        ]

    def _scene(self, triangles: int, *, shadow: bool = False, lamps: int = 0, range_m: float = 1.0) -> Scene:
        places = [(0.3 * i, 2.399963 * i) for i in range(lamps)]
        config = SceneConfig.model_validate(
            {
                "sun": {
                    "pan_deg": reference.SUN_PAN_DEG,
                    "elevation_deg": reference.SUN_ELEVATION_DEG,
                    "illuminance": reference.SUN_ILLUMINANCE,
                    "shadow": shadow,
                },
                "ambient": (reference.AMBIENT,) * 3,
                "lights": {
                    f"lamp_{i}": {
                        "kind": "point",
                        "position_m": (float(r * np.cos(a)), float(r * np.sin(a)), 2.0),
                        "candela": 300.0,
                        "range_m": range_m,
                        "shadow": False,
                    }
                    for i, (r, a) in enumerate(places)
                },
            }
        )
        scene = Scene.from_assets(self._device, config, [reference.asset_of(triangles)])
        self._stack.callback(scene.release)
        self._stack.callback(self._pass.forget, scene)
        return scene

    def _draw(self, scene: Scene, size_px: tuple[int, int], count: int) -> Callable[[], None]:
        def draw() -> None:
            for pose in self._poses[:count]:
                self._pass.draw(
                    scene,
                    view_from_stage=pose,
                    clip_from_view=self._clip,
                    stage_from_scene=np.eye(4),
                    target=self._targets[size_px],
                )

        return draw


def _walls(device: Device) -> list[_Case]:
    """The wall pass over larger and larger canvases: the inner over about half of them, the outer new."""
    cases = []
    for panel_px in PANELS_PX:
        bench = WallBench(device, panel_px=panel_px)
        inner = bench.inner(HALF_MM if HALF_MM in FOCAL_MM else FOCAL_MM[0])

        def draw(bench: WallBench = bench, inner: Any = inner) -> None:
            bench.draw_wall(inner, resting=False)

        cases.append(_Case("wall_mpx", round(COLUMNS * ROWS * panel_px**2 / 1e6, 2), draw))
    return cases


_PANELS: Final = (
    ("triangles", "triangles in the scene", "one view, 960 x 540", {"triangles": "scene pass"}),
    ("views", "views of one scene", "480 x 270 each, 100,000 triangles, one sun with shadows", {"views": "all views"}),
    ("wall_mpx", "wall pixels (millions)", "wall pass: outer, one inner, PQ, 10 bit", {"wall_mpx": "wall pass"}),
    (
        "lights_far", "lamps", "one view, 960 x 540, 100,000 triangles",
        {"lights_far": "each lights everything", "lights_near": "each reaches 6 m"},
    ),
)  # fmt: skip


def plot(figures: dict[str, Any], file: Path) -> None:
    """Four panels, ms over what grows; the line is the median, the dots are the least."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (key, label, title, lines) in zip(figure.subplots(2, 2).flat, _PANELS, strict=True):
        for colour, (name, said) in zip(("#1f5fa8", "#c2571a"), lines.items(), strict=False):
            at = [point["at"] for point in figures[name]]
            axes.plot(at, [p["ms"] for p in figures[name]], color=colour, marker="o", markersize=4, label=said)
            axes.plot(at, [p["least_ms"] for p in figures[name]], ".", color=colour, markersize=3, alpha=0.6)
        if key in ("triangles", "wall_mpx"):
            axes.set_xscale("log")
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0.0)
        axes.set_xlabel(label)
        axes.set_ylabel("ms")
        axes.set_title(title, fontsize=9)
        axes.grid(alpha=0.25, which="both")
        if len(lines) > 1:
            axes.legend(frameon=False, fontsize=8)
    figure.savefig(file, dpi=110, metadata={"Software": None})
