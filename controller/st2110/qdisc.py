"""Whether the kernel holds packets until their time: the queueing disciplines of an interface, as the kernel tells.

Packets that carry a time (SO_TXTIME) are held by `fq` and nothing else that is in use: what has no such queue sends
them at once. `etf` holds them too, but drops what is handed over late, which a program that is not real-time cannot
promise; it is not used.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from controller.st2110.network import interface_of
from controller.st2110.sdp import Path

HOLDS: Final = "fq"
_GET, _NEW, _ERROR, _DONE = 38, 36, 2, 3
_REQUEST_DUMP: Final = 0x301
_ROOT: Final = 0xFFFFFFFF
_KIND: Final = 1
_HEAD: Final = struct.Struct("=IHHII")
_TC: Final = struct.Struct("=BxxxiIII")
_ATTRIBUTE: Final = struct.Struct("=HH")
_BY_QUEUES: Final = "mq"
"""One discipline for each of a card's queues, below it."""


class Discipline(NamedTuple):
    """One queueing discipline."""

    interface: int
    """The kernel's number of the interface."""
    root: bool
    kind: str


def disciplines() -> list[Discipline]:
    """All of this machine; empty where the kernel does not tell."""
    found: list[Discipline] = []
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as asked:
            asked.settimeout(1.0)
            body = _TC.pack(0, 0, 0, 0, 0)
            asked.sendto(_HEAD.pack(_HEAD.size + len(body), _GET, _REQUEST_DUMP, 1, 0) + body, (0, 0))
            done = False
            while not done:
                done, some = parsed(asked.recv(1 << 16))
                found += some
    except OSError:
        return []
    return found


def parsed(data: bytes) -> tuple[bool, list[Discipline]]:
    """One answer of the kernel: whether it is the last, and what it tells."""
    found: list[Discipline] = []
    at = 0
    while at + _HEAD.size <= len(data):
        length, kind, _, _, _ = _HEAD.unpack_from(data, at)
        if kind in (_DONE, _ERROR) or length < _HEAD.size:
            return True, found
        if kind == _NEW and length >= _HEAD.size + _TC.size:
            _, interface, _, parent, _ = _TC.unpack_from(data, at + _HEAD.size)
            begin = at + _HEAD.size + _TC.size
            for attribute, value in _attributes(data[begin : at + length]):
                if attribute == _KIND:
                    name = value.rstrip(b"\0").decode("ascii", "replace")
                    found.append(Discipline(interface, parent == _ROOT, name))
        at += (length + 3) & ~3
    return at == 0, found


def holds_packets(interface: int, known: list[Discipline] | None = None) -> bool:
    """Whether everything that leaves by an interface waits for its time. known : left out, the kernel is asked."""
    here = [one for one in (disciplines() if known is None else known) if one.interface == interface]
    roots = {one.kind for one in here if one.root}
    if roots == {_BY_QUEUES}:
        return {one.kind for one in here if not one.root} == {HOLDS}
    return roots == {HOLDS}


def held_by_kernel(path: Path) -> bool:
    """Whether packets that leave by a path are held until their time."""
    found = interface_of(path.source)
    return found is not None and holds_packets(socket.if_nametoindex(found.name))


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size:
            return
        yield kind, data[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3
