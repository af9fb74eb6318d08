"""What a packet becomes: one pose of one camera in stage units, its lens, its stamps; or the reason it was refused."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from stage.frames import Array
from tracking.skeleton import Skeleton

PosePoint = Literal["body", "sensor", "pupil"]

Reason = Literal[
    "short", "long", "magic", "checksum", "version", "encoding", "schema", "type", "range", "nan", "depth",
    "malformed", "other_message", "segment", "duplicate", "not_allowed", "rate", "second_sender", "not_mine",
    "late", "speed", "untracked",
]  # fmt: skip
"""Why something that arrived was not used:

short, long: too few or too many bytes; magic: not this protocol; checksum; version: an unknown major version;
encoding: an unknown payload encoding; schema: a field that is missing or of the wrong kind; type: OSC arguments
that do not fit; range: a value no camera has; nan: not a finite number; depth: nested too deeply; malformed:
anything else that does not decode; other_message: valid, but carries no pose; segment: a part whose rest never
came; duplicate; not_allowed: sender outside the allow-list; rate: above the rate limit; second_sender: another
sender claims the same source; not_mine: for another camera; late: older than the history keeps; speed: a jump
no camera can make; untracked: the tracker says that it does not see the body.
"""


class Refusal(Struct, frozen=True, gc=False):
    """Something that arrived and is not used. Counted by `reason`, never raised."""

    reason: Reason
    detail: str = ""


class Stamp(Struct, frozen=True, gc=False):
    """When and in which order a packet came: CLOCK_MONOTONIC ns (or the injected clock's)."""

    t_sampled_ns: int = 0
    """When the camera stood there: the sender's own clock mapped to ours, or the arrival, less the source's delay."""
    t_received_ns: int = 0
    """When the kernel received the datagram."""
    packet_id: int = 0
    """Number of the packet within its source, counted from 1; 0 = none."""


class LensReading(Struct, frozen=True, gc=False):
    """What a packet says about the lens; None = it does not say. Offsets are [x, y] on the sensor, x right, y down."""

    focal_length_mm: float | None = None
    focus_distance_m: float | None = None
    entrance_pupil_m: float | None = None
    """Entrance pupil in front of the sensor plane, metres."""
    f_stop: float | None = None
    t_stop: float | None = None
    zoom_raw: float | None = None
    """Zoom encoder as sent: FreeD counts, OpenTrackIO 0 wide .. 1 tele."""
    focus_raw: float | None = None
    iris_raw: float | None = None
    radial: tuple[float, ...] | None = None
    """OpenLensIO radial coefficients (odd numerator, even denominator), mm^-2, mm^-2, mm^-4 ..."""
    tangential: tuple[float, ...] | None = None
    model: str | None = None
    overscan_ratio: float | None = None
    """Overscan the sender computed, >= 1."""
    distortion_offset_mm: tuple[float, float] | None = None
    projection_offset_mm: tuple[float, float] | None = None
    sensor_width_mm: float | None = None
    sensor_height_mm: float | None = None
    squeeze: float | None = None
    exposure_falloff: tuple[float, float, float] | None = None
    """a1 a2 a3 of OpenLensIO's vignetting, mm^-2, mm^-4, mm^-6."""
    fault: str = ""
    """Why some of it is not believed, in words (an encoder beyond its lens table, a distortion that folds); empty
    while all is."""

    def over(self, older: LensReading | None) -> LensReading:
        """This reading with what it does not say filled from `older`."""
        if older is None:
            return self
        values = [a if a is not None else getattr(older, n) for n in self.__struct_fields__
                  for a in (getattr(self, n),)]  # fmt: skip
        return LensReading(*values)


class Sample(Struct, frozen=True, gc=False, eq=False):
    """One pose of one camera, in stage units, after the source's offsets."""

    source: str
    camera: str
    t_sampled_ns: int
    t_received_ns: int
    stage_from_camera: Array
    """[4, 4]  pose of the `pose_point`, camera axes X right, Y forward, Z up."""
    tracker_from_body: Array
    """[4, 4]  the same before `stage_from_tracker` and `body_from_camera`, so that a new alignment can be applied."""
    pose_point: PosePoint = "sensor"
    lens: LensReading | None = None
    packet_id: int = 0
    sequence: int | None = None
    """The sender's own counter, where the protocol has one."""
    quality: str = "ok"
    """The tracker's own word about this sample: `ok` unless it says otherwise."""
    skeleton: Skeleton | None = None
    """Joints and facial weights, when it is a performer."""
