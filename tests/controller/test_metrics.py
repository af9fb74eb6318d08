"""Metrics keep Prometheus' rules: base units, `_total` for what only grows, a sentence each, labels that stay few."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from tests.controller.conftest import RunningHouse

UNITS = ("seconds", "bytes", "hertz", "degrees", "metres", "celsius", "ratio")
NOT_BASE = re.compile(
    r"_(ms|us|ns|s|sec|secs|min|minutes|hours|mb|kb|gb|bits|mm|cm|km|percent|ppm|mhz|khz|hz|deg|milliseconds|micro\w*)(_|$)"
)
TYPE_WORDS = re.compile(r"_(gauge|counter|histogram|summary)(_|$)")
RESERVED = {"gauge": ("_total", "_count", "_sum", "_bucket"), "counter": ("_count", "_sum", "_bucket")}


def faults(family: Metric) -> list[str]:
    """What Prometheus' own checker would say, and a little more."""
    name, found = family.name, []
    if not re.fullmatch(r"openvolume_[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        found.append("is not openvolume_ and small words")
    if not family.documentation or family.documentation.endswith("."):
        found.append("has no HELP, or one with a full stop")
    if family.type not in ("counter", "gauge", "histogram", "summary"):
        found.append(f"is {family.type}")
    if NOT_BASE.search(name):
        found.append("has a unit that is no base unit")
    if TYPE_WORDS.search(name):
        found.append("has its type in its name")
    found += [f"ends in {end}" for end in RESERVED.get(family.type, ()) if name.endswith(end)]
    for unit in UNITS:
        if f"_{unit}_" in name:
            found.append(f"has its unit {unit} in the middle")
    for sample in family.samples:
        if family.type == "counter" and not sample.name.endswith(("_total", "_created")):
            found.append(f"{sample.name} is a counter without _total")
        if "quantile" in sample.labels and family.type != "summary":
            found.append("has quantiles and is no summary")
        found += [f"label {label}" for label in sample.labels if not re.fullmatch(r"[a-z][a-z_]*", label)]
        if family.type == "counter" and sample.value < 0:
            found.append("is below nothing")
    return found


def test_every_metric_of_a_running_show_keeps_the_rules(house: RunningHouse) -> None:
    answer = house.client.get("/metrics")
    families = list(text_string_to_metric_families(answer.text))
    assert len(families) > 30
    assert not {family.name: told for family in families if (told := faults(family))}
    names = [family.name for family in families]
    assert len(names) == len(set(names)), "no family twice"
    for family in families:
        series = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in family.samples]
        assert len(series) == len(set(series)), family.name
        assert len(series) < 200, f"{family.name} has labels that grow"
    # Every family says what it is, before its first sample.
    lines = answer.text.splitlines()
    for family in families:
        helps = [n for n, line in enumerate(lines) if line.startswith(f"# HELP {family.name}")]
        types = [n for n, line in enumerate(lines) if line.startswith(f"# TYPE {family.name}")]
        assert helps
        assert types


def test_names_of_what_this_show_has_not_keep_them_too(root: Path) -> None:
    """Processors, streams, monitors: read from the source."""
    tree = ast.parse((root / "controller/api/metrics.py").read_text())
    kinds = {
        "CounterMetricFamily": "counter", "GaugeMetricFamily": "gauge", "_counter": "counter", "_gauge": "gauge",
        "_histograms": "histogram", "_quantiles": "summary",
    }  # fmt: skip
    found = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in kinds:
            continue
        if not node.args or not isinstance(node.args[0], ast.Constant):
            continue
        name = str(node.args[0].value)
        family = Metric(name if name.startswith("openvolume_") else f"openvolume_{name}", "told", kinds[node.func.id])
        found[family.name] = faults(family)
    assert len(found) > 50
    assert not {name: told for name, told in found.items() if told}


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("openvolume_draw_ms", "gauge", "no base unit"),
        ("openvolume_seconds_drawn", "gauge", "middle"),
        ("openvolume_frames_total", "gauge", "_total"),
        ("openvolume_frames_counter", "counter", "type in its name"),
        ("frames", "counter", "openvolume_"),
    ],
)
def test_a_bad_name_is_found(name: str, kind: str, said: str) -> None:
    family = Metric(name, "told", kind)
    if name.endswith("_total"):
        family.name = name
    assert any(said in one for one in faults(family)), faults(family)
