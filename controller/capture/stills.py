"""Captured pictures as one file each: PNG of 8 or 16 bits, EXR of half floats; through OpenImageIO.

Each tells its frame, time code and rate: EXR as `timeCode` and `framesPerSecond`, PNG as texts `timecode`, `frame`
and `rate`. A file has its name once it is whole.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any, Final

import numpy as np
import OpenImageIO as oiio

from controller.capture.order import SUFFIX, CaptureOrder
from controller.capture.pictures import Captured, chromaticities
from stage.rate import Rate
from stage.timecode import frame_of as frame_of_label
from stage.timecode import parts_at

_FIELD_RATE: Final = 30
"""EXR's time code holds two digits of frames below 40: faster shows count in pairs (SMPTE 12M-2)."""


class StillSink:
    """Writes `<path>.<frame>.png` or `.exr`."""

    def __init__(self, order: CaptureOrder) -> None:
        self._order = order
        self.files: list[str] = []

    def name_of(self, frame: int) -> Path:
        """The file of a frame."""
        return Path(f"{self._order.path}.{frame:010d}{SUFFIX[self._order.format]}")

    def write(self, picture: Captured) -> None:
        """Write one picture. Raises OSError."""
        path = self.name_of(picture.stamp.frame)
        partial = path.with_name(f".{path.name}")
        spec, pixels = self._png(picture) if self._order.format == "png" else self._exr(picture)
        try:
            _write(partial.with_suffix(path.suffix), spec, pixels)
            os.rename(partial.with_suffix(path.suffix), path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise

    def close(self) -> None:
        """Nothing is open between two pictures."""

    def _png(self, picture: Captured) -> tuple[Any, Any]:
        bits = self._order.bits
        pixels = picture.codes(bits)
        if bits == 8:
            pixels = pixels.astype(np.uint8)
        spec = oiio.ImageSpec(*picture.size, 3, "uint8" if bits == 8 else "uint16")
        spec.attribute("png:compressionLevel", 1)
        stamp = picture.stamp
        for name, value in (
            ("timecode", stamp.timecode),
            ("frame", str(stamp.frame)),
            ("rate", f"{stamp.rate[0]}/{stamp.rate[1]}"),
            ("encoding", _told(picture)),
        ):
            spec.attribute(name, value)
        return spec, pixels

    def _exr(self, picture: Captured) -> tuple[Any, Any]:
        stamp = picture.stamp
        linear = self._order.light == "acescg"
        spec = oiio.ImageSpec(*picture.size, 3, "half")
        if linear:
            pixels = picture.light().astype(np.float16)
            spec.attribute("whiteLuminance", 100.0)
            spec.attribute("oiio:ColorSpace", "lin_ap1_scene")
        else:
            bits = picture.encoding.bits
            pixels = (picture.codes(bits) / np.float32((1 << bits) - 1)).astype(np.float16)
            spec.attribute("openvolume:encoding", _told(picture))
        spec.attribute(
            "chromaticities", oiio.TypeDesc("float[8]"), chromaticities(None if linear else picture.encoding)
        )
        spec.attribute("compression", "zip")
        spec.attribute("FramesPerSecond", oiio.TypeRational, stamp.rate)
        if stamp.timecode:
            spec.attribute("smpte:TimeCode", oiio.TypeTimeCode, timecode_words(stamp.timecode, Rate(*stamp.rate)))
            spec.attribute("openvolume:timecode", stamp.timecode)
        # An EXR integer has 32 bits; frames since the SMPTE epoch have more.
        spec.attribute("openvolume:frame", str(stamp.frame))
        spec.attribute("openvolume:plan", f"{stamp.plan_hash:016x}")
        return spec, pixels


def timecode_words(label: str, rate: Rate) -> tuple[int, int]:
    """A label as EXR's `timeCode`: BCD as SMPTE 12M packs it for television at 60 fields (OpenEXR's TV60 packing).

    Rates above 30 have labels beyond what its two bits of tens hold: they count frame pairs, the second of a pair
    with the field mark. Raises TimecodeError for no label of the rate.
    """
    parts = parts_at(rate, frame_of_label(rate, label))
    frames, field = parts.frames, 0
    per = -(-rate.num // rate.den)
    if per > _FIELD_RATE:
        pair = -(-per // _FIELD_RATE)
        frames, field = divmod(frames, pair)
        field = int(field > 0)

    def bcd(value: int) -> int:
        return value // 10 << 4 | value % 10

    drop = int(";" in label)
    word = bcd(frames) | drop << 6 | bcd(parts.seconds) << 8 | field << 15 | bcd(parts.minutes) << 16
    return word | bcd(parts.hours) << 24, 0


def _told(picture: Captured) -> str:
    encoding = picture.encoding
    return f"{encoding.transfer} {encoding.peak_nits:g} nit {encoding.bits} bit {encoding.primaries} {encoding.range}"


def _write(path: Path, spec: Any, pixels: Any) -> None:
    out = oiio.ImageOutput.create(str(path))
    if out is None:
        raise OSError(errno.ENOSYS, oiio.geterror(), str(path))
    done = out.open(str(path), spec) and out.write_image(np.ascontiguousarray(pixels))
    said = out.geterror() if not done else ""
    # What a full disk has not taken shows at the end.
    closed = out.close()
    if not (done and closed):
        said = said or out.geterror()
        full = os.statvfs(path.parent).f_bavail == 0
        raise OSError(errno.ENOSPC if full else errno.EIO, said or "could not be written", str(path))
