"""What the control plane knows of the running processes, and how it reaches them. It reads rings; it holds up nobody.

`Backend` is what the resources are written against; `RunBackend` is the one there is: it follows the rings and files
of a run directory (`controller.rundir`), from any process, and survives every restart on the other side.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, Protocol, TypeVar

import msgspec

from controller.action import ActionName, ActionOrder, ActionWord
from controller.capture.order import CaptureStatus, decode_capture, together
from controller.ledger import Ledger
from controller.ledger_feed import LedgerFeed, open_ring
from controller.ledger_record import HostNote
from controller.look_order import LookOrder, write_order
from controller.messages import KIND_PHOTO, AnyMessage, Connected, Message, ProcessorSet
from controller.post import Post
from controller.processors.status import ProcessorsStatus, decode_processors
from controller.recorder import RecorderStatus, decode_recorder
from controller.relay_status import RelayStatus, decode_relay
from controller.rundir import RunDir
from controller.st2110.status import SenderStatus, decode_sender
from controller.status import KIND_STATUS, ConductorStatus, NodeStatus, SupervisorStatus, decode_conductor, decode_node
from controller.windows.status import WindowsStatus, decode_windows
from runtime.clock import NS_PER_S, Clock
from runtime.ring import KIND_CANVAS, RingReader
from stage.plan import FramePlan
from stage.rate import Rate

STATUS_NS: Final = NS_PER_S // 10
LOOK_NS: Final = NS_PER_S // 2
"""How often it looks for new files and for rings that were replaced."""
KEEP_NOTES: Final = 512
STALE_NS: Final = 2 * NS_PER_S
"""A status older than this is of a process that hangs or is gone."""
PATIENCE_NS: Final = 20 * NS_PER_S
"""The same for the darkroom."""

Status = TypeVar("Status")
AnyStatus = ConductorStatus | NodeStatus | ProcessorsStatus | WindowsStatus


@dataclass(frozen=True, slots=True)
class CanvasState:
    """What a canvas shows: the frame, its number in the ring and the ring's epoch, when it was to be presented."""

    frame: int
    n: int
    epoch: int
    t_present_ns: int
    width_px: int
    height_px: int


class Backend(Protocol):
    """The processes of a run, as the resources need them."""

    run: RunDir
    ledger: Ledger
    conductor: ConductorStatus | None
    nodes: dict[str, NodeStatus]
    darkroom: NodeStatus | None
    recorder: RecorderStatus | None
    relay: RelayStatus | None
    processors: ProcessorsStatus | None
    windows: WindowsStatus | None
    sender: SenderStatus | None
    capture: CaptureStatus | None
    supervisor: SupervisorStatus | None
    notes: deque[HostNote]

    @property
    def plan(self) -> FramePlan | None:
        """The newest plan; None before the first."""

    def poll(self) -> None:
        """Take in what is new."""

    def send(self, who: str, message: Message) -> bool:
        """A letter to `conductor`, `darkroom`, `processors`, `librarian` or a node; False when nobody is there."""

    def living(self) -> list[str]:
        """Ids of the nodes that live now, and `darkroom` if that does."""

    def canvas_state(self, name: str) -> CanvasState | None:
        """What a canvas shows now; None before its first picture."""

    def open_canvas(self, name: str) -> RingReader:
        """The ring of a canvas, opened for the caller, on any thread. Raises FileNotFoundError, RingFormatError."""

    def open_photo(self, camera: str) -> RingReader:
        """The ring of a camera's photos, opened for the caller, on any thread. Raises as `open_canvas`."""

    def open_still(self) -> RingReader:
        """The ring of looks' stills, as `open_photo`."""

    def give_look(self, request: int, order: LookOrder) -> Path:
        """Leave what a look comes to where the darkroom finds it; the caller deletes the file. Raises OSError."""

    def action(self) -> ActionOrder:
        """What is ordered: BLACK, HOLD, SAFE, WORK or nothing."""

    def order(self, action: ActionName) -> ActionOrder:
        """Order an action."""

    def age_ns(self, status: AnyStatus | None) -> int | None:
        """How old a status is; None when its process is known to be gone."""


class _Follower(Generic[Status]):
    """The newest status in a ring, decoded when it changes."""

    def __init__(self, path: Path, decode: Callable[[bytes], Status]) -> None:
        self._path, self._decode = path, decode
        self._reader: RingReader | None = None
        self._n = 0
        self.status: Status | None = None

    def look(self, *, again: bool) -> Status | None:
        if self._reader is None:
            self._reader = open_ring(self._path, KIND_STATUS)
        elif again:
            self._reader.refresh()
        if self._reader is not None and self._reader.latest_n != self._n:
            slot = self._reader.latest()
            if slot is not None:
                self._n = slot.n
                with contextlib.suppress(msgspec.MsgspecError):
                    self.status = self._decode(slot.data)
        return self.status

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()


class RunBackend:
    """Backend of a run directory. Tell it what to `expect`, then call `poll` often (every frame or so); everything
    else answers from memory.

    on_message : gets every letter that comes to the service's box.
    """

    def __init__(self, run: RunDir, *, clock: Clock) -> None:
        self.run, self._clock = run, clock
        self.ledger = Ledger(Rate(24), (), keep=2048, keep_values=4096)
        self.conductor: ConductorStatus | None = None
        self.nodes: dict[str, NodeStatus] = {}
        self.darkroom: NodeStatus | None = None
        self.recorder: RecorderStatus | None = None
        self.relay: RelayStatus | None = None
        self.processors: ProcessorsStatus | None = None
        self.windows: WindowsStatus | None = None
        self.sender: SenderStatus | None = None
        self.capture: CaptureStatus | None = None
        self.supervisor: SupervisorStatus | None = None
        self.notes: deque[HostNote] = deque(maxlen=KEEP_NOTES)
        """What the metronome noticed lately."""
        self.on_message: Callable[[AnyMessage], object] = lambda _: None
        self._post = Post(run.service_socket)
        self._action = ActionWord(run.action_word)
        self._feed = LedgerFeed(run, self.ledger)
        self._feed.on_note = self.notes.append
        self._conductor = _Follower(run.conductor_status, decode_conductor)
        self._darkroom = _Follower(run.darkroom_status, decode_node)
        self._recorder = _Follower(run.recorder_status, decode_recorder)
        self._relay = _Follower(run.relay_status, decode_relay)
        self._processors = _Follower(run.processors_status, decode_processors)
        self._windows = _Follower(run.windows_status, decode_windows)
        self._sender = _Follower(run.sender_status, decode_sender)
        self._capture = _Follower(run.capture_status, decode_capture)
        self._drawer = _Follower(run.drawer_status, decode_capture)
        self._nodes: dict[str, _Follower[NodeStatus]] = {}
        self._canvases: dict[str, RingReader] = {}
        self._status_due_ns = 0
        self._look_due_ns = 0
        self._resume()

    @property
    def plan(self) -> FramePlan | None:
        """The newest plan; None before the first."""
        return self._feed.plan

    @property
    def on_plan(self) -> Callable[[FramePlan], object]:
        """Called with every plan."""
        return self._feed.on_plan

    @on_plan.setter
    def on_plan(self, call: Callable[[FramePlan], object]) -> None:
        self._feed.on_plan = call

    def fileno(self) -> int:
        """Of the letter box: readable when something waits; then call `letters`."""
        return self._post.fileno()

    def letters(self) -> None:
        """Hand on every letter that waits."""
        for message in self._post.receive():
            if isinstance(message, ProcessorSet):
                # Who hears that it is set must find it so.
                self.processors = self._processors.look(again=True)
            elif isinstance(message, Connected):
                self.sender = self._sender.look(again=True)
            self.on_message(message)

    def poll(self) -> None:
        self._post.push()
        now_ns = self._clock.now_ns()
        look = now_ns >= self._look_due_ns
        if look:
            self._look_due_ns = now_ns + LOOK_NS
            for node in self.run.nodes():
                if node not in self._nodes:
                    self._nodes[node] = _Follower(self.run.node_status(node), decode_node)
            for reader in self._canvases.values():
                reader.refresh()
        self._feed.poll(look=look)
        if now_ns < self._status_due_ns:
            return
        self._status_due_ns = now_ns + STATUS_NS
        self.conductor = self._conductor.look(again=look)
        self.darkroom = self._darkroom.look(again=look)
        self.recorder = self._recorder.look(again=look)
        self.relay = self._relay.look(again=look)
        self.processors = self._processors.look(again=look)
        self.windows = self._windows.look(again=look)
        self.sender = self._sender.look(again=look)
        self.capture = together(self._capture.look(again=look), self._drawer.look(again=look))
        for name, follower in self._nodes.items():
            status = follower.look(again=look)
            if status is not None:
                self.nodes[name] = status
        if self.conductor is not None:
            self.ledger.set_own_share(self.conductor.own_share_ms)
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            self.supervisor = msgspec.json.decode(self.run.supervisor_status.read_bytes(), type=SupervisorStatus)

    def send(self, who: str, message: Message) -> bool:
        return self._post.send(self._box(who), message)

    def living(self) -> list[str]:
        self._look_due_ns = self._status_due_ns = 0
        self.poll()
        named = [*self.nodes.items(), *([("darkroom", self.darkroom)] if self.darkroom is not None else [])]
        return [name for name, status in named if status.state != "stopped" and _lives(status.pid)]

    def canvas_state(self, name: str) -> CanvasState | None:
        reader = self._canvases.get(name)
        if reader is None:
            reader = open_ring(self.run.canvas(name), KIND_CANVAS)
            if reader is None:
                return None
            self._canvases[name] = reader
        view = reader.peek()
        if view is None:
            return None
        return CanvasState(view.frame, view.n, reader.epoch, view.t_ns, reader.shape.width, reader.shape.height)

    def open_canvas(self, name: str) -> RingReader:
        return RingReader.open(self.run.canvas(name), kind=KIND_CANVAS)

    def open_photo(self, camera: str) -> RingReader:
        return RingReader.open(self.run.photo(camera), kind=KIND_PHOTO)

    def open_still(self) -> RingReader:
        return RingReader.open(self.run.look_still, kind=KIND_PHOTO)

    def give_look(self, request: int, order: LookOrder) -> Path:
        path = self.run.look_order(request)
        write_order(path, order)
        return path

    def action(self) -> ActionOrder:
        return self._action.read()

    def order(self, action: ActionName) -> ActionOrder:
        return self._action.write(action, self._clock.now_ns())

    def age_ns(self, status: AnyStatus | None) -> int | None:
        if status is None or status.state == "stopped" or not _lives(status.pid):
            return None
        return max(0, self._clock.now_ns() - status.t_ns)

    def expect(self, rate: Rate, canvases: Iterable[str]) -> None:
        """The configuration has changed."""
        self.ledger.rate = rate
        self.ledger.expect(canvases)

    def close(self) -> None:
        """Let go of everything; nothing in the run directory changes."""
        self._post.close()
        self._action.close()
        self._conductor.close()
        self._recorder.close()
        self._relay.close()
        self._processors.close()
        self._windows.close()
        self._sender.close()
        self._capture.close()
        self._drawer.close()
        self._feed.close()
        for follower in (self._darkroom, *self._nodes.values()):
            follower.close()
        for reader in self._canvases.values():
            reader.close()

    def _box(self, who: str) -> Path:
        if who == "conductor":
            return self.run.conductor_socket
        if who == "librarian":
            return self.run.librarian_socket
        if who == "processors":
            return self.run.processors_socket
        if who == "sender":
            return self.run.sender_socket
        return self.run.darkroom_socket if who == "darkroom" else self.run.node_socket(who)

    def _resume(self) -> None:
        """Count on where the conductor's saved counts end: a restarted service shows the run's figures, not its own."""
        try:
            saved = json.loads((self.run.path / "ledger.json").read_bytes())
            self.ledger.resume(saved["counts"])
            self._feed.begin_reports_at(saved["reports_n"])
        except (OSError, ValueError, KeyError, TypeError):
            return


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
