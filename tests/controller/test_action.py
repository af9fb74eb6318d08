"""The action word: one atomic word that works whoever is alive."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.action import (
    ACTIONS,
    NOTHING,
    ActionName,
    ActionOrder,
    ActionWord,
    action_command,
    pack_action,
    read_action,
    unpack_action,
    write_action,
)
from controller.rundir import RunDir, runs


@given(st.sampled_from(ACTIONS), st.integers(0, (1 << 61) - 1))
def test_a_word_holds_action_and_stamp(action: ActionName, stamp_ns: int) -> None:
    word = pack_action(ActionOrder(action, stamp_ns))
    assert word < 1 << 64
    assert word & 7 == ACTIONS.index(action)
    assert word >> 3 == stamp_ns
    assert unpack_action(word) == ActionOrder(action, stamp_ns)


@pytest.mark.parametrize("word", [5, 6, 7, 8 * 17 + 6])
def test_an_unknown_code_orders_nothing(word: int) -> None:
    assert unpack_action(word) == NOTHING


@pytest.mark.parametrize("stamp_ns", [-1, 1 << 61])
def test_a_stamp_out_of_range_is_refused(stamp_ns: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        pack_action(ActionOrder("black", stamp_ns))


def test_an_unknown_action_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="blakc"):
        write_action(tmp_path / "action.word", "blakc")  # type: ignore[arg-type]


def test_nothing_is_ordered_before_anyone_wrote(tmp_path: Path) -> None:
    path = tmp_path / "action.word"
    assert read_action(path) == NOTHING
    with ActionWord(path) as word:
        assert word.read() == NOTHING
    assert path.stat().st_size == 8


def test_an_open_reader_sees_an_order_of_another_process(tmp_path: Path) -> None:
    path = tmp_path / "action.word"
    with ActionWord(path) as word:
        program = "import sys, pathlib; from controller.action import write_action; "
        program += "write_action(pathlib.Path(sys.argv[1]), 'safe', stamp_ns=123456789)"
        subprocess.run([sys.executable, "-c", program, str(path)], check=True, timeout=30)
        assert word.read() == ActionOrder("safe", 123456789)
        assert read_action(path) == ActionOrder("safe", 123456789)
    # little-endian: the low three bits are in the first byte
    assert path.read_bytes()[0] & 7 == 3


def test_an_order_is_stamped_with_monotonic_time(tmp_path: Path) -> None:
    first = write_action(tmp_path / "a", "black")
    second = write_action(tmp_path / "a", "none")
    assert 0 < first.stamp_ns <= second.stamp_ns
    assert read_action(tmp_path / "a") == second


def test_a_reader_never_sees_half_an_order(tmp_path: Path) -> None:
    """Orders whose stamp and code belong together, written flat out: no reader may meet a mixture."""
    path = tmp_path / "action.word"
    orders = [ActionOrder(name, (0xFFFF_FFFF_FFFF * i) & ((1 << 60) - 1)) for i, name in enumerate(ACTIONS)]
    done = threading.Event()

    def write() -> None:
        with ActionWord(path) as word:
            for i in range(20_000):
                order = orders[i % len(orders)]
                word.write(order.action, order.stamp_ns)
        done.set()

    writer = threading.Thread(target=write)
    with ActionWord(path) as word:
        writer.start()
        seen = set()
        while not done.is_set():
            seen.add(word.read())
        writer.join()
    assert seen <= {*orders, NOTHING}


def test_the_module_needs_the_standard_library_only() -> None:
    program = (
        "import sys; import controller.action; "
        "print([m for m in ('msgspec', 'numpy', 'pydantic', 'fastapi') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", program], check=True, timeout=30, capture_output=True, text=True)
    assert out.stdout.strip() == "[]"


def a_run(root: Path, name: str, pid: int) -> RunDir:
    run = RunDir.create(name, root=root)
    run.supervisor_status.write_text(json.dumps({"pid": pid, "t_ns": 1, "children": {}}))
    return run


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("controller.action.runs", lambda: runs(root=tmp_path))
    return tmp_path


def test_the_local_command_needs_nobody_but_the_run(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = a_run(machine, "one", os.getpid())
    assert action_command("black") == 0
    assert read_action(run.action_word).action == "black"
    assert action_command("none", run="one") == 0
    assert read_action(run.action_word).action == "none"
    assert "ordered for run one" in capsys.readouterr().out


def test_a_dead_run_is_not_meant(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    child = subprocess.Popen(["true"])
    child.wait(timeout=10)
    run = a_run(machine, "old", child.pid)
    assert action_command("black") == 2
    assert "controller.no_run" in capsys.readouterr().err
    assert read_action(run.action_word) == NOTHING
    # A node that outlived its supervisor still obeys.
    (run.path / "node-n0.beat").write_bytes(time.monotonic_ns().to_bytes(8, "little"))
    assert action_command("black") == 0


def test_with_two_shows_the_order_must_name_one(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = a_run(machine, "first", os.getpid()), a_run(machine, "second", os.getpid())
    assert action_command("safe") == 2
    assert "--run NAME" in capsys.readouterr().err
    assert action_command("safe", run="second") == 0
    assert read_action(first.action_word) == NOTHING
    assert read_action(second.action_word).action == "safe"


def test_an_unknown_action_ends_with_2(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a_run(machine, "one", os.getpid())
    assert action_command("blakc") == 2
    assert "black, hold, safe, work" in capsys.readouterr().err
