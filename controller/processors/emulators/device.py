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
