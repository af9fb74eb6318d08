"""Where outside time code comes in: UDP, FIFOs, raw MIDI devices, sound cards. Reading never blocks, never raises.

An input hands out `HeardLabel`s, each with the monotonic instant at which its frame began, the configured delay
taken off. Under a virtual clock nothing is opened, and tests put bytes in by `take`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections import Counter, deque
from typing import Any, Final, Protocol

import numpy as np

from runtime.clock import (
    ANCILLARY_BYTES,
    NS_PER_MS,
    NS_PER_S,
    Clock,
    StampConverter,
    enable_kernel_stamps,
    kernel_stamp_ns,
)
from runtime.config import ArtTimecodeConfig, LtcConfig, MtcConfig, TimecodeSource, udp_address
from runtime.errors import ReferenceOpenError
from runtime.references import art_timecode
from runtime.references.labels import HeardLabel
from runtime.references.ltc import LtcDecoder
from runtime.references.mtc import MtcDecoder
from stage.errors import Problem

MAX_DATAGRAM: Final = 65536
MAX_READS: Final = 64
MOST_BYTES: Final = 1 << 15
"""Portions and bytes read in one go: a flood may not hold the caller. (16,384 samples of noise take 1.5 ms.)"""
READ_BYTES: Final = 1 << 13
WINDOW_NS: Final = NS_PER_S // 2
LATE_PORTIONS: Final = 8
"""So many portions in a row that come this late are samples that were lost, not a delay."""
LATE_NS: Final = 3 * NS_PER_MS


class SampleTimes:
    """When a sample was taken, from when portions of samples arrived: the quickest portion of the last half second
    had the least delay. Lost samples are noticed and followed."""

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._smallest: deque[tuple[int, int]] = deque()
        self._late = 0

    def arrived(self, position: int, t_ns: int) -> None:
        """The first `position` samples were here at `t_ns`."""
        offset_ns = t_ns - position * NS_PER_S // self._sample_rate
        smallest = self._smallest
        self._late = self._late + 1 if smallest and offset_ns - smallest[0][1] > LATE_NS else 0
        if self._late >= LATE_PORTIONS:
            smallest.clear()
            self._late = 0
        while smallest and smallest[-1][1] >= offset_ns:
            smallest.pop()
        smallest.append((t_ns, offset_ns))
        while smallest[0][0] < t_ns - WINDOW_NS:
            smallest.popleft()

    def at_ns(self, sample: float) -> int:
        """When a sample was taken, by what is known now. Only after something has arrived."""
        return self._smallest[0][1] + round(sample * NS_PER_S / self._sample_rate)


class Wire(Protocol):
    """Something bytes come out of."""

    def fileno(self) -> int:
        """For select; -1 where it must be polled."""

    def read(self) -> list[tuple[bytes, int, str]]:
        """What waits: bytes, when they arrived (monotonic ns), and from which host."""

    def close(self) -> None:
        """Give it back."""


class LabelInput(Protocol):
    """One outside time code."""

    config: TimecodeSource

    def take(self, data: bytes, t_ns: int, host: str = "") -> list[HeardLabel]:
        """The labels in bytes that arrived at `t_ns`."""

    def refused(self) -> dict[str, int]:
        """What was left aside, by reason."""


class LtcInput:
    """Labels out of raw samples, signed 16 bit little-endian."""

    def __init__(self, config: LtcConfig) -> None:
        self.config: TimecodeSource = config
        self._channels, self._channel = config.channels, config.channel - 1
        self._delay_ns = round(config.delay_ms * NS_PER_MS)
        self._decoder = LtcDecoder(config.sample_rate)
        self._times = SampleTimes(config.sample_rate)
        self._rest = b""

    @property
    def level(self) -> float:
        """Half the signal's swing, 0 to 1."""
        return self._decoder.level / 32768.0

    def take(self, data: bytes, t_ns: int, host: str = "") -> list[HeardLabel]:
        """The labels that these samples complete."""
        data = self._rest + data
        whole = len(data) // (2 * self._channels) * 2 * self._channels
        self._rest = data[whole:]
        samples = np.frombuffer(data[:whole], dtype="<i2").reshape(-1, self._channels)[:, self._channel]
        if not len(samples):
            return []
        found = self._decoder.feed(samples)
        self._times.arrived(self._decoder.position, t_ns)
        return [
            HeardLabel(
                frame.parts, self._times.at_ns(frame.start) - self._delay_ns, 0, frame.drop_frame, frame.reverse, True
            )
            for frame in found
        ]

    def refused(self) -> dict[str, int]:
        """What was left aside, by reason."""
        return {str(reason): count for reason, count in self._decoder.refused.items()}


class MtcInput:
    """Labels out of a raw MIDI stream."""

    def __init__(self, config: MtcConfig) -> None:
        self.config: TimecodeSource = config
        self._delay_ns = round(config.delay_ms * NS_PER_MS)
        self._decoder = MtcDecoder()

    def take(self, data: bytes, t_ns: int, host: str = "") -> list[HeardLabel]:
        """The labels that these bytes complete."""
        return self._decoder.feed(data, t_ns - self._delay_ns)

    def refused(self) -> dict[str, int]:
        """What was left aside, by reason."""
        return {str(reason): count for reason, count in self._decoder.refused.items()}


class ArtTimecodeInput:
    """Labels out of Art-Net datagrams."""

    def __init__(self, config: ArtTimecodeConfig) -> None:
        self.config: TimecodeSource = config
        self._delay_ns = round(config.delay_ms * NS_PER_MS)
        self._allow = frozenset(config.allow)
        self._refused: Counter[str] = Counter()

    def take(self, data: bytes, t_ns: int, host: str = "") -> list[HeardLabel]:
        """The label of one datagram."""
        if self._allow and host not in self._allow:
            self._refused["not_allowed"] += 1
            return []
        label = art_timecode.parse(data, t_ns - self._delay_ns)
        if isinstance(label, str):
            self._refused[label] += 1
            return []
        return [label]

    def refused(self) -> dict[str, int]:
        """What was left aside, by reason."""
        return dict(self._refused)


class UdpWire:
    """A bound, non-blocking UDP socket with kernel stamps."""

    def __init__(self, listen: str, clock: Clock) -> None:
        host, port = udp_address(listen)
        self._stamps = StampConverter.of(clock)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            enable_kernel_stamps(self._socket)
            self._socket.bind((host, port))
        except OSError:
            self._socket.close()
            raise

    @property
    def port(self) -> int:
        """As bound."""
        return int(self._socket.getsockname()[1])

    def fileno(self) -> int:
        """For select."""
        return self._socket.fileno()

    def read(self) -> list[tuple[bytes, int, str]]:
        """Datagrams that wait."""
        found: list[tuple[bytes, int, str]] = []
        left = MOST_BYTES
        for _ in range(MAX_READS):
            try:
                data, ancillary, _, sender = self._socket.recvmsg(MAX_DATAGRAM, ANCILLARY_BYTES)
            except OSError:
                break
            found.append((data, self._stamps.monotonic_ns(kernel_stamp_ns(ancillary)), sender[0]))
            left -= len(data)
            if left <= 0:
                break
        return found

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class FileWire:
    """A FIFO or a character device, opened without waiting for its other end."""

    def __init__(self, path: str, clock: Clock) -> None:
        self._clock = clock
        self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        mode = os.fstat(self._fd).st_mode
        if not (stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)):
            # A plain file would be read to its end at once and be readable for ever.
            os.close(self._fd)
            raise OSError(errno.EINVAL, "no FIFO and no device")
        self._quiet = True

    def fileno(self) -> int:
        """For select; -1 while a FIFO has no writer (it would be readable for ever)."""
        return -1 if self._quiet else self._fd

    def read(self) -> list[tuple[bytes, int, str]]:
        """Bytes that wait."""
        found: list[tuple[bytes, int, str]] = []
        left = MOST_BYTES
        for _ in range(MAX_READS):
            try:
                data = os.read(self._fd, READ_BYTES)
            except BlockingIOError:
                self._quiet = False
                break
            except OSError:
                self._quiet = True
                break
            if not data:
                self._quiet = True
                break
            self._quiet = False
            found.append((data, self._clock.now_ns(), ""))
            left -= len(data)
            if left <= 0:
                break
        return found

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


class SoundCardWire:
    """A sound card's input through PortAudio (`sounddevice`, extra `audio`), read without a callback: no Python
    thread is woken by it."""

    def __init__(self, config: LtcConfig, clock: Clock) -> None:
        try:
            import sounddevice
        except (ImportError, OSError) as error:
            raise OSError(errno.ENOSYS, f"sounddevice cannot be used ({error})") from error
        self._clock = clock
        device: Any = config.device or None
        if isinstance(device, str) and device.isdecimal():
            device = int(device)
        try:
            self._stream = sounddevice.RawInputStream(
                samplerate=config.sample_rate, channels=config.channels, dtype="int16", device=device, latency="low"
            )
            self._stream.start()
        except sounddevice.PortAudioError as error:
            raise OSError(errno.ENODEV, str(error)) from error
        self._rate = config.sample_rate

    def fileno(self) -> int:
        """It has none: it is polled."""
        return -1

    def read(self) -> list[tuple[bytes, int, str]]:
        """Samples that wait."""
        waiting = int(self._stream.read_available)
        if waiting <= 0:
            return []
        data, _ = self._stream.read(waiting)
        return [(bytes(data), self._clock.now_ns(), "")]

    def close(self) -> None:
        """Stop listening."""
        self._stream.close()


def label_input(config: TimecodeSource) -> LabelInput:
    """The decoder a configuration asks for, not connected to anything yet."""
    if isinstance(config, LtcConfig):
        return LtcInput(config)
    return MtcInput(config) if isinstance(config, MtcConfig) else ArtTimecodeInput(config)


def open_wire(config: TimecodeSource, clock: Clock) -> Wire:
    """What a configuration listens to.

    Raises
    ------
    ReferenceOpenError : the port, FIFO or device is not to be had.
    """
    where, value = _place(config)
    try:
        if where == "listen":
            return UdpWire(value, clock)
        if where == "device":
            assert isinstance(config, LtcConfig)
            return SoundCardWire(config, clock)
        return FileWire(value, clock)
    except OSError as error:
        mends = {
            errno.EADDRINUSE: "another program has it: stop that one, or listen elsewhere",
            errno.EADDRNOTAVAIL: "use an address of this machine, or 0.0.0.0 for all of them",
            errno.EACCES: "give this user the right to it (group `audio` for sound and MIDI devices)",
            errno.ENOENT: "make it first (`mkfifo`), or correct the path",
            errno.EINVAL: "name a FIFO (`mkfifo`) or a device",
            errno.ENOSYS: "pip install openvolume[audio], and the system's PortAudio (libportaudio2)",
            errno.ENODEV: "`python -m sounddevice` lists what there is",
        }
        problem = Problem(
            ReferenceOpenError.code,
            f"time/timecode/{where}",
            f"cannot listen: {error.strerror or error}",
            value,
            mends.get(error.errno or 0, "look at the device and the configuration"),
            values={"source": str(value), "error": error.strerror or str(error)},
        )
        raise ReferenceOpenError(problem) from error


def address_of(config: TimecodeSource) -> str:
    """Where a time code is listened to, for display."""
    return _place(config)[1] or "default sound card"


def _place(config: TimecodeSource) -> tuple[str, str]:
    if isinstance(config, ArtTimecodeConfig):
        return "listen", config.listen
    if isinstance(config, MtcConfig):
        return "path", config.path
    for where in ("listen", "path"):
        if (value := getattr(config, where)) is not None:
            return where, value
    return "device", config.device or ""


def close_quietly(wire: Wire | None) -> None:
    """Close it, whatever it says."""
    if wire is not None:
        with contextlib.suppress(OSError):
            wire.close()
