"""The node: draws every plan into its canvases and presents it in its slot, whatever else fails.

One state machine over slots: wait for the plan, draw it, hold it until its time, present, report. A plan that never
comes is made from the one before; a picture that is not ready leaves the last one up, in phase, with the reason
counted. BLACK, HOLD, SAFE and WORK are read from the action word at presentation, so they hold when every other
process is dead.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice

import msgspec

from controller.action import ActionWord
from controller.ahead import Ahead, longest_but_one
from controller.drawing import Painter, PainterLost
from controller.ledger_record import GRACE_SHARE
from controller.node_telling import NodeTelling
from controller.planner import repeat_plan
from controller.post import Post
from controller.preparing import Preparations
from controller.rundir import RunDir
from controller.status import RoleState
from runtime.clock import NS_PER_S, Clock
from runtime.rights import (
    NICENESS,
    Rights,
    SlackCollector,
    be_urgent,
    fifo_is_wise,
    freeze_garbage,
    keep_to_drawing_cpu,
    take_fifo,
    thaw_garbage,
)
from runtime.ring import KIND_PLANS, RingReader
from stage.plan import (
    FramePlan,
    Reason,
    decode_plan,
    encode_plan,
    plan_hash,
)
from stage.rate import Rate

log = logging.getLogger(__name__)

FIFO_PRIORITY = 20
STATUS_NS = NS_PER_S // 10
IDLE_NS = NS_PER_S // 20
GUARD_NS = 1_000_000
DRAW_WINDOW = 256
EXPECTED_FROM = 32


@dataclass(frozen=True, slots=True)
class _Drawn:
    plan: FramePlan
    hash: int
    made_up: bool
    """Made from the plan before, because none came."""
    t_started_ns: int
    t_drawn_ns: int


@dataclass(frozen=True, slots=True)
class _Arrived:
    plan: FramePlan
    hash: int
    late: bool
    """Was published when its drawing should have begun already."""


class Node:
    """Role. `painter` is made in `start`, on the thread that steps."""

    def __init__(
        self,
        *,
        run: RunDir,
        name: str,
        clock: Clock,
        painter: Callable[[], Painter],
        fifo: bool = True,
    ) -> None:
        self._run, self._name, self._clock, self._make_painter, self._fifo = run, name, clock, painter, fifo
        self._plans: RingReader | None = None
        self._plans_n = 0
        self._waiting: dict[int, _Arrived] = {}
        self._last: tuple[FramePlan, int] | None = None
        self._t0_ns = 0
        self._rate = Rate(24)
        self._slot: int | None = None
        self._jump: tuple[int, Rate, int] | None = None
        """Frame, rate and origin of a time that begins once the present slot has ended."""
        self._slot_ended = False
        self._drawn: _Drawn | None = None
        self._shown: int = 0
        self._asked_ns: int | None = None
        self._stalled = False
        self._switched = False
        self._draw_ns: deque[int] = deque(maxlen=DRAW_WINDOW)
        self._plain_ns: deque[int] = deque(maxlen=EXPECTED_FROM)
        """Of the latest drawings those that had no outer picture to draw."""
        self._ahead = Ahead()
        self._plan_early_ns = 0
        """How long before its slot the last plan was published."""
        self._status_due_ns = 0
        self._rights = Rights(0, "not asked for")
        self._garbage = SlackCollector()
        self._taken = ExitStack()

    # --- role ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Context, rings, the version that holds now; then rights, because a context made under FIFO would starve."""
        take = self._taken.callback
        self._post = Post(self._run.node_socket(self._name))
        take(self._post.close)
        self._action = ActionWord(self._run.action_word)
        take(self._action.close)
        self._telling = NodeTelling(self._run, self._name)
        take(self._telling.close)
        if self._fifo:
            # Software GL draws on threads of its own, which may not be real-time (they would starve the rest): before
            # the context exists, so that they inherit it.
            be_urgent(NICENESS)
        self._painter = self._make_painter()
        take(self._painter.close)
        self._preparations = Preparations(
            run=self._run, name=self._name, clock=self._clock, post=self._post, painter=self._painter
        )
        self._preparations.fetch(self._run.current_version())
        if self._fifo and fifo_is_wise(software_gl=self._painter.software):
            self._rights = take_fifo(FIFO_PRIORITY)
            if self._rights.mend:
                log.warning("no real-time rights: %s -> %s", self._rights.why, self._rights.mend)
            if self._rights.rt_class and self._painter.software:
                keep_to_drawing_cpu()
        freeze_garbage()
        take(thaw_garbage)
        self._publish_status(self._clock.now_ns(), "ready")
        take(self._say_stopped)

    def wake_fds(self) -> Sequence[int]:
        """The letter box, which is also the doorbell; not while a finished picture waits for its time."""
        return () if self._slot is not None and self._is_ready(self._slot) else (self._post.fileno(),)

    def step(self, now_ns: int) -> int:
        """Do what the present instant asks for; when to be called again."""
        asked = self._asked_ns
        self._stalled = asked is not None and now_ns - asked > self._grace_ns
        for message in self._post.receive():
            self._preparations.letter(message)
        self._read_plans(now_ns)
        self._asked_ns = self._advance(now_ns)
        return self._asked_ns

    def stop(self) -> None:
        """The last pictures stay in their rings."""
        self._taken.close()

    def _say_stopped(self) -> None:
        self._publish_status(self._clock.now_ns(), "stopped")

    # --- slots --------------------------------------------------------------------------------------------------

    def _advance(self, now_ns: int) -> int:
        while True:
            if self._slot is None:
                self._housekeeping(now_ns, now_ns + IDLE_NS)
                return now_ns + IDLE_NS
            slot = self._slot
            if self._slot_ended:
                self._slot_ended = False
                self._look_ahead()
                now_ns = self._clock.now_ns()
                self._housekeeping(now_ns, self._latest_start_ns(slot))
                now_ns = self._clock.now_ns()
            due_ns = self._due_ns(slot)
            if self._is_ready(slot):
                if now_ns < due_ns:
                    return due_ns
                self._present(slot)
                now_ns = self._clock.now_ns()
                continue
            if now_ns >= due_ns + self._grace_ns:
                self._repeat(slot)
                now_ns = self._clock.now_ns()
                continue
            overdue = self._drawn
            if overdue is not None and due_ns - now_ns < self._expected_ns:
                # Too late to draw this slot: the late picture is newer than the one on the wall, show that.
                if now_ns < due_ns:
                    return due_ns
                self._show_overdue(slot, overdue)
                now_ns = self._clock.now_ns()
                continue
            if slot in self._waiting:
                arrived = self._waiting[slot]
                self._draw(arrived.plan, arrived.hash, made_up=False)
            elif self._plan_waits:
                self._read_plans(now_ns)
            elif now_ns >= (start_ns := self._latest_start_ns(slot)) and self._last is not None:
                self._draw(*self._made_up(slot), made_up=True)
            else:
                return min(start_ns, due_ns)
            now_ns = self._clock.now_ns()

    def _draw(self, plan: FramePlan, hash_: int, *, made_up: bool) -> None:
        started_ns = self._clock.now_ns()
        self._last = (plan, hash_)
        try:
            if not self._painter.holds(plan.config_version):
                # The last picture stays up meanwhile.
                self._switched = True
                self._preparations.fetch(plan.show_version)
            # Actions are obeyed by the word, at presentation: giving the walls back needs a picture that is ready.
            self._painter.draw(msgspec.structs.replace(plan, actions=[]) if plan.actions else plan)
        except PainterLost:
            raise
        except Exception as error:  # noqa: BLE001 - whatever fails, the last picture stays and the slots go on
            self._failed("node.draw_failed", error)
            self._repeat(plan.frame)
            return
        self._telling.works("node.draw_failed")
        drawn_ns = self._clock.now_ns()
        self._draw_ns.append(drawn_ns - started_ns)
        if plan.outer.drawn_frame != plan.frame:
            self._plain_ns.append(drawn_ns - started_ns)
        self._drawn = _Drawn(plan, hash_, made_up, started_ns, drawn_ns)

    def _look_ahead(self) -> None:
        """See `controller.ahead`."""
        if self._slot is None:
            return
        began_ns = self._clock.now_ns()
        left_ns = self._due_ns(self._slot) - began_ns
        time_ns = 0 if self._plan_waits else left_ns - self._plan_early_ns
        drawings = self._plain_ns or list(islice(reversed(self._draw_ns), EXPECTED_FROM))
        slowest_ns = longest_but_one(drawings, self._rate.period_ns // 2)
        time_ns = max(time_ns, left_ns - slowest_ns - GUARD_NS)
        most = self._ahead.most(time_ns, left_ns, self._expected_ns)
        if not most:
            return
        try:
            pieces = self._painter.ahead(most)
            self._ahead.drew(pieces, self._clock.now_ns() - began_ns)
        except PainterLost:
            raise
        except Exception as error:  # noqa: BLE001 - as in _draw
            self._failed("node.ahead_failed", error)
        else:
            self._telling.works("node.ahead_failed")

    def _show(self, plan: FramePlan, hash_: int, action: str) -> bool:
        """Hand a picture over as the plan's; False when that failed, and the last one stays."""
        try:
            self._painter.present(plan, hash_, action)
        except Exception as error:  # noqa: BLE001 - as in _draw
            self._failed("node.present_failed", error)
            return False
        self._telling.works("node.present_failed")
        self._shown = plan.frame
        return True

    def _is_ready(self, slot: int) -> bool:
        """Whether the slot's own picture is drawn, and was in time."""
        drawn = self._drawn
        return drawn is not None and drawn.plan.frame == slot and drawn.t_drawn_ns < self._due_ns(slot) + self._grace_ns

    def _present(self, slot: int) -> None:
        drawn = self._drawn
        assert drawn is not None
        action = self._action.read().action
        if action == "hold":
            self._report(slot, drawn, "held", presented=False)
        elif self._show(drawn.plan, drawn.hash, action):
            self._report(slot, drawn, "no_plan" if drawn.made_up else "none", presented=True)
        else:
            self._report(slot, drawn, "late_draw", presented=False)
        self._drawn = None
        self._next_slot(slot)

    def _show_overdue(self, slot: int, drawn: _Drawn) -> None:
        """A picture that was not ready for its own slot is shown in the next: it is newer than what is up."""
        if self._obey(slot):
            return
        held = self._action.read().action == "hold"
        if not held:
            self._show(drawn.plan, drawn.hash, "none")
        self._report(slot, drawn, "held" if held else "late_draw", presented=False)
        self._drawn = None
        self._next_slot(slot)

    def _repeat(self, slot: int) -> None:
        """No picture of this slot is ready: the last one stays up, or what was ordered in its place."""
        if self._obey(slot):
            return
        arrived = self._waiting.get(slot)
        if self._switched:
            reason: Reason = "switching"
        elif self._stalled:
            reason = "host_stall"
        elif arrived is not None and arrived.late:
            reason = "late_plan"
        else:
            reason = "late_draw"
        self._switched = False
        self._report(slot, self._drawn, reason, presented=False)
        self._next_slot(slot)

    def _obey(self, slot: int) -> bool:
        """BLACK, SAFE and WORK need no drawing: they go out even when drawing fails. True when one did."""
        action = self._action.read().action
        if action in ("none", "hold") or self._last is None:
            return False
        plan, hash_ = self._made_up(slot)
        if not self._show(plan, hash_, action):
            return False
        self._report(slot, None, "none", presented=True)
        self._next_slot(slot)
        return True

    def _next_slot(self, slot: int) -> None:
        self._slot = slot + 1
        if self._jump is not None:
            (self._slot, self._rate, self._t0_ns), self._jump = self._jump, None
            self._last = self._made_up(self._slot)
        self._slot_ended = True
        for frame in [frame for frame in self._waiting if frame <= slot]:
            del self._waiting[frame]

    def _made_up(self, slot: int) -> tuple[FramePlan, int]:
        """The slot's plan if it came, else one made from the newest there is; with its hash."""
        arrived = self._waiting.get(slot)
        if arrived is not None:
            return arrived.plan, arrived.hash
        assert self._last is not None
        plan = self._last[0]
        if plan.frame == slot:
            return self._last
        while plan.frame < slot:
            plan = repeat_plan(plan)
        return plan, plan_hash(encode_plan(plan))

    def _report(self, slot: int, drawn: _Drawn | None, reason: Reason, *, presented: bool) -> None:
        mine = drawn if drawn is not None and drawn.plan.frame == slot else None
        self._telling.report(
            slot,
            self._painter,
            shown=self._shown,
            reason=reason,
            presented=presented,
            plan_hash=mine.hash if mine else 0,
            t_draw_started_ns=mine.t_started_ns if mine else 0,
            t_drawn_ns=mine.t_drawn_ns if mine else 0,
            t_presented_ns=self._clock.now_ns(),
        )

    # --- time ---------------------------------------------------------------------------------------------------

    def _due_ns(self, frame: int) -> int:
        waiting = self._waiting.get(frame)
        return waiting.plan.t_present_ns if waiting else self._rate.deadline_ns(self._t0_ns, frame)

    @property
    def _grace_ns(self) -> int:
        return self._rate.period_ns // GRACE_SHARE

    @property
    def _expected_ns(self) -> int:
        """How long a drawing takes: three of four of the latest were done in this. One slow frame must not make the
        node stop waiting for plans."""
        latest = sorted(islice(reversed(self._draw_ns), EXPECTED_FROM))
        return latest[len(latest) * 3 // 4] if latest else self._rate.period_ns // 2

    def _latest_start_ns(self, frame: int) -> int:
        """When a drawing must begin at the latest; never before the slot before it begins."""
        due_ns = self._due_ns(frame)
        return max(due_ns - self._expected_ns - GUARD_NS, due_ns - self._rate.period_ns)

    # --- plans --------------------------------------------------------------------------------------------------

    @property
    def _plan_waits(self) -> bool:
        """Whether the ring holds plans that were not read yet."""
        return self._plans is not None and self._plans.latest_n > self._plans_n

    def _read_plans(self, now_ns: int) -> None:
        if self._plans is None:
            self._plans = RingReader.try_open(self._run.plans, kind=KIND_PLANS)
            if self._plans is None:
                return
            self._plans_n = max(0, self._plans.latest_n - 2)
        batch = self._plans.read_since(self._plans_n)
        self._plans_n = batch.latest_n
        for slot in batch.slots[-4:]:
            try:
                plan = decode_plan(slot.data)
            except msgspec.MsgspecError as error:
                self._failed("node.plan_unreadable", error)
                continue
            self._adopt(plan, slot.plan_hash, now_ns, slot.t_ns)

    def _adopt(self, plan: FramePlan, hash_: int, now_ns: int, published_ns: int) -> None:
        rate = Rate(*plan.rate)
        t0_ns = plan.t_present_ns - rate.deadline_ns(0, plan.frame)
        # Time is slewed by microseconds a frame, which is followed. More than half a slot is a jump.
        slot, last = self._slot, self._last
        moved = slot is not None and abs(self._due_ns(plan.frame) - plan.t_present_ns) > rate.period_ns // 2
        if moved and slot is not None and last is not None and slot <= last[0].frame < plan.frame:
            # The present slot is still the old time's, and its picture is shown first.
            self._jump = self._jump or (plan.frame, rate, t0_ns)
            self._waiting[plan.frame] = _Arrived(plan, hash_, late=False)
            return
        if self._slot is None or moved:
            # The first plan, or a clock that started anew: its slots count from here.
            self._jump = None
            self._rate, self._t0_ns = rate, t0_ns
            self._drawn = None
            self._waiting.clear()
            if self._slot is None:
                ready_ns = self._rehearse(plan, now_ns)
            else:
                ready_ns = now_ns
            self._slot = plan.frame if plan.t_present_ns > ready_ns else rate.frame_at(t0_ns, ready_ns) + 1
        self._rate, self._t0_ns = rate, t0_ns
        self._plan_early_ns = max(0, plan.t_present_ns - published_ns)
        if plan.frame >= self._slot:
            late = published_ns > self._latest_start_ns(plan.frame)
            self._waiting[plan.frame] = _Arrived(plan, hash_, late)
        if self._last is None or plan.frame > self._last[0].frame:
            self._last = (plan, hash_)

    def _rehearse(self, plan: FramePlan, now_ns: int) -> int:
        """Practise on the first plan; after when a slot may begin to have time enough for its own drawing."""
        try:
            if not self._painter.holds(plan.config_version):
                return now_ns
            self._painter.rehearse(plan)
        except PainterLost:
            raise
        except Exception as error:  # noqa: BLE001 - as in _draw
            self._failed("node.draw_failed", error)
        done_ns = self._clock.now_ns()
        return done_ns + min(done_ns - now_ns, self._rate.period_ns)

    # --- the rest -----------------------------------------------------------------------------------------------

    def _housekeeping(self, now_ns: int, until_ns: int) -> None:
        if now_ns >= self._status_due_ns:
            self._publish_status(now_ns, "running" if self._slot is not None else "ready")
            self._status_due_ns = now_ns + STATUS_NS
        self._preparations.spend(now_ns, until_ns, wanted=lambda: self._plan_waits)
        self._garbage.collect(until_ns - self._clock.now_ns())

    def _failed(self, code: str, error: Exception) -> None:
        self._telling.failed(code, error, self._clock.now_ns())

    def _publish_status(self, now_ns: int, state: RoleState) -> None:
        self._telling.status(
            now_ns,
            state,
            self._painter,
            shown=self._shown,
            plan=self._last[0] if self._last else None,
            rights=self._rights,
            draw_ns=self._draw_ns,
            held=self._action.read(),
        )
