"""What draws for a node, as the node sees it: the real one holds a GL context and rings, a test's a virtual cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from controller.errors import ControllerError
from controller.preparing import Preparer
from controller.status import Alarm, ResidentScene
from stage.plan import FramePlan


class PainterLost(ControllerError):
    """What draws is gone for good in this process (a lost GPU context): a new process must take over."""

    code = "controller.painter_lost"
    exit_code = 1


class Painter(Preparer, Protocol):
    """What draws and shows pictures: the real one holds a GL context and rings, a test's holds a virtual cost."""

    @property
    def canvases(self) -> Sequence[str]:
        """Ids of the canvases it draws now."""

    @property
    def device(self) -> str:
        """Name of the renderer."""

    @property
    def software(self) -> bool:
        """Whether it draws on the CPU."""

    @property
    def scenes(self) -> list[ResidentScene]:
        """The scenes it holds ready."""

    @property
    def scene_budget_bytes(self) -> int:
        """What they may take together."""

    @property
    def loading(self) -> str:
        """The scene that is made ready now; empty: none."""

    @property
    def late(self) -> Mapping[str, int]:
        """Canvases of the frame shown last that an engine had no picture for: the frame each shows."""

    @property
    def alarms(self) -> Sequence[Alarm]:
        """What is wrong with what draws beside it."""

    def rehearse(self, plan: FramePlan) -> None:
        """Draw the first plan for practice: what only the first drawing costs is paid before a slot counts. Raises
        PainterLost."""

    def draw(self, plan: FramePlan) -> None:
        """Draw the plan's pictures and wait until their pixels are there. Raises PainterLost."""

    def ahead(self, most: int) -> int:
        """Draw pieces of what coming frames will need, if anything: those due in this slot, `most` of them at most.
        How many were drawn. Called once a slot. Raises PainterLost."""

    def present(self, plan: FramePlan, plan_hash: int, action: str) -> None:
        """Show what was drawn last (or the action's picture) as the plan's frame."""

    def close(self) -> None:
        """Give everything back."""
