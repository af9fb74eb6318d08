"""OpenTrackIO: reference datagrams and broken twins, segments in both numberings, chains, lens, static, the take."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import cbor2
import jsonschema  # type: ignore[import-untyped]
import msgspec
import numpy as np
import pytest

from tracking.config import Source
from tracking.mapping import mapping_of
from tracking.protocols import freed
from tracking.protocols.opentrackio import (
    CBOR,
    JSON,
    Assembler,
    OpenTrackIOPacket,
    Segment,
    decode,
    epoch_of,
    parse,
)
from tracking.protocols.opentrackio_sample import TrackSample
from tracking.sample import LensReading, Refusal, Sample, Stamp

MAPPING = mapping_of("t", Source(protocol="opentrackio", listen="127.0.0.1:55555", camera="a"))
SINGLES = ("packet_json_single_ptp", "packet_cbor_single_genlock")
SEGMENTED = ("packet_json_3_segments", "packet_json_2_segments_same_sequence")


def case(reference: Path, name: str) -> tuple[list[bytes], dict[str, Any]]:
    tree = json.loads((reference / "tracking/opentrackio" / f"{name}.json").read_text())
    return [bytes.fromhex(d["hex"]) for d in tree["datagrams"]], tree


def assert_says(packet: object, expected: dict[str, Any]) -> None:
    """Every field that the sample types know has the stated value."""
    assert isinstance(packet, OpenTrackIOPacket)
    assert packet.faults == ()
    known = msgspec.to_builtins(packet.sample)
    assert known == _common(expected, known)
    assert set(known) == set(expected) & set(known)


def _common(wanted: Any, known: Any) -> Any:
    if isinstance(wanted, dict) and isinstance(known, dict):
        return {k: _common(wanted[k], v) if k in wanted else v for k, v in known.items()}
    if isinstance(wanted, list) and isinstance(known, (list, tuple)) and len(wanted) == len(known):
        return type(known)(_common(w, k) for w, k in zip(wanted, known, strict=True))
    return wanted


@pytest.mark.parametrize("name", SINGLES)
def test_single_datagrams(reference: Path, name: str) -> None:
    (datagram,), tree = case(reference, name)
    header = tree["datagrams"][0]["header"]
    (packet,) = parse(datagram)
    assert_says(packet, tree["expected_payload"])
    assert isinstance(packet, OpenTrackIOPacket)
    assert (packet.encoding, packet.sequence_number) == (header["encoding"], header["sequence"])
    assert packet.modulus == 256
    assert bytes(packet) == datagram
    t = tree["expected_payload"]["timing"]["sampleTimestamp"]
    assert packet.t_source_ns == t["seconds"] * 10**9 + t["nanoseconds"]


@pytest.mark.parametrize("name", SINGLES)
@pytest.mark.parametrize(
    ("at", "reason"), [(0, "magic"), (30, "checksum"), (15, "checksum"), (13, "short"), (5, "checksum")]
)
def test_broken_twins(reference: Path, name: str, at: int, reason: str) -> None:
    (datagram,), _ = case(reference, name)
    broken = bytearray(datagram)
    broken[at] ^= 0x11
    (refusal,) = parse(bytes(broken))
    assert isinstance(refusal, Refusal)
    assert refusal.reason in (reason, "long") if reason == "short" else refusal.reason == reason
    for cut in (0, 10, 16, len(datagram) - 1):
        (refusal,) = parse(datagram[:cut])
        assert isinstance(refusal, Refusal)
        assert refusal.reason == "short"


def test_bad_checksum_vector(reference: Path) -> None:
    (datagram,), tree = case(reference, "packet_json_bad_checksum")
    assert tree["expect"] == "reject"
    (refusal,) = parse(datagram)
    assert isinstance(refusal, Refusal)
    assert refusal.reason == "checksum"


@pytest.mark.parametrize("name", SEGMENTED)
def test_segments_in_both_numberings(reference: Path, name: str) -> None:
    datagrams, tree = case(reference, name)
    for datagram in datagrams:
        (segment,) = parse(datagram)
        assert isinstance(segment, Segment)
        assert bytes(segment) == datagram
    for order in (datagrams, datagrams[::-1]):
        assembler = Assembler()
        out = [item for datagram in order for item in assembler.feed(datagram)]
        assert len(out) == 1
        assert_says(out[0], tree["expected_payload"])
        assert isinstance(out[0], OpenTrackIOPacket)
        assert out[0].segments == len(datagrams)
    # A lost segment loses the payload whole, and is told when the next one begins.
    assembler = Assembler()
    assert [item for datagram in datagrams[1:] for item in assembler.feed(datagram)] == []
    (single,), _ = case(reference, SINGLES[0])
    lost, packet = assembler.feed(single)
    assert isinstance(lost, Refusal)
    assert lost.reason == "segment"
    assert isinstance(packet, OpenTrackIOPacket)


def test_a_tail_is_not_joined_to_another_head(reference: Path) -> None:
    datagrams, tree = case(reference, "packet_json_3_segments")
    payload = b"".join(bytes.fromhex(d["hex"])[16:] for d in tree["datagrams"])
    size = len(datagrams[0]) - 16
    later = [bytes(Segment(JSON, 1 + i, i * size, i == 2, payload[i * size : (i + 1) * size])) for i in range(3)]
    assembler = Assembler()
    first = [item for d in (*datagrams[1:], later[0]) for item in assembler.feed(d)]
    assert [item.reason for item in first if isinstance(item, Refusal)] == ["segment"]
    rest = [item for d in later[1:] for item in assembler.feed(d)]
    assert len(rest) == 1
    assert_says(rest[0], tree["expected_payload"])


def test_own_segments_round_trip() -> None:
    sample = TrackSample(source_id="s", transforms=())
    packet = OpenTrackIOPacket.build(msgspec.structs.replace(sample, sample_id="x" * 5000), sequence=65535)
    for same in (False, True):
        assembler = Assembler()
        datagrams = packet.datagrams(same_sequence=same)
        assert len(datagrams) == 4
        (joined,) = [item for d in datagrams for item in assembler.feed(d)]
        assert isinstance(joined, OpenTrackIOPacket)
        assert joined.payload == packet.payload


def test_duplicates_are_processed_once(reference: Path) -> None:
    (datagram,), _ = case(reference, SINGLES[0])
    assembler = Assembler()
    assert isinstance(assembler.feed(datagram)[0], OpenTrackIOPacket)
    assert assembler.feed(datagram) == [Refusal("duplicate", "sequence 0")]


def test_both_checksum_moduli(reference: Path) -> None:
    (datagram,), _ = case(reference, SINGLES[0])
    segment = Segment(JSON, 3, 0, True, datagram[16:], 255)
    assert bytes(segment) != bytes(msgspec.structs.replace(segment, modulus=256))
    (packet,) = parse(bytes(segment))
    assert isinstance(packet, OpenTrackIOPacket)
    assert packet.modulus == 255
    assert bytes(packet) == bytes(segment)


@pytest.mark.parametrize(
    "name",
    [
        "example_1.0.0_complete_static",
        "example_1.0.0_recommended_dynamic",
        "example_1.0.1_complete_dynamic",
        "example_1.0.1_recommended_static",
    ],
)
def test_published_examples(reference: Path, name: str) -> None:
    path = reference / "tracking/opentrackio" / f"{name}.json"
    tree = json.loads(path.read_text())
    assert_says(decode(Segment(JSON, 0, 0, True, path.read_bytes())), tree)
    packed = path.with_suffix(".cbor")
    if packed.exists():
        assert cbor2.loads(packed.read_bytes()) == tree
        assert_says(decode(Segment(CBOR, 0, 0, True, packed.read_bytes())), tree)


def test_lens_fields(reference: Path) -> None:
    path = reference / "tracking/opentrackio/example_1.0.1_complete_dynamic.json"
    packet = decode(Segment(JSON, 0, 0, True, path.read_bytes()))
    assert isinstance(packet, OpenTrackIOPacket)
    (sample,) = packet.samples(MAPPING, Stamp())
    assert isinstance(sample, Sample)
    assert sample.lens == LensReading(
        focal_length_mm=24.305, focus_distance_m=10.0, entrance_pupil_m=0.123, f_stop=4.0, t_stop=4.1,
        zoom_raw=0.3, focus_raw=0.1, iris_raw=0.2, radial=(1.0, 2.0, 3.0, 4.0, 5.0, 6.0), tangential=(1.0, 2.0),
        model="Brown-Conrady U-D", overscan_ratio=3.0, distortion_offset_mm=(1.0, 2.0), projection_offset_mm=(0.1, 0.2),
        exposure_falloff=(1.0, 2.0, 3.0),
    )  # fmt: skip


def otrk(tree: object, sequence: int = 0, encoding: int = JSON) -> bytes:
    payload = json.dumps(tree).encode() if encoding == JSON else cbor2.dumps(tree)
    return bytes(Segment(encoding, sequence, 0, True, payload))


def link(x: float, y: float, z: float, pan: float, tilt: float = 0.0, roll: float = 0.0) -> dict[str, Any]:
    return {"translation": {"x": x, "y": y, "z": z}, "rotation": {"pan": pan, "tilt": tilt, "roll": roll}}


def test_transform_chain() -> None:
    tree = {"transforms": [link(1, 2, 0, 10), link(0, 3, 1, 0, 20), link(0, 0.5, 0.2, -5, -15, 2)]}
    (packet,) = parse(otrk(tree))
    assert isinstance(packet, OpenTrackIOPacket)
    pose = packet.tracker_from_body()
    assert np.allclose(pose[:3, 3], (0.409346, 5.349767, 1.358949), atol=1e-6)
    assert np.allclose(pose[:3, 1], (-0.089481, 0.992278, 0.085899), atol=1e-6)


def test_a_links_scale_stretches_what_hangs_on_it_and_turns_nothing() -> None:
    links = [link(1, 2, 0, 90), link(0, 3, 1, 0, 20), link(0, 0.5, 0.2, -5)]
    links[0]["scale"] = {"x": 2.0, "y": 0.5, "z": 1.0}
    links[2]["scale"] = {"x": 9.0, "y": 9.0, "z": 9.0}
    (packet,) = parse(otrk({"transforms": links}))
    assert isinstance(packet, OpenTrackIOPacket)
    plain = [{k: v for k, v in one.items() if k != "scale"} for one in links]
    (unscaled,) = parse(otrk({"transforms": plain}))
    assert isinstance(unscaled, OpenTrackIOPacket)
    pose, tilt = packet.tracker_from_body(), np.radians(20.0)
    assert np.allclose(pose[:3, :3], unscaled.tracker_from_body()[:3, :3])
    # In the first link's axes: (0, 3, 1) and the tilted (0, 0.5, 0.2), forward halved; then turned left and moved.
    forward = 0.5 * (3.0 + 0.5 * np.cos(tilt) - 0.2 * np.sin(tilt))
    up = 1.0 + 0.5 * np.sin(tilt) + 0.2 * np.cos(tilt)
    assert np.allclose(pose[:3, 3], (1.0 - forward, 2.0, up), atol=1e-9)


def test_static_block_is_remembered() -> None:
    static = {"camera": {"activeSensorPhysicalDimensions": {"width": 36.0, "height": 24.0},
                         "anamorphicSqueeze": {"num": 2, "denom": 1}}}  # fmt: skip
    assembler = Assembler()
    assembler.feed(otrk({"sourceId": "s", "static": static, "transforms": [link(0, 0, 0, 0)]}, 1))
    for number, source_id in ((2, "s"), (3, "other")):
        (packet,) = assembler.feed(otrk({"sourceId": source_id, "transforms": [link(0, 0, 0, 0)]}, number))
        assert isinstance(packet, OpenTrackIOPacket)
        (sample,) = packet.samples(MAPPING, Stamp())
        assert isinstance(sample, Sample)
        if source_id == "s":
            assert sample.lens is not None
            assert (sample.lens.sensor_width_mm, sample.lens.squeeze) == (36.0, 2.0)
        else:
            assert sample.lens is None


def test_a_schema_fault_beside_the_pose_is_counted_not_refused() -> None:
    tree = {"transforms": [link(1, 2, 3, 4)], "lens": {"pinholeFocalLength": "wide"}, "tracker": {"status": "Lost"}}
    for encoding in (JSON, CBOR):
        (packet,) = parse(otrk(tree, encoding=encoding))
        assert isinstance(packet, OpenTrackIOPacket)
        assert packet.faults == ("lens",)
        (sample,) = packet.samples(MAPPING, Stamp())
        assert isinstance(sample, Sample)
        assert sample.quality == "Lost"


NAN = float("nan")


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (otrk({"transforms": [{"translation": {"x": "one"}}]}), "schema"),
        (otrk([1, 2, 3]), "schema"),
        (otrk([1, 2, 3], encoding=CBOR), "schema"),
        (otrk({"transforms": [link(0, 0, 0, NAN)]}, encoding=CBOR), "nan"),
        (otrk({"lens": {"pinholeFocalLength": NAN}}, encoding=CBOR), "nan"),
        (otrk({"transforms": [link(0, 0, 0, NAN)]}), "malformed"),  # NaN is no JSON
        (otrk({"transforms": [link(0, 0, 0, 0)] * 40}), "depth"),
        (otrk({"protocol": {"name": "OpenTrackIO", "version": [2, 0, 0]}}), "version"),
        (otrk({"protocol": {"name": "Other"}}), "magic"),
        (otrk({}, encoding=CBOR)[:16] + b"\xff", "checksum"),
        (bytes(Segment(3, 0, 0, True, b"{}")), "encoding"),
        (bytes(Segment(JSON, 0, 0, True, b"")), "short"),
        (bytes(Segment(JSON, 0, 70_000, True, b"{}")), "long"),
        (bytes(Segment(CBOR, 0, 0, True, b"\x81" * 3000)), "malformed"),
        (bytes(Segment(JSON, 0, 0, True, b'{"a":' * 3000)), "malformed"),
        (bytes(Segment(JSON, 0, 0, True, b'{"transforms":"\xff"}')), "malformed"),
    ],
)
def test_malformed_is_counted_not_raised(datagram: bytes, reason: str) -> None:
    (refusal,) = parse(datagram)
    assert isinstance(refusal, Refusal)
    assert refusal.reason == reason


def test_source_filters() -> None:
    base = Source(protocol="opentrackio", listen="127.0.0.1:55555", camera="a")
    (packet,) = parse(otrk({"sourceId": "urn:uuid:1", "sourceNumber": 4}))
    assert isinstance(packet, OpenTrackIOPacket)
    for update, expected in (
        ({}, True),
        ({"source_id": "urn:uuid:1"}, True),
        ({"source_id": "urn:uuid:2"}, False),
        ({"source_number": 4}, True),
        ({"source_number": 5}, False),
    ):
        assert packet.is_for(mapping_of("t", base.model_copy(update=update))) is expected


def test_take_equals_the_freed_take(reference: Path) -> None:
    def lines(folder: str) -> list[dict[str, Any]]:
        path = next((reference / "tracking" / folder).glob("take_*.jsonl"))
        return [json.loads(line) for line in path.read_text().splitlines()]

    freed_mapping = mapping_of("f", Source(protocol="freed", listen="127.0.0.1:40000", camera="a"))
    assembler = Assembler()
    compared = 0
    for ours, theirs in zip(lines("opentrackio"), lines("freed"), strict=False):
        (packet,) = assembler.feed(bytes.fromhex(ours["datagrams"][0]))
        assert isinstance(packet, OpenTrackIOPacket)
        (other,) = freed.parse(bytes.fromhex(theirs["hex"]))
        assert isinstance(other, freed.FreeDPacket)
        (a,), (b,) = packet.samples(MAPPING, Stamp()), other.samples(freed_mapping, Stamp())
        assert isinstance(a, Sample)
        assert isinstance(b, Sample)
        # FreeD counts 1/64 mm and 1/32768 degree, and the take's encoder cuts off.
        assert np.abs(a.stage_from_camera - b.stage_from_camera).max() < 2e-5
        compared += 1
    assert compared == 125


EXAMPLES = [
    "example_1.0.0_complete_static",
    "example_1.0.0_recommended_dynamic",
    "example_1.0.1_complete_dynamic",
    "example_1.0.1_recommended_static",
]


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("encoding", [JSON, CBOR])
def test_every_field_of_the_examples_is_kept_and_sent_again(reference: Path, name: str, encoding: int) -> None:
    folder = reference / "tracking/opentrackio"
    tree = json.loads((folder / f"{name}.json").read_text())
    payload = json.dumps(tree).encode() if encoding == JSON else cbor2.dumps(tree)
    packet = decode(Segment(encoding, 0, 0, True, payload))
    assert isinstance(packet, OpenTrackIOPacket)
    assert msgspec.to_builtins(packet.sample, order="sorted") == _as_tuples(tree)
    again = OpenTrackIOPacket.build(packet.sample, encoding=encoding)
    (back,) = parse(bytes(again))
    assert isinstance(back, OpenTrackIOPacket)
    assert back.sample == packet.sample
    sent = json.loads(again.payload) if encoding == JSON else cbor2.loads(again.payload)
    schema = json.loads((folder / "schema_1.0.1.json").read_text())
    jsonschema.validate(sent, schema)


def _as_tuples(tree: Any) -> Any:
    """The tree as msgspec gives it back: arrays of typed fields are tuples, those of free ones stay lists."""
    out = json.loads(json.dumps(tree))
    for path in (("transforms",), ("relatedSampleIds",), ("protocol", "version"), ("lens", "distortion"),
                 ("static", "lens", "calibrationHistory")):  # fmt: skip
        node = out
        for key in path[:-1]:
            node = node.get(key, {})
        if path[-1] in node:
            node[path[-1]] = tuple(node[path[-1]])
    for entry in out.get("lens", {}).get("distortion", ()):
        for key in ("radial", "tangential"):
            if key in entry:
                entry[key] = tuple(entry[key])
    return out


def test_every_property_of_the_schema_has_a_field(reference: Path) -> None:
    schema = json.loads((reference / "tracking/opentrackio/schema_1.0.1.json").read_text())

    def missing(node: dict[str, Any], kind: Any, path: str) -> list[str]:
        if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
            return []
        fields = {f.encode_name: f.type for f in msgspec.structs.fields(kind)}
        out = [f"{path}/{key}" for key in node.get("properties", {}) if key not in fields]
        for key, child in node.get("properties", {}).items():
            inner = [t for t in get_args(fields.get(key)) or (fields.get(key),) if t is not type(None)]
            inner = [a for t in inner for a in (get_args(t) or (t,))]
            for each in inner:
                out += missing(child.get("items", child), each, f"{path}/{key}")
        return out

    assert missing(schema, TrackSample, "") == []


def test_time_code_is_the_clock_of_samples_without_a_time_stamp() -> None:
    def t_source(**timing: Any) -> int | None:
        (packet,) = parse(otrk({"timing": timing}))
        assert isinstance(packet, OpenTrackIOPacket)
        return packet.t_source_ns

    def label(h: int, m: int, s: int, f: int, num: int = 25, denom: int = 1, **more: Any) -> dict[str, Any]:
        rate = {"num": num, "denom": denom}
        return {"hours": h, "minutes": m, "seconds": s, "frames": f, "frameRate": rate, **more}

    assert t_source(timecode=label(1, 2, 3, 5)) == (3723 * 25 + 5) * 40_000_000
    drop = t_source(timecode=label(0, 1, 0, 2, 30000, 1001, dropFrame=True))
    assert drop == 1800 * 1001 * 10**9 // 30000
    assert t_source(timecode=label(0, 1, 0, 0, 30000, 1001, dropFrame=True)) is None  # this label is left out
    assert t_source(timecode=label(0, 1, 0, 0, 30000, 1001)) == 1800 * 1001 * 10**9 // 30000
    rate = {"num": 50, "denom": 1}
    assert t_source(timecode=label(0, 0, 0, 1, subFrame=1), sampleRate=rate) == 60_000_000
    stamp = {"seconds": 7, "nanoseconds": 5}
    assert t_source(timecode=label(1, 2, 3, 5), sampleTimestamp=stamp) == 7_000_000_005
    assert t_source(timecode=label(1, 2, 3, 5, 0)) is None
    assert t_source(timecode=label(1, 2, 3, 25)) is None
    assert t_source() is None


def test_the_epoch_of_time_stamps_is_told() -> None:
    tai_ns = 1_795_238_304_000_000_000
    assert epoch_of(tai_ns - 3 * 10**9, tai_ns) == "tai"
    assert epoch_of(tai_ns - 37 * 10**9, tai_ns) == "unix"
    assert epoch_of(123, tai_ns) == "other"


def test_reserved_source_numbers_are_discarded() -> None:
    for number, good in ((1, True), (200, True), (0, False), (201, False)):
        (item,) = parse(otrk({"sourceNumber": number, "transforms": [link(0, 0, 0, 0)]}))
        assert isinstance(item, OpenTrackIOPacket) is good
        if isinstance(item, Refusal):
            assert item.reason == "range"


def test_encoders_and_overscan_come_from_wherever_they_are() -> None:
    lens = {"encoders": {"focus": 0.5}, "rawEncoders": {"focus": 9, "zoom": 4000}, "distortion": [{"radial": [0.0]}]}
    static = {"lens": {"distortionOverscanMax": 1.25}}
    (packet,) = parse(otrk({"lens": lens, "static": static}))
    assert isinstance(packet, OpenTrackIOPacket)
    (reading,) = packet.samples(MAPPING, Stamp())
    assert isinstance(reading, LensReading)
    assert (reading.focus_raw, reading.zoom_raw, reading.iris_raw) == (0.5, 4000, None)
    assert reading.overscan_ratio == 1.25


def test_poses_mean_what_the_conventions_say(reference: Path) -> None:
    for case in json.loads((reference / "tracking/poses/equivalent_poses.json").read_text())["cases"]:
        t, r = case["opentrackio"]["translation"], case["opentrackio"]["rotation"]
        x, y, z = t
        (packet,) = parse(otrk({"transforms": [link(x, y, z, r["pan"], r["tilt"], r["roll"])]}))
        assert isinstance(packet, OpenTrackIOPacket)
        (sample,) = packet.samples(MAPPING, Stamp())
        assert isinstance(sample, Sample)
        assert np.allclose(sample.stage_from_camera, case["stage_from_camera"], atol=1e-9)
