"""Camera moves as pure functions of time: seeded, twice continuously differentiable, and all inside a small stage.

Every move stays within 1.5 m of the stage's origin (seen from above) and between 1 and 2 m high, panned within 25
degrees of +Y: what the `demo` stage's camera may do. The same name and seed give the same poses on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import atan2, copysign, cos, degrees, exp, hypot, pi, radians, sin
from random import Random
from typing import Final

from stage.errors import Problem
from stage.frames import Array, pose, pose_from_pan_tilt_roll, transform_points
from tracking.errors import SendError

MAX_RADIUS_M: Final = 1.5
HEIGHT_M: Final = (1.0, 2.0)
MAX_PAN_DEG: Final = 25.0

PoseAt = Callable[[float], Array]


@dataclass(frozen=True, slots=True)
class Move:
    """A named move. `pose(t_s)` gives `stage_from_camera`, [4, 4], t in seconds, any t."""

    name: str
    seed: int
    _pose: PoseAt

    def pose(self, t_s: float) -> Array:
        """`stage_from_camera`, [4, 4], at `t_s` seconds."""
        return self._pose(t_s)


def move(name: str, seed: int = 0) -> Move:
    """The move of that name: orbit, dolly, crane, handheld, tripod or whip.

    Raises
    ------
    SendError : no such move.
    """
    make = _MAKERS.get(name)
    if make is None:
        raise SendError(
            Problem("tracking.unknown_move", "move", "no such move", name, f"use one of {', '.join(MOVES)}")
        )
    return Move(name, seed, make(Random(f"{name}:{seed}")))


def look_at(position_m: tuple[float, float, float], target_m: tuple[float, float, float]) -> Array:
    """`stage_from_camera`, [4, 4], of a level camera at a position looking at a target, stage metres."""
    dx, dy, dz = (b - a for a, b in zip(position_m, target_m, strict=True))
    return pose_from_pan_tilt_roll(
        position_m, pan_deg=degrees(atan2(-dx, dy)), tilt_deg=degrees(atan2(dz, hypot(dx, dy)))
    )


def _orbit(random: Random) -> PoseAt:
    """Around a subject in front of the wall, from one side to the other and back."""
    radius_m, swing_deg, period_s = random.uniform(2.5, 2.8), random.uniform(19.0, 23.0), random.uniform(11.0, 15.0)
    phase, height_m = random.uniform(0.0, 2 * pi), random.uniform(1.4, 1.6)

    def at(t_s: float) -> Array:
        angle = radians(swing_deg) * sin(2 * pi * t_s / period_s + phase)
        z = height_m + 0.12 * sin(2 * pi * t_s / (1.7 * period_s) + 2 * phase)
        return look_at((radius_m * sin(angle), 2.1 - radius_m * cos(angle), z), (0.0, 2.1, 1.5))

    return at


def _dolly(random: Random) -> PoseAt:
    """Forward and back on a slightly skewed track, held on a subject off the track."""
    period_s, phase = random.uniform(9.0, 12.0), random.uniform(0.0, 2 * pi)
    skew_m, height_m, side_m = random.uniform(-0.25, 0.25), random.uniform(1.3, 1.5), random.uniform(-0.5, 0.5)

    def at(t_s: float) -> Array:
        s = sin(2 * pi * t_s / period_s + phase)
        return look_at((0.2 * side_m + skew_m * s, -0.25 + 1.05 * s, height_m), (side_m, 4.5, 1.6))

    return at


def _crane(random: Random) -> PoseAt:
    """An arm that swings and lifts about a base behind the camera, the head kept on a subject."""
    arm_m, lift_deg, swing_deg = 2.8, random.uniform(8.0, 10.0), random.uniform(12.0, 16.0)
    lift_s, swing_s = random.uniform(8.0, 11.0), random.uniform(13.0, 17.0)
    a, b = random.uniform(0.0, 2 * pi), random.uniform(0.0, 2 * pi)

    def at(t_s: float) -> Array:
        lift = radians(lift_deg) * sin(2 * pi * t_s / lift_s + a)
        swing = radians(swing_deg) * sin(2 * pi * t_s / swing_s + b)
        reach = arm_m * cos(lift)
        return look_at((reach * sin(swing), -3.0 + reach * cos(swing), 1.5 + arm_m * sin(lift)), (0.0, 4.0, 1.5))

    return at


def _noise(random: Random, rms: float, low_hz: float, high_hz: float, slope: float) -> Callable[[float], float]:
    """A sum of sines with power falling as 1 / f^slope, of the given root mean square."""
    count = 18
    lines = []
    for i in range(count):
        f = low_hz * (high_hz / low_hz) ** ((i + random.uniform(0.2, 0.8)) / count)
        # Logarithmic spacing: a line stands for a band as wide as its frequency.
        lines.append((f, f ** ((1.0 - slope) / 2.0), random.uniform(0.0, 2 * pi)))
    scale = rms / (sum(a * a for _, a, _ in lines) / 2.0) ** 0.5
    return lambda t_s: scale * sum(a * sin(2 * pi * f * t_s + p) for f, a, p in lines)


def _handheld(random: Random) -> PoseAt:
    """On a shoulder: body sway below 1 Hz, steps and breath above, tremor up to 8 Hz in the angles."""
    sway = [_noise(random, rms, 0.08, 3.0, 2.6) for rms in (0.035, 0.03, 0.012)]
    # The mean square of many sines hides peaks of about three times it; the spans below keep those inside the limits.
    turn = [_noise(random, rms, 0.1, 8.0, 2.4) for rms in (1.0, 0.8, 0.5)]
    drift_s, phase = random.uniform(14.0, 18.0), random.uniform(0.0, 2 * pi)

    def at(t_s: float) -> Array:
        walk = sin(2 * pi * t_s / drift_s + phase)
        x, y, z = (n(t_s) for n in sway)
        pan, tilt, roll = (n(t_s) for n in turn)
        return pose_from_pan_tilt_roll(
            (0.55 * walk + x, 0.3 * sin(4 * pi * t_s / drift_s) + y, 1.6 + z),
            pan_deg=7.0 * walk + pan,
            tilt_deg=1.0 + tilt,
            roll_deg=roll,
        )

    return at


TRIPOD_SENSOR_M: Final = (0.0, 0.03, 0.2)
"""The sensor's middle in the tripod head's axes: the head's pivot lies below and a little behind it."""


def _tripod(random: Random) -> PoseAt:
    """An operator pans and tilts about a fixed pivot: moves with a start and a stop, and rests between them."""
    pivot_m = (random.uniform(-0.4, 0.4), random.uniform(-0.6, 0.2), random.uniform(1.2, 1.4))
    count = 12
    marks = [(random.uniform(-21.0, 21.0), random.uniform(-7.0, 7.0)) for _ in range(count)]
    takes = [(random.uniform(1.6, 3.4), random.uniform(0.3, 1.0)) for _ in range(count)]
    loop_s = sum(go + rest for go, rest in takes)
    breath_pan, breath_tilt = _noise(random, 0.02, 0.3, 5.0, 2.0), _noise(random, 0.02, 0.3, 5.0, 2.0)

    def aim(t_s: float) -> tuple[float, float]:
        left = t_s % loop_s
        for i, (go_s, rest_s) in enumerate(takes):
            if left < go_s + rest_s:
                s = min(left / go_s, 1.0)
                # Quintic: speed and acceleration are zero at both ends.
                eased = s * s * s * (10.0 - 15.0 * s + 6.0 * s * s)
                (p0, t0), (p1, t1) = marks[i - 1], marks[i]
                return p0 + (p1 - p0) * eased, t0 + (t1 - t0) * eased
            left -= go_s + rest_s
        return marks[-1]

    def at(t_s: float) -> Array:
        pan, tilt = aim(t_s)
        head = pose_from_pan_tilt_roll(pivot_m, pan_deg=pan + breath_pan(t_s), tilt_deg=tilt + breath_tilt(t_s))
        return pose(transform_points(head, TRIPOD_SENSOR_M), head[:3, :3])

    return at


def _whip(random: Random) -> PoseAt:
    """Whip pans on a fluid head: from mark to mark in a third of a second, past it a little, back, and a rest."""
    pivot_m = (random.uniform(-0.4, 0.4), random.uniform(-0.6, 0.2), random.uniform(1.2, 1.4))
    left, right = random.uniform(17.0, 20.0), random.uniform(-20.0, -17.0)
    count = 8
    tilts = [random.uniform(-3.0, 3.0) for _ in range(count)]
    whips = [(random.uniform(0.32, 0.45), random.uniform(0.9, 1.8)) for _ in range(count)]
    over_deg, settle_hz, decay_s = random.uniform(0.5, 1.2), random.uniform(2.0, 3.0), random.uniform(0.12, 0.2)
    loop_s = sum(go + rest for go, rest in whips)
    breath_pan, breath_tilt = _noise(random, 0.02, 0.3, 5.0, 2.0), _noise(random, 0.02, 0.3, 5.0, 2.0)

    def eased(s: float) -> float:
        return s * s * s * (10.0 - 15.0 * s + 6.0 * s * s)

    def aim(t_s: float) -> tuple[float, float]:
        at_s = t_s % loop_s
        for i, (go_s, rest_s) in enumerate(whips):
            if at_s < go_s + rest_s:
                p0, p1 = (left, right) if i % 2 else (right, left)
                s = eased(min(at_s / go_s, 1.0))
                pan, tilt = p0 + (p1 - p0) * s, tilts[i - 1] + (tilts[i] - tilts[i - 1]) * s
                after_s = at_s - go_s
                if after_s > 0.0:
                    # The head springs past the mark and dies away; both its speed and its acceleration begin at zero.
                    begun = eased(min(after_s / 0.1, 1.0))
                    swing = exp(-after_s / decay_s) * sin(2 * pi * settle_hz * after_s)
                    left_s = rest_s - after_s
                    pan += copysign(over_deg, p1 - p0) * begun * swing * eased(min(left_s / 0.2, 1.0))
                return pan, tilt
            at_s -= go_s + rest_s
        return (left if count % 2 else right), tilts[-1]

    def at(t_s: float) -> Array:
        pan, tilt = aim(t_s)
        head = pose_from_pan_tilt_roll(pivot_m, pan_deg=pan + breath_pan(t_s), tilt_deg=tilt + breath_tilt(t_s))
        return pose(transform_points(head, TRIPOD_SENSOR_M), head[:3, :3])

    return at


_MAKERS: Final[dict[str, Callable[[Random], PoseAt]]] = {
    "orbit": _orbit,
    "dolly": _dolly,
    "crane": _crane,
    "handheld": _handheld,
    "tripod": _tripod,
    "whip": _whip,
}
MOVES: Final = tuple(_MAKERS)
