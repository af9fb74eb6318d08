"""Mesh walls from OBJ and glTF: the same surface from either file, and every broken file told."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stage.canvases import mesh_tile_of, tiles_of
from stage.config import CanvasConfig, MeshWall, TileConfig
from stage.errors import Problem
from stage.frames import Array
from stage.importers.surface import SurfaceError, read_surface
from stage.walls import MeshSurface, build_wall

# A bent screen 4 m wide and 2 m high, 5 m in front of the origin, in a Y-up world that looks along -Z.
OBJ = """
# bent screen
v -2 0 -4
v 0 0 -5
v 2 0 -4
v -2 2 -4
v 0 2 -5
v 2 2 -4
vt 0 0
vt 0.5 0
vt 1 0
vt 0 1
vt 0.5 1
vt 1 1
vn 0 0 1
o screen
f 1/1/1 2/2/1 5/5/1 4/4/1
f -5/-5 -4/-4 -1/-1 -2/-2
"""
POSITIONS = [[-2, 0, -4], [0, 0, -5], [2, 0, -4], [-2, 2, -4], [0, 2, -5], [2, 2, -4]]
UV_DOWN = [[0, 1], [0.5, 1], [1, 1], [0, 0], [0.5, 0], [1, 0]]
INDICES = [0, 1, 4, 0, 4, 3, 1, 2, 5, 1, 5, 4]


def gltf(node: dict[str, Any] | None = None, **more: Any) -> tuple[dict[str, Any], bytes]:
    """The same screen as a glTF document and its buffer."""
    parts = [
        np.array(POSITIONS, "<f4").tobytes(), np.array(UV_DOWN, "<f4").tobytes(), np.array(INDICES, "<u2").tobytes()
    ]  # fmt: skip
    offsets = [0, len(parts[0]), len(parts[0]) + len(parts[1])]
    document: dict[str, Any] = {
        "asset": {"version": "2.0"},
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, **(node or {})}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "TEXCOORD_0": 1}, "indices": 2}]}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 6, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5126, "count": 6, "type": "VEC2"},
            {"bufferView": 2, "componentType": 5123, "count": 12, "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": o, "byteLength": len(p)} for o, p in zip(offsets, parts, strict=True)
        ],
        "buffers": [{"byteLength": sum(map(len, parts))}],
        **more,
    }
    return document, b"".join(parts)


def glb(document: dict[str, Any], binary: bytes) -> bytes:
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    binary += b"\0" * (-len(binary) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(binary), 0x004E4942) + binary
    return b"glTF" + struct.pack("<II", 2, 12 + len(chunks)) + chunks


def embedded(document: dict[str, Any], binary: bytes) -> bytes:
    uri = "data:application/octet-stream;base64," + base64.b64encode(binary).decode()
    return json.dumps({**document, "buffers": [{"byteLength": len(binary), "uri": uri}]}).encode()


def screen(folder: Path, name: str, data: bytes | str, **options: Any) -> MeshSurface:
    (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)
    config = MeshWall(type="mesh", file=name, width_px=400, height_px=200, nits=800.0, **options)
    problems: list[Problem] = []
    built = build_wall("m", config, {}, base_dir=folder, problems=problems)
    if built is None:
        raise SurfaceError(*problems)
    assert built.mesh is not None
    return built.mesh


def shown_at(mesh: MeshSurface, x_px: float, y_px: float) -> Array:
    """Stage position of a place on the raster."""
    for triangle in mesh.triangles:
        a, b, c = mesh.wall_px[triangle]
        try:
            s, t = np.linalg.solve(np.column_stack([b - a, c - a]), np.array([x_px, y_px]) - a)
        except np.linalg.LinAlgError:
            continue
        if s >= -1e-9 and t >= -1e-9 and s + t <= 1 + 1e-9:
            p, q, r = mesh.positions_m[triangle]
            return np.asarray(p + s * (q - p) + t * (r - p))
    raise AssertionError("no triangle there")


FILES = {
    "wall.obj": OBJ,
    "wall.glb": glb(*gltf()),
    "wall.gltf": embedded(*gltf()),
}


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_same_screen(tmp_path: Path, name: str) -> None:
    mesh = screen(tmp_path, name, FILES[name])
    # Top left, middle, bottom right of the picture; Y-up (x, y, z) stands at stage (x, -z, y).
    np.testing.assert_allclose(shown_at(mesh, 0, 0), (-2, 4, 2), atol=1e-6)
    np.testing.assert_allclose(shown_at(mesh, 200, 100), (0, 5, 1), atol=1e-6)
    np.testing.assert_allclose(shown_at(mesh, 400, 200), (2, 4, 0), atol=1e-6)
    np.testing.assert_allclose(shown_at(mesh, 100, 50), (-1, 4.5, 1.5), atol=1e-6)
    assert (mesh.normals[:, 1] < 0).all()
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1.0, atol=1e-9)
    a, b, c = (mesh.positions_m[mesh.triangles[:, i]] for i in range(3))
    faces = np.cross(b - a, c - a)
    assert (np.einsum("ij,ij->i", faces, mesh.normals[mesh.triangles[:, 0]]) > 0).all()


def test_size_and_pitch_come_from_the_surface(tmp_path: Path) -> None:
    (tmp_path / "wall.obj").write_text(OBJ)
    config = MeshWall(type="mesh", file="wall.obj", width_px=400, height_px=200, nits=800.0)
    built = build_wall("m", config, {}, base_dir=tmp_path, problems=[])
    assert built is not None
    area_m2 = 2 * 2 * np.sqrt(5.0)
    assert built.wall.pitch_mm == pytest.approx(1000 * np.sqrt(area_m2 / (400 * 200)))


def test_pose_up_axis_and_unit(tmp_path: Path) -> None:
    mesh = screen(
        tmp_path, "wall.obj", OBJ, up="z", unit_m=0.5, position_m=(1.0, 2.0, 3.0), pan_deg=90.0, lit_side="front"
    )
    # z up: (x, y, z) as it is; halved; turned left (x -> y, y -> -x); then moved.
    np.testing.assert_allclose(shown_at(mesh, 0, 0), (1.0 - 1.0, 2.0 - 1.0, 3.0 - 2.0), atol=1e-9)


def test_node_transforms_and_external_buffers(tmp_path: Path) -> None:
    document, binary = gltf(
        {"translation": [0, 1, 0], "rotation": [0, 0.7071067811865476, 0, 0.7071067811865476], "scale": [2, 2, 2]}
    )
    document["buffers"][0]["uri"] = "my%20wall.bin"
    (tmp_path / "my wall.bin").write_bytes(binary)
    mesh = screen(tmp_path, "wall.gltf", json.dumps(document))
    # (-2, 2, -4) doubled, turned 90 about y (x' = z, z' = -x), lifted: (-8, 5, 4) -> stage (-8, -4, 5).
    np.testing.assert_allclose(shown_at(mesh, 0, 0), (-8, -4, 5), atol=1e-6)


def test_a_mirroring_node_keeps_its_front(tmp_path: Path) -> None:
    """Scale -1 in x mirrors the screen: its picture is then mirrored too, and that is said."""
    with pytest.raises(SurfaceError) as caught:
        screen(tmp_path, "wall.glb", glb(*gltf({"scale": [-1, 1, 1]})))
    assert caught.value.problems[0].code == "stage.mesh_mirrored"


def test_the_other_side(tmp_path: Path) -> None:
    with pytest.raises(SurfaceError) as caught:
        screen(tmp_path, "wall.obj", OBJ, lit_side="back")
    assert caught.value.problems[0].code == "stage.mesh_mirrored"
    turned = OBJ.replace("f 1/1/1 2/2/1 5/5/1 4/4/1", "f 1/2 2/1 5/4 4/5").replace("f -5/-5 -4/-4 -1/-1 -2/-2", "")
    # With its u mirrored the picture is right for one who stands behind it.
    mesh = screen(tmp_path, "wall.obj", turned, lit_side="back")
    assert (mesh.normals[mesh.triangles.ravel()][:, 1] > 0).all()
    np.testing.assert_allclose(shown_at(mesh, 0, 0), (0, 5, 2), atol=1e-9)


def test_v_origin_can_be_told(tmp_path: Path) -> None:
    upside_down = OBJ.replace(
        "vt 0 0\nvt 0.5 0\nvt 1 0\nvt 0 1\nvt 0.5 1\nvt 1 1", "vt 0 1\nvt 0.5 1\nvt 1 1\nvt 0 0\nvt 0.5 0\nvt 1 0"
    )
    assert upside_down != OBJ
    mesh = screen(tmp_path, "wall.obj", upside_down, v_origin="top")
    np.testing.assert_allclose(shown_at(mesh, 0, 0), (-2, 4, 2), atol=1e-9)
    with pytest.raises(SurfaceError, match="mirrored"):
        screen(tmp_path, "wall.obj", upside_down)


def test_a_tile_takes_the_triangles_it_shows(tmp_path: Path) -> None:
    (tmp_path / "wall.obj").write_text(OBJ)
    config = MeshWall(type="mesh", file="wall.obj", width_px=400, height_px=200, nits=800.0)
    built = build_wall("m", config, {}, base_dir=tmp_path, problems=[])
    assert built is not None
    canvas = CanvasConfig(
        processor="led", width_px=200, height_px=300,
        tiles=[TileConfig(wall="m", wall_px=(0, 0, 200, 200), at_px=(0, 10), rotate=90),
               TileConfig(wall="m", wall_px=(200, 0, 100, 90), at_px=(0, 210), flip=True)],
    )  # fmt: skip
    problems: list[Problem] = []
    left, corner = (
        mesh_tile_of(tile, built) for tile in tiles_of("c", canvas, {"m": built}, {"m": None}, problems=problems)
    )
    assert not problems
    assert left is not None
    assert corner is not None
    assert left.rect_px == (0, 10, 200, 200)
    assert len(left.triangles) == 2
    assert len(left.positions_m) == 4
    assert left.wall_px[:, 0].max() == 200.0
    assert corner.id != left.id
    assert corner.triangles.max() < len(corner.positions_m)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no faces"),
        ("v 1 2\n", "line 1: 3 finite numbers"),
        ("v 1 2 nan\n", "line 1: 3 finite numbers"),
        ("v 1 2 x\n", "line 1: could not convert"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "line 4: a face without texture coordinates"),
        ("v 0 0 0\nvt 0 0\nf 1/1 1/1\n", "line 3: a face needs three corners"),
        ("v 0 0 0\nvt 0 0\nf 1/1 2/1 1/1\n", "line 3: index 2 of 1"),
        ("v 0 0 0\nvt 0 0\nf 0/1 1/1 1/1\n", "line 3: index 0 of 1"),
        ("v 0 0 0\nvt 0 0\nf 1/1 1/1 1/1\n", "no triangle has an area"),
        (OBJ.replace("vt 1 1", "vt 1.5 1"), "UV coordinates reach from 0 to 1.5"),
        (OBJ.replace("f -5/-5 -4/-4 -1/-1 -2/-2", "f -2/-2 -1/-1 -4/-4 -5/-5").replace("vt 1 0", "vt 1 0"), ""),
        (OBJ.replace("v 2 2 -4", "v 5000 2 -4"), "reaches beyond 1000 m"),
    ],
)
def test_broken_obj_files_say_where(tmp_path: Path, text: str, said: str) -> None:
    if not said:
        # Both windings and UVs turned: still the same picture seen from the other side, mixed with the first half.
        with pytest.raises(SurfaceError) as caught:
            screen(tmp_path, "wall.obj", text)
        assert caught.value.problems[0].code == "stage.mesh_mixed"
        return
    with pytest.raises(SurfaceError) as caught:
        screen(tmp_path, "wall.obj", text)
    (problem,) = caught.value.problems
    assert said in problem.detail
    assert problem.path == "stage/walls/m/file"
    assert problem.mend


def spoiled(**changes: Any) -> bytes:
    document, binary = gltf()
    return embedded({**document, **changes}, binary)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "broken glTF"),
        (b"{", "broken glTF"),
        (b"[]", "broken glTF"),
        (b"glTF", "broken glTF"),
        (b"glTF" + struct.pack("<II", 1, 12), "GLB version 1"),
        (glb(*gltf())[:-8], "bytes stated"),
        (b"glTF" + struct.pack("<II", 2, 12), "no JSON chunk"),
        (spoiled(extensionsRequired=["KHR_draco_mesh_compression"]), "KHR_draco_mesh_compression"),
        (spoiled(scenes=[{"nodes": [9]}]), "broken glTF"),
        (spoiled(scenes=[{"nodes": [-1]}]), "broken glTF"),
        (spoiled(nodes=[{"mesh": 0, "children": [0]}]), "deeper than 64"),
        (spoiled(nodes=[{}]), "no triangles"),
        (spoiled(meshes=[{"primitives": [{"attributes": {"POSITION": 0}}]}]), "TEXCOORD_0"),
        (spoiled(meshes=[{"primitives": [{"mode": 1, "attributes": {"POSITION": 0}}]}]), "not triangles"),
        (spoiled(bufferViews=[{"buffer": 0, "byteOffset": 90, "byteLength": 9}] * 3), "beyond its buffer"),
        (json.dumps({**gltf()[0], "buffers": [{"byteLength": 9, "uri": "../../etc/passwd"}]}).encode(), "outside"),
        (json.dumps({**gltf()[0], "buffers": [{"byteLength": 9, "uri": "gone.bin"}]}).encode(), "cannot be read"),
        (json.dumps({**gltf()[0], "buffers": [{"byteLength": 9, "uri": "data:;base64,@@"}]}).encode(), "base64"),
    ],
)
def test_broken_gltf_files_are_told(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "wall.gltf").write_bytes(data)
    with pytest.raises(SurfaceError) as caught:
        read_surface(tmp_path / "wall.gltf")
    assert said in str(caught.value)


def test_cut_and_flipped_bytes_never_raise_anything_else(tmp_path: Path) -> None:
    whole = bytearray(glb(*gltf()))
    rng = np.random.default_rng(6)
    path = tmp_path / "wall.glb"
    refused = 0
    for i in range(300):
        data = bytearray(whole[: rng.integers(0, len(whole))]) if i % 3 == 0 else bytearray(whole)
        for _ in range(3):
            if data:
                data[rng.integers(0, len(data))] = rng.integers(0, 256)
        path.write_bytes(data)
        try:
            read_surface(path)
        except SurfaceError:
            refused += 1
    assert refused > 100


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SurfaceError, match="not a mesh this reads"):
        read_surface(tmp_path / "wall.fbx")
    with pytest.raises(SurfaceError, match="cannot be read"):
        read_surface(tmp_path / "gone.obj")
    (tmp_path / "folder.obj").mkdir()
    with pytest.raises(SurfaceError, match="not a file"):
        read_surface(tmp_path / "folder.obj")


def test_the_reference_models_are_read(reference: Path) -> None:
    """Real exporters' files: they are no walls, but every triangle with UVs is found."""
    box = read_surface(reference / "assets/BoxTextured.glb")
    assert len(box.triangles) == 12
    helmet = read_surface(reference / "assets/FlightHelmet/FlightHelmet.gltf")
    assert len(helmet.triangles) > 10_000
    assert helmet.v_down
    assert helmet.always_y_up
