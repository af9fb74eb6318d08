"""Whoever asks a show in `openvolume bench control`: changes it, and reads small things beside its drawing."""

from __future__ import annotations

import http.client
import os
import time
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import msgspec

from controller.ledger import percentiles_of
from runtime.clock import NS_PER_MS
from runtime.rights import be_prompt, other_cpus

PATHS: Final = ("show", "cameras/a", "lock", "action", "canvases/main")
COUNT: Final = 1000
PAUSE_S: Final = 0.004
"""A panel asks now and then, not in a loop: what is measured is a request, not a queue of them."""
BAR_MS: Final = 2.0


class Asker:
    """One connection of the calling thread, which waits for a processor as little as it may.

    What is measured is the show's answer, not how long whoever asks stands in the queue for a processor of the same
    machine: real ones sit at another. It comes next where it waits, and keeps off the processor that draws.
    """

    def __init__(self, url: str, key: str = "") -> None:
        be_prompt()
        if cpus := other_cpus():
            os.sched_setaffinity(0, cpus)
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._http = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10.0)
        self._headers = {"authorization": f"Bearer {key}"} if key else {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        """Status and body of the answer."""
        data = None if body is None else msgspec.json.encode(body)
        headers = self._headers if data is None else {**self._headers, "content-type": "application/json"}
        self._http.request(method, f"/api/v1/{path}", data, headers)
        answer = self._http.getresponse()
        return answer.status, answer.read()


def small_gets(url: str, count: int = COUNT) -> dict[str, Any]:
    """Ask a show for small things, one after the other on one connection; milliseconds from request to answer."""
    took_ms = []
    with Asker(url) as asker:
        for n in range(count):
            time.sleep(PAUSE_S)
            began_ns = time.perf_counter_ns()
            status, _ = asker.ask("GET", PATHS[n % len(PATHS)])
            took_ms.append((time.perf_counter_ns() - began_ns) / NS_PER_MS)
            if status != 200:
                raise RuntimeError(f"{PATHS[n % len(PATHS)]} was answered {status}")
    found = percentiles_of(took_ms)
    return {
        "requests": count,
        "to_answer_ms": {name: round(getattr(found, name), 3) for name in ("p50", "p95", "p99", "max")},
        "bar": f"p95 {BAR_MS:g} ms",
    }
