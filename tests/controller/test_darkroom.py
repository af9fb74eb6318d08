"""The darkroom: photos of what the rings hold, answers to everybody, and nothing that stops it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pytest

from controller.beginning import fresh_show, snapshot_of
from controller.config import compile_config
from controller.darkroom import Darkroom
from controller.look_order import LookOrder, write_order
from controller.messages import (
    KIND_PHOTO,
    PIXELS_RGB8,
    AnyMessage,
    Failed,
    LookStill,
    PhotoFailed,
    PhotoReady,
    PhotoRequest,
    Prepare,
    Prepared,
)
from controller.planner import still_plan
from controller.post import Post
from controller.rundir import RunDir
from controller.show import encode_snapshot
from controller.status import KIND_STATUS, decode_node
from renderer.passes.wall import WallPass
from runtime.clock import NS_PER_S, VirtualClock
from runtime.ring import KIND_CANVAS, KIND_PLANS, RingReader, RingWriter, fourcc
from stage.compiled import encode_stage
from stage.grade import Grade
from stage.plan import FramePlan, encode_plan, plan_hash


class Room:
    """A darkroom beside rings that a test fills."""

    def __init__(self, path: Path, kit: ModuleType) -> None:
        self.run, self.clock = RunDir(path), VirtualClock()
        self.loaded = kit.loaded_of(kit.minimal_text())
        self.stage = compile_config(self.loaded)
        fresh = fresh_show(self.loaded.config, self.stage)
        self.show = msgspec.structs.replace(fresh, version=1, config_version=1)
        self.write(1)
        self.run.set_current_version(1)
        self.desk = Post(self.run.service_socket)
        self.darkroom = Darkroom(run=self.run, clock=self.clock)
        self.darkroom.start()
        self.plans: RingWriter | None = None
        self.canvas: RingWriter | None = None

    def close(self) -> None:
        self.darkroom.stop()
        self.desk.close()
        for ring in (self.plans, self.canvas):
            if ring is not None:
                ring.close()

    def write(self, number: int) -> None:
        show = msgspec.structs.replace(self.show, version=number, config_version=number)
        self.run.write_snapshot(number, encode_snapshot(snapshot_of(show, self.loaded, encode_stage(self.stage))))

    def publish(self, frame: int, level: int, *, number: int = 1, enabled: bool = True) -> FramePlan:
        """A plan, and a canvas of one grey."""
        if self.plans is None:
            self.plans = RingWriter.create(self.run.plans, kind=KIND_PLANS, slots=64, capacity=8192)
            self.canvas = RingWriter.create(
                self.run.canvas("main"), kind=KIND_CANVAS, slots=8, capacity=176 * 110 * 4, width=176, height=110,
                row_stride=176 * 4, pixel_format=fourcc("AB24"),
            )  # fmt: skip
        show = msgspec.structs.replace(self.show, version=number, config_version=number)
        plan = still_plan(self.stage, show, camera="a", frame=frame)
        plan = msgspec.structs.replace(
            plan, cameras=[msgspec.structs.replace(camera, enabled=enabled) for camera in plan.cameras]
        )
        data = encode_plan(plan)
        self.plans.publish(data, frame=frame, t_ns=frame, config_version=number, plan_hash=plan_hash(data))
        assert self.canvas is not None
        grey = np.full((110, 176, 4), level, dtype=np.uint8)
        self.canvas.publish(grey.data.cast("B"), frame=frame, t_ns=frame, plan_hash=plan_hash(data))
        return plan

    def ask(self, number: int = 1, **request: Any) -> None:
        fields = {"camera": "a", "width_px": 192, **request}
        letter = PhotoRequest(request=number, reply_to=self.run.service_socket.name, **fields)
        assert self.desk.send(self.run.darkroom_socket, letter)

    def answers(self) -> list[AnyMessage]:
        now_ns = self.clock.now_ns()
        while self.darkroom.step(now_ns) <= now_ns:
            pass
        return self.desk.receive()

    def photo(self, camera: str = "a") -> tuple[int, np.ndarray]:
        return self._newest(self.run.photo(camera))

    def still(self) -> tuple[int, np.ndarray]:
        return self._newest(self.run.look_still)

    def _newest(self, path: Path) -> tuple[int, np.ndarray]:
        ring = RingReader.open(path, kind=KIND_PHOTO)
        assert ring.shape.pixel_format == PIXELS_RGB8
        slot = ring.latest()
        assert slot is not None
        picture = np.frombuffer(slot.data, np.uint8).reshape(ring.shape.height, ring.shape.width, 3).copy()
        ring.close()
        return slot.frame, picture


@pytest.fixture
def room(shm: Path, housekit: ModuleType) -> Iterator[Room]:
    made = Room(shm, housekit)
    yield made
    made.close()


def test_a_photo_shows_what_the_canvases_show(room: Room) -> None:
    middles = []
    for frame, level in ((1, 0), (2, 90), (3, 180)):
        room.publish(frame, level)
        room.ask(frame)
        (answer,) = room.answers()
        assert isinstance(answer, PhotoReady)
        assert (answer.camera, answer.request, answer.frame) == ("a", frame, frame)
        shown, picture = room.photo()
        assert (shown, picture.shape) == (frame, (108, 192, 3))
        middles.append(picture[54, 96].tolist())
    assert middles[0] == [0, 0, 0]
    assert middles[1] < middles[2]
    assert all(np.ptp(middle) <= 2 for middle in middles), "grey stays grey"


def test_the_newest_wish_of_a_camera_replaces_one_that_waits(room: Room) -> None:
    room.publish(1, 100)
    for number in range(1, 6):
        room.ask(number)
    (answer,) = room.answers()
    assert isinstance(answer, PhotoReady)
    assert answer.request == 5


def test_a_named_frame_is_photographed_while_it_is_kept(room: Room) -> None:
    for frame in range(1, 13):
        room.publish(frame, 10 * frame)
    room.ask(1, frame=8)
    (answer,) = room.answers()
    assert isinstance(answer, PhotoReady)
    assert answer.frame == 8
    eight = room.photo()[1]
    room.ask(2)
    room.answers()
    assert room.photo()[0] == 12
    assert int(room.photo()[1][54, 96, 1]) > int(eight[54, 96, 1])


def test_the_truth_is_the_scene_itself(room: Room) -> None:
    room.publish(1, 0)
    room.ask(1, kind="truth")
    (answer,) = room.answers()
    assert isinstance(answer, PhotoReady), answer
    _, picture = room.photo()
    # An even grey of 0.18 is code 118 of sRGB, whatever the walls show.
    assert set(np.unique(picture)) <= {117, 118, 119}


def test_a_look_is_drawn_off_the_air(room: Room) -> None:
    """The scene is an even grey of 18 nit all round: stops are seen in the photo, whatever the walls show."""
    found: dict[tuple[bool, str], list[int]] = {}
    for frame, enabled in ((1, True), (2, False)):
        room.publish(frame, 0, enabled=enabled)
        canvas = RingReader.open(room.run.canvas("main"), kind=KIND_CANVAS)
        # The camera's picture fills this wall; without it, the outer one does.
        layer = "inner" if enabled else "outer"
        for number, stops in enumerate((0.0, -1.0, 0.0), 10 * frame):
            grades = {"outer": Grade(exposure_ev=3.0), layer: Grade(exposure_ev=stops)}
            for of in ("cameras/a/photo", "canvases/main"):
                write_order(room.run.look_order(number), LookOrder(of, "night", 7, grades, {}))
                letter = LookStill(number, room.run.service_socket.name, 192)
                assert room.desk.send(room.run.darkroom_socket, letter)
                (answer,) = room.answers()
                assert isinstance(answer, PhotoReady), answer
                assert (answer.camera, answer.request, answer.frame) == (of, number, frame)
                shown, picture = room.still()
                assert shown == frame
                assert picture.shape == ((108, 192, 3) if of.endswith("photo") else (110, 176, 3))
                found.setdefault((enabled, of), []).append(int(picture[54, 96, 1]))
        assert canvas.latest_n == frame, "nothing of it is on the air"
        canvas.close()
    for (_, of), (plain, darker, again) in found.items():
        assert plain == again, "no look leaves anything of itself in the next"
        assert darker < plain - 8
        if of.endswith("photo"):
            # sRGB of 0.18 and of half of it.
            assert abs(plain - 118) <= 2
            assert abs(darker - 85) <= 2


def test_a_look_of_what_is_not_there_is_told(room: Room) -> None:
    room.publish(1, 0)
    for number, of in enumerate(("cameras/z/photo", "canvases/z"), 1):
        write_order(room.run.look_order(number), LookOrder(of, "", 1, {}, {}))
        assert room.desk.send(room.run.darkroom_socket, LookStill(number, room.run.service_socket.name))
        (answer,) = room.answers()
        assert isinstance(answer, PhotoFailed)
        assert (answer.request, answer.problems[0].code) == (number, "controller.look_still")
    assert room.desk.send(room.run.darkroom_socket, LookStill(9, room.run.service_socket.name))
    (answer,) = room.answers()
    assert isinstance(answer, PhotoFailed)
    assert "FileNotFoundError" in answer.problems[0].detail


def test_what_cannot_be_photographed_is_told(room: Room) -> None:
    room.ask(1)
    (answer,) = room.answers()
    assert isinstance(answer, PhotoFailed)
    assert answer.problems[0].code == "controller.photo"
    assert answer.problems[0].mend
    room.publish(1, 50)
    room.ask(2, camera="z")
    (answer,) = room.answers()
    assert isinstance(answer, PhotoFailed)
    assert (answer.problems[0].path, "a" in answer.problems[0].mend) == ("cameras/z", True)


def test_an_unexpected_failure_is_told_and_the_next_photo_is_made(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    room.publish(1, 50)
    with monkeypatch.context() as patch:
        patch.setattr("controller.darkroom.codes_of", lambda *_: 1 / 0)
        room.ask(1)
        (answer,) = room.answers()
    assert isinstance(answer, PhotoFailed)
    assert "ZeroDivisionError" in answer.problems[0].detail
    room.ask(2)
    (answer,) = room.answers()
    assert isinstance(answer, PhotoReady)


def test_versions_are_prepared_or_fetched(room: Room) -> None:
    room.write(2)
    room.desk.send(room.run.darkroom_socket, Prepare(2, 2, room.run.service_socket.name))
    room.desk.send(room.run.darkroom_socket, Prepare(9, 9, room.run.service_socket.name))
    prepared, failed = room.answers()
    assert isinstance(prepared, Prepared)
    assert prepared.who == "darkroom"
    assert isinstance(failed, Failed)
    assert failed.problems[0].code == "darkroom.snapshot"
    room.write(3)
    room.publish(5, 60, number=3)
    room.ask(1)
    (answer,) = room.answers()
    assert isinstance(answer, PhotoReady), "a version committed while it was away is fetched"
    ring = RingReader.open(room.run.darkroom_status, kind=KIND_STATUS)
    slot = ring.latest()
    ring.close()
    assert slot is not None
    status = decode_node(slot.data)
    assert (status.node, status.state) == ("darkroom", "running")


def test_programs_of_grades_are_made_when_nobody_wants_anything(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    real = WallPass.prepare

    def prepare(self: WallPass, surface: Any, inners: int, *, grades: bool = False) -> Iterator[None]:
        made.append(f"{grades}")
        yield from real(self, surface, inners, grades=grades)

    monkeypatch.setattr(WallPass, "prepare", prepare)

    def idle(seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            room.darkroom.step(room.clock.now_ns())
            room.clock.sleep_until(room.clock.now_ns() + NS_PER_S // 10)

    idle(19.0)
    room.darkroom._looks.append(LookStill(1, room.run.service_socket.name))
    idle(19.0)
    assert made == []
    idle(20.0)
    assert made == ["True"], "once for a configuration"
