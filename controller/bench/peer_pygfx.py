"""The benchmark's scene in pygfx: wgpu on Vulkan (lavapipe without a GPU)."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.bench import reference
from controller.bench.browser import PeerMissingError


class Pygfx:
    """See `controller.bench.worker.Peer`. No post-processing anti-aliasing, one pixel a pixel, linear light out."""

    def __init__(self, width_px: int, height_px: int, views: int) -> None:
        try:
            import pygfx as gfx
            import wgpu
        except ImportError as error:
            raise PeerMissingError(f"{error} -> run scripts/peers") from error
        try:
            adapter = wgpu.gpu.request_adapter_sync(power_preference="high-performance")
        except RuntimeError as error:
            raise PeerMissingError(
                f"wgpu found no Vulkan driver ({error}) -> apt-get install mesa-vulkan-drivers"
            ) from error
        warnings.filterwarnings("ignore")
        self.size = (width_px, height_px)
        self._texture = gfx.Texture(
            dim=2, size=(width_px, height_px, 1), format="rgba8unorm",
            usage=wgpu.TextureUsage.COPY_SRC,
        )  # fmt: skip
        self._renderer = gfx.renderers.WgpuRenderer(
            self._texture, pixel_ratio=1, pixel_scale=1, ppaa="none", enable_events=False
        )
        self._scene = gfx.Scene()
        self._scene.add(gfx.Background(None, gfx.BackgroundMaterial((0, 0, 0))))
        for body in reference.bodies():
            geometry = gfx.Geometry(
                positions=body.positions, normals=body.normals, indices=body.indices.reshape(-1, 3).astype(np.uint32)
            )
            material = gfx.MeshStandardMaterial(
                color=gfx.Color.from_physical(*body.colour), metalness=body.metallic, roughness=body.roughness,
                side="front",
            )  # fmt: skip
            self._scene.add(gfx.Mesh(geometry, material))
        sun = gfx.DirectionalLight("#fff", reference.SUN_ILLUMINANCE)
        sun.local.position = reference.to_sun() * 100.0
        self._scene.add(sun)
        self._scene.add(gfx.AmbientLight("#fff", reference.AMBIENT * np.pi))
        # Its field of view is that of the mean of width and height.
        aspect = width_px / height_px
        fov_deg = 2.0 * np.degrees(np.arctan(np.tan(np.radians(reference.FOV_DEG) / 2.0) * (1.0 + aspect) / 2.0))
        self._camera = gfx.PerspectiveCamera(fov_deg, aspect, depth_range=(reference.NEAR_M, reference.FAR_M))
        self._poses = [reference.gl_pose(pose) for pose in reference.cameras(views)]
        info = adapter.info
        self._about = {
            "version": f"pygfx {gfx.__version__}, wgpu {wgpu.__version__}",
            "renderer": f"{info.get('device', '')} {info.get('description', '')}".strip(),
        }

    def draw(self, view: int) -> NDArray[np.uint8]:
        """See `Peer`."""
        self._camera.local.matrix = self._poses[view]
        self._renderer.render(self._scene, self._camera)
        texture = self._texture._wgpu_object
        width, height = self.size
        raw = self._renderer.device.queue.read_texture(
            {"texture": texture, "mip_level": 0, "origin": (0, 0, 0)},
            {"offset": 0, "bytes_per_row": 4 * width, "rows_per_image": height},
            (width, height, 1),
        )
        return np.frombuffer(raw, np.uint8).reshape(height, width, 4)

    def describe(self) -> dict[str, Any]:
        """See `Peer`."""
        return dict(self._about)
