"""Simulated trackers for the doctor: moves, steps of an operator, wrong maps, faults on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from stage.frames import Array, pan_tilt_roll_from_rotation, pose_from_pan_tilt_roll, rotation_from_pan_tilt_roll
from stage.rate import Rate
from tracking.config import AngleOffsets, AngleSigns, AxisMap
from tracking.doctor.diagnose import diagnose
from tracking.doctor.findings import Report
from tracking.doctor.guided import STEPS
from tracking.doctor.heard import Heard
from tracking.encoders import encoder
from tracking.faults import Faults, Timed
from tracking.mapping import tracker_axes
from tracking.moment import Moment
from tracking.moves import move
from tracking.receivers import Arrival

T0_NS = 5_000_000_000
UNIX_NS = 1_790_000_000_000_000_000
HOST, PORT = "10.0.0.5", 4000
Spoil = Callable[[Array], Array]


def told_wrongly(keys: Mapping[str, Any]) -> Spoil:
    """What a tracker must say so that a source with these `axes`, `signs` and `offsets` makes the true pose of it."""
    axes = tracker_axes(AxisMap(**keys.get("axes", {})))
    signs, offsets = AngleSigns(**keys.get("signs", {})), AngleOffsets(**keys.get("offsets", {}))

    def spoil(pose: Array) -> Array:
        angles = pan_tilt_roll_from_rotation(pose)
        added = (offsets.pan_deg, offsets.tilt_deg, offsets.roll_deg)
        pan, tilt, roll = (
            (a - o) / s for a, o, s in zip(angles, added, (signs.pan, signs.tilt, signs.roll), strict=True)
        )
        out = np.eye(4)
        out[:3, 3] = axes.T @ pose[:3, 3]
        out[:3, :3] = rotation_from_pan_tilt_roll(pan, tilt, roll)
        return out

    return spoil


def heard(arrivals: list[Arrival], protocol: str) -> Heard:
    listen = "tcp://127.0.0.1:5556" if protocol.startswith("zmq") else "0.0.0.0:4000"
    return Heard(listen, arrivals, tai_minus_arrival_ns=UNIX_NS - T0_NS)


def arrivals_of(
    protocol: str,
    *,
    name: str = "handheld",
    seed: int = 0,
    rate_hz: int = 60,
    seconds_s: float = 8.0,
    faults: Faults | None = None,
    spoil: Spoil = lambda pose: pose,
    late_ns: Callable[[int], int] = lambda _: 0,
) -> list[Arrival]:
    """What arrives of a simulated move."""
    rate = Rate(rate_hz)
    encode, pose_at, made = encoder(protocol, rate=rate), move(name, seed).pose, faults or Faults()
    items = []
    for n in range(int(rate_hz * seconds_s)):
        t_ns = rate.deadline_ns(0, n)
        moment = made.spoil(Moment(spoil(pose_at(t_ns / 1e9)), n, UNIX_NS + t_ns), t_ns)
        items += [Timed(T0_NS + t_ns + late_ns(n), data, HOST, PORT) for data in encode(moment)]
    return [Arrival(item.data, item.host, item.port, item.t_ns) for item in made.apply(items)]


def examined(protocol: str, **more: Any) -> Report:
    return diagnose([heard(arrivals_of(protocol, **more), protocol)])


def codes(report: Report) -> set[str]:
    return {finding.code.removeprefix("doctor.") for finding in report.faults}


ENDS: dict[str, dict[str, float]] = {
    "still": {},
    "pan_right": {"pan_deg": -43.0},
    "tilt_up": {"tilt_deg": 27.0, "pan_deg": 2.0},
    "roll_clockwise": {"roll_deg": 22.0, "tilt_deg": 1.5},
    "walk_forward": {"y_m": 1.1, "x_m": 0.08},
    "walk_right": {"x_m": 0.9, "y_m": -0.1},
    "raise": {"z_m": 0.5, "x_m": 0.04},
}
BEGIN = {"x_m": 0.4, "y_m": -0.8, "z_m": 1.5, "pan_deg": 1.5, "tilt_deg": -1.0, "roll_deg": 0.5}


def operator_steps(*, only: tuple[str, ...] = STEPS, rate_hz: int = 30) -> dict[str, list[Array]]:
    """True poses of each step: half a second at rest, a second on the way, half a second held, with a tremor."""
    out: dict[str, list[Array]] = {}
    wave = 0.0
    for step in only:
        poses = []
        for i in range(2 * rate_hz):
            s = min(max((i - 0.5 * rate_hz) / rate_hz, 0.0), 1.0)
            s = s * s * (3.0 - 2.0 * s)
            wave += 1.0
            now = {k: v + s * ENDS[step].get(k, 0.0) for k, v in BEGIN.items()}
            tremor = 0.05 * np.sin(0.7 * wave)
            poses.append(
                pose_from_pan_tilt_roll(
                    (now["x_m"] + 0.001 * tremor, now["y_m"], now["z_m"]),
                    pan_deg=now["pan_deg"] + tremor,
                    tilt_deg=now["tilt_deg"],
                    roll_deg=now["roll_deg"],
                )
            )
        out[step] = poses
    return out


def step_arrivals(
    protocol: str, spoil: Spoil = lambda pose: pose, *, only: tuple[str, ...] = STEPS, rate_hz: int = 30
) -> tuple[dict[str, list[Arrival]], dict[str, list[Array]]]:
    """What arrives during each step of a guided check, and the true poses."""
    rate = Rate(rate_hz)
    encode = encoder(protocol, rate=rate)
    truth = operator_steps(only=only, rate_hz=rate_hz)
    out: dict[str, list[Arrival]] = {}
    n = 0
    for step, poses in truth.items():
        out[step] = []
        for pose in poses:
            t_ns = rate.deadline_ns(0, n)
            out[step] += [
                Arrival(data, HOST, PORT, T0_NS + t_ns) for data in encode(Moment(spoil(pose), n, UNIX_NS + t_ns))
            ]
            n += 1
    return out, truth
