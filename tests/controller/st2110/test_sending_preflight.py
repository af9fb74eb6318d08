"""`openvolume preflight` of canvases that are sent: interfaces, routes, devices and the port of NMOS."""

from __future__ import annotations

import socket
from pathlib import Path
from types import ModuleType

import pytest

from controller.config import load_config_text
from controller.preflight import _ports, _streams
from controller.st2110 import network, qdisc

CONTROL = "control:\n  http: {port: 0}\n  osc: null\n"


@pytest.fixture
def text(sentkit: ModuleType) -> str:
    """One path that can be gone, one that cannot, and a device that is not there."""
    legs = sentkit.paths("destination: 239.1.1.1, source: lo", "destination: 239.1.1.2, source: 192.0.2.1")
    told: str = sentkit.config_text(outputs=legs + "    v4l2: {device: /dev/video-none}\n") + CONTROL
    return told


def test_what_cannot_leave_is_red_with_its_mend(tmp_path: Path, text: str, sentkit: ModuleType) -> None:
    good, bad, device = _streams(load_config_text(text, base_dir=tmp_path))
    assert (good.part, good.colour, good.detail) == ("stream main", "green", "lo to 239.1.1.1:5004")
    assert (bad.colour, device.part, device.colour) == ("red", "video device main", "amber")
    assert bad.detail.startswith("192.0.2.1 to 239.1.1.2:5004: ")
    assert bad.mend
    assert "modprobe" in device.mend
    assert list(_streams(load_config_text(sentkit.config_text(), base_dir=tmp_path))) == []


def test_who_paces_it_is_said(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lo = socket.if_nametoindex("lo")
    monkeypatch.setattr(qdisc, "disciplines", lambda: [qdisc.Discipline(lo, True, "fq")])
    good, *_ = _streams(load_config_text(text, base_dir=tmp_path))
    assert good.detail == "lo to 239.1.1.1:5004, held by the kernel until its time (fq)"
    monkeypatch.setattr(qdisc, "disciplines", list)
    monkeypatch.setattr(network, "interface_of", lambda _: network.Interface("eth1", "127.0.0.1", ""))
    good, *_ = _streams(load_config_text(text, base_dir=tmp_path))
    assert (good.colour, good.mend) == ("green", "`tc qdisc replace dev eth1 root fq` has the kernel pace it")


def test_the_port_of_nmos_is_looked_at(tmp_path: Path, text: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        loaded = load_config_text(text + f"  nmos: {{port: {port}}}\n", base_dir=tmp_path)
        (found,) = [finding for finding in _ports(loaded) if finding.part == "NMOS"]
    assert (found.colour, bool(found.mend)) == ("red", True)
