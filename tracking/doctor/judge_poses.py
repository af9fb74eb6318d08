"""All that one body's poses tell: where it stood, how it moved, and everything found in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from stage.frames import Array, pan_tilt_roll_from_rotation
from tracking.config import ProtocolName
from tracking.doctor.bodies import Body, Poses, poses_of
from tracking.doctor.findings import Finding, Weight
from tracking.doctor.plausible import (
    frozen_findings,
    height_findings,
    jump_findings,
    unit_findings,
    upright_options,
)
from tracking.doctor.section import merged
from tracking.doctor.signs import sign_findings
from tracking.protocols.psn import PsnData
from tracking.protocols.rttrpm import EULER, RttrpmPacket
from tracking.protocols.vmc import VmcFigure

FULL_TURN_RAD: Final = 6.5
FEW: Final = 4
BEYOND: Final = 1e9
"""Of no unit of length a camera is so far away."""
CHOICES: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "natnet": (("natnet.up", "z"),),
    "rttrpm": (("rttrpm.up", "y"), ("rttrpm.euler", "extrinsic")),
    "stype": tuple(("stype.convention", name) for name in ("hf_client", "a5_client", "unreal_client")),
}
"""Settings that a protocol leaves open, beside what a source takes for granted. PosiStageNet's handedness is not among
them: read by the other hand a stage is its exact mirror image, which only the guided check sees."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What one body's poses told."""

    findings: list[Finding]
    position_m: tuple[float, float, float] | None = None
    angles_deg: tuple[float, float, float] | None = None
    moved_m: float = 0.0
    turned_deg: float = 0.0


def arrays_of(poses: Poses) -> tuple[Array, Array, Array]:
    """Arrival times, [n] ns, places, [n, 3] metres, and rotations, [n, 3, 3], of poses that could be meant."""
    good = [s for s in poses.samples if np.isfinite(m := s.tracker_from_body).all() and np.abs(m).max() < BEYOND]
    if not good:
        return np.zeros(0), np.zeros((0, 3)), np.zeros((0, 3, 3))
    stacked = np.array([s.tracker_from_body for s in good])
    return np.array([s.t_received_ns for s in good], dtype=np.float64), stacked[:, :3, 3], stacked[:, :3, :3]


def judged(protocol: ProtocolName, body: Body, keys: dict[str, Any], poses: Poses) -> Judged:
    """Everything found in a body's poses. keys: of the source they were read with."""
    times_ns, positions_m, rotations = arrays_of(poses)
    n = len(times_ns)
    if n == 0:
        return Judged([])
    middle = rotations[n // 2]
    trace = np.einsum("nij,ij->n", rotations, middle)
    turned_deg = float(np.degrees(np.arccos(np.clip((trace.min() - 1.0) / 2.0, -1.0, 1.0))))
    moved_m = float(np.linalg.norm(np.ptp(positions_m, axis=0)))
    x, y, z = (float(v) for v in np.median(positions_m, axis=0))
    findings = _turn_units(body)
    beyond = len(poses.samples) - n
    if beyond:
        weight: Weight = "fault" if beyond > 0.01 * len(poses.samples) else "note"
        seen = f"{beyond} of {len(poses.samples)}"
        findings.append(Finding("doctor.range", weight, "places beyond anything that could be meant", seen))
    if n >= FEW:
        units = unit_findings(protocol, positions_m, turned_deg, keys)
        findings += units
        options = _options(protocol, body, keys)
        findings += upright_options(rotations, options)
        if not any(f.weight == "fault" for f in findings):
            findings += height_findings(positions_m, rotations)
            findings += jump_findings(times_ns, positions_m, rotations)
            findings += frozen_findings(times_ns, positions_m, rotations)
        if not any(f.weight == "fault" for f in findings):
            findings += sign_findings(positions_m, rotations, options)
        if moved_m < 1e-3 and turned_deg < 0.1 and not isinstance(body.items[0][1], VmcFigure):
            findings.append(Finding("doctor.still", "note", "it did not move: move the camera to learn more"))
    return Judged(findings, (x, y, z), pan_tilt_roll_from_rotation(middle), moved_m, turned_deg)


def _options(protocol: ProtocolName, body: Body, keys: dict[str, Any]) -> dict[str, tuple[Array, Array]]:
    """The poses under each setting that the protocol leaves open, by its words."""
    choices = CHOICES.get(protocol, ())
    if protocol == "osc" and keys.get("osc", {}).get("preset") == "stage_quaternion":
        choices = (("osc.preset", "y_up"), ("osc.preset", "unity"))
    out = {}
    for key, value in choices:
        section, _, field = key.partition(".")
        _, positions_m, rotations = arrays_of(poses_of(protocol, body, merged(keys, {section: {field: value}})))
        if len(positions_m) >= FEW:
            out[f"{key}: {value}"] = (positions_m, rotations)
    return out


def _turn_units(body: Body) -> list[Finding]:
    """Turns beyond a full one, in protocols that carry radians."""
    largest = 0.0
    for _, packet in body.items:
        if isinstance(packet, PsnData):
            vectors = [t.orientation_rad for t in packet.trackers if str(t.id) == body.name and t.orientation_rad]
            largest = max([largest, *(float(np.linalg.norm(v)) for v in vectors)])
        elif isinstance(packet, RttrpmPacket):
            for trackable in packet.trackables:
                angles = [m.values for m in trackable.modules if m.kind == EULER and trackable.name == body.name]
                largest = max([largest, *(max(map(abs, v)) for v in angles if v)])
    if largest <= FULL_TURN_RAD:
        return []
    return [
        Finding(
            "doctor.degrees",
            "fault",
            "its turns look like degrees where radians belong",
            f"up to {largest:.1f}; a full turn is 6.28",
            "set the unit of turns in its output to radians",
        )
    ]
