"""What the mode a processor is in means for delay and capacity, and how that comes into the show."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs import find
from controller.api.processor_delays import ProcessorDelays
from controller.commands import Command, apply, undo_of
from controller.config import compile_config, load_config
from controller.errors import ShowLocked
from controller.planner import InnerLimits, Planner
from controller.processors.alarms import alarms_of_mode
from controller.processors.mode import Delay, capacity_of, delay_of, panels_of, size_fits
from controller.processors.model import Identity, InputSignal, Reading, Value
from controller.processors.status import ProcessorsStatus, ProcessorStatus
from controller.show import Show, first_show
from runtime.clock import NS_PER_S
from stage.config import ProcessorConfig
from stage.errors import Problem
from stage.outputs import ways_to_light
from stage.processors import processor_library
from stage.rate import Rate

LIBRARY = processor_library()
SX40, COEX = LIBRARY["brompton_tessera_sx40"], LIBRARY["novastar_mx40_pro"]
STAGE = compile_config(load_config(str(find("minimal"))))


def reading(settings: dict[str, Value] | None = None, *, rate_hz: float | None = 24.0, **more: Any) -> Reading:
    signal = InputSignal(rate_hz is not None, "sdi", 1920, 1080, rate_hz)
    return Reading(Identity("X"), settings or {}, signal, **more)


def delay(found: Reading | None, model: Any = SX40, wished: dict[str, Value] | None = None, **config: Any) -> Delay:
    return delay_of(ProcessorConfig(model="x", **config), model, found, wished or {}, Rate(24, 1))


def test_documented_frames_are_those_of_its_input() -> None:
    assert delay(None).real_frames is None
    assert delay(reading()).real_frames == 2.0
    assert not delay(reading()).differs
    fast = delay(reading(rate_hz=48.0))
    assert (fast.configured_frames, fast.real_frames, fast.differs) == (2.0, 1.0, True)
    assert delay(reading(rate_hz=50.0)).real_frames == 2.0, "no multiple of the show's: the rate alarm tells"


def test_a_measured_figure_stands_until_something_documented_moves_it() -> None:
    assert delay(reading(rate_hz=48.0), latency_frames=1.1).real_frames is None
    told = delay(reading(latency_frames=3.0), latency_frames=1.0)
    assert (told.configured_frames, told.real_frames) == (1.0, 3.0)


REMAPPED: dict[str, Value] = {
    "rate_multiplier": 2, "remapping": True, "remapping_frames": "colour 0 255 0, video 0 0"
}  # fmt: skip


def test_remapping_shows_the_picture_a_part_of_a_frame_later() -> None:
    assert delay(reading(REMAPPED)).real_frames == 2.5
    assert delay(reading({**REMAPPED, "remapping": False})).real_frames == 2.0
    assert delay(reading({**REMAPPED, "rate_multiplier": 1})).real_frames == 2.0
    measured = delay(reading(REMAPPED), wished=REMAPPED, latency_frames=2.5)
    assert measured.real_frames is None, "it was measured so"
    undone = delay(reading({**REMAPPED, "remapping": False}), wished=REMAPPED, latency_frames=2.5)
    assert undone.real_frames == 2.0


def test_what_no_document_states_is_said_and_not_guessed() -> None:
    quiet = delay(reading({"low_latency": True, "additional_frames": 0}), COEX)
    assert quiet.real_frames is None
    assert any("no document states its latency" in words for words in quiet.why)
    assert any("low latency is on" in words for words in quiet.why)
    assert delay(reading({"additional_frames": 2}), COEX).real_frames == 4.0
    assert delay(reading({"additional_frames": 2}), COEX, {"additional_frames": 2}).real_frames is None


@given(st.integers(1, 10), st.integers(0, 9), st.sampled_from([24.0, 48.0, 72.0]))
def test_remapping_never_moves_it_by_a_whole_frame(multiplier: int, first: int, rate_hz: float) -> None:
    frames = ", ".join(["colour 0 0 0"] * first + ["video 0 0"])
    settings: dict[str, Value] = {"rate_multiplier": multiplier, "remapping": True, "remapping_frames": frames}
    found = delay(reading(settings, rate_hz=rate_hz)).real_frames
    base = 2.0 * 24.0 / rate_hz
    assert found is not None
    assert base - 1e-4 <= found < base + 1.0
    if first < multiplier:
        assert found == pytest.approx(base + first / multiplier, abs=1e-4)


def test_capacity_is_that_of_the_mode_it_is_in() -> None:
    (canvas,) = STAGE.canvases.values()
    panels = panels_of(STAGE, canvas.id)
    config = ProcessorConfig(model="x", data_lines=40)
    calm = capacity_of(config, SX40, reading({"bit_depth": 8}), canvas, panels)
    assert (calm.rate_hz, calm.px_per_s, calm.over) == (24.0, canvas.width_px * canvas.height_px * 24.0, ())
    hard = capacity_of(config, SX40, reading({"bit_depth": 12, "rate_multiplier": 10}), canvas, panels)
    assert (hard.rate_hz, hard.bits) == (240.0, 12)
    assert hard.line_px == 525_000 * 60 * 8 // (240 * 12)
    assert hard.lines_used is None or (calm.lines_used or 0) < hard.lines_used
    few = capacity_of(ProcessorConfig(model="x", data_lines=1), SX40, reading({"rate_multiplier": 4}), canvas, panels)
    assert few.over
    codes = [a.code for a in alarms_of_mode("led1", Delay(2.0, 1.0), few, fits=False, now_ns=5)]
    assert codes == ["processor.size", "processor.latency", *["processor.capacity"] * len(few.over)]
    assert all(a.mend for a in alarms_of_mode("led1", Delay(2.0, 1.0), few, fits=False, now_ns=5))


def test_what_arrives_is_as_large_as_the_canvas() -> None:
    (canvas,) = STAGE.canvases.values()
    right = reading()
    signal = msgspec.structs.replace(right.signal, width_px=canvas.width_px, height_px=canvas.height_px)
    assert size_fits(msgspec.structs.replace(right, signal=signal), canvas)
    wrong = msgspec.structs.replace(signal, width_px=canvas.width_px + 2)
    assert not size_fits(msgspec.structs.replace(right, signal=wrong), canvas)
    assert size_fits(msgspec.structs.replace(right, signal=InputSignal()), canvas), "it does not say"


def test_the_moment_of_the_photo_follows() -> None:
    (name,) = STAGE.processors
    (canvas,) = STAGE.canvases
    planner, show = Planner(STAGE, InnerLimits()), first_show(STAGE, scenes=[])
    camera = next(iter(STAGE.cameras))
    before = planner.photo_time_ns(camera, show, 0)
    own = ways_to_light(STAGE)[canvas].latency_frames
    later = msgspec.structs.replace(show, processor_frames={name: own + 1.5})
    period_ns = NS_PER_S * STAGE.rate.den / STAGE.rate.num
    assert planner.photo_time_ns(camera, later, 0) - before == pytest.approx(1.5 * period_ns, abs=2)
    assert planner.photo_time_ns(camera, show, 0) == before


class Desk:
    def __init__(self) -> None:
        self.show = Show()
        self.sent: list[Command] = []
        self.refuses = False

    async def submit(self, command: Command) -> None:
        from controller.surroundings import Surroundings

        if self.refuses:
            raise ShowLocked(Problem(ShowLocked.code, "show", "rolling"))
        self.sent.append(command)
        self.show, changes = apply(self.show, command, Surroundings(processors=frozenset({"led1"})))
        self.undo = undo_of(changes)


def told(real: float | None, configured: float = 2.0, link: Any = "ready") -> ProcessorsStatus:
    status = ProcessorStatus("tessera", "", False, link, 0, delay=Delay(configured, real))
    return ProcessorsStatus(0, 1, "running", 1, {"led1": status})


def test_a_change_of_mode_changes_the_show_by_itself() -> None:
    async def play() -> None:
        desk = Desk()
        delays = ProcessorDelays(desk)
        now = 0

        async def pass_s(seconds: int, status: ProcessorsStatus) -> dict[str, float]:
            nonlocal now
            for _ in range(4 * seconds):
                now += NS_PER_S // 4
                delays.follow(status, now)
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            return desk.show.processor_frames

        assert await pass_s(5, told(2.0)) == {}
        assert not desk.sent, "as configured: nothing to change"
        delays.follow(told(1.0), now)
        assert await pass_s(5, told(2.0)) == {}, "read half-way"
        assert await pass_s(5, told(1.0, link="away")) == {}
        assert await pass_s(5, told(1.0)) == {"led1": 1.0}
        assert len(desk.sent) == 1
        # Whoever takes it back has the last word, until the mode changes again.
        desk.show = apply(desk.show, desk.undo, _around())[0]
        assert await pass_s(5, told(1.0)) == {}
        assert await pass_s(5, told(1.5)) == {"led1": 1.5}
        desk.refuses = True
        assert await pass_s(5, told(2.0)) == {"led1": 1.5}, "a take rolls"
        desk.refuses = False
        assert await pass_s(5, told(2.0)) == {}
        desk.show = msgspec.structs.replace(desk.show, processor_frames={"led1": 9.0})
        delays.forget()
        assert await pass_s(5, told(2.0)) == {}
        await delays.stop()

    asyncio.run(play())


def _around() -> Any:
    from controller.surroundings import Surroundings

    return Surroundings(processors=frozenset({"led1"}))
