"""What was captured and what is missing, frame by frame, with the reason: the JSON file beside a capture.

Nothing is dropped in silence: every wanted frame is on the disk or in a gap.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from controller.capture.order import CaptureOrder, CaptureState
from controller.rundir import replace_file

FORMAT: Final = 1


class Gap(Struct, frozen=True):
    """Frames in a row that are missing for one reason."""

    first: int
    last: int
    frames: int
    """Wanted frames among them."""
    why: str


class Sidecar(Struct, frozen=True, omit_defaults=False):
    """The file beside a capture."""

    openvolume_capture: int
    order: CaptureOrder
    state: CaptureState
    rate: tuple[int, int] | None = None
    first_frame: int | None = None
    """The first one wanted, once it is known."""
    last_frame: int | None = None
    """The last one told of, written or missing."""
    first_timecode: str = ""
    """Of the first picture written."""
    first_written: int | None = None
    width_px: int = 0
    height_px: int = 0
    encoding: str = ""
    """What the signal means."""
    held_back_frames: int = 0
    """So many frames before the slot it was handed over in, the first picture was drawn for (delays of outputs)."""
    written: int = 0
    missing: int = 0
    gaps: list[Gap] = []
    files: list[str] = []
    """Videos; stills are named by their frames."""
    detail: str = ""


class Account:
    """Keeps count; any thread may tell it."""

    def __init__(self, order: CaptureOrder) -> None:
        self.order = order
        self.state: CaptureState = "waiting"
        self.detail = ""
        self.written = self.missing = 0
        self.newest = -1
        self.first_wanted: int | None = None
        self.facts: dict[str, Any] = {}
        self.files: list[str] = []
        self._gaps: list[Gap] = []
        self._told = -1
        self._lock = threading.Lock()

    @classmethod
    def resumed(cls, order: CaptureOrder) -> Account | None:
        """The account of a capture that was under way when its process ended; None: it never began."""
        try:
            told = msgspec.json.decode(order.sidecar.read_bytes(), type=Sidecar)
        except (OSError, msgspec.MsgspecError):
            return None
        account = cls(order)
        account.state, account.detail = told.state, told.detail
        account.written, account.missing, account._gaps = told.written, told.missing, list(told.gaps)
        account.first_wanted, account.files = told.first_frame, list(told.files)
        account._told = -1 if told.last_frame is None else told.last_frame
        account.newest = account._told if told.written else -1
        names = ("rate", "first_timecode", "first_written", "width_px", "height_px", "encoding", "held_back_frames")
        account.facts = {name: getattr(told, name) for name in names}
        return account

    @property
    def gaps(self) -> list[Gap]:
        """In order of frames."""
        with self._lock:
            return sorted(self._gaps, key=lambda gap: gap.first)

    @property
    def told(self) -> int:
        """The last frame that is written or missing."""
        return self._told

    def wants(self, frame: int) -> bool:
        """Whether a frame is one of those asked for."""
        first = self.first_wanted
        if first is None or frame < first or (self.order.last_frame is not None and frame > self.order.last_frame):
            return False
        return (frame - first) % self.order.every == 0

    def wrote(self, frame: int) -> None:
        """A picture lies on the disk."""
        with self._lock:
            self.written += 1
            self.newest = max(self.newest, frame)
            self._told = max(self._told, frame)

    def lost(self, first: int, last: int, why: str) -> None:
        """Wanted frames from `first` to `last` are missing."""
        begin = self.first_wanted if self.first_wanted is not None else first
        every = self.order.every
        frames = (last - begin) // every - (first - 1 - begin) // every
        if frames <= 0:
            return
        with self._lock:
            self.missing += frames
            self._told = max(self._told, last)
            before = self._gaps[-1] if self._gaps else None
            if before is not None and before.why == why and 0 < first - before.last <= every:
                self._gaps[-1] = Gap(before.first, last, before.frames + frames, why)
            else:
                self._gaps.append(Gap(first, last, frames, why))

    def write(self) -> None:
        """Put the file in place, whole. Raises OSError."""
        facts = {name: value for name, value in self.facts.items() if value is not None}
        told = Sidecar(
            FORMAT,
            self.order,
            self.state,
            first_frame=self.first_wanted,
            last_frame=self._told if self._told >= 0 else None,
            written=self.written,
            missing=self.missing,
            gaps=self.gaps,
            files=self.files,
            detail=self.detail,
            **facts,
        )
        replace_file(Path(self.order.sidecar), msgspec.json.format(msgspec.json.encode(told), indent=1) + b"\n")
