"""The IS-04 Node API: what there is, read-only."""

from __future__ import annotations

from controller.nmos.answers import Answer, error
from controller.nmos.resources import NODE_API, Shelf

_LISTS = {"sources": "source", "flows": "flow", "devices": "device", "senders": "sender", "receivers": "receiver"}


def answer(shelf: Shelf, method: str, parts: list[str]) -> Answer:
    """Answer a request below `/x-nmos/node`."""
    known = _known(shelf, parts)
    if known is None:
        return error(404, f"/x-nmos/node/{'/'.join(parts)}")
    return known if method == "GET" else error(405, method)


def _known(shelf: Shelf, parts: list[str]) -> Answer | None:
    match parts:
        case []:
            return Answer(200, [f"{NODE_API}/"])
        case [version] if version == NODE_API:
            return Answer(200, ["self/", *(f"{name}/" for name in _LISTS)])
        case [version, "self"] if version == NODE_API:
            return Answer(200, shelf.all("node")[0])
        case [version, name] if version == NODE_API and name in _LISTS:
            return Answer(200, shelf.all(_LISTS[name]))
        case [version, name, id_] if version == NODE_API and name in _LISTS:
            found = shelf.get(_LISTS[name], id_)
            return None if found is None else Answer(200, found)
    return None
