"""Keeps a show's time: one frame clock, what it follows, and what frames are called.

The conductor asks it when the next frame is due and what its label is, tells it what was latched, and lets it look at
its reference in the slack of a frame. Everything it does to the clock is slewing; a jump happens only in `latching`,
at a named frame, ordered from outside (or once, when a reference is believed for the first time) and never while a
take rolls.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

from runtime.clock import NS_PER_MS, NS_PER_S, Clock, SystemClock, tai_at_ns
from runtime.clock_report import ClockReport, ReferenceName
from runtime.config import LtcConfig, TimeConfig
from runtime.errors import ReferenceOpenError
from runtime.frame_clock import ClockState, ClockStateError, FrameClock, Loop
from runtime.references.display import Blanks, DisplayPhase
from runtime.references.inputs import LabelInput, Wire, address_of, close_quietly, label_input, open_wire
from runtime.references.jam import Jam, JamState
from runtime.references.labels import HeardLabel
from runtime.references.ptp import PtpMonitor
from runtime.references.system import SLIP_MEND, Discipline, KernelClock, Severity, Sync, SystemDiscipline
from stage.errors import Problem
from stage.rate import Rate
from stage.timecode import TimeOfDay, frames_per_day, timecode_at

log = logging.getLogger(__name__)

HEAD_START_NS: Final = NS_PER_S // 4
"""From the start to the first frame."""
LOOK_NS: Final = NS_PER_S // 10
"""How often the system clock is looked at."""
OPEN_AGAIN_NS: Final = NS_PER_S
STEER_NS: Final = NS_PER_S // 2
"""How often an outside time code's phase is followed: the median of the labels meanwhile."""
SYSTEM_LOOP: Final = Loop(settle_s=0.0, learns=False, dead_band_ns=1_000)
TIMECODE_LOOP: Final = Loop(settle_s=8.0, learns=True, dead_band_ns=NS_PER_MS)
DISPLAY_LOOP: Final = Loop(settle_s=4.0, learns=True, dead_band_ns=NS_PER_MS // 10)
LABELS_LOOP: Final = Loop()
JAM_MEND: Final = "when no camera records: POST /api/v1/frames/jam (or OSC /frames/jam) jumps there"
SLIP_NS: Final = (36 * NS_PER_S, 38 * NS_PER_S)
"""A step of 37 s, give or take: TAI taken for UTC."""


class Timekeeper:
    """One show's time.

    Parameters
    ----------
    config : the `time` section; clock : the machine's, or a virtual one
    discipline : tells how the system clock is kept; None: the kernel and ptp4l (nothing, under a virtual clock)
    sockets : whether outside time code is listened to; without, tests hand it in by `take`
    blanks : where vertical blanks of the show's monitors are heard of

    Attributes
    ----------
    frames : FrameClock; reference : what is followed, `auto` decided
    """

    def __init__(
        self,
        config: TimeConfig,
        rate: Rate,
        clock: Clock,
        *,
        discipline: Discipline | None = None,
        sockets: bool = True,
        blanks: Blanks | None = None,
    ) -> None:
        self.config = config
        self._blanks = blanks
        self._display: DisplayPhase | None = None
        self._clock, self._sockets = clock, sockets
        self._discipline = discipline or self._system_discipline(config)
        self._sync = self._read(clock.now_ns())
        self.reference: ReferenceName = self._decided(config)
        self.frames = FrameClock(rate, origin_ns=0)
        self._jam: Jam | None = None
        self._input: LabelInput | None = None
        self._wire: Wire | None = None
        self._open_ns = 0
        self._open_problem: Problem | None = None
        self._look_ns = 0
        self._steer_ns = 0
        self._phases: deque[int] = deque(maxlen=64)
        self._lost_ns: int | None = None
        self._ordered: int | None = None
        self._automatic = False
        self._wanted_ns = 0
        self._jams = 0
        self._since: dict[str, int] = {}
        self._promised = False
        """Frames stand where a process before this one, or a reference, has put them."""

    # --- beginning and end --------------------------------------------------------------------------------------

    def begin(self, *, before: tuple[int, int] | None = None, kept: dict[str, Any] | None = None) -> int:
        """Start counting; the first frame to be made.

        before : number and instant of the newest frame a process before this one made: goes on from there.
        kept : what `keep` of that process gave.
        """
        now_ns = self._clock.now_ns()
        kept = kept or {}
        self._set_up(now_ns)
        if before is not None:
            self._promised = True
            frame, t_ns = before
            self.frames.frame_lead = int(kept.get("frame_lead", 0))
            self.frames.resume(frame, t_ns)
            self.frames.learn(float(kept.get("frequency_ppm", 0.0)))
            if self._jam is not None and kept.get("label_offset") is not None:
                self._jam.restore(int(kept["label_offset"]))
            first = max(frame + 1, self.frames.frame_at(now_ns + self.frames.rate.period_ns) + 1)
        elif self.reference == "system":
            self.frames.resume(0, self._target_ns())
            first = self.frames.first_after(now_ns + HEAD_START_NS)
        else:
            self.frames.resume(0, now_ns + HEAD_START_NS)
            first = 0
        self.look(now_ns)
        return first

    def keep(self) -> dict[str, Any]:
        """What a successor needs besides the plans: plain data."""
        return {
            "frame_lead": self.frames.frame_lead,
            "frequency_ppm": self.frames.frequency_ppm,
            "label_offset": self._jam.offset if self._jam is not None else None,
        }

    def reconfigure(self, config: TimeConfig, rate: Rate, frame: int) -> None:
        """Go on with another section or rate from `frame` (the first not latched): numbers and slots go on, and what
        is followed now is believed anew."""
        frames = self.frames
        if rate != frames.rate:
            frames.change_rate(rate, frame, on_grid=self.reference == "system")
            self._phases.clear()
            if config == self.config:
                self._set_up_labels()
        if config == self.config:
            return
        before, self.config = self.config, config
        if before.ptp != config.ptp and isinstance(self._discipline, SystemDiscipline):
            self._discipline.close()
            self._discipline = self._system_discipline(config)
        followed = [(c.reference, c.timecode, c.display_lead_ms) for c in (before, config)]
        if followed[0] != followed[1]:
            self.reference = self._decided(config)
            frames.go(ClockState.FREE)
            self._close_wire()
            self._lost_ns = None
            self._promised = False
            self._set_up(self._clock.now_ns())
        else:
            self._set_up_labels()

    def close(self) -> None:
        """Give back sockets and devices."""
        self._close_wire()
        for part in (self._discipline, self._blanks):
            if part is not None:
                part.close()

    def _system_discipline(self, config: TimeConfig) -> Discipline | None:
        """The machine's own; nothing keeps a virtual clock."""
        if not isinstance(self._clock, SystemClock):
            return None
        path = Path(config.ptp.socket) if config.ptp.socket else None
        return SystemDiscipline(self._clock, PtpMonitor(path, domain=config.ptp.domain))

    def _decided(self, config: TimeConfig) -> ReferenceName:
        if config.reference != "auto":
            return config.reference
        kept = self._sync is not None and self._sync.good and self._sync.kernel.tai_offset_s != 0
        return "system" if kept else "free"

    def _set_up(self, now_ns: int) -> None:
        """Connect with what is followed."""
        self._set_up_labels()
        self.frames.loop = SYSTEM_LOOP if self.reference == "system" else LABELS_LOOP
        if self.reference == "free":
            return
        self.frames.go(ClockState.LOCKING)
        self._display = None
        if self.reference == "display":
            self._display = DisplayPhase(round(self.config.display_lead_ms * NS_PER_MS) - self._genlock_ns)
            self.frames.loop = DISPLAY_LOOP
        if self.reference == "timecode":
            assert self.config.timecode is not None
            self._input = label_input(self.config.timecode)
            if self._steers:
                self.frames.loop = TIMECODE_LOOP
            self._open(now_ns)

    def _set_up_labels(self) -> None:
        before, self._jam = self._jam, None
        source = self.config.timecode
        if self.reference != "timecode" or source is None:
            return
        self._jam = Jam(
            self.frames.rate,
            labels_per_s=source.labels_per_s,
            drop_frame=self.config.drop_frame,
            agree=source.agree_labels,
        )
        if before is not None and before.offset is not None and before.rate == self.frames.rate:
            self._jam.restore(before.offset)

    # --- frames -------------------------------------------------------------------------------------------------

    def latching(self, frame: int) -> int:
        """Tell that `frame` is about to be latched; its number, which is higher when time jumps now."""
        if self._ordered is None or frame < self._ordered or self.frames.rolling:
            return frame
        self._ordered = None
        error_ns = self._wanted_ns
        if self.reference == "system":
            error_ns = self._target_ns() - self.frames.origin_ns
        lead = self.frames.frame_lead
        number = self.frames.jam(frame, error_ns, counts=self.reference == "system")
        self._jams += 1
        if self.frames.state is not ClockState.FREE:
            self.frames.go(ClockState.LOCKING)
            self.frames.follow(0, self._clock.now_ns())
        if self._jam is not None and self._jam.offset is not None:
            # What begins with a label is called by it, whatever its number is now.
            self._jam.offset += lead - self.frames.frame_lead
        self._phases.clear()
        if self._display is not None:
            self._display.forget()
        log.info("time was jammed by %.3f ms with frame %d", error_ns / NS_PER_MS, number)
        return number

    def latched(self, frames: int = 1) -> None:
        """Tell that so many slots were latched (or passed by)."""
        self.frames.passed(frames)

    def timecode(self, frame: int) -> str:
        """What a frame is called."""
        frame += self.config.label_offset_frames
        if self._jam is not None:
            return self._jam.timecode(frame)
        return timecode_at(self.frames.rate, frame, drop_frame=self.config.drop_frame)

    def time_of_day(self, t_ns: int) -> TimeOfDay:
        """The time of day by the show's time code at a monotonic instant."""
        frame, rate = self.frames.frame_at(t_ns), self.frames.rate
        label = frame + self.config.label_offset_frames + (0 if self._jam is None else self._jam.offset or 0)
        label %= frames_per_day(rate, drop_frame=self.config.drop_frame)
        day_ns = rate.deadline_ns(0, label) + t_ns - self.frames.deadline_ns(frame)
        return TimeOfDay(day_ns, rate, self.config.drop_frame)

    def tai_ns(self, t_ns: int) -> int:
        """TAI of a monotonic instant. Frames locked to TAI bear exactly their own."""
        if self.reference == "system" and self.frames.state is ClockState.LOCKED:
            return t_ns - self.frames.origin_ns + self._genlock_ns
        return tai_at_ns(self._clock, t_ns)

    @property
    def jam_ordered(self) -> bool:
        """Whether a jam waits for its frame."""
        return self._ordered is not None

    def order_jam(self, frame: int = 0) -> None:
        """Have time jump to the reference at `frame`, or at the first frame not latched yet.

        Raises
        ------
        ClockStateError : a take rolls, or there is nothing to jump to.
        """
        state = self.frames.state
        why = mend = ""
        if self.rolling:
            why, mend = "a take rolls: time does not jump", "jam after the take"
        elif state not in (ClockState.STEP_REFUSED, ClockState.SLEWING, ClockState.LOCKED):
            why, mend = f"there is no reference to jump to ({state.value})", "bring the reference back first"
        if why:
            raise ClockStateError(Problem(ClockStateError.code, "clock", why, mend=mend))
        self._order(frame)

    def _order(self, frame: int, *, automatic: bool = False) -> None:
        self._wanted_ns = self.frames.error_ns
        self._ordered, self._automatic = frame, automatic

    # --- the reference ------------------------------------------------------------------------------------------

    @property
    def rolling(self) -> bool:
        """Whether a take rolls: nothing jumps."""
        return self.frames.rolling

    @rolling.setter
    def rolling(self, rolling: bool) -> None:
        self.frames.rolling = rolling

    def filenos(self) -> Sequence[int]:
        """Descriptors that outside time code arrives on; `look` drains them."""
        fd = -1 if self._wire is None else self._wire.fileno()
        return () if fd < 0 else (fd,)

    def look(self, now_ns: int) -> None:
        """Look at the reference. Cheap, and never waits: call it in the slack of every frame."""
        if self.reference == "timecode":
            self._look_at_timecode(now_ns)
        elif self.reference == "display":
            self._look_at_display(now_ns)
        if now_ns >= self._look_ns:
            self._look_ns = now_ns + LOOK_NS
            self._sync = self._read(now_ns)
            if self.reference == "system":
                self._follow_system(now_ns)
        self._lost_ns = (self._lost_ns or now_ns) if self.frames.state is ClockState.HOLDOVER else None

    def take(self, data: bytes, t_ns: int, host: str = "") -> None:
        """Bytes of the outside time code that arrived at `t_ns`."""
        if self._input is not None:
            for label in self._input.take(data, t_ns, host):
                self._hear(label)

    def _read(self, now_ns: int) -> Sync | None:
        return None if self._discipline is None else self._discipline.read(now_ns)

    def _target_ns(self) -> int:
        """Where the system clock puts frame 0."""
        epoch_ns = self._sync.epoch_ns if self._sync is not None else None
        if epoch_ns is None:
            epoch_ns = self._clock.now_ns() - self._clock.tai_ns()
        return epoch_ns + self._genlock_ns

    @property
    def _genlock_ns(self) -> int:
        rate = self.frames.rate
        return round(self.config.genlock_phase_deg / 360.0 * rate.den * NS_PER_S / rate.num)

    def _follow_system(self, now_ns: int) -> None:
        sync = self._sync
        if sync is None or not sync.good:
            self.frames.lose()
            return
        if sync.epoch_ns is None:
            return
        error_ns = sync.epoch_ns + self._genlock_ns - self.frames.origin_ns
        first = self.frames.state is ClockState.LOCKING
        self._follow(error_ns, now_ns, first=first)

    def _follow(self, error_ns: int, now_ns: int, *, first: bool) -> None:
        self.frames.follow(error_ns, now_ns)
        if self.frames.state is ClockState.LOCKED:
            self._promised = True
            if self._automatic:
                self._ordered = None
        elif first and not self._promised:
            # What is believed for the first time may be anywhere: nothing was promised yet.
            self._order(0, automatic=True)

    def _look_at_timecode(self, now_ns: int) -> None:
        if self._wire is None and self._sockets and now_ns >= self._open_ns:
            self._open(now_ns)
        if self._wire is not None:
            for data, t_ns, host in self._wire.read():
                self.take(data, t_ns, host)
        jam = self._jam
        assert jam is not None
        jam.tick(now_ns, rolling=self.rolling)
        if jam.state is JamState.FLYWHEEL:
            self._phases.clear()
            self.frames.lose()
        elif jam.state is JamState.JAMMED and now_ns >= self._steer_ns:
            self._steer_ns = now_ns + STEER_NS
            first = self.frames.state is ClockState.LOCKING
            if not self._steers:
                self._follow(0, now_ns, first=first)
            elif len(self._phases) >= 5:
                error_ns = round(median(self._phases))
                self._phases.clear()
                self._follow(error_ns, now_ns, first=first)

    def _look_at_display(self, now_ns: int) -> None:
        display = self._display
        if display is None or self._blanks is None:
            return
        for blank in self._blanks.take(now_ns):
            display.hear(blank, self.frames)
        if display.silent(now_ns):
            display.forget()
            self.frames.lose()
        elif now_ns >= self._steer_ns:
            self._steer_ns = now_ns + STEER_NS
            error_ns = display.error_ns()
            if error_ns is not None:
                self._follow(error_ns, now_ns, first=self.frames.state is ClockState.LOCKING)

    @property
    def _steers(self) -> bool:
        return isinstance(self.config.timecode, LtcConfig) and self.config.timecode.steer

    def _hear(self, label: HeardLabel) -> None:
        jam = self._jam
        assert jam is not None
        period_ns = self.frames.rate.period_ns
        frame, after_ns = self.frames.nearest(label.t_ns + self._genlock_ns)
        after = jam.hear(label, frame + after_ns / period_ns, rolling=self.rolling)
        if after is not None and label.exact:
            self._phases.append(round(after * period_ns))

    def _open(self, now_ns: int) -> None:
        if not self._sockets or self.config.timecode is None:
            return
        self._open_ns = now_ns + OPEN_AGAIN_NS
        try:
            self._wire = open_wire(self.config.timecode, self._clock)
        except ReferenceOpenError as error:
            if self._open_problem is None:
                log.error("%s", error.problems[0])
            self._open_problem = error.problems[0]
        else:
            self._open_problem = None

    def _close_wire(self) -> None:
        close_quietly(self._wire)
        self._wire = self._input = None
        self._open_problem = None

    # --- what a person should know ------------------------------------------------------------------------------

    def report(self, now_ns: int) -> ClockReport:
        """How time stands."""
        frames, jam, sync = self.frames, self._jam, self._sync
        kernel: KernelClock | None = sync.kernel if sync is not None else None
        ptp = sync.ptp if sync is not None else None
        refused: dict[str, int] = dict(self._input.refused()) if self._input is not None else {}
        if jam is not None:
            for reason, count in jam.refused.items():
                refused[reason] = refused.get(reason, 0) + count
        return ClockReport(
            reference=self.reference,
            state=frames.state.value,
            error_us=frames.error_ns / 1000.0,
            slew_ppm=frames.slew_ppm,
            frequency_ppm=frames.frequency_ppm,
            holdover_s=(now_ns - self._lost_ns) / NS_PER_S if self._lost_ns is not None else 0.0,
            frame_lead=frames.frame_lead,
            labels="counted" if jam is None else jam.state.value,
            fault="" if jam is None else self._fault(jam),
            heard=jam.heard if jam is not None else 0,
            refused=refused,
            jumps=(jam.jumps if jam is not None else 0) + self._jams,
            synchronised=kernel.synchronised if kernel is not None else None,
            tai_offset_s=kernel.tai_offset_s if kernel is not None else None,
            max_error_us=kernel.max_error_ns / 1000.0 if kernel is not None else None,
            ptp=ptp.port_state if ptp is not None else "",
            ptp_offset_ns=ptp.offset_ns if ptp is not None and ptp.follows else None,
            grandmaster=ptp.identity if ptp is not None and ptp.follows else "",
            rolling=frames.rolling,
        )

    def alarms(self, now_ns: int) -> list[tuple[Severity, Problem, int]]:
        """What a person should do something about, with its weight and since when."""
        told = self._alarms()
        self._since = {problem.code: self._since.get(problem.code, now_ns) for _, problem in told}
        return [(weight, problem, self._since[problem.code]) for weight, problem in told]

    def _alarms(self) -> list[tuple[Severity, Problem]]:
        frames = self.frames
        found: list[tuple[Severity, Problem]] = []
        if self.reference == "system" and self._sync is not None:
            found += self._sync.alarms
        if self._open_problem is not None:
            found.append(("critical", self._open_problem))
        if frames.state is ClockState.STEP_REFUSED:
            found.append(self._step_alarm())
        elif frames.state is ClockState.HOLDOVER:
            detail = f"the {self._what} is gone: frames go on at the last known speed"
            mend = "bring it back; frames return to it by 50 ppm, without a jump"
            values = {"reference": self._what}
            found.append(("warning", Problem("clock.holdover", "clock", detail, mend=mend, values=values)))
        if self._display is not None and not self._display.heard:
            detail = "no vertical blank was heard of: frames count by this machine's clock"
            mend = "see to `windows` and their monitors; a driver without vertical sync has none"
            found.append(("warning", Problem("clock.no_blank", "clock", detail, mend=mend)))
        if frames.frame_lead and self.reference == "system":
            ahead = frames.frame_lead > 0
            detail = f"frame numbers are {abs(frames.frame_lead)} {'ahead of' if ahead else 'behind'} TAI's"
            mend = "start the show again when no take rolls" if ahead else JAM_MEND
            found.append(
                (
                    "warning",
                    Problem(
                        f"clock.numbers_{'ahead' if ahead else 'behind'}",
                        "clock",
                        f"{detail}: other hosts count differently",
                        frames.frame_lead,
                        mend,
                        values={"off_frames": abs(frames.frame_lead)},
                    ),
                )
            )
        if self._jam is not None:
            found += self._label_alarms(self._jam)
        return found

    @property
    def _what(self) -> str:
        source = self.config.timecode
        if self.reference == "timecode" and source is not None:
            return f"{source.type} time code ({address_of(source)})"
        if self.reference == "display":
            return "vertical blank of the monitors"
        return "system clock's keeper"

    def _step_alarm(self) -> tuple[Severity, Problem]:
        step_ns = self.frames.refused_ns
        mend = f"after the take: {JAM_MEND}" if self.rolling else JAM_MEND
        if SLIP_NS[0] <= abs(step_ns) <= SLIP_NS[1]:
            detail = f"the system clock jumped by {-step_ns / NS_PER_S:+.3f} s: TAI was taken for UTC. Frames go on"
            slip_s = round(-step_ns / NS_PER_S)
            return "critical", Problem("clock.tai_slip", "clock", detail, slip_s, SLIP_MEND, values={"slip_s": slip_s})
        detail = f"the reference is {step_ns / NS_PER_MS:+.3f} ms away, too far to slew: frames go on as before"
        values = {"off_ms": round(step_ns / NS_PER_MS, 3), "rolling": self.rolling}
        return "critical", Problem("clock.step_refused", "clock", detail, values["off_ms"], mend, values=values)

    def _fault(self, jam: Jam) -> str:
        if jam.fault or jam.state is JamState.JAMMED:
            return jam.fault
        return "silent" if jam.state is JamState.FLYWHEEL or not jam.heard else ""

    def _label_alarms(self, jam: Jam) -> list[tuple[Severity, Problem]]:
        fault = self._fault(jam)
        told = {
            "silent": ("no label comes in", "look at the cable, the level and the sender"),
            "reverse": ("it runs backwards", "play it forwards"),
            "stopped": ("it stands still", "start it"),
            "jumped": ("it jumped while a take rolls: labels go on as before", "it is taken over after the take"),
            "rate": (
                "its labels do not fit the show's rate",
                "set both to the same rate, or time/timecode/labels_per_s",
            ),
            "drop_frame": ("its drop-frame flag is not the show's", "set time/drop_frame, or the sender"),
        }
        if fault not in told:
            return []
        why, mend = told[fault]
        code, values = f"clock.timecode_{fault}", {"source": self._what}
        return [("warning", Problem(code, "clock/timecode", f"{self._what}: {why}", mend=mend, values=values))]
