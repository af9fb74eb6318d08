"""What every emulated processor has: a state that the twin can look at, and faults that can be switched on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

Fault = Literal["busy", "locked", "rebooting", "lying", "unplugged", "no_signal"]
"""busy: answers that it is; locked: another host holds it; rebooting: answers 503 or drops connections; lying:
acknowledges writes and does nothing; unplugged: no data reaches its panels; no_signal: nothing arrives at its input."""
FAULTS: tuple[Fault, ...] = get_args(Fault)


@dataclass(frozen=True, slots=True)
class Shown:
    """What the panels behind an emulated processor do with the picture, whatever its maker's words for it are."""

    brightness: float = 1.0
    """Share of full light."""
    blackout: bool = False
    freeze: bool = False
    pattern: str = "off"


def is_cube(text: str) -> bool:
    """Whether a processor would take this for a 3D table: it says its size, and has as many lines of numbers."""
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    sizes = [int(words[1]) for words in lines if words[0] == "LUT_3D_SIZE" and len(words) > 1 and words[1].isdigit()]
    rows = sum(1 for words in lines if words[0][0].isdigit() or words[0][0] in "-.")
    return len(sizes) == 1 and rows == sizes[0] ** 3


@dataclass(slots=True)
class Faults:
    """Faults that are on; tests and `--fault` set them."""

    on: set[Fault] = field(default_factory=set)

    def __contains__(self, fault: Fault) -> bool:
        return fault in self.on


@dataclass(slots=True)
class Signal:
    """What arrives at the active input."""

    width_px: int = 1920
    height_px: int = 1080
    rate_hz: float = 24.0
    bits: int = 10
