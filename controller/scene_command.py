"""`openvolume scene`: put a scene of a running show on the walls from a shell, over its own HTTP."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from controller.errors import ControllerError, UnknownAddress
from controller.rundir import RunDir, is_alive, runs
from stage.errors import Problem

TIMEOUT_S = 660.0
"""A scene that was never compiled is compiled first."""


class SceneCommandError(ControllerError):
    """The show refused, or could not be asked."""

    code = "controller.scene_command"


def scene_command(scene: str, how: dict[str, Any], *, run: str | None = None) -> str:
    """Put `scene` on the walls (`how`: as the body of `POST scenes/<id>/activate`); what became of it, in words.

    Raises
    ------
    UnknownAddress : no such show runs, or several do. SceneCommandError : the show refused.
    """
    outcome = ask("POST", f"scenes/{scene}/activate", how or None, run=run)
    return f"{scene}: revision {outcome['rev']}, holds from frame {outcome['frame']}"


def ask(method: str, path: str, body: dict[str, Any] | None, *, run: str | None = None, raw: bool = False) -> Any:
    """What a running show answers to a request below `/api/v1/`: JSON, or (raw) bytes.

    Raises
    ------
    UnknownAddress : no such show runs, or several do. SceneCommandError : the show refused.
    """
    chosen = _chosen(run)
    told, key = json.loads(chosen.service_address.read_bytes()), chosen.local_key.read_text()
    request = urllib.request.Request(
        f"http://{told['host']}:{told['port']}/api/v1/{path}",
        None if body is None else json.dumps(body).encode(),
        {"authorization": f"Bearer {key}"} | ({} if body is None else {"content-type": "application/json"}),
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - an address of our own run
            data = answer.read()
    except urllib.error.HTTPError as error:
        said = json.loads(error.read())
        problem = Problem(said["code"], said["path"], said["detail"], said.get("value"), said.get("mend", ""))
        raise SceneCommandError(problem) from error
    except OSError as error:
        detail = f"the show does not answer: {error}"
        problem = Problem(SceneCommandError.code, "--run", detail, run, "its service is restarted: try again")
        raise SceneCommandError(problem) from error
    return data if raw else json.loads(data)


def _chosen(run: str | None) -> RunDir:
    living = [found for found in runs() if is_alive(found) and found.service_address.exists()]
    named = [found for found in living if run is None or found.run == run]
    if len(named) == 1:
        return named[0]
    known = ", ".join(found.run for found in living) or "(none)"
    detail = "no show of this name runs" if run else ("several shows run" if named else "no show runs")
    raise UnknownAddress(Problem(UnknownAddress.code, "--run", detail, run, f"name one of {known}"))
