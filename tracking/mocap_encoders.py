"""Poses as packets of NatNet and VMC: what the simulated trackers of those protocols say. Pure."""

from __future__ import annotations

import struct
from typing import Final

import numpy as np

from stage.frames import (
    Array,
    pose_from_pan_tilt_roll,
    quaternion_from_rotation,
    unity_from_pose,
    y_up_from_pose,
)
from stage.rate import Rate
from tracking.mocap_config import NatNetSection
from tracking.moment import Moment
from tracking.protocols.natnet import Frame, ModelDefinitions, ServerInfo
from tracking.protocols.natnet_models import BodyModel, Models, SkeletonModel
from tracking.protocols.natnet_sections import Section
from tracking.protocols.osc import OscPacket, bundle, time_tag_from_unix_ns
from tracking.protocols.pinhole import fov_from_focal_length

TICKS_HZ: Final = 10_000_000
NEWS_S: Final = 2
"""Server info and model definitions go out so often, for those who only listen."""
PICTURE_HEIGHT_MM: Final = 20.25
FOV_DEG: Final = 40.0
"""Said while no lens is known."""


FIGURE: Final[tuple[tuple[str, int, tuple[float, float, float], float], ...]] = (
    ("Hips", -1, (0.0, 0.0, 0.95), 0.0),
    ("Spine", 0, (0.0, 0.0, 0.12), 0.0),
    ("Chest", 1, (0.0, 0.0, 0.15), 0.0),
    ("Neck", 2, (0.0, 0.0, 0.25), 0.0),
    ("Head", 3, (0.0, 0.0, 0.1), 0.0),
    ("LeftUpperArm", 2, (-0.18, 0.0, 0.2), 25.0),
    ("LeftLowerArm", 5, (0.0, 0.0, -0.28), 10.0),
    ("LeftHand", 6, (0.0, 0.0, -0.25), 0.0),
    ("RightUpperArm", 2, (0.18, 0.0, 0.2), -25.0),
    ("RightLowerArm", 8, (0.0, 0.0, -0.28), -10.0),
    ("RightHand", 9, (0.0, 0.0, -0.25), 0.0),
    ("LeftUpperLeg", 0, (-0.1, 0.0, -0.05), -25.0),
    ("LeftLowerLeg", 11, (0.0, 0.0, -0.42), -15.0),
    ("LeftFoot", 12, (0.0, 0.0, -0.42), 0.0),
    ("RightUpperLeg", 0, (0.1, 0.0, -0.05), 25.0),
    ("RightLowerLeg", 14, (0.0, 0.0, -0.42), 15.0),
    ("RightFoot", 15, (0.0, 0.0, -0.42), 0.0),
)
"""A performer who walks on the spot: bones, parents, where they sit on them (stage axes, metres), and how far they
swing (degrees, about the axis to the right)."""
STEP_S: Final = 1.0
MARK: Final = pose_from_pan_tilt_roll((0.8, 1.0, 0.0), pan_deg=150.0)
"""Where the performer stands: before the wall, turned to the cameras."""
SKELETON_ID: Final = 1


def figure_at(t_s: float) -> list[Array]:
    """Poses of the figure's bones, [4, 4] each, in their parents' axes; the hips' in the stage."""
    swing = np.sin(2.0 * np.pi * t_s / STEP_S)
    local = [pose_from_pan_tilt_roll(offset, tilt_deg=swing * degrees) for _, _, offset, degrees in FIGURE]
    return [MARK @ local[0], *local[1:]]


def natnet_datagrams(
    moment: Moment, section: NatNetSection, *, body_id: int = 1, name: str = "a", rate: Rate | None = None
) -> list[bytes]:
    """One rigid body and one performer ("Actor") as a server of bitstream 4.1 sends them; every two seconds with who
    serves and what is tracked. Bones are global."""
    m = moment.stage_from_camera
    position, rotation = (m[:3, 3], quaternion_from_rotation(m)) if section.up == "z" else y_up_from_pose(m)
    if moment.quaternion_xyzw is not None:
        rotation = np.array(moment.quaternion_xyzw)
    ticks = moment.t_ns * TICKS_HZ // 1_000_000_000 & 0xFFFFFFFFFFFFFFFF
    body = _record(body_id, position, rotation)
    bones: list[Array] = []
    for local, (_, parent, _, _) in zip(figure_at(moment.t_ns % 60_000_000_000 / 1e9), FIGURE, strict=True):
        bones.append(local if parent < 0 else bones[parent] @ local)
    spoken = [(b[:3, 3], quaternion_from_rotation(b)) if section.up == "z" else y_up_from_pose(b) for b in bones]
    records = b"".join(_record(SKELETON_ID << 16 | i + 1, p, q) for i, (p, q) in enumerate(spoken))
    skeleton = struct.pack("<ii", SKELETON_ID, len(FIGURE)) + records
    frame = Frame(
        moment.number & 0x7FFFFFFF,
        rigid_body_section=Section(1, body),
        skeleton_section=Section(1, skeleton),
        asset_section=Section(),
        timestamp_s=moment.number / (rate.num / rate.den) if rate is not None else 0.0,
        mid_exposure_ticks=ticks,
        received_ticks=ticks,
        transmit_ticks=ticks,
    )
    every = max(1, NEWS_S * (rate.num // rate.den if rate is not None else 60))
    if moment.number % every:
        return [bytes(frame)]
    info = ServerInfo(b"OpenVolume".ljust(256, b"\0"), (0, 1, 0, 0), (4, 1, 0, 0), TICKS_HZ)
    actor = SkeletonModel(
        "Actor", SKELETON_ID, tuple(BodyModel(bone, i + 1, parent + 1) for i, (bone, parent, _, _) in enumerate(FIGURE))
    )
    models = ModelDefinitions.build(Models((BodyModel(name, body_id),), (actor,)))
    return [bytes(info), bytes(models), bytes(frame)]


def _record(number: int, position: Array, rotation: Array) -> bytes:
    return struct.pack("<i7ffH", number, *map(float, position), *map(float, rotation), 0.0002, 1)


def vmc_figure(moment: Moment) -> bytes:
    """The performer as one bundle: root, bones in their parents' axes, and a face that speaks."""
    t_s = moment.t_ns % 60_000_000_000 / 1e9
    hips, *others = figure_at(t_s)
    root = pose_from_pan_tilt_roll((0.0, 0.0, 0.0))
    messages = [_vmc_pose("Root/Pos", "root", root)]
    messages += [_vmc_pose("Bone/Pos", bone[0], p) for bone, p in zip(FIGURE, (hips, *others), strict=True)]
    weight = 0.5 + 0.5 * float(np.sin(2.0 * np.pi * 3.0 * t_s))
    messages += [OscPacket.build("/VMC/Ext/Blend/Val", ("A", weight)), OscPacket.build("/VMC/Ext/Blend/Apply", ())]
    messages.append(OscPacket.build("/VMC/Ext/OK", (1,)))
    return bundle(messages, time_tag_from_unix_ns(moment.t_ns))


def _vmc_pose(kind: str, name: str, pose: Array) -> OscPacket:
    position, rotation = unity_from_pose(pose)
    return OscPacket.build(f"/VMC/Ext/{kind}", (name, *map(float, position), *map(float, rotation)))


def vmc_camera(moment: Moment, *, name: str = "Camera") -> OscPacket:
    """The camera message, in a bundle with the moment as its time tag."""
    position, rotation = unity_from_pose(moment.stage_from_camera)
    if moment.quaternion_xyzw is not None:
        rotation = np.array(moment.quaternion_xyzw)
    lens = moment.lens
    focal_length_mm = None if lens is None else lens.focal_length_mm
    fov_deg = FOV_DEG if not focal_length_mm else fov_from_focal_length(PICTURE_HEIGHT_MM, focal_length_mm)
    arguments = (name, *map(float, position), *map(float, rotation), float(fov_deg))
    return OscPacket.build("/VMC/Ext/Cam", arguments, time_tag=time_tag_from_unix_ns(moment.t_ns))
