"""Learns, while a camera moves, which weights on its last steps foretell where it will be.

Prediction is linear: displacement = sum of weights times the camera's last `LAGS` steps, for each axis and for each of
several times ahead (nodes). Two sets of weights are learned by least squares that forgets slowly - a few steps of
memory, quickly sure of itself, and many steps, better once it has seen enough - each held towards the line through
the last steps (constant velocity) for as long as it has seen little. Which of the three is used, and in what shares,
follows from how wrong each has been lately; movement unlike anything seen before is left to the line. Everything is
linear algebra on small arrays: learning is done in batches away from the frame's path.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stage.frames import Array

LAGS: Final = 12
"""Steps of the past that count."""
FARTHEST_S: Final = 0.34
"""How far ahead weights are learned; beyond, the line goes on."""
NODES: Final = (1, 2, 3, 4, 6, 8, 12, 16, 20, 24, 32)
"""Times ahead at which weights are learned, in steps."""
SHORT_LAGS: Final = 6
FORGET_S: Final = 30.0
"""Memory of the weights."""
TRUST_S: Final = 0.7
"""Memory of who was wrong lately."""
SCALE_S: Final = 3.0
"""Memory of how wrong the whole is, which says what difference counts."""
SCALE_PRIOR: Final = 25.0
"""Predictions that the prior scale weighs as much as."""
WRONG_AT_292: Final = 0.002
"""Prior scale of errors 292 ms ahead, rad and m."""
SHORT_RIDGE: Final = 3e-4
LONG_RIDGE: Final = 7e-7
"""How firmly weights are held to the line, in rad/s and m/s: steps much larger than this decide for themselves."""
LINE_TURN_S: Final = 0.014
LINE_MOVE_S: Final = 0.04
"""Weight of a step in the line falls by e over this: trackers know turns better than places."""
MEMORIES_S: Final = 3 * (LINE_TURN_S,) + 3 * (LINE_MOVE_S,)
UNLIKE: Final = 0.3
"""Leverage from which movement counts as unlike anything seen."""
TEMPERATURE: Final = 1.0
TINY: Final = 1e-13


def line_weights(step_s: float, ahead_s: float | Array, memory_s: float) -> Array:
    """Weights on the last `LAGS` steps, newest first, [..., LAGS]: the weighted line through the last positions,
    `ahead_s`, [...], past the newest, less the newest."""
    t_s = -step_s * np.arange(LAGS + 1)
    weight = np.exp(t_s / memory_s)
    weight /= weight.sum()
    lever = weight * (t_s - weight @ t_s)
    rate = lever / (lever @ t_s)
    level = weight - rate * (weight @ t_s)
    # From weights on positions to weights on the steps between them.
    return np.asarray(-np.cumsum((level + np.multiply.outer(ahead_s, rate))[..., ::-1], axis=-1)[..., ::-1][..., 1:])


class Learner:
    """Weights for one source whose lattice has steps of `step_s`.

    Attributes
    ----------
    steps : the nodes, in steps, ascending.
    shares : [3, 2, nodes]  share of the line, the short and the long memory in turning and moving.
    """

    def __init__(self, step_s: float) -> None:
        self.step_s = step_s
        self.steps = tuple(n for n in NODES if n * step_s <= FARTHEST_S) or (1,)
        self.rows = 0
        ahead_s = step_s * np.array(self.steps)
        self.ahead_s: Array = ahead_s
        wanted_s = np.append(ahead_s, (0.0, 1.0))
        weights = {memory_s: line_weights(step_s, wanted_s, memory_s) for memory_s in dict.fromkeys(MEMORIES_S)}
        line = np.stack([weights[memory_s] for memory_s in MEMORIES_S], axis=1)
        nodes = len(self.steps)
        self._line = line[:-2]
        """[nodes, 6, LAGS]"""
        self._rate = line[-1] - line[-2]
        self._said = np.zeros((6, LAGS, 3 * nodes))
        """The line's weights beside what short and long memory add to them, in the order products want them."""
        self._said[:, :, :nodes] = self._line.transpose(1, 2, 0)
        self._seen = np.zeros((6, LAGS, LAGS))
        self._met = np.zeros((nodes, 6, LAGS))
        self._ridges = [(ridge * step_s) ** 2 for ridge in (SHORT_RIDGE, LONG_RIDGE)]
        self._spread = np.zeros((2, 6, LAGS, LAGS))
        """Inverse of what was seen: how far a movement lies from it."""
        for i, (lags, ridge) in enumerate(zip((SHORT_LAGS, LAGS), self._ridges, strict=True)):
            self._spread[i, :, :lags, :lags] = np.eye(lags) / ridge
        self._wrong = np.zeros((3, nodes, 2))
        self._whole = np.zeros((nodes, 2))
        self._whole_count = 0.0
        self._prior = SCALE_PRIOR * np.ones((nodes, 1)) * (WRONG_AT_292 * (ahead_s / 0.292) ** 1.5)[:, None] ** 2
        self._prior_count = SCALE_PRIOR
        self.shares = np.full((3, nodes, 2), 1.0 / 3.0)

    def displacements(self, steps: Array) -> Array:
        """Displacement at each node, [..., nodes, 6], after last steps, newest first, [..., 6, LAGS]."""
        return np.asarray(self._blend(self._by_each(steps)))

    def completed(self, steps: Array, missing: NDArray[np.bool_]) -> Array:
        """Last steps, newest first, [6, LAGS], between positions of which some are `missing`, [LAGS + 1]: what lies in
        a gap is filled as this camera usually moves, and what is known of the gap as a whole stays."""
        if self.rows < LAGS:
            return steps
        known = np.flatnonzero(~missing)
        spans = np.zeros((len(known) - 1, LAGS))
        for row, (newer, older) in enumerate(pairwise(known.tolist())):
            spans[row, newer:older] = 1.0
        held = self._ridges[-1] + TINY * np.trace(self._seen, axis1=1, axis2=2)
        together = (self._seen + held[:, None, None] * np.eye(LAGS)) @ spans.T
        solved = np.linalg.solve(spans @ together, (steps @ spans.T)[..., None])
        return np.asarray((together @ solved)[..., 0])

    def rates(self, steps: Array) -> Array:
        """The line's displacement a second, [6], for last steps, [6, LAGS]."""
        return np.asarray((self._rate * steps).sum(axis=1))

    def learn(self, steps: Array, met: Array) -> None:
        """Take in rows, oldest first: last steps, [n, 6, LAGS], and the displacement that came of them at each node,
        [n, nodes, 6]."""
        count = len(steps)
        by_each = self._by_each(steps)
        self._weigh(by_each, met)
        keep = np.exp(-self.step_s / FORGET_S * np.arange(count - 1, -1, -1))
        past = np.exp(-self.step_s / FORGET_S * count)
        weighted = steps * keep[:, None, None]
        self._seen *= past
        self._met *= past
        by_axis = weighted.transpose(1, 2, 0)
        self._seen += by_axis @ steps.transpose(1, 0, 2)
        self._met += (by_axis @ (met - by_each[0]).transpose(2, 0, 1)).transpose(2, 0, 1)
        self.rows += count
        self._solve()

    def _solve(self) -> None:
        for i, (lags, ridge) in enumerate(zip((SHORT_LAGS, LAGS), self._ridges, strict=True)):
            seen = self._seen[:, :lags, :lags]
            held = ridge + TINY * np.trace(seen, axis1=1, axis2=2)
            inverse = np.linalg.inv(seen + held[:, None, None] * np.eye(lags))
            self._spread[i, :, :lags, :lags] = inverse
            learned = slice((i + 1) * len(self.steps), (i + 2) * len(self.steps))
            self._said[:, :lags, learned] = inverse @ self._met[:, :, :lags].transpose(1, 2, 0)

    def _by_each(self, steps: Array) -> Array:
        """What line, short and long memory say, [3, ..., nodes, 6]."""
        nodes = len(self.steps)
        rows = steps.reshape(-1, 6, LAGS).swapaxes(0, 1)
        out = (rows @ self._said).reshape(6, -1, 3, nodes).transpose(2, 1, 3, 0)
        leverage = ((rows @ self._spread) * rows).sum(axis=-1).swapaxes(1, 2)[:, :, None, :]
        out[1:] /= 1.0 + np.maximum(0.0, leverage - UNLIKE)
        out[1:] += out[0]
        return np.asarray(out.reshape(3, *steps.shape[:-2], nodes, 6))

    def _blend(self, by_each: Array) -> Array:
        shares = np.repeat(self.shares, 3, axis=2)
        if by_each.ndim > shares.ndim:
            shares = shares[:, None]
        return np.asarray((shares * by_each).sum(axis=0))

    def _weigh(self, by_each: Array, met: Array) -> None:
        """Give each its share for what it would have said about rows it has not learned."""
        groups = (*by_each.shape[:-1], 2, 3)
        wrong = _mean_square(by_each - met, groups)
        whole = _mean_square(self._blend(by_each) - met, groups[1:])
        count = len(met)
        ago = np.arange(count - 1, -1, -1)
        trust, scale = np.exp(-self.step_s / TRUST_S), np.exp(-self.step_s / SCALE_S)
        scales = scale**ago
        self._wrong = trust**count * self._wrong + np.einsum("n,mnqk->mqk", trust**ago, wrong)
        faded = scale**count
        self._whole = faded * self._whole + np.einsum("n,nqk->qk", scales, whole)
        self._whole_count = float(faded * self._whole_count + scales.sum())
        self._prior *= faded
        self._prior_count *= faded
        counts = (self._whole + self._prior) / (self._whole_count + self._prior_count)
        likely = np.exp(-(self._wrong - self._wrong.min(axis=0)) / (2.0 * TEMPERATURE * counts))
        self.shares = likely / likely.sum(axis=0)


def _mean_square(off: Array, groups: tuple[int, ...]) -> Array:
    """Mean of the squares over the last of `groups`, which is three long: numpy's own takes three times as long."""
    off *= off
    off = off.reshape(groups)
    return np.asarray((off[..., 0] + off[..., 1] + off[..., 2]) / 3.0)
