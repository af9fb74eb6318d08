"""AsyncAPI tells what goes over the WebSockets: the committed file is current, and real messages are as it says."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from jsonschema import Draft202012Validator
from PIL import Image
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from controller.api import video
from controller.api.app import create_app
from controller.api.asyncapi import document
from controller.api.event_types import EVENT_TYPES, TOPICS
from controller.api.events import Hub
from controller.api.video import HEADER_BYTES, Encoder, NoVideo, header
from stage.rate import RATES
from stage.timecode import timecode_at

if TYPE_CHECKING:
    from tests.controller.conftest import RunningHouse

OPENAPI = create_app(version="0").openapi()
DOCUMENT = document("0")
REGISTRY = Registry().with_resource("openapi.json", Resource.from_contents(OPENAPI, default_specification=DRAFT202012))


def validator(message: str) -> Draft202012Validator:
    payload = DOCUMENT["components"]["messages"][message]["payload"]
    return Draft202012Validator({"$id": "asyncapi.json", **payload}, registry=REGISTRY)


def check(message: dict[str, Any]) -> None:
    errors = list(validator(message["type"]).iter_errors(message))
    assert not errors, errors[0]


def url(house: RunningHouse, path: str) -> str:
    return f"ws://127.0.0.1:{house.service.port}/api/v1/{path}"


def receive(client: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(client.recv(timeout=40))
    return message


def test_the_committed_document_is_current(root: Path) -> None:
    committed = json.loads((root / "docs/asyncapi.json").read_text())
    assert committed == document(committed["info"]["version"]), (
        "docs/asyncapi.json is not current: python -m controller.api.asyncapi > docs/asyncapi.json"
    )


def test_every_reference_leads_somewhere() -> None:
    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [ref for inner in value.values() for ref in references(inner)]
        return [ref for inner in value for ref in references(inner)] if isinstance(value, list) else []

    found = references(DOCUMENT)
    assert len(found) > 30
    for reference in found:
        file, _, path = reference.partition("#/")
        place: Any = OPENAPI if file else DOCUMENT
        for step in path.split("/"):
            place = place[step]


def test_it_is_served_beside_the_types(house: RunningHouse) -> None:
    served = house.get("asyncapi.json")
    assert served["channels"].keys() == DOCUMENT["channels"].keys()


def test_a_snapshot_and_changes_are_as_they_are_told(house: RunningHouse) -> None:
    with connect(url(house, "events"), max_queue=None) as client:
        first = receive(client)
        check(first)
        patterns = DOCUMENT["components"]["messages"]["snapshot"]["payload"]["properties"]["data"]["patternProperties"]
        named = {kind.key.partition("/")[0] for kind in EVENT_TYPES.values()}
        assert {key.partition("/")[0] for key in first["data"]} <= named
        assert len(patterns) == len(TOPICS)
        house.client.patch("/api/v1/cameras/a", json={"rank": 4})
        seen = set[str]()
        while not {"camera", "change", "frames", "show"} <= seen:
            message = receive(client)
            check(message)
            seen.add(message["type"])
        house.client.post("/api/v1/undo")


def test_a_wrong_message_is_found() -> None:
    good = {"v": 1, "seq": 1, "t_ns": 1, "type": "alarms", "rev": 0, "data": {"alarms": []}}
    assert not list(validator("alarms").iter_errors(good))
    for wrong in ({"v": 2}, {"data": {}}, {"type": "alarm"}, {"seq": "1"}):
        assert list(validator("alarms").iter_errors({**good, **wrong})), wrong


def test_what_is_gone_is_told_and_a_lapse_needs_a_snapshot() -> None:
    hub = Hub(lambda: 5_000_000, lambda topics: (1, {}))
    hub.publish("position", "positions/near", 1, {})
    hub.gone("position", "positions/near")
    (change,) = hub._changes.values()
    message = json.loads(change.text)
    check(message)
    assert (message["type"], message["data"]["id"], message["data"]["key"]) == ("gone", "near", "positions/near")
    assert hub._forgotten_seq <= hub.seq
    hub.lapse()
    assert hub._forgotten_seq > hub.seq, "whoever was there before has missed something"


def test_positions_that_go_with_a_configuration_are_told(house: RunningHouse) -> None:
    with connect(url(house, "events?topics=position"), max_queue=None) as client:
        assert "positions/far" in receive(client)["data"]
        config = house.get("config")
        text = (
            config["text"].replace("  far: {label: Far, y_m: 40.0, pan_deg: 90.0}\n", "").replace("position: far", "")
        )
        headers = {"content-type": "application/yaml", "if-match": f'"{config["rev"]}"'}
        answer = house.client.put("/api/v1/config", content=text, headers=headers)
        assert answer.status_code == 200, answer.text
        while (message := receive(client))["type"] != "gone":
            check(message)
        assert message["data"]["key"] == "positions/far"
        house.client.post("/api/v1/undo")
        while receive(client)["data"].get("id") != "far":
            pass


# --- pictures ---------------------------------------------------------------------------------------------------


def picture(width: int, height: int, moved: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Soft waves of three colours, moved a little from picture to picture."""
    y, x = np.mgrid[:height, :width].astype(float)
    waves = [np.sin((x + 3 * moved) / 37), np.cos(y / 23 + x / 90), np.sin((x - y + moved) / 51)]
    return (128 + 90 * np.stack(waves, axis=-1)).astype(np.uint8)


def psnr_db(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    return float(10 * np.log10(255.0**2 / np.mean((a.astype(float) - b) ** 2)))


def test_h264_decodes_to_the_pictures_it_was_made_of() -> None:
    av = pytest.importorskip("av")
    encoder, decoder = Encoder(320, 180, rate=RATES["23.976"]), av.CodecContext.create("h264", "r")
    sizes = []
    for n in range(12):
        rgb = picture(320, 180, n)
        coded = encoder.encode(rgb, key=n == 8)
        assert coded.key == (n in (0, 8))
        (frame,) = decoder.decode(av.Packet(coded.data))
        shown = frame.reformat(format="rgb24", src_colorspace="ITU709", dst_colorspace="ITU709").to_ndarray()
        assert psnr_db(shown, rgb) > 33.0, "no picture waits inside, and each is the one that was asked for"
        assert psnr_db(shown, picture(320, 180, n + 4)) < 30.0
        sizes.append(len(coded.data))
    assert (coded.format.width_px, coded.format.height_px, coded.format.format) == (320, 180, "annexb")
    assert coded.format.codec.startswith("avc1.42"), "baseline: every browser has it"
    assert max(sizes[1:8]) < sizes[0]


def test_without_a_codec_it_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("av")
    monkeypatch.setattr(video, "ENCODERS", ("none_such",))
    with pytest.raises(NoVideo, match="none_such"):
        Encoder(320, 180, rate=RATES["24"])


def test_the_header_tells_frame_and_time_code() -> None:
    for name in ("24", "29.97", "59.94", "120"):
        rate = RATES[name]
        for frame in (0, 1, 1798, 1800, 107_892, 1_000_000):
            newest = frame + 5
            head = header(frame, newest, timecode_at(rate, newest + 77), rate, key=False)
            assert len(head) == HEADER_BYTES
            hours, minutes, seconds, frames, flags = head[8:13]
            mark = ";" if flags & 2 else ":"
            digits = 3 if name == "120" else 2
            told = f"{hours:02d}:{minutes:02d}:{seconds:02d}{mark}{frames:0{digits}d}"
            assert (int.from_bytes(head[:8], "little"), told) == (frame, timecode_at(rate, frame + 77))
            assert not flags & 1


def test_previews_as_h264_are_pulled(house: RunningHouse) -> None:
    av = pytest.importorskip("av")
    decoder = av.CodecContext.create("h264", "r")
    with connect(url(house, "previews?of=canvases/main&width_px=64&codec=h264")) as client:
        with pytest.raises(TimeoutError):
            client.recv(timeout=0.2)
        frames = []
        for n in range(4):
            client.send("key" if n == 2 else "next")
            told = client.recv(timeout=20)
            if n == 0:
                form = json.loads(told)
                assert (
                    list(Draft202012Validator(OPENAPI["components"]["schemas"]["VideoFormat"]).iter_errors(form)) == []
                )
                told = client.recv(timeout=20)
            assert isinstance(told, bytes)
            assert bool(told[12] & 1) == (n in (0, 2))
            frames.append(int.from_bytes(told[:8], "little"))
            (shown,) = decoder.decode(av.Packet(told[HEADER_BYTES:]))
            assert (shown.width, shown.height) == (form["width_px"], form["height_px"])
        assert frames == sorted(set(frames))
        assert house.control.videos == 1
    house.eventually(lambda: (house.control.previews, house.control.videos) == (0, 0))


def test_jpeg_previews_may_tell_time_code(house: RunningHouse) -> None:
    with connect(url(house, "previews?of=canvases/main&width_px=64&header=timecode")) as client:
        client.send("next")
        data = client.recv(timeout=40)
        assert isinstance(data, bytes)
        assert Image.open(io.BytesIO(data[HEADER_BYTES:])).width <= 64
        plan = house.control.backend.plan
        assert plan is not None
        assert data[8] == int(plan.timecode[:2])


def test_a_listener_hears_why_there_is_no_h264(house: RunningHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("av")
    monkeypatch.setattr(video, "ENCODERS", ("none_such",))
    with connect(url(house, "previews?of=canvases/main&codec=h264&width_px=66")) as client:
        client.send("next")
        with pytest.raises(ConnectionClosed) as error:
            client.recv(timeout=40)
        assert error.value.rcvd is not None
        assert "codec=jpeg" in error.value.rcvd.reason
    house.eventually(lambda: (house.control.previews, house.control.videos) == (0, 0))


def test_the_format_is_a_struct_of_the_api() -> None:
    assert msgspec.json.schema(video.VideoFormat)["$defs"]["VideoFormat"]["required"] == [
        "codec", "format", "width_px", "height_px", "encoder",
    ]  # fmt: skip
