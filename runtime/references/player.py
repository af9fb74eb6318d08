"""A time code that plays: LTC as raw audio, MIDI time code, Art-Net time code. For rehearsals, demos and tests.

It is a `Role`: `step` sends what is due. What it sends is what `runtime.references.inputs` takes.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable
from typing import Final, Literal, Protocol

import numpy as np

from runtime.clock import NS_PER_S, Clock, SystemClock
from runtime.config import udp_address
from runtime.references.art_timecode import PORT, packet
from runtime.references.ltc import LtcEncoder, write_word
from runtime.references.mtc import quarter_frames
from stage.rate import Rate
from stage.timecode import drops, frame_of, nominal_fps, parts_at, timecode_at

Kind = Literal["ltc", "mtc", "art_timecode"]
KINDS: Final[tuple[Kind, ...]] = ("ltc", "mtc", "art_timecode")
PORTION_S: Final = 0.01
DEFAULT_TARGETS: Final[dict[Kind, str]] = {"ltc": "127.0.0.1:5004", "art_timecode": f"127.0.0.1:{PORT}"}


class Sink(Protocol):
    """Where a player's bytes go."""

    def send(self, data: bytes) -> None:
        """Send one portion; never waits."""

    def close(self) -> None:
        """Give it back."""


class TimecodePlayer:
    """Plays labels from `first` on, the first of them at the first `step`.

    rate : of the labels; drop_frame : None: as the rate has it; loss : said for every portion, True leaves it out.
    """

    def __init__(
        self,
        kind: Kind,
        rate: Rate,
        clock: Clock,
        sink: Sink,
        *,
        first: int = 0,
        sample_rate: int = 48000,
        drop_frame: bool | None = None,
        loss: Callable[[int], bool] | None = None,
    ) -> None:
        self._kind, self._rate, self._clock, self._sink = kind, rate, clock, sink
        self._drop = drops(rate) > 0 and drop_frame is not False
        self._labels_per_s = nominal_fps(rate)
        self._loss = loss or (lambda _: False)
        self._first = first
        self._sample_rate = sample_rate
        self._portion = round(sample_rate * PORTION_S)
        self._encoder = LtcEncoder(rate, sample_rate)
        self._samples = np.zeros(0, dtype=np.float32)
        self._begun_ns: int | None = None
        self._sent = 0
        self._frames = 0

    @property
    def label(self) -> str:
        """What plays now."""
        frame = self._first
        if self._begun_ns is not None:
            frame += max(0, self._rate.frame_at(self._begun_ns, self._clock.now_ns()))
        return timecode_at(self._rate, frame, drop_frame=self._drop)

    def start(self) -> None:
        """Nothing is needed."""

    def step(self, now_ns: int) -> int:
        """Send what is due; when more is."""
        if self._begun_ns is None:
            self._begun_ns = now_ns
        while (due_ns := self._due_ns(self._sent)) <= now_ns:
            data = self._next()
            if not self._loss(due_ns):
                self._sink.send(data)
            self._sent += 1
        return due_ns

    def stop(self) -> None:
        """Close where it goes."""
        self._sink.close()

    def _due_ns(self, n: int) -> int:
        assert self._begun_ns is not None
        if self._kind == "ltc":
            # Audio is there when its last sample is.
            return self._begun_ns + (n + 1) * self._portion * NS_PER_S // self._sample_rate
        quarters = 4 if self._kind == "mtc" else 1
        return Rate(self._rate.num * quarters, self._rate.den).deadline_ns(self._begun_ns, n)

    def _next(self) -> bytes:
        if self._kind == "ltc":
            while len(self._samples) < self._portion:
                parts = parts_at(self._rate, self._first + self._frames, drop_frame=self._drop)
                word = write_word(parts, labels_per_s=self._labels_per_s, drop_frame=self._drop)
                self._samples = np.concatenate([self._samples, self._encoder.frame(word)])
                self._frames += 1
            portion, self._samples = self._samples[: self._portion], self._samples[self._portion :]
            return (portion * 32767.0).astype("<i2").tobytes()
        if self._kind == "mtc":
            label, piece = divmod(self._sent, 8)
            parts = parts_at(self._rate, self._first + 2 * label, drop_frame=self._drop)
            return quarter_frames(parts, labels_per_s=self._labels_per_s, drop_frame=self._drop)[piece]
        parts = parts_at(self._rate, self._first + self._sent, drop_frame=self._drop)
        return packet(parts, labels_per_s=self._labels_per_s, drop_frame=self._drop)


class UdpSink:
    """Datagrams to one address."""

    def __init__(self, target: str) -> None:
        self._address = udp_address(target)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    def send(self, data: bytes) -> None:
        """Send; who does not listen misses it."""
        with contextlib.suppress(OSError):
            self._socket.sendto(data, self._address)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class FileSink:
    """A FIFO or a raw device; while nobody reads a FIFO nothing is sent."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1

    def send(self, data: bytes) -> None:
        """Send if somebody reads; a reader that is slow misses it."""
        try:
            if self._fd < 0:
                self._fd = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.write(self._fd, data)
        except BlockingIOError:
            pass
        except OSError:
            self.close()

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def sink_to(target: str) -> Sink:
    """Where `host:port` or a path leads."""
    if "/" in target:
        return FileSink(target)
    return UdpSink(target)


def play_timecode(
    kind: Kind, target: str, rate: Rate, *, first: str | None = None, seconds: float | None = None
) -> str:
    """Play in real time until `seconds` have passed or the caller is interrupted; the label it ended with.

    Raises
    ------
    stage.timecode.TimecodeError : `first` is no label of the rate. ValueError : no address.
    """
    clock = SystemClock()
    number = frame_of(rate, first, drop_frame=drops(rate) > 0) if first else 0
    player = TimecodePlayer(kind, rate, clock, sink_to(target), first=number)
    begun_ns = clock.now_ns()
    try:
        while seconds is None or clock.now_ns() - begun_ns < seconds * NS_PER_S:
            due_ns = player.step(clock.now_ns())
            time.sleep(max(0, due_ns - clock.now_ns()) / NS_PER_S)
    except KeyboardInterrupt:
        pass
    finally:
        player.stop()
    return player.label
