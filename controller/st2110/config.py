"""The configuration of a canvas that is sent as ST 2110-20, and what of a configuration cannot be."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from controller.st2110.rfc4175 import VideoForm, VideoFormatError
from controller.st2110.sdp import is_multicast
from stage.compiled import Canvas
from stage.config import Section
from stage.documents import join
from stage.errors import Problem

UdpPort = Annotated[int, Field(ge=1, le=65_535)]


class PathConfig(Section):
    """One way of a stream through the network."""

    destination: str
    """IPv4 address of a group (or of one receiver)."""
    port: UdpPort = 5004
    source: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:@-]{1,15}$")]
    """IPv4 address or name of the interface it leaves by."""
    source_port: Annotated[int, Field(ge=0, le=65_535)] = 0
    """0: any."""

    @field_validator("destination")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if IPv4Address(value).is_unspecified:
            raise ValueError("give an IPv4 address, such as 239.10.1.1")
        return value


class St2110Config(Section):
    """How a canvas is sent: uncompressed video in RTP (RFC 4175, ST 2110-20), over one path or two."""

    paths: Annotated[list[PathConfig], Field(min_length=1, max_length=2)]
    """Two carry the same packets (ST 2022-7): either may fail."""
    sampling: Literal["RGB", "YCbCr-4:2:2"] = "RGB"
    bits: Literal[8, 10, 12] | None = None
    """Left out, the canvas' own."""
    range: Literal["full", "narrow"] | None = None
    """Left out: RGB as the canvas has it, Y'CbCr narrow."""
    packing: Literal["auto", "general", "rows", "block"] = "auto"
    """general: packets as full as they get; rows: an equal part of one row each; auto: of these two the one that is far
    cheaper to send evenly; block: 1260 octets of pixels each."""
    payload_type: Annotated[int, Field(ge=96, le=127)] = 96
    ttl: Annotated[int, Field(ge=1, le=255)] = 32
    """How many routers multicast packets pass."""


def form_of(config: St2110Config, width_px: int, height_px: int, canvas_bits: int) -> VideoForm:
    """The form of a canvas on the wire."""
    return VideoForm(width_px, height_px, config.sampling, config.bits or canvas_bits)


def problems_of(name: str, config: St2110Config, canvas: Canvas, scale: int) -> list[Problem]:
    """What of one output cannot be sent. scale : divisor of the canvas as it is drawn."""
    path = join("outputs", name, "st2110")
    problems: list[Problem] = []
    form = form_of(config, canvas.width_px // scale, canvas.height_px // scale, canvas.encoding.bits)
    try:
        form.check(path)
    except VideoFormatError as error:
        problems += error.problems
    if config.sampling != "RGB" and canvas.encoding.primaries == "p3d65":
        detail = "there is no luma of P3 in ST 2110-20"
        problems.append(Problem("controller.video_format", f"{path}/sampling", detail, config.sampling, "choose RGB"))
    ways = [(way.destination, way.port) for way in config.paths]
    if len(ways) == 2 and ways[0] == ways[1] and not is_multicast(ways[0][0]):
        mend = "give the second its own address or port"
        problems.append(Problem("controller.same_path", f"{path}/paths/1", "both paths go to one place", ways[1], mend))
    return problems
