"""The guided check: an operator moves the camera as told, and the moves say which axes and signs are right.

Each step is a stretch of poses read without corrections: from how the camera stood to the farthest it came. Turns give
the signs of the angles and how the body is mounted; moves give the axes. Nothing is guessed: what a step contradicts or
does not show is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import degrees
from typing import Any, Final, Literal

import numpy as np

from stage.frames import (
    Array,
    pan_tilt_roll_from_rotation,
    rotation_from_pan_tilt_roll,
    vector_from_rotation,
)
from tracking.doctor.findings import Finding
from tracking.doctor.signs import Reading, signed_permutations

Step = Literal["still", "pan_right", "tilt_up", "roll_clockwise", "walk_forward", "walk_right", "raise"]

PROMPTS: Final[dict[Step, str]] = {
    "still": "Point the camera straight at the wall, level, and hold it still.",
    "pan_right": "Pan right, about 45 degrees, and hold.",
    "tilt_up": "From straight ahead: tilt up, about 30 degrees, and hold.",
    "roll_clockwise": "From straight ahead: roll clockwise as seen from behind the camera, about 20 degrees, and hold.",
    "walk_forward": "From straight ahead: move the camera about 1 m toward the wall, and hold.",
    "walk_right": "From straight ahead: move the camera about 1 m to the right, and hold.",
    "raise": "From straight ahead: raise the camera, about half a metre, and hold.",
}
STEPS: Final = tuple(PROMPTS)
_TURNS: Final[dict[Step, tuple[Array, float]]] = {
    "pan_right": (np.array([0.0, 0.0, -1.0]), 45.0),
    "tilt_up": (np.array([1.0, 0.0, 0.0]), 30.0),
    "roll_clockwise": (np.array([0.0, 1.0, 0.0]), 20.0),
}
"""Stage axis and asked angle of each turn, from straight ahead."""
_MOVES: Final[dict[Step, tuple[Array, float]]] = {
    "walk_forward": (np.array([0.0, 1.0, 0.0]), 1.0),
    "walk_right": (np.array([1.0, 0.0, 0.0]), 1.0),
    "raise": (np.array([0.0, 0.0, 1.0]), 0.5),
}
"""Stage direction and asked metres of each move."""
LEAST_TURN_DEG: Final = 5.0
LEAST_MOVE_M: Final = 0.15
ALONG: Final = 0.85
"""Cosine of what still is along an axis: 30 degrees off."""
QUARTER_SLACK_DEG: Final = 20.0
"""So close to a quarter turn it is one."""
LEVEL_DEG: Final = 8.0
NAMES: Final[dict[Step, str]] = {
    "still": "still", "pan_right": "pan right", "tilt_up": "tilt up", "roll_clockwise": "roll clockwise",
    "walk_forward": "toward the wall", "walk_right": "to the right", "raise": "up",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """What a guided check found.

    keys : of the source that make every move right; findings : what was corrected, contradicts or is missing;
    certain : whether every step was understood.
    """

    keys: dict[str, Any]
    findings: tuple[Finding, ...]
    certain: bool


@dataclass(frozen=True, slots=True)
class _Moved:
    """One step: where it began and the farthest it came."""

    first_m: Array
    first: Array
    last_m: Array
    last: Array

    @property
    def move_m(self) -> Array:
        return np.asarray(self.last_m - self.first_m)


def guided(steps: Mapping[str, tuple[Array, Array]]) -> Told:
    """What the steps, each places, [n, 3] metres, and rotations, [n, 3, 3], read without corrections, tell together."""
    problems: list[Finding] = []
    moved = {name: _of_step(*steps[name], turns=name in _TURNS) for name in STEPS if len(steps.get(name, ((),))[0])}
    if "still" not in moved:
        # Every other step begins where `still` would have been.
        others = [step for name, step in moved.items() if name != "still"]
        if not others:
            return Told({}, (_missing("still"),), certain=False)
        moved["still"] = _Moved(others[0].first_m, others[0].first, others[0].first_m, others[0].first)
    ahead = moved["still"].last
    turns, problems_of_turns = _turns_of(moved)
    problems += problems_of_turns
    found = _read_turns(ahead, turns)
    if found is None:
        return Told({}, (*problems, _contradiction(ahead, turns)), certain=False)
    problems += found.notes
    moves, problems_of_moves = _moves_of(moved)
    problems += problems_of_moves
    keys, more = _read_moves(found, moves)
    problems += more
    signs, mount = found.signs, found.mount
    named = zip(("pan", "tilt", "roll"), signs, strict=True)
    flipped = {name: sign for name, sign in named if sign < 0}
    if flipped:
        keys["signs"] = flipped
    if mount is not None:
        keys["body_from_camera"] = mount
    problems += _corrections(keys)
    if mount is not None and set(mount) == {"pan_deg"} and abs(mount["pan_deg"]) == 90.0:
        problems.append(_or_exchanged())
    certain = not any(
        p.code in ("doctor.guided_step", "doctor.guided_missing", "doctor.guided_moves") for p in problems
    )
    return Told(keys, tuple(problems), certain)


# --- steps --------------------------------------------------------------------------------------------------------


def _of_step(positions_m: Array, rotations: Array, *, turns: bool) -> _Moved:
    n = len(positions_m)
    head = max(1, n // 10)
    first_m, first = np.median(positions_m[:head], axis=0), rotations[0]
    if turns:
        far = np.array([np.linalg.norm(vector_from_rotation(first.T @ r)) for r in rotations])
    else:
        far = np.linalg.norm(positions_m - first_m, axis=1)
    at = int(np.argmax(far))
    # The camera was held there: the median of what is as far takes the tremor out.
    held = far >= 0.95 * far[at]
    return _Moved(first_m, first, np.median(positions_m[held], axis=0), rotations[at])


def _missing(step: Step) -> Finding:
    return Finding("doctor.guided_missing", "note", f"the step '{NAMES[step]}' was not done")


def _turns_of(moved: Mapping[Step, _Moved]) -> tuple[dict[Step, _Moved], list[Finding]]:
    turns: dict[Step, _Moved] = {}
    problems = []
    for name, (_, asked_deg) in _TURNS.items():
        step = moved.get(name)
        if step is None:
            problems.append(_missing(name))
            continue
        angle_deg = degrees(float(np.linalg.norm(vector_from_rotation(step.first.T @ step.last))))
        if angle_deg < LEAST_TURN_DEG:
            radians = angle_deg * 57.3 > 0.4 * asked_deg and angle_deg > 0.1
            problems.append(
                Finding(
                    "doctor.radians" if radians else "doctor.guided_step",
                    "fault",
                    f"'{NAMES[name]}' turned it by {angle_deg:.2f} degrees only"
                    + (": its angles look like radians sent as degrees" if radians else ""),
                    f"about {asked_deg:.0f} were asked for",
                    "set the unit of angles in the tracker's output to degrees"
                    if radians
                    else "repeat the step; if it stays so, the tracker does not see that turn",
                )
            )
            if not radians:
                continue
        turns[name] = step
    return turns, problems


def _moves_of(moved: Mapping[Step, _Moved]) -> tuple[dict[Step, Array], list[Finding]]:
    moves: dict[Step, Array] = {}
    problems = []
    ratios = []
    for name, (_, asked_m) in _MOVES.items():
        step = moved.get(name)
        if step is None:
            problems.append(_missing(name))
            continue
        moves[name] = step.move_m
        ratios.append(float(np.linalg.norm(step.move_m)) / asked_m)
    if not ratios:
        return moves, problems
    ratio = float(np.median(ratios))
    for words, low, high in (
        ("1000 times too large: millimetres read as metres", 250.0, 4000.0),
        ("100 times too large: centimetres read as metres", 30.0, 250.0),
        ("10 times too large", 5.0, 20.0),
        ("1000 times too small: metres sent where millimetres belong", 0.00025, 0.004),
        ("100 times too small: metres sent where centimetres belong", 0.004, 0.03),
    ):
        if low <= ratio < high:
            problems.append(
                Finding(
                    "doctor.unit",
                    "fault",
                    f"its places are {words}",
                    f"1 m is told as {ratio:.3g} m",
                    "set the unit of places in the tracker's output",
                )
            )
            return moves, problems
    for name in list(moves):
        length = float(np.linalg.norm(moves[name]))
        if length < LEAST_MOVE_M:
            del moves[name]
            problems.append(
                Finding(
                    "doctor.guided_step",
                    "fault",
                    f"'{NAMES[name]}' moved it by {length:.3f} m only",
                    f"about {_MOVES[name][1]:g} m were asked for",
                    "repeat the step; a head that knows its angles only has no place: give it in `stage_from_tracker`",
                )
            )
    return moves, problems


# --- turns --------------------------------------------------------------------------------------------------------


def _signed(rotation: Array, signs: Sequence[int]) -> Array:
    angles = pan_tilt_roll_from_rotation(rotation)
    return rotation_from_pan_tilt_roll(*(s * a for s, a in zip(signs, angles, strict=True)))


def _quarter_turns() -> list[tuple[tuple[float, float, float], Array]]:
    """The 24 ways to mount a body by quarter turns: pan, tilt, roll in degrees, and [3, 3]; none first."""
    out: list[tuple[tuple[float, float, float], Array]] = []
    for pan, tilt, roll in product((0.0, 90.0, 180.0, -90.0), (0.0, 90.0, -90.0), (0.0, 90.0, 180.0, -90.0)):
        rotation = np.rint(rotation_from_pan_tilt_roll(pan, tilt, roll))
        if not any(np.array_equal(rotation, other) for _, other in out):
            out.append(((pan, tilt, roll), rotation))
    return out


@dataclass(frozen=True, slots=True)
class _Turned:
    """What makes the turns right."""

    agreement: float
    """The worst cosine between what was asked for and what is read so."""
    cost: int
    signs: tuple[int, int, int]
    mount: dict[str, float] | None
    """`body_from_camera`; None: the body's axes are the camera's."""
    upright: Array
    """[3, 3], before everything else: another axis of the tracker's is up."""
    straight: Array
    """[3, 3], how the camera is read when it looked straight at the wall, `upright` included."""
    notes: tuple[Finding, ...] = ()


def _agreement(
    ahead: Array, turns: Mapping[Step, _Moved], signs: Sequence[int], mount: Array, upright: Array
) -> tuple[float, Array]:
    """The worst cosine between what was asked for and what is read so; and how straight ahead is read, [3, 3]."""
    straight = upright @ _signed(ahead, signs) @ mount
    pan = float(np.arctan2(-straight[0, 1], straight[1, 1]))
    # However the tracker's zero looks, the camera looked straight at the wall.
    level = rotation_from_pan_tilt_roll(-degrees(pan), 0.0, 0.0) @ upright
    worst = float(straight[2, 2])
    for name, step in turns.items():
        axis, _ = _TURNS[name]
        vector = level @ vector_from_rotation(_signed(step.last, signs) @ _signed(step.first, signs).T)
        length = float(np.linalg.norm(vector))
        worst = min(worst, float(axis @ vector) / length if length > 0.0 else -1.0)
    return worst, straight


def _read_turns(ahead: Array, turns: Mapping[Step, _Moved]) -> _Turned | None:
    """The simplest reading that makes the turns right; None: there is none."""
    mounts = _quarter_turns()
    all_signs = list(product((1, -1), repeat=3))
    found = _simplest(ahead, turns, all_signs, mounts, [np.eye(3)])
    if found is None:
        # Another axis of the tracker's may be up: five more ways to stand, with the angles as they are.
        uprights: list[Array] = []
        for _, rotation in mounts:
            if all(not np.array_equal(rotation[2], other[2]) for other in [np.eye(3), *uprights]):
                uprights.append(rotation)
        found = _simplest(ahead, turns, all_signs[:1], mounts, uprights)
    if found is None:
        return None
    _, tilt, roll = pan_tilt_roll_from_rotation(found.straight)
    if max(abs(tilt), abs(roll)) <= LEVEL_DEG:
        return found
    note = Finding(
        "doctor.not_level",
        "note",
        "held level and straight, it still reads a tilt or roll",
        f"tilt {tilt:.1f}, roll {roll:.1f} degrees",
        "level the tracker's zero; what is left, 'Set zero here' takes out",
    )
    return replace(found, notes=(note,))


def _simplest(
    ahead: Array,
    turns: Mapping[Step, _Moved],
    all_signs: Sequence[tuple[int, ...]],
    mounts: Sequence[tuple[tuple[float, float, float], Array]],
    uprights: Sequence[Array],
) -> _Turned | None:
    best: _Turned | None = None
    for upright in uprights:
        for number, (angles, mount) in enumerate(mounts):
            for signs in all_signs:
                agreement, straight = _agreement(ahead, turns, signs, mount, upright)
                cost = (2 if number else 0) + sum(1 for s in signs if s < 0)
                if agreement < ALONG or (best is not None and (cost, -agreement) >= (best.cost, -best.agreement)):
                    continue
                named = zip(("pan_deg", "tilt_deg", "roll_deg"), angles, strict=True)
                mounted = {name: value for name, value in named if value}
                pan, tilt, roll = signs
                best = _Turned(agreement, cost, (pan, tilt, roll), mounted or None, upright, straight)
    return best


def _contradiction(ahead: Array, turns: Mapping[Step, _Moved]) -> Finding:
    """Why no signs make the turns right: what each of them did."""
    said = []
    for name, step in turns.items():
        vector = vector_from_rotation(ahead.T @ (step.last @ step.first.T) @ ahead)
        index = int(np.argmax(np.abs(vector)))
        said.append(f"'{NAMES[name]}' comes out as {('tilt', 'roll', 'pan')[index]}")
    exchanged = "'tilt up' comes out as roll" in said and "'roll clockwise' comes out as tilt" in said
    return Finding(
        "doctor.swapped" if exchanged else "doctor.guided_turns",
        "fault",
        "tilt and roll are exchanged" if exchanged else "no signs make these turns right together",
        "; ".join(said),
        "exchange tilt and roll in the tracker's output (OSC: in `fields`)"
        if exchanged
        else "repeat the steps one by one, each from straight ahead; then look at the order of angles at the tracker",
    )


# --- moves --------------------------------------------------------------------------------------------------------


def _read_moves(turned: _Turned, moves: Mapping[Step, Array]) -> tuple[dict[str, Any], list[Finding]]:
    """Axes and the tracker's heading, from moves and where the camera looked meanwhile."""
    pan_deg = pan_tilt_roll_from_rotation(turned.straight)[0]
    quarter_deg = 90.0 * round(pan_deg / 90.0)
    heading_deg = quarter_deg if abs(pan_deg - quarter_deg) < QUARTER_SLACK_DEG else float(round(pan_deg))
    whole = rotation_from_pan_tilt_roll(-heading_deg, 0.0, 0.0) @ turned.upright
    angles_deg = pan_tilt_roll_from_rotation(whole)
    named = zip(("pan_deg", "tilt_deg", "roll_deg"), angles_deg, strict=True)
    frame_keys = {name: _wrapped(round(value)) for name, value in named if round(value)}
    placed: dict[str, Any] = {"stage_from_tracker": frame_keys} if frame_keys else {}
    if not moves:
        return placed, []
    # Either the whole frame of the tracker is turned, or its angles alone look elsewhere at zero.
    frame = _axes_for(moves, rotation_from_pan_tilt_roll(-pan_deg, 0.0, 0.0) @ turned.upright)
    angles = _axes_for(moves, np.eye(3))
    options: list[tuple[int, float, Reading, dict[str, Any]]] = []
    if frame is not None:
        options.append((frame[0].cost[0] + len(frame_keys), -frame[1], frame[0], placed))
    if angles is not None and heading_deg and np.array_equal(turned.upright, np.eye(3)):
        options.append((angles[0].cost[0] + 1, -angles[1], angles[0], {"offsets": {"pan_deg": _wrapped(-heading_deg)}}))
    if not options:
        said = "; ".join(
            f"'{NAMES[name]}' went x {v[0]:+.2f} y {v[1]:+.2f} z {v[2]:+.2f} m" for name, v in moves.items()
        )
        return {}, [
            Finding(
                "doctor.guided_moves",
                "fault",
                "no map of axes makes these moves right together",
                said,
                "repeat the moves one by one, each straight and from straight ahead",
            )
        ]
    _, _, reading, keys = min(options, key=lambda option: option[:2])
    notes = []
    if len(moves) == 2:
        notes.append(
            Finding(
                "doctor.guided_missing",
                "note",
                "two of three moves are known: the third axis is taken so that nothing is mirrored",
            )
        )
    return {**keys, **{k: v for k, v in reading.keys.items() if k == "axes"}}, notes


def _axes_for(moves: Mapping[Step, Array], turned: Array) -> tuple[Reading, float] | None:
    """The simplest map of axes under which every move goes where it was asked to, and its worst cosine. `turned`,
    [3, 3], comes after the map. None: there is no such map."""
    best: tuple[tuple[int, int, float], Reading, float] | None = None
    for names, stage_from_tracker in signed_permutations():
        worst = min(
            float(_MOVES[name][0] @ (turned @ stage_from_tracker @ move)) / float(np.linalg.norm(move))
            for name, move in moves.items()
        )
        if worst < ALONG:
            continue
        reading = Reading(names, (1, 1, 1))
        mirrored = int(np.linalg.det(stage_from_tracker) < 0.0) if len(moves) < 3 else 0
        rank = (mirrored, reading.cost[0], -worst)
        if best is None or rank < best[0]:
            best = (rank, reading, worst)
    return None if best is None else (best[1], best[2])


def _wrapped(angle_deg: float) -> float:
    return (angle_deg + 180.0) % 360.0 - 180.0 if angle_deg != 180.0 else 180.0


def _or_exchanged() -> Finding:
    return Finding(
        "doctor.swapped",
        "note",
        "a camera that sits a quarter turn aside on its body, and tilt and roll exchanged, look alike here",
        tracker="if the body looks where the camera does, exchange tilt and roll in the tracker's output (OSC: in "
        "`fields`), and leave `body_from_camera` out",
    )


def _corrections(keys: Mapping[str, Any]) -> list[Finding]:
    if not keys:
        return [Finding("doctor.guided_right", "note", "every move came out as it was made: nothing is turned")]
    words = []
    if "signs" in keys:
        words.append(f"{' and '.join(keys['signs'])} turn{'s' if len(keys['signs']) == 1 else ''} the other way")
    if "axes" in keys:
        words.append("its axes are " + ", ".join(f"{k} = {v}" for k, v in keys["axes"].items()))
    if "offsets" in keys:
        words.append(f"pan looks {-keys['offsets']['pan_deg']:g} degrees aside at zero")
    if "stage_from_tracker" in keys:
        turned = ", ".join(f"{k.removesuffix('_deg')} {v:g}" for k, v in keys["stage_from_tracker"].items())
        words.append(f"its whole frame is turned against the stage (by {turned} degrees to bring it back)")
    if "body_from_camera" in keys:
        words.append("the camera sits on the tracked body by quarter turns")
    return [
        Finding(
            "doctor.guided",
            "fault",
            "as it is, the moves come out wrong: " + "; ".join(words),
            tracker="set it right there, or paste the lines below",
            source=dict(keys),
        )
    ]
