"""The tripod fit: exact on a made tripod, within the tracker's noise on the real take, worse with any sign turned."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from calibration.pivot import CalibrationError, fit_pivot
from stage.frames import Array, pan_tilt_roll_from_rotation, pose, pose_from_freed, pose_from_pan_tilt_roll
from tracking.moves import TRIPOD_SENSOR_M, move
from tracking.protocols import freed, opentrackio


def freed_take(reference: Path) -> list[freed.FreeDPacket]:
    path = next((reference / "tracking/freed").glob("take_*.jsonl"))
    packets = [freed.parse(bytes.fromhex(json.loads(line)["hex"]))[0] for line in path.read_text().splitlines()]
    return [packet for packet in packets if isinstance(packet, freed.FreeDPacket)]


def poses_of(packets: list[freed.FreeDPacket], signs: tuple[int, ...] = (1, 1, 1, 1, 1, 1)) -> list[Array]:
    return [
        pose_from_freed(
            *(s * v for s, v in zip(signs, (p.pan_deg, p.tilt_deg, p.roll_deg, p.x_mm, p.y_mm, p.z_mm), strict=True))
        )
        for p in packets
    ]


def test_a_made_tripod_is_found() -> None:
    tripod = move("tripod", 5)
    fit = fit_pivot([tripod.pose(t) for t in np.arange(0.0, 20.0, 0.1)])
    assert np.allclose(fit.offset_m, TRIPOD_SENSOR_M, atol=1e-9)
    assert fit.rms_mm < 1e-6
    head = tripod.pose(3.0)
    assert np.allclose(fit.pivot_m, head[:3, 3] - head[:3, :3] @ fit.offset_m, atol=1e-9)


def test_real_freed_take(reference: Path) -> None:
    packets = freed_take(reference)
    assert len(packets) == 250
    fit = fit_pivot(poses_of(packets))
    assert fit.rms_mm <= 0.6
    # The recording's own facts: the head at 1.02 m, the sensor 28 mm forward and 218 mm above it.
    assert fit.pivot_m[2] == pytest.approx(1.02, abs=0.01)
    assert fit.offset_m[1:] == pytest.approx((0.028, 0.218), abs=0.003)


def test_any_turned_sign_fits_worse(reference: Path) -> None:
    packets = freed_take(reference)
    for signs in product((1, -1), repeat=6):
        rms_mm = fit_pivot(poses_of(packets, signs)).rms_mm
        # Mirroring the whole stage (x, pan and roll) is a change no tripod can see; every other turn of a sign shows.
        if signs in {(1, 1, 1, 1, 1, 1), *unseen_turns(packets)}:
            continue
        assert rms_mm > 0.85, signs
        if signs.count(-1) == 1:
            assert rms_mm > 1.0, signs


def unseen_turns(packets: list[freed.FreeDPacket]) -> set[tuple[int, ...]]:
    """Sign patterns that are a change of coordinates (a mirror of the whole world), so that the fit cannot differ."""
    right = fit_pivot(poses_of(packets)).rms_mm
    out = set()
    for mirror in product((1, -1), repeat=3):
        # R -> S R S turns the rotation vector by det(S) S, and so the pan (z), tilt (x) and roll (y) angles.
        det = mirror[0] * mirror[1] * mirror[2]
        signs = (det * mirror[2], det * mirror[0], det * mirror[1], *mirror)
        assert fit_pivot(poses_of(packets, signs)).rms_mm == pytest.approx(right, abs=1e-6)
        out.add(signs)
    return out


def test_real_opentrackio_take(reference: Path) -> None:
    path = next((reference / "tracking/opentrackio").glob("take_*.jsonl"))
    poses = []
    for line in path.read_text().splitlines():
        (packet,) = opentrackio.parse(bytes.fromhex(json.loads(line)["datagrams"][0]))
        assert isinstance(packet, opentrackio.OpenTrackIOPacket)
        poses.append(packet.tracker_from_body())
    right = fit_pivot(poses).rms_mm
    assert right <= 0.6
    for turned in ((-1, 1, 1), (1, -1, 1), (1, 1, -1)):
        wrong = []
        for camera in poses:
            pan, tilt, roll = (s * a for s, a in zip(turned, pan_tilt_roll_from_rotation(camera), strict=True))
            wrong.append(pose_from_pan_tilt_roll(camera[:3, 3], pan_deg=pan, tilt_deg=tilt, roll_deg=roll))
        assert fit_pivot(wrong).rms_mm > 1.5 * right


def test_what_cannot_be_fitted_is_told() -> None:
    with pytest.raises(CalibrationError, match="at least three poses"):
        fit_pivot([np.eye(4)] * 2)
    with pytest.raises(CalibrationError, match="hardly turn"):
        fit_pivot([pose((0.01 * i, 0.0, 1.0)) for i in range(10)])
    pans = [pose_from_pan_tilt_roll((0, 0, 1), pan_deg=a) for a in range(20)]
    with pytest.raises(CalibrationError, match="hardly turn"):
        fit_pivot(pans)
