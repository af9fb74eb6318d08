"""What the darkroom is told to draw a still of: the walls as they would stand with a look on that is not on the air.

The service works out what the look comes to, as it does when the look is put on, and leaves it in the run directory;
the letter names the file (`RunDir.look_order`). No GL here: the service writes it, the darkroom reads it.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from controller.commands import Command, apply
from controller.look_addresses import expanded
from controller.looks import ACTIVE
from controller.rundir import replace_file
from controller.show import SceneState, Show
from controller.surroundings import Surroundings
from stage.grade import Grade


class LookOrder(Struct, frozen=True):
    """Everything that a look may change of the picture, as it would stand with it."""

    of: str
    """What is shown: `cameras/<id>/photo` or `canvases/<id>`."""
    look: str
    """The look that would be on; empty: as it stands."""
    version: int
    """Revision of the show it was worked out from."""
    grades: dict[str, Grade]
    """By layer; one that is not in it is neutral."""
    scene_states: dict[str, SceneState]


def order_of(show: Show, look: str, around: Surroundings, *, of: str) -> LookOrder:
    """The order for a still. look : empty: of the show as it stands, where its values are going to.

    Raises
    ------
    UnknownAddress : there is no such look. BadValue : it does not fit the show any more.
    """
    if look:
        show, _ = apply(show, Command(expanded({ACTIVE: look}, show)), around)
    return LookOrder(of, look, show.version, show.grades, show.scene_states)


def write_order(path: Path, order: LookOrder) -> None:
    """Put it where the darkroom finds it. Raises OSError."""
    replace_file(path, msgspec.msgpack.encode(order))


def read_order(path: Path) -> LookOrder:
    """The order of a file. Raises OSError, msgspec.MsgspecError."""
    return msgspec.msgpack.decode(path.read_bytes(), type=LookOrder)
