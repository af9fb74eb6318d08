"""The conformance list: files, data, primitives, nodes and materials. Each check is given a `Look`."""

from __future__ import annotations

import math
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from renderer.config import SunConfig
from renderer.gltf.errors import AssetFormatError

_KIT: Any = runpy.run_path(str(Path(__file__).with_name("_gltfkit.py")))
Build, QUAD, QUAD_UV, QUAD_INDICES = (_KIT[name] for name in ("Build", "QUAD", "QUAD_UV", "QUAD_INDICES"))
SIZE, FRONT, at, is_colour = (_KIT[name] for name in ("SIZE", "FRONT", "at", "is_colour"))
RED, GREEN, BLUE = (1.0, 0.0, 0.0, 1.0), (0.0, 1.0, 0.0, 1.0), (0.0, 0.0, 1.0, 1.0)


# --- files and data -------------------------------------------------------------------------------------------------


def _containers(look: Any) -> None:
    for glb in (False, True):
        build = Build()
        build.quad(material=build.unlit(RED))
        assert look.load(build, glb=glb).meshes[0].primitives[0].indices.size == 6
    (look.folder / "b.bin").write_bytes(build.data)
    build.doc["buffers"] = [{"uri": "b.bin", "byteLength": len(build.data)}]
    is_colour(at(look.rgb(build), 0, 0), RED)


def _indices(look: Any) -> None:
    for kind in ("u1", "<u2", "<u4", None):
        build = Build()
        primitive = build.quad(material=build.unlit(GREEN))
        if kind is None:
            primitive |= {"attributes": {"POSITION": build.accessor(QUAD[QUAD_INDICES])}}
            del primitive["indices"]
        else:
            primitive["indices"] = build.accessor(QUAD_INDICES.astype(kind))
        is_colour(at(look.rgb(build), 0.4, -0.4), GREEN)


def _sparse(look: Any) -> None:
    for held in (True, False):
        build = Build()
        primitive = build.quad(material=build.unlit(GREEN))
        accessor = build.doc["accessors"][primitive["attributes"]["POSITION"]]
        far = np.array([[0.9, 0.9, 0]] if held else QUAD.tolist(), dtype="<f4")
        which = np.array([2] if held else [0, 1, 2, 3], dtype="<u2")
        if not held:
            del accessor["bufferView"]
        accessor["sparse"] = {
            "count": len(which),
            "indices": {"bufferView": build.view(which.tobytes()), "componentType": 5123},
            "values": {"bufferView": build.view(far.tobytes())},
        }
        picture = look.rgb(build)
        is_colour(at(picture, 0.0, 0.0), GREEN)
        is_colour(at(picture, 0.7, 0.7), GREEN if held else (0, 0, 0))


def _strides(look: Any) -> None:
    build = Build()
    primitive = build.quad(material=build.unlit())
    colours = np.tile(np.array([0, 0, 1], dtype="<f4"), (4, 1))
    view = build.view(np.hstack([QUAD, colours]).tobytes(), byteStride=24)
    for name, offset in (("POSITION", 0), ("COLOR_0", 12)):
        build.doc["accessors"].append(
            {"bufferView": view, "byteOffset": offset, "componentType": 5126, "count": 4, "type": "VEC3"}
        )
        primitive["attributes"][name] = len(build.doc["accessors"]) - 1
    is_colour(at(look.rgb(build), 0, 0), BLUE)


def _normalised(look: Any) -> None:
    build = Build()
    primitive = build.quad(material=build.unlit())
    primitive["attributes"]["COLOR_0"] = build.accessor(
        np.tile(np.array([255, 0, 128, 255], dtype="u1"), (4, 1)), normalized=True
    )
    is_colour(at(look.rgb(build), 0, 0), (1.0, 0.0, 128 / 255))


# --- primitives -----------------------------------------------------------------------------------------------------

CORNERS = np.array([[-0.5, -0.5, -2], [0.5, -0.5, -2], [-0.5, 0.5, -2], [0.5, 0.5, -2]], dtype="<f4")
RING = CORNERS[[0, 1, 3, 2]]


def _mode(look: Any, mode: int, points: Any) -> Any:
    build = Build()
    build.triangle(points, mode=mode, material=build.matt(RED))
    scene = look.scene(build, ambient=(1.0, 1.0, 1.0))
    return look.rgb(scene)[..., 0] > 0.5


def _points(look: Any) -> None:
    lit = _mode(look, 0, np.float32(np.add(CORNERS, [1 / 64, 1 / 64, 0])))
    assert lit.sum() == 4
    assert lit[int(0.75 * SIZE) - 1, int(0.25 * SIZE)]


def _lines(look: Any) -> None:
    lit = _mode(look, 1, CORNERS + np.array([0, 1 / 64, 0], dtype="<f4"))
    assert lit.sum(axis=1).max() >= SIZE // 2 - 1
    assert (lit.sum(axis=1) > 0).sum() == 2


def _loops(look: Any) -> None:
    lit = _mode(look, 2, RING + np.array([1 / 64, 1 / 64, 0], dtype="<f4"))
    assert abs(int(lit.sum()) - 2 * SIZE) <= 4
    assert not at(lit, 0, 0)


def _strips_of_lines(look: Any) -> None:
    lit = _mode(look, 3, RING + np.array([1 / 64, 1 / 64, 0], dtype="<f4"))
    assert abs(int(lit.sum()) - 1.5 * SIZE) <= 4


def _triangles(look: Any) -> None:
    assert _mode(look, 4, CORNERS[[0, 1, 2, 1, 3, 2]]).sum() == SIZE * SIZE // 4


def _strips(look: Any) -> None:
    assert _mode(look, 5, CORNERS).sum() == SIZE * SIZE // 4


def _fans(look: Any) -> None:
    assert _mode(look, 6, RING).sum() == SIZE * SIZE // 4


def _no_mode(look: Any) -> None:
    build = Build()
    build.triangle(mode=7)
    with pytest.raises(AssetFormatError, match="not a primitive mode"):
        look.load(build)


def _vertex_colours(look: Any) -> None:
    for numbers in (3, 4):
        build = Build()
        primitive = build.quad(material=build.unlit((0.5, 1.0, 1.0, 1.0)))
        colours = np.repeat(np.array([[1, 0, 0, 1], [0, 1, 0, 1]], dtype="<f4"), 2, axis=0)[[0, 2, 2, 0]]
        primitive["attributes"]["COLOR_0"] = build.accessor(np.ascontiguousarray(colours[:, :numbers]))
        picture = look.rgb(build)
        # The first pixel's centre lies 1/32 of the way from red to green.
        is_colour(at(picture, -0.49, 0.0), (0.5 * 31 / 32, 1 / 32, 0.0))
        is_colour(at(picture, 0.49, 0.0), (0.5 / 32, 31 / 32, 0.0))


def _both_uvs(look: Any) -> None:
    build = Build()
    texture = build.picture(np.array([[[255, 0, 0, 255], [0, 255, 0, 255]]]))
    material = build.unlit()
    build.doc["materials"][material]["pbrMetallicRoughness"]["baseColorTexture"] = {"index": texture, "texCoord": 1}
    primitive = build.quad(material=material)
    primitive["attributes"]["TEXCOORD_1"] = build.accessor(np.float32([1, 1] - QUAD_UV))
    picture = look.rgb(build)
    is_colour(at(picture, -0.3, 0), GREEN)
    is_colour(at(picture, 0.3, 0), RED)


def _third_uv(look: Any) -> None:
    build = Build()
    material = build.unlit()
    build.doc["materials"][material]["pbrMetallicRoughness"]["baseColorTexture"] = {
        "index": build.picture(np.zeros((1, 1, 4))), "texCoord": 2,
    }  # fmt: skip
    build.quad(material=material)
    with pytest.raises(AssetFormatError, match="sets 0 and 1"):
        look.load(build)


def _further_sets(look: Any) -> None:
    build = Build()
    primitive = build.quad()
    primitive["attributes"] |= {"COLOR_1": primitive["attributes"]["POSITION"], "_ID": 0}
    assert any("COLOR_1" in note for note in look.load(build).notes)
    assert not any("_ID" in note for note in look.load(build).notes)


def _flat(look: Any) -> None:
    build = Build()
    tilted = QUAD[QUAD_INDICES] * [1, 1, 0] + [0, 0, -2]
    tilted[:, 2] += tilted[:, 0]  # 45 degrees to the light
    build.triangle(tilted.astype("<f4"), material=build.matt())
    lit = at(look.rgb(build, sun=FRONT), 0, 0)
    assert abs(lit[0] - math.cos(math.pi / 4)) < 0.06


def _tangents(look: Any) -> None:
    values = []
    for given in (True, False):
        build = Build()
        # A normal that leans towards +u by 45 degrees.
        leaning = build.picture(np.array([[[218, 128, 218, 255]]]))
        primitive = build.quad(material=build.matt(normalTexture={"index": leaning}))
        if given:
            primitive["attributes"]["TANGENT"] = build.accessor(np.tile(np.array([1, 0, 0, 1], dtype="<f4"), (4, 1)))
        from_right = SunConfig(pan_deg=-135.0, elevation_deg=0.0, illuminance=math.pi, shadow=False)
        values.append(at(look.rgb(build, sun=from_right), 0, 0)[0])
    assert abs(values[0] - 1.0) < 0.08
    assert abs(values[0] - values[1]) < 1e-3


# --- nodes ----------------------------------------------------------------------------------------------------------


def _nodes(look: Any) -> None:
    turn = math.sqrt(0.5)
    for matrix in (False, True):
        build = Build()
        build.quad(material=build.unlit(RED))
        child: dict[str, Any] = {"mesh": 0}
        if matrix:
            child["matrix"] = [0, 0.5, 0, 0, -1, 0, 0, 0, 0, 0, 1, 0, 0.5, 0, 0, 1]
        else:
            child |= {"translation": [0.5, 0, 0], "rotation": [0, 0, turn, turn], "scale": [0.5, 1, 1]}
        build.doc["nodes"] = [{"children": [1], "translation": [0, 0.25, -2]}, child]
        build.doc["scenes"] = [{"nodes": [0]}]
        lit = look.rgb(build)[..., 0] > 0.5
        rows, columns = np.nonzero(lit)
        assert (columns.min(), columns.max()) == (16, 31)
        assert (rows.min(), rows.max()) == (8, 15)


def _mirrored(look: Any) -> None:
    build = Build()
    build.quad(material=build.unlit(RED))
    build.doc["nodes"][0]["scale"] = [-1, 1, 1]
    is_colour(at(look.rgb(build), 0, 0), RED)


def _scenes(look: Any) -> None:
    build = Build()
    build.quad(material=build.unlit(RED))
    build.quad(material=build.unlit(GREEN))
    build.doc["scenes"] = [{"nodes": [0]}, {"nodes": [1]}]
    build.doc["scene"] = 1
    is_colour(at(look.rgb(build), 0, 0), GREEN)
    assert any("2 scenes" in note for note in look.load(build).notes)


def _cameras(look: Any) -> None:
    build = Build()
    build.quad()
    build.add("cameras", type="perspective", perspective={"yfov": 1.0, "znear": 0.1})
    assert any("cameras" in note for note in look.load(build).notes)


# --- materials ------------------------------------------------------------------------------------------------------


def _textured(look: Any, key: str, pixel: Any, **material: Any) -> Any:
    """The middle of a lit quad, textured with one pixel."""
    build = Build()
    pbr = {"baseColorFactor": [1, 1, 1, 1], "metallicFactor": 0.0, "roughnessFactor": 1.0} | material.pop("pbr", {})
    use = {"index": build.picture(np.array([[pixel]]))}
    number = build.add("materials", **material)
    inside = key in ("baseColorTexture", "metallicRoughnessTexture")
    build.doc["materials"][number]["pbrMetallicRoughness"] = pbr | ({key: use} if inside else {})
    if not inside:
        build.doc["materials"][number][key] = use
    build.quad(material=number)
    return at(look.rgb(build, sun=FRONT, ambient=(0.5, 0.5, 0.5)), 0, 0)


def _base(look: Any) -> None:
    white = _textured(look, "baseColorTexture", [255, 255, 255, 255])
    half = _textured(look, "baseColorTexture", [188, 255, 255, 255], pbr={"baseColorFactor": [1, 0.5, 1, 1]})
    assert abs(half[0] / white[0] - 0.5) < 0.05
    assert abs(half[1] / white[1] - 0.5) < 0.05


def _rough(look: Any) -> None:
    pbr = {"metallicFactor": 1.0, "roughnessFactor": 1.0}
    metal = _textured(look, "metallicRoughnessTexture", [0, 128, 255, 255], pbr=pbr)
    plain = _textured(look, "metallicRoughnessTexture", [0, 128, 0, 255], pbr=pbr)
    assert abs(metal[0] - plain[0]) > 0.1


def _occlusion(look: Any) -> None:
    open_, dark = (_textured(look, "occlusionTexture", [v, 0, 0, 255]) for v in (255, 0))
    assert 0.4 < open_[0] - dark[0] < 0.6  # the ambient light alone


def _emissive(look: Any) -> None:
    off, on = (_textured(look, "emissiveTexture", [v, 0, 0, 255], emissiveFactor=[1, 1, 1]) for v in (0, 255))
    np.testing.assert_allclose(on - off, [1, 0, 0], atol=0.02)


def _samplers(look: Any) -> None:
    for wrap, expected in ((10497, RED), (33071, GREEN), (33648, GREEN)):
        build = Build()
        texture = build.picture(np.array([[[255, 0, 0, 255], [0, 255, 0, 255]]]))
        build.doc["samplers"][0] |= {"wrapS": wrap, "wrapT": wrap}
        material = build.unlit()
        build.doc["materials"][material]["pbrMetallicRoughness"]["baseColorTexture"] = {"index": texture}
        primitive = build.quad(material=material)
        primitive["attributes"]["TEXCOORD_0"] = build.accessor(np.float32(QUAD_UV * [2, 1]))
        is_colour(at(look.rgb(build), 0.1, 0), expected)
    for smallest, kinds in ((9728, (False, False)), (9729, (True, False)), (9984, (False, True)), (9987, (True, True))):
        build = Build()
        build.picture(np.zeros((1, 1, 4)))
        build.doc["samplers"][0]["minFilter"] = smallest
        sampler = look.load(build).textures[0].sampler
        assert (sampler.min_linear, sampler.mips) == kinds


def _alpha(look: Any) -> None:
    for mode, expected in (("OPAQUE", 1.0), ("MASK", 0.0), ("BLEND", 0.25)):
        build = Build()
        build.quad(material=build.unlit((1.0, 1.0, 1.0, 0.25), alphaMode=mode, alphaCutoff=0.5))
        is_colour(at(look.rgb(build), 0, 0), [expected] * 3)


def _sides(look: Any) -> None:
    for double in (False, True):
        build = Build()
        build.quad(material=build.unlit(RED, doubleSided=double))
        build.doc["nodes"][0]["rotation"] = [0, 1, 0, 0]
        is_colour(at(look.rgb(build), 0, 0), RED if double else (0, 0, 0))


ROWS: list[tuple[str, str, str, str, Any]] = [
    ("Files", "`.gltf`, `.glb`, data uris, files beside the asset", "read", "", _containers),
    ("Data", "indices of 8, 16, 32 bits, and none", "drawn", "", _indices),
    ("Data", "sparse accessors, with and without a buffer view", "drawn", "", _sparse),
    ("Data", "interleaved buffer views (`byteStride`)", "drawn", "", _strides),
    ("Data", "normalised integers (colours, coordinates, rotations, weights)", "drawn", "", _normalised),
    ("Primitives", "points (mode 0)", "drawn", "a pixel each; without normals they show their colour, unlit", _points),
    ("Primitives", "lines (mode 1)", "drawn", "a pixel wide", _lines),
    ("Primitives", "line loops (mode 2)", "drawn", "", _loops),
    ("Primitives", "line strips (mode 3)", "drawn", "", _strips_of_lines),
    ("Primitives", "triangles (mode 4)", "drawn", "", _triangles),
    (
        "Primitives",
        "triangle strips (mode 5)",
        "drawn",
        "every second one turned round",
        _strips,
    ),
    ("Primitives", "triangle fans (mode 6)", "drawn", "", _fans),
    ("Primitives", "a mode that is none", "refused", "", _no_mode),
    ("Primitives", "`COLOR_0`, 3 or 4 numbers, multiplied with the base colour", "drawn", "", _vertex_colours),
    ("Primitives", "`TEXCOORD_0` and `TEXCOORD_1`", "drawn", "", _both_uvs),
    ("Primitives", "a material that reads `TEXCOORD_2` or higher", "refused", "", _third_uv),
    (
        "Primitives",
        "further sets (`TEXCOORD_2`, `COLOR_1`, `JOINTS_2`)",
        "noted",
        "`_NAME` silently",
        _further_sets,
    ),
    ("Primitives", "no normals: flat ones", "drawn", "", _flat),
    ("Primitives", "tangents, given or made from the coordinates", "drawn", "", _tangents),
    ("Nodes", "translation, rotation, scale; `matrix`; trees", "drawn", "", _nodes),
    ("Nodes", "mirrored objects keep their front", "drawn", "", _mirrored),
    ("Nodes", "the default scene of several", "drawn", "the others are noted", _scenes),
    ("Nodes", "cameras", "noted", "cameras are tracked ones", _cameras),
    ("Materials", "base colour and its texture (sRGB)", "drawn", "", _base),
    ("Materials", "metallic and roughness, and their texture", "drawn", "", _rough),
    ("Materials", "occlusion and its strength", "drawn", "", _occlusion),
    ("Materials", "emissive colour and texture", "drawn", "", _emissive),
    ("Materials", "samplers: repeat, clamp, mirror; nearest, linear, mips", "drawn", "", _samplers),
    ("Materials", "alpha: opaque, mask, blend", "drawn", "", _alpha),
    ("Materials", "double-sided; the back of others is not drawn", "drawn", "", _sides),
]
"""Section, feature, verdict, note, check."""
