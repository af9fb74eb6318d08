"""A whole show as one file: what `openvolume show export` writes and `import` reads. A ZIP archive with

    manifest.json       what this is, of which show and revision, and SHA-256 and size of every other member
    config.yaml         the configuration that ran
    show.json           all that is live: scenes with their edits, looks, cards, keys, cues, grades, nudges, wishes
    revisions.json      the history: who changed what, when
    configs/N.yaml      the configurations the history names

Files the configuration names (assets, lens tables, mappings) are listed in the manifest with their hashes, not
carried. Users, keys, sessions and the audit log are never in it. Pure: bytes in, bytes out; nothing is unpacked.
"""

from __future__ import annotations

import difflib
import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, Final

import msgspec
from msgspec import Struct

from controller.errors import ControllerError
from controller.show import Show
from controller.show_lock import ShowLock
from controller.store import Change, Revision
from stage.errors import Problem

FORMAT: Final = 1
SUFFIX: Final = ".ovshow"
MEDIA_TYPE: Final = "application/zip"
MOST_BYTES: Final = 16 << 20
MOST_UNPACKED_BYTES: Final = 128 << 20
_MEMBER: Final = re.compile(r"manifest\.json|config\.yaml|show\.json|revisions\.json|configs/[1-9]\d{0,9}\.yaml")
_NOT_COMPARED: Final = frozenset({"version", "config_version", "lock", "take", "switches", "transitions", "action"})
_STAMP: Final = (1980, 1, 1, 0, 0, 0)
"""Of every member: the same show gives the same bytes."""


class ShowFileError(ControllerError):
    """A file that is no show, or not whole."""

    code = "controller.show_file"


class Part(Struct, frozen=True):
    """One member of the file."""

    sha256: str
    bytes: int


class Reference(Struct, frozen=True):
    """A file the configuration names; it has to be there where the show is imported."""

    path: str
    """As the configuration names it."""
    sha256: str
    """Empty: it was not there."""
    bytes: int


class Manifest(Struct, frozen=True):
    """What the file is."""

    openvolume_show: int
    name: str
    rev: int
    t_tai_ns: int
    software: str
    files: dict[str, Part]
    references: list[Reference] = []


class ShowFile(Struct, frozen=True):
    """A whole show."""

    manifest: Manifest
    config: str
    show: Show
    revisions: list[Revision] = []
    configs: dict[int, str] = {}


def write_show_file(
    *,
    name: str,
    software: str,
    t_tai_ns: int,
    config: str,
    show: Show,
    revisions: Iterable[Revision] = (),
    configs: Mapping[int, str] | None = None,
    references: Iterable[Reference] = (),
) -> bytes:
    """The file of a show. What belongs to one run alone (a take's lock, switches under way) is left out."""
    members = {
        "config.yaml": config.encode(),
        "show.json": msgspec.json.format(msgspec.json.encode(at_rest(show)), indent=1),
        "revisions.json": msgspec.json.format(msgspec.json.encode(list(revisions)), indent=1),
        **{f"configs/{number}.yaml": text.encode() for number, text in sorted((configs or {}).items())},
    }
    files = {member: Part(sha256(data).hexdigest(), len(data)) for member, data in members.items()}
    manifest = Manifest(FORMAT, name, show.version, t_tai_ns, software, files, list(references))
    told = {"manifest.json": msgspec.json.format(msgspec.json.encode(manifest), indent=1), **members}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in told.items():
            archive.writestr(zipfile.ZipInfo(member, _STAMP), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def read_show_file(data: bytes) -> ShowFile:
    """The show in a file.

    Raises
    ------
    ShowFileError : no such file, one of a newer version, damaged, or too large.
    """
    if len(data) > MOST_BYTES:
        raise _bad("file", f"{len(data)} bytes; at most {MOST_BYTES} are read")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = _members(archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        raise _bad("file", f"cannot be unpacked: {error}") from error
    manifest = _decoded(members, "manifest.json", Manifest)
    if manifest.openvolume_show > FORMAT:
        mend = "import it with the OpenVolume it was exported by, or a newer one"
        raise _bad("manifest.json", f"format {manifest.openvolume_show} is newer than ours", mend)
    if set(manifest.files) != set(members) - {"manifest.json"}:
        raise _bad("manifest.json", "tells of other members than there are")
    for member, part in manifest.files.items():
        if sha256(members[member]).hexdigest() != part.sha256:
            raise _bad(member, "is not as it was exported (its hash differs)")
    try:
        config = members["config.yaml"].decode()
        configs = {
            int(member[8:-5]): text.decode() for member, text in members.items() if member.startswith("configs/")
        }
    except (KeyError, UnicodeDecodeError) as error:
        raise _bad("config.yaml", f"not there, or no text: {error}") from error
    show = _decoded(members, "show.json", Show)
    return ShowFile(manifest, config, show, _decoded(members, "revisions.json", list[Revision]), configs)


def at_rest(show: Show) -> Show:
    """The show without what belongs to the run it is of."""
    states = {name: msgspec.structs.replace(state, key="") for name, state in show.scene_states.items()}
    at = msgspec.structs.replace(show.cues_at, waiting=[])
    return msgspec.structs.replace(
        show, scene_states=states, cues_at=at, lock=ShowLock(), take="", action=None, switches=[], transitions=[]
    )


def differences(before: Show, after: Show, most: int = 500) -> dict[str, Change]:
    """What is otherwise in another show, by place; at most so many."""
    found: dict[str, Change] = {}
    _compare(msgspec.to_builtins(at_rest(before)), msgspec.to_builtins(at_rest(after)), "", found)
    return dict(sorted(found.items())[:most])


def text_differences(before: str, after: str, most: int = 400) -> list[str]:
    """The lines that are otherwise, as `diff -u` tells them; at most so many."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "running", "file", lineterm="", n=1)
    return [line for line, _ in zip(lines, range(most), strict=False)]


def _compare(before: Any, after: Any, path: str, found: dict[str, Change]) -> None:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted({*before, *after}, key=str):
            below = f"{path}/{name}" if path else str(name)
            if path or name not in _NOT_COMPARED:
                _compare(before.get(name), after.get(name), below, found)
    elif before != after:
        found[path] = Change(before, after)


def _members(archive: zipfile.ZipFile) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    left = MOST_UNPACKED_BYTES
    for info in archive.infolist():
        if not _MEMBER.fullmatch(info.filename) or info.filename in found:
            raise _bad(info.filename[:80], "does not belong into such a file")
        with archive.open(info) as member:
            # Whatever its header says: a small file may unpack to anything.
            data = member.read(left + 1)
        left -= len(data)
        if left < 0:
            raise _bad("file", f"unpacks to more than {MOST_UNPACKED_BYTES} bytes")
        found[info.filename] = data
    return found


def _decoded(members: Mapping[str, bytes], member: str, kind: Any) -> Any:
    try:
        return msgspec.json.decode(members[member], type=kind)
    except KeyError:
        raise _bad(member, "is not there") from None
    except (msgspec.MsgspecError, RecursionError) as error:
        raise _bad(member, str(error)) from error


def _bad(path: str, detail: str, mend: str = "export the show again") -> ShowFileError:
    return ShowFileError(Problem(ShowFileError.code, path, detail, None, mend))
