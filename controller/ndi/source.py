"""One NDI source: the maker's library, looked for when a source is opened and never before, and pictures for it.

The library is loaded by name at run time. Of its interface only what sends is declared here: three functions, and two
structures by their fields. Pictures are RGB of 8 bits; the library compresses on threads of its own.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from controller.eight_bits import eight_bits
from controller.errors import ControllerError
from stage.errors import Problem
from stage.rate import Rate

FOLDERS: Final = ("NDI_RUNTIME_DIR_V6", "NDI_RUNTIME_DIR_V5")
"""Environment variables in which the maker's installers name the library's folder."""
NAMES: Final = ("libndi.so.6", "libndi.so.5", "libndi.so")
INSTALL: Final = (
    "install the NDI runtime for Linux from ndi.video (its licence is for you to accept) so that `ldconfig -p` lists "
    "libndi.so, or name its folder in NDI_RUNTIME_DIR_V6"
)
_RGBX: Final = int.from_bytes(b"RGBX", "little")
_PROGRESSIVE: Final = 1
_BY_ITSELF: Final = (1 << 63) - 1
"""The library makes the time code from its clock."""


class NdiError(ControllerError):
    """NDI's library is not there, or gives no source."""

    code = "sender.no_ndi"


class _Create(ctypes.Structure):
    """What a source is made from. Neither picture nor sound waits for the library's clock: the show paces."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("groups", ctypes.c_char_p),
        ("clock_video", ctypes.c_bool),
        ("clock_audio", ctypes.c_bool),
    )


class _Video(ctypes.Structure):
    """One picture."""

    _fields_ = (
        ("width", ctypes.c_int),
        ("height", ctypes.c_int),
        ("fourcc", ctypes.c_uint32),
        ("rate_num", ctypes.c_int),
        ("rate_den", ctypes.c_int),
        ("picture_aspect", ctypes.c_float),
        ("frame_format", ctypes.c_int),
        ("timecode", ctypes.c_int64),
        ("data", ctypes.c_void_p),
        ("row_stride", ctypes.c_int),
        ("metadata", ctypes.c_char_p),
        ("timestamp", ctypes.c_int64),
    )


def library(where: str, environment: Mapping[str, str] = os.environ) -> ctypes.CDLL:
    """NDI's library, ready. where : address of the configuration, for errors. Raises NdiError."""
    folders = [Path(environment[name]) for name in FOLDERS if environment.get(name)]
    wanted = [str(folder / name) for folder in folders for name in NAMES if (folder / name).exists()]
    failed = ""
    for path in (*wanted, *NAMES):
        try:
            found = ctypes.CDLL(path)
        except OSError as error:
            failed = failed or str(error)
            continue
        try:
            ready, create = found.NDIlib_initialize, found.NDIlib_send_create
            send, destroy = found.NDIlib_send_send_video_async_v2, found.NDIlib_send_destroy
        except AttributeError as error:
            failed = f"{path} is no NDI library: {error}"
            continue
        ready.restype, ready.argtypes = ctypes.c_bool, ()
        create.restype, create.argtypes = ctypes.c_void_p, (ctypes.POINTER(_Create),)
        send.restype, send.argtypes = None, (ctypes.c_void_p, ctypes.POINTER(_Video))
        destroy.restype, destroy.argtypes = None, (ctypes.c_void_p,)
        if not ready():
            raise _refused(where, f"{path} does not run on this processor", "use st2110 or the ring")
        return found
    raise _refused(where, f"NDI's library is not here ({failed})", INSTALL)


class NdiSource:
    """A source that receivers see until it is closed."""

    def __init__(
        self, name: str, width_px: int, height_px: int, *, rate: Rate, where: str, groups: str = "",
        environment: Mapping[str, str] = os.environ,
    ) -> None:  # fmt: skip
        """where : address of the configuration, for errors. Raises NdiError."""
        self.refused = 0
        self._library = library(where, environment)
        # The library reads a picture until it is given the next one.
        self._pictures = [np.full((height_px, width_px, 4), 255, np.uint8) for _ in range(2)]
        self._frame = _Video(
            width=width_px, height=height_px, fourcc=_RGBX, rate_num=rate.num, rate_den=rate.den,
            frame_format=_PROGRESSIVE, timecode=_BY_ITSELF, row_stride=4 * width_px,
        )  # fmt: skip
        made = _Create(name.encode(), groups.encode() or None, False, False)
        self._source: int | None = self._library.NDIlib_send_create(ctypes.byref(made))
        if not self._source:
            raise _refused(where, f"there can be no source {name!r}", "give it a name that no other source here has")

    def write(self, picture: NDArray[Any]) -> None:
        """Send a canvas, as `controller.eight_bits` takes it."""
        eight_bits(picture, self._pictures[0])
        self._frame.data = self._pictures[0].ctypes.data
        self._library.NDIlib_send_send_video_async_v2(self._source, ctypes.byref(self._frame))
        self._pictures.reverse()

    def close(self) -> None:
        """Take the source out; once it is out nothing reads its pictures."""
        if self._source:
            self._library.NDIlib_send_send_video_async_v2(self._source, None)
            self._library.NDIlib_send_destroy(self._source)
        self._source = None


def _refused(where: str, detail: str, mend: str) -> NdiError:
    return NdiError(Problem(NdiError.code, where, detail, None, mend))
