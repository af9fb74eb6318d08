"""The service's process: `python -P -m controller.processes.service RUN_DIR --fd N`. HTTP, WebSocket, OSC; no GL.

It is the only writer of the show's state. Its listening socket is inherited, so that it outlives restarts.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import os
import resource
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from controller.access.certificates import certificates, machine_names, tls_folder, utc
from controller.api.app import create_app
from controller.api.control import Control
from controller.api.serving import server_config
from controller.api.surface_inputs import surfaces_of
from controller.nmos.config import NmosConfig
from controller.processes import EVERYDAY
from controller.rundir import RunDir, replace_file
from runtime.clock import NS_PER_S, SystemClock
from runtime.log import set_up_logging
from runtime.rights import be_prompt, be_urgent
from runtime.role import BEAT_NS, Beat, EndSignal
from stage.errors import OpenVolumeError

log = logging.getLogger(__name__)

RENEW_NS = 6 * 3600 * NS_PER_S
"""How often the certificate is looked at."""
FILES = 8192
SWITCH_S = 0.0005
"""Threads that encode pictures or compile a stage give the loop its turn at least this often."""


async def serve(
    run: RunDir, listener: socket.socket, *, state: Path | None, end: EndSignal, secured: bool = False
) -> None:
    """Serve until the process is to end. secured : https, by this machine's own certificate."""
    clock = SystemClock()
    beat = Beat(run.path, "service")
    control = Control(run, clock=clock, state=state)
    names = machine_names(*control.desk.loaded.config.control.http.names)
    tls = certificates(tls_folder(), names, now=utc(clock.tai_ns())) if secured else None
    server = _Server(server_config(create_app(control), tls=tls))

    async def until_asked() -> None:
        frozen, renew_ns = False, clock.now_ns() + RENEW_NS
        while not end.asked and not server.should_exit:
            if server.started:
                # As in every process: no heartbeat before it has started. On a busy machine that takes longer than a
                # service that runs may be silent.
                beat.touch(clock.now_ns())
            if tls is not None and clock.now_ns() >= renew_ns:
                renew_ns = clock.now_ns() + RENEW_NS
                await asyncio.to_thread(_renew, server, names, clock.tai_ns())
            if server.started and not frozen:
                # What is there now stays: collections, which hold the loop, need not look at it again.
                gc.collect()
                gc.freeze()
                gc.set_threshold(*EVERYDAY)
                frozen = True
            await asyncio.sleep(BEAT_NS / NS_PER_S)
        server.should_exit = True

    ending = asyncio.create_task(until_asked())
    try:
        control_config = control.desk.loaded.config.control
        async with surfaces_of(control, control_config) as osc_port, nmos_of(control, control_config.nmos):
            host, port = listener.getsockname()[:2]
            told = {"host": host, "port": port, "tls": secured, "osc_port": osc_port, "pid": os.getpid()}
            replace_file(run.local_key, control.doorman.local_key.encode(), mode=0o600)
            replace_file(run.service_address, json.dumps(told).encode())
            await server.serve(sockets=[listener])
    finally:
        server.should_exit = True
        await ending
        beat.close()


def nmos_of(control: Control, config: NmosConfig | None) -> contextlib.AbstractAsyncContextManager[object]:
    """NMOS as configured."""
    if config is None:
        return contextlib.nullcontext()
    from controller.nmos.service import nmos

    return nmos(control, config)


def _renew(server: uvicorn.Server, names: Sequence[str], tai_ns: int) -> None:
    """Have the certificate made anew if its time has come: whoever connects from now on sees the new one."""
    try:
        tls = certificates(tls_folder(), names, now=utc(tai_ns))
        if server.config.ssl is not None:
            server.config.ssl.load_cert_chain(tls.leaf, tls.key)
    except (OpenVolumeError, OSError):
        log.exception("the certificate cannot be renewed")


class _Server(uvicorn.Server):
    """Without uvicorn's signal handlers: the supervisor ends it, and Ctrl-C is not meant for it."""

    def capture_signals(self) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]
        return contextlib.nullcontext()


def _more_files() -> None:
    """Connections are files, and so is much else: as many as the machine lets a process have, within reason."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(hard, FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the service until it is asked to end. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="service")
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--fd", type=int, required=True, help="the listening socket, inherited")
    parser.add_argument("--state", type=Path, help="folder of the show's database; default: by the show's name")
    parser.add_argument("--tls", action="store_true", help="speak https")
    parser.add_argument("--urgent", action="store_true", help="as nice as any, once its Python is read")
    given = parser.parse_args(arguments)
    run = RunDir(given.run_dir)
    set_up_logging("service", run.run)
    sys.setswitchinterval(SWITCH_S)
    if given.urgent:
        be_urgent(0)
    be_prompt()
    _more_files()
    listener = socket.socket(fileno=given.fd)
    listener.setblocking(False)
    try:
        import uvloop

        with EndSignal() as end, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(run, listener, state=given.state, end=end, secured=given.tls))
    except OpenVolumeError as error:
        for problem in error.problems:
            log.error("%s", problem)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
