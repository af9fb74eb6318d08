"""The show lock over every route there is: what the table of `_routekit` lets act in a take acts, and nothing else."""

from __future__ import annotations

from types import ModuleType

import pytest

from controller.show_lock import LOCK_STATES, SHUT, ShowLock


def test_every_writing_route_has_its_row_and_every_row_its_route(routekit: ModuleType) -> None:
    """A new route fails here until somebody has said whose it is and whether it acts in a take."""
    routes = {route.name: route for route in routekit.every_route()}
    forgotten = [name for name, route in routes.items() if route.writes and name not in routekit.WHO_AND_WHEN]
    assert not forgotten, f"{forgotten}: {routekit.FORGOTTEN}"
    gone = routekit.WHO_AND_WHEN.keys() - routes.keys()
    assert not gone, f"rows of routes that are gone: {sorted(gone)}"


def test_a_route_nobody_has_told_of_is_found(routekit: ModuleType) -> None:
    new = routekit.Route("POST", "/api/v1/walls/{wall}/blow-up", {})
    with pytest.raises(AssertionError, match="nobody has said whose this is"):
        assert new.scope
    with pytest.raises(AssertionError, match="WHO_AND_WHEN"):
        assert new.acts_in_a_take


@pytest.mark.parametrize("state", LOCK_STATES)
async def test_every_route_in_every_state(routekit: ModuleType, state: str) -> None:
    doorman = routekit.unguarded()
    doorman.lock = lambda: ShowLock(state, "otto", "12A/3")  # type: ignore[arg-type]
    wrong = []
    for route in routekit.every_route():
        status, said = await routekit.knock(doorman, route.method, route.path)
        if (status == 200) != (state not in SHUT or route.acts_in_a_take):
            wrong.append(f"{route.name}: {status} while {state}")
        if status != 200:
            assert status == 423
            assert "otto" in said["detail"]
            assert "12A/3" in said["detail"]
            assert said["mend"]
    assert not wrong, f"controller/show_lock.py and WHO_AND_WHEN of _routekit differ: {wrong}"
