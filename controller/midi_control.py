"""MIDI control: keys and faders of named devices, each doing what its row of the configuration says.

A device that is not there, or is pulled out, is an alarm and holds nothing up; it is opened again when it is back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import stat
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from controller.access.roles import HAND, Hand, Role
from controller.commands import Command
from controller.midi import ALL_CALL, MidiMessage, MidiParser, ShowControl, message_bytes
from controller.midi_config import CARDS, MidiInputConfig, MidiRow, device_path
from controller.osc import Hands, act
from runtime.clock import NS_PER_S, Clock
from runtime.references.inputs import FileWire
from stage.errors import OpenVolumeError

log = logging.getLogger(__name__)

AGAIN_NS: Final = NS_PER_S
"""A device that is not there is looked for this often."""
LOG_EVERY_NS: Final = NS_PER_S
MOST_WAITING: Final = 256
"""A key that is pressed while so much is under way is not heard: a device that went wild."""
PRESSED: Final = 64
"""A controller at or above this is a key that is down."""

Value = bool | int | float | str


class MidiInput:
    """One device. `poll` it often; it never waits.

    Attributes
    ----------
    problem : why the device cannot be read now; empty: it is
    heard : the newest message, in words: what a row that catches it would say
    messages, refused : counted
    """

    def __init__(
        self,
        name: str,
        config: MidiInputConfig,
        hands: Hands,
        *,
        clock: Clock,
        role: Role,
        value: Callable[[str], Any],
        cards: Path = CARDS,
    ) -> None:
        """value: what holds at an address, for keys that turn over."""
        self.name, self.config = name, config
        self.problem, self.heard, self.messages = "not opened yet", "", 0
        self.refused: Counter[str] = Counter()
        self._hands, self._clock, self._role, self._value, self._cards = hands, clock, role, value, cards
        self._parser = MidiParser()
        self._wire: FileWire | None = None
        self._out: int | None = None
        self._path, self._is_device = "", False
        self._again_ns = 0
        self._log_due_ns = 0
        self._shown: dict[int, int] = {}
        self._running: set[asyncio.Task[None]] = set()

    @property
    def is_open(self) -> bool:
        """Whether its device is there."""
        return self._wire is not None

    def poll(self) -> None:
        """Do what was pressed since the last time."""
        if self._wire is None and not self._opened():
            return
        assert self._wire is not None
        portions = self._wire.read()
        for data, _, _ in portions:
            for message in self._parser.feed(data):
                self.messages += 1
                self.heard = _words(message)
                self._take(message)
        self._refused_bytes()
        if not portions and self._wire.fileno() < 0 and (self._is_device or not os.path.exists(self._path)):
            # A FIFO without a writer is quiet; a device that cannot be read was pulled out.
            self._close(f"{self.config.device} is gone")

    def close(self) -> None:
        """Give the device back."""
        self._close("closed")
        for task in self._running:
            task.cancel()

    # --- in -------------------------------------------------------------------------------------------------------

    def _take(self, message: MidiMessage | ShowControl) -> None:
        if isinstance(message, ShowControl):
            own = self.config.show_control_id
            if own is None or message.device_id not in (own, ALL_CALL):
                self.refused["not_ours"] += 1
            elif message.order == "go":
                self._do(f"cues/{message.cue}/go" if message.cue else "cues/go", 1)
            elif message.order == "stop":
                self._do("cues/stop", 1)
            else:
                self.refused["show_control"] += 1
            return
        rows = [(index, row) for index, row in enumerate(self.config.rows) if _catches(row, message)]
        if not rows:
            self.refused["no_row"] += 1
        for index, row in rows:
            self._shown[index] = message.value
            self._row(row, message)

    def _row(self, row: MidiRow, message: MidiMessage) -> None:
        most = 16383 if message.kind == "pitch" else 127
        if row.low is not None and row.high is not None:
            if message.kind != "note_off":
                self._do(row.to, row.low + (row.high - row.low) * message.value / most)
            return
        if row.step is not None:
            # Two's complement of seven bits: 1 is a click up, 127 one down.
            clicks = message.value if message.value < PRESSED else message.value - 128
            self._submit(Command(steps={row.to: clicks * row.step}, who=self._who))
            return
        pressed = message.kind == "program" or (message.kind != "note_off" and message.value >= _least(message))
        if row.toggle:
            if pressed:
                self._turn_over(row.to)
            return
        self._do(row.to, int(pressed))

    def _turn_over(self, path: str) -> None:
        try:
            held = self._value(path)
        except OpenVolumeError as error:
            self._refuse(error.problems[0].code, str(error.problems[0]))
            return
        self._do(path, int(not held))

    @property
    def _who(self) -> str:
        return f"midi {self.name}"

    def _do(self, path: str, argument: float) -> None:
        self._start(lambda: act(self._hands, f"/{path}", (argument,), self._who))

    def _submit(self, command: Command) -> None:
        self._start(lambda: self._hands.submit(command))

    def _start(self, call: Callable[[], Any]) -> None:
        if len(self._running) >= MOST_WAITING:
            self._refuse("flood", "too much is under way")
            return
        task = asyncio.get_running_loop().create_task(self._safely(call))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _safely(self, call: Callable[[], Any]) -> None:
        HAND.set(Hand(self._who, self._role, self._who))
        try:
            await call()
        except OpenVolumeError as error:
            self._refuse(error.problems[0].code, str(error.problems[0]))
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("MIDI %s failed", self.name)
            self._refuse("failed", self.heard)

    # --- out ------------------------------------------------------------------------------------------------------

    def tell(self, path: str, arguments: tuple[Value, ...]) -> None:
        """Light the keys and move the faders of an address; for `Surfaces.listen`."""
        if self._out is None or not arguments or isinstance(arguments[0], str):
            return
        for index, row in enumerate(self.config.rows):
            if row.to != path or row.step is not None or row.program is not None:
                continue
            most = 16383 if row.pitch else 127
            if row.low is not None and row.high is not None:
                share = (float(arguments[0]) - row.low) / (row.high - row.low) if row.high != row.low else 0.0
                value = round(min(1.0, max(0.0, share)) * most)
            else:
                value = most if arguments[0] else 0
            if self._shown.get(index) == value:
                # A fader that a hand moves is where it is.
                continue
            self._shown[index] = value
            kind = "pitch" if row.pitch else "note_on" if row.note is not None else "control"
            number = row.note if row.note is not None else row.control or 0
            with contextlib.suppress(OSError):
                os.write(self._out, message_bytes(MidiMessage(kind, row.channel or 1, number, value)))  # type: ignore[arg-type]

    def show(self, values: Mapping[str, tuple[Value, ...]]) -> None:
        """Tell everything at once."""
        for path, arguments in values.items():
            self.tell(path, arguments)

    # --- the device -----------------------------------------------------------------------------------------------

    def _opened(self) -> bool:
        now_ns = self._clock.now_ns()
        if now_ns < self._again_ns:
            return False
        self._again_ns = now_ns + AGAIN_NS
        try:
            path = self._path = device_path(self.config.device, self._cards)
            self._wire = FileWire(path, self._clock)
            self._is_device = stat.S_ISCHR(os.stat(path).st_mode)
        except OSError as error:
            self.problem = f"{self.config.device}: {error.strerror or error}"
            return False
        self.problem = ""
        self._parser = MidiParser()
        if self.config.feedback and self._is_device:
            with contextlib.suppress(OSError):
                self._out = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        log.info("MIDI %s: %s is there", self.name, self.config.device)
        return True

    def _close(self, why: str) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None
        if self._out is not None:
            os.close(self._out)
            self._out = None
        self._shown.clear()
        self.problem = why

    def _refused_bytes(self) -> None:
        for reason, count in self._parser.refused.items():
            self.refused[reason] += count
        self._parser.refused.clear()

    def _refuse(self, reason: str, detail: str) -> None:
        self.refused[reason] += 1
        now_ns = self._clock.now_ns()
        if now_ns >= self._log_due_ns:
            self._log_due_ns = now_ns + LOG_EVERY_NS
            log.warning("MIDI from %s refused: %s: %s", self.name, reason, detail)


def _catches(row: MidiRow, message: MidiMessage) -> bool:
    if row.channel is not None and row.channel != message.channel:
        return False
    match message.kind:
        case "note_on" | "note_off":
            return row.note == message.number
        case "control":
            return row.control == message.number
        case "program":
            return row.program == message.number
        case "pitch":
            return row.pitch


def _least(message: MidiMessage) -> int:
    """From which value on it is a press: keys send how hard they were hit."""
    return 1 if message.kind == "note_on" else PRESSED


def _words(message: MidiMessage | ShowControl) -> str:
    if isinstance(message, ShowControl):
        return f"show control {message.order} {message.cue}".rstrip() + f", id {message.device_id}"
    kind = "note" if message.kind in ("note_on", "note_off") else message.kind
    number = "" if kind == "pitch" else f" {message.number}"
    return f"{kind}{number}, channel {message.channel}, value {message.value}"
