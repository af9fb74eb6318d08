"""Hand-built stages, plans and analytic worlds for the tests of the wall; nothing comes from the config compiler."""

from __future__ import annotations

from typing import Any

import moderngl
import numpy as np

from stage.cameras import pupil_m
from stage.compiled import Cabinet, Canvas, CompiledStage, Encoding, MeshTile, Processor, Wall
from stage.frames import Array, pose_from_pan_tilt_roll
from stage.plan import FramePlan, PlanCamera, PlanLens, PlanOuter, PlanPattern, matrix16
from stage.rate import Rate

PQ = Encoding("pq", 1500.0, 10, "rec2020")
SDR = Encoding("gamma24", 500.0, 8, "rec709")


def flat_corners(centre: Any, width_m: float, height_m: float, *, yaw_deg: float = 0.0) -> Array:
    """Corners (lower left, lower right, upper left, upper right) of an upright panel lit towards -Y, turned by yaw."""
    a = np.radians(yaw_deg)
    right = np.array([np.cos(a), np.sin(a), 0.0]) * width_m / 2
    up = np.array([0.0, 0.0, height_m / 2])
    c = np.array(centre, dtype=np.float64)
    return np.stack([c - right - up, c + right - up, c - right + up, c + right + up])


def cabinet(
    index: int,
    corners: Array,
    wall_rect: Any,
    rect: Any,
    *,
    rotate: Any = 0,
    flip: bool = False,
    wall: str = "main",
    canvas: str = "c",
) -> Cabinet:
    return Cabinet(f"k{index}", wall, "p", corners, tuple(wall_rect), canvas, tuple(rect), rotate, flip)


def stage_of(
    cabinets: list[Cabinet],
    *,
    meshes: tuple[MeshTile, ...] = (),
    size: tuple[int, int],
    encoding: Encoding = PQ,
    eye: Any = (0.0, 0.0, 1.7),
) -> CompiledStage:
    names = dict.fromkeys([c.wall for c in cabinets] + [m.wall for m in meshes])
    walls = {n: Wall(n, "flat", size[0], size[1], encoding.peak_nits, 2.8, 1.0, 1.0, len(cabinets)) for n in names}
    canvas = Canvas("c", "p", size[0], size[1], Rate(24), encoding)
    return CompiledStage(
        "test",
        Rate(24),
        tuple(eye),
        walls,
        {"c": canvas},
        {"p": Processor("p", "simulated", 2, None, None, None, None)},
        tuple(cabinets),
        meshes,
        {},
    )


def flat_wall(
    columns: int = 4,
    rows: int = 2,
    *,
    px: int = 64,
    side_m: float = 0.5,
    distance_m: float = 4.0,
    encoding: Encoding = PQ,
    bottom_m: float = 0.7,
) -> CompiledStage:
    """A flat wall facing -Y, centred on X = 0."""
    cabinets = []
    for row in range(rows):
        for column in range(columns):
            centre = ((column + 0.5 - columns / 2) * side_m, distance_m, bottom_m + (rows - row - 0.5) * side_m)
            rect = (column * px, row * px, px, px)
            cabinets.append(cabinet(len(cabinets), flat_corners(centre, side_m, side_m), rect, rect))
    return stage_of(cabinets, size=(columns * px, rows * px), encoding=encoding)


def arc_wall(
    columns: int = 12,
    rows: int = 4,
    *,
    px: int = 32,
    side_m: float = 0.5,
    radius_m: float = 4.0,
    encoding: Encoding = PQ,
) -> CompiledStage:
    """A faceted arc centred on +Y, lit inwards."""
    cabinets = []
    step = 2 * np.arctan(side_m / 2 / radius_m)
    for column in range(columns):
        angle = (column + 0.5 - columns / 2) * step
        for row in range(rows):
            centre = (np.sin(angle) * radius_m, np.cos(angle) * radius_m, 0.3 + (rows - row - 0.5) * side_m)
            rect = (column * px, row * px, px, px)
            corners = flat_corners(centre, side_m, side_m, yaw_deg=-np.degrees(angle))
            cabinets.append(cabinet(len(cabinets), corners, rect, rect))
    return stage_of(cabinets, size=(columns * px, rows * px), encoding=encoding)


LENS = PlanLens(focal_length_mm=24.0, sensor_width_mm=24.0, sensor_height_mm=13.5, entrance_pupil_m=0.12)


def camera(
    name: str = "a",
    *,
    position: Any = (0.0, 0.0, 1.5),
    pan: float = 0.0,
    tilt: float = 0.0,
    roll: float = 0.0,
    rank: int = 0,
    raster: tuple[int, int] = (512, 320),
    overscan: Any = (2.0, 2.0, 2.0, 2.0),
    feather: float = 0.0,
    walls: Any = ("main",),
    lens: PlanLens = LENS,
    enabled: bool = True,
) -> PlanCamera:
    stage_from_camera = pose_from_pan_tilt_roll(position, pan_deg=pan, tilt_deg=tilt, roll_deg=roll)
    pupil = tuple(float(x) for x in pupil_m(stage_from_camera, lens))
    return PlanCamera(
        name,
        rank,
        True,
        rank,
        enabled,
        0,
        matrix16(stage_from_camera),
        pupil,
        lens,
        tuple(overscan),
        raster,
        feather,
        list(walls),
    )


def plan(
    *cameras: PlanCamera, frame: int = 1, eye: Any = (0.0, 0.0, 1.7), drawn: int | None = None, **more: Any
) -> FramePlan:
    outer = PlanOuter("live", frame if drawn is None else drawn, tuple(eye))
    return FramePlan(frame, (24, 1), 0, list(cameras), outer, [], **more)


def pattern(kind: str, *targets: str) -> PlanPattern:
    return PlanPattern(kind, list(targets))


class ShaderWorld:
    """A world whose light is a GLSL function of the stage direction, and of the point it is drawn from.

    `body` gives `vec4 world(vec3 d, vec3 eye)`; d is not normalised: d.y... is along the ray, in stage axes.
    """

    def __init__(self, ctx: moderngl.Context, body: str) -> None:
        self.draws = 0
        self.program = ctx.program(
            vertex_shader="""#version 450
            out vec2 ndc; void main(){ ndc = vec2(gl_VertexID & 1, gl_VertexID >> 1) * 4.0 - 1.0;
              gl_Position = vec4(ndc, 0.0, 1.0); }""",
            fragment_shader=f"""#version 450
            in vec2 ndc; out vec4 colour; uniform mat3 stage_from_view; uniform vec4 side; uniform vec3 eye;
            {body}
            void main(){{ vec3 v = vec3((ndc + side.zw) * side.xy, -1.0);
              colour = world(stage_from_view * v, eye); }}""",
        )
        self.array = ctx.vertex_array(self.program, [])
        self.ctx = ctx

    def prepare(self, plan: FramePlan) -> None:
        pass

    def draw(self, plan: FramePlan, *, view_from_stage: Array, clip_from_view: Array, target: Any) -> None:
        self.draws += 1
        target.use()
        self.ctx.disable(moderngl.DEPTH_TEST | moderngl.BLEND | moderngl.CULL_FACE)
        rotation = view_from_stage[:3, :3].T
        clip = clip_from_view
        self._set("stage_from_view", rotation.T.astype("f4"))
        self._set("side", np.array([1 / clip[0, 0], 1 / clip[1, 1], clip[0, 2], clip[1, 2]], dtype="f4"))
        self._set("eye", (-rotation @ view_from_stage[:3, 3]).astype("f4"))
        self.array.render(moderngl.TRIANGLES, vertices=3)

    def _set(self, name: str, value: Any) -> None:
        if name in self.program:
            self.program[name].write(np.ascontiguousarray(value).tobytes())


def even_world(ctx: moderngl.Context, value: float) -> ShaderWorld:
    return ShaderWorld(ctx, f"vec4 world(vec3 d, vec3 e) {{ return vec4(vec3({value!r}), 1.0); }}")


def direction_world(ctx: moderngl.Context) -> ShaderWorld:
    """Writes the unit direction itself."""
    return ShaderWorld(ctx, "vec4 world(vec3 d, vec3 e) { return vec4(normalize(d), 1.0); }")


def plane_world(ctx: moderngl.Context, *, y_m: float) -> ShaderWorld:
    """Writes the stage position where the ray meets the plane Y = y_m, as a surface on the wall would."""
    return ShaderWorld(ctx, f"vec4 world(vec3 d, vec3 e) {{ return vec4(e + d * (({y_m!r} - e.y) / d.y), 1.0); }}")


def led_positions(stage: CompiledStage, *, scale: int = 1) -> Array:
    """Stage position of every canvas pixel, [h, w, 3], NaN where no cabinet is: from the contract's words alone."""
    canvas = stage.canvases["c"]
    out = np.full((canvas.height_px // scale, canvas.width_px // scale, 3), np.nan)
    for item in stage.cabinets:
        x, y, width, height = item.rect_px
        ll, lr, ul, _ = item.corners_m
        for j in range(y // scale, (y + height) // scale):
            i = np.arange(x // scale, (x + width) // scale)
            cx, cy = ((i + 0.5) * scale - x) / width, np.full(len(i), ((j + 0.5) * scale - y) / height)
            # Undo the clockwise turn, then the flip: (cx, cy) of the canvas back to (u, v) of the picture.
            u, v = {0: (cx, cy), 90: (cy, 1 - cx), 180: (1 - cx, 1 - cy), 270: (1 - cy, cx)}[item.rotate]
            if item.flip:
                u = 1 - u
            out[j, i] = ul + u[:, None] * (lr - ll) + v[:, None] * (ll - ul)
    return out
