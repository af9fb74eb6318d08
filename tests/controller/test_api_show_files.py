"""Whole shows in and out of a running one, and a show whose disk is full or whose database is damaged goes on."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from controller.api import keeping
from controller.errors import StoreError
from controller.show_file import read_show_file, write_show_file
from controller.store import Store
from stage.errors import Problem

if TYPE_CHECKING:
    from tests.controller.conftest import RunningHouse

ZIP = {"content-type": "application/zip"}


def export(house: RunningHouse) -> bytes:
    answer = house.client.get("/api/v1/show/export")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    assert ".ovshow" in answer.headers["content-disposition"]
    return answer.content


def frames(house: RunningHouse) -> int:
    return int(house.get("frames")["frames"])


def test_a_show_goes_out_and_comes_back_whole(house: RunningHouse) -> None:
    house.client.patch("/api/v1/show", json={"exposure_ev": 1.25}).raise_for_status()
    house.client.put("/api/v1/cues/c1", json={"number": "1", "changes": {"exposure_ev": 2.0}}).raise_for_status()
    file = export(house)
    for _ in range(2):
        house.client.post("/api/v1/undo").raise_for_status()
    text = house.get("config")["text"].replace("shutter_deg: 180.0", "shutter_deg: 90.0")
    rev = house.get("config")["rev"]
    house.client.put(
        "/api/v1/config", content=text.encode(), headers={"content-type": "application/yaml", "if-match": f'"{rev}"'}
    ).raise_for_status()
    # What would change is told, and nothing does.
    before = house.get("show")["rev"]
    told = house.client.post("/api/v1/show/import/check", content=file, headers=ZIP).json()
    assert told["changes"]["exposure_ev"] == {"before": 0.0, "after": 1.25}
    assert any(line.startswith("+") and "shutter_deg: 180.0" in line for line in told["config"])
    assert told["files"] == {}
    assert house.get("show")["rev"] == before
    # Which revision it is taken into has to be said.
    assert house.client.post("/api/v1/show/import", content=file, headers=ZIP).status_code == 428
    stale = {**ZIP, "if-match": '"1"'}
    assert house.client.post("/api/v1/show/import", content=file, headers=stale).status_code == 412
    answer = house.client.post("/api/v1/show/import", content=file, headers={**ZIP, "if-match": f'"{before}"'})
    assert answer.status_code == 200, answer.text
    assert answer.json()["frame"] is not None
    assert house.get("show")["exposure_ev"] == 1.25
    assert [cue["id"] for cue in house.get("cues")["cues"]] == ["c1"]
    assert house.get("cameras/a")["shutter_deg"] == 180.0
    assert house.client.post("/api/v1/show/import/check", content=file, headers=ZIP).json()["changes"] == {}
    assert house.get("show/backups")["backups"], "it was copied before"
    # One step of undo takes it all back.
    house.client.post("/api/v1/undo").raise_for_status()
    assert house.get("show")["exposure_ev"] == 0.0
    assert house.get("cues")["cues"] == []
    assert house.get("cameras/a")["shutter_deg"] == 90.0
    house.client.post("/api/v1/undo").raise_for_status()
    assert house.get("cameras/a")["shutter_deg"] == 180.0


def test_all_of_it_or_nothing(house: RunningHouse) -> None:
    found = read_show_file(export(house))
    before, presented = house.get("show"), frames(house)
    broken = write_show_file(
        name="x", software="1", t_tai_ns=1, config=found.config.replace("rate: 60", "rate: 61.5"), show=found.show
    )
    headers = {**ZIP, "if-match": f'"{before["rev"]}"'}
    camera = msgspec.structs.replace(found.show.cameras["a"], soft_edge_deg=1e6)
    by_hand = write_show_file(
        name="x", software="1", t_tai_ns=1, config=found.config,
        show=msgspec.structs.replace(found.show, cameras={"a": camera}),
    )  # fmt: skip
    assert (
        "cameras/a/soft_edge_deg"
        in house.client.post("/api/v1/show/import", content=by_hand, headers=headers).json()["path"]
    )
    for data, status in ((broken, 422), (by_hand, 422), (b"no archive", 422), (b"x" * (17 << 20), 413)):
        for path in ("show/import", "show/import/check"):
            answer = house.client.post(f"/api/v1/{path}", content=data, headers=headers)
            assert answer.status_code == status, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
    assert house.client.post("/api/v1/show/import", json={}, headers={"if-match": "*"}).status_code == 415
    assert house.get("show")["rev"] == before["rev"]
    house.eventually(lambda: frames(house) > presented)


def test_a_full_disk_refuses_changes_and_the_show_goes_on(house: RunningHouse) -> None:
    """Row S1/S3: SQLite may not grow any more, as where no block is free."""
    connection: sqlite3.Connection = house.control.store._db
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count={pages}")
    rev, presented = house.get("show")["rev"], frames(house)
    try:
        refused = None
        # What was free inside the file is used up first.
        for number in range(400):
            answer = house.client.put(
                f"/api/v1/cues/n{number % 7}", json={"number": str(number), "notes": f"{number} " * 300}
            )
            if answer.status_code != 200:
                refused = answer
                break
            rev = answer.json()["rev"]
        assert refused is not None
        assert refused.status_code == 507
        assert refused.headers["content-type"] == "application/problem+json"
        assert "full" in refused.json()["detail"]
        assert "free space" in refused.json()["mend"]
        assert house.get("show")["rev"] == rev, "nothing was half done"
        house.eventually(lambda: frames(house) > presented + 5)
        assert any(alarm["code"] == "controller.store" for alarm in house.get("alarms")["alarms"])
        assert house.client.post("/api/v1/actions/hold").status_code == 200
        assert house.client.post("/api/v1/actions/none").status_code == 200
    finally:
        connection.execute("PRAGMA max_page_count=1073741823")
    assert house.client.patch("/api/v1/show", json={"exposure_ev": 0.5}).status_code == 200
    assert not any(alarm["code"] == "controller.store" for alarm in house.get("alarms")["alarms"])
    with Store(house.state) as store:
        assert store.damaged is None


def test_no_room_for_a_version_is_told_alike(house: RunningHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    rev = house.get("show")["rev"]
    with monkeypatch.context() as patched:
        patched.setattr(type(house.run), "write_snapshot", full)
        answer = house.client.patch("/api/v1/show", json={"exposure_ev": 3.0})
    assert answer.status_code == 507, answer.text
    assert "No space left" in answer.json()["detail"]
    assert house.get("show")["rev"] == rev
    assert house.client.patch("/api/v1/show", json={"exposure_ev": 0.0}).status_code == 200


def test_a_backup_on_request(house: RunningHouse) -> None:
    house.client.patch("/api/v1/show", json={"exposure_ev": 0.75}).raise_for_status()
    first = house.client.post("/api/v1/show/backups").json()["backups"]
    assert house.client.post("/api/v1/show/backups").json()["backups"] == first, "nothing has changed since"
    rev = house.get("show")["rev"]
    assert first[0]["name"].endswith(f"-r{rev}.db")


def test_what_cannot_be_backed_up_is_an_alarm(house: RunningHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: int) -> None:
        raise StoreError(Problem(StoreError.code, "x", "malformed"))

    monkeypatch.setattr(house.control.store, "back_up", broken)
    house.wait(house.control.keeper.back_up())
    assert any(alarm["code"] == "store.backup" for alarm in house.get("alarms")["alarms"])
    monkeypatch.undo()
    house.wait(house.control.keeper.back_up())
    assert not any(alarm["code"] == "store.backup" for alarm in house.get("alarms")["alarms"])


def test_little_room_is_an_alarm_before_it_is_none(house: RunningHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    def codes() -> set[str]:
        return {alarm["code"] for alarm in house.get("alarms")["alarms"]}

    async def look() -> None:
        house.control.keeper.look()

    monkeypatch.setattr(keeping, "RESERVE_BYTES", 1 << 62)
    house.wait(look())
    assert "store.room" in codes()
    monkeypatch.undo()
    monkeypatch.setattr(keeping, "RESERVE_BYTES", 0)
    house.wait(look())
    assert "store.room" not in codes()


def test_what_cannot_be_read_of_a_damaged_database_is_told_and_no_server_error(house: RunningHouse) -> None:
    """It was sound when it was opened: what is damaged shows when it is read."""
    made = house.client.patch("/api/v1/show", json={"exposure_ev": 0.5}).json()["rev"]
    path = house.control.store.path
    with sqlite3.connect(path, timeout=20) as db:
        ((held,),) = db.execute("SELECT changes FROM revisions WHERE rev = ?", (made,))
        db.execute("UPDATE revisions SET changes = x'7b22ff' WHERE rev = ?", (made,))
    try:
        for method, below in (("GET", "config/revisions"), ("POST", "undo"), ("GET", "show/export")):
            answer = house.client.request(method, f"/api/v1/{below}")
            assert (answer.status_code, answer.json()["code"]) == (507, "controller.store"), below
            assert "malformed" in answer.json()["detail"]
            assert "start the show again" in answer.json()["mend"]
        (alarm,) = [one for one in house.get("alarms")["alarms"] if one["code"] == "controller.store"]
        assert alarm["severity"] == "critical"
        assert "malformed" in alarm["values"]["error"]
    finally:
        with sqlite3.connect(path, timeout=20) as db:
            db.execute("UPDATE revisions SET changes = ? WHERE rev = ?", (held, made))
    assert house.client.post("/api/v1/undo").status_code == 200
    house.eventually(lambda: "controller.store" not in {one["code"] for one in house.get("alarms")["alarms"]})
