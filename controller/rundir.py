"""The run directory: the name of every ring, socket and file of one running show, in one place.

`/dev/shm/openvolume-<run>/` lives as long as `openvolume run`. The standard library only: the supervisor imports it.

Who writes what
---------------
plans.ring             conductor   FramePlan of every frame (stage.plan), slot frame and hash as CONTRACTS say
conductor.ring         conductor   ConductorStatus about ten times a second (controller.status)
conductor.sock         conductor   Unix datagrams, messages to the conductor
node-<id>.sock         node        messages to the node
<role>.bell            each role   its doorbell (runtime.doorbell): the conductor rings a node when a plan is there
<role>.beat            each role   its heartbeat (runtime.role)
node-<id>.ring         node        NodeStatus about ten times a second
reports-<id>.ring      node        FrameReport of every frame slot
canvas-<id>.ring       node        pixels of one canvas
engine-canvas-<id>.ring  an engine  pixels of one canvas in place of the node's (controller.engines)
engine-inner-<camera>.ring  an engine  inner pictures of one camera
darkroom.sock          darkroom    messages to the darkroom
darkroom.ring          darkroom    NodeStatus, as a node
photo-<camera>.ring    darkroom    8-bit RGB pictures of one camera
look-still.ring        darkroom    8-bit RGB stills of looks that are not on the air
metronome.ring         metronome   HostNote of every slot worth one, and one a second (controller.ledger_record) (JSON)
windows.ring           windows     WindowsStatus about ten times a second (controller.windows.status)
blanks.ring            windows     vertical blanks of the display that paces (controller.windows.status)
reports-screens.ring   windows     FrameReport of every frame that was on the monitors, or came and never was
recorder.ring          recorder    RecorderStatus about once a second (controller.recorder)
datagrams.ring         conductor   what tracking sockets received, in batches (tracking.tap)
relay.ring             relay       RelayStatus about once a second (controller.relay_status)
processors.sock        processors  messages to the process that speaks to the LED processors
processors.ring        processors  ProcessorsStatus about once a second and on change (controller.processors.status)
sender.sock            sender      messages to the process that sends canvases over the network
sender.ring            sender      SenderStatus about twice a second (controller.st2110.status)
sent.ring              sender      SentNote of every slot that was not sent as it should have been
canvas-<id>.sdp        sender      the session description of a canvas that is sent
connections.msgpack    sender      where its streams go, where that was changed since (controller.st2110.role)
emulated-<id>.msgpack  processors  what an emulated processor keeps while it is off
librarian.sock         librarian   messages to the process that indexes the library
record.json            service     what tracking is recorded into (controller.tracking_recorder)
capture.json           anyone      what is captured to disk (controller.capture.order)
capture.ring           capture     CaptureStatus about four times a second while it captures
drawer.ring            drawer      the same of captures that are drawn again off the air
service.sock           service     answers to the service
show-<version>.msgpack service     one whole version of the show (controller.show), never changed once named
scenes-<version>.msgpack service   what is live of each scene at a version of the show (controller.scene_book)
scene-order-<n>.msgpack  service   a scene for the darkroom to compile (controller.library.compiler)
look-order-<n>.msgpack  service   a look for the darkroom to draw a still of (controller.look_order)
show.current           service     the number of the version that holds: where a restarted process begins
action.word            anyone      BLACK, HOLD, SAFE, WORK (controller.action)
supervisor.json        supervisor  children, pids, states, restarts (controller.status.SupervisorStatus)
service.json           service     where the service listens: host, port, tls, osc_port, pid
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runtime.ring import ROOT, ring_path, run_directory
from runtime.role import read_beat_ns

PREFIX: Final = "openvolume-"
_CURRENT: Final = "show.current"


@dataclass(frozen=True, slots=True)
class RunDir:
    """The paths of one run. Making one touches nothing; `RunDir.create` makes the folder."""

    path: Path

    @classmethod
    def create(cls, run: str, *, root: Path = ROOT) -> RunDir:
        """The directory of the run `run`, made if absent, readable by its owner alone."""
        return cls(run_directory(run, root=root))

    @property
    def run(self) -> str:
        """The run's name."""
        return self.path.name.removeprefix(PREFIX)

    @property
    def plans(self) -> Path:
        return ring_path(self.path, "plans")

    @property
    def conductor_status(self) -> Path:
        return ring_path(self.path, "conductor")

    def node_status(self, node: str) -> Path:
        return ring_path(self.path, f"node-{node}")

    def reports(self, node: str) -> Path:
        return ring_path(self.path, f"reports-{node}")

    def canvas(self, canvas: str) -> Path:
        return ring_path(self.path, f"canvas-{canvas}")

    def engine_canvas(self, canvas: str) -> Path:
        return ring_path(self.path, f"engine-canvas-{canvas}")

    def engine_inner(self, camera: str) -> Path:
        return ring_path(self.path, f"engine-inner-{camera}")

    @property
    def darkroom_status(self) -> Path:
        return ring_path(self.path, "darkroom")

    def photo(self, camera: str) -> Path:
        return ring_path(self.path, f"photo-{camera}")

    @property
    def look_still(self) -> Path:
        return ring_path(self.path, "look-still")

    @property
    def metronome(self) -> Path:
        return ring_path(self.path, "metronome")

    @property
    def datagrams(self) -> Path:
        return ring_path(self.path, "datagrams")

    @property
    def relay_status(self) -> Path:
        return ring_path(self.path, "relay")

    @property
    def processors_status(self) -> Path:
        return ring_path(self.path, "processors")

    @property
    def processors_socket(self) -> Path:
        return self.path / "processors.sock"

    @property
    def sender_status(self) -> Path:
        return ring_path(self.path, "sender")

    @property
    def sender_socket(self) -> Path:
        return self.path / "sender.sock"

    @property
    def sent(self) -> Path:
        return ring_path(self.path, "sent")

    @property
    def connections(self) -> Path:
        return self.path / "connections.msgpack"

    def description(self, canvas: str) -> Path:
        return self.path / f"canvas-{canvas}.sdp"

    @property
    def librarian_socket(self) -> Path:
        return self.path / "librarian.sock"

    @property
    def windows_status(self) -> Path:
        return ring_path(self.path, "windows")

    @property
    def blanks(self) -> Path:
        return ring_path(self.path, "blanks")

    def emulated(self, processor: str) -> Path:
        return self.path / f"emulated-{processor}.msgpack"

    @property
    def recorder_status(self) -> Path:
        return ring_path(self.path, "recorder")

    @property
    def capture_orders(self) -> Path:
        return self.path / "capture.json"

    @property
    def capture_status(self) -> Path:
        return ring_path(self.path, "capture")

    @property
    def drawer_status(self) -> Path:
        return ring_path(self.path, "drawer")

    @property
    def conductor_socket(self) -> Path:
        return self.path / "conductor.sock"

    def node_socket(self, node: str) -> Path:
        return self.path / f"node-{node}.sock"

    @property
    def darkroom_socket(self) -> Path:
        return self.path / "darkroom.sock"

    @property
    def service_socket(self) -> Path:
        return self.path / "service.sock"

    def snapshot(self, version: int) -> Path:
        return self.path / f"show-{version}.msgpack"

    def scene_states(self, version: int) -> Path:
        return self.path / f"scenes-{version}.msgpack"

    def scene_order(self, request: int) -> Path:
        return self.path / f"scene-order-{request}.msgpack"

    def look_order(self, request: int) -> Path:
        return self.path / f"look-order-{request}.msgpack"

    @property
    def action_word(self) -> Path:
        return self.path / "action.word"

    @property
    def supervisor_status(self) -> Path:
        return self.path / "supervisor.json"

    @property
    def service_address(self) -> Path:
        return self.path / "service.json"

    @property
    def local_key(self) -> Path:
        """What lets our own commands in: who may read this file may stop the show anyway."""
        return self.path / "local.key"

    def nodes(self) -> list[str]:
        """Ids of the nodes that have made their status ring, sorted."""
        return sorted(path.name[len("node-") : -len(".ring")] for path in self.path.glob("node-*.ring"))

    def canvases(self) -> list[str]:
        """Ids of the canvases that have a ring, sorted."""
        return sorted(path.name[len("canvas-") : -len(".ring")] for path in self.path.glob("canvas-*.ring"))

    def write_snapshot(self, version: int, data: bytes) -> Path:
        """Put one version of the show in place, whole or not at all; returns its path."""
        path = self.snapshot(version)
        replace_file(path, data)
        return path

    def current_version(self) -> int:
        """The version of the show that holds; 0 before the first."""
        try:
            return int((self.path / _CURRENT).read_text())
        except (FileNotFoundError, ValueError):
            return 0

    def set_current_version(self, version: int) -> None:
        """Make `version` the one that restarted processes begin with. Only the service (and the start) does this."""
        replace_file(self.path / _CURRENT, str(version).encode())

    def drop_snapshots(self, *, keep_from: int) -> None:
        """Delete the snapshots older than version `keep_from`."""
        for path in self.path.glob("show-*.msgpack"):
            with contextlib.suppress(ValueError, FileNotFoundError):
                if int(path.stem.removeprefix("show-")) < keep_from:
                    path.unlink()


def runs(*, root: Path = ROOT) -> list[RunDir]:
    """Every run directory of this machine, newest first; a dead run's leftovers among them."""
    found = [path for path in root.glob(f"{PREFIX}*") if path.is_dir()]
    return [RunDir(path) for path in sorted(found, key=lambda path: path.stat().st_mtime_ns, reverse=True)]


def is_alive(run: RunDir) -> bool:
    """Whether the run's supervisor (or, without one, any role that left its heartbeat) lives."""
    try:
        pid = int(json.loads(run.supervisor_status.read_bytes())["pid"])
        os.kill(pid, 0)
    except (FileNotFoundError, ProcessLookupError):
        return _beats(run)
    except (ValueError, KeyError, TypeError):
        return False
    except PermissionError:
        pass
    return True


def _beats(run: RunDir) -> bool:
    """Whether any heartbeat of the run moved within two seconds: nodes outlive a supervisor that was killed."""
    now_ns = time.monotonic_ns()
    return any(0 <= now_ns - read_beat_ns(path) < 2_000_000_000 for path in run.path.glob("*.beat"))


def replace_file(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Write a file so that a reader sees the old bytes or the new ones, never half of either."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.touch(mode)
    partial.write_bytes(data)
    partial.rename(path)
