"""What a show's addresses may name: everything from the configuration that commands are checked against. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from controller.processor_values import SceneWishes
from controller.scene_values import SceneValues
from controller.switching import Moment
from renderer.pattern_kinds import PatternKinds
from stage.frames import Array

PATTERNS: Final = PatternKinds()
"""Line-up and test pictures that can be switched while the show runs."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a show's addresses may name: everything from the configuration that commands are checked against."""

    cameras: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    trackers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The sources of each camera."""
    frame_lines: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Those of each camera's sensor mode."""
    scenes: tuple[str, ...] = ()
    walls: frozenset[str] = frozenset()
    canvases: frozenset[str] = frozenset()
    processors: frozenset[str] = frozenset()
    """Those that are spoken to."""
    engines: frozenset[str] = frozenset()
    positions: Mapping[str, Array] = field(default_factory=dict)
    """`scene_from_stage`, [4, 4], by name."""
    scene_processors: SceneWishes = field(default_factory=dict)
    scene_positions: Mapping[str, str] = field(default_factory=dict)
    """The position each scene opens with; "" or absent: its origin."""
    patterns: Collection[str] = PATTERNS
    """Kinds of line-up pictures the renderer draws."""
    scene_values: Mapping[str, SceneValues] = field(default_factory=dict)
    """What may be edited live of each scene."""
    moment: Moment | None = None
    """A frame planned lately; None before the first: then everything happens at once."""
