"""`openvolume bench wall`: the wall pass against one projective sample a pixel over the same canvas.

The wall pass does everything a processor's canvas needs: outer, one inner frustum with feather, primaries 3x3,
roll-off, PQ, dither, 10 bit. The yardstick reads one half-float texture through a projection into the same canvas and
does nothing else. Also measured: what a frame costs while the outer rests, by how much of the wall the inner covers.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import moderngl
import numpy as np

from renderer.canvas_mesh import canvas_meshes
from renderer.colour.encode import canvas_colour
from renderer.config import RenderConfig
from renderer.device import Device
from renderer.passes.cards import CardSheet
from renderer.passes.inner import InnerPass, InnerPicture, inner_view
from renderer.passes.outer import OuterPass
from renderer.passes.wall import NOISE_UNIT, Program, Reach, Surface, WallPass, float32, reach_of
from stage.compiled import Cabinet, Canvas, CompiledStage, Encoding, Processor, Wall
from stage.frames import Array, pose_from_pan_tilt_roll
from stage.plan import FramePlan, PlanCamera, PlanLens, PlanOuter, matrix16
from stage.plan_cards import PlanCard
from stage.rate import Rate

COLUMNS, ROWS, PANEL_PX, PANEL_M, RADIUS_M = 16, 4, 128, 0.5, 4.5
DRAWS = 5
FOCAL_MM = (10, 28, 50, 100)
"""From a frustum over the whole canvas to one over a small part of it."""
HALF_MM = 28
"""The one that covers about half the canvas."""
SMALL_MM = 100
"""The one that leaves nearly all of the outer to cards."""
CARDS = (1, 8)

_YARDSTICK_VERTEX = """#version 450
uniform vec2 canvas_px; uniform vec3 offset; uniform mat3 view;
in vec3 position; in vec2 pixel; noperspective out vec3 at;
void main() { at = view * (position + offset); gl_Position = vec4(pixel / canvas_px * 2.0 - 1.0, 0.0, 1.0); }"""
_YARDSTICK_FRAGMENT = """#version 450
uniform sampler2D picture; uniform vec4 uv; noperspective in vec3 at; out vec4 colour;
void main() { colour = texture(picture, at.xy / at.z * uv.xy + uv.zw); }"""


class _Gradient:
    """A world that costs little and is nowhere flat: the wall pass alone is measured."""

    def __init__(self, ctx: moderngl.Context) -> None:
        self._ctx = ctx
        self._program = ctx.program(
            vertex_shader="#version 450\nout vec2 p; void main() { p = vec2(gl_VertexID & 1, gl_VertexID >> 1) * 2.0;"
            " gl_Position = vec4(p * 2.0 - 1.0, 0.0, 1.0); }",
            fragment_shader="#version 450\nin vec2 p; out vec4 c;"
            " void main() { c = vec4(exp2(8.0 * p.x - 4.0), p.y, p.x * p.y, 1.0); }",
        )
        self._array = ctx.vertex_array(self._program, [])

    def prepare(self, plan: FramePlan) -> None:
        """Nothing moves."""

    def draw(
        self,
        plan: FramePlan,
        *,
        view_from_stage: Array,
        clip_from_view: Array,
        target: moderngl.Framebuffer,
    ) -> None:
        """A gradient over the whole target."""
        target.use()
        self._ctx.disable(moderngl.DEPTH_TEST | moderngl.BLEND | moderngl.CULL_FACE)
        self._array.render(moderngl.TRIANGLES, vertices=3)


def bench_stage(panel_px: int = PANEL_PX) -> CompiledStage:
    """A faceted arc of 16 x 4 panels on one canvas, 2048 x 512 px with panels of 128 px, PQ, 10 bit."""
    cabinets = []
    step = 2.0 * np.arctan(PANEL_M / 2.0 / RADIUS_M)
    for column in range(COLUMNS):
        angle = (column + 0.5 - COLUMNS / 2) * step
        right = np.array([np.cos(angle), -np.sin(angle), 0.0]) * PANEL_M / 2.0
        for row in range(ROWS):
            centre = np.array([np.sin(angle) * RADIUS_M, np.cos(angle) * RADIUS_M, (ROWS - row - 0.5) * PANEL_M])
            up = np.array([0.0, 0.0, PANEL_M / 2.0])
            corners = np.stack([centre - right - up, centre + right - up, centre - right + up, centre + right + up])
            rect = (column * panel_px, row * panel_px, panel_px, panel_px)
            cabinets.append(Cabinet(f"c{column}_{row}", "arc", "panel", corners, rect, "main", rect, 0, False))
    width, height = COLUMNS * panel_px, ROWS * panel_px
    return CompiledStage(
        name="bench",
        rate=Rate(24),
        eye_m=(0.0, 0.0, 1.5),
        walls={"arc": Wall("arc", "arc", width, height, 1500.0, PANEL_M / panel_px * 1e3, 8.0, 2.0, len(cabinets))},
        canvases={"main": Canvas("main", "p", width, height, Rate(24), Encoding("pq", 1500.0, 10, "rec2020"))},
        processors={"p": Processor("p", "simulated", 2.0, None, None, None, None)},
        cabinets=tuple(cabinets),
        meshes=(),
        cameras={},
    )


def bench_camera(focal_mm: float) -> PlanCamera:
    """A camera near the middle of the arc."""
    lens = PlanLens(focal_length_mm=focal_mm, sensor_width_mm=36.0, sensor_height_mm=14.0)
    pose = pose_from_pan_tilt_roll((0.0, 0.4, 1.0))
    sides = (2.0, 2.0, 2.0, 2.0)
    return PlanCamera("a", 0, True, 0, True, 0, matrix16(pose), (0.0, 0.4, 1.0), lens, sides, (1280, 512), 1.0, ["arc"])


def bench_cards(count: int) -> list[PlanCard]:
    """Soft cards of a tenth of the canvas each, one beside the other."""
    return [
        PlanCard(
            f"c{n}", "light", "rectangle", (0.0, 0.0, 1.0), 50.0 - 14.0 * n, 0.0, 5.0, 13.0, 20.0, (1.0, 1.0, 1.0),
            feather=0.3,
        )
        for n in range(count)
    ]  # fmt: skip


class WallBench:
    """Everything on the GPU, and the two draws that are timed."""

    def __init__(self, device: Device, *, panel_px: int = PANEL_PX) -> None:
        self.device = device
        stage = bench_stage(panel_px)
        config = RenderConfig(outer_px=512)
        self.meshes = canvas_meshes(stage)
        mesh = self.meshes["main"]
        colour = canvas_colour(
            mesh.canvas.encoding, knee=config.roll_off_knee, content=config.roll_off_content, dither=True
        )
        self.surface = Surface(device, mesh, colour)
        self.wall = WallPass(device)
        for _ in self.wall.prepare(self.surface, 1):
            pass
        self.world = _Gradient(device.ctx)
        self.plan = FramePlan(1, (24, 1), 0, [], PlanOuter("live", 1, stage.eye_m), [])
        self.outer = OuterPass(device, face_px=512, samples=1, near_m=0.1, far_m=100.0)
        self.outer.draw(self.plan, self.meshes, self.world, kind="f2")
        self.inner_pass = InnerPass(device, samples=1, near_m=0.1, far_m=100.0)
        self.sheets = {count: CardSheet(device.ctx) for count in CARDS}
        for count, sheet in self.sheets.items():
            sheet.put(bench_cards(count), mesh.origin_m)
        self.yardstick = Program(device.ctx, _YARDSTICK_VERTEX, _YARDSTICK_FRAGMENT, mesh=False)

    def inner(self, focal_mm: float) -> tuple[InnerPicture, Reach]:
        """An inner picture of the same size whatever it covers, and where it may show."""
        camera = bench_camera(focal_mm)
        reach = reach_of(self.meshes, camera, inner_view(camera))
        return self.inner_pass.draw(self.plan, camera, self.world, kind="f2", texels_per_pixel=1.0), reach

    def draw_wall(self, inner: tuple[InnerPicture, Reach], *, resting: bool, cards: int = 0) -> None:
        """The wall pass with so many cards on the outer; drawn whole unless the outer rests."""
        if not resting:
            self.surface.rest_key = None
        sheet = self.sheets[cards] if cards else None
        self.wall.draw(self.surface, self.outer, [inner], outer_gain=1.0, output="canvas", cards=sheet)

    def draw_yardstick(self, inner: tuple[InnerPicture, Reach]) -> None:
        """One projective sample for every pixel of the canvas."""
        picture, _ = inner
        self.surface.framebuffer.use()
        self.device.ctx.disable(moderngl.DEPTH_TEST | moderngl.CULL_FACE | moderngl.BLEND)
        picture.texture.use(NOISE_UNIT - 1)
        for name, value in (
            ("canvas_px", self.surface.size),
            ("offset", self.surface.mesh.origin_m - picture.view.point_m),
            ("view", picture.view.axes.T),
            ("uv", picture.view.uv),
        ):
            self.yardstick.write(name, float32(value))
        self.yardstick.write("picture", np.int32(NOISE_UNIT - 1))
        (part,) = self.surface.parts
        zeros = np.zeros(part.part.items, dtype=np.int64)
        part.group(zeros, zeros, np.ones(part.part.items, dtype=bool))
        part.array(self.device.ctx, self.yardstick.program).render(moderngl.TRIANGLES)
        self.surface.rest_key = None

    def timed(self, draw: Callable[[], None]) -> float:
        """Median of a few draws, ms, each waited for."""
        times = []
        for _ in range(DRAWS):
            begin = time.perf_counter_ns()
            draw()
            self.device.finish()
            times.append((time.perf_counter_ns() - begin) / 1e6)
        return statistics.median(times)


def run(rounds: int = 7) -> dict[str, Any]:
    """Measure `rounds` paired rounds of 5 draws each.

    Returns
    -------
    dict : `ms` medians; `ratio` the median over rounds of the wall pass through the yardstick, the inner over about
        half the canvas and the outer new; `ratio_whole` the inner over all of it; `ratio_both` every pixel looking up
        both pictures, which a real frame does on the inner's rim only; `rest` per focal length: the share of the
        canvas an inner reaches, and the ratio while the outer rests; `cards` the ratio by how many cards, a tenth of
        the canvas each, lie on the outer, which is drawn whole.
    """
    with Device.create() as device:
        bench = WallBench(device)
        inners = {focal: bench.inner(focal) for focal in FOCAL_MM}
        picture, reach = inners[FOCAL_MM[0]]
        both = picture, replace(reach, solid={name: tuple(p & False for p in s) for name, s in reach.solid.items()})
        cases: dict[str, Callable[[], None]] = {
            "yardstick": lambda: bench.draw_yardstick(inners[FOCAL_MM[0]]),
            "wall": lambda: bench.draw_wall(inners[HALF_MM], resting=False),
            "wall_whole": lambda: bench.draw_wall(inners[FOCAL_MM[0]], resting=False),
            "wall_both": lambda: bench.draw_wall(both, resting=False),
        }
        cases["cards_0"] = lambda: bench.draw_wall(inners[SMALL_MM], resting=False)
        for count in CARDS:

            def with_cards(count: int = count) -> None:
                bench.draw_wall(inners[SMALL_MM], resting=False, cards=count)

            cases[f"cards_{count}"] = with_cards
        for focal in FOCAL_MM:

            def rest(focal: int = focal) -> None:
                bench.draw_wall(inners[focal], resting=True)

            cases[f"rest_{focal}mm"] = rest
        times: dict[str, list[float]] = {name: [] for name in cases}
        for number in range(-1, rounds):
            names = list(cases)
            # The yardstick goes first in one round and last in the next: a slow stretch meets both sides alike.
            for name in names if number % 2 == 0 else [*names[1:], names[0]]:
                if name.startswith("rest_"):  # a whole picture first, so that there is something to rest on
                    bench.draw_wall(inners[int(name[5:-2])], resting=False)
                    cases[name]()
                spent = bench.timed(cases[name])
                if number >= 0:  # the round before the first warms up
                    times[name].append(spent)
        about = device.capabilities
    median = {name: statistics.median(values) for name, values in times.items()}

    def ratio(name: str) -> float:
        return round(statistics.median(a / b for a, b in zip(times[name], times["yardstick"], strict=True)), 3)

    return {
        "benchmark": "wall",
        "device": about.renderer,
        "software": about.software,
        "canvas_px": [COLUMNS * PANEL_PX, ROWS * PANEL_PX],
        "rounds": rounds,
        "draws_per_round": DRAWS,
        "ms": {name: round(value, 3) for name, value in median.items()},
        "ratio": ratio("wall"),
        "bar": 2.5,
        "ratio_whole": ratio("wall_whole"),
        "ratio_both": ratio("wall_both"),
        "cards": {str(count): ratio(f"cards_{count}") for count in (0, *CARDS)},
        "rest": [
            {
                "focal_mm": focal,
                "reached": round(float(inners[focal][1].items["main"][0].mean()), 3),
                "ratio": ratio(f"rest_{focal}mm"),
            }
            for focal in FOCAL_MM
        ],
    }
