"""No bytes make a decoder raise: random, and mutated from good datagrams, for every protocol."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage.rate import Rate
from tracking.config import Source
from tracking.encoders import encoder
from tracking.mapping import mapping_of
from tracking.moves import move
from tracking.protocols import freed, live_link, mosys_f4, natnet, opentrackio, osc, psn, rttrpm, stype, vmc, zmq_pose
from tracking.protocols.opentrackio import Assembler, Segment
from tracking.sample import LensReading, Refusal, Sample, Stamp
from tracking.sender import capture

PARSERS: dict[str, Callable[[bytes], Sequence[object]]] = {
    "freed": freed.parse,
    "osc": osc.parse,
    "osc_bundle": osc.parse,
    "zmq": zmq_pose.parse,
    "zmq_msgpack": zmq_pose.parse,
    "opentrackio": opentrackio.parse,
    "opentrackio_cbor": opentrackio.parse,
    "mosys_f4": mosys_f4.parse,
    "stype": stype.parse,
    "stype_a5": stype.parse,
    "psn": psn.parse,
    "rttrpm": rttrpm.parse,
    "live_link": live_link.parse,
    "natnet": natnet.parse,
    "vmc": vmc.parse,
}
GOOD = {
    name: capture(move("handheld").pose, encoder(name), Rate(25), 1, t0_ns=1_700_000_000_000_000_000)[0][-1]
    for name in PARSERS
}


def protocol_of(name: str) -> str:
    for family in ("osc", "zmq", "opentrackio", "stype"):
        if name.startswith(f"{family}_"):
            return family
    return name


MAPPINGS = {
    name: mapping_of(
        "t",
        Source.model_validate(
            {
                "protocol": protocol_of(name),
                "listen": "tcp://127.0.0.1:5556" if name.startswith("zmq") else "127.0.0.1:40000",
                "camera": "a",
            }
        ),
        picture_mm=(36.0, 20.25),
    )
    for name in PARSERS
}


def check(name: str, datagram: bytes) -> None:
    """Parse, and make samples of whatever came out: nothing may raise, and bytes give it back."""
    for item in PARSERS[name](datagram):
        if isinstance(item, Refusal | Segment | psn.PsnInfo):
            continue
        assert isinstance(bytes(item), bytes)  # type: ignore[call-overload]
        if isinstance(item, natnet.ServerInfo | natnet.ModelDefinitions | natnet.Echo | natnet.Message):
            assert bytes(item) == datagram
            continue
        for sample in item.samples(MAPPINGS[name], Stamp()):  # type: ignore[attr-defined]
            assert isinstance(sample, Sample | LensReading | Refusal)


@pytest.mark.parametrize("name", PARSERS)
def test_good_datagrams_give_a_sample(name: str) -> None:
    (item,) = PARSERS[name](GOOD[name])
    (sample,) = item.samples(MAPPINGS[name], Stamp())  # type: ignore[attr-defined]
    assert isinstance(sample, Sample)


@pytest.mark.parametrize("name", PARSERS)
@given(data=st.binary(max_size=200))
def test_random_bytes(name: str, data: bytes) -> None:
    check(name, data)
    head = {"osc": b"/a\0\0,", "osc_bundle": b"#bundle\0", "freed": b"\xd1\x01"}.get(name)
    if head is not None:
        check(name, head + data)


@pytest.mark.parametrize("name", PARSERS)
@given(edits=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=8),
       cut=st.integers(0, 40), grow=st.binary(max_size=16))  # fmt: skip
def test_mutated_datagrams(name: str, edits: list[tuple[int, int]], cut: int, grow: bytes) -> None:
    data = bytearray(GOOD[name])
    for at, value in edits:
        data[at % len(data)] = value
    check(name, bytes(data[: len(data) - cut] + grow))


@given(payload=st.binary(max_size=120), encoding=st.sampled_from([1, 2]))
def test_opentrackio_payloads_behind_a_right_checksum(payload: bytes, encoding: int) -> None:
    check("opentrackio", bytes(Segment(encoding, 0, 0, True, payload)))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
KEYS = ["transforms", "lens", "timing", "static", "protocol", "tracker", "sourceId", "sourceNumber", "globalStage"]


@given(st.dictionaries(st.sampled_from(KEYS), json_values))
def test_opentrackio_trees_of_wrong_types(tree: dict[str, object]) -> None:
    check("opentrackio", bytes(Segment(1, 0, 0, True, msgspec.json.encode(tree))))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4), st.booleans(), st.binary(max_size=6)), max_size=30))
def test_assembler_takes_any_order_of_segments(segments: list[tuple[int, int, bool, bytes]]) -> None:
    assembler = Assembler()
    for sequence, offset, last, payload in segments:
        for item in assembler.feed(bytes(Segment(1, sequence, offset, last, payload))):
            assert isinstance(item, Refusal | opentrackio.OpenTrackIOPacket)


@given(st.binary(max_size=64), st.integers(-8, 80))
def test_osc_bundle_sizes(data: bytes, size: int) -> None:
    check("osc", b"#bundle\0" + struct.pack(">Qi", 1, size) + data)


@given(st.binary(max_size=200), st.sampled_from([1, 5, 7, 12, 13]))
def test_natnet_bodies_behind_a_right_length(body: bytes, number: int) -> None:
    check("natnet", struct.pack("<HH", number, len(body)) + body)


@given(st.lists(st.binary(max_size=60), max_size=8), st.lists(st.integers(0, 3), max_size=9), st.booleans())
def test_natnet_frames_of_any_sections(data: list[bytes], counts: list[int], sized: bool) -> None:
    body = struct.pack("<i", 1)
    for part, count in zip(data, counts, strict=False):
        body += struct.pack("<ii", count, len(part)) + part if sized else struct.pack("<i", count) + part
    for tail in (bytes(50), bytes(54), bytes(46), b""):
        check("natnet", struct.pack("<HH", 7, len(body + tail)) + body + tail)
