"""Lenses of simulated cameras: zoom and focus pulls as an assistant makes them, seeded pure functions of time.

A pull goes from mark to mark with a start and a stop, and rests between; focus moves in dioptres, as the ring does.
Everything that belongs to the lens follows: breathing, entrance pupil, distortion, raw encoders.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log
from random import Random
from typing import Final

from stage.errors import Problem
from tracking.errors import SendError
from tracking.sample import LensReading

LensAt = Callable[[float], LensReading]
ENCODER: Final = 65_535.0
NEAR_M: Final = 0.6
FAR_M: Final = 12.0
PRIME_MM: Final = 40.0
ZOOM_MM: Final = (24.0, 70.0)
BREATHING: Final = 0.025
"""Share by which the focal length grows from far to near."""


def lens(name: str, seed: int = 0) -> LensAt:
    """The lens of that name: `prime` (focus pulls), `zoom` (zoom and focus pulls), `rack` (hard focus racks).

    Raises
    ------
    SendError : no such lens.
    """
    random = Random(f"lens:{name}:{seed}")
    if name == "prime":
        return _made(lambda _: 0.0, pull(random, (1.0, 2.5), (0.5, 2.0)), zooms=False)
    if name == "rack":
        return _made(lambda _: 0.0, pull(random, (0.25, 0.5), (1.0, 2.0)), zooms=False)
    if name == "zoom":
        return _made(pull(random, (1.5, 4.0), (0.5, 2.5)), pull(random, (0.8, 2.5), (0.5, 2.0)), zooms=True)
    raise SendError(Problem("tracking.unknown_lens", "lens", "no such lens", name, f"use {', '.join(LENSES)}"))


LENSES: Final = ("prime", "rack", "zoom")


def pull(
    random: Random, go_s: tuple[float, float], rest_s: tuple[float, float], count: int = 10
) -> Callable[[float], float]:
    """A ring's position 0..1 over time: pulls between marks, with rests; speed and acceleration begin and end at 0."""
    marks = [random.uniform(0.0, 1.0) for _ in range(count)]
    # Neighbouring marks differ: a pull that goes nowhere is a rest.
    marks = [mark if abs(mark - marks[i - 1]) > 0.15 else (mark + 0.5) % 1.0 for i, mark in enumerate(marks)]
    turns = [(random.uniform(*go_s), random.uniform(*rest_s)) for _ in range(count)]
    loop_s = sum(go + rest for go, rest in turns)

    def at(t_s: float) -> float:
        left = t_s % loop_s
        for i, (go, rest) in enumerate(turns):
            if left < go + rest:
                s = min(left / go, 1.0)
                eased = s * s * s * (10.0 - 15.0 * s + 6.0 * s * s)
                return marks[i - 1] + (marks[i] - marks[i - 1]) * eased
            left -= go + rest
        return marks[-1]

    return at


def _made(zoom: Callable[[float], float], focus: Callable[[float], float], *, zooms: bool) -> LensAt:
    wide, tele = ZOOM_MM

    def at(t_s: float) -> LensReading:
        z, f = zoom(t_s), focus(t_s)
        base_mm = wide * (tele / wide) ** z if zooms else PRIME_MM
        distance_m = 1.0 / ((1.0 - f) / NEAR_M + f / FAR_M)
        barrel = 1.2e-4 * (1.0 - log(base_mm / wide) / log(tele / wide))
        return LensReading(
            focal_length_mm=base_mm * (1.0 + BREATHING * (1.0 - f)),
            focus_distance_m=distance_m,
            entrance_pupil_m=0.14 - 0.06 * z,
            f_stop=2.8,
            zoom_raw=round(ENCODER * z) * 1.0 if zooms else None,
            focus_raw=round(ENCODER * f) * 1.0,
            radial=(barrel, 0.0, 1e-8),
            tangential=(0.0, 0.0),
            model="Brown-Conrady D-U",
        )

    return at
