"""The three files of a report: valid, complete, one file for people, and nothing that names the host."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from controller.timing.command import timing_command
from controller.timing.limits import load_limits
from controller.timing.page import page as html_page
from controller.timing.report import junit
from controller.timing.settings import settings_of
from controller.timing.virtual_run import run_virtual


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    settings = settings_of("minimal", virtual=True, seconds_s=8.0, loads="flood,cpu_hog", faults="T4,A1", photos=0)
    assert timing_command(settings, report=folder) == 0
    return folder


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    limits = folder / "limits.yaml"
    limits.write_text("slip_p99_px: 0.001\nstalled_age_ms: 0\nimpaired_error_ratio: 0.1\n")
    settings = settings_of("minimal", virtual=True, seconds_s=2.0, faults="T2", draw_ms=50.0, photos=0)
    assert timing_command(settings, report=folder / "deep" / "report", limits=limits) == 1
    return folder / "deep" / "report"


def test_junit_counts_what_the_report_says(good: Path, bad: Path) -> None:
    for folder in (good, bad):
        document = json.loads((folder / "report.json").read_text())
        root = ET.parse(folder / "junit.xml").getroot()
        cases = root.findall(".//testcase")
        failures = root.findall(".//failure")
        broken = [check for check in document["limits"] if check["good"] is False]
        assert root.tag == "testsuites"
        assert len(cases) == len(document["limits"]) == int(root.get("tests", "0"))
        assert len(failures) == len(broken) == int(root.get("failures", "0"))
        assert (document["verdict"] == "passed") is (not broken)
        for suite in root.findall("testsuite"):
            assert int(suite.get("tests", "0")) == len(suite.findall("testcase"))


def test_the_broken_limits_are_the_ones_that_were_set(bad: Path) -> None:
    document = json.loads((bad / "report.json").read_text())
    broken = {check["name"] for check in document["limits"] if check["good"] is False}
    assert {"slip_p99_px", "impaired_error_ratio", "repeats_beyond_metronome_share"} <= broken
    assert document["repeats"]
    assert "broken" in document["words"]
    page = (bad / "report.html").read_text()
    assert "Not within its limits" in page
    assert "drawing was late" in page


def test_the_report_tells_everything(good: Path) -> None:
    document = json.loads((good / "report.json").read_text())
    assert document["frames"] == document["presented"] == 192
    assert document["rate"] == [24, 1]
    camera = document["cameras"]["a"]
    assert set(camera) >= {"age_ms", "age_frames", "error_mm", "error_deg", "slip_px", "covered_share"}
    assert camera["age_frames"]["p50"] == pytest.approx(camera["age_ms"]["p50"] * 24 / 1000)
    assert [phase["name"] for phase in document["phases"]] == ["show", "flood", "cpu_hog"]
    assert document["faults"][0]["row"] == "T4"
    assert any("A1" in note for note in document["notes"]), "a row that needs real sockets says so"
    assert len(document["course"]["t_s"]) == len(document["course"]["cameras"]["a"]["slip_px"]) == 192
    assert document["machine"]["cores"] >= 1
    assert re.fullmatch("[0-9a-f]{32}", document["plans_hash"])


def test_the_page_is_one_file_that_asks_for_nothing(good: Path, bad: Path) -> None:
    for folder in (good, bad):
        page = (folder / "report.html").read_text()
        assert page.count("<svg") >= 4
        assert page.count("<svg") == page.count("</svg>")
        assert not re.search(r"(src|href)=\"(?!data:|#)", page), "everything is inside"
        assert not re.search(r"<(script|link|iframe)", page)
        assert "@import" not in page
        assert socket.gethostname() not in page or len(socket.gethostname()) < 4
        # Every id is its own, so that clip paths of one picture do not cut another.
        ids = re.findall(r' id="([^"]+)"', page)
        assert len(ids) == len(set(ids))
        for reference in re.findall(r"url\(#([^)]+)\)|href=\"#([^\"]+)\"", page):
            assert "".join(reference) in ids


def test_the_page_says_where_the_time_goes(good: Path) -> None:
    page = (good / "report.html").read_text()
    for words in ("Where the time goes", "drawing", "pose waits for the latch", "Limits", "What camera a sees", "flood",
                  "Faults", "What it was measured on", "Passed"):  # fmt: skip
        assert words in page


def test_names_from_a_configuration_cannot_break_the_page() -> None:
    settings = settings_of("minimal", virtual=True, seconds_s=1.0)
    result = run_virtual(settings, load_limits(None, "virtual"), lambda _: None)
    result.name = "<script>alert(1)</script>"
    result.notes.append("a & b \x00 <i>")
    result.judge.holds("odd", False, "show", "x < y & z \x07")
    assert "<script>" not in html_page(result)
    ET.fromstring(junit(result))
