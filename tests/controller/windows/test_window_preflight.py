"""Preflight and `openvolume monitors` on an X server: what is right, what is wrong, and whether the mend mends it."""

from __future__ import annotations

import json
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

from controller.config import compile_config, load_config_text
from controller.preflight import Finding
from controller.windows.look import monitors_command, window_findings
from controller.windows.wishes import wishes_of
from controller.windows.xlib import DisplayError

SHOWN = """
windows:
  gpu:
    display: "{display}"
    monitors:
      a: {{vendor: BRO, serial: left, mode_px: [640, 480], position_px: [0, 0]}}
      b: {{connector: DUMMY1}}
outputs:
  wide:
    monitors:
      - {{monitor: a, canvas_px: [0, 0, 600, 400]}}
      - {{monitor: b, canvas_px: [600, 0, 300, 400]}}
"""


def looked(shows: ModuleType, display: str, *, bits: int = 8) -> dict[str, list[Finding]]:
    loaded = load_config_text((shows.STAGE + SHOWN).format(rate=25, bits=bits, scale=1, display=display))
    stage = compile_config(loaded)
    depths = {name: canvas.encoding.bits for name, canvas in stage.canvases.items()}
    wishes = wishes_of(loaded.config.windows, loaded.config.outputs, stage.canvases, depths, rate=stage.rate, scale=1)
    found: dict[str, list[Finding]] = {}
    for finding in window_findings(wishes):
        found.setdefault(finding.part, []).append(finding)
    return found


def mend(server: Any, finding: Finding) -> None:
    """Do what a finding says."""
    assert finding.mend.startswith("xrandr "), finding
    server.xrandr(*finding.mend.split()[1:])
    server.xrandr("--query")


def test_what_is_wrong_is_told_and_its_mend_mends_it(
    server: Any, xorg: ModuleType, shows: ModuleType, edids: ModuleType
) -> None:
    server.monitor("DUMMY0", xorg.Mode(640, 480, 50), (0, 0))
    server.monitor("DUMMY1", xorg.Mode(400, 400, 25), (640, 0))
    server.set_edid("DUMMY0", edids.edid(serial="left"))
    found = looked(shows, server.name)
    assert [f.colour for f in found["monitor a"] + found["monitor b"]] == ["green", "green"]
    assert "BRO SX40 left at DUMMY0, 640x480 at 50 Hz, +0+0, 2 to a frame" in found["monitor a"][0].detail
    # llvmpipe is told, and that it has no swap group.
    assert found["window gpu"][0].colour == "amber"
    assert "GLX_NV_swap_group" in found["window gpu"][0].detail

    # Place.
    server.xrandr("--output", "DUMMY0", "--pos", "0x100")
    (finding,) = looked(shows, server.name)["monitor a"]
    assert finding.colour == "amber"
    assert "lies at 0x100" in finding.detail
    mend(server, finding)
    assert looked(shows, server.name)["monitor a"][0].colour == "green"

    # Another mode.
    server.monitor("DUMMY0", xorg.Mode(800, 600, 50), (0, 0))
    (finding,) = looked(shows, server.name)["monitor a"]
    assert finding.colour == "red"
    assert "runs at 800x600" in finding.detail
    server.monitor("DUMMY0", xorg.Mode(640, 480, 50), (0, 0))

    # A rate that is none of the show's.
    server.monitor("DUMMY1", xorg.Mode(400, 400, 60), (640, 0))
    (finding,) = looked(shows, server.name)["monitor b"]
    assert finding.colour == "red"
    assert "60 Hz" in finding.detail
    server.monitor("DUMMY1", xorg.Mode(400, 400, 75), (640, 0))
    assert looked(shows, server.name)["monitor b"][0].colour == "green"

    # Gone.
    server.off("DUMMY1")
    (finding,) = looked(shows, server.name)["monitor b"]
    assert finding.colour == "red"

    # The cable is in another socket: what says who it is is found all the same.
    server.set_edid("DUMMY0", b"")
    server.monitor("DUMMY2", xorg.Mode(640, 480, 25), (0, 0))
    server.set_edid("DUMMY2", edids.edid(serial="left"))
    assert "DUMMY2" in looked(shows, server.name)["monitor a"][0].detail


def test_ten_bits_on_a_display_of_eight_are_amber(server: Any, xorg: ModuleType, shows: ModuleType) -> None:
    server.monitor("DUMMY1", xorg.Mode(400, 400, 25), (0, 0))
    assert any("DefaultDepth 30" in finding.mend for finding in looked(shows, server.name, bits=10)["window gpu"])


def test_without_a_display_preflight_is_red(shows: ModuleType) -> None:
    (finding,) = looked(shows, ":9999")["window gpu"]
    assert finding.colour == "red"
    assert ":9999" in finding.detail


def test_monitors_are_listed_as_a_configuration_names_them(
    server: Any, xorg: ModuleType, edids: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    server.monitor("DUMMY0", xorg.Mode(640, 480, 50), (0, 0))
    server.set_edid("DUMMY0", edids.edid(serial="left"))
    assert monitors_command(display=server.name) == 0
    text = capsys.readouterr().out
    assert 'm1: {connector: "DUMMY0", vendor: BRO, product: "SX40", serial: "left", mode_px: [640, 480]' in text
    assert monitors_command(display=server.name, as_json=True) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert (told["vendor"], told["serial"], told["refresh_hz"]) == ("BRO", "left", 50.0)
    with pytest.raises(DisplayError):
        monitors_command(display=":9999")


def test_the_command_says_what_is_missing() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", "from controller.cli import main; main()", "monitors", "--display", ":9999"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    assert "controller.display" in done.stderr
