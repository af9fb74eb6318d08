"""Every driver against its emulator, over real sockets: read, set, read back, and each fault told for what it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from controller.processors.coex import Coex
from controller.processors.colorlight import Colorlight
from controller.processors.driver import (
    BusyError,
    Driver,
    LockedError,
    ProcessorError,
    RefusedError,
    UnreachableError,
)
from controller.processors.emulators.coex import CoexEmulator
from controller.processors.emulators.colorlight import ColorlightEmulator
from controller.processors.emulators.device import Signal
from controller.processors.emulators.helios import HeliosEmulator
from controller.processors.emulators.server import serving
from controller.processors.emulators.tessera import TesseraEmulator
from controller.processors.helios import Helios
from controller.processors.keeper import Keeper
from controller.processors.model import SETTINGS, Value
from controller.processors.tessera import Tessera

MODELS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "tessera": (TesseraEmulator, Tessera),
    "helios": (HeliosEmulator, Helios),
    "coex": (CoexEmulator, Coex),
}
SETS: dict[str, dict[str, Value]] = {
    "tessera": {
        "brightness_nits": 1200, "colour_temperature_k": 5600, "gamma": 2.2, "hdr_mode": "pq",
        "colour_space": "rec-2020", "bit_depth": 12, "genlock_source": "ref-in", "genlock_rate_hz": 23.976,
        "genlock_phase_deg": 90.0, "shutter_mode": "angle", "shutter_angle_deg": 172.8, "rate_multiplier": 2,
        "shutter_viewer": "eye", "shutter_sensor": "rolling-shutter", "shutter_readout_ms": 8.25,
        "redundancy_mode": "failover",
        "remapping": True, "remapping_frames": "video 0 0, colour 0 255 0", "lut": True, "lut_strength_percent": 50.0,
        "gain_percent": 90.25, "gain_red_percent": 80.5, "gain_green_percent": 81.5, "gain_blue_percent": 82.5,
        "colour_correct": True, "colour_replace": True, "curves": True, "scaler": True, "dark_magic": True,
        "puretone": True, "extended_bit_depth": True, "overdrive": True, "seam_correction": True,
        "module_correction": True, "hidden_markers": True, "startracker": True,
        "blackout": True, "freeze": True, "test_pattern": "grid", "preset": "2",
    },
    "helios": {
        "brightness_percent": 42.5, "colour_temperature_k": 5600, "gamma": 2.2, "blackout": True, "freeze": True,
        "test_pattern": "grid", "input": "sdi1", "redundancy_mode": "failover", "redundancy_role": "backup",
        "redundancy_state": "standby", "identify": "2", "tint_duv": 0.01, "colour_correct": True,
    },
    "coex": {
        "brightness_percent": 35.0, "colour_temperature_k": 5600, "gamma": 2.2, "bit_depth": 12, "freeze": True,
        "preset": "2", "hdr_mode": "pq", "input": "SDI1", "gamut": "Rec.2020",
    },
}  # fmt: skip


@asynccontextmanager
async def pair(model: str, **options: Any) -> AsyncIterator[tuple[Any, Any]]:
    emulator_of, driver_of = MODELS[model]
    emulator = emulator_of(**options)
    async with serving(emulator.app) as address:
        driver = driver_of(address, where=f"processors/{model}")
        try:
            yield emulator, driver
        finally:
            await driver.close()


@pytest.mark.parametrize("model", list(MODELS))
async def test_what_is_set_is_read_back(model: str) -> None:
    async with pair(model) as (_, driver):
        before = await driver.read()
        wanted = SETS[model]
        assert all(before.settings.get(name) != value for name, value in wanted.items())
        await driver.write(wanted)
        after = await driver.read()
        for name, value in wanted.items():
            found = after.settings[name]
            assert found == (pytest.approx(value, abs=1e-4) if isinstance(value, float) else value), name
        assert set(after.settings) <= set(SETTINGS)
        assert set(wanted) <= set(driver.abilities)


@pytest.mark.parametrize("model", list(MODELS))
async def test_who_it_is_and_what_arrives(model: str) -> None:
    async with pair(model, signal=Signal(2112, 1760, 24.0, 10)) as (emulator, driver):
        reading = await driver.read()
        assert reading.identity.serial
        assert reading.identity.firmware
        assert (reading.signal.present, reading.signal.width_px, reading.signal.height_px) == (True, 2112, 1760)
        assert reading.signal.rate_hz == pytest.approx(24.0)
        assert not reading.health.troubles
        emulator.faults.on |= {"no_signal", "unplugged"}
        reading = await driver.read()
        assert reading.signal.present is False
        assert reading.health.troubles


FAULTS = [
    # HELIOS has no word for busy.
    *((model, "busy", BusyError) for model in MODELS if model != "helios"),
    *(
        (model, fault, error)
        for model in MODELS
        for fault, error in (("locked", LockedError), ("rebooting", BusyError))
    ),
]


@pytest.mark.parametrize(("model", "fault", "error"), FAULTS)
async def test_faults_have_names(model: str, fault: Any, error: type[ProcessorError]) -> None:
    async with pair(model) as (emulator, driver):
        await driver.read()
        emulator.faults.on.add(fault)
        with pytest.raises(error) as caught:
            await driver.write({"gamma": 2.0})
        problem = caught.value.problems[0]
        assert problem.path.startswith(f"processors/{model}")
        assert problem.mend


@pytest.mark.parametrize("model", list(MODELS))
async def test_what_it_does_not_take_is_refused_before_it_is_sent(model: str) -> None:
    async with pair(model) as (_, driver):
        with pytest.raises(RefusedError) as caught:
            await driver.write({"gamma": 99.0, "shutter_speed_hz": -1.0, "test_pattern": "a cat"})
        assert [p.path.rsplit("/", 1)[-1] for p in caught.value.problems] == [
            "gamma", "shutter_speed_hz", "test_pattern",
        ]  # fmt: skip
        assert all(p.mend for p in caught.value.problems)


@pytest.mark.parametrize("model", list(MODELS))
async def test_nobody_there(model: str) -> None:
    async with pair(model) as (_, driver):
        pass
    with pytest.raises(UnreachableError):
        await driver.read()
    await driver.close()


async def test_colorlight_over_its_socket() -> None:
    for family in ("v", "z"):
        emulator = ColorlightEmulator(family=family)  # type: ignore[arg-type]
        async with emulator.serving() as address:
            driver = Colorlight(address, where="processors/c", family=family)  # type: ignore[arg-type]
            assert (await driver.read()).settings == {}
            wanted: dict[str, Value] = {
                "brightness_percent": 25.0, "blackout": True, "test_pattern": "blue", "preset": "3",
            }  # fmt: skip
            await driver.write(wanted)
            assert (await driver.read()).settings == wanted
            async with asyncio.timeout(5.0):
                while emulator.preset != 3:  # noqa: ASYNC110  # the socket has no event for it
                    await asyncio.sleep(0.001)
            assert emulator.brightness == pytest.approx(0.25)
            assert (emulator.black, emulator.shown.pattern, emulator.strange) == (True, "blue", 0)
            assert emulator.heartbeats >= 1
            await driver.close()


class Time:
    """A clock of the test's own."""

    def __init__(self) -> None:
        self.ns = 0
        self.paused_s: list[float] = []
        self.on_pause: Callable[[], None] = lambda: None

    async def pause(self, seconds: float) -> None:
        self.paused_s.append(seconds)
        self.ns += int(seconds * 1e9)
        self.on_pause()


def keeper_of(driver: Driver, desired: dict[str, Value]) -> tuple[Keeper, Time]:
    time = Time()
    return Keeper("led1", driver, now_ns=lambda: time.ns, pause=time.pause, desired=desired), time


@pytest.mark.parametrize("model", list(MODELS))
async def test_drift_is_found_mended_and_verified(model: str) -> None:
    wanted: dict[str, Value] = {"gamma": 2.2, "colour_temperature_k": 5600}
    async with pair(model) as (_, driver):
        keeper, _time = keeper_of(driver, wanted)
        await keeper.look()
        assert {d.name for d in keeper.kept.drift} == set(wanted)
        assert [c.name for c in keeper.changes()] == ["colour_temperature_k", "gamma"]
        results = await keeper.restore()
        assert {r.name: r.outcome for r in results} == dict.fromkeys(wanted, "applied")
        assert not keeper.kept.drift
        await driver.write({"gamma": 3.0})  # somebody turns its knob
        await keeper.look()
        assert [(d.name, d.wanted) for d in keeper.kept.drift] == [("gamma", 2.2)]
        assert keeper.kept.drift[0].found == pytest.approx(3.0)
        assert await keeper.restore()
        assert not keeper.kept.drift
        assert await keeper.restore() == []


@pytest.mark.parametrize("model", list(MODELS))
async def test_a_liar_is_found_out(model: str) -> None:
    async with pair(model) as (emulator, driver):
        keeper, _time = keeper_of(driver, {})
        emulator.faults.on.add("lying")
        results = await keeper.set({"gamma": 1.8})
        assert [r.outcome for r in results] == ["ignored"]
        assert "acknowledged" in results[0].detail


async def test_a_snapped_value_is_rounded_not_ignored() -> None:
    async with pair("coex") as (_, driver):
        keeper, _time = keeper_of(driver, {})
        results = await keeper.set({"colour_temperature_k": 5632})
        # Within half a step it is what was asked for.
        assert results[0].outcome == "applied"
        assert keeper.kept.reading is not None
        assert keeper.kept.reading.settings["colour_temperature_k"] == 5600


@pytest.mark.parametrize("model", ["tessera", "coex"])
async def test_busy_is_asked_again_and_then_given_up(model: str) -> None:
    async with pair(model) as (emulator, driver):
        keeper, time = keeper_of(driver, {})
        await keeper.look()
        emulator.faults.on.add("busy")
        time.on_pause = lambda: emulator.faults.on.discard("busy") if len(time.paused_s) == 2 else None
        results = await keeper.set({"gamma": 1.8})
        assert [r.outcome for r in results] == ["applied"]
        assert len(time.paused_s) == 2
        emulator.faults.on.add("busy")
        time.on_pause = lambda: None
        with pytest.raises(BusyError):
            await keeper.set({"gamma": 2.0})
        assert keeper.kept.link == "busy"


async def test_away_is_looked_for_ever_more_seldom_and_found_again() -> None:
    emulator = TesseraEmulator()
    async with serving(emulator.app) as address:
        driver = Tessera(address, where="processors/led1")
        keeper, time = keeper_of(driver, {"gamma": 2.4})
        assert (await keeper.look()).link == "ready"
    gaps = []
    for _ in range(5):
        assert (await keeper.look()).link == "away"
        gaps.append((keeper.due_ns - time.ns) / 1e9)
        time.ns = keeper.due_ns
    assert gaps == [1.0, 2.0, 4.0, 8.0, 10.0]
    assert keeper.kept.trouble is not None
    assert keeper.kept.trouble.mend
    assert keeper.kept.reading is not None, "what was known last is still shown"
    host, _, port = address.partition(":")
    async with serving(emulator.app, host=host, port=int(port)):
        assert (await keeper.look()).link == "ready"
        assert keeper.due_ns - time.ns == 2_000_000_000
        await driver.close()
