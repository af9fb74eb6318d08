"""What the library knows of its folder: one entry a file that can be shown, and the index that lists them.

The index is one file in the show's state folder (`library/index.msgpack`), written whole by the librarian and read by
whoever shows it. Entries are known by `id`, which stands for their path; contents by the hash of their bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct

LIBRARY_FOLDER: Final = "library"
INDEX: Final = "index.msgpack"
THUMBNAILS: Final = "thumbnails"
CONTENTS: Final = "contents"

Kind = Literal["asset", "dome", "picture", "scene"]
"""A glTF asset; a panorama or cube; another picture; a scene file."""
Stamp = tuple[int, int, int]
"""Size, time of change (ns) and inode of a file: while they stay, its content does."""


class Facts(Struct, frozen=True):
    """What an entry is made of, as far as it can be told without drawing it. Zeros: nothing of the kind."""

    triangles: int = 0
    """Those that are drawn: of a mesh that stands in two places, twice its own."""
    meshes: int = 0
    materials: int = 0
    textures: int = 0
    lights: int = 0
    skins: int = 0
    objects: int = 0
    """Of a scene file."""
    animations: list[str] = []
    variants: list[str] = []
    low_m: tuple[float, float, float] | None = None
    """Lowest corner of its bounds as it stands, X right, Y forward, Z up; None: it has none."""
    high_m: tuple[float, float, float] | None = None
    width_px: int = 0
    """Of a picture."""
    height_px: int = 0


class Version(Struct, frozen=True):
    """One content of an entry."""

    content: str
    """Hash of its bytes; of several files, of all of them."""
    t_tai_ns: int
    """When it was first found so."""
    size_bytes: int
    files: dict[str, str]
    """Content hash of every file it consists of, by path within the library; the entry's own first."""


class Entry(Struct, frozen=True):
    """One thing of the library."""

    id: str
    path: str
    """Within the library."""
    kind: Kind
    label: str
    tags: list[str]
    content: str
    """Hash of what it holds now; empty until that was read, and when it is gone."""
    size_bytes: int
    files: list[str]
    """Every file it consists of, by path within the library; its own first."""
    facts: Facts
    problem: str = ""
    """Why it cannot be shown."""
    mend: str = ""
    picture: str = ""
    """What its thumbnail is named by: its content, and what a scene file's is composed of."""
    thumbnail: bool = False
    uses: list[str] = []
    """Of a scene file: what it names, by path within the library."""
    gone: bool = False
    """Its file is not there any more; earlier contents may be."""
    versions: list[Version] = []
    """Contents it has had, this one too, newest first; those that can be gone back to."""


class Index(Struct, frozen=True):
    """The library as it was found."""

    folder: str
    entries: list[Entry]
    state: Literal["looking", "idle"] = "looking"
    to_read: int = 0
    """Entries that wait to be read."""
    to_draw: int = 0
    """Thumbnails that are still to be made."""
    kept_bytes: int = 0
    """What copies of contents take."""
    problem: str = ""
    """What is wrong with the folder itself."""
    stamps: dict[str, Stamp] = {}
    """Of every file as it was when its content was read."""
    hashes: dict[str, str] = {}
    """Content hash of every file at its stamp."""
    drawn: dict[str, str] = {}
    """By content: what is wrong with it, as whoever drew its thumbnail found; empty: nothing."""


def entry_id(path: str) -> str:
    """The id of an entry, 16 hexadecimal digits: the same for one path for ever."""
    return blake2b(path.encode(), digest_size=8).hexdigest()


def content_of(files: Sequence[tuple[str, str]]) -> str:
    """The content of an entry of several files, each path and hash; of one file it is that file's own."""
    if len(files) == 1:
        return files[0][1]
    digest = blake2b(digest_size=16)
    for path, found in files:
        digest.update(f"{path}\0{found}\n".encode())
    return digest.hexdigest()


def read_index(folder: Path) -> Index | None:
    """The index in a library's state folder; None when there is none, or one of another time."""
    try:
        return msgspec.msgpack.decode((folder / INDEX).read_bytes(), type=Index)
    except (OSError, msgspec.MsgspecError):
        return None


def chosen(
    entries: Iterable[Entry],
    *,
    search: str = "",
    tags: Sequence[str] = (),
    kind: str = "",
    broken: bool | None = None,
    gone: bool = False,
) -> list[Entry]:
    """The entries that fit, by path: every word of `search` in path, label or a tag; all of `tags`."""
    words = search.casefold().split()
    found = []
    for entry in entries:
        if entry.gone != gone or (kind and entry.kind != kind):
            continue
        if broken is not None and bool(entry.problem) != broken:
            continue
        if not set(tags) <= set(entry.tags):
            continue
        text = " ".join((entry.path, entry.label, *entry.tags)).casefold()
        if all(word in text for word in words):
            found.append(entry)
    return sorted(found, key=lambda entry: entry.path)
