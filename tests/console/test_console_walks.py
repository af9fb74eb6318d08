"""The console in a real browser against a real show: every flow an operator takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.console.conftest import Show

pytestmark = pytest.mark.console


def test_orders_lock_language_and_a_lost_connection(show: Show) -> None:
    told = show.walk("frame")
    assert told["lostMs"] < 5000
    assert show.get("action")["action"] == "none"
    assert show.get("lock")["state"] == "open"
