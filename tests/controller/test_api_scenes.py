"""Scenes over HTTP: switched on a frame, edited live, reloaded when their files change, refused when those are broken.

`scenes/`, `scene-switches` and `scene-memory` are tested here.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from configs.assets.glb import Glb
from configs.assets.shapes import box
from controller import client, scene_command
from controller.asking import AskedInVainError
from controller.commands import Command
from controller.config import load_config_text
from controller.errors import ChangeRefused, UnknownAddress
from runtime.ring import KIND_PLANS, RingReader
from stage.errors import Problem
from stage.plan import decode_plan

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(autouse=True)
def as_it_was(house: Any) -> Iterator[None]:
    """The house is shared: every test leaves it as it found it."""
    first, held = house.control.desk.rev, set(house.node.held)
    house.node.compiled.clear()
    yield
    house.node.scene_problem = None
    house.wait(house.control.desk.roll_back(first))
    # What was loaded for the roll-back is needed; what the test took away comes back.
    house.node.held |= held
    house.eventually(lambda: not house.control.scenery.busy, timeout_s=30)
    house.eventually(lambda: {scene["state"] for scene in house.get("scenes").values()} == {"ready"}, timeout_s=30)


def cool(house: Any, scene: str) -> None:
    """No node holds any state of a scene any more, and the service knows it."""
    house.node.held -= {entry for entry in set(house.node.held) if entry[0] == scene}
    house.eventually(lambda: house.get(f"scenes/{scene}")["state"] == "cold")


def test_a_dissolve_takes_its_frames_from_the_frame_named(house: Any) -> None:
    now = house.eventually(lambda: house.control.backend.plan).frame
    begin, frames = now + 90, 30
    order = {"kind": "dissolve", "frames": frames, "at_frame": begin, "curve": "smooth"}
    outcome = house.client.post("/api/v1/scenes/hall/activate", json=order).json()
    assert outcome["changes"]["scenes/active"] == {"before": "grey", "after": "hall"}
    (waiting,) = house.get("scene-switches")["switches"]
    assert (waiting["scene"], waiting["kind"], waiting["begin_frame"]) == ("hall", "dissolve", begin)
    house.eventually(lambda: house.control.backend.plan.frame > begin + frames + 2, timeout_s=30)
    # Frames that a busy machine had no plan for are not in the ring: those that are there have the right scenes.
    plans = RingReader.open(house.run.plans, kind=KIND_PLANS)
    found = [decode_plan(slot.data) for slot in plans.read_since(0).slots]
    plans.close()
    shown = {plan.frame: {entry.id for entry in plan.scenes} for plan in found if plan.frame > now}
    for frame, scenes in shown.items():
        expected = {"grey"} if frame < begin else {"grey", "hall"} if frame < begin + frames else {"hall"}
        assert scenes == expected, frame
    assert {"grey", "hall"} in shown.values()
    assert house.get("scene-switches")["switches"] == []
    house.problem_of(house.client.post("/api/v1/scenes/grey/activate", json={"at_frame": 1}), 422)
    house.problem_of(house.client.post("/api/v1/scenes/grey/activate", json={"kind": "fold"}), 422)
    house.problem_of(house.client.post("/api/v1/scenes/grey/activate", json={"scene": "hall"}), 422)


def test_edits_are_made_kept_undone_and_refused(house: Any) -> None:
    client = house.client
    house.eventually(lambda: house.get("scenes/grey/addresses")["values"])
    values = {entry["address"]: entry for entry in house.get("scenes/grey/addresses")["values"]}
    assert values["exposure_ev"]["kind"] == "number"
    first = house.get("scenes/grey")
    answer = client.patch("/api/v1/scenes/grey", json={"exposure_ev": 1.5, "background": [0.1, 0.2, 0.3]})
    assert answer.status_code == 200, answer.text
    rev = answer.json()["rev"]
    scene = house.get("scenes/grey")
    assert scene["edits"] == {"exposure_ev": 1.5, "background": [0.1, 0.2, 0.3]}
    assert scene["version"] == rev > first["version"]
    house.eventually(lambda: house.control.backend.plan.scenes[0].version == rev)
    values = {entry["address"]: entry for entry in house.get("scenes/grey/addresses")["values"]}
    assert (values["exposure_ev"]["value"], values["exposure_ev"]["edited"]) == (1.5, True)
    # As configured again, by null and by undo.
    assert client.patch("/api/v1/scenes/grey", json={"exposure_ev": None}).status_code == 200
    assert set(house.get("scenes/grey")["edits"]) == {"background"}
    assert client.post("/api/v1/undo", json={"prefix": "scenes/grey"}).status_code == 200
    assert house.get("scenes/grey")["edits"]["exposure_ev"] == 1.5
    assert client.post("/api/v1/undo", json={"prefix": "scenes/grey"}).status_code == 200
    assert house.get("scenes/grey")["edits"] == {}
    for bad, status in (({"exposure_ev": 1e9}, 422), ({"exposure_ev": "much"}, 422), ({"moon": {"x_m": 1}}, 404),
                        ({"background": [1, 2]}, 422)):  # fmt: skip
        house.problem_of(client.patch("/api/v1/scenes/grey", json=bad), status)
    assert house.get("scenes/grey")["edits"] == {}
    house.problem_of(client.patch("/api/v1/scenes/nowhere", json={}), 404)
    house.problem_of(client.patch("/api/v1/scenes/grey", json={"exposure_ev": 1}, headers={"if-match": '"1"'}), 412)


def test_steps_add_to_what_is_configured(house: Any) -> None:
    house.eventually(lambda: house.get("scenes/grey/addresses")["values"])
    house.submit(Command(steps={"scenes/grey/exposure_ev": 0.25}))
    house.submit(Command(steps={"scenes/grey/exposure_ev": 0.25}))
    assert house.get("scenes/grey")["edits"] == {"exposure_ev": 0.5}


def test_animations_stop_go_on_and_are_sought(house: Any) -> None:
    house.eventually(lambda: house.control.backend.plan)
    assert house.client.patch("/api/v1/scenes/grey/transport", json={"playing": False}).status_code == 200

    def entry() -> Any:
        plan = house.control.backend.plan
        return plan.scenes[0], plan.scene_time_ns

    stopped, time_ns = house.eventually(lambda: (found := entry())[0].time_speed == 0.0 and found)
    at_ns = stopped.time_ns(time_ns)
    assert 0 <= time_ns - at_ns < 2e9, "it stands where it was"
    house.client.patch("/api/v1/scenes/grey", json={"transport": {"playing": True, "speed": 0.5}})
    running, time_ns = house.eventually(lambda: (found := entry())[0].time_speed == 0.5 and found)
    assert at_ns <= running.time_ns(time_ns) < at_ns + 1e9, "it goes on from there"
    scene = house.get("scenes/grey")
    assert (scene["playing"], scene["speed"]) == (True, 0.5)


def put_asset(path: Path, red: float) -> None:
    """A small asset, put in place whole."""
    glb = Glb()
    paint = glb.material("paint", baseColorFactor=[red, 0, 0, 1])
    glb.node("one", glb.mesh("one", box((1.0, 1.0, 1.0), (0.0, 3.0, 0.0)), paint))
    partial = path.with_suffix(".partial")
    partial.write_bytes(glb.to_bytes())
    os.replace(partial, path)


@pytest.fixture
def asset(house: Any, tmp_path: Path) -> Path:
    """An asset that the scene on air is made of."""
    path = tmp_path / "box.glb"
    put_asset(path, 0.5)
    text = house.config_text.replace("\n  hall:\n", f"\n  hall:\n    gltf: {path}\n")
    rev = house.get("config")["rev"]
    headers = {"content-type": "application/yaml", "if-match": f'"{rev}"'}
    answer = house.client.put("/api/v1/config", content=text, headers=headers)
    assert answer.status_code == 200, answer.text
    assert house.client.post("/api/v1/scenes/hall/activate").status_code == 200
    house.eventually(lambda: house.get("scenes/hall/addresses")["values"])
    return path


def test_a_file_that_changes_is_compiled_and_shown_with_its_edits(house: Any, asset: Path) -> None:
    edit = {"objects": {"box": {"materials": {"paint": {"roughness": 0.3}}}}}
    assert house.client.patch("/api/v1/scenes/hall", json=edit).status_code == 200
    put_asset(asset, 0.9)
    key = house.eventually(lambda: house.get("scenes/hall")["compiled"])
    scene = house.get("scenes/hall")
    assert scene["edits"] == {"objects/box/materials/paint/roughness": 0.3}
    house.eventually(lambda: house.get("scenes/hall")["state"] == "ready")
    assert ("hall", key) in house.node.held, "it was loaded before it was switched to"
    house.eventually(lambda: house.control.backend.plan.scenes[0].version == scene["version"])
    (state,) = house.get("scenes/hall/states")["states"]
    assert (state["key"], state["shown"]) == (key, True)
    assert house.client.get("/api/v1/scenes/hall/thumbnail.jpg").content == b"picture"
    house.problem_of(house.client.get("/api/v1/scenes/grey/thumbnail.jpg"), 404)
    # The next one, and back by undo: to the state, not to the file.
    put_asset(asset, 0.1)
    house.eventually(lambda: house.get("scenes/hall")["compiled"] not in ("", key))
    assert house.client.post("/api/v1/undo", json={"prefix": "scenes/hall/compiled"}).status_code == 200
    assert house.get("scenes/hall")["compiled"] == key
    house.problem_of(house.client.patch("/api/v1/scenes/hall", json={"compiled": key}), 428)


def test_a_broken_file_is_refused_with_the_reason_and_the_old_scene_stays(house: Any, asset: Path) -> None:
    house.node.scene_problem = Problem("renderer.asset_format", "gltf", "the file ends early", mend="export it again")
    before = house.get("scenes/hall")
    asset.write_bytes(b"glTF half of it")
    alarm = house.eventually(
        lambda: next((a for a in house.get("alarms")["alarms"] if a["path"] == "scenes/hall"), None)
    )
    assert "the file ends early" in alarm["detail"]
    assert "the file ends early" in house.get("scenes/hall")["problem"]
    assert house.get("scenes/hall")["compiled"] == before["compiled"]
    assert house.get("scenes/hall")["version"] == before["version"]
    problem = house.problem_of(house.client.post("/api/v1/scenes/hall/compile"), 409)
    assert "the file ends early" in problem["detail"]
    house.node.scene_problem = None
    put_asset(asset, 0.2)
    house.eventually(lambda: house.get("scenes/hall")["compiled"])
    assert house.get("scenes/hall")["problem"] == ""


def test_a_file_still_written_to_is_waited_for(house: Any, asset: Path) -> None:
    whole = asset.read_bytes()
    compiled = len(house.node.compiled)
    for n in range(6):
        asset.write_bytes(whole + bytes(n))
        frame = house.control.backend.plan.frame
        house.eventually(lambda frame=frame: house.control.backend.plan.frame > frame + 9)
    house.eventually(lambda: len(house.node.compiled) > compiled)
    assert len(house.node.compiled) == compiled + 1
    house.eventually(lambda: house.get("scenes/hall")["compiled"])


def test_a_scene_is_kept_ready_on_request(house: Any) -> None:
    cool(house, "hall")
    assert house.client.patch("/api/v1/scenes/hall", json={"preload": True}).status_code == 200
    scene = house.eventually(lambda: (found := house.get("scenes/hall"))["state"] == "ready" and found)
    assert (scene["preload"], scene["active"]) == (True, False)
    (memory,) = house.get("scene-memory")["memory"]
    assert memory["budget_bytes"] == 10**9
    assert memory["held_bytes"] == sum(entry["size_bytes"] for entry in memory["scenes"])


def test_a_switch_to_a_cold_scene_waits_until_it_is_ready(house: Any) -> None:
    cool(house, "hall")
    outcome = house.client.post("/api/v1/scenes/hall/activate").json()
    assert set(outcome["changes"]) == {"scenes/active", "position", "scenes/hall/compiled"}
    assert house.node.compiled == ["hall"]
    house.node.scene_problem = Problem("renderer.asset_missing", "gltf", "there is no such file")
    cool(house, "grey")
    assert "no such file" in house.problem_of(house.client.post("/api/v1/scenes/grey/activate"), 409)["detail"]
    assert house.get("scenes/hall")["active"]


def test_a_shell_switches_scenes(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    host, port = house.url.removeprefix("http://").split(":")
    house.run.service_address.write_text(json.dumps({"host": host, "port": int(port)}))
    house.run.local_key.write_text(house.control.doorman.local_key)
    monkeypatch.setattr(client, "runs", lambda: [house.run])
    monkeypatch.setattr(client, "is_alive", lambda _: True)
    said = scene_command.scene_command("hall", {"kind": "dissolve", "frames": 4})
    assert said.startswith("hall: revision")
    assert house.get("scenes/hall")["active"]
    with pytest.raises(AskedInVainError, match="none of this name"):
        scene_command.scene_command("nowhere", {})
    with pytest.raises(UnknownAddress, match="no show of this name"):
        scene_command.scene_command("hall", {}, run="other")


def test_another_configuration_brings_its_scenes_compiled_and_loaded(house: Any) -> None:
    """Whatever its size: what comes on air with it was compiled in the darkroom and is held by every node before."""
    desk = house.control.desk
    base = desk.loaded.base_dir
    house.eventually(lambda: house.get("scenes/grey/addresses")["values"])
    house.client.patch("/api/v1/scenes/grey", json={"exposure_ev": 1.0})
    old = house.get("scenes/grey")
    text = house.config_text.replace("background: [0.18, 0.18, 0.18]", "background: [0.4, 0.2, 0.1]")
    assert text != house.config_text
    house.node.compiled.clear()
    outcome = house.wait(desk.replace_config(load_config_text(text, base_dir=base)))
    now = house.get("scenes/grey")
    assert now["compiled"] != old["compiled"]
    assert ("grey", now["compiled"]) in house.node.held
    assert "grey" in house.node.compiled
    assert now["edits"] == {"exposure_ev": 1.0}, "live edits stay"
    house.eventually(lambda: house.control.backend.plan.show_version >= outcome.rev)
    # Back again: what was compiled for the other configuration is not shown with this one.
    house.wait(desk.undo("config"))
    assert house.get("scenes/grey")["compiled"] != now["compiled"]
    # A scene that cannot be compiled is refused with its configuration, and nothing changes.
    house.node.scene_problem = Problem("renderer.asset_format", "objects/a", "no glTF")
    rev = desk.rev
    other = text.replace("[0.4, 0.2, 0.1]", "[0.7, 0.2, 0.1]")
    with pytest.raises(ChangeRefused, match="no glTF"):
        house.wait(desk.replace_config(load_config_text(other, base_dir=base)))
    assert desk.rev == rev


def test_light_scenes_of_another_configuration_are_made_ready_behind_it(house: Any) -> None:
    desk = house.control.desk
    text = house.config_text.replace("    label: A hall\n", "    label: A hall\n    ambient: [0.1, 0.1, 0.1]\n")
    house.node.compiled.clear()
    # A node that reads only what it shows; what it read for another configuration counts for nothing.
    cool(house, "hall")
    house.wait(desk.replace_config(load_config_text(text, base_dir=desk.loaded.base_dir)))
    house.eventually(lambda: "hall" in house.node.compiled)
    assert house.get("scenes/hall")["compiled"] == "", "it is shown when somebody switches to it"
    house.eventually(lambda: any(name == "hall" and key for name, key in house.node.held))
    house.node.compiled.clear()
    assert house.client.post("/api/v1/scenes/hall/activate").status_code == 200
    assert house.get("scenes/hall")["compiled"]


def test_an_edit_that_needs_other_programs_waits_for_them_and_keeps_its_order(house: Any) -> None:
    """The darkroom first, then the nodes, then the change; what comes behind it does not overtake it."""
    desk, node = house.control.desk, house.node
    text = house.config_text.replace("background: [0.18, 0.18, 0.18]", "fog: {distance_m: 100.0}\n    sky: {haze: 1.0}")
    house.wait(desk.replace_config(load_config_text(text, base_dir=desk.loaded.base_dir)))
    house.eventually(lambda: any(v["address"] == "sky/haze" for v in house.get("scenes/grey/addresses")["values"]))
    node.rehearsed.clear()
    assert house.client.patch("/api/v1/scenes/grey", json={"exposure_ev": 0.5}).status_code == 200
    assert node.rehearsed == [], "an ordinary slider waits for nobody"
    assert house.client.patch("/api/v1/scenes/grey", json={"sky": {"haze": 3.0}}).status_code == 200
    wanted = {"exposure_ev": 0.5, "sky/haze": 3.0}
    assert node.rehearsed == [("darkroom", "grey", wanted), ("n0", "grey", wanted)]
    assert house.get("scenes/grey")["edits"] == wanted

    async def many() -> None:
        edits = [Command({f"scenes/grey/fog/{n}": v}, who="hand") for n, v in
                 (("sun_glow", 0.1), ("sun_glow", 0.2), ("sun_glow", 0.0), ("sun_glow", 0.4))]  # fmt: skip
        await asyncio.gather(*(desk.submit(edit) for edit in edits))

    house.wait(many())
    assert house.get("scenes/grey")["edits"]["fog/sun_glow"] == 0.4
    # A node that never answers holds up the edit for a while only.
    node.absent_minded = True
    try:
        with mock.patch("controller.scenery.REHEARSE_TIMEOUT_S", 0.2):
            assert house.client.patch("/api/v1/scenes/grey", json={"sky": {"haze": 5.0}}).status_code == 200
    finally:
        node.absent_minded = False
    assert house.get("scenes/grey")["edits"]["sky/haze"] == 5.0


def test_the_sun_is_told_by_date_time_and_place(house: Any) -> None:
    """Greenwich at noon of midsummer: as high as the tilt of the earth says, a little before it is due south."""
    place = {"when": "2026-06-21T12:00:00Z", "latitude_deg": 51.4769, "longitude_deg": 0.0}
    sun = house.client.get("/api/v1/sun-position", params=place).json()
    assert sun["elevation_deg"] == pytest.approx(90.0 - 51.4769 + 23.436, abs=0.03)
    assert sun["azimuth_deg"] == pytest.approx(179.0, abs=0.5)
    assert sun["pan_deg"] == pytest.approx(-sun["azimuth_deg"])
    assert len(sun["day"]) == 49
    assert sun["day"][24] == pytest.approx([sun["pan_deg"], sun["elevation_deg"]])
    turned = house.client.get("/api/v1/sun-position", params={**place, "north_deg": 90.0}).json()
    assert turned["pan_deg"] == pytest.approx(sun["pan_deg"] + 90.0)
    for wrong in ({"when": "at noon"}, {"when": "2026-06-21T12:00:00"}, {"latitude_deg": 91.0}):
        house.problem_of(house.client.get("/api/v1/sun-position", params={**place, **wrong}), 422)
