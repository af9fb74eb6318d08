"""Value types of the renderer's configuration sections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, StringConstraints

SceneMetres = Annotated[float, Field(ge=-100_000.0, le=100_000.0)]
Ev = Annotated[float, Field(ge=-20.0, le=20.0)]
Light = Annotated[float, Field(ge=0.0, le=1_000_000.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Colour = tuple[Light, Light, Light]
"""Linear Rec.709; 1.0 is 100 nit where it is light."""


@dataclass(frozen=True, slots=True)
class FileMark:
    """Marks a text that names a file, so that whoever moves a section to another folder finds them all."""


FileName = Annotated[str, StringConstraints(min_length=1, max_length=1000), FileMark()]
"""A file beside the one that names it, or an absolute path."""
Tag = Annotated[str, StringConstraints(pattern=r"^[^\s,/]{1,32}$")]
"""A word that things are found by."""
