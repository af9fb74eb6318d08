"""Sections of a source for motion capture: how a NatNet server is reached, and how it is set up."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from tracking.protocols.natnet import COMMAND_PORT

SubjectKind = Literal["prop", "light", "performer"]


class NatNetSection(BaseModel):
    """OptiTrack Motive (or another NatNet server) and its streaming settings."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)

    server: Annotated[str, Field(max_length=64)] = ""
    """Address of the server, with `:port` when commands go elsewhere than 1510. It is then asked for names, for its
    clock and, in unicast, to send. Empty: only listened to; bodies are known by number."""
    up: Literal["y", "z"] = "y"
    """Motive's setting "up axis"."""
    bones: Literal["global", "local"] = "global"
    """Motive's setting "skeleton coordinates"."""

    @field_validator("server")
    @classmethod
    def _address(cls, server: str) -> str:
        if server:
            host, _, port = server.partition(":")
            try:
                ipaddress.IPv4Address(host)
                if port and not 0 < int(port) < 65536:
                    raise ValueError
            except ValueError as error:
                raise ValueError("the server's IPv4 address is needed (10.0.0.5, 10.0.0.5:1510)") from error
        return server

    @property
    def command_address(self) -> tuple[str, int] | None:
        """Where commands go; None: no server is told."""
        if not self.server:
            return None
        host, _, port = self.server.partition(":")
        return host, int(port or COMMAND_PORT)
