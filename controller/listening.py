"""Opening the tracking sockets: a port that another program holds must not keep the walls dark.

The show goes on without tracking, says so, and tries again.
"""

from __future__ import annotations

import logging

from controller.status import Alarm
from runtime.clock import NS_PER_S
from tracking.errors import ListenError
from tracking.inputs import TrackingInputs

log = logging.getLogger(__name__)

LISTEN_AGAIN_NS = NS_PER_S


class Listening:
    """`alarms`: the ports that cannot be had, by path."""

    def __init__(self, inputs: TrackingInputs) -> None:
        self._inputs = inputs
        self._due_ns = 0
        self._open = False
        self.alarms: dict[str, Alarm] = {}

    def due(self, now_ns: int) -> bool:
        """Whether it is time to try (again)."""
        return not self._open and now_ns >= self._due_ns

    def open(self, now_ns: int) -> None:
        """Try."""
        self._due_ns = now_ns + LISTEN_AGAIN_NS
        try:
            self._inputs.open()
        except ListenError as error:
            problem = error.problems[0]
            path = problem.path.removeprefix("tracking/")
            if path not in self.alarms:
                log.error("%s", problem)
            self.alarms[path] = Alarm(
                problem.code, path, problem.detail, "critical", problem.mend, now_ns, problem.values
            )
            return
        self._open = True
        self.alarms.clear()
