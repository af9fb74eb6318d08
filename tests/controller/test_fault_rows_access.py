"""Rows A1 to A7 of the fault matrix: which tests hold them, and those that had none.

A1 clients that never read     test_service_crowd.py, test_api_live.py
A2 flood, bodies, connections  test_service_crowd.py, test_limits.py
A3 fuzz, roles                 test_api_fuzz.py, access/test_doorman.py
A4 a port in use               test_run.py, tests/e2e/test_run.py
A5 two operators edit          here
A6 tokens, origin, paths       here, access/test_doorman.py, test_guard.py, test_show_file.py, tests/renderer
A7 forbidden in a take         test_lock_routes.py, test_api_access.py
"""

from __future__ import annotations

import http.client
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from tests.controller.conftest import RunningHouse


def test_a5_two_operators_edit_the_configuration(house: RunningHouse) -> None:
    """One is answered 200, the other 412; the log tells of both."""
    found = house.get("config")
    headers = {"content-type": "application/yaml", "if-match": f'"{found["rev"]}"'}

    def put(shutter: str) -> int:
        text = found["text"].replace("shutter_deg: 180.0", f"shutter_deg: {shutter}")
        with httpx.Client(base_url=house.url, timeout=30) as client:
            return client.put("/api/v1/config", content=text.encode(), headers=headers).status_code

    before = house.get("audit?limit=1")["entries"]
    newest = before[0]["id"] if before else 0
    with ThreadPoolExecutor(2) as both:
        assert sorted(both.map(put, ("90.0", "45.0"))) == [200, 412]
    assert house.get("cameras/a")["shutter_deg"] in (90.0, 45.0)

    def told() -> set[str]:
        return {entry["what"] for entry in house.get("audit?limit=20")["entries"] if entry["id"] > newest}

    house.eventually(lambda: {"config", "refused"} <= told())
    house.client.post("/api/v1/undo").raise_for_status()
    assert house.get("cameras/a")["shutter_deg"] == 180.0


@pytest.mark.parametrize(
    "path",
    [
        "/console/../../../../etc/passwd",
        "/console/..%2f..%2f..%2fetc%2fpasswd",
        "/console/%2e%2e/%2e%2e/pyproject.toml",
        "/console//etc/passwd",
        "/api/v1/../../etc/passwd",
        "/api/v1/canvases/..%2f..%2fetc%2fpasswd.png",
        "/api/v1/cameras/..%5c..%5cx/photo.jpg",
        "/api/v1/library/..%2f..%2fetc%2fpasswd/thumbnail.jpg",
        "/api/v1/scenes/..%2f..%2f/thumbnail.jpg",
        "/api/v1/streams/..%2f..%2fetc/sdp",
        "/api/v1/show/backups/..%2fshow.db",
        "/console/%00",
        "/ca.pem/../ca.key",
    ],
)
def test_a6_no_path_leads_outside(house: RunningHouse, path: str) -> None:
    """As it is sent: clients would tidy it up."""
    connection = http.client.HTTPConnection("127.0.0.1", house.service.port, timeout=20)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    assert answer.status in (400, 404, 405, 503), (answer.status, body[:200])
    assert answer.headers["content-type"] == "application/problem+json"
    assert b"root:" not in body
    assert b"[project]" not in body


def test_a6_a_page_of_another_site_changes_nothing_and_hears_nothing(house: RunningHouse) -> None:
    for origin in ("https://example.org", "null", f"{house.url}.example.org"):
        answer = house.client.patch("/api/v1/show", json={"exposure_ev": 4.0}, headers={"origin": origin})
        assert answer.status_code == 403
    # A name that was made to point here is none of ours.
    assert house.client.get("/api/v1/show", headers={"host": "rebound.example.org"}).status_code == 403
    assert house.get("show")["exposure_ev"] == 0.0
