"""What `openvolume preflight` and `openvolume monitors` tell of monitors: found, right or wrong, mended how."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from controller.preflight import Colour, Finding
from controller.windows.layout import Layout, MonitorState, edid_of, lay_out
from controller.windows.trial import Trial
from controller.windows.wishes import WindowWish
from controller.windows.xlib import Display, DisplayError, Found

TRIAL_S: Final = 20.0
_COLOURS: Final[dict[str, Colour]] = {"critical": "red", "warning": "amber", "info": "amber"}


def window_findings(wishes: Mapping[str, WindowWish]) -> Iterator[Finding]:
    """What each window's display, monitors and driver lack. Nothing is shown."""
    for name, wish in wishes.items():
        try:
            display = Display(wish.config.display)
        except DisplayError as error:
            problem = error.problems[0]
            yield Finding(f"window {name}", "red", problem.detail, problem.mend)
            continue
        try:
            yield from _monitors(name, lay_out(wish.config, wish.parts, display.outputs(), wish.rate))
            if display.depth_bits < 3 * wish.bits:
                detail = f"{display.name} has {display.depth_bits // 3} bits of a colour, its canvases {wish.bits}"
                yield Finding(f"window {name}", "amber", detail, "give the X server `DefaultDepth 30` (xorg.conf)")
        finally:
            display.close()
        yield _driver(name, wish)


def _monitors(window: str, layout: Layout) -> Iterator[Finding]:
    for name, state in layout.monitors.items():
        faults = [fault for fault in layout.faults if fault.monitor == name]
        for fault in faults:
            yield Finding(f"monitor {name}", _COLOURS[fault.severity], fault.detail, fault.mend)
        if not faults:
            yield Finding(f"monitor {name}", "green", _told(state))
    for fault in layout.faults:
        if not fault.monitor:
            yield Finding(f"window {window}", _COLOURS[fault.severity], fault.detail, fault.mend)


def _told(state: MonitorState) -> str:
    output = state.output
    assert output is not None
    who = f"{state.edid} at " if state.edid is not None else ""
    times = "" if state.multiple == 1 else f", {state.multiple} to a frame"
    return f"{who}{_shown(output)}{times}, scale 100 %"


def _shown(output: Found) -> str:
    width, height = output.mode_px
    x, y = output.position_px
    return f"{output.connector}, {width}x{height} at {float(output.refresh_hz):.6g} Hz, +{x}+{y}"


def _driver(name: str, wish: WindowWish) -> Finding:
    """Whether a window can be made at all, tried in a process of its own: what a driver breaks is not ours."""
    asked = Trial(name, wish.config.display, wish.bits, wish.config.swap_group)
    argv = [sys.executable, "-P", "-m", "controller.windows.trial", msgspec.json.encode(asked).decode()]
    try:
        done = subprocess.run(argv, capture_output=True, timeout=TRIAL_S, check=False)
        return msgspec.json.decode(done.stdout, type=Finding)
    except subprocess.TimeoutExpired:
        detail = f"the driver takes longer than {TRIAL_S:g} s to open a window"
    except msgspec.DecodeError:
        detail = f"the driver ends the program that opens a window (exit code {done.returncode})"
    return Finding(f"window {name}", "red", detail, "see the X server's log, and the driver's version")


def monitors_command(*, display: str = "", as_json: bool = False) -> int:
    """Print what hangs on the outputs of a display, and how a configuration names it. Returns the exit code.

    Raises
    ------
    DisplayError : the display cannot be reached.
    """
    with_display = Display(display)
    try:
        outputs = with_display.outputs()
        name = with_display.name
    finally:
        with_display.close()
    if as_json:
        sys.stdout.write(json.dumps([_plain(output) for output in outputs], indent=2) + "\n")
        return 0
    if not outputs:
        sys.stdout.write(f"nothing hangs on the outputs of {name}\n")
        return 0
    sys.stdout.write(f'windows:\n  main:\n    display: "{name}"\n    monitors:\n')
    for number, output in enumerate(outputs, start=1):
        sys.stdout.write(f"      # {_shown(output) if output.active else f'{output.connector}, switched off'}\n")
        sys.stdout.write(f"      m{number}: {{{', '.join(_keys(output))}}}\n")
    return 0


def _keys(output: Found) -> Iterator[str]:
    yield f"connector: {json.dumps(output.connector)}"
    edid = edid_of(output)
    if edid is not None:
        yield f"vendor: {edid.vendor}"
        yield f"product: {json.dumps(edid.product)}"
        if edid.serial:
            yield f"serial: {json.dumps(edid.serial)}"
    if output.active:
        yield f"mode_px: [{output.mode_px[0]}, {output.mode_px[1]}]"
        yield f"position_px: [{output.position_px[0]}, {output.position_px[1]}]"


def _plain(output: Found) -> dict[str, Any]:
    edid = edid_of(output)
    return {
        "connector": output.connector,
        "connected": output.connected,
        "active": output.active,
        "position_px": list(output.position_px),
        "size_px": list(output.size_px),
        "mode_px": list(output.mode_px),
        "refresh_hz": float(output.refresh_hz),
        "vendor": edid.vendor if edid is not None else "",
        "product": edid.product if edid is not None else "",
        "serial": edid.serial if edid is not None else "",
    }
