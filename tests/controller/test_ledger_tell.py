"""`openvolume ledger`: tables, one frame in words, pictures, and plain refusals."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from controller.cli import main
from controller.ledger_file import Block, Opening, SegmentWriter, segments_in
from controller.ledger_record import HostNote
from stage.rate import Rate

MS = 1_000_000
RATE = Rate(24)


@pytest.fixture(scope="module")
def kit() -> ModuleType:
    name = "ledgerkit"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / "_ledgerkit.py")
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture
def folder(kit: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stored ledger of two runs of the show `hall`."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    folder = tmp_path / "openvolume" / "hall" / "ledger"
    opening = Opening("hall", "hall-1", 1, kit.T0_NS, 1_800_000_000 * 10**9, (24, 1), ["left", "right"])
    for number, run in enumerate(("hall-1", "hall-2")):
        t_ns = RATE.deadline_ns(kit.T0_NS, 100)
        note = HostNote(100, t_ns, [(t_ns - 10 * MS, t_ns + 32 * MS)])
        draws_ms = {100: 48.0, 150: 33.0} if number else {}
        ledger = kit.a_ledger(240, draws_ms=draws_ms, notes={100: note} if number else {})
        told = msgspec.structs.replace(opening, run=run, tai_ns=opening.tai_ns + number * 10**9)
        writer = SegmentWriter(folder, told, keep_bytes=1 << 24)
        for first in range(0, 240, 24):
            records = ledger.after(first - 1, until=first + 23)
            writer.append(Block(records, [note] if number and first == 96 else []))
        writer.close()
    return folder


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(["ledger", *arguments])
    return int(left.value.code or 0)


def test_a_show_is_told_by_its_name_its_folder_or_a_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = []
    for where in ("hall", str(folder), str(folder.parent), str(segments_in(folder)[-1])):
        assert run(where) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0].replace("other runs (--run): hall-1\n", "") == outputs[3]
    assert outputs[0] == outputs[1] == outputs[2]
    text = outputs[0]
    assert "hall  run hall-2, 2027-01-15 08:00:01 TAI" in text
    assert "240 frames at 24 a second: 238 shown in their slot, 2 repeated an older picture (0.833 %)" in text
    assert "1  the machine stood still" in text
    assert "1  drawing was late" in text
    assert "The machine stood still 1 times, 42 ms together, 42.0 ms at most" in text
    assert "drawing" in text
    assert "age at the photo, camera a" in text
    assert "6.25 s  Frame 150 was not shown in its slot" in text


def test_an_older_run_is_told_when_it_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("hall", "--run", "hall-1") == 0
    assert "240 shown in their slot, 0 repeated" in capsys.readouterr().out
    assert run("hall", "--run", "hall-9") == 2
    assert "there is no run hall-9" in capsys.readouterr().err


def test_one_frame_is_told_in_words(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("hall", "--frame", "100") == 0
    text = capsys.readouterr().out
    assert "because the machine stood still for at least 42.0 ms while it was made." in text
    assert "(the metronome's figure)" in text
    assert "usually ms" in text
    assert run("hall", "--frame", "150", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["record"]["frame"] == 150
    assert "drawing on node main took 33.0 ms" in told["why"]["headline"]
    assert [step["step"] for step in told["why"]["steps"] if step["longer"]] == ["draw"]
    assert run("hall", "--frame", "9999") == 2
    assert "it holds 0 to 239" in capsys.readouterr().err


def test_figures_come_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("hall", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["frames"], told["presented"], told["repeated"]) == (240, 238, 2)
    assert told["repeats"] == {"host_stall": 1, "late_draw": 1}
    assert told["rate"] == "24"
    assert set(told["latency_ms"]) == {
        "receive_to_latch", "latch_to_plan", "receive_to_plan", "plan_to_draw", "draw", "receive_to_present",
    }  # fmt: skip
    assert told["latency_ms"]["draw"]["max"] == pytest.approx(48.0)
    assert told["latency_ms"]["draw"]["p50"] == pytest.approx(12.0, abs=0.3)
    assert [miss["frame"] for miss in told["misses"]] == [100, 150]
    assert told["stalls"]["count"] == 1
    assert told["not_stored"] == {"lost": 0, "missed": 0, "cut_bytes": 0}


def test_a_torn_file_is_told_up_to_its_last_whole_block(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = segments_in(folder)[-1]
    path.write_bytes(path.read_bytes()[:-5])
    assert run(str(path)) == 0
    text = capsys.readouterr().out
    assert "216 frames at 24 a second" in text
    assert "bytes at a torn end were left out" in text


def test_pictures_are_drawn_or_refused_by_name(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("hall", "--plot", str(tmp_path / "a.png")) == 0
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    assert "drawn: " in capsys.readouterr().out
    assert run("hall", "--plot", str(tmp_path / "a.gif")) == 2
    assert "controller.ledger_picture --plot" in capsys.readouterr().err
    assert run("hall", "--plot", str(tmp_path / "no" / "a.png")) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_what_is_not_there_is_refused_with_a_mend(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("nowhere") == 2
    error = capsys.readouterr().err
    assert error.startswith("controller.ledger_file FILE: no ledger in ")
    assert "or a show that has run" in error
    strange = folder / "x.ledger"
    strange.write_text("something else")
    assert run(str(strange)) == 2
    assert "is no ledger segment" in capsys.readouterr().err
