"""The console in a real browser against a real show: every flow an operator takes, and no serious fault for anybody
who reads it with a screen reader or works it by keyboard alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.console.conftest import Show

pytestmark = [pytest.mark.console, pytest.mark.timeout(400)]


def test_orders_lock_language_and_a_lost_connection(show: Show) -> None:
    told = show.walk("frame")
    assert told["lostMs"] < 5000
    assert show.get("action")["action"] == "none"
    assert show.get("lock")["state"] == "open"


def test_scenes_cues_and_the_director(show: Show) -> None:
    told = show.walk("light")
    assert not any(told["faults"].values()), told["faults"]
    assert show.get("show")["scene"] == "plaza"
    assert show.get("cues")["cues"] == []


@pytest.mark.slow
def test_stage_cameras_and_timing(show: Show) -> None:
    told = show.walk("room")
    assert not any(told["faults"].values()), told["faults"]
    assert re.match(r"Frame \d+ ", told["why"])


@pytest.mark.slow
@pytest.mark.timeout(1600)
def test_every_page_on_desk_tablet_and_phone(show: Show, tmp_path: Path) -> None:
    """The pictures lie in `tmp_path`, for whoever wants to look."""
    told = show.walk("pictures", str(tmp_path), timeout_s=1500)
    assert len(told["pages"]) >= 40
    assert not told["wide"], "wider than the screen"
    assert not told["faults"], told["faults"]


def test_users_come_and_go_and_break_a_lock(show: Show) -> None:
    """Last: from then on everybody has to say who they are."""
    told = show.walk("users", show.code, show.local_key)
    assert not told["faults"]
