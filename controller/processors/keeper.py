"""Keeps one processor as it should be: looks at it, sets it, reads back what came of it, and says what drifted.

Nothing here waits by itself: `look` and `set` are asked for, and `due_ns` says when the next look is wanted. What a
processor acknowledged is never believed: only what is read back counts.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from controller.processors.driver import BusyError, Driver, LockedError, ProcessorError, RefusedError, error_of
from controller.processors.model import SETTINGS, Ability, Reading, Value, same
from runtime.clock import NS_PER_S
from stage.errors import Problem

log = logging.getLogger(__name__)

Link = Literal["never", "ready", "busy", "locked", "away", "strange"]
"""never: not looked at yet; busy, locked: it answers but will not be set; away: it does not answer."""

LOOK_EVERY_NS = 2 * NS_PER_S
LOOK_AGAIN_NS = NS_PER_S
TOLD_NS = NS_PER_S // 10
"""Between a change it told and the look at it: several in a row are one look."""
LOOK_AWAY_MOST_NS = 10 * NS_PER_S
TRIES = 4
"""Times a busy processor is asked before it is given up."""
BETWEEN_TRIES_S = 0.5

Outcome = Literal["applied", "rounded", "ignored", "refused", "unchecked", "planned"]
"""What came of one setting: as asked; near it (snapped, clamped); acknowledged and not done; told to be impossible;
written to something that cannot be read back; or, of a dry run, not written yet."""


@dataclass(frozen=True, slots=True)
class SetResult:
    """What came of one setting that was written."""

    name: str
    wanted: Value
    found: Value | None
    outcome: Outcome
    detail: str = ""


def taken(results: Sequence[SetResult]) -> dict[str, Value]:
    """What the show wants once these were set: what took, as it took; orders of the moment are no wishes."""
    found: dict[str, Value] = {}
    for result in results:
        if SETTINGS[result.name].live:
            continue
        if result.outcome == "applied":
            found[result.name] = result.wanted
        elif result.outcome == "rounded" and result.found is not None:
            found[result.name] = result.found
    return found


@dataclass(frozen=True, slots=True)
class Drift:
    """A setting that is not as the show wants it."""

    name: str
    wanted: Value
    found: Value | None

    @property
    def words(self) -> str:
        """For people."""
        return f"{self.name} is {said(self.found)}, the show wants {said(self.wanted)}"


def said(value: Value | None) -> str:
    """A value as people say it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:g}"
    return "not known" if value is None else str(value) or "(none)"


@dataclass(slots=True)
class Kept:
    """All that is known of one processor, as the API tells it."""

    link: Link = "never"
    reading: Reading | None = None
    read_ns: int | None = None
    """When it was last looked at with success."""
    trouble: Problem | None = None
    """Why the last look or write failed."""
    since_ns: int = 0
    """Since when the link is as it is."""
    desired: dict[str, Value] = field(default_factory=dict)
    drift: tuple[Drift, ...] = ()
    revision: int = 0
    """Counts what changed, for those who only want news."""


class Keeper:
    """One processor. `look` about every two seconds; `set` when somebody wants something changed."""

    def __init__(
        self,
        name: str,
        driver: Driver,
        *,
        now_ns: Callable[[], int],
        pause: Callable[[float], Awaitable[None]],
        desired: Mapping[str, Value] | None = None,
    ) -> None:
        """`pause(seconds)` is how it waits between tries (asyncio.sleep, or a test's own)."""
        self.name = name
        self.kept = Kept(desired=dict(desired or {}), since_ns=now_ns())
        self._driver, self._now_ns, self._pause = driver, now_ns, pause
        self._away_ns = LOOK_AGAIN_NS
        self.due_ns = now_ns()

    @property
    def abilities(self) -> Mapping[str, Ability]:
        """What can be set, by name."""
        return self._driver.abilities

    def hurry(self) -> None:
        """It told a change by itself: look soon, in place of when it is due."""
        self.due_ns = min(self.due_ns, self._now_ns() + TOLD_NS)

    def want(self, desired: Mapping[str, Value]) -> None:
        """What the show wants from now on. Nothing is written: the difference shows as drift until `restore`."""
        self.kept.desired = dict(desired)
        self._compare()

    async def look(self) -> Kept:
        """One look. Never raises: what went wrong is in the answer."""
        try:
            reading = await self._driver.read()
        except ProcessorError as error:
            self._failed(error)
        else:
            self._turned("ready", None)
            if reading != self.kept.reading:
                self.kept.reading = reading
                self.kept.revision += 1
            self.kept.read_ns = self._now_ns()
            self._away_ns = LOOK_AGAIN_NS
            self.due_ns = self._now_ns() + LOOK_EVERY_NS
            self._compare()
        return self.kept

    def changes(self, wanted: Mapping[str, Value] | None = None) -> list[Drift]:
        """What would be written to reach `wanted` (the show's wishes when None): a dry run. Overrides of the moment
        are left alone."""
        wanted = self.kept.desired if wanted is None else wanted
        found = self.kept.reading.settings if self.kept.reading else {}
        order = list(SETTINGS)
        return [
            Drift(name, wanted[name], found.get(name))
            for name in sorted(wanted, key=order.index)
            if not self._is(name, wanted[name], found.get(name))
        ]

    async def restore(self, only: Collection[str] | None = None, *, dry_run: bool = False) -> list[SetResult]:
        """Write what differs from the show's wishes (`only` these of them), and read it back; or say what that would
        be. Raises ProcessorError when it cannot begin."""
        await self.look()
        if self.kept.link != "ready" and self.kept.trouble is not None:
            raise error_of([self.kept.trouble])
        changes = [change for change in self.changes() if only is None or change.name in only]
        if dry_run:
            return [SetResult(c.name, c.wanted, c.found, "planned") for c in changes]
        return await self.set({change.name: change.wanted for change in changes})

    async def set(self, settings: Mapping[str, Value]) -> list[SetResult]:
        """Write settings, read back, and say of each what came of it.

        Raises
        ------
        ProcessorError : nothing could be written (away, locked, still busy after some tries, refused beforehand).
        """
        if not settings:
            return []
        order = list(SETTINGS)
        results: list[SetResult] = []
        written: dict[str, Value] = {}
        for name in sorted(settings, key=order.index):
            try:
                await self._patiently({name: settings[name]})
            except RefusedError as error:
                detail = error.problems[0].detail
                results.append(SetResult(name, settings[name], self._found(name), "refused", detail))
            except ProcessorError as error:
                self._failed(error)
                raise
            else:
                written[name] = settings[name]
        await self.look()
        if self.kept.reading is None or self.kept.link != "ready":
            return [
                *results,
                *(SetResult(n, v, None, "unchecked", "it does not answer now") for n, v in written.items()),
            ]
        return [*results, *(self._outcome(name, value) for name, value in written.items())]

    async def close(self) -> None:
        """Let the connection go."""
        await self._driver.close()

    # --- inside -----------------------------------------------------------------------------------------------

    async def _patiently(self, settings: Mapping[str, Value]) -> None:
        for last in range(1, TRIES + 1):
            try:
                await self._driver.write(settings)
                return
            except BusyError:
                if last == TRIES:
                    raise
                await self._pause(BETWEEN_TRIES_S * last)

    def _outcome(self, name: str, wanted: Value) -> SetResult:
        found = self._found(name)
        ability = self._driver.abilities.get(name, Ability())
        if not ability.readable or found is None:
            return SetResult(name, wanted, found, "unchecked", "it cannot be read back")
        if self._is(name, wanted, found):
            return SetResult(name, wanted, found, "applied")
        worded = isinstance(wanted, (str, bool)) or isinstance(found, (str, bool))
        if not worded and abs(float(wanted) - float(found)) <= _near(float(wanted), ability):
            return SetResult(name, wanted, found, "rounded", f"it took {found} for {wanted}")
        return SetResult(name, wanted, found, "ignored", f"it acknowledged {wanted} and still says {found}")

    def _found(self, name: str) -> Value | None:
        return self.kept.reading.settings.get(name) if self.kept.reading else None

    def _is(self, name: str, wanted: Value, found: Value | None) -> bool:
        return found is not None and same(wanted, found, self._driver.abilities.get(name, Ability()))

    def _compare(self) -> None:
        """Drift, where the processor is known and can be read."""
        if self.kept.reading is None:
            return
        drift = tuple(
            change
            for change in self.changes()
            if self._driver.abilities.get(change.name, Ability()).readable or change.found is not None
        )
        if drift != self.kept.drift:
            self.kept.drift = drift
            self.kept.revision += 1

    def _failed(self, error: ProcessorError) -> None:
        link: Link = "strange"
        if isinstance(error, BusyError):
            link = "busy"
        elif isinstance(error, LockedError):
            link = "locked"
        elif error.code == "controller.processor_unreachable":
            link = "away"
        self._turned(link, error.problems[0])
        # Gentle with what is away: it is looked for ever more seldom.
        self.due_ns = self._now_ns() + self._away_ns
        if link == "away":
            self._away_ns = min(LOOK_AWAY_MOST_NS, 2 * self._away_ns)

    def _turned(self, link: Link, trouble: Problem | None) -> None:
        if link != self.kept.link:
            log.info("processor %s: %s (was %s)", self.name, link, self.kept.link)
            self.kept.link, self.kept.since_ns = link, self._now_ns()
            self.kept.revision += 1
        self.kept.trouble = trouble


def _near(wanted: float, ability: Ability) -> float:
    """As far as a processor may snap or clamp a value before it counts as ignored: two steps, or 5 % of its range."""
    steps = 2.0 * (ability.step or 0.0)
    spread = 0.05 * (ability.high - ability.low) if ability.low is not None and ability.high is not None else 0.0
    return max(steps, min(spread, 0.1 * abs(wanted)))
