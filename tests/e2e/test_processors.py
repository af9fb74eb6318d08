"""A whole run with one emulated LED processor: set, photographed, killed, changed behind the show's back, restored."""

from __future__ import annotations

import io
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

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


def test_a_processor_in_a_running_show(start: Callable[..., Any], config: Callable[..., Path]) -> None:
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
        # It listens on another port by then. (Alone it takes 1.5 s; the machine is shared.)
        run.until(lambda: led1()["address"] != address and led1()["link"] == "ready", "it is back", 6.0)
        assert led1()["settings"]["brightness_nits"] == led1()["desired"]["brightness_nits"] == 300
        assert alarms() == []
        assert run.node().frame > frame
        assert run.child("node-main")["restarts"] == run.child("conductor")["restarts"] == 0
        assert abs(brightness(client) - dim) < 0.1 * full

        # Somebody turns it up at the processor itself.
        with httpx.Client(base_url=f"http://{led1()['address']}") as other:
            assert other.put("/api/output/global-colour/brightness", json={"data": 900}).status_code == 200
        (drift,) = run.until(alarms, "drift is told", 6.0)
        assert (drift["code"], drift["path"]) == ("processor.drift", "processors/led1/settings/brightness_nits")
        assert led1()["drift"] == {"brightness_nits": {"wanted": 300, "found": 900}}
        dry = client.post("/api/v1/processors/led1/restore?dry_run=true").json()["results"]
        assert {name: result["outcome"] for name, result in dry.items()} == {"brightness_nits": "planned"}
        set_ = client.post("/api/v1/processors/led1/restore").json()["results"]
        assert {name: result["outcome"] for name, result in set_.items()} == {"brightness_nits": "applied"}
        run.until(lambda: not alarms(), "drift is gone", 3.0)

        client.patch("/api/v1/processors/led1", json={"settings": {"blackout": True}})
        assert brightness(client) < 1.0
    assert run.end(signal.SIGTERM) == 0
