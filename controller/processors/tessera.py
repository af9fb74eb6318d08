"""Brompton Tessera over its IP control: HTTP, a tree of paths under `/api`.

Facts: `reference/output.md` section 1. Names are case-insensitive, errors are told by the body, and what is written
comes back rounded to the tree's own decimals.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import msgspec

from controller.processors.driver import BusyError, LockedError, RefusedError, checked, refused, strange
from controller.processors.http import UPLOAD_S, HttpLink, leaf, number, put, whole
from controller.processors.model import OFF, Ability, Health, Identity, InputSignal, Reading, Value, without
from controller.processors.tables import Tables, parse_cube
from stage.errors import Problem

PORT: Final = 80

_HDR: Final = {
    "from_input": "from-input",
    "sdr": "standard-dynamic-range",
    "pq": "perceptual-quantiser",
    "hlg": "hybrid-log-gamma",
}
_HDR_NAMES: Final = {text: name for name, text in _HDR.items()}
_PATHS: Final = {
    "brightness_nits": "output/global-colour/brightness",
    "colour_temperature_k": "output/global-colour/colour-temperature",
    "gamma": "output/global-colour/gamma",
    "gain_percent": "output/global-colour/gains/intensity",
    "gain_red_percent": "output/global-colour/gains/red",
    "gain_green_percent": "output/global-colour/gains/green",
    "gain_blue_percent": "output/global-colour/gains/blue",
    "dark_magic": "output/global-colour/dark-magic/enabled",
    "puretone": "output/global-colour/puretone/enabled",
    "extended_bit_depth": "output/global-colour/extended-bit-depth/enabled",
    "overdrive": "output/global-colour/overdrive/enabled",
    "hidden_markers": "output/network/hidden-markers/enabled",
    "startracker": "output/network/startracker/enabled",
    "colour_correct": "processing/colour-correct/enabled",
    "colour_replace": "processing/colour-replace/enabled",
    "curves": "processing/curves/enabled",
    "scaler": "processing/scaler/enabled",
    "seam_correction": "processing/osca/seam-correction-enabled",
    "module_correction": "processing/osca/module-correction-enabled",
    "project": "project/name",
    "bit_depth": "output/network/bit-depth",
    "genlock_source": "output/network/genlock/source",
    "genlock_rate_hz": "output/network/genlock/internal-rate",
    "shutter_mode": "output/network/shuttersync/mode",
    "shutter_angle_deg": "output/network/shuttersync/angle-settings/shutter-angle",
    "shutter_speed_hz": "output/network/shuttersync/speed-settings/shutter-speed",
    "shutter_viewer": "output/network/shuttersync/viewer",
    "shutter_sensor": "output/network/shuttersync/sensor-type",
    "shutter_readout_ms": "output/network/shuttersync/sensor-readout-time",
    "rate_multiplier": "output/network/frame-rate-multiplier",
    "remapping": "output/network/frame-remapping/enabled",
    "lut": "processing/3d-lut/enabled",
    "lut_strength_percent": "processing/3d-lut/strength",
    "blackout": "override/blackout/enabled",
    "freeze": "override/freeze/enabled",
}
"""Settings that are one leaf."""
_BRANCHES: Final = (
    "system",
    "input",
    "output",
    "override",
    "processing/3d-lut",
    "presets/active",
    "devices/statistics",
)
_SELDOM: Final = (
    "project/name",
    "processing/colour-correct/enabled",
    "processing/colour-replace/enabled",
    "processing/curves/enabled",
    "processing/scaler/enabled",
    "processing/osca",
)
"""Beside the branches above these change next to never: one a look, all of them at first and after a write."""
_PATTERNS: Final = (
    OFF, "brompton", "red", "green", "blue", "cyan", "magenta", "yellow", "white", "black", "grid", "scrolling-grid",
    "checkerboard", "scrolling-checkerboard", "colour-bars", "scrolling-colour-bars", "gradient", "scrolling-gradient",
    "strobe", "smpte-bars", "scrolling-smpte-bars", "custom-colour", "custom", "forty-five-degree-grid",
    "scrolling-forty-five-degree-grid", "custom-gradient", "scrolling-custom-gradient",
)  # fmt: skip
_REMAPPED_MOST: Final = 10
_TABLE: Final = "processing/3d-lut/data"
_TABLE_EVERY: Final = 30
"""Looks between two readings of the whole 3D table: its name tells most changes."""


class Tessera:
    """Driver. One GET a branch and look, one PUT a leaf written."""

    def __init__(self, address: str, *, where: str, tables: Tables | None = None) -> None:
        self._link = HttpLink(address if ":" in address else f"{address}:{PORT}", where=where)
        self._where, self._tables = where, tables
        self._port = ("", 0)
        """Type and number of the active input, as the tree names it."""
        self._abilities = dict(_ABILITIES)
        self._table: tuple[object, str, str] | None = None
        """The 3D table as it was read: the name the processor gives it, its digest, and what to call it else."""
        self._looks = 0
        self._seldom: dict[str, Any] = {}
        """What the branches of `_SELDOM` held last; empty: all are to be read."""

    @property
    def abilities(self) -> Mapping[str, Ability]:
        """What a Tessera has; choices of the input come with the first reading."""
        return self._abilities

    async def read(self) -> Reading:
        """One look at every branch the show cares for."""
        tree: dict[str, Any] = {}
        for branch in _BRANCHES:
            found = await self._get(branch)
            if found is not None:
                put(tree, branch, found)
        await self._look_seldom()
        for branch, found in self._seldom.items():
            if found is not None:
                put(tree, branch, found)
        reading = self._reading(tree)
        held = await self._held_table(leaf(tree, "processing/3d-lut"))
        if held is None:
            return reading
        return msgspec.structs.replace(reading, settings={**reading.settings, "lut_file": held})

    async def write(self, settings: Mapping[str, Value]) -> None:
        """One leaf after the other; `remapping_frames` and `input` are several."""
        checked(self._where, settings, self._abilities)
        self._seldom.clear()
        for name, value in settings.items():
            if name == "lut_file":
                await self._upload(str(value))
                continue
            for path, sent in self._leaves(name, value):
                await self._put(path, sent)

    async def close(self) -> None:
        """Let the connection go."""
        await self._link.close()

    async def _look_seldom(self) -> None:
        everything = len(self._seldom) < len(_SELDOM)
        for branch in _SELDOM if everything else (_SELDOM[self._looks % len(_SELDOM)],):
            self._seldom[branch] = await self._get(branch)

    # --- the 3D table -----------------------------------------------------------------------------------------

    async def _upload(self, name: str) -> None:
        if self._tables is None:
            raise refused(f"{self._where}/lut_file", name, "no folder to take it from", "give it by a configuration")
        cube = self._tables.cube(f"{self._where}/lut_file", name)
        self._table = None  # whatever comes of it: read again
        await self._put(_TABLE, cube.text, timeout_s=UPLOAD_S)

    async def _held_table(self, branch: object) -> str | None:
        """The table it holds, by our name or its own; a table of megabytes is not read at every look."""
        if not isinstance(branch, dict):
            return None
        self._looks += 1
        its_name = branch.get("filename")
        if self._table is None or self._table[0] != its_name or self._looks % _TABLE_EVERY == 0:
            text = str(await self._get(_TABLE) or "")
            self._table = (its_name, *self._known(text, str(its_name or "")))
        _, digest, other = self._table
        ours = self._tables.name_of(digest) if digest and self._tables is not None else None
        return other if ours is None else ours

    def _known(self, text: str, its_name: str) -> tuple[str, str]:
        """Digest of a table, and what to call it where it is none of ours."""
        if not text.strip():
            return "", its_name
        try:
            digest = parse_cube(f"{self._where}/lut_file", text).digest
        except RefusedError:
            return "", its_name or "(unreadable)"
        return digest, f"{its_name} ({digest[:8]})".strip()

    # --- the tree ---------------------------------------------------------------------------------------------

    async def _get(self, path: str) -> Any:
        status, answer = await self._link.ask("GET", f"/api/{quote(path)}")
        return self._inner(path, None, status, answer)

    async def _put(self, path: str, value: object, *, timeout_s: float | None = None) -> None:
        status, answer = await self._link.ask("PUT", f"/api/{quote(path)}", body={"data": value}, timeout_s=timeout_s)
        self._inner(path, value, status, answer)

    def _inner(self, path: str, value: object, status: int, answer: Any) -> Any:
        """What an answer holds under its own last name."""
        where = f"{self._where}/{path}"
        if isinstance(answer, dict) and "response-code" in answer:
            said = str(answer["response-code"])
            if said == "No project loaded":
                problem = Problem(
                    BusyError.code, where, "no project is loaded", value, "load a project on the processor"
                )
                raise BusyError(problem)
            if said == "Access denied":
                mend = "allow IP control on the processor (Network, IP control)"
                raise LockedError(Problem(LockedError.code, where, "IP control is denied", value, mend))
            if said == "Path not found" and value is None:
                return None  # an older firmware, or a branch that is missing while it is empty
            raise refused(where, value, said.lower())
        if status in (502, 503, 504):
            problem = Problem(BusyError.code, where, f"it answers {status}: it is starting", value, "wait for it")
            raise BusyError(problem)
        if status == 404 and value is None:
            return None
        if status >= 400:
            raise refused(where, value, f"HTTP {status}")
        name = path.rsplit("/", 1)[-1]
        if not isinstance(answer, dict):
            raise strange(where, "its answer is no JSON object", str(answer)[:80])
        for key, found in answer.items():
            if key.lower() == name.lower():
                return found
        raise strange(where, f"its answer does not hold {name!r}", ", ".join(answer)[:80])

    def _reading(self, tree: dict[str, Any]) -> Reading:
        settings: dict[str, Value] = {}
        for name, path in _PATHS.items():
            found = leaf(tree, path)
            if isinstance(found, (bool, int, float, str)):
                settings[name] = found
        notes: list[str] = []
        self._read_input(tree, settings)
        self._read_overrides(tree, settings)
        failover = leaf(tree, "output/network/failover")
        if isinstance(leaf(failover, "settings/enabled"), bool):
            settings["redundancy_mode"] = "failover" if leaf(failover, "settings/enabled") else "none"
            settings["redundancy_role"] = {"primary": "main"}.get(_text(failover, "settings/role"), "backup")
            settings["redundancy_state"] = "active" if leaf(failover, "state/is-active") is True else "standby"
        frames = leaf(tree, "output/network/frame-remapping/frames")
        if isinstance(frames, dict):
            settings["remapping_frames"] = _remapping_text(frames)
        phase = leaf(tree, "output/network/genlock/phase-offset")
        if isinstance(phase, dict):
            mode = str(phase.get("mode", "none"))
            angle = number(phase.get("angle"))
            if mode in ("none", "angle"):
                settings["genlock_phase_deg"] = (angle or 0.0) if mode == "angle" else 0.0
            else:
                notes.append(f"its sync phase is set as {mode}, not as an angle")
        preset = whole(_digits(leaf(tree, "presets/active/number")))
        if preset is not None:
            settings["preset"] = str(preset)
        return Reading(
            Identity(
                "Brompton",
                model=_text(tree, "system/processor-type"),
                name=_text(tree, "system/processor-name"),
                serial=_text(tree, "system/serial-number"),
                firmware=_text(tree, "system/software-version"),
            ),
            settings,
            self._signal(tree),
            _health(tree),
            notes=tuple(notes),
        )  # fmt: skip

    def _read_input(self, tree: dict[str, Any], settings: dict[str, Value]) -> None:
        kind, index = leaf(tree, "input/active/source/port-type"), leaf(tree, "input/active/source/port-number")
        ports = leaf(tree, "input/ports")
        if not isinstance(kind, str) or number(index) is None or not isinstance(ports, dict):
            return
        active = settings["input"] = f"{kind}/{int(index)}"
        names = tuple(
            f"{port}/{n + (0 if '1' in numbered else 1)}"
            for port, numbered in ports.items() if isinstance(numbered, dict)
            for n in sorted(int(key) for key in numbered if str(key).isdigit())
        )  # fmt: skip
        self._abilities["input"] = Ability(choices=tuple(dict.fromkeys((*names, active))))
        # Its keys count from 0 on some versions, from 1 on others; the active source always counts from 1.
        numbered = ports.get(kind)
        if isinstance(numbered, dict) and numbered:
            key = str(int(index)) if str(int(index)) in numbered and "0" not in numbered else str(int(index) - 1)
            self._port = (kind, int(key) if key in numbered else int(next(iter(numbered))))
        controls = leaf(tree, f"input/ports/{self._port[0]}/{self._port[1]}/controls")
        hdr, space = leaf(controls, "hdr/format"), leaf(controls, "colour-space/colour")
        if isinstance(hdr, str):
            settings["hdr_mode"] = _HDR_NAMES.get(hdr, hdr)
        if isinstance(space, str):
            settings["colour_space"] = space

    def _read_overrides(self, tree: dict[str, Any], settings: dict[str, Value]) -> None:
        shown, kind = leaf(tree, "override/test-pattern/enabled"), leaf(tree, "override/test-pattern/type")
        if isinstance(shown, bool):
            settings["test_pattern"] = str(kind) if shown else OFF

    def _signal(self, tree: dict[str, Any]) -> InputSignal:
        kind, index = self._port
        meta = leaf(tree, f"input/ports/{kind}/{index}/meta-data")
        rate = number(leaf(meta, "refresh-rate"))
        if rate is None:
            return InputSignal(port=kind)
        if rate <= 0.0:
            return InputSignal(False, kind)
        return InputSignal(
            True, kind, whole(leaf(meta, "resolution/width")), whole(leaf(meta, "resolution/height")), rate,
            whole(leaf(meta, "bit-depth")), str(leaf(meta, "sampling") or ""),
            _HDR_NAMES.get(str(leaf(meta, "hdr/format")), ""),
        )  # fmt: skip

    def _leaves(self, name: str, value: Value) -> list[tuple[str, object]]:
        if name in _PATHS:
            return [(_PATHS[name], value)]
        controls = f"input/ports/{self._port[0]}/{self._port[1]}/controls"
        if name == "hdr_mode":
            return [(f"{controls}/hdr/format", _HDR[str(value)])]
        if name == "colour_space":
            return [(f"{controls}/colour-space/colour", value)]
        if name == "input":
            kind, _, index = str(value).partition("/")
            return [("input/active/source", {"port-type": kind, "port-number": int(index or 1)})]
        if name == "redundancy_mode":
            return [("output/network/failover/settings/enabled", value == "failover")]
        if name == "genlock_phase_deg":
            base = "output/network/genlock/phase-offset"
            return [(f"{base}/mode", "angle"), (f"{base}/angle", value)]
        if name == "test_pattern":
            if value == OFF:
                return [("override/test-pattern/enabled", False)]
            return [("override/test-pattern/type", value), ("override/test-pattern/enabled", True)]
        if name == "preset":
            return [("presets/active/number", int(str(value)))]
        assert name == "remapping_frames"
        return _remapping_leaves(f"{self._where}/{name}", str(value))


def _ability_of(name: str) -> Ability:
    """A leaf's range and rounding, as the tree of 3.5.2 states them."""
    ranges: dict[str, tuple[float, float, float]] = {
        "brightness_nits": (0, 10_000, 1), "colour_temperature_k": (2000, 11_000, 1), "gamma": (0.2, 4.0, 0.01),
        "bit_depth": (8, 12, 1), "genlock_rate_hz": (23.5, 251.0, 0.0001), "genlock_phase_deg": (-360, 360, 0.000001),
        "shutter_angle_deg": (1, 360, 0.001), "shutter_speed_hz": (10, 250, 0.001), "rate_multiplier": (1, 10, 1),
        "shutter_readout_ms": (0, 42, 0.01), "lut_strength_percent": (0, 100, 0.1), "gain_percent": (0, 100, 0.01),
        "gain_red_percent": (0, 100, 0.01), "gain_green_percent": (0, 100, 0.01), "gain_blue_percent": (0, 100, 0.01),
    }  # fmt: skip
    choices = {
        "hdr_mode": tuple(_HDR),
        "colour_space": ("rec-2020", "dci-p3", "rec-709", "aces-cg", "custom"),
        "genlock_source": ("internal", "sdi", "sdi-a", "sdi-b", "hdmi", "dvi", "ref-in", "active-input"),
        "shutter_mode": ("none", "speed", "angle"),
        "shutter_viewer": ("eye", "camera"),
        "shutter_sensor": ("any", "global-shutter", "rolling-shutter"),
        "redundancy_mode": ("none", "failover"),
        "test_pattern": _PATTERNS,
    }
    low, high, step = ranges.get(name, (None, None, None))
    return Ability(low, high, step, choices.get(name, ()))


_ABILITIES: Final = {
    **{
        name: _ability_of(name)
        for name in (
            *_PATHS, "hdr_mode", "colour_space", "input", "genlock_phase_deg", "remapping_frames", "preset",
            "test_pattern", "lut_file", "redundancy_mode",
        )
    },
    "project": Ability(writable=False, why_not="load it on the processor: its tree only tells it"),
    "redundancy_role": Ability(writable=False, why_not="set it at the processor: its tree only tells it"),
    "redundancy_state": Ability(
        writable=False, why_not="ask for it at the processor: no document says what its request for a change-over takes"
    ),
    **without(
        identify="its IP control has nothing that marks panels: use test_pattern, or identify of the canvas",
        low_latency="its IP control does not tell or take ultra-low latency: configure what was measured",
    ),
}  # fmt: skip


def _text(tree: object, path: str) -> str:
    return str(leaf(tree, path) or "")


def _digits(value: object) -> object:
    return int(value) if isinstance(value, str) and value.strip().isdigit() else value


def _health(tree: dict[str, Any]) -> Health:
    temperatures = {name: c for name, c in _flat(leaf(tree, "system/temperature")).items() if c > 0.0}
    fans: dict[str, float] = {}
    troubles: list[str] = []
    for name, fan in _fans(leaf(tree, "system/fan")).items():
        fans[name] = number(fan.get("speed")) or 0.0
        if fan.get("status") is False:
            troubles.append(f"fan {name} has failed")
    online, expected, errors = (
        whole(leaf(tree, f"devices/statistics/{key}")) for key in ("online-count", "associated-count", "error-count")
    )
    if online is not None and expected is not None and online < expected:
        troubles.append(f"{expected - online} of {expected} panels do not answer")
    if errors:
        troubles.append(f"{errors} panels report errors")
    state = leaf(tree, "output/network/failover/state")
    redundancy = ""
    if leaf(tree, "output/network/failover/settings/enabled") is True:
        redundancy = "active" if leaf(state, "is-active") else "standby"
        if leaf(state, "is-partner-present") is False:
            troubles.append("its redundant partner does not answer")
    loops = leaf(tree, "output/network/cable-redundancy/loops")
    for number_, loop in (loops or {}).items() if isinstance(loops, dict) else ():
        text = str(leaf(loop, "state") or "")
        if "no-loop-found" in text:
            troubles.append(f"data loop {number_} is open: {text.split(':', 1)[-1].strip()}")
    return Health(temperatures, fans, online, expected, errors, redundancy, tuple(troubles))


def _flat(tree: object, name: str = "") -> dict[str, float]:
    if isinstance(tree, dict):
        found: dict[str, float] = {}
        for key, value in tree.items():
            found |= _flat(value, f"{name} {key}".strip())
        return found
    value = number(tree)
    return {} if value is None else {name: value}


def _fans(tree: object, name: str = "") -> dict[str, dict[str, Any]]:
    if not isinstance(tree, dict):
        return {}
    if "speed" in tree:
        return {name: tree}
    found: dict[str, dict[str, Any]] = {}
    for key, value in tree.items():
        found |= _fans(value, f"{name} {key}".strip())
    return found


def _remapping_text(frames: Mapping[str, Any]) -> str:
    parts = []
    for index in sorted((key for key in frames if str(key).isdigit()), key=int):
        frame = frames[index]
        if frame.get("mode") == "colour":
            parts.append(f"colour {frame.get('red', 0)} {frame.get('green', 0)} {frame.get('blue', 0)}")
        else:
            parts.append(f"video {frame.get('x-offset', 0)} {frame.get('y-offset', 0)}")
    return ", ".join(parts)


def _remapping_leaves(where: str, text: str) -> list[tuple[str, object]]:
    leaves: list[tuple[str, object]] = []
    parts = [part.split() for part in text.split(",")]
    if len(parts) > _REMAPPED_MOST:
        raise refused(where, text, f"{len(parts)} frames", f"give at most {_REMAPPED_MOST}")
    for index, part in enumerate(parts, start=1):
        base = f"output/network/frame-remapping/frames/{index}"
        try:
            numbers = [int(word) for word in part[1:]]
        except ValueError:
            numbers = []
        match part[:1], numbers:
            case ["video"], [x, y]:
                leaves.append((base, {"mode": "video", "x-offset": x, "y-offset": y}))
            case ["colour"], [red, green, blue]:
                leaves.append((base, {"mode": "colour", "red": red, "green": green, "blue": blue}))
            case _:
                raise refused(where, text, f"frame {index} is not understood", "write `video X Y` or `colour R G B`")
    return leaves
