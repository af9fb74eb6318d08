"""One picture's packets in memory, as its layout cuts them, in runs that one call hands to the network.

Headers lie beside each other and octets behind each other; a run is a list of stretches of both. The kernel (or the
card) cuts a run into datagrams of one length, so a run ends where packets change theirs: only its last may be shorter.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from controller.st2110.rfc4175 import PacketLayout, Packing, VideoForm, packet_layout

RUN_OCTETS: Final = 65_000
"""What a datagram may have before it is cut."""
RUN_PACKETS: Final = 44


_JUDGED_RUN: Final = 6
"""Packets of a run, about, of 1080p25; what is saved hardly depends on it."""
_CHOICES: Final[tuple[Packing, Packing]] = ("rows", "general")
_SAVED: Final = 1.5
"""Equal parts of rows take up to a third more packets: they must save as many calls as to be worth it."""


@dataclass(frozen=True, slots=True)
class Run:
    """Packets that leave together."""

    first: int
    count: int
    size: int
    """Octets of each packet but the last, which may have fewer."""
    end: int
    """First octet of the picture after it."""
    stretches: tuple[memoryview, ...]
    """Header, octets, header, octets ..."""


class PacketFrame:
    """The packets of one picture.

    Attributes
    ----------
    octets : uint8 [octets of a picture], to be filled; runs : in order.
    """

    def __init__(self, layout: PacketLayout, *, run_packets: int = RUN_PACKETS) -> None:
        """run_packets : most packets of a run."""
        self.layout = layout
        self.octets: NDArray[np.uint8] = np.zeros(layout.form.octets, np.uint8)
        longest = max(map(len, layout.headers))
        self._headers = np.zeros((layout.packets, longest), np.uint8)
        for row, header in zip(self._headers, layout.headers, strict=True):
            row[: len(header)] = np.frombuffer(header, np.uint8)
        self._numbers = np.arange(layout.packets, dtype=np.uint64)
        self.runs = tuple(self._runs(min(run_packets, RUN_PACKETS)))

    def stamp(self, *, first_sequence: int, timestamp: int, ssrc: int) -> None:
        """Number and label every packet. `first_sequence` counts packets over all frames, 32 bits of it are sent."""
        sequence = (self._numbers + np.uint64(first_sequence & 0xFFFFFFFF)).astype(">u8").view(np.uint8).reshape(-1, 8)
        self._headers[:, 12:14], self._headers[:, 2:4] = sequence[:, 4:6], sequence[:, 6:8]
        label = struct.pack(">II", timestamp & 0xFFFFFFFF, ssrc & 0xFFFFFFFF)
        self._headers[:, 4:12] = np.frombuffer(label, np.uint8)

    def packet(self, index: int) -> bytes:
        """One packet, as it leaves."""
        header, (begin, end) = self.layout.headers[index], self.layout.ranges[index]
        return self._headers[index, : len(header)].tobytes() + self.octets[begin:end].tobytes()

    def _runs(self, run_packets: int) -> list[Run]:
        ranges = self.layout.ranges
        heads = [len(header) for header in self.layout.headers]
        sizes = [head + end - begin for head, (begin, end) in zip(heads, ranges, strict=True)]
        headers, octets = self._headers.data.cast("B"), self.octets.data
        stride = self._headers.shape[1]
        runs: list[Run] = []
        first = 0
        while first < len(sizes):
            size, after, total = sizes[first], first + 1, sizes[first]
            while after < len(sizes) and after - first < run_packets and total + size <= RUN_OCTETS:
                if sizes[after - 1] != size or sizes[after] > size:
                    break
                total += sizes[after]
                after += 1
            stretches: list[memoryview] = []
            for index in range(first, after):
                begin, end = ranges[index]
                stretches += (headers[index * stride : index * stride + heads[index]], octets[begin:end])
            runs.append(Run(first, after - first, size, ranges[after - 1][1], tuple(stretches)))
            first = after
        return runs


@cache
def chosen_packing(form: VideoForm, wanted: Packing | Literal["auto"]) -> Packing:
    """What `auto` means for a form: full packets, unless their changing lengths cut runs short (RGB and 4:2:2 of 10
    bits) and equal parts of rows leave in two thirds of the calls."""
    if wanted != "auto":
        return wanted
    rows, general = (
        len(PacketFrame(packet_layout(form, packing=packing), run_packets=_JUDGED_RUN).runs) for packing in _CHOICES
    )
    return "rows" if rows * _SAVED <= general else "general"
