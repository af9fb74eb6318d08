"""`openvolume capture`: frames of a running show of this machine written to disk. It needs no service."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from controller.capture.order import (
    CaptureError,
    CaptureJob,
    CaptureOrder,
    CaptureStatus,
    begin_capture,
    decode_capture,
    end_capture,
    read_orders,
    together,
)
from controller.rundir import RunDir, is_alive, runs
from runtime.ring import RingReader
from stage.errors import Problem

_WHAT: Final = re.compile(r"(canvas|inner|photo):([a-z][a-z0-9_]{0,31})")
_END: Final = re.compile(r"end:(\d+)")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says of a capture; fields as in `CaptureOrder`."""

    form: str = "png"
    bits: int = 16
    light: str = "acescg"
    first_frame: int = 0
    last_frame: int | None = None
    frames: int | None = None
    every: int = 1
    width_px: int = 1920


def capture_command(what: str, out: Path | None, asked: Asked, *, run: str | None = None) -> int:
    """Begin a capture (`canvas:left`, `inner:a`, `photo:a`), end one (`end:3`), or list them (`list`).

    Raises
    ------
    CaptureError : no such show runs, or it cannot be captured so.
    """
    directory = _running(run)
    ending, beginning = _END.fullmatch(what), _WHAT.fullmatch(what)
    if ending is not None:
        order = end_capture(directory, int(ending[1]), last_frame=asked.last_frame or 0)
        sys.stdout.write(f"capture {order.number} ends\n")
    elif what == "list":
        sys.stdout.write(_told(directory))
    elif beginning is not None:
        order = begin_capture(directory, _order(directory, beginning[1], beginning[2], out, asked))
        sys.stdout.write(f"capture {order.number}: {what} to {order.path}; {order.sidecar} lists what is missing\n")
    else:
        raise _error("WHAT", "nothing that can be captured", what, "canvas:ID, inner:CAMERA, photo:CAMERA, list, end:N")
    return 0


def _order(run: RunDir, kind: str, name: str, out: Path | None, asked: Asked) -> CaptureOrder:
    if kind == "canvas" and name not in run.canvases():
        known = ", ".join(run.canvases()) or "none yet"
        raise _error("WHAT", "there is no such canvas", name, f"use one of {known}")
    if out is None:
        raise _error("--out", "say where to", None, "--out take_7 (a video gets its suffix, stills their frame)")
    last = asked.last_frame
    if asked.frames is not None:
        if last is not None or not asked.first_frame:
            raise _error("--frames", "counts from a first frame", asked.frames, "give --first, and no --last")
        last = asked.first_frame + (asked.frames - 1) * asked.every
    fields = {
        "number": 0, "kind": kind, "of": name, "format": asked.form, "path": str(out), "bits": asked.bits,
        "light": asked.light, "first_frame": asked.first_frame, "last_frame": last, "every": asked.every,
        "width_px": asked.width_px,
    }  # fmt: skip
    try:
        return msgspec.convert(fields, CaptureOrder)
    except msgspec.ValidationError as error:
        raise _error("capture", str(error), None, "openvolume capture --help tells what it takes") from error


def _told(run: RunDir) -> str:
    jobs = {job.order.number: job for job in _status(run).jobs}
    lines = []
    for order in read_orders(run):
        job = jobs.get(order.number, CaptureJob(order, "waiting"))
        missing = f", {job.missing} missing" if job.missing else ""
        detail = f" ({job.detail})" if job.detail else ""
        what = f"{order.kind}:{order.of}"
        lines.append(f"{order.number}  {what}  {job.state}  {job.written} written{missing}  {order.path}{detail}\n")
    return "".join(lines) or "nothing is captured\n"


def _status(run: RunDir) -> CaptureStatus:
    told = together(*(_newest(path) for path in (run.capture_status, run.drawer_status)))
    return told or CaptureStatus(0, 0)


def _newest(path: Path) -> CaptureStatus | None:
    reader = RingReader.try_open(path)
    if reader is None:
        return None
    try:
        slot = reader.latest()
        return None if slot is None else decode_capture(slot.data)
    finally:
        reader.close()


def _running(run: str | None) -> RunDir:
    found = [directory for directory in runs() if run in (None, directory.run) and is_alive(directory)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise _error("--run", "no show runs here", run, "start one: openvolume run CONFIG")
    names = ", ".join(directory.run for directory in found)
    raise _error("--run", f"{len(found)} shows run here: {names}", None, "add --run NAME")


def _error(path: str, detail: str, value: object, mend: str) -> CaptureError:
    return CaptureError(Problem(CaptureError.code, path, detail, value, mend))
