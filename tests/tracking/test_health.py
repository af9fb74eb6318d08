"""Health: coasting within one and a half periods, lost within 250 ms, bad by what comes, legal transitions only."""

from __future__ import annotations

import pytest

from tracking.errors import IllegalTransition
from tracking.health import Health, State

MS = 1_000_000


def running(period_ms: int = 40, until_ms: int = 400) -> Health:
    health = Health()
    for t in range(0, until_ms + 1, period_ms):
        health.accepted(t * MS, period_ms * MS)
        assert health.step(t * MS) is State.OK
    return health


def test_from_waiting_to_lost_and_back() -> None:
    health = Health()
    assert health.step(10**12) is State.WAITING
    health = running()
    assert health.step(455 * MS) is State.OK
    # One or two samples lost on the way are nobody's concern.
    assert health.step(525 * MS) is State.OK
    assert health.step(535 * MS) is State.COASTING
    assert health.overdue_ns(500 * MS) == 40 * MS
    assert health.step(600 * MS) is State.COASTING
    assert health.step(645 * MS) is State.LOST  # within 250 ms of the last sample
    assert health.since_ns == 645 * MS
    health.accepted(900 * MS, 40 * MS)
    assert health.step(900 * MS) is State.OK


def test_a_long_stall_of_ours_passes_through_coasting() -> None:
    health = running()
    assert health.step(60_000 * MS) is State.LOST


def test_slow_sources_are_not_called_lost_between_samples() -> None:
    health = running(period_ms=100, until_ms=1000)
    assert health.step(1140 * MS) is State.OK


def test_bad_and_good_again() -> None:
    health = running()
    health.refused("checksum", 440 * MS, "0xc758")
    health.refused("checksum", 480 * MS)
    assert health.step(480 * MS) is not State.BAD
    health.refused("nan", 520 * MS, "a number is not finite")
    assert health.step(520 * MS) is State.BAD
    assert health.reason == "nan: a number is not finite"
    health.accepted(560 * MS, 40 * MS)
    assert health.step(560 * MS) is State.OK
    # Every other one bad, for long: bad, though samples come.
    for i in range(30):
        health.refused("checksum", (600 + 40 * i) * MS)
        health.refused("checksum", (605 + 40 * i) * MS)
        health.accepted((610 + 40 * i) * MS, 40 * MS)
    assert health.step(1780 * MS) is State.BAD
    assert health.step(5000 * MS) is State.LOST


def test_other_peoples_packets_do_not_make_a_source_bad() -> None:
    health = running()
    for _ in range(100):
        for reason in ("not_mine", "duplicate", "late", "rate", "second_sender", "other_message"):
            health.refused(reason, 420 * MS)
    assert health.step(420 * MS) is State.OK


def test_illegal_transitions_are_refused_by_name() -> None:
    health = running()
    with pytest.raises(IllegalTransition, match="ok cannot become lost"):
        health._enter(State.LOST, "", 0)
