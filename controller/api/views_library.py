"""The resources of the library as they are sent; see `controller.api.views`."""

from __future__ import annotations

from typing import Literal

from controller.api.views import View
from controller.library.entries import Facts


class LibraryEntryView(View, frozen=True):
    """One thing of the library: an asset, a dome, another picture or a scene file."""

    id: str
    path: str
    """Within the library's folder."""
    file: str
    """As the configuration or a scene file would name it: relative to the configuration's folder."""
    kind: Literal["asset", "dome", "picture", "scene"]
    label: str
    tags: list[str]
    content: str
    """Hash of what it holds now."""
    size_bytes: int
    files: list[str]
    """Every file it consists of, by path within the library."""
    facts: Facts
    problem: str
    """Why it cannot be shown; empty: nothing is known against it."""
    mend: str
    thumbnail: str
    """Where its picture is; empty while there is none."""
    uses: list[str]
    """Of a scene file: what it names, by path within the library."""
    used_by: list[str]
    """Scene files of the library that name it."""
    scenes: list[str]
    """Scenes of the configuration that read it."""
    gone: bool
    """Its file is not there any more; earlier contents are."""
    versions: int
    """Contents that can be gone back to."""


class LibraryView(View, frozen=True):
    """The library: how far it was looked through, and the entries that fit what was asked."""

    folder: str
    state: Literal["none", "looking", "idle"]
    """none: the configuration has no library, or nobody has looked yet."""
    total: int
    """Entries that fit, whatever the limit."""
    entries: list[LibraryEntryView]
    tags: dict[str, int]
    """Every tag of the whole library, and how many entries have it."""
    to_read: int
    to_draw: int
    kept_bytes: int
    """What copies of contents take."""
    keep_bytes: int
    """What they may take."""
    problem: str


class LibraryVersionView(View, frozen=True):
    """One content of an entry."""

    content: str
    present: bool
    """It is what the file holds now."""
    t_tai_ns: int
    """When it was first found so."""
    size_bytes: int
    files: dict[str, str]
    """Content hash of every file, by path within the library."""
    thumbnail: str
