"""The scripts a newcomer runs: set-up does its work once and only once, and the tests' two passes are told apart."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

FAKE_PYTHON = """#!/usr/bin/env bash
# Stands in for .venv/bin/python: notes what it is asked to do, and answers as told.
echo "$@" >>"$LOG"
case "$*" in
    *"not timing"*) exit "${FIRST:-0}" ;;
    *timing*) exit "${SECOND:-0}" ;;
esac
"""
FAKE_COMMANDS = {
    # A machine whose Python is whole but which has no OpenGL until apt-get has brought it.
    "python3": '#!/usr/bin/env bash\n[[ "$*" != *EGL* || -f "$LOG.apt" ]]\n',
    "apt-get": '#!/usr/bin/env bash\necho "apt-get $*" >>"$LOG"\n[[ $1 == install ]] && touch "$LOG.apt"\n',
    "sudo": '#!/usr/bin/env bash\n[[ $1 == -n ]] && exit 0\nexec "$@"\n',
}


def write_executable(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


class Checkout:
    """A copy of the scripts with a Python that only takes notes."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.said = ""
        for name in ("scripts", "requirements", ".ci"):
            shutil.copytree(root / name, folder / name)
        shutil.copy(root / "pyproject.toml", folder)
        write_executable(folder / ".venv/bin/python", FAKE_PYTHON)

    def run(self, *arguments: str, **settings: str) -> tuple[int, list[str], float]:
        """Exit status, what the fake Python was asked since the last call, and seconds taken."""
        self.log.write_text("")
        # This suite's pytest has settings of its own.
        own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        began = time.perf_counter()
        result = subprocess.run(
            arguments,
            cwd=self.folder.parent,
            env={**own, "LOG": str(self.log), **settings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        took = time.perf_counter() - began
        self.said = result.stdout
        return result.returncode, self.log.read_text().splitlines(), took

    def setup(self, *arguments: str, **settings: str) -> tuple[int, list[str], float]:
        return self.run(str(self.folder / "scripts/setup"), *arguments, **settings)


@pytest.fixture
def checkout(root: Path, tmp_path: Path) -> Checkout:
    return Checkout(root, tmp_path / "house")


def test_setup_installs_once_from_the_lock_with_hashes(checkout: Checkout) -> None:
    status, asked, _ = checkout.setup()
    assert status == 0
    installs = [line for line in asked if " install " in line]
    assert len(installs) == 2
    assert installs[0].endswith("install --require-hashes -r requirements/run.lock")
    assert installs[1].endswith("install --no-deps --no-build-isolation -e .")
    status, asked, _ = checkout.setup()
    assert (status, asked) == (0, [])


@pytest.mark.timing
def test_a_second_setup_takes_no_time(checkout: Checkout) -> None:
    checkout.setup()
    assert min(checkout.setup()[2] for _ in range(3)) < 0.2


def test_tests_need_a_lock_of_their_own(checkout: Checkout) -> None:
    checkout.setup()
    _, asked, _ = checkout.setup("--test")
    assert [line for line in asked if line.endswith("--require-hashes -r requirements/test.lock")]
    assert checkout.setup("--test")[1] == []
    assert checkout.setup()[1] == []


@pytest.mark.parametrize("changed", ["requirements/run.lock", "pyproject.toml"])
def test_setup_runs_again_when_what_it_installs_changes(checkout: Checkout, changed: str) -> None:
    checkout.setup()
    with (checkout.folder / changed).open("a") as file:
        file.write("# changed\n")
    assert checkout.setup()[1] != []
    assert checkout.setup()[1] == []


def test_a_moved_checkout_is_set_up_again(checkout: Checkout) -> None:
    checkout.setup()
    checkout.folder = checkout.folder.rename(checkout.folder.with_name("moved"))
    checkout.log = checkout.folder / "log"
    assert checkout.setup()[1] != []


def test_a_failed_installation_leaves_no_stamp(checkout: Checkout) -> None:
    write_executable(
        checkout.folder / ".venv/bin/python", '#!/usr/bin/env bash\necho "$@" >>"$LOG"\n[[ "$*" != *" install "* ]]\n'
    )
    assert checkout.setup()[0] != 0
    assert checkout.setup()[1] != []


def test_missing_parts_and_only_those_are_installed_by_apt(checkout: Checkout, tmp_path: Path) -> None:
    for name, text in FAKE_COMMANDS.items():
        write_executable(tmp_path / "bin" / name, text)
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    status, asked, _ = checkout.setup(PATH=path)
    assert status == 0
    (apt,) = [line for line in asked if line.startswith("apt-get")]
    assert apt.startswith("apt-get install -y")
    assert apt.endswith(" libegl1 libgl1")
    (checkout.folder / ".venv/.stamp-run").unlink()
    assert not [line for line in checkout.setup(PATH=path)[1] if line.startswith("apt-get")]


def test_setup_refuses_what_it_does_not_know(checkout: Checkout) -> None:
    assert checkout.setup("--tests")[0] == 2


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [("0", "0", 0), ("0", "5", 0), ("5", "0", 0), ("5", "5", 5), ("1", "0", 1), ("0", "1", 1), ("1", "5", 1)],
)
def test_both_passes_run_and_any_failure_counts(checkout: Checkout, first: str, second: str, expected: int) -> None:
    checkout.setup("--test")
    status, asked, _ = checkout.run("bash", str(checkout.folder / ".ci/run"), FIRST=first, SECOND=second, CI="true")
    assert status == expected
    assert len(asked) == 2
    assert asked[0].endswith("-n 2 --dist worksteal -m not timing and not slow")
    assert asked[1].endswith("-m timing and not slow")
    assert " -n " not in asked[1]


def test_all_takes_the_slow_ones_and_other_arguments_go_to_pytest(checkout: Checkout) -> None:
    checkout.setup("--test")
    write_executable(checkout.folder / "scripts/peers", "#!/bin/sh\necho peers >>$LOG\n")
    _, asked, _ = checkout.run(str(checkout.folder / "scripts/test"), "tests/stage", "--all", "-k", "lens")
    assert asked.pop(0) == "peers"
    assert asked[0].endswith("-n 2 --dist worksteal -m not timing tests/stage -k lens")
    assert asked[1].endswith("-m timing tests/stage -k lens")


FLAKY = """
import pathlib
import pytest

HERE = pathlib.Path(__file__)


def once(name):
    seen = HERE.with_name(name)
    try:
        assert seen.exists(), "not yet"
    finally:
        seen.touch()


def test_beside():
    once("beside")


@pytest.fixture
def leaves_late():
    yield
    once("late")


def test_after(leaves_late):
    pass


@pytest.mark.timing
def test_in_time():
    once("timing")


def test_good():
    HERE.with_name("good").open("a").write("x")
"""


def tiny_suite(checkout: Checkout, text: str) -> None:
    """A suite that the checkout's own pytest runs: its Python is the real one when pytest is asked for."""
    write_executable(
        checkout.folder / ".venv/bin/python",
        f'#!/usr/bin/env bash\n[[ "$*" == "-m pytest"* ]] && exec {sys.executable} "$@"\n{FAKE_PYTHON}',
    )
    (checkout.folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    timing\n    slow\n")
    (checkout.folder / "test_tiny.py").write_text(text)


def test_what_fails_beside_others_gets_a_second_chance_alone(checkout: Checkout) -> None:
    checkout.setup("--test")
    tiny_suite(checkout, FLAKY)
    plain = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": "-p xdist"}
    test = str(checkout.folder / "scripts/test")
    status, _, _ = checkout.run(test, **plain)
    assert status == 0, checkout.said
    told = checkout.said.split("failed beside others, passed alone:")[1].split()
    # The first two in whichever order they failed beside each other.
    assert sorted(told[:2]) == ["test_tiny.py::test_after", "test_tiny.py::test_beside"]
    assert told[2:] == ["test_tiny.py::test_in_time"]
    assert (checkout.folder / "good").read_text() == "x", "what passed is not run again"
    # What fails alone too is broken, whatever else is forgiven.
    (checkout.folder / "test_tiny.py").write_text(FLAKY + "\n\ndef test_broken():\n    assert False\n")
    (checkout.folder / "beside").unlink()
    status, _, _ = checkout.run(test, **plain)
    assert status == 1
    assert "passed alone" not in checkout.said


def test_many_failures_are_a_break_at_once(checkout: Checkout) -> None:
    checkout.setup("--test")
    failing = "".join(f'    \\"test_x.py::test_{n}\\": true,\\n' for n in range(6))
    write_executable(
        checkout.folder / ".venv/bin/python",
        FAKE_PYTHON.replace(
            'case "$*"',
            'cache=$(sed -n "s/.*cache_dir=\\(.*\\) -n 2 .*/\\1/p" <<<"$*")\n'
            f'[[ -n $cache ]] && mkdir -p "$cache/v/cache" && printf "{{\\n{failing}}}" >"$cache/v/cache/lastfailed"\n'
            'case "$*"',
        ),
    )
    status, asked, _ = checkout.run(str(checkout.folder / "scripts/test"), FIRST="1")
    assert status == 1
    assert len(asked) == 2, "nothing is run again"


def test_run_starts_the_demo_with_simulated_tracking(checkout: Checkout) -> None:
    checkout.setup()
    write_executable(checkout.folder / ".venv/bin/openvolume", '#!/usr/bin/env bash\necho "$@" >>"$LOG"\n')
    status, asked, _ = checkout.run(str(checkout.folder / "scripts/run"), "--port", "0")
    assert (status, asked) == (0, ["run demo --simulate --port 0"])
