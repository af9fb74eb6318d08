"""The wheel is whole: installed away from the checkout, it finds its shaders, libraries, configs and assets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

PACKAGES = ("stage", "runtime", "tracking", "renderer", "calibration", "controller", "configs")


def call(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs a command without this process's Python settings."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    result = subprocess.run(
        list(map(str, arguments)), cwd=cwd, env=clean, capture_output=True, text=True, timeout=100, check=False
    )
    assert result.returncode == 0, f"{arguments}\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
    return result


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    call(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=root)
    (path,) = folder.glob("openvolume-*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean environment with the wheel in it, and the packages it depends on lent by the tests' environment.

    Those come in by a `.pth` file, whose folders' own `.pth` files Python does not follow: the editable
    checkout stays out of sight.
    """
    folder = tmp_path_factory.mktemp("clean")
    venv.EnvBuilder(with_pip=False, symlinks=True).create(folder)
    python = folder / "bin/python"
    call(
        sys.executable, "-m", "pip", "--python", python, "install", "-qq", "--no-deps", "--no-index", wheel, cwd=folder
    )
    (site,) = folder.glob("lib/python3.*/site-packages")
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def test_everything_the_packages_hold_is_in_the_wheel(wheel: Path, root: Path) -> None:
    try:
        listing = subprocess.run(
            ["git", "ls-files", *PACKAGES], cwd=root, capture_output=True, text=True, check=True
        ).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("git does not know this tree")
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    expected = {name for name in listing if (root / name).is_file()}
    assert len(expected) > 20
    assert not sorted(expected - inside)
    strangers = {name.split("/")[0] for name in inside} - set(PACKAGES)
    assert len(strangers) == 1, strangers
    assert strangers.pop().endswith(".dist-info")


def test_wheel_holds_shaders_library_configs_and_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = archive.namelist()
    for name in PACKAGES:
        assert f"{name}/py.typed" in inside
    for config in ("demo", "yongchuan", "minimal"):
        assert f"configs/{config}.yaml" in inside
    assert [name for name in inside if name.startswith("renderer/shaders/") and not name.endswith(".py")]
    assert [name for name in inside if name.startswith("stage/library/") and not name.endswith(".py")]
    assert [name for name in inside if name.endswith(".dist-info/licenses/LICENSE")]


def test_clean_installation_imports_itself_and_not_the_checkout(installed: Path) -> None:
    program = f"import json; print(json.dumps([__import__(name).__file__ for name in {PACKAGES!r}]))"
    files = json.loads(call(installed / "bin/python", "-P", "-c", program, cwd=installed).stdout)
    assert all(Path(file).is_relative_to(installed) for file in files), files


def test_clean_installation_checks_the_demo(installed: Path) -> None:
    summary = call(installed / "bin/openvolume", "check", "demo", cwd=installed).stdout
    assert "demo" in summary.lower()
    compiled = json.loads(call(installed / "bin/openvolume", "check", "demo", "--json", cwd=installed).stdout)
    assert {"walls", "canvases", "cabinets", "meshes", "cameras", "processors"} <= set(compiled)
    assert compiled["cabinets"]
