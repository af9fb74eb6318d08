"""The library's folder as it is known: looked through, read, kept and restored, a piece of work at a time.

Everything that takes time is a generator whose steps are short (`round`); whoever drives it decides when to rest. What
is known lies in an index, so that a start reads only what has changed since.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec

from controller.library import facts
from controller.library.config import LibraryConfig
from controller.library.contents import Contents, hashing
from controller.library.entries import (
    CONTENTS,
    INDEX,
    THUMBNAILS,
    Entry,
    Index,
    Kind,
    Stamp,
    Version,
    content_of,
    entry_id,
    read_index,
)
from controller.library.tags import ENDING, read_tags
from controller.rundir import replace_file
from runtime.clock import NS_PER_S, Clock
from stage.errors import Problem

log = logging.getLogger(__name__)

FILES_A_SLICE: Final = 64
QUIET_S: Final = 0.5
"""A file that was written to a moment ago is taken to be still written to."""
MOST_VERSIONS: Final = 64
"""Contents of one entry that are kept."""
_ORDER: Final[dict[Kind, int]] = {"asset": 0, "scene": 1, "dome": 2, "picture": 2}
"""Assets first: what they name beside themselves is theirs, and no entry of its own."""
_Stamps = tuple[Stamp | None, ...]


class Shelf:
    """One library. Not for several threads.

    Attributes
    ----------
    entries : by id
    news : whether the index says something else than was written last
    problem : what is wrong with the folder itself
    """

    def __init__(self, config: LibraryConfig, place: Path, *, clock: Clock) -> None:
        """place : the folder in the show's state that index, copies and thumbnails lie in."""
        self.config, self.place, self._clock = config, place, clock
        self.folder = Path(config.folder)
        self.contents = Contents(place / CONTENTS)
        self.entries: dict[str, Entry] = {}
        self.news, self.problem = True, ""
        self._stamps: dict[str, Stamp] = {}
        self._hashes: dict[str, str] = {}
        self._seen: dict[str, _Stamps] = {}
        """Stamps of everything an entry was read from."""
        self._changed: dict[str, tuple[_Stamps, int]] = {}
        """Entries whose files are others than were read, and since when they are as they are."""
        self._to_read: list[str] = []
        self._drawn: dict[str, str] = {}
        self._waiting: set[str] = set()
        """Thumbnails that were asked for and did not come."""
        self._kept: dict[str, int] = {}
        self._parts: set[str] = set()
        """What belongs to assets: no entries of their own."""
        self._begun = False
        index = read_index(place)
        if index is not None and index.folder == config.folder:
            self.entries = {entry.id: entry for entry in index.entries}
            self._stamps, self._hashes, self._drawn = dict(index.stamps), dict(index.hashes), dict(index.drawn)
            for entry in index.entries:
                if not entry.gone:
                    self._seen[entry.path] = tuple(index.stamps.get(path) for path in self._read_from(entry))

    @property
    def keep_bytes(self) -> int:
        """What copies may take."""
        return int(self.config.keep_mb * 1e6)

    def index(self) -> Index:
        """All that is known."""
        return Index(
            folder=self.config.folder,
            entries=sorted(self.entries.values(), key=lambda entry: entry.path),
            state="looking" if self._to_read or not self._begun else "idle",
            to_read=len(self._to_read),
            to_draw=sum(1 for _ in self._undrawn()),
            kept_bytes=sum(self._kept.values()),
            problem=self.problem,
            stamps=self._stamps,
            hashes=self._hashes,
            drawn=self._drawn,
        )

    def write(self) -> None:
        """Put the index where everybody reads it; a disk that takes none costs the index alone."""
        self.news = False
        try:
            self.place.mkdir(parents=True, exist_ok=True, mode=0o700)
            replace_file(self.place / INDEX, msgspec.msgpack.encode(self.index()))
        except OSError as error:
            self.news = True
            log.error("the library's index cannot be written: %s", error)

    # --- looking --------------------------------------------------------------------------------------------------

    def round(self, now_ns: int) -> Generator[None, None, float]:
        """Look through the folder once and read what has changed; how long to rest then, s. Raises OSError."""
        if not self._begun:
            self.contents.begin()
            (self.place / THUMBNAILS).mkdir(exist_ok=True, mode=0o700)
            self._kept = self.contents.sizes_bytes()
            yield
        problem = "" if self.folder.is_dir() else "there is no such folder"
        found: dict[str, Kind] = {}
        if not problem:
            for path, kind in self._walk():
                if kind is not None:
                    found[path] = kind
                if len(found) >= self.config.most_files:
                    problem = f"it holds more than {self.config.most_files} files: the rest is left out"
                    break
                if not path:
                    yield
        yield from self._compare(found, now_ns)
        if self.problem != problem:
            self.problem, self.news = problem, True
        restless = bool(self._changed)
        while self._to_read:
            path = self._to_read[0]
            yield from self._reading(path)
            self._to_read.remove(path)
            self.news = True
        # Only now: what is being read is of no entry yet.
        named = {name for entry in self.entries.values() for name in self._read_from(entry)}
        self._stamps = {name: stamp for name, stamp in self._stamps.items() if name in named}
        self._hashes = {name: digest for name, digest in self._hashes.items() if name in named}
        self.news = self.news or restless or not self._begun
        self._begun = True
        return QUIET_S if restless else self.config.look_s

    def _walk(self) -> Iterator[tuple[str, Kind | None]]:
        """Every file that may be an entry, by path within the folder; ("", None) now and then, to rest."""
        waiting = [self.folder]
        looked = 0
        while waiting:
            here = waiting.pop()
            try:
                names = sorted(os.scandir(here), key=lambda entry: entry.name)
            except OSError as error:
                log.warning("%s cannot be looked at: %s", here, error.strerror)
                continue
            for entry in names:
                looked += 1
                if looked % FILES_A_SLICE == 0:
                    yield "", None
                if entry.name.startswith(".") or entry.name.endswith(ENDING):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                elif (kind := facts.kind_of(entry.name)) is not None and entry.is_file():
                    yield str(Path(entry.path).relative_to(self.folder).as_posix()), kind

    def _compare(self, found: dict[str, Kind], now_ns: int) -> Generator[None]:
        """Learn what of the files found is to be read, and which entries are gone."""
        parts = self._parts = {n for entry in self.entries.values() if not entry.gone for n in entry.files[1:]}
        for number, path in enumerate(found):
            if number % FILES_A_SLICE == FILES_A_SLICE - 1:
                yield
            if path in parts:
                continue
            known = self.entries.get(entry_id(path))
            stamps = self._stamps_of(known, path)
            if known is not None and not known.gone and self._seen.get(path) == stamps:
                self._changed.pop(path, None)
                continue
            before = self._changed.get(path)
            if before is None or before[0] != stamps:
                self._changed[path] = stamps, now_ns
            elif now_ns - before[1] >= QUIET_S * NS_PER_S and path not in self._to_read:
                del self._changed[path]
                self._to_read.append(path)
        self._to_read.sort(key=lambda path: (_ORDER[facts.kind_of(path) or "picture"], path))
        for entry in list(self.entries.values()):
            if entry.path in found and entry.path not in parts:
                continue
            self._changed.pop(entry.path, None)
            if not entry.gone:
                self._lose(entry)

    def _lose(self, entry: Entry) -> None:
        """Its file is not there any more, or belongs to an asset: earlier contents can still be brought back."""
        self._seen.pop(entry.path, None)
        versions = [v for v in entry.versions if self._is_kept(v)]
        self.news = True
        if not versions or (self.folder / entry.path).exists():
            del self.entries[entry.id]
            return
        self.entries[entry.id] = msgspec.structs.replace(
            entry, gone=True, content="", problem="", mend="", versions=versions
        )

    def _read_from(self, entry: Entry) -> list[str]:
        """Every file that says something of an entry."""
        beside = Path(entry.path + ENDING).as_posix()
        return [*entry.files, beside, *entry.uses]

    def _stamps_of(self, known: Entry | None, path: str) -> _Stamps:
        names = [path] if known is None else self._read_from(known)
        return tuple(_stamp(self.folder / name) for name in names)

    # --- reading --------------------------------------------------------------------------------------------------

    def read_now(self, path: str) -> None:
        """Read one entry at once: somebody waits for it. Raises OSError."""
        for _ in self._reading(path):
            pass
        self.news = True

    def _reading(self, path: str) -> Generator[None]:
        file = self.folder / path
        kind = facts.kind_of(path)
        if kind is None or not file.is_file() or path in self._parts:
            return
        found = facts.read(file, kind)
        yield
        told, faults = read_tags(file)
        found.problems.extend(faults)
        files = [path, *(name for part in found.parts if (name := self._within(part)) and part.is_file())]
        # Also what is not there yet: it is looked for.
        wanted = [*found.names, *(part for part in found.parts if not part.is_file())]
        uses = list(dict.fromkeys(name for part in wanted if (name := self._within(part))))
        hashes: list[tuple[str, str]] = []
        for name in files:
            digest = yield from self._hash(name)
            hashes.append((name, digest))
        content = content_of(hashes)
        size = sum(self._stamps[name][0] for name in files if name in self._stamps)
        if all(digest for _, digest in hashes):
            yield from self._keep(hashes, size)
        known = self.entries.get(entry_id(path))
        before = [] if known is None else known.versions
        version = Version(content, self._clock.tai_ns(), size, dict(hashes))
        if before and before[0].content == content:
            versions = [msgspec.structs.replace(before[0], files=version.files), *before[1:]]
        else:
            versions = [version, *(v for v in before if v.content != content and self._is_kept(v))][:MOST_VERSIONS]
        problem = found.problems[0] if found.problems else None
        entry = Entry(
            id=entry_id(path),
            path=path,
            kind=found.kind,
            label=told.label or found.label,
            tags=list(dict.fromkeys([*found.tags, *told.tags])),
            content=content,
            size_bytes=size,
            files=files,
            facts=found.facts,
            problem=_text(problem, file) if problem is not None else "",
            mend=problem.mend if problem is not None else "",
            uses=uses,
            versions=versions,
        )
        picture = self._picture(entry)
        self._waiting.discard(picture)
        self.entries[entry.id] = msgspec.structs.replace(
            entry, picture=picture, thumbnail=bool(picture) and self.thumbnail(picture).is_file()
        )
        self._blame(entry.id)
        for name in [*uses, Path(path + ENDING).as_posix()]:
            stamp = _stamp(self.folder / name)
            if stamp is None:
                self._stamps.pop(name, None)
            elif name not in self._hashes or name not in self._stamps:
                self._stamps[name] = stamp
        # What was read, not what is there by now: a file that was written to meanwhile is read again.
        self._seen[path] = tuple(
            self._stamps.get(name) if name in files else _stamp(self.folder / name)
            for name in self._read_from(self.entries[entry.id])
        )
        self._parts.update(files[1:])
        self._make_room()

    def _hash(self, name: str) -> Generator[None, None, str]:
        """The hash of a file's content; empty: it cannot be read."""
        file = self.folder / name
        stamp = _stamp(file)
        if stamp is not None and self._stamps.get(name) == stamp and name in self._hashes:
            return self._hashes[name]
        try:
            digest = yield from hashing(file)
        except OSError:
            return ""
        if stamp is not None:
            self._stamps[name], self._hashes[name] = stamp, digest
        return digest

    def _keep(self, hashes: Sequence[tuple[str, str]], size_bytes: int) -> Generator[None]:
        """Copies of the contents, where they fit at all."""
        if size_bytes > self.keep_bytes:
            return
        for name, digest in hashes:
            try:
                kept = yield from self.contents.keeping(self.folder / name, digest)
            except OSError as error:
                log.warning("no copy of %s is kept: %s", name, error.strerror or error)
                return
            stamp = self._stamps.get(name)
            if kept and stamp is not None:
                self._kept[digest] = stamp[0]

    def _picture(self, entry: Entry) -> str:
        """What an entry's thumbnail is named by: it changes with everything that is seen on it."""
        if entry.kind != "scene" or not entry.content:
            return entry.content
        digest = blake2b(entry.content.encode(), digest_size=16)
        for name in entry.uses:
            digest.update((self._hashes.get(name) or str(_stamp(self.folder / name))).encode())
        return digest.hexdigest()

    def _within(self, file: Path) -> str:
        """A file's path within the library; empty: it lies elsewhere."""
        with contextlib.suppress(ValueError, OSError):
            return file.resolve().relative_to(self.folder.resolve()).as_posix()
        return ""

    # --- earlier contents -----------------------------------------------------------------------------------------

    def _is_kept(self, version: Version) -> bool:
        return all(content in self._kept for content in version.files.values())

    def _make_room(self) -> None:
        """Let earlier contents go, the oldest first, until the copies are within their limit; if that does not do,
        copies of what is there now."""
        over = sum(self._kept.values()) - self.keep_bytes
        if over <= 0:
            return
        versions = [
            (present, version.t_tai_ns, entry.id, version)
            for entry in self.entries.values()
            for number, version in enumerate(entry.versions)
            for present in (number == 0 and not entry.gone,)
        ]
        needed = Counter(digest for _, _, _, version in versions for digest in set(version.files.values()))
        stray = [digest for digest in self._kept if digest not in needed]
        over -= self._let_go(stray)
        for present, _, ident, version in sorted(versions, key=lambda entry: entry[:3]):
            if over <= 0:
                return
            needed.subtract(set(version.files.values()))
            over -= self._let_go([digest for digest in set(version.files.values()) if not needed[digest]])
            if not present:
                entry = self.entries[ident]
                left = [v for v in entry.versions if v is not version]
                self.entries[ident] = msgspec.structs.replace(entry, versions=left)
                if entry.gone and not left:
                    del self.entries[ident]

    def _let_go(self, digests: Sequence[str]) -> int:
        """Delete copies; how many bytes that gave."""
        self.contents.drop(digests)
        return sum(self._kept.pop(digest, 0) for digest in digests)

    def restore(self, entry: Entry, content: str) -> tuple[str, str] | None:
        """Put an earlier content back into the folder; None, or why not and what to do. Raises OSError."""
        version = next((v for v in entry.versions if v.content == content), None)
        if version is None:
            return f"it never was {content!r}", f"GET library/{entry.id}/versions"
        if not self._is_kept(version):
            return "that content is no longer kept", "raise library/keep_mb"
        if not entry.gone:
            if self._seen.get(entry.path) != self._stamps_of(entry, entry.path):
                return "its file has just changed", "wait until it is indexed: what it is now would be lost"
            if not self._is_kept(entry.versions[0]):
                return "no copy of what it is now is kept: it would be lost", "raise library/keep_mb"
        root = self.folder.resolve()
        for name, digest in reversed(version.files.items()):
            target = (self.folder / name).resolve()
            if not target.is_relative_to(root):
                return f"{name} lies outside the library", "the index was tampered with: delete it"
            if self._hashes.get(name) == digest and self._stamps.get(name) == _stamp(target):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f".{target.name}.{os.getpid()}")
            shutil.copyfile(self.contents.path(digest), partial)
            partial.rename(target)
        return None

    # --- thumbnails -----------------------------------------------------------------------------------------------

    def thumbnail(self, picture: str) -> Path:
        """Where a thumbnail lies, there or not."""
        return self.place / THUMBNAILS / f"{picture}.jpg"

    def next_to_draw(self) -> Entry | None:
        """An entry that wants a thumbnail."""
        return next(self._undrawn(), None)

    def _undrawn(self) -> Iterator[Entry]:
        for entry in self.entries.values():
            if entry.thumbnail or entry.gone or entry.problem or not entry.picture:
                continue
            if entry.picture not in self._drawn and entry.picture not in self._waiting:
                yield entry

    def undrawn(self, entry: Entry) -> None:
        """Its thumbnail did not come: others first; it is tried again at the next start."""
        self._waiting.add(entry.picture)

    def drawn(self, entry: Entry, problems: Sequence[Problem]) -> None:
        """Its thumbnail was made, or why it cannot be."""
        now = self.entries.get(entry.id)
        path = self.thumbnail(entry.picture)
        if now is None or now.picture != entry.picture or self._seen.get(now.path) != self._stamps_of(now, now.path):
            # Of which content it is nobody knows. It is asked for again when the file was read.
            path.unlink(missing_ok=True)
            self._waiting.add(entry.picture)
            return
        self._drawn[entry.picture] = _text(problems[0], self.folder / entry.path) if problems else ""
        self.entries[entry.id] = msgspec.structs.replace(now, thumbnail=path.is_file())
        self._blame(entry.id)
        self.news = True

    def _blame(self, ident: str) -> None:
        """What was found when it was drawn is told where it is listed."""
        entry = self.entries[ident]
        fault = self._drawn.get(entry.picture, "")
        if fault and not entry.problem:
            self.entries[ident] = msgspec.structs.replace(entry, problem=fault, mend="export the asset again")


def _stamp(file: Path) -> Stamp | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino


def _text(problem: Problem, file: Path) -> str:
    """A fault in words, without the file's own name before it."""
    place = problem.path.removeprefix(str(file)).strip("#: /")
    return f"{place}: {problem.detail}" if place else problem.detail
