"""The makers' own examples against the emulators: what a real processor answers, ours answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from controller.processors.colorlight import command
from controller.processors.emulators.coex import CoexEmulator
from controller.processors.emulators.colorlight import ColorlightEmulator
from controller.processors.emulators.helios import HeliosEmulator
from controller.processors.emulators.server import serving
from controller.processors.emulators.tessera import TesseraEmulator

RPC = "/api/v1/public/rpc/websocket"


def cases(reference: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (reference / "output" / name).read_text().splitlines()]


def holds(found: Any, wanted: Any) -> bool:
    """Whether `found` has at least what `wanted` has."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(key in found and holds(found[key], wanted[key]) for key in wanted)
    if isinstance(wanted, float) and isinstance(found, (int, float)):
        return abs(found - wanted) < 1e-6
    return bool(found == wanted)


def client_of(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://processor")


async def test_tessera(reference: Path) -> None:
    done = 0
    for case in cases(reference, "tessera/http_examples.jsonl"):
        emulator = TesseraEmulator()
        emulator.values.update(case.get("state", {}))
        emulator.values["override/blackout/enabled"] = False
        answer = await client_of(emulator.app).request(case["method"], case["path"], json=case.get("body"))
        if case["status"] is not None:
            assert answer.status_code == case["status"], case["id"]
        if "json" in case:
            assert answer.json() == case["json"], case["id"]
        if "json_has" in case:
            assert holds(answer.json(), case["json_has"]), case["id"]
        for name, keys in case.get("json_keys", {}).items():
            assert set(keys) <= set(answer.json()[name]), case["id"]
        for path, value in case.get("after", {}).items():
            assert emulator.values[path] == value, case["id"]
        done += 1
    assert done == 12


def test_tessera_has_every_endpoint(reference: Path) -> None:
    """The tree's leaves are the 372 of the maker's self-description, with their ranges."""
    import csv

    from controller.processors.emulators.tessera import tree_of_leaves

    leaves = tree_of_leaves()
    with (reference / "output/tessera/endpoints_3_5_2.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(leaves) == 372
    for row in rows:
        leaf = leaves[row["path"]]
        assert leaf.access == row["access"]
        assert leaf.choices == tuple(row["enum"].split("|")) if row["enum"] else not leaf.choices
        if row["min"] and not row["enum"]:
            assert (leaf.low, leaf.high) == (float(row["min"]), float(row["max"])), row["path"]
        if row["decimals"]:
            assert leaf.decimals == int(row["decimals"]), row["path"]


async def test_helios(reference: Path) -> None:
    done = 0
    for case in cases(reference, "helios/examples.jsonl"):
        emulator = HeliosEmulator()
        display = emulator.tree["dev"]["display"]
        for path, value in case.get("state", {}).items():
            display[path.rsplit(".", 1)[-1]] = value
        if "ws" in case:
            async with serving(emulator.app) as address, connect(f"ws://{address}{RPC}") as socket:
                await socket.send(json.dumps(case["ws"]))
                assert json.loads(await socket.recv()) == case["ws_reply"]
                await socket.send(json.dumps({"method": "set", "id": 1, "params": {"dev": {"display": {"cct": 4000}}}}))
                told, result = json.loads(await socket.recv()), json.loads(await socket.recv())
                assert told == {"jsonrpc": "2.0", "method": "update", "params": {"dev": {"display": {"cct": 4000}}}}
                assert result["result"] == told["params"]
        else:
            method, _, path = case["req"].partition(" ")
            headers = {} if case.get("headers") else {"content-type": "application/json"}
            content = json.dumps(case["body"]).encode() if "body" in case else None
            answer = await client_of(emulator.app).request(method, path, content=content, headers=headers)
            assert answer.status_code == case["status"], case["id"]
            if "json" in case:
                assert holds(answer.json(), case["json"]), (case["id"], answer.json())
            if "text" in case:
                assert answer.text == case["text"]
            assert set(case.get("json_keys", ())) <= set(answer.json() if "json_keys" in case else ())
            assert "X-RD-Uptime" in answer.headers
        done += 1
    assert done == 6


async def test_coex(reference: Path) -> None:
    done = 0
    for case in cases(reference, "coex/examples.jsonl"):
        emulator = CoexEmulator()
        emulator.brightness, emulator.mode = 0.8, 0
        if "locked" in case.get("note", ""):
            emulator.faults.on.add("locked")
        client = client_of(emulator.app)
        answer = await client.request(case["method"], case["path"], json=case.get("body"))
        assert answer.status_code == case["status"], case["id"]
        assert holds(answer.json(), case["json"]), (case["id"], answer.json())
        if "after" in case:
            data = (await client.get("/api/v1/screen/output/display/state")).json()["data"]
            assert holds(data, case["after"])
        done += 1
    assert done == 6


def test_colorlight(reference: Path) -> None:
    for case in json.loads((reference / "output/colorlight/frames.json").read_text()):
        family = case["proto"].lower()
        device = None if case["device"] == "all" else case["device"]
        data = command(family, "brightness_percent", case["percent"], device=device)
        assert data.hex() == case["hex"]
        emulator = ColorlightEmulator(family=family, device=1)
        assert emulator.take(data) == b""
        assert emulator.brightness == pytest.approx(case["percent"] / 100.0)
