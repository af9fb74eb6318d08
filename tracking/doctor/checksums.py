"""How a sender makes its checksum, and what to do when it is not the right one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import reduce
from operator import xor
from typing import Final

from tracking.doctor.findings import Finding
from tracking.protocols.freed import FreeDPacket
from tracking.protocols.mosys_f4 import F4Packet
from tracking.protocols.opentrackio import OpenTrackIOPacket
from tracking.protocols.stype import StypePacket

Style = Callable[[bytes], int]
_STYLES: Final[tuple[tuple[str, Style], ...]] = (
    ("0, never filled in", lambda _: 0),
    ("the sum of the bytes taken from 0 instead of 0x40", lambda body: -sum(body) & 0xFF),
    ("the plain sum of the bytes", lambda body: sum(body) & 0xFF),
    ("all bytes XORed", lambda body: reduce(xor, body, 0)),
    ("all bytes XORed with 0x40", lambda body: reduce(xor, body, 0x40)),
    ("0xff", lambda _: 0xFF),
)
"""Wrong checksums that are met with, told apart by many packets."""
_RIGHT: Final = {
    "freed": "0x40 less the sum of the bytes, as the format says",
    "mosys_f4": "0x40 less the sum of the bytes, as the format says",
    "stype": "the sum of the bytes, as the format says",
}
BAD_RATIO: Final = 0.005


def checksum_of(protocol: str, packets: Sequence[object], refused: Counter[str]) -> tuple[str, list[Finding]]:
    """The style in words (empty: the protocol has no checksum), and what is wrong with it.

    packets: read without regard to their checksums.
    """
    if protocol == "opentrackio":
        return _fletcher(packets, refused)
    if protocol not in _RIGHT:
        return "", []
    wrong = [p for p in packets if isinstance(p, FreeDPacket | F4Packet | StypePacket) and p.checksum is not None]
    total = len(packets)
    if not wrong:
        return _RIGHT[protocol] if total else "", []
    name = next((n for n, style in _STYLES if all(style(bytes(p)[:-1]) == p.checksum for p in wrong)), "")
    if len(wrong) < 0.5 * total:
        share = len(wrong) / total
        heavy = share > BAD_RATIO
        return _RIGHT[protocol], [
            Finding(
                "doctor.checksum_errors",
                "fault" if heavy else "note",
                "some messages arrive damaged: their checksum is wrong",
                f"{len(wrong)} of {total}",
                "look at the serial link or converter before the network: cable, baud rate, parity" if heavy else "",
            )
        ]
    zero = name.startswith("0, ")
    return name or "made in no known way", [
        Finding(
            "doctor.checksum",
            "fault",
            f"its checksum is {name}" if name else "its checksum is made in no known way",
            f"{len(wrong)} of {total} messages; the right one is {_RIGHT[protocol]}",
            "switch the checksum on at the sender, or update it",
            {"checksum": "zero" if zero else "ignore"},
        )
    ]


def _fletcher(packets: Sequence[object], refused: Counter[str]) -> tuple[str, list[Finding]]:
    moduli = Counter(p.modulus for p in packets if isinstance(p, OpenTrackIOPacket))
    bad = refused["checksum"]
    style = ""
    if moduli:
        modulus = moduli.most_common(1)[0][0]
        style = f"Fletcher-16 mod {modulus}" + (" (1.0.1)" if modulus == 256 else " (as the 1.0.0 document says)")
    if not bad:
        return style, []
    whole = sum(moduli.values())
    share = bad / (bad + whole)
    return style or "wrong", [
        Finding(
            "doctor.checksum",
            "fault" if share > BAD_RATIO else "note",
            "its checksum is neither of the two that OpenTrackIO's documents give"
            if not whole
            else "some datagrams arrive with a wrong checksum",
            f"{bad} of {bad + whole} datagrams",
            "update the sender: Fletcher-16 mod 256 over the header's first 14 bytes and the payload"
            if not whole
            else "",
        )
    ]
