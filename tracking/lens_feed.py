"""A camera's lens by a source of its own (Cooke /i) beside the one that moves it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import msgspec

from tracking.health import State
from tracking.predict import PredictedPose
from tracking.sample import LensReading
from tracking.stream import SourceStream


def lens_of(
    own: LensReading | None, lenses: Iterable[SourceStream], t_photo_ns: int, now_ns: int
) -> LensReading | None:
    """What is known of the lens at a photo. own : what comes with the pose.

    What the lens itself says counts, while it is heard; once it is lost, what comes with the pose does, and of the rest
    its last word.
    """
    for state in lenses:
        track = state.lens_track
        if track is None:
            continue
        said = track.at(t_photo_ns, predict=state.source.prediction != "off")
        if said is None:
            continue
        if own is None:
            own = said
        elif state.health.step(now_ns) in (State.OK, State.COASTING):
            own = said.over(own)
        else:
            own = own.over(said)
    return own


def with_lens(
    predicted: PredictedPose | None, lenses: Iterable[SourceStream], t_photo_ns: int, now_ns: int
) -> PredictedPose | None:
    """A prediction with its camera's lens as its own sources know it."""
    if predicted is None:
        return None
    sample = predicted.sample
    lens = lens_of(sample.lens, lenses, t_photo_ns, now_ns)
    return predicted if lens is sample.lens else replace(predicted, sample=msgspec.structs.replace(sample, lens=lens))
