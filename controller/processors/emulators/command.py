"""`openvolume emulate processor`: an LED processor on this machine's network, to try a show or a driver against."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import AbstractAsyncContextManager
from typing import Any

from controller.processors.emulators.coex import CoexEmulator
from controller.processors.emulators.colorlight import ColorlightEmulator
from controller.processors.emulators.device import FAULTS, Signal
from controller.processors.emulators.helios import HeliosEmulator
from controller.processors.emulators.server import serving
from controller.processors.emulators.tessera import TesseraEmulator

MODELS = ("tessera", "helios", "coex", "colorlight_v", "colorlight_z")
EXIT_BAD_INPUT = 2


def emulator_of(model: str, *, signal_in: Signal) -> Any:
    """A new emulator."""
    match model:
        case "tessera":
            return TesseraEmulator(signal=signal_in)
        case "helios":
            return HeliosEmulator(signal=signal_in)
        case "coex":
            return CoexEmulator(signal=signal_in)
        case _:
            return ColorlightEmulator(family="v" if model.endswith("_v") else "z")


def served(emulator: Any, *, host: str, port: int) -> AbstractAsyncContextManager[str]:
    """Its server."""
    if isinstance(emulator, ColorlightEmulator):
        return emulator.serving(host=host, port=port)
    return serving(emulator.app, host=host, port=port)


def emulate_command(
    model: str, *, host: str = "127.0.0.1", port: int = 0, faults: tuple[str, ...] = (), signal_in: Signal | None = None
) -> int:
    """Serve until interrupted; each change of what its panels show is told on a line."""
    if model not in MODELS:
        sys.stderr.write(f"controller.emulator --model: there is none ({model}) -> use one of {', '.join(MODELS)}\n")
        return EXIT_BAD_INPUT
    strange = [fault for fault in faults if fault not in FAULTS]
    if strange:
        told = ", ".join(strange)
        sys.stderr.write(f"controller.emulator --fault: there is none ({told}) -> use some of {', '.join(FAULTS)}\n")
        return EXIT_BAD_INPUT
    emulator = emulator_of(model, signal_in=signal_in or Signal())
    emulator.faults.on |= {fault for fault in FAULTS if fault in faults}
    try:
        return asyncio.run(_serve(emulator, model, host, port))
    except OSError as error:
        mend = "give another --port, or 0 for a free one"
        sys.stderr.write(f"controller.emulator --port: {error.strerror} ({host}:{port}) -> {mend}\n")
        return EXIT_BAD_INPUT


async def _serve(emulator: Any, model: str, host: str, port: int) -> int:
    end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end.set)
    async with served(emulator, host=host, port=port) as address:
        sys.stdout.write(f"{model} answers at {address}\n")
        sys.stdout.flush()
        shown = None
        while not end.is_set():
            if emulator.shown != shown:
                shown = emulator.shown
                words = [f"brightness {shown.brightness:.0%}"]
                words += [name for name in ("blackout", "freeze") if getattr(shown, name)]
                words += [f"test picture {shown.pattern}"] if shown.pattern != "off" else []
                sys.stdout.write(", ".join(words) + "\n")
                sys.stdout.flush()
            try:
                await asyncio.wait_for(end.wait(), 0.2)
            except TimeoutError:
                continue
    return 0
