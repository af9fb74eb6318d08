"""The shell of one role: deadlines, wake-ups, signals, heartbeat, failures."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.clock import NS_PER_MS, NS_PER_S
from runtime.doorbell import Bell, Ringer
from runtime.ring import HEARTBEAT_OFFSET, KIND_PLANS, RingWriter
from runtime.role import Beat, EndSignal, beat_path, read_beat_ns, run_role


class Recorder:
    """A role that does what it is told and remembers."""

    def __init__(self, step: Callable[[int, int], int | None], fds: tuple[int, ...] = ()) -> None:
        self._step = step
        self.fds = fds
        self.calls: list[str] = []
        self.times_ns: list[int] = []

    def start(self) -> None:
        self.calls.append("start")

    def step(self, now_ns: int) -> int | None:
        self.times_ns.append(now_ns)
        return self._step(len(self.times_ns), now_ns)

    def stop(self) -> None:
        self.calls.append("stop")

    def wake_fds(self) -> tuple[int, ...]:
        return self.fds


def test_a_role_is_stepped_at_its_deadlines_until_it_is_done(tmp_path: Path) -> None:
    began_ns = time.monotonic_ns() + 5 * NS_PER_MS
    role = Recorder(lambda n, now_ns: began_ns + n * 5 * NS_PER_MS if n <= 4 else None)
    assert run_role(role, name="conductor", run_dir=tmp_path) == 0
    assert role.calls == ["start", "stop"]
    assert len(role.times_ns) == 5
    for n, t_ns in enumerate(role.times_ns[1:], start=1):
        assert t_ns >= began_ns + n * 5 * NS_PER_MS
    assert read_beat_ns(beat_path(tmp_path, "conductor")) == role.times_ns[-1]


def test_a_readable_descriptor_wakes_a_role_before_its_deadline(tmp_path: Path) -> None:
    bell, ringer = Bell(tmp_path / "a.bell"), Ringer(tmp_path / "a.bell")

    def step(n: int, now_ns: int) -> int | None:
        if n == 1:
            ringer.ring()
            return now_ns + 60 * NS_PER_S
        return None if bell.drain() else now_ns

    role = Recorder(step, (bell.fileno(),))
    assert run_role(role, name="node_0", run_dir=tmp_path) == 0
    assert len(role.times_ns) == 2
    bell.close()
    ringer.close()


def test_close_to_a_deadline_nothing_wakes_a_role(tmp_path: Path) -> None:
    bell, ringer = Bell(tmp_path / "a.bell"), Ringer(tmp_path / "a.bell")
    deadline_ns = 0

    def step(n: int, now_ns: int) -> int | None:
        nonlocal deadline_ns
        if n == 2:
            return None
        ringer.ring()
        deadline_ns = now_ns + 30 * NS_PER_MS
        return deadline_ns

    role = Recorder(step, (bell.fileno(),))
    assert run_role(role, name="node_0", run_dir=tmp_path, quiet_ns=50 * NS_PER_MS) == 0
    assert role.times_ns[1] >= deadline_ns
    bell.close()
    ringer.close()


def test_sigterm_ends_a_sleeping_role_at_once_and_sigint_does_not(tmp_path: Path) -> None:
    def step(n: int, now_ns: int) -> int | None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        return now_ns + 60 * NS_PER_S

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    role = Recorder(step)
    assert run_role(role, name="node_0", run_dir=tmp_path) == 0
    assert role.calls == ["start", "stop"]
    assert len(role.times_ns) == 1
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_sigterm_from_outside_interrupts_the_wait(tmp_path: Path) -> None:
    role = Recorder(lambda n, now_ns: now_ns + 60 * NS_PER_S)
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    assert run_role(role, name="node_0", run_dir=tmp_path) == 0
    timer.join()
    assert role.calls == ["start", "stop"]


def test_the_heart_beats_through_a_long_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beats: list[int] = []
    touch = Beat.touch

    def touched(beat: Beat, now_ns: int) -> None:
        touch(beat, now_ns)
        beats.append(read_beat_ns(beat.path))

    monkeypatch.setattr(Beat, "touch", touched)
    monkeypatch.setattr("runtime.role.BEAT_NS", 5 * NS_PER_MS)
    role = Recorder(lambda n, now_ns: now_ns + 60 * NS_PER_MS if n == 1 else None)
    run_role(role, name="node_0", run_dir=tmp_path)
    assert len(role.times_ns) == 2
    assert len(beats) >= 6
    assert beats == sorted(beats)


def test_a_hung_step_has_no_heartbeat(tmp_path: Path) -> None:
    beats: list[int] = []

    def step(n: int, now_ns: int) -> int | None:
        # Ten times as long as it takes a beat to be missed, were it not for the step.
        for _ in range(10):
            time.sleep(0.002)
            beats.append(read_beat_ns(beat_path(tmp_path, "node_0")))
        return None

    role = Recorder(step)
    run_role(role, name="node_0", run_dir=tmp_path)
    assert set(beats) == {role.times_ns[0]}


def test_no_heart_beats_before_a_role_has_started(tmp_path: Path) -> None:
    class Slow(Recorder):
        def start(self) -> None:
            self.beat_ns = read_beat_ns(beat_path(tmp_path, "node_0"))

    role = Slow(lambda n, now_ns: None)
    run_role(role, name="node_0", run_dir=tmp_path)
    assert role.beat_ns == 0


@pytest.mark.parametrize("where", ["start", "step", "stop"])
def test_a_failure_ends_with_1_and_what_was_taken_is_given_back(
    where: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Failing(Recorder):
        def start(self) -> None:
            super().start()
            self.fail("start")

        def stop(self) -> None:
            super().stop()
            self.fail("stop")

        def fail(self, here: str) -> None:
            if here == where:
                raise RuntimeError(f"no {here}")

    def step(n: int, now_ns: int) -> int | None:
        if where == "step":
            raise RuntimeError("no step")
        return None

    role = Failing(step)
    assert run_role(role, name="node_0", run_dir=tmp_path) == 1
    assert role.calls == ["start", "stop"]
    assert f"no {where}" in caplog.text


def test_a_ring_carries_a_heartbeat_too(tmp_path: Path) -> None:
    writer = RingWriter.create(tmp_path / "a.ring", kind=KIND_PLANS, slots=2, capacity=8)
    writer.heartbeat(4711)
    assert read_beat_ns(writer.path, offset=HEARTBEAT_OFFSET) == 4711
    assert read_beat_ns(tmp_path / "absent.beat") == 0
    beat = Beat(tmp_path, "x")
    beat.touch(2**63)
    beat.close()
    assert (tmp_path / "x.beat").read_bytes() == (2**63).to_bytes(8, "little")


def test_loops_of_their_own_can_listen_for_the_end(tmp_path: Path) -> None:
    with EndSignal() as end:
        assert not end.asked
        end.ask()
        assert end.asked
        assert os.read(end.fileno(), 16)


def test_a_child_dies_with_its_parent() -> None:
    child = "import time; from runtime.role import die_with_parent; import os; die_with_parent(os.getppid()); "
    child += "print(os.getpid(), flush=True); time.sleep(60)"
    parent = textwrap.dedent(f"""
        import subprocess, sys, os, signal
        child = subprocess.Popen([sys.executable, "-P", "-c", {child!r}], stdout=subprocess.PIPE, text=True)
        print(child.stdout.readline(), end="", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    done = subprocess.run([sys.executable, "-P", "-c", parent], capture_output=True, text=True, timeout=60)
    pid = int(done.stdout)
    until = time.monotonic() + 20
    while Path(f"/proc/{pid}/stat").exists() and " Z " not in Path(f"/proc/{pid}/stat").read_text():
        assert time.monotonic() < until, "it outlived its parent"
        time.sleep(0.01)
