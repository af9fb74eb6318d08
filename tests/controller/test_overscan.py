"""Just enough: a trembling hand behind seven frames of delay stays inside an inner frustum a third as wide beyond the
picture as the field's."""

from __future__ import annotations

import numpy as np
import pytest

from controller.bench.overscan import FIXED_RULE, LEAST_INSIDE, MOST_MEAN, course


@pytest.mark.parametrize("seed", [1, 2])
def test_the_view_stays_inside_an_overscan_a_third_of_the_rule(seed: int) -> None:
    """From the first sample on, learning included."""
    found = course(frames=3000, seed=seed)
    assert found.inside >= LEAST_INSIDE
    assert found.mean_width <= MOST_MEAN < FIXED_RULE / 3.0
    # It grows at once, and shrinks slowly.
    steps = np.diff(found.overscan_deg, axis=0)
    assert steps.max() > 0.1
    assert steps.min() > -0.05
    assert found.costs.mean() < 0.35


def test_less_delay_needs_less() -> None:
    far, near = (course(frames=700, delay_frames=n) for n in (7, 2))
    assert near.inside >= LEAST_INSIDE
    assert near.overscan_deg[300:].mean() < 0.6 * far.overscan_deg[300:].mean()


def test_it_is_the_same_again() -> None:
    first, again = course(frames=200), course(frames=200)
    assert np.array_equal(first.overscan_deg, again.overscan_deg)
    assert np.array_equal(first.slack_deg, again.slack_deg)
