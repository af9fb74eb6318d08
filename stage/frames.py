"""The one place where coordinate conventions meet: the stage frame, and every source frame turned into it.

Stage frame: right-handed, metres, +X right, +Y forward to the wall, +Z up. A pose is `stage_from_camera`
(4x4, column vectors, row-major storage); camera axes are X right, Y forward (optical axis), Z up.
`pan` turns about Z (+ = left), `tilt` about X (+ = up), `roll` about Y (+ = clockwise seen from behind):
R = Rz(pan) Rx(tilt) Ry(roll). Degrees at the border, quaternions xyzw and radians inside.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import atan2, cos, hypot, isfinite, nan, radians, sin
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

_IDENTITY: Final[Array] = np.eye(4)

CAMERA_FROM_GL: Final[Array] = np.array(
    [[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
)
"""Turns GL camera axes (x right, y up, looks along -z) into camera axes (x right, y forward, z up)."""

STAGE_FROM_Y_UP: Final[Array] = CAMERA_FROM_GL
"""Turns a right-handed Y-up world (glTF, OpenVR, Motive) into the stage frame: (x, y, z) -> (x, -z, y)."""

STAGE_FROM_UNITY: Final[Array] = np.array(
    [[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
)
"""Swaps y and z: a left-handed Y-up world (Unity, VMC, PSN) becomes the stage frame. A reflection."""

STAGE_FROM_UNREAL_CM: Final[Array] = np.array(
    [[0.0, 0.01, 0.0, 0.0], [0.01, 0.0, 0.0, 0.0], [0.0, 0.0, 0.01, 0.0], [0.0, 0.0, 0.0, 1.0]]
)
"""Unreal: left-handed, X forward, Y right, Z up, centimetres. A reflection with a scale."""


def rotation_from_pan_tilt_roll(pan_deg: float, tilt_deg: float, roll_deg: float) -> Array:
    """Rotation, [3, 3], Rz(pan) Rx(tilt) Ry(roll), from degrees."""
    return np.array(_pan_tilt_roll(pan_deg, tilt_deg, roll_deg)).reshape(3, 3)


def _pan_tilt_roll(pan_deg: float, tilt_deg: float, roll_deg: float) -> tuple[float, ...]:
    """The same as nine plain numbers, row by row: trackers' samples come by the thousand a second."""
    p, t, r = radians(pan_deg), radians(tilt_deg), radians(roll_deg)
    if not isfinite(p + t + r):
        return (nan,) * 9
    cp, sp, ct, st, cr, sr = cos(p), sin(p), cos(t), sin(t), cos(r), sin(r)
    return (
        cp * cr - sp * st * sr, -sp * ct, cp * sr + sp * st * cr,
        sp * cr + cp * st * sr, cp * ct, sp * sr - cp * st * cr,
        -ct * sr, st, ct * cr,
    )  # fmt: skip


def pan_tilt_roll_from_rotation(rotation: ArrayLike) -> tuple[float, float, float]:
    """Pan, tilt, roll in degrees of a rotation, [3, 3] or [4, 4]. At |tilt| = 90 the roll is put into the pan."""
    m = np.asarray(rotation, dtype=np.float64)
    tilt = float(np.degrees(np.arcsin(np.clip(m[2, 1], -1.0, 1.0))))
    if abs(m[2, 1]) > 1.0 - 1e-12:
        return float(np.degrees(np.arctan2(m[1, 0], m[0, 0]))), tilt, 0.0
    pan = float(np.degrees(np.arctan2(-m[0, 1], m[1, 1])))
    roll = float(np.degrees(np.arctan2(-m[2, 0], m[2, 2])))
    return pan, tilt, roll


def quaternion_from_rotation(rotation: ArrayLike) -> Array:
    """Unit quaternion xyzw, [4], w >= 0, of a rotation, [3, 3] or [4, 4]."""
    return np.array(_quaternion(rotation))


def _quaternion(rotation: ArrayLike) -> list[float]:
    """The same as plain numbers: on single poses they are several times quicker than arrays."""
    m: list[list[float]] = np.asarray(rotation, dtype=np.float64).tolist()
    # The largest of the four squared components is taken first: no cancellation anywhere on the sphere.
    trace = m[0][0] + m[1][1] + m[2][2]
    squares = (m[0][0], m[1][1], m[2][2], trace)
    i = squares.index(max(squares))
    if i == 3:
        q = [m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1], 1.0 + trace]
    else:
        j, k = (i + 1) % 3, (i + 2) % 3
        q = [0.0] * 4
        q[i] = 1.0 + 2.0 * m[i][i] - trace
        q[j] = m[j][i] + m[i][j]
        q[k] = m[k][i] + m[i][k]
        q[3] = m[k][j] - m[j][k]
    length = hypot(*q)
    if q[3] < 0.0:
        length = -length
    return [c / length for c in q]


def rotation_from_quaternion(quaternion_xyzw: ArrayLike) -> Array:
    """Rotation, [3, 3], of a quaternion xyzw, [4]; it is normalised first.

    Raises
    ------
    ValueError : the quaternion's length is zero or not finite.
    """
    q: list[float] = np.asarray(quaternion_xyzw, dtype=np.float64).tolist()
    length = hypot(*q)  # no overflow on the way, whatever a sender says
    if not isfinite(length) or length < 1e-9:
        raise ValueError(f"quaternion {q} has no direction")
    x, y, z, w = (c / length for c in q)
    return np.array(
        (
            1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w),
            2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w),
            2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y),
        )
    ).reshape(3, 3)  # fmt: skip


def quaternion_from_euler(x_deg: float, y_deg: float, z_deg: float, order: str) -> Array:
    """Unit quaternion xyzw, [4], of turns about a frame's own fixed axes, applied in the order of the letters ("zxy":
    z first). Degrees; in a left-handed frame left-handed turns, and the quaternion is that frame's.

    Raises
    ------
    ValueError : the order is not the letters x, y and z once each.
    """
    if sorted(order) != ["x", "y", "z"]:
        raise ValueError(f"{order!r} is not an order of x, y and z")
    turns = {"x": x_deg, "y": y_deg, "z": z_deg}
    out = np.array([0.0, 0.0, 0.0, 1.0])
    for axis in order:
        half = np.radians(turns[axis]) / 2.0
        turn = np.zeros(4)
        turn["xyz".index(axis)], turn[3] = np.sin(half), np.cos(half)
        out = quaternion_product(turn, out)
    return out


def euler_from_quaternion(quaternion_xyzw: ArrayLike, order: str) -> tuple[float, float, float]:
    """Turns about x, y and z in degrees of a quaternion xyzw, [4]: `quaternion_from_euler` undone. Where the second
    turn is 90 degrees the first and the third are one, and are put into the third.

    Raises
    ------
    ValueError : the order is not the letters x, y and z once each, or the quaternion has no direction.
    """
    if sorted(order) != ["x", "y", "z"]:
        raise ValueError(f"{order!r} is not an order of x, y and z")
    m = rotation_from_quaternion(quaternion_xyzw)
    i, j, k = ("xyz".index(axis) for axis in order)
    s = 1.0 if (j - i) % 3 == 1 else -1.0
    second = np.arcsin(np.clip(-s * m[k, i], -1.0, 1.0))
    if abs(m[k, i]) > 1.0 - 1e-12:
        first, third = 0.0, np.arctan2(-s * m[i, j], m[j, j])
    else:
        first, third = np.arctan2(s * m[k, j], m[k, k]), np.arctan2(s * m[j, i], m[i, i])
    out = [0.0, 0.0, 0.0]
    out[i], out[j], out[k] = (float(np.degrees(turn)) for turn in (first, second, third))
    return out[0], out[1], out[2]


def quaternion_product(a: ArrayLike, b: ArrayLike) -> Array:
    """Quaternions xyzw, [..., 4]: the turn `b`, then the turn `a` (as in a product of rotations)."""
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    ax, ay, az, aw = (first[..., i] for i in range(4))
    bx, by, bz, bw = (second[..., i] for i in range(4))
    out = np.empty(np.broadcast_shapes(first.shape, second.shape))
    out[..., 0] = aw * bx + ax * bw + ay * bz - az * by
    out[..., 1] = aw * by - ax * bz + ay * bw + az * bx
    out[..., 2] = aw * bz + ax * by - ay * bx + az * bw
    out[..., 3] = aw * bw - ax * bx - ay * by - az * bz
    return out


def rotation_from_vector(vector_rad: ArrayLike) -> Array:
    """Rotation, [3, 3], of a rotation vector (axis times angle in radians), [3]."""
    x, y, z = np.asarray(vector_rad, dtype=np.float64).tolist()
    angle = hypot(x, y, z)
    # The limit of small angles is exact: half the vector.
    scale = sin(angle / 2.0) / angle if angle > 1e-12 else 0.5
    return rotation_from_quaternion((x * scale, y * scale, z * scale, cos(angle / 2.0)))


def vector_from_rotation(rotation: ArrayLike) -> Array:
    """Rotation vector (axis times angle in radians, 0..pi), [3], of a rotation, [3, 3] or [4, 4]."""
    x, y, z, w = _quaternion(rotation)
    sine = hypot(x, y, z)
    scale = 2.0 * atan2(sine, w) / sine if sine > 1e-12 else 2.0
    return np.array((x * scale, y * scale, z * scale))


def pose(position_m: ArrayLike, rotation: ArrayLike | None = None) -> Array:
    """Rigid transform, [4, 4], from a position, [3] metres, and a rotation, [3, 3] (identity if None)."""
    m = _IDENTITY.copy()
    if rotation is not None:
        m[:3, :3] = rotation
    m[:3, 3] = position_m
    return m


def pose_from_pan_tilt_roll(
    position_m: ArrayLike, /, *, pan_deg: float = 0.0, tilt_deg: float = 0.0, roll_deg: float = 0.0
) -> Array:
    """`stage_from_camera`, [4, 4], from a position, [3] stage metres, and stage angles in degrees."""
    x, y, z = position_m  # type: ignore[misc, str-unpack]  # three numbers, whatever holds them
    a, b, c, d, e, f, g, h, i = _pan_tilt_roll(pan_deg, tilt_deg, roll_deg)
    return np.array((a, b, c, x, d, e, f, y, g, h, i, z, 0.0, 0.0, 0.0, 1.0), dtype=np.float64).reshape(4, 4)


def pose_from_quaternion(position_m: ArrayLike, quaternion_xyzw: ArrayLike) -> Array:
    """Rigid transform, [4, 4], from a position, [3] metres, and a quaternion xyzw, [4]."""
    return pose(position_m, rotation_from_quaternion(quaternion_xyzw))


def inverse_pose(transform: ArrayLike) -> Array:
    """Inverse of a rigid transform, [4, 4] (rotation and translation only), exact to rounding."""
    m = np.asarray(transform, dtype=np.float64)
    out = _IDENTITY.copy()
    out[:3, :3] = m[:3, :3].T
    out[:3, 3] = -m[:3, :3].T @ m[:3, 3]
    return out


def transform_points(transform: ArrayLike, points: ArrayLike) -> Array:
    """Points, [..., 3], moved by an affine transform, [4, 4]."""
    m = np.asarray(transform, dtype=np.float64)
    return np.asarray(points, dtype=np.float64) @ m[:3, :3].T + m[:3, 3]


def interpolate_pose(a: ArrayLike, b: ArrayLike, fraction: float) -> Array:
    """Pose between `a` (0) and `b` (1), [4, 4]: position along the line, rotation along the shortest arc.

    A fraction beyond 0..1 extrapolates at constant velocity.
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    turn = vector_from_rotation(first[:3, :3].T @ second[:3, :3])
    out = _IDENTITY.copy()
    out[:3, :3] = first[:3, :3] @ rotation_from_vector(turn * fraction)
    out[:3, 3] = first[:3, 3] + (second[:3, 3] - first[:3, 3]) * fraction
    return out


def stage_from_gl(stage_from_camera: ArrayLike) -> Array:
    """`stage_from_gl`, [4, 4]: the camera with GL axes; its inverse is the GL view transform."""
    return np.asarray(stage_from_camera, dtype=np.float64) @ CAMERA_FROM_GL


# --- source frames -> stage -------------------------------------------------------------------------------------


def pose_from_freed(pan_deg: float, tilt_deg: float, roll_deg: float, x_mm: float, y_mm: float, z_mm: float) -> Array:
    """Pose of a FreeD D1 message: Z up, Y forward, millimetres, pan + = right (the stage's pan + = left)."""
    x, y, z = x_mm / 1000.0, y_mm / 1000.0, z_mm / 1000.0
    a, b, c, d, e, f, g, h, i = _pan_tilt_roll(-pan_deg, tilt_deg, roll_deg)
    return np.array((a, b, c, x, d, e, f, y, g, h, i, z, 0.0, 0.0, 0.0, 1.0), dtype=np.float64).reshape(4, 4)


def pose_from_unity(position_m: ArrayLike, quaternion_xyzw: ArrayLike) -> Array:
    """Pose of a left-handed Y-up, Z-forward source (Unity, VMC, VMT "Unity", VRChat), metres."""
    x, y, z = np.asarray(position_m, dtype=np.float64)
    qx, qy, qz, qw = np.asarray(quaternion_xyzw, dtype=np.float64)
    return pose_from_quaternion((x, z, y), (-qx, -qz, -qy, qw))


def pose_from_y_up(position_m: ArrayLike, quaternion_xyzw: ArrayLike) -> Array:
    """Pose of a right-handed Y-up source whose camera looks along -Z (ARKit, OpenVR, Motive), metres."""
    x, y, z = np.asarray(position_m, dtype=np.float64)
    qx, qy, qz, qw = np.asarray(quaternion_xyzw, dtype=np.float64)
    return pose_from_quaternion((x, -z, y), (qx, -qz, qy, qw))


def pose_from_unreal(x_cm: float, y_cm: float, z_cm: float, pitch_deg: float, yaw_deg: float, roll_deg: float) -> Array:
    """Pose of an Unreal actor (left-handed, X forward, Y right, Z up, centimetres; FRotator degrees)."""
    return pose_from_pan_tilt_roll(
        (y_cm / 100.0, x_cm / 100.0, z_cm / 100.0), pan_deg=-yaw_deg, tilt_deg=pitch_deg, roll_deg=roll_deg
    )


def pose_from_unreal_quaternion(position_cm: ArrayLike, quaternion_xyzw: ArrayLike) -> Array:
    """Pose of an Unreal transform (as `pose_from_unreal`, the rotation an FQuat)."""
    x, y, z = np.asarray(position_cm, dtype=np.float64)
    qx, qy, qz, qw = np.asarray(quaternion_xyzw, dtype=np.float64)
    return pose_from_quaternion((y / 100.0, x / 100.0, z / 100.0), (-qy, -qx, -qz, qw))


def pose_from_mosys_f4(
    pan_deg: float, tilt_deg: float, roll_deg: float, x_mm: float, y_mm: float, height_mm: float
) -> Array:
    """Pose of a Mo-Sys F4 packet: the stage's own axes and signs, millimetres (measured on a real take)."""
    return pose_from_pan_tilt_roll(
        (x_mm / 1000.0, y_mm / 1000.0, height_mm / 1000.0), pan_deg=pan_deg, tilt_deg=tilt_deg, roll_deg=roll_deg
    )


StypeConvention = Literal["right_hand", "hf_client", "a5_client", "unreal_client"]
"""How stYpe's angles are read: all three by the right-hand rule about Y up, X right and Z backward (`right_hand`), or
as the open Unity client reads HF (tilt turned) and A5 (pan turned), or as the open Unreal client does (along +X at
zero, X forward, Z right, pan + = right, tilt + = up, roll + = clockwise)."""
_STYPE_SIGNS: Final[dict[StypeConvention, tuple[float, float, float]]] = {
    "right_hand": (1.0, 1.0, -1.0),
    "hf_client": (1.0, -1.0, -1.0),
    "a5_client": (-1.0, 1.0, -1.0),
    "unreal_client": (-1.0, 1.0, 1.0),
}


def pose_from_stype(
    pan_deg: float,
    tilt_deg: float,
    roll_deg: float,
    position_m: ArrayLike,
    *,
    convention: StypeConvention = "right_hand",
) -> Array:
    """Pose of a stYpe packet: Y up, right-handed, metres; its makers publish no signs, hence the conventions."""
    x, y, z = np.asarray(position_m, dtype=np.float64)
    pan, tilt, roll = _STYPE_SIGNS[convention]
    place = (z, x, y) if convention == "unreal_client" else (x, -z, y)
    return pose_from_pan_tilt_roll(place, pan_deg=pan * pan_deg, tilt_deg=tilt * tilt_deg, roll_deg=roll * roll_deg)


def pose_from_psn(position_m: ArrayLike, orientation_rad: ArrayLike, *, right_handed: bool = False) -> Array:
    """Pose of a PosiStageNet tracker: x right, y up, z depth, metres; the orientation is a rotation vector.

    Depth grows away from the audience (left-handed); `right_handed`: toward it.
    """
    x, y, z = np.asarray(position_m, dtype=np.float64)
    rx, ry, rz = np.asarray(orientation_rad, dtype=np.float64)
    if right_handed:
        return pose((x, -z, y), rotation_from_vector((rx, -rz, ry)))
    return pose((x, z, y), rotation_from_vector((-rx, -rz, -ry)))


def pose_from_rttrpm(position_m: ArrayLike, rotation: ArrayLike, *, up: Literal["z", "y"] = "z") -> Array:
    """Pose of an RTTrPM trackable, right-handed, metres; rotation, [3, 3], in its own axes. `up`: z for X right, Y away
    from the audience, Z up; y for X right, Y up, Z toward the audience."""
    own = pose(position_m, rotation)
    return own if up == "z" else STAGE_FROM_Y_UP @ own @ STAGE_FROM_Y_UP.T


def rotation_from_turns(turns: Iterable[tuple[str, float]]) -> Array:
    """Rotation, [3, 3], of turns (axis x, y or z, radians) one after the other, each about the turned axes."""
    out = np.eye(3)
    for axis, angle_rad in turns:
        vector = np.zeros(3)
        vector["xyz".index(axis)] = angle_rad
        out = out @ rotation_from_vector(vector)
    return out


# --- stage -> other frames ----------------------------------------------------------------------------------------


def unreal_from_pose(stage_from_camera: ArrayLike) -> tuple[Array, Array]:
    """Position, [3] centimetres, and quaternion xyzw, [4], in Unreal: `pose_from_unreal_quaternion` undone."""
    m = np.asarray(stage_from_camera, dtype=np.float64)
    qx, qy, qz, qw = quaternion_from_rotation(m)
    return 100.0 * m[[1, 0, 2], 3], np.array([-qy, -qx, -qz, qw])


def unity_from_pose(stage_from_camera: ArrayLike) -> tuple[Array, Array]:
    """Position, [3] metres, and quaternion xyzw, [4], of a pose, [4, 4], for a left-handed Y-up program."""
    m = np.asarray(stage_from_camera, dtype=np.float64)
    x, y, z = m[:3, 3]
    qx, qy, qz, qw = quaternion_from_rotation(m)
    return np.array((x, z, y)), np.array((-qx, -qz, -qy, qw))


def y_up_from_pose(stage_from_camera: ArrayLike) -> tuple[Array, Array]:
    """Position, [3] metres, and quaternion xyzw, [4], of a pose, [4, 4], for a right-handed Y-up program whose camera
    looks along -Z."""
    m = np.asarray(stage_from_camera, dtype=np.float64)
    x, y, z = m[:3, 3]
    qx, qy, qz, qw = quaternion_from_rotation(m)
    return np.array((x, z, -y)), np.array((qx, qz, -qy, qw))


def stype_from_pose(
    stage_from_camera: ArrayLike, *, convention: StypeConvention = "right_hand"
) -> tuple[float, float, float, Array]:
    """Pan, tilt, roll in degrees and position, [3] metres, of a pose in stYpe's frame: `pose_from_stype` undone."""
    m = np.asarray(stage_from_camera, dtype=np.float64)
    pan, tilt, roll = (s * a for s, a in zip(_STYPE_SIGNS[convention], pan_tilt_roll_from_rotation(m), strict=True))
    x, y, z = m[:3, 3]
    return pan, tilt, roll, np.array((y, z, x) if convention == "unreal_client" else (x, z, -y))


def psn_from_pose(stage_from_camera: ArrayLike, *, right_handed: bool = False) -> tuple[Array, Array]:
    """Position, [3] metres, and rotation vector, [3] radians, of a pose in PosiStageNet: `pose_from_psn` undone."""
    m = np.asarray(stage_from_camera, dtype=np.float64)
    x, y, z = m[:3, 3]
    rx, ry, rz = vector_from_rotation(m)
    if right_handed:
        return np.array([x, z, -y]), np.array([rx, rz, -ry])
    return np.array([x, z, y]), np.array([-rx, -rz, -ry])


def rttrpm_from_pose(stage_from_camera: ArrayLike, *, up: Literal["z", "y"] = "z") -> tuple[Array, Array]:
    """Position, [3] metres, and quaternion xyzw, [4], of a pose in RTTrPM's axes: `pose_from_rttrpm` undone."""
    m = np.asarray(stage_from_camera, dtype=np.float64)
    if up == "y":
        m = STAGE_FROM_Y_UP.T @ m @ STAGE_FROM_Y_UP
    return m[:3, 3].copy(), quaternion_from_rotation(m)


def joints_from_unity(joints: ArrayLike) -> Array:
    """Poses of a Unity skeleton, [n, 7] (x y z metres, qx qy qz qw), in stage axes: local ones stay local."""
    m = np.asarray(joints, dtype=np.float64)
    return np.asarray(m[:, [0, 2, 1, 3, 5, 4, 6]] * np.array([1.0, 1.0, 1.0, -1.0, -1.0, -1.0, 1.0]))


def joints_from_y_up(joints: ArrayLike) -> Array:
    """Poses of a right-handed Y-up skeleton, [n, 7] (x y z metres, qx qy qz qw), in stage axes: local ones stay
    local."""
    m = np.asarray(joints, dtype=np.float64)
    return np.asarray(m[:, [0, 2, 1, 3, 5, 4, 6]] * np.array([1.0, -1.0, 1.0, 1.0, -1.0, 1.0, 1.0]))
