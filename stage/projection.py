"""Projections: the inner frustum with overscan, cube faces, and the off-axis frustum of a flat wall.

All give GL clip space (x right, y up, z -1..1) and take stage metres.
"""

from __future__ import annotations

from math import atan, radians, tan
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from stage.frames import Array, inverse_pose, pose, stage_from_gl
from stage.lens import pinhole_tangents
from stage.plan import PlanLens

_WIDEST_RAD: Final = radians(85.0)

CUBE_FACES: Final = ("+x", "-x", "+y", "-y", "+z", "-z")
"""Faces of the outer cube in GL's order, named by the axis they look along; stage axes are used as they are."""

_CUBE_FORWARD_UP: Final = (
    ((1, 0, 0), (0, -1, 0)),
    ((-1, 0, 0), (0, -1, 0)),
    ((0, 1, 0), (0, 0, 1)),
    ((0, -1, 0), (0, 0, -1)),
    ((0, 0, 1), (0, -1, 0)),
    ((0, 0, -1), (0, -1, 0)),
)


def clip_from_view(
    left: float, right: float, bottom: float, top: float, /, *, near_m: float = 0.05, far_m: float = 5000.0
) -> Array:
    """Perspective, [4, 4], from the tangents of its four sides (left and bottom negative), GL view axes."""
    n, f = near_m, far_m
    m = np.zeros((4, 4))
    m[0, 0], m[0, 2] = 2.0 / (right - left), (right + left) / (right - left)
    m[1, 1], m[1, 2] = 2.0 / (top - bottom), (top + bottom) / (top - bottom)
    m[2, 2], m[2, 3] = -(f + n) / (f - n), -2.0 * f * n / (f - n)
    m[3, 2] = -1.0
    return m


def overscan_tangents(
    lens: PlanLens, overscan_deg: tuple[float, float, float, float], /
) -> tuple[float, float, float, float]:
    """Left, right, bottom, top tangents of the inner frustum: the pinhole frame widened by degrees [l, r, t, b]."""
    left, right, bottom, top = pinhole_tangents(lens)
    beyond_left, beyond_right, beyond_top, beyond_bottom = overscan_deg
    return (
        _widened(left, -beyond_left), _widened(right, beyond_right),
        _widened(bottom, -beyond_bottom), _widened(top, beyond_top),
    )  # fmt: skip


def _widened(tangent: float, by_deg: float) -> float:
    """Tangent of a side that is turned by degrees; none reaches beyond 85."""
    return tan(min(_WIDEST_RAD, max(-_WIDEST_RAD, atan(tangent) + radians(by_deg))))


def view_from_stage(stage_from_camera: ArrayLike, pupil_m: ArrayLike, /) -> Array:
    """GL view transform, [4, 4], with the camera's rotation and its origin at the pupil, [3] stage metres."""
    rotation = np.asarray(stage_from_camera, dtype=np.float64)[:3, :3]
    return inverse_pose(stage_from_gl(pose(pupil_m, rotation)))


def cube_view_from_stage(face: int, eye_m: ArrayLike, /) -> Array:
    """GL view transform, [4, 4], of face 0..5 of the outer cube at the eye point, laid out as GL samples it."""
    forward, up = (np.array(v, dtype=np.float64) for v in _CUBE_FORWARD_UP[face])
    right = np.cross(forward, up)
    return inverse_pose(pose(eye_m, np.stack([right, up, -forward], axis=1)))


def wall_clip_from_stage(
    corners_m: ArrayLike, eye_m: ArrayLike, /, *, near_m: float = 0.05, far_m: float = 5000.0
) -> Array:
    """Off-axis projection, [4, 4], whose clip rectangle is exactly a flat wall seen from an eye point.

    Parameters
    ----------
    corners_m : [3 or 4, 3]  lower left, lower right, upper left (upper right) seen from the lit side, stage metres
    eye_m : [3]  on the lit side, stage metres

    Raises
    ------
    ValueError : the corners span no rectangle, or the eye is not in front of the wall.
    """
    c = np.asarray(corners_m, dtype=np.float64)
    eye = np.asarray(eye_m, dtype=np.float64)
    across, along = c[1] - c[0], c[2] - c[0]
    width, height = float(np.linalg.norm(across)), float(np.linalg.norm(along))
    if min(width, height) < 1e-9:
        raise ValueError("the wall's corners span no rectangle")
    right, up = across / width, along / height
    normal = np.cross(right, up)
    normal /= np.linalg.norm(normal)
    distance = float(np.dot(eye - c[0], normal))
    if distance <= 0.0:
        raise ValueError(f"the eye is {-distance:.3f} m behind the wall")
    to_corner = c[0] - eye
    left, bottom = float(np.dot(to_corner, right)) / distance, float(np.dot(to_corner, up)) / distance
    view = inverse_pose(pose(eye, np.stack([right, up, normal], axis=1)))
    clip = clip_from_view(left, left + width / distance, bottom, bottom + height / distance, near_m=near_m, far_m=far_m)
    return np.asarray(clip @ view)
