"""Which protocol a sender speaks, found by asking every decoder; and what else may come to a tracking port."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from tracking.config import ProtocolName
from tracking.protocols import (
    cooke,
    freed,
    live_link,
    mosys_f4,
    natnet,
    opentrackio,
    osc,
    psn,
    rttrpm,
    stype,
    vmc,
    zmq_pose,
)  # fmt: skip
from tracking.sample import Refusal

STRANGERS: Final[tuple[tuple[bytes, int, str], ...]] = (
    (b"Art-Net\0", 0, "Art-Net (lighting or time code; usually port 6454)"),
    (b"ASC-E1.17\0\0\0", 4, "sACN (lighting; port 5568)"),
    (b"vrpn: ver.", 0, "VRPN, which OpenVolume does not read"),
    (b"NDI", 0, "NDI"),
    (b"M-SEARCH", 0, "SSDP (devices looking for each other)"),
    (b"<?xml", 0, "XML"),
)
"""Bytes, where they stand, and what they say."""
CHANCE: Final = 0.05
"""Random bytes bear some protocol's mark now and then, but less often than this."""
SERVER_MESSAGES: Final = (natnet.SERVER_INFO, natnet.MODELS, natnet.FRAME)


@dataclass(slots=True)
class Guess:
    """What a sender's datagrams are."""

    protocol: ProtocolName | None
    """None: nothing that is read."""
    whole: int = 0
    """Datagrams that decode."""
    broken: Counter[str] = field(default_factory=Counter)
    """Of the same protocol, refused: by reason."""
    examples: dict[str, str] = field(default_factory=dict)
    """For each reason a detail."""
    foreign: int = 0
    """Datagrams of no protocol, or of another one."""
    other: str = ""
    """What those are, in words, where that can be told."""
    stream: bool = False
    """FreeD messages cut by datagrams."""


def sniff(datagrams: Sequence[bytes]) -> Guess:
    """What one sender's datagrams are. Never raises."""
    wholes: Counter[ProtocolName] = Counter()
    brokens: Counter[ProtocolName] = Counter()
    reasons: dict[ProtocolName, Counter[str]] = {}
    examples: dict[ProtocolName, dict[str, str]] = {}
    unknown = 0
    names: Counter[str] = Counter()
    for data in datagrams:
        found = claim(data)
        if found is None:
            unknown += 1
            names[stranger(data)] += 1
            continue
        protocol, refusal = found
        if refusal is None:
            wholes[protocol] += 1
        else:
            brokens[protocol] += 1
            reasons.setdefault(protocol, Counter())[refusal.reason] += 1
            examples.setdefault(protocol, {}).setdefault(refusal.reason, refusal.detail)
    if wholes["vmc"]:
        # Its sender says other OSC beside, or the whole of it would be plain OSC.
        wholes["vmc"] += wholes.pop("osc", 0)
    if (not wholes or wholes.most_common(1)[0][1] < len(datagrams) // 8) and _is_cut_freed(datagrams):
        return Guess("freed", whole=len(datagrams), stream=True)
    best = wholes or brokens
    if not best:
        return Guess(None, foreign=unknown, other=names.most_common(1)[0][0] if names else "")
    protocol = best.most_common(1)[0][0]
    total = len(datagrams)
    whole = wholes[protocol]
    if whole + brokens[protocol] < CHANCE * total:
        return Guess(None, foreign=total, other=names.most_common(1)[0][0] if names else "")
    broken = reasons.get(protocol, Counter())
    return Guess(
        protocol,
        whole,
        broken,
        examples.get(protocol, {}),
        total - whole - brokens[protocol],
        next((name for name, _ in names.most_common() if name), ""),
    )


def claim(data: bytes) -> tuple[ProtocolName, Refusal | None] | None:
    """The protocol whose marks a datagram bears, and why it is refused if it is; None: it bears none. Never raises."""
    if not data:
        return None
    first, size = data[0], len(data)
    if data.startswith(opentrackio.MAGIC):
        (item, *_) = opentrackio.parse(data)
        return "opentrackio", item if isinstance(item, Refusal) else None
    if first == 0x2F or data.startswith(b"#bundle\0"):
        return _osc(data)
    if first in b"{ \t\r\n" or 0x80 <= first <= 0x8F or first in (0xDE, 0xDF):
        found = _map(data)
        if found is not None:
            return found
    if size >= 4 and data[0] in (0x55, 0x56) and data[1] == 0x67:
        return "psn", _first_refusal(psn.parse(data))
    if data[:2] in (b"AT", b"TA") and data[2:4] in (b"C4", b"4C", b"D4", b"4D"):
        return "rttrpm", _first_refusal(rttrpm.parse(data))
    if (first == stype.HF and size == stype.HF_SIZE) or (first == stype.A5 and size == stype.A5_SIZE):
        (packet,) = stype.parse(data, checksum="ignore")
        return "stype", packet if isinstance(packet, Refusal) else None
    if first == mosys_f4.TYPE_F4 and size > mosys_f4.HEADER_SIZE and size >= mosys_f4.AXIS_SIZE * data[2] + 5:
        return "mosys_f4", _first_refusal(mosys_f4.parse(data, checksum="ignore"))
    if freed.TYPE_D1 in data[:1] and size >= freed.SIZE - 1 and size <= freed.MAX_DATAGRAM:
        return "freed", _first_refusal(freed.parse(data, checksum="ignore"))
    if cooke.END in data and first in b"dDN!":
        items = cooke.Assembler().feed(data)
        refusal = _first_refusal(items) if items else None
        if refusal is None or refusal.reason != "other_message":
            return "cooke", refusal
    return _natnet(data)


def stranger(data: bytes) -> str:
    """What a datagram of no tracking protocol is, in words; empty where that cannot be told."""
    for mark, at, name in STRANGERS:
        if data[at : at + len(mark)] == mark:
            return name
    if not any(data):
        return "zeros" if data else "empty datagrams"
    if all(32 <= b < 127 or b in (9, 10, 13) for b in data):
        return f"text ({data[:24].decode()!r}...)" if len(data) > 24 else f"text ({data.decode()!r})"
    return ""


def _first_refusal(items: Sequence[object]) -> Refusal | None:
    """The refusal of a datagram that holds nothing else."""
    if any(not isinstance(item, Refusal) for item in items):
        return None
    return next((item for item in items if isinstance(item, Refusal)), Refusal("short"))


def _osc(data: bytes) -> tuple[ProtocolName, Refusal | None]:
    items = osc.parse(data)
    good = [item for item in items if not isinstance(item, Refusal)]
    if any(item.address.startswith(vmc.PREFIX) for item in good):
        return "vmc", None
    if good:
        return "osc", None
    return "osc", next((item for item in items if isinstance(item, Refusal)), None)


def _map(data: bytes) -> tuple[ProtocolName, Refusal | None] | None:
    (pose,) = zmq_pose.parse(data)
    if not isinstance(pose, Refusal):
        return "zmq", None
    if b"position_m" in data:
        return "zmq", pose
    if data[:1] == b"{":
        (subjects,) = live_link.parse(data)
        if not isinstance(subjects, Refusal):
            return "live_link", None
        if b'"Location"' in data:
            return "live_link", subjects
    return None


def _natnet(data: bytes) -> tuple[ProtocolName, Refusal | None] | None:
    # Its mark is a small number and a length: only what decodes, or a message of a server cut short, is believed.
    (item,) = natnet.parse(data)
    if not isinstance(item, Refusal):
        return ("natnet", None) if not isinstance(item, natnet.Message) else None
    number = int.from_bytes(data[:2], "little")
    told = int.from_bytes(data[2:4], "little")
    if len(data) > 40 and number in SERVER_MESSAGES and abs(told - (len(data) - 4)) <= 32:
        return "natnet", item
    return None


def _is_cut_freed(datagrams: Sequence[bytes]) -> bool:
    reader = freed.StreamReader()
    found = sum(1 for data in datagrams for item in reader.feed(data) if not isinstance(item, Refusal))
    return found >= 3 and found * freed.SIZE > sum(map(len, datagrams)) // 2
