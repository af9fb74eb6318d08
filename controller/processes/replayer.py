"""Sends a take's tracking to the running show again: `python -P -m controller.processes.replayer FILE [--loop]`.

Says on its first line from which hosts and ports it will send; a moment later, when the conductor hears nobody else, it
begins.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from controller.takes.replay import Said
from runtime.clock import NS_PER_MS, SystemClock
from stage.errors import OpenVolumeError
from tracking.capture import Capture, read_capture
from tracking.replay import replay, targets_of
from tracking.sender import UdpWire, Wire
from tracking.senders_seen import SILENT_NS

QUIET_NS: Final = SILENT_NS + 200 * NS_PER_MS
"""So long nobody speaks: then a source takes another sender."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Send, until the end or until it is ended."""
    parser = argparse.ArgumentParser(prog="replayer")
    parser.add_argument("file", type=Path)
    parser.add_argument("--loop", action="store_true")
    given = parser.parse_args(arguments)
    try:
        capture = read_capture(given.file)
        targets = targets_of(capture)
        wires = _wires(capture, targets)
    except (OpenVolumeError, OSError) as error:
        _say(Said(problem=str(error)))
        return 2
    _say(Said(senders=[wire.sender() for wire in wires]))
    clock = SystemClock()
    clock.sleep_until(clock.now_ns() + QUIET_NS)
    waiting = iter(wires)

    def wire(_protocol: str, _target: str) -> Wire:
        return next(waiting)

    replay(capture, targets=targets, loop=given.loop, clock=clock, wire=wire)
    return 0


def _wires(capture: Capture, targets: dict[int, str]) -> list[UdpWire]:
    """A socket for each sender, in the order they first speak, as `replay` asks for them."""
    senders = dict.fromkeys((datagram.link, datagram.host, datagram.port) for datagram in capture.datagrams)
    return [UdpWire(targets[link]) for link, _, _ in senders]


def _say(said: Said) -> None:
    sys.stdout.write(msgspec.json.encode(said).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
