"""One conductor alone, in a process of its own, for benchmarks: a run directory, the child, its rings, free ports."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from controller.beginning import fresh_show
from controller.config import LoadedConfig, compile_config
from controller.rundir import RunDir
from controller.show import Snapshot, encode_snapshot
from runtime.ring import RingReader
from runtime.role import die_with_parent
from stage.compiled import encode_stage

PATIENCE_S = 20.0


@contextmanager
def run_dir(loaded: LoadedConfig) -> Iterator[RunDir]:
    """A run directory with the first version of a configuration in it."""
    stage = compile_config(loaded)
    path = Path(tempfile.mkdtemp(prefix="openvolume-bench-", dir="/dev/shm"))
    try:
        directory = RunDir(path)
        show = fresh_show(loaded.config, stage)
        snapshot = Snapshot(show, loaded.source, str(loaded.base_dir), encode_stage(stage))
        directory.write_snapshot(show.version, encode_snapshot(snapshot))
        directory.set_current_version(show.version)
        yield directory
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def process(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A child whose stdout can be read; it is ended at the end."""
    child = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - the bench must leave nothing behind
    )
    try:
        yield child
    finally:
        child.terminate()
        child.wait()
        if child.stdout is not None:
            child.stdout.close()


def opened(attempt: Any, child: subprocess.Popen[str]) -> RingReader:
    """What `attempt` opens, once something is in it. Raises RuntimeError: nothing is, or the child has ended."""
    until_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < until_s:
        reader: RingReader | None = attempt()
        if reader is not None and reader.latest_n:
            return reader
        rest(0.02, child)
    raise RuntimeError("the conductor publishes nothing")


def rest(seconds: float, child: subprocess.Popen[str]) -> None:
    """Let time pass. Raises RuntimeError: the child has ended meanwhile."""
    time.sleep(seconds)
    if child.poll() is not None:
        raise RuntimeError(f"the conductor has ended with {child.returncode}")


def free_ports(count: int) -> list[int]:
    """UDP ports of the loopback that nothing listens on."""
    with ExitStack() as held:
        ports: list[int] = []
        for _ in range(count):
            probe = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
        return ports
