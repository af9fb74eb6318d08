"""Compiled states of scenes on disk, by content: a folder of bounded size that the darkroom fills and nodes map.

A state is `<key>.scene` (`renderer.frozen`), `<key>.json` (what is told of it) and `<key>.jpg` (its thumbnail). Files
are put in place whole and never changed after. The least recently used go first when the folder is full; those that a
show needs are named by whoever asks for room. A node that has mapped a file keeps it, even when it is deleted.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

LIMIT_BYTES: Final = 20 << 30
"""What the folder may hold, unless told."""
_KEY: Final = re.compile(r"[0-9a-f]{32}")
CACHE_FOLDER: Final = "scenes"
TABLES_FOLDER: Final = "skies"
"""Below it: tables of skies, for all processes of the host (`renderer.atmosphere.keep_tables`)."""


class CompiledState(Struct, frozen=True):
    """What is known of one compiled state."""

    key: str
    scene: str
    size_bytes: int
    """Of the file; about what it takes on the GPU and in shared memory."""
    gpu_bytes: int
    triangles: int
    draws: int
    took_ms: float
    t_tai_ns: int
    files: dict[str, str] = {}
    """Content hash of every file it was made of, by name as the configuration has it (or beside the asset)."""
    notes: list[str] = []
    """What was left out or could not be followed, in words."""


class SceneCache:
    """One folder. Several processes may use it at a time."""

    def __init__(self, folder: Path, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self.folder, self.limit_bytes = folder, limit_bytes

    def scene(self, key: str) -> Path:
        """Where a state lies, there or not. Raises ValueError when it is no key."""
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key!r} is no key of a compiled scene")
        return self.folder / f"{key}.scene"

    def thumbnail(self, key: str) -> Path:
        """Its picture's place, there or not."""
        return self.scene(key).with_suffix(".jpg")

    def has(self, key: str) -> bool:
        """Whether a state can be mapped."""
        return bool(_KEY.fullmatch(key)) and self.scene(key).is_file() and self._about(key).is_file()

    def about(self, key: str) -> CompiledState | None:
        """What is known of a state; None when it is not here."""
        try:
            return msgspec.json.decode(self._about(key).read_bytes(), type=CompiledState)
        except (OSError, msgspec.MsgspecError, ValueError):
            return None

    def begin(self) -> Path:
        """The folder, made if absent, readable by its owner alone. Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self.folder

    def finish(self, state: CompiledState) -> None:
        """Tell what is known of a state whose `.scene` was put in place: from now on it is here. Raises OSError."""
        path = self._about(state.key)
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        partial.write_bytes(msgspec.json.encode(state))
        partial.rename(path)

    def touch(self, key: str) -> None:
        """It is used now."""
        with contextlib.suppress(OSError):
            os.utime(self.scene(key))

    def states(self) -> list[CompiledState]:
        """All of them, those used last first."""
        found = []
        for path in self.folder.glob("*.scene"):
            with contextlib.suppress(OSError):
                found.append((path.stat().st_mtime_ns, path.stem))
        return [state for _, key in sorted(found, reverse=True) if (state := self.about(key)) is not None]

    def make_room(self, *, keep: Collection[str] = ()) -> list[str]:
        """Delete what was used longest ago until the folder is within its limit; the keys that went."""
        files: dict[str, list[Path]] = {}
        total = 0
        used: dict[str, int] = {}
        with contextlib.suppress(OSError):
            for path in self.folder.iterdir():
                with contextlib.suppress(OSError):
                    found = path.stat()
                    key = path.stem if _KEY.fullmatch(path.stem) else ""
                    files.setdefault(key, []).append(path)
                    total += found.st_size
                    if path.suffix == ".scene":
                        used[key] = found.st_mtime_ns
        gone = []
        for key in sorted(used, key=lambda key: used[key]):
            if total <= self.limit_bytes:
                break
            if key in keep:
                continue
            for path in files[key]:
                with contextlib.suppress(OSError):
                    total -= path.stat().st_size
                    path.unlink()
            gone.append(key)
        return gone

    def _about(self, key: str) -> Path:
        return self.scene(key).with_suffix(".json")
