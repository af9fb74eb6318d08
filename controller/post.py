"""A process's letter box in the run directory: Unix datagrams that never block, and rings of the doorbell.

A kernel keeps few datagrams for a socket (ten, as Linux comes), and doorbells take their places: a process that was
not awake for some frames has a full box. Letters to it wait here, in their order, and go out when it has emptied it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections import deque
from pathlib import Path
from typing import Final

import msgspec

from controller.messages import MAX_DATAGRAM, AnyMessage, Message, decode, encode

MOST_WAITING: Final = 64
"""Letters that wait for boxes to be emptied; more are not taken."""
_FULL: Final = (errno.EAGAIN, errno.ENOBUFS)


class Post:
    """One bound socket that receives control messages and doorbells, and sends to others by their path.

    Attributes
    ----------
    path : where it is bound; a dead process's socket there is taken over
    garbled : datagrams that were no message of ours
    unheard : letters and rings that nobody took: the receiver was not there, or its box was full for too long
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.garbled = 0
        self.unheard = 0
        self._waiting: deque[tuple[Path, bytes]] = deque()
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
        for what somebody sent. Letters that wait are sent, too."""
        self.push()
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
        """Send a message, or let it wait while the box is full; False when nobody will take it."""
        self.push()
        data = encode(message)
        behind = any(to == path for to, _ in self._waiting)
        fault = errno.EAGAIN if behind else self._send(path, data)
        if fault in _FULL and len(self._waiting) < MOST_WAITING:
            self._waiting.append((path, data))
            fault = 0
        self.unheard += fault != 0
        return fault == 0

    def ring(self, path: Path) -> bool:
        """Ring somebody's doorbell; False when nobody heard."""
        fault = self._send(path, b"")
        self.unheard += fault != 0
        return fault == 0

    def push(self) -> None:
        """Send what waits, as far as there is room for it."""
        full: set[Path] = set()
        for _ in range(len(self._waiting)):
            path, data = self._waiting.popleft()
            fault = errno.EAGAIN if path in full else self._send(path, data)
            if fault in _FULL:
                full.add(path)
                self._waiting.append((path, data))
            else:
                self.unheard += fault != 0

    def close(self) -> None:
        """Close the box; its name goes too, unless a successor has already taken it."""
        self._socket.close()
        with contextlib.suppress(FileNotFoundError):
            if os.stat(self.path).st_ino == self._inode:
                self.path.unlink()

    def _send(self, path: Path, data: bytes) -> int:
        """0, or why it could not be sent."""
        # By address each time: a receiver that was restarted is a new socket under the old name.
        try:
            self._socket.sendto(data, str(path))
        except OSError as error:
            return error.errno or errno.EIO
        return 0
