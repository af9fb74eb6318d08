"""Whatever stands in an asset's JSON, reading it ends in an asset or in a fault told in words, never in a crash."""

from __future__ import annotations

import copy
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from renderer.gltf.document import read_document_json
from renderer.gltf.errors import AssetDataError, AssetError, AssetFormatError, AssetReferenceError
from renderer.gltf.loader import load
from renderer.gltf.outline import outline_of
from stage.errors import Problem

_KIT: Any = runpy.run_path(str(Path(__file__).with_name("_gltfkit.py")))
Build = _KIT["Build"]


def rich() -> Any:
    """A figure with nearly everything: skin, morph targets, variants, layers, lights, animations, Draco, sparse."""
    build = Build()
    texture = build.picture(np.full((2, 2, 4), 200))
    use = {"index": texture, "extensions": {"KHR_texture_transform": {"offset": [0.1, 0.2], "texCoord": 0}}}
    layers = {
        "KHR_materials_clearcoat": {"clearcoatFactor": 0.5, "clearcoatTexture": use},
        "KHR_materials_sheen": {"sheenColorFactor": [0.1, 0.2, 0.3]},
        "KHR_materials_volume": {"thicknessFactor": 0.1, "attenuationDistance": 2.0, "attenuationColor": [1, 1, 0]},
        "KHR_materials_emissive_strength": {"emissiveStrength": 2.0},
    }
    material = build.matt(extensions=layers, normalTexture={"index": texture, "scale": 0.5})
    primitive = build.quad(material=material)
    primitive["attributes"]["JOINTS_0"] = build.accessor(np.zeros((4, 4), dtype="u1"))
    primitive["attributes"]["WEIGHTS_0"] = build.accessor(np.full((4, 4), 0.25, dtype="<f4"))
    primitive["targets"] = [{"POSITION": build.accessor(np.ones((4, 3), dtype="<f4"))}]
    primitive["extensions"] = {"KHR_materials_variants": {"mappings": [{"material": 0, "variants": [0]}]}}
    build.doc["meshes"][0]["weights"] = [0.5]
    build.doc["nodes"][0] |= {"skin": 0, "weights": [0.25], "name": "Body"}
    build.doc["nodes"].append({"name": "Joint", "extensions": {"KHR_lights_punctual": {"light": 0}}})
    inverse = build.accessor(np.eye(4, dtype="<f4").reshape(1, 16))
    build.add("skins", joints=[1], inverseBindMatrices=inverse, name="Rig")
    build.animate(1, "rotation", [0.0, 1.0], [[0, 0, 0, 1], [0, 1, 0, 0]])
    build.animate(0, "weights", [0.0, 1.0], [[0.0], [1.0]])
    build.doc["extensions"] = {
        "KHR_materials_variants": {"variants": [{"name": "A"}]},
        "KHR_lights_punctual": {"lights": [{"type": "spot", "spot": {"innerConeAngle": 0.1}, "color": [1, 1, 1]}]},
    }
    build.doc["scenes"] = [{"nodes": [0, 1]}]
    accessor = build.doc["accessors"][0]
    accessor["sparse"] = {
        "count": 1,
        "indices": {"bufferView": build.view(b"\1\0"), "componentType": 5123},
        "values": {"bufferView": build.view(np.array([1, 2, 3], "<f4").tobytes())},
    }
    return build


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else []
    found = [path] if path else []
    for key, entry in entries:
        if key not in ("buffers", "uri"):
            found += _places(entry, (*path, key))
    return found


PLACES = _places(rich().doc)
JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 300), st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=4),
    st.lists(st.integers(-1, 3), max_size=3), st.dictionaries(st.text(max_size=3), st.integers(), max_size=1),
)  # fmt: skip


@settings(max_examples=150)
@given(changes=st.lists(st.tuples(st.sampled_from(PLACES), JUNK), min_size=1, max_size=2))
def test_broken_json_is_told_in_words(tmp_path_factory: pytest.TempPathFactory, changes: Any) -> None:
    build = rich()
    doc = build.doc
    for path, junk in changes:
        at = doc
        try:
            for step in path[:-1]:
                at = at[step]
            at[path[-1]] = copy.deepcopy(junk)
        except (KeyError, IndexError, TypeError):
            continue  # the first change took the second one's place away
    file = build.write(tmp_path_factory.getbasetemp())
    for read in (load, lambda file: outline_of(read_document_json(file))):
        faults: tuple[Problem, ...] = ()
        try:
            read(file)
        except AssetError as error:
            faults = error.problems
        assert all(fault.code.startswith("renderer.asset") and fault.detail for fault in faults)


def test_the_whole_asset_is_read(tmp_path: Path) -> None:
    asset = load(rich().write(tmp_path))
    assert asset.notes == ()
    assert (len(asset.skins), len(asset.animations), len(asset.lights), asset.variants) == (1, 2, 1, ("A",))


@pytest.mark.parametrize(
    ("path", "value", "error", "said"),
    [
        (("skins", 0, "joints"), [7], AssetReferenceError, "7"),
        (("skins", 0, "joints"), [], AssetFormatError, "needs joints"),
        (("scenes", 0, "nodes"), [0], AssetReferenceError, "not in the scene"),
        (("nodes", 0, "skin"), 3, AssetReferenceError, "skins"),
        (("nodes", 0, "weights"), [1.0, 2.0], AssetFormatError, "1 finite"),
        (("meshes", 0, "weights"), [1.0, 2.0], AssetFormatError, "one a morph target"),
        (("animations", 1, "samplers", 0, "interpolation"), "CUBICSPLINE", AssetDataError, "values for 2"),
        (("animations", 0, "samplers", 0, "interpolation"), "SMOOTH", AssetFormatError, "not known"),
        (
            ("meshes", 0, "primitives", 0, "extensions", "KHR_materials_variants", "mappings", 0, "variants"),
            [4], AssetReferenceError, "1 variants",
        ),
        (
            ("materials", 0, "extensions", "KHR_materials_volume", "attenuationDistance"), 0.0, AssetFormatError,
            "above 0",
        ),
    ],
)  # fmt: skip
def test_faults_of_what_moves(tmp_path: Path, path: Any, value: Any, error: type[Exception], said: str) -> None:
    build = rich()
    at = build.doc
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    with pytest.raises(error) as caught:
        load(build.write(tmp_path))
    assert said in str(caught.value)
