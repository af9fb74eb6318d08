"""How a show's time stands: what the timekeeper tells, and every status, page and metric shows."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

ReferenceName = Literal["free", "system", "timecode", "display"]


class ClockReport(Struct, frozen=True):
    """How the show's time stands."""

    reference: ReferenceName = "free"
    state: str = "free"
    """free, locking, locked, slewing, holdover or step_refused."""
    error_us: float = 0.0
    """Reference minus this clock: what is being slewed away, or the step that is refused."""
    slew_ppm: float = 0.0
    frequency_ppm: float = 0.0
    """How much slower (+) the reference runs than this machine, as learned from time code or the display."""
    holdover_s: float = 0.0
    """Since the reference was lost; 0 while it is there."""
    frame_lead: int = 0
    """Frames by which numbers are ahead of the reference's own."""
    labels: str = "counted"
    """counted, or (from outside) waiting, jammed, flywheel."""
    fault: str = ""
    """Why the outside time code is not usable now: reverse, stopped, jumped, rate, drop_frame, silent."""
    heard: int = 0
    """Labels heard."""
    refused: dict[str, int] = {}
    """Labels and signals left aside, by reason."""
    jumps: int = 0
    """How often the labels were taken over anew."""
    synchronised: bool | None = None
    """Whether the kernel's clock is kept; None: nobody looked."""
    tai_offset_s: int | None = None
    max_error_us: float | None = None
    ptp: str = ""
    """State of ptp4l's port; empty: no ptp4l."""
    ptp_offset_ns: int | None = None
    grandmaster: str = ""
    rolling: bool = False
