"""Versions of the show in the conductor: got ready off the frame path, switched to whole at a named frame.

`Prepare` makes a version ready (stage, planner, tracking sockets) and changes nothing; `Commit` names the frame it
holds from; `Abort` gives it back. See `controller.messages` for the whole conversation.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from hashlib import blake2b

import msgspec

from controller.config import OpenVolumeConfig
from controller.costs import drawn_of
from controller.messages import Abort, Commit, Committed, Failed, Prepare, Prepared
from controller.planner import Planner
from controller.post import Post
from controller.rundir import RunDir
from controller.show import Show, decode_snapshot
from controller.snapshots import running_config
from controller.sources import inner_limits, mounts_of, pictures_of, steered
from runtime.clock import NS_PER_MS, Clock
from stage.compiled import CompiledStage, decode_stage, encode_stage
from stage.errors import OpenVolumeError, Problem
from tracking.inputs import Prepared as PreparedInputs
from tracking.inputs import TrackingInputs
from tracking.lens_table import LensGrid, decode_grid


@dataclass(frozen=True, slots=True)
class Version:
    """One version of the show, ready to be switched to."""

    show: Show
    stage: CompiledStage
    config: OpenVolumeConfig
    planner: Planner
    lens_tables: dict[str, LensGrid] = field(default_factory=dict)
    inputs: PreparedInputs | None = None
    """Tracking sockets opened for it; None: they stay as they are."""
    cost_class: bytes = b""
    """The same for configurations whose pictures take the same time to draw."""

    @property
    def picture(self) -> Hashable:
        """What tells apart pictures that take different times to draw; sliders do not."""
        return self.picture_at(None)

    def picture_at(self, t_present_ns: int | None) -> Hashable:
        """The same at a frame: while scenes are switched it shows others than in the end (None)."""
        return self.cost_class or self.show.config_version, drawn_of(self.show, t_present_ns, self.stage.rate)


def load_version(run: RunDir, number: int) -> Version:
    """A version as its snapshot tells it.

    Raises
    ------
    OpenVolumeError, OSError, msgspec.MsgspecError : no such snapshot, or not one of ours.
    """
    snapshot = decode_snapshot(run.snapshot(number).read_bytes())
    config = running_config(snapshot)
    stage = decode_stage(snapshot.stage)
    tables = {name: decode_grid(data) for name, data in snapshot.lens_tables.items()}
    planner = Planner(stage, inner_limits(config.render))
    return Version(snapshot.show, stage, config, planner, tables, cost_class=cost_class(stage, config))


def cost_class(stage: CompiledStage, config: OpenVolumeConfig) -> bytes:
    """What of a configuration decides how long its pictures take to draw: walls, canvases, scenes, the renderer's
    settings, and of each camera what decides how large its inner picture is. Tracking, time, control and outputs'
    delays are none of it: when only they change, the lead stays."""
    cameras = [
        (
            name, camera.walls, camera.lens, camera.overscan_deg, camera.overscan_min_deg, camera.overscan_margin_deg,
            camera.overscan_max_deg, camera.soft_edge_deg, camera.focus_blur_deg,
        )
        for name, camera in stage.cameras.items()
    ]  # fmt: skip
    walls = replace(stage, name="", processors={}, cameras={})
    scenes = {name: scene.model_dump_json() for name, scene in config.scenes.items()}
    told = msgspec.msgpack.encode([encode_stage(walls), cameras, config.render.model_dump_json(), scenes])
    return blake2b(told, digest_size=16).digest()


class Versions:
    """The version that holds, those prepared, and the commits that wait for their frame.

    Attributes
    ----------
    now : Version  the one plans are made from.
    """

    def __init__(self, first: Version, *, run: RunDir, post: Post, clock: Clock, inputs: TrackingInputs) -> None:
        self.now = first
        self._run, self._post, self._clock, self._inputs = run, post, clock, inputs
        self._pending: dict[int, Version] = {}
        self._commits: list[Commit] = []
        self._announced: set[int] = set()

    @property
    def preparing(self) -> bool:
        """Whether a version is prepared and counts on the tracking sockets as they are."""
        return bool(self._pending)

    def take(self, message: Prepare | Commit | Abort) -> None:
        """One letter about versions."""
        if isinstance(message, Prepare):
            self._prepare(message)
        elif isinstance(message, Commit):
            self._commits.append(message)
        else:
            version = self._pending.pop(message.version, None)
            if version is not None and version.inputs is not None:
                self._inputs.give_up(version.inputs)

    def _prepare(self, message: Prepare) -> None:
        started_ns = self._clock.now_ns()
        answer: Prepared | Failed
        try:
            if message.version not in self._pending:
                self._pending[message.version] = self._ready(message)
            took_ms = (self._clock.now_ns() - started_ns) / NS_PER_MS
            answer = Prepared(message.version, "conductor", took_ms)
        except OpenVolumeError as error:
            answer = Failed(message.version, "conductor", list(error.problems))
        except (OSError, msgspec.MsgspecError) as error:
            path = str(self._run.snapshot(message.version))
            answer = Failed(message.version, "conductor", [Problem("conductor.snapshot", path, str(error))])
        self._post.send(self._run.path / message.reply_to, answer)

    def _ready(self, message: Prepare) -> Version:
        current = self.now
        snapshot = decode_snapshot(self._run.snapshot(message.version).read_bytes())
        if snapshot.show.config_version == current.show.config_version:
            # Only the show changes: stage and planner (with its overscan memory) stay.
            version = replace(current, show=snapshot.show, inputs=None)
        else:
            version = load_version(self._run, message.version)
        tracking = steered(version.config.tracking, version.show)
        # A nudge back at zero, or a delay as configured, is no change.
        same = tracking == self._inputs.config and version.stage.rate == current.stage.rate
        if same and version.lens_tables == current.lens_tables:
            return version
        inputs = self._inputs.prepare(
            tracking,
            mounts=mounts_of(version.stage),
            lens_tables=version.lens_tables,
            pictures_mm=pictures_of(version.stage),
            rate=version.stage.rate,
        )
        return replace(version, inputs=inputs)

    def coming(self, frame: int) -> Version | None:
        """What will be switched to at `frame`, None when nothing is: asked while there is time to be ready for it."""
        due = [commit for commit in self._commits if commit.frame <= frame and commit.version in self._pending]
        self._announced = {commit.version for commit in due}
        return self._pending[due[-1].version] if due else None

    def apply(self, frame: int, switched: Callable[[Version, Version], None]) -> None:
        """Switch to what was committed for `frame`, in the order it was asked; `switched(before, now)` after each.

        What was asked for too late to be among what was `coming` and draws another picture waits for the next frame.
        None holds before one that was asked for earlier: each is the whole show.
        """
        waiting: list[Commit] = []
        for commit in self._commits:
            if waiting or commit.frame > frame or self._unready(commit):
                waiting.append(commit)
                continue
            version = self._pending.pop(commit.version, None)
            if version is None:
                problem = Problem("conductor.not_prepared", "show", "this version was never prepared", commit.version)
                self._post.send(self._run.path / commit.reply_to, Failed(commit.version, "conductor", [problem]))
                continue
            before, self.now = self.now, version
            if version.inputs is not None:
                self._inputs.commit(version.inputs)
            switched(before, version)
            self._post.send(self._run.path / commit.reply_to, Committed(commit.version, frame))
        self._commits = waiting

    def _unready(self, commit: Commit) -> bool:
        prepared = self._pending.get(commit.version)
        return prepared is not None and commit.version not in self._announced and prepared.picture != self.now.picture
