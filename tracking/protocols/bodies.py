"""Which of the bodies in a stream a source follows."""

from __future__ import annotations

from collections.abc import Sequence


def chosen_body(
    bodies: Sequence[tuple[int | None, str]], wanted: str, camera_name: str, *, alone: bool = True
) -> int | None:
    """Index of the body meant by `wanted`, a name or a number; None: it is not there.

    bodies: number and name of each, in order. Without `wanted`: the one named like the camera, or the only one; alone:
    whether the sender was never heard to speak of others.
    """
    if wanted:
        for i, (number, name) in enumerate(bodies):
            if name == wanted or (number is not None and str(number) == wanted):
                return i
        return None
    for i, (_, name) in enumerate(bodies):
        if name == camera_name:
            return i
    return 0 if alone and len(bodies) == 1 else None
