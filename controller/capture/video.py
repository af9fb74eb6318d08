"""Captured pictures as a video: FFV1 (lossless, in Matroska) or ProRes (in QuickTime); through PyAV.

FFV1 holds the codes bit for bit: `gbrp10le`, or `bgr0` for 8 bits. ProRes is 4444 (`prores`) or 422 HQ (`prores_hq`),
10 bits, BT.709 or BT.2020 matrix, video range, tagged. A picture's time is its frame: a missing one leaves the picture
before it up for longer, as on the wall. Time code: QuickTime's `tmcd` track, Matroska's TIMECODE tag.
"""

from __future__ import annotations

import contextlib
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from controller.capture.order import CaptureError, CaptureOrder
from controller.capture.pictures import Captured
from stage.compiled import Encoding
from stage.errors import Problem

# FFmpeg's numbers (ITU-T H.273).
_PRIMARIES: Final = {"rec709": 1, "p3d65": 12, "rec2020": 9}
_TRANSFER: Final = {"srgb": 13, "gamma24": 1, "pq": 16}
_RGB, _BT709, _BT2020 = 0, 1, 9
_VIDEO_RANGE, _FULL_RANGE = 1, 2
_PLANAR: Final = {10: "gbrp10le", 12: "gbrp12le"}
"""Lossless RGB of more than 8 bits, by bits."""
_LUMA: Final = {_BT709: (0.2126, 0.0722), _BT2020: (0.2627, 0.0593)}
"""Weights of red and blue."""


def need_av() -> Any:
    """PyAV, or what to do about its absence.

    Raises
    ------
    CaptureError
    """
    try:
        import av
    except ImportError as error:
        mend = "pip install 'openvolume[video]', or capture png or exr"
        problem = Problem(CaptureError.code, "format", "video needs PyAV, which is not there", mend=mend)
        raise CaptureError(problem) from error
    return av


class VideoSink:
    """Writes one video file. It is opened with the first picture, whose frame is its time 0."""

    def __init__(self, order: CaptureOrder, *, before: list[str] | None = None) -> None:
        """before : files of the same capture that were written before."""
        self._order = order
        self._av = need_av()
        self._container: Any = None
        self._stream: Any = None
        self._first_frame = 0
        self._size = (0, 0)
        self.files = list(before or ())

    def write(self, picture: Captured) -> None:
        """Write one picture. Raises OSError; ValueError when its size is another than the first one's."""
        if self._container is None:
            self._open(picture)
        if picture.size != self._size:
            was, now = (f"{width} x {height}" for width, height in (self._size, picture.size))
            raise ValueError(f"the picture's size changed from {was} to {now}; a video has one size")
        frame = self._ffv1(picture) if self._order.format == "ffv1" else self._prores(picture)
        frame.pts = picture.stamp.frame - self._first_frame
        frame.time_base = self._stream.codec_context.time_base
        self._mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write its end."""
        container, self._container = self._container, None
        if container is None:
            return
        try:
            for packet in self._stream.encode(None):
                container.mux(packet)
        finally:
            container.close()

    def _open(self, picture: Captured) -> None:
        order, path = self._order, self._order.path
        if order.format == "prores_hq" and picture.size[0] % 2:
            raise ValueError(f"422 halves the width, which is {picture.size[0]} px: capture prores (4444)")
        rate = Fraction(*picture.stamp.rate)
        Path(path).touch(exist_ok=False)
        container = self._av.open(path, "w", format="matroska" if order.format == "ffv1" else "mov")
        try:
            if order.format == "ffv1":
                stream = container.add_stream("ffv1", rate=rate, options={"level": "3", "slicecrc": "1", "g": "1"})
                stream.pix_fmt = _PLANAR.get(picture.encoding.bits, "bgr0")
            else:
                profile = "4444" if order.format == "prores" else "hq"
                stream = container.add_stream("prores_ks", rate=rate, options={"profile": profile, "vendor": "apl0"})
                stream.pix_fmt = "yuv444p10le" if order.format == "prores" else "yuv422p10le"
            stream.width, stream.height = picture.size
            context = stream.codec_context
            context.time_base = 1 / rate
            encoding = picture.encoding
            context.color_primaries = _PRIMARIES[encoding.primaries]
            context.color_trc = _TRANSFER[encoding.transfer]
            if order.format == "ffv1":
                context.colorspace = _RGB
                context.color_range = _FULL_RANGE if encoding.range == "full" else _VIDEO_RANGE
            else:
                context.colorspace, context.color_range = luma_of(encoding), _VIDEO_RANGE
            if picture.stamp.timecode:
                stream.metadata["timecode"] = picture.stamp.timecode
            container.metadata["comment"] = f"{order.kind} {order.of}, frame {picture.stamp.frame}"
        except BaseException:
            with contextlib.suppress(Exception):
                container.close()
            raise
        self._container, self._stream = container, stream
        self._first_frame, self._size = picture.stamp.frame, picture.size
        self.files.append(path)

    def _mux(self, packets: Any) -> None:
        for packet in packets:
            self._container.mux(packet)

    def _ffv1(self, picture: Captured) -> Any:
        bits = picture.encoding.bits
        if bits in _PLANAR:
            frame = self._planar(picture.codes(bits), _PLANAR[bits], (1, 2, 0))
        else:
            width, height = picture.size
            frame = self._av.VideoFrame(width, height, "bgr0")
            plane = frame.planes[0]
            rows = np.frombuffer(plane, np.uint8).reshape(height, plane.line_size)[:, : width * 4]
            codes = picture.codes(8)
            for place, channel in enumerate((2, 1, 0)):
                rows[:, place::4] = codes[..., channel]
            rows[:, 3::4] = 0
        frame.color_range = _FULL_RANGE if picture.encoding.range == "full" else _VIDEO_RANGE
        return frame

    def _prores(self, picture: Captured) -> Any:
        codes = picture.codes(10)
        if picture.encoding.range == "legal":
            codes = _FULL_OF_LEGAL[codes]
        planes = video_codes(codes, luma_of(picture.encoding))
        if self._order.format == "prores_hq":
            luma, *chroma = np.moveaxis(planes, -1, 0)
            frame = self._av.VideoFrame(*picture.size, "yuv422p10le")
            for plane, values in zip(frame.planes, (luma, *(_halved(one) for one in chroma)), strict=True):
                _fill(plane, values)
        else:
            frame = self._planar(planes, "yuv444p10le", (0, 1, 2))
        # ProRes tells the colours of each frame in its header.
        encoding = picture.encoding
        frame.color_range, frame.colorspace = _VIDEO_RANGE, luma_of(encoding)
        frame.color_primaries, frame.color_trc = _PRIMARIES[encoding.primaries], _TRANSFER[encoding.transfer]
        return frame

    def _planar(self, codes: NDArray[np.uint16], form: str, order: tuple[int, int, int]) -> Any:
        frame = self._av.VideoFrame(codes.shape[1], codes.shape[0], form)
        for plane, channel in zip(frame.planes, order, strict=True):
            _fill(plane, codes[..., channel])
        return frame


def luma_of(encoding: Encoding) -> int:
    """Which luma weights a canvas' colours are told with (FFmpeg's number)."""
    return _BT2020 if encoding.primaries == "rec2020" else _BT709


def video_codes(codes: NDArray[np.uint16], colours: int) -> NDArray[np.uint16]:
    """10-bit luma and chroma in video range, [h, w, 3], of full-range 10-bit R'G'B' codes, [h, w, 3] (BT.709-6)."""
    red, blue = _LUMA[colours]
    share = codes.astype(np.float32) / np.float32(1023.0)
    luma = share @ np.array([red, 1.0 - red - blue, blue], dtype=np.float32)
    out = np.empty(codes.shape, dtype=np.uint16)
    out[..., 0] = luma * 876.0 + 64.5
    out[..., 1] = (share[..., 2] - luma) * np.float32(448.0 / (1.0 - blue)) + 512.5
    out[..., 2] = (share[..., 0] - luma) * np.float32(448.0 / (1.0 - red)) + 512.5
    return out


_FULL_OF_LEGAL: Final = np.clip((np.arange(1024) - 64) * 1023.0 / 876.0 + 0.5, 0, 1023).astype(np.uint16)


def _halved(chroma: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Every other column, sited at the left one as MPEG-2 and ProRes have it: 1/4, 1/2, 1/4."""
    wide = np.pad(chroma.astype(np.uint32), ((0, 0), (1, 1)), mode="edge")
    return np.asarray((wide[:, :-2:2] + 2 * wide[:, 1:-1:2] + wide[:, 2::2] + 2) >> 2, dtype=np.uint16)


def _fill(plane: Any, values: NDArray[np.uint16]) -> None:
    height, width = values.shape
    np.frombuffer(plane, np.uint16).reshape(height, plane.line_size // 2)[:, :width] = values
