"""The show's time over the API: a jam is asked of the conductor, and waited for."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from controller.errors import ChangeRefused, ChangeTimedOut, ConductorAbsent
from controller.messages import AnyMessage, JamTime, Message, TimeJammed, TimeNotJammed
from stage.errors import Problem

TIMEOUT_S: Final = 2.0


class Links(Protocol):
    """The other processes, as a jam needs them."""

    def send(self, who: str, message: Message) -> bool:
        """A letter to `conductor`; False when nobody is there."""


class ClockHand:
    """Moves the show's time to its reference when somebody asks."""

    def __init__(self, links: Links, *, reply_to: str) -> None:
        self._links, self._reply_to = links, reply_to
        self._asked: dict[int, asyncio.Future[int]] = {}
        self._requests = 0

    async def jam(self, frame: int = 0, *, timeout_s: float = TIMEOUT_S) -> int:
        """Let time jump to the reference at `frame`, or at the first that can; the first frame of the new time.

        Raises
        ------
        ChangeRefused : a take rolls, or there is nothing to jump to. ConductorAbsent, ChangeTimedOut
        """
        self._requests += 1
        request = self._requests
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._asked[request] = done
        try:
            if not self._links.send("conductor", JamTime(request, self._reply_to, frame)):
                detail = "the conductor, which keeps time, is not there"
                raise ConductorAbsent(Problem(ConductorAbsent.code, "frames/jam", detail, mend="it restarts by itself"))
            async with asyncio.timeout(timeout_s):
                return await done
        except TimeoutError:
            detail = "the conductor did not answer in time; it may still jump"
            raise ChangeTimedOut(
                Problem(ChangeTimedOut.code, "frames/jam", detail, frame, "GET /api/v1/frames shows the clock")
            ) from None
        finally:
            del self._asked[request]

    def on_message(self, message: AnyMessage) -> bool:
        """Take the conductor's answer; False when the letter is not one."""
        match message:
            case TimeJammed(request=request, frame=frame):
                waiting = self._asked.get(request)
                if waiting is not None and not waiting.done():
                    waiting.set_result(frame)
            case TimeNotJammed(request=request, problems=problems):
                waiting = self._asked.get(request)
                if waiting is not None and not waiting.done():
                    waiting.set_exception(ChangeRefused(*problems))
            case _:
                return False
        return True
