"""An emulated Brompton Tessera: the tree under `/api` of firmware 3.5.2, read, listed, explained and written over HTTP.

It does what is documented: names are case-insensitive, values are rounded to the tree's decimals, errors are told by
the body (here with status 400 and their kind; the documents state no status), and what was written is answered as a
read would.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Any, Final
from urllib.parse import unquote

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from controller.processors.emulators.device import Faults, Shown, Signal, is_cube

_FULL_NITS: Final = 1500.0
_TABLE: Final = "processing/3d-lut/data"


class TreeError(Exception):
    """An answer of the maker's list of errors."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value of the tree, as its self-description states it."""

    kind: str
    access: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    decimals: int | None = None

    def taken(self, value: object) -> object:
        """What is in force once `value` was written.

        Raises
        ------
        TreeError
        """
        match self.kind:
            case "switch":
                if isinstance(value, str) and value.lower() in ("true", "false", "0", "1"):
                    return value.lower() in ("true", "1")
                if isinstance(value, bool) or value in (0, 1):
                    return bool(value)
                raise TreeError("Bad input parameter type")
            case "whole" | "number":
                return self._number(value)
            case "choice":
                found = next((c for c in self.choices if isinstance(value, str) and c.lower() == value.lower()), None)
                if found is None:
                    raise TreeError(
                        "Bad input parameter value" if isinstance(value, str) else "Bad input parameter type"
                    )
                return found
            case "pattern":
                if isinstance(value, str) and value in self.choices:
                    return value
                if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 50:
                    return value
                raise TreeError("Bad input parameter value")
            case "text" | "bytes":
                if not isinstance(value, str):
                    raise TreeError("Bad input parameter type")
                if self.kind == "text" and len(value.encode()) > 128:
                    raise TreeError("Bad input parameter value")
                return value
            case _:
                return value

    def _number(self, value: object) -> int | float:
        if isinstance(value, str):
            try:
                value = float(value)
            except ValueError as error:
                raise TreeError("Bad input parameter type") from error
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TreeError("Bad input parameter type")
        if (self.low is not None and value < self.low) or (self.high is not None and value > self.high):
            raise TreeError("Bad input parameter value")
        return round(value) if self.kind == "whole" else round(float(value), self.decimals or 0)

    def help(self, name: str) -> dict[str, str]:
        """`?help=1` of one leaf."""
        access = {"rw": "R/W", "r": "R/O", "w": "W/O"}[self.access]
        span = f"(range: {self.low:g} - {self.high:g})" if self.low is not None and self.high is not None else ""
        kinds = {
            "switch": "Boolean", "text": "String", "bytes": "ByteArray", "list": "Array",
            "whole": f"Integer {span}".strip(), "number": f"Float {span}".strip(),
        }  # fmt: skip
        kind = kinds.get(self.kind, f"Enum (allowed values: {','.join(self.choices)})")
        return {"Access Specifier": access, "Details": "", "Name": name, "Summary": name, "Type": kind}


def tree_of_leaves() -> dict[str, Leaf]:
    """Every path with its leaf, read once from the package."""
    leaves: dict[str, Leaf] = {}
    text = resources.files("controller.processors.emulators").joinpath("tessera_tree.txt").read_text()
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        path, kind, access, *rest = line.split(" ")
        low: float | None = None
        high: float | None = None
        choices: tuple[str, ...] = ()
        if rest and ".." in rest[0]:
            low, high = (float(part) for part in rest[0].split(".."))
        elif rest and not rest[0].isdigit():
            choices = tuple(rest[0].split("|"))
        decimals = (
            int(rest[-1])
            if rest and rest[-1].isdigit() and len(rest) > (1 if choices or low is not None else 0)
            else None
        )
        leaves[path] = Leaf(kind, access, low, high, choices, decimals)
    return leaves


class TesseraEmulator:
    """State and HTTP app of one processor. `shown` is what its panels do with the picture."""

    def __init__(self, *, name: str = "LED 1", signal: Signal | None = None) -> None:
        self.faults = Faults()
        self.signal = signal or Signal()
        self._leaves = tree_of_leaves()
        self.values: dict[str, Any] = _first_values(name)
        self.app = Starlette(routes=[Route("/{path:path}", self._answer, methods=["GET", "PUT", "POST"])])

    @property
    def shown(self) -> Shown:
        """What the twin shows of it."""
        pattern = (
            str(self.values["override/test-pattern/type"]) if self.values["override/test-pattern/enabled"] else "off"
        )
        return Shown(
            min(1.0, float(self.values["output/global-colour/brightness"]) / _FULL_NITS),
            bool(self.values["override/blackout/enabled"]),
            bool(self.values["override/freeze/enabled"]),
            pattern,
        )

    # --- HTTP -------------------------------------------------------------------------------------------------

    async def _answer(self, request: Request) -> Response:
        if "rebooting" in self.faults:
            return Response(status_code=503)
        parts = [part for part in unquote(request.path_params["path"]).split("/") if part]
        if not parts or parts[0].lower() != "api":
            return Response(status_code=404)
        try:
            if "busy" in self.faults:
                raise TreeError("No project loaded")
            if "locked" in self.faults:
                raise TreeError("Access denied")
            return _json(await self._asked(request, [part.lower() for part in parts[1:]]))
        except TreeError as error:
            return _json({"response-code": str(error)}, status=400)

    async def _asked(self, request: Request, parts: list[str]) -> object:
        path = "/".join(parts)
        query = dict(request.query_params)
        if request.method == "PUT":
            try:
                body = msgspec.json.decode(await request.body())
            except msgspec.DecodeError as error:
                raise TreeError("Bad input parameter type") from error
            if not isinstance(body, dict) or "data" not in body:
                raise TreeError("Missing input parameter")
            self._write(path, body["data"])
        elif "set" in query:
            given = query.pop("set")
            if self._leaf(path) is not None:
                self._write(path, given)
            else:
                self._write(path, query)
        if query.get("help") == "1":
            return {parts[-1]: self._help(path)}
        name = parts[-1] if parts else "api"
        return {name: self._list(path) if query.get("list") == "1" else self._read(path)}

    # --- the tree ---------------------------------------------------------------------------------------------

    def _leaf(self, path: str) -> Leaf | None:
        """The description of a path, its numbers and names standing for {x}."""
        found = self._leaves.get(path)
        if found is not None:
            return found
        parts = path.split("/")
        for pattern, candidate in self._leaves.items():
            wanted = pattern.split("/")
            if len(wanted) == len(parts) and all(
                w.startswith("{") or w == p for w, p in zip(wanted, parts, strict=True)
            ):
                return candidate
        return None

    def _now(self) -> dict[str, Any]:
        """All values, with what the world around it does."""
        values = dict(self.values)
        base = "input/ports/hdmi/0/meta-data"
        away = "no_signal" in self.faults
        values[f"{base}/refresh-rate"] = -1 if away else round(self.signal.rate_hz, 1)
        values[f"{base}/resolution/width"] = 0 if away else self.signal.width_px
        values[f"{base}/resolution/height"] = 0 if away else self.signal.height_px
        values[f"{base}/bit-depth"] = self.signal.bits
        if "unplugged" in self.faults:
            values["devices/statistics/online-count"] = 0
        return values

    def _read(self, path: str) -> object:
        values = self._now()
        if path in values:
            leaf = self._leaf(path)
            if leaf is not None and "r" not in leaf.access:
                raise TreeError("Bad operation")
            return values[path]
        start = f"{path}/" if path else ""
        tree: dict[str, Any] = {}
        for name, value in values.items():
            if not name.startswith(start):
                continue
            if name == _TABLE:
                value = ""  # a directory tells of a table, the leaf alone gives it
            inner = tree
            *parents, last = name.removeprefix(start).split("/")
            for parent in parents:
                inner = inner.setdefault(parent, {})
            inner[last] = value
        if not tree:
            raise TreeError("Path not found" if self._leaf(path) is None else "Object not found")
        return tree

    def _list(self, path: str) -> object:
        found = self._read(path)
        if not isinstance(found, dict):
            raise TreeError("Bad operation")
        return {name: "directory" if isinstance(value, dict) else "leaf" for name, value in found.items()}

    def _help(self, path: str) -> object:
        leaf = self._leaf(path)
        if leaf is not None:
            return leaf.help(path.rsplit("/", 1)[-1])
        found = self._read(path)
        assert isinstance(found, dict)
        return {name: self._help(f"{path}/{name}") for name in found}

    def _write(self, path: str, value: object) -> None:
        if isinstance(value, dict):
            written = {f"{path}/{name}": inner for name, inner in value.items()}
        else:
            written = {path: value}
        taken: dict[str, object] = {}
        for name, one in written.items():
            leaf = self._leaf(name)
            if leaf is None:
                raise TreeError("Path not found")
            if "w" not in leaf.access:
                raise TreeError("Bad operation")
            if name == "presets/active/number" and f"presets/items/{one}/name" not in self.values:
                raise TreeError("Object not found")
            if name not in self.values and not _grows(name):
                raise TreeError("Object not found")
            taken[name] = leaf.taken(one)
            if name == _TABLE and one and not is_cube(str(one)):
                raise TreeError("Bad input parameter value")
        if "lying" in self.faults:
            return
        self.values.update(taken)
        if _TABLE in taken:
            self.values["processing/3d-lut/filename"] = "uploaded.cube" if taken[_TABLE] else ""
        if "presets/active/number" in taken:
            self._apply(int(str(taken["presets/active/number"])))

    def _apply(self, number: int) -> None:
        self.values["presets/active/name"] = self.values[f"presets/items/{number}/name"]


def _grows(path: str) -> bool:
    """Places that come to be by being written."""
    return path.startswith("output/network/frame-remapping/frames/")


def _json(value: object, *, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def _first_values(name: str) -> dict[str, Any]:
    """A processor as it comes from the store, with one HDMI input and 24 panels."""
    port = "input/ports/hdmi/0"
    network = "output/network"
    values: dict[str, Any] = {
        "system/processor-name": name, "system/processor-type": "sx40", "system/serial-number": "000042",
        "system/software-version": "3.5.2", "system/uptime": "0d 0h 0m 1s",
        "system/fan/case/one/speed": 1900.0, "system/fan/case/one/status": True,
        "system/fan/fpga/speed": 4500.0, "system/fan/fpga/status": True,
        "system/temperature/ambient": 31.5, "system/temperature/fpga": 58.25, "system/temperature/main": 42.0,
        "project/name": "stage",
        "devices/statistics/associated-count": 24, "devices/statistics/online-count": 24,
        "devices/statistics/error-count": 0,
        "input/active/source/port-type": "hdmi", "input/active/source/port-number": 1,
        f"{port}/controls/hdr/format": "from-input", f"{port}/controls/hdr/pq/gain": 1.0,
        f"{port}/controls/colour-space/colour": "rec-709", f"{port}/controls/quantisation-range": "from-input",
        f"{port}/meta-data/sampling": "rgb", f"{port}/meta-data/hdr/format": "standard-dynamic-range",
        "input/ports/sdi/0/controls/hdr/format": "from-input",
        "input/ports/sdi/0/controls/colour-space/colour": "rec-709",
        "input/ports/sdi/0/meta-data/refresh-rate": -1, "input/ports/sdi/0/meta-data/resolution/width": 0,
        "input/ports/sdi/0/meta-data/resolution/height": 0,
        "output/global-colour/brightness": 1500, "output/global-colour/colour-temperature": 6504,
        "output/global-colour/gamma": 2.4, "output/global-colour/brightness-limit/enabled": False,
        "output/global-colour/brightness-limit/value": 10000, "output/global-colour/gains/intensity": 100.0,
        "output/global-colour/dark-magic/enabled": False, "output/global-colour/puretone/enabled": False,
        "output/global-colour/extended-bit-depth/enabled": False, "output/global-colour/overdrive/enabled": False,
        f"{network}/bit-depth": 10, f"{network}/frame-rate-multiplier": 1, f"{network}/frame-remapping/enabled": False,
        f"{network}/frame-remapping/frames/1/mode": "video", f"{network}/frame-remapping/frames/1/x-offset": 0,
        f"{network}/frame-remapping/frames/1/y-offset": 0,
        f"{network}/genlock/source": "internal", f"{network}/genlock/internal-rate": 24.0,
        f"{network}/genlock/phase-offset/mode": "none", f"{network}/genlock/phase-offset/angle": 0.0,
        f"{network}/genlock/phase-offset/fraction": 0.0, f"{network}/genlock/phase-offset/absolute/lines": 0,
        f"{network}/genlock/phase-offset/absolute/pixels": 0,
        f"{network}/shuttersync/mode": "none", f"{network}/shuttersync/angle-settings/shutter-angle": 180.0,
        f"{network}/shuttersync/speed-settings/shutter-speed": 48.0,
        f"{network}/failover/settings/enabled": False, f"{network}/failover/settings/role": "primary",
        f"{network}/failover/state/is-active": True, f"{network}/failover/state/is-partner-present": False,
        f"{network}/cable-redundancy/loops/1/state": "loop-found: A1->B1",
        "override/blackout/enabled": False, "override/blackout/fade-time": 0.2, "override/freeze/enabled": False,
        "override/test-pattern/enabled": False, "override/test-pattern/type": "brompton",
        "override/test-pattern/format": "from-input",
        "presets/active/name": "", "presets/active/number": "0", "presets/items/1/name": "shoot",
        "presets/items/1/status": True, "presets/items/2/name": "rehearsal", "presets/items/2/status": True,
        "processing/3d-lut/enabled": False, "processing/3d-lut/strength": 100.0, "processing/3d-lut/filename": "",
        _TABLE: "", f"{network}/shuttersync/viewer": "camera", f"{network}/shuttersync/sensor-type": "any",
        f"{network}/shuttersync/sensor-readout-time": 0.0,
        **{f"output/global-colour/gains/{colour}": 100.0 for colour in ("red", "green", "blue")},
        **{
            f"processing/{part}": False
            for part in (
                "colour-correct/enabled", "colour-replace/enabled", "curves/enabled", "scaler/enabled",
                "osca/seam-correction-enabled", "osca/module-correction-enabled",
            )
        },
        f"{network}/hidden-markers/enabled": False, f"{network}/startracker/enabled": False,
    }  # fmt: skip
    return values
