"""The section `library` of a configuration: a folder of assets and scene files that is indexed while the show runs."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from renderer.config_types import FileName
from stage.config import Section


class LibraryConfig(Section):
    """A folder of assets, domes and scene files, looked through in the background."""

    folder: FileName
    """Relative to the configuration's folder. What lies below it is indexed; scenes name its files as any others."""
    keep_mb: Annotated[float, Field(ge=0.0, le=10_000_000.0)] = 10_000.0
    """What copies of the files' contents may take in the show's state folder, earlier ones too; the oldest go first.
    0: none is kept, and no earlier one can be gone back to."""
    look_s: Annotated[float, Field(ge=0.25, le=3600.0)] = 2.0
    """How long it rests between two looks at the folder."""
    most_files: Annotated[int, Field(ge=1, le=1_000_000)] = 20_000
    """Files beyond so many are left out, and said to be."""
