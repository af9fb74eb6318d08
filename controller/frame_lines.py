"""Addresses of cameras' frame lines: which of the configured framings the monitors show. Pure.

`cameras/a/frame_lines/scope` is a switch, so that a key, a cue and an undo know it as they know everything else of the
show. Nothing on the walls hangs on it: no plan carries it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from controller.address import Address, unknown_address
from controller.show import Show
from controller.surroundings import Surroundings

ABOUT: Final = "Whether this framing of the camera's picture is shown on the monitors; at first, one is."
FRAME_LINES: Final = "frame_lines"


def shown_lines(framing: Sequence[str] | None, lines: Sequence[str]) -> list[str]:
    """Those of a camera's frame lines that are shown, in the configuration's order.

    framing : as the operators have it; None: nobody has said, and the first is.
    """
    wanted = lines[:1] if framing is None else framing
    return [line for line in lines if line in wanted]


def frame_line_address(parts: Sequence[str], around: Surroundings) -> Address | None:
    """The address of `cameras/<id>/frame_lines/<id>`; None: it is none of them.

    Raises
    ------
    UnknownAddress : there is no such camera, or it has no such frame line.
    """
    if len(parts) != 4 or (parts[0], parts[2]) != ("cameras", FRAME_LINES):
        return None
    camera, line = parts[1], parts[3]
    if camera not in around.cameras:
        known = ", ".join(sorted(around.cameras)) or "(none)"
        raise unknown_address("/".join(parts), f"no camera {camera!r} in this show", f"use one of {known}")
    lines = around.frame_lines.get(camera, ())
    if line not in lines:
        mend = f"use one of {', '.join(lines) or '(none: its sensor mode has no frame_lines)'}"
        raise unknown_address("/".join(parts), f"no frame line {line!r} of camera {camera!r}", mend)

    def read(show: Show, _: str) -> bool:
        return line in shown_lines(show.cameras[camera].framing, lines)

    def write(show: Show, _: str, shown: Any, __: Surroundings) -> Show:
        settings = show.cameras[camera]
        before = shown_lines(settings.framing, lines)
        after = [one for one in lines if (shown if one == line else one in before)]
        if after == before:
            return show
        settings = msgspec.structs.replace(settings, framing=after)
        return msgspec.structs.replace(show, cameras={**show.cameras, camera: settings})

    return Address(f"cameras/{{}}/{FRAME_LINES}/{line}", "cameras", bool, ABOUT, read, write)
