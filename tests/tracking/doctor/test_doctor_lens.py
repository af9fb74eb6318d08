"""The doctor knows a lens that speaks for itself, on a line and over a bridge, and puts it beside the tracker."""

from __future__ import annotations

import importlib.util
import io
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ruamel.yaml import YAML

from controller.doctor import DoctorError, address_parts, doctor_command
from tracking.config import TrackingConfig
from tracking.doctor.diagnose import diagnose
from tracking.doctor.heard import Heard
from tracking.encoders import encoder
from tracking.moment import Moment
from tracking.moves import move
from tracking.protocols.cooke import END
from tracking.receivers import Arrival


def _kit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("_lenskit", Path(__file__).parents[1] / "_lenskit.py")
    assert spec is not None
    assert spec.loader is not None
    kit = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(kit)
    return kit


KIT = _kit()
MS = 1_000_000


def section(text: str) -> dict[str, Any]:
    sources: dict[str, Any] = YAML(typ="safe").load(text)["tracking"]["sources"]
    TrackingConfig.model_validate({"sources": sources})
    return sources


def test_a_lens_and_its_camera_are_told_apart() -> None:
    records = [Arrival(KIT.FIXED + END, "10.0.0.5", 1, 0)]
    records += [Arrival(bytes(KIT.record(focus_m=1.0 + 0.1 * n)), "10.0.0.5", 1, n * 20 * MS) for n in range(60)]
    pose, encode = move("handheld").pose, encoder("freed")
    poses = [
        Arrival(data, "10.0.0.6", 2, n * 20 * MS) for n in range(60) for data in encode(Moment(pose(n / 50), n, n))
    ]
    report = diagnose([Heard("0.0.0.0:40003", records), Heard("0.0.0.0:40000", poses)], cameras=["cam_1"])
    lens = next(sender for sender in report.senders if sender.protocol == "cooke")
    assert "25 to 250 mm" in lens.about
    assert "focus 6.900 m" in lens.about
    (body,) = lens.bodies
    assert [finding.code for finding in body.findings] == ["doctor.lens"]
    assert report.faults == []
    assert section(report.section) == {
        "lens_cam_1": {"protocol": "cooke", "listen": "0.0.0.0:40003", "camera": "cam_1"},
        "tracker_cam_1": {"protocol": "freed", "listen": "0.0.0.0:40000", "camera": "cam_1"},
    }


def test_the_doctor_listens_on_a_line(tmp_path: Path) -> None:
    lens, ended = KIT.Lens(tmp_path / "ttyLens"), threading.Event()

    def speak() -> None:
        while not ended.wait(0.01):
            lens.step()
            if lens.sends:
                lens.send(KIT.record())

    thread = threading.Thread(target=speak, daemon=True)
    thread.start()
    out = io.StringIO()
    code = doctor_command("tracking", listen=[f"serial:{tmp_path}/ttyLens"], seconds_s=1.5, out=out)
    ended.set()
    thread.join(5)
    lens.pull_out()
    told = out.getvalue()
    assert code == 0, told
    assert "Cooke /i" in told
    assert "focus 2.500 m" in told
    assert f"listen: 'serial:{tmp_path}/ttyLens" in told or f"listen: serial:{tmp_path}/ttyLens" in told


@pytest.mark.parametrize("text", ["serial:ttyUSB0", "serial:/dev/ttyUSB0@7"])
def test_what_is_no_line_is_told(text: str) -> None:
    with pytest.raises(DoctorError):
        address_parts(text)


def test_a_line_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DoctorError, match="cannot be opened"):
        doctor_command("tracking", listen=[f"serial:{tmp_path}/none"], seconds_s=0.2, out=io.StringIO())
