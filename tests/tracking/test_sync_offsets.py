"""OpenTrackIO's offsets between sync and sample: each part of a sample is placed where it was taken."""

from __future__ import annotations

from math import log
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from runtime.clock import VirtualClock
from stage.frames import Array, pan_tilt_roll_from_rotation, pose_from_pan_tilt_roll
from stage.rate import NS_PER_S, Rate
from tracking.config import Delays, Source, TrackingConfig
from tracking.encoders import opentrackio_packet
from tracking.inputs import TrackingInputs
from tracking.lags import Lags
from tracking.moment import Moment
from tracking.protocols.opentrackio import CBOR, JSON, OpenTrackIOPacket, parse
from tracking.protocols.opentrackio_sample import Synchronization, SyncOffsets
from tracking.sample import LensReading

MS = NS_PER_S // 1000
HZ = 50
SPEED_M_S = 0.5
TURN_DEG_S = 20.0


def steady(place_s: float, turn_s: float) -> Array:
    return pose_from_pan_tilt_roll((SPEED_M_S * place_s, 0.0, 1.5), pan_deg=TURN_DEG_S * turn_s)


def datagram(n: int, offsets_s: tuple[float, float, float] | None, *, encoding: int = JSON) -> bytes:
    """A sample stamped n / HZ whose parts were taken so long after it."""
    t_s, (place_s, turn_s, lens_s) = n / HZ, offsets_s or (0.0, 0.0, 0.0)
    lens = LensReading(focal_length_mm=30.0 * 1.2 ** (t_s + lens_s))
    moment = Moment(steady(t_s + place_s, t_s + turn_s), n, 1_700_000_000 * NS_PER_S + n * NS_PER_S // HZ, lens)
    packet = opentrackio_packet(
        moment, source_id="urn:uuid:00000000-0000-4000-8000-000000000001", source_number=1, rate=Rate(HZ)
    )
    timing = packet.sample.timing
    assert timing is not None
    if offsets_s is not None:
        said = Synchronization(locked=True, source="genlock", offsets=SyncOffsets(place_s, turn_s, lens_s))
        timing = structs.replace(timing, synchronization=said)
    sample = structs.replace(packet.sample, timing=timing)
    return bytes(OpenTrackIOPacket.build(sample, sequence=n & 0xFFFF, encoding=encoding))


def stage(**fields: Any) -> tuple[TrackingInputs, VirtualClock, int]:
    clock = VirtualClock()
    source = {"protocol": "opentrackio", "camera": "a", "listen": "127.0.0.1:40000", **fields}
    inputs = TrackingInputs(TrackingConfig.model_validate({"sources": {"t": source}}), clock, rate=Rate(25))
    return inputs, clock, clock.now_ns()


def seen(inputs: TrackingInputs, t0_ns: int, t_s: float) -> tuple[float, float, float]:
    """By how many seconds of movement place, turn and lens lie off where they are at `t_s`."""
    photo = inputs.predict("a", t0_ns + round(t_s * NS_PER_S))
    assert photo is not None
    assert photo.sample.lens is not None
    assert photo.sample.lens.focal_length_mm is not None
    pose = photo.stage_from_camera
    return (
        float(pose[0, 3]) / SPEED_M_S - t_s,
        pan_tilt_roll_from_rotation(pose)[0] / TURN_DEG_S - t_s,
        log(photo.sample.lens.focal_length_mm / 30.0) / log(1.2) - t_s,
    )


@pytest.mark.parametrize(
    "offsets_s", [(0.02, -0.005, 0.03), (-0.03, -0.03, -0.03), (0.0, 0.012, -0.05), (0.04, 0.04, 0.04)]
)
@pytest.mark.parametrize("encoding", [JSON, CBOR])
def test_each_part_is_placed_where_it_was_sampled(offsets_s: tuple[float, float, float], encoding: int) -> None:
    inputs, clock, t0_ns = stage()
    for n in range(150):
        clock.advance_to(t0_ns + n * NS_PER_S // HZ + 45 * MS)
        inputs.inject("t", datagram(n, offsets_s, encoding=encoding))
        inputs.adapt()
    # The way of 45 ms is in every arrival: the line under the quickest takes it for the sender's clock.
    now_s = 149 / HZ + 0.045
    for part in seen(inputs, t0_ns, now_s + 0.02):
        assert part == pytest.approx(-0.045, abs=1.5e-3)
    assert inputs.statistics()["t"].refused == {}


def test_configured_delays_come_on_top_and_the_other_reading_can_be_chosen() -> None:
    offsets_s = (0.02, -0.005, 0.03)
    apart = {"delay_ms": -3.0, "delays": {"position_ms": 8.0, "lens_ms": -4.0}}
    for way, sign in (("after", 0.0), ("off", -1.0), ("before", -2.0)):
        inputs, clock, t0_ns = stage(opentrackio={"offsets": way}, **apart)
        for n in range(150):
            clock.advance_to(t0_ns + n * NS_PER_S // HZ)
            inputs.inject("t", datagram(n, offsets_s))
            inputs.adapt()
        found = seen(inputs, t0_ns, 149 / HZ + 0.02)
        delays_s = (-0.003 + 0.008, -0.003, -0.003 - 0.004)
        for part, offset_s, delay_s in zip(found, offsets_s, delays_s, strict=True):
            # A delay says older than it is here: it is predicted so much further. What is not believed is missing.
            assert part == pytest.approx(delay_s - sign * offset_s, abs=1.5e-3)


def test_offsets_that_begin_or_change_while_it_runs_hold_at_once() -> None:
    inputs, clock, t0_ns = stage()
    turns = [None, (0.02, -0.005, 0.03), (0.0, 0.02, 0.0)]
    for n in range(240):
        clock.advance_to(t0_ns + n * NS_PER_S // HZ)
        inputs.inject("t", datagram(n, turns[n // 80]))
        inputs.adapt()
        if n > 60:
            # For a third of a second after parts have come apart otherwise, steps between samples tell of both.
            limit_s = 2e-3 if n % 80 > 16 else 8e-3
            for part in seen(inputs, t0_ns, n / HZ + 0.02)[:2]:
                assert abs(part) < limit_s
    assert inputs.statistics()["t"].refused == {}
    assert inputs.history("t").samples[-1].t_sampled_ns == t0_ns + 239 * NS_PER_S // HZ
    # A new configuration keeps what the tracker says.
    inputs.apply(inputs.config)
    assert abs(seen(inputs, t0_ns, 239 / HZ + 0.02)[1]) < 2e-3


def test_offsets_no_tracker_has_are_not_believed() -> None:
    packet = parse(datagram(0, (1.0, 2.0, -1e9)))[0]
    assert isinstance(packet, OpenTrackIOPacket)
    assert packet.offsets_ns == (NS_PER_S, 0, 0)
    plain = parse(datagram(0, None))[0]
    assert isinstance(plain, OpenTrackIOPacket)
    assert plain.offsets_ns == (0, 0, 0)


@given(
    st.tuples(*[st.integers(-500, 500)] * 3),
    st.tuples(*[st.integers(-(10**9), 10**9)] * 3),
)
def test_lags_are_delays_less_offsets(delays_ms: tuple[int, int, int], offsets_ns: tuple[int, int, int]) -> None:
    source = Source(
        protocol="opentrackio",
        listen="127.0.0.1:1",
        camera="a",
        delays=Delays(position_ms=delays_ms[0], rotation_ms=delays_ms[1], lens_ms=delays_ms[2]),
    )
    lags = Lags.of(source, 40 * MS).after(offsets_ns)
    of_parts = tuple(lags.pose_ns - younger for younger in (lags.position_ns, lags.rotation_ns, lags.lens_ns))
    assert of_parts == tuple(ms * MS - offset for ms, offset in zip(delays_ms, offsets_ns, strict=True))
    assert min(lags.position_ns, lags.rotation_ns) == 0
    assert lags.after(offsets_ns, -1) == Lags.of(source, 40 * MS)
