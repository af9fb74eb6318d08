"""One borderless window and the canvases on it: pixels of rings become pixels of monitors, unchanged.

Every canvas is a texture of 32-bit words, taken apart in the shader, so that 8 and 10 bit arrive exactly: no filter,
no colour conversion, no dither. The window is out of the window manager's hands (override redirect), bears the
hint that keeps compositors off, hides the cursor, and is left on the screen when its process dies.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from controller.windows.glx import SwapGroup, SwapTimes
from controller.windows.layout import Rect, Tile
from controller.windows.xlib import DESTROY_ALL, MARK, PACKAGES, RETAIN_TEMPORARY, XA_CARDINAL, DisplayError, library
from renderer.device import SOFTWARE_NAMES
from stage.errors import Problem

GL_DITHER: Final = 0x0BD0
_OVERRIDE_REDIRECT: Final = 1 << 9

_VERTEX: Final = """
#version 330 core
void main() {
    vec2 corner = vec2(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0);
    gl_Position = vec4(corner, 0.0, 1.0);
}
"""
_FRAGMENT: Final = """
#version 330 core
uniform usampler2D canvas;
uniform ivec2 first_px;   // of the tile in the window, from its top left corner
uniform ivec2 from_px;    // of the tile on the canvas, at scale 1
uniform int height_px;    // of the window
uniform int scale;        // canvas pixels a texel stands for
uniform bool ten_bits;
out vec4 colour;
void main() {
    ivec2 px = ivec2(gl_FragCoord.x, height_px - 1 - int(gl_FragCoord.y)) - first_px + from_px;
    uint word = texelFetch(canvas, min(px / scale, textureSize(canvas, 0) - 1), 0).r;
    colour = ten_bits
        ? vec4(uvec4(word, word >> 10, word >> 20, 1023u) & 1023u) / 1023.0
        : vec4(uvec4(word, word >> 8, word >> 16, 255u) & 255u) / 255.0;
}
"""


_open: Final[set[int]] = set()
"""Windows of this process: GLFW ends with the last."""


class _Attributes(ctypes.Structure):
    """XSetWindowAttributes, of which only override_redirect is set."""

    _fields_ = [
        ("background_pixmap", ctypes.c_ulong), ("background_pixel", ctypes.c_ulong),
        ("border_pixmap", ctypes.c_ulong), ("border_pixel", ctypes.c_ulong), ("bit_gravity", ctypes.c_int),
        ("win_gravity", ctypes.c_int), ("backing_store", ctypes.c_int), ("backing_planes", ctypes.c_ulong),
        ("backing_pixel", ctypes.c_ulong), ("save_under", ctypes.c_int), ("event_mask", ctypes.c_long),
        ("do_not_propagate_mask", ctypes.c_long), ("override_redirect", ctypes.c_int),
        ("colormap", ctypes.c_ulong), ("cursor", ctypes.c_ulong),
    ]  # fmt: skip


def load_glfw(display: str = "") -> Any:
    """GLFW for X11 on a display, ready to make windows; its failures raise.

    Raises
    ------
    DisplayError : the extra is not installed, or its library cannot start.
    """
    # The wheel brings a library for each; only X11 lets windows lie where they must.
    os.environ["PYGLFW_LIBRARY_VARIANT"] = "x11"
    if display:
        os.environ["DISPLAY"] = display
    try:
        import glfw
    except ImportError as error:
        mend = f"pip install openvolume[windows]; apt-get install {PACKAGES}"
        raise DisplayError(Problem(DisplayError.code, "glfw", f"cannot be loaded: {error}", None, mend)) from error
    glfw.ERROR_REPORTING = "exception"
    try:
        glfw.init_hint(glfw.PLATFORM, glfw.PLATFORM_X11)
        if not glfw.init():
            raise glfw.GLFWError("no reason was given")
    except glfw.GLFWError as error:
        mend = f"start the X server; apt-get install {PACKAGES}"
        raise DisplayError(Problem(DisplayError.code, "glfw", str(error), None, mend)) from error
    return glfw


@dataclass(slots=True)
class _Canvas:
    texture: Any
    size_px: tuple[int, int]
    ten_bits: bool
    scale: int


class Surface:
    """A window. Make it on the thread that draws.

    display : X display, the same for every window of a process. bits : of each colour, wanted; `red_bits` tells what
    came of it.

    Raises
    ------
    DisplayError : no GL 3.3 here.
    """

    def __init__(self, title: str, *, display: str = "", bits: int = 8, swap_group: bool = True) -> None:
        self._glfw = glfw = load_glfw(display)
        glfw.default_window_hints()
        hints = {
            glfw.CONTEXT_VERSION_MAJOR: 3, glfw.CONTEXT_VERSION_MINOR: 3,
            glfw.OPENGL_PROFILE: glfw.OPENGL_CORE_PROFILE, glfw.VISIBLE: 0, glfw.DECORATED: 0, glfw.RESIZABLE: 1,
            glfw.FOCUSED: 0, glfw.FOCUS_ON_SHOW: 0, glfw.AUTO_ICONIFY: 0, glfw.DEPTH_BITS: 0, glfw.STENCIL_BITS: 0,
            glfw.RED_BITS: bits, glfw.GREEN_BITS: bits, glfw.BLUE_BITS: bits, glfw.ALPHA_BITS: 0,
            glfw.SRGB_CAPABLE: 0, glfw.DOUBLEBUFFER: 1,
        }  # fmt: skip
        for hint, value in hints.items():
            glfw.window_hint(hint, value)
        try:
            self._window = glfw.create_window(64, 64, title, None, None)
        except glfw.GLFWError as error:
            mend = "use a driver with GL 3.3"
            raise DisplayError(Problem(DisplayError.code, "window", str(error), None, mend)) from error
        self.damaged = True
        """What it shows must be drawn anew."""
        glfw.set_window_refresh_callback(self._window, self._refresh)
        glfw.set_framebuffer_size_callback(self._window, self._refresh)
        self._x = library("x11")
        self._display = glfw.get_x11_display()
        self.xid = int(glfw.get_x11_window(self._window))
        _open.add(self.xid)
        self._prepare_window()
        glfw.make_context_current(self._window)
        self._waits = False
        self.pace(waits=True)
        import moderngl

        loader: Any = _Loader(glfw)
        self._gl = moderngl.create_context(require=330, context=loader)
        self._gl.disable_direct(GL_DITHER)
        self._program = self._gl.program(vertex_shader=_VERTEX, fragment_shader=_FRAGMENT)
        self._array = self._gl.vertex_array(self._program, [])
        self._screen = self._gl.detect_framebuffer(0)
        self._canvases: dict[str, _Canvas] = {}
        self.box_px: Rect | None = None
        self.renderer: str = self._gl.info["GL_RENDERER"]
        self.software = any(name in self.renderer.lower() for name in SOFTWARE_NAMES)
        self.red_bits = int(_framebuffer_bits(glfw))
        self.swap_group = SwapGroup.join(glfw, self._display, self.xid, wanted=swap_group)
        self._times = SwapTimes(glfw, self._display, self.xid)

    @property
    def stamped_by(self) -> str:
        """Where swap times come from: `display` (GLX_OML_sync_control), or `return` of the swap."""
        return "display" if self._times.there else "return"

    @property
    def swaps_with(self) -> tuple[str, str]:
        """State of the swap group, and what is to be said of it."""
        return self.swap_group.state, self.swap_group.detail

    def pace(self, *, waits: bool) -> None:
        """Whether swaps wait for the vertical blank. Of several windows only one may, or each would cost a blank."""
        if waits != self._waits:
            self._waits = waits
            self._current()
            self._glfw.swap_interval(1 if waits else 0)

    def events(self) -> None:
        """Take in what the display says."""
        self._glfw.poll_events()

    def _prepare_window(self) -> None:
        attributes = _Attributes(override_redirect=1)
        x, display, xid = self._x, self._display, self.xid
        x.XChangeWindowAttributes(display, xid, _OVERRIDE_REDIRECT, ctypes.byref(attributes))
        for name, number in (("_NET_WM_BYPASS_COMPOSITOR", 1), (MARK, os.getpid())):
            value = (ctypes.c_long * 1)(number)
            atom = x.XInternAtom(display, name.encode(), False)
            x.XChangeProperty(display, xid, atom, XA_CARDINAL, 32, 0, value, 1)
        empty = x.XCreateBitmapFromData(display, xid, b"\0", 1, 1)
        colour = (ctypes.c_ubyte * 16)()
        cursor = x.XCreatePixmapCursor(display, empty, empty, colour, colour, 0, 0)
        x.XDefineCursor(display, xid, cursor)
        x.XFreePixmap(display, empty)
        # The picture stays on the screen when this process is killed; the next one takes it away.
        x.XSetCloseDownMode(display, RETAIN_TEMPORARY)

    def _refresh(self, *_: object) -> None:
        self.damaged = True

    def place(self, box_px: Rect | None) -> None:
        """Lie over this part of the display; None: nowhere."""
        glfw, before = self._glfw, self.box_px
        if box_px is None:
            glfw.hide_window(self._window)
        elif box_px != before:
            self._x.XMoveResizeWindow(self._display, self.xid, *box_px)
            if before is None:
                glfw.show_window(self._window)
        self.box_px = box_px
        self.damaged = True

    def on_top(self) -> None:
        """Come before whatever was laid over it."""
        if self.box_px is not None:
            self._x.XRaiseWindow(self._display, self.xid)

    def take(
        self, canvas: str, pixels: memoryview, size_px: tuple[int, int], *, ten_bits: bool, scale: int = 1
    ) -> None:
        """The picture of a canvas: words of R G B A bytes, or of 10-bit fields from red upward; row 0 on top.

        scale : pixels of the canvas that each of these stands for.
        """
        self._current()
        held = self._canvases.get(canvas)
        if held is None or held.size_px != size_px:
            if held is not None:
                held.texture.release()
            texture = self._gl.texture(size_px, 1, dtype="u4")
            texture.filter = (0x2600, 0x2600)
            held = self._canvases[canvas] = _Canvas(texture, size_px, ten_bits, scale)
        held.ten_bits, held.scale = ten_bits, scale
        held.texture.write(pixels)
        self.damaged = True

    def forget(self, keep: Sequence[str]) -> None:
        """Free the pictures of canvases that are not in `keep`."""
        for name in self._canvases.keys() - set(keep):
            self._canvases.pop(name).texture.release()

    @property
    def canvases(self) -> Sequence[str]:
        """Those it has a picture of."""
        return tuple(self._canvases)

    def draw(self, tiles: Sequence[Tile]) -> None:
        """Draw every tile whose canvas has a picture; black elsewhere."""
        if self.box_px is None:
            return
        self._current()
        width, height = self.box_px[2:]
        self._screen.use()
        self._screen.viewport = (0, 0, width, height)
        self._gl.clear(0.0, 0.0, 0.0, 1.0)
        program = self._program
        for tile in tiles:
            held = self._canvases.get(tile.canvas)
            if held is None:
                continue
            held.texture.use(0)
            w, h = tile.canvas_px[2:]
            self._screen.viewport = (tile.at_px[0], height - tile.at_px[1] - h, w, h)
            program["first_px"] = tile.at_px
            program["from_px"] = tile.canvas_px[:2]
            program["height_px"] = height
            program["scale"] = held.scale
            program["ten_bits"] = held.ten_bits
            self._array.render(vertices=3)
        self.damaged = False

    def swap(self) -> None:
        """Show what was drawn: at the next vertical blank where this window is paced, else at once."""
        if self.box_px is None:
            return
        self._current()
        self._glfw.swap_buffers(self._window)

    def shown_ns(self, now_ns: Any) -> int:
        """Wait until the last swap is on the screen; when that was (CLOCK_MONOTONIC).

        now_ns : tells the time, where the display does not.
        """
        self._current()
        stamp_ns = self._times.wait()
        if stamp_ns is not None:
            return stamp_ns
        if self._waits:
            # A queued swap returns early: the next thing drawn waits for it.
            self._gl.finish()
        return int(now_ns())

    def _current(self) -> None:
        if self._glfw.get_current_context() is not self._window:
            self._glfw.make_context_current(self._window)

    def close(self) -> None:
        """Take the window away."""
        self._x.XSetCloseDownMode(self._display, DESTROY_ALL)
        self._current()
        self.forget(())
        for part in (self._array, self._program, self._gl):
            part.release()
        self._glfw.destroy_window(self._window)
        _open.discard(self.xid)
        if not _open:
            self._glfw.terminate()


class _Loader:
    """How moderngl finds GL's functions in a context of GLFW's."""

    def __init__(self, glfw: Any) -> None:
        self._glfw = glfw

    def load_opengl_function(self, name: str) -> int:
        return ctypes.cast(self._glfw.get_proc_address(name), ctypes.c_void_p).value or 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def release(self) -> None:
        """The context is the window's."""


def _framebuffer_bits(glfw: Any) -> int:
    """Red bits of the current context's window."""
    get = ctypes.CFUNCTYPE(None, ctypes.c_uint, ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p)
    address = ctypes.cast(glfw.get_proc_address("glGetFramebufferAttachmentParameteriv"), ctypes.c_void_p).value or 0
    value = ctypes.c_int()
    draw_framebuffer, back_left, red_size = 0x8CA9, 0x0402, 0x8212
    get(address)(draw_framebuffer, back_left, red_size, ctypes.addressof(value))
    return value.value
