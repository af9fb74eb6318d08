"""The scene benchmark: both peers draw the same picture, and the report holds what it promises."""

from __future__ import annotations

import json

import numpy as np

from controller.bench import reference, scene


def test_both_peers_draw_the_same_and_are_measured() -> None:
    report = json.loads(json.dumps(scene.run(rounds=2, size=(320, 180))))
    assert report["picture_difference"]["mean"] < 0.02
    assert report["peers"]["openvolume"]["triangles"] > 95_000
    assert report["peers"]["openvolume"]["renderer"] == report["peers"]["panda3d"]["renderer"]
    assert len(report["ratios"]) == 2
    assert 0.05 < report["ratio"] < 20
    for name in scene.PEERS:
        assert 0 < report["ms"][name]["min"] <= report["ms"][name]["median"]


def test_the_reference_scene_is_what_it_says() -> None:
    bodies = reference.bodies()
    assert len(bodies) == 45
    assert 95_000 < sum(body.indices.size // 3 for body in bodies) < 110_000
    for body in bodies:
        assert np.allclose(np.linalg.norm(body.normals, axis=1), 1.0, atol=1e-5)
        a, b, c = (body.positions[body.indices[i::3]] for i in range(3))
        out = np.einsum("ni,ni->n", np.cross(b - a, c - a), body.normals[body.indices[::3]])
        assert (out >= -1e-6).all()
