"""Replay: the same recording gives the same plans, log and canvases, its gaps too; live, bytes and times."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from controller.cli import main
from controller.config import load_config_text
from controller.replay import Replayed, ReplayError, replay_virtually, sources_of
from runtime.clock import VirtualClock
from stage.rate import Rate
from tracking.capture import Capture, CaptureInfo, CaptureWriter, read_capture
from tracking.encoders import encoder
from tracking.errors import CaptureError
from tracking.faults import Faults, Timed
from tracking.moment import Moment
from tracking.moves import move
from tracking.replay import replay, targets_of
from tracking.tap import Batch, Datagram, LinkInfo

S = 1_000_000_000
LISTEN = "127.0.0.1:40061"
CONFIG = f"""
openvolume: 1
name: replayed
rate: 24
stage:
  walls:
    main: {{type: flat, panel: roe_bp2v2, columns: 2, rows: 1, position_m: [0.0, 3.0, 0.5]}}
  processors:
    led: {{model: simulated}}
  canvases:
    main: {{processor: led, width_px: 352, height_px: 176, tiles: [{{wall: main}}]}}
cameras:
  a:
    sensor:
      mode: hd
      modes: {{hd: {{width_mm: 36.0, height_mm: 20.25, width_px: 1920, height_px: 1080}}}}
    lens: {{focal_length_mm: 35.0}}
tracking:
  sources:
    t: {{protocol: freed, listen: "{LISTEN}", camera: a}}
scenes:
  grey: {{background: [0.18, 0.18, 0.18]}}
render: {{max_inner_px: 256}}
"""


def recorded(path: Path, *, seconds: float = 3.0, faults: tuple[str, ...] = ("T1:at=1,for=0.7", "T2"), seed: int = 3,
             config: str = CONFIG) -> Capture:  # fmt: skip
    """A hand-held camera at 100 Hz over a bad network, with a gap, as the recorder would have written it."""
    rate, encode, pose = Rate(100), encoder("freed"), move("handheld", seed).pose
    stream = (
        Timed(500 * S + rate.deadline_ns(0, n), encode(Moment(pose(n / 100), n, n))[0], "127.0.0.1", 50_000)
        for n in range(int(seconds * 100))
    )
    link = LinkInfo(LISTEN, "freed", ("t",))
    writer = CaptureWriter(path, CaptureInfo(10**18, 10**18 + 37 * S, config_text=config))
    arrived = Faults.of(faults, seed).apply(stream)
    writer.add(Batch((link,), tuple(Datagram(0, i.t_ns, i.host, i.port, i.data) for i in arrived)))
    writer.close()
    return read_capture(path)


def test_the_same_plans_and_the_same_log_every_time(tmp_path: Path) -> None:
    capture = recorded(tmp_path / "a.mcap")
    loaded = load_config_text(CONFIG, base_dir=tmp_path)
    first, second = replay_virtually(capture, loaded), replay_virtually(capture, loaded)
    assert first.document(whole=True) == second.document(whole=True)
    assert first.frames >= 24 * 5 - 7  # the show ran from a second before to a second after
    assert len(set(first.plans.values())) == first.frames
    assert first.sources["t"]["samples"] > 150
    # The gap is there: coasting, lost, and back.
    states = [line.split()[2].rstrip(":") for line in first.log if line.split()[1] == "t"]
    assert states[:5] == ["waiting", "ok", "coasting", "lost", "ok"]
    assert any("alarm tracking.source_lost" in line for line in first.log)
    lost_s = next(float(line.split()[0]) for line in first.log if " t lost" in line)
    assert 1.1 < lost_s < 1.35

    other = replay_virtually(recorded(tmp_path / "b.mcap", seed=4), loaded)
    assert other.plans_hash != first.plans_hash


def test_the_same_canvases_every_time(tmp_path: Path) -> None:
    """Drawn: every canvas of every frame, through the gap."""
    capture = recorded(tmp_path / "a.mcap", seconds=1.5, faults=("T1:at=0.4,for=0.5",))
    text = CONFIG.replace("render:", "positions: {}\nrender:")
    loaded = load_config_text(text, base_dir=tmp_path)
    first, second = (replay_virtually(capture, loaded, draw=True) for _ in range(2))
    assert first.canvases == second.canvases
    assert first.plans == second.plans
    assert first.canvases_hash == second.canvases_hash != ""
    assert len(first.canvases) >= 24 * 3


def test_a_torn_recording_replays_what_it_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.mcap"
    capture = recorded(path)
    path.write_bytes(path.read_bytes()[:-3000])
    torn = read_capture(path)
    assert torn.torn
    assert 0 < len(torn.datagrams) < len(capture.datagrams)
    with pytest.raises(SystemExit) as left:
        main(["recover", str(path), str(tmp_path / "b.mcap")])
    assert left.value.code == 0
    assert read_capture(tmp_path / "b.mcap").datagrams == torn.datagrams
    capsys.readouterr()
    told = []
    for name in ("a", "b"):
        with pytest.raises(SystemExit) as left:
            main(
                [
                    "replay",
                    str(tmp_path / f"{name}.mcap"),
                    "--virtual",
                    "recorded",
                    "--report",
                    str(tmp_path / f"{name}.json"),
                ]
            )
        assert left.value.code == 0
        told.append(capsys.readouterr())
    assert told[0].out == told[1].out
    assert "its end is missing" in told[0].err
    assert told[1].err == ""
    a, b = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("a", "b"))
    assert a == b
    assert a["frames"] == len(a["plans"]) > 24 * 3


def test_a_recording_that_does_not_fit_is_told(tmp_path: Path) -> None:
    capture = recorded(tmp_path / "a.mcap", seconds=0.5)
    text = CONFIG.replace(f'protocol: freed, listen: "{LISTEN}"', 'protocol: osc, listen: "127.0.0.1:40062"')
    with pytest.raises(ReplayError, match="no source takes the freed"):
        replay_virtually(capture, load_config_text(text, base_dir=tmp_path))
    moved = load_config_text(CONFIG.replace(LISTEN, "127.0.0.1:9999").replace(" t: {", " u: {"), base_dir=tmp_path)
    assert sources_of(capture, moved.config.tracking) == {0: "u"}  # the only source of its protocol
    empty = Capture(capture.info, capture.links, [])
    with pytest.raises(ReplayError, match="no datagrams"):
        replay_virtually(empty, moved)
    bare = recorded(tmp_path / "bare.mcap", seconds=0.2, config="")
    assert bare.info.config_text == ""
    with pytest.raises(SystemExit) as left:
        main(["replay", str(tmp_path / "bare.mcap"), "--virtual", "recorded"])
    assert left.value.code == 2
    with pytest.raises(SystemExit) as left:
        main(["replay", str(tmp_path / "bare.mcap"), "--draw"])
    assert left.value.code == 2


# --- live ------------------------------------------------------------------------------------------------------------


class Wires:
    """Keeps what is sent, when, and by which sender."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.sent: list[tuple[int, int, bytes]] = []
        self.opened: list[tuple[str, str]] = []
        self.closed = 0

    def open(self, protocol: str, target: str) -> Wires._One:
        self.opened.append((protocol, target))
        return Wires._One(self, len(self.opened) - 1)

    class _One:
        def __init__(self, wires: Wires, number: int) -> None:
            self.wires, self.number = wires, number

        def send(self, data: bytes) -> None:
            self.wires.sent.append((self.number, self.wires.clock.now_ns(), data))

        def close(self) -> None:
            self.wires.closed += 1


def two_senders() -> Capture:
    links = (LinkInfo("0.0.0.0:40000", "freed", ("a",)), LinkInfo("127.0.0.1:50000", "osc", ("b",)))
    datagrams = [
        Datagram(n % 2, 7 * S + n * 10_000_000, "10.0.0.1", 5000 + (n % 3 == 0), bytes([n])) for n in range(30)
    ]
    return Capture(CaptureInfo(0, 0), links, datagrams)


def test_live_replay_keeps_bytes_times_and_senders() -> None:
    capture, clock = two_senders(), VirtualClock()
    wires = Wires(clock)
    begin_ns = clock.now_ns()
    assert replay(capture, clock=clock, wire=wires.open, speed=2.0) == 30
    assert [data for _, _, data in wires.sent] == [d.data for d in capture.datagrams]
    assert [t - begin_ns for _, t, _ in wires.sent] == [n * 5_000_000 for n in range(30)]
    # Two sockets, and on each two senders: four wires, each to where its socket is reached.
    assert sorted(wires.opened) == [("freed", "127.0.0.1:40000")] * 2 + [("osc", "127.0.0.1:50000")] * 2
    assert wires.closed == 4


def test_live_replay_loops_without_a_burst() -> None:
    capture, clock = two_senders(), VirtualClock()
    wires = Wires(clock)
    replay(capture, clock=clock, wire=wires.open, loop=True, stop=lambda: len(wires.sent) >= 75)
    times = [t for _, t, _ in wires.sent]
    assert {b - a for a, b in pairwise(times)} == {10_000_000}


def test_targets() -> None:
    capture = two_senders()
    with pytest.raises(CaptureError, match="several sockets"):
        targets_of(capture, "127.0.0.1:9")
    capture.datagrams = [d for d in capture.datagrams if d.link == 1]
    assert targets_of(capture, "127.0.0.1:9") == {1: "127.0.0.1:9"}
    with pytest.raises(CaptureError, match="not a speed"):
        replay(capture, speed=0.0)
    with pytest.raises(CaptureError, match="no datagrams"):
        targets_of(Capture(capture.info, capture.links, []))


def test_documents_are_plain() -> None:
    assert json.loads(json.dumps(Replayed().document(whole=True)))["canvases_hash"] == ""
