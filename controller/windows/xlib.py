"""The few X calls that windows on monitors need, through ctypes: RandR's outputs with exact rates, EDID, screen saver.

GLFW tells whole hertz only, which cannot tell 23.976 from 24, and no EDID. The libraries are those GLFW loads too. An
X error (an output that went away between two calls) is noted and survived; a display that goes away ends the process,
as X wants it: the supervisor starts it again.
"""

from __future__ import annotations

import ctypes
import logging
import os
from ctypes import POINTER, Structure, byref, c_char_p, c_int, c_long, c_uint, c_ulong, c_ushort, c_void_p
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any, Final

from controller.errors import ControllerError
from stage.errors import Problem

log = logging.getLogger(__name__)

LIBRARIES: Final = {"x11": "libX11.so.6", "xrandr": "libXrandr.so.2", "xext": "libXext.so.6"}
PACKAGES: Final = "libx11-6 libxrandr2 libxext6 libxinerama1 libxcursor1 libxi6 libgl1"
"""Debian's names of what GLFW and this module load."""
MARK: Final = "_OPENVOLUME_PID"
"""X property of every window of ours: the process it belongs to."""
CHANGES_MASK: Final = 0b111
"""RRScreenChangeNotify, RRCrtcChangeNotify, RROutputChangeNotify."""
ROTATE_SIDEWAYS: Final = 2 | 8
INTERLACE, DOUBLE_SCAN = 0x10, 0x20
RETAIN_TEMPORARY, DESTROY_ALL = 2, 0
ANY_TYPE: Final = 0
XA_CARDINAL: Final = 6


class DisplayError(ControllerError):
    """No X display, or one that lacks a part."""

    code = "controller.display"
    exit_code = 3


class _ModeInfo(Structure):
    _fields_ = [
        ("id", c_ulong), ("width", c_uint), ("height", c_uint), ("dot_clock", c_ulong), ("h_sync_start", c_uint),
        ("h_sync_end", c_uint), ("h_total", c_uint), ("h_skew", c_uint), ("v_sync_start", c_uint),
        ("v_sync_end", c_uint), ("v_total", c_uint), ("name", c_char_p), ("name_length", c_uint), ("flags", c_ulong),
    ]  # fmt: skip


class _Resources(Structure):
    _fields_ = [
        ("timestamp", c_ulong), ("config_timestamp", c_ulong), ("crtc_count", c_int), ("crtcs", POINTER(c_ulong)),
        ("output_count", c_int), ("outputs", POINTER(c_ulong)), ("mode_count", c_int), ("modes", POINTER(_ModeInfo)),
    ]  # fmt: skip


class _OutputInfo(Structure):
    _fields_ = [
        ("timestamp", c_ulong), ("crtc", c_ulong), ("name", c_char_p), ("name_length", c_int), ("mm_width", c_ulong),
        ("mm_height", c_ulong), ("connection", c_ushort), ("subpixel_order", c_ushort), ("crtc_count", c_int),
        ("crtcs", POINTER(c_ulong)), ("clone_count", c_int), ("clones", POINTER(c_ulong)), ("mode_count", c_int),
        ("preferred_count", c_int), ("modes", POINTER(c_ulong)),
    ]  # fmt: skip


class _CrtcInfo(Structure):
    _fields_ = [
        ("timestamp", c_ulong), ("x", c_int), ("y", c_int), ("width", c_uint), ("height", c_uint), ("mode", c_ulong),
        ("rotation", c_ushort), ("output_count", c_int), ("outputs", POINTER(c_ulong)), ("rotations", c_ushort),
        ("possible_count", c_int), ("possible", POINTER(c_ulong)),
    ]  # fmt: skip


class _ErrorEvent(Structure):
    _fields_ = [
        ("type", c_int), ("display", c_void_p), ("resource", c_ulong), ("serial", c_ulong), ("error", ctypes.c_ubyte),
        ("request", ctypes.c_ubyte), ("minor", ctypes.c_ubyte),
    ]  # fmt: skip


_ErrorHandler = ctypes.CFUNCTYPE(c_int, c_void_p, POINTER(_ErrorEvent))


def _survive(_display: int, event: Any) -> int:
    log.debug("X error %d of request %d", event.contents.error, event.contents.request)
    return 0


_SURVIVE: Final = _ErrorHandler(_survive)


@dataclass(frozen=True, slots=True)
class Found:
    """One output of a display as it is now."""

    connector: str
    connected: bool
    active: bool
    """It has a mode and a place; what follows tells them, or is 0."""
    position_px: tuple[int, int] = (0, 0)
    size_px: tuple[int, int] = (0, 0)
    """Of the picture it takes from the display."""
    mode_px: tuple[int, int] = (0, 0)
    """Of the mode it runs, turned as it is: another than `size_px` is scaled."""
    refresh_hz: Fraction = Fraction(0)
    edid: bytes = b""

    @property
    def rect_px(self) -> tuple[int, int, int, int]:
        return (*self.position_px, *self.size_px)


@cache
def library(name: str) -> Any:
    """A library of `LIBRARIES`, with the argument types of what is called in it.

    Raises
    ------
    DisplayError : this machine does not have it.
    """
    try:
        found = ctypes.CDLL(LIBRARIES[name])
    except OSError as error:
        mend = f"apt-get install {PACKAGES}"
        raise DisplayError(Problem(DisplayError.code, LIBRARIES[name], "is not there", None, mend)) from error
    for function, (result, *arguments) in _SIGNATURES[name].items():
        call = getattr(found, function)
        call.restype, call.argtypes = result, arguments
    if name == "x11":
        # GLFW and Mesa speak on threads of their own.
        found.XInitThreads()
        found.XSetErrorHandler(_SURVIVE)
    return found


class Display:
    """A connection of our own to an X display.

    Raises
    ------
    DisplayError : it cannot be reached, or has no RandR 1.3.
    """

    def __init__(self, name: str = "") -> None:
        self._x, self._randr, self._ext = library("x11"), library("xrandr"), library("xext")
        self.handle = self._x.XOpenDisplay(name.encode() or None)
        if not self.handle:
            shown = self._x.XDisplayName(name.encode() or None).decode() or "no DISPLAY is set"
            mend = "start the X server, or set `display` (and let this user in: xhost, XAUTHORITY)"
            raise DisplayError(Problem(DisplayError.code, "windows/display", f"cannot be reached: {shown}", name, mend))
        self.name = self._x.XDisplayString(self.handle).decode()
        self.root = self._x.XDefaultRootWindow(self.handle)
        base, error = c_int(), c_int()
        if not self._randr.XRRQueryExtension(self.handle, byref(base), byref(error)):
            self.close()
            raise DisplayError(Problem(DisplayError.code, "windows/display", "has no RandR", self.name, "use Xorg"))
        self._randr.XRRSelectInput(self.handle, self.root, CHANGES_MASK)
        self._saver: tuple[int, int, int, int] | None = None

    @property
    def depth_bits(self) -> int:
        """Bits of a pixel over red, green and blue: 24 is 8 each, 30 is 10 each."""
        return int(self._x.XDefaultDepth(self.handle, self._x.XDefaultScreen(self.handle)))

    def fileno(self) -> int:
        """Readable when outputs change; then call `changed`."""
        return int(self._x.XConnectionNumber(self.handle))

    def changed(self) -> bool:
        """Whether outputs have changed since it was asked last."""
        event = (c_long * 24)()
        found = False
        while self._x.XPending(self.handle):
            self._x.XNextEvent(self.handle, event)
            self._randr.XRRUpdateConfiguration(event)
            found = True
        return found

    def outputs(self) -> list[Found]:
        """Every output that is connected or active, by connector."""
        resources = self._randr.XRRGetScreenResourcesCurrent(self.handle, self.root)
        if not resources:
            return []
        try:
            table = resources.contents
            modes = {table.modes[i].id: table.modes[i] for i in range(table.mode_count)}
            found = [self._output(resources, table.outputs[i], modes) for i in range(table.output_count)]
        finally:
            self._randr.XRRFreeScreenResources(resources)
        return sorted((o for o in found if o is not None), key=lambda output: output.connector)

    def _output(self, resources: Any, output: int, modes: dict[int, _ModeInfo]) -> Found | None:
        info = self._randr.XRRGetOutputInfo(self.handle, resources, output)
        if not info:
            return None
        try:
            connector = info.contents.name.decode("latin-1")
            connected, crtc = info.contents.connection == 0, info.contents.crtc
        finally:
            self._randr.XRRFreeOutputInfo(info)
        if not connected and not crtc:
            return None
        edid = self._edid(output)
        place = self._randr.XRRGetCrtcInfo(self.handle, resources, crtc) if crtc else None
        if not place:
            return Found(connector, connected, active=False, edid=edid)
        try:
            at = place.contents
            mode = modes.get(at.mode)
            if mode is None:
                return Found(connector, connected, active=False, edid=edid)
            size = (mode.height, mode.width) if at.rotation & ROTATE_SIDEWAYS else (mode.width, mode.height)
            return Found(
                connector,
                connected,
                True,
                (at.x, at.y),
                (at.width, at.height),
                size,
                refresh_hz(mode.dot_clock, mode.h_total, mode.v_total, mode.flags),
                edid,
            )
        finally:
            self._randr.XRRFreeCrtcInfo(place)

    def _edid(self, output: int) -> bytes:
        atom = self._x.XInternAtom(self.handle, b"EDID", False)
        kind, bits, count, rest, data = c_ulong(), c_int(), c_ulong(), c_ulong(), c_void_p()
        self._randr.XRRGetOutputProperty(
            self.handle, output, atom, 0, 128, False, False, ANY_TYPE,
            byref(kind), byref(bits), byref(count), byref(rest), byref(data),
        )  # fmt: skip
        if not data.value:
            return b""
        try:
            return ctypes.string_at(data, count.value) if bits.value == 8 else b""
        finally:
            self._x.XFree(data)

    # --- what would lie over the picture ------------------------------------------------------------------------

    def keep_awake(self) -> None:
        """No screen saver and no power saving, from now on."""
        if self._saver is None:
            values = [c_int() for _ in range(4)]
            self._x.XGetScreenSaver(self.handle, *(byref(value) for value in values))
            timeout, interval, blanking, exposures = (value.value for value in values)
            self._saver = (timeout, interval, blanking, exposures)
        self._x.XSetScreenSaver(self.handle, 0, 0, 0, 0)
        self._x.XForceScreenSaver(self.handle, 0)
        if self._has_dpms():
            self._ext.DPMSDisable(self.handle)
        self._x.XFlush(self.handle)

    @property
    def sleeps(self) -> bool:
        """Whether screen saver or power saving may darken it."""
        values = [c_int() for _ in range(4)]
        self._x.XGetScreenSaver(self.handle, *(byref(value) for value in values))
        if values[0].value:
            return True
        level, state = c_ushort(), ctypes.c_ubyte()
        if not self._has_dpms():
            return False
        self._ext.DPMSInfo(self.handle, byref(level), byref(state))
        return bool(state.value)

    def _has_dpms(self) -> bool:
        base, error = c_int(), c_int()
        there = self._ext.DPMSQueryExtension(self.handle, byref(base), byref(error))
        return bool(there and self._ext.DPMSCapable(self.handle))

    def may_sleep(self) -> None:
        """The screen saver as it was found."""
        if self._saver is not None:
            self._x.XSetScreenSaver(self.handle, *self._saver)
            self._x.XFlush(self.handle)
            self._saver = None

    # --- windows of ours ----------------------------------------------------------------------------------------

    def marked(self, mark: str) -> dict[int, int]:
        """Top-level windows that bear `mark` as a number, with it."""
        atom = self._x.XInternAtom(self.handle, mark.encode(), False)
        root, parent, children, count = c_ulong(), c_ulong(), POINTER(c_ulong)(), c_uint()
        if not self._x.XQueryTree(
            self.handle, self.root, byref(root), byref(parent), byref(children), byref(count)
        ):  # pragma: no cover - the root is always there
            return {}
        found = {}
        for i in range(count.value):
            number = self._number(children[i], atom)
            if number is not None:
                found[int(children[i])] = number
        if count.value:
            self._x.XFree(ctypes.cast(children, c_void_p))
        return found

    def _number(self, window: int, atom: int) -> int | None:
        kind, bits, count, rest, data = c_ulong(), c_int(), c_ulong(), c_ulong(), c_void_p()
        self._x.XGetWindowProperty(
            self.handle, window, atom, 0, 1, False, XA_CARDINAL,
            byref(kind), byref(bits), byref(count), byref(rest), byref(data),
        )  # fmt: skip
        if not data.value:
            return None
        try:
            return int(ctypes.cast(data, POINTER(c_ulong))[0]) if count.value and bits.value == 32 else None
        finally:
            self._x.XFree(data)

    def clear_away(self) -> None:
        """Take away windows that dead processes of ours have left on the screen."""
        for window, pid in self.marked(MARK).items():
            if not _lives(pid):
                self.end_client(window)

    def end_client(self, window: int) -> None:
        """Take away the windows of the client `window` belongs to, alive or not."""
        self._x.XKillClient(self.handle, window)
        self._x.XSync(self.handle, False)

    def close(self) -> None:
        """End the connection."""
        if self.handle:
            self._x.XCloseDisplay(self.handle)
            self.handle = None


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def refresh_hz(dot_clock_hz: int, h_total_px: int, v_total_px: int, flags: int = 0) -> Fraction:
    """The exact rate of a mode: pictures a second, fields of interlaced ones."""
    if not h_total_px or not v_total_px:
        return Fraction(0)
    rate = Fraction(dot_clock_hz, h_total_px * v_total_px)
    if flags & INTERLACE:
        rate *= 2
    return rate / 2 if flags & DOUBLE_SCAN else rate


_P = c_void_p
_SIGNATURES: Final[dict[str, dict[str, tuple[Any, ...]]]] = {
    "x11": {
        "XInitThreads": (c_int,),
        "XSetErrorHandler": (_P, _ErrorHandler),
        "XOpenDisplay": (_P, c_char_p),
        "XDisplayName": (c_char_p, c_char_p),
        "XDisplayString": (c_char_p, _P),
        "XCloseDisplay": (c_int, _P),
        "XDefaultRootWindow": (c_ulong, _P),
        "XDefaultScreen": (c_int, _P),
        "XDefaultDepth": (c_int, _P, c_int),
        "XConnectionNumber": (c_int, _P),
        "XPending": (c_int, _P),
        "XNextEvent": (c_int, _P, _P),
        "XFlush": (c_int, _P),
        "XSync": (c_int, _P, c_int),
        "XFree": (c_int, _P),
        "XInternAtom": (c_ulong, _P, c_char_p, c_int),
        "XGetScreenSaver": (c_int, _P, _P, _P, _P, _P),
        "XSetScreenSaver": (c_int, _P, c_int, c_int, c_int, c_int),
        "XForceScreenSaver": (c_int, _P, c_int),
        "XQueryTree": (c_int, _P, c_ulong, _P, _P, _P, _P),
        "XGetWindowProperty": (c_int, _P, c_ulong, c_ulong, c_long, c_long, c_int, c_ulong, _P, _P, _P, _P, _P),
        "XChangeProperty": (c_int, _P, c_ulong, c_ulong, c_ulong, c_int, c_int, _P, c_int),
        "XKillClient": (c_int, _P, c_ulong),
        "XSetCloseDownMode": (c_int, _P, c_int),
        "XChangeWindowAttributes": (c_int, _P, c_ulong, c_ulong, _P),
        "XCreateBitmapFromData": (c_ulong, _P, c_ulong, c_char_p, c_uint, c_uint),
        "XCreatePixmapCursor": (c_ulong, _P, c_ulong, c_ulong, _P, _P, c_uint, c_uint),
        "XFreePixmap": (c_int, _P, c_ulong),
        "XDefineCursor": (c_int, _P, c_ulong, c_ulong),
        "XMoveResizeWindow": (c_int, _P, c_ulong, c_int, c_int, c_uint, c_uint),
        "XRaiseWindow": (c_int, _P, c_ulong),
    },
    "xrandr": {
        "XRRQueryExtension": (c_int, _P, _P, _P),
        "XRRSelectInput": (None, _P, c_ulong, c_int),
        "XRRUpdateConfiguration": (c_int, _P),
        "XRRGetScreenResourcesCurrent": (POINTER(_Resources), _P, c_ulong),
        "XRRFreeScreenResources": (None, POINTER(_Resources)),
        "XRRGetOutputInfo": (POINTER(_OutputInfo), _P, POINTER(_Resources), c_ulong),
        "XRRFreeOutputInfo": (None, POINTER(_OutputInfo)),
        "XRRGetCrtcInfo": (POINTER(_CrtcInfo), _P, POINTER(_Resources), c_ulong),
        "XRRFreeCrtcInfo": (None, POINTER(_CrtcInfo)),
        "XRRGetOutputProperty": (
            c_int, _P, c_ulong, c_ulong, c_long, c_long, c_int, c_int, c_ulong, _P, _P, _P, _P, _P,
        ),
    },
    "xext": {
        "DPMSQueryExtension": (c_int, _P, _P, _P),
        "DPMSCapable": (c_int, _P),
        "DPMSDisable": (c_int, _P),
        "DPMSInfo": (c_int, _P, _P, _P),
    },
}  # fmt: skip
