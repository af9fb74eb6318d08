"""Poses as packets of Mo-Sys F4, stYpe, PosiStageNet, RTTrPM and Live Link: what the simulated trackers say. Pure."""

from __future__ import annotations

from typing import Final, Literal

from stage.frames import (
    pan_tilt_roll_from_rotation,
    psn_from_pose,
    rttrpm_from_pose,
    stype_from_pose,
    unreal_from_pose,
)
from stage.rate import NS_PER_S, Rate
from tracking.moment import Moment
from tracking.protocol_config import MosysF4Section, PsnSection, RttrpmSection, StypeSection
from tracking.protocols import live_link, mosys_f4, psn, rttrpm
from tracking.protocols.cooke import INFINITY, CookeRecord
from tracking.protocols.live_link import LiveLinkBone, LiveLinkPacket
from tracking.protocols.mosys_f4 import F4Packet
from tracking.protocols.pinhole import fov_from_focal_length
from tracking.protocols.psn import PsnData, PsnHeader, PsnInfo, PsnTracker
from tracking.protocols.rttrpm import RttrpmModule, RttrpmPacket, RttrpmTrackable
from tracking.protocols.stype import StypePacket
from tracking.sample import LensReading

PICTURE_MM: Final = (36.0, 20.25)
"""Width and height of the simulated cameras' picture, where a protocol tells angles or pixels."""
DAY_S: Final = 86_400
_F4_FPS: Final = {24: 0x00, 25: 0x20, 30: 0x40}
_RECORDING_AND_GENLOCKED: Final = 0x30


def mosys_f4_packet(
    moment: Moment,
    section: MosysF4Section,
    *,
    camera_id: int = 1,
    rate: Rate | None = None,
    picture_mm: tuple[float, float] = PICTURE_MM,
) -> F4Packet:
    """Pose, lens where it is known, and time code where the rate is a multiple of 24, 25 or 30.

    Raises
    ------
    ValueError : a position beyond 83 m.
    """
    angles = pan_tilt_roll_from_rotation(moment.stage_from_camera)
    lengths = (100_000.0 * float(v) for v in moment.stage_from_camera[:3, 3])
    axes: list[tuple[int, int, int]] = []
    for axis, value in zip(
        (mosys_f4.PAN, mosys_f4.TILT, mosys_f4.ROLL, mosys_f4.X, mosys_f4.Y, mosys_f4.HEIGHT),
        (*(mosys_f4.ANGLE_COUNTS_PER_DEG * a for a in angles), *lengths),
        strict=True,
    ):
        counts = round(value)
        if not -0x800000 <= counts <= 0x7FFFFF:
            raise ValueError("F4 holds positions within 83 m")
        axes.append((axis, 0, counts))
    lens = moment.lens or LensReading()
    if lens.focal_length_mm:
        f_px = lens.focal_length_mm * section.image_width_px / picture_mm[0]
        axes += [mosys_f4.real_axis(mosys_f4.FX, f_px), mosys_f4.real_axis(mosys_f4.FY, f_px)]
    if lens.focus_distance_m:
        axes.append(mosys_f4.real_axis(mosys_f4.INVERSE_FOCUS, 1.0 / lens.focus_distance_m))
    if lens.entrance_pupil_m is not None:
        axes.append(mosys_f4.real_axis(mosys_f4.ENTRANCE_PUPIL, lens.entrance_pupil_m))
    if lens.f_stop:
        axes.append(mosys_f4.real_axis(mosys_f4.APERTURE, lens.f_stop))
    fps = next((f for f in (25, 24, 30) if rate is not None and rate.den == 1 and rate.num % f == 0), None)
    if fps is not None:
        frame = moment.t_ns * fps // NS_PER_S % (DAY_S * fps)
        seconds, frames = divmod(frame, fps)
        label = (seconds // 3600) << 18 | (seconds // 60 % 60) << 12 | (seconds % 60) << 6 | frames
        axes.append((mosys_f4.TIMECODE, _F4_FPS[fps], label))
    axes.append((mosys_f4.TRACKING, 0, 2 << 12))
    return F4Packet.build(camera_id, axes, status=_RECORDING_AND_GENLOCKED | moment.number & 0x0F)


def stype_packet(
    moment: Moment,
    section: StypeSection,
    *,
    kind: Literal["hf", "a5"] = "hf",
    picture_mm: tuple[float, float] = PICTURE_MM,
) -> StypePacket:
    """Pose in the section's convention, and the field of view of a 35 mm lens where none is known."""
    pan, tilt, roll, position = stype_from_pose(moment.stage_from_camera, convention=section.convention)
    x, y, z = (float(v) for v in position)
    lens = moment.lens or LensReading()
    focal_mm = lens.focal_length_mm or 35.0
    fov_x = fov_from_focal_length(picture_mm[0], focal_mm)
    focus = 1.0 if lens.focus_distance_m is None else lens.focus_distance_m
    if kind == "a5":
        fov_y = fov_from_focal_length(picture_mm[1], focal_mm)
        return StypePacket("a5", x, y, z, pan, tilt, roll, fov_x, focus, 0.0, 0.0, 0.0, 0.0, fov_y_deg=fov_y)
    aspect = picture_mm[0] / picture_mm[1]
    return StypePacket(
        "hf", x, y, z, pan, tilt, roll, fov_x, focus, 0.0, 0.0, 0.0, 0.0, aspect, 0.0, picture_mm[0],
        number=moment.number & 0xFF,
    )  # fmt: skip


def psn_packets(
    moment: Moment, section: PsnSection, *, tracker_id: int = 1, name: str = "a", rate: Rate | None = None
) -> list[bytes]:
    """A DATA packet, and an INFO packet before it once a second."""
    position, turn = psn_from_pose(moment.stage_from_camera, right_handed=section.handedness == "right")
    x, y, z = (float(v) for v in position)
    rx, ry, rz = (float(v) for v in turn)
    timestamp_us = moment.t_ns // 1000 & 0xFFFF_FFFF_FFFF_FFFF
    header = PsnHeader(timestamp_us, psn.VERSION, moment.number & 0xFF, 1)
    tracker = PsnTracker(tracker_id, (x, y, z), orientation_rad=(rx, ry, rz), status=1.0, timestamp_us=timestamp_us)
    out = [bytes(PsnData(header, (tracker,)))]
    if moment.number % max(1, round(rate.hz if rate is not None else 60)) == 0:
        out.insert(0, bytes(PsnInfo(header, "OpenVolume", {tracker_id: name})))
    return out


def rttrpm_packet(moment: Moment, section: RttrpmSection, *, name: str = "a") -> RttrpmPacket:
    """A trackable with centroid (or the section's point) and quaternion, and a time stamp if its ticks are known."""
    position, quaternion = rttrpm_from_pose(moment.stage_from_camera, up=section.up)
    values = tuple(float(v) for v in position)
    where = RttrpmModule(rttrpm.CENTROID, values, latency_ms=0)
    if section.point is not None:
        where = RttrpmModule(rttrpm.POINT, values, latency_ms=0, index=section.point)
    turned = RttrpmModule(rttrpm.QUATERNION, tuple(float(v) for v in quaternion), latency_ms=0)
    hz = section.timestamp_hz
    ticks = None if hz is None else int(moment.t_ns * hz / NS_PER_S) & 0xFFFF_FFFF
    return RttrpmPacket(moment.number & 0xFFFF_FFFF, (RttrpmTrackable(name, (where, turned), ticks),))


def live_link_packet(
    moment: Moment, *, name: str = "a", bone: str = "", picture_mm: tuple[float, float] = PICTURE_MM
) -> LiveLinkPacket:
    """One bone, or with a lens the camera form."""
    position, quaternion = unreal_from_pose(moment.stage_from_camera)
    x, y, z = (float(v) for v in position)
    qx, qy, qz, qw = (float(v) for v in quaternion)
    entry = LiveLinkBone(bone or "root", -1, (x, y, z), (qx, qy, qz, qw), (1.0, 1.0, 1.0))
    focal_mm = moment.lens.focal_length_mm if moment.lens is not None else None
    if not focal_mm:
        return LiveLinkPacket({name: (entry,)})
    fov = fov_from_focal_length(picture_mm[0], focal_mm)
    camera = LiveLinkBone(
        bone, None, (x, y, z), (qx, qy, qz, qw), (1.0, 1.0, 1.0), (fov, picture_mm[0] / picture_mm[1], focal_mm)
    )
    return LiveLinkPacket({name: (LiveLinkBone(type=live_link.CAMERA), camera)})


def cooke_record(lens: LensReading) -> CookeRecord:
    """A lens as a Cooke /i lens in metric units says it; of a zoom if it tells an encoder beside its focal length."""

    def units(distance_m: float | None) -> int:
        return INFINITY if distance_m is None else min(round(distance_m * 1000.0), INFINITY)

    zoom = lens.zoom_raw is not None and lens.focal_length_mm is not None
    pupil_mm = round((lens.entrance_pupil_m or 0.0) * 1000.0)
    stop = lens.t_stop or lens.f_stop or 0.0
    return CookeRecord(
        focus=units(lens.focus_distance_m),
        t_number_x100=min(round(stop * 100.0), 4095),
        ring=(0x80, 0x80),
        zoom_mm=min(round(lens.focal_length_mm or 0.0), 4095) if zoom else 0,
        hyperfocal=INFINITY,
        near=units(lens.focus_distance_m),
        far=units(lens.focus_distance_m),
        field_of_view_x10=0,
        entrance_pupil_units=max(-1023, min(pupil_mm, 1023)),
        zoom_normalised=min(max(round(lens.zoom_raw or 0.0), 0), 0xFFFF) >> 4,
        serial="SIMULATED",
    )
