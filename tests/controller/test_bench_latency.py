"""`openvolume bench latency` measures real processes, ours and the peer's, and says what it measured."""

from __future__ import annotations

import pytest

from controller.bench.latency import run

pytestmark = [pytest.mark.timing, pytest.mark.timeout(120)]


def test_both_are_measured_in_the_same_run() -> None:
    figures = run(rounds=1, seconds=0.5)
    variants = ["normal", "peer", *(["real_time"] if figures["rt_class"] else [])]
    for variant in variants:
        for interval in ("own_share_ms", "receive_to_plan_ms"):
            found = figures[variant][interval]
            assert 0.0 < found["p50"] <= found["p99"] < 1000.0
        # The whole way holds the wait for the frame; the share does not.
        assert figures[variant]["own_share_ms"]["p50"] < figures[variant]["receive_to_plan_ms"]["p50"]
    assert figures["ratio_p50"] > 0.0
