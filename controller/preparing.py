"""Versions of the show in a node: got ready slice by slice in the time between pictures, answered when they are.

See `controller.messages` for the whole conversation. Whatever fails, the version that is on air goes on.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator
from typing import Protocol

import msgspec

from controller.messages import Abort, AnyMessage, Failed, Prepare, Prepared
from controller.post import Post
from controller.rundir import RunDir
from controller.show import Snapshot, decode_snapshot
from runtime.clock import NS_PER_MS, NS_PER_S, Clock
from stage.errors import OpenVolumeError, Problem

log = logging.getLogger(__name__)

SLICE_AT_LEAST_NS = NS_PER_S // 4


class Preparer(Protocol):
    """What gets a version ready: the node's painter."""

    def holds(self, config_version: int) -> bool:
        """Whether plans of this version can be drawn at once."""

    def prepare(self, snapshot: Snapshot) -> Generator[None]:
        """Get a version ready in slices; change nothing shown. Raises OpenVolumeError."""

    def forget(self, config_version: int) -> None:
        """A prepared version will not be used. Nothing happens to the one that was drawn last."""


class Preparations:
    """What is asked for, oldest first."""

    def __init__(self, *, run: RunDir, name: str, clock: Clock, post: Post, painter: Preparer) -> None:
        self._run, self._name, self._clock, self._post, self._painter = run, name, clock, post, painter
        self._jobs: deque[tuple[Prepare, Generator[None], int]] = deque()
        self._sliced_ns = 0

    def letter(self, message: AnyMessage) -> None:
        """A letter that came to the node."""
        if isinstance(message, Prepare):
            self._accept(message)
        elif isinstance(message, Abort):
            dropped = [job for job in self._jobs if job[0].version == message.version]
            self._jobs = deque(job for job in self._jobs if job[0].version != message.version)
            for prepare, slices, _ in dropped:
                slices.close()
                self._painter.forget(prepare.config_version)

    def fetch(self, version: int) -> None:
        """A version never announced (this node was away): get it ready now, all at once."""
        for _ in self._painter.prepare(decode_snapshot(self._run.snapshot(version).read_bytes())):
            pass

    def spend(self, now_ns: int, until_ns: int, *, wanted: Callable[[], bool]) -> None:
        """Spend the slack until `until_ns` on the oldest preparation, slice by slice, unless the node is `wanted`.

        A show that has no slack must still be able to change to a lighter one: now and then a slice is taken all
        the same.
        """
        while self._jobs:
            slack = now_ns < until_ns and not wanted()
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
        self._jobs.append((message, self._painter.prepare(snapshot), self._clock.now_ns()))

    def _slice(self) -> None:
        message, slices, began_ns = self._jobs[0]
        answer: Prepared | Failed
        try:
            next(slices)
        except StopIteration:
            answer = Prepared(message.version, self._name, (self._clock.now_ns() - began_ns) / NS_PER_MS)
        except OpenVolumeError as error:
            answer = Failed(message.version, self._name, list(error.problems))
        except Exception as error:  # the show goes on with the version that runs
            log.exception("version %d cannot be prepared", message.version)
            problem = Problem("node.prepare_failed", f"nodes/{self._name}", f"{type(error).__name__}: {error}")
            answer = Failed(message.version, self._name, [problem])
        else:
            return
        if isinstance(answer, Failed):
            self._painter.forget(message.config_version)
        self._jobs.popleft()
        self._answer(message, answer)

    def _answer(self, message: Prepare, answer: Prepared | Failed) -> None:
        self._post.send(self._run.path / message.reply_to, answer)
