"""NovaStar COEX (MX and CX series) over HTTP: screens, their output, and answers that say 0 whether or not they act.

Facts: `reference/output.md` section 3, and the maker's own document of API 1.4 for the names in what is read (fans,
voltages, presets, inputs, test pictures of receiving cards). The controller may acknowledge and not apply, or snap a
colour temperature: only reading back tells. A code of 5 is busy; `device locked` means that VMP holds it on another
host. For blackout and freeze that document has 1 and 2 both ways round; 1 is blackout here, as its clients have it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from controller.processors.driver import BusyError, LockedError, checked, refused, strange
from controller.processors.http import UPLOAD_S, HttpLink, leaf, number, whole
from controller.processors.model import OFF, Ability, Health, Identity, InputSignal, Reading, Value, without
from controller.processors.tables import Tables
from stage.errors import Problem

PORT: Final = 8001
ROOT: Final = "/api/v1"

_SCREENS: Final = "screen?isNeedCabinetInfo=0"
_BUSY: Final = 5
_DEPTHS: Final = {8: 0, 10: 1, 12: 2}
_BITS: Final = {code: bits for bits, code in _DEPTHS.items()}
_MODES: Final = {"normal": 0, "blackout": 1, "freeze": 2}
_HDR: Final = {"pq": 0, "hlg": 1, "sdr": 2, "from_input": 255}
_HDR_NAMES: Final = {code: name for name, code in _HDR.items()}
_PATTERNS: Final = {
    OFF: 1, "red": 4, "green": 5, "blue": 6, "white": 7, "horizontal-lines": 8, "vertical-lines": 9, "slashes": 10,
    "checkerboard": 11, "greyscale": 12, "aging": 13,
}  # fmt: skip
"""Test pictures of the receiving cards, by the maker's number."""
_BACKUP: Final = {
    109: "main in use, backup standing by", 110: "main in use, backup in use", 111: "main in use, backup has failed",
    112: "main has failed, backup standing by", 113: "main has failed, backup in use", 114: "both have failed",
}  # fmt: skip
_NO_SYNC: Final = "its document gives no meaning to its numbers for sync: set it in VMP"
_NO_REMAPPING: Final = "its document tells it and has no way to set it: set it in VMP"
_NO_SHUTTER: Final = "its document has no shutter sync"
_ABILITIES: Final = {
    "brightness_percent": Ability(0.0, 100.0, 0.1),
    "colour_temperature_k": Ability(1700.0, 15_000.0, 100.0),
    "gamma": Ability(1.0, 4.0, 0.1),
    "bit_depth": Ability(8.0, 12.0, 2.0),
    "low_latency": Ability(writable=False, why_not="set it in VMP: low latency of the screen"),
    "additional_frames": Ability(writable=False, why_not="set it in VMP: additional frame delay of the screen"),
    "hdr_mode": Ability(choices=tuple(_HDR)),
    "input": Ability(),
    "gamut": Ability(),
    "remapping": Ability(writable=False, why_not=_NO_REMAPPING),
    "remapping_frames": Ability(writable=False, why_not=_NO_REMAPPING),
    "colour_correct": Ability(readable=False),
    "lut_file": Ability(readable=False),
    "lut": Ability(readable=False),
    "lut_strength_percent": Ability(0.0, 100.0, 1.0, readable=False),
    "preset": Ability(),
    "blackout": Ability(),
    "freeze": Ability(),
    "test_pattern": Ability(choices=tuple(_PATTERNS), readable=False),
    "identify": Ability(readable=False),
    **without(
        genlock_source=_NO_SYNC, genlock_phase_deg=_NO_SYNC, rate_multiplier=_NO_REMAPPING,
        shutter_mode=_NO_SHUTTER, shutter_angle_deg=_NO_SHUTTER, shutter_speed_hz=_NO_SHUTTER,
    ),
}  # fmt: skip


class Coex:
    """Driver for the screens of one controller; screens of the same group on other controllers are theirs."""

    def __init__(self, address: str, *, where: str, tables: Tables | None = None) -> None:
        self._link = HttpLink(address if ":" in address else f"{address}:{PORT}", where=where)
        self._where, self._tables = where, tables
        self._screens: list[str] = []
        self._layer = 1
        """Of the first screen: where its input is switched."""
        self._sources: dict[str, tuple[int, int]] = {}
        """Id and group of every input, by name."""
        self._written: dict[str, Value] = {}
        """What cannot be read back."""
        self._abilities = dict(_ABILITIES)

    @property
    def abilities(self) -> Mapping[str, Ability]:
        """The same for every controller of the series; choices of inputs and gamuts come with the first reading."""
        return self._abilities

    async def read(self) -> Reading:
        """One look: device, screens, display, output, presets, inputs."""
        device = await self._get("device/hw")
        screens = leaf(await self._get(_SCREENS), "screens")
        self._screens = [str(s["screenID"]) for s in screens or () if isinstance(s, dict) and "screenID" in s]
        shown = _first(leaf(await self._get("screen/displayparams"), "list"), "screenId", self._screens)
        output = _first(await self._get("screen/output"), "screenId", self._screens)
        display = await self._get("screen/output/display/state")
        monitor = await self._get("device/monitor/info?isNeedCabinetInfo=0")
        settings: dict[str, Value] = dict(self._written)
        brightness = number(leaf(shown, "brightness"))
        if brightness is not None:
            settings["brightness_percent"] = round(100.0 * brightness, 4)
        for name, key in (("colour_temperature_k", "colorTemperature"), ("gamma", "gamma")):
            value = number(leaf(shown, key))
            if value is not None:
                settings[name] = value
        bits = _BITS.get(whole(leaf(output, "outputBitDepth/currentBitDepth")) or 0)
        if bits is not None:
            settings["bit_depth"] = bits
        if isinstance(leaf(output, "lowDelay"), bool):
            settings["low_latency"] = bool(leaf(output, "lowDelay"))
        added = number(leaf(output, "additionalFrameDelay"))
        if added is not None:
            settings["additional_frames"] = added
        modes = [whole(leaf(one, "displayMode")) for one in leaf(display, "displayState") or ()]
        settings["blackout"] = _MODES["blackout"] in modes
        settings["freeze"] = _MODES["freeze"] in modes
        preset = await self._preset()
        if preset is not None:
            settings["preset"] = str(preset)
        sources = await self._get("device/input/sources")
        self._read_inputs(sources, _first(screens, "screenID", self._screens), settings)
        self._read_output(output, settings)
        return Reading(
            Identity(
                "NovaStar", str(leaf(device, "name") or ""), str(leaf(device, "customName") or ""),
                str(leaf(device, "sn") or ""), str(leaf(device, "swVersion") or ""),
            ),
            settings,
            _signal(sources, output),
            _health(monitor),
            notes=("its colour correction, 3D table, test pictures and marked panels cannot be read back",),
        )  # fmt: skip

    async def write(self, settings: Mapping[str, Value]) -> None:
        """One request a setting, for this controller's own screens."""
        checked(self._where, settings, self._abilities)
        if not self._screens:
            screens = leaf(await self._get(_SCREENS), "screens")
            self._screens = [str(s["screenID"]) for s in screens or ()]
        ids = {"screenIdList": self._screens}
        for name, value in settings.items():
            simple = self._simple(name, value)
            if simple is not None:
                await self._put(simple[0], {**ids, **simple[1]})
            else:
                await self._write_more(name, value)
            if not self._abilities[name].readable:
                self._written[name] = value

    @staticmethod
    def _simple(name: str, value: Value) -> tuple[str, dict[str, object]] | None:
        """Path and values of what is one request for all its screens."""
        match name:
            case "brightness_percent":
                return "screen/brightness", {"brightness": float(value) / 100.0}
            case "colour_temperature_k":
                return "screen/colortemperature", {"colorTemperature": int(value)}
            case "gamma":
                return "screen/gamma", {"gamma": float(value)}
            case "bit_depth":
                return "screen/output/bitdepth", {"bitDepth": _DEPTHS.get(int(value), 255)}
            case "blackout" | "freeze":
                # One mode holds both: switching one off must not leave the other's.
                return "screen/output/displaymode", {"value": _MODES[name] if value else _MODES["normal"]}
            case "gamut":
                return "screen/output/gamut", {"name": value}
            case "colour_correct":
                return "screen/processing/colorcorrect/enable", {"enable": bool(value)}
            case "lut":
                return "screen/processing/threedlut/enable", {"enable": bool(value)}
            case "lut_strength_percent":
                return "screen/processing/threedlut/strength", {"strength": int(value)}
        return None

    async def _write_more(self, name: str, value: Value) -> None:
        """What is asked of inputs, cabinets or each screen."""
        match name:
            case "hdr_mode":
                for number_, _ in self._sources.values():
                    await self._put(f"device/input/{number_}/hdrmode", {"hdrMode": _HDR[str(value)]})
            case "input":
                group = self._sources.get(str(value), (0, 0))[1]
                for screen in self._screens:
                    layers = [{"id": self._layer, "source": group}]
                    await self._put("screen/layer/input", {"screenID": screen, "layers": layers})
            case "test_pattern":
                everyone = await self._cabinets("all")
                await self._put("device/cabinet/testpattern", {"idList": everyone, "testmode": _PATTERNS[str(value)]})
            case "identify":
                await self._identify(str(value))
            case "lut_file":
                await self._upload(str(value))
            case "preset":
                for screen in self._screens:
                    body = {"sequenceNumber": int(str(value)), "screenID": screen}
                    await self._ask("POST", "preset/current/update", body)

    async def close(self) -> None:
        """Let the connection go."""
        await self._link.close()

    # --- panels and tables --------------------------------------------------------------------------------------

    async def _cabinets(self, which: str) -> list[int]:
        """Ids of cabinets: all, or those named by commas. Raises RefusedError."""
        found = await self._get("device/cabinet")
        known = [int(one["id"]) for one in found or () if isinstance(one, dict) and str(one.get("id", "")).isdigit()]
        if which == "all":
            return known
        wanted = [part.strip() for part in which.split(",") if part.strip()]
        if not wanted or not all(part.isdigit() and int(part) in known for part in wanted):
            some = ", ".join(str(one) for one in known[:8]) or "(none)"
            raise refused(f"{self._where}/identify", which, "no such panel", f"use all, off, or ids such as: {some}")
        return [int(part) for part in wanted]

    async def _identify(self, which: str) -> None:
        everyone = await self._cabinets("all")
        marked = [] if which == OFF else await self._cabinets(which)
        others = [one for one in everyone if one not in marked]
        for ids, enable in ((others, False), (marked, True)):
            if ids:
                await self._put("device/cabinet/mapping", {"idList": ids, "enable": enable})

    async def _upload(self, name: str) -> None:
        """A table as a file of a form, with its name and the screens it is for."""
        where = f"{self._where}/lut_file"
        if self._tables is None:
            raise refused(where, name, "no folder to take it from", "give it by a configuration")
        cube, file = self._tables.cube(where, name), PurePosixPath(name).name
        files = {
            "text": (None, file), "file": (file, cube.text.encode(), "application/octet-stream"),
            "screenIdList": (None, json.dumps(self._screens)),
        }  # fmt: skip
        await self._ask("PUT", "screen/processing/threedlut/file", files=files)

    # --- what is read -------------------------------------------------------------------------------------------

    def _read_inputs(self, sources: object, screen: object, settings: dict[str, Value]) -> None:
        """Inputs by name, which of them is shown, and how its light is taken."""
        self._sources = {
            str(one.get("name") or one["id"]): (int(one["id"]), int(one.get("groupId") or 0))
            for one in (sources if isinstance(sources, list) else ())
            if isinstance(one, dict) and whole(one.get("id")) is not None
        }  # fmt: skip
        if self._sources:
            self._abilities["input"] = Ability(choices=tuple(self._sources))
        mode = leaf(screen, "workingMode")
        layouts = leaf(screen, "layersInWorkingMode") or ()
        layers = next((leaf(one, "layers") for one in layouts if leaf(one, "workingMode") == mode), None) or ()
        for layer in layers[:1]:
            self._layer = whole(leaf(layer, "id")) or 0
            shown = whole(leaf(layer, "source"))
            name = next((name for name, (_, group) in self._sources.items() if group == shown), None)
            if name is not None:
                settings["input"] = name
        for one in sources if isinstance(sources, list) else ():
            code = whole(leaf(one, "hDRParams/overrideHdrType"))
            if code in _HDR_NAMES and str(leaf(one, "name")) == settings.get("input", str(leaf(one, "name"))):
                settings["hdr_mode"] = _HDR_NAMES[code]
                break

    def _read_output(self, output: object, settings: dict[str, Value]) -> None:
        gamut = leaf(output, "gamutList/currentGamutName")
        if isinstance(gamut, str) and gamut:
            settings["gamut"] = gamut
            listed = leaf(output, "gamutList/colorGamutInfoList")
            names = [str(leaf(one, "colorGamutInfo/targetGamut/name") or "") for one in listed or () if one]
            self._abilities["gamut"] = Ability(choices=tuple(dict.fromkeys((*filter(None, names), gamut))))
        remapping = leaf(output, "frameRemapingData")
        if isinstance(leaf(remapping, "frameSwitch"), bool):
            settings["remapping"] = bool(leaf(remapping, "frameSwitch"))
            settings["remapping_frames"] = ", ".join(
                f"colour {leaf(one, 'rData')} {leaf(one, 'gData')} {leaf(one, 'bData')}"
                if leaf(one, "customColourEn") is True
                else f"video {leaf(one, 'offsetX')} {leaf(one, 'offsetY')}"
                for one in leaf(remapping, "frameRemaping") or ()
            )

    async def _preset(self) -> int | None:
        found = leaf(await self._get("preset"), "screenPresetList")
        for screen in found or ():
            for preset in leaf(screen, "presetList") or ():
                if leaf(preset, "state") in (True, 1):
                    return whole(leaf(preset, "sequenceNumber"))
        return None

    async def _get(self, path: str) -> Any:
        return await self._ask("GET", path)

    async def _put(self, path: str, body: object) -> None:
        await self._ask("PUT", path, body)

    async def _ask(self, method: str, path: str, body: object = None, files: Mapping[str, Any] | None = None) -> Any:
        wait_s = UPLOAD_S if files else None
        status, answer = await self._link.ask(method, f"{ROOT}/{path}", body=body, files=files, timeout_s=wait_s)
        where = f"{self._where}/{path.partition('?')[0]}"
        if status in (502, 503, 504):
            raise BusyError(Problem(BusyError.code, where, f"it answers {status}: it is starting", None, "wait for it"))
        if status >= 400:
            raise refused(where, body, f"HTTP {status}")
        if not isinstance(answer, dict) or "code" not in answer:
            raise strange(where, "its answer has no `code`", str(answer)[:80])
        code, said = answer["code"], str(answer.get("message") or "")
        if code == 0:
            return answer.get("data")
        if "locked" in said.lower():
            mend = "close VMP on the other computer, or log it off from this controller"
            raise LockedError(Problem(LockedError.code, where, "VMP on another host holds it", None, mend))
        if code == _BUSY:
            raise BusyError(Problem(BusyError.code, where, f"it is busy ({said})", None, "it is asked again"))
        raise refused(where, body, f"code {code}: {said}")


def _first(found: object, key: str, ids: list[str]) -> object:
    """The entry of this controller's first screen."""
    entries = [entry for entry in found or () if isinstance(entry, dict)] if isinstance(found, list) else []
    return next((entry for entry in entries if str(entry.get(key)) in ids), entries[0] if entries else None)


_SAMPLINGS: Final = {"0": "RGB", "1": "YCbCr 4:2:2", "2": "YCbCr 4:4:4", "3": "YCbCr 4:2:0"}


def _signal(sources: object, output: object) -> InputSignal:
    rate = number(leaf(output, "currentFrameRate"))
    for source in sources if isinstance(sources, list) else ():
        if leaf(source, "sourceStatus") in (1, True):
            size = leaf(source, "actualResolution")
            return InputSignal(
                True, str(leaf(source, "name") or ""), whole(leaf(size, "width")), whole(leaf(size, "height")),
                number(leaf(source, "actualRefreshRate")) or rate, whole(leaf(source, "bitDepth")),
                _SAMPLINGS.get(str(leaf(source, "colorSpace")), ""),
            )  # fmt: skip
    return InputSignal(False if isinstance(sources, list) else None, rate_hz=rate)


def _health(monitor: object) -> Health:
    """Status 0 is well, 1 an alarm, 2 a fault, of everything it measures."""
    temperatures: dict[str, float] = {}
    troubles: list[str] = []
    board = number(leaf(monitor, "mainBoardTemperature/value"))
    if board is not None:
        temperatures["main board"] = board
    if (whole(leaf(monitor, "mainBoardTemperature/status")) or 0) != 0:
        troubles.append(f"its main board is too hot ({board} C)")
    if (whole(leaf(monitor, "mainBoardVoltage/status")) or 0) != 0:
        troubles.append(f"voltage of its main board is wrong ({leaf(monitor, 'mainBoardVoltage/value')})")
    for one in leaf(monitor, "temperatureInfos") or ():
        name = _named(_CHIPS, leaf(one, "temperatureType"))
        value = number(leaf(one, "temperature"))
        if value is not None:
            temperatures[name] = value
        if (whole(leaf(one, "status")) or 0) != 0:
            troubles.append(f"its {name} is too hot ({value} C)")
    fans: dict[str, float] = {}
    for fan in leaf(monitor, "fanInfos") or ():
        name, speed = _named(_FANS, leaf(fan, "fanType")), number(leaf(fan, "fanSpeed"))
        if speed is not None:
            fans[name] = speed
        if (whole(leaf(fan, "status")) or 0) != 0:
            troubles.append(f"its {name} fan has failed")
    troubles.extend(
        f"voltage of its {_named(_CHIPS, leaf(rail, 'voltageType'))} is wrong ({leaf(rail, 'voltage')})"
        for rail in leaf(monitor, "voltageInfos") or ()
        if (whole(leaf(rail, "status")) or 0) != 0
    )
    troubles.extend(
        f"its card {leaf(card, 'cardID')} has failed"
        for card in leaf(monitor, "cardMonitorInfo") or ()
        if (whole(leaf(card, "status")) or 0) != 0
    )
    code = whole(leaf(monitor, "backupStatus"))
    backup = _BACKUP.get(code or 0, "")
    if code is not None and code >= 111 and backup:
        troubles.append(f"redundancy: {backup}")
    return Health(temperatures, fans, redundancy=backup, troubles=tuple(troubles))


_CHIPS: Final = {0: "ARM", 1: "FPGA A", 2: "FPGA B"}
_FANS: Final = {0: "chassis", 1: "front left", 2: "front right", 3: "FPGA A", 4: "FPGA B"}


def _named(names: Mapping[int, str], code: object) -> str:
    found = whole(code)
    return names.get(-1 if found is None else found, f"number {code}")
