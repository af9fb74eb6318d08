"""What the relays say of themselves, about once a second in `relay.ring`."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from controller.status import Alarm, RoleState


class RelayTold(Struct, frozen=True):
    """One relay. Counts are since it was configured."""

    poses: int = 0
    """Poses sent, to every target each."""
    datagrams: int = 0
    unsendable: int = 0
    """Poses the protocol cannot hold, and datagrams the network refused."""
    rate_hz: float = 0.0
    """Poses in the last second."""
    fault: str = ""
    """Why it cannot send; empty while it can."""


class RelayStatus(Struct, frozen=True):
    """Every relay of the version that holds, by id."""

    t_ns: int
    pid: int
    state: RoleState
    relays: dict[str, RelayTold] = {}
    alarms: list[Alarm] = []


_DECODER = msgspec.msgpack.Decoder(RelayStatus)


def decode_relay(data: bytes | memoryview) -> RelayStatus:
    """The relays' status. Raises msgspec.ValidationError when the bytes are not one."""
    return _DECODER.decode(data)
