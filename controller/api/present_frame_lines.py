"""Cameras' frame lines as the configuration and the desk have them, made into their views."""

from __future__ import annotations

import msgspec

from controller.api.views import AddressView, FrameLineView
from controller.desk import Desk
from controller.frame_lines import ABOUT, FRAME_LINES, shown_lines


def frame_lines(desk: Desk, camera: str) -> dict[str, FrameLineView]:
    """Those of a camera's sensor mode, by id, and whether monitors show them."""
    sensor = desk.loaded.config.cameras[camera].sensor
    lines = sensor.modes[sensor.mode].frame_lines
    shown = shown_lines(desk.show.cameras[camera].framing, list(lines))
    return {
        line: FrameLineView(told.width_px, told.height_px, told.offset_px, line in shown)
        for line, told in lines.items()
    }


def frame_line_addresses(desk: Desk) -> list[AddressView]:
    """A row for each camera that has any."""
    schema = msgspec.json.schema(bool)
    return [
        AddressView(f"cameras/{camera}/{FRAME_LINES}/<id>", ABOUT, schema, list(lines))
        for camera, lines in desk.around.frame_lines.items()
        if lines
    ]
