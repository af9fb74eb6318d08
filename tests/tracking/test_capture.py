"""Recordings: byte for byte with stamps and senders, torn anywhere, recovered, and refused when they are none."""

from __future__ import annotations

import os
from pathlib import Path

import mcap.reader
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracking.capture import Capture, CaptureInfo, CaptureWriter, read_capture, recover
from tracking.errors import CaptureError
from tracking.receivers import Arrival
from tracking.tap import BATCH_BYTES, BATCH_NS, Batch, Datagram, LinkInfo, Tap, decode_batch, encode_batch

INFO = CaptureInfo(1_700_000_000_123_456_789, 1_700_000_037_123_456_789, "demo", "r1", "openvolume: 1\n", "/shows")
LINKS = (LinkInfo("127.0.0.1:40000", "freed", ("a", "b")), LinkInfo("239.135.1.7:55555", "opentrackio", ("c",)))


def some(count: int = 200) -> list[Datagram]:
    return [
        Datagram(n % 2, 5_000_000_000 + n * 4_166_667, f"10.0.0.{n % 3}", 5000 + n % 3, bytes([n % 256]) * (n % 90))
        for n in range(count)
    ]


def written(path: Path, datagrams: list[Datagram], *, close: bool = True) -> CaptureWriter:
    writer = CaptureWriter(path, INFO)
    for begin in range(0, len(datagrams), 17):
        writer.add(Batch(LINKS, tuple(datagrams[begin : begin + 17])))
    writer.sync()
    if close:
        writer.close()
    return writer


def test_what_is_written_comes_back_byte_for_byte(tmp_path: Path) -> None:
    path = tmp_path / "take.mcap"
    datagrams = some()
    writer = written(path, datagrams)
    assert writer.datagrams == 200
    capture = read_capture(path)
    assert capture.info == INFO
    assert capture.links == LINKS
    assert capture.datagrams == datagrams
    assert (capture.missed, capture.torn, capture.damaged) == (0, False, False)
    assert capture.seconds == pytest.approx(199 * 4_166_667e-9)
    writer.close()  # twice is harmless


def test_other_programs_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "take.mcap"
    datagrams = some(30)
    written(path, datagrams)
    with path.open("rb") as file:
        reader = mcap.reader.make_reader(file)
        messages = list(reader.iter_messages(log_time_order=True))
        summary = reader.get_summary()
    assert [message.data for _, _, message in messages] == [d.data for d in datagrams]
    assert [m.log_time - INFO.unix_minus_monotonic_ns for _, _, m in messages] == [d.t_received_ns for d in datagrams]
    assert {channel.topic for _, channel, _ in messages} == {f"/tracking/{link.listen}" for link in LINKS}
    assert summary is not None
    assert summary.statistics is not None
    assert summary.statistics.message_count == 30
    assert not summary.chunk_indexes


def test_a_writer_that_was_killed_leaves_all_but_the_end(tmp_path: Path) -> None:
    path = tmp_path / "take.mcap"
    datagrams = some()
    writer = written(path, datagrams, close=False)
    torn = read_capture(path)
    assert torn.torn
    assert torn.datagrams == datagrams
    writer.abandon()
    mended = tmp_path / "mended.mcap"
    recover(path, mended)
    whole = read_capture(mended)
    assert not whole.torn
    assert (whole.datagrams, whole.info, whole.links) == (datagrams, INFO, LINKS)
    with pytest.raises(CaptureError, match="cannot be written"):
        recover(path, mended)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(0.0, 1.0), st.binary(max_size=40))
def test_a_file_cut_anywhere_holds_a_beginning(tmp_path: Path, share: float, rubbish: bytes) -> None:
    path = tmp_path / "take.mcap"
    if not path.exists():
        written(path, some())
    data = path.read_bytes()
    cut = tmp_path / "cut.mcap"
    for tail in (b"", rubbish, bytes(64)):
        cut.write_bytes(data[: int(share * len(data))] + tail)
        try:
            capture = read_capture(cut)
        except CaptureError:
            assert share * len(data) < 1000 or tail  # before its first records it is no recording yet
            continue
        # Of the record that was cut, rubbish may make a whole one that nobody can tell from it.
        sure = capture.datagrams[:-1] if tail else capture.datagrams
        assert sure == some()[: len(sure)]
        assert len(capture.datagrams) >= int(share * 190) - 13


def test_a_turned_bit_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "take.mcap"
    written(path, some())
    data = bytearray(path.read_bytes())
    at = data.index(bytes([80]) * 80)
    data[at + 7] ^= 4
    path.write_bytes(data)
    assert read_capture(path).damaged


def test_gaps_of_the_recorder_are_told(tmp_path: Path) -> None:
    path = tmp_path / "take.mcap"
    writer = CaptureWriter(path, INFO)
    writer.add(Batch(LINKS, tuple(some(5))))
    writer.missed(3)
    writer.missed(4)
    writer.close()
    assert read_capture(path).missed == 7


def test_a_full_disk_ends_the_recording_and_nothing_else(tmp_path: Path) -> None:
    writer = CaptureWriter(Path("/dev/full"), INFO) if not os.path.exists("/dev/full") else None
    assert writer is None
    with pytest.raises(FileExistsError):
        CaptureWriter(Path("/dev/full"), INFO)  # never over what is there
    path = tmp_path / "take.mcap"
    full = written(path, some(50), close=False)
    full.abandon()
    full.abandon()
    full.close()
    assert read_capture(path).torn


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89MCAP0\r\n", b"\x89MCAP0\r\n" + bytes(100)])
def test_files_that_are_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "none.mcap"
    path.write_bytes(content)
    with pytest.raises(CaptureError) as caught:
        read_capture(path)
    assert caught.value.problems[0].mend
    with pytest.raises(CaptureError, match="cannot be read"):
        read_capture(tmp_path / "gone.mcap")


@given(st.binary(max_size=400))
def test_any_bytes_are_a_recording_or_an_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.mcap"
    for head in (b"", b"\x89MCAP0\r\n"):
        path.write_bytes(head + data)
        try:
            assert isinstance(read_capture(path), Capture)
        except CaptureError:
            continue


# --- the tap --------------------------------------------------------------------------------------------------------


def test_a_tap_hands_on_everything_in_order() -> None:
    out: list[bytes] = []
    tap = Tap(out.append)
    arrivals = [Arrival(bytes([n % 256]) * 900, "10.0.0.1", 5, 1_000 + n) for n in range(300)]
    for begin in range(0, 300, 7):
        tap.take(LINKS[(begin // 7) % 2], arrivals[begin : begin + 7])
    tap.flush()
    tap.flush()
    batches = [decode_batch(data) for data in out]
    assert len(batches) > 3
    assert max(map(len, out)) < BATCH_BYTES + 2_000
    got = [(batch.links[d.link], d) for batch in batches for d in batch.datagrams]
    assert [d.data for _, d in got] == [a.data for a in arrivals]
    assert [d.t_received_ns for _, d in got] == [a.t_received_ns for a in arrivals]
    assert [link for link, _ in got] == [LINKS[(n // 7) % 2] for n in range(300)]


def test_a_tap_waits_a_little() -> None:
    out: list[bytes] = []
    tap = Tap(out.append)
    tap.flush(5)
    tap.take(LINKS[0], [Arrival(b"x", "", 0, 1_000)])
    tap.flush(1_000)
    tap.flush(1_000 + BATCH_NS - 1)
    assert not out
    tap.flush(1_000 + BATCH_NS)
    assert len(out) == 1
    tap.take(LINKS[0], [])
    tap.flush()
    assert len(out) == 1


def test_batches_travel() -> None:
    batch = Batch(LINKS, tuple(some(5)))
    assert decode_batch(encode_batch(batch)) == batch
