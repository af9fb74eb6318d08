"""Benchmarks: `openvolume bench NAME`. Each module has `run(...) -> dict` of figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

NAMES = ("scene", "wall", "predict", "overscan", "latency", "tracking", "output", "sending", "control")
"""What can be measured; each is a module of this package."""


def bench_command(
    name: str,
    *,
    json: bool = False,
    takes: Sequence[Path] = (),
    plot: Path | None = None,
    peers: bool = False,
    growth: bool = False,
    pictures: Path | None = None,
) -> int:
    """Run one benchmark and print its figures. The other options are for those that have them: recordings to read, a
    plot or a folder of pictures to write, other renderers to measure, growth to look at.
    Returns the exit code (2: unknown name, or an option it does not have; 3: no GL, or a peer is missing)."""
    import importlib
    import inspect
    import json as json_module
    import sys

    from stage.errors import OpenVolumeError

    if name not in NAMES:
        sys.stderr.write(
            f"controller.bench NAME: there is no such benchmark ({name!r}) -> use one of {', '.join(NAMES)}\n"
        )
        return 2
    run = importlib.import_module(f"controller.bench.{name}").run
    options: dict[str, Any] = {"takes": list(takes)} if takes else {}
    given = {"plot": plot, "peers": peers or None, "growth": growth or None, "pictures": pictures}
    options |= {option: value for option, value in given.items() if value is not None}
    unknown = [option for option in options if option not in inspect.signature(run).parameters]
    if unknown:
        sys.stderr.write(f"controller.bench {name}: it has no {unknown[0]} -> leave the option out\n")
        return 2
    try:
        figures: dict[str, Any] = run(**options)
    except OpenVolumeError as error:
        sys.stderr.write(f"{error}\n")
        return 3
    except (OSError, RuntimeError, ValueError) as error:
        sys.stderr.write(f"controller.bench {name}: {error}\n")
        return 1
    if json:
        sys.stdout.write(json_module.dumps(figures) + "\n")
    else:
        for line in _lines(figures):
            sys.stdout.write(line + "\n")
    missing: dict[str, str] = figures.get("missing", {})
    for peer, why in missing.items():
        sys.stderr.write(f"controller.bench {name}/{peer}: not measured: {why}\n")
    return 3 if missing else 0


def _lines(figures: dict[str, Any], indent: str = "") -> list[str]:
    """Figures as indented lines for people."""
    out = []
    width = max((len(key) for key in figures), default=0)
    for key, value in figures.items():
        if isinstance(value, dict):
            out += [f"{indent}{key}", *_lines(value, indent + "  ")]
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            out.append(f"{indent}{key}")
            for entry in value:
                out.append(f"{indent}  " + "  ".join(f"{k} {v}" for k, v in entry.items()))
        else:
            shown = ", ".join(str(v) for v in value) if isinstance(value, list) else value
            out.append(f"{indent}{key:<{width}}  {shown}")
    return out
