"""GLSL kept as package files: `source("scene/surface.frag")` gives one whole text, its `#include` lines joined in.

An include names a file from this folder (`#include "scene/light.glsl"`) and is joined once, where it first
stands. Defines are set right after the `#version` line. Programs are cached by the driver, not here.
"""

from __future__ import annotations

from collections.abc import Mapping


def source(name: str, /, defines: Mapping[str, object] | None = None) -> str:
    """The GLSL text of the file `name` with its includes; `defines` become `#define KEY value` lines.

    Raises
    ------
    FileNotFoundError : the file, or one it includes, is not in the package.
    """
    text = _joined(name, set())
    if not defines:
        return text
    version, _, rest = text.partition("\n")
    lines = [f"#define {key} {value}" for key, value in defines.items()]
    return "\n".join([version, *lines, rest])


def _joined(name: str, seen: set[str]) -> str:
    from importlib import resources

    seen.add(name)
    out: list[str] = []
    for line in resources.files(__name__).joinpath(name).read_text(encoding="utf-8").splitlines():
        if line.startswith("#include"):
            included = line.split('"')[1]
            if included not in seen:
                out.append(_joined(included, seen))
        else:
            out.append(line)
    return "\n".join(out) + "\n"
