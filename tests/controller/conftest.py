"""A running house for tests of the control plane: a run directory with real rings, a real conductor process, a small
node and darkroom that draw flat colours, and the real service app on a real socket of its own.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import jsonschema
import numpy as np
import pytest
import uvicorn

from controller import look_order
from controller.action import read_action
from controller.api.app import create_app
from controller.api.control import Control
from controller.api.serving import server_config
from controller.beginning import begin_show, write_first_snapshot
from controller.commands import Command
from controller.config import compile_config, load_config, load_config_text
from controller.library.cache import CompiledState, SceneCache
from controller.library.inputs import inputs_of, state_key
from controller.library.order import read_order
from controller.messages import (
    KIND_PHOTO,
    PIXELS_RGB8,
    CompileScene,
    LoadScene,
    LookStill,
    PhotoFailed,
    PhotoReady,
    PhotoRequest,
    Prepare,
    Prepared,
    RehearseEdits,
    SceneCompiled,
    SceneLoaded,
    SceneRefused,
)
from controller.post import Post
from controller.rundir import RunDir
from controller.show import decode_snapshot
from controller.status import KIND_STATUS, STATUS_CAPACITY, NodeStatus, ResidentScene, encode_status
from controller.store import Store
from renderer.config import SceneConfig
from runtime.clock import SystemClock
from runtime.ring import KIND_CANVAS, KIND_PLANS, KIND_REPORTS, RingReader, RingWriter, fourcc
from stage.errors import Problem
from stage.grade import Grade
from stage.plan import CanvasReport, FramePlan, FrameReport, decode_plan, encode_report

MORE = """
  hall:
    label: A hall
    background: [0.1, 0.1, 0.2]
    position: far

positions:
  near: {label: Near, y_m: 1.0}
  far: {label: Far, y_m: 40.0, pan_deg: 90.0}

"""


def config_text() -> str:
    """The minimal stage with a second scene, two positions, and any free port for its tracker."""
    text = load_config("minimal").source
    text, changed = re.subn(r"listen: 127\.0\.0\.1:\d+", "listen: 127.0.0.1:0", text)
    assert changed == 1
    # A change waits for its frame: at 60 a second the tests wait less.
    assert "rate: 24" in text
    text = text.replace("rate: 24", "rate: 60")
    return text.replace("\nrender:\n", MORE + "render:\n") + "\ncontrol:\n  osc: {port: 0}\n"


def eventually(check: Callable[[], Any], *, timeout_s: float = 40.0) -> Any:
    """What `check` gives once it gives something true; waits for the other processes."""
    deadline = time.monotonic() + timeout_s
    while not (found := check()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.01)
    return found


class FlatNode(threading.Thread):
    """Draws every plan as one flat colour, reports it, and makes flat photos: a node and a darkroom in small."""

    def __init__(self, run: RunDir, *, bits: int = 10) -> None:
        super().__init__(daemon=True, name="flat node")
        self.run_dir = run
        self.name_ = "n0"
        self.repeat: set[int] = set()
        self.photo_problem: Problem | None = None
        self.scene_problem: Problem | None = None
        """Why a scene cannot be compiled."""
        self.rehearsed: list[tuple[str, str, dict[str, Any]]] = []
        """Edits that were got ready: by whom, of which scene, all of them."""
        self.absent_minded = False
        """Whether it never answers that they are."""
        self.compiled: list[str] = []
        """Scenes in the order they were compiled."""
        self.ended = threading.Event()
        self.drawn = 0
        self.plan: FramePlan | None = None
        snapshot = decode_snapshot(run.snapshot(run.current_version()).read_bytes())
        self.loaded = load_config_text(snapshot.config_text, base_dir=Path(snapshot.base_dir))
        stage = compile_config(self.loaded)
        self.held: set[tuple[str, str]] = {(name, "") for name in self.loaded.config.scenes}
        """Scenes it holds ready: id and compiled state."""
        self.sizes = {c.id: (c.width_px // stage.scale, c.height_px // stage.scale) for c in stage.canvases.values()}
        self.post = Post(run.node_socket("n0"))
        self.dark_post = Post(run.darkroom_socket)
        self.status = RingWriter.create(run.node_status("n0"), kind=KIND_STATUS, slots=4, capacity=STATUS_CAPACITY)
        self.dark_status = RingWriter.create(run.darkroom_status, kind=KIND_STATUS, slots=4, capacity=STATUS_CAPACITY)
        self.reports = RingWriter.create(run.reports("n0"), kind=KIND_REPORTS, slots=1024, capacity=4032)
        form = fourcc("AB30" if bits == 10 else "AB24")
        self.canvases = {
            name: RingWriter.create(
                run.canvas(name), kind=KIND_CANVAS, slots=8, capacity=w * h * 4, width=w, height=h, row_stride=w * 4,
                pixel_format=form,
            )
            for name, (w, h) in self.sizes.items()
        }  # fmt: skip
        self.photos: dict[tuple[str, int], RingWriter] = {}
        self.looks: list[look_order.LookOrder] = []
        """Stills that were asked for."""

    def colour(self, frame: int) -> tuple[int, int, int]:
        """Codes of a frame's canvases, 10 bit."""
        return frame % 1024, 512, 1023

    def run(self) -> None:
        plans: RingReader | None = None
        n = 0
        tell_due = 0.0
        while not self.ended.is_set():
            plans = plans or RingReader.try_open(self.run_dir.plans, kind=KIND_PLANS)
            batch = plans.read_since(n) if plans is not None else None
            for slot in batch.slots if batch is not None else ():
                self.draw(slot.data, slot.plan_hash)
            n = batch.latest_n if batch is not None else 0
            self.letters()
            if time.monotonic() >= tell_due:
                tell_due = time.monotonic() + 0.05
                self.tell()
            time.sleep(0.003)
        for ring in (self.status, self.dark_status, self.reports, *self.canvases.values(), *self.photos.values()):
            ring.close()
        self.post.close()
        self.dark_post.close()

    def draw(self, data: bytes, plan_hash: int) -> None:
        plan = self.plan = decode_plan(data)
        started_ns = time.monotonic_ns()
        late = plan.frame in self.repeat
        red, green, blue = self.colour(plan.frame)
        if not late:
            for name, (width, height) in self.sizes.items():
                word = red | green << 10 | blue << 20 | 3 << 30
                self.canvases[name].publish(
                    np.full((height, width), word, dtype="<u4").tobytes(), frame=plan.frame, t_ns=plan.t_present_ns
                )
            self.drawn = plan.frame
        told = {name: CanvasReport(plan.frame - late, "late_draw" if late else "none") for name in self.sizes}
        report = FrameReport(plan.frame, "n0", plan_hash, told, started_ns, time.monotonic_ns(), time.monotonic_ns())
        self.reports.publish(encode_report(report), frame=plan.frame, t_ns=time.monotonic_ns())

    def tell(self) -> None:
        plan = self.plan
        action = read_action(self.run_dir.action_word).action
        for ring, name in ((self.status, "n0"), (self.dark_status, "darkroom")):
            status = NodeStatus(
                t_ns=time.monotonic_ns(), pid=os.getpid(), node=name, state="running", frame=self.drawn,
                show_version=plan.show_version if plan else 0, config_version=plan.config_version if plan else 0,
                rt_class=0, renderer="flat", canvases=list(self.sizes) if name == "n0" else [], action=action,
                scenes=[ResidentScene(scene, key, 1000) for scene, key in sorted(self.held)], scene_budget_bytes=10**9,
            )  # fmt: skip
            ring.publish(encode_status(status), frame=self.drawn, t_ns=status.t_ns)

    def letters(self) -> None:
        for post, who in ((self.post, "n0"), (self.dark_post, "darkroom")):
            for message in post.receive():
                if isinstance(message, Prepare):
                    post.send(self.run_dir.path / message.reply_to, Prepared(message.version, who))
                elif isinstance(message, PhotoRequest):
                    self.photograph(message)
                elif isinstance(message, LookStill):
                    self.draw_look(message)
                elif isinstance(message, CompileScene):
                    self.compile(message)
                elif isinstance(message, RehearseEdits):
                    self.rehearsed.append((who, message.scene, message.edits))
                    if not self.absent_minded:
                        loaded = SceneLoaded(message.scene, message.request, who)
                        post.send(self.run_dir.path / message.reply_to, loaded)
                elif isinstance(message, LoadScene):
                    self.held.add((message.scene, message.key))
                    self.tell()
                    post.send(self.run_dir.path / message.reply_to, SceneLoaded(message.scene, message.request, who))

    def compile(self, message: CompileScene) -> None:
        """As the darkroom does, but for the scene itself."""
        reply = self.run_dir.path / message.reply_to
        order = read_order(self.run_dir.scene_order(message.request))
        self.compiled.append(order.scene)
        if self.scene_problem is not None:
            refused = SceneRefused(message.scene, message.request, "darkroom", [self.scene_problem])
            self.dark_post.send(reply, refused)
            return
        config = SceneConfig.model_validate_json(order.config)
        inputs = inputs_of(config, Path(order.folder))
        key = state_key(config, inputs)
        cache = SceneCache(Path(order.cache))
        cache.begin()
        cache.scene(key).write_bytes(b"flat")
        cache.thumbnail(key).write_bytes(b"picture")
        cache.finish(CompiledState(key, order.scene, 4, 4, 0, 0, 1.0, 0))
        self.dark_post.send(reply, SceneCompiled(message.scene, message.request, key, 1.0))

    def photograph(self, request: PhotoRequest) -> None:
        reply = self.run_dir.path / request.reply_to
        if self.photo_problem is not None:
            self.dark_post.send(reply, PhotoFailed(request.camera, request.request, [self.photo_problem]))
            return
        width = request.width_px
        height = width * 9 // 16
        key = (request.camera, width)
        if key not in self.photos:
            for ring in self.photos.values():
                ring.close()
            self.photos = {
                key: RingWriter.create(
                    self.run_dir.photo(request.camera), kind=KIND_PHOTO, slots=4, capacity=width * height * 3,
                    width=width, height=height, row_stride=width * 3, pixel_format=PIXELS_RGB8,
                )
            }  # fmt: skip
        picture = np.zeros((height, width, 3), dtype=np.uint8)
        picture[:] = (200, 100, self.drawn % 256)
        n = self.photos[key].publish(picture.tobytes(), frame=self.drawn, t_ns=time.monotonic_ns())
        self.dark_post.send(reply, PhotoReady(request.camera, request.request, n, self.drawn))

    def draw_look(self, message: LookStill) -> None:
        """Grey as bright as the outer layer's exposure would be."""
        order = look_order.read_order(self.run_dir.look_order(message.request))
        self.looks.append(order)
        level = round(64 * 2.0 ** order.grades.get("outer", Grade()).exposure_ev)
        width, height = message.width_px, message.width_px * 9 // 16
        ring = RingWriter.create(
            self.run_dir.look_still, kind=KIND_PHOTO, slots=4, capacity=width * height * 3, width=width, height=height,
            row_stride=width * 3, pixel_format=PIXELS_RGB8,
        )  # fmt: skip
        grey = np.full((height, width, 3), level, dtype=np.uint8)
        n = ring.publish(grey.tobytes(), frame=message.frame or self.drawn, t_ns=time.monotonic_ns())
        ring.close()
        ready = PhotoReady(order.of, message.request, n, message.frame or self.drawn)
        self.dark_post.send(self.run_dir.path / message.reply_to, ready)


@dataclass
class RunningHouse:
    """The house, and a client on it."""

    run: RunDir
    state: Path
    node: FlatNode
    conductor: subprocess.Popen[bytes]
    service: ServiceThread
    client: httpx.Client
    url: str

    @property
    def control(self) -> Control:
        return self.service.control

    @property
    def config_text(self) -> str:
        """The configuration it began with."""
        return config_text()

    def eventually(self, check: Callable[[], Any], *, timeout_s: float = 40.0) -> Any:
        """What `check` gives once it gives something true."""
        return eventually(check, timeout_s=timeout_s)

    def submit(self, command: Command) -> Any:
        """A command that came by no protocol."""
        return self.wait(self.control.desk.submit(command))

    def wait(self, done: Coroutine[Any, Any, Any]) -> Any:
        """What a coroutine on the service's loop comes to."""
        return asyncio.run_coroutine_threadsafe(done, self.service.loop).result(40)

    def kill_conductor(self) -> None:
        self.conductor.kill()
        self.conductor.wait(5)

    def start_conductor(self) -> None:
        self.conductor = start_conductor(self.run)

    def get(self, path: str) -> Any:
        answer = self.client.get(f"/api/v1/{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def patch(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return self.client.patch(f"/api/v1/{path}", json=body, headers=headers)

    def check(self, value: Any, schema: dict[str, Any]) -> None:
        """Against a schema that may name components of the API's document."""
        jsonschema.validate(value, {**schema, "components": api_document()["components"]})

    def problem_of(self, answer: httpx.Response, status: int) -> dict[str, Any]:
        """The problem document of an answer, checked against its schema."""
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        document: dict[str, Any] = answer.json()
        self.check(document, {"$ref": "#/components/schemas/ProblemDocument"})
        assert document["status"] == status
        assert document["type"] == f"urn:openvolume:{document['code']}"
        return document


@cache
def api_document() -> dict[str, Any]:
    """The document of the API as the app itself makes it."""
    return create_app(version="0").openapi()


class ServiceThread(threading.Thread):
    """The real app under real uvicorn, on an event loop of its own."""

    def __init__(self, run: RunDir, state: Path) -> None:
        super().__init__(daemon=True, name="service")
        self.run_dir, self.state = run, state
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.control: Control
        self.server: uvicorn.Server
        self.loop: asyncio.AbstractEventLoop
        self.failure: BaseException | None = None
        self.ready = threading.Event()

    def run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self.failure = error
            self.ready.set()

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.control = Control(self.run_dir, clock=SystemClock(), state=self.state)
        config = server_config(create_app(self.control))
        config.timeout_graceful_shutdown = 1
        self.server = uvicorn.Server(config)
        serving = asyncio.create_task(self.server.serve(sockets=[self.listener]))
        while not self.server.started and not serving.done():  # noqa: ASYNC110 - uvicorn tells it by a flag
            await asyncio.sleep(0.01)
        self.ready.set()
        await serving

    def begin(self) -> ServiceThread:
        self.start()
        assert self.ready.wait(20)
        if self.failure is not None:
            raise self.failure
        return self

    def end(self) -> None:
        self.server.should_exit = True
        self.join(10)
        assert not self.is_alive()
        self.listener.close()


def start_conductor(run: RunDir) -> subprocess.Popen[bytes]:
    """The real one, in a process of its own, without real-time rights."""
    argv = [sys.executable, "-P", "-m", "controller.processes.conductor", str(run.path), "--nodes", "n0", "--no-fifo"]
    return subprocess.Popen(argv, stderr=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def more(request: pytest.FixtureRequest) -> str:
    """What a module adds to the configuration of its house: its `MORE`, or a fixture of its own in place of this."""
    return str(getattr(request.module, "MORE", ""))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, more: str) -> Iterator[RunningHouse]:
    """A house for a whole module: tests leave it in order. `more` is added to the configuration."""
    folder = tmp_path_factory.mktemp("house")
    run = RunDir.create("t", root=folder)
    loaded = load_config_text(config_text() + more, base_dir=folder)
    with Store(folder / "state") as store:
        write_first_snapshot(run, begin_show(loaded, compile_config(loaded), store, t_tai_ns=1))
    node = FlatNode(run)
    node.start()
    conductor = start_conductor(run)
    service = ServiceThread(run, folder / "state").begin()
    url = f"http://127.0.0.1:{service.port}"
    client = httpx.Client(base_url=url, timeout=40)
    running = RunningHouse(run, folder / "state", node, conductor, service, client, url)
    seen = service.control.desk
    eventually(lambda: node.drawn > 3 and seen.moment is not None, timeout_s=30)
    eventually(lambda: client.get("/api/v1/frames").json()["frames"] > 0, timeout_s=30)
    yield running
    client.close()
    service.end()
    running.conductor.terminate()
    with suppress(subprocess.TimeoutExpired):
        running.conductor.wait(5)
    running.conductor.kill()
    running.conductor.wait(5)
    node.ended.set()
    node.join(5)


@pytest.fixture(scope="session", autouse=True)
def _roles_leave_the_collector_alone() -> Iterator[None]:
    """Setting aside all that a test process holds takes a role that starts in it most of a second, and is for real
    processes (tests/runtime/test_rights.py)."""
    with pytest.MonkeyPatch.context() as patch:
        for role in ("controller.conductor", "controller.node", "controller.metronome"):
            patch.setattr(f"{role}.freeze_garbage", lambda: 0)
            patch.setattr(f"{role}.thaw_garbage", lambda: None)
        yield


@pytest.fixture(scope="session")
def housekit() -> ModuleType:
    """A whole show under one virtual clock (`_housekit.py`)."""
    return kit("housekit")


@pytest.fixture(scope="session")
def cuekit() -> ModuleType:
    """A virtual house that draws and plays cues (`_cuekit.py`)."""
    return kit("cuekit")


@pytest.fixture(scope="session")
def clockkit() -> ModuleType:
    """A system clock that tests keep (`_clockkit.py`)."""
    return kit("clockkit")


@pytest.fixture(scope="session")
def routekit() -> ModuleType:
    """Every route of the API (`_routekit.py`)."""
    return kit("routekit")


@pytest.fixture(scope="session")
def sentkit() -> ModuleType:
    """A show whose canvas is sent (`_sentkit.py`)."""
    return kit("sentkit")


@pytest.fixture(scope="session")
def servicekit() -> ModuleType:
    """A conductor and the service as real processes (`_servicekit.py`)."""
    return kit("servicekit")


def kit(which: str) -> ModuleType:
    """The helper module `_<which>.py` beside this file, loaded once."""
    name = f"controller_{which}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"_{which}.py"))
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture
def shm() -> Iterator[Path]:
    """A folder for rings and sockets in shared memory, with a short name (Unix sockets have little room)."""
    with tempfile.TemporaryDirectory(prefix="ov", dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as name:
        yield Path(name)
