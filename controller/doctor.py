"""`openvolume doctor tracking`: listens, or reads what was recorded, and says what is wrong with a tracker."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

import msgspec

from controller.errors import ControllerError
from controller.listening_in import ShowReceiver, heard_by_shows, show_receiver
from runtime.clock import NS_PER_S, Clock, SystemClock
from runtime.config import udp_address
from stage.errors import Problem

if TYPE_CHECKING:
    from tracking.doctor.findings import Report
    from tracking.doctor.heard import Heard
    from tracking.receivers import Arrival, Receiver

EXIT_FINDINGS: Final = 1
FREED_RATE: Final = "@38400"
MAX_SECONDS: Final = 3600.0
MAX_DATAGRAMS: Final = 2_000_000
"""Kept of each address: a flood must not fill the memory."""


class DoctorError(ControllerError):
    """Something the doctor cannot examine."""

    code = "controller.doctor"


def doctor_command(
    what: str,
    *,
    listen: Sequence[str] = (),
    files: Sequence[Path] = (),
    seconds_s: float = 5.0,
    cameras: Sequence[str] = (),
    save: Path | None = None,
    as_json: bool = False,
    guide: bool = False,
    clock: Clock | None = None,
    out: TextIO | None = None,
    keys: TextIO | None = None,
) -> int:
    """Examine a tracker, print what was found; 0 healthy, 1 something matters.

    guide: the guided check, with prompts and Enter; of a file its recorded steps. keys: where Enter is pressed.

    Raises
    ------
    OpenVolumeError : an address, a file or a number that cannot be used.
    """
    from tracking.doctor.diagnose import diagnose
    from tracking.doctor.heard import heard_from_file

    if what != "tracking":
        raise _error("what", "there is no doctor for this", what, "use tracking")
    if not 0.1 <= seconds_s <= MAX_SECONDS:
        raise _error("seconds", "not a time to listen for", seconds_s, "use 0.1 to 3600")
    if files and listen:
        raise _error("file", "files and addresses cannot be examined at once", None, "give either --file or --listen")
    write = (out or sys.stdout).write
    if guide:
        return _guided(listen, files, clock or SystemClock(), cameras, save, as_json, write, keys or sys.stdin)
    heard: list[Heard] = []
    if files:
        for path in files:
            heard += heard_from_file(path)
    else:
        heard = _listen(listen, seconds_s, clock or SystemClock(), None if as_json else write)
    if save is not None:
        _save(save, heard)
    return _told(diagnose(heard, cameras=cameras), as_json, write)


def _guided(
    listen: Sequence[str],
    files: Sequence[Path],
    clock: Clock,
    cameras: Sequence[str],
    save: Path | None,
    as_json: bool,
    write: Callable[[str], object],
    keys: TextIO,
) -> int:
    """The guided check, live or recorded."""
    from tracking.doctor.guided_check import guided_report
    from tracking.doctor.heard import steps_from_file, take_line
    from tracking.doctor.words import guided_told

    if len(files) > 1 or len(listen) > 1 or not (files or listen):
        raise _error("guided", "needs one address or one file", None, "give --listen HOST:PORT of the tracker")
    address, interface = "", ""
    if files:
        steps = steps_from_file(files[0])
    else:
        address, interface = address_parts(listen[0])
        receiver = _open(address, interface, clock)
        try:
            steps = _walk_through(receiver, clock, write if not as_json else sys.stderr.write, keys)
        finally:
            receiver.close()
        if save is not None:
            first_ns = min((came[0].t_received_ns for came in steps.values() if came), default=0)
            _write(save, [take_line(arrival, first_ns, step) for step, came in steps.items() for arrival in came])
    report = guided_report(steps, listen=address, interface=interface, cameras=cameras)
    if as_json:
        write(msgspec.json.format(msgspec.json.encode(report)).decode() + "\n")
    else:
        write(guided_told(report))
    return EXIT_FINDINGS if report.faults else 0


def _walk_through(
    receiver: Receiver, clock: Clock, write: Callable[[str], object], keys: TextIO
) -> dict[str, list[Arrival]]:
    """What arrives during each step; Enter begins and ends one."""
    from tracking.doctor.guided import PROMPTS, STEPS

    write("Seven moves tell which axes and signs are right. Enter begins each of them, and ends it.\n\n")
    steps: dict[str, list[Arrival]] = {}
    for number, step in enumerate(STEPS, 1):
        write(f"{number} of {len(STEPS)}  {PROMPTS[step]}\n    Back to straight ahead, then Enter ... ")
        _enter(receiver, clock, keys)
        write("    Now; Enter when it holds ... ")
        (steps[step],) = gather([receiver], clock, int(MAX_SECONDS * NS_PER_S), until=lambda: _pressed(keys))
        write(f"    {len(steps[step])} datagrams\n\n")
    return steps


def _enter(receiver: Receiver, clock: Clock, keys: TextIO) -> None:
    """Wait for Enter; what arrives meanwhile is let go."""
    gather([receiver], clock, int(MAX_SECONDS * NS_PER_S), until=lambda: _pressed(keys))


def _pressed(keys: TextIO) -> bool:
    # Byte by byte: what a text file has read ahead, select no longer sees.
    while select.select([keys], [], [], 0.0)[0]:
        byte = os.read(keys.fileno(), 1)
        if not byte:
            raise _error("guided", "nobody presses Enter here", None, "start it in a terminal, or give --file")
        if byte == b"\n":
            return True
    return False


def _told(report: Report, as_json: bool, write: Callable[[str], object]) -> int:
    from tracking.doctor.words import told

    if as_json:
        write(msgspec.json.format(msgspec.json.encode(report)).decode() + "\n")
    else:
        write(told(report))
    return EXIT_FINDINGS if report.faults else 0


# --- listening ----------------------------------------------------------------------------------------------------


def address_parts(text: str) -> tuple[str, str]:
    """Address and interface of `HOST:PORT`, `udp://GROUP:PORT@INTERFACE`, a ZeroMQ endpoint or a serial line.

    Raises
    ------
    DoctorError : it is none of these.
    """
    if text.startswith(("tcp://", "ipc://")):
        return text, ""
    if text.startswith("serial:"):
        from tracking.config import SerialLine

        try:
            SerialLine.of(text, "cooke")
        except ValueError as error:
            raise _error("listen", str(error), text, "give serial:/dev/ttyUSB0, or with @RATE") from error
        return text, ""
    address, _, interface = text.removeprefix("udp://").partition("@")
    try:
        udp_address(address)
        if interface:
            udp_address(f"{interface}:0")
    except ValueError as error:
        raise _error("listen", str(error), text, "give HOST:PORT, or GROUP:PORT@ADDRESS-OF-AN-INTERFACE") from error
    return address, interface


def usual_addresses() -> list[str]:
    """Where trackers usually send, when nobody says: every protocol's own port, and the makers' of FreeD."""
    from tracking.protocols import natnet, psn
    from tracking.protocols.freed_makers import MAKERS
    from tracking.sender import DEFAULT_PORTS

    ports = {port for name, port in DEFAULT_PORTS.items() if name not in ("zmq", "psn", "natnet")}
    ports |= {maker.port for maker in MAKERS.values()}
    groups = [f"{psn.GROUP}:{psn.PORT}", f"{natnet.GROUP}:{natnet.DATA_PORT}"]
    return [*groups, *(f"0.0.0.0:{port}" for port in sorted(ports))]


def _listen(
    listen: Sequence[str], seconds_s: float, clock: Clock, write: Callable[[str], object] | None
) -> list[Heard]:
    from tracking.doctor.heard import Heard
    from tracking.errors import ListenError

    wanted = [address_parts(text) for text in listen or usual_addresses()]
    receivers: list[tuple[str, str, Receiver]] = []
    try:
        for address, interface in wanted:
            # Of the usual addresses those that can be had are enough.
            with suppress(*() if listen else (ListenError,)):
                receivers.append((address, interface, _open(address, interface, clock)))
        if not listen:
            known = {receiver.address for _, _, receiver in receivers}
            shows = [address for address in heard_by_shows() if address not in known]
            receivers += [(address, "", ear) for address in shows if (ear := show_receiver(address)) is not None]
        if write is not None:
            names = ", ".join(_place(receiver) for _, _, receiver in receivers)
            write(f"Listening on {names} for {seconds_s:g} s. Let the tracker run; move the camera.\n\n")
        arrivals = gather([receiver for _, _, receiver in receivers], clock, int(seconds_s * NS_PER_S))
        if write is not None and any(isinstance(r, ShowReceiver) and r.missed for _, _, r in receivers):
            write("This machine is busy: not all of what the show received could be read. Loss is told too high.\n\n")
        tai_ns = clock.tai_ns() - clock.now_ns()
        heard = [
            Heard(receiver.address, came, interface, tai_ns)
            for (_, interface, receiver), came in zip(receivers, arrivals, strict=True)
        ]
    finally:
        for _, _, receiver in receivers:
            receiver.close()
    if listen:
        return heard
    return [one for one in heard if one.arrivals] or [Heard("any of the usual addresses", [])]


def _place(receiver: Receiver) -> str:
    """Where something is heard, in words."""
    return f"{receiver.address} (with the running show)" if isinstance(receiver, ShowReceiver) else receiver.address


def _open(address: str, interface: str, clock: Clock) -> Receiver:
    """A socket or line; where a running show of this machine has it, what that one hears."""
    from tracking.config import Source
    from tracking.errors import ListenError
    from tracking.receivers import UdpReceiver, ZmqReceiver

    if address.startswith("serial:"):
        from tracking.serial_receiver import SerialReceiver

        ear = show_receiver(address)
        if ear is not None:
            # Two readers of one line would take each other's bytes away.
            return ear
        # FreeD's own rate means FreeD's parity; else a lens is asked to speak.
        protocol = "freed" if address.endswith(FREED_RATE) else "cooke"
        line = SerialReceiver(
            "doctor", Source.model_validate({"protocol": protocol, "listen": address, "camera": "a"}), clock
        )
        if line.trouble:
            trouble = line.trouble
            line.close()
            raise _error("listen", trouble, address, "plug it in, or name another device")
        return line
    if "://" in address:
        source = Source.model_validate({"protocol": "zmq", "listen": address, "camera": "a"})
        return ZmqReceiver("doctor", source, clock)
    try:
        return UdpReceiver("doctor", address, clock, interface=interface, longest=65507)
    except ListenError:
        ear = show_receiver(address)
        if ear is None:
            raise
        return ear


def gather(
    receivers: Sequence[Receiver], clock: Clock, for_ns: int, *, until: Callable[[], bool] | None = None
) -> list[list[Arrival]]:
    """Everything that arrives within a time, or until `until` says so, by receiver."""
    out: list[list[Arrival]] = [[] for _ in receivers]
    end_ns = clock.now_ns() + for_ns
    while (now_ns := clock.now_ns()) < end_ns and not (until is not None and until()):
        # ZeroMQ wakes only once for many messages: everything is read each time round.
        select.select([r.fileno() for r in receivers], [], [], min(0.05, (end_ns - now_ns) / NS_PER_S))
        for receiver, came in zip(receivers, out, strict=True):
            arrivals = receiver.receive()
            if len(came) < MAX_DATAGRAMS:
                came += arrivals
    for receiver, came in zip(receivers, out, strict=True):
        came += receiver.receive()
    return out


def _save(path: Path, heard: Sequence[Heard]) -> None:
    from tracking.doctor.heard import take_line

    arrivals = sorted((a for one in heard for a in one.arrivals), key=lambda a: a.t_received_ns)
    _write(path, [take_line(arrival, arrivals[0].t_received_ns) for arrival in arrivals])


def _write(path: Path, lines: Sequence[str]) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.writelines(lines)
    except OSError as error:
        raise _error("save", f"cannot be written: {error.strerror}", str(path), "give a new name") from error


def _error(path: str, detail: str, value: object, mend: str) -> DoctorError:
    return DoctorError(Problem(DoctorError.code, path, detail, value, mend))
