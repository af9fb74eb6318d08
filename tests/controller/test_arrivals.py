"""What samples took from the kernel's stamp into their history, and what of it is the wait for the latch."""

from __future__ import annotations

from typing import Any

import pytest

from controller.arrivals import Arrivals
from runtime.clock import NS_PER_MS

LATCH_NS = 1_000 * NS_PER_MS
DEAF_NS = LATCH_NS - 2 * NS_PER_MS


def sample(received_ns: int, source: str = "tracker", packet_id: int = 7) -> Any:
    return type("S", (), {"source": source, "packet_id": packet_id, "t_received_ns": received_ns})()


def plan_of(*cameras: tuple[str, int]) -> Any:
    made = [type("C", (), {"source": source, "packet_id": packet_id})() for source, packet_id in cameras]
    return type("P", (), {"cameras": made})()


def took_ns(sample_: Any, *, began_ns: int, joined_ns: int, latch: bool = False, practising: bool = False) -> int:
    arrivals = Arrivals(16)
    arrivals.joined(
        [sample_], began_ns=began_ns, joined_ns=joined_ns, deaf_from_ns=DEAF_NS, latch=latch, practising=practising
    )
    return arrivals.slowest_ns(plan_of(("tracker", 7)))


def test_samples_that_came_while_it_listened_count_their_way_into_the_history() -> None:
    now_ns = LATCH_NS - 20 * NS_PER_MS
    assert took_ns(sample(now_ns - 3 * NS_PER_MS), began_ns=now_ns, joined_ns=now_ns) == 3 * NS_PER_MS
    late = sample(DEAF_NS + 1)
    assert took_ns(late, began_ns=LATCH_NS, joined_ns=LATCH_NS, latch=True) == 0, "it waited for the latch"
    read_ns = LATCH_NS - NS_PER_MS
    practised_ns = took_ns(late, began_ns=read_ns, joined_ns=LATCH_NS, practising=True)
    assert practised_ns == NS_PER_MS, "it waited for the practice, and then was read"
    early = sample(DEAF_NS - NS_PER_MS)
    assert took_ns(early, began_ns=LATCH_NS, joined_ns=LATCH_NS, latch=True) == LATCH_NS - DEAF_NS + NS_PER_MS, (
        "this one it should have seen"
    )


def test_the_plan_is_as_slow_as_the_slowest_of_the_samples_it_is_made_from() -> None:
    arrivals = Arrivals(16)
    for source, packet_id, ms in (("a", 1, 5), ("b", 2, 3), ("c", 3, 9)):
        now_ns = LATCH_NS - 100 * NS_PER_MS
        came = sample(now_ns - ms * NS_PER_MS, source, packet_id)
        arrivals.joined([came], began_ns=now_ns, joined_ns=now_ns, deaf_from_ns=DEAF_NS, latch=False, practising=False)
    assert arrivals.slowest_ns(plan_of(("a", 1), ("b", 2))) == 5 * NS_PER_MS
    assert arrivals.slowest_ns(plan_of(("c", 2))) == 0, "another sample than the one that was measured"
    assert arrivals.slowest_ns(plan_of()) == 0
    assert arrivals.history_ms.percentiles().max == pytest.approx(9.0)
