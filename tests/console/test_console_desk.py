"""The pages of outputs, timing, takes and the show's file in a real browser, against the real show the walks share."""

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
