"""Builds the resources of looks: what is stored, what holds, and how two differ."""

from __future__ import annotations

from functools import cache
from typing import Any, get_args, get_type_hints

import msgspec

from controller.api.views_looks import (
    GradeFieldView,
    GradeView,
    LookDiffView,
    LookNowView,
    LooksView,
    LookValueView,
    LookView,
)
from controller.desk import Desk
from controller.look_addresses import ABOUT
from controller.looks import ACTIVE, Look, find_look, layers_of, stored, values_of
from controller.scene_addresses import state_of
from controller.show import Show
from stage.grade import FIELDS, NEUTRAL, Grade


def now(desk: Desk) -> LookNowView:
    """How the walls are graded."""
    show, around, moment = desk.show, desk.around, desk.moment
    layers = {name: grade(show.grades.get(name, NEUTRAL)) for name in layers_of(around.cameras, around.walls)}
    moving = [
        transition.address
        for transition in show.transitions
        if transition.address.startswith(("look/", "scenes/"))
        and moment is not None
        and not transition.done(moment.t_present_ns, moment.rate)
    ]
    look = show.looks.get(show.look)
    modified = look is not None and bool(_differing(_says_now(show, look), values_of(look)))
    return LookNowView(desk.rev_of("look"), show.look, modified, layers, moving)


def looks(desk: Desk) -> LooksView:
    """All that are stored."""
    found = {name: look(desk, name) for name in sorted(desk.show.looks)}
    return LooksView(max((view.rev for view in found.values()), default=desk.rev_of("looks")), desk.show.look, found)


def look(desk: Desk, name: str) -> LookView:
    """One that is stored. Raises UnknownAddress."""
    held = find_look(desk.show.looks, name)
    grades = {layer: grade(of) for layer, of in held.grades.items()}
    return LookView(
        name, desk.rev_of(f"looks/{name}"), held.label, held.notes, desk.show.look == name, grades, held.scenes
    )


def grade(of: Grade) -> GradeView:
    """All of a grade's values."""
    return GradeView(**{name: getattr(of, name) for name in FIELDS})


def standing(desk: Desk, *, label: str, notes: str, layers: list[str] | None, scenes: list[str] | None) -> Look:
    """What stands now as a look: of all layers, and the light of the scenes on air, unless told otherwise."""
    show, around = desk.show, desk.around
    of_layers = layers_of(around.cameras, around.walls) if layers is None else layers
    of_scenes = [scene.id for scene in show.scenes] if scenes is None else scenes
    edits = {scene: state_of(show, scene).edits for scene in of_scenes}
    return stored(of_layers, show.grades, edits, label=label, notes=notes)


def diff(desk: Desk, name: str, other: str) -> LookDiffView:
    """What a look says otherwise than another, or (without) than it stands now. Raises UnknownAddress."""
    show = desk.show
    after = find_look(show.looks, name)
    before = values_of(find_look(show.looks, other)) if other else _says_now(show, after)
    changes = _differing(before, values_of(after))
    return LookDiffView(name, other, {path: LookValueView(*pair) for path, pair in changes.items()})


@cache
def fields() -> list[GradeFieldView]:
    """What the values of a grade may be."""
    hints = get_type_hints(Grade, include_extras=True)
    found = []
    for name in FIELDS:
        neutral = getattr(NEUTRAL, name)
        size = len(neutral) if isinstance(neutral, tuple) else 1
        kind = get_args(hints[name])[0] if size > 1 else hints[name]
        limits = next(mark for mark in get_args(kind) if isinstance(mark, msgspec.Meta))
        assert limits.ge is not None
        assert limits.le is not None
        one = neutral[0] if isinstance(neutral, tuple) else neutral
        found.append(GradeFieldView(name, ABOUT[name], float(limits.ge), float(limits.le), float(one), size))
    return found


def _says_now(show: Show, look: Look) -> dict[str, Any]:
    """What the show says of all that a look names."""
    held = stored(
        look.grades, show.grades, {scene: state_of(show, scene).edits for scene in look.scenes}, label="", notes=""
    )
    return values_of(held)


def _differing(before: dict[str, Any], after: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    paths = [*after, *(path for path in before if path not in after)]
    pairs = {path: (before.get(path), after.get(path)) for path in paths if path != ACTIVE}
    return {path: pair for path, pair in pairs.items() if pair[0] != pair[1]}
