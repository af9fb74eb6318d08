"""Canvas meshes: flip then turn, positions, items, and the refusal of a scale that does not divide."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from renderer.canvas_mesh import ITEM_M, ScaleError, canvas_meshes, canvas_px_from_picture
from stage.compiled import MeshTile

# Where the picture's upper left and upper right corners go on a canvas rectangle 10 wide and 20 high at (100, 200).
CORNERS = {
    (0, False): ((100, 200), (110, 200)),
    (90, False): ((110, 200), (110, 220)),
    (180, False): ((110, 220), (100, 220)),
    (270, False): ((100, 220), (100, 200)),
    (0, True): ((110, 200), (100, 200)),
    (90, True): ((110, 220), (110, 200)),
    (180, True): ((100, 220), (110, 220)),
    (270, True): ((100, 200), (100, 220)),
}


@pytest.mark.parametrize(("rotate", "flip"), CORNERS)
def test_a_tile_is_flipped_then_turned_clockwise(rotate: int, flip: bool) -> None:
    got = canvas_px_from_picture([[0, 0], [1, 0]], rect_px=(100, 200, 10, 20), rotate=rotate, flip=flip)  # type: ignore[arg-type]
    assert np.array_equal(got, CORNERS[rotate, flip])


def test_corners_of_every_cabinet_lie_at_their_pixels(wallkit: ModuleType) -> None:
    stage = wallkit.arc_wall(7, 3)
    (mesh,) = canvas_meshes(stage).values()
    (part,) = mesh.parts
    assert part.items == 21
    positions = part.position_m.astype(np.float64) + mesh.origin_m
    for k, cabinet in enumerate(stage.cabinets):
        x, y, w, h = cabinet.rect_px
        corners = {(x, y + h): 0, (x + w, y + h): 1, (x, y): 2, (x + w, y): 3}
        mine = np.flatnonzero(part.label == k)
        for vertex in mine:
            wanted = cabinet.corners_m[corners[tuple(part.pixel[vertex].astype(int))]]  # type: ignore[index]
            assert np.allclose(positions[vertex], wanted, atol=2e-6)


def test_positions_of_a_long_wall_keep_two_micrometres(wallkit: ModuleType) -> None:
    stage = wallkit.arc_wall(84, 14, radius_m=14.0, px=256)
    (mesh,) = canvas_meshes(stage).values()
    (part,) = mesh.parts
    exact = np.concatenate([c.corners_m[[2, 3, 0, 1]] for c in stage.cabinets])
    error = np.linalg.norm(part.position_m.astype(np.float64) + mesh.origin_m - exact, axis=1)
    assert error.max() <= 2e-6


def test_metres_per_pixel_follow_the_turn_and_the_scale(wallkit: ModuleType) -> None:
    corners = wallkit.flat_corners((0, 4, 1), 0.5, 0.7)
    turned = wallkit.cabinet(0, corners, (0, 0, 50, 70), (0, 0, 70, 50), rotate=90)
    (mesh,) = canvas_meshes(wallkit.stage_of([turned], size=(70, 50)), scale=2).values()
    (part,) = mesh.parts
    # Turned clockwise, the picture's foot lies on the left of the canvas: x goes up the wall, y to the right.
    assert np.allclose(part.across_m, [[0, 0, 0.02]], atol=1e-6)
    assert np.allclose(part.along_m, [[0.02, 0, 0]], atol=1e-6)


def test_large_cabinets_become_items_of_bearable_size(wallkit: ModuleType) -> None:
    corners = wallkit.flat_corners((0, 4, 1.5), 3.0, 2.0)
    stage = wallkit.stage_of([wallkit.cabinet(0, corners, (0, 0, 300, 200), (0, 0, 300, 200))], size=(300, 200))
    (part,) = next(iter(canvas_meshes(stage).values())).parts
    assert part.items == 4 * 3
    assert np.linalg.norm(np.ptp(part.points_m, axis=1), axis=1).max() <= np.hypot(ITEM_M, ITEM_M) + 1e-9
    area = sum(0.5 * abs(np.linalg.det(np.diff(part.pixel[t].astype(float), axis=0))) for t in part.triangles)
    assert area == pytest.approx(300 * 200, rel=1e-6)


def test_cut_mesh_triangles_stay_on_the_same_plane_and_pixels(wallkit: ModuleType) -> None:
    tile = mesh_tile()
    stage = wallkit.stage_of([], meshes=(tile,), size=(100, 100))
    (mesh,) = canvas_meshes(stage).values()
    (part,) = mesh.parts
    assert len(part.triangles) > 2
    positions = part.position_m.astype(np.float64) + mesh.origin_m
    # The tile maps wall px (x, y) to stage (x/50 - 1, 4, 2 - y/50), and to canvas pixels 1:1 at (10, 20).
    assert np.allclose(positions[:, 0], part.wall_px[:, 0] / 50 - 1, atol=3e-6)
    assert np.allclose(positions[:, 2], 2 - part.wall_px[:, 1] / 50, atol=3e-6)
    assert np.allclose(part.pixel, part.wall_px + np.array([10 - 30, 20 - 40]), atol=1e-4)
    sides = np.linalg.norm(np.diff(positions[part.triangles][:, [0, 1, 2, 0]], axis=1), axis=2)
    assert sides.max() <= ITEM_M + 1e-6


def mesh_tile() -> MeshTile:
    wall_px = np.array([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0], [100.0, 100.0]])
    positions = np.stack([wall_px[:, 0] / 50 - 1, np.full(4, 4.0), 2 - wall_px[:, 1] / 50], axis=1)
    normals = np.tile([0.0, -1.0, 0.0], (4, 1))
    triangles = np.array([[0, 2, 1], [1, 2, 3]])
    return MeshTile(
        "m", "curve", "c", (30, 40, 50, 40), (10, 20, 50, 40), 0, False, positions, normals, wall_px, triangles
    )


def test_a_scale_that_does_not_divide_is_refused(wallkit: ModuleType) -> None:
    with pytest.raises(ScaleError) as caught:
        canvas_meshes(wallkit.flat_wall(px=50), scale=3)
    (problem,) = caught.value.problems
    assert (problem.code, problem.path, problem.value) == ("renderer.scale", "render/scale", 3)
