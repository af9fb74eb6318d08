"""`openvolume scene`: put a scene of a running show on the walls from a shell, over its own HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from controller.client import ApiError, Client
from controller.errors import ControllerError
from stage.errors import Problem

TIMEOUT_S = 660.0
"""A scene that was never compiled is compiled first."""

Answer = TypeVar("Answer")


class SceneCommandError(ControllerError):
    """The show refused, or could not be asked."""

    code = "controller.scene_command"


def scene_command(scene: str, how: dict[str, Any], *, run: str | None = None) -> str:
    """Put `scene` on the walls (`how`: as the body of `POST scenes/<id>/activate`); what became of it, in words.

    Raises
    ------
    UnknownAddress : no such show runs, or several do. SceneCommandError : the show refused.
    """
    outcome = ask(lambda show: show.activate_scene(scene, **how), run=run)
    return f"{scene}: revision {outcome.rev}, holds from frame {outcome.frame}"


def ask(call: Callable[[Client], Awaitable[Answer]], *, run: str | None = None) -> Answer:
    """What a running show of this machine answers to a call of its client.

    Raises
    ------
    UnknownAddress : no such show runs, or several do. SceneCommandError : the show refused.
    """
    from httpx import HTTPError

    async def answered() -> Answer:
        async with Client.here(run, timeout_s=TIMEOUT_S) as show:
            return await call(show)

    try:
        return asyncio.run(answered())
    except ApiError as error:
        raise SceneCommandError(*error.problems) from error
    except (OSError, HTTPError) as error:
        detail = f"the show does not answer: {error}"
        problem = Problem(SceneCommandError.code, "--run", detail, run, "its service is restarted: try again")
        raise SceneCommandError(problem) from error
