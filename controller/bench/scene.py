"""`openvolume bench scene`: our scene pass against Panda3D, same shading; with `--peers` against other renderers."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from controller.bench.paired import FRAMES, Worker, measure, ratios, told

PEERS = ("openvolume", "panda3d")


def run(
    rounds: int = 7,
    size: tuple[int, int] = (960, 540),
    peers: bool = False,
    growth: bool = False,
    pictures: Path | None = None,
) -> dict[str, Any]:
    """Measure `rounds` paired rounds of 40 views each at `size`.

    With `peers`: three.js, pygfx and Panda3D + simplepbr at two sizes instead (`controller.bench.scene_peers`);
    `pictures` is a folder for their pictures. With `growth`: our own cost over triangles, views, wall pixels and lights
    (`controller.bench.scene_growth`), plotted into that folder.

    Returns
    -------
    dict : `ms` per peer (median, min and every round's median), `ratio` (median of ours / Panda3D's per round),
        `ratios`, `picture_difference` (mean and largest difference of the two pictures in codes of 255).

    Raises
    ------
    PeerMissingError : Panda3D is not there (it is part of the `[test]` extra).
    RuntimeError : a peer could not run.
    """
    if peers:
        from controller.bench.scene_peers import run_peers

        return run_peers(rounds, folder=pictures)
    if growth:
        from controller.bench.scene_growth import run_growth

        return run_growth(folder=pictures, rounds=rounds)
    workers: list[Worker] = []
    try:
        for name in PEERS:
            worker = Worker(name, size)
            workers.append(worker)
        difference = _difference(workers)
        times = measure(workers, rounds)
    finally:
        for worker in workers:
            worker.close()
    each = ratios(times["openvolume"], times["panda3d"])
    return {
        "benchmark": "scene",
        "size_px": list(size),
        "rounds": rounds,
        "views_per_round": FRAMES,
        "peers": {worker.name: worker.about for worker in workers},
        "ms": {name: told(entry) for name, entry in times.items()},
        "ratio": round(statistics.median(each), 4),
        "ratios": each,
        "picture_difference": difference,
    }


def _difference(workers: list[Worker]) -> dict[str, float]:
    """How far the peers' pictures of the first view are apart: proof that both drew the same."""
    with tempfile.TemporaryDirectory(prefix="openvolume-bench-") as folder:
        pictures = [worker.picture(Path(folder))[..., :3].astype(np.int64) for worker in workers]
    apart = np.abs(pictures[0] - pictures[1])
    return {"mean": round(float(apart.mean()), 5), "max": float(apart.max())}
