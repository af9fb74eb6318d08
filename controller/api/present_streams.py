"""Builds the resources of canvases that are sent over the network: from what the sender says of them."""

from __future__ import annotations

from controller.api.backend import Backend
from controller.api.views_streams import StreamView
from controller.desk import Desk
from controller.st2110.role import configured_connection
from controller.st2110.status import StreamStatus


def streams(desk: Desk, backend: Backend) -> dict[str, StreamView]:
    """Every canvas that is to be sent."""
    outputs = desk.loaded.config.outputs
    return {name: stream(desk, backend, name) for name, output in outputs.items() if output.st2110 is not None}


def stream(desk: Desk, backend: Backend, name: str) -> StreamView:
    """One of them. Its revision counts with its connection and description."""
    status = status_of(desk, backend, name)
    return StreamView(
        id=name,
        rev=status.session,
        state=status.state,
        detail=status.detail,
        connection=status.connection,
        activated_tai_ns=status.activated_tai_ns,
        paths=status.paths,
        session=status.session,
        frame=status.frame,
        frames=status.frames,
        reasons=status.reasons,
        width_px=status.width_px,
        height_px=status.height_px,
        sampling=status.sampling,
        bits=status.bits,
        range=status.range,
        colorimetry=status.colorimetry,
        transfer=status.transfer,
        packets=status.packets,
        begun_ms=status.begun_ms,
        late_ms=status.late_ms,
        took_ms=status.took_ms,
        bucket=status.bucket,
        bucket_limit=status.bucket_limit,
        paced_by=status.paced_by,
    )


def status_of(desk: Desk, backend: Backend, name: str) -> StreamStatus:
    """What the sender says of one; as configured before it says anything."""
    told = backend.sender.streams.get(name) if backend.sender is not None else None
    if told is not None:
        return told
    config = desk.loaded.config.outputs[name].st2110
    assert config is not None
    return StreamStatus("waiting", configured_connection(config))
