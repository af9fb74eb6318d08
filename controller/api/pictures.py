"""Pictures for people: canvases and photos as PNG or JPEG, made from the rings on threads, never on the event loop.

A canvas is shown as the codes its processor gets, 8 bits of them. Photos are made by the darkroom on request: one
request per camera at a time, and everyone who waits for the same picture gets the same one.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from controller.api.backend import Backend
from controller.errors import ControllerError
from controller.look_order import LookOrder
from controller.messages import AnyMessage, LookStill, PhotoFailed, PhotoKind, PhotoReady, PhotoRequest
from runtime.ring import RingReader, RingShape, fourcc, fourcc_text
from stage.errors import Problem

Format = Literal["png", "jpg"]
Form = Literal["png", "jpg", "rgb"]
"""`rgb`: the pixels themselves, row by row, 3 bytes each."""
MEDIA_TYPES: Final[dict[Format, str]] = {"png": "image/png", "jpg": "image/jpeg"}
RGBA8: Final = fourcc("AB24")
RGB10A2: Final = fourcc("AB30")
RGBA12: Final = fourcc("AB4C")
"""Pixel formats of canvas rings (renderer.renderer.FOURCC, which this process must not load)."""
JPEG_QUALITY: Final = 85
PHOTO_TIMEOUT_S: Final = 10.0
STILL_TIMEOUT_S: Final = 60.0
"""The first still makes programs and loads scenes: without a GPU that takes its time."""
MOST_STILLS: Final = 32
"""So many wait at most."""
_CACHED: Final = 16
_TRIES: Final = 4


class PictureError(ControllerError):
    """A picture that cannot be made now."""

    code = "controller.no_picture"


class DarkroomAbsent(PictureError):
    """The process that makes photos is not there, or does not answer."""

    code = "controller.darkroom_absent"


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture and the frame it shows."""

    data: bytes
    frame: int
    n: int
    """Number in its ring: another number, another picture."""
    width_px: int
    height_px: int


def canvas_rgb(reader: RingReader, *, max_width_px: int | None = None) -> tuple[NDArray[np.uint8], int, int]:
    """The newest picture of a canvas as 8-bit RGB, [h, w, 3], with its frame and number in the ring.

    With `max_width_px` every k-th pixel only: for previews of canvases of many megapixels.

    Raises
    ------
    PictureError : nothing was drawn yet, or its pixel format is unknown.
    """
    shape = reader.shape
    if shape.pixel_format not in (RGBA8, RGB10A2, RGBA12):
        form = fourcc_text(shape.pixel_format)
        raise _error(PictureError, str(reader.path), f"pixels of an unknown format {form!r}", "")
    step = 1 if not max_width_px else max(1, -(-shape.width // max_width_px))
    for _ in range(_TRIES):
        view = reader.peek()
        if view is None:
            break
        rgb = _rgb8(view.data, shape, step)
        if view.intact():
            return rgb, view.frame, view.n
    raise _error(PictureError, str(reader.path), "nothing was drawn yet", "wait for a node to draw")


def _rgb8(data: memoryview, shape: RingShape, step: int) -> NDArray[np.uint8]:
    """A copy: nothing of the ring's memory is held on to."""
    raw = np.frombuffer(data, dtype=np.uint8)
    if shape.pixel_format == RGBA8:
        rows = raw.reshape(shape.height, shape.row_stride)[::step, : shape.width * 4]
        return rows.reshape(rows.shape[0], shape.width, 4)[:, ::step, :3].copy()
    if shape.pixel_format == RGBA12:
        wide = raw.view("<u2").reshape(shape.height, shape.row_stride // 2)[::step, : shape.width * 4]
        return (wide.reshape(wide.shape[0], shape.width, 4)[:, ::step, :3] >> 4).astype(np.uint8)
    words = raw.view("<u4").reshape(shape.height, shape.row_stride // 4)[::step, : shape.width : step]
    rgb = np.empty((*words.shape, 3), dtype=np.uint8)
    for channel in range(3):
        np.copyto(rgb[..., channel], (words >> (10 * channel + 2)) & 0xFF, casting="unsafe")
    return rgb


def photo_rgb(reader: RingReader, n: int) -> tuple[NDArray[np.uint8], int, int]:
    """Photo `n` of a ring, or the newest if that one is gone: 8-bit RGB, [h, w, 3], its frame and number.

    Raises
    ------
    PictureError : the ring is empty.
    """
    slot = reader.read(n) or reader.latest()
    if slot is None:
        raise _error(PictureError, str(reader.path), "no photo was made yet", "ask again")
    shape = reader.shape
    rows = np.frombuffer(slot.data, dtype=np.uint8).reshape(shape.height, shape.row_stride)
    return rows[:, : shape.width * 3].reshape(shape.height, shape.width, 3), slot.frame, slot.n


def encode_picture(rgb: NDArray[np.uint8], form: Form) -> bytes:
    """8-bit RGB, [h, w, 3], as PNG or JPEG bytes, or as they are."""
    if form == "rgb":
        return rgb.tobytes()
    if form == "jpg":
        data: bytes = simplejpeg.encode_jpeg(np.ascontiguousarray(rgb), quality=JPEG_QUALITY, colorspace="RGB")
        return data
    out = io.BytesIO()
    Image.fromarray(rgb).save(out, "PNG", compress_level=1)
    return out.getvalue()


class Pictures:
    """Makes pictures on demand. Everything public is called from the event loop."""

    def __init__(self, backend: Backend, *, reply_to: str) -> None:
        self._backend, self._reply_to = backend, reply_to
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="pictures")
        self.video_threads = ThreadPoolExecutor(1, thread_name_prefix="video")
        """Where previews are coded: apart, so that no single picture waits for them."""
        self._made: OrderedDict[tuple[object, ...], tuple[tuple[int, int], Picture]] = OrderedDict()
        self._making: dict[tuple[object, ...], asyncio.Task[Picture]] = {}
        self._requests = 0
        self._asked: dict[int, asyncio.Future[PhotoReady]] = {}
        self._one_at_a_time: dict[str, asyncio.Lock] = {}
        self._stills = 0

    async def canvas(self, name: str, form: Form, *, max_width_px: int | None = None) -> Picture:
        """The newest picture of a canvas.

        Raises
        ------
        PictureError : it has no picture yet.
        """
        state = self._backend.canvas_state(name)
        if state is None:
            raise _error(PictureError, f"canvases/{name}", "no node has drawn it yet", "look under /api/v1/nodes")
        key = ("canvas", name, form, max_width_px)
        now = (state.epoch, state.n)
        made = self._made.get(key)
        if made is not None and made[0] == now:
            return made[1]

        def make() -> Picture:
            with contextlib.closing(self._backend.open_canvas(name)) as reader:
                rgb, frame, n = canvas_rgb(reader, max_width_px=max_width_px)
            return Picture(encode_picture(rgb, form), frame, n, rgb.shape[1], rgb.shape[0])

        picture = await self._shared((*key, now), lambda: self._on_thread(make))
        # The newest of each kind: large canvases make large pictures.
        self._made[key] = (now, picture)
        self._made.move_to_end(key)
        while len(self._made) > _CACHED:
            self._made.popitem(last=False)
        return picture

    async def photo(
        self, camera: str, form: Form = "jpg", *, width_px: int = 960, kind: PhotoKind = "photo"
    ) -> Picture:
        """What a camera sees of the simulated walls, as presented last: made now, by the darkroom.

        Raises
        ------
        DarkroomAbsent : nobody makes photos; PictureError : the darkroom could not, and why.
        """
        key = ("photo", camera, form, width_px, kind)
        return await self._shared(key, lambda: self._photograph(camera, form, width_px, kind))

    async def look(self, order: LookOrder, form: Form = "jpg", *, width_px: int = 640, frame: int = 0) -> Picture:
        """A still of what the darkroom is ordered to draw: walls that are not on the air.

        Raises
        ------
        DarkroomAbsent, PictureError : as `photo`; too many wait already.
        """
        if self._stills >= MOST_STILLS:
            raise _error(PictureError, "looks", f"{self._stills} stills wait already", "ask for fewer at once")
        self._stills += 1
        try:
            async with self._one_at_a_time.setdefault("", asyncio.Lock()):
                return await self._draw_look(order, form, width_px, frame)
        finally:
            self._stills -= 1

    def on_message(self, message: AnyMessage) -> bool:
        """Take the darkroom's answer; False when the letter is not one."""
        match message:
            case PhotoReady(request=request):
                waiting = self._asked.pop(request, None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(message)
            case PhotoFailed(request=request, problems=problems):
                waiting = self._asked.pop(request, None)
                if waiting is not None and not waiting.done():
                    waiting.set_exception(PictureError(*problems))
            case _:
                return False
        return True

    async def stop(self) -> None:
        """Give up what is being made."""
        for task in self._making.values():
            task.cancel()
        await asyncio.gather(*self._making.values(), return_exceptions=True)
        self._threads.shutdown(wait=True, cancel_futures=True)
        self.video_threads.shutdown(wait=True, cancel_futures=True)

    async def _photograph(self, camera: str, form: Form, width_px: int, kind: PhotoKind) -> Picture:
        # The darkroom keeps the newest request of a camera only: two at once would leave one unanswered.
        async with self._one_at_a_time.setdefault(camera, asyncio.Lock()):
            self._requests += 1
            letter = PhotoRequest(camera, self._requests, self._reply_to, width_px, kind)
            answer = await self._answer_to(letter, f"cameras/{camera}", PHOTO_TIMEOUT_S)
            return await self._picture(lambda: self._backend.open_photo(camera), answer.n, form)

    async def _draw_look(self, order: LookOrder, form: Form, width_px: int, frame: int) -> Picture:
        self._requests += 1
        letter = LookStill(self._requests, self._reply_to, width_px, frame)
        file = self._backend.give_look(letter.request, order)
        try:
            answer = await self._answer_to(letter, order.of, STILL_TIMEOUT_S)
        finally:
            file.unlink(missing_ok=True)
        return await self._picture(self._backend.open_still, answer.n, form)

    async def _answer_to(self, letter: PhotoRequest | LookStill, path: str, timeout_s: float) -> PhotoReady:
        ready = self._asked[letter.request] = asyncio.get_running_loop().create_future()
        try:
            if not self._backend.send("darkroom", letter):
                detail = "the darkroom, which makes photos, is not there"
                raise _error(DarkroomAbsent, path, detail, "wait a second: it is restarted")
            return await asyncio.wait_for(ready, timeout_s)
        except TimeoutError:
            detail = f"the darkroom did not answer within {timeout_s:g} s"
            raise _error(DarkroomAbsent, path, detail, "ask for a smaller picture") from None
        finally:
            self._asked.pop(letter.request, None)

    async def _picture(self, ring: Callable[[], RingReader], n: int, form: Form) -> Picture:
        def make() -> Picture:
            with contextlib.closing(ring()) as reader:
                rgb, frame, shown = photo_rgb(reader, n)
            return Picture(encode_picture(rgb, form), frame, shown, rgb.shape[1], rgb.shape[0])

        return await self._on_thread(make)

    async def _shared(self, key: tuple[object, ...], make: Callable[[], Coroutine[Any, Any, Picture]]) -> Picture:
        """The picture of this key as it is being made for somebody else, or made now."""
        task = self._making.get(key)
        if task is None:
            task = self._making[key] = asyncio.create_task(make())
            task.add_done_callback(lambda _: self._making.pop(key, None))
        return await asyncio.shield(task)

    async def _on_thread(self, make: Callable[[], Picture]) -> Picture:
        return await asyncio.get_running_loop().run_in_executor(self._threads, make)


def _error(kind: type[ControllerError], path: str, detail: str, mend: str) -> ControllerError:
    return kind(Problem(kind.code, path, detail, mend=mend))
