"""The configurations shipped with OpenVolume: `find(name)` gives the path of one."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

SHIPPED = ("demo", "yongchuan", "minimal")


def find(name: str) -> Path:
    """Path of the shipped configuration `name` ("demo", "yongchuan", "minimal").

    Raises
    ------
    KeyError : `name` is not shipped.
    """
    if name not in SHIPPED:
        raise KeyError(name)
    return Path(str(resources.files(__name__).joinpath(f"{name}.yaml")))
