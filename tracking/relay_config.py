"""The `tracking/relays` section of the configuration: cameras' poses sent on to other programs."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from runtime.config import udp_address
from tracking.osc_config import OscSection

RelayProtocol = Literal["freed", "opentrackio", "opentrackio_cbor", "osc", "osc_bundle"]


class Relay(BaseModel):
    """One camera's pose, in the stage frame, to any number of programs."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)

    camera: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
    protocol: RelayProtocol
    """`osc_bundle`: each pose in a bundle with a time tag."""
    targets: Annotated[list[str], Field(min_length=1, max_length=64)]
    """`host:port` of each; multicast groups too."""
    interface: str = ""
    """Address of the network interface multicast goes out on; empty: the system's choice."""
    pose: Literal["predicted", "raw"] = "predicted"
    """`predicted`: once a frame, as drawn: at the middle of the exposure; `raw`: every sample as it arrives, after
    alignment, gates and fail-over."""
    camera_id: Annotated[int, Field(ge=0, le=254)] = 1
    """FreeD."""
    source_number: Annotated[int, Field(ge=1, le=200)] = 1
    """OpenTrackIO."""
    camera_name: str | None = None
    """OSC: the camera's name in the address, when it is not its id."""
    encoders: bool = False
    """FreeD, raw: zoom and focus are the tracker's own counts; else focal length in mm x 100 and focus in mm."""
    osc: OscSection = OscSection()

    @field_validator("targets")
    @classmethod
    def _addresses(cls, targets: list[str]) -> list[str]:
        for target in targets:
            if udp_address(target)[1] == 0:
                raise ValueError(f"{target!r}: port 0 receives nothing")
        if len(set(targets)) < len(targets):
            raise ValueError("a target stands twice")
        return targets

    @field_validator("interface")
    @classmethod
    def _interface(cls, interface: str) -> str:
        if interface:
            try:
                ipaddress.IPv4Address(interface)
            except ValueError as error:
                raise ValueError("the IPv4 address of a network interface is needed") from error
        return interface

    @model_validator(mode="after")
    def _fits(self) -> Relay:
        if self.encoders and (self.protocol != "freed" or self.pose != "raw"):
            raise ValueError("encoders are passed on by raw FreeD relays only")
        if self.osc != OscSection() and not self.protocol.startswith("osc"):
            raise ValueError(f"osc belongs to OSC relays, this one is {self.protocol}")
        return self


def reaches(target: str, listen: str) -> bool:
    """Whether what is sent to `target` arrives at `listen` on this machine: it would feed itself."""
    try:
        (host, port), (heard, at) = udp_address(target), udp_address(listen)
    except ValueError:
        return False  # an endpoint of another kind
    if port != at:
        return False
    to, on = ipaddress.IPv4Address(host), ipaddress.IPv4Address(heard)
    return to == on or (not on.is_multicast and (on.is_unspecified or (to.is_loopback and on.is_loopback)))
