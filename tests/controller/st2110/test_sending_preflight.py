"""`openvolume preflight` of canvases that are sent: interfaces, routes, devices and the port of NMOS."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from controller.config import load_config_text
from controller.preflight import _ports, _streams
from controller.st2110 import network, qdisc

CONFIG = """
openvolume: 1
name: sent
rate: 25
stage:
  walls:
    main: {type: flat, panel: roe_bp2v2, columns: 2, rows: 1, position_m: [0.0, 3.0, 0.5]}
  processors:
    led: {model: simulated}
  canvases:
    main: {processor: led, width_px: 352, height_px: 176, tiles: [{wall: main}]}
outputs:
  main:
    st2110:
      paths:
        - {destination: 239.1.1.1, source: lo}
        - {destination: 239.1.1.2, source: 192.0.2.1}
    v4l2: {device: /dev/video-none}
control:
  http: {port: 0}
  osc: null
"""


def test_what_cannot_leave_is_red_with_its_mend(tmp_path: Path) -> None:
    good, bad, device = _streams(load_config_text(CONFIG, base_dir=tmp_path))
    assert (good.part, good.colour, good.detail) == ("stream main", "green", "lo to 239.1.1.1:5004")
    assert (bad.colour, device.part, device.colour) == ("red", "video device main", "amber")
    assert bad.detail.startswith("192.0.2.1 to 239.1.1.2:5004: ")
    assert bad.mend
    assert "modprobe" in device.mend
    assert list(_streams(load_config_text(CONFIG.partition("outputs:")[0], base_dir=tmp_path))) == []


def test_who_paces_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lo = socket.if_nametoindex("lo")
    monkeypatch.setattr(qdisc, "disciplines", lambda: [qdisc.Discipline(lo, True, "fq")])
    good, *_ = _streams(load_config_text(CONFIG, base_dir=tmp_path))
    assert good.detail == "lo to 239.1.1.1:5004, held by the kernel until its time (fq)"
    monkeypatch.setattr(qdisc, "disciplines", list)
    monkeypatch.setattr(network, "interface_of", lambda _: network.Interface("eth1", "127.0.0.1", ""))
    good, *_ = _streams(load_config_text(CONFIG, base_dir=tmp_path))
    assert (good.colour, good.mend) == ("green", "`tc qdisc replace dev eth1 root fq` has the kernel pace it")


def test_the_port_of_nmos_is_looked_at(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        loaded = load_config_text(CONFIG + f"  nmos: {{port: {port}}}\n", base_dir=tmp_path)
        (found,) = [finding for finding in _ports(loaded) if finding.part == "NMOS"]
    assert (found.colour, bool(found.mend)) == ("red", True)
