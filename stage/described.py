"""What the strings under the fields of configuration sections say, put into their JSON Schema.

pydantic can read them itself, but does so whenever a section is defined: a tenth of the time that every process takes
to start, for words that only the schema needs.
"""

from __future__ import annotations

import ast
import inspect
import sys
from functools import cache
from itertools import pairwise
from typing import Any

from pydantic import BaseModel


def described(schema: dict[str, Any], root: type[BaseModel], base: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema of `root` with descriptions of all fields of sections (classes below `base`) that have none."""
    sections = {cls.__name__: cls for cls in _below(base)}
    for name, told in {**schema.get("$defs", {}), root.__name__: schema}.items():
        if name not in sections:
            continue
        words: dict[str, str] = {}
        for cls in reversed(sections[name].__mro__):
            if issubclass(cls, base):
                words |= _words(cls.__module__).get(cls.__name__, {})
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


@cache
def _words(module: str) -> dict[str, dict[str, str]]:
    """By class and field: the string under it. Read once: configurations are checked while they are typed."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except OSError:
        # Its text is not to be had: a refusal does without.
        return {}
    found: dict[str, dict[str, str]] = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef):
            continue
        words = found.setdefault(node.name, {})
        for field, below in pairwise(node.body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
                said = below.value
                if isinstance(said, ast.Constant) and isinstance(said.value, str):
                    words[field.target.id] = inspect.cleandoc(said.value)
    return found
