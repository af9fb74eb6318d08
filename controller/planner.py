"""From poses, show and frame number to the frame plan. Pure: no clock, no socket, no GL.

A `Planner` holds only what a plan may depend on from earlier frames: each camera's overscan (it grows at once and
shrinks slowly), its texel density step, and the frame the outer picture was last drawn for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import ceil, log2

import msgspec
import numpy as np

from controller.cards import Card, planned_cards
from controller.chromakeys import planned_keys
from controller.looks import planned_looks
from controller.resolution import STEPS_PER_OCTAVE
from controller.show import CameraSettings, Show, scenes_at
from controller.transitions import show_at, with_moving
from stage.cameras import Camera, pupil_m
from stage.compiled import CompiledStage
from stage.coverage import WallSamples, wall_view
from stage.focus import reach_deg
from stage.frames import Array
from stage.outputs import WayToLight, wall_delay_frames, ways_to_light
from stage.overscan import (
    Overscan,
    PoseErrors,
    Sides,
    covering_deg,
    exceeded_deg,
    movement,
    required_overscan,
    side_gains,
)
from stage.plan import (
    FramePlan,
    OutputPicture,
    PlanCamera,
    PlanLens,
    PlanOuter,
    PlanOutput,
    PlanScene,
    PlanSubject,
    Vec3,
    matrix16,
)
from stage.plan_cards import PlanCard
from stage.projection import overscan_tangents
from stage.rate import NS_PER_S, Rate
from stage.wall_rays import WallRays

SHRINK_DEG_PER_S = 1.0
"""How fast overscan may shrink: slow enough that nobody sees the edge breathe."""
RASTER_STEP_PX = 16
"""Rasters are whole multiples of this, so a moving camera seldom asks for new textures."""

UNKNOWN_DEG_PER_S = 9.0
"""What a prediction a second ahead may be wrong by on each side, until this camera's own errors are known,"""
KNOWN_PHOTOS = 48
"""from so many photos."""
NOTHING: Sides = (0.0, 0.0, 0.0, 0.0)

VIEWED_AGAIN = 0.0175
"""The walls' density changes slowly with the pose: it is worked out again after 1.75 cm, 1 degree or so much zoom in
practice, where there is time for it; in a plan that is waited for, only where practice has not kept up:"""
VIEWED_AT_ONCE = 2.0 * VIEWED_AGAIN


@dataclass(frozen=True, slots=True)
class InnerLimits:
    """How finely inner frusta are drawn."""

    texels_per_led: float = 1.25
    max_side_px: int = 4096
    scale: int = 1
    """render.scale: the LED that counts is a canvas pixel."""


@dataclass(frozen=True, slots=True)
class TrackedPose:
    """What is known of one camera at its photo time: the sensor's pose and whatever of the lens is tracked."""

    stage_from_camera: Array
    focal_length_mm: float | None = None
    focus_distance_m: float | None = None
    entrance_pupil_m: float | None = None
    radial: list[float] | None = None
    model: str | None = None
    """Which way `radial` bends (OpenLensIO)."""
    tangential: list[float] | None = None
    distortion_offset_mm: tuple[float, float] | None = None
    projection_offset_mm: tuple[float, float] | None = None
    f_stop: float | None = None
    source: str = ""
    packet_id: int = 0
    t_sampled_ns: int = 0
    t_received_ns: int = 0
    quality: str = "ok"
    errors: PoseErrors | None = None
    """How wrong its predictions were at its last photos; None while nobody knows."""


@dataclass(slots=True)
class _CameraMemory:
    overscan_deg: Sides | None = None
    overscan: Overscan | None = None
    gains: tuple[object, Array] | None = None
    """What errors do on each side, with what it was worked out for."""
    covered: tuple[PoseErrors, Array, Sides] | None = None
    """Cover of the prediction errors, with what it was worked out for."""
    density_step: int | None = None
    lowered_steps: int = 0
    stage_from_camera: Array | None = None
    focal_length_mm: float | None = None
    viewed_from: Array | None = None
    nearest_m: float = 5.0
    needed_density: float = 0.0
    drawn_density: float = 0.0


@dataclass(slots=True)
class Planner:
    """Makes the plans of one stage, in frame order.

    Attributes
    ----------
    lowered_steps : by how many eighths of an octave inner pictures are to be coarser (`controller.resolution`); a
        camera whose overscan is frozen, and every camera while a take rolls, keeps what it has.
    """

    stage: CompiledStage
    limits: InnerLimits
    lowered_steps: int = 0
    _samples: WallSamples = field(init=False)
    _memory: dict[str, _CameraMemory] = field(init=False, default_factory=dict)
    _outer_frame: int | None = field(init=False, default=None)
    _outer_key: object = field(init=False, default=None)
    _view_again: float = field(init=False, default=VIEWED_AT_ONCE)
    _ways: tuple[tuple[object, ...], dict[str, WayToLight]] | None = field(init=False, default=None)
    _outputs: dict[str, PlanOutput] = field(init=False, default_factory=dict)
    _cards: tuple[dict[str, Card], Vec3, list[PlanCard]] | None = field(init=False, default=None)
    _rays: WallRays | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._samples = WallSamples(self.stage, scale=self.limits.scale)

    def ways(self, show: Show) -> dict[str, WayToLight]:
        """Every canvas' way to light, with what the show holds back by choice."""
        told = (show.output_delays, show.output_delays_ms, show.processor_frames)
        if self._ways is None or any(a is not b for a, b in zip(self._ways[0], told, strict=True)):
            self._ways = (told, ways_to_light(self.stage, *told))
        return self._ways[1]

    def photo_time_ns(self, camera_id: str, show: Show, t_present_ns: int) -> int:
        """t_photo: the middle of the camera's exposure of the frame presented at `t_present_ns`."""
        delay_ms = show.cameras[camera_id].delay_ms
        return photo_time_ns(self.stage, self.stage.cameras[camera_id], delay_ms, t_present_ns, self.ways(show))

    def subject_time_ns(self, show: Show, t_present_ns: int) -> int:
        """t_photo of what is beside the cameras: the uppermost camera's on air, else when the walls show the frame."""
        on_air = [(s.rank, name) for name, s in show.cameras.items() if s.on_air and name in self.stage.cameras]
        if on_air:
            name = max(on_air)[1]
            return self.photo_time_ns(name, show, t_present_ns)
        rate = self.stage.rate
        return t_present_ns + round(wall_delay_frames(self.ways(show)) * rate.den * NS_PER_S / rate.num)

    def overscan(self, camera_id: str) -> Overscan | None:
        """The latest overscan of a camera with its causes, for display."""
        memory = self._memory.get(camera_id)
        return memory.overscan if memory else None

    def texels_per_led(self, camera_id: str) -> float:
        """Texels of the inner picture for each canvas pixel at the densest one in view; 0 when none is."""
        memory = self._memory.get(camera_id)
        if memory is None or memory.needed_density <= 0.0:
            return 0.0
        return self.limits.texels_per_led * memory.drawn_density / memory.needed_density

    def remember(self, plan: FramePlan) -> None:
        """Go on from a plan that another planner made: overscan that is frozen stays, and what it computes shrinks from
        there."""
        for camera in plan.cameras:
            if camera.id in self.stage.cameras:
                memory = self._memory.setdefault(camera.id, _CameraMemory())
                memory.overscan_deg, memory.lowered_steps = camera.overscan_deg, camera.lowered_steps
        self._outputs = dict(plan.outputs)

    @contextmanager
    def practice(self) -> Iterator[None]:
        """Plans made inside leave nothing behind, except that the walls' density and the cover of prediction errors are
        up to date afterwards (what takes longest in a plan)."""
        memory = {name: replace(kept) for name, kept in self._memory.items()}
        outer, outputs = (self._outer_frame, self._outer_key), self._outputs
        self._view_again = VIEWED_AGAIN
        try:
            yield
        finally:
            self._view_again = VIEWED_AT_ONCE
            for name, kept in memory.items():
                fresh = self._memory[name]
                kept.viewed_from, kept.nearest_m = fresh.viewed_from, fresh.nearest_m
                kept.needed_density = fresh.needed_density
                kept.gains, kept.covered = fresh.gains, fresh.covered
            self._memory = memory
            self._outer_frame, self._outer_key = outer
            self._outputs = outputs

    def plan(
        self,
        show: Show,
        poses: Mapping[str, TrackedPose],
        /,
        *,
        frame: int,
        t_present_ns: int,
        epoch: int = 0,
        timecode: str = "",
        tai_ns: int = 0,
        t_latched_ns: int = 0,
        subjects: Sequence[PlanSubject] = (),
    ) -> FramePlan:
        """The plan of `frame`. `poses` are the predictions for each camera's own photo time; a camera without one
        stands at its configured pose with quality "untracked"."""
        rate = self.stage.rate
        if show.transitions:
            show = show_at(show, t_present_ns, rate)
        cameras = [
            self._camera(
                camera, settings, poses.get(camera.id), self.photo_time_ns(camera.id, show, t_present_ns), show
            )
            for camera in self.stage.cameras.values()
            if (settings := show.cameras.get(camera.id)) is not None
        ]
        cameras.sort(key=lambda c: (c.rank, c.id))
        scene_time_ns = rate.deadline_ns(0, frame)
        scenes = with_moving(scenes_at(show, t_present_ns, scene_time_ns, rate), show, t_present_ns, rate)
        return FramePlan(
            frame=frame,
            rate=(rate.num, rate.den),
            t_present_ns=t_present_ns,
            epoch=epoch,
            timecode=timecode,
            tai_ns=tai_ns,
            config_version=show.config_version,
            show_version=show.version,
            scene_time_ns=scene_time_ns,
            seed=show.seed,
            exposure_ev=show.exposure_ev,
            cameras=cameras,
            outer=self._outer(show, scenes, frame),
            scenes=scenes,
            looks=planned_looks(show.grades, show.look, show.grades_version),
            cards=self._cards_of(show),
            key=planned_keys(show.chromakeys, cameras),
            patterns=show.patterns,
            subjects=list(subjects),
            output_delays={name: way.held_back_frames for name, way in self.ways(show).items()},
            actions=[show.action] if show.action else [],
            t_latched_ns=t_latched_ns,
            outputs=self._shown_instead(show, frame),
            engines=[engine for engine in show.engines if engine.id not in show.engines_off],
        )

    def _cards_of(self, show: Show) -> list[PlanCard]:
        """The cards of a show as planned; worked out again only when they or the eye point change."""
        if not show.cards:
            return []
        known = self._cards
        if known is None or known[0] is not show.cards or known[1] != show.eye_m:
            self._rays = self._rays or WallRays(self.stage)
            cards = planned_cards(
                show.cards, self._rays, show.eye_m, walls=self.stage.walls, cameras=self.stage.cameras
            )
            known = self._cards = (show.cards, show.eye_m, cards)
        return known[2]

    def _shown_instead(self, show: Show, frame: int) -> dict[str, PlanOutput]:
        """What canvases show in place of their pictures, and since when."""
        found: dict[str, PlanOutput] = {}
        for name, state in show.outputs.items():
            if name not in self.stage.canvases:
                continue
            picture: OutputPicture = "black" if state.black else "frozen" if state.frozen else "identify"
            before = self._outputs.get(name)
            same = before is not None and before.picture == picture and before.since_frame <= frame
            found[name] = before if before is not None and same else PlanOutput(picture, frame)
        self._outputs = found
        return found

    def _outer(self, show: Show, scenes: list[PlanScene], frame: int) -> PlanOuter:
        # A change of what the outer shows is drawn at once, whatever the mode: only "frozen" keeps the old picture.
        # Values on their way keep to its rhythm, but for where they begin and end: a dusk of a minute is not drawn at
        # every frame because it moves at every frame.
        still = [(msgspec.structs.replace(scene, moving={}), bool(scene.moving)) for scene in scenes]
        key = (show.eye_m, still)
        stale = self._outer_frame is None or self._outer_frame > frame
        if show.outer_mode == "live":
            stale = True
        elif show.outer_mode == "every":
            stale = stale or key != self._outer_key or frame - (self._outer_frame or 0) >= show.outer_every_frames
        if stale:
            self._outer_frame, self._outer_key = frame, key
        assert self._outer_frame is not None
        return PlanOuter(show.outer_mode, self._outer_frame, show.eye_m)

    def _camera(
        self, camera: Camera, settings: CameraSettings, pose: TrackedPose | None, photo_ns: int, show: Show
    ) -> PlanCamera:
        pose = pose or TrackedPose(camera.default_stage_from_camera, quality="untracked")
        lens = tracked_lens(camera.lens, pose)
        pupil = pupil_m(pose.stage_from_camera, lens)
        memory = self._memory.setdefault(camera.id, _CameraMemory())
        sides = self._overscan(settings, pose, lens, photo_ns, memory)
        if not is_held(settings, show):
            memory.lowered_steps = self.lowered_steps
        self._view(camera, pose, lens, pupil, sides, memory)
        return PlanCamera(
            id=camera.id,
            rank=settings.rank,
            on_air=settings.on_air,
            slot=camera.slot,
            enabled=settings.enabled,
            t_photo_ns=photo_ns,
            stage_from_camera=matrix16(pose.stage_from_camera),
            pupil_m=(float(pupil[0]), float(pupil[1]), float(pupil[2])),
            lens=lens,
            overscan_deg=sides,
            raster_px=self._raster(lens, sides, memory),
            soft_edge_deg=settings.soft_edge_deg,
            focus_blur_deg=reach_deg(lens, settings.focus_blur_deg),
            walls=list(camera.walls),
            source=pose.source,
            packet_id=pose.packet_id,
            t_sampled_ns=pose.t_sampled_ns,
            t_received_ns=pose.t_received_ns,
            quality=pose.quality,
            lowered_steps=memory.lowered_steps,
        )

    def _overscan(
        self, settings: CameraSettings, pose: TrackedPose, lens: PlanLens, t_photo_ns: int, memory: _CameraMemory
    ) -> Sides:
        before, before_mm = memory.stage_from_camera, memory.focal_length_mm
        memory.stage_from_camera, memory.focal_length_mm = pose.stage_from_camera, lens.focal_length_mm
        if settings.overscan_mode == "fixed":
            memory.overscan_deg, memory.overscan = settings.overscan_deg, None
            return settings.overscan_deg
        if settings.overscan_mode == "frozen" and memory.overscan_deg is not None:
            return memory.overscan_deg
        gains = self._gains(lens, memory)
        hold_deg = NOTHING
        if before is not None:
            zoomed = lens.focal_length_mm / before_mm - 1.0 if before_mm else 0.0
            beyond = exceeded_deg(gains, movement(before, pose.stage_from_camera, zoomed)[None])[0]
            left, right, top, bottom = np.maximum(beyond, 0.0).tolist()
            hold_deg = (left, right, top, bottom)
        memory.overscan = needed = required_overscan(
            lens,
            prediction_deg=self._covered(gains, pose, t_photo_ns, memory),
            hold_deg=hold_deg,
            soft_edge_deg=settings.soft_edge_deg,
            margin_deg=settings.overscan_margin_deg,
            min_deg=settings.overscan_min_deg,
            max_deg=settings.overscan_max_deg,
            focus_deg=reach_deg(lens, settings.focus_blur_deg),
        )
        shrink = SHRINK_DEG_PER_S * self.stage.rate.den / self.stage.rate.num
        last = memory.overscan_deg or needed.total_deg
        left, right, top, bottom = (
            min(settings.overscan_max_deg, max(n, b - shrink)) for n, b in zip(needed.total_deg, last, strict=True)
        )
        memory.overscan_deg = (left, right, top, bottom)
        return memory.overscan_deg

    def _gains(self, lens: PlanLens, memory: _CameraMemory) -> Array:
        """What errors do on each side, for the lens and the walls as they are now."""
        key = (lens.focal_length_mm, lens.projection_offset_mm, round(memory.nearest_m, 1))
        if memory.gains is None or memory.gains[0] != key:
            memory.gains = (key, side_gains(lens, memory.nearest_m))
        return memory.gains[1]

    def _covered(self, gains: Array, pose: TrackedPose, t_photo_ns: int, memory: _CameraMemory) -> Sides:
        """What covers the camera's own prediction errors. While they are few, more: nobody knows it yet."""
        covered, errors = NOTHING, pose.errors
        if errors is not None and len(errors.rows):
            known = memory.covered
            if known is None or known[0] is not errors or known[1] is not gains:
                known = memory.covered = (errors, gains, covering_deg(gains, errors.rows))
            covered = known[2]
        if pose.t_sampled_ns and (errors is None or len(errors.rows) < KNOWN_PHOTOS):
            unknown_deg = UNKNOWN_DEG_PER_S * max(0, t_photo_ns - pose.t_sampled_ns) / NS_PER_S
            left, right, top, bottom = (max(c, unknown_deg) for c in covered)
            covered = (left, right, top, bottom)
        return covered

    def _view(
        self,
        camera: Camera,
        pose: TrackedPose,
        lens: PlanLens,
        pupil: Array,
        sides: tuple[float, float, float, float],
        memory: _CameraMemory,
    ) -> None:
        here = np.concatenate([pupil, pose.stage_from_camera[:3, 1], [np.log(lens.focal_length_mm)]])
        if memory.viewed_from is not None and np.abs(here - memory.viewed_from).max() < self._view_again:
            return
        memory.viewed_from = here
        view = wall_view(self._samples, pose.stage_from_camera, pupil, lens, sides, walls=camera.walls)
        memory.needed_density = view.pixels_per_tangent * self.limits.texels_per_led
        if np.isfinite(view.nearest_m):
            memory.nearest_m = view.nearest_m

    def _raster(
        self, lens: PlanLens, sides: tuple[float, float, float, float], memory: _CameraMemory
    ) -> tuple[int, int]:
        left, right, bottom, top = overscan_tangents(lens, sides)
        wide, high = right - left, top - bottom
        if memory.needed_density > 0.0:
            wanted = ceil(log2(memory.needed_density) * STEPS_PER_OCTAVE)
            held = memory.density_step
            # Up at once, down only after two whole steps: no flapping between two sizes.
            if held is None or wanted > held or wanted < held - 1:
                memory.density_step = wanted
        step = memory.density_step if memory.density_step is not None else 0
        density = 2.0 ** (step / STEPS_PER_OCTAVE)
        density = min(density, self.limits.max_side_px / max(wide, high))
        density *= 2.0 ** (-memory.lowered_steps / STEPS_PER_OCTAVE)
        memory.drawn_density = density
        return _raster_side(wide * density, self.limits.max_side_px), _raster_side(
            high * density, self.limits.max_side_px
        )


def is_held(settings: CameraSettings, show: Show) -> bool:
    """Whether a camera's picture must keep its size: its overscan is frozen, or a take rolls."""
    return settings.overscan_mode == "frozen" or bool(show.take)


def all_held(show: Show) -> bool:
    """Whether no camera's picture may change its size."""
    return all(is_held(settings, show) for settings in show.cameras.values() if settings.enabled)


def photo_time_ns(
    stage: CompiledStage,
    camera: Camera,
    delay_ms: float,
    t_present_ns: int,
    ways: Mapping[str, WayToLight] | None = None,
) -> int:
    """Middle of the exposure of the wall frame presented at `t_present_ns`: D_wall + phase + exposure/2 + read-out/2.

    Never the delay of the video feed. `ways`: every canvas' way to light; as configured when None.
    """
    period_ns = stage.rate.den * NS_PER_S / stage.rate.num
    wall_frames = wall_delay_frames(ways_to_light(stage) if ways is None else ways)
    frames = wall_frames + (camera.genlock_phase_deg + camera.shutter_deg / 2.0) / 360.0
    return t_present_ns + round(frames * period_ns + (camera.readout_ms / 2.0 + delay_ms) * 1e6)


def tracked_lens(lens: PlanLens, pose: TrackedPose) -> PlanLens:
    """The configured lens with whatever the tracker knows better."""
    known = {
        name: value
        for name in (
            "focal_length_mm", "focus_distance_m", "entrance_pupil_m", "radial", "model", "tangential",
            "distortion_offset_mm", "projection_offset_mm", "f_stop",
        )
        if (value := getattr(pose, name)) is not None
    }  # fmt: skip
    return msgspec.structs.replace(lens, **known) if known else lens


def still_plan(
    stage: CompiledStage,
    show: Show,
    /,
    *,
    camera: str,
    stage_from_camera: Array | None = None,
    limits: InnerLimits | None = None,
    frame: int = 0,
) -> FramePlan:
    """A plan for one camera standing still at a pose (its configured one if None), all others disabled."""
    settings = {
        name: msgspec.structs.replace(s, enabled=name == camera, on_air=name == camera)
        for name, s in show.cameras.items()
    }
    poses = {}
    if stage_from_camera is not None:
        poses[camera] = TrackedPose(stage_from_camera, source="still")
    planner = Planner(stage, limits or InnerLimits())
    rate = stage.rate
    plan = planner.plan(
        msgspec.structs.replace(show, cameras=settings), poses, frame=frame, t_present_ns=rate.deadline_ns(0, frame)
    )
    chosen = [c for c in plan.cameras if c.id == camera] + [c for c in plan.cameras if c.id != camera]
    return msgspec.structs.replace(plan, cameras=chosen)


def repeat_plan(plan: FramePlan) -> FramePlan:
    """What a node draws when plan N is missing: N-1's with the next frame number and scene time, all else unchanged."""
    rate = Rate(*plan.rate)
    frame = plan.frame + 1
    period = rate.deadline_ns(0, frame) - rate.deadline_ns(0, plan.frame)
    return msgspec.structs.replace(
        plan, frame=frame, scene_time_ns=plan.scene_time_ns + period, t_present_ns=plan.t_present_ns + period
    )


def _raster_side(texels: float, limit_px: int) -> int:
    return int(min(limit_px, max(RASTER_STEP_PX, ceil(texels / RASTER_STEP_PX) * RASTER_STEP_PX)))
