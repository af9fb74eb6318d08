"""Poses as packets of NatNet and VMC: what the simulated trackers of those protocols say. Pure."""

from __future__ import annotations

import struct
from typing import Final

import numpy as np

from stage.frames import quaternion_from_rotation, unity_from_pose, y_up_from_pose
from stage.rate import Rate
from tracking.mocap_config import NatNetSection
from tracking.moment import Moment
from tracking.protocols.natnet import Frame, ModelDefinitions, ServerInfo
from tracking.protocols.natnet_models import BodyModel, Models
from tracking.protocols.natnet_sections import Section
from tracking.protocols.osc import OscPacket, time_tag_from_unix_ns
from tracking.protocols.pinhole import fov_from_focal_length

TICKS_HZ: Final = 10_000_000
NEWS_S: Final = 2
"""Server info and model definitions go out so often, for those who only listen."""
PICTURE_HEIGHT_MM: Final = 20.25
FOV_DEG: Final = 40.0
"""Said while no lens is known."""


def natnet_datagrams(
    moment: Moment, section: NatNetSection, *, body_id: int = 1, name: str = "a", rate: Rate | None = None
) -> list[bytes]:
    """One rigid body as a server of bitstream 4.1 sends it; every two seconds with who serves and what is tracked."""
    m = moment.stage_from_camera
    position, rotation = (m[:3, 3], quaternion_from_rotation(m)) if section.up == "z" else y_up_from_pose(m)
    if moment.quaternion_xyzw is not None:
        rotation = np.array(moment.quaternion_xyzw)
    ticks = moment.t_ns * TICKS_HZ // 1_000_000_000 & 0xFFFFFFFFFFFFFFFF
    body = struct.pack("<i7ffH", body_id, *map(float, position), *map(float, rotation), 0.0002, 1)
    frame = Frame(
        moment.number & 0x7FFFFFFF,
        rigid_body_section=Section(1, body),
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
    models = ModelDefinitions.build(Models((BodyModel(name, body_id),)))
    return [bytes(info), bytes(models), bytes(frame)]


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
