"""Cooke /i on its serial line: answers out of a stream of bytes, the dialogue, a device that comes and goes."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import select
import struct
import termios
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.clock import NS_PER_S, VirtualClock
from stage.frames import pose_from_pan_tilt_roll
from stage.rate import Rate
from tracking.config import Source, TrackingConfig
from tracking.cooke_dialogue import BAUDS, CookeDialogue
from tracking.encoders import encoder
from tracking.health import State
from tracking.inputs import TrackingInputs
from tracking.lens_track import LensTrack
from tracking.mapping import mapping_of
from tracking.moment import Moment
from tracking.protocols.cooke import END, INFINITY, Assembler, CookeFixed, CookePacket, CookeRecord, parse_answer
from tracking.protocols.freed import SIZE
from tracking.receivers import Arrival
from tracking.sample import LensReading, Refusal, Stamp
from tracking.serial_receiver import SerialReceiver

MS = NS_PER_S // 1000


def _kit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("_lenskit", Path(__file__).parent / "_lenskit.py")
    assert spec is not None
    assert spec.loader is not None
    kit = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(kit)
    return kit


KIT = _kit()
Lens, record, until = KIT.Lens, KIT.record, KIT.until
ASCII = b"D0001021T0195t1.4+8Z0000H0290024N0001018F0001024V006.8E+098z0000S5/100-009"
"""As the maker's manual shows an answer to D."""


def source_of(**keys: Any) -> Source:
    return Source.model_validate({"protocol": "cooke", "listen": "127.0.0.1:40003", "camera": "a", **keys})


# --- the stream ---------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 60), min_size=1, max_size=40), st.binary(max_size=30).filter(lambda b: END not in b))
def test_records_are_found_wherever_the_stream_is_cut(cuts: list[int], rubbish: bytes) -> None:
    records = [record(focus_m=0.5 + 0.1 * i) for i in range(10)]
    stream = rubbish + END + KIT.FIXED + END + b"".join(bytes(one) for one in records)
    reader, found, at = Assembler(), [], 0
    for cut in (*cuts, len(stream)):
        found += [item for item in reader.feed(stream[at : at + cut]) if isinstance(item, CookePacket)]
        at += cut
    assert [packet.record for packet in found if packet.record in records][-10:] == records
    assert reader.fixed == CookeFixed("5/100-009", "Cooke Optics Electronic Lenses!", True, 25, 250, "imperial")


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_any_bytes_do_no_harm(pieces: list[bytes]) -> None:
    reader = Assembler()
    for piece in pieces:
        for item in reader.feed(piece):
            assert isinstance(item, CookePacket | Refusal)
    whole = reader.feed(END + bytes(record()))
    assert any(isinstance(item, CookePacket) for item in whole)


def test_lenses_of_before_and_of_after_say_less_and_more() -> None:
    new = record(zoom_mm=None)
    body = bytes(new)[: -len(END)]
    old = parse_answer(body[:27] + body[29:])
    assert isinstance(old, CookeRecord)
    assert old == new
    # A lens may have something appended for its user.
    assert parse_answer(body + b"appended by the user") == new
    assert isinstance(parse_answer(body[:20]), Refusal)
    assert isinstance(parse_answer(b"!"), Refusal)
    text = parse_answer(ASCII)
    assert isinstance(text, CookeRecord)
    assert (text.focus, text.t_number_x100, text.near, text.far) == (1021, 195, 1018, 1024)
    assert (text.field_of_view_x10, text.entrance_pupil_units, text.serial) == (68, 98, "5/100-009")
    far = parse_answer(ASCII.replace(b"D0001021", b"D9999999"))
    assert isinstance(far, CookeRecord)
    assert far.focus == INFINITY
    assert isinstance(parse_answer(ASCII[:30]), Refusal)
    prime = parse_answer(b"NS5/100-009OCooke Optics Electronic Lenses!LPN100M100UMt92  B5.03")
    assert isinstance(prime, CookeFixed)
    assert (prime.is_zoom, prime.focal_length_mm, prime.units) == (False, 100, "metric")


@pytest.mark.parametrize(
    ("keys", "focal_length_mm", "focus_m"),
    [
        ({}, 50.0, 2.5),
        ({"focal_length": "off"}, None, 2.5),
        ({"units": "imperial"}, 50.0, 2.5 * 2.54),
        # As the lens says it starts: in tenths of an inch.
        ({"asks": False}, 50.0, 2.5 * 2.54),
    ],
)
def test_what_a_record_says_of_the_lens(keys: dict[str, Any], focal_length_mm: float | None, focus_m: float) -> None:
    reader = Assembler()
    reader.feed(KIT.FIXED + END)
    (packet,) = reader.feed(bytes(record()))
    assert isinstance(packet, CookePacket)
    (lens,) = packet.samples(mapping_of("l", source_of(cooke=keys)), Stamp())
    assert isinstance(lens, LensReading)
    assert lens.focal_length_mm == focal_length_mm
    assert lens.focus_distance_m == pytest.approx(focus_m)
    assert lens.t_stop == pytest.approx(2.8)
    assert lens.zoom_raw == 2048.0


def test_a_primes_printed_focal_length_and_a_table_over_the_rings() -> None:
    reader = Assembler()
    reader.feed(b"NS5/100-009OCooke Optics Electronic Lenses!LPN100M100UMt92  B5.03" + END)
    (packet,) = reader.feed(bytes(record(zoom_mm=None)))
    assert isinstance(packet, CookePacket)
    (plain,) = packet.samples(mapping_of("l", source_of()), Stamp())
    (printed,) = packet.samples(mapping_of("l", source_of(cooke={"focal_length": "nominal"})), Stamp())
    table = {"focal_length_mm": [[0, 98.0], [4095, 99.0]], "focus_distance_m": [[0, 0.0], [10000, 10.1]]}
    (tabled,) = packet.samples(mapping_of("l", source_of(lens_table=table)), Stamp())
    for lens in (plain, printed, tabled):
        assert isinstance(lens, LensReading)
    assert plain.focal_length_mm is None  # type: ignore[union-attr]
    assert printed.focal_length_mm == 100.0  # type: ignore[union-attr]
    assert tabled.focal_length_mm == 98.0  # type: ignore[union-attr]
    assert tabled.focus_distance_m == pytest.approx(2.525)  # type: ignore[union-attr]
    # A value no lens has is refused.
    wild = CookePacket(record(pupil_m=-1.0), None)
    (refused,) = wild.samples(mapping_of("l", source_of(cooke={"units": "imperial"})), Stamp())
    assert isinstance(refused, Refusal)


# --- the dialogue -------------------------------------------------------------------------------------------------


def test_the_lens_is_asked_in_order_and_again_when_it_falls_silent() -> None:
    dialogue, now_ns, said = CookeDialogue(), 0, []
    for _ in range(4):
        said.append(dialogue.say(now_ns))
        assert dialogue.say(now_ns) == b""
        dialogue.heard(b"!\n\r", now_ns)
        now_ns += 5 * MS
    assert said == [b"H\r", b"N\r", b"Y\r", b"Kc\r"]
    for _ in range(300):
        dialogue.heard(bytes(record()), now_ns)
        assert dialogue.say(now_ns) == b""
        now_ns += 10 * MS
    assert dialogue.running
    assert dialogue.say(now_ns + 900 * MS) == b""
    assert dialogue.say(now_ns + 1100 * MS) == b"H\r"


def test_a_lens_that_answers_nothing_is_tried_at_both_rates() -> None:
    dialogue, bauds, commands = CookeDialogue(), [], []
    for tick in range(1200):
        word = dialogue.say(tick * 20 * MS)
        if word:
            commands.append(word)
            bauds.append(dialogue.baud)
    assert commands[:5] == [b"H\r", b"N\r", b"Y\r", b"Kc\r", b"H\r"]
    assert set(bauds) == set(BAUDS)
    assert bauds.index(BAUDS[1]) == 8
    assert bauds[16] == BAUDS[0]


# --- the device ---------------------------------------------------------------------------------------------------


@pytest.fixture
def lens(tmp_path: Path) -> Iterator[Any]:
    made = Lens(tmp_path / "ttyLens")
    yield made
    made.pull_out()


def waiting(fd: int) -> int:
    return int(struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0\0\0\0"))[0])


class Line:
    """A receiver, its lens and the time."""

    def __init__(self, lens: Any, device: Path, **keys: Any) -> None:
        self.clock, self.lens = VirtualClock(), lens
        self.source = source_of(listen=f"serial:{device}", **keys)
        self.receiver = SerialReceiver("l", self.source, self.clock)
        self.reader, self.found = Assembler(), list[tuple[int, CookeRecord]]()

    def receive(self) -> None:
        for arrival in self.receiver.receive():
            for item in self.reader.feed(arrival.data):
                if isinstance(item, CookePacket):
                    self.found.append((arrival.t_received_ns, item.record))

    def talk(self) -> None:
        """Until the lens has been told to send."""

        def told() -> bool:
            self.clock.advance_by(MS)
            self.receive()
            self.lens.step()
            return bool(self.lens.sends)

        until(told)

    def close(self) -> None:
        self.receiver.close()


def test_a_lens_is_told_to_send_and_read(lens: Any, tmp_path: Path) -> None:
    line = Line(lens, tmp_path / "ttyLens")
    line.talk()
    assert [word for i, word in enumerate(lens.heard) if word not in lens.heard[:i]] == [b"H", b"N", b"Y", b"Kc"]
    assert line.reader.fixed is not None
    assert line.reader.fixed.is_zoom
    speeds = termios.tcgetattr(line.receiver.fileno())[4:6]
    assert speeds == [termios.B115200, termios.B115200]
    sent = [record(focus_m=1.0 + i) for i in range(3)]
    lens.send(*sent)
    until(lambda: waiting(line.receiver.fileno()) >= 3 * 41)
    # Three records wake whoever waits.
    assert select.select([line.receiver.fileno()], [], [], 5.0)[0]
    line.receive()
    assert [one for _, one in line.found] == sent
    # Each is stamped with the time its last byte came: 41 bytes of ten bits take 3.56 ms.
    stamps = [t_ns for t_ns, _ in line.found]
    assert stamps[-1] == line.clock.now_ns()
    assert np.diff(stamps) == pytest.approx([41 * 10 * NS_PER_S / 115_200] * 2, abs=50)
    line.close()
    until(lambda: lens.step() > 0)
    assert lens.heard[-1] == b"H"


def test_a_line_that_is_unplugged_is_read_again_when_it_is_back(lens: Any, tmp_path: Path) -> None:
    line = Line(lens, tmp_path / "ttyLens")
    line.talk()
    fd = line.receiver.fileno()
    lens.pull_out()
    until(lambda: (line.receive(), line.receiver.trouble != "")[1])
    # Whoever waits on it sleeps, and its number stays.
    assert line.receiver.fileno() == fd
    assert select.select([fd], [], [], 0.0)[0] == []
    line.clock.advance_by(2 * NS_PER_S)
    line.receive()
    assert "No such file" in line.receiver.trouble
    lens.plug_in()
    line.receive()
    assert line.receiver.trouble != ""  # it is looked for once a second
    line.clock.advance_by(2 * NS_PER_S)
    line.receive()
    assert line.receiver.trouble == ""
    assert line.receiver.fileno() == fd
    line.talk()
    lens.send(record(focus_m=7.0))
    until(lambda: waiting(fd) >= 41)
    line.receive()
    assert line.found[-1][1].focus == 7000
    line.close()


def test_only_listening_says_nothing(lens: Any, tmp_path: Path) -> None:
    line = Line(lens, tmp_path / "ttyLens", cooke={"asks": False})
    for _ in range(50):
        line.clock.advance_by(100 * MS)
        line.receive()
        lens.step()
    assert lens.heard == []
    lens.send(record())
    until(lambda: waiting(line.receiver.fileno()) >= 41)
    line.receive()
    assert len(line.found) == 1
    line.close()
    assert lens.step() == 0


def test_a_file_that_is_no_line_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    line = Line(None, tmp_path / "file")
    assert "is no serial line" in line.receiver.trouble
    line.close()


def test_freed_comes_over_a_line_too(lens: Any, tmp_path: Path) -> None:
    device = tmp_path / "ttyLens"
    config = {"sources": {"t": {"protocol": "freed", "listen": f"serial:{device}", "camera": "a"}}}
    clock = VirtualClock()
    inputs = TrackingInputs(TrackingConfig.model_validate(config), clock)
    inputs.open()
    (fd,) = inputs.filenos()
    assert termios.tcgetattr(fd)[4] == termios.B38400
    # A pseudo-terminal has no parity; a real line is set to the odd one of the maker's manual.
    line = inputs.config.sources["t"].serial_line
    assert line is not None
    assert (line.odd_parity, line.bits_per_byte) == (True, 11)
    pose = pose_from_pan_tilt_roll((0.5, 1.0, 1.5), pan_deg=20.0)
    stream = b"".join(data for n in range(10) for data in encoder("freed")(Moment(pose, n, n)))
    taken = []
    for at in range(0, len(stream), 37):
        os.write(lens.far, stream[at : at + 37])
        until(lambda at=at: waiting(fd) >= len(stream[at : at + 37]))
        clock.advance_by(40 * MS)
        taken += inputs.drain()
    assert len(taken) == 10
    assert len(stream) == 10 * SIZE
    np.testing.assert_allclose(taken[-1].stage_from_camera, pose, atol=1e-4)
    inputs.close()


# --- beside a tracker ---------------------------------------------------------------------------------------------


def test_the_lens_joins_the_pose_and_is_carried_on_to_the_photo(lens: Any, tmp_path: Path) -> None:
    clock, device = VirtualClock(), tmp_path / "ttyLens"
    config = {
        "sources": {
            "t": {"protocol": "opentrackio", "listen": "127.0.0.1:0", "camera": "a"},
            "l": {"protocol": "cooke", "listen": f"serial:{device}", "camera": "a", "delays": {"lens_ms": 10.0}},
        }
    }
    inputs = TrackingInputs(TrackingConfig.model_validate(config), clock, rate=Rate(25))
    inputs.open()
    encode, pose = encoder("opentrackio", rate=Rate(50)), pose_from_pan_tilt_roll((0.0, 0.0, 1.5))
    own = LensReading(focal_length_mm=33.0, f_stop=4.0)

    def photo(n: int) -> Any:
        for data in encode(Moment(pose, n, 1_700_000_000 * NS_PER_S + n * 20 * MS, own)):
            inputs.inject("t", data)
        inputs.drain()
        return inputs.predict("a", clock.now_ns() + 40 * MS)

    def talked() -> bool:
        clock.advance_by(MS)
        inputs.drain()
        lens.step()
        return bool(lens.sends)

    until(talked)
    first = photo(0)
    assert first.sample.lens.focal_length_mm == 33.0
    fd = inputs.filenos()[-1]
    for n in range(1, 60):
        # Focus by its reciprocal, evenly: what is carried on to the photo is right.
        lens.send(record(focus_m=1.0 / (0.1 + 0.005 * n), zoom_mm=35.0, pupil_m=0.05))
        until(lambda: waiting(fd) >= 41)
        clock.advance_by(20 * MS)
        found = photo(n)
    said = found.sample.lens
    assert said.focal_length_mm == 35.0  # the lens knows better
    assert said.entrance_pupil_m == pytest.approx(0.05)
    assert said.f_stop == 4.0  # what it does not say comes with the pose
    # 40 ms to the photo, and it is 10 ms older than it came: two and a half steps on.
    assert 1.0 / said.focus_distance_m == pytest.approx(0.1 + 0.005 * (59 + 2.5), rel=2e-2)
    assert inputs.state("l") is State.OK
    told = inputs.statistics()["l"]
    assert (told.samples, told.refused) == (59, {"other_message": told.refused["other_message"]})
    assert told.age_ms == pytest.approx(0.0, abs=1.0)
    assert inputs.moving("a") == "t"
    assert inputs.alarms() == []
    # Its cable is pulled: what comes with the pose counts again, its last word for the rest, and it is an alarm.
    lens.pull_out()
    for n in range(60, 110):
        clock.advance_by(20 * MS)
        found = photo(n)
    assert found.sample.lens.focal_length_mm == 33.0
    assert found.sample.lens.entrance_pupil_m == pytest.approx(0.05)
    codes = {alarm.code: alarm for alarm in inputs.alarms()}
    assert set(codes) == {"tracking.source_lost", "tracking.device"}
    assert codes["tracking.device"].path == "tracking/sources/l"
    lens.plug_in()
    inputs.close()


def test_a_device_that_is_not_there_holds_nothing_up(tmp_path: Path) -> None:
    config = {
        "sources": {
            "t": {"protocol": "freed", "listen": "127.0.0.1:0", "camera": "a"},
            "l": {"protocol": "cooke", "listen": f"serial:{tmp_path}/none", "camera": "a"},
        }
    }
    inputs = TrackingInputs(TrackingConfig.model_validate(config), VirtualClock())
    inputs.open()
    for data in encoder("freed")(Moment(np.eye(4), 0, 0)):
        inputs.inject("t", data)
    assert inputs.predict("a", 2 * NS_PER_S) is not None
    (alarm,) = [alarm for alarm in inputs.alarms() if alarm.code == "tracking.device"]
    assert "No such file" in alarm.detail
    inputs.close()


def test_records_come_over_the_network_too() -> None:
    """A bridge from the line to UDP sends the bytes as they come."""
    inputs = TrackingInputs(
        TrackingConfig.model_validate(
            {
                "sources": {
                    "t": {"protocol": "freed", "listen": "127.0.0.1:40000", "camera": "a"},
                    "l": {"protocol": "cooke", "listen": "127.0.0.1:40003", "camera": "a"},
                }
            }
        ),
        VirtualClock(),
    )
    for data in encoder("freed")(Moment(np.eye(4), 0, 0)):
        inputs.inject("t", data)
    stream = bytes(record(focus_m=3.0)) * 2
    for at in range(0, len(stream), 30):
        inputs.inject("l", stream[at : at + 30], sender=("10.0.0.9", 5000))
    found = inputs.predict("a", 2 * NS_PER_S)
    assert found is not None
    assert found.sample.lens is not None
    assert found.sample.lens.focus_distance_m == 3.0
    assert inputs.lens("a", None, 2 * NS_PER_S) is not None


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"listen": "serial:ttyUSB0"}, "names no device"),
        ({"listen": "serial:/dev/ttyUSB0@1200"}, "no rate"),
        ({"listen": "serial:/dev/ttyUSB0", "protocol": "osc"}, "not sent over serial lines"),
        ({"listen": "serial:/dev/ttyUSB0", "allow": ["10.0.0.1"]}, "one end"),
        ({"camera": ""}, "name the camera"),
    ],
)
def test_what_cannot_be_is_told(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        source_of(**keys)


def test_no_subject_follows_a_lens() -> None:
    with pytest.raises(ValueError, match="carries no poses"):
        TrackingConfig.model_validate(
            {
                "sources": {"l": {"protocol": "cooke", "listen": "127.0.0.1:1", "camera": "a"}},
                "subjects": {"s": {"source": "l"}},
            }
        )


def test_readings_out_of_order_are_let_go_and_old_ones_forgotten() -> None:
    track = LensTrack()
    assert (track.newest, track.period_ns, track.at(0)) == (None, None, None)
    for n in (0, 1, 2, 1, 2):
        track.add(n * 20 * MS, n, LensReading(focal_length_mm=30.0 + n))
    assert track.period_ns == 20 * MS
    assert track.newest is not None
    assert track.newest.lens == LensReading(focal_length_mm=32.0)
    for n in range(3, 500):
        track.add(n * 20 * MS, n, LensReading(focal_length_mm=30.0))
    assert len(track._samples) < 60
    assert Arrival(b"", "", 0, 0).data == b""
