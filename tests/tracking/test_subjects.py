"""Props, lights and performers beside the cameras: found in streams, kept in histories, predicted, nudged, lost."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from runtime.clock import VirtualClock
from stage.frames import Array, pose_from_pan_tilt_roll, rotation_from_quaternion, y_up_from_pose
from tracking.config import TrackingConfig
from tracking.errors import UnknownSource
from tracking.health import State
from tracking.inputs import TrackingInputs
from tracking.protocols.freed import FreeDPacket
from tracking.protocols.natnet import Frame, ModelDefinitions, ServerInfo
from tracking.protocols.natnet_models import BodyModel, Models, SkeletonModel
from tracking.protocols.natnet_sections import Section
from tracking.protocols.osc import OscPacket
from tracking.skeleton import Skeleton, chained, moved_on, relative_joints

MS = 1_000_000
HZ = 1_000_000
NATNET: dict[str, Any] = {"protocol": "natnet", "listen": "127.0.0.1:1511"}
MODELS = Models(
    (BodyModel("CamA", 1), BodyModel("Wand", 2)),
    (SkeletonModel("Actor", 3, (BodyModel("Hip", 1, 0), BodyModel("Hand", 2, 1))),),
)
BODY = struct.Struct("<i7ffH")


def config(subjects: dict[str, Any], **source: Any) -> TrackingConfig:
    return TrackingConfig.model_validate({"sources": {"mocap": NATNET | source}, "subjects": subjects})


def body(number: int, stage_from_body: Array, *, seen: bool = True) -> bytes:
    position, rotation = y_up_from_pose(stage_from_body)
    return BODY.pack(number, *position, *rotation, 0.0005, int(seen))


def natnet_frame(t_ns: int, bodies: list[bytes], bones: list[bytes]) -> bytes:
    ticks = t_ns * HZ // 10**9
    skeletons = struct.pack("<ii", 3, len(bones)) + b"".join(bones)
    return bytes(
        Frame(
            t_ns // 8_000_000,
            rigid_body_section=Section(len(bodies), b"".join(bodies)),
            skeleton_section=Section(1, skeletons) if bones else Section(),
            asset_section=Section(),
            mid_exposure_ticks=ticks,
            transmit_ticks=ticks,
        )
    )


def camera_pose(t_s: float) -> Array:
    return pose_from_pan_tilt_roll((0.2 * t_s, -2.0, 1.5), pan_deg=10.0 * t_s)


def wand_pose(t_s: float) -> Array:
    return pose_from_pan_tilt_roll((1.0, 0.5 * t_s, 1.0), pan_deg=20.0 * t_s, tilt_deg=5.0)


def hips_pose(t_s: float) -> Array:
    return pose_from_pan_tilt_roll((-1.0 + 0.5 * t_s, 0.0, 1.0), pan_deg=90.0)


def hand_pose(t_s: float) -> Array:
    return hips_pose(t_s) @ pose_from_pan_tilt_roll((0.3, 0.4 * t_s, 0.5), roll_deg=30.0 * t_s)


def play(inputs: TrackingInputs, clock: VirtualClock, seconds: float, *, seen: bool = True, begin: int = 0) -> int:
    """Feed a server's frames at 125 Hz; the time of the last one."""
    if begin == 0:
        info = ServerInfo(b"Motive".ljust(256, b"\0"), (3, 1, 0, 0), (4, 1, 0, 0), HZ)
        for news in (info, ModelDefinitions.build(MODELS)):
            assert inputs.inject("mocap", bytes(news)) == []
    t_ns = 0
    for n in range(begin, begin + int(seconds * 125)):
        t_ns = (n + 1) * 8 * MS
        clock.advance_to(t_ns)
        t_s = t_ns / 1e9
        bodies = [body(1, camera_pose(t_s)), body(2, wand_pose(t_s), seen=seen)]
        bones = [body(3 << 16 | 1, hips_pose(t_s)), body(3 << 16 | 2, hand_pose(t_s))]
        inputs.inject("mocap", natnet_frame(t_ns, bodies, bones), t_ns)
    return t_ns


SUBJECTS: dict[str, Any] = {
    "wand": {"source": "mocap", "body": "Wand", "body_from_subject": {"y_m": 0.25}},
    "actor": {"source": "mocap", "body": "Actor", "kind": "performer"},
    "lamp": {"source": "mocap", "body": "9", "kind": "light"},
}


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"subjects": {"x": {"source": "none"}}}, "there is no source none"),
        ({"sources": {"m": NATNET}}, "moves nothing"),
        ({"sources": {"m": {**NATNET, "protocol": "freed"}}, "subjects": {"x": {"source": "m", "kind": "performer"}}},
         "carries no skeletons"),
        ({"sources": {"m": {**NATNET, "protocol": "freed"}}, "subjects": {"x": {"source": "m", "body": "Wand"}}},
         "by number"),
        ({"sources": {"m": NATNET}, "subjects": {"x": {"source": "m", "kind": "animal"}}}, "prop"),
        ({"sources": {"m": {**NATNET, "camera": "a", "natnet": {"server": "motive.local"}}}}, "IPv4 address"),
        ({"sources": {"m": {**NATNET, "protocol": "vmc", "camera": "a", "natnet": {"server": "10.0.0.5"}}}},
         "belongs to natnet"),
    ],
)  # fmt: skip
def test_wrong_subjects_are_told(tree: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        TrackingConfig.model_validate(tree)


def test_props_and_performers_are_predicted_like_cameras() -> None:
    clock = VirtualClock(0)
    inputs = TrackingInputs(config(SUBJECTS, camera="a", body="CamA", pose_point="sensor"), clock)
    last_ns = play(inputs, clock, 1.0)
    ahead_ns = 40 * MS
    t_s = (last_ns + ahead_ns) / 1e9
    camera = inputs.predict("a", last_ns + ahead_ns)
    assert camera is not None
    assert np.allclose(camera.stage_from_camera, camera_pose(t_s), atol=0.003)
    wand = inputs.predict_subject("wand", last_ns + ahead_ns)
    assert wand is not None
    assert (wand.id, wand.kind, wand.skeleton) == ("wand", "prop", None)
    tip = wand_pose(t_s) @ pose_from_pan_tilt_roll((0.0, 0.25, 0.0))
    assert np.allclose(wand.stage_from_subject, tip, atol=0.004)
    assert (wand.pose.sample.source, wand.pose.quality) == ("mocap", "ok")
    actor = inputs.predict_subject("actor", last_ns + ahead_ns)
    assert actor is not None
    assert actor.skeleton is not None
    assert actor.skeleton.names == ("Hip", "Hand")
    assert np.allclose(actor.stage_from_subject, hips_pose(t_s), atol=0.004)
    hip, hand = actor.joints()
    assert np.allclose(hip[:3], hips_pose(t_s)[:3, 3], atol=0.004)
    # A joint is carried on by most of its own velocity: 0.4 m/s over 40 ms, of which a fifth is left out.
    assert np.allclose(hand[:3], hand_pose(t_s)[:3, 3], atol=0.008)
    held = inputs.predict_subject("actor", last_ns)
    assert held is not None
    assert np.allclose(held.joints()[1, :3], hand_pose(last_ns / 1e9)[:3, 3], atol=0.004)
    assert np.allclose(rotation_from_quaternion(held.joints()[1, 3:]), hand_pose(last_ns / 1e9)[:3, :3], atol=0.02)
    assert inputs.predict_subject("lamp", last_ns) is None
    newest = inputs.latest_subject("wand")
    assert newest is not None
    assert newest.t_sampled_ns == last_ns
    with pytest.raises(UnknownSource, match="no such subject"):
        inputs.predict_subject("nobody", 0)


def test_a_source_may_carry_subjects_only() -> None:
    clock = VirtualClock(0)
    inputs = TrackingInputs(config(SUBJECTS), clock)
    last_ns = play(inputs, clock, 0.5)
    assert inputs.state("mocap") is State.OK
    statistics = inputs.statistics()["mocap"]
    assert (statistics.camera, statistics.refused) == ("", {})
    assert statistics.rate_hz == pytest.approx(125.0, rel=0.01)
    assert inputs.predict_subject("wand", last_ns) is not None
    assert inputs.subject_states(last_ns) == {"wand": State.OK, "actor": State.OK, "lamp": State.WAITING}


def test_a_prop_out_of_sight_coasts_is_told_and_comes_back() -> None:
    clock = VirtualClock(0)
    inputs = TrackingInputs(config(SUBJECTS), clock)
    play(inputs, clock, 0.5)
    last_ns = play(inputs, clock, 0.4, seen=False, begin=62)
    assert inputs.subject_states(last_ns)["wand"] is State.BAD
    assert inputs.subject_states(last_ns)["actor"] is State.OK
    (alarm,) = [a for a in inputs.alarms(last_ns) if "wand" in a.path]
    assert (alarm.path, "not seen" in alarm.detail) == ("tracking/subjects/wand", True)
    wand = inputs.predict_subject("wand", last_ns)
    assert wand is not None
    assert wand.pose.quality == "bad"
    last_ns = play(inputs, clock, 0.5, begin=112)
    assert inputs.subject_states(last_ns)["wand"] is State.OK


def test_subjects_move_with_their_sources_alignment() -> None:
    clock = VirtualClock(0)
    inputs = TrackingInputs(config(SUBJECTS), clock)
    last_ns = play(inputs, clock, 0.5)
    before = inputs.predict_subject("actor", last_ns)
    assert before is not None
    inputs.apply(config(SUBJECTS, stage_from_tracker={"x_m": 2.0, "pan_deg": 90.0}))
    after = inputs.predict_subject("actor", last_ns)
    assert after is not None
    nudge = pose_from_pan_tilt_roll((2.0, 0.0, 0.0), pan_deg=90.0)
    assert np.allclose(after.stage_from_subject, nudge @ before.stage_from_subject, atol=1e-3)
    moved = before.joints()[:, :3] @ nudge[:3, :3].T + nudge[:3, 3]
    assert np.allclose(after.joints()[:, :3], moved, atol=1e-3)
    # A subject that is gone is forgotten; one that is new begins.
    inputs.apply(config({"wand": SUBJECTS["wand"], "other": {"source": "mocap", "body": "1"}}))
    with pytest.raises(UnknownSource):
        inputs.predict_subject("actor", last_ns)
    assert inputs.predict_subject("wand", last_ns) is not None
    assert inputs.predict_subject("other", last_ns) is None


def test_allow_lists_hold_for_subjects() -> None:
    clock = VirtualClock(0)
    inputs = TrackingInputs(config(SUBJECTS, allow=["10.0.0.5"]), clock)
    data = natnet_frame(MS, [body(9, wand_pose(0.0))], [])
    inputs.inject("mocap", data, MS, sender=("10.0.0.9", 1))
    assert inputs.latest_subject("lamp") is None
    inputs.inject("mocap", data, MS, sender=("10.0.0.5", 1))
    assert inputs.latest_subject("lamp") is not None


def test_subjects_of_other_protocols() -> None:
    clock = VirtualClock(0)
    told = TrackingConfig.model_validate(
        {
            "sources": {
                "f": {"protocol": "freed", "listen": "127.0.0.1:40000", "camera": "a", "camera_id": 1},
                "o": {"protocol": "osc", "listen": "127.0.0.1:40001", "osc": {"preset": "vrchat"}},
                "v": {"protocol": "vmc", "listen": "127.0.0.1:39539"},
            },
            "subjects": {
                "crane": {"source": "f", "body": "7"},
                "chair": {"source": "o", "body": "3"},
                "lamp": {"source": "v", "body": "Key", "kind": "light"},
            },
        }
    )
    inputs = TrackingInputs(told, clock)
    for number, x_mm in ((1, 1000.0), (7, 2000.0)):
        packet = FreeDPacket.from_units(
            camera_id=number, pan_deg=0.0, tilt_deg=0.0, roll_deg=0.0, x_mm=x_mm, y_mm=0.0, z_mm=0.0
        )
        inputs.inject("f", bytes(packet))
    for name, values in (("position", (3.0, 1.0, 2.0)), ("rotation", (0.0, 0.0, 0.0))):
        inputs.inject("o", bytes(OscPacket.build(f"/tracking/trackers/3/{name}", values)))
    light = ("Key", 4.0, 1.0, 2.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    inputs.inject("v", bytes(OscPacket.build("/VMC/Ext/Light", light)))
    found = {name: inputs.latest_subject(name) for name in ("crane", "chair", "lamp")}
    assert {n: None if s is None else s.stage_from_camera[0, 3] for n, s in found.items()} == {
        "crane": 2.0, "chair": 3.0, "lamp": 4.0,
    }  # fmt: skip
    camera = inputs.latest("a")
    assert camera is not None
    assert camera.stage_from_camera[0, 3] == 1.0


def test_chains_and_relative_joints_undo_each_other() -> None:
    subject = pose_from_pan_tilt_roll((1.0, 2.0, 3.0), pan_deg=30.0, tilt_deg=-20.0, roll_deg=10.0)
    quarter = (0.0, 0.0, 0.5**0.5, 0.5**0.5)
    local = [(1.0, 2.0, 3.0, *quarter), (0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0), (1.0, 0.0, 0.0, *quarter)]
    joints = np.array(chained(local, (-1, 0, 1)))
    assert np.allclose(joints[:, :3], [(1, 2, 3), (0, 2, 3), (0, 3, 3)])
    assert np.allclose(rotation_from_quaternion(joints[2, 3:]), np.diag((-1.0, -1.0, 1.0)), atol=1e-12)
    relative = Skeleton(("a", "b", "c"), (-1, 0, 1), relative_joints(joints, subject))
    assert np.allclose(relative.placed(subject)[:, :3], joints[:, :3])
    turned = [np.abs(a @ b) for a, b in zip(relative.placed(subject)[:, 3:], joints[:, 3:], strict=True)]
    assert np.allclose(turned, 1.0)


def test_joints_are_carried_on_whatever_sign_their_quaternions_have() -> None:
    def skeleton(x: float, sign: float) -> Skeleton:
        half = np.radians(x * 10) / 2
        return Skeleton(("a",), (-1,), np.array([[x, 0, 0, 0, 0, sign * np.sin(half), sign * np.cos(half)]]))

    for sign in (1.0, -1.0):
        out = moved_on(skeleton(1.0, 1.0), skeleton(0.0, sign), 10 * MS, 10 * MS, 1.0).subject_from_joint[0]
        assert out[0] == pytest.approx(2.0)
        assert np.linalg.norm(out[3:]) == pytest.approx(1.0)
        assert abs(np.degrees(2 * np.arctan2(out[5], out[6]))) == pytest.approx(20.0, abs=0.1)
    other = Skeleton(("b",), (-1,), skeleton(0.0, 1.0).subject_from_joint)
    newest = skeleton(1.0, 1.0)
    assert moved_on(newest, other, 10 * MS, 10 * MS, 1.0) is newest
    assert moved_on(newest, None, 10 * MS, 10 * MS, 1.0) is newest
