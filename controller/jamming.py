"""Jams of the time code by hand: ordered by letter, answered when they have happened."""

from __future__ import annotations

from controller.messages import JamTime, TimeJammed, TimeNotJammed
from controller.post import Post
from controller.rundir import RunDir
from runtime.timekeeper import Timekeeper
from stage.errors import OpenVolumeError


class Jamming:
    """The order that waits, if one does."""

    def __init__(self, run: RunDir, post: Post, keeper: Timekeeper) -> None:
        self._run, self._post, self._keeper = run, post, keeper
        self._asked: JamTime | None = None

    def order(self, message: JamTime) -> None:
        """Take an order, or refuse it."""
        try:
            self._keeper.order_jam(message.frame)
        except OpenVolumeError as error:
            answer = TimeNotJammed(message.request, list(error.problems))
            self._post.send(self._run.path / message.reply_to, answer)
        else:
            self._asked = message

    def answer(self, frame: int) -> None:
        """Tell whoever asked, once it has happened; `frame` was latched last."""
        asked = self._asked
        if asked is not None and not self._keeper.jam_ordered:
            self._asked = None
            self._post.send(self._run.path / asked.reply_to, TimeJammed(asked.request, frame))
