"""The OpenTrackIO sample's fields as types: every one optional, units as the specification gives them."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct, field


class XYZ(Struct, frozen=True, gc=False):
    """A vector in the units its field states."""

    x: float = 0.0
    y: float = 0.0
    z: float = 0.0


class XY(Struct, frozen=True, gc=False):
    """A point on the sensor, mm."""

    x: float = 0.0
    y: float = 0.0


class PanTiltRoll(Struct, frozen=True, gc=False):
    """Degrees, stage signs."""

    pan_deg: float = field(name="pan", default=0.0)
    tilt_deg: float = field(name="tilt", default=0.0)
    roll_deg: float = field(name="roll", default=0.0)


class Transform(Struct, frozen=True, omit_defaults=True):
    """One link of the chain from the stage to the camera."""

    translation: XYZ = XYZ()
    """metres"""
    rotation: PanTiltRoll = PanTiltRoll()
    scale: XYZ | None = None
    id: str | None = None


class Ratio(Struct, frozen=True, gc=False):
    """An exact fraction: `num` over `denom`."""

    num: int
    denom: int = 1


class Timestamp(Struct, frozen=True, gc=False):
    """PTP time (TAI by the specification, Unix time in many senders)."""

    seconds: int
    nanoseconds: int = 0

    @property
    def ns(self) -> int:
        return self.seconds * 1_000_000_000 + self.nanoseconds


class Timecode(Struct, frozen=True, rename="camel", omit_defaults=True):
    """A time code label and the rate it counts in."""

    hours: int
    minutes: int
    seconds: int
    frames: int
    frame_rate: Ratio | None = None
    sub_frame: int | None = None
    drop_frame: bool | None = None


class SyncOffsets(Struct, frozen=True, rename="camel", omit_defaults=True):
    """How long after the synchronisation each kind of data was sampled, seconds; negative: before."""

    translation: float | None = None
    rotation: float | None = None
    lens_encoders: float | None = None


class Synchronization(Struct, frozen=True, rename="camel", omit_defaults=True):
    """What the tracker is locked to."""

    locked: bool | None = None
    source: str | None = None
    frequency: Ratio | None = None
    present: bool | None = None
    offsets: SyncOffsets | None = None
    ptp: dict[str, Any] | None = None


class Timing(Struct, frozen=True, rename="camel", omit_defaults=True):
    """When the sample was taken."""

    mode: str | None = None
    """`internal`: the sample carries its own time; `external`: the reader's frame clock counts."""
    sample_rate: Ratio | None = None
    sample_timestamp: Timestamp | None = None
    recorded_timestamp: Timestamp | None = None
    sequence_number: int | None = None
    timecode: Timecode | None = None
    synchronization: Synchronization | None = None


class Distortion(Struct, frozen=True, omit_defaults=True):
    """One entry of OpenLensIO coefficients."""

    model: str | None = None
    """None = "Brown-Conrady D-U"."""
    radial: tuple[float, ...] = ()
    tangential: tuple[float, ...] = ()
    overscan_ratio: float | None = field(name="overscan", default=None)


class Encoders(Struct, frozen=True, omit_defaults=True):
    """focus 0 infinity .. 1 close, iris 0 open .. 1 closed, zoom 0 wide .. 1 tele; raw: integers."""

    focus: float | None = None
    iris: float | None = None
    zoom: float | None = None


class ExposureFalloff(Struct, frozen=True, gc=False):
    """Vignetting: 1 - (a1 r^2 + a2 r^4 + a3 r^6)."""

    a1: float = 0.0
    a2: float = 0.0
    a3: float = 0.0


class Lens(Struct, frozen=True, rename="camel", omit_defaults=True):
    """The lens at the sample."""

    distortion: tuple[Distortion, ...] | None = None
    distortion_offset: XY | None = None
    """mm"""
    encoders: Encoders | None = None
    entrance_pupil_m: float | None = field(name="entrancePupilOffset", default=None)
    """In front of the sensor plane."""
    exposure_falloff: ExposureFalloff | None = None
    f_stop: float | None = None
    focus_distance_m: float | None = field(name="focusDistance", default=None)
    focal_length_mm: float | None = field(name="pinholeFocalLength", default=None)
    projection_offset: XY | None = None
    """mm"""
    raw_encoders: Encoders | None = None
    t_stop: float | None = None
    custom: Any = None


class SensorSize(Struct, frozen=True, gc=False):
    """Width and height, mm or px."""

    width: float
    height: float


class StaticCamera(Struct, frozen=True, rename="camel", omit_defaults=True):
    """What of the camera does not change within a take."""

    active_sensor_physical_dimensions: SensorSize | None = None
    """mm"""
    active_sensor_resolution: SensorSize | None = None
    """px"""
    anamorphic_squeeze: Ratio | None = None
    capture_frame_rate: Ratio | None = None
    shutter_angle_deg: float | None = field(name="shutterAngle", default=None)
    iso_speed: int | None = None
    label: str | None = None
    make: str | None = None
    model: str | None = None
    serial_number: str | None = None
    firmware_version: str | None = None
    fdl_link: str | None = None
    """URN of the ASC framing decision list."""


class StaticLens(Struct, frozen=True, rename="camel", omit_defaults=True):
    """What of the lens does not change within a take."""

    distortion_overscan_max: float | None = None
    """>= 1, over the whole range of zoom and focus."""
    undistortion_overscan_max: float | None = None
    nominal_focal_length_mm: float | None = field(name="nominalFocalLength", default=None)
    """The number printed on a prime lens."""
    calibration_history: tuple[str, ...] | None = None
    make: str | None = None
    model: str | None = None
    serial_number: str | None = None
    firmware_version: str | None = None


class StaticTracker(Struct, frozen=True, rename="camel", omit_defaults=True):
    """Which device tracks."""

    make: str | None = None
    model: str | None = None
    serial_number: str | None = None
    firmware_version: str | None = None


class Static(Struct, frozen=True, omit_defaults=True):
    """The block that is sent about every two seconds."""

    camera: StaticCamera | None = None
    lens: StaticLens | None = None
    tracker: StaticTracker | None = None
    duration: Ratio | None = None


class Tracker(Struct, frozen=True, omit_defaults=True):
    """The tracker's word about itself."""

    status: str | None = None
    recording: bool | None = None
    slate: str | None = None
    notes: str | None = None


class Protocol(Struct, frozen=True, gc=False):
    """Name and version of the protocol."""

    name: str | None = None
    version: tuple[int, ...] = ()


class TrackSample(Struct, frozen=True, rename="camel", omit_defaults=True):
    """One OpenTrackIO sample: the fields a stage controller uses; unknown ones are let pass."""

    protocol: Protocol | None = None
    sample_id: str | None = None
    source_id: str | None = None
    source_number: int | None = None
    tracker: Tracker | None = None
    timing: Timing | None = None
    lens: Lens | None = None
    transforms: tuple[Transform, ...] | None = None
    static: Static | None = None
    global_stage: dict[str, float] | None = field(name="globalStage", default=None)
    """E, N, U (metres), lat0, lon0 (degrees), h0 (metres)."""
    related_sample_ids: tuple[str, ...] | None = None
    custom: Any = None
    """Whatever the sender likes."""


BLOCKS: dict[str, tuple[str, Any]] = {
    name: (wire, kind)
    for (name, wire, kind) in (
        ("protocol", "protocol", Protocol),
        ("sample_id", "sampleId", str),
        ("source_id", "sourceId", str),
        ("source_number", "sourceNumber", int),
        ("tracker", "tracker", Tracker),
        ("timing", "timing", Timing),
        ("lens", "lens", Lens),
        ("transforms", "transforms", tuple[Transform, ...]),
        ("static", "static", Static),
        ("global_stage", "globalStage", dict[str, float]),
        ("related_sample_ids", "relatedSampleIds", tuple[str, ...]),
        ("custom", "custom", Any),
    )
}
"""Field, wire name and type of each top-level block, for reading a sample block by block."""


def lenient(payload: dict[str, Any]) -> tuple[TrackSample, tuple[str, ...]]:
    """The sample with every block that fits its type, and the wire names of those that did not."""
    values: dict[str, Any] = {}
    faults: list[str] = []
    for name, (wire, kind) in BLOCKS.items():
        if payload.get(wire) is None:
            continue
        try:
            values[name] = msgspec.convert(payload[wire], kind, strict=False)
        except (msgspec.ValidationError, RecursionError):
            faults.append(wire)
    return TrackSample(**values), tuple(faults)
