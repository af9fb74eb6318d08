"""A small typed client of the HTTP API, for programs and tests (`pip install openvolume[client]`).

    async with Client("http://127.0.0.1:7400") as show:
        camera = await show.camera("a")
        outcome = await show.set("cameras/a", soft_edge_deg=1.5)
        async for event in show.events("camera", "alarms"):
            ...
        await show.go("12.5")

Refused requests raise `ApiError`, which carries the problem document. What has no method of its own goes by `get`,
`set`, `put`, `post` and `delete`.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeVar

import httpx
import msgspec
from msgspec import Struct
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from controller.action import ActionName
from controller.alarm_codes import AlarmCode
from controller.api.event_types import EVENT_TYPES, GONE, SNAPSHOT
from controller.api.events import Envelope
from controller.api.problems import ProblemDetail, ProblemDocument
from controller.api.views import (
    ActionView,
    AlarmsView,
    CameraView,
    CanvasView,
    ConfigView,
    FramesView,
    HealthView,
    JamView,
    LockView,
    NodesView,
    OutcomeView,
    PositionView,
    RecordView,
    ShowView,
    SourceView,
)
from controller.api.views_captures import CaptureView
from controller.api.views_cards import CardView, ChromaKeyView
from controller.api.views_cues import CueListView, CuePreviewView
from controller.api.views_library import LibraryEntryView, LibraryVersionView, LibraryView
from controller.api.views_looks import LookNowView, LooksView
from controller.api.views_processors import ProcessorsRestoredView, ProcessorView
from controller.api.views_scenes import SceneView
from controller.api.views_show_file import BackupsView, ImportView
from controller.errors import ControllerError, UnknownAddress
from controller.messages import PhotoKind
from controller.rundir import RunDir, is_alive, runs
from controller.show_file import MEDIA_TYPE
from controller.show_lock import LockState
from stage.errors import Problem

Kind = TypeVar("Kind")
KEY_VARIABLE = "OPENVOLUME_KEY"
AUTHORITY_VARIABLE = "OPENVOLUME_CA"
AGAIN_S: Final = 0.2
"""A lost connection of events is made again after this."""
REFUSED_CODES: Final = (1008, 1013)
"""Closed with one of these a WebSocket would only be closed again."""


class ApiError(ControllerError):
    """The API refused a request. `document` is what it said, `status` how."""

    code = "controller.api"

    def __init__(self, document: ProblemDocument) -> None:
        self.document = document
        self.status = document.status
        faults: Sequence[ProblemDetail | ProblemDocument] = document.problems or [document]
        super().__init__(*(Problem(f.code, f.path, f.detail, f.value, f.mend, f.line) for f in faults))


class Preview(Struct, frozen=True):
    """One picture of a preview."""

    frame: int
    timecode: tuple[int, int, int, int]
    """Hours, minutes, seconds, frames."""
    drop_frame: bool
    key: bool
    """Whether it can be decoded alone: every JPEG can."""
    data: bytes
    """The JPEG, or one access unit of H.264 in Annex B."""


class Client:
    """One connection to a running show. All calls may raise `ApiError`, or `httpx.HTTPError` when nobody answers."""

    def __init__(
        self, url: str, *, key: str | None = None, authority: Path | None = None, timeout_s: float = 10.0
    ) -> None:
        """key : from `PUT /keys/NAME` or `openvolume access`; the environment's OPENVOLUME_KEY unless given.
        authority : what `openvolume access ca` wrote on the show's machine, for https; the environment's
        OPENVOLUME_CA, or this machine's own, unless given."""
        self._url = url.rstrip("/")
        key = os.environ.get(KEY_VARIABLE, "") if key is None else key
        self._headers = {"authorization": f"Bearer {key}"} if key else {}
        self._tls = _context(authority) if self._url.startswith("https:") else None
        self._http = httpx.AsyncClient(
            base_url=f"{self._url}/api/v1/", timeout=timeout_s, headers=self._headers, verify=self._tls or True
        )

    @classmethod
    def here(cls, run: str | None = None, *, timeout_s: float = 10.0) -> Self:
        """A client of a show that runs on this machine, with the right to all that whoever started it may do.

        Raises
        ------
        UnknownAddress : no such show runs, or several do.
        """
        chosen = run_here(run)
        told, key = json.loads(chosen.service_address.read_bytes()), chosen.local_key.read_text()
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(told["host"], told["host"])  # noqa: S104 - told, not bound
        scheme, shown = "https" if told.get("tls") else "http", f"[{host}]" if ":" in host else host
        return cls(f"{scheme}://{shown}:{told['port']}", key=key, timeout_s=timeout_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def url(self) -> str:
        """Where it speaks to."""
        return self._url

    async def close(self) -> None:
        """Let go of the connection."""
        await self._http.aclose()

    # --- what is ----------------------------------------------------------------------------------------------------

    async def get(self, path: str) -> Any:
        """Any resource, as plain data: `get("walls/main")`."""
        return await self._get(path, object)

    async def file(self, path: str) -> bytes:
        """A picture or document as it is: `file("library/e1/thumbnail.jpg")`."""
        return (await self._send("GET", path)).content

    async def health(self) -> HealthView:
        """Whether pictures reach the walls; also when none do."""
        answer = await self._http.get("health")
        return msgspec.json.decode(answer.content, type=HealthView)

    async def show(self) -> ShowView:
        """What holds for the whole show."""
        return await self._get("show", ShowView)

    async def camera(self, camera: str) -> CameraView:
        """One camera."""
        return await self._get(f"cameras/{camera}", CameraView)

    async def cameras(self) -> dict[str, CameraView]:
        """Every camera by id."""
        return await self._get("cameras", dict[str, CameraView])

    async def source(self, source: str) -> SourceView:
        """One tracking source."""
        return await self._get(f"sources/{source}", SourceView)

    async def canvases(self) -> dict[str, CanvasView]:
        """Every canvas by id."""
        return await self._get("canvases", dict[str, CanvasView])

    async def scenes(self) -> dict[str, SceneView]:
        """Every scene by id."""
        return await self._get("scenes", dict[str, SceneView])

    async def positions(self) -> dict[str, PositionView]:
        """Every named position of the stage by id."""
        return await self._get("positions", dict[str, PositionView])

    async def sources(self) -> dict[str, SourceView]:
        """Every tracking source by id."""
        return await self._get("sources", dict[str, SourceView])

    async def nodes(self) -> NodesView:
        """Every process of the run."""
        return await self._get("nodes", NodesView)

    async def frames(self, *, window: int = 512) -> FramesView:
        """Counts and latencies."""
        return await self._get(f"frames?window={window}", FramesView)

    async def frame(self, frame: int) -> RecordView:
        """One slot of the ledger."""
        return await self._get(f"frames/{frame}", RecordView)

    async def alarms(self) -> AlarmsView:
        """Everything a person should know now."""
        return await self._get("alarms", AlarmsView)

    async def alarm_codes(self) -> dict[str, AlarmCode]:
        """Every alarm there can be, by code, with the values it carries."""
        return await self._get("alarms/codes", dict[str, AlarmCode])

    async def config(self) -> ConfigView:
        """The running configuration."""
        return await self._get("config", ConfigView)

    async def canvas_png(self, canvas: str) -> bytes:
        """What a processor gets, as PNG."""
        return await self.file(f"canvases/{canvas}.png")

    async def photo(self, camera: str, *, width_px: int = 960, kind: PhotoKind = "photo") -> bytes:
        """What a camera sees of the simulated walls, as JPEG."""
        return await self.file(f"cameras/{camera}/photo.jpg?width_px={width_px}&kind={kind}")

    async def set(self, path: str, *, if_rev: int | None = None, **values: Any) -> OutcomeView:
        """Change an object: `set("cameras/a", soft_edge_deg=1.5)`. `if_rev`: only if that revision of it stands."""
        return await self._change("PATCH", path, values, if_rev=if_rev)

    async def put(self, path: str, *, if_rev: int | None = None, **body: Any) -> Any:
        """Put a resource whole: `put("patterns/inner_grid", on=True)`; what is answered, as plain data."""
        return await self._ask("PUT", path, body, if_rev=if_rev)

    async def patch(self, path: str, *, if_rev: int | None = None, **values: Any) -> Any:
        """Change fields of a resource that is no part of the show; what is answered, as plain data."""
        return await self._ask("PATCH", path, values, if_rev=if_rev)

    async def post(self, path: str, **body: Any) -> Any:
        """Any order: `post("scenes/hall/compile")`; what is answered, as plain data."""
        return await self._ask("POST", path, body or None)

    async def delete(self, path: str, *, if_rev: int | None = None) -> Any:
        """Take something away."""
        return await self._ask("DELETE", path, None, if_rev=if_rev)

    async def nudge(self, source: str, **steps: float) -> OutcomeView:
        """Add to a source's line-up nudge: `nudge("tracker", x_m=0.001)`."""
        return await self._change("POST", f"sources/{source}/nudge", steps)

    async def set_zero(self, source: str, **pose: Any) -> OutcomeView:
        """The camera of a source, where it stands now, is at a pose (left out: its configured one)."""
        return await self._change("POST", f"sources/{source}/zero", pose)

    async def activate_scene(self, scene: str, **how: Any) -> OutcomeView:
        """Put a scene on the walls: `activate_scene("hall", kind="dissolve", frames=24, at_frame=n)`; a cut without."""
        return await self._change("POST", f"scenes/{scene}/activate", how or None)

    async def activate_position(self, position: str) -> OutcomeView:
        """Put the stage at a position of the virtual world."""
        return await self._change("POST", f"positions/{position}/activate", None)

    async def pattern(self, kind: str, *targets: str, on: bool = True) -> OutcomeView:
        """Switch a line-up picture."""
        return await self._change("PUT", f"patterns/{kind}", {"on": on, "targets": list(targets)})

    async def undo(self, prefix: str = "", *, mine: bool = False) -> OutcomeView:
        """Take back the newest change, anywhere or under an address: whoever's (`undoes` tells), or only one's own."""
        return await self._change("POST", "undo", {"prefix": prefix, "mine": mine})

    async def redo(self, prefix: str = "", *, mine: bool = False) -> OutcomeView:
        """Bring back what the newest undo took back, anywhere or under an address."""
        return await self._change("POST", "redo", {"prefix": prefix, "mine": mine})

    async def look_preview(self, look: str = "", *, of: str = "", width_px: int = 640) -> bytes:
        """A JPEG of the walls as they would stand with a look on, off the air; without one, as they stand."""
        path = f"looks/{look}" if look else "look"
        return await self.file(f"{path}/preview.jpg?of={of}&width_px={width_px}")

    async def jam(self, frame: int = 0) -> int:
        """Let time jump to its reference at a frame, or at the next that can be; the first frame of the new time."""
        content = json.dumps({"frame": frame}).encode()
        answer = await self._send("POST", "frames/jam", content=content, headers={"content-type": "application/json"})
        return msgspec.json.decode(answer.content, type=JamView).frame

    async def order(self, action: ActionName) -> ActionView:
        """BLACK, HOLD, SAFE, WORK or none."""
        answer = await self._send("POST", f"actions/{action}")
        return msgspec.json.decode(answer.content, type=ActionView)

    async def put_config(self, text: str, *, rev: int) -> OutcomeView:
        """Run another configuration (YAML), made from revision `rev` of the running one."""
        headers = {"content-type": "application/yaml", "if-match": f'"{rev}"'}
        answer = await self._send("PUT", "config", content=text.encode(), headers=headers)
        return msgspec.json.decode(answer.content, type=OutcomeView)

    async def export_show(self) -> bytes:
        """The whole show as one file."""
        return await self.file("show/export")

    async def check_import(self, file: bytes) -> ImportView:
        """What importing a show would change; nothing does."""
        answer = await self._send("POST", "show/import/check", content=file, headers={"content-type": MEDIA_TYPE})
        return msgspec.json.decode(answer.content, type=ImportView)

    async def import_show(self, file: bytes) -> OutcomeView:
        """Run the show of a file in place of this one."""
        headers = {"content-type": MEDIA_TYPE, "if-match": f'"{(await self.show()).rev}"'}
        answer = await self._send("POST", "show/import", content=file, headers=headers)
        return msgspec.json.decode(answer.content, type=OutcomeView)

    async def backups(self) -> BackupsView:
        """The copies of the show's database, newest first."""
        return await self._get("show/backups", BackupsView)

    async def back_up(self) -> BackupsView:
        """Copy the database now, if it has changed since the last copy; all copies."""
        return msgspec.json.decode((await self._send("POST", "show/backups")).content, type=BackupsView)

    # --- the library, LED processors --------------------------------------------------------------------------------

    async def library(
        self, *, search: str = "", tags: Sequence[str] = (), kind: str = "", broken: bool | None = None,
        gone: bool = False, limit: int = 200, offset: int = 0,
    ) -> LibraryView:  # fmt: skip
        """What is in the library, by path: what has all the words and tags."""
        asked: dict[str, Any] = {"search": search, "kind": kind, "tag": list(tags), "limit": limit, "offset": offset}
        asked |= {"gone": gone} if broken is None else {"gone": gone, "broken": broken}
        content = (await self._send("GET", "library", params=asked)).content
        return msgspec.json.decode(content, type=LibraryView)

    async def library_entry(self, entry: str) -> LibraryEntryView:
        """One thing of the library, by id."""
        return await self._get(f"library/{entry}", LibraryEntryView)

    async def library_versions(self, entry: str) -> list[LibraryVersionView]:
        """What it holds and held before, newest first."""
        return (await self._get(f"library/{entry}/versions", dict[str, list[LibraryVersionView]]))["versions"]

    async def restore_version(self, entry: str, content: str) -> LibraryEntryView:
        """Put an earlier content back; scenes that read it are loaded anew."""
        answer = await self._request("POST", f"library/{entry}/restore", {"content": content})
        return msgspec.json.decode(answer.content, type=LibraryEntryView)

    async def tag(self, entry: str, *, label: str | None = None, tags: Sequence[str] | None = None) -> LibraryEntryView:
        """Say what it is called and found by; what is not told stays."""
        body = {"label": label, "tags": None if tags is None else list(tags)}
        answer = await self._request("PATCH", f"library/{entry}", {k: v for k, v in body.items() if v is not None})
        return msgspec.json.decode(answer.content, type=LibraryEntryView)

    async def thumbnail(self, entry: str) -> bytes:
        """What it looks like, as JPEG."""
        return await self.file(f"library/{entry}/thumbnail.jpg")

    async def processors(self) -> dict[str, ProcessorView]:
        """Every LED processor by id."""
        return await self._get("processors", dict[str, ProcessorView])

    async def restore_processors(self, *, dry_run: bool = False) -> ProcessorsRestoredView:
        """Set every processor as the show wants it and read it back, or say what that would be."""
        answer = await self._send("POST", "processors/restore", params={"dry_run": dry_run})
        return msgspec.json.decode(answer.content, type=ProcessorsRestoredView)

    # --- looks, cards, keys -----------------------------------------------------------------------------------------

    async def look(self) -> LookNowView:
        """How the walls are graded now."""
        return await self._get("look", LookNowView)

    async def looks(self) -> LooksView:
        """Every stored look."""
        return await self._get("looks", LooksView)

    async def store_look(self, look: str, *, if_rev: int | None = None, **more: Any) -> OutcomeView:
        """Store what stands now as a look; one that is there only with the revision it has."""
        return await self._change("POST", f"looks/{look}/store", more, if_rev=if_rev)

    async def apply_look(self, look: str, *, seconds: float = 0.0, curve: str = "linear") -> OutcomeView:
        """Put a look on: at once, or over some seconds."""
        return await self._change("POST", f"looks/{look}/apply?seconds={seconds}&curve={curve}", None)

    async def cards(self) -> dict[str, CardView]:
        """Every light card and flag by id."""
        return await self._get("cards", dict[str, CardView])

    async def put_card(self, card: str, *, if_rev: int | None = None, **values: Any) -> OutcomeView:
        """Make a light card or a flag: `put_card("fill", pan_deg=10, nits=200)`; `set("cards/fill", ...)` after."""
        return await self._change("PUT", f"cards/{card}", values, if_rev=if_rev)

    async def chromakeys(self) -> dict[str, ChromaKeyView]:
        """Every chroma key by id."""
        return await self._get("chromakeys", dict[str, ChromaKeyView])

    async def put_chromakey(self, key: str, *, camera: str, if_rev: int | None = None, **values: Any) -> OutcomeView:
        """Make a chroma key over what a camera sees."""
        return await self._change("PUT", f"chromakeys/{key}", {"camera": camera, **values}, if_rev=if_rev)

    # --- cues -------------------------------------------------------------------------------------------------------

    async def cues(self) -> CueListView:
        """The cue list, and where it stands."""
        return await self._get("cues", CueListView)

    async def put_cue(self, cue: str, *, number: str, changes: Mapping[str, Any], **more: Any) -> OutcomeView:
        """Put a cue in its place of the list, or at its end: `put_cue("dusk", number="12", changes={...}, seconds=4)`.

        more : `label notes seconds curve delay_s follow follow_s timecode`.
        """
        return await self._change("PUT", f"cues/{cue}", {"number": number, "changes": dict(changes), **more})

    async def delete_cue(self, cue: str) -> OutcomeView:
        """Take a cue out of the list."""
        return await self._change("DELETE", f"cues/{cue}", None)

    async def order_cues(self, ids: Sequence[str], *, rev: int) -> OutcomeView:
        """Put the list in another order, made from revision `rev` of it."""
        return await self._change("PUT", "cues/order", {"ids": list(ids)}, if_rev=rev)

    async def go(self, number: str = "") -> OutcomeView:
        """GO: the next cue, or the one of a number or id."""
        return await self._change("POST", "cues/go", {"number": number} if number else None)

    async def back(self) -> OutcomeView:
        """As it was before the last cue."""
        return await self._change("POST", "cues/back", None)

    async def chase(self, on: bool) -> OutcomeView:
        """Whether cues go by time code."""
        return await self._change("POST", "cues/chase", {"on": on})

    async def preview_cue(self, cue: str) -> CuePreviewView:
        """What a cue would change now."""
        return await self._get(f"cues/{cue}/preview", CuePreviewView)

    # --- takes ------------------------------------------------------------------------------------------------------

    async def lock(self) -> LockView:
        """How the show lock stands."""
        return await self._get("lock", LockView)

    async def set_lock(self, state: LockState, **more: Any) -> LockView:
        """Move the show lock: `set_lock("rolling", take="12A/3")`; `reason` where it is somebody else's."""
        answer = await self._request("PUT", "lock", {"state": state, **more})
        return msgspec.json.decode(answer.content, type=LockView)

    async def capture(self, of: str, **how: Any) -> CaptureView:
        """Begin to write pictures to disk: `capture("canvases/left", format="png", last_frame=2400)`."""
        answer = await self._request("POST", "captures", {"of": of, **how})
        return msgspec.json.decode(answer.content, type=CaptureView)

    async def end_capture(self, capture: str, *, last_frame: int = 0) -> CaptureView:
        """End one, now or after a frame."""
        answer = await self._request("POST", f"captures/{capture}/end", {"last_frame": last_frame})
        return msgspec.json.decode(answer.content, type=CaptureView)

    # --- what goes on by itself -------------------------------------------------------------------------------------

    async def events(self, *topics: str, last_seq: int | None = None) -> AsyncGenerator[Envelope, None]:
        """A snapshot, then changes, for ever: a lost connection is made again, and goes on where it was.

        last_seq : go on after an event that was read before, where that is still known; else a snapshot comes.

        Raises
        ------
        ApiError : the show does not tell of such topics, or has too many listeners.
        """
        base = self._url.replace("http", "ws", 1) + f"/api/v1/events?topics={','.join(topics)}"
        while True:
            try:
                url = base if last_seq is None else f"{base}&last_seq={last_seq}"
                async with connect(url, additional_headers=self._headers, ssl=self._tls) as socket:
                    async for message in socket:
                        event = msgspec.json.decode(message, type=Envelope)
                        last_seq = event.seq
                        yield event
            except OSError:
                pass
            except ConnectionClosed as closed:
                _refused_by(closed, "events")
            await asyncio.sleep(AGAIN_S)

    async def state(self, *topics: str) -> AsyncGenerator[dict[str, Any], None]:
        """Every object of the topics by key, now and after each change; what is gone is left out."""
        objects: dict[str, Any] = {}
        # Closed with this one: a listener that goes leaves no connection behind.
        async with aclosing(self.events(*topics)) as events:
            async for event in events:
                if event.type == SNAPSHOT:
                    objects = dict(event.data)
                elif event.type == GONE:
                    objects.pop(event.data["key"], None)
                elif event.type != "change":
                    objects[_key_of(event)] = event.data
                yield objects

    async def previews(
        self, of: str, *, width_px: int = 960, codec: Literal["jpeg", "h264"] = "jpeg"
    ) -> AsyncGenerator[Preview, None]:
        """Pictures of `cameras/a/photo` or `canvases/left`, each the newest when it was asked for: take them as slowly
        as you like. It ends with the connection.

        Raises
        ------
        ApiError : there is no such picture, no such codec, or there are too many listeners.
        """
        base = self._url.replace("http", "ws", 1) + "/api/v1/previews"
        url = f"{base}?of={of}&width_px={width_px}&codec={codec}&header=timecode"
        try:
            async with connect(url, additional_headers=self._headers, max_size=None, ssl=self._tls) as socket:
                while True:
                    await socket.send("next")
                    while isinstance(message := await socket.recv(), str):
                        pass  # A decoder finds the format in the stream, too.
                    yield _preview(message)
        except ConnectionClosed as closed:
            _refused_by(closed, f"previews of {of}")

    async def _get(self, path: str, kind: type[Kind]) -> Kind:
        return msgspec.json.decode((await self._send("GET", path)).content, type=kind)

    async def _change(
        self, method: str, path: str, body: dict[str, Any] | None, *, if_rev: int | None = None
    ) -> OutcomeView:
        answer = await self._request(method, path, body, if_rev=if_rev)
        return msgspec.json.decode(answer.content, type=OutcomeView)

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None, *, if_rev: int | None = None) -> Any:
        content = (await self._request(method, path, body, if_rev=if_rev)).content
        return msgspec.json.decode(content) if content else None

    async def _request(
        self, method: str, path: str, body: dict[str, Any] | None, *, if_rev: int | None = None
    ) -> httpx.Response:
        headers = {} if body is None else {"content-type": "application/json"}
        if if_rev is not None:
            headers["if-match"] = f'"{if_rev}"'
        content = None if body is None else json.dumps(body).encode()
        return await self._send(method, path, content=content, headers=headers)

    async def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        answer = await self._http.request(method, path, **options)
        if answer.is_error:
            try:
                document = msgspec.json.decode(answer.content, type=ProblemDocument)
            except msgspec.MsgspecError:
                detail = f"{answer.status_code} without a problem document"
                document = ProblemDocument("about:blank", "Error", answer.status_code, detail, "controller.http")
            raise ApiError(document)
        return answer


def _context(authority: Path | None) -> ssl.SSLContext:
    from controller.access.certificates import client_context

    told = os.environ.get(AUTHORITY_VARIABLE, "")
    return client_context(authority or (Path(told) if told else None))


def _preview(message: bytes) -> Preview:
    hours, minutes, seconds, frames, flags = message[8:13]
    frame = int.from_bytes(message[:8], "little")
    return Preview(frame, (hours, minutes, seconds, frames), bool(flags & 2), bool(flags & 1), message[16:])


def _key_of(event: Envelope) -> str:
    """What snapshots call the object of an event."""
    _, star, _ = (key := EVENT_TYPES[event.type].key).partition("*")
    return key.replace("*", str(event.data["id"])) if star else key


def _refused_by(closed: ConnectionClosed, path: str) -> None:
    """Raise ApiError where a connection was refused, not lost."""
    if closed.rcvd is not None and closed.rcvd.code in REFUSED_CODES:
        reason = closed.rcvd.reason or "refused"
        raise ApiError(ProblemDocument("about:blank", "Refused", 400, reason, "controller.websocket", path)) from closed


def run_here(run: str | None = None) -> RunDir:
    """The show that runs on this machine, by its name where several do. Raises UnknownAddress."""
    living = [found for found in runs() if is_alive(found) and found.service_address.exists()]
    named = [found for found in living if run is None or found.run == run]
    if len(named) == 1:
        return named[0]
    known = ", ".join(found.run for found in living)
    detail = "no show of this name runs here" if run else ("several shows run here" if named else "no show runs here")
    mend = f"name one of {known}" if known else "start one: openvolume run CONFIG"
    raise UnknownAddress(Problem(UnknownAddress.code, "--run", detail, run, mend))
