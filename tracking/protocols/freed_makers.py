"""What makers put into FreeD's zoom, focus and two spare bytes, and where they send it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Maker = Literal["generic", "panasonic", "sony", "mosys", "stype", "ncam", "zcam"]
Spare = Literal["unused", "iris", "f_number_and_frame", "quality"]
QUALITIES: Final = ("ok", "ok", "caution", "bad")
"""Mo-Sys: undefined, good, caution, bad."""


@dataclass(frozen=True, slots=True)
class MakerPreset:
    """One maker's FreeD."""

    port: int
    """UDP port its devices usually send to."""
    zoom_ends: tuple[int, int]
    """Counts at wide and tele."""
    focus_ends: tuple[int, int]
    """Counts at near and far."""
    spare: Spare = "unused"
    is_metric: bool = False
    """Zoom is the focal length in 1/100 mm, focus the distance in 1/10 mm."""


MAKERS: Final[dict[Maker, MakerPreset]] = {
    "generic": MakerPreset(40000, (0, 0xFFFF), (0, 0xFFFF)),
    "panasonic": MakerPreset(1111, (0x555, 0xFFF), (0x555, 0xFFF), "iris"),
    "sony": MakerPreset(52380, (0, 0x7AC0), (0x1000, 0xF000), "f_number_and_frame"),
    "mosys": MakerPreset(8001, (0, 0xFFFF), (0, 0xFFFF), "quality"),
    "stype": MakerPreset(6301, (0, 0xFFFFFF), (0, 0xFFFFFF)),
    "ncam": MakerPreset(6301, (0, 0xFFFFFF), (0, 0xFFFFFF)),
    "zcam": MakerPreset(5001, (0, 0xFFFFFF), (0, 0xFFFFFF), "f_number_and_frame", is_metric=True),
}


def fraction(counts: int, ends: tuple[int, int]) -> float:
    """Where an encoder stands between its ends, 0 (wide, near) to 1 (tele, far); beyond them 0 or 1."""
    first, last = ends
    return min(1.0, max(0.0, (counts - first) / (last - first)))
