"""The tracking section: what is accepted, what is refused and in which words."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tracking.config import Source, TrackingConfig


def config(**sources: dict[str, Any]) -> TrackingConfig:
    return TrackingConfig.model_validate({"sources": sources})


FREED: dict[str, Any] = {"protocol": "freed", "listen": "127.0.0.1:40000", "camera": "a"}


def test_defaults() -> None:
    source = config(t=FREED).sources["t"]
    assert (source.pose_point, source.prediction, source.match, source.delay_ms) == ("body", "auto", "auto", 0.0)
    assert source.stage_from_tracker.pose().tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    assert TrackingConfig().sources == {}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"listen": "40000"}, "host:port"),
        ({"listen": "tracker.local:40000"}, "not an IPv4 address"),
        ({"listen": "127.0.0.1:70000"}, "host:port"),
        ({"camera": "Camera A"}, "pattern"),
        ({"speed": 1}, "Extra inputs"),
        ({"delay_ms": float("nan")}, "finite"),
        ({"stage_from_tracker": {"x_m": float("inf")}}, "finite"),
        ({"stage_from_tracker": {"x": 1.0}}, "Extra inputs"),
        ({"axes": {"x": "y"}}, "must be used once"),
        ({"signs": {"pan": 0}}, "Input should be 1 or -1"),
        ({"allow": ["10.0.0.300"]}, "not an address or network"),
        ({"interface": "eth0"}, "IPv4 address of a network interface"),
        ({"source_id": "urn:x"}, "belongs to opentrackio"),
        ({"protocol": "psn", "camera_id": 1}, "belongs to freed and mosys_f4"),
        ({"protocol": "psn", "psn": {"handedness": "both"}}, "Input should be 'left' or 'right'"),
        ({"protocol": "stype", "stype": {"rate": "often"}}, "is no rate"),
        ({"protocol": "stype", "stype": {"rate": 0}}, "is no rate"),
        ({"protocol": "stype", "stype": {"convention": "left_hand"}}, "right_hand"),
        ({"protocol": "mosys_f4", "mosys_f4": {"image_width_px": 0}}, "greater than or equal to 16"),
        ({"protocol": "rttrpm", "rttrpm": {"timestamp_hz": 0}}, "greater than 0"),
        ({"freed": {"maker": "acme"}}, "generic"),
        ({"protocol": "live_link", "lens_table": {"focal_length_mm": [[0, 24], [9, 70]]}}, "carries no lens encoders"),
        ({"camera_id": 256}, "less than or equal to 255"),
        ({"lens_table": {"focal_length_mm": [[0, 24]]}}, "at least two rows"),
        ({"lens_table": {"focal_length_mm": [[9, 24], [9, 70]]}}, "must rise"),
        ({"protocol": "osc", "osc": {"preset": "none"}}, "unknown preset"),
        ({"protocol": "osc", "osc": {"address": "pose"}}, "starts with /"),
        ({"protocol": "osc", "osc": {"fields": ["x_m", "y_m"]}}, "x, y and z are needed"),
        ({"protocol": "osc", "osc": {"fields": ["x_m", "y_m", "z_m"]}}, "rotation is needed"),
        ({"protocol": "osc", "osc": {"fields": ["x_m", "x_m"]}}, "named twice"),
        ({"protocol": "osc", "osc": {"frame": "unity"}}, "takes a quaternion"),
        ({"protocol": "zmq"}, "endpoint"),
        ({"protocol": "zmq", "listen": "tcp://127.0.0.1:5556", "allow": ["10.0.0.1"]}, "does not tell the sender"),
    ],
)
def test_refusals_say_what_is_wrong(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        config(t=FREED | change)


def test_sources_share_a_socket_only_as_equals() -> None:
    shared = config(a=FREED | {"camera_id": 1}, b=FREED | {"camera": "b", "camera_id": 2})
    assert shared.sources["a"].link == shared.sources["b"].link
    with pytest.raises(ValidationError, match="one address carries one protocol"):
        config(a=FREED, b=FREED | {"protocol": "opentrackio"})
    with pytest.raises(ValidationError, match="must agree"):
        config(a=FREED, b=FREED | {"checksum": "zero"})


def test_zmq_binds_by_mode() -> None:
    def zmq(**options: object) -> Source:
        tree = {"protocol": "zmq", "listen": "tcp://127.0.0.1:5556", "camera": "a", "zmq": options}
        return Source.model_validate(tree)

    assert not zmq().zmq.binds
    assert zmq(mode="pull").zmq.binds
    assert zmq(bind=True).zmq.binds


def test_what_sources_on_one_socket_must_agree_on() -> None:
    stype: dict[str, Any] = {"protocol": "stype", "listen": "127.0.0.1:6301", "camera": "a"}
    config(one=stype, two=stype | {"camera": "b", "stype": {"convention": "a5_client"}})
    with pytest.raises(ValidationError, match="what stamps their samples"):
        config(one=stype, two=stype | {"camera": "b", "stype": {"rate": 50}})


@pytest.mark.parametrize(("rate", "hz"), [(50, 50.0), ("59.94", 60000 / 1001), (59.94, 60000 / 1001), ("240", 240.0)])
def test_rates_of_packets(rate: Any, hz: float) -> None:
    source = config(t={"protocol": "stype", "listen": "127.0.0.1:6301", "camera": "a", "stype": {"rate": rate}})
    exact = source.sources["t"].stype.packet_rate
    assert exact is not None
    assert exact.hz == hz
