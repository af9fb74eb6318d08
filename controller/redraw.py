"""A recording drawn again: every plan that was published, as it was published, by the real renderer.

Same plan, same pixels: what a node drew of a plan is drawn here to the very code, with the live edits, the compiled
states and the configuration that held, whatever the poses and the load of that day were. Nothing is planned anew; that
is `controller.replay`'s other way.
"""

from __future__ import annotations

import bisect
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from controller.drawing import Painter
from controller.library.cache import SceneCache
from controller.replay import Replayed, ReplayError, Seen, recorded_versions
from controller.rundir import RunDir
from controller.scene_book import write_states
from controller.show import Snapshot
from controller.show_log import PLANS
from runtime.clock import VirtualClock
from runtime.ring import ROOT
from stage.errors import Problem
from stage.plan import FramePlan, decode_plan, plan_hash
from tracking.capture import Capture


def redraw(
    capture: Capture, *, painter: Callable[[RunDir, VirtualClock], Painter] | None = None
) -> tuple[Replayed, list[str]]:
    """Draw a recording's plans: hashes of plans and canvases by frame, and what could not be as it was.

    painter : another than the real one (tests).

    Raises
    ------
    ReplayError : the recording holds no plans, or none of the versions they carry.
    """
    plans = _plans(capture)
    versions = recorded_versions(capture)
    if not plans or not versions:
        detail = "the recording holds no plans of a show"
        raise ReplayError(Problem(ReplayError.code, "file", detail, None, "record again; or replay --virtual recorded"))
    folder = Path(tempfile.mkdtemp(prefix="ovr-", dir=ROOT if ROOT.is_dir() else None))
    clock = VirtualClock(max(1, plans[0][0].t_present_ns))
    out = Replayed(datagrams=len(capture.datagrams))
    said: list[str] = []
    try:
        run = RunDir(folder)
        for _, snapshot in versions:
            write_states(run, snapshot.show)
        said += _missing(versions)
        drawing = Seen(_painter(run, clock, painter), run, out)
        by_version = {snapshot.show.version: snapshot for _, snapshot in versions}
        numbers = sorted(by_version)
        skipped = 0
        try:
            for plan, number in plans:
                at = bisect.bisect_right(numbers, plan.show_version) - 1
                if at < 0 or by_version[numbers[at]].show.config_version != plan.config_version:
                    skipped += 1
                    continue
                if not drawing.holds(plan.config_version):
                    for _ in drawing.prepare(by_version[numbers[at]]):
                        pass
                clock.advance_to(max(clock.now_ns(), plan.t_present_ns))
                plain = msgspec.structs.replace(plan, actions=[])
                drawing.draw(plain)
                out.plans[plan.frame] = number
                drawing.present(plan, number, plan.actions[0] if plan.actions else "none")
        finally:
            drawing.close()
        if skipped:
            said.append(f"{skipped} frames are not drawn: the version of the show they carry was not recorded")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    out.frames = len(out.plans)
    return out, said


def _plans(capture: Capture) -> list[tuple[FramePlan, int]]:
    """Every plan with its hash, by frame."""
    found = [(decode_plan(data), plan_hash(data)) for _, data in capture.notes.get(PLANS, [])]
    return sorted(found, key=lambda entry: entry[0].frame)


def _painter(run: RunDir, clock: VirtualClock, painter: Callable[[RunDir, VirtualClock], Painter] | None) -> Any:
    if painter is not None:
        return painter(run, clock)
    from controller.painter import GLPainter

    return GLPainter(run=run, clock=clock)


def _missing(versions: list[tuple[int, Snapshot]]) -> list[str]:
    """Compiled states that are not kept any more: those scenes are read from their files as they are now."""
    gone = {
        f"{name} {state.key}"
        for _, snapshot in versions
        for name, state in snapshot.show.scene_states.items()
        if state.key and not SceneCache(Path(snapshot.scene_cache)).has(state.key)
    }
    return [f"compiled state no longer kept, drawn from its files as they are now: {name}" for name in sorted(gone)]
