"""Colorlight V and Z series over TCP: short binary commands, a heartbeat, and no way to read anything back.

Facts: `reference/output.md` section 4. What was written last is therefore taken for what is in force, and a reading
says so; a new connection knows nothing until something is written.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Mapping
from typing import Final, Literal

from controller.processors.driver import checked, unreachable
from controller.processors.model import OFF, Ability, Identity, Reading, Value, without

PORT: Final = 9999
HEARTBEAT_S: Final = 1.5
TIMEOUT_S: Final = 2.0
Family = Literal["v", "z"]

PATTERNS: Final = (
    OFF, "red", "green", "blue", "white", "h line", "v line", "slash down", "backslash down", "grid down", "grad red",
    "grad green", "grad blue", "grad white", "black",
)  # fmt: skip
_NOT_READ: Final = "the protocol has no way to read it back"
_ABILITIES: Final = {
    "brightness_percent": Ability(0.0, 100.0, 0.01, readable=False),
    "preset": Ability(readable=False),
    "blackout": Ability(readable=False),
    "test_pattern": Ability(choices=PATTERNS, readable=False),
    **without(
        **dict.fromkeys(
            (
                "colour_temperature_k", "gamma", "hdr_mode", "input", "bit_depth", "genlock_source", "shutter_mode",
                "rate_multiplier", "remapping", "lut_file", "lut", "redundancy_mode", "freeze", "identify",
            ),
            "its short command set has brightness, black, test pictures and presets only",
        )
    ),
}  # fmt: skip
_ALL: Final = 0xFFFF
_HEARTBEAT: Final = {"v": bytes.fromhex("9999000800000000"), "z": bytes.fromhex("99990400")}


def command(family: Family, name: str, value: Value, *, device: int | None = None) -> bytes:
    """The bytes that set one setting. `device` is the maker's id, from 1; None is all of them."""
    index = _ALL if device is None else device - 1
    if family == "v":
        op, size, payload = _v(name, value)
        dev = struct.pack("<H", index)
        gap = b"\x02" + bytes(7) if name != "preset" else bytes(8)
        return bytes.fromhex(op) + bytes((size,)) + bytes(3) + dev + gap + payload
    op, size, payload = _z(name, value)
    return bytes((int(op, 16), 0, size, 0, 0, 0)) + struct.pack("<H", index) + bytes(8) + payload


def _v(name: str, value: Value) -> tuple[str, int, bytes]:
    match name:
        case "brightness_percent":
            return "501000", 0x13, struct.pack("<H", round(float(value) * 100.0))
        case "blackout":
            return "101000", 0x12, bytes((int(bool(value)),))
        case "test_pattern":
            return "121000", 0x12, bytes((PATTERNS.index(str(value)),))
        case _:
            return "071003", 0x13, bytes((int(str(value)) - 1, 0))


def _z(name: str, value: Value) -> tuple[str, int, bytes]:
    match name:
        case "brightness_percent":
            return "21", 0x14, struct.pack("<f", float(value))
        case "blackout":
            return "11", 0x11, bytes((int(not value),))
        case "test_pattern":
            return "32", 0x18, bytes((PATTERNS.index(str(value)), 0xFF, 0, 0xFF, 0, 0xFF, 0, 0))
        case _:
            return "74", 0x11, bytes((int(str(value)) - 1,))


class Colorlight:
    """Driver. Keeps one connection with its heartbeat."""

    def __init__(self, address: str, *, where: str, family: Family = "z", device: int | None = None) -> None:
        host, _, port = address.partition(":")
        self._host, self._port = host, int(port or PORT)
        self._where, self._family, self._device = where, family, device
        self._writer: asyncio.StreamWriter | None = None
        self._beat: asyncio.Task[None] | None = None
        self._written: dict[str, Value] = {}

    @property
    def abilities(self) -> Mapping[str, Ability]:
        """What the short command set has."""
        return _ABILITIES

    async def read(self) -> Reading:
        """Whether it is there, and what was written last."""
        await self._connected()
        return Reading(
            Identity("Colorlight", f"{self._family.upper()} series"),
            dict(self._written),
            notes=(f"{_NOT_READ}: what was set last is shown",),
        )

    async def write(self, settings: Mapping[str, Value]) -> None:
        """One command a setting."""
        checked(self._where, settings, _ABILITIES)
        for name, value in settings.items():
            await self._send(command(self._family, name, value, device=self._device))
            self._written[name] = value

    async def close(self) -> None:
        """End heartbeat and connection."""
        if self._beat is not None:
            self._beat.cancel()
            self._beat = None
        await self._drop()

    async def _connected(self) -> asyncio.StreamWriter:
        if self._writer is not None and not self._writer.is_closing():
            return self._writer
        await self._drop()
        try:
            reader, writer = await asyncio.wait_for(asyncio.open_connection(self._host, self._port), TIMEOUT_S)
        except (OSError, TimeoutError) as error:
            raise unreachable(self._where, error) from error
        self._writer = writer
        # Nothing is known of a processor that was away.
        self._written.clear()
        if self._beat is not None:
            self._beat.cancel()
        self._beat = asyncio.create_task(self._beats(reader, writer))
        return writer

    async def _beats(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Heartbeat, and answers read away; ends with the connection."""
        with contextlib.suppress(OSError):
            while not writer.is_closing():
                writer.write(_HEARTBEAT[self._family])
                await writer.drain()
                with contextlib.suppress(TimeoutError):
                    if not await asyncio.wait_for(reader.read(4096), HEARTBEAT_S):
                        break
        writer.close()

    async def _send(self, data: bytes) -> None:
        writer = await self._connected()
        try:
            writer.write(data)
            await asyncio.wait_for(writer.drain(), TIMEOUT_S)
        except (OSError, TimeoutError) as error:
            await self._drop()
            raise unreachable(self._where, error) from error

    async def _drop(self) -> None:
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()
