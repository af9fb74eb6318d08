"""Peers measured in pairs: a process each, turns every few views within a round, so that a slow stretch of the machine
meets all of them; a ratio is the median over rounds of one's time through the other's."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from controller.bench.browser import PeerMissingError

FRAMES = 40
"""Views a peer draws in a round."""
TURN = 5
"""Views before it is the other's turn."""


class Worker:
    """One peer's process (`controller.bench.worker`)."""

    def __init__(self, name: str, size_px: tuple[int, int], *, environment: dict[str, str] | None = None) -> None:
        """Start it and wait until it has drawn every view once.

        Raises
        ------
        PeerMissingError : the machine lacks what the peer needs; the text says what and how to get it.
        RuntimeError : it ended.
        """
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "controller.bench.worker", name, str(size_px[0]), str(size_px[1])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), **(environment or {})},
        )
        self.about = self._answer()
        if "missing" in self.about:
            self.close()
            raise PeerMissingError(self.about["missing"])

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the benchmark's {self.name} process ended with code {self.process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, line: str) -> dict[str, Any]:
        """Send one line, wait for its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self._answer()

    def times_ms(self, first: int, count: int) -> list[float]:
        """Draw views; what each took."""
        times: list[float] = self.ask(f"{count} {first}")["ms"]
        return times

    def picture(self, folder: Path) -> NDArray[np.uint8]:
        """The first view's picture, [height, width, 4] RGBA."""
        file = folder / f"{self.name}.npy"
        self.ask(f"picture {file}")
        out: NDArray[np.uint8] = np.load(file)
        return out

    def close(self) -> None:
        """End it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def measure(workers: Sequence[Worker], rounds: int, *, frames: int = FRAMES) -> dict[str, list[list[float]]]:
    """Times of every view by peer and round."""
    out: dict[str, list[list[float]]] = {worker.name: [] for worker in workers}
    for _ in range(rounds):
        for times in out.values():
            times.append([])
        for turn in range(frames // TURN):
            for worker in workers if turn % 2 == 0 else reversed(workers):
                out[worker.name][-1] += worker.times_ms(turn * TURN, TURN)
    return out


def told(times: Sequence[Sequence[float]]) -> dict[str, Any]:
    """A peer's figures: the median over rounds, the least, every round's median."""
    medians = [statistics.median(entry) for entry in times]
    return {
        "median": round(statistics.median(medians), 3),
        "min": round(min(min(entry) for entry in times), 3),
        "rounds": [round(v, 3) for v in medians],
    }


def ratios(ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]]) -> list[float]:
    """Our median through theirs, round by round."""
    return [round(statistics.median(a) / statistics.median(b), 4) for a, b in zip(ours, theirs, strict=True)]
