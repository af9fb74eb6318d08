"""t_photo = T_present + D_wall + genlock phase + exposure/2 + read-out/2, for each camera by itself; never the feed."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.beginning import fresh_show
from controller.config import compile_config, load_config
from controller.planner import InnerLimits, Planner, photo_time_ns
from controller.show import Show
from stage.compiled import CompiledStage
from stage.rate import NS_PER_S, RATES, Rate

LOADED = load_config("minimal")
STAGE = compile_config(LOADED)


def staged(
    rate: Rate,
    latency_frames: float = 2.0,
    *,
    phase_deg: float = 0.0,
    shutter_deg: float = 180.0,
    readout_ms: float = 0.0,
) -> CompiledStage:
    """The minimal stage at another rate, its processor and camera otherwise."""
    processors = {name: replace(p, latency_frames=latency_frames) for name, p in STAGE.processors.items()}
    cameras = {
        name: replace(c, genlock_phase_deg=phase_deg, shutter_deg=shutter_deg, readout_ms=readout_ms)
        for name, c in STAGE.cameras.items()
    }
    return replace(STAGE, rate=rate, processors=processors, cameras=cameras)


@given(
    st.sampled_from(list(RATES.values())),
    st.integers(0, 10),
    st.floats(-360.0, 360.0),
    st.floats(1.0, 360.0),
    st.floats(0.0, 30.0),
    st.floats(-100.0, 100.0),
    st.integers(0, 2**62),
)
def test_the_formula(
    rate: Rate, frames: int, phase_deg: float, shutter_deg: float, readout_ms: float, delay_ms: float, t_ns: int
) -> None:
    stage = staged(rate, frames, phase_deg=phase_deg, shutter_deg=shutter_deg, readout_ms=readout_ms)
    period = Fraction(rate.den * NS_PER_S, rate.num)
    exposure = period * Fraction(shutter_deg) / 360
    readout = Fraction(readout_ms) * 10**6
    exact = t_ns + frames * period + period * Fraction(phase_deg) / 360 + exposure / 2 + readout / 2
    exact += Fraction(delay_ms) * 10**6
    assert abs(photo_time_ns(stage, stage.cameras["a"], delay_ms, t_ns) - exact) <= 1


@pytest.mark.parametrize(
    ("change", "later_ms"),
    [
        ({"phase_deg": 90.0}, 10.0),
        ({"phase_deg": -90.0}, -10.0),
        ({"shutter_deg": 360.0}, 10.0),
        ({"shutter_deg": 90.0}, -5.0),
        ({"readout_ms": 12.0}, 6.0),
        ({"latency_frames": 3.0}, 40.0),
    ],
)
def test_each_part_by_itself_at_25_fps(change: dict[str, float], later_ms: float) -> None:
    usual = staged(RATES["25"])
    other = staged(RATES["25"], **change)
    a, b = (photo_time_ns(stage, stage.cameras["a"], 0.0, 10**12) for stage in (usual, other))
    assert (b - a) / 1e6 == pytest.approx(later_ms, abs=1e-5)


def test_every_camera_of_a_plan_has_its_own() -> None:
    stage = staged(RATES["24"])
    one = stage.cameras["a"]
    two = replace(one, id="b", shutter_deg=90.0, genlock_phase_deg=45.0)
    stage = replace(stage, cameras={"a": one, "b": two})
    show: Show = fresh_show(LOADED.config, STAGE)
    show = Show(cameras={"a": show.cameras["a"], "b": show.cameras["a"]}, scenes=show.scenes)
    plan = Planner(stage, InnerLimits(scale=8)).plan(show, {}, frame=5, t_present_ns=10**12)
    told = {camera.id: camera.t_photo_ns for camera in plan.cameras}
    assert told == {name: photo_time_ns(stage, camera, 0.0, 10**12) for name, camera in stage.cameras.items()}
    # 180 degrees begun at 0 and 90 begun at 45 have the same middle.
    assert told["a"] == told["b"]
