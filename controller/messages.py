"""What the processes of one host ask of each other and answer: control datagrams.

They go over Unix datagram sockets named in `controller.rundir`, one msgpack map each, told apart by `type`. (The
doorbell, which says that a plan is there, is another socket: runtime.doorbell. What each tells of itself without being
asked is in `controller.status`.)

A change (DESIGN section 11)
----------------------------
1. The service writes `show-<version>.msgpack` whole and sends `Prepare` to the conductor; when the configuration or
   the set of scenes changes (`config_version` differs from the running one, or `scenes_changed`) also to every node
   and to the darkroom.
2. Each answers `Prepared` or `Failed` to `reply_to`, off the frame path. Preparing the same version again answers
   the same.
3. All prepared, and kept on the disk: the service sends `Commit` to the conductor alone and writes `show.current`.
   The conductor answers `Committed` with the frame it chose (the first not yet latched, or `frame` if later). That
   plan is the first that carries the version, and every node and the darkroom switches when it meets it. Any `Failed`,
   or the deadline: `Abort` to all, the running version stays.
4. A process that starts (again) begins with `show.current` and follows the plans' versions from there.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from controller.processors.keeper import SetResult
from controller.processors.model import Value
from controller.st2110.connection import Connection
from runtime.ring import fourcc
from stage.errors import Problem

KIND_PHOTO: Final = fourcc("FOTO")
"""Rings that hold 8-bit sRGB pictures, three bytes a pixel, row 0 at the top."""
PIXELS_RGB8: Final = fourcc("RGB8")
"""Pixel format of photos. (Canvases: renderer.renderer.FOURCC.)"""

MAX_DATAGRAM: Final = 1 << 16

PhotoKind = Literal["photo", "truth"]


class Message(Struct, frozen=True, tag_field="type", tag=str.lower):
    """Base of everything sent as a control datagram."""


class Prepare(Message, frozen=True):
    """Get ready for a version of the show: read `show-<version>.msgpack`, compile, upload; change nothing yet."""

    version: int
    config_version: int
    reply_to: str
    """Socket name inside the run directory that gets the answer, e.g. `service.sock`."""
    scenes_changed: bool = False


class Prepared(Message, frozen=True):
    """`who` (`conductor`, `darkroom`, a node's id) can switch to the version at any frame."""

    version: int
    who: str
    took_ms: float = 0.0


class Failed(Message, frozen=True):
    """`who` cannot use the version; the running one stays."""

    version: int
    who: str
    problems: list[Problem]


class Commit(Message, frozen=True):
    """Make the prepared version hold from `frame` on; 0: from the first frame that is not latched yet."""

    version: int
    reply_to: str
    frame: int = 0


class Committed(Message, frozen=True):
    """The plan of `frame` is the first that carries the version."""

    version: int
    frame: int


class Abort(Message, frozen=True):
    """Forget a prepared version that will not be committed."""

    version: int


class HearOnly(Message, frozen=True):
    """Ask the conductor to hear only what these senders, host and port, send, for so long: a take is replayed.

    Told again before the time is over; who asked and ended leaves nobody deaf.
    """

    senders: list[tuple[str, int]]
    for_ms: int
    """0: everybody is heard again at once."""


class JamTime(Message, frozen=True):
    """Ask the conductor to let time jump to its reference at `frame`, or at the first frame not latched yet."""

    request: int
    """Number the answer repeats."""
    reply_to: str
    frame: int = 0


class TimeJammed(Message, frozen=True):
    """Done; `frame` is the first of the new time."""

    request: int
    frame: int


class TimeNotJammed(Message, frozen=True):
    """Time does not jump now, and why."""

    request: int
    problems: list[Problem]


class PhotoRequest(Message, frozen=True):
    """Ask the darkroom for a picture of a camera. The newest request of a camera replaces one that still waits."""

    camera: str
    request: int
    """Number the answer repeats."""
    reply_to: str
    width_px: int = 960
    kind: PhotoKind = "photo"
    """The simulated walls as the camera sees them, or (`truth`) the scene itself from the same place."""
    frame: int = 0
    """Frame to photograph, from the plans ring; 0: the newest one presented."""


class LookStill(Message, frozen=True):
    """Ask the darkroom for a still of a look that is not on the air: `RunDir.look_order` of the request tells of what.
    Answered as a photo, in `look-still.ring`. Each is drawn, one after the other."""

    request: int
    """Number the answer repeats."""
    reply_to: str
    width_px: int = 640
    frame: int = 0
    """Whose plan it is drawn from; 0: the newest one presented."""


class PhotoReady(Message, frozen=True):
    """The picture is message `n` of `photo-<camera>.ring` (width and height in the ring's header)."""

    camera: str
    request: int
    n: int
    frame: int
    took_ms: float = 0.0


class PhotoFailed(Message, frozen=True):
    """No picture, and why."""

    camera: str
    request: int
    problems: list[Problem]


class CompileScene(Message, frozen=True):
    """Ask the darkroom to compile a scene into the cache, as its files are now. What to compile lies in the run
    directory (`RunDir.scene_order`, a `controller.library.compiler.Order`); the darkroom takes it away."""

    scene: str
    request: int
    """Number the answer repeats."""
    reply_to: str


class SceneCompiled(Message, frozen=True):
    """The scene lies in the cache under `key`."""

    scene: str
    request: int
    key: str
    took_ms: float = 0.0
    cached: bool = False
    """It lay there already."""


class LoadScene(Message, frozen=True):
    """Ask a node to put a compiled scene on its GPU, in the time between pictures, and get its programs ready."""

    scene: str
    key: str
    file: str
    request: int
    reply_to: str
    stage_from_scene: list[float] = []
    """Where it will lie in the stage: what is seen from there is made ready first. 16 numbers; empty: the origin."""


class RehearseEdits(Message, frozen=True):
    """Ask the darkroom, and then every node, to get ready what live edits of a scene need that is not there yet:
    programs, pictures, a sky's table. Nothing that is shown changes. Answered as `LoadScene` is."""

    scene: str
    key: str
    """Its compiled state; empty: as its files were read."""
    edits: dict[str, Any]
    """All that will hold."""
    request: int
    reply_to: str


class SceneLoaded(Message, frozen=True):
    """`who` can show the scene at any frame."""

    scene: str
    request: int
    who: str
    took_ms: float = 0.0


class SceneRefused(Message, frozen=True):
    """`who` (`darkroom`, a node's id) cannot compile or hold the scene; what is on air stays."""

    scene: str
    request: int
    who: str
    problems: list[Problem]


class SetProcessor(Message, frozen=True):
    """Ask the process of the LED processors to set one, and to read back what came of it."""

    processor: str
    settings: dict[str, Value]
    """By name of `controller.processors.model.SETTINGS`; orders of the moment too."""
    request: int
    """Number the answer repeats."""
    reply_to: str


class RestoreProcessor(Message, frozen=True):
    """Ask it to set what is not as the show wants it, or (`dry_run`) to say what it would set."""

    processor: str
    request: int
    reply_to: str
    dry_run: bool = False


class ProcessorSet(Message, frozen=True):
    """What came of each setting."""

    processor: str
    request: int
    results: list[SetResult]


class ProcessorNotSet(Message, frozen=True):
    """Nothing could be set, and why."""

    processor: str
    request: int
    problems: list[Problem]


class Connect(Message, frozen=True):
    """Ask the sender to send a canvas elsewhere, from the first frame on that is presented at `at_tai_ns` or later
    (0: the next). It replaces a connection of that canvas that still waits."""

    canvas: str
    connection: Connection
    request: int
    """Number the answer repeats."""
    reply_to: str
    at_tai_ns: int = 0


class Disregard(Message, frozen=True):
    """Forget a connection that waits."""

    canvas: str
    request: int


class Connected(Message, frozen=True):
    """`frame` is the first that goes there."""

    canvas: str
    request: int
    frame: int
    tai_ns: int


class NotConnected(Message, frozen=True):
    """It goes where it went, and why."""

    canvas: str
    request: int
    problems: list[Problem]


class DrawThumbnail(Message, frozen=True):
    """Ask the darkroom for a picture of a file of the library, when it has nothing else to do."""

    file: str
    kind: str
    """Of `controller.library.entries.Kind`."""
    out: str
    """The JPEG to write."""
    request: int
    reply_to: str


class ThumbnailDrawn(Message, frozen=True):
    """It is there, or (`problems`) the file cannot be shown."""

    request: int
    took_ms: float = 0.0
    problems: list[Problem] = []


class RestoreVersion(Message, frozen=True):
    """Ask the librarian to put an earlier content of an entry back into the library's folder."""

    entry: str
    content: str
    request: int
    reply_to: str


class TagEntry(Message, frozen=True):
    """Ask the librarian to say something else of an entry; what is None stays."""

    entry: str
    label: str | None
    tags: list[str] | None
    request: int
    reply_to: str


class LibraryChanged(Message, frozen=True):
    """Done, and the index says so."""

    request: int


class LibraryRefused(Message, frozen=True):
    """Nothing was changed, and why."""

    request: int
    problems: list[Problem]


AnyMessage = (
    Prepare | Prepared | Failed | Commit | Committed | Abort | PhotoRequest | LookStill | PhotoReady | PhotoFailed
    | CompileScene | SceneCompiled | RehearseEdits | LoadScene | SceneLoaded | SceneRefused
    | DrawThumbnail | ThumbnailDrawn | RestoreVersion | TagEntry | LibraryChanged | LibraryRefused
    | JamTime | HearOnly | TimeJammed | TimeNotJammed | SetProcessor | RestoreProcessor | ProcessorSet | ProcessorNotSet
    | Connect | Disregard | Connected | NotConnected
)  # fmt: skip


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(AnyMessage)


def encode(message: Message) -> bytes:
    """A control message as msgpack bytes."""
    return _ENCODER.encode(message)


def decode(data: bytes | memoryview) -> Any:
    """The control message of a datagram: one of `AnyMessage`.

    Raises
    ------
    msgspec.ValidationError, msgspec.DecodeError : not one of ours.
    """
    return _DECODER.decode(data)


def message_schema() -> dict[str, Any]:
    """JSON Schema of every control message."""
    return msgspec.json.schema(AnyMessage)
