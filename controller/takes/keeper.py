"""Follows the show lock: a take begins where it rolls and ends where it is cut, with its tracking recorded."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from controller.status import Alarm
from controller.takes.book import TakeBook
from controller.takes.take import Take, TakeEdit, edited, named
from runtime.clock import Clock
from stage.errors import OpenVolumeError

log = logging.getLogger(__name__)
ALARM: Final = "takes"
NEWEST: Final = 100
OURS: Final = "take-"
"""Recordings that begin and end with a take are called so."""


class Circumstances(Struct, frozen=True):
    """What a take begins and ends with."""

    frame: int
    timecode: str
    who: str
    rev: int
    scene: str
    position: str


class Recordings(Struct, frozen=True):
    """How its tracking is recorded: `begin` gets a name and gives the file, empty where no recorder runs."""

    begin: Callable[[str], str]
    end: Callable[[str], None]


class TakeKeeper:
    """The takes of the running show. What goes wrong is an alarm: a take on set waits for no file."""

    def __init__(self, book: TakeBook, recordings: Recordings, alarms: dict[str, Alarm], *, clock: Clock) -> None:
        self._book, self._recordings, self._alarms, self._clock = book, recordings, alarms, clock
        self._rolling = book.rolling()
        self._armed_as: str | None = None
        """What the lock calls the one that rolls; its slate may be put right meanwhile."""
        self.newest: list[Take] = book.newest(limit=NEWEST)

    def follow(self, take: str, now: Circumstances) -> None:
        """What the lock says: the take that rolls, or empty. Called with every change of the show, and once at first.

        A take that rolled when the service ended goes on if the lock still says so, else ends where that is found.
        """
        if self._armed_as is None and take:
            self._armed_as = take  # this service has just begun
        if self._rolling is not None and take != self._armed_as:
            self._end(self._rolling, now)
        if take and self._rolling is None:
            self._begin(take, now)

    def edit(self, number: int, edit: TakeEdit) -> Take:
        """Change what is written about one. Raises UnknownAddress, StoreError."""
        take = edited(self._book.get(number), edit)
        self._book.keep(take)
        if self._rolling is not None and self._rolling.id == number:
            self._rolling = take
        self._look()
        return take

    def get(self, number: int) -> Take:
        """One of them. Raises UnknownAddress, StoreError."""
        return self._book.get(number)

    def older(self, before: int, limit: int) -> list[Take]:
        """Those before a number, newest first. Raises StoreError."""
        return self._book.newest(before=before, limit=limit)

    def close(self) -> None:
        """Let the book go; a take that rolls goes on."""
        self._book.close()

    def _begin(self, words: str, now: Circumstances) -> None:
        self._armed_as = words
        try:
            slate, number = named(words, self._book.count(words.strip()))
            take = self._book.add(
                Take(
                    0, slate, number, self._clock.tai_ns(), now.frame, now.timecode, now.who, now.rev, now.scene,
                    now.position,
                )
            )  # fmt: skip
            file = self._recordings.begin(f"{take.id:04d}-{_plain(take.name)}")
            if file:
                take = msgspec.structs.replace(take, recording=file)
                self._book.keep(take)
        except (OpenVolumeError, OSError) as error:
            self._fail(error)
            return
        self._alarms.pop(ALARM, None)
        self._rolling = take
        self._look()

    def _end(self, take: Take, now: Circumstances) -> None:
        self._rolling = None
        last = max(take.first_frame, now.frame - 1)
        ended = {"t_end_tai_ns": self._clock.tai_ns(), "last_frame": last, "last_timecode": now.timecode}
        try:
            if take.recording:
                self._recordings.end(take.recording)
            self._book.keep(msgspec.structs.replace(take, **ended))
        except (OpenVolumeError, OSError) as error:
            self._fail(error)
        self._look()

    def _look(self) -> None:
        try:
            self.newest = self._book.newest(limit=NEWEST)
        except OpenVolumeError as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        log.error("the take is not kept: %s", error)
        mend = "free space on the disk of the show's state, then arm and roll again; the walls go on"
        detail, values = f"the take is not kept: {error}", {"error": str(error)}
        self._alarms[ALARM] = Alarm("controller.takes", ALARM, detail, "warning", mend, values=values)


def recordings_in(
    folder: Path, start: Callable[[Path], object], stop: Callable[[], None], runs: Callable[[], str | None]
) -> Recordings:
    """Recordings of tracking in a folder. runs : the file that is recorded now, empty: none; None: no recorder."""

    def begin(name: str) -> str:
        now = runs()
        if now is None:
            return ""
        if now:
            return now  # somebody records by hand: the take is in that file
        file = folder / f"{OURS}{name}.mcap"
        start(file)
        return str(file)

    def end(file: str) -> None:
        if file == runs() and Path(file).name.startswith(OURS):
            stop()

    return Recordings(begin, end)


def _plain(words: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", words)[:60].strip("_.-") or "take"
