"""Live Link JSON: its three forms, equivalent poses, the lens of a camera, broken twins."""

from __future__ import annotations

import json
from math import radians, tan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage.frames import unreal_from_pose
from tracking.config import Source
from tracking.mapping import mapping_of
from tracking.protocols.live_link import LiveLinkPacket, parse
from tracking.sample import Refusal, Sample, Stamp

SOURCE: dict[str, Any] = {"protocol": "live_link", "listen": "127.0.0.1:54321", "camera": "a"}
BONE: dict[str, Any] = {
    "Name": "root", "Parent": -1, "Location": [10.0, 20.0, 30.0], "Rotation": [0.0, 0.0, 0.0, 1.0],
    "Scale": [1.0, 1.0, 1.0],
}  # fmt: skip


def text(tree: Any) -> bytes:
    return json.dumps(tree).encode()


def one(datagram: bytes) -> LiveLinkPacket:
    (packet,) = parse(datagram)
    assert isinstance(packet, LiveLinkPacket)
    return packet


def samples(tree: Any, picture_mm: tuple[float, float] | None = None, **change: Any) -> list[Any]:
    mapping = mapping_of("t", Source.model_validate(SOURCE | change), picture_mm=picture_mm)
    return one(text(tree)).samples(mapping, Stamp()) if one(text(tree)).is_for(mapping) else []


def test_forms_of_a_subject() -> None:
    camera = {k: v for k, v in BONE.items() if k not in ("Name", "Parent")} | {"Values": [60.0, 1.78, 35.0]}
    for tree in (
        {"Camera": [BONE]},
        {"Camera": {"Bone": [BONE], "Parameter": [{"Name": "x", "Value": 0.5}]}},
        {"Camera": [{"Type": "CameraAnimation"}, camera]},
    ):
        datagram = text(tree)
        assert bytes(one(datagram)) == datagram
        (sample,) = samples(tree)
        assert isinstance(sample, Sample)
        # Unreal's X is forward, its Y right, in centimetres.
        np.testing.assert_allclose(sample.stage_from_camera[:3, 3], (0.2, 0.1, 0.3))
        np.testing.assert_allclose(sample.stage_from_camera[:3, :3], np.eye(3))
    assert samples({"Camera": [{"Type": "CameraSubject"}]}) == []
    assert samples({"Camera": [{"Type": "CameraAnimation"}]}) == []


def test_equivalent_poses(reference: Path) -> None:
    for case in json.loads((reference / "tracking/poses/equivalent_poses.json").read_text())["cases"]:
        unreal, expected = case["unreal_cm"], np.array(case["stage_from_camera"])
        _, quaternion = unreal_from_pose(expected)
        tree = {"a": [BONE | {"Location": [unreal[n] for n in "xyz"], "Rotation": quaternion.tolist()}]}
        (sample,) = samples(tree)
        np.testing.assert_allclose(sample.stage_from_camera, expected, atol=1e-9)


def test_the_lens_of_a_camera() -> None:
    tree = {"a": [{"Type": "CameraAnimation"}, BONE | {"Values": [60.0, 1.78, 35.0]}]}
    (sample,) = samples(tree, (36.0, 20.25))
    assert sample.lens.focal_length_mm == pytest.approx(18.0 / tan(radians(30.0)))
    (sample,) = samples(tree)
    assert sample.lens.focal_length_mm == 35.0
    (sample,) = samples({"a": [{"Type": "CameraAnimation"}, BONE | {"Values": [0.0]}]})
    assert sample.lens is None


def test_which_subject_and_bone() -> None:
    tree = {"hat": [BONE], "a": [BONE | {"Name": "hips"}, BONE | {"Name": "head", "Location": [500.0, 0.0, 0.0]}]}
    assert samples(tree)[0].stage_from_camera[1, 3] == pytest.approx(0.1)
    assert samples(tree, live_link={"bone": "head"})[0].stage_from_camera[1, 3] == 5.0
    assert samples(tree, body="hat")[0].stage_from_camera[1, 3] == pytest.approx(0.1)
    assert samples(tree, body="crane") == []
    assert samples(tree, live_link={"bone": "tail"}) == [Refusal("not_mine", "no bone tail")]


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (b"", "short"),
        (b" " * 20_000, "long"),
        (b"[]", "magic"),
        (b'{"a": [{"Name": "root"', "malformed"),
        (b'{"a": 5}', "schema"),
        (b"{}", "schema"),
        (b'{"a": [{"Location": [1, 2]}]}', "schema"),
        (b'{"a": [{"Location": ["1", 2, 3]}]}', "schema"),
        (b'{"a": [{"Name": "\xff"}]}', "malformed"),
        (text({str(i): [BONE] for i in range(65)}), "schema"),
    ],
)
def test_broken_twins(datagram: bytes, reason: str) -> None:
    (item,) = parse(datagram)
    assert isinstance(item, Refusal)
    assert item.reason == reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"Location": None}, "schema"),
        ({"Rotation": None}, "schema"),
        ({"Rotation": [0.0, 0.0, 0.0, 0.5]}, "range"),
        ({"Rotation": [0.0, 0.0, 0.0, 0.0]}, "range"),
        ({"Location": [1e308, 1e308, 0.0]}, "nan"),
    ],
)
def test_poses_that_are_none(change: dict[str, Any], reason: str) -> None:
    (item,) = samples({"a": [BONE | change]})
    assert isinstance(item, Refusal)
    assert item.reason == reason


numbers = st.floats(-1e5, 1e5)
bones = st.fixed_dictionaries(
    {"Location": st.lists(numbers, min_size=3, max_size=3), "Rotation": st.lists(numbers, min_size=4, max_size=4)},
    optional={"Name": st.text(max_size=8), "Parent": st.integers(-1, 99), "Scale": st.lists(numbers, min_size=3,
              max_size=3), "Values": st.lists(numbers, max_size=4), "Type": st.text(max_size=8), "Odd": numbers},
)  # fmt: skip


@given(st.dictionaries(st.text(max_size=8), st.lists(bones, max_size=4), min_size=1, max_size=4))
def test_round_trip(tree: Any) -> None:
    datagram = text(tree)
    assert bytes(one(datagram)) == datagram
    for item in samples(tree, (36.0, 20.25)):
        assert isinstance(item, Sample | Refusal)
