"""The `tracking` section to paste: the sources that read what was heard, with every correction found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from tracking.config import LENS_ONLY, Source, TrackingConfig

NAMES: Final = "abcdefghijklmnopqrstuvwxyz"


def merged(base: Mapping[str, Any], *changes: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of a source with changes put in; sections within are merged, not replaced."""
    out = dict(base)
    for change in changes:
        for key, value in change.items():
            old = out.get(key)
            out[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return out


def section_of(sources: Iterable[Mapping[str, Any]], cameras: Iterable[str] = ()) -> str:
    """YAML of the `tracking` section with these sources, one camera each (`cameras`, then a, b, c ...); empty without
    sources. What stands in it is a valid section.

    Raises
    ------
    pydantic.ValidationError : the keys are no sources.
    """
    told = list(cameras)
    names = iter([*told, *(n for n in [*NAMES, *(f"camera_{i}" for i in range(1, 1000))] if n not in told)])
    section: dict[str, dict[str, Any]] = {}
    lenses = iter([*told, *NAMES])
    for source in sources:
        # A lens is no camera's mover: it stands beside one.
        is_lens = source.get("protocol") in LENS_ONLY
        camera = next(lenses if is_lens else names)
        # A name on the wire that is the camera's own needs no words.
        keys = {k: v for k, v in source.items() if not (k == "camera_name" and v == camera)}
        head = {"protocol": keys.pop("protocol"), "listen": keys.pop("listen"), "camera": camera}
        name = f"{'lens' if is_lens else 'tracker'}_{camera}"
        section[name] = {**head, **keys}
        Source.model_validate(section[name])
    if not section:
        return ""
    TrackingConfig.model_validate({"sources": section})
    return "\n".join(["tracking:", "  sources:", *_lines(section, 4)]) + "\n"


def _lines(mapping: Mapping[str, Any], indent: int) -> Iterable[str]:
    for key, value in mapping.items():
        if isinstance(value, Mapping) and indent < 6:
            yield f"{' ' * indent}{key}:"
            yield from _lines(value, indent + 2)
        else:
            yield f"{' ' * indent}{key}: {_flow(value)}"


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # What YAML would take for a number, a mark or another type goes into quotes.
        plain = value.replace("_", "").replace("/", "").replace(".", "").replace(":", "").isalnum()
        is_word = plain and value[:1].isalpha() and not value.endswith(":") and value.lower() not in _WORDS
        is_address = (plain and value[:1] == "/") or (value[:1].isdigit() and ":" in value)
        return value if is_word or (is_address and not value.endswith(":")) else "'" + value.replace("'", "''") + "'"
    return f"{value:g}" if isinstance(value, float) else str(value)


_WORDS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"})
