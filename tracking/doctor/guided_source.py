"""The guided check of a source that is configured: its datagrams read without corrections, and what to change of it.

What it proposes is proved before it is said: read with the proposal, the same moves must come out as they were made.
An alignment that fits is left as it stands; only what contradicts the moves is changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import degrees
from typing import Any, Final

import numpy as np

from stage.frames import Array, pan_tilt_roll_from_rotation, rotation_from_pan_tilt_roll, vector_from_rotation
from tracking.config import AngleOffsets, AngleSigns, AxisMap, PoseOffset, Source
from tracking.decoders import Assembler, Joiner, assembler_of, joiner_of, parser_of
from tracking.doctor.findings import Finding
from tracking.doctor.guided import Told, guided
from tracking.mapping import Mapping as SourceMapping
from tracking.mapping import mapping_of
from tracking.protocols import natnet
from tracking.receivers import Arrival
from tracking.sample import Refusal, Sample, Stamp
from tracking.senders_seen import SenderLock

MOST_SAMPLES: Final = 2000
"""Of a step; of longer ones every second is left out, again and again."""
CORRECTIONS: Final = ("signs", "axes", "offsets", "stage_from_tracker", "body_from_camera")


def uncorrected(source: Source) -> Source:
    """The source without anything that corrects or aligns what its tracker says."""
    return source.model_copy(
        update={
            "signs": AngleSigns(),
            "axes": AxisMap(),
            "offsets": AngleOffsets(),
            "stage_from_tracker": PoseOffset(),
            "body_from_camera": PoseOffset(),
        }
    )


class SourceReader:
    """Reads one source's datagrams as its stream does, without corrections. No clock."""

    def __init__(self, name: str, source: Source) -> None:
        self._source = uncorrected(source)
        self._mapping: SourceMapping = mapping_of(name, self._source)
        self._parse = parser_of(self._source)
        self._assemblers: dict[str, Assembler] = {}
        self._joiner: Joiner | None = joiner_of(self._mapping)
        self._lock = SenderLock()

    def feed(self, arrival: Arrival) -> Iterator[Array]:
        """`tracker_from_body`, [4, 4], of each pose in a datagram. Never raises."""
        stamp = Stamp(arrival.t_received_ns, arrival.t_received_ns)
        for item in self._items(arrival):
            if isinstance(item, Refusal) or not item.is_for(self._mapping):
                continue
            if arrival.host and not self._lock.lets_in((arrival.host, arrival.port), arrival.t_received_ns):
                continue
            joiner = self._joiner
            samples = item.samples(self._mapping, stamp) if joiner is None else joiner.feed(item, self._mapping, stamp)
            yield from (sample.tracker_from_body for sample in samples if isinstance(sample, Sample))

    def _items(self, arrival: Arrival) -> Any:
        if self._parse is not None:
            return self._parse(arrival.data)
        assembler = self._assemblers.get(arrival.host)
        if assembler is None:
            if len(self._assemblers) >= 16:
                self._assemblers.clear()
            assembler = self._assemblers[arrival.host] = assembler_of(self._source)
        if type(assembler) is natnet.Assembler:
            return assembler.feed(arrival.data, arrival.t_received_ns)
        return assembler.feed(arrival.data)


@dataclass(slots=True)
class Move:
    """What was read during one step."""

    poses: list[Array] = field(default_factory=list)
    """`tracker_from_body`, [4, 4] each, oldest first."""
    count: int = 0
    turned_deg: float = 0.0
    """The farthest it turned away from how it stood first."""
    moved_m: float = 0.0
    _every: int = 1

    def add(self, tracker_from_body: Array) -> None:
        """Take in one more pose."""
        self.count += 1
        if self.poses:
            first = self.poses[0]
            turn = vector_from_rotation(first[:3, :3].T @ tracker_from_body[:3, :3])
            self.turned_deg = max(self.turned_deg, degrees(float(np.linalg.norm(turn))))
            self.moved_m = max(self.moved_m, float(np.linalg.norm(tracker_from_body[:3, 3] - first[:3, 3])))
        if self.count % self._every == 0:
            self.poses.append(tracker_from_body)
        if len(self.poses) >= 2 * MOST_SAMPLES:
            self.poses = self.poses[::2]
            self._every *= 2


@dataclass(frozen=True, slots=True)
class Judged:
    """What a guided check says of a configured source.

    right : as it is configured, the moves come out as they were made, as far as they were. change : keys of the source
    to set (None: to remove) that make them so; empty when nothing is to be changed, or nothing was found that does.
    certain : whether every step was done and understood.
    """

    right: bool
    certain: bool
    findings: tuple[Finding, ...]
    change: dict[str, Any] = field(default_factory=dict)


def judge(name: str, source: Source, moves: Mapping[str, Move], nudge: Array | None = None) -> Judged:
    """Whether the moves come out right with a source, and if not, with what they do.

    source : as configured; nudge : [4, 4], the line-up's, before its alignment.
    """
    as_is = _told(name, source, moves, nudge)
    if not any(move.poses for step, move in moves.items() if step != "still"):
        return Judged(False, False, as_is.findings)
    if _agrees(as_is):
        return Judged(True, as_is.certain, as_is.findings)
    plain = _told(name, uncorrected(source), moves, None)
    if not plain.findings or any(f.code in ("doctor.guided_turns", "doctor.swapped") and f.weight == "fault"
                                 for f in plain.findings):  # fmt: skip
        return Judged(False, False, plain.findings)
    for candidate in _candidates(source, plain.keys, nudge):
        told = _told(name, candidate, moves, nudge)
        if _agrees(told):
            return Judged(False, told.certain, _said(plain, candidate, source), _change(source, candidate))
    return Judged(False, False, plain.findings)


def _told(name: str, source: Source, moves: Mapping[str, Move], nudge: Array | None) -> Told:
    mapping = mapping_of(name, source)
    steps: dict[str, tuple[Array, Array]] = {}
    for step, move in moves.items():
        if move.poses:
            read = np.array([mapping.read(pose) for pose in move.poses])
            if nudge is not None:
                read = nudge @ read
            steps[step] = (read[:, :3, 3], read[:, :3, :3])
    return guided(steps)


def _agrees(told: Told) -> bool:
    """Whether moves came out as they were made, as far as they were made; units are another matter."""
    return not told.keys and all(f.weight == "note" or f.code in ("doctor.unit", "doctor.guided_step")
                                 for f in told.findings)  # fmt: skip


def _candidates(source: Source, keys: Mapping[str, Any], nudge: Array | None) -> Iterator[Source]:
    """Sources that may be right, those first that leave more as it stands."""
    turns = {"signs": AngleSigns(**keys.get("signs", {})), "axes": AxisMap(**keys.get("axes", {}))}
    offsets = {"offsets": AngleOffsets(**keys.get("offsets", {}))}
    yield source.model_copy(update=turns)
    yield source.model_copy(update={**turns, **offsets})
    framed = _rotated(source.stage_from_tracker, keys.get("stage_from_tracker", {}), nudge)
    mounted = _rotated(source.body_from_camera, keys.get("body_from_camera", {}), None)
    for update in ({"stage_from_tracker": framed}, {"body_from_camera": mounted}):
        yield source.model_copy(update={**turns, **offsets, **update})
    yield source.model_copy(update={**turns, **offsets, "stage_from_tracker": framed, "body_from_camera": mounted})


def _rotated(offset: PoseOffset, angles: Mapping[str, float], nudge: Array | None) -> PoseOffset:
    """An offset with another rotation; what a nudge before it turns is taken out."""
    wanted = rotation_from_pan_tilt_roll(*(float(angles.get(f"{n}_deg", 0.0)) for n in ("pan", "tilt", "roll")))
    if nudge is not None:
        wanted = nudge[:3, :3].T @ wanted
    pan_deg, tilt_deg, roll_deg = (round(angle, 6) + 0.0 for angle in pan_tilt_roll_from_rotation(wanted))
    return offset.model_copy(update={"pan_deg": pan_deg, "tilt_deg": tilt_deg, "roll_deg": roll_deg})


def _change(source: Source, candidate: Source) -> dict[str, Any]:
    """Keys of the source to set; None: to remove."""
    change: dict[str, Any] = {}
    for key in CORRECTIONS:
        value = getattr(candidate, key)
        if value != getattr(source, key):
            told = value.model_dump(exclude_defaults=True)
            change[key] = told or None
    return change


def _said(plain: Told, candidate: Source, source: Source) -> tuple[Finding, ...]:
    """The findings, with the keys that are really proposed."""
    change = _change(source, candidate)
    out = []
    for finding in plain.findings:
        if finding.code in ("doctor.guided", "doctor.guided_right"):
            words = ", ".join(f"{key} {value if value is not None else 'removed'}" for key, value in change.items())
            says = finding.says if finding.code == "doctor.guided" else "its corrections turn what was right"
            finding = Finding("doctor.guided", "fault", says, f"right with: {words}", finding.tracker, change)
        out.append(finding)
    return tuple(out)
