"""The glTF reader: samples of the wild, every feature built by hand, and each fault refused in words."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from renderer.gltf import errors, geometry
from renderer.gltf.animation import Hierarchy, rest_transform, sample
from renderer.gltf.loader import load
from renderer.gltf.model import Channel

_KIT: Any = runpy.run_path(str(Path(__file__).with_name("_gltfkit.py")))
Build, TRIANGLE, png = _KIT["Build"], _KIT["TRIANGLE"], _KIT["png"]


# --- files of the wild ------------------------------------------------------------------------------------------


def test_flight_helmet_is_read_whole(reference: Path) -> None:
    asset = load(reference / "assets" / "FlightHelmet" / "FlightHelmet.gltf")
    assert len(asset.materials) == 6
    assert len(asset.images) == 15
    assert asset.triangles > 40_000
    assert asset.notes == ()
    points = np.concatenate([p.positions for mesh in asset.meshes for p in mesh.primitives])
    assert 0.5 < np.ptp(points[:, 1]) < 0.8
    for primitive in (p for mesh in asset.meshes for p in mesh.primitives):
        assert np.allclose(np.linalg.norm(primitive.normals, axis=1), 1.0, atol=1e-5)
        assert primitive.tangents is not None


def test_small_samples_are_read(reference: Path) -> None:
    box = load(reference / "assets" / "BoxTextured.glb")
    assert (box.triangles, box.images[0].shape) == (12, (256, 256, 4))
    alien = load(reference / "assets" / "alien.glb")
    assert {m.name for m in alien.materials} >= {"metal", "crystal"}
    skin = load(reference / "assets" / "SimpleSkin.gltf")
    assert skin.animations[0].duration_s == pytest.approx(5.5)
    assert skin.notes == ()
    assert [len(s.joints) for s in skin.skins] == [2]


# --- features ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("glb", [False, True])
def test_containers_hold_the_same_mesh(tmp_path: Path, glb: bool) -> None:
    build = Build()
    primitive = build.triangle()
    primitive["indices"] = build.accessor(np.array([0, 1, 2], dtype="<u2"))
    asset = load(build.write(tmp_path, glb=glb))
    (only,) = asset.meshes[0].primitives
    assert np.array_equal(only.positions, TRIANGLE)
    assert only.indices.tolist() == [0, 1, 2]
    assert np.allclose(only.normals, [0, 0, 1])


def test_external_buffer_and_image_beside_the_asset(tmp_path: Path) -> None:
    build = Build()
    build.triangle()
    (tmp_path / "a b.bin").write_bytes(build.data)
    (tmp_path / "t.png").write_bytes(png((10, 20, 30, 40)))
    build.doc["buffers"] = [{"uri": "a%20b.bin", "byteLength": len(build.data)}]
    build.doc["images"] = [{"uri": "t.png"}]
    asset = load(build.write(tmp_path))
    assert asset.images[0][0, 0].tolist() == [10, 20, 30, 40]


def test_sparse_strided_and_normalised_accessors(tmp_path: Path) -> None:
    build = Build()
    primitive = build.triangle()
    at, to = build.view(np.array([2], dtype="<u1").tobytes()), build.view(np.array([5, 6, 7], dtype="<f4").tobytes())
    build.doc["accessors"][0]["sparse"] = {
        "count": 1, "indices": {"bufferView": at, "componentType": 5121}, "values": {"bufferView": to},
    }  # fmt: skip
    uv = np.array([[0, 65535], [32768, 0], [1, 2]], dtype="<u2")
    primitive["attributes"]["TEXCOORD_0"] = build.accessor(uv, normalized=True)
    padded = np.zeros((3, 8), dtype="<u1")
    padded[:, :4] = [[255, 0, 51, 255], [0, 255, 0, 0], [1, 2, 3, 4]]
    view = build.view(padded.tobytes(), byteStride=8)
    build.doc["accessors"].append(
        {"bufferView": view, "componentType": 5121, "count": 3, "type": "VEC4", "normalized": True}
    )
    primitive["attributes"]["COLOR_0"] = len(build.doc["accessors"]) - 1
    primitive["attributes"]["NORMAL"] = build.accessor(
        np.array([[0, 0, 127], [0, 0, 64], [-128, 0, 0]], dtype="<i1"), normalized=True
    )
    (only,) = load(build.write(tmp_path)).meshes[0].primitives
    assert only.positions[2].tolist() == [5, 6, 7]
    assert only.uv0 is not None
    assert np.allclose(only.uv0, uv / 65535)
    assert only.colours is not None
    assert np.allclose(only.colours[0], [1, 0, 0.2, 1])
    assert np.allclose(only.normals, [[0, 0, 1], [0, 0, 1], [-1, 0, 0]])


def test_strips_and_fans_become_triangles_that_face_the_same_way(tmp_path: Path) -> None:
    square = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], dtype="<f4")
    for mode, points in ((5, square), (6, square[[0, 1, 3, 2]])):
        build = Build()
        build.triangle(points, mode=mode)
        (only,) = load(build.write(tmp_path)).meshes[0].primitives
        assert only.indices.size == 6
        assert np.allclose(only.normals, [0, 0, 1])
        assert np.isclose(_area(only.positions, only.indices), 1.0)


def _area(points: np.ndarray[Any, Any], indices: np.ndarray[Any, Any]) -> float:
    a, b, c = (points[indices[i::3]] for i in range(3))
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


def test_tangents_follow_the_texture() -> None:
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], dtype=np.float32)
    normals = np.tile(np.array([0, 0, 1], np.float32), (4, 1))
    indices = np.array([0, 1, 2, 0, 2, 3], dtype=np.uint32)
    # glTF's v grows downwards in the picture, a normal map's green upwards: a picture that stands upright has +1.
    plain = geometry.tangents(square, normals, np.column_stack([square[:, 0], 1 - square[:, 1]]), indices)
    assert np.allclose(plain, [1, 0, 0, 1])
    mirrored = geometry.tangents(square, normals, np.column_stack([-square[:, 0], 1 - square[:, 1]]), indices)
    assert np.allclose(mirrored, [-1, 0, 0, -1])
    none = geometry.tangents(square, normals, np.zeros((4, 2), np.float32), indices)
    assert np.allclose(np.linalg.norm(none[:, :3], axis=1), 1.0)


def test_materials_with_their_extensions(tmp_path: Path) -> None:
    build = Build()
    build.triangle(material=0)
    build.doc["images"] = [{"bufferView": build.view(png((1, 2, 3, 255)))}]
    build.doc["samplers"] = [{"wrapS": 33071, "wrapT": 33648, "magFilter": 9728, "minFilter": 9728}]
    build.doc["textures"] = [{"source": 0, "sampler": 0}, {"source": 0}]
    build.doc["materials"] = [
        {
            "pbrMetallicRoughness": {
                "baseColorFactor": [0.1, 0.2, 0.3, 0.4], "metallicFactor": 0.5, "roughnessFactor": 0.25,
                "baseColorTexture": {
                    "index": 0,
                    "extensions": {"KHR_texture_transform": {
                        "offset": [0.5, 0.25], "rotation": np.pi / 2, "scale": [2, 3], "texCoord": 1,
                    }},
                },
            },
            "normalTexture": {"index": 1, "scale": 0.5},
            "occlusionTexture": {"index": 1, "strength": 0.75},
            "emissiveFactor": [1, 0.5, 0], "alphaMode": "MASK", "alphaCutoff": 0.3, "doubleSided": True,
            "extensions": {"KHR_materials_emissive_strength": {"emissiveStrength": 4}, "KHR_materials_unlit": {}},
        }
    ]  # fmt: skip
    build.doc["extensionsRequired"] = ["KHR_texture_transform"]
    build.doc["extensionsUsed"] = ["KHR_texture_transform", "KHR_materials_iridescence"]
    asset = load(build.write(tmp_path))
    material = asset.materials[0]
    assert material.emissive == (4.0, 2.0, 0.0)
    assert material.unlit
    assert material.double_sided
    assert (material.alpha_mode, material.alpha_cutoff) == ("mask", 0.3)
    use = material.base_texture
    assert use is not None
    assert use.uv_set == 1
    # The specification's own matrices: translation * rotation * scale, applied to (u, v, 1).
    rows = np.array(use.uv_from_uv).reshape(2, 3)
    assert np.allclose(rows @ [1, 0, 1], [0.5, 0.25 - 2.0])
    assert np.allclose(rows @ [0, 1, 1], [0.5 + 3.0, 0.25])
    assert material.normal_texture is not None
    assert material.normal_texture.strength == 0.5
    assert material.occlusion_texture is not None
    assert material.occlusion_texture.strength == 0.75
    sampler = asset.textures[0].sampler
    assert (sampler.wrap_s, sampler.wrap_t, sampler.mag_linear, sampler.min_linear, sampler.mips) == (
        "clamp", "mirror", False, False, False,
    )  # fmt: skip
    assert any("KHR_materials_iridescence" in note for note in asset.notes)


def test_nodes_lights_and_the_shadow_switch(tmp_path: Path) -> None:
    build = Build()
    build.triangle()
    build.doc["nodes"] = [
        {"children": [1], "translation": [1, 2, 3]},
        {"mesh": 0, "matrix": [2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0, 10, 0, 0, 1],
         "extras": {"openvolume": {"shadow": False}},
         "extensions": {"KHR_lights_punctual": {"light": 0}}},
        {"translation": [9, 9, 9]},
    ]  # fmt: skip
    build.doc["scenes"] = [{"nodes": [2]}, {"nodes": [0]}]
    build.doc["scene"] = 1
    build.doc["extensions"] = {
        "KHR_lights_punctual": {"lights": [{"type": "directional", "color": [1, 0.5, 0.25], "intensity": 3}]}
    }
    asset = load(build.write(tmp_path))
    assert asset.roots == (0,)
    tree = Hierarchy(asset.nodes, asset.roots, asset.animations)
    assert [i for i, _ in tree.order] == [0, 1]
    world = tree.world_from_nodes(0.0)
    assert np.allclose(world[1] @ [1, 0, 0, 1], [13, 2, 3, 1])
    assert not asset.nodes[1].casts_shadow
    assert asset.nodes[0].casts_shadow
    assert asset.lights[0].kind == "directional"
    assert asset.lights[0].colour == (1.0, 0.5, 0.25)


# --- animation --------------------------------------------------------------------------------------------------


def _channel(path: Any, values: Any, kind: Any) -> Channel:
    return Channel(0, path, np.array([1.0, 2.0, 4.0]), np.asarray(values, dtype=np.float64), kind)


def test_step_linear_and_cubic_keys() -> None:
    values = [[0, 0, 0], [2, 0, 0], [6, 0, 0]]
    step, line = _channel("translation", values, "step"), _channel("translation", values, "linear")
    assert [sample(step, t)[0] for t in (0, 1, 1.99, 2, 3.9, 9)] == [0, 0, 0, 2, 2, 6]
    assert np.allclose([sample(line, t)[0] for t in (0, 1.5, 2, 3, 9)], [0, 1, 2, 4, 6])
    # Hermite with the tangents of x(t) = t^3 gives t^3 exactly.
    keys = np.array([[[3 * t * t] * 3, [t**3] * 3, [3 * t * t] * 3] for t in (1.0, 2.0, 4.0)])
    cubic = _channel("scale", keys, "cubic")
    assert np.allclose([sample(cubic, t)[0] for t in (1.25, 1.75, 3.1)], [1.25**3, 1.75**3, 3.1**3])


def test_rotation_takes_the_short_way_at_constant_speed() -> None:
    half = np.sqrt(0.5)
    channel = _channel("rotation", [[0, 0, 0, 1], [0, 0, -half, -half], [0, 0, 1, 0]], "linear")
    for t, angle in ((1.5, 45), (1.25, 22.5), (3.0, 135)):
        q = sample(channel, t)
        assert np.isclose(np.linalg.norm(q), 1.0)
        assert np.isclose(np.degrees(2 * np.arctan2(abs(q[2]), abs(q[3]))), angle)


def test_animation_loops_and_moves_children(tmp_path: Path) -> None:
    build = Build()
    build.triangle()
    build.doc["nodes"] = [{"children": [1], "scale": [2, 2, 2]}, {"mesh": 0, "translation": [1, 0, 0]}, {}]
    build.doc["scenes"] = [{"nodes": [0, 2]}]
    times = build.accessor(np.array([0, 2], dtype="<f4"))
    moves = build.accessor(np.array([[0, 0, 0], [4, 0, 0]], dtype="<f4"))
    build.doc["animations"] = [
        {"channels": [{"sampler": 0, "target": {"node": 0, "path": "translation"}}],
         "samplers": [{"input": times, "output": moves}]}
    ]  # fmt: skip
    asset = load(build.write(tmp_path))
    tree = Hierarchy(asset.nodes, asset.roots, asset.animations)
    assert tree.animated == {0, 1}
    assert np.allclose(tree.world_from_nodes(0.5)[1][:3, 3], [3, 0, 0])
    assert np.allclose(tree.world_from_nodes(2.5)[1][:3, 3], [3, 0, 0])
    assert np.allclose(tree.world_from_nodes(2.5)[2], np.eye(4))
    assert np.allclose(rest_transform(asset.nodes[1])[:3, 3], [1, 0, 0])


# --- faults -----------------------------------------------------------------------------------------------------


def _refused(kind: type[errors.AssetError], file: Path, *words: str) -> None:
    with pytest.raises(kind) as caught:
        load(file)
    (problem,) = caught.value.problems
    text = str(problem)
    assert problem.code == kind.code
    assert str(file) in problem.path
    for word in words:
        assert word in text, text


def test_missing_file(tmp_path: Path) -> None:
    _refused(errors.AssetMissingError, tmp_path / "no.glb", "no.glb", "correct the path")


@pytest.mark.parametrize(
    "uri", ["../out.bin", "/etc/passwd", "http://x.invalid/a.bin", "file:/etc/passwd", "a/../../b"]
)
def test_files_outside_the_folder(tmp_path: Path, uri: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out.bin").write_bytes(b"x" * 100)
    build = Build()
    build.triangle()
    build.doc["buffers"] = [{"uri": uri, "byteLength": 36}]
    _refused(errors.AssetOutsideError, build.write(tmp_path / "in"), "buffers[0].uri", uri)


def test_required_unknown_extension_is_named(tmp_path: Path) -> None:
    build = Build()
    build.triangle()
    build.doc["extensionsRequired"] = ["KHR_materials_unlit", "EXT_meshopt_compression"]
    _refused(errors.AssetExtensionError, build.write(tmp_path), "EXT_meshopt_compression", "extensionsRequired")


def test_wrong_types_name_their_place(tmp_path: Path) -> None:
    build = Build()
    build.triangle()
    build.doc["accessors"][0]["count"] = "3"
    _refused(errors.AssetFormatError, build.write(tmp_path), "accessors[0].count", "int")


@pytest.mark.parametrize(
    ("bend", "kind", "words"),
    [
        (lambda d: d["asset"].update(version="1.0"), errors.AssetFormatError, ["asset.version", "1.0"]),
        (lambda d: d["nodes"][0].update(mesh=7), errors.AssetReferenceError, ["nodes[0].mesh", "7"]),
        (lambda d: d["nodes"][0].update(children=[0]), errors.AssetFormatError, ["nodes[0]"]),
        (lambda d: d["nodes"][0].update(matrix=[1, 2]), errors.AssetFormatError, ["nodes[0].matrix"]),
        (lambda d: d["nodes"][0].update(rotation=[0, 0, 0, 0]), errors.AssetDataError, ["rotation"]),
        (lambda d: d["accessors"][0].update(count=4), errors.AssetDataError, ["accessors[0]"]),
        (lambda d: d["accessors"][0].update(count=10**12, bufferView=None), errors.AssetFormatError, ["count"]),
        (lambda d: d["accessors"][0].update(componentType=5124), errors.AssetFormatError, ["5124"]),
        (lambda d: d["accessors"][0].update(type="VEC2"), errors.AssetFormatError, ["POSITION", "VEC2"]),
        (lambda d: d["bufferViews"][0].update(byteLength=999), errors.AssetDataError, ["bufferViews[0]"]),
        (lambda d: d["bufferViews"][0].update(byteOffset=-4), errors.AssetDataError, ["bufferViews[0]"]),
        (lambda d: d["meshes"][0]["primitives"][0].update(mode=9), errors.AssetFormatError, ["mode"]),
        (lambda d: d["meshes"][0]["primitives"][0].update(material=2), errors.AssetReferenceError, ["material"]),
        (lambda d: d.update(materials=[{"alphaMode": "DITHER"}]), errors.AssetFormatError, ["DITHER"]),
        (lambda d: d.update(images=[{"bufferView": 0}]), errors.AssetImageError, ["images[0]"]),
    ],
)  # fmt: skip
def test_each_fault_is_refused_in_words(tmp_path: Path, bend: Any, kind: Any, words: list[str]) -> None:
    build = Build()
    build.triangle()
    bend(build.doc)
    _refused(kind, build.write(tmp_path), *words)


def test_values_that_are_not_numbers(tmp_path: Path) -> None:
    build = Build()
    build.triangle(np.array([[0, 0, 0], [1, np.nan, 0], [0, 1, 0]], dtype="<f4"))
    _refused(errors.AssetDataError, build.write(tmp_path), "accessors[0]", "element 1")


def test_index_past_the_vertices(tmp_path: Path) -> None:
    build = Build()
    primitive = build.triangle()
    primitive["indices"] = build.accessor(np.array([0, 1, 3], dtype="<u4"))
    _refused(errors.AssetReferenceError, build.write(tmp_path), "indices", "3 vertices")


def test_cut_and_foreign_files(tmp_path: Path) -> None:
    build = Build()
    build.triangle()
    whole = build.write(tmp_path, glb=True).read_bytes()
    for cut in range(0, len(whole) - 1, 7):
        file = tmp_path / "cut.glb"
        file.write_bytes(whole[:cut])
        with pytest.raises(errors.AssetError):
            load(file)
    (tmp_path / "text.gltf").write_text("hello")
    _refused(errors.AssetFormatError, tmp_path / "text.gltf", "not a glTF file")
