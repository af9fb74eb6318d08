"""The doorbell: an empty Unix datagram that says "look again". It carries nothing, so it can be lost or doubled.

The conductor rings a node when a plan is in the ring; the node drains the bell, then reads the newest plan.
"""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from typing import Final

_LONGEST_ADDRESS: Final = 107


def bell_path(run_dir: Path, name: str) -> Path:
    """Where the bell of the role `name` hangs."""
    return run_dir / f"{name}.bell"


class Bell:
    """The end that listens. A bell a dead process left behind is taken over."""

    def __init__(self, path: Path) -> None:
        if len(os.fsencode(path)) > _LONGEST_ADDRESS:
            raise ValueError(f"a Unix socket address has at most {_LONGEST_ADDRESS} bytes: {path}")
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        try:
            self._socket.bind(str(path))
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """For select: readable when rung."""
        return self._socket.fileno()

    def drain(self) -> int:
        """Take every ring that waits; how many there were. Never blocks."""
        rings = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                self._socket.recv(1)
                rings += 1
        return rings

    def close(self) -> None:
        """Take the bell down."""
        self._socket.close()
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()


class Ringer:
    """The end that rings. It needs nobody there, and never waits.

    Attributes
    ----------
    unheard : rings that reached nobody (no listener yet, a dead one, or one that has not drained for long).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._address = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self.unheard = 0

    def ring(self) -> bool:
        """Ring once; False when nobody heard. A full queue is False too, and no harm: it is ringing already."""
        # By address each time: a listener that was restarted is a new socket under the old name.
        try:
            self._socket.sendto(b"", self._address)
        except OSError:
            self.unheard += 1
            return False
        return True

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()
