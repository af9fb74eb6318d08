"""Changes of a virtual show: the same letters as the desk sends, at seeded times, with everything that came of them.

A change writes its version, has every process that must know it prepare it, and commits it at the first frame not
latched yet. Applies and roll-backs of whole configurations, live changes, and changes that are refused on purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import msgspec

from controller.beginning import fresh_show
from controller.config import LoadedConfig, compile_config, load_config_data
from controller.messages import Abort, Commit, Committed, Failed, Prepare, Prepared
from controller.post import Post
from controller.show import Show
from controller.timing.virtual import NODE, VirtualShow
from runtime.clock import NS_PER_MS, NS_PER_S
from stage.compiled import encode_stage

REFUSED_SHARE: Final = 0.1
ROLL_BACK_SHARE: Final = 0.3
PATIENCE_NS: Final = 5 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Wanted:
    """One change: what shall hold, and what it is called. stage : None keeps the configuration."""

    kind: str
    show: Show
    loaded: LoadedConfig
    stage: bytes
    config: int
    """Number of the configuration; a new one when it differs from the running one."""
    refused: bool = False
    """The node is told to refuse it."""
    scenes_changed: bool = False


@dataclass(slots=True)
class Done:
    """What came of one change. load : the stretch it was made in."""

    load: str
    kind: str
    version: int
    asked_ns: int
    frame: int | None = None
    """First frame that carries it; None: it never held."""
    answered_ns: int = 0
    refused: bool = False
    meant_to_be_refused: bool = False


@dataclass(frozen=True, slots=True)
class Stretch:
    """When changes are made, and which.

    wanted : the next change, given the running show, or None when there are no more; pause_ns : from one change's end
    to the next one's beginning.
    """

    name: str
    begin_ns: int
    end_ns: int
    wanted: Callable[[Changer], Wanted | None]
    pause_ns: Callable[[], int]


class Changer:
    """Role. Makes one change after the other; a process that does not answer in time fails the change, not the show."""

    def __init__(self, house: VirtualShow, stretches: Sequence[Stretch]) -> None:
        self.house = house
        self._stretches = sorted(stretches, key=lambda stretch: stretch.begin_ns)
        self.show, self.loaded, self.stage = house.first, house.loaded, house.stage_bytes
        self.first_version = house.first.version
        self.done: list[Done] = []
        self.kept: list[Wanted] = [
            Wanted("first", house.first, house.loaded, house.stage_bytes, house.first.config_version)
        ]
        """Everything that ever held: what can be rolled back to."""
        self._next_version = house.first.version + 1
        self._post = Post(house.run.service_socket)
        self._due_ns = 0
        self._now: tuple[Wanted, Done, set[str]] | None = None
        self._committing = False

    @property
    def next_config(self) -> int:
        """A configuration number no version had."""
        return max(wanted.config for wanted in self.kept) + self._next_version

    def start(self) -> None:
        """The first change comes when its stretch begins."""
        self._due_ns = self.house.clock.now_ns()

    def wake_fds(self) -> Sequence[int]:
        """The letter box."""
        return (self._post.fileno(),)

    def step(self, now_ns: int) -> int:
        """Take answers; begin the next change when it is time."""
        for message in self._post.receive():
            self._answer(message, now_ns)
        if self._now is not None and now_ns - self._now[1].asked_ns > PATIENCE_NS:
            self._give_up(now_ns)
        if self._now is None and now_ns >= self._due_ns:
            self._begin(now_ns)
        return now_ns + 50 * NS_PER_MS if self._now is not None else max(self._due_ns, now_ns + NS_PER_MS)

    def stop(self) -> None:
        """Let the letter box go."""
        self._post.close()

    def _begin(self, now_ns: int) -> None:
        while self._stretches and now_ns >= self._stretches[0].end_ns:
            self._stretches.pop(0)
        if not self._stretches or now_ns < self._stretches[0].begin_ns:
            self._due_ns = self._stretches[0].begin_ns if self._stretches else now_ns + 3600 * NS_PER_S
            return
        stretch = self._stretches[0]
        wanted = stretch.wanted(self)
        if wanted is None:
            self._stretches.pop(0)
            return
        version, self._next_version = self._next_version, self._next_version + 1
        show = msgspec.structs.replace(wanted.show, version=version, config_version=wanted.config)
        wanted = Wanted(
            wanted.kind, show, wanted.loaded, wanted.stage, wanted.config, wanted.refused, wanted.scenes_changed
        )
        self.house.write(show, wanted.loaded, wanted.stage)
        needed = {"conductor"}
        if wanted.config != self.show.config_version or wanted.scenes_changed:
            needed.add(NODE)
        if wanted.refused:
            self.house.painter.refuses.add(wanted.config)
        self._now = wanted, Done(stretch.name, wanted.kind, version, now_ns, meant_to_be_refused=wanted.refused), needed
        message = Prepare(version, wanted.config, self.house.run.service_socket.name, wanted.scenes_changed)
        for who in sorted(needed):
            self._post.send(self._box(who), message)

    def _answer(self, message: Any, now_ns: int) -> None:
        if self._now is None or message.version != self._now[1].version:
            return
        wanted, done, missing = self._now
        if isinstance(message, Failed):
            done.refused = True
            self._give_up(now_ns)
        elif isinstance(message, Prepared):
            missing.discard(message.who)
            if not missing and not self._committing:
                self.house.run.set_current_version(done.version)
                self._committing = True
                self._post.send(
                    self.house.run.conductor_socket, Commit(done.version, self.house.run.service_socket.name)
                )
        elif isinstance(message, Committed):
            done.frame, done.answered_ns = message.frame, now_ns
            self.show, self.loaded, self.stage = wanted.show, wanted.loaded, wanted.stage
            self.kept = [*self.kept[-31:], wanted]
            self.house.run.drop_snapshots(keep_from=done.version - 16)
            self._end(now_ns)

    def _give_up(self, now_ns: int) -> None:
        assert self._now is not None
        done = self._now[1]
        done.answered_ns = now_ns
        for who in ("conductor", NODE):
            self._post.send(self._box(who), Abort(done.version))
        self._end(now_ns)

    def _end(self, now_ns: int) -> None:
        assert self._now is not None
        self.done.append(self._now[1])
        self._now, self._committing = None, False
        self._due_ns = now_ns + (self._stretches[0].pause_ns() if self._stretches else 0)

    def _box(self, who: str) -> Any:
        run = self.house.run
        return run.conductor_socket if who == "conductor" else run.node_socket(who)


# --- what is changed ----------------------------------------------------------------------------------------------


def variants(loaded: LoadedConfig, random: Random) -> Iterator[LoadedConfig]:
    """Configurations that differ from one: lenses, overscan, walls, texture sizes, labels."""
    while True:
        data: dict[str, Any] = loaded.config.model_dump(mode="json", exclude_unset=True)
        for _ in range(random.randint(1, 3)):
            _vary(data, random)
        yield load_config_data(data, base_dir=loaded.base_dir)


def _vary(data: dict[str, Any], random: Random) -> None:
    kind = random.randrange(5)
    cameras = list(data.get("cameras", {}).values())
    if kind == 0 and cameras:
        lens = cameras[0].setdefault("lens", {})
        lens["focal_length_mm"] = round(random.uniform(20.0, 85.0), 1)
    elif kind == 1 and cameras:
        cameras[0]["overscan"] = {"mode": "auto", "margin_deg": round(random.uniform(0.1, 2.0), 2)}
    elif kind == 2 and cameras:
        cameras[0]["soft_edge_deg"] = round(random.uniform(0.1, 2.0), 2)
    elif kind == 3:
        data["stage"]["eye_m"] = [0.0, round(random.uniform(-0.5, 0.5), 2), round(random.uniform(1.5, 1.8), 2)]
    else:
        data["label"] = f"variant {random.randrange(1 << 30)}"


def storm(house: VirtualShow, seed: int, *, count: int | None = None, live_share: float = 0.3) -> Callable[..., Any]:
    """Whole configurations, live changes, roll-backs, and some that are refused, at random."""
    random = Random(f"storm:{seed}")
    made = variants(house.loaded, random)
    left = [count]

    def wanted(changer: Changer) -> Wanted | None:
        if left[0] is not None:
            if left[0] == 0:
                return None
            left[0] -= 1
        what = random.random()
        if what < live_share:
            return live(changer, random)
        if what < live_share + ROLL_BACK_SHARE and len(changer.kept) > 1:
            return roll_back(changer, random.choice(changer.kept[:-1]))
        loaded = next(made)
        stage = compile_config(loaded)
        refused = random.random() < REFUSED_SHARE
        show = fresh_show(loaded.config, stage)
        return Wanted("config", show, loaded, encode_stage(stage), changer.next_config, refused)

    return wanted


def live(changer: Changer, random: Random) -> Wanted:
    """A slider that is moved."""
    show = msgspec.structs.replace(changer.show, exposure_ev=round(random.uniform(-2.0, 2.0), 3))
    return Wanted("live", show, changer.loaded, changer.stage, changer.show.config_version)


def roll_back(changer: Changer, to: Wanted) -> Wanted:
    """What held before, as a new version; its configuration is prepared again where another runs now."""
    same = to.config == changer.show.config_version
    config = to.config if same else changer.next_config
    return Wanted("rollback", to.show, to.loaded, to.stage, config)


def reload_scenes(changer: Changer) -> Wanted:
    """The scene of the show, loaded anew."""
    scenes = [msgspec.structs.replace(scene, version=scene.version + 1) for scene in changer.show.scenes]
    show = msgspec.structs.replace(changer.show, scenes=scenes)
    return Wanted("scene", show, changer.loaded, changer.stage, changer.next_config, scenes_changed=True)


def sliders(seed: int) -> Callable[[Changer], Wanted]:
    """Live changes without end."""
    random = Random(f"sliders:{seed}")
    return lambda changer: live(changer, random)
