"""How a run begins: it resumes while the file is unchanged, else the file wins, and it says which."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from controller.beginning import begin_show, fresh_show, load_stored, surroundings, write_first_snapshot
from controller.cards import Card
from controller.chromakeys import ChromaKey
from controller.commands import Command, apply
from controller.config import LoadedConfig, compile_config, load_config, load_config_text
from controller.cues import Cue
from controller.errors import BadValue, UnknownAddress
from controller.last_good import hint, last_good
from controller.looks import Look
from controller.run import run_command
from controller.rundir import RunDir
from controller.show import Nudge, SceneState, Show, decode_snapshot
from controller.show_lock import ShowLock
from controller.store import Change, Revision, Store, state_folder
from stage.compiled import decode_stage
from stage.errors import ConfigError
from stage.grade import Grade

FIRST = load_config("minimal")


def edited(old: str = "focal_length_mm: 35.0", new: str = "focal_length_mm: 50.0") -> LoadedConfig:
    assert old in FIRST.source
    return load_config_text(FIRST.source.replace(old, new), base_dir=FIRST.base_dir)


def change(store: Store, **settings: float) -> Show:
    """Accept a change, as the desk does."""
    last = store.last()
    assert last is not None
    camera = msgspec.structs.replace(last[1].cameras["a"], **settings)
    show = msgspec.structs.replace(last[1], version=last[0].rev + 1, cameras={"a": camera})
    store.append(Revision(show.version, 2, "t", "set", {"cameras/a": Change(0, 1)}, last[0].config), show)
    return show


def test_the_first_start_takes_the_file(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        beginning = begin_show(FIRST, compile_config(FIRST), store, t_tai_ns=7)
        assert not beginning.resumed
        assert "begun from the file as revision 1" in beginning.said
        show = beginning.snapshot.show
        assert (show.version, show.config_version) == (1, 1)
        assert show.scenes[0].id == next(iter(FIRST.config.scenes))
        assert decode_stage(beginning.snapshot.stage).cameras.keys() == {"a"}
        assert store.revisions()[0].t_tai_ns == 7


def test_a_second_start_goes_on_where_the_first_ended(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        begin_show(FIRST, compile_config(FIRST), store, t_tai_ns=1)
        show = change(store, rank=9)
    with Store(tmp_path) as store:
        beginning = begin_show(FIRST, compile_config(FIRST), store, t_tai_ns=2)
        assert beginning.resumed
        assert "goes on with revision 2" in beginning.said
        assert beginning.snapshot.show == show
        assert store.last_rev == 2


def test_an_edited_file_wins_and_says_so(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        begin_show(FIRST, compile_config(FIRST), store, t_tai_ns=1)
        change(store, rank=9)
        loaded = edited()
        beginning = begin_show(loaded, compile_config(loaded), store, t_tai_ns=2)
        assert not beginning.resumed
        assert "changed since revision 2, so the file wins where it differs" in beginning.said
        assert beginning.stage.cameras["a"].lens.focal_length_mm == 50.0
        assert beginning.snapshot.show.cameras["a"].rank == 9, "moved by hand, and not by the file"
        assert (beginning.snapshot.show.version, beginning.snapshot.show.config_version) == (3, 2)
        # And from then on that file is what a start goes on from.
        change(store, rank=4)
        again = begin_show(loaded, compile_config(loaded), store, t_tai_ns=3)
        assert (again.resumed, again.snapshot.show.cameras["a"].rank) == (True, 4)


def by_hand(show: Show) -> Show:
    """All that an operator makes and no file says."""
    return msgspec.structs.replace(
        show,
        version=2,
        exposure_ev=-0.5,
        cues=[Cue("one", "1", changes={"exposure_ev": 1.0})],
        looks={"night": Look(grades={"outer": Grade(exposure_ev=-2.0)})},
        look="night",
        grades={"outer": Grade(exposure_ev=-2.0), "walls/main": Grade(contrast=1.2)},
        cards={"fill": Card(pan_deg=5.0), "left": Card(walls=["main"])},
        chromakeys={"green": ChromaKey(camera="a")},
        scene_states={"grey": SceneState(edits={"background": [0.1, 0.2, 0.3]}, key="compiled")},
        nudges={"tracker": Nudge(x_m=0.1)},
        lock=ShowLock("armed", "otto", "3/1"),
        take="3/1",
        action="black",
    )


def test_what_was_made_by_hand_outlives_an_edited_file(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        first = begin_show(FIRST, compile_config(FIRST), store, t_tai_ns=1).snapshot.show
        made = by_hand(first)
        store.append(Revision(2, 2, "t", "set", {}, made.config_version), made)
        loaded = edited()
        beginning = begin_show(loaded, compile_config(loaded), store, t_tai_ns=2)
        show = beginning.snapshot.show
        for name in ("cues", "looks", "look", "grades", "cards", "chromakeys", "nudges", "lock", "exposure_ev"):
            assert getattr(show, name) == getattr(made, name), name
        assert show.scene_states == made.scene_states, "the scene is the same: so is its compiled state"
        assert (show.take, show.action) == ("", None), "what was under way is not"
        kept = "1 cue, 1 look, 2 cards, 1 key, 2 grades, 1 edited scene, 1 line-up"
        assert beginning.said.endswith(f"kept: {kept}")
        # What both have changed is as the file says, and a scene that is another is compiled anew.
        loaded = edited("background: [0.18, 0.18, 0.18]", "background: [0.3, 0.3, 0.3]")
        show = begin_show(loaded, compile_config(loaded), store, t_tai_ns=3).snapshot.show
        assert show.scene_states["grey"] == msgspec.structs.replace(made.scene_states["grey"], key="")


def test_what_finds_no_place_in_an_edited_file_is_said(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        first = begin_show(FIRST, compile_config(FIRST), store, t_tai_ns=1).snapshot.show
        made = by_hand(first)
        store.append(Revision(2, 2, "t", "set", {}, made.config_version), made)
        text = re.sub(r"\bmain\b", "other", FIRST.source)
        text = text.replace("  grey:\n", "  stone:\n")
        loaded = load_config_text(text, base_dir=FIRST.base_dir)
        beginning = begin_show(loaded, compile_config(loaded), store, t_tai_ns=2)
        show = beginning.snapshot.show
        assert (show.cards.keys(), show.grades.keys()) == ({"fill"}, {"outer"})
        assert show.cues == made.cues
        assert show.looks == made.looks
        gone = "card left, grade walls/main, edited scene grey"
        assert beginning.said.endswith(f"; not kept, for it has no place any more: {gone}")
        assert [scene.id for scene in show.scenes] == ["stone"]


def test_by_hand_stays_also_where_the_old_file_cannot_be_read(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        first = begin_show(FIRST, compile_config(FIRST), store, t_tai_ns=1).snapshot.show
        config = store.add_config("openvolume: 1\nname: gone\n", "/nowhere")
        made = msgspec.structs.replace(by_hand(first), config_version=config)
        store.append(Revision(2, 2, "t", "config", {}, config), made)
        beginning = begin_show(FIRST, compile_config(FIRST), store, t_tai_ns=2)
        show = beginning.snapshot.show
        assert not beginning.resumed
        assert (show.cues, show.looks, show.cards) == (made.cues, made.looks, made.cards)
        assert show.exposure_ev == 0.0, "nobody knows what was moved by hand: the file holds"
        assert show.scene_states["grey"].key == ""


def test_fresh_begins_with_the_file(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        begin_show(FIRST, compile_config(FIRST), store, t_tai_ns=1)
        change(store, rank=9)
        beginning = begin_show(FIRST, compile_config(FIRST), store, t_tai_ns=2, fresh=True)
        assert not beginning.resumed
        assert "--fresh" in beginning.said
        assert beginning.snapshot.show.cameras["a"].rank == 0


def test_an_accepted_configuration_is_resumed_not_the_file(tmp_path: Path) -> None:
    loaded = edited()
    with Store(tmp_path) as store:
        begin_show(FIRST, compile_config(FIRST), store, t_tai_ns=1)
        config = store.add_config(loaded.source, str(loaded.base_dir))
        show = fresh_show(loaded.config, compile_config(loaded))
        show = msgspec.structs.replace(show, version=2, config_version=config)
        store.append(Revision(2, 2, "t", "config", {"config": Change(1, None)}, config), show)
        beginning = begin_show(FIRST, compile_config(FIRST), store, t_tai_ns=2)
        assert beginning.resumed
        assert beginning.stage.cameras["a"].lens.focal_length_mm == 50.0
        assert beginning.loaded.source == loaded.source
        stored = store.config(config)
        assert stored is not None
        assert load_stored(stored)[1].cameras["a"].lens.focal_length_mm == 50.0


def test_a_stored_configuration_that_went_bad_gives_way_to_the_file(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        begin_show(FIRST, compile_config(FIRST), store, t_tai_ns=1)
        config = store.add_config("openvolume: 1\nname: gone\n", "/nowhere")
        store.append(Revision(2, 2, "t", "config", {}, config), Show(version=2, config_version=config))
        beginning = begin_show(FIRST, compile_config(FIRST), store, t_tai_ns=2)
        assert not beginning.resumed
        assert "revision 2 cannot be used any more" in beginning.said


def test_a_damaged_store_is_told(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        begin_show(FIRST, compile_config(FIRST), store, t_tai_ns=1)
    (tmp_path / "show.db").write_bytes(b"rubbish" * 1000)
    with Store(tmp_path) as store:
        beginning = begin_show(FIRST, compile_config(FIRST), store, t_tai_ns=2)
        assert "damaged and moved to" in beginning.said


def test_the_first_snapshot_is_what_every_process_finds(tmp_path: Path) -> None:
    run = RunDir.create("x", root=tmp_path)
    with Store(tmp_path / "state") as store:
        beginning = begin_show(FIRST, compile_config(FIRST), store, t_tai_ns=1)
    write_first_snapshot(run, beginning)
    assert run.current_version() == 1
    assert decode_snapshot(run.snapshot(1).read_bytes()) == beginning.snapshot


@pytest.mark.parametrize("name", ["demo", "yongchuan", "minimal"])
def test_every_shipped_show_begins_at_its_first_scenes_position(name: str) -> None:
    loaded = load_config(name)
    stage = compile_config(loaded)
    show = fresh_show(loaded.config, stage)
    around = surroundings(loaded.config, stage)
    first = next(iter(loaded.config.scenes), None)
    assert [scene.id for scene in show.scenes] == ([first] if first else [])
    assert show.position == (loaded.config.scenes[first].position or "" if first else "")
    for scene in loaded.config.scenes:
        switched, _ = apply(show, Command({"scenes/active": scene}), around)
        assert switched == fresh_show(loaded.config, stage, scene=scene)
    with pytest.raises(BadValue):
        fresh_show(loaded.config, stage, scene="nowhere")


def test_a_broken_file_can_be_passed_over_for_what_ran_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    file = tmp_path / "stage.yaml"
    good = load_config("minimal").source
    file.write_text(good)
    with pytest.raises(UnknownAddress, match="ever begun from this file"):
        last_good(str(file))
    loaded = load_config(str(file))
    with Store(state_folder(loaded.name)) as store:
        first = begin_show(loaded, compile_config(loaded), store, t_tai_ns=1)
        show = msgspec.structs.replace(first.snapshot.show, version=2, exposure_ev=1.5)
        store.append(Revision(2, 2, "t", "set", {}, show.config_version), show)
    file.write_text(good[: len(good) // 2] + "\n  : [")
    with pytest.raises(ConfigError) as error:
        run_command(str(file))
    *faults, told = error.value.problems
    assert faults
    assert (told.code, f"openvolume run {file} --last-good" in told.mend) == ("controller.last_good", True)
    assert hint(str(tmp_path / "other.yaml")) == []
    found = last_good(str(file))
    assert found.source == good
    with Store(state_folder(found.name)) as store:
        beginning = begin_show(found, compile_config(found), store, t_tai_ns=3)
    assert beginning.resumed
    assert beginning.snapshot.show.exposure_ev == 1.5
    # Once it is mended, it goes on from there as if nothing had been.
    file.write_text(good)
    mended = load_config(str(file))
    with Store(state_folder(mended.name)) as store:
        assert begin_show(mended, compile_config(mended), store, t_tai_ns=4).resumed


def test_a_damaged_history_goes_on_with_its_backup_and_says_so(tmp_path: Path) -> None:
    loaded = load_config("minimal")
    with Store(tmp_path) as store:
        begin_show(loaded, compile_config(loaded), store, t_tai_ns=1)
        backup = store.back_up(10**18)
        store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert backup is not None
    database = tmp_path / "show.db"
    database.write_bytes(b"no database" + database.read_bytes()[11:])
    with Store(tmp_path) as store:
        beginning = begin_show(loaded, compile_config(loaded), store, t_tai_ns=2)
        assert beginning.resumed
        assert "show.db.damaged-1" in beginning.said
        assert backup.name in beginning.said
        assert store.damage() == (tmp_path / "show.db.damaged-1", backup)
    with Store(tmp_path) as store:
        begin_show(loaded, compile_config(loaded), store, t_tai_ns=3)
        assert store.damage() is None
