"""`openvolume bench sending`: a canvas of 1920 x 1080 at 25 frames a second and 10 bits as ST 2110-20 over two paths.

The sender is the product's own process beside a ring that is written as a node would; both paths go over the loopback.
Told: how evenly packets left (in time, and in ST 2110-21's bucket), what it cost, and, from all packets of a second as
they arrived, whether one path alone and both with one of them dropped half-way give every picture to the last bit.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from controller.beginning import fresh_show, snapshot_of
from controller.config import compile_config, load_config_text
from controller.rundir import RunDir
from controller.show import encode_snapshot
from controller.st2110.frame import chosen_packing
from controller.st2110.pixels import octets_of
from controller.st2110.receiver import Picture, Receiver
from controller.st2110.rfc4175 import VideoForm, packet_layout
from controller.st2110.status import StreamStatus, decode_sender
from controller.status import KIND_STATUS
from runtime.clock import NS_PER_S, SystemClock
from runtime.ring import KIND_CANVAS, RingReader, RingWriter, fourcc
from stage.compiled import encode_stage
from stage.rate import Rate

WIDTH_PX, HEIGHT_PX, BITS = 1920, 1080, 10
RATE: Final = Rate(25)
SECONDS: Final = 12.0
CAPTURED_S: Final = 1.0
PICTURES: Final = 4
_UDP_GRO: Final = 104
"""Linux: datagrams that came together are read together."""
_SO_RCVBUFFORCE: Final = 33
_BUFFER: Final = 64 << 20
_CONFIG: Final = """
openvolume: 1
name: bench
rate: 25
stage:
  walls:
    main: {{type: flat, panel: roe_bp2v2, columns: 10, rows: 6, position_m: [0.0, 3.0, 0.5]}}
  processors:
    led: {{model: simulated}}
  canvases:
    main: {{processor: led, width_px: 1920, height_px: 1080, encoding: {{bits: 10}}, tiles: [{{wall: main}}]}}
scenes:
  grey: {{background: [0.18, 0.18, 0.18]}}
outputs:
  main:
    st2110:
      paths:
        - {{destination: 127.0.0.1, port: {0}, source: lo}}
        - {{destination: 127.0.0.1, port: {1}, source: lo}}
"""


def run(seconds: float = SECONDS) -> dict[str, Any]:
    """Measure for so long; the figures are of the newest 256 frames."""
    form = VideoForm(WIDTH_PX, HEIGHT_PX, "RGB", BITS)
    parent, child = multiprocessing.get_context("spawn").Pipe()
    capturing = multiprocessing.get_context("spawn").Process(target=_capture, args=(child,), daemon=True)
    capturing.start()
    with tempfile.TemporaryDirectory(prefix="ov", dir="/dev/shm") as folder:
        ports = parent.recv()
        run_dir = _prepared(Path(folder), ports)
        pictures = _pictures()
        with _sending(run_dir) as pid:
            began_ns, cpu_s = time.monotonic_ns(), _cpu_s(pid)
            measured: list[tuple[StreamStatus, float]] = []

            def capture() -> None:
                # Until here nobody read what arrived: the sender had the machine for itself, as it would have.
                took_s = (time.monotonic_ns() - began_ns) / NS_PER_S
                measured.append((_status(run_dir), (_cpu_s(pid) - cpu_s) / took_s))
                parent.send(CAPTURED_S)

            at_ns = began_ns + round(seconds * NS_PER_S)
            _write_ring(run_dir, pictures, seconds + 2 * CAPTURED_S, at_ns=at_ns, ask=capture)
            told, share = measured[0]
        arrived: list[tuple[int, int, bytes]] = parent.recv()
        capturing.join(5.0)
    found = _Arrived(form, pictures, arrived)
    return {
        "form": f"{WIDTH_PX} x {HEIGHT_PX}, RGB {BITS} bit, {RATE} a second, 2 paths",
        "packets_per_picture": told.packets,
        "mbit_per_s": round(form.octets * 8 * RATE.hz / 1e6),
        "frames": told.frames,
        "not_as_they_should": told.reasons,
        "begun_after_present_ms": _spread(told.begun_ms),
        "run_late_ms": _spread(told.late_ms),
        "picture_took_ms": _spread(told.took_ms),
        "bucket_packets": _spread(told.bucket) | {"limit_of_type_w": told.bucket_limit},
        "sender_cpu_percent": round(100 * share, 1),
        "received": {
            "both_paths": found.merged(lambda _path, _share: True),
            "one_path": found.merged(lambda path, _share: path == 0),
            "second_path_dropped_half_way": found.merged(lambda path, share: path == 0 or share < 0.5),
            "each_path_dropped_for_a_while": found.merged(
                lambda path, share: not (0.2 < share < 0.4 if path else 0.6 < share < 0.8)
            ),
        },
    }


def _prepared(folder: Path, ports: tuple[int, int]) -> RunDir:
    """A run directory with a version that sends."""
    made = RunDir.create("bench", root=folder)
    loaded = load_config_text(_CONFIG.format(*ports), base_dir=folder)
    stage = compile_config(loaded)
    show = msgspec.structs.replace(fresh_show(loaded.config, stage), version=1, config_version=1)
    made.write_snapshot(1, encode_snapshot(snapshot_of(show, loaded, encode_stage(stage))))
    made.set_current_version(1)
    return made


def _pictures() -> list[NDArray[np.uint32]]:
    """Pictures that compress and repeat nowhere."""
    rng = np.random.default_rng(1)
    return [rng.integers(0, 1 << 30, (HEIGHT_PX, WIDTH_PX), dtype=np.uint32) for _ in range(PICTURES)]


@contextlib.contextmanager
def _sending(run_dir: RunDir) -> Iterator[int]:
    argv = [sys.executable, "-P", "-m", "controller.processes.sender", str(run_dir.path)]
    process = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(10.0)


def _write_ring(
    run_dir: RunDir, pictures: list[NDArray[np.uint32]], seconds: float, *, at_ns: int, ask: Callable[[], object]
) -> None:
    """A picture in every slot, as a node hands them over; calls `ask` once, at `at_ns`."""
    clock = SystemClock()
    ring = RingWriter.create(
        run_dir.canvas("main"), kind=KIND_CANVAS, slots=8, capacity=pictures[0].nbytes, width=WIDTH_PX,
        height=HEIGHT_PX, row_stride=WIDTH_PX * 4, pixel_format=fourcc("AB30"),
    )  # fmt: skip
    t0_ns, asked = clock.now_ns() + NS_PER_S // 10, False
    for frame in range(round(seconds * RATE.hz)):
        due_ns = RATE.deadline_ns(t0_ns, frame)
        np.copyto(np.frombuffer(ring.begin(), np.uint32, pictures[0].size), pictures[frame % PICTURES].reshape(-1))
        clock.sleep_until(due_ns)
        ring.commit(pictures[0].nbytes, frame=frame, t_ns=due_ns)
        if not asked and clock.now_ns() >= at_ns:
            asked = True
            ask()
    ring.close()


def _status(run_dir: RunDir) -> StreamStatus:
    reader = RingReader.open(run_dir.sender_status, kind=KIND_STATUS)
    slot = reader.latest()
    reader.close()
    if slot is None:
        raise RuntimeError("the sender said nothing")
    return decode_sender(slot.data).streams["main"]


def _cpu_s(pid: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _capture(pipe: Connection) -> None:
    """In a process of its own: every datagram of both paths for so long, (path, octets of each packet, octets)."""
    ears = []
    for _ in range(2):
        ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        # Little room until it captures: filling memory nobody reads would cost the sender's time.
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        ear.setsockopt(socket.IPPROTO_UDP, _UDP_GRO, 1)
        ear.bind(("127.0.0.1", 0))
        ear.setblocking(False)
        ears.append(ear)
    pipe.send(tuple(ear.getsockname()[1] for ear in ears))
    seconds = pipe.recv()
    for ear in ears:
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        with contextlib.suppress(OSError):  # past the limit of the machine, where rights allow
            ear.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
    _emptied(ears, None)
    found: list[tuple[int, int, bytes]] = []
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        select.select(ears, [], [], 0.01)
        _emptied(ears, found)
    pipe.send(found)


def _emptied(ears: list[socket.socket], found: list[tuple[int, int, bytes]] | None) -> None:
    for path, ear in enumerate(ears):
        while True:
            try:
                data, told, _, _ = ear.recvmsg(65_536, 64)
            except BlockingIOError:
                break
            if found is not None:
                size = next(
                    (int.from_bytes(v[:4], sys.byteorder) for _, kind, v in told if kind == _UDP_GRO), len(data)
                )
                found.append((path, size, data))


class _Arrived:
    """Every packet that arrived on both paths, of the frames that both were listened to for from end to end."""

    def __init__(
        self, form: VideoForm, pictures: list[NDArray[np.uint32]], arrived: list[tuple[int, int, bytes]]
    ) -> None:
        self._form, self._packets = form, packet_layout(form, packing=chosen_packing(form, "auto")).packets
        found: list[tuple[int, int, bytes]] = []
        for path, size, data in arrived:
            for at in range(0, len(data), size):
                packet = data[at : at + size]
                number = int.from_bytes(packet[12:14], "big") << 16 | int.from_bytes(packet[2:4], "big")
                found.append((path, number // self._packets, packet))
        spans = [[frame for path, frame, _ in found if path == wanted] for wanted in (0, 1)]
        self._first, last = max(min(s) for s in spans) + 1, min(max(s) for s in spans) - 1
        self._count = last - self._first + 1
        self._found = [one for one in found if self._first <= one[1] <= last]
        self._wanted = []
        for picture in pictures:
            out = np.empty(form.octets, np.uint8)
            octets_of(picture, form, out)
            self._wanted.append(out)

    def merged(self, kept: Callable[[int, float], bool]) -> dict[str, int]:
        """What a receiver makes of the packets that are kept: (path, share of the frames passed) -> whether."""
        receiver = Receiver(self._form, self._packets)
        whole: list[Picture] = []
        for path, frame, packet in self._found:
            if kept(path, (frame - self._first) / self._count):
                whole += receiver.take((packet,))
        wanted = self._wanted
        exact = sum(bool((p.octets == wanted[min(p.sequences) // self._packets % PICTURES]).all()) for p in whole)
        return {"frames": self._count, "exact": exact, "lost": self._count - len(whole)}


def _spread(found: Any) -> dict[str, float]:
    return {name: round(value, 3) for name, value in msgspec.structs.asdict(found).items()}
