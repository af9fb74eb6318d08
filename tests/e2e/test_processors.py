"""A whole run with one emulated LED processor: set, photographed, killed, changed behind the show's back, restored."""

from __future__ import annotations

import io
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from controller.processors.command import restore_in_run

CONTROL = """simulated: true
      control:
        driver: tessera
        address: emulated
        settings: {brightness_nits: 1500}"""


def brightness(client: httpx.Client) -> float:
    """Mean code of a photo."""
    answer = client.get("/api/v1/cameras/a/photo.png?width_px=320")
    assert answer.status_code == 200, answer.text
    return float(np.asarray(Image.open(io.BytesIO(answer.content)).convert("L"), dtype=np.float64).mean())


def test_a_processor_in_a_running_show(
    start: Callable[..., Any], config: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    run = start(str(config(("simulated: true", CONTROL))), "--simulate", "--port", "0")
    run.running("conductor", "node-main", "service")
    with httpx.Client(base_url=run.url, timeout=20, headers={"content-type": "application/json"}) as client:

        def led1() -> dict[str, Any]:
            view: dict[str, Any] = client.get("/api/v1/processors/led1").json()
            return view

        def alarms() -> list[dict[str, Any]]:
            told: list[dict[str, Any]] = client.get("/api/v1/alarms").json()["alarms"]
            return [alarm for alarm in told if alarm["code"].startswith("processor.")]

        run.until(lambda: led1()["link"] == "ready", "the processor answers")
        assert (led1()["emulated"], led1()["drift"], alarms()) == (True, {}, [])
        assert (led1()["signal"]["width_px"], led1()["signal"]["rate_hz"]) == (1408, 24.0)
        run.until(lambda: run.child("darkroom")["state"] == "running", "the darkroom")

        full = brightness(client)
        done = client.patch("/api/v1/processors/led1", json={"settings": {"brightness_nits": 300, "gamma": 77.0}})
        assert done.status_code == 200, done.text
        outcomes = {name: result["outcome"] for name, result in done.json()["results"].items()}
        assert outcomes == {"brightness_nits": "applied", "gamma": "refused"}
        assert led1()["settings"]["brightness_nits"] == 300
        dim = brightness(client)
        assert dim < 0.8 * full
        wrong = client.patch("/api/v1/processors/led1", json={"settings": {"brightnes": 1}})
        assert (wrong.status_code, wrong.json()["path"]) == (422, "processors/led1/settings/brightnes")

        frame, address = run.node().frame, led1()["address"]
        run.kill("processors")
        # It listens on another port by then.
        run.until(lambda: led1()["address"] != address and led1()["link"] == "ready", "it is back")
        assert led1()["settings"]["brightness_nits"] == led1()["desired"]["brightness_nits"] == 300
        assert alarms() == []
        assert run.node().frame > frame
        assert run.child("node-main")["restarts"] == run.child("conductor")["restarts"] == 0
        assert abs(brightness(client) - dim) < 0.1 * full

        # Somebody turns it up at the processor itself.
        with httpx.Client(base_url=f"http://{led1()['address']}") as other:
            assert other.put("/api/output/global-colour/brightness", json={"data": 900}).status_code == 200
        (drift,) = run.until(alarms, "drift is told")
        assert (drift["code"], drift["path"]) == ("processor.drift", "processors/led1/settings/brightness_nits")
        assert led1()["drift"] == {"brightness_nits": {"wanted": 300, "found": 900}}
        dry = client.post("/api/v1/processors/led1/restore?dry_run=true").json()["results"]
        assert {name: result["outcome"] for name, result in dry.items()} == {"brightness_nits": "planned"}
        every = client.post("/api/v1/processors/restore?dry_run=true").json()
        assert (every["good"], every["processors"]["led1"]["results"]["brightness_nits"]["found"]) == (False, 900)
        assert restore_in_run(run.dir.run, dry_run=True) == 1
        assert led1()["settings"]["brightness_nits"] == 900, "dry"
        assert restore_in_run(run.dir.run) == 0
        assert "brightness_nits 300: applied" in capsys.readouterr().out
        assert client.post("/api/v1/processors/restore").json()["good"] is True
        run.until(lambda: not alarms(), "drift is gone")

        # As it is now, somebody likes it better: the show wants it so from here on.
        with httpx.Client(base_url=f"http://{led1()['address']}") as other:
            assert other.put("/api/output/global-colour/gamma", json={"data": 2.0}).status_code == 200
        run.until(lambda: led1()["settings"]["gamma"] == 2.0, "it is read")
        kept = client.post("/api/v1/processors/led1/keep").json()["wishes"]
        assert (kept["gamma"], kept["brightness_nits"]) == (2.0, 300)
        run.until(lambda: led1()["desired"].get("gamma") == 2.0, "it is wanted so")
        assert led1()["drift"] == {}

        client.patch("/api/v1/processors/led1", json={"settings": {"blackout": True}})
        assert brightness(client) < 1.0
    assert run.end(signal.SIGTERM) == 0
