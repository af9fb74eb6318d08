"""`openvolume library`: the library of a running show from a shell."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from controller.api.views_library import LibraryEntryView, LibraryVersionView
from controller.asking import ask
from controller.client import Client
from controller.errors import BadValue, UnknownAddress
from stage.errors import Problem

_TAI_MINUS_UNIX_S: Final = 37
_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command was told beside its arguments."""

    search: str = ""
    tags: tuple[str, ...] = ()
    kind: str = ""
    broken: bool = False
    gone: bool = False
    label: str | None = None
    as_json: bool = False


def library_command(what: str, entry: str | None, more: Sequence[str], asked: Asked, *, run: str | None = None) -> str:
    """Do what was asked, and tell what came of it.

    Raises
    ------
    BadValue : there is no such thing to do. UnknownAddress : no such entry.
    And as `controller.asking.ask`.
    """
    verbs: dict[str, Callable[[LibraryEntryView], str]] = {
        "show": _shown,
        "versions": lambda found: _versions(_kept(found, run)),
        "restore": lambda found: _restored(found, more, run),
        "tag": lambda found: _tagged(found, more, asked.label, run),
        "thumbnail": lambda found: _thumbnail(found, more, run),
    }
    if what == "list":
        return _list(asked, run)
    if what not in verbs:
        raise _bad("WHAT", "nothing that can be done", what, f"use list, {', '.join(verbs)}")
    if entry is None:
        raise _bad("ENTRY", "is missing", None, "name one: openvolume library list")
    found = _found(entry, run, gone=asked.gone)
    if asked.as_json and what == "show":
        return _json(found)
    if asked.as_json and what == "versions":
        return _json({"versions": _kept(found, run)})
    return verbs[what](found)


def _list(asked: Asked, run: str | None) -> str:
    told = ask(
        lambda show: show.library(
            search=asked.search, tags=asked.tags, kind=asked.kind, broken=asked.broken or None, gone=asked.gone,
            limit=_PAGE,
        ),
        run=run,
    )  # fmt: skip
    if asked.as_json:
        return _json(told)
    lines = []
    for entry in told.entries:
        tags = f"  [{' '.join(entry.tags)}]" if entry.tags else ""
        label = f"  {entry.label}" if entry.label else ""
        lines.append(f"{entry.path}  {entry.kind}  {_facts(entry)}{label}{tags}")
        if entry.problem:
            lines.append(f"    cannot be shown: {entry.problem}")
    if told.state == "none":
        return "the show has no library, or nobody has looked at it yet"
    waits = f", {told.to_read} still to read" if told.to_read else ""
    waits += f", {told.to_draw} without a thumbnail yet" if told.to_draw else ""
    lines.append(f"{told.total} in {told.folder}{waits}; copies take {told.kept_bytes / 1e6:.0f} MB")
    return "\n".join(lines)


def _facts(entry: LibraryEntryView) -> str:
    facts = entry.facts
    parts = [f"{entry.size_bytes / 1e6:.1f} MB"]
    if entry.kind in ("asset", "scene"):
        parts.append(f"{facts.triangles} triangles")
        parts.append(f"{facts.textures} textures")
        if facts.low_m is not None and facts.high_m is not None:
            parts.append(" x ".join(f"{b - a:.3g}" for a, b in zip(facts.low_m, facts.high_m, strict=True)) + " m")
    elif facts.width_px:
        parts.append(f"{facts.width_px} x {facts.height_px} px")
    return ", ".join(parts)


def _shown(entry: LibraryEntryView) -> str:
    lines = [entry.path, f"  {entry.kind}: {_facts(entry)}"]
    facts = entry.facts
    for name, value in (
        ("label", entry.label), ("tags", " ".join(entry.tags)), ("id", entry.id), ("content", entry.content),
        ("animations", " ".join(facts.animations)), ("variants", " ".join(facts.variants)),
        ("files", " ".join(entry.files[1:])), ("uses", " ".join(entry.uses)), ("used by", " ".join(entry.used_by)),
        ("scenes", " ".join(entry.scenes)), ("versions", str(entry.versions)),
        ("cannot be shown", entry.problem), ("mend", entry.mend),
    ):  # fmt: skip
        if value:
            lines.append(f"  {name}: {value}")
    return "\n".join(lines)


def _versions(versions: Sequence[LibraryVersionView]) -> str:
    lines = []
    for version in versions:
        at = datetime.fromtimestamp(version.t_tai_ns / 1e9 - _TAI_MINUS_UNIX_S, UTC)
        now = "  (now)" if version.present else ""
        lines.append(f"{version.content}  {at:%Y-%m-%d %H:%M:%S} UTC  {version.size_bytes / 1e6:.1f} MB{now}")
    return "\n".join(lines) or "none is kept"


def _restored(entry: LibraryEntryView, more: Sequence[str], run: str | None) -> str:
    named = [v.content for v in _kept(entry, run) if more and v.content.startswith(more[0])]
    if len(named) != 1:
        mend = f"take one of: openvolume library versions {entry.path}"
        raise _bad("CONTENT", "names no one version", more[0] if more else None, mend)
    now = ask(lambda show: show.restore_version(entry.id, named[0]), run=run)
    on_air = f"; loaded anew: {', '.join(now.scenes)}" if now.scenes else ""
    return f"{entry.path} holds {named[0]} again{on_air}"


def _tagged(entry: LibraryEntryView, more: Sequence[str], label: str | None, run: str | None) -> str:
    tags = list(entry.tags)
    for word in more:
        if word.startswith("-"):
            tags = [tag for tag in tags if tag != word[1:]]
        elif (name := word.removeprefix("+")) not in tags:
            tags.append(name)
    now = ask(lambda show: show.tag(entry.id, label=label, tags=tags if more else None), run=run)
    return f"{entry.path}: {now.label or '(no label)'} [{' '.join(now.tags)}]"


def _thumbnail(entry: LibraryEntryView, more: Sequence[str], run: str | None) -> str:
    if not more:
        raise _bad("FILE", "is missing", None, "name the .jpg to write")
    data = ask(lambda show: show.thumbnail(entry.id), run=run)
    try:
        Path(more[0]).write_bytes(data)
    except OSError as error:
        raise _bad("FILE", f"cannot be written: {error.strerror}", more[0], "name a file in a folder of yours") from (
            error
        )
    return f"{len(data)} bytes written to {more[0]}"


def _found(name: str, run: str | None, *, gone: bool) -> LibraryEntryView:
    """The entry meant: by id, path, or the end of exactly one path."""

    async def every(show: Client) -> list[LibraryEntryView]:
        entries: list[LibraryEntryView] = []
        while True:
            told = await show.library(gone=gone, limit=_PAGE, offset=len(entries))
            entries += told.entries
            if not told.entries or len(entries) >= told.total:
                return entries

    entries = ask(every, run=run)
    exact = [entry for entry in entries if name in (entry.id, entry.path)]
    ends = [entry for entry in entries if entry.path.endswith(name)]
    chosen = exact or ends
    if len(chosen) == 1:
        return chosen[0]
    detail = "there is no such entry" if not chosen else "several entries end so"
    mend = "openvolume library list" if not chosen else ", ".join(entry.path for entry in chosen[:5])
    raise UnknownAddress(Problem(UnknownAddress.code, "ENTRY", detail, name, mend))


def _kept(entry: LibraryEntryView, run: str | None) -> list[LibraryVersionView]:
    return ask(lambda show: show.library_versions(entry.id), run=run)


def _json(value: object) -> str:
    return json.dumps(msgspec.to_builtins(value), indent=1)


def _bad(path: str, detail: str, value: Any, mend: str) -> BadValue:
    return BadValue(Problem(BadValue.code, path, detail, value, mend))
