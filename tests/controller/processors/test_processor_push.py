"""HELIOS tells its changes by itself: looks go over its socket while it lives, and over HTTP when it does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx

from controller.processors.emulators.helios import HeliosEmulator
from controller.processors.emulators.server import serving
from controller.processors.helios import Helios
from controller.processors.keeper import Keeper


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20.0):
        while not true():  # noqa: ASYNC110  # a socket's other end has no event for it
            await asyncio.sleep(0.005)


async def test_a_change_is_heard_without_being_asked_for() -> None:
    emulator = HeliosEmulator()
    async with serving(emulator.app) as address, httpx.AsyncClient(base_url=f"http://{address}") as other:
        driver, heard = Helios(address, where="processors/led1"), [0]
        driver.listen(lambda: heard.__setitem__(0, heard[0] + 1))
        await driver.read()
        assert driver.pushed
        assert emulator.asked == 1
        body = {"dev": {"display": {"brightness": 33.0}}}
        assert (await other.patch("/api/v1/public", json=body)).status_code == 200
        await until(lambda: heard[0] > 0)
        reading = await driver.read()
        assert reading.settings["brightness_percent"] == 33.0
        assert reading.notes == ()
        # Looks cost a ping; what the world does is told before its answer.
        emulator.faults.on.add("no_signal")
        for _ in range(3):
            reading = await driver.read()
        assert reading.signal.present is False
        assert emulator.asked == 1
        await driver.close()


async def test_a_socket_that_goes_is_done_without_and_comes_back() -> None:
    emulator = HeliosEmulator()
    async with serving(emulator.app) as address:
        driver = Helios(address, where="processors/led1")
        await driver.read()
        assert driver.pushed
        for socket in tuple(emulator._sockets):
            await socket.close()
        await until(lambda: not driver.pushed)
        emulator.silent = True
        reading = await driver.read()
        assert not driver.pushed
        assert "every two seconds" in reading.notes[0]
        assert emulator.asked >= 2
        emulator.silent = False
        for _ in range(15):
            await driver.read()
        assert driver.pushed
        await driver.close()


async def test_older_firmware_without_a_socket_is_asked() -> None:
    emulator = HeliosEmulator()
    emulator.silent = True
    async with serving(emulator.app) as address:
        driver = Helios(address, where="processors/led1")
        for _ in range(3):
            assert (await driver.read()).settings["gamma"]
        assert (driver.pushed, emulator.asked) == (False, 3)
        await driver.close()


async def test_what_was_written_is_read_of_the_whole_tree() -> None:
    """A liar's tree is not believed to be what its answer said."""
    emulator = HeliosEmulator()
    async with serving(emulator.app) as address:
        driver = Helios(address, where="processors/led1")
        await driver.read()
        emulator.faults.on.add("lying")
        await driver.write({"gamma": 2.0})
        assert abs(float((await driver.read()).settings["gamma"]) - 2.4) < 1e-4
        await driver.close()


async def test_a_keeper_looks_soon_after_it_was_told() -> None:
    keeper = Keeper("led1", Helios("127.0.0.1:1", where="x"), now_ns=lambda: 0, pause=asyncio.sleep)
    keeper.due_ns = 2_000_000_000
    keeper.hurry()
    assert keeper.due_ns == 100_000_000
    keeper.hurry()
    assert keeper.due_ns == 100_000_000


def test_what_a_helios_of_firmware_24_11_answers() -> None:
    """Its names, as one in the field answers them."""
    from controller.processors.helios import _health, _signal

    ingest: dict[str, Any] = {
        "input": "hdmi1",
        "inputs": {
            "hdmi1": {
                "valid": True, "w": 3840, "h": 2160, "freq": 60, "eotf": "SDR",
                "format": "YCbCr 4:4:4 rec709 limited 8bpc",
            },
        },
        "fans": {"FanCtrl(0)": 1380}, "genlock": {"enabled": True, "source": "hdmi1", "matched": False},
    }  # fmt: skip
    signal = _signal(ingest)
    assert (signal.present, signal.width_px, signal.rate_hz, signal.bits) == (True, 3840, 60.0, 8)
    assert (signal.sampling, signal.hdr_mode) == ("YCbCr 4:4:4", "sdr")
    health = _health({"ingest": ingest}, {})
    assert health.fans_rpm == {"FanCtrl(0)": 1380.0}
    assert health.troubles == ("its sync (hdmi1) does not match its input",)
    ingest["inputs"]["hdmi1"] |= {"valid": False, "w": 0, "h": 0, "freq": 0, "format": "-"}
    assert _signal(ingest).present is False
