"""What a file of the library is: its kind, its parts, its figures, and what is wrong with it. No GL, and no decoding:
of assets the JSON is read, of pictures the head, scene files whole.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from controller.library.entries import Facts, Kind
from renderer.config import SceneConfig
from renderer.gltf.document import Document, JsonNode, JsonPrimitive, read_document_json
from renderer.gltf.outline import outline_of
from renderer.scene_check import scene_problems
from renderer.scene_file import files_of, normal_form, read_scene_file
from stage.errors import OpenVolumeError, Problem
from stage.frames import STAGE_FROM_Y_UP, rotation_from_quaternion

F64 = NDArray[np.float64]

ASSETS: Final = (".glb", ".gltf")
PICTURES: Final = (".hdr", ".exr", ".jpg", ".jpeg", ".png", ".webp")
SCENES: Final = (".scene.yaml", ".scene.yml")
_DOME_SIDES: Final = ((2, 1), (6, 1), (1, 6))
_CROSS_SIDES: Final = ((4, 3), (3, 4))
"""Of a cube laid out as a cross; pictures for eyes of these sides are photographs."""
_FLOATS: Final = (".hdr", ".exr")
_TRIANGLES: Final = (4, 5, 6)
"""glTF's modes: triangles, strip, fan."""


class Found:
    """What was read of one file.

    Attributes
    ----------
    facts, problems : what it is made of, and why it cannot be shown
    parts : files it consists of beside itself, there or not
    names : files a scene file names
    label, tags : what it says of itself
    kind : another than its name tells (a picture that is no dome)
    """

    def __init__(self, kind: Kind) -> None:
        self.kind: Kind = kind
        self.facts = Facts()
        self.parts: list[Path] = []
        self.names: list[Path] = []
        self.problems: list[Problem] = []
        self.label = ""
        self.tags: list[str] = []


def kind_of(name: str) -> Kind | None:
    """What a file is by its name; None: nothing the library lists. A picture counts as a dome until it is read."""
    lower = name.lower()
    if lower.endswith(SCENES):
        return "scene"
    suffix = Path(lower).suffix
    if suffix in ASSETS:
        return "asset"
    return "dome" if suffix in PICTURES else None


def read(file: Path, kind: Kind) -> Found:
    """Everything that can be told of a file. Never raises for what a file holds."""
    found = Found(kind)
    how: dict[Kind, Callable[[Path, Found], None]] = {"asset": _asset, "scene": _scene}
    try:
        how.get(kind, _picture)(file, found)
    except OpenVolumeError as error:
        found.problems.extend(error.problems)
    except (OSError, ValueError, ArithmeticError, LookupError, TypeError, RecursionError) as error:
        detail = f"{type(error).__name__}: {error}"
        found.problems.append(Problem("controller.library_file", str(file), detail, None, "export it again"))
    return found


# --- assets -----------------------------------------------------------------------------------------------------------


def _asset(file: Path, found: Found) -> None:
    document = read_document_json(file)
    folder = file.parent.resolve()
    for uri in [b.uri for b in document.buffers] + [i.uri for i in document.images]:
        if uri and not uri.startswith("data:") and "://" not in uri:
            part = (folder / unquote(uri)).resolve()
            if part.is_relative_to(folder) and part not in found.parts:
                found.parts.append(part)
    for part in found.parts:
        if not part.is_file():
            detail = f"there is no file {part.relative_to(folder)} beside it"
            mend = "put it there, or export as .glb"
            found.problems.append(Problem("renderer.asset_missing", str(file), detail, None, mend))
    told = outline_of(document)
    triangles, low, high = _shown(document)
    found.facts = Facts(
        triangles=triangles,
        meshes=len(document.meshes),
        materials=len(document.materials),
        textures=len(document.images),
        lights=told.lights,
        skins=told.skins,
        animations=list(told.animations),
        variants=list(told.variants),
        low_m=low,
        high_m=high,
    )


def _shown(document: Document) -> tuple[int, Any, Any]:
    """Triangles of every node that is shown, and the corners of the box they stand in, in the stage's axes."""
    scene = document.scenes[document.scene or 0].nodes if document.scenes else range(len(document.nodes))
    triangles = 0
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    waiting = [(index, STAGE_FROM_Y_UP) for index in scene]
    seen = 0
    while waiting:
        index, above = waiting.pop()
        seen += 1
        if seen > 1_000_000:
            raise ValueError("its nodes go round in a ring")
        node = document.nodes[index]
        world = above @ _place(node)
        waiting += [(child, world) for child in node.children]
        if node.mesh is None:
            continue
        for primitive in document.meshes[node.mesh].primitives:
            triangles += _triangles(document, primitive)
            box = document.accessors[primitive.attributes["POSITION"]] if "POSITION" in primitive.attributes else None
            if box is not None and box.min is not None and box.max is not None:
                ends = np.array([box.min[:3], box.max[:3]])
                corners = np.array([[ends[i & 1, 0], ends[i >> 1 & 1, 1], ends[i >> 2, 2], 1.0] for i in range(8)])
                placed = (corners @ world.T)[:, :3]
                low, high = np.minimum(low, placed.min(axis=0)), np.maximum(high, placed.max(axis=0))
    if not np.isfinite(low).all() or not np.isfinite(high).all():
        return triangles, None, None
    return triangles, tuple(low.tolist()), tuple(high.tolist())


def _triangles(document: Document, primitive: JsonPrimitive) -> int:
    accessor = primitive.indices if primitive.indices is not None else primitive.attributes.get("POSITION")
    if accessor is None or primitive.mode not in _TRIANGLES:
        return 0
    count = document.accessors[accessor].count
    return count // 3 if primitive.mode == _TRIANGLES[0] else max(0, count - 2)


def _place(node: JsonNode) -> F64:
    if node.matrix is not None:
        return np.array(node.matrix, dtype=np.float64).reshape(4, 4).T
    out = np.eye(4)
    out[:3, :3] = rotation_from_quaternion(node.rotation) * np.asarray(node.scale)
    out[:3, 3] = node.translation
    return out


# --- pictures ---------------------------------------------------------------------------------------------------------


def _picture(file: Path, found: Found) -> None:
    width, height = _size_px(file)
    found.facts = Facts(width_px=width, height_px=height)
    sides = (*_DOME_SIDES, *(_CROSS_SIDES if file.suffix.lower() in _FLOATS else ()))
    if not any(width * down == height * across for across, down in sides):
        found.kind = "picture"


def _size_px(file: Path) -> tuple[int, int]:
    if file.suffix.lower() not in _FLOATS:
        from PIL import Image

        with Image.open(file) as picture:
            return picture.size
    import OpenImageIO as oiio

    opened = oiio.ImageInput.open(str(file))
    if opened is None:
        raise ValueError(oiio.geterror().strip() or "it cannot be read")
    try:
        spec = opened.spec()
        return int(spec.width), int(spec.height)
    finally:
        opened.close()


# --- scene files ------------------------------------------------------------------------------------------------------


def _scene(file: Path, found: Found) -> None:
    config, problems = read_scene_file(file)
    found.problems.extend(problems)
    if config is None:
        return
    found.label, found.tags = config.label, list(config.tags)
    found.names = [file.parent / name for _, name in files_of(config)]
    found.problems.extend(scene_problems(config, file.parent))
    normal = normal_form(config)
    triangles = materials = textures = 0
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for name, thing in normal.objects.items():
        asset = read(file.parent / thing.gltf, "asset").facts
        triangles, materials = triangles + asset.triangles, materials + asset.materials
        textures += asset.textures
        if asset.low_m is not None and asset.high_m is not None:
            ends = np.array([asset.low_m, asset.high_m])
            place = normal.objects[name].transform
            corners = np.array([[ends[i & 1, 0], ends[i >> 1 & 1, 1], ends[i >> 2, 2], 1.0] for i in range(8)])
            placed = (corners @ place.T)[:, :3]
            low, high = np.minimum(low, placed.min(axis=0)), np.maximum(high, placed.max(axis=0))
    there = bool(np.isfinite(low).all())
    found.facts = Facts(
        triangles=triangles,
        materials=materials,
        textures=textures + len(files_of_dome(config)),
        lights=len(config.lights),
        objects=len(normal.objects),
        low_m=tuple(low.tolist()) if there else None,
        high_m=tuple(high.tolist()) if there else None,
    )


def files_of_dome(config: SceneConfig) -> list[str]:
    """The pictures of a scene's dome."""
    return [name for place, name in files_of(config) if place.startswith("dome/")]
