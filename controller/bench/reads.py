"""What a small GET costs beside a show that draws: part of `openvolume bench control`."""

from __future__ import annotations

import http.client
import time
from typing import Any, Final
from urllib.parse import urlsplit

from controller.ledger import percentiles_of
from runtime.clock import NS_PER_MS
from runtime.rights import be_prompt

PATHS: Final = ("show", "cameras/a", "lock", "action", "canvases/main")
COUNT: Final = 1000
PAUSE_S: Final = 0.004
"""A panel asks now and then, not in a loop: what is measured is a request, not a queue of them."""
BAR_MS: Final = 2.0


def small_gets(url: str, count: int = COUNT) -> dict[str, Any]:
    """Ask a show for small things, one after the other on one connection; milliseconds from request to answer."""
    # What is measured is the show's answer, not how long whoever asks waits for a processor beside it.
    be_prompt()
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10.0)
    took_ms = []
    try:
        for n in range(count):
            time.sleep(PAUSE_S)
            began_ns = time.perf_counter_ns()
            connection.request("GET", f"/api/v1/{PATHS[n % len(PATHS)]}")
            answer = connection.getresponse()
            answer.read()
            took_ms.append((time.perf_counter_ns() - began_ns) / NS_PER_MS)
            if answer.status != 200:
                raise RuntimeError(f"{PATHS[n % len(PATHS)]} was answered {answer.status}")
    finally:
        connection.close()
    found = percentiles_of(took_ms)
    return {
        "requests": count,
        "to_answer_ms": {name: round(getattr(found, name), 3) for name in ("p50", "p95", "p99", "max")},
        "bar": f"p95 {BAR_MS:g} ms",
    }
