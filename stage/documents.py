"""YAML text to plain data with a line number for every value, and pydantic faults to problems a person can mend.

Nothing of YAML that could surprise is let in: duplicate keys, unknown tags, NaN and infinities, texts that unfold
to far more than they show (alias bombs). Every fault of a document is told, not only the first.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from stage.errors import Problem

MAX_BYTES: Final = 2_000_000
_MAX_VALUES: Final = 50_000
_MAX_CHARACTERS: Final = 8_000_000
_MAX_DEPTH: Final = 24
_MAX_OPEN: Final = 200
_BRACKETS: Final = re.compile(r"[\[\]{}]")
_TAG: Final = "tag:yaml.org,2002:"

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML file as plain data. `lines` gives the 1-based line of every path (`stage/walls/main/columns`)."""

    data: dict[str, Any]
    lines: dict[str, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def join(*parts: object) -> str:
    """A path of its parts: `join("stage", "walls")` is `stage/walls`; empty parts fall away."""
    return "/".join(str(part) for part in parts if part != "")


class _Reader:
    def __init__(self) -> None:
        self.lines: dict[str, int] = {}
        self.problems: list[Problem] = []
        self.values = 0
        self.characters = 0

    def refuse(self, code: str, path: str, node: Node, detail: str, value: Any = None, mend: str = "") -> None:
        self.problems.append(Problem(f"stage.{code}", path, detail, value, mend, node.start_mark.line + 1))

    def read(self, node: Node, path: str, depth: int) -> Any:
        self.values += 1
        if self.values > _MAX_VALUES or self.characters > _MAX_CHARACTERS:
            raise OverflowError
        self.lines.setdefault(path, node.start_mark.line + 1)
        if depth > _MAX_DEPTH:
            raise RecursionError
        if isinstance(node, MappingNode):
            return self.mapping(node, path, depth)
        if isinstance(node, SequenceNode):
            return [self.read(item, join(path, i), depth + 1) for i, item in enumerate(node.value)]
        return self.scalar(node, path)

    def mapping(self, node: MappingNode, path: str, depth: int) -> dict[str, Any]:
        out: dict[str, Any] = {}
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, ScalarNode):
                self.refuse("bad_key", path, key_node, "a key must be a plain word", None, "write `key: value`")
                continue
            key = str(key_node.value)
            where = join(path, key)
            if key in out:
                self.refuse(
                    "duplicate_key",
                    where,
                    key_node,
                    f"this key stands on line {first[key]} already",
                    None,
                    "remove one of the two",
                )
                continue
            first[key] = line
            self.lines[where] = line
            out[key] = self.read(value_node, where, depth + 1)
        return out

    def scalar(self, node: Node, path: str) -> Any:
        text = str(node.value)
        self.characters += len(text)
        kind = str(node.tag).removeprefix(_TAG)
        if kind in ("str", "timestamp", "merge", "value"):
            return text
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        try:
            if kind == "int":
                return int(text.replace("_", ""), 0 if text.lstrip("+-").lower().startswith(("0x", "0o", "0b")) else 10)
            if kind == "float":
                number = _float(text)
                if math.isfinite(number):
                    return number
                self.refuse("not_finite", path, node, "not a finite number", text, "give a finite number")
                return None
        except ValueError:
            self.refuse("bad_number", path, node, "not a number that can be read", text[:40], "write it in decimals")
            return None
        self.refuse("bad_tag", path, node, f"the tag {str(node.tag)[:60]} is not allowed", text[:40], "remove the tag")
        return None


def _float(text: str) -> float:
    plain = text.replace("_", "").lower()
    if plain.lstrip("+-") == ".inf":
        return -math.inf if plain.startswith("-") else math.inf
    return math.nan if plain == ".nan" else float(plain)


def read_yaml(source: str | bytes) -> Document:
    """Plain data of one YAML 1.2 document whose top is a mapping; never raises for bad input."""
    size = len(source)
    if size > MAX_BYTES:
        return _refused("too_large", f"{size} bytes; at most {MAX_BYTES} are read", "split it, or name files in it")
    try:
        text = source.decode("utf-8-sig") if isinstance(source, bytes) else source
    except UnicodeDecodeError as error:
        return _refused("bad_text", f"not UTF-8 at byte {error.start}", "save the file as UTF-8")
    if text.count("\n") + text.count(",") > _MAX_VALUES:
        return _refused("too_large", f"more than {_MAX_VALUES} lines and list items", "split it, or name files in it")
    if _open_brackets(text) > _MAX_OPEN:
        # The parser's time grows with the square of the nesting: it must not begin.
        return _refused("too_deep", f"more than {_MAX_OPEN} brackets are open at once", "flatten it")
    reader = _Reader()
    try:
        top = YAML(typ="safe", pure=True).compose(text)
        data = reader.read(top, "", 0) if top is not None else {}
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        detail = " ".join(str(part) for part in (error.problem, error.context) if part) or "not YAML"
        return _refused("yaml_syntax", detail, "mend the YAML here", mark.line + 1 if mark is not None else None)
    except (YAMLError, ValueError) as error:
        return _refused("yaml_syntax", str(error).splitlines()[0], "mend the YAML")
    except RecursionError:
        return _refused("too_deep", f"nested deeper than {_MAX_DEPTH} levels", "flatten it")
    except OverflowError:
        return _refused(
            "too_large",
            f"unfolds to more than {_MAX_VALUES} values or {_MAX_CHARACTERS} characters",
            "repeat less through aliases",
        )
    if not isinstance(data, dict):
        return _refused("wrong_type", "the top of the file must be a mapping", "begin with `openvolume: 1`", 1)
    return Document(data, reader.lines, tuple(reader.problems))


def _open_brackets(text: str) -> int:
    """Most brackets open at once, quotes and comments not told apart: an upper bound of the flow nesting."""
    depth = most = 0
    for bracket in _BRACKETS.findall(text):
        depth = depth + 1 if bracket in "[{" else max(0, depth - 1)
        most = max(most, depth)
    return most


def _refused(situation: str, detail: str, mend: str, line: int | None = None) -> Document:
    return Document({}, {}, (Problem(f"stage.{situation}", "", detail, None, mend, line),))


def line_of(lines: Mapping[str, int], path: str) -> int | None:
    """Line of the value at `path`, or of its nearest parent that stands in the file."""
    while path:
        if path in lines:
            return lines[path]
        path = path.rpartition("/")[0]
    return lines.get("")


def with_lines(problems: Iterable[Problem], lines: Mapping[str, int]) -> tuple[Problem, ...]:
    """The problems, each with its line, in the file's order."""
    placed = [p if p.line is not None else replace(p, line=line_of(lines, p.path)) for p in problems]
    return tuple(sorted(placed, key=lambda p: p.line or 0))


def validate(model: type[Model], document: Document) -> tuple[Model | None, tuple[Problem, ...]]:
    """The document as a `model`, strictly (no "24" for 24), or None and every problem found."""
    problems = list(document.problems)
    if any(p.path == "" for p in problems):
        return None, tuple(problems)
    told = {p.path for p in problems}
    result: Model | None = None
    try:
        # JSON mode: strict about scalars while lists may become tuples, for files and HTTP bodies alike.
        result = model.model_validate_json(json.dumps(document.data))
    except ValidationError as error:
        # Only a refusal needs the words of the fields.
        from stage.config import Section
        from stage.described import described

        schema = described(model.model_json_schema(), model, Section)
        for fault in error.errors(include_url=False):
            problem = _problem(fault, document.data, schema)
            if problem.path not in told:
                told.add(problem.path)
                problems.append(problem)
    except ValueError as error:  # a text json or pydantic will not take, such as a lone surrogate
        problems.append(Problem("stage.bad_text", "", str(error)))
    return (None if problems else result), with_lines(problems, document.lines)


def _problem(fault: Any, data: Any, schema: dict[str, Any]) -> Problem:
    kind, loc, ctx = fault["type"], fault["loc"], fault.get("ctx", {})
    path, value, found = _locate(loc, data)
    message = str(fault["msg"])
    message = message.removeprefix("Value error, ").removeprefix("Input ").replace("should", "must")
    parent = _schema_at(schema, path.rpartition("/")[0].split("/") if "/" in path else [], data)
    here = parent.get("properties", {}).get(path.rpartition("/")[2], {})
    about = str(here.get("description", "")).split("\n")[0]
    known = sorted(parent.get("properties", {}))
    shown = value if found and not isinstance(value, dict | list) else None
    if kind == "missing":
        return Problem("stage.missing", path, "this value is missing", None, f"add it{': ' + about if about else ''}")
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(path.rpartition("/")[2], known, 1, 0.6)
        mend = f"did you mean `{near[0]}`?" if near else f"remove it; known here: {', '.join(known)}"
        return Problem("stage.unknown_key", path, "no such key", shown, mend)
    if loc and loc[-1] == "[key]":
        return Problem(
            "stage.bad_id",
            path,
            "an id is a small letter followed by up to 31 small letters, digits or _",
            str(loc[-2]),
            "rename it, for example `wall_left`",
        )
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        tag = str(ctx.get("discriminator", "type")).strip("'")
        where = join(path, tag)
        choices = str(ctx.get("expected_tags", "")) or ", ".join(_tags(here))
        given = value.get(tag) if isinstance(value, dict) else None
        detail = f"`{tag}` must be one of {choices}" if choices else f"`{tag}` is missing"
        return Problem("stage.not_one_of", where, detail, given, f"set `{tag}`")
    if kind in ("literal_error", "enum"):
        return Problem("stage.not_one_of", path, "not one of the choices", value, f"use {ctx.get('expected', '')}")
    if kind.startswith(("greater_than", "less_than", "too_")) or kind in ("finite_number", "multiple_of"):
        return Problem("stage.out_of_range", path, message, shown, about or "give a value in range")
    if kind == "string_pattern_mismatch":
        return Problem("stage.bad_text", path, message, shown, about or "correct it")
    if kind == "value_error" or "." in kind:
        return Problem("stage.bad_value", path, message, shown, about or "correct it")
    return Problem(
        "stage.wrong_type", path, message, shown if shown is not None else _type_name(value), about or "correct it"
    )


def _type_name(value: Any) -> str | None:
    return {dict: "a mapping", list: "a list", type(None): None}.get(type(value), type(value).__name__)


def _locate(loc: Iterable[int | str], data: Any) -> tuple[str, Any, bool]:
    """Path of a pydantic location in the document: names of union members, which pydantic puts in, left out."""
    parts: list[str] = []
    here, found = data, True
    steps = list(loc)
    for i, step in enumerate(steps):
        if step == "[key]":
            continue
        inside = (isinstance(here, dict) and step in here) or (
            isinstance(here, list) and isinstance(step, int) and step < len(here)
        )
        if inside:
            here = here[step]
        elif i < len(steps) - 1 or not isinstance(here, dict):
            continue
        else:
            found = False
        parts.append(str(step))
    return "/".join(parts), here, found


def _resolve(schema: dict[str, Any], node: dict[str, Any], data: Any) -> dict[str, Any]:
    while "$ref" in node:
        node = schema["$defs"][str(node["$ref"]).rpartition("/")[2]]
    options = node.get("oneOf") or node.get("anyOf")
    if not options:
        return node
    tag = node.get("discriminator", {})
    mapping, name = tag.get("mapping", {}), tag.get("propertyName", "")
    if isinstance(data, dict) and data.get(name) in mapping:
        return _resolve(schema, {"$ref": mapping[data[name]]}, data)
    return next((r for o in options if (r := _resolve(schema, o, data)).get("type") == "object"), {})


def _schema_at(schema: dict[str, Any], path: list[str], data: Any) -> dict[str, Any]:
    node = _resolve(schema, schema, data)
    for step in path:
        data = data[int(step)] if isinstance(data, list) else data.get(step) if isinstance(data, dict) else None
        inner = node.get("properties", {}).get(step) or _members(node)
        if not isinstance(inner, dict):
            return {}
        node = _resolve(schema, inner, data)
    return node


def _members(node: dict[str, Any]) -> Any:
    """Schema of a collection's members: a mapping by any key, a mapping by ids, or a list."""
    by_id = next(iter(node.get("patternProperties", {}).values()), None)
    return by_id or node.get("additionalProperties") or node.get("items")


def _tags(node: dict[str, Any]) -> list[str]:
    inner = _members(node) or node
    return sorted(inner.get("discriminator", {}).get("mapping", {})) if isinstance(inner, dict) else []
