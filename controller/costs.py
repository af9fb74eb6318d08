"""What tells apart pictures that take different times to draw: a change of it lets the lead grow first. Pure."""

from __future__ import annotations

from collections.abc import Hashable

from controller.show import Show, scenes_at
from stage.rate import Rate


def drawn_of(show: Show, t_present_ns: int | None = None, rate: Rate | None = None) -> Hashable:
    """What of a show decides how long its pictures take to draw; sliders do not.

    t_present_ns, rate : at a frame, while scenes are switched it shows others than in the end (None).
    """
    scenes = tuple(sorted(scene.id for scene in show.scenes))
    if show.switches and t_present_ns is not None and rate is not None:
        scenes = tuple(sorted(entry.id for entry in scenes_at(show, t_present_ns, 0, rate)))
    return (
        scenes,
        (show.outer_mode, show.outer_every_frames),
        tuple(sorted(name for name, camera in show.cameras.items() if camera.enabled)),
        tuple(sorted(pattern.kind for pattern in show.patterns)),
        any(card.visible for card in show.cards.values()),
        any(key.visible for key in show.chromakeys.values()),
    )
