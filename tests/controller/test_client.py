"""The typed client against the running house."""

from __future__ import annotations

import json
import socket
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from controller import cli, client, show_command
from controller.client import ApiError, Client
from controller.show_file import read_show_file

if TYPE_CHECKING:
    from tests.controller.conftest import RunningHouse


async def test_it_reads_changes_and_listens(house: RunningHouse) -> None:
    async with Client(house.url) as show:
        assert (await show.health()).name == "minimal"
        camera = await show.camera("a")
        assert camera == (await show.cameras())["a"] or camera.rev == (await show.cameras())["a"].rev
        async with aclosing(show.events("camera")) as events:
            first = await anext(events)
            assert set(first.data) == {"cameras/a"}
            outcome = await show.set("cameras/a", soft_edge_deg=1.25)
            async for event in events:
                if event.data["soft_edge_deg"] == 1.25:
                    assert event.rev == outcome.rev
                    break
        assert (await show.camera("a")).soft_edge_deg == 1.25
        with pytest.raises(ApiError) as error:
            await show.set("cameras/a", if_rev=camera.rev, soft_edge_deg=3)
        assert (error.value.status, error.value.problems[0].code) == (412, "controller.stale")
        await show.undo("cameras/a")
        assert (await show.camera("a")).soft_edge_deg == 0.5


async def test_it_lines_up(house: RunningHouse) -> None:
    async with Client(house.url) as show:
        await show.nudge("tracker", x_m=0.001)
        assert (await show.source("tracker")).nudge.x_m == 0.001
        await show.undo("sources/tracker")
        await show.pattern("eye_card", "main")
        assert (await show.show()).rev == (await show.pattern("eye_card", "main")).rev
        await show.undo()
        with pytest.raises(ApiError):
            await show.set_zero("tracker")


async def test_it_switches_scenes_and_configurations(house: RunningHouse) -> None:
    async with Client(house.url) as show:
        await show.activate_scene("hall")
        assert (await show.show()).position == "far"
        await show.activate_position("near")
        assert {scene.id for scene in (await show.scenes()).values() if scene.active} == {"hall"}
        config = await show.config()
        outcome = await show.put_config(config.text.replace("shutter_deg: 180.0", "shutter_deg: 90.0"), rev=config.rev)
        assert (await show.camera("a")).shutter_deg == 90.0
        # The scene and the position that were on air stay.
        assert (await show.show()).position == "near"
        with pytest.raises(ApiError) as error:
            await show.put_config(config.text, rev=config.rev)
        assert error.value.status == 412
        for _ in range(3):
            await show.undo()
        assert (await show.show()).scene == "grey"
        assert outcome.frame is not None


async def test_it_plays_cues_and_takes(house: RunningHouse) -> None:
    async with Client(house.url) as show:
        start = (await show.show()).exposure_ev
        await show.put_cue("low", number="1", changes={"exposure_ev": start - 1.0}, label="low")
        await show.put_cue("high", number="2", changes={"exposure_ev": start + 1.0})
        assert (await show.preview_cue("high")).changes["exposure_ev"].after == start + 1.0
        assert (await show.set_lock("rolling", take="3/1")).take == "3/1"
        with pytest.raises(ApiError) as error:
            await show.set("show", exposure_ev=3.0)
        assert error.value.status == 423
        await show.go()
        await show.go("2")
        told = await show.cues()
        assert (told.current, told.next, [cue.number for cue in told.cues]) == ("high", "", ["1", "2"])
        await show.back()
        assert (await show.show()).exposure_ev == start - 1.0
        assert (await show.lock()).state == "rolling"
        await show.set_lock("open")
        await show.back()
        order = await show.order_cues(["high", "low"], rev=(await show.cues()).rev)
        assert order.changes.keys() == {"cues/list"}
        assert (await show.chase(True)).changes.keys() == {"cues/at"}
        await show.chase(False)
        for cue in ("low", "high"):
            await show.delete_cue(cue)
        assert (await show.show()).exposure_ev == start


async def test_it_keeps_a_state(house: RunningHouse) -> None:
    async with Client(house.url) as show:
        async with aclosing(show.state("show", "position")) as states:
            first = await anext(states)
            assert set(first) == {"show", "positions/near", "positions/far"}
            await show.set("show", exposure_ev=2.25)
            async for state in states:
                if state["show"]["exposure_ev"] == 2.25:
                    break
            await show.undo()
        last = (await show.get("show"))["rev"]
        async with aclosing(show.events("show")) as events:
            seq = (await anext(events)).seq
        await show.set("show", exposure_ev=2.5)
        # Whoever comes back gets what was missed, without a snapshot.
        async with aclosing(show.events("show", last_seq=seq)) as events:
            missed = await anext(events)
            assert (missed.type, missed.data["exposure_ev"]) == ("show", 2.5)
            assert missed.rev > last
        await show.undo()
        with pytest.raises(ApiError, match="weather"):
            await anext(show.events("weather"))


async def test_it_looks(house: RunningHouse) -> None:
    async with Client(house.url) as show:
        for codec, begin in (("jpeg", b"\xff\xd8"), ("h264", b"\x00\x00\x00\x01")):
            frames = []
            async with aclosing(show.previews("canvases/main", width_px=64, codec=codec)) as previews:  # type: ignore[arg-type]
                async for preview in previews:
                    frames.append(preview.frame)
                    assert preview.data.startswith(begin)
                    assert preview.timecode[0] < 24
                    if len(frames) == 3:
                        break
            assert frames == sorted(set(frames))
        with pytest.raises(ApiError, match="canvases/ID"):
            await anext(show.previews("canvases/none"))


async def test_it_lights_and_grades(house: RunningHouse) -> None:
    async with Client(house.url) as show:
        await show.put_card("fill", pan_deg=10.0, nits=200.0)
        await show.set("cards/fill", pan_deg=12.0)
        card = (await show.cards())["fill"]
        assert (card.pan_deg, card.nits) == (12.0, 200.0)
        await show.put_chromakey("green", camera="a")
        key = (await show.chromakeys())["green"]
        assert key.camera == "a"
        await show.delete("chromakeys/green", if_rev=key.rev)
        await show.delete("cards/fill", if_rev=card.rev)
        assert (await show.cards(), await show.chromakeys()) == ({}, {})
        await show.patch("look", outer={"exposure_ev": -1.0})
        await show.store_look("dark", label="Dark")
        await show.patch("look", outer={"exposure_ev": 0.0})
        assert (await show.looks()).looks["dark"].label == "Dark"
        await show.apply_look("dark", seconds=0.1)
        now = await show.look()
        assert (now.look, now.layers["outer"].exposure_ev) == ("dark", -1.0)
        await show.patch("look", outer={"exposure_ev": 0.0})
        await show.delete("looks/dark", if_rev=(await show.looks()).looks["dark"].rev)


async def test_what_has_no_method_goes_by_its_path(house: RunningHouse) -> None:
    async with Client(house.url) as show:
        assert (await show.get("walls"))["main"]["id"] == "main"
        assert (await show.put("patterns/ramp", on=False))["changes"] == {}
        assert (await show.positions()).keys() == {"near", "far"}
        assert (await show.sources()).keys() == {"tracker"}
        with pytest.raises(ApiError):
            await show.delete("cues/none")


async def test_it_watches_and_orders(house: RunningHouse) -> None:
    async with Client(house.url) as show:
        assert (await show.nodes()).conductor is not None
        frames = await show.frames(window=20)
        assert frames.window == 20
        assert (await show.frame((await show.health()).frame - 3)).frame > 0
        assert isinstance((await show.alarms()).alarms, list)
        assert (await show.canvas_png("main")).startswith(b"\x89PNG")
        assert (await show.photo("a", width_px=320)).startswith(b"\xff\xd8")
        assert (await show.canvases())["main"].encoding.bits == 8
        assert (await show.order("hold")).action == "hold"
        assert (await show.order("none")).action == "none"


def shell(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """What `openvolume` ends with and says."""
    with pytest.raises(SystemExit) as left:
        cli.main(list(arguments))
    out, err = capsys.readouterr()
    return int(left.value.code or 0), out, err


def test_commands_say_what_keeps_them_from_a_show(
    house: RunningHouse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No show, no answer, no show at that address, and a locked one: code, place, value, what to do; 1 where it may
    do later, 2 where it was asked wrongly."""
    monkeypatch.setattr(client, "runs", list)
    for command in (("scene", "hall"), ("library",), ("processors",), ("show", "import", __file__)):
        code, _, err = shell(capsys, *command)
        assert code == 2
        if command[0] != "show":
            assert err == "controller.unknown_address --run: no show runs here -> start one: openvolume run CONFIG\n"
    monkeypatch.setattr(client, "runs", lambda: [house.run])
    monkeypatch.setattr(client, "is_alive", lambda _: True)
    house.run.local_key.write_text(house.control.doorman.local_key)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        house.run.service_address.write_text(json.dumps({"host": "127.0.0.1", "port": port}))
        for run in ("t", f"http://127.0.0.1:{port}"):
            code, _, err = shell(capsys, "scene", "hall", "--run", run)
            assert (code, err.split(":")[0]) == (1, "controller.no_answer --run")
            assert f"({run!r})" in err
            assert ("try again" if run == "t" else "address and port") in err
    house.run.service_address.write_text(json.dumps({"host": "127.0.0.1", "port": house.service.port}))
    assert shell(capsys, "scene", "hall", "--run", house.url + "/elsewhere")[0] == 2
    assert house.client.put("/api/v1/lock", json={"state": "rolling", "take": "12A/3"}).status_code == 200
    try:
        code, _, err = shell(capsys, "scene", "hall")
    finally:
        assert house.client.put("/api/v1/lock", json={"state": "open", "reason": "test"}).status_code == 200
    assert code == 1
    assert err.startswith("controller.show_locked scenes/hall/activate: the show is rolling: ")
    assert "holds it for take 12A/3" in err
    assert "('12A/3') -> " in err


def test_a_running_show_is_exported_and_backed_up_by_itself(
    house: RunningHouse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Nobody else opens its database: whoever found it damaged would take it from under the service."""
    monkeypatch.setattr(show_command, "runs", lambda: [house.run])
    monkeypatch.setattr(show_command, "is_alive", lambda _: True)
    monkeypatch.setattr(show_command, "Store", None)
    monkeypatch.setattr(show_command, "_names", lambda: [house.control.desk.loaded.name])
    monkeypatch.setattr(client, "runs", lambda: [house.run])
    monkeypatch.setattr(client, "is_alive", lambda _: True)
    house.run.local_key.write_text(house.control.doorman.local_key)
    house.run.service_address.write_text(json.dumps({"host": "127.0.0.1", "port": house.service.port}))
    file = tmp_path / "a.ovshow"
    code, out, err = shell(capsys, "show", "export", str(file))
    assert (code, err) == (0, "")
    assert out.startswith(f"{house.control.desk.loaded.name}, revision {house.control.desk.rev}: ")
    assert read_show_file(file.read_bytes()).show.exposure_ev == house.control.desk.show.exposure_ev
    assert house.client.patch("/api/v1/show", json={"exposure_ev": 0.25}).status_code == 200
    assert house.client.patch("/api/v1/show", json={"exposure_ev": 0.0}).status_code == 200
    assert shell(capsys, "show", "backup")[1].startswith("show-")
    assert "has not changed" in shell(capsys, "show", "backup", "--run", house.url)[1]
