"""A show of one small canvas that is sent: its configuration, versions of it in a run directory, its sender's words."""

from __future__ import annotations

import msgspec

from controller.beginning import fresh_show, snapshot_of
from controller.config import LoadedConfig, compile_config, load_config_text
from controller.rundir import RunDir
from controller.show import encode_snapshot
from controller.st2110.status import SenderStatus, decode_sender
from controller.status import KIND_STATUS
from runtime.ring import RingReader
from stage.compiled import encode_stage


def config_text(*, scale: int = 2, outputs: str = "") -> str:
    """25 frames a second; the canvas `main` of 10 bits is drawn at 1 / `scale`. `outputs`: where it goes, as YAML of
    `outputs/main`, whose lines begin with four spaces; empty: nowhere."""
    return f"""
openvolume: 1
name: sent
rate: 25
stage:
  walls:
    main: {{type: flat, panel: roe_bp2v2, columns: 2, rows: 1, position_m: [0.0, 3.0, 0.5]}}
  processors:
    led: {{model: simulated}}
  canvases:
    main: {{processor: led, width_px: 352, height_px: 176, encoding: {{bits: 10}}, tiles: [{{wall: main}}]}}
scenes:
  grey: {{background: [0.18, 0.18, 0.18]}}
render: {{scale: {scale}}}
""" + (f"outputs:\n  main:\n{outputs}" if outputs else "")


def paths(*legs: str) -> str:
    """`outputs` of a ST 2110 stream over these paths: `destination: 239.1.1.1, source: lo`."""
    return "    st2110:\n      paths:\n" + "".join(f"        - {{{leg}}}\n" for leg in legs)


def write_version(run: RunDir, text: str, version: int = 1) -> LoadedConfig:
    """Make a configuration the current version of a run. Raises ConfigError."""
    loaded = load_config_text(text, base_dir=run.path)
    stage = compile_config(loaded)
    show = msgspec.structs.replace(fresh_show(loaded.config, stage), version=version, config_version=version)
    run.write_snapshot(version, encode_snapshot(snapshot_of(show, loaded, encode_stage(stage))))
    run.set_current_version(version)
    return loaded


def status_of(run: RunDir) -> SenderStatus:
    """The sender's newest status."""
    reader = RingReader.open(run.sender_status, kind=KIND_STATUS)
    slot = reader.latest()
    reader.close()
    assert slot is not None
    return decode_sender(slot.data)
