"""A camera's lens by a source of its own (Cooke /i) beside the one that moves it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import msgspec

from stage.overscan import PoseErrors
from tracking.health import State
from tracking.predict import PredictedPose
from tracking.sample import LensReading
from tracking.stream import SourceStream


def lens_of(
    own: LensReading | None, lenses: Iterable[SourceStream], t_photo_ns: int, now_ns: int
) -> LensReading | None:
    """What is known of the lens at a photo. own: what comes with the pose.

    What the lens itself says counts, while it is heard; once it is lost, what comes with the pose does, and of the rest
    its last word.
    """
    return _foretold(own, lenses, t_photo_ns, now_ns)[0]


def lens_at_photo(
    own: LensReading | None, errors: PoseErrors | None, lenses: Iterable[SourceStream], t_photo_ns: int, now_ns: int
) -> tuple[LensReading | None, PoseErrors | None]:
    """The lens a photo is planned with, which is judged by what the lens says of it later, and the camera's errors
    with those of its focal length. own, errors : what comes with the pose, and how wrong its predictions were."""
    lens, said_by = _foretold(own, lenses, t_photo_ns, now_ns)
    if lens is None or said_by is None:
        return lens, errors
    said_by.lens_judge.remember(t_photo_ns, lens)
    return lens, said_by.lens_judge.errors(errors)


def with_lens(
    predicted: PredictedPose | None, lenses: Iterable[SourceStream], t_photo_ns: int, now_ns: int
) -> PredictedPose | None:
    """A prediction with its camera's lens as its own sources know it."""
    if predicted is None:
        return None
    sample = predicted.sample
    lens, errors = lens_at_photo(sample.lens, predicted.errors, lenses, t_photo_ns, now_ns)
    if lens is not sample.lens:
        sample = msgspec.structs.replace(sample, lens=lens)
    return replace(predicted, sample=sample, errors=errors)


def _foretold(
    own: LensReading | None, lenses: Iterable[SourceStream], t_photo_ns: int, now_ns: int
) -> tuple[LensReading | None, SourceStream | None]:
    """What is known of the lens at a photo, and which of its own sources tells the focal length; None: the pose's."""
    said_by: SourceStream | None = None
    for state in lenses:
        track = state.lens_track
        if track is None:
            continue
        said = track.at(t_photo_ns, predict=state.source.prediction != "off")
        if said is None:
            continue
        heard = state.health.step(now_ns) in (State.OK, State.COASTING)
        if own is None:
            own, counts = said, True
        elif heard:
            own, counts = said.over(own), True
        else:
            counts = own.focal_length_mm is None
            own = own.over(said)
        if counts and said.focal_length_mm is not None:
            said_by = state if heard else None
    return own, said_by
