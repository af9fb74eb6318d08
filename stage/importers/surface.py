"""A triangulated surface with UV coordinates, as read from a file of a mesh wall."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stage.errors import Problem, StageError
from stage.frames import Array

Indices = NDArray[np.int64]

MAX_BYTES: Final = 64_000_000
MAX_TRIANGLES: Final = 2_000_000


class SurfaceError(StageError):
    """A mesh file that cannot be read or is no surface with UV coordinates."""

    code = "stage.mesh_file"


@dataclass(frozen=True, slots=True)
class Surface:
    """What a mesh file holds, in the file's own axes and units."""

    positions: Array
    """[n, 3]"""
    uv: Array
    """[n, 2]  as written in the file."""
    triangles: Indices
    """[m, 3]  vertex indices, counter-clockwise seen from the front."""
    v_down: bool
    """True: v = 0 is the top of the picture (glTF); False: the bottom (OBJ)."""
    always_y_up: bool = False
    """The format itself says that y is up (glTF)."""


def refuse(detail: str, mend: str, situation: str = "mesh_file") -> SurfaceError:
    """The error of a mesh file that cannot be used."""
    return SurfaceError(Problem(f"stage.{situation}", "file", detail, None, mend))


def read_surface(path: Path) -> Surface:
    """The surface in an OBJ, glTF or GLB file.

    Raises
    ------
    SurfaceError : no such file, not of these formats, broken, or without UV coordinates.
    """
    from stage.importers.gltf import read_gltf
    from stage.importers.obj import read_obj

    readers = {".obj": read_obj, ".gltf": read_gltf, ".glb": read_gltf}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise refuse(f"{path.suffix or 'no'} suffix: not a mesh this reads", "use an .obj, .gltf or .glb file")
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise refuse("not a file", "name a mesh file")
        if size > MAX_BYTES:
            raise refuse(f"{size} bytes; at most {MAX_BYTES} are read", "make the mesh simpler")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise refuse(f"cannot be read: {reason}", "paths start at the configuration's folder") from error
    return reader(data, path.parent)
