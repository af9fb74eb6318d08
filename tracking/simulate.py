"""`openvolume simulate`: a camera move in any protocol, with lens pulls, with faults, and with its truth in a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeVar

import msgspec

from runtime.clock import Clock, SystemClock
from stage.errors import Problem
from stage.frames import pan_tilt_roll_from_rotation
from stage.rate import Rate
from tracking.encoders import Encode, encoder
from tracking.errors import SendError
from tracking.faults import Faults
from tracking.faulty_sender import FaultySender
from tracking.moment import Moment
from tracking.moves import move as named_move
from tracking.pulls import LensAt
from tracking.pulls import lens as named_lens
from tracking.sample import LensReading
from tracking.sender import PoseAt, Sender, default_target, open_wire, sample_rate

Made = TypeVar("Made")


class TruthFile:
    """The true poses of a simulation, one JSON object a line, whatever becomes of the datagrams.

    `t` seconds from the first sample, `number`, `tai_ns` or `unix_ns` as the samples are labelled, `position_m`,
    `rotation` (xyzw), `pan_deg tilt_deg roll_deg`, and the lens as far as there is one. Stage frame.

    Raises
    ------
    SendError : the file cannot be written.
    """

    def __init__(self, path: Path, *, label: str) -> None:
        self._label = label
        self._begin_ns: int | None = None
        try:
            self._file: IO[bytes] = path.open("wb")
        except OSError as error:
            detail = f"cannot be written: {error.strerror}"
            raise SendError(Problem("tracking.truth", "truth", detail, str(path), "name another file")) from error

    def add(self, t_ns: int, moment: Moment) -> None:
        """One sample as it truly was."""
        if self._begin_ns is None:
            self._begin_ns = t_ns
        pan_deg, tilt_deg, roll_deg = pan_tilt_roll_from_rotation(moment.stage_from_camera)
        line = {
            "t": (t_ns - self._begin_ns) / 1e9,
            "number": moment.number,
            self._label: moment.t_ns,
            "position_m": [float(v) for v in moment.stage_from_camera[:3, 3]],
            "rotation": list(moment.quaternion()),
            "pan_deg": pan_deg,
            "tilt_deg": tilt_deg,
            "roll_deg": roll_deg,
        }
        lens = moment.lens
        if lens is not None:
            line |= {
                name: value
                for name in ("focal_length_mm", "focus_distance_m", "entrance_pupil_m", "zoom_raw", "focus_raw")
                if (value := getattr(lens, name)) is not None
            }
        self._file.write(msgspec.json.encode(line) + b"\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def simulate(
    move: str = "orbit",
    protocol: str = "freed",
    target: str | None = None,
    *,
    rate: str | float = 60,
    seconds: float | None = None,
    camera: str = "a",
    seed: int = 0,
    camera_id: int = 1,
    source_number: int = 1,
    focal_length_mm: float | None = None,
    lens: str | None = None,
    faults: tuple[str, ...] = (),
    truth: Path | None = None,
    clock: Clock | None = None,
    stop: Callable[[], bool] | None = None,
    started: Callable[[str], None] | None = None,
    told: Callable[[str], None] | None = None,
) -> int:
    """Play a camera move to an address; samples sent. What `openvolume simulate` calls.

    move: one of tracking.moves.MOVES; protocol: one of PROTOCOLS; target: HOST:PORT, a zmq endpoint (a PUB socket binds
    it; `push+tcp://...` connects a PUSH socket), or None for `default_target`; rate: samples a second, 1..1000 or a
    frame rate such as 23.976; seconds: how long, None for ever; lens: one of tracking.pulls.LENSES; faults: names of
    tracking.faults.SCENARIOS, with the seed; truth: a file for the true poses; stop: asked after each sample; started:
    told the target; told: told at the end what the faults did.

    Raises
    ------
    SendError : an unknown move, lens, fault or protocol, a target, rate or file that cannot be used; every fault is
        named.
    """
    problems: list[Problem] = []

    def tried(make: Callable[[], Made]) -> Made | None:
        try:
            return make()
        except SendError as error:
            problems.extend(error.problems)
            return None

    pose_at: PoseAt | None = tried(lambda: named_move(move, seed).pose)
    exact: Rate | None = tried(lambda: sample_rate(rate))
    encode: Encode | None = tried(
        lambda: encoder(protocol, camera=camera, rate=exact, camera_id=camera_id, source_number=source_number)
    )
    lens_at: LensAt | None = None if lens is None else tried(lambda: named_lens(lens, seed))
    injected: Faults | None = tried(lambda: Faults.of(faults, seed))
    problems += _numbers(seconds, camera_id, source_number)
    if lens is not None and focal_length_mm is not None:
        detail = "a lens that zooms has no fixed focal length"
        problems.append(Problem("tracking.lens", "focal_length", detail, focal_length_mm, "leave one of the two out"))
    if problems or pose_at is None or exact is None or encode is None or injected is None:
        raise SendError(*problems)
    if focal_length_mm is not None:
        fixed = LensReading(focal_length_mm=focal_length_mm)
        lens_at = lambda _: fixed  # noqa: E731
    where = target if target is not None else default_target(protocol)
    unix_time = not protocol.startswith("opentrackio")
    file = None if truth is None else TruthFile(truth, label="unix_ns" if unix_time else "tai_ns")
    wire = open_wire(protocol, where)
    clock = SystemClock() if clock is None else clock
    add = None if file is None else file.add
    faulty: FaultySender | None = None
    try:
        if started is not None:
            started(where)
        sender: Sender
        if faults:
            sender = faulty = FaultySender(
                pose_at, encode, wire, clock, exact, injected, lambda: open_wire(protocol, where),
                lens=lens_at, unix_time=unix_time, truth=add,
            )  # fmt: skip
        else:
            sender = Sender(pose_at, encode, wire, clock, exact, lens=lens_at, unix_time=unix_time, truth=add)
        sent = sender.run(seconds, stop=stop)
        if faulty is not None and told is not None:
            done = ", ".join(f"{count} {name}" for name, count in sorted(injected.done.items()))
            told(done or "the faults had not begun yet")
        return sent
    finally:
        wire.close()
        if faulty is not None:
            faulty.close()
        if file is not None:
            file.close()


def _numbers(seconds: float | None, camera_id: int, source_number: int) -> list[Problem]:
    problems = []
    if seconds is not None and not 0.0 < seconds < float("inf"):
        problems.append(Problem("tracking.seconds", "seconds", "not a time", seconds, "give seconds above 0"))
    if not 0 <= camera_id <= 255:
        problems.append(Problem("tracking.camera_id", "camera_id", "FreeD ids are 0..255", camera_id, "use 1"))
    if not 1 <= source_number <= 200:
        problems.append(
            Problem("tracking.source_number", "source_number", "OpenTrackIO sources are 1..200", source_number, "use 1")
        )
    return problems
