"""Fits a tripod to tracked poses: one fixed pivot in the stage and one fixed offset from it to the sensor.

For a camera on a tripod head every pose obeys p_i = pivot + R_i offset. What is left over says how well the tracker
is read: a sign turned in a protocol's angles leaves millimetres to centimetres, the right reading leaves its noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stage.errors import OpenVolumeError, Problem
from stage.frames import Array

MIN_SPREAD = 1e-4
"""Least ratio of the smallest to the largest singular value: below it the poses do not tell pivot from offset."""


class CalibrationError(OpenVolumeError):
    """Measurements that do not determine what is asked for."""

    code = "calibration.error"


@dataclass(frozen=True, slots=True, eq=False)
class PivotFit:
    """A tripod found in poses."""

    pivot_m: Array
    """[3]  the head's pivot in the poses' frame."""
    offset_m: Array
    """[3]  the tracked point in the head's axes (right, forward, up), from the pivot."""
    rms_mm: float
    """Root mean square of the distances left over."""
    worst_mm: float
    residuals_m: Array
    """[n, 3]  p_i - (pivot + R_i offset), in the poses' frame."""


def fit_pivot(poses: Sequence[Array] | Array) -> PivotFit:
    """Least-squares tripod of poses, [n, 4, 4] metres.

    Raises
    ------
    CalibrationError : fewer than three poses, or poses that hardly turn (only one direction seen): the pivot is not
        determined.
    """
    stacked = np.asarray(poses, dtype=np.float64)
    if stacked.ndim != 3 or stacked.shape[1:] != (4, 4) or len(stacked) < 3:
        raise CalibrationError(
            Problem(
                "calibration.pivot_poses",
                "poses",
                "at least three poses are needed",
                list(stacked.shape),
                "record a pan and a tilt on the tripod",
            )
        )
    rotations, positions = stacked[:, :3, :3], stacked[:, :3, 3]
    n = len(stacked)
    # Unknowns [pivot, offset]; each pose gives three rows [I, R_i].
    system = np.concatenate([np.broadcast_to(np.eye(3), (n, 3, 3)), rotations], axis=2).reshape(3 * n, 6)
    mean = positions.mean(axis=0)
    solution, _, _, singular = np.linalg.lstsq(system, (positions - mean).reshape(3 * n), rcond=None)
    if singular[-1] < MIN_SPREAD * singular[0]:
        raise CalibrationError(
            Problem(
                "calibration.pivot_turn",
                "poses",
                "the poses hardly turn: the pivot is not determined",
                float(singular[-1] / singular[0]),
                "pan and tilt over at least a few degrees each",
            )
        )
    pivot, offset = solution[:3] + mean, solution[3:]
    residuals = positions - (pivot + rotations @ offset)
    distances_mm = 1000.0 * np.linalg.norm(residuals, axis=1)
    return PivotFit(pivot, offset, float(np.sqrt(np.mean(distances_mm**2))), float(distances_mm.max()), residuals)
