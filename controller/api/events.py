"""Live events: a snapshot, then changes. Every client has one pending change per object; no client waits for another.

Envelope (JSON text): `{"v": 1, "seq": n, "t_ns": monotonic, "type": "camera", "rev": r, "data": {...}}`. `seq` rises
with every change anywhere; a client that reads slowly gets the newest state of each object and misses what lay
between. A client that comes back with `last_seq` gets what changed since, if that is still known, else a snapshot. An
object that is no longer there is told as `gone`. A client that takes nothing for two seconds is let go. Types and data
are told in `docs/asyncapi.json` (`controller.api.asyncapi`).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final

import msgspec
from msgspec import Struct

from controller.api.event_types import GONE, SNAPSHOT, GoneView
from controller.api.problems import TooMany, problem

SEND_TIMEOUT_S: Final = 2.0
MAX_CLIENTS: Final = 64
KEEP_CHANGES: Final = 4096
VERSION: Final = 1


class Envelope(Struct, frozen=True):
    """One event. `type` is `snapshot`, `gone`, or the kind of object that changed; `data.id` tells which one."""

    v: int
    seq: int
    t_ns: int
    type: str
    rev: int
    data: Any


class _Pending(Struct, frozen=True):
    seq: int
    topic: str
    text: str


class Client:
    """One listener: the newest change of each object it has not been sent yet."""

    def __init__(self, topics: Collection[str]) -> None:
        self.topics = frozenset(topics)
        self.merged = 0
        """Changes that a newer one of the same object replaced before they were sent."""
        self._pending: OrderedDict[str, _Pending] = OrderedDict()
        self._more = asyncio.Event()

    def wants(self, topic: str) -> bool:
        """Whether it listens to this kind of object. No topics: all."""
        return not self.topics or topic in self.topics

    def offer(self, key: str, change: _Pending) -> None:
        """Put a change in its slot; an older one of the same object is gone."""
        self.merged += self._pending.pop(key, None) is not None
        self._pending[key] = change
        self._more.set()

    async def take(self) -> str:
        """The next text to send; waits for one."""
        while not self._pending:
            self._more.clear()
            await self._more.wait()
        return self._pending.popitem(last=False)[1].text

    def __len__(self) -> int:
        return len(self._pending)


class Hub:
    """Takes changes from the service and hands them to every client."""

    def __init__(self, now_ns: Callable[[], int], snapshot: Callable[[Collection[str]], tuple[int, Any]]) -> None:
        self._now_ns = now_ns
        self._snapshot = snapshot
        self._clients: set[Client] = set()
        self._changes: OrderedDict[str, _Pending] = OrderedDict()
        """Newest change of every object, oldest first: all that a client that comes back can have missed."""
        # Numbers begin where those of a service before this one cannot have come: milliseconds of the host's clock.
        self.seq = now_ns() // 1_000_000
        self._forgotten_seq = self.seq
        self.dropped = 0
        """Clients let go because they took nothing."""

    @property
    def clients(self) -> int:
        """How many listen."""
        return len(self._clients)

    def publish(self, topic: str, key: str, rev: int, data: Any) -> None:
        """Tell everyone that an object is now `data`. `key` names it among all objects of all kinds."""
        self._publish(topic, topic, key, rev, data)

    def gone(self, topic: str, key: str) -> None:
        """Tell everyone that an object is no longer there."""
        self._publish(topic, GONE, key, 0, GoneView(topic, key, key.partition("/")[2] or key))

    def lapse(self) -> None:
        """From here on nothing is told: whoever comes back later gets a snapshot."""
        self._changes.clear()
        self.seq += 1
        self._forgotten_seq = self.seq + 1

    def _publish(self, topic: str, kind: str, key: str, rev: int, data: Any) -> None:
        self.seq += 1
        envelope = Envelope(VERSION, self.seq, self._now_ns(), kind, rev, data)
        change = _Pending(self.seq, topic, msgspec.json.encode(envelope).decode())
        self._changes.pop(key, None)
        self._changes[key] = change
        while len(self._changes) > KEEP_CHANGES:
            self._forgotten_seq = self._changes.popitem(last=False)[1].seq
        for client in self._clients:
            if client.wants(topic):
                client.offer(key, change)

    async def serve(
        self,
        send: Callable[[str], Awaitable[None]],
        *,
        topics: Collection[str] = (),
        last_seq: int | None = None,
    ) -> None:
        """Send to one client until it goes. Returns when it took nothing for too long; what `send` raises is raised.

        Raises
        ------
        TooMany : no more clients are taken.
        """
        if len(self._clients) >= MAX_CLIENTS:
            raise problem(TooMany, "events", f"{MAX_CLIENTS} clients listen already", mend="close one")
        client = Client(topics)
        if last_seq is not None and self._forgotten_seq <= last_seq <= self.seq:
            for key, change in self._changes.items():
                if change.seq > last_seq and client.wants(change.topic):
                    client.offer(key, change)
        else:
            rev, data = self._snapshot(client.topics)
            envelope = Envelope(VERSION, self.seq, self._now_ns(), SNAPSHOT, rev, data)
            client.offer(SNAPSHOT, _Pending(self.seq, SNAPSHOT, msgspec.json.encode(envelope).decode()))
        self._clients.add(client)
        try:
            while True:
                text = await client.take()
                await asyncio.wait_for(send(text), SEND_TIMEOUT_S)
        except TimeoutError:
            self.dropped += 1
        finally:
            self._clients.discard(client)
