"""An emulated NovaStar COEX controller with one screen: `code` 0 for good, busy and locked in its own words.

Its quirks are kept: brightness 0..1 for `screenIdList` (the vendor's form) and 0..100 for `screenIds` (some clients');
a colour temperature snaps to hundreds; with `lying` it acknowledges and applies nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from email import message_from_bytes
from email.message import Message
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from controller.processors.emulators.device import Faults, Shown, Signal, is_cube

SCREEN: Final = "{8C6F6B1D-0001}"
_CANVAS: Final = 2048
CABINETS: Final = tuple(range(101, 125))
_GAMUTS: Final = ("Rec.709", "DCI-P3", "Rec.2020")
_PATTERNS: Final = {4: "red", 5: "green", 6: "blue", 7: "white", 8: "h line", 9: "v line", 11: "checkerboard"}


class CoexEmulator:
    """State and app of one controller. `shown` is what its panels do with the picture."""

    def __init__(self, *, name: str = "MX40 Pro", signal: Signal | None = None) -> None:
        self.faults = Faults()
        self.signal = signal or Signal()
        self.name = name
        self.brightness, self.colour_temperature, self.gamma = 1.0, 6500, 2.8
        self.mode, self.depth, self.low_delay, self.added_frames = 0, 1, False, 0
        self.preset, self.lut, self.lut_strength = 1, False, 100
        self.table, self.gamut, self.hdr, self.source, self.pattern = "", "Rec.709", 255, 1, 1
        self.corrected = False
        self.marked: list[int] = []
        """Cabinets that show which they are."""
        self.app = Starlette(
            routes=[Route("/api/v1/{path:path}", self._answer, methods=["GET", "PUT", "POST", "DELETE"])]
        )

    @property
    def shown(self) -> Shown:
        """What the twin shows of it."""
        pattern = "off" if self.pattern == 1 else _PATTERNS.get(self.pattern, "grid")
        return Shown(self.brightness, self.mode == 1, self.mode == 2, pattern)

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
        if path == "screen/processing/threedlut/file" and request.method == "PUT":
            return await self._uploaded(request)
        try:
            body = msgspec.json.decode(await request.body())
        except msgspec.DecodeError:
            return _say(2, None, "parameter error")
        if not isinstance(body, dict):
            return _say(2, None, "parameter error")
        return self._set(path, body)

    async def _uploaded(self, request: Request) -> Response:
        """A form of three parts: the table's name, its file, the screens it is for."""
        parts = _form(request.headers.get("content-type", ""), await request.body())
        if not {"text", "file", "screenIdList"} <= set(parts):
            return _say(2, None, "parameter error")
        table, ids = parts["file"], parts["screenIdList"]
        if SCREEN not in ids:
            return _say(3, None, "screen not found")
        if not is_cube(table):
            return _say(2, None, "parameter error")
        if "lying" not in self.faults:
            self.table = table
        return _say(0, None, "Success")

    def _look(self, path: str) -> Any:
        one = {"screenId": SCREEN}
        match path:
            case "device/hw":
                return {"name": self.name, "sn": "N000042", "swVersion": "1.4.0", "mode": 3, "customName": ""}
            case "screen":
                return {"screens": [{"screenID": SCREEN, "screenName": "Wall", "screenGroupID": 1,
                                     "lowLatency": self.low_delay, "canvases": [], "workingMode": 0,
                                     "layersInWorkingMode": [{"workingMode": 0, "layers": [
                                         {"id": 1, "source": self.source}]}]}], "screenGroups": []}  # fmt: skip
            case "screen/displayparams":
                return {"list": [{**one, "brightness": self.brightness, "colorTemperature": self.colour_temperature,
                                  "gamma": self.gamma}]}  # fmt: skip
            case "screen/output":
                depth = {"bitDepth": self.depth, "currentBitDepth": self.depth}
                gamuts = [{"fromInputStatus": False, "isCustomGamut": False, "colorGamutInfo": {
                    "colorTemperature": 6500, "targetGamut": {"name": name, "gamut": {}},
                }} for name in _GAMUTS]  # fmt: skip
                return [{**one, "lowDelay": self.low_delay, "additionalFrameDelay": self.added_frames,
                         "outputBitDepth": depth, "currentFrameRate": self.signal.rate_hz,
                         "frameRemapingData": {"frameType": 0, "frameSwitch": False, "frameRemaping": []},
                         "gamutList": {"currentGamutName": self.gamut, "colorGamutInfoList": gamuts}}]  # fmt: skip
            case "screen/output/display/state":
                return {"mappingState": [{"canvasID": _CANVAS, "enable": False}],
                        "displayState": [{"canvasID": _CANVAS, "displayMode": self.mode}]}  # fmt: skip
            case "device/monitor/info":
                hot = "unplugged" in self.faults
                return {"name": self.name, "runtime": 3600, "totalRuntime": 7200, "backupStatus": 109,
                        "mainBoardTemperature": {"value": 41.0, "status": 0},
                        "mainBoardVoltage": {"value": 12.0, "status": 0},
                        "fanInfos": [{"fanSpeed": 2400, "fanType": 0, "status": 2 * hot}],
                        "voltageInfos": [{"voltage": 3.3, "voltageType": 0, "status": 0}],
                        "temperatureInfos": [{"temperature": 52.5, "temperatureType": 1, "status": 0}]}  # fmt: skip
            case "device/backup":
                return {"master": self.name, "backup": ""}
            case "device/cabinet":
                return [{"id": number, "resolution": {"width": 176, "height": 176}, "brightness": self.brightness,
                         "colorTemperature": self.colour_temperature} for number in CABINETS]  # fmt: skip
            case "device/input/sources":
                there = "no_signal" not in self.faults
                size = {"width": self.signal.width_px, "height": self.signal.height_px}
                nothing = {"width": 0, "height": 0}
                return [{"id": n, "groupId": n, "type": kind, "name": name,
                         "sourceStatus": int(there and n == self.source),
                         "actualResolution": size if there and n == self.source else nothing,
                         "actualRefreshRate": self.signal.rate_hz if there and n == self.source else 0,
                         "bitDepth": self.signal.bits, "colorSpace": "0",
                         "hDRParams": {"overrideHdrType": self.hdr}}
                        for n, kind, name in ((1, 3, "HDMI1"), (2, 9, "SDI1"))]  # fmt: skip
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
            case "screen/processing/colorcorrect/enable":
                return {"corrected": bool(body["enable"])}
            case "screen/processing/threedlut/enable":
                return {"lut": bool(body["enable"])}
            case "screen/processing/threedlut/strength":
                return {"lut_strength": int(_within(float(body["strength"]), 0, 100))}
            case "screen/processing/threedlut/file":
                return {"table": ""}
            case "screen/output/gamut":
                return {"gamut": _one(str(body["name"]), _GAMUTS)}
            case "screen/layer/input":
                return {"source": int(_within(float(body["layers"][0]["source"]), 1, 2))}
            case "device/cabinet/testpattern":
                _known(body["idList"])
                return {"pattern": _one(int(body["testmode"]), (1, *range(4, 14)))}
            case "device/cabinet/mapping":
                ids = set(_known(body["idList"]))
                return {"marked": sorted(set(self.marked) | ids if body["enable"] else set(self.marked) - ids)}
            case "device/hw/mapping":
                return {}
            case _ if path.startswith("device/input/") and path.endswith("/hdrmode"):
                return {"hdr": _one(int(body["hdrMode"]), (0, 1, 2, 255))}
            case "preset/current/update":
                return {"preset": int(_within(float(body["sequenceNumber"]), 1, 3))}
            case _ if path.startswith("device/input/") and path.endswith("/edid"):
                size = body["para"]["resolution"]
                return {"signal": Signal(int(size["width"]), int(size["height"]), float(body["para"]["refreshRate"]))}
            case _:
                return None


def _one(value: Any, choices: Collection[Any]) -> Any:
    if value not in choices:
        raise ValueError(value)
    return value


def _known(ids: list[int]) -> list[int]:
    return [_one(int(number), CABINETS) for number in ids]


def _form(kind: str, body: bytes) -> dict[str, str]:
    """The parts of a form with files, by name."""
    message = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
    parts = message.get_payload()
    found: dict[str, str] = {}
    for part in parts if isinstance(parts, list) else ():
        assert isinstance(part, Message)
        name, data = part.get_param("name", header="content-disposition"), part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(data, bytes):
            found[name] = data.decode(errors="replace")
    return found


def _within(value: float, low: float, high: float) -> float:
    if not low <= value <= high:
        raise ValueError(value)
    return value


def _say(code: int, data: Any, message: str) -> Response:
    body = msgspec.json.encode({"code": code, "data": data, "message": message})
    return Response(body, media_type="application/json")
