"""Control messages and statuses: they round-trip, are told apart, and nothing foreign is taken for one."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from controller import messages
from controller.messages import (
    MAX_DATAGRAM,
    Abort,
    Commit,
    Committed,
    CompileScene,
    Connect,
    Connected,
    Disregard,
    DrawThumbnail,
    Failed,
    HearOnly,
    JamTime,
    LibraryChanged,
    LibraryRefused,
    LoadScene,
    LookStill,
    NotConnected,
    PhotoFailed,
    PhotoReady,
    PhotoRequest,
    Prepare,
    Prepared,
    ProcessorNotSet,
    ProcessorSet,
    RehearseEdits,
    RestoreProcessor,
    RestoreVersion,
    SceneCompiled,
    SceneLoaded,
    SceneRefused,
    SetProcessor,
    TagEntry,
    ThumbnailDrawn,
    TimeJammed,
    TimeNotJammed,
    decode,
    encode,
    message_schema,
)
from controller.processors.keeper import SetResult
from controller.rundir import RunDir, replace_file, runs
from controller.st2110.connection import Connection, Leg
from stage.errors import Problem

PROBLEM = Problem("renderer.memory", "scenes/hall", "no room", 12, "make it smaller", 7)
ALL = [
    Prepare(3, 2, "service.sock", scenes_changed=True),
    Prepared(3, "conductor", 1.5),
    Failed(3, "n0", [PROBLEM, PROBLEM]),
    Commit(3, "service.sock", 100),
    Committed(3, 101),
    Abort(3),
    PhotoRequest("a", 1, "service.sock", 960, "truth", 5),
    LookStill(2, "service.sock", 320, 7),
    PhotoReady("a", 1, 2, 5, 40.0),
    PhotoFailed("a", 1, [PROBLEM]),
    CompileScene("hall", 5, "service.sock"),
    SceneCompiled("hall", 5, "0" * 32, 100.0, cached=True),
    LoadScene("hall", "0" * 32, "/state/hall.scene", 6, "service.sock", [1.0] * 16),
    SceneLoaded("hall", 6, "n0", 20.0),
    SceneRefused("hall", 6, "n0", [PROBLEM]),
    RehearseEdits("hall", "0f" * 16, {"sky/haze": 2.0}, 9, "service.sock"),
    DrawThumbnail("/lib/crate.glb", "asset", "/state/a.jpg", 3, "librarian.sock"),
    ThumbnailDrawn(3, 41.5, [PROBLEM]),
    RestoreVersion("0123456789abcdef", "0f" * 16, 4, "service.sock"),
    TagEntry("0123456789abcdef", None, ["hero"], 5, "service.sock"),
    LibraryChanged(5),
    LibraryRefused(4, [PROBLEM]),
    JamTime(4, "service.sock", 900),
    HearOnly([("127.0.0.1", 40123), ("10.0.0.7", 40124)], 2000),
    TimeJammed(4, 901),
    TimeNotJammed(4, [PROBLEM]),
    SetProcessor("led1", {"brightness_nits": 800, "gamma": 2.2, "blackout": True, "input": "sdi/1"}, 7, "service.sock"),
    RestoreProcessor("led1", 8, "service.sock", dry_run=True),
    ProcessorSet("led1", 7, [SetResult("gamma", 2.2, 2.4, "ignored", "it still says 2.4")]),
    ProcessorNotSet("led1", 8, [PROBLEM]),
    Connect("left", Connection([Leg("239.1.1.1", 5004, "10.0.0.1", 5004)], receiver="r"), 9, "service.sock", 10**18),
    Disregard("left", 9),
    Connected("left", 9, 1000, 10**18),
    NotConnected("left", 9, [PROBLEM]),
]


@pytest.mark.parametrize("message", ALL, ids=lambda message: type(message).__name__)
def test_a_message_comes_back_as_it_went(message: messages.Message) -> None:
    assert decode(encode(message)) == message


OF_MESSAGES = ("Problem", "SetResult", "Connection", "Leg")


def test_every_message_is_tested_and_published() -> None:
    told = {definition for definition in message_schema()["$defs"] if definition not in OF_MESSAGES}
    assert told == {type(message).__name__ for message in ALL}
    assert len({msgspec.msgpack.decode(encode(message))["type"] for message in ALL}) == len(ALL)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"\xc1",
        msgspec.msgpack.encode({"type": "prepare"}),
        msgspec.msgpack.encode({"type": "launch", "version": 1}),
        msgspec.msgpack.encode({"type": "commit", "version": "1", "reply_to": "x"}),
        msgspec.msgpack.encode([1, 2, 3]),
        encode(ALL[0])[:-1],
    ],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode(data)


def test_many_problems_fit_a_datagram() -> None:
    assert len(encode(Failed(1, "n0", [PROBLEM] * 100))) < MAX_DATAGRAM


# --- the run directory ------------------------------------------------------------------------------------------


def test_a_snapshot_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    run = RunDir.create("x", root=tmp_path)
    assert (run.run, run.current_version()) == ("x", 0)
    run.write_snapshot(3, b"three")
    run.set_current_version(3)
    assert run.current_version() == 3
    assert run.snapshot(3).read_bytes() == b"three"
    assert [path.name for path in run.path.iterdir() if path.name.startswith(".")] == []
    (run.path / "show.current").write_text("half a numb")
    assert run.current_version() == 0


def test_old_snapshots_are_dropped(tmp_path: Path) -> None:
    run = RunDir.create("x", root=tmp_path)
    for version in range(1, 8):
        run.write_snapshot(version, b"x")
    run.drop_snapshots(keep_from=5)
    assert sorted(path.name for path in run.path.glob("show-*")) == [f"show-{n}.msgpack" for n in (5, 6, 7)]


def test_every_name_of_a_run_is_its_own(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "openvolume-x")
    paths = [
        run.plans, run.conductor_status, run.node_status("a"), run.reports("a"), run.canvas("a"), run.photo("a"),
        run.conductor_socket, run.node_socket("a"), run.darkroom_socket, run.darkroom_status, run.service_socket,
        run.snapshot(1), run.action_word, run.supervisor_status, run.service_address,
    ]  # fmt: skip
    assert len(set(paths)) == len(paths)


def test_runs_nodes_and_canvases_are_found(tmp_path: Path) -> None:
    for name in ("one", "two"):
        RunDir.create(name, root=tmp_path)
    assert {run.run for run in runs(root=tmp_path)} == {"one", "two"}
    run = RunDir.create("one", root=tmp_path)
    for path in (run.node_status("n1"), run.node_status("n0"), run.canvas("left"), run.reports("n0")):
        path.touch()
    assert (run.nodes(), run.canvases()) == (["n0", "n1"], ["left"])


def test_a_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "f"
    replace_file(path, b"old")
    inode = path.stat().st_ino
    replace_file(path, b"new")
    assert (path.read_bytes(), path.stat().st_ino != inode) == (b"new", True)
    assert list(tmp_path.iterdir()) == [path]
