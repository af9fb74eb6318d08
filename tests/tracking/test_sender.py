"""Sending: wire units, exact pace, arguments that cannot be used; and playing takes at their own pace."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from runtime.clock import VirtualClock
from stage.rate import Rate
from tracking.config import ProtocolName, Source
from tracking.decoders import assembler_of, parser_of
from tracking.encoders import PROTOCOLS, encoder
from tracking.errors import PlayError, SendError
from tracking.mapping import mapping_of
from tracking.moment import Moment
from tracking.moves import MOVES, move
from tracking.play import play, read_take
from tracking.protocols import opentrackio
from tracking.sample import LensReading, Refusal, Sample, Stamp
from tracking.sender import Sender, capture, default_target, sample_rate
from tracking.simulate import simulate
from tracking.wire_encoders import PICTURE_MM

S = 1_000_000_000


class Recorder:
    """A wire that keeps what was sent, and when."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.sent: list[tuple[int, bytes]] = []

    def send(self, data: bytes) -> None:
        self.sent.append((self.clock.now_ns(), data))

    def close(self) -> None:
        pass


def sender(rate: Rate, clock: VirtualClock, wire: Recorder) -> Sender:
    return Sender(move("orbit").pose, encoder("freed"), wire, clock, rate)


@pytest.mark.parametrize("rate", [Rate(24000, 1001), Rate(60), Rate(240)])
def test_exact_pace(rate: Rate) -> None:
    clock = VirtualClock()
    wire = Recorder(clock)
    t0_ns = clock.now_ns()
    assert sender(rate, clock, wire).run(10.0) == len(wire.sent)
    assert [t - t0_ns for t, _ in wire.sent] == [rate.deadline_ns(0, n) for n in range(len(wire.sent))]
    assert len(wire.sent) == rate.frame_at(0, 10 * S - 1) + 1


def test_a_stalled_sender_skips() -> None:
    clock = VirtualClock()
    wire = Recorder(clock)
    paced = sender(Rate(50), clock, wire)
    paced.step(clock.now_ns())
    clock.jump(S)
    paced.step(clock.now_ns())
    assert (paced.sent, paced.skipped) == (2, 49)


def test_the_lens_travels() -> None:
    lens = LensReading(focal_length_mm=35.0, focus_distance_m=2.5, entrance_pupil_m=0.125)
    moment = Moment(move("orbit").pose(0.0), 5, 7 * S, lens)
    for protocol in PROTOCOLS:
        name = next(n for n in get_args(ProtocolName) if protocol == n or protocol.startswith(f"{n}_"))
        if name in ("psn", "rttrpm", "natnet"):
            continue  # they carry no lens
        listen = "tcp://127.0.0.1:1" if name == "zmq" else "127.0.0.1:1"
        table = {"focal_length_mm": [[0, 0.0], [10_000, 100.0]], "focus_distance_m": [[0, 0.0], [100_000, 100.0]]}
        extra = {"lens_table": table} if name == "freed" else {}
        source = Source.model_validate({"protocol": name, "listen": listen, "camera": "a", **extra})
        datagram = encoder(protocol)(moment)[0]
        module = __import__(f"tracking.protocols.{'zmq_pose' if name == 'zmq' else name}", fromlist=["parse"])
        (packet,) = module.parse(datagram)
        (sample,) = packet.samples(mapping_of("t", source, picture_mm=PICTURE_MM), Stamp())
        assert isinstance(sample, Sample)
        assert sample.lens is not None
        assert sample.lens.focal_length_mm == pytest.approx(35.0, rel=1e-7)
        if name not in ("live_link", "vmc"):
            assert sample.lens.focus_distance_m == pytest.approx(2.5, rel=1e-7)
        if name in ("zmq", "opentrackio", "mosys_f4"):
            assert sample.lens.entrance_pupil_m == 0.125
            assert sample.sequence == 5


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol_carries_the_pose(protocol: str) -> None:
    """Through the source's own sections and decoder: what comes out is the pose that went in."""
    name = next(n for n in get_args(ProtocolName) if protocol == n or protocol.startswith(f"{n}_"))
    listen = "tcp://127.0.0.1:1" if name == "zmq" else "127.0.0.1:1"
    sections: dict[str, list[dict[str, Any]]] = {
        "psn": [{}, {"psn": {"handedness": "right"}}, {"body": "7"}, {"body": "hat"}],
        "rttrpm": [{}, {"rttrpm": {"up": "y", "timestamp_hz": 1000}}, {"rttrpm": {"point": 2}}, {"body": "hat"}],
        "stype": [{"stype": {"convention": c}} for c in ("right_hand", "hf_client", "a5_client", "unreal_client")],
        "live_link": [{}, {"live_link": {"bone": "head"}}, {"body": "hat"}],
        "mosys_f4": [{}, {"camera_id": 1}],
    }
    for section in sections.get(name, [{}]):
        source = Source.model_validate({"protocol": name, "listen": listen, "camera": "a", **section})
        encode = encoder(protocol, rate=Rate(50), source=source)
        mapping = mapping_of("t", source, picture_mm=PICTURE_MM)
        parse = parser_of(source)
        feed = parse if parse is not None else assembler_of(source).feed
        for number in range(3):
            pose = move("handheld", 5).pose(number / 50)
            items = [
                item
                for datagram in encode(Moment(pose, number, 7 * S + number * 20_000_000))
                for item in feed(datagram)
            ]
            packets = [item for item in items if not isinstance(item, Refusal)]
            (packet,) = [p for p in packets if p.is_for(mapping)]
            assert len(packets) == 1 or protocol == "vmc_performer"
            (sample,) = packet.samples(mapping, Stamp())
            assert isinstance(sample, Sample)
            # FreeD counts 1/64 mm, F4 1/1000 degree.
            np.testing.assert_allclose(sample.stage_from_camera, pose, atol=2e-5)


def test_opentrackio_fits_one_ethernet_packet() -> None:
    lens = LensReading(focal_length_mm=35.123456789, focus_distance_m=2.51234567891, entrance_pupil_m=0.123456789)
    for protocol in ("opentrackio", "opentrackio_cbor"):
        datagrams = encoder(protocol, rate=Rate(24000, 1001))(Moment(move("handheld").pose(1.0), 99_999, 17**15, lens))
        assert len(datagrams) == 1
        assert len(datagrams[0]) <= opentrackio.HEADER_SIZE + opentrackio.SAFE_PAYLOAD


def test_capture_is_the_same_every_time() -> None:
    for name in MOVES:
        first, second = (capture(move(name, 3).pose, encoder("opentrackio"), Rate(24), 5) for _ in range(2))
        assert first == second


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"move": "jump"}, "no such move"),
        ({"protocol": "vrpn"}, "no such protocol"),
        ({"target": "127.0.0.1"}, "host:port"),
        ({"target": "127.0.0.1:0"}, "port 0 receives nothing"),
        ({"target": "nowhere:5"}, "IPv4"),
        ({"rate": 0}, "not a sample rate"),
        ({"rate": "fast"}, "not a sample rate"),
        ({"rate": float("nan")}, "not a sample rate"),
        ({"rate": 5000}, "not a sample rate"),
        ({"seconds": -1.0}, "not a time"),
        ({"camera_id": 300}, "0..255"),
        ({"source_number": 0}, "1..200"),
        ({"protocol": "zmq", "target": "127.0.0.1:5"}, "endpoint"),
    ],
)
def test_arguments_that_cannot_be_used(arguments: dict[str, Any], words: str) -> None:
    given: dict[str, Any] = {"seconds": 0.01, "clock": VirtualClock()} | arguments
    with pytest.raises(SendError, match=words) as caught:
        simulate(**given)
    assert all(problem.mend for problem in caught.value.problems)


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(SendError) as caught:
        simulate("jump", "vrpn", rate="fast")
    assert [p.path for p in caught.value.problems] == ["move", "rate", "protocol"]


def test_rates_and_targets() -> None:
    assert sample_rate("23.976") == Rate(24000, 1001)
    assert sample_rate(240) == Rate(240)
    assert default_target("opentrackio_cbor") == "127.0.0.1:55555"
    assert default_target("zmq") == "tcp://127.0.0.1:40002"


def test_simulate_sends() -> None:
    heard: list[str] = []
    sent = simulate("tripod", "osc", "127.0.0.1:9", rate=100, seconds=0.5, clock=VirtualClock(), started=heard.append)
    assert sent == 50
    assert heard == ["127.0.0.1:9"]


# --- play -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "lines", "span_s"),
    [
        ("freed/take_*.jsonl", 250, 9.96),
        ("opentrackio/take_*.jsonl", 125, 4.96),
        ("natnet/*_capture_*.jsonl", 150, 1.24),
    ],
)
def test_takes_play_at_their_own_pace(reference: Path, pattern: str, lines: int, span_s: float) -> None:
    path = next((reference / "tracking").glob(pattern))
    take = read_take(path)
    assert len(take) == lines
    assert take[-1].t_s == pytest.approx(span_s, abs=0.02)
    clock = VirtualClock()
    wire = Recorder(clock)
    t0_ns = clock.now_ns()
    assert play(path, "127.0.0.1:9", speed=2.0, clock=clock, wire=wire) == lines
    for line, (t_ns, data) in zip(take, wire.sent, strict=True):
        assert (t_ns - t0_ns) / S == pytest.approx((line.t_s - take[0].t_s) / 2.0, abs=1e-8)
        assert data == line.datagrams[0]


def test_loop_goes_on_without_a_gap(tmp_path: Path) -> None:
    path = tmp_path / "take.jsonl"
    path.write_text("\n".join(f'{{"t": {n * 0.04:.2f}, "hex": "0{n}"}}' for n in range(5)) + "\n\n")
    clock = VirtualClock()
    wire = Recorder(clock)
    play(path, "127.0.0.1:9", loop=True, clock=clock, wire=wire, stop=lambda: len(wire.sent) >= 12)
    steps = np.diff([t for t, _ in wire.sent])
    assert len(wire.sent) == 12
    assert np.abs(steps - 40_000_000).max() < 2
    assert [data[0] for _, data in wire.sent] == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]


def test_malformed_lines_are_named_with_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "take.jsonl"
    rows = [
        '{"t": 0, "hex": "00"}',
        "not json",
        '{"t": 0.1}',
        '{"t": 0.1, "hex": "0g"}',
        '{"t": "soon", "hex": "00"}',
        '{"t": 0.2, "hex": "00", "datagrams": []}',
        '{"t": -1, "hex": "00"}',
        '{"t": 0.5, "hex": "00"}',
        '{"t": 0.3, "hex": "00"}',
    ]
    path.write_text("\n".join(rows))
    with pytest.raises(PlayError) as caught:
        play(path, "127.0.0.1:9")
    assert [p.line for p in caught.value.problems] == [2, 3, 4, 5, 6, 7, 9]
    assert all(p.path == str(path) and p.mend for p in caught.value.problems)
    assert "not hexadecimal: 0g" in str(caught.value)


def test_files_that_cannot_be_played(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n")
    binary = tmp_path / "binary.jsonl"
    binary.write_bytes(b"\xff\xfe\x00")
    for path, words in ((empty, "holds no datagrams"), (tmp_path / "none", "cannot be read"), (binary, "not text")):
        with pytest.raises(PlayError, match=words):
            play(path, "127.0.0.1:9")
    good = tmp_path / "good.jsonl"
    good.write_text('{"t": 0, "hex": "00"}')
    with pytest.raises(PlayError, match="not a speed"):
        play(good, "127.0.0.1:9", speed=0.0)
    with pytest.raises(SendError, match="host:port"):
        play(good, "there")
