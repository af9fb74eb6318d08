"""A capture's way to the disk: a bounded queue and a thread of its own, so that nobody waits for a slow disk.

What does not fit the queue is a gap with a reason, and so is what a full disk does not take. Stills go on when there
is room again; a video is ended whole while there still is some.
"""

from __future__ import annotations

import errno
import logging
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from controller.capture.account import Account
from controller.capture.backlog import Backlog
from controller.capture.order import STILLS
from controller.capture.pictures import Captured

log = logging.getLogger(__name__)

QUEUE_BYTES: Final = 512_000_000
"""Pictures that wait, of one capture."""
RESERVE_BYTES: Final = 64_000_000
"""Kept free on the disk: what else runs there must go on."""
FULL: Final = "the disk is full"
SLOW: Final = "the disk or the encoder is too slow"


class Sink(Protocol):
    """Where pictures go."""

    files: list[str]

    def write(self, picture: Captured) -> None:
        """Write one. Raises OSError, ValueError."""

    def close(self) -> None:
        """End the file. Raises OSError."""


class Writer:
    """Writes what it is offered, in order.

    Attributes
    ----------
    trouble : what a person should know now; empty while all is well
    ready : whether what writes is loaded
    """

    def __init__(
        self,
        account: Account,
        sink: Callable[[], Sink],
        *,
        queue_bytes: int = QUEUE_BYTES,
        reserve_bytes: int = RESERVE_BYTES,
        free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    ) -> None:
        self.account = account
        self.trouble = ""
        self.ready = False
        self._make_sink, self._free_bytes = sink, free_bytes
        self._reserve = reserve_bytes
        self._backlog: Backlog[Captured] = Backlog(queue_bytes)
        self._thread = threading.Thread(target=self._run, name=f"capture-{account.order.number}", daemon=True)
        self._thread.start()

    @property
    def waiting_px(self) -> int:
        """Pixels taken and not written."""
        return sum(picture.size[0] * picture.size[1] for picture in self._backlog.items())

    @property
    def done(self) -> bool:
        """Whether everything is written and closed."""
        return not self._thread.is_alive()

    def offer(self, picture: Captured) -> None:
        """Take a picture; one for which there is no room is a gap."""
        if self._backlog.offer(picture):
            return
        frame = picture.stamp.frame
        self.trouble = f"{SLOW}: frames are left out"
        self.account.lost(frame, frame, f"{SLOW}: {len(self._backlog.items())} pictures waited")

    def end(self) -> None:
        """No more pictures come."""
        self._backlog.end()

    def join(self, timeout_s: float) -> bool:
        """Wait until everything is on the disk; False when that takes longer."""
        self._thread.join(timeout_s)
        return self.done

    def _run(self) -> None:
        sink: Sink | None = None
        try:
            sink = self._make_sink()
        except Exception as error:  # noqa: BLE001 - whatever is missing, it is told and the show goes on
            self._fail(str(error))
        self.ready = True
        while (picture := self._backlog.first()) is not None:
            if sink is not None and self.account.state != "failed":
                self._write(sink, picture)
            else:
                self.account.lost(picture.stamp.frame, picture.stamp.frame, self.account.detail or "it has failed")
            self._backlog.drop()
        if sink is not None:
            self._close(sink)

    def _write(self, sink: Sink, picture: Captured) -> None:
        frame, order = picture.stamp.frame, self.account.order
        try:
            if self._free_bytes(Path(order.path).parent) < self._reserve:
                raise OSError(errno.ENOSPC, f"less than {self._reserve // 1_000_000} MB are free")
            sink.write(picture)
        except OSError as error:
            why = f"{FULL} ({error.strerror or error})" if error.errno == errno.ENOSPC else str(error)
            self.account.lost(frame, frame, why)
            if self.trouble != why:
                log.error("capture %d: frame %d: %s", order.number, frame, why)
            self.trouble = why
            if order.format not in STILLS:
                # What is in the file is whole; nothing can be put after a hole that may never end.
                self._fail(f"{why}: the video ends before frame {frame}")
        except Exception as error:
            log.exception("capture %d: frame %d", order.number, frame)
            why = str(error) or type(error).__name__
            self.account.lost(frame, frame, why)
            self._fail(why)
        else:
            self.trouble = ""
            self.account.files = sink.files
            self.account.wrote(frame)

    def _close(self, sink: Sink) -> None:
        try:
            sink.close()
        except Exception as error:
            log.exception("capture %d cannot be ended", self.account.order.number)
            self._fail(f"the file could not be ended: {error}")

    def _fail(self, why: str) -> None:
        self.account.state = "failed"
        self.account.detail = self.trouble = why
