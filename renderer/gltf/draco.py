"""KHR_draco_mesh_compression: a primitive's attributes and indices out of a Draco stream (package `DracoPy`)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from renderer.gltf.errors import AssetDataError, AssetExtensionError, AssetFormatError
from renderer.gltf.reading import MEND, Reading

NAME = "KHR_draco_mesh_compression"


def decode(
    reading: Reading, source: dict[str, Any], accessors: dict[str, int], place: str
) -> tuple[dict[str, NDArray[Any]], NDArray[np.uint32]]:
    """(attributes by name, [vertices, n], as stored; triangle-list indices) of a primitive's Draco extension.

    `accessors` are the primitive's own attributes: they say which integers stand for fractions.

    Raises
    ------
    AssetExtensionError : DracoPy is not installed.
    AssetFormatError, AssetDataError, AssetReferenceError
    """
    try:
        import DracoPy
    except ImportError as error:
        raise AssetExtensionError(
            reading.file, place, "its meshes are compressed with Draco, and DracoPy is not installed", value=NAME,
            mend="install it (pip install 'openvolume[draco]'), or export the asset without compression",
        ) from error  # fmt: skip
    view, ids = source.get("bufferView"), source.get("attributes")
    if not isinstance(view, int) or not isinstance(ids, dict):
        raise AssetFormatError(reading.file, place, "needs bufferView and attributes", mend=MEND)
    data = bytes(reading.accessors.view(view, f"{place}.bufferView"))
    try:
        mesh = DracoPy.decode(data)
    except Exception as error:  # DracoPy raises whatever its C++ part does
        raise AssetDataError(reading.file, place, f"cannot be decompressed: {error}", mend=MEND) from error
    faces = getattr(mesh, "faces", None)
    if faces is None:
        raise AssetDataError(reading.file, place, "holds points, not triangles", mend=MEND)
    by_id = {entry["unique_id"]: entry["data"] for entry in mesh.attributes}
    found: dict[str, NDArray[Any]] = {}
    for name, number in ids.items():
        if not isinstance(number, int) or number not in by_id:
            raise AssetDataError(
                reading.file, f"{place}.attributes.{name}", "the Draco stream has no such attribute", value=number,
                mend=MEND,
            )  # fmt: skip
        values = np.asarray(by_id[number])
        values = values.reshape(len(values), -1)
        accessor = reading.accessors.pick(
            reading.document.accessors, accessors.get(name, -1), "accessors", f"{place}.attributes.{name}"
        )
        if accessor.normalized and values.dtype.kind in "iu":
            values = np.maximum(values.astype(np.float32) / np.iinfo(values.dtype).max, -1.0)
        found[name] = values
    return found, np.ascontiguousarray(faces, dtype=np.uint32).reshape(-1)
