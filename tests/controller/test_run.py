"""Which processes `openvolume run` starts, and with what."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from controller.processes.run_spec import RunSpec
from controller.run import STANDING_BACK, PortError, check_inputs, listen, port_owner, run_spec
from controller.rundir import RunDir
from tracking.errors import ListenError


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with listen("127.0.0.1", 0) as made:
        yield made


def test_roles_in_starting_order_each_watched(shm: Path, housekit: ModuleType, listener: socket.socket) -> None:
    loaded = housekit.loaded_of(housekit.minimal_text())
    spec = run_spec(RunDir(shm), loaded=loaded, listener=listener)
    roles = {role.name: role for role in spec.roles}
    # They end in the opposite order: those that tell of the others last.
    began = [
        "metronome", "recorder", "conductor", "node-main", "service", "darkroom", "relay", "capture", "drawer",
        "processors", "windows", "librarian", "sender",
    ]  # fmt: skip
    assert list(roles) == began
    assert all(role.heartbeat is not None for role in roles.values())
    assert all(role.argv[1:3] == ("-P", "-m") for role in roles.values())
    assert roles["service"].pass_fds == (listener.fileno(),)
    assert roles["darkroom"].nice == 10
    assert roles["conductor"].nice == roles["node-main"].nice
    # It stands back while Python is read, and comes forward by itself where it may.
    assert roles["service"].nice == (STANDING_BACK if "--urgent" in roles["service"].argv else 8)
    assert not any(role.ends_run or role.critical for role in roles.values())
    assert all(role.restart.when == "always" for role in roles.values())
    assert RunSpec.from_json(spec.to_json()) == spec


def test_what_the_first_picture_does_not_need_begins_after_it(
    shm: Path, housekit: ModuleType, listener: socket.socket
) -> None:
    loaded = housekit.loaded_of(housekit.minimal_text())
    spec = run_spec(RunDir(shm), loaded=loaded, listener=listener)
    waiting = {role.name for role in spec.roles if "node-main" in role.after}
    # Service and darkroom read their Python while nothing is drawn yet: later it would cost pictures.
    assert waiting == {
        "metronome", "recorder", "relay", "capture", "drawer", "processors", "windows", "librarian", "sender",
    }  # fmt: skip


def test_the_recorder_writes_beside_the_shows_database_or_not_at_all(
    shm: Path, housekit: ModuleType, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/somewhere")
    text = housekit.minimal_text()
    spec = run_spec(RunDir(shm), loaded=housekit.loaded_of(text), listener=listener)
    recorder = next(role for role in spec.roles if role.name == "recorder")
    name = housekit.loaded_of(text).name
    folder = f"/somewhere/openvolume/{name}/ledger"
    assert recorder.argv[-6:] == ("--folder", folder, "--keep-mb", "500", "--show", name)
    for ledger, expected in (("null", None), ("{keep_mb: 20.5}", "20.5")):
        changed = housekit.loaded_of(text.replace("osc: null", f"osc: null\n  ledger: {ledger}"))
        spec = run_spec(RunDir(shm), loaded=changed, listener=listener)
        found = [role.argv[role.argv.index("--keep-mb") + 1] for role in spec.roles if role.name == "recorder"]
        assert found == ([] if expected is None else [expected])


def test_a_recorded_run(shm: Path, housekit: ModuleType, listener: socket.socket) -> None:
    text = housekit.minimal_text().replace("osc: null", "osc: null\n  ledger: null")
    spec = run_spec(RunDir(shm), loaded=housekit.loaded_of(text), listener=listener, record=True)
    (recorder,) = (role for role in spec.roles if role.name == "recorder")
    assert recorder.argv[recorder.argv.index("--keep-mb") + 1] == "0"  # no ledger is asked for
    assert recorder.after == ()  # it is there before the first datagram


def test_a_counted_and_simulated_run(shm: Path, housekit: ModuleType, listener: socket.socket) -> None:
    loaded = housekit.loaded_of(housekit.minimal_text())
    report = shm / "r.json"
    spec = run_spec(RunDir(shm), loaded=loaded, listener=listener, simulate=True, frames=10, report=report)
    roles = {role.name: role for role in spec.roles}
    assert list(roles)[-1] == "simulator"
    conductor = roles["conductor"]
    assert conductor.argv[-4:] == ("--frames", "10", "--report", str(report))
    assert (conductor.ends_run, conductor.restart.when) == (True, "failure")
    assert roles["node-main"].critical, "without a node a counted run would never end"


def test_software_gl_draws_without_raster_threads_whatever_the_shell_says(
    shm: Path, housekit: ModuleType, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They crash long runs (docs/decisions/009)."""
    monkeypatch.setenv("LP_NUM_THREADS", "7")
    spec = run_spec(RunDir(shm), loaded=housekit.loaded_of(housekit.minimal_text()), listener=listener)
    assert {role.name: role.env.get("LP_NUM_THREADS") for role in spec.roles} == {
        "metronome": None,
        "recorder": None,
        "conductor": None,
        "node-main": "0",
        "service": None,
        "darkroom": "0",
        "relay": None,
        "capture": None,
        "drawer": "0",
        "processors": None,
        "windows": "0",
        "librarian": None,
        "sender": None,
    }


def test_a_taken_page_port_names_its_owner(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    assert f"pid {os.getpid()}" in port_owner(port)
    with pytest.raises(PortError, match=rf"127\.0\.0\.1:{port}: Address already in use \(held by .*pid"):
        listen("127.0.0.1", port)
    with pytest.raises(PortError, match="control/http/host"):
        listen("no.such.host.invalid", 0)


def test_inputs_are_checked_and_let_go_again(housekit: ModuleType) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        taken = housekit.loaded_of(housekit.minimal_text(listen=f"127.0.0.1:{port}")).config
        with pytest.raises(ListenError, match="tracking/sources/tracker/listen"):
            check_inputs(taken)
        osc = housekit.loaded_of(housekit.minimal_text().replace("osc: null", f"osc: {{port: {port}}}")).config
        with pytest.raises(PortError, match="control/osc/port"):
            check_inputs(osc)
    for _ in range(2):
        check_inputs(taken)
        check_inputs(osc)
