"""OSC control: the API's addresses as messages, over a real socket; nonsense is counted and never harms."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message_builder import OscMessageBuilder

from controller.action import ActionName
from controller.commands import Command
from controller.errors import BadValue, UnknownAddress
from controller.osc import MAX_WAITING, Hands, OscControl, OscStatistics, command_of
from runtime.clock import SystemClock
from stage.errors import Problem


def message(address: str, *arguments: Any) -> bytes:
    builder = OscMessageBuilder(address=address)
    for argument in arguments:
        builder.add_arg(argument)
    return bytes(builder.build().dgram)


class Heard:
    """Hands that note what they were asked to do, and a socket to ask by."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.undone: list[str] = []
        self.zeroed: list[str] = []
        self.ordered: list[ActionName] = []
        self.jams = 0
        self.cues: list[tuple[list[str], bool]] = []
        self.refuse: Exception | None = None
        self.hold: asyncio.Event | None = None
        self.statistics = OscStatistics()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.address: tuple[str, int] = ("", 0)

    async def submit(self, command: Command) -> None:
        if self.hold is not None:
            await self.hold.wait()
        if self.refuse is not None:
            raise self.refuse
        self.commands.append(command)

    async def undo(self, prefix: str, _: str) -> None:
        self.undone.append(prefix)

    async def redo(self, prefix: str, _: str) -> None:
        self.undone.append(f"not {prefix}")

    async def zero(self, source: str, _: str) -> None:
        self.zeroed.append(source)

    async def cue(self, parts: list[str], pressed: bool, _: str) -> None:
        self.cues.append((parts, pressed))

    async def jam(self) -> None:
        self.jams += 1

    async def send(self, *datagrams: bytes) -> None:
        before = self.statistics.datagrams
        for datagram in datagrams:
            self.socket.sendto(datagram, self.address)
        async with asyncio.timeout(5):
            while self.statistics.datagrams < before + len(datagrams):  # noqa: ASYNC110 - a plain counter
                await asyncio.sleep(0.002)
        await asyncio.sleep(0.005)


@pytest.fixture
async def heard() -> AsyncIterator[Heard]:
    heard = Heard()
    hands = Hands(
        submit=heard.submit, undo=heard.undo, redo=heard.redo, zero=heard.zero, order=heard.ordered.append,
        jam=heard.jam, cue=heard.cue,
    )  # fmt: skip
    control = OscControl(hands, heard.statistics, clock=SystemClock())
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: control, ("127.0.0.1", 0))
    heard.address = transport.get_extra_info("sockname")
    yield heard
    transport.close()
    heard.socket.close()


async def test_cues_go_by_osc(heard: Heard) -> None:
    await heard.send(
        message("/cues/go"), message("/cues/12.5/go", 1), message("/cues/back", 0), message("/cues/chase", 1)
    )
    assert heard.cues == [(["go"], True), (["12.5", "go"], True), (["back"], False), (["chase"], True)]


async def test_addresses_are_those_of_the_api(heard: Heard) -> None:
    await heard.send(
        message("/cameras/a/overscan_deg", 4.0),
        message("/cameras/a/overscan_deg", 1.0, 2.0, 3.0, 4.0),
        message("/cameras/a/enabled", 0),
        message("/cameras/a/enabled", True),
        message("/cameras/a/overscan_mode", "auto"),
        message("/sources/fiz/nudge/x_m", 0.5),
        message("/sources/fiz/step/pan_deg", 0.25),
        message("/scenes/valley/activate"),
        message("/scenes/valley/activate", 1),
        message("/positions/hill/activate"),
        message("/patterns/inner_grid", 1),
        message("/patterns/inner_grid", "main", "roof"),
        message("/patterns/inner_grid", "main"),
        message("/outer/mode", "frozen"),
    )
    assert [command.changes or command.steps for command in heard.commands] == [
        {"cameras/a/overscan_deg": 4.0},
        {"cameras/a/overscan_deg": [1.0, 2.0, 3.0, 4.0]},
        {"cameras/a/enabled": 0},
        {"cameras/a/enabled": True},
        {"cameras/a/overscan_mode": "auto"},
        {"sources/fiz/nudge/x_m": 0.5},
        {"sources/fiz/nudge/pan_deg": 0.25},
        {"scenes/active": "valley"},
        {"scenes/active": "valley"},
        {"position": "hill"},
        {"patterns/inner_grid": 1},
        {"patterns/inner_grid": ["main", "roof"]},
        {"patterns/inner_grid": ["main"]},
        {"outer/mode": "frozen"},
    ]
    assert {command.who for command in heard.commands} == {"osc 127.0.0.1"}
    assert not heard.statistics.refused


async def test_a_button_let_go_does_nothing(heard: Heard) -> None:
    await heard.send(
        message("/scenes/valley/activate", 0), message("/actions/black", 0.0), message("/undo", 0),
        message("/sources/fiz/zero", 0),
    )  # fmt: skip
    assert (heard.commands, heard.ordered, heard.undone, heard.zeroed) == ([], [], [], [])
    assert not heard.statistics.refused


async def test_actions_undo_and_zero(heard: Heard) -> None:
    await heard.send(
        message("/actions/black"), message("/actions/none", 1), message("/undo"), message("/undo", "cameras/a"),
        message("/sources/fiz/zero"),
    )  # fmt: skip
    assert heard.ordered == ["black", "none"]
    assert heard.undone == ["", "cameras/a"]
    assert heard.zeroed == ["fiz"]
    await heard.send(message("/frames/jam"), message("/frames/jam", 0), message("/frames/jam", 1))
    assert heard.jams == 2, "a button that was let go does nothing"


async def test_a_bundle_is_done_at_once_in_order(heard: Heard) -> None:
    builder = OscBundleBuilder(IMMEDIATELY)
    for value in (1.0, 2.0, 3.0):
        inner = OscMessageBuilder(address="/exposure_ev")
        inner.add_arg(value)
        builder.add_content(inner.build())
    await heard.send(bytes(builder.build().dgram))
    assert [command.changes["exposure_ev"] for command in heard.commands] == [1.0, 2.0, 3.0]


async def test_what_is_refused_is_counted_by_reason(heard: Heard) -> None:
    await heard.send(
        b"hello", b"", message("/actions/strobe"), message("/exposure_ev"), b"#bundle\0", message("/x", float("nan"))
    )
    assert heard.statistics.refused == {
        "magic": 1, "short": 2, "controller.unknown_address": 2, "nan": 1,
    }  # fmt: skip
    heard.refuse = BadValue(Problem(BadValue.code, "exposure_ev", "too much"))
    await heard.send(message("/exposure_ev", 99.0))
    assert heard.statistics.refused["controller.bad_value"] == 1
    heard.refuse = ZeroDivisionError()
    await heard.send(message("/exposure_ev", 1.0))
    assert heard.statistics.refused["failed"] == 1
    heard.refuse = None
    await heard.send(message("/exposure_ev", 1.0))
    assert len(heard.commands) == 1


async def test_a_flood_is_bounded(heard: Heard) -> None:
    heard.hold = asyncio.Event()
    for _ in range(0, MAX_WAITING + 100, 50):
        await heard.send(*[message("/exposure_ev", 1.0)] * 50)
    assert heard.statistics.refused["flood"] >= 50
    heard.hold.set()
    await asyncio.sleep(0.05)
    assert len(heard.commands) == MAX_WAITING


@given(
    st.text(st.characters(codec="ascii"), max_size=40),
    st.lists(st.floats() | st.integers() | st.text() | st.booleans()),
)
def test_no_address_breaks_the_reading(address: str, arguments: list[Any]) -> None:
    with contextlib.suppress(UnknownAddress):
        command_of("/" + address, tuple(arguments), "t")
