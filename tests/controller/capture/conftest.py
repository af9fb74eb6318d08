"""The kit of captures, by the fixture `capturekit`; `wall` is one of 10 bits."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="session")
def capturekit() -> ModuleType:
    path = Path(__file__).with_name("_capturekit.py")
    spec = importlib.util.spec_from_file_location("_capturekit", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def wall(shm: Path, housekit: ModuleType, capturekit: ModuleType) -> Iterator[Any]:
    made = capturekit.Wall(shm, housekit)
    yield made
    made.close()
