"""Set zero: the nudge that puts a camera where it is known to stand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.lineup import Zero, nudge_to
from controller.show import Nudge
from stage.frames import pan_tilt_roll_from_rotation, pose_from_pan_tilt_roll

metres = st.floats(-20, 20)
NUDGES = st.builds(
    Nudge, x_m=metres, y_m=metres, z_m=metres,
    pan_deg=st.floats(-170, 170), tilt_deg=st.floats(-60, 60), roll_deg=st.floats(-60, 60),
)  # fmt: skip


@given(NUDGES, NUDGES, NUDGES)
def test_the_camera_then_stands_where_it_was_put(nudge: Nudge, tracked: Nudge, wanted: Nudge) -> None:
    """Forward: stage_from_camera = nudge @ (the tracker's word); with the new nudge it is what was wanted."""
    tracker_says = tracked.pose()
    found = nudge_to(nudge, nudge.pose() @ tracker_says, wanted.pose())
    assert np.allclose(found.pose() @ tracker_says, wanted.pose(), atol=1e-6)


@given(NUDGES, NUDGES, NUDGES)
def test_position_moves_and_does_not_turn(nudge: Nudge, tracked: Nudge, wanted: Nudge) -> None:
    now = nudge.pose() @ tracked.pose()
    then = nudge_to(nudge, now, wanted.pose(), what="position").pose() @ tracked.pose()
    assert np.allclose(then[:3, 3], wanted.pose()[:3, 3], atol=1e-6)
    assert np.allclose(then[:3, :3], now[:3, :3], atol=1e-6)


def test_heading_turns_about_the_camera_and_keeps_the_level() -> None:
    now = pose_from_pan_tilt_roll((1.0, 2.0, 1.5), pan_deg=10.0, tilt_deg=-4.0, roll_deg=2.0)
    wanted = pose_from_pan_tilt_roll((0.0, 0.0, 0.0), pan_deg=-25.0)
    then = nudge_to(Nudge(), now, wanted, what="heading").pose() @ now
    assert then[:3, 3] == pytest.approx([1.0, 2.0, 1.5], abs=1e-6)
    assert pan_tilt_roll_from_rotation(then) == pytest.approx((-25.0, -4.0, 2.0), abs=1e-6)


def test_what_is_left_out_is_as_configured() -> None:
    home = pose_from_pan_tilt_roll((1.0, 2.0, 3.0), pan_deg=15.0, tilt_deg=5.0)
    assert np.allclose(Zero().pose(home), home)
    pose = Zero(x_m=9.0, tilt_deg=0.0).pose(home)
    assert pose[:3, 3] == pytest.approx([9.0, 2.0, 3.0])
    assert pan_tilt_roll_from_rotation(pose) == pytest.approx((15.0, 0.0, 0.0), abs=1e-9)
