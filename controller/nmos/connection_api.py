"""The IS-05 Connection API: staging, activation, transport files, one sender at a time or several."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from controller.nmos.answers import Answer, error
from controller.nmos.connection import Activation, BadRequest, ConnectedSender, Locked
from controller.nmos.resources import CONNECTION_API

Activate = Callable[[str, Activation], Awaitable[Answer]]
"""Carries out the activation that a sender, by id, has staged; its answer."""
_BELOW: Final = ("constraints", "staged", "active", "transportfile", "transporttype")


class ConnectionApi:
    """Answers requests below `/x-nmos/connection`. senders : by id; description : SDP by id, "" without."""

    def __init__(
        self,
        senders: Mapping[str, ConnectedSender],
        *,
        activate: Activate,
        cancel: Callable[[str], None],
        description: Callable[[str], str],
        tai_ns: Callable[[], int],
    ) -> None:
        self._senders, self._activate, self._cancel = senders, activate, cancel
        self._description, self._tai_ns = description, tai_ns

    async def answer(self, method: str, parts: list[str], body: Any) -> Answer:
        """Answer one request."""
        match parts:
            case []:
                return _only_get(method, [f"{CONNECTION_API}/"])
            case [version] if version == CONNECTION_API:
                return _only_get(method, ["bulk/", "single/"])
            case [version, ("single" | "bulk")] if version == CONNECTION_API:
                return _only_get(method, ["senders/", "receivers/"])
            case [version, "bulk", ("senders" | "receivers") as kind] if version == CONNECTION_API:
                return await self._bulk(method, body, self._senders if kind == "senders" else {})
            case [version, "single", "receivers"] if version == CONNECTION_API:
                return _only_get(method, [])
            case [version, "single", "senders"] if version == CONNECTION_API:
                return _only_get(method, [f"{id_}/" for id_ in self._senders])
            case [version, "single", "senders", id_, *below] if version == CONNECTION_API and id_ in self._senders:
                return await self._one(method, id_, below, body)
        return error(404, f"/x-nmos/connection/{'/'.join(parts)}")

    async def _one(self, method: str, id_: str, below: list[str], body: Any) -> Answer:
        sender = self._senders[id_]
        match below:
            case []:
                return _only_get(method, [f"{name}/" for name in _BELOW])
            case ["constraints"]:
                return _only_get(method, sender.constraints())
            case ["staged"] if method == "PATCH":
                return await self._stage(id_, body)
            case ["staged"]:
                return _only_get(method, sender.staged())
            case ["active"]:
                return _only_get(method, sender.active())
            case ["transporttype"]:
                return _only_get(method, "urn:x-nmos:transport:rtp")
            case ["transportfile"]:
                text = self._description(id_)
                if method != "GET":
                    return error(405, method)
                return Answer(200, text.encode(), "application/sdp") if text else error(404, "nothing is sent now")
        return error(404, "/".join(below))

    async def _stage(self, id_: str, body: Any) -> Answer:
        sender = self._senders[id_]
        before = sender.waiting
        try:
            activation = sender.stage(body, tai_ns=self._tai_ns())
        except BadRequest as problem:
            return error(400, str(problem))
        except Locked:
            return error(423)
        if before is not None and sender.waiting is None:
            self._cancel(id_)
        if activation is None:
            return Answer(200, sender.staged())
        return await self._activate(id_, activation)

    async def _bulk(self, method: str, body: Any, senders: Mapping[str, ConnectedSender]) -> Answer:
        if method != "POST":
            return error(405, method)
        if not isinstance(body, list) or not all(isinstance(one, dict) and "id" in one for one in body):
            return error(400, "a list of {id, params} is wanted")
        told = []
        for one in body:
            answer = await self._stage(one["id"], one.get("params")) if one["id"] in senders else error(404)
            told.append({"id": one["id"], "code": answer.status})
            if answer.status >= 400:
                told[-1].update({key: answer.body[key] for key in ("error", "debug")})
        return Answer(200, told)


def _only_get(method: str, body: Any) -> Answer:
    return Answer(200, body) if method == "GET" else error(405, method)
