"""Loads beside a real run, each a process of its own: `python -P -m controller.timing.loads NAME URL`.

A load begins at once and ends when its standard input closes; then it prints what it did as one JSON line.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

FLOODERS: Final = 4
SLOW_CLIENTS: Final = 50
PATHS: Final = ("cameras", "frames", "nodes", "stage")
NICE: Final = 10
"""What asks is not the product's: it may have what is left."""
PATIENCE_S: Final = 20.0
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class Stopper(threading.Thread):
    """Waits for the end of standard input."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.stopped = threading.Event()

    def run(self) -> None:
        """Until the parent closes it."""
        # Past Python's own buffer: a thread that waits in it cannot be left behind at the end.
        while os.read(0, 1024):
            pass
        self.stopped.set()


def flood(address: tuple[str, int], stop: threading.Event) -> dict[str, Any]:
    """GETs as fast as they are answered, on four connections."""
    counts, failed, longest = [0] * FLOODERS, [0] * FLOODERS, [0.0] * FLOODERS

    def ask(number: int) -> None:
        connection = http.client.HTTPConnection(*address, timeout=PATIENCE_S)
        while not stop.is_set():
            began_s = time.perf_counter()
            try:
                connection.request("GET", f"/api/v1/{PATHS[number % len(PATHS)]}")
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                failed[number] += 1
                connection.close()
                continue
            counts[number] += answer.status == 200
            # 429: asked for too much, and told so. That is no failure.
            failed[number] += answer.status not in (200, 429)
            longest[number] = max(longest[number], time.perf_counter() - began_s)
        connection.close()

    threads = [threading.Thread(target=ask, args=(number,), daemon=True) for number in range(FLOODERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"requests": sum(counts), "failed": sum(failed), "longest_ms": max(longest) * 1000.0}


def open_events(address: tuple[str, int], *, small: bool = False) -> socket.socket:
    """A WebSocket on the event stream, past its handshake; `small`: with as little room for what it does not read as
    the kernel allows. Raises OSError when it is refused."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if small:
        # Before connecting: afterwards the window has been told already.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    try:
        _greet(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


def _greet(sock: socket.socket, address: tuple[str, int]) -> None:
    sock.settimeout(PATIENCE_S)
    sock.connect(address)
    key = base64.b64encode(os.urandom(16)).decode()
    sock.sendall(
        f"GET /api/v1/events HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    head = b""
    while b"\r\n\r\n" not in head:
        more = sock.recv(1)
        if not more:
            raise ConnectionError("closed while greeting")
        head += more
    if b" 101 " not in head.split(b"\r\n", 1)[0]:
        raise ConnectionError(head.split(b"\r\n", 1)[0].decode())


class Reader:
    """A WebSocket client that reads, and answers pings as every real one does. Server frames are not masked."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock, self._waiting = sock, b""
        sock.settimeout(0.05)

    def read(self) -> int | None:
        """Messages that came; None once the connection is closed."""
        try:
            data = self._sock.recv(1 << 16)
        except TimeoutError:
            return 0
        if not data:
            return None
        self._waiting += data
        messages = 0
        while (frame := self._frame()) is not None:
            opcode, payload = frame
            messages += opcode == TEXT
            if opcode == PING:
                # Clients must mask; a mask of zeros changes nothing.
                self._sock.sendall(bytes((0x80 | PONG, 0x80 | len(payload), 0, 0, 0, 0)) + payload)
            elif opcode == CLOSE:
                return None
        return messages

    def _frame(self) -> tuple[int, bytes] | None:
        data = self._waiting
        if len(data) < 2:
            return None
        length, start = data[1] & 0x7F, 2
        if length >= 126:
            start = 4 if length == 126 else 10
            if len(data) < start:
                return None
            length = int.from_bytes(data[2:start], "big")
        if len(data) < start + length:
            return None
        self._waiting = data[start + length :]
        return data[0] & 0x0F, data[start : start + length]


def slow_clients(address: tuple[str, int], stop: threading.Event, pid: int = 0) -> dict[str, Any]:
    """Fifty clients that never read, and one that does: how long it waits, what they cost, when they are let go. pid :
    of the service; 0: it is asked."""
    pid = pid or _listener(address)
    before_kb = _rss_kb(pid)
    good = open_events(address)
    sleepers: list[socket.socket] = []
    refused = 0
    began_s = time.perf_counter()
    for _ in range(SLOW_CLIENTS):
        try:
            sleepers.append(open_events(address, small=True))
        except OSError:
            refused += 1
    reader = Reader(good)
    gap_s, last_s, messages, peak_kb = 0.0, time.perf_counter(), 0, before_kb
    closed_s: float | None = None
    looked_s = 0.0
    while not stop.is_set():
        heard = reader.read()
        now_s = time.perf_counter()
        gap_s = max(gap_s, now_s - last_s)
        if heard is None:
            gap_s = float("inf")
            break
        if heard:
            last_s, messages = now_s, messages + heard
        if time.perf_counter() - looked_s > 0.25:
            looked_s = time.perf_counter()
            peak_kb = max(peak_kb, _rss_kb(pid))
            if closed_s is None and sleepers and not _held(address[1], sleepers):
                closed_s = looked_s - began_s
    for sock in (good, *sleepers):
        sock.close()
    return {
        "clients": len(sleepers),
        "refused": refused,
        "messages": messages,
        "gap_ms": min(gap_s * 1000.0, 1e6),
        "memory_mb": max(0.0, (peak_kb - before_kb) / 1024.0),
        "closed_s": closed_s,
    }


def _held(port: int, sockets: Sequence[socket.socket]) -> int:
    """How many of the connections the service still keeps open. Asked of the kernel: a client that reads nothing does
    not hear of the end."""
    mine = {sock.getsockname()[1] for sock in sockets}
    held = 0
    with open("/proc/net/tcp", encoding="ascii") as file:
        for line in file.readlines()[1:]:
            fields = line.split()
            local, remote = (int(address.rpartition(":")[2], 16) for address in fields[1:3])
            held += local == port and remote in mine and fields[3] == "01"
    return held


def _listener(address: tuple[str, int]) -> int:
    """Pid of the process that answers; 0 when it does not tell."""
    connection = http.client.HTTPConnection(*address, timeout=PATIENCE_S)
    with contextlib.suppress(OSError, ValueError, KeyError, http.client.HTTPException):
        connection.request("GET", "/api/v1/nodes")
        document = json.loads(connection.getresponse().read())
        connection.close()
        return int(document["processes"]["service"]["pid"])
    connection.close()
    return 0


def _rss_kb(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
    except OSError:
        return 0


class Api:
    """What the storms need of the API."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._connection = http.client.HTTPConnection(*address, timeout=70.0)

    def send(self, method: str, path: str, body: str = "", **headers: str) -> tuple[int, Any, str]:
        """Status, document and ETag of one request."""
        self._connection.request(method, f"/api/v1/{path}", body or None, headers)
        answer = self._connection.getresponse()
        data = answer.read()
        return answer.status, json.loads(data) if data[:1] in b"{[" and data else None, answer.headers.get("etag", "")

    def text(self, path: str) -> tuple[str, str]:
        """A resource as YAML, and its ETag."""
        self._connection.request("GET", f"/api/v1/{path}", headers={"accept": "application/yaml"})
        answer = self._connection.getresponse()
        return answer.read().decode(), answer.headers.get("etag", "")


def config_storm(address: tuple[str, int], stop: threading.Event) -> dict[str, Any]:
    """Whole configurations applied, and rolled back, one after the other."""
    api = Api(address)
    first, _ = api.text("config")
    took: list[float] = []
    refused = rolled_back = 0
    last_rev = 0
    while not stop.is_set():
        began_s = time.perf_counter()
        _, etag = api.text("config")
        if len(took) % 3 == 2 and last_rev:
            _, show, _ = api.send("GET", "show")
            status, _, _ = api.send("POST", f"config/revisions/{last_rev}/restore", **{"if-match": f'"{show["rev"]}"'})
            rolled_back += status == 200
        else:
            data = json.loads(first) if first.lstrip().startswith("{") else None
            body = _variant(data, len(took)) if data is not None else first
            status, document, _ = api.send(
                "PUT", "config", body, **{"content-type": "application/json", "if-match": etag}
            )
            if status == 200 and not last_rev:
                last_rev = int(document["rev"])
        took.append((time.perf_counter() - began_s) * 1000.0)
        refused += status != 200
    ranked = sorted(took)
    return {
        "changes": len(took),
        "refused": refused,
        "rolled_back": rolled_back,
        "change_p99_ms": ranked[min(len(ranked) - 1, int(0.99 * len(ranked)))] if ranked else 0.0,
    }


def _variant(data: dict[str, Any], number: int) -> str:
    """The same configuration with another lens edge: every process has to prepare it."""
    changed = json.loads(json.dumps(data))
    for camera in changed.get("cameras", {}).values():
        camera["soft_edge_deg"] = round(0.3 + 0.05 * (number % 10), 2)
    changed["label"] = f"storm {number}"
    return json.dumps(changed)


def scene_reload(address: tuple[str, int], stop: threading.Event) -> dict[str, Any]:
    """The show's scenes by turns; one alone is put into a new configuration, which loads it anew."""
    api = Api(address)
    _, scenes, _ = api.send("GET", "scenes")
    names = list(scenes or {})
    took: list[float] = []
    refused = 0
    first, _ = api.text("config")
    while not stop.is_set():
        began_s = time.perf_counter()
        if len(names) > 1:
            status, _, _ = api.send("POST", f"scenes/{names[len(took) % len(names)]}/activate")
        else:
            _, etag = api.text("config")
            body = _variant(json.loads(first), len(took))
            status, _, _ = api.send("PUT", "config", body, **{"content-type": "application/json", "if-match": etag})
        took.append((time.perf_counter() - began_s) * 1000.0)
        refused += status != 200
        stop.wait(0.3)
    ranked = sorted(took)
    return {
        "changes": len(took),
        "refused": refused,
        "change_p99_ms": ranked[min(len(ranked) - 1, int(0.99 * len(ranked)))] if ranked else 0.0,
    }


def cpu_hog(_: tuple[str, int], stop: threading.Event) -> dict[str, Any]:
    """One busy process for each processor."""
    spin = "while True: pass"
    hogs = [subprocess.Popen([sys.executable, "-P", "-c", spin]) for _ in range(os.cpu_count() or 1)]
    try:
        stop.wait()
    finally:
        for hog in hogs:
            hog.kill()
        for hog in hogs:
            hog.wait()
    return {"processes": len(hogs)}


KINDS: Final[dict[str, Callable[[tuple[str, int], threading.Event], dict[str, Any]]]] = {
    "flood": flood,
    "slow_clients": slow_clients,
    "config_storm": config_storm,
    "scene_reload": scene_reload,
    "cpu_hog": cpu_hog,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one load until standard input closes."""
    name, url = list(sys.argv[1:] if arguments is None else arguments)
    os.nice(NICE)
    stopper = Stopper()
    stopper.start()
    parts = urlsplit(url)
    told = KINDS[name]((parts.hostname or "127.0.0.1", parts.port or 80), stopper.stopped)
    sys.stdout.write(json.dumps(told) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
