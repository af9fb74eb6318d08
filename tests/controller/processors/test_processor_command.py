"""`openvolume emulate processor`, `openvolume processors` and preflight, as a person uses them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from configs import find
from controller.config import load_config
from controller.preflight import preflight
from controller.processors.command import processors_command
from controller.processors.emulators.command import emulate_command
from controller.processors.model import SETTINGS
from stage.errors import ConfigError

COMMAND = (sys.executable, "-P", "-c", "from controller.cli import main; main()")
CONTROL = """
      control:
        driver: {driver}
        address: {address}
        settings:
          brightness_nits: 1200
          gamma: 2.2
"""


@pytest.fixture
def tessera() -> Iterator[tuple[subprocess.Popen[str], str]]:
    process = subprocess.Popen([*COMMAND, "emulate", "processor"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    address = process.stdout.readline().rsplit(" ", 1)[-1].strip()
    yield process, address
    process.terminate()
    process.wait(10)
    process.stdout.close()


def config_with(tmp_path: Path, address: str, *, driver: str = "tessera", more: str = "") -> Path:
    text = Path(str(find("minimal"))).read_text()
    at = text.index("simulated: true") + len("simulated: true")
    path = tmp_path / "stage.yaml"
    path.write_text(text[:at] + CONTROL.format(driver=driver, address=address).rstrip() + more + text[at:])
    return path


def colours(path: Path) -> list[tuple[str, str]]:
    found = [f for f in preflight(load_config(str(path))) if f.part == "processor led1"]
    assert all(f.mend for f in found if f.colour == "red")
    return [(f.colour, f.detail) for f in found[1:]]


def test_drift_is_red_in_preflight_and_green_once_restored(
    tmp_path: Path, tessera: tuple[subprocess.Popen[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    process, address = tessera
    path = config_with(tmp_path, address)
    assert [colour for colour, _ in colours(path)] == ["red", "red"]
    assert processors_command(str(path)) == 1
    assert "the show wants 1200" in capsys.readouterr().out
    assert processors_command(str(path), restore=True, as_json=True) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert {r["name"]: r["outcome"] for r in document["led1"]["set"]} == {
        "brightness_nits": "applied", "gamma": "applied",
    }  # fmt: skip
    assert document["led1"]["drift"] == []
    assert document["led1"]["reading"]["settings"]["brightness_nits"] == 1200
    assert [colour for colour, _ in colours(path)] == ["green"]
    process.terminate()
    process.wait(10)
    assert [colour for colour, _ in colours(path)] == ["red"]
    assert processors_command(str(path)) == 1
    assert "does not answer" in capsys.readouterr().out


def test_wishes_nobody_could_carry_out_are_told_with_their_line(tmp_path: Path) -> None:
    from controller.config import compile_config

    path = config_with(
        tmp_path,
        "127.0.0.1:9",
        driver="helios",
        more="\n          gama: 1.0\n          blackout: true\n          lut: 1",
    )
    with pytest.raises(ConfigError) as caught:
        compile_config(load_config(str(path)))
    told = {p.path.rsplit("/", 1)[-1]: p for p in caught.value.problems}
    assert set(told) == {"driver", "gama", "blackout", "lut"}
    assert all(p.line is not None and p.mend for p in told.values())


def test_nothing_to_speak_to_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert processors_command("minimal") == 0
    assert "control:" in capsys.readouterr().out


def test_emulated_ones_live_in_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert processors_command("demo") == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in told] == ["led1", "led2"]
    assert all("lives in the run" in line for line in told)
    assert processors_command("demo", as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == {"led1": {"link": "emulated"}, "led2": {"link": "emulated"}}
    # Only the load is told of it: nothing is asked.
    assert colours(config_with(tmp_path, "emulated")) == []


def test_a_real_processor_is_not_emulated(tmp_path: Path) -> None:
    from controller.config import compile_config

    path = config_with(tmp_path, "emulated")
    path.write_text(path.read_text().replace("simulated: true", "simulated: false"))
    with pytest.raises(ConfigError) as caught:
        compile_config(load_config(str(path)))
    assert [p.path for p in caught.value.problems] == ["stage/processors/led1/control/address"]


@pytest.mark.parametrize(("model", "faults"), [("nonsense", ()), ("coex", ("on fire",))])
def test_bad_words_for_an_emulator(model: str, faults: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert emulate_command(model, faults=faults) == 2
    assert "-> use" in capsys.readouterr().err


def test_every_setting_is_in_the_manual(root: Path) -> None:
    page = (root / "docs/processors.md").read_text()
    assert [name for name in SETTINGS if f"`{name}`" not in page] == []
