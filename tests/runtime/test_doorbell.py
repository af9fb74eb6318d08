"""The doorbell: rings wake, never block, and survive either end."""

from __future__ import annotations

import select
from pathlib import Path

import pytest

from runtime.doorbell import Bell, Ringer, bell_path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return bell_path(tmp_path, "node_0")


def readable(bell: Bell) -> bool:
    return bool(select.select([bell], [], [], 0)[0])


def test_a_ring_wakes_and_a_drain_takes_all(path: Path) -> None:
    bell, ringer = Bell(path), Ringer(path)
    assert path.name == "node_0.bell"
    assert not readable(bell)
    assert bell.drain() == 0
    assert [ringer.ring() for _ in range(3)] == [True, True, True]
    assert readable(bell)
    assert bell.drain() == 3
    assert not readable(bell)
    bell.close()
    ringer.close()
    assert not path.exists()


def test_ringing_needs_nobody_and_a_full_bell_never_blocks(path: Path) -> None:
    ringer = Ringer(path)
    assert not ringer.ring()
    bell = Bell(path)
    while ringer.ring():
        pass
    assert not ringer.ring()
    assert bell.drain() > 0
    assert ringer.ring()
    assert ringer.unheard == 3
    bell.close()
    ringer.close()


def test_a_restarted_listener_hears_the_same_ringer(path: Path) -> None:
    ringer = Ringer(path)
    dead = Bell(path)
    dead._socket.close()  # as kill -9 does: the name stays
    assert not ringer.ring()
    bell = Bell(path)
    assert ringer.ring()
    assert bell.drain() == 1
    bell.close()
    ringer.close()


def test_a_path_the_kernel_cannot_take_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at most 107 bytes"):
        Bell(tmp_path / ("x" * 120))
