"""Logging of every process: JSON lines for machines, one readable line on a terminal. It never blocks a frame.

Each line carries the role, the run and the frame at hand. A terminal that is stopped (Ctrl-S) or a pipe nobody reads
would block a plain write, and with it the picture: lines that cannot be written at once are dropped and counted.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import select
import sys
from typing import IO, Any, Final

from stage.errors import OpenVolumeError

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_LONGEST_LINE: Final = 4096
"""A pipe takes up to this many bytes whole: lines of several processes never mix."""


class LogContext(logging.Filter):
    """What every line of this process carries. Set `frame` as frames go by (None: no frame at hand)."""

    def __init__(self, role: str, run: str) -> None:
        super().__init__()
        self.role = role
        self.run = run
        self.frame: int | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Mark the record; never drops it."""
        record.role = self.role
        record.run = self.run
        record.frame = self.frame
        return True


def _instant(record: logging.LogRecord) -> str:
    return dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="microseconds")


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    """Fields given as `extra={...}`."""
    return {
        key: value
        for key, value in vars(record).items()
        if key not in _STANDARD and key not in {"role", "run", "frame"}
    }


def _problems(record: logging.LogRecord) -> list[str]:
    error = record.exc_info[1] if record.exc_info else None
    return [str(problem) for problem in error.problems] if isinstance(error, OpenVolumeError) else []


class JsonFormatter(logging.Formatter):
    """One JSON object a line: t, level, role, run, frame, logger, message, then extras, problems and traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, Any] = {
            "t": _instant(record),
            "level": record.levelname.lower(),
            "role": getattr(record, "role", ""),
            "run": getattr(record, "run", ""),
            "frame": getattr(record, "frame", None),
            "logger": record.name,
            "message": record.getMessage(),
            **_extras(record),
        }
        if record.exc_info:
            line["problems"] = _problems(record)
            line["traceback"] = self.formatException(record.exc_info)
        text = json.dumps(line, default=str, ensure_ascii=False)
        while (over := len(text.encode(errors="replace")) - _LONGEST_LINE + 1) > 0:
            # The end of a traceback says most, the beginning of everything else.
            key = max(line, key=lambda name: len(str(line[name])))
            value = str(line[key])
            kept = max(0, len(value) - over - 16)
            line[key] = "…" + value[len(value) - kept :] if key == "traceback" else value[:kept] + "…"
            text = json.dumps(line, default=str, ensure_ascii=False)
        return text


class HumanFormatter(logging.Formatter):
    """`12:34:56.789 warning node_0 #1234 message (key=value)`, a problem or traceback below."""

    def format(self, record: logging.LogRecord) -> str:
        """The lines, without their end."""
        frame = getattr(record, "frame", None)
        extras = _extras(record)
        parts = [
            dt.datetime.fromtimestamp(record.created, dt.UTC).astimezone().strftime("%H:%M:%S.%f")[:-3],
            record.levelname.lower(),
            getattr(record, "role", ""),
            f"#{frame}" if frame is not None else "",
            record.getMessage(),
            "(" + ", ".join(f"{key}={value}" for key, value in extras.items()) + ")" if extras else "",
        ]
        line = " ".join(part for part in parts if part)
        if record.exc_info:
            below = _problems(record) or self.formatException(record.exc_info).splitlines()
            line = "\n  ".join([line, *below])
        return line


class PatientHandler(logging.Handler):
    """Writes to a descriptor only what it takes at once; counts the rest and says so when it flows again.

    Attributes
    ----------
    dropped : lines lost since the last one written.
    """

    def __init__(self, stream: IO[str]) -> None:
        super().__init__()
        self._fd = stream.fileno()
        self.dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record, or count it."""
        try:
            line = self.format(record)
            if not self._ready():
                self.dropped += 1
                return
            if self.dropped:
                dropped, self.dropped = self.dropped, 0
                told = logging.makeLogRecord(
                    {
                        "name": __name__,
                        "levelno": logging.WARNING,
                        "levelname": "WARNING",
                        "msg": f"{dropped} log lines were dropped: nobody took them",
                        "role": getattr(record, "role", ""),
                        "run": getattr(record, "run", ""),
                        "frame": None,
                    },
                )
                self._write(self.format(told))
                if not self._ready():
                    self.dropped += 1
                    return
            self._write(line)
        except Exception:  # noqa: BLE001 - a log line must never end a show
            self.dropped += 1

    def _ready(self) -> bool:
        return bool(select.select([], [self._fd], [], 0)[1])

    def _write(self, line: str) -> None:
        data = line.encode(errors="replace")[: _LONGEST_LINE - 1] + b"\n"
        os.write(self._fd, data)


def set_up_logging(
    role: str,
    run: str,
    *,
    stream: IO[str] | None = None,
    level: int = logging.INFO,
    human: bool | None = None,
) -> LogContext:
    """Log this process to `stream` (standard error). Call once, first thing; returns what to set the frame on.

    human : readable lines instead of JSON; by default exactly when the stream is a terminal.
    """
    stream = stream or sys.stderr
    handler = PatientHandler(stream)
    handler.setFormatter(HumanFormatter() if (stream.isatty() if human is None else human) else JsonFormatter())
    context = LogContext(role, run)
    handler.addFilter(context)
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    return context
