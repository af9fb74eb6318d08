"""Builds the resources of relays: from the configuration, and from what their process says of them."""

from __future__ import annotations

from controller.api.backend import Backend
from controller.api.views_relays import RelayView
from controller.desk import Desk
from controller.relay_status import RelayTold


def relays(desk: Desk, backend: Backend) -> dict[str, RelayView]:
    """Every relay."""
    return {name: relay(desk, backend, name) for name in desk.loaded.config.tracking.relays}


def relay(desk: Desk, backend: Backend, name: str) -> RelayView:
    """One relay."""
    config = desk.loaded.config.tracking.relays[name]
    status = backend.relay
    told = RelayTold() if status is None or status.state == "stopped" else status.relays.get(name, RelayTold())
    return RelayView(
        id=name,
        rev=desk.rev_of("config"),
        camera=config.camera,
        protocol=config.protocol,
        targets=list(config.targets),
        interface=config.interface,
        pose=config.pose,
        camera_id=config.camera_id,
        source_number=config.source_number,
        camera_name=config.camera_name,
        encoders=config.encoders,
        state="failed" if told.fault else "sending" if told.rate_hz else "silent",
        fault=told.fault,
        rate_hz=told.rate_hz,
        poses=told.poses,
        datagrams=told.datagrams,
        unsendable=told.unsendable,
    )
