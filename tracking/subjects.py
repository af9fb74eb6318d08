"""Subjects beside the cameras: props, lights and performers, with history, health and prediction like a camera's.

A subject is a stream of its own on its source's socket: the same packets, asked for another body.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from stage.frames import Array
from tracking.config import Source, TrackingConfig
from tracking.mapping import Mapping, mapping_of
from tracking.mocap_config import SubjectKind
from tracking.predict import PredictedPose
from tracking.sample import Sample
from tracking.skeleton import SPAN_NS, Skeleton, moved_on
from tracking.stream import SourceStream

LONGEST_AHEAD_NS = 100_000_000
"""Joints are carried on for so long; then they hold, as a pose does."""
JOINT_GAIN = 0.8
"""Share of a joint's velocity that is carried on: limbs turn back more often than cameras."""


@dataclass(frozen=True, slots=True, eq=False)
class PredictedSubject:
    """One subject at one photo time."""

    id: str
    kind: SubjectKind
    pose: PredictedPose
    """Its own pose and what it was made from; a performer's is the hips'."""
    skeleton: Skeleton | None = None
    """A performer's joints at the photo, in the axes of the pose."""

    @property
    def stage_from_subject(self) -> Array:
        """[4, 4]"""
        return self.pose.stage_from_camera

    def joints(self) -> Array:
        """Joints in the stage, [n, 7]: x y z metres, qx qy qz qw."""
        return (self.skeleton or Skeleton()).placed(self.stage_from_subject)


def subject_source(config: TrackingConfig, name: str) -> Source:
    """The source of a subject as a stream of its own: its selector and offset in place of the camera's."""
    subject = config.subjects[name]
    source = config.sources[subject.source]
    body = subject.body
    changes: dict[str, object] = {
        "camera": "",
        "camera_name": body or name,
        "body": body,
        "pose_point": "sensor",
        "body_from_camera": subject.body_from_subject,
        "lens_table": None,
        "camera_id": int(body) & 0xFF if body.isdecimal() else None,
        "source_id": body if body.startswith("urn:") else None,
        "source_number": int(body) if body.isdecimal() and 1 <= int(body) <= 200 else None,
    }
    return source.model_copy(update=changes)


def subject_mapping(config: TrackingConfig, name: str, source: Source) -> Mapping:
    """How packets become samples of a subject; `source` as `subject_source` made it."""
    subject = config.subjects[name]
    return replace(mapping_of(subject.source, source), camera=name, kind=subject.kind)


def stream_name(subject: str) -> str:
    """Name of a subject's stream among the sources': no source id has a slash."""
    return f"subjects/{subject}"


def predicted_subject(name: str, state: SourceStream, pose: PredictedPose) -> PredictedSubject:
    """A subject whose pose is predicted: a performer's joints are carried on beside it."""
    kind = state.mapping.kind
    assert kind != "camera"
    skeleton = _joints(state, pose)
    return PredictedSubject(name, kind, pose, skeleton)


def _joints(state: SourceStream, pose: PredictedPose) -> Skeleton | None:
    samples = state.history.samples
    newest = samples[-1]
    if newest.skeleton is None:
        return None
    older = _older(samples)
    ahead_ns = max(-SPAN_NS, min(pose.horizon_ns, LONGEST_AHEAD_NS))
    if older is None or state.source.prediction == "off":
        return newest.skeleton
    apart_ns = newest.t_sampled_ns - older.t_sampled_ns
    return moved_on(newest.skeleton, older.skeleton, apart_ns, ahead_ns, JOINT_GAIN)


def _older(samples: list[Sample]) -> Sample | None:
    """The sample that joints' velocities are taken from."""
    newest = samples[-1]
    found = None
    for sample in reversed(samples[:-1]):
        if newest.t_sampled_ns - sample.t_sampled_ns > SPAN_NS and found is not None:
            break
        if newest.t_sampled_ns - sample.t_sampled_ns > 4 * SPAN_NS:
            break
        found = sample
    return found
