"""Configuration to compiled stage: every number worked out, every limit checked, every fault told at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stage.cameras import Camera
from stage.canvases import Tile, cabinets_of, check_shown_once, mesh_tile_of, tiles_of
from stage.compiled import Cabinet, Canvas, CompiledStage, Encoding, MeshTile, Processor
from stage.config import CameraConfig, CanvasConfig, FixedOverscan, PoseConfig, StageConfig
from stage.documents import join
from stage.errors import ConfigError, OpenVolumeError, Problem
from stage.frames import Array, pose_from_pan_tilt_roll
from stage.lens import distortion_fault, lens_cover_deg, reach_mm
from stage.outputs import apart_frames, ways_to_light
from stage.panels import panels_of
from stage.plan import PlanLens
from stage.processors import load_of, processor_library
from stage.rate import Rate
from stage.walls import BuiltWall, build_wall, unknown

APART_FRAMES = 0.02
"""Walls whose light differs by less are together."""


@dataclass(frozen=True, slots=True)
class Compilation:
    """A stage that is in order, and what is worth a second look."""

    stage: CompiledStage
    warnings: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class OutputDelay:
    """What is added to a canvas' way to its wall."""

    delay_frames: int = 0
    """Frames it is held back by choice; negative: handed over before the others."""
    delay_ms: float = 0.0
    """What the chain after the processor adds, measured; negative: it is quicker than its figures say."""


def compile_stage(
    *,
    name: str,
    rate: Rate,
    stage: StageConfig,
    cameras: Mapping[str, CameraConfig],
    base_dir: Path,
    scale: int = 1,
    delays: Mapping[str, OutputDelay] | None = None,
) -> CompiledStage:
    """The stage as the renderer, the twin and the checker need it. Pure, apart from reading mesh files.

    Parameters
    ----------
    base_dir : folder that the files named in the configuration are relative to
    scale : render.scale, a divisor of every canvas' sides
    delays : what is added to single canvases

    Raises
    ------
    ConfigError : with every problem found.
    """
    return compile_with_warnings(
        name=name, rate=rate, stage=stage, cameras=cameras, base_dir=base_dir, scale=scale, delays=delays
    ).stage


def compile_with_warnings(
    *,
    name: str,
    rate: Rate,
    stage: StageConfig,
    cameras: Mapping[str, CameraConfig],
    base_dir: Path,
    scale: int = 1,
    delays: Mapping[str, OutputDelay] | None = None,
) -> Compilation:
    """As `compile_stage`, with what is allowed but worth telling."""
    problems: list[Problem] = []
    warnings: list[Problem] = []
    delays = delays or {}
    panels = panels_of(stage.panels)
    walls: dict[str, BuiltWall] = {}
    for wall_id, wall in stage.walls.items():
        built = build_wall(wall_id, wall, panels, base_dir=base_dir, problems=problems)
        if built is not None:
            walls[wall_id] = built
            limit = built.panel.nits if built.panel is not None else None
            if limit is not None and built.wall.nits > limit:
                detail = f"its panels reach {limit:g} nits"
                path = join("stage/walls", wall_id, "nits")
                warnings.append(Problem("stage.over_panel", path, detail, built.wall.nits, f"set it to {limit:g}"))

    tiles: list[Tile] = []
    for canvas_id, canvas in stage.canvases.items():
        tiles += tiles_of(canvas_id, canvas, walls, stage.walls, problems=problems)
    check_shown_once(tiles, walls, problems=problems, warnings=warnings)

    processors, canvases = _canvases(stage, walls, tiles, rate, delays, problems, warnings)
    _check_scale(stage, tiles, walls, scale, problems, warnings)
    compiled_cameras = _cameras(cameras, stage, problems)
    if problems:
        raise ConfigError(*problems)

    cabinets: list[Cabinet] = []
    meshes: list[MeshTile] = []
    for tile in tiles:
        built = walls[tile.wall]
        cabinets += cabinets_of(tile, built)
        mesh = mesh_tile_of(tile, built)
        if mesh is not None:
            meshes.append(mesh)
    compiled = CompiledStage(
        name=name,
        rate=rate,
        eye_m=stage.eye_m,
        walls={wall_id: built.wall for wall_id, built in walls.items()},
        canvases=canvases,
        processors=processors,
        cabinets=tuple(cabinets),
        meshes=tuple(meshes),
        cameras=compiled_cameras,
        scale=scale,
    )
    warnings += _walls_apart(compiled)
    return Compilation(compiled, tuple(warnings))


def _walls_apart(stage: CompiledStage) -> list[Problem]:
    apart = apart_frames(ways_to_light(stage))
    if apart < APART_FRAMES:
        return []
    apart_ms = apart * stage.rate.period_ns / 1e6
    detail = f"a frame leaves the walls up to {apart_ms:.1f} ms apart: outputs are padded by whole frames"
    mend = "give processors of one stage the same genlock phase, or correct latency_frames and delay_ms"
    return [Problem("stage.walls_apart", "outputs", detail, round(apart, 3), mend)]


def _canvases(
    stage: StageConfig,
    walls: Mapping[str, BuiltWall],
    tiles: list[Tile],
    rate: Rate,
    delays: Mapping[str, OutputDelay],
    problems: list[Problem],
    warnings: list[Problem],
) -> tuple[dict[str, Processor], dict[str, Canvas]]:
    models = processor_library()
    processors: dict[str, Processor] = {}
    canvases: dict[str, Canvas] = {}
    taken: dict[str, str] = {}
    problems.extend(
        unknown("canvas", join("outputs", name), name, stage.canvases) for name in delays if name not in stage.canvases
    )
    for name, processor in stage.processors.items():
        if processor.model not in models:
            problems.append(unknown("model", join("stage/processors", name, "model"), processor.model, models))
    for canvas_id, canvas in stage.canvases.items():
        path = join("stage/canvases", canvas_id)
        config = stage.processors.get(canvas.processor)
        if config is None:
            problems.append(unknown("processor", join(path, "processor"), canvas.processor, stage.processors))
            continue
        if canvas.processor in taken:
            problems.append(
                Problem(
                    "stage.processor_taken",
                    join(path, "processor"),
                    f"canvas `{taken[canvas.processor]}` goes to this processor already: one raster each",
                    canvas.processor,
                    "put the tiles on one canvas, or add a processor",
                )
            )
            continue
        taken[canvas.processor] = canvas_id
        if config.model not in models:
            continue
        delay = delays.get(canvas_id, OutputDelay())
        processors[canvas.processor] = load_of(
            canvas.processor,
            config,
            models[config.model],
            (canvas_id, canvas),
            rate=rate,
            panel_px=_panels_on(canvas_id, tiles, walls),
            delay_ms=delay.delay_ms,
            problems=problems,
        )
        encoding = _encoding(path, canvas, [walls[t.wall] for t in tiles if t.canvas == canvas_id], warnings)
        canvases[canvas_id] = Canvas(
            id=canvas_id,
            processor=canvas.processor,
            width_px=canvas.width_px,
            height_px=canvas.height_px,
            rate=rate,
            encoding=encoding,
            delay_frames=delay.delay_frames,
            delay_ms=delay.delay_ms,
        )
    warnings.extend(
        Problem("stage.unused", join("stage/processors", name), "no canvas goes to it", None, "remove it")
        for name in stage.processors
        if name not in taken
    )
    return processors, canvases


def _panels_on(canvas_id: str, tiles: list[Tile], walls: Mapping[str, BuiltWall]) -> Counter[int]:
    """How many panels of how many pixels each hang behind a canvas."""
    count: Counter[int] = Counter()
    for tile in tiles:
        panel = walls[tile.wall].panel
        if tile.canvas == canvas_id and panel is not None:
            each = panel.width_px * panel.height_px
            count[each] += tile.wall_rect_px[2] * tile.wall_rect_px[3] // each
    return count


def _encoding(path: str, canvas: CanvasConfig, shown: list[BuiltWall], warnings: list[Problem]) -> Encoding:
    wanted = canvas.encoding
    nits = {built.wall.id: built.wall.nits for built in shown}
    dimmest = min(nits.values(), default=100.0)
    peak = min(dimmest, 10000.0) if wanted.peak_nits is None else wanted.peak_nits
    where = join(path, "encoding", "peak_nits")
    if peak > dimmest:
        weak = min(nits, key=lambda name: nits[name])
        warnings.append(
            Problem(
                "stage.peak_over_wall",
                where,
                f"wall `{weak}` reaches {dimmest:g} nits: brighter parts will clip",
                peak,
                f"set it to {dimmest:g}, or the wall's `nits` to what its processor is set to",
            )
        )
    elif wanted.transfer != "pq":
        for name, level in nits.items():
            if level > peak:
                warnings.append(
                    Problem(
                        "stage.peak_under_wall",
                        where,
                        f"full signal means {peak:g} nits here, but wall `{name}` is set to {level:g}",
                        peak,
                        f"set the processor and this wall's `nits` to {peak:g}",
                    )
                )
    return Encoding(wanted.transfer, peak, wanted.bits, wanted.primaries, wanted.range)


def _check_scale(
    stage: StageConfig,
    tiles: list[Tile],
    walls: Mapping[str, BuiltWall],
    scale: int,
    problems: list[Problem],
    warnings: list[Problem],
) -> None:
    for canvas_id, canvas in stage.canvases.items():
        if canvas.width_px % scale or canvas.height_px % scale:
            problems.append(
                Problem(
                    "stage.scale",
                    "render/scale",
                    f"canvas `{canvas_id}` of {canvas.width_px} x {canvas.height_px} px cannot be divided by it",
                    scale,
                    "use a divisor of every canvas' sides",
                )
            )
    for tile in tiles:
        panel = walls[tile.wall].panel
        edges = (*tile.rect_px, *((panel.width_px, panel.height_px) if panel else ()))
        if any(edge % scale for edge in edges):
            warnings.append(
                Problem(
                    "stage.scale_edges",
                    tile.path,
                    f"panel edges fall between pixels when drawn at 1/{scale}",
                    None,
                    "use a render.scale that divides panels and tile places",
                )
            )


def _cameras(cameras: Mapping[str, CameraConfig], stage: StageConfig, problems: list[Problem]) -> dict[str, Camera]:
    out: dict[str, Camera] = {}
    ranks: dict[int, str] = {}
    for slot, (name, config) in enumerate(cameras.items()):
        path = join("cameras", name)
        rank = slot if config.rank is None else config.rank
        if rank in ranks:
            problems.append(
                Problem(
                    "stage.same_rank",
                    join(path, "rank"),
                    f"camera `{ranks[rank]}` has this rank too",
                    rank,
                    "give every camera a rank of its own",
                )
            )
        ranks.setdefault(rank, name)
        for i, wall in enumerate(config.inner_on or []):
            if wall not in stage.walls:
                problems.append(unknown("wall", join(path, "inner_on", i), wall, stage.walls))
        mode = config.sensor.modes.get(config.sensor.mode)
        if mode is None:
            problems.append(unknown("mode", join(path, "sensor/mode"), config.sensor.mode, config.sensor.modes))
            continue
        for line_id, line in mode.frame_lines.items():
            half = (line.width_px / 2 + abs(line.offset_px[0]), line.height_px / 2 + abs(line.offset_px[1]))
            if half[0] > mode.width_px / 2 or half[1] > mode.height_px / 2:
                where = join(path, "sensor/modes", config.sensor.mode, "frame_lines", line_id)
                detail = f"reach beyond the picture of {mode.width_px} x {mode.height_px} px"
                problems.append(Problem("stage.out_of_range", where, detail, None, "make them smaller"))
        lens = PlanLens(
            focal_length_mm=config.lens.focal_length_mm,
            sensor_width_mm=mode.width_mm,
            sensor_height_mm=mode.height_mm,
            squeeze=mode.squeeze,
            radial=config.lens.radial,
            tangential=config.lens.tangential,
            model=config.lens.model,
            distortion_offset_mm=config.lens.distortion_offset_mm,
            projection_offset_mm=mode.projection_offset_mm,
            entrance_pupil_m=config.lens.entrance_pupil_m,
            focus_distance_m=config.lens.focus_distance_m,
            f_stop=config.lens.f_stop,
        )
        problems += _lens_problems(path, lens)
        overscan = config.overscan
        out[name] = Camera(
            id=name,
            label=config.label or name,
            rank=rank,
            resolution_px=(mode.width_px, mode.height_px),
            lens=lens,
            shutter_deg=config.shutter_deg,
            readout_ms=mode.readout_ms,
            genlock_phase_deg=config.genlock_phase_deg,
            walls=tuple(dict.fromkeys(config.inner_on if config.inner_on is not None else stage.walls)),
            body_from_sensor=_pose(config.mount),
            default_stage_from_camera=_pose(config.pose),
            overscan_deg=(
                (overscan.left_deg, overscan.right_deg, overscan.top_deg, overscan.bottom_deg)
                if isinstance(overscan, FixedOverscan)
                else None
            ),
            overscan_margin_deg=0.0 if isinstance(overscan, FixedOverscan) else overscan.margin_deg,
            overscan_max_deg=(
                max(overscan.left_deg, overscan.right_deg, overscan.top_deg, overscan.bottom_deg)
                if isinstance(overscan, FixedOverscan)
                else overscan.max_deg
            ),
            overscan_min_deg=0.0 if isinstance(overscan, FixedOverscan) else overscan.min_deg,
            soft_edge_deg=config.soft_edge_deg,
            focus_blur_deg=config.focus_blur_deg,
            delay_ms=config.delay_ms,
            on_air=config.on_air,
            enabled=config.enabled,
            slot=slot,
        )
    return out


def _pose(config: PoseConfig) -> Array:
    return pose_from_pan_tilt_roll(
        (config.x_m, config.y_m, config.z_m),
        pan_deg=config.pan_deg,
        tilt_deg=config.tilt_deg,
        roll_deg=config.roll_deg,
    )


def _lens_problems(path: str, lens: PlanLens) -> list[Problem]:
    """A distortion that folds, or that reaches far beyond the frame, is a wrong unit or order."""
    where = join(path, "lens/radial")
    mend = (
        "check the coefficients' units and order (OpenLensIO: odd numerator, even denominator, mm^-2, mm^-2, mm^-4 ...)"
    )
    fault = distortion_fault(lens.radial, reach_mm(lens))
    if fault:
        return [Problem("stage.lens_fold", where, fault, lens.radial, mend)]
    try:
        with np.errstate(all="ignore"):
            cover = lens_cover_deg(lens)
    except OpenVolumeError as error:
        return [Problem(p.code, where, p.detail, p.value, p.mend) for p in error.problems]
    if not all(c < 30.0 for c in cover):
        return [
            Problem(
                "stage.lens_fold",
                where,
                f"the distorted frame reaches {max(cover):.3g} degrees beyond the lens' own",
                lens.radial,
                mend,
            )
        ]
    return []
