"""What every tracking socket received, handed on in batches while the show runs: datagrams with their kernel stamps.

The conductor writes the batches into a ring when it has time; the recorder reads them. Nothing here waits for anybody:
a batch that nobody takes is overwritten, and counted by its reader.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

if TYPE_CHECKING:  # the recorder reads batches without numpy
    from tracking.receivers import Arrival

BATCH_BYTES: Final = 48_000
"""A batch is handed on when it has grown to so much; the largest datagram still fits beside it."""
BATCH_NS: Final = 5_000_000
"""... or its first datagram is so old."""
OVERHEAD: Final = 64
"""Bytes a datagram's stamps take in a batch, at most."""


class LinkInfo(Struct, frozen=True, array_like=True):
    """One socket that tracking comes through."""

    listen: str
    """Address as configured."""
    protocol: str
    sources: tuple[str, ...]
    """Sources that share it."""


class Datagram(Struct, frozen=True, array_like=True, gc=False):
    """One datagram as it came."""

    link: int
    """Which of the batch's (or the recording's) links."""
    t_received_ns: int
    host: str
    port: int
    data: bytes


class Batch(Struct, frozen=True, array_like=True):
    """What came within a few milliseconds, in the order it was read."""

    links: tuple[LinkInfo, ...]
    datagrams: tuple[Datagram, ...]


def encode_batch(batch: Batch) -> bytes:
    """The batch as msgpack."""
    return msgspec.msgpack.encode(batch)


_DECODER: Final = msgspec.msgpack.Decoder(Batch)


def decode_batch(data: bytes | memoryview) -> Batch:
    """The batch of `encode_batch`'s bytes. Raises msgspec.MsgspecError when they are none."""
    return _DECODER.decode(data)


class Tap:
    """Collects what sockets receive until it is handed on.

    publish : called with each batch's bytes, at most about BATCH_BYTES plus one datagram.
    """

    def __init__(self, publish: Callable[[bytes], object]) -> None:
        self._publish = publish
        self._links: dict[LinkInfo, int] = {}
        self._numbers: dict[int, int] = {}
        self._named: list[LinkInfo] = []
        """Keeps what is known by its identity alive."""
        self._datagrams: list[Datagram] = []
        self._bytes = 0
        self._since_ns = 0

    def take(self, link: LinkInfo, arrivals: Sequence[Arrival]) -> None:
        """What one socket received."""
        # By identity first: links are long, and come again and again.
        number = self._numbers.get(id(link))
        if number is None:
            number = self._numbers[id(link)] = self._links.setdefault(link, len(self._links))
            self._named.append(link)
        if not self._datagrams and arrivals:
            self._since_ns = arrivals[0].t_received_ns
        add = self._datagrams.append
        for arrival in arrivals:
            if self._bytes >= BATCH_BYTES:
                self.flush()
                number = self._links[link] = self._numbers[id(link)] = 0
                self._named.append(link)
                add = self._datagrams.append
            add(Datagram(number, arrival.t_received_ns, arrival.host, arrival.port, arrival.data))
            self._bytes += len(arrival.data) + OVERHEAD

    def flush(self, now_ns: int | None = None) -> None:
        """Hand on what has come; with `now_ns` only when it has waited long enough."""
        if not self._datagrams:
            return
        if now_ns is not None and now_ns - self._since_ns < BATCH_NS:
            return
        batch = Batch(tuple(self._links), tuple(self._datagrams))
        self._links, self._datagrams, self._bytes = {}, [], 0
        self._numbers, self._named = {}, []
        self._publish(encode_batch(batch))
