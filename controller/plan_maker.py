"""The plan of a frame, from what holds at its latch: the show, the order in force, each camera at its photo time."""

from __future__ import annotations

import msgspec

from controller.action import ActionWord
from controller.planner import TrackedPose
from controller.sources import plan_subjects, pose_of
from controller.versions import Versions
from runtime.timekeeper import Timekeeper
from stage.plan import FramePlan
from tracking.inputs import TrackingInputs


class PlanMaker:
    """Makes plans. Everything it reads is the conductor's, and is read anew for each."""

    def __init__(
        self, versions: Versions, inputs: TrackingInputs, keeper: Timekeeper, action: ActionWord, *, epoch: int
    ) -> None:
        self._versions, self._inputs, self._keeper, self._action, self._epoch = versions, inputs, keeper, action, epoch

    def plan(self, frame: int, latched_ns: int) -> FramePlan:
        """The plan of a frame, of what is known at `latched_ns`."""
        version = self._versions.now
        t_present_ns = self._keeper.frames.deadline_ns(frame)
        order = self._action.read()
        show = version.show
        if order.action != (show.action or "none"):
            show = msgspec.structs.replace(show, action=None if order.action == "none" else order.action)
        poses: dict[str, TrackedPose] = {}
        for camera in version.stage.cameras.values():
            settings = show.cameras.get(camera.id)
            if settings is None:
                continue
            photo_ns = version.planner.photo_time_ns(camera.id, show, t_present_ns)
            pose = pose_of(self._inputs, camera, photo_ns, latched_ns)
            if pose is not None:
                poses[camera.id] = pose
        return version.planner.plan(
            show,
            poses,
            frame=frame,
            t_present_ns=t_present_ns,
            epoch=self._epoch,
            timecode=self._keeper.timecode(frame),
            tai_ns=self._keeper.tai_ns(t_present_ns),
            t_latched_ns=latched_ns,
            subjects=plan_subjects(self._inputs, version.planner.subject_time_ns(show, t_present_ns), latched_ns),
        )

    def repeated(self, plan: FramePlan, frame: int, latched_ns: int) -> FramePlan:
        """The plan before, for this frame: all else unchanged."""
        t_present_ns = self._keeper.frames.deadline_ns(frame)
        rate = self._versions.now.stage.rate
        scene_ns = rate.deadline_ns(0, frame) - rate.deadline_ns(0, plan.frame)
        return msgspec.structs.replace(
            plan,
            frame=frame,
            epoch=self._epoch,
            scene_time_ns=plan.scene_time_ns + scene_ns,
            t_present_ns=t_present_ns,
            timecode=self._keeper.timecode(frame),
            tai_ns=self._keeper.tai_ns(t_present_ns),
            t_latched_ns=latched_ns,
        )
