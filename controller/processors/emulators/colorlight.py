"""An emulated Colorlight processor: its binary commands over TCP, V or Z family, one connection after the other.

It drops who sends no heartbeat for three of its periods, and never answers a command.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from controller.processors.colorlight import HEARTBEAT_S, PATTERNS, Family
from controller.processors.emulators.device import Faults, Shown

_PATIENCE_S: Final = 3.0 * HEARTBEAT_S
_V_LENGTHS: Final = {b"\x50\x10\x00": 19, b"\x10\x10\x00": 18, b"\x12\x10\x00": 18, b"\x07\x10\x03": 19}
_Z_LENGTHS: Final = {0x21: 20, 0x11: 17, 0x32: 24, 0x74: 17}
_HEARTBEATS: Final = {"v": bytes.fromhex("9999000800000000"), "z": bytes.fromhex("99990400")}


class ColorlightEmulator:
    """State of one processor."""

    def __init__(self, *, family: Family = "z", device: int = 1) -> None:
        self.faults = Faults()
        self.family, self.device = family, device
        self.brightness, self.black, self.pattern, self.preset = 1.0, False, 0, 1
        self.heartbeats = 0
        self.strange = 0
        """Bytes that are no command it knows."""

    @property
    def shown(self) -> Shown:
        """What the twin shows of it."""
        return Shown(self.brightness, self.black, pattern=PATTERNS[self.pattern])

    @asynccontextmanager
    async def serving(self, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
        """Serve while the block runs; gives `host:port`."""
        server = await asyncio.start_server(self._connected, host, port)
        try:
            yield f"{host}:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held = b""
        with contextlib.suppress(OSError, TimeoutError):
            while "rebooting" not in self.faults:
                data = await asyncio.wait_for(reader.read(4096), _PATIENCE_S)
                if not data:
                    break
                held = self.take(held + data)
        writer.close()

    def take(self, data: bytes) -> bytes:
        """Carry out every whole command in `data`; what is left of it."""
        while data:
            beat = _HEARTBEATS[self.family]
            if data.startswith(beat):
                self.heartbeats += 1
                data = data[len(beat) :]
                continue
            known = _V_LENGTHS.get(data[:3]) if self.family == "v" else _Z_LENGTHS.get(data[0])
            if known is None:
                if len(data) < 4:
                    return data
                self.strange += 1
                data = data[1:]
            elif len(data) < known:
                return data
            else:
                if "lying" not in self.faults:
                    self._carry_out(data[:known])
                data = data[known:]
        return data

    def _carry_out(self, command: bytes) -> None:
        at = 7 if self.family == "v" else 6
        index = struct.unpack_from("<H", command, at)[0]
        if index not in (0xFFFF, self.device - 1):
            return
        op = command[0]
        payload = command[at + 10 :]
        if op == (0x50 if self.family == "v" else 0x21):
            if self.family == "v":
                self.brightness = struct.unpack("<H", payload)[0] / 10_000.0
            else:
                self.brightness = struct.unpack("<f", payload)[0] / 100.0
        elif op == (0x10 if self.family == "v" else 0x11):
            self.black = payload[0] == (1 if self.family == "v" else 0)
        elif op == (0x12 if self.family == "v" else 0x32):
            self.pattern = min(payload[0], len(PATTERNS) - 1)
        else:
            self.preset = payload[0] + 1
