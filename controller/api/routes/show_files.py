"""Whole shows as files, and copies of the database."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from fastapi import Request
from fastapi.responses import Response

from controller.api.control import Control
from controller.api.http import (
    Here,
    answers,
    media_type,
    needed_rev,
    router,
    send_json,
    send_outcome,
    takes,
    who,
)
from controller.api.problems import WrongMediaType, problem
from controller.api.views import OutcomeView
from controller.api.views_show_file import BackupsView, BackupView, ImportView
from controller.show_file import MEDIA_TYPE, SUFFIX, ShowFile, differences, read_show_file, text_differences
from controller.show_transfer import changed_references, fitted, packed, stored_show
from controller.store_backups import backups

routes = router()
_FILE: Final[dict[str, Any]] = {"type": "string", "format": "binary", "description": "What /show/export gave"}
_EXPORT: Final = {
    **answers("ProblemDocument"),
    200: {"description": "The show", "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}},
}


@routes.get("/show/export", responses=_EXPORT, tags=["config"])
async def get_export(control: Here) -> Response:
    """The whole show as one file: configuration, everything live, history, and hashes of the files it names. Users
    and keys are not in it."""
    stored = await control.desk.on_disk(lambda: stored_show(control.store))
    data = await asyncio.to_thread(packed, stored, t_tai_ns=control.clock.tai_ns())
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in control.desk.loaded.name)
    headers = {
        "cache-control": "no-store",
        "content-disposition": f'attachment; filename="{name}-{control.desk.rev}{SUFFIX}"',
        "etag": f'"{control.desk.rev}"',
    }
    return Response(data, headers=headers, media_type=MEDIA_TYPE)


@routes.post("/show/import", responses=answers(OutcomeView), openapi_extra=takes(_FILE, MEDIA_TYPE), tags=["config"])
async def post_import(request: Request, control: Here) -> Response:
    """Run the show of a file: prepared on every process, then all of it at one frame, or nothing changes. If-Match
    carries the running revision. The database is copied before; undo takes it back."""
    needed_rev(request, control.desk.rev, "show")
    file = await _read(request)
    await control.keeper.back_up()
    return send_outcome(await control.desk.take_in(file, who=who(request)))


@routes.post(
    "/show/import/check", responses=answers(ImportView), openapi_extra=takes(_FILE, MEDIA_TYPE), tags=["config"]
)
async def check_import(request: Request, control: Here) -> Response:
    """What a file would change of the running show, or everything that is wrong with it; nothing changes."""
    return send_json(await _compared(control, await _read(request)))


@routes.get("/show/backups", responses=answers(BackupsView), tags=["config"])
async def get_backups(control: Here) -> Response:
    """The copies of the show's database, newest first. `openvolume show restore` puts one back."""
    return send_json(await asyncio.to_thread(_backups, control))


@routes.post("/show/backups", responses=answers(BackupsView), tags=["config"])
async def post_backup(control: Here) -> Response:
    """Copy the database now, if it has changed since the last copy."""
    await asyncio.to_thread(control.store.back_up, control.clock.tai_ns())
    return send_json(await asyncio.to_thread(_backups, control))


async def _read(request: Request) -> ShowFile:
    if media_type(request) not in (MEDIA_TYPE, "application/octet-stream"):
        raise problem(WrongMediaType, "content-type", "not a type this resource takes", value=media_type(request),
                      mend=f"send {MEDIA_TYPE}")  # fmt: skip
    data = await request.body()
    return await asyncio.to_thread(read_show_file, data)


async def _compared(control: Control, file: ShowFile) -> ImportView:
    loaded, show = control.desk.loaded, control.desk.show

    def compare() -> ImportView:
        there, _, coming = fitted(file, loaded.base_dir)
        return ImportView(
            there.name,
            file.manifest.rev,
            text_differences(loaded.source, file.config),
            differences(show, coming),
            changed_references(file.manifest.references, loaded.base_dir),
        )

    return await asyncio.to_thread(compare)


def _backups(control: Control) -> BackupsView:
    return BackupsView([BackupView(path.name, path.stat().st_size) for path in backups(control.store.path.parent)])
