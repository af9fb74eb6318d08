"""The action word: one atomic word that works whoever is alive."""

from __future__ import annotations

import subprocess
import sys
import threading
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
    pack_action,
    read_action,
    unpack_action,
    write_action,
)


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
