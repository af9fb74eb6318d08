"""Serves an emulator: an ASGI app on a port of its own, in the running event loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def serving(app: Any, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve `app` while the block runs; gives `host:port`. Port 0 takes a free one.

    Raises
    ------
    OSError : the port is taken.
    """
    import uvicorn

    # Named as TCP, or asyncio leaves Nagle's algorithm on and every answer takes 40 ms.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError:
        listening.close()
        raise
    config = uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=1, ws="websockets-sansio")
    server = uvicorn.Server(config)
    # The caller's signals stay its own.
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        while not server.started and not task.done():  # noqa: ASYNC110  # uvicorn has no event for it
            await asyncio.sleep(0.002)
        yield f"{host}:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await task
        listening.close()
