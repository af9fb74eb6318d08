"""The `time` section of the configuration: what frames get their time from, and what their labels count from."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from stage.config import Section
from stage.errors import Problem
from stage.rate import Rate
from stage.timecode import drops, label_rate

Milliseconds = Annotated[float, Field(ge=-10_000.0, le=10_000.0)]
Path_ = Annotated[str, Field(min_length=1, max_length=4096)]


class _TimecodeSource(Section):
    """What every kind of outside time code has in common."""

    labels_per_s: Literal[24, 25, 30] | None = None
    """Labels a second it carries; left out: the fastest that divides the show's rate (30 at 120)."""
    agree_labels: Annotated[int, Field(ge=2, le=100)] = 4
    """Labels in a row that must agree before they are believed."""
    delay_ms: Milliseconds = 0.0
    """How late it arrives here; taken off before labels are matched with frames."""


class LtcConfig(_TimecodeSource):
    """Linear time code: audio, from one of `listen`, `path` or `device`."""

    type: Literal["ltc"]
    listen: str | None = None
    """UDP `host:port` that receives raw samples, signed 16 bit little-endian, `channels` interleaved."""
    path: Path_ | None = None
    """A FIFO such samples are written to, for instance by `arecord -t raw -f S16_LE`."""
    device: str | None = None
    """A sound card's input, by name or number; needs `pip install openvolume[audio]`. Empty: the default one."""
    sample_rate: Annotated[int, Field(ge=8000, le=384_000)] = 48000
    channels: Annotated[int, Field(ge=1, le=64)] = 1
    channel: Annotated[int, Field(ge=1, le=64)] = 1
    """The one that carries the time code, from 1."""
    steer: bool = True
    """Follow its phase and speed too, by 50 ppm at most; false: only its labels."""

    @field_validator("listen")
    @classmethod
    def _address(cls, listen: str | None) -> str | None:
        return None if listen is None else checked_address(listen)

    @model_validator(mode="after")
    def _one_way_in(self) -> LtcConfig:
        ways = [name for name in ("listen", "path", "device") if getattr(self, name) is not None]
        if len(ways) != 1:
            raise ValueError(f"give one of listen, path and device, not {', '.join(ways) or 'none'}")
        if self.channel > self.channels:
            raise ValueError(f"there is no channel {self.channel} among {self.channels}")
        return self


class MtcConfig(_TimecodeSource):
    """MIDI time code from a raw MIDI device. It tells labels; its moments are too coarse to steer by."""

    type: Literal["mtc"]
    path: Path_
    """`/dev/snd/midiC1D0`, or a FIFO."""


class ArtTimecodeConfig(_TimecodeSource):
    """Art-Net time code. It tells labels; its moments are the network's."""

    type: Literal["art_timecode"]
    listen: str = "127.0.0.1:6454"
    """`host:port`; 0.0.0.0 lets the network in."""
    allow: list[str] = []
    """Addresses it may come from; empty: any."""

    @field_validator("listen")
    @classmethod
    def _address(cls, listen: str) -> str:
        return checked_address(listen)

    @field_validator("allow")
    @classmethod
    def _addresses(cls, allow: list[str]) -> list[str]:
        for text in allow:
            ipaddress.ip_address(text)
        return allow


TimecodeSource = Annotated[LtcConfig | MtcConfig | ArtTimecodeConfig, Field(discriminator="type")]


class PtpConfig(Section):
    """Where ptp4l (linuxptp) is asked how it stands. It is never told anything."""

    socket: Path_ | None = None
    """Its management socket; left out: /var/run/ptp4l, then /var/run/ptp4lro."""
    domain: Annotated[int, Field(ge=0, le=255)] = 127
    """PTP domain; 127 is SMPTE ST 2059-2's."""


class TimeConfig(Section):
    """What frames get their time from."""

    reference: Literal["auto", "free", "system", "timecode", "display"] = "auto"
    """system: frame N is a function of TAI, so every host agrees; the system clock must be kept by PTP or NTP. free:
    frames count from the start. timecode: labels (and from LTC the phase) come from outside. display: frames begin
    `display_lead_ms` before the vertical blank of the monitors in `windows`. auto: system if the clock is kept and
    knows TAI when the show starts, else free."""
    display_lead_ms: Annotated[float, Field(ge=0.5, le=20.0)] = 4.0
    """Time a finished picture has to reach its monitor before the blank it is shown with; `reference: display`."""
    genlock_phase_deg: Annotated[float, Field(ge=-360.0, le=360.0)] = 0.0
    """Start of every wall frame after the reference's, in degrees of a frame."""
    drop_frame: bool | None = None
    """Labels of 29.97 and 59.94; left out: as the rate has them, or as the time code says."""
    label_offset_frames: Annotated[int, Field(ge=-100_000_000, le=100_000_000)] = 0
    """Added to every label: 86400 begins a free show of 24 frames a second at 01:00:00:00."""
    timecode: TimecodeSource | None = None
    ptp: PtpConfig = PtpConfig()

    @model_validator(mode="after")
    def _has_source(self) -> TimeConfig:
        if self.reference == "timecode" and self.timecode is None:
            raise ValueError("reference: timecode needs a timecode section, such as `timecode: {type: art_timecode}`")
        return self


def checked_address(text: str) -> str:
    """A `host:port` with a numeric host. Raises ValueError when it is none."""
    udp_address(text)
    return text


def udp_address(listen: str) -> tuple[str, int]:
    """Host and port of `host:port`.

    Raises
    ------
    ValueError : not an IPv4 address (or `localhost`) and a port 0..65535.
    """
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{listen!r} is not host:port (127.0.0.1:40000; 0.0.0.0:40000 for all interfaces)")
    if host == "localhost":
        host = "127.0.0.1"
    try:
        ipaddress.IPv4Address(host)
    except ValueError as error:
        raise ValueError(f"{host!r} is not an IPv4 address (127.0.0.1; 0.0.0.0 for all interfaces)") from error
    return host, int(port)


def time_problems(time: TimeConfig, rate: Rate) -> list[Problem]:
    """What does not fit the show's rate."""
    problems: list[Problem] = []
    if time.drop_frame and not drops(rate):
        detail = f"there are no drop-frame labels at {rate}: only 29.97 and 59.94 have them"
        problems.append(Problem("runtime.drop_frame", "time/drop_frame", detail, True, "remove it"))
    source = time.timecode
    if source is not None:
        try:
            label_rate(rate, source.labels_per_s)
        except ValueError as error:
            mend = "correct labels_per_s or the show's rate"
            problems.append(
                Problem("runtime.labels", "time/timecode/labels_per_s", str(error), source.labels_per_s, mend)
            )
    return problems
