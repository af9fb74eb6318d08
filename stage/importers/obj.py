"""Wavefront OBJ: positions, texture coordinates and faces (polygons are fanned); all else is passed over."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stage.importers.surface import MAX_TRIANGLES, Surface, refuse


def read_obj(data: bytes, folder: Path) -> Surface:  # noqa: ARG001 - OBJ geometry names no other file
    """The surface in the bytes of an OBJ file.

    Raises
    ------
    SurfaceError : a line that cannot be read (with its number), an index out of range, faces without UV.
    """
    positions: list[tuple[float, ...]] = []
    uv: list[tuple[float, ...]] = []
    seen: dict[tuple[int, int], int] = {}
    triangles: list[tuple[int, int, int]] = []

    def corner(word: str) -> int:
        parts = word.split("/")
        if len(parts) < 2 or not parts[1]:
            raise ValueError("a face without texture coordinates (write `f v/vt ...`)")
        key = (_index(parts[0], len(positions)), _index(parts[1], len(uv)))
        return seen.setdefault(key, len(seen))

    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        try:
            if words[0] == "v":
                positions.append(_numbers(words[1:4], 3))
            elif words[0] == "vt":
                uv.append(_numbers(words[1:3], 2))
            elif words[0] == "f":
                ring = [corner(word) for word in words[1:]]
                if len(ring) < 3:
                    raise ValueError("a face needs three corners")
                triangles.extend((ring[0], ring[i], ring[i + 1]) for i in range(1, len(ring) - 1))
        except ValueError as error:
            raise refuse(f"line {number}: {error}", "export the mesh anew, with UV coordinates") from error
        if len(triangles) > MAX_TRIANGLES:
            raise refuse(f"more than {MAX_TRIANGLES} triangles", "make the mesh simpler")
    if not triangles:
        raise refuse("no faces", "export the surface as polygons with UV coordinates")
    pairs = np.array(list(seen), dtype=np.int64)
    return Surface(
        positions=np.array(positions, dtype=np.float64)[pairs[:, 0]],
        uv=np.array(uv, dtype=np.float64)[pairs[:, 1]],
        triangles=np.array(triangles, dtype=np.int64),
        v_down=False,
    )


def _index(word: str, count: int) -> int:
    """OBJ counts from 1; negative numbers count back from the newest."""
    number = int(word)
    index = number - 1 if number > 0 else count + number
    if number == 0 or not 0 <= index < count:
        raise ValueError(f"index {number} of {count}")
    return index


def _numbers(words: list[str], count: int) -> tuple[float, ...]:
    values = tuple(float(word) for word in words)
    if len(values) != count or not all(np.isfinite(values)):
        raise ValueError(f"{count} finite numbers expected")
    return values
