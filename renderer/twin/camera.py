"""The virtual camera: what a real one would photograph of the walls while they show these canvases.

Every sub-pixel's ray goes through the lens model, meets the walls exactly and brings back one LED's light (an LED is
an even box as large as its pitch). Walls hide each other, their backs are dark, and beside them is black.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import moderngl
import numpy as np
from numpy.typing import NDArray

from renderer.device import Device
from renderer.twin.emulator import Codes, ap1_from_led, decode_table, packed_words, photo_encoding
from renderer.twin.programs import fragment_program, set_uniforms, shader_text, write_uniform
from renderer.twin.view import PhotoView, Tangents
from renderer.twin.walls import LedSamples, TwinWalls
from stage.compiled import CompiledStage
from stage.frames import Array
from stage.lens import pinhole_tangents
from stage.plan import FramePlan, PlanCamera

Picture = NDArray[np.float32]
NEAR_M = 0.02
_SURFACE = np.dtype(
    [(name, "<f4", 4) for name in ("column", "row", "plane", "side_a", "side_b")]
    + [(name, "<i4", 4) for name in ("origin", "turn", "size")]
)
_VERTEX = np.dtype([("position", "<f4", 3), ("tile_px", "<f4", 2), ("surface", "<u4")])


@dataclass(frozen=True, slots=True)
class Photo:
    """One exposure, perhaps of several sets of canvases at once."""

    view: PhotoView
    light: tuple[Picture, ...]
    """Each [h, w, 3]  linear ACEScg, 1.0 = 100 nit."""
    inner: Picture
    """[h, w]  share of the pixel on LEDs that show the camera's inner picture at alpha 1."""


def inner_bounds(camera: PlanCamera, /, *, inset_deg: float = 0.0) -> Tangents:
    """The camera's inner frustum: the pinhole frame and its overscan. Inset by the soft edge: where alpha is 1."""
    left, right, bottom, top = np.arctan(pinhole_tangents(camera.lens))
    wide = np.radians(np.array(camera.overscan_deg) - inset_deg)
    limit = np.radians(85.0)
    out = np.tan(np.clip([left - wide[0], right + wide[1], bottom - wide[3], top + wide[2]], -limit, limit))
    return Tangents(float(out[0]), float(out[1]), float(out[2]), float(out[3]))


class VirtualCamera:
    """Photographs the walls of one compiled stage."""

    def __init__(self, device: Device, stage: CompiledStage, /, *, walls: TwinWalls | None = None) -> None:
        self.device = device
        self.stage = stage
        self.walls = walls or TwinWalls(stage)
        ctx = device.ctx
        self._ids_program = ctx.program(vertex_shader=shader_text("ids.vert"), fragment_shader=shader_text("ids.frag"))
        self._photo_programs: dict[int, moderngl.Program] = {}
        self._decode = self._decode_texture()
        self._tile_size = self._tile_size_texture()
        self._canvas_arrays: list[tuple[tuple[int, int], moderngl.TextureArray]] = []

    def photo(
        self,
        canvases: Mapping[str, Codes | None],
        plan: FramePlan,
        /,
        *,
        width_px: int = 960,
        camera: str | None = None,
        fine: int = 3,
    ) -> Picture:
        """What the camera sees of the walls, [h, w, 3] float32 linear ACEScg, 1.0 = 100 nit.

        Parameters
        ----------
        canvases : what each processor shows now (uint8 RGBA or packed uint32), at any whole scale; None is dark
        plan : whose camera (`camera`, else the first) takes the photo
        fine : sub-pixels per side
        """
        return self.expose([canvases], plan, width_px=width_px, camera=camera, fine=fine).light[0]

    def expose(
        self,
        canvas_sets: Sequence[Mapping[str, Codes | None]],
        plan: FramePlan,
        /,
        *,
        width_px: int,
        camera: str | None = None,
        fine: int = 4,
    ) -> Photo:
        """Photograph one or two sets of canvases from the same place, with where the inner picture stands."""
        chosen = next(c for c in plan.cameras if camera in (None, c.id))
        view = PhotoView.of(chosen, width_px=width_px)
        ctx = self.device.ctx
        bounds = view.bounds()
        scales = [self._upload(index, canvases) for index, canvases in enumerate(canvas_sets)]
        assert all(scale == scales[0] for scale in scales), "canvases photographed together have one scale"
        ids = self._ids(view, bounds)
        surfaces = ctx.buffer(self._surfaces(view, chosen, scales[0]).tobytes())
        size = (view.width_px, view.height_px)
        targets = [ctx.texture(size, 4, dtype="f4") for _ in canvas_sets]
        frame = ctx.framebuffer(color_attachments=targets)
        try:
            program = self._photo_program(len(canvas_sets))
            solid = inner_bounds(chosen, inset_deg=chosen.soft_edge_deg)
            set_uniforms(
                program,
                {
                    **view.lens_uniforms(),
                    "ids": 0,
                    "decode": 1,
                    "canvas_0": 2,
                    "canvas_1": 3,
                    "photo_px": size,
                    "bounds": (bounds.left, bounds.right, bounds.bottom, bounds.top),
                    "inner_bounds": (solid.left, solid.right, solid.bottom, solid.top),
                    "fine": fine,
                },
            )
            ids.use(0)
            self._decode.use(1)
            for index in range(len(canvas_sets)):
                self._canvas_arrays[index][1].use(2 + index)
            surfaces.bind_to_storage_buffer(0)
            frame.use()
            ctx.viewport = (0, 0, *size)
            ctx.disable(moderngl.DEPTH_TEST | moderngl.CULL_FACE | moderngl.BLEND)
            vertices = ctx.vertex_array(program, [])
            vertices.render(moderngl.TRIANGLES, vertices=3)
            pictures = [
                self.device.read(frame, components=4, dtype="f4", attachment=index) for index in range(len(canvas_sets))
            ]
            vertices.release()
        finally:
            frame.release()
            surfaces.release()
            for texture in (*targets, ids):
                texture.release()
        return Photo(view, tuple(picture[..., :3] for picture in pictures), pictures[0][..., 3])

    def visible(self, leds: LedSamples, view: PhotoView, /) -> NDArray[np.bool_]:
        """Which LEDs, [n] bool, lie in the photo with nothing before them and their lit side to the pupil."""
        bounds = view.bounds()
        ids = self._ids(view, bounds)
        frame = self.device.ctx.framebuffer(color_attachments=[ids])
        seen_ids = self.device.read(frame, components=1, dtype="u4")[..., 0]
        frame.release()
        ids.release()
        height, width = seen_ids.shape
        p = view.camera_of_stage(leds.position_m)
        facing = np.einsum("ij,ij->i", leds.normal, view.pupil_m - leds.position_m) > 0
        with np.errstate(divide="ignore", invalid="ignore"):
            t = p[:, [0, 2]] / p[:, 1:2]
        inside = (p[:, 1] > NEAR_M) & facing
        inside &= (t[:, 0] > bounds.left) & (t[:, 0] < bounds.right)
        inside &= (t[:, 1] > bounds.bottom) & (t[:, 1] < bounds.top)
        out = np.zeros(len(leds), dtype=bool)
        index = np.flatnonzero(inside)
        px = view.px_of_tangents(t[index])
        framed = np.all((px >= 0.0) & (px <= (view.width_px, view.height_px)), axis=-1)
        index = index[framed]
        x = np.floor((t[index, 0] - bounds.left) / (bounds.right - bounds.left) * width).astype(int)
        y = np.floor((bounds.top - t[index, 1]) / (bounds.top - bounds.bottom) * height).astype(int)
        out[index] = seen_ids[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)] == leds.surface[index] + 1
        return out

    def release(self) -> None:
        """Free what it holds on the GPU."""
        for program in (self._ids_program, *self._photo_programs.values()):
            program.release()
        self._decode.release()
        self._tile_size.release()
        for _, array in self._canvas_arrays:
            array.release()
        self._photo_programs.clear()
        self._canvas_arrays.clear()

    # --- what stays on the GPU -----------------------------------------------------------------------------------

    def _photo_program(self, sets: int) -> moderngl.Program:
        if sets not in self._photo_programs:
            layers = len(self.walls.canvas_ids)
            program = fragment_program(self.device.ctx, "photo.frag", SETS=sets, LAYERS=layers)
            encodings = [self.stage.canvases[name].encoding for name in self.walls.canvas_ids]
            # GL wants columns first.
            turns = np.stack([ap1_from_led(encoding).T for encoding in encodings]).astype("<f4")
            write_uniform(program, "ap1_from_led", turns)
            write_uniform(program, "layer_bits", np.array([photo_encoding(e).bits for e in encodings], dtype="<i4"))
            self._photo_programs[sets] = program
        return self._photo_programs[sets]

    def _decode_texture(self) -> moderngl.Texture:
        tables = np.zeros((len(self.walls.canvas_ids), 4096), dtype="<f4")
        for row, name in enumerate(self.walls.canvas_ids):
            table = decode_table(photo_encoding(self.stage.canvases[name].encoding))
            tables[row, : len(table)] = table
        texture = self.device.ctx.texture((4096, len(tables)), 1, tables.tobytes(), dtype="f4")
        texture.filter = (moderngl.NEAREST, moderngl.NEAREST)
        return texture

    def _tile_size_texture(self) -> moderngl.Texture:
        tiles = np.array([tile.wall_rect_px[2:] for tile in self.walls.tiles], dtype="<u4").reshape(-1, 2)
        of_surface = tiles[self.walls.surfaces.tile]
        rows = max(1, -(-len(of_surface) // 1024))
        data = np.zeros((rows * 1024, 2), dtype="<u4")
        data[: len(of_surface)] = of_surface
        texture = self.device.ctx.texture((1024, rows), 2, data.tobytes(), dtype="u4")
        texture.filter = (moderngl.NEAREST, moderngl.NEAREST)
        return texture

    def _upload(self, index: int, canvases: Mapping[str, Codes | None]) -> int:
        """Put a set of canvases into the texture array `index`; gives their scale (stage pixels per canvas pixel)."""
        words: list[NDArray[np.uint32] | None] = []
        scale = 1
        for name in self.walls.canvas_ids:
            codes = canvases.get(name)
            canvas = self.stage.canvases[name]
            words.append(None if codes is None else packed_words(canvas.encoding, codes))
            if (word := words[-1]) is not None:
                scale = max(1, round(canvas.width_px / word.shape[1]))
        sizes = [word.shape for word in words if word is not None] or [(1, 1)]
        size = (max(w for _, w in sizes), max(h for h, _ in sizes))
        if index == len(self._canvas_arrays) or self._canvas_arrays[index][0] != size:
            layers = len(self.walls.canvas_ids)
            array = self.device.ctx.texture_array((*size, layers), 1, dtype="u4")
            array.filter = (moderngl.NEAREST, moderngl.NEAREST)
            if index == len(self._canvas_arrays):
                self._canvas_arrays.append((size, array))
            else:
                self._canvas_arrays[index][1].release()
                self._canvas_arrays[index] = (size, array)
        array = self._canvas_arrays[index][1]
        for layer, word in enumerate(words):
            if word is None:
                word = np.zeros((size[1], size[0]), dtype=np.uint32)
            array.write(word.tobytes(), viewport=(0, 0, layer, word.shape[1], word.shape[0], 1))
        return scale

    # --- what depends on the pupil -------------------------------------------------------------------------------

    def _surfaces(self, view: PhotoView, camera: PlanCamera, scale: int) -> NDArray[Any]:
        walls, s = self.walls, self.walls.surfaces
        origin = view.camera_of_stage(s.origin_m)
        u, v = s.u_m @ view.stage_from_camera, s.v_m @ view.stage_from_camera
        # A ray d meets origin + a u + b v at a = d.(v x origin) / d.(u x v), b = d.(origin x u) / d.(u x v).
        plane, side_a, side_b = np.cross(u, v), np.cross(v, origin), np.cross(origin, u)
        out = np.zeros(len(s), dtype=_SURFACE)
        for name, axis in (("column", 0), ("row", 1)):
            out[name][:, :3] = (
                s.px_origin[:, axis, None] * plane + s.px_u[:, axis, None] * side_a + s.px_v[:, axis, None] * side_b
            )
        out["plane"][:, :3] = plane
        out["plane"][:, 3] = np.einsum("ij,ij->i", plane, origin)
        out["side_a"][:, :3] = side_a * s.triangle[:, None]
        out["side_b"][:, :3] = side_b * s.triangle[:, None]
        maps, tiles = walls.maps, walls.tiles
        listed = walls.wall_mask(camera.walls) if camera.enabled else np.zeros(len(tiles), dtype=bool)
        per_tile = np.array(
            [
                (m.x0, m.y0, walls.tile_canvas[i], listed[i], m.xc, m.xr, m.yc, m.yr, *t.wall_rect_px[2:], scale, 0)
                for i, (m, t) in enumerate(zip(maps, tiles, strict=True))
            ],
            dtype=np.int64,
        ).reshape(-1, 12)
        rows = per_tile[s.tile]
        out["origin"], out["turn"], out["size"] = rows[:, :4], rows[:, 4:8], rows[:, 8:]
        return out

    def _ids(self, view: PhotoView, bounds: Tangents) -> moderngl.Texture:
        """Which surface stands foremost in each direction, as index + 1; texels no smaller than a photo pixel."""
        ctx = self.device.ctx
        largest = view.tangent_per_px()[1] * 1.01
        limit = self.device.capabilities.max_texture_px
        size = (
            max(1, min(limit, int((bounds.right - bounds.left) / largest))),
            max(1, min(limit, int((bounds.top - bounds.bottom) / largest))),
        )
        vertices, far_m = self._id_vertices(view)
        ids = ctx.texture(size, 1, dtype="u4")
        ids.filter = (moderngl.NEAREST, moderngl.NEAREST)
        depth = ctx.depth_renderbuffer(size)
        frame = ctx.framebuffer(color_attachments=[ids], depth_attachment=depth)
        frame.use()
        ctx.viewport = (0, 0, *size)
        frame.clear(0.0, 0.0, 0.0, 0.0, depth=1.0)
        ctx.enable_only(moderngl.DEPTH_TEST)
        if len(vertices):
            set_uniforms(
                self._ids_program,
                {
                    "bounds": (bounds.left, bounds.right, bounds.bottom, bounds.top),
                    "near_far": (NEAR_M, far_m),
                    "tile_size": 0,
                },
            )
            self._tile_size.use(0)
            buffer = ctx.buffer(vertices.tobytes())
            array = ctx.vertex_array(
                self._ids_program, [(buffer, "3f 2f 1u", "in_position", "in_tile_px", "in_surface")]
            )
            array.render(moderngl.TRIANGLES)
            array.release()
            buffer.release()
        ctx.disable(moderngl.DEPTH_TEST)
        frame.release()
        depth.release()
        return ids

    def _id_vertices(self, view: PhotoView) -> tuple[NDArray[Any], float]:
        s = self.walls.surfaces
        origin = view.camera_of_stage(s.origin_m)
        u, v = s.u_m @ view.stage_from_camera, s.v_m @ view.stage_from_camera
        numbers = np.arange(len(s))

        def corners(ab: Sequence[tuple[int, int]], chosen: NDArray[np.int64]) -> NDArray[Any]:
            out = np.zeros((len(chosen), len(ab)), dtype=_VERTEX)
            for k, (a, b) in enumerate(ab):
                out["position"][:, k] = origin[chosen] + a * u[chosen] + b * v[chosen]
                out["tile_px"][:, k] = s.px_origin[chosen] + a * s.px_u[chosen] + b * s.px_v[chosen]
            out["surface"] = chosen[:, None]
            return out.reshape(-1)

        whole = corners([(0, 0), (1, 0), (0, 1), (0, 1), (1, 0), (1, 1)], numbers[~s.triangle])
        parts = corners([(0, 0), (1, 0), (0, 1)], numbers[s.triangle])
        vertices = np.concatenate([whole, parts])
        positions = vertices["position"].astype(np.float64)
        far_m = float(np.linalg.norm(positions, axis=-1).max(initial=1.0)) * 1.1
        return vertices, far_m


def nearest_distance_m(view: PhotoView, leds: LedSamples, /) -> Array:
    """Distance, [n] metres, of LEDs from the pupil."""
    return np.asarray(np.linalg.norm(leds.position_m - view.pupil_m, axis=-1))
