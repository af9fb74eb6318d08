"""How good prediction is on a path, beside what is possible: holding, constant velocity, and the best linear predictor.

The best linear predictor of a path is found by least squares on that very path, for each axis and each time ahead by
itself, over the last 2, 4, 8 or 12 samples, whichever does best: it knows the future it is judged by. Its weights sum
to one: where on the stage the origin lies is no foresight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stage.frames import Array, pan_tilt_roll_from_rotation, pose_from_pan_tilt_roll
from stage.rate import NS_PER_S
from tracking.config import Gates, Source
from tracking.encoders import freed_packet
from tracking.history import History
from tracking.lattice import vectors_of
from tracking.mapping import Mapping, mapping_of
from tracking.moment import Moment
from tracking.moves import move
from tracking.play import read_take, usual_step_s
from tracking.predict import Predictor
from tracking.protocols import freed, mosys_f4
from tracking.sample import Sample, Stamp

AHEAD_MS: Final = (20, 40, 80, 160, 292)
SAMPLES_USED: Final = (2, 4, 8, 12)
WAYS: Final = ("predicted", "linear", "held", "velocity")
MOST_RMS: Final = 1.15
"""Times the best linear predictor's."""
MOST_P95: Final = 1.05
"""Times the better of holding and constant velocity."""
FINEST_DEG, FINEST_MM = 0.002, 0.05
"""Errors below this are no errors: no tracker tells as much."""
_F4_HEADER, _F4_AXIS = 4, 5

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Path:
    """What a tracker told of one camera's movement, evenly sampled."""

    name: str
    hz: float
    poses: Array
    """[n, 4, 4]  `stage_from_camera` as decoded."""
    pose_at: Callable[[float], Array] | None = None
    """Where the camera really was, t in seconds from the first sample; None: on the line between the samples."""
    from_s: float = 0.5
    """Judged from here on."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Errors of one way to predict."""

    rms: float
    p95: float


@dataclass(frozen=True, slots=True)
class Mark:
    """One time ahead on one path, turning (deg) or moving (mm), by the ways of `WAYS`."""

    path: str
    ahead_ms: float
    unit: str
    ways: dict[str, Spread]

    @property
    def rms_ratio(self) -> float:
        """RMS over the best linear predictor's."""
        return self.ways["predicted"].rms / max(self.ways["linear"].rms, 1e-300)

    @property
    def p95_ratio(self) -> float:
        """p95 over the better of holding and constant velocity."""
        return self.ways["predicted"].p95 / max(min(self.ways["held"].p95, self.ways["velocity"].p95), 1e-300)

    @property
    def good(self) -> bool:
        """Whether both bars hold."""
        finest = FINEST_DEG if self.unit == "deg" else FINEST_MM
        found = self.ways["predicted"]
        return (self.rms_ratio <= MOST_RMS or found.rms <= finest) and (
            self.p95_ratio <= MOST_P95 or found.p95 <= finest
        )


def simulated_path(name: str, *, hz: int = 60, seconds: float = 60.0, seed: int = 1, from_s: float = 10.0) -> Path:
    """A simulated move as FreeD tells it (1/64 mm, 1/32768 degree), judged by where the camera really was."""
    named = move(name, seed)
    mapping = _freed_mapping()
    poses = []
    for n in range(int(seconds * hz)):
        packet = freed_packet(Moment(named.pose(n / hz), n, n * NS_PER_S // hz))
        poses += [s.stage_from_camera for s in packet.samples(mapping, Stamp()) if isinstance(s, Sample)]
    return Path(name, hz, np.array(poses), named.pose, from_s)


def recorded_path(file: FilePath) -> Path:
    """A recorded take: FreeD datagrams in JSON lines, or Mo-Sys F4 packets one after the other (`.f4`).

    Raises
    ------
    PlayError : not lines of datagrams.
    ValueError : holds no poses.
    """
    if file.suffix == ".f4":
        poses, hz = _f4_poses(file.read_bytes())
    else:
        lines, mapping = read_take(file), _freed_mapping()
        hz = 1.0 / usual_step_s(line.t_s for line in lines)
        packets = [p for line in lines for data in line.datagrams for p in freed.parse(data)]
        told = [s for p in packets if isinstance(p, freed.FreeDPacket) for s in p.samples(mapping, Stamp())]
        poses = [s.stage_from_camera for s in told if isinstance(s, Sample)]
    if not poses:
        raise ValueError(f"{file} holds no poses of FreeD or Mo-Sys F4")
    return Path(file.stem, hz, np.array(poses))


def marks_of(path: Path, *, ahead_ms: Sequence[float] = AHEAD_MS) -> list[Mark]:
    """Every time ahead on a path, turning and moving. Times ahead shorter than a sample of a recorded path are left
    out: nobody knows the truth between two samples."""
    chart = path.poses[len(path.poses) // 2, :3, :3]
    told = _values(path.poses, chart)
    chosen = [a for a in ahead_ms if path.pose_at is not None or a * path.hz >= 999.0]
    predicted = _predicted(path, chart, chosen)
    out = []
    for ahead, displaced in zip(chosen, predicted, strict=True):
        steps = ahead * path.hz / 1000.0
        first = max(*SAMPLES_USED, int(path.from_s * path.hz))
        rows = np.arange(first, len(told) - int(np.ceil(steps)))
        true = _truth(path, chart, told, rows, steps) - told[rows]
        errors = {
            "predicted": true - displaced[rows],
            "held": true,
            "velocity": true - steps * (told[rows] - told[rows - 1]),
        }
        fits = [_least_squares(told, rows, true, count) for count in SAMPLES_USED]
        for unit, axes, scale in (("deg", slice(0, 3), np.degrees(1.0)), ("mm", slice(3, 6), 1000.0)):
            ways = {way: _spread(error[:, axes] * scale) for way, error in errors.items()}
            ways["linear"] = min((_spread(fit[:, axes] * scale) for fit in fits), key=lambda s: s.rms)
            out.append(Mark(path.name, ahead, unit, {way: ways[way] for way in WAYS}))
    return out


def overshoots_deg(
    *, ahead_ms: float, hz: int = 60, pan_deg: float = 10.0, move_s: float = 1.5, pans: int = 10
) -> tuple[float, float]:
    """How far prediction and constant velocity run past the stops of pans of `pan_deg` in `move_s`, each ended in a
    second's rest; the worst after two pans of learning, degrees."""
    round_s = move_s + 1.0

    def pan_at(t_s: float) -> float:
        number, inside_s = divmod(t_s, round_s)
        s = min(inside_s / move_s, 1.0)
        eased = s**3 * (10.0 - 15.0 * s + 6.0 * s * s)
        return pan_deg * (eased if number % 2 == 0 else 1.0 - eased)

    history, predictor = History(_OPEN), Predictor()
    worst = [0.0, 0.0]
    for n in range(int(pans * round_s * hz)):
        t_ns = n * NS_PER_S // hz
        now_deg, before_deg = pan_at(n / hz), pan_at((n - 1) / hz)
        camera = pose_from_pan_tilt_roll((0.0, 0.0, 1.5), pan_deg=now_deg)
        history.add(Sample("path", "a", t_ns, t_ns, camera, camera))
        predicted = predictor.predict(history, t_ns + int(ahead_ms * 1e6), 0)
        predictor.adapt(history)
        if n > 2 * round_s * hz:
            velocity = now_deg + (now_deg - before_deg) * hz * ahead_ms / 1000.0
            for i, seen_deg in enumerate((pan_tilt_roll_from_rotation(predicted)[0], velocity)):
                worst[i] = max(worst[i], seen_deg - pan_deg, -seen_deg)
    return worst[0], worst[1]


_OPEN: Final = Gates(speed_m_s=1000.0, turn_deg_s=36_000.0, range_m=1000.0)


def _predicted(path: Path, chart: Array, ahead_ms: Sequence[float]) -> list[Array]:
    """The predictor's displacements at every sample, [n, 6], for each time ahead, learning as it goes."""
    history, predictor = History(_OPEN), Predictor()
    seen: list[list[Array]] = [[] for _ in ahead_ms]
    for n, camera in enumerate(path.poses):
        t_ns = round(n * NS_PER_S / path.hz)
        history.add(Sample("path", "a", t_ns, t_ns, camera, camera))
        for out, ahead in zip(seen, ahead_ms, strict=True):
            out.append(predictor.predict(history, t_ns + int(ahead * 1e6), 0))
        predictor.adapt(history)
    told = _values(path.poses, chart)
    return [_values(np.array(out), chart) - told for out in seen]


def _values(poses: Array, chart: Array) -> Array:
    """Turn (rad, in the chart) and position (m), [n, 6]."""
    return np.concatenate([vectors_of(chart.T @ poses[:, :3, :3]), poses[:, :3, 3]], axis=1)


def _truth(path: Path, chart: Array, told: Array, rows: Rows, steps: float) -> Array:
    if path.pose_at is not None:
        return _values(np.array([path.pose_at((row + steps) / path.hz) for row in rows]), chart)
    whole = int(steps + 1e-9)
    share = steps - whole
    after = told[rows + whole]
    return np.asarray(after if share < 1e-6 else after + (told[rows + whole + 1] - after) * share)


def _least_squares(told: Array, rows: Rows, true: Array, count: int) -> Array:
    """Errors of the best weights on the last `count` samples, each axis by itself, [n, 6]."""
    out = np.empty_like(true)
    for axis in range(6):
        # Weights that sum to one are weights on the steps between the samples.
        steps = np.stack([told[rows - i, axis] - told[rows - i - 1, axis] for i in range(count - 1)], axis=1)
        weights, *_ = np.linalg.lstsq(steps, true[:, axis], rcond=None)
        out[:, axis] = true[:, axis] - steps @ weights
    return out


def _spread(errors: Array) -> Spread:
    far = np.sqrt((errors * errors).sum(axis=1))
    return Spread(float(np.sqrt((far * far).mean())), float(np.quantile(far, 0.95)))


def _freed_mapping() -> Mapping:
    return mapping_of("path", Source(protocol="freed", listen="127.0.0.1:1", camera="a"))


def _f4_poses(data: bytes) -> tuple[list[Array], float]:
    mapping = mapping_of("path", Source(protocol="mosys_f4", listen="127.0.0.1:1", camera="a"))
    poses: list[Array] = []
    hz, at = 25.0, 0
    while at + _F4_HEADER < len(data):
        size = _F4_HEADER + 1 + _F4_AXIS * data[at + 2]
        for packet in mosys_f4.parse(data[at : at + size]):
            if isinstance(packet, mosys_f4.F4Packet):
                poses += [s.stage_from_camera for s in packet.samples(mapping, Stamp()) if isinstance(s, Sample)]
                if packet.timecode is not None and packet.timecode.fps is not None:
                    hz = float(packet.timecode.fps)
        at += size
    return poses, hz
