"""MIDI out of a byte stream: notes, controllers, programs, pitch wheels, and MIDI Show Control. Pure.

Running status is followed, real-time bytes may stand anywhere, time code's quarter frames are passed over
(`runtime.references.mtc` reads those), what is torn is counted and never raises.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, Literal

from msgspec import Struct

MidiKind = Literal["note_on", "note_off", "control", "program", "pitch"]
_KINDS: Final[dict[int, MidiKind]] = {
    0x80: "note_off", 0x90: "note_on", 0xB0: "control", 0xC0: "program", 0xE0: "pitch",
}  # fmt: skip
_LENGTHS: Final = {0x80: 2, 0x90: 2, 0xA0: 2, 0xB0: 2, 0xC0: 1, 0xD0: 1, 0xE0: 2, 0xF1: 1, 0xF2: 2, 0xF3: 1}
"""Data bytes after a status byte."""
_SYSEX, _END, _REAL_TIME = 0xF0, 0xF7, 0xF8
LONGEST: Final = 512
"""System exclusive messages beyond this are left aside."""

ShowOrder = Literal["go", "stop", "resume", "load", "all_off", "go_off", "reset", "other"]
_ORDERS: Final[dict[int, ShowOrder]] = {
    1: "go", 2: "stop", 3: "resume", 5: "load", 8: "all_off", 10: "reset", 11: "go_off",
}  # fmt: skip
ALL_CALL: Final = 0x7F


class MidiMessage(Struct, frozen=True):
    """One message of a channel."""

    kind: MidiKind
    channel: int
    """1..16."""
    number: int
    """Note, controller or program; 0 for the pitch wheel."""
    value: int
    """0..127; the wheel's 0..16383; 127 for a program."""


class ShowControl(Struct, frozen=True):
    """One message of MIDI Show Control."""

    order: ShowOrder
    device_id: int
    """0..111, a group 112..126, or 127 for all."""
    cue: str = ""
    """Its number; empty: the next."""


class MidiParser:
    """Messages out of bytes as they come, in any portions.

    Attributes
    ----------
    refused : why bytes were left aside, counted: `stray`, `torn`, `long`
    """

    def __init__(self) -> None:
        self.refused: Counter[str] = Counter()
        self._status = 0
        self._data = bytearray()

    def feed(self, data: bytes) -> list[MidiMessage | ShowControl]:
        """Take in bytes; the messages they complete."""
        found: list[MidiMessage | ShowControl] = []
        for byte in data:
            if byte >= _REAL_TIME:
                continue
            message = self._status_byte(byte) if byte & 0x80 else self._data_byte(byte)
            if message is not None:
                found.append(message)
        return found

    def _status_byte(self, byte: int) -> ShowControl | None:
        message = None
        if byte == _END and self._status == _SYSEX:
            message = _show_control(bytes(self._data))
        elif self._data:
            self.refused["torn"] += 1
        self._data.clear()
        self._status = byte if byte in _LENGTHS or byte & 0xF0 in _LENGTHS or byte == _SYSEX else 0
        return message

    def _data_byte(self, byte: int) -> MidiMessage | None:
        if self._status == 0:
            self.refused["stray"] += 1
            return None
        self._data.append(byte)
        if self._status == _SYSEX:
            if len(self._data) > LONGEST:
                self.refused["long"] += 1
                self._data.clear()
                self._status = 0
            return None
        status = self._status if self._status >= 0xF0 else self._status & 0xF0
        if len(self._data) < _LENGTHS[status]:
            return None
        first, last = self._data[0], self._data[-1]
        self._data.clear()
        if status >= 0xF0:
            # System messages end what runs; they are not ours.
            self._status = 0
            return None
        kind = _KINDS.get(status)
        if kind is None:
            return None
        channel = (self._status & 15) + 1
        match kind:
            case "program":
                return MidiMessage(kind, channel, first, 127)
            case "pitch":
                return MidiMessage(kind, channel, 0, last << 7 | first)
            case "note_on" if last == 0:
                return MidiMessage("note_off", channel, first, 0)
        return MidiMessage(kind, channel, first, last)


def _show_control(data: bytes) -> ShowControl | None:
    """`7F device 02 format order data`: a cue is its number in ASCII, up to a zero byte."""
    if len(data) < 5 or data[0] != 0x7F or data[2] != 0x02:
        return None
    cue = data[5:].partition(b"\0")[0].decode("ascii", "replace").strip()
    order = _ORDERS.get(data[4], "other")
    return ShowControl(order, data[1], cue if order in ("go", "stop", "load", "resume", "go_off") else "")


def message_bytes(message: MidiMessage) -> bytes:
    """The message as it goes over the wire."""
    status = next(code for code, kind in _KINDS.items() if kind == message.kind) | (message.channel - 1)
    match message.kind:
        case "program":
            return bytes((status, message.number))
        case "pitch":
            return bytes((status, message.value & 127, message.value >> 7))
    return bytes((status, message.number, message.value))


def go_bytes(cue: str = "", *, device_id: int = ALL_CALL) -> bytes:
    """MIDI Show Control's GO, for all kinds of devices."""
    return bytes((_SYSEX, 0x7F, device_id, 0x02, 0x7F, 0x01, *cue.encode("ascii"), _END))
