"""Inner pictures and photos of captured frames, drawn again off the air: the same plan gives the same pixels.

A node shows no inner picture to anybody, and need not: the frame's plan says all of it. Photos are the twin's, of the
very canvases that were captured. The context belongs to a thread of its own, which is behind as far as its queue is
long; what does not fit, and what is not drawn when the show ends, is a gap that is told. Frame numbers stay exact.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from controller.capture.backlog import Backlog
from controller.capture.order import CaptureOrder
from controller.capture.pictures import LightCapture, Stamp
from controller.darkroom import StageVersion
from controller.emulated import EmulatedProcessors
from controller.rundir import RunDir
from controller.scene_book import SceneBook
from controller.show import decode_snapshot
from renderer.config import RenderConfig
from renderer.device import Device
from renderer.renderer import Renderer
from renderer.twin.emulator import Codes
from stage.plan import FramePlan

log = logging.getLogger(__name__)

QUEUE_BYTES: Final = 512_000_000
QUEUE_PICTURES: Final = 240
"""Ten seconds at 24 frames: an inner picture's plan weighs next to nothing, and must not wait for an hour."""
_TIMED: Final = 16
SLOW: Final = "drawing is too slow: too many pictures waited to be drawn"
ENDED: Final = "the show ended before it was drawn"
FINE: Final = 2
"""Sub-pixels per side of a photo."""
KEEP_VERSIONS: Final = 2


@dataclass(frozen=True, slots=True)
class Wanted:
    """One picture to be drawn."""

    order: CaptureOrder
    stamp: Stamp
    plan: FramePlan
    canvases: Mapping[str, Codes | None]
    """What the processors got in that frame (photo)."""
    take: Callable[[LightCapture], None]
    fail: Callable[[str], None]

    @property
    def nbytes(self) -> int:
        """Memory it takes while it waits."""
        return sum(codes.nbytes for codes in self.canvases.values() if codes is not None) + 4096


class OffAir:
    """The thread that draws. `give` never waits."""

    def __init__(
        self,
        run: RunDir,
        *,
        now_ns: Callable[[], int],
        queue_bytes: int = QUEUE_BYTES,
    ) -> None:
        self._run, self._now_ns = run, now_ns
        self._took_ns: deque[int] = deque(maxlen=_TIMED)
        self._given_up = False
        self._backlog: Backlog[Wanted] = Backlog(queue_bytes, most=QUEUE_PICTURES)
        self.ready = False
        """Whether there is a context, and the version that holds now in it."""
        self._thread = threading.Thread(target=self._work, name="capture-offair", daemon=True)
        self._thread.start()

    def waits_for(self, number: int) -> bool:
        """Whether pictures of a capture are still to be drawn."""
        return any(wanted.order.number == number for wanted in self._backlog.items())

    def waiting(self, number: int) -> int:
        """How many pictures of a capture are still to be drawn."""
        return sum(wanted.order.number == number for wanted in self._backlog.items())

    @property
    def took_ms(self) -> float | None:
        """What drawing a picture takes, the middle of the last ones; None before the first."""
        took = sorted(self._took_ns)
        return took[len(took) // 2] / 1e6 if took else None

    def advice(self, rate_hz: float, every: int) -> str:
        """What would be drawn in time."""
        took = self.took_ms
        if took is None:
            return "capture fewer frames (`every`)"
        enough = max(every + 1, ceil(took * rate_hz / 1000.0))
        return f"one picture takes {took:.0f} ms to draw: every {enough} frames would be in time"

    def give(self, wanted: Wanted) -> bool:
        """Have a picture drawn; False when too many wait."""
        return self._backlog.offer(wanted)

    def close(self, timeout_s: float = 10.0) -> None:
        """Draw what waits for so long, and give the GPU back; what is not drawn then is told as missing."""
        self._backlog.end()
        self._thread.join(timeout_s)
        with self._backlog.lock:
            self._given_up = True
            left = self._backlog.items()
        for wanted in left:
            wanted.fail(ENDED)

    def _work(self) -> None:
        hand: _Hand | None = None
        try:
            hand = _Hand(self._run)
            hand.warm()
        except Exception:
            # It is tried again, and told, with the first picture.
            log.exception("nothing can be drawn off the air yet")
        self.ready = True
        while (wanted := self._backlog.first()) is not None:
            picture: LightCapture | None = None
            why, began_ns = "", self._now_ns()
            try:
                if hand is None:
                    hand = _Hand(self._run)
                picture = LightCapture(wanted.stamp, hand.draw(wanted))
            except Exception as error:
                log.exception("capture %d: frame %d cannot be drawn", wanted.order.number, wanted.stamp.frame)
                why = str(error) or type(error).__name__
            with self._backlog.lock:
                if self._given_up:
                    break  # it was told as missing
                self._took_ns.append(self._now_ns() - began_ns)
                # Still in the queue while it is handed on: who waits for the last one waits for this, too.
                if picture is not None:
                    wanted.take(picture)
                else:
                    wanted.fail(why)
                self._backlog.drop()
        if hand is not None:
            hand.close()


class _Hand:
    """A context, and the versions of the show it draws."""

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._device = Device.create()
        self._renderer = Renderer(self._device)
        self._book = SceneBook(run)
        self._versions: dict[int, StageVersion] = {}
        self._emulated = EmulatedProcessors(run)

    def draw(self, wanted: Wanted) -> NDArray[Any]:
        """Light, [h, w, 3]: half floats of an inner picture, float32 of a photo. Raises OpenVolumeError."""
        plan, order = wanted.plan, wanted.order
        version = self._version(plan.config_version, plan.show_version)
        if order.kind == "inner":
            world = version.world(self._device, plan, self._book)
            return self._renderer.inner(plan, order.of, world=world)
        self._emulated.look(version.stage, wanted.canvases.get)
        shown = self._emulated.shown(version.stage, wanted.canvases)
        camera = version.camera(self._device)
        light = camera.photo(shown, plan, width_px=order.width_px, camera=order.of, fine=FINE)
        return np.ascontiguousarray(light[..., :3])

    def warm(self) -> None:
        """Load the version that holds now. Raises OpenVolumeError, OSError."""
        number = self._run.current_version()
        if number:
            snapshot = decode_snapshot(self._run.snapshot(number).read_bytes())
            self._version(snapshot.show.config_version, number).camera(self._device)

    def _version(self, number: int, show_version: int) -> StageVersion:
        version = self._versions.get(number)
        if version is None:
            snapshot = decode_snapshot(self._run.snapshot(show_version).read_bytes())
            version = self._versions[number] = StageVersion(snapshot)
            render: RenderConfig = version.config.render
            self._renderer.load_stage(version.stage, version=number, render=render)
            for old in sorted(self._versions)[:-KEEP_VERSIONS]:
                self._versions.pop(old).release()
                self._renderer.drop_stage(old)
        return version

    def close(self) -> None:
        """Give the GPU back."""
        self._emulated.close()
        for version in self._versions.values():
            version.release()
        self._renderer.release()
        self._device.release()
