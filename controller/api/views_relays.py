"""Relays as they are sent."""

from __future__ import annotations

from typing import Literal

from controller.api.views import View


class RelayView(View, frozen=True):
    """One relay: a camera's pose on its way to other programs."""

    id: str
    rev: int
    """Of the configuration."""
    camera: str
    protocol: Literal["freed", "opentrackio", "opentrackio_cbor", "osc", "osc_bundle"]
    targets: list[str]
    interface: str
    pose: Literal["predicted", "raw"]
    camera_id: int
    """FreeD."""
    source_number: int
    """OpenTrackIO."""
    camera_name: str | None
    """OSC: the camera's name in the address, when it is not its id."""
    encoders: bool
    """FreeD, raw: the tracker's own counts."""
    state: Literal["sending", "silent", "failed"]
    """silent: nothing has been sent in the last second, or its process has said nothing yet."""
    fault: str
    """Why it cannot send."""
    rate_hz: float
    """Poses in the last second."""
    poses: int
    datagrams: int
    unsendable: int
    """Poses the protocol cannot hold, and datagrams the network refused."""
