"""The simulated mocap servers: what NatNet and VMC senders say comes out again, camera and performer alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from runtime.clock import VirtualClock
from stage.frames import Array
from stage.rate import Rate
from tracking.config import TrackingConfig
from tracking.encoders import encoder
from tracking.inputs import TrackingInputs
from tracking.mocap_encoders import FIGURE, MARK, figure_at
from tracking.moves import move
from tracking.sender import capture
from tracking.skeleton import chained

RATE = Rate(50)


def globals_at(t_s: float) -> list[Array]:
    out: list[Array] = []
    for local, (_, parent, _, _) in zip(figure_at(t_s), FIGURE, strict=True):
        out.append(local if parent < 0 else out[parent] @ local)
    return out


@pytest.mark.parametrize("protocol", ["natnet", "vmc"])
@pytest.mark.parametrize("up", ["y", "z"])
def test_camera_and_performer_come_out_again(protocol: str, up: str) -> None:
    source: dict[str, Any] = {"protocol": protocol, "listen": "127.0.0.1:1511", "camera": "a", "pose_point": "sensor"}
    if protocol == "natnet":
        source["natnet"] = {"up": up}
    config = TrackingConfig.model_validate(
        {
            "sources": {"s": source},
            "subjects": {"dancer": {"source": "s", "kind": "performer"}},
        }
    )
    clock = VirtualClock(0)
    inputs = TrackingInputs(config, clock)
    pose_at = move("handheld").pose
    spoken = "vmc_performer" if protocol == "vmc" else protocol
    encode = encoder(spoken, rate=RATE, source=config.sources["s"])
    for n, datagrams in enumerate(capture(pose_at, encode, RATE, 20)):
        clock.advance_to(n * 20_000_000)
        for datagram in datagrams:
            inputs.inject("s", datagram, n * 20_000_000)
    t_s = 19 / 50
    camera, dancer = inputs.latest("a"), inputs.latest_subject("dancer")
    assert camera is not None
    assert dancer is not None
    assert np.allclose(camera.stage_from_camera, pose_at(t_s), atol=1e-5)
    assert dancer.skeleton is not None
    wanted = dict(zip((bone[0] for bone in FIGURE), globals_at(t_s), strict=True))
    assert np.allclose(dancer.stage_from_camera, wanted["Hips"], atol=1e-5)
    found = dict(zip(dancer.skeleton.names, dancer.skeleton.placed(dancer.stage_from_camera), strict=True))
    assert set(found) == set(wanted)
    for name, pose in wanted.items():
        assert np.allclose(found[name][:3], pose[:3, 3], atol=1e-5), name
    if protocol == "vmc":
        assert 0.0 <= dancer.skeleton.blend_shapes["A"] <= 1.0
    assert inputs.statistics()["s"].refused == {}


def test_the_figure_stands_on_the_floor_and_swings() -> None:
    feet = [globals_at(t)[i][2, 3] for t in (0.0, 0.5) for i in (13, 16)]
    assert np.allclose(feet, 0.06, atol=0.01)
    hands = [globals_at(t)[7][:3, 3] @ MARK[:3, 1] for t in (0.25, 0.75)]
    assert abs(hands[0] - hands[1]) > 0.3
    local = [(*p[:3, 3], 0.0, 0.0, 0.0, 1.0) for p in figure_at(0.0)[1:]]
    assert len(chained(local, (-1,) * len(local))) == len(FIGURE) - 1
