"""OSC over UDP: messages and bundles, with the time tags they came under. What a message means, `osc_mapping` says.

Default, one message a pose, big-endian floats:
    /openvolume/camera/<id>/pose  x y z (m)  pan tilt roll (deg, stage signs)  [focal_length_mm [focus_distance_m]]
    /openvolume/camera/<id>/lens  focal_length_mm [focus_distance_m [entrance_pupil_m [f_stop]]]
Bundles are walked here (python-osc loops for ever on a negative element size and recurses without limit), and messages
of numbers and leading texts are read here (three times faster); all others go through python-osc's parser. Its
dispatcher is not used: it sleeps on time tags.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from pythonosc.osc_message import OscMessage as PythonOscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from tracking.protocols.osc_mapping import read_message
from tracking.sample import LensReading, Refusal, Sample, Stamp

if TYPE_CHECKING:
    from tracking.mapping import Mapping

NAME: Final = "osc"
MAX_DATAGRAM: Final = 9216
MAX_DEPTH: Final = 8
MAX_MESSAGES: Final = 256
MAX_ADDRESS: Final = 256
MAX_ARGUMENTS: Final = 256
IMMEDIATELY: Final = 1
"""The time tag that means "now"."""
NTP_TO_UNIX_S: Final = 2_208_988_800
_BUNDLE: Final = b"#bundle\0"
_TAGS: Final = frozenset(b"ifsbhdTFNrm[]")
_SIZES: Final = dict.fromkeys(b"ifrm", 4) | dict.fromkeys(b"hd", 8) | dict.fromkeys(b"TFN[]", 0)
"""Bytes of each argument of fixed size."""
_INT: Final = struct.Struct(">i")
_TAG: Final = struct.Struct(">Q")


class OscPacket(Struct, frozen=True, gc=False):
    """One OSC message with the time tag of the bundle it came in."""

    address: str
    arguments: tuple[Any, ...]
    time_tag: int | None = None
    """64 bit NTP time tag; None = it came bare."""
    data: bytes = b""
    """The message's own bytes."""
    position: int = 0
    """Which message of its datagram it is."""

    @classmethod
    def build(cls, address: str, arguments: tuple[Any, ...], *, time_tag: int | None = None) -> OscPacket:
        """A message of the given arguments: float -> f, int -> i, str -> s, bytes -> b, True/False/None."""
        builder = OscMessageBuilder(address=address)
        for argument in arguments:
            builder.add_arg(argument)
        message = builder.build()
        return cls(address, tuple(message.params), time_tag, message.dgram)

    def __bytes__(self) -> bytes:
        if self.time_tag is None:
            return self.data
        return b"".join((_BUNDLE, _TAG.pack(self.time_tag), _INT.pack(len(self.data)), self.data))

    @property
    def t_source_ns(self) -> int | None:
        """The bundle's time tag as Unix ns; None when there is none or it means "now"."""
        tag = self.time_tag
        if tag is None or tag <= IMMEDIATELY:
            return None
        return ((tag >> 32) - NTP_TO_UNIX_S) * 1_000_000_000 + ((tag & 0xFFFFFFFF) * 1_000_000_000 >> 32)

    @property
    def sequence(self) -> None:
        """OSC carries no counter."""
        return None

    def is_for(self, mapping: Mapping) -> bool:
        """Whether the message is one the source's mapping names."""
        osc = mapping.osc
        return osc is not None and osc.part_of(self.address, self.arguments) is not None

    def samples(self, mapping: Mapping, stamp: Stamp) -> list[Sample | LensReading | Refusal]:
        """The pose in stage units, of a message that holds a whole one (the parts of others go through a `Joiner`);
        a lens message gives a `LensReading`, which holds until the next one."""
        return read_message(self.address, self.arguments, mapping, stamp)


def parse(datagram: bytes) -> list[OscPacket | Refusal]:
    """Every message of a datagram, bundles opened. Never raises; a message with NaN or infinity is refused."""
    size = len(datagram)
    if size < 4:
        return [Refusal("short", f"{size} bytes")]
    if size > MAX_DATAGRAM:
        return [Refusal("long", f"{size} bytes")]
    if datagram[0] == 0x2F:  # "/"
        return [_message(datagram, None)]
    if not datagram.startswith(_BUNDLE):
        return [Refusal("magic", "neither a message nor a bundle")]
    out: list[OscPacket | Refusal] = []
    stack: list[tuple[bytes, int]] = [(datagram, 1)]
    while stack:
        bundle, depth = stack.pop()
        if len(bundle) < 16:
            out.append(Refusal("short", "bundle without a time tag"))
            continue
        time_tag = _TAG.unpack_from(bundle, 8)[0]
        inner: list[tuple[bytes, int]] = []
        at = 16
        while at < len(bundle):
            if len(out) >= MAX_MESSAGES:
                return [*out, Refusal("long", f"more than {MAX_MESSAGES} messages")]
            if at + 4 > len(bundle):
                out.append(Refusal("short", "bundle element cut off"))
                break
            length = _INT.unpack_from(bundle, at)[0]
            at += 4
            if length <= 0 or length % 4 or at + length > len(bundle):
                out.append(Refusal("malformed", f"bundle element of {length} bytes"))
                break
            element = bundle[at : at + length]
            at += length
            if element[0] == 0x2F:
                out.append(_message(element, time_tag, len(out)))
            elif not element.startswith(_BUNDLE):
                out.append(Refusal("magic", "bundle element is neither a message nor a bundle"))
            elif depth >= MAX_DEPTH:
                out.append(Refusal("depth", f"bundles nested deeper than {MAX_DEPTH}"))
            else:
                inner.append((element, depth + 1))
        stack.extend(reversed(inner))
    return out


def _message(data: bytes, time_tag: int | None, position: int = 0) -> OscPacket | Refusal:
    address_end = data.find(b"\0")
    if address_end < 0:
        return Refusal("malformed", "the address does not end")
    if address_end > MAX_ADDRESS:
        return Refusal("long", "address")
    begin = (address_end & ~3) + 4
    if len(data) > begin:
        tags_end = data.find(b"\0", begin)
        if data[begin] != 0x2C or tags_end < 0:
            return Refusal("malformed", "no type tags after the address")
        tags = data[begin + 1 : tags_end]
        if not _TAGS.issuperset(tags):
            return Refusal("type", "unknown type tag")
        if len(tags) > MAX_ARGUMENTS:
            return Refusal("long", f"{len(tags)} arguments")
        if tags.count(b"[") > MAX_DEPTH:
            return Refusal("depth", "too many arrays")
        if len(data) % 4:
            return Refusal("short", "arguments cut off")
        found = _numbers(data, (tags_end & ~3) + 4, tags)
        if found is None:
            # python-osc reads a missing number as 0: a message cut off would become a pose at the origin.
            if not _is_whole(data, begin, tags):
                return Refusal("short", "arguments cut off")
            found = _others(data)
    else:
        found = _others(data)
    if isinstance(found, Refusal):
        return found
    try:
        address = data[:address_end].decode()
    except UnicodeDecodeError:
        return Refusal("malformed", "UnicodeDecodeError")
    for value in found:
        if type(value) is float and not isfinite(value):
            return Refusal("nan", address)
    return OscPacket(address, found, time_tag, data, position)


@lru_cache(maxsize=256)
def _layout(tags: bytes) -> tuple[int, struct.Struct] | None:
    """How many texts lead, and the layout of the numbers after them; None: there is something else."""
    texts = len(tags) - len(tags.lstrip(b"s"))
    numbers = tags[texts:]
    if not frozenset(b"ifhd").issuperset(numbers):
        return None
    return texts, struct.Struct(">" + numbers.decode().replace("h", "q"))


def _numbers(data: bytes, at: int, tags: bytes) -> tuple[Any, ...] | Refusal | None:
    """The arguments of a message of leading texts and numbers; None: it is not of that kind."""
    layout = _layout(tags)
    if layout is None:
        return None
    texts: list[str] = []
    for _ in range(layout[0]):
        end = data.find(b"\0", at)
        if end < 0:
            return Refusal("short", "arguments cut off")
        try:
            texts.append(data[at:end].decode())
        except UnicodeDecodeError:
            return Refusal("malformed", "UnicodeDecodeError")
        at = (end & ~3) + 4
    try:
        return (*texts, *layout[1].unpack_from(data, at))
    except struct.error:
        return Refusal("short", "arguments cut off")


def _others(data: bytes) -> tuple[Any, ...] | Refusal:
    try:
        return tuple(PythonOscMessage(data))
    except Exception as error:  # noqa: BLE001 - python-osc raises more than it documents: it is one bad message
        return Refusal("malformed", type(error).__name__)


def _is_whole(data: bytes, comma: int, tags: bytes) -> bool:
    """Whether the arguments that the type tags announce are all there."""
    at = comma + (len(tags) + 5 & ~3)
    for tag in tags:
        if tag == 0x73:  # s
            end = data.find(b"\0", at)
            if end < 0:
                return False
            at += (end - at & ~3) + 4
        elif tag == 0x62:  # b
            if at + 4 > len(data):
                return False
            size = _INT.unpack_from(data, at)[0]
            if size < 0:
                return False
            at += 4 + (size + 3 & ~3)
        else:
            at += _SIZES[tag]
    return at <= len(data)


def bundle(packets: Sequence[OscPacket], time_tag: int = IMMEDIATELY) -> bytes:
    """One bundle of messages; the tags they came under are left out."""
    elements = (part for packet in packets for part in (_INT.pack(len(packet.data)), packet.data))
    return b"".join((_BUNDLE, _TAG.pack(time_tag), *elements))


def time_tag_from_unix_ns(t_unix_ns: int) -> int:
    """64 bit NTP time tag of a Unix time, ns."""
    seconds, rest = divmod(t_unix_ns, 1_000_000_000)
    # Rounded up, so that the tag turns back into the very nanosecond it was made from.
    return ((seconds + NTP_TO_UNIX_S) << 32) + -((-rest << 32) // 1_000_000_000)
