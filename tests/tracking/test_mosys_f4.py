"""Mo-Sys F4: the real take to the last bit, its tripod, its time code, and what is refused."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.pivot import fit_pivot
from stage.frames import Array, pan_tilt_roll_from_rotation, pose_from_pan_tilt_roll
from tracking.config import Source
from tracking.mapping import mapping_of
from tracking.protocols import mosys_f4
from tracking.protocols.mosys_f4 import STATUS_NAMES, Assembler, F4Packet, parse, real_axis
from tracking.sample import LensReading, Refusal, Sample, Stamp

SIZE = 105
SOURCE: dict[str, Any] = {"protocol": "mosys_f4", "listen": "127.0.0.1:8051", "camera": "a"}
PICTURE_MM = (36.0, 20.25)
FIELDS = {
    "f_0x51_k1": 0x51, "f_0x52_k2": 0x52, "f_0x53_fx_px": 0x53, "f_0x58_fy_px": 0x58, "f_0x54_cx_px": 0x54,
    "f_0x55_cy_px": 0x55, "f_0x50_entrance_pupil_m": 0x50, "f_0x57_inverse_focus_per_m": 0x57, "f_0x56": 0x56,
    "f_0x59": 0x59,
}  # fmt: skip


def mapping(**change: Any) -> Any:
    return mapping_of("t", Source.model_validate(SOURCE | change), picture_mm=PICTURE_MM)


def one(datagram: bytes) -> F4Packet:
    (packet,) = parse(datagram)
    assert isinstance(packet, F4Packet)
    return packet


def sample_of(packet: F4Packet, **change: Any) -> Sample:
    (sample,) = packet.samples(mapping(**change), Stamp())
    assert isinstance(sample, Sample)
    return sample


@pytest.fixture(scope="module")
def take(reference: Path) -> list[bytes]:
    """The take's datagrams."""
    data = (reference / "tracking/mosys_f4/A003_C001_frames_0000_0699.f4").read_bytes()
    return [data[at : at + SIZE] for at in range(0, len(data), SIZE)]


def test_the_take_decodes_exactly(take: list[bytes], reference: Path) -> None:
    with (reference / "tracking/mosys_f4/A003_C001_frames_0000_0699.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(take) == len(rows) == 700
    for datagram, row in zip(take, rows, strict=True):
        packet = one(datagram)
        assert bytes(packet) == datagram
        assert packet.frame_counter == int(row["frame_counter"])
        assert (packet.recording, packet.genlocked) == (row["recording"] == "True", row["sync"] == "True")
        assert str(packet.timecode) == row["timecode"]
        for name, axis in (("pan_deg", 0x01), ("tilt_deg", 0x02), ("roll_deg", 0x13)):
            assert packet.signed(axis) == round(1000 * float(row[name]))
        for name, axis in (("x_raw_10um", 0x05), ("y_raw_10um", 0x06), ("height_raw_10um", 0x07)):
            assert packet.signed(axis) == int(row[name])
        assert (packet.encoder(0x03), packet.encoder(0x04)) == (int(row["focus_raw16"]), int(row["zoom_raw16"]))
        for name, axis in FIELDS.items():
            value = packet.real(axis)
            assert value is not None
            assert value == pytest.approx(float(row[name]), abs=5.1e-7, rel=1e-6)


def test_expected_frames(take: list[bytes], reference: Path) -> None:
    expected = json.loads((reference / "tracking/mosys_f4/expected_frames.json").read_text())
    assert len(expected) >= 20
    for number, frame in expected.items():
        packet = one(take[int(number)])
        assert packet.tracking_status is not None
        assert STATUS_NAMES[packet.tracking_status] == frame["tracker_status"]
        assert str(packet.timecode) == frame["timecode"]
        assert packet.timecode is not None
        assert packet.timecode.fps == 25
        sample = sample_of(packet)
        angles = pan_tilt_roll_from_rotation(sample.stage_from_camera)
        np.testing.assert_allclose(angles, [frame[f"{n}_deg"] for n in ("pan", "tilt", "roll")], atol=1e-9)
        place = [frame[f"{n}_raw_10um"] * 1e-5 for n in ("x", "y", "height")]
        np.testing.assert_allclose(sample.stage_from_camera[:3, 3], place, atol=1e-12)
        assert (sample.quality, sample.sequence) == ("ok", frame["frame_counter"])
        assert sample.lens is not None
        assert (sample.lens.zoom_raw, sample.lens.focus_raw) == (frame["zoom_raw16"], frame["focus_raw16"])


def test_what_third_parties_state(take: list[bytes]) -> None:
    """Facts of the recording that a reader of another maker asserts in its own tests."""
    assert one(take[2]).recording
    assert one(take[6]).frame_counter == 13
    assert str(one(take[8]).timecode) == "15:03:47:10"
    packet = one(take[9])
    assert [(packet.signed(axis) or 0) / 1000 for axis in (5, 6, 7)] == [-8.121, -185.368, 119.806]
    packet = one(take[10])
    assert [(packet.signed(axis) or 0) / 1000 for axis in (1, 2, 0x13)] == [-2.969, -28.03, 3.1]
    packet = one(take[11])
    assert (packet.encoder(3) or 0) / 65536 == 0.7643280029296875
    assert (packet.encoder(4) or 0) / 65536 == 0.0014190673828125
    assert (one(take[12]).real(0x51), one(take[12]).real(0x52)) == (0.15680991113185883, -0.0881580114364624)
    assert one(take[13]).real(0x54) == pytest.approx(-7.783590793609619, abs=1e-15)
    assert one(take[13]).real(0x55) == pytest.approx(6.896144866943359, abs=1e-15)


def poses_of(take: list[bytes], signs: tuple[int, ...] = (1, 1, 1, 1, 1, 1)) -> Array:
    poses = []
    for datagram in take:
        pose = sample_of(one(datagram)).stage_from_camera
        values = [s * v for s, v in zip(signs, (*pan_tilt_roll_from_rotation(pose), *pose[:3, 3]), strict=True)]
        pan, tilt, roll, x, y, z = values
        poses.append(pose_from_pan_tilt_roll((x, y, z), pan_deg=pan, tilt_deg=tilt, roll_deg=roll))
    return np.array(poses)


def test_the_take_stands_on_one_tripod(take: list[bytes]) -> None:
    fit = fit_pivot(poses_of(take))
    assert fit.rms_mm <= 0.6
    for flipped in range(6):
        signs = tuple(-1 if i == flipped else 1 for i in range(6))
        assert fit_pivot(poses_of(take, signs)).rms_mm > 0.9, f"sign {flipped} makes no difference"


def test_every_packet_has_a_broken_twin(take: list[bytes]) -> None:
    for n, datagram in enumerate(take[:SIZE]):
        broken = bytearray(datagram)
        broken[n % SIZE] ^= 0x10
        reasons = [item.reason for item in parse(bytes(broken)) if isinstance(item, Refusal)]
        assert reasons, f"byte {n % SIZE}"
        assert reasons[0] == ("magic" if n == 0 else "short" if n == 2 and broken[2] > 20 else "checksum")
        assert not any(isinstance(item, F4Packet) for item in parse(bytes(broken)))
    assert [i.reason for i in parse(take[0][:-1]) if isinstance(i, Refusal)] == ["short"]
    assert [type(i).__name__ for i in parse(take[0] + b"\0")] == ["F4Packet", "Refusal"]
    assert parse(b"") == [Refusal("short", "empty datagram")]
    assert parse(bytes(3000)) == [Refusal("long", "3000 bytes")]


def test_coalesced_packets_and_resync(take: list[bytes]) -> None:
    broken = bytearray(take[1])
    broken[50] ^= 1
    items = parse(b"\xf4\0" + take[0] + bytes(broken) + take[2] + take[3][:20])
    kinds = [i.reason if isinstance(i, Refusal) else i.frame_counter for i in items]
    assert kinds == ["checksum", 7, "checksum", 9, "short"] or kinds == ["short", 7, "checksum", 9, "short"]


def test_checksum_settings(take: list[bytes]) -> None:
    zero, wrong = take[0][:-1] + b"\0", take[0][:-1] + b"\x12"
    assert isinstance(parse(zero)[0], Refusal)
    for datagram, setting in ((zero, "zero"), (zero, "ignore"), (wrong, "ignore")):
        (packet,) = parse(datagram, checksum=setting)
        assert isinstance(packet, F4Packet)
        assert bytes(packet) == datagram
    assert isinstance(parse(wrong, checksum="zero")[0], Refusal)


def test_lens_in_millimetres(take: list[bytes]) -> None:
    lens = sample_of(one(take[0])).lens
    assert lens is not None
    focal_mm = 1517.695923 * 36.0 / 1920
    assert lens.focal_length_mm == pytest.approx(focal_mm, rel=1e-7)
    assert lens.focus_distance_m == pytest.approx(1 / 0.432252, rel=1e-5)
    assert lens.entrance_pupil_m == pytest.approx(0.149905, abs=1e-6)
    assert lens.radial == pytest.approx((0.15681 / focal_mm**2, 0.0, -0.088158 / focal_mm**4), rel=1e-5)
    assert lens.projection_offset_mm == pytest.approx((-7.783591 * 36 / 1920, 6.896145 * 36 / 1920), rel=1e-6)
    assert lens.model == "Brown-Conrady D-U"
    other = sample_of(
        one(take[0]), mosys_f4={"image_width_px": 3840, "distortion": "u_d", "center_shift": "right_up"}
    ).lens
    assert other is not None
    assert other.focal_length_mm == pytest.approx(focal_mm / 2, rel=1e-7)
    assert other.model == "Brown-Conrady U-D"
    assert other.projection_offset_mm == pytest.approx((-7.783591 * 36 / 3840, -6.896145 * 36 / 3840), rel=1e-6)
    plain = sample_of(one(take[0]), mosys_f4={"distortion": "off", "center_shift": "off"}).lens
    assert plain is not None
    assert (plain.radial, plain.projection_offset_mm) == (None, None)
    # Without the camera's picture pixels mean nothing; the rest stays.
    (sample,) = one(take[0]).samples(mapping_of("t", Source.model_validate(SOURCE)), Stamp())
    assert isinstance(sample, Sample)
    assert sample.lens is not None
    assert (sample.lens.focal_length_mm, sample.lens.radial) == (None, None)
    assert sample.lens.entrance_pupil_m is not None


def test_what_the_tracker_says_of_itself() -> None:
    pose = [(0x01, 0, 1000)]
    for status, name in enumerate(STATUS_NAMES):
        (item,) = F4Packet.build(1, [*pose, (0xF9, 0, status << 12)]).samples(mapping(), Stamp())
        if name in ("Optical Lost", "Too few stars", "Searching", "Loading map", "No map", "I/O error",
                    "Internal error"):  # fmt: skip
            assert item == Refusal("untracked", name)
        else:
            assert isinstance(item, Sample)
            assert item.quality == ("ok" if status <= 3 else name)


def test_axes_that_are_missing_or_no_numbers() -> None:
    (lens,) = F4Packet.build(1, [(0x03, 0, 5), (0x04, 0, 6)]).samples(mapping(), Stamp())
    assert lens == LensReading(zoom_raw=6.0, focus_raw=5.0)
    (bad,) = F4Packet.build(1, [(0x01, 0, 0), real_axis(0x53, float("nan"))]).samples(mapping(), Stamp())
    assert bad == Refusal("nan", "a lens figure is not finite")
    (infinity,) = F4Packet.build(1, [real_axis(0x57, 0.0)]).samples(mapping(), Stamp())
    assert isinstance(infinity, LensReading)
    assert infinity.focus_distance_m == mosys_f4.FARTHEST_FOCUS_M
    assert parse(bytes(F4Packet.build(1, [(0x02, 0, 120_000)]))) == [Refusal("range", "tilt 120.000 degrees")]
    with pytest.raises(ValueError, match="24 bits"):
        F4Packet.build(1, [(0x05, 0, 1 << 24)])


def test_camera_id_filter() -> None:
    packet = F4Packet.build(7, [(0x01, 0, 0)])
    assert packet.is_for(mapping())
    assert packet.is_for(mapping(camera_id=7))
    assert not packet.is_for(mapping(camera_id=1))


def fed(assembler: Assembler, label: tuple[int, int, int, int], counter: int, fps: int = 25) -> int | None:
    hours, minutes, seconds, frames = label
    code = hours << 18 | minutes << 12 | seconds << 6 | frames
    packet = F4Packet.build(1, [(0xF8, {24: 0, 25: 0x20, 30: 0x40}[fps], code)], status=counter & 15)
    (item,) = assembler.feed(bytes(packet))
    assert isinstance(item, F4Packet)
    return item.t_source_ns


def test_time_code_is_the_time_of_the_take(take: list[bytes]) -> None:
    assembler = Assembler()
    times = [packet.t_source_ns for d in take for packet in assembler.feed(d) if isinstance(packet, F4Packet)]
    assert times[0] == ((15 * 60 + 3) * 60 + 47) * 1_000_000_000 + 2 * 40_000_000
    assert np.diff(np.array(times)).tolist() == [40_000_000] * 699


def test_two_packets_a_frame_of_time_code() -> None:
    assembler = Assembler()
    times = [fed(assembler, (1, 0, 0, n // 2), n) for n in range(20)]
    hour = 3600 * 1_000_000_000
    # The first frames teach how many packets one holds; from then on every packet has a time of its own.
    assert times[8:] == [hour + n * 20_000_000 for n in range(8, 20)]
    assert times[1] is None
    assert [t for t in times[:8] if t is not None] == [hour + n * 20_000_000 for n in range(8) if times[n] is not None]


def test_time_code_over_midnight_and_standing_still() -> None:
    assembler = Assembler()
    last = fed(assembler, (23, 59, 59, 24), 0)
    first = fed(assembler, (0, 0, 0, 0), 1)
    assert last is not None
    assert first == last + 40_000_000
    still = [fed(assembler, (0, 0, 0, 0), 2 + n) for n in range(40)]
    assert set(still[10:]) == {first}
    assert fed(Assembler(), (25, 0, 0, 0), 0) is None


axes = st.lists(
    st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(-0x800000, 0x7FFFFF)), min_size=0, max_size=30
)


@given(axes, st.integers(0, 255), st.integers(0, 255))
def test_round_trip(values: list[tuple[int, int, int]], camera_id: int, status: int) -> None:
    packet = F4Packet.build(camera_id, values, status=status)
    (item,) = parse(bytes(packet))
    if isinstance(item, Refusal):
        assert item.reason == "range"
    else:
        assert item == packet
        assert {axis: item.signed(axis) for axis, _, _ in values} == {axis: value for axis, _, value in values}
