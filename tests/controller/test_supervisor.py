"""The supervisor, with real processes: small children that beat, die, hang or refuse to end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.processes.run_spec import HeartbeatSpec, RestartSpec, RoleSpec, RunSpec, SupervisorError
from controller.processes.supervisor import RestartLimit, read_state, sweep_dead_runs

PATIENCE_S = 20.0
BEAT = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
run_dir, name = sys.argv[1:3]
def beat():
    with open(f"{run_dir}/.{name}.beat", "wb") as file:
        file.write(time.monotonic_ns().to_bytes(8, "little"))
    os.rename(f"{run_dir}/.{name}.beat", f"{run_dir}/{name}.beat")
"""
BEATS = BEAT + "while True:\n    beat()\n    time.sleep(0.03)\n"
IDLES = "import time\ntime.sleep(600)\n"


class House:
    """One supervisor on trial."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.process: subprocess.Popen[str] | None = None

    def role(self, name: str, script: str = BEATS, **fields: Any) -> RoleSpec:
        heartbeat = HeartbeatSpec(f"{name}.beat", timeout_s=0.4, start_timeout_s=5.0) if "beat()" in script else None
        argv = (sys.executable, "-I", "-S", "-c", script, str(self.run_dir), name)
        return RoleSpec(**{"name": name, "argv": argv, "heartbeat": heartbeat, **fields})

    def start(self, *roles: RoleSpec, **fields: Any) -> None:
        spec = RunSpec("test", str(self.run_dir), roles, **fields)
        path = self.run_dir / "spec.json"
        path.write_text(spec.to_json())
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "controller.processes.supervisor", str(path)],
            stderr=subprocess.PIPE,
            text=True,
        )

    def state(self) -> dict[str, Any]:
        return read_state(self.run_dir) or {"children": {}, "alarms": []}

    def child(self, name: str) -> dict[str, Any]:
        child: dict[str, Any] = self.state()["children"].get(name, {"state": "", "pid": 0, "restarts": 0})
        return child

    def until(self, condition: Callable[[], bool]) -> float:
        """Wait for a condition; how long it took, in seconds."""
        began = time.monotonic()
        while not condition():
            assert self.process is not None
            assert time.monotonic() - began < PATIENCE_S, self.state()
            assert self.process.poll() is None or condition(), self.process.communicate()
            time.sleep(0.005)
        return time.monotonic() - began

    def running(self, *names: str) -> None:
        self.until(lambda: all(self.child(name)["state"] == "running" for name in names))

    def end(self) -> tuple[int, list[dict[str, Any]]]:
        """Exit code and log lines."""
        assert self.process is not None
        _, errors = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, [json.loads(line) for line in errors.splitlines() if line.startswith("{")]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    run_dir = tmp_path / "openvolume-test"
    run_dir.mkdir()
    house = House(run_dir)
    yield house
    if house.process is not None:
        if house.process.poll() is None:
            house.process.kill()
        if house.process.stderr is not None and not house.process.stderr.closed:
            house.process.communicate()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_role_that_ends_the_run_ends_it_well(house: House) -> None:
    house.start(
        house.role("conductor", BEAT + "beat()\ntime.sleep(0.3)\n", ends_run=True),
        house.role("node_0"),
    )
    house.running("node_0")
    node_pid = house.child("node_0")["pid"]
    code, lines = house.end()
    assert code == 0
    assert not alive(node_pid)
    assert not house.run_dir.exists()
    assert "conductor is done" in lines[-1]["message"]
    assert "restarts none, alarms none, exit 0" in lines[-1]["message"]


def test_children_are_direct_in_the_same_group_and_deaf_to_ctrl_c(house: House) -> None:
    house.start(house.role("node_0"), house.role("service", IDLES))
    house.running("node_0", "service")
    assert house.process is not None
    for name in ("node_0", "service"):
        pid = house.child(name)["pid"]
        assert os.getpgid(pid) == os.getpgid(house.process.pid)
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        assert int(status["PPid"]) == house.process.pid
        assert int(status["SigIgn"], 16) >> (signal.SIGINT - 1) & 1
        assert house.child(name)["start_ticks"] > 0
    house.process.send_signal(signal.SIGINT)
    code, lines = house.end()
    assert code == 130
    assert "interrupted" in lines[-1]["message"]


def test_roles_end_last_started_first(house: House) -> None:
    script = BEATS.replace(
        "lambda *_: os._exit(0)",
        "lambda *_: (open(run_dir + '/../order', 'a').write(name + '\\n'), time.sleep(0.1), os._exit(0))",
    )
    house.start(*(house.role(name, script) for name in ("conductor", "node_0", "service")))
    house.running("conductor", "node_0", "service")
    assert house.process is not None
    house.process.terminate()
    assert house.end()[0] == 0
    assert (house.run_dir.parent / "order").read_text().split() == ["service", "node_0", "conductor"]


@pytest.mark.timing
def test_a_killed_role_runs_again_within_a_second_and_the_others_go_on(house: House) -> None:
    house.start(house.role("conductor"), house.role("node_0"))
    house.running("conductor", "node_0")
    other, pid = house.child("conductor")["pid"], house.child("node_0")["pid"]
    os.kill(pid, signal.SIGKILL)
    took = house.until(lambda: house.child("node_0")["restarts"] == 1 and house.child("node_0")["state"] == "running")
    assert took < 1.0
    assert house.child("node_0")["pid"] != pid
    assert house.child("node_0")["last_exit"] == "killed by SIGKILL"
    assert house.child("conductor")["pid"] == other
    assert house.child("conductor")["restarts"] == 0


def test_a_stopped_role_is_found_hung_and_runs_again(house: House) -> None:
    house.start(house.role("node_0"))
    house.running("node_0")
    pid = house.child("node_0")["pid"]
    os.kill(pid, signal.SIGSTOP)
    house.until(lambda: house.child("node_0")["restarts"] == 1 and house.child("node_0")["state"] == "running")
    assert "hung: no heartbeat for" in house.child("node_0")["last_exit"]
    assert not alive(pid)


def test_a_role_that_never_beats_is_hung_too(house: House) -> None:
    role = house.role("node_0", BEAT + "time.sleep(600)  # never calls beat()\n")
    house.start(
        house.role("conductor"),
        RoleSpec(**{**vars_of(role), "heartbeat": HeartbeatSpec("node_0.beat", start_timeout_s=0.3)}),
    )
    house.until(lambda: house.child("node_0")["restarts"] >= 1)
    assert "no first heartbeat" in house.child("node_0")["last_exit"]


def test_the_beat_of_an_earlier_life_does_not_count(house: House) -> None:
    (house.run_dir / "node_0.beat").write_bytes(time.monotonic_ns().to_bytes(8, "little"))
    role = house.role("node_0", BEAT + "time.sleep(600)  # never calls beat()\n")
    house.start(house.role("conductor"), role)
    house.running("conductor")
    assert house.child("node_0")["state"] == "starting"


def test_a_role_that_keeps_failing_is_given_up_with_an_alarm_and_the_rest_goes_on(house: House) -> None:
    house.start(
        house.role("conductor"),
        house.role("node_0", "raise SystemExit(7)", restart=RestartSpec(intensity=3, first_delay_s=0.01)),
    )
    house.until(lambda: house.child("node_0")["state"] == "failed")
    assert house.child("node_0")["restarts"] == 3
    (alarm,) = house.state()["alarms"]
    assert alarm["code"] == "controller.role_given_up"
    assert alarm["path"] == "processes/node_0"
    assert "exit 7; over 3 restarts in 10 s" in alarm["detail"]
    assert alarm["mend"]
    house.running("conductor")
    assert house.process is not None
    house.process.terminate()
    code, lines = house.end()
    assert code == 0
    assert "restarts node_0 3, alarms node_0" in lines[-1]["message"]


def test_a_given_up_role_is_tried_again_and_its_alarm_goes_once_it_runs(house: House) -> None:
    script = f"import os, sys\nif not os.path.exists(sys.argv[1] + '/mended'): sys.exit(1)\n{BEATS}"
    restart = RestartSpec(intensity=1, period_s=0.3, first_delay_s=0.01, retry_after_s=0.2)
    house.start(house.role("conductor"), house.role("node_0", script, restart=restart))
    house.until(lambda: house.child("node_0")["state"] == "failed")
    (house.run_dir / "mended").touch()
    house.running("node_0")
    house.until(lambda: not house.state()["alarms"])


def test_an_exit_that_a_restart_cannot_help_is_not_repeated(house: House) -> None:
    house.start(house.role("conductor"), house.role("service", "raise SystemExit(2)"))
    house.until(lambda: house.child("service")["state"] == "failed")
    assert house.child("service")["restarts"] == 0
    assert "a restart would not help" in house.state()["alarms"][0]["detail"]


@pytest.mark.parametrize(("exit_code", "expected"), [(3, 3), (2, 2), (9, 1)])
def test_a_critical_role_that_is_given_up_ends_the_run(house: House, exit_code: int, expected: int) -> None:
    restart = RestartSpec(intensity=1, first_delay_s=0.01)
    house.start(
        house.role("conductor"),
        house.role("node_0", f"raise SystemExit({exit_code})", critical=True, restart=restart),
    )
    code, lines = house.end()
    assert code == expected
    assert f"node_0 failed: exit {exit_code}" in lines[-1]["message"]


def test_a_program_that_is_not_there_is_an_alarm(house: House) -> None:
    lost = RoleSpec("node_0", ("/nowhere/openvolume",), restart=RestartSpec(intensity=1, first_delay_s=0.01))
    house.start(house.role("conductor"), lost)
    house.until(lambda: house.child("node_0")["state"] == "failed")
    assert "could not start" in house.child("node_0")["last_exit"]


def test_a_role_may_be_done_before_the_others(house: House) -> None:
    house.start(house.role("conductor"), house.role("sender", "pass", restart=RestartSpec(when="failure")))
    house.until(lambda: house.child("sender")["state"] == "stopped")
    house.running("conductor")
    assert house.child("sender")["restarts"] == 0


def test_a_role_that_will_not_end_is_killed_after_its_grace(house: House) -> None:
    stubborn = BEAT + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True:\n    beat()\n    time.sleep(0.03)\n"
    house.start(house.role("node_0", stubborn, stop_grace_s=0.2))
    house.running("node_0")
    pid = house.child("node_0")["pid"]
    assert house.process is not None
    house.process.terminate()
    code, lines = house.end()
    assert code == 0
    assert not alive(pid)
    assert any("did not end within 0.2 s" in line["message"] for line in lines)


def test_nothing_outlives_a_killed_supervisor_and_the_next_run_sweeps_its_directory(house: House) -> None:
    house.start(house.role("node_0"), house.role("service", IDLES))
    house.running("node_0", "service")
    pids = [house.child(name)["pid"] for name in ("node_0", "service")]
    assert sweep_dead_runs(house.run_dir.parent) == []
    assert house.process is not None
    house.process.kill()
    house.process.wait()
    began = time.monotonic()
    while any(alive(pid) for pid in pids):
        assert time.monotonic() - began < PATIENCE_S
        time.sleep(0.01)
    assert sweep_dead_runs(house.run_dir.parent) == [house.run_dir]
    assert not house.run_dir.exists()


def test_a_stopped_supervisor_does_not_blame_its_children_when_it_goes_on(house: House) -> None:
    house.start(house.role("node_0"))
    house.running("node_0")
    assert house.process is not None
    pid = house.child("node_0")["pid"]
    # As a terminal's Ctrl-Z and fg do: all stand still, all go on.
    for each in (house.process.pid, pid):
        os.kill(each, signal.SIGSTOP)
    time.sleep(0.8)
    for each in (house.process.pid, pid):
        os.kill(each, signal.SIGCONT)
    time.sleep(0.3)
    assert house.child("node_0")["pid"] == pid
    assert house.child("node_0")["restarts"] == 0


def test_inherited_descriptors_niceness_and_environment_reach_the_role(house: House) -> None:
    script = (
        "import os, sys\n"
        "open(sys.argv[1] + '/../seen', 'w').write(f'{os.read(int(os.environ[\"FD\"]), 5).decode()} {os.nice(0)}')\n"
    )
    reader, writer = os.pipe()
    os.write(writer, b"hello")
    os.set_inheritable(reader, True)
    niceness = os.nice(0)
    role = house.role(
        "sender", script, nice=2, env={"FD": str(reader)}, pass_fds=(reader,), ends_run=True, cpus=(0, 999)
    )
    spec = RunSpec("test", str(house.run_dir), (role,))
    path = house.run_dir / "spec.json"
    path.write_text(spec.to_json())
    command = [sys.executable, "-P", "-m", "controller.processes.supervisor", str(path)]
    done = subprocess.run(command, pass_fds=(reader,), capture_output=True, text=True, timeout=PATIENCE_S)
    os.close(reader)
    os.close(writer)
    assert done.returncode == 0, done.stderr
    assert (house.run_dir.parent / "seen").read_text() == f"hello {niceness + 2}"


def test_a_run_may_keep_its_directory(house: House) -> None:
    house.start(house.role("conductor", "pass", ends_run=True), keep_run_dir=True)
    assert house.end()[0] == 0
    state = read_state(house.run_dir)
    assert state is not None
    assert state["state"] == "ended"
    assert state["exit_code"] == 0


def test_two_supervisors_do_not_share_a_run(house: House) -> None:
    house.start(house.role("node_0"))
    house.running("node_0")
    second = subprocess.run(
        [sys.executable, "-P", "-m", "controller.processes.supervisor", str(house.run_dir / "spec.json")],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert second.returncode == 2
    assert "another supervisor" in second.stderr
    house.running("node_0")


def test_openvolume_run_becomes_the_supervisor(house: House) -> None:
    script = textwrap.dedent(f"""
        import os, sys
        from controller.processes.run_spec import RoleSpec, RunSpec, become_supervisor
        open({str(house.run_dir.parent / "pid")!r}, "w").write(str(os.getpid()))
        role = RoleSpec("conductor", (sys.executable, "-I", "-S", "-c", {IDLES!r}))
        become_supervisor(RunSpec("test", {str(house.run_dir)!r}, (role,)))
    """)
    house.process = subprocess.Popen([sys.executable, "-P", "-c", script], stderr=subprocess.PIPE, text=True)
    house.running("conductor")
    assert house.state()["pid"] == house.process.pid == int((house.run_dir.parent / "pid").read_text())
    house.process.terminate()
    assert house.end()[0] == 0


def test_the_status_file_is_what_the_other_processes_read(house: House) -> None:
    msgspec = pytest.importorskip("msgspec")
    status_of = pytest.importorskip("controller.status")
    house.start(house.role("conductor"), house.role("node_0", "raise SystemExit(2)"))
    house.until(lambda: house.child("node_0")["state"] == "failed")
    data = (house.run_dir / "supervisor.json").read_bytes()
    status = msgspec.json.decode(data, type=status_of.SupervisorStatus)
    assert status.children["node_0"].last_exit == "exit 2"
    (alarm,) = msgspec.convert(json.loads(data)["alarms"], type=list[status_of.Alarm])
    assert alarm.severity == "critical"


def test_the_restart_limit_backs_off_and_forgets_with_time() -> None:
    limit = RestartLimit(RestartSpec(intensity=4, period_s=10, first_delay_s=0.1, most_delay_s=0.5))
    second = 1_000_000_000
    assert [limit.next_delay_s(i * second) for i in range(5)] == [0.1, 0.2, 0.4, 0.5, None]
    assert limit.next_delay_s(12 * second) == 0.4
    limit.forget()
    assert limit.next_delay_s(12 * second) == 0.1


def test_every_default_delay_is_under_a_second() -> None:
    limit = RestartLimit(RestartSpec(intensity=100))
    delays = [limit.next_delay_s(0) for _ in range(100)]
    assert all(delay is not None and delay < 1.0 for delay in delays)


def test_a_specification_survives_the_round_trip(tmp_path: Path) -> None:
    role = RoleSpec(
        "node_0",
        ("a", "b"),
        {"X": "1"},
        HeartbeatSpec("node_0.ring", 48, 0.2),
        RestartSpec("failure", 2),
        nice=10,
        cpus=(1,),
        pass_fds=(5,),
    )
    spec = RunSpec("test", str(tmp_path), (role, RoleSpec("service", ("c",))), keep_run_dir=True)
    assert RunSpec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "no JSON"),
        ("[]", "is no object"),
        ('{"run": "a", "run_dir": "b"}', "missing keys ['roles']"),
        ('{"run": "a", "run_dir": "b", "roles": []}', "at least one role"),
        ('{"run": "a", "run_dir": "b", "roles": [{"name": "x", "argv": []}]}', "argv"),
        ('{"run": "a", "run_dir": "b", "roles": [{"name": "x", "argv": ["y"], "nic": 1}]}', "unknown keys ['nic']"),
        ('{"run": "a", "run_dir": "b", "roles": [{"name": "x", "argv": ["y"]}, {"name": "x", "argv": ["y"]}]}', "own"),
        ('{"run": "a", "run_dir": "b", "roles": [{"name": "x", "argv": ["y"], "restart": {"when": "no"}}]}', "when"),
    ],
)
def test_a_bad_specification_is_refused_by_name(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(SupervisorError) as caught:
        RunSpec.from_json(text)
    assert told in str(caught.value)


def test_a_bad_specification_exits_2(tmp_path: Path) -> None:
    path = tmp_path / "spec.json"
    for text in (None, "{}"):
        if text is not None:
            path.write_text(text)
        command = [sys.executable, "-P", "-m", "controller.processes.supervisor", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
        assert done.returncode == 2
        assert done.stderr.startswith("controller.supervisor ")


def vars_of(role: RoleSpec) -> dict[str, Any]:
    return {name: getattr(role, name) for name in RoleSpec.__dataclass_fields__}


def test_a_role_comes_after_those_it_names_and_waits_no_longer_than_they_take(house: House) -> None:
    house.start(house.role("late", after=("node_0",)), house.role("node_0"))
    house.running("late", "node_0")
    assert house.child("late")["since_ns"] > house.child("node_0")["since_ns"]


def test_a_role_that_comes_after_one_that_fails_comes_all_the_same(house: House) -> None:
    broken = house.role("node_0", "raise SystemExit(3)", restart=RestartSpec(when="never"))
    house.start(house.role("late", after=("node_0",)), broken)
    house.running("late")


def test_after_names_a_role_of_the_run() -> None:
    spec = RunSpec("test", "/dev/shm", (RoleSpec("a", ("true",), after=("b",)),))
    with pytest.raises(SupervisorError, match="after"):
        RunSpec.from_json(spec.to_json())
