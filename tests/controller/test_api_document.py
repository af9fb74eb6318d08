"""What the API tells programs of itself: its OpenAPI document, and metrics for Prometheus."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from controller.api.app import create_app

if TYPE_CHECKING:
    from tests.controller.conftest import RunningHouse

DOCUMENT = create_app(version="0").openapi()


def test_metrics_are_prometheus_text(house: RunningHouse) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    def told() -> httpx.Response | None:
        # A process that was not heard for a moment, on a crowded machine, is told as such.
        answer = house.client.get("/metrics")
        return answer if 'openvolume_up{process="conductor"} 1' in answer.text else None

    answer = house.eventually(told, timeout_s=30)
    assert answer.headers["content-type"].startswith("text/plain")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    presented = families["openvolume_frames_presented"].samples[0].value
    assert presented > 0
    intervals = families["openvolume_frame_interval_seconds"]
    assert intervals.type == "histogram"
    drawn = {s.labels.get("le", s.name): s.value for s in intervals.samples if s.labels["interval"] == "draw"}
    assert drawn["+Inf"] == drawn["openvolume_frame_interval_seconds_count"] > 0
    assert drawn["openvolume_frame_interval_seconds_sum"] > 0
    assert drawn["0.001"] <= drawn["0.01"] <= drawn["1"] <= drawn["+Inf"]
    assert families["openvolume_pose_age_seconds"].type == "histogram"
    assert {s.labels["quantile"] for s in families["openvolume_own_share_seconds"].samples} >= {"0.5", "0.99"}
    assert families["openvolume_host_stalls"].type == "counter"
    assert {s.labels["process"]: s.value for s in families["openvolume_up"].samples} == {"conductor": 1.0, "n0": 1.0}
    assert families["openvolume_rt_class"].type == "gauge"
    assert families["openvolume_clock_state"].samples[0].value == 1
    assert families["openvolume_clock_slew_ratio"].samples[0].value == 0
    assert families["openvolume_frames_presented"].type == "counter"


def test_the_committed_openapi_document_is_current(root: Path) -> None:
    committed = json.loads((root / "docs/openapi.json").read_text())
    version = committed["info"]["version"]
    assert committed == json.loads(json.dumps(create_app(version=version).openapi())), (
        "docs/openapi.json is not current: python -m controller.api.schema > docs/openapi.json"
    )


def test_the_openapi_document_is_valid() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")
    names = set(DOCUMENT["components"]["schemas"])
    for reference in find_references(DOCUMENT):
        assert reference.removeprefix("#/components/schemas/") in names
    operations = [op["operationId"] for methods in DOCUMENT["paths"].values() for op in methods.values()]
    assert len(set(operations)) == len(operations)
    for methods in DOCUMENT["paths"].values():
        for operation in methods.values():
            assert operation["tags"]
            assert "default" in operation["responses"]


def find_references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from find_references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from find_references(inner)


def test_the_openapi_document_is_served(house: RunningHouse) -> None:
    served = house.get("openapi.json")
    assert served["paths"].keys() == DOCUMENT["paths"].keys()
