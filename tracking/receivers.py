"""Sockets that poses arrive on: UDP with kernel stamps, multicast, and ZeroMQ. Reading never blocks, never raises.

A receiver reads everything that waits; who it came from and when travels with each datagram. Unicast ports are bound
without SO_REUSEADDR on purpose: Linux would hand a port that is in use to the newcomer without a word.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct

from runtime.clock import ANCILLARY_BYTES, Clock, StampConverter, enable_kernel_stamps, kernel_stamp_ns
from runtime.config import udp_address
from stage.errors import Problem
from tracking.config import Source
from tracking.errors import ListenError
from tracking.socket_filter import Screen, attach, dropped

if TYPE_CHECKING:  # imported by the receivers that need it: a start has no time for what it does not use
    import zmq

MAX_DATAGRAM: Final = 16384
BUFFER_BYTES: Final = 1 << 20
"""Asked of the kernel: 16 streams of 240 Hz for a second."""
MAX_READ: Final = 4096
"""Datagrams read in one go: a flood may not hold the caller for ever."""
_ANY_INTERFACE: Final = "0.0.0.0"  # noqa: S104 - which interface joins the group; nothing is bound to it
_SO_RCVBUFFORCE: Final = 33
"""Linux: a receive buffer beyond what the system allows everybody, for those who may."""
_CUT_OFF: Final = int(socket.MSG_TRUNC)
_IP_MULTICAST_ALL: Final = 49
"""Linux: 0 delivers only groups this socket joined."""


class Arrival(Struct, frozen=True, gc=False):
    """One datagram (or ZeroMQ message) as it came."""

    data: bytes
    host: str
    """Sender's address; empty where the transport does not tell."""
    port: int
    t_received_ns: int
    """The injected clock's time at which the kernel received it (ZeroMQ: at which it was read)."""
    truncated: bool = False


class Receiver(Protocol):
    """What the inputs ask of a socket."""

    polled: bool
    """Whether its descriptor says truly when something waits; others are read whenever it may be."""

    @property
    def address(self) -> str:
        """Where it listens, as bound: a port 0 has become a real one."""

    def fileno(self) -> int:
        """Becomes readable when something waits."""

    @property
    def dropped(self) -> int:
        """Datagrams that the kernel has dropped: kept out, or more than the buffer holds; 0 where it does not tell."""

    def screen(self, screen: Screen) -> bool:
        """Have the kernel let through only some senders; whether it does."""

    def receive(self, most: int = MAX_READ) -> list[Arrival]:
        """What waits, oldest first, `most` datagrams at most."""

    def close(self) -> None:
        """Let the address go."""


def open_receiver(name: str, source: Source, clock: Clock) -> Receiver:
    """The socket a source asks for.

    Raises
    ------
    ListenError : the address is in use, is not of this machine, or is no address.
    """
    if source.serial_line is not None:
        from tracking.serial_receiver import SerialReceiver

        return SerialReceiver(name, source, clock)
    if source.protocol == "zmq":
        return ZmqReceiver(name, source, clock)
    if source.protocol == "natnet":
        from tracking.natnet_receiver import NatNetReceiver

        return NatNetReceiver(name, source, clock)
    return UdpReceiver(name, source.listen, clock, interface=source.interface)


class UdpReceiver:
    """A bound, non-blocking UDP socket."""

    polled = True

    def __init__(
        self, name: str, listen: str, clock: Clock, *, interface: str = "", longest: int = MAX_DATAGRAM
    ) -> None:
        host, port = udp_address(listen)
        self._longest = longest
        self._stamps = StampConverter.of(clock)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, BUFFER_BYTES)
            except PermissionError:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            enable_kernel_stamps(self._socket)
            if ipaddress.IPv4Address(host).is_multicast:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                self._socket.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
                self._socket.bind((host, port))
                member = struct.pack("4s4s", socket.inet_aton(host), socket.inet_aton(interface or _ANY_INTERFACE))
                self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
            else:
                self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            raise _listen_error(name, listen, error) from error
        bound = self._socket.getsockname()
        self._address = f"{bound[0]}:{bound[1]}"

    @property
    def address(self) -> str:
        """`host:port` as bound."""
        return self._address

    def fileno(self) -> int:
        """File descriptor of the socket."""
        return self._socket.fileno()

    @property
    def dropped(self) -> int:
        """Datagrams that the kernel has dropped at this socket."""
        return dropped(self._socket)

    def screen(self, screen: Screen) -> bool:
        """Have the kernel let through only some senders; whether it does. Never raises."""
        return attach(self._socket, screen)

    def receive(self, most: int = MAX_READ) -> list[Arrival]:
        """What waits, oldest first, `most` datagrams at most."""
        read = []
        receive, longest = self._socket.recvmsg, self._longest
        if most == 1:
            try:
                data, ancillary, flags, (host, port) = receive(longest, ANCILLARY_BYTES)
            except OSError:
                return []
            t_received_ns = self._stamps.monotonic_ns(kernel_stamp_ns(ancillary))
            return [Arrival(data, host, port, t_received_ns, flags & _CUT_OFF != 0)]
        for _ in range(most):
            try:
                read.append(receive(longest, ANCILLARY_BYTES))
            except ConnectionRefusedError:
                continue  # an ICMP answer to something else: nothing was received by it
            except OSError:
                break
        if not read:
            return []
        stamps = self._stamps.all_monotonic_ns([kernel_stamp_ns(ancillary) for _, ancillary, _, _ in read])
        return [
            Arrival(data, host, port, t_received_ns, flags & _CUT_OFF != 0)
            for (data, _, flags, (host, port)), t_received_ns in zip(read, stamps, strict=True)
        ]

    def send(self, data: bytes, address: tuple[str, int]) -> bool:
        """Send a datagram from the port it listens on; whether it could be. Never blocks, never raises."""
        try:
            self._socket.sendto(data, address)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class ZmqReceiver:
    """A SUB or PULL socket. Its descriptor is edge-triggered: after it wakes, read until nothing waits."""

    polled = False
    dropped = 0
    """ZeroMQ does not tell."""

    def __init__(self, name: str, source: Source, clock: Clock) -> None:
        import zmq

        self._clock = clock
        self._dont_wait, self._fd_option, self._nothing_waits = zmq.NOBLOCK, zmq.FD, zmq.ZMQError
        self._context = zmq.Context()
        self._context.setsockopt(zmq.LINGER, 0)
        kind = zmq.SUB if source.zmq.mode == "sub" else zmq.PULL
        self._socket = self._context.socket(kind)
        self._socket.setsockopt(zmq.RCVHWM, 1000)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_DATAGRAM)
        if kind == zmq.SUB:
            self._socket.setsockopt_string(zmq.SUBSCRIBE, source.zmq.topic)
        try:
            if source.zmq.binds:
                self._socket.bind(source.listen)
            else:
                self._socket.connect(source.listen)
        except zmq.ZMQError as error:
            self.close()
            raise _listen_error(name, source.listen, error) from error
        bound = self._socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")
        self._address = bound or source.listen

    @property
    def address(self) -> str:
        """Endpoint as bound or connected."""
        return self._address

    def fileno(self) -> int:
        """ZeroMQ's wake-up descriptor."""
        return int(self._socket.getsockopt(self._fd_option))

    def screen(self, screen: Screen) -> bool:
        """Whoever reaches the endpoint is heard."""
        return False

    def receive(self, most: int = MAX_READ) -> list[Arrival]:
        """What waits, oldest first, `most` messages at most; of a message of several frames the last."""
        out: list[Arrival] = []
        for _ in range(most):
            try:
                frames = self._socket.recv_multipart(self._dont_wait)
            except self._nothing_waits:
                break
            out.append(Arrival(frames[-1], "", 0, self._clock.now_ns()))
        return out

    def close(self) -> None:
        """Close the socket and its context."""
        self._socket.close(0)
        self._context.term()


def _listen_error(name: str, listen: str, error: OSError | zmq.ZMQError) -> ListenError:
    mends = {
        errno.EADDRINUSE: "another program has it: stop that one, or listen elsewhere",
        errno.EADDRNOTAVAIL: "use an address of this machine, or 0.0.0.0 for all of them",
        errno.EACCES: "ports below 1024 need rights: use a higher one",
        errno.ENODEV: "no interface carries multicast: set `interface` to the address of one that does",
    }
    mend = mends.get(error.errno or 0, "check the address")
    path, values = f"tracking/sources/{name}/listen", {"address": listen, "error": error.strerror or str(error)}
    return ListenError(Problem(ListenError.code, path, f"cannot listen: {error.strerror}", listen, mend, values=values))
