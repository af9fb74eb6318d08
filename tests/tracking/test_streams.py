"""Delays apart for position, rotation and lens; matching by time code; who moves a camera that has two trackers."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.clock import VirtualClock
from stage.frames import Array, inverse_pose, pan_tilt_roll_from_rotation, pose_from_pan_tilt_roll, vector_from_rotation
from stage.rate import Rate
from stage.timecode import TimeOfDay
from tracking.config import TrackingConfig
from tracking.encoders import encoder
from tracking.health import State
from tracking.inputs import TrackingInputs
from tracking.lens_track import lens_at
from tracking.moment import Moment
from tracking.packet_counter import PacketCounter
from tracking.sample import LensReading, Sample

MS = 1_000_000
S = 1_000_000_000
HZ = 100
SPEED_M_S, TURN_DEG_S = 0.5, 30.0


def steady(t_s: float) -> Array:
    """Half a metre and 30 degrees a second."""
    return pose_from_pan_tilt_roll((SPEED_M_S * t_s, 0.0, 1.5), pan_deg=TURN_DEG_S * t_s)


def config(**sources: dict[str, Any]) -> TrackingConfig:
    filled = {
        name: {"protocol": "zmq", "camera": "a", "listen": f"tcp://127.0.0.1:{5000 + n}", **fields}
        for n, (name, fields) in enumerate(sources.items())
    }
    return TrackingConfig.model_validate({"sources": filled})


class Stage:
    """Trackers that send under a virtual clock, all seeing `pose_at`."""

    def __init__(self, rate: Rate | None = None, pose_at: Any = steady, **sources: dict[str, Any]) -> None:
        self.clock = VirtualClock()
        self.sources = sources
        self.inputs = TrackingInputs(config(**sources), self.clock, rate=rate or Rate(50))
        self.encode = encoder("zmq", rate=Rate(HZ))
        self.pose_at = pose_at
        self.t0_ns = self.clock.now_ns()
        self.n = 0

    def send(self, *names: str, offset_m: float = 0.0, lens: LensReading | None = None) -> None:
        """The next sample of these sources, 10 ms after the one before."""
        t_ns = self.t0_ns + self.n * S // HZ
        self.clock.advance_to(t_ns)
        camera = np.array(self.pose_at(self.n / HZ))
        camera[1, 3] += offset_m
        for name in names:
            for data in self.encode(Moment(camera, self.n, 10**15 + t_ns, lens)):
                self.inputs.inject(name, data)
        self.n += 1

    def photo(self, ahead_ms: float = 40.0) -> tuple[Array, Sample]:
        found = self.inputs.predict("a", self.clock.now_ns() + int(ahead_ms * MS))
        assert found is not None
        return found.stage_from_camera, found.sample


def now_of(stage: Stage, ahead_ms: float = 40.0) -> tuple[float, float]:
    """What time the camera's place and its heading are of, ms after now."""
    pose, _ = stage.photo(ahead_ms)
    t_s = (stage.clock.now_ns() - stage.t0_ns) / S
    place_ms = 1000 * (float(pose[0, 3]) / SPEED_M_S - t_s)
    turn_ms = 1000 * (pan_tilt_roll_from_rotation(pose)[0] / TURN_DEG_S - t_s)
    return place_ms, turn_ms


@pytest.mark.parametrize(
    ("fields", "place_ms", "turn_ms"),
    [
        ({}, 0.0, 0.0),
        ({"delay_ms": 12.5}, 12.5, 12.5),
        ({"delays": {"position_ms": 20.0}}, 20.0, 0.0),
        ({"delays": {"rotation_ms": -7.25}}, 0.0, -7.25),
        ({"delays": {"position_frames": 0.5, "rotation_frames": -1.25}}, 10.0, -25.0),
        ({"delay_ms": -5.0, "delays": {"rotation_ms": 3.0, "rotation_frames": 1.0}}, -5.0, 18.0),
    ],
)
def test_position_and_rotation_have_delays_of_their_own(fields: Any, place_ms: float, turn_ms: float) -> None:
    stage = Stage(t=fields)
    for _ in range(120):
        stage.send("t")
    found = now_of(stage)
    # A pose that is older than it says has come further by the photo.
    assert found == pytest.approx((40.0 + place_ms, 40.0 + turn_ms), abs=0.3)
    # Set live, it holds from the next photo on, and nothing of the past is lost.
    plain = Stage(t={})
    for _ in range(120):
        plain.send("t")
    plain.inputs.apply(config(t=fields))
    assert now_of(plain) == pytest.approx((40.0 + place_ms, 40.0 + turn_ms), abs=0.3)
    plain.send("t")
    assert plain.inputs.statistics()["t"].refused == {}


def test_delays_apart_leave_the_camera_on_its_arm() -> None:
    """The place that is delayed is the tracked point's; the arm to the camera turns with the rotation."""
    stage = Stage(t={"delays": {"position_ms": 30.0}, "body_from_camera": {"y_m": 1.0, "x_m": 0.2, "pan_deg": 10.0}})
    for _ in range(120):
        stage.send("t")
    t_s = (stage.clock.now_ns() - stage.t0_ns) / S + 0.04
    body = np.array(steady(t_s))
    body[:3, 3] = steady(t_s + 0.03)[:3, 3]
    expected = body @ pose_from_pan_tilt_roll((0.2, 1.0, 0.0), pan_deg=10.0)
    # Turned with the place, the arm would be 16 mm off.
    assert np.abs(stage.photo()[0] - expected).max() < 3e-3


def test_without_prediction_delays_apart_meet_at_one_time() -> None:
    stage = Stage(t={"delays": {"rotation_ms": 20.0}, "prediction": "off"})
    for _ in range(50):
        stage.send("t")
    pose, sample = stage.photo()
    newest_s = (stage.n - 1) / HZ
    assert pan_tilt_roll_from_rotation(pose)[0] == pytest.approx(TURN_DEG_S * newest_s)
    assert pose[0, 3] == pytest.approx(SPEED_M_S * (newest_s - 0.02), abs=1e-6)
    assert stage.clock.now_ns() - sample.t_sampled_ns == 20 * MS


@pytest.mark.parametrize("delay_ms", [-60.0, -20.0, 0.0, 25.0])
def test_the_lens_has_a_delay_too(delay_ms: float) -> None:
    stage = Stage(t={"delays": {"lens_ms": delay_ms}}, pose_at=lambda _: steady(0.0))
    for n in range(100):
        stage.send("t", lens=LensReading(focal_length_mm=30.0 * 1.2 ** (n / HZ)))
    _, sample = stage.photo(40.0)
    assert sample.lens is not None
    of_s = (stage.n - 1) / HZ + (40.0 + delay_ms) / 1000.0
    assert sample.lens.focal_length_mm == pytest.approx(30.0 * 1.2**of_s, rel=1e-4)


def reading(t_ms: float, **fields: Any) -> Sample:
    t_ns = int(t_ms * MS)
    return Sample("t", "a", t_ns, t_ns, np.eye(4), np.eye(4), lens=LensReading(**fields) if fields else None)


def test_lenses_between_and_beyond_samples() -> None:
    pull = [
        reading(t, focal_length_mm=20.0 + t / 10.0, focus_distance_m=1.0 / (0.1 + t / 1000.0))
        for t in range(0, 200, 20)
    ]
    between = lens_at(pull, 90 * MS)
    assert between is not None
    assert between.focal_length_mm == pytest.approx((28.0 * 30.0) ** 0.5)
    assert between.focus_distance_m == pytest.approx(1.0 / 0.19)
    beyond, held = lens_at(pull, 220 * MS), lens_at(pull, 220 * MS, predict=False)
    assert beyond is not None
    # A pull of even millimetres slows down in ratios.
    assert beyond.focal_length_mm == pytest.approx(42.0, abs=0.3)
    assert beyond.focus_distance_m == pytest.approx(1.0 / 0.32, rel=1e-6)
    assert held is pull[-1].lens
    # Carried on for 160 ms, no further; what would lie beyond infinity stays.
    assert lens_at(pull, 340 * MS) == lens_at(pull, 900 * MS)
    far = [reading(t, focus_distance_m=1.0 / (0.02 - t / 8_000.0)) for t in (0, 50, 100)]
    found = lens_at(far, 200 * MS)
    assert found is not None
    assert found.focus_distance_m == pytest.approx(1.0 / 0.0075)
    assert lens_at([reading(0.0)], 5) is None
    assert lens_at([reading(0.0), reading(10.0, focal_length_mm=5.0)], 5 * MS) == LensReading(focal_length_mm=5.0)


# --- time code ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way_ms", [3, 25])
def test_matched_by_time_code_the_way_of_a_datagram_does_not_count(way_ms: int) -> None:
    """An OpenTrackIO camera at 25 frames a second whose time code is the show's."""
    from msgspec import structs

    from tracking.encoders import opentrackio_packet
    from tracking.protocols.opentrackio import OpenTrackIOPacket
    from tracking.protocols.opentrackio_sample import Ratio, Timecode

    fields = {"protocol": "opentrackio", "camera": "a", "listen": "127.0.0.1:40000"}
    clock = VirtualClock()
    t0_ns = clock.now_ns()
    found: dict[str, list[int]] = {}
    for match in ("timecode", "sample_time", "arrival"):
        source = TrackingConfig.model_validate({"sources": {"t": {**fields, "match": match}}})
        inputs = TrackingInputs(source, clock, day_at=lambda t_ns: TimeOfDay(3600 * S + t_ns - t0_ns, Rate(25)))
        for n in range(30):
            moment = Moment(steady(n / 25), n, 10**18 + n * 40 * MS)
            packet: OpenTrackIOPacket = opentrackio_packet(
                moment, source_id="urn:uuid:00000000-0000-4000-8000-000000000001", rate=Rate(25)
            )
            label = Timecode(hours=1, minutes=0, seconds=n // 25, frames=n % 25, frame_rate=Ratio(25, 1))
            assert packet.sample.timing is not None
            timing = structs.replace(packet.sample.timing, timecode=label)
            packet = OpenTrackIOPacket.build(structs.replace(packet.sample, timing=timing), sequence=n)
            inputs.inject("t", bytes(packet), t0_ns + n * 40 * MS + way_ms * MS)
        found[match] = [s.t_sampled_ns - t0_ns for s in inputs.history("t").samples]
        assert inputs.alarms() == []
    assert found["timecode"] == [n * 40 * MS for n in range(30)]
    for other in ("sample_time", "arrival"):
        assert found[other] == [n * 40 * MS + way_ms * MS for n in range(30)]


def test_only_protocols_with_time_code_are_matched_by_it_and_the_old_word_is_known() -> None:
    with pytest.raises(ValueError, match="freed carries no time code"):
        config(t={"protocol": "freed", "listen": "127.0.0.1:1", "match": "timecode"})
    told = config(t={"time": "sample"}).sources["t"]
    assert told.match == "sample_time"


# --- counters -----------------------------------------------------------------------------------------------------


@given(
    st.sampled_from([16, 256, 65536]), st.integers(0, 70_000), st.lists(st.integers(1, 3), min_size=20, max_size=200)
)
def test_counters_are_unwrapped_and_what_is_missing_counted(modulus: int, first: int, steps: list[int]) -> None:
    counter = PacketCounter(modulus)
    number = first
    for _ in range(10):
        assert counter.take(number % modulus) == "next"
        number += 1
    for step in steps:
        number += step - 1
        assert counter.take(number % modulus) == "next"
        assert counter.take(number % modulus) == "duplicate"
        number += 1
    assert counter.number - first % modulus == number - 1 - first
    assert counter.lost == sum(steps) - len(steps)


def test_a_counter_that_stands_is_not_believed() -> None:
    counter = PacketCounter(256)
    assert {counter.take(0) for _ in range(50)} == {"next"}
    counter = PacketCounter(256)
    for n in range(20):
        counter.take(n)
    # The sender begins again: three are refused, then it is believed.
    assert [counter.take(n) for n in (0, 0, 0, 0, 1)] == ["late", "late", "late", "next", "next"]


# --- gates --------------------------------------------------------------------------------------------------------


def test_the_tilt_gate() -> None:
    stage = Stage(
        t={"gates": {"tilt_deg": 40.0}}, pose_at=lambda t: pose_from_pan_tilt_roll((0, 0, 1), tilt_deg=30 + t * 40)
    )
    for _ in range(50):
        stage.send("t")
    # 30 degrees, 0.4 more with every sample: the 26th still passes.
    assert stage.inputs.statistics()["t"].refused == {"range": pytest.approx(24, abs=1)}
    assert stage.inputs.state("t") is State.BAD


@pytest.mark.parametrize("turns", [1, -1])
def test_round_and_round_every_angle_is_unwrapped(turns: int) -> None:
    """Trackers wrap at 180 degrees (FreeD) or count on; the camera does not notice."""
    stage = Stage(t={}, pose_at=lambda t: pose_from_pan_tilt_roll((0.0, 0.0, 1.5), pan_deg=turns * 180.0 * t))
    wrong_deg = []
    for n in range(5 * HZ):
        stage.send("t")
        if n > 20:
            truth = stage.pose_at((stage.clock.now_ns() - stage.t0_ns) / S + 0.04)
            step = inverse_pose(stage.photo()[0]) @ truth
            wrong_deg.append(float(np.degrees(np.linalg.norm(vector_from_rotation(step)))))
    assert max(wrong_deg) < 0.2
    assert stage.inputs.statistics()["t"].refused == {}


# --- two sources --------------------------------------------------------------------------------------------------


def two(**first: Any) -> Stage:
    """An optical tracker on top of an encoder head, 30 mm apart."""
    limits = {"returning": first["returning"]} if "returning" in first else {}
    return Stage(optical={"priority": 1, **first}, head=limits)


def both(stage: Stage, count: int, *, optical: bool = True, head: bool = True) -> list[Array]:
    path = []
    for _ in range(count):
        if optical:
            stage.send("optical")
            stage.n -= 1
        if head:
            stage.send("head", offset_m=0.03)
            stage.n -= 1
        if not optical and not head:
            stage.clock.advance_to(stage.t0_ns + stage.n * S // HZ)
        stage.n += 1
        path.append(stage.photo()[0])
    return path


def test_t10_the_higher_priority_moves_the_camera_whichever_speaks_first() -> None:
    stage = two()
    both(stage, 10, optical=False)
    assert stage.inputs.moving("a") == "head"
    both(stage, 30)
    assert stage.inputs.moving("a") == "optical"
    assert stage.inputs.alarms() == []


def test_t10_of_equals_the_first_keeps_the_camera_and_it_is_an_alarm() -> None:
    stage = Stage(optical={}, head={})
    both(stage, 300, optical=False)
    both(stage, 100)
    assert stage.inputs.moving("a") == "head"
    assert [p.code for p in stage.inputs.alarms()] == ["tracking.second_source"]


def test_t10_lost_it_fails_over_without_a_jump_and_goes_back_when_told() -> None:
    stage = two(returning={"step_mm": 4.0, "step_deg": 0.5})
    path = both(stage, 300)
    path += both(stage, 100, optical=False)
    assert stage.inputs.moving("a") == "head"
    (alarm,) = [p for p in stage.inputs.alarms() if p.path == "cameras/a"]
    assert alarm.code == "tracking.failed_over"
    assert alarm.mend == "set cameras/a/preferred_source to optical"
    # Back, it waits for a word.
    path += both(stage, 300)
    assert stage.inputs.moving("a") == "head"
    assert "is back" in next(p.detail for p in stage.inputs.alarms() if p.path == "cameras/a")
    assert path[-1][1, 3] == pytest.approx(0.03, abs=2e-3)
    stage.inputs.prefer({"a": "optical"})
    path += both(stage, 100)
    assert stage.inputs.moving("a") == "optical"
    assert stage.inputs.alarms() == []
    assert path[-1][1, 3] == pytest.approx(0.0, abs=2e-3)
    # 10 ms between photos of 20 ms: beside its own 5 mm a photo, the camera is moved by half a step each.
    aside_mm = [1000 * abs(float(b[1, 3] - a[1, 3])) for a, b in pairwise(path)]
    assert max(aside_mm) < 0.5 * 4.0 + 0.5


def test_t10_it_may_come_back_by_itself_once_it_has_been_ok_for_long_enough() -> None:
    stage = two(reclaim_s=1.0)
    both(stage, 300)
    both(stage, 50, optical=False)
    both(stage, 95)
    assert stage.inputs.moving("a") == "head"
    both(stage, 10)
    assert stage.inputs.moving("a") == "optical"


def test_t10_a_bad_source_is_left_too_and_a_lost_preference_waits() -> None:
    stage = two()
    both(stage, 250)
    for _ in range(5):
        stage.inputs.inject("optical", b"rubbish")
    both(stage, 3, optical=False)
    assert stage.inputs.state("optical") is State.BAD
    assert stage.inputs.moving("a") == "head"
    # Asked for while it cannot be: done as soon as it can.
    stage.inputs.prefer({"a": "optical"})
    both(stage, 50, optical=False)
    assert stage.inputs.moving("a") == "head"
    both(stage, 3)
    assert stage.inputs.moving("a") == "optical"
    # A change of the configuration keeps who moves it; so does a source that goes.
    stage.inputs.apply(config(optical={"priority": 1, "delay_ms": 3.0}, head={}))
    assert stage.inputs.moving("a") == "optical"
    stage.inputs.apply(config(head={}))
    both(stage, 5, optical=False)
    assert stage.inputs.moving("a") == "head"


def test_both_lost_the_last_one_holds() -> None:
    stage = two()
    both(stage, 250)
    held = both(stage, 100, optical=False, head=False)
    assert stage.inputs.moving("a") == "optical"
    assert np.abs(held[-1] - held[-20]).max() < 1e-4
    assert stage.inputs.statistics()["optical"].reason == "nothing received"
