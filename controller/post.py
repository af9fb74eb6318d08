"""A process's letter box in the run directory: Unix datagrams that never block, and rings of the doorbell."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

import msgspec

from controller.messages import MAX_DATAGRAM, AnyMessage, Message, decode, encode


class Post:
    """One bound socket that receives control messages and doorbells, and sends to others by their path.

    Attributes
    ----------
    path : where it is bound; a dead process's socket there is taken over
    garbled : datagrams that were no message of ours
    unheard : letters whose receiver was not there, or had not emptied its box
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.garbled = 0
        self.unheard = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        self._socket.bind(str(path))
        self._inode = os.stat(path).st_ino

    def fileno(self) -> int:
        """For select: readable when something waits."""
        return self._socket.fileno()

    def receive(self) -> list[AnyMessage]:
        """Every message that waits, oldest first; doorbells only wake and are dropped. Never blocks, never raises
        for what somebody sent."""
        messages: list[AnyMessage] = []
        while True:
            try:
                data = self._socket.recv(MAX_DATAGRAM)
            except BlockingIOError:
                return messages
            if not data:
                continue
            try:
                messages.append(decode(data))
            except msgspec.MsgspecError:
                self.garbled += 1

    def send(self, path: Path, message: Message) -> bool:
        """Send a message; False when nobody took it."""
        return self._send(path, encode(message))

    def ring(self, path: Path) -> bool:
        """Ring somebody's doorbell; False when nobody heard."""
        return self._send(path, b"")

    def close(self) -> None:
        """Close the box; its name goes too, unless a successor has already taken it."""
        self._socket.close()
        with contextlib.suppress(FileNotFoundError):
            if os.stat(self.path).st_ino == self._inode:
                self.path.unlink()

    def _send(self, path: Path, data: bytes) -> bool:
        # By address each time: a receiver that was restarted is a new socket under the old name.
        try:
            self._socket.sendto(data, str(path))
        except OSError:
            self.unheard += 1
            return False
        return True
