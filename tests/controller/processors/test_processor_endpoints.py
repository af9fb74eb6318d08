"""docs/processor-endpoints.md against the makers' lists, and against what the drivers really ask of the emulators."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from controller.processors.coex import Coex
from controller.processors.colorlight import PATTERNS, command
from controller.processors.emulators.coex import CoexEmulator
from controller.processors.emulators.helios import HeliosEmulator
from controller.processors.emulators.server import serving
from controller.processors.emulators.tessera import TesseraEmulator
from controller.processors.helios import Helios
from controller.processors.http import HttpLink
from controller.processors.model import OFF, SETTINGS, Value
from controller.processors.tables import Tables
from controller.processors.tessera import Tessera

MAKERS = ("Brompton Tessera", "Megapixel HELIOS", "NovaStar COEX", "Colorlight")
USES = ("set", "set only", "read", "emulated", "not asked")
CUBE = "LUT_3D_SIZE 2\n" + "".join(f"{r} {g} {b}\n" for b in (0, 1) for g in (0, 1) for r in (0, 1))


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the page."""

    endpoint: str
    use: str
    words: str

    def holds(self, endpoint: str) -> bool:
        parts = re.split(r"(\{[^}]*\}|\*)", self.endpoint)
        text = "".join(".*" if p == "*" else "[^/.]+" if p.startswith("{") else re.escape(p) for p in parts)
        return re.fullmatch(text, endpoint) is not None

    @property
    def settings(self) -> list[str]:
        return [name for name in re.findall(r"`([a-z0-9_]+)`", self.words) if name in SETTINGS]


@cache
def rows(root: Path) -> dict[str, list[Row]]:
    """Rows of each maker, in order: the first that holds an endpoint is the one that tells of it."""
    found: dict[str, list[Row]] = {}
    for line in (root / "docs/processor-endpoints.md").read_text().splitlines():
        if line.startswith("## "):
            found[next(m for m in MAKERS if line[3:].startswith(m))] = told = []
        elif match := re.fullmatch(r"\| `(.+?)` \| (.+?) \| (.+?) \|", line):
            told.append(Row(*match.groups()))
    return found


def row_of(root: Path, maker: str, endpoint: str) -> Row | None:
    return next((row for row in rows(root)[maker] if row.holds(endpoint)), None)


def documented(reference: Path) -> dict[str, list[str]]:
    """Every endpoint of the makers' documents."""
    folder = reference / "output"
    with (folder / "tessera/endpoints_3_5_2.csv").open() as file:
        tessera = [row["path"] for row in csv.DictReader(file)]
    api = json.loads((folder / "helios/public_api_24_07.json").read_text())
    helios = [name for name, _, _ in api["properties"]]
    for part in ("presets", "media", "preview"):
        helios += [" ".join(text.replace("?", " ").split()[:2]) for text in api[part].values()]
    with (folder / "coex/endpoints.csv").open() as file:
        coex = [f"{row['method']} {row['path'].removeprefix('/api/v1/')}" for row in csv.DictReader(file)]
    control = json.loads((folder / "colorlight/control.json").read_text())["control_tcp"]["protocols"]
    colorlight = [name for family in control.values() for name in family if name.endswith("_hex")]
    return dict(zip(MAKERS, (tessera, helios, coex, colorlight), strict=True))


@pytest.mark.parametrize("maker", MAKERS)
def test_no_endpoint_is_missing_and_none_is_made_up(root: Path, reference: Path, maker: str) -> None:
    listed = rows(root)[maker]
    assert {row.use for row in listed} <= set(USES)
    told: set[Row] = set()
    for endpoint in documented(reference)[maker]:
        row = row_of(root, maker, endpoint)
        assert row is not None, f"{endpoint} is not on the page"
        told.add(row)
    assert [row.endpoint for row in listed if row not in told] == []


def test_what_is_said_to_be_emulated_is(root: Path, reference: Path) -> None:
    """A Tessera's whole tree is looked at elsewhere (`test_tessera_has_every_endpoint`)."""
    tree = HeliosEmulator().tree
    for endpoint in documented(reference)["Megapixel HELIOS"]:
        row = row_of(root, "Megapixel HELIOS", endpoint)
        assert row is not None
        if row.use not in ("emulated", "set") or "|" in endpoint:
            continue
        found: object = tree
        for part in endpoint.replace("{n}", "1").split("."):
            assert isinstance(found, dict), endpoint
            assert part in found, endpoint
            found = found[part]


EVERYTHING: dict[str, dict[str, Value]] = {
    "Brompton Tessera": {
        "brightness_nits": 900, "colour_temperature_k": 5600, "gain_percent": 90.0, "gain_red_percent": 80.0,
        "gain_green_percent": 81.0, "gain_blue_percent": 82.0, "gamma": 2.2, "hdr_mode": "pq", "input": "hdmi/1",
        "colour_space": "rec-2020", "bit_depth": 12, "genlock_source": "ref-in", "genlock_rate_hz": 24.0,
        "genlock_phase_deg": 9.0, "shutter_mode": "angle", "shutter_angle_deg": 172.8, "shutter_speed_hz": 48.0,
        "shutter_viewer": "eye", "shutter_sensor": "any", "shutter_readout_ms": 8.0, "rate_multiplier": 2,
        "remapping": True, "remapping_frames": "video 0 0, colour 0 255 0", "colour_correct": True,
        "colour_replace": True, "curves": True, "scaler": True, "dark_magic": True, "puretone": True,
        "extended_bit_depth": True, "overdrive": True, "seam_correction": True, "module_correction": True,
        "hidden_markers": True, "startracker": True, "lut_file": "warm.cube", "lut": True,
        "lut_strength_percent": 50.0, "redundancy_mode": "failover", "preset": "2", "blackout": True, "freeze": True,
        "test_pattern": "grid",
    },
    "Megapixel HELIOS": {
        "brightness_percent": 40.0, "colour_temperature_k": 5600, "tint_duv": 0.01, "gamma": 2.2, "input": "sdi1",
        "colour_correct": True, "redundancy_mode": "failover", "redundancy_role": "backup",
        "redundancy_state": "standby", "preset": "Shoot", "blackout": True, "freeze": True, "test_pattern": "grid",
        "identify": "2",
    },
    "NovaStar COEX": {
        "brightness_percent": 40.0, "colour_temperature_k": 5600, "gamma": 2.2, "hdr_mode": "pq", "input": "SDI1",
        "bit_depth": 12, "gamut": "Rec.2020", "colour_correct": True, "lut_file": "warm.cube", "lut": True,
        "lut_strength_percent": 50.0, "preset": "2", "blackout": True, "freeze": True, "test_pattern": "red",
        "identify": "all",
    },
}  # fmt: skip
"""A value for every setting that a driver may be asked for."""
MADE: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "Brompton Tessera": (TesseraEmulator, Tessera),
    "Megapixel HELIOS": (HeliosEmulator, Helios),
    "NovaStar COEX": (CoexEmulator, Coex),
}


@asynccontextmanager
async def asked(maker: str, folder: Path) -> AsyncIterator[tuple[Any, set[str]]]:
    """A driver at its emulator, and what it asks: `METHOD path` and, of what it writes, each leaf of the body."""
    (folder / "warm.cube").write_text(CUBE)
    emulator_of, driver_of = MADE[maker]
    found: set[str] = set()
    ask = HttpLink.ask

    async def noted(link: HttpLink, method: str, path: str, **more: Any) -> Any:
        found.add(f"{method} {path.partition('?')[0]}")
        for leaf in leaves(more.get("body")):
            found.add(f"{method} {leaf}")
        return await ask(link, method, path, **more)

    emulator = emulator_of()
    if maker == "Megapixel HELIOS":
        emulator.silent = True  # over HTTP, where it is seen
    async with serving(emulator.app) as address:
        tables = {} if maker == "Megapixel HELIOS" else {"tables": Tables(folder)}
        driver = driver_of(address, where="processors/led", **tables)
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(HttpLink, "ask", noted)
                await driver.read()
                yield driver, found
        finally:
            await driver.close()


def leaves(body: object, path: str = "") -> list[str]:
    """Dotted paths of a tree's leaves."""
    if not isinstance(body, dict):
        return [path] if path else []
    return [leaf for key, value in body.items() for leaf in leaves(value, f"{path}.{key}".lstrip("."))]


def wire_name(maker: str, told: str) -> str:
    """What was asked, as the page names endpoints: empty where it is none of them."""
    method, _, path = told.partition(" ")
    if maker == "Brompton Tessera":
        return path.removeprefix("/api/") if method == "PUT" and path.startswith("/api/") else ""
    if maker == "Megapixel HELIOS":
        if path.startswith(("dev.", "sys.")):
            return path
        return told if "/presets" in path else ""
    return f"{method} {path.removeprefix('/api/v1/')}" if path.startswith("/api/v1/") else ""


@pytest.mark.parametrize("maker", list(MADE))
async def test_what_is_set_is_what_the_page_says(root: Path, tmp_path: Path, maker: str) -> None:
    async with asked(maker, tmp_path) as (driver, found):
        for name in EVERYTHING[maker]:
            assert driver.abilities[name].writable, name
        able = {name for name, ability in driver.abilities.items() if ability.writable}
        assert able == set(EVERYTHING[maker]), "a value for each, so that nothing is passed over"
        reads = await driver.read()
        found.clear()
        await driver.write(EVERYTHING[maker])
        if maker == "Megapixel HELIOS":
            await driver.write({"preset": "1"})
        writes = {wire_name(maker, told) for told in found} - {""}
        # Of a branch that is written whole each leaf is meant.
        whole = {told.endpoint.removesuffix("/*") for told in rows(root)[maker] if told.use == "set"}
        for name in writes:
            row = row_of(root, maker, name) or row_of(root, maker, f"{name}/x")
            assert row is not None, name
            method = name.partition(" ")[0]
            if method != "GET":
                assert row.use in ("set", "set only"), f"{name} is written; the page says {row.use}"
                for setting in row.settings:
                    assert driver.abilities[setting].readable == (row.use == "set"), (name, setting)
        assert whole
        for row in rows(root)[maker]:
            if row.use.startswith("set"):
                assert any(row.holds(name) or row.holds(f"{name}/x") for name in writes), f"{row.endpoint} is not set"
                assert row.settings, f"{row.endpoint} names no setting"
        # Everything that can be read back is, and what is read is on the page.
        assert {n for n, a in driver.abilities.items() if a.readable and a.writable} <= set(reads.settings) | {
            "lut_file"
        }
        named = {setting for row in rows(root)[maker] for setting in row.settings}
        assert set(reads.settings) <= named | {"genlock_source", "low_latency"}


def test_colorlight_sets_what_the_page_says(root: Path) -> None:
    values: dict[str, Value] = {
        "brightness_percent": 40.0,
        "blackout": True,
        "test_pattern": PATTERNS[1],
        "preset": "2",
    }
    named = [s for row in rows(root)["Colorlight"] if row.use == "set only" for s in row.settings]
    assert sorted(named) == sorted(values)
    assert all(command(family, name, value) for family in ("v", "z") for name, value in values.items())
    assert OFF in PATTERNS
