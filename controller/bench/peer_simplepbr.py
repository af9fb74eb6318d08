"""The benchmark's scene in Panda3D with simplepbr's pipeline, headless over EGL."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.bench import reference
from controller.bench.browser import PeerMissingError

_TONE = """#version 330
uniform sampler2D tex;
uniform float exposure;
in vec2 v_texcoord;
out vec4 o_color;
void main() {
    o_color = vec4(texture(tex, v_texcoord).rgb * exposure, 1.0);
}
"""
"""simplepbr's last pass without its curve: it keeps the pass, and gives the same linear light as the others."""
_TONE_VERTEX = """#version 330
uniform mat4 p3d_ModelViewProjectionMatrix;
in vec4 p3d_Vertex;
in vec2 p3d_MultiTexCoord0;
out vec2 v_texcoord;
void main() {
    gl_Position = p3d_ModelViewProjectionMatrix * p3d_Vertex;
    v_texcoord = p3d_MultiTexCoord0;
}
"""


class SimplePbr:
    """See `controller.bench.worker.Peer`. One light, no shadows, MSAA or maps: as little as it can do."""

    def __init__(self, width_px: int, height_px: int, views: int) -> None:
        try:
            import simplepbr
            from direct.showbase.ShowBase import ShowBase
            from panda3d import core
        except ImportError as error:
            raise PeerMissingError(f"{error} -> run scripts/peers") from error
        core.load_prc_file_data(
            "",
            f"load-display p3headlessgl\nwindow-type offscreen\naudio-library-name null\nsync-video 0\n"
            f"gl-version 3 3\ntextures-power-2 none\nnotify-level-display error\nwin-size {width_px} {height_px}\n"
            f"show-frame-rate-meter 0\nframebuffer-multisample 0\nmultisamples 0\n",
        )
        self.core, self.size = core, (width_px, height_px)
        base = self._base = ShowBase(windowType="offscreen")
        if base.win is None:
            raise RuntimeError("Panda3D could not open a headless picture (p3headlessgl)")
        self._texture = core.Texture("picture")
        base.win.add_render_texture(self._texture, core.GraphicsOutput.RTM_copy_ram, core.GraphicsOutput.RTP_color)
        base.win.set_clear_color((0, 0, 0, 1))
        lens = core.PerspectiveLens()
        lens.set_aspect_ratio(width_px / height_px)
        lens.set_min_fov(reference.FOV_DEG)
        lens.set_near_far(reference.NEAR_M, reference.FAR_M)
        base.cam.node().set_lens(lens)
        base.disable_mouse()
        pipeline = simplepbr.init(
            msaa_samples=0, max_lights=1, use_normal_maps=False, use_emission_maps=False, use_occlusion_maps=False,
            enable_shadows=False, enable_fog=False, use_330=True, enable_hardware_skinning=False,
        )  # fmt: skip
        pipeline._post_process_quad.set_shader(core.Shader.make(core.Shader.SL_GLSL, _TONE_VERTEX, _TONE))
        for body in reference.bodies():
            node = base.render.attach_new_node(geometry(core, body))
            material = core.Material()
            material.set_base_color(core.LColor(*body.colour, 1.0))
            material.set_metallic(body.metallic)
            material.set_roughness(body.roughness)
            node.set_material(material)
        # Its light is without the 1 / pi of the others' ambient.
        ambient = core.AmbientLight("ambient")
        ambient.set_color(core.LColor(*(reference.AMBIENT,) * 3, 1.0))
        base.render.set_light(base.render.attach_new_node(ambient))
        sun = core.DirectionalLight("sun")
        sun.set_color(core.LColor(*(reference.SUN_ILLUMINANCE,) * 3, 1.0))
        sun.set_direction(core.LVector3(*(-reference.to_sun())))
        base.render.set_light(base.render.attach_new_node(sun))
        self._poses = reference.cameras(views)
        self._about = {
            "version": f"Panda3D {core.PandaSystem.get_version_string()}, simplepbr {_version()}",
            "renderer": base.win.get_gsg().get_driver_renderer(),
        }

    def draw(self, view: int) -> NDArray[np.uint8]:
        """See `Peer`."""
        self._base.camera.set_mat(self.core.LMatrix4(*self._poses[view].T.reshape(16)))
        self._base.task_mgr.step()
        raw = np.frombuffer(self._texture.get_ram_image(), np.uint8)
        return raw.reshape(self.size[1], self.size[0], -1)[::-1][..., [2, 1, 0, 3]]

    def describe(self) -> dict[str, Any]:
        """See `Peer`."""
        return dict(self._about)


def geometry(core: Any, body: reference.Body) -> Any:
    """A body as Panda3D's node: positions and normals in place."""
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


def _version() -> str:
    from importlib.metadata import version

    return version("panda3d-simplepbr")
