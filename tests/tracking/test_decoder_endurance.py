"""Seconds of mutated datagrams through every decoder as the inputs use them: nothing raises, nothing grows, nothing
takes long. Two seconds a decoder by default, a minute with `--all`."""

from __future__ import annotations

import gc
import struct
import sys
from collections.abc import Callable
from random import Random
from time import perf_counter, thread_time_ns
from typing import Any, get_args

import msgspec
import pytest

from stage.rate import Rate
from tracking.config import ProtocolName, Source
from tracking.decoders import assembler_of, parser_of
from tracking.encoders import PROTOCOLS, encoder
from tracking.mapping import mapping_of
from tracking.moves import move
from tracking.protocols import cooke
from tracking.protocols.opentrackio import Segment
from tracking.sample import LensReading, Refusal, Sample, Stamp
from tracking.sender import capture
from tracking.wire_encoders import cooke_record

MS = 1_000_000
T0_NS = 1_700_000_000_000_000_000
LENS = LensReading(focal_length_mm=35.0, focus_distance_m=2.5, entrance_pupil_m=0.1, f_stop=2.8)
MAX_BLOCKS = 20_000
"""A decoder may remember so much of a sender: names, the last static block, a few counters."""


def seeds_of(protocol: str) -> list[bytes]:
    """Good datagrams of a protocol, of every kind that its simulated trackers send."""
    if protocol == "cooke":
        # A lens sends no poses: its records, in full and in words, and what it says of itself.
        record = bytes(cooke_record(LENS))
        words = b"D0001021T0195t1.4+8Z0000H0290024N0001018F0001024V006.8E+098z0000S5/100-009"
        fixed = b"NS5/100-009OCooke Optics Electronic Lenses!LZN025M250UBt92  B5.03"
        return [record, record + record, words + cooke.END, fixed + cooke.END, record[20:] + record[:20]]
    out: list[bytes] = []
    for name in PROTOCOLS:
        if name == protocol or (name.startswith(f"{protocol}_") and name not in get_args(ProtocolName)):
            for datagrams in capture(move("handheld").pose, encoder(name, rate=Rate(50)), Rate(50), 4, t0_ns=T0_NS):
                out.extend(datagrams)
    return out or [b"\0"]


def remade(protocol: str, data: bytearray) -> None:
    """Puts a checksum right, so that what lies behind it is reached."""
    if protocol in ("freed", "mosys_f4") and data:
        data[-1] = (0x40 - sum(data[:-1])) & 0xFF
    elif protocol == "stype" and data:
        data[-1] = sum(data[:-1]) & 0xFF
    elif protocol == "opentrackio" and len(data) > 16:
        encoding, sequence, offset, length = data[5], *struct.unpack_from(">HIH", data, 6)
        segment = Segment(encoding, sequence, offset, bool(length & 0x8000), bytes(data[16:]))
        data[:] = bytes(segment)


def mutated(protocol: str, seeds: list[bytes], chance: Random) -> bytes:
    """A seed with bytes changed, taken out, doubled, or joined with another."""
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.randint(0, 6)):
        kind = chance.randrange(6)
        at = chance.randrange(len(data)) if data else 0
        if kind <= 1 and data:
            data[at] = chance.choice((chance.randrange(256), 0, 0xFF, 0x7F, 0x80))
        elif kind == 2:
            del data[at : at + chance.randint(1, 8)]
        elif kind == 3:
            data[at:at] = data[at : at + chance.randint(1, 40)]
        elif kind == 4:
            data += chance.choice(seeds)
        else:
            data[at:at] = chance.randbytes(chance.randint(1, 12))
    if chance.random() < 0.7:
        remade(protocol, data)
    return bytes(data[:16_000])


def reader_of(protocol: str) -> Callable[[bytes], int]:
    """Decodes a datagram as the inputs do, makes samples of it, and tells how many."""
    listen = "tcp://127.0.0.1:5556" if protocol == "zmq" else "127.0.0.1:40000"
    extra: dict[str, Any] = {"rttrpm": {"timestamp_hz": 100.0}, "stype": {"rate": "50"}}
    source = Source.model_validate({"protocol": protocol, "listen": listen, "camera": "a", **extra})
    mapping = mapping_of("t", source, picture_mm=(36.0, 20.25))
    parse = parser_of(source)
    assembler = None if parse is not None else assembler_of(source)

    def read(datagram: bytes) -> int:
        items = parse(datagram) if parse is not None else assembler.feed(datagram)  # type: ignore[union-attr]
        count = 0
        for item in items:
            if not isinstance(item, Refusal) and item.is_for(mapping):
                made = item.samples(mapping, Stamp())
                assert all(isinstance(m, Sample | LensReading | Refusal) for m in made)
                count += len(made)
        return count

    return read


def endure(protocol: str, seconds_s: float) -> None:
    chance, seeds, read = Random(protocol), seeds_of(protocol), reader_of(protocol)
    end = perf_counter() + seconds_s
    warm = perf_counter() + seconds_s / 4
    blocks, n, made, worst_ns, worst = 0, 0, 0, 0, b""
    while (now := perf_counter()) < end:
        if not blocks and now > warm:
            gc.collect()
            blocks = sys.getallocatedblocks()
        for _ in range(50):
            data = mutated(protocol, seeds, chance)
            begin = thread_time_ns()
            made += read(data)
            took = thread_time_ns() - begin
            if took > worst_ns:
                worst_ns, worst = took, data
            n += 1
    gc.collect()
    grown = sys.getallocatedblocks() - blocks
    assert n > 100
    assert made > 0, "no mutated datagram made a sample: the fuzz does not reach far"
    assert grown < MAX_BLOCKS, f"{grown} blocks in {n} datagrams"
    # The slowest again, on its own: a collection or the scheduler may have been to blame.
    again = reader_of(protocol)
    for _ in range(5):
        begin = thread_time_ns()
        again(worst)
        worst_ns = min(worst_ns, thread_time_ns() - begin)
    assert worst_ns <= MS, f"{worst_ns / MS:.2f} ms for {worst.hex()}"


@pytest.mark.parametrize("protocol", get_args(ProtocolName))
def test_two_seconds(protocol: str) -> None:
    endure(protocol, 2.0)


@pytest.mark.slow
@pytest.mark.parametrize("protocol", get_args(ProtocolName))
def test_a_minute(protocol: str) -> None:
    endure(protocol, 60.0)


def test_a_fault_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fuzz fails for a decoder that raises."""

    def broken(_: bytes, **__: object) -> list[object]:
        raise msgspec.DecodeError

    monkeypatch.setattr("tracking.protocols.freed.parse", broken)
    with pytest.raises(msgspec.DecodeError):
        endure("freed", 0.2)
