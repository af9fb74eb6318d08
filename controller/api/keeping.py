"""What keeps the show's memory: backups by themselves, and alarms while there is still time to do something."""

from __future__ import annotations

import asyncio
import logging
import shutil
from typing import Final

from controller.errors import StoreError
from controller.status import Alarm, Severity
from controller.store import Store
from runtime.clock import NS_PER_S, Clock
from stage.errors import OpenVolumeError

log = logging.getLogger(__name__)

BACKUP_NS: Final = 3600 * NS_PER_S
"""A copy is made so often, where anything has changed."""
FIRST_NS: Final = 60 * NS_PER_S
"""And for the first time so long after the start, when the show runs."""
LOOK_S: Final = 5.0
RESERVE_BYTES: Final = 256 << 20
"""Less free space than this is an alarm: takes and changes need it."""


class StoreKeeper:
    """Looks after the database of a running show. `look` every `LOOK_S`, from the service's loop.

    Attributes
    ----------
    alarms : where alarms are put and taken away, by name
    """

    def __init__(self, store: Store, alarms: dict[str, Alarm], *, clock: Clock) -> None:
        self._store, self.alarms, self._clock = store, alarms, clock
        self._due_ns = clock.now_ns() + FIRST_NS
        self._copying: asyncio.Task[None] | None = None
        self._tell_damage()

    def look(self) -> None:
        """Copy what is due, and see whether there is room."""
        self._see_room()
        if self._clock.now_ns() >= self._due_ns and (self._copying is None or self._copying.done()):
            self._due_ns = self._clock.now_ns() + BACKUP_NS
            self._copying = asyncio.get_running_loop().create_task(self.back_up())

    async def back_up(self) -> None:
        """Copy now; what is wrong is an alarm, and the show goes on."""
        try:
            made = await asyncio.to_thread(self._store.back_up, self._clock.tai_ns())
        except (OpenVolumeError, OSError) as error:
            log.exception("the show cannot be backed up")
            detail = f"no backup can be made: {error}"
            mend = "free space; or start the show again where it is damaged"
            self._tell("backup", "store.backup", detail, mend, error=str(error))
            return
        self.alarms.pop("backup", None)
        if made is not None:
            log.info("backed up as %s", made)

    def refused(self, error: StoreError) -> None:
        """A change could not be kept, and so was not made."""
        problem = error.problems[0]
        detail = f"changes cannot be kept: {problem.detail}"
        self._tell("store_refuses", StoreError.code, detail, problem.mend, "critical", error=problem.detail)

    def accepted(self) -> None:
        """A change was kept."""
        self.alarms.pop("store_refuses", None)

    async def stop(self) -> None:
        """Finish the copy at hand."""
        if self._copying is not None:
            await self._copying

    def _see_room(self) -> None:
        try:
            free = shutil.disk_usage(self._store.path.parent).free
        except OSError as error:
            log.warning("the state folder cannot be looked at: %s", error)
            return
        if free >= RESERVE_BYTES:
            self.alarms.pop("store_room", None)
        else:
            # Told anew each time: it matters how fast it goes.
            detail = f"{free >> 20} MB are free where shows are kept"
            mend = "free space: a full disk refuses changes and takes"
            self._tell(
                "store_room", "store.room", detail, mend, free_mb=free >> 20, folder=str(self._store.path.parent)
            )

    def _tell_damage(self) -> None:
        told = self._store.damage()
        if told is None:
            return
        aside, backup = told
        what = f"backup {backup.name} took its place" if backup is not None else "there was no good backup: begun anew"
        detail = f"the stored show was damaged and moved to {aside}; {what}"
        mend = "look whether changes are missing; keep that file until you know"
        instead = backup.name if backup is not None else ""
        self._tell("store", "store.damaged", detail, mend, moved_to=str(aside), backup=instead)

    def _tell(
        self, name: str, code: str, detail: str, mend: str, level: Severity = "warning", **values: str | int
    ) -> None:
        stood = self.alarms.get(name)
        since_ns = self._clock.now_ns() if stood is None or stood.code != code else stood.since_ns
        self.alarms[name] = Alarm(code, "store", detail, level, mend, since_ns, {**values})
