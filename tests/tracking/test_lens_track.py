"""Pulls of zoom and focus are carried on to the photo, and what is left over is what overscan is told."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from msgspec.structs import replace

from runtime.clock import VirtualClock
from stage.rate import Rate
from tracking.config import TrackingConfig
from tracking.encoders import encoder
from tracking.inputs import TrackingInputs
from tracking.lens_track import lens_at
from tracking.moment import Moment
from tracking.moves import move
from tracking.pulls import lens
from tracking.sample import LensReading, Sample

S, MS = 1_000_000_000, 1_000_000
STILL = np.eye(4)


def told(reading: LensReading, step: float) -> LensReading:
    """A reading whose focal length comes in steps of a share, as encoders count it."""
    assert reading.focal_length_mm is not None
    return (
        reading
        if not step
        else replace(reading, focal_length_mm=float(np.exp(round(log(reading.focal_length_mm) / step) * step)))
    )


def errors(name: str, *, hz: int, ahead_ms: int, step: float = 0.0, predict: bool = True) -> tuple[float, float]:
    """p95 over 40 s: relative focal length, and dioptres."""
    at = lens(name, 1)
    samples: list[Sample] = []
    found: list[tuple[float, float]] = []
    for n in range(40 * hz):
        t_ns = n * S // hz
        samples = [*samples[-59:], Sample("t", "a", t_ns, t_ns, STILL, STILL, lens=told(at(n / hz), step))]
        if n < hz:
            continue
        there = lens_at(samples, t_ns + ahead_ms * MS, predict=predict)
        true = at(n / hz + ahead_ms / 1000)
        assert there is not None
        assert there.focal_length_mm is not None
        assert there.focus_distance_m is not None
        assert true.focal_length_mm is not None
        assert true.focus_distance_m is not None
        found.append(
            (log(there.focal_length_mm / true.focal_length_mm), 1 / there.focus_distance_m - 1 / true.focus_distance_m)
        )
    zoom, focus = np.quantile(np.abs(found), 0.95, axis=0)
    return float(zoom), float(focus)


@pytest.mark.parametrize("hz", [25, 60, 240])
def test_pulls_are_carried_on(hz: int) -> None:
    zoom, focus = errors("zoom", hz=hz, ahead_ms=80)
    held_zoom, held_focus = errors("zoom", hz=hz, ahead_ms=80, predict=False)
    assert zoom < min(0.0006, 0.05 * held_zoom)
    assert focus < min(0.006, 0.1 * held_focus)


def test_hard_racks_are_not_worse_than_held() -> None:
    for ahead_ms in (40, 80, 120):
        assert errors("rack", hz=60, ahead_ms=ahead_ms)[1] < errors("rack", hz=60, ahead_ms=ahead_ms, predict=False)[1]


def test_an_encoders_steps_do_not_shake_the_picture() -> None:
    # A thousandth a step: what the small range of a PTZ's zoom is told in.
    assert (
        errors("zoom", hz=60, ahead_ms=80, step=0.001)[0] < 0.2 * errors("zoom", hz=60, ahead_ms=80, predict=False)[0]
    )
    assert errors("prime", hz=60, ahead_ms=80, step=0.001)[0] < 0.002


@pytest.mark.parametrize("prediction", ["auto", "off"])
def test_overscan_is_told_what_is_left_over_of_a_pull(prediction: str) -> None:
    clock = VirtualClock(S)
    source = {"protocol": "opentrackio", "camera": "a", "listen": "127.0.0.1:40000", "prediction": prediction}
    inputs = TrackingInputs(TrackingConfig.model_validate({"sources": {"t": source}}), clock)
    encode, pose_at, lens_of = encoder("opentrackio", rate=Rate(60)), move("tripod", 1).pose, lens("zoom", 1)
    for n in range(20 * 60):
        t_ns = S + n * S // 60
        clock.advance_to(t_ns)
        for data in encode(Moment(pose_at(n / 60), n, t_ns, lens_of(n / 60))):
            inputs.inject("t", data)
        if n % 2:
            inputs.predict("a", t_ns + 80 * MS)
            inputs.adapt()
    zoom = np.quantile(inputs.residuals("t")[:, 4], 0.95)
    assert zoom < 0.001 if prediction == "auto" else 0.01 < zoom < 0.03
