"""The audit log: written with what it tells of, never changed, and seen when somebody did."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from controller.audit import Deed
from controller.store import Store


def deed(n: int, *, take: str = "") -> Deed:
    return Deed(n, "anna", "operator", "change", f"cameras/a/rank{n}", n, {"v": n + 1}, 100 + n, take)


def test_entries_come_newest_first_by_take(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.note([deed(1), deed(2, take="7")])
        store.note([deed(3, take="7")])
        assert [entry.t_tai_ns for entry in store.audit()] == [3, 2, 1]
        assert [entry.t_tai_ns for entry in store.audit(take="7")] == [3, 2]
        assert [entry.t_tai_ns for entry in store.audit(before=3, limit=1)] == [2]
        newest = store.audit(limit=1)[0]
        assert (newest.who, newest.before, newest.after, newest.frame) == ("anna", 3, {"v": 4}, 103)
        assert store.audit_faults() == []


def test_nothing_is_changed_or_taken_out(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.note([deed(n) for n in range(5)])
    db = sqlite3.connect(tmp_path / "show.db")
    for order in ("UPDATE audit SET who = 'bob'", "DELETE FROM audit WHERE id = 3"):
        with pytest.raises(sqlite3.IntegrityError, match="stays"):
            db.execute(order)
    db.close()


@pytest.mark.parametrize(
    ("order", "told"),
    [
        ("UPDATE audit SET who = 'bob' WHERE id = 3", "entry 3 was changed"),
        ("UPDATE audit SET frame = 0 WHERE id = 3", "entry 3 was changed"),
        ("DELETE FROM audit WHERE id = 3", "entries 3 to 3 are not there"),
        ("UPDATE audit SET hash = 'x' WHERE id = 3", "entry 4 does not go on from the one before it"),
    ],
)
def test_who_goes_round_the_rule_is_seen(tmp_path: Path, order: str, told: str) -> None:
    with Store(tmp_path) as store:
        store.note([deed(n) for n in range(5)])
    db = sqlite3.connect(tmp_path / "show.db")
    db.execute("DROP TRIGGER audit_stays")
    db.execute("DROP TRIGGER audit_is_whole")
    db.execute(order)
    db.commit()
    db.close()
    with Store(tmp_path) as store:
        assert told in store.audit_faults()
