"""The cue list: order, GO and BACK as functions of a show, and whole lists played in a virtual house."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import msgspec
import pytest

from controller.api.cues import CueHand
from controller.commands import Command, apply, undo_of
from controller.cue_play import back, check_cue, play, preview, stopped, wanted
from controller.cues import Cue, CuesAt, cue_of, frames_ahead, ordered, put, standby
from controller.errors import BadValue, NothingToGo, UnknownAddress
from controller.show import CameraSettings, Show
from controller.store import Change
from controller.surroundings import Surroundings
from controller.switching import Moment
from controller.transitions import show_at
from stage.rate import Rate
from stage.timecode import frame_of, timecode_at

RATE = Rate(24, 1)
T0_NS = 5_000_000_123
NOW = Moment(1000, RATE.deadline_ns(T0_NS, 1000), RATE.deadline_ns(0, 1000), RATE)
AROUND = Surroundings(cameras=frozenset({"a"}), scenes=("hall", "yard"), moment=NOW)
CUES = [
    Cue("one", "1", changes={"exposure_ev": -2.0}, seconds=0.5),
    Cue("two", "2", changes={"outer/eye_m": [1.0, 0.0, 1.7], "cameras/a/on_air": False}, follow="with"),
    Cue("three", "2.5", changes={"cameras/a/soft_edge_deg": 4.0}, seconds=0.25, curve="s_curve"),
    Cue("four", "3", changes={"exposure_ev": 1.0}, delay_s=0.5, follow="after", follow_s=1.0),
    Cue("five", "4", changes={"exposure_ev": 0.0}, seconds=0.25),
]
SHOW = Show(cameras={"a": CameraSettings()}, cues=CUES)


def gone(show: Show, *names: str) -> Show:
    for name in names:
        show = play(show, AROUND, wanted(show, name))[0]
    return show


def test_go_walks_the_list_and_ends() -> None:
    show, played = SHOW, []
    for _ in range(3):
        cue = wanted(show)
        played.append(cue.number)
        show = gone(show, cue.id)
    assert played == ["1", "2", "3"], "those that follow by themselves are passed over"
    assert standby(show.cues, show.cues_at) is None
    with pytest.raises(NothingToGo, match="end of the cue list"):
        wanted(show)
    assert wanted(show, "2.5").id == "three"
    with pytest.raises(UnknownAddress, match="use one of 1, 2"):
        wanted(show, "9")


def test_a_cue_changes_what_it_names_over_its_time() -> None:
    show = gone(SHOW, "1")
    assert [show_at(show, NOW.present_ns(1000 + n), RATE).exposure_ev for n in (0, 1, 7, 12, 13)] == pytest.approx(
        [0.0, -2.0 / 13, -2.0 * 7 / 13, -2.0 * 12 / 13, -2.0]
    )
    assert msgspec.structs.replace(show, exposure_ev=0.0, transitions=[], cues_at=CuesAt()) == SHOW


def test_preview_tells_it_with_those_that_go_along() -> None:
    assert preview(SHOW, AROUND, CUES[1]) == {
        "outer/eye_m": Change(SHOW.eye_m, (1.0, 0.0, 1.7)),
        "cameras/a/on_air": Change(True, False),
        "cameras/a/soft_edge_deg": Change(1.0, 4.0),
    }


def test_back_and_undo_lead_to_the_first_show() -> None:
    show, undos = SHOW, []
    for name in ("1", "2", "3"):
        show, changes = play(show, AROUND, wanted(show, name))
        undos.append(changes)
    assert [one.cue for one in show.cues_at.waiting] == ["four", "five"]
    gone_back = show
    for _ in range(3):
        gone_back = back(gone_back, AROUND)[0]
    assert gone_back == SHOW
    with pytest.raises(NothingToGo):
        back(gone_back, AROUND)
    for changes in reversed(undos):
        # As the store keeps them.
        kept = msgspec.json.decode(msgspec.json.encode(changes), type=dict[str, Change])
        show = apply(show, undo_of(kept), AROUND)[0]
    assert show == SHOW


def test_a_scene_of_a_cue_that_takes_time_dissolves() -> None:
    cue = Cue("x", "9", changes={"scenes/active": "yard"}, seconds=1.0)
    show = apply(SHOW, Command({"scenes/active": "hall"}), AROUND)[0]
    show = play(msgspec.structs.replace(show, cues=[cue]), AROUND, cue, 1010)[0]
    (switch,) = show.switches
    assert (switch.kind, switch.frames, switch.begin_frame) == ("dissolve", 24, 1010)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"number": "x"}, "number"),
        ({"number": "7", "curve": "bounce"}, "curve"),
        ({"number": "7", "seconds": -1}, "seconds"),
        ({"number": "7", "colour": "red"}, "colour"),
        ({"number": "7", "timecode": "25:00:00:00"}, "timecode"),
        ({"number": "1"}, "another cue"),
        ({"number": "7", "seconds": 1, "changes": {"cameras/a/enabled": False}}, "cannot move over time"),
        ({"number": "7", "changes": {"cues/at": {}}}, "no cue's to change"),
        ({"number": "7", "changes": {"exposure_ev": 90}}, "exposure_ev"),
    ],
)
def test_cues_that_cannot_be_are_refused(body: dict[str, Any], said: str) -> None:
    with pytest.raises(BadValue, match=said):
        put_checked("new", body)


def test_a_cue_may_change_a_card_that_an_earlier_one_makes() -> None:
    moved = cue_of("moved", {"number": "20", "changes": {"cards/fill/pan_deg": 5.0}})
    with pytest.raises(UnknownAddress, match="no card 'fill'"):
        check_cue(SHOW, moved, AROUND)
    made = Cue("made", "19", changes={"cards/fill": {"nits": 50.0}})
    show = msgspec.structs.replace(SHOW, cues=[made])
    check_cue(show, moved, AROUND)
    show = gone(msgspec.structs.replace(show, cues=[made, moved]), "19", "20")
    assert (show.cards["fill"].nits, show.cards["fill"].pan_deg) == (50.0, 5.0)
    assert back(back(show, AROUND)[0], AROUND)[0].cards == {}


def put_checked(name: str, body: dict[str, Any]) -> list[Cue]:
    cue = cue_of(name, body)
    check_cue(SHOW, cue, AROUND)
    return put(SHOW.cues, cue, RATE)


def test_the_list_is_put_and_ordered() -> None:
    assert [cue.id for cue in put_checked("new", {"number": "0.5"})] == ["one", "two", "three", "four", "five", "new"]
    assert put_checked("one", {"number": "11"})[0].number == "11"
    assert ordered(CUES, ["five", "four", "three", "two", "one"]) == CUES[::-1]
    for wrong in (["one"], None, ["one", "one", "two", "three", "four"]):
        with pytest.raises(BadValue, match="every cue, once"):
            ordered(CUES, wrong)
    with pytest.raises(BadValue, match="no cue is called so"):
        cue_of("go", {"number": "7"})


def test_stop_leaves_nothing_waiting() -> None:
    show = gone(SHOW, "2.5", "3")
    assert show.cues_at.waiting
    left, changes = stopped(show)
    assert (left.cues_at.waiting, left.cues_at.current, changes.keys()) == ([], show.cues_at.current, {"cues/at"})
    assert stopped(left) == (left, {})


@pytest.mark.parametrize("hour", ["23:59:59:20", "00:00:00:00", "12:00:00:00"])
def test_a_label_lies_ahead_the_short_way_over_midnight(hour: str) -> None:
    now = frame_of(RATE, hour)
    for frames in (-2000, -24, -1, 0, 1, 24, 2000):
        assert frames_ahead(timecode_at(RATE, now + frames), now, RATE) == frames


class Chased:
    """A hand whose desk does all at once, and plans that tell one time code after another."""

    def __init__(self, *labels: str) -> None:
        cues = [Cue(f"c{n}", str(n), changes={"exposure_ev": -n / 10}, timecode=text) for n, text in enumerate(labels)]
        self.show = Show(cameras={"a": CameraSettings()}, cues=cues, cues_at=CuesAt(chase=True))
        self.moment, self.around_now, self.went = NOW, AROUND, list[str]()
        self.hand = CueHand(self)  # type: ignore[arg-type]
        self._frame = 2000

    async def make(self, _: str, change: Callable[..., Awaitable[Any]], *, who: str = "", at_frame: int = 0) -> Any:
        before = self.show.cues_at.chased
        self.show, changes = await change(self.show, AROUND)
        self.went += [cue for cue in self.show.cues_at.chased if cue not in before]
        return SimpleNamespace(changes=changes)

    async def run(self, label: str, frames: int) -> None:
        """Time code from a label on, for so many frames."""
        begin = frame_of(RATE, label)
        for n in range(frames):
            self._frame += 1
            plan = SimpleNamespace(frame=self._frame, rate=(24, 1), timecode=timecode_at(RATE, begin + n))
            self.hand.seen(plan)  # type: ignore[arg-type]
            for _ in range(4):
                await asyncio.sleep(0)


async def test_time_code_that_jumps_lets_nothing_go_twice_and_skips_what_it_jumped_over() -> None:
    chased = Chased("01:00:01:00", "01:00:02:00", "01:00:10:00")
    await chased.run("01:00:00:00", 30)
    assert chased.went == ["c0"]
    # A machine that stumbles by less than a second: nothing again.
    await chased.run("01:00:00:18", 18)
    assert chased.went == ["c0"]
    # Over the second cue by more than a second: it does not go; the third does when it comes.
    await chased.run("01:00:08:00", 60)
    assert chased.went == ["c0", "c2"]
    # Half a second past the second: it goes late, the third is armed again.
    await chased.run("01:00:02:12", 3)
    assert chased.went == ["c0", "c2", "c1"]
    assert chased.show.cues_at.chased == ["c0", "c1"]
    # From the top: each goes once more.
    await chased.run("00:59:58:00", 24 * 14)
    assert chased.went == ["c0", "c2", "c1", "c0", "c1", "c2"]
    await chased.run("01:00:12:00", 24)
    assert len(chased.went) == 6
    assert chased.hand.problem == ""


async def test_late_cues_of_one_jump_go_in_the_order_of_their_time() -> None:
    chased = Chased("01:00:05:10", "01:00:05:00")
    await chased.run("01:00:05:20", 2)
    assert chased.went == ["c1", "c0"]
    assert chased.show.exposure_ev == pytest.approx(0.0), "the last one holds"


async def test_an_undo_lets_nothing_go_again_by_time_code() -> None:
    chased = Chased("01:00:01:00")
    before = chased.show.cues_at
    await chased.run("01:00:00:20", 6)
    assert chased.went == ["c0"]
    chased.show = apply(chased.show, Command({"cues/at": msgspec.to_builtins(before)}), AROUND)[0]
    await chased.run("01:00:01:02", 6)
    assert chased.went == ["c0"]
    assert chased.show.cues_at.current == ""


# --- in a house ------------------------------------------------------------------------------------------------------


Build = Callable[..., Any]
GOES = {"1": 40, "2": 60, "3": 80}
"""Frames that show the first of each GO."""


@pytest.fixture
def build(shm: Path, housekit: ModuleType) -> Iterator[Build]:
    made: list[Any] = []

    def make(**options: Any) -> Any:
        folder = shm / str(len(made))
        folder.mkdir()
        made.append(housekit.VirtualShow(folder, housekit.minimal_text(), **options))
        return made[-1]

    yield make
    for show in made:
        show.__exit__()


def played(kit: ModuleType, virtual: Any, go: Callable[[CueHand, str], Awaitable[Any]] | None, last: int = 150) -> Any:
    """Play the list: by `go` just before its frames, or by whatever the list does by itself."""
    desk = kit.DrawnDesk(virtual)
    hand = CueHand(desk)

    async def run() -> None:
        seen = -1
        while seen < last:
            virtual.run_for(0.002)
            for plan in [plan for frame, plan in virtual.plans.items() if frame > seen]:
                seen = plan.frame
                desk.moment = Moment(plan.frame, plan.t_present_ns, plan.scene_time_ns, Rate(*plan.rate))
                hand.seen(plan)
                for number, frame in GOES.items():
                    if go is not None and plan.frame == frame - 1:
                        await go(hand, number)
            for _ in range(4):
                await asyncio.sleep(0)
        assert hand.problem == ""
        hand.stop()

    asyncio.run(run())
    return desk


def test_a_list_played_by_go_by_osc_and_by_time_code_gives_the_same_plans(build: Build, cuekit: ModuleType) -> None:
    labelled = [
        msgspec.structs.replace(cue, timecode=timecode_at(RATE, GOES[cue.number])) if cue.number in GOES else cue
        for cue in CUES
    ]
    first = {"cues": labelled}
    by_go, by_osc = build(first=first), build(first=first)
    by_code = build(first={**first, "cues_at": CuesAt(chase=True)})

    async def go(hand: CueHand, number: str) -> None:
        await hand.go("" if number != "2" else number, who="anna")

    async def osc(hand: CueHand, number: str) -> None:
        await hand.osc([number, "go"], True, "osc")
        await hand.osc(["go"], False, "osc")

    desks = [played(cuekit, by_go, go), played(cuekit, by_osc, osc), played(cuekit, by_code, None)]
    plans = by_go.plans
    for frame, (ev, version) in {39: (0.0, 1), 40: (-2.0 / 13, 2), 52: (-2.0, 2), 60: (-2.0, 3), 80: (-2.0, 4)}.items():
        assert (plans[frame].exposure_ev, plans[frame].show_version) == (pytest.approx(ev), version), frame
    # Cue 3 is delayed by 12 frames, and 4 follows 24 after its GO; it takes 6.
    assert [plans[n].exposure_ev for n in (91, 92, 103)] == pytest.approx([-2.0, 1.0, 1.0])
    assert [plans[n].exposure_ev for n in (104, 107, 110)] == pytest.approx([6 / 7, 3 / 7, 0.0])
    assert (plans[59].cameras[0].on_air, plans[60].cameras[0].on_air) == (True, False)
    frames = range(145)
    assert [by_osc.plans[n] for n in frames] == [by_go.plans[n] for n in frames]
    assert [by_code.plans[n] for n in frames] == [by_go.plans[n] for n in frames]
    assert by_osc.hashes[:145] == by_go.hashes[:145] == by_code.hashes[:145]
    assert set(by_go.outcome().values()) == {(f, "none") for f in by_go.outcome()}, "no slot lost"
    for desk in desks:
        show = desk.show
        assert (len(show.cues_at.steps), show.cues_at.waiting) == (5, [])
        for changes in reversed(desk.made):
            show = apply(show, undo_of(changes), desk.around_now)[0]
        plain = {"version": 1, "cues_at": CuesAt()}
        assert msgspec.structs.replace(show, **plain) == msgspec.structs.replace(desk.virtual.first, **plain)
