"""Where canvases are sent, over the API and NMOS: asked of the sender, which changes it with a frame."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from controller.errors import ChangeTimedOut, ControllerError
from controller.messages import AnyMessage, Connect, Connected, Disregard, Message, NotConnected
from controller.st2110.connection import Connection
from stage.errors import Problem

TIMEOUT_S: Final = 3.0
Done = Callable[[Connected | NotConnected], object]


class NotConnectedError(ControllerError):
    """A connection that the sender could not make; the stream goes where it went."""

    code = "controller.not_connected"


class Links(Protocol):
    """The other processes, as this needs them."""

    def send(self, who: str, message: Message) -> bool:
        """A letter to `sender`; False when nobody is there."""


class StreamHand:
    """Moves streams when somebody asks."""

    def __init__(self, links: Links, *, reply_to: str) -> None:
        self._links, self._reply_to = links, reply_to
        self._asked: dict[int, Done] = {}
        self._requests = 0

    def order(self, canvas: str, connection: Connection, done: Done, *, at_tai_ns: int = 0) -> int:
        """Have a canvas sent elsewhere from the first frame at `at_tai_ns` or later on; `done` is called with the
        sender's answer. The number of the order, for `disregard`.

        Raises
        ------
        NotConnectedError : no sender is there.
        """
        self._requests += 1
        letter = Connect(canvas, connection, self._requests, self._reply_to, at_tai_ns)
        if not self._links.send("sender", letter):
            detail = "the process that sends canvases is not there"
            mend = "it restarts by itself"
            raise NotConnectedError(Problem(NotConnectedError.code, f"streams/{canvas}", detail, None, mend))
        self._asked[self._requests] = done
        return self._requests

    def disregard(self, canvas: str, request: int) -> None:
        """Forget an order that waits; its `done` is not called any more."""
        if self._asked.pop(request, None) is not None:
            self._links.send("sender", Disregard(canvas, request))

    async def connect(self, canvas: str, connection: Connection) -> Connected:
        """Have a canvas sent elsewhere from the next frame on.

        Raises
        ------
        NotConnectedError : the sender is not there, or it cannot. ChangeTimedOut
        """
        answered: asyncio.Future[Connected | NotConnected] = asyncio.get_running_loop().create_future()

        def done(answer: Connected | NotConnected) -> None:
            if not answered.done():
                answered.set_result(answer)

        request = self.order(canvas, connection, done)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answer = await answered
        except TimeoutError:
            path = f"streams/{canvas}"
            told = Problem(
                ChangeTimedOut.code, path, "it was not done in time", mend=f"GET /api/v1/{path} shows how it is"
            )
            raise ChangeTimedOut(told) from None
        finally:
            self.disregard(canvas, request)
        if isinstance(answer, NotConnected):
            raise NotConnectedError(*answer.problems)
        return answer

    def on_message(self, message: AnyMessage) -> bool:
        """Take an answer; False when the letter is not one."""
        if not isinstance(message, Connected | NotConnected):
            return False
        done = self._asked.pop(message.request, None)
        if done is not None:
            done(message)
        return True
