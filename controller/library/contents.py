"""Copies of file contents by their hash: what earlier versions are brought back from. A folder of bounded size.

A copy is a clone of the file's blocks where the file system can make one, else its bytes. It is put in place whole, and
only when its bytes hash to its name: a file that is written to meanwhile never becomes a wrong copy.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Collection, Generator
from hashlib import blake2b
from pathlib import Path
from typing import Final

CHUNK_BYTES: Final = 1 << 20
"""What is read and written between two rests."""
_HASH: Final = re.compile(r"[0-9a-f]{32}")
_FICLONE: Final = 0x40049409
_LEFT_OVER: Final = ".partial-"


class Contents:
    """One folder. One process writes; others read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, content: str) -> Path:
        """Where a content lies, there or not. Raises ValueError when it is no hash."""
        if not _HASH.fullmatch(content):
            raise ValueError(f"{content!r} is no content's hash")
        return self.folder / content

    def has(self, content: str) -> bool:
        """Whether it is kept."""
        return bool(_HASH.fullmatch(content)) and self.path(content).is_file()

    def begin(self) -> None:
        """Make the folder if absent, and clear what an earlier writer left half done. Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in self.folder.glob(f"{_LEFT_OVER}*"):
            with contextlib.suppress(OSError):
                path.unlink()

    def keeping(self, file: Path, content: str) -> Generator[None, None, bool]:
        """Keep a file's bytes as `content`, a chunk at a time; whether they are kept in the end (False: they hash to
        something else by now). Raises OSError."""
        if self.has(content):
            return True
        partial = self.folder / f"{_LEFT_OVER}{content}"
        digest = blake2b(digest_size=16)
        try:
            with file.open("rb") as source, partial.open("wb") as copy:
                cloned = _cloned(source.fileno(), copy.fileno())
                if cloned:
                    yield
                with partial.open("rb") if cloned else contextlib.nullcontext(source) as stream:
                    while chunk := stream.read(CHUNK_BYTES):
                        digest.update(chunk)
                        if not cloned:
                            copy.write(chunk)
                        yield
            if digest.hexdigest() != content:
                return False
            partial.rename(self.path(content))
            return True
        finally:
            with contextlib.suppress(OSError):
                partial.unlink()

    def sizes_bytes(self) -> dict[str, int]:
        """Every content that is kept, and its size."""
        found = {}
        with contextlib.suppress(OSError):
            for entry in os.scandir(self.folder):
                if _HASH.fullmatch(entry.name):
                    with contextlib.suppress(OSError):
                        found[entry.name] = entry.stat().st_size
        return found

    def drop(self, contents: Collection[str]) -> None:
        """Let these go; harmless when they are not here."""
        for content in contents:
            with contextlib.suppress(OSError):
                self.path(content).unlink()


def hashing(file: Path) -> Generator[None, None, str]:
    """The hash of a file's bytes, a chunk at a time. Raises OSError."""
    digest = blake2b(digest_size=16)
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
            yield
    return digest.hexdigest()


def _cloned(source_fd: int, copy_fd: int) -> bool:
    """Have the file system share the blocks until one of the two is changed."""
    try:
        fcntl.ioctl(copy_fd, _FICLONE, source_fd)
    except OSError:
        return False
    return True
