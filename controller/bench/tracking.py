"""`openvolume bench tracking`: what a packet of each protocol costs, and sixteen trackers at 240 Hz.

A packet's cost is that of parsing it, of making samples of it, and of joining those to a history, one after the other
as the conductor does it; beside it python-osc's dispatcher, `json.loads` and, where it is installed, the `natnet`
package take the same bytes. The streams go through the sockets of the real conductor in a process of its own; its share
of a core is what it uses with them less what it uses without. Peers for them are asyncio servers that only decode.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import socket
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from pythonosc.dispatcher import Dispatcher

from controller.bench.alone import free_ports, opened, process, rest, run_dir
from controller.config import LoadedConfig, load_config, load_config_text
from controller.status import KIND_STATUS, decode_conductor
from runtime.clock import NS_PER_S, VirtualClock
from runtime.ring import KIND_PLANS, RingReader
from stage.rate import Rate
from tracking.config import Source
from tracking.encoders import encoder
from tracking.intake import take
from tracking.mapping import mapping_of
from tracking.moment import Moment
from tracking.moves import move
from tracking.receivers import Arrival
from tracking.sample import Refusal, Sample, Stamp
from tracking.stream import fresh_stream, link_of

ROUNDS: Final = 7
SECONDS: Final = 1.0
PACKETS: Final = 960
STREAMS: Final = 16
STREAM_HZ: Final = 240
FRAMES_HZ: Final = 24
WARM_S: Final = 0.6
DRAIN_S: Final = 0.6
LABEL_NS: Final = 1_700_000_000 * NS_PER_S
PROTOCOLS: Final = {
    "freed": "freed", "osc": "osc", "opentrackio": "opentrackio", "opentrackio_cbor": "opentrackio", "zmq": "zmq",
    "mosys_f4": "mosys_f4", "stype": "stype", "psn": "psn", "rttrpm": "rttrpm", "live_link": "live_link",
    "natnet": "natnet",
}  # fmt: skip
"""Each encoder's name, and the protocol that reads it."""
DECODE_BARS_US: Final = {"freed": 2.0, "osc": 8.0, "opentrackio": 50.0}
SHARE_BARS: Final = {"freed": 0.15, "opentrackio": 0.30}


def run(*, rounds: int = ROUNDS, seconds: float = SECONDS, packets: int = PACKETS) -> dict[str, Any]:
    """Medians over rounds; every round measures all, one after the other. Microseconds a packet; shares of a core.

    Raises
    ------
    RuntimeError : a process has ended, or nothing has come through.
    """
    protocols = _costs(rounds, packets)
    streams = _streams(rounds, seconds)
    bars = {name: protocols[name]["parse_us"] <= bar for name, bar in DECODE_BARS_US.items()}
    bars |= {f"16_{name}": streams[name]["share"] <= bar for name, bar in SHARE_BARS.items()}
    bars["no_loss"] = all(streams[name]["lost"] == 0 for name in ("freed", "osc", "opentrackio"))
    return {"rounds": rounds, "a_packet": protocols, f"{STREAMS}_streams_of_{STREAM_HZ}_hz": streams, "good": bars}


# --- a packet -----------------------------------------------------------------------------------------------------


def _costs(rounds: int, packets: int) -> dict[str, dict[str, float]]:
    datagrams = {name: _datagrams(name, packets) for name in PROTOCOLS}
    peers = _peers(datagrams)
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in (*PROTOCOLS, *peers)}
    for _ in range(rounds):
        for name in PROTOCOLS:
            found[name].append(_cost(name, datagrams[name]))
        for name, (call, data) in peers.items():
            found[name].append((_timed(call, data),))
    out: dict[str, dict[str, float]] = {}
    for name in PROTOCOLS:
        parse, samples, join = (round(statistics.median(part), 2) for part in zip(*found[name], strict=True))
        out[name] = {
            "parse_us": parse,
            "samples_us": samples,
            "join_us": join,
            "all_us": round(parse + samples + join, 2),
        }
    for name in peers:
        out[name] = {"parse_us": round(statistics.median(cost for (cost,) in found[name]), 2)}
    return out


def _datagrams(name: str, packets: int, *, source_number: int = 1) -> list[bytes]:
    """A hand-held camera at 240 Hz, as datagrams of the protocol."""
    encode = encoder(name, rate=Rate(STREAM_HZ), source_number=source_number)
    pose_at = move("handheld", 1).pose
    out: list[bytes] = []
    for n in range(packets):
        out += encode(Moment(pose_at(n / STREAM_HZ), n, LABEL_NS + n * NS_PER_S // STREAM_HZ))
    return out


def _source(name: str, listen: str = "127.0.0.1:1") -> Source:
    protocol = PROTOCOLS[name]
    listen = "tcp://127.0.0.1:1" if protocol == "zmq" else listen
    return Source.model_validate({"protocol": protocol, "camera": "a", "listen": listen})


def _cost(name: str, datagrams: Sequence[bytes]) -> tuple[float, float, float]:
    """Microseconds a datagram for parsing, for samples, and for everything else until it is in the history."""
    source = _source(name)
    mapping = mapping_of("t", source)
    now_ns = VirtualClock().now_ns()
    stream = fresh_stream("t", source, mapping, now_ns)
    link = link_of(source.link, [stream], None, None)
    arrivals = [
        Arrival(data, "127.0.0.1", 5000, now_ns + n * NS_PER_S // STREAM_HZ) for n, data in enumerate(datagrams)
    ]
    began_ns = time.perf_counter_ns()
    parsed = [link.items(arrival) for arrival in arrivals]
    parsed_ns = time.perf_counter_ns()
    stamp = Stamp(now_ns, now_ns, 1)
    for items in parsed:
        for item in items:
            if not isinstance(item, Refusal):
                item.samples(mapping, stamp)
    sampled_ns = time.perf_counter_ns()
    # The whole of it again, on a fresh stream: what is neither parsing nor samples is joining.
    stream = fresh_stream("t", source, mapping, now_ns)
    link = link_of(source.link, [stream], None, None)
    taken: list[Sample] = []
    whole_ns = time.perf_counter_ns()
    for arrival in arrivals:
        take(link, arrival, taken)
    took_ns = time.perf_counter_ns() - whole_ns
    if len(taken) < len(datagrams) // 2:
        raise RuntimeError(f"{name}: {len(taken)} samples of {len(datagrams)} datagrams ({dict(stream.refused)})")
    parse, samples = (parsed_ns - began_ns) / 1000.0, (sampled_ns - parsed_ns) / 1000.0
    join = max(0.0, took_ns / 1000.0 - parse - samples)
    return parse / len(datagrams), samples / len(datagrams), join / len(datagrams)


def _peers(datagrams: dict[str, list[bytes]]) -> dict[str, tuple[Callable[[bytes], object], list[bytes]]]:
    """What others do with the same bytes, by name."""
    dispatcher = Dispatcher()
    newest: list[tuple[Any, ...]] = [()]
    dispatcher.map("/openvolume/camera/a/pose", lambda _, *values: newest.__setitem__(0, values))
    peers: dict[str, tuple[Callable[[bytes], object], list[bytes]]] = {
        "python-osc dispatcher (osc)": (
            lambda data: dispatcher.call_handlers_for_packet(data, ("127.0.0.1", 5000)), datagrams["osc"],
        ),
        "json.loads (opentrackio)": (lambda data: json.loads(data[16:]), datagrams["opentrackio"]),
    }  # fmt: skip
    if importlib.util.find_spec("natnet") is not None:
        natnet = importlib.import_module("natnet")
        buffer = importlib.import_module("natnet.packet_buffer").PacketBuffer
        version = natnet.Version(4, 1)
        frames = [data[4:] for data in datagrams["natnet"] if int.from_bytes(data[:2], "little") == 7]
        peers["natnet package (natnet)"] = (
            lambda data: natnet.DataFrame.read_from_buffer(buffer(data), version), frames,
        )  # fmt: skip
    return peers


def _timed(call: Callable[[bytes], object], datagrams: Sequence[bytes]) -> float:
    began_ns = time.perf_counter_ns()
    for data in datagrams:
        call(data)
    return (time.perf_counter_ns() - began_ns) / 1000.0 / len(datagrams)


# --- streams ------------------------------------------------------------------------------------------------------


def _streams(rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    total_s = WARM_S + seconds
    said = {
        name: [_datagrams(name, int(total_s * STREAM_HZ) + 1, source_number=n + 1) for n in range(STREAMS)]
        for name in ("freed", "osc", "opentrackio")
    }
    found: dict[str, list[tuple[float, int, int]]] = {}
    for _ in range(rounds):
        for name, datagrams in said.items():
            found.setdefault(name, []).append(_conductor(name, datagrams, seconds))
        for peer, name in (("osc", "osc"), ("json", "opentrackio")):
            found.setdefault(f"peer_{peer}", []).append(_peer(peer, said[name], total_s))
    out: dict[str, dict[str, float]] = {}
    for name, measured in found.items():
        shares, sent, taken = zip(*measured, strict=True)
        out[name] = {"share": round(statistics.median(shares), 3), "sent": sum(sent), "lost": sum(sent) - sum(taken)}
    return out


def _conductor(name: str, datagrams: Sequence[Sequence[bytes]], seconds: float) -> tuple[float, int, int]:
    """Share of a core that the streams cost the conductor, datagrams sent, samples taken."""
    ports = free_ports(STREAMS)
    with run_dir(_config(name, ports)) as directory:
        command = [sys.executable, "-P", "-m", "controller.processes.conductor", str(directory.path), "--nodes", "main"]
        with process(command) as child:
            opened(lambda: RingReader.try_open(directory.plans, kind=KIND_PLANS), child).close()
            status = opened(lambda: RingReader.try_open(directory.conductor_status, kind=KIND_STATUS), child)
            rest(WARM_S, child)
            idle_s = _cpu_s(child.pid)
            rest(seconds, child)
            idle_s = _cpu_s(child.pid) - idle_s
            with _senders(ports, datagrams) as sent:
                # Predictors begin to learn with the first movement.
                rest(WARM_S, child)
                busy_s = _cpu_s(child.pid)
                rest(seconds, child)
                busy_s = _cpu_s(child.pid) - busy_s
            rest(DRAIN_S, child)
            told = status.latest()
            assert told is not None
            taken = sum(source.samples for source in decode_conductor(told.data).sources.values())
            status.close()
    return (busy_s - idle_s) / seconds, sent[0], taken


def _peer(kind: str, datagrams: Sequence[Sequence[bytes]], seconds: float) -> tuple[float, int, int]:
    ports = free_ports(STREAMS)
    command = [
        sys.executable,
        "-P",
        "-m",
        "controller.bench.peer_ingest",
        kind,
        str(seconds + DRAIN_S),
        *map(str, ports),
    ]
    with process(command) as child:
        assert child.stdout is not None
        child.stdout.readline()
        with _senders(ports, datagrams) as sent:
            rest(seconds - DRAIN_S, child)
        line = child.stdout.readline()
    if not line:
        raise RuntimeError("the peer has ended without a figure")
    taken, cpu_s = json.loads(line)
    return cpu_s / (seconds - DRAIN_S), sent[0], taken


def _config(name: str, ports: Sequence[int]) -> LoadedConfig:
    """The shipped `minimal` with sixteen sources, which stand by for one camera."""
    shipped = load_config("minimal")
    config = shipped.config.model_dump(mode="json", exclude_unset=True)
    config["rate"] = str(FRAMES_HZ)
    config["tracking"] = {
        "sources": {
            f"t{n}": {"protocol": PROTOCOLS[name], "camera": "a", "listen": f"127.0.0.1:{port}", "priority": -n}
            for n, port in enumerate(ports)
        }
    }
    return load_config_text(json.dumps(config), base_dir=shipped.base_dir)


def _cpu_s(pid: int) -> float:
    """CPU time of a process so far, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _senders(ports: Sequence[int], datagrams: Sequence[Sequence[bytes]]) -> Iterator[list[int]]:
    """Sixteen trackers, each every 240th of a second, one right after the other; how many datagrams they have sent."""
    stop, sent = threading.Event(), [0]

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
            started_ns = time.monotonic_ns()
            for n in range(len(datagrams[0])):
                if stop.is_set():
                    return
                for port, said in zip(ports, datagrams, strict=True):
                    wire.sendto(said[n], ("127.0.0.1", port))
                sent[0] += len(ports)
                time.sleep(max(0.0, (started_ns + (n + 1) * NS_PER_S // STREAM_HZ - time.monotonic_ns()) / NS_PER_S))

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield sent
    finally:
        stop.set()
        thread.join()
