"""Art-Net time code (OpTimeCode): one UDP datagram a label. Pure.

`Art-Net\\0`, operation 0x9700 little-endian, protocol version 14 big-endian, two bytes that say nothing here,
frames, seconds, minutes, hours, type (0: 24, 1: 25, 2: 29.97 drop, 3: 30): 19 bytes on UDP port 6454. It tells the
label, not the moment: its jitter is the network's.
"""

from __future__ import annotations

from typing import Final

from runtime.references.labels import HeardLabel, Refusal, plausible
from stage.timecode import LabelParts

PORT: Final = 6454
_MAGIC: Final = b"Art-Net\0"
_OPERATION: Final = b"\x00\x97"
_VERSION: Final = 14
_SIZE: Final = 19
_LABELS_PER_S: Final = (24, 25, 30, 30)
_DROP: Final = 2


def parse(datagram: bytes, t_ns: int) -> HeardLabel | Refusal:
    """The label of one datagram that arrived at `t_ns`, or why it is none. Longer ones are read as far as known."""
    if datagram[: len(_MAGIC)] != _MAGIC[: len(datagram)] or datagram[8:10] != _OPERATION[: len(datagram[8:10])]:
        return "magic"
    if len(datagram) < _SIZE:
        return "short"
    if int.from_bytes(datagram[10:12], "big") < _VERSION:
        return "version"
    frames, seconds, minutes, hours, kind = datagram[14:19]
    if kind >= len(_LABELS_PER_S):
        return "range"
    parts = LabelParts(hours, minutes, seconds, frames)
    if not plausible(parts, labels_per_s=_LABELS_PER_S[kind], drop_frame=kind == _DROP):
        return "range"
    return HeardLabel(parts, t_ns, _LABELS_PER_S[kind], kind == _DROP)


def packet(parts: LabelParts, *, labels_per_s: int, drop_frame: bool = False) -> bytes:
    """The datagram of a label: the inverse of `parse`.

    Raises
    ------
    ValueError : not 24, 25 or 30 labels a second.
    """
    kind = _DROP if drop_frame else {24: 0, 25: 1, 30: 3}.get(labels_per_s)
    if kind is None:
        raise ValueError(f"Art-Net time code has 24, 25 or 30 labels a second, not {labels_per_s}")
    fields = bytes((parts.frames, parts.seconds, parts.minutes, parts.hours, kind))
    return _MAGIC + _OPERATION + _VERSION.to_bytes(2, "big") + b"\0\0" + fields
