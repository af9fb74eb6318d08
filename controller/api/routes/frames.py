"""Frames over HTTP: the ledger, why a frame was late in words, and the clock that counts them."""

from __future__ import annotations

import asyncio
from pathlib import Path as FilePath
from typing import Annotated, Any, Final

from fastapi import Path, Query, Request
from fastapi.responses import Response

from controller.api import present_running
from controller.api.control import Control
from controller.api.http import Here, answers, closed, only, read_object, router, send_json, takes
from controller.api.problems import problem
from controller.api.views import FramesView, JamView, RecordView, StatisticsView
from controller.errors import BadValue, UnknownAddress
from controller.ledger_file import LedgerFileError, around_frame, runs_in
from controller.ledger_record import FrameRecord
from controller.ledger_words import AROUND, Why, explain

routes = router()
Count = Annotated[int, Query(ge=1, le=1000, description="How many of the newest slots.")]
Window = Annotated[int, Query(ge=1, le=1024, description="How many of the newest frames the percentiles are made of.")]
Frame = Annotated[int, Path(ge=0)]
_JAM: Final[dict[str, Any]] = closed(
    {
        "frame": {
            "type": "integer",
            "minimum": 0,
            "description": "The first frame of the new time; left out, or already past: the next that can be.",
        }
    }
)


@routes.get("/frames", responses=answers(FramesView), tags=["running"])
async def get_frames(control: Here, window: Window = present_running.WINDOW) -> Response:
    """Counts of the run and latencies of its newest frames."""
    return send_json(present_running.frames(control.backend, window=window))


@routes.get("/frames/latest", responses=answers("Records"), tags=["running"])
async def get_latest_frames(control: Here, count: Count = 100) -> Response:
    """The ledger's newest slots, oldest first: when each step happened, and why a picture was repeated."""
    found = control.backend.ledger.latest(count)
    # On a thread: a thousand slots are megabytes.
    return await asyncio.to_thread(lambda: send_json({"records": [present_running.record(record) for record in found]}))


@routes.get("/frames/statistics", responses=answers(StatisticsView), tags=["running"])
async def get_statistics(control: Here, window: Window = present_running.WINDOW) -> Response:
    """p50, p95, p99 and maximum of every interval over the newest frames, standstills of the host, what is stored."""
    return send_json(present_running.statistics(control.backend, window=window))


@routes.post("/frames/jam", responses=answers(JamView), openapi_extra=takes(_JAM, required=False), tags=["running"])
async def post_jam(request: Request, control: Here) -> Response:
    """Let time jump to its reference, at a frame boundary: after a step that was refused, or instead of slewing. 409
    while a take rolls, or when there is no reference."""
    body = await read_object(request, optional=True)
    only(body, "frame")
    frame = body.get("frame", 0)
    if not isinstance(frame, int) or isinstance(frame, bool) or frame < 0:
        raise problem(BadValue, "frame", "no frame number", value=frame, mend="a whole number, or leave it out")
    return send_json(JamView(await control.clock_hand.jam(frame)))


@routes.get("/frames/{frame}", responses=answers(RecordView), tags=["running"])
async def get_frame(control: Here, frame: Frame) -> Response:
    """One slot of the ledger, and why it is as it is, in words. Slots of this run that are no longer in memory come
    from the disk."""
    ledger = control.backend.ledger
    record = ledger.record(frame)
    if record is not None:
        around = ledger.after(frame - AROUND - 1, until=frame + AROUND)
        return send_json(present_running.record(record, explain(record, around, notes=list(control.backend.notes))))
    stored = await asyncio.to_thread(_from_disk, _segments_folder(control), control.run.run, frame)
    if stored is None:
        raise problem(UnknownAddress, f"frames/{frame}", "not in the ledger (any more)", mend="GET frames/latest")
    return send_json(present_running.record(*stored))


def _segments_folder(control: Control) -> FilePath | None:
    recorder = control.backend.recorder
    return FilePath(recorder.path).parent if recorder is not None and recorder.path else None


def _from_disk(folder: FilePath | None, run: str, frame: int) -> tuple[FrameRecord, Why] | None:
    """A slot of this run as the recorder has written it, with what lay around it."""
    if folder is None:
        return None
    try:
        reading = around_frame(runs_in(folder).get(run, []), frame, before=AROUND, after=AROUND)
    except LedgerFileError:
        return None
    record = next((record for record in reading.records if record.frame == frame), None)
    if record is None:
        return None
    return record, explain(record, reading.records, notes=reading.notes, events=reading.events)
