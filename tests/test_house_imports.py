"""The arrows between packages hold, and the contracts that check them do catch a wrong import."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = ("stage", "runtime", "tracking", "renderer", "calibration", "controller", "configs")
MODULES = ("renderer/twin", "renderer/passes/wall", "renderer/passes/scene", "renderer/canvas_mesh", "stage/projection")


def lint_imports(config: Path, where: Path) -> subprocess.CompletedProcess[str]:
    """import-linter in a process of its own: it imports packages by name, from `where` first."""
    program = (
        "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(config_filename=sys.argv[1]))"
    )
    return subprocess.run(
        [sys.executable, "-c", program, str(config)],
        cwd=where,
        env={**os.environ, "PYTHONPATH": str(where), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.fixture
def small_house(tmp_path: Path, root: Path) -> Path:
    """The project's contracts over empty packages of the same names."""
    for name in PACKAGES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    (tmp_path / "renderer/passes").mkdir()
    (tmp_path / "renderer/passes/__init__.py").touch()
    for name in MODULES:
        (tmp_path / f"{name}.py").touch()
    (tmp_path / "pyproject.toml").write_text((root / "pyproject.toml").read_text())
    return tmp_path


def test_contracts_hold(root: Path) -> None:
    result = lint_imports(root / "pyproject.toml", root)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "4 kept, 0 broken" in result.stdout


def test_empty_house_keeps_every_contract(small_house: Path) -> None:
    result = lint_imports(small_house / "pyproject.toml", small_house)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("where", "what", "contract"),
    [
        ("stage/bad.py", "import runtime", "Imports point down only"),
        ("tracking/bad.py", "from renderer import canvas_mesh", "Imports point down only"),
        ("renderer/bad.py", "import calibration", "Imports point down only"),
        ("configs/bad.py", "import stage", "The shipped configurations stand alone"),
        ("stage/bad.py", "import time", "know no clock"),
        ("renderer/bad.py", "def f():\n    from random import random", "know no clock"),
        ("renderer/passes/bad.py", "import socket", "know no clock"),
        ("stage/bad.py", "import asyncio", "know no clock"),
        ("renderer/twin.py", "import renderer.canvas_mesh", "by other means"),
        ("renderer/twin.py", "from renderer.passes import wall", "by other means"),
        ("renderer/twin.py", "from stage.projection import anything", "by other means"),
        ("renderer/passes/scene.py", "import stage.projection", "by other means"),
    ],
)
def test_wrong_imports_are_caught(small_house: Path, where: str, what: str, contract: str) -> None:
    (small_house / where).write_text(what + "\n")
    if where == "renderer/passes/scene.py":  # the twin may use the scene pass, but not reach a forbidden part by it
        (small_house / "renderer/twin.py").write_text("import renderer.passes.scene\n")
    result = lint_imports(small_house / "pyproject.toml", small_house)
    assert result.returncode == 1, result.stdout + result.stderr
    broken = [line for line in result.stdout.splitlines() if line.rstrip().endswith("BROKEN")]
    assert any(contract in line for line in broken), result.stdout
