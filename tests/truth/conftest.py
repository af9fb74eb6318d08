"""Small rooms made by hand: a wall of every kind, compiled without any of the code under test, and random cameras."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from stage.cameras import Camera, pupil_m
from stage.compiled import Cabinet, Canvas, CompiledStage, Encoding, MeshTile, Processor, Wall
from stage.frames import pose, pose_from_pan_tilt_roll
from stage.plan import FramePlan, PlanCamera, PlanLens, PlanOuter, PlanScene, matrix16
from stage.rate import Rate

if TYPE_CHECKING:
    from renderer.device import Device
    from renderer.twin.evidence import Evidence
    from renderer.twin.worlds import Shapes

Array = NDArray[np.float64]
KINDS = ("flat", "arc", "ceiling", "mesh", "turned")
PQ = Encoding("pq", 1500.0, 10, "rec2020")
SRGB = Encoding("srgb", 1500.0, 8, "rec709")
LENS = PlanLens(focal_length_mm=28.0, sensor_width_mm=28.0, sensor_height_mm=15.75, entrance_pupil_m=0.12)
# A barrel of about 5 % at the corner, a little decentred, with a shifted sensor.
BARREL = PlanLens(
    focal_length_mm=28.0,
    sensor_width_mm=28.0,
    sensor_height_mm=15.75,
    entrance_pupil_m=0.12,
    radial=[3.5e-4, 0.0, 2.0e-7],
    tangential=[2.0e-5, -3.0e-5],
    distortion_offset_mm=(0.15, -0.1),
    projection_offset_mm=(-0.2, 0.12),
)
PANEL_M = 0.5


@dataclass(frozen=True)
class Room:
    """One wall (or two), and where its cameras stand."""

    kind: str
    stage: CompiledStage
    target_m: Array
    """Middle of the wall."""
    stand: tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
    """Ranges of x, y, z where the camera stands."""
    panel_px: int

    def random_pose(self, rng: np.random.Generator) -> Array:
        """A `stage_from_camera` that looks about at the wall's middle, turned and rolled a little."""
        position = np.array([rng.uniform(*r) for r in self.stand])
        to = self.target_m + rng.uniform(-0.4, 0.4, 3) - position
        pan = np.degrees(np.arctan2(-to[0], to[1]))
        tilt = np.degrees(np.arctan2(to[2], np.hypot(to[0], to[1])))
        return pose_from_pan_tilt_roll(
            position, pan_deg=float(pan), tilt_deg=float(tilt), roll_deg=float(rng.uniform(-8.0, 8.0))
        )

    def plan(
        self,
        stage_from_camera: Array,
        lens: PlanLens,
        *,
        frame: int = 0,
        texels_per_led: float = 1.35,
        margin_deg: float = 2.0,
        eye_m: tuple[float, float, float] | None = None,
        enabled: bool = True,
    ) -> FramePlan:
        """A plan for one camera, its inner raster chosen by this room's own rule."""
        from stage.lens import lens_cover_deg, pinhole_tangents

        soft = 1.0
        sides = tuple(c + soft + margin_deg for c in lens_cover_deg(lens))
        angles = np.arctan(pinhole_tangents(lens))
        left, right = np.tan(angles[0] - np.radians(sides[0])), np.tan(angles[1] + np.radians(sides[1]))
        bottom, top = np.tan(angles[2] - np.radians(sides[3])), np.tan(angles[3] + np.radians(sides[2]))
        at = pupil_m(stage_from_camera, lens)
        reach_m = float(np.linalg.norm(self.target_m - at))
        density = texels_per_led * reach_m / (PANEL_M / self.panel_px)
        camera = PlanCamera(
            id="a",
            rank=0,
            on_air=True,
            slot=0,
            enabled=enabled,
            t_photo_ns=0,
            stage_from_camera=matrix16(stage_from_camera),
            pupil_m=(float(at[0]), float(at[1]), float(at[2])),
            lens=lens,
            overscan_deg=(sides[0], sides[1], sides[2], sides[3]),
            raster_px=(int(np.ceil((right - left) * density)), int(np.ceil((top - bottom) * density))),
            soft_edge_deg=soft,
            walls=list(self.stage.walls),
        )
        return FramePlan(
            frame=frame,
            rate=(24, 1),
            t_present_ns=0,
            cameras=[camera],
            outer=PlanOuter("live", frame, eye_m or self.stage.eye_m),
            scenes=[PlanScene("test", 1, 1.0, matrix16(pose((0.0, 0.0, 0.0))))],
        )


def panel_corners(middle: Array, right: Array, up: Array) -> Array:
    """[4, 3]  lower left, lower right, upper left, upper right of one panel."""
    r, u = right * PANEL_M / 2, up * PANEL_M / 2
    return np.array([middle - r - u, middle + r - u, middle - r + u, middle + r + u])


def cabinet(
    wall: str,
    column: int,
    row: int,
    corners_m: Array,
    canvas: str,
    place: tuple[int, int],
    panel_px: int,
    rotate: Literal[0, 90, 180, 270] = 0,
    flip: bool = False,
) -> Cabinet:
    n = panel_px
    return Cabinet(
        f"{wall}_{column}_{row}",
        wall,
        "test",
        corners_m,
        (column * n, row * n, n, n),
        canvas,
        (place[0] * n, place[1] * n, n, n),
        rotate,
        flip,
    )


def stage_of(
    cabinets: list[Cabinet],
    meshes: list[MeshTile],
    walls: list[Wall],
    canvases: dict[str, tuple[int, int, Encoding]],
    latency_frames: float = 1.0,
) -> CompiledStage:
    rate = Rate(24, 1)
    camera = Camera(
        "a", "A", 0, (3840, 2160), LENS, 180.0, 0.0, 0.0, tuple(w.id for w in walls), pose((0, 0, 0)),
        pose((0, 0, 1.5)), None, 1.0, 20.0, 1.0,
    )  # fmt: skip
    return CompiledStage(
        "test",
        rate,
        (0.0, 0.0, 1.5),
        {wall.id: wall for wall in walls},
        {name: Canvas(name, f"p_{name}", w, h, rate, encoding) for name, (w, h, encoding) in canvases.items()},
        {f"p_{name}": Processor(f"p_{name}", "simulated", latency_frames, None, None, None, None) for name in canvases},
        tuple(cabinets),
        tuple(meshes),
        {"a": camera},
    )


def wall_of(
    name: str, kind: Literal["flat", "arc", "ceiling", "floor", "mesh"], columns: int, rows: int, panel_px: int
) -> Wall:
    return Wall(
        name, kind, columns * panel_px, rows * panel_px, 1500.0, 1000 * PANEL_M / panel_px, columns * PANEL_M,
        rows * PANEL_M, columns * rows, columns, rows,
    )  # fmt: skip


X, Y, Z = np.eye(3)


def flat_room(panel_px: int, *, turned: bool = False) -> Room:
    """8 x 4 panels; `turned`: each flipped and rotated its own way and scattered over two canvases."""
    columns, rows = 8, 4
    cabinets = []
    for row in range(rows):
        for column in range(columns):
            middle = np.array([(column + 0.5 - columns / 2) * PANEL_M, 3.0, 0.5 + (rows - row - 0.5) * PANEL_M])
            number = row * columns + column
            if turned:
                # Tiles scattered over two canvases in an order that is no neighbourhood.
                other = (number * 13 + 5) % 32
                canvas, place = ("left", "right")[other % 2], (other // 2 % 4, other // 8)
                rotate = (0, 90, 180, 270)[number % 4]
                flip = number % 3 == 1
            else:
                canvas, place, rotate, flip = "main", (column, row), 0, False
            cabinets.append(
                cabinet("main", column, row, panel_corners(middle, X, Z), canvas, place, panel_px, rotate, flip)  # type: ignore[arg-type]
            )
    n = panel_px
    canvases = (
        {"left": (4 * n, 4 * n, SRGB), "right": (4 * n, 4 * n, PQ)}
        if turned
        else {"main": (columns * n, rows * n, SRGB)}
    )
    stage = stage_of(cabinets, [], [wall_of("main", "flat", columns, rows, panel_px)], canvases)
    return Room(
        "turned" if turned else "flat",
        stage,
        np.array([0.0, 3.0, 1.5]),
        ((-1.0, 1.0), (-0.5, 1.0), (1.0, 2.0)),
        panel_px,
    )


def arc_room(panel_px: int) -> Room:
    """10 x 4 panels on an arc of 2.6 m around the stage's middle, faceted, PQ."""
    columns, rows, radius = 10, 4, 2.6
    # Flat panels whose middles are tangent to the circle, edge to edge.
    turn = 2 * np.arctan(PANEL_M / 2 / radius)
    cabinets = []
    for row in range(rows):
        for column in range(columns):
            angle = (column + 0.5 - columns / 2) * turn
            right = np.array([np.cos(angle), -np.sin(angle), 0.0])
            middle = np.array([radius * np.sin(angle), radius * np.cos(angle), 0.5 + (rows - row - 0.5) * PANEL_M])
            cabinets.append(
                cabinet("main", column, row, panel_corners(middle, right, Z), "main", (column, row), panel_px)
            )
    canvases = {"main": (columns * panel_px, rows * panel_px, PQ)}
    stage = stage_of(cabinets, [], [wall_of("main", "arc", columns, rows, panel_px)], canvases)
    return Room("arc", stage, np.array([0.0, radius, 1.5]), ((-0.8, 0.8), (-0.8, 0.5), (1.0, 2.0)), panel_px)


def ceiling_room(panel_px: int) -> Room:
    """5 x 5 panels overhead, lit side down, seen from below and from behind."""
    columns = rows = 5
    cabinets = []
    for row in range(rows):
        for column in range(columns):
            middle = np.array([(column + 0.5 - columns / 2) * PANEL_M, (row + 0.5 - rows / 2) * PANEL_M + 1.0, 3.2])
            # Seen from below with +X to the right, up in the picture is towards the back (-Y).
            cabinets.append(cabinet("roof", column, row, panel_corners(middle, X, -Y), "roof", (column, row), panel_px))
    canvases = {"roof": (columns * panel_px, rows * panel_px, Encoding("gamma24", 1000.0, 10, "p3d65", "legal"))}
    stage = stage_of(cabinets, [], [wall_of("roof", "ceiling", columns, rows, panel_px)], canvases)
    return Room("ceiling", stage, np.array([0.0, 1.0, 3.2]), ((-0.6, 0.6), (-0.9, -0.2), (0.8, 1.4)), panel_px)


def mesh_room(panel_px: int) -> Room:
    """A doubly curved sheet of 4 x 2 m in 16 x 8 quads, shown through two tiles of which one stands on its head."""
    width_px, height_px = 8 * panel_px, 4 * panel_px
    columns, rows = 16, 8
    u, v = np.meshgrid(np.linspace(0, 1, columns + 1), np.linspace(0, 1, rows + 1))
    x, z = (u - 0.5) * 4.0, 2.5 - v * 2.0
    y = 3.0 - 0.35 * x**2 / 4.0 - 0.3 * (z - 1.5) ** 2
    positions = np.stack([x, y, z], axis=-1).reshape(-1, 3)
    wall_px = np.stack([u * width_px, v * height_px], axis=-1).reshape(-1, 2)
    triangles = []
    for r in range(rows):
        for c in range(columns):
            a, b = r * (columns + 1) + c, r * (columns + 1) + c + 1
            d, e = a + columns + 1, b + columns + 1
            triangles += [(d, e, a), (a, e, b)]  # counter-clockwise seen from -Y, where x runs right
    faces = np.array(triangles)
    normals = np.tile(-Y, (len(positions), 1))
    half = width_px // 2
    tiles = [
        MeshTile("m0", "main", "main", (0, 0, half, height_px), (0, 0, half, height_px), 0, False,
                 positions, normals, wall_px, faces),
        MeshTile("m1", "main", "main", (half, 0, half, height_px), (half, 0, half, height_px), 180, True,
                 positions, normals, wall_px, faces),
    ]  # fmt: skip
    stage = stage_of([], tiles, [wall_of("main", "mesh", 8, 4, panel_px)], {"main": (width_px, height_px, PQ)})
    return Room("mesh", stage, np.array([0.0, 3.0, 1.5]), ((-0.8, 0.8), (-0.5, 0.7), (1.0, 2.0)), panel_px)


MAKERS: dict[str, Callable[[int], Room]] = {
    "flat": flat_room,
    "arc": arc_room,
    "ceiling": ceiling_room,
    "mesh": mesh_room,
    "turned": lambda panel_px: flat_room(panel_px, turned=True),
}


def replaced(plan: FramePlan, **changes: Any) -> FramePlan:
    """The plan with its camera changed."""
    return msgspec.structs.replace(plan, cameras=[msgspec.structs.replace(plan.cameras[0], **changes)])


class Place:
    """A room with its renderer and its virtual camera, ready to be measured."""

    def __init__(self, device: Device, room: Room) -> None:
        from renderer.config import RenderConfig
        from renderer.renderer import Renderer
        from renderer.twin.camera import VirtualCamera

        self.device, self.room = device, room
        self.camera = VirtualCamera(device, room.stage)
        self.config = RenderConfig(outer_px=512)
        self.renderer = Renderer(device)
        self.renderer.load_stage(room.stage, scale=1, render=self.config)

    def plan(self, stage_from_camera: Array, lens: PlanLens, *, texels_per_led: float = 1.35, **more: Any) -> FramePlan:
        """A plan whose inner raster has so many texels at the densest LED in view."""
        from renderer.twin.measures import leds_in_view
        from renderer.twin.view import PhotoView

        plan = self.room.plan(stage_from_camera, lens, **more)
        seen = leds_in_view(self.camera, PhotoView.of(plan.cameras[0], width_px=480), at_most=20_000)
        grow = texels_per_led / seen.texels_per_led()
        width, height = plan.cameras[0].raster_px
        return replaced(plan, raster_px=(int(np.ceil(width * grow)), int(np.ceil(height * grow))))

    def surroundings(self) -> Shapes:
        """The world around the rooms, writing stage positions."""
        return shapes(self.device, positions=True)

    def gather(
        self,
        plan: FramePlan,
        *,
        pictured: bool = False,
        measured: bool = True,
        stage: CompiledStage | None = None,
        **more: Any,
    ) -> Evidence:
        """The evidence of a plan: path, geometry if `measured`, picture if `pictured`.

        `stage`: what the renderer is given in place of the room's (a mutant).
        """
        from renderer.twin.evidence import gather

        version = plan.config_version
        if stage is not None:
            self.renderer.load_stage(stage, version=version + 1, scale=1, render=self.config)
            more["drawn_plan"] = msgspec.structs.replace(more.get("drawn_plan", plan), config_version=version + 1)
        scene = shapes(self.device, positions=False) if pictured else None
        positions = shapes(self.device, positions=True) if measured else None
        found = gather(self.renderer, self.camera, plan, scene=scene, positions=positions, leds_at_most=40_000, **more)
        if stage is not None:
            self.renderer.drop_stage(version + 1)
        for world in (scene, positions):
            if world is not None:
                world.release()
        return found

    def release(self) -> None:
        """Free renderer and camera."""
        self.renderer.release()
        self.camera.release()


def shapes(device: Device, *, positions: bool) -> Shapes:
    """A small world around every room: a dome, a floor, a far card and three balls behind the walls and over them."""
    from renderer.twin.worlds import Shapes

    return Shapes(
        device,
        spheres=[
            ((0.0, 0.0, 0.0), 60.0),
            ((-1.2, 6.0, 1.0), 0.8),
            ((1.0, 5.0, 2.0), 0.5),
            ((0.2, 9.0, 0.6), 1.0),
            ((0.3, 1.5, 6.0), 0.7),
        ],
        quads=[
            ((-20.0, -20.0, -0.5), (40.0, 0.0, 0.0), (0.0, 60.0, 0.0)),
            ((-6.0, 12.0, -0.5), (5.0, 1.0, 0.0), Z * 4),
        ],
        positions=positions,
    )


@pytest.fixture(scope="session")
def places(gl: Device) -> Callable[[str, int], Place]:
    """Rooms by kind and pixels of a panel's side, each made once."""
    made: dict[tuple[str, int], Place] = {}

    def place(kind: str, panel_px: int = 96) -> Place:
        if (kind, panel_px) not in made:
            made[kind, panel_px] = Place(gl, MAKERS[kind](panel_px))
        return made[kind, panel_px]

    return place


@pytest.fixture(scope="session")
def stands(gl: Device) -> Callable[[str, CompiledStage], Place]:
    """A place around somebody else's compiled stage, its cameras standing as in the room of its kind."""

    def place(kind: str, stage: CompiledStage) -> Place:
        alike = MAKERS.get(kind, flat_room)(96)
        return Place(gl, replace(alike, stage=stage))

    return place


@pytest.fixture(scope="session")
def lenses() -> dict[str, PlanLens]:
    """A lens without distortion and one with a good deal of it."""
    return {"pinhole": LENS, "barrel": BARREL}
