"""Sends pictures as ST 2110-20: packets leave evenly over the frame, over one path or two, and never hold anybody up.

Two paths carry the same packets (ST 2022-7); a path that fails is counted and the other goes on. Pacing is by the
system's clock, in short runs, which the kernel holds until their time where an interface has a queue for that. What
came late is not made up for faster than a wide sender may (`bucket_limit`), unless the picture would not be out in its
time; how far runs came late, and how many packets stood closer together than an even stream's, is measured and told.
Rows are packed while earlier ones leave: the first packet need not wait for the last row.
"""

from __future__ import annotations

import socket
import struct
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from numpy.typing import NDArray

from controller.st2110.frame import PacketFrame, Run
from controller.st2110.pixels import FULL, Coding, octets_of
from controller.st2110.rfc4175 import Packing, VideoForm, packet_layout, rtp_timestamp
from controller.st2110.sdp import Path
from runtime.clock import NS_PER_MS, NS_PER_S

ACTIVE_SHARE: Final = 0.93
"""Share of the period over which a picture's packets are spread; the rest is for the host's delays. A little faster
than an even stream, and slower than its leaky bucket drains (1.1 times)."""
END_SHARE: Final = 0.99
"""Of the period: by then a picture is out, at whatever pace."""
RUN_NS: Final = NS_PER_MS // 4
"""Packets of so much time, at most, leave together."""
RUN_SHARE: Final = 3 / 8
"""Of the bucket that a run may fill: a sleep that ends some 60 us late is made up for by two runs at once."""
DRAIN: Final = 1.1
PIECE_PX: Final = 1 << 14
"""Pixels packed at a time, so that runs that are due wait for no more."""
SEND_BUFFER: Final = 4 << 20
LEAD_NS: Final = 4 * NS_PER_MS
"""Where the kernel holds packets until their time, they are handed to it so long before: what keeps this process from
its processor for less is not seen on the network."""
HELD_RUNS: Final = 64
"""Runs that one queue of `fq` may hold; it takes 100 and drops the rest."""
_DSCP_EF: Final = 46 << 2
_SO_TXTIME: Final = 61
"""Linux: datagrams carry the time to leave at, by CLOCK_MONOTONIC."""
_TXTIME: Final = struct.Struct("=iI").pack(time.CLOCK_MONOTONIC, 0)
_UDP_SEGMENT: Final = 103
"""Linux: one buffer, cut into datagrams of this length by the kernel (or the card)."""


@dataclass(slots=True)
class PathCount:
    """What one path took."""

    source_port: int = 0
    packets: int = 0
    refused: int = 0
    """Packets the network layer would not take (no route, interface down, its buffer full)."""


@dataclass(slots=True)
class FrameSent:
    """How one picture left."""

    packets: int = 0
    late_most_ns: int = 0
    """By how much the latest run left after its time."""
    took_ns: int = 0
    bucket: int = 0
    """Most packets that stood in ST 2110-21's network bucket, which drains 1.1 times as fast as an even stream."""
    torn: bool = False
    """The picture was overwritten before it was packed: the rest is of the one before."""


def bucket_limit(packets: int, period_ns: int) -> int:
    """What that bucket may hold of a wide sender's packets (C_MAX of type W)."""
    return max(16, packets * NS_PER_S // (21_600 * period_ns))


def _never(_: Path) -> bool:
    return False


class VideoStream:
    """One canvas on its way out: `begin` a picture, then `step` until it gives None."""

    def __init__(
        self,
        form: VideoForm,
        paths: Sequence[Path],
        *,
        period_ns: int,
        ssrc: int,
        now_ns: Callable[[], int],
        payload_type: int = 96,
        packing: Packing = "general",
        coding: Coding = FULL,
        ttl: int = 32,
        holds_packets: Callable[[Path], bool] = _never,
    ) -> None:
        """
        holds_packets : whether the kernel holds what leaves by a path until the time that it carries.

        Raises
        ------
        VideoFormatError : the raster cannot be sent. OSError : a source address is not this machine's.
        """
        form.check("outputs")
        self.form, self.period_ns, self.coding = form, period_ns, coding
        self._ssrc, self._now_ns, self._ttl, self._holds_packets = ssrc, now_ns, ttl, holds_packets
        layout = packet_layout(form, payload_type, packing)
        self.packets = layout.packets
        self.bucket_limit = bucket_limit(layout.packets, period_ns)
        even = round(layout.packets * RUN_NS / (period_ns * ACTIVE_SHARE))
        self._frame = PacketFrame(layout, run_packets=max(1, min(even, int(self.bucket_limit * RUN_SHARE))))
        self._cuts = {run.size: run.size.to_bytes(2, sys.byteorder) for run in self._frame.runs}
        self._rows = max(1, PIECE_PX // form.width_px)
        self._picture: NDArray[Any] | None = None
        self._intact: Callable[[], bool] = _always
        self._packed_rows = 0
        self._packed = form.octets
        self._next = len(self._frame.runs)
        self._start_ns = self._spread_ns = self._last_ns = self._end_ns = 0
        self._drain_per_ns = layout.packets * DRAIN / period_ns
        self._level = 0.0
        self.lead_ns = 0
        """So long before its time a run is handed to the kernel, which holds it; 0: it leaves at once."""
        self.sent = FrameSent()
        self.counts: list[PathCount] = []
        self._sockets: list[socket.socket] = []
        self.send_to(paths)

    @property
    def busy(self) -> bool:
        """Whether packets of the picture that was begun have not left."""
        return self._next < len(self._frame.runs)

    def send_to(self, paths: Sequence[Path]) -> None:
        """Send over these from the next packet on. Raises OSError; then the paths stay as they were."""
        made: list[socket.socket] = []
        held = bool(paths) and all(self._holds_packets(path) for path in paths)
        try:
            made.extend(opened(path, self._ttl) for path in paths)
            for one in made if held else ():
                one.setsockopt(socket.SOL_SOCKET, _SO_TXTIME, _TXTIME)
        except OSError:
            for one in made:
                one.close()
            raise
        self.close()
        a_run_ns = int(self.period_ns * ACTIVE_SHARE) // len(self._frame.runs)
        self.lead_ns = min(LEAD_NS, HELD_RUNS * a_run_ns) if held else 0
        self._sockets, self.counts = made, [PathCount(one.getsockname()[1]) for one in made]

    def begin(
        self,
        picture: NDArray[Any] | None,
        *,
        start_ns: int,
        tai_ns: int,
        sequence: int,
        end_ns: int = 0,
        intact: Callable[[], bool] | None = None,
    ) -> None:
        """Begin a picture: its first packet at `start_ns`, its last before `end_ns` (0: before the period is over).

        picture : a canvas (`octets_of`); None sends the one before again. It is read until all of it is packed;
            `intact` tells whether what was read so far was the picture. tai_ns : the time its label says; sequence :
            of its first packet.
        """
        self._picture, self._intact = picture, intact or _always
        if picture is not None:
            self._packed_rows = self._packed = 0
        self._frame.stamp(first_sequence=sequence, timestamp=rtp_timestamp(tai_ns), ssrc=self._ssrc)
        self._next, self._start_ns = 0, start_ns
        spread_ns = int(self.period_ns * ACTIVE_SHARE)
        self._spread_ns = min(spread_ns, max(end_ns - start_ns, spread_ns // 4)) if end_ns else spread_ns
        self._end_ns = end_ns or start_ns + int(self.period_ns * END_SHARE)
        self.sent = FrameSent(self.packets)

    def step(self, now_ns: int) -> int | None:
        """Send what is due, pack what comes next; when the next run is due, None once all have left. Never raises for
        what the network does."""
        runs = self._frame.runs
        while self._next < len(runs):
            run = runs[self._next]
            due_ns = self._start_ns + self._spread_ns * run.first // self.packets
            if self._packed < run.end:
                self._pack()
                now_ns = self._now_ns()
                continue
            leaves_ns = max(due_ns, now_ns)
            leaves_ns += self._crowded_ns(run, leaves_ns)
            if now_ns < leaves_ns - self.lead_ns:
                if self._picture is None:
                    return leaves_ns - self.lead_ns
                # Others' runs go before more rows.
                self._pack()
                return min(leaves_ns - self.lead_ns, self._now_ns())
            self._leave(run, leaves_ns, due_ns)
            self._next += 1
            now_ns = self._now_ns()
        self.sent.took_ns = max(now_ns, self._last_ns) - self._start_ns
        return None

    def close(self) -> None:
        """Let the sockets go."""
        for path in self._sockets:
            path.close()
        self._sockets = []

    def _pack(self) -> None:
        """The next rows, if they are still the picture's."""
        picture, rows = self._picture, self._packed_rows
        assert picture is not None
        end = min(rows + self._rows, self.form.height_px)
        octets = self.form.row_octets
        octets_of(picture[rows:end], self.form, self._frame.octets[rows * octets : end * octets], self.coding)
        if not self._intact():
            self.sent.torn = True
            end = self.form.height_px
        self._packed_rows, self._packed = end, end * octets
        if end == self.form.height_px:
            self._picture = None

    def _crowded_ns(self, run: Run, now_ns: int) -> int:
        """How long a run must wait for those before it, so that receivers' buffers hold; 0 if it may leave, or must."""
        over = self._level - (now_ns - self._last_ns) * self._drain_per_ns + run.count - self.bucket_limit
        if over <= 0.0:
            return 0
        # The rest at the fastest pace that is allowed: later than that, the picture would not be out in its time.
        rest_ns = int((self.packets - run.first) / self._drain_per_ns)
        return min(int(over / self._drain_per_ns) + 1, max(0, self._end_ns - rest_ns - now_ns))

    def _leave(self, run: Run, leaves_ns: int, due_ns: int) -> None:
        sent = self.sent
        sent.late_most_ns = max(sent.late_most_ns, leaves_ns - due_ns)
        self._level = max(0.0, self._level - (leaves_ns - self._last_ns) * self._drain_per_ns) + run.count
        self._last_ns = leaves_ns
        sent.bucket = max(sent.bucket, round(self._level))
        for path, counted in zip(self._sockets, self.counts, strict=True):
            self._run(path, counted, run, leaves_ns)

    def _run(self, path: socket.socket, counted: PathCount, run: Run, leaves_ns: int) -> None:
        told: list[tuple[int, int, bytes]] = []
        if run.count > 1:
            told.append((socket.IPPROTO_UDP, _UDP_SEGMENT, self._cuts[run.size]))
        if self.lead_ns:
            told.append((socket.SOL_SOCKET, _SO_TXTIME, leaves_ns.to_bytes(8, sys.byteorder)))
        for _ in range(2):
            try:
                path.sendmsg(run.stretches, told)
            except ConnectionRefusedError:
                # It is told of packets before, for which nobody listened there; these have not left yet.
                counted.refused += 1
            except OSError:
                self._one_by_one(path, counted, run)
                return
            else:
                counted.packets += run.count
                return

    def _one_by_one(self, path: socket.socket, counted: PathCount, run: Run) -> None:
        """Where the kernel does not cut, or refuses: what can be sent is sent, what cannot is counted."""
        if run.count == 1:
            counted.refused += 1
            return
        # So many by themselves are more than a queue holds.
        self.lead_ns = 0
        for index in range(0, len(run.stretches), 2):
            try:
                path.sendmsg(run.stretches[index : index + 2])
            except OSError:
                counted.refused += 1
            else:
                counted.packets += 1


def _always() -> bool:
    return True


def opened(path: Path, ttl: int) -> socket.socket:
    """A socket that sends one way. Raises OSError: no such source here, or no route."""
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        out.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        out.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _DSCP_EF)
        out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
        out.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(path.source))
        # Two streams may leave from one port, as receivers tell them apart by where they go.
        out.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        out.bind((path.source, path.source_port))
        out.connect((path.destination, path.port))
    except OSError:
        out.close()
        raise
    return out
