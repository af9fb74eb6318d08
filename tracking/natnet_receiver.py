"""The sockets of a NatNet source: its data, and the command port of its server, which is kept talking.

A server is asked for its version and clock (connect), for names (model definitions), for the time (echoes), and told
that somebody listens (keep-alive): in unicast it sends to nobody else. All of it in passing, when the sockets are
read: nothing waits, and what gets lost is asked for again. Without a configured server only the data is read.
"""

from __future__ import annotations

import select
from typing import Final

from runtime.clock import NS_PER_S, Clock
from tracking.config import Source
from tracking.protocols.natnet import (
    FRAME,
    KEEP_ALIVE,
    MAX_DATAGRAM,
    MODELS,
    MODELS_CHANGED,
    MODELS_REQUEST,
    SERVER_INFO,
    Echo,
    Message,
    connect_request,
)
from tracking.receivers import MAX_READ, Arrival, UdpReceiver
from tracking.socket_filter import Screen

EVERY_NS: Final = NS_PER_S // 2
"""Keep-alive and echo, and whatever is missing still."""
SILENT_NS: Final = 3 * NS_PER_S
"""A server unheard for so long has to be connected to again."""
_FLAGS_AT: Final = -6
"""The flags of a frame stand before the four bytes that end it."""


class NatNetReceiver:
    """Data socket, and a command socket when the server is known. Its descriptor is readable when either is."""

    polled = False
    """It is asked even when nothing waits: the server wants to be talked to."""

    def __init__(self, name: str, source: Source, clock: Clock) -> None:
        self._clock = clock
        self._server = source.natnet.command_address
        self._data = UdpReceiver(name, source.listen, clock, interface=source.interface, longest=MAX_DATAGRAM)
        self._command: UdpReceiver | None = None
        self._both = select.epoll()
        self._both.register(self._data.fileno(), select.EPOLLIN)
        self._connected = False
        self._has_models = False
        self._due_ns = clock.now_ns()
        self._heard_ns = self._due_ns
        if self._server is not None:
            try:
                any_port = f"{source.interface or '0.0.0.0'}:0"  # noqa: S104 - answers come by whichever way
                self._command = UdpReceiver(name, any_port, clock, longest=MAX_DATAGRAM)
            except Exception:
                self._both.close()
                self._data.close()
                raise
            self._both.register(self._command.fileno(), select.EPOLLIN)
            self._talk(self._due_ns)

    @property
    def address(self) -> str:
        """Where data is listened for, as bound."""
        return self._data.address

    @property
    def connected(self) -> bool:
        """Whether the server has answered and is still heard."""
        return self._connected

    def fileno(self) -> int:
        """Descriptor that is readable when a datagram waits on either socket."""
        return self._both.fileno()

    @property
    def dropped(self) -> int:
        """Datagrams that the kernel has dropped at the data socket."""
        return self._data.dropped

    def screen(self, screen: Screen) -> bool:
        """Have the kernel let only some senders' data through; whether it does. The command port has one partner."""
        return self._data.screen(screen)

    def receive(self, most: int = MAX_READ) -> list[Arrival]:
        """What waits, oldest first, `most` datagrams of each socket at most; the server is told what it has to hear."""
        out = self._data.receive(most)
        if self._command is None or self._server is None:
            return out
        host = self._server[0]
        # Whoever else finds the command port has nothing to say here.
        out += [arrival for arrival in self._command.receive(most) if arrival.host == host]
        out.sort(key=lambda arrival: arrival.t_received_ns)
        for arrival in out:
            if arrival.host == host:
                self._listen(arrival)
        now_ns = self._clock.now_ns()
        if now_ns >= self._due_ns:
            self._talk(now_ns)
        return out

    def close(self) -> None:
        """Close both sockets."""
        self._both.close()
        self._data.close()
        if self._command is not None:
            self._command.close()

    def _listen(self, arrival: Arrival) -> None:
        self._heard_ns = max(self._heard_ns, arrival.t_received_ns)
        kind = int.from_bytes(arrival.data[:2], "little")
        if kind == SERVER_INFO:
            self._connected = True
        elif kind == MODELS:
            self._has_models = True
        elif kind == FRAME and len(arrival.data) > 64 and arrival.data[_FLAGS_AT] & MODELS_CHANGED:
            self._has_models = False

    def _talk(self, now_ns: int) -> None:
        self._due_ns = now_ns + EVERY_NS
        if now_ns - self._heard_ns > SILENT_NS:
            self._connected = self._has_models = False
        if not self._connected:
            self._say(bytes(connect_request()))
            return
        self._say(bytes(Message(KEEP_ALIVE)))
        if not self._has_models:
            self._say(bytes(Message(MODELS_REQUEST)))
        self._say(bytes(Echo(self._clock.now_ns())))

    def _say(self, data: bytes) -> None:
        if self._command is not None and self._server is not None:
            self._command.send(data, self._server)
