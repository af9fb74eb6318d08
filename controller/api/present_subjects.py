"""Subjects as the newest plan has them, made into their views."""

from __future__ import annotations

from controller.api.backend import Backend
from controller.api.views_subjects import JointView, SubjectView
from controller.desk import Desk
from runtime.clock import NS_PER_MS
from stage.frames import pan_tilt_roll_from_rotation
from stage.plan import PlanSubject, Vec3, transform_of
from tracking.mocap_config import SubjectKind

_NOWHERE: Vec3 = (0.0, 0.0, 0.0)
MM_DIGITS = 4
"""Joints are told to a tenth of a millimetre: there may be fifty of them, ten times a second."""


def subjects(desk: Desk, backend: Backend) -> dict[str, SubjectView]:
    """Every configured subject by id."""
    configured = desk.loaded.config.tracking.subjects
    if not configured:
        return {}
    planned = {one.id: one for one in backend.plan.subjects} if backend.plan is not None else {}
    rev = desk.rev_of("config")
    return {name: _subject(name, rev, told.kind, told.source, planned.get(name)) for name, told in configured.items()}


def _subject(name: str, rev: int, kind: SubjectKind, source: str, planned: PlanSubject | None) -> SubjectView:
    if planned is None:
        return SubjectView(name, rev, kind, source, False, "", None, _NOWHERE, 0.0, 0.0, 0.0, [])
    stage_from_subject = transform_of(planned.stage_from_subject)
    pan_deg, tilt_deg, roll_deg = pan_tilt_roll_from_rotation(stage_from_subject)
    age_ms = (planned.t_photo_ns - planned.t_sampled_ns) / NS_PER_MS if planned.t_sampled_ns > 0 else None
    return SubjectView(
        id=name,
        rev=rev,
        kind=planned.kind,
        source=planned.source or source,
        seen=True,
        quality=planned.quality,
        age_ms=age_ms,
        position_m=_short(stage_from_subject[:3, 3].tolist()),
        pan_deg=pan_deg,
        tilt_deg=tilt_deg,
        roll_deg=roll_deg,
        joints=[JointView(joint.name, joint.parent, _short(joint.position_m)) for joint in planned.joints],
    )


def _short(at: list[float] | Vec3) -> Vec3:
    x, y, z = (round(value, MM_DIGITS) for value in at)
    return x, y, z
