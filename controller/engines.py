"""Engines: other programs that draw a canvas or a camera's inner picture from our plans (the open frame contract).

An engine reads `plans.ring` and writes `engine-canvas-<id>.ring` (codes, as the canvas' own ring has them) or
`engine-inner-<camera>.ring` (linear ACEScg half floats, `AB4H`), each picture with the frame and the hash of the plan
it was drawn from. A node takes it over when it is there in time. Late: the last good one stays for a while, then our
own picture is shown; nobody waits for an engine that is dead.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from controller.rundir import RunDir
from controller.status import Alarm
from renderer.passes.given import GivenInner
from renderer.sinks.ring import codes_of
from runtime.clock import NS_PER_MS, Clock
from runtime.errors import HouseError
from runtime.ring import KIND_CANVAS, RingReader, View, fourcc, fourcc_text
from stage.plan import FramePlan, PlanCamera, PlanEngine

log = logging.getLogger(__name__)

KIND_INNER: Final = fourcc("INNR")
PIXELS_HALF: Final = fourcc("AB4H")
"""Four half floats a pixel, R G B A."""
LOOK_FRAMES: Final = 12
"""How often it is looked for a ring that is not there, or was replaced."""
RECENT_FRAMES: Final = 3
"""An engine whose newest picture is no older is worth waiting for."""
PAUSE_NS: Final = NS_PER_MS // 4


class Feed:
    """The pictures of one target of an engine.

    Attributes
    ----------
    missed : frames in a row that had none in time
    good_frame : the frame of the last one that was used; -1 before the first
    """

    def __init__(self, path: Path, kind: int, target: str, engine: PlanEngine, clock: Clock) -> None:
        self.path, self.target, self.engine = path, target, engine
        self.missed = 0
        self.good_frame = -1
        self.problem = ""
        self._kind, self._clock = kind, clock
        self._reader: RingReader | None = None
        self._looked = -LOOK_FRAMES
        self._since_ns = 0

    @property
    def lost(self) -> bool:
        """Whether its last picture is not held any longer."""
        return self.good_frame < 0 or self.missed > self.engine.hold_frames

    def find(self, frame: int, plan_hash: int | None) -> View | None:
        """Its picture of a frame, in place; None while there is none. `plan_hash` None: of whatever plan."""
        reader = self._ring(frame)
        if reader is None:
            return None
        newest = reader.latest_n
        for n in range(newest, max(0, newest - reader.shape.slots), -1):
            view = reader.view(n)
            if view is None or view.frame < frame:
                break
            if view.frame == frame and (plan_hash is None or view.plan_hash in (0, plan_hash)):
                return view
        return None

    @property
    def shape(self) -> Any:
        """Of its ring; None while there is none."""
        return None if self._reader is None else self._reader.shape

    def half_floats(self, view: View) -> NDArray[np.float16] | None:
        """An inner picture, [h, w, 4], copied out; None when it is no such, or was written over meanwhile."""
        shape = self.shape
        if shape.pixel_format != PIXELS_HALF or len(view.data) < shape.width * shape.height * 8:
            self.problem = f"its inner picture is {fourcc_text(shape.pixel_format)}, not AB4H"
            return None
        self.problem = ""
        pixels = np.frombuffer(view.data, np.float16, shape.width * shape.height * 4).copy()
        return pixels.reshape(shape.height, shape.width, 4) if view.intact() else None

    def is_recent(self, frame: int) -> bool:
        """Whether it drew something lately, and lives."""
        reader = self._ring(frame)
        view = reader.peek() if reader is not None else None
        if reader is None or view is None:
            return False
        return view.frame >= frame - RECENT_FRAMES and _lives(reader.writer_pid)

    def note(self, frame: int, *, found: bool) -> None:
        """Whether a frame's picture was there."""
        if found:
            if self.missed > self.engine.hold_frames and self.good_frame >= 0:
                log.info("engine %s draws %s again", self.engine.id, self.target)
            self.missed, self.good_frame, self.problem = 0, frame, ""
            return
        if self.missed == 0:
            self._since_ns = self._clock.now_ns()
        self.missed += 1
        if self.missed == self.engine.hold_frames + 1 and self.good_frame >= 0:
            log.error("engine %s: %s: our own picture is shown", self.engine.id, self._why())

    @property
    def alarm(self) -> Alarm | None:
        """What a person should know; None while it delivers."""
        if self.missed == 0 or (self.missed <= 1 and not self.problem):
            return None
        if self.good_frame >= 0 and not self.lost:
            shown, severity = f"its picture of frame {self.good_frame} stays up", "warning"
        else:
            shown, severity = "our own picture is shown", "critical" if self.good_frame >= 0 else "warning"
        return Alarm(
            "node.engine_late",
            f"engines/{self.engine.id}/{self.target}",
            f"{self._why()}: {shown}",
            severity,  # type: ignore[arg-type]
            "start the engine again, or switch it off: engines/" + self.engine.id + "/enabled",
            self._since_ns,
            {"reason": self._why(), "missed_frames": self.missed, "held": self.good_frame >= 0 and not self.lost},
        )

    def close(self) -> None:
        """Let go of the ring."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _why(self) -> str:
        if self.problem:
            return self.problem
        if self._reader is None:
            return "it has written nothing yet"
        pid = self._reader.writer_pid
        ended = " (its process has ended)" if not _lives(pid) else ""
        return f"no picture in time for {self.missed} frames{ended}"

    def _ring(self, frame: int) -> RingReader | None:
        due = abs(frame - self._looked) >= LOOK_FRAMES and (self._reader is None or self.missed > 0)
        if due:
            self._looked = frame
            try:
                if self._reader is None:
                    self._reader = RingReader.try_open(self.path, kind=self._kind)
                else:
                    self._reader.refresh()
            except HouseError as error:
                self.problem = error.problems[0].detail
                self._reader = None
        return self._reader


class Engines:
    """What engines deliver to one node."""

    def __init__(self, run: RunDir, clock: Clock) -> None:
        self._run, self._clock = run, clock
        self._feeds: dict[tuple[str, str], Feed] = {}
        self._cameras: dict[str, PlanCamera] = {}
        """The camera that the last good inner picture of each was drawn for."""

    @property
    def alarms(self) -> list[Alarm]:
        """What is wrong with them now."""
        return [alarm for feed in self._feeds.values() if (alarm := feed.alarm) is not None]

    def begin(self, plan: FramePlan) -> None:
        """Follow what a plan's engines draw, and let go of the others."""
        wanted = {("canvas", name): engine for engine in plan.engines for name in engine.canvases}
        wanted |= {("inner", name): engine for engine in plan.engines for name in engine.cameras}
        for key in self._feeds.keys() - wanted.keys():
            self._feeds.pop(key).close()
        for (kind, name), engine in wanted.items():
            feed = self._feeds.get((kind, name))
            if feed is not None:
                feed.engine = engine
                continue
            canvas = kind == "canvas"
            path = self._run.engine_canvas(name) if canvas else self._run.engine_inner(name)
            target = f"canvases/{name}" if canvas else f"cameras/{name}"
            self._feeds[kind, name] = Feed(path, KIND_CANVAS if canvas else KIND_INNER, target, engine, self._clock)

    def inners(self, plan: FramePlan) -> dict[str, GivenInner]:
        """The inner pictures of a plan that engines have drawn; waited for as long as the plan says."""
        found: dict[str, GivenInner] = {}
        began_ns = self._clock.now_ns()
        for camera in plan.cameras:
            feed = self._feeds.get(("inner", camera.id))
            if feed is None or not camera.enabled:
                continue
            pixels = self._wait(plan.frame, feed, began_ns)
            feed.note(plan.frame, found=pixels is not None)
            if pixels is not None:
                self._cameras[camera.id] = camera
                found[camera.id] = GivenInner(camera, pixels)
            elif not feed.lost and camera.id in self._cameras:
                found[camera.id] = GivenInner(self._cameras[camera.id], None)
        return found

    def canvas(
        self, plan: FramePlan, plan_hash: int, name: str, own: NDArray[Any]
    ) -> tuple[NDArray[Any], Callable[[], bool]] | None:
        """A canvas that an engine has drawn, in place, and whether it still is what it was; None: there is none."""
        feed = self._feeds.get(("canvas", name))
        if feed is None:
            return None
        view = feed.find(plan.frame, plan_hash)
        if view is None:
            return None
        shape = feed.shape
        height, width = own.shape[:2]
        form = "AB30" if own.ndim == 2 else "AB4C" if own.dtype == np.uint16 else "AB24"
        if (shape.width, shape.height, fourcc_text(shape.pixel_format)) != (width, height, form):
            told = f"{shape.width} x {shape.height} {fourcc_text(shape.pixel_format)}"
            feed.problem = f"its canvas is {told}, ours {width} x {height} {form}"
            return None
        feed.problem = ""
        return codes_of(shape, view.data), view.intact

    def note_canvas(self, frame: int, name: str, *, found: bool) -> None:
        """Whether a canvas' picture of a frame was there, whole."""
        feed = self._feeds.get(("canvas", name))
        if feed is not None:
            feed.note(frame, found=found)

    def held_frame(self, name: str) -> int | None:
        """The frame of the engine's picture that stays on a canvas while it is late; None: our own is shown."""
        feed = self._feeds.get(("canvas", name))
        return None if feed is None or feed.lost else feed.good_frame

    def draws(self, name: str) -> bool:
        """Whether a canvas is an engine's."""
        return ("canvas", name) in self._feeds

    def late_inner(self) -> bool:
        """Whether any camera's inner picture was not there for the plan drawn last."""
        return any(feed.missed > 0 for (kind, _), feed in self._feeds.items() if kind == "inner")

    def close(self) -> None:
        """Let go of every ring."""
        for feed in self._feeds.values():
            feed.close()
        self._feeds.clear()

    def _wait(self, frame: int, feed: Feed, began_ns: int) -> NDArray[np.float16] | None:
        end_ns = began_ns + round(feed.engine.wait_ms * NS_PER_MS)
        while True:
            # The hash is not compared: a node that draws has its plan from the same ring.
            view = feed.find(frame, None)
            if view is not None:
                pixels = feed.half_floats(view)
                if pixels is not None or feed.problem:
                    return pixels
            now_ns = self._clock.now_ns()
            if now_ns >= end_ns or not feed.is_recent(frame):
                return None
            self._clock.sleep_until(min(end_ns, now_ns + PAUSE_NS))


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
