"""The learner: the line at first, least squares once it has seen enough, and never sure of what it has not seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage.frames import Array
from tracking.learner import LAGS, MEMORIES_S, Learner, line_weights


def rows_of(path: Array, learner: Learner) -> tuple[Array, Array]:
    """All rows a path, [n, 6], gives: last steps, [m, 6, LAGS], and displacements met, [m, nodes, 6]."""
    far = learner.steps[-1]
    origins = range(LAGS, len(path) - far)
    steps = np.array([(path[n - LAGS + 1 : n + 1] - path[n - LAGS : n])[::-1].T for n in origins])
    met = np.array([[path[n + k] - path[n] for k in learner.steps] for n in origins])
    return steps, met


def taught(learner: Learner, steps: Array, met: Array, batch: int = 4) -> None:
    for n in range(0, len(steps), batch):
        learner.learn(steps[n : n + batch], met[n : n + batch])


@given(st.floats(0.004, 0.1), st.floats(0.0, 0.4), st.floats(0.01, 0.2))
def test_the_line_is_exact_on_lines(step_s: float, ahead_s: float, memory_s: float) -> None:
    """Steps of one length: as many of them as the time ahead holds."""
    assert line_weights(step_s, ahead_s, memory_s).sum() == pytest.approx(ahead_s / step_s, abs=1e-6)


def test_the_line_is_a_weighted_fit() -> None:
    random = np.random.default_rng(1)
    path = random.normal(size=LAGS + 1)
    t_s = -0.02 * np.arange(LAGS + 1)
    weight = np.exp(t_s / 0.05)
    slope, level = np.polyfit(t_s, path, 1, w=np.sqrt(weight))
    steps = path[:-1] - path[1:]
    assert line_weights(0.02, 0.08, 0.05) @ steps == pytest.approx(level + 0.08 * slope - path[0])


def test_before_anything_was_seen_it_is_the_line() -> None:
    learner = Learner(0.02)
    steps = np.random.default_rng(2).normal(0.0, 0.01, (6, LAGS))
    said = learner.displacements(steps)
    assert said.shape == (len(learner.steps), 6)
    for node, ahead_s in enumerate(learner.ahead_s):
        wanted = [line_weights(0.02, ahead_s, memory_s) @ steps[a] for a, memory_s in enumerate(MEMORIES_S)]
        assert np.allclose(said[node], wanted)
    assert np.allclose(learner.rates(steps), (said[1] - said[0]) / 0.02)


def test_it_finds_the_least_squares_weights() -> None:
    """A path that really is linear in its last steps, shaken by noise: the error left is the noise's."""
    random, learner = np.random.default_rng(4), Learner(0.02)
    push = random.normal(0.0, 1e-4, (3000, 6))
    path = np.zeros((3000, 6))
    for n in range(2, 3000):
        path[n] = path[n - 1] + 0.9 * (path[n - 1] - path[n - 2]) - 0.002 * path[n - 1] + push[n]
    steps, met = rows_of(path, learner)
    taught(learner, steps[:2000], met[:2000])
    late = np.sqrt(np.mean((learner.displacements(steps[2000:]) - met[2000:]) ** 2, axis=(0, 2)))
    fitted = []
    for node in range(len(learner.steps)):
        rest = []
        for a in range(6):
            weights, *_ = np.linalg.lstsq(steps[2000:, a], met[2000:, node, a], rcond=None)
            rest.append(np.mean((steps[2000:, a] @ weights - met[2000:, node, a]) ** 2))
        fitted.append(np.sqrt(np.mean(rest)))
    assert (late < 1.05 * np.array(fitted)).all()
    assert late[0] == pytest.approx(1e-4, rel=0.1)
    assert learner.rows == 2000


def test_rest_teaches_nothing_about_moving() -> None:
    """A tripod stands for ten seconds, its tracker trembling; then it pans as no row before: the line is followed."""
    random, learner = np.random.default_rng(5), Learner(0.04)
    path = random.normal(0.0, 1e-5, (400, 6))
    taught(learner, *rows_of(path[:300], learner))
    path[320:] += 0.01 * np.arange(80)[:, None]
    steps, _ = rows_of(path, learner)
    said, line = learner.displacements(steps[325]), Learner(0.04).displacements(steps[325])
    assert np.abs(said - line).max() < 0.15 * np.abs(line).max()
    # At rest it has learned that the trembling means nothing.
    still = steps[250:290]
    assert np.sqrt(np.mean(learner.displacements(still) ** 2)) < 0.5 * np.sqrt(
        np.mean(Learner(0.04).displacements(still) ** 2)
    )


def test_shares_go_to_who_is_right_and_stay_shares() -> None:
    random, learner = np.random.default_rng(6), Learner(0.02)
    path = np.cumsum(random.normal(0.0, 1e-3, (1000, 6)), axis=0)
    taught(learner, *rows_of(path, learner), batch=7)
    assert np.allclose(learner.shares.sum(axis=0), 1.0)
    # A walk at random goes on from where it is: the line, which runs on, is the worst of the three.
    assert (learner.shares[0] < 0.1).all()


@pytest.mark.parametrize("step_s", [1 / 480, 1 / 60, 1 / 24, 0.5])
def test_any_rate_has_nodes(step_s: float) -> None:
    learner = Learner(step_s)
    assert list(learner.ahead_s) == sorted(learner.ahead_s)
    assert np.isfinite(learner.displacements(np.ones((6, LAGS)))).all()
