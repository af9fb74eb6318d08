"""Walls: where every cabinet hangs, checked against plain geometry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage.config import ArcWall, CeilingWall, FlatWall, FloorWall, PanelConfig, WallConfig
from stage.errors import Problem
from stage.frames import Array, rotation_from_pan_tilt_roll
from stage.panels import panels_of
from stage.walls import BuiltWall, build_wall

PANELS = panels_of({"p": PanelConfig(width_mm=500, height_mm=400, width_px=10, height_px=8, nits=1000)})


def build(config: WallConfig) -> BuiltWall:
    problems: list[Problem] = []
    built = build_wall("w", config, PANELS, base_dir=Path(), problems=problems)
    assert built is not None, problems
    return built


def corners(built: BuiltWall) -> Array:
    """[rows, columns, 4, 3]"""
    return np.array([p.corners_m for p in built.pieces]).reshape(built.wall.rows, built.wall.columns, 4, 3)


def lit(built: BuiltWall) -> Array:
    """Unit normals out of the lit sides, [rows, columns, 3]."""
    c = corners(built)
    n = np.cross(c[..., 1, :] - c[..., 0, :], c[..., 2, :] - c[..., 0, :])
    return np.asarray(n / np.linalg.norm(n, axis=-1, keepdims=True))


def test_flat_wall_stands_on_its_bottom_edge_and_faces_the_stage() -> None:
    built = build(FlatWall(type="flat", panel="p", columns=4, rows=3, position_m=(1.0, 5.0, 0.2)))
    c = corners(built)
    # Column 0 is on the left of one who looks along +Y, row 0 at the top.
    np.testing.assert_allclose(c[2, 0, 0], (0.0, 5.0, 0.2))
    np.testing.assert_allclose(c[0, 3, 3], (2.0, 5.0, 1.4))
    np.testing.assert_allclose(lit(built), np.broadcast_to((0.0, -1.0, 0.0), (3, 4, 3)), atol=1e-12)
    assert (built.wall.width_px, built.wall.height_px) == (40, 24)
    assert (built.wall.width_m, built.wall.height_m) == pytest.approx((2.0, 1.2))
    assert built.pieces[0].wall_rect_px == (0, 0, 10, 8)
    assert built.pieces[-1].wall_rect_px == (30, 16, 10, 8)


def test_pan_90_is_a_wall_on_the_left_that_faces_right() -> None:
    built = build(FlatWall(type="flat", panel="p", columns=2, rows=1, position_m=(-3.0, 0.0, 0.0), pan_deg=90.0))
    np.testing.assert_allclose(lit(built)[0, 0], (1.0, 0.0, 0.0), atol=1e-12)
    # Its left edge is the one nearer to the back of the stage.
    np.testing.assert_allclose(corners(built)[0, 0, 0], (-3.0, -0.5, 0.0), atol=1e-12)


def test_tilt_leans_a_wall_over_its_viewer() -> None:
    built = build(FlatWall(type="flat", panel="p", columns=1, rows=1, position_m=(0.0, 3.0, 0.0), tilt_deg=30.0))
    c = corners(built)[0, 0]
    np.testing.assert_allclose(c[2], (-0.25, 3.0 - 0.4 * 0.5, 0.4 * np.cos(np.pi / 6)), atol=1e-12)
    assert lit(built)[0, 0][2] < 0.0


@given(
    st.tuples(*[st.floats(-50, 50)] * 3), st.floats(-180, 180), st.floats(-89, 89), st.floats(-180, 180),
    st.integers(1, 6), st.integers(1, 4),
)  # fmt: skip
def test_flat_walls_are_rigid(
    position: tuple[float, float, float], pan: float, tilt: float, roll: float, columns: int, rows: int
) -> None:
    built = build(
        FlatWall(
            type="flat",
            panel="p",
            columns=columns,
            rows=rows,
            position_m=position,
            pan_deg=pan,
            tilt_deg=tilt,
            roll_deg=roll,
        )
    )
    c = corners(built)
    np.testing.assert_allclose((c[-1, 0, 0] + c[-1, -1, 1]) / 2.0, position, atol=1e-9)
    rotation = rotation_from_pan_tilt_roll(pan, tilt, roll)
    np.testing.assert_allclose(
        lit(built).reshape(-1, 3) @ rotation, np.tile((0.0, -1.0, 0.0), (columns * rows, 1)), atol=1e-9
    )
    np.testing.assert_allclose(np.linalg.norm(c[..., 1, :] - c[..., 0, :], axis=-1), 0.5)
    np.testing.assert_allclose(np.linalg.norm(c[..., 2, :] - c[..., 0, :], axis=-1), 0.4)
    # Neighbours touch.
    np.testing.assert_allclose(c[:, :-1, 1], c[:, 1:, 0], atol=1e-9)
    np.testing.assert_allclose(c[:-1, :, 0], c[1:, :, 2], atol=1e-9)


@given(st.integers(1, 40), st.floats(3.5, 60.0), st.floats(-180, 180), st.booleans())
def test_arcs_are_chords_of_their_circle(columns: int, radius: float, pan: float, concave: bool) -> None:
    centre = np.array([1.0, -2.0, 0.3])
    built = build(
        ArcWall(
            type="arc",
            panel="p",
            columns=columns,
            rows=2,
            radius_m=radius,
            centre_m=tuple(centre),
            centre_pan_deg=pan,
            concave=concave,
        )
    )
    c = corners(built)
    np.testing.assert_allclose(np.linalg.norm(c[..., :2] - centre[:2], axis=-1), radius, rtol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(c[..., 1, :] - c[..., 0, :], axis=-1), 0.5, rtol=1e-9)
    np.testing.assert_allclose(c[:, :-1, 1], c[:, 1:, 0], atol=1e-9)
    assert float(c[..., 2].min()) == pytest.approx(0.3)
    middles = c.mean(axis=2)
    to_axis = (centre - middles)[..., :2]
    facing = (to_axis * lit(built)[..., :2]).sum(axis=-1)
    assert (facing > 0).all() if concave else (facing < 0).all()
    # The arc's middle lies where centre_pan_deg says: looking out of a concave one, looking in at a convex one.
    across = (c[0, 0, 2] + c[0, -1, 3])[:2] / 2.0 - centre[:2]
    forward = rotation_from_pan_tilt_roll(pan, 0, 0)[:2, 1] * (1.0 if concave else -1.0)
    if columns * 0.5 < radius:
        assert float(across @ forward) > 0.0
        assert abs(float(across[0] * forward[1] - across[1] * forward[0])) < 1e-9


@pytest.mark.parametrize("concave", [True, False])
def test_an_arc_runs_left_to_right_seen_from_its_lit_side(concave: bool) -> None:
    built = build(ArcWall(type="arc", panel="p", columns=5, rows=1, radius_m=5.0, centre_m=(0, 0, 0), concave=concave))
    x = corners(built)[0, :, 0, 0]
    # From inside looking along +Y, and from outside (at -Y) looking along +Y: left is -X.
    assert (np.diff(x) > 0).all()


def test_an_arc_longer_than_its_circle_is_refused() -> None:
    problems: list[Problem] = []
    config = ArcWall(type="arc", panel="p", columns=100, rows=1, radius_m=2.0, centre_m=(0, 0, 0))
    assert build_wall("w", config, PANELS, base_dir=Path(), problems=problems) is None
    assert problems[0].code == "stage.arc_too_long"
    most = int(problems[0].mend.split()[2])
    build(config.model_copy(update={"columns": most}))
    problems.clear()
    tiny = config.model_copy(update={"radius_m": 0.2, "columns": 2})
    assert build_wall("w", tiny, PANELS, base_dir=Path(), problems=problems) is None


def test_a_ceiling_goes_on_where_the_front_wall_ends() -> None:
    built = build(CeilingWall(type="ceiling", panel="p", columns=4, rows=3, centre_m=(0.5, 2.0, 5.0)))
    c = corners(built)
    np.testing.assert_allclose(lit(built), np.broadcast_to((0.0, 0.0, -1.0), (3, 4, 3)), atol=1e-12)
    # Bottom left of the picture: on the left, toward the wall.
    np.testing.assert_allclose(c[-1, 0, 0], (-0.5, 2.6, 5.0), atol=1e-12)
    np.testing.assert_allclose(c[0, -1, 3], (1.5, 1.4, 5.0), atol=1e-12)


def test_a_floor_begins_where_the_front_wall_ends() -> None:
    built = build(FloorWall(type="floor", panel="p", columns=4, rows=3, centre_m=(0.5, 2.0, 0.0)))
    c = corners(built)
    np.testing.assert_allclose(lit(built), np.broadcast_to((0.0, 0.0, 1.0), (3, 4, 3)), atol=1e-12)
    # Top left of the picture: on the left, toward the wall.
    np.testing.assert_allclose(c[0, 0, 2], (-0.5, 2.6, 0.0), atol=1e-12)
    np.testing.assert_allclose(c[-1, -1, 1], (1.5, 1.4, 0.0), atol=1e-12)


@pytest.mark.parametrize("kind", [CeilingWall, FloorWall])
def test_tilt_raises_the_edge_toward_the_wall(kind: type[CeilingWall | FloorWall]) -> None:
    name = "ceiling" if kind is CeilingWall else "floor"
    built = build(kind(type=name, panel="p", columns=1, rows=1, centre_m=(0, 0, 2.0), tilt_deg=10.0))
    c = corners(built)[0, 0]
    front = c[np.argmax(c[:, 1])]
    assert front[2] == pytest.approx(2.0 + 0.2 * np.sin(np.radians(10.0)))
    turned = build(kind(type=name, panel="p", columns=1, rows=1, centre_m=(0, 0, 2.0), pan_deg=90.0))
    # Turned left, the edge that was toward the wall is toward -X.
    bottom_or_top = corners(turned)[0, 0][0 if kind is CeilingWall else 2]
    assert bottom_or_top[0] == pytest.approx(-0.2)


def test_a_panel_without_a_peak_asks_for_one() -> None:
    panels = panels_of({})
    problems: list[Problem] = []
    config = FlatWall(type="flat", panel="absen_pl2_5", columns=1, rows=1, position_m=(0, 0, 0))
    assert build_wall("w", config, panels, base_dir=Path(), problems=problems) is None
    assert problems[0].path == "stage/walls/w/nits"
    built = build_wall("w", config.model_copy(update={"nits": 900.0}), panels, base_dir=Path(), problems=[])
    assert built is not None
    assert built.wall.nits == 900.0


def test_an_unknown_panel_names_the_nearest() -> None:
    problems: list[Problem] = []
    config = FlatWall(type="flat", panel="roe_bp2", columns=1, rows=1, position_m=(0, 0, 0))
    assert build_wall("w", config, panels_of({}), base_dir=Path(), problems=problems) is None
    assert problems[0].code == "stage.unknown_panel"
    assert problems[0].mend == "did you mean `roe_bp2v2`?"


def test_walls_too_large_for_one_raster_are_refused() -> None:
    problems: list[Problem] = []
    config = FlatWall(type="flat", panel="roe_bp2v2", columns=2000, rows=1, position_m=(0, 0, 0))
    assert build_wall("w", config, panels_of({}), base_dir=Path(), problems=problems) is None
    assert problems[0].code == "stage.out_of_range"
