"""Addresses of a scene's live values: what there is, what an edit may be, and that edits never depend on the past."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renderer.addresses import Address, EditValueError, UnknownAddressError, addresses, edited
from renderer.config import DomeConfig, SceneConfig, SunConfig
from renderer.gltf.outline import MaterialOutline, Outline, ids_of
from renderer.object_config import ExposedConfig, NodeConfig, ObjectConfig
from renderer.scene_file import normal_form

STATUE = Outline(
    {"body": 0, "left_arm": 1},
    {"stone": MaterialOutline((0.5, 0.25, 1.0, 1.0), 0.0, 0.75, (0.0, 0.0, 0.0))},
    {"walk": 0, "run": 1},
    ("day", "night"),
)


def scene(**more: Any) -> SceneConfig:
    return SceneConfig(
        gltf=["a/statue.glb"], sun=SunConfig(elevation_deg=30.0), dome=DomeConfig(file="sky.hdr"), **more
    )


def known(config: SceneConfig) -> dict[str, Address]:
    return addresses(config, {"statue": STATUE})


def test_every_kind_of_value_has_an_address() -> None:
    found = known(scene(exposed={"turn": ExposedConfig(address="objects/statue/pan_deg", label="Turn", low=-45.0)}))
    sun = found["sun/elevation_deg"]
    assert (sun.kind, sun.value, sun.unit, sun.low, sun.high) == ("number", 30.0, "deg", -90.0, 90.0)
    assert (found["sun/shadow"].kind, found["sun/shadow"].value) == ("switch", True)
    assert (found["sun/colour"].kind, found["sun/colour"].size, found["sun/colour"].low) == ("colour", 3, 0.0)
    assert found["objects/statue/variant"].choices == ("day", "night")
    assert found["objects/statue/animation"].choices == ("walk", "run", "none")
    assert found["objects/statue/animations/run/speed"].value == 1.0
    assert found["objects/statue/nodes/left_arm/visible"].value is True
    stone = found["objects/statue/materials/stone/base_colour"]
    assert (stone.value, stone.size, stone.high) == ((0.5, 0.25, 1.0, 1.0), 4, 1.0)
    turn = found["objects/statue/pan_deg"]
    assert (turn.label, turn.exposed, turn.low, turn.high) == ("Turn", "turn", -45.0, 360.0)
    assert not {"dome/file", "label", "gltf", "position", "objects/statue/gltf"} & set(found)


def test_edits_are_configurations_with_values_changed() -> None:
    config = scene()
    now = edited(
        config,
        {
            "sun/elevation_deg": 10,
            "objects/statue/nodes/left_arm/pan_deg": 20.0,
            "objects/statue/materials/stone/roughness": 0.1,
            "objects/statue/animations/walk/play": False,
            "objects/statue/variant": "night",
            "ambient": [1, 2, 3],
        },
        known(config),
    )
    assert now.sun is not None
    assert now.sun.elevation_deg == 10.0
    assert now.ambient == (1.0, 2.0, 3.0)
    statue = now.objects["statue"]
    assert statue.nodes["left_arm"].pan_deg == 20.0
    assert statue.materials["stone"].roughness == 0.1
    assert statue.materials["stone"].base_colour is None
    assert statue.animations["walk"].play is False
    assert statue.variant == "night"
    assert edited(config, {}, known(config)) == normal_form(config)
    assert edited(config, {"objects/statue/variant": None}, known(config)) == normal_form(config)


@pytest.mark.parametrize(
    ("address", "value", "error", "said"),
    [
        ("sun/elevatoin_deg", 3.0, UnknownAddressError, "did you mean `sun/elevation_deg`"),
        ("dome/file", "other.hdr", UnknownAddressError, "no such value"),
        ("sun/elevation_deg", 100.0, EditValueError, "less than or equal to 90"),
        ("sun/elevation_deg", float("nan"), EditValueError, "finite number"),
        ("sun/elevation_deg", True, EditValueError, "finite number"),
        ("sun/elevation_deg", None, EditValueError, "finite number"),
        ("sun/shadow", 1, EditValueError, "true or false"),
        ("sun/colour", [1.0, 2.0], EditValueError, "3 finite numbers"),
        ("objects/statue/variant", "dusk", EditValueError, "day, night"),
        ("objects/statue/scale", 0.0, EditValueError, "greater than 0"),
        ("objects/statue/materials/stone/metallic", 1.5, EditValueError, "less than or equal to 1"),
    ],
)
def test_wrong_edits_are_refused_whole(address: str, value: Any, error: type[Exception], said: str) -> None:
    config = scene()
    with pytest.raises(error) as caught:
        edited(config, {"exposure_ev": 1.0, address: value}, known(config))
    text = str(caught.value)
    assert said in text
    assert address in text


_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "sun/elevation_deg": st.floats(-90, 90),
    "objects/statue/x_m": st.floats(-10, 10),
    "objects/statue/nodes/body/visible": st.booleans(),
    "objects/statue/animation": st.sampled_from(["walk", "run", "none", None]),
    "ambient": st.tuples(*[st.floats(0, 9)] * 3),
}


@given(st.lists(st.fixed_dictionaries({}, optional=_VALUES), min_size=1, max_size=4))
def test_a_mapping_of_edits_says_everything(steps: list[dict[str, Any]]) -> None:
    """The last mapping alone decides, and every value told is the one given."""
    config = scene(objects={"post": ObjectConfig(gltf="post.glb", nodes={"n": NodeConfig(x_m=1.0)})})
    table = known(config)
    for step in steps:
        now = edited(config, step, table)
    assert now == edited(config, steps[-1], table)
    told = addresses(now, {"statue": STATUE})
    for address, value in steps[-1].items():
        assert told[address].value == (tuple(value) if isinstance(value, tuple) else value)
    assert set(told) == set(table)


@given(st.lists(st.text(max_size=40), max_size=12))
def test_ids_are_ids_and_unique(names: list[str]) -> None:
    import re

    ids = ids_of(names, "node")
    assert len(set(ids)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]{0,31}", name) for name in ids)


def test_ids_read_like_the_names() -> None:
    assert ids_of(["Left Arm.001", "", "left arm 001", "3rd"], "node") == (
        "left_arm_001", "node_1", "left_arm_001_2", "n_3rd",
    )  # fmt: skip
