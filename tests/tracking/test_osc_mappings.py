"""OSC mapping files: every shipped one by its sender's own numbers, parts joined, and faults named with their line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pythonosc.osc_message import OscMessage

from runtime.clock import VirtualClock
from stage.errors import ConfigError
from stage.frames import (
    Array,
    euler_from_quaternion,
    pan_tilt_roll_from_rotation,
    pose_from_unity,
    quaternion_from_euler,
)
from tracking.config import Source, TrackingConfig
from tracking.encoders import encoder
from tracking.inputs import TrackingInputs
from tracking.mapping import mapping_of
from tracking.moment import Moment
from tracking.osc_config import OscMap, preset, presets, read_mapping_file
from tracking.protocols.osc import OscPacket, parse
from tracking.protocols.osc_mapping import Joiner
from tracking.sample import LensReading, Refusal, Sample, Stamp

POSITION, ROTATION = "/tracking/trackers/a/position", "/tracking/trackers/a/rotation"


def source(body: str = "", **osc: Any) -> Source:
    return Source.model_validate(
        {"protocol": "osc", "listen": "127.0.0.1:40001", "camera": "a", "body": body, "osc": osc}
    )


def cases(reference: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((reference / "tracking/poses/equivalent_poses.json").read_text())["cases"]
    return found


def euler_unity(q: list[float]) -> tuple[float, float, float]:
    """Unity's Euler angles (z, then x, then y), by a search that knows nothing of our code's way."""
    x, y, z, w = q
    m = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    # R = Ry Rx Rz
    rx = np.degrees(np.arcsin(np.clip(-m[1, 2], -1, 1)))
    ry = np.degrees(np.arctan2(m[0, 2], m[2, 2]))
    rz = np.degrees(np.arctan2(m[1, 0], m[1, 1]))
    return float(rx), float(ry), float(rz)


def messages_of(name: str, case: dict[str, Any]) -> list[OscPacket]:
    """One pose as a preset's sender writes it."""
    unity, y_up, unreal = case["unity_lh_yup"], case["yup_rh"], case["unreal_cm"]
    stage = case["opentrackio"]
    t, r = stage["translation"], stage["rotation"]
    own = "/openvolume/camera/a/pose"
    rx, ry, rz = euler_unity(unity["q_xyzw"])
    build = OscPacket.build
    if name == "stage":
        return [build(own, (*map(float, t), r["pan"], r["tilt"], r["roll"]))]
    if name in ("unity", "y_up"):
        sent = unity if name == "unity" else y_up
        return [build(own, (*map(float, sent["p"]), *sent["q_xyzw"]))]
    if name == "unreal":
        values = (unreal["x"], unreal["y"], unreal["z"], unreal["pitch"], unreal["yaw"], unreal["roll"])
        return [build(own, tuple(map(float, values)))]
    if name == "vmc":
        return [build("/VMC/Ext/Cam", ("Camera", *unity["p"], *unity["q_xyzw"], 40.0))]
    if name in ("vmt", "vmt_driver"):
        sent = unity if name == "vmt" else y_up
        kind = "Unity" if name == "vmt" else "Driver"
        return [build(f"/VMT/Room/{kind}", (3, 1, 0.0, *sent["p"], *sent["q_xyzw"]))]
    if name == "zigsim":
        return [
            build("/5f3a/arkitposition", tuple(y_up["p"])),
            build("/5f3a/arkitrotation", tuple(y_up["q_xyzw"])),
        ]
    assert name == "vrchat"
    return [
        build("/tracking/trackers/3/position", tuple(unity["p"])),
        build("/tracking/trackers/3/rotation", (rx, ry, rz)),
    ]


def joined(packets: list[OscPacket], told: Source) -> list[Sample | LensReading | Refusal]:
    mapping = mapping_of("t", told)
    assert mapping.osc is not None
    if mapping.osc.complete == "message":
        return [item for packet in packets for item in packet.samples(mapping, Stamp())]
    joiner = Joiner()
    return [item for packet in packets for item in joiner.feed(packet, mapping, Stamp())]


@pytest.mark.parametrize("name", ["stage", "unity", "y_up", "unreal", "vmc", "vmt", "vmt_driver", "zigsim", "vrchat"])
def test_presets_read_what_their_senders_mean(reference: Path, name: str) -> None:
    told = source("3" if name.startswith("v") and name != "vmc" else "", preset=name)
    mapping = mapping_of("t", told)
    for case in cases(reference):
        packets = [found for p in messages_of(name, case) for found in parse(bytes(p)) if isinstance(found, OscPacket)]
        assert all(packet.is_for(mapping) for packet in packets)
        (sample,) = joined(packets, told)
        assert isinstance(sample, Sample)
        assert np.allclose(sample.stage_from_camera, case["stage_from_camera"], atol=3e-6)


def test_every_preset_loads_and_has_a_label() -> None:
    names = presets()
    assert {"stage", "stage_quaternion", "unity", "y_up", "unreal", "vmc", "zigsim", "vrchat", "vmt", "vmt_driver",
            "reality_field", "touchdesigner"} == set(names)  # fmt: skip
    for name in names:
        assert preset(name).label
        assert source(preset=name).osc.mapping("a").pose_parts


def test_reality_field_carries_encoders() -> None:
    packet = OscPacket.build("/tracker/position/a", (1.0, 2.0, 3.0, 0.0, 90.0, 0.0, 0.25, 0.5, 0.75))
    (sample,) = packet.samples(mapping_of("t", source(preset="reality_field")), Stamp())
    assert isinstance(sample, Sample)
    assert np.allclose(sample.stage_from_camera[:3, 3], (1.0, -3.0, 2.0))
    assert pan_tilt_roll_from_rotation(sample.stage_from_camera) == pytest.approx((90.0, 0.0, 0.0))
    assert sample.lens is not None
    assert (sample.lens.focus_raw, sample.lens.iris_raw, sample.lens.zoom_raw) == (0.25, 0.5, 0.75)


def test_touchdesigner_is_six_channels() -> None:
    told = source(preset="touchdesigner")
    values = {"tx": 1.0, "ty": 2.0, "tz": 3.0, "rx": 10.0, "ry": 90.0, "rz": 0.0}
    packets = [OscPacket.build(f"/{name}", (value,)) for name, value in values.items()]
    (sample,) = joined(packets, told)
    assert isinstance(sample, Sample)
    assert np.allclose(sample.stage_from_camera[:3, 3], (1.0, -3.0, 2.0))
    wanted = quaternion_from_euler(10.0, 90.0, 0.0, "xyz")
    assert pan_tilt_roll_from_rotation(sample.stage_from_camera)[0] == pytest.approx(90.0, abs=1e-6)
    assert np.linalg.norm(wanted) == pytest.approx(1.0)


def part(address: str, *values: float, position: int = 0) -> OscPacket:
    built = OscPacket.build(address, values)
    return OscPacket(built.address, built.arguments, None, built.data, position)


def at_ms(t_ms: float, number: int = 1) -> Stamp:
    return Stamp(int(t_ms * 1e6), int(t_ms * 1e6), number)


def reasons(items: list[Sample | LensReading | Refusal]) -> list[str]:
    return [item.reason if isinstance(item, Refusal) else type(item).__name__ for item in items]


def test_parts_are_joined_in_any_order_and_never_across_poses() -> None:
    mapping = mapping_of("t", source(preset="vrchat"))
    joiner = Joiner()
    position, rotation = part(POSITION, 1.0, 2.0, 3.0), part(ROTATION, 0.0, 0.0, 0.0)
    feed = joiner.feed
    assert feed(rotation, mapping, at_ms(0)) == []
    (sample,) = feed(position, mapping, at_ms(3))
    assert isinstance(sample, Sample)
    assert sample.t_sampled_ns == 0
    # A part that comes again begins the next pose; what it leaves behind is counted.
    assert feed(position, mapping, at_ms(10)) == []
    assert reasons(feed(position, mapping, at_ms(20))) == ["segment"]
    assert reasons(feed(rotation, mapping, at_ms(21))) == ["Sample"]
    # Parts too far apart are not of one pose.
    assert feed(position, mapping, at_ms(30)) == []
    assert reasons(feed(rotation, mapping, at_ms(81))) == ["segment"]
    assert reasons(feed(position, mapping, at_ms(82))) == ["Sample"]
    # A part with too little in it joins nothing.
    assert reasons(feed(part(POSITION, 1.0), mapping, at_ms(90))) == ["type"]
    assert feed(part("/elsewhere", 1.0), mapping, at_ms(90)) == []


def test_a_bundle_is_one_pose() -> None:
    told = source(
        map={
            "frame": "unity",
            "complete": "bundle",
            "messages": [
                {"address": "/{camera}/p", "fields": ["x_mm", "y_mm", "z_mm"]},
                {"address": "/{camera}/r", "fields": ["qx", "qy", "qz", "qw"]},
                {"address": "/{camera}/lens", "fields": ["focal_length_mm"]},
            ],
        }
    )
    mapping = mapping_of("t", told)
    joiner = Joiner()
    p, r = (1000.0, 2000.0, 3000.0), (0.0, 0.0, 0.0, 1.0)
    assert reasons(joiner.feed(part("/a/lens", 35.0), mapping, at_ms(0))) == ["LensReading"]
    assert joiner.feed(part("/a/p", *p), mapping, at_ms(1)) == []
    (sample,) = joiner.feed(part("/a/r", *r, position=2), mapping, at_ms(1))
    assert isinstance(sample, Sample)
    assert np.allclose(sample.stage_from_camera[:3, 3], (1, 3, 2))
    # Half a bundle, then half of the next: no pose.
    assert joiner.feed(part("/a/p", *p), mapping, at_ms(2)) == []
    assert reasons(joiner.feed(part("/a/r", *r, position=1), mapping, at_ms(3))) == ["segment"]
    assert reasons(joiner.feed(part("/a/p", *p, position=1), mapping, at_ms(3))) == ["segment"]


def test_parts_come_through_the_inputs() -> None:
    clock = VirtualClock()
    config = TrackingConfig.model_validate({"sources": {"t": source(preset="vrchat").model_dump()}})
    inputs = TrackingInputs(config, clock)
    for n in range(4):
        t_ns = n * 10_000_000
        assert inputs.inject("t", bytes(OscPacket.build(POSITION, (1.0 + n / 1000, 2.0, 3.0))), t_ns) == []
        (sample,) = inputs.inject("t", bytes(OscPacket.build(ROTATION, (0.0, 90.0, 0.0))), t_ns + 1_000_000)
        assert sample.stage_from_camera[0, 3] == pytest.approx(1.0 + n / 1000)
        assert pan_tilt_roll_from_rotation(sample.stage_from_camera)[0] == pytest.approx(-90.0)
    inputs.inject("t", bytes(OscPacket.build(POSITION, (1.0, 2.0, 3.0))), 50_000_000)
    inputs.inject("t", bytes(OscPacket.build(POSITION, (1.0, 2.0, 3.0))), 60_000_000)
    assert inputs.statistics(60_000_000)["t"].refused == {"segment": 1}


WHOLE = ["x_m", "y_m", "z_m", "qx", "qy", "qz", "qw"]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("frame: stage", None, "messages"),
        ("messages:\n  - address: pose\n    fields: [x_m]", 2, "starts with /"),
        ("messages:\n  - address: /a*\n    fields: [x_m]", 2, "whole part"),
        ("messages:\n  - address: /a\n    fields: [x_m, up]", 3, "up"),
        ("messages:\n  - address: /a\n    fields: [x_m, y_m, z_m]", None, "rotation is needed"),
        ("frame: unity\nmessages:\n  - address: /a\n    fields: [x_m, y_m, z_m, pan_deg, tilt_deg]",
         None, "quaternion"),
        ("messages:\n  - address: /a\n    fields: [x_m, y_m, z_m]\n  - address: /b\n    fields: [qx, qy, qz, qw]",
         None, "rotation is needed"),
        ("messages:\n  - address: /a\n    fields: [focal_length_mm]", None, "no message carries a pose"),
        ("openvolume_osc: 2\nmessages: []", 1, "1"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_told_with_its_line(tmp_path: Path, text: str, line: int | None, words: str) -> None:
    path = tmp_path / "rig.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_mapping_file(path)
    problem = next(p for p in caught.value.problems if words in f"{p.path} {p.detail} {p.mend}")
    assert "rig.yaml" in problem.path
    if line is not None:
        assert problem.line == line
    with pytest.raises(ConfigError, match="cannot be read"):
        read_mapping_file(tmp_path / "none.yaml")


def test_own_mapping_stands_alone() -> None:
    own = OscMap.model_validate({"messages": [{"address": "/a", "fields": WHOLE}]})
    for bad in ({"preset": "unity"}, {"address": "/b"}, {"file": "x.yaml"}):
        with pytest.raises(ValueError, match="stands alone"):
            source(map=own.model_dump(), **({"frame": "unity"} if "file" in bad else bad))
    with pytest.raises(ValueError, match="several messages"):
        source(preset="zigsim", address="/b")
    with pytest.raises(ValueError, match="YAML"):
        source(file="x.json")


number = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(
    texts=st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF), max_size=9), max_size=2),
    numbers=st.lists(number | st.integers(-(2**31), 2**31 - 1), max_size=9),
)
def test_messages_are_read_as_python_osc_reads_them(texts: list[str], numbers: list[float]) -> None:
    data = bytes(OscPacket.build("/a/b", (*texts, *numbers)))
    (found,) = parse(data)
    assert isinstance(found, OscPacket)
    other = OscMessage(data)
    assert (found.address, list(found.arguments)) == (other.address, other.params)
    assert [type(a) for a in found.arguments] == [type(a) for a in other.params]
    if len(data) > 12:
        assert isinstance(parse(data[:-4])[0], Refusal) or not (texts or numbers)


@given(st.tuples(*[st.floats(-180, 180)] * 3), st.permutations("xyz"))
def test_euler_angles_are_turns_about_fixed_axes(angles: tuple[float, ...], order: list[str]) -> None:
    x_deg, y_deg, z_deg = angles
    q = quaternion_from_euler(x_deg, y_deg, z_deg, "".join(order))
    turned = np.eye(3)
    for axis in order:
        i = "xyz".index(axis)
        a = np.radians(angles[i])
        step = np.eye(3)
        j, k = (i + 1) % 3, (i + 2) % 3
        step[j, j], step[j, k], step[k, j], step[k, k] = np.cos(a), -np.sin(a), np.sin(a), np.cos(a)
        turned = step @ turned
    assert np.allclose(_rotation(q), turned, atol=1e-9)


def _rotation(q: Array) -> Array:
    swap = np.array([[1, 0, 0], [0, 0, 1], [0, 1, 0]])
    return np.asarray(swap @ pose_from_unity((0, 0, 0), q)[:3, :3] @ swap)


def test_an_order_must_be_one() -> None:
    with pytest.raises(ValueError, match="order"):
        quaternion_from_euler(0, 0, 0, "xyx")


@pytest.mark.parametrize("name", presets())
def test_what_a_preset_says_it_reads_again(reference: Path, name: str) -> None:
    told = source("3" if name.startswith("vm") and name != "vmc" else "", preset=name)
    encode = encoder("osc", source=told)
    lens = LensReading(focal_length_mm=35.0, focus_distance_m=2.5, zoom_raw=0.25, focus_raw=0.5, iris_raw=0.75)
    for number, case in enumerate(cases(reference)):
        pose = np.array(case["stage_from_camera"])
        for spoken in (encode, encoder("osc_bundle", source=told)):
            datagrams = spoken(Moment(pose, number, 1_700_000_000_000_000_000, lens))
            packets = [p for d in datagrams for p in parse(d) if isinstance(p, OscPacket)]
            found = [item for item in joined(packets, told) if isinstance(item, Sample)]
            assert np.allclose(found[-1].stage_from_camera, pose, atol=3e-6)
    if name == "zigsim":
        assert len(datagrams) == 1
        assert len(encode(Moment(pose, 0, 0))) == 2


@given(st.tuples(*[st.floats(-179, 179)] * 3), st.permutations("xyz"))
def test_euler_angles_there_and_back(angles: tuple[float, ...], order: list[str]) -> None:
    x_deg, y_deg, z_deg = angles
    q = quaternion_from_euler(x_deg, y_deg, z_deg, "".join(order))
    back = quaternion_from_euler(*euler_from_quaternion(q, "".join(order)), "".join(order))
    assert abs(float(q @ back)) == pytest.approx(1.0, abs=1e-9)


def test_euler_angles_where_two_turns_are_one() -> None:
    for order in ("xyz", "zxy", "yzx", "xzy", "yxz", "zyx"):
        turns = {order[0]: 30.0, order[1]: 90.0, order[2]: 20.0}
        q = quaternion_from_euler(turns["x"], turns["y"], turns["z"], order)
        back = quaternion_from_euler(*euler_from_quaternion(q, order), order)
        assert abs(float(q @ back)) == pytest.approx(1.0, abs=1e-9)
    with pytest.raises(ValueError, match="order"):
        euler_from_quaternion((0, 0, 0, 1), "xyy")
