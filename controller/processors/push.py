"""A processor's socket of JSON-RPC that tells changes by itself: kept open, its tree kept up to date.

HELIOS tells every change of its tree as an `update` to every socket, without being asked to. While the socket lives,
a look costs one `ping` in place of the whole tree; now and then the tree is asked for all the same.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

ANSWER_S: Final = 2.0
_MOST_BYTES: Final = 16_000_000


class Push:
    """One socket. `tree` is what the processor told last, None while there is no socket."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._calls = 0
        self.tree: dict[str, Any] | None = None
        self.news: Callable[[], None] | None = None
        """Called when a change was told."""

    @property
    def open(self) -> bool:
        """Whether the socket is there, and its tree with it."""
        return self._socket is not None and self.tree is not None

    async def connect(self) -> bool:
        """Open the socket and ask for the tree; False where there is none (older firmware, a gateway in between)."""
        try:
            from websockets.asyncio.client import connect
            from websockets.exceptions import InvalidURI, WebSocketException
        except ImportError:
            return False
        await self.close()
        try:
            async with asyncio.timeout(ANSWER_S):
                # Loopback and stage networks: a proxy of the environment is not for them.
                self._socket = await connect(self._url, max_size=_MOST_BYTES, ping_interval=None, proxy=None)
        except (OSError, TimeoutError, InvalidURI, WebSocketException):
            self._socket = None
            return False
        self._reader = asyncio.create_task(self._read(self._socket))
        try:
            await self.state()
        except OSError:
            await self.close()
        return self.open

    async def state(self) -> None:
        """Have the whole tree told anew. Raises OSError when the socket is gone."""
        found = await self._call("state")
        if not isinstance(found, dict):
            raise ConnectionError("it answers no tree")
        self.tree = found

    async def ping(self) -> None:
        """Whether it is still there; whatever it told before its answer is in the tree. Raises OSError."""
        await self._call("ping")

    async def close(self) -> None:
        """Let it go."""
        reader, self._reader = self._reader, None
        socket, self._socket = self._socket, None
        self.tree = None
        if socket is not None:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(ANSWER_S):
                    await socket.close()
        if reader is not None:
            reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reader

    async def _call(self, method: str) -> Any:
        from websockets.exceptions import WebSocketException

        socket = self._socket
        if socket is None:
            raise ConnectionError("there is no socket")
        self._calls += 1
        number = self._calls
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        call = {"jsonrpc": "2.0", "id": number, "method": method}
        try:
            async with asyncio.timeout(ANSWER_S):
                await socket.send(msgspec.json.encode(call).decode())
                return await answer
        except (TimeoutError, WebSocketException) as error:
            raise ConnectionError(str(error) or "it does not answer") from error
        finally:
            self._asked.pop(number, None)

    async def _read(self, socket: ClientConnection) -> None:
        from websockets.exceptions import WebSocketException

        try:
            async for text in socket:
                self._take(text)
        except (WebSocketException, OSError):
            pass
        finally:
            if self._socket is socket:
                self._socket = None
            for waiting in self._asked.values():
                if not waiting.done():
                    waiting.set_exception(ConnectionError("the socket was closed"))
            if self.news is not None and self._reader is asyncio.current_task():
                self.news()

    def _take(self, text: str | bytes) -> None:
        try:
            told = msgspec.json.decode(text)
        except msgspec.DecodeError:
            return
        if not isinstance(told, dict):
            return
        waiting = self._asked.get(told["id"]) if isinstance(told.get("id"), int) else None
        if waiting is not None and not waiting.done():
            if "result" in told:
                waiting.set_result(told["result"])
            else:
                waiting.set_exception(ConnectionError(str(told.get("error"))[:80]))
        elif told.get("method") == "update" and isinstance(told.get("params"), dict) and self.tree is not None:
            _merge(self.tree, told["params"])
            if self.news is not None:
                self.news()


def _merge(tree: dict[str, Any], part: dict[str, Any]) -> None:
    for name, value in part.items():
        held = tree.get(name)
        if isinstance(held, dict) and isinstance(value, dict):
            _merge(held, value)
        else:
            tree[name] = value
