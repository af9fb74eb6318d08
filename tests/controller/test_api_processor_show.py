"""What the show holds of processors, over the API: wishes in its revisions, and the delay that is read of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from controller.processors.mode import Delay
from controller.processors.status import ProcessorsStatus, ProcessorStatus
from controller.status import KIND_STATUS, STATUS_CAPACITY
from runtime.ring import RingWriter

if TYPE_CHECKING:
    from tests.controller.conftest import RunningHouse

PATH = "/api/v1/processors/led1"


@pytest.fixture(scope="module")
def spoken(house: RunningHouse) -> RunningHouse:
    """Its processor is spoken to, as far as the configuration goes."""
    text = house.config_text
    model = next(line for line in text.splitlines() if line.strip().startswith("model: brompton"))
    indent = model[: len(model) - len(model.lstrip())]
    config = text.replace(model, f"{model}\n{indent}control: {{ driver: tessera, address: 127.0.0.1:9 }}")
    headers = {"content-type": "application/yaml", "if-match": house.client.get("/api/v1/config").headers["etag"]}
    answer = house.client.put("/api/v1/config", content=config, headers=headers)
    assert answer.status_code == 200, answer.text
    return house


def test_wishes_are_revisions_of_the_show(spoken: RunningHouse) -> None:
    answer = spoken.client.patch(PATH, json={"wishes": {"gamma": 2.2}})
    assert answer.status_code == 200, answer.text
    assert spoken.get("processors/led1")["desired"] == {"gamma": 2.2}
    for wishes in ({"gamma": "high"}, {"blackout": True}):
        assert spoken.client.patch(PATH, json={"wishes": wishes}).status_code == 422
    assert spoken.client.post("/api/v1/undo").status_code == 200
    assert spoken.get("processors/led1")["desired"] == {}


def test_the_delay_that_is_read_moves_the_light_at_a_frame(spoken: RunningHouse) -> None:
    run, clock = spoken.run, spoken.control.clock
    ring = RingWriter.create(run.processors_status, kind=KIND_STATUS, slots=4, capacity=STATUS_CAPACITY)

    def told(real: float) -> dict[str, Any]:
        led1 = ProcessorStatus("tessera", "", False, "ready", 0, delay=Delay(configured, real, ("read",)))
        status = ProcessorsStatus(clock.now_ns(), 1, "running", 1, {"led1": led1})
        ring.publish(msgspec.msgpack.encode(status), frame=0, t_ns=clock.now_ns())
        ring.heartbeat(clock.now_ns())
        found: dict[str, Any] = spoken.get("processors/led1")["delay"]
        return found

    configured = spoken.get("processors/led1")["delay"]["configured_frames"]
    (canvas,) = spoken.get("processors/led1")["canvases"][:1]
    before = spoken.get(f"canvases/{canvas}")["to_light_frames"]
    real = configured + 0.5
    spoken.eventually(lambda: told(real)["used_frames"] == real)
    assert spoken.get("processors/led1")["delay"]["why"] == ["read"]
    assert spoken.get(f"canvases/{canvas}")["to_light_frames"] != before
    spoken.eventually(lambda: told(configured)["used_frames"] == configured)
    assert spoken.get(f"canvases/{canvas}")["to_light_frames"] == before
    ring.close()
