"""The grades of a plan's looks, layer by layer, as the wall pass takes them.

A layer's grade is what all looks that name it come to together: an inner frustum has that of `inner`, its camera's and
its wall's, all else that of `outer` and its wall's. A layer that none names has none, and costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from renderer.canvas_mesh import Part
from renderer.colour.grade import GradeNumbers, grade_numbers
from renderer.passes.inner import InnerPicture
from stage.grade import NEUTRAL, Grade, blended, stacked
from stage.plan import PlanLook


def layer_grade(looks: Sequence[PlanLook], *layers: str) -> Grade:
    """What the looks of a plan that name any of `layers` come to."""
    return stacked(
        blended(NEUTRAL, look.grade, look.weight)
        for look in looks
        if look.grade is not None
        for target in look.targets
        if target in layers
    )


class LayerGrades:
    """All of a plan's grades. `key` is equal where they are; `walls` are those that have one of their own."""

    def __init__(self, looks: Sequence[PlanLook] = ()) -> None:
        self._looks = [look for look in looks if look.grade is not None and look.weight > 0.0]
        self.key = tuple((tuple(look.targets), look.grade, look.weight) for look in self._looks)
        named = {target for look in self._looks for target in look.targets}
        self.walls = tuple(sorted(name.removeprefix("walls/") for name in named if name.startswith("walls/")))
        self._known: dict[tuple[str | None, int], GradeNumbers] = {}
        self._groups: dict[tuple[str | None, tuple[str, ...], int], GradeNumbers] = {}

    def wall_of_items(self, part: Part) -> NDArray[np.int64]:
        """Of each item the place of its wall among `walls`, from 1 on, or 0, [k]; one 0 where no wall has a grade."""
        if not self.walls:
            return np.zeros(1, dtype=np.int64)
        place = [self.walls.index(wall) + 1 if wall in self.walls else 0 for wall in part.walls]
        return np.asarray(np.array(place, dtype=np.int64)[part.wall])

    def of(self, camera: str | None, wall: int) -> GradeNumbers:
        """The numbers of a layer: a camera's inner frustum or (None) the outer, on the wall of a place (0: no own)."""
        found = self._known.get((camera, wall))
        if found is None:
            layers = ["outer"] if camera is None else ["inner", f"cameras/{camera}"]
            if wall:
                layers.append(f"walls/{self.walls[wall - 1]}")
            found = self._known[camera, wall] = grade_numbers(layer_grade(self._looks, *layers))
        return found

    def group(self, base: InnerPicture | None, above: Sequence[InnerPicture], wall: int) -> GradeNumbers:
        """The numbers of a base picture (None: the outer) and those above it, one after the other, [layers * VECTORS,
        4]; their level is the highest of any, 0 where none is graded."""
        if not self._looks:
            return _NONE
        key = (None if base is None else base.camera.id, tuple(picture.camera.id for picture in above), wall)
        found = self._groups.get(key)
        if found is None:
            layers = [self.of(key[0], wall), *(self.of(camera, wall) for camera in key[1])]
            found = self._groups[key] = GradeNumbers(
                max(layer.level for layer in layers), np.concatenate([layer.vectors for layer in layers])
            )
        return found


_NONE: Final = GradeNumbers(0, np.zeros((0, 4), dtype=np.float32))
UNGRADED: Final = LayerGrades()
"""Of a plan without looks."""
