"""`openvolume run CONFIG`: check everything, begin the show, and become its supervisor (same pid).

Whatever can be refused is refused before any process starts: a bad file, a port that is taken, a report that cannot
be written.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from pathlib import Path
from typing import NoReturn

from controller.access.certificates import certificates, fingerprint, machine_names, tls_folder, utc
from controller.access.setup import set_up_words
from controller.access.store import AccessStore, access_folder
from controller.beginning import begin_show, write_first_snapshot
from controller.config import (
    LoadedConfig,
    OpenVolumeConfig,
    compile_config,
    is_loopback,
    load_config,
    nodes_of,
    speaks_tls,
)
from controller.errors import ControllerError
from controller.ledger_file import FOLDER as LEDGER_FOLDER
from controller.processes.run_spec import HeartbeatSpec, RestartSpec, RoleSpec, RunSpec, become_supervisor
from controller.rundir import RunDir
from controller.store import Store, state_folder
from controller.tracking_recorder import recording_path, start_recording
from runtime.clock import SystemClock
from runtime.rights import NICENESS, be_urgent, other_cpus
from stage.errors import ConfigError, Problem
from tracking.inputs import TrackingInputs

SOFTWARE_GL = {"LP_NUM_THREADS": "0"}
"""llvmpipe draws on the calling thread: its raster threads touch fences that are freed (docs/decisions/009)."""
STANDING_BACK = 3
"""Niceness of those that read their Python beside the first picture: behind it, and not last on a busy machine."""
HANG_S = 2.0
START_S = 60.0


class PortError(ControllerError):
    """An address of the page or of OSC control that cannot be listened on."""

    code = "controller.port"


class ReportError(ControllerError):
    """The report cannot be written where it was asked for."""

    code = "controller.report"


def run_command(
    config: str,
    *,
    port: int | None = None,
    simulate: bool = False,
    frames: int | None = None,
    report: Path | None = None,
    fresh: bool = False,
    record: Path | None = None,
    last_good: bool = False,
) -> int:
    """Start the show; returns only by becoming the supervisor. record : file tracking is recorded into; last_good : not
    the file as it is, but the configuration that ran last from it.

    Raises
    ------
    ConfigError, PortError, ListenError, ReportError, RecordingError, StoreError, CertificateError
    """
    if last_good:
        from controller.last_good import last_good as found

        loaded = found(config)
    else:
        try:
            loaded = load_config(config)
        except ConfigError as error:
            from controller.last_good import hint

            raise ConfigError(*error.problems, *hint(config)) from error
    return run_loaded(loaded, port=port, simulate=simulate, frames=frames, report=report, fresh=fresh, record=record)


def run_loaded(
    loaded: LoadedConfig,
    *,
    port: int | None = None,
    simulate: bool = False,
    frames: int | None = None,
    report: Path | None = None,
    fresh: bool = False,
    record: Path | None = None,
) -> NoReturn:
    """As `run_command`, for a configuration that was read already."""
    stage = compile_config(loaded)
    if report is not None:
        report = _writable(report)
    if record is not None:
        record = recording_path(record)
    store = Store(state_folder(loaded.name))
    clock = SystemClock()
    beginning = begin_show(loaded, stage, store, t_tai_ns=clock.tai_ns(), fresh=fresh)
    store.close()
    running = beginning.loaded.config
    users = AccessStore(access_folder())
    asked_host = running.control.http.host
    # Until somebody answers for it, the network is kept out.
    shut = not users.is_set_up and not is_loopback(asked_host)
    http_host = "127.0.0.1" if shut else asked_host
    secured = speaks_tls(running.control.http, http_host)
    if secured:
        # What cannot be secured does not start: nothing is sent in the clear that was not asked for.
        certificates(tls_folder(), machine_names(asked_host, *running.control.http.names), now=utc(clock.tai_ns()))
    listener = listen(http_host, running.control.http.port if port is None else port)
    check_inputs(running)
    run = RunDir.create(f"{running.name}-{os.getpid()}")
    write_first_snapshot(run, beginning)
    if record is not None:
        start_recording(run, record)
    host, bound = listener.getsockname()[:2]
    sys.stdout.write(f"{beginning.said}\n")
    sys.stdout.write(f"{loaded.name}: {'https' if secured else 'http'}://{_shown(host)}:{bound}/  (run {run.run})\n")
    if secured:
        told = fingerprint((tls_folder() / "ca.pem").read_bytes())
        sys.stdout.write(f"certificate by this machine's own authority: SHA-256 {told} (openvolume access ca)\n")
    elif not is_loopback(http_host):
        sys.stdout.write("in the clear (control/http/tls: false): passwords and keys cross the network as they are\n")
    if shut:
        sys.stdout.write(f"not on {asked_host} before there is an administrator: start again then\n")
    sys.stdout.write(set_up_words(users))
    users.close()
    spec = run_spec(
        run, loaded=beginning.loaded, listener=listener, simulate=simulate, frames=frames, report=report,
        record=record is not None, secured=secured,
    )  # fmt: skip
    become_supervisor(spec)


def run_spec(
    run: RunDir,
    *,
    loaded: LoadedConfig,
    listener: socket.socket,
    simulate: bool = False,
    frames: int | None = None,
    report: Path | None = None,
    record: bool = False,
    secured: bool = False,
) -> RunSpec:
    """The processes of a run; they end in the opposite order. record : tracking is recorded from the beginning;
    secured : the API speaks https."""
    nodes = nodes_of(loaded.config)
    conductor = ["--nodes", ",".join(nodes)]
    if frames is not None:
        conductor += ["--frames", str(frames)]
    if report is not None:
        conductor += ["--report", str(report)]
    fd = listener.fileno()
    # What tells of the others begins when there is something to tell; the rest starts together, so that reading
    # Python is over when the first picture is drawn.
    walls = ("conductor", *(f"node-{node}" for node in nodes))
    node_nice = _node_niceness()
    # What must answer while a real-time node draws keeps off its processor.
    quick = other_cpus() if node_nice else ()
    # Until they have read their Python, they stand back behind those that make the first picture.
    urgent = ("--urgent",) if node_nice else ()
    # First here, so that they end last: they tell of all the others.
    roles = [_role(run, "metronome", after=walls)]
    ledger = loaded.config.control.ledger
    if ledger is not None or record:
        where = str(state_folder(loaded.name) / LEDGER_FOLDER)
        keep_mb = 0.0 if ledger is None else ledger.keep_mb
        told = ("--folder", where, "--keep-mb", f"{keep_mb:g}", "--show", loaded.name)
        after = () if record else walls
        roles.append(_role(run, "recorder", *told, cpus=quick, nice=8, after=after, hang_s=30.0))
    roles += [
        # Its plans are as much on the way to the walls as the node's pictures, from its first import on.
        _role(run, "conductor", *conductor, nice=node_nice, ends_run=frames is not None),
        # A counted run that cannot draw would never end: then the node's failure is the run's.
        *(
            _role(run, "node", node, beat=f"node-{node}", env=SOFTWARE_GL, nice=node_nice, critical=frames is not None)
            for node in nodes
        ),
        # Where they share few cores the picture goes before requests: by its own rights, or as others stand back.
        _role(
            run, "service", "--fd", str(fd), *(["--tls"] if secured else []), *urgent,
            pass_fds=(fd,), cpus=quick, nice=STANDING_BACK if node_nice else 8,
        ),
        _role(run, "darkroom", env=SOFTWARE_GL, nice=10, hang_s=30.0),
        _role(run, "relay", cpus=quick, after=walls, hang_s=30.0),
        _role(run, "capture", cpus=quick, nice=15, after=walls, hang_s=60.0),
        _role(run, "capture", "--draw", beat="drawer", env=SOFTWARE_GL, nice=15, after=walls, hang_s=60.0),
        _role(run, "processors", cpus=quick, nice=8, after=walls, hang_s=30.0),
        _role(run, "windows", env=SOFTWARE_GL, after=walls),
        _role(run, "librarian", nice=19, after=walls, hang_s=60.0),
        _role(run, "sender", cpus=quick, after=walls),
    ]  # fmt: skip
    if simulate and loaded.config.tracking.sources:
        roles.append(_role(run, "simulator", *urgent, cpus=quick, nice=STANDING_BACK if node_nice else 0))
    return RunSpec(run.run, str(run.path), tuple(roles))


def _role(
    run: RunDir,
    module: str,
    *arguments: str,
    beat: str | None = None,
    env: dict[str, str] | None = None,
    ends_run: bool = False,
    critical: bool = False,
    pass_fds: tuple[int, ...] = (),
    nice: int = 0,
    cpus: tuple[int, ...] = (),
    hang_s: float = HANG_S,
    after: tuple[str, ...] = (),
) -> RoleSpec:
    name = beat or module
    argv = (sys.executable, "-P", "-m", f"controller.processes.{module}", str(run.path), *arguments)
    return RoleSpec(
        name=name,
        argv=argv,
        env=env or {},
        heartbeat=HeartbeatSpec(f"{name}.beat", timeout_s=hang_s, start_timeout_s=START_S),
        restart=RestartSpec(when="failure" if ends_run else "always"),
        ends_run=ends_run,
        critical=critical,
        pass_fds=pass_fds,
        nice=nice,
        cpus=cpus,
        after=after,
    )


def _node_niceness() -> int:
    """The niceness a node may start with: it is on the way to the walls from its first import on."""
    found: list[int] = []
    # On a thread of its own: this process, which becomes the supervisor, stays as it is.
    thread = threading.Thread(target=lambda: found.append(be_urgent(NICENESS)))
    thread.start()
    thread.join()
    return NICENESS if found == [NICENESS] else 0


def listen(host: str, port: int) -> socket.socket:
    """The listening socket of the page: it outlives restarts of the service. Port 0 takes a free one.

    Raises
    ------
    PortError : in use, or not an address of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        problem = Problem(
            PortError.code, "control/http/host", f"not an address: {error.strerror}", host, "use 127.0.0.1"
        )
        raise PortError(problem) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        owner = port_owner(port)
        detail = f"{host}:{port}: {error.strerror}" + (f" (held by {owner})" if owner else "")
        mend = "end that program, or give another port (--port 0 takes a free one)"
        raise PortError(Problem(PortError.code, "control/http/port", detail, port, mend)) from error
    return listener


def check_inputs(config: OpenVolumeConfig) -> None:
    """Open every port the show will listen on, and let it go again: what is taken is told before anything starts.

    Raises
    ------
    ListenError : a tracking source's. PortError : OSC control's.
    """
    inputs = TrackingInputs(config.tracking, SystemClock())
    inputs.open()
    inputs.close()
    osc = config.control.osc
    if osc is None or osc.port == 0:
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((osc.host, osc.port))
        except OSError as error:
            detail = f"{osc.host}:{osc.port}: {error.strerror}"
            mend = "end the program that has it, give another port, or `osc: null`"
            raise PortError(Problem(PortError.code, "control/osc/port", detail, osc.port, mend)) from error


def port_owner(port: int) -> str:
    """Name and pid of the process that listens on a TCP port of this machine; "" when it cannot be told."""
    inodes: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(os.readlink(fd) in inodes for fd in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()}, pid {process.name}"
        except OSError:
            continue
    return ""


def _shown(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host  # noqa: S104


def _writable(report: Path) -> Path:
    path = report.absolute()
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        what = "is a folder" if path.is_dir() else "its folder is not there or cannot be written"
        raise ReportError(Problem(ReportError.code, "--report", what, str(report), "name a file in a folder of yours"))
    return path
