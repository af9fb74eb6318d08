"""Tracked props, lights and performers: where they are."""

from __future__ import annotations

from fastapi.responses import Response

from controller.api import present_subjects
from controller.api.http import Here, answers, known, router, send_json
from controller.api.views_subjects import SubjectView

routes = router()


@routes.get("/subjects", responses=answers(SubjectView, many=True), tags=["subjects"])
async def get_subjects(control: Here) -> Response:
    """Every subject by id, with a performer's joints."""
    return send_json(present_subjects.subjects(control.desk, control.backend), rev=control.desk.rev)


@routes.get("/subjects/{subject}", responses=answers(SubjectView), tags=["subjects"])
async def get_subject(control: Here, subject: str) -> Response:
    """One subject."""
    found = present_subjects.subjects(control.desk, control.backend)
    known(subject, found, f"subjects/{subject}")
    return send_json(found[subject])
