"""A virtual show that was played, with everything its rows ask: slots, photos, states and speeds by time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from controller.config import LoadedConfig
from controller.timing.judging import p
from controller.timing.recording import QUALITIES, Bool, Photos, Recording, Slots, State
from controller.timing.slip import Measured, WallPoints, measure
from controller.timing.virtual import Plot, VirtualShow
from runtime.clock import NS_PER_S
from stage.compiled import CompiledStage
from stage.frames import Array

SETTLED_S = 3.0
"""The first seconds of a show say nothing: the lead adapts, overscan is learned."""


@dataclass(frozen=True, slots=True)
class Played:
    """One show. Times are seconds since it began.

    t_s : ndarray, [n]  when each slot began; photos, measured : of the first tracked camera, one row a slot.
    """

    loaded: LoadedConfig
    stage: CompiledStage
    begin_ns: int
    recording: Recording
    whole: Slots
    """Every slot, also those nobody reported."""
    slots: Slots
    """Those whose picture is known."""
    t_s: Array
    camera: str
    source: str
    photos: Photos
    measured: Measured
    refused: dict[str, int]
    """Refusals of the first source by reason."""
    clock_jumps: int | None
    """Jumps of the tracker's clock that were counted; None where nobody tells."""

    def between(self, begin_s: float, end_s: float) -> Bool:
        """Slots that begin in a span."""
        return np.asarray((self.t_s >= begin_s) & (self.t_s < end_s))

    def whole_between(self, begin_s: float, end_s: float) -> Bool:
        """Rows of `whole` that begin in a span."""
        t_s = (self.whole.t_present_ns - self.begin_ns) / NS_PER_S
        return np.asarray((t_s >= begin_s) & (t_s < end_s))

    @property
    def protocol(self) -> str:
        """The first source's."""
        return self.loaded.config.tracking.sources[self.source].protocol

    @property
    def sources(self) -> set[str]:
        """Every source that the camera's plans name."""
        return {self.recording.sources[i] for i in self.recording.cameras[self.camera].source}

    def age_at_latch_ms(self, from_s: float) -> float | None:
        """At the first latch after a time: how long ago the newest datagram had come."""
        latched = np.array(self.recording.t_latched_ns, dtype=np.int64)
        rows = np.flatnonzero((latched - self.begin_ns) / NS_PER_S >= from_s)
        if not len(rows):
            return None
        received = self.recording.cameras[self.camera].t_received_ns[int(rows[0])]
        return float(latched[rows[0]] - received) / 1e6

    def error_mm(self, begin_s: float, end_s: float, share: float = 95) -> float:
        """Pose error in a span."""
        return p(self.measured.error_mm[self.between(begin_s, end_s)], share) or 0.0

    def error_deg(self, begin_s: float, end_s: float, share: float = 95) -> float:
        """Pose error in a span."""
        return p(self.measured.error_deg[self.between(begin_s, end_s)], share) or 0.0

    def apart_mm(self, other: Played) -> Array:
        """How far the planned pupil stands from where it stood in another show of the same move, [n]; slots the other
        does not have count as 0."""
        out = np.zeros(len(self.slots))
        _, mine, theirs = np.intersect1d(self.slots.frame, other.slots.frame, return_indices=True)
        step = self.photos.predicted_pupil_m[mine] - other.photos.predicted_pupil_m[theirs]
        out[mine] = np.linalg.norm(step, axis=1) * 1000.0
        return out

    def qualities(self, begin_s: float, end_s: float) -> list[str]:
        """Every quality the plans of a span told, in order, each once in a row."""
        found = [QUALITIES[i] for i in self.photos.quality[self.between(begin_s, end_s)]]
        return [q for i, q in enumerate(found) if i == 0 or q != found[i - 1]]

    def fastest(self, begin_s: float, end_s: float) -> tuple[float, float]:
        """Fastest the planned camera moved, m/s, and turned, degrees/s."""
        rows = np.flatnonzero(self.between(begin_s, end_s))
        if len(rows) < 2:
            return 0.0, 0.0
        poses, t_s = self.photos.predicted[rows], self.photos.t_photo_ns[rows] / NS_PER_S
        step_s = np.maximum(np.diff(t_s), 1e-3)
        moved = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1) / step_s
        between = np.einsum("nji,njk->nik", poses[:-1, :3, :3], poses[1:, :3, :3])
        cosine = np.clip((np.trace(between, axis1=1, axis2=2) - 1.0) / 2.0, -1.0, 1.0)
        return float(moved.max()), float((np.degrees(np.arccos(cosine)) / step_s).max())

    def state_first(self, wanted: Callable[[State], bool], from_s: float) -> float | None:
        """When the status first told something at or after a time."""
        for state in self.recording.states:
            t_s = (state.t_ns - self.begin_ns) / NS_PER_S
            if t_s >= from_s and wanted(state):
                return t_s
        return None

    def source_state(self, wanted: str, from_s: float) -> float | None:
        """When the first source's state first was told as `wanted`."""
        return self.state_first(lambda state: state.sources.get(self.source) == wanted, from_s)

    def last_sample_s(self, before_s: float) -> float:
        """When the newest sample that a plan before a time was made from was received."""
        columns = self.recording.cameras[self.camera]
        received = (np.array(columns.t_received_ns, dtype=np.int64) - self.begin_ns) / NS_PER_S
        known = received[(received > 0.0) & (received <= before_s)]
        return float(known.max()) if len(known) else 0.0


def play(plot: Plot, seconds: float, stage: Callable[[VirtualShow], None] | None = None) -> Played:
    """Play a show for so long; `stage` may arrange things before time runs."""
    with VirtualShow(plot) as show:
        if stage is not None:
            stage(show)
        show.run_to(seconds)
        return played(show)


def played(show: VirtualShow) -> Played:
    """What a show was so far."""
    whole = show.recording.slots()
    slots = whole.only(whole.plan >= 0)
    camera = next(iter(show.cameras))
    source = next(name for name, tracker in show.trackers.items() if tracker.true.camera.id == camera)
    photos = show.recording.photos(camera, slots, show.cameras[camera].poses)
    walls = WallPoints(show.stage, show.stage.cameras[camera].walls)
    statistics = show.conductor.inputs.statistics(show.clock.now_ns())[source]
    return Played(
        loaded=show.loaded,
        stage=show.stage,
        begin_ns=show.begin_ns,
        recording=show.recording,
        whole=whole,
        slots=slots,
        t_s=(slots.t_present_ns - show.begin_ns) / NS_PER_S,
        camera=camera,
        source=source,
        photos=photos,
        measured=measure(photos, show.recording.lenses, walls),
        refused={str(reason): count for reason, count in statistics.refused.items()},
        clock_jumps=statistics.clock_jumps,
    )


def plot_with(plot: Plot, faults: Sequence[tuple[float, float, Any]]) -> Plot:
    """The same show with something going wrong."""
    return replace(plot, faults=tuple(faults))
