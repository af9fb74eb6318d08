"""How one source's packets become samples in stage units: M = stage_from_tracker * T * body_from_camera."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from typing import Literal

import msgspec
import numpy as np

from stage.frames import Array, pan_tilt_roll_from_rotation, rotation_from_pan_tilt_roll
from stage.lens import distortion_fault
from tracking.config import AxisMap, LensTable, Source
from tracking.lens_table import CurvesReader, GridReader, LensGrid, LensReader
from tracking.mocap_config import NatNetSection
from tracking.protocol_config import (
    CookeSection,
    FreeDSection,
    LiveLinkSection,
    MosysF4Section,
    PsnSection,
    RttrpmSection,
    StypeSection,
)
from tracking.protocols.osc_mapping import OscMapping
from tracking.sample import LensReading, PosePoint, Refusal, Sample, Stamp

FOCAL_LENGTH_MM = (1.0, 5000.0)
"""Beyond it no lens is believed (a field of view of 0 or 180 degrees)."""
ENTRANCE_PUPIL_M = (-2.0, 2.0)
HALF_DIAGONAL_MM = 14.0
"""Within it a distortion must make sense: half a Super 35 picture, which every film camera's sensor has."""


@dataclass(frozen=True, slots=True, eq=False)
class Mapping:
    """Everything a packet needs to become a sample; made from the configuration by `mapping_of`."""

    source: str
    camera: str
    camera_name: str
    pose_point: PosePoint = "sensor"
    stage_from_tracker: Array | None = None
    """[4, 4]; None = identity."""
    body_from_camera: Array | None = None
    """[4, 4] offset of the source and, when the pose is the body's, the camera's mount; None = identity."""
    axes: Array | None = None
    """[3, 3] signed permutation of positions; None = as they are."""
    signs: tuple[int, int, int] | None = None
    """Of stage pan, tilt, roll; None = as they are and no offsets."""
    offsets_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    camera_id: int | None = None
    source_id: str | None = None
    source_number: int | None = None
    body: str = ""
    """Name or number of the tracked body; empty: the one named `camera_name`, or the only one."""
    lens_table: LensReader | None = None
    picture_mm: tuple[float, float] | None = None
    """Width and height of the camera's desqueezed picture on its sensor: makes millimetres of angles and pixels."""
    cooke: CookeSection = field(default_factory=CookeSection)
    freed: FreeDSection = field(default_factory=FreeDSection)
    mosys_f4: MosysF4Section = field(default_factory=MosysF4Section)
    stype: StypeSection = field(default_factory=StypeSection)
    psn: PsnSection = field(default_factory=PsnSection)
    rttrpm: RttrpmSection = field(default_factory=RttrpmSection)
    live_link: LiveLinkSection = field(default_factory=LiveLinkSection)
    osc: OscMapping | None = None
    natnet: NatNetSection = field(default_factory=NatNetSection)
    kind: Literal["camera", "prop", "light", "performer"] = "camera"
    """What follows it."""

    def sample(
        self,
        tracker_from_body: Array,
        lens: LensReading | None,
        stamp: Stamp,
        *,
        sequence: int | None = None,
        quality: str = "ok",
    ) -> Sample | Refusal:
        """A sample of a pose, [4, 4], already in stage axes and metres but in the tracker's own place."""
        if lens is not None:
            if self.lens_table is not None:
                lens = self.lens_table.apply(lens)
            if lens.radial:
                lens = self.believed(lens)
            refusal = self.lens_gate(lens)
            if refusal is not None:
                return refusal
        if self.axes is not None or self.signs is not None:
            tracker_from_body = self._corrected(tracker_from_body)
        return Sample(
            self.source,
            self.camera,
            stamp.t_sampled_ns,
            stamp.t_received_ns,
            self.place(tracker_from_body),
            tracker_from_body,
            "pupil" if self.pose_point == "pupil" else "sensor",
            lens,
            stamp.packet_id,
            sequence,
            quality,
        )

    def place(self, tracker_from_body: Array) -> Array:
        """`stage_from_camera`, [4, 4], of a tracker's pose."""
        out = tracker_from_body
        if self.stage_from_tracker is not None:
            out = self.stage_from_tracker @ out
        if self.body_from_camera is not None:
            out = out @ self.body_from_camera
        return out

    def read(self, tracker_from_body: Array) -> Array:
        """`stage_from_camera`, [4, 4], of a pose as the tracker says it, before any correction."""
        if self.axes is not None or self.signs is not None:
            tracker_from_body = self._corrected(tracker_from_body)
        return self.place(tracker_from_body)

    def lens(self, lens: LensReading) -> LensReading | Refusal:
        """A reading with what the lens table makes of its encoders and without what no lens has; or why not."""
        if self.lens_table is not None:
            lens = self.lens_table.apply(lens)
        if lens.radial:
            lens = self.believed(lens)
        return self.lens_gate(lens) or lens

    def lens_from_encoders(self, zoom: int, focus: int) -> LensReading | None:
        """What the lens table makes of raw encoders; None without a table. Beyond a table nothing is guessed."""
        if self.lens_table is None:
            return None
        return self.lens_table.apply(LensReading(zoom_raw=float(zoom), focus_raw=float(focus)))

    def believed(self, lens: LensReading) -> LensReading:
        """The reading without a distortion that no lens has: an overscan computed from it would be nonsense."""
        fault = distortion_fault(lens.radial or (), HALF_DIAGONAL_MM)
        if not fault:
            return lens
        return msgspec.structs.replace(lens, radial=None, tangential=None, model=None, fault=f"distortion: {fault}")

    def lens_gate(self, lens: LensReading) -> Refusal | None:
        """A refusal when the lens says what no lens can."""
        mm, pupil_m = lens.focal_length_mm, lens.entrance_pupil_m
        if mm is not None and not FOCAL_LENGTH_MM[0] <= mm <= FOCAL_LENGTH_MM[1]:
            return Refusal("range" if isfinite(mm) else "nan", f"focal_length_mm {mm:g}")
        if pupil_m is not None and not ENTRANCE_PUPIL_M[0] <= pupil_m <= ENTRANCE_PUPIL_M[1]:
            return Refusal("range" if isfinite(pupil_m) else "nan", f"entrance_pupil_m {pupil_m:g}")
        return None

    def _corrected(self, tracker_from_body: Array) -> Array:
        out = tracker_from_body.copy()
        if self.axes is not None:
            out[:3, 3] = self.axes @ tracker_from_body[:3, 3]
        if self.signs is not None:
            angles = pan_tilt_roll_from_rotation(tracker_from_body)
            pan, tilt, roll = (s * a + o for s, a, o in zip(self.signs, angles, self.offsets_deg, strict=True))
            out[:3, :3] = rotation_from_pan_tilt_roll(pan, tilt, roll)
        return out


def mapping_of(
    name: str,
    source: Source,
    body_from_sensor: Array | None = None,
    *,
    lens_grid: LensGrid | None = None,
    picture_mm: tuple[float, float] | None = None,
) -> Mapping:
    """The mapping of a configured source.

    body_from_sensor : [4, 4], the camera's mount, used when the pose is the body's; lens_grid : what the file of the
    source's `lens_table` holds; without it such a table is left out; picture_mm : width and height of the camera's
    desqueezed picture on its sensor.
    """
    camera_name = source.camera_name or source.camera
    mount = source.body_from_camera.pose()
    if source.pose_point == "body" and body_from_sensor is not None:
        mount = mount @ body_from_sensor
    signs, offsets = source.signs, source.offsets
    corrected = (signs.pan, signs.tilt, signs.roll)
    offsets_deg = (offsets.pan_deg, offsets.tilt_deg, offsets.roll_deg)
    return Mapping(
        source=name,
        camera=source.camera,
        camera_name=camera_name,
        pose_point=source.pose_point,
        stage_from_tracker=_unless_identity(source.stage_from_tracker.pose()),
        body_from_camera=_unless_identity(mount),
        axes=_unless_identity(tracker_axes(source.axes)),
        signs=corrected if corrected != (1, 1, 1) or any(offsets_deg) else None,
        offsets_deg=offsets_deg,
        camera_id=source.camera_id,
        source_id=source.source_id,
        source_number=source.source_number,
        body=source.body,
        picture_mm=picture_mm,
        cooke=source.cooke,
        freed=source.freed,
        mosys_f4=source.mosys_f4,
        stype=source.stype,
        psn=source.psn,
        rttrpm=source.rttrpm,
        live_link=source.live_link,
        natnet=source.natnet,
        lens_table=lens_reader(source.lens_table, lens_grid),
        osc=source.osc.mapping(source.body or camera_name) if source.protocol == "osc" else None,
    )


def lens_reader(table: LensTable | None, grid: LensGrid | None) -> LensReader | None:
    """What turns a source's encoders into lens values; None without a table."""
    if table is None or (table.file and grid is None):
        return None
    if grid is None:
        return CurvesReader(table)
    return GridReader(grid, zoom_raw=table.zoom_raw, focus_raw=table.focus_raw)


def tracker_axes(axes: AxisMap) -> Array:
    """Signed permutation, [3, 3]: row i picks the tracker axis that stage axis i is."""
    out = np.zeros((3, 3))
    for row, axis in enumerate((axes.x, axes.y, axes.z)):
        out[row, "xyz".index(axis[-1])] = -1.0 if axis.startswith("-") else 1.0
    return out


def _unless_identity(transform: Array) -> Array | None:
    return None if np.array_equal(transform, np.eye(len(transform))) else transform
