"""What poses tell by themselves: units, jumps, poses that stand still or come again, an up axis that lies down."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from stage.frames import Array, pan_tilt_roll_from_rotation
from tracking.doctor.findings import Finding

FAR_M: Final = 100.0
"""Beyond it the gates of a source refuse poses."""
NEAR_M: Final = 0.05
HEIGHTS_M: Final = (0.2, 8.0)
SPEED_M_S: Final = 10.0
TURN_DEG_S: Final = 720.0
SLACK_M: Final = 0.05
SLACK_DEG: Final = 2.0
MIN_STEP_S: Final = 0.01
FROZEN_S: Final = 0.3
MOVES_M_S: Final = 0.1
MOVES_DEG_S: Final = 3.0
LARGER: Final = (("millimetres", 0.001), ("centimetres", 0.01), ("inches", 0.0254))
SMALLER: Final = (("metres", 1000.0), ("centimetres", 10.0))
UNITS: Final = {"freed": "millimetres", "mosys_f4": "1/100 millimetre", "live_link": "centimetres"}
"""What a protocol carries; all others carry metres."""
_RANK: Final = ("mm", "cm", "m")


def unit_findings(protocol: str, positions_m: Array, turned_deg: float, keys: dict[str, Any]) -> list[Finding]:
    """Places, [n, 3], that no camera on a stage has, but would have in another unit."""
    radius = float(np.median(np.linalg.norm(positions_m, axis=1)))
    height = float(np.median(positions_m[:, 2]))
    box = float(np.linalg.norm(np.ptp(positions_m, axis=0)))
    if not np.any(positions_m):
        return [
            Finding(
                "doctor.no_position",
                "note",
                "its place is always 0 0 0: a pan and tilt head that knows its angles only",
                tracker="give the head's place here, in `stage_from_tracker`",
            )
        ]
    right = UNITS.get(protocol, "metres")
    if radius > FAR_M:
        fitting = [
            (name, k)
            for name, k in LARGER
            if HEIGHTS_M[0] <= abs(height) * k <= HEIGHTS_M[1] and radius * k < FAR_M / 2
        ]
        name, k = fitting[0] if fitting else ("another unit", 0.0)
        seen = f"read as metres it stands {radius:.0f} m away" + (f"; in {name} {radius * k:.2f} m" if k else "")
        return [_unit(f"its places look like {name}", seen, right, _osc_unit(keys, k))]
    if radius < NEAR_M and turned_deg > 2.0:
        for name, k in ((f"{n} where {right} belong", k) for n, k in SMALLER):
            steady = float(np.std(positions_m[:, 2])) * k < 1.5
            if HEIGHTS_M[0] <= height * k <= HEIGHTS_M[1] and steady and 0.02 < box * k < 20.0 and k == 1000.0:
                seen = f"read as they are it stands {1000 * height:.1f} mm high; {k:g} times that {height * k:.2f} m"
                return [_unit(f"its places look like {name}", seen, right, {})]
    return []


def _unit(says: str, seen: str, right: str, source: dict[str, Any]) -> Finding:
    return Finding("doctor.unit", "fault", says, seen, f"set the unit of places in its output to {right}", source)


def _osc_unit(keys: dict[str, Any], k: float) -> dict[str, Any]:
    """For OSC a mapping says the unit: the keys that read what comes."""
    from tracking.osc_config import OscSection

    unit = {0.001: "mm", 0.01: "cm"}.get(k)
    osc = keys.get("osc", {})
    if unit is None or ("camera_name" not in keys and "osc" not in keys):
        return {}
    mapping = OscSection.model_validate(osc).mapping("a")
    poses = [part for part in mapping.parts if part.carries_pose]
    if mapping.complete != "message" or len(poses) != 1 or not {"x_m", "y_m", "z_m"} <= set(poses[0].fields):
        return {}
    fields = [f"{f[0]}_{unit}" if f in ("x_m", "y_m", "z_m") else f for f in poses[0].fields]
    return {"osc": {"fields": fields}}


def height_findings(positions_m: Array, rotations: Array) -> list[Finding]:
    """A camera under the floor, or lying on its side: likely, but not certainly, a matter of set-up."""
    height = float(np.median(positions_m[:, 2]))
    roll = float(np.median(np.abs([pan_tilt_roll_from_rotation(r)[2] for r in rotations])))
    out = []
    if -6.0 < height < -0.3:
        out.append(
            Finding(
                "doctor.below",
                "note",
                f"it stands {-height:.2f} m below the tracker's origin",
                tracker="if the origin is on the floor, its up axis is turned: see --guided",
            )
        )
    if roll > 60.0:
        out.append(
            Finding(
                "doctor.on_its_side",
                "note",
                f"as read the camera is rolled by {roll:.0f} degrees",
                tracker="if it is not: the body's axes differ from the camera's (`body_from_camera`); see --guided",
            )
        )
    return out


def jump_findings(times_ns: Array, positions_m: Array, rotations: Array) -> list[Finding]:
    """Steps that no camera makes, between poses in order of arrival."""
    n = len(times_ns)
    if n < 4:
        return []
    step_s = np.maximum(np.diff(times_ns) * 1e-9, MIN_STEP_S)
    far = np.linalg.norm(np.diff(positions_m, axis=0), axis=1)
    turn = _turns(rotations[:-1], rotations[1:])
    wild = (far > SPEED_M_S * step_s + SLACK_M) | (turn > np.minimum(TURN_DEG_S * step_s + SLACK_DEG, 175.0))
    count = int(wild.sum())
    if not count:
        return []
    seen = f"{count} of {n - 1} steps; the largest {far[wild].max():.2f} m, {turn[wild].max():.1f} degrees"
    back_m = np.linalg.norm(positions_m[2:] - positions_m[:-2], axis=1)
    back_deg = _turns(rotations[:-2], rotations[2:])
    alternating = wild[:-1] & wild[1:] & (back_m < SLACK_M) & (back_deg < SLACK_DEG)
    if alternating.sum() > 0.3 * n:
        mend = "give each camera an id of its own in the tracker"
        return [Finding("doctor.two_cameras", "fault", "two cameras send under one id, in turns", seen, mend)]
    pans = np.array([pan_tilt_roll_from_rotation(r)[0] for r in rotations])
    single = wild[:-1] & wild[1:] & (back_deg < SLACK_DEG + TURN_DEG_S * 2 * MIN_STEP_S)
    at = np.flatnonzero(single)
    if len(at) and np.all(180.0 - np.abs(pans[at]) < 20.0):
        return [
            Finding(
                "doctor.wrap_averaged",
                "fault",
                "where pan goes over 180 degrees single poses look the wrong way: something averages angles there",
                seen,
                "switch off smoothing or resampling between tracker and controller, or turn the tracker's zero away",
            )
        ]
    turned = turn[wild]
    if np.all(np.abs(turned - 152.0) < 12.0) and np.all(far[wild] < 0.5):
        return [
            Finding(
                "doctor.wrap_overflow",
                "fault",
                "pan counts on past what the format holds (256 degrees), and comes out on the other side",
                seen,
                "have the tracker keep pan within 180 degrees either way",
            )
        ]
    return [
        Finding(
            "doctor.jumps",
            "fault" if count > 0.002 * n else "note",
            "poses jump as no camera does",
            seen,
            "look at the tracker's markers or stars, its reflections, and for resets of its pose",
        )
    ]


def frozen_findings(times_ns: Array, positions_m: Array, rotations: Array) -> list[Finding]:
    """Poses that stay exactly the same while the camera moves, and poses that come several times each."""
    n = len(times_ns)
    if n < 20:
        return []
    same = np.all(np.diff(positions_m, axis=0) == 0.0, axis=1) & np.all(np.diff(rotations, axis=0) == 0.0, axis=(1, 2))
    runs: list[tuple[int, int]] = []
    begin = 0
    for i in range(1, n):
        if not same[i - 1]:
            runs.append((begin, i - 1))
            begin = i
    runs.append((begin, n - 1))
    for first, last in runs[1:-1]:
        held_s = (times_ns[last] - times_ns[first]) * 1e-9
        if held_s < FROZEN_S or first < 2 or last > n - 3:
            continue
        before_s, after_s = ((times_ns[b] - times_ns[a]) * 1e-9 for a, b in ((first - 2, first - 1), (last, last + 1)))
        leap_m = float(np.linalg.norm(positions_m[last + 1] - positions_m[last]))
        leap_deg = float(_turns(rotations[last : last + 1], rotations[last + 1 : last + 2])[0])
        speed_m_s = float(np.linalg.norm(positions_m[first - 1] - positions_m[first - 2])) / max(before_s, 1e-3)
        speed_deg_s = float(_turns(rotations[first - 2 : first - 1], rotations[first - 1 : first])[0]) / max(
            before_s, 1e-3
        )
        moved_on = leap_m > 3.0 * max(speed_m_s, MOVES_M_S) * max(after_s, 1e-3) or (
            leap_deg > 3.0 * max(speed_deg_s, MOVES_DEG_S) * max(after_s, 1e-3)
        )
        if moved_on and (speed_m_s > MOVES_M_S or speed_deg_s > MOVES_DEG_S):
            return [
                Finding(
                    "doctor.frozen",
                    "fault",
                    f"its pose stood still for {held_s:.2f} s and then leapt, while packets went on",
                    f"by {leap_m:.3f} m and {leap_deg:.1f} degrees",
                    "look at what hides the tracker's markers or stars, or at the machine it computes on",
                )
            ]
    lengths = np.array([last - first + 1 for first, last in runs[1:-1]])
    if len(lengths) >= 10:
        usual = int(np.median(lengths))
        if 2 <= usual <= 10 and np.mean(np.abs(lengths - usual) <= 1) > 0.9 and np.mean(lengths == usual) > 0.5:
            rate_hz = (n - 1) / ((times_ns[-1] - times_ns[0]) * 1e-9)
            return [
                Finding(
                    "doctor.repeats",
                    "note",
                    f"it sends each pose {usual} times: new ones come {rate_hz / usual:.1f} times a second only",
                    f"{n} packets",
                    "let the tracker send at the rate it measures, or measure at the rate it sends",
                )
            ]
    return []


def upright_options(rotations: Array, options: dict[str, tuple[Array, Array]]) -> list[Finding]:
    """Another setting of the source under which the camera pans instead of rolling, at a camera's height."""
    pan, roll = _pan_and_roll(rotations)
    if roll < 3.0 or roll < 3.0 * pan:
        return []
    for name, (p, r) in options.items():
        other_pan, other_roll = _pan_and_roll(r)
        height = float(np.median(p[:, 2]))
        if other_pan > 3.0 * other_roll and HEIGHTS_M[0] <= height <= HEIGHTS_M[1]:
            key, _, value = name.rpartition(": ")
            section, _, field = key.partition(".")
            return [
                Finding(
                    "doctor.up_axis",
                    "fault",
                    f"the up axis is another one: with {name} the camera pans where it now rolls",
                    f"roll goes over {roll:.1f} degrees and pan over {pan:.1f}; so it stands {height:.2f} m high",
                    "or change the up axis in the tracker",
                    {section: {field: value}},
                )
            ]
    return []


def _pan_and_roll(rotations: Array) -> tuple[float, float]:
    """How far pan and roll go, degrees."""
    angles = np.array([pan_tilt_roll_from_rotation(r) for r in rotations])
    unwrapped = np.degrees(np.unwrap(np.radians(angles), axis=0))
    spans = np.ptp(unwrapped, axis=0)
    return float(spans[0]), float(spans[2])


def _turns(a: Array, b: Array) -> Array:
    """Degrees between rotations, [n, 3, 3] each."""
    trace = np.einsum("nij,nij->n", a, b)
    return np.asarray(np.degrees(np.arccos(np.clip((trace - 1.0) / 2.0, -1.0, 1.0))))
