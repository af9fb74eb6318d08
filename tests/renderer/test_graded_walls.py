"""Grades on canvases: each layer's light is the reference's, walls have their own, and what has none is as before."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from renderer.colour.encode import canvas_colour
from renderer.colour.grade import graded
from renderer.config import RenderConfig
from renderer.device import Device
from renderer.passes.grade import LayerGrades, layer_grade
from renderer.renderer import Renderer
from stage.frames import Array
from stage.grade import NEUTRAL, Grade, stacked
from stage.plan import FramePlan, PlanLook

FINE = RenderConfig(outer_px=128, dither=False)
AFFINE = Grade(
    exposure_ev=0.7, temperature_k=3800.0, tint=6.0, saturation=0.6, gain=(1.1, 1.0, 0.9), lift=(0.02, 0.0, 0.0)
)
FULL = Grade(
    exposure_ev=-0.5, temperature_k=7500.0, cdl_slope=(1.1, 0.9, 1.0), cdl_offset=(0.01, 0.0, -0.02),
    cdl_power=(1.2, 0.9, 1.0), cdl_saturation=0.8, contrast=1.3, lift=(0.0, 0.01, 0.02), gamma=(1.1, 1.0, 0.9),
    gain=(1.0, 0.95, 1.05), saturation=1.2,
)  # fmt: skip
COLOURED = """vec4 world(vec3 d, vec3 e) {
    vec3 n = normalize(d); return vec4(abs(n.x) * 4.0 + 0.01, 0.4, 2.0 * n.z * n.z, 1.0); }"""


@pytest.fixture(scope="module")
def renderer(gl: Device) -> Iterator[Renderer]:
    made = Renderer(gl)
    yield made
    made.release()


def looks(**grades: Grade) -> list[PlanLook]:
    names = {"camera": "cameras/a", "left": "walls/left", "right": "walls/right"}
    return [PlanLook("warm", 1, 1.0, [names.get(layer, layer)], grade) for layer, grade in grades.items()]


def stage_of_two_walls(wallkit: ModuleType) -> Any:
    sides = [
        wallkit.cabinet(
            k, wallkit.flat_corners((x, 4.0, 1.5), 1.0, 1.0), (0, 0, 64, 64), (64 * k, 0, 64, 64), wall=name
        )
        for k, (name, x) in enumerate((("left", -0.5), ("right", 0.5)))
    ]
    return wallkit.stage_of(sides, size=(128, 64))


def drawn(renderer: Renderer, plan: FramePlan, world: Any, output: Any = "light") -> Array:
    return np.array(renderer.draw(plan, world=world, output=output)["c"].array)


def light(renderer: Renderer, plan: FramePlan, world: Any) -> Array:
    return drawn(renderer, plan, world)[..., :3].astype(np.float64)


@pytest.mark.parametrize("grade", [AFFINE, FULL, Grade(contrast=1.5), Grade(exposure_ev=-3.0)])
def test_each_layers_light_is_the_references(gl: Device, renderer: Renderer, wallkit: ModuleType, grade: Grade) -> None:
    stage = stage_of_two_walls(wallkit)
    world = wallkit.ShaderWorld(gl.ctx, COLOURED)
    renderer.load_stage(stage, render=FINE)
    camera = wallkit.camera(walls=("left", "right"), raster=(256, 160), overscan=(0.0,) * 4, pan=15.0)
    plain = light(renderer, wallkit.plan(camera, frame=1), world)
    inside = drawn(renderer, wallkit.plan(camera, frame=2), world, "coverage")[..., 0] == 1.0
    assert 0.1 < inside.mean() < 0.9
    for frame, (layers, where) in enumerate(
        (
            ({"outer": grade}, ~inside),
            ({"inner": grade}, inside),
            ({"camera": grade}, inside),
            ({"right": grade}, np.arange(128)[None, :] >= 64),
            ({"outer": grade, "inner": grade}, np.ones_like(inside)),
        ),
        start=3,
    ):
        found = light(renderer, wallkit.plan(camera, frame=frame, looks=looks(**layers)), world)
        where = np.broadcast_to(where, inside.shape)
        expected = np.where(where[..., None], graded(plain, grade), plain)
        # Mesa's powers are approximations: a tenth of a per cent of what is there.
        assert np.abs(found - expected).max() <= 1e-3 * expected.max(), layers
        assert np.abs(found / expected - 1.0)[expected > 0.02].max() <= 2e-3, layers
        # Where a layer with a grade meets one without, another program works out the same numbers.
        assert np.abs(found - plain)[~where].max(initial=0.0) <= 1e-6 * plain.max()


def test_neutral_is_as_none_to_the_bit(gl: Device, renderer: Renderer, wallkit: ModuleType) -> None:
    stage = stage_of_two_walls(wallkit)
    world = wallkit.ShaderWorld(gl.ctx, COLOURED)
    for _ in renderer.loading_stage(stage, render=RenderConfig(outer_px=128), actions=False, grades=True):
        pass
    camera = wallkit.camera(walls=("left", "right"), raster=(256, 160), feather=2.0)
    plain = drawn(renderer, wallkit.plan(camera, frame=1), world, "canvas")
    neutral = looks(outer=NEUTRAL, inner=NEUTRAL, left=NEUTRAL)
    assert np.array_equal(drawn(renderer, wallkit.plan(camera, frame=2, looks=neutral), world, "canvas"), plain)
    changed = drawn(renderer, wallkit.plan(camera, frame=3, looks=looks(outer=FULL, inner=AFFINE)), world, "canvas")
    assert not np.array_equal(changed, plain)
    assert np.array_equal(drawn(renderer, wallkit.plan(camera, frame=4), world, "canvas"), plain), "undone"
    nothing = [PlanLook("night", 1, 0.0, ["outer"], FULL), PlanLook("old", 1, 1.0, ["outer"])]
    assert np.array_equal(drawn(renderer, wallkit.plan(camera, frame=5, looks=nothing), world, "canvas"), plain)


def test_codes_are_those_of_the_graded_light_and_a_resting_outer_follows(
    gl: Device, renderer: Renderer, wallkit: ModuleType
) -> None:
    stage = stage_of_two_walls(wallkit)
    world = wallkit.ShaderWorld(gl.ctx, COLOURED)
    renderer.load_stage(stage, render=FINE)
    colour = canvas_colour(wallkit.PQ, knee=FINE.roll_off_knee, content=FINE.roll_off_content, dither=False)
    plain = light(renderer, wallkit.plan(frame=1), world)
    drawn(renderer, wallkit.plan(frame=1), world, "canvas")
    for number, layers in enumerate(({"outer": FULL}, {"outer": FULL, "left": AFFINE}, {}, {"right": AFFINE}), start=2):
        # Drawn for frame 1 still: nothing but the looks has changed.
        plan = wallkit.plan(frame=number, drawn=1, looks=looks(**layers))
        words = drawn(renderer, plan, world, "canvas")
        codes = np.stack([words >> shift & 1023 for shift in (0, 10, 20)], axis=-1).astype(np.int64)
        for wall, columns in (("left", slice(0, 64)), ("right", slice(64, 128))):
            of_wall = [layers[name] for name in ("outer", wall) if name in layers]
            expected = colour.codes(graded(plain[:, columns], stacked(of_wall)))
            assert np.abs(codes[:, columns] - expected).max() <= 1, (layers, wall)


def test_looks_of_a_layer_are_laid_over_each_other() -> None:
    two = [
        PlanLook("a", 1, 0.5, ["outer", "walls/left"], Grade(exposure_ev=-2.0)),
        *looks(outer=Grade(exposure_ev=0.25)),
    ]
    assert layer_grade(two, "outer") == Grade(exposure_ev=-0.75)
    assert layer_grade(two, "outer", "walls/left") == Grade(exposure_ev=-1.75)
    assert layer_grade(two, "inner", "cameras/a") == NEUTRAL
    grades = LayerGrades(two)
    assert grades.walls == ("left",)
    assert (grades.of(None, 0).level, grades.of("a", 0).level, grades.of("a", 1).level) == (1, 0, 1)
    assert LayerGrades(two).key == grades.key != LayerGrades(two[:1]).key
