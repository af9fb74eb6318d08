"""A whole show as one file: round trips, and whatever else somebody may hand in."""

from __future__ import annotations

import io
import json
import zipfile
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.beginning import begin_show
from controller.config import compile_config, load_config, load_config_text
from controller.cues import Cue
from controller.errors import BadValue, UnknownAddress
from controller.show import CameraSettings, SceneState, Show
from controller.show_command import Asked, show_command
from controller.show_file import (
    MOST_BYTES,
    Reference,
    ShowFileError,
    differences,
    read_show_file,
    text_differences,
    write_show_file,
)
from controller.show_lock import ShowLock
from controller.show_transfer import changed_references, packed, stored_show
from controller.store import Change, Revision, Store, state_folder

SHOW = Show(
    version=9, config_version=2, exposure_ev=1.5, cameras={"a": CameraSettings(rank=2)}, cues=[Cue("c1", "1")],
    scene_states={"hall": SceneState(edits={"objects/lamp/visible": False}, key="0" * 32)},
    lock=ShowLock("rolling", "otto", "9"), take="9",
)  # fmt: skip
HISTORY = [Revision(9, 5, "anna", "set", {"exposure_ev": Change(0.0, 1.5)}, 2)]


def written(show: Show = SHOW) -> bytes:
    return write_show_file(
        name="x", software="1", t_tai_ns=7, config="openvolume: 1\n", show=show, revisions=HISTORY,
        configs={2: "openvolume: 1\n"}, references=[Reference("a.glb", "00", 3)],
    )  # fmt: skip


def changed(**members: bytes | None) -> bytes:
    """The file with members replaced (or taken out), their hashes told as they are."""
    with zipfile.ZipFile(io.BytesIO(written())) as archive:
        held: dict[str, bytes | None] = {name: archive.read(name) for name in archive.namelist()}
    held |= {name.replace("__", "/").replace("_", "."): data for name, data in members.items()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in held.items():
            if data is not None:
                archive.writestr(name, data)
    return out.getvalue()


def test_there_and_back() -> None:
    found = read_show_file(written())
    assert (found.manifest.name, found.manifest.rev, found.config) == ("x", 9, "openvolume: 1\n")
    assert found.revisions == HISTORY
    assert found.configs == {2: "openvolume: 1\n"}
    assert found.show.cues == SHOW.cues
    assert found.show.scene_states["hall"].edits == {"objects/lamp/visible": False}
    assert (found.show.lock, found.show.take) == (ShowLock(), ""), "a take does not travel"
    assert written() == written(), "the same show is the same file"


def test_what_differs_is_told_by_place() -> None:
    other = msgspec.structs.replace(SHOW, exposure_ev=2.0, version=11, cameras={"a": CameraSettings(rank=5)})
    assert differences(SHOW, other) == {"exposure_ev": Change(1.5, 2.0), "cameras/a/rank": Change(2, 5)}
    assert differences(SHOW, SHOW) == {}
    assert text_differences("a\nb\n", "a\nc\n")[-2:] == ["-b", "+c"]
    assert text_differences("a\n", "a\n") == []


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "unpacked"),
        (b"PK\x03\x04 but no more", "unpacked"),
        (b"x" * (MOST_BYTES + 1), "at most"),
        (written()[:-40], "unpacked"),
        (changed(config_yaml=b"openvolume: 2\n"), "hash differs"),
        (changed(show_json=None), "other members"),
        (changed(manifest_json=None), "is not there"),
        (changed(manifest_json=b"[]"), "manifest"),
        (changed(manifest_json=json.dumps({"openvolume_show": 99, "name": "x", "rev": 1, "t_tai_ns": 1,
                                           "software": "", "files": {}}).encode()), "newer"),
        (changed(**{"..__..__etc__passwd": b"x"}), "does not belong"),
        (changed(configs__0_yaml=b"x"), "does not belong"),
    ],
)  # fmt: skip
def test_what_is_no_show_is_refused(data: bytes, told: str) -> None:
    with pytest.raises(ShowFileError, match=told):
        read_show_file(data)


def test_a_small_file_that_unpacks_to_much_is_refused() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("show.json", "w") as member:
        for _ in range(160):
            member.write(bytes(1 << 20))
    assert len(out.getvalue()) < 1 << 20
    with pytest.raises(ShowFileError, match="unpacks to more"):
        read_show_file(out.getvalue())


@given(st.data())
def test_no_flipped_byte_makes_another_show(data: st.DataObject) -> None:
    whole = bytearray(written())
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    try:
        found = read_show_file(bytes(whole))
    except ShowFileError:
        return
    assert (found.show, found.config, found.revisions) == (read_show_file(written()).show, "openvolume: 1\n", HISTORY)


@given(st.binary(max_size=400))
def test_nothing_else_ever_comes_out(data: bytes) -> None:
    with pytest.raises(ShowFileError):
        read_show_file(data)


def test_files_that_are_named_are_compared(tmp_path: Path) -> None:
    (tmp_path / "same.glb").write_bytes(b"same")
    (tmp_path / "other.glb").write_bytes(b"new")
    told = [
        Reference("same.glb", sha256(b"same").hexdigest(), 4),
        Reference("other.glb", sha256(b"old").hexdigest(), 3),
        Reference("gone.glb", sha256(b"gone").hexdigest(), 4),
    ]
    assert changed_references(told, tmp_path) == {"other.glb": "other", "gone.glb": "missing"}


def test_the_command_takes_a_show_to_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "one"))
    loaded = load_config("minimal")
    with Store(state_folder(loaded.name)) as store:
        _, show = store.begin(
            file_text=loaded.source, base_dir=str(loaded.base_dir), file_hash=loaded.sha256,
            show=begin_show(loaded, compile_config(loaded), store, t_tai_ns=1).snapshot.show, who="t", t_tai_ns=1,
        )  # fmt: skip
        moved = msgspec.structs.replace(show, version=show.version + 1, exposure_ev=2.5, cues=[Cue("c1", "1")])
        store.append(Revision(moved.version, 2, "t", "set", {}, moved.config_version), moved)
        assert read_show_file(packed(stored_show(store), t_tai_ns=1)).show.exposure_ev == 2.5
    file = tmp_path / "a.ovshow"
    assert "users and keys are not in it" in show_command("export", file, Asked())
    assert "nothing" not in show_command("backup", None, Asked())
    assert show_command("backup", None, Asked()).endswith("has not changed since the newest backup")
    (copy,) = show_command("backups", None, Asked()).splitlines()
    # Another machine.
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "two"))
    with pytest.raises(UnknownAddress, match="no show was ever run"):
        show_command("export", file, Asked())
    config = tmp_path / "copied.yaml"
    assert "goes on with it" in show_command("import", file, Asked(config=config))
    again = load_config_text(config.read_text(), config, base_dir=tmp_path)
    with Store(state_folder(again.name)) as store:
        beginning = begin_show(again, compile_config(again), store, t_tai_ns=3)
        assert beginning.resumed
        assert beginning.snapshot.show.exposure_ev == 2.5
        assert beginning.snapshot.show.cues == [Cue("c1", "1")]
    with pytest.raises(BadValue, match="is there already"):
        show_command("import", file, Asked(config=config))
    # And back on the first one.
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "one"))
    with Store(state_folder(loaded.name)) as store:
        later = msgspec.structs.replace(moved, version=moved.version + 1, exposure_ev=9.0)
        store.append(Revision(later.version, 3, "t", "set", {}, later.config_version), later)
    said = show_command("restore", Path(copy.split()[0]), Asked())
    assert "show.db.replaced-1" in said
    with Store(state_folder(loaded.name)) as store:
        last = store.last()
        assert last is not None
        assert last[1].exposure_ev == 2.5
    with pytest.raises(BadValue, match="no such backup"):
        show_command("restore", tmp_path / "nothing.db", Asked())
