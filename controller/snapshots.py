"""The configuration of a snapshot: what runs, with what its files for tracking held when it was made."""

from __future__ import annotations

from pathlib import Path

from controller.config import OpenVolumeConfig, load_config_text
from controller.show import Snapshot
from tracking.osc_config import OscMap


def running_config(snapshot: Snapshot) -> OpenVolumeConfig:
    """The configuration, whole: a mapping file that has changed or gone since changes nothing.

    Raises
    ------
    ConfigError : the snapshot holds no valid configuration.
    """
    config = load_config_text(snapshot.config_text, base_dir=Path(snapshot.base_dir)).config
    maps = {name: OscMap.model_validate_json(text) for name, text in snapshot.osc_maps.items()}
    return config.model_copy(update={"tracking": config.tracking.with_osc_files(maps)}) if maps else config
