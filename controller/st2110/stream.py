"""Sends pictures as ST 2110-20: packets leave evenly over the frame, over one path or two, and never hold anybody up.

Two paths carry the same packets (ST 2022-7); a path that fails is counted and the other goes on. Pacing is by the
system's clock, in short bursts, which is what `TP=2110TPW` allows; how far bursts came late is measured and told.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from controller.st2110.rfc4175 import U8, PacketFrame, VideoForm, octets_of, rtp_timestamp
from controller.st2110.sdp import Path
from runtime.clock import NS_PER_MS

BURST_NS: Final = NS_PER_MS // 4
"""Packets of so much time leave together."""
ACTIVE_SHARE: Final = 0.9
"""Share of the period over which a picture's packets are spread; the rest is for the host's delays."""
SEND_BUFFER: Final = 4 << 20
_DSCP_EF: Final = 46 << 2
_UDP_SEGMENT: Final = 103
"""Linux: one buffer, cut into datagrams of this length by the kernel (or the card)."""
_SEGMENTS_MOST: Final = 44
"""Of 1,472 octets each, in the 64 KiB a datagram may have before it is cut."""


@dataclass(slots=True)
class PathCount:
    """What one path took."""

    packets: int = 0
    refused: int = 0
    """Packets the network layer would not take (no route, interface down, its buffer full)."""


@dataclass(frozen=True, slots=True)
class FrameSent:
    """How one picture left."""

    packets: int
    late_most_ns: int
    """By how much the latest burst left after its time."""
    took_ns: int


class VideoStream:
    """One canvas on its way out."""

    def __init__(
        self,
        form: VideoForm,
        paths: Sequence[Path],
        *,
        period_ns: int,
        ssrc: int,
        now_ns: Callable[[], int],
        sleep_until_ns: Callable[[int], None],
        payload_type: int = 96,
        ttl: int = 32,
    ) -> None:
        """`sleep_until_ns(t)` returns at t or a little later.

        Raises
        ------
        VideoFormatError : the raster cannot be sent. OSError : a source address is not this machine's.
        """
        form.check("outputs")
        self.form = form
        self._period_ns, self._ssrc = period_ns, ssrc
        self._now_ns, self._sleep_until_ns = now_ns, sleep_until_ns
        self._frame = PacketFrame(form, payload_type)
        self._cut = self._frame.packets.shape[1].to_bytes(2, sys.byteorder)
        self._sequence = 0
        self.counts = [PathCount() for _ in paths]
        self._sockets: list[socket.socket] = []
        try:
            for path in paths:
                self._sockets.append(_opened(path, ttl))
        except OSError:
            self.close()
            raise

    @property
    def packets(self) -> int:
        """Packets of a picture."""
        return len(self._frame.packets)

    def send(self, picture: NDArray[np.uint8] | NDArray[np.uint32], *, start_ns: int, tai_ns: int) -> FrameSent:
        """Send one canvas: the first packet at `start_ns`, the last before the period is over. `tai_ns` is the time
        its label says. Never raises for what the network does."""
        frame = self._frame
        octets_of(picture, self.form, frame.places)
        frame.stamp(first_sequence=self._sequence, timestamp=rtp_timestamp(tai_ns), ssrc=self._ssrc)
        count = len(frame.packets)
        self._sequence += count
        spread_ns = int(self._period_ns * ACTIVE_SHARE)
        bursts = max(1, spread_ns // BURST_NS)
        each = min(_SEGMENTS_MOST, -(-count // bursts))
        late_most = 0
        for first in range(0, count, each):
            due_ns = start_ns + spread_ns * first // count
            if self._now_ns() < due_ns:
                self._sleep_until_ns(due_ns)
            late_most = max(late_most, self._now_ns() - due_ns)
            chosen = frame.packets[first : first + each]
            for path, counted in zip(self._sockets, self.counts, strict=True):
                self._burst(path, counted, chosen)
        return FrameSent(count, late_most, self._now_ns() - start_ns)

    def _burst(self, path: socket.socket, counted: PathCount, packets: U8) -> None:
        try:
            path.sendmsg((packets.data,), ((socket.IPPROTO_UDP, _UDP_SEGMENT, self._cut),))
        except OSError:
            self._one_by_one(path, counted, packets)
        else:
            counted.packets += len(packets)

    def _one_by_one(self, path: socket.socket, counted: PathCount, packets: U8) -> None:
        """Where the kernel does not cut, or refuses: what can be sent is sent, what cannot is counted."""
        for packet in packets:
            try:
                path.send(packet.data)
            except OSError:
                counted.refused += 1
            else:
                counted.packets += 1

    def close(self) -> None:
        """Let the sockets go."""
        for path in self._sockets:
            path.close()
        self._sockets.clear()


def _opened(path: Path, ttl: int) -> socket.socket:
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        out.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        out.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _DSCP_EF)
        out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
        out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(path.source))
        out.bind((path.source, 0))
        out.connect((path.destination, path.port))
    except OSError:
        out.close()
        raise
    return out
