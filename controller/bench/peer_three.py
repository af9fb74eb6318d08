"""The benchmark's scene in three.js, in a headless Chromium on ANGLE over the system's EGL."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.bench import reference
from controller.bench.browser import Browser


class ThreeJs:
    """See `controller.bench.worker.Peer`; the browser takes the times itself, so that its pipe does not count."""

    def __init__(self, width_px: int, height_px: int, views: int) -> None:
        self.size = (width_px, height_px)
        self._folder = tempfile.TemporaryDirectory(prefix="openvolume-three-")
        folder = Path(self._folder.name)
        self._browser = Browser("scene.js", folders={"data": folder})
        bodies = []
        for i, body in enumerate(reference.bodies()):
            # three.js itself picks 16-bit indices where they suffice.
            wide = len(body.positions) > 65535
            for name, data in (
                ("positions", body.positions),
                ("normals", body.normals),
                ("indices", body.indices.astype(np.uint32 if wide else np.uint16)),
            ):
                (folder / f"{i}.{name}").write_bytes(np.ascontiguousarray(data).tobytes())
            bodies.append(
                {
                    **{name: f"/data/{i}.{name}" for name in ("positions", "normals", "indices")},
                    "wide": wide,
                    "colour": list(body.colour),
                    "metallic": body.metallic,
                    "roughness": body.roughness,
                }
            )
        self._about = self._browser.ask(
            "open",
            {
                "width": width_px,
                "height": height_px,
                "bodies": bodies,
                "poses": [reference.gl_pose(pose).reshape(16).tolist() for pose in reference.cameras(views)],
                "to_sun": reference.to_sun().tolist(),
                "sun": reference.SUN_ILLUMINANCE,
                "ambient": reference.AMBIENT,
                "fov_deg": reference.FOV_DEG,
                "near_m": reference.NEAR_M,
                "far_m": reference.FAR_M,
            },
        )

    def times_ms(self, first: int, count: int) -> list[float]:
        """Draw `count` views from `first` on, each read back; what each took, by the page's clock."""
        times: list[float] = self._browser.ask("draw", first, count)
        return times

    def draw(self, view: int) -> NDArray[np.uint8]:
        """See `Peer`."""
        raw: bytes = self._browser.ask("picture", view)
        return np.frombuffer(raw, np.uint8).reshape(self.size[1], self.size[0], 4)[::-1]

    def describe(self) -> dict[str, Any]:
        """See `Peer`."""
        return dict(self._about)

    def processes(self) -> list[int]:
        """Processes that draw for this peer."""
        return self._browser.processes()

    def close(self) -> None:
        """End the browser."""
        self._browser.close()
        self._folder.cleanup()
