"""Megapixel HELIOS over its public API: one tree of properties, REST to look and set, a socket that tells changes.

Facts: `reference/output.md` section 2. Numbers come back as float32; a value out of range is kept as it was and the
answer says so; an unknown property vanishes without a word. The document names `dev.ingest.info` and `sys.info` without
saying what is in them; `dev.ingest.inputs`, `dev.ingest.genlock`, `dev.ingest.fans`, `dev.display.latencyLow` and
`sys.info.version.app` are read as a HELIOS of firmware 24.11 answers them, and left out where they are not there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from controller.processors.driver import BusyError, LockedError, checked, refused, strange
from controller.processors.http import HttpLink, leaf, number, put, whole
from controller.processors.model import OFF, Ability, Health, Identity, InputSignal, Reading, Value, without
from controller.processors.push import Push
from stage.errors import Problem

PORT: Final = 80
TREE: Final = "/api/v1/public"
SOCKET: Final = f"{TREE}/rpc/websocket"

_FLOAT32 = 1e-5
_PATHS: Final = {
    "brightness_percent": "dev/display/brightness",
    "colour_temperature_k": "dev/display/cct",
    "tint_duv": "dev/display/cctDuv",
    "gamma": "dev/display/gamma",
    "colour_correct": "dev/display/out/adjust/enabled",
    "blackout": "dev/display/blackout",
    "freeze": "dev/display/freeze",
    "input": "dev/ingest/input",
    "redundancy_mode": "dev/display/redundancy/mode",
    "redundancy_role": "dev/display/redundancy/role",
    "redundancy_state": "dev/display/redundancy/state",
    "low_latency": "dev/display/latencyLow",
    "genlock_source": "dev/ingest/genlock/source",
    "gamut": "dev/display/gamut/type",
}
_FLIPPED: Final = {"active": "main", "standby": "backup"}
"""`redundancy.state` is read in the words of the left, and written in those of the right."""
_PATTERNS: Final = (
    OFF, "colorBars", "red", "green", "blue", "white", "black", "grid", "smallGrid", "aspectRatioTest", "diagonal",
    "diagonalColorBars", "diagonalGradient", "horizontalGradient", "horizontalGraySteps", "verticalGradient",
    "verticalGraySteps",
)  # fmt: skip
_SEEN: Final = "its public API tells it and documents no way to set it: set it in its own pages"
_NO_TABLE: Final = "its public API has no 3D tables: load it in its own pages, or use a look"
_NO_REMAPPING: Final = "its public API has no frame remapping"
_NO_SHUTTER: Final = "its public API has no shutter sync"
_ABILITIES: Final = {
    "brightness_percent": Ability(0.0, 100.0, _FLOAT32),
    "colour_temperature_k": Ability(1000.0, 25_000.0, 1.0),
    "tint_duv": Ability(step=_FLOAT32),
    "gamma": Ability(0.1, 10.0, _FLOAT32),
    "colour_correct": Ability(),
    "blackout": Ability(),
    "freeze": Ability(),
    "input": Ability(),
    "redundancy_mode": Ability(choices=("none", "failover", "seamless")),
    "redundancy_role": Ability(choices=("main", "backup", "offline")),
    "redundancy_state": Ability(choices=("active", "standby")),
    "test_pattern": Ability(choices=_PATTERNS),
    "identify": Ability(),
    "preset": Ability(readable=False),
    "low_latency": Ability(writable=False, why_not=_SEEN),
    "genlock_source": Ability(writable=False, why_not=_SEEN),
    "gamut": Ability(writable=False, why_not=_SEEN),
    **without(
        lut_file=_NO_TABLE, lut=_NO_TABLE, lut_strength_percent=_NO_TABLE,
        remapping=_NO_REMAPPING, remapping_frames=_NO_REMAPPING, rate_multiplier=_NO_REMAPPING,
        shutter_mode=_NO_SHUTTER, shutter_angle_deg=_NO_SHUTTER, shutter_speed_hz=_NO_SHUTTER,
    ),
}  # fmt: skip
SEVERE: Final = 4
"""Alerts of this severity and below (2 critical, 3 error, 4 warning) are troubles; notices are not."""
WHOLE_EVERY: Final = 15
"""Looks between two readings of the whole tree over the socket: what vanished is told by no update."""
CONNECT_EVERY: Final = 15
"""Looks between two tries to open the socket where it is refused."""


class Helios:
    """Driver. Looks over the socket that tells changes, else with one GET for the whole tree; one PATCH a write."""

    def __init__(self, address: str, *, where: str) -> None:
        address = address if ":" in address else f"{address}:{PORT}"
        self._link = HttpLink(address, where=where)
        self._push = Push(f"ws://{address}{SOCKET}")
        self._where = where
        self._applied = ""
        self._looks = 0
        self._stale = False
        """Something was written since the whole tree was read."""
        self._groups: tuple[str, ...] = ()

    @property
    def abilities(self) -> Mapping[str, Ability]:
        """The same for every HELIOS."""
        return _ABILITIES

    @property
    def pushed(self) -> bool:
        """Whether it tells its changes by itself now."""
        return self._push.open

    def listen(self, news: Callable[[], None]) -> None:
        """Have `news` called whenever it told a change."""
        self._push.news = news

    async def read(self) -> Reading:
        """One look at the whole tree."""
        tree = await self._tree()
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
        groups = leaf(dev, "groups")
        if isinstance(groups, dict):
            self._groups = tuple(groups)
            marked = [name for name in groups if leaf(groups, f"{name}/testPattern/enabled") is True]
            settings["identify"] = OFF if not marked else "all" if len(marked) == len(groups) else ",".join(marked)
        if self._applied:
            settings["preset"] = self._applied
        info = leaf(system, "info")
        info = info if isinstance(info, dict) else {}
        version = info.get("version", "")
        identity = Identity(
            "Megapixel", str(info.get("model", "HELIOS")), str(leaf(system, "description") or ""),
            str(info.get("serial", "")), str(leaf(version, "app") or "") if isinstance(version, dict) else str(version),
        )  # fmt: skip
        how = () if self._push.open else ("its socket that tells changes is not there: it is asked every two seconds",)
        return Reading(identity, settings, _signal(leaf(dev, "ingest")), _health(dev, system), notes=how)

    async def write(self, settings: Mapping[str, Value]) -> None:
        """Everything in one partial tree; presets by a request of their own, last."""
        checked(self._where, settings, _ABILITIES)
        self._stale = True
        tree: dict[str, Any] = {}
        for name, value in settings.items():
            if name == "redundancy_state":
                put(tree, _PATHS[name], _FLIPPED[str(value)])
            elif name in _PATHS:
                put(tree, _PATHS[name], value)
            elif name == "test_pattern":
                put(tree, "dev/ingest/testPattern/enabled", value != OFF)
                if value != OFF:
                    put(tree, "dev/ingest/testPattern/type", value)
            elif name == "identify":
                for group, marked in (await self._marked(str(value))).items():
                    put(tree, f"dev/groups/{group}/testPattern/enabled", marked)
        if tree:
            await self._ask("PATCH", TREE, tree)
        if "preset" in settings:
            await self._apply(str(settings["preset"]))

    async def close(self) -> None:
        """Let the connections go."""
        await self._push.close()
        await self._link.close()

    async def presets(self) -> dict[str, str]:
        """Name of every preset by its id."""
        answer = await self._ask("GET", "/api/v1/presets/list")
        found = leaf(answer, "presets")
        return {str(p["id"]): str(p.get("presetName", "")) for p in found} if isinstance(found, list) else {}

    async def _tree(self) -> Any:
        """All it tells: what its socket told last, if that still answers; else asked for."""
        self._looks += 1
        if self._push.open:
            try:
                if self._stale or self._looks % WHOLE_EVERY == 0:
                    await self._push.state()
                    self._stale = False
                else:
                    await self._push.ping()
                if self._push.tree is not None:
                    return self._push.tree
            except OSError:
                await self._push.close()
        tree = await self._ask("GET", TREE)
        self._stale = False
        # Only one that answers is asked for its socket, and one that refuses it is asked seldom.
        if self._looks % CONNECT_EVERY == 1 and await self._push.connect():
            return self._push.tree
        return tree

    async def _marked(self, which: str) -> dict[str, bool]:
        """Whether each group of panels is to show its test picture."""
        if not self._groups:
            found = leaf(await self._ask("GET", f"{TREE}?dev.groups"), "dev/groups")
            self._groups = tuple(found) if isinstance(found, dict) else ()
        wanted = {part.strip() for part in which.split(",")} - {"", OFF}
        if wanted == {"all"}:
            wanted = set(self._groups)
        if not self._groups or not wanted <= set(self._groups):
            groups = ", ".join(self._groups) or "(none; make some on its own pages)"
            raise refused(f"{self._where}/identify", which, "no such group of panels", f"use all, off, or: {groups}")
        return {group: group in wanted for group in self._groups}

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
    """What arrives: as `inputs.<active>` tells it (firmware 24), else as an `info` of plain names does."""
    port = str(leaf(ingest, "input") or "")
    inputs = leaf(ingest, "inputs")
    active = inputs.get(port) if isinstance(inputs, dict) else None
    if isinstance(active, dict):
        rate, valid = number(active.get("freq")), active.get("valid")
        there = valid if isinstance(valid, bool) else rate is not None and rate > 0.0
        if not there:
            return InputSignal(False, port)
        told = str(active.get("format") or "")
        bits = re.search(r"(\d+) ?bpc", told)
        return InputSignal(
            True, port, whole(active.get("w")), whole(active.get("h")), rate,
            int(bits.group(1)) if bits else None, told.split(" rec", 1)[0] if told != "-" else "",
            _HDR.get(str(active.get("eotf") or "").lower(), ""),
        )  # fmt: skip
    info = leaf(ingest, "info")
    if not isinstance(info, dict):
        return InputSignal(port=port)
    rate = number(info.get("framerate") or info.get("frameRate"))
    return InputSignal(
        rate is not None and rate > 0.0, port, whole(info.get("width")), whole(info.get("height")), rate,
        whole(info.get("bitDepth")),
    )  # fmt: skip


_HDR: Final = {"sdr": "sdr", "pq": "pq", "hdr10": "pq", "hlg": "hlg"}


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
    genlock = leaf(dev, "ingest/genlock")
    if leaf(genlock, "enabled") is True and leaf(genlock, "matched") is False:
        troubles.append((SEVERE, f"its sync ({leaf(genlock, 'source')}) does not match its input"))
    fans = leaf(dev, "ingest/fans")
    online = leaf(dev, "receivers")
    return Health(
        fans_rpm={str(n): float(v) for n, v in fans.items() if number(v) is not None} if isinstance(fans, dict) else {},
        panels_online=len(online) if isinstance(online, dict) else None,
        panels_expected=whole(leaf(dev, "display/tilesCount")),
        redundancy=str(leaf(dev, "display/redundancy/info") or leaf(dev, "display/redundancy/state") or ""),
        troubles=tuple(words for _, words in sorted(troubles)),
    )


def _receivers(dev: object) -> list[object]:
    receivers = leaf(dev, "receivers")
    return [leaf(one, "alerts") for one in receivers.values()] if isinstance(receivers, dict) else []
