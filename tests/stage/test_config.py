"""YAML reading and strict sections: lines, duplicates, bombs, and the words of every refusal."""

from __future__ import annotations

import json
import math
from typing import Any, Literal

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from stage.config import (
    ArcWall,
    AutoOverscan,
    CameraConfig,
    CanvasConfig,
    FixedOverscan,
    FrameRate,
    Section,
    StageConfig,
)
from stage.described import described
from stage.documents import MAX_BYTES, line_of, read_yaml, validate
from stage.rate import Rate


class Toy(Section):
    size_m: float = Field(gt=0.0, le=10.0)
    """How large it is."""
    count: int = 1
    kind: Literal["red", "blue"] = "red"
    rate: FrameRate = Rate(24)
    on: bool = True
    place_m: tuple[float, float] = (0.0, 0.0)
    walls: StageConfig | None = None
    overscan: AutoOverscan | FixedOverscan | None = Field(None, discriminator="mode")
    parts: dict[str, AutoOverscan] = {}


def test_plain_data_and_lines() -> None:
    document = read_yaml("a: 1\nb:\n  c: [x, 2.5]\n  # a note\n  d: {e: true, f: ~}\ng: 0x10\nh: 012\ni: 1e3\nj: yes\n")
    assert not document.problems
    assert document.data == {
        "a": 1, "b": {"c": ["x", 2.5], "d": {"e": True, "f": None}}, "g": 16, "h": 12, "i": 1000.0, "j": "yes"
    }  # fmt: skip
    assert document.lines["b/c"] == 3
    assert document.lines["b/c/1"] == 3
    assert document.lines["b/d/f"] == 5
    assert line_of(document.lines, "b/d/not_there") == 5
    assert line_of(document.lines, "elsewhere") == 1


def codes(text: str | bytes) -> list[tuple[str, str, int | None]]:
    return [(p.code, p.path, p.line) for p in read_yaml(text).problems]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", [("stage.duplicate_key", "a", 3)]),
        ("a:\n  b: 1\n  b: 1\n", [("stage.duplicate_key", "a/b", 3)]),
        ("a: .nan\nb: -.inf\nc: 1e999\n",
         [("stage.not_finite", "a", 1), ("stage.not_finite", "b", 2), ("stage.not_finite", "c", 3)]),
        ("a: !!python/object:os.system x\n", [("stage.bad_tag", "a", 1)]),
        ("a: !!binary aGk=\n", [("stage.bad_tag", "a", 1)]),
        ("a: !thing x\n", [("stage.bad_tag", "a", 1)]),
        ("? [a, b]\n: 1\n", [("stage.bad_key", "", 1)]),
        ("- a\n", [("stage.wrong_type", "", 1)]),
        ("just text\n", [("stage.wrong_type", "", 1)]),
        ("a: 1\n---\nb: 2\n", [("stage.yaml_syntax", "", 2)]),
        ("a: [1, 2\nb: 3\n", [("stage.yaml_syntax", "", 2)]),
        ("a: 'open\n", [("stage.yaml_syntax", "", 2)]),
        ("a: *nobody\n", [("stage.yaml_syntax", "", 1)]),
        ("a: \x00\n", [("stage.yaml_syntax", "", None)]),
        (b"a: \xff\xfe\n", [("stage.bad_text", "", None)]),
        ("a: &a [*a]\n", [("stage.too_deep", "", None)]),
        ("[" * 3000, [("stage.too_deep", "", None)]),
        ("a: " + "[" * 60 + "]" * 60, [("stage.too_deep", "", None)]),
        ("a: " + "9" * 5000 + "\n", [("stage.bad_number", "a", 1)]),
        (b" " * (MAX_BYTES + 1), [("stage.too_large", "", None)]),
        ("[" * 1_900_000, [("stage.too_deep", "", None)]),
        ("- " * 500_000, [("stage.too_deep", "", None)]),
        ("".join(f"k{i}: 1\n" for i in range(60_000)), [("stage.too_large", "", None)]),
    ],
    ids=range(23),
)  # fmt: skip
def test_what_could_surprise_is_refused(text: str | bytes, expected: list[tuple[str, str, int | None]]) -> None:
    assert codes(text) == expected
    assert all(p.detail for p in read_yaml(text).problems)


def test_alias_bombs_are_refused_quickly() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    assert codes("\n".join(lines)) == [("stage.too_large", "", None)]
    long = f"a: &a {'x' * 100_000}\nb: [{', '.join(['*a'] * 1000)}]\n"
    assert codes(long) == [("stage.too_large", "", None)]


def test_aliases_may_be_used() -> None:
    document = read_yaml("a: &panel {w: 1}\nb: *panel\n")
    assert document.data == {"a": {"w": 1}, "b": {"w": 1}}


def test_an_empty_file_is_an_empty_mapping() -> None:
    assert read_yaml("").data == {}
    assert read_yaml("# only a note\n").data == {}


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    document = read_yaml(text)
    assert document.problems or isinstance(document.data, dict)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    document = read_yaml(data)
    assert document.problems or isinstance(document.data, dict)


keys = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="ascii", categories=["L", "N", "P", "Zs"]), max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(st.dictionaries(keys, json_values, max_size=5))
def test_json_is_yaml(data: dict[str, Any]) -> None:
    document = read_yaml(json.dumps(data))
    assert not document.problems
    assert document.data == data


def faults(text: str) -> list[tuple[str, str, int | None]]:
    model, problems = validate(Toy, read_yaml(text))
    assert model is None
    return [(p.code, p.path, p.line) for p in problems]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("count: 2\n", [("stage.missing", "size_m", 1)]),
        ("size_m: '3'\n", [("stage.wrong_type", "size_m", 1)]),
        ("size_m: true\n", [("stage.wrong_type", "size_m", 1)]),
        ("size_m: 0\n", [("stage.out_of_range", "size_m", 1)]),
        ("size_m: 11\n", [("stage.out_of_range", "size_m", 1)]),
        ("size_m: .inf\n", [("stage.not_finite", "size_m", 1)]),
        ("size_m: 1\ncount: 1.5\n", [("stage.wrong_type", "count", 2)]),
        ("size_m: 1\non: yes\n", [("stage.wrong_type", "on", 2)]),
        ("size_m: 1\non: 1\n", [("stage.wrong_type", "on", 2)]),
        ("size_m: 1\nkind: green\n", [("stage.not_one_of", "kind", 2)]),
        ("size_m: 1\nrate: 23\n", [("stage.bad_value", "rate", 2)]),
        ("size_m: 1\nrate: [24]\n", [("stage.bad_value", "rate", 2)]),
        ("size_m: 1\nplace_m: [1, 2, 3]\n", [("stage.out_of_range", "place_m", 2)]),
        ("size_m: 1\nplace_m: [1, x]\n", [("stage.wrong_type", "place_m/1", 2)]),
        ("size_m: 1\nplace_m: 3\n", [("stage.wrong_type", "place_m", 2)]),
        ("sise_m: 1\n", [("stage.missing", "size_m", 1), ("stage.unknown_key", "sise_m", 1)]),
        ("size_m: 1\nsize_m: 2\n", [("stage.duplicate_key", "size_m", 2)]),
        ("size_m: 1\noverscan: {mode: some}\n", [("stage.not_one_of", "overscan/mode", 2)]),
        ("size_m: 1\noverscan: {max_deg: 3}\n", [("stage.not_one_of", "overscan/mode", 2)]),
        ("size_m: 1\noverscan:\n  mode: auto\n  max: 3\n", [("stage.unknown_key", "overscan/max", 4)]),
        ("size_m: 1\nparts:\n  p:\n    mode: auto\n    max_deg: 99\n", [("stage.out_of_range", "parts/p/max_deg", 5)]),
    ],
)
def test_faults_have_code_path_and_line(text: str, expected: list[tuple[str, str, int | None]]) -> None:
    assert sorted(faults(text)) == sorted(expected)


def test_mends_help() -> None:
    def mend(text: str) -> str:
        return validate(Toy, read_yaml(text))[1][-1].mend

    assert mend("size_m: 1\ncuont: 2\n") == "did you mean `count`?"
    assert mend("size_m: 1\nzzz: 2\n").startswith("remove it; known here: count, kind")
    assert mend("count: 1\n") == "add it: How large it is."
    assert "'red' or 'blue'" in mend("size_m: 1\nkind: green\n")
    assert mend("size_m: 1\noverscan: {mode: auto, margin_dg: 1}\n") == "did you mean `margin_deg`?"


def test_all_faults_come_at_once_in_the_order_of_the_file() -> None:
    text = "kind: green\nsize_m: -1\non: 3\nwhat: 1\ncount: .nan\ncount: 2\n"
    assert [line for _, _, line in faults(text)] == [1, 2, 3, 4, 5, 6]


def test_numbers_stay_what_they_are() -> None:
    model, problems = validate(Toy, read_yaml("size_m: 3\nrate: 24000/1001\nplace_m: [1, 2.5]\n"))
    assert not problems
    assert model is not None
    assert (model.size_m, model.place_m, model.rate) == (3.0, (1.0, 2.5), Rate(24000, 1001))


WALL = {"type": "arc", "panel": "p", "columns": 2, "rows": 2, "radius_m": 5, "centre_m": [0, 0, 0]}


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("columns", 0), ("columns", 2001), ("rows", 1.5), ("radius_m", 0), ("radius_m", -1), ("centre_m", [0, 0]),
        ("centre_m", [0, 0, 1001]), ("centre_pan_deg", 361), ("nits", 0), ("panel", "Panel"), ("panel", "a" * 33),
        ("concave", "yes"), ("type", "cone"), ("surprise", 1), ("label", "x" * 121),
    ],
)  # fmt: skip
def test_walls_are_strict(field: str, bad: Any) -> None:
    ArcWall.model_validate_json(json.dumps(WALL))
    with pytest.raises(ValueError, match=field if field != "surprise" else "Extra"):
        ArcWall.model_validate_json(json.dumps({**WALL, field: bad}))


def test_infinities_are_refused_in_python_too() -> None:
    for bad in (math.inf, -math.inf, math.nan):
        with pytest.raises(ValueError, match="finite"):
            AutoOverscan(mode="auto", margin_deg=bad)


def test_ids_are_checked_as_keys() -> None:
    text = (
        "size_m: 1\nwalls:\n  walls:\n    Bad-Name: {type: floor, panel: p, columns: 1, rows: 1, centre_m: [0, 0, 0]}\n"
    )
    problems = validate(Toy, read_yaml(text))[1]
    bad = [p for p in problems if p.code == "stage.bad_id"]
    assert [(p.path, p.line, p.value) for p in bad] == [("walls/walls/Bad-Name", 4, "Bad-Name")]


@pytest.mark.parametrize("model", [StageConfig, CameraConfig, CanvasConfig])
def test_schemas_are_valid_and_told(model: type[Section]) -> None:
    schema = described(model.model_json_schema(), model, Section)
    jsonschema.Draft202012Validator.check_schema(schema)
    text = json.dumps(schema)
    assert "stage metres" in text or model is not StageConfig
    assert schema["additionalProperties"] is False
