"""What a process that has not spoken yet is told as: it starts; it has not gone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from controller.api.backend import Backend
from controller.api.present_running import state_of
from controller.status import ChildStatus, RoleState, SupervisorStatus


def backend(state: RoleState | None, age_ns: int | None = None) -> Backend:
    children = {} if state is None else {"darkroom": ChildStatus("darkroom", 7, state)}
    told = SimpleNamespace(
        supervisor=SupervisorStatus(1, 1, children), darkroom=None, processors=None, age_ns=lambda _: age_ns
    )
    return cast("Backend", told)


@pytest.mark.parametrize(
    ("told", "state"),
    [("starting", "starting"), ("running", "starting"), ("failed", "failed"), ("stopped", "stopped"), (None, "gone")],
)
def test_who_has_not_spoken_yet_stands_as_the_supervisor_has_it(told: RoleState | None, state: str) -> None:
    assert state_of(backend(told), None, "darkroom") == state


def test_without_a_supervisor_nothing_is_known_of_it() -> None:
    alone = backend(None)
    alone.supervisor = None
    assert state_of(alone, None, "darkroom") == "gone"


def test_who_has_spoken_and_died_is_gone_whatever_the_supervisor_does() -> None:
    spoken: Any = SimpleNamespace(state="running")
    assert state_of(backend("starting"), spoken, "darkroom") == "gone"
    assert state_of(backend("running", age_ns=0), spoken, "darkroom") == "running"
