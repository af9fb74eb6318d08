"""Whether a program written for one version of the API still works with another: two documents compared.

What breaks a program: a route, message, field or value it uses is gone; something it may leave out is needed; a field
it reads may be missing, or is of another type. What is new is no break: programs leave alone what they do not know.

What is sent and what is answered break differently (a needed field that is new breaks whoever sends, not whoever
reads), so schemas are followed from the routes down, with references resolved.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

Document = Mapping[str, Any]
Way = Literal["sent", "answered"]
"""Who makes it: the program, or we."""

_ABOUT: Final = frozenset({"description", "summary", "title", "examples", "example", "default", "$comment"})
_NAMED: Final = frozenset({"properties", "patternProperties", "schemas", "messages", "paths", "responses"})
"""Whose own fields are names, not words of a schema."""
_METHODS: Final = ("get", "put", "post", "patch", "delete")
_LOWER: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")


def openapi_breaks(old: Document, new: Document) -> list[str]:
    """What an OpenAPI document broke: one line each, such as `GET /api/v1/show answer exposure_ev: is gone`."""
    compared = _Schemas({"": old}, {"": new})
    for path, operations in old["paths"].items():
        for method in _METHODS:
            if method not in operations:
                continue
            where = f"{method.upper()} {path}"
            if method not in new["paths"].get(path, {}):
                compared.say(where, "is gone")
                continue
            _operation(where, operations[method], new["paths"][path][method], compared)
    return compared.breaks


def asyncapi_breaks(old: Document, new: Document, old_openapi: Document, new_openapi: Document) -> list[str]:
    """What an AsyncAPI document broke; its references lead into the OpenAPI document of the same version."""
    compared = _Schemas({"": old, "openapi.json": old_openapi}, {"": new, "openapi.json": new_openapi})
    for name, channel in old["channels"].items():
        if name not in new["channels"]:
            compared.say(f"channel {name}", "is gone")
            continue
        now = new["channels"][name]
        if channel["address"] != now["address"]:
            compared.say(f"channel {name}", f"was at {channel['address']}, is at {now['address']}")
        compared.follow(f"channel {name} query", _query(channel), _query(now), "sent")
    for name, operation in old["operations"].items():
        way: Way = "sent" if operation["action"] == "receive" else "answered"
        now_operation = new["operations"].get(name)
        if now_operation is None:
            compared.say(f"operation {name}", "is gone")
            continue
        known = {_last(message["$ref"]) for message in now_operation["messages"]}
        for message in operation["messages"]:
            title = _last(message["$ref"])
            if title not in known:
                compared.say(f"message {title}", "is gone")
                continue
            payloads = [document["components"]["messages"][title]["payload"] for document in (old, new)]
            compared.follow(f"message {title}", payloads[0], payloads[1], way)
    return compared.breaks


def _query(channel: Document) -> Document:
    found: Document = channel.get("bindings", {}).get("ws", {}).get("query", {"type": "object"})
    return found


def _operation(where: str, old: Document, new: Document, compared: _Schemas) -> None:
    had = {(p["in"], p["name"]): p for p in old.get("parameters", ())}
    has = {(p["in"], p["name"]): p for p in new.get("parameters", ())}
    for key, parameter in had.items():
        told = f"{where} parameter {key[1]}"
        if key not in has:
            compared.say(told, "is gone")
            continue
        if has[key].get("required", False) and not parameter.get("required", False):
            compared.say(told, "is needed now")
        compared.follow(told, parameter.get("schema", {}), has[key].get("schema", {}), "sent")
    for key, parameter in has.items():
        if key not in had and parameter.get("required", False):
            compared.say(f"{where} parameter {key[1]}", "is new and needed")
    body, now = old.get("requestBody"), new.get("requestBody")
    if now is not None and now.get("required", False) and not (body or {}).get("required", False):
        compared.say(f"{where} body", "is needed now")
    if body is not None and now is None:
        compared.say(f"{where} body", "is not taken any more")
    if body is not None and now is not None:
        _contents(f"{where} body", body["content"], now["content"], "sent", compared)
    for status, answer in old["responses"].items():
        # Every fault is a problem document, told as `default`.
        if status not in new["responses"]:
            compared.say(f"{where} answer {status}", "is gone")
            continue
        content, content_now = answer.get("content", {}), new["responses"][status].get("content", {})
        _contents(f"{where} answer", content, content_now, "answered", compared)


def _contents(where: str, old: Document, new: Document, way: Way, compared: _Schemas) -> None:
    for media_type, content in old.items():
        if media_type not in new:
            compared.say(f"{where} {media_type}", "is gone")
            continue
        compared.follow(where, content.get("schema", {}), new[media_type].get("schema", {}), way)


class _Schemas:
    """Follows two schemas side by side; each pair of named ones once a way."""

    def __init__(self, old: Mapping[str, Document], new: Mapping[str, Document]) -> None:
        self._old, self._new = old, new
        self._seen: set[tuple[str, str, Way]] = set()
        self.breaks: list[str] = []

    def say(self, where: str, what: str) -> None:
        told = f"{where}: {what}"
        if told not in self.breaks:
            self.breaks.append(told)

    def follow(self, where: str, old: Any, new: Any, way: Way) -> None:
        """Compare two schemas and all below them."""
        name_before, name_now = _name(old), _name(new)
        if name_before or name_now:
            pair = (name_before or where, name_now or where, way)
            if pair in self._seen:
                return
            self._seen.add(pair)
            if name_before:
                # Named by what it is, however many routes lead there.
                where = f"{_last(name_before)} ({way})"
        old, new = _resolved(old, self._old), _resolved(new, self._new)
        if old is True or new is True or not old:
            # Anything goes: what is narrower now breaks a program that sends it.
            if way == "sent" and _narrows(new):
                self.say(where, f"took anything, takes {_kind(new)}")
            return
        if not new:
            if way == "answered":
                self.say(where, f"was {_kind(old)}, is anything")
            return
        if not self._choices(where, old, new, way):
            self._plain(where, old, new, way)

    def _choices(self, where: str, old: Document, new: Document, way: Way) -> bool:
        """Schemas that are one of several: each needs its like on the other side."""
        before, now = _options(old), _options(new)
        if before is None and now is None:
            return False
        before, now = before or [old], now or [new]
        wide, narrow = (now, before) if way == "sent" else (before, now)
        for option in narrow:
            like = [other for other in wide if self._alike(option, other, way)]
            if not like:
                kind = _kind(option)
                self.say(where, f"does not take {kind} any more" if way == "sent" else f"may be {kind} now")
                continue
            first = next((other for other in like if _name(other) == _name(option)), like[0])
            self.follow(where, *((option, first) if way == "sent" else (first, option)), way)
        return True

    def _alike(self, one: Any, other: Any, way: Way) -> bool:
        mine, others = (self._old, self._new) if way == "sent" else (self._new, self._old)
        one, other = _resolved(one, mine), _resolved(other, others)
        return bool(_types(one) & _types(other)) or (_types(one) == {"integer"} and "number" in _types(other))

    def _plain(self, where: str, old: Document, new: Document, way: Way) -> None:
        before, now = _types(old), _types(new)
        wide, narrow = (now, before) if way == "sent" else (before, now)
        lost = {kind for kind in narrow - wide if not (kind == "integer" and "number" in wide)}
        if lost and wide:
            self.say(where, f"was {_kind(old)}, is {_kind(new)}")
            return
        self._values(where, old, new, way)
        if "properties" in old or "properties" in new:
            self._fields(where, old, new, way)
        for name in ("items", "additionalProperties"):
            inner, inner_now = old.get(name), new.get(name)
            if isinstance(inner, Mapping) and isinstance(inner_now, Mapping):
                self.follow(f"{where}[]", inner, inner_now, way)
            elif name == "additionalProperties" and way == "sent" and inner is not False and inner_now is False:
                self.say(where, "takes no other fields any more")
        for pattern, inner in old.get("patternProperties", {}).items():
            if pattern not in new.get("patternProperties", {}):
                self.say(f"{where} {pattern}", "is gone")
            else:
                self.follow(f"{where} {pattern}", inner, new["patternProperties"][pattern], way)
        for index, (inner, inner_now) in enumerate(
            zip(old.get("prefixItems", ()), new.get("prefixItems", ()), strict=False)
        ):
            self.follow(f"{where}[{index}]", inner, inner_now, way)

    def _values(self, where: str, old: Document, new: Document, way: Way) -> None:
        before, now = _enum(old), _enum(new)
        if before is not None and now is not None and way == "sent":
            for value in before:
                if value not in now:
                    self.say(where, f"does not take {value!r} any more")
        elif before is None and now is not None and way == "sent":
            self.say(where, f"takes only {', '.join(map(repr, now))} now")
        if "const" in old and old["const"] != new.get("const"):
            self.say(where, f"was {old['const']!r}, is {new.get('const')!r}")
        if way == "sent":
            for name in (*_LOWER, *_UPPER):
                a, b = old.get(name), new.get(name)
                if b is not None and (a is None or (b > a if name in _LOWER else b < a)):
                    self.say(where, f"{name} is {b}" + ("" if a is None else f", was {a}"))
            if new.get("pattern") not in (None, old.get("pattern")):
                self.say(where, f"has to be {new['pattern']}")

    def _fields(self, where: str, old: Document, new: Document, way: Way) -> None:
        before, now = old.get("properties", {}), new.get("properties", {})
        needed, needed_now = set(old.get("required", ())), set(new.get("required", ()))
        for name, field in before.items():
            if name not in now:
                # A field that anything may be called is still taken.
                if way == "answered" or not new.get("additionalProperties", False):
                    self.say(f"{where} {name}", "is gone")
                continue
            if way == "sent" and name in needed_now - needed:
                self.say(f"{where} {name}", "is needed now")
            if way == "answered" and name in needed - needed_now:
                self.say(f"{where} {name}", "may be missing now")
            self.follow(f"{where} {name}", field, now[name], way)
        if way == "sent":
            for name in sorted(needed_now - before.keys() - needed):
                self.say(f"{where} {name}", "is new and needed")


def undeclared(breaks: list[str], declared: Mapping[str, str]) -> list[str]:
    """Breaks that nobody has given a reason for. declared : reason by break; a `*` stands for anything."""
    patterns = [re.compile(".*".join(map(re.escape, told.split("*")))) for told, reason in declared.items() if reason]
    return [told for told in breaks if not any(pattern.fullmatch(told) for pattern in patterns)]


def without_words(document: Any) -> Any:
    """A document without what is only for people: a baseline is half as long so."""
    if isinstance(document, Mapping):
        return {
            name: {field: without_words(inner) for field, inner in value.items()}
            if name in _NAMED and isinstance(value, Mapping)
            else without_words(value)
            for name, value in document.items()
            if name not in _ABOUT
        }
    return [without_words(inner) for inner in document] if isinstance(document, list) else document


def _name(schema: Any) -> str:
    return schema.get("$ref", "") if isinstance(schema, Mapping) else ""


def _last(reference: str) -> str:
    return reference.rpartition("/")[2]


def _resolved(schema: Any, documents: Mapping[str, Document]) -> Any:
    while isinstance(schema, Mapping) and "$ref" in schema:
        file, _, path = schema["$ref"].partition("#/")
        # A document's own references, and those inside the one it points to, are found by their last word.
        found: Any = documents[file]
        steps = path.split("/")
        for candidate in (found, *documents.values()):
            found = candidate
            for step in steps:
                found = found.get(step, {}) if isinstance(found, Mapping) else {}
            if found:
                break
        schema = found
    if isinstance(schema, Mapping) and len(schema.get("allOf", ())) == 1:
        return _resolved({**schema["allOf"][0]}, documents)
    return schema


def _options(schema: Document) -> list[Any] | None:
    for name in ("anyOf", "oneOf"):
        if name in schema:
            return list(schema[name])
    kinds = schema.get("type")
    if isinstance(kinds, list):
        return [{**schema, "type": kind} for kind in kinds]
    return None


def _types(schema: Any) -> set[str]:
    if not isinstance(schema, Mapping):
        return set()
    found: set[str] = set()
    for option in _options(schema) or [schema]:
        kind = option.get("type") if isinstance(option, Mapping) else None
        if isinstance(kind, str):
            found.add(kind)
        elif values := _enum(option):
            found |= {_json_type(value) for value in values}
        elif isinstance(option, Mapping) and "const" in option:
            found.add(_json_type(option["const"]))
    return found


def _json_type(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
    return "object"


def _enum(schema: Any) -> list[Any] | None:
    return list(schema["enum"]) if isinstance(schema, Mapping) and "enum" in schema else None


def _narrows(schema: Any) -> bool:
    return isinstance(schema, Mapping) and any(name not in _ABOUT for name in schema)


def _kind(schema: Any) -> str:
    names = [_last(_name(option)) or "/".join(sorted(_types(option))) for option in _iterated(schema)]
    return " or ".join(sorted({name for name in names if name})) or "anything"


def _iterated(schema: Any) -> Iterator[Any]:
    yield from (_options(schema) or [schema]) if isinstance(schema, Mapping) else [schema]
