"""Lens table files from the configuration to the plan: faults told by `check`, tables that travel with each version."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

import configs
from controller.beginning import fresh_show, snapshot_of
from controller.check import check_command
from controller.config import compile_loaded, load_config, load_config_text
from controller.planner import tracked_lens
from controller.rundir import RunDir
from controller.show import encode_snapshot
from controller.sources import mounts_of, tracked_pose
from controller.versions import load_version
from runtime.clock import VirtualClock
from stage.compiled import encode_stage
from stage.errors import ConfigError
from stage.plan import PlanLens
from tracking.inputs import TrackingInputs
from tracking.protocols.freed import FreeDPacket

if TYPE_CHECKING:
    from tests.controller.conftest import RunningHouse

TABLE = """# model: Brown-Conrady U-D
zoom,focus,focal_length_mm,focus_distance_m,entrance_pupil_m,k1,k2
0,0,20.0,0.5,0.14,1e-4,0
0,1000,19.5,50,0.14,1e-4,0
1000,0,80.0,0.5,0.06,0,0
1000,1000,78.0,50,0.06,0,0
"""


def configured(folder: Path, table: str = TABLE, extra: str = "") -> str:
    """The minimal stage whose camera is tracked by FreeD with a lens table in a file."""
    (folder / "zoom.csv").write_text(table)
    text = configs.find("minimal").read_text()
    camera = next(iter(load_config("minimal").config.cameras))
    head = text[: text.index("\ntracking:")] if "\ntracking:" in text else text
    tail = text[text.index("\nscenes:") :] if "\nscenes:" in text else ""
    if "\ntracking:" not in text:
        head, tail = text.rstrip(), ""
    return f"""{head}
tracking:
  sources:
    t:
      protocol: freed
      listen: 127.0.0.1:40999
      camera: {camera}
      lens_table:
        file: zoom.csv
{extra}{tail}
"""


def datagram(zoom: int, focus: int) -> bytes:
    return bytes(
        FreeDPacket.from_units(
            camera_id=1, pan_deg=0, tilt_deg=0, roll_deg=0, x_mm=0, y_mm=0, z_mm=1500, zoom=zoom, focus=focus
        )
    )


def test_the_table_travels_to_the_plan(tmp_path: Path) -> None:
    loaded = load_config_text(configured(tmp_path), base_dir=tmp_path)
    stage = compile_loaded(loaded).stage
    run = RunDir.create("lens", root=tmp_path)
    show = fresh_show(loaded.config, stage)
    run.write_snapshot(1, encode_snapshot(snapshot_of(show, loaded, encode_stage(stage))))
    (tmp_path / "zoom.csv").unlink()  # a version is whole: what its files say later changes nothing

    version = load_version(run, 1)
    clock = VirtualClock()
    inputs = TrackingInputs(
        version.config.tracking, clock, mounts=mounts_of(version.stage), lens_tables=version.lens_tables
    )
    (camera,) = version.stage.cameras.values()

    def lens_at(zoom: int, focus: int):  # type: ignore[no-untyped-def]
        clock.advance_by(20_000_000)
        inputs.inject("t", datagram(zoom, focus))
        predicted = inputs.predict(camera.id, clock.now_ns())
        assert predicted is not None
        return tracked_lens(camera.lens, tracked_pose(predicted, camera))

    lens = lens_at(0, 0)
    assert (lens.focal_length_mm, lens.entrance_pupil_m, lens.focus_distance_m) == (20.0, 0.14, 0.5)
    assert (lens.radial, lens.model) == ([1e-4, 0.0], "Brown-Conrady U-D")
    lens = lens_at(0, 1000)
    assert lens.focal_length_mm == 19.5  # it breathes
    lens = lens_at(1000, 500)
    assert lens.focal_length_mm == pytest.approx(79.0)
    assert not inputs.alarms()

    lens = lens_at(2000, 500)  # the encoder ran away
    assert lens.focal_length_mm == pytest.approx(79.0)
    (alarm,) = inputs.alarms()
    assert alarm.code == "tracking.lens"
    assert "zoom 2000 lies beyond 0..1000" in alarm.detail
    assert alarm.mend
    lens_at(500, 500)
    assert not inputs.alarms()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("1000,1000,78.0", "1000,1000,-78.0"), ["zoom.csv:6", "must be greater than 0"]),
        (("0,0,20.0,0.5,0.14,1e-4,0", "0,0,20.0,0.5,0.14,1e-1,-1"), ["zoom 0, focus 0", "denominator"]),
        (("80.0,0.5,0.06,0,0", "80.0,0.5,0.06,-1e-2,0"), ["zoom 1000, focus 0", "folds"]),
    ],
)
def test_check_tells_place_and_mend(
    tmp_path: Path, change: tuple[str, str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert change[0] in TABLE
    file = tmp_path / "show.yaml"
    file.write_text(configured(tmp_path, TABLE.replace(*change)))
    assert check_command(str(file)) == 2
    said = capsys.readouterr().err
    assert "tracking.lens_table tracking/sources/t/lens_table/file:" in said
    assert all(word in said for word in words), said
    assert " -> " in said


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    text = configured(tmp_path)
    (tmp_path / "zoom.csv").unlink()
    with pytest.raises(ConfigError) as caught:
        compile_loaded(load_config_text(text, base_dir=tmp_path))
    (problem,) = caught.value.problems
    assert problem.path == "tracking/sources/t/lens_table/file"
    assert "cannot be read" in problem.detail
    assert problem.line is not None


def test_a_table_comes_into_a_running_show_or_is_refused_in_words(house: RunningHouse) -> None:
    """The configuration of a show on air is given a lens table; its tracker's raw encoders become the plan's lens."""
    folder = house.control.desk.loaded.base_dir
    before = house.control.desk.loaded.source

    def put(listen: str = "127.0.0.1:0", file: str = "rings.csv") -> httpx.Response:
        source = f"      lens_table: {{file: {file}}}\n"
        told = f"protocol: freed\n\\1listen: {listen}\n{source}"
        text = re.sub(r"protocol: opentrackio\n(\s+)listen: \S+\n", told, before)
        assert text != before
        headers = {"content-type": "application/yaml", "If-Match": f'"{house.control.desk.rev_of("config")}"'}
        return house.client.put("/api/v1/config", content=text, headers=headers)

    missing = put()
    assert missing.status_code == 422, missing.text
    assert missing.json()["path"] == "tracking/sources/tracker/lens_table/file"
    assert "cannot be read" in missing.json()["detail"]
    assert missing.json()["line"]
    (folder / "rings.csv").write_text(TABLE.replace("1000,1000,78.0", "1000,1000,wide"))
    wrong = put()
    assert wrong.status_code == 422
    assert "rings.csv:6" in wrong.json()["detail"]
    assert house.control.desk.loaded.source == before
    (folder / "rings.csv").write_text(TABLE)
    answer = put()
    assert answer.status_code == 200, answer.text

    def address() -> str:
        status = house.control.backend.conductor
        source = None if status is None else status.sources.get("tracker")
        told = "" if source is None or source.protocol != "freed" else source.address
        return "" if told.endswith(":0") else told

    host, port = house.eventually(address).rsplit(":", 1)

    def lens(zoom: int, focus: int) -> PlanLens:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(datagram(zoom, focus), (host, int(port)))
        plan = house.control.backend.plan
        assert plan is not None
        return plan.cameras[0].lens

    house.eventually(lambda: lens(0, 0).focal_length_mm == pytest.approx(20.0))
    found = lens(0, 0)
    assert (found.entrance_pupil_m, found.focus_distance_m) == (0.14, 0.5)
    house.eventually(lambda: lens(1000, 500).focal_length_mm == pytest.approx(79.0))
    house.eventually(lambda: lens(2000, 500) and "tracking.lens" in {a["code"] for a in house.get("alarms")["alarms"]})
    assert lens(2000, 500).focal_length_mm == pytest.approx(79.0)
    house.eventually(lambda: lens(0, 1000).focal_length_mm == pytest.approx(19.5))
    while house.client.post("/api/v1/undo").status_code == 200:
        pass
    assert house.control.desk.loaded.source == before
