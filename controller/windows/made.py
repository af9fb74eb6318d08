"""The presenter of a run, with real displays and windows, and what it is to show read from the run's versions."""

from __future__ import annotations

import logging

import msgspec

from controller.rundir import RunDir
from controller.show import decode_snapshot
from controller.snapshots import running_config
from controller.windows.presenter import Presenter
from controller.windows.surface import Surface
from controller.windows.wishes import WindowWish, wishes_of
from controller.windows.xlib import Display
from runtime.clock import Clock
from stage.compiled import decode_stage
from stage.errors import OpenVolumeError

log = logging.getLogger(__name__)


def presenter_of(run: RunDir, clock: Clock, *, fifo: bool = False) -> Presenter:
    """The presenter of a run."""
    return Presenter(
        run=run, clock=clock, screen=Display, window=_window, wishes=lambda number: _wishes(run, number), fifo=fifo
    )


def _window(name: str, wish: WindowWish) -> Surface:
    config = wish.config
    return Surface(f"OpenVolume {name}", display=config.display, bits=wish.bits, swap_group=config.swap_group)


def _wishes(run: RunDir, number: int) -> tuple[int, dict[str, WindowWish]] | None:
    """Configuration version and windows of a version; None while it is being replaced, or cannot be used."""
    try:
        snapshot = decode_snapshot(run.snapshot(number).read_bytes())
        config = running_config(snapshot)
    except (OSError, msgspec.MsgspecError):
        return None
    except OpenVolumeError as error:
        log.error("version %d cannot be used: %s", number, error)
        return None
    stage = decode_stage(snapshot.stage)
    bits = {name: canvas.encoding.bits for name, canvas in stage.canvases.items()}
    wishes = wishes_of(config.windows, config.outputs, stage.canvases, bits, rate=stage.rate, scale=stage.scale)
    return snapshot.show.config_version, wishes
