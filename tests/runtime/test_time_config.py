"""The `time` section: what it takes, and what it says about what it does not take."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from runtime.config import ArtTimecodeConfig, LtcConfig, MtcConfig, TimeConfig, time_problems, udp_address
from stage.rate import RATES


def test_nothing_needs_to_be_said() -> None:
    time = TimeConfig()
    assert (time.reference, time.timecode, time.ptp.domain, time.drop_frame) == ("auto", None, 127, None)
    assert time_problems(time, RATES["24"]) == []


@pytest.mark.parametrize(
    ("timecode", "kind"),
    [
        ({"type": "ltc", "device": ""}, LtcConfig),
        ({"type": "ltc", "listen": "127.0.0.1:5004", "channels": 2, "channel": 2, "steer": False}, LtcConfig),
        ({"type": "mtc", "path": "/dev/snd/midiC1D0"}, MtcConfig),
        ({"type": "art_timecode", "allow": ["10.0.0.7"]}, ArtTimecodeConfig),
    ],
)
def test_every_kind_of_time_code(timecode: dict[str, Any], kind: type) -> None:
    time = TimeConfig.model_validate({"reference": "timecode", "timecode": timecode})
    assert isinstance(time.timecode, kind)
    assert TimeConfig.model_validate(time.model_dump()) == time


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"reference": "timecode"}, "needs a timecode section"),
        ({"reference": "gps"}, "'auto', 'free', 'system', 'timecode' or 'display'"),
        ({"timecode": {"type": "ltc"}}, "one of listen, path and device"),
        ({"timecode": {"type": "ltc", "listen": "127.0.0.1:1", "path": "/x"}}, "one of listen, path and device"),
        ({"timecode": {"type": "ltc", "path": "/x", "channel": 3}}, "no channel 3"),
        ({"timecode": {"type": "ltc", "listen": "studio:5004"}}, "IPv4"),
        ({"timecode": {"type": "ltc", "path": "/x", "sample_rate": 4000}}, "8000"),
        ({"timecode": {"type": "art_timecode", "allow": ["somebody"]}}, "somebody"),
        ({"timecode": {"type": "art_timecode", "labels_per_s": 60}}, "24, 25 or 30"),
        ({"timecode": {"type": "vitc"}}, "ltc"),
        ({"genlock_phase_deg": float("nan")}, "finite"),
        ({"ptp": {"domain": 256}}, "255"),
        ({"tai": 37}, "Extra inputs"),
    ],
)
def test_what_it_refuses(section: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        TimeConfig.model_validate(section)


def test_what_does_not_fit_the_rate() -> None:
    (problem,) = time_problems(TimeConfig(drop_frame=True), RATES["25"])
    assert (problem.code, problem.path) == ("runtime.drop_frame", "time/drop_frame")
    time = TimeConfig.model_validate({"timecode": {"type": "art_timecode", "labels_per_s": 30}})
    (problem,) = time_problems(time, RATES["50"])
    assert problem.path == "time/timecode/labels_per_s"
    assert "use 25" in problem.detail
    assert time_problems(time, RATES["59.94"]) == []
    assert time_problems(TimeConfig(drop_frame=True), RATES["59.94"]) == []


def test_addresses() -> None:
    assert udp_address("localhost:6454") == ("127.0.0.1", 6454)
    for wrong in ("6454", "host:6454", "1.2.3.4:70000", "1.2.3:1", ":1"):
        with pytest.raises(ValueError, match="not"):
            udp_address(wrong)
