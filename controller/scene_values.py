"""What may be edited live of a scene: its addresses with kinds, limits and what they are now. No GL, no state.

Read from the configuration and the outlines of its assets (`renderer.addresses`), off the event loop; checking a value
then costs microseconds.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from renderer.addresses import Address, addresses, edited, takes_preparing
from renderer.config import SceneConfig
from renderer.gltf.errors import AssetError
from renderer.gltf.outline import Outline, outline
from renderer.scene_file import normal_form
from stage.errors import OpenVolumeError, Problem

log = logging.getLogger(__name__)

_KINDS: Final[dict[str, Any]] = {
    "number": float | None,
    "switch": bool | None,
    "colour": list[float] | None,
    "vector": list[float] | None,
    "choice": str | None,
    "text": str | None,
}


@dataclass(frozen=True, slots=True)
class SceneValues:
    """The live values of one scene, as configured."""

    config: SceneConfig
    known: Mapping[str, Address]

    def unknown(self, address: str) -> Problem | None:
        """What is wrong with an address; None when the scene has it."""
        if address in self.known:
            return None
        try:
            edited(self.config, {address: 0.0}, self.known)
        except OpenVolumeError as error:
            return error.problems[0]
        return Problem("renderer.unknown_address", address, "the scene has no such value")

    def fault(self, address: str, value: Any) -> Problem | None:
        """What is wrong with a value; None when it can be set."""
        try:
            edited(self.config, {address: value}, self.known)
        except OpenVolumeError as error:
            return error.problems[0]
        return None

    def takes_preparing(self, address: str, before: Any, after: Any) -> bool:
        """Whether going from one edit to another (None: as configured) may need what nodes have not got yet."""
        entry = self.known.get(address)
        if entry is None:
            return False
        before = entry.value if before is None else before
        after = entry.value if after is None else after
        plain = [tuple(value) if isinstance(value, list) else value for value in (before, after)]
        return takes_preparing(address, *plain)

    def kind(self, address: str) -> Any:
        """The type its values have."""
        return _KINDS[self.known[address].kind]

    def number(self, address: str) -> float | None:
        """Its configured value, when it is a number."""
        entry = self.known[address]
        return float(entry.value) if entry.kind == "number" and isinstance(entry.value, int | float) else None

    def about(self, address: str) -> str:
        """What it takes, in words."""
        entry = self.known[address]
        limits = f" from {entry.low:g}" if entry.low is not None else ""
        limits += f" to {entry.high:g}" if entry.high is not None else ""
        unit = f" {entry.unit}" if entry.unit else ""
        one_of = f" ({', '.join(entry.choices)})" if entry.choices else ""
        several = f"{entry.size} numbers" if entry.size > 1 else f"a {entry.kind}"
        return f"{entry.label + ': ' if entry.label else ''}{several}{unit}{limits}{one_of}; null: as configured."


def scene_values(config: SceneConfig, folder: Path) -> SceneValues:
    """The live values of a scene. What an unreadable asset holds is not among them. Reads files: off the loop."""
    normal = normal_form(config)
    outlines: dict[str, Outline] = {}
    for name, thing in normal.objects.items():
        try:
            outlines[name] = outline(folder / thing.gltf)
        except AssetError as error:
            log.warning("%s cannot be edited inside: %s", name, error.problems[0])
    return SceneValues(config, addresses(config, outlines))
