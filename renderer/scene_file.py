"""Scene files: a scene in a YAML file of its own, joined into the configuration that names it.

Read once, when the configuration is: from then on a scene from a file and one written inline are the same thing.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, get_args

from pydantic import BaseModel

from renderer.config import SceneConfig
from renderer.config_types import FileMark
from renderer.gltf.outline import ids_of
from renderer.object_config import ObjectConfig
from stage.documents import MAX_BYTES, join, read_yaml, validate
from stage.errors import Problem

_BESIDE = frozenset({"file", "label", "position"})


def with_scene_files(
    scenes: Mapping[str, SceneConfig], folder: Path
) -> tuple[dict[str, SceneConfig], dict[str, Path], list[Problem]]:
    """The scenes with those from files read in (`folder` is the configuration's), the file of each of those, faults.

    A fault's path is the scene's in the configuration; its text names file, line and place within.
    """
    out: dict[str, SceneConfig] = {}
    files: dict[str, Path] = {}
    problems: list[Problem] = []
    for name, scene in scenes.items():
        out[name] = scene
        if scene.file is None:
            continue
        path = join("scenes", name, "file")
        files[name] = folder / scene.file
        beside = sorted(scene.model_fields_set - _BESIDE)
        if beside:
            detail = f"beside `file` only label and position are given, not {', '.join(beside)}"
            problems.append(
                Problem("renderer.scene_file", join("scenes", name, beside[0]), detail, None, "move it into the file")
            )
            continue
        read, faults = read_scene_file(folder / scene.file)
        problems += [_told(fault, scene.file, path) for fault in faults]
        if read is not None:
            base = PurePosixPath(scene.file).parent
            moved = _moved(read, lambda file, base=base: posixpath.normpath(base / file))  # type: ignore[misc]
            given: dict[str, object] = {
                key: getattr(scene, key) for key in ("label", "position") if key in scene.model_fields_set
            }
            out[name] = moved.model_copy(update=given)
    return out, files, problems


def read_scene_file(file: Path) -> tuple[SceneConfig | None, tuple[Problem, ...]]:
    """A scene file as it stands, file names as written, or None and every fault with its line."""
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return None, (
            Problem("renderer.scene_file", "", f"cannot be read: {reason}", None, "correct the name or put it there"),
        )
    scene, problems = validate(SceneConfig, read_yaml(data))
    if scene is not None and scene.file is not None:
        detail = "a scene file does not name another one"
        return None, (Problem("renderer.scene_file", "file", detail, scene.file, "write its keys here"),)
    return scene, problems


def normal_form(config: SceneConfig) -> SceneConfig:
    """The scene with every asset of `gltf` as an object; what addresses and edits speak of."""
    if not config.gltf:
        return config
    taken = list(config.objects)
    names = ids_of([*taken, *(PurePosixPath(file).stem for file in config.gltf)], "object")[len(taken) :]
    more = {name: ObjectConfig(gltf=file) for name, file in zip(names, config.gltf, strict=True)}
    return config.model_copy(update={"gltf": [], "objects": {**more, **config.objects}})


def files_of(config: SceneConfig) -> list[tuple[str, str]]:
    """(address within the scene, file name) of every file the scene names, `file` itself left out."""
    return [entry for entry in _files(config, "") if entry[0] != "file"]


def _told(fault: Problem, file: str, path: str) -> Problem:
    line = "" if fault.line is None else f":{fault.line}"
    detail = f"{file}{line} {fault.path}".rstrip() + f": {fault.detail}"
    return Problem(fault.code, path, detail, fault.value, fault.mend)


def _is_file(section: BaseModel, name: str) -> bool:
    """Whether the values of a field name files."""
    field = type(section).model_fields[name]
    return any(isinstance(m, FileMark) for m in field.metadata) or _marked(field.annotation)


def _marked(annotation: Any) -> bool:
    metadata = getattr(annotation, "__metadata__", ())
    return any(isinstance(m, FileMark) for m in metadata) or any(_marked(part) for part in get_args(annotation))


def _files(value: Any, path: str, *, marked: bool = False) -> Iterator[tuple[str, str]]:
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _files(getattr(value, name), join(path, name), marked=_is_file(value, name))
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield from _files(entry, join(path, key), marked=marked)
    elif isinstance(value, list | tuple):
        for i, entry in enumerate(value):
            yield from _files(entry, join(path, i), marked=marked)
    elif marked and isinstance(value, str):
        yield path, value


def _moved(section: SceneConfig, place: Callable[[str], str]) -> SceneConfig:
    out = _mapped(section, place, marked=False)
    assert isinstance(out, SceneConfig)
    return out


def _mapped(value: Any, place: Callable[[str], str], *, marked: bool) -> Any:
    if isinstance(value, BaseModel):
        changed = {}
        for name in type(value).model_fields:
            old = getattr(value, name)
            new = _mapped(old, place, marked=_is_file(value, name))
            if new is not old:
                changed[name] = new
        return value.model_copy(update=changed) if changed else value
    if isinstance(value, dict):
        mapped = {key: _mapped(entry, place, marked=marked) for key, entry in value.items()}
        return mapped if any(mapped[key] is not value[key] for key in value) else value
    if isinstance(value, list | tuple):
        entries = [_mapped(entry, place, marked=marked) for entry in value]
        return type(value)(entries) if any(a is not b for a, b in zip(entries, value, strict=True)) else value
    return place(value) if marked and isinstance(value, str) else value
