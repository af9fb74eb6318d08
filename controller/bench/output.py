"""`openvolume bench output`: 4096 x 2160 canvases of 10 bits through a ring to a reader, against copying them alone.

A writer publishes as a node does (one copy into the ring's slot), a reader in a process of its own takes every newest
picture out (one copy), in Python and in C (the header of docs/examples/ring). The yardstick is the same copy between
two buffers of one process, in the same rounds. Then at 60 pictures a second: how many came, and how long after the
writer began.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from runtime.ring import KIND_CANVAS, ROOT, RingReader, RingWriter, fourcc

WIDTH, HEIGHT = 4096, 2160
RATE: Final = 60
BAR_FPS: Final = 60
POLL_S: Final = 0.0002
_HEADER: Final = Path(__file__).parents[2] / "docs/examples/ring"
_READER: Final = r"""
#include "openvolume_ring.h"
#include <stdlib.h>
#include <time.h>
static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
int main(int argc, char **argv) {
    const char *why = "give a ring and seconds";
    ov_ring ring;
    if (argc != 3 || ov_open(&ring, argv[1], &why) < 0) { fprintf(stderr, "%s\n", why); return 2; }
    unsigned char *copy = malloc(ring.stride);
    memset(copy, 0, ring.stride);
    uint64_t last = 0, torn = 0;
    ov_message message;
    puts("");
    fflush(stdout);
    printf("[0");
    for (uint64_t end = now() + (uint64_t)(atof(argv[2]) * 1e9); now() < end;) {
        if (ov_latest(&ring, &message) && message.n != last) {
            last = message.n;
            memcpy(copy, message.data, message.length);
            if (ov_intact(&message)) printf(",[%llu,%llu]", (unsigned long long)message.frame,
                                            (unsigned long long)(now() - message.t_ns));
            else torn++;
        } else nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
    }
    printf(",%llu]\n", (unsigned long long)torn);
    return 0;
}
"""


def read(path: Path, seconds_s: float) -> None:
    """The reader's process: every newest picture copied out; prints [0, [frame, delay_ns], ..., torn]."""
    reader = RingReader.open(path, kind=KIND_CANVAS)
    copy = np.empty(reader.shape.row_stride * reader.shape.height, dtype=np.uint8)
    copy[:] = 0  # its pages are there
    found: list[Any] = [0]
    last = torn = 0
    sys.stdout.write("\n")
    sys.stdout.flush()
    end_ns = time.monotonic_ns() + round(seconds_s * 1e9)
    while time.monotonic_ns() < end_ns:
        view = reader.peek() if reader.latest_n != last else None
        if view is None:
            time.sleep(POLL_S)
            continue
        last = view.n
        np.copyto(copy, np.frombuffer(view.data, dtype=np.uint8))
        if view.intact():
            found.append((view.frame, time.monotonic_ns() - view.t_ns))
        else:
            torn += 1
    sys.stdout.write(json.dumps([*found, torn]) + "\n")


class _Bench:
    """A ring in shared memory, and readers of it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "canvas-bench.ring"
        size = WIDTH * HEIGHT * 4
        self.ring = RingWriter.create(
            self.path, kind=KIND_CANVAS, slots=8, capacity=size, width=WIDTH, height=HEIGHT, row_stride=WIDTH * 4,
            pixel_format=fourcc("AB30"),
        )  # fmt: skip
        random = np.random.default_rng(1)
        self.picture = random.integers(0, 1 << 32, WIDTH * HEIGHT, dtype=np.uint32).view(np.uint8)
        self.other = np.zeros(size, dtype=np.uint8)
        self.frame = 0
        for _ in range(8):
            self.publish()  # every page of the ring is there

    def publish(self) -> None:
        """One picture, as a node hands it over."""
        self.frame += 1
        t_ns = time.monotonic_ns()
        slot = np.frombuffer(self.ring.begin(), dtype=np.uint8, count=self.picture.nbytes)
        np.copyto(slot, self.picture)
        self.ring.commit(self.picture.nbytes, frame=self.frame, t_ns=t_ns)

    def copies_per_s(self, seconds_s: float) -> float:
        """The copy alone."""
        return _rate(lambda: np.copyto(self.other, self.picture), seconds_s)

    def publishes_per_s(self, seconds_s: float) -> float:
        """The writer alone."""
        return _rate(self.publish, seconds_s)

    def through(self, command: list[str], seconds_s: float, *, rate: int | None) -> dict[str, float]:
        """Pictures a second that a reader has taken whole, and how long after the writer began, ms."""
        reader = subprocess.Popen([*command, str(self.path), str(seconds_s)], stdout=subprocess.PIPE, text=True)
        assert reader.stdout is not None
        reader.stdout.readline()  # it is there: now the writer begins
        first, begin_ns = self.frame + 1, time.monotonic_ns()
        end_ns = begin_ns + round(seconds_s * 1e9)
        while time.monotonic_ns() < end_ns:
            if rate is not None:
                due_ns = begin_ns + (self.frame + 1 - first) * 1_000_000_000 // rate
                time.sleep(max(0.0, (due_ns - time.monotonic_ns()) / 1e9))
            self.publish()
        took_s = (time.monotonic_ns() - begin_ns) / 1e9
        told, _ = reader.communicate(timeout=30.0)
        found = json.loads(told)
        taken = [(frame, delay_ns / 1e6) for frame, delay_ns in found[1:-1] if frame >= first]
        delays_ms = sorted(delay for _, delay in taken) or [0.0]
        return {
            "fps": len(taken) / took_s,
            "written_fps": (self.frame + 1 - first) / took_s,
            "torn": found[-1],
            "delay_p50_ms": statistics.median(delays_ms),
            "delay_p99_ms": delays_ms[min(len(delays_ms) - 1, int(len(delays_ms) * 0.99))],
        }


def run(rounds: int = 7, seconds_s: float = 1.0, paced_s: float = 3.0) -> dict[str, Any]:
    """Measure `rounds` rounds, each thing `seconds_s` long in each; and `paced_s` at 60 pictures a second.

    Returns
    -------
    dict : `fps` medians: the copy alone, the writer alone, readers while the writer writes as fast as it can; `ratio`
        of each to the copy alone of its round; `at_60`: pictures at 60 a second that readers took whole, and their
        delay, copies of both sides included; `missing` what could not be measured.
    """
    # Programs may not be started from shared memory everywhere.
    with (
        tempfile.TemporaryDirectory(prefix="openvolume-bench-", dir=ROOT) as folder,
        tempfile.TemporaryDirectory() as place,
    ):
        bench = _Bench(Path(folder))
        readers = {"python_reader": [sys.executable, "-P", "-m", "controller.bench.output"]}
        missing: dict[str, str] = {}
        compiled = _compiled(Path(place))
        if isinstance(compiled, Path):
            readers["c_reader"] = [str(compiled)]
        else:
            missing["c_reader"] = compiled
        fps: dict[str, list[float]] = {name: [] for name in ("copy", "writer", *readers)}
        for number in range(-1, rounds):
            turn = {"copy": bench.copies_per_s(seconds_s), "writer": bench.publishes_per_s(seconds_s)}
            for name, command in readers.items():
                turn[name] = bench.through(command, seconds_s, rate=None)["fps"]
            if number >= 0:  # the round before the first warms up
                for name, value in turn.items():
                    fps[name].append(value)
        paced = {name: bench.through(command, paced_s, rate=RATE) for name, command in readers.items()}
        bench.ring.close()
    return {
        "benchmark": "output",
        "picture": f"{WIDTH} x {HEIGHT} AB30",
        "megabytes": WIDTH * HEIGHT * 4 / 1e6,
        "cpus": len(os.sched_getaffinity(0)),
        "rounds": rounds,
        "fps": {name: round(statistics.median(values), 1) for name, values in fps.items()},
        "ratio": {
            name: round(statistics.median(a / b for a, b in zip(values, fps["copy"], strict=True)), 3)
            for name, values in fps.items()
            if name != "copy"
        },
        "at_60": {name: {key: round(value, 2) for key, value in told.items()} for name, told in paced.items()},
        "bar_fps": BAR_FPS,
        "missing": missing,
    }


def _rate(call: Any, seconds_s: float) -> float:
    count, begin_s = 0, time.perf_counter()
    while time.perf_counter() - begin_s < seconds_s:
        call()
        count += 1
    return count / (time.perf_counter() - begin_s)


def _compiled(place: Path) -> Path | str:
    """The reader in C, made in a folder, or why there is none."""
    compiler = shutil.which("cc")
    if compiler is None:
        return "no C compiler"
    if not (_HEADER / "openvolume_ring.h").is_file():
        return "docs/examples/ring is not here: measure from a checkout"
    source = place / "reader.c"
    source.write_text(_READER)
    try:
        made = place / "reader"
        subprocess.run([compiler, "-O2", "-I", str(_HEADER), "-o", str(made), str(source)], check=True)
    except subprocess.CalledProcessError:
        return "the compiler failed"
    return made


if __name__ == "__main__":
    read(Path(sys.argv[1]), float(sys.argv[2]))
