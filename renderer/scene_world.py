"""Scenes as a `World`: what a plan says is on air, drawn from any point of the stage; scenes are mixed in light.

A dissolve adds each scene by its weight. A wipe covers what comes before it in the plan along a direction of the stage
(`stage.plan.PlanWipe`), so that every view agrees where the edge is; a view that lies wholly on one side of the edge
draws one scene only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import moderngl
import numpy as np

from renderer.device import Device
from renderer.errors import RendererError
from renderer.passes.scene import ScenePass
from renderer.passes.target import ViewTarget
from renderer.scene import Scene
from renderer.shaders import source
from stage.errors import Problem
from stage.frames import Array
from stage.plan import FramePlan, PlanScene, transform_of

_PRACTICE_PX: Final = ((12, 6), (16, 6), (12, 8), (16, 8))
"""Software GL compiles anew where a side is a power of two."""
KEEP_SCRATCH: Final = 8
"""Sizes of views whose second picture is kept: an inner of each camera and the faces of an outer picture."""


class UnknownSceneError(RendererError):
    """A plan names a scene this renderer has not loaded."""

    code = "renderer.unknown_scene"


class SceneWorld:
    """The scenes of a plan, each with its weight and its place. Scenes are lent: their owner releases them."""

    def __init__(
        self,
        device: Device,
        scenes: Mapping[str, Scene],
        *,
        shadow_px: int = 2048,
        output: Literal["colour", "position"] = "colour",
    ) -> None:
        """`output="position"` draws stage positions in place of light (of the heaviest scene), for measuring."""
        self.scenes = dict(scenes)
        self.scene_pass = ScenePass(device, shadow_px=shadow_px)
        self._device = device
        self._output: Literal["colour", "position"] = output
        self._mixers: dict[str, tuple[moderngl.Program, moderngl.VertexArray]] = {}
        self._scratch: dict[tuple[int, int, int], ViewTarget] = {}

    def prepare(self, plan: FramePlan) -> None:
        """Move every scene on air to the plan's time and bring its shadows up to date.

        Raises
        ------
        UnknownSceneError
        """
        for entry in self._on_air(plan):
            scene = self._scene(entry)
            scene.move(entry.moving)
            scene.follow(plan.subjects, transform_of(entry.stage_from_scene))
            self.scene_pass.prepare(
                scene,
                stage_from_scene=transform_of(entry.stage_from_scene),
                scene_time_s=entry.time_ns(plan.scene_time_ns) / 1e9,
            )

    def draw(
        self, plan: FramePlan, *, view_from_stage: Array, clip_from_view: Array, target: moderngl.Framebuffer
    ) -> None:
        """Draw one view (GL view axes, clip z -1..1) into `target`; black where the plan has no scene.

        Raises
        ------
        UnknownSceneError
        """
        on_air = self._on_air(plan)
        if not on_air:
            target.use()
            target.depth_mask = True
            target.clear(0.0, 0.0, 0.0, 1.0)
            return
        if len(on_air) == 1 or self._output == "position":
            heaviest = max(on_air, key=lambda entry: entry.weight)
            self._draw(plan, heaviest, view_from_stage, clip_from_view, target)
            return
        pieces = self._scratch_of(target)
        if on_air[-1].wipe is not None:
            self._wiped(plan, on_air[:-1], on_air[-1], view_from_stage, clip_from_view, pieces, target)
            return
        total = sum(entry.weight for entry in on_air)
        for first, entry in enumerate(on_air):
            self._draw(plan, entry, view_from_stage, clip_from_view, pieces.framebuffer)
            pieces.finish(mips=False)
            self._add(pieces, target, entry.weight / total, first=first == 0)

    def _wiped(
        self,
        plan: FramePlan,
        before: list[PlanScene],
        coming: PlanScene,
        view_from_stage: Array,
        clip_from_view: Array,
        pieces: ViewTarget,
        target: moderngl.Framebuffer,
    ) -> None:
        """The scene before outside the wipe, the one that comes inside it."""
        assert coming.wipe is not None
        way = np.array(coming.wipe.direction, dtype=np.float64)
        half = coming.wipe.softness_deg / 2.0
        edge = np.radians([coming.wipe.edge_deg - half, coming.wipe.edge_deg + half])
        lowest, highest = _reach(way, view_from_stage, clip_from_view)
        if highest < edge[0] or not before:
            self._draw(plan, coming, view_from_stage, clip_from_view, target)
            return
        if lowest > edge[1]:
            self._draw(plan, before[-1], view_from_stage, clip_from_view, target)
            return
        turned = np.eye(4)
        turned[:3, :3] = np.asarray(view_from_stage, dtype=np.float64)[:3, :3]
        direction_from_clip = np.linalg.inv(np.asarray(clip_from_view, dtype=np.float64) @ turned)
        for first, (entry, sign) in enumerate(((before[-1], -1.0), (coming, 1.0))):
            self._draw(plan, entry, view_from_stage, clip_from_view, pieces.framebuffer)
            pieces.finish(mips=False)
            uniforms = {
                "direction_from_clip": np.ascontiguousarray(direction_from_clip.T, dtype=np.float32).tobytes(),
                "way": np.array([*way, sign], dtype=np.float32).tobytes(),
                "edge": edge.astype(np.float32).tobytes(),
            }
            self._lay(pieces, target, "wipe", uniforms, first=first == 0)

    def ready(self) -> None:
        """Compile what mixes scenes, and use it once: the first dissolve must not wait for it."""
        whole = ViewTarget(self._device, *_PRACTICE_PX[0], "f2")
        for size in _PRACTICE_PX:
            piece = ViewTarget(self._device, *size, "f2")
            for name in ("mix", "wipe"):
                self._lay(piece, whole.framebuffer, name, {}, first=True)
            piece.release()
        whole.release()

    def forget(self, scene_id: str) -> Scene | None:
        """Take a scene out; it is returned to be released, or kept, by its owner."""
        scene = self.scenes.pop(scene_id, None)
        if scene is not None:
            self.scene_pass.forget(scene)
        return scene

    def release(self) -> None:
        """Free what draws; the scenes stay."""
        self.scene_pass.release()
        for scratch in self._scratch.values():
            scratch.release()
        for program, triangle in self._mixers.values():
            triangle.release()
            program.release()

    def _on_air(self, plan: FramePlan) -> list[PlanScene]:
        return [entry for entry in plan.scenes if entry.weight > 0.0]

    def _scene(self, entry: PlanScene) -> Scene:
        scene = self.scenes.get(entry.id)
        if scene is None:
            raise UnknownSceneError(
                Problem(
                    "renderer.unknown_scene",
                    f"scenes/{entry.id}",
                    "the plan shows a scene that is not loaded",
                    entry.id,
                    f"load it first; loaded are: {', '.join(sorted(self.scenes)) or 'none'}",
                )
            )
        return scene

    def _draw(
        self,
        plan: FramePlan,
        entry: PlanScene,
        view_from_stage: Array,
        clip_from_view: Array,
        target: moderngl.Framebuffer,
    ) -> None:
        self.scene_pass.draw(
            self._scene(entry),
            view_from_stage=view_from_stage,
            clip_from_view=clip_from_view,
            stage_from_scene=transform_of(entry.stage_from_scene),
            target=target,
            scene_time_s=entry.time_ns(plan.scene_time_ns) / 1e9,
            exposure_ev=plan.exposure_ev,
            output=self._output,
        )

    def _scratch_of(self, target: moderngl.Framebuffer) -> ViewTarget:
        """A second picture of the target's size and samples: what is mixed must be drawn as finely as what is not."""
        key = (*target.size, target.samples)
        found = self._scratch.pop(key, None) or ViewTarget(self._device, *target.size, "f2", samples=target.samples)
        self._scratch[key] = found
        while len(self._scratch) > KEEP_SCRATCH:
            self._scratch.pop(next(iter(self._scratch))).release()
        return found

    def _add(self, piece: ViewTarget, whole: moderngl.Framebuffer, weight: float, *, first: bool) -> None:
        self._lay(piece, whole, "mix", {"weight": np.float32(weight).tobytes()}, first=first)

    def _lay(
        self,
        piece: ViewTarget,
        whole: moderngl.Framebuffer,
        name: str,
        uniforms: Mapping[str, bytes],
        *,
        first: bool,
    ) -> None:
        """Add a scene's share to the whole picture."""
        ctx = self._device.ctx
        program, triangle = self._mixer(name)
        whole.use()
        whole.depth_mask = True
        if first:
            whole.clear(0.0, 0.0, 0.0, 0.0)
        ctx.enable_only(moderngl.BLEND)
        ctx.blend_func = moderngl.ONE, moderngl.ONE
        piece.texture.use(0)
        for uniform, value in uniforms.items():
            slot = program[uniform]
            assert isinstance(slot, moderngl.Uniform)
            slot.write(value)
        triangle.render(vertices=3)
        ctx.disable(moderngl.BLEND)

    def _mixer(self, name: str) -> tuple[moderngl.Program, moderngl.VertexArray]:
        if name not in self._mixers:
            ctx = self._device.ctx
            program = ctx.program(source("scene/full.vert"), source(f"scene/{name}.frag"))
            self._mixers[name] = (program, ctx.vertex_array(program, []))
        return self._mixers[name]


def _reach(way: Array, view_from_stage: Array, clip_from_view: Array) -> tuple[float, float]:
    """The least and largest angle along `way`, radians, that a view may see; a little more, never less."""
    turn = np.asarray(view_from_stage, dtype=np.float64)[:3, :3]
    inverse = np.linalg.inv(np.asarray(clip_from_view, dtype=np.float64))
    corners = np.array([[x, y, 1.0, 1.0] for x in (-1.0, 1.0) for y in (-1.0, 1.0)]) @ inverse.T
    directions = corners[:, :3] / corners[:, 3:]
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    middle = directions.mean(axis=0)
    middle /= np.linalg.norm(middle)
    # A cone around the corners: all of a rectangular view lies in it.
    spread = float(np.arccos(np.clip((directions @ middle).min(), -1.0, 1.0)))
    along = float(np.arcsin(np.clip((turn.T @ middle) @ way, -1.0, 1.0)))
    return along - spread - 1e-3, along + spread + 1e-3
