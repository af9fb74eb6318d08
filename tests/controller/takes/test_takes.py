"""Takes begin and end with the show lock; what is written about them stays; one is played again."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.errors import StoreError, UnknownAddress
from controller.status import Alarm
from controller.takes.book import TakeBook
from controller.takes.keeper import ALARM, Circumstances, Recordings, TakeKeeper, recordings_in
from controller.takes.take import TakeEdit, edited, named
from runtime.clock import VirtualClock

AT = Circumstances(100, "01:00:04:04", "anna", 7, "plaza", "gate")
LATER = msgspec.structs.replace(AT, frame=340, timecode="01:00:14:04")
NONE = Recordings(lambda name: "", lambda file: None)


@pytest.mark.parametrize(
    ("words", "slate", "number"),
    [
        ("12A/3", "12A", 3),
        ("12A take 3", "12A", 3),
        ("12A - t4", "12A", 4),
        ("pick up", "pick up", 6),
        ("7", "7", 6),
        ("A/0", "A/0", 6),
    ],
)
def test_what_a_take_is_called(words: str, slate: str, number: int) -> None:
    assert named(words, 5) == (slate, number)


@given(st.text(min_size=1).filter(str.strip), st.integers(0, 99))
def test_every_name_gives_a_slate_and_a_number(words: str, taken: int) -> None:
    slate, number = named(words, taken)
    assert slate
    assert number >= 1
    assert named(f"{slate}/{number}", taken)[1] == number or number > 9999


def test_a_take_from_roll_to_cut(tmp_path: Path) -> None:
    keeper = TakeKeeper(TakeBook(tmp_path), NONE, {}, clock=VirtualClock())
    keeper.follow("", AT)
    keeper.follow("12A/3", AT)
    (take,) = keeper.newest
    assert (take.name, take.first_frame, take.last_frame, take.scene, take.who) == ("12A/3", 100, None, "plaza", "anna")
    keeper.follow("12A/3", LATER)
    assert len(keeper.newest) == 1, "the lock told again is no new take"
    keeper.follow("", LATER)
    (take,) = keeper.newest
    assert (take.last_frame, take.last_timecode) == (339, "01:00:14:04")
    assert take.t_end_tai_ns is not None
    keeper.follow("12A", LATER)
    assert keeper.newest[0].number == 4, "the next of this slate"


def test_a_take_goes_on_over_a_restart_and_ends_where_that_is_found(tmp_path: Path) -> None:
    first = TakeKeeper(TakeBook(tmp_path), NONE, {}, clock=VirtualClock())
    first.follow("12A/1", AT)
    first.close()
    again = TakeKeeper(TakeBook(tmp_path), NONE, {}, clock=VirtualClock())
    again.follow("12A/1", LATER)
    assert [take.last_frame for take in again.newest] == [None]
    again.close()
    last = TakeKeeper(TakeBook(tmp_path), NONE, {}, clock=VirtualClock())
    last.follow("", LATER)
    assert [take.last_frame for take in last.newest] == [339]


def test_marks_and_notes_while_it_rolls_and_after(tmp_path: Path) -> None:
    keeper = TakeKeeper(TakeBook(tmp_path), NONE, {}, clock=VirtualClock())
    keeper.follow("12A/1", AT)
    keeper.edit(1, TakeEdit(notes="soft at the end", slate="12B"))
    keeper.follow("12A/1", LATER)
    keeper.follow("", LATER)
    keeper.edit(1, TakeEdit(mark="circle"))
    (take,) = keeper.newest
    assert (take.name, take.mark, take.notes, take.last_frame) == ("12B/1", "circle", "soft at the end", 339)
    assert edited(take, TakeEdit()) == take
    with pytest.raises(UnknownAddress):
        keeper.edit(9, TakeEdit(mark="ng"))


def test_tracking_is_recorded_with_the_take_unless_somebody_records_already(tmp_path: Path) -> None:
    running: list[str] = []
    recordings = recordings_in(
        tmp_path / "recordings", lambda file: running.append(str(file)), running.clear,
        lambda: running[0] if running else "",
    )  # fmt: skip
    keeper = TakeKeeper(TakeBook(tmp_path), recordings, {}, clock=VirtualClock())
    keeper.follow("12/A 1", AT)
    (file,) = running
    assert Path(file).name == "take-0001-12_A_1.mcap"
    keeper.follow("", LATER)
    assert running == []
    assert keeper.newest[0].recording == file
    running.append("/by/hand.mcap")
    keeper.follow("12A/2", AT)
    keeper.follow("", LATER)
    assert running == ["/by/hand.mcap"], "what was begun by hand goes on"
    assert keeper.newest[0].recording == "/by/hand.mcap"


def test_a_disk_that_fails_is_an_alarm_and_no_more(tmp_path: Path) -> None:
    alarms: dict[str, Alarm] = {}

    def full(name: str) -> str:
        raise OSError(28, "No space left on device")

    keeper = TakeKeeper(TakeBook(tmp_path), Recordings(full, lambda file: None), alarms, clock=VirtualClock())
    keeper.follow("12A/1", AT)
    assert "No space left" in alarms[ALARM].detail
    assert alarms[ALARM].mend
    keeper.follow("", LATER)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "takes.db").write_text("x" * 4096)
    with pytest.raises(StoreError, match=r"takes\.db"):
        TakeBook(tmp_path)
