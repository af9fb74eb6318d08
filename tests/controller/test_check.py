"""`openvolume check`: the summary a person reads, the JSON a program reads, and one line for every problem."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controller.check import check_command

TEXT = """\
openvolume: 1
name: broken
rate: 23
stage:
  walls:
    main:
      type: flat
      panel: roe_bp2v2
      columns: 0
      rows: 1
      position_m: [0.0, 3.0, .nan]
  processors:
    led:
      modle: simulated
  canvases: {}
"""


def test_summary_names_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert check_command("demo") == 0
    out, err = capsys.readouterr()
    assert not err
    for said in (
        "24 x 10 ROE Black Pearl BP2V2",
        "12.00 x 5.00 m", "4224 x 1760 px", "1,500 nits", "2112 x 1760 px", "pq 10 bit",
        "Brompton Tessera SX40", "3.72 of 9.00 Mpx (41 %)", "data lines", "54.4 x 32.3 degrees", "opentrackio",
        "127.0.0.1:55555", "drawn at 1/8: 0.14 Mpx",
    ):  # fmt: skip
        assert said in out, said
    assert "\x1b" not in out


def test_json_is_the_compiled_stage(capsys: pytest.CaptureFixture[str]) -> None:
    assert check_command("demo", as_json=True) == 0
    document = json.loads(capsys.readouterr().out)
    assert len(document["cabinets"]) == 300
    assert document["canvases"]["right"]["encoding"]["transfer"] == "pq"
    assert document["warnings"] == []


def test_every_problem_is_one_line_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(TEXT)
    assert check_command(str(path)) == 2
    out, err = capsys.readouterr()
    assert not out
    lines = err.splitlines()
    assert lines[-1] == f"{path}: 6 problems"
    assert [line.split(" ", 2)[:2] for line in lines[:-1]] == [
        ["stage.bad_value", "rate:3:"],
        ["stage.out_of_range", "stage/walls/main/columns:9:"],
        ["stage.not_finite", "stage/walls/main/position_m/2:11:"],
        ["stage.missing", "stage/processors/led/model:13:"],
        ["stage.unknown_key", "stage/processors/led/modle:14:"],
        ["stage.out_of_range", "stage/canvases:15:"],
    ]
    assert "(0)" in lines[1]
    assert "did you mean `model`?" in lines[4]


def test_problems_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(TEXT)
    assert check_command(str(path), as_json=True) == 2
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert len(problems) == 6
    assert set(problems[0]) == {"code", "path", "line", "value", "detail", "mend"}
    assert (problems[1]["path"], problems[1]["line"], problems[1]["value"]) == ("stage/walls/main/columns", 9, 0)
