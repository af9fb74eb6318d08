"""Preflight looks at the real machine: what is there is green or amber, what is taken or missing is red."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from controller import preflight as preflight_module
from controller.config import load_config
from controller.preflight import Finding, preflight, preflight_command
from renderer.device import Device, NoGLError
from stage.errors import Problem


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_config(root: Path, folder: Path, *, tracking_port: int) -> Path:
    """The shipped `minimal`, listening where nothing else does."""
    text = (root / "configs/minimal.yaml").read_text()
    assert "127.0.0.1:55555" in text
    path = folder / "own.yaml"
    path.write_text(
        text.replace("127.0.0.1:55555", f"127.0.0.1:{tracking_port}")
        + "control:\n  http:\n    port: 0\n  osc:\n    port: 0\n"
    )
    return path


def by_part(findings: list[Finding], start: str) -> Finding:
    (found,) = [finding for finding in findings if finding.part.startswith(start)]
    return found


def test_a_machine_that_can_run_has_nothing_red(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_config(root, tmp_path, tracking_port=free_port())
    assert preflight_command(str(path), as_json=True) == 0
    findings = json.loads(capsys.readouterr().out)
    assert not [finding for finding in findings if finding["colour"] == "red"]
    assert {"configuration", "graphics", "real-time rights", "clock", "shared memory"} <= {f["part"] for f in findings}
    assert all(finding["mend"] for finding in findings if finding["colour"] == "amber")


def test_a_taken_port_is_red_and_named(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        path = write_config(root, tmp_path, tracking_port=port)
        assert preflight_command(str(path)) == 3
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("red")]
    assert f"UDP 127.0.0.1:{port}" in line
    assert "->" in line


def test_graphics_names_this_device(gl: Device, root: Path, tmp_path: Path) -> None:
    findings = preflight(load_config(str(write_config(root, tmp_path, tracking_port=free_port()))))
    found = by_part(findings, "graphics")
    assert gl.capabilities.renderer in found.detail
    assert found.colour == ("amber" if gl.capabilities.software else "green")


def test_the_tests_own_device_is_current_after_another_was_released(gl: Device) -> None:
    # This must come after a test that made a second device: see _gl_stays_current.
    target = gl.ctx.framebuffer([gl.ctx.texture((2, 2), 4, dtype="f4")])
    target.clear(0.5, 0.25, 0.0, 1.0)
    assert gl.read(target)[0, 0].tolist() == [0.5, 0.25, 0.0, 1.0]


def test_missing_graphics_is_red_with_its_mend(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> Device:
        raise NoGLError(Problem("renderer.no_gl", "device", "no EGL here", mend="install libegl1"))

    monkeypatch.setattr("renderer.device.Device.create", fail)
    found = by_part(preflight(load_config(str(write_config(root, tmp_path, tracking_port=free_port())))), "graphics")
    assert (found.colour, found.detail, found.mend) == ("red", "no EGL here", "install libegl1")


def test_too_little_shared_memory_is_red(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight_module.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1 << 20})())
    found = by_part(
        preflight(load_config(str(write_config(root, tmp_path, tracking_port=free_port())))), "shared memory"
    )
    assert found.colour == "red"
    assert "--shm-size" in found.mend


def test_a_running_show_is_looked_at_without_its_ports(root: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        loaded = load_config(str(write_config(root, tmp_path, tracking_port=taken.getsockname()[1])))
        assert by_part(preflight(loaded), "tracking").colour == "red"
        parts = [finding.part for finding in preflight(loaded, running=True)]
    assert "configuration" in parts
    assert not any(part.startswith("tracking") or part == "control page" for part in parts)
