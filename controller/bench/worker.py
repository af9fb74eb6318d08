"""One peer of a benchmark in a process of its own: draws the reference scene when asked, says how long it took.

`python -m controller.bench.worker openvolume|panda3d WIDTH HEIGHT`; a line on stdin is `VIEWS FIRST`, `picture FILE`
or nothing to end; the answer is one JSON line.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from controller.bench import reference

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
        from panda3d import core

        from renderer.scene import WORKING_FROM_REC709
        from renderer.shaders import source
        from stage.frames import rotation_from_pan_tilt_roll

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
        root.set_shader(core.Shader.make(core.Shader.SL_GLSL, self.VERTEX, fragment))
        turn = rotation_from_pan_tilt_roll(reference.SUN_PAN_DEG, reference.SUN_ELEVATION_DEG, 0.0)
        light = WORKING_FROM_REC709 @ np.ones(3) * (reference.SUN_ILLUMINANCE / np.pi)
        ambient = WORKING_FROM_REC709 @ np.full(3, reference.AMBIENT)
        root.set_shader_input("sun_direction", core.LVecBase4(*turn[:, 1], 0.0))
        root.set_shader_input("sun_light", core.LVecBase4(*light, 0.0))
        root.set_shader_input("sh", core.PTA_LVecBase4f([core.LVecBase4f(*ambient, 0.0)]))
        for body in reference.bodies():
            node = root.attach_new_node(self._geometry(body))
            node.set_shader_input("base", core.LVecBase4(*(WORKING_FROM_REC709 @ np.array(body.colour)), 1.0))
            node.set_shader_input("factors", core.LVecBase4(body.metallic, body.roughness, 0.0, 0.0))
        self.root = root
        self.poses = reference.cameras(VIEWS)
        self.size = (width_px, height_px)

    def _geometry(self, body: reference.Body) -> Any:
        core = self.core
        data = core.GeomVertexData("body", core.GeomVertexFormat.get_v3n3(), core.Geom.UH_static)
        data.unclean_set_num_rows(len(body.positions))
        packed = np.concatenate([body.positions, body.normals], axis=1, dtype=np.float32)
        memoryview(data.modify_array(0)).cast("B")[:] = packed.tobytes()
        triangles = core.GeomTriangles(core.Geom.UH_static)
        triangles.set_index_type(core.Geom.NT_uint32)
        array = triangles.modify_vertices()
        array.unclean_set_num_rows(body.indices.size)
        memoryview(array).cast("B")[:] = body.indices.tobytes()
        geom = core.Geom(data)
        geom.add_primitive(triangles)
        node = core.GeomNode("body")
        node.add_geom(geom)
        return node

    def draw(self, view: int) -> NDArray[np.uint8]:
        """See `Peer`."""
        pose = self.poses[view]
        self.camera.set_mat(self.core.LMatrix4(*pose.T.reshape(16)))
        self.root.set_shader_input("eye", self.core.LVecBase3(*pose[:3, 3]))
        self.engine.render_frame()
        raw = np.frombuffer(self.texture.get_ram_image(), np.uint8)
        return raw.reshape(self.size[1], self.size[0], -1)[::-1]

    def describe(self) -> dict[str, Any]:
        """See `Peer`."""
        gsg = self.output.get_gsg()
        return {"renderer": gsg.get_driver_renderer(), "version": self.core.PandaSystem.get_version_string()}


def main() -> None:
    """Serve until stdin ends."""
    name, width, height = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    peer: Peer = OpenVolume(width, height) if name == "openvolume" else Panda3D(width, height)
    for view in range(VIEWS):
        peer.draw(view)
    _say(peer.describe())
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        if word == "picture":
            picture = peer.draw(0)
            if name == "panda3d":
                picture = picture[..., [2, 1, 0, 3]]
            np.save(rest, np.ascontiguousarray(picture))
            _say({})
            continue
        times: list[float] = []
        for view in range(int(rest), int(rest) + int(word)):
            begin = time.perf_counter()
            peer.draw(view % VIEWS)
            times.append((time.perf_counter() - begin) * 1000.0)
        _say({"ms": times})


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
