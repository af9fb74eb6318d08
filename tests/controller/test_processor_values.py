"""What the show holds of processors: wishes that scenes take over and undo puts back."""

from __future__ import annotations

import msgspec
import pytest

from controller.carrying import settle
from controller.commands import Command, apply, undo_of
from controller.errors import BadValue
from controller.processors.wishes import problems_of, scene_wishes, wanted
from controller.show import ActiveScene, Show
from controller.surroundings import Surroundings
from stage.config import ProcessorConfig

AROUND = Surroundings(
    processors=frozenset({"led1"}),
    scenes=("day", "night"),
    scene_processors={"night": {"led1": {"brightness_nits": 600}}},
)
DAY = Show(scenes=[ActiveScene("day")])
PATH = "processors/led1/settings"


def test_a_scene_takes_over_what_it_names_and_undo_puts_it_back() -> None:
    show, _ = apply(DAY, Command({PATH: {"brightness_nits": 900, "gamma": 2.2}}), AROUND)
    assert show.processor_settings == {"led1": {"brightness_nits": 900, "gamma": 2.2}}
    night, changes = apply(show, Command({"scenes/active": "night"}), AROUND)
    assert night.processor_settings == {"led1": {"gamma": 2.2}}
    assert set(changes) == {"scenes/active", "position", PATH} - ({"position"} - set(changes))
    back, _ = apply(night, undo_of(changes), AROUND)
    assert (back.scenes[-1].id, back.processor_settings) == ("day", show.processor_settings)
    again, _ = apply(night, Command({"scenes/active": "day"}), AROUND)
    assert again.processor_settings == night.processor_settings, "day names nothing"


def test_strange_wishes_are_refused_with_their_place() -> None:
    for settings in ({"brightnes": 1}, {"blackout": True}, {"gamma": "high"}):
        with pytest.raises(BadValue) as caught:
            apply(DAY, Command({PATH: settings}), AROUND)
        assert caught.value.problems[0].path == f"{PATH}/{next(iter(settings))}"
    cleared, _ = apply(
        msgspec.structs.replace(DAY, processor_settings={"led1": {"gamma": 2.2}}), Command({PATH: {}}), AROUND
    )
    assert cleared.processor_settings == {}


def test_another_configuration_keeps_them_for_processors_it_has() -> None:
    live = msgspec.structs.replace(DAY, processor_settings={"led1": {"gamma": 2.2}, "gone": {"gamma": 1.0}})
    live = msgspec.structs.replace(live, processor_frames={"led1": 1.0, "gone": 3.0})
    kept = settle(Show(), AROUND, wanted=live)
    assert (kept.processor_settings, kept.processor_frames) == ({"led1": {"gamma": 2.2}}, {"led1": 1.0})


def test_wishes_are_laid_over_each_other() -> None:
    processor = ProcessorConfig.model_validate(
        {
            "model": "brompton_tessera_sx40",
            "control": {
                "driver": "tessera",
                "address": "10.0.0.1",
                "settings": {"brightness_nits": 1200, "gamma": 2.4},
                "scenes": {"night": {"brightness_nits": 600.0}, "dusk": {"blackout": True}},
            },
        }
    )
    assert processor.control is not None
    assert wanted(processor.control) == {"brightness_nits": 1200, "gamma": 2.4}
    assert wanted(processor.control, "night") == {"brightness_nits": 600, "gamma": 2.4}
    assert wanted(processor.control, "night", {"gamma": 2.2}) == {"brightness_nits": 600, "gamma": 2.2}
    assert scene_wishes({"led1": processor})["night"] == {"led1": {"brightness_nits": 600.0}}
    found = problems_of({"led1": processor}, ["night"])
    assert [(p.code, p.path.rpartition("scenes/")[2]) for p in found] == [
        ("controller.unknown_scene", "dusk"),
        ("controller.processor_setting", "dusk/blackout"),
    ]
