"""A show restored onto two processors that were changed by hand: found, shown, mended, verified; preflight red before
and green after. Through the product: two emulators behind their real protocols, the command, preflight, a run's API."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from configs import find
from controller.config import load_config
from controller.preflight import preflight
from controller.processors.command import processors_command

COMMAND = (sys.executable, "-P", "-c", "from controller.cli import main; main()")
CONTROLS = """
      control:
        driver: tessera
        address: {tessera}
        settings: {{ brightness_nits: 1200, gamma: 2.2, lut_file: night.cube, lut: true }}
    led2:
      model: megapixel_helios
      control:
        driver: helios
        address: {helios}
        settings: {{ brightness_percent: 60, colour_temperature_k: 5600 }}
"""


@pytest.fixture(scope="module")
def emulators() -> Iterator[dict[str, str]]:
    """Two processors of different makers, each a process of its own."""
    running = {
        model: subprocess.Popen(
            [*COMMAND, "emulate", "processor", "--model", model], stdout=subprocess.PIPE, text=True
        )
        for model in ("tessera", "helios")
    }  # fmt: skip
    addresses: dict[str, str] = {}
    for model, process in running.items():
        assert process.stdout is not None
        addresses[model] = process.stdout.readline().rsplit(" ", 1)[-1].strip()
    yield addresses
    for process in running.values():
        process.terminate()
    for process in running.values():
        process.wait(20)
        assert process.stdout is not None
        process.stdout.close()


def stage_of(folder: Path, emulators: dict[str, str]) -> Path:
    """A stage with two processors, spoken to for real."""
    text = Path(str(find("minimal"))).read_text()
    at = text.index("simulated: true") + len("simulated: true")
    rows = "\n".join(f"{r} {g} {b}" for b in (0, 0.5) for g in (0, 0.5) for r in (0, 0.5))
    (folder / "night.cube").write_text(f"LUT_3D_SIZE 2\n{rows}\n")
    path = folder / "stage.yaml"
    path.write_text(text[:at] + CONTROLS.format(**emulators).rstrip() + text[at:])
    return path


def colours(path: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for finding in preflight(load_config(str(path))):
        if finding.part in ("processor led1", "processor led2"):
            found.setdefault(finding.part[-4:], set()).add(finding.colour)
    return found


def by_hand(emulators: dict[str, str]) -> None:
    """Somebody at the processors themselves."""
    with httpx.Client(base_url=f"http://{emulators['tessera']}") as tessera:
        for path, value in (("output/global-colour/brightness", 300), ("processing/3d-lut/enabled", False)):
            assert tessera.put(f"/api/{path}", json={"data": value}).status_code == 200
        other = "LUT_3D_SIZE 2\n" + "1 0 0\n" * 8
        assert tessera.put("/api/processing/3d-lut/data", json={"data": other}).status_code == 200
    with httpx.Client(base_url=f"http://{emulators['helios']}") as helios:
        changed = {"dev": {"display": {"brightness": 90.0, "cct": 3200}}}
        assert helios.patch("/api/v1/public", json=changed).status_code == 200


def test_two_that_were_changed_by_hand_are_found_shown_mended_and_verified(
    tmp_path: Path, emulators: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = stage_of(tmp_path, emulators)
    assert processors_command(str(path), restore=True, as_json=True) == 0
    by_hand(emulators)
    capsys.readouterr()
    # Found: preflight is red for both, the command tells each setting.
    assert all("red" in found for found in colours(path).values())
    assert len(colours(path)) == 2
    # Shown, and nothing written.
    assert processors_command(str(path), dry_run=True, as_json=True) == 1
    told = json.loads(capsys.readouterr().out)
    planned = {name: {r["name"]: (r["found"], r["wanted"], r["outcome"]) for r in told[name]["set"]} for name in told}
    assert planned["led1"].keys() == {"brightness_nits", "lut_file", "lut"}
    assert planned["led1"]["brightness_nits"] == (300, 1200, "planned")
    assert planned["led1"]["lut_file"][1:] == ("night.cube", "planned")
    assert planned["led2"].keys() == {"brightness_percent", "colour_temperature_k"}
    assert all("red" in found for found in colours(path).values())
    # Mended and verified: what is told is what was read back.
    assert processors_command(str(path), restore=True) == 0
    said = capsys.readouterr().out
    assert "5 settings were set; 2 processors" in said
    assert processors_command(str(path), as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert [told[name]["drift"] for name in ("led1", "led2")] == [[], []]
    assert told["led1"]["reading"]["settings"]["lut_file"] == "night.cube"
    assert told["led2"]["reading"]["settings"]["brightness_percent"] == 60.0
    assert not any("red" in found for found in colours(path).values()), colours(path)
