"""3D tables (.cube files) that a show gives to its processors: found in the configuration's folder, checked, compared.

A processor answers a table in its own spelling at best, so tables are compared by their numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from msgspec import Struct

from controller.processors.driver import RefusedError, refused

_SIDE: Final = (2, 129)
_MOST_BYTES: Final = 64_000_000


class Cube(Struct, frozen=True):
    """A 3D table as a file has it."""

    text: str
    side: int
    digest: str
    """Of its size, domain and numbers, whatever their spelling."""


def parse_cube(where: str, text: str) -> Cube:
    """A table in the .cube form: `LUT_3D_SIZE n`, `DOMAIN_MIN` and `DOMAIN_MAX`, then n^3 lines of three numbers.

    Raises
    ------
    RefusedError : it is none.
    """
    side = 0
    domain: dict[str, tuple[float, ...]] = {"DOMAIN_MIN": (0.0, 0.0, 0.0), "DOMAIN_MAX": (1.0, 1.0, 1.0)}
    numbers: list[tuple[float, ...]] = []
    mend = "export it as a 3D .cube file"
    for at, raw in enumerate(text.splitlines(), start=1):
        words = raw.split()
        if not words or words[0].startswith("#") or words[0] == "TITLE":
            continue
        try:
            if words[0] == "LUT_3D_SIZE":
                side = int(words[1])
            elif words[0] in domain:
                domain[words[0]] = tuple(float(word) for word in words[1:4])
            elif words[0] == "LUT_1D_SIZE":
                raise refused(where, None, "it is a 1D table", mend)
            elif words[0][0].isalpha():
                continue  # a keyword of some maker
            else:
                numbers.append(tuple(float(word) for word in words[:3]))
        except (ValueError, IndexError) as error:
            raise refused(where, raw[:60], f"line {at} is not understood", mend) from error
    if not _SIDE[0] <= side <= _SIDE[1] or len(numbers) != side**3 or any(len(row) != 3 for row in numbers):
        raise refused(where, None, f"it has {len(numbers)} lines of numbers, its size says {side}^3", mend)
    told = sha256(f"{side}".encode())
    for row in (*domain.values(), *numbers):
        told.update(" ".join(f"{value:.6g}" for value in row).encode() + b"\n")
    return Cube(text, side, told.hexdigest())


class Tables:
    """The tables of one show, by the name the configuration gives them; read when they are asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, tuple[tuple[int, int], Cube]] = {}
        self._wished: set[str] = set()

    def cube(self, where: str, name: str) -> Cube:
        """The table of a file, read again when the file is another.

        Raises
        ------
        RefusedError : it is not there, or no table.
        """
        path = self.folder / name
        try:
            found = path.stat()
            stamp = (found.st_mtime_ns, found.st_size)
            held = self._known.get(name)
            if held is not None and held[0] == stamp:
                return held[1]
            if found.st_size > _MOST_BYTES:
                raise refused(where, name, "it is far too large for a table", "export it with 65 or fewer a side")
            cube = parse_cube(where, path.read_text())
        except (OSError, UnicodeDecodeError) as error:
            said = getattr(error, "strerror", None) or "it is no text"
            raise refused(where, name, f"{path}: {said}", "give a .cube file in the configuration's folder") from error
        self._known[name] = (stamp, cube)
        return cube

    def wish(self, names: Iterable[object]) -> None:
        """Names somebody may want a processor to hold: what it holds is looked for among them."""
        self._wished |= {name for name in names if isinstance(name, str) and name}

    def name_of(self, digest: str) -> str | None:
        """Which of the tables that are wished, or were read so far, has these numbers."""
        for name in sorted(self._wished | set(self._known)):
            with suppress(RefusedError):
                if self.cube(name, name).digest == digest:
                    return name
        return None
