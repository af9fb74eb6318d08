"""What the darkroom is told to compile: a small file in the run directory, for a scene may be longer than a letter."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct


class Order(Struct, frozen=True):
    """A scene to compile: its configuration as JSON, where its files are, and where it will lie in the stage."""

    scene: str
    config: str
    folder: str
    cache: str
    limit_bytes: int
    keep: list[str] = []
    """States that are needed whatever the limit says."""
    stage_from_scene: list[float] = []


def read_order(path: Path) -> Order:
    """The order that lies at `path`, which is taken away. Raises OSError, msgspec.MsgspecError."""
    order = msgspec.msgpack.decode(path.read_bytes(), type=Order)
    path.unlink(missing_ok=True)
    return order
