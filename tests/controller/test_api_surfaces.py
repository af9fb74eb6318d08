"""Control surfaces at a running house: OSC that acts and is told what changes, MIDI keys that act and light."""

from __future__ import annotations

import asyncio
import os
import socket
import tty
from collections.abc import Iterator
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any

import pytest

from controller.api.surface_inputs import surfaces_of
from controller.api.surfaces import arguments_of, value_at
from controller.config import ControlConfig, OscConfig
from controller.midi import MidiMessage, MidiParser, go_bytes, message_bytes
from controller.midi_config import MidiConfig, MidiInputConfig, MidiRow
from tracking.protocols.osc import OscPacket, parse

if TYPE_CHECKING:
    from tests.controller.conftest import RunningHouse


class Desk:
    """A surface: an OSC socket, and a MIDI device that is a pseudo-terminal."""

    def __init__(self, house: RunningHouse) -> None:
        self.house = house
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(40)
        self.own_port = self.socket.getsockname()[1]
        self.terminal, self.slave = os.openpty()
        tty.setraw(self.slave)
        os.set_blocking(self.terminal, False)
        rows = [
            MidiRow(note=1, to="cues/20/go"),
            MidiRow(control=7, to="exposure_ev", low=-4.0, high=4.0),
            MidiRow(note=2, to="cameras/a/on_air", toggle=True),
        ]
        midi = MidiInputConfig(device=os.ttyname(self.slave), rows=rows, feedback=True, show_control_id=1)
        config = ControlConfig(osc=OscConfig(port=0), midi=MidiConfig(inputs={"desk": midi}))
        self.stack = AsyncExitStack()
        self.port = house.wait(self.stack.enter_async_context(surfaces_of(house.control, config)))
        self.parser = MidiParser()
        self.lit: list[Any] = []

    def osc(self, address: str, *arguments: Any) -> None:
        self.socket.sendto(bytes(OscPacket.build(address, arguments)), ("127.0.0.1", self.port))

    def told(self, address: str, *arguments: Any) -> None:
        """Wait until it is told so."""
        while True:
            for packet in parse(self.socket.recv(9216)):
                if isinstance(packet, OscPacket) and (packet.address, packet.arguments) == (address, arguments):
                    return

    def press(self, message: MidiMessage | bytes) -> None:
        os.write(self.terminal, message if isinstance(message, bytes) else message_bytes(message))

    def lights(self) -> list[Any]:
        with suppress(BlockingIOError):
            self.lit += self.parser.feed(os.read(self.terminal, 4096))
        return self.lit

    def close(self) -> None:
        self.house.wait(self.stack.aclose())
        self.socket.close()
        os.close(self.terminal)
        os.close(self.slave)


@pytest.fixture(scope="module")
def desk(house: RunningHouse) -> Iterator[Desk]:
    made = Desk(house)
    made.house.eventually(lambda: house.get("surfaces")["midi"]["desk"]["open"])
    for name, number, ev in (("one", "10", -1.0), ("two", "20", -2.0)):
        body = {"number": number, "label": name, "changes": {"exposure_ev": ev}}
        assert house.client.put(f"/api/v1/cues/{name}", json=body).status_code == 200
    yield made
    made.close()
    for name in ("one", "two"):
        house.client.delete(f"/api/v1/cues/{name}")


def test_osc_acts_and_is_told_what_changes(house: RunningHouse, desk: Desk) -> None:
    desk.osc("/feedback", desk.own_port)
    desk.told("/cues/next", "10")
    desk.osc("/cues/go")
    desk.told("/cues/10/go", 1)
    desk.osc("/exposure_ev", 0.5)
    desk.told("/exposure_ev", 0.5)
    desk.osc("/cameras/a/on_air", 0)
    desk.told("/cameras/a/on_air", 0)
    desk.osc("/undo")
    desk.told("/cameras/a/on_air", 1)
    desk.osc("/undo")
    desk.osc("/cues/back")
    desk.told("/cues/10/go", 0)
    house.client.post("/api/v1/actions/hold")
    desk.told("/actions/hold", 1)
    house.client.post("/api/v1/actions/none")
    desk.told("/actions/none", 1)
    assert house.get("show")["exposure_ev"] == 0.0
    told = house.get("surfaces")["osc"]
    assert told["messages"] >= 7
    assert told["refused"] == {}


def test_prefixes_choose_and_are_told_at_once(house: RunningHouse, desk: Desk) -> None:
    desk.osc("/feedback", 0)
    desk.osc("/feedback", desk.own_port, "/cameras/a", "exposure_ev")
    desk.told("/cameras/a/on_air", 1)
    desk.told("/exposure_ev", 0.0)
    desk.osc("/feedback", 0)
    desk.osc("/feedback", "nonsense")
    desk.osc("/feedback")
    house.eventually(lambda: house.control.osc.messages > 0)


def test_midi_acts_and_lights(house: RunningHouse, desk: Desk) -> None:
    desk.press(MidiMessage("note_on", 1, 1, 90))
    house.eventually(lambda: house.get("cues")["current"] == "two")
    house.eventually(lambda: MidiMessage("note_on", 1, 1, 127) in desk.lights())
    house.eventually(lambda: MidiMessage("control", 1, 7, 32) in desk.lights())
    desk.press(MidiMessage("control", 1, 7, 127))
    house.eventually(lambda: house.get("show")["exposure_ev"] == 4.0)
    desk.press(MidiMessage("note_on", 1, 2, 90))
    house.eventually(lambda: house.get("cameras/a")["on_air"] is False)
    desk.press(MidiMessage("note_on", 1, 2, 90))
    house.eventually(lambda: house.get("cameras/a")["on_air"] is True)
    revision = house.get("config/revisions")["revisions"][0]
    assert revision["who"] == "midi desk"
    desk.press(go_bytes("10", device_id=1))
    house.eventually(lambda: house.get("cues")["current"] == "one")
    told = house.get("surfaces")["midi"]["desk"]
    assert (told["problem"], told["heard"]) == ("", "show control go 10, id 1")
    metrics = house.client.get("/metrics").text
    assert 'openvolume_midi_open{input="desk"} 1.0' in metrics
    while house.get("cues")["current"]:
        house.client.post("/api/v1/cues/back")
    assert house.client.patch("/api/v1/show", json={"exposure_ev": 0.0}).status_code == 200


def test_a_device_that_is_not_there_is_an_alarm(house: RunningHouse, desk: Desk) -> None:
    absent = MidiInputConfig(device="/dev/snd/midiC99D9")
    config = ControlConfig(osc=None, midi=MidiConfig(inputs={"absent": absent}))

    async def look() -> list[str]:
        held = dict(house.control.midi)
        async with surfaces_of(house.control, config) as port:
            assert port is None
            await asyncio.sleep(0.05)
            found = [alarm.code for alarm in house.control.alarms if alarm.path == "control/midi/inputs/absent/device"]
        house.control.midi = held
        house.control.own_alarms.pop("midi/absent", None)
        return found

    assert house.wait(look()) == ["controller.midi"]


def test_values_are_read_at_their_addresses(house: RunningHouse) -> None:
    assert value_at(house.control.desk, "cameras/a/on_air") is True
    assert [arguments_of(value) for value in (1.5, True, "x", [1, 2], None, {}, [1, "a"], list(range(9)))] == [
        (1.5,), (True,), ("x",), (1, 2), None, None, None, None,
    ]  # fmt: skip
