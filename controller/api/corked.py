"""An answer's head and the first of its body leave together: one packet, one wake-up of whoever waits for it.

uvicorn writes the head as soon as it knows it, and uvloop sends at once what is written. A client that was woken for
the head alone takes the processor to find that there is nothing to read, and gives it back for the body.
"""

from __future__ import annotations

import asyncio
from typing import Any

_HEAD = b"HTTP/1."


class Corked(asyncio.Transport):
    """A connection's transport that holds an answer's head back until something follows, or this turn of the loop
    ends. All else is the transport's own."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.bare = transport
        """The transport itself."""
        self._loop = loop
        self._held = b""

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Send, or hold back a head."""
        if self._held:
            held, self._held = self._held, b""
            self.bare.write(held + bytes(data))
        elif bytes(data[:7]) == _HEAD:
            self._held = bytes(data)
            self._loop.call_soon(self.flush)
        else:
            self.bare.write(data)

    def flush(self) -> None:
        """Send what is held back."""
        if self._held:
            held, self._held = self._held, b""
            if not self.bare.is_closing():
                self.bare.write(held)

    def close(self) -> None:
        """Send what is held back, and close."""
        self.flush()
        self.bare.close()

    def abort(self) -> None:
        """Close at once."""
        self._held = b""
        self.bare.abort()

    def is_closing(self) -> bool:
        """Whether it is closed, or about to be."""
        return self.bare.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What the transport knows of itself."""
        return self.bare.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """Take nothing more."""
        self.bare.pause_reading()

    def resume_reading(self) -> None:
        """Take what comes again."""
        self.bare.resume_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Another protocol has it now."""
        self.flush()
        self.bare.set_protocol(protocol)
