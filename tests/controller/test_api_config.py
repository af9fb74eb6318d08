"""The configuration over HTTP: read, checked, replaced whole, rolled back, and refused with its line and mend."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import httpx
import pytest

from controller.config import load_config

if TYPE_CHECKING:
    from tests.controller.conftest import RunningHouse


@pytest.fixture(autouse=True)
def in_order(house: RunningHouse) -> Iterator[None]:
    """Every test finds the show as it began."""
    rev = house.control.desk.rev
    yield
    if house.control.desk.rev != rev:
        house.wait(house.control.desk.roll_back(rev))


def test_the_configuration_is_read_as_yaml_or_as_data(house: RunningHouse) -> None:
    answer = house.client.get("/api/v1/config", headers={"accept": "application/yaml"})
    assert answer.headers["content-type"] == "application/yaml"
    assert answer.text == house.config_text
    document = house.get("config")
    assert document["text"] == answer.text
    assert document["config"]["stage"]["walls"]["main"]["columns"] == 8


def put_config(
    house: RunningHouse, text: str, *, rev: str | None = None, kind: str = "application/yaml"
) -> httpx.Response:
    headers = {"content-type": kind}
    if rev is not None:
        headers["if-match"] = rev
    return house.client.put("/api/v1/config", content=text, headers=headers)


def test_a_configuration_is_replaced_whole_and_rolled_back(house: RunningHouse) -> None:
    etag = house.client.get("/api/v1/config").headers["etag"]
    first_rev = house.get("show")["rev"]
    text = house.config_text.replace("focal_length_mm: 35.0", "focal_length_mm: 50.0")
    document = house.problem_of(put_config(house, text), 428)
    assert etag in document["mend"]
    answer = put_config(house, text, rev=etag)
    assert answer.status_code == 200, answer.text
    frame = answer.json()["frame"]
    house.eventually(lambda: (p := house.control.backend.plan) is not None and p.frame >= frame)
    assert house.get("cameras/a")["lens"]["focal_length_mm"] == 50.0
    assert house.problem_of(put_config(house, text, rev=etag), 412)["code"] == "controller.stale"
    revisions = house.get("config/revisions")["revisions"]
    assert revisions[0]["kind"] == "config"
    assert revisions[0]["who"].startswith("http 127.0.0.1")
    restore = f"/api/v1/config/revisions/{first_rev}/restore"
    house.problem_of(house.client.post(restore), 428)
    now = house.client.get("/api/v1/show").headers["etag"]
    answer = house.client.post(restore, headers={"if-match": now})
    assert answer.status_code == 200, answer.text
    house.eventually(lambda: house.get("cameras/a")["lens"]["focal_length_mm"] == 35.0)
    house.problem_of(house.client.post("/api/v1/config/revisions/99999/restore", headers={"if-match": "*"}), 404)


def test_a_configuration_as_json_data_is_taken_too(house: RunningHouse) -> None:
    data = house.get("config")["config"]
    data["cameras"]["a"]["lens"]["focal_length_mm"] = 40.0
    etag = house.client.get("/api/v1/config").headers["etag"]
    answer = put_config(house, json.dumps(data), rev=etag, kind="application/json")
    assert answer.status_code == 200, answer.text
    house.eventually(lambda: house.get("cameras/a")["lens"]["focal_length_mm"] == 40.0)


@pytest.mark.parametrize(
    ("old", "new", "code", "line"),
    [
        ("columns: 8", "columns: many", "stage.wrong_type", True),
        ("columns: 8", "colums: 8", "stage.unknown_key", True),
        ("focal_length_mm: 35.0", "focal_length_mm: .nan", "stage.not_finite", True),
        ("rate: 60", "rate: 17", "stage.bad_value", True),
        ("openvolume: 1", "openvolume: [1", "stage.yaml_syntax", True),
    ],
)
def test_a_bad_configuration_names_line_value_and_mend(
    house: RunningHouse, old: str, new: str, code: str, line: bool
) -> None:
    text = house.config_text
    assert old in text
    etag = house.client.get("/api/v1/config").headers["etag"]
    document = house.problem_of(put_config(house, text.replace(old, new), rev=etag), 422)
    faults = document["problems"] or [document]
    assert code in [fault["code"] for fault in faults]
    assert all((fault["line"] is not None) is line for fault in faults if fault["code"] == code)
    assert house.client.get("/api/v1/config").headers["etag"] == etag


def test_a_configuration_can_be_checked_without_running_it(house: RunningHouse) -> None:
    rev = house.get("show")["rev"]
    headers = {"content-type": "application/yaml"}
    text = load_config("minimal").source
    answer = house.client.post("/api/v1/config/check", content=text, headers=headers)
    house.check(answer.json(), {"$ref": "#/components/schemas/CheckView"})
    assert answer.json()["walls"] == 1
    house.problem_of(house.client.post("/api/v1/config/check", content="a: b", headers=headers), 422)
    house.problem_of(
        house.client.post("/api/v1/config/check", content=text, headers={"content-type": "text/html"}), 415
    )
    assert house.get("show")["rev"] == rev
