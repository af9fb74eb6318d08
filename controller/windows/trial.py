"""Opens a window and tells what the driver can: `python -P -m controller.windows.trial JSON` prints one finding."""

from __future__ import annotations

import sys

import msgspec
from msgspec import Struct

from controller.preflight import Colour, Finding
from stage.errors import OpenVolumeError


class Trial(Struct, frozen=True):
    """The window to try."""

    name: str
    display: str
    bits: int
    swap_group: bool = True


def tried(trial: Trial) -> Finding:
    """Whether the window can be made at all, and what of swapping together the driver has."""
    from controller.windows.surface import Surface

    part = f"window {trial.name}"
    try:
        surface = Surface(
            f"OpenVolume {trial.name}", display=trial.display, bits=trial.bits, swap_group=trial.swap_group
        )
    except OpenVolumeError as error:
        problem = error.problems[0]
        return Finding(part, "red", problem.detail, problem.mend)
    try:
        state, why = surface.swaps_with
        group = {"joined": "joined", "barrier": "joined, with its barrier", "unwanted": "not wanted"}.get(state, why)
        stamps = "the display" if surface.stamped_by == "display" else "the swaps' return"
        text = f"{surface.renderer}, {surface.red_bits} bits of a colour; frames are stamped by {stamps}"
        colour: Colour = "amber" if surface.software or state == "refused" else "green"
        mend = "put a graphics card behind it" if surface.software else "see to the sync board and its driver"
        return Finding(part, colour, f"{text}; swap group: {group}", mend if colour == "amber" else "")
    finally:
        surface.close()


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(tried(msgspec.json.decode(sys.argv[1], type=Trial))))
