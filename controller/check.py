"""`openvolume check CONFIG`: what a configuration stands for, or everything that is wrong with it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from controller.config import LoadedConfig, OpenVolumeConfig, compile_loaded, load_config
from renderer.scene_file import files_of
from stage.compiled import Cabinet, CompiledStage, MeshTile, Processor, Wall
from stage.config import MeshWall
from stage.errors import OpenVolumeError, Problem
from stage.panels import panels_of
from stage.processors import processor_library
from stage.published import field_of_view_deg, stage_document


def check_command(config: str, *, as_json: bool = False) -> int:
    """Print the summary (or, as JSON, the compiled stage) of a configuration; every problem when it has some.

    Returns the exit code: 0 good, 2 bad input. Problems go to stderr, one a line; as JSON they go to stdout.
    """
    try:
        loaded = load_config(config)
        compilation = compile_loaded(loaded)
    except OpenVolumeError as error:
        if as_json:
            sys.stdout.write(json.dumps({"problems": [problem_document(p) for p in error.problems]}, indent=1) + "\n")
        else:
            for problem in error.problems:
                sys.stderr.write(f"{problem}\n")
            count = len(error.problems)
            sys.stderr.write(f"{config}: {count} problem{'s' if count > 1 else ''}\n")
        return error.exit_code
    if as_json:
        document = stage_document(compilation.stage)
        document["warnings"] = [problem_document(p) for p in compilation.warnings]
        sys.stdout.write(json.dumps(document) + "\n")
    else:
        sys.stdout.write("\n".join(summary(loaded, compilation.stage, compilation.warnings)) + "\n")
    return 0


def problem_document(problem: Problem) -> dict[str, Any]:
    """A problem as plain data, with the members of an RFC 9457 problem that concern it."""
    return {
        "code": problem.code,
        "path": problem.path,
        "line": problem.line,
        "value": problem.value,
        "detail": problem.detail,
        "mend": problem.mend,
    }


def summary(loaded: LoadedConfig, stage: CompiledStage, warnings: Iterable[Problem]) -> list[str]:
    """Lines for a person: walls, canvases, processors with their load, cameras, inputs, scenes, warnings."""
    config = loaded.config
    lines = [f"{config.label or config.name}  ({loaded.path or 'text'}), {stage.rate.hz:.6g} frames a second", ""]
    lines += _table("Walls", [_wall(config, wall) for wall in stage.walls.values()])
    lines += _table("Canvases", [_canvas(stage, name) for name in stage.canvases])
    lines += _table("Processors", [_processor(config, p, stage) for p in stage.processors.values()])
    lines += _table("Cameras", [_camera(stage, config, name) for name in stage.cameras])
    lines += _table("Inputs", _inputs(config))
    lines += _table("Scenes", [_scene(config, name) for name in config.scenes])
    drawn = sum(c.width_px * c.height_px for c in stage.canvases.values()) / stage.scale**2
    led = sum(c.rect_px[2] * c.rect_px[3] for c in _shown(stage))
    scaled = f", drawn at 1/{stage.scale}: {drawn / 1e6:.2f} Mpx" if stage.scale > 1 else ""
    canvases = "1 canvas" if len(stage.canvases) == 1 else f"{len(stage.canvases)} canvases"
    lines += [f"{led / 1e6:.2f} Mpx of LEDs, {canvases}{scaled}"]
    lines += [f"warning: {warning}" for warning in warnings]
    return lines


def _shown(stage: CompiledStage) -> list[Cabinet | MeshTile]:
    return [*stage.cabinets, *stage.meshes]


def _table(title: str, rows: Sequence[Sequence[str]]) -> list[str]:
    """A heading and rows whose columns are aligned."""
    if not rows:
        return [title, "  none", ""]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        title,
        *("  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows),
        "",
    ]


def _wall(config: OpenVolumeConfig, wall: Wall) -> list[str]:
    section = config.stage.walls[wall.id]
    if isinstance(section, MeshWall):
        made = f"mesh {section.file}"
    else:
        made = f"{wall.kind} of {wall.columns} x {wall.rows} {panels_of(config.stage.panels)[section.panel].name}"
    return [
        wall.id, made, f"{wall.width_m:.2f} x {wall.height_m:.2f} m", f"{wall.width_px} x {wall.height_px} px",
        f"{wall.width_px * wall.height_px / 1e6:.2f} Mpx", f"{wall.pitch_mm:.3f} mm", f"{wall.nits:,.0f} nits",
    ]  # fmt: skip


def _canvas(stage: CompiledStage, name: str) -> list[str]:
    canvas = stage.canvases[name]
    encoding = canvas.encoding
    walls = len({piece.wall for piece in _shown(stage) if piece.canvas == name})
    return [
        name, f"{canvas.width_px} x {canvas.height_px} px", f"{canvas.width_px * canvas.height_px / 1e6:.2f} Mpx",
        f"{encoding.transfer} {encoding.bits} bit {encoding.peak_nits:,.0f} nits {encoding.primaries} {encoding.range}",
        f"{walls} wall{'s' if walls != 1 else ''} -> {canvas.processor}",
    ]  # fmt: skip


def _processor(config: OpenVolumeConfig, processor: Processor, stage: CompiledStage) -> list[str]:
    model = processor_library()[processor.model]
    load = processor.load
    section = config.stage.processors[processor.id]
    kind = "simulated" if section.simulated else "hardware"

    def of(asked: float, most: float | None, unit: str, divisor: float) -> str:
        if most is None:
            return f"{asked / divisor:.2f} {unit} (limit not known)"
        return f"{asked / divisor:.2f} of {most / divisor:.2f} {unit} ({100 * asked / most:.0f} %)"

    canvas = next(c for c in stage.canvases.values() if c.processor == processor.id)
    side = "size not limited"
    if processor.max_width_px and processor.max_height_px:
        side = f"{canvas.width_px} x {canvas.height_px} of {processor.max_width_px} x {processor.max_height_px}"
    lines = "data lines not known"
    if "lines_used" in load:
        most = f" of {load['lines_max']:.0f}" if "lines_max" in load else ""
        lines = f"{load['lines_used']:.0f}{most} data lines of {load['line_px']:,.0f} px"
    return [
        processor.id, f"{model.maker} {model.model}, {kind}", of(load["px"], processor.max_px, "Mpx", 1e6),
        of(load["px_per_s"], processor.px_rate_limit, "Mpx/s", 1e6), side, lines,
        f"{processor.latency_frames:g} frames late",
    ]  # fmt: skip


def _camera(stage: CompiledStage, config: OpenVolumeConfig, name: str) -> list[str]:
    camera = stage.cameras[name]
    across, down = field_of_view_deg(camera.lens)
    sensor = config.cameras[name].sensor
    squeeze = f" x{camera.lens.squeeze:g}" if camera.lens.squeeze != 1.0 else ""
    return [
        name, camera.label, f"{sensor.mode} {camera.resolution_px[0]} x {camera.resolution_px[1]} px",
        f"{camera.lens.sensor_width_mm:g} x {camera.lens.sensor_height_mm:g} mm{squeeze}",
        f"{camera.lens.focal_length_mm:g} mm lens", f"{across:.1f} x {down:.1f} degrees",
        f"inner on {', '.join(camera.walls) or 'no wall'}",
    ]  # fmt: skip


def _inputs(config: OpenVolumeConfig) -> list[list[str]]:
    moved = {name: [s.camera] if s.camera else [] for name, s in config.tracking.sources.items()}
    for name, subject in config.tracking.subjects.items():
        moved[subject.source].append(f"{name} ({subject.kind})")
    return [[name, s.protocol, s.listen, f"-> {', '.join(moved[name])}"] for name, s in config.tracking.sources.items()]


def _scene(config: OpenVolumeConfig, name: str) -> list[str]:
    scene = config.scenes[name]
    parts = [file for _, file in files_of(scene)]
    return [name, scene.label, ", ".join(parts) or "no files"]
