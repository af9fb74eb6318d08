"""The renderer: versions side by side, frames submitted and collected, orders obeyed, nothing loaded said clearly."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from renderer.config import RenderConfig
from renderer.device import Device, unpack_10bit
from renderer.patterns import PatternError
from renderer.renderer import NoStageError, Renderer
from renderer.scene_world import UnknownSceneError
from stage.compiled import Encoding
from stage.frames import pose
from stage.plan import PlanScene, matrix16

SMALL = RenderConfig(outer_px=32, work_light_nits=100.0, dither=False)
PQ = Encoding("pq", 10000.0, 10, "rec2020")
SDR = Encoding("gamma24", 200.0, 8, "rec709")


@pytest.fixture
def renderer(gl: Device) -> Any:
    made = Renderer(gl)
    yield made
    made.release()


def test_each_plan_is_drawn_on_its_own_version(gl: Device, renderer: Renderer, wallkit: ModuleType) -> None:
    renderer.load_stage(wallkit.flat_wall(2, 1, px=8, encoding=PQ), version=3, render=SMALL)
    renderer.load_stage(wallkit.flat_wall(4, 2, px=8, encoding=SDR), version=4, render=SMALL)
    assert renderer.stage_versions == (3, 4)
    world = wallkit.even_world(gl.ctx, 1.0)
    three = renderer.draw(wallkit.plan(config_version=3), world=world)["c"]
    four = renderer.draw(wallkit.plan(config_version=4), world=world)["c"]
    assert (three.array.shape, three.format, three.fourcc) == ((8, 16), "rgb10a2", "AB30")
    assert (four.array.shape, four.format, four.fourcc) == ((16, 32, 4), "rgba8", "AB24")
    # 100 nit of white: PQ code 520; half the light of a 200-nit gamma canvas, 255 * 0.5 ** (1 / 2.4) = 191.0.
    assert np.abs(unpack_10bit(three.array).astype(int) - 520).max() <= 1
    assert np.abs(four.array[..., :3].astype(int) - 191).max() <= 1
    renderer.drop_stage(3)
    with pytest.raises(NoStageError) as caught:
        renderer.draw(wallkit.plan(config_version=3), world=world)
    assert "loaded: 4" in caught.value.problems[0].detail


def test_frames_are_collected_into_given_memory(gl: Device, renderer: Renderer, wallkit: ModuleType) -> None:
    renderer.load_stage(wallkit.flat_wall(2, 1, px=8, encoding=PQ), render=SMALL)
    memory = bytearray(16 * 8 * 4 + 100)
    submission = renderer.submit(wallkit.plan(), world=wallkit.even_world(gl.ctx, 1.0))
    assert submission.wait(10**10)
    assert submission.done
    picture = submission.collect({"c": memoryview(memory)})["c"]
    assert np.shares_memory(picture.array, np.frombuffer(memory, dtype=np.uint8))
    assert (
        np.abs(unpack_10bit(np.frombuffer(memory, dtype=np.uint32, count=128).reshape(8, 16)).astype(int) - 520).max()
        <= 1
    )
    assert not any(memory[16 * 8 * 4 :])


def test_the_same_memory_serves_every_frame(gl: Device, renderer: Renderer, wallkit: ModuleType) -> None:
    renderer.load_stage(wallkit.flat_wall(2, 1, px=8), render=SMALL)
    world = wallkit.even_world(gl.ctx, 1.0)
    first = renderer.draw(wallkit.plan(), world=world)["c"].array
    second = renderer.draw(wallkit.plan(frame=2), world=world)["c"].array
    assert first is second


def test_orders_are_obeyed_and_the_show_comes_back(gl: Device, renderer: Renderer, wallkit: ModuleType) -> None:
    renderer.load_stage(wallkit.flat_wall(2, 1, px=16, encoding=PQ), render=SMALL)
    world = wallkit.even_world(gl.ctx, 10.0)

    def codes(*actions: Any, frame: int = 2) -> Any:
        return unpack_10bit(
            renderer.draw(wallkit.plan(frame=frame, drawn=1, actions=list(actions)), world=world)["c"].array
        )

    show = codes()
    assert np.abs(show.astype(int) - 769).max() <= 1
    assert np.all(codes("black") == 0)
    assert np.all(codes("work") == 520)
    safe = codes("safe")
    assert 0 < safe.max() <= 366
    assert len(np.unique(safe)) > 3
    assert np.all(codes("safe", "work", "black") == 0)
    assert np.array_equal(codes("hold"), show)
    assert np.array_equal(codes(), show)


def test_without_a_scene_the_walls_are_black(renderer: Renderer, wallkit: ModuleType) -> None:
    renderer.load_stage(wallkit.flat_wall(2, 1, px=8, encoding=PQ), render=SMALL)
    assert np.all(unpack_10bit(renderer.draw(wallkit.plan(wallkit.camera()))["c"].array) == 0)


def test_a_scene_that_is_not_loaded_is_named(renderer: Renderer, wallkit: ModuleType) -> None:
    renderer.load_stage(wallkit.flat_wall(2, 1, px=8), render=SMALL)
    plan = wallkit.plan()
    plan.scenes.append(PlanScene("desert", 1, 1.0, matrix16(pose((0, 0, 0)))))
    with pytest.raises(UnknownSceneError):
        renderer.draw(plan)


def test_an_unknown_pattern_draws_nothing_and_is_named(gl: Device, renderer: Renderer, wallkit: ModuleType) -> None:
    renderer.load_stage(wallkit.flat_wall(2, 1, px=8), render=SMALL)
    world = wallkit.even_world(gl.ctx, 1.0)
    with pytest.raises(PatternError):
        renderer.draw(wallkit.plan(patterns=[wallkit.pattern("plaid")]), world=world)
    assert world.draws == 0


def test_a_stage_is_loaded_in_slices_while_another_is_drawn(
    gl: Device, renderer: Renderer, wallkit: ModuleType
) -> None:
    world = wallkit.even_world(gl.ctx, 1.0)
    renderer.load_stage(wallkit.flat_wall(2, 1, px=8, encoding=PQ), version=1, render=SMALL)
    first = renderer.draw(wallkit.plan(config_version=1), world=world)["c"].array.copy()
    slices = renderer.loading_stage(wallkit.flat_wall(3, 1, px=8, encoding=PQ), version=2, render=SMALL)
    steps = 0
    for _ in slices:
        steps += 1
        assert renderer.stage_versions == (1,)
        assert np.array_equal(renderer.draw(wallkit.plan(config_version=1), world=world)["c"].array, first)
    assert steps >= 6
    assert renderer.stage_versions == (1, 2)
    assert set(renderer.action_pictures(2)) == {"black", "identify", "work", "safe"}
    abandoned = renderer.loading_stage(wallkit.flat_wall(4, 1, px=8, encoding=PQ), version=3, render=SMALL)
    next(abandoned)
    next(abandoned)
    abandoned.close()
    assert renderer.stage_versions == (1, 2)
