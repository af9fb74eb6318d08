"""The console at `/` and the files it is made of: built from `web/` by `scripts/console`, kept inside the package."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from importlib import resources
from typing import Final, TypeVar

from fastapi import APIRouter, Request
from fastapi.responses import Response

from controller.access.certificates import FOLDER as TLS_FOLDER
from controller.api.http import Here
from controller.api.problems import problem
from controller.errors import UnknownAddress

routes = APIRouter(include_in_schema=False)
TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
FOLDER: Final = "app"
Result = TypeVar("Result")
_THREAD: Final = ThreadPoolExecutor(1, thread_name_prefix="console")


@dataclass(frozen=True, slots=True)
class ConsoleFile:
    """One file as it is sent."""

    plain: bytes
    zipped: bytes
    etag: str
    media_type: str


@cache
def console_names() -> frozenset[str]:
    """Every file of the built console."""
    return frozenset(file.name for file in (resources.files("controller.console") / FOLDER).iterdir())


@cache
def console_file(name: str) -> ConsoleFile:
    """One file of the built console, one of `console_names()`. Reads and packs it the first time."""
    plain = (resources.files("controller.console") / FOLDER / name).read_bytes()
    etag = f'"{blake2b(plain, digest_size=8).hexdigest()}"'
    return ConsoleFile(plain, gzip.compress(plain, 9, mtime=0), etag, TYPES[name.rpartition(".")[2]])


@routes.get("/")
async def get_page(request: Request) -> Response:
    """The console."""
    return await _send(request, "index.html")


@routes.get("/ca.pem")
async def get_authority(control: Here) -> Response:
    """The authority behind this machine's https, for browsers that shall trust it. Compare its fingerprint with what
    `openvolume run` printed."""
    store = control.doorman.store
    file = store.path.parent / TLS_FOLDER / "ca.pem" if store is not None else None
    if file is None or not file.exists():
        raise problem(UnknownAddress, "ca.pem", "there is none yet", mend="it is made when a show first speaks https")
    return Response(await asyncio.to_thread(file.read_bytes), media_type="application/x-x509-ca-cert")


@routes.get("/console/{name}")
async def get_page_file(request: Request, name: str) -> Response:
    """What the console loads."""
    if name not in await _off_loop(console_names):
        raise problem(UnknownAddress, f"console/{name}", "no such file", mend="open /")
    return await _send(request, name)


async def _off_loop(call: Callable[..., Result], *values: str) -> Result:
    """What a call comes to, made on the console's own thread: what else threads are busy with never holds up a page."""
    return await asyncio.get_running_loop().run_in_executor(_THREAD, call, *values)


async def _send(request: Request, name: str) -> Response:
    """Names are the same in every version: browsers ask each time, and are answered in a few bytes."""
    file = await _off_loop(console_file, name)
    headers = {"cache-control": "no-cache", "etag": file.etag, "vary": "accept-encoding"}
    if file.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(file.zipped, headers={**headers, "content-encoding": "gzip"}, media_type=file.media_type)
    return Response(file.plain, headers=headers, media_type=file.media_type)
