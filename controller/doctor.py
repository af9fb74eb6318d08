"""`openvolume doctor tracking`: listens, or reads what was recorded, and says what is wrong with a tracker."""

from __future__ import annotations

import select
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

import msgspec

from controller.errors import ControllerError
from runtime.clock import NS_PER_S, Clock, SystemClock
from runtime.config import udp_address
from stage.errors import Problem

if TYPE_CHECKING:
    from tracking.doctor.findings import Report
    from tracking.doctor.heard import Heard
    from tracking.receivers import Arrival, Receiver

EXIT_FINDINGS: Final = 1
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
    clock: Clock | None = None,
    out: TextIO | None = None,
) -> int:
    """Examine a tracker, print what was found; 0 healthy, 1 something matters.

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
    heard: list[Heard] = []
    if files:
        for path in files:
            heard += heard_from_file(path)
    else:
        heard = _listen(listen, seconds_s, clock or SystemClock(), None if as_json else write)
    if save is not None:
        _save(save, heard)
    return _told(diagnose(heard, cameras=cameras), as_json, write)


def _told(report: Report, as_json: bool, write: Callable[[str], object]) -> int:
    from tracking.doctor.words import told

    if as_json:
        write(msgspec.json.format(msgspec.json.encode(report)).decode() + "\n")
    else:
        write(told(report))
    return EXIT_FINDINGS if report.faults else 0


# --- listening ----------------------------------------------------------------------------------------------------


def address_parts(text: str) -> tuple[str, str]:
    """Address and interface of `HOST:PORT`, `udp://GROUP:PORT@INTERFACE` or a ZeroMQ endpoint.

    Raises
    ------
    DoctorError : it is none of these.
    """
    if text.startswith(("tcp://", "ipc://")):
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
        if write is not None:
            names = ", ".join(receiver.address for _, _, receiver in receivers)
            write(f"Listening on {names} for {seconds_s:g} s. Let the tracker run; move the camera.\n\n")
        arrivals = gather([receiver for _, _, receiver in receivers], clock, int(seconds_s * NS_PER_S))
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


def _open(address: str, interface: str, clock: Clock) -> Receiver:
    from tracking.config import Source
    from tracking.receivers import UdpReceiver, ZmqReceiver

    if "://" in address:
        source = Source.model_validate({"protocol": "zmq", "listen": address, "camera": "a"})
        return ZmqReceiver("doctor", source, clock)
    return UdpReceiver("doctor", address, clock, interface=interface, longest=65507)


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
    return out


def _save(path: Path, heard: Sequence[Heard]) -> None:
    from tracking.doctor.heard import take_line

    arrivals = sorted((a for one in heard for a in one.arrivals), key=lambda a: a.t_received_ns)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.writelines(take_line(arrival, arrivals[0].t_received_ns) for arrival in arrivals)
    except OSError as error:
        raise _error("save", f"cannot be written: {error.strerror}", str(path), "give a new name") from error


def _error(path: str, detail: str, value: object, mend: str) -> DoctorError:
    return DoctorError(Problem(DoctorError.code, path, detail, value, mend))
