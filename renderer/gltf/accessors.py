"""glTF accessors turned into arrays: every component type, normalised integers, strides, sparse replacement."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from renderer.gltf.document import Document, read_uri
from renderer.gltf.errors import AssetDataError, AssetFormatError, AssetReferenceError

_T = TypeVar("_T")
_MOST_ELEMENTS = 1 << 27
"""More than any real mesh; a larger count is damage, and would only eat the memory."""
_COMPONENTS: dict[int, np.dtype[np.generic]] = {
    5120: np.dtype("<i1"),
    5121: np.dtype("<u1"),
    5122: np.dtype("<i2"),
    5123: np.dtype("<u2"),
    5125: np.dtype("<u4"),
    5126: np.dtype("<f4"),
}
_LARGEST = {5120: 127, 5121: 255, 5122: 32767, 5123: 65535, 5125: 4294967295}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}


class Accessors:
    """Typed reads out of an asset's buffers; each buffer is fetched once, when first needed."""

    def __init__(self, file: Path, document: Document, binary: bytes | None) -> None:
        self._file = file
        self._document = document
        self._binary = binary
        self._buffers: dict[int, bytes] = {}

    def view(self, index: int, place: str) -> memoryview:
        """The bytes of buffer view `index`; `place` names who asks.

        Raises
        ------
        AssetReferenceError, AssetDataError, AssetFormatError, AssetMissingError, AssetOutsideError
        """
        view = self.pick(self._document.bufferViews, index, "bufferViews", place)
        data = self._buffer(view.buffer, f"bufferViews[{index}].buffer")
        end = view.byteOffset + view.byteLength
        if view.byteOffset < 0 or view.byteLength < 0 or end > len(data):
            raise AssetDataError(
                self._file,
                f"bufferViews[{index}]",
                f"ends at byte {end} of a buffer of {len(data)}",
                value=end,
                mend="the file is cut short or damaged: export it again",
            )
        return memoryview(data)[view.byteOffset : end]

    def read(self, index: int, place: str, *, width: int | tuple[int, ...]) -> NDArray[np.float32]:
        """Accessor `index` as float32, [count, width]; normalised integers become 0..1 or -1..1.

        Raises
        ------
        AssetReferenceError, AssetDataError, AssetFormatError : also when `width` is not the accessor's.
        """
        values = self._elements(index, place, width)
        accessor = self._document.accessors[index]
        out = values.astype(np.float32)
        if accessor.normalized and values.dtype.kind in "iu":
            out /= np.float32(_LARGEST[accessor.componentType])
            if values.dtype.kind == "i":
                np.maximum(out, -1.0, out=out)
        if not np.isfinite(out).all():
            bad = int(np.argmax(~np.isfinite(out).all(axis=1)))
            raise AssetDataError(
                self._file,
                f"accessors[{index}]",
                f"element {bad} is not a finite number",
                value=str(out[bad].tolist()),
                mend="clean the mesh or animation and export it again",
            )
        return out

    def read_indices(self, index: int, place: str) -> NDArray[np.uint32]:
        """Accessor `index` as vertex indices, [count].

        Raises
        ------
        AssetReferenceError, AssetDataError, AssetFormatError
        """
        values = self._elements(index, place, 1)
        if values.dtype.kind != "u":
            raise AssetFormatError(
                self._file,
                f"accessors[{index}].componentType",
                "indices must be unsigned integers",
                value=self._document.accessors[index].componentType,
                mend="export the asset again",
            )
        return values[:, 0].astype(np.uint32)

    def read_integers(self, index: int, place: str, *, width: int) -> NDArray[np.uint32]:
        """Accessor `index` as unsigned integers, [count, width].

        Raises
        ------
        AssetReferenceError, AssetDataError, AssetFormatError
        """
        values = self._elements(index, place, width)
        if values.dtype.kind != "u":
            raise AssetFormatError(
                self._file, f"accessors[{index}].componentType", f"{place} needs unsigned integers",
                value=self._document.accessors[index].componentType, mend="export the asset again",
            )  # fmt: skip
        return values.astype(np.uint32)

    def pick(self, items: list[_T], index: int, name: str, place: str) -> _T:
        """`items[index]`, or the error that `place` points to something the asset lacks.

        Raises
        ------
        AssetReferenceError
        """
        if not 0 <= index < len(items):
            raise AssetReferenceError(
                self._file,
                place,
                f"the asset has {len(items)} {name}",
                value=index,
                mend="export the asset again",
            )
        return items[index]

    def _buffer(self, index: int, place: str) -> bytes:
        if index not in self._buffers:
            buffer = self.pick(self._document.buffers, index, "buffers", place)
            if buffer.uri is not None:
                data = read_uri(self._file, buffer.uri, f"buffers[{index}].uri")
            elif index == 0 and self._binary is not None:
                data = self._binary
            else:
                raise AssetFormatError(
                    self._file, f"buffers[{index}]", "has neither a uri nor a GLB chunk", mend="export it again"
                )
            if len(data) < buffer.byteLength:
                raise AssetDataError(
                    self._file,
                    f"buffers[{index}]",
                    f"has {len(data)} bytes where {buffer.byteLength} are declared",
                    value=len(data),
                    mend="the file is cut short: copy it again",
                )
            self._buffers[index] = data
        return self._buffers[index]

    def _elements(self, index: int, place: str, width: int | tuple[int, ...]) -> NDArray[np.generic]:
        accessor = self.pick(self._document.accessors, index, "accessors", place)
        here = f"accessors[{index}]"
        dtype = self._dtype(accessor.componentType, f"{here}.componentType")
        has = _WIDTHS.get(accessor.type)
        wanted = (width,) if isinstance(width, int) else width
        if has is None or has not in wanted:
            raise AssetFormatError(
                self._file, f"{here}.type", f"{place} needs {' or '.join(map(str, wanted))} components",
                value=accessor.type, mend="export the asset again",
            )  # fmt: skip
        if not 1 <= accessor.count <= _MOST_ELEMENTS:
            raise AssetFormatError(
                self._file,
                f"{here}.count",
                f"must be 1 to {_MOST_ELEMENTS}",
                value=accessor.count,
                mend="export it again",
            )
        if accessor.bufferView is None:
            values = np.zeros((accessor.count, has), dtype=dtype)
        else:
            stride = self._document.bufferViews[accessor.bufferView].byteStride if (
                0 <= accessor.bufferView < len(self._document.bufferViews)
            ) else None  # fmt: skip
            values = self._strided(
                accessor.bufferView,
                accessor.byteOffset,
                accessor.count,
                has,
                dtype,
                stride or dtype.itemsize * has,
                here,
            )
        if accessor.sparse is not None:
            sparse = accessor.sparse
            values = values.copy()
            at_type = self._dtype(sparse.indices.componentType, f"{here}.sparse.indices.componentType")
            at = self._strided(
                sparse.indices.bufferView, sparse.indices.byteOffset, sparse.count, 1, at_type, at_type.itemsize,
                f"{here}.sparse.indices",
            )[:, 0].astype(np.int64)  # fmt: skip
            if at.size and int(at.max()) >= accessor.count:
                raise AssetReferenceError(
                    self._file, f"{here}.sparse.indices", f"the accessor has {accessor.count} elements",
                    value=int(at.max()), mend="export the asset again",
                )  # fmt: skip
            values[at] = self._strided(
                sparse.values.bufferView, sparse.values.byteOffset, sparse.count, has, dtype, dtype.itemsize * has,
                f"{here}.sparse.values",
            )  # fmt: skip
        return values

    def _dtype(self, component_type: int, place: str) -> np.dtype[np.generic]:
        dtype = _COMPONENTS.get(component_type)
        if dtype is None:
            raise AssetFormatError(
                self._file, place, "is not a glTF component type", value=component_type, mend="export the asset again"
            )
        return dtype

    def _strided(
        self, view: int, offset: int, count: int, width: int, dtype: np.dtype[np.generic], stride: int, place: str
    ) -> NDArray[np.generic]:
        data = self.view(view, f"{place}.bufferView")
        end = offset + stride * (count - 1) + dtype.itemsize * width
        if offset < 0 or count < 1 or stride < dtype.itemsize * width or end > len(data):
            raise AssetDataError(
                self._file, place, f"{count} elements end at byte {end} of a buffer view of {len(data)}",
                value=count, mend="the file is cut short or damaged: export it again",
            )  # fmt: skip
        return np.ndarray((count, width), dtype, data, offset, (stride, dtype.itemsize))
