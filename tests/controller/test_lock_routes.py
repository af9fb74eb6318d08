"""The show lock over every route there is: a new one is shut in a take until somebody lists it here."""

from __future__ import annotations

from types import ModuleType

import pytest

from controller.show_lock import LOCK_STATES, SHUT, ShowLock

ACT_IN_A_TAKE = {
    "POST /actions/{action}", "PUT /lock", "PATCH /show", "POST /config/check",
    "POST /show/import/check", "POST /show/backups",
    "POST /cues/go", "POST /cues/back", "POST /cues/chase", "POST /cues/stop", "POST /cues/{cue}/go",
    "PATCH /cards/{card}", "PATCH /takes/{take}",
    "POST /captures", "POST /captures/{capture}/end", "POST /tracking/record",
    "POST /session", "DELETE /session", "POST /setup",
    "PUT /users/{name}", "DELETE /users/{name}", "PUT /keys/{name}", "DELETE /keys/{name}",
}  # fmt: skip
"""What the gate lets through while a take rolls; the desk then looks at the addresses that a PATCH changes."""


@pytest.mark.parametrize("state", LOCK_STATES)
async def test_every_route_in_every_state(routekit: ModuleType, state: str) -> None:
    doorman = routekit.unguarded()
    doorman.lock = lambda: ShowLock(state, "otto", "12A/3")  # type: ignore[arg-type]
    wrong = []
    for route in routekit.every_route():
        status, said = await routekit.knock(doorman, route.method, route.path)
        acts = not route.writes or state not in SHUT or route.name in ACT_IN_A_TAKE
        if (status == 200) != acts:
            wrong.append(f"{route.name}: {status} while {state}")
        if status != 200:
            assert status == 423
            assert "otto" in said["detail"]
            assert "12A/3" in said["detail"]
            assert said["mend"]
    assert not wrong, f"tell tests/controller/test_lock_routes.py what acts in a take: {wrong}"


def test_the_list_names_routes_that_exist(routekit: ModuleType) -> None:
    known = {route.name for route in routekit.every_route()}
    assert known >= ACT_IN_A_TAKE
