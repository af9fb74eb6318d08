"""Processes of a real timing run: `python -P -m controller.timing.child show|tracker SPEC.json`.

`show` becomes `openvolume run` of a configuration that exists only as text. `tracker` follows a simulated camera for
every source through real sockets, and does to its datagrams what it is told on its standard input, one JSON line each:
`{"begin_ns", "end_ns", "faults": [names], "seed"}`. It answers with one line when it begins: `{"t0_ns"}`.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from runtime.clock import NS_PER_S, SystemClock
from runtime.role import EndSignal, die_with_parent

OTHERS_NS: Final = NS_PER_S // 20
WIRE_HOST: Final = "127.0.0.1"


def show(spec: dict[str, Any]) -> int:
    """Become the show; never returns when it could start."""
    from controller.config import load_config_text
    from controller.run import run_loaded

    loaded = load_config_text(spec["config"], base_dir=Path(spec["base_dir"]))
    run_loaded(loaded, port=0, report=Path(spec["report"]), fresh=True)


class Wires:
    """Sockets that datagrams leave by: the true sender's, and one for each address that claims to be another."""

    def __init__(self, source: Any) -> None:
        from controller.processes.simulator import target_of
        from tracking.sender import open_wire

        self._target = target_of(source)
        self._wire = open_wire(source.protocol, self._target)
        self._others: dict[tuple[str, int], socket.socket] = {}

    def deliver(self, item: Any) -> None:
        """Send one datagram, from the address it says."""
        if not item.host or "://" in self._target:
            self._wire.send(item.data)
            return
        key = (item.host, item.port)
        sender = self._others.get(key)
        if sender is None:
            sender = self._others[key] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            # All of 127.0.0.0/8 is this machine: a stranger's address costs nothing.
            sender.bind((item.host, 0))
        host, _, port = self._target.rpartition(":")
        with contextlib.suppress(OSError):
            sender.sendto(item.data, (host, int(port)))

    def close(self) -> None:
        """Let them go."""
        self._wire.close()
        for sender in self._others.values():
            sender.close()


def tracker(spec: dict[str, Any]) -> int:
    """Send until standard input closes."""
    from controller.config import compile_config, load_config_text
    from controller.timing.motion import Noise, SimulatedTracker, Spell, TrueCamera
    from stage.rate import Rate
    from tracking.faults import Faults

    loaded = load_config_text(spec["config"], base_dir=Path(spec["base_dir"]))
    stage = compile_config(loaded)
    clock = SystemClock()
    t0_ns = clock.now_ns()
    wires: list[Wires] = []
    trackers: list[SimulatedTracker] = []
    for number, (name, source) in enumerate(loaded.config.tracking.sources.items()):
        true = TrueCamera(stage.cameras[source.camera], spec["move"], spec["seed"] + number)
        true.t0_ns = t0_ns
        wires.append(Wires(source))
        trackers.append(
            SimulatedTracker(
                name, source, true, clock, wires[-1].deliver, samples=Rate(*spec["samples"]),
                protocol=spec["protocol"], noise=Noise(spec["seed"] + number),
            )
        )  # fmt: skip
    sys.stdout.write(json.dumps({"t0_ns": t0_ns}) + "\n")
    sys.stdout.flush()

    def told(line: str) -> None:
        order = json.loads(line)
        faults = Faults.of(order["faults"], order["seed"])
        trackers[0].spells.append(Spell(order["begin_ns"], order["end_ns"], faults))

    try:
        with EndSignal() as end:
            _loop(clock, trackers, end, told)
    finally:
        for wire in wires:
            wire.close()
    return 0


def _loop(clock: SystemClock, trackers: Sequence[Any], end: EndSignal, told: Callable[[str], None]) -> None:
    fd = sys.stdin.fileno()
    os.set_blocking(fd, False)
    waiting = b""
    while not end.asked:
        now_ns = clock.now_ns()
        due_ns = min((role.step(now_ns) for role in trackers), default=now_ns + OTHERS_NS)
        left_ns = due_ns - clock.now_ns()
        readable, _, _ = select.select([fd, end.fileno()], [], [], max(0, min(left_ns, OTHERS_NS)) / NS_PER_S)
        if fd not in readable:
            continue
        data = os.read(fd, 1 << 16)
        if not data:
            return
        *lines, waiting = (waiting + data).split(b"\n")
        for line in lines:
            told(line.decode())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of them."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    spec = json.loads(Path(given[1]).read_text())
    if given[0] == "show":
        return show(spec)
    die_with_parent()
    return tracker(spec)


if __name__ == "__main__":
    sys.exit(main())
