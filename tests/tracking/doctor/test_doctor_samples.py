"""Every sample of the reference data is named rightly: protocol, rate, checksum, clock."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tracking.doctor.diagnose import diagnose
from tracking.doctor.findings import Report, SenderReport
from tracking.doctor.heard import Heard, heard_from_file
from tracking.doctor.words import told
from tracking.receivers import Arrival


def examined(*datagrams: bytes, period_ns: int = 40_000_000) -> Report:
    return diagnose([Heard("", [Arrival(data, "", 0, i * period_ns) for i, data in enumerate(datagrams)])])


def only(report: Report) -> SenderReport:
    (sender,) = report.senders
    return sender


def load(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.mark.parametrize(
    ("name", "protocol", "rate_hz", "checksum", "clock"),
    [
        ("freed/take_freed_25fps_frames_0000_0249.jsonl", "freed", 25.0, "0x40 less", "arrival"),
        ("opentrackio/take_otrk_json_25fps_frames_0000_0124.jsonl", "opentrackio", 25.0, "mod 256", "time_stamp"),
        ("natnet/motive21_capture_frames_000_149.jsonl", "natnet", 120.0, "", "time_stamp"),
    ],
)
def test_takes(reference: Path, name: str, protocol: str, rate_hz: float, checksum: str, clock: str) -> None:
    report = diagnose(heard_from_file(reference / "tracking" / name))
    sender = only(report)
    assert sender.protocol == protocol
    assert checksum in sender.checksum
    (body,) = sender.bodies
    assert body.flow.rate_hz == pytest.approx(rate_hz, rel=1e-3)
    assert body.flow.lost_ratio == body.flow.duplicate_ratio == body.flow.reorder_ratio == 0.0
    assert body.flow.counted_by == "counter"
    assert body.clock.source == clock
    assert report.faults == []
    assert f"protocol: {protocol}" in report.section


def test_the_mosys_take(reference: Path) -> None:
    data = (reference / "tracking/mosys_f4/A003_C001_frames_0000_0699.f4").read_bytes()
    report = examined(*(data[i : i + 105] for i in range(0, len(data), 105)))
    sender = only(report)
    assert sender.protocol == "mosys_f4"
    assert "time code 15:03:47:02 at 25" in sender.about
    assert "genlocked, recording" in sender.about
    (body,) = sender.bodies
    assert body.flow.rate_hz == pytest.approx(25.0)
    assert (body.clock.source, body.clock.epoch) == ("time_code", "day")
    assert abs(body.clock.drift_ppm or 0.0) < 1.0
    assert body.samples == 700
    assert report.faults == []


@pytest.mark.parametrize(
    ("name", "about"),
    [
        ("packet_cbor_single_genlock", "CBOR"),
        ("packet_json_2_segments_same_sequence", "JSON, in 2 segments"),
        ("packet_json_3_segments", "JSON, in 3 segments"),
        ("packet_json_single_ptp", "JSON"),
    ],
)
def test_opentrackio_packets(reference: Path, name: str, about: str) -> None:
    sample = load(reference / "tracking/opentrackio" / f"{name}.json")
    sender = only(examined(*(bytes.fromhex(d["hex"]) for d in sample["datagrams"])))
    assert sender.protocol == "opentrackio"
    assert about in sender.about
    assert "mod 256" in sender.checksum
    assert sender.bodies[0].samples == 1


def test_a_wrong_opentrackio_checksum(reference: Path) -> None:
    sample = load(reference / "tracking/opentrackio/packet_json_bad_checksum.json")
    report = examined(*(bytes.fromhex(d["hex"]) for d in sample["datagrams"]))
    assert only(report).protocol == "opentrackio"
    assert "doctor.checksum" in {finding.code for finding in report.faults}


def test_single_packets_of_other_protocols(reference: Path) -> None:
    folder = reference / "tracking"
    psn = only(examined(bytes.fromhex(load(folder / "psn/robospot_data.json")["hex"])))
    assert (psn.protocol, psn.about, psn.bodies[0].samples) == ("psn", "2.00", 1)
    info = only(examined(bytes.fromhex(load(folder / "psn/jwetzell_info.json")["hex"])))
    assert info.protocol == "psn"
    assert info.findings[0].code == "doctor.no_pose"
    rttrpm = only(examined(*(bytes.fromhex(v["hex"]) for v in load(folder / "rttrpm/vectors.json")["vectors"])))
    assert (rttrpm.protocol, rttrpm.about) == ("rttrpm", "version 2, big-endian")
    messages = [bytes.fromhex(m["hex"]) for m in load(folder / "vmc/messages.json")["messages"]]
    assert only(examined(*messages)).protocol == "vmc"
    bundles = only(examined(*(bytes.fromhex(b["hex"]) for b in load(folder / "osc/bundles.json"))))
    assert bundles.protocol == "osc"
    assert bundles.findings[0].code == "doctor.no_pose"
    packets = [bytes.fromhex(p["hex"]) for p in load(folder / "natnet/packets_v3.json")["packets"]]
    natnet = only(examined(*packets))
    assert natnet.protocol == "natnet"
    assert "Motive, NatNet 3.0" in natnet.about


def test_bad_freed_vectors_are_told(reference: Path) -> None:
    vectors = load(reference / "tracking/freed/jwetzell_vectors.json")
    good = bytes.fromhex(vectors["good"][0]["hex"])
    assert only(examined(good)).protocol == "freed"
    wrong = bytes.fromhex(vectors["bad"][0]["hex"])
    report = examined(*[wrong] * 10)
    assert "doctor.checksum" in {finding.code for finding in report.faults}
    assert "checksum: ignore" in report.section
    assert only(examined(bytes.fromhex("ff"))).protocol == ""


HEADS = (
    b"",
    b"OTrk",
    b"\xd1",
    b"\xf4",
    b"\x0f",
    b"\xa5",
    b"/a\0\0,f\0\0",
    b"#bundle\0",
    b"{",
    b"\x81",
    b"Ug",
    b"ATC4",
    b"\x07\0",
)


@hypothesis_settings(max_examples=80)
@given(st.lists(st.builds(bytes.__add__, st.sampled_from(HEADS), st.binary(max_size=80)), min_size=1, max_size=12))
def test_anything_may_arrive(datagrams: list[bytes]) -> None:
    report = examined(*datagrams)
    assert sum(sender.datagrams for sender in report.senders) == len(datagrams)
    told(report)
