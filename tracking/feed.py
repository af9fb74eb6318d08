"""Which of a camera's sources moves it: by priority, the next one when it is lost, back only when somebody says so."""

from __future__ import annotations

from typing import Final

from stage.errors import Problem
from tracking.health import State
from tracking.stream import SourceStream

SETTLE_NS: Final = 2_000_000_000
"""From the first source's first sample on, so long may one of higher priority still take the camera: trackers of one
stage do not start in the same instant."""


class CameraFeed:
    """The sources of one camera.

    Attributes
    ----------
    active : the source that moves it.
    lost : the source it was taken from because it was lost or bad, until that one has it again.
    """

    def __init__(self, camera: str, sources: list[SourceStream]) -> None:
        self.camera = camera
        self.sources = sources
        self.preferred = ""
        self.active = max(sources, key=lambda source: source.source.priority)
        self.lost: SourceStream | None = None
        self._asked = False
        self._since_ns: int | None = None
        self._left: SourceStream | None = None

    def carry(self, old: CameraFeed) -> None:
        """Go on as the feed of the configuration before."""
        names = {source.name: source for source in self.sources}
        self.preferred, self._since_ns = old.preferred, old._since_ns
        self.active = names.get(old.active.name, self.active)
        if old.active.name not in names:
            self._since_ns = None
        if old.lost is not None:
            self.lost = names.get(old.lost.name)
        changed = {s.name: s.source.priority for s in self.sources} != {s.name: s.source.priority for s in old.sources}
        # New priorities are somebody's word.
        self._asked = old._asked or changed

    def prefer(self, source: str) -> None:
        """Somebody says who moves the camera ("": whose priority is highest): at once, if it is ok."""
        if source != self.preferred:
            self.preferred, self._asked = source, True

    def step(self, now_ns: int) -> SourceStream:
        """Let time pass; the source that moves the camera."""
        active = self.active
        if len(self.sources) == 1:
            active.health.step(now_ns)
            return active
        for source in self.sources:
            source.health.step(now_ns)
        ranked = self._ranked(settling=self._since_ns is None or now_ns - self._since_ns < SETTLE_NS)
        best = next((source for source in ranked if source.health.state is State.OK), None)
        if best is None:
            return active
        if self._since_ns is None:
            self._since_ns = now_ns
        settling = now_ns - self._since_ns < SETTLE_NS
        gone = active.health.state in (State.LOST, State.BAD)
        if gone and best is not active:
            self.lost = active
        if gone or self._asked or settling or active.health.state is State.WAITING or self._reclaims(best, now_ns):
            self._switch(best)
        # What was asked for stays asked for until it can be done.
        if self._asked and best is ranked[0]:
            self._asked = False
            if self.preferred == best.name:
                self.lost = None
        if self.lost is self.active:
            self.lost = None
        return self.active

    def left(self) -> SourceStream | None:
        """The source the camera was just taken from, told once: where it had the camera, the new one begins."""
        left, self._left = self._left, None
        return left

    def alarms(self) -> list[Problem]:
        """What a person should know about who moves the camera."""
        path, active, lost = f"cameras/{self.camera}", self.active, self.lost
        if lost is not None:
            state = lost.health.state
            said = "is back" if state is State.OK else f"is {state.value} ({lost.health.reason})"
            mend = f"set {path}/preferred_source to {lost.name}"
            if self.preferred == lost.name:
                mend = f"set {path}/preferred_source to nothing, then to {lost.name} again"
            if lost.source.reclaim_s is not None:
                mend = f"wait {lost.source.reclaim_s:g} s after it is back, or {mend}"
            detail = f"{lost.name} was lost and {said}; {active.name} moves the camera"
            told = {"lost": lost.name, "state": state.value, "moves": active.name}
            return [Problem("tracking.failed_over", path, detail, mend=mend, values=told)]
        speaking = [s for s in self.sources if s.health.state in (State.OK, State.COASTING)]
        equals = [s.name for s in speaking if s.source.priority == active.source.priority]
        if len(equals) > 1 and not self.preferred:
            detail = f"sources {', '.join(equals)} all move it; {active.name} counts"
            mend = "remove a source, give it another camera, or tell them apart by priority"
            values = {"sources": equals, "moves": active.name}
            return [Problem("tracking.second_source", path, detail, mend=mend, values=values)]
        return []

    def _ranked(self, *, settling: bool) -> list[SourceStream]:
        """Sources, the one that should move the camera first; of equals the one that does, once things have settled."""
        return sorted(
            self.sources,
            key=lambda s: (s.name != self.preferred, -s.source.priority, not settling and s is not self.active),
        )

    def _reclaims(self, source: SourceStream, now_ns: int) -> bool:
        after_s = source.source.reclaim_s
        higher = source.name == self.preferred or source.source.priority > self.active.source.priority
        return after_s is not None and higher and now_ns - source.health.since_ns >= int(after_s * 1e9)

    def _switch(self, to: SourceStream) -> None:
        if to is not self.active:
            self._left, self.active = self.active, to
