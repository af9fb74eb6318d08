"""Our pictures against three.js's: real assets under a real dome, same camera, light, curve and working space."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from controller.bench.browser import PeerMissingError
from controller.bench.pictures import SUBJECTS, Drawn, compare, demo, difference, encoded
from renderer.device import Device

MEAN_MOST, P95_MOST = 4.0, 12.0
"""Codes of 255 that pictures of the same light may be apart, over the object."""


@pytest.mark.slow
def test_pictures_are_three_js_pictures(gl: Device, reference: Path, root: Path) -> None:
    assets = reference / "assets"
    subjects = (*SUBJECTS, demo(root / "configs" / "assets"))
    try:
        figures = compare(assets, subjects, device=gl)
    except PeerMissingError as missing:
        pytest.skip(str(missing))
    assert set(figures) == {subject.name for subject in subjects}
    for name, told in figures.items():
        assert told["mask"] > 0.1, name
        assert told["mask_apart"] < 0.002, name
        assert told["mean"] <= MEAN_MOST, (name, told)
        assert told["p95"] <= P95_MOST, (name, told)


def test_difference_counts_only_the_object() -> None:
    light = np.zeros((4, 4, 3))
    light[:2] = 0.5
    mask = np.zeros((4, 4), np.bool_)
    mask[:2] = True
    other = light.copy()
    other[2:] = 1.0
    assert difference(Drawn(light, mask), Drawn(other, mask))["mean"] == 0.0
    other[0, 0] = 0.0
    told = difference(Drawn(light, mask), Drawn(other, mask))
    assert told["mean"] == pytest.approx(encoded(np.array(0.5)) / 8.0, abs=1e-3)
    assert told["mask"] == 0.5
    mask_of_more = mask.copy()
    mask_of_more[2, 0] = True
    assert difference(Drawn(light, mask), Drawn(light, mask_of_more))["mask_apart"] == pytest.approx(1 / 9, abs=1e-5)


def test_the_curve_is_srgb() -> None:
    assert np.allclose(
        encoded(np.array([0.0, 0.0031308, 0.214041, 1.0, 7.0])), [0.0, 10.31, 127.5, 255.0, 255.0], atol=0.02
    )


def test_cameras_look_at_their_subject() -> None:
    for subject in SUBJECTS:
        world_from_camera = subject.world_from_camera
        ahead = -world_from_camera[:3, 2]
        wanted = np.subtract(subject.at_m, subject.eye_m)
        assert np.allclose(ahead, wanted / np.linalg.norm(wanted), atol=1e-9)
        assert np.allclose(world_from_camera[:3, 3], subject.eye_m)
        assert world_from_camera[2, 1] > 0.5
