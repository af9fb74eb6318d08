"""The arrows between packages hold, and the contracts that check them do catch a wrong import."""

from __future__ import annotations

import os
import re
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


WRONG = {
    # One contract a group; each import in a file of its own, so that each is told by name.
    "Imports point down only": [
        ("stage/bad.py", "import runtime", "runtime"),
        ("tracking/bad.py", "from renderer import canvas_mesh", "renderer.canvas_mesh"),
        ("renderer/bad.py", "import calibration", "calibration"),
    ],
    "The shipped configurations stand alone": [("configs/bad.py", "import stage", "stage")],
    "know no clock": [
        ("stage/clock.py", "import time", "time"),
        ("renderer/dice.py", "def f():\n    from random import random", "random"),
        ("renderer/passes/net.py", "import socket", "socket"),
        ("stage/loop.py", "import asyncio", "asyncio"),
    ],
    "by other means": [
        ("renderer/twin/a.py", "import renderer.canvas_mesh", "renderer.canvas_mesh"),
        ("renderer/twin/b.py", "from renderer.passes import wall", "renderer.passes.wall"),
        ("renderer/twin/c.py", "from stage.projection import anything", "stage.projection"),
        # The twin may use the scene pass, but not reach a forbidden part by it.
        ("renderer/passes/scene.py", "import stage.coverage", "stage.coverage"),
        ("renderer/twin/d.py", "import renderer.passes.scene", "renderer.passes.scene"),
        ("stage/coverage.py", "import stage.projection", "stage.projection"),
    ],
}


def test_wrong_imports_are_caught(small_house: Path) -> None:
    (small_house / "renderer/twin.py").unlink()
    (small_house / "renderer/twin").mkdir()
    (small_house / "renderer/twin/__init__.py").touch()
    for contract in WRONG.values():
        for where, what, _ in contract:
            (small_house / where).write_text(what + "\n")
    result = lint_imports(small_house / "pyproject.toml", small_house)
    assert result.returncode == 1, result.stdout + result.stderr
    broken = [line for line in result.stdout.splitlines() if line.rstrip().endswith("BROKEN")]
    assert len(broken) == len(WRONG)
    for name, contract in WRONG.items():
        assert any(name in line for line in broken), result.stdout
        for where, _, target in contract:
            importer = where.removesuffix(".py").replace("/", ".")
            assert re.search(rf"{re.escape(importer)} -> {re.escape(target)}\b", result.stdout), (importer, target)


def test_one_wrong_import_is_enough(small_house: Path) -> None:
    (small_house / "stage/bad.py").write_text("import runtime\n")
    result = lint_imports(small_house / "pyproject.toml", small_house)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "3 kept, 1 broken" in result.stdout
