"""Nothing is dropped in silence: every wanted frame is on the disk or in the list, with the reason."""

from __future__ import annotations

import errno
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pytest

from controller.capture.account import Account, Gap
from controller.capture.job import AWAY, UNREAD, WHY
from controller.capture.order import CaptureError, CaptureOrder, begin_capture, decode_capture, end_capture
from controller.capture.pictures import Captured
from controller.capture.stills import StillSink
from controller.capture.writer import FULL, SLOW, Writer
from runtime.ring import RingReader


def stills(folder: Path) -> list[int]:
    return sorted(int(path.name[-14:-4]) for path in folder.glob("*.png"))


def whole(told: Any, folder: Path) -> None:
    """Written and missing frames are all frames, each once."""
    lost = [frame for gap in told.gaps for frame in range(gap.first, gap.last + 1)]
    assert sorted([*stills(folder), *lost]) == list(range(told.first_frame, told.last_frame + 1))
    assert (told.written, told.missing) == (len(stills(folder)), len(lost))


def test_frames_the_wall_did_not_show_are_told_with_the_nodes_reason(
    wall: Any, capturekit: ModuleType, tmp_path: Path
) -> None:
    first = capturekit.FIRST
    order = wall.order(tmp_path / "a", "png", first_frame=first, last_frame=first + 6)
    wall.begin()
    for n, reason in enumerate([None, "late_draw", "late_draw", None, "held", None, None, None]):
        if reason is None:
            wall.show_frame(first + n)
        else:
            wall.repeat_frame(first + n, reason)
        wall.step()
    wall.settle()
    told = wall.told(order)
    assert told.gaps == [
        Gap(first + 1, first + 2, 2, WHY["late_draw"]),
        Gap(first + 4, first + 4, 1, WHY["held"]),
    ]
    whole(told, tmp_path)


def test_a_video_leaves_the_picture_before_a_gap_up_for_longer(
    wall: Any, capturekit: ModuleType, tmp_path: Path
) -> None:
    av = pytest.importorskip("av")
    first = capturekit.FIRST
    wall.order(tmp_path / "a", "ffv1", first_frame=first, last_frame=first + 3)
    wall.begin()
    for n in (0, 1, 3):
        wall.show_frame(first + n)
        wall.step()
    wall.settle()
    with av.open(str(tmp_path / "a.mkv")) as file:
        assert [round(frame.time * 24) for frame in file.decode(video=0)] == [0, 1, 3]


def test_pictures_overwritten_unread_are_told(wall: Any, capturekit: ModuleType, tmp_path: Path) -> None:
    first = capturekit.FIRST
    order = wall.order(tmp_path / "a", "png", first_frame=first, last_frame=first + 20)
    wall.begin()
    wall.show_frame(first)
    wall.step()
    for n in range(1, 21):
        wall.show_frame(first + n)  # the ring comes round twice before anybody looks
    wall.settle()
    told = wall.told(order)
    assert told.gaps == [Gap(first + 1, first + 12, 12, UNREAD)]
    whole(told, tmp_path)


class SlowSink(StillSink):
    """A disk that stands still until it is let go."""

    def __init__(self, order: CaptureOrder, gate: threading.Event) -> None:
        super().__init__(order)
        self.gate = gate

    def write(self, picture: Captured) -> None:
        self.gate.wait(20.0)
        super().write(picture)


def test_a_slow_disk_holds_up_nobody_and_what_it_cost_is_told(
    wall: Any, capturekit: ModuleType, tmp_path: Path
) -> None:
    first, gate = capturekit.FIRST, threading.Event()
    order = wall.order(tmp_path / "a", "png", first_frame=first, last_frame=first + 11)
    room = 4 * wall.size[0] * wall.size[1] * 4
    wall.begin(writer=lambda account, _: Writer(account, lambda: SlowSink(account.order, gate), queue_bytes=room))
    for n in range(12):
        wall.show_frame(first + n)
        wall.step()  # returns at once: frames are taken or counted while the disk stands
    status = RingReader.open(wall.run.capture_status)
    slot = status.latest()
    assert slot is not None
    (alarm,) = decode_capture(slot.data).alarms
    assert SLOW in alarm.detail
    gate.set()
    wall.settle()
    told = wall.told(order)
    assert told.state == "done"
    assert [(gap.first, gap.last) for gap in told.gaps] == [(first + 4, first + 11)]
    assert told.gaps[0].why.startswith(SLOW)
    whole(told, tmp_path)
    status.close()


def test_stills_go_on_when_a_full_disk_has_room_again(wall: Any, capturekit: ModuleType, tmp_path: Path) -> None:
    first, free = capturekit.FIRST, [1 << 40]
    order = wall.order(tmp_path / "a", "png", first_frame=first, last_frame=first + 5)
    wall.begin(writer=lambda account, sink: Writer(account, sink, free_bytes=lambda _: free[0]))
    for n in range(6):
        free[0] = 1000 if n in (2, 3) else 1 << 40
        wall.show_frame(first + n)
        wall.until(lambda n=n: wall.capture._jobs[1].account.told == first + n)
    wall.settle()
    told = wall.told(order)
    assert [(gap.first, gap.last) for gap in told.gaps] == [(first + 2, first + 3)]
    assert told.gaps[0].why.startswith(FULL)
    assert told.state == "done"
    whole(told, tmp_path)


def test_a_video_on_a_full_disk_ends_whole_and_says_so(wall: Any, capturekit: ModuleType, tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    first, free = capturekit.FIRST, [1 << 40]
    order = wall.order(tmp_path / "a", "prores", first_frame=first, last_frame=first + 50)
    wall.begin(writer=lambda account, sink: Writer(account, sink, free_bytes=lambda _: free[0]))
    for n in range(4):
        free[0] = 1000 if n == 3 else 1 << 40
        wall.show_frame(first + n)
        wall.until(lambda n=n: wall.capture._jobs[1].account.told == first + n)
    wall.settle()
    told = wall.told(order)
    assert (told.state, told.written) == ("failed", 3)
    assert FULL in told.detail
    assert f"before frame {first + 3}" in told.detail
    with av.open(str(tmp_path / "a.mov")) as file:
        assert len(list(file.decode(video=0))) == 3
    status = RingReader.open(wall.run.capture_status)
    wall.step()
    slot = status.latest()
    assert slot is not None
    (alarm,) = decode_capture(slot.data).alarms
    assert FULL in alarm.detail
    status.close()


def test_a_disk_error_in_the_middle_of_a_write(wall: Any, capturekit: ModuleType, tmp_path: Path) -> None:
    class Failing(StillSink):
        def write(self, picture: Captured) -> None:
            if picture.stamp.frame % 2:
                raise OSError(errno.ENOSPC, "No space left on device")
            super().write(picture)

    first = capturekit.FIRST
    order = wall.order(tmp_path / "a", "png", first_frame=first, last_frame=first + 3)
    wall.begin(writer=lambda account, _: Writer(account, lambda: Failing(account.order)))
    for n in range(4):
        wall.show_frame(first + n)
        wall.step()
    wall.settle()
    whole(wall.told(order), tmp_path)
    assert all("No space left" in gap.why for gap in wall.told(order).gaps)


def test_ended_by_hand_after_what_was_shown_or_at_a_frame(wall: Any, capturekit: ModuleType, tmp_path: Path) -> None:
    first = capturekit.FIRST
    now, later = wall.order(tmp_path / "now", "png"), wall.order(tmp_path / "later", "png")
    wall.begin()
    for n in range(4):
        wall.show_frame(first + n)
        wall.step()
    end_capture(wall.run, now.number)
    end_capture(wall.run, later.number, last_frame=first + 5)
    wall.step()
    for n in range(4, 9):
        wall.show_frame(first + n)
        wall.step()
    wall.settle()
    assert (wall.told(now).first_frame, wall.told(now).last_frame) == (first, first + 3)
    assert (wall.told(later).first_frame, wall.told(later).last_frame) == (first, first + 5)
    assert wall.told(later).written == 6


def test_a_process_that_was_killed_goes_on_and_tells_what_it_missed(
    wall: Any, capturekit: ModuleType, tmp_path: Path
) -> None:
    pytest.importorskip("av")
    first = capturekit.FIRST
    still = wall.order(tmp_path / "s", "png", first_frame=first, last_frame=first + 9)
    video = wall.order(tmp_path / "v", "ffv1", first_frame=first, last_frame=first + 9)
    killed = wall.begin()
    for n in range(3):
        wall.show_frame(first + n)
        wall.step()
    wall.until(lambda: all(job.account.written == 3 for job in killed._jobs.values()))
    wall.step()  # once a second the list is written
    wall.step()
    for job in killed._jobs.values():
        job.save()
    killed._status.close()
    for n in range(3, 7):
        wall.show_frame(first + n)
    wall.begin()  # another process, the first never ended its files
    for n in range(7, 11):
        wall.show_frame(first + n)
        wall.step()
    wall.settle()
    told = wall.told(still)
    assert told.gaps == [Gap(first + 3, first + 5, 3, AWAY)]
    whole(told, tmp_path)
    told = wall.told(video)
    assert told.files == [str(tmp_path / "v.mkv"), str(tmp_path / "v.part2.mkv")]
    assert told.written == 7
    for job in killed._jobs.values():
        job.finish()


def test_time_that_jumps_ends_a_capture(wall: Any, capturekit: ModuleType, tmp_path: Path) -> None:
    first = capturekit.FIRST
    order = wall.order(tmp_path / "a", "png")
    wall.begin()
    wall.show_frame(first)
    wall.step()
    wall.show_frame(first + 100_000)
    wall.step()
    wall.settle()
    told = wall.told(order)
    assert (told.state, told.written) == ("failed", 1)
    assert "jumped ahead" in told.detail


def test_nothing_is_written_over(wall: Any, tmp_path: Path) -> None:
    (tmp_path / "a.mov").write_bytes(b"")
    for path, form in ((tmp_path / "a", "prores"), (tmp_path / "a.mov", "prores_hq")):
        with pytest.raises(CaptureError, match="is there already"):
            wall.order(path, form)
    wall.order(tmp_path / "b", "png")
    with pytest.raises(CaptureError, match="captured into already"):
        wall.order(tmp_path / "b.png", "png")
    with pytest.raises(CaptureError, match="before the first"):
        wall.order(tmp_path / "c", "png", first_frame=9, last_frame=8)
    with pytest.raises(CaptureError, match="no such capture"):
        end_capture(wall.run, 99)


def test_gaps_with_steps_are_counted_by_wanted_frames(tmp_path: Path) -> None:
    account = Account(CaptureOrder(1, "canvas", "main", "png", str(tmp_path / "a"), every=3))
    account.first_wanted = 10
    account.lost(11, 12, "x")
    assert account.missing == 0, "nobody wanted those"
    account.lost(13, 13, "x")
    account.lost(16, 16, "x")
    account.lost(17, 30, "y")
    assert account.gaps == [Gap(13, 16, 2, "x"), Gap(17, 30, 4, "y")]
    account.write()
    back = Account.resumed(account.order)
    assert back is not None
    assert (back.gaps, back.missing, back.told) == (account.gaps, 6, 30)
    assert msgspec.json.decode(account.order.sidecar.read_bytes())["openvolume_capture"] == 1


def test_without_pyav_a_video_says_what_to_do(
    wall: Any, capturekit: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "av", None)
    order = begin_capture(wall.run, CaptureOrder(0, "canvas", "main", "ffv1", str(tmp_path / "a")))
    wall.begin()
    wall.show_frame(capturekit.FIRST)
    wall.settle()
    assert "openvolume[video]" in wall.told(order).detail


def test_exr_time_code_of_fast_and_drop_frame_rates() -> None:
    from controller.capture.stills import timecode_words
    from stage.rate import Rate

    assert timecode_words("10:11:12:23", Rate(24)) == (0x10111223, 0)
    assert timecode_words("01:02:03;04", Rate(30000, 1001)) == (0x01020304 | 1 << 6, 0)
    # Frame pairs: 47 is the second of pair 23.
    assert timecode_words("01:02:03:47", Rate(48)) == (0x01020323 | 1 << 15, 0)
    assert timecode_words("01:02:03:46", Rate(48)) == (0x01020323, 0)
    assert np.uint32(timecode_words("23:59:59:119", Rate(120))[0]) == 0x23595929 | 1 << 15
