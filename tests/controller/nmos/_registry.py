"""An IS-04 registry in small: what it was told, in which order, and faults to order."""

from __future__ import annotations

import json
from typing import Any

from controller.nmos.answers import Answer, app_of, error

BASE = ["x-nmos", "registration", "v1.3"]
PARENTS = {"device": ("node", "node_id"), "source": ("device", "device_id"), "flow": ("source", "source_id"),
           "sender": ("device", "device_id")}  # fmt: skip


class RegistryEmulator:
    """Keeps resources as a registry must: parents first, health by node, children go with their parents."""

    def __init__(self) -> None:
        self.resources: dict[tuple[str, str], dict[str, Any]] = {}
        self.log: list[str] = []
        self.beats = 0
        self.fail = 0
        """Answers with 503 so many times."""
        self.refuse = ""
        """A kind that is answered with 400."""
        self.app = app_of(self.handle)

    async def handle(self, method: str, path: str, body: Any) -> Answer:
        parts = [part for part in path.split("/") if part]
        if self.fail:
            self.fail -= 1
            return error(503)
        if parts[:3] != BASE:
            return error(404)
        match (method, parts[3:]):
            case ("POST", ["resource"]):
                return self._take(body["type"], body["data"])
            case ("DELETE", ["resource", kind, id_]):
                self.log.append(f"DELETE {kind[:-1]}")
                self._drop(kind[:-1], id_)
                return Answer(204)
            case ("POST", ["health", "nodes", id_]):
                if ("node", id_) not in self.resources:
                    return error(404)
                self.beats += 1
                return Answer(200, {"health": "1"})
        return error(405)

    def forget(self) -> None:
        self.resources.clear()

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.resources]

    def _take(self, kind: str, data: dict[str, Any]) -> Answer:
        known = (kind, data["id"]) in self.resources
        self.log.append(f"POST {kind}")
        parent = PARENTS.get(kind)
        if kind == self.refuse or (parent is not None and (parent[0], data[parent[1]]) not in self.resources):
            return error(400, json.dumps(data)[:80])
        self.resources[kind, data["id"]] = data
        return Answer(200 if known else 201, data, headers={"location": f"/{kind}s/{data['id']}"})

    def _drop(self, kind: str, id_: str) -> None:
        self.resources.pop((kind, id_), None)
        for child, (parent, key) in PARENTS.items():
            if parent == kind:
                for of, other in [k for k in self.resources if k[0] == child]:
                    if self.resources[of, other][key] == id_:
                        self._drop(of, other)
