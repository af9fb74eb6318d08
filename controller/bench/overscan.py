"""`openvolume bench overscan`: how much overscan a trembling hand needs behind seven frames of delay, and whether it is
enough. The demo's own camera, walls, planner and prediction; the committed `handheld` move; no clock but the frame
count."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from controller.config import compile_config, load_config
from controller.planner import InnerLimits, Planner, TrackedPose
from controller.show import first_show
from stage.config import ArcWall
from stage.frames import Array, transform_points
from stage.lens import frame_outline_mm, tangents_of_image
from stage.overscan import Sides, cost_of, width_factor
from stage.plan import PlanCamera, transform_of
from stage.projection import overscan_tangents
from stage.rate import NS_PER_S
from tracking.config import Gates
from tracking.history import History
from tracking.moves import move
from tracking.predict import Predictor
from tracking.sample import Sample

CAMERA = "a"
DELAY_FRAMES = 7
FRAMES = 5000
SAMPLES_PER_FRAME = 2
FIXED_RULE = 0.40
"""The field's rule: a frustum 40 % too wide."""
MOST_MEAN = 0.133
LEAST_INSIDE = 0.999


@dataclass(frozen=True, slots=True)
class Course:
    """Overscan over time."""

    t_s: Array
    overscan_deg: Array
    """[n, 4]  left, right, top, bottom."""
    width_factors: Array
    """[n]  width of the inner frustum over that of the picture alone."""
    costs: Array
    """[n]  pixels drawn over those of the picture alone, less 1."""
    slack_deg: Array
    """[n]  how far inside the part of the inner picture that is fully opaque the true view ends, at its closest."""

    @property
    def inside(self) -> float:
        """Share of frames whose true view lies in it whole."""
        return float((self.slack_deg >= 0.0).mean())

    @property
    def mean_width(self) -> float:
        """Mean width factor, less 1."""
        return float(self.width_factors.mean() - 1.0)


def run(*, plot: Path | None = None) -> dict[str, Any]:
    """Figures of 5000 frames; `plot`: a picture."""
    found = course()
    if plot is not None:
        draw(found, plot)
    return {
        "frames": len(found.t_s),
        "delay_frames": DELAY_FRAMES,
        "inside": round(found.inside, 5),
        "mean_width": round(found.mean_width, 4),
        "fixed_rule": FIXED_RULE,
        "mean_deg": [round(v, 2) for v in found.overscan_deg.mean(axis=0).tolist()],
        "mean_cost": round(float(found.costs.mean()), 4),
        "good": found.inside >= LEAST_INSIDE and found.mean_width <= MOST_MEAN,
    }


def course(*, frames: int = FRAMES, seed: int = 1, delay_frames: int = DELAY_FRAMES, name: str = "handheld") -> Course:
    """The demo's camera carried by a move; every pose is predicted over `delay_frames` and planned."""
    loaded = load_config("demo")
    stage = compile_config(loaded)
    show, rate = first_show(stage, scenes=list(loaded.config.scenes)), stage.rate
    wall = loaded.config.stage.walls["arc"]
    assert isinstance(wall, ArcWall)
    planner, named = Planner(stage, InnerLimits()), move(name, seed)
    history, predictor = History(Gates()), Predictor()
    delay_ns = rate.deadline_ns(0, delay_frames)
    present_to_photo_ns = planner.photo_time_ns(CAMERA, show, 0)
    rows: list[tuple[float, Sides, float, float, float]] = []
    for number in range(1, frames * SAMPLES_PER_FRAME + 1):
        t_ns = number * rate.den * NS_PER_S // (rate.num * SAMPLES_PER_FRAME)
        pose = named.pose(t_ns / NS_PER_S)
        history.add(Sample("bench", CAMERA, t_ns, t_ns, pose, pose))
        if number % SAMPLES_PER_FRAME:
            continue
        photo_ns = t_ns + delay_ns
        predicted = predictor.predict(history, photo_ns, 0)
        tracked = TrackedPose(predicted, errors=predictor.errors(), source="bench", t_sampled_ns=t_ns)
        frame = number // SAMPLES_PER_FRAME
        plan = planner.plan(show, {CAMERA: tracked}, frame=frame, t_present_ns=photo_ns - present_to_photo_ns)
        predictor.adapt(history)
        camera = plan.cameras[0]
        rows.append(
            (
                photo_ns / NS_PER_S,
                camera.overscan_deg,
                width_factor(camera.lens, camera.overscan_deg),
                cost_of(camera.lens, camera.overscan_deg),
                slack_deg(camera, named.pose(photo_ns / NS_PER_S), wall),
            )
        )
    t_s, overscan_deg, widths, costs, slack = (np.array(column) for column in zip(*rows, strict=True))
    return Course(t_s, overscan_deg, widths, costs, slack)


def slack_deg(camera: PlanCamera, stage_from_camera: Array, wall: ArcWall) -> float:
    """How far inside the opaque part of a planned inner picture all that the camera sees ends, at its closest, when it
    really is at `stage_from_camera`, [4, 4]: along the wall, from the planned pupil. Negative: beyond its edge."""
    rays = tangents_of_image(camera.lens, frame_outline_mm(camera.lens))
    rotation = stage_from_camera[:3, :3]
    eye = transform_points(stage_from_camera, (0.0, camera.lens.entrance_pupil_m, 0.0))
    along = rotation[:, 1] + rays[:, :1] * rotation[:, 0] + rays[:, 1:] * rotation[:, 2]
    # Where the rays meet the wall: an upright cylinder about its centre.
    out = eye[:2] - np.array(wall.centre_m[:2])
    a = (along[:, :2] ** 2).sum(axis=1)
    b = along[:, :2] @ out
    far = (np.sqrt(b * b - a * (out @ out - wall.radius_m**2)) - b) / a
    points = eye + far[:, None] * along
    seen = (points - np.array(camera.pupil_m)) @ transform_of(camera.stage_from_camera)[:3, :3]
    across, up = (np.degrees(np.arctan(seen[:, axis] / seen[:, 1])) for axis in (0, 2))
    left, right, bottom, top = np.degrees(np.arctan(overscan_tangents(camera.lens, camera.overscan_deg)))
    beyond = np.concatenate([across - left, right - across, up - bottom, top - up])
    return float(beyond.min()) - camera.soft_edge_deg


def draw(found: Course, file: Path) -> None:
    """Width over time under the field's rule, and how far inside the true view ended; written to `file`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.0, 5.6), layout="constrained")
    FigureCanvasAgg(figure)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    upper.plot(found.t_s, 100.0 * (found.width_factors - 1.0), color="#1f6feb", linewidth=1.2, label="OpenVolume")
    upper.axhline(100.0 * FIXED_RULE, color="#cf222e", linewidth=1.5, label="the field's fixed 40 %")
    mean = 100.0 * found.mean_width
    upper.axhline(mean, color="#1f6feb", linewidth=1.0, linestyle="--", label=f"mean {mean:.1f} %")
    upper.set_ylim(0.0, 45.0)
    upper.set_ylabel("inner frustum wider than\nthe picture by (%)")
    upper.set_title(
        f"Hand-held camera, {DELAY_FRAMES} frames from sample to photo at 24 fps: "
        f"the whole view lies inside in {100.0 * found.inside:.2f} % of {len(found.t_s)} frames",
        fontsize=10,
    )
    upper.legend(loc="center right", frameon=False)
    lower.plot(found.t_s, found.slack_deg, color="#57606a", linewidth=0.6)
    lower.axhline(0.0, color="#cf222e", linewidth=1.0)
    lower.set_ylabel("left inside, at the\nclosest edge (deg)")
    lower.set_xlabel("time (s)")
    lower.set_xlim(0.0, float(found.t_s[-1]))
    for axes in (upper, lower):
        axes.grid(alpha=0.25)
    figure.savefig(file, dpi=100, metadata={"Software": None})
