"""A serial line as a receiver: pieces of a stream of bytes with the time they came, and a device that may be unplugged.

A missing device is no fault of the configuration: it is told as trouble, tried again every second, and nothing else
waits for it. The descriptor keeps its number through all of that, since others wait on it.
"""

from __future__ import annotations

import os
import termios
from typing import Final

from runtime.clock import NS_PER_S, Clock
from tracking.config import SerialLine, Source
from tracking.cooke_dialogue import BAUDS, CookeDialogue
from tracking.receivers import MAX_READ, Arrival
from tracking.socket_filter import Screen

AGAIN_NS: Final = NS_PER_S
PIECE: Final = 4096
WAKE_BYTES: Final = 120
"""The line wakes whoever waits on it when so much has come: three lens records, four FreeD messages."""
_SPEEDS: Final = {
    9_600: termios.B9600, 19_200: termios.B19200, 38_400: termios.B38400, 57_600: termios.B57600,
    115_200: termios.B115200, 230_400: termios.B230400,
}  # fmt: skip
_ENDS: Final = {"cooke": b"\n\r"}


class SerialReceiver:
    """The line a source names in `listen: serial:/dev/...`."""

    polled = False
    """It is asked even when nothing waits: the lens has to be talked to, and a device may come back."""
    dropped = 0

    def __init__(self, name: str, source: Source, clock: Clock) -> None:
        line = source.serial_line
        assert line is not None
        self._line: SerialLine = line
        self._clock = clock
        self._cooke = source.protocol == "cooke"
        self._end = _ENDS.get(source.protocol, b"")
        bauds = (line.baud,) if line.baud is not None else BAUDS if self._cooke else (38_400,)
        self._dialogue = CookeDialogue(bauds) if self._cooke and source.cooke.asks else None
        self._baud = bauds[0]
        self.trouble = ""
        """Why nothing can be received; empty while the device is there."""
        self._due_ns = 0
        # Nothing ever comes through it: it stands in the line's place while that is not there.
        self._nothing, self._never = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._fd = os.dup(self._nothing)
        self._open(clock.now_ns())

    @property
    def address(self) -> str:
        """The device, and the rate it is read at."""
        return f"serial:{self._line.device}@{self._baud}"

    def fileno(self) -> int:
        """Becomes readable when a few messages wait."""
        return self._fd

    def screen(self, screen: Screen) -> bool:
        """Who is at the other end of a line is let in."""
        return False

    def receive(self, most: int = MAX_READ) -> list[Arrival]:
        """What waits, oldest first: pieces that end with a message where its end can be seen. Never raises."""
        now_ns = self._clock.now_ns()
        if self.trouble:
            if now_ns < self._due_ns:
                return []
            self._open(now_ns)
            if self.trouble:
                return []
        data, lost = b"", False
        for _ in range(most):
            try:
                piece = os.read(self._fd, PIECE)
            except BlockingIOError:
                break
            except OSError as error:
                self._lose(error.strerror or str(error), now_ns)
                lost = True
                break
            if not piece:
                self._lose("it was unplugged", now_ns)
                lost = True
                break
            data += piece
        if data and self._dialogue is not None:
            self._dialogue.heard(data, now_ns)
        if not lost and self._dialogue is not None:
            self._talk(self._dialogue, now_ns)
        return self._stamped(data, now_ns) if data else []

    def close(self) -> None:
        """Close the line; a lens is told to be silent."""
        if not self.trouble and self._dialogue is not None:
            self._say(b"H\r")
        for fd in (self._fd, self._nothing, self._never):
            os.close(fd)

    def _stamped(self, data: bytes, now_ns: int) -> list[Arrival]:
        """The bytes as arrivals: what stands before others on the line came so many bytes' time earlier."""
        pieces = [data]
        if self._end:
            *whole, rest = data.split(self._end)
            pieces = [piece + self._end for piece in whole] + ([rest] if rest else [])
        byte_ns = self._line.bits_per_byte * NS_PER_S // self._baud
        left, out = len(data), []
        for piece in pieces:
            left -= len(piece)
            out.append(Arrival(piece, "", 0, now_ns - left * byte_ns))
        return out

    def _talk(self, dialogue: CookeDialogue, now_ns: int) -> None:
        words = dialogue.say(now_ns)
        if dialogue.baud != self._baud:
            self._baud = dialogue.baud
            try:
                self._set_up(self._fd)
            except (OSError, termios.error) as error:
                self._lose(str(error), now_ns)
                return
        if words:
            self._say(words)

    def _say(self, words: bytes) -> None:
        try:
            os.write(self._fd, words)
        except OSError:
            return  # what is not heard is said again

    def _open(self, now_ns: int) -> None:
        self._due_ns = now_ns + AGAIN_NS
        try:
            fd = os.open(self._line.device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            self.trouble = f"{self._line.device} cannot be opened: {error.strerror}"
            return
        try:
            self._set_up(fd)
            termios.tcflush(fd, termios.TCIOFLUSH)
            os.dup2(fd, self._fd, inheritable=False)
        except (OSError, termios.error) as error:
            self.trouble = f"{self._line.device} is no serial line: {error.args[-1]}"
            return
        finally:
            os.close(fd)
        self.trouble = ""
        if self._dialogue is not None:
            self._dialogue.begin_again(now_ns)
            self._talk(self._dialogue, now_ns)

    def _lose(self, why: str, now_ns: int) -> None:
        self._due_ns = now_ns + AGAIN_NS
        self.trouble = f"{self._line.device}: {why}"
        os.dup2(self._nothing, self._fd, inheritable=False)

    def _set_up(self, fd: int) -> None:
        """Raw, 8 bits, no flow control; FreeD's odd parity. Raises termios.error: no serial line."""
        settings = termios.tcgetattr(fd)
        speed = _SPEEDS[self._baud]
        control = termios.CS8 | termios.CREAD | termios.CLOCAL
        if self._line.odd_parity:
            control |= termios.PARENB | termios.PARODD
        characters = settings[6]
        characters[termios.VMIN], characters[termios.VTIME] = WAKE_BYTES, 0
        termios.tcsetattr(fd, termios.TCSANOW, [0, 0, control, 0, speed, speed, characters])
