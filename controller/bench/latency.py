"""`openvolume bench latency`: the controller's own share of the delay, beside what one would write in an afternoon.

Ours is the real conductor in a process of its own, with and without real-time rights: OSC poses in through a socket,
histories, prediction to the photo, overscan, and a whole frame plan out. The peer is a minimal loop of python-osc,
asyncio and a queue: it takes the newest pose at each frame and sends it on as JSON; it predicts nothing. Own share is
arrival to history plus latch to publication, without the wait for the latch; `receive_to_plan` is the whole way.
"""

from __future__ import annotations

import json
import socket
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from controller.bench.alone import free_ports, opened, process, rest, run_dir
from controller.bench.peer_loop import OSC_ADDRESS
from controller.config import LoadedConfig, load_config, load_config_text
from controller.ledger import percentiles_of
from controller.status import KIND_STATUS, decode_conductor
from runtime.clock import NS_PER_MS, NS_PER_S
from runtime.ring import KIND_PLANS, RingReader
from stage.plan import decode_plan
from tracking.moves import move
from tracking.protocols.osc import OscPacket

ROUNDS = 7
SECONDS = 2.0
FRAMES_HZ = 60
SAMPLES_HZ = 240


def run(*, rounds: int = ROUNDS, seconds: float = SECONDS) -> dict[str, Any]:
    """Medians over rounds of each variant's p50 and p99, ms; every round runs all variants, one after the other."""
    found: dict[str, list[dict[str, dict[str, float]]]] = {"real_time": [], "normal": [], "peer": []}
    rt_class = 0
    for _ in range(rounds):
        figures, rt_class = _ours(seconds, fifo=True)
        found["real_time"].append(figures)
        found["normal"].append(_ours(seconds, fifo=False)[0])
        found["peer"].append(_peer(seconds))
    out: dict[str, Any] = {"frames_hz": FRAMES_HZ, "samples_hz": SAMPLES_HZ, "rounds": rounds, "seconds": seconds}
    out["rt_class"] = rt_class
    for variant, figures_of_rounds in found.items():
        if variant == "real_time" and rt_class == 0:
            out[variant] = "no real-time rights here: `openvolume preflight` tells the mend"
            continue
        out[variant] = {
            interval: {
                share: round(statistics.median(f[interval][share] for f in figures_of_rounds), 3)
                for share in ("p50", "p99")
            }
            for interval in ("own_share_ms", "receive_to_plan_ms")
        }
    for share in ("p50", "p99"):
        out[f"ratio_{share}"] = round(
            statistics.median(
                ours["own_share_ms"][share] / peer["own_share_ms"][share]
                for ours, peer in zip(found["normal"], found["peer"], strict=True)
            ),
            2,
        )
    return out


def _ours(seconds: float, *, fifo: bool) -> tuple[dict[str, dict[str, float]], int]:
    port = free_ports(1)[0]
    loaded = _minimal(port)
    with run_dir(loaded) as directory:
        command = [sys.executable, "-P", "-m", "controller.processes.conductor", str(directory.path), "--nodes", "main"]
        with process([*command, *([] if fifo else ["--no-fifo"])]) as child, _poses(port):
            reader = opened(lambda: RingReader.try_open(directory.plans, kind=KIND_PLANS), child)
            # The first second is the start's own: imports, first plans, a predictor that has learned nothing yet.
            rest(1.0, child)
            first_n = reader.latest_n
            rest(seconds, child)
            slots = reader.read_since(first_n).slots
            whole = []
            for slot in slots:
                plan = decode_plan(slot.data)
                whole += [(slot.t_ns - c.t_received_ns) / NS_PER_MS for c in plan.cameras if c.t_received_ns]
            status_ring = RingReader.open(directory.conductor_status, kind=KIND_STATUS)
            told = status_ring.latest()
            assert told is not None
            status = decode_conductor(told.data)
            status_ring.close()
            reader.close()
    if not whole:
        raise RuntimeError("no pose has come through")
    share = status.own_share_ms
    way = percentiles_of(whole)
    figures = {
        "own_share_ms": {"p50": share.p50, "p99": share.p99},
        "receive_to_plan_ms": {"p50": way.p50, "p99": way.p99},
    }
    return figures, status.rt_class


def _peer(seconds: float) -> dict[str, dict[str, float]]:
    port = free_ports(1)[0]
    command = [sys.executable, "-P", "-m", "controller.bench.peer_loop", str(port), str(FRAMES_HZ), str(seconds + 1.0)]
    with process(command) as child, _poses(port):
        assert child.stdout is not None
        line = child.stdout.readline()
    if not line:
        raise RuntimeError("the peer has ended without a figure")
    shares, ways = json.loads(line)
    # As for ours, the first second does not count.
    skip = FRAMES_HZ
    own, way = percentiles_of(shares[skip:]), percentiles_of(ways[skip:])
    return {
        "own_share_ms": {"p50": own.p50, "p99": own.p99},
        "receive_to_plan_ms": {"p50": way.p50, "p99": way.p99},
    }


def _minimal(port: int) -> LoadedConfig:
    """The shipped `minimal` at the bench's rate, listening to OSC."""
    shipped = load_config("minimal")
    config = shipped.config.model_dump(mode="json", exclude_unset=True)
    config["rate"] = str(FRAMES_HZ)
    config["tracking"] = {
        "sources": {"tracker": {"protocol": "osc", "camera": "a", "listen": f"127.0.0.1:{port}"}},
    }
    return load_config_text(json.dumps(config), base_dir=shipped.base_dir)


@contextmanager
def _poses(port: int) -> Iterator[None]:
    """A hand-held camera to both: each message carries when it was sent, which only the peer reads."""
    stop = threading.Event()
    pose_at = move("handheld").pose

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
            started_ns = time.monotonic_ns()
            n = 0
            while not stop.is_set():
                x, y, z = pose_at(n / SAMPLES_HZ)[:3, 3].tolist()
                packet = OscPacket.build(OSC_ADDRESS, (x, y, z, 0.0, 0.0, 0.0))
                stamp = OscPacket.build("/sent", (str(time.monotonic_ns()),))
                wire.sendto(bytes(stamp), ("127.0.0.1", port))
                wire.sendto(bytes(packet), ("127.0.0.1", port))
                n += 1
                time.sleep(max(0.0, (started_ns + n * NS_PER_S // SAMPLES_HZ - time.monotonic_ns()) / NS_PER_S))

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
