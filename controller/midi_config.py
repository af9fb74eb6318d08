"""MIDI control in the configuration: which devices are opened, and what their keys and faders do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from stage.config import Id, Section

_DEVICE: Final = re.compile(r"alsa:[A-Za-z0-9_-]{1,32}|/.{1,250}")
_ADDRESS: Final = re.compile(r"[A-Za-z0-9_.~-]+(/[A-Za-z0-9_.~-]+)*")
CARDS: Final = Path("/proc/asound/cards")


def _device(text: str) -> str:
    if not _DEVICE.fullmatch(text):
        raise ValueError("is `alsa:NAME` as /proc/asound/cards tells it, or a path: /dev/snd/midiC1D0, a FIFO")
    return text


def _address(text: str) -> str:
    if not _ADDRESS.fullmatch(text.strip("/")):
        raise ValueError("is an address as OSC has it, such as cues/go, cues/12.5/go, exposure_ev, cameras/a/on_air")
    return text.strip("/")


Seven = Annotated[int, Field(ge=0, le=127)]


class MidiRow(Section):
    """What one key, fader, knob, program or wheel does."""

    note: Seven | None = None
    control: Seven | None = None
    """Controller number (CC)."""
    program: Seven | None = None
    pitch: bool = False
    """The pitch wheel."""
    channel: Annotated[int, Field(ge=1, le=16)] | None = None
    """Left out: any."""
    to: Annotated[str, AfterValidator(_address)]
    """Where it goes, as in OSC: `cues/go`, `actions/black`, `scenes/hall/activate`, `exposure_ev`. A key sends 1 when
    it is pressed and 0 when it is let go."""
    low: float | None = None
    """With `high`: a fader's ends, in the units of the address."""
    high: float | None = None
    step: float | None = None
    """Of an endless knob: what one click adds."""
    toggle: bool = False
    """Each press turns a switch over."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        told = [self.note is not None, self.control is not None, self.program is not None, self.pitch]
        if sum(told) != 1:
            raise ValueError("needs one of note, control, program and pitch")
        if (self.low is None) != (self.high is None):
            raise ValueError("needs both low and high, or neither")
        if sum([self.low is not None, self.step is not None, self.toggle]) > 1:
            raise ValueError("has one of low and high, step, and toggle")
        return self


class MidiInputConfig(Section):
    """One device. No other is opened."""

    device: Annotated[str, AfterValidator(_device)]
    """`alsa:NAME` (the name in brackets in /proc/asound/cards), a raw device `/dev/snd/midiC1D0`, or a FIFO."""
    rows: Annotated[list[MidiRow], Field(max_length=512)] = []
    show_control_id: Annotated[int, Field(ge=0, le=111)] | None = None
    """MIDI Show Control: GO and STOP sent to this id, or to all, act. Left out: not heard."""
    feedback: bool = False
    """Whether keys light and faders move to what holds; for devices that can be written to."""


class MidiConfig(Section):
    """Keys and faders. A change holds from the next start on."""

    inputs: Annotated[dict[Id, MidiInputConfig], Field(max_length=16)] = {}
    role: Literal["viewer", "director", "operator"] = "operator"
    """What whoever presses keys may change: MIDI says nothing of who does."""


def device_path(device: str, cards: Path = CARDS) -> str:
    """The file of a device.

    Raises
    ------
    OSError : no card of this name is there.
    """
    if not device.startswith("alsa:"):
        return device
    name = device.removeprefix("alsa:")
    text = cards.read_text(errors="replace")
    for line in text.splitlines():
        told = re.match(r"\s*(\d+) \[(\S+)\s*\]", line)
        if told and told[2] == name:
            return f"/dev/snd/midiC{told[1]}D0"
    known = ", ".join(re.findall(r"^\s*\d+ \[(\S+)\s*\]", text, re.MULTILINE)) or "(none)"
    raise FileNotFoundError(2, f"no sound card of this name; there are {known}", name)
