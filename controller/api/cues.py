"""The hand that plays cues: GO, BACK, what goes by itself when its frame comes, and time code."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from controller.access.roles import HAND, HERE
from controller.api.views_cues import CueListView, WaitingCueView
from controller.costs import drawn_of
from controller.cue_play import (
    CUE_LEAD_S,
    back,
    chasing,
    check_cue,
    command_of,
    dropped,
    moment_of,
    play,
    play_waiting,
    preview,
    rearmed,
    spent,
    stopped,
    wanted,
    with_cues,
)
from controller.cues import Cue, WaitingCue, cue_of, find_cue, frames_ahead, ordered, put, standby, together
from controller.desk import Desk
from controller.errors import UnknownAddress
from controller.looks import ACTIVE
from controller.show import Show
from controller.store import Change
from controller.surroundings import Surroundings
from controller.transaction import Outcome
from runtime.clock import NS_PER_S
from stage.errors import OpenVolumeError, Problem
from stage.plan import FramePlan
from stage.rate import Rate
from stage.timecode import TimecodeError, frame_of

log = logging.getLogger(__name__)

WHO: Final = "cues"
LATE_S: Final = 1.0
"""A cue whose time code was passed so lately goes all the same: the plan of its frame may have been missed."""

MOST_LATE: Final = 4
"""Frames by which a GO that dissolves is put off at most, where getting it ready has taken that long before."""

Moved = tuple[Show, dict[str, Change]]


class CueHand:
    """Plays the cue list of a desk. All calls from its event loop.

    Attributes
    ----------
    problem : why a cue that was to go by itself did not, the last time; empty: it never happened
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.problem = ""
        self._under_way: dict[object, asyncio.Task[None]] = {}
        self._late: deque[int] = deque(maxlen=8)
        """By how many frames such GOs came late that were to begin at the first frame that could be."""

    def stop(self) -> None:
        """Let nothing go by itself any more."""
        for task in self._under_way.values():
            task.cancel()

    # --- what operators do ----------------------------------------------------------------------------------------

    async def go(self, name: str = "", *, who: str) -> Outcome:
        """GO: the next cue, or the one of a number or id.

        Raises
        ------
        NothingToGo, UnknownAddress, BadValue; and as `Desk.submit`.
        """
        return await self._go(name, who)

    async def back(self, *, who: str) -> Outcome:
        """As it was before the last cue, as far as that changed it. Raises NothingToGo; and as `Desk.submit`."""

        async def change(show: Show, around: Surroundings) -> Moved:
            return back(show, around)

        return await self._desk.make("cues/back", change, who=who)

    async def chase(self, on: bool, *, who: str) -> Outcome:
        """Whether cues go by time code; every cue may go once again."""

        async def change(show: Show, _: Surroundings) -> Moved:
            return chasing(show, on)

        return await self._desk.make("cues/chase", change, who=who)

    async def stop_waiting(self, *, who: str) -> Outcome:
        """STOP: what waits for its time goes no more; what moves goes on to its end."""

        async def change(show: Show, _: Surroundings) -> Moved:
            return stopped(show)

        return await self._desk.make("cues/stop", change, who=who)

    async def osc(self, parts: list[str], pressed: bool, who: str) -> Outcome | None:
        """An OSC message below /cues: `go`, `back`, `stop`, `chase`, or a number and `go`.

        Raises
        ------
        UnknownAddress : anything else; and as those.
        """
        match parts:
            case ["chase"]:
                return await self.chase(pressed, who=who)
            case ["go"] | ["back"] | ["stop"] | [_, "go"] if not pressed:
                return None
            case ["go"]:
                return await self.go(who=who)
            case ["back"]:
                return await self.back(who=who)
            case ["stop"]:
                return await self.stop_waiting(who=who)
            case [name, "go"]:
                return await self.go(name, who=who)
        path = "/".join(["cues", *parts])
        mend = "use /cues/go, /cues/back, /cues/stop, /cues/chase, /cues/<number>/go"
        raise UnknownAddress(Problem(UnknownAddress.code, path, "no such thing of the cue list", None, mend))

    # --- the list -------------------------------------------------------------------------------------------------

    async def put(self, cue_id: str, body: dict[str, Any], *, who: str) -> Outcome:
        """Put a cue in its place of the list, or at its end. Raises BadValue, UnknownAddress; and as `Desk.submit`."""
        cue = cue_of(cue_id, body)
        check_cue(self._desk.show, cue, self._desk.around_now)

        async def change(show: Show, _: Surroundings) -> Moved:
            return with_cues(show, put(show.cues, cue, self._desk.stage.rate))

        return await self._desk.make("cues/list", change, who=who)

    async def delete(self, cue_id: str, *, who: str) -> Outcome:
        """Take a cue out of the list. Raises UnknownAddress; and as `Desk.submit`."""

        async def change(show: Show, _: Surroundings) -> Moved:
            gone = find_cue(show.cues, cue_id)
            return with_cues(show, [cue for cue in show.cues if cue != gone])

        return await self._desk.make("cues/list", change, who=who)

    async def reorder(self, ids: object, *, who: str) -> Outcome:
        """Put the list in another order. Raises BadValue; and as `Desk.submit`."""

        async def change(show: Show, _: Surroundings) -> Moved:
            return with_cues(show, ordered(show.cues, ids))

        return await self._desk.make("cues/list", change, who=who)

    def preview(self, name: str) -> dict[str, Change]:
        """What a cue would change now. Raises UnknownAddress, BadValue."""
        show, around = self._desk.show, self._desk.around_now
        return preview(show, around, find_cue(show.cues, name))

    def view(self) -> CueListView:
        """The list, and where it stands."""
        show, moment = self._desk.show, self._desk.moment
        coming = standby(show.cues, show.cues_at)
        waiting = [
            WaitingCueView(one.cue, moment.frame + self._frames_until(one.due_ns))
            for one in show.cues_at.waiting
            if moment is not None
        ]
        at = show.cues_at
        return CueListView(
            self._desk.rev_of("cues"), list(show.cues), at.current, coming.id if coming else "", at.chase, waiting,
            self.problem,
        )  # fmt: skip

    # --- what goes by itself --------------------------------------------------------------------------------------

    def seen(self, plan: FramePlan) -> None:
        """A plan was seen: cues whose frame is near go, to hold from that very frame on."""
        show = self._desk.show
        at = show.cues_at
        if not at.waiting and not at.chase:
            return
        hz = Rate(*plan.rate).hz
        lead, late = math.ceil(CUE_LEAD_S * hz), math.ceil(LATE_S * hz)
        for one in at.waiting:
            ahead = self._frames_until(one.due_ns)
            if ahead < -late:
                # Of a show that was rolled back to: its time has passed.
                self._let_go(one, partial(self._drop, one))
            elif ahead <= lead:
                self._let_go(one, partial(self._go_waiting, one, plan.frame + ahead))
        if at.chase:
            self._chase(plan, lead, late)

    def _chase(self, plan: FramePlan, lead: int, late: int) -> None:
        """Let cues go that time code has come to. One that it jumped over does not go, one that it jumped back before
        may go again; a jitter of less than a second does neither."""
        rate, at = Rate(*plan.rate), self._desk.show.cues_at
        ahead: dict[str, int] = {}
        try:
            now = frame_of(rate, plan.timecode)
        except TimecodeError:
            return
        for cue in self._desk.show.cues:
            with contextlib.suppress(TimecodeError):
                if cue.timecode:
                    ahead[cue.id] = frames_ahead(cue.timecode, now, rate)
        for cue_id, frames in sorted(ahead.items(), key=lambda item: item[1]):
            if cue_id not in at.chased and -late <= frames <= lead:
                self._let_go(cue_id, partial(self._go, cue_id, WHO, plan.frame + frames, chased=True))
        again = [cue for cue in at.chased if ahead.get(cue, 0) > late]
        if again:
            self._let_go("rearm", partial(self._rearm, again))

    async def _rearm(self, cues: list[str]) -> None:
        async def change(show: Show, _: Surroundings) -> Moved:
            return rearmed(show, cues)

        await self._desk.make("cues/chase", change, who=WHO)

    def _frames_until(self, due_ns: int) -> int:
        moment = self._desk.moment
        assert moment is not None
        return round((due_ns - moment.t_present_ns) * moment.rate.num / (moment.rate.den * NS_PER_S))

    async def _go(self, name: str, who: str, at_frame: int = 0, *, chased: bool = False) -> Outcome:
        desk, holds_from, named = self._desk, at_frame, 0

        async def change(show: Show, around: Surroundings) -> Moved:
            nonlocal holds_from, named
            cue = wanted(show, name)
            if chased and cue.id in show.cues_at.chased:
                return show, {}
            await self._made_ready(show, around, cue, light=False)
            now, changes = play(show, around, cue, at_frame, chased=chased)
            if not at_frame and drawn_of(now) != drawn_of(show):
                # The lead grows first: what moves begins where it is seen, as when time code lets it go.
                moves = now.transitions != show.transitions or now.switches != show.switches
                begin = moment_of(around).frame + 2 + (max(self._late, default=0) if moves else 0)
                now, changes = play(show, around, cue, begin)
                holds_from = named = begin if moves else 0
            return now, changes

        # Scenes are made ready before its turn: others' changes go on meanwhile.
        await self._made_ready(desk.show, desk.around_now, wanted(desk.show, name))
        outcome = await desk.make("cues/go", change, who=who, at_frame=lambda: holds_from)
        if named and outcome.frame is not None:
            self._late.append(min(MOST_LATE, max(0, outcome.frame - named)))
        return outcome

    async def _go_waiting(self, one: WaitingCue, at_frame: int) -> Outcome:
        async def change(show: Show, around: Surroundings) -> Moved:
            return play_waiting(show, around, one, at_frame)

        cue = next((cue for cue in self._desk.show.cues if cue.id == one.cue), None)
        if cue is not None:
            await self._made_ready(self._desk.show, self._desk.around_now, cue)
        return await self._desk.make("cues/go", change, who=WHO, at_frame=at_frame)

    async def _made_ready(self, show: Show, around: Surroundings, cue: Cue, *, light: bool = True) -> None:
        """Wait for the scenes of a cue, and (`light`) for what its live edits need: that may take seconds, and is
        nothing for its turn."""
        for one in together(show.cues, cue):
            edits = light and any(path == ACTIVE or path.startswith("scenes/") for path in one.changes)
            if "scenes/active" in one.changes or edits:
                await self._desk.ready(command_of(one, show, around))

    def _let_go(self, key: object, call: Callable[[], Any]) -> None:
        if key not in self._under_way:
            task = asyncio.get_running_loop().create_task(self._safely(key, call))
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key, None))

    async def _safely(self, key: object, call: Callable[[], Any]) -> None:
        HAND.set(HERE)
        try:
            await call()
        except OpenVolumeError as error:
            self.problem = str(error.problems[0])
            log.error("a cue did not go by itself: %s", self.problem)
            if isinstance(key, WaitingCue):
                await self._drop(key)
            elif key != "rearm":
                await self._spent(str(key))

    async def _drop(self, one: WaitingCue) -> None:
        async def change(show: Show, _: Surroundings) -> Moved:
            return dropped(show, one)

        await self._desk.make("cues/go", change, who=WHO)

    async def _spent(self, cue: str) -> None:
        async def change(show: Show, _: Surroundings) -> Moved:
            return spent(show, cue)

        await self._desk.make("cues/go", change, who=WHO)
