"""Lens-aware focus against the thin lens: the wall's and the camera's blur together are the real thing's."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import moderngl
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from renderer.config import RenderConfig
from renderer.device import Device
from renderer.renderer import Renderer
from renderer.twin.camera import VirtualCamera
from stage.focus import added_tangent, aperture_m, disc_tangent, focus_from_pupil_m, reach_deg
from stage.overscan import required_overscan
from stage.plan import FramePlan, PlanLens

LENS = PlanLens(
    focal_length_mm=50.0, sensor_width_mm=24.0, sensor_height_mm=13.5, entrance_pupil_m=0.1, focus_distance_m=2.1,
    f_stop=1.0,
)  # fmt: skip
WALL_M = 3.9
"""From the pupil."""


class Boards:
    """Boards upright before a camera that looks along +Y: (distance along Y from the pupil, x, z, half side, light)."""

    def __init__(self, device: Device, *boards: tuple[float, float, float, float, float], sky: float = 0.0) -> None:
        self.sky = sky
        corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, -1), (1, 1), (-1, 1)])
        rows = [
            (x + dx * half, 0.1 + y, 1.5 + z + dz * half, light)
            for y, x, z, half, light in boards
            for dx, dz in corners
        ]
        self._count = len(rows)
        self._program = device.ctx.program(
            "#version 450\nuniform mat4 clip; in vec3 p; in float l; out float v; "
            "void main() { v = l; gl_Position = clip * vec4(p, 1.0); }",
            "#version 450\nin float v; out vec4 c; void main() { c = vec4(v, v, v, 1.0); }",
        )
        self._buffer = device.ctx.buffer(np.array(rows, np.float32).tobytes() or bytes(16))
        self._array = device.ctx.vertex_array(self._program, [(self._buffer, "3f 1f", "p", "l")])
        self._ctx = device.ctx

    def prepare(self, plan: FramePlan) -> None:
        pass

    def draw(self, plan: FramePlan, *, view_from_stage: Any, clip_from_view: Any, target: moderngl.Framebuffer) -> None:
        target.use()
        target.clear(self.sky, self.sky, self.sky, 1.0, depth=1.0)
        self._ctx.enable_only(moderngl.DEPTH_TEST)
        clip = self._program["clip"]
        assert isinstance(clip, moderngl.Uniform)
        clip.write(np.ascontiguousarray((clip_from_view @ view_from_stage).T, dtype=np.float32).tobytes())
        self._array.render(moderngl.TRIANGLES, vertices=self._count)

    def release(self) -> None:
        self._array.release()
        self._buffer.release()
        self._program.release()


class Bench:
    """One flat wall 4 m before the camera, finer than the blur; what its LEDs shine, [h, w]."""

    def __init__(self, device: Device, wallkit: ModuleType, **render: Any) -> None:
        self.device, self.kit = device, wallkit
        self.stage = wallkit.flat_wall(columns=4, rows=3, px=128, side_m=0.5, distance_m=4.0, bottom_m=0.75)
        self.renderer = Renderer(device)
        self.renderer.load_stage(self.stage, render=RenderConfig(outer_px=16, **render))

    def plan(self, *, blur_deg: float, lens: PlanLens = LENS) -> FramePlan:
        camera = self.kit.camera(lens=lens, raster=(1200, 800), overscan=(2.0, 2.0, 2.0, 2.0))
        return self.kit.plan(msgspec.structs.replace(camera, focus_blur_deg=blur_deg))  # type: ignore[no-any-return]

    def light(self, world: Boards, **plan: Any) -> Any:
        drawn = self.renderer.draw(self.plan(**plan), world=world, output="light")
        return drawn["c"].array[..., 0].astype(np.float64)

    def release(self) -> None:
        self.renderer.release()


@pytest.fixture
def bench(gl: Device, wallkit: ModuleType) -> Any:
    made = Bench(gl, wallkit)
    yield made
    made.release()


def spread(light: Any, step: float) -> tuple[float, float]:
    """Variance across, and sum, of a picture whose pixels are `step` apart."""
    across = light.sum(axis=0)
    x = np.arange(len(across)) * step
    middle = (across * x).sum() / across.sum()
    return float((across * (x - middle) ** 2).sum() / across.sum()), float(light.sum())


# --- the formula --------------------------------------------------------------------------------------------------

lenses = st.builds(
    PlanLens,
    focal_length_mm=st.floats(12, 300),
    sensor_width_mm=st.just(36.0),
    sensor_height_mm=st.just(20.0),
    entrance_pupil_m=st.floats(0.0, 0.2),
    focus_distance_m=st.floats(0.5, 50),
    f_stop=st.floats(0.7, 22),
)


@given(lens=lenses, content=st.floats(0.3, 1e5), wall=st.floats(0.5, 50))
def test_blurs_add_as_squares_to_that_of_the_real_thing(lens: PlanLens, content: float, wall: float) -> None:
    own, by_wall = float(disc_tangent(lens, content)), float(disc_tangent(lens, wall))
    added = float(added_tangent(lens, content, wall))
    if own >= by_wall:
        assert added**2 + by_wall**2 == pytest.approx(own**2, rel=1e-9)
    else:
        assert added == 0.0
    assert float(added_tangent(lens, wall, wall)) == 0.0
    # On the sensor, by the lens maker's way: focal length f, image of the focus at f s / (s - f); told by tangents it
    # is the disc over the image's distance.
    s, f = focus_from_pupil_m(lens), lens.focal_length_mm / 1000.0
    assert s is not None
    if s > 2 * f:
        image, sharp = f * content / (content - f), f * s / (s - f)
        on_sensor = f / lens.f_stop * abs(image - sharp) / image if lens.f_stop and content > 2 * f else None
        if on_sensor is not None:
            assert own == pytest.approx(on_sensor / sharp, rel=1e-6, abs=1e-12)


@given(lens=lenses, most=st.floats(0.0, 5.0), content=st.floats(0.3, 1e6), wall=st.floats(0.5, 50))
def test_the_reach_covers_the_widest_disc(lens: PlanLens, most: float, content: float, wall: float) -> None:
    reach = reach_deg(lens, most)
    assert 0.0 <= reach <= most
    focus = focus_from_pupil_m(lens)
    assert focus is not None
    if reach < most and content > focus / 2.0:
        assert np.degrees(np.arctan(float(added_tangent(lens, content, wall)) / 2)) <= reach + 1e-9


def test_without_data_there_is_no_blur_and_no_cover() -> None:
    for lens in (msgspec.structs.replace(LENS, f_stop=None), msgspec.structs.replace(LENS, focus_distance_m=None)):
        assert not disc_tangent(lens, [1.0, np.inf]).any()
        assert reach_deg(lens, 2.0) == 0.0
    assert aperture_m(LENS) == pytest.approx(0.05)
    assert focus_from_pupil_m(LENS) == pytest.approx(2.0)
    assert reach_deg(LENS, 0.0) == 0.0
    common: dict[str, Any] = {
        "prediction_deg": (0.0,) * 4, "hold_deg": (0.0,) * 4, "soft_edge_deg": 0.5, "margin_deg": 0.3, "max_deg": 20.0,
    }  # fmt: skip
    with_blur = required_overscan(LENS, focus_deg=reach_deg(LENS, 5.0), **common)
    assert np.allclose(
        np.subtract(with_blur.total_deg, required_overscan(LENS, **common).total_deg), with_blur.focus_deg
    )
    assert with_blur.focus_deg == pytest.approx(np.degrees(np.arctan(0.05 / 2.0 / 2.0)))


# --- on the wall --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("distance_m", [6.0, 12.0, 300.0, 1.3])
def test_a_point_is_as_wide_as_the_lens_would_make_it(bench: Bench, distance_m: float) -> None:
    """A dot behind the wall, far away, or before the focus: its width on the wall is the root of the difference."""
    step = 0.5 / 128 / WALL_M  # tangents between LEDs
    dot = Boards(
        bench.device,
        (distance_m, 0.02 * distance_m, 0.0, 0.004 * distance_m, 5.0),
        (distance_m * 1.01, 0.0, 0.0, distance_m, 0.0),
    )
    plain, light = spread(bench.light(dot, blur_deg=0.0), step)
    blurred, kept = spread(bench.light(dot, blur_deg=3.0), step)
    want = float(added_tangent(LENS, distance_m, WALL_M))
    # A disc's variance across is its width squared over 16.
    assert 4.0 * np.sqrt(max(0.0, blurred - plain)) == pytest.approx(want, rel=0.08)
    assert kept == pytest.approx(light, rel=0.08)
    dot.release()


def test_in_the_photo_the_point_is_as_wide_as_the_real_one(bench: Bench) -> None:
    """Filmed off the twin's wall, with the lens' own blur of the wall added, the width is that of the real thing."""
    distance_m = 15.0
    dot = Boards(bench.device, (distance_m, 0.0, 0.0, 0.06, 5.0), (distance_m * 1.01, 0.0, 0.0, distance_m, 0.0))
    twin = VirtualCamera(bench.device, bench.stage)
    widths = []
    for blur in (0.0, 3.0):
        plan = bench.plan(blur_deg=blur)
        codes = {name: picture.array.copy() for name, picture in bench.renderer.draw(plan, world=dot).items()}
        photo = twin.photo(codes, plan, width_px=480, fine=2)[..., 0].astype(np.float64)
        widths.append(spread(np.maximum(photo - 1e-3, 0.0), 24.0 / 50.0 / 480)[0])
    by_camera = float(disc_tangent(LENS, WALL_M)) ** 2 / 16.0
    real = float(disc_tangent(LENS, distance_m)) ** 2 / 16.0
    assert widths[1] - widths[0] + by_camera == pytest.approx(real, rel=0.08)
    dot.release()


def test_what_stands_at_the_wall_or_in_focus_is_left_alone(bench: Bench) -> None:
    for distance_m in (WALL_M, 2.0, 2.6):
        world = Boards(bench.device, (distance_m, 0.0, 0.0, 5.0, 1.0), (distance_m, 0.05, 0.0, 0.01, 3.0))
        sharp, same = bench.light(world, blur_deg=0.0), bench.light(world, blur_deg=3.0)
        assert np.array_equal(sharp, same)
        world.release()


def test_a_bright_background_does_not_leak_onto_what_is_in_focus(bench: Bench) -> None:
    world = Boards(bench.device, (2.0, 0.0, 0.0, 0.1, 0.2), sky=4.0)
    sharp, blurred = bench.light(world, blur_deg=0.0), bench.light(world, blur_deg=3.0)
    inside = np.isclose(sharp, 0.2, rtol=1e-3)
    inside[1:-1, 1:-1] &= inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
    assert inside.sum() > 400
    assert np.abs(blurred[inside] - 0.2).max() < 0.05
    outside = np.isclose(sharp, 4.0, rtol=1e-3)
    assert np.abs(blurred[outside] / 4.0 - 1.0).mean() < 0.03
    world.release()


def test_a_near_thing_blurs_over_what_lies_behind(bench: Bench) -> None:
    world = Boards(bench.device, (1.0, 0.0, 0.0, 0.05, 4.0), (WALL_M, 0.0, 0.0, 5.0, 1.0))
    sharp, blurred = bench.light(world, blur_deg=0.0), bench.light(world, blur_deg=3.0)
    row = blurred[blurred.shape[0] // 2]
    rising = np.diff(row[: len(row) // 2])
    assert (rising > -0.2).all()  # no ring about it
    width_leds = float(added_tangent(LENS, 1.0, WALL_M)) * WALL_M / 0.5 * 128
    edge = np.flatnonzero(rising > 0.02)
    assert 0.6 * width_leds < edge[-1] - edge[0] < 1.3 * width_leds
    assert blurred.max() <= sharp.max() * 1.001
    world.release()


def test_samples_are_joined_with_their_depth(gl: Device, wallkit: ModuleType) -> None:
    made = Bench(gl, wallkit, msaa=4)
    dot = Boards(gl, (3000.0, 60.0, 0.0, 12.0, 5.0))
    step = 0.5 / 128 / WALL_M
    plain, blurred = (spread(made.light(dot, blur_deg=blur), step)[0] for blur in (0.0, 3.0))
    want = float(added_tangent(LENS, 3000.0, WALL_M))
    assert 4.0 * np.sqrt(blurred - plain) == pytest.approx(want, rel=0.08)
    dot.release()
    made.release()


def test_the_same_plan_gives_the_same_pixels_and_none_costs_nothing(bench: Bench) -> None:
    world = Boards(bench.device, (1.2, 0.1, 0.0, 0.05, 4.0), sky=0.5)
    first = bench.light(world, blur_deg=2.0)
    inner = bench.renderer._rig(0).inner
    held = len(inner._focus._buffers)
    bench.light(world, blur_deg=0.0)
    assert np.array_equal(first, bench.light(world, blur_deg=2.0))
    assert held == 1
    other = Bench(bench.device, bench.kit)
    other.light(world, blur_deg=0.0)
    assert not other.renderer._rig(0).inner._focus._buffers
    assert not other.renderer._rig(0).inner._focus._programs
    other.release()
    world.release()
