"""How much one client may ask for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controller.access.pace import MOST_CLIENTS, Paces
from runtime.clock import NS_PER_S


def test_a_burst_then_a_steady_pace() -> None:
    paces = Paces(pace_hz=10.0, burst=5.0)
    assert [paces.wait_s("a", 0) for _ in range(5)] == [0.0] * 5
    assert paces.wait_s("a", 0) == 0.1
    assert paces.wait_s("b", 0) == 0.0, "nobody pays for another"
    assert paces.wait_s("a", NS_PER_S // 10) == 0.0
    assert paces.wait_s("a", NS_PER_S // 10) > 0.0
    assert [paces.wait_s("a", 100 * NS_PER_S) for _ in range(6)].count(0.0) == 5, "no more than a burst is saved up"


@given(st.lists(st.integers(0, NS_PER_S), min_size=1, max_size=200))
def test_never_more_than_the_burst_and_the_pace(gaps_ns: list[int]) -> None:
    paces, now_ns, passed = Paces(pace_hz=20.0, burst=8.0), 0, 0
    for gap_ns in gaps_ns:
        now_ns += gap_ns
        passed += paces.wait_s("a", now_ns) == 0.0
    assert passed <= 8 + 20 * now_ns / NS_PER_S + 1e-6
    assert passed >= min(len(gaps_ns), 8)


def test_clients_without_end_take_no_memory_without_end() -> None:
    paces = Paces()
    for number in range(MOST_CLIENTS + 100):
        assert paces.wait_s(f"made up {number}", 0) == 0.0
    assert len(paces._left) == MOST_CLIENTS
