"""What one view sees of a scene's draw list: culled, sorted, and equal shapes drawn together as instances.

All of it is array arithmetic over the static draw list; no Python runs a draw. Nothing is kept from view to view.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from renderer.compile import Draws

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Run:
    """What a view sees of one batch: `count` commands from `first` on."""

    batch: int
    first: int
    count: int
    triangles: int
    draws: int


@dataclass(frozen=True, slots=True)
class Visible:
    """What a view draws, in drawing order."""

    commands: NDArray[np.uint32]
    """[commands, 5]  OpenGL's indirect commands; instances count on from their base instance in `objects`."""
    objects: NDArray[np.intp]
    """[draws]  the object of each instance."""
    runs: list[Run]


NOTHING = Visible(np.zeros((0, 5), np.uint32), np.zeros(0, np.intp), [])


class DrawList:
    """A scene's draws, with what sorting them needs.

    Attributes
    ----------
    shapes : ndarray, [draws]  equal numbers are equal vertices in one batch: they may be one instanced command.
    """

    def __init__(self, draws: Draws, alike: NDArray[np.intp] | None = None) -> None:
        """alike : [batches]  the first batch that is drawn just as each is: objects of one asset share their draws."""
        self._draws = draws
        self._batch_of = draws.batch_of if alike is None else alike[draws.batch_of]
        self.shapes: NDArray[np.intp] = np.zeros(0, np.intp)
        if len(draws.commands):
            key = np.column_stack([self._batch_of, draws.commands[:, [0, 2, 3]]])
            _, inverse = np.unique(key, axis=0, return_inverse=True)
            self.shapes = inverse.reshape(-1).astype(np.intp)
        self._repeats = self.shapes.size > 0 and int(self.shapes.max()) + 1 < self.shapes.size

    def seen(self, which: NDArray[np.intp], distances_m: F64, radii_m: F64) -> Visible:
        """The draws `which`, [n], whose spheres lie `distances_m` from the eye.

        Nearest far side first: what lies wholly in front hides more than a ground that reaches past everything.
        Blended batches come last, the farthest first. Batches stay together, and so do equal shapes.
        """
        if not which.size:
            return NOTHING
        draws = self._draws
        blend, batch = draws.blend[which], self._batch_of[which]
        key = np.where(blend, -distances_m, distances_m + radii_m)
        nearest = _nearest(key, batch, len(draws.batches))
        if self._repeats:
            shape = self.shapes[which]
            together = _nearest(key, shape, self.shapes.size)
            order = np.lexsort((key, shape, together[shape], batch, nearest[batch], blend))
        else:
            order = np.lexsort((key, batch, nearest[batch], blend))
        chosen = which[order]
        shape, batch = self.shapes[chosen], batch[order]
        starts = np.flatnonzero(np.diff(shape, prepend=-1))
        instances = np.diff(starts, append=shape.size)
        commands = draws.commands[chosen[starts]]
        commands[:, 1] = instances
        commands[:, 4] = starts
        batch = batch[starts]
        firsts = np.flatnonzero(np.diff(batch, prepend=-1))
        counts = np.diff(firsts, append=batch.size)
        triangles = np.add.reduceat(commands[:, 0].astype(np.int64) * instances, firsts) // 3
        drawn = np.add.reduceat(instances, firsts)
        columns = (batch[firsts], firsts, counts, triangles, drawn)
        runs = [Run(*entry) for entry in zip(*(column.tolist() for column in columns), strict=True)]
        return Visible(commands, draws.objects[chosen], runs)


def _nearest(key: F64, group: NDArray[np.intp], groups: int) -> F64:
    """[groups]  the least key of each."""
    out = np.full(groups, np.inf)
    np.minimum.at(out, group, key)
    return out
