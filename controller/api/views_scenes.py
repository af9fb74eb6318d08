"""The resources of scenes as they are sent; see `controller.api.views`."""

from __future__ import annotations

from typing import Any, Literal

from controller.api.views import View
from controller.status import ResidentScene


class SceneView(View, frozen=True):
    """One virtual world of the configuration."""

    id: str
    rev: int
    label: str
    active: bool
    """Whether it is what the walls show, or come to."""
    weight: float
    """Its share of what the newest frame shows."""
    position: str
    """The stage position it opens with; empty: its origin."""
    version: int
    """Counts what is drawn of it: the revision at which its edits or files changed last."""
    state: Literal["cold", "compiling", "loading", "ready"]
    """cold: a switch to it waits until it is compiled and loaded; ready: every node can show it at any frame."""
    nodes: dict[str, int]
    """Nodes that hold it ready, and the bytes it takes there."""
    compiled: str
    """The compiled state that is shown; empty: as a node read its files."""
    preload: bool
    edits: dict[str, Any]
    """Live edits by address below the scene."""
    playing: bool
    speed: float
    problem: str = ""
    """Why its changed files are not shown."""


class SceneMemoryView(View, frozen=True):
    """What scenes take on each node."""

    node: str
    held_bytes: int
    budget_bytes: int
    loading: str
    scenes: list[ResidentScene]
    """Those used last first."""


class SwitchView(View, frozen=True):
    """A switch that waits for its frame, or is under way."""

    scene: str
    """The scene that comes."""
    kind: str
    begin_frame: int
    frames: int
    left_frames: int


class SceneAddressView(View, frozen=True):
    """A live value of a scene."""

    address: str
    """PATCH /api/v1/scenes/<id> with the path as nested names; OSC: /scenes/<id>/<address>."""
    kind: str
    value: Any
    """What it is now."""
    edited: bool
    unit: str
    low: float | None
    high: float | None
    choices: list[str]
    label: str
    exposed: str


class SunPositionView(View, frozen=True):
    """Where the sun stands at a place and time."""

    azimuth_deg: float
    """North 0, east 90."""
    pan_deg: float
    """In the scene: 0 over +Y, + to the left; -180 to 180."""
    elevation_deg: float
    """Of its middle, as the air at sea level lifts it."""
    day: list[tuple[float, float]]
    """Pan and elevation every half hour of that date, from midnight to midnight by its offset from UTC."""


class CompiledView(View, frozen=True):
    """One compiled state of a scene's files, kept in the library."""

    key: str
    shown: bool
    t_tai_ns: int
    size_bytes: int
    gpu_bytes: int
    triangles: int
    draws: int
    took_ms: float
    files: dict[str, str]
    """Content hash of each file it was made of."""
    notes: list[str]
