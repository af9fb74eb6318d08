"""`openvolume bench tracking` measures every protocol, its peers and real streams, and says what it measured."""

from __future__ import annotations

import pytest

from controller.bench import tracking
from controller.bench.tracking import DECODE_BARS_US, PROTOCOLS, STREAM_HZ, STREAMS, _costs, run


def test_every_protocol_is_measured_beside_its_peers() -> None:
    costs = _costs(1, 24)
    assert set(PROTOCOLS) < set(costs)
    assert len(costs) >= len(PROTOCOLS) + 2
    for name in PROTOCOLS:
        found = costs[name]
        assert 0.0 < found["parse_us"] <= found["all_us"]
        assert found["all_us"] == pytest.approx(found["parse_us"] + found["samples_us"] + found["join_us"], abs=0.02)


@pytest.mark.timing
@pytest.mark.timeout(120)
def test_streams_come_through_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    # What is measured needs a calm beginning; that nothing is lost does not.
    monkeypatch.setattr(tracking, "WARM_S", 0.4)
    monkeypatch.setattr(tracking, "DRAIN_S", 0.3)
    figures = run(rounds=1, seconds=0.4, packets=24)
    streams = figures[f"{STREAMS}_streams_of_{STREAM_HZ}_hz"]
    for name in ("freed", "osc", "opentrackio"):
        assert streams[name]["lost"] == 0
        assert streams[name]["sent"] > 0.5 * STREAMS * STREAM_HZ
    assert {"peer_osc", "peer_json"} < set(streams)
    assert set(DECODE_BARS_US) < set(figures["good"])
