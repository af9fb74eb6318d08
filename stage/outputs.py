"""Each canvas' way to light: its processor's and panels' delay, what it is held back by choice, and the padding that
makes frame N leave every wall together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, floor

from stage.compiled import CompiledStage

WHOLE = 1e-6
"""Delays this close to whole frames are whole: milliseconds divided by periods seldom are to the last digit."""


@dataclass(frozen=True, slots=True)
class WayToLight:
    """What lies between the slot a canvas' picture is for and the light of its wall, frames."""

    latency_frames: float
    """Processor, panels, and what the chain after the processor was measured to add."""
    chosen_frames: int
    """Held back by choice; negative: handed over so many frames before the others, whose light comes together."""
    padding_frames: int
    """Held back so that no wall is earlier than the slowest."""

    @property
    def held_back_frames(self) -> int:
        """Slots the picture waits before it is handed to the processor."""
        return max(0, self.chosen_frames) + self.padding_frames

    @property
    def to_light_frames(self) -> float:
        """From the picture's slot to its light."""
        return self.latency_frames + self.held_back_frames


def chosen_frames(stage: CompiledStage) -> dict[str, int]:
    """What every canvas is held back by choice, as configured."""
    return {canvas.id: canvas.delay_frames for canvas in stage.canvases.values()}


def ways_to_light(
    stage: CompiledStage,
    chosen: Mapping[str, int] | None = None,
    delays_ms: Mapping[str, float] | None = None,
    real_frames: Mapping[str, float] | None = None,
) -> dict[str, WayToLight]:
    """Every canvas' way. `chosen`: frames held back by choice, by canvas; `delays_ms`: what the chain after its
    processor adds, signed; both as configured when None. `real_frames`: from a processor's input to light in the mode
    it is in, frames, by processor; those that are not in it are as configured.

    A negative choice hands a picture over earlier than the others': its way is taken for that much longer.

    Pictures are handed over once a frame, so padding is whole frames: processors that differ by parts of a frame come
    as close together as those allow, and no later than that needs.
    """
    chosen = chosen_frames(stage) if chosen is None else chosen
    frames_per_ms = stage.rate.num / (stage.rate.den * 1000.0)
    latency = {
        c.id: max(
            0.0,
            (
                real_frames[c.processor] + c.delay_ms * frames_per_ms
                if real_frames and c.processor in real_frames
                else stage.processors[c.processor].latency_frames
            )
            + ((delays_ms or {}).get(c.id, c.delay_ms) - c.delay_ms) * frames_per_ms,
        )
        + max(0, -chosen.get(c.id, 0))
        for c in stage.canvases.values()
    }
    total = {name: own + max(0, chosen.get(name, 0)) for name, own in latency.items()}
    if not total:
        return {}
    slowest = max(total.values())
    best: tuple[float, float, dict[str, int]] | None = None
    for first in total.values():
        # All light falls within one frame that begins with this wall's, or with it whole frames later.
        begins = first + floor(slowest - first + WHOLE)
        padding = {name: max(0, ceil(begins - own - WHOLE)) for name, own in total.items()}
        ends = max(own + padding[name] for name, own in total.items())
        rank = (round(ends - begins, 6), round(ends, 6), padding)
        if best is None or rank[:2] < best[:2]:
            best = rank
    assert best is not None
    return {name: WayToLight(own, chosen.get(name, 0), best[2][name]) for name, own in latency.items()}


def wall_delay_frames(ways: Mapping[str, WayToLight]) -> float:
    """D_wall: from a slot to the light of the last wall that shows its frame."""
    return max((way.to_light_frames for way in ways.values()), default=0.0)


def apart_frames(ways: Mapping[str, WayToLight]) -> float:
    """Between the first and the last wall's light of one frame: what padding in whole frames leaves."""
    return wall_delay_frames(ways) - min((way.to_light_frames for way in ways.values()), default=0.0)
