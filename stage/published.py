"""The compiled stage as plain data for the world outside: `openvolume check CONFIG --json` and the HTTP API."""

from __future__ import annotations

from math import atan, degrees
from typing import Any

from stage.cameras import Camera
from stage.compiled import CompiledStage
from stage.lens import frame_size_mm, pinhole_tangents
from stage.plan import PlanLens


def field_of_view_deg(lens: PlanLens) -> tuple[float, float]:
    """Horizontal and vertical angle of the ideal pinhole frame, degrees."""
    left, right, bottom, top = pinhole_tangents(lens)
    return degrees(atan(right) - atan(left)), degrees(atan(top) - atan(bottom))


def stage_document(compiled: CompiledStage) -> dict[str, Any]:
    """The compiled stage as plain data (JSON): enough for anyone to build the walls again without this code.

    Metres in the stage frame, pixels at scale 1 with the origin top left. A cabinet's `corners_m` are lower left,
    lower right, upper left, upper right of its lit surface seen from the lit side; `rect_px` is where its picture lies
    on the canvas after it was mirrored left-right (`flip`) and then turned clockwise by `rotate`, so width and height
    are exchanged for 90 and 270.
    """
    return {
        "name": compiled.name,
        "rate": str(compiled.rate),
        "eye_m": list(compiled.eye_m),
        "scale": compiled.scale,
        "walls": {
            wall.id: {
                "type": wall.kind,
                "width_px": wall.width_px,
                "height_px": wall.height_px,
                "width_m": _round(wall.width_m),
                "height_m": _round(wall.height_m),
                "nits": wall.nits,
                "pitch_mm": _round(wall.pitch_mm),
                "cabinets": wall.cabinets,
                "columns": wall.columns,
                "rows": wall.rows,
            }
            for wall in compiled.walls.values()
        },
        "canvases": {
            canvas.id: {
                "processor": canvas.processor,
                "width_px": canvas.width_px,
                "height_px": canvas.height_px,
                "rate": str(canvas.rate),
                "encoding": {
                    "transfer": canvas.encoding.transfer,
                    "peak_nits": canvas.encoding.peak_nits,
                    "bits": canvas.encoding.bits,
                    "primaries": canvas.encoding.primaries,
                    "range": canvas.encoding.range,
                },
                "delay_frames": canvas.delay_frames,
            }
            for canvas in compiled.canvases.values()
        },
        "cabinets": [
            {
                "id": cabinet.id,
                "wall": cabinet.wall,
                "panel": cabinet.panel,
                "corners_m": [[_round(x) for x in corner] for corner in cabinet.corners_m.tolist()],
                "wall_px": list(cabinet.wall_rect_px),
                "canvas": cabinet.canvas,
                "rect_px": list(cabinet.rect_px),
                "rotate": cabinet.rotate,
                "flip": cabinet.flip,
            }
            for cabinet in compiled.cabinets
        ],
        "meshes": [
            {
                "id": mesh.id,
                "wall": mesh.wall,
                "canvas": mesh.canvas,
                "wall_px": list(mesh.wall_rect_px),
                "rect_px": list(mesh.rect_px),
                "rotate": mesh.rotate,
                "flip": mesh.flip,
                "positions_m": mesh.positions_m.tolist(),
                "normals": mesh.normals.tolist(),
                "vertices_wall_px": mesh.wall_px.tolist(),
                "triangles": mesh.triangles.tolist(),
            }
            for mesh in compiled.meshes
        ],
        "cameras": {camera.id: _camera_document(camera) for camera in compiled.cameras.values()},
        "processors": {
            processor.id: {
                "model": processor.model,
                "latency_frames": processor.latency_frames,
                "max_px": processor.max_px,
                "max_px_per_s": processor.px_rate_limit,
                "max_width_px": processor.max_width_px,
                "max_height_px": processor.max_height_px,
                "load": processor.load,
            }
            for processor in compiled.processors.values()
        },
    }


def _round(value: float) -> float:
    """A tenth of a micrometre is beyond any survey, and keeps 4.999999999999999 out of the document."""
    return round(value, 10)


def _camera_document(camera: Camera) -> dict[str, Any]:
    lens = camera.lens
    width_mm, height_mm = frame_size_mm(lens)
    across_deg, down_deg = field_of_view_deg(lens)
    return {
        "label": camera.label,
        "rank": camera.rank,
        "resolution_px": list(camera.resolution_px),
        "picture_mm": [width_mm, height_mm],
        "field_of_view_deg": [round(across_deg, 4), round(down_deg, 4)],
        "lens": {
            "focal_length_mm": lens.focal_length_mm,
            "sensor_width_mm": lens.sensor_width_mm,
            "sensor_height_mm": lens.sensor_height_mm,
            "squeeze": lens.squeeze,
            "model": lens.model,
            "radial": list(lens.radial),
            "tangential": list(lens.tangential),
            "distortion_offset_mm": list(lens.distortion_offset_mm),
            "projection_offset_mm": list(lens.projection_offset_mm),
            "entrance_pupil_m": lens.entrance_pupil_m,
            "f_stop": lens.f_stop,
            "focus_distance_m": lens.focus_distance_m,
        },
        "shutter_deg": camera.shutter_deg,
        "readout_ms": camera.readout_ms,
        "genlock_phase_deg": camera.genlock_phase_deg,
        "walls": list(camera.walls),
        "body_from_sensor": [_round(x) for x in camera.body_from_sensor.reshape(16).tolist()],
        "stage_from_camera": [_round(x) for x in camera.default_stage_from_camera.reshape(16).tolist()],
        "overscan_deg": list(camera.overscan_deg) if camera.overscan_deg is not None else None,
        "overscan_min_deg": camera.overscan_min_deg,
        "overscan_max_deg": camera.overscan_max_deg,
        "soft_edge_deg": camera.soft_edge_deg,
        "focus_blur_deg": camera.focus_blur_deg,
        "on_air": camera.on_air,
        "enabled": camera.enabled,
    }
