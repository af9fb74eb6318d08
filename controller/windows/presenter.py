"""The presenter: takes canvases from their rings onto the monitors, and holds the last picture whatever dies.

A role of its own, so that a node that is started again, or draws late, leaves the walls as they are. Canvases of all
windows change together: a frame is shown when every ring has it, or when waiting longer would make the others late.
Of several windows only the first waits for its vertical blank; the rest are swapped right after it, which halves no
rate and tears nothing where the monitors run in step.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from controller.ledger import percentiles_of
from controller.ledger_record import SCREENS
from controller.rundir import RunDir
from controller.status import KIND_STATUS, STATUS_CAPACITY, Alarm, RoleState
from controller.windows.canvases import CanvasFeed, Picture, common_frame
from controller.windows.layout import Fault, Layout, Rect, Tile, lay_out
from controller.windows.status import (
    KIND_BLANKS,
    Blank,
    MonitorStatus,
    Pace,
    WindowsStatus,
    WindowStatus,
    encode_windows,
)
from controller.windows.wishes import WindowWish
from controller.windows.xlib import DisplayError, Found
from runtime.clock import NS_PER_MS, NS_PER_S, Clock
from runtime.rights import fifo_is_wise, take_fifo
from runtime.ring import KIND_REPORTS, RingWriter
from stage.plan import CanvasReport, FrameReport, encode_report
from stage.rate import Rate

log = logging.getLogger(__name__)

FIFO_PRIORITY: Final = 21
"""Above the node: a picture that is ready goes before one that is drawn."""
POLL_NS: Final = NS_PER_MS // 2
"""How often rings are looked at while a picture is due."""
IDLE_NS: Final = 20 * NS_PER_MS
STATUS_NS: Final = NS_PER_S // 10
VERSION_NS: Final = NS_PER_S // 2
LOOK_NS: Final = NS_PER_S // 20
"""How often it looks for other rings while nothing comes."""
TOP_NS: Final = NS_PER_S
"""How often windows come to the top and screens are kept awake."""
AGAIN_NS: Final = 2 * NS_PER_S
"""How often a display that is not there is tried."""
REDRAW_NS: Final = (0, 50 * NS_PER_MS, 250 * NS_PER_MS)
"""After windows have moved they are drawn again: some drivers learn of a new size with the next swap only."""
PACE_SWAPS: Final = 4
DELAYS: Final = 256
REPORT_SLOTS: Final = 256


class Screen(Protocol):
    """A display's outputs (controller.windows.xlib.Display)."""

    @property
    def depth_bits(self) -> int:
        """Bits of a pixel over red, green and blue."""

    def fileno(self) -> int:
        """Readable when outputs change."""

    def changed(self) -> bool:
        """Whether they have since it was asked last."""

    def outputs(self) -> list[Found]:
        """As they are now."""

    def keep_awake(self) -> None:
        """No screen saver."""

    def may_sleep(self) -> None:
        """As it was."""

    def clear_away(self) -> None:
        """Take away windows that dead processes of ours have left."""

    def close(self) -> None:
        """End the connection."""


class Window(Protocol):
    """What pictures are drawn into (controller.windows.surface.Surface)."""

    damaged: bool
    renderer: str
    software: bool
    """Whether it is drawn on the CPU."""
    red_bits: int

    @property
    def stamped_by(self) -> str:
        """Where swap times come from."""

    @property
    def swaps_with(self) -> tuple[str, str]:
        """State of the swap group, and what is to be said of it."""

    def pace(self, *, waits: bool) -> None:
        """Whether swaps wait for the vertical blank."""

    def place(self, box_px: Rect | None) -> None:
        """Lie there; None: nowhere."""

    def on_top(self) -> None:
        """Come to the top."""

    def take(
        self, canvas: str, pixels: memoryview, size_px: tuple[int, int], *, ten_bits: bool, scale: int = 1
    ) -> None:
        """The picture of a canvas."""

    def draw(self, tiles: Sequence[Tile]) -> None:
        """Draw what it shows."""

    def swap(self) -> None:
        """Show it."""

    def shown_ns(self, now_ns: Callable[[], int]) -> int:
        """When the last swap was on the screen; waits for it."""

    def forget(self, keep: Sequence[str]) -> None:
        """Free the other canvases' pictures."""

    def events(self) -> None:
        """Take in what the display says."""

    def close(self) -> None:
        """Take it away."""


class _Held:
    """One window with everything it needs."""

    def __init__(self, name: str, wish: WindowWish) -> None:
        self.name, self.wish = name, wish
        self.screen: Screen | None = None
        self.window: Window | None = None
        self.layout = Layout(None)
        self.trouble: Fault | None = None
        self.again_ns = 0
        self.pace: Pace = "none"
        self.redraw_ns: list[int] = []

    @property
    def on_screen(self) -> bool:
        return self.window is not None and self.layout.box_px is not None

    def draw(self) -> None:
        assert self.window is not None
        self.window.draw(self.layout.tiles)


class Presenter:
    """Role. `screen`, `window` : make the display's and the window's hand; wishes : the windows of a version.

    window gets the window's name and wish; wishes get the version's number and answer None while it cannot be read.
    """

    def __init__(
        self,
        *,
        run: RunDir,
        clock: Clock,
        screen: Callable[[str], Screen],
        window: Callable[[str, WindowWish], Window],
        wishes: Callable[[int], tuple[int, Mapping[str, WindowWish]] | None],
        fifo: bool = False,
    ) -> None:
        self._run, self._clock = run, clock
        self._make_screen, self._make_window, self._wishes = screen, window, wishes
        self._fifo = fifo
        self._display: str | None = None
        """The one display of this process: GLFW knows one."""
        self._held: dict[str, _Held] = {}
        self._feeds: dict[str, CanvasFeed] = {}
        self._seen = self._config_version = -1
        self._rate = Rate(24)
        self._shown: int | None = None
        self._seen_frames: dict[str, int] = {}
        """The frame that each canvas was seen with last."""
        self._due_ns = 0
        """When the next picture can come."""
        self._waits_ns: int | None = None
        """Since when some canvases have a newer frame than others."""
        self._count = self._passed_over = self._mixed = 0
        self._delay_ns: deque[int] = deque(maxlen=DELAYS)
        self._look_due_ns = self._version_due_ns = self._status_due_ns = self._top_due_ns = 0
        self._since: dict[tuple[str, str], int] = {}

    # --- role ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Rings; windows follow with the first step, or when their display is there."""
        self._status = RingWriter.create(self._run.windows_status, kind=KIND_STATUS, slots=4, capacity=STATUS_CAPACITY)
        self._reports = RingWriter.create(
            self._run.reports(SCREENS), kind=KIND_REPORTS, slots=REPORT_SLOTS, capacity=4032
        )
        self._blanks = RingWriter.create(self._run.blanks, kind=KIND_BLANKS, slots=64, capacity=64)

    def wake_fds(self) -> Sequence[int]:
        """Connections to displays: readable when outputs change."""
        return [held.screen.fileno() for held in self._held.values() if held.screen is not None]

    def step(self, now_ns: int) -> int | None:
        """Show what has come; when to be called again. None: a new process must go on, on another display."""
        if now_ns >= self._version_due_ns:
            self._version_due_ns = now_ns + VERSION_NS
            self._follow()
            if any(held.wish.config.display != self._display for held in self._held.values()):
                return None
        if now_ns >= self._look_due_ns and now_ns - self._due_ns > self._rate.period_ns:
            # Nothing has come for a while: a canvas may have got another ring.
            self._look_due_ns = now_ns + LOOK_NS
            for feed in self._feeds.values():
                feed.look()
        for held in self._held.values():
            self._look_after(held, now_ns)
        if not self._show_new(now_ns):
            self._redraw(now_ns)
        # A swap may have waited for its blank.
        now_ns = self._clock.now_ns()
        if now_ns >= self._top_due_ns:
            self._top_due_ns = now_ns + TOP_NS
            for held in self._held.values():
                if held.window is not None and held.screen is not None:
                    held.window.on_top()
                    held.screen.keep_awake()
        if now_ns >= self._status_due_ns:
            self._status_due_ns = now_ns + STATUS_NS
            self._publish(now_ns, "running")
        return self._next_ns(now_ns)

    def stop(self) -> None:
        """Take the windows away: the show ends."""
        self._nothing_more()
        for held in self._held.values():
            self._let_go(held)
        self._publish(self._clock.now_ns(), "stopped")
        for ring in (self._status, self._reports, self._blanks):
            ring.close()
        for feed in self._feeds.values():
            feed.close()

    def _next_ns(self, now_ns: int) -> int:
        if not any(held.on_screen for held in self._held.values()):
            return now_ns + IDLE_NS
        if now_ns < self._due_ns:
            return min(self._due_ns, now_ns + IDLE_NS)
        # Late. Nobody is kept busy by a node that is gone.
        late_ns = now_ns - self._due_ns
        return now_ns + (POLL_NS if late_ns < self._rate.period_ns else 4 * POLL_NS if late_ns < NS_PER_S else IDLE_NS)

    # --- what there is ------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        """Take up the version that holds."""
        number = self._run.current_version()
        if number == self._seen:
            return
        found = self._wishes(number)
        if found is None:
            return
        self._seen, (config_version, wishes) = number, found
        if config_version == self._config_version:
            return
        self._config_version = config_version
        if self._display is None and wishes:
            self._display = next(iter(wishes.values())).config.display
        for name in list(self._held):
            wish, held = wishes.get(name), self._held[name]
            if wish is None or (wish.config.display, wish.bits, wish.config.swap_group) != (
                held.wish.config.display, held.wish.bits, held.wish.config.swap_group,
            ):  # fmt: skip
                self._let_go(self._held.pop(name))
        for name, wish in wishes.items():
            held = self._held.setdefault(name, _Held(name, wish))
            held.wish = wish
            self._rate = wish.rate
            self._lay_out(held)
        canvases = {canvas for held in self._held.values() for canvas in held.wish.canvases}
        for name in self._feeds.keys() - canvases:
            self._feeds.pop(name).close()
        for name in canvases - self._feeds.keys():
            self._feeds[name] = CanvasFeed(self._run.canvas(name))
        for held in self._held.values():
            if held.window is not None:
                held.window.forget(held.wish.canvases)
        if not self._held:
            self._nothing_more()
        self._shown = None

    def _look_after(self, held: _Held, now_ns: int) -> None:
        if held.window is None or held.screen is None:
            if now_ns >= held.again_ns:
                held.again_ns = now_ns + AGAIN_NS
                self._open(held)
            return
        held.window.events()
        if held.screen.changed():
            self._lay_out(held)

    def _open(self, held: _Held) -> None:
        try:
            held.screen = held.screen or self._make_screen(held.wish.config.display)
            held.window = self._make_window(held.name, held.wish)
        except DisplayError as error:
            problem = error.problems[0]
            if held.trouble is None:
                log.error("window %s: %s", held.name, problem)
            held.trouble = Fault("no_display", "", problem.detail, problem.mend, values={"error": problem.detail})
            return
        held.trouble = None
        if self._fifo:
            self._fifo = False
            if fifo_is_wise(software_gl=held.window.software):
                take_fifo(FIFO_PRIORITY)
        held.screen.keep_awake()
        self._shown = None
        self._lay_out(held)

    def _lay_out(self, held: _Held) -> None:
        if held.screen is None or held.window is None:
            return
        before = held.layout
        held.layout = lay_out(held.wish.config, held.wish.parts, held.screen.outputs(), held.wish.rate)
        for fault in held.layout.faults:
            if fault not in before.faults:
                log.warning("window %s: %s %s -> %s", held.name, fault.monitor, fault.detail, fault.mend)
        if held.layout.box_px != before.box_px or held.layout.tiles != before.tiles:
            held.window.place(held.layout.box_px)
            now_ns = self._clock.now_ns()
            held.redraw_ns = [now_ns + after_ns for after_ns in REDRAW_NS]
            self._set_paces()

    def _set_paces(self) -> None:
        first = True
        for held in self._held.values():
            if held.window is None or not held.on_screen:
                held.pace = "none"
                continue
            held.window.pace(waits=first)
            held.pace = "blank" if first else "follows"
            first = False

    def _let_go(self, held: _Held) -> None:
        if held.window is not None:
            held.window.close()
        if held.screen is not None:
            held.screen.may_sleep()
            held.screen.close()
        held.window = held.screen = None

    # --- pictures -----------------------------------------------------------------------------------------------

    def _show_new(self, now_ns: int) -> bool:
        """Show a frame that has come, on every window at once."""
        there = [held for held in self._held.values() if held.on_screen]
        if not there or now_ns < self._due_ns:
            return False
        newest = {name: feed.newest() for name, feed in self._feeds.items()}
        pictures = self._chosen(newest, now_ns)
        if pictures is None:
            return False
        fresh = self._shown is None
        if not self._upload(there, pictures):
            return False
        shown_ns = self._swap(there)
        if fresh:
            self._measure_pace(there)
            for held in there:
                if held.screen is not None:
                    held.screen.clear_away()
        self._note(pictures, shown_ns)
        return True

    def _chosen(self, newest: Mapping[str, Picture | None], now_ns: int) -> dict[str, Picture] | None:
        """The pictures to be shown now; None: nothing new, or not all there yet."""
        found = {name: picture for name, picture in newest.items() if picture is not None}
        if not found or (
            self._shown is not None and all(self._feeds[name].shown_n == picture.n for name, picture in found.items())
        ):
            return None
        if common_frame(found.values()) is None:
            self._waits_ns = self._waits_ns or now_ns
            if now_ns - self._waits_ns < self._rate.period_ns // 4:
                return None
            self._mixed += 1
        self._waits_ns = None
        return found

    def _upload(self, there: Sequence[_Held], pictures: Mapping[str, Picture]) -> bool:
        """Take pictures into windows; False when one was overwritten meanwhile, and the next is looked for."""
        for held in there:
            assert held.window is not None
            for canvas in held.wish.canvases:
                picture = pictures.get(canvas)
                if picture is not None:
                    held.window.take(
                        canvas, picture.pixels, picture.size_px, ten_bits=picture.ten_bits, scale=held.wish.scale
                    )
            held.draw()
        return all(picture.intact() for picture in pictures.values())

    def _swap(self, there: Sequence[_Held]) -> int:
        """Swap all: the one that waits first, then the rest within the same blank. When that was."""
        first = there[0].window
        assert first is not None
        first.swap()
        shown_ns = first.shown_ns(self._clock.now_ns)
        for held in there[1:]:
            assert held.window is not None
            held.window.swap()
        if there[0].pace == "blank":
            self._blanks.publish(
                encode_windows(Blank(shown_ns, self._period_ns(there[0]))), frame=0, t_ns=self._clock.now_ns()
            )
        return shown_ns

    def _measure_pace(self, there: Sequence[_Held]) -> None:
        """Whether swaps wait for a vertical blank at all: the same picture again, a few times."""
        held = there[0]
        began_ns = self._clock.now_ns()
        for _ in range(PACE_SWAPS):
            held.draw()
            self._swap(there[:1])
        took_ns = self._clock.now_ns() - began_ns
        held.pace = "blank" if took_ns >= PACE_SWAPS * self._period_ns(held) * 3 // 4 else "none"

    def _period_ns(self, held: _Held) -> int:
        """Of the display that paces."""
        outputs = [state.output for state in held.layout.monitors.values() if state.output is not None]
        rates = [output.refresh_hz for output in outputs if output.active and output.refresh_hz]
        return int(NS_PER_S / min(rates)) if rates else self._rate.period_ns

    def _note(self, pictures: Mapping[str, Picture], shown_ns: int) -> None:
        """Count and report what was shown, and what came and was never shown."""
        newest = max(pictures.values(), key=lambda picture: picture.t_ns)
        passed: dict[int, dict[str, CanvasReport]] = {}
        for name, picture in pictures.items():
            feed = self._feeds[name]
            if feed.shown_n == picture.n:
                continue
            for frame in feed.between(feed.shown_n, picture.n) if self._shown is not None else ():
                passed.setdefault(frame, {})[name] = CanvasReport(self._shown or 0, "late_draw")
            feed.shown_n = picture.n
        for frame, canvases in sorted(passed.items()):
            self._passed_over += 1
            self._report(frame, 0, canvases, shown_ns)
        lost = self._lost()
        shown: dict[str, CanvasReport] = {}
        for name, picture in pictures.items():
            if name in lost:
                shown[name] = CanvasReport(self._seen_frames.get(name, 0), "fenced")
            else:
                shown[name] = CanvasReport(picture.frame, "none")
                self._seen_frames[name] = picture.frame
        self._report(newest.frame, newest.plan_hash, shown, shown_ns)
        self._shown = newest.frame
        self._count += 1
        # What was shown for the first time, or after a pause, says nothing about usual delays.
        if 0 <= shown_ns - newest.t_ns < 2 * self._rate.period_ns:
            self._delay_ns.append(shown_ns - newest.t_ns)
        self._due_ns = newest.t_ns + self._rate.period_ns

    def _lost(self) -> set[str]:
        """Canvases of which a part is on no monitor that is there."""
        return {
            part.canvas
            for held in self._held.values()
            for part in held.wish.parts
            if (state := held.layout.monitors.get(part.monitor)) is None
            or state.output is None
            or not (state.output.connected and state.output.active)
        }

    def _nothing_more(self) -> None:
        """Say that nothing is on monitors from here on: who counts does not wait for them."""
        if self._seen_frames:
            self._seen_frames.clear()
            self._report(max(0, self._shown or 0), 0, {}, self._clock.now_ns())

    def _report(self, frame: int, plan_hash: int, canvases: dict[str, CanvasReport], t_ns: int) -> None:
        report = FrameReport(
            frame=frame, node=SCREENS, plan_hash=plan_hash, canvases=canvases,
            t_draw_started_ns=0, t_drawn_ns=0, t_presented_ns=t_ns,
        )  # fmt: skip
        self._reports.publish(encode_report(report), frame=frame, t_ns=t_ns)

    def _redraw(self, now_ns: int) -> None:
        """Draw what is up once more where a window was moved or damaged."""
        for held in self._held.values():
            if held.window is None or not held.on_screen or self._shown is None:
                continue
            due = [t_ns for t_ns in held.redraw_ns if t_ns <= now_ns]
            if due or held.window.damaged:
                held.redraw_ns = [t_ns for t_ns in held.redraw_ns if t_ns > now_ns]
                held.draw()
                held.window.swap()

    # --- what is told -------------------------------------------------------------------------------------------

    def _publish(self, now_ns: int, state: RoleState) -> None:
        windows = {name: self._told(held) for name, held in self._held.items()}
        alarms = [] if state == "stopped" else self._alarms(now_ns)
        status = WindowsStatus(now_ns, os.getpid(), state, self._config_version, windows, alarms)
        self._status.publish(encode_windows(status), frame=self._shown or 0, t_ns=now_ns)
        self._status.heartbeat(now_ns)

    def _told(self, held: _Held) -> WindowStatus:
        window, layout = held.window, held.layout
        monitors = {}
        for name, state in layout.monitors.items():
            output = state.output
            monitors[name] = MonitorStatus(
                connector=output.connector if output is not None else "",
                edid=str(state.edid) if state.edid is not None else "",
                position_px=output.position_px if output is not None else (0, 0),
                mode_px=output.mode_px if output is not None else (0, 0),
                refresh_hz=float(output.refresh_hz) if output is not None else 0.0,
                multiple=state.multiple,
            )
        return WindowStatus(
            display=held.wish.config.display or os.environ.get("DISPLAY", ""),
            renderer=window.renderer if window is not None else "",
            box_px=layout.box_px,
            bits=window.red_bits if window is not None else 0,
            wanted_bits=held.wish.bits,
            canvases=list(held.wish.canvases),
            monitors=monitors,
            pace=held.pace,
            stamped_by=window.stamped_by if window is not None else "return",
            swap_group=window.swaps_with[0] if window is not None else "absent",
            frame=-1 if self._shown is None else self._shown,
            shown=self._count,
            passed_over=self._passed_over,
            mixed=self._mixed,
            delay_ms=percentiles_of([ns / NS_PER_MS for ns in self._delay_ns]),
        )

    def _alarms(self, now_ns: int) -> list[Alarm]:
        told = []
        for held in self._held.values():
            path = f"windows/{held.name}"
            faults = [held.trouble] if held.trouble is not None else list(held.layout.faults)
            faults += self._own_faults(held)
            for fault in faults:
                where = f"{path}/monitors/{fault.monitor}" if fault.monitor else path
                code, values = f"windows.{fault.kind}", {**fault.values}
                told.append(Alarm(code, where, fault.detail, fault.severity, fault.mend, values=values))
        keys = {(alarm.code, alarm.path) for alarm in told}
        self._since = {key: self._since.get(key, now_ns) for key in keys}
        return [msgspec.structs.replace(a, since_ns=self._since[a.code, a.path]) for a in told]

    def _own_faults(self, held: _Held) -> list[Fault]:
        window = held.window
        if window is None:
            return []
        faults = []
        if window.red_bits < held.wish.bits:
            detail = f"shows {window.red_bits} bits of a colour, its canvases have {held.wish.bits}"
            mend = "give the X server `DefaultDepth 30` (xorg.conf, section Screen)"
            bits = {"found_bits": window.red_bits, "wanted_bits": held.wish.bits}
            faults.append(Fault("bits", "", detail, mend, "warning", bits))
        if held.on_screen and self._shown is not None and held.pace == "none":
            detail = "swaps wait for no vertical blank: pictures may tear"
            faults.append(Fault("no_blank", "", detail, "use a driver with vertical sync, and leave it on", "info"))
        if window.swaps_with[0] == "refused":
            why = {"error": window.swaps_with[1]}
            faults.append(Fault("swap_group", "", window.swaps_with[1], "see to sync board and driver", "warning", why))
        return faults
