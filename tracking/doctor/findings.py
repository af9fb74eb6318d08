"""What the doctor says: findings, figures, and a report of each stream."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

Weight = Literal["fault", "note"]


class Finding(Struct, frozen=True):
    """One thing that was found.

    code: stable, `doctor.<situation>`; weight: `fault` matters on the wall, `note` is worth knowing; says: what it is;
    seen: the figures it was told by; tracker: what to change at the tracker; source: keys of the source to change here.
    """

    code: str
    weight: Weight
    says: str
    seen: str = ""
    tracker: str = ""
    source: dict[str, Any] = {}


class Flow(Struct, frozen=True):
    """How one body's packets arrive."""

    packets: int = 0
    seconds_s: float = 0.0
    rate_hz: float = 0.0
    jitter_ms: float = 0.0
    """Standard deviation of how late packets are against an even pace."""
    latest_ms: float = 0.0
    """How late the latest one in a hundred is, against the earliest."""
    lost_ratio: float = 0.0
    duplicate_ratio: float = 0.0
    reorder_ratio: float = 0.0
    longest_gap_ms: float = 0.0
    counted_by: str = "arrivals"
    """What loss was counted by: the sender's `counter`, its `time`, or the gaps between `arrivals`."""
    counter: str = ""
    """Which of the sender's numbers counts its packets; empty: none."""


class ClockReport(Struct, frozen=True):
    """What stamps the samples."""

    source: Literal["time_stamp", "time_code", "counter", "time_tag", "arrival"] = "arrival"
    epoch: str = ""
    """tai, unix, day (time of day), other; empty: not known."""
    drift_ppm: float | None = None
    jumps: int = 0
    stands: bool = False


class BodyReport(Struct, frozen=True):
    """One camera (or other body) that a sender tells of."""

    name: str
    flow: Flow
    clock: ClockReport
    samples: int
    refused: dict[str, int]
    position_m: tuple[float, float, float] | None = None
    """Where it stood in the middle of the recording, stage axes, as read without corrections."""
    angles_deg: tuple[float, float, float] | None = None
    """Pan, tilt, roll there."""
    moved_m: float = 0.0
    """Length of the box its positions fill."""
    turned_deg: float = 0.0
    """Farthest it turned from there."""
    findings: tuple[Finding, ...] = ()
    source: dict[str, Any] = {}
    """The source to configure, corrections included."""


class SenderReport(Struct, frozen=True):
    """One sender to one address."""

    listen: str
    sender: str
    """address:port; empty: not known."""
    protocol: str
    """Empty: nothing that is read."""
    about: str = ""
    """More about the format: version, encoding, maker, server."""
    checksum: str = ""
    """Style of the checksum, in words; empty: the protocol has none."""
    datagrams: int = 0
    datagrams_hz: float = 0.0
    bytes_min: int = 0
    bytes_max: int = 0
    bodies: tuple[BodyReport, ...] = ()
    findings: tuple[Finding, ...] = ()


class Report(Struct, frozen=True):
    """Everything that was examined."""

    senders: tuple[SenderReport, ...] = ()
    findings: tuple[Finding, ...] = ()
    """About addresses as a whole: nothing came, two senders."""
    section: str = ""
    """YAML to paste: the `tracking` section."""

    @property
    def faults(self) -> list[Finding]:
        """Every finding that matters."""
        found = [*self.findings]
        for sender in self.senders:
            found += sender.findings
            for body in sender.bodies:
                found += body.findings
        return [finding for finding in found if finding.weight == "fault"]
