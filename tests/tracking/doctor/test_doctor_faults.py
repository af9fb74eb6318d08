"""What is wrong is found with roughly its true figures, what is healthy is not accused, what is proposed mends it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stage.frames import Array, pan_tilt_roll_from_rotation, pose, rotation_from_pan_tilt_roll
from tracking.doctor.diagnose import diagnose
from tracking.doctor.heard import Heard
from tracking.encoders import PROTOCOLS
from tracking.faults import Faults
from tracking.moves import MOVES
from tracking.receivers import Arrival

_SPEC = importlib.util.spec_from_file_location("_doctorkit", Path(__file__).parent / "_doctorkit.py")
assert _SPEC is not None
assert _SPEC.loader is not None
kit = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(kit)


def only_body(report: Any) -> Any:
    return report.senders[0].bodies[0]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nothing_healthy_is_accused(protocol: str) -> None:
    for name in MOVES:
        report = kit.examined(protocol, name=name, seconds_s=5.0)
        assert report.faults == [], name
        assert protocol.startswith(report.senders[0].protocol)
        assert only_body(report).flow.rate_hz == pytest.approx(60.0, rel=1e-3)
        assert f"protocol: {report.senders[0].protocol}" in report.section


@pytest.mark.slow
@pytest.mark.parametrize("rate_hz", [24, 50, 240])
@pytest.mark.parametrize("name", MOVES)
def test_nothing_healthy_is_accused_at_any_rate(name: str, rate_hz: int) -> None:
    for protocol in PROTOCOLS:
        for seed in range(2):
            assert kit.examined(protocol, name=name, seed=seed, rate_hz=rate_hz, seconds_s=6.0).faults == []


@pytest.mark.parametrize("protocol", ["freed", "opentrackio", "mosys_f4", "stype", "psn", "rttrpm", "natnet", "zmq"])
def test_figures_of_a_bad_network(protocol: str) -> None:
    report = kit.examined(protocol, seconds_s=20.0, faults=Faults.of(["T2"], seed=3))
    assert {"loss", "duplicates", "reorder"} <= kit.codes(report)
    flow = only_body(report).flow
    assert flow.rate_hz == pytest.approx(60.0, rel=2e-3)
    assert flow.lost_ratio == pytest.approx(0.05, abs=0.015)
    assert flow.duplicate_ratio == pytest.approx(0.02, abs=0.01)
    assert flow.reorder_ratio == pytest.approx(0.03, abs=0.012)
    # Late by 0 to 8 ms, evenly: 2.3 ms.
    assert flow.jitter_ms == pytest.approx(2.3, abs=0.5)


def test_loss_without_a_counter_is_told_by_gaps() -> None:
    flow = only_body(kit.examined("osc", seconds_s=20.0, faults=Faults.of(["loss"], seed=1))).flow
    assert flow.counted_by == "arrivals"
    assert flow.lost_ratio == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize(
    ("fault", "code", "protocol"),
    [
        ("T1", "stops", "freed"), ("T3", "loss", "osc"), ("T5", "clock_jumps", "opentrackio"),
        ("T5:back", "clock_jumps", "zmq"), ("T5:stand", "clock_stands", "mosys_f4"),
        ("T7:zero_quaternion", "zero_quaternion", "zmq"), ("T7:nan", "broken", "opentrackio"),
        ("T7:far", "jumps", "osc"),
        ("T8", "broken", "freed"), ("T9", "flood", "freed"), ("T9", "flood", "opentrackio"),
        ("T10", "second_sender", "freed"), ("jitter", "jitter", "freed"),
    ],
)  # fmt: skip
def test_each_fault_is_named(fault: str, code: str, protocol: str) -> None:
    text = "T9:hz=3000" if fault == "T9" else fault
    assert code in kit.codes(kit.examined(protocol, faults=Faults.of([text], seed=2)))


@pytest.mark.parametrize(("fault", "protocol"), [("T4", "freed"), ("T5:wrap", "opentrackio"), ("jitter", "zmq")])
def test_what_the_reader_takes_out_is_no_fault(fault: str, protocol: str) -> None:
    assert kit.examined(protocol, faults=Faults.of([fault], seed=2)).faults == []


def test_a_clock_that_drifts_and_one_at_another_rate() -> None:
    body = only_body(kit.examined("opentrackio", seconds_s=20.0, faults=Faults.of(["T5:drift"], seed=1)))
    assert body.clock.drift_ppm == pytest.approx(200.0, abs=5.0)
    # Time code that counts 24 frames a second while the camera runs at 25.
    arrivals = kit.arrivals_of("mosys_f4", rate_hz=24, seconds_s=10.0)
    faster = [Arrival(a.data, a.host, a.port, kit.T0_NS + (a.t_received_ns - kit.T0_NS) * 24 // 25) for a in arrivals]
    report = diagnose([kit.heard(faster, "mosys_f4")])
    assert kit.codes(report) == {"clock_rate"}
    assert "4.1" in report.faults[0].says
    assert "match: arrival" in report.section


def test_checksum_styles() -> None:
    def changed(make: Any) -> Any:
        arrivals = kit.arrivals_of("freed", seconds_s=2.0)
        return diagnose(
            [
                kit.heard(
                    [
                        Arrival(a.data[:-1] + bytes((make(a.data[:-1]),)), a.host, a.port, a.t_received_ns)
                        for a in arrivals
                    ],
                    "freed",
                )
            ]
        )

    zero = changed(lambda body: 0)
    assert zero.senders[0].checksum == "0, never filled in"
    assert "checksum: zero" in zero.section
    bare = changed(lambda body: -sum(body) & 0xFF)
    assert "0 instead of 0x40" in bare.senders[0].checksum
    assert "checksum: ignore" in bare.section
    assert "XOR" in changed(lambda body: __import__("functools").reduce(lambda a, b: a ^ b, body)).senders[0].checksum
    assert kit.codes(bare) == {"checksum"}


# --- wrong maps on a tripod ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "keys",
    [{"signs": {"tilt": -1}}, {"signs": {"pan": -1}}, {"axes": {"z": "-z"}}, {"axes": {"x": "y", "y": "x"}},
     {"axes": {"y": "z", "z": "y"}}],
)  # fmt: skip
@pytest.mark.parametrize("protocol", ["freed", "opentrackio", "mosys_f4"])
def test_a_tripod_shows_wrong_signs(protocol: str, keys: dict[str, Any]) -> None:
    arrivals = kit.arrivals_of(protocol, name="tripod", seconds_s=15.0, spoil=kit.told_wrongly(keys))
    report = diagnose([kit.heard(arrivals, protocol)])
    assert kit.codes(report) & {"signs"}
    # What is proposed makes places and turns agree (mirror images of the truth do, too).
    source = only_body(report).source
    corrected = kit.told_wrongly({"axes": source.get("axes", {}), "signs": source.get("signs", {})})
    wrong = kit.told_wrongly(keys)
    from calibration.pivot import fit_pivot
    from tracking.moves import move

    poses = [move("tripod").pose(t) for t in np.arange(0.0, 15.0, 0.1)]
    # A source undoes what `told_wrongly` does.
    read = [undone(corrected, wrong(p)) for p in poses]
    assert fit_pivot(read).rms_mm < 0.1


def undone(spoil: Any, told: Array) -> Array:
    """The pose that `spoil` makes `told` of: signs and axes are their own inverses but for permutations."""
    probe = np.eye(4)
    columns = []
    for i in range(3):
        probe[:3, 3] = np.eye(3)[i]
        columns.append(spoil(probe)[:3, 3])
    inverse = np.linalg.inv(np.array(columns).T)
    out = spoil(pose((0.0, 0.0, 0.0), told[:3, :3]))
    out[:3, 3] = inverse @ told[:3, 3]
    return np.asarray(out)


@pytest.mark.parametrize(("name", "code"), [("tripod", "doctor.tripod"), ("handheld", "doctor.signs_unknown")])
def test_it_says_whether_signs_were_judged(name: str, code: str) -> None:
    findings = only_body(kit.examined("freed", name=name, seconds_s=15.0)).findings
    assert {"doctor.tripod", "doctor.signs_unknown"} & {f.code for f in findings} == {code}
    assert all(f.weight == "note" for f in findings)


def test_the_real_take_with_a_sign_turned(reference: Path) -> None:
    from tracking.protocols.mosys_f4 import PAN, ROLL, TILT, F4Packet, parse

    data = (reference / "tracking/mosys_f4/A003_C001_frames_0000_0699.f4").read_bytes()
    for axis, name in ((PAN, "pan"), (TILT, "tilt"), (ROLL, "roll")):
        arrivals = []
        for i in range(0, len(data), 105):
            (packet,) = parse(data[i : i + 105])
            assert isinstance(packet, F4Packet)
            axes = bytearray(packet.axes)
            at = packet.index[axis] + 2
            axes[at : at + 3] = (-(packet.signed(axis) or 0)).to_bytes(3, "big", signed=True)
            turned = F4Packet(packet.camera_id, packet.status, bytes(axes), packet.index)
            arrivals.append(Arrival(bytes(turned), "", 0, i // 105 * 40_000_000))
        report = diagnose([Heard("", arrivals)])
        assert kit.codes(report) == {"signs"}, name
        assert only_body(report).source["signs"] == {name: -1}


def test_wrong_handedness_and_up_axes_are_named() -> None:
    from tracking.config import Source
    from tracking.encoders import encoder
    from tracking.moment import Moment
    from tracking.moves import move

    for protocol, section, code, name in (
        ("stype", {"stype": {"convention": "hf_client"}}, "handedness", "tripod"),
        ("natnet", {"natnet": {"up": "z"}}, "up_axis", "handheld"),
        ("rttrpm", {"rttrpm": {"up": "y"}}, "up_axis", "handheld"),
    ):
        source = Source.model_validate({"protocol": protocol, "listen": "127.0.0.1:4000", "camera": "a", **section})
        encode, pose_at = encoder(protocol, source=source), move(name, 1).pose
        arrivals = []
        for n in range(900):
            t_ns = n * 16_666_667
            arrivals += [
                Arrival(d, kit.HOST, kit.PORT, kit.T0_NS + t_ns)
                for d in encode(Moment(pose_at(t_ns / 1e9), n, kit.UNIX_NS + t_ns))
            ]
        report = diagnose([kit.heard(arrivals, protocol)])
        assert code in kit.codes(report), protocol
        key, value = next(iter(section.items()))
        assert only_body(report).source[key] == value


def test_units() -> None:
    def scaled(k: float) -> Any:
        def spoil(p: Array) -> Array:
            out = p.copy()
            out[:3, 3] *= k
            return out

        return spoil

    big = kit.examined("zmq", spoil=scaled(1000.0))
    assert kit.codes(big) == {"unit"}
    assert "millimetres" in big.faults[0].says
    osc = kit.examined("osc", spoil=scaled(1000.0))
    assert kit.codes(osc) == {"unit"}
    assert "x_mm, y_mm, z_mm, pan_deg" in osc.section
    small = kit.examined("freed", spoil=scaled(0.001))
    assert kit.codes(small) == {"unit"}
    assert "metres where millimetres belong" in small.faults[0].says
    head = kit.examined("freed", spoil=scaled(0.0))
    assert head.faults == []
    assert "doctor.no_position" in {f.code for f in only_body(head).findings}


def test_radians_on_a_tripod() -> None:
    def radians(p: Array) -> Array:
        return pose(p[:3, 3], rotation_from_pan_tilt_roll(*np.radians(pan_tilt_roll_from_rotation(p))))

    assert kit.codes(kit.examined("opentrackio", name="tripod", seconds_s=15.0, spoil=radians)) == {"radians"}


def test_wraps_freezes_repeats_and_shared_ids() -> None:
    def panned(offset_deg: float) -> Any:
        turn = pose((0.0, 0.0, 0.0), rotation_from_pan_tilt_roll(offset_deg, 0.0, 0.0))
        return lambda p: turn @ p

    # Panning over 180 degrees is no fault.
    assert kit.examined("freed", spoil=panned(178.0), seconds_s=20.0).faults == []
    arrivals = kit.arrivals_of("zmq", name="orbit", seconds_s=6.0)
    frozen = [arrivals[min(i, 120) if i < 170 else i] for i in range(len(arrivals))]
    numbered = [
        Arrival(old.data, old.host, old.port, new.t_received_ns) for old, new in zip(frozen, arrivals, strict=True)
    ]
    # (Doubles by its counter: the poses alone tell that it froze.)
    freed_frozen = kit.arrivals_of("osc", name="orbit", seconds_s=6.0)
    held = [
        Arrival(freed_frozen[120 if 120 < i < 170 else i].data, a.host, a.port, a.t_received_ns)
        for i, a in enumerate(freed_frozen)
    ]
    assert "frozen" in kit.codes(diagnose([kit.heard(held, "osc")]))
    assert diagnose([kit.heard(numbered, "zmq")]).faults
    twice = [
        Arrival(freed_frozen[i // 2 * 2].data, a.host, a.port, a.t_received_ns) for i, a in enumerate(freed_frozen)
    ]
    report = diagnose([kit.heard(twice, "osc")])
    assert "30.0 times a second" in next(f.says for f in only_body(report).findings if f.code == "doctor.repeats")
    other = kit.arrivals_of("freed", name="dolly", seconds_s=6.0, late_ns=lambda _: 3_000_000)
    mixed = sorted([*kit.arrivals_of("freed", name="crane", seconds_s=6.0), *other], key=lambda a: a.t_received_ns)
    assert "two_cameras" in kit.codes(diagnose([kit.heard(mixed, "freed")]))


def test_silence_and_strangers() -> None:
    assert kit.codes(diagnose([Heard("127.0.0.1:4000", [])])) == {"silence"}
    artnet = [Arrival(b"Art-Net\0" + bytes(20), "10.0.0.9", 6454, i * 10_000_000) for i in range(50)]
    alone = diagnose([kit.heard(artnet, "freed")])
    assert kit.codes(alone) == {"unknown"}
    assert "Art-Net" in alone.faults[0].says
    beside = diagnose([kit.heard([*artnet, *kit.arrivals_of("freed", seconds_s=2.0)], "freed")])
    assert beside.faults == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_broken_datagrams_never_raise(protocol: str) -> None:
    for seed in range(3):
        arrivals = kit.arrivals_of(protocol, seconds_s=2.0, faults=Faults.of(["T8:share=0.9", "T5:stand"], seed))
        report = diagnose([kit.heard(arrivals, protocol)])
        assert protocol.startswith(report.senders[0].protocol or protocol)
