"""`openvolume timecode`, and the time code of `run --simulate`."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from controller.cli import app
from controller.config import load_config, load_config_text
from controller.errors import BadValue
from controller.processes.simulator import simulated_timecode
from controller.timecode_command import timecode_command
from runtime.clock import NS_PER_S, VirtualClock


def test_the_command_plays_to_a_port() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        target = f"127.0.0.1:{receiver.getsockname()[1]}"
        done = CliRunner().invoke(app, ["timecode", "ltc", "--target", target, "--seconds", "0.1", "--rate", "29.97"])
        assert done.exit_code == 0, done.output
        assert f"ltc to {target} ended at 10:00:00;0" in done.output
        assert len(receiver.recv(2000)) == 960, "10 ms of 48 kHz"


@pytest.mark.parametrize(
    ("kind", "options", "path"),
    [
        ("vitc", {}, "kind"),
        ("mtc", {}, "--target"),
        ("ltc", {"rate": "60"}, "--rate"),
        ("ltc", {"rate": "7"}, "--rate"),
        ("ltc", {"target": "studio"}, "--target"),
    ],
)
def test_what_cannot_be_played_is_refused(kind: str, options: dict[str, Any], path: str) -> None:
    given: dict[str, Any] = {"target": None, "rate": "25", "first": "10:00:00:00", "seconds": 0.0, **options}
    with pytest.raises(BadValue) as caught:
        timecode_command(kind, given.pop("target"), **given)
    assert caught.value.problems[0].path == path


@pytest.mark.parametrize("kind", ["ltc", "art_timecode", "mtc"])
def test_a_simulated_show_plays_to_where_it_listens(kind: str, tmp_path: Path) -> None:
    shipped = load_config("minimal")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        port = receiver.getsockname()[1]
        where = f"path: {tmp_path}/midi" if kind == "mtc" else f"listen: '0.0.0.0:{port}'"
        text = shipped.source + f"\ntime:\n  reference: timecode\n  timecode: {{type: {kind}, {where}}}\n"
        clock = VirtualClock(NS_PER_S)
        config = load_config_text(text, base_dir=tmp_path).config
        player = simulated_timecode(config, clock)
        assert player is not None
        player.step(clock.now_ns())
        clock.advance_to(2 * NS_PER_S)
        player.step(clock.now_ns())
        assert player.label == "10:00:01:00"
        if kind != "mtc":
            receiver.settimeout(5)
            assert len(receiver.recv(2000)) == (960 if kind == "ltc" else 19)
        player.stop()
    assert simulated_timecode(shipped.config, clock) is None
