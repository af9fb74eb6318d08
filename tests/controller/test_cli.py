"""The command line: exit codes, no tracebacks, and an answer to --help at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from controller import cli
from stage.errors import OpenVolumeError, Problem

COMMANDS = ("check", "schema", "photo", "run", "preflight", "simulate", "play", "bench", "timing", "doctor", "action")


def openvolume(*arguments: str, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-c", "from controller.cli import main; main()", *arguments],
        capture_output=True, text=True, timeout=60, check=False, **more,
    )  # fmt: skip


def ends(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        cli.main(list(arguments))
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return int(caught.value.code or 0), out, err


def test_help_names_every_command() -> None:
    result = openvolume("--help")
    assert result.returncode == 0
    for name in COMMANDS:
        assert f"\n  {name} " in result.stdout


def test_help_loads_nothing_heavy() -> None:
    """What makes `--help` quick: neither numpy nor pydantic nor a GPU library is imported for it."""
    code = (
        "import sys\nfrom controller.cli import _run\ncode = _run(['--help'])\n"
        "heavy = {'numpy', 'pydantic_core', 'ruamel', 'msgspec', 'moderngl', 'fastapi', 'zmq', 'OpenImageIO'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or code)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.timing
def test_help_answers_within_300_ms() -> None:
    import time

    best = 1e9
    for _ in range(5):
        start = time.perf_counter()
        assert openvolume("--help").returncode == 0
        best = min(best, time.perf_counter() - start)
    assert best < 0.3


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = ends(capsys, name, "--help")
    assert code == 0
    assert "Usage: openvolume" in out


@pytest.mark.parametrize(
    "arguments",
    [
        (), ("frob",), ("check",), ("check", "demo", "--bad"), ("schema", "house"), ("photo", "demo"),
        ("photo", "demo", "--camera", "a", "--out", "x", "--pan", "left"), ("run", "demo", "--port", "70000"),
        ("run", "demo", "--frames", "0"), ("play", "x.jsonl"), ("action", "dance"), ("check", "a", "b"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_use_ends_with_2_and_says_why(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = ends(capsys, *arguments)
    assert code == 2
    assert "Usage" in out + err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("check", "nope.yaml"), "controller.config_file"),
        (("run", "nope.yaml"), "controller.config_file"),
        (("preflight", "nope.yaml"), "controller.config_file"),
        (("photo", "nope.yaml", "--camera", "a", "--out", "x"), "controller.config_file"),
        (("play", "nope.jsonl", "--target", "127.0.0.1:9"), "tracking.play_file"),
        (("simulate", "--move", "fly"), "tracking.unknown_move"),
        (("simulate", "--target", "nowhere"), "tracking.target"),
    ],
    ids=lambda a: " ".join(a) if isinstance(a, tuple) else "",
)
def test_bad_input_is_one_line_and_2(
    arguments: tuple[str, ...], code: str, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    status, _, err = ends(capsys, *arguments)
    assert status == 2
    assert err.startswith(code + " ")
    assert " -> " in err.splitlines()[0]


def test_the_error_class_gives_the_exit_code(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import controller.check

    class Lacking(OpenVolumeError):
        exit_code = 3

    def fail(*_: object, **__: object) -> int:
        raise Lacking(Problem("test.lacking", "gpu", "there is none", None, "put one in"), Problem("test.b", "x", "y"))

    monkeypatch.setattr(controller.check, "check_command", fail)
    code, _, err = ends(capsys, "check", "demo")
    assert code == 3
    assert err == "test.lacking gpu: there is none -> put one in\ntest.b x: y\n"


def test_machines_without_gl_end_with_3() -> None:
    from renderer.device import NoGLError

    assert NoGLError.exit_code == 3


@pytest.mark.parametrize("kind", ["config", "plan"])
def test_schemas_are_printed(kind: str, capsys: pytest.CaptureFixture[str], root: Path) -> None:
    code, out, _ = ends(capsys, "schema", kind)
    assert code == 0
    assert out == (root / f"docs/schema/{kind}.schema.json").read_text()


def test_ctrl_c_ends_with_130() -> None:
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", "from controller.cli import main; main()",
         "simulate", "--protocol", "freed", "--target", "127.0.0.1:9"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        assert "freed" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert "Traceback" not in err


def test_a_closed_pipe_is_no_traceback() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        result = subprocess.run(
            [sys.executable, "-P", "-c", "from controller.cli import main; main()", "check", "demo", "--json"],
            stdout=closed, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
