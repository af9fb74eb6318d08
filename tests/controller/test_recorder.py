"""The recorder keeps every slot once, whatever happens to it or to the disk."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from controller.ledger_file import last_told, read_segments, runs_in, segments_in
from controller.ledger_record import Event
from controller.metronome import HouseMetronome
from controller.recorder import Recorder, RoleStates, decode_recorder
from runtime.clock import NS_PER_MS
from runtime.ring import RingReader


def a_recorder(show: Any, folder: Path, *, keep_mb: float = 8) -> Recorder:
    return Recorder(
        run=show.run, clock=show.clock, folder=folder, keep_bytes=round(keep_mb * 1e6), show=show.loaded.name
    )


def kill(show: Any, recorder: Recorder) -> None:
    """kill -9: nothing is said, the kernel closes what it held."""
    show.house.kill("ledger")
    recorder._status.close()
    recorder._feed.close()
    if recorder._writer is not None and recorder._writer._fd >= 0:
        os.close(recorder._writer._fd)


def status_of(show: Any) -> Any:
    reader = RingReader.open(show.run.recorder_status)
    slot = reader.latest()
    reader.close()
    return decode_recorder(slot.data)


def test_every_slot_is_on_the_disk_with_its_stamps_and_reasons(shm: Path, tmp_path: Path, housekit: ModuleType) -> None:
    with housekit.VirtualShow(shm, housekit.minimal_text()) as show:
        show.house.add("ledger", a_recorder(show, tmp_path))
        show.house.add("metronome", HouseMetronome(run=show.run, clock=show.clock, fifo=False, spent_ns=lambda: 0))
        show.run_to(30)
        show.painter.cost_ms = {100: 47.0}
        show.run_to(150)
        show.clock.jump(90 * NS_PER_MS)
        show.run_to(300)
        show.house.remove("ledger")
        told = show.conductor.ledger
        reports = show.reports
    reading = read_segments(segments_in(tmp_path))
    assert reading.opening is not None
    assert (reading.opening.show, reading.opening.rate) == (show.loaded.name, (24, 1))
    by_frame = {record.frame: record for record in reading.records}
    assert set(range(1, 300)) <= set(by_frame)
    assert [record.frame for record in reading.records] == sorted(by_frame)
    counted = {frame: record for frame, record in by_frame.items() if record.counted and frame < 290}
    for frame, record in counted.items():
        mine = told.record(frame)
        assert mine is not None
        assert (record.presented, record.reason, record.stall_ns) == (mine.presented, mine.reason, mine.stall_ns)
        assert (min(record.t_published_ns, record.t_latched_ns) > 0) == record.planned
        assert record.t_present_ns == pytest.approx(counted[200].t_present_ns + (frame - 200) * 1e9 / 24, abs=2)
        report = reports[frame]
        assert record.nodes["main"].t_presented_ns == report.t_presented_ns
        assert record.cameras == mine.cameras
    reasons = {record.reason for record in counted.values() if record.presented is False}
    assert {"late_draw", "host_stall"} <= reasons
    assert by_frame[100].reason == "late_draw"
    assert reading.stalls
    assert (reading.lost, reading.missed, reading.cut_bytes) == (0, 0, 0)


def test_killed_and_restarted_it_goes_on_where_it_was(shm: Path, tmp_path: Path, housekit: ModuleType) -> None:
    with housekit.VirtualShow(shm, housekit.minimal_text()) as show:
        first = a_recorder(show, tmp_path)
        show.house.add("ledger", first)
        show.run_to(100)
        before = show.conductor.ledger.repeated
        kill(show, first)
        show.run_to(150)
        show.house.add("ledger", a_recorder(show, tmp_path))
        show.run_to(260)
        show.house.remove("ledger")
        assert show.conductor.ledger.repeated == before, "the show noticed nothing"
    assert len(segments_in(tmp_path)) == 2
    ((_, paths),) = runs_in(tmp_path).items()
    frames = [record.frame for record in read_segments(paths).records]
    assert frames == list(range(frames[0], frames[-1] + 1))
    assert frames[-1] >= 259
    # Nothing is written twice.
    assert last_told(paths[0])[0] < min(record.frame for record in read_segments(paths[1:]).records)


def test_a_full_disk_is_an_alarm_and_the_show_goes_on(
    shm: Path, tmp_path: Path, housekit: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    with housekit.VirtualShow(shm, housekit.minimal_text()) as show:
        show.house.add("ledger", a_recorder(show, tmp_path))
        show.run_to(100)
        assert status_of(show).alarms == []
        real = os.pwrite

        def full(fd: int, data: bytes, at: int) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "pwrite", full)
        show.run_to(300)
        status = status_of(show)
        (alarm,) = status.alarms
        assert (alarm.code, alarm.path, alarm.severity) == ("recorder.not_written", "recorder", "warning")
        assert "No space left on device" in alarm.detail
        assert "keep_mb" in alarm.mend
        assert status.lost > 100
        monkeypatch.setattr(os, "pwrite", real)
        show.run_to(500)
        status = status_of(show)
        assert status.alarms == []
        show.house.remove("ledger")
        assert show.conductor.ledger.repeated == 0
    reading = read_segments(segments_in(tmp_path))
    assert reading.cut_bytes == 0
    frames = [record.frame for record in reading.records]
    assert reading.lost == status.lost
    assert frames[-1] - frames[0] + 1 - len(frames) == reading.lost


def test_a_folder_that_cannot_be_made_is_an_alarm(shm: Path, tmp_path: Path, housekit: ModuleType) -> None:
    (tmp_path / "file").write_text("in the way")
    with housekit.VirtualShow(shm, housekit.minimal_text()) as show:
        show.house.add("ledger", a_recorder(show, tmp_path / "file"))
        show.run_to(80)
        assert [alarm.code for alarm in status_of(show).alarms] == ["recorder.not_written"]


def test_another_rate_and_other_canvases_are_followed(shm: Path, tmp_path: Path, housekit: ModuleType) -> None:
    for rate in ("24", "120"):
        folder = shm / rate
        folder.mkdir()
        with housekit.VirtualShow(folder, housekit.minimal_text(rate=rate)) as show:
            recorder = a_recorder(show, tmp_path / rate)
            show.house.add("ledger", recorder)
            show.painter.usual_ms = 2.0
            show.run_to(400)
            show.house.remove("ledger")
            assert set(recorder._ledger.canvases) == set(show.stage.canvases)
            assert str(recorder._ledger.rate) == rate
        reading = read_segments(segments_in(tmp_path / rate))
        assert reading.missed == 0
        assert sum(record.counted for record in reading.records) >= 390


def test_ends_and_restarts_of_processes_are_told_once(tmp_path: Path) -> None:
    path = tmp_path / "supervisor.json"
    states = RoleStates()

    def write(stamp: int, **children: dict[str, Any]) -> list[Event]:
        path.write_text(json.dumps({"children": children}))
        os.utime(path, ns=(stamp, stamp))
        return states.look(path, 99)

    node = {"pid": 5, "last_exit_ns": 0, "last_exit": "", "since_ns": 10}
    assert write(1, node=node) == []
    assert states.look(path, 99) == []
    gone = {**node, "pid": 0, "last_exit_ns": 40, "last_exit": "killed by SIGKILL"}
    assert write(2, node=gone) == [Event(40, "process_ended", "node", "killed by SIGKILL")]
    again = {**gone, "pid": 6, "since_ns": 50}
    assert write(3, node=again) == [Event(50, "process_started", "node")]
    ended = {"pid": 0, "last_exit_ns": 60, "last_exit": "exit 0", "detail": "ended"}
    path.write_text(json.dumps({"state": "ending", "t_ns": 70, "children": {"node": again, "simulator": ended}}))
    os.utime(path, ns=(5, 5))
    assert states.look(path, 99) == [Event(60, "run_ending", "supervisor")]
    path.write_text("{")
    os.utime(path, ns=(4, 4))
    assert states.look(path, 99) == []


def test_a_successor_tells_what_ended_since_the_last_frame_it_finds(tmp_path: Path) -> None:
    path = tmp_path / "supervisor.json"
    children = {
        "node": {"pid": 6, "last_exit_ns": 40, "last_exit": "killed", "since_ns": 50},
        "service": {"pid": 7, "last_exit_ns": 20, "last_exit": "killed", "since_ns": 30},
        "darkroom": {"pid": 8, "last_exit_ns": 0, "last_exit": "", "since_ns": 3},
    }
    path.write_text(json.dumps({"children": children}))
    expected = [Event(40, "process_ended", "node", "killed"), Event(50, "process_started", "node")]
    assert RoleStates(30).look(path, 99) == expected
    assert RoleStates().look(path, 99) == []


def test_it_loads_no_numpy() -> None:
    program = (
        "import sys, controller.processes.recorder\n"
        "print([name for name in ('numpy', 'pydantic', 'sqlite3', 'asyncio', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
