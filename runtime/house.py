"""Several roles in one process under one virtual clock: timing scenarios that are exact, and take no time.

Roles are stepped in the order of their deadlines, equal ones by name. A role that listens to descriptors (doorbells,
loopback sockets) is stepped at the virtual instant in which something arrived. Costs are virtual too: a fake
device that "draws for 30 ms" sleeps on the clock; give such a role a thread of its own and the others go on
meanwhile, as processes would. Only one thread ever runs at a time, so every run is the same.
"""

from __future__ import annotations

import select
import threading
from collections.abc import Callable
from typing import Final, Self

from runtime.clock import Timer, VirtualClock
from runtime.errors import VirtualTimeError
from runtime.role import Role, wake_fds
from stage.errors import Problem

_STUCK_S: Final = 60.0
"""Real time after which a threaded role that neither sleeps nor returns is called stuck (a bug, told as such)."""


class _Left(BaseException):
    """Unwinds a threaded role that is removed while it sleeps inside a step."""


class _Place:
    """One role's place in the house, stepped on the house's own thread."""

    def __init__(self, house: VirtualHouse, name: str, role: Role) -> None:
        self.house = house
        self.name = name
        self.role = role
        self.timer: Timer | None = None
        self.paused = False
        self.busy = False
        self.gone = False

    def start(self) -> None:
        self.role.start()
        self.due_at(self.house.clock.now_ns())

    def due_at(self, t_ns: int) -> None:
        if self.timer is not None:
            self.timer.cancel()
        self.timer = self.house.clock.call_at(max(t_ns, self.house.clock.now_ns()), self.come_due, name=self.name)

    def come_due(self) -> None:
        self.timer = None
        if self.paused or self.gone:
            return
        self.step()
        self.house._look_for_arrivals()

    def step(self) -> None:
        self.busy = True
        deadline_ns = self.role.step(self.house.clock.now_ns())
        self.stepped(deadline_ns)

    def stepped(self, deadline_ns: int | None) -> None:
        self.busy = False
        if self.gone:
            return
        if deadline_ns is None:
            self.house._finish(self)
        else:
            self.due_at(deadline_ns)

    def leave(self, *, stop: bool) -> None:
        self.gone = True
        if self.timer is not None:
            self.timer.cancel()
        if stop:
            self.role.stop()


class _ThreadPlace(_Place):
    """A role on a thread of its own, so that it can sleep inside a step. The house passes a baton to and fro."""

    def __init__(self, house: VirtualHouse, name: str, role: Role) -> None:
        super().__init__(house, name, role)
        self._go = threading.Semaphore(0)
        self._back = threading.Semaphore(0)
        self._error: BaseException | None = None
        self._stop_role = True
        self._thread = threading.Thread(target=self._body, name=f"role {name}", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._pass_baton()
        self.due_at(self.house.clock.now_ns())

    def step(self) -> None:
        self.busy = True
        self._pass_baton()

    def leave(self, *, stop: bool) -> None:
        self._stop_role = stop
        super().leave(stop=False)
        if self._thread.is_alive():
            self._pass_baton()
            self._thread.join()

    def _pass_baton(self) -> None:
        """Let the role's thread run until it sleeps, waits for its next step or ends; raises what it raised."""
        self._go.release()
        if not self._back.acquire(timeout=_STUCK_S):
            raise VirtualTimeError(
                Problem(VirtualTimeError.code, self.name, "neither slept nor returned", mend="sleep on its clock"),
            )
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _wait_for_baton(self) -> None:
        self._back.release()
        self._go.acquire()
        if self.gone:
            raise _Left

    def _sleep_until(self, deadline_ns: int) -> None:
        """How the clock sleeps on this thread: hand back the baton, ask to have it again at the deadline."""
        self.house.clock.call_at(deadline_ns, self._wake, name=self.name)
        self._wait_for_baton()

    def _wake(self) -> None:
        if not self.gone:
            self._pass_baton()
            self.house._look_for_arrivals()

    def _body(self) -> None:
        clock = self.house.clock
        ident = threading.get_ident()
        clock.on_thread(ident, self._sleep_until)
        self._go.acquire()
        try:
            try:
                self.role.start()
                while not self.gone:
                    self._wait_for_baton()
                    self.stepped(self.role.step(clock.now_ns()))
            except _Left:
                pass
            finally:
                if self._stop_role:
                    self.role.stop()
        except BaseException as error:  # noqa: BLE001 - carried to the house's thread, which raises it
            self._error = error
        finally:
            clock.on_thread(ident, None)
            self._back.release()


class VirtualHouse:
    """Roles under one `VirtualClock`.

    Attributes
    ----------
    clock : VirtualClock
    finished : names of the roles whose `step` returned None, in that order
    """

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.finished: list[str] = []
        self._places: dict[str, _Place] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, name: str, role: Role, *, own_thread: bool = False) -> None:
        """Start a role now; its first step is due at once.

        own_thread : it sleeps on the clock inside its steps (its `start`, `step` and `stop` then run on that
            thread, where its GL context belongs). Without, a step takes no virtual time.
        """
        if name in self._places:
            raise ValueError(f"the house already has a role {name!r}")
        place = (_ThreadPlace if own_thread else _Place)(self, name, role)
        self._places[name] = place
        try:
            place.start()
        except BaseException:
            del self._places[name]
            raise

    def remove(self, name: str) -> None:
        """Stop a role and let it go, as SIGTERM does."""
        self._places.pop(name).leave(stop=True)

    def kill(self, name: str) -> None:
        """Let a role go without stopping it, as kill -9 does. `add` a new one to restart it."""
        self._places.pop(name).leave(stop=False)

    def pause(self, name: str) -> None:
        """Step it no more, as SIGSTOP does."""
        self._places[name].paused = True

    def resume(self, name: str) -> None:
        """Go on with a paused role, at once."""
        place = self._places[name]
        place.paused = False
        if not place.busy:
            place.due_at(self.clock.now_ns())

    def wake(self, name: str) -> None:
        """Step a role at the present instant, as if something had arrived for it."""
        place = self._places[name]
        if not (place.paused or place.busy):
            place.due_at(self.clock.now_ns())

    def run_until(self, t_ns: int) -> None:
        """Let virtual time run to `t_ns`; what a role raises is raised here."""
        self._look_for_arrivals()
        self.clock.advance_to(t_ns)

    def run_while(self, condition: Callable[[], bool], *, until_ns: int) -> bool:
        """Let time run from event to event while `condition()`; False if `until_ns` came first (or nothing waits)."""
        self._look_for_arrivals()
        while condition():
            due_ns = self.clock.next_due_ns()
            if due_ns is None or due_ns > until_ns:
                self.clock.advance_to(until_ns)
                return not condition()
            self.clock.advance_to(due_ns)
        return True

    def close(self) -> None:
        """Stop every role, the last one added first; the first failure is raised once all have stopped."""
        failures: list[BaseException] = []
        while self._places:
            _, place = self._places.popitem()
            try:
                place.leave(stop=True)
            except Exception as error:  # noqa: BLE001 - the others must stop too
                failures.append(error)
        if failures:
            raise failures[0]

    def _finish(self, place: _Place) -> None:
        self.finished.append(place.name)
        self._places.pop(place.name, None)
        place.gone = True
        if not isinstance(place, _ThreadPlace):
            place.role.stop()

    def _look_for_arrivals(self) -> None:
        """Make due now every idle role one of whose descriptors is readable."""
        listening = {
            fd: place
            for place in self._places.values()
            if not (place.paused or place.busy)
            for fd in wake_fds(place.role)
        }
        if not listening:
            return
        readable, _, _ = select.select(list(listening), [], [], 0)
        now_ns = self.clock.now_ns()
        for place in {listening[fd].name: listening[fd] for fd in readable}.values():
            if place.timer is None or place.timer.t_ns > now_ns:
                place.due_at(now_ns)
