"""How long a change takes, told in a request's query: `?seconds=2&curve=smooth`. The same wherever numbers are set."""

from __future__ import annotations

import math
from typing import Any, Final, get_args

from fastapi import Request

from controller.api.problems import problem
from controller.errors import BadValue
from controller.moves import LONGEST_S
from controller.transitions import FadeCurve

CURVES: Final[tuple[FadeCurve, ...]] = get_args(FadeCurve)

TIMED: Final[dict[str, Any]] = {
    "parameters": [
        {
            "name": "seconds",
            "in": "query",
            "required": False,
            "description": "How long numbers, colours and angles take to get there, counted in whole frames.",
            "schema": {"type": "number", "minimum": 0, "maximum": LONGEST_S, "default": 0},
        },
        {
            "name": "curve",
            "in": "query",
            "required": False,
            "description": "How they get there.",
            "schema": {"type": "string", "enum": list(CURVES), "default": "linear"},
        },
    ]
}
"""For OpenAPI."""


def timed(request: Request) -> tuple[float, FadeCurve]:
    """The seconds and the curve of a request; 0 and `linear` unless told. Raises BadValue."""
    told = request.query_params.get("seconds", "0")
    try:
        seconds = float(told)
    except ValueError:
        seconds = math.nan
    if not 0.0 <= seconds <= LONGEST_S:
        raise problem(BadValue, "seconds", "no time", value=told, mend=f"0 to {LONGEST_S:g} seconds")
    name = request.query_params.get("curve", "linear")
    curve = next((curve for curve in CURVES if curve == name), None)
    if curve is None:
        raise problem(BadValue, "curve", "no such curve", value=name, mend=f"use one of {', '.join(CURVES)}")
    return seconds, curve
