"""Session descriptions of ST 2110-20 streams: what a receiver is told, once for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from controller.st2110.rfc4175 import Packing, VideoForm
from stage.rate import Rate

Colorimetry = Literal["BT709", "BT2020", "BT2100", "UNSPECIFIED"]
Transfer = Literal["SDR", "PQ", "HLG"]


@dataclass(frozen=True, slots=True)
class Path:
    """One way through the network."""

    destination: str
    port: int
    source: str
    """Address of the interface it leaves by."""
    source_port: int = 0
    """0: any."""


@dataclass(frozen=True, slots=True)
class Clock:
    """What the media clock follows: a grandmaster (`AA-BB-CC-FF-FE-DD-EE-FF` and its domain), or this host alone."""

    grandmaster: str = ""
    domain: int = 0
    mac: str = "00-00-00-00-00-00"

    @property
    def line(self) -> str:
        """ts-refclk"""
        if self.grandmaster:
            return f"a=ts-refclk:ptp=IEEE1588-2008:{self.grandmaster}:{self.domain}"
        return f"a=ts-refclk:localmac={self.mac}"


def session(
    name: str,
    form: VideoForm,
    rate: Rate,
    paths: tuple[Path, ...],
    *,
    session_id: int,
    version: int | None = None,
    payload_type: int = 96,
    packing: Packing = "general",
    colorimetry: Colorimetry = "BT709",
    transfer: Transfer = "SDR",
    range_: Literal["narrow", "full"] = "narrow",
    ttl: int = 32,
    clocks: tuple[Clock, ...] = (),
) -> str:
    """The description. Two paths make a duplicate stream (ST 2022-7): media `primary` and `secondary`.

    `TP=2110TPW`: packets leave by the system's clock, so receivers must take the wide model; no narrower one is
    claimed.

    version : of the session, counted up when anything of it changes; clocks : one per path, or one for all.
    """
    rational = f"{rate.num}" if rate.den == 1 else f"{rate.num}/{rate.den}"
    changed = session_id if version is None else version
    lines = ["v=0", f"o=- {session_id} {changed} IN IP4 {paths[0].source}", f"s={name}", "t=0 0"]
    if len(paths) == 2:
        lines.append("a=group:DUP primary secondary")
    for index, path in enumerate(paths):
        lines += [
            f"m=video {path.port} RTP/AVP {payload_type}",
            f"c=IN IP4 {path.destination}{_ttl(path.destination, ttl)}",
        ]
        if is_multicast(path.destination):
            lines.append(f"a=source-filter: incl IN IP4 {path.destination} {path.source}")
        described = (
            f"sampling={form.sampling}; width={form.width_px}; height={form.height_px}; exactframerate={rational}; "
            f"depth={form.bits}; TCS={transfer}; colorimetry={colorimetry}; "
            f"PM={'2110BPM' if packing == 'block' else '2110GPM'}; SSN=ST2110-20:2017; TP=2110TPW"
        )
        if range_ == "full":
            described += "; RANGE=FULL"
        clock = clocks[min(index, len(clocks) - 1)] if clocks else Clock()
        lines += [f"a=rtpmap:{payload_type} raw/90000", f"a=fmtp:{payload_type} {described}", clock.line]
        lines.append("a=mediaclk:direct=0")
        if len(paths) == 2:
            lines.append(f"a=mid:{'primary' if index == 0 else 'secondary'}")
    return "\r\n".join(lines) + "\r\n"


def is_multicast(address: str) -> bool:
    """Whether an IPv4 address is a group's."""
    return 224 <= int(address.split(".", 1)[0]) <= 239


def _ttl(address: str, ttl: int) -> str:
    return f"/{ttl}" if is_multicast(address) else ""
