"""What goes on by itself: events, and previews that are pulled picture by picture."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Annotated, Final

from fastapi import Query, WebSocket, WebSocketDisconnect

from controller.api.control import TOPICS, Control
from controller.api.events import MAX_CLIENTS, SEND_TIMEOUT_S
from controller.api.http import Here, router
from controller.api.pictures import Picture
from controller.api.problems import TooMany
from stage.errors import OpenVolumeError

routes = router()
TOO_MANY: Final = 1013
UNKNOWN: Final = 1008
GONE: Final = 1001
RETRY_S: Final = 0.5
"""A picture that cannot be made now is tried again after this."""
WAIT_S: Final = 0.02
"""How often it looks for a newer canvas."""


@routes.websocket("/events")
async def events(
    websocket: WebSocket,
    control: Here,
    topics: Annotated[str, Query()] = "",
    last_seq: Annotated[int | None, Query()] = None,
) -> None:
    """A snapshot, then changes (controller.api.events)."""
    wanted = [topic for topic in topics.split(",") if topic]
    unknown = [topic for topic in wanted if topic not in TOPICS]
    await websocket.accept()
    if unknown:
        await websocket.close(UNKNOWN, f"no topic {unknown[0]}; there are {', '.join(TOPICS)}"[:120])
        return
    sending = asyncio.create_task(control.hub.serve(websocket.send_text, topics=wanted, last_seq=last_seq))
    hearing = asyncio.create_task(_hear(websocket))
    try:
        await asyncio.wait({sending, hearing}, return_when=asyncio.FIRST_COMPLETED)
        if sending.done() and isinstance(sending.exception(), TooMany):
            await _close(websocket, TOO_MANY, f"{MAX_CLIENTS} clients listen already")
        elif sending.done():
            await _close(websocket, GONE, "nothing was taken for too long")
    finally:
        await _end(sending, hearing)


@routes.websocket("/previews")
async def previews(
    websocket: WebSocket,
    control: Here,
    of: Annotated[str, Query()],
    width_px: Annotated[int, Query(ge=16, le=4096)] = 960,
) -> None:
    """Pictures of one camera (`cameras/a/photo`) or canvas (`canvases/left`), as JPEG.

    Pull: each text message `next` is answered with one binary message, the newest picture that was not sent yet:
    8 bytes of frame number (little-endian), then the JPEG. So no client is ever sent more than it takes, and none
    sees an old picture. What cannot be made now is waited for.
    """
    parts = of.strip("/").split("/")
    await websocket.accept()
    good = (
        len(parts) == 3 and parts[0] == "cameras" and parts[2] == "photo" and parts[1] in control.desk.stage.cameras
    ) or (len(parts) == 2 and parts[0] == "canvases" and parts[1] in control.desk.stage.canvases)
    if not good:
        await websocket.close(UNKNOWN, "of=cameras/ID/photo or of=canvases/ID")
        return
    if control.previews >= MAX_CLIENTS:
        await websocket.close(TOO_MANY, f"{MAX_CLIENTS} previews run already")
        return
    control.previews += 1
    asked = asyncio.Event()
    hearing = asyncio.create_task(_hear(websocket, asked))
    sending = asyncio.create_task(_pictures(websocket, control, parts, width_px, asked))
    try:
        await asyncio.wait({sending, hearing}, return_when=asyncio.FIRST_COMPLETED)
        if sending.done() and isinstance(sending.exception(), TimeoutError):
            await _close(websocket, GONE, "nothing was taken for too long")
    finally:
        control.previews -= 1
        await _end(sending, hearing)


async def _pictures(
    websocket: WebSocket, control: Control, parts: list[str], width_px: int, asked: asyncio.Event
) -> None:
    last = -1
    while True:
        await asked.wait()
        asked.clear()
        picture = await _newest(control, parts, width_px, last)
        last = picture.n
        header = picture.frame.to_bytes(8, "little")
        await asyncio.wait_for(websocket.send_bytes(header + picture.data), SEND_TIMEOUT_S)


async def _newest(control: Control, parts: list[str], width_px: int, last: int) -> Picture:
    """The newest picture whose number is not `last`; waits for it."""
    while True:
        try:
            if parts[0] == "cameras":
                return await control.pictures.photo(parts[1], "jpg", width_px=width_px)
            state = control.backend.canvas_state(parts[1])
            if state is not None and state.n != last:
                return await control.pictures.canvas(parts[1], "jpg", max_width_px=width_px)
            await asyncio.sleep(WAIT_S)
        except OpenVolumeError:
            await asyncio.sleep(RETRY_S)


async def _hear(websocket: WebSocket, asked: asyncio.Event | None = None) -> None:
    """Take what the client says until it goes; `next` is noted in `asked`."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while (message := await websocket.receive())["type"] != "websocket.disconnect":
            if asked is not None and message.get("text") == "next":
                asked.set()


async def _close(websocket: WebSocket, code: int, reason: str) -> None:
    with contextlib.suppress(Exception):
        await asyncio.wait_for(websocket.close(code, reason), SEND_TIMEOUT_S)


async def _end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
