"""One pose to be sent: what encoders turn into datagrams, and what faults of the tracker itself spoil beforehand."""

from __future__ import annotations

from dataclasses import dataclass

from stage.frames import Array, quaternion_from_rotation
from tracking.sample import LensReading


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """One pose to be sent."""

    stage_from_camera: Array
    number: int
    """Counts up from 0."""
    t_ns: int
    """When the camera stood there: TAI ns for OpenTrackIO, Unix for OSC, any clock for ZeroMQ."""
    lens: LensReading | None = None
    quaternion_xyzw: tuple[float, float, float, float] | None = None
    """Said instead of the pose's own rotation by protocols that carry a quaternion: only a fault sets it."""

    def quaternion(self) -> tuple[float, float, float, float]:
        """Rotation as a quaternion xyzw, stage axes."""
        if self.quaternion_xyzw is not None:
            return self.quaternion_xyzw
        x, y, z, w = (float(v) for v in quaternion_from_rotation(self.stage_from_camera))
        return x, y, z, w
