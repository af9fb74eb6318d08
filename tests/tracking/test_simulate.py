"""The simulator: lens pulls, faults live, and the truth beside them."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.clock import VirtualClock
from stage.rate import Rate
from tracking.encoders import encoder
from tracking.errors import SendError
from tracking.faults import Faults, Timed
from tracking.faulty_sender import FaultySender
from tracking.moment import Moment
from tracking.moves import MOVES, move
from tracking.pulls import FAR_M, LENSES, NEAR_M, ZOOM_MM, lens
from tracking.simulate import simulate

S = 1_000_000_000


class Wire:
    """Keeps what was sent, and when."""

    def __init__(self, clock: VirtualClock, kept: list[tuple[int, int, bytes]], number: int) -> None:
        self.clock, self.kept, self.number = clock, kept, number
        self.closed = False

    def send(self, data: bytes) -> None:
        self.kept.append((self.clock.now_ns(), self.number, data))

    def close(self) -> None:
        self.closed = True


class Rig:
    """A FreeD tracker with faults under a virtual clock."""

    def __init__(self, *faults: str, seed: int = 5, protocol: str = "freed") -> None:
        self.clock = VirtualClock()
        self.begin_ns = self.clock.now_ns()
        self.sent: list[tuple[int, int, bytes]] = []
        self.wires = [Wire(self.clock, self.sent, 0)]
        self.truth: list[tuple[int, Moment]] = []
        self.faults = Faults.of(faults, seed)
        self.sender = FaultySender(
            move("handheld").pose, encoder(protocol), self.wires[0], self.clock, Rate(100), self.faults, self.other,
            truth=lambda t, moment: self.truth.append((t, moment)),
        )  # fmt: skip

    def other(self) -> Wire:
        self.wires.append(Wire(self.clock, self.sent, len(self.wires)))
        return self.wires[-1]

    def run(self, seconds: float) -> list[tuple[int, int, bytes]]:
        assert self.sender.run(seconds) == int(seconds * 100)
        return self.sent


def test_live_faults_are_those_of_the_pure_stream() -> None:
    """What the sender puts on the wire, byte for byte and to the nanosecond, is what the faults make of the stream."""
    rig = Rig("T2", "T1:at=1,for=0.5")
    sent = rig.run(3.0)
    pose, encode = move("handheld").pose, encoder("freed")
    clean = [Timed(rig.begin_ns + n * 10_000_000, encode(Moment(pose(n / 100), n, 0))[0]) for n in range(300)]
    wanted = [(item.t_ns, 0, item.data) for item in Faults.of(["T2", "T1:at=1,for=0.5"], 5).apply(clean)]
    # What was still under way when the sender was stopped is not sent any more.
    assert sent == wanted[: len(sent)]
    assert len(wanted) - len(sent) <= 3


def test_rivals_and_floods_have_sockets_of_their_own() -> None:
    rig = Rig("T10:at=0.5,behind=0.2", "T9:at=1,hz=2000")
    sent = rig.run(2.0)
    numbers = [number for _, number, _ in sent]
    assert set(numbers) == {0, 1, 2}
    assert numbers.count(0) == 200
    rig.sender.close()
    assert [wire.closed for wire in rig.wires] == [False, True, True]


def test_what_a_protocol_cannot_hold_is_not_sent() -> None:
    rig = Rig("T7:nan:at=0,share=1")
    assert rig.run(1.0) == []
    assert rig.sender.unsendable == 100
    assert Rig("T7:nan:at=0,share=1", protocol="osc").run(0.5)


def test_the_truth_knows_no_faults() -> None:
    rig = Rig("T1:at=0.2,for=0.5", "T5:jump:at=0.1", "T7:far:at=0,share=0.5")
    rig.run(1.0)
    pose = move("handheld").pose
    assert len(rig.truth) == 100
    for n, (t_ns, moment) in enumerate(rig.truth):
        assert t_ns == rig.begin_ns + n * 10_000_000
        assert np.array_equal(moment.stage_from_camera, pose(n / 100))


# --- lenses -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LENSES)
def test_pulls_are_smooth_and_within_the_lens(name: str) -> None:
    for seed in range(4):
        at = lens(name, seed)
        readings = [at(t) for t in np.arange(0.0, 40.0, 0.01)]
        focal = np.array([r.focal_length_mm for r in readings])
        dioptres = np.array([1.0 / (r.focus_distance_m or np.nan) for r in readings])
        assert dioptres.min() >= 1.0 / FAR_M - 1e-9
        assert dioptres.max() <= 1.0 / NEAR_M + 1e-9
        assert np.abs(np.diff(dioptres)).max() < (0.15 if name == "rack" else 0.05)  # no jump, and a rack is quick
        assert np.ptp(dioptres) > 0.5
        if name == "zoom":
            assert focal.min() > ZOOM_MM[0] - 1e-9
            assert focal.max() < ZOOM_MM[1] * 1.03
            assert focal.max() / focal.min() > 1.4
            assert np.abs(np.diff(np.log(focal))).max() < 0.02
        else:
            assert 1.0 < focal.max() / focal.min() < 1.03  # it only breathes
    assert lens(name, 1)(3.0) == lens(name, 1)(3.0)
    assert lens(name, 1)(3.0) != lens(name, 2)(3.0)


def test_the_lens_is_sent(tmp_path: Path) -> None:
    clock, truth = VirtualClock(), tmp_path / "truth.jsonl"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5.0)
        target = f"127.0.0.1:{receiver.getsockname()[1]}"
        simulate("tripod", "opentrackio", target, rate=50, seconds=0.4, lens="zoom", seed=3, truth=truth, clock=clock)
        heard = [json.loads(receiver.recv(4096)[16:]) for _ in range(20)]
    lines = [json.loads(line) for line in truth.read_text().splitlines()]
    assert len(lines) == 20
    at = lens("zoom", 3)
    for n, (said, true) in enumerate(zip(heard, lines, strict=True)):
        assert said["lens"]["pinholeFocalLength"] == pytest.approx(at(n / 50).focal_length_mm)
        assert true["focal_length_mm"] == pytest.approx(at(n / 50).focal_length_mm)
        assert true["t"] == pytest.approx(n / 50)
        stamp = said["timing"]["sampleTimestamp"]
        assert stamp["seconds"] * S + stamp["nanoseconds"] == true["tai_ns"]
        assert [said["transforms"][0]["translation"][a] for a in "xyz"] == pytest.approx(true["position_m"])
        assert said["transforms"][0]["rotation"]["pan"] == pytest.approx(true["pan_deg"])


def test_what_faults_did_is_told() -> None:
    heard: list[str] = []
    sent = simulate(
        "orbit", "freed", "127.0.0.1:9", rate=100, seconds=3.0, faults=("T1:at=1,for=1", "loss:share=0.1"),
        clock=VirtualClock(), told=heard.append,
    )  # fmt: skip
    assert sent == 300
    assert "100 stopped" in heard[0]
    assert "lost" in heard[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"lens": "macro"}, "no such lens"),
        ({"faults": ("T11",)}, "no such fault"),
        ({"lens": "zoom", "focal_length_mm": 35.0}, "no fixed focal length"),
        ({"truth": Path("/nowhere/at/all.jsonl")}, "cannot be written"),
    ],
)
def test_arguments_that_cannot_be_used(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(SendError, match=words) as caught:
        simulate(seconds=0.01, clock=VirtualClock(), target="127.0.0.1:9", **arguments)
    assert all(problem.mend for problem in caught.value.problems)


def test_every_move_goes_with_every_lens() -> None:
    for name in MOVES:
        assert simulate(name, "freed", "127.0.0.1:9", seconds=0.1, lens="zoom", clock=VirtualClock()) == 6
