"""What `test_flood.py` measures, in a network of its own: the real conductor, two trackers, and a flood.

Called with the seconds of each window.
Reads lines of window names and answers each with one JSON object: for each window the ages of both cameras' poses at
the latch, frames without a plan, datagrams flooded, samples sent and taken. After the last line: one object of what was
sent, taken and dropped in all.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import IO, Any

from controller.bench.alone import free_ports, opened, process, rest, run_dir
from controller.config import LoadedConfig, load_config, load_config_text
from controller.status import KIND_STATUS, decode_conductor
from runtime.clock import NS_PER_S
from runtime.ring import KIND_PLANS, RingReader
from stage.plan import decode_plan
from stage.rate import Rate
from tracking.encoders import encoder
from tracking.moment import Moment
from tracking.moves import move

HZ = 240
SETTLE_S = 0.5
"""A window begins so long after its flood does."""
GOOD = "127.0.0.1"
FOREIGN = "127.0.0.66"

FLOODER = textwrap.dedent("""
    import os, socket, struct, sys, time
    kind, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    os.nice(10)  # What floods sits on another machine.
    payload = bytes.fromhex(sys.argv[4])
    target = ("127.0.0.1", port)
    if kind == "spoofed":
        # A sender's address that is nobody's, and another one each time.
        wire = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        def packet(n):
            source = bytes((10, 66, n >> 8 & 255, n & 255))
            to = bytes((127, 0, 0, 1))
            head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28 + len(payload), 0, 0, 64, 17, 0, source, to)
            return head + struct.pack(">HHHH", 6666, port, 8 + len(payload), 0) + payload
        packets = [packet(n) for n in range(4096)]
        send = lambda n: wire.sendto(packets[n & 4095], ("127.0.0.1", 0))
    else:
        wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        wire.bind(("127.0.0.66", 0))
        send = lambda n: wire.sendto(payload, target)
    print("ready", flush=True)
    sent, began = 0, time.monotonic()
    while True:
        for _ in range(256):
            try:
                send(sent)
            except OSError:
                pass  # a wrong port answers
            sent += 1
        if time.monotonic() - began > seconds:
            break
    print(sent / (time.monotonic() - began), flush=True)
""")


def loopback_up() -> None:
    """A new network begins with its loopback down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        name = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(sock, 0x8913, name))[1]
        if not flags & 1:
            fcntl.ioctl(sock, 0x8914, struct.pack("16sh14x", b"lo", flags | 1))


def config(ports: list[int]) -> LoadedConfig:
    """The shipped `minimal` with two cameras: `a` behind an allow-list, `b` open to all."""
    shipped = load_config("minimal")
    data = shipped.config.model_dump(mode="json", exclude_unset=True)
    data["rate"] = "60"
    data["cameras"]["b"] = json.loads(json.dumps(data["cameras"]["a"]))
    data["tracking"] = {
        "sources": {
            "listed": {"protocol": "freed", "camera": "a", "listen": f"127.0.0.1:{ports[0]}", "allow": [GOOD]},
            "open": {"protocol": "freed", "camera": "b", "listen": f"127.0.0.1:{ports[1]}"},
        }
    }
    return load_config_text(json.dumps(data), base_dir=shipped.base_dir)


class Trackers(threading.Thread):
    """Both trackers, 240 times a second each."""

    def __init__(self, ports: list[int]) -> None:
        super().__init__(daemon=True)
        encode, pose_at = encoder("freed", rate=Rate(HZ)), move("handheld", 1).pose
        self._said = [encode(Moment(pose_at(n / HZ), n, n))[0] for n in range(60 * HZ)]
        self._ports, self.sent, self.stopped = ports, 0, threading.Event()

    def run(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
            wire.bind((GOOD, 0))
            began_ns = time.monotonic_ns()
            while not self.stopped.is_set():
                for port in self._ports:
                    wire.sendto(self._said[self.sent % len(self._said)], (GOOD, port))
                self.sent += 1
                left_ns = began_ns + (self.sent + 1) * NS_PER_S // HZ - time.monotonic_ns()
                if left_ns > 0:
                    time.sleep(left_ns / NS_PER_S)


def main(seconds: float) -> None:
    loopback_up()
    ports = free_ports(3)
    good = encoder("freed")(Moment(move("orbit").pose(0.0), 0, 0))[0]
    floods = {
        "calm": None,
        "foreign": ("foreign", ports[0], good),
        "spoofed": ("spoofed", ports[0], good),
        "wrong_port": ("foreign", ports[2], good),
        "open_garbage": ("foreign", ports[1], b"\xd1" + bytes(28)),
    }
    with run_dir(config(ports)) as directory:
        command = [sys.executable, "-P", "-m", "controller.processes.conductor", str(directory.path), "--nodes", "main"]
        trackers = Trackers(ports[:2])
        with process(command) as child:
            plans = opened(lambda: RingReader.try_open(directory.plans, kind=KIND_PLANS), child)
            status = opened(lambda: RingReader.try_open(directory.conductor_status, kind=KIND_STATUS), child)
            trackers.start()
            rest(1.5, child)
            for line in sys.stdin:
                told: dict[str, Any] = {}
                for name in line.split():
                    try:
                        with flooded(floods[name], SETTLE_S + seconds + 0.3) as said:
                            rest(SETTLE_S, child)
                            told[name] = window(plans, status, trackers, child, seconds)
                            if said is not None:
                                told[name]["flood_hz"] = float(said.readline())
                    except PermissionError:
                        told[name] = None
                say(told)
            trackers.stopped.set()
            trackers.join()
            rest(0.5, child)
            last = status.latest()
            assert last is not None
            sources = decode_conductor(last.data).sources
            say({
                "network": os.readlink("/proc/self/ns/net"),
                "sent": trackers.sent,
                "samples": {name: source.samples for name, source in sources.items()},
                "dropped": {name: source.dropped for name, source in sources.items()},
            })  # fmt: skip
            status.close()
            plans.close()


def say(told: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


@contextlib.contextmanager
def flooded(flood: tuple[str, int, bytes] | None, seconds: float) -> Iterator[IO[str] | None]:
    """A flood beside what is done here, and where it tells its rate at its end. PermissionError: it is refused."""
    if flood is None:
        yield None
        return
    kind, port, payload = flood
    command = [sys.executable, "-P", "-c", FLOODER, kind, str(port), str(seconds), payload.hex()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as flooder:
        assert flooder.stdout is not None
        if flooder.stdout.readline().strip() != "ready":
            raise PermissionError("raw sockets are refused")
        yield flooder.stdout


def window(plans: RingReader, status: RingReader, trackers: Trackers, child: Any, seconds: float) -> dict[str, Any]:
    """One window: every plan in it, and what became of the samples."""

    def samples() -> dict[str, int]:
        told = status.latest()
        assert told is not None
        return {name: source.samples for name, source in decode_conductor(told.data).sources.items()}

    skipped = lambda: decode_conductor(status.latest().data).slots_skipped  # type: ignore[union-attr]  # noqa: E731
    before, first, sent, missed = samples(), plans.latest_n, trackers.sent, skipped()
    cpu_s = cpu(child.pid)
    rest(seconds, child)
    cpu_s = cpu(child.pid) - cpu_s
    after, sent, missed = samples(), trackers.sent - sent, skipped() - missed
    ages: dict[str, list[float]] = {"a": [], "b": []}
    frames: list[int] = []
    for slot in plans.read_since(first).slots:
        plan = decode_plan(slot.data)
        frames.append(plan.frame)
        for camera in plan.cameras:
            ages[camera.id].append((plan.t_latched_ns - camera.t_received_ns) / 1e6)
    return {
        "frames": len(frames),
        "gaps": sum(b - a - 1 for a, b in pairwise(frames)),
        "skipped": missed,
        "age_ms": {name: {"p50": rank(values, 0.5), "p99": rank(values, 0.99)} for name, values in ages.items()},
        "sent": sent,
        "taken": {name: after[name] - before[name] for name in after},
        "cpu": cpu_s / seconds,
    }


def rank(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def cpu(pid: int) -> float:
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main(float(sys.argv[1]))
