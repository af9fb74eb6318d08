"""The wall pass: canvas meshes drawn in canvas space, each LED looking up what it must show.

Items of wall are grouped by their base picture and the inner frusta that may reach them above it; each group is one
draw with a program for exactly that many inner pictures. The base is the outer face that serves the item, or the
uppermost inner frustum that covers all of it: only cabinets an inner's edge crosses cost more than one lookup. While
the outer picture rests, only items an inner frustum reaches, or has just left, are drawn again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Final, Literal

import moderngl
import numpy as np
from numpy.typing import NDArray

from renderer.canvas_mesh import CanvasMesh, Part
from renderer.colour.encode import CanvasColour, noise_offset
from renderer.colour.grade import grade_defines
from renderer.colour.noise import noise_bytes
from renderer.device import Device
from renderer.passes.cards import CardSheet
from renderer.passes.grade import UNGRADED, LayerGrades
from renderer.passes.inner import InnerPicture
from renderer.passes.outer import OuterPass
from renderer.passes.target import ready
from renderer.passes.view import View
from renderer.shaders import source
from stage.plan import PlanCamera
from stage.plan_cards import MOST_CARDS, PlanCard

Output = Literal["canvas", "light", "data", "coverage"]
OUTPUT_NUMBER: Final[dict[Output, int]] = {"canvas": 0, "light": 1, "data": 2, "coverage": 3}

_BASE_UNIT, _INNER_UNIT = 0, 1
NOISE_UNIT: Final = 15
MAX_INNERS: Final = 12
"""Inner pictures on one item; texture units set the limit."""
RGB10_A2: Final = 0x8059
_CLIP_DISTANCE0: Final = 0x3000
_INNER_BASE: Final = 6
"""Base numbers: 0..5 faces of the outer cube, from here on inner pictures."""
_BASES: Final = 32
_EXAMPLES_PX: Final = ((12, 6), (16, 6), (12, 8), (16, 8))
"""Software GL tells powers of two apart, and takes longest for the first smaller copies of each kind."""


@dataclass(slots=True)
class PartBuffers:
    """A part on the GPU. `index` is written anew whenever the groups change."""

    part: Part
    shape: moderngl.Buffer
    extra: moderngl.Buffer
    pattern: moderngl.Buffer
    index: moderngl.Buffer
    arrays: dict[int, moderngl.VertexArray] = field(default_factory=dict)
    group_key: bytes = b""
    groups: list[tuple[int, int, int, int]] = field(default_factory=list)
    """(base, mask of the inner pictures above it, first index, indices)"""

    @classmethod
    def create(cls, ctx: moderngl.Context, part: Part) -> PartBuffers:
        """Upload a part."""

        def buffer(*columns: NDArray[Any]) -> moderngl.Buffer:
            return ctx.buffer(np.concatenate(columns, axis=1).astype(np.float32).tobytes())

        return cls(
            part,
            buffer(part.position_m, part.pixel),
            buffer(part.normal, part.clip_px),
            buffer(part.wall_px, part.tile_px, part.label[:, None], part.wall_size_px),
            ctx.buffer(part.triangles.tobytes()),
        )

    def array(self, ctx: moderngl.Context, program: moderngl.Program) -> moderngl.VertexArray:
        """The vertex array of a program that reads any of the part's attributes."""
        array = self.arrays.get(program.glo)
        if array is None:
            content = []
            for buffer, layout, names in (
                (self.shape, ("3f", "2f"), ("position", "pixel")),
                (self.extra, ("3f", "4f"), ("normal", "clip")),
                (self.pattern, ("2f", "4f", "1f", "2f"), ("wall_px", "tile_px", "label", "wall_size")),
            ):
                used = [name in program for name in names]
                if any(used):
                    formats = (f if on else f"{int(f[0]) * 4}x" for f, on in zip(layout, used, strict=True))
                    content.append((buffer, " ".join(formats), *(n for n, on in zip(names, used, strict=True) if on)))
            array = self.arrays[program.glo] = ctx.vertex_array(program, content, self.index, index_element_size=4)
        return array

    def group(self, base: NDArray[np.int64], mask: NDArray[np.int64], drawn: NDArray[np.bool_]) -> None:
        """Sort the triangles of `drawn` items, [k], into runs of equal base and mask."""
        key = np.where(drawn, mask * _BASES + base, -1)
        data = key.tobytes()
        if data == self.group_key:
            return
        self.group_key = data
        of_triangle = key[self.part.triangle_item]
        order = np.argsort(of_triangle, kind="stable")
        of_triangle = of_triangle[order]
        starts = np.flatnonzero(np.diff(of_triangle, prepend=-2))
        ends = np.append(starts[1:], len(order))
        self.groups = [
            (int(of_triangle[a]) % _BASES, int(of_triangle[a]) // _BASES, int(a) * 3, int(b - a) * 3)
            for a, b in zip(starts, ends, strict=True)
            if of_triangle[a] >= 0
        ]
        self.index.write(self.part.triangles[order].tobytes())

    def beside(self, ctx: moderngl.Context) -> PartBuffers:
        """The same part with groups of its own: what is drawn over the picture does not mix up the picture's."""
        return PartBuffers(self.part, self.shape, self.extra, self.pattern, ctx.buffer(self.part.triangles.tobytes()))

    def release(self, *, whole: bool = True) -> None:
        """Free it; of one that was made `beside` another not the whole."""
        for array in self.arrays.values():
            array.release()
        for buffer in (self.shape, self.extra, self.pattern, self.index) if whole else (self.index,):
            buffer.release()


class Surface:
    """One canvas on the GPU: its mesh, its picture in codes, and what that picture was drawn from."""

    def __init__(self, device: Device, mesh: CanvasMesh, colour: CanvasColour) -> None:
        ctx = device.ctx
        self.mesh, self.colour = mesh, colour
        self.size = (mesh.width_px, mesh.height_px)
        self.parts = [PartBuffers.create(ctx, part) for part in mesh.parts]
        self._ctx = ctx
        self.texture = self._code_texture()
        self.framebuffer = ctx.framebuffer([self.texture])
        self.rest_key: object = None
        """What everything outside the inner frusta was drawn from; None when it must be drawn again."""
        self.reached: list[NDArray[np.bool_]] = [np.zeros(part.items, dtype=bool) for part in mesh.parts]
        """Items, [k] by part, that inner frusta reached in the picture held."""
        self.cards: tuple[PlanCard, ...] = ()
        self.carded: list[NDArray[np.bool_]] = [np.zeros(part.items, dtype=bool) for part in mesh.parts]
        """Cards of the picture held, and items, [k] by part, that they touch."""
        self._floats: moderngl.Framebuffer | None = None
        self._over: list[PartBuffers] = []
        self.blank()

    def blank(self) -> None:
        """Make it black all over."""
        code = self.colour.black() / self.colour.stored_highest
        self.framebuffer.clear(code, code, code, 1.0)

    def _code_texture(self) -> moderngl.Texture:
        if self.colour.encoding.bits == 10:
            return self._ctx.texture(self.size, 4, internal_format=RGB10_A2)
        if self.colour.encoding.bits == 12:
            # Normalised words of 16 bits, that hold the code itself: the shader writes it as a share of 65535.
            return self._ctx.texture(self.size, 4, dtype="nu2")
        return self._ctx.texture(self.size, 4)

    @property
    def over(self) -> list[PartBuffers]:
        """The parts for what is drawn over the picture: keys and patterns."""
        if not self._over:
            self._over = [part.beside(self._ctx) for part in self.parts]
        return self._over

    @property
    def float_framebuffer(self) -> moderngl.Framebuffer:
        """A float32 picture of the canvas' size, for light and measuring."""
        if self._floats is None:
            self._floats = self._ctx.framebuffer([self._ctx.texture(self.size, 4, dtype="f4")])
        return self._floats

    def release(self) -> None:
        """Free it."""
        for part in self._over:
            part.release(whole=False)
        for part in self.parts:
            part.release()
        self.framebuffer.release()
        self.texture.release()
        if self._floats is not None:
            self._floats.color_attachments[0].release()
            self._floats.release()


@dataclass(frozen=True, slots=True)
class Reach:
    """Where an inner frustum may show: per canvas and part, items [k] on the camera's walls, turned to the pupil and
    inside the picture; those of them it covers wholly (`solid`, alpha 1 everywhere); and the largest number of texels
    one canvas pixel spans there."""

    items: dict[str, tuple[NDArray[np.bool_], ...]]
    solid: dict[str, tuple[NDArray[np.bool_], ...]]
    texels_per_pixel: float

    def on(self, canvases: Iterable[str]) -> bool:
        """Whether any item of these canvases is reached."""
        return any(bool(on.any()) for name in canvases for on in self.items[name])


def reach_of(meshes: dict[str, CanvasMesh], camera: PlanCamera, view: View) -> Reach:
    """Where the inner frustum of a camera may show."""
    most = 0.0
    items, solid = {}, {}
    for name, mesh in meshes.items():
        parts, whole = [], []
        for part in mesh.parts:
            on = np.array([wall in camera.walls for wall in part.walls], dtype=bool)[part.wall]
            if part.kind == "cabinets":
                on &= np.sum(part.item_normal * (view.point_m - part.points_m[:, 0]), axis=1) > 0.0
            on[on] = view.may_see(part.points_m[on])
            spans = view.texels_per_pixel(part.points_m[on].mean(axis=1), part.across_m[on], part.along_m[on])
            most = max(most, float(spans.max(initial=0.0)))
            parts.append(on)
            # Facing differs within a mesh item, so those are never taken for covered.
            covered = on.copy() if part.kind == "cabinets" else np.zeros_like(on)
            covered[covered] = view.covers(part.points_m[covered], feather_deg=camera.soft_edge_deg)
            whole.append(covered)
        items[name], solid[name] = tuple(parts), tuple(whole)
    return Reach(items, solid, most)


class Program:
    """A program that draws canvas meshes, with its uniforms at hand. `mesh` programs clip to the tile's rectangle."""

    def __init__(self, ctx: moderngl.Context, vertex: str, fragment: str, mesh: bool) -> None:
        self.program = ctx.program(vertex_shader=vertex, fragment_shader=fragment)
        self.mesh = mesh
        self._members = {name: self.program[name] for name in self.program}
        self._held: dict[str, bytes] = {}
        self.practised = False
        """Whether it was used once with every kind of picture."""

    def write(self, name: str, values: Any) -> None:
        """Set a uniform, if this variant has it. `values` is an array, or its bytes."""
        member = self._members.get(name)
        if not isinstance(member, moderngl.Uniform):
            return
        data = values if isinstance(values, bytes) else np.ascontiguousarray(values).tobytes()
        # Most of what a frame sets is what the frame before has set.
        if self._held.get(name) != data:
            self._held[name] = data
            member.write(data)

    def release(self) -> None:
        """Free it."""
        self.program.release()


def clip_planes(ctx: moderngl.Context, *, on: bool) -> None:
    """Switch the four clip distances of mesh programs."""
    switch = ctx.enable_direct if on else ctx.disable_direct
    for plane in range(4):
        switch(_CLIP_DISTANCE0 + plane)


def float32(values: Any) -> NDArray[np.float32]:
    """Numbers worked out in float64, as the shaders take them."""
    return np.asarray(values, dtype=np.float64).astype(np.float32)


class WallPass:
    """Draws canvases from the outer faces and the inner pictures."""

    def __init__(self, device: Device) -> None:
        self._ctx = device.ctx
        self._programs: dict[tuple[int, bool, int, CanvasColour | None, bool, int], Program] = {}
        self._examples: list[moderngl.Texture] = []
        """Pictures of every kind that drivers may make a program anew for."""
        self._noise = device.ctx.texture((64, 64), 4, noise_bytes().tobytes())
        self._noise.filter = (moderngl.NEAREST, moderngl.NEAREST)

    def prepare(self, surface: Surface, inners: int, *, grades: bool = False) -> Iterator[None]:
        """Compile what a canvas needs for up to `inners` inner pictures on one item, and use it once with pictures that
        have smaller copies and with such that have none, a step at a time: a camera that goes nearer must not wait.

        grades : whether also what graded layers without cards need.
        """
        kinds = [(size, mips) for size in _EXAMPLES_PX for mips in (False, True)]
        for size, mips in kinds[len(self._examples) :]:
            example = self._ctx.texture(size, 4, dtype="f2")
            example.repeat_x = example.repeat_y = False
            ready(example, mips=mips)
            self._examples.append(example)
            yield
        for part in surface.parts:
            kinds_of_program = [(cards, 0) for cards in (False, True)] + [(False, level) for level in (1, 2) if grades]
            for count, (cards, grade) in product(range(inners + 1), kinds_of_program):
                program = self._program(count, part.part.kind == "mesh", 0, surface.colour, cards, grade)
                yield
                if program.practised:
                    continue
                program.practised = True
                # Of the sizes one will do: each takes a driver that has no cache yet a tenth of a second.
                for picture in self._examples[:2]:
                    self._practise(surface, part, program, count, picture)
                    yield
        surface.blank()

    def _practise(
        self, surface: Surface, part: PartBuffers, program: Program, inners: int, picture: moderngl.Texture
    ) -> None:
        """Draw one triangle: drivers finish a program when it is first used."""
        self._ctx.disable(moderngl.DEPTH_TEST | moderngl.CULL_FACE | moderngl.BLEND)
        surface.framebuffer.use()
        self._noise.use(NOISE_UNIT)
        for unit in (_BASE_UNIT, *range(_INNER_UNIT, _INNER_UNIT + inners)):
            picture.use(unit)
        clip_planes(self._ctx, on=program.mesh)
        part.array(self._ctx, program.program).render(moderngl.TRIANGLES, vertices=3)
        clip_planes(self._ctx, on=False)

    def draw(
        self,
        surface: Surface,
        outer: OuterPass,
        inners: list[tuple[InnerPicture, Reach]],
        *,
        outer_gain: float,
        output: Output,
        seed: int = 0,
        cards: CardSheet | None = None,
        grades: LayerGrades = UNGRADED,
    ) -> None:
        """Draw one canvas. `inners` go from the undermost to the uppermost."""
        ctx = self._ctx
        ctx.disable(moderngl.DEPTH_TEST | moderngl.CULL_FACE | moderngl.BLEND)
        number = OUTPUT_NUMBER[output]
        if output == "canvas":
            target = surface.framebuffer
            key = (outer.generation, outer_gain, seed, grades.key)
            resting = surface.rest_key == key
            surface.rest_key = key
        else:
            target, resting = surface.float_framebuffer, False
            target.clear(0.0, 0.0, 0.0, 0.0)
        target.use()
        self._noise.use(NOISE_UNIT)
        canvas = surface.mesh.canvas.id
        values: dict[tuple[str, int], dict[str, bytes]] = {}
        """What was worked out for this canvas already: of a base picture, and of the pictures above it."""
        noise_at = np.array(noise_offset(seed), dtype=np.int32).tobytes()
        sheet = cards if cards is not None and cards.cards and output in ("canvas", "light") else None
        recarded = output == "canvas" and surface.cards != (cards.cards if cards is not None else ())
        if sheet is not None:
            sheet.bind()
        if output not in ("canvas", "light"):
            grades = UNGRADED
        walls = len(grades.walls) + 1
        for index, buffers in enumerate(surface.parts):
            part = buffers.part
            faces = outer.layout.face[canvas][index]
            shown = [(reach.items[canvas][index], reach.solid[canvas][index]) for _, reach in inners]
            base, mask, reached = _pictures_of(faces, shown, covered=output != "coverage")
            touched = np.zeros(1, dtype=np.int64) if sheet is None else sheet.touched(surface.mesh, index)
            card_sets, card_set = np.unique(touched, return_inverse=True)
            drawn = np.ones(part.items, dtype=bool)
            if resting:
                drawn = reached | surface.reached[index]
                if recarded:
                    drawn |= surface.carded[index] | (touched != 0)
            if output == "canvas":
                surface.reached[index] = reached
                surface.carded[index] = np.broadcast_to(touched != 0, part.items)
            buffers.group(base, mask | (card_set * walls + grades.wall_of_items(part)) << MAX_INNERS, drawn)
            for number_of_base, key_of_group, first, count in buffers.groups:
                bits, (laid_out, wall) = key_of_group & (1 << MAX_INNERS) - 1, divmod(key_of_group >> MAX_INNERS, walls)
                touching = int(card_sets[laid_out])
                chosen = [picture for bit, (picture, _) in enumerate(inners) if bits >> bit & 1]
                laid = _cards_laid(sheet, touching, number_of_base, chosen, inners)
                under = None if number_of_base < _INNER_BASE else inners[number_of_base - _INNER_BASE][0]
                graded = grades.group(under, chosen, wall)
                program = self._program(
                    len(chosen), part.kind == "mesh", number, surface.colour, laid is not None, graded.level
                )
                if under is None:
                    view, texture, gain = outer.layout.views[number_of_base], outer.texture(number_of_base), outer_gain
                else:
                    view, texture, gain = under.view, under.texture, 1.0
                if ("base", number_of_base) not in values:
                    values["base", number_of_base] = _base_values(surface, view, gain)
                if ("inners", bits) not in values:
                    values["inners", bits] = _inner_values(surface, chosen)
                texture.use(_BASE_UNIT)
                for unit, picture in enumerate(chosen, _INNER_UNIT):
                    picture.texture.use(unit)
                for name, data in (values["base", number_of_base] | values["inners", bits]).items():
                    program.write(name, data)
                program.write("noise_at", noise_at)
                if graded.level:
                    program.write("grade", graded.vectors)
                if laid is not None:
                    program.write("card_count", np.int32(len(laid)))
                    program.write("card_use", np.pad(laid, ((0, MOST_CARDS - len(laid)), (0, 0))))
                if output == "coverage":
                    slots = np.eye(MAX_INNERS, 4, dtype=np.float32)
                    program.write("inner_slot", slots[[bit for bit in range(len(inners)) if bits >> bit & 1]])
                clip_planes(ctx, on=program.mesh)
                buffers.array(ctx, program.program).render(moderngl.TRIANGLES, vertices=count, first=first)
        clip_planes(ctx, on=False)
        if output == "canvas":
            surface.cards = cards.cards if cards is not None else ()

    def _program(self, inners: int, mesh: bool, output: int, colour: CanvasColour, cards: bool, grade: int) -> Program:
        # Equal encodings share a program; what is not encoded needs none.
        key = (inners, mesh, output, colour if output == 0 else None, cards, grade)
        program = self._programs.get(key)
        if program is None:
            shape: dict[str, object] = {"INNERS": inners, "MESH": int(mesh), "CARDS": int(cards), "GRADE": grade}
            constants = (colour.constants() if output == 0 else {}) | (grade_defines() if grade else {})
            program = self._programs[key] = Program(
                self._ctx,
                source("wall/wall.vert", shape),
                source("wall/wall.frag", {**shape, "OUTPUT": output, **constants}),
                mesh,
            )
            program.write("base", np.int32(_BASE_UNIT))
            program.write("inner", np.arange(_INNER_UNIT, _INNER_UNIT + inners, dtype=np.int32))
        return program

    def release(self) -> None:
        """Free the programs."""
        for program in self._programs.values():
            program.release()
        self._programs.clear()
        for picture in self._examples:
            picture.release()
        self._examples.clear()
        self._noise.release()


def _pictures_of(
    faces: NDArray[np.int64], shown: list[tuple[NDArray[np.bool_], NDArray[np.bool_]]], *, covered: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Of each item, [k]: the number of its base picture, a bit for each inner picture above it, whether any reaches it.

    faces : the outer face that serves it; shown : per inner frustum the items it reaches and those it covers wholly;
    covered : whether those have it for their base (which hides the ones below: not where coverage is told).
    """
    base = faces.copy()
    mask = np.zeros(len(faces), dtype=np.int64)
    reached = np.zeros(len(faces), dtype=bool)
    for bit, (on, solid) in enumerate(shown):
        reached |= on
        mask |= on.astype(np.int64) << bit
        if covered:
            base[solid], mask[solid] = _INNER_BASE + bit, 0
    return base, mask, reached


def _cards_laid(
    sheet: CardSheet | None,
    touching: int,
    base: int,
    chosen: list[InnerPicture],
    inners: list[tuple[InnerPicture, Reach]],
) -> NDArray[np.int32] | None:
    """Cards that show in a group of items (`CardSheet.use`); None where none does."""
    if sheet is None or not touching:
        return None
    under = inners[base - _INNER_BASE][0].camera.id if base >= _INNER_BASE else ""
    laid = sheet.use(touching, outer=not under, base=under, above=[picture.camera.id for picture in chosen])
    return laid if len(laid) else None


def _base_values(surface: Surface, view: View, gain: float) -> dict[str, bytes]:
    """Uniforms that say how a canvas looks up its base picture."""
    values = {
        "canvas_px": surface.size,
        "base_offset": surface.mesh.origin_m - view.point_m,
        "base_view": view.axes.T,
        "base_uv": view.uv,
        "base_gain": gain,
    }
    return {name: float32(value).tobytes() for name, value in values.items()}


def _inner_values(surface: Surface, inners: list[InnerPicture]) -> dict[str, bytes]:
    """The same of the pictures above it."""
    if not inners:
        return {}
    feathers = [picture.feather for picture in inners]
    values = {
        "inner_offset": [surface.mesh.origin_m - picture.view.point_m for picture in inners],
        "inner_view": [picture.view.axes.T for picture in inners],
        "inner_uv": [picture.view.uv for picture in inners],
        "inner_rise": [rise for rise, _ in feathers],
        "inner_start": [start for _, start in feathers],
    }
    return {name: float32(value).tobytes() for name, value in values.items()}
