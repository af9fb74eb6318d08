"""Which live state of a scene a plan means: its version as a number, resolved the same way by every process.

The desk writes `scenes-<version>.msgpack` whenever the live state of a scene changes (edits, the compiled state that
is shown), before anybody hears of the version. Whoever draws reads that one small file when a plan first names the
version: a node that was there all the time and one that joined a moment ago do the same, and show the same.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Collection
from typing import Final, Protocol

import msgspec

from controller.rundir import RunDir, replace_file
from controller.show import SceneState, Show

KEEP: Final = 256
"""States of scenes kept in memory, and files kept of versions that no scene stands at any more."""
_PREFIX: Final = "scenes-"


def write_states(run: RunDir, show: Show) -> None:
    """Put the live state of every scene of a show where every process looks for it. Raises OSError."""
    by_version: dict[int, dict[str, SceneState]] = {}
    for name, state in show.scene_states.items():
        by_version.setdefault(state.version, {})[name] = state
    for version, states in by_version.items():
        path = run.scene_states(version)
        if not path.exists():
            replace_file(path, msgspec.msgpack.encode(states))


def drop_states(run: RunDir, *, keep: Collection[int], keep_from: int) -> None:
    """Delete the files of versions before `keep_from` that no scene stands at."""
    for path in run.path.glob(f"{_PREFIX}*.msgpack"):
        with contextlib.suppress(ValueError, FileNotFoundError):
            version = int(path.stem.removeprefix(_PREFIX))
            if version < keep_from and version not in keep:
                path.unlink()


def numbered(show: Show, before: Show) -> Show:
    """The show with a new version for every scene of which something else is drawn than before, and for its grades:
    its own revision."""
    if show.grades != before.grades:
        show = msgspec.structs.replace(show, grades_version=show.version)
    states = {
        name: state
        if (known := before.scene_states.get(name)) is not None
        and (known.key, known.edits) == (state.key, state.edits)
        and known.version == state.version
        else msgspec.structs.replace(state, version=show.version)
        for name, state in show.scene_states.items()
    }
    return msgspec.structs.replace(show, scene_states=states) if states else show


class States(Protocol):
    """Whoever knows the live states of scenes."""

    def state(self, scene: str, version: int, /) -> SceneState:
        """The live state of a scene at a version."""


class SceneBook:
    """Live states by scene and version, each read once."""

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._known: OrderedDict[tuple[str, int], SceneState] = OrderedDict()

    def learn(self, show: Show) -> None:
        """What a snapshot says needs no file."""
        for name, state in show.scene_states.items():
            self._keep(name, state.version, state)

    def state(self, scene: str, version: int) -> SceneState:
        """The live state of a scene at a version; as its files have it when nothing was ever changed."""
        found = self._known.get((scene, version))
        if found is None:
            states: dict[str, SceneState] = {}
            with contextlib.suppress(OSError, msgspec.MsgspecError):
                data = self._run.scene_states(version).read_bytes()
                states = msgspec.msgpack.decode(data, type=dict[str, SceneState])
            found = states.get(scene, SceneState(version))
            self._keep(scene, version, found)
        return found

    def _keep(self, scene: str, version: int, state: SceneState) -> None:
        self._known[scene, version] = state
        self._known.move_to_end((scene, version))
        while len(self._known) > KEEP:
            self._known.popitem(last=False)
