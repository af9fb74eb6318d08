"""What a timing run is asked for, and the configuration it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

import configs
from controller.config import compile_config, load_config
from controller.timing.result import phases_of
from controller.timing.settings import LOADS, ROWS, TimingError, configuration, report_folder, settings_of
from stage.rate import Rate


def test_everything_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(TimingError) as caught:
        settings_of(
            "demo", rate="26", move="waltz", protocol="pigeon", samples="0", faults="T1,T99", loads="rain",
            seconds_s=0.1, draw_ms=-1.0, photos=-1,
        )  # fmt: skip
    told = [problem.path for problem in caught.value.problems]
    assert told == ["--rate", "move", "rate", "--protocol", "--faults", "--load", "--seconds", "--draw-ms", "--photos"]
    assert caught.value.exit_code == 2


def test_names_are_taken_as_people_write_them() -> None:
    settings = settings_of("demo", faults="t1, T10,t1", loads="all", rate="29.97")
    assert settings.faults == ("T1", "T10")
    assert settings.loads == tuple(LOADS)
    assert settings.rate == Rate(30000, 1001)
    assert settings_of("demo", faults="all").faults == tuple(ROWS)
    assert settings_of("demo", faults="none").faults == ()


@pytest.mark.parametrize("name", configs.SHIPPED)
def test_every_shipped_configuration_runs_as_itself(name: str) -> None:
    loaded = configuration(settings_of(name))
    shipped = load_config(name)
    stage, own = compile_config(loaded), compile_config(shipped)
    assert stage.rate == own.rate
    assert stage.canvases.keys() == own.canvases.keys()
    assert [c.corners_m.tolist() for c in stage.cabinets] == [c.corners_m.tolist() for c in own.cabinets]
    assert stage.cameras.keys() == own.cameras.keys()
    assert loaded.config.scenes == shipped.config.scenes
    # Nobody's ports are taken, and nothing listens beyond this machine.
    assert loaded.config.control.http.port == 0
    assert loaded.config.control.osc is None
    for source in loaded.config.tracking.sources.values():
        assert "127.0.0.1" in source.listen


@pytest.mark.parametrize("protocol", ["freed", "osc_bundle", "zmq", "zmq_msgpack", "opentrackio_cbor", "opentrackio"])
def test_a_source_can_be_asked_to_speak_another_protocol(protocol: str) -> None:
    loaded = configuration(settings_of("demo", protocol=protocol, rate="60"))
    compile_config(loaded)
    (source,) = loaded.config.tracking.sources.values()
    assert protocol.startswith(source.protocol)
    assert source.camera == "a"
    assert loaded.config.rate == Rate(60)


def test_a_show_without_tracking_is_given_a_tracker(tmp_path: Path) -> None:
    text = load_config("minimal").source
    start, end = text.index("\ntracking:"), text.index("\nscenes:")
    path = tmp_path / "untracked.yaml"
    path.write_text(text[:start] + text[end:])
    loaded = configuration(settings_of(str(path)))
    assert [source.camera for source in loaded.config.tracking.sources.values()] == ["a"]


def test_a_rival_claims_the_same_camera() -> None:
    loaded = configuration(settings_of("demo"), rival=True)
    compile_config(loaded)
    assert {source.camera for source in loaded.config.tracking.sources.values()} == {"a"}
    assert len(loaded.config.tracking.sources) == 2


def test_loads_come_one_after_the_other_and_need_their_time() -> None:
    phases = phases_of(settings_of("demo", loads="flood,cpu_hog", seconds_s=12.0))
    assert [phase.name for phase in phases] == ["show", "flood", "cpu_hog"]
    assert [phase.begin_s for phase in phases] == [0.0, 3.0, 7.5]
    assert phases[-1].end_s == 12.0
    with pytest.raises(TimingError):
        phases_of(settings_of("demo", loads="all", seconds_s=5.0))


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    assert report_folder(tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(TimingError) as caught:
        report_folder(tmp_path / "file" / "c")
    assert caught.value.problems[0].path == "--report"
