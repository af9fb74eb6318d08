"""What control surfaces show: keys that light, faders that move, labels. Told over OSC and MIDI as it changes.

Values are told at the addresses that set them, from the changes that were accepted; beside them stand the lights of
keys (`cues/12/go` is 1 for the cue that went last) and a few words. Nothing is worked out while nobody listens.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from controller.action import ACTIONS
from controller.addresses import ADDRESSES, find
from controller.api import present
from controller.desk import Desk
from controller.transaction import Outcome
from runtime.clock import NS_PER_S
from stage.errors import OpenVolumeError
from tracking.protocols.osc import OscPacket

if TYPE_CHECKING:
    from controller.api.control import Control

log = logging.getLogger(__name__)

Arguments = tuple[bool | int | float | str, ...]
LEASE_NS: Final = 60 * NS_PER_S
"""A surface that asks for feedback gets it for so long: it asks again, or was switched off."""
MOST_LISTENERS: Final = 16
MOST_NUMBERS: Final = 4


def arguments_of(value: object) -> Arguments | None:
    """A value as a surface takes it: one number, switch or word, or up to four numbers; None of anything else."""
    if isinstance(value, bool | int | float | str):
        return (value,)
    if isinstance(value, list | tuple) and 0 < len(value) <= MOST_NUMBERS:
        numbers = tuple(part for part in value if isinstance(part, int | float))
        return numbers if len(numbers) == len(value) else None
    return None


def value_at(desk: Desk, path: str) -> Any:
    """What holds at an address now.

    Raises
    ------
    UnknownAddress
    """
    address, name = find(path, desk.around_now)
    return address.read(desk.show, name)


class Surfaces:
    """Keeps what surfaces were told, and tells them what is otherwise."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._told: dict[str, Arguments] = {}
        self._listeners: list[Callable[[str, Arguments], None]] = []

    def listen(self, tell: Callable[[str, Arguments], None]) -> None:
        """Call `tell` with each address and its arguments as they change; the lights first as they are."""
        self._listeners.append(tell)
        for path, arguments in self.lights().items():
            tell(path, arguments)

    def forget(self, tell: Callable[[str, Arguments], None]) -> None:
        """Tell somebody no more."""
        self._listeners.remove(tell)

    def changed(self, outcome: Outcome) -> None:
        """A change was accepted: its values are told."""
        if not self._listeners:
            return
        for path, change in outcome.changes.items():
            arguments = arguments_of(change.after)
            if arguments is not None and path.partition("/")[0] != "cues":
                self._tell(path, arguments)
        self.look()

    def look(self) -> None:
        """Tell the lights that are otherwise than they were told."""
        if not self._listeners:
            self._told.clear()
            return
        now = self.lights()
        for path, arguments in now.items():
            if self._told.get(path) != arguments:
                self._tell(path, arguments)
        for path in self._told.keys() - now.keys():
            # A cue or scene that is gone: its key is dark.
            self._tell(path, (0,))
        self._told = now

    def lights(self) -> dict[str, Arguments]:
        """What stands beside the values: keys that are lit, and words."""
        control = self._control
        show, cues = present.show(control.desk, control.backend), control.cues.view()
        by_id = {cue.id: cue for cue in cues.cues}
        current, coming = by_id.get(cues.current), by_id.get(cues.next)
        found: dict[str, Arguments] = {
            "cues/current": (current.number if current else "",),
            "cues/current/label": (current.label if current else "",),
            "cues/next": (coming.number if coming else "",),
            "cues/next/label": (coming.label if coming else "",),
            "cues/chase": (int(cues.chase),),
            "cues/waiting": (len(cues.waiting),),
            "cues/problem": (cues.problem,),
            "lock": (show.lock.state, show.lock.take),
            "health": (control.health().status,),
        }
        found |= {f"cues/{cue.number}/go": (int(cue is current),) for cue in cues.cues}
        found |= {f"scenes/{scene}/activate": (int(scene == show.scene),) for scene in control.desk.around.scenes}
        found |= {f"positions/{at}/activate": (int(at == show.position),) for at in control.desk.around.positions}
        found |= {f"actions/{action}": (int(action == show.action),) for action in ACTIONS}
        return found

    def values(self, prefixes: Sequence[str]) -> dict[str, Arguments]:
        """What holds now at every address below some prefixes."""
        desk, found = self._control.desk, dict[str, Arguments]()
        for row in ADDRESSES:
            ids: Sequence[str] = sorted(getattr(desk.around, row.collection)) if row.collection else [""]
            for name in ids:
                path = row.pattern.replace("{}", name)
                if not any(path == prefix or path.startswith(prefix + "/") for prefix in prefixes):
                    continue
                arguments = arguments_of(row.read(desk.show, name))
                if arguments is not None:
                    found[path] = arguments
        for prefix in prefixes:
            # Single addresses of what comes and goes: a value of a card, a look, a scene.
            if prefix not in found and "/" in prefix:
                try:
                    arguments = arguments_of(value_at(desk, prefix))
                except OpenVolumeError:
                    continue
                if arguments is not None:
                    found[prefix] = arguments
        return found

    def _tell(self, path: str, arguments: Arguments) -> None:
        for tell in list(self._listeners):
            tell(path, arguments)


class OscFeedback:
    """Surfaces that speak OSC: those the configuration names, and those that ask (`/feedback PORT [prefix ...]`).

    Whoever asks gets it at its own address, for a minute; port 0 ends it. Prefixes (`cameras/a`) are told at once and
    choose what is told; without any, all that changes is.
    """

    def __init__(self, control: Control, send: Callable[[bytes, tuple[str, int]], None], fixed: Sequence[str]) -> None:
        self._control, self._send = control, send
        self._fixed = [(host, int(port)) for host, _, port in (one.rpartition(":") for one in fixed)]
        self._asked: dict[tuple[str, int], tuple[int, tuple[str, ...]]] = {}
        self._listens = False
        if self._fixed:
            self._begin()

    def close(self) -> None:
        """Tell nobody any more."""
        if self._listens:
            self._control.surfaces.forget(self._tell)
            self._listens = False

    def ask(self, host: str, arguments: tuple[Any, ...]) -> None:
        """Somebody asks for feedback, or ends it. What makes no sense is left alone."""
        port = arguments[0] if arguments else None
        if not isinstance(port, int | float) or not 0 <= int(port) <= 65535:
            return
        prefixes = tuple(str(word).strip("/") for word in arguments[1:] if isinstance(word, str))
        if int(port) == 0:
            self._asked = {where: held for where, held in self._asked.items() if where[0] != host}
            return
        where = (str(ip_address(host)), int(port))
        if where not in self._asked and len(self._asked) >= MOST_LISTENERS:
            log.warning("OSC feedback: %d surfaces have it already", MOST_LISTENERS)
            return
        is_new = self._asked.get(where, (0, None))[1] != prefixes
        self._asked[where] = (self._control.clock.now_ns() + LEASE_NS, prefixes)
        if not self._listens:
            self._begin()
        if is_new:
            surfaces = self._control.surfaces
            for path, told in {**surfaces.lights(), **surfaces.values(prefixes)}.items():
                if _wanted(path, prefixes):
                    self._send(bytes(_packet(path, told)), where)

    def _begin(self) -> None:
        self._listens = True
        self._control.surfaces.listen(self._tell)

    def _tell(self, path: str, arguments: Arguments) -> None:
        now_ns = self._control.clock.now_ns()
        self._asked = {where: held for where, held in self._asked.items() if held[0] > now_ns}
        data = bytes(_packet(path, arguments))
        for where in self._fixed:
            self._send(data, where)
        for where, (_, prefixes) in self._asked.items():
            if where not in self._fixed and _wanted(path, prefixes):
                self._send(data, where)
        if not self._asked and not self._fixed:
            self.close()


def _wanted(path: str, prefixes: Sequence[str]) -> bool:
    return not prefixes or any(path == prefix or path.startswith(prefix + "/") for prefix in prefixes)


def _packet(path: str, arguments: Arguments) -> OscPacket:
    # Surfaces read switches as numbers.
    return OscPacket.build("/" + path, tuple(int(one) if isinstance(one, bool) else one for one in arguments))
