"""How much older the parts of a source's samples are than their stamps say: delays set, and the tracker's own word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tracking.config import Source

Offsets = tuple[int, int, int]
"""By how much the position, the rotation and the lens were sampled after the stamp, ns; negative: before."""
NO_OFFSETS: Final[Offsets] = (0, 0, 0)
WHICH_WAY: Final = {"after": 1, "before": -1, "off": 0}


@dataclass(frozen=True, slots=True)
class Lags:
    """How much older the parts of a source's samples are than their stamps say, ns. Histories are stamped by the older
    of position and rotation, so that what has to be predicted furthest is what is judged."""

    pose_ns: int = 0
    position_ns: int = 0
    """By how much younger the position is than the pose's stamp."""
    rotation_ns: int = 0
    lens_ns: int = 0
    """The same; negative when the lens is older still."""

    @classmethod
    def of(cls, source: Source, frame_ns: int) -> Lags:
        """A source's configured delays; frame_ns: a frame of the show."""
        delays = source.delays
        return cls._made(
            *(
                int((source.delay_ms + by_ms) * 1e6 + by_frames * frame_ns)
                for by_ms, by_frames in (
                    (delays.position_ms, delays.position_frames),
                    (delays.rotation_ms, delays.rotation_frames),
                    (delays.lens_ms, delays.lens_frames),
                )
            )
        )

    @classmethod
    def _made(cls, position_ns: int, rotation_ns: int, lens_ns: int) -> Lags:
        pose_ns = max(position_ns, rotation_ns)
        return cls(pose_ns, pose_ns - position_ns, pose_ns - rotation_ns, pose_ns - lens_ns)

    def after(self, offsets: Offsets, sign: int = 1) -> Lags:
        """These delays with what the tracker says of its parts on top; sign: as `WHICH_WAY` has it."""
        position_ns, rotation_ns, lens_ns = (sign * offset for offset in offsets)
        pose_ns = self.pose_ns
        return self._made(
            pose_ns - self.position_ns - position_ns,
            pose_ns - self.rotation_ns - rotation_ns,
            pose_ns - self.lens_ns - lens_ns,
        )

    def turns_as(self, other: Lags) -> bool:
        """Whether position, rotation and lens lie as far apart."""
        return (self.position_ns, self.rotation_ns, self.lens_ns) == (
            other.position_ns, other.rotation_ns, other.lens_ns,
        )  # fmt: skip


NO_LAGS: Final = Lags()
