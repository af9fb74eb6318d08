"""Frames: the worked example, real equivalent poses of six systems, and properties against independent formulas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from stage import frames

# reference/tracking.md section 1, printed there with six decimals.
WORKED_POSE = np.array(
    [
        [0.855163, 0.492404, 0.161973, 1.25],
        [-0.511204, 0.852869, 0.106234, -2.00],
        [-0.085832, -0.173648, 0.981060, 1.75],
        [0.0, 0.0, 0.0, 1.0],
    ]
)
WORKED_VIEW = np.array(
    [
        [0.855163, -0.511204, -0.085832, -1.941156],
        [0.161973, 0.106234, 0.981060, -1.706854],
        [-0.492404, -0.852869, 0.173648, -1.394117],
        [0.0, 0.0, 0.0, 1.0],
    ]
)
PRINTED = 6e-7
"""Half a unit of the sixth decimal, and a little."""

degrees_of_turn = st.floats(-180.0, 180.0)
tilts = st.floats(-90.0, 90.0)
metres = st.floats(-100.0, 100.0)
positions = st.tuples(metres, metres, metres)
rotations = st.tuples(degrees_of_turn, tilts, degrees_of_turn).map(
    lambda angles: Rotation.from_euler("ZXY", angles, degrees=True)
)


def is_rotation(matrix: np.ndarray) -> bool:
    square = matrix[:3, :3]
    return bool(np.allclose(square @ square.T, np.eye(3), atol=1e-12) and np.linalg.det(square) > 0.999)


# --- the worked example -------------------------------------------------------------------------------------------


def test_worked_example_from_freed() -> None:
    pose = frames.pose_from_freed(30.0, -10.0, 5.0, 1250.0, -2000.0, 1750.0)
    np.testing.assert_allclose(pose, WORKED_POSE, atol=PRINTED)


def test_worked_example_in_stage_angles_pans_to_the_left() -> None:
    pose = frames.pose_from_pan_tilt_roll((1.25, -2.0, 1.75), pan_deg=-30.0, tilt_deg=-10.0, roll_deg=5.0)
    np.testing.assert_allclose(pose, WORKED_POSE, atol=PRINTED)


def test_worked_example_as_unity_y_up_and_unreal_see_it() -> None:
    unity = frames.pose_from_unity((1.25, 1.75, -2.0), (0.072859, 0.261261, -0.064509, 0.960350))
    y_up = frames.pose_from_y_up((1.25, 1.75, 2.0), (-0.072859, -0.261261, -0.064509, 0.960350))
    unreal = frames.pose_from_unreal(-200.0, 125.0, 175.0, pitch_deg=-10.0, yaw_deg=30.0, roll_deg=5.0)
    for pose in (unity, y_up, unreal):
        np.testing.assert_allclose(pose, WORKED_POSE, atol=3e-6)


def test_worked_example_view_and_pupil() -> None:
    pose = frames.pose_from_freed(30.0, -10.0, 5.0, 1250.0, -2000.0, 1750.0)
    np.testing.assert_allclose(frames.inverse_pose(frames.stage_from_gl(pose)), WORKED_VIEW, atol=PRINTED)
    pupil_m = frames.transform_points(pose, (0.0, 0.12, 0.0))
    np.testing.assert_allclose(pupil_m, (1.309088, -1.897656, 1.729162), atol=PRINTED)


def test_worked_chain_of_three_transforms() -> None:
    dolly = frames.pose_from_pan_tilt_roll((1.0, 2.0, 0.0), pan_deg=10.0)
    arm = frames.pose_from_pan_tilt_roll((0.0, 3.0, 1.0), tilt_deg=20.0)
    camera = frames.pose_from_pan_tilt_roll((0.0, 0.5, 0.2), pan_deg=-5.0, tilt_deg=-15.0, roll_deg=2.0)
    pose = dolly @ arm @ camera
    np.testing.assert_allclose(pose[:3, 3], (0.409346, 5.349767, 1.358949), atol=PRINTED)
    np.testing.assert_allclose(pose[:3, 1], (-0.089481, 0.992278, 0.085899), atol=PRINTED)


@pytest.mark.parametrize(
    ("angles", "axis", "expected"),
    [
        ((90.0, 0.0, 0.0), (0, 1, 0), (-1, 0, 0)),  # pan + : the lens turns to the left
        ((0.0, 90.0, 0.0), (0, 1, 0), (0, 0, 1)),  # tilt + : the lens turns up
        ((0.0, 0.0, 90.0), (1, 0, 0), (0, 0, -1)),  # roll + : the right side falls, clockwise from behind
    ],
)
def test_signs_of_the_three_angles(angles: tuple[float, float, float], axis: Any, expected: Any) -> None:
    np.testing.assert_allclose(frames.rotation_from_pan_tilt_roll(*angles) @ axis, expected, atol=1e-15)


# --- the same poses as six systems state them ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def equivalent_poses(reference: Path) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads((reference / "tracking/poses/equivalent_poses.json").read_text())["cases"]
    assert len(cases) >= 6
    return cases


def unreal_quaternion(pitch: float, yaw: float, roll: float, **_: float) -> list[float]:
    """Unreal's own conversion of an FRotator, written out."""
    (sp, sy, sr), (cp, cy, cr) = (f(np.radians((pitch, yaw, roll)) / 2.0) for f in (np.sin, np.cos))
    return [
        cr * sp * sy - sr * cp * cy,
        -cr * sp * cy - sr * cp * sy,
        cr * cp * sy - sr * sp * cy,
        cr * cp * cy + sr * sp * sy,
    ]


def test_equivalent_poses_agree(equivalent_poses: list[dict[str, Any]]) -> None:
    for case in equivalent_poses:
        expected = np.array(case["stage_from_camera"])
        track, freed, unreal = case["opentrackio"], case["freed"], case["unreal_cm"]
        angles = {f"{name}_deg": value for name, value in track["rotation"].items()}
        poses = {
            "opentrackio": frames.pose_from_pan_tilt_roll(track["translation"], **angles),
            "freed": frames.pose_from_freed(**{name: value for name, value in freed.items() if name != "hex"}),
            "unreal": frames.pose_from_unreal(
                unreal["x"],
                unreal["y"],
                unreal["z"],
                pitch_deg=unreal["pitch"],
                yaw_deg=unreal["yaw"],
                roll_deg=unreal["roll"],
            ),
            "unity": frames.pose_from_unity(case["unity_lh_yup"]["p"], case["unity_lh_yup"]["q_xyzw"]),
            "y_up": frames.pose_from_y_up(case["yup_rh"]["p"], case["yup_rh"]["q_xyzw"]),
            "unreal quaternion": frames.pose_from_unreal_quaternion(
                (unreal["x"], unreal["y"], unreal["z"]), unreal_quaternion(**unreal)
            ),
            "psn": frames.pose_from_psn(case["psn_lh"]["pos"], case["psn_lh"]["ori"]),
            "psn right-handed": frames.pose_from_psn(
                case["yup_rh"]["p"], Rotation.from_quat(case["yup_rh"]["q_xyzw"]).as_rotvec(), right_handed=True
            ),
            "mosys_f4": frames.pose_from_mosys_f4(
                *(track["rotation"][name] for name in ("pan", "tilt", "roll")),
                *(1000.0 * v for v in track["translation"]),
            ),
            "rttrpm": frames.pose_from_rttrpm(track["translation"], expected[:3, :3]),
            "rttrpm y up": frames.pose_from_rttrpm(
                case["yup_rh"]["p"], Rotation.from_quat(case["yup_rh"]["q_xyzw"]).as_matrix(), up="y"
            ),
            # Y up, right-handed, turned about Y, X and Z one after the other: nothing but the right-hand rule.
            "stype": frames.pose_from_stype(
                *Rotation.from_quat(case["yup_rh"]["q_xyzw"]).as_euler("YXZ", degrees=True), case["yup_rh"]["p"]
            ),
        }
        for source, pose in poses.items():
            np.testing.assert_allclose(pose, expected, atol=1e-9, err_msg=source)
        np.testing.assert_allclose(frames.stage_from_gl(expected), np.array(case["stage_from_gl_camera"]), atol=1e-12)
        back = frames.pan_tilt_roll_from_rotation(expected)
        np.testing.assert_allclose(back, [track["rotation"][name] for name in ("pan", "tilt", "roll")], atol=1e-9)


@pytest.mark.parametrize(
    ("convention", "right", "up", "clockwise"),
    [
        ("right_hand", -10.0, 10.0, -10.0),
        ("hf_client", -10.0, -10.0, -10.0),
        ("a5_client", 10.0, 10.0, -10.0),
        ("unreal_client", 10.0, 10.0, 10.0),
    ],
)
def test_what_stype_angles_do(convention: Any, right: float, up: float, clockwise: float) -> None:
    panned = frames.pose_from_stype(right, 0, 0, (0, 0, 0), convention=convention) @ (0, 1, 0, 0)
    tilted = frames.pose_from_stype(0, up, 0, (0, 0, 0), convention=convention) @ (0, 1, 0, 0)
    rolled = frames.pose_from_stype(0, 0, clockwise, (0, 0, 0), convention=convention) @ (0, 0, 1, 0)
    assert panned[0] > 0.1
    assert tilted[2] > 0.1
    assert rolled[0] > 0.1
    at = frames.pose_from_stype(0, 0, 0, (1.0, 2.0, 3.0), convention=convention)[:3, 3]
    assert at.tolist() == ([3.0, 1.0, 2.0] if convention == "unreal_client" else [1.0, -3.0, 2.0])


@given(degrees_of_turn, st.floats(-89.0, 89.0), degrees_of_turn, st.tuples(*[st.floats(-50.0, 50.0)] * 3))
def test_other_frames_there_and_back(pan_deg: float, tilt_deg: float, roll_deg: float, place: Any) -> None:
    pose = frames.pose_from_pan_tilt_roll(place, pan_deg=pan_deg, tilt_deg=tilt_deg, roll_deg=roll_deg)
    back = [frames.pose_from_unreal_quaternion(*frames.unreal_from_pose(pose))]
    back += [frames.pose_from_psn(*frames.psn_from_pose(pose, right_handed=r), right_handed=r) for r in (True, False)]
    conventions: Any = ("right_hand", "hf_client", "a5_client", "unreal_client")
    back += [frames.pose_from_stype(*frames.stype_from_pose(pose, convention=c), convention=c) for c in conventions]
    for axis in ("z", "y"):
        up: Any = axis
        position, quaternion = frames.rttrpm_from_pose(pose, up=up)
        back.append(frames.pose_from_rttrpm(position, frames.rotation_from_quaternion(quaternion), up=up))
    for other in back:
        np.testing.assert_allclose(other, pose, atol=1e-9)


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.floats(-6.0, 6.0)), min_size=1, max_size=3))
def test_turns_one_after_the_other(turns: list[tuple[str, float]]) -> None:
    expected = np.eye(3)
    for axis, angle in turns:
        expected = expected @ Rotation.from_euler(axis.upper(), angle).as_matrix()
    np.testing.assert_allclose(frames.rotation_from_turns(turns), expected, atol=1e-12)


# --- angles -------------------------------------------------------------------------------------------------------


@given(degrees_of_turn, tilts, degrees_of_turn)
def test_angles_mean_intrinsic_z_x_y(pan_deg: float, tilt_deg: float, roll_deg: float) -> None:
    expected = Rotation.from_euler("ZXY", (pan_deg, tilt_deg, roll_deg), degrees=True).as_matrix()
    np.testing.assert_allclose(frames.rotation_from_pan_tilt_roll(pan_deg, tilt_deg, roll_deg), expected, atol=1e-14)


@given(degrees_of_turn, st.floats(-89.0, 89.0), degrees_of_turn)
def test_angles_round_trip(pan_deg: float, tilt_deg: float, roll_deg: float) -> None:
    rotation = frames.rotation_from_pan_tilt_roll(pan_deg, tilt_deg, roll_deg)
    turned = np.subtract(frames.pan_tilt_roll_from_rotation(rotation), (pan_deg, tilt_deg, roll_deg))
    np.testing.assert_allclose((turned + 180.0) % 360.0 - 180.0, 0.0, atol=1e-9)


@given(degrees_of_turn, tilts, degrees_of_turn)
def test_angles_give_the_rotation_back_everywhere(pan_deg: float, tilt_deg: float, roll_deg: float) -> None:
    rotation = frames.rotation_from_pan_tilt_roll(pan_deg, tilt_deg, roll_deg)
    back = frames.rotation_from_pan_tilt_roll(*frames.pan_tilt_roll_from_rotation(rotation))
    np.testing.assert_allclose(back, rotation, atol=2e-6)  # the gimbal branch takes cos(tilt) < 1.5e-6 for zero


@pytest.mark.parametrize("tilt_deg", [90.0, -90.0])
@given(pan_deg=degrees_of_turn, roll_deg=degrees_of_turn)
def test_gimbal_lock_puts_the_roll_into_the_pan(tilt_deg: float, pan_deg: float, roll_deg: float) -> None:
    rotation = frames.rotation_from_pan_tilt_roll(pan_deg, tilt_deg, roll_deg)
    pan, tilt, roll = frames.pan_tilt_roll_from_rotation(rotation)
    assert tilt == pytest.approx(tilt_deg, abs=1e-5)
    assert roll == 0.0
    expected = pan_deg + roll_deg if tilt_deg > 0 else pan_deg - roll_deg
    assert (pan - expected + 180.0) % 360.0 - 180.0 == pytest.approx(0.0, abs=1e-6)


# --- quaternions and rotation vectors -----------------------------------------------------------------------------


@given(rotations)
def test_quaternions_agree_with_scipy_and_have_positive_w(rotation: Rotation) -> None:
    quaternion = frames.quaternion_from_rotation(rotation.as_matrix())
    expected = rotation.as_quat()
    assert quaternion[3] >= 0.0
    assert abs(float(quaternion @ expected)) == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(frames.rotation_from_quaternion(quaternion), rotation.as_matrix(), atol=1e-12)


@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, -2, 3), (-1, -1, -1)])
@pytest.mark.parametrize("angle_deg", [0.0, 1e-9, 1e-3, 90.0, 179.999999, 180.0])
def test_half_turns_and_tiny_turns_lose_nothing(axis: tuple[int, int, int], angle_deg: float) -> None:
    unit = np.array(axis) / np.linalg.norm(axis)
    rotation = frames.rotation_from_vector(unit * np.radians(angle_deg))
    assert is_rotation(rotation)
    back = frames.rotation_from_quaternion(frames.quaternion_from_rotation(rotation))
    np.testing.assert_allclose(back, rotation, atol=1e-14)
    vector = frames.vector_from_rotation(rotation)
    assert np.linalg.norm(vector) == pytest.approx(np.radians(angle_deg), abs=1e-14, rel=1e-9)
    np.testing.assert_allclose(frames.rotation_from_vector(vector), rotation, atol=1e-14)


@given(rotations)
def test_rotation_vectors_agree_with_scipy(rotation: Rotation) -> None:
    vector = frames.vector_from_rotation(rotation.as_matrix())
    assert np.linalg.norm(vector) <= np.pi + 1e-12
    np.testing.assert_allclose(Rotation.from_rotvec(vector).as_matrix(), rotation.as_matrix(), atol=1e-12)
    np.testing.assert_allclose(frames.rotation_from_vector(rotation.as_rotvec()), rotation.as_matrix(), atol=1e-12)


@given(rotations, st.floats(0.01, 100.0))
def test_quaternions_are_normalised_and_sign_does_not_matter(rotation: Rotation, length: float) -> None:
    quaternion = rotation.as_quat()
    np.testing.assert_allclose(frames.rotation_from_quaternion(quaternion * length), rotation.as_matrix(), atol=1e-12)
    np.testing.assert_allclose(frames.rotation_from_quaternion(-quaternion), rotation.as_matrix(), atol=1e-12)


@pytest.mark.parametrize("bad", [(0, 0, 0, 0), (np.nan, 0, 0, 1), (np.inf, 0, 0, 1), (1e-12, 0, 0, 0)])
def test_quaternions_without_direction_are_refused(bad: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="has no direction"):
        frames.rotation_from_quaternion(bad)


# --- poses --------------------------------------------------------------------------------------------------------


@given(positions, rotations)
def test_inverse_undoes_a_pose(position_m: tuple[float, ...], rotation: Rotation) -> None:
    pose = frames.pose(position_m, rotation.as_matrix())
    np.testing.assert_allclose(frames.inverse_pose(pose) @ pose, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(frames.inverse_pose(pose), np.linalg.inv(pose), atol=1e-12)


@given(positions, rotations, st.lists(positions, min_size=1, max_size=5))
def test_points_move_as_homogeneous_columns(position_m: Any, rotation: Rotation, points: Any) -> None:
    pose = frames.pose_from_quaternion(position_m, rotation.as_quat())
    columns = np.column_stack([np.array(points), np.ones(len(points))])
    np.testing.assert_allclose(frames.transform_points(pose, points), (columns @ pose.T)[:, :3], atol=1e-12)


def test_points_of_any_shape_move() -> None:
    pose = frames.pose_from_pan_tilt_roll((1.0, 2.0, 3.0), pan_deg=90.0)
    grid = np.zeros((2, 3, 3))
    assert frames.transform_points(pose, grid).shape == (2, 3, 3)
    np.testing.assert_allclose(frames.transform_points(pose, (1.0, 0.0, 0.0)), (1.0, 3.0, 3.0), atol=1e-15)


@given(positions, rotations, positions, rotations, st.floats(-0.5, 1.5))
def test_interpolation_is_rigid_steady_and_ends_where_it_should(
    a_m: Any, a_rotation: Rotation, b_m: Any, b_rotation: Rotation, fraction: float
) -> None:
    a, b = frames.pose(a_m, a_rotation.as_matrix()), frames.pose(b_m, b_rotation.as_matrix())
    np.testing.assert_allclose(frames.interpolate_pose(a, b, 0.0), a, atol=1e-12)
    np.testing.assert_allclose(frames.interpolate_pose(a, b, 1.0), b, atol=1e-9)
    between = frames.interpolate_pose(a, b, fraction)
    assert is_rotation(between)
    np.testing.assert_allclose(between[:3, 3], np.array(a_m) + (np.array(b_m) - a_m) * fraction, atol=1e-10)
    whole = (a_rotation.inv() * b_rotation).magnitude()
    part = (a_rotation.inv() * Rotation.from_matrix(between[:3, :3])).magnitude()
    turned = abs(fraction) * whole
    assert part == pytest.approx(min(turned, 2 * np.pi - turned), abs=1e-6)


# --- source frames ------------------------------------------------------------------------------------------------


@given(positions, rotations)
def test_unity_is_the_reflection_that_swaps_y_and_z(position_m: Any, rotation: Rotation) -> None:
    swap = frames.STAGE_FROM_UNITY[:3, :3]
    assert np.linalg.det(swap) == pytest.approx(-1.0)
    unity = Rotation.from_matrix(swap @ rotation.as_matrix() @ swap)
    pose = frames.pose_from_unity(swap @ position_m, unity.as_quat())
    np.testing.assert_allclose(pose, frames.pose(position_m, rotation.as_matrix()), atol=1e-12)


@given(positions, rotations)
def test_y_up_cameras_look_along_minus_z(position_m: Any, rotation: Rotation) -> None:
    expected = frames.pose(position_m, rotation.as_matrix())
    y_up_from_stage = np.linalg.inv(frames.STAGE_FROM_Y_UP)
    y_up = y_up_from_stage @ frames.stage_from_gl(expected)
    pose = frames.pose_from_y_up(y_up[:3, 3], Rotation.from_matrix(y_up[:3, :3]).as_quat())
    np.testing.assert_allclose(pose, expected, atol=1e-12)
    np.testing.assert_allclose(-frames.stage_from_gl(expected)[:3, 2], expected[:3, 1], atol=1e-15)


@given(st.floats(-90.0, 90.0), degrees_of_turn, degrees_of_turn, positions)
def test_unreal_axes_land_where_its_rotator_puts_them(
    pitch_deg: float, yaw_deg: float, roll_deg: float, position_cm: Any
) -> None:
    pose = frames.pose_from_unreal(*position_cm, pitch_deg=pitch_deg, yaw_deg=yaw_deg, roll_deg=roll_deg)
    p, y, r = np.radians((pitch_deg, yaw_deg, roll_deg))
    # The actor's forward and right axes in Unreal's world (X forward, Y right, Z up).
    forward = (np.cos(p) * np.cos(y), np.cos(p) * np.sin(y), np.sin(p))
    right = (
        np.sin(r) * np.sin(p) * np.cos(y) - np.cos(r) * np.sin(y),
        np.sin(r) * np.sin(p) * np.sin(y) + np.cos(r) * np.cos(y),
        -np.sin(r) * np.cos(p),
    )
    metres_from_cm = frames.STAGE_FROM_UNREAL_CM
    np.testing.assert_allclose(pose[:3, 1], metres_from_cm[:3, :3] @ forward * 100.0, atol=1e-12)
    np.testing.assert_allclose(pose[:3, 0], metres_from_cm[:3, :3] @ right * 100.0, atol=1e-12)
    np.testing.assert_allclose(pose[:3, 3], frames.transform_points(metres_from_cm, position_cm), atol=1e-12)
    assert is_rotation(pose)


def test_gl_axes_are_a_proper_turn() -> None:
    turn = frames.CAMERA_FROM_GL
    assert is_rotation(turn)
    np.testing.assert_array_equal(turn[:3, :3] @ (0, 0, -1), (0, 1, 0))  # looks forward
    np.testing.assert_array_equal(turn[:3, :3] @ (0, 1, 0), (0, 0, 1))  # up is up
