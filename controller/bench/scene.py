"""`openvolume bench scene`: our scene pass against Panda3D, same scene, shading, light, size and read-back.

Each peer is a process of its own. Within a round they take turns every few views, so that a slow stretch of the
machine meets both; the ratio is the median over rounds of our time through theirs.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

FRAMES = 40
"""Views a peer draws in a round."""
TURN = 5
"""Views before it is the other's turn."""
PEERS = ("openvolume", "panda3d")


class _Worker:
    """One peer's process."""

    def __init__(self, name: str, size: tuple[int, int]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "controller.bench.worker", name, str(size[0]), str(size[1])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )
        self.about = self._answer(name)

    def _answer(self, name: str) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the benchmark's {name} process ended with code {self.process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, line: str) -> dict[str, Any]:
        """Send one line, wait for its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self._answer("worker")

    def end(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def run(rounds: int = 7, size: tuple[int, int] = (960, 540)) -> dict[str, Any]:
    """Measure `rounds` paired rounds of 40 views each at `size`.

    Returns
    -------
    dict : `ms` per peer (median, min and every round's median), `ratio` (median of ours / Panda3D's per round),
        `ratios`, `picture_difference` (mean and largest difference of the two pictures in codes of 255).

    Raises
    ------
    RuntimeError : a peer could not run (Panda3D is part of the `[test]` extra).
    """
    workers: dict[str, _Worker] = {}
    medians: dict[str, list[float]] = {name: [] for name in PEERS}
    least: dict[str, float] = {name: float("inf") for name in PEERS}
    try:
        for name in PEERS:
            workers[name] = _Worker(name, size)
        difference = _difference(workers)
        for _ in range(rounds):
            times: dict[str, list[float]] = {name: [] for name in PEERS}
            for turn in range(FRAMES // TURN):
                for name in PEERS if turn % 2 == 0 else reversed(PEERS):
                    times[name] += workers[name].ask(f"{TURN} {turn * TURN}")["ms"]
            for name in PEERS:
                medians[name].append(statistics.median(times[name]))
                least[name] = min(least[name], *times[name])
        about = {name: worker.about for name, worker in workers.items()}
    finally:
        for worker in workers.values():
            worker.end()
    ratios = [ours / theirs for ours, theirs in zip(medians["openvolume"], medians["panda3d"], strict=True)]
    return {
        "benchmark": "scene",
        "size_px": list(size),
        "rounds": rounds,
        "views_per_round": FRAMES,
        "peers": about,
        "ms": {
            name: {
                "median": round(statistics.median(medians[name]), 3),
                "min": round(least[name], 3),
                "rounds": [round(v, 3) for v in medians[name]],
            }
            for name in PEERS
        },
        "ratio": round(statistics.median(ratios), 4),
        "ratios": [round(r, 4) for r in ratios],
        "picture_difference": difference,
    }


def _difference(workers: dict[str, _Worker]) -> dict[str, float]:
    """How far the peers' pictures of the first view are apart: proof that both drew the same."""
    import numpy as np

    with tempfile.TemporaryDirectory(prefix="openvolume-bench-") as folder:
        pictures = []
        for name, worker in workers.items():
            file = Path(folder) / f"{name}.npy"
            worker.ask(f"picture {file}")
            pictures.append(np.load(file)[..., :3].astype(np.int64))
    apart = np.abs(pictures[0] - pictures[1])
    return {"mean": round(float(apart.mean()), 5), "max": float(apart.max())}
