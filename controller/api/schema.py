"""The API told in OpenAPI: resources from their structs, what can be written from the table of addresses."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from controller.access.doorman import COOKIE
from controller.access.roles import OPEN_PATHS, scope_of_request
from controller.addresses import ADDRESSES
from controller.alarm_codes import AlarmCode
from controller.api import (
    event_types,
    video,
    views,
    views_access,
    views_captures,
    views_cards,
    views_cues,
    views_guided,
    views_library,
    views_looks,
    views_processors,
    views_relays,
    views_scenes,
    views_show_file,
    views_streams,
    views_subjects,
    views_surfaces,
    views_takes,
    views_windows,
)
from controller.api.events import Envelope
from controller.api.problems import ProblemDocument
from controller.show import Nudge
from controller.status import Alarm
from controller.transaction import Outcome

_PLACE: Final = re.compile(r"\{[^}]*\}")
NUDGE_FIELDS: Final = Nudge.__struct_fields__
_REF: Final = "#/components/schemas/{name}"
TAGS: Final = {
    "running": "How it runs",
    "room": "Walls, canvases, processors",
    "cameras": "Tracked cameras and what they see",
    "sources": "Tracking in, and its line-up",
    "captures": "Canvases, inner pictures and photos written to disk",
    "show": "What is on the walls",
    "cards": "Light cards and flags on the walls, chroma keys in cameras' frusta",
    "looks": "Grades, and looks: stored, compared, put on at once or over time",
    "cues": "The cue list",
    "scenes": "Virtual worlds: switched, edited and changed on air",
    "library": "Assets, domes and scene files to choose from, and what they were before",
    "line-up": "Pictures to line up with",
    "action": "BLACK, HOLD, SAFE, WORK",
    "config": "The whole configuration and its history",
    "access": "Users, their roles, and keys for programs",
}
DESCRIPTION: Final = """\
The control plane of an LED volume. Every object carries `rev`, sent as ETag. PATCH is a merge patch; continuous
parameters are last-writer-wins, structural writes need If-Match (428 without, 412 when stale). Errors are RFC 9457
problem documents with `code`, `path`, `value` and `mend`. Live values: WebSocket `/api/v1/events`
(`?topics=camera,frames&last_seq=n`); pictures: WebSocket `/api/v1/previews?of=cameras/a/photo`, which sends the newest
one for each text message `next`. Both are told in AsyncAPI: `/api/v1/asyncapi.json`."""


def patch_schema(collection: str) -> dict[str, Any]:
    """The merge patch an object of a collection takes: fields of its addresses, those one deeper nested."""
    properties: dict[str, Any] = {}
    for address in ADDRESSES:
        if address.collection != collection:
            continue
        *outer, name = address.pattern.split("/")[2:]
        level = properties
        for part in outer:
            nested = level.setdefault(part, {"type": "object", "additionalProperties": False, "properties": {}})
            level = nested["properties"]
        level[name] = {**_value(address.kind, address.pattern), "description": address.about}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def show_schema() -> dict[str, Any]:
    """The merge patch of the show itself."""
    names = {"scenes/active": "scene", "outer/mode": "outer_mode", "outer/every_frames": "outer_every_frames",
             "outer/eye_m": "eye_m"}  # fmt: skip
    properties = {
        names.get(address.pattern, address.pattern): {**_value(address.kind, ""), "description": address.about}
        for address in ADDRESSES
        if not address.collection and not address.pattern.startswith(("cues/", "patterns"))
    }
    return {"type": "object", "additionalProperties": False, "properties": properties}


def scene_schema() -> dict[str, Any]:
    """The merge patch of a scene: what every scene has, and its own live values nested by their addresses."""
    document = patch_schema("scenes")
    document["additionalProperties"] = {
        "description": "Live values by the parts of their address (GET scenes/{scene}/addresses); null: as configured."
    }
    return document


def steps_schema() -> dict[str, Any]:
    """Steps that are added to a nudge."""
    properties = {name: {"type": "number"} for name in NUDGE_FIELDS}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def zero_schema() -> dict[str, Any]:
    """Where a camera stands when zero is set."""
    numbers = {name: {"type": "number"} for name in NUDGE_FIELDS}
    what = {"type": "string", "enum": ["all", "position", "heading"], "default": "all"}
    return {"type": "object", "additionalProperties": False, "properties": {"what": what, **numbers}}


def openapi(app: FastAPI) -> dict[str, Any]:
    """The whole document; made once."""
    if app.openapi_schema is not None:
        return app.openapi_schema
    document = get_openapi(
        title="OpenVolume",
        version=app.version,
        openapi_version="3.1.0",
        description=DESCRIPTION,
        routes=app.routes,
        tags=[{"name": name, "description": about} for name, about in TAGS.items()],
    )
    modules = (
        views,
        views_captures,
        views_cards,
        views_cues,
        views_guided,
        views_scenes,
        views_show_file,
        views_library,
        views_looks,
        views_takes,
        views_processors,
        views_streams,
        views_subjects,
        views_surfaces,
        views_windows,
        views_relays,
        views_access,
        event_types,
        video,
    )
    everything = [kind for module in modules for kind in vars(module).values()]
    kinds = [kind for kind in everything if isinstance(kind, type) and issubclass(kind, views.View)]
    _, components = msgspec.json.schema_components(
        [*(kind for kind in kinds if kind is not views.View), Alarm, AlarmCode, ProblemDocument, Envelope, Outcome],
        ref_template=_REF,
    )
    array = {"type": "array"}
    components["Addresses"] = _wrapped("addresses", {**array, "items": {"$ref": _REF.format(name="AddressView")}})
    for name, kind in (("users", "UserView"), ("keys", "KeyView")):
        items = {**array, "items": {"$ref": _REF.format(name=kind)}}
        components[name.capitalize()] = _wrapped(name, items)
    components["Audit"] = _wrapped("entries", {**array, "items": {"$ref": _REF.format(name="AuditView")}})
    components["Records"] = _wrapped("records", {**array, "items": {"$ref": _REF.format(name="RecordView")}})
    components["Revisions"] = _wrapped("revisions", {**array, "items": {"$ref": _REF.format(name="RevisionView")}})
    for name, kind in (("switches", "SwitchView"), ("memory", "SceneMemoryView"), ("states", "CompiledView"),
                       ("values", "SceneAddressView")):  # fmt: skip
        items = {**array, "items": {"$ref": _REF.format(name=kind)}}
        components[f"Scene{name.capitalize()}"] = _wrapped(name, items)
    items = {**array, "items": {"$ref": _REF.format(name="LibraryVersionView")}}
    components["LibraryVersions"] = _wrapped("versions", items)
    components["StageDocument"] = {
        "type": "object",
        "required": ["name", "rate", "walls", "canvases", "cabinets", "meshes", "cameras", "processors"],
        "description": "The compiled stage: enough to build the walls again without OpenVolume.",
    }
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for gone in ("HTTPValidationError", "ValidationError"):
        schemas.pop(gone, None)
    schemas.update(sorted(components.items()))
    document["components"]["securitySchemes"] = {
        "session": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "Of POST /api/v1/session"},
        "key": {"type": "http", "scheme": "bearer", "description": "Of PUT /api/v1/keys/NAME: `ov_...`"},
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            # Faults in parameters are answered like every other one.
            operation["responses"].pop("422", None)
            operation["security"] = _security(method.upper(), path)
    app.openapi_schema = document
    return document


def _security(method: str, path: str) -> list[dict[str, list[str]]]:
    """Who may: the scope that a session's or key's role needs. Programs on the show's machine look without either."""
    if path in OPEN_PATHS:
        return []
    scope = scope_of_request(method, _PLACE.sub("x", path))
    told: list[dict[str, list[str]]] = [{"session": [scope]}, {"key": [scope]}]
    return [*told, {}] if scope == "read" else told


def _wrapped(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": [name], "properties": {name: schema}}


def plain_schema(kind: Any) -> dict[str, Any]:
    """JSON Schema of a type with every reference written out: it stands inside other documents."""
    schema = dict(msgspec.json.schema(kind))
    defined = schema.pop("$defs", {})

    def whole(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                return whole(defined[value["$ref"].rpartition("/")[2]])
            return {name: whole(inner) for name, inner in value.items()}
        return [whole(inner) for inner in value] if isinstance(value, list) else value

    found: dict[str, Any] = whole(schema)
    return found


def _value(kind: Any, pattern: str) -> dict[str, Any]:
    schema = plain_schema(kind)
    if pattern.endswith("/overscan_deg"):
        return {"anyOf": [schema, {"type": "number", "minimum": 0, "maximum": 80}]}
    return schema


def main() -> None:
    """Print the document that is committed as docs/openapi.json."""
    import importlib.metadata
    import json
    import sys

    from controller.api.app import create_app

    document = create_app(version=importlib.metadata.version("openvolume")).openapi()
    sys.stdout.write(json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
