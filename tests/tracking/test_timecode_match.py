"""A tracker's time code and the show's name the same instants: every rate, drop-frame or not, over midnight."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from runtime.clock import VirtualClock
from stage.rate import NS_PER_S, Rate
from stage.timecode import LabelParts, TimeOfDay, day_length_ns, frames_per_day, parts_at
from tracking.config import TrackingConfig
from tracking.encoders import opentrackio_packet
from tracking.inputs import TrackingInputs
from tracking.moment import Moment
from tracking.moves import move
from tracking.protocols.mosys_f4 import PAN, TIMECODE, Assembler, F4Packet
from tracking.protocols.opentrackio import OpenTrackIOPacket
from tracking.protocols.opentrackio_sample import Ratio, Timecode
from tracking.source_clock import DAY_NS
from tracking.timecode_match import SaidLabel, TimecodeMatch

MS = NS_PER_S // 1000
STILL = move("tripod").pose(1.0)
COUNTS = [
    (Rate(24), False), (Rate(25), False), (Rate(30), False), (Rate(24000, 1001), False),
    (Rate(30000, 1001), False), (Rate(30000, 1001), True), (Rate(60000, 1001), True),
]  # fmt: skip
"""Rates and whether they drop labels."""


def test_days_of_labels_are_as_long_as_their_frames() -> None:
    assert day_length_ns(Rate(30000, 1001)) == DAY_NS - 86_400_000
    assert day_length_ns(Rate(30000, 1001), drop_frame=False) == DAY_NS + 86_400_000_000
    assert day_length_ns(Rate(60000, 1001)) == DAY_NS - 86_400_000
    assert day_length_ns(Rate(24000, 1001)) == DAY_NS + 86_400_000_000
    assert day_length_ns(Rate(25)) == DAY_NS


@given(
    st.sampled_from(COUNTS), st.one_of(st.integers(-40, 40), st.integers(0, 10**7)), st.integers(-150 * MS, 900 * MS)
)
def test_time_codes_meet_wherever_in_the_day(count: tuple[Rate, bool], frame: int, age_ns: int) -> None:
    rate, drop = count
    day_ns, t_ns = day_length_ns(rate, drop_frame=drop), 10**15
    frame %= frames_per_day(rate, drop_frame=drop)
    label = SaidLabel(parts_at(rate, frame, drop_frame=drop), rate, drop_frame=drop)
    show = TimeOfDay((rate.deadline_ns(0, frame) + age_ns) % day_ns, rate, drop)
    match = TimecodeMatch()
    assert match.local_ns(label, t_ns, show) == t_ns - age_ns
    assert match.apart_ns is None


@given(
    st.integers(0, 2_589_407), st.integers(-150 * MS, 900 * MS), st.sampled_from([Rate(30000, 1001), Rate(60000, 1001)])
)
def test_a_label_that_does_not_say_how_it_counts_counts_as_the_show(frame: int, age_ns: int, show_rate: Rate) -> None:
    """Mo-Sys F4 says 30 of 29.97 too, and OpenTrackIO 1.0.0 has no word for drop-frame."""
    rate, t_ns = Rate(30000, 1001), 10**15
    show = TimeOfDay((rate.deadline_ns(0, frame) + age_ns) % day_length_ns(rate), show_rate)
    parts = parts_at(rate, frame)
    for label in (SaidLabel(parts, Rate(30), rate_is_exact=False), SaidLabel(parts, rate)):
        assert TimecodeMatch().local_ns(label, t_ns, show) == t_ns - age_ns


def test_labels_the_show_would_leave_out_are_counted_without_dropping() -> None:
    show = TimeOfDay(60 * NS_PER_S + 60 * MS, Rate(30000, 1001))
    label = SaidLabel(LabelParts(0, 1, 0, 0), Rate(30000, 1001))
    assert TimecodeMatch().local_ns(label, 10**15, show) == 10**15
    assert TimecodeMatch().local_ns(label._replace(drop_frame=True), 10**15, show) is None


def test_time_codes_that_are_not_the_same_are_told() -> None:
    match = TimecodeMatch()
    hour = SaidLabel(LabelParts(1, 0, 0, 0), Rate(25))
    assert match.local_ns(hour, NS_PER_S, TimeOfDay(3605 * NS_PER_S, Rate(25))) is None
    assert match.apart_ns == 5 * NS_PER_S
    # Samples that share a label lie as far apart as they came.
    t0_ns = NS_PER_S

    def show(t_ns: int) -> TimeOfDay:
        return TimeOfDay(3600 * NS_PER_S + t_ns - t0_ns + 3 * MS, Rate(25))

    assert [match.local_ns(hour, t0_ns + n * 4 * MS, show(t0_ns + n * 4 * MS)) for n in range(5)] == [
        t0_ns - 3 * MS + n * 4 * MS for n in range(5)
    ]


# --- through the sockets' way -------------------------------------------------------------------------------------


def opentrackio(rate: Rate, frame: int, drop: bool) -> bytes:
    moment = Moment(STILL, frame, 0)
    packet = opentrackio_packet(
        moment, source_id="urn:uuid:00000000-0000-4000-8000-000000000001", source_number=1, rate=rate
    )
    timing = packet.sample.timing
    assert timing is not None
    parts = parts_at(rate, frame, drop_frame=drop)
    label = Timecode(*parts, frame_rate=Ratio(rate.num, rate.den), drop_frame=drop)
    timing = structs.replace(timing, timecode=label, sample_timestamp=None, sequence_number=frame & 0xFFFF)
    return bytes(OpenTrackIOPacket.build(structs.replace(packet.sample, timing=timing), sequence=frame & 0xFFFF))


def mosys(rate: Rate, frame: int, drop: bool) -> bytes:
    hours, minutes, seconds, frames = parts_at(rate, frame, drop_frame=drop)
    data = hours << 18 | minutes << 12 | seconds << 6 | frames
    code = {24: 0, 25: 1, 30: 2}[round(rate.hz)] << 5
    return bytes(F4Packet.build(1, [(PAN, 0, frame % 100), (TIMECODE, code, data)], status=frame & 15))


@pytest.mark.parametrize(("rate", "drop"), [c for c in COUNTS if c[0].hz < 31])
@pytest.mark.parametrize("protocol", ["opentrackio", "mosys_f4"])
@pytest.mark.parametrize("match", ["timecode", "auto"])
def test_midnight_moves_no_sample(protocol: str, rate: Rate, drop: bool, match: str) -> None:
    """A camera whose time code is the show's, three seconds each side of midnight, datagrams 7 ms on the way."""
    clock = VirtualClock()
    t0_ns, day, way_ns = clock.now_ns(), frames_per_day(rate, drop_frame=drop), 7 * MS
    first, count = day - round(3 * rate.hz), round(6 * rate.hz)

    def show(t_ns: int) -> TimeOfDay:
        since_ns = t_ns - t0_ns + rate.deadline_ns(0, first)
        return TimeOfDay(since_ns % day_length_ns(rate, drop_frame=drop), rate, drop)

    config = {"protocol": protocol, "camera": "a", "listen": "127.0.0.1:40000", "match": match}
    inputs = TrackingInputs(TrackingConfig.model_validate({"sources": {"t": config}}), clock, rate=rate, day_at=show)
    make = opentrackio if protocol == "opentrackio" else mosys
    sampled, wanted = [], []
    for n in range(count):
        taken_ns = t0_ns + rate.deadline_ns(0, first + n) - rate.deadline_ns(0, first)
        clock.advance_to(taken_ns + way_ns)
        got = inputs.inject("t", make(rate, (first + n) % day, drop), taken_ns + way_ns)
        sampled += [s.t_sampled_ns for s in got]
        wanted += [taken_ns] * len(got)
    assert len(sampled) == count
    offs = [a - b for a, b in zip(sampled, wanted, strict=True)]
    if match == "timecode":
        assert set(offs) <= {-1, 0, 1}
    else:
        # By its own clock the quickest datagram's way cannot be seen; over midnight nothing changes.
        assert max(offs) - min(offs) <= 1
    assert [alarm.code for alarm in inputs.alarms()] == []
    assert inputs.statistics()["t"].clock_jumps == 0


def test_f4_time_code_between_frames_keeps_its_place_in_the_frame() -> None:
    reader = Assembler()
    found = []
    for n in range(12):
        frame = n // 4
        data = 10 << 18 | frame
        (packet,) = reader.feed(bytes(F4Packet.build(1, [(PAN, 0, n), (TIMECODE, 1 << 5, data)], status=n & 15)))
        assert isinstance(packet, F4Packet)
        found.append(packet.label)
    last = [label for label in found[8:] if label is not None]
    assert [label.within_ns for label in last] == [0, 10 * MS, 20 * MS, 30 * MS]
    assert {label.parts for label in last} == {LabelParts(10, 0, 0, 2)}
