"""Which signs and axes make a tracker's places and turns agree with each other.

A camera on a tripod head obeys p = pivot + R offset (as in `calibration.pivot`). Read with a wrong sign or a mirrored
axis it does not: all 8 signs of the angles times all 48 signed permutations of the axes are fitted, in closed form.
Two readings that are mirror images of each other fit alike: only a person who moves the camera tells them apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product
from typing import Any, Final

import numpy as np

from stage.frames import Array, pan_tilt_roll_from_rotation, rotation_from_pan_tilt_roll
from tracking.doctor.findings import Finding

LONGEST_OFFSET_M: Final = 1.5
"""A sensor sits no farther from its tripod head's pivot."""
MOST_POSES: Final = 200
LEAST_BOX_M: Final = 0.015
LEAST_TURN_DEG: Final = 0.7
"""The second direction the camera turns in must vary so much (standard deviation), or a pan alone is all there is."""
TRIPOD_MM: Final = 2.5
"""A fit this good is a tripod."""
TRIPOD_RATIO: Final = 0.02
"""... if what is left over is also so little of the way the sensor went."""
WORSE: Final = 1.6
WORSE_MM: Final = 0.05
RADIANS: Final = 57.29577951308232
Signs = tuple[int, int, int]
_LETTERS: Final = "xyz"


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read poses."""

    axes: tuple[str, str, str]
    signs: Signs
    swapped: bool = False
    """Tilt and roll exchanged: nothing a source's keys can say."""

    @property
    def cost(self) -> tuple[int, int]:
        """How many things differ from reading them as they are; angles before axes."""
        axes = sum(1 for axis, name in zip(self.axes, _LETTERS, strict=True) if axis != name)
        signs = sum(1 for sign in self.signs if sign < 0)
        return axes + signs + (2 if self.swapped else 0), axes

    @property
    def keys(self) -> dict[str, Any]:
        """Of a source."""
        out: dict[str, Any] = {}
        if self.axes != ("x", "y", "z"):
            out["axes"] = dict(zip(_LETTERS, self.axes, strict=True))
        named = zip(("pan", "tilt", "roll"), self.signs, strict=True)
        signs = {name: sign for name, sign in named if sign < 0}
        return out | ({"signs": signs} if signs else {})

    def __str__(self) -> str:
        words = ["tilt and roll exchanged"] if self.swapped else []
        for axis, name in zip(self.axes, _LETTERS, strict=True):
            if axis != name:
                words.append(f"{name} is {axis}")
        named = zip(("pan", "tilt", "roll"), self.signs, strict=True)
        words += [f"{name} turned" for name, sign in named if sign < 0]
        return ", ".join(words) or "as it is"


def signed_permutations() -> list[tuple[tuple[str, str, str], Array]]:
    """All 48 maps of axes: names as in a source's `axes`, and [3, 3]."""
    out = []
    for order in permutations(range(3)):
        for signs in product((1, -1), repeat=3):
            stage_from_tracker = np.zeros((3, 3))
            for row, (column, sign) in enumerate(zip(order, signs, strict=True)):
                stage_from_tracker[row, column] = sign
            names = tuple(("-" if s < 0 else "") + _LETTERS[c] for c, s in zip(order, signs, strict=True))
            out.append(((names[0], names[1], names[2]), stage_from_tracker))
    return out


def tripod_fits(positions_m: Array, rotations: Array, *, angle_scale: float = 1.0) -> list[tuple[float, Reading]]:
    """What is left over, mm RMS, of every reading of poses ([n, 3] and [n, 3, 3]) as a tripod's, best first; readings
    whose tripod would be none are left out. angle_scale: all angles are taken times so much."""
    angles = np.array([pan_tilt_roll_from_rotation(r) for r in rotations]) * angle_scale
    centred = positions_m - positions_m.mean(axis=0)
    total = float((centred**2).sum())
    axes = signed_permutations()
    out: list[tuple[float, Reading]] = []
    for swapped in (False, True):
        used = angles[:, [0, 2, 1]] if swapped else angles
        for signs in product((1, -1), repeat=3):
            turned = np.array([rotation_from_pan_tilt_roll(*row) for row in used * np.array(signs)])
            lever = turned - turned.mean(axis=0)
            normal = np.einsum("nkj,nkl->jl", lever, lever)
            values, vectors = np.linalg.eigh(normal)
            good = values > 1e-3 * values[-1]
            inverse = (vectors[:, good] / values[good]) @ vectors[:, good].T
            moments = np.einsum("nkj,nl->jkl", lever, centred)
            for names, stage_from_tracker in axes:
                right = np.einsum("jkl,kl->j", moments, stage_from_tracker)
                offset = inverse @ right
                if np.linalg.norm(offset) > LONGEST_OFFSET_M:
                    continue
                left = max(0.0, total - float(right @ offset))
                rms_mm = 1000.0 * float(np.sqrt(left / len(centred)))
                out.append((rms_mm, Reading(names, (signs[0], signs[1], signs[2]), swapped)))
    out.sort(key=lambda item: (item[0], item[1].cost))
    return out


def as_is(fits: list[tuple[float, Reading]]) -> float:
    """What is left over of the poses as they are read, mm RMS; infinite when they are no tripod's."""
    return next((rms for rms, reading in fits if reading.cost == (0, 0)), float("inf"))


def thinned(positions_m: Array, rotations: Array) -> tuple[Array, Array]:
    """At most MOST_POSES poses, spread over the recording."""
    pick = np.unique(np.linspace(0, len(positions_m) - 1, min(len(positions_m), MOST_POSES)).astype(int))
    return positions_m[pick], rotations[pick]


def enough_turned(positions_m: Array, rotations: Array, *, angle_scale: float = 1.0) -> bool:
    """Whether poses move enough, about two axes, to tell readings apart."""
    if len(positions_m) < 30 or float(np.ptp(positions_m, axis=0).max()) < LEAST_BOX_M:
        return False
    angles = np.array([pan_tilt_roll_from_rotation(r) for r in rotations]) * angle_scale
    if np.ptp(angles[:, 0]) > 180.0:
        angles[:, 0] = np.degrees(np.unwrap(np.radians(angles[:, 0])))
    spread = np.linalg.svd(angles - angles.mean(axis=0), compute_uv=False) / np.sqrt(len(angles))
    return bool(spread[1] > LEAST_TURN_DEG)


def sign_findings(positions_m: Array, rotations: Array, options: dict[str, tuple[Array, Array]]) -> list[Finding]:
    """What poses, [n, 3] stage metres and [n, 3, 3], tell about their signs and axes when the camera is on a tripod.

    options: the same poses read by other settings of the source, by the setting's name.
    """
    positions_m, rotations = thinned(positions_m, rotations)
    box_mm = 1000.0 * float(np.linalg.norm(np.ptp(positions_m, axis=0)))
    if not enough_turned(positions_m, rotations):
        return _radians(positions_m, rotations, box_mm) or [_unjudged("the camera hardly turned about two axes")]
    fits = tripod_fits(positions_m, rotations)
    if not fits:
        return [_unjudged("the camera is on no tripod")]
    best_mm, now_mm = fits[0][0], as_is(fits)
    if best_mm > min(TRIPOD_MM, TRIPOD_RATIO * box_mm):
        return _radians(positions_m, rotations, box_mm) or [_unjudged("the camera is on no tripod")]
    if now_mm <= WORSE * best_mm + WORSE_MM:
        return [
            Finding(
                "doctor.tripod",
                "note",
                "on its tripod, places and turns agree: no single sign or axis is turned",
                f"{now_mm:.2f} mm left over; the camera went {box_mm:.0f} mm",
            )
        ]
    equal = [reading for rms, reading in fits if rms <= 1.3 * best_mm + 0.1]
    equal.sort(key=lambda reading: reading.cost)
    now = f"{now_mm:.1f} mm" if np.isfinite(now_mm) else "more than a tripod can"
    for name, (p, r) in options.items():
        other_mm = as_is(tripod_fits(*thinned(p, r)))
        if other_mm <= 1.3 * best_mm + 0.1:
            key, _, value = name.rpartition(": ")
            section, _, field = key.partition(".")
            return [
                Finding(
                    "doctor.handedness",
                    "fault",
                    f"places and turns agree with {name} only",
                    f"a tripod leaves {other_mm:.2f} mm so, {now} as it is",
                    "prove it: pan right, tilt up, walk forward (--guided)",
                    {section: {field: value}},
                )
            ]
    first = equal[0]
    others = [str(reading) for reading in equal[1:] if reading.cost[0] <= first.cost[0]][:3]
    mirror = f"; as likely: {' / '.join(others)}. --guided tells which" if others else ""
    return [
        Finding(
            "doctor.swapped" if first.swapped else "doctor.signs",
            "fault",
            f"places and turns contradict each other; they agree with {first}{mirror}",
            f"a tripod leaves {fits[0][0]:.2f} mm so, {now} as it is",
            "exchange tilt and roll in the tracker's output"
            if first.swapped
            else "turn that axis in the tracker's output, or paste the lines below",
            first.keys,
        )
    ]


def _unjudged(why: str) -> Finding:
    return Finding(
        "doctor.signs_unknown",
        "note",
        f"signs and axes could not be judged: {why}",
        tracker="pan and tilt a few degrees each on a tripod, or walk through --guided",
    )


def _radians(positions_m: Array, rotations: Array, box_mm: float) -> list[Finding]:
    """Angles so small that a tripod as they are would be many metres long: radians sent as degrees."""
    angles = np.array([pan_tilt_roll_from_rotation(r) for r in rotations])
    if not len(angles) or np.abs(angles).max() > np.pi or not enough_turned(
        positions_m, rotations, angle_scale=RADIANS
    ):  # fmt: skip
        return []
    scaled = as_is(tripod_fits(positions_m, rotations, angle_scale=RADIANS))
    now = as_is(tripod_fits(positions_m, rotations))
    if scaled > min(TRIPOD_MM, TRIPOD_RATIO * box_mm) or now < 3.0 * scaled + 1.0:
        return []
    return [
        Finding(
            "doctor.radians",
            "fault",
            "its angles look like radians sent as degrees",
            f"a tripod leaves {scaled:.2f} mm with all angles times 57.3",
            "set the unit of angles in the tracker's output to degrees",
        )
    ]
