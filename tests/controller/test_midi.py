"""MIDI: messages out of bytes however they are cut, rows of the configuration, a device that is a pseudo-terminal."""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from controller.access.roles import HAND
from controller.commands import Command
from controller.errors import BadValue
from controller.midi import LONGEST, MidiMessage, MidiParser, ShowControl, go_bytes, message_bytes
from controller.midi_config import MidiInputConfig, MidiRow, device_path
from controller.midi_control import AGAIN_NS, MidiInput
from controller.osc import Hands
from runtime.clock import VirtualClock
from runtime.references.mtc import quarter_frames
from stage.errors import Problem
from stage.timecode import LabelParts

MESSAGES = st.one_of(
    st.builds(
        MidiMessage, st.sampled_from(["note_on", "control"]), st.integers(1, 16), st.integers(0, 127),
        st.integers(1, 127),
    ),
    st.builds(MidiMessage, st.just("note_off"), st.integers(1, 16), st.integers(0, 127), st.just(0)),
    st.builds(MidiMessage, st.just("program"), st.integers(1, 16), st.integers(0, 127), st.just(127)),
    st.builds(MidiMessage, st.just("pitch"), st.integers(1, 16), st.just(0), st.integers(0, 16383)),
)  # fmt: skip


@given(st.lists(MESSAGES, max_size=20), st.data())
def test_messages_come_out_as_they_went_in_however_they_are_cut(messages: list[MidiMessage], data: Any) -> None:
    wire = b""
    for message in messages:
        one = message_bytes(message)
        # A clock tick may stand between any two bytes.
        at = data.draw(st.integers(0, len(one)))
        wire += one[:at] + b"\xf8" + one[at:]
    parser, found, rest = MidiParser(), list[Any](), wire
    while rest:
        cut = data.draw(st.integers(1, len(rest)))
        found += parser.feed(rest[:cut])
        rest = rest[cut:]
    assert found == messages
    assert not parser.refused


@given(st.binary(max_size=400))
def test_noise_never_raises(noise: bytes) -> None:
    parser = MidiParser()
    for message in parser.feed(noise):
        if isinstance(message, MidiMessage):
            assert 1 <= message.channel <= 16
            assert 0 <= message.value <= 16383
    # A whole message after it is understood.
    assert parser.feed(b"\xf7" + message_bytes(MidiMessage("control", 3, 7, 99)))[-1:] == [
        MidiMessage("control", 3, 7, 99)
    ]


def test_running_status_time_code_and_torn_messages() -> None:
    parser = MidiParser()
    assert parser.feed(bytes((0x92, 60, 100, 61, 0, 62))) == [
        MidiMessage("note_on", 3, 60, 100), MidiMessage("note_off", 3, 61, 0),
    ]  # fmt: skip
    assert parser.feed(b"\xb0\x07\x40") == [MidiMessage("control", 1, 7, 64)]
    assert parser.refused == {"torn": 1}
    for quarter in quarter_frames(LabelParts(1, 2, 3, 4), labels_per_s=25):
        assert parser.feed(quarter) == []
    assert parser.feed(b"\x10\x20") == [], "what runs was ended"
    assert parser.refused == {"torn": 1, "stray": 2}
    assert parser.feed(b"\xf0" + bytes(LONGEST + 1)) == []
    assert parser.refused["long"] == 1


def test_show_control_names_its_cue() -> None:
    parser = MidiParser()
    assert parser.feed(go_bytes("12.5", device_id=7)) == [ShowControl("go", 7, "12.5")]
    assert parser.feed(go_bytes()) == [ShowControl("go", 127)]
    assert parser.feed(b"\xf0\x7f\x01\x02\x30\x0112\x00list\xf7") == [ShowControl("go", 1, "12")]
    assert parser.feed(b"\xf0\x7f\x01\x02\x30\x02\xf7") == [ShowControl("stop", 1)]
    assert parser.feed(b"\xf0\x7e\x01\x06\x01\xf7") == [], "somebody else's"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"to": "cues/go"}, "one of note"),
        ({"note": 1, "control": 2, "to": "cues/go"}, "one of note"),
        ({"note": 1, "to": "cues go"}, "is an address"),
        ({"control": 1, "to": "exposure_ev", "low": 1.0}, "both low and high"),
        ({"control": 1, "to": "x", "low": 1.0, "high": 2.0, "step": 1.0}, "has one of"),
        ({"note": 128, "to": "cues/go"}, "127"),
        ({"note": 1, "channel": 0, "to": "cues/go"}, "channel"),
    ],
)
def test_rows_that_make_no_sense_are_refused(row: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        MidiRow(**row)


def test_devices_are_found_by_the_name_of_their_card(tmp_path: Path) -> None:
    cards = tmp_path / "cards"
    cards.write_text(
        " 0 [PCH            ]: HDA-Intel - HDA Intel PCH\n                      HDA Intel PCH at 0x1 irq 3\n"
        " 2 [nanoKONTROL2   ]: USB-Audio - nanoKONTROL2\n                      KORG at usb-1\n"
    )
    assert device_path("alsa:nanoKONTROL2", cards) == "/dev/snd/midiC2D0"
    assert device_path("/dev/snd/midiC1D0", cards) == "/dev/snd/midiC1D0"
    with pytest.raises(FileNotFoundError, match="PCH, nanoKONTROL2"):
        device_path("alsa:nano", cards)
    with pytest.raises(ValidationError, match="is `alsa:NAME`"):
        MidiInputConfig(device="nanoKONTROL2")


# --- a device ---------------------------------------------------------------------------------------------------


class Bench:
    """An input on a pseudo-terminal, and what it set in motion."""

    def __init__(self, **config: Any) -> None:
        self.clock = VirtualClock(5_000_000_000)
        self.did: list[tuple[str, Any]] = []
        self.roles: set[str] = set()
        self.values: dict[str, Any] = {"cameras/a/on_air": False}
        self.device = ""
        self.terminal, self.slave = -1, -1
        self.plug()
        hands = Hands(
            submit=self.submit, undo=self.noted("undo"), redo=self.noted("redo"), zero=self.noted("zero"),
            order=lambda action: self.did.append(("order", action)), jam=self.noted("jam"), cue=self.cue,
        )  # fmt: skip
        self.input = MidiInput(
            "desk", MidiInputConfig(device=self.device, **config), hands, clock=self.clock, role="operator",
            value=self.values.__getitem__,
        )  # fmt: skip

    def plug(self) -> None:
        self.terminal, self.slave = os.openpty()
        tty.setraw(self.slave)
        os.set_blocking(self.terminal, False)
        self.device = os.ttyname(self.slave)

    def unplug(self) -> None:
        for end in (self.terminal, self.slave):
            os.close(end)
        self.terminal = -1

    def noted(self, what: str) -> Callable[..., Any]:
        async def do(*arguments: Any) -> None:
            self.did.append((what, arguments))

        return do

    async def submit(self, command: Command) -> None:
        self.roles.add(HAND.get().role)
        for path, value in command.changes.items():
            if value == "bad":
                raise BadValue(Problem(BadValue.code, path, "bad", value, ""))
            self.did.append((path, value))
        self.did += [(path, ("step", step)) for path, step in command.steps.items()]

    async def cue(self, parts: list[str], pressed: bool, _: str) -> None:
        self.did.append(("/".join(["cues", *parts]), pressed))

    async def play(self, *messages: MidiMessage | bytes) -> list[tuple[str, Any]]:
        """Send, and give what came of it, once all of it was read."""
        self.did.clear()
        wanted = self.input.messages + len(messages)
        for message in messages:
            os.write(self.terminal, message if isinstance(message, bytes) else message_bytes(message))
        for _ in range(2000):
            self.input.poll()
            await asyncio.sleep(0)
            if self.input.messages >= wanted:
                break
        for _ in range(4):
            await asyncio.sleep(0)
        return list(self.did)

    def shown(self) -> list[Any]:
        """What the device was told."""
        try:
            return list(MidiParser().feed(os.read(self.terminal, 4096)))
        except BlockingIOError:
            return []

    def close(self) -> None:
        self.input.close()
        if self.terminal >= 0:
            self.unplug()


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(**config: Any) -> Bench:
        made.append(Bench(**config))
        return made[-1]

    yield make
    for one in made:
        one.close()


def row(**told: Any) -> MidiRow:
    return MidiRow(**told)


def note(number: int, value: int = 100, channel: int = 1) -> MidiMessage:
    return MidiMessage("note_on" if value else "note_off", channel, number, value)


def control(number: int, value: int, channel: int = 1) -> MidiMessage:
    return MidiMessage("control", channel, number, value)


async def test_keys_faders_knobs_and_programs_do_what_their_rows_say(bench: Callable[..., Bench]) -> None:
    desk = bench(
        rows=[
            row(note=60, to="cues/go"),
            row(note=61, channel=2, to="actions/black"),
            row(note=62, to="cameras/a/on_air", toggle=True),
            row(control=7, to="exposure_ev", low=-4.0, high=4.0),
            row(control=16, to="exposure_ev", step=0.1),
            row(control=64, to="/cues/back"),
            row(program=3, to="scenes/hall/activate"),
            row(pitch=True, to="cameras/a/soft_edge_deg", low=0.0, high=16.383),
        ],
        show_control_id=5,
    )
    assert await desk.play(note(60), note(60, 0)) == [("cues/go", True), ("cues/go", False)]
    assert await desk.play(note(61), note(61, channel=2)) == [("order", "black")]
    assert await desk.play(note(62), note(62, 0)) == [("cameras/a/on_air", 1)]
    desk.values["cameras/a/on_air"] = True
    assert await desk.play(note(62)) == [("cameras/a/on_air", 0)]
    assert await desk.play(control(7, 0), control(7, 127)) == [("exposure_ev", -4.0), ("exposure_ev", 4.0)]
    assert await desk.play(control(16, 3), control(16, 127)) == [
        ("exposure_ev", ("step", pytest.approx(0.3))), ("exposure_ev", ("step", pytest.approx(-0.1))),
    ]  # fmt: skip
    assert await desk.play(control(64, 127), control(64, 0)) == [("cues/back", True), ("cues/back", False)]
    assert await desk.play(MidiMessage("program", 9, 3, 127)) == [("scenes/active", "hall")]
    assert await desk.play(MidiMessage("pitch", 1, 0, 1000)) == [("cameras/a/soft_edge_deg", pytest.approx(1.0))]
    assert await desk.play(go_bytes("12.5", device_id=5), go_bytes(), go_bytes("1", device_id=6)) == [
        ("cues/12.5/go", True), ("cues/go", True),
    ]  # fmt: skip
    assert await desk.play(b"\xf0\x7f\x05\x02\x7f\x02\xf7") == [("cues/stop", True)]
    assert await desk.play(note(99)) == []
    assert desk.input.refused == {"no_row": 2, "not_ours": 1}
    assert desk.input.heard == "note 99, channel 1, value 100", "what a row that learns it would say"
    assert desk.roles == {"operator"}


async def test_show_control_is_not_heard_unless_it_has_an_id(bench: Callable[..., Bench]) -> None:
    desk = bench()
    assert await desk.play(go_bytes("1")) == []
    assert desk.input.refused == {"not_ours": 1}


async def test_keys_light_and_faders_move_but_not_under_the_hand_that_moves_them(bench: Callable[..., Bench]) -> None:
    desk = bench(
        feedback=True,
        rows=[row(note=60, to="cues/12/go"), row(control=7, channel=3, to="exposure_ev", low=-4.0, high=4.0)],
    )
    desk.input.poll()
    desk.input.tell("cues/12/go", (1,))
    desk.input.tell("exposure_ev", (0.0,))
    desk.input.tell("cues/current", ("12",))
    assert desk.shown() == [note(60, 127), control(7, 64, 3)]
    desk.input.tell("exposure_ev", (0.0,))
    assert desk.shown() == [], "it is there already"
    await desk.play(control(7, 127, 3))
    desk.input.tell("exposure_ev", (4.0,))
    assert desk.shown() == []
    desk.input.tell("exposure_ev", (99.0,))
    desk.input.tell("cues/12/go", (0,))
    assert desk.shown() == [note(60, 0)]


async def test_a_device_that_is_pulled_out_is_told_and_heard_again(bench: Callable[..., Bench]) -> None:
    desk = bench(rows=[row(note=60, to="cues/go")])
    assert await desk.play(note(60)) == [("cues/go", True)]
    desk.unplug()
    for _ in range(200):
        desk.input.poll()
        if not desk.input.is_open:
            break
    assert "is gone" in desk.input.problem
    desk.clock.sleep_until(desk.clock.now_ns() + 2 * AGAIN_NS)
    desk.input.poll()
    assert not desk.input.is_open
    desk.plug()
    desk.input.config = desk.input.config.model_copy(update={"device": desk.device})
    desk.clock.sleep_until(desk.clock.now_ns() + 2 * AGAIN_NS)
    assert await desk.play(note(60)) == [("cues/go", True)]
    assert desk.input.problem == ""


async def test_what_is_refused_is_counted(bench: Callable[..., Bench]) -> None:
    desk = bench(rows=[row(note=60, to="scenes/bad/activate"), row(note=61, to="nothing/here", toggle=True)])
    desk.values["nothing/here"] = False
    assert await desk.play(note(60)) == []
    assert desk.input.refused == {"controller.bad_value": 1}


async def test_a_fifo_is_a_device_too(tmp_path: Path, bench: Callable[..., Bench]) -> None:
    desk = bench(rows=[row(note=60, to="cues/go")])
    fifo = tmp_path / "midi"
    os.mkfifo(fifo)
    desk.input.config = desk.input.config.model_copy(update={"device": str(fifo)})
    for _ in range(3):
        desk.input.poll()
    assert desk.input.is_open, "a FIFO nobody writes to is only quiet"
    desk.unplug()
    desk.terminal = os.open(fifo, os.O_WRONLY)
    desk.slave = os.dup(desk.terminal)
    assert await desk.play(note(60)) == [("cues/go", True)]
