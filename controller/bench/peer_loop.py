"""The peer of `openvolume bench latency`: python-osc, asyncio and a queue. `python -m ... PORT FRAMES_HZ SECONDS`.

Prints one line of JSON when it is done: per frame its own share and the whole way from sending to publication, ms.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from typing import Any

from pythonosc.dispatcher import Dispatcher
from pythonosc.osc_server import AsyncIOOSCUDPServer

OSC_ADDRESS = "/openvolume/camera/a/pose"
NS_PER_MS = 1e6


async def loop(port: int, frames_hz: int, seconds: float) -> list[list[float]]:
    """Shares and ways, ms."""
    queue: asyncio.Queue[tuple[int, int, tuple[Any, ...]]] = asyncio.Queue()
    sent_ns = [0]
    dispatcher = Dispatcher()
    dispatcher.map("/sent", lambda _, text: sent_ns.__setitem__(0, int(text)))
    dispatcher.map(OSC_ADDRESS, lambda _, *pose: queue.put_nowait((sent_ns[0], time.monotonic_ns(), pose)))
    server = AsyncIOOSCUDPServer(("127.0.0.1", port), dispatcher, asyncio.get_running_loop())  # type: ignore[arg-type]
    transport, _ = await server.create_serve_endpoint()
    out, reader = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    shares: list[float] = []
    ways: list[float] = []
    newest: tuple[int, int, tuple[Any, ...]] | None = None
    while newest is None:
        newest = await queue.get()
    start_ns = time.monotonic_ns()
    for frame in range(1, int(seconds * frames_hz) + 1):
        await asyncio.sleep((start_ns + frame * 1_000_000_000 // frames_hz - time.monotonic_ns()) / 1e9)
        latched_ns = time.monotonic_ns()
        while not queue.empty():
            newest = queue.get_nowait()
        sent, received, pose = newest
        out.send(json.dumps({"frame": frame, "t_ns": latched_ns, "pose": pose}).encode())
        published_ns = time.monotonic_ns()
        reader.recv(65536)
        shares.append((received - sent + published_ns - latched_ns) / NS_PER_MS)
        ways.append((published_ns - sent) / NS_PER_MS)
    transport.close()
    return [shares, ways]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(loop(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))) + "\n")
