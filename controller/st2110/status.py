"""What the sender tells: its status about once a second, and which frames were not sent as they should."""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from msgspec import Struct

from controller.st2110.connection import Connection
from controller.status import Alarm, Percentiles, RoleState
from runtime.ring import fourcc

KIND_SENT: Final = fourcc("SENT")
SENT_SLOTS: Final = 1024
SENT_CAPACITY: Final = 448

SentReason = Literal["late", "repeat", "held", "torn", "away"]
"""late: the slot's picture came after the sender had to begin, or its packets left too late; repeat: none came, the one
before was sent again; held: the same by order; torn: part of the one before was in it; away: no sender was there."""

StreamState = Literal["waiting", "sending", "stalled", "off", "failed"]
"""waiting: no picture has come; stalled: none comes any more, the last one is repeated; off: its connection is switched
off; failed: it cannot be sent."""


PacedBy = Literal["program", "kernel"]
"""kernel: every interface it leaves by holds packets until their time (`fq`)."""


class SentNote(Struct, frozen=True, omit_defaults=True):
    """Slots of one canvas that were not sent as they should have been."""

    canvas: str
    frame: int
    reason: SentReason
    frames: int = 1
    """So many slots, up to `frame`."""
    late_ns: int = 0


class PathStatus(Struct, frozen=True):
    """One path since the sender started, or since its connection was changed."""

    destination: str
    port: int
    source: str
    source_port: int
    enabled: bool
    packets: int = 0
    refused: int = 0


class StreamStatus(Struct, frozen=True):
    """One canvas that is sent."""

    state: StreamState
    connection: Connection
    """In force, with the ports that were taken."""
    activated_tai_ns: int = 0
    """When it came into force; 0: as configured."""
    sdp: str = ""
    session: int = 0
    """Counted up whenever anything of the description changes."""
    paths: list[PathStatus] = []
    frame: int = 0
    """The newest slot that was sent."""
    t_ns: int = 0
    """When that was to be presented."""
    frames: int = 0
    reasons: dict[str, int] = {}
    """Slots that were not sent as they should have been, by reason."""
    width_px: int = 0
    height_px: int = 0
    sampling: str = ""
    bits: int = 0
    range: str = ""
    colorimetry: str = ""
    transfer: str = ""
    packets: int = 0
    """Of one picture."""
    begun_ms: Percentiles = Percentiles()
    """From presentation to the first packet, of the newest frames."""
    late_ms: Percentiles = Percentiles()
    """How late the latest run of packets of each frame left."""
    took_ms: Percentiles = Percentiles()
    """From the first packet to the last."""
    bucket: Percentiles = Percentiles()
    """Packets in ST 2110-21's network bucket at most, of each frame."""
    bucket_limit: int = 0
    """What a wide sender may have there."""
    paced_by: PacedBy = "program"
    detail: str = ""


class SenderStatus(Struct, frozen=True):
    """All of them, in `sender.ring`."""

    t_ns: int
    pid: int
    state: RoleState
    config_version: int
    streams: dict[str, StreamStatus] = {}
    alarms: list[Alarm] = []


_STATUS: Final = msgspec.msgpack.Decoder(SenderStatus)
_NOTES: Final = msgspec.msgpack.Decoder(SentNote)


def decode_sender(data: bytes | memoryview) -> SenderStatus:
    """The sender's status. Raises msgspec.ValidationError when the bytes are not one."""
    return _STATUS.decode(data)


def decode_sent(data: bytes | memoryview) -> SentNote:
    """One note. Raises msgspec.MsgspecError when the bytes are not one."""
    return _NOTES.decode(data)
