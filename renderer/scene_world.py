"""Scenes as a `World`: what a plan says is on air, drawn from any point of the stage; two scenes dissolve in light."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import moderngl
import numpy as np

from renderer.device import Device
from renderer.errors import RendererError
from renderer.passes.scene import ScenePass, release_target, target
from renderer.scene import Scene
from renderer.shaders import source
from stage.errors import Problem
from stage.frames import Array
from stage.plan import FramePlan, PlanScene, transform_of


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
        self._mix: tuple[moderngl.Program, moderngl.VertexArray] | None = None
        self._scratch: moderngl.Framebuffer | None = None

    def prepare(self, plan: FramePlan) -> None:
        """Move every scene on air to the plan's time and bring its shadows up to date.

        Raises
        ------
        UnknownSceneError
        """
        for entry in self._on_air(plan):
            self.scene_pass.prepare(
                self._scene(entry),
                stage_from_scene=transform_of(entry.stage_from_scene),
                scene_time_s=plan.scene_time_ns / 1e9,
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
        total = sum(entry.weight for entry in on_air)
        pieces = self._scratch_of(target.size)
        for first, entry in enumerate(on_air):
            self._draw(plan, entry, view_from_stage, clip_from_view, pieces)
            self._add(pieces, target, entry.weight / total, first=first == 0)

    def forget(self, scene_id: str) -> Scene | None:
        """Take a scene out; it is returned to be released, or kept, by its owner."""
        scene = self.scenes.pop(scene_id, None)
        if scene is not None:
            self.scene_pass.forget(scene)
        return scene

    def release(self) -> None:
        """Free what draws; the scenes stay."""
        self.scene_pass.release()
        if self._scratch is not None:
            release_target(self._scratch)
        if self._mix is not None:
            for thing in reversed(self._mix):
                thing.release()

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
            scene_time_s=plan.scene_time_ns / 1e9,
            exposure_ev=plan.exposure_ev,
            output=self._output,
        )

    def _scratch_of(self, size_px: tuple[int, int]) -> moderngl.Framebuffer:
        if self._scratch is None or self._scratch.size != size_px:
            if self._scratch is not None:
                release_target(self._scratch)
            self._scratch = target(self._device, size_px)
        return self._scratch

    def _add(self, piece: moderngl.Framebuffer, whole: moderngl.Framebuffer, weight: float, *, first: bool) -> None:
        ctx = self._device.ctx
        if self._mix is None:
            program = ctx.program(source("scene/full.vert"), source("scene/mix.frag"))
            self._mix = (program, ctx.vertex_array(program, []))
        program, triangle = self._mix
        whole.use()
        whole.depth_mask = True
        if first:
            whole.clear(0.0, 0.0, 0.0, 0.0)
        ctx.enable_only(moderngl.BLEND)
        ctx.blend_func = moderngl.ONE, moderngl.ONE
        picture = piece.color_attachments[0]
        assert isinstance(picture, moderngl.Texture)
        picture.use(0)
        weight_uniform = program["weight"]
        assert isinstance(weight_uniform, moderngl.Uniform)
        weight_uniform.write(np.float32(weight).tobytes())
        triangle.render(vertices=3)
        ctx.disable(moderngl.BLEND)
