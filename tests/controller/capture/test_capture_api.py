"""Captures over HTTP and from the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from controller.capture import command
from controller.capture.account import Sidecar
from controller.capture.command import Asked, capture_command
from controller.capture.order import CaptureError, read_orders
from controller.capture.role import Capture
from controller.rundir import RunDir
from runtime.clock import SystemClock

if TYPE_CHECKING:
    from tests.controller.conftest import RunningHouse


@pytest.fixture
def capture(house: RunningHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Capture]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    house.run.capture_orders.unlink(missing_ok=True)
    made = Capture(run=house.run, clock=SystemClock())
    made.start()
    yield made
    made.stop()


def look(house: RunningHouse, capture: Capture, number: str, state: str) -> dict[str, Any]:
    """The capture once it has come to a state."""

    def seen() -> dict[str, Any] | None:
        capture.step(SystemClock().now_ns())
        found = house.get("captures")[number]
        return found if found["state"] == state else None

    found = house.eventually(seen)
    assert isinstance(found, dict)
    return found


def test_begin_look_end(house: RunningHouse, capture: Capture, tmp_path: Path) -> None:
    canvas = next(iter(house.get("canvases")))
    order = {"of": f"canvases/{canvas}", "format": "png", "name": "take_7"}
    answer = house.client.post("/api/v1/captures", json=order)
    assert answer.status_code == 200, answer.text
    number = answer.json()["id"]
    assert answer.json()["path"].endswith("/captures/take_7")
    look(house, capture, number, "running")
    again = house.client.post("/api/v1/captures", json=order)
    assert (again.status_code, again.json()["code"]) == (409, "controller.capture")
    answer = house.client.post(f"/api/v1/captures/{number}/end", json={})
    assert answer.status_code == 200, answer.text
    told = look(house, capture, number, "done")
    assert told["written"] >= 1
    sidecar = msgspec.json.decode(Path(told["sidecar"]).read_bytes(), type=Sidecar)
    assert (sidecar.written, sidecar.missing) == (told["written"], told["missing"])
    files = sorted(Path(told["path"]).parent.glob("take_7.*.png"))
    assert len(files) == told["written"]
    assert files[0].is_relative_to(tmp_path)


@pytest.mark.parametrize(
    ("body", "status", "path"),
    [
        ({"format": "png"}, 422, "of"),
        ({"of": "canvases/nowhere", "format": "png"}, 404, "canvases/nowhere"),
        ({"of": "cameras/a", "format": "png"}, 422, "of"),
        ({"of": "cameras/a/inner", "format": "gif"}, 422, "body"),
        ({"of": "cameras/a/inner", "format": "png", "name": "../x"}, 422, "name"),
        ({"of": "cameras/a/inner", "format": "png", "every": 0}, 422, "every"),
        ({"of": "cameras/a/inner", "format": "png", "speed": 1}, 422, "speed"),
    ],
)
def test_what_cannot_be_asked(house: RunningHouse, body: dict[str, object], status: int, path: str) -> None:
    answer = house.client.post("/api/v1/captures", json=body)
    assert (answer.status_code, answer.json()["path"]) == (status, path)
    assert house.client.post("/api/v1/captures/99/end").status_code == 404


def test_the_command_line(shm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    run = RunDir(shm)
    monkeypatch.setattr(command, "runs", lambda: [run])
    monkeypatch.setattr(command, "is_alive", lambda _: True)
    assert capture_command("list", None, Asked()) == 0
    assert "nothing is captured" in capsys.readouterr().out
    asked = Asked(form="ffv1", first_frame=100, frames=24)
    capture_command("inner:a", tmp_path / "take", asked)
    (order,) = read_orders(run)
    assert (order.kind, order.of, order.path, order.last_frame) == ("inner", "a", str(tmp_path / "take.mkv"), 123)
    capture_command("list", None, Asked())
    assert "1  inner:a  waiting  0 written" in capsys.readouterr().out
    capture_command("end:1", None, Asked(last_frame=110))
    assert read_orders(run)[0].last_frame == 110
    for what, out, wrong in (
        ("canvas:left", tmp_path / "x", "no such canvas"),
        ("inner:a", None, "say where to"),
        ("everything", tmp_path / "x", "nothing that can be captured"),
    ):
        with pytest.raises(CaptureError, match=wrong):
            capture_command(what, out, Asked())
    with pytest.raises(CaptureError, match="counts from a first frame"):
        capture_command("inner:a", tmp_path / "y", Asked(frames=3))
    monkeypatch.setattr(command, "runs", list)
    with pytest.raises(CaptureError, match="no show runs here"):
        capture_command("list", None, Asked())
