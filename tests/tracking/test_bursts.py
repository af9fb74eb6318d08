"""Datagrams that tell no time, in order but in bursts, as a busy machine delivers them: none is ever refused."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from runtime.clock import VirtualClock
from stage.rate import Rate
from tracking.config import TrackingConfig
from tracking.encoders import encoder
from tracking.inputs import TrackingInputs
from tracking.moment import Moment
from tracking.moves import move

S, MS = 1_000_000_000, 1_000_000


def came(hz: int, seconds: int, seed: int, *, queues_per_s: float, longest_ms: float, jitter_ms: float) -> list[int]:
    """When each datagram comes: jitter, and queues that stand still for a while; never out of order."""
    random = Random(seed)
    out: list[int] = []
    closed_ns = opens_ns = 0
    for n in range(seconds * hz):
        t_ns = n * S // hz
        if t_ns > opens_ns and random.random() < queues_per_s / hz:
            closed_ns, opens_ns = t_ns, t_ns + int(random.random() * longest_ms * MS)
        t_ns += int(random.random() * jitter_ms * MS)
        if closed_ns <= t_ns < opens_ns:
            t_ns = opens_ns
        out.append(max(t_ns, out[-1] if out else 0))
    return out


def play(protocol: str, hz: int, arrivals: list[int], name: str = "handheld") -> TrackingInputs:
    """The inputs after a tracker's datagrams have come at those times."""
    clock = VirtualClock(S)
    source = {"protocol": protocol, "camera": "a", "listen": "127.0.0.1:40000"}
    inputs = TrackingInputs(TrackingConfig.model_validate({"sources": {"t": source}}), clock)
    encode, pose_at = encoder(protocol, rate=Rate(hz)), move(name, 1).pose
    for n, t_ns in enumerate(arrivals):
        clock.advance_to(max(clock.now_ns(), S + t_ns))
        for data in encode(Moment(pose_at(n / hz), n, S + n * S // hz)):
            inputs.inject("t", data, S + t_ns, sender=("10.0.0.1", 5000))
    return inputs


@pytest.mark.parametrize("protocol", ["freed", "osc"])
@pytest.mark.parametrize("hz", [25, 60, 240])
@pytest.mark.parametrize("seed", range(3))
def test_nothing_that_came_in_order_is_refused(protocol: str, hz: int, seed: int) -> None:
    for shape in (
        {"queues_per_s": 4.0, "longest_ms": 60.0, "jitter_ms": 3.0},
        {"queues_per_s": 1.0, "longest_ms": 400.0, "jitter_ms": 0.1},
        {"queues_per_s": 20.0, "longest_ms": 20.0, "jitter_ms": 10.0},
    ):
        arrivals = came(hz, 8, seed, **shape)
        statistics = play(protocol, hz, arrivals).statistics()["t"]
        assert statistics.refused == {}, shape
        assert statistics.samples == len(arrivals)


def test_datagrams_of_one_instant_are_samples_all_the_same() -> None:
    arrivals = [n // 5 * 5 * S // 60 for n in range(300)]
    statistics = play("freed", 60, arrivals).statistics()["t"]
    assert statistics.refused == {}
    assert statistics.samples == 300


@pytest.mark.parametrize("name", ["tripod", "handheld", "dolly"])
def test_a_burst_is_where_the_camera_was(name: str) -> None:
    hz, pose_at = 60, move(name, 1).pose
    arrivals = came(hz, 10, 7, queues_per_s=2.0, longest_ms=80.0, jitter_ms=4.0)
    late_ms = np.array([t / MS - 1000 * n / hz for n, t in enumerate(arrivals)])
    history = play("freed", hz, arrivals, name).history("t")
    shown = [s for s in history.samples if s.packet_id > 8 * hz]
    assert max(late_ms[8 * hz :]) > 30.0
    assert [s.packet_id for s in shown] == sorted(s.packet_id for s in shown)
    off_ms = [(s.t_sampled_ns - S) / MS - 1000 * (s.packet_id - 1) / hz for s in shown]
    assert np.abs(np.array(off_ms) - np.median(off_ms)).max() < 2.0
    assert abs(np.median(off_ms)) < 0.5
    for sample in shown:
        assert np.abs(sample.stage_from_camera - pose_at((sample.packet_id - 1) / hz)).max() < 1e-3


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("protocol", ["opentrackio", "mosys_f4"])
def test_a_queue_is_no_clock_that_was_set(protocol: str, seed: int) -> None:
    """Stamps that go on at their pace are believed, however late they come: no sample is put where others stand."""
    hz = 25
    for shape in (
        {"queues_per_s": 4.0, "longest_ms": 300.0, "jitter_ms": 1.0},
        {"queues_per_s": 0.5, "longest_ms": 900.0, "jitter_ms": 10.0},
        {"queues_per_s": 2.0, "longest_ms": 100.0, "jitter_ms": 30.0},
    ):
        arrivals = came(hz, 12, seed, **shape)
        inputs = play(protocol, hz, arrivals)
        statistics, history = inputs.statistics()["t"], inputs.history("t")
        assert statistics.refused == {}, shape
        shown = [s.packet_id for s in history.samples]
        assert shown == sorted(shown), shape
        steps_ms = np.diff([s.t_sampled_ns for s in history.samples]) / MS
        assert abs(steps_ms - 40.0).max() < 10.0, shape


def test_the_last_word_counts_however_late_it_comes() -> None:
    """A pose that waits for the next ones to tell whether its sender's clock was set is taken in when none come."""
    clock = VirtualClock(S)
    source = {"protocol": "opentrackio", "camera": "a", "listen": "127.0.0.1:40000"}
    inputs = TrackingInputs(TrackingConfig.model_validate({"sources": {"t": source}}), clock)
    encode, pose_at = encoder("opentrackio", rate=Rate(25)), move("tripod", 1).pose
    for n in range(100):
        clock.advance_to(S + n * S // 25 + (1_500 * MS if n == 99 else 0))
        for data in encode(Moment(pose_at(n / 25), n, S + n * S // 25)):
            inputs.inject("t", data, clock.now_ns(), sender=("10.0.0.1", 5000))
    assert inputs.statistics()["t"].samples == 99
    clock.advance_to(clock.now_ns() + 300 * MS)
    inputs.adapt()
    newest = inputs.latest("a")
    assert newest is not None
    assert np.abs(newest.stage_from_camera - pose_at(99 / 25)).max() < 1e-3
