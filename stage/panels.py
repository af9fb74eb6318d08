"""LED panels: the library of real ones, and those a configuration defines itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

from stage.config import Label, PanelConfig, Section, Size
from stage.documents import read_yaml, validate
from stage.errors import ConfigError

Confidence = Literal["A", "B", "C", "D"]


class LibraryPanel(PanelConfig):
    """A panel of the library: what a configuration may define, and where the facts come from."""

    depth_mm: Size | None = None
    pitch_published_mm: Size | None = None
    """The maker's rounded figure, for people; nothing is worked out from it."""
    confidence: Confidence
    note: Label = ""


class _Library(Section):
    panels: dict[str, LibraryPanel]


@dataclass(frozen=True, slots=True)
class Panel:
    """One LED product."""

    id: str
    name: str
    width_m: float
    height_m: float
    width_px: int
    height_px: int
    nits: float | None
    weight_kg: float | None
    power_max_w: float | None

    @property
    def pitch_mm(self) -> float:
        """Distance of neighbouring LEDs, from its size and its pixel count."""
        return self.width_m * 1000.0 / self.width_px


@cache
def panel_library() -> Mapping[str, LibraryPanel]:
    """The panels shipped with OpenVolume, by id. Read once."""
    document = read_yaml(resources.files("stage.library").joinpath("panels.yaml").read_bytes())
    wrapped = type(document)({"panels": document.data}, document.lines, document.problems)
    library, problems = validate(_Library, wrapped)
    if library is None:
        raise ConfigError(*problems)
    return library.panels


def panels_of(defined: Mapping[str, PanelConfig], /, *, library: bool = True) -> dict[str, Panel]:
    """Every panel a configuration may name: its own `defined` ones go before the library's."""
    known: dict[str, PanelConfig] = {**(panel_library() if library else {}), **defined}
    return {
        name: Panel(
            id=name,
            name=f"{panel.maker} {panel.model}".strip() or name,
            width_m=panel.width_mm / 1000.0,
            height_m=panel.height_mm / 1000.0,
            width_px=panel.width_px,
            height_px=panel.height_px,
            nits=panel.nits,
            weight_kg=panel.weight_kg,
            power_max_w=panel.power_max_w,
        )
        for name, panel in known.items()
    }
