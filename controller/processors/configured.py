"""The processors of a configuration: their drivers and keepers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path

from controller.processors.driver import Driver
from controller.processors.keeper import Keeper
from controller.processors.tables import Tables
from controller.processors.wishes import EMULATED, wanted
from stage.config import ProcessorConfig, ProcessorControlConfig


def driver_of(name: str, control: ProcessorControlConfig, tables: Tables | None = None) -> Driver:
    """The driver of one processor; nothing is connected yet. `tables`: where 3D tables it is to hold are found."""
    where = f"processors/{name}"
    if tables is not None:
        tables.wish(settings.get("lut_file") for settings in (control.settings, *control.scenes.values()))
    match control.driver:
        case "tessera":
            from controller.processors.tessera import Tessera

            return Tessera(control.address, where=where, tables=tables)
        case "helios":
            from controller.processors.helios import Helios

            return Helios(control.address, where=where)
        case "coex":
            from controller.processors.coex import Coex

            return Coex(control.address, where=where, tables=tables)
        case "colorlight":
            from controller.processors.colorlight import Colorlight

            return Colorlight(control.address, where=where, family=control.family, device=control.device)


def keepers_of(
    processors: Mapping[str, ProcessorConfig], scene: str = "", *, folder: Path | None = None
) -> dict[str, Keeper]:
    """A keeper for each processor that is spoken to, on the running event loop's time; emulated ones are there only
    while the show runs. `scene`: they are wanted as for that one. `folder`: the configuration's, for tables."""
    tables = None if folder is None else Tables(folder)
    return {
        name: Keeper(
            name,
            driver_of(name, processor.control, tables),
            now_ns=time.monotonic_ns,
            pause=asyncio.sleep,
            desired=wanted(processor.control, scene),
        )
        for name, processor in processors.items()
        if processor.control is not None and processor.control.address != EMULATED
    }
