"""The seeded faults of trackers and networks: what each does, that it does the same every time, and nothing else."""

from __future__ import annotations

from itertools import pairwise
from math import inf, isfinite, isnan
from random import Random
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking.config import Source
from tracking.encoders import encoder
from tracking.errors import SendError
from tracking.faults import DAY_NS, NONSENSE, SCENARIOS, Faults, Timed, malformed, nonsense
from tracking.mapping import mapping_of
from tracking.moment import Moment
from tracking.moves import move
from tracking.protocols import zmq_pose
from tracking.sample import LensReading, Refusal, Stamp

S = 1_000_000_000
MS = 1_000_000
PERIOD_NS = 10 * MS


def stream(count: int, t0_ns: int = 5 * S) -> list[Timed]:
    return [Timed(t0_ns + n * PERIOD_NS, n.to_bytes(4, "big"), "127.0.0.1", 4000) for n in range(count)]


def numbers(items: list[Timed]) -> list[int]:
    return [int.from_bytes(item.data, "big") for item in items]


def run(name: str, count: int = 1000, seed: int = 1) -> tuple[list[Timed], Faults]:
    faults = Faults.of([name], seed)
    return list(faults.apply(stream(count))), faults


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_same_seed_gives_the_same_faults_in_order_of_time(name: str) -> None:
    first, _ = run(name, 600)
    again, _ = run(name, 600)
    assert first == again
    assert all(a.reads_ns <= b.reads_ns for a, b in pairwise(first))
    pose = move("orbit").pose
    spoilt = [
        [faults.spoil(Moment(pose(n / 100), n, 900 * S + n * PERIOD_NS), n * PERIOD_NS) for n in range(600)]
        for faults in (Faults.of([name], 1), Faults.of([name], 1))
    ]
    for a, b in zip(*spoilt, strict=True):
        assert a.t_ns == b.t_ns
        assert np.array_equal(a.stage_from_camera, b.stage_from_camera, equal_nan=True)
    # Every scenario does something: to the datagrams or to the poses.
    changed = first != stream(600) or any(
        m.t_ns != 900 * S + n * PERIOD_NS or not np.array_equal(m.stage_from_camera, pose(n / 100))
        or m.quaternion_xyzw is not None or m.lens is not None
        for n, m in enumerate(spoilt[0])
    )  # fmt: skip
    assert changed


def test_a_stop_is_a_gap_and_nothing_more() -> None:
    out, faults = run("T1:at=3,for=2")
    assert numbers(out) == [*range(300), *range(500, 1000)]
    assert faults.done == {"stopped": 200}
    assert all(a.t_ns == 5 * S + n * PERIOD_NS for a, n in zip(out, numbers(out), strict=True))


def test_bursts_come_again() -> None:
    out, _ = run("T3:at=1,for=0.3,every=2")
    lost = sorted(set(range(1000)) - set(numbers(out)))
    assert lost == [n for start in (100, 300, 500, 700, 900) for n in range(start, start + 30)]


def test_jitter_stays_within_its_bounds() -> None:
    out, _ = run("jitter:ms=4", 5000)
    late = [item.t_ns - (5 * S + n * PERIOD_NS) for item, n in zip(out, numbers(out), strict=True)]
    assert min(late) >= 0
    assert max(late) < 8 * MS
    assert fmean(late) == pytest.approx(4 * MS, rel=0.03)


def test_the_usual_bad_network() -> None:
    out, faults = run("T2", 20_000)
    got = numbers(out)
    assert 1 - len(set(got)) / 20_000 == pytest.approx(0.05, abs=0.01)
    assert len(got) - len(set(got)) == pytest.approx(0.02 * 19_000, rel=0.25)
    behind = sum(a > b for a, b in pairwise(got))
    assert behind == pytest.approx(0.03 * 19_000, rel=0.5)
    assert faults.done["lost"] == 20_000 - len(set(got))


def test_a_stalled_reader_finds_all_of_it_with_its_stamps() -> None:
    out, _ = run("T4:at=2,for=1")
    assert numbers(out) == [*range(1000)]
    assert [item.t_ns for item in out] == [5 * S + n * PERIOD_NS for n in range(1000)]
    assert {item.reads_ns for item in out[200:300]} == {5 * S + 3 * S}
    assert all(item.reads_ns == item.t_ns for item in [*out[:200], *out[300:]])


def test_a_flood_comes_from_elsewhere_at_its_rate() -> None:
    out, _ = run("T9:at=1,hz=5000", 300)
    mine = [item for item in out if item.host == "127.0.0.1"]
    assert numbers(mine) == [*range(300)]
    others = [item.t_ns for item in out if item.host != "127.0.0.1"]
    assert len(others) == pytest.approx(5000 * 2.0, rel=0.02)
    assert max(b - a for a, b in pairwise(others)) <= 0.21 * MS


def test_a_rival_says_where_the_camera_was() -> None:
    out, _ = run("T10:at=2,behind=0.5", 400)
    rival = [item for item in out if item.port == 7777]
    assert numbers(rival) == [*range(150, 350)]
    assert numbers([item for item in out if item.port == 4000]) == [*range(400)]


@given(st.binary(max_size=200), st.integers(0, 10_000))
def test_malformed_takes_any_bytes(data: bytes, seed: int) -> None:
    assert isinstance(malformed(data, Random(seed)), bytes)


def test_malformed_changes_nearly_always() -> None:
    random = Random(5)
    data = bytes(range(100))
    twins = [malformed(data, random) for _ in range(2000)]
    assert sum(twin != data for twin in twins) > 1950
    assert len({len(twin) for twin in twins}) > 100


def label_of(name: str, seconds: float = 6.0) -> list[int]:
    """Labels each 10 ms, less what a good clock would say."""
    faults = Faults.of([name], 0)
    pose = np.eye(4)
    begin = 1_700_000_000 * S
    count = int(seconds * 100)
    return [
        faults.spoil(Moment(pose, n, begin + n * PERIOD_NS), n * PERIOD_NS).t_ns - begin - n * PERIOD_NS
        for n in range(count)
    ]


def test_clocks() -> None:
    assert label_of("T5:jump:at=2,by=3600") == [0] * 200 + [3600 * S] * 400
    assert label_of("T5:back") == [0] * 200 + [-3600 * S] * 400
    drift = label_of("T5:drift:ppm=200")
    assert drift[500] == 1 * MS
    assert drift[100] == pytest.approx(0.2 * MS, abs=1)
    stand = label_of("T5:stand:at=1,for=2")
    assert stand[:100] == [0] * 100
    assert stand[200] == -1 * S
    assert stand[300:] == [0] * 300


def test_midnight() -> None:
    faults = Faults.of(["T5:wrap:at=2"], 0)
    labels = [faults.spoil(Moment(np.eye(4), n, 777 * S + n * PERIOD_NS), n * PERIOD_NS).t_ns for n in range(400)]
    assert labels[0] == DAY_NS - 2 * S
    assert labels[199] == DAY_NS - PERIOD_NS
    assert labels[200] == 0
    assert {b - a for a, b in pairwise(labels)} == {PERIOD_NS, PERIOD_NS - DAY_NS}


@pytest.mark.parametrize("kind", NONSENSE)
def test_nonsense_is_what_it_says(kind: str) -> None:
    moment = Moment(move("orbit").pose(1.0), 0, 0, LensReading(focal_length_mm=35.0, f_stop=2.8))
    bad = nonsense(moment, kind)
    position = bad.stage_from_camera[:3, 3]
    assert np.array_equal(moment.stage_from_camera, move("orbit").pose(1.0))  # the truth is left alone
    if kind == "nan":
        assert isnan(position[0])
    elif kind == "inf":
        assert position[0] == inf
    elif kind == "denormal":
        assert 0.0 < position[0] < np.finfo(float).tiny
    elif kind == "zero_quaternion":
        assert bad.quaternion() == (0.0, 0.0, 0.0, 0.0)
        assert isfinite(position[0])
    elif kind == "far":
        assert position[0] > 9_000.0
    elif kind == "unit":
        assert np.allclose(position, 1000.0 * moment.stage_from_camera[:3, 3])
    else:
        assert bad.lens is not None
        assert not 1e-3 < (bad.lens.focal_length_mm or 0.0) < 1e6
        assert bad.lens.f_stop == 2.8


def test_a_tracker_that_talks_nonsense_is_refused_not_believed() -> None:
    faults = Faults.of(["T7:nan:at=0,share=1", "T7:zero_quaternion:at=1,share=1"], 3)
    source = Source.model_validate({"protocol": "zmq", "listen": "tcp://127.0.0.1:1", "camera": "a"})
    mapping = mapping_of("t", source)
    for n in range(200):
        moment = faults.spoil(Moment(move("orbit").pose(n / 100), n, n * PERIOD_NS), n * PERIOD_NS)
        for datagram in encoder("zmq_msgpack")(moment):
            for item in zmq_pose.parse(datagram):
                said = [item] if isinstance(item, Refusal) else item.samples(mapping, Stamp())
                assert all(isinstance(each, Refusal) for each in said)
    assert faults.done == {"nan": 200, "zero_quaternion": 100}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("T11", "no such fault"),
        ("T1:long=3", "knows no 'long'"),
        ("loss:share=much", "is no number"),
        ("loss:share=nan", "out of range"),
        ("T1:for=-1", "out of range"),
        ("", "no such fault"),
    ],
)
def test_names_that_mean_nothing(text: str, words: str) -> None:
    with pytest.raises(SendError, match=words) as caught:
        Faults.of(["T2", text])
    assert all(problem.mend for problem in caught.value.problems)


def test_adding_a_fault_does_not_change_another() -> None:
    alone = Faults.of(["loss"], 4)
    both = Faults.of(["jitter", "loss"], 4)
    assert numbers(list(alone.apply(stream(500)))) == sorted(numbers(list(both.apply(stream(500)))))
