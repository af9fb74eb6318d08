"""NatNet: the real capture against the vendor's own client, both layouts, names, clocks, skeletons, broken twins."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage.frames import joints_from_y_up, pose_from_quaternion
from tracking.mapping import Mapping
from tracking.mocap_config import NatNetSection
from tracking.protocols.natnet import (
    MODELS_CHANGED,
    Assembler,
    Echo,
    Frame,
    Message,
    ModelDefinitions,
    ServerInfo,
    parse,
)
from tracking.protocols.natnet_models import LAYOUTS, BadModels, BodyModel, Models, SkeletonModel, read_models
from tracking.protocols.natnet_sections import Section
from tracking.sample import Refusal, Sample, Stamp

HZ = 3_312_787
BODY = struct.Struct("<i7ffH")
MODELS = Models(
    rigid_bodies=(BodyModel("Camera", 7), BodyModel("Wand", 2, offset_m=(0.0, 0.5, 0.0))),
    skeletons=(
        SkeletonModel(
            "Actor",
            3,
            (BodyModel("Hip", 1, 0), BodyModel("Spine", 2, 1, (0.0, 0.25, 0.0)), BodyModel("Head", 3, 2)),
        ),
    ),
)


def mapping(body: str = "", kind: Any = "camera", **setup: Any) -> Mapping:
    return Mapping("t", "a", "a", body=body, kind=kind, natnet=NatNetSection(**setup))


def body(number: int, position: Any, rotation: Any = (0.0, 0.0, 0.0, 1.0), flags: int = 1) -> bytes:
    return BODY.pack(number, *position, *rotation, 0.0005, flags)


def info(version: tuple[int, int, int, int] = (4, 1, 0, 0)) -> ServerInfo:
    return ServerInfo(b"Motive".ljust(256, b"\0"), (3, 1, 0, 0), version, HZ)


def frame(*bodies: bytes, sized: bool = True, **fields: Any) -> Frame:
    return Frame(
        5,
        rigid_body_section=Section(len(bodies), b"".join(bodies)),
        asset_section=Section() if sized else None,
        **{"timestamp_s": 2.0, "mid_exposure_ticks": HZ, "transmit_ticks": HZ + HZ // 100, **fields},
    )


def packets(reference: Path) -> dict[str, tuple[bytes, dict[str, Any]]]:
    tree = json.loads((reference / "tracking/natnet/packets_v3.json").read_text())
    return {p["file"]: (bytes.fromhex(p["hex"]), p["expected"]) for p in tree["packets"]}


def take(reference: Path) -> list[dict[str, Any]]:
    lines = (reference / "tracking/natnet/motive21_capture_frames_000_149.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def pose_of(found: Frame, body: str = "", kind: Any = "camera", **setup: Any) -> Sample:
    (sample,) = found.samples(mapping(body, kind, **setup), Stamp(10**9, 10**9, 1))
    assert isinstance(sample, Sample)
    return sample


def test_server_info_and_echoes(reference: Path) -> None:
    data, expected = packets(reference)["serverinfo_packet_v3.bin"]
    (server,) = parse(data)
    assert isinstance(server, ServerInfo)
    assert server.name == expected["app_name"]
    assert list(server.app_version) == expected["app_version"]
    assert list(server.natnet_version) == expected["natnet_version"]
    assert server.clock_hz == expected["high_resolution_clock_hz"]
    assert (server.data_port, server.is_multicast) == (expected["data_port"], expected["multicast"])
    assert server.group == expected["multicast_address"]
    assert bytes(server) == data
    for name in ("echorequest_packet_v3.bin", "echoresponse_packet_v3.bin"):
        data, expected = packets(reference)[name]
        (echo,) = parse(data)
        assert isinstance(echo, Echo)
        assert echo.client_ticks == expected["client_ticks"]
        assert echo.server_ticks == expected.get("server_ticks")
        assert bytes(echo) == data


def test_frame_says_what_its_source_states(reference: Path) -> None:
    data, expected = packets(reference)["mocapframe_packet_v3.bin"]
    (found,) = parse(data)
    assert isinstance(found, Frame)
    assert bytes(found) == data
    assert found.frame_number == expected["frame_number"]
    (rigid,) = found.rigid_bodies
    stated = expected["rigid_body"]
    assert (rigid.id, rigid.is_tracked) == (stated["id"], stated["tracking_valid"])
    assert rigid.position_m == pytest.approx(stated["pos_m"], abs=1e-6)
    assert rigid.rotation == pytest.approx(stated["quat_xyzw"], abs=1e-6)
    assert rigid.mean_error_m == pytest.approx(stated["mean_error"], abs=1e-9)
    for index, stated in ((0, expected["labeled_marker_0"]), (5, expected["labeled_marker_5"])):
        marker = found.markers[index]
        assert (marker.model_id, marker.marker_id) == (stated["model_id"], stated["marker_id"])
        assert marker.position_m == pytest.approx(stated["pos_m"], abs=1e-6)
        assert marker.flags == stated["params"]
        if "residual" in stated:
            assert (marker.size_m, marker.residual_m) == pytest.approx((stated["size"], stated["residual"]), rel=1e-5)
    assert found.timestamp_s == pytest.approx(expected["timestamp_s"], abs=1e-3)
    assert found.mid_exposure_ticks == expected["camera_mid_exposure_ticks"]
    assert (found.received_ticks, found.transmit_ticks) == (expected["received_ticks"], expected["transmit_ticks"])
    assert found.is_recording == expected["recording"]


def test_capture_equals_the_vendors_client(reference: Path) -> None:
    assembler = Assembler()
    assert assembler.feed(packets(reference)["serverinfo_packet_v3.bin"][0]) == []
    rows = take(reference)
    assert len(rows) == 150
    latencies_ms = []
    times_ns = []
    for row in rows:
        data, expected, printed = bytes.fromhex(row["hex"]), row["expected"], row["vendor_sample_client"]
        (found,) = assembler.feed(data)
        assert isinstance(found, Frame)
        assert bytes(found) == data
        (rigid,) = found.rigid_bodies
        assert found.timestamp_s == pytest.approx(printed["timestamp"], abs=0.0051)
        assert [*rigid.position_m, *rigid.rotation] == pytest.approx(printed["pose_2dp"], abs=0.0051)
        assert found.latency_ns / 1e6 == pytest.approx(printed["system_latency_ms"], abs=0.0051)
        (stated,) = expected["rigid_bodies"]
        assert (rigid.id, rigid.position_m, rigid.rotation) == (
            stated["id"], tuple(stated["pos_m"]), tuple(stated["quat_xyzw"]),
        )  # fmt: skip
        assert (found.other_markers.count, found.labelled_markers.count) == (
            expected["unlabeled_count"], expected["labeled_count"],
        )  # fmt: skip
        x, y, z = rigid.position_m
        sample = pose_of(found)
        assert sample.stage_from_camera[:3, 3] == pytest.approx((x, -z, y))
        assert sample.sequence == expected["frame_number"]
        # Taken at mid-exposure: the latency before the stamp of its sending.
        assert 10**9 - sample.t_sampled_ns == found.latency_ns
        latencies_ms.append(found.latency_ns / 1e6)
        times_ns.append((found.t_source_ns or 0) - found.latency_ns)
    assert latencies_ms[0] == pytest.approx(5.495, abs=0.001)
    # The exposures are 1/120 s apart, whatever the network did.
    steps_ms = np.diff(times_ns) / 1e6
    arrived_ms = np.diff([row["t"] for row in rows]) * 1000
    assert np.abs(steps_ms - 1000 / 120).max() < 0.1
    assert np.abs(arrived_ms - 1000 / 120).max() > 9 * np.abs(steps_ms - 1000 / 120).max()


@pytest.mark.parametrize(
    ("spoil", "reasons"),
    [
        (lambda d: d[:-1], {"short"}),
        (lambda d: d[:3], {"short"}),
        (lambda d: d + b"\0", {"long"}),
        (lambda d: b"\x63" + d[1:], {"magic"}),
    ],
)
def test_broken_twins(reference: Path, spoil: Any, reasons: set[str]) -> None:
    for data, _ in packets(reference).values():
        (refusal,) = parse(spoil(data))
        assert isinstance(refusal, Refusal)
        assert refusal.reason in reasons


def test_broken_frames(reference: Path) -> None:
    data = packets(reference)["mocapframe_packet_v3.bin"][0]
    for at, value in ((8, 99), (12, 6), (76, 2), (80, 255)):  # counts that do not fit
        broken = bytearray(data)
        broken[at] = value
        (item,) = parse(bytes(broken))
        if at != 80:
            assert isinstance(item, Refusal), at
            assert item.reason == "malformed"
    for data, _ in list(packets(reference).values())[:3]:
        shorter = data[:2] + struct.pack("<H", len(data) - 5) + data[4:-1]
        assert isinstance(parse(shorter)[0], Refusal)


@pytest.mark.parametrize("sized", [False, True])
def test_both_layouts_round_trip_and_are_told_apart(sized: bool) -> None:
    bones = struct.pack("<ii", 3, 2) + body(3 << 16 | 1, (0, 1, 0)) + body(3 << 16 | 2, (0, 1.5, 0))
    built = frame(
        body(2, (1, 2, 3)),
        sized=sized,
        marker_sets=Section(1, b"all\0" + struct.pack("<i3f", 1, 1, 2, 3)),
        other_markers=Section(1, struct.pack("<3f", 1, 2, 3)),
        skeleton_section=Section(1, bones),
        labelled_markers=Section(1, struct.pack("<i3ffHf", 2 << 16 | 4, 1, 2, 3, 0.01, 10, 0.0001)),
        force_plates=Section(1, struct.pack("<iiif", 1, 1, 1, 0.5)),
        devices=Section(1, struct.pack("<iiiff", 9, 1, 2, 0.5, 0.25)),
        flags=3,
    )
    if sized:
        asset = struct.pack("<ii", 8, 1) + body(1, (0, 2, 0)) + struct.pack("<ii3ffHf", 1, 5, 1, 2, 3, 0.01, 0, 0)
        built = msgspec.structs.replace(built, asset_section=Section(1, asset), precision_s=7, precision_fraction=9)
    for told in (None, True, False):
        assert parse(bytes(built), sized=told) == [built]
    (found,) = parse(bytes(built))
    assert isinstance(found, Frame)
    assert (found.is_recording, found.models_changed) == (True, True)
    assert list(found.rigid_bodies[0].position_m) == [1, 2, 3]
    assert [bone.id & 0xFFFF for bone in found.skeletons[3]] == [1, 2]
    assert found.markers[0].marker_id == 4
    assert set(found.assets) == ({8} if sized else set())


@given(sized=st.booleans(), bodies=st.integers(0, 4), markers=st.integers(0, 4))
def test_empty_sections_do_not_confuse_the_layouts(sized: bool, bodies: int, markers: int) -> None:
    built = frame(
        *[body(i, (0, 0, 0), (0, 0, 0, 0), 0) for i in range(bodies)],
        sized=sized,
        labelled_markers=Section(markers, bytes(26 * markers)),
        mid_exposure_ticks=0,
        transmit_ticks=0,
        timestamp_s=0.0,
    )
    assert parse(bytes(built)) == [built]


def test_sections_that_grew_are_read_as_far_as_known() -> None:
    grown = body(2, (1, 2, 3)) + b"later"
    built = msgspec.structs.replace(frame(), rigid_body_section=Section(2, grown * 2))
    (found,) = parse(bytes(built))
    assert isinstance(found, Frame)
    assert bytes(found) == bytes(built)
    assert [rigid.position_m for rigid in found.rigid_bodies] == [(1, 2, 3)] * 2


@pytest.mark.parametrize("version", LAYOUTS)
def test_model_definitions_of_every_bitstream(version: str) -> None:
    models = msgspec.structs.replace(MODELS, assets=(SkeletonModel("Cape", 8, (BodyModel("Top", 1),)),))
    if not LAYOUTS[version].sized:
        models = MODELS
    built = ModelDefinitions.build(models, version)
    assert parse(bytes(built)) == [built]
    body = built.body
    for spoilt in (body[:-1], body + b"\1", b"\xff" + body[1:], b""):
        (refusal,) = parse(struct.pack("<HH", 5, len(spoilt)) + spoilt)
        assert isinstance(refusal, Refusal)
        assert refusal.reason == "malformed"


def test_models_with_markers_plates_devices_and_cameras() -> None:
    def text(*texts: str) -> bytes:
        return b"".join(t.encode() + b"\0" for t in texts)

    descriptions = [
        (0, text("all") + struct.pack("<i", 2) + text("m1", "m2")),
        (1, text("Crane") + struct.pack("<iifffi", 4, -1, 1, 2, 3, 2) + bytes(24) + bytes(8) + text("a", "b")),
        (3, struct.pack("<i", 1) + text("serial") + bytes(4 * 163) + struct.pack("<i", 1) + text("fx")),
        (4, struct.pack("<i", 1) + text("box", "serial") + bytes(8) + struct.pack("<i", 1) + text("ch")),
        (5, text("Prime 41") + bytes(28)),
    ]
    sized = struct.pack("<i", 6) + b"".join(struct.pack("<ii", k, len(d)) + d for k, d in descriptions)
    sized += struct.pack("<ii", 77, 3) + b"new"
    unsized = struct.pack("<i", 5) + b"".join(struct.pack("<i", k) + d for k, d in descriptions)
    for data in (sized, unsized):
        models = read_models(data)
        assert models.rigid_bodies == (BodyModel("Crane", 4, -1, (1, 2, 3)),)
        assert models.cameras == ("Prime 41",)
    with pytest.raises(BadModels):
        read_models(struct.pack("<ii", 1, 77) + b"new")


def assembled(*bodies: bytes, models: Models = MODELS, **fields: Any) -> Frame:
    assembler = Assembler()
    assert assembler.feed(bytes(info())) == []
    assert assembler.feed(bytes(ModelDefinitions.build(models))) == []
    (found,) = assembler.feed(bytes(frame(*bodies, **fields)))
    assert isinstance(found, Frame)
    return found


def test_bodies_are_found_by_name_by_number_or_alone() -> None:
    found = assembled(body(7, (1, 0, 0)), body(2, (2, 0, 0)))
    assert pose_of(found, "Camera").stage_from_camera[0, 3] == 1
    assert pose_of(found, "2").stage_from_camera[0, 3] == 2
    assert not found.is_for(mapping("3"))
    assert not found.is_for(mapping("nobody"))
    assert not found.is_for(mapping())  # two bodies, and none is called like the camera
    assert pose_of(assembled(body(9, (3, 0, 0)))).stage_from_camera[0, 3] == 3
    named = assembled(body(7, (1, 0, 0)), body(2, (2, 0, 0)), models=Models((BodyModel("a", 2),)))
    assert pose_of(named).stage_from_camera[0, 3] == 2


def test_an_unseen_body_is_refused() -> None:
    (refusal,) = assembled(body(7, (0, 0, 0), (0, 0, 0, 0), flags=0)).samples(mapping("Camera"), Stamp())
    assert isinstance(refusal, Refusal)
    assert refusal.reason == "untracked"
    (refusal,) = assembled(body(7, (0, 0, 0), (0, 0, 0, 0))).samples(mapping("Camera"), Stamp())
    assert isinstance(refusal, Refusal)
    assert refusal.reason == "range"


def test_poses_mean_what_the_conventions_say(reference: Path) -> None:
    for case in json.loads((reference / "tracking/poses/equivalent_poses.json").read_text())["cases"]:
        wanted = np.array(case["stage_from_camera"])
        sent = case["yup_rh"]
        sample = pose_of(frame(body(1, sent["p"], sent["q_xyzw"])))
        assert np.allclose(sample.stage_from_camera, wanted, atol=2e-6)
    x, y, z = (float(v) for v in wanted[:3, 3])
    sample = pose_of(frame(body(1, (x, y, z))), up="z")
    assert np.allclose(sample.stage_from_camera, pose_from_quaternion((x, y, z), (0, 0, 0, 1)), atol=1e-6)


@pytest.mark.parametrize("bones", ["global", "local"])
def test_skeletons_become_joints(bones: str) -> None:
    quarter = (0.0, 0.5**0.5, 0.0, 0.5**0.5)  # 90 degrees to the left about Motive's Y
    hip, spine, head = (1.0, 1.0, -2.0), (1.0, 1.5, -2.0), (1.0, 2.0, -2.25)
    if bones == "local":
        records = (body(0x30001, hip, quarter), body(0x30002, (0, 0.5, 0)), body(0x30003, (0.25, 0.5, 0)))
    else:
        records = (body(0x30001, hip, quarter), body(0x30002, spine, quarter), body(0x30003, head, quarter))
    found = assembled(skeleton_section=Section(1, struct.pack("<ii", 3, 3) + b"".join(records)))
    for name in ("Actor", "3", ""):
        sample = pose_of(found, name, "performer", bones=bones)
        skeleton = sample.skeleton
        assert skeleton is not None
        assert (skeleton.names, skeleton.parents) == (("Hip", "Spine", "Head"), (-1, 0, 1))
        assert np.allclose(sample.stage_from_camera[:3, 3], (1, 2, 1))
        placed = skeleton.placed(sample.stage_from_camera)
        wanted = joints_from_y_up([[*p, *quarter] for p in (hip, spine, head)])
        assert np.allclose(placed, wanted, atol=1e-6)
    assert not found.is_for(mapping("Actress", "performer"))
    unseen = body(0x30001, hip, quarter, flags=0)
    found = assembled(skeleton_section=Section(1, struct.pack("<ii", 3, 1) + unseen))
    (refusal,) = found.samples(mapping("Actor", "performer"), Stamp())
    assert isinstance(refusal, Refusal)
    assert refusal.reason == "untracked"


def test_echoes_measure_the_way() -> None:
    assembler = Assembler()
    assembler.feed(bytes(info()))
    for sent_ns, received_ns in ((1_000, 801_000), (5_000, 205_000), (9_000, 8_000), (0, 10**10)):
        assembler.feed(bytes(Echo(sent_ns, 42)), received_ns)
    assert assembler.way_ns == 100_000
    (found,) = assembler.feed(bytes(frame(body(1, (0, 0, 0)))))
    assert isinstance(found, Frame)
    assert 10**9 - pose_of(found).t_sampled_ns == found.latency_ns + 100_000


def test_until_the_server_is_known_the_time_stamp_is_its_clock() -> None:
    (found,) = Assembler().feed(bytes(frame(body(1, (0, 0, 0)))))
    assert isinstance(found, Frame)
    assert (found.t_source_ns, found.latency_ns) == (2 * 10**9, 0)
    # A recording played back: its exposures lie in the past, and say nothing about the latency.
    assert assembled(mid_exposure_ticks=1, transmit_ticks=HZ * 5000).latency_ns == 0
    assert assembled(mid_exposure_ticks=0).latency_ns == 0


def test_old_servers_are_told_so() -> None:
    (refusal,) = Assembler().feed(bytes(info((2, 7, 0, 0))))
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, "2.7" in refusal.detail) == ("version", True)


def test_other_messages_are_kept() -> None:
    for message in (Message(2, b"Bitstream\0"), Message(10), Message(8, b"hello\0")):
        assert parse(bytes(message)) == [message]
    assert Message(8, b"hello\0").text == "hello"
    assert Assembler().feed(bytes(Message(8, b"hello\0"))) == []
    assert MODELS_CHANGED == 2
