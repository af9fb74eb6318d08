"""The librarian: looks through the library's folder, reads what is new, keeps earlier contents, has thumbnails made.

It works a few milliseconds at a time and then rests four times as long, at the lowest priority there is: frames,
poses and requests do not feel it, whatever the size of the folder. It never draws: thumbnails are made by the darkroom,
one at a time, when that has nothing else to do. It alone writes the index, the copies of contents and, when somebody
asks, the folder itself.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from controller.errors import ControllerError, UnknownAddress
from controller.library.config import LibraryConfig
from controller.library.entries import LIBRARY_FOLDER, Entry
from controller.library.shelf import Shelf
from controller.library.tags import write_tags
from controller.messages import DrawThumbnail, LibraryChanged, LibraryRefused, RestoreVersion, TagEntry, ThumbnailDrawn
from controller.post import Post
from controller.rundir import RunDir
from runtime.clock import NS_PER_MS, NS_PER_S, Clock
from stage.errors import OpenVolumeError, Problem

log = logging.getLogger(__name__)

WORK_NS: Final = 4 * NS_PER_MS
"""How long it works at a time."""
MOST_SLICES: Final = 8
"""Pieces of work between two rests, at most: each reads a megabyte, or looks at 64 files."""
REST: Final = 4
"""It rests so many times as long as it worked."""
DRAW_REST: Final = 8
"""The darkroom rests so many times as long as a thumbnail took."""
LEAST_REST_NS: Final = 2 * NS_PER_MS
LOOK_NS: Final = NS_PER_S // 2
"""How often the show is asked whether its library is another."""
TELL_NS: Final = NS_PER_S
"""The index is written so often at most, while there is news."""
PATIENCE_NS: Final = 120 * NS_PER_S
"""A thumbnail that was not made within this is asked for again."""
LEAST_PAUSE_NS: Final = NS_PER_S // 4


class LibraryError(ControllerError):
    """A version that cannot be gone back to, or a library that cannot be written to."""

    code = "controller.library"


class _Told(msgspec.Struct):
    """What of a version's snapshot (controller.show.Snapshot) concerns the library."""

    library: str = ""
    scene_cache: str = ""


class Librarian:
    """Role. No GL; one thread."""

    def __init__(self, *, run: RunDir, clock: Clock) -> None:
        self._run, self._clock = run, clock
        self._version = -1
        self._told: _Told | None = None
        self.shelf: Shelf | None = None
        self._work: Generator[None, None, float] | None = None
        self._look_due_ns = self._round_due_ns = self._tell_due_ns = self._draw_due_ns = 0
        self._drawing: tuple[int, Entry, int] | None = None
        """The request for a thumbnail that is under way, for which entry, and since when."""
        self._requests = 0

    def start(self) -> None:
        """Open the letter box."""
        self._post = Post(self._run.librarian_socket)
        self._configure()

    def wake_fds(self) -> Sequence[int]:
        """The letter box."""
        return (self._post.fileno(),)

    def step(self, now_ns: int) -> int:
        """Answer letters, work for a moment, and say when to go on."""
        for message in self._post.receive():
            if isinstance(message, ThumbnailDrawn):
                self._drawn(message, now_ns)
            elif isinstance(message, RestoreVersion | TagEntry):
                self._change(message)
        if now_ns >= self._look_due_ns:
            self._look_due_ns = now_ns + LOOK_NS
            self._configure()
        if self.shelf is None:
            return now_ns + LOOK_NS
        if self._work is None and now_ns >= self._round_due_ns:
            self._work = self.shelf.round(now_ns)
        worked_ns = self._for_a_moment(now_ns)
        self._draw(now_ns)
        self._tell(now_ns)
        if self._work is not None:
            return now_ns + worked_ns + max(LEAST_REST_NS, REST * worked_ns)
        return min(now_ns + LOOK_NS, max(self._round_due_ns, now_ns + LEAST_REST_NS))

    def stop(self) -> None:
        """Write what is known."""
        if self.shelf is not None:
            self.shelf.write()
        self._post.close()

    def _configure(self) -> None:
        number = self._run.current_version()
        if number == self._version:
            return
        try:
            told = msgspec.msgpack.decode(self._run.snapshot(number).read_bytes(), type=_Told)
        except (OSError, msgspec.MsgspecError):
            return  # being replaced: the next look finds it
        self._version = number
        if told == self._told:
            return
        self._told = told
        if self.shelf is not None:
            self.shelf.write()
        self.shelf, self._work, self._drawing = None, None, None
        if told.library:
            config = LibraryConfig.model_validate_json(told.library)
            place = Path(told.scene_cache).parent / LIBRARY_FOLDER
            self.shelf = Shelf(config, place, clock=self._clock)
            self._round_due_ns = 0
            log.info("the library is %s", config.folder)

    def _for_a_moment(self, now_ns: int) -> int:
        """Do a little of the work there is; how long it took."""
        assert self.shelf is not None
        for _ in range(MOST_SLICES):
            if self._work is None:
                break
            try:
                next(self._work)
            except StopIteration as done:
                self._work = None
                self._round_due_ns = self._clock.now_ns() + int(done.value * NS_PER_S)
            except OSError as error:
                log.error("the library cannot be read: %s", error)
                self.shelf.problem = f"it cannot be read: {error.strerror or error}"
                self._work = None
                self._round_due_ns = self._clock.now_ns() + 5 * NS_PER_S
            if self._clock.now_ns() - now_ns >= WORK_NS:
                break
        return self._clock.now_ns() - now_ns

    def _tell(self, now_ns: int) -> None:
        if self.shelf is not None and self.shelf.news and now_ns >= self._tell_due_ns:
            self._tell_due_ns = now_ns + TELL_NS
            self.shelf.write()

    # --- thumbnails ----------------------------------------------------------------------------------------------

    def _draw(self, now_ns: int) -> None:
        shelf = self.shelf
        assert shelf is not None
        if self._drawing is not None:
            if now_ns - self._drawing[2] < PATIENCE_NS:
                return
            shelf.undrawn(self._drawing[1])
            self._drawing = None
        if now_ns < self._draw_due_ns:
            return
        entry = shelf.next_to_draw()
        if entry is None:
            return
        self._requests += 1
        file, out = shelf.folder / entry.path, shelf.thumbnail(entry.picture)
        letter = DrawThumbnail(str(file), entry.kind, str(out), self._requests, self._post.path.name)
        if self._post.send(self._run.darkroom_socket, letter):
            self._drawing = self._requests, entry, now_ns
        else:
            self._draw_due_ns = now_ns + NS_PER_S

    def _drawn(self, message: ThumbnailDrawn, now_ns: int) -> None:
        if self._drawing is None or self._drawing[0] != message.request or self.shelf is None:
            return
        _, entry, _ = self._drawing
        self._drawing = None
        self._draw_due_ns = now_ns + max(LEAST_PAUSE_NS, int(DRAW_REST * message.took_ms * NS_PER_MS))
        self.shelf.drawn(entry, message.problems)

    # --- what somebody asks for ----------------------------------------------------------------------------------

    def _change(self, message: RestoreVersion | TagEntry) -> None:
        try:
            if self.shelf is None:
                raise _error("library", "the show has no library", "configure library/folder")
            entry = self.shelf.entries.get(message.entry)
            if entry is None:
                problem = Problem(
                    UnknownAddress.code, f"library/{message.entry}", "there is no such entry", mend="GET library"
                )
                raise UnknownAddress(problem)
            if isinstance(message, TagEntry):
                write_tags(self.shelf.folder / entry.path, label=message.label, tags=message.tags)
            else:
                fault = self.shelf.restore(entry, message.content)
                if fault:
                    raise _error(f"library/{entry.id}", *fault)
            self.shelf.read_now(entry.path)
            self.shelf.write()
        except OpenVolumeError as error:
            answer: LibraryChanged | LibraryRefused = LibraryRefused(message.request, list(error.problems))
        except OSError as error:
            detail = f"{error.filename or 'the folder'}: {error.strerror or error}"
            told = Problem(LibraryError.code, "library", detail, None, "make room, or mend the permissions")
            answer = LibraryRefused(message.request, [told])
        else:
            answer = LibraryChanged(message.request)
        self._post.send(self._run.path / message.reply_to, answer)


def _error(path: str, detail: str, mend: str) -> LibraryError:
    return LibraryError(Problem(LibraryError.code, path, detail, None, mend))
