"""This machine's IPv4 interfaces, as the kernel tells them."""

from __future__ import annotations

import fcntl
import socket
import struct
from pathlib import Path
from typing import NamedTuple

_GET_ADDRESS = 0x8915


class Interface(NamedTuple):
    """One that has an IPv4 address."""

    name: str
    address: str
    mac: str
    """`aa-bb-cc-dd-ee-ff`; zeros where it has none."""


def interfaces() -> list[Interface]:
    """Every interface with its first IPv4 address."""
    found: list[Interface] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(probe.fileno(), _GET_ADDRESS, struct.pack("256s", name.encode()[:15]))
            except OSError:
                continue  # it has none
            found.append(Interface(name, socket.inet_ntoa(answer[20:24]), _mac(name)))
    return found


def address_of(source: str) -> str:
    """The address meant by an address or an interface's name; as it stands where there is no such interface."""
    return next((i.address for i in interfaces() if source == i.name), source)


def interface_of(address: str) -> Interface | None:
    """The interface that has an address; None where it is none of this machine's first ones."""
    return next((i for i in interfaces() if i.address == address), None)


def _mac(name: str) -> str:
    try:
        mac = Path(f"/sys/class/net/{name}/address").read_text().strip().lower().replace(":", "-")
    except OSError:
        mac = ""
    return mac or "00-00-00-00-00-00"
