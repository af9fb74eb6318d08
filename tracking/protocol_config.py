"""Sections of a source for protocols that leave something open: axes, units, and which body is meant."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from stage.frames import StypeConvention
from stage.rate import Rate, parse_rate
from tracking.protocols.freed_makers import Maker

CenterShift = Literal["off", "right_down", "right_up"]
"""Where a positive centre shift moves the picture's centre on the sensor."""


def _text(value: object) -> object:
    """YAML reads 50 and 59.94 as numbers."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


class ProtocolSection(BaseModel):
    """What all sections have in common."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


class CookeSection(ProtocolSection):
    """How a Cooke /i lens is read."""

    asks: bool = True
    """On a serial line: tell the lens to send its data, in metric units. False: only listen to what another device (a
    camera, a recorder) has it send."""
    units: Literal["auto", "metric", "imperial"] = "auto"
    """Of its distances: millimetres or tenths of an inch. auto: metric when it is asked for that, else as the lens says
    it starts."""
    focal_length: Literal["zoom", "nominal", "off"] = "zoom"
    """Whose focal length is taken: a zoom's own (whole millimetres; a lens table by `zoom_raw`, its normalised zoom, is
    finer); of primes the printed one too; none."""


class FreeDSection(ProtocolSection):
    """Who sends FreeD, and whether messages may be cut by datagrams."""

    maker: Maker = "generic"
    """What the maker puts into zoom, focus and the two spare bytes."""
    stream: bool = False
    """Messages come as a stream of bytes (a serial bridge): one may begin in a datagram and end in the next."""


class OpenTrackIOSection(ProtocolSection):
    """What OpenTrackIO's document leaves to the sender."""

    offsets: Literal["after", "before", "off"] = "after"
    """`timing.synchronization.offsets`, seconds between sync and sample of translation, rotation and lens: each was
    sampled so long after its stamp, before it, or they are not used."""


class MosysF4Section(ProtocolSection):
    """What the pixels of Mo-Sys F4 are, and how its distortion is read."""

    image_width_px: int = Field(1920, ge=16, le=65536)
    """Width of the picture whose pixels focal length and centre are told in."""
    distortion: Literal["d_u", "u_d", "off"] = "d_u"
    """K1 and K2: from the distorted to the undistorted picture, the other way, or not used."""
    center_shift: CenterShift = "right_down"
    """Of the centre offset."""


class StypeSection(ProtocolSection):
    """What stYpe's numbers mean."""

    convention: StypeConvention = "right_hand"
    """Signs of the angles and the direction at zero: `right_hand` (Y up, right-handed, looking along -Z, all angles by
    the right-hand rule), or as one of three open clients reads them."""
    rate: Annotated[str, BeforeValidator(_text), Field(max_length=16)] = ""
    """Packets a second (`50`, `59.94`, `24000/1001`), if they are locked to it: the packet number then stamps the
    samples. Empty: their arrival does."""
    focus: Literal["auto", "normalised", "distance"] = "auto"
    """What the focus field is: 0 close to 1 infinity, metres, or (auto) metres when it is above 1."""
    center_shift: CenterShift = "off"

    @field_validator("rate")
    @classmethod
    def _is_a_rate(cls, rate: str) -> str:
        if rate:
            packet_rate(rate)
        return rate

    @property
    def packet_rate(self) -> Rate | None:
        """Packets a second; None: not said."""
        return packet_rate(self.rate) if self.rate else None


class PsnSection(ProtocolSection):
    """PosiStageNet says "x right, y up, z depth" and no more."""

    handedness: Literal["left", "right"] = "left"
    """left: depth grows away from the audience; right: toward it."""


class RttrpmSection(ProtocolSection):
    """What RTTrPM leaves to the sender."""

    up: Literal["z", "y"] = "z"
    """z: X right, Y away from the audience, Z up (BlackTrax's default); y: X right, Y up, Z toward the audience."""
    euler: Literal["intrinsic", "extrinsic"] = "intrinsic"
    """Whether each Euler angle turns about the turned axes or about the fixed ones."""
    point: int | None = Field(None, ge=0, le=255)
    """Follow this tracked point (LED) instead of the centroid."""
    timestamp_hz: float | None = Field(None, gt=0.0, le=1e9)
    """Ticks a second of the trackables' time stamps. Empty: arrivals, less the latency told, stamp the samples."""


class LiveLinkSection(ProtocolSection):
    """Which part of a Live Link subject is the camera."""

    bone: Annotated[str, Field(max_length=256)] = ""
    """Name of the bone; empty: the first one. Bones are taken as they stand: in the frame of their parent."""


def packet_rate(rate: str) -> Rate:
    """A rate as text: a frame rate, or packets a second.

    Raises
    ------
    ValueError : neither.
    """
    try:
        return parse_rate(rate)
    except ValueError:
        if rate.isdecimal() and 1 <= int(rate) <= 1000:
            return Rate(int(rate))
        raise ValueError(f"{rate!r} is no rate (50, 59.94, 24000/1001)") from None
