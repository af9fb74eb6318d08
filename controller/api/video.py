"""Previews as H.264 for browsers' WebCodecs: one encoder per listener, fed with the pictures it asks for.

Each picture is one access unit in Annex B, made from the one this listener got before: nothing is ever dropped between
them, whatever the pace it pulls at. The first is a key picture. Encoding runs on a thread of its own and lets go of
the interpreter while it works; PyAV (the extra `video`) is loaded late and may be absent.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any, Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from controller.api.views import View
from controller.errors import ControllerError
from stage.errors import Problem
from stage.rate import Rate
from stage.timecode import TimecodeError, drops, frame_of, parts_at

ENCODERS: Final = ("libopenh264", "libx264", "h264_nvenc")
"""Tried in this order. On a graphics card last: that card draws the show."""
_OPTIONS: Final[dict[str, dict[str, str]]] = {
    "libx264": {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "crf": "20",
        "x264-params": "repeat-headers=1:scenecut=0",
    },
    "h264_nvenc": {"preset": "p1", "tune": "ull", "zerolatency": "1", "forced-idr": "1"},
    "libopenh264": {"allow_skip_frames": "0"},
}
KEY_EVERY: Final = 250
"""Pictures between key pictures that nobody asked for."""
BITS_PER_PIXEL: Final = 4.0
"""Cap of encoders that know no constant quality, per pixel and second."""
MOST_LISTENERS: Final = 8
KEY_FLAG, DROP_FLAG = 1, 2
HEADER_BYTES: Final = 16


class NoVideo(ControllerError):
    """H.264 cannot be made here."""

    code = "controller.no_video"


class VideoFormat(View, frozen=True):
    """What a decoder of the pictures that follow needs."""

    codec: str
    """For `VideoDecoder.configure`: `avc1.42C01F`."""
    format: str
    """`annexb`: no `description` is needed."""
    width_px: int
    height_px: int
    encoder: str


class Coded(Struct, frozen=True):
    """One access unit."""

    data: bytes
    key: bool
    format: VideoFormat


def header(frame: int, newest_frame: int, newest_timecode: str, rate: Rate, *, key: bool = True) -> bytes:
    """The 16 bytes before a picture (docs/asyncapi.json): its frame, and its time code by that of a newer plan."""
    flags = KEY_FLAG * key | DROP_FLAG * bool(drops(rate))
    try:
        parts = parts_at(rate, frame_of(rate, newest_timecode) - (newest_frame - frame))
    except TimecodeError:
        parts = parts_at(rate, frame)
    return frame.to_bytes(8, "little") + bytes([*parts, flags, 0, 0, 0])


class Encoder:
    """H.264 of one run of pictures of one size. Not for two threads at once.

    Raises
    ------
    NoVideo : PyAV is absent, or none of its encoders works.
    """

    def __init__(self, width_px: int, height_px: int, *, rate: Rate) -> None:
        self.size = (width_px, height_px)
        self._av = _need_av()
        self._pictures = 0
        self._format: VideoFormat | None = None
        self._name, self._context = self._opened(rate)

    def _opened(self, rate: Rate) -> tuple[str, Any]:
        width_px, height_px = self.size
        why = "none of " + ", ".join(ENCODERS) + " is in this PyAV"
        for name in ENCODERS:
            if name not in self._av.codecs_available:
                continue
            context = self._av.CodecContext.create(name, "w")
            context.width, context.height, context.pix_fmt = width_px, height_px, "yuv420p"
            context.framerate = Fraction(rate.num, rate.den)
            context.time_base = Fraction(rate.den, rate.num)
            context.gop_size, context.max_b_frames, context.thread_count = KEY_EVERY, 0, 1
            context.options = _OPTIONS[name]
            context.color_range, context.colorspace = 1, 1
            context.color_primaries, context.color_trc = 1, 1
            if name != "libx264":
                context.bit_rate = int(width_px * height_px * BITS_PER_PIXEL)
            else:
                context.profile = "Baseline"
            try:
                context.open()
            except (self._av.FFmpegError, ValueError) as error:
                why = f"{name}: {error}"
                continue
            return name, context
        raise NoVideo(Problem(NoVideo.code, "previews", f"no H.264 here: {why}", mend="take codec=jpeg"))

    def encode(self, rgb: NDArray[np.uint8], *, key: bool = False) -> Coded:
        """One picture. rgb: [h, w, 3] of the encoder's size."""
        av = self._av
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(
            format="yuv420p", src_colorspace="ITU709", dst_colorspace="ITU709", dst_color_range="MPEG"
        )
        frame.pts = self._pictures
        frame.pict_type = av.video.frame.PictureType.I if key or not self._pictures else av.video.frame.PictureType.NONE
        self._pictures += 1
        packets = self._context.encode(frame)
        data = b"".join(bytes(packet) for packet in packets)
        is_key = any(packet.is_keyframe for packet in packets)
        if self._format is None:
            self._format = VideoFormat(codec_string(data), "annexb", *self.size, self._name)
        return Coded(data, is_key, self._format)


def codec_string(data: bytes) -> str:
    """RFC 6381's name of an H.264 stream, from the sequence parameters in its first access unit.

    Raises
    ------
    ValueError : there are none.
    """
    at = 0
    while (at := data.find(b"\x00\x00\x01", at)) >= 0:
        unit = data[at + 3 : at + 7]
        if len(unit) == 4 and unit[0] & 0x1F == 7:
            return f"avc1.{unit[1]:02X}{unit[2]:02X}{unit[3]:02X}"
        at += 3
    raise ValueError("no sequence parameters in the first picture")


class Video:
    """The encoder of one listener: another size gets a new one."""

    def __init__(self, threads: ThreadPoolExecutor, *, rate: Rate) -> None:
        self._threads, self._rate = threads, rate
        self._encoder: Encoder | None = None

    async def encode(self, data: bytes, width_px: int, height_px: int, *, key: bool = False) -> Coded:
        """One picture of 8-bit RGB, whose last odd row and column are left out.

        Raises
        ------
        NoVideo
        """

        def make() -> Coded:
            rgb = np.frombuffer(data, np.uint8).reshape(height_px, width_px, 3)
            # Colour is kept for every second pixel and row.
            whole = np.ascontiguousarray(rgb[: height_px // 2 * 2, : width_px // 2 * 2])
            size = (whole.shape[1], whole.shape[0])
            if self._encoder is None or self._encoder.size != size:
                self._encoder = Encoder(*size, rate=self._rate)
            return self._encoder.encode(whole, key=key)

        return await asyncio.get_running_loop().run_in_executor(self._threads, make)


def _need_av() -> Any:
    try:
        import av
    except ImportError as error:
        mend = "pip install 'openvolume[video]', or take codec=jpeg"
        raise NoVideo(Problem(NoVideo.code, "previews", "H.264 needs PyAV, which is not there", mend=mend)) from error
    return av
