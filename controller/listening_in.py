"""What a running show's tracking sockets receive, read beside it: a tracker is examined while the walls go on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from controller.ledger_feed import RingQueue
from controller.rundir import RunDir, is_alive, runs
from controller.status import KIND_STATUS, decode_conductor
from controller.tracking_recorder import KIND_DATAGRAMS
from runtime.errors import HouseError
from runtime.ring import ROOT, RingReader

if TYPE_CHECKING:  # the decoders and numpy: loaded once there is something to read
    from tracking.receivers import Arrival
    from tracking.socket_filter import Screen

ANYWHERE: Final = "0.0.0.0"  # noqa: S104 - what a socket bound to every address says of itself


class ShowReceiver:
    """One address of a running show, as a receiver that hears what the show's own socket hears.

    `receive` is to be asked every 100 ms at least: the ring it reads holds what came within a few of them.
    """

    polled = False
    dropped = 0
    """The show's own counts tell."""

    def __init__(self, run: RunDir, address: str, sources: Sequence[str]) -> None:
        self.run, self._address, self._sources = run, address, frozenset(sources)
        self._queue = RingQueue(run.datagrams, KIND_DATAGRAMS)
        # What came before is not listened to.
        self._queue.take(look=True)
        self._never = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    @property
    def missed(self) -> int:
        """Batches of the show's that were overwritten before they were read here: not lost on the way."""
        return self._queue.missed

    @property
    def address(self) -> str:
        """Where the show listens."""
        return self._address

    def fileno(self) -> int:
        """Never readable: rings are polled."""
        return self._never

    def screen(self, screen: Screen) -> bool:
        """The show says who is let in."""
        return False

    def receive(self, most: int = 1 << 16) -> list[Arrival]:
        """What the show has read since, oldest first."""
        from tracking.receivers import Arrival
        from tracking.tap import decode_batch

        out: list[Arrival] = []
        for slot in self._queue.take(look=True):
            try:
                batch = decode_batch(slot.data)
            except msgspec.MsgspecError:
                continue
            mine = {number for number, link in enumerate(batch.links) if self._sources & set(link.sources)}
            out += [
                Arrival(one.data, one.host, one.port, one.t_received_ns) for one in batch.datagrams if one.link in mine
            ]
        return out

    def close(self) -> None:
        """Let go of the ring."""
        self._queue.close()
        os.close(self._never)


def heard_by_shows(*, root: Path = ROOT) -> dict[str, tuple[RunDir, list[str]]]:
    """The UDP addresses and serial lines that running shows of this machine listen on, with the show and its sources
    there."""
    found: dict[str, tuple[RunDir, list[str]]] = {}
    for run in runs(root=root):
        if not is_alive(run):
            continue
        for name, address in _addresses(run).items():
            if address and "://" not in address:
                found.setdefault(address, (run, []))[1].append(name)
    return found


def show_receiver(address: str, *, root: Path = ROOT) -> ShowReceiver | None:
    """A receiver for an address that a running show has; None: no show has it.

    0.0.0.0 of a port means whatever a show has of that port.
    """
    host, _, port = address.rpartition(":")
    for theirs, (run, names) in heard_by_shows(root=root).items():
        their_host, _, their_port = theirs.rpartition(":")
        if address == theirs or (port == their_port and ANYWHERE in (host, their_host)):
            return ShowReceiver(run, theirs, names)
    return None


def _addresses(run: RunDir) -> dict[str, str]:
    """Where each source of a run listens, as its conductor told last."""
    try:
        reader = RingReader.try_open(run.conductor_status, kind=KIND_STATUS)
    except (HouseError, OSError):
        return {}
    if reader is None:
        return {}
    try:
        slot = reader.latest()
        status = None if slot is None else decode_conductor(slot.data)
    except msgspec.MsgspecError:
        return {}
    finally:
        reader.close()
    return {} if status is None else {name: source.address for name, source in status.sources.items()}
