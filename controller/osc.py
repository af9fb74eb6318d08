"""OSC control: the addresses of the HTTP API as OSC messages, each a change like any other (last writer wins).

    /cameras/a/overscan_deg f            one number for all sides, or four: left right top bottom
    /cameras/a/enabled i                 0 or 1; T and F too
    /sources/fiz/nudge/x_m f             absolute; /sources/fiz/step/x_m f adds
    /sources/fiz/zero                    the camera, as it stands now, is where the configuration puts it
    /scenes/valley/activate              also with an argument; 0 (a button let go) does nothing
    /scenes/valley/cut [i]               at a frame
    /scenes/valley/dissolve i [i]        over so many frames [from a frame on]
    /scenes/valley/wipe i [f f i]        over so many frames [angle, softness, from a frame on]
    /positions/hill/activate
    /patterns/inner_grid i               or the names of walls, canvases and cameras
    /patterns/clear                      all off; 0 does nothing
    /look/outer/exposure_ev f            grades; /looks/warm/apply puts a look on, /looks/warm/fade f over seconds
    /actions/black                       hold, safe, work, none; 0 does nothing
    /cues/go                             GO; /cues/back, /cues/stop, /cues/12.5/go; 0 (a button let go) does nothing
    /cues/chase i                        whether cues go by time code
    /undo [prefix]                       /redo [prefix]
    /frames/jam                          time jumps to its reference; 0 does nothing
    /feedback i [prefix ...]             tell my port what changes, for a minute; 0 ends it
    /exposure_ev f  /outer/mode s  ...   whatever GET /api/v1/addresses lists

There is no answer but feedback: what is refused is counted and logged by reason. Bundles are taken apart and done at
once; their time tags are not waited for.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address, ip_network
from typing import Any, Final

from controller.access.roles import HAND, Hand, Role, allowed
from controller.action import ACTIONS, ActionName
from controller.commands import Command
from controller.errors import UnknownAddress
from controller.looks import ACTIVE
from controller.moves import LONGEST_S
from runtime.clock import NS_PER_S, Clock
from stage.errors import OpenVolumeError, Problem
from tracking.protocols.osc import OscPacket, parse
from tracking.sample import Refusal

log = logging.getLogger(__name__)

LOG_EVERY_NS: Final = NS_PER_S
"""A controller that sends nonsense sixty times a second gets one line a second."""
MAX_WAITING: Final = 512
_SWITCH: Final = {
    "cut": ("at_frame",),
    "dissolve": ("frames", "at_frame"),
    "wipe": ("frames", "angle_deg", "softness_deg", "at_frame"),
}
_SWITCH_LEAST: Final = {"cut": 0, "dissolve": 1, "wipe": 1}


class OscStatistics:
    """What came in over OSC control, counted."""

    def __init__(self) -> None:
        self.datagrams = 0
        self.messages = 0
        self.refused: Counter[str] = Counter()


class Hands:
    """What an OSC message can set in motion: implemented by the service."""

    def __init__(
        self,
        *,
        submit: Callable[[Command], Awaitable[object]],
        undo: Callable[[str, str], Awaitable[object]],
        redo: Callable[[str, str], Awaitable[object]],
        zero: Callable[[str, str], Awaitable[object]],
        order: Callable[[ActionName], object],
        jam: Callable[[], Awaitable[object]],
        cue: Callable[[list[str], bool, str], Awaitable[object]],
    ) -> None:
        self.submit, self.undo, self.redo, self.zero = submit, undo, redo, zero
        self.order, self.jam, self.cue = order, jam, cue


def command_of(address: str, arguments: tuple[Any, ...], who: str) -> Command | None:
    """The command an OSC message stands for; None for a button that was let go.

    Raises
    ------
    UnknownAddress : no arguments where a value is needed.
    """
    path = address.strip("/")
    parts = path.split("/")
    values = list(arguments)
    if len(parts) == 3 and parts[2] == "activate" and parts[0] in ("scenes", "positions"):
        if values and values[0] in (0, False):
            return None
        return Command({"scenes/active" if parts[0] == "scenes" else "position": parts[1]}, who=who)
    if len(parts) == 3 and parts[0] == "looks" and parts[2] in ("apply", "fade"):
        if parts[2] == "apply":
            return None if values and values[0] in (0, False) else Command({ACTIVE: parts[1]}, who=who)
        if len(values) != 1 or isinstance(values[0], bool | str) or not 0.0 <= values[0] <= LONGEST_S:
            raise UnknownAddress(Problem(UnknownAddress.code, path, "takes seconds", values, "0 to 3600"))
        return Command({ACTIVE: parts[1]}, who=who, seconds=float(values[0]), curve="smooth")
    if len(parts) == 3 and parts[0] == "scenes" and parts[2] in ("cut", "dissolve", "wipe"):
        names = _SWITCH[parts[2]]
        if len(values) < _SWITCH_LEAST[parts[2]] or len(values) > len(names):
            detail = f"takes {', '.join(names)}"
            raise UnknownAddress(Problem(UnknownAddress.code, path, detail, values, "send the first of them at least"))
        order = {"scene": parts[1], "kind": parts[2], **dict(zip(names, values, strict=False))}
        return Command({"scenes/active": order}, who=who)
    if parts == ["patterns", "clear"]:
        return None if values and values[0] in (0, False) else Command({"patterns": []}, who=who)
    if not values:
        raise UnknownAddress(Problem(UnknownAddress.code, path, "needs a value", None, "send one after the address"))
    if len(parts) == 4 and parts[0] == "sources" and parts[2] == "step":
        return Command(steps={f"sources/{parts[1]}/nudge/{parts[3]}": values[0]}, who=who)
    targets = parts[0] == "patterns" and all(isinstance(value, str) for value in values)
    return Command({path: values if targets or len(values) > 1 else values[0]}, who=who)


async def act(hands: Hands, address: str, arguments: tuple[Any, ...], who: str) -> None:
    """Do what a message of a control surface asks for.

    Raises
    ------
    ControllerError : it is unknown, refused, or not allowed.
    """
    parts = address.strip("/").split("/")
    pressed = not arguments or arguments[0] not in (0, False)
    if parts[0] == "actions" and len(parts) == 2:
        name = next((action for action in ACTIONS if action == parts[1]), None)
        if name is None:
            known = ", ".join(ACTIONS)
            raise UnknownAddress(Problem(UnknownAddress.code, address, "no such action", None, f"use {known}"))
        allowed("run", address)
        if pressed:
            hands.order(name)
    elif parts in (["undo"], ["redo"]):
        prefix = arguments[0] if arguments and isinstance(arguments[0], str) else ""
        if pressed:
            await (hands.undo if parts == ["undo"] else hands.redo)(prefix, who)
    elif parts[0] == "cues":
        await hands.cue(parts[1:], pressed, who)
    elif parts == ["frames", "jam"]:
        allowed("run", address)
        if pressed:
            await hands.jam()
    elif parts[0] == "sources" and len(parts) == 3 and parts[2] == "zero":
        if pressed:
            await hands.zero(parts[1], who)
    else:
        command = command_of(address, arguments, who)
        if command is not None:
            await hands.submit(command)


class OscControl(asyncio.DatagramProtocol):
    """The listening end. Give it to `loop.create_datagram_endpoint`."""

    def __init__(
        self,
        hands: Hands,
        statistics: OscStatistics,
        *,
        clock: Clock,
        role: Role = "operator",
        allow: Sequence[str] = (),
    ) -> None:
        """role: what whoever sends may change; allow: networks it is heard from, all without any."""
        self._hands, self._clock, self._role = hands, clock, role
        self._networks = [ip_network(network, strict=False) for network in allow]
        self.statistics = statistics
        self.feedback: Callable[[str, tuple[Any, ...]], None] = lambda _host, _arguments: None
        """Called with the host and the arguments of each /feedback."""
        self._log_due_ns = 0
        self._running: set[asyncio.Task[None]] = set()

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """Take a datagram apart; never raises for what somebody sent."""
        self.statistics.datagrams += 1
        who = f"osc {addr[0]}"
        if self._networks and not any(ip_address(addr[0]) in network for network in self._networks):
            self._refuse("not_allowed", who, "its address is not in control/osc/allow")
            return
        for packet in parse(data):
            self.statistics.messages += 1
            if isinstance(packet, Refusal):
                self._refuse(packet.reason, who, packet.detail)
            elif packet.address == "/feedback":
                self.feedback(addr[0], packet.arguments)
            elif len(self._running) >= MAX_WAITING:
                self._refuse("flood", who, packet.address)
            else:
                task = asyncio.get_running_loop().create_task(self._do(packet, who))
                self._running.add(task)
                task.add_done_callback(self._running.discard)

    def error_received(self, exc: Exception) -> None:
        """Ignore what the network says about answers: there are none."""

    async def _do(self, packet: OscPacket, who: str) -> None:
        HAND.set(Hand(who, self._role, who))
        try:
            await act(self._hands, packet.address, packet.arguments, who)
        except OpenVolumeError as error:
            problem = error.problems[0]
            self._refuse(problem.code, who, str(problem))
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("OSC %s failed", packet.address)
            self._refuse("failed", who, packet.address)

    def _refuse(self, reason: str, who: str, detail: str) -> None:
        self.statistics.refused[reason] += 1
        now_ns = self._clock.now_ns()
        if now_ns >= self._log_due_ns:
            self._log_due_ns = now_ns + LOG_EVERY_NS
            log.warning("OSC from %s refused: %s: %s", who, reason, detail)
