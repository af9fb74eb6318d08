"""The simulated trackers of `openvolume run --simulate`: `python -P -m controller.processes.simulator RUN_DIR`.

One sender for every source of the running configuration, in the source's own protocol, through real sockets.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

from controller.config import OpenVolumeConfig
from controller.rundir import RunDir
from controller.show import decode_snapshot
from controller.snapshots import running_config
from runtime.clock import NS_PER_S, Clock, SystemClock
from runtime.config import LtcConfig
from runtime.log import set_up_logging
from runtime.references.inputs import address_of
from runtime.references.player import TimecodePlayer, sink_to
from runtime.rights import be_urgent
from runtime.role import run_role
from stage.rate import Rate
from stage.timecode import LabelParts, frame_of_parts, label_rate
from tracking.config import Source, TrackingConfig
from tracking.encoders import encoder
from tracking.moves import move
from tracking.pulls import lens
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
    # A lens that speaks for itself pulls focus.
    pulls = lens("prime", seed) if source.protocol == "cooke" else None
    return Sender(move(name, seed).pose, encode, wire, clock, SAMPLE_RATE, lens=pulls, unix_time=unix_time)


def simulated_timecode(config: OpenVolumeConfig, clock: Clock) -> TimecodePlayer | None:
    """A time code of hour 10 that goes where the configuration listens; None when it does not, or to a sound card."""
    source = config.time.timecode
    if config.time.reference != "timecode" or source is None or getattr(source, "device", None) is not None:
        return None
    rate = label_rate(config.rate, source.labels_per_s)
    drop = config.time.drop_frame
    first = frame_of_parts(rate, LabelParts(10, 0, 0, 0), drop_frame=drop)
    sample_rate = source.sample_rate if isinstance(source, LtcConfig) else 48000
    sink = sink_to(address_of(source).replace("0.0.0.0", "127.0.0.1"))  # noqa: S104
    return TimecodePlayer(source.type, rate, clock, sink, first=first, sample_rate=sample_rate, drop_frame=drop)


class Simulator:
    """Role. Sends a hand-held camera to every source, and a time code where one is listened to."""

    def __init__(self, *, run: RunDir, clock: Clock) -> None:
        self._run, self._clock = run, clock
        self._wires: list[Wire] = []
        self._senders: list[Sender] = []
        self._timecode: TimecodePlayer | None = None

    def start(self) -> None:
        """Open a wire to every source."""
        snapshot = decode_snapshot(self._run.snapshot(self._run.current_version()).read_bytes())
        config = running_config(snapshot)
        for seed, name in enumerate(config.tracking.sources):
            source = simulated_source(config.tracking, name)
            if source.serial_line is not None:
                continue  # nobody is at the other end of a line
            wire = open_wire(source.protocol, target_of(source), interface=source.interface)
            self._wires.append(wire)
            self._senders.append(simulated_sender(source, self._clock, wire=wire, seed=seed))

        self._timecode = simulated_timecode(config, self._clock)

    def step(self, now_ns: int) -> int:
        """Send what is due."""
        due_ns = [sender.step(now_ns) for sender in self._senders]
        if self._timecode is not None:
            due_ns.append(self._timecode.step(now_ns))
        return min(due_ns, default=now_ns + _LOOK_AGAIN_NS)

    def stop(self) -> None:
        """Close the wires."""
        if self._timecode is not None:
            self._timecode.stop()
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
    parser.add_argument("--urgent", action="store_true", help="as nice as any, once its Python is read")
    given = parser.parse_args(arguments)
    if given.urgent:
        be_urgent(0)
    run = RunDir(given.run_dir)
    set_up_logging("simulator", run.run)
    clock = SystemClock()
    return run_role(Simulator(run=run, clock=clock), name="simulator", run_dir=run.path, clock=clock)


if __name__ == "__main__":
    sys.exit(main())
