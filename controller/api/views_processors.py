"""What the API tells of LED processors."""

from __future__ import annotations

from controller.api.views import View
from controller.processors.keeper import Link, Outcome
from controller.processors.mode import Capacity
from controller.processors.model import Ability, Health, Identity, InputSignal, Value


class ProcessorDriftView(View, frozen=True):
    """A setting that is not as the show wants it."""

    wanted: Value
    found: Value | None


class ProcessorResultView(View, frozen=True):
    """What came of one setting: as asked, near it, acknowledged and not done, refused, written but not readable; or,
    of a dry run, planned."""

    wanted: Value
    found: Value | None
    outcome: Outcome
    detail: str


class ProcessorDelayView(View, frozen=True):
    """From its input to light, frames of the show's rate, without what the chain after it adds."""

    configured_frames: float
    """As the configuration has it, else the library's figure."""
    real_frames: float | None
    """In the mode it is in; None: nothing it tells says so."""
    used_frames: float
    """What the moment of the photo is reckoned with."""
    why: list[str]
    """Where the real one comes from, and what could not be told."""


class ProcessorView(View, frozen=True):
    """One LED processor: what is asked of it, and, where it is spoken to, how it is and is wanted."""

    id: str
    rev: int
    model: str
    latency_frames: float
    """With what the chain after it adds, as configured."""
    delay: ProcessorDelayView
    capacity: Capacity | None
    """What is asked of it in the mode it is in; None before it was read."""
    load: dict[str, float]
    canvases: list[str]
    driver: str | None
    """None: it is not spoken to, and what follows is empty."""
    address: str
    emulated: bool
    link: Link | None
    """None also before its process has said anything; `away`: what follows is what was known last."""
    trouble: str
    """Why it is not ready."""
    identity: Identity | None
    signal: InputSignal
    health: Health
    settings: dict[str, Value]
    """In force, as read back."""
    desired: dict[str, Value]
    """How the show wants it: as configured, or as set since."""
    drift: dict[str, ProcessorDriftView]
    abilities: dict[str, Ability]
    """What it can be asked, and how it takes it."""
    results: dict[str, ProcessorResultView]
    """What came of the last settings that were written."""
    notes: list[str]


class ProcessorSetView(View, frozen=True):
    """What came of setting or restoring a processor, by setting."""

    processor: str
    dry_run: bool
    results: dict[str, ProcessorResultView]


class ProcessorRestoredView(View, frozen=True):
    """One of all that were restored."""

    link: Link | None
    trouble: str
    """Why nothing could be set; empty: it was."""
    results: dict[str, ProcessorResultView]
    """By setting; empty: it was as the show wants it."""


class ProcessorsRestoredView(View, frozen=True):
    """What came of restoring every processor that is spoken to."""

    dry_run: bool
    good: bool
    """Whether all of them are as the show wants them: read back, not believed. Of a dry run: whether they were."""
    processors: dict[str, ProcessorRestoredView]


class ProcessorKeptView(View, frozen=True):
    """How a processor is, as the show wants it from now on."""

    processor: str
    wishes: dict[str, Value]
    """What the show wants beyond configuration and scene."""
