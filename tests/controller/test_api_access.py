"""Users over HTTP: the first one, coming in and going, roles that hold below the path, keys, OSC with a role."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from controller import cli
from controller.access.secrets import new_code
from controller.api.routes import live
from controller.client import ApiError, Client

if TYPE_CHECKING:
    from tests.controller.conftest import RunningHouse

PASSWORD = "a long enough password"


@pytest.fixture(scope="module")
def boss(house: RunningHouse) -> Iterator[httpx.Client]:
    """The first administrator, made as a person would."""
    store = house.control.doorman.store
    assert store is not None
    anonymous = house.client.get("/api/v1/session").json()
    assert anonymous["role"] == "admin"
    assert not anonymous["set_up"]
    code = new_code()
    store.keep_code(code)
    with httpx.Client(base_url=house.url, timeout=20) as client:
        body = {"code": new_code(), "name": "boss", "password": PASSWORD}
        assert client.post("/api/v1/setup", json=body).status_code == 403
        short = client.post("/api/v1/setup", json={**body, "code": code, "password": "short"})
        assert short.status_code == 422
        assert (short.json()["path"], short.json()["mend"]) == ("password", "a password has 10 to 256 characters")
        missing = client.post("/api/v1/setup", json={"code": code, "name": "boss"})
        assert (missing.json()["path"], missing.status_code) == ("password", 422)
        answer = client.post("/api/v1/setup", json={**body, "code": code.lower()})
        assert answer.status_code == 200, answer.text
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert client.post("/api/v1/setup", json={**body, "code": code}).status_code == 403, "once"
        yield client


@contextmanager
def login(house: RunningHouse, name: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=house.url, timeout=20) as client:
        answer = client.post("/api/v1/session", json={"name": name, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        yield client


def make(boss: httpx.Client, name: str, role: str) -> None:
    answer = boss.put(f"/api/v1/users/{name}", json={"role": role, "password": PASSWORD})
    assert answer.status_code == 200, answer.text


def test_once_there_is_an_admin_nobody_writes_unknown(house: RunningHouse, boss: httpx.Client) -> None:
    assert house.client.get("/api/v1/show").status_code == 200, "who is on this machine may look"
    answer = house.client.patch("/api/v1/show", json={"exposure_ev": 1.0})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["mend"]
    answer = boss.patch("/api/v1/show", json={"exposure_ev": 0.5})
    assert answer.status_code == 200
    newest = boss.get("/api/v1/config/revisions?limit=1").json()["revisions"][0]
    assert newest["who"] == "boss"


def test_a_director_changes_the_picture_and_nothing_else(house: RunningHouse, boss: httpx.Client) -> None:
    make(boss, "dora", "director")
    with login(house, "dora") as dora:
        session = dora.get("/api/v1/session").json()
        assert (session["user"], session["role"], session["scopes"]) == ("dora", "director", ["look", "read"])
        assert dora.patch("/api/v1/show", json={"exposure_ev": 0.75}).status_code == 200
        answer = dora.patch("/api/v1/show", json={"outer_mode": "frozen"})
        assert answer.status_code == 403, "the path is hers, the address is not"
        assert answer.json()["code"] == "controller.not_allowed"
        for hers_and_not in ({"rank": 2}, {"frame_lines": {"scope": True}, "rank": 2}):
            assert dora.patch("/api/v1/cameras/a", json=hers_and_not).status_code == 403
        assert dora.patch("/api/v1/cameras/a", json={"frame_lines": {"scope": True}}).status_code == 404, (
            "there is none"
        )
        below = dora.patch("/api/v1/scenes/grey/background", json={"red": 1})
        assert below.status_code in (404, 422), "a scene's values are hers by their own path, too"
        assert dora.post("/api/v1/scenes/grey/compile").status_code == 403
        boss.patch("/api/v1/cameras/a", json={"soft_edge_deg": 2.0})
        assert dora.post("/api/v1/undo").status_code == 403, "the newest change is none that she may make"
        assert dora.post("/api/v1/undo", json={"prefix": "exposure_ev"}).status_code == 200
        assert dora.post("/api/v1/redo", json={"prefix": "exposure_ev"}).status_code == 200
        assert boss.post("/api/v1/undo", json={"prefix": "cameras/a"}).status_code == 200
        assert dora.get("/api/v1/users").status_code == 403
        assert dora.delete("/api/v1/session").status_code == 200
        assert dora.patch("/api/v1/show", json={"exposure_ev": 0.1}).status_code == 401


def test_an_operator_runs_the_show_and_keeps_no_users(house: RunningHouse, boss: httpx.Client) -> None:
    make(boss, "otto", "operator")
    with login(house, "otto") as otto:
        assert otto.patch("/api/v1/cameras/a", json={"rank": 1}).status_code == 200
        assert otto.post("/api/v1/undo", json={"prefix": "cameras/a"}).status_code == 200
        assert otto.put("/api/v1/users/otto", json={"role": "admin"}).status_code == 403
        boss.put("/api/v1/users/otto", json={"role": "viewer"})
        assert otto.patch("/api/v1/cameras/a", json={"rank": 1}).status_code == 403, "at once"
        boss.delete("/api/v1/users/otto")
        assert otto.get("/api/v1/show").status_code == 401


def test_wrong_passwords_are_told_alike(house: RunningHouse, boss: httpx.Client) -> None:
    make(boss, "vera", "viewer")
    with httpx.Client(base_url=house.url, timeout=20) as client:
        told: list[Any] = []
        for name in ("vera", "nobody"):
            answer = client.post("/api/v1/session", json={"name": name, "password": "not it, surely"})
            assert answer.status_code == 401
            told.append(answer.json()["detail"])
        assert told[0] == told[1]


def test_a_key_is_told_once_and_works_for_programs(house: RunningHouse, boss: httpx.Client) -> None:
    answer = boss.put("/api/v1/keys/desk-2", json={"role": "operator", "days": 1})
    assert answer.status_code == 200, answer.text
    made = answer.json()
    assert made["key"].startswith("ov_")
    assert made["made_by"] == "boss"
    listed = boss.get("/api/v1/keys").json()["keys"]
    assert [key["name"] for key in listed] == ["desk-2"]
    assert listed[0].get("key") is None
    assert boss.put("/api/v1/keys/desk-2", json={"role": "operator"}).status_code == 422, "names are used once"

    async def work(key: str) -> int:
        async with Client(house.url, key=key) as show:
            outcome = await show.set("cameras/a", soft_edge_deg=1.25)
            events = show.events("camera")
            async for event in events:
                assert event.type
                break
            await events.aclose()  # type: ignore[attr-defined]  # an async generator
            return outcome.rev

    assert asyncio.run(work(made["key"])) > 0
    assert boss.delete("/api/v1/keys/desk-2").status_code == 200
    with pytest.raises(ApiError) as refused:
        asyncio.run(work(made["key"]))
    assert refused.value.status == 401


def test_our_own_commands_are_let_in(house: RunningHouse, boss: httpx.Client) -> None:
    key = house.control.doorman.local_key
    answer = httpx.patch(
        f"{house.url}/api/v1/show", json={"exposure_ev": 0.0}, headers={"authorization": f"Bearer {key}"}
    )
    assert answer.status_code == 200
    assert boss.get("/api/v1/config/revisions?limit=1").json()["revisions"][0]["who"] == "here"


def test_during_a_take_only_the_short_list_acts(house: RunningHouse, boss: httpx.Client) -> None:
    make(boss, "olga", "operator")
    with login(house, "olga") as olga:
        rolling = olga.put("/api/v1/lock", json={"state": "rolling", "take": "12A/3"})
        assert rolling.status_code == 200, rolling.text
        assert boss.get("/api/v1/show").json()["take"] == "12A/3"
        for answer in (
            olga.patch("/api/v1/cameras/a", json={"rank": 3}),
            boss.patch("/api/v1/show", json={"exposure_ev": 1.0}),
            boss.post("/api/v1/undo"),
            boss.put("/api/v1/config", json={}, headers={"if-match": "*"}),
            boss.patch("/api/v1/processors/p1", json={}),
        ):
            assert answer.status_code == 423, answer.text
            assert "olga" in answer.json()["detail"]
            assert "12A/3" in answer.json()["detail"]
        assert boss.post("/api/v1/actions/hold").status_code == 200
        assert boss.post("/api/v1/actions/none").status_code == 200
        assert boss.put("/api/v1/lock", json={"state": "open"}).status_code == 422
        broken = boss.put("/api/v1/lock", json={"state": "open", "reason": "wall 2 flickers"})
        assert broken.json()["reason"] == "wall 2 flickers"
        newest = boss.get("/api/v1/config/revisions?limit=1").json()["revisions"][0]
        assert newest["who"] == "boss"
        assert newest["changes"]["lock"]["before"]["holder"] == "olga"
        assert newest["changes"]["lock"]["after"]["reason"] == "wall 2 flickers"
        assert boss.patch("/api/v1/cameras/a", json={"rank": 3}).status_code == 200
        undone = boss.post("/api/v1/undo").json()
        assert "cameras/a/rank" in undone["changes"]
        boss.post("/api/v1/undo")
        assert boss.get("/api/v1/lock").json()["state"] == "open", "undo does not roll a take again"


def test_the_audit_log_tells_who_did_what(house: RunningHouse, boss: httpx.Client) -> None:
    make(boss, "ada", "operator")
    with login(house, "ada") as ada:
        assert ada.get("/api/v1/audit").status_code == 403
        assert ada.patch("/api/v1/cameras/a", json={"delay_ms": 4.0}).status_code == 200
        assert ada.put("/api/v1/users/ada", json={"role": "admin"}).status_code == 403
        ada.put("/api/v1/lock", json={"state": "rolling", "take": "9"})
        assert ada.patch("/api/v1/cameras/a", json={"delay_ms": 5.0}).status_code == 423
        ada.put("/api/v1/lock", json={"state": "open"})
    boss.post("/api/v1/actions/black")
    boss.post("/api/v1/actions/none")

    def told() -> list[tuple[str, str, str, object, object]]:
        entries = boss.get("/api/v1/audit").json()["entries"]
        return [(e["who"], e["what"], e["path"], e["before"], e["after"]) for e in entries]

    wanted = {("boss", "action", "action"), ("ada", "refused", "/api/v1/users/ada"), ("ada", "lock", "lock"),
              ("ada", "refused", "/api/v1/cameras/a"), ("ada", "session", "users/ada")}  # fmt: skip
    for _ in range(100):
        if wanted <= {entry[:3] for entry in told()}:
            break
    entries = told()
    assert wanted <= {entry[:3] for entry in entries}
    assert ("ada", "change", "cameras/a/delay_ms", 0.0, 4.0) in entries
    assert boss.get("/api/v1/audit?take=9").json()["entries"], "what was tried in the take"
    check = boss.get("/api/v1/audit/check").json()
    assert check == {"whole": True, "faults": []}
    everything = boss.get("/api/v1/audit?limit=1000").text
    assert PASSWORD not in everything


def test_commands_ask_a_show_elsewhere_with_a_key(
    house: RunningHouse, boss: httpx.Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def shell() -> tuple[int, str]:
        with pytest.raises(SystemExit) as left:
            cli.main(["scene", "hall", "--run", house.url])
        out, err = capsys.readouterr()
        return int(left.value.code or 0), out + err

    for wrong in ("", "ov_nobody"):
        monkeypatch.setenv("OPENVOLUME_KEY", wrong)
        code, said = shell()
        assert code == 2
        assert said.startswith("controller.unauthorized OPENVOLUME_KEY: ")
        assert "openvolume access key NAME" in said
    monkeypatch.setenv("OPENVOLUME_KEY", boss.put("/api/v1/keys/look", json={"role": "viewer"}).json()["key"])
    code, said = shell()
    assert (code, "key look is viewer; this needs a director" in said) == (2, True)
    monkeypatch.setenv("OPENVOLUME_KEY", boss.put("/api/v1/keys/steer", json={"role": "director"}).json()["key"])
    code, said = shell()
    assert (code, said.startswith("hall: revision")) == (0, True)
    for name in ("look", "steer"):
        boss.delete(f"/api/v1/keys/{name}")


def to_the_end(listener: Connection) -> None:
    while True:
        listener.recv(timeout=20)


def test_who_listens_is_cut_off_with_their_key_or_session(
    house: RunningHouse, boss: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gate looks once, when a connection comes; keys are taken away, passwords change while it stays."""
    monkeypatch.setattr(live, "ADMITTED_S", 0.1)
    make(boss, "ivy", "operator")
    made = boss.put("/api/v1/keys/ear", json={"role": "viewer"}).json()["key"]
    base = f"ws://127.0.0.1:{house.service.port}/api/v1"
    with login(house, "ivy") as ivy:
        session = {"cookie": f"ov_session={ivy.cookies['ov_session']}"}
        key, other = {"authorization": f"Bearer {made}"}, {"cookie": f"ov_session={boss.cookies['ov_session']}"}
        with (
            connect(f"{base}/events?topics=show", additional_headers=session) as hers,
            connect(f"{base}/events?topics=show", additional_headers=key) as ear,
            connect(f"{base}/previews?of=canvases/main", additional_headers=key) as eye,
            connect(f"{base}/events?topics=show", additional_headers=other) as his,
        ):
            for listener in (hers, ear, his):
                assert '"snapshot"' in str(listener.recv(timeout=20))[:200]
            boss.delete("/api/v1/keys/ear").raise_for_status()
            boss.put("/api/v1/users/ivy", json={"password": PASSWORD + "!"}).raise_for_status()
            for listener in (hers, ear, eye):
                with pytest.raises(ConnectionClosed) as closed:
                    to_the_end(listener)
                assert closed.value.rcvd is not None
                assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, live.UNWELCOME_WORDS)
            # Whoever is still let in hears on.
            assert boss.patch("/api/v1/show", json={"exposure_ev": 0.25}).status_code == 200
            while '"exposure_ev":0.25' not in str(his.recv(timeout=20)):
                pass
            assert boss.post("/api/v1/undo").status_code == 200
    boss.delete("/api/v1/users/ivy")
