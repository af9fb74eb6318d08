"""Frame N leaves every wall together: delays of processors, chosen ones and padding, through the emulators."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.config import compile_config, compile_loaded, load_config, load_config_text
from controller.planner import InnerLimits, Planner
from controller.show import first_show
from renderer.twin.emulator import Processors
from stage.compiled import CompiledStage, Encoding
from stage.outputs import apart_frames, wall_delay_frames, ways_to_light

WHOLE = compile_config(load_config("minimal"))
delays = st.lists(st.floats(0.0, 6.0) | st.sampled_from([1.0, 2.0, 2.5, 3.0, 1.25]), min_size=1, max_size=5)


def stage_of(latencies: list[float], chosen: list[int] | None = None) -> CompiledStage:
    """A small canvas for each delay, behind a processor of its own."""
    (canvas,), (processor,) = WHOLE.canvases.values(), WHOLE.processors.values()
    small = replace(canvas, width_px=16, height_px=8, encoding=Encoding("srgb", 100.0, 8, "rec709"))
    frames = chosen or [0] * len(latencies)
    return replace(
        WHOLE,
        canvases={f"c{i}": replace(small, id=f"c{i}", processor=f"p{i}", delay_frames=n) for i, n in enumerate(frames)},
        processors={f"p{i}": replace(processor, id=f"p{i}", latency_frames=d) for i, d in enumerate(latencies)},
    )


@given(delays, st.lists(st.integers(0, 4), min_size=5, max_size=5))
def test_all_walls_show_one_frame_at_d_wall_and_none_the_next(latencies: list[float], chosen: list[int]) -> None:
    stage = stage_of(latencies, chosen[: len(latencies)])
    ways = ways_to_light(stage)
    walls, held = Processors(stage), {name: way.held_back_frames for name, way in ways.items()}
    for frame in range(30):
        walls.receive(frame, {name: np.full((8, 16, 4), frame, dtype=np.uint8) for name in stage.canvases}, held)
    for frame in (12, 13):
        shown = walls.shown(frame + wall_delay_frames(ways))
        assert {int(codes[0, 0, 0]) for codes in shown.values() if codes is not None} == {frame}
    assert all(way.padding_frames >= 0 for way in ways.values())
    assert all(way.chosen_frames == n for way, n in zip(ways.values(), chosen, strict=False))


@given(st.lists(st.floats(0.0, 4.0), min_size=1, max_size=3))
def test_padding_brings_them_as_close_as_whole_frames_can(latencies: list[float]) -> None:
    ways = ways_to_light(stage_of(latencies))
    spreads = []
    for padding in product(range(6), repeat=len(latencies)):
        lights = [own + pad for own, pad in zip(latencies, padding, strict=True)]
        spreads.append(max(lights) - min(lights))
    assert apart_frames(ways) == pytest.approx(min(spreads), abs=1e-5)
    assert wall_delay_frames(ways) < max(latencies) + 1.0


@pytest.mark.parametrize(
    ("latencies", "padding", "delay"),
    [
        ([2.0, 1.0, 3.0], [1, 2, 0], 3.0),
        ([2.0, 2.0], [0, 0], 2.0),
        # 0.4 of a frame apart either way round: the slowest may have to wait for nobody.
        ([2.0, 1.6], [0, 0], 2.0),
        ([2.0, 1.4], [0, 1], 2.4),
        ([2.0, 1.5], [0, 0], 2.0),
        ([3.0000000001, 1.0], [0, 2], 3.0),
    ],
)
def test_padding_in_figures(latencies: list[float], padding: list[int], delay: float) -> None:
    ways = ways_to_light(stage_of(latencies))
    assert [way.padding_frames for way in ways.values()] == padding
    assert wall_delay_frames(ways) == pytest.approx(delay)


def test_delays_of_the_file_in_frames_and_milliseconds() -> None:
    demo = load_config("demo")
    text = demo.source + "\noutputs:\n  left: {delay_frames: 1}\n  right: {delay_ms: 83.3333333}\n"
    stage = compile_config(load_config_text(text, base_dir=demo.base_dir))
    ways = ways_to_light(stage)
    usual = ways_to_light(compile_config(demo))["left"].latency_frames
    # 83.3 ms are two frames at 24: the right half needs them, the left is held back for them.
    assert ways["right"].latency_frames == pytest.approx(usual + 2.0)
    assert (ways["left"].chosen_frames, ways["left"].padding_frames) == (1, 1)
    assert (ways["right"].chosen_frames, ways["right"].padding_frames) == (0, 0)
    assert wall_delay_frames(ways) == pytest.approx(usual + 2.0)


def test_what_is_chosen_live_is_padded_and_predicted_to() -> None:
    stage = stage_of([2.0, 3.0])
    planner = Planner(stage, InnerLimits())
    show = first_show(stage, scenes=[])
    usual_ns = planner.photo_time_ns("a", show, 0)
    assert planner.plan(show, {}, frame=0, t_present_ns=0).output_delays == {"c0": 1, "c1": 0}
    later = msgspec.structs.replace(show, output_delays={"c0": 3, "c1": 0})
    plan = planner.plan(later, {}, frame=1, t_present_ns=0)
    assert plan.output_delays == {"c0": 3, "c1": 2}
    moved_ns = plan.cameras[0].t_photo_ns - usual_ns
    assert moved_ns == pytest.approx(2e9 * stage.rate.den / stage.rate.num, abs=2)


def test_walls_that_cannot_be_brought_together_are_told() -> None:
    demo = load_config("demo")
    text = demo.source + "\noutputs:\n  right: {delay_ms: 12.0}\n"
    found = compile_loaded(load_config_text(text, base_dir=demo.base_dir))
    (warning,) = [w for w in found.warnings if w.code == "stage.walls_apart"]
    assert "12.0 ms apart" in warning.detail
    assert not [w for w in compile_loaded(demo).warnings if w.code == "stage.walls_apart"]
