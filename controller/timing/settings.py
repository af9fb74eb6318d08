"""What a timing run is asked for, and the configuration it runs: the show's own, with ports and rates of its own."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from controller.config import LoadedConfig, load_config, load_config_data
from controller.errors import ControllerError
from stage.errors import OpenVolumeError, Problem
from stage.rate import Rate, parse_rate
from tracking.encoders import PROTOCOLS
from tracking.moves import move as named_move
from tracking.sender import sample_rate

LOADS: Final = {
    "flood": "four clients ask the API as fast as it answers",
    "slow_clients": "50 WebSocket clients connect and never read",
    "config_storm": "whole configurations are applied and rolled back, one after the other",
    "scene_reload": "the scene is loaded anew, again and again",
    "cpu_hog": "another program wants all processors",
}
"""What can run beside the show."""
ROWS: Final = {
    "T1": "tracking stops for 0.1, 1 and 10 s",
    "T2": "jitter, loss, duplicates, overtaking",
    "T3": "bursts of loss, and half of all lost",
    "T4": "the reader stands still for a second",
    "T5": "the tracker's clock is set, drifts, runs back, wraps",
    "T6": "the host's time of day is set",
    "T7": "numbers no camera has",
    "T8": "broken datagrams",
    "T9": "a flood from another sender",
    "T10": "two sources claim one camera",
    "K1": "time code over a day, drop frame too",
    "K2": "summer time, leap second, 2038",
    "R6": "every hundredth frame is drawn 30 ms too long",
    "A1": "50 WebSocket clients that never read",
}
"""Rows of the fault matrix that can be played."""
VIRTUAL_ONLY: Final = frozenset({"T6", "K1", "K2", "R6"})
"""Rows that no program can provoke on a real machine without harm: they are played under the virtual clock."""
REAL_ONLY: Final = frozenset({"A1"})
"""Rows that need real sockets and processes."""
SECONDS: Final = 10.0
LONGEST_S: Final = 86_400.0


class TimingError(ControllerError):
    """A timing run that cannot be made as asked."""

    code = "controller.timing"


@dataclass(frozen=True, slots=True)
class Settings:
    """One timing run. `rate`, `protocol`: None is what the configuration says."""

    config: str
    rate: Rate | None = None
    move: str = "handheld"
    protocol: str | None = None
    samples: Rate = field(default_factory=lambda: Rate(120))
    """Tracking samples a second."""
    faults: tuple[str, ...] = ()
    loads: tuple[str, ...] = ()
    virtual: bool = False
    seconds_s: float = SECONDS
    seed: int = 0
    draw_ms: float | None = None
    """Virtual: what drawing a frame costs; None: 40 % of a frame."""
    photos: int = 3
    """Rendered photos."""


def settings_of(
    config: str,
    *,
    rate: str | None = None,
    move: str = "handheld",
    protocol: str | None = None,
    samples: str = "120",
    faults: str = "",
    loads: str = "",
    virtual: bool = False,
    seconds_s: float = SECONDS,
    seed: int = 0,
    draw_ms: float | None = None,
    photos: int = 3,
) -> Settings:
    """Settings from the words of a command line.

    Raises
    ------
    TimingError : everything that cannot be used, each told.
    """
    problems: list[Problem] = []
    show_rate: Rate | None = None
    if rate is not None:
        try:
            show_rate = parse_rate(rate)
        except ValueError as error:
            problems.append(_problem("--rate", str(error), rate, "give a frame rate, such as 24 or 29.97"))
    tracked = Rate(120)
    for check in (lambda: named_move(move), lambda: sample_rate(samples)):
        try:
            found = check()
        except OpenVolumeError as error:
            problems.extend(error.problems)
        else:
            tracked = found if isinstance(found, Rate) else tracked
    if protocol is not None and protocol not in PROTOCOLS:
        problems.append(_problem("--protocol", "no such protocol", protocol, f"use {', '.join(PROTOCOLS)}"))
    rows = _names("--faults", faults, tuple(ROWS), problems)
    beside = _names("--load", loads, tuple(LOADS), problems)
    if not 1.0 <= seconds_s <= LONGEST_S:
        problems.append(_problem("--seconds", "out of range", seconds_s, f"give 1 to {LONGEST_S:g}"))
    if draw_ms is not None and not 0.0 <= draw_ms <= 1000.0:
        problems.append(_problem("--draw-ms", "out of range", draw_ms, "give 0 to 1000"))
    if not 0 <= photos <= 100:
        problems.append(_problem("--photos", "out of range", photos, "give 0 to 100"))
    if problems:
        raise TimingError(*problems)
    return Settings(
        config, show_rate, move, protocol, tracked, rows, beside, virtual, seconds_s, seed, draw_ms, photos
    )  # fmt: skip


def _names(option: str, text: str, known: tuple[str, ...], problems: list[Problem]) -> tuple[str, ...]:
    asked = [word.strip() for word in text.split(",") if word.strip()]
    if asked == ["all"]:
        return known
    if asked == ["none"]:
        return ()
    by_name = {name.lower(): name for name in known}
    unknown = [word for word in asked if word.lower() not in by_name]
    problems.extend(
        _problem(option, "there is none of this name", word, f"use {', '.join(known)}, or all") for word in unknown
    )
    return tuple(dict.fromkeys(by_name[word.lower()] for word in asked if word.lower() in by_name))


def _problem(option: str, detail: str, value: object, mend: str) -> Problem:
    return Problem("controller.timing_option", option, detail, value, mend)


def configuration(settings: Settings, *, rival: bool = False) -> LoadedConfig:
    """The configuration to run: loopback ports of its own, the rate and the protocol asked for.

    rival : a second source claims the first one's camera (row T10).

    Raises
    ------
    ConfigError, TimingError
    """
    loaded = load_config(settings.config)
    data: dict[str, Any] = loaded.config.model_dump(mode="json", exclude_unset=True)
    if settings.rate is not None:
        data["rate"] = next(name for name, rate in _rates().items() if rate == settings.rate)
    data["control"] = {"http": {"host": "127.0.0.1", "port": 0}, "osc": None}
    sources: dict[str, Any] = data.get("tracking", {}).get("sources", {})
    if not sources and loaded.config.cameras:
        camera = next(iter(loaded.config.cameras))
        sources = {"tracker": {"protocol": "opentrackio", "listen": "127.0.0.1:0", "camera": camera}}
        data["tracking"] = {"sources": sources}
    ports: dict[str, str] = {}
    for source in sources.values():
        if settings.protocol is not None:
            _speak(source, settings.protocol)
        # Sources that share an address go on sharing one.
        source["listen"] = ports.setdefault(source["listen"], _address(source["protocol"]))
        source.pop("interface", None)
        source.pop("allow", None)
    if rival and sources:
        first = next(iter(sources.values()))
        sources["rival"] = {"protocol": "freed", "listen": _address("freed"), "camera": first["camera"]}
    return load_config_data(data, base_dir=loaded.base_dir)


def _rates() -> dict[str, Rate]:
    from stage.rate import RATES

    return RATES


def _speak(source: dict[str, Any], protocol: str) -> None:
    """Make a source listen to another protocol; what only the old one knows goes."""
    name = protocol.split("_", maxsplit=1)[0]
    if source["protocol"] == name:
        return
    for key in ("camera_id", "lens_table", "source_id", "source_number", "osc", "zmq", "checksum"):
        source.pop(key, None)
    # The address is another kind of text for another kind of socket.
    source["protocol"], source["listen"] = name, f"{name}:{source['listen']}"


def _address(protocol: str) -> str:
    return f"tcp://127.0.0.1:{free_port(socket.SOCK_STREAM)}" if protocol == "zmq" else f"127.0.0.1:{free_port()}"


def free_port(kind: socket.SocketKind = socket.SOCK_DGRAM) -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def report_folder(path: Path) -> Path:
    """The folder for a report, made if it is not there. Raises TimingError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / ".timing"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        detail = f"the folder cannot be made or written: {error.strerror}"
        raise TimingError(Problem("controller.timing_folder", "--report", detail, str(path), "name another")) from error
    return path
