"""Sends poses the way trackers do: every protocol, at a rate, from a move or any other function of time.

The encoders are in `encoders`, what `openvolume simulate` calls in `simulate`; the sender's clock is injected.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import zmq

from runtime.clock import Clock
from runtime.config import udp_address
from stage.errors import Problem
from stage.frames import Array
from stage.rate import NS_PER_S, Rate, parse_rate
from tracking.encoders import Encode
from tracking.errors import SendError
from tracking.moment import Moment
from tracking.protocols import live_link, mosys_f4, natnet, psn, rttrpm, stype, vmc
from tracking.protocols.opentrackio import PORT
from tracking.pulls import LensAt

DEFAULT_PORTS: Final = {
    "freed": 40000, "opentrackio": PORT, "osc": 40001, "zmq": 40002, "mosys_f4": mosys_f4.PORT, "stype": stype.PORT,
    "psn": psn.PORT, "rttrpm": rttrpm.PORT, "live_link": live_link.PORT, "natnet": natnet.DATA_PORT, "vmc": vmc.PORT,
    "cooke": 40003,
}  # fmt: skip
"""Ports when a target names none; FreeD's is the generic preset, OpenTrackIO's the specified one."""
MAX_RATE_HZ: Final = 1000

PoseAt = Callable[[float], Array]
Truth = Callable[[int, Moment], object]
"""Told each sample's true time (clock ns) and true pose, before any fault."""


# --- where to -----------------------------------------------------------------------------------------------------


class Wire(Protocol):
    """Something datagrams can be sent to."""

    def send(self, data: bytes) -> None:
        """Send one datagram; what cannot be delivered is dropped, as on a network."""

    def close(self) -> None:
        """Let the socket go."""


class UdpWire:
    """UDP to one address; a multicast group too, through the interface with the address `interface` (empty: the
    system's choice).

    Raises
    ------
    SendError : not host:port.
    """

    def __init__(self, target: str, *, interface: str = "") -> None:
        self._target, self._interface = udp_target(target), interface
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
            if interface:
                self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(interface))
        except OSError as error:
            self._socket.close()
            detail = f"no interface of this machine: {error.strerror}"
            raise _target_error(interface, detail, "give the address of one that carries multicast") from error

    def sender(self) -> tuple[str, int]:
        """Host and port that receivers will see; no host where nothing leads to the target."""
        if not self._socket.getsockname()[1]:
            self._socket.bind(("", 0))
        port: int = self._socket.getsockname()[1]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
            # Only a connected socket knows which of the machine's addresses leads there.
            try:
                way.connect(self._target)
                host: str = way.getsockname()[0]
            except OSError:
                host = ""
        return self._interface or host, port

    def send(self, data: bytes) -> None:
        """Send one datagram. A closed port at the other end is no fault of the sender."""
        try:
            self._socket.sendto(data, self._target)
        except (ConnectionRefusedError, BlockingIOError):
            return

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class ZmqWire:
    """A PUB socket that binds its endpoint, or a PUSH socket that connects to one (`push+tcp://...`).

    Raises
    ------
    SendError : the endpoint cannot be used.
    """

    def __init__(self, target: str) -> None:
        push = target.startswith("push+")
        endpoint = target.removeprefix("push+")
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUSH if push else zmq.PUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.SNDHWM, 1000)
        try:
            if push:
                self._socket.connect(endpoint)
            else:
                self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise _target_error(
                target, f"cannot be used: {error.strerror}", "use tcp://127.0.0.1:PORT (SUB) or push+tcp://... (PULL)"
            ) from error
        self.endpoint = endpoint if push else self._socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")

    def send(self, data: bytes) -> None:
        """Send one message; dropped while nobody takes it."""
        try:
            self._socket.send(data, zmq.NOBLOCK)
        except zmq.Again:
            return

    def close(self) -> None:
        """Close the socket and its context."""
        self._socket.close(0)
        self._context.term()


def open_wire(protocol: str, target: str, *, interface: str = "") -> Wire:
    """The wire a protocol travels on; interface: of multicast. Raises SendError."""
    if protocol.startswith("zmq"):
        if not target.removeprefix("push+").startswith(("tcp://", "ipc://")):
            raise _target_error(target, "zmq sends to an endpoint", "tcp://127.0.0.1:40002, or push+tcp://... for PULL")
        return ZmqWire(target)
    return UdpWire(target, interface=interface)


def default_target(protocol: str) -> str:
    """Where a protocol is sent when no target is named: its usual port on this machine."""
    name = next((name for name in DEFAULT_PORTS if protocol == name or protocol.startswith(f"{name}_")), "")
    if name == "zmq":
        return f"tcp://127.0.0.1:{DEFAULT_PORTS[name]}"
    return f"127.0.0.1:{DEFAULT_PORTS.get(name, 40000)}"


def udp_target(target: str) -> tuple[str, int]:
    """Host and port to send to. Raises SendError: not HOST:PORT, or port 0."""
    try:
        host, port = udp_address(target)
    except ValueError as error:
        raise _target_error(target, str(error), "give HOST:PORT with an IPv4 address") from error
    if port == 0:
        raise _target_error(target, "port 0 receives nothing", "give the port the receiver listens on")
    return host, port


def _target_error(target: str, detail: str, mend: str) -> SendError:
    return SendError(Problem("tracking.target", "target", detail, target, mend))


# --- sending ------------------------------------------------------------------------------------------------------


class Sender:
    """Sends poses of a function of time at exact times: sample n at t0 + n / rate, never an accumulated period.

    A sender that wakes late sends the samples it missed no more: a tracker would not either.
    """

    def __init__(
        self,
        pose_at: PoseAt,
        encode: Encode,
        wire: Wire,
        clock: Clock,
        rate: Rate,
        *,
        lens: LensAt | None = None,
        unix_time: bool = False,
        truth: Truth | None = None,
    ) -> None:
        self._pose_at, self._encode, self._wire, self._clock, self._rate = pose_at, encode, wire, clock, rate
        self._lens = lens
        self._unix_time = unix_time
        self._truth = truth
        self._t0_ns: int | None = None
        self.sent = 0
        """Samples sent."""
        self.skipped = 0
        """Samples whose time had passed."""
        self._n = 0

    def step(self, now_ns: int) -> int:
        """Send the sample that is due at `now_ns`, if one is; when the next one is due, ns."""
        if self._t0_ns is None:
            self._t0_ns = now_ns
        due = self._rate.frame_at(self._t0_ns, now_ns)
        if due >= self._n:
            self.skipped += due - self._n
            self._n = due
            self._send(now_ns)
            self._n += 1
        return self._rate.deadline_ns(self._t0_ns, self._n)

    def run(self, seconds_s: float | None = None, *, stop: Callable[[], bool] | None = None) -> int:
        """Send for so long (None: until `stop` says so); samples sent."""
        begin_ns = self._clock.now_ns()
        end_ns = None if seconds_s is None else begin_ns + int(seconds_s * NS_PER_S)
        due_ns = begin_ns
        while (end_ns is None or due_ns < end_ns) and not (stop is not None and stop()):
            self._clock.sleep_until(due_ns)
            due_ns = self.step(self._clock.now_ns())
        return self.sent

    def _send(self, now_ns: int) -> None:
        assert self._t0_ns is not None
        # The pose is the one of the sample's own time, however late the machine sends it.
        due_ns = self._rate.deadline_ns(self._t0_ns, self._n)
        label_ns = self._clock.tai_ns() - (now_ns - due_ns) - (37 * NS_PER_S if self._unix_time else 0)
        t_s = (due_ns - self._t0_ns) / NS_PER_S
        lens = None if self._lens is None else self._lens(t_s)
        moment = Moment(self._pose_at(t_s), self._n, label_ns, lens)
        if self._truth is not None:
            self._truth(due_ns, moment)
        self._emit(moment, due_ns, now_ns)
        self.sent += 1

    def _emit(self, moment: Moment, due_ns: int, now_ns: int) -> None:
        for datagram in self._encode(moment):
            self._wire.send(datagram)


def sample_rate(rate: str | float) -> Rate:
    """The exact rate meant by `60`, `240`, `23.976` or `24000/1001`. Raises SendError."""
    try:
        return parse_rate(rate)
    except ValueError:
        pass
    try:
        hz = float(rate)
        if hz == int(hz) and 1 <= hz <= MAX_RATE_HZ:
            return Rate(int(hz))
    except (ValueError, OverflowError):
        pass
    raise SendError(
        Problem("tracking.rate", "rate", "not a sample rate", rate, f"use 1..{MAX_RATE_HZ} or a frame rate (23.976)")
    )


def capture(pose_at: PoseAt, encode: Encode, rate: Rate, count: int, *, t0_ns: int = 0) -> Sequence[list[bytes]]:
    """The datagrams of the first `count` samples, for tests and virtual time: sample n belongs at n / rate."""
    return [
        encode(Moment(pose_at(rate.deadline_ns(0, n) / NS_PER_S), n, t0_ns + rate.deadline_ns(0, n)))
        for n in range(count)
    ]
