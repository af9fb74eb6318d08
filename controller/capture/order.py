"""What is to be captured and how it stands: the order file of a run, and the status its process publishes.

`capture.json` in the run directory holds every order of the run; the API and `openvolume capture` write it, the
capture process (`controller.processes.capture`) obeys. Nothing is written over: the name must be free.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct

from controller.errors import ControllerError
from controller.rundir import RunDir, replace_file
from controller.status import Alarm
from stage.errors import Problem

CaptureKind = Literal["canvas", "inner", "photo"]
CaptureFormat = Literal["png", "exr", "prores", "prores_hq", "ffv1"]
CaptureLight = Literal["acescg", "signal"]
CaptureState = Literal["waiting", "running", "done", "failed"]

STILLS: Final[tuple[CaptureFormat, ...]] = ("png", "exr")
SUFFIX: Final[dict[CaptureFormat, str]] = {
    "png": ".png", "exr": ".exr", "prores": ".mov", "prores_hq": ".mov", "ffv1": ".mkv",
}  # fmt: skip
MOST_ORDERS: Final = 256
"""Orders a run keeps; the oldest that are done go."""


class CaptureError(ControllerError):
    """A capture that cannot begin, or that does not exist."""

    code = "controller.capture"


class CaptureOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """One capture."""

    number: int
    """Counts the captures of a run."""
    kind: CaptureKind
    of: str
    """Id of the canvas (canvas), or of the camera (inner, photo)."""
    format: CaptureFormat
    path: str
    """The video file, or for stills what their names begin with: `<path>.<frame>.png`."""
    bits: Literal[8, 16] = 16
    """Of a channel; png."""
    light: CaptureLight = "acescg"
    """exr: linear ACEScg light (1.0 = 100 nit), or the signal as it is, 0..1."""
    first_frame: int = 0
    """The first frame that is wanted; 0: the next one shown."""
    last_frame: int | None = None
    """The last one; None: until it is ended."""
    every: int = 1
    """Only each k-th frame, counted from the first."""
    width_px: int = 1920
    """Of a photo."""

    @property
    def sidecar(self) -> Path:
        """The JSON file that tells what was captured and what is missing."""
        return Path(self.path + ".json")


class CaptureJob(Struct, frozen=True):
    """How one capture stands."""

    order: CaptureOrder
    state: CaptureState
    written: int = 0
    """Pictures on the disk."""
    missing: int = 0
    """Wanted frames that are not."""
    newest_frame: int = -1
    """The newest on the disk."""
    waiting_px: int = 0
    """Pixels taken and not written yet."""
    detail: str = ""
    """Why it failed, or what is missing first."""


class CaptureStatus(Struct, frozen=True):
    """What the capture process publishes, about four times a second while it has something to do."""

    t_ns: int
    pid: int
    jobs: list[CaptureJob] = []
    alarms: list[Alarm] = []


def decode_capture(data: bytes | memoryview) -> CaptureStatus:
    """The status. Raises msgspec.ValidationError when the bytes are not one."""
    return msgspec.msgpack.decode(data, type=CaptureStatus)


def together(*statuses: CaptureStatus | None) -> CaptureStatus | None:
    """What several processes tell as one, by number; None when none tells anything."""
    told = [status for status in statuses if status is not None]
    if not told:
        return None
    newest = max(told, key=lambda status: status.t_ns)
    jobs = sorted((job for status in told for job in status.jobs), key=lambda job: job.order.number)
    return CaptureStatus(newest.t_ns, newest.pid, jobs, [alarm for status in told for alarm in status.alarms])


def read_orders(run: RunDir) -> list[CaptureOrder]:
    """Every order of a run, oldest first."""
    try:
        return msgspec.json.decode(run.capture_orders.read_bytes(), type=list[CaptureOrder])
    except (OSError, msgspec.MsgspecError):
        return []


def begin_capture(run: RunDir, order: CaptureOrder) -> CaptureOrder:
    """Have something captured; the order as it stands in the file, with its number and its whole path.

    Raises
    ------
    CaptureError : the name is taken, the folder cannot be written to, or the frames make no sense.
    """
    order = msgspec.structs.replace(order, path=str(capture_path(Path(order.path), order.format)))
    _checked(order)
    with _changing(run) as orders:
        if any(other.path == order.path for other in orders):
            raise _error(order.path, "is captured into already", "give another name: nothing is written over")
        number = max((other.number for other in orders), default=0) + 1
        order = msgspec.structs.replace(order, number=number)
        orders.append(order)
    return order


def end_capture(run: RunDir, number: int, *, last_frame: int = 0) -> CaptureOrder:
    """Have a capture end after a frame; 0: after what was shown by now.

    Raises
    ------
    CaptureError : there is none of that number.
    """
    with _changing(run) as orders:
        for index, order in enumerate(orders):
            if order.number == number:
                if last_frame and last_frame < order.first_frame:
                    raise _error(str(number), f"frame {last_frame} is before its first", "name a later frame")
                orders[index] = msgspec.structs.replace(order, last_frame=last_frame)
                return orders[index]
    raise _error(f"captures/{number}", "there is no such capture", "GET captures lists them")


def capture_path(path: Path, form: CaptureFormat) -> Path:
    """The path of an order: absolute, with a video's suffix, without a still's."""
    path = path.expanduser().absolute()
    suffix = SUFFIX[form]
    if form in STILLS:
        return path.with_suffix("") if path.suffix == suffix else path
    return path if path.suffix == suffix else path.with_name(path.name + suffix)


def _checked(order: CaptureOrder) -> None:
    path = Path(order.path)
    if order.last_frame is not None and order.last_frame < order.first_frame:
        detail = f"last frame {order.last_frame} is before the first, {order.first_frame}"
        raise _error("last_frame", detail, "name a later frame, or leave it out")
    if order.every < 1:
        raise _error("every", f"each {order.every}-th frame is none", "1 takes every frame")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _error(order.path, f"its folder cannot be made: {error.strerror}", "give another place") from error
    if not os.access(path.parent, os.W_OK):
        raise _error(order.path, "its folder cannot be written to", "give another place")
    taken = order.sidecar.exists() or (order.format not in STILLS and path.exists())
    if taken:
        raise _error(order.path, "is there already", "give another name: nothing is written over")


@contextlib.contextmanager
def _changing(run: RunDir) -> Iterator[list[CaptureOrder]]:
    """The orders, to be changed in place; written when all went well. One writer at a time."""
    lock = run.path / ".capture.lock"
    fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        orders = read_orders(run)
        yield orders
        replace_file(run.capture_orders, msgspec.json.encode(orders[-MOST_ORDERS:]))
    finally:
        os.close(fd)


def _error(path: str, detail: str, mend: str) -> CaptureError:
    return CaptureError(Problem(CaptureError.code, path, detail, mend=mend))
