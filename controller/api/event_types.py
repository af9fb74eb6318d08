"""What events tell of: every kind of object with its type and its key. The one table behind topics and AsyncAPI."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from controller.api import (
    views,
    views_access,
    views_cards,
    views_cues,
    views_looks,
    views_processors,
    views_scenes,
    views_streams,
    views_subjects,
    views_takes,
)
from controller.transaction import Outcome

GONE: Final = "gone"
SNAPSHOT: Final = "snapshot"


class EventType(Struct, frozen=True):
    """One topic."""

    data: Any
    """Type of an event's `data`."""
    key: str
    """How its objects are called in snapshots: `show`, or `cameras/*` with an id in place of the star."""
    about: str


class GoneView(views.View, frozen=True):
    """An object that is no longer there."""

    topic: str
    key: str
    """As snapshots call it: `cameras/b`."""
    id: str


EVENT_TYPES: Final[dict[str, EventType]] = {
    "health": EventType(views.HealthView, "health", "Whether pictures reach the walls"),
    "show": EventType(views.ShowView, "show", "What holds for the whole show"),
    "camera": EventType(views.CameraView, "cameras/*", "A camera"),
    "source": EventType(views.SourceView, "sources/*", "A tracking source"),
    "subject": EventType(views_subjects.SubjectView, "subjects/*", "A prop, light or performer that is tracked"),
    "canvas": EventType(views.CanvasView, "canvases/*", "A canvas"),
    "scene": EventType(views_scenes.SceneView, "scenes/*", "A scene"),
    "position": EventType(views.PositionView, "positions/*", "A position of the stage in the virtual world"),
    "pattern": EventType(views.PatternView, "patterns/*", "A line-up picture"),
    "card": EventType(views_cards.CardView, "cards/*", "A light card or a flag"),
    "chromakey": EventType(views_cards.ChromaKeyView, "chromakeys/*", "A chroma key"),
    "look": EventType(views_looks.LookView, "looks/*", "A stored look"),
    "grade": EventType(views_looks.LookNowView, "look", "How the walls are graded now"),
    "nodes": EventType(views.NodesView, "nodes", "Every process of the run"),
    "frames": EventType(views.FramesView, "frames", "Counts and latencies"),
    "alarms": EventType(views.AlarmsView, "alarms", "Everything a person should know now"),
    "action": EventType(views.ActionView, "action", "BLACK, HOLD, SAFE, WORK or none"),
    "change": EventType(Outcome, "change", "A change of the show that was accepted; never part of a snapshot"),
    "processor": EventType(views_processors.ProcessorView, "processors/*", "An LED processor"),
    "stream": EventType(views_streams.StreamView, "streams/*", "A canvas that is sent over the network"),
    "take": EventType(views_takes.TakesView, "takes", "The newest takes, and which one plays"),
    "hand": EventType(views_access.HandsView, "hands", "Whose hand is on which slider"),
    "cue": EventType(views_cues.CueListView, "cues", "The cue list, and where it stands"),
}
TOPICS: Final = tuple(EVENT_TYPES)
