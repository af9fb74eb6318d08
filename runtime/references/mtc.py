"""MIDI time code: quarter frames and full frames out of a raw MIDI byte stream. Pure.

A quarter frame (`F1 0nnndddd`) carries one of eight pieces of a label; eight take two frames, in falling order when
the tape runs backwards. A full frame (`F0 7F dd 01 01 hh mm ss ff F7`, hh with the rate in bits 5 and 6) tells where
a machine was located to; it stands still. Other messages and real-time bytes in between are passed over.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from runtime.references.labels import HeardLabel, Refusal, plausible
from stage.timecode import LabelParts

_LABELS_PER_S: Final = (24, 25, 30, 30)
_DROP: Final = 2
_QUARTER: Final = 0xF1
_SYSEX: Final = 0xF0
_END: Final = 0xF7
_REAL_TIME: Final = 0xF8
_LONGEST: Final = 16


class MtcDecoder:
    """Labels out of bytes as they come, in any portions.

    Attributes
    ----------
    refused : why pieces and messages were left aside, counted.
    located : HeardLabel | None  the newest full frame: where a machine stands, not a label that runs.
    """

    def __init__(self) -> None:
        self.refused: Counter[Refusal] = Counter()
        self.located: HeardLabel | None = None
        self._message = bytearray()
        self._status = 0
        self._pieces: dict[int, int] = {}
        self._times: dict[int, int] = {}
        self._last: int | None = None
        self._step = 0

    def feed(self, data: bytes, t_ns: int) -> list[HeardLabel]:
        """Take in bytes that arrived at `t_ns`; the labels they complete, each with the instant its frame began."""
        found: list[HeardLabel] = []
        for byte in data:
            if byte >= _REAL_TIME:
                # Clock ticks and the like may stand between any two bytes.
                continue
            if byte >= 0x80:
                self._begin(byte, t_ns)
            elif self._status == _QUARTER:
                self._status = 0
                label = self._piece(byte >> 4, byte & 15, t_ns)
                if label is not None:
                    found.append(label)
            elif self._status == _SYSEX and len(self._message) < _LONGEST:
                self._message.append(byte)
        return found

    def _begin(self, status: int, t_ns: int) -> None:
        if self._status == _SYSEX:
            if status == _END:
                self._full(bytes(self._message), t_ns)
            elif self._message[2:4] == b"\x01\x01":
                self.refused["short"] += 1
        elif self._status == _QUARTER:
            self.refused["short"] += 1
        self._status = status if status in (_QUARTER, _SYSEX) else 0
        self._message.clear()

    def _piece(self, number: int, value: int, t_ns: int) -> HeardLabel | None:
        step = 0 if self._last is None else (number - self._last) % 8
        if step not in (1, 7) or (self._step and step != self._step):
            # The first piece, one that got lost, or a change of direction: eight in a row are needed again.
            if self._last is not None:
                self.refused["order"] += 1
            self._pieces.clear()
        self._step = step if step in (1, 7) else 0
        self._last = number
        self._pieces[number], self._times[number] = value, t_ns
        reverse = self._step == 7
        first, last = (7, 0) if reverse else (0, 7)
        if number == first:
            self._pieces = {number: value}
        if number != last or len(self._pieces) < 8:
            return None
        pieces, self._pieces = self._pieces, {}
        parts = LabelParts(
            (pieces[7] & 1) << 4 | pieces[6],
            (pieces[5] & 3) << 4 | pieces[4],
            (pieces[3] & 3) << 4 | pieces[2],
            (pieces[1] & 1) << 4 | pieces[0],
        )
        # Piece 0 marks the frame that the label names, in either direction.
        return self._label(parts, pieces[7] >> 1 & 3, self._times[0], reverse=reverse)

    def _full(self, message: bytes, t_ns: int) -> None:
        if len(message) < 4 or message[0] != 0x7F or message[2:4] != b"\x01\x01":
            # Somebody else's message.
            return
        if len(message) != 8:
            self.refused["short"] += 1
            return
        parts = LabelParts(message[4] & 31, message[5], message[6], message[7])
        self.located = self._label(parts, message[4] >> 5 & 3, t_ns, reverse=False) or self.located

    def _label(self, parts: LabelParts, kind: int, t_ns: int, *, reverse: bool) -> HeardLabel | None:
        labels_per_s, drop = _LABELS_PER_S[kind], kind == _DROP
        if not plausible(parts, labels_per_s=labels_per_s, drop_frame=drop):
            self.refused["range"] += 1
            return None
        return HeardLabel(parts, t_ns, labels_per_s, drop, reverse)


def _kind(labels_per_s: int, *, drop_frame: bool) -> int:
    kind = _DROP if drop_frame else {24: 0, 25: 1, 30: 3}.get(labels_per_s)
    if kind is None:
        raise ValueError(f"MIDI time code has 24, 25 or 30 labels a second, not {labels_per_s}")
    return kind


def quarter_frames(parts: LabelParts, *, labels_per_s: int, drop_frame: bool = False) -> list[bytes]:
    """The eight messages of a label in forward order; they take two frames, so send every second label."""
    hours = _kind(labels_per_s, drop_frame=drop_frame) << 5 | parts.hours
    fields = (parts.frames, parts.seconds, parts.minutes, hours)
    nibbles = [half for field in fields for half in (field & 15, field >> 4)]
    return [bytes((_QUARTER, number << 4 | nibble)) for number, nibble in enumerate(nibbles)]


def full_frame(parts: LabelParts, *, labels_per_s: int, drop_frame: bool = False) -> bytes:
    """The message that tells a place at once."""
    hours = _kind(labels_per_s, drop_frame=drop_frame) << 5 | parts.hours
    return bytes((_SYSEX, 0x7F, 0x7F, 1, 1, hours, parts.minutes, parts.seconds, parts.frames, _END))
