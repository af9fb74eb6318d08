"""Datagrams taken in together end where they would have, one after the other."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.clock import NS_PER_S
from tracking.config import Source
from tracking.intake import take, take_all
from tracking.mapping import mapping_of
from tracking.protocols.freed import FreeDPacket
from tracking.receivers import Arrival
from tracking.sample import Sample
from tracking.stream import Link, fresh_stream, link_of

BEGIN_NS = 10 * NS_PER_S
RUBBISH = b"\xd1 rubbish"


def link(**more: Any) -> Link:
    source = Source.model_validate(
        {"protocol": "freed", "listen": "127.0.0.1:40000", "camera": "a", "camera_id": 1, **more}
    )
    return link_of(source.link, [fresh_stream("t", source, mapping_of("t", source), BEGIN_NS)], None, None)


STEPS_NS = (0, 1_000_000, 4_166_667, 20_000_000, 700_000_000)
READ = st.lists(
    st.lists(st.tuples(st.sampled_from("ppppppprco"), st.sampled_from(STEPS_NS)), min_size=1, max_size=8), max_size=8
)


def batches(read: list[list[tuple[str, int]]]) -> list[list[Arrival]]:
    """What is read at once, again and again: mostly one sender, now and then another one, another camera, rubbish."""
    now_ns, n, out = BEGIN_NS, 0, []
    for kinds in read:
        batch = []
        for kind, step_ns in kinds:
            now_ns += step_ns
            n += 1
            data = bytes(FreeDPacket(2 if kind == "c" else 1, 300 * n, 0, 0, 640 * n, 0, 96_000))
            port = 5001 if kind == "o" else 5000
            batch.append(Arrival(RUBBISH if kind == "r" else data, "10.0.0.5", port, now_ns))
        out.append(batch)
    return out


@settings(max_examples=30)
@given(read=READ, rate_limit_hz=st.sampled_from([1000, 40, 2]), allow=st.sampled_from([[], ["10.0.0.5"]]))
def test_together_as_one_by_one(read: list[list[tuple[str, int]]], rate_limit_hz: int, allow: list[str]) -> None:
    together, alone = (link(rate_limit_hz=rate_limit_hz, allow=allow) for _ in range(2))
    samples: tuple[list[Sample], list[Sample]] = [], []
    for batch in batches(read):
        take_all(together, batch, samples[0])
        for arrival in batch:
            take(alone, arrival, samples[1])
    first, second = ([(s.packet_id, s.t_sampled_ns, s.t_received_ns) for s in found] for found in samples)
    assert first == second
    (a,), (b,) = together.sources, alone.sources
    assert (a.refused, a.packets, a.samples) == (b.refused, b.packets, b.samples)
    assert (together.refused, together.datagrams, together.unread) == (alone.refused, alone.datagrams, alone.unread)
    assert (a.lock.holder, a.lock.rival, a.lock._heard_ns) == (b.lock.holder, b.lock.rival, b.lock._heard_ns)
    assert (a.health.state, a.health.reason) == (b.health.state, b.health.reason)
    assert together.cap._buckets == alone.cap._buckets
