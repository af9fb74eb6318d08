"""Puts pictures together again from one path or two: for tests, for checking a network, and for seeing what is sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from controller.st2110.rfc4175 import VideoForm, parse

KEPT = 4
"""Pictures that may be incomplete at a time: paths differ by less."""


@dataclass(slots=True)
class Picture:
    """One picture being put together."""

    timestamp: int
    octets: NDArray[np.uint8]
    sequences: set[int] = field(default_factory=set)
    last_sequence: int | None = None
    """Of the packet with the marker."""

    def whole(self, packets: int) -> bool:
        """Whether every packet has come."""
        return len(self.sequences) == packets


class Receiver:
    """Merges packets of all paths by their 32-bit sequence (ST 2022-7).

    Attributes
    ----------
    pictures, torn : whole pictures given, and those given up; duplicates : packets that had come already.
    """

    def __init__(self, form: VideoForm, packets: int) -> None:
        """`packets` a picture, as the layout says."""
        self._form, self._packets = form, packets
        self._open: dict[int, Picture] = {}
        self._done: list[int] = []
        self.pictures = self.torn = self.duplicates = self.strange = 0

    def take(self, packets: Iterable[bytes]) -> list[Picture]:
        """Take packets in any order; the pictures they complete."""
        out: list[Picture] = []
        for packet in packets:
            parsed = parse(packet)
            if parsed is None:
                self.strange += 1
                continue
            if parsed.timestamp in self._done:
                self.duplicates += 1
                continue
            picture = self._open.get(parsed.timestamp)
            if picture is None:
                picture = self._open[parsed.timestamp] = Picture(
                    parsed.timestamp, np.zeros(self._form.octets, np.uint8)
                )
                while len(self._open) > KEPT:
                    self._give_up(next(iter(self._open)))
            if parsed.sequence in picture.sequences:
                self.duplicates += 1
                continue
            picture.sequences.add(parsed.sequence)
            octets, pixels = self._form.group
            for row, offset_px, data in parsed.segments:
                at = row * self._form.row_octets + offset_px // pixels * octets
                if at + len(data) <= picture.octets.size:
                    picture.octets[at : at + len(data)] = np.frombuffer(data, np.uint8)
            if parsed.marker:
                picture.last_sequence = parsed.sequence
            if picture.whole(self._packets):
                del self._open[parsed.timestamp]
                self._done = [*self._done[-KEPT:], parsed.timestamp]
                self.pictures += 1
                out.append(picture)
        return out

    def _give_up(self, timestamp: int) -> None:
        del self._open[timestamp]
        self.torn += 1
