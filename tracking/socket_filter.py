"""Lets the kernel drop what a socket need not hear, before it costs anything: a classic BPF program of addresses.

The program runs on every datagram of a bound IPv4 UDP socket. Addresses are compared as the kernel sees them, so the
filter is exact; where the kernel refuses it, senders are looked at after reading, as ever.
"""

from __future__ import annotations

import ctypes
import ipaddress
import socket
import struct
from typing import Final, NamedTuple

from msgspec import Struct

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MOST_NETWORKS: Final = 256
MOST_SENDERS: Final = 64
_SO_ATTACH_FILTER: Final = 26
_SO_DETACH_FILTER: Final = 27
_SO_MEMINFO: Final = 55
_MEMINFO_DROPS: Final = 8
_ALL: Final = 0xFFFFFFFF
# Instructions of classic BPF.
_LOAD_WORD: Final = 0x20
_LOAD_HALF: Final = 0x28
_AND: Final = 0x54
_JUMP: Final = 0x05
_JUMP_EQUAL: Final = 0x15
_RETURN: Final = 0x06
_SOURCE_ADDRESS: Final = 0x1_0000_0000 - 0x100000 + 12
"""SKF_NET_OFF: the IP header, wherever the datagram's own data begins; at 12 the sender's address."""
_SOURCE_PORT: Final = 0
"""A UDP socket's program sees datagrams from their UDP header on."""
_RANDOM: Final = 0x1_0000_0000 - 0x1000 + 56
"""SKF_AD_OFF + SKF_AD_RANDOM: another number for every datagram."""


class Screen(Struct, frozen=True):
    """Who is let through.

    networks : senders' networks; empty: all.
    senders : of these, (host, port), port 0 for any, at most `MOST_SENDERS`; None: all of them.
    one_in : beside `senders` so many of all others are let through, one by lot: a newcomer is heard. A power of two.
    """

    networks: tuple[Network, ...] = ()
    senders: tuple[tuple[str, int], ...] | None = None
    one_in: int = 1

    @property
    def asks(self) -> bool:
        """Whether it keeps anybody out."""
        return bool(self.networks) or self.senders is not None


class Instruction(NamedTuple):
    """One step of a program: what to do, jumps when true and false, operand."""

    code: int
    if_true: int
    if_false: int
    operand: int


def program(screen: Screen) -> list[Instruction]:
    """What the kernel runs: a program that ends with "all of it" or "nothing of it" for each datagram."""
    out: list[Instruction] = []
    networks = [n for n in screen.networks if isinstance(n, ipaddress.IPv4Network)]
    if screen.networks:
        tests = []
        for network in networks:
            tests.append(Instruction(_LOAD_WORD, 0, 0, _SOURCE_ADDRESS))
            tests.append(Instruction(_AND, 0, 0, int(network.netmask)))
            tests.append(Instruction(_JUMP_EQUAL, 0, 1, int(network.network_address)))
            tests.append(Instruction(_JUMP, 0, 0, 0))
        # A jump to what comes after the refusal at their end.
        for at, instruction in enumerate(tests):
            if instruction.code == _JUMP:
                tests[at] = Instruction(_JUMP, 0, 0, len(tests) - at)
        out += [*tests, Instruction(_RETURN, 0, 0, 0)]
    if screen.senders is not None:
        for host, port in screen.senders[:MOST_SENDERS]:
            out.append(Instruction(_LOAD_WORD, 0, 0, _SOURCE_ADDRESS))
            out.append(Instruction(_JUMP_EQUAL, 0, 3 if port else 1, int(ipaddress.IPv4Address(host))))
            if port:
                out.append(Instruction(_LOAD_HALF, 0, 0, _SOURCE_PORT))
                out.append(Instruction(_JUMP_EQUAL, 0, 1, port))
            out.append(Instruction(_RETURN, 0, 0, _ALL))
        out.append(Instruction(_LOAD_WORD, 0, 0, _RANDOM))
        out.append(Instruction(_AND, 0, 0, screen.one_in - 1))
        out.append(Instruction(_JUMP_EQUAL, 1, 0, 0))
        out.append(Instruction(_RETURN, 0, 0, 0))
    out.append(Instruction(_RETURN, 0, 0, _ALL))
    return out


def attach(sock: socket.socket, screen: Screen) -> bool:
    """Put a screen before a socket in place of the one before; whether the kernel keeps it. What was received already
    stays. Never raises."""
    try:
        if not screen.asks or len(screen.networks) > MOST_NETWORKS:
            sock.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
            return False
        steps = program(screen)
        code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
        # struct sock_fprog: a count and a pointer.
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(steps), ctypes.addressof(code)))
    except OSError:
        return False
    return True


def dropped(sock: socket.socket) -> int:
    """How many datagrams the kernel has dropped at this socket: kept out by its screen, or more than its buffer holds.
    0 where it does not tell."""
    size = 4 * (_MEMINFO_DROPS + 1)
    try:
        data = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, size)
    except OSError:
        return 0
    return int(struct.unpack_from("=I", data, 4 * _MEMINFO_DROPS)[0]) if len(data) >= size else 0
