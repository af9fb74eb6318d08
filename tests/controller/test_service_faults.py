"""The service beside the others, when its disk or its life ends: rows S3 and S5, and kill -9 in mid write.

What was acknowledged is looked for in the database as the kill left it, not in what a restarted service says: that
takes in what runs, and would hide a change that was told before it was kept.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import httpx
import pytest

from controller.rundir import RunDir
from controller.show import Show
from controller.store import Store
from runtime.ring import KIND_PLANS, RingReader

WRITERS = 3


@pytest.fixture
def processes(servicekit: ModuleType, tmp_path: Path) -> Iterator[Any]:
    found = servicekit.Processes(tmp_path)
    try:
        found.began()
        yield found
    finally:
        found.close()


def newest_plan(run: RunDir) -> int:
    reader = RingReader.open(run.plans, kind=KIND_PLANS)
    slot = reader.latest()
    reader.close()
    return 0 if slot is None else slot.frame


def kept(state: Path, scratch: Path) -> Show:
    """The newest show in a database that nobody closed: a copy of it, as the disk has it now."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    for path in state.glob("show.db*"):
        shutil.copy(path, scratch)
    with Store(scratch) as store:
        assert store.damaged is None
        assert store.audit_faults() == []
        last = store.last()
    assert last is not None
    return last[1]


class Writer(threading.Thread):
    """Changes one value over and over, and remembers what was acknowledged."""

    def __init__(self, url: str, address: str, field: str) -> None:
        super().__init__(daemon=True)
        self.url, self.address, self.field = url, address, field
        self.stop = threading.Event()
        self.tried = 0
        self.acknowledged: tuple[int, int] = (0, 0)
        """Revision and value."""
        self.count = 0

    def run(self) -> None:
        client = httpx.Client(base_url=f"{self.url}/api/v1/", timeout=5)
        while not self.stop.is_set():
            self.tried = self.tried % 40 + 1
            try:
                answer = client.patch(self.address, json={self.field: self.tried / 10})
            except httpx.HTTPError:
                client.close()
                client = httpx.Client(base_url=f"{self.url}/api/v1/", timeout=5)
                self.stop.wait(0.02)
                continue
            if answer.status_code == 200:
                self.acknowledged = (answer.json()["rev"], self.tried)
                self.count += 1
        client.close()


AFTER: Final = 2
"""So many changes of each writer are acknowledged before the kill."""


def kill_in_mid_write(servicekit: ModuleType, processes: Any, times: int, scratch: Path) -> int:
    """Kill the service so often while others write; how many changes were acknowledged in all."""
    until = servicekit.until
    total = 0
    for _ in range(times):
        writers = [
            Writer(processes.url, "cameras/a", "soft_edge_deg"),
            Writer(processes.url, "cameras/a", "overscan_margin_deg"),
            Writer(processes.url, "show", "exposure_ev"),
        ]
        for writer in writers:
            writer.start()
        until(lambda writers=writers: all(writer.count >= AFTER for writer in writers), 40)
        before = newest_plan(processes.run)
        processes.service.kill()
        processes.service.wait(10)
        for writer in writers:
            writer.stop.set()
        for writer in writers:
            writer.join(20)
            assert not writer.is_alive()
        on_disk = kept(processes.state, scratch)
        until(lambda before=before: newest_plan(processes.run) > before + 5, 40)
        processes.start_service()
        show = until(lambda: _get(processes, "show"), 40)
        camera = until(lambda: _get(processes, "cameras/a"), 40)
        told = {"show": show, "cameras/a": camera}
        stored = {"show": on_disk, "cameras/a": on_disk.cameras["a"]}
        for writer in writers:
            rev, value = writer.acknowledged
            assert on_disk.version >= rev, "an acknowledged change never was on the disk"
            assert show["rev"] >= rev, "an acknowledged change is gone"
            # What was tried last may have been kept and never acknowledged; nothing older may come back.
            good = (value / 10, writer.tried / 10, (value % 40 + 1) / 10)
            assert getattr(stored[writer.address], writer.field) in good
            assert told[writer.address][writer.field] in good
        total += sum(writer.count for writer in writers)
    with Store(processes.state) as store:
        assert store.damaged is None
        assert store.audit_faults() == []
    return total


def _get(processes: Any, path: str) -> Any:
    try:
        answer = processes.client.get(path)
    except httpx.HTTPError:
        return None
    return answer.json() if answer.status_code == 200 else None


def test_kill_9_in_the_middle_of_writes(servicekit: ModuleType, processes: Any, tmp_path: Path) -> None:
    assert kill_in_mid_write(servicekit, processes, 2, tmp_path / "found") >= 2 * 3 * AFTER


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_kill_9_twenty_times_in_the_middle_of_writes(servicekit: ModuleType, processes: Any, tmp_path: Path) -> None:
    assert kill_in_mid_write(servicekit, processes, 20, tmp_path / "found") >= 20 * 3 * AFTER


def test_a_database_that_is_damaged_under_a_running_show(servicekit: ModuleType, processes: Any) -> None:
    until = servicekit.until
    # An answer of 503 until pictures are there is an answer, too.
    until(lambda: processes.client.get("health").json()["conductor"] == "running", 40)
    processes.patch(rank=3)
    with Store(processes.state) as store:
        backup = store.back_up(10**18)
    assert backup is not None
    rev = processes.patch(soft_edge_deg=1.75)["rev"]
    processes.service.kill()
    processes.service.wait(10)
    database = processes.state / "show.db"
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    database.write_bytes(b"no database" + database.read_bytes()[11:])
    processes.start_service()
    camera = until(lambda: _get(processes, "cameras/a"), 40)
    # What runs goes on running, though the backup does not know the last change of it.
    assert (camera["rank"], camera["soft_edge_deg"]) == (3, 1.75)
    (alarm,) = [alarm for alarm in _get(processes, "alarms")["alarms"] if alarm["code"] == "store.damaged"]
    assert "show.db.damaged-1" in alarm["detail"]
    assert backup.name in alarm["detail"]
    assert processes.patch(rank=4)["rev"] > rev
    with Store(processes.state) as store:
        last = store.last()
        assert last is not None
        assert last[1].cameras["a"].soft_edge_deg == 1.75
        assert last[1].cameras["a"].rank == 4
