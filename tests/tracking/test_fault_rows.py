"""Rows T1 to T10 of the fault matrix at the inputs: seeded faults, the injected clock, a photo for every frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count, pairwise
from typing import Any

import numpy as np
import pytest

from runtime.clock import VirtualClock
from stage.frames import Array, vector_from_rotation
from stage.rate import Rate
from tracking.config import TrackingConfig
from tracking.encoders import encoder
from tracking.faults import NONSENSE, SCENARIOS, Faults, Timed
from tracking.health import State
from tracking.inputs import TURN, TrackingInputs
from tracking.moment import Moment
from tracking.moves import move
from tracking.predict import PredictedPose
from tracking.protocols.freed import FreeDPacket
from tracking.receivers import MAX_READ, Arrival
from tracking.socket_filter import Screen

MS = 1_000_000
S = 1_000_000_000
LABEL_NS = 1_700_000_000 * S
TRUE_SENDER = ("10.0.0.1", 5000)
WAY_NS = 2 * MS
"""Every datagram is at least so long on its way: what a fitted clock cannot know."""
LEAST = (0.05, 0.5)
"""Degrees and millimetres: what trackers themselves are wrong by (the real take fits its tripod to 0.5 mm); below them
ratios compare noise with noise."""
EVERY_PROTOCOL = (
    "freed", "opentrackio", "opentrackio_cbor", "osc", "zmq", "mosys_f4", "stype", "psn", "rttrpm", "live_link",
    "natnet",
)  # fmt: skip
handheld = move("handheld", 1).pose


@dataclass
class Frame:
    """One photo."""

    t_ns: int
    pose: PredictedPose | None
    state: State
    truth: Array

    @property
    def error(self) -> tuple[float, float]:
        """Degrees and millimetres off the truth."""
        assert self.pose is not None
        out = self.pose.stage_from_camera
        turn = vector_from_rotation(self.truth[:3, :3].T @ out[:3, :3])
        return float(np.degrees(np.linalg.norm(turn))), float(1000 * np.linalg.norm(out[:3, 3] - self.truth[:3, 3]))

    @property
    def gap_mm(self) -> Array:
        """Off the truth, [3] mm."""
        assert self.pose is not None
        return 1000.0 * (self.pose.stage_from_camera[:3, 3] - self.truth[:3, 3])


@dataclass
class Played:
    """A whole stretch of a show."""

    inputs: TrackingInputs
    faults: Faults
    t0_ns: int
    frames: list[Frame] = field(default_factory=list)
    alarms: list[tuple[float, str]] = field(default_factory=list)

    def between(self, begin_s: float, end_s: float) -> list[Frame]:
        return [f for f in self.frames if begin_s <= (f.t_ns - self.t0_ns) / S < end_s]

    def p95(self, begin_s: float = 1.5) -> tuple[float, float]:
        errors = np.array([f.error for f in self.between(begin_s, 1e9)])
        deg, mm = np.percentile(errors, 95, axis=0)
        return float(deg), float(mm)

    @property
    def refused(self) -> dict[str, int]:
        return {str(k): v for k, v in self.inputs.statistics()["t"].refused.items()}


def play(
    *names: str,
    seconds: float = 6.0,
    protocol: str = "opentrackio",
    hz: int = 60,
    fps: int = 24,
    ahead_ms: float = 60.0,
    seed: int = 5,
    pose_at: Callable[[float], Array] = handheld,
    at_frame: Callable[[int, VirtualClock], None] | None = None,
    **source: Any,
) -> Played:
    """A tracker that sends while things go wrong, and a show that wants a pose for every frame."""
    clock = VirtualClock()
    spoken = {"opentrackio_cbor": "opentrackio", "zmq_msgpack": "zmq"}.get(protocol, protocol)
    fields = {"protocol": spoken, "camera": "a", **source}
    fields["listen"] = "tcp://127.0.0.1:5556" if protocol.startswith("zmq") else "127.0.0.1:40000"
    config = TrackingConfig.model_validate({"sources": {"t": fields}})
    inputs = TrackingInputs(config, clock, rate=Rate(fps))
    faults, encode, t0_ns = Faults.of(names, seed), encoder(protocol, rate=Rate(hz)), clock.now_ns()
    played = Played(inputs, faults, t0_ns)

    def sent() -> Iterator[Timed]:
        for n in range(int(seconds * hz)):
            t_ns = t0_ns + n * S // hz
            moment = faults.spoil(Moment(pose_at(n / hz), n, LABEL_NS + t_ns), t_ns)
            for data in encode(moment):
                yield Timed(t_ns + WAY_NS, data)

    arriving = faults.apply(sent())
    waiting = next(arriving, None)
    for frame in range(int(seconds * fps)):
        now_ns = t0_ns + frame * S // fps
        if at_frame is not None:
            at_frame(frame, clock)
        while waiting is not None and waiting.reads_ns <= now_ns:
            clock.advance_to(max(clock.now_ns(), waiting.reads_ns))
            sender = (waiting.host, waiting.port) if waiting.host else TRUE_SENDER
            if protocol.startswith("zmq"):
                sender = ("", 0)
            inputs.inject("t", waiting.data, waiting.t_ns, sender=sender)
            waiting = next(arriving, None)
        clock.advance_to(now_ns)
        t_photo_ns = now_ns + int(ahead_ms * MS)
        # What the sender's stamps cannot tell is the way of its quickest datagram.
        truth = pose_at((t_photo_ns - WAY_NS - t0_ns) / S)
        played.frames.append(Frame(now_ns, inputs.predict("a", t_photo_ns), inputs.state("t"), truth))
        played.alarms += [((now_ns - t0_ns) / S, problem.code) for problem in inputs.alarms()]
    return played


@pytest.fixture(scope="module")
def clean() -> Played:
    return play()


def steps_mm(frames: list[Frame]) -> list[float]:
    """How much the picture moves from frame to frame beyond the camera's own movement."""
    return [float(np.linalg.norm(b.gap_mm - a.gap_mm)) for a, b in pairwise(frames)]


@pytest.mark.parametrize("limit", [(75.0, 4.5), (8.0, 0.5)])
@pytest.mark.parametrize("silence_s", [0.1, 1.0, 10.0])
def test_t1_tracking_stops_and_comes_back(silence_s: float, limit: tuple[float, float]) -> None:
    step_mm, step_deg = limit
    played = play(
        f"T1:for={silence_s}",
        seconds=silence_s + (18.0 if step_mm < 10.0 else 6.0),
        returning={"step_mm": step_mm, "step_deg": step_deg},
    )
    assert all(f.pose is not None for f in played.frames[1:])
    silent = played.between(2.0, 2.0 + silence_s)
    states = {round((f.t_ns - played.t0_ns) / MS - 2000): f.state for f in silent}
    if silence_s >= 1.0:
        # coasting, then lost within 250 ms, told by an alarm; held then: nothing moves any more.
        assert State.COASTING in states.values()
        assert all(state is State.LOST for at_ms, state in states.items() if at_ms >= 250)
        assert "tracking.source_lost" in {code for t, code in played.alarms if 2.25 <= t < 2.0 + silence_s}
        held = [f.pose.stage_from_camera for f in silent if f.t_ns - played.t0_ns > 2.6 * S and f.pose is not None]
        assert max(float(np.abs(p - held[0]).max()) for p in held) < 1e-4
    # For 100 ms the pose is predicted on, as well as it can be.
    assert max(f.error[1] for f in played.between(2.0, 2.1)) < 25.0
    back = played.between(2.0 + silence_s + 1 / 24, 1e9)
    assert max(steps_mm(back)) < step_mm + 4.0
    turned = [f.error[0] for f in back]
    assert max(abs(b - a) for a, b in pairwise(turned)) < step_deg + 0.25
    assert back[-1].state is State.OK
    assert back[-1].error[1] < 8.0


@pytest.mark.parametrize("lost", [1, 2])
@pytest.mark.parametrize("hz", [25, 60, 240])
def test_t1_one_or_two_lost_samples_are_invisible(lost: int, hz: int) -> None:
    orbit = move("orbit", 3).pose
    played = play(f"T1:for={(lost - 0.5) / hz}", hz=hz, pose_at=orbit, seconds=4.0)
    assert played.faults.done == {"stopped": lost}
    assert {f.state for f in played.between(0.2, 4.0)} == {State.OK}
    assert {code for _, code in played.alarms} == set()
    whole = play(hz=hz, pose_at=orbit, seconds=4.0)
    for a, b in zip(played.between(1.9, 4.0), whole.between(1.9, 4.0), strict=True):
        assert a.pose is not None
        assert b.pose is not None
        assert np.abs(a.pose.stage_from_camera[:3] - b.pose.stage_from_camera[:3]).max() < 0.003


@pytest.mark.parametrize("name", ["tripod", "orbit", "crane", "handheld"])
def test_t2_jitter_loss_doubles_and_disorder(name: str) -> None:
    pose_at = move(name, 1).pose
    played = play("T2", seconds=12.0, pose_at=pose_at)
    whole = play(seconds=12.0, pose_at=pose_at)
    for impaired, good, least in zip(played.p95(), whole.p95(), LEAST, strict=True):
        assert impaired <= 1.5 * max(good, least)
    # Jitter can bring a double before the one it doubles: what was sent twice is refused once, whichever comes last.
    refused = played.refused
    assert refused == {"duplicate": played.faults.done["duplicated"]}
    # What was overtaken has found its place by its time: nothing of it is lost.
    statistics = played.inputs.statistics()["t"]
    assert statistics.samples == pytest.approx(12 * 60 - played.faults.done["lost"], abs=3)
    assert statistics.lost == pytest.approx(played.faults.done["lost"], abs=2)
    assert {f.state for f in played.between(0.5, 12.0)} == {State.OK}


@pytest.mark.parametrize("name", ["tripod", "orbit", "crane", "dolly", "handheld"])
@pytest.mark.parametrize("protocol", ["freed", "osc"])
def test_t2_without_any_time_of_the_senders_jitter_is_taken_out_by_the_pace(name: str, protocol: str) -> None:
    pose_at = move(name, 1).pose
    shaken, clean = (play(*f, seconds=14.0, pose_at=pose_at, protocol=protocol) for f in ((("jitter:ms=4"),), ()))
    # The first seconds tell the pace.
    for impaired, good, least in zip(shaken.p95(4.0), clean.p95(4.0), LEAST, strict=True):
        assert impaired <= 1.5 * max(good, least)
    # All of T2: nothing but the poses themselves says what was overtaken. A tenth of a degree of the slow moves.
    whole = play("T2", seconds=14.0, pose_at=pose_at, protocol=protocol)
    deg, mm = whole.p95(4.0)
    assert deg < (0.4 if name == "handheld" else 0.12)
    assert mm < 4.0


def test_t2_without_the_senders_time_its_counter_tells_doubles_and_late_ones() -> None:
    played = play("duplicate:share=0.1,ms=1", "reorder:share=0.1,ms=20", protocol="stype", hz=60)
    done, refused = played.faults.done, played.refused
    assert done["reordered"] > 20
    assert 0.6 * done["duplicated"] <= refused["duplicate"] <= done["duplicated"]
    # Whatever was overtaken would stand at its arrival, where the camera no longer is.
    assert refused["late"] >= 0.8 * done["reordered"]
    assert max(f.error[1] for f in played.between(1.5, 6.0)) < 60.0


@pytest.mark.parametrize("row", ["T3", "T3:half"])
def test_t3_bursts_of_loss_and_half_of_all_lost(row: str) -> None:
    played = play(row, seconds=8.0)
    assert all(f.pose is not None for f in played.frames[2:])
    states = {f.state for f in played.between(0.5, 8.0)}
    if row == "T3":
        assert states == {State.OK, State.COASTING, State.LOST}
        assert max(steps_mm(played.between(1.0, 8.0))) < 75.0
        # Between the bursts all is as ever.
        assert max(f.error[1] for f in played.between(3.5, 4.0)) < 12.0
    else:
        assert State.LOST not in states
        assert max(steps_mm(played.between(1.0, 8.0))) < 40.0


@pytest.mark.parametrize("protocol", ["freed", "opentrackio"])
def test_t4_a_stalled_reader_reads_a_second_at_once_and_the_newest_counts(protocol: str) -> None:
    played = play("T4", protocol=protocol, hz=240, seconds=4.5)
    stalled, (first, *_) = played.between(2.3, 2.95), played.between(3.01, 3.1)
    assert {f.state for f in stalled} == {State.LOST}
    assert first.pose is not None
    assert first.t_ns - first.pose.sample.t_received_ns <= 10 * MS
    assert first.state is State.OK
    assert played.refused == {}
    assert played.inputs.statistics()["t"].samples == pytest.approx(4.5 * 240, abs=12)


@pytest.mark.parametrize(
    ("row", "alarm"),
    [
        ("T5:jump", "tracking.clock_set"),
        ("T5:back", "tracking.clock_set"),
        ("T5:jump:by=-1", "tracking.clock_set"),
        ("T5:jump:by=-0.05", "tracking.clock_set"),
        ("T5:jump:by=-0.02", "tracking.clock_set"),
        ("T5:jump:by=0.05", "tracking.clock_set"),
        ("T5:drift", ""),
        ("T5:wrap", ""),
        ("T5:stand", "tracking.clock_stalled"),
    ],
)
def test_t5_the_senders_clock(row: str, alarm: str, clean: Played) -> None:
    played = play(row)
    statistics = played.inputs.statistics()["t"]
    assert statistics.clock_jumps == (1 if alarm == "tracking.clock_set" else 0)
    assert {code for _, code in played.alarms} == ({alarm} if alarm else set())
    assert {f.state for f in played.between(0.5, 6.0)} == {State.OK}
    # No jump in the pose, and within a second it is as good as ever.
    assert max(steps_mm(played.between(1.5, 6.0))) < 1.5 * max(steps_mm(clean.between(1.5, 6.0))) + 1.0
    for late, good, least in zip(played.p95(3.0), clean.p95(3.0), LEAST, strict=True):
        # A clock that stands leaves the arrivals: 2 ms late, and the truth is told without them.
        assert late <= 1.5 * max(good, least) + (2.0 if row == "T5:stand" else 0.0)


@pytest.mark.parametrize("by_s", [-0.05, -0.03, 0.03])
@pytest.mark.parametrize("hz", [25, 60, 240])
def test_t5_a_small_step_is_seen_through_jitter_and_loss(by_s: float, hz: int) -> None:
    # Overtaken datagrams of 240 Hz are as late as the step is long.
    network = "T2:reorder=0" if hz == 240 else "T2"
    set_, shaken = play(f"T5:jump:by={by_s}", network, hz=hz), play(network, hz=hz)
    assert set_.inputs.statistics()["t"].clock_jumps == 1
    assert shaken.inputs.statistics()["t"].clock_jumps == 0
    calm = max(steps_mm(shaken.between(1.5, 6.0)))
    assert max(steps_mm(set_.between(1.5, 6.0))) < 1.5 * calm + 10.0


def test_t6_the_hosts_wall_clock_is_set(clean: Played) -> None:
    def step(frame: int, clock: VirtualClock) -> None:
        if frame in (50, 70, 90):
            clock.step_tai((3600 if frame == 50 else -1) * S)

    played = play(at_frame=step)
    for a, b in zip(played.frames, clean.frames, strict=True):
        assert (a.pose is None) == (b.pose is None)
        if a.pose is not None and b.pose is not None:
            assert np.array_equal(a.pose.stage_from_camera, b.pose.stage_from_camera)


@pytest.mark.parametrize("kind", NONSENSE)
def test_t7_numbers_no_camera_has(kind: str) -> None:
    protocol = "zmq" if kind != "denormal" else "zmq_msgpack"
    played = play(f"T7:{kind}:share=1,for=2", protocol=protocol, seconds=7.0)
    assert sum(played.faults.done.values()) == 120
    assert all(f.pose is not None for f in played.frames[1:])
    if kind == "denormal":
        # A camera at the origin is a place; that it got there in an instant is not believed at first.
        assert played.refused["speed"] >= 5
        return
    bad = played.between(2.2, 4.0)
    if kind == "zero_quaternion" and not played.refused:
        pytest.fail("a quaternion of length 0 was believed")
    assert {f.state for f in bad} == {State.BAD}
    assert sum(played.refused.values()) == 120
    held = [f.pose.stage_from_camera for f in bad if f.pose is not None]
    last_good = handheld(2.0)
    assert np.abs(held[-1][:3] - last_good[:3]).max() < 0.06
    assert {code for t, code in played.alarms if 2.2 < t < 4.0} == {"tracking.source_bad"}
    assert {f.state for f in played.between(4.6, 7.0)} == {State.OK}
    assert max(f.error[1] for f in played.between(6.0, 7.0)) < 12.0


@pytest.mark.parametrize("protocol", EVERY_PROTOCOL)
def test_t8_broken_datagrams_beside_the_good_ones(protocol: str) -> None:
    played = play("T8", protocol=protocol, seconds=3.0)
    assert played.faults.done["malformed"] > 60
    assert all(f.pose is not None for f in played.frames[2:])
    assert sum(played.refused.values()) > 20
    if protocol in ("freed", "opentrackio"):
        # Their checksums find what is broken.
        whole = play(protocol=protocol, seconds=3.0)
        for impaired, good in zip(played.p95(1.0), whole.p95(1.0), strict=True):
            assert impaired <= 1.1 * good


@pytest.mark.parametrize("row", ["T9:hz=10000", "T9:spoof:hz=10000"])
@pytest.mark.parametrize("listed", [True, False])
def test_t9_a_flood_on_the_same_socket(row: str, listed: bool) -> None:
    allow: dict[str, Any] = {"allow": [TRUE_SENDER[0]]} if listed else {}
    played = play(row, seconds=3.0, protocol="freed", **allow)
    whole = play(seconds=3.0, protocol="freed", **allow)
    flooded = played.faults.done["flooded"]
    assert flooded > 9_000
    for a, b in zip(played.frames, whole.frames, strict=True):
        assert (a.pose is None) == (b.pose is None)
        if a.pose is not None and b.pose is not None:
            assert np.array_equal(a.pose.stage_from_camera, b.pose.stage_from_camera)
    refused = played.refused
    if listed:
        assert refused.keys() == {"not_allowed"}
        assert refused["not_allowed"] >= 0.98 * flooded  # the last of it comes after the last photo
    else:
        # Above its rate nothing of it is even decoded.
        assert refused["rate"] >= flooded - 1000 * 1.5 - 1000
        assert sum(refused.values()) >= 0.98 * flooded


class _Flooded:
    """A socket on which another program sends as fast as it can, and its quiet neighbour."""

    address = ""
    polled = False
    dropped = 0

    def __init__(self, data: bytes, host: str, waiting: int) -> None:
        self.data, self.host, self.waiting, self.number, self.asked = data, host, waiting, count(), 0

    def fileno(self) -> int:
        return 0

    def receive(self, most: int = MAX_READ) -> list[Arrival]:
        taken = min(most, self.waiting)
        self.waiting -= taken
        self.asked += taken
        # 100,000 a second.
        return [Arrival(self.data, self.host, 1, S + next(self.number) * 10_000) for _ in range(taken)]

    def screen(self, screen: Screen) -> bool:
        self.screened = screen
        return False

    def close(self) -> None: ...


def test_t9_a_flood_does_not_keep_other_sockets_waiting() -> None:
    sources = {
        "loud": {"protocol": "freed", "listen": "127.0.0.1:40001", "camera": "b"},
        "quiet": {"protocol": "freed", "listen": "127.0.0.1:40002", "camera": "a"},
    }
    inputs = TrackingInputs(TrackingConfig.model_validate({"sources": sources}), VirtualClock())
    packet = bytes(FreeDPacket(1, 0, 0, 0, 64_000, 0, 0))
    loud, quiet = _Flooded(packet, "10.0.0.66", 10**9), _Flooded(packet, "10.0.0.1", 1)
    inputs._links[0].receiver, inputs._links[1].receiver = loud, quiet
    inputs._listen()
    taken = 0
    for _ in range(100):
        # What the rate lets in is taken; once it is over, each call reads one turn of the flood and goes on.
        before, flooded = loud.asked, inputs.statistics()["loud"].refused.get("rate", 0) > TURN
        taken += sum(sample.source == "quiet" for sample in inputs.drain())
        assert quiet.waiting == 0
        quiet.waiting = 1
        assert loud.asked - before <= (TURN if flooded else 2400)
    assert taken == 100
    assert inputs.statistics()["loud"].samples <= 1000 + 0.15 * 1000
    # The kernel is asked to keep out who moves nothing; the socket beside it is nobody's concern.
    assert loud.screened.senders == (("10.0.0.66", 1),)
    assert quiet.screened == Screen()
    assert {p.code for p in inputs.alarms()} >= {"tracking.flood"}
    # A backlog that is no flood is read whole, however long.
    quiet.waiting, quiet.number = 3000, count(start=10**6, step=417)
    inputs.drain()
    assert quiet.waiting == 0


def test_t10_two_senders_claim_one_camera() -> None:
    played = play("T10", seconds=5.0)
    whole = play(seconds=5.0)
    assert played.faults.done["rivalled"] > 100
    for a, b in zip(played.frames, whole.frames, strict=True):
        if a.pose is not None and b.pose is not None:
            assert np.array_equal(a.pose.stage_from_camera, b.pose.stage_from_camera)
    assert played.refused == {"second_sender": pytest.approx(played.faults.done["rivalled"], abs=2)}
    assert {code for t, code in played.alarms if t > 3.2} == {"tracking.second_sender"}
    assert {code for t, code in played.alarms if t < 2.0} == set()


def test_every_row_is_played() -> None:
    rows = {name.split(":")[0] for name in SCENARIOS if name.startswith("T")} | {"T6"}
    played = {name.split("_")[1].upper() for name in globals() if name.startswith("test_t")}
    assert rows <= played
