"""Logs: one whole JSON object a line, readable on a terminal, and never in the way of a frame."""

from __future__ import annotations

import json
import logging
import os
import pty
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.errors import RingBusyError
from runtime.log import PatientHandler, set_up_logging
from stage.errors import Problem


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def test_a_line_is_one_object_with_role_run_and_frame(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as stream:
        context = set_up_logging("node_0", "run-7", stream=stream)
        context.frame = 1234
        logging.getLogger("renderer").warning("late by %d ms\nand more", 3, extra={"canvas": "left", "late_ns": 5})
        logging.getLogger("renderer").debug("unseen")
        try:
            raise RingBusyError(Problem("runtime.ring_busy", "plans.ring", "taken", mend="end it"))
        except RingBusyError:
            logging.getLogger("x").exception("no ring")
    first, second = map(json.loads, (tmp_path / "log").read_text().splitlines())
    assert (first["role"], first["run"], first["frame"], first["level"]) == ("node_0", "run-7", 1234, "warning")
    assert (first["message"], first["canvas"], first["late_ns"]) == ("late by 3 ms\nand more", "left", 5)
    assert first["t"].endswith("+00:00")
    assert second["problems"] == ["runtime.ring_busy plans.ring: taken -> end it"]
    assert "RingBusyError" in second["traceback"]


def test_a_terminal_gets_a_readable_line() -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as stream:
        context = set_up_logging("node_0", "run-7", stream=stream)
        context.frame = 9
        logging.getLogger("x").error("no plan", extra={"reason": "late"})
        text = os.read(ours, 4096).decode()
    os.close(ours)
    assert text.rstrip().endswith("error node_0 #9 no plan (reason=late)")


def test_a_reader_that_stands_still_costs_lines_and_no_time() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        set_up_logging("node_0", "run-7", stream=stream)
        (handler,) = logging.getLogger().handlers
        assert isinstance(handler, PatientHandler)
        count = 0
        while not handler.dropped:  # a blocking write would stand here for ever
            count += 1
            logging.getLogger("x").info("line %d", count, extra={"padding": "x" * 1000})
            assert count < 10_000
        for _ in range(9):
            logging.getLogger("x").info("lost")
        assert handler.dropped == 10
        read = os.read(reading, 1 << 20)
        logging.getLogger("x").info("flows again")
        tail = os.read(reading, 1 << 20)
    os.close(reading)
    lines = [json.loads(line) for line in (read + tail).splitlines()]
    assert [line["message"] for line in lines[-2:]] == ["10 log lines were dropped: nobody took them", "flows again"]
    assert lines[-2]["level"] == "warning"
    assert len(lines) == count - 1 + 2


@pytest.mark.parametrize("text", ["x" * 20_000, 'é"\\\n' * 8000])
def test_a_long_line_stays_one_whole_object(text: str, tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as stream:
        set_up_logging("node_0", "run-7", stream=stream)
        logging.getLogger("x").info("%s", text)
        try:
            raise RuntimeError("the end " + text[:10])
        except RuntimeError:
            logging.getLogger("x").exception("short", extra={"padding": text})
    raw = (tmp_path / "log").read_bytes().splitlines()
    assert all(len(line) < 4096 for line in raw)
    first, second = map(json.loads, raw)
    assert first["message"].endswith("…")
    assert second["message"] == "short"


def test_a_bad_format_never_ends_a_show(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as stream:
        set_up_logging("node_0", "run-7", stream=stream)
        logging.getLogger("x").info("%d", "no number")
        logging.getLogger("x").info("on")
    assert [json.loads(line)["message"] for line in (tmp_path / "log").read_text().splitlines()][-1] == "on"
