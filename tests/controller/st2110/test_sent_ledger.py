"""What the sender says of slots stands in the ledger: beside what the walls showed, on the disk, and in words."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from controller.ledger import Ledger
from controller.ledger_file import read_segments, segments_in
from controller.ledger_tell import summary_of
from controller.ledger_words import SENT_WORDS, explain
from controller.recorder import Recorder
from controller.st2110.status import KIND_SENT, SENT_CAPACITY, SENT_SLOTS, SentNote, SentReason
from runtime.ring import RingWriter


def test_notes_reach_the_disk_and_change_no_count(shm: Path, tmp_path: Path, housekit: ModuleType) -> None:
    with housekit.VirtualShow(shm, housekit.minimal_text()) as show:
        ring = RingWriter.create(show.run.sent, kind=KIND_SENT, slots=SENT_SLOTS, capacity=SENT_CAPACITY)
        recorder = Recorder(run=show.run, clock=show.clock, folder=tmp_path, keep_bytes=10**7, show=show.loaded.name)
        show.house.add("ledger", recorder)

        def tell(frame: int, reason: SentReason, frames: int = 1) -> None:
            note = msgspec.msgpack.encode(SentNote("main", frame, reason, frames))
            ring.publish(note, frame=frame, t_ns=show.clock.now_ns())

        for frame in range(1, 200):
            show.run_to(frame)
            if frame in (100, 101):
                tell(frame, "repeat")
            elif frame == 150:
                # A sender was killed, and its successor says what that cost.
                tell(149, "away", 40)
        show.house.remove("ledger")
        ring.close()
    reading = read_segments(segments_in(tmp_path))
    by_frame = {record.frame: record for record in reading.records}
    assert {by_frame[n].sent.get("main") for n in (100, 101)} == {"repeat"}
    assert {by_frame[n].sent.get("main") for n in (99, 102, 150)} == {None}
    # Slots are written after 20 others: the newest of the forty bear it themselves, the event tells all.
    assert by_frame[149].sent == {"main": "away"}
    (event,) = [event for event in reading.events if event.what == "not_sent"]
    assert (event.name, event.detail) == ("main", "frames 110 to 149: away")
    assert all(by_frame[n].presented for n in range(100, 150))
    told = summary_of(reading)
    assert told["repeated"] == 0
    assert told["not_sent"]["main"]["repeat"] == 2
    why = explain(by_frame[101], reading.records, events=reading.events)
    assert f"On the network: {SENT_WORDS['repeat']} (canvas main)." in why.details


def test_slots_nobody_keeps_are_left_alone() -> None:
    from stage.rate import Rate

    ledger = Ledger(Rate(24), ["main"], keep=8)
    ledger.add_sent("main", 1000, "away", frames=1 << 40)
    found = ledger.after(-1, until=2000)
    assert [record.frame for record in found] == list(range(993, 1001))


@pytest.mark.parametrize("reason", ["late", "repeat", "held", "torn", "away"])
def test_every_reason_has_words(reason: str) -> None:
    assert SENT_WORDS[reason]
