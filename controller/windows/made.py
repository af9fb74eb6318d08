"""The presenter of a run, with real displays and windows, and what it is to show read from the run's versions."""

from __future__ import annotations

import logging

import msgspec
from msgspec import Struct

from controller.rundir import RunDir
from controller.windows.presenter import Presenter
from controller.windows.surface import Surface
from controller.windows.wishes import WindowWish, read_order
from controller.windows.xlib import Display
from runtime.clock import Clock

log = logging.getLogger(__name__)


def presenter_of(run: RunDir, clock: Clock, *, fifo: bool = False) -> Presenter:
    """The presenter of a run."""
    return Presenter(
        run=run, clock=clock, screen=Display, window=_window, wishes=lambda number: _wishes(run, number), fifo=fifo
    )


def _window(name: str, wish: WindowWish) -> Surface:
    config = wish.config
    return Surface(f"OpenVolume {name}", display=config.display, bits=wish.bits, swap_group=config.swap_group)


class _Show(Struct):
    config_version: int = 0


class _Told(Struct):
    """What of a version's snapshot (controller.show.Snapshot) concerns windows: all else is passed over."""

    show: _Show
    windows: str = ""


def _wishes(run: RunDir, number: int) -> tuple[int, dict[str, WindowWish]] | None:
    """Configuration version and windows of a version; None while it is being replaced, or cannot be used."""
    try:
        told = msgspec.msgpack.decode(run.snapshot(number).read_bytes(), type=_Told)
        return told.show.config_version, read_order(told.windows)
    except (OSError, msgspec.MsgspecError):
        return None
    except ValueError as error:
        log.error("version %d cannot be used: %s", number, error)
        return None
