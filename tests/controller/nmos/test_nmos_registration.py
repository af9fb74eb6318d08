"""Registration against a registry of our own over real HTTP: order, heartbeats, forgetting, failing over, leaving."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from controller.nmos.registration import BEAT_S, Registration
from controller.nmos.resources import Facts, Shelf
from controller.processors.emulators.server import serving
from controller.st2110.connection import Connection, Leg
from controller.st2110.network import Interface
from controller.st2110.status import StreamStatus
from stage.rate import Rate

STREAM = StreamStatus("sending", Connection([Leg("239.1.1.1", 5004, "127.0.0.1")]), width_px=64, height_px=36, bits=8)
FACTS = Facts(
    seed="m/s", label="s", hostname="h", host="127.0.0.1", port=7480, rate=Rate(25),
    interfaces=[Interface("lo", "127.0.0.1", "00-00-00-00-00-00")], streams={"left": STREAM},
)  # fmt: skip
ALL = ["node", "device", "source", "flow", "sender"]


def kit() -> ModuleType:
    name = "nmos_registry"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("_registry.py"))
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


class Rig:
    """Registries that are served, and a registration whose time is the test's."""

    def __init__(self, registries: list[Any], addresses: list[str], client: httpx.AsyncClient) -> None:
        self.registries = registries
        self.now_s = 100.0
        self.shelf = Shelf()
        self.shelf.update(FACTS, tai_ns=1)
        urls = [f"http://{address}/" for address in addresses]
        self.registration = Registration(
            urls, self.shelf, client, now_s=lambda: self.now_s, faults=(httpx.HTTPError, OSError)
        )

    async def turn(self, later_s: float = 0.0) -> None:
        self.now_s += later_s
        await self.registration.turn()


def played(play: Callable[[Rig], Awaitable[None]], *, registries: int = 1, dead_first: bool = False) -> None:
    async def run() -> None:
        async with AsyncExitStack() as stack:
            made = [kit().RegistryEmulator() for _ in range(registries)]
            addresses = [await stack.enter_async_context(serving(registry.app)) for registry in made]
            if dead_first:
                addresses.insert(0, "127.0.0.1:9")
            client = await stack.enter_async_context(httpx.AsyncClient(timeout=5.0, trust_env=False))
            await play(Rig(made, addresses, client))

    asyncio.run(run())


def test_everything_is_registered_in_order_and_kept_alive() -> None:
    async def play(rig: Rig) -> None:
        (registry,) = rig.registries
        await rig.turn()
        assert registry.log == [f"POST {kind}" for kind in ALL]
        assert rig.registration.state == "registered"
        for _ in range(12):
            await rig.turn(1.0)
        assert registry.beats == 2
        assert BEAT_S < 12.0 / 2
        assert len(registry.log) == 5

    played(play)


def test_a_registry_that_forgot_is_told_again() -> None:
    async def play(rig: Rig) -> None:
        (registry,) = rig.registries
        await rig.turn()
        registry.forget()
        await rig.turn(BEAT_S)
        assert rig.registration.trouble
        await rig.turn(0.5)
        assert registry.kinds() == ALL
        assert (rig.registration.state, rig.registration.trouble) == ("registered", "")

    played(play)


def test_what_another_life_left_is_taken_out_first() -> None:
    async def play(rig: Rig) -> None:
        (registry,) = rig.registries
        for kind, resource in rig.shelf.items():
            registry.resources[kind, resource["id"]] = resource
        await rig.turn()
        assert registry.log[:3] == ["POST node", "DELETE node", "POST node"]
        assert registry.kinds() == ALL

    played(play)


def test_changes_are_told_and_what_is_gone_is_taken_out() -> None:
    async def play(rig: Rig) -> None:
        (registry,) = rig.registries
        await rig.turn()
        registry.log.clear()
        rig.shelf.update(replace(FACTS, streams={"left": STREAM, "right": STREAM}), tai_ns=2)
        await rig.turn(1.0)
        assert registry.log == ["POST device", "POST source", "POST flow", "POST sender"]
        registry.log.clear()
        rig.shelf.update(FACTS, tai_ns=3)
        await rig.turn(1.0)
        assert registry.log == ["DELETE sender", "DELETE flow", "DELETE source", "POST device"]
        assert registry.kinds() == ALL
        assert registry.resources["device", FACTS.id("device")]["version"] == "0:3"
        await rig.registration.leave()
        assert registry.kinds() == []

    played(play)


def test_one_that_is_dead_is_left_for_another_and_faults_are_told() -> None:
    async def play(rig: Rig) -> None:
        first, second = rig.registries
        await rig.turn()
        assert "127.0.0.1:9" in rig.registration.trouble
        await rig.turn()
        assert first.kinds() == ALL
        first.fail = 99
        await rig.turn(BEAT_S)
        assert rig.registration.state == "searching"
        await rig.turn()
        assert second.kinds() == ALL
        assert rig.registration.state == "registered"

    played(play, registries=2, dead_first=True)


def test_one_that_is_away_is_asked_again_after_a_while() -> None:
    async def play(rig: Rig) -> None:
        (registry,) = rig.registries
        registry.fail = 2
        await rig.turn()
        await rig.turn(0.5)
        assert registry.fail == 1, "it is not hammered"
        await rig.turn(2.0)
        await rig.turn(2.0)
        assert rig.registration.state == "registered"

    played(play)


def test_a_resource_that_is_refused_is_told_and_said_once() -> None:
    async def play(rig: Rig) -> None:
        (registry,) = rig.registries
        registry.refuse = "flow"
        await rig.turn()
        await rig.turn(1.0)
        assert list(rig.registration.refused) == ["flow left"]
        assert registry.log.count("POST flow") == 1
        assert rig.registration.state == "registered"

    played(play)


@pytest.mark.parametrize("registries", [0])
def test_without_a_registry_nothing_is_asked(registries: int) -> None:
    async def play(rig: Rig) -> None:
        await rig.turn()
        assert rig.registration.state == "none"
        await rig.registration.leave()

    played(play, registries=registries)
