"""One canvas on its way to its processor: its ring, what holds it back, and what it shows in place of its picture.

The plan decides: delays, black, frozen, the card that tells it apart, an engine's picture. An order (BLACK, SAFE
PICTURE, WORK LIGHT) goes before all of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from controller.engines import Engines
from runtime.ring import RingWriter
from stage.plan import FramePlan, PlanOutput

FLASHES_PER_S: Final = 1
"""Of the card: slow enough for everybody's eyes."""


@dataclass(frozen=True, slots=True)
class Instead:
    """What a canvas shows in place of its picture, and the codes of that."""

    told: PlanOutput
    black: NDArray[Any]
    card: NDArray[Any]


Given = tuple[NDArray[Any], Callable[[], bool]]
"""A canvas that an engine has drawn, in place, and whether it still is what it was."""


class Output:
    """One canvas' ring, the pictures it is held back by, and the one it is frozen at."""

    def __init__(self, ring: RingWriter) -> None:
        self.ring = ring
        self._held_back: deque[NDArray[Any]] = deque()
        self._frozen: tuple[int, NDArray[Any]] | None = None
        """The frame it was frozen at, and its picture."""

    def order(self, picture: NDArray[Any], plan: FramePlan, plan_hash: int) -> None:
        """Show what was ordered for every wall."""
        # What was held back must not come out when the walls are given back.
        self._held_back.clear()
        _commit(self.ring, picture, plan, plan_hash)

    def show(
        self,
        drawn: NDArray[Any],
        plan: FramePlan,
        plan_hash: int,
        *,
        instead: Instead | None,
        engines: Engines,
        name: str,
        given: Given | None = None,
    ) -> int:
        """Show a plan's picture, or what it says in its place; the frame of the picture that is shown.

        That is an older one only where an engine that draws this canvas had none.
        """
        picture, shown, whole = drawn, plan.frame, _always
        if engines.draws(name):
            held = engines.held_frame(name)
            if given is not None:
                picture, whole = given
            elif held is not None:
                last = self._last(drawn)
                picture, shown = (last, held) if last is not None else (picture, shown)
        delay = plan.output_delays.get(name, 0)
        if delay:
            picture = _held_back(self._held_back, picture, delay)
        else:
            self._held_back.clear()
        picture = self._instead(picture, plan, instead)
        if not _commit(self.ring, picture, plan, plan_hash, whole=whole):
            # The engine wrote over it while it was copied: it is a ring ahead.
            engines.note_canvas(plan.frame, name, found=False)
            _commit(self.ring, drawn, plan, plan_hash)
        return shown

    def close(self) -> None:
        """Let go of the ring; its last picture stays."""
        self._frozen = None
        self.ring.close()

    def _instead(self, picture: NDArray[Any], plan: FramePlan, instead: Instead | None) -> NDArray[Any]:
        if instead is None or instead.told.picture != "frozen":
            self._frozen = None
        if instead is None:
            return picture
        told = instead.told
        if told.picture == "black":
            return instead.black
        if told.picture == "identify":
            half = (plan.frame - told.since_frame) * 2 * FLASHES_PER_S * plan.rate[1] // plan.rate[0]
            return instead.card if half % 2 == 0 else picture
        if self._frozen is None or self._frozen[0] != told.since_frame or not _alike(self._frozen[1], picture):
            # A node that came to it later keeps what it shows.
            last = None if plan.frame == told.since_frame else self._last(picture)
            self._frozen = told.since_frame, (picture if last is None else last).copy()
        return self._frozen[1]

    def _last(self, like: NDArray[Any]) -> NDArray[Any] | None:
        """The picture shown last, if it is of this form."""
        data = self.ring.newest()
        if data is None or len(data) != like.nbytes:
            return None
        return np.frombuffer(data, dtype=like.dtype).reshape(like.shape)


def _alike(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether two pictures have one size and depth."""
    return one.shape == other.shape and one.dtype == other.dtype


def _always() -> bool:
    return True


def _held_back(waiting: deque[NDArray[Any]], picture: NDArray[Any], frames: int) -> NDArray[Any]:
    """The picture of `frames` ago: a faster way to the wall is held back to the slowest."""
    # Pictures of another size belong to a version that has gone.
    while waiting and not _alike(waiting[0], picture):
        waiting.popleft()
    waiting.append(picture.copy())
    while len(waiting) > frames + 1:
        waiting.popleft()
    return waiting[0]


def _commit(
    ring: RingWriter, picture: NDArray[Any], plan: FramePlan, plan_hash: int, *, whole: Callable[[], bool] = _always
) -> bool:
    """Publish a picture as the plan's frame; one that was drawn into the ring's slot already is not copied. False, and
    nothing is published, when it is not `whole` any more after the copy."""
    slot = np.frombuffer(ring.begin(), dtype=np.uint8, count=picture.nbytes)
    if slot.ctypes.data != picture.ctypes.data:
        np.copyto(slot, picture.reshape(-1).view(np.uint8))
        if not whole():
            return False
    ring.commit(
        picture.nbytes,
        frame=plan.frame,
        t_ns=plan.t_present_ns,
        config_version=plan.config_version,
        plan_hash=plan_hash,
    )
    return True
