"""The limits of a timing run: a YAML file, typed, with units in the names; a file of one's own names what differs."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from controller.timing.settings import TimingError
from stage.documents import MAX_BYTES, read_yaml, validate, with_lines
from stage.errors import Problem

Most = Annotated[float, Field(ge=0.0, le=1e9)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Place = Literal["virtual", "software_gl", "gpu"]


class Limits(BaseModel):
    """Each figure is the most that is allowed (`covered_share`: the least); None is shown and never judged."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True, use_attribute_docstrings=True)

    slots_unreported: Most | None = None
    """Frame slots about which a node said nothing."""
    slots_mixed: Most | None = None
    """Slots in which canvases showed different frames or versions."""
    repeats_without_reason: Most | None = None
    """Repeated pictures without a reason."""
    repeats_beyond_metronome_share: Share | None = None
    """Repeated slots beyond those a process lost that did nothing but sleep, as a share of all."""
    slots_without_plan_share: Share | None = None
    """Slots whose plan the node had to make itself."""
    own_share_p50_ms: Most | None = None
    """The controller's own time in a frame: datagram to history, plus latch to plan."""
    own_share_p99_ms: Most | None = None
    age_p99_ms: Most | None = None
    """From the tracker's sample to the photo it is used for."""
    age_beyond_wall_p99_frames: Most | None = None
    """The same, without what LED processors, exposure and read-out take by themselves, and without the time from one
    of the tracker's samples to the next."""
    error_p99_mm: Most | None = None
    """Between the pupil the picture was drawn for and the true one."""
    error_p99_deg: Most | None = None
    """Between the direction the picture was drawn for and the true one."""
    slip_p99_px: Most | None = None
    """How far beside its place far content stands in the photo, px of a 3840-wide sensor."""
    covered_share: Share | None = None
    """Photos that lie wholly on the inner picture, as a share of all: at least this."""
    changes_refused: Most | None = None
    """Changes of the show that were refused though they were good."""
    change_p99_ms: Most | None = None
    """From asking for a change to the first frame that carries it."""
    processes_restarted: Most | None = None
    """Processes of the show that died or hung."""
    lost_told_ms: Most | None = None
    """From a tracker's last sample to its source being told as lost."""
    return_m_s: Most | None = None
    """Fastest the picture's camera moves while a lost source comes back."""
    return_deg_s: Most | None = None
    impaired_error_ratio: Most | None = None
    """Pose error (p95) under jitter and loss over that of the same move undisturbed."""
    impaired_unstamped_error_ratio: Most | None = None
    """The same where the protocol carries no time stamps (FreeD, OSC messages)."""
    stalled_age_ms: Most | None = None
    """Age of the newest datagram at the first latch after the reader stood still."""
    clock_settled_ms: Most | None = None
    """From a jump of the tracker's clock until the pose error is what it was."""
    bad_datagram_ms: Most | None = None
    """Longest a broken datagram takes to be refused."""
    flooded_age_extra_ms: Most | None = None
    """How much older (p99) poses are while another sender floods the source."""
    second_source_told_ms: Most | None = None
    """From a second source's first pose to the alarm."""
    pace_ppm: Most | None = None
    """Most a frame's length differs from the rate's, whatever the clocks do."""
    websocket_gap_ms: Most | None = None
    """Longest silence a reading client sees while others never read."""
    websocket_memory_mb: Most | None = None
    """What clients that never read cost the service."""
    websocket_closed_s: Most | None = None
    """Until clients that never read are let go."""


class LimitsFile(BaseModel):
    """The file in the package: what holds everywhere, and what differs where."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)

    everywhere: Limits
    virtual: Limits = Limits()
    software_gl: Limits = Limits()
    gpu: Limits = Limits()


NAMES: Final = tuple(Limits.model_fields)
LEAST: Final = frozenset({"covered_share"})
"""Limits that are kept from below."""


TITLES: Final = {
    "slots_unreported": "Slots nobody reported",
    "slots_mixed": "Slots with mixed pictures",
    "repeats_without_reason": "Repeats without a reason",
    "repeats_beyond_metronome_share": "Repeated slots beyond the machine's own",
    "slots_without_plan_share": "Slots without a plan",
    "own_share_p50_ms": "Controller's own time, middle",
    "own_share_p99_ms": "Controller's own time, 99 of 100",
    "age_p99_ms": "Age at the photo, 99 of 100",
    "age_beyond_wall_p99_frames": "Age beyond the wall's own delay, 99 of 100",
    "error_p99_mm": "Pose error, place, 99 of 100",
    "error_p99_deg": "Pose error, direction, 99 of 100",
    "slip_p99_px": "Slip in the photo, 99 of 100",
    "covered_share": "Photos wholly on the inner picture",
    "changes_refused": "Good changes that were refused",
    "change_p99_ms": "Time a change takes, 99 of 100",
    "processes_restarted": "Processes that had to be restarted",
    "lost_told_ms": "Until a lost tracker is told",
    "return_m_s": "Fastest return, place",
    "return_deg_s": "Fastest return, direction",
    "impaired_error_ratio": "Pose error over the undisturbed one",
    "impaired_unstamped_error_ratio": "Pose error over the undisturbed one, no stamps",
    "stalled_age_ms": "Age of the first pose after a stall",
    "clock_settled_ms": "Until a clock's jump is mended",
    "bad_datagram_ms": "Time a broken datagram takes",
    "flooded_age_extra_ms": "Extra age while flooded",
    "second_source_told_ms": "Until a second source is told",
    "pace_ppm": "Frames longer or shorter than the rate",
    "websocket_gap_ms": "Longest silence of a reading client",
    "websocket_memory_mb": "Memory for clients that never read",
    "websocket_closed_s": "Until such clients are let go",
}


def title(name: str) -> str:
    """What a figure is called where people read it; also one that has no limit."""
    return TITLES.get(name) or name.replace("_", " ").capitalize()


def about(name: str) -> str:
    """The sentence under a limit; figures of one thing share the one under the first."""
    found = ""
    for field in NAMES:
        found = Limits.model_fields[field].description or found
        if field == name:
            break
    return found


def load_limits(path: Path | None, place: Place) -> Limits:
    """The default limits of a place, with what a file of one's own says in their stead.

    Raises
    ------
    TimingError : the file cannot be used; every fault is told with its line.
    """
    text = resources.files("controller.timing").joinpath("limits.yaml").read_bytes()
    defaults, problems = validate(LimitsFile, read_yaml(text))
    assert defaults is not None, problems
    said: dict[str, Any] = defaults.everywhere.model_dump()
    said.update(getattr(defaults, place).model_dump(exclude_unset=True))
    if path is not None:
        said.update(_read(path).model_dump(exclude_unset=True))
    return Limits(**said)


def _read(path: Path) -> Limits:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        detail = f"cannot be read: {error.strerror}"
        raise TimingError(Problem("controller.timing_limits", "--limits", detail, str(path), "name a file")) from error
    document = read_yaml(data)
    limits, problems = validate(Limits, document)
    if limits is None:
        raise TimingError(*with_lines(problems, document.lines))
    return limits
