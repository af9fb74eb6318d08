"""What breaks programs is found, what does not is let be; the API as it is breaks nothing that was released."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller.api import baseline
from controller.api.app import create_app
from controller.api.asyncapi import document
from controller.api.compare import asyncapi_breaks, openapi_breaks, undeclared, without_words

OPENAPI = create_app(version="0").openapi()
ASYNCAPI = document("0")
Mutate = Callable[[dict[str, Any], dict[str, Any]], object]


def schema(openapi: dict[str, Any], name: str) -> Any:
    return openapi["components"]["schemas"][name]


def operation(openapi: dict[str, Any], method: str, path: str) -> Any:
    return openapi["paths"]["/api/v1/" + path][method]


def body(openapi: dict[str, Any], method: str, path: str) -> Any:
    return operation(openapi, method, path)["requestBody"]["content"]["application/json"]["schema"]


def breaks(old: tuple[Any, Any], new: tuple[Any, Any]) -> list[str]:
    found = openapi_breaks(old[0], new[0])
    return found + asyncapi_breaks(old[1], new[1], old[0], new[0])


def mutated(mutate: Mutate) -> tuple[Any, Any]:
    both = copy.deepcopy(OPENAPI), copy.deepcopy(ASYNCAPI)
    mutate(*both)
    assert both != (OPENAPI, ASYNCAPI), "the mutant changes something"
    return both


BREAKING: dict[str, Mutate] = {
    "route": lambda o, a: o["paths"].pop("/api/v1/undo"),
    "method": lambda o, a: o["paths"]["/api/v1/cues/{cue}"].pop("delete"),
    "answered field": lambda o, a: schema(o, "ShowView")["properties"].pop("exposure_ev"),
    "answered field maybe": lambda o, a: schema(o, "ShowView")["required"].remove("exposure_ev"),
    "answered type": lambda o, a: schema(o, "ShowView")["properties"].update(exposure_ev={"type": "string"}),
    "answered null": lambda o, a: schema(o, "ShowView")["properties"].update(
        exposure_ev={"anyOf": [{"type": "number"}, {"type": "null"}]}
    ),
    "list to one": lambda o, a: schema(o, "AlarmsView")["properties"].update(
        alarms={"$ref": "#/components/schemas/Alarm"}
    ),
    "deep field": lambda o, a: schema(o, "Alarm")["properties"].pop("severity"),
    "sent field": lambda o, a: body(o, "post", "cues/go")["properties"].pop("number"),
    "sent field needed": lambda o, a: body(o, "post", "cues/go").update(required=["number"]),
    "sent field new and needed": lambda o, a: (
        body(o, "post", "cues/go").update(required=["why"]),
        body(o, "post", "cues/go")["properties"].update(why={"type": "string"}),
    ),
    "sent type": lambda o, a: body(o, "post", "cues/chase")["properties"].update(on={"type": "integer"}),
    "sent word": lambda o, a: body(o, "put", "lock")["properties"]["state"]["enum"].remove("rolling"),
    "sent bound": lambda o, a: body(o, "put", "cues/{cue}")["properties"]["seconds"].update(maximum=1.0),
    "body needed": lambda o, a: operation(o, "post", "cues/go")["requestBody"].update(required=True),
    "body gone": lambda o, a: operation(o, "post", "cues/go").pop("requestBody"),
    "media type": lambda o, a: operation(o, "get", "show")["responses"]["200"]["content"].clear(),
    "answer": lambda o, a: operation(o, "get", "show")["responses"].pop("200"),
    "parameter gone": lambda o, a: operation(o, "get", "frames")["parameters"].clear(),
    "parameter needed": lambda o, a: operation(o, "get", "frames")["parameters"][0].update(required=True),
    "channel": lambda o, a: a["channels"].pop("events"),
    "address": lambda o, a: a["channels"]["events"].update(address="/elsewhere"),
    "message": lambda o, a: a["operations"]["tell"]["messages"].pop(),
    "operation": lambda o, a: a["operations"].pop("pull"),
    "envelope": lambda o, a: a["components"]["messages"]["cue"]["payload"]["properties"].pop("rev"),
    "version": lambda o, a: a["components"]["messages"]["cue"]["payload"]["properties"]["v"].update(const=2),
    "message data": lambda o, a: a["components"]["messages"]["cue"]["payload"]["properties"].update(
        data={"$ref": "openapi.json#/components/schemas/AlarmsView"}
    ),
    "pull word": lambda o, a: a["components"]["messages"]["next"]["payload"]["enum"].remove("key"),
    "query": lambda o, a: a["channels"]["previews"]["bindings"]["ws"]["query"]["properties"].pop("codec"),
}

HARMLESS: dict[str, Mutate] = {
    "new route": lambda o, a: o["paths"].update({"/api/v1/new": o["paths"]["/api/v1/undo"]}),
    "new answered field": lambda o, a: schema(o, "ShowView")["properties"].update(more={"type": "string"}),
    "new sent field": lambda o, a: body(o, "post", "cues/go")["properties"].update(more={"type": "string"}),
    "surer answer": lambda o, a: schema(o, "CameraView")["required"].sort(),
    "new sent word": lambda o, a: body(o, "put", "lock")["properties"]["state"]["enum"].append("paused"),
    "wider sent type": lambda o, a: body(o, "post", "cues/chase")["properties"].update(
        on={"anyOf": [{"type": "boolean"}, {"type": "integer"}]}
    ),
    "wider bound": lambda o, a: body(o, "put", "cues/{cue}")["properties"]["seconds"].update(maximum=1e9),
    "new message": lambda o, a: a["components"]["messages"].update(more=a["components"]["messages"]["cue"]),
    "words": lambda o, a: operation(o, "get", "show").update(summary="Other words"),
    "parameter no longer needed": lambda o, a: [
        p.update(required=False) for p in operation(o, "get", "frames")["parameters"]
    ] and o["info"].update(version="9"),
}  # fmt: skip


@pytest.mark.parametrize("name", BREAKING)
def test_a_break_is_found(name: str) -> None:
    found = breaks((OPENAPI, ASYNCAPI), mutated(BREAKING[name]))
    assert found, f"{name} broke nothing"
    assert len(found) <= 8, found


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_new_breaks_nothing(name: str) -> None:
    new = mutated(HARMLESS[name]) if name != "surer answer" else (copy.deepcopy(OPENAPI), ASYNCAPI)
    assert breaks((OPENAPI, ASYNCAPI), new) == []


def test_a_break_names_the_route_and_the_field() -> None:
    gone = mutated(BREAKING["answered field"])
    assert openapi_breaks(OPENAPI, gone[0]) == ["ShowView (answered) exposure_ev: is gone"]
    route = mutated(BREAKING["route"])
    assert openapi_breaks(OPENAPI, route[0]) == ["POST /api/v1/undo: is gone"]


def test_a_baseline_without_words_finds_the_same() -> None:
    bare = without_words(OPENAPI), without_words(ASYNCAPI)
    assert breaks(bare, (OPENAPI, ASYNCAPI)) == []
    for name, mutate in BREAKING.items():
        assert breaks(bare, mutated(mutate)), name


def test_a_break_on_purpose_needs_a_reason() -> None:
    found = ["GET /api/v1/a: is gone", "B (sent) c: is needed now"]
    assert undeclared(found, {}) == found
    assert undeclared(found, {"GET /api/v1/a: is gone": "nobody asked for it"}) == found[1:]
    assert undeclared(found, {"GET /api/v1/a: is gone": ""}) == found, "a break without a reason is none"
    assert undeclared(found, {"* is *": "all is new"}) == []


def test_the_api_breaks_nothing_that_was_released(root: Path) -> None:
    found = baseline.unexplained(root / "docs/api")
    assert not found, (
        "programs of users would break; keep it, or give the reason in docs/api/breaks.json: " + "\n".join(found)
    )
