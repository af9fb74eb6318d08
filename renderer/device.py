"""The GPU: one headless OpenGL 4.5 context, what it can do, and waits and reads that leave Python's lock free.

moderngl holds Python's global lock through every blocking call, so nothing here blocks inside it: a read
first waits on a fence through ctypes (which frees the lock), then copies into a buffer the caller keeps.
10-bit pictures are read as `GL_UNSIGNED_INT_2_10_10_10_REV`, 21 times faster than through moderngl.
One device per process, on its main thread, in a spawned (never forked) process.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Self

import moderngl
import numpy as np
from numpy.typing import DTypeLike, NDArray

from renderer.errors import RendererError
from renderer.working import AP1_FROM_REC709
from stage.errors import Problem

SOFTWARE_NAMES: Final = ("llvmpipe", "softpipe", "swrast", "swiftshader")
"""What renderers that draw on the CPU are called, in small letters."""

_SYNC_GPU_COMMANDS_COMPLETE = 0x9117
_SYNC_FLUSH_COMMANDS_BIT = 0x00000001
_ALREADY_SIGNALED = 0x911A
_CONDITION_SATISFIED = 0x911C
_WAIT_FAILED = 0x911D
_READ_FRAMEBUFFER = 0x8CA8
_COLOR_ATTACHMENT0 = 0x8CE0
_PACK_ALIGNMENT = 0x0D05
_PIXEL_PACK_BUFFER = 0x88EB
_RGBA = 0x1908
_UNSIGNED_INT_2_10_10_10_REV = 0x8368

_FOREVER_NS = 60_000_000_000
"""Longest wait for a picture before the device is taken to be lost."""

_MALLOC_KEEPS = ((-1, 256 << 20), (-3, 32 << 20), (-2, 8 << 20))
"""glibc's M_TRIM_THRESHOLD, M_MMAP_THRESHOLD and M_TOP_PAD in bytes."""

_APT = "sudo apt-get install -y libegl1 libgl1"


class NoGLError(RendererError):
    """This machine has no usable OpenGL 4.5 through EGL."""

    code = "renderer.no_gl"
    exit_code = 3


class DeviceLostError(RendererError):
    """The GPU did not finish its work, or refuses to say whether it has."""

    code = "renderer.device_lost"
    exit_code = 1


class ReadSizeError(RendererError):
    """A buffer given to a read does not hold the picture exactly."""

    code = "renderer.read_size"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What this device is and can do."""

    renderer: str
    vendor: str
    version: str
    software: bool
    max_texture_px: int
    max_samples: int
    max_anisotropy: float


class Fence:
    """A point in the device's work queue that can be waited for without holding Python's lock."""

    __slots__ = ("_gl", "_sync")

    def __init__(self, gl: _Functions) -> None:
        self._gl = gl
        self._sync: int | None = gl.fence_sync(_SYNC_GPU_COMMANDS_COMPLETE, 0)
        gl.flush()

    def wait(self, timeout_ns: int = _FOREVER_NS) -> bool:
        """Wait until everything queued before the fence is done; False if `timeout_ns` passed first.

        Raises
        ------
        DeviceLostError : the driver cannot wait.
        """
        if self._sync is None:
            return True
        result = self._gl.client_wait_sync(self._sync, _SYNC_FLUSH_COMMANDS_BIT, max(0, timeout_ns))
        if result in (_ALREADY_SIGNALED, _CONDITION_SATISFIED):
            self.release()
            return True
        if result == _WAIT_FAILED:
            raise DeviceLostError(
                Problem(
                    "renderer.device_lost",
                    "device",
                    "the GPU driver cannot wait for its own work",
                    mend="restart the node; look for GPU resets in the kernel log (dmesg)",
                )
            )
        return False

    @property
    def done(self) -> bool:
        """Whether everything queued before the fence is done; never waits."""
        return self.wait(0)

    def release(self) -> None:
        """Free the fence; harmless when repeated."""
        if self._sync is not None:
            self._gl.delete_sync(self._sync)
            self._sync = None


class _Functions:
    """The few OpenGL calls moderngl does not have, or makes while holding Python's lock."""

    def __init__(self, address: Callable[[str], int]) -> None:
        def bind(name: str, result: Any, *arguments: Any) -> Any:
            return _bind(address, name, result, *arguments)

        uint, size = ctypes.c_uint, ctypes.c_int
        self.fence_sync = bind("glFenceSync", ctypes.c_void_p, uint, uint)
        self.client_wait_sync = bind("glClientWaitSync", uint, ctypes.c_void_p, uint, ctypes.c_uint64)
        self.delete_sync = bind("glDeleteSync", None, ctypes.c_void_p)
        self.flush = bind("glFlush", None)
        self.bind_framebuffer = bind("glBindFramebuffer", None, uint, uint)
        self.bind_buffer = bind("glBindBuffer", None, uint, uint)
        self.read_buffer = bind("glReadBuffer", None, uint)
        self.pixel_store = bind("glPixelStorei", None, uint, size)
        self.read_pixels = bind("glReadPixels", None, size, size, size, size, uint, uint, ctypes.c_void_p)


def _bind(address: Callable[[str], int], name: str, result: Any, *arguments: Any) -> Any:
    pointer = address(name)
    if not pointer:
        raise NoGLError(_no_gl(f"OpenGL has no {name}"))
    return ctypes.CFUNCTYPE(result, *arguments)(pointer)


class Device:
    """A GPU device: `ctx` draws, `fence`/`read_*` wait and read with Python's lock free."""

    def __init__(self, ctx: moderngl.Context, address: Callable[[str], int] | None = None) -> None:
        """Wrap a context that is current on this thread; `address` gives the pointer of a GL call by name."""
        self.ctx = ctx
        self.working_from_rec709 = AP1_FROM_REC709
        """Colours are multiplied in ACEScg; the identity makes a device compare with renderers that use Rec.709."""
        self._address = address or _egl_address()
        self._gl = _Functions(self._address)
        info = ctx.info
        renderer = str(info["GL_RENDERER"])
        self.capabilities = Capabilities(
            renderer=renderer,
            vendor=str(info["GL_VENDOR"]),
            version=str(info["GL_VERSION"]),
            software=any(name in renderer.lower() for name in SOFTWARE_NAMES),
            max_texture_px=int(info["GL_MAX_TEXTURE_SIZE"]),
            max_samples=int(ctx.max_samples),
            max_anisotropy=float(ctx.max_anisotropy),
        )

    @classmethod
    def create(cls, *, device_index: int | None = None) -> Device:
        """A device with a headless OpenGL 4.5 core context through EGL, current on this thread.

        `device_index` picks a GPU on machines with several (EGL device order).

        Raises
        ------
        NoGLError : EGL or OpenGL 4.5 is missing.
        """
        settings: dict[str, Any] = {"standalone": True, "backend": "egl", "require": 450}
        if device_index is not None:
            settings["device_index"] = device_index
        try:
            ctx = moderngl.create_context(**settings)
        except Exception as error:  # glcontext raises bare Exception for every fault
            raise NoGLError(_no_gl(str(error) or type(error).__name__)) from error
        device = cls(ctx)
        if device.capabilities.software:
            _keep_freed_memory()
        return device

    def function(self, name: str, result: Any, *arguments: Any) -> Any:
        """An OpenGL call by name, for what moderngl does not have; it runs with Python's lock free.

        Raises
        ------
        NoGLError : this OpenGL has none of that name.
        """
        return _bind(self._address, name, result, *arguments)

    def fence(self) -> Fence:
        """A fence after everything queued so far; also starts the work (flush)."""
        return Fence(self._gl)

    def finish(self, timeout_ns: int = _FOREVER_NS) -> None:
        """Wait for all queued work, with Python's lock free.

        Raises
        ------
        DeviceLostError : it did not finish within `timeout_ns`.
        """
        fence = self.fence()
        if not fence.wait(timeout_ns):
            fence.release()
            raise DeviceLostError(
                Problem(
                    "renderer.device_lost",
                    "device",
                    f"the GPU did not finish its work within {timeout_ns / 1e9:g} s",
                    mend="restart the node; look for GPU resets in the kernel log (dmesg)",
                )
            )

    def read_into(
        self,
        framebuffer: moderngl.Framebuffer,
        buffer: Any,
        /,
        *,
        components: int = 4,
        dtype: str = "f1",
        attachment: int = 0,
    ) -> None:
        """Copy a framebuffer's picture into `buffer` (writable, C order, row 0 = GL row 0) after waiting for it.

        dtype is moderngl's: `f1` 8 bit, `nu2` 16 bit, `f2` half, `f4` float. A multisampled framebuffer must be
        resolved first.

        Raises
        ------
        ReadSizeError : the buffer's size is not the picture's.
        """
        width, height = framebuffer.size
        _check_size(buffer, width * height * components * {"f1": 1, "nu2": 2, "f2": 2, "f4": 4, "u4": 4}[dtype])
        self.finish()
        framebuffer.read_into(buffer, components=components, dtype=dtype, attachment=attachment, alignment=1)

    def read(
        self, framebuffer: moderngl.Framebuffer, /, *, components: int = 4, dtype: str = "f4", attachment: int = 0
    ) -> NDArray[Any]:
        """A framebuffer's picture as a new array, [height, width, components], row 0 = GL row 0 (off the frame path).

        dtype `f1` gives uint8, `f2` float16, `f4` float32.
        """
        kinds: dict[str, DTypeLike] = {"f1": np.uint8, "f2": np.float16, "f4": np.float32, "u4": np.uint32}
        width, height = framebuffer.size
        out = np.empty((height, width, components), dtype=kinds[dtype])
        self.read_into(framebuffer, out, components=components, dtype=dtype, attachment=attachment)
        return out

    def read_10bit_into(self, framebuffer: moderngl.Framebuffer, buffer: Any, /, *, attachment: int = 0) -> None:
        """Copy an RGB10A2 picture into `buffer`, one little-endian uint32 a pixel, after waiting for it.

        Bits 0-9 red, 10-19 green, 20-29 blue, 30-31 alpha; row 0 = GL row 0.

        Raises
        ------
        ReadSizeError : the buffer is not width * height * 4 bytes.
        """
        width, height = framebuffer.size
        _check_size(buffer, width * height * 4)
        self.finish()
        gl = self._gl
        gl.bind_buffer(_PIXEL_PACK_BUFFER, 0)
        gl.bind_framebuffer(_READ_FRAMEBUFFER, framebuffer.glo)
        gl.read_buffer(_COLOR_ATTACHMENT0 + attachment)
        gl.pixel_store(_PACK_ALIGNMENT, 4)
        view = (ctypes.c_char * (width * height * 4)).from_buffer(buffer)
        gl.read_pixels(0, 0, width, height, _RGBA, _UNSIGNED_INT_2_10_10_10_REV, ctypes.addressof(view))
        gl.bind_framebuffer(_READ_FRAMEBUFFER, self.ctx.fbo.glo)

    def read_10bit(self, framebuffer: moderngl.Framebuffer, /, *, attachment: int = 0) -> NDArray[np.uint32]:
        """An RGB10A2 picture as a new array of packed uint32, [height, width] (see `read_10bit_into`)."""
        width, height = framebuffer.size
        out = np.empty((height, width), dtype=np.uint32)
        self.read_10bit_into(framebuffer, out, attachment=attachment)
        return out

    def release(self) -> None:
        """Free the context and everything in it; the device cannot be used afterwards."""
        self.ctx.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def unpack_10bit(packed: NDArray[np.uint32]) -> NDArray[np.uint16]:
    """Codes 0..1023, [height, width, 3], of packed 2_10_10_10 pixels, [height, width]."""
    return np.stack([(packed >> shift) & 0x3FF for shift in (0, 10, 20)], axis=-1).astype(np.uint16)


def _keep_freed_memory() -> None:
    """Let the C library keep what software GL frees after each picture, and takes again for the next.

    By default it hands the memory back to the system and then faults every page in anew: 900 faults and 2 of 11 ms
    a picture of 80,000 triangles were measured. Other C libraries than glibc are left as they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    for name, size in _MALLOC_KEEPS:
        mallopt(name, size)


def _check_size(buffer: Any, needed: int) -> None:
    held = memoryview(buffer).nbytes
    if held != needed:
        raise ReadSizeError(
            Problem("renderer.read_size", "buffer", f"the picture has {needed} bytes, the buffer {held}", held)
        )


def _no_gl(detail: str) -> Problem:
    return Problem(
        "renderer.no_gl", "device", f"no headless OpenGL 4.5 through EGL: {detail}", mend=f"install it: {_APT}"
    )


def _egl_address() -> Callable[[str], int]:
    name = ctypes.util.find_library("EGL") or "libEGL.so.1"
    try:
        library = ctypes.CDLL(name)
    except OSError as error:
        raise NoGLError(_no_gl(str(error))) from error
    get = library.eglGetProcAddress
    get.restype = ctypes.c_void_p
    get.argtypes = [ctypes.c_char_p]
    return lambda symbol: get(symbol.encode()) or 0
