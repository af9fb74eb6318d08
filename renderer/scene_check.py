"""What a scene's configuration says about files, names inside assets and other sections, checked without a GPU."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from renderer.addresses import addresses
from renderer.config import SceneConfig
from renderer.gltf.errors import AssetError
from renderer.gltf.outline import Outline, outline
from renderer.object_config import ObjectConfig
from renderer.scene_file import files_of, normal_form
from stage.documents import join
from stage.errors import Problem


def outlines_of(config: SceneConfig, folder: Path) -> tuple[dict[str, Outline], list[Problem]]:
    """The outline of every object of the scene's normal form, and what is wrong with those that have none.

    A file that is not there is left out of both.
    """
    found: dict[str, Outline] = {}
    problems: list[Problem] = []
    for name, thing in normal_form(config).objects.items():
        file = folder / thing.gltf
        if not _is_file(file):
            continue
        try:
            found[name] = outline(file)
        except AssetError as error:
            for fault in error.problems:
                where = _written_at(config, name, thing)
                problems.append(Problem(fault.code, where, fault.detail, fault.value, fault.mend))
    return found, problems


def scene_problems(config: SceneConfig, folder: Path, subjects: Collection[str] | None = None) -> list[Problem]:
    """Everything wrong with a scene beside its types: files, names, bindings, exposed addresses.

    Paths are addresses within the scene. `subjects`: the tracked subjects there are; None leaves them unchecked.
    """
    problems = []
    for path, file in files_of(config):
        if not _is_file(folder / file):
            detail = f"there is no file {folder / file}"
            problems.append(
                Problem("renderer.scene_file", path, detail, file, "correct the name or put the file there")
            )
    outlines, faults = outlines_of(config, folder)
    problems += faults
    normal = normal_form(config)
    for name, thing in normal.objects.items():
        if name in outlines:
            problems += _names(join("objects", name), thing, outlines[name])
    problems += _bindings(normal, outlines, subjects)
    if len(outlines) == len(normal.objects):
        known = addresses(normal, outlines)
        problems += [
            _unknown("address", join("exposed", name, "address"), exposed.address, known)
            for name, exposed in config.exposed.items()
            if exposed.address not in known
        ]
    return problems


def _names(path: str, thing: ObjectConfig, outline: Outline) -> list[Problem]:
    """Names the asset does not have."""
    wanted: list[tuple[str, str, str, Iterable[str]]] = [
        ("node", join(path, "nodes", name), name, outline.nodes) for name in thing.nodes
    ]
    wanted += [("material", join(path, "materials", name), name, outline.materials) for name in thing.materials]
    wanted += [("animation", join(path, "animations", name), name, outline.animations) for name in thing.animations]
    if thing.animation is not None:
        wanted.append(("animation", join(path, "animation"), thing.animation, (*outline.animations, "none")))
    if thing.variant is not None:
        wanted.append(("variant", join(path, "variant"), thing.variant, outline.variants))
    return [_unknown(kind, where, name, there) for kind, where, name, there in wanted if name not in set(there)]


def _bindings(config: SceneConfig, outlines: Mapping[str, Outline], subjects: Collection[str] | None) -> list[Problem]:
    problems = []
    for name, binding in config.bindings.items():
        path = join("bindings", name)
        if subjects is not None and binding.subject not in subjects:
            problems.append(_unknown("subject", join(path, "subject"), binding.subject, subjects))
        if binding.light is not None and binding.light not in config.lights:
            problems.append(_unknown("light", join(path, "light"), binding.light, config.lights))
        if binding.object is None:
            continue
        if binding.object not in config.objects:
            problems.append(_unknown("object", join(path, "object"), binding.object, config.objects))
            continue
        there = outlines.get(binding.object)
        if there is None:
            continue
        if binding.node is not None and binding.node not in there.nodes:
            problems.append(_unknown("node", join(path, "node"), binding.node, there.nodes))
        problems += [
            _unknown("node", join(path, "joints", joint), joint, there.nodes)
            for joint in binding.joints or {}
            if joint not in there.nodes
        ]
        problems += [
            _unknown("morph target", join(path, "shapes", shape), shape, there.shapes)
            for shape in binding.shapes or {}
            if shape not in there.shapes
        ]
        if binding.shapes is not None and not there.shapes:
            detail = "the asset names no morph targets (extras.targetNames of a mesh) to follow a face"
            problems.append(
                Problem("renderer.scene_name", join(path, "shapes"), detail, None, "export them with names")
            )
        if binding.joints is not None and not there.skins:
            detail = "the asset has no skin to follow a performer"
            problems.append(Problem("renderer.scene_name", join(path, "joints"), detail, None, "bind a node instead"))
    return problems


def _unknown(kind: str, path: str, name: str, known: Iterable[str]) -> Problem:
    there = list(known)
    near = difflib.get_close_matches(name, there, 1, 0.6)
    listed = ", ".join(there[:12]) + (", ..." if len(there) > 12 else "")
    mend = f"did you mean `{near[0]}`?" if near else f"use one of {listed or '(none)'}"
    return Problem("renderer.scene_name", path, f"there is no such {kind}", name, mend)


def _written_at(config: SceneConfig, name: str, thing: ObjectConfig) -> str:
    """Where the configuration names an object's asset."""
    if name in config.objects:
        return join("objects", name, "gltf")
    return join("gltf", config.gltf.index(thing.gltf))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
