"""What the strings under the fields of configuration sections say, put into their JSON Schema.

pydantic can read them itself, but does so whenever a section is defined: a tenth of the time that every process takes
to start, for words that only the schema needs.
"""

from __future__ import annotations

import ast
import inspect
import sys
from itertools import pairwise
from typing import Any

from pydantic import BaseModel


def described(schema: dict[str, Any], root: type[BaseModel], base: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema of `root` with descriptions of all fields of sections (classes below `base`) that have none."""
    sections = {cls.__name__: cls for cls in _below(base)}
    parsed: dict[str, ast.Module] = {}
    for name, told in {**schema.get("$defs", {}), root.__name__: schema}.items():
        if name not in sections:
            continue
        words: dict[str, str] = {}
        for cls in reversed(sections[name].__mro__):
            if issubclass(cls, base):
                words |= _words(cls, parsed)
        for field, info in sections[name].model_fields.items():
            shown = told.get("properties", {}).get(info.alias or field)
            if shown is not None and field in words:
                shown.setdefault("description", words[field])
    return schema


def _below(base: type[BaseModel]) -> list[type[BaseModel]]:
    found = []
    for cls in base.__subclasses__():
        found += [cls, *_below(cls)]
    return found


def _words(cls: type, parsed: dict[str, ast.Module]) -> dict[str, str]:
    """By field: the string under it."""
    module = sys.modules[cls.__module__]
    if cls.__module__ not in parsed:
        parsed[cls.__module__] = ast.parse(inspect.getsource(module))
    body = next(
        (
            node.body
            for node in ast.walk(parsed[cls.__module__])
            if isinstance(node, ast.ClassDef) and node.name == cls.__name__
        ),
        [],
    )
    found = {}
    for field, below in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            said = below.value
            if isinstance(said, ast.Constant) and isinstance(said.value, str):
                found[field.target.id] = inspect.cleandoc(said.value)
    return found
