"""`openvolume bench scene --peers`: the reference scene in OpenVolume and in what else one would reach for.

Same meshes, materials, one directional light and an ambient one, no shadow, no anti-aliasing, linear light into 8 bits
a channel without a tone curve, read back; the same number of raster threads for all (LP_NUM_THREADS).
"""

from __future__ import annotations

import os
import statistics
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from controller.bench.browser import PeerMissingError
from controller.bench.paired import FRAMES, Worker, measure, ratios, told

SIZES: Final = ((960, 540), (1920, 1080))
BARS: Final = {"threejs": (0.8, 1.1), "pygfx": (0.55, 0.55), "simplepbr": (0.55, 0.55)}
"""The most our time may be of theirs, at each of the sizes."""


def run_peers(
    rounds: int = 7, *, folder: Path | None = None, sizes: tuple[tuple[int, int], ...] = SIZES
) -> dict[str, Any]:
    """Measure every peer that is there; those that are not are named with how to get them.

    `folder` receives every peer's picture of the first view as `NAME-HEIGHT.png`, display-encoded.

    Returns
    -------
    dict : by size `ms` per peer, `ratios` (median of our time through theirs, with each round's), `pictures` (how far
        their picture lies from ours); `missing`.
    """
    environment = {"LP_NUM_THREADS": os.environ.get("LP_NUM_THREADS") or str(min(16, os.cpu_count() or 1))}
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    missing: dict[str, str] = {}
    out: dict[str, Any] = {"benchmark": "scene --peers", "rounds": rounds, "views_per_round": FRAMES}
    for i, size in enumerate(sizes):
        workers: list[Worker] = []
        try:
            for name in ("openvolume", *BARS):
                if name in missing:
                    continue
                try:
                    workers.append(Worker(name, size, environment=environment))
                except PeerMissingError as error:
                    missing[name] = str(error)
            pictures = _pictures(workers, folder, size)
            times = measure(workers, rounds)
        finally:
            for worker in workers:
                worker.close()
        each = {name: ratios(times["openvolume"], entry) for name, entry in times.items() if name != "openvolume"}
        out["peers"] = {worker.name: worker.about for worker in workers}
        out[f"{size[0]}x{size[1]}"] = {
            "ms": {name: told(entry) for name, entry in times.items()},
            "ratios": {
                name: {
                    "median": round(statistics.median(entry), 4),
                    "bar": BARS[name][i % 2],
                    "kept": statistics.median(entry) <= BARS[name][i % 2],
                    "rounds": entry,
                }
                for name, entry in each.items()
            },
            "pictures": pictures,
        }
    if missing:
        out["missing"] = missing
    return out


def _pictures(workers: list[Worker], folder: Path | None, size: tuple[int, int]) -> dict[str, Any]:
    """How far each peer's picture is from ours: mean over all channels in display codes, and the share of pixels in
    which one of the two shows a body and the other does not."""
    from renderer.scene import WORKING_FROM_REC709

    with tempfile.TemporaryDirectory(prefix="openvolume-bench-") as scratch:
        raw = {worker.name: worker.picture(Path(scratch)) for worker in workers}
    # Ours is in the working space; the others are in Rec.709.
    linear = {name: picture[..., :3] / 255.0 for name, picture in raw.items()}
    linear["openvolume"] = np.clip(linear["openvolume"] @ np.linalg.inv(WORKING_FROM_REC709).T, 0.0, 1.0)
    shown = {name: np.round(_encoded(light) * 255.0) for name, light in linear.items()}
    if folder is not None:
        from PIL import Image

        for name, picture in shown.items():
            Image.fromarray(picture.astype(np.uint8)).save(folder / f"{name}-{size[1]}.png")
    ours = shown["openvolume"]
    body = ours.max(axis=-1) > 0
    return {
        name: {
            "mean_codes": round(float(np.abs(picture - ours).mean()), 3),
            "outline_differs": round(float(np.mean((picture.max(axis=-1) > 0) != body)), 6),
        }
        for name, picture in shown.items()
        if name != "openvolume"
    }


def _encoded(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """sRGB's curve."""
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055)
