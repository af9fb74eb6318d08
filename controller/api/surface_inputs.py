"""Where control surfaces come in while the service runs: OSC on its port, MIDI from its devices, and what they show."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Final

from controller.api.control import Control
from controller.api.surfaces import OscFeedback, value_at
from controller.config import ControlConfig, OscConfig
from controller.midi_config import MidiConfig
from controller.midi_control import MidiInput
from controller.osc import Hands, OscControl
from controller.show_lock import held
from controller.status import Alarm

log = logging.getLogger(__name__)

POLL_S: Final = 0.005
"""How often MIDI devices are read."""


@contextlib.asynccontextmanager
async def surfaces_of(control: Control, config: ControlConfig) -> AsyncIterator[int | None]:
    """Listen to OSC and MIDI as configured; the OSC port, or None without."""

    async def jam() -> int:
        held(control.desk.show.lock, "frames/jam")
        return await control.clock_hand.jam()

    hands = Hands(
        submit=control.desk.submit,
        undo=lambda prefix, who: control.desk.undo(prefix, who=who),
        redo=lambda prefix, who: control.desk.redo(prefix, who=who),
        zero=lambda source, who: control.zero(source, {}, who=who),
        order=control.order,
        jam=jam,
        cue=control.cues.osc,
    )
    async with osc_control(control, config.osc, hands) as port, midi_control(control, config.midi, hands):
        yield port


@contextlib.asynccontextmanager
async def osc_control(control: Control, config: OscConfig | None, hands: Hands) -> AsyncIterator[int | None]:
    """Listen to OSC control as configured; the port, or None without. A port in use is an alarm, not the end."""
    if config is None:
        yield None
        return
    try:
        transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: OscControl(hands, control.osc, clock=control.clock, role=config.role, allow=config.allow),
            local_addr=(config.host, config.port),
        )
    except OSError as error:
        where = f"{config.host}:{config.port}"
        log.error("no OSC control: %s: %s", where, error.strerror)
        control.own_alarms["osc"] = Alarm(
            "controller.osc_port",
            "control/osc/port",
            f"OSC control does not listen: {where}: {error.strerror}",
            "warning",
            "end the program that holds the port, or give another one",
            control.clock.now_ns(),
            {"address": where, "error": error.strerror or str(error)},
        )
        yield None
        return
    feedback = OscFeedback(control, transport.sendto, config.feedback)
    protocol.feedback = feedback.ask
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        feedback.close()
        transport.close()


@contextlib.asynccontextmanager
async def midi_control(control: Control, config: MidiConfig | None, hands: Hands) -> AsyncIterator[list[MidiInput]]:
    """Read MIDI devices as configured. One that is not there is an alarm until it is."""
    if config is None or not config.inputs:
        yield []
        return
    inputs = [
        MidiInput(
            name, told, hands, clock=control.clock, role=config.role, value=lambda path: value_at(control.desk, path)
        )
        for name, told in config.inputs.items()
    ]
    control.midi = {one.name: one for one in inputs}

    async def read() -> None:
        while True:
            for one in inputs:
                try:
                    _poll(control, one)
                except Exception:
                    log.exception("MIDI %s failed", one.name)
            await asyncio.sleep(POLL_S)

    reading = asyncio.create_task(read(), name="midi")
    for one in inputs:
        control.surfaces.listen(one.tell)
    try:
        yield inputs
    finally:
        reading.cancel()
        for one in inputs:
            control.surfaces.forget(one.tell)
            one.close()


def _poll(control: Control, one: MidiInput) -> None:
    was_open = one.is_open
    one.poll()
    key = f"midi/{one.name}"
    if one.is_open and not was_open:
        control.own_alarms.pop(key, None)
        surfaces = control.surfaces
        one.show({**surfaces.lights(), **surfaces.values([row.to for row in one.config.rows])})
    elif not one.is_open and key not in control.own_alarms:
        control.own_alarms[key] = Alarm(
            "controller.midi",
            f"control/midi/inputs/{one.name}/device",
            f"MIDI {one.name} is not heard: {one.problem}",
            "warning",
            "plug it in; cat /proc/asound/cards lists what is there",
            control.clock.now_ns(),
            {"device": one.name, "error": one.problem},
        )
