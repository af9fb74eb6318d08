"""The letter box: letters and doorbells that never block, never raise and outlive restarts."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from controller.messages import Abort, Committed
from controller.post import MOST_WAITING, Post


def test_letters_arrive_in_order_and_doorbells_only_wake(shm: Path) -> None:
    a, b = Post(shm / "a.sock"), Post(shm / "b.sock")
    for number in range(5):
        assert a.send(b.path, Abort(number))
        assert a.ring(b.path)
    assert b.receive() == [Abort(number) for number in range(5)]
    assert b.receive() == []
    a.close()
    b.close()


def test_nobody_there_is_no_error(shm: Path) -> None:
    post = Post(shm / "a.sock")
    assert not post.send(shm / "nobody.sock", Abort(1))
    assert not post.ring(shm / "nobody.sock")
    assert post.unheard == 2
    post.close()


def test_a_box_that_is_never_emptied_does_not_block(shm: Path) -> None:
    post, full = Post(shm / "a.sock"), Post(shm / "full.sock")
    heard = [post.ring(full.path) for _ in range(5000)]
    assert heard[0]
    assert not heard[-1]
    assert full.receive() == []
    assert post.ring(full.path)
    post.close()
    full.close()


@pytest.mark.parametrize("data", [b"\x00", b"{}", b"\x81\xa4type\xa4nope", b"\xff" * 100])
def test_garbled_letters_are_counted(shm: Path, data: bytes) -> None:
    post = Post(shm / "a.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(data, str(post.path))
    assert post.receive() == []
    assert post.garbled == 1
    post.close()


def test_a_successor_takes_the_name_and_the_dead_one_leaves_it(shm: Path) -> None:
    sender, first = Post(shm / "s.sock"), Post(shm / "role.sock")
    second = Post(shm / "role.sock")
    assert sender.send(shm / "role.sock", Committed(3, 7))
    assert first.receive() == []
    assert second.receive() == [Committed(3, 7)]
    first.close()
    assert sender.send(shm / "role.sock", Committed(4, 8)), "the first one's end leaves the second's name alone"
    assert second.receive() == [Committed(4, 8)]
    second.close()
    assert not (shm / "role.sock").exists()
    sender.close()


def test_letters_to_a_full_box_wait_in_their_order(shm: Path) -> None:
    """A process that slept for some frames has its box full of doorbells: it hears of every letter all the same."""
    post, other, sleepy = Post(shm / "a.sock"), Post(shm / "b.sock"), Post(shm / "sleepy.sock")
    while post.ring(sleepy.path):
        pass
    unheard = post.unheard
    for number in range(5):
        assert post.send(sleepy.path, Abort(number))
    assert post.send(other.path, Abort(9))
    assert other.receive() == [Abort(9)], "others are not kept waiting"
    assert sleepy.receive() == []
    post.push()
    assert post.send(sleepy.path, Abort(5))
    found = sleepy.receive()
    post.receive()
    assert [*found, *sleepy.receive()] == [Abort(number) for number in range(6)]
    assert post.unheard == unheard
    # Who dies with a full box takes nothing, and holds up nobody.
    while post.ring(sleepy.path):
        pass
    unheard = post.unheard
    assert post.send(sleepy.path, Abort(6))
    sleepy.close()
    post.push()
    assert post.unheard == unheard + 1
    assert not post.send(sleepy.path, Abort(7))
    post.close()
    other.close()


def test_what_waits_is_limited(shm: Path) -> None:
    post, full = Post(shm / "a.sock"), Post(shm / "full.sock")
    taken = [post.send(full.path, Abort(number)) for number in range(5000)]
    assert MOST_WAITING < sum(taken) < 5000
    assert not taken[-1]
    post.close()
    full.close()
