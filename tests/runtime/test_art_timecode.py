"""Art-Net time code: vectors from outside, there and back, broken twins counted by reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.config import ArtTimecodeConfig
from runtime.references.art_timecode import packet, parse
from runtime.references.inputs import ArtTimecodeInput
from runtime.references.labels import HeardLabel
from stage.rate import RATES
from stage.timecode import LabelParts, frame_of, parts_at


def vectors(reference: Path) -> list[tuple[bytes, LabelParts, int]]:
    told = json.loads((reference / "tracking/timecode/artnet_timecode.json").read_text())["packets"]
    out = []
    for vector in told:
        rate = RATES[str(vector["expected"]["rate"])]
        parts = parts_at(rate, frame_of(rate, vector["expected"]["tc"]))
        out.append((bytes.fromhex(vector["hex"]), parts, vector["expected"]["rate"]))
    return out


def test_vectors(reference: Path) -> None:
    found = vectors(reference)
    assert len(found) >= 2
    for data, parts, labels_per_s in found:
        assert parse(data, 7) == HeardLabel(parts, 7, labels_per_s)
        assert packet(parts, labels_per_s=labels_per_s) == data
        assert parse(data + b"\0\0\0", 7) == HeardLabel(parts, 7, labels_per_s), "later versions may say more"


def test_broken_twins_are_counted(reference: Path) -> None:
    source = ArtTimecodeInput(ArtTimecodeConfig(type="art_timecode", allow=["10.0.0.1"]))
    (data, parts, _), *_ = vectors(reference)
    twins = {
        "short": data[:-1],
        "magic": b"Art-Nut" + data[7:],
        "version": data[:11] + b"\x0d" + data[12:],
        "range": data[:14] + b"\x19" + data[15:],
        "not_allowed": data,
    }
    for reason, twin in twins.items():
        assert source.take(twin, 0, "10.0.0.9" if reason == "not_allowed" else "10.0.0.1") == []
        assert source.refused()[reason] == 1
    assert [label.parts for label in source.take(data, 0, "10.0.0.1")] == [parts]
    assert parse(data[:8] + b"\x00\x50" + data[10:], 0) == "magic", "a frame of light"
    assert parse(data[:18] + b"\x07", 0) == "range"
    assert parse(packet(LabelParts(0, 1, 0, 1), labels_per_s=30, drop_frame=True), 0) == "range", "a dropped label"


@given(st.sampled_from([(24, False), (25, False), (30, True), (30, False)]), st.integers(0, 2_500_000))
def test_labels_come_back(kind: tuple[int, bool], frame: int) -> None:
    labels_per_s, drop = kind
    rate = RATES["29.97"] if drop else RATES[str(labels_per_s)]
    parts = parts_at(rate, frame)
    label = parse(packet(parts, labels_per_s=labels_per_s, drop_frame=drop), 3)
    assert label == HeardLabel(parts, 3, labels_per_s, drop)


@given(st.binary(max_size=64))
def test_any_bytes_at_all(data: bytes) -> None:
    parse(data, 0)
    parse(b"Art-Net\0\x00\x97" + data, 0)


def test_other_label_rates_do_not_exist() -> None:
    with pytest.raises(ValueError, match="24, 25 or 30"):
        packet(LabelParts(0, 0, 0, 0), labels_per_s=60)
