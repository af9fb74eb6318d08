"""What a recording keeps of the show beside its tracking: every plan, and every version of the show from the frame on
that carried it first. With both, what was on the walls can be drawn again: live edits, switches and dissolves too.

Two topics of the recording (`tracking.capture`): `/plans` holds the plans as they were published, `/show` a
`ShownVersion` before the first plan that carries it. A configuration stands in full only where it changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from controller.rundir import RunDir

PLANS: Final = "/plans"
SHOW: Final = "/show"


class ShownVersion(Struct, frozen=True):
    """A version of the show, and the first frame that was seen to carry it."""

    version: int
    config_version: int
    frame: int
    show: Raw
    """`controller.show.Show`, msgpack."""
    snapshot: Raw = Raw(b"\xc0")
    """`controller.show.Snapshot` in full, msgpack; nil: as that of the last version with this configuration."""


class _Planned(Struct):
    """What of a plan tells which version it carries."""

    frame: int
    show_version: int
    config_version: int


class _Kept(Struct):
    show: Raw


class ShowLog:
    """Follows plans, and finds the versions they name in the run directory. No numpy: the recorder stays small."""

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._version = self._config = -1
        self.missed = 0
        """Versions that were gone before they could be read."""

    def notes(self, plans: Iterable[tuple[int, bytes]]) -> Iterator[tuple[str, int, bytes]]:
        """Topic, time and data of what is to be written for plans (when published, bytes), oldest first."""
        for t_ns, data in plans:
            try:
                plan = msgspec.msgpack.decode(data, type=_Planned)
            except msgspec.MsgspecError:
                continue
            if plan.show_version != self._version:
                told = self._told(plan)
                if told is not None:
                    yield SHOW, t_ns, told
            yield PLANS, t_ns, bytes(data)

    def _told(self, plan: _Planned) -> bytes | None:
        try:
            data = self._run.snapshot(plan.show_version).read_bytes()
            show = msgspec.msgpack.decode(data, type=_Kept).show
        except (OSError, msgspec.MsgspecError):
            if self._version != -1:
                self.missed += 1
            self._version = plan.show_version
            return None
        whole = plan.config_version != self._config
        self._version, self._config = plan.show_version, plan.config_version
        return msgspec.msgpack.encode(
            ShownVersion(plan.show_version, plan.config_version, plan.frame, show, Raw(data) if whole else Raw(b"\xc0"))
        )


def versions_of(notes: Iterable[tuple[int, bytes]]) -> list[tuple[int, Any]]:
    """The first frame of every version of a recording and its snapshot, whole again.

    Raises
    ------
    msgspec.MsgspecError : they are no versions of ours.
    """
    from controller.show import Show, Snapshot

    found: list[tuple[int, Any]] = []
    whole: dict[int, Snapshot] = {}
    for _, data in notes:
        told = msgspec.msgpack.decode(data, type=ShownVersion)
        snapshot = msgspec.msgpack.decode(told.snapshot, type=Snapshot | None)
        if snapshot is not None:
            whole[told.config_version] = snapshot
        if told.config_version in whole:
            show = msgspec.msgpack.decode(told.show, type=Show)
            found.append((told.frame, msgspec.structs.replace(whole[told.config_version], show=show)))
    return found
