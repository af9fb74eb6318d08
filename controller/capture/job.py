"""One capture under way: which frames it wants, what it takes of what comes, and what is missing and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from controller.capture.account import Account
from controller.capture.order import STILLS, SUFFIX, CaptureJob, CaptureOrder
from controller.capture.pictures import Captured
from controller.capture.writer import Sink, Writer
from stage.plan import Reason
from stage.rate import Rate

JUMP_S: Final = 10.0
"""Frames further apart than this are no gap: the show's time jumped."""
PART_OF: Final = ".part{}"
UNREAD: Final = "overwritten in the ring before it was taken: the machine is too busy"
AWAY: Final = "the capture process was away"
WHY: Final[dict[str, str]] = {
    "held": "HOLD was ordered: the picture before stayed up",
    "late_plan": "not shown: its plan came late",
    "late_draw": "not shown: it was not drawn in time",
    "no_plan": "not shown: it had no plan",
    "switching": "not shown: the version was being switched",
    "fenced": "not shown: another wall was not ready",
    "host_stall": "not shown: the machine stood still",
}
"""By reason of the node's report."""


class Job:
    """Its frames come in order, through `take`; `finish` ends it."""

    def __init__(
        self,
        order: CaptureOrder,
        *,
        writer: Callable[[Account, Callable[[], Sink]], Writer] = Writer,
        resume: bool = False,
    ) -> None:
        """`resume`: go on with what another process began, if it did."""
        found = Account.resumed(order) if resume else None
        self.account = found or Account(order)
        self.order = order
        self.frame = self.account.told
        """The newest frame that was looked at."""
        self.ended = self.account.state in ("done", "failed")
        self._rate: Rate | None = None
        self._writer: Writer | None = None
        self._ending = False
        self._stopped = ""
        self._away = found is not None and not self.ended
        self.advice = ""
        """What would come in time, where pictures are missing because drawing them takes too long."""
        if not self.ended:
            self.account.state = "running" if found is not None else "waiting"
            self._save()
            self._writer = writer(self.account, self._sink)

    @property
    def job(self) -> CaptureJob:
        """How it stands."""
        account = self.account
        detail = account.detail or (self._writer.trouble if self._writer is not None else "")
        if not detail and account.gaps:
            gap = account.gaps[0]
            detail = f"{account.missing} missing, the first {gap.first}: {gap.why}"
            detail += f"; {self.advice}" if self.advice else ""
        waiting = self._writer.waiting_px if self._writer is not None else 0
        return CaptureJob(self.order, account.state, account.written, account.missing, account.newest, waiting, detail)

    @property
    def ready(self) -> bool:
        """Whether what writes it is loaded: one that begins with the next frame begins then."""
        return self._writer is not None and self._writer.ready

    @property
    def trouble(self) -> str:
        """What a person should know; empty while all is well."""
        if self.account.state == "failed":
            return self.account.detail
        if self._writer is None or self.ended:
            return ""
        if self.advice and not self._writer.trouble:
            return f"{self.account.missing} frames are missing, drawing is too slow: {self.advice}"
        return self._writer.trouble

    def change(self, order: CaptureOrder, shown: int) -> None:
        """Take a new last frame; 0: the newest that was shown, or this one was looked at."""
        if order.last_frame == 0:
            if self._ending:
                return
            self._ending = True
            order = msgspec.structs.replace(order, last_frame=max(shown, self.frame))
        self.order = self.account.order = order

    def look_at(self, frame: int, rate: Rate, reasons: Mapping[int, Reason], *, missed: bool) -> bool:
        """A frame was shown; whether it is to be taken. What lies between it and the one before is missing.

        reasons : why frames were not shown, as far as nodes told; missed : the ring overwrote pictures unread.
        """
        account, self._rate = self.account, rate
        if account.first_wanted is None:
            account.first_wanted = self.order.first_frame or frame
            account.facts["rate"] = (rate.num, rate.den)
            self.frame = account.first_wanted - 1
        if frame < account.first_wanted:
            return False
        if frame <= self.frame:
            if self.frame - frame > JUMP_S * rate.num / rate.den:
                self._stop("the show's time jumped back")
            return False
        if frame - self.frame > JUMP_S * rate.num / rate.den and not self._away:
            begun = account.state == "running"
            self._stop("the show's time jumped ahead" if begun else "its first frame had passed long ago")
            return False
        last = self.order.last_frame
        self._missing(self.frame + 1, min(frame - 1, frame if last is None else last), reasons, missed=missed)
        self._away = False
        self.frame = frame
        return account.wants(frame)

    def take(self, picture: Captured, *, held_back_frames: int = 0) -> None:
        """Have a wanted picture written."""
        account, stamp = self.account, picture.stamp
        if account.facts.get("first_written") is None:
            width, height = picture.size
            encoding = msgspec.to_builtins(picture.encoding)
            told = " ".join(f"{name} {value}" for name, value in encoding.items())
            account.facts.update(
                first_written=stamp.frame, first_timecode=stamp.timecode, width_px=width, height_px=height,
                encoding=told, held_back_frames=held_back_frames,
            )  # fmt: skip
        if account.state == "waiting":
            account.state = "running"
        assert self._writer is not None
        self._writer.offer(picture)

    def lose(self, frame: int, why: str) -> None:
        """A wanted frame cannot be had."""
        self.account.lost(frame, frame, why)

    @property
    def over(self) -> bool:
        """Whether its last frame was looked at, or it has failed."""
        last = self.order.last_frame
        failed = self.account.state == "failed"
        return self.ended or failed or (last is not None and self.frame >= last)

    def finish(self) -> None:
        """No more frames come; what was taken is still written."""
        if self._writer is not None:
            self._writer.end()

    def settle(self, *, wait_s: float = 0.0) -> bool:
        """Whether it is done with, its file written."""
        if self.ended:
            return True
        assert self._writer is not None
        if not self._writer.join(wait_s):
            self._save()
            return False
        if self.account.state != "failed":
            self.account.state = "failed" if self._stopped else "done"
            self.account.detail = self._stopped or self.account.detail
        self._writer.trouble = ""
        self.ended = True
        self._save()
        return True

    def save(self) -> None:
        """Bring the file beside it up to date."""
        if not self.ended:
            self._save()

    def _missing(self, first: int, last: int, reasons: Mapping[int, Reason], *, missed: bool) -> None:
        if self._away:
            self.account.lost(first, last, AWAY)
            return
        for frame in range(first, last + 1):
            if self.account.wants(frame):
                self.account.lost(frame, frame, WHY.get(reasons.get(frame, "none"), UNREAD if missed else "not shown"))

    def _stop(self, why: str) -> None:
        # What was taken is still written.
        self._stopped = why
        self.order = self.account.order = msgspec.structs.replace(self.order, last_frame=self.frame)

    def _sink(self) -> Sink:
        order: Any = self.order
        if order.format in STILLS:
            from controller.capture.stills import StillSink

            return StillSink(order)
        from controller.capture.video import VideoSink

        if self.account.files:
            # A video that was cut short stays as it is.
            path, suffix = Path(order.path), SUFFIX[self.order.format]
            part = PART_OF.format(len(self.account.files) + 1)
            order = msgspec.structs.replace(order, path=str(path.with_name(path.stem + part + suffix)))
        return VideoSink(order, before=self.account.files)

    def _save(self) -> None:
        try:
            self.account.write()
        except OSError as error:
            if self.account.state != "failed":
                self.account.detail = f"the list of what is missing cannot be written: {error.strerror or error}"
