"""The library: assets, domes and scene files to choose from, what they are, and what they were before."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final, Literal

from fastapi import Query, Request
from fastapi.responses import Response

from controller.api.control import Control
from controller.api.http import Here, answers, only, picture_answers, read_object, router, send_json, takes
from controller.api.library import Reads
from controller.api.problems import problem
from controller.api.views_library import LibraryEntryView, LibraryView
from controller.errors import BadValue, UnknownAddress
from controller.library.entries import Entry, Index

routes = router()
_TAGS: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "label": {"type": "string", "maxLength": 120},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 32}, "maxItems": 64},
    },
}
_CONTENT: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["content"],
    "properties": {"content": {"type": "string", "pattern": "^[0-9a-f]{32}$"}},
}


@routes.get("/library", responses=answers(LibraryView), tags=["library"])
async def get_library(
    control: Here,
    search: str = "",
    tag: Annotated[list[str] | None, Query()] = None,
    kind: Literal["", "asset", "dome", "picture", "scene"] = "",
    broken: bool | None = None,
    gone: bool = False,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """The library's entries by path: those whose path, label or tags hold every word of `search`, that have every
    `tag`, are of a `kind`, are `broken` or not; or those whose files are `gone`."""
    hand = control.library_hand
    index = await hand.index() if control.desk.loaded.config.library is not None else None
    # A library may be large: the loop is not held while it is looked through.
    view = await asyncio.to_thread(
        hand.view, index, _reads(control), search=search, tags=tag or (), kind=kind, broken=broken, gone=gone,
        limit=limit, offset=offset, keep_bytes=_keep_bytes(control),
    )  # fmt: skip
    return send_json(view)


@routes.get("/library/{entry}", responses=answers(LibraryEntryView), tags=["library"])
async def get_entry(control: Here, entry: str) -> Response:
    """One entry."""
    index, found = await _entry(control, entry)
    return send_json(control.library_hand.entry_view(index, found, _reads(control)))


@routes.patch("/library/{entry}", responses=answers(LibraryEntryView), openapi_extra=takes(_TAGS), tags=["library"])
async def patch_entry(request: Request, control: Here, entry: str) -> Response:
    """Say what it is called (`label`) and what it is found by (`tags`, all of them): kept in a file beside it."""
    await _entry(control, entry)
    body = await read_object(request)
    only(body, "label", "tags")
    label, tags = body.get("label"), body.get("tags")
    if label is not None and not isinstance(label, str):
        raise problem(BadValue, "label", "must be a text", value=label, mend="give a text")
    if tags is not None and not (isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)):
        raise problem(BadValue, "tags", "must be a list of texts", value=tags, mend='give ["hero", "set_3"]')
    await control.library_hand.tag(entry, label=label, tags=tags)
    index, found = await _entry(control, entry)
    return send_json(control.library_hand.entry_view(index, found, _reads(control)))


@routes.get("/library/{entry}/versions", responses=answers("LibraryVersions"), tags=["library"])
async def get_versions(control: Here, entry: str) -> Response:
    """What it holds, and what it held before, newest first: contents that can be gone back to."""
    _, found = await _entry(control, entry)
    return send_json({"versions": await asyncio.to_thread(control.library_hand.versions, found)})


@routes.post(
    "/library/{entry}/restore", responses=answers(LibraryEntryView), openapi_extra=takes(_CONTENT), tags=["library"]
)
async def restore(request: Request, control: Here, entry: str) -> Response:
    """Put an earlier content back into the folder. Scenes that read it are loaded anew off air and switched to on one
    frame, as for any file that changes; what it held until now is kept as a version."""
    await _entry(control, entry)
    body = await read_object(request)
    only(body, "content")
    content = body.get("content")
    if not isinstance(content, str):
        mend = f"take one of GET library/{entry}/versions"
        raise problem(BadValue, "content", "name the content to go back to", value=content, mend=mend)
    await control.library_hand.restore(entry, content)
    index, found = await _entry(control, entry)
    return send_json(control.library_hand.entry_view(index, found, _reads(control)))


@routes.get("/library/{entry}/thumbnail.jpg", responses=picture_answers("jpg"), tags=["library"])
async def get_thumbnail(control: Here, entry: str, content: str = "") -> Response:
    """What it looks like: an asset in a studio, a dome from its middle, a scene from the stage's; or (`content`) what
    it looked like before."""
    _, found = await _entry(control, entry)
    picture = found.picture
    if content:
        picture = next((version.content for version in found.versions if version.content == content), "")
    try:
        data = await asyncio.to_thread(control.library_hand.thumbnail(picture).read_bytes) if picture else b""
    except OSError:
        data = b""
    if not data:
        mend = "it is made when the machine has nothing else to do"
        raise problem(UnknownAddress, f"library/{entry}/thumbnail.jpg", "it has no picture (yet)", mend=mend)
    return Response(data, media_type="image/jpeg", headers={"etag": f'"{picture}"', "cache-control": "no-cache"})


async def _entry(control: Control, ident: str) -> tuple[Index, Entry]:
    index = await control.library_hand.index() if control.desk.loaded.config.library is not None else None
    found = next((entry for entry in index.entries if entry.id == ident), None) if index is not None else None
    if index is None or found is None:
        raise problem(UnknownAddress, f"library/{ident}", "there is no such entry", mend="GET library lists them")
    return index, found


def _reads(control: Control) -> Reads:
    loaded = control.desk.loaded
    return Reads(loaded.config.scenes, loaded.base_dir, loaded.scene_files)


def _keep_bytes(control: Control) -> int:
    library = control.desk.loaded.config.library
    return 0 if library is None else int(library.keep_mb * 1e6)
