"""The first page at `/`, and the files it is made of."""

from __future__ import annotations

from importlib import resources
from typing import Final

from fastapi import APIRouter
from fastapi.responses import Response

from controller.api.problems import problem
from controller.errors import UnknownAddress

routes = APIRouter(include_in_schema=False)
FILES: Final = {
    "index.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "tools.js": "text/javascript; charset=utf-8",
    "access.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


def page_file(name: str) -> bytes:
    """One file of the page, one of `FILES`."""
    return (resources.files("controller.console") / name).read_bytes()


@routes.get("/")
async def get_page() -> Response:
    """The page."""
    return _send("index.html")


@routes.get("/console/{name}")
async def get_page_file(name: str) -> Response:
    """What the page loads."""
    if name not in FILES:
        raise problem(UnknownAddress, f"console/{name}", "no such file", mend="open /")
    return _send(name)


def _send(name: str) -> Response:
    return Response(page_file(name), headers={"cache-control": "no-cache"}, media_type=FILES[name])
