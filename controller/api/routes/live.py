"""What goes on by itself: events, and previews that are pulled picture by picture."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Annotated, Final, Literal

import msgspec
from fastapi import Query, WebSocket, WebSocketDisconnect

from controller.api.control import Control
from controller.api.event_types import TOPICS
from controller.api.events import MAX_CLIENTS, SEND_TIMEOUT_S
from controller.api.http import Here, router
from controller.api.pictures import Form, Picture
from controller.api.problems import TooMany
from controller.api.video import MOST_LISTENERS, NoVideo, Video
from controller.api.video import header as video_header
from stage.errors import OpenVolumeError
from stage.rate import Rate

routes = router()
TOO_MANY: Final = 1013
UNKNOWN: Final = 1008
GONE: Final = 1001
UNWELCOME: Final = 1008
UNWELCOME_WORDS: Final = "this session or key lets nobody in (any more)"
ADMITTED_S: Final = 2.0
"""How often it looks whether a listener is let in still."""
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
    watching = asyncio.create_task(_admitted(websocket, control))
    try:
        await asyncio.wait({sending, hearing, watching}, return_when=asyncio.FIRST_COMPLETED)
        if watching.done():
            await _close(websocket, UNWELCOME, UNWELCOME_WORDS)
        elif sending.done() and isinstance(sending.exception(), TooMany):
            await _close(websocket, TOO_MANY, f"{MAX_CLIENTS} clients listen already")
        elif sending.done():
            await _close(websocket, GONE, "nothing was taken for too long")
    finally:
        await _end(sending, hearing, watching)


@routes.websocket("/previews")
async def previews(
    websocket: WebSocket,
    control: Here,
    of: Annotated[str, Query()],
    width_px: Annotated[int, Query(ge=16, le=4096)] = 960,
    codec: Annotated[Literal["jpeg", "h264"], Query()] = "jpeg",
    header: Annotated[Literal["frame", "timecode"], Query()] = "frame",
) -> None:
    """Pictures of one camera (`cameras/a/photo`) or canvas (`canvases/left`), as JPEG or H.264.

    Pull: each text message `next` is answered with one binary message, the newest picture that was not sent yet:
    8 bytes of frame number (little-endian), then the JPEG; with header=timecode or codec=h264 16 bytes
    (controller.api.video.header). So no client is ever sent more than it takes, and none sees an old picture. What
    cannot be made now is waited for. H.264 is told in a text message first (controller.api.video.VideoFormat); `key`
    in place of `next` asks for a picture that can be decoded alone.
    """
    parts = of.strip("/").split("/")
    await websocket.accept()
    good = (
        len(parts) == 3 and parts[0] == "cameras" and parts[2] == "photo" and parts[1] in control.desk.stage.cameras
    ) or (len(parts) == 2 and parts[0] == "canvases" and parts[1] in control.desk.stage.canvases)
    if not good:
        await websocket.close(UNKNOWN, "of=cameras/ID/photo or of=canvases/ID")
        return
    if control.previews >= MAX_CLIENTS or (codec == "h264" and control.videos >= MOST_LISTENERS):
        most = MOST_LISTENERS if codec == "h264" else MAX_CLIENTS
        await websocket.close(TOO_MANY, f"{most} previews of this kind run already")
        return
    control.previews += 1
    control.videos += codec == "h264"
    asked = _Asked()
    hearing = asyncio.create_task(_hear(websocket, asked))
    coded = codec == "h264"
    sending = asyncio.create_task(
        _video(websocket, control, parts, width_px, asked)
        if coded
        else _pictures(websocket, control, parts, width_px, asked, labelled=header == "timecode")
    )
    watching = asyncio.create_task(_admitted(websocket, control))
    try:
        await asyncio.wait({sending, hearing, watching}, return_when=asyncio.FIRST_COMPLETED)
        if watching.done():
            await _close(websocket, UNWELCOME, UNWELCOME_WORDS)
        elif sending.done() and isinstance(sending.exception(), TimeoutError):
            await _close(websocket, GONE, "nothing was taken for too long")
        elif sending.done() and isinstance(error := sending.exception(), NoVideo):
            problem = error.problems[0]
            await _close(websocket, UNKNOWN, f"{problem.detail}; {problem.mend}"[:120])
    finally:
        control.previews -= 1
        control.videos -= coded
        await _end(sending, hearing, watching)


class _Asked:
    """What a listener has asked for and not got."""

    def __init__(self) -> None:
        self._some = asyncio.Event()
        self._key = False

    def hear(self, text: str | None) -> None:
        """Take a message; what means nothing is passed over."""
        if text in ("next", "key"):
            self._key |= text == "key"
            self._some.set()

    async def take(self) -> bool:
        """Wait until something is asked for; whether it has to be a key picture."""
        await self._some.wait()
        self._some.clear()
        key, self._key = self._key, False
        return key


async def _pictures(
    websocket: WebSocket, control: Control, parts: list[str], width_px: int, asked: _Asked, *, labelled: bool
) -> None:
    last = -1
    while True:
        await asked.take()
        picture = await _newest(control, parts, width_px, last, "jpg")
        last = picture.n
        head = _header(control, picture.frame) if labelled else picture.frame.to_bytes(8, "little")
        await asyncio.wait_for(websocket.send_bytes(head + picture.data), SEND_TIMEOUT_S)


async def _video(websocket: WebSocket, control: Control, parts: list[str], width_px: int, asked: _Asked) -> None:
    video = Video(control.pictures.video_threads, rate=control.desk.stage.rate)
    last, told = -1, None
    while True:
        key = await asked.take()
        picture = await _newest(control, parts, width_px, last, "rgb")
        last = picture.n
        coded = await video.encode(picture.data, picture.width_px, picture.height_px, key=key)
        if coded.format is not told:
            told = coded.format
            await asyncio.wait_for(websocket.send_text(msgspec.json.encode(told).decode()), SEND_TIMEOUT_S)
        head = _header(control, picture.frame, key=coded.key)
        await asyncio.wait_for(websocket.send_bytes(head + coded.data), SEND_TIMEOUT_S)


def _header(control: Control, frame: int, *, key: bool = True) -> bytes:
    plan = control.backend.plan
    if plan is None:
        return video_header(frame, 0, "", control.desk.stage.rate, key=key)
    return video_header(frame, plan.frame, plan.timecode, Rate(*plan.rate), key=key)


async def _newest(control: Control, parts: list[str], width_px: int, last: int, form: Form) -> Picture:
    """The newest picture whose number is not `last`; waits for it."""
    while True:
        try:
            if parts[0] == "cameras":
                return await control.pictures.photo(parts[1], form, width_px=width_px)
            state = control.backend.canvas_state(parts[1])
            if state is not None and state.n != last:
                return await control.pictures.canvas(parts[1], form, max_width_px=width_px)
            await asyncio.sleep(WAIT_S)
        except OpenVolumeError:
            await asyncio.sleep(RETRY_S)


async def _hear(websocket: WebSocket, asked: _Asked | None = None) -> None:
    """Take what the client says until it goes; what it asks for is noted in `asked`."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while (message := await websocket.receive())["type"] != "websocket.disconnect":
            if asked is not None:
                asked.hear(message.get("text"))


async def _admitted(websocket: WebSocket, control: Control) -> None:
    """Until whoever listens is not let in any more: the gate looked once, when they came."""
    host = websocket.client.host if websocket.client is not None else ""
    while True:
        await asyncio.sleep(ADMITTED_S)
        if not control.doorman.admits(websocket.headers, host, websocket.url.path):
            return


async def _close(websocket: WebSocket, code: int, reason: str) -> None:
    with contextlib.suppress(Exception):
        await asyncio.wait_for(websocket.close(code, reason), SEND_TIMEOUT_S)


async def _end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
