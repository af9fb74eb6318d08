"""What every driver of a processor does, and what can go wrong while it does it.

Drivers are async, hold no opinion about what is wanted (`keeper` does) and never retry: they say what happened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from controller.errors import ControllerError
from controller.processors.model import Ability, Reading, Value
from stage.errors import Problem


class ProcessorError(ControllerError):
    """A processor did not do what it was asked."""

    code = "controller.processor"


class UnreachableError(ProcessorError):
    """Nothing answers, or not in time."""

    code = "controller.processor_unreachable"


class BusyError(ProcessorError):
    """It answers that it is busy (starting, loading a project, being set by somebody else): ask again."""

    code = "controller.processor_busy"


class LockedError(ProcessorError):
    """Another host holds it."""

    code = "controller.processor_locked"


class RefusedError(ProcessorError):
    """It answers, and will not: a value it does not take, a setting it does not have, rights that are missing."""

    code = "controller.processor_refused"


class StrangeAnswerError(ProcessorError):
    """What it answers is not what its protocol says."""

    code = "controller.processor_answer"


def error_of(problems: Sequence[Problem]) -> ProcessorError:
    """The error that told these problems, by their code: they may come from another process."""
    kinds = (UnreachableError, BusyError, LockedError, RefusedError, StrangeAnswerError)
    return next((kind for kind in kinds if kind.code == problems[0].code), ProcessorError)(*problems)


class Driver(Protocol):
    """One processor. Used by one task at a time."""

    @property
    def abilities(self) -> Mapping[str, Ability]:
        """What can be read and set, by name of `model.SETTINGS`; may grow with the first reading."""

    async def read(self) -> Reading:
        """One look at everything. Raises ProcessorError."""

    async def write(self, settings: Mapping[str, Value]) -> None:
        """Set these, in their order. What came of it is for `read` to say. Raises ProcessorError."""

    async def close(self) -> None:
        """Let the connection go."""


@runtime_checkable
class Telling(Protocol):
    """A driver whose processor tells changes by itself."""

    def listen(self, news: Callable[[], None]) -> None:
        """Have `news` called whenever it told one: a look is worth while."""


def unreachable(where: str, error: BaseException) -> UnreachableError:
    """Nobody answers at `where`."""
    told = str(error) or type(error).__name__
    mend = "check its power, cable and address, and that remote control is switched on"
    detail = f"the processor does not answer: {told}"
    return UnreachableError(Problem(UnreachableError.code, where, detail, None, mend))


def refused(where: str, value: object, said: str, mend: str = "") -> RefusedError:
    """It answered `said`."""
    return RefusedError(Problem(RefusedError.code, where, f"the processor refuses it: {said}", value, mend))


def strange(where: str, detail: str, value: object = None) -> StrangeAnswerError:
    """Its answer makes no sense."""
    mend = "check that the address is this processor's and its firmware is one this driver knows"
    return StrangeAnswerError(Problem(StrangeAnswerError.code, where, detail, value, mend))


def checked(where: str, settings: Mapping[str, Value], abilities: Mapping[str, Ability]) -> None:
    """Refuse, before anything is sent, what the processor does not have or take.

    Raises
    ------
    RefusedError : all of them at once.
    """
    problems: list[Problem] = []
    for name, value in settings.items():
        path = f"{where}/{name}"
        ability = abilities.get(name)
        if ability is not None and ability.none:
            problems.append(Problem(RefusedError.code, path, "it cannot do this", value, ability.why_not))
        elif ability is None:
            has = ", ".join(sorted(known for known, one in abilities.items() if not one.none))
            problems.append(
                Problem(RefusedError.code, path, "this processor has no such setting", value, f"it has: {has}")
            )
        elif not ability.writable:
            problems.append(Problem(RefusedError.code, path, "it can only be read", value, ability.why_not))
        elif ability.choices and value not in ability.choices:
            mend = f"choose one of: {', '.join(ability.choices)}"
            problems.append(Problem(RefusedError.code, path, "not one of its choices", value, mend))
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            low, high = ability.low, ability.high
            if (low is not None and value < low) or (high is not None and value > high):
                problems.append(
                    Problem(RefusedError.code, path, "outside what it takes", value, f"stay within {low} to {high}")
                )
    if problems:
        raise RefusedError(*problems)
