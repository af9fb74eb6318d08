"""From tracker numbers to the stage: offsets, axes, signs, lens tables and the gates of a sample."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stage.frames import Array, pan_tilt_roll_from_rotation, pose_from_pan_tilt_roll
from tracking.config import Source
from tracking.mapping import Mapping, mapping_of
from tracking.sample import LensReading, Refusal, Sample, Stamp

TRACKED = pose_from_pan_tilt_roll((1.0, 2.0, 1.5), pan_deg=20.0, tilt_deg=-5.0, roll_deg=3.0)


def mapping(mount: Array | None = None, **change: Any) -> Mapping:
    tree = {"protocol": "freed", "listen": "127.0.0.1:40000", "camera": "a", **change}
    return mapping_of("t", Source.model_validate(tree), mount)


def placed(m: Mapping) -> Array:
    sample = m.sample(TRACKED, None, Stamp())
    assert isinstance(sample, Sample)
    return sample.stage_from_camera


def test_order_of_offsets() -> None:
    stage = {"x_m": 0.5, "pan_deg": 90.0}
    body = {"y_m": 0.1, "tilt_deg": 2.0}
    m = mapping(stage_from_tracker=stage, body_from_camera=body)
    expected = (
        pose_from_pan_tilt_roll((0.5, 0, 0), pan_deg=90.0)
        @ TRACKED
        @ pose_from_pan_tilt_roll((0, 0.1, 0), tilt_deg=2.0)
    )
    assert np.allclose(placed(m), expected)
    assert placed(mapping()) is TRACKED


def test_the_mount_counts_only_for_the_body() -> None:
    mount = pose_from_pan_tilt_roll((0.0, 0.05, 0.2))
    assert np.allclose(placed(mapping(mount)), TRACKED @ mount)
    assert np.allclose(placed(mapping(mount, pose_point="sensor")), TRACKED)
    assert np.allclose(placed(mapping(mount, pose_point="pupil")), TRACKED)
    sample = mapping(mount, pose_point="pupil").sample(TRACKED, None, Stamp())
    assert isinstance(sample, Sample)
    assert sample.pose_point == "pupil"


def test_axes_signs_and_offsets() -> None:
    turned = placed(
        mapping(
            axes={"x": "-y", "y": "x", "z": "z"},
            signs={"pan": -1, "tilt": 1, "roll": -1},
            offsets={"pan_deg": 90.0, "tilt_deg": 1.0},
        )
    )
    assert np.allclose(turned[:3, 3], (-2.0, 1.0, 1.5))
    assert pan_tilt_roll_from_rotation(turned) == pytest.approx((70.0, -4.0, -3.0))


def test_lens_table() -> None:
    table = {"focal_length_mm": [[0, 24.0], [1000, 70.0]], "focus_distance_m": [[0, 0.5], [1000, 20.5]]}
    lens = mapping(lens_table=table).lens_from_encoders(500, 750)
    assert lens is not None
    assert lens.focus_distance_m == pytest.approx(15.5)
    assert (lens.focal_length_mm, lens.zoom_raw, lens.focus_raw) == (47.0, 500.0, 750.0)
    assert mapping().lens_from_encoders(500, 750) is None


@pytest.mark.parametrize(
    ("lens", "reason"),
    [
        (LensReading(focal_length_mm=0.0), "range"),
        (LensReading(focal_length_mm=1e9), "range"),
        (LensReading(focal_length_mm=float("nan")), "nan"),
        (LensReading(focal_length_mm=35.0, entrance_pupil_m=123.0), "range"),
    ],
)
def test_impossible_lenses_refuse_the_sample(lens: LensReading, reason: str) -> None:
    refusal = mapping().sample(TRACKED, lens, Stamp())
    assert isinstance(refusal, Refusal)
    assert refusal.reason == reason


def test_lens_readings_fill_each_other() -> None:
    newer = LensReading(focal_length_mm=50.0).over(LensReading(focal_length_mm=35.0, focus_distance_m=2.0))
    assert newer == LensReading(focal_length_mm=50.0, focus_distance_m=2.0)
