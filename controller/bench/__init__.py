"""Benchmarks: `openvolume bench NAME`. Each module has `run(rounds) -> dict` of medians and ratios."""

from __future__ import annotations

from typing import Any

NAMES = ("scene", "wall")
"""What can be measured; each is a module of this package."""


def bench_command(name: str, *, json: bool = False) -> int:
    """Run one benchmark and print its figures. Returns the exit code (2: unknown name, 3: no GL)."""
    import importlib
    import json as json_module
    import sys

    from stage.errors import OpenVolumeError

    if name not in NAMES:
        sys.stderr.write(
            f"controller.bench NAME: there is no such benchmark ({name!r}) -> use one of {', '.join(NAMES)}\n"
        )
        return 2
    try:
        figures: dict[str, Any] = importlib.import_module(f"controller.bench.{name}").run()
    except OpenVolumeError as error:
        sys.stderr.write(f"{error}\n")
        return 3
    except RuntimeError as error:
        sys.stderr.write(f"controller.bench {name}: {error}\n")
        return 1
    if json:
        sys.stdout.write(json_module.dumps(figures) + "\n")
        return 0
    for line in _lines(figures):
        sys.stdout.write(line + "\n")
    return 0


def _lines(figures: dict[str, Any], indent: str = "") -> list[str]:
    """Figures as indented lines for people."""
    out = []
    width = max(len(key) for key in figures)
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
