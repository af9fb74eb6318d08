"""`openvolume scene`: put a scene of a running show on the walls from a shell."""

from __future__ import annotations

from typing import Any

from controller.asking import ask


def scene_command(scene: str, how: dict[str, Any], *, run: str | None = None) -> str:
    """Put `scene` on the walls (`how`: as the body of `POST scenes/<id>/activate`); what became of it, in words.

    Raises
    ------
    As `controller.asking.ask`.
    """
    outcome = ask(lambda show: show.activate_scene(scene, **how), run=run)
    return f"{scene}: revision {outcome.rev}, holds from frame {outcome.frame}"
