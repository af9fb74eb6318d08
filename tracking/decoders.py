"""Which decoder reads a source's datagrams: a pure function, or an assembler with a memory for each sender."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from tracking.config import Source
from tracking.protocols import (
    cooke,
    freed,
    live_link,
    mosys_f4,
    natnet,
    opentrackio,
    osc,
    osc_mapping,
    psn,
    rttrpm,
    stype,
    vmc,
    zmq_pose,
)  # fmt: skip
from tracking.sample import LensReading, Refusal, Sample, Stamp

if TYPE_CHECKING:
    from tracking.mapping import Mapping


class Packet(Protocol):
    """What every protocol's packets can do."""

    @property
    def t_source_ns(self) -> int | None:
        """The sender's own time of the sample, ns of any epoch; None: it does not say."""

    def is_for(self, mapping: Mapping) -> bool:
        """Whether it is meant for the source."""

    def samples(self, mapping: Mapping, stamp: Stamp) -> list[Sample | LensReading | Refusal]:
        """What it says, in stage units."""


class Assembler(Protocol):
    """State of one sender: segments, names, counters. No clock."""

    def feed(self, datagram: bytes) -> Sequence[Packet | Refusal]:
        """What a datagram completes. Never raises."""


class Joiner(Protocol):
    """State of one source whose packets are parts of a pose. No clock."""

    def feed(self, packet: Any, mapping: Mapping, stamp: Stamp) -> list[Sample | LensReading | Refusal]:
        """What a packet of the source's own protocol completes."""


Parse = Callable[[bytes], Sequence[Packet | Refusal]]


def parser_of(source: Source) -> Parse | None:
    """The decoder of a source's datagrams; None: its senders need an assembler each."""
    if source.protocol == "freed" and not source.freed.stream and source.serial_line is None:
        checksum = source.checksum
        return lambda data: freed.parse(data, checksum=checksum)
    if source.protocol == "osc":
        return osc.parse
    if source.protocol == "zmq":
        return zmq_pose.parse
    if source.protocol == "live_link":
        return live_link.parse
    return None


def joiner_of(mapping: Mapping) -> Joiner | None:
    """A fresh joiner for a source; None: each of its packets is whole by itself."""
    if mapping.osc is not None and mapping.osc.complete != "message":
        return osc_mapping.Joiner()
    return None


def assembler_of(source: Source) -> Assembler:
    """A fresh assembler for one sender to a source.

    Raises
    ------
    KeyError : the protocol needs none; `parser_of` has its decoder.
    """
    return _ASSEMBLERS[source.protocol](source)


_ASSEMBLERS: dict[str, Callable[[Source], Assembler]] = {
    "cooke": lambda _source: cooke.Assembler(),
    "freed": lambda source: freed.StreamReader(checksum=source.checksum),
    "mosys_f4": lambda source: mosys_f4.Assembler(checksum=source.checksum),
    "natnet": lambda _source: natnet.Assembler(),
    "opentrackio": lambda _source: opentrackio.Assembler(),
    "psn": lambda _source: psn.Assembler(),
    "rttrpm": lambda source: rttrpm.Assembler(timestamp_hz=source.rttrpm.timestamp_hz),
    "stype": lambda source: stype.Assembler(rate=source.stype.packet_rate, checksum=source.checksum),
    "vmc": lambda _source: vmc.Assembler(),
}
