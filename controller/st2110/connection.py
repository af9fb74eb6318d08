"""Where a stream goes: what IS-05 calls transport parameters, in our own words."""

from __future__ import annotations

from msgspec import Struct

from controller.st2110.sdp import Path


class Leg(Struct, frozen=True):
    """One path of a stream."""

    destination: str
    port: int
    source: str
    """Address of the interface it leaves by."""
    source_port: int = 0
    """0: any."""
    enabled: bool = True

    @property
    def path(self) -> Path:
        """As packets take it."""
        return Path(self.destination, self.port, self.source, self.source_port)


class Connection(Struct, frozen=True):
    """Where a stream goes, and whether it does."""

    legs: list[Leg]
    enabled: bool = True
    receiver: str = ""
    """NMOS id of the receiver it is meant for, where somebody said so."""

    @property
    def paths(self) -> list[Path]:
        """Those that packets take."""
        return [leg.path for leg in self.legs if leg.enabled] if self.enabled else []
