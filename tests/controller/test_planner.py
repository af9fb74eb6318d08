"""Plans from poses and show: photo time, overscan and its causes, texel density, outer modes, padding."""

from __future__ import annotations

import time
from itertools import pairwise

import msgspec
import numpy as np
import pytest

from controller.config import compile_config, load_config, load_config_text
from controller.planner import (
    RASTER_STEP_PX,
    SHRINK_DEG_PER_S,
    UNKNOWN_DEG_PER_S,
    InnerLimits,
    Planner,
    TrackedPose,
    repeat_plan,
    still_plan,
)
from controller.show import first_show
from stage.coverage import WallSamples, wall_view
from stage.frames import pose_from_pan_tilt_roll, transform_points
from stage.lens import frame_outline_mm, tangents_of_image
from stage.overscan import PoseErrors
from stage.plan import FramePlan, decode_plan, encode_plan, plan_hash, transform_of
from stage.projection import clip_from_view, overscan_tangents, view_from_stage


@pytest.fixture(scope="module")
def demo():
    return compile_config(load_config("demo"))


def make(demo, **changes: object):
    show = first_show(demo, scenes=["one"])
    camera = msgspec.structs.replace(show.cameras["a"], **changes)
    return Planner(demo, InnerLimits()), msgspec.structs.replace(show, cameras={"a": camera})


def plan_at(planner: Planner, show, stage_from_camera, frame: int = 0, **known: object) -> FramePlan:
    pose = TrackedPose(stage_from_camera, source="tracker", **known)  # type: ignore[arg-type]
    return planner.plan(show, {"a": pose}, frame=frame, t_present_ns=frame * 41_666_667)


STAND = pose_from_pan_tilt_roll((0.2, -0.5, 1.6), pan_deg=5.0, tilt_deg=3.0)


def test_the_plan_carries_the_pose_and_its_pupil(demo) -> None:
    planner, show = make(demo)
    camera = plan_at(planner, show, STAND).cameras[0]
    assert np.allclose(transform_of(camera.stage_from_camera), STAND)
    assert np.allclose(camera.pupil_m, transform_points(STAND, (0.0, 0.12, 0.0)), atol=1e-12)
    assert camera.source == "tracker"


def test_a_plan_survives_the_wire_and_its_hash_names_it(demo) -> None:
    planner, show = make(demo)
    plan = plan_at(planner, show, STAND)
    data = encode_plan(plan)
    assert decode_plan(data) == plan
    assert plan_hash(data) == plan_hash(encode_plan(decode_plan(data)))
    assert plan_hash(data) != plan_hash(encode_plan(msgspec.structs.replace(plan, frame=1)))


def test_photo_time_is_wall_delay_plus_phase_plus_half_exposure_plus_half_readout(demo) -> None:
    planner, show = make(demo, delay_ms=1.5)
    # 2 frames of processor, 180 degrees of shutter, 8 ms of read-out at 24 fps.
    expected_ms = (2 + 0.25) * 1000 / 24 + 4.0 + 1.5
    got_ns = planner.photo_time_ns("a", show, 1_000_000_000) - 1_000_000_000
    assert got_ns == pytest.approx(expected_ms * 1e6, abs=1)


def test_everything_the_lens_sees_lies_inside_full_alpha(demo) -> None:
    planner, show = make(demo)
    camera = plan_at(planner, show, STAND).cameras[0]
    seen = tangents_of_image(camera.lens, frame_outline_mm(camera.lens))
    left, right, bottom, top = overscan_tangents(camera.lens, camera.overscan_deg)
    edge = np.radians(camera.soft_edge_deg)
    angles = np.arctan(seen)
    assert (angles[:, 0] >= np.arctan(left) + edge).all()
    assert (angles[:, 0] <= np.arctan(right) - edge).all()
    assert (angles[:, 1] >= np.arctan(bottom) + edge).all()
    assert (angles[:, 1] <= np.arctan(top) - edge).all()


def errors(*, pan_deg: float = 0.0, tilt_deg: float = 0.0, photos: int = 100) -> PoseErrors:
    """A camera that once turned further than predicted, and was met exactly ever since."""
    rows = np.zeros((photos, 7))
    rows[0, 0], rows[0, 2] = tilt_deg, pan_deg
    return PoseErrors(rows, np.arange(photos))


def test_overscan_grows_at_once_where_it_is_needed_and_shrinks_slowly(demo) -> None:
    planner, show = make(demo)
    calm = plan_at(planner, show, STAND, 0).cameras[0].overscan_deg
    shaky = plan_at(planner, show, STAND, 1, errors=errors(pan_deg=2.0)).cameras[0].overscan_deg
    # It turned further left than predicted: the left side grows.
    assert shaky[0] == pytest.approx(calm[0] + 2.0)
    # The other way the picture's corners lean out a little.
    assert shaky[1:] == pytest.approx(calm[1:], abs=0.3)
    after = plan_at(planner, show, STAND, 2).cameras[0].overscan_deg
    assert after[0] == pytest.approx(shaky[0] - SHRINK_DEG_PER_S / 24)
    for frame in range(3, 300):
        after = plan_at(planner, show, STAND, frame).cameras[0].overscan_deg
    assert after == pytest.approx(calm)


def test_a_held_frame_is_covered_in_the_direction_of_movement(demo) -> None:
    planner, show = make(demo)
    calm = plan_at(planner, show, STAND, 0).cameras[0].overscan_deg
    turned = pose_from_pan_tilt_roll(STAND[:3, 3], pan_deg=5.4, tilt_deg=3.0)
    moving = plan_at(planner, show, turned, 1).cameras[0].overscan_deg
    assert moving[0] - calm[0] == pytest.approx(0.4, abs=0.01)
    assert moving[1] == pytest.approx(calm[1] - SHRINK_DEG_PER_S / 24, abs=0.05) or moving[1] == calm[1]
    overscan = planner.overscan("a")
    assert overscan is not None
    assert overscan.hold_deg[1] == 0.0


def test_a_camera_nobody_knows_yet_gets_more(demo) -> None:
    planner, show = make(demo)
    photo_ns = planner.photo_time_ns("a", show, 0)
    bare = plan_at(planner, show, STAND).cameras[0].overscan_deg
    for known, wanted_deg in ((None, 0.1), (errors(photos=10), 0.1), (errors(photos=48), 0.0)):
        planner, _ = make(demo)
        sampled_ns = photo_ns - int(0.1 / UNKNOWN_DEG_PER_S * 1e9)
        plan = planner.plan(
            show, {"a": TrackedPose(STAND, source="t", errors=known, t_sampled_ns=sampled_ns)}, frame=0, t_present_ns=0
        )
        got = np.array(plan.cameras[0].overscan_deg) - bare
        assert np.allclose(got, wanted_deg, atol=1e-6)


def test_floor_and_ceiling(demo) -> None:
    planner, show = make(demo, overscan_min_deg=3.5, overscan_max_deg=5.0)
    assert plan_at(planner, show, STAND, 0).cameras[0].overscan_deg == (3.5,) * 4
    wild = plan_at(planner, show, STAND, 1, errors=errors(pan_deg=9.0)).cameras[0].overscan_deg
    assert wild == (5.0, 3.5, 3.5, 3.5)
    lower = msgspec.structs.replace(show.cameras["a"], overscan_max_deg=4.0)
    # A ceiling that comes down holds at once.
    capped = plan_at(planner, msgspec.structs.replace(show, cameras={"a": lower}), STAND, 2).cameras[0].overscan_deg
    assert capped == (4.0, 3.5, 3.5, 3.5)


def test_overscan_modes(demo) -> None:
    planner, show = make(demo, overscan_mode="fixed", overscan_deg=(1.0, 2.0, 3.0, 4.0))
    assert plan_at(planner, show, STAND).cameras[0].overscan_deg == (1.0, 2.0, 3.0, 4.0)
    planner, show = make(demo)
    before = plan_at(planner, show, STAND).cameras[0].overscan_deg
    frozen = msgspec.structs.replace(
        show, cameras={"a": msgspec.structs.replace(show.cameras["a"], overscan_mode="frozen")}
    )
    after = plan_at(planner, frozen, STAND, 1, errors=errors(pan_deg=5.0)).cameras[0].overscan_deg
    assert after == before


def test_frozen_overscan_outlives_its_planner(demo) -> None:
    """A configuration applied, or a conductor restarted, in the middle of a take."""
    planner, show = make(demo, overscan_mode="frozen")
    plan = plan_at(planner, show, STAND, 0, errors=errors(pan_deg=2.0, tilt_deg=1.0))
    successor, _ = make(demo)
    successor.remember(plan)
    after = plan_at(successor, show, STAND, 1).cameras[0].overscan_deg
    assert after == plan.cameras[0].overscan_deg


def test_practice_leaves_no_overscan_behind(demo) -> None:
    planner, show = make(demo)
    calm = plan_at(planner, show, STAND, 0).cameras[0].overscan_deg
    with planner.practice():
        plan_at(planner, show, STAND, 0, errors=errors(pan_deg=2.0))
    assert plan_at(planner, show, STAND, 1).cameras[0].overscan_deg == calm


def test_texels_follow_the_densest_led_in_view(demo) -> None:
    for scale in (1, 8):
        planner = Planner(demo, InnerLimits(texels_per_led=1.25, scale=scale, max_side_px=16384))
        show = first_show(demo, scenes=[])
        camera = plan_at(planner, show, STAND).cameras[0]
        left, right, bottom, top = overscan_tangents(camera.lens, camera.overscan_deg)
        # Independent: project the two ends of every LED at the cabinets' middles through the inner picture.
        clip = clip_from_view(left, right, bottom, top) @ view_from_stage(
            transform_of(camera.stage_from_camera), camera.pupil_m
        )
        samples = WallSamples(demo, scale=scale)
        steps = []
        for step in (samples.across_m, samples.along_m):
            ends = []
            for points in (samples.points_m - step / 2, samples.points_m + step / 2):
                q = np.c_[points, np.ones(len(points))] @ clip.T
                ends.append(q[:, :2] / q[:, 3:] * np.array(camera.raster_px) / 2)
            facing = np.einsum("ij,ij->i", samples.normals, np.array(camera.pupil_m) - samples.points_m)
            q = np.c_[samples.points_m, np.ones(len(samples.points_m))] @ clip.T
            inside = (q[:, 3] > 0) & (np.abs(q[:, :2]) <= q[:, 3:]).all(axis=1) & (facing > 0)
            inside &= samples.walls == "arc"
            steps.append(np.linalg.norm(ends[1] - ends[0], axis=1)[inside].min())
        assert 1.24 <= min(steps) <= 1.6


def test_rasters_are_whole_steps_and_keep_to_the_cap(demo) -> None:
    planner = Planner(demo, InnerLimits(max_side_px=512))
    camera = plan_at(planner, first_show(demo, scenes=[]), STAND).cameras[0]
    assert max(camera.raster_px) <= 512
    assert all(side % RASTER_STEP_PX == 0 for side in camera.raster_px)


def test_a_moving_camera_seldom_changes_its_raster(demo) -> None:
    planner, show = make(demo)
    sizes = []
    for frame in range(240):
        swing = 20.0 * np.sin(frame / 40)
        stand = pose_from_pan_tilt_roll((0.5 * np.sin(frame / 60), 0.0, 1.6), pan_deg=float(swing))
        sizes.append(plan_at(planner, show, stand, frame).cameras[0].raster_px)
    changes = sum(a != b for a, b in pairwise(sizes))
    assert changes < 60


def test_outer_modes(demo) -> None:
    planner, show = make(demo)
    assert [plan_at(planner, show, STAND, f).outer.drawn_frame for f in range(3)] == [0, 1, 2]
    third = msgspec.structs.replace(show, outer_mode="every", outer_every_frames=3)
    planner, _ = make(demo)
    assert [plan_at(planner, third, STAND, f).outer.drawn_frame for f in range(7)] == [0, 0, 0, 3, 3, 3, 6]
    frozen = msgspec.structs.replace(show, outer_mode="frozen")
    assert [plan_at(planner, frozen, STAND, f).outer.drawn_frame for f in range(7, 9)] == [6, 6]
    moved = msgspec.structs.replace(third, eye_m=(1.0, 0.0, 1.7))
    assert plan_at(planner, moved, STAND, 9).outer.drawn_frame == 9


def test_the_same_inputs_give_the_same_plan(demo) -> None:
    one, show = make(demo)
    two, _ = make(demo)
    assert encode_plan(plan_at(one, show, STAND)) == encode_plan(plan_at(two, show, STAND))


def test_a_missing_plan_is_the_one_before_a_frame_later(demo) -> None:
    planner, show = make(demo)
    plan = plan_at(planner, show, STAND, 7)
    later = repeat_plan(plan)
    assert later.frame == 8
    assert later.scene_time_ns - plan.scene_time_ns == 8 * 10**9 // 24 - 7 * 10**9 // 24
    assert (
        msgspec.structs.replace(later, frame=7, scene_time_ns=plan.scene_time_ns, t_present_ns=plan.t_present_ns)
        == plan
    )


def test_an_untracked_camera_stands_where_it_was_configured(demo) -> None:
    planner, show = make(demo)
    camera = planner.plan(show, {}, frame=0, t_present_ns=0).cameras[0]
    assert camera.quality == "untracked"
    assert np.allclose(transform_of(camera.stage_from_camera), demo.cameras["a"].default_stage_from_camera)


def test_faster_outputs_are_padded_to_the_slowest() -> None:
    text = load_config("demo").source.replace("    led2:\n", "    led2:\n      latency_frames: 1.0\n")
    stage = compile_config(load_config_text(text, base_dir=load_config("demo").base_dir))
    plan = Planner(stage, InnerLimits()).plan(first_show(stage, scenes=[]), {}, frame=0, t_present_ns=0)
    assert plan.output_delays == {"left": 0, "right": 1}


def test_a_canvas_held_back_while_running_holds_all_back_and_moves_the_photo(demo) -> None:
    """What is chosen live counts, not only what the file says."""
    planner, show = make(demo)
    usual_ns = planner.photo_time_ns("a", show, 0)
    later = msgspec.structs.replace(show, output_delays={"left": 3, "right": 0})
    assert planner.photo_time_ns("a", later, 0) - usual_ns == pytest.approx(3e9 / 24, abs=1)
    plan = plan_at(planner, later, STAND)
    assert plan.output_delays == {"left": 3, "right": 3}
    assert plan.cameras[0].t_photo_ns == planner.photo_time_ns("a", later, plan.t_present_ns)


def test_a_still_plan_shows_only_its_camera(demo) -> None:
    plan = still_plan(demo, first_show(demo, scenes=["one"]), camera="a", stage_from_camera=STAND)
    assert plan.cameras[0].id == "a"
    assert plan.cameras[0].enabled
    assert not any(camera.enabled for camera in plan.cameras[1:])


def test_a_view_of_no_wall_has_no_density(demo) -> None:
    away = pose_from_pan_tilt_roll((0.0, 0.0, 1.6), pan_deg=180.0)
    camera = demo.cameras["a"]
    view = wall_view(WallSamples(demo), away, away[:3, 3], camera.lens, (1, 1, 1, 1), walls=camera.walls)
    assert view.pixels_per_tangent == 0.0
    assert view.nearest_m == float("inf")


def test_planning_costs_a_small_part_of_a_millisecond(demo) -> None:
    planner, show = make(demo)
    times = []
    for frame in range(200):
        stand = pose_from_pan_tilt_roll((0.0, 0.0, 1.6), pan_deg=frame * 0.1)
        started = time.perf_counter()
        plan_at(planner, show, stand, frame)
        times.append(time.perf_counter() - started)
    # A loose bar: `openvolume bench` gives the figures. It catches work that grows with the wall every frame.
    assert np.median(times) < 5e-3
    print(f"plan median {np.median(times) * 1e3:.3f} ms, max {max(times) * 1e3:.3f} ms")
