"""NovaStar COEX (MX and CX series) over HTTP: screens, their output, and answers that say 0 whether or not they act.

Facts: `reference/output.md` section 3. The controller may acknowledge and not apply, or snap a colour temperature: only
reading back tells. A code of 5 is busy; `device locked` means that VMP holds it on another host.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from controller.processors.driver import BusyError, LockedError, checked, refused, strange
from controller.processors.http import HttpLink, leaf, number, whole
from controller.processors.model import Ability, Health, Identity, InputSignal, Reading, Value
from stage.errors import Problem

PORT: Final = 8001
ROOT: Final = "/api/v1"

_BUSY: Final = 5
_DEPTHS: Final = {8: 0, 10: 1, 12: 2}
_BITS: Final = {code: bits for bits, code in _DEPTHS.items()}
_MODES: Final = {"normal": 0, "blackout": 1, "freeze": 2}
_ABILITIES: Final = {
    "brightness_percent": Ability(0.0, 100.0, 0.1),
    "colour_temperature_k": Ability(1700.0, 15_000.0, 100.0),
    "gamma": Ability(1.0, 4.0, 0.1),
    "bit_depth": Ability(8.0, 12.0, 2.0),
    "low_latency": Ability(writable=False, why_not="set it in VMP: low latency of the screen"),
    "additional_frames": Ability(writable=False, why_not="set it in VMP: additional frame delay of the screen"),
    "lut": Ability(readable=False),
    "lut_strength_percent": Ability(0.0, 100.0, 1.0, readable=False),
    "preset": Ability(),
    "blackout": Ability(),
    "freeze": Ability(),
}


class Coex:
    """Driver for the screens of one controller; screens of the same group on other controllers are theirs."""

    def __init__(self, address: str, *, where: str) -> None:
        self._link = HttpLink(address if ":" in address else f"{address}:{PORT}", where=where)
        self._where = where
        self._screens: list[str] = []
        self._written: dict[str, Value] = {}
        """What cannot be read back."""

    @property
    def abilities(self) -> Mapping[str, Ability]:
        """The same for every controller of the series."""
        return _ABILITIES

    async def read(self) -> Reading:
        """One look: device, screens, display, output, presets, inputs."""
        device = await self._get("device/hw")
        screens = leaf(await self._get("screen?isNeedCabinetInfo=0"), "screens")
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
        return Reading(
            Identity(
                "NovaStar", str(leaf(device, "name") or ""), str(leaf(device, "customName") or ""),
                str(leaf(device, "sn") or ""), str(leaf(device, "swVersion") or ""),
            ),
            settings,
            _signal(await self._get("device/input/sources"), output),
            _health(monitor),
            notes=("its 3D table cannot be read back",),
        )  # fmt: skip

    async def write(self, settings: Mapping[str, Value]) -> None:
        """One request a setting, for this controller's own screens."""
        checked(self._where, settings, _ABILITIES)
        if not self._screens:
            screens = leaf(await self._get("screen?isNeedCabinetInfo=0"), "screens")
            self._screens = [str(s["screenID"]) for s in screens or ()]
        ids = {"screenIdList": self._screens}
        for name, value in settings.items():
            match name:
                case "brightness_percent":
                    await self._put("screen/brightness", {**ids, "brightness": float(value) / 100.0})
                case "colour_temperature_k":
                    await self._put("screen/colortemperature", {**ids, "colorTemperature": int(value)})
                case "gamma":
                    await self._put("screen/gamma", {**ids, "gamma": float(value)})
                case "bit_depth":
                    await self._put("screen/output/bitdepth", {**ids, "bitDepth": _DEPTHS.get(int(value), 255)})
                case "blackout" | "freeze":
                    # One mode holds both: switching one off must not leave the other's.
                    mode = _MODES[name] if value else _MODES["normal"]
                    await self._put("screen/output/displaymode", {**ids, "value": mode})
                case "lut":
                    await self._put("screen/processing/threedlut/enable", {**ids, "enable": bool(value)})
                case "lut_strength_percent":
                    await self._put("screen/processing/threedlut/strength", {**ids, "strength": int(value)})
                case "preset":
                    for screen in self._screens:
                        body = {"sequenceNumber": int(str(value)), "screenID": screen}
                        await self._ask("POST", "preset/current/update", body)
            if not _ABILITIES[name].readable:
                self._written[name] = value

    async def close(self) -> None:
        """Let the connection go."""
        await self._link.close()

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

    async def _ask(self, method: str, path: str, body: object = None) -> Any:
        status, answer = await self._link.ask(method, f"{ROOT}/{path}", body=body)
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


def _signal(sources: object, output: object) -> InputSignal:
    rate = number(leaf(output, "currentFrameRate"))
    for source in sources if isinstance(sources, list) else ():
        if leaf(source, "sourceStatus") in (1, True):
            size = leaf(source, "actualResolution")
            return InputSignal(
                True, str(leaf(source, "name") or ""), whole(leaf(size, "width")), whole(leaf(size, "height")),
                number(leaf(source, "actualRefreshRate")) or rate,
            )  # fmt: skip
    return InputSignal(False if isinstance(sources, list) else None, rate_hz=rate)


def _health(monitor: object) -> Health:
    temperatures: dict[str, float] = {}
    troubles: list[str] = []
    board = number(leaf(monitor, "mainBoardTemperature/value"))
    if board is not None:
        temperatures["main board"] = board
    if (whole(leaf(monitor, "mainBoardTemperature/status")) or 0) != 0:
        troubles.append(f"its main board is too hot ({board} C)")
    fans: dict[str, float] = {}
    for index, fan in enumerate(leaf(monitor, "fans") or (), start=1):
        speed = number(leaf(fan, "value"))
        if speed is not None:
            fans[str(index)] = speed
        if (whole(leaf(fan, "status")) or 0) != 0:
            troubles.append(f"fan {index} has failed")
    troubles.extend(
        f"voltage {leaf(rail, 'name') or ''} is wrong ({leaf(rail, 'value')})"
        for rail in leaf(monitor, "voltages") or ()
        if (whole(leaf(rail, "status")) or 0) != 0
    )
    return Health(temperatures, fans, redundancy=str(leaf(monitor, "backupStatus") or ""), troubles=tuple(troubles))
