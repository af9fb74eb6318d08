"""The simulated camera and its tracker: what arrives is where the camera truly was, whatever the source's alignment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from controller.config import LoadedConfig, compile_config, load_config, load_config_data
from controller.sources import mounts_of, tracked_pose
from controller.timing.motion import NOISE_DEG, NOISE_MM, NOISE_SAMPLES, Noise, SimulatedTracker, Spell, TrueCamera
from runtime.clock import NS_PER_MS, NS_PER_S, VirtualClock
from runtime.house import VirtualHouse
from stage.frames import Array, vector_from_rotation
from stage.rate import Rate
from tracking.faults import Faults, Timed
from tracking.inputs import TrackingInputs

ALIGNED = {
    "stage_from_tracker": {"x_m": 1.0, "y_m": -2.0, "pan_deg": 90.0},
    "body_from_camera": {"z_m": 0.2, "tilt_deg": 5.0},
}
SIGNS = {
    "axes": {"x": "-y", "y": "x", "z": "z"},
    "signs": {"pan": -1, "tilt": 1, "roll": -1},
    "offsets": {"pan_deg": 90.0},
}


def loaded_with(**source: Any) -> LoadedConfig:
    shipped = load_config("minimal")
    data = shipped.config.model_dump(mode="json", exclude_unset=True)
    data["tracking"]["sources"]["tracker"].update(source)
    return load_config_data(data, base_dir=shipped.base_dir)


def followed(
    loaded: LoadedConfig, *, protocol: str | None = None, noise: Noise | None = None, spells: tuple[Spell, ...] = ()
) -> tuple[TrackingInputs, TrueCamera, VirtualClock, list[Timed]]:
    """Inputs that listened to a simulated tracker for half a second."""
    stage = compile_config(loaded)
    clock = VirtualClock()
    inputs = TrackingInputs(loaded.config.tracking, clock, mounts=mounts_of(stage))
    true = TrueCamera(stage.cameras["a"], "handheld", 3)
    delivered: list[Timed] = []

    def deliver(item: Timed) -> None:
        delivered.append(item)
        inputs.inject("tracker", item.data, item.t_ns)

    tracker = SimulatedTracker(
        "tracker", loaded.config.tracking.sources["tracker"], true, clock, deliver, samples=Rate(120),
        protocol=protocol, noise=noise, spells=spells,
    )  # fmt: skip
    with VirtualHouse(clock) as house:
        house.add("tracker", tracker)
        house.run_until(clock.now_ns() + NS_PER_S // 2)
    return inputs, true, clock, delivered


def apart(a: Array, b: Array) -> tuple[float, float]:
    """Millimetres and degrees."""
    turn = vector_from_rotation(a[:3, :3].T @ b[:3, :3])
    return float(np.linalg.norm(a[:3, 3] - b[:3, 3])) * 1000.0, float(np.degrees(np.linalg.norm(turn)))


@pytest.mark.parametrize("source", [{}, ALIGNED, SIGNS, {**ALIGNED, **SIGNS}, {"delay_ms": 20.0}])
@pytest.mark.parametrize("pose_point", ["body", "sensor", "pupil"])
def test_what_arrives_is_where_the_camera_was(source: dict[str, Any], pose_point: str) -> None:
    loaded = loaded_with(**source, pose_point=pose_point)
    inputs, true, _, _ = followed(loaded)
    sample = inputs.latest("a")
    assert sample is not None
    predicted = inputs.predict("a", sample.t_sampled_ns)
    assert predicted is not None
    camera = compile_config(loaded).cameras["a"]
    seen = tracked_pose(predicted, camera).stage_from_camera
    mm, deg = apart(seen, true.stage_from_camera(sample.t_sampled_ns))
    assert mm < 0.02
    assert deg < 0.002


@pytest.mark.parametrize("protocol", ["freed", "osc", "osc_bundle", "zmq", "zmq_msgpack", "opentrackio_cbor"])
def test_every_protocol_says_the_same(protocol: str) -> None:
    name = protocol.split("_", maxsplit=1)[0]
    listen = "tcp://127.0.0.1:5999" if name == "zmq" else "127.0.0.1:0"
    inputs, true, _, _ = followed(loaded_with(protocol=name, listen=listen), protocol=protocol)
    sample = inputs.latest("a")
    assert sample is not None
    mm, deg = apart(sample.stage_from_camera, true.stage_from_camera(sample.t_sampled_ns))
    assert mm < 0.05
    assert deg < 0.002


def test_noise_scatters_as_told_and_the_same_again() -> None:
    noise = Noise(7)
    scattered = np.stack([noise.on(np.eye(4), number) for number in range(4000)])
    assert np.std(scattered[:, :3, 3]) * 1000.0 == pytest.approx(NOISE_MM, rel=0.05)
    turns = [vector_from_rotation(pose[:3, :3]) for pose in scattered]
    assert np.degrees(np.std(turns)) == pytest.approx(NOISE_DEG, rel=0.05)
    again, other = Noise(7), Noise(8)
    assert np.array_equal(again.on(np.eye(4), 5), scattered[5])
    assert not np.array_equal(other.on(np.eye(4), 5), scattered[5])
    assert np.array_equal(noise.on(np.eye(4), NOISE_SAMPLES + 5), scattered[5])


def test_faults_act_in_their_spell_only() -> None:
    clock_start = VirtualClock().now_ns()
    begin_ns, end_ns = clock_start + 200 * NS_PER_MS, clock_start + 300 * NS_PER_MS
    spell = Spell(begin_ns, end_ns, Faults.of(["T1:at=0,for=10"]))
    _, _, _, delivered = followed(loaded_with(), spells=(spell,))
    times = [item.t_ns for item in delivered]
    assert not [t for t in times if begin_ns <= t < end_ns]
    assert [t for t in times if t < begin_ns]
    assert [t for t in times if t >= end_ns]


def test_what_a_protocol_cannot_say_is_not_said() -> None:
    """FreeD counts in whole steps: there is no such thing as NaN in it."""
    spell = Spell(0, 1 << 62, Faults.of(["T7:nan:share=1,at=0,for=100"]))
    inputs, true, _, _ = followed(loaded_with(protocol="freed", listen="127.0.0.1:0"), spells=(spell,))
    sample = inputs.latest("a")
    assert sample is not None
    assert apart(sample.stage_from_camera, true.stage_from_camera(sample.t_sampled_ns))[0] < 0.05


def test_late_datagrams_arrive_late_and_in_order_of_arrival() -> None:
    spell = Spell(0, 1 << 62, Faults.of(["jitter:ms=10"], seed=4))
    _, _, _, delivered = followed(loaded_with(), spells=(spell,))
    times = [item.reads_ns for item in delivered]
    assert times == sorted(times)
    assert len({t % (NS_PER_S // 120) for t in times}) > 20, "they are no longer evenly spaced"
