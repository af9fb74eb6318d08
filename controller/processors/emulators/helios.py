"""An emulated Megapixel HELIOS: its property tree over REST and JSON-RPC, changes told to every socket.

Its quirks are kept: PATCH and POST are equal; 406 without the JSON content type; a value out of range is kept as it
was and answered so; what it does not know vanishes; numbers are float32; `redundancy.state` is written as main or
backup and read as active or standby.
"""

from __future__ import annotations

import contextlib
import math
import struct
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from controller.processors.emulators.device import Faults, Shown, Signal

Tree = dict[str, Any]
_NOTHING: Final = {"valid": False, "w": 0, "h": 0, "freq": 0, "format": "-", "resolution": "No input", "eotf": ""}
"""An input that nothing arrives at."""
_PREFIX: Final = "/api/v1"


def _between(low: float, high: float) -> Callable[[Any, Any], Any]:
    def take(value: Any, before: Any) -> Any:
        good = isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high
        return float32(float(value)) if good else before

    return take


def _whole(low: int, high: int) -> Callable[[Any, Any], Any]:
    def take(value: Any, before: Any) -> Any:
        return int(value) if isinstance(value, (int, float)) and low <= value <= high else before

    return take


def _one_of(*choices: str) -> Callable[[Any, Any], Any]:
    return lambda value, before: value if value in choices else before


def _switch(value: Any, before: Any) -> Any:
    return value if isinstance(value, bool) else before


def _text(value: Any, before: Any) -> Any:
    return value if isinstance(value, str) else before


_GROUP_TAKES: Final = {
    "blackout": _switch, "name": _text, "testPattern.enabled": _switch,
    **{f"testPattern.{channel}": _between(0.0, 1.0) for channel in "rgba"},
}  # fmt: skip
"""What groups of panels take, below `dev.groups.<n>`."""
_TAKES: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "dev.display.blackout": _switch,
    "dev.display.freeze": _switch,
    "dev.display.brightness": _between(0.0, 100.0),
    "dev.display.cct": _whole(1000, 20_000),
    "dev.display.cctDuv": _between(-0.05, 0.05),
    "dev.display.gamma": _between(0.1, 10.0),
    "dev.display.out.adjust.enabled": _switch,
    "dev.display.out.adjust.saturation": _between(0.0, 2.0),
    "dev.display.redundancy.mode": _one_of("none", "failover", "seamless"),
    "dev.display.redundancy.role": _one_of("main", "backup", "offline"),
    "dev.display.redundancy.state": {"main": "active", "backup": "standby"}.get,
    "dev.display.width": _whole(1, 16_384),
    "dev.display.height": _whole(1, 16_384),
    "dev.display.x": _whole(-16_384, 16_384),
    "dev.display.y": _whole(-16_384, 16_384),
    "dev.ingest.input": _text,
    "dev.ingest.testPattern.enabled": _switch,
    "dev.ingest.testPattern.motion": _switch,
    "dev.ingest.testPattern.type": _text,
    "sys.description": _text,
}


def float32(value: float) -> float:
    """A number as the processor holds it."""
    out: float = struct.unpack("f", struct.pack("f", value))[0]
    return out if math.isfinite(out) else 0.0


class HeliosEmulator:
    """State and app of one processor. `shown` is what its panels do with the picture."""

    def __init__(self, *, name: str = "Volume", signal: Signal | None = None) -> None:
        self.faults = Faults()
        self.signal = signal or Signal()
        self._began_s = time.monotonic()
        self._sockets: set[WebSocket] = set()
        self.silent = False
        """Whether it refuses sockets, as older firmware does."""
        self.asked = 0
        """Whole trees it was asked for over HTTP."""
        self.presets = {"1": ("Shoot", {"dev": {"display": {"brightness": 80.0, "cct": 5600}}}),
                        "3": ("Rehearsal", {"dev": {"display": {"brightness": 20.0}}})}  # fmt: skip
        self.tree: Tree = {
            "dev": {
                "display": {
                    "blackout": False, "freeze": False, "brightness": 100.0, "cct": 6504, "cctDuv": 0.0,
                    "gamma": float32(2.4), "width": 3840, "height": 2160, "x": 0, "y": 0, "tilesCount": 24,
                    "tilesInfo": "24 tiles",
                    "redundancy": {"mode": "none", "role": "main", "state": "active", "info": "", "processors": {}},
                    "latencyLow": False, "gamut": {"type": "auto"},
                    "out": {"adjust": {"enabled": False, "saturation": 1.0}},
                },
                "ingest": {
                    "input": "hdmi", "alerts": {}, "alertsCount": 0, "alertsSeverity": -1, "info": {},
                    "inputs": {name: dict(_NOTHING, name=name.upper()) for name in ("hdmi", "hdmi1", "sdi1")},
                    "genlock": {"enabled": True, "source": "hdmi", "matched": True, "freqSource": 24.0},
                    "fans": {"FanCtrl(0)": 1380, "FanCtrl(1)": 1454},
                    "testPattern": {"enabled": False, "motion": False, "type": "colorBars"},
                },
                "groups": {
                    name: {"blackout": False, "name": f"Group {name}",
                           "testPattern": {"enabled": False, "r": 1.0, "g": 1.0, "b": 1.0, "a": 1.0}}
                    for name in ("1", "2")
                },
                "receivers": {f"02:00:00:00:00:{n:02x}": {"alerts": {}, "groupId": 1} for n in range(24)},
            },
            "sys": {
                "alerts": {}, "alertsCount": 0, "alertsSeverity": -1, "description": name,
                "info": {"model": "HELIOS", "serial": "H000042", "version": {"app": "v24.07.1"}},
                "ipAddress": "127.0.0.1",
            },
        }  # fmt: skip
        routes = [
            Route(f"{_PREFIX}/public", self._public, methods=["GET", "PATCH", "POST"]),
            Route(f"{_PREFIX}/presets/list", self._list_presets),
            Route(f"{_PREFIX}/presets/apply", self._apply_name, methods=["POST"]),
            Route(f"{_PREFIX}/presets/{{preset}}/apply", self._apply_id, methods=["POST"]),
            WebSocketRoute(f"{_PREFIX}/public/rpc/websocket", self._socket),
        ]
        self._told = self._now()
        self.app = Starlette(routes=routes)

    @property
    def shown(self) -> Shown:
        """What the twin shows of it."""
        display, ingest = self.tree["dev"]["display"], self.tree["dev"]["ingest"]
        pattern = ingest["testPattern"]["type"] if ingest["testPattern"]["enabled"] else "off"
        return Shown(display["brightness"] / 100.0, display["blackout"], display["freeze"], pattern)

    # --- HTTP -------------------------------------------------------------------------------------------------

    def _reply(self, value: object, *, status: int = 200) -> Response:
        headers = {"X-RD-Uptime": f"{time.monotonic() - self._began_s:.0f}"}
        if isinstance(value, str):
            return Response(value, status, headers, media_type="text/plain")
        return Response(msgspec.json.encode(value), status, headers, media_type="application/json")

    async def _public(self, request: Request) -> Response:
        if "rebooting" in self.faults:
            return Response(status_code=503)
        if "locked" in self.faults:
            return self._reply("Unauthorized", status=401)
        if request.method == "GET":
            self.asked += 1
            return self._reply(self._look([key for key in request.query_params if key != "_"]))
        kind = request.headers.get("content-type", "")
        if not kind.startswith("application/json"):
            return self._reply("Expected application/json Content-Type", status=406)
        try:
            body = msgspec.json.decode(await request.body())
        except msgspec.DecodeError:
            return self._reply("Bad Request", status=400)
        if not isinstance(body, dict):
            return self._reply("Bad Request", status=400)
        return self._reply(await self._set(body))

    def _look(self, paths: list[str]) -> Tree:
        tree = self._now()
        if not paths:
            return tree
        out: Tree = {}
        for path in paths:
            _graft(out, path.split("."), tree)
        return out

    def _now(self) -> Tree:
        """The tree, with what the world around it does."""
        tree: Tree = msgspec.json.decode(msgspec.json.encode(self.tree))
        if "no_signal" not in self.faults:
            active = tree["dev"]["ingest"]["inputs"].setdefault(tree["dev"]["ingest"]["input"], {})
            active |= {
                "valid": True, "w": self.signal.width_px, "h": self.signal.height_px,
                "freq": float32(self.signal.rate_hz), "format": f"RGB 4:4:4 rec709 full {self.signal.bits}bpc",
                "resolution": f"{self.signal.width_px}x{self.signal.height_px}p{self.signal.rate_hz:.2f}",
                "eotf": "SDR",
            }  # fmt: skip
        if "unplugged" in self.faults:
            tree["dev"]["receivers"] = {}
            tree["sys"]["alerts"]["portCap"] = {"brief": "No tiles", "count": 1, "severity": 3, "since": 1}
        return tree

    async def _set(self, wanted: Tree) -> Tree:
        changed: Tree = {}
        reply = self._take(wanted, self.tree, (), changed)
        if changed:
            self._told = self._now()
            await self._tell({"jsonrpc": "2.0", "method": "update", "params": changed})
        return reply

    def _take(self, wanted: Tree, held: Tree, path: tuple[str, ...], changed: Tree) -> Tree:
        reply: Tree = {}
        for name, value in wanted.items():
            if name not in held:
                continue
            here = (*path, name)
            if isinstance(held[name], dict):
                reply[name] = self._take(value, held[name], here, changed) if isinstance(value, dict) else {}
                continue
            take = _TAKES.get(".".join(here))
            if take is None and here[:2] == ("dev", "groups"):
                take = _GROUP_TAKES.get(".".join(here[3:]))
            taken = held[name] if take is None else take(value, held[name])
            if taken != held[name] and "lying" not in self.faults:
                held[name] = taken
                _graft(changed, list(here), self.tree)
            reply[name] = taken
        return reply

    # --- presets ----------------------------------------------------------------------------------------------

    async def _list_presets(self, request: Request) -> Response:
        del request
        found = [{"id": int(key), "presetName": name, "createdAt": "", "updatedAt": ""}
                 for key, (name, _) in self.presets.items()]  # fmt: skip
        return self._reply({"presets": found})

    async def _apply_id(self, request: Request) -> Response:
        return await self._apply(request.path_params["preset"])

    async def _apply_name(self, request: Request) -> Response:
        body = msgspec.json.decode(await request.body())
        wanted = body.get("presetName") if isinstance(body, dict) else None
        return await self._apply(next((key for key, (name, _) in self.presets.items() if name == wanted), ""))

    async def _apply(self, key: str) -> Response:
        if key not in self.presets:
            return self._reply("Not Found", status=404)
        return self._reply(await self._set(self.presets[key][1]))

    # --- JSON-RPC ---------------------------------------------------------------------------------------------

    async def _socket(self, socket: WebSocket) -> None:
        if self.silent or "rebooting" in self.faults or "locked" in self.faults:
            await socket.close()  # before it was accepted: HTTP 403
            return
        await socket.accept()
        self._sockets.add(socket)
        try:
            while True:
                await self._call(socket, await socket.receive_text())
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            self._sockets.discard(socket)

    async def _call(self, socket: WebSocket, text: str) -> None:
        try:
            call = msgspec.json.decode(text)
            method, number = call["method"], call.get("id")
        except (msgspec.DecodeError, KeyError, TypeError):
            error = {"code": -32700, "message": "Parse error"}
            await socket.send_text(msgspec.json.encode({"jsonrpc": "2.0", "id": None, "error": error}).decode())
            return
        if "rebooting" in self.faults or "locked" in self.faults:
            await socket.close()
            return
        await self._notice()
        answer: Tree = {"jsonrpc": "2.0", "id": number}
        match method:
            case "ping":
                answer["result"] = "pong"
            case "state":
                answer["result"] = self._now()
            case "set":
                answer["result"] = await self._set(call.get("params") or {})
            case _:
                answer["error"] = {"code": -32601, "message": "Method not found"}
        await socket.send_text(msgspec.json.encode(answer).decode())

    async def _notice(self) -> None:
        """Tell what the world around it changed since it was told last."""
        now = self._now()
        changed = _difference(self._told, now)
        self._told = now
        if changed:
            await self._tell({"jsonrpc": "2.0", "method": "update", "params": changed})

    async def _tell(self, message: Tree) -> None:
        text = msgspec.json.encode(message).decode()
        for socket in tuple(self._sockets):
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):
                await socket.send_text(text)


def _graft(out: Tree, path: list[str], tree: Any) -> None:
    """Put the piece of `tree` at `path` into `out`; what is not there leaves the empty parent."""
    for name in path[:-1]:
        tree = tree.get(name) if isinstance(tree, dict) else None
        if tree is None:
            return
        out = out.setdefault(name, {})
    if isinstance(tree, dict) and path[-1] in tree:
        out[path[-1]] = tree[path[-1]]


def _difference(before: Tree, now: Tree) -> Tree:
    """What of `now` is otherwise than before."""
    out: Tree = {}
    for name, value in now.items():
        held = before.get(name)
        if isinstance(value, dict) and isinstance(held, dict):
            inner = _difference(held, value)
            if inner:
                out[name] = inner
        elif value != held:
            out[name] = value
    return out
