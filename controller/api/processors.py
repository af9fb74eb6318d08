"""LED processors over the API: what is to be set is asked of the process that speaks to them, and waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from controller.errors import ChangeTimedOut
from controller.messages import AnyMessage, Message, ProcessorNotSet, ProcessorSet, RestoreProcessor, SetProcessor
from controller.processors.driver import ProcessorError, UnreachableError, error_of
from controller.processors.keeper import SetResult
from controller.processors.model import Value
from stage.errors import Problem

TIMEOUT_S: Final = 15.0
"""A busy processor is asked four times, in between it is waited for."""


class Links(Protocol):
    """The other processes, as this needs them."""

    def send(self, who: str, message: Message) -> bool:
        """A letter to `processors`; False when nobody is there."""


class ProcessorHand:
    """Sets processors when somebody asks."""

    def __init__(self, links: Links, *, reply_to: str) -> None:
        self._links, self._reply_to = links, reply_to
        self._asked: dict[int, asyncio.Future[list[SetResult]]] = {}
        self._requests = 0

    async def set(self, name: str, settings: Mapping[str, Value]) -> list[SetResult]:
        """Set these, and what came of each.

        Raises
        ------
        ProcessorError : it is away, locked, busy, or its process is not there. ChangeTimedOut
        """
        self._requests += 1
        return await self._asked_for(
            name, self._requests, SetProcessor(name, dict(settings), self._requests, self._reply_to)
        )

    async def restore(self, name: str, *, dry_run: bool = False) -> list[SetResult]:
        """Set what is not as the show wants it, or say what that would be. Raises as `set`."""
        self._requests += 1
        return await self._asked_for(
            name, self._requests, RestoreProcessor(name, self._requests, self._reply_to, dry_run)
        )

    async def restore_all(
        self, names: Sequence[str], *, dry_run: bool = False
    ) -> dict[str, list[SetResult] | ProcessorError]:
        """Every one at once: what came of each setting, or why nothing could be set."""
        found = await asyncio.gather(*(self.restore(name, dry_run=dry_run) for name in names), return_exceptions=True)
        outcome: dict[str, list[SetResult] | ProcessorError] = {}
        for name, one in zip(names, found, strict=True):
            if isinstance(one, ChangeTimedOut):
                outcome[name] = ProcessorError(*one.problems)
            elif isinstance(one, BaseException) and not isinstance(one, ProcessorError):
                raise one
            else:
                outcome[name] = one
        return outcome

    def on_message(self, message: AnyMessage) -> bool:
        """Take an answer; False when the letter is not one."""
        match message:
            case ProcessorSet(request=request, results=results):
                waiting = self._asked.get(request)
                if waiting is not None and not waiting.done():
                    waiting.set_result(results)
            case ProcessorNotSet(request=request, problems=problems):
                waiting = self._asked.get(request)
                if waiting is not None and not waiting.done():
                    waiting.set_exception(error_of(problems))
            case _:
                return False
        return True

    async def _asked_for(self, name: str, request: int, letter: Message) -> list[SetResult]:
        path = f"processors/{name}"
        self._asked[request] = asyncio.get_running_loop().create_future()
        try:
            if not self._links.send("processors", letter):
                detail = "the process that speaks to processors is not there"
                raise UnreachableError(Problem(UnreachableError.code, path, detail, mend="it restarts by itself"))
            async with asyncio.timeout(TIMEOUT_S):
                return await self._asked[request]
        except TimeoutError:
            detail = "it was not set in time; it may still be"
            mend = f"GET /api/v1/{path} shows how it is"
            raise ChangeTimedOut(Problem(ChangeTimedOut.code, path, detail, mend=mend)) from None
        finally:
            del self._asked[request]
