"""A compiled scene as one file that any node maps and puts on its GPU in slices: `freeze` writes it, `Thaw` reads it.

Whatever a scene is made of (triangles, pictures with their smaller copies, the dome's reflections, bounds, trees) is in
the file as it was on the GPU of the process that compiled it; nothing is decoded, sorted or filtered again.
A file is: magic, length of the head, head (msgpack), then the arrays and the scene's objects (pickle with arrays out
of line), each at a multiple of 64 bytes. Objects come back only as classes of `renderer`, `stage` and NumPy's arrays.

A class that holds programs of its own is made anew from the device (`_Freezer.reducer_override`, or its `__reduce__`);
the device is not written, but put in where it stood.
"""

from __future__ import annotations

import ctypes
import io
import mmap
import os
import pickle
import weakref
from collections.abc import Callable, Generator
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, cast

import moderngl
import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from renderer.device import Device
from renderer.errors import RendererError
from renderer.passes.deform import DeformPass
from renderer.scene import Scene
from stage.errors import Problem

MAGIC: Final = b"OVSCENE1"
_ALIGN: Final = 64
_SMALL: Final = 4096
"""Arrays below this stay with the objects."""
_MIPMAPPED: Final = frozenset(
    {
        moderngl.NEAREST_MIPMAP_NEAREST,
        moderngl.LINEAR_MIPMAP_NEAREST,
        moderngl.NEAREST_MIPMAP_LINEAR,
        moderngl.LINEAR_MIPMAP_LINEAR,
    }
)
_INTERNAL_FORMAT: Final = 0x1003
_TEXTURE_2D, _TEXTURE_3D, _TEXTURE_ARRAY = 0x0DE1, 0x806F, 0x8C1A
_FORMATS: Final = {1: 0x1903, 2: 0x8227, 3: 0x1907, 4: 0x1908}
_TYPES: Final = {"f1": (0x1401, 1), "f2": (0x140B, 2), "f4": (0x1406, 4)}
_UNPACK_ALIGNMENT, _PIXEL_UNPACK_BUFFER = 0x0CF5, 0x88EC
SLICE_BYTES: Final = 2 << 20
"""What is written to the GPU in one slice, at most: a fraction of a millisecond on a CPU that draws, less on a GPU."""
CLEARED_BYTES_PER_MS: Final = 4_000_000
FRESH_BYTES_PER_MS: Final = 1_000_000
"""How fast software GL, which clears what it hands out, makes room in memory that was used before, and in memory fresh
from the system; a GPU takes no time at all."""
_HEAP_LEAST, _HEAP_MOST = 1 << 20, 31 << 20
"""What the C library keeps in its heap; larger pieces always come fresh from the system."""
_TOUCH_BYTES: Final = 1 << 19
_TOUCH_NS: Final = 500_000
_MODULES: Final = ("renderer", "stage")
_SAFE: Final = frozenset(
    {
        ("numpy", "ndarray"), ("numpy", "dtype"), ("numpy._core.multiarray", "_reconstruct"),
        ("numpy.core.multiarray", "_reconstruct"), ("numpy._core.numeric", "_frombuffer"),
        ("numpy.core.numeric", "_frombuffer"), ("numpy._core.multiarray", "scalar"),
        ("numpy.core.multiarray", "scalar"),
        ("pathlib", "PosixPath"), ("pathlib", "PurePosixPath"), ("pathlib._local", "PosixPath"),
        ("builtins", "frozenset"), ("builtins", "set"), ("builtins", "range"), ("builtins", "slice"),
        ("builtins", "complex"), ("builtins", "bytearray"), ("builtins", "object"),
        ("collections", "OrderedDict"), ("collections", "defaultdict"), ("collections", "deque"),
        ("fractions", "Fraction"), ("copyreg", "_reconstructor"), ("copyreg", "__newobj__"),
        ("datetime", "datetime"), ("datetime", "date"), ("datetime", "timezone"), ("datetime", "timedelta"),
    }
)  # fmt: skip


class FrozenSceneError(RendererError):
    """A file is no compiled scene, or a scene cannot be written as one."""

    code = "renderer.frozen_scene"


class _Piece(Struct, frozen=True):
    """Where bytes lie in the file."""

    offset: int
    size: int


class _Buffer(Struct, frozen=True, tag="buffer"):
    data: _Piece


class _Texture(Struct, frozen=True, tag="texture"):
    target: int
    size: tuple[int, ...]
    """Width, height, and depth or layers."""
    components: int
    dtype: str
    internal_format: int
    levels: list[_Piece]
    filter: tuple[int, int]
    repeat: tuple[bool, ...]
    anisotropy: float
    swizzle: str


class _Head(Struct, frozen=True):
    things: list[_Buffer | _Texture]
    arrays: list[_Piece]
    objects: _Piece
    size: int
    """Of the whole file: one that was cut short is known by it."""


# --- writing ----------------------------------------------------------------------------------------------------------


class _Freezer(pickle.Pickler):
    def __init__(self, file: Any, device: Device, arrays: list[pickle.PickleBuffer]) -> None:
        super().__init__(file, protocol=5, buffer_callback=self._keep)
        self._device, self._arrays = device, arrays
        self.things: list[Any] = []
        self._numbers: dict[int, int] = {}

    def _keep(self, buffer: pickle.PickleBuffer) -> bool:
        # True: it stays with the objects.
        if buffer.raw().nbytes < _SMALL:
            return True
        self._arrays.append(buffer)
        return False

    def reducer_override(self, obj: Any) -> Any:
        # What only holds programs is made anew.
        return (DeformPass, (self._device,)) if isinstance(obj, DeformPass) else NotImplemented

    def persistent_id(self, obj: Any) -> Any:
        if isinstance(obj, moderngl.Buffer | moderngl.Texture | moderngl.Texture3D | moderngl.TextureArray):
            number = self._numbers.setdefault(id(obj), len(self.things))
            if number == len(self.things):
                self.things.append(obj)
            return number
        if obj is self._device:
            return "device"
        if obj is self._device.ctx:
            return "ctx"
        if type(obj).__module__.startswith("moderngl") and not isinstance(obj, type):
            raise FrozenSceneError(
                Problem(FrozenSceneError.code, "scene", f"a {type(obj).__name__} cannot be written to a file")
            )
        return None


def freeze(device: Device, scene: Scene, file: Path) -> int:
    """Write a scene that was never drawn to `file`, whole or not at all; its size in bytes. Off air: it reads the GPU.

    Raises
    ------
    FrozenSceneError : it holds something that cannot be written.
    OSError : it cannot be written there.
    """
    stream = io.BytesIO()
    arrays: list[pickle.PickleBuffer] = []
    freezer = _Freezer(stream, device, arrays)
    try:
        freezer.dump(scene)
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        raise FrozenSceneError(Problem(FrozenSceneError.code, "scene", str(error))) from error
    chunks: list[Any] = []
    at = 0

    def place(data: Any) -> _Piece:
        nonlocal at
        view = memoryview(data).cast("B")
        piece = _Piece(at, view.nbytes)
        chunks.append(view)
        at += -(-view.nbytes // _ALIGN) * _ALIGN
        return piece

    function = _functions(device)
    things = [_read_back(thing, place, function) for thing in freezer.things]
    kept = [place(buffer.raw()) for buffer in arrays]
    objects = place(stream.getvalue())
    head = msgspec.msgpack.encode(_Head(things, kept, objects, at))
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with partial.open("wb") as out:
            first = MAGIC + len(head).to_bytes(8, "little") + head
            out.write(first.ljust(-(-len(first) // mmap.PAGESIZE) * mmap.PAGESIZE, b"\0"))
            for chunk in chunks:
                out.write(chunk)
                out.write(bytes(-chunk.nbytes % _ALIGN))
            size = out.tell()
        partial.rename(file)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return size


def _read_back(thing: Any, place: Callable[[Any], _Piece], gl: _Functions) -> _Buffer | _Texture:
    if isinstance(thing, moderngl.Buffer):
        return _Buffer(place(thing.read()))
    if isinstance(thing, moderngl.Texture):
        count = max(thing.width, thing.height).bit_length() if thing.filter[0] in _MIPMAPPED else 1
        levels = [place(thing.read(level=level)) for level in range(count)]
        target = _TEXTURE_2D
        repeat: tuple[bool, ...] = (thing.repeat_x, thing.repeat_y)
    elif isinstance(thing, moderngl.Texture3D):
        levels, target = [place(thing.read())], _TEXTURE_3D
        repeat = (thing.repeat_x, thing.repeat_y, thing.repeat_z)
    else:
        if thing.filter[0] in _MIPMAPPED:
            raise FrozenSceneError(
                Problem(FrozenSceneError.code, "scene", "an array texture with smaller copies cannot be written")
            )
        levels, target, repeat = [place(thing.read())], _TEXTURE_ARRAY, (thing.repeat_x, thing.repeat_y)
    return _Texture(
        target,
        tuple(thing.size),
        thing.components,
        thing.dtype,
        gl.internal_format(thing.glo),
        levels,
        cast("tuple[int, int]", tuple(thing.filter)),
        repeat,
        float(getattr(thing, "anisotropy", 1.0)),
        thing.swizzle,
    )


# --- reading ----------------------------------------------------------------------------------------------------------


class _Thawer(pickle.Unpickler):
    def __init__(self, file: Any, things: dict[Any, Any], arrays: list[memoryview]) -> None:
        super().__init__(file, buffers=arrays)
        self._things = things

    def persistent_load(self, pid: Any) -> Any:
        return self._things[pid]

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _SAFE or (module.partition(".")[0] in _MODULES and "." not in name):
            found = super().find_class(module, name)
            if (module, name) in _SAFE or isinstance(found, type):
                return found
        raise FrozenSceneError(
            Problem(FrozenSceneError.code, "scene", f"{module}.{name} does not belong into a compiled scene")
        )


class Thaw:
    """A compiled scene on its way to the GPU. Go through `slices`, then take `scene`; `release` frees it again.

    The file is mapped, not read: what the scene keeps of it in the CPU's memory is shared by all nodes of a host.
    """

    def __init__(self, device: Device, file: Path) -> None:
        """Raises FrozenSceneError when the file is none, FileNotFoundError when it is not there."""
        self._device = device
        self._gl = _functions(device)
        with file.open("rb") as stream:
            try:
                # Private: what the scene changes of its arrays is its own.
                self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
                self._head, self._start = _head_of(self._map)
            except (ValueError, msgspec.MsgspecError) as error:
                raise FrozenSceneError(
                    Problem(FrozenSceneError.code, str(file), f"is no compiled scene: {error}")
                ) from error
        self._bytes = memoryview(self._map)
        self._names: list[int] = []
        self._made: list[Any] = []
        self.scene: Scene | None = None

    @property
    def size_bytes(self) -> int:
        """What it takes on the GPU."""
        total = 0
        for thing in self._head.things:
            pieces = [thing.data] if isinstance(thing, _Buffer) else thing.levels
            total += sum(piece.size for piece in pieces)
        return total

    def slices(self) -> Generator[int]:
        """Do it a little at a time. Yields how many ns the next step will take at most, as far as is known; 0: little.

        Closed before its end it frees what it made.
        """
        try:
            things: dict[Any, Any] = {"device": self._device, "ctx": self._device.ctx}
            for number, thing in enumerate(self._head.things):
                if isinstance(thing, _Buffer):
                    yield from self._warm_heap(thing.data.size)
                    made: Any = self._device.ctx.buffer(reserve=max(1, thing.data.size))
                    self._made.append(made)
                    yield 0
                    for start in range(0, thing.data.size, SLICE_BYTES):
                        made.write(self._piece(thing.data)[start : start + SLICE_BYTES], offset=start)
                        yield 0
                else:
                    yield from self._warm_heap(sum(piece.size for piece in thing.levels))
                    made = self._room(thing)
                    yield 0
                    for level in range(len(thing.levels)):
                        yield from self._fill(made, thing, level)
                things[number] = made
            arrays = [self._piece(piece) for piece in self._head.arrays]
            scene = _Thawer(io.BytesIO(self._piece(self._head.objects)), things, arrays).load()
            if not isinstance(scene, Scene):
                raise FrozenSceneError(Problem(FrozenSceneError.code, "scene", "the file holds something else"))
            self.scene = scene
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Free the scene and all that was made for it."""
        if self.scene is not None:
            self.scene.release()
            self.scene = None
        for thing in self._made:
            thing.release()
        # moderngl leaves textures alone that were made elsewhere.
        self._gl.delete_textures(self._names)
        self._made, self._names = [], []

    def _piece(self, piece: _Piece) -> memoryview:
        return self._bytes[self._start + piece.offset : self._start + piece.offset + piece.size]

    def _warm_heap(self, size: int) -> Generator[int]:
        """Before software GL takes so much memory, and clears it in one go: have the system hand it out a little at a
        time. What was touched and given back is what the C library gives out next (`Device` lets it keep that).
        """
        if not self._device.capabilities.software or size < _HEAP_LEAST:
            yield 0
            return
        heap = _heap()
        if heap is not None and size <= _HEAP_MOST:
            address = heap.malloc(size)
            try:
                for start in range(0, size if address else 0, _TOUCH_BYTES):
                    yield _TOUCH_NS
                    ctypes.memset(address + start, 0, min(_TOUCH_BYTES, size - start))
                yield int(size / CLEARED_BYTES_PER_MS * 1e6)
            finally:
                heap.free(address)
        else:
            yield int(size / FRESH_BYTES_PER_MS * 1e6)

    def _room(self, thing: _Texture) -> Any:
        """An empty texture with all its levels, and its settings."""
        ctx = self._device.ctx
        if thing.target == _TEXTURE_2D:
            # Levels are given room at once: a driver that learns of them one by one copies all it has each time.
            name = self._gl.create_texture(thing)
            self._names.append(name)
            made: Any = ctx.external_texture(name, (thing.size[0], thing.size[1]), thing.components, 0, thing.dtype)
            made.anisotropy = 1.0 if self._device.capabilities.software else thing.anisotropy
        else:
            make = ctx.texture3d if thing.target == _TEXTURE_3D else ctx.texture_array
            made = make((thing.size[0], thing.size[1], thing.size[2]), thing.components, None, dtype=thing.dtype)
            self._made.append(made)
        made.filter = thing.filter
        for axis, repeat in zip("xyz", thing.repeat, strict=False):
            setattr(made, f"repeat_{axis}", repeat)
        if thing.swizzle and made.swizzle != thing.swizzle:
            made.swizzle = thing.swizzle
        return made

    def _fill(self, made: Any, thing: _Texture, level: int) -> Generator[int]:
        data = np.frombuffer(self._piece(thing.levels[level]), dtype=np.uint8)
        width, height = (max(1, side >> level) for side in thing.size[:2])
        texel = thing.components * _TYPES[thing.dtype][1]
        if thing.target != _TEXTURE_2D:
            deep = thing.size[2]
            for layer in range(deep):
                self._gl.write_layer(made.glo, thing, layer, data[layer * width * height * texel :])
                yield 0
            return
        rows = max(1, SLICE_BYTES // (width * texel))
        for row in range(0, height, rows):
            count = min(rows, height - row)
            self._gl.write_rows(made.glo, thing, level, row, width, count, data[row * width * texel :])
            yield 0


def thaw(device: Device, file: Path) -> Thaw:
    """All of it at once, off air."""
    thawing = Thaw(device, file)
    for _ in thawing.slices():
        pass
    return thawing


def _head_of(mapped: mmap.mmap) -> tuple[_Head, int]:
    if mapped[:8] != MAGIC:
        raise ValueError("it does not begin like one")
    length = int.from_bytes(mapped[8:16], "little")
    if not 0 < length <= len(mapped) - 16:
        raise ValueError("its head is cut short")
    head = msgspec.msgpack.decode(mapped[16 : 16 + length], type=_Head)
    start = -(-(16 + length) // mmap.PAGESIZE) * mmap.PAGESIZE
    if len(mapped) - start < head.size:
        raise ValueError("it is cut short")
    return head, start


# --- OpenGL -----------------------------------------------------------------------------------------------------------


class _Functions:
    """Calls that moderngl does not have: room for a whole texture, rows of any level, with Python's lock free."""

    def __init__(self, device: Device) -> None:
        integer, name = ctypes.c_int, ctypes.c_uint
        pointer = ctypes.POINTER
        bind = device.function
        self._create = bind("glCreateTextures", None, name, integer, pointer(name))
        self._storage = bind("glTextureStorage2D", None, name, integer, name, integer, integer)
        self._rows = bind(
            "glTextureSubImage2D", None, name, integer, integer, integer, integer, integer, name, name, ctypes.c_void_p
        )
        self._layers = bind(
            "glTextureSubImage3D", None, name, integer, integer, integer, integer, integer, integer, integer, name,
            name, ctypes.c_void_p,
        )  # fmt: skip
        self._delete = bind("glDeleteTextures", None, integer, pointer(name))
        self._level = bind("glGetTextureLevelParameteriv", None, name, integer, name, pointer(integer))
        self._store = bind("glPixelStorei", None, name, integer)
        self._bind_buffer = bind("glBindBuffer", None, name, name)

    def internal_format(self, texture: int) -> int:
        """As OpenGL names it."""
        found = ctypes.c_int()
        self._level(texture, 0, _INTERNAL_FORMAT, ctypes.byref(found))
        return found.value

    def create_texture(self, thing: _Texture) -> int:
        """A 2D texture with room for all its levels."""
        found = ctypes.c_uint()
        self._create(thing.target, 1, ctypes.byref(found))
        self._storage(found.value, len(thing.levels), thing.internal_format, *thing.size[:2])
        return found.value

    def write_rows(
        self, texture: int, thing: _Texture, level: int, row: int, width: int, count: int, data: NDArray[np.uint8]
    ) -> None:
        """`count` rows of a level from `row` on."""
        self._begin()
        kind = _TYPES[thing.dtype][0]
        self._rows(texture, level, 0, row, width, count, _FORMATS[thing.components], kind, data.ctypes.data)

    def write_layer(self, texture: int, thing: _Texture, layer: int, data: NDArray[np.uint8]) -> None:
        """One layer of an array or of a solid."""
        self._begin()
        width, height, _ = thing.size
        kind = _TYPES[thing.dtype][0]
        self._layers(
            texture, 0, 0, 0, layer, width, height, 1, _FORMATS[thing.components], kind, data.ctypes.data
        )  # fmt: skip

    def delete_textures(self, names: list[int]) -> None:
        """Free them."""
        if names:
            self._delete(len(names), (ctypes.c_uint * len(names))(*names))

    def _begin(self) -> None:
        self._bind_buffer(_PIXEL_UNPACK_BUFFER, 0)
        self._store(_UNPACK_ALIGNMENT, 1)


@lru_cache(maxsize=1)
def _heap() -> Any:
    """The C library's malloc and free; None without them."""
    try:
        library = ctypes.CDLL(None)
        library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
        library.free.restype, library.free.argtypes = None, [ctypes.c_void_p]
    except (OSError, AttributeError):
        return None
    return library


_bound: weakref.WeakKeyDictionary[Device, _Functions] = weakref.WeakKeyDictionary()


def _functions(device: Device) -> _Functions:
    # Binding them takes a millisecond: once for a device.
    found = _bound.get(device)
    if found is None:
        found = _bound[device] = _Functions(device)
    return found
