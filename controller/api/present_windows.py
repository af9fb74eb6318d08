"""Builds the resources of windows: from what the presenter says of them, as configured before it says anything."""

from __future__ import annotations

import msgspec

from controller.api.backend import Backend
from controller.api.views_windows import WindowView
from controller.desk import Desk
from controller.windows.status import WindowStatus


def windows(desk: Desk, backend: Backend) -> dict[str, WindowView]:
    """Every window that is to show something."""
    config = desk.loaded.config
    used = {part.monitor for output in config.outputs.values() for part in output.monitors}
    told = backend.windows.windows if backend.windows is not None else {}
    rev = backend.windows.config_version if backend.windows is not None else 0
    found = {}
    for name, window in config.windows.items():
        if used.isdisjoint(window.monitors):
            continue
        status = told.get(name) or WindowStatus(window.display, "", None, 0, 0, [], {})
        found[name] = WindowView(id=name, rev=rev, open=bool(status.renderer), **msgspec.structs.asdict(status))
    return found
