"""Sends a recording again: every datagram to the socket it came through, at its own time, from a sender of its own.

Two senders in a recording are two senders again (two sockets), so that a rival or a fail-over happens as it did.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from runtime.clock import Clock, SystemClock
from stage.errors import Problem
from tracking.capture import Capture
from tracking.config import SERIAL
from tracking.errors import CaptureError
from tracking.sender import Wire, open_wire
from tracking.tap import LinkInfo

OpenWire = Callable[[str, str], Wire]
"""Protocol and target to a wire."""
MIN_SPEED, MAX_SPEED = 0.01, 1000.0


def targets_of(capture: Capture, target: str | None = None) -> dict[int, str]:
    """Where each of a recording's sockets is sent to: the address it listened on, or `target` for all.

    Raises
    ------
    CaptureError : nothing was received, or one target for several sockets.
    """
    used = sorted({datagram.link for datagram in capture.datagrams})
    if not used:
        raise CaptureError(Problem(CaptureError.code, "file", "the recording holds no datagrams", mend="record again"))
    if target is None:
        return {number: _reached(capture.links[number]) for number in used}
    if len(used) > 1:
        listened = ", ".join(capture.links[number].listen for number in used)
        raise CaptureError(
            Problem(
                "tracking.target", "target", f"the recording is of several sockets ({listened})", target,
                "leave --target out: each is sent to where it was received",
            )
        )  # fmt: skip
    return {used[0]: target}


def replay(
    capture: Capture,
    *,
    targets: Mapping[int, str] | None = None,
    speed: float = 1.0,
    loop: bool = False,
    clock: Clock | None = None,
    wire: OpenWire | None = None,
    stop: Callable[[], bool] | None = None,
) -> int:
    """Send a recording; datagrams sent.

    targets : by link, `targets_of` by default; speed : 2 is twice as fast; loop : begin again at the end; wire : opens
    a wire instead of a socket; stop : asked before each datagram.

    Raises
    ------
    CaptureError : nothing to send. SendError : a target that cannot be used.
    """
    if not MIN_SPEED <= speed <= MAX_SPEED:
        raise CaptureError(
            Problem("tracking.speed", "speed", "not a speed", speed, "use 0.01 to 1000; 1 is as recorded")
        )
    where = targets_of(capture) if targets is None else dict(targets)
    make = open_wire if wire is None else wire
    clock = SystemClock() if clock is None else clock
    wires: dict[tuple[int, str, int], Wire] = {}
    sent = 0
    try:
        for datagram in capture.datagrams:
            sender = (datagram.link, datagram.host, datagram.port)
            if sender not in wires:
                wires[sender] = make(capture.links[datagram.link].protocol, where[datagram.link])
        first_ns, begin_ns = capture.datagrams[0].t_received_ns, clock.now_ns()
        while True:
            for datagram in capture.datagrams:
                if stop is not None and stop():
                    return sent
                clock.sleep_until(begin_ns + int((datagram.t_received_ns - first_ns) / speed))
                wires[datagram.link, datagram.host, datagram.port].send(datagram.data)
                sent += 1
            if not loop:
                return sent
            # One more usual step, so that the end and the beginning are no burst.
            last_ns = capture.datagrams[-1].t_received_ns
            step_ns = (last_ns - first_ns) // max(1, len(capture.datagrams) - 1)
            begin_ns += int((last_ns - first_ns + step_ns) / speed)
    finally:
        for opened in wires.values():
            opened.close()


def _reached(link: LinkInfo) -> str:
    """What a program on this machine sends to so that the socket receives it. Raises CaptureError: a serial line."""
    if link.listen.startswith(SERIAL):
        mend = "give --target HOST:PORT, or feed it to the show with --virtual"
        raise CaptureError(Problem("tracking.target", "file", "a serial line cannot be sent to", link.listen, mend))
    return link.listen.replace("0.0.0.0", "127.0.0.1").replace("*", "127.0.0.1")  # noqa: S104
