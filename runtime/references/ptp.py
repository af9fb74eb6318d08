"""What ptp4l knows, asked over its UNIX management socket (IEEE 1588 clause 15, linuxptp's own TLVs). Read-only.

A request is a datagram with the 34-byte PTP header, a 14-byte management part and one TLV; each answer comes as a
datagram of its own. Only GET is ever sent.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from runtime.clock import NS_PER_S

SOCKETS: Final = (Path("/var/run/ptp4l"), Path("/var/run/ptp4lro"))
"""Where ptp4l listens: for those with rights, and (from version 4) for everybody."""
DOMAIN: Final = 127
"""SMPTE ST 2059-2's default domain."""
STALE_NS: Final = 5 * NS_PER_S
"""ptp4l that has said nothing for so long is gone."""

_HEADER: Final = struct.Struct(">BBHBBHq4s10sHBb")
_MANAGEMENT: Final = struct.Struct(">10sBBBBHHH")
_MESSAGE_TYPE: Final = 0xD
_GET, _RESPONSE = 0, 2
_TLV_MANAGEMENT, _TLV_ERROR = 1, 2
_CONTROL_MANAGEMENT: Final = 4
_NO_INTERVAL: Final = 0x7F

TIME_STATUS: Final = 0xC000
PORT_PROPERTIES: Final = 0xC004
TIME_PROPERTIES: Final = 0x2003
PORT_DATA_SET: Final = 0x2004
ASKED: Final = (TIME_STATUS, PORT_DATA_SET, TIME_PROPERTIES, PORT_PROPERTIES)

_TIME_STATUS: Final = struct.Struct(">qqiiHHQHi8s")
_PORT_DATA_SET: Final = struct.Struct(">10sBbqbBbBbB")
_TIME_PROPERTIES: Final = struct.Struct(">hBB")
_PORT_PROPERTIES: Final = struct.Struct(">10sBB")

PORT_STATES: Final = (
    "NONE", "INITIALIZING", "FAULTY", "DISABLED", "LISTENING", "PRE_MASTER", "MASTER", "PASSIVE", "UNCALIBRATED",
    "SLAVE", "GRAND_MASTER",
)  # fmt: skip
TIMESTAMPING: Final = ("SOFTWARE", "HARDWARE", "LEGACY_HW", "ONESTEP", "P2P1STEP")
_RANK: Final = {"LISTENING": 1, "PASSIVE": 2, "MASTER": 3, "GRAND_MASTER": 3, "UNCALIBRATED": 4, "SLAVE": 5}

Refusal = Literal["short", "header", "action", "error", "value"]


@dataclass(frozen=True, slots=True)
class PtpState:
    """ptp4l as it told last.

    heard_ns : when; elsewhere : the grandmaster it knows of is another clock; offset_ns : this clock minus that one;
    ingress_ns : the newest Sync's stamp in ptp4l's own time; utc_offset_s : TAI - UTC by the grandmaster;
    port_state : of its best port; timestamping : SOFTWARE stamps are the system clock's, others a network card's.
    """

    heard_ns: int
    elsewhere: bool = False
    identity: str = ""
    offset_ns: int = 0
    ingress_ns: int = 0
    port_state: str = ""
    interface: str = ""
    timestamping: str = ""
    utc_offset_s: int = 0
    utc_offset_valid: bool = False
    ptp_timescale: bool = False

    @property
    def follows(self) -> bool:
        """It hears a grandmaster and follows it. (Of one that is lost it keeps the name.)"""
        return self.elsewhere and self.port_state in ("UNCALIBRATED", "SLAVE")

    @property
    def locked(self) -> bool:
        """It follows its grandmaster closely."""
        return self.follows and self.port_state == "SLAVE"

    @property
    def leads(self) -> bool:
        """Others follow this machine: nobody keeps its clock through PTP."""
        return not self.follows and self.port_state in ("MASTER", "GRAND_MASTER")

    def slip_ns(self, *, tai_ns: int, realtime_ns: int) -> int:
        """How far this machine's TAI is from the grandmaster's, give or take the seconds since its newest message;
        0 where it cannot be told."""
        if not self.ingress_ns or not self.locked:
            return 0
        if self.timestamping == "SOFTWARE":
            # Stamps are this machine's time of day. Whether that is UTC or (wrongly) TAI shows only where the
            # grandmaster tells both.
            return tai_ns - realtime_ns - self.utc_offset_s * NS_PER_S if self.utc_offset_valid else 0
        # A network card keeps the PTP time scale, which is TAI.
        return tai_ns - self.ingress_ns if self.ptp_timescale else 0


def request(what: int, *, sequence: int, domain: int, port: int) -> bytes:
    """A GET of one data set, of all ports."""
    body = _MANAGEMENT.pack(b"\xff" * 10, 0, 0, _GET, 0, _TLV_MANAGEMENT, 2, what)
    own = b"\0" * 8 + port.to_bytes(2, "big")
    length = _HEADER.size + len(body)
    header = _HEADER.pack(
        _MESSAGE_TYPE, 2, length, domain, 0, 0, 0, b"\0" * 4, own, sequence, _CONTROL_MANAGEMENT, _NO_INTERVAL
    )
    return header + body


def response(data: bytes) -> tuple[int, bytes] | Refusal:
    """Which data set an answer holds and its bytes, or why it is none."""
    if len(data) < _HEADER.size + _MANAGEMENT.size:
        return "short"
    kind, version, length, *_ = _HEADER.unpack_from(data)
    if kind & 15 != _MESSAGE_TYPE or version & 15 != 2:
        return "header"
    if length > len(data):
        return "short"
    _, _, _, action, _, tlv, tlv_length, what = _MANAGEMENT.unpack_from(data, _HEADER.size)
    if action & 15 != _RESPONSE:
        return "action"
    if tlv == _TLV_ERROR:
        return "error"
    start = _HEADER.size + _MANAGEMENT.size
    if tlv != _TLV_MANAGEMENT or tlv_length < 2 or start + tlv_length - 2 > length:
        return "short"
    return what, data[start : start + tlv_length - 2]


class PtpMonitor:
    """Asks ptp4l and remembers what it said. Nothing here waits, and nothing fails because ptp4l is not there.

    Attributes
    ----------
    refused : answers that were none, by reason.
    forbidden : ptp4l is there, but this user may not ask it.
    """

    def __init__(self, path: Path | None = None, *, domain: int = DOMAIN) -> None:
        self._paths = SOCKETS if path is None else (path,)
        self._domain = domain
        self._socket: socket.socket | None = None
        self._own: Path | None = None
        self._sequence = 0
        self._state: PtpState | None = None
        self._ports: dict[int, str] = {}
        self.refused: Counter[Refusal] = Counter()
        self.forbidden = False

    def ask(self) -> bool:
        """Send what is asked; whether somebody took it."""
        if self._socket is None and not self._open():
            return False
        assert self._socket is not None
        for path in self._paths:
            try:
                for what in ASKED:
                    self._sequence = (self._sequence + 1) & 0xFFFF
                    data = request(what, sequence=self._sequence, domain=self._domain, port=os.getpid() & 0xFFFF)
                    self._socket.sendto(data, str(path))
            except OSError as error:
                self.forbidden = self.forbidden or isinstance(error, PermissionError)
                continue
            self.forbidden = False
            return True
        return False

    def hear(self, now_ns: int) -> PtpState | None:
        """Take in the answers that came; what is known then, None when ptp4l was never there. One that fell silent
        follows nobody."""
        while self._socket is not None:
            try:
                data = self._socket.recv(2048)
            except OSError:
                break
            answer = response(data)
            if isinstance(answer, str):
                self.refused[answer] += 1
            elif not self._learn(*answer, now_ns):
                self.refused["value"] += 1
        state = self._state
        if state is not None and now_ns - state.heard_ns > STALE_NS:
            return replace(state, elsewhere=False, port_state="silent")
        return state

    def close(self) -> None:
        """Give back the socket and its name."""
        if self._socket is not None:
            self._socket.close()
        if self._own is not None:
            with contextlib.suppress(OSError):
                self._own.unlink()
                self._own.parent.rmdir()
        self._socket = self._own = None

    def _open(self) -> bool:
        # Answers need a name in the file system to come to: linuxptp 3.1 does not answer an abstract one.
        if not any(path.exists() for path in self._paths):
            return False
        try:
            self._own = Path(tempfile.mkdtemp(prefix="openvolume-ptp-")) / "s"
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            self._socket.bind(str(self._own))
        except OSError:
            self.close()
            return False
        return True

    def _learn(self, what: int, data: bytes, now_ns: int) -> bool:
        """Take one data set in; whether it held what it should."""
        state = self._state or PtpState(now_ns)
        try:
            if what == TIME_STATUS:
                offset_ns, ingress_ns, *_, present, identity = _TIME_STATUS.unpack_from(data)
                told = identity.hex()
                name = f"{told[:6]}.{told[6:10]}.{told[10:]}"
                state = replace(
                    state, offset_ns=offset_ns, ingress_ns=ingress_ns, elsewhere=bool(present), identity=name
                )
            elif what == PORT_DATA_SET:
                identity, number, *_ = _PORT_DATA_SET.unpack_from(data)
                port = int.from_bytes(identity[8:], "big")
                self._ports[port] = PORT_STATES[number] if number < len(PORT_STATES) else str(number)
                best = max(self._ports.values(), key=lambda name: _RANK.get(name, 0))
                state = replace(state, port_state=best)
            elif what == TIME_PROPERTIES:
                offset_s, flags, _ = _TIME_PROPERTIES.unpack_from(data)
                state = replace(
                    state, utc_offset_s=offset_s, utc_offset_valid=bool(flags & 4), ptp_timescale=bool(flags & 8)
                )
            elif what == PORT_PROPERTIES:
                _, _, kind = _PORT_PROPERTIES.unpack_from(data)
                length = data[_PORT_PROPERTIES.size] if len(data) > _PORT_PROPERTIES.size else 0
                text = data[_PORT_PROPERTIES.size + 1 :][:length].decode("utf-8", "replace")
                named = TIMESTAMPING[kind] if kind < len(TIMESTAMPING) else str(kind)
                state = replace(state, timestamping=named, interface=text)
        except struct.error:
            return False
        self._state = replace(state, heard_ns=now_ns)
        return True
