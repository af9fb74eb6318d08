"""Windows: which monitors show canvases, how they run, and how late pictures are seen."""

from __future__ import annotations

from fastapi.responses import Response

from controller.api import present_windows
from controller.api.http import Here, answers, router, send_json
from controller.api.problems import problem
from controller.api.views_windows import WindowView
from controller.errors import UnknownAddress

routes = router()


@routes.get("/windows", responses=answers(WindowView, many=True), tags=["room"])
async def get_windows(control: Here) -> Response:
    """Every window over monitors, by id."""
    return send_json(present_windows.windows(control.desk, control.backend))


@routes.get("/windows/{window}", responses=answers(WindowView), tags=["room"])
async def get_window(control: Here, window: str) -> Response:
    """One of them."""
    found = present_windows.windows(control.desk, control.backend)
    if window not in found:
        mend = f"use one of {', '.join(found)}" if found else "configure windows, and outputs/<canvas>/monitors"
        raise problem(UnknownAddress, f"windows/{window}", "no such window shows anything", mend=mend)
    return send_json(found[window])
