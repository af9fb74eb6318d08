"""Photos that were really rendered say the same slip as the poses alone."""

from __future__ import annotations

import pytest

from controller.timing.limits import load_limits
from controller.timing.rendered import render_some
from controller.timing.settings import settings_of
from controller.timing.virtual_run import run_virtual


@pytest.mark.parametrize("move", ["handheld", "tripod"])
def test_what_is_far_slips_as_worked_out(move: str) -> None:
    """Before the even sky of `minimal` everything is far: two ways to one figure."""
    settings = settings_of("minimal", virtual=True, seconds_s=2.0, photos=2, move=move, samples="30")
    result = run_virtual(settings, load_limits(None, "virtual"), lambda _: None)
    render_some(result)
    assert len(result.rendered) == 2
    for photo in result.rendered:
        assert photo["geometry"]["mean_px"] == pytest.approx(photo["slip_px"], rel=0.05, abs=0.05)
        assert photo["inner_coverage"] > 0.5
        assert photo["image"].startswith("data:image/jpeg;base64,")
