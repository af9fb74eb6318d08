"""OSC mapping files of a configuration: read, told with their faults, and kept with the version that runs."""

from __future__ import annotations

from pathlib import Path

import pytest

import configs
from controller.beginning import snapshot_of
from controller.config import LoadedConfig, compile_loaded, load_config_data
from controller.processes.simulator import simulated_source
from controller.show import decode_snapshot, encode_snapshot, first_show
from controller.snapshots import running_config
from stage.compiled import encode_stage
from stage.documents import read_yaml
from stage.errors import ConfigError
from tracking.config import TrackingConfig
from tracking.mapping import mapping_of

GOOD = "frame: unity\nmessages:\n  - address: /{camera}\n    fields: [x_m, y_m, z_m, qx, qy, qz, qw]\n"


def loaded(folder: Path) -> LoadedConfig:
    tree = read_yaml(configs.find("minimal").read_bytes()).data
    camera = next(iter(tree["cameras"]))
    osc = {"protocol": "osc", "listen": "127.0.0.1:40001", "camera": camera, "osc": {"file": "rig.yaml"}}
    tree["tracking"] = {"sources": {"t": osc}}
    return load_config_data(tree, base_dir=folder)


def test_faults_of_a_file_are_told_at_its_source(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        compile_loaded(loaded(tmp_path))
    assert caught.value.problems[0].path == "tracking/sources/t/osc/file"
    (tmp_path / "rig.yaml").write_text("messages:\n  - address: rig\n    fields: [x_m]\n")
    with pytest.raises(ConfigError, match=r"rig.yaml:2 messages/0/address: .*starts with /"):
        compile_loaded(loaded(tmp_path))


def test_what_runs_keeps_the_file_it_was_made_with(tmp_path: Path) -> None:
    file = tmp_path / "rig.yaml"
    file.write_text(GOOD)
    told = loaded(tmp_path)
    stage = compile_loaded(told).stage
    snapshot = snapshot_of(first_show(stage, scenes=[]), told, encode_stage(stage))
    file.unlink()
    running = running_config(decode_snapshot(encode_snapshot(snapshot)))
    source = running.tracking.sources["t"]
    mapping = mapping_of("t", source).osc
    assert mapping is not None
    assert (mapping.frame, mapping.name) == ("unity", source.camera)
    with pytest.raises(ConfigError, match="has not been read"):
        mapping_of("t", told.config.tracking.sources["t"])


def test_a_simulated_source_without_a_camera_moves_a_subject() -> None:
    tracking = TrackingConfig.model_validate(
        {
            "sources": {"m": {"protocol": "natnet", "listen": "127.0.0.1:1511"}},
            "subjects": {"wand": {"source": "m", "body": "Wand"}},
        }
    )
    source = simulated_source(tracking, "m")
    assert (source.camera_name, source.body) == ("Wand", "Wand")
