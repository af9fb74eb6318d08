"""What the API tells of canvases that are sent over the network."""

from __future__ import annotations

from controller.api.views import View
from controller.st2110.connection import Connection
from controller.st2110.status import PacedBy, PathStatus, StreamState
from controller.status import Percentiles


class StreamView(View, frozen=True):
    """One canvas that is sent as ST 2110-20 video."""

    id: str
    """The canvas."""
    rev: int
    state: StreamState
    """waiting: no picture has come; stalled: none comes any more, the last one is repeated; off: its connection is
    switched off; failed: it cannot be sent."""
    detail: str
    connection: Connection
    """Where it goes: as configured, or as changed since (here, or over NMOS)."""
    activated_tai_ns: int
    """When that came into force; 0: as configured."""
    paths: list[PathStatus]
    session: int
    """Counted up whenever anything of its description changes."""
    frame: int
    """The newest slot that was sent."""
    frames: int
    reasons: dict[str, int]
    """Slots that were not sent as they should have been: late, repeat, held, torn, away."""
    width_px: int
    height_px: int
    sampling: str
    bits: int
    range: str
    colorimetry: str
    transfer: str
    packets: int
    """Of one picture, on each path."""
    begun_ms: Percentiles
    """From presentation to the first packet, of the newest frames."""
    late_ms: Percentiles
    """How late the latest run of packets of each frame left."""
    took_ms: Percentiles
    """From the first packet to the last."""
    bucket: Percentiles
    """Packets in ST 2110-21's network bucket at most, of each frame."""
    bucket_limit: int
    """What a wide sender may have there."""
    paced_by: PacedBy = "program"
    """kernel: every interface it leaves by holds packets until their time (queueing discipline `fq`)."""
