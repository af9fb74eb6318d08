"""The store: what was acknowledged is there after kill -9, and a damaged file never stops a start."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from controller.access.store import AccessStore
from controller.errors import StoreError
from controller.show import CameraSettings, Show
from controller.store import KEEP_CONFIGS, Change, Revision, Store, state_folder, text_hash
from controller.store_backups import KEEP_DAYS, KEEP_NEWEST, backups

TEXT = "openvolume: 1\nname: test\n"


def begin(store: Store, text: str = TEXT, show: Show | None = None) -> Revision:
    revision, _ = store.begin(
        file_text=text,
        base_dir="/x",
        file_hash=text_hash(text),
        show=show or Show(),
        who="start",
        t_tai_ns=1,
    )
    return revision


def append(store: Store, *, path: str = "exposure_ev", before: float = 0.0, after: float = 1.0, who: str = "t",
           undoes: int | None = None, replaces: int | None = None, kind: str = "set") -> Revision:  # fmt: skip
    last = store.last()
    assert last is not None
    revision = Revision(last[0].rev + 1, 2, who, kind, {path: Change(before, after)}, last[0].config)  # type: ignore[arg-type]
    show = msgspec.structs.replace(last[1], version=revision.rev, exposure_ev=after)
    store.append(revision, show, undoes=undoes, replaces=replaces)
    return revision


def test_a_history_begins_with_the_file(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        assert store.last() is None
        assert store.file_hash == ""
        revision = begin(store, show=Show(cameras={"a": CameraSettings(rank=3)}))
        assert (revision.rev, revision.kind) == (1, "file")
        assert store.file_hash == text_hash(TEXT)
    with Store(tmp_path) as store:
        last = store.last()
        assert last is not None
        assert last[0] == revision
        assert last[1] == Show(version=1, config_version=revision.config, cameras={"a": CameraSettings(rank=3)})
        config = store.config(revision.config)
        assert config is not None
        assert (config.text, config.base_dir) == (TEXT, "/x")


def test_it_is_wal_and_synchronous_full(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        assert store._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert store._db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_new_history_goes_on_counting(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        begin(store)
        append(store)
        revision = begin(store, TEXT + "# edited\n")
        assert revision.rev == 3
        assert store.config(revision.config) != store.config(1)
        assert [r.rev for r in store.revisions()] == [3, 2, 1]


def test_the_last_undoable_change_is_found_by_prefix(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        begin(store)
        append(store, path="cameras/a/rank")
        second = append(store, path="sources/fiz/nudge/x_m")
        third = append(store, path="cameras/ab/rank")
        assert store.last_undoable() == third
        assert store.last_undoable("sources/fiz") == second
        found = store.last_undoable("cameras/a")
        assert found is not None
        assert found.rev == 2
        undo = append(store, path="cameras/ab/rank", undoes=third.rev, kind="undo")
        assert store.last_undoable() == second
        loaded = store.get(third.rev)
        assert loaded is not None
        assert loaded[0].undone_by == undo.rev


def test_nothing_before_the_file_is_undone(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        begin(store)
        append(store)
        begin(store, "openvolume: 1\nname: other\n")
        assert store.last_undoable() is None


def test_a_gesture_is_one_revision(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        begin(store)
        first = append(store, after=0.1)
        second = append(store, after=0.2, replaces=first.rev)
        assert [r.rev for r in store.revisions()] == [second.rev, 1]
        assert store.get(first.rev) is None


def test_old_configurations_are_forgotten_the_newest_fifty_stay(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        for number in range(KEEP_CONFIGS + 15):
            begin(store, f"{TEXT}# {number}\n")
        kept = {revision.config for revision in store.revisions(limit=500)}
        assert len(kept) == KEEP_CONFIGS
        assert all(store.config(number) is not None for number in kept)
        assert store.config(min(kept) - 1) is None


def test_two_names_never_share_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_folder("demo") == tmp_path / "openvolume" / "demo"
    names = ["demo", "de/mo", "de_mo", "../demo", "...", "", "舞台", "舞臺", "a" * 300, "a" * 301]
    folders = {state_folder(name) for name in names}
    assert len(folders) == len(names)
    assert all(folder.parent == tmp_path / "openvolume" for folder in folders)
    for name in names:
        Store(state_folder(name)).close()


WRITER = """
import sys, pathlib
from controller.store import Store, Revision, Change
from controller.show import Show
store = Store(pathlib.Path(sys.argv[1]))
if store.last() is None:
    store.begin(file_text="t", base_dir="p", file_hash="h", show=Show(), who="w", t_tai_ns=0)
print(store.last_rev, flush=True)
for _ in range(100000):
    rev = store.last_rev + 1
    revision = Revision(rev, 0, "w", "set", {"exposure_ev": Change(0, rev)}, 1)
    store.append(revision, Show(version=rev, exposure_ev=float(rev)))
    print(rev, flush=True)
"""


def test_kill_9_in_the_middle_of_writes_loses_nothing_acknowledged(tmp_path: Path) -> None:
    acknowledged = 0
    for attempt in range(5):
        child = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        for _ in range(20 + 7 * attempt):
            acknowledged = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read().split()
        if rest:
            acknowledged = max(acknowledged, *(int(line) for line in rest if line.isdigit()))
        child.wait(timeout=10)
        child.stdout.close()
        with Store(tmp_path) as store:
            assert store.damaged is None
            last = store.last()
            assert last is not None
            # One more than was acknowledged may be there: written, and killed before it was told.
            assert acknowledged <= last[0].rev <= acknowledged + 1
            assert last[1].version == last[0].rev
    assert acknowledged > 100


@pytest.mark.parametrize("damage", ["header", "page", "text"])
def test_a_damaged_database_is_moved_aside_and_the_start_goes_on(tmp_path: Path, damage: str) -> None:
    with Store(tmp_path) as store:
        begin(store)
        for _ in range(200):
            append(store, path="x" * 200)
        store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path = tmp_path / "show.db"
    data = bytearray(path.read_bytes())
    if damage == "header":
        data[:16] = b"not a database.."
    elif damage == "page":
        data[8192 : 8192 + 2000] = bytes(range(256)) * 7 + bytes(208)
    else:
        data[:] = b"hello\n" * 100
    path.write_bytes(data)
    with Store(tmp_path) as store:
        assert store.damaged is not None
        assert store.damaged.read_bytes() == bytes(data)
        assert store.last() is None
        assert begin(store).rev == 1


def damage(path: Path, how: str) -> bytes:
    """Break a database file; what it is then."""
    data = bytearray(path.read_bytes())
    if how == "header":
        data[:16] = b"not a database.."
    elif how == "page":
        data[8192 : 8192 + 2000] = bytes(range(256)) * 7 + bytes(208)
    elif how == "config":
        # A letter of the configuration: SQLite itself has nothing against it.
        at = data.index(b"openvolume: 1")
        data[at] ^= 0x01
    else:
        del data[len(data) // 2 :]
    path.write_bytes(data)
    return bytes(data)


@pytest.mark.parametrize("how", ["header", "page", "config", "half"])
def test_the_newest_good_backup_takes_a_damaged_ones_place(tmp_path: Path, how: str) -> None:
    with Store(tmp_path) as store:
        begin(store)
        append(store, after=1.0)
        assert store.back_up(10**18) is not None
        for number in range(100):
            append(store, path="x" * 200, after=float(number))
        newest = store.back_up(2 * 10**18)
        assert newest is not None
        append(store, after=7.0)
        rev = store.last_rev
        store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    damaged = damage(tmp_path / "show.db", how)
    with Store(tmp_path) as store:
        assert store.damaged is not None
        assert store.damaged.read_bytes() == damaged
        assert store.recovered == newest
        assert store.last_rev == rev - 1
        assert store.damage() == (store.damaged, newest)
        append(store)
    with Store(tmp_path) as store:
        assert store.damaged is None
        assert store.damage() is not None, "told until a run begins soundly"
        store.forget_damage()
        assert store.damage() is None
    # The newest copy is no good either: the one before it is.
    damage(tmp_path / "show.db", "header")
    damage(newest, "header")
    with Store(tmp_path) as store:
        assert store.recovered is not None
        assert store.recovered != newest
        assert store.last_rev == 2


def test_backups_are_whole_few_and_only_of_what_changed(tmp_path: Path) -> None:
    day_ns = 86400 * 10**9
    with Store(tmp_path) as store:
        assert store.back_up(0) is None, "there is nothing yet"
        begin(store)
        for number in range(40):
            append(store, after=float(number + 1))
            # Six a day for a week.
            made = store.back_up(10**18 + number * day_ns // 6)
            assert made is not None
            assert made.stat().st_mode & 0o777 == 0o600
            assert store.back_up(10**18 + number * day_ns // 6 + 10**9) is None, "nothing has changed"
        found = backups(tmp_path)
        assert found[0] == made
        assert KEEP_NEWEST <= len(found) <= KEEP_NEWEST + KEEP_DAYS
        assert len({path.name[5:13] for path in found}) == KEEP_DAYS
        assert [path.name for path in (tmp_path / "backups").iterdir() if path not in found] == []
        with sqlite3.connect(f"{found[-1].as_uri()}?mode=ro", uri=True) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        db.close()


def test_a_damaged_database_is_not_backed_up_over_good_ones(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        begin(store)
        for number in range(200):
            append(store, path="x" * 200, after=float(number))
        store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        damage(tmp_path / "show.db", "page")
        with pytest.raises(StoreError) as error:
            store.back_up(10**18)
        assert "newest good backup" in error.value.problems[0].mend
    assert list((tmp_path / "backups").iterdir()) == []


def test_what_runs_is_taken_in_where_the_history_does_not_know_it(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        show = Show(version=17, config_version=3, exposure_ev=2.0)
        store.adopt(show, text=TEXT, base_dir="/x", who="recovery", t_tai_ns=5)
        last = store.last()
        assert last is not None
        assert last[1] == show
        config = store.config(3)
        assert config is not None
        assert config.text == TEXT
        assert store.file_hash == text_hash(TEXT), "the next start goes on from it"
        assert append(store).rev == 18


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    Store(tmp_path).close()
    with sqlite3.connect(tmp_path / "show.db") as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(StoreError, match="newer version"):
        Store(tmp_path)
    assert [path.name for path in tmp_path.glob("*.damaged*")] == []


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError) as error:
        Store(tmp_path / "file" / "state")
    assert "XDG_STATE_HOME" in error.value.problems[0].mend


FULL_DISK = """
import pathlib, resource, signal, sys
from controller.errors import StoreError
from controller.show import Show
from controller.store import Change, Revision, Store
store = Store(pathlib.Path(sys.argv[1]))
store.begin(file_text="t", base_dir="p", file_hash="h", show=Show(), who="w", t_tai_ns=0)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
kept = 1
try:
    while True:
        store.append(Revision(kept + 1, 0, "w", "set", {"x": Change("", "y" * 2000)}, 1), Show(version=kept + 1))
        kept += 1
except StoreError as error:
    print(kept, error.problems[0].mend)
"""


def test_a_full_disk_is_told_and_what_was_kept_stays(tmp_path: Path) -> None:
    out = subprocess.run([sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert out.returncode == 0, out.stderr
    kept, mend = out.stdout.split(" ", 1)
    assert "free space" in mend
    assert int(kept) > 5
    with Store(tmp_path) as store:
        assert store.last_rev == int(kept)
        append(store)
        assert store.last_rev == int(kept) + 1


def test_damaged_users_are_told_with_what_to_do_about_them(tmp_path: Path) -> None:
    """They are not replaced by none, so the mend is not that of a show."""
    (tmp_path / "access.db").write_bytes(b"garbage" * 1000)
    with pytest.raises(StoreError) as error:
        AccessStore(tmp_path)
    assert "begin without users" in error.value.problems[0].mend
    assert (tmp_path / "access.db").read_bytes() == b"garbage" * 1000
