"""Emulated LED processors in the darkroom: what they are set to changes what its photos show.

Their process tells how each is set (`processors.ring`); what a frozen one holds is kept here from the moment it was
frozen on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from controller.processors.status import decode_processors
from controller.rundir import RunDir
from controller.status import KIND_STATUS
from renderer.twin.emulator import Codes
from renderer.twin.override import Override
from runtime.ring import RingReader
from stage.compiled import CompiledStage


class EmulatedProcessors:
    """Follows the processors' ring. `look` often, `shown` for each canvas of a photo."""

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._reader: RingReader | None = None
        self._n = 0
        self._overrides: dict[str, Override] = {}
        self._frozen: dict[str, Codes] = {}

    def look(self, stage: CompiledStage, codes_of: Callable[[str], Codes | None], *, again: bool = True) -> None:
        """Take in how they are set now. codes_of : what a canvas shows, for those that are frozen.

        again : whether another process may write the ring by now.
        """
        if self._reader is None:
            self._reader = RingReader.try_open(self._run.processors_status, kind=KIND_STATUS)
        elif again and self._reader.refresh():
            self._n = 0
        if self._reader is None or self._reader.latest_n == self._n:
            return
        slot = self._reader.latest()
        if slot is None:
            return
        self._n = slot.n
        try:
            processors = decode_processors(slot.data).processors
        except msgspec.MsgspecError:
            return
        self._overrides = {
            name: Override(one.shown.brightness, one.shown.blackout, one.shown.freeze, one.shown.pattern)
            for name, one in processors.items()
            if one.shown is not None
        }
        for canvas in stage.canvases.values():
            override = self._overrides.get(canvas.processor)
            if override is None or not override.freeze:
                self._frozen.pop(canvas.id, None)
            elif canvas.id not in self._frozen and (codes := codes_of(canvas.id)) is not None:
                self._frozen[canvas.id] = codes.copy()

    def shown(self, stage: CompiledStage, canvases: Mapping[str, Codes | None]) -> dict[str, Codes | None]:
        """What their LEDs show of these canvases."""
        found: dict[str, Codes | None] = {}
        for name, codes in canvases.items():
            canvas = stage.canvases[name]
            override = self._overrides.get(canvas.processor)
            if codes is None or override is None:
                found[name] = codes
            else:
                found[name] = override.shown(canvas.encoding, codes, frozen=self._frozen.get(name))
        return found

    def close(self) -> None:
        """Let the ring go."""
        if self._reader is not None:
            self._reader.close()
