"""The process that speaks to the LED processors: `python -P -m controller.processes.processors RUN_DIR`.

It is always there, so that processors can be configured while the show runs; until one is, it has loaded next to
nothing.
"""

from __future__ import annotations

import argparse
import logging
import select
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from controller.processes.darkroom import let_the_walls_begin
from controller.rundir import RunDir
from runtime.clock import Clock, SystemClock
from runtime.log import set_up_logging
from runtime.role import Beat, EndSignal

LOOK_S = 0.5


class _Told(Struct):
    """What of a version's snapshot (controller.show.Snapshot) says whether any processor is spoken to."""

    processors: bool = False


class Need:
    """Whether the version that holds has processors that are spoken to."""

    def __init__(self, run: RunDir) -> None:
        self._run, self._seen = run, -1

    def there(self) -> bool:
        """Looks again when the version is another."""
        number = self._run.current_version()
        if number == self._seen:
            return False
        try:
            told = msgspec.msgpack.decode(self._run.snapshot(number).read_bytes(), type=_Told)
        except (OSError, msgspec.MsgspecError):
            return False  # being replaced: the next look finds it
        self._seen = number
        return told.processors


async def keep(run: RunDir, clock: Clock, end: EndSignal, beat: Beat) -> None:
    """Look after the processors until the process is to end."""
    import asyncio

    from controller.processors.role import TURN_S, ProcessorsRole

    # A line for each request would bury the rest.
    logging.getLogger("httpx").setLevel(logging.WARNING)

    role = ProcessorsRole(run=run, clock=clock)
    await role.start()
    loop = asyncio.get_running_loop()
    loop.add_reader(role.fileno(), role.letters)
    try:
        while not end.asked:
            beat.touch(clock.now_ns())
            await role.turn()
            await asyncio.sleep(TURN_S)
    finally:
        loop.remove_reader(role.fileno())
        await role.stop()


def main(arguments: Sequence[str] | None = None) -> int:
    """Wait until processors are configured, then look after them."""
    parser = argparse.ArgumentParser(prog="processors")
    parser.add_argument("run_dir", type=Path)
    given = parser.parse_args(arguments)
    run = RunDir(given.run_dir)
    set_up_logging("processors", run.run)
    clock = SystemClock()
    let_the_walls_begin(run)
    with EndSignal() as end:
        beat = Beat(run.path, "processors")
        need = Need(run)
        while not end.asked and not need.there():
            beat.touch(clock.now_ns())
            select.select([end.fileno()], [], [], LOOK_S)
        if not end.asked:
            import asyncio

            asyncio.run(keep(run, clock, end, beat))
        beat.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
