"""The real camera take, played into the inputs at 25 fps and looked at by a 24 fps show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from calibration.pivot import fit_pivot
from runtime.clock import VirtualClock
from stage.frames import Array, pan_tilt_roll_from_rotation
from stage.rate import NS_PER_S, Rate
from tracking.config import TrackingConfig
from tracking.inputs import TrackingInputs
from tracking.play import play, read_take

TAKES = {"freed": "freed/take_*.jsonl", "opentrackio": "opentrackio/take_*.jsonl"}
F4_SIZE = 105
DELAY_NS = 3_000_000
AHEAD_NS = 60_000_000


def take_of(reference: Path, protocol: str) -> Path:
    return next((reference / "tracking").glob(TAKES[protocol]))


def inputs_of(protocol: str, clock: VirtualClock, prediction: str) -> TrackingInputs:
    source = {"protocol": protocol, "listen": "127.0.0.1:1", "camera": "a", "prediction": prediction}
    return TrackingInputs(TrackingConfig.model_validate({"sources": {"t": source}}), clock)


class Into:
    """A wire that ends in the inputs, and keeps the newest pose after each datagram."""

    def __init__(self, inputs: TrackingInputs) -> None:
        self.inputs = inputs
        self.poses: list[Array] = []

    def send(self, data: bytes) -> None:
        self.inputs.inject("t", data)
        newest = self.inputs.latest("a")
        assert newest is not None
        self.poses.append(newest.stage_from_camera)

    def close(self) -> None:
        pass


@pytest.mark.parametrize("protocol", TAKES)
def test_every_sample_arrives_and_fits_one_tripod(reference: Path, protocol: str) -> None:
    clock = VirtualClock()
    into = Into(inputs_of(protocol, clock, "off"))
    sent = play(take_of(reference, protocol), "127.0.0.1:9", clock=clock, wire=into)
    statistics = into.inputs.statistics()["t"]
    assert statistics.samples == sent == len(into.poses)
    assert statistics.refused == {}
    assert fit_pivot(into.poses).rms_mm <= 0.6


def test_the_recording_itself_through_its_own_protocol(reference: Path) -> None:
    """The takes above were made from this one: Mo-Sys F4 as the tracker sent it, stamped by its time code."""
    data = (reference / "tracking/mosys_f4/A003_C001_frames_0000_0699.f4").read_bytes()
    clock = VirtualClock()
    into = Into(inputs_of("mosys_f4", clock, "off"))
    begin_ns = clock.now_ns()
    for n in range(len(data) // F4_SIZE):
        # The network shakes the arrivals; the time code does not.
        clock.advance_to(begin_ns + n * 40_000_000 + n * 7919 % 3_000_000)
        into.send(data[n * F4_SIZE : (n + 1) * F4_SIZE])
    statistics = into.inputs.statistics()["t"]
    assert (statistics.samples, statistics.refused, statistics.clock_stalled) == (700, {}, False)
    assert fit_pivot(into.poses).rms_mm <= 0.6
    sampled_ns = np.array([s.t_sampled_ns for s in into.inputs.history("t").samples])
    assert np.all(np.abs(np.diff(sampled_ns) - 40_000_000) < 200_000)


def test_both_takes_are_the_same_move(reference: Path) -> None:
    poses = {}
    for protocol in TAKES:
        clock = VirtualClock()
        into = Into(inputs_of(protocol, clock, "off"))
        play(take_of(reference, protocol), "127.0.0.1:9", clock=clock, wire=into)
        poses[protocol] = into.poses
    for a, b in zip(*poses.values(), strict=False):
        assert np.abs(a - b).max() < 2e-5


def numbers(poses: list[Array]) -> Array:
    """Pan, tilt, roll (deg), x, y, z (mm), [n, 6]."""
    return np.array([[*pan_tilt_roll_from_rotation(p), *(1000.0 * p[:3, 3])] for p in poses])


def watched(reference: Path, protocol: str, prediction: str) -> tuple[Array, Array]:
    """What a 24 fps show sees 60 ms ahead, and the truth of that time, [n, 6] each."""
    clock, rate = VirtualClock(), Rate(24)
    inputs = inputs_of(protocol, clock, prediction)
    take = read_take(take_of(reference, protocol))
    t0_ns, waiting, seen, times_s = clock.now_ns(), list(take), [], []
    for n in range(8, int(take[-1].t_s * 24) - 8):
        t_ns = rate.deadline_ns(t0_ns, n)
        while waiting and t0_ns + int(waiting[0].t_s * NS_PER_S) + DELAY_NS <= t_ns:
            line = waiting.pop(0)
            clock.advance_to(t0_ns + int(line.t_s * NS_PER_S) + DELAY_NS)
            inputs.inject("t", line.datagrams[0])
        clock.advance_to(t_ns)
        pose = inputs.predict("a", t_ns + AHEAD_NS)
        assert pose is not None
        assert pose.quality == "ok"
        seen.append(pose.stage_from_camera)
        times_s.append((t_ns + AHEAD_NS - DELAY_NS - t0_ns) / NS_PER_S)
    clock = VirtualClock()
    into = Into(inputs_of(protocol, clock, "off"))
    play(take_of(reference, protocol), "127.0.0.1:9", clock=clock, wire=into)
    true = numbers(into.poses)
    at_s = [line.t_s for line in take]
    return numbers(seen), np.stack([np.interp(times_s, at_s, column) for column in true.T], axis=1)


@pytest.mark.parametrize("protocol", TAKES)
def test_prediction_follows_the_take_closely_and_smoothly(reference: Path, protocol: str) -> None:
    seen, true = watched(reference, protocol, "auto")
    late, _ = watched(reference, protocol, "off")
    error, error_late = (np.sqrt(np.mean((s - true) ** 2, axis=0)) for s in (seen, late))
    assert error[0] < 0.25 * error_late[0]
    assert error[0] < 0.05
    assert error[3:].max() < 0.4
    # Smoothly: no frame bends the path by more than a few hundredths of a degree.
    assert np.abs(np.diff(seen[:, :3], 2, axis=0)).max() < 0.15
    assert np.diff(seen[:, 0], 2).std() < np.diff(late[:, 0], 2).std()
