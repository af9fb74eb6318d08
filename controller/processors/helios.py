"""Megapixel HELIOS over its public API: one tree of properties, REST to look and set, a socket that tells changes.

Facts: `reference/output.md` section 2. Numbers come back as float32; a value out of range is kept as it was and the
answer says so; an unknown property vanishes without a word.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from controller.processors.driver import BusyError, LockedError, checked, refused, strange
from controller.processors.http import HttpLink, leaf, number, put, whole
from controller.processors.model import OFF, Ability, Health, Identity, InputSignal, Reading, Value
from stage.errors import Problem

PORT: Final = 80
TREE: Final = "/api/v1/public"

_FLOAT32 = 1e-5
_PATHS: Final = {
    "brightness_percent": "dev/display/brightness",
    "colour_temperature_k": "dev/display/cct",
    "gamma": "dev/display/gamma",
    "blackout": "dev/display/blackout",
    "freeze": "dev/display/freeze",
    "input": "dev/ingest/input",
    "redundancy_mode": "dev/display/redundancy/mode",
}
_PATTERNS: Final = (OFF, "colorBars", "red", "green", "blue", "white", "black", "grid")
_ABILITIES: Final = {
    "brightness_percent": Ability(0.0, 100.0, _FLOAT32),
    "colour_temperature_k": Ability(1000.0, 20_000.0, 1.0),
    "gamma": Ability(0.1, 10.0, _FLOAT32),
    "blackout": Ability(),
    "freeze": Ability(),
    "input": Ability(),
    "redundancy_mode": Ability(choices=("none", "failover", "seamless")),
    "test_pattern": Ability(choices=_PATTERNS),
    "preset": Ability(readable=False),
}
SEVERE: Final = 4
"""Alerts of this severity and below (2 critical, 3 error, 4 warning) are troubles; notices are not."""


class Helios:
    """Driver. One GET for the whole tree a look, one PATCH for everything written."""

    def __init__(self, address: str, *, where: str) -> None:
        self._link = HttpLink(address if ":" in address else f"{address}:{PORT}", where=where)
        self._where = where
        self._applied = ""

    @property
    def abilities(self) -> Mapping[str, Ability]:
        """The same for every HELIOS."""
        return _ABILITIES

    async def read(self) -> Reading:
        """One look at the whole tree."""
        tree = await self._ask("GET", TREE)
        dev, system = leaf(tree, "dev"), leaf(tree, "sys")
        if not isinstance(dev, dict):
            raise strange(self._where, "its answer holds no `dev`", str(tree)[:80])
        settings: dict[str, Value] = {}
        for name, path in _PATHS.items():
            found = leaf(tree, path)
            if isinstance(found, (bool, int, float, str)):
                settings[name] = found
        pattern = leaf(dev, "ingest/testPattern")
        if isinstance(pattern, dict):
            settings["test_pattern"] = str(pattern.get("type")) if pattern.get("enabled") else OFF
        if self._applied:
            settings["preset"] = self._applied
        info = leaf(system, "info")
        info = info if isinstance(info, dict) else {}
        identity = Identity(
            "Megapixel", str(info.get("model", "HELIOS")), str(leaf(system, "description") or ""),
            str(info.get("serial", "")), str(info.get("version", "")),
        )  # fmt: skip
        return Reading(identity, settings, _signal(leaf(dev, "ingest")), _health(dev, system))

    async def write(self, settings: Mapping[str, Value]) -> None:
        """Everything in one partial tree; presets by a request of their own, last."""
        checked(self._where, settings, _ABILITIES)
        tree: dict[str, Any] = {}
        for name, value in settings.items():
            if name in _PATHS:
                put(tree, _PATHS[name], value)
            elif name == "test_pattern":
                put(tree, "dev/ingest/testPattern/enabled", value != OFF)
                if value != OFF:
                    put(tree, "dev/ingest/testPattern/type", value)
        if tree:
            await self._ask("PATCH", TREE, tree)
        if "preset" in settings:
            await self._apply(str(settings["preset"]))

    async def close(self) -> None:
        """Let the connection go."""
        await self._link.close()

    async def presets(self) -> dict[str, str]:
        """Name of every preset by its id."""
        answer = await self._ask("GET", "/api/v1/presets/list")
        found = leaf(answer, "presets")
        return {str(p["id"]): str(p.get("presetName", "")) for p in found} if isinstance(found, list) else {}

    async def _apply(self, preset: str) -> None:
        if preset.isdigit():
            await self._ask("POST", f"/api/v1/presets/{preset}/apply", {})
        else:
            await self._ask("POST", "/api/v1/presets/apply", {"presetName": preset})
        self._applied = preset

    async def _ask(self, method: str, path: str, body: object = None) -> Any:
        headers = {"content-type": "application/json"} if method != "GET" else None
        status, answer = await self._link.ask(method, path, body=body, headers=headers)
        if status in (401, 403):
            mend = "switch its password off, or give the address as user:password@host"
            raise LockedError(Problem(LockedError.code, self._where, f"it answers {status}", None, mend))
        if status in (502, 503, 504):
            problem = Problem(BusyError.code, self._where, f"it answers {status}: it is starting", None, "wait for it")
            raise BusyError(problem)
        if status >= 400:
            raise refused(f"{self._where}{path.removeprefix(TREE)}", body, f"HTTP {status} {str(answer or '')[:60]}")
        return answer


def _signal(ingest: object) -> InputSignal:
    info = leaf(ingest, "info")
    port = str(leaf(ingest, "input") or "")
    if not isinstance(info, dict):
        return InputSignal(port=port)
    rate = number(info.get("framerate") or info.get("frameRate"))
    return InputSignal(
        rate is not None and rate > 0.0, port, whole(info.get("width")), whole(info.get("height")), rate,
        whole(info.get("bitDepth")),
    )  # fmt: skip


def _health(dev: object, system: object) -> Health:
    troubles: list[tuple[int, str]] = []
    for alerts in (leaf(system, "alerts"), leaf(dev, "ingest/alerts"), *_receivers(dev)):
        for name, alert in alerts.items() if isinstance(alerts, dict) else ():
            if not isinstance(alert, dict):
                continue
            severity = whole(alert.get("severity"))
            if severity is not None and severity <= SEVERE:
                words = str(alert.get("brief") or alert.get("desc") or name)
                count = whole(alert.get("count")) or 1
                troubles.append((severity, words if count == 1 else f"{words} ({count} times)"))
    online = leaf(dev, "receivers")
    return Health(
        panels_online=len(online) if isinstance(online, dict) else None,
        panels_expected=whole(leaf(dev, "display/tilesCount")),
        redundancy=str(leaf(dev, "display/redundancy/state") or ""),
        troubles=tuple(words for _, words in sorted(troubles)),
    )


def _receivers(dev: object) -> list[object]:
    receivers = leaf(dev, "receivers")
    return [leaf(one, "alerts") for one in receivers.values()] if isinstance(receivers, dict) else []
