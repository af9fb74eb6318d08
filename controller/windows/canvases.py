"""The pictures of one canvas as they come in its ring, across every restart of the node that draws it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from controller.ledger_feed import open_ring
from runtime.ring import KIND_CANVAS, RingReader, fourcc

log = logging.getLogger(__name__)

TEN_BITS: Final = fourcc("AB30")
EIGHT_BITS: Final = fourcc("AB24")


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture in shared memory: use it, then ask whether it stayed `intact`."""

    n: int
    frame: int
    t_ns: int
    """When it was to be presented."""
    plan_hash: int
    pixels: memoryview
    size_px: tuple[int, int]
    ten_bits: bool
    intact: Callable[[], bool]


class CanvasFeed:
    """The ring of a canvas. `shown_n` : number of the picture that is on the screen, the reader's own note."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader: RingReader | None = None
        self.shown_n = 0

    def look(self) -> None:
        """Look whether the ring is there, or is another file by now. Pictures taken before must be gone."""
        if self._reader is None:
            self._reader = open_ring(self._path, KIND_CANVAS)
        else:
            self._reader.refresh()

    def newest(self) -> Picture | None:
        """The newest picture; None before the first, or when it is in a format nobody knows."""
        reader = self._reader
        view = reader.peek() if reader is not None else None
        if reader is None or view is None:
            return None
        shape = reader.shape
        if shape.pixel_format not in (TEN_BITS, EIGHT_BITS) or len(view.data) != shape.width * shape.height * 4:
            return None
        size, ten = (shape.width, shape.height), shape.pixel_format == TEN_BITS
        return Picture(view.n, view.frame, view.t_ns, view.plan_hash, view.data, size, ten, view.intact)

    def between(self, n: int, newest_n: int) -> Iterator[int]:
        """Frames of the pictures after `n` and before `newest_n`, as far as the ring still has them."""
        reader = self._reader
        if reader is None or n >= newest_n:
            return
        for number in range(max(n + 1, newest_n - reader.shape.slots + 1), newest_n):
            view = reader.view(number)
            if view is not None:
                yield view.frame

    def close(self) -> None:
        """Let go of the ring."""
        if self._reader is not None:
            self._reader.close()


def common_frame(pictures: Iterable[Picture]) -> int | None:
    """The frame all pictures are of; None when they are of different ones."""
    frames = {picture.frame for picture in pictures}
    return frames.pop() if len(frames) == 1 else None
