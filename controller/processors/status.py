"""What the process that speaks to the LED processors knows of them, published about once a second and on change."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from controller.processors.emulators.device import Shown
from controller.processors.keeper import Drift, Link, SetResult
from controller.processors.mode import Capacity, Delay
from controller.processors.model import Ability, Health, Identity, InputSignal, Value
from controller.status import Alarm, RoleState
from stage.errors import Problem


class ProcessorStatus(Struct, frozen=True):
    """One processor that is spoken to."""

    driver: str
    address: str
    """Where it answers, `host:port` or as configured."""
    emulated: bool
    link: Link
    since_ns: int
    """Since when the link is as it is."""
    read_ns: int | None = None
    """When it was last read with success."""
    identity: Identity | None = None
    """None before the first reading; what follows is the last one's, also while it is away."""
    signal: InputSignal = InputSignal()
    health: Health = Health()
    delay: Delay | None = None
    """None before the first reading."""
    capacity: Capacity | None = None
    settings: dict[str, Value] = {}
    notes: tuple[str, ...] = ()
    desired: dict[str, Value] = {}
    drift: list[Drift] = []
    abilities: dict[str, Ability] = {}
    results: list[SetResult] = []
    """What came of the last settings that were written."""
    trouble: Problem | None = None
    shown: Shown | None = None
    """Of an emulated one: what its panels do with the picture."""


class ProcessorsStatus(Struct, frozen=True):
    """All of them, in `processors.ring`."""

    t_ns: int
    pid: int
    state: RoleState
    config_version: int
    processors: dict[str, ProcessorStatus] = {}
    alarms: list[Alarm] = []
    scene: str = ""
    since: dict[str, dict[str, Value]] = {}
    """The scene on air and what was wanted of each since: what `desired` was made of."""


_DECODER = msgspec.msgpack.Decoder(ProcessorsStatus)


def decode_processors(data: bytes | memoryview) -> ProcessorsStatus:
    """The processors' status. Raises msgspec.ValidationError when the bytes are not one."""
    return _DECODER.decode(data)
