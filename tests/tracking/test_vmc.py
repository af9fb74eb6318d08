"""VMC: third-party messages and broken twins, figures from bones however they come, faces, cameras, props, lights."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage.frames import Array, pose_from_unity
from tracking.mapping import Mapping
from tracking.protocols.osc import OscPacket, time_tag_from_unix_ns
from tracking.protocols.vmc import ORDER, PARENTS, Assembler, VmcFigure, VmcMessage, parent_indices, parse
from tracking.sample import LensReading, Refusal, Sample, Stamp
from tracking.skeleton import Skeleton

IDENTITY = (0.0, 0.0, 0.0, 1.0)
LEFT = (0.0, -(0.5**0.5), 0.0, 0.5**0.5)  # Unity turns left about its Y with the left-hand rule


def mapping(body: str = "", kind: Any = "performer", **fields: Any) -> Mapping:
    return Mapping("t", "a", "a", body=body, kind=kind, **fields)


def message(address: str, *arguments: object, t_ns: int | None = None) -> bytes:
    tag = None if t_ns is None else time_tag_from_unix_ns(t_ns)
    return bytes(OscPacket.build(f"/VMC/Ext/{address}", arguments, time_tag=tag))


def bone(name: str, x: float = 0.0, y: float = 0.0, z: float = 0.0, q: tuple[float, ...] = IDENTITY) -> bytes:
    return message("Bone/Pos", name, x, y, z, *q)


def bundle(*messages: bytes, t_ns: int = 0) -> bytes:
    tag = time_tag_from_unix_ns(t_ns) if t_ns else 1
    return b"#bundle\0" + struct.pack(">Q", tag) + b"".join(struct.pack(">i", len(m)) + m for m in messages)


BONES = [bone("Hips", 0.0, 1.0, 0.0), bone("Spine", 0.0, 0.25, 0.0), bone("Head", 0.0, 0.5, 0.25)]
ROOT = message("Root/Pos", "root", 1.0, 0.0, 2.0, *IDENTITY)


def figures(assembler: Assembler, *datagrams: bytes) -> list[VmcFigure]:
    return [item for d in datagrams for item in assembler.feed(d) if isinstance(item, VmcFigure)]


def pose_of(item: VmcFigure | VmcMessage, told: Mapping) -> Sample:
    assert item.is_for(told)
    (sample,) = item.samples(told, Stamp(5, 5, 1))
    assert isinstance(sample, Sample)
    return sample


def joints_of(sample: Sample) -> tuple[Skeleton, Array]:
    assert sample.skeleton is not None
    return sample.skeleton, sample.skeleton.placed(sample.stage_from_camera)


def test_third_party_messages_and_their_broken_twins(reference: Path) -> None:
    tree = json.loads((reference / "tracking/vmc/messages.json").read_text())
    assert len(tree["messages"]) == 14
    for case in tree["messages"]:
        data = bytes.fromhex(case["hex"])
        (found,) = parse(data)
        assert isinstance(found, VmcMessage), case
        assert (found.packet.address, list(found.packet.arguments)) == (case["address"], case["args"])
        assert bytes(found) == data
        # Without its last argument, with another kind of one, and at an address nobody knows.
        twins = [(data[:-4], "short")] if case["args"] else []
        if case["args"]:
            twins.append((data.replace(case["types"].encode()[:2], b",b", 1), ""))
        twins.append((data.replace(b"/VMC", b"/VMX"), "other_message"))
        for twin, reason in twins:
            (refusal,) = parse(twin)
            assert isinstance(refusal, Refusal)
            assert not reason or refusal.reason == reason


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (message("Bone/Pos", "Hips", 1.0), "type"),
        (message("Bone/Pos", 1, *[1.0] * 7), "type"),
        (message("Bone/Pos", "Hips", *[1] * 7), "type"),
        (message("Blend/Val", "A"), "type"),
        (message("Cam", "Camera", *[1.0] * 7), "type"),
        (message("New/Thing", 1), "other_message"),
        (b"", "short"),
        (b"#bundle\0", "short"),
    ],
)
def test_what_cannot_be_used_is_refused(data: bytes, reason: str) -> None:
    (refusal,) = parse(data)
    assert isinstance(refusal, Refusal)
    assert refusal.reason == reason


def test_extra_arguments_and_optional_ones_are_let_pass() -> None:
    for data in (
        message("Bone/Pos", "Hips", *[1.0] * 7, 9, "more"),
        message("Root/Pos", "root", *[1.0] * 13),
        message("OK", 1, 3, 1, 1),
        message("Rcv", 1, 8080),
    ):
        assert isinstance(parse(data)[0], VmcMessage)


def test_poses_mean_what_the_conventions_say(reference: Path) -> None:
    for case in json.loads((reference / "tracking/poses/equivalent_poses.json").read_text())["cases"]:
        sent = case["unity_lh_yup"]
        for scale in (1.0, 2.5):  # quaternions need not be unit length
            q = [scale * v for v in sent["q_xyzw"]]
            (cam,) = Assembler().feed(message("Cam", "Camera", *sent["p"], *q, 40.0))
            assert isinstance(cam, VmcMessage)
            sample = pose_of(cam, mapping(kind="camera"))
            assert np.allclose(sample.stage_from_camera, case["stage_from_camera"], atol=2e-6)


def test_cameras_props_and_lights() -> None:
    assembler = Assembler()
    cam, tracker, local, light = (
        item
        for data in (
            message("Cam", "Main", 1.0, 2.0, 3.0, *IDENTITY, 40.0),
            message("Tra/Pos", "LHR-1", 1.0, 2.0, 3.0, *IDENTITY),
            message("Tra/Pos/Local", "LHR-1", 7.0, 2.0, 3.0, *IDENTITY),
            message("Light", "Key", 4.0, 2.0, 3.0, *IDENTITY, 1.0, 0.5, 0.25, 1.0),
        )
        for item in assembler.feed(data)
        if isinstance(item, VmcMessage)
    )
    assert pose_of(cam, mapping("Main", "camera")).lens is None
    wide = pose_of(cam, mapping(kind="camera", picture_mm=(36.0, 24.0))).lens
    assert wide is not None
    assert wide.focal_length_mm == pytest.approx(12.0 / np.tan(np.radians(20.0)))
    assert pose_of(tracker, mapping("LHR-1", "prop")).stage_from_camera[0, 3] == 1.0
    assert pose_of(local, mapping("LHR-1/local", "prop")).stage_from_camera[0, 3] == 7.0
    assert pose_of(light, mapping("Key", "light")).stage_from_camera[0, 3] == 4.0
    assert not cam.is_for(mapping("Other", "camera"))
    assert not cam.is_for(mapping(kind="prop"))
    assert not tracker.is_for(mapping("LHR-2", "prop"))
    assert not local.is_for(mapping("LHR-1", "prop"))
    (bad,) = Assembler().feed(message("Cam", "Camera", *[0.0] * 7, 40.0))
    assert isinstance(bad, VmcMessage)
    (refusal,) = bad.samples(mapping(kind="camera"), Stamp())
    assert isinstance(refusal, Refusal)
    assert refusal.reason == "range"


def test_a_figure_stands_where_its_bones_say() -> None:
    bones = [bone("Hips", 0.0, 1.0, 0.0, LEFT), bone("Spine", 0.0, 0.25, 0.0), bone("Head", 0.0, 0.5, 0.25)]
    whole = bundle(ROOT, *bones, t_ns=7_000_000_000)
    (figure,) = figures(Assembler(), whole, whole)[-1:]
    assert figure.t_source_ns == 7_000_000_000
    sample = pose_of(figure, mapping())
    # Root at (1, 0, 2), hips one up, turned left: Unity's (x, y, z) is the stage's (x, z, y).
    assert np.allclose(sample.stage_from_camera, pose_from_unity((1, 1, 2), LEFT), atol=1e-6)
    skeleton, placed = joints_of(sample)
    assert (skeleton.names, skeleton.parents) == (("Hips", "Spine", "Head"), (-1, 0, 1))
    # The head lies a quarter metre before the spine, and forward is to the left now.
    assert np.allclose(placed[:, :3], [(1, 2, 1), (1, 2, 1.25), (0.75, 2, 1.75)], atol=1e-6)
    head = pose_of(figure, mapping("Head", "prop"))
    assert np.allclose(head.stage_from_camera[:3, 3], (0.75, 2, 1.75), atol=1e-6)
    assert head.skeleton is None
    assert not figure.is_for(mapping("Tail", "prop"))
    assert not figure.is_for(mapping(kind="prop"))


def test_figures_are_whole_however_they_come() -> None:
    # One bundle a figure: whole at once, from the second on.
    assert len(figures(Assembler(), *[bundle(ROOT, *BONES)] * 5)) == 4
    # Two bundles a figure, and single messages; root first, root last, no root.
    for order in ([ROOT, *BONES], [*BONES, ROOT], BONES):
        for begin in range(len(order)):
            assembler = Assembler()
            sent = [*order[begin:], *(order * 6)]
            found = figures(assembler, *sent)
            assert 4 <= len(found) <= 7
            assert all(set(f.bones) == {"Hips", "Spine", "Head"} for f in found[2:])
    split = [bundle(ROOT, BONES[0]), bundle(*BONES[1:])]
    assert len(figures(Assembler(), *split * 5)) == 4


def test_no_figure_mixes_two_times() -> None:
    """Each bone tells in its x when it was sent; a sender heard from the middle on settles into whole figures."""
    assembler = Assembler()
    found = []
    for n in range(8):
        bones = [bone(name, float(n)) for name in ("Hips", "Spine", "Chest", "Head")]
        for data in bones[2:] if n == 0 else bones:
            found += figures(assembler, data)
    assert len(found) >= 6
    for figure in found[2:]:
        assert len({numbers[0] for numbers in figure.bones.values()}) == 1


def test_fewer_bones_are_a_whole_figure_too() -> None:
    assembler = Assembler()
    figures(assembler, *[bundle(*BONES)] * 3)
    found = figures(assembler, *[bundle(*BONES[:2])] * 4)
    assert [set(f.bones) for f in found][-1] == {"Hips", "Spine"}


def test_weights_count_when_they_are_applied() -> None:
    assembler = Assembler()
    whole = bundle(*BONES)
    figures(assembler, whole, whole)
    (figure,) = figures(assembler, message("Blend/Val", "happy", 0.5), whole)
    assert figure.shapes == {}
    (figure,) = figures(assembler, message("Blend/Val", "A", 1.0), message("Blend/Apply"), whole)
    assert figure.shapes == {"happy": 0.5, "A": 1.0}
    skeleton = pose_of(figure, mapping()).skeleton
    assert skeleton is not None
    assert skeleton.blend_shapes == {"Joy": 0.5, "A": 1.0}
    # A face alone is a figure without bones.
    (face,) = figures(Assembler(), message("Blend/Val", "A", 0.25), message("Blend/Apply"))
    sample = pose_of(face, mapping())
    assert np.allclose(sample.stage_from_camera, np.eye(4))
    assert sample.skeleton is not None
    assert (sample.skeleton.names, sample.skeleton.blend_shapes) == ((), {"A": 0.25})


def test_a_sender_without_a_model_is_not_tracked() -> None:
    assembler = Assembler()
    whole = bundle(*BONES)
    (figure,) = figures(assembler, whole, message("OK", 0), whole)
    (refusal,) = figure.samples(mapping(), Stamp())
    assert isinstance(refusal, Refusal)
    assert refusal.reason == "untracked"
    bad = bundle(bone("Hips", q=(0.0, 0.0, 0.0, 0.0)))
    (figure,) = figures(Assembler(), bad, bad, bad)[-1:]
    (refusal,) = figure.samples(mapping(), Stamp())
    assert isinstance(refusal, Refusal)
    assert refusal.reason == "range"


def test_bones_hang_at_the_nearest_one_there() -> None:
    assert len(ORDER) == 55
    assert all(ORDER[parent] < ORDER[name] for name, parent in PARENTS.items())
    assert parent_indices(["Hips", "Spine", "Head", "LeftUpperArm", "LeftHand", "Tail"]) == (-1, 0, 1, 1, 3, -1)


ANY = [
    ROOT, *BONES, bundle(ROOT, *BONES), bundle(*BONES[1:]), message("Blend/Apply"), message("Blend/Val", "A", 0.5),
    message("OK", 1), b"rubbish!",
]  # fmt: skip


@given(st.lists(st.sampled_from(ANY), max_size=40))
def test_any_order_gives_figures_or_nothing(sent: list[bytes]) -> None:
    assembler = Assembler()
    for data in sent:
        for item in assembler.feed(data):
            if not isinstance(item, Refusal):
                for found in item.samples(mapping(), Stamp()):
                    assert isinstance(found, Sample | LensReading | Refusal)
