"""The simulated trackers of `openvolume run --simulate`: `python -P -m controller.processes.simulator RUN_DIR`.

One sender for every source of the running configuration, in the source's own protocol, through real sockets.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

from controller.rundir import RunDir
from controller.show import decode_snapshot
from controller.snapshots import running_config
from runtime.clock import NS_PER_S, Clock, SystemClock
from runtime.log import set_up_logging
from runtime.role import run_role
from stage.rate import Rate
from tracking.config import Source, TrackingConfig
from tracking.encoders import encoder
from tracking.moves import move
from tracking.sender import Sender, Wire, open_wire

MOVE = "handheld"
SAMPLE_RATE = Rate(120)
_LOOK_AGAIN_NS = NS_PER_S


def simulated_sender(source: Source, clock: Clock, *, wire: Wire, name: str = MOVE, seed: int = 0) -> Sender:
    """A sender that speaks what `source` listens to."""
    encode = encoder(
        "vmc_performer" if source.protocol == "vmc" else source.protocol,
        camera=source.camera_name or source.camera,
        rate=SAMPLE_RATE,
        camera_id=1 if source.camera_id is None else source.camera_id,
        source_number=source.source_number or 1,
        source=source,
    )
    unix_time = source.protocol != "opentrackio"
    return Sender(move(name, seed).pose, encode, wire, clock, SAMPLE_RATE, unix_time=unix_time)


class Simulator:
    """Role. Sends a hand-held camera to every source."""

    def __init__(self, *, run: RunDir, clock: Clock) -> None:
        self._run, self._clock = run, clock
        self._wires: list[Wire] = []
        self._senders: list[Sender] = []

    def start(self) -> None:
        """Open a wire to every source."""
        snapshot = decode_snapshot(self._run.snapshot(self._run.current_version()).read_bytes())
        config = running_config(snapshot)
        for seed, name in enumerate(config.tracking.sources):
            source = simulated_source(config.tracking, name)
            wire = open_wire(source.protocol, target_of(source), interface=source.interface)
            self._wires.append(wire)
            self._senders.append(simulated_sender(source, self._clock, wire=wire, seed=seed))

    def step(self, now_ns: int) -> int:
        """Send what is due."""
        return min((sender.step(now_ns) for sender in self._senders), default=now_ns + _LOOK_AGAIN_NS)

    def stop(self) -> None:
        """Close the wires."""
        for wire in self._wires:
            with contextlib.suppress(OSError):
                wire.close()


def simulated_source(tracking: TrackingConfig, name: str) -> Source:
    """A source as its simulated tracker sees it: one that moves no camera moves the first subject that follows it."""
    source = tracking.sources[name]
    if source.camera:
        return source
    subject, told = next((s, told) for s, told in tracking.subjects.items() if told.source == name)
    return source.model_copy(update={"camera_name": told.body or subject, "body": told.body})


def target_of(source: Source) -> str:
    """Where a program on this machine sends so that a source receives it."""
    if source.protocol != "zmq":
        return source.listen.replace("0.0.0.0", "127.0.0.1")  # noqa: S104
    endpoint = source.listen.replace("*", "127.0.0.1")
    return f"push+{endpoint}" if source.zmq.mode == "pull" else endpoint


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the role until it is asked to end."""
    parser = argparse.ArgumentParser(prog="simulator")
    parser.add_argument("run_dir", type=Path)
    given = parser.parse_args(arguments)
    run = RunDir(given.run_dir)
    set_up_logging("simulator", run.run)
    clock = SystemClock()
    return run_role(Simulator(run=run, clock=clock), name="simulator", run_dir=run.path, clock=clock)


if __name__ == "__main__":
    sys.exit(main())
