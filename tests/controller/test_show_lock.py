"""The show lock: what acts in a take, who moves it, and how it is broken."""

from __future__ import annotations

import pytest

from controller.errors import BadValue, ShowLocked
from controller.show_lock import LockOrder, ShowLock, held, lock_order, moved, request_held, rolling_take


def test_a_take_from_armed_to_open() -> None:
    lock = moved(ShowLock(), LockOrder("armed", "12A/3"), "otto")
    assert (lock.state, lock.holder, lock.take) == ("armed", "otto", "12A/3")
    assert rolling_take(lock) == ""
    lock = moved(lock, LockOrder("rolling"), "otto")
    assert rolling_take(lock) == "12A/3"
    lock = moved(lock, LockOrder("locked"), "otto")
    assert rolling_take(lock) == ""
    assert moved(lock, LockOrder("open"), "otto") == ShowLock()


def test_nothing_rolls_without_a_name() -> None:
    with pytest.raises(BadValue, match="what take rolls"):
        moved(ShowLock(), LockOrder("rolling"), "otto")


def test_somebody_elses_lock_is_broken_with_a_reason_only() -> None:
    rolling = moved(ShowLock(), LockOrder("rolling", "4"), "otto")
    for state in ("open", "armed", "locked"):
        with pytest.raises(BadValue, match="otto holds it for take 4"):
            moved(rolling, LockOrder(state, reason="  "), "anna")
    broken = moved(rolling, LockOrder("open", reason="wall 2 flickers"), "anna")
    assert broken == ShowLock(reason="wall 2 flickers")
    armed = moved(ShowLock(), LockOrder("armed", "5"), "otto")
    assert moved(armed, LockOrder("open"), "anna") == ShowLock(), "nobody rolls yet"


def test_what_acts_in_each_state() -> None:
    armed = moved(ShowLock(), LockOrder("armed", "5"), "otto")
    held(armed, "exposure_ev", "cameras/a/rank")
    with pytest.raises(ShowLocked, match="armed"):
        held(armed, "config", whole=True)
    for state in ("rolling", "locked"):
        lock = moved(armed, LockOrder(state), "otto")
        for address in ("exposure_ev", "cameras/a/rank", "scenes/active", "undo"):
            with pytest.raises(ShowLocked, match="otto holds it for take 5"):
                held(lock, address)
        held(lock, "cards/key/visible")
        for address in ("cues/go", "cues/back", "cues/chase"):
            held(lock, address)
        for address in ("cues/list", "cards/key", "cards/key/exposure_ev", "cards/a/b/visible", "processors/p1/delay"):
            with pytest.raises(ShowLocked):
                held(lock, address)


def test_marked_sliders_act_in_their_take_only() -> None:
    armed = moved(ShowLock(), LockOrder("armed", "5", acts=["exposure_ev", "cameras/a/focus_blur_deg"]), "otto")
    rolling = moved(armed, LockOrder("rolling"), "otto")
    held(rolling, "exposure_ev", "cameras/a/focus_blur_deg")
    request_held(rolling, "PATCH", "/api/v1/cameras/a")
    for method, path in (("PATCH", "cameras/b"), ("PUT", "cameras/a"), ("PATCH", "cameras")):
        with pytest.raises(ShowLocked):
            request_held(rolling, method, f"/api/v1/{path}")
    with pytest.raises(ShowLocked, match="otto"):
        held(rolling, "exposure_ev", "cameras/a/rank")
    with pytest.raises(BadValue, match="no more is let through"):
        moved(rolling, LockOrder("locked", acts=["exposure_ev", "cameras/a/rank"]), "otto")
    graded = moved(
        moved(ShowLock(), LockOrder("armed", "6", acts=["look/outer/exposure_ev"]), "otto"),
        LockOrder("rolling"),
        "otto",
    )
    request_held(graded, "PATCH", "/api/v1/look")
    held(graded, "look/outer/exposure_ev")
    for address in ("look/inner/exposure_ev", "look/active", "look/outer/gain"):
        with pytest.raises(ShowLocked):
            held(graded, address)
    with pytest.raises(ShowLocked):
        request_held(rolling, "PATCH", "/api/v1/look")
    assert moved(rolling, LockOrder("locked", acts=["exposure_ev"]), "otto").acts == ["exposure_ev"]
    assert moved(rolling, LockOrder("open"), "otto").acts == [], "the next take begins with none"


@pytest.mark.parametrize(
    "address", ["processors/p1/brightness", "config", "lock", "canvases/main/black", "take", "a b"]
)
def test_only_what_the_picture_is_can_be_marked(address: str) -> None:
    with pytest.raises(BadValue, match="cannot act in a take"):
        moved(ShowLock(), LockOrder("armed", "5", acts=[address]), "otto")


def test_a_bad_order_names_what_is_taken() -> None:
    with pytest.raises(BadValue, match="lock"):
        lock_order({"state": "shut"})
    with pytest.raises(BadValue, match="lock"):
        lock_order({"state": "open", "force": True})
