"""The HTTP API: resources, changes, preconditions, problem documents; the real app over a running house."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from controller.action import read_action
from controller.alarm_codes import CODES
from controller.api.app import create_app
from controller.metronome import KIND_NOTES
from controller.recorder import Recorder
from runtime.clock import SystemClock
from runtime.ring import RingWriter
from stage.errors import Problem

if TYPE_CHECKING:
    from tests.controller.conftest import RunningHouse

DOCUMENT = create_app(version="0").openapi()


@pytest.fixture(autouse=True)
def in_order(house: RunningHouse) -> Iterator[None]:
    """Every test finds the show as it began."""
    rev = house.control.desk.rev
    yield
    if read_action(house.run.action_word).action != "none":
        house.client.post("/api/v1/actions/none")
    if house.control.desk.rev != rev:
        while house.client.post("/api/v1/undo").status_code == 200:
            pass


def schema_of(path: str, method: str = "get") -> dict[str, Any]:
    schema: dict[str, Any] = DOCUMENT["paths"][path][method]["responses"]["200"]["content"]["application/json"][
        "schema"
    ]
    return schema


# --- reading ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["stage", "walls/main", "cameras/none", "scenes", "patterns/inner_grid", "walls/none", "frames/x", "nothing",
     "canvases/none", "canvases/none.png"],
)  # fmt: skip
def test_the_short_way_answers_as_the_long_one(house: RunningHouse, path: str) -> None:
    short, long = house.client.get(f"/api/v1/{path}"), house.client.get(f"/api/v1/{path}?long")
    assert (short.status_code, short.content) == (long.status_code, long.content)
    assert dict(short.headers) | {"date": ""} == dict(long.headers) | {"date": ""}


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("health", None),
        ("stage", None),
        ("walls", None),
        ("walls/main", "walls/{wall}"),
        ("canvases", None),
        ("canvases/main", "canvases/{canvas}"),
        ("processors", None),
        ("processors/led1", "processors/{processor}"),
        ("cameras", None),
        ("cameras/a", "cameras/{camera}"),
        ("sources", None),
        ("sources/tracker", "sources/{source}"),
        ("scenes", None),
        ("scenes/hall", "scenes/{scene}"),
        ("positions", None),
        ("positions/far", "positions/{position}"),
        ("patterns", None),
        ("patterns/inner_grid", "patterns/{pattern}"),
        ("show", None),
        ("action", None),
        ("addresses", None),
        ("nodes", None),
        ("nodes/n0", "nodes/{node}"),
        ("frames", None),
        ("frames/latest?count=5", "frames/latest"),
        ("frames/statistics?window=50", "frames/statistics"),
        ("alarms", None),
        ("config", None),
        ("config/revisions", None),
    ],
)
def test_every_resource_answers_as_its_schema_says(house: RunningHouse, path: str, template: str | None) -> None:
    answer = house.client.get(f"/api/v1/{path}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    house.check(answer.json(), schema_of(f"/api/v1/{template or path}"))


def test_every_documented_resource_is_tested_here_or_beside() -> None:
    """A resource without a test is not a resource."""
    text = "".join(path.read_text() for path in Path(__file__).parent.rglob("test_*api*.py"))
    for path in DOCUMENT["paths"]:
        assert path.removeprefix("/api/v1/").split("{")[0] in text, path


def test_every_code_of_an_alarm_is_listed_with_cause_and_mend(house: RunningHouse) -> None:
    listed = house.get("alarms/codes")
    assert set(listed) == set(CODES)
    assert all(one["severities"] and one["cause"] and one["mend"] for one in listed.values())


def test_health_tells_whether_pictures_reach_the_walls(house: RunningHouse) -> None:
    health = house.eventually(lambda: (h := house.get("health"))["status"] == "ok" and h)
    assert health["conductor"] == "running"
    assert health["nodes"] == {"n0": "running"}
    assert health["rate"] == "60"
    assert health["name"] == "minimal"
    first = health["frame"]
    assert house.eventually(lambda: house.get("health")["frame"] > first)


def test_a_camera_tells_what_is_set_and_how_it_stands(house: RunningHouse) -> None:
    camera = house.get("cameras/a")
    assert camera["position_m"] == [0.0, -1.0, 1.4]
    assert camera["pupil_m"] == pytest.approx([0.0, -0.9, 1.4])
    assert camera["quality"] == "untracked"
    assert camera["lens"]["focal_length_mm"] == 35.0
    assert camera["soft_edge_deg"] == 0.5
    assert camera["field_of_view_deg"][0] == pytest.approx(54.432, abs=1e-3)
    assert min(camera["overscan_now_deg"]) > 0.0
    assert camera["raster_px"][0] > 100


def test_the_stage_document_is_what_check_prints(house: RunningHouse) -> None:
    stage = house.get("stage")
    assert set(stage["walls"]) == {"main"}
    assert len(stage["cabinets"]) == 40


def test_frames_are_counted_and_measured(house: RunningHouse) -> None:
    frames = house.get("frames")
    assert frames["frames"] == frames["presented"] + frames["repeated"]
    assert frames["latency_ms"]["draw"]["p50"] > 0.0
    assert frames["latency_ms"]["plan_to_draw"]["p50"] > 0.0
    assert frames["latency_ms"]["latch_to_plan"]["p50"] > 0.0
    assert len(frames["course_ms"]["draw"]) > 3


def test_a_repeated_slot_is_in_the_ledger_with_its_reason(house: RunningHouse) -> None:
    before = house.get("frames")["repeats"].get("late_draw", 0)
    frame = house.get("health")["frame"] + 6
    house.node.repeat.add(frame)
    record = house.eventually(lambda: (r := house.client.get(f"/api/v1/frames/{frame}")).status_code == 200
                        and (j := r.json())["presented"] is not None and j)  # fmt: skip
    assert (record["presented"], record["reason"]) == (False, "late_draw")
    assert record["t_latched_ns"] < record["t_published_ns"] < record["nodes"]["n0"]["t_drawn_ns"]
    assert record["plan_hash"] == record["nodes"]["n0"]["plan_hash"] != "0" * 16
    assert house.get("frames")["repeats"]["late_draw"] == before + 1
    assert frame in [r["frame"] for r in house.get("frames/latest?count=500")["records"]]
    assert record["why"][0].startswith(f"Frame {frame} was not shown in its slot")
    assert any(said.startswith("Camera a ") for said in record["why"])
    assert record["intervals_ms"]["draw"] > 0
    assert set(record["age_ms"]) <= {"a"}
    # Read by a program that takes numbers for doubles: no field may need more than 53 bits.
    assert all(not isinstance(v, int) or abs(v) < 1 << 53 for v in record.values())


def test_statistics_tell_where_the_time_goes_and_what_is_stored(house: RunningHouse, tmp_path: Path) -> None:
    told = house.eventually(lambda: (s := house.get("frames/statistics"))["steps_ms"] and s)
    assert list(told["steps_ms"]) == ["wait", "plan", "hand_over", "draw", "hold"]
    assert told["latency_ms"]["draw"]["p50"] > 0
    assert told["frames"] == told["presented"] + told["repeated"]
    assert (told["stored"], told["stalls"]["count"]) == (None, 0)
    # With a metronome and a recorder beside it.
    clock = SystemClock()
    recorder = Recorder(run=house.run, clock=clock, folder=tmp_path, keep_bytes=1 << 22, show="minimal")
    notes = RingWriter.create(house.run.metronome, kind=KIND_NOTES, slots=4, capacity=4032)
    recorder.start()
    try:
        now_ns = clock.now_ns()
        stalls = [[now_ns - 9_000_000, now_ns]]
        note = {"frame": 0, "t_slot_ns": now_ns, "stalls": stalls, "stolen_ns": 0, "waited_ns": {}}
        notes.publish(json.dumps(note).encode(), frame=0, t_ns=now_ns)
        recorder.step(now_ns)
        oldest = house.get("frames/latest?count=1")["records"][0]["frame"]
        house.eventually(lambda: house.get("health")["frame"] > oldest + 60)
        recorder.step(clock.now_ns() + 2 * 10**9)
        told = house.eventually(lambda: (s := house.get("frames/statistics"))["stalls"]["count"] and s["stored"] and s)
        assert told["stalls"]["newest_ms"] == [9.0]
        assert told["stored"]["frames"] > 5
        assert told["stored"]["lost"] == 0
        # What has left the memory comes from the disk, with its words.
        house.control.backend.ledger._records.pop(oldest)
        record = house.get(f"frames/{oldest}")
        assert record["frame"] == oldest
        assert record["why"][0].startswith(f"Frame {oldest} was")
    finally:
        recorder.stop()
        notes.close()


def test_many_repeats_are_an_alarm_that_goes_by_itself(house: RunningHouse) -> None:
    frame = house.get("health")["frame"]
    house.node.repeat.update(range(frame + 3, frame + 15))
    alarm = house.eventually(lambda: [a for a in house.get("alarms")["alarms"] if a["code"] == "frames.repeated"])[0]
    assert "late_draw" in alarm["detail"]
    assert "render.scale" in alarm["mend"]
    assert house.get("health")["status"] == "degraded"
    house.eventually(lambda: not house.get("alarms")["alarms"])
    assert house.get("health")["status"] == "ok"


# --- pictures ---------------------------------------------------------------------------------------------------


def test_a_canvas_picture_is_the_high_bits_of_the_codes(house: RunningHouse) -> None:
    answer = house.client.get("/api/v1/canvases/main.png")
    assert answer.headers["content-type"] == "image/png"
    picture = np.asarray(Image.open(io.BytesIO(answer.content)))
    width, height = house.node.sizes["main"]
    assert picture.shape == (height, width, 3)
    frame = int(answer.headers["x-frame"])
    expected = [code >> 2 for code in house.node.colour(frame)]
    assert np.all(picture == expected)


def test_a_canvas_picture_can_be_small(house: RunningHouse) -> None:
    answer = house.client.get("/api/v1/canvases/main.jpg", params={"max_width_px": 50})
    picture = Image.open(io.BytesIO(answer.content))
    assert picture.format == "JPEG"
    assert picture.width <= 50


def test_a_photo_is_made_by_the_darkroom(house: RunningHouse) -> None:
    for width in (320, 640):
        answer = house.client.get("/api/v1/cameras/a/photo.jpg", params={"width_px": width})
        assert answer.status_code == 200, answer.text
        picture = Image.open(io.BytesIO(answer.content))
        assert picture.size == (width, width * 9 // 16)
        assert abs(picture.getpixel((5, 5))[0] - 200) < 4  # type: ignore[index]
    exact = np.asarray(Image.open(io.BytesIO(house.client.get("/api/v1/cameras/a/photo.png").content)))
    assert tuple(exact[3, 3][:2]) == (200, 100)


def test_a_photo_that_cannot_be_made_says_why(house: RunningHouse) -> None:
    house.node.photo_problem = Problem("controller.photo", "canvases", "nothing was presented yet", mend="wait")
    try:
        document = house.problem_of(house.client.get("/api/v1/cameras/a/photo.jpg"), 503)
    finally:
        house.node.photo_problem = None
    assert (document["code"], document["mend"]) == ("controller.photo", "wait")


@pytest.mark.parametrize("path", ["cameras/a/photo.jpg?width_px=9", "canvases/main.png?max_width_px=x", "frames/x"])
def test_a_bad_parameter_is_named(house: RunningHouse, path: str) -> None:
    document = house.problem_of(house.client.get(f"/api/v1/{path}"), 422)
    assert document["path"] in ("width_px", "max_width_px", "frame")


# --- changing ---------------------------------------------------------------------------------------------------


def test_a_patch_is_in_the_plan_of_the_frame_it_names(house: RunningHouse) -> None:
    answer = house.patch("cameras/a", {"overscan_deg": [5, 6, 7, 8], "soft_edge_deg": 1.5})
    assert answer.status_code == 200, answer.text
    outcome = answer.json()
    house.check(outcome, schema_of("/api/v1/cameras/{camera}", "patch"))
    assert set(outcome["changes"]) == {"cameras/a/overscan_deg", "cameras/a/overscan_mode", "cameras/a/soft_edge_deg"}
    record = house.eventually(
        lambda: (r := house.client.get(f"/api/v1/frames/{outcome['frame']}")).is_success and r.json()
    )
    assert record["show_version"] == outcome["rev"]
    before = house.client.get(f"/api/v1/frames/{outcome['frame'] - 1}").json()
    assert before["show_version"] < outcome["rev"]
    camera = house.get("cameras/a")
    assert camera["overscan_now_deg"] == [5.0, 6.0, 7.0, 8.0]
    assert (camera["overscan_mode"], camera["rev"]) == ("fixed", outcome["rev"])


def test_each_object_has_the_revision_that_changed_it(house: RunningHouse) -> None:
    scenes_rev = house.client.get("/api/v1/scenes").headers["etag"]
    answer = house.patch("cameras/a", {"rank": 3})
    assert answer.headers["etag"] == f'"{answer.json()["rev"]}"'
    assert house.client.get("/api/v1/cameras/a").headers["etag"] == answer.headers["etag"]
    assert house.client.get("/api/v1/scenes").headers["etag"] == scenes_rev


def test_if_match_holds_a_patch_to_its_revision(house: RunningHouse) -> None:
    etag = house.client.get("/api/v1/cameras/a").headers["etag"]
    assert house.patch("cameras/a", {"rank": 4}, **{"if-match": etag}).status_code == 200
    document = house.problem_of(house.patch("cameras/a", {"rank": 5}, **{"if-match": etag}), 412)
    assert document["code"] == "controller.stale"
    assert house.get("cameras/a")["rank"] == 4
    house.problem_of(house.patch("cameras/a", {"rank": 5}, **{"if-match": '"yesterday"'}), 400)


@pytest.mark.parametrize(
    ("path", "body", "status", "where"),
    [
        ("cameras/x", {"rank": 1}, 404, "cameras/x"),
        ("cameras/a", {"rankk": 1}, 404, "cameras/a/rankk"),
        ("cameras/a", {"rank": -1}, 422, "cameras/a/rank"),
        ("cameras/a", {"rank": None}, 422, "cameras/a/rank"),
        ("cameras/a", {"soft_edge_deg": "wide"}, 422, "cameras/a/soft_edge_deg"),
        ("cameras/a", {"overscan_deg": [1, 2]}, 422, "cameras/a/overscan_deg"),
        ("sources/tracker", {"nudge": {"x_m": 1e9}}, 422, "sources/tracker/nudge/x_m"),
        ("canvases/main", {"delay_frames": 1.5}, 422, "canvases/main/delay_frames"),
        ("show", {"scene": "nowhere"}, 422, "scenes/active"),
        ("show", {"colour": "red"}, 422, "colour"),
    ],
)
def test_a_bad_change_names_path_value_and_mend(
    house: RunningHouse, path: str, body: Any, status: int, where: str
) -> None:
    rev = house.get("show")["rev"]
    document = house.problem_of(house.patch(path, body), status)
    assert document["path"] == where
    assert document["mend"]
    assert house.get("show")["rev"] == rev


def test_every_fault_of_a_patch_is_told(house: RunningHouse) -> None:
    document = house.problem_of(house.patch("cameras/a", {"rank": -1, "delay_ms": 1e9}), 422)
    assert [fault["path"] for fault in document["problems"]] == ["cameras/a/rank", "cameras/a/delay_ms"]


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[1]", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b'{"rank": 1}', "text/plain", 415),
        (b'{"rank": 1}', "application/x-www-form-urlencoded", 415),
        (b"[" * 100_000, "application/json", 400),
        (b'{"rank": NaN}', "application/json", 400),
    ],
)
def test_a_body_that_cannot_be_read_is_told(house: RunningHouse, content: bytes, kind: str, status: int) -> None:
    answer = house.client.patch("/api/v1/cameras/a", content=content, headers={"content-type": kind})
    house.problem_of(answer, status)


def test_a_body_over_the_limit_is_refused(house: RunningHouse) -> None:
    content = b'{"rank": ' + b" " * 3_000_000 + b"1}"
    headers = {"content-type": "application/json"}
    assert house.problem_of(house.client.patch("/api/v1/cameras/a", content=content, headers=headers), 413)

    def pieces() -> Iterator[bytes]:
        yield from (content[i : i + 65536] for i in range(0, len(content), 65536))

    # Chunked: its length is not told before.
    answer = house.client.patch("/api/v1/cameras/a", content=pieces(), headers=headers)
    house.problem_of(answer, 413)


def test_scenes_and_positions_are_switched(house: RunningHouse) -> None:
    outcome = house.client.post("/api/v1/scenes/hall/activate").json()
    assert set(outcome["changes"]) == {"scenes/active", "position"}
    assert {name: scene["active"] for name, scene in house.get("scenes").items()} == {"grey": False, "hall": True}
    assert house.get("positions/far")["active"]
    assert house.client.put("/api/v1/position", json={"id": "near"}).status_code == 200
    assert house.get("show")["position"] == "near"
    assert house.client.post("/api/v1/positions/far/activate").status_code == 200
    plan = house.eventually(lambda: (p := house.control.backend.plan) and p.scenes[0].id == "hall" and p)
    assert plan is not None
    house.problem_of(house.client.post("/api/v1/scenes/nowhere/activate"), 404)
    house.problem_of(house.client.put("/api/v1/position", json={"id": "moon"}), 422)


def test_patterns_are_switched(house: RunningHouse) -> None:
    answer = house.client.put("/api/v1/patterns/tile_outlines", json={"on": True, "targets": ["main"]})
    assert answer.status_code == 200, answer.text
    told = house.get("patterns/tile_outlines")
    assert told.pop("about"), "an operator sees what it is for"
    assert told == {"id": "tile_outlines", "rev": answer.json()["rev"], "on": True, "targets": ["main"]}
    house.client.put("/api/v1/patterns/tile_outlines", json={"on": False})
    assert not house.get("patterns/tile_outlines")["on"]
    house.problem_of(house.client.put("/api/v1/patterns/tile_outlines", json={"on": "yes"}), 422)
    house.problem_of(house.client.put("/api/v1/patterns/plaid", json={"on": True}), 404)


def test_everybody_sees_whose_hand_is_on_a_slider(house: RunningHouse) -> None:
    before = house.get("show")["exposure_ev"]
    assert house.client.patch("/api/v1/show", json={"exposure_ev": before + 0.25}).status_code == 200
    assert house.get("hands")["hands"]["exposure_ev"]["hand"].startswith("http")
    assert house.client.patch("/api/v1/show", json={"exposure_ev": before}).status_code == 200


def test_a_nudge_is_stepped_set_and_undone(house: RunningHouse) -> None:
    for _ in range(3):
        answer = house.client.post("/api/v1/sources/tracker/nudge", json={"x_m": 0.001, "pan_deg": 0.01})
        assert answer.status_code == 200, answer.text
    assert house.get("sources/tracker")["nudge"] == {
        "x_m": 0.003, "y_m": 0.0, "z_m": 0.0, "pan_deg": 0.03, "tilt_deg": 0.0, "roll_deg": 0.0,
    }  # fmt: skip
    house.patch("sources/tracker", {"nudge": {"z_m": 0.1}})
    house.patch("cameras/a", {"rank": 2})
    assert house.client.post("/api/v1/sources/tracker/undo").status_code == 200
    assert house.get("sources/tracker")["nudge"]["z_m"] == 0.0
    assert house.get("cameras/a")["rank"] == 2
    house.problem_of(house.client.post("/api/v1/sources/tracker/nudge", json={"w": 1}), 422)


def test_zero_needs_a_camera_that_is_tracked(house: RunningHouse) -> None:
    document = house.problem_of(house.client.post("/api/v1/sources/tracker/zero"), 422)
    assert "does not move camera a now" in document["detail"]
    house.problem_of(house.client.post("/api/v1/sources/tracker/zero", json={"what": "everything"}), 422)


def test_time_is_told_and_jumps_only_to_a_reference(house: RunningHouse) -> None:
    clock = house.get("frames")["clock"]
    health = house.get("health")
    assert (health["reference"], health["clock"]) == (clock["reference"], clock["state"])
    assert clock["state"] in ("free", "locking", "locked")
    if clock["state"] == "free":
        document = house.problem_of(house.client.post("/api/v1/frames/jam"), 409)
        assert (document["code"], document["mend"]) == ("runtime.clock_state", "bring the reference back first")
    house.patch("show", {"take": "s12_t3"})
    house.eventually(lambda: house.get("frames")["clock"]["rolling"])
    assert house.get("show")["take"] == "s12_t3"
    assert "take rolls" in house.problem_of(house.client.post("/api/v1/frames/jam", json={"frame": 5}), 409)["detail"]
    house.patch("show", {"take": ""})
    house.eventually(lambda: not house.get("frames")["clock"]["rolling"])
    house.problem_of(house.client.post("/api/v1/frames/jam", json={"frame": -1}), 422)
    house.problem_of(house.client.post("/api/v1/frames/jam", json={"when": 1}), 422)


def test_undo_takes_back_the_newest_change(house: RunningHouse) -> None:
    house.patch("show", {"exposure_ev": 2})
    house.patch("canvases/main", {"delay_frames": 3})
    assert house.client.post("/api/v1/undo", json={"prefix": "exposure_ev"}).status_code == 200
    assert house.get("show")["exposure_ev"] == 0.0
    canvas = house.get("canvases/main")
    assert (canvas["delay_frames"], canvas["held_back_frames"]) == (3, 3)
    assert canvas["to_light_frames"] == 3 + house.get(f"processors/{canvas['processor']}")["latency_frames"]
    assert canvas["to_light_ms"] == pytest.approx(canvas["to_light_frames"] * 1000 / 60, abs=1e-3)
    house.client.post("/api/v1/undo")
    assert house.get("canvases/main")["delay_frames"] == 0
    assert house.problem_of(house.client.post("/api/v1/undo"), 409)["code"] == "controller.nothing_to_undo"


def test_actions_are_ordered_and_obeyed(house: RunningHouse) -> None:
    for action in ("black", "hold", "safe", "work", "none"):
        answer = house.client.post(f"/api/v1/actions/{action}")
        assert answer.json()["action"] == action
        house.eventually(lambda action=action: house.get("action")["nodes"] == {"n0": action})
    house.problem_of(house.client.post("/api/v1/actions/strobe"), 404)


# --- who may ----------------------------------------------------------------------------------------------------


def test_a_page_of_another_site_may_not_write(house: RunningHouse) -> None:
    answer = house.client.post("/api/v1/actions/black", headers={"origin": "https://example.org"})
    assert house.problem_of(answer, 403)["code"] == "controller.forbidden"
    assert house.get("action")["action"] == "none"
    own = house.client.post("/api/v1/actions/none", headers={"origin": house.url})
    assert own.status_code == 200


def test_a_name_made_to_point_here_is_refused(house: RunningHouse) -> None:
    house.problem_of(house.client.get("/api/v1/show", headers={"host": "rebound.example.org"}), 403)
    port = house.service.port
    assert house.client.get("/api/v1/show", headers={"host": f"localhost:{port}"}).status_code == 200


def test_unknown_paths_and_methods_are_problems(house: RunningHouse) -> None:
    assert house.problem_of(house.client.get("/api/v1/nothing"), 404)["code"] == "controller.unknown_path"
    assert house.problem_of(house.client.delete("/api/v1/show"), 405)["code"] == "controller.method"
    assert house.problem_of(house.client.get("/console/..%2f__init__.py"), 404)
    assert house.problem_of(house.client.get("/console/secrets.txt"), 404)


def test_answers_carry_the_headers_that_keep_a_page_at_home(house: RunningHouse) -> None:
    headers = house.client.get("/").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'self'" in headers["content-security-policy"]


# --- other processes away ---------------------------------------------------------------------------------------


def test_without_a_conductor_reads_answer_and_writes_say_so(house: RunningHouse) -> None:
    house.kill_conductor()
    try:
        document = house.problem_of(house.patch("cameras/a", {"rank": 9}), 503)
        assert document["code"] == "controller.conductor_absent"
        assert house.get("cameras/a")["rank"] != 9
        alarms = house.eventually(lambda: [a for a in house.get("alarms")["alarms"] if a["path"] == "conductor"])
        assert alarms[0]["severity"] == "critical"
        assert house.get("health")["status"] == "degraded"
        assert house.client.post("/api/v1/actions/safe").status_code == 200
    finally:
        house.start_conductor()
    house.eventually(lambda: house.get("health")["status"] == "ok", timeout_s=30)
    assert house.patch("cameras/a", {"rank": 9}).status_code == 200
    frames = house.get("frames")
    assert frames["frames"] == frames["presented"] + frames["repeated"]


def test_preflight_looks_at_the_running_show(house: RunningHouse) -> None:
    findings = house.client.post("/api/v1/preflight", timeout=90).json()["findings"]
    parts = {finding["part"]: finding["colour"] for finding in findings}
    assert parts["configuration"] == "green"
    assert parts["graphics"] in ("green", "amber")
    assert "OSC control" not in parts, "this show has the port itself"
