"""What single outputs show in place of their pictures, and their signed delays: from the command to the ring."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.beginning import surroundings
from controller.commands import Command, apply, undo_of
from controller.config import compile_config, load_config, load_config_text
from controller.errors import BadValue
from controller.osc import command_of
from controller.planner import InnerLimits, Planner
from controller.show import first_show
from renderer.actions import ActionPictures
from renderer.twin.emulator import Processors
from stage.compiled import CompiledStage
from stage.errors import ConfigError
from stage.outputs import wall_delay_frames, ways_to_light
from stage.plan import PlanOutput, PlanPattern, decode_plan, encode_plan

DEMO = load_config("demo")
STAGE = compile_config(DEMO)
AROUND = surroundings(DEMO.config, STAGE)
Desk = Any


@pytest.fixture
def desk(shm: Path, housekit: ModuleType) -> Iterator[Desk]:
    from tests.controller.test_painter import Desk as Made

    made = Made(shm, housekit)
    yield made
    made.painter.close()


def plans(*commands: dict[str, Any], frames: int = 3) -> list[dict[str, PlanOutput]]:
    """`outputs` of every frame's plan, so many frames after each command."""
    planner, show = Planner(STAGE, InnerLimits()), first_show(STAGE, scenes=[])
    found = []
    for command in commands:
        show, _ = apply(show, Command(command), AROUND)
        for _ in range(frames):
            frame = len(found)
            plan = planner.plan(show, {}, frame=frame, t_present_ns=0)
            assert decode_plan(encode_plan(plan)) == plan
            found.append(plan.outputs)
    return found


def test_the_plan_says_what_a_canvas_shows_and_since_when() -> None:
    freeze, black = {"canvases/left/frozen": True}, {"canvases/left/black": True}
    shown = plans({}, freeze, black, {"canvases/left/black": False}, {"canvases/left/frozen": False})
    assert shown[2] == {}
    assert [outputs["left"] for outputs in shown[3:6]] == [PlanOutput("frozen", 3)] * 3
    assert [outputs["left"] for outputs in shown[6:9]] == [PlanOutput("black", 6)] * 3
    assert [outputs["left"] for outputs in shown[9:12]] == [PlanOutput("frozen", 9)] * 3
    assert shown[12] == {}


def test_a_planner_that_takes_over_keeps_the_frame_it_was_frozen_at() -> None:
    show, _ = apply(first_show(STAGE, scenes=[]), Command({"canvases/right/frozen": True}), AROUND)
    first = Planner(STAGE, InnerLimits())
    plan = first.plan(show, {}, frame=7, t_present_ns=0)
    with first.practice():
        first.plan(show, {}, frame=100, t_present_ns=0)
    second = Planner(STAGE, InnerLimits())
    second.remember(plan)
    for planner in (first, second):
        assert planner.plan(show, {}, frame=8, t_present_ns=0).outputs == {"right": PlanOutput("frozen", 7)}


def test_commands_are_undone_and_come_by_osc() -> None:
    show = first_show(STAGE, scenes=[])
    command = command_of("/canvases/left/identify", (1,), "osc")
    assert command is not None
    on, changes = apply(show, command, AROUND)
    assert on.outputs["left"].identify
    off, _ = apply(on, undo_of(changes), AROUND)
    assert off.outputs == {}
    later, changes = apply(show, Command({"canvases/left/delay_ms": -12.5, "canvases/left/delay_frames": -2}), AROUND)
    assert (later.output_delays_ms["left"], later.output_delays["left"]) == (-12.5, -2)
    back, _ = apply(later, undo_of(changes), AROUND)
    assert back == show
    with pytest.raises(BadValue):
        apply(show, Command({"canvases/left/delay_ms": 1001.0}), AROUND)


def test_black_frozen_and_the_card_reach_the_ring(desk: Desk) -> None:
    desk.prepare(desk.version(1))
    cards = ActionPictures(desk.stage, desk.loaded.config.render)
    own: dict[int, np.ndarray] = {}

    def shown(frame: int, picture: str | None = None, since: int = 0, action: str = "none") -> np.ndarray:
        outputs = {} if picture is None else {"main": PlanOutput(picture, since)}  # type: ignore[arg-type]
        plan = desk.plan(frame, outputs=outputs, patterns=[PlanPattern(f"uniform_{10 * frame + 5}")])
        desk.painter.draw(plan)
        own[frame] = desk.painter._drawn["main"].array.copy()
        desk.painter.present(plan, 1, action)
        number, _, codes = desk.newest()
        assert number == frame
        assert desk.painter.late == {}
        return np.asarray(codes)

    assert np.array_equal(shown(1), own[1])
    assert np.array_equal(shown(2, "black", 2), cards.codes("black", "main"))
    assert np.array_equal(shown(3), own[3])
    for frame in (4, 5, 6):
        assert np.array_equal(shown(frame, "frozen", 4), own[4])
    assert np.array_equal(shown(7, "frozen", 4, action="work"), cards.codes("work", "main")), "orders go before"
    assert np.array_equal(shown(8, "frozen", 4), own[4])
    assert np.array_equal(shown(9), own[9])
    # A node that has not seen the frame it is frozen at keeps what it shows.
    assert np.array_equal(shown(10, "frozen", 2), own[9])
    card = cards.codes("identify", "main")
    assert card[..., :3].max() > 60
    for frame in range(11, 11 + 36):
        lit = (frame - 11) // 12 % 2 == 0
        assert np.array_equal(shown(frame, "identify", 11), card if lit else own[frame])


def two_of(latencies: tuple[float, float]) -> CompiledStage:
    processors = {
        name: replace(processor, latency_frames=latency)
        for (name, processor), latency in zip(STAGE.processors.items(), latencies, strict=True)
    }
    return replace(STAGE, processors=processors)


@given(
    st.tuples(st.floats(0.0, 4.0), st.floats(0.0, 4.0)), st.integers(-4, 4), st.integers(-4, 4), st.floats(-200, 200)
)
def test_signed_delays_never_ask_for_the_impossible(
    latencies: tuple[float, float], left: int, right: int, chain_ms: float
) -> None:
    stage = two_of(latencies)
    ways = ways_to_light(stage, {"left": left, "right": right}, {"left": chain_ms, "right": 0.0})
    assert all(way.held_back_frames >= 0 and way.latency_frames >= 0.0 for way in ways.values())
    assert min(way.padding_frames for way in ways.values()) == 0
    lights = [way.to_light_frames for way in ways.values()]
    assert max(lights) - min(lights) < 1.0, "the walls are together, for what their ways are taken to be"


def test_a_negative_delay_hands_a_picture_over_before_the_others() -> None:
    stage = two_of((2.0, 2.0))
    ways = ways_to_light(stage, {"left": -2, "right": 0})
    assert {name: way.held_back_frames for name, way in ways.items()} == {"left": 0, "right": 2}
    assert wall_delay_frames(ways) == pytest.approx(4.0)
    # Through the emulators: a way that is truly two frames longer than known shows the same frame again.
    walls = Processors(two_of((4.0, 2.0)))
    small = {name: replace(canvas, width_px=16, height_px=8) for name, canvas in stage.canvases.items()}
    for name, emulator in walls.emulators.items():
        emulator.canvas = small[name]
    held = {name: way.held_back_frames for name, way in ways.items()}
    for frame in range(20):
        walls.receive(frame, {name: np.full((8, 16), frame, dtype=np.uint32) for name in small}, held)
    shown = walls.shown(12 + wall_delay_frames(ways))
    assert {int(codes[0, 0]) for codes in shown.values() if codes is not None} == {12}


def test_milliseconds_are_signed_live_and_in_the_file() -> None:
    frame_ms = 1000.0 / 24
    text = DEMO.source + f"\noutputs:\n  left: {{delay_ms: {-frame_ms}, delay_frames: -1}}\n"
    stage = compile_config(load_config_text(text, base_dir=DEMO.base_dir))
    usual = ways_to_light(STAGE)["left"].latency_frames
    assert stage.processors["led1"].latency_frames == pytest.approx(usual - 1.0)
    show = first_show(stage, scenes=[])
    assert (show.output_delays["left"], show.output_delays_ms["left"]) == (-1, pytest.approx(-frame_ms))
    # What is said live is in place of the file's, not on top.
    same = ways_to_light(stage, show.output_delays, show.output_delays_ms)
    assert same == ways_to_light(stage)
    ways = ways_to_light(stage, {}, {"left": 0.0, "right": 0.0})
    assert ways["left"].latency_frames == pytest.approx(usual)
    planner = Planner(stage, InnerLimits())
    later = msgspec.structs.replace(show, output_delays_ms={"left": 2 * frame_ms, "right": 0.0}, output_delays={})
    assert planner.plan(later, {}, frame=0, t_present_ns=0).output_delays == {"left": 0, "right": 2}
    with pytest.raises(ConfigError, match="reach the light before it is sent"):
        compile_config(load_config_text(DEMO.source + "\noutputs:\n  left: {delay_ms: -900}\n", base_dir=DEMO.base_dir))
