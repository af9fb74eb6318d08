"""One IS-05 sender: what is staged, what is active, and the activation that waits. Times are TAI.

What is active is what the sender process says; what is staged is kept here. Nothing is changed half: a request is
checked whole before any of it is staged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any, Final

from controller.nmos.resources import tai_text
from controller.st2110.connection import Connection, Leg
from controller.st2110.network import Interface
from controller.st2110.status import StreamStatus
from runtime.clock import NS_PER_S

AUTO: Final = "auto"
AUTO_PORT: Final = 5004
PARAMETERS: Final = ("source_ip", "destination_ip", "source_port", "destination_port", "rtp_enabled")
IMMEDIATE, ABSOLUTE, RELATIVE = "activate_immediate", "activate_scheduled_absolute", "activate_scheduled_relative"
NOTHING: Final[dict[str, Any]] = {"mode": None, "requested_time": None, "activation_time": None}
_TIME: Final = re.compile(r"^([0-9]{1,15}):([0-9]{1,9})$")
_UUID: Final = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")


class BadRequest(Exception):
    """A body that cannot be staged, in words."""


class Locked(Exception):
    """An activation waits."""


@dataclass(slots=True)
class Activation:
    """One that was asked for. at_tai_ns : 0 for at once."""

    mode: str
    requested_time: str | None
    at_tai_ns: int

    @property
    def immediate(self) -> bool:
        """Whether it is to happen at once."""
        return self.mode == IMMEDIATE


class ConnectedSender:
    """The connection state of one sender.

    status : what the sender process says of it; configured : where it goes by the configuration, which "auto" means.
    """

    def __init__(
        self,
        *,
        status: Callable[[], StreamStatus],
        configured: Callable[[], Connection],
        interfaces: Callable[[], Sequence[Interface]],
    ) -> None:
        self._status, self._configured, self._interfaces = status, configured, interfaces
        self._staged = self._from_active()
        self.waiting: Activation | None = None
        self._activated: dict[str, Any] = dict(NOTHING)

    # --- what is told -------------------------------------------------------------------------------------------

    def constraints(self) -> list[dict[str, Any]]:
        """What each path's parameters may be."""
        addresses = [interface.address for interface in self._interfaces()]
        ports = {"minimum": 1, "maximum": 65_535}
        one = {
            "source_ip": {"enum": [*addresses, AUTO]} if addresses else {},
            "destination_ip": {},
            "source_port": {"minimum": 0, "maximum": 65_535},
            "destination_port": ports,
            "rtp_enabled": {},
        }
        return [dict(one) for _ in self._configured().legs]

    def staged(self) -> dict[str, Any]:
        """What is staged, and the activation that waits."""
        activation = dict(NOTHING)
        if self.waiting is not None:
            activation = self._told(self.waiting, self.waiting.at_tai_ns)
        return {**self._staged, "activation": activation}

    def active(self) -> dict[str, Any]:
        """What holds."""
        return {**self._from_active(), "activation": dict(self._activated)}

    # --- what is asked ------------------------------------------------------------------------------------------

    def stage(self, body: Any, *, tai_ns: int) -> Activation | None:
        """Stage what a request says; the activation that it asks for, which then waits.

        Raises
        ------
        BadRequest : nothing is staged. Locked : an activation waits, and this does not cancel it.
        """
        if not isinstance(body, dict):
            raise BadRequest("an object is wanted")
        strange = body.keys() - {"receiver_id", "master_enable", "activation", "transport_params"}
        if strange:
            raise BadRequest(f"{', '.join(sorted(strange))}: no such parameter")
        activation, cancel = _activation(body.get("activation", {}), tai_ns)
        if self.waiting is not None and not cancel:
            raise Locked
        staged = {**self._staged, "transport_params": [dict(leg) for leg in self._staged["transport_params"]]}
        if "receiver_id" in body:
            receiver = body["receiver_id"]
            if receiver is not None and not (isinstance(receiver, str) and _UUID.match(receiver)):
                raise BadRequest("receiver_id: an id or null")
            staged["receiver_id"] = receiver
        if "master_enable" in body:
            if not isinstance(body["master_enable"], bool):
                raise BadRequest("master_enable: true or false")
            staged["master_enable"] = body["master_enable"]
        if "transport_params" in body:
            self._take(staged["transport_params"], body["transport_params"])
        self._staged = staged
        if cancel:
            self.waiting = None
        if activation is not None:
            self.waiting = activation
        return activation

    def connection(self) -> Connection:
        """What is staged, as the sender takes it: every "auto" is a value."""
        legs = [
            Leg(
                destination=default.destination if told["destination_ip"] == AUTO else told["destination_ip"],
                port=AUTO_PORT if told["destination_port"] == AUTO else told["destination_port"],
                source=default.source if told["source_ip"] == AUTO else told["source_ip"],
                source_port=AUTO_PORT if told["source_port"] == AUTO else told["source_port"],
                enabled=told["rtp_enabled"],
            )
            for told, default in zip(self._staged["transport_params"], self._configured().legs, strict=True)
        ]
        return Connection(legs, self._staged["master_enable"], self._staged["receiver_id"] or "")

    def done(self, tai_ns: int) -> dict[str, Any]:
        """The activation that waited happened; what the request that asked for it is answered."""
        assert self.waiting is not None
        self._activated = self._told(self.waiting, tai_ns)
        told = {**self._staged, "activation": dict(self._activated)}
        self.waiting = None
        # What was staged stays staged; "auto" in it stays "auto".
        return told

    def failed(self) -> None:
        """It could not happen; what was staged can be mended."""
        self.waiting = None

    # --- inside -------------------------------------------------------------------------------------------------

    def _told(self, activation: Activation, at_tai_ns: int) -> dict[str, Any]:
        time = tai_text(at_tai_ns) if at_tai_ns else None
        return {"mode": activation.mode, "requested_time": activation.requested_time, "activation_time": time}

    def _from_active(self) -> dict[str, Any]:
        status = self._status()
        ports = [path.source_port for path in status.paths] or [leg.source_port for leg in status.connection.legs]
        return {
            "receiver_id": status.connection.receiver or None,
            "master_enable": status.connection.enabled,
            "transport_params": [
                {
                    "source_ip": leg.source,
                    "destination_ip": leg.destination,
                    "source_port": port,
                    "destination_port": leg.port,
                    "rtp_enabled": leg.enabled,
                }
                for leg, port in zip(status.connection.legs, ports, strict=True)
            ],
        }

    def _take(self, staged: list[dict[str, Any]], told: Any) -> None:
        if not isinstance(told, list) or len(told) != len(staged):
            raise BadRequest(f"transport_params: {len(staged)} of them are wanted, {{}} for those that stay")
        addresses = {interface.address for interface in self._interfaces()}
        for index, (leg, changes) in enumerate(zip(staged, told, strict=True)):
            if not isinstance(changes, dict):
                raise BadRequest(f"transport_params/{index}: an object is wanted")
            for name, value in changes.items():
                fault = _fault(name, value, addresses)
                if fault:
                    raise BadRequest(f"transport_params/{index}/{name}: {fault}")
                leg[name] = value


def _fault(name: str, value: Any, addresses: set[str]) -> str:
    """What is wrong with a parameter; empty: nothing."""
    if name not in PARAMETERS:
        return "no such parameter"
    if name == "rtp_enabled":
        return "" if isinstance(value, bool) else "true or false"
    if value == AUTO:
        return ""
    if name.endswith("_port"):
        least = 0 if name == "source_port" else 1
        good = isinstance(value, int) and not isinstance(value, bool) and least <= value <= 65_535
        return "" if good else f"auto, or {least} to 65535"
    try:
        address = IPv4Address(value) if isinstance(value, str) else None
    except ValueError:
        address = None
    if address is None or address.is_unspecified:
        return "auto, or an IPv4 address"
    return "" if name == "destination_ip" or str(address) in addresses else "not an address of an interface here"


def _activation(told: Any, tai_ns: int) -> tuple[Activation | None, bool]:
    """The activation a request asks for, and whether it cancels one that waits."""
    if not isinstance(told, dict):
        raise BadRequest("activation: an object is wanted")
    strange = told.keys() - {"mode", "requested_time"}
    if strange or (told and "mode" not in told):
        raise BadRequest("activation: mode and requested_time are wanted")
    mode, text = told.get("mode"), told.get("requested_time")
    if mode is None:
        if text is not None:
            raise BadRequest("activation/requested_time: null without a mode")
        return None, "mode" in told
    if mode == IMMEDIATE:
        if text is not None:
            raise BadRequest("activation/requested_time: null when it is immediate")
        return Activation(mode, None, 0), False
    if mode not in (ABSOLUTE, RELATIVE):
        raise BadRequest(f"activation/mode: {IMMEDIATE}, {ABSOLUTE}, {RELATIVE} or null")
    found = _TIME.match(text) if isinstance(text, str) else None
    if found is None or int(found[2]) >= NS_PER_S:
        raise BadRequest("activation/requested_time: seconds:nanoseconds")
    time_ns = int(found[1]) * NS_PER_S + int(found[2])
    return Activation(mode, text, time_ns if mode == ABSOLUTE else tai_ns + time_ns), False
