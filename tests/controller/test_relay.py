"""The relay beside a conductor: predicted poses are the plan's, raw ones the tracker's, and versions are followed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from controller.beginning import fresh_show, snapshot_of
from controller.conductor import Conductor
from controller.config import compile_config, load_config_text
from controller.processes.relay import LOOK_NS, RelayWhenNeeded
from controller.relay import POLL_NS, RelayRole
from controller.relay_status import decode_relay
from controller.rundir import RunDir
from controller.show import Show, encode_snapshot
from runtime.clock import VirtualClock
from runtime.house import VirtualHouse
from runtime.ring import KIND_PLANS, RingReader
from stage.compiled import encode_stage
from stage.frames import pan_tilt_roll_from_rotation
from stage.plan import decode_plan, transform_of
from stage.rate import Rate
from tracking.config import Source
from tracking.encoders import encoder
from tracking.mapping import mapping_of
from tracking.moment import Moment
from tracking.moves import move
from tracking.protocols import freed, opentrackio
from tracking.sample import Sample, Stamp

S = 1_000_000_000
PORT = 40071
CONFIG = f"""
openvolume: 1
name: relayed
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
    lens: {{focal_length_mm: 35.0, entrance_pupil_m: 0.1}}
tracking:
  sources:
    t: {{protocol: freed, listen: "127.0.0.1:{PORT}", camera: a, stage_from_tracker: {{x_m: 0.5, pan_deg: 90.0}}}}
    spare: {{protocol: freed, listen: "127.0.0.1:{PORT + 9}", camera: a, priority: -1}}
  relays:
    drawn: {{camera: a, protocol: opentrackio, targets: ["127.0.0.1:40072", "127.0.0.1:40073"]}}
    told: {{camera: a, protocol: freed, pose: raw, targets: ["127.0.0.1:40074"]}}
scenes:
  grey: {{background: [0.18, 0.18, 0.18]}}
"""


class Rig:
    """Conductor, relay and a tracker of 100 Hz under one virtual clock."""

    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock()
        self.run = RunDir.create("relay", root=folder)
        self.loaded = load_config_text(CONFIG, base_dir=folder)
        self.stage = compile_config(self.loaded)
        self.write(msgspec.structs.replace(fresh_show(self.loaded.config, self.stage), version=1, config_version=1))
        self.run.set_current_version(1)
        self.sent: dict[str, list[tuple[int, bytes]]] = {}
        self.house = VirtualHouse(self.clock)
        self.conductor = Conductor(run=self.run, clock=self.clock, nodes=["main"], fifo=False, sockets=False)
        self.house.add("conductor", self.conductor)
        self.house.add("relay", RelayRole(run=self.run, clock=self.clock, wire=self.wire))
        self.begin_ns = self.clock.now_ns()
        self.pose = move("handheld", 2).pose
        self.silent_from = 300
        """Sample from which on the spare tracker speaks alone; before it is silent."""
        rate = Rate(100)
        for n in range(300):
            self.clock.call_at(self.begin_ns + rate.deadline_ns(0, n), lambda n=n: self.track(n), name="tracker")

    def write(self, show: Show) -> None:
        self.run.write_snapshot(show.version, encode_snapshot(snapshot_of(show, self.loaded, encode_stage(self.stage))))

    def track(self, n: int) -> None:
        (datagram,) = encoder("freed")(Moment(self.pose(n / 100), n, n))
        name, port = ("t", 5) if n < self.silent_from else ("spare", 6)
        self.conductor.inputs.inject(name, datagram, sender=("127.0.0.1", port))

    def wire(self, target: str, interface: str) -> Any:
        rig, kept = self, self.sent.setdefault(target, [])

        class Wire:
            def send(self, data: bytes) -> None:
                kept.append((rig.clock.now_ns(), data))

            def close(self) -> None:
                pass

        return Wire()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.house.close()


def test_predicted_poses_are_those_of_the_plans(rig: Rig) -> None:
    plans = {}
    for step in range(20):
        rig.house.run_until(rig.begin_ns + (step + 1) * S // 8)
        ring = RingReader.open(rig.run.plans, kind=KIND_PLANS)
        for slot in ring.read_since(max(0, ring.latest_n - 7)).slots:
            plan = decode_plan(slot.data)
            plans[plan.tai_ns + plan.cameras[0].t_photo_ns - plan.t_present_ns] = (plan, slot.t_ns)
        ring.close()
    one, two = rig.sent["127.0.0.1:40072"], rig.sent["127.0.0.1:40073"]
    assert one == two  # every target, the same
    assert len(one) >= 24 * 2
    mapping = mapping_of("r", Source.model_validate(
        {"protocol": "opentrackio", "listen": "127.0.0.1:1", "camera": "a", "pose_point": "sensor"}
    ))  # fmt: skip
    assembler = opentrackio.Assembler()
    met = 0
    for t_ns, data in one:
        (packet,) = assembler.feed(data)
        (sample,) = packet.samples(mapping, Stamp())  # type: ignore[union-attr]
        assert isinstance(sample, Sample)
        label = packet.t_source_ns  # type: ignore[union-attr]
        if label not in plans:
            continue
        plan, published_ns = plans[label]
        np.testing.assert_allclose(sample.stage_from_camera, transform_of(plan.cameras[0].stage_from_camera), atol=1e-9)
        assert 0 <= t_ns - published_ns <= 4_000_000  # after publication, and at once
        met += 1
    assert met > 40


def test_raw_poses_are_every_sample_of_the_tracker_in_the_stage(rig: Rig) -> None:
    rig.house.run_until(rig.begin_ns + 2 * S)
    kept = rig.sent["127.0.0.1:40074"]
    assert 190 <= len(kept) <= 200
    mapping = mapping_of("r", Source.model_validate(
        {"protocol": "freed", "listen": "127.0.0.1:1", "camera": "a", "pose_point": "sensor"}
    ))  # fmt: skip
    for n, (t_ns, data) in enumerate(kept):
        (packet,) = freed.parse(data)
        (sample,) = packet.samples(mapping, Stamp())  # type: ignore[union-attr]
        assert isinstance(sample, Sample)
        tracker = rig.pose(n / 100)
        # Aligned: half a metre to the right, and turned by a quarter.
        x, y, z = tracker[:3, 3]
        np.testing.assert_allclose(sample.stage_from_camera[:3, 3], (0.5 - y, x, z), atol=2e-4)
        pan = pan_tilt_roll_from_rotation(sample.stage_from_camera)[0]
        assert pan == pytest.approx(pan_tilt_roll_from_rotation(tracker)[0] + 90.0, abs=1e-3)
        late_ns = t_ns - rig.begin_ns - n * 10_000_000
        # Without sockets the conductor wakes once a frame; the first frame comes after a quarter of a second.
        assert 0 <= late_ns <= (300_000_000 if n < 30 else 50_000_000)


def test_raw_poses_are_those_of_whoever_moves_the_camera(rig: Rig) -> None:
    """A tracker falls silent: as soon as it is lost, what is sent on is the spare one's, aligned as that one is."""
    rig.silent_from = 100
    rig.house.run_until(rig.begin_ns + 3 * S)
    sent = rig.sent["127.0.0.1:40074"]
    before = [data for t_ns, data in sent if t_ns < rig.begin_ns + S]
    after = [data for t_ns, data in sent if t_ns >= rig.begin_ns + 3 * S // 2]
    assert len(before) >= 95
    assert len(after) >= 145
    (packet,) = freed.parse(after[-1])
    assert isinstance(packet, freed.FreeDPacket)
    moved = np.array([packet.x_mm, packet.y_mm, packet.z_mm]) / 1000.0
    assert np.abs(moved - rig.pose(2.99)[:3, 3]).max() < 0.02, "the spare one stands in the stage as it is"


def test_it_tells_what_it_did_(rig: Rig) -> None:
    rig.house.run_until(rig.begin_ns + 5 * S // 2)
    status = RingReader.open(rig.run.relay_status)
    slot = status.latest()
    assert slot is not None
    told = decode_relay(slot.data)
    assert told.relays["told"].poses > 10
    assert told.relays["told"].rate_hz == pytest.approx(100.0, abs=5.0)
    assert told.relays["drawn"].datagrams == 2 * told.relays["drawn"].poses
    assert [(one.unsendable, one.fault) for one in told.relays.values()] == [(0, ""), (0, "")]
    assert told.alarms == []
    status.close()


def test_the_process_sleeps_until_a_version_has_relays(tmp_path: Path) -> None:
    clock, run = VirtualClock(), RunDir.create("sleep", root=tmp_path)
    bare = load_config_text(CONFIG[: CONFIG.index("  relays:")] + CONFIG[CONFIG.index("scenes:") :], base_dir=tmp_path)
    full = load_config_text(CONFIG, base_dir=tmp_path)
    for number, loaded in ((1, bare), (2, full)):
        stage = compile_config(loaded)
        show = msgspec.structs.replace(fresh_show(loaded.config, stage), version=number, config_version=number)
        run.write_snapshot(number, encode_snapshot(snapshot_of(show, loaded, encode_stage(stage))))
    role = RelayWhenNeeded(run=run, clock=clock)
    run.set_current_version(1)
    role.start()
    assert role.step(clock.now_ns()) == clock.now_ns() + LOOK_NS
    assert role._relay is None
    run.set_current_version(2)
    assert role.step(clock.now_ns()) == clock.now_ns() + POLL_NS
    assert role._relay is not None
    role.stop()
    program = "import sys, controller.processes.relay; print([n for n in ('numpy', 'pydantic') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
