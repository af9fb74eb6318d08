"""Keeps a show's resources in an IS-04 registry: registers, beats, registers again, and asks others when it is gone."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Literal, Protocol

from controller.nmos.resources import NODE_API, Resource, Shelf

log = logging.getLogger(__name__)

BEAT_S: Final = 5.0
"""Registries forget a node that they have not heard of for 12 s."""
RETRY_S: Final = 2.0
TURN_S: Final = 1.0

State = Literal["none", "searching", "registered"]


class Client(Protocol):
    """An HTTP client, as this needs it (httpx.AsyncClient)."""

    async def post(self, url: str, *, json: Any = None) -> Any:
        """POST; raises OSError-like errors of its own."""

    async def delete(self, url: str) -> Any:
        """DELETE."""


class Unreachable(Exception):
    """A registry that does not answer, or answers that it cannot."""


class Registration:
    """`turn` about every second on one event loop, `leave` at the end.

    faults : exceptions of the client that mean that nobody answers.

    Attributes
    ----------
    state : none: no registry is configured; trouble : why it is not registered; refused : resources the registry
        would not take, with its words.
    """

    def __init__(
        self,
        registries: Sequence[str],
        shelf: Shelf,
        client: Client,
        *,
        now_s: Callable[[], float],
        faults: tuple[type[Exception], ...] = (OSError,),
    ) -> None:
        self._registries = [url.rstrip("/") for url in registries]
        self._shelf, self._client, self._now_s, self._faults = shelf, client, now_s, faults
        self._at = 0
        self._told: dict[tuple[str, str], str] = {}
        """Versions the registry was told, in the order it was told of them."""
        self._due_s = 0.0
        self._beat_due_s = 0.0
        self.state: State = "searching" if registries else "none"
        self.trouble = ""
        self.refused: dict[str, str] = {}

    @property
    def registry(self) -> str:
        """The one that is used, or tried next."""
        return self._registries[self._at] if self._registries else ""

    async def turn(self) -> None:
        """Do what is due. Never raises for what the network does."""
        if not self._registries or self._now_s() < self._due_s:
            return
        try:
            if self.state != "registered":
                await self._begin()
            await self._tell()
            await self._beat()
        except Unreachable as fault:
            self._lost(str(fault))

    async def leave(self) -> None:
        """Take the node out of the registry."""
        if self.state == "registered":
            try:
                await self._client.delete(self._url(f"resource/nodes/{self._node()['id']}"))
            except self._faults:
                log.info("%s could not be told that this node ends", self.registry)
            self.state = "searching"

    # --- inside -------------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        """Register the node itself. One that the registry still has is another life's: it is taken out first."""
        self._told.clear()
        self.refused.clear()
        node = self._node()
        status, words = await self._post("resource", {"type": "node", "data": node})
        if status == 200:
            await self._delete(f"resource/nodes/{node['id']}")
            status, words = await self._post("resource", {"type": "node", "data": node})
        if status not in (200, 201):
            raise Unreachable(f"it does not take this node: {status} {words}")
        self._told["node", node["id"]] = node["version"]
        self.state, self.trouble = "registered", ""
        self._beat_due_s = self._now_s() + BEAT_S
        log.info("registered at %s", self.registry)

    async def _tell(self) -> None:
        """Tell of what is new or another, and of what is gone."""
        items = self._shelf.items()
        there = {(kind, resource["id"]) for kind, resource in items}
        for kind, id_ in reversed([key for key in self._told if key not in there]):
            await self._delete(f"resource/{kind}s/{id_}")
            del self._told[kind, id_]
        for kind, resource in items:
            key = (kind, resource["id"])
            if self._told.get(key) == resource["version"]:
                continue
            status, words = await self._post("resource", {"type": kind, "data": resource})
            name = f"{kind} {resource['label']}"
            if status in (200, 201):
                self.refused.pop(name, None)
            else:
                log.error("%s does not take %s: %s %s", self.registry, name, status, words)
                self.refused[name] = f"{status} {words}"
            # What was refused is not said again until it is another.
            self._told[key] = resource["version"]

    async def _beat(self) -> None:
        if self._now_s() < self._beat_due_s:
            return
        status, words = await self._post(f"health/nodes/{self._node()['id']}", None)
        if status == 404:
            log.warning("%s has forgotten this node; it is registered again", self.registry)
            self.state, self.trouble = "searching", "the registry had forgotten this node"
            return
        if status != 200:
            raise Unreachable(f"its heartbeat is answered {status} {words}")
        self._beat_due_s = self._now_s() + BEAT_S

    def _lost(self, why: str) -> None:
        if self.state == "registered" or self.trouble != f"{self.registry}: {why}":
            log.warning("%s: %s", self.registry, why)
        self.state, self.trouble = "searching", f"{self.registry}: {why}"
        self._at = (self._at + 1) % len(self._registries)
        # Others are asked at once, the same one after a while.
        self._due_s = self._now_s() + (RETRY_S if self._at == 0 else 0.0)

    def _node(self) -> Resource:
        return self._shelf.all("node")[0]

    def _url(self, path: str) -> str:
        return f"{self.registry}/x-nmos/registration/{NODE_API}/{path}"

    async def _post(self, path: str, data: Any) -> tuple[int, str]:
        answer = await self._asked(self._client.post(self._url(path), json=data))
        if answer.status_code >= 500:
            raise Unreachable(f"{answer.status_code} {answer.text[:200]}")
        return answer.status_code, answer.text[:200]

    async def _delete(self, path: str) -> None:
        answer = await self._asked(self._client.delete(self._url(path)))
        if answer.status_code >= 500:
            raise Unreachable(f"{answer.status_code} {answer.text[:200]}")

    async def _asked(self, request: Awaitable[Any]) -> Any:
        try:
            return await request
        except self._faults as fault:
            raise Unreachable(str(fault) or type(fault).__name__) from None
