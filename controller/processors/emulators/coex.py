"""An emulated NovaStar COEX controller with one screen: `code` 0 for good, busy and locked in its own words.

Its quirks are kept: brightness 0..1 for `screenIdList` (the vendor's form) and 0..100 for `screenIds` (some clients');
a colour temperature snaps to hundreds; with `lying` it acknowledges and applies nothing.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from controller.processors.emulators.device import Faults, Shown, Signal

SCREEN: Final = "{8C6F6B1D-0001}"
_CANVAS: Final = 2048


class CoexEmulator:
    """State and app of one controller. `shown` is what its panels do with the picture."""

    def __init__(self, *, name: str = "MX40 Pro", signal: Signal | None = None) -> None:
        self.faults = Faults()
        self.signal = signal or Signal()
        self.name = name
        self.brightness, self.colour_temperature, self.gamma = 1.0, 6500, 2.8
        self.mode, self.depth, self.low_delay, self.added_frames = 0, 1, False, 0
        self.preset, self.lut, self.lut_strength = 1, False, 100
        self.app = Starlette(routes=[Route("/api/v1/{path:path}", self._answer, methods=["GET", "PUT", "POST"])])

    @property
    def shown(self) -> Shown:
        """What the twin shows of it."""
        return Shown(self.brightness, self.mode == 1, self.mode == 2)

    async def _answer(self, request: Request) -> Response:
        if "rebooting" in self.faults:
            return Response(status_code=503)
        path = request.path_params["path"]
        if "busy" in self.faults:
            return _say(5, None, "Busying")
        if request.method == "GET":
            found = self._look(path)
            return Response(status_code=404) if found is None else _say(0, found, "Success")
        if "locked" in self.faults:
            return _say(1, None, "device locked")
        try:
            body = msgspec.json.decode(await request.body())
        except msgspec.DecodeError:
            return _say(2, None, "parameter error")
        if not isinstance(body, dict):
            return _say(2, None, "parameter error")
        return self._set(path, body)

    def _look(self, path: str) -> Any:
        one = {"screenId": SCREEN}
        match path:
            case "device/hw":
                return {"name": self.name, "sn": "N000042", "swVersion": "1.4.0", "mode": 3, "customName": ""}
            case "screen":
                return {"screens": [{"screenID": SCREEN, "screenName": "Wall", "screenGroupID": 1,
                                     "lowLatency": self.low_delay, "canvases": []}], "screenGroups": []}  # fmt: skip
            case "screen/displayparams":
                return {"list": [{**one, "brightness": self.brightness, "colorTemperature": self.colour_temperature,
                                  "gamma": self.gamma}]}  # fmt: skip
            case "screen/output":
                depth = {"bitDepth": self.depth, "currentBitDepth": self.depth}
                return [{**one, "lowDelay": self.low_delay, "additionalFrameDelay": self.added_frames,
                         "outputBitDepth": depth, "currentFrameRate": self.signal.rate_hz}]  # fmt: skip
            case "screen/output/display/state":
                return {"mappingState": [{"canvasID": _CANVAS, "enable": False}],
                        "displayState": [{"canvasID": _CANVAS, "displayMode": self.mode}]}  # fmt: skip
            case "device/monitor/info":
                hot = "unplugged" in self.faults
                return {"name": self.name, "runtime": 3600, "backupStatus": "",
                        "mainBoardTemperature": {"value": 41.0, "status": 0},
                        "fans": [{"value": 2400, "status": int(hot)}], "voltages": []}  # fmt: skip
            case "device/input/sources":
                there = "no_signal" not in self.faults
                size = {"width": self.signal.width_px, "height": self.signal.height_px}
                return [{"id": 1, "name": "HDMI1", "sourceStatus": int(there), "actualResolution": size,
                         "actualRefreshRate": self.signal.rate_hz if there else 0}]  # fmt: skip
            case "preset":
                presets = [{"sequenceNumber": n, "name": f"Preset {n}", "state": n == self.preset} for n in (1, 2, 3)]
                return {"screenPresetList": [{"screenID": SCREEN, "presetList": presets}]}
            case _:
                return None

    def _set(self, path: str, body: dict[str, Any]) -> Response:
        ids = body.get("screenIdList") or body.get("screenIds")
        if path.startswith("screen/") and ids is not None and SCREEN not in ids:
            return _say(3, None, "screen not found")
        try:
            taken = self._taken(path, body)
        except (KeyError, TypeError, ValueError):
            return _say(2, None, "parameter error")
        if taken is None:
            return _say(404, None, "not supported")
        if "lying" not in self.faults:
            for name, value in taken.items():
                setattr(self, name, value)
        return _say(0, None, "Success")

    def _taken(self, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        match path:
            case "screen/brightness":
                share = float(body["brightness"]) / (100.0 if "screenIds" in body else 1.0)
                return {"brightness": _within(share, 0.0, 1.0)}
            case "screen/colortemperature":
                return {"colour_temperature": round(_within(float(body["colorTemperature"]), 1700, 15_000) / 100) * 100}
            case "screen/gamma":
                return {"gamma": round(_within(float(body["gamma"]), 1.0, 4.0), 1)}
            case "screen/output/displaymode":
                return {"mode": int(_within(float(body["value"]), 0, 2))}
            case "screen/output/bitdepth":
                return {"depth": {0: 0, 1: 1, 2: 2, 255: 1}[int(body["bitDepth"])]}
            case "screen/processing/threedlut/enable":
                return {"lut": bool(body["enable"])}
            case "screen/processing/threedlut/strength":
                return {"lut_strength": int(_within(float(body["strength"]), 0, 100))}
            case "preset/current/update":
                return {"preset": int(_within(float(body["sequenceNumber"]), 1, 3))}
            case _ if path.startswith("device/input/") and path.endswith("/edid"):
                size = body["para"]["resolution"]
                return {"signal": Signal(int(size["width"]), int(size["height"]), float(body["para"]["refreshRate"]))}
            case _:
                return None


def _within(value: float, low: float, high: float) -> float:
    if not low <= value <= high:
        raise ValueError(value)
    return value


def _say(code: int, data: Any, message: str) -> Response:
    body = msgspec.json.encode({"code": code, "data": data, "message": message})
    return Response(body, media_type="application/json")
