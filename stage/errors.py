"""Errors of the stage model, and the shape every user-facing error of OpenVolume takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, told so that a person can mend it.

    code: stable, `<package>.<situation>`; path: address of the value (`stage/walls/main/columns`), with
    `line` when it came from a file; value: what stood there; detail: why it is wrong; mend: what to do; values: what
    `detail` speaks of, each by itself (of what becomes an alarm: `controller.alarm_codes` says which there are).
    """

    code: str
    path: str
    detail: str
    value: Any = None
    mend: str = ""
    line: int | None = None
    values: dict[str, Any] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line is not None else self.path
        value = "" if self.value is None else f" ({self.value!r})"
        mend = f" -> {self.mend}" if self.mend else ""
        return f"{self.code} {where}: {self.detail}{value}{mend}"


class OpenVolumeError(Exception):
    """Base of every error OpenVolume raises on purpose. `problems` is never empty."""

    code = "stage.error"
    exit_code = 2
    """What a command that meets it ends with: 2 bad input, 1 failed while running, 3 the machine lacks a part."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class StageError(OpenVolumeError):
    """Base of the stage package's errors."""


class ConfigError(StageError):
    """A configuration that cannot be used; `problems` names every fault found, not only the first."""

    code = "stage.config"
