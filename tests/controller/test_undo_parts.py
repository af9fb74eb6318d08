"""Undo and redo of parts of a change, and of one hand's changes among others': nobody's newer change goes unsaid."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.commands import Command
from controller.errors import NothingToUndo
from controller.show import Show
from controller.store import Change, Revision, Store, text_hash

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.controller.conftest import RunningHouse

TEXT = "openvolume: 1\nname: test\n"
PLACES = ("cameras/a/rank", "cameras/a/delay_ms", "cameras/b/rank", "exposure_ev")


class Values:
    """A desk in small: a store, and what stands at a few addresses."""

    def __init__(self, store: Store) -> None:
        self.store, self.now = store, dict.fromkeys(PLACES, 0)
        store.begin(
            file_text=TEXT, base_dir="/x", file_hash=text_hash(TEXT), show=Show(), who="start", t_tai_ns=1
        )  # fmt: skip
        self.rev = 1

    def set(self, who: str = "anna", **values: int) -> int:
        return self._keep({name.replace("__", "/"): value for name, value in values.items()}, who, "set")

    def undo(self, prefix: str = "", *, who: str | None = None) -> Revision:
        return self._back(self.store.last_undoable(prefix, who=who), prefix, who, "undo")

    def redo(self, prefix: str = "", *, who: str | None = None) -> Revision:
        return self._back(self.store.last_redoable(prefix, who=who), prefix, who, "redo")

    def _back(self, found: Revision | None, prefix: str, who: str | None, kind: str) -> Revision:
        if found is None:
            raise NothingToUndo
        under = {p: c.before for p, c in found.changes.items() if not prefix or (p + "/").startswith(prefix + "/")}
        self._keep(under, who or "anna", kind, undoes=found.rev)
        return found

    def _keep(self, values: dict[str, Any], who: str, kind: str, undoes: int | None = None) -> int:
        self.rev += 1
        changes = {path: Change(self.now[path], value) for path, value in values.items()}
        self.now.update(values)
        revision = Revision(self.rev, 2, who, kind, changes, 1)  # type: ignore[arg-type]
        self.store.append(revision, Show(version=self.rev, config_version=1), undoes=undoes, taken=values)
        return self.rev

    def undone(self, rev: int) -> int | None:
        found = self.store.get(rev)
        assert found is not None
        return found[0].undone_by


@pytest.fixture
def values(tmp_path: Path) -> Iterator[Values]:
    with Store(tmp_path) as store:
        yield Values(store)


def test_the_rest_of_a_change_is_taken_back_after_a_part_of_it(values: Values) -> None:
    values.set(cameras__b__rank=1)
    both = values.set(cameras__a__rank=5, cameras__b__rank=7)
    values.undo("cameras/a")
    assert (values.now["cameras/a/rank"], values.now["cameras/b/rank"], values.undone(both)) == (0, 7, None)
    found = values.undo("cameras/b")
    assert (found.rev, set(found.changes)) == (both, {"cameras/b/rank"})
    # As it stood before that change, not before the one before.
    assert values.now["cameras/b/rank"] == 1
    assert values.undone(both) == values.rev
    assert values.undo().changes.keys() == {"cameras/b/rank"}
    with pytest.raises(NothingToUndo):
        values.undo()


def test_parts_are_brought_back_one_by_one_too(values: Values) -> None:
    both = values.set(cameras__a__rank=5, cameras__b__rank=7)
    values.undo()
    values.redo("cameras/b")
    assert (values.now["cameras/a/rank"], values.now["cameras/b/rank"], values.undone(both)) == (0, 7, None)
    assert values.undo().changes.keys() == {"cameras/b/rank"}
    assert values.undone(both) == values.rev
    values.redo("cameras/b")
    values.redo("cameras/a")
    assert (values.now["cameras/a/rank"], values.now["cameras/b/rank"]) == (5, 7)
    with pytest.raises(NothingToUndo):
        values.redo()
    assert values.undo().changes.keys() == {"cameras/a/rank", "cameras/b/rank"}


def test_ones_own_is_taken_back_past_others(values: Values) -> None:
    values.set("anna", exposure_ev=1)
    values.set("otto", cameras__a__rank=4)
    values.undo(who="anna")
    assert (values.now["exposure_ev"], values.now["cameras/a/rank"]) == (0, 4)
    with pytest.raises(NothingToUndo):
        values.undo(who="anna")
    values.redo(who="anna")
    assert values.now["exposure_ev"] == 1
    values.undo(who="otto")
    assert (values.now["exposure_ev"], values.now["cameras/a/rank"]) == (1, 0)


def test_anothers_newer_change_of_the_same_is_never_taken_back_unsaid(values: Values) -> None:
    values.set("anna", exposure_ev=1, cameras__a__rank=3)
    newer = values.set("otto", exposure_ev=2)
    with pytest.raises(NothingToUndo, match=rf"otto has changed it since \(revision {newer}\)") as error:
        values.undo(who="anna")
    assert error.value.problems[0].path == "exposure_ev"
    # What nobody else touched is hers all the same.
    values.undo("cameras/a", who="anna")
    assert (values.now["exposure_ev"], values.now["cameras/a/rank"]) == (2, 0)
    values.undo(who="otto")
    values.undo(who="anna")
    assert values.now["exposure_ev"] == 0


@given(st.lists(st.tuples(
    st.sampled_from(["set", "undo", "redo"]), st.sampled_from(["anna", "otto"]), st.booleans(),
    st.sets(st.sampled_from(PLACES), min_size=1, max_size=3),
    st.sampled_from(["", "cameras", "cameras/a", "exposure_ev"]),
), max_size=14))  # fmt: skip
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_undo_to_the_end_gives_the_first_values(tmp_path: Path, steps: list[Any]) -> None:
    """Whatever was set, taken back and brought back in parts by whom: all of it taken back, nothing is left over."""
    with tempfile.TemporaryDirectory(dir=tmp_path) as folder, Store(Path(folder)) as store:
        values = Values(store)
        for n, (kind, who, mine, places, prefix) in enumerate(steps):
            if kind == "set":
                values.set(who, **{place.replace("/", "__"): n + 1 for place in places})
                continue
            try:
                (values.undo if kind == "undo" else values.redo)(prefix, who=who if mine else None)
            except NothingToUndo:
                continue
        for _ in range(60):
            try:
                values.undo()
            except NothingToUndo:
                break
        assert values.now == dict.fromkeys(PLACES, 0)


def test_over_http_the_answer_says_whose_change_it_was(house: RunningHouse) -> None:
    made = house.client.patch("/api/v1/cameras/a", json={"rank": 4, "soft_edge_deg": 2.0}).json()
    back = house.client.post("/api/v1/undo", json={"prefix": "cameras/a/rank"}).json()
    assert (back["undoes"]["rev"], back["changes"].keys()) == (made["rev"], {"cameras/a/rank"})
    assert back["undoes"]["who"] == house.get("config/revisions?limit=2")["revisions"][1]["who"]
    assert made["undoes"] is None
    # Another hand, by OSC's name for it, changes the same: our own step is held, and says by whom.
    house.submit(Command({"cameras/a/soft_edge_deg": 3.0}, who="osc desk"))
    refused = house.client.post("/api/v1/undo", json={"mine": True})
    assert (refused.status_code, refused.json()["path"]) == (409, "cameras/a/soft_edge_deg")
    assert "osc desk has changed it since" in refused.json()["detail"]
    said = house.client.post("/api/v1/undo").json()
    assert said["undoes"]["who"] == "osc desk"
    own = house.client.post("/api/v1/undo", json={"mine": True})
    assert own.json()["undoes"]["rev"] == made["rev"]
    assert house.get("cameras/a")["soft_edge_deg"] == 0.5
    for wrong in ({"mine": 1}, {"mine": "yes"}):
        assert house.client.post("/api/v1/undo", json=wrong).status_code == 422
