"""Peers of `openvolume bench tracking`: asyncio and what one would take off the shelf. `... osc|json SECONDS PORT...`.

`osc` is python-osc's own server and dispatcher, `json` plain `json.loads`; each keeps the newest message of every port
and does nothing else with it. Prints one line of JSON at the end: messages taken, CPU seconds used.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from functools import partial
from typing import Any

from pythonosc.dispatcher import Dispatcher
from pythonosc.osc_server import AsyncIOOSCUDPServer


class _Json(asyncio.DatagramProtocol):
    """Newest sample of one port."""

    def __init__(self) -> None:
        self.taken = 0
        self.newest: Any = None

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """The header goes, the rest is JSON."""
        self.newest = json.loads(data[16:])
        self.taken += 1


def _same(protocol: _Json) -> _Json:
    return protocol


async def ingest(kind: str, seconds: float, ports: list[int]) -> tuple[int, float]:
    """Messages taken and CPU seconds used meanwhile."""
    loop = asyncio.get_running_loop()
    taken = [0]
    newest: dict[int, tuple[Any, ...]] = {}
    protocols: list[_Json] = []
    for port in ports:
        if kind == "osc":
            dispatcher = Dispatcher()

            def take(_: str, *values: Any, port: int = port) -> None:
                newest[port] = values
                taken[0] += 1

            dispatcher.map("/openvolume/camera/a/pose", take)
            server = AsyncIOOSCUDPServer(("127.0.0.1", port), dispatcher, loop)  # type: ignore[arg-type]
            await server.create_serve_endpoint()
        else:
            protocol = _Json()
            protocols.append(protocol)
            await loop.create_datagram_endpoint(partial(_same, protocol), local_addr=("127.0.0.1", port))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    before_s = time.process_time()
    await asyncio.sleep(seconds)
    return taken[0] + sum(p.taken for p in protocols), time.process_time() - before_s


if __name__ == "__main__":
    result = asyncio.run(ingest(sys.argv[1], float(sys.argv[2]), [int(port) for port in sys.argv[3:]]))
    sys.stdout.write(json.dumps(result) + "\n")
