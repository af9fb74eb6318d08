"""The conformance list: animations, skins and morph targets. Each check is given a `Look`."""

from __future__ import annotations

import math
import runpy
from pathlib import Path
from typing import Any

import numpy as np

from renderer.object_config import AnimationConfig

_KIT: Any = runpy.run_path(str(Path(__file__).with_name("_gltfkit.py")))
Build, QUAD, QUAD_UV, QUAD_INDICES = (_KIT[name] for name in ("Build", "QUAD", "QUAD_UV", "QUAD_INDICES"))
SIZE, FRONT, at, is_colour = (_KIT[name] for name in ("SIZE", "FRONT", "at", "is_colour"))
RED, GREEN, BLUE = (1.0, 0.0, 0.0, 1.0), (0.0, 1.0, 0.0, 1.0), (0.0, 0.0, 1.0, 1.0)


# --- movement -------------------------------------------------------------------------------------------------------


def _moving(path: str, values: Any, interpolation: str) -> Any:
    build = Build()
    build.quad(material=build.unlit(RED))
    build.animate(0, path, [0.0, 1.0, 2.0], values, interpolation)
    return build


def _step(look: Any) -> None:
    scene = look.scene(_moving("translation", [[0, 0, -2], [0.25, 0, -2], [0.5, 0, -2]], "STEP"))
    for time_s, x in ((0.0, 0.0), (0.99, 0.0), (1.0, 0.25), (1.7, 0.25), (0.5, 0.0)):
        lit = look.rgb(scene, time_s)[..., 0] > 0.5
        assert np.nonzero(lit)[1].min() == 8 + 16 * x


def _linear(look: Any) -> None:
    scene = look.scene(_moving("translation", [[-0.5, 0, -2], [0.5, 0, -2], [-0.5, 0, -2]], "LINEAR"))
    for time_s, x in ((0.0, -0.5), (0.5, 0.0), (1.0, 0.5), (1.75, -0.25), (2.5, 0.0), (0.25, -0.25)):
        assert np.nonzero(look.rgb(scene, time_s)[..., 0] > 0.5)[1].min() == 8 + 16 * x


def _cubic(look: Any) -> None:
    tangent = [2.0, 0, 0]
    keys = [[tangent, [0, 0, -2], tangent]] * 3
    scene = look.scene(_moving("translation", keys, "CUBICSPLINE"))
    # Hermite, values 0, tangents 2: 2 (u^3 - 2 u^2 + u) + 2 (u^3 - u^2), at a quarter 0.1875.
    left = np.nonzero(look.rgb(scene, 1.25)[..., 0] > 0.5)[1].min()
    assert left == 8 + 16 * 0.1875


def _rotation(look: Any) -> None:
    turn = math.sqrt(0.5)
    scene = look.scene(_moving("rotation", [[0, 0, 0, 1], [0, 0, -turn, -turn], [0, 0, 0, 1]], "LINEAR"))
    corner = at(look.places(scene, 0.5), 0.0, 0.68)
    assert corner[3] == 1.0  # turned by 45 degrees, its corner stands up
    assert at(look.places(scene, 0.0), 0.0, 0.68)[3] == 0.0


def _scale(look: Any) -> None:
    scene = look.scene(_moving("scale", [[1, 1, 1], [2, 1, 1], [1, 1, 1]], "LINEAR"))
    assert (look.rgb(scene, 1.0)[..., 0] > 0.5).sum() == 2 * (look.rgb(scene, 0.0)[..., 0] > 0.5).sum()


def _several(look: Any) -> None:
    build = Build()
    build.quad(material=build.unlit(RED))
    build.animate(0, "translation", [0.0, 1.0], [[0, 0, -2], [0.5, 0, -2]], name="Right")
    build.animate(0, "translation", [0.0, 1.0], [[0, 0, -2], [-0.5, 0, -2]], name="To the left")

    def left(time_s: float, **objects: Any) -> float:
        scene = look.scene(build, objects)
        return (float(np.nonzero(look.rgb(scene, time_s)[..., 0] > 0.5)[1].min()) - 8) / 16

    assert left(0.5) == 0.25
    assert left(0.5, animation="to_the_left") == -0.25
    assert left(0.5, animation="none") == 0.0
    assert left(0.25, animations={"right": AnimationConfig(speed=2.0)}) == 0.25
    assert left(0.9, animations={"right": AnimationConfig(play=False, time_s=0.5)}) == 0.25
    assert left(0.0, animations={"right": AnimationConfig(time_s=0.25)}) == 0.125


def _pointer(look: Any) -> None:
    build = _moving("translation", [[0, 0, -2]] * 3, "LINEAR")
    build.doc["animations"][0]["channels"][0]["target"] = {"path": "pointer"}
    assert any("pointer" in note for note in look.load(build).notes)


# --- skins and morph targets ----------------------------------------------------------------------------------------


def _skinned(joints: int, sets: int, *, bind: bool = True) -> Any:
    """A quad on `joints` joints one above the other; its upper edge hangs on the last `4 * sets` of them."""
    build = Build()
    primitive = build.quad(material=build.unlit(RED))
    step = 1.0 / joints
    for j in range(joints):
        build.doc["nodes"].append(
            {"name": f"Joint {j}", "translation": [0, -0.5 if j == 0 else step, -2.0 if j == 0 else 0.0]}
            | ({"children": [j + 2]} if j < joints - 1 else {})
        )
    places = [[0.0, -0.5 + j * step, -2.0] for j in range(joints)]
    inverse = np.tile(np.eye(4), (joints, 1, 1))
    if bind:
        inverse[:, :3, 3] = -np.array(places)
    skin: dict[str, Any] = {"joints": list(range(1, joints + 1))}
    if bind:
        skin["inverseBindMatrices"] = build.accessor(
            np.ascontiguousarray(inverse.transpose(0, 2, 1)).reshape(joints, 16).astype("<f4")
        )
    build.add("skins", **skin)
    # Positions in the asset's own frame: the node's own place does not count.
    primitive["attributes"]["POSITION"] = build.accessor(np.float32(np.add(QUAD, [0, 0, -2 if bind else 0])))
    build.doc["nodes"][0] = {"mesh": 0, "skin": 0, "translation": [7, 7, 7]}
    for n in range(sets):
        ids, weights = np.zeros((4, 4), dtype="<u2"), np.zeros((4, 4), dtype="<f4")
        weights[:2, 0] = 1.0 if n == 0 else 0.0
        for i in range(4):
            ids[2:, i] = max(0, joints - 1 - 4 * n - i)
        weights[2:, :] = 1.0 / (4 * sets)
        if joints == 2:
            weights[2:] = [[1, 0, 0, 0]]
        primitive["attributes"][f"JOINTS_{n}"] = build.accessor(ids)
        primitive["attributes"][f"WEIGHTS_{n}"] = build.accessor(weights)
    build.doc["scenes"] = [{"nodes": [0, 1]}]
    return build


def _skin(look: Any) -> None:
    build = _skinned(2, 1)
    build.animate(2, "translation", [0.0, 1.0], [[0, 0.5, 0], [0.5, 0.5, 0]])
    scene = look.scene(build)
    assert (look.rgb(scene, 0.0)[..., 0] > 0.5).sum() == SIZE * SIZE // 4
    sheared = look.rgb(scene, 0.5)[..., 0] > 0.5
    assert sheared.sum() == SIZE * SIZE // 4
    # The upper edge went a quarter metre to the right, the lower one stayed.
    assert abs(np.nonzero(sheared[8])[0].min() - 12) <= 1
    assert abs(np.nonzero(sheared[23])[0].min() - 8) <= 1
    again = look.rgb(scene, 0.0)
    look.rgb(scene, 0.77)
    assert np.array_equal(look.rgb(scene, 0.0), again)


def _eight(look: Any) -> None:
    build = _skinned(8, 2)
    build.animate(8, "translation", [0.0, 1.0], [[0, 0.125, 0], [0.8, 0.125, 0]])
    sheared = look.rgb(build, 0.9999)[..., 0] > 0.5
    # One of eight equal weights moves it by 0.8: 0.1 m is 1.6 pixels.
    assert abs(np.nonzero(sheared[8])[0].min() - 9.6) <= 1


def _many(look: Any) -> None:
    build = _skinned(300, 1)
    build.animate(300, "translation", [0.0, 1.0], [[0, 1 / 300, 0], [1.0, 1 / 300, 0]])
    sheared = look.rgb(build, 0.9999)[..., 0] > 0.5
    assert abs(np.nonzero(sheared[8])[0].min() - 12) <= 1


def _unbound(look: Any) -> None:
    build = _skinned(2, 1, bind=False)
    # Vertices are in the joints' own frames then: the upper ones stand 0.5 above joint 1.
    rows, _ = np.nonzero(look.rgb(build)[..., 0] > 0.5)
    assert (rows.min(), rows.max()) == (8, 31)


def _morphing(*, flat: bool = False, node_weights: bool = False) -> Any:
    build = Build()
    material = build.matt() if flat else build.unlit(RED)
    if flat:
        primitive = build.triangle(np.float32(QUAD[QUAD_INDICES] * 2), material=material)
        build.doc["nodes"][0]["translation"] = [0, 0, -3]
        delta = np.zeros((6, 3), dtype="<f4")
        delta[:, 2] = QUAD[QUAD_INDICES][:, 0] * 2
        primitive["targets"] = [{"POSITION": build.accessor(delta)}]
    else:
        primitive = build.quad(material=material)
        up, wide = np.zeros((4, 3), dtype="<f4"), np.zeros((4, 3), dtype="<f4")
        up[2:, 1], wide[:, 0] = 0.25, QUAD[:, 0]
        primitive["targets"] = [{"POSITION": build.accessor(up)}, {"POSITION": build.accessor(wide)}]
    build.doc["meshes"][0]["weights"] = [1.0] if flat else [1.0, 0.0]
    if node_weights:
        build.doc["nodes"][0]["weights"] = [0.0, 1.0]
    return build


def _morphs(look: Any) -> None:
    rows, columns = np.nonzero(look.rgb(_morphing())[..., 0] > 0.5)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 23, 8, 23)
    rows, columns = np.nonzero(look.rgb(_morphing(node_weights=True))[..., 0] > 0.5)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (8, 23, 0, 31)


def _morph_animation(look: Any) -> None:
    for kind, expected in (("STEP", 8), ("LINEAR", 6), ("CUBICSPLINE", 6)):
        build = _morphing()
        values: Any = [[0, 0], [1, 0]]
        if kind == "CUBICSPLINE":
            values = [[[0, 0]] * 3, [[0, 0], [1, 0], [0, 0]]]
        build.animate(0, "weights", [0.0, 1.0], values, kind)
        scene = look.scene(build)
        rows, _ = np.nonzero(look.rgb(scene, 0.5)[..., 0] > 0.5)
        assert rows.min() == expected
        assert np.nonzero(look.rgb(scene, 0.0)[..., 0] > 0.5)[0].min() == 8


def _morph_normals(look: Any) -> None:
    for textured in (False, True):
        build = Build()
        extra = {"normalTexture": {"index": build.picture(np.array([[[218, 128, 218, 255]]]))}} if textured else {}
        primitive = build.quad(material=build.matt(**extra))
        s = math.sqrt(0.5)
        # The surface's normal leans 45 degrees to the left, its tangent with it: with the map's lean to the right
        # it looks straight ahead again.
        normal, tangent = np.array([[-s, 0, s - 1]] * 4, "<f4"), np.array([[s - 1, 0, s]] * 4, "<f4")
        primitive["attributes"]["TANGENT"] = build.accessor(np.tile(np.array([1, 0, 0, 1], dtype="<f4"), (4, 1)))
        primitive["targets"] = [{"NORMAL": build.accessor(normal), "TANGENT": build.accessor(tangent)}]
        build.doc["meshes"][0]["weights"] = [1.0]
        lit = at(look.rgb(build, sun=FRONT), 0, 0)[0]
        assert abs(lit - (1.0 if textured else s)) < 0.08


def _morph_flat(look: Any) -> None:
    lit = at(look.rgb(_morphing(flat=True), sun=FRONT), 0.1, 0)[0]
    assert abs(lit - math.sqrt(0.5)) < 0.06


def _morph_and_skin(look: Any) -> None:
    build = _skinned(2, 1)
    up = np.zeros((4, 3), dtype="<f4")
    up[2:, 1] = 0.25
    primitive = build.doc["meshes"][0]["primitives"][0]
    primitive["targets"] = [{"POSITION": build.accessor(up)}]
    build.doc["meshes"][0]["weights"] = [1.0]
    build.doc["nodes"][2]["translation"] = [0.25, 0.5, 0]
    lit = look.rgb(build)[..., 0] > 0.5
    assert np.nonzero(lit)[0].min() == 4
    assert abs(np.nonzero(lit[4])[0].min() - 12) <= 1


def _morph_other(look: Any) -> None:
    build = _morphing()
    primitive = build.doc["meshes"][0]["primitives"][0]
    primitive["targets"][0]["TEXCOORD_0"] = primitive["attributes"]["TEXCOORD_0"]
    assert any("morphing of TEXCOORD_0" in note for note in look.load(build).notes)


ROWS: list[tuple[str, str, str, str, Any]] = [
    ("Animation", "translation, step", "drawn", "", _step),
    ("Animation", "translation, linear; it loops", "drawn", "", _linear),
    ("Animation", "cubic splines", "drawn", "", _cubic),
    ("Animation", "rotation, along the shorter arc", "drawn", "", _rotation),
    ("Animation", "scale", "drawn", "", _scale),
    (
        "Animation",
        "several: by name, with speed, offset, pause",
        "drawn",
        "those that do not contradict run",
        _several,
    ),
    ("Animation", "of what is not animated (pointers)", "noted", "KHR_animation_pointer", _pointer),
    ("Skins", "joints bend the mesh; the node's own place does not count", "drawn", "", _skin),
    ("Skins", "joint sets 0 and 1: eight joints a vertex", "drawn", "", _eight),
    ("Skins", "any number of joints", "drawn", "300 here; they lie in a storage buffer", _many),
    ("Skins", "without inverse bind matrices", "drawn", "", _unbound),
    ("Morph targets", "positions, with the mesh's or the node's weights", "drawn", "", _morphs),
    ("Morph targets", "weights animated: step, linear, cubic", "drawn", "", _morph_animation),
    ("Morph targets", "normals and tangents", "drawn", "", _morph_normals),
    ("Morph targets", "flat normals follow the shape", "drawn", "", _morph_flat),
    ("Morph targets", "together with a skin", "drawn", "", _morph_and_skin),
    ("Morph targets", "of coordinates or colours", "noted", "", _morph_other),
]
"""Section, feature, verdict, note, check."""
