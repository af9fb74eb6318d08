"""What the tests of windows share: an X server with three monitors, and a run whose canvases they show."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest


def _kit(name: str) -> ModuleType:
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def xorg() -> ModuleType:
    """The kit; tests that use it skip where no such server can run."""
    kit = _kit("_xorgkit")
    kit.need_xorg()
    return kit


@pytest.fixture(scope="session")
def edids() -> ModuleType:
    return _kit("_edidkit")


@pytest.fixture(scope="session")
def shows() -> ModuleType:
    return _kit("_showkit")


@pytest.fixture
def server(xorg: ModuleType, tmp_path: Path) -> Iterator[object]:
    """A display of depth 24 of our own."""
    found = xorg.XServer(tmp_path)
    yield found
    found.close()
