"""One peer of a benchmark in a process of its own: draws the reference scene when asked, says how long it took.

`python -m controller.bench.worker NAME WIDTH HEIGHT`, NAME openvolume, panda3d, threejs, pygfx or simplepbr; a line on
stdin is `VIEWS FIRST`, `picture FILE` or nothing to end; the answer is one JSON line.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from controller.bench import reference
from controller.bench.browser import PeerMissingError
from controller.bench.peer_simplepbr import geometry

VIEWS = 20


class Peer(Protocol):
    """A renderer that draws one of the benchmark's views and reads it back."""

    def draw(self, view: int) -> NDArray[np.uint8]:
        """Draw view `view`; its picture, [height, width, 4] RGBA, row 0 top, is on the CPU when it returns."""

    def describe(self) -> dict[str, Any]:
        """What it runs on."""


class OpenVolume:
    """Our own scene pass."""

    def __init__(self, width_px: int, height_px: int) -> None:
        from renderer.config import SceneConfig
        from renderer.device import Device
        from renderer.passes.scene import ScenePass
        from renderer.scene import Scene
        from stage.frames import stage_from_gl

        self.device = Device.create()
        ctx = self.device.ctx
        config = SceneConfig.model_validate(
            {
                "sun": {
                    "pan_deg": reference.SUN_PAN_DEG,
                    "elevation_deg": reference.SUN_ELEVATION_DEG,
                    "illuminance": reference.SUN_ILLUMINANCE,
                    "shadow": False,
                },
                "ambient": (reference.AMBIENT,) * 3,
            }
        )
        self.scene = Scene.from_assets(self.device, config, [reference.asset()])
        self.scene_pass = ScenePass(self.device)
        self.target = ctx.framebuffer(
            [ctx.texture((width_px, height_px), 4)], ctx.depth_renderbuffer((width_px, height_px))
        )
        self.clip = reference.clip_from_view(width_px / height_px)
        self.views = [np.linalg.inv(stage_from_gl(pose)) for pose in reference.cameras(VIEWS)]
        self.buffer = np.empty((height_px, width_px, 4), dtype=np.uint8)

    def draw(self, view: int) -> NDArray[np.uint8]:
        """See `Peer`."""
        self.scene_pass.draw(
            self.scene,
            view_from_stage=self.views[view],
            clip_from_view=self.clip,
            stage_from_scene=np.eye(4),
            target=self.target,
        )
        self.device.read_into(self.target, self.buffer)
        return self.buffer[::-1]

    def describe(self) -> dict[str, Any]:
        """See `Peer`."""
        return {"renderer": self.device.capabilities.renderer, "triangles": self.scene.triangles}


class Panda3D:
    """Panda3D through headless EGL, with the same shading (our own `lit.glsl`), light, meshes and read-back."""

    VERTEX = """#version 330
uniform mat4 p3d_ModelViewProjectionMatrix;
uniform mat4 p3d_ModelMatrix;
uniform vec3 eye;
in vec4 p3d_Vertex;
in vec3 p3d_Normal;
out vec3 v_relative;
out vec3 v_normal;
void main() {
    gl_Position = p3d_ModelViewProjectionMatrix * p3d_Vertex;
    v_relative = (p3d_ModelMatrix * p3d_Vertex).xyz - eye;
    v_normal = mat3(p3d_ModelMatrix) * p3d_Normal;
}
"""
    FRAGMENT = """#version 330
#define SUN 1
#define DIELECTRIC //DIELECTRIC
const float PI = 3.14159265358979;
uniform vec4 sh[1];
uniform vec4 sun_direction;
uniform vec4 sun_light;
uniform vec4 base;
uniform vec4 factors;
in vec3 v_relative;
in vec3 v_normal;
out vec4 colour;
//LIT
void main() {
    vec3 v = -v_relative / length(v_relative);
    vec3 n = normalize(v_normal);
    vec3 bend = max(abs(dFdx(n)), abs(dFdy(n)));
    float roughness = clamp(max(factors.y, 0.0525) + max(max(bend.x, bend.y), bend.z), 0.0525, 1.0);
    colour = vec4(lit(surface(base.rgb, factors.x, roughness, 1.0, n, v)), 1.0);
}
"""

    def __init__(self, width_px: int, height_px: int) -> None:
        try:
            from panda3d import core
        except ImportError as error:
            raise PeerMissingError(f"{error} -> run scripts/peers") from error
        from renderer.scene import WORKING_FROM_REC709
        from renderer.shaders import source

        core.load_prc_file_data(
            "",
            "load-display p3headlessgl\nwindow-type offscreen\naudio-library-name null\nsync-video 0\n"
            "gl-version 3 3\ntextures-power-2 none\nnotify-level-display error\n",
        )
        self.core = core
        self.engine = core.GraphicsEngine.get_global_ptr()
        pipe = core.GraphicsPipeSelection.get_global_ptr().make_default_pipe()
        wanted = core.FrameBufferProperties()
        wanted.set_rgba_bits(8, 8, 8, 8)
        wanted.set_depth_bits(24)
        self.output = self.engine.make_output(
            pipe, "bench", 0, wanted, core.WindowProperties.size(width_px, height_px),
            core.GraphicsPipe.BF_refuse_window,
        )  # fmt: skip
        if self.output is None:
            raise RuntimeError("Panda3D could not open a headless picture (p3headlessgl)")
        self.texture = core.Texture("picture")
        self.output.add_render_texture(self.texture, core.GraphicsOutput.RTM_copy_ram, core.GraphicsOutput.RTP_color)
        self.output.set_clear_color((0, 0, 0, 1))
        root = core.NodePath("root")
        lens = core.PerspectiveLens()
        lens.set_aspect_ratio(width_px / height_px)
        lens.set_min_fov(reference.FOV_DEG)
        lens.set_near_far(reference.NEAR_M, reference.FAR_M)
        self.camera = root.attach_new_node(core.Camera("camera", lens))
        self.output.make_display_region().set_camera(self.camera)
        fragment = self.FRAGMENT.replace("//LIT", source("scene/lit.glsl"))
        # As ours: surfaces that are no metal have a program of their own.
        shaders = [
            core.Shader.make(core.Shader.SL_GLSL, self.VERTEX, fragment.replace("//DIELECTRIC", str(dielectric)))
            for dielectric in (0, 1)
        ]
        light = WORKING_FROM_REC709 @ np.ones(3) * (reference.SUN_ILLUMINANCE / np.pi)
        ambient = WORKING_FROM_REC709 @ np.full(3, reference.AMBIENT)
        root.set_shader_input("sun_direction", core.LVecBase4(*reference.to_sun(), 0.0))
        root.set_shader_input("sun_light", core.LVecBase4(*light, 0.0))
        root.set_shader_input("sh", core.PTA_LVecBase4f([core.LVecBase4f(*ambient, 0.0)]))
        for body in reference.bodies():
            node = root.attach_new_node(geometry(core, body))
            node.set_shader(shaders[body.metallic == 0.0])
            node.set_shader_input("base", core.LVecBase4(*(WORKING_FROM_REC709 @ np.array(body.colour)), 1.0))
            node.set_shader_input("factors", core.LVecBase4(body.metallic, body.roughness, 0.0, 0.0))
        self.root = root
        self.poses = reference.cameras(VIEWS)
        self.size = (width_px, height_px)

    def draw(self, view: int) -> NDArray[np.uint8]:
        """See `Peer`."""
        pose = self.poses[view]
        self.camera.set_mat(self.core.LMatrix4(*pose.T.reshape(16)))
        self.root.set_shader_input("eye", self.core.LVecBase3(*pose[:3, 3]))
        self.engine.render_frame()
        raw = np.frombuffer(self.texture.get_ram_image(), np.uint8)
        return raw.reshape(self.size[1], self.size[0], -1)[::-1][..., [2, 1, 0, 3]]

    def describe(self) -> dict[str, Any]:
        """See `Peer`."""
        gsg = self.output.get_gsg()
        return {"renderer": gsg.get_driver_renderer(), "version": self.core.PandaSystem.get_version_string()}


def peer(name: str, size_px: tuple[int, int]) -> Peer:
    """The renderer of that name, its scene loaded.

    Raises
    ------
    PeerMissingError : what it needs is not on this machine.
    """
    if name == "openvolume":
        return OpenVolume(*size_px)
    if name == "panda3d":
        return Panda3D(*size_px)
    if name == "threejs":
        from controller.bench.peer_three import ThreeJs

        return ThreeJs(*size_px, VIEWS)
    if name == "pygfx":
        from controller.bench.peer_pygfx import Pygfx

        return Pygfx(*size_px, VIEWS)
    if name == "simplepbr":
        from controller.bench.peer_simplepbr import SimplePbr

        return SimplePbr(*size_px, VIEWS)
    raise ValueError(f"there is no peer {name!r}")


def raster_threads(processes: list[int]) -> int:
    """Raster threads of the software drivers (llvmpipe, lavapipe) in these processes; 0 where a GPU draws. A driver
    opened twice in one process has its threads twice, by the same names, but one of the two rests."""
    names: set[str] = set()
    for pid in processes:
        for file in Path(f"/proc/{pid}/task").glob("*/comm"):
            with contextlib.suppress(OSError):
                names.add(file.read_text().strip())
    return sum(name.startswith("llvmpipe-") for name in names)


def main() -> None:
    """Serve until stdin ends."""
    name, width, height = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    # What libraries print must not come between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(answer: dict[str, Any]) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    try:
        drawn = peer(name, (width, height))
    except PeerMissingError as error:
        say({"missing": str(error)})
        return
    try:
        for view in range(VIEWS):
            drawn.draw(view)
        processes: list[int] = drawn.processes() if hasattr(drawn, "processes") else [os.getpid()]
        say({**drawn.describe(), "raster_threads": raster_threads(processes)})
        for line in sys.stdin:
            word, _, rest = line.strip().partition(" ")
            if word == "picture":
                np.save(rest, np.ascontiguousarray(drawn.draw(0)))
                say({})
            else:
                say({"ms": times_ms(drawn, int(rest), int(word))})
    finally:
        if hasattr(drawn, "close"):
            drawn.close()


def times_ms(drawn: Peer, first: int, count: int) -> list[float]:
    """What each of `count` views from `first` on takes, read-back included."""
    if hasattr(drawn, "times_ms"):
        own: list[float] = drawn.times_ms(first, count)
        return own
    times: list[float] = []
    for view in range(first, first + count):
        begin = time.perf_counter()
        drawn.draw(view % VIEWS)
        times.append((time.perf_counter() - begin) * 1000.0)
    return times


if __name__ == "__main__":
    main()
