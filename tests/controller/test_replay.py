"""Replay: the same recording gives the same plans, log and canvases, its gaps too; live, bytes and times."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from controller.beginning import fresh_show, snapshot_of
from controller.cli import main
from controller.config import compile_config, load_config_text
from controller.drawing import Painter
from controller.planner import Planner
from controller.redraw import redraw
from controller.replay import Replayed, ReplayError, replay_virtually, sources_of
from controller.rundir import RunDir
from controller.show import ActiveScene, SceneState, Snapshot, encode_snapshot
from controller.show_log import PLANS, SHOW, ShowLog, versions_of
from controller.sources import inner_limits
from controller.switching import Switch
from controller.timing.virtual import VirtualPainter, usual_cost
from runtime.clock import VirtualClock
from stage.compiled import decode_stage, encode_stage
from stage.plan import FramePlan, encode_plan
from stage.rate import Rate
from tracking.capture import Capture, CaptureInfo, CaptureWriter, read_capture, recover
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


EDITED = CONFIG.replace(
    "scenes:\n", "scenes:\n  red: {background: [0.5, 0.05, 0.05]}\n"
).replace("positions: {}\n", "")  # fmt: skip


def edited(folder: Path, begin: int, t_present_ns: int) -> list[tuple[int, Snapshot]]:
    """A show that is edited live, dissolved to another scene, and edited again, each on a frame of its own."""
    loaded = load_config_text(EDITED, base_dir=folder)
    stage = compile_config(loaded)
    show = msgspec.structs.replace(
        fresh_show(loaded.config, stage, scene="grey"), version=7, config_version=3, exposure_ev=0.0
    )
    bright = SceneState(9, edits={"exposure_ev": 1.0})
    shows = [show, msgspec.structs.replace(show, version=9, scene_states={"grey": bright})]
    rate = stage.rate
    switch = Switch("grey", show.stage_from_scene, begin + 30, rate.deadline_ns(t_present_ns, 30), "dissolve", 8)
    shows.append(msgspec.structs.replace(shows[-1], version=11, scenes=[ActiveScene("red")], switches=[switch]))
    dark = {"grey": bright, "red": SceneState(12, edits={"exposure_ev": -2.0})}
    shows.append(msgspec.structs.replace(shows[-1], version=12, scene_states=dark))
    frames = (begin, begin + 20, begin + 25, begin + 50)
    encoded = encode_stage(stage)
    return [(frame, snapshot_of(s, loaded, encoded)) for frame, s in zip(frames, shows, strict=True)]


@pytest.mark.timeout(90)
def test_live_edits_and_a_dissolve_hold_from_their_frames(tmp_path: Path) -> None:
    capture = recorded(tmp_path / "a.mcap", seconds=1.5, faults=(), config=EDITED)
    loaded = load_config_text(EDITED, base_dir=tmp_path)
    seen: dict[int, FramePlan] = {}

    class Noted(VirtualPainter):
        def present(self, plan: FramePlan, plan_hash: int, action: str) -> None:
            seen[plan.frame] = plan

    def noted(_: RunDir, clock: VirtualClock) -> Painter:
        return Noted(clock, (), usual_cost(Rate(24), None, 0))

    replay_virtually(capture, loaded, painter=noted)
    begin = min(seen)
    versions = edited(tmp_path, begin, seen[begin].t_present_ns)
    found = replay_virtually(capture, loaded, versions=versions, painter=noted)
    shown = {frame: [(e.id, e.version, round(e.weight, 3)) for e in plan.scenes] for frame, plan in seen.items()}
    assert shown[begin + 19] == [("grey", 1, 1.0)]
    assert shown[begin + 20] == [("grey", 9, 1.0)]
    assert {entry[0] for entry in shown[begin + 31]} == {"grey", "red"}
    assert shown[begin + 49] == [("red", 1, 1.0)]
    assert shown[begin + 50] == [("red", 12, 1.0)]
    again = replay_virtually(capture, loaded, versions=versions)
    assert again.plans == found.plans
    assert replay_virtually(capture, loaded).plans_hash != found.plans_hash


def test_what_the_recorder_keeps_of_a_show_is_whole(tmp_path: Path, shm: Path) -> None:
    """Versions come out as they went in, each with its first frame; a configuration is written once."""
    run = RunDir(shm)
    versions = edited(tmp_path, 100, Rate(24).deadline_ns(0, 100))
    limits = inner_limits(load_config_text(EDITED, base_dir=tmp_path).config.render)
    for _, snapshot in versions:
        run.write_snapshot(snapshot.show.version, encode_snapshot(snapshot))
    log = ShowLog(run)
    written: list[tuple[str, int, bytes]] = []
    for frame in range(100, 160):
        snapshot = [s for first, s in versions if first <= frame][-1]
        show = snapshot.show
        planner = Planner(decode_stage(snapshot.stage), limits)
        plan = planner.plan(show, {}, frame=frame, t_present_ns=Rate(24).deadline_ns(0, frame))
        written += log.notes([(frame * 1000, encode_plan(plan))])
    assert sum(topic == PLANS for topic, _, _ in written) == 60
    kept = [(t_ns, data) for topic, t_ns, data in written if topic == SHOW]
    assert versions_of(kept) == versions
    assert [len(data) > 2 * len(kept[-1][1]) for _, data in kept] == [True, False, False, False]
    # A version that is gone is counted, and what comes after it is still right.
    log = ShowLog(run)
    list(log.notes([(0, encode_plan(plan))]))
    run.snapshot(9).unlink()
    list(log.notes([(1, encode_plan(msgspec.structs.replace(plan, show_version=9)))]))
    assert log.missed == 1
    path = tmp_path / "kept.mcap"
    writer = CaptureWriter(path, CaptureInfo(10**18, 10**18 + 37 * S))
    for topic, t_ns, data in written:
        writer.note(topic, t_ns, data)
    writer.close()
    back = read_capture(path)
    assert versions_of(back.notes[SHOW]) == versions
    assert [t_ns for t_ns, _ in back.notes[PLANS]] == [frame * 1000 for frame in range(100, 160)]
    assert recover(path, tmp_path / "again.mcap").notes == read_capture(tmp_path / "again.mcap").notes == back.notes


def test_a_recording_without_plans_cannot_be_drawn_as_it_was(tmp_path: Path) -> None:
    with pytest.raises(ReplayError, match="no plans"):
        redraw(recorded(tmp_path / "a.mcap", seconds=0.2))


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
