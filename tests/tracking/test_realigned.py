"""A tracker that is elsewhere in an instant and stays there: the picture goes there without a jump, whenever it was."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.clock import VirtualClock
from stage.frames import pose
from stage.rate import Rate
from tracking.config import TrackingConfig
from tracking.encoders import encoder
from tracking.inputs import TrackingInputs
from tracking.moment import Moment

S, MS = 1_000_000_000, 1_000_000


@pytest.mark.parametrize("fps", [24, 25, 60])
@pytest.mark.parametrize("blind", [False, True])
@pytest.mark.parametrize("phase", [0, 3, 6])
def test_the_picture_goes_there_step_by_step(fps: int, phase: int, blind: bool) -> None:
    """blind: no frame is planned while the source is doubted, so that nobody has seen it overdue."""
    clock = VirtualClock(S)
    source = {"protocol": "zmq", "camera": "a", "listen": "tcp://127.0.0.1:5556"}
    inputs = TrackingInputs(TrackingConfig.model_validate({"sources": {"t": source}}), clock, rate=Rate(fps))
    encode, places = encoder("zmq", rate=Rate(60)), []
    n = 0
    for frame in range(6 * fps):
        now_ns = S + frame * S // fps + phase * S // fps // 8
        while S + n * S // 60 <= now_ns:
            clock.advance_to(max(clock.now_ns(), S + n * S // 60))
            x_m = 2.0 if 2 <= n / 60 < 3 else 0.0
            for data in encode(Moment(pose((x_m, 0.0, 1.5)), n, 10**15 + n * S // 60)):
                inputs.inject("t", data)
            n += 1
        clock.advance_to(now_ns)
        if blind and 2.0 <= (now_ns - S) / S < 2.22:
            continue
        predicted = inputs.predict("a", now_ns + 60 * MS)
        if predicted is not None:
            places.append(float(predicted.stage_from_camera[0, 3]))
        inputs.adapt()
    assert max(places) > 0.5
    assert places[-1] == pytest.approx(0.0, abs=1e-3)
    assert np.abs(np.diff(places)).max() <= 0.0751
