"""What goes over the WebSockets, told in AsyncAPI 3.0: made from the types that are sent.

Data has the schemas of `openapi.json`, which lies beside it: nothing is described twice.
`python -m controller.api.asyncapi > docs/asyncapi.json`.
"""

from __future__ import annotations

from typing import Any, Final

from controller.api.event_types import EVENT_TYPES, GONE, SNAPSHOT, TOPICS, GoneView
from controller.api.events import VERSION

_DATA: Final = "openapi.json#/components/schemas/{name}"
_NUMBER: Final[dict[str, Any]] = {"type": "integer", "minimum": 0}
DESCRIPTION: Final = """\
Live values and pictures of a show. `seq` rises with every change anywhere. A client gets the newest state of each
object: one that reads slowly misses what lay between, and none waits for another. Whoever comes back with `last_seq`
gets what changed since, or a snapshot when that is not known any more; a snapshot replaces all a client knew.
Take types and fields you do not know as news: there will be more of them."""
JPEG_ABOUT: Final = "8 bytes of frame number (little-endian), then a JPEG"
LABELLED_ABOUT: Final = """\
16 bytes, then the picture (JPEG, or one access unit of H.264 in Annex B): frame number (8 bytes, little-endian),
hours, minutes, seconds and frames of its time code (1 byte each), flags (1: a key picture, 2: drop-frame labels), \
and 3 bytes of 0"""


def document(version: str) -> dict[str, Any]:
    """The whole document, as plain data."""
    messages = _messages()
    events = [SNAPSHOT, GONE, *TOPICS]
    pictures = ["format", "picture", "next"]
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "OpenVolume", "version": version, "description": DESCRIPTION},
        "servers": {"show": {"host": "127.0.0.1:7400", "protocol": "ws", "description": "wss where TLS is on"}},
        "defaultContentType": "application/json",
        "channels": {
            "events": {
                "address": "/api/v1/events",
                "description": "A snapshot, then changes. Closed with 1008 for an unknown topic and where a session or "
                "key lets nobody in any more, 1013 when too many listen, 1001 when a client took nothing for two "
                "seconds.",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in events},
                "bindings": {"ws": {"query": _events_query()}},
            },
            "previews": {
                "address": "/api/v1/previews",
                "description": "Pictures, pulled one by one: each `next` is answered with the newest picture that was "
                "not sent yet. Closed as the events are.",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in pictures},
                "bindings": {"ws": {"query": _previews_query()}},
            },
        },
        "operations": {
            "tell": _operation("send", "events", events, "What is, and what changes"),
            "show": _operation("send", "previews", pictures[:2], "The next picture, when it was asked for"),
            "pull": _operation("receive", "previews", pictures[2:], "Ask for the next picture"),
        },
        "components": {"messages": messages},
    }


def _operation(action: str, channel: str, messages: list[str], about: str) -> dict[str, Any]:
    refs = [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages]
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}, "messages": refs, "summary": about}


def _messages() -> dict[str, Any]:
    snapshot = {
        "type": "object",
        "description": "Every object of the topics, by key",
        "patternProperties": {
            "^" + kind.key.replace("*", ".+") + "$": _data(kind.data) for kind in EVENT_TYPES.values()
        },
    }
    found = {
        SNAPSHOT: _event(SNAPSHOT, snapshot, "Everything there is, at first and when changes are not known any more"),
        GONE: _event(GONE, _data(GoneView), "An object that is no longer there"),
    }
    for name, kind in EVENT_TYPES.items():
        found[name] = _event(name, _data(kind.data), kind.about)
    found["format"] = {
        "name": "format",
        "contentType": "application/json",
        "summary": "Before the first H.264 picture, and before one of another size or encoder: what a decoder needs",
        "payload": _data("VideoFormat"),
    }
    found["picture"] = {
        "name": "picture",
        "contentType": "application/octet-stream",
        "summary": f"{JPEG_ABOUT}; with header=timecode or codec=h264: {LABELLED_ABOUT}",
        "payload": {"type": "string", "format": "binary"},
    }
    found["next"] = {
        "name": "next",
        "contentType": "text/plain",
        "summary": "Asks for the newest picture that was not sent yet; `key` for one that can be decoded alone",
        "payload": {"type": "string", "enum": ["next", "key"]},
    }
    return found


def _event(name: str, data: dict[str, Any], about: str) -> dict[str, Any]:
    properties = {
        "v": {"const": VERSION},
        "seq": _NUMBER,
        "t_ns": _NUMBER,
        "type": {"const": name},
        "rev": _NUMBER,
        "data": data,
    }
    payload = {"type": "object", "required": list(properties), "properties": properties}
    return {"name": name, "summary": about, "payload": payload}


def _data(kind: Any) -> dict[str, Any]:
    return {"$ref": _DATA.format(name=kind if isinstance(kind, str) else kind.__name__)}


def _events_query() -> dict[str, Any]:
    topics = {"type": "string", "description": f"Separated by commas; all without it: {', '.join(TOPICS)}"}
    last = {"type": "integer", "description": "`seq` of the last event that was read: go on from there"}
    return {"type": "object", "properties": {"topics": topics, "last_seq": last}}


def _previews_query() -> dict[str, Any]:
    of = {"type": "string", "description": "`cameras/a/photo` or `canvases/left`"}
    properties = {
        "of": of,
        "width_px": {"type": "integer", "minimum": 16, "maximum": 4096, "default": 960},
        "codec": {"type": "string", "enum": ["jpeg", "h264"], "default": "jpeg"},
        "header": {"type": "string", "enum": ["frame", "timecode"], "default": "frame"},
    }
    return {"type": "object", "required": ["of"], "properties": properties}


def main() -> None:
    """Print the document that is committed as docs/asyncapi.json."""
    import importlib.metadata
    import json
    import sys

    found = document(importlib.metadata.version("openvolume"))
    sys.stdout.write(json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
