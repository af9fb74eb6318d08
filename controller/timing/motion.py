"""The simulated camera and its tracker: where the camera truly is at any time, and what its tracker says, with faults.

The move is a pure function of time in the stage frame, and it is the truth. What the tracker sends is worked back
through the source's alignment, so that a wrong alignment on the way in would be seen as a pose error.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from itertools import count
from typing import Final

import numpy as np

from runtime.clock import NS_PER_S, Clock
from stage.cameras import Camera
from stage.frames import (
    Array,
    inverse_pose,
    pan_tilt_roll_from_rotation,
    pose,
    rotation_from_pan_tilt_roll,
    transform_points,
)
from stage.rate import Rate
from tracking.config import Source
from tracking.encoders import encoder
from tracking.faults import Faults, Timed
from tracking.mapping import Mapping, mapping_of
from tracking.moment import Moment
from tracking.moves import move as named_move
from tracking.sender import Sender

Deliver = Callable[[Timed], None]
NOISE_MM: Final = 0.1
NOISE_DEG: Final = 0.01
NOISE_SAMPLES: Final = 1 << 14


class TrueCamera:
    """Where a simulated camera is. Before the tracker began it stands at its first pose."""

    def __init__(self, camera: Camera, move: str, seed: int) -> None:
        self.camera = camera
        self._pose_at = named_move(move, seed).pose
        self.t0_ns: int | None = None
        """When the move began; None before."""

    def stage_from_camera(self, t_ns: int) -> Array:
        """The sensor's pose, [4, 4], at a monotonic instant."""
        return self._pose_at(0.0 if self.t0_ns is None else (t_ns - self.t0_ns) / NS_PER_S)

    def poses(self, t_ns: Sequence[int]) -> Array:
        """The same for many instants, [n, 4, 4]."""
        if not len(t_ns):
            return np.zeros((0, 4, 4))
        return np.stack([self.stage_from_camera(int(t)) for t in t_ns])


def tracker_pose(mapping: Mapping, stage_from_camera: Array, entrance_pupil_m: float) -> Array:
    """What a tracker that is aligned as `mapping` says must report, [4, 4], for a sensor that stands at a pose."""
    out = stage_from_camera
    if mapping.pose_point == "pupil":
        out = pose(transform_points(out, (0.0, entrance_pupil_m, 0.0)), out[:3, :3])
    if mapping.stage_from_tracker is not None:
        out = inverse_pose(mapping.stage_from_tracker) @ out
    if mapping.body_from_camera is not None:
        out = out @ inverse_pose(mapping.body_from_camera)
    if mapping.axes is None and mapping.signs is None:
        return out
    out = np.array(out)
    if mapping.axes is not None:
        out[:3, 3] = mapping.axes.T @ out[:3, 3]
    if mapping.signs is not None:
        angles = pan_tilt_roll_from_rotation(out)
        said = (s * (a - o) for s, a, o in zip(mapping.signs, angles, mapping.offsets_deg, strict=True))
        out[:3, :3] = rotation_from_pan_tilt_roll(*said)
    return out


class Noise:
    """How a tracker's poses scatter about the truth, root mean square of each axis: good optical trackers do so.

    The same sample of the same seed scatters the same way; after NOISE_SAMPLES it begins again.
    """

    def __init__(self, seed: int, *, position_mm: float = NOISE_MM, rotation_deg: float = NOISE_DEG) -> None:
        table = np.random.default_rng(seed).standard_normal((NOISE_SAMPLES, 6))
        table[:, :3] *= position_mm / 1000.0
        table[:, 3:] *= np.radians(rotation_deg)
        self._table = table

    def on(self, stage_from_camera: Array, number: int) -> Array:
        """A pose, [4, 4], as sample `number` measures it."""
        x, y, z, a, b, c = self._table[number % NOISE_SAMPLES].tolist()
        out = np.array(stage_from_camera)
        # So small a turn needs no more than its first order.
        out[:3, :3] = out[:3, :3] @ ((1.0, -c, b), (c, 1.0, -a), (-b, a, 1.0))
        out[:3, 3] += (x, y, z)
        return out


class Spell:
    """Some faults, and when they may act: the tracker's and the wire's own times count from `begin_ns`."""

    def __init__(self, begin_ns: int, end_ns: int, faults: Faults) -> None:
        self.begin_ns, self.end_ns, self.faults = begin_ns, end_ns, faults

    def holds(self, t_ns: int) -> bool:
        """Whether it is its turn."""
        return self.begin_ns <= t_ns < self.end_ns


class SimulatedTracker:
    """Role. Follows a true camera, and says where it is in a source's own protocol.

    deliver : gets each datagram when it arrives. source : as configured; `protocol` may name a variant of its
    protocol (`osc_bundle`, `zmq_msgpack`, `opentrackio_cbor`).
    """

    def __init__(
        self,
        name: str,
        source: Source,
        true: TrueCamera,
        clock: Clock,
        deliver: Deliver,
        *,
        samples: Rate,
        protocol: str | None = None,
        spells: Sequence[Spell] = (),
        noise: Noise | None = None,
    ) -> None:
        self.name = name
        self.true = true
        self.spells = list(spells)
        self._clock, self._deliver = clock, deliver
        mapping = mapping_of(name, source, true.camera.body_from_sensor)
        pupil_m = true.camera.lens.entrance_pupil_m
        delay_s = source.delay_ms / 1000.0
        spoken = protocol if protocol is not None and protocol.startswith(source.protocol) else source.protocol
        self._encode = encoder(
            spoken,
            camera=source.camera_name or source.camera,
            rate=samples,
            camera_id=1 if source.camera_id is None else source.camera_id,
            source_number=source.source_number or 1,
        )

        def pose_at(t_s: float) -> Array:
            # A source whose poses are late by configuration is given a tracker whose poses are.
            stage_from_camera = true.stage_from_camera(self._began_ns + round((t_s - delay_s) * NS_PER_S))
            if noise is not None:
                stage_from_camera = noise.on(stage_from_camera, round(t_s * samples.hz))
            return tracker_pose(mapping, stage_from_camera, pupil_m)

        self._sender = Sender(
            pose_at, self._spoken, self, clock, samples, unix_time=not spoken.startswith("opentrackio")
        )
        self._now_ns = 0
        self._began_ns = -1
        """When the sender's own time began."""
        self._waiting: list[tuple[int, int, Timed]] = []
        self._ages = count()

    @property
    def sent(self) -> int:
        """Samples said so far."""
        return self._sender.sent

    def start(self) -> None:
        """Nothing is held."""

    def step(self, now_ns: int) -> int:
        """Say what is due; hand over what arrives now."""
        if self._began_ns < 0:
            self._began_ns = now_ns
            if self.true.t0_ns is None:
                self.true.t0_ns = now_ns
        self._now_ns = now_ns
        due_ns = self._sender.step(now_ns)
        waiting = self._waiting
        while waiting and waiting[0][0] <= now_ns:
            self._deliver(heapq.heappop(waiting)[2])
        return min(due_ns, waiting[0][0]) if waiting else due_ns

    def stop(self) -> None:
        """Nothing is held."""

    def send(self, data: bytes) -> None:
        """One datagram from the sender: what the wire makes of it."""
        item = Timed(self._now_ns, data)
        spell = self._spell()
        for out in [item] if spell is None else spell.faults.feed(item):
            heapq.heappush(self._waiting, (out.reads_ns, next(self._ages), out))

    def close(self) -> None:
        """Nothing is held."""

    def _spoken(self, moment: Moment) -> list[bytes]:
        spell = self._spell()
        if spell is None:
            return self._encode(moment)
        try:
            return self._encode(spell.faults.spoil(moment, self._now_ns))
        except (ValueError, OverflowError):
            # A protocol of whole numbers cannot say it.
            return self._encode(moment)

    def _spell(self) -> Spell | None:
        return next((spell for spell in self.spells if spell.holds(self._now_ns)), None)
