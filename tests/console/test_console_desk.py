"""Outputs, timing, takes, the show's file, and what is moved by hand, in a real browser on the show the walks share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.console.conftest import Show

pytestmark = [pytest.mark.console, pytest.mark.timeout(400)]


@pytest.mark.slow
def test_outputs_timing_takes_and_the_shows_file(show: Show) -> None:
    told = show.walk("desk")
    assert not any(told["faults"].values()), told["faults"]
    assert show.get("lock")["state"] == "open"


@pytest.mark.slow
def test_cards_the_sun_and_tiles_follow_the_hand(show: Show) -> None:
    told = show.walk("drag")
    assert told["stage"]["pan"] < 0 < told["dome"]["pan"], told
    assert told["tile"]
    assert show.get("cards") == {}
    assert not show.get("patterns/cabinet_map")["on"]
