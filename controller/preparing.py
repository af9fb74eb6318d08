"""Versions of the show and scenes in a node: made ready slice by slice between pictures, answered when they are.

See `controller.messages` for the whole conversation. Whatever fails, the version that is on air goes on.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Protocol

import msgspec

from controller.messages import (
    Abort,
    AnyMessage,
    Failed,
    LoadScene,
    Prepare,
    Prepared,
    RehearseEdits,
    SceneLoaded,
    SceneRefused,
)
from controller.post import Post
from controller.rundir import RunDir
from controller.show import Snapshot, decode_snapshot
from runtime.clock import NS_PER_MS, NS_PER_S, Clock
from stage.errors import OpenVolumeError, Problem

log = logging.getLogger(__name__)

SLICE_AT_LEAST_NS = NS_PER_S // 4


class Preparer(Protocol):
    """What gets versions and scenes ready: the node's painter. Slices yield what the next one needs, in ns."""

    def holds(self, config_version: int) -> bool:
        """Whether plans of this version can be drawn at once."""

    def prepare(self, snapshot: Snapshot) -> Generator[int]:
        """Get a version ready in slices; change nothing shown. Raises OpenVolumeError."""

    def load(self, message: LoadScene) -> Generator[int]:
        """Get a compiled scene ready in slices; change nothing shown. Raises OpenVolumeError, OSError."""

    def rehearse_edits(self, message: RehearseEdits) -> Generator[int]:
        """Get ready in slices what edits need; change nothing shown. Raises OpenVolumeError, OSError."""

    def forget(self, config_version: int) -> None:
        """A prepared version will not be used. Nothing happens to the one that was drawn last."""


@dataclass(slots=True)
class _Job:
    message: Prepare | LoadScene | RehearseEdits
    slices: Generator[int]
    began_ns: int
    next_ns: int = 0
    """What its next slice needs, as far as it knows."""


class Preparations:
    """What is asked for, oldest first."""

    def __init__(self, *, run: RunDir, name: str, clock: Clock, post: Post, painter: Preparer) -> None:
        self._run, self._name, self._clock, self._post, self._painter = run, name, clock, post, painter
        self._jobs: deque[_Job] = deque()
        self._sliced_ns = 0

    def letter(self, message: AnyMessage) -> None:
        """A letter that came to the node."""
        if isinstance(message, Prepare):
            self._accept(message)
        elif isinstance(message, LoadScene):
            self._jobs.append(_Job(message, self._painter.load(message), self._clock.now_ns()))
        elif isinstance(message, RehearseEdits):
            self._jobs.append(_Job(message, self._painter.rehearse_edits(message), self._clock.now_ns()))
        elif isinstance(message, Abort):
            dropped = [
                job for job in self._jobs
                if isinstance(job.message, Prepare) and job.message.version == message.version
            ]  # fmt: skip
            for job in dropped:
                self._jobs.remove(job)
                job.slices.close()
                assert isinstance(job.message, Prepare)
                self._painter.forget(job.message.config_version)

    def fetch(self, version: int) -> None:
        """A version never announced (this node was away): get it ready now, all at once."""
        for _ in self._painter.prepare(decode_snapshot(self._run.snapshot(version).read_bytes())):
            pass

    def spend(self, now_ns: int, until_ns: int, *, wanted: Callable[[], bool]) -> None:
        """Spend the slack until `until_ns` on the oldest preparation, slice by slice, unless the node is `wanted`.

        A slice is begun when what it needs is left. A show that has no slack must still be able to change to a lighter
        one: now and then a slice is taken all the same.
        """
        while self._jobs:
            slack = now_ns + self._jobs[0].next_ns < until_ns and not wanted()
            if not slack and now_ns - self._sliced_ns < SLICE_AT_LEAST_NS:
                return
            self._sliced_ns = now_ns
            self._slice()
            now_ns = self._clock.now_ns()

    def _accept(self, message: Prepare) -> None:
        if self._painter.holds(message.config_version) and not message.scenes_changed:
            self._answer(message, Prepared(message.version, self._name))
            return
        try:
            snapshot = decode_snapshot(self._run.snapshot(message.version).read_bytes())
        except (OSError, msgspec.MsgspecError) as error:
            problem = Problem("node.snapshot", str(self._run.snapshot(message.version)), str(error))
            self._answer(message, Failed(message.version, self._name, [problem]))
            return
        self._jobs.append(_Job(message, self._painter.prepare(snapshot), self._clock.now_ns()))

    def _slice(self) -> None:
        job = self._jobs[0]
        problems: list[Problem] | None = None
        try:
            job.next_ns = next(job.slices) or 0
        except StopIteration:
            pass
        except OpenVolumeError as error:
            problems = list(error.problems)
        except Exception as error:  # the show goes on with the version that runs
            log.exception("%s cannot be made ready", job.message)
            detail = f"{type(error).__name__}: {error}"
            problems = [Problem("node.prepare_failed", f"nodes/{self._name}", detail)]
        else:
            return
        self._jobs.popleft()
        took_ms = (self._clock.now_ns() - job.began_ns) / NS_PER_MS
        message = job.message
        if not isinstance(message, Prepare):
            self._tell(message, took_ms, problems)
        elif problems is not None:
            self._painter.forget(message.config_version)
            self._answer(message, Failed(message.version, self._name, problems))
        else:
            self._answer(message, Prepared(message.version, self._name, took_ms))

    def _answer(self, message: Prepare, answer: Prepared | Failed) -> None:
        self._post.send(self._run.path / message.reply_to, answer)

    def _tell(self, message: LoadScene | RehearseEdits, took_ms: float, problems: list[Problem] | None) -> None:
        answer: SceneLoaded | SceneRefused = SceneLoaded(message.scene, message.request, self._name, took_ms)
        if problems is not None:
            answer = SceneRefused(message.scene, message.request, self._name, problems)
        self._post.send(self._run.path / message.reply_to, answer)
