"""The library over the API: the index is read as the librarian writes it; what changes the folder is asked of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from controller.api.views_library import LibraryEntryView, LibraryVersionView, LibraryView
from controller.errors import ChangeRefused, ChangeTimedOut, UnknownAddress
from controller.library.entries import (
    CONTENTS,
    INDEX,
    THUMBNAILS,
    Entry,
    Index,
    chosen,
    read_index,
)
from controller.messages import AnyMessage, LibraryChanged, LibraryRefused, Message, RestoreVersion, TagEntry
from renderer.config import SceneConfig
from renderer.scene_file import files_of
from stage.errors import Problem

TIMEOUT_S: Final = 60.0
"""A version of gigabytes is copied first."""


class Links(Protocol):
    """The other processes, as this needs them."""

    def send(self, who: str, message: Message) -> bool:
        """A letter to `librarian`; False when nobody is there."""


class LibraryHand:
    """The service's hand on the library. All calls from one event loop."""

    def __init__(self, links: Links, *, place: Path, reply_to: str) -> None:
        """place : the library's folder in the show's state."""
        self._links, self._place, self._reply_to = links, place, reply_to
        self._read: tuple[tuple[int, int], Index] | None = None
        self._used_by: dict[str, list[str]] = {}
        self._asked: dict[int, asyncio.Future[None]] = {}
        self._requests = 0

    async def index(self) -> Index | None:
        """The library as it was found last; None before it was looked at."""
        return await asyncio.to_thread(self._index)

    def _index(self) -> Index | None:
        try:
            found = (self._place / INDEX).stat()
        except OSError:
            return None
        stamp = (found.st_mtime_ns, found.st_ino)
        if self._read is None or self._read[0] != stamp:
            index = read_index(self._place)
            if index is None:
                return None
            used_by: dict[str, list[str]] = {}
            for entry in index.entries:
                for name in entry.uses if entry.kind == "scene" else ():
                    used_by.setdefault(name, []).append(entry.path)
            self._read, self._used_by = (stamp, index), used_by
        return self._read[1]

    def thumbnail(self, picture: str) -> Path:
        """Where a thumbnail lies, there or not."""
        return self._place / THUMBNAILS / f"{picture}.jpg"

    def kept(self, content: str) -> Path:
        """Where a copy of a file's content lies, there or not."""
        return self._place / CONTENTS / content

    async def restore(self, entry: str, content: str) -> None:
        """Put an earlier content back into the folder; answers when the index says so.

        Raises
        ------
        ChangeRefused : it is not kept, or what is there now would be lost. ChangeTimedOut, UnknownAddress
        """
        self._requests += 1
        await self._answered(RestoreVersion(entry, content, self._requests, self._reply_to), self._requests)

    async def tag(self, entry: str, *, label: str | None, tags: Sequence[str] | None) -> None:
        """Say something else of an entry. Raises as `restore`."""
        self._requests += 1
        told = None if tags is None else list(tags)
        await self._answered(TagEntry(entry, label, told, self._requests, self._reply_to), self._requests)

    def on_message(self, message: AnyMessage) -> bool:
        """Take an answer; False when the letter is not one."""
        match message:
            case LibraryChanged(request=request):
                waiting = self._asked.get(request)
                if waiting is not None and not waiting.done():
                    waiting.set_result(None)
            case LibraryRefused(request=request, problems=problems):
                waiting = self._asked.get(request)
                if waiting is not None and not waiting.done():
                    kind = UnknownAddress if problems[0].code == UnknownAddress.code else ChangeRefused
                    waiting.set_exception(kind(*problems))
            case _:
                return False
        return True

    async def _answered(self, letter: Message, request: int) -> None:
        self._asked[request] = asyncio.get_running_loop().create_future()
        try:
            if not self._links.send("librarian", letter):
                detail = "the process that looks after the library is not there"
                problem = Problem(ChangeRefused.code, "library", detail, None, "wait a second: it is restarted")
                raise ChangeRefused(problem)
            async with asyncio.timeout(TIMEOUT_S):
                await self._asked[request]
        except TimeoutError:
            detail = f"the library did not answer within {TIMEOUT_S:g} s"
            raise ChangeTimedOut(
                Problem(ChangeTimedOut.code, "library", detail, None, "GET library tells how far it is")
            ) from None
        finally:
            del self._asked[request]

    # --- views ----------------------------------------------------------------------------------------------------

    def view(
        self,
        index: Index | None,
        reads: Reads,
        *,
        search: str = "",
        tags: Sequence[str] = (),
        kind: str = "",
        broken: bool | None = None,
        gone: bool = False,
        limit: int = 200,
        offset: int = 0,
        keep_bytes: int = 0,
    ) -> LibraryView:
        """The entries that fit, `limit` of them from `offset` on."""
        if index is None:
            return LibraryView("", "none", 0, [], {}, 0, 0, 0, keep_bytes, "")
        found = chosen(index.entries, search=search, tags=tags, kind=kind, broken=broken, gone=gone)
        counted: dict[str, int] = {}
        for entry in index.entries:
            for tag in entry.tags if not entry.gone else ():
                counted[tag] = counted.get(tag, 0) + 1
        return LibraryView(
            folder=index.folder,
            state=index.state,
            total=len(found),
            entries=[self.entry_view(index, entry, reads) for entry in found[offset : offset + limit]],
            tags=dict(sorted(counted.items())),
            to_read=index.to_read,
            to_draw=index.to_draw,
            kept_bytes=index.kept_bytes,
            keep_bytes=keep_bytes,
            problem=index.problem,
        )

    def entry_view(self, index: Index, entry: Entry, reads: Reads) -> LibraryEntryView:
        """One entry."""
        return LibraryEntryView(
            id=entry.id,
            path=entry.path,
            file=reads.name(Path(index.folder) / entry.path),
            kind=entry.kind,
            label=entry.label,
            tags=entry.tags,
            content=entry.content,
            size_bytes=entry.size_bytes,
            files=entry.files,
            facts=entry.facts,
            problem=entry.problem,
            mend=entry.mend,
            thumbnail=f"/api/v1/library/{entry.id}/thumbnail.jpg" if entry.thumbnail else "",
            uses=entry.uses,
            used_by=self._used_by.get(entry.path, []),
            scenes=reads.scenes(Path(index.folder) / entry.path),
            gone=entry.gone,
            versions=len(entry.versions),
        )

    def versions(self, entry: Entry) -> list[LibraryVersionView]:
        """Contents of an entry that can be gone back to, newest first."""
        return [
            LibraryVersionView(
                content=version.content,
                present=version.content == entry.content and not entry.gone,
                t_tai_ns=version.t_tai_ns,
                size_bytes=version.size_bytes,
                files=version.files,
                thumbnail=f"/api/v1/library/{entry.id}/thumbnail.jpg?content={version.content}"
                if self.thumbnail(version.content).is_file()
                else "",
            )
            for version in entry.versions
            if all(self.kept(content).is_file() for content in version.files.values())
        ]


class Reads:
    """Which files the running configuration's scenes read."""

    def __init__(self, scenes: Mapping[str, SceneConfig], folder: Path, scene_files: Mapping[str, Path]) -> None:
        self._folder = folder
        self._by_file: dict[str, list[str]] = {}
        for name, config in scenes.items():
            files = [folder / file for _, file in files_of(config)]
            if name in scene_files:
                files.append(scene_files[name])
            for file in dict.fromkeys(str(file.resolve()) for file in files):
                self._by_file.setdefault(file, []).append(name)

    def scenes(self, file: Path) -> list[str]:
        """Scenes that read a file."""
        return self._by_file.get(str(file), [])

    def name(self, file: Path) -> str:
        """A file as the configuration names it."""
        try:
            return file.relative_to(self._folder).as_posix()
        except ValueError:
            return str(file)
