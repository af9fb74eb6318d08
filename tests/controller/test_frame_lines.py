"""Frame lines as switches of the show: HTTP, keys, cues, undo; directors have them, and nothing else of a camera."""

from __future__ import annotations

import msgspec
import pytest

from controller.access.roles import scope_of_address, scope_of_request
from controller.commands import Command, apply, undo_of
from controller.errors import UnknownAddress
from controller.frame_lines import shown_lines
from controller.show import CameraSettings, Show
from controller.surroundings import Surroundings

AROUND = Surroundings(cameras=frozenset({"a", "b"}), frame_lines={"a": ("scope", "wide", "phone")})
SHOW = Show(cameras={"a": CameraSettings(), "b": CameraSettings()})


def test_one_is_shown_until_somebody_says() -> None:
    assert shown_lines(None, ["scope", "wide"]) == ["scope"]
    assert shown_lines(None, []) == []
    assert shown_lines([], ["scope", "wide"]) == []
    # One that another configuration has no more counts for nothing.
    assert shown_lines(["wide", "old"], ["scope", "wide"]) == ["wide"]


def test_each_is_a_switch_and_undo_puts_it_back() -> None:
    show, changes = apply(SHOW, Command({"cameras/a/frame_lines/wide": True}), AROUND)
    assert show.cameras["a"].framing == ["scope", "wide"]
    assert changes["cameras/a/frame_lines/wide"].before is False
    # A key of OSC or MIDI sends 1 and 0; what is so already changes nothing.
    again, nothing = apply(show, Command({"cameras/a/frame_lines/wide": 1}), AROUND)
    assert (again, nothing) == (show, {})
    off, more = apply(show, Command({"cameras/a/frame_lines/scope": 0}), AROUND)
    assert off.cameras["a"].framing == ["wide"]
    assert shown_lines(apply(off, undo_of(more), AROUND)[0].cameras["a"].framing, ["scope", "wide"]) == [
        "scope",
        "wide",
    ]
    back, _ = apply(show, undo_of(changes), AROUND)
    assert shown_lines(back.cameras["a"].framing, ["scope", "wide"]) == ["scope"]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(off), type=Show) == off


@pytest.mark.parametrize(("path", "mend"), [
    ("cameras/a/frame_lines/tall", "scope, wide, phone"), ("cameras/b/frame_lines/scope", "no frame_lines"),
    ("cameras/c/frame_lines/scope", "a, b"), ("cameras/a/frame_lines", "addresses"),
])  # fmt: skip
def test_what_there_is_not_is_told_with_what_there_is(path: str, mend: str) -> None:
    with pytest.raises(UnknownAddress) as error:
        apply(SHOW, Command({path: True}), AROUND)
    assert mend in error.value.problems[0].mend


def test_directors_have_them_and_nothing_else_of_a_camera() -> None:
    assert scope_of_request("PATCH", "/api/v1/cameras/a") == "look"
    assert scope_of_address("cameras/a/frame_lines/scope") == "look"
    for other in ("cameras/a/rank", "cameras/a/on_air", "cameras/a/frame_lines", "cameras/a/delay_ms"):
        assert scope_of_address(other) == "run"
