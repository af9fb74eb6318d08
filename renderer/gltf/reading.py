"""What all parts of the glTF reader share: the document, its data, and the notes of what was left out."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

from renderer.gltf.accessors import Accessors
from renderer.gltf.document import Document
from renderer.gltf.errors import AssetFormatError

MEND: Final = "export the asset again"


class Reading:
    """One asset being read. `notes` tell in words what is left out, once each."""

    def __init__(self, file: Path, document: Document, binary: bytes | None) -> None:
        self.file = file
        self.document = document
        self.accessors = Accessors(file, document, binary)
        self._notes: dict[str, None] = {}

    def note(self, text: str) -> None:
        """Tell that something was left out."""
        self._notes[text] = None

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(self._notes)

    def numbers(self, value: Any, count: int, place: str) -> tuple[float, ...]:
        """`count` finite numbers.

        Raises
        ------
        AssetFormatError
        """
        good = isinstance(value, (list, tuple)) and len(value) == count
        if not good or not all(
            isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v) for v in value
        ):
            raise AssetFormatError(self.file, place, f"must be {count} finite numbers", value=value, mend=MEND)
        return tuple(float(v) for v in value)

    def number(self, source: dict[str, Any], key: str, default: float, place: str) -> float:
        """One finite number of an extension's object."""
        return self.numbers([source.get(key, default)], 1, f"{place}.{key}")[0]


def as_object(value: Any) -> dict[str, Any]:
    """A JSON object, or an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}
