"""A small typed client of the HTTP API, for programs and tests (`pip install openvolume[client]`).

    async with Client("http://127.0.0.1:7400") as show:
        camera = await show.camera("a")
        outcome = await show.set("cameras/a", soft_edge_deg=1.5)
        async for event in show.events("camera", "alarms"):
            ...

Refused requests raise `ApiError`, which carries the problem document.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from controller.action import ActionName
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
    NodesView,
    OutcomeView,
    RecordView,
    ShowView,
    SourceView,
)
from controller.api.views_scenes import SceneView
from controller.errors import ControllerError
from controller.messages import PhotoKind
from stage.errors import Problem

Kind = TypeVar("Kind")
KEY_VARIABLE = "OPENVOLUME_KEY"


class ApiError(ControllerError):
    """The API refused a request. `document` is what it said, `status` how."""

    code = "controller.api"

    def __init__(self, document: ProblemDocument) -> None:
        self.document = document
        self.status = document.status
        faults: Sequence[ProblemDetail | ProblemDocument] = document.problems or [document]
        super().__init__(*(Problem(f.code, f.path, f.detail, f.value, f.mend, f.line) for f in faults))


class Client:
    """One connection to a running show. All calls may raise `ApiError`, or `httpx.HTTPError` when nobody answers."""

    def __init__(self, url: str, *, key: str | None = None, timeout_s: float = 10.0) -> None:
        """key : from `PUT /keys/NAME` or `openvolume access`; the environment's OPENVOLUME_KEY unless given."""
        self._url = url.rstrip("/")
        key = os.environ.get(KEY_VARIABLE, "") if key is None else key
        self._headers = {"authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.AsyncClient(base_url=f"{self._url}/api/v1/", timeout=timeout_s, headers=self._headers)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connection."""
        await self._http.aclose()

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

    async def config(self) -> ConfigView:
        """The running configuration."""
        return await self._get("config", ConfigView)

    async def canvas_png(self, canvas: str) -> bytes:
        """What a processor gets, as PNG."""
        return (await self._send("GET", f"canvases/{canvas}.png")).content

    async def photo(self, camera: str, *, width_px: int = 960, kind: PhotoKind = "photo") -> bytes:
        """What a camera sees of the simulated walls, as JPEG."""
        return (await self._send("GET", f"cameras/{camera}/photo.jpg?width_px={width_px}&kind={kind}")).content

    async def set(self, path: str, *, if_rev: int | None = None, **values: Any) -> OutcomeView:
        """Change an object: `set("cameras/a", soft_edge_deg=1.5)`. `if_rev`: only if that revision of it stands."""
        return await self._change("PATCH", path, values, if_rev=if_rev)

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

    async def undo(self, prefix: str = "") -> OutcomeView:
        """Take back the newest change, anywhere or under an address."""
        return await self._change("POST", "undo", {"prefix": prefix})

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

    async def events(self, *topics: str) -> AsyncIterator[Envelope]:
        """A snapshot, then changes, for ever: a lost connection is made again, and goes on where it was."""
        base = self._url.replace("http", "ws", 1) + f"/api/v1/events?topics={','.join(topics)}"
        seq: int | None = None
        while True:
            try:
                url = base if seq is None else f"{base}&last_seq={seq}"
                async with connect(url, additional_headers=self._headers) as socket:
                    async for message in socket:
                        event = msgspec.json.decode(message, type=Envelope)
                        seq = event.seq
                        yield event
            except (OSError, ConnectionClosed):
                pass
            await asyncio.sleep(0.2)

    async def _get(self, path: str, kind: type[Kind]) -> Kind:
        return msgspec.json.decode((await self._send("GET", path)).content, type=kind)

    async def _change(
        self, method: str, path: str, body: dict[str, Any] | None, *, if_rev: int | None = None
    ) -> OutcomeView:
        headers = {} if body is None else {"content-type": "application/json"}
        if if_rev is not None:
            headers["if-match"] = f'"{if_rev}"'
        content = None if body is None else json.dumps(body).encode()
        answer = await self._send(method, path, content=content, headers=headers)
        return msgspec.json.decode(answer.content, type=OutcomeView)

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
