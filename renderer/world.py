"""What a view can be drawn of: a scene on air, or a measuring pattern standing in its place."""

from __future__ import annotations

from typing import Protocol

import moderngl

from stage.frames import Array
from stage.plan import FramePlan


class World(Protocol):
    """Content drawn from any point of the stage. The renderer asks for views; the world knows nothing of walls."""

    def prepare(self, plan: FramePlan) -> None:
        """Once a frame, before any view: animation, shadows, uniforms."""

    def draw(
        self, plan: FramePlan, *, view_from_stage: Array, clip_from_view: Array, target: moderngl.Framebuffer
    ) -> None:
        """Draw one view (GL view axes, clip z -1..1) into `target`: linear ACEScg, 1.0 = 100 nit, alpha 1.

        `target` has one float colour attachment and a depth attachment; its whole viewport is covered.
        """
