"""The library's folder: found, read, kept, brought back; bounded in work at a time and in what copies take."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from configs.assets.glb import Glb
from configs.assets.shapes import box
from controller.errors import BadValue
from controller.library.config import LibraryConfig
from controller.library.contents import CHUNK_BYTES, Contents
from controller.library.entries import Entry, chosen, entry_id, read_index
from controller.library.librarian import MOST_SLICES, Librarian
from controller.library.shelf import FILES_A_SLICE, Shelf
from controller.library.tags import read_tags, tag_file, write_tags
from controller.messages import DrawThumbnail, LibraryChanged, LibraryRefused, RestoreVersion, TagEntry, ThumbnailDrawn
from controller.post import Post
from controller.rundir import RunDir
from runtime.clock import NS_PER_S, VirtualClock
from stage.errors import Problem


def glb(path: Path, *, size_m: float = 2.0, boxes: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    made = Glb()
    grey = made.material("grey", baseColorFactor=[0.5, 0.5, 0.5, 1.0], metallicFactor=0.0)
    for n in range(boxes):
        made.node(f"box {n}", made.mesh(f"box {n}", box([size_m] * 3, (0.0, 0.0, -size_m / 2)), grey))
    path.write_bytes(made.to_bytes())
    return path


def written(path: Path, data: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


class Shelves:
    """A library, and time that passes as the test says."""

    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock(10 * NS_PER_S)
        self.folder, self.place = folder / "lib", folder / "state"
        self.folder.mkdir()
        self.shelf = self.made()

    def made(self, **config: Any) -> Shelf:
        self.shelf = Shelf(LibraryConfig(folder=str(self.folder), **config), self.place, clock=self.clock)
        return self.shelf

    def look(self, times: int = 2) -> int:
        """Rounds until all that was new is read; how many slices of work they were."""
        slices = 0
        for _ in range(times):
            self.clock.advance_to(self.clock.now_ns() + NS_PER_S)
            slices += sum(1 for _ in self.shelf.round(self.clock.now_ns()))
        return slices

    def entry(self, path: str) -> Entry:
        return self.shelf.entries[entry_id(path)]


@pytest.fixture
def shelves(tmp_path: Path) -> Shelves:
    return Shelves(tmp_path)


def test_every_kind_is_found_with_what_it_is_made_of(shelves: Shelves) -> None:
    from PIL import Image

    folder = shelves.folder
    glb(folder / "props/crate.glb", size_m=3.0, boxes=2)
    Image.new("RGB", (64, 32)).save(folder / "sky.png")
    Image.new("RGB", (64, 48)).save(folder / "plate.jpg")
    written(
        folder / "sets/yard.scene.yaml",
        "label: The yard\ntags: [outside]\nobjects:\n"
        "  a: {gltf: ../props/crate.glb, y_m: 10.0}\n  b: {gltf: ../props/crate.glb, y_m: -10.0}\n",
    )
    written(folder / ".hidden.glb", b"")
    written(folder / "notes.txt", "no asset")
    shelves.look()
    assert {e.path: e.kind for e in shelves.shelf.entries.values()} == {
        "props/crate.glb": "asset", "sky.png": "dome", "plate.jpg": "picture", "sets/yard.scene.yaml": "scene",
    }  # fmt: skip
    crate = shelves.entry("props/crate.glb")
    assert (crate.facts.triangles, crate.facts.meshes, crate.facts.materials) == (24, 2, 1)
    assert crate.facts.low_m == pytest.approx((-1.5, -1.5, -1.5))
    assert crate.size_bytes == (folder / "props/crate.glb").stat().st_size
    yard = shelves.entry("sets/yard.scene.yaml")
    assert (yard.label, yard.tags, yard.uses) == ("The yard", ["outside"], ["props/crate.glb"])
    assert (yard.facts.objects, yard.facts.triangles) == (2, 48)
    assert yard.facts.low_m == pytest.approx((-1.5, -11.5, -1.5))
    assert (shelves.entry("plate.jpg").facts.width_px, shelves.entry("plate.jpg").facts.height_px) == (64, 48)
    assert all(not entry.problem for entry in shelves.shelf.entries.values())


def test_what_is_broken_is_listed_with_the_reason_and_mended_when_it_is(shelves: Shelves) -> None:
    folder = shelves.folder
    written(folder / "cut.glb", b"glTF" + bytes(40))
    text = json.dumps({"asset": {"version": "2.0"}, "buffers": [{"uri": "part.bin", "byteLength": 4}]})
    written(folder / "lame.gltf", text)
    written(folder / "bad.scene.yaml", "objects:\n  a: {gltf: nowhere.glb, y: 3}\n")
    written(folder / "no.exr", b"no picture")
    shelves.look()
    assert "GLB version" in shelves.entry("cut.glb").problem
    assert "part.bin" in shelves.entry("lame.gltf").problem
    assert "objects/a" in shelves.entry("bad.scene.yaml").problem
    assert shelves.entry("no.exr").problem
    assert shelves.shelf.next_to_draw() is None, "nobody draws what cannot be read"
    # A part that was missing is watched for; so is what a scene names.
    written(folder / "part.bin", b"1234")
    written(folder / "bad.scene.yaml", "objects:\n  a: {gltf: nowhere.glb, y_m: 3}\n")
    shelves.look(3)
    assert shelves.entry("lame.gltf").problem == ""
    assert shelves.entry("lame.gltf").files == ["lame.gltf", "part.bin"]
    assert "nowhere.glb" in shelves.entry("bad.scene.yaml").problem
    glb(folder / "nowhere.glb")
    shelves.look(3)
    assert shelves.entry("bad.scene.yaml").problem == ""
    assert shelves.entry("bad.scene.yaml").facts.triangles == 12


def test_pictures_of_an_asset_are_no_entries_of_their_own(shelves: Shelves) -> None:
    from PIL import Image

    folder = shelves.folder
    Image.new("RGB", (8, 4)).save(folder / "wood.png")
    shelves.look()
    assert set(shelves.shelf.entries) == {entry_id("wood.png")}
    written(folder / "table.gltf", json.dumps({"asset": {"version": "2.0"}, "images": [{"uri": "wood.png"}]}))
    shelves.look(3)
    (entry,) = shelves.shelf.entries.values()
    assert entry.files == ["table.gltf", "wood.png"]
    before = entry.content
    Image.new("RGB", (16, 4)).save(folder / "wood.png")
    shelves.look()
    assert shelves.entry("table.gltf").content != before
    assert len(shelves.entry("table.gltf").versions) == 2


def test_earlier_contents_are_kept_and_brought_back(shelves: Shelves) -> None:
    file = glb(shelves.folder / "crate.glb")
    first = file.read_bytes()
    shelves.look()
    one = shelves.entry("crate.glb")
    glb(file, boxes=3)
    shelves.look()
    two = shelves.entry("crate.glb")
    assert [v.content for v in two.versions] == [two.content, one.content]
    assert two.versions[0].t_tai_ns > two.versions[1].t_tai_ns
    assert shelves.shelf.restore(two, one.content) is None
    assert file.read_bytes() == first
    shelves.shelf.read_now("crate.glb")
    now = shelves.entry("crate.glb")
    assert now.content == one.content
    assert {v.content for v in now.versions} == {one.content, two.content}
    assert now.facts.triangles == 12
    assert shelves.shelf.restore(now, "0" * 32) is not None
    # Gone from the folder, it can still be brought back.
    file.unlink()
    shelves.look()
    gone = shelves.entry("crate.glb")
    assert gone.gone
    assert chosen(shelves.shelf.entries.values()) == []
    assert chosen(shelves.shelf.entries.values(), gone=True) == [gone]
    assert shelves.shelf.restore(gone, two.content) is None
    shelves.shelf.read_now("crate.glb")
    assert shelves.entry("crate.glb").facts.triangles == 36


def test_nothing_that_was_never_read_is_written_over(shelves: Shelves) -> None:
    file = glb(shelves.folder / "crate.glb")
    shelves.look()
    one = shelves.entry("crate.glb")
    glb(file, boxes=2)
    shelves.look()
    written(file, b"just saved, and not seen yet")
    refused = shelves.shelf.restore(shelves.entry("crate.glb"), one.content)
    assert refused is not None
    assert "has just changed" in refused[0]
    assert file.read_bytes() == b"just saved, and not seen yet"


def test_copies_are_bounded_and_the_oldest_go_first(shelves: Shelves) -> None:
    shelves.made(keep_mb=0.01)
    for number in range(5):
        written(shelves.folder / "a.glb", bytes([number]) * 3000)
        written(shelves.folder / "still.glb", b"s" * 2000)
        shelves.look()
    entry = shelves.entry("a.glb")
    assert sum(Contents(shelves.place / "contents").sizes_bytes().values()) <= 10_000
    assert shelves.shelf.index().kept_bytes <= 10_000
    # The newest two and what stands still; versions that cannot be brought back are not told.
    assert len(entry.versions) == 2
    assert entry.versions[0].content == entry.content
    assert len(shelves.entry("still.glb").versions) == 1
    assert shelves.shelf.restore(entry, entry.versions[1].content) is None
    # A file larger than all room takes none of the others' place.
    written(shelves.folder / "huge.glb", b"h" * 20_000)
    shelves.look()
    assert len(shelves.entry("a.glb").versions) == 2
    shelves.made(keep_mb=0.0)
    shelves.look()
    written(shelves.folder / "a.glb", b"last")
    shelves.look()
    assert len(shelves.entry("a.glb").versions) == 1


def test_a_file_that_is_written_to_is_waited_for(shelves: Shelves) -> None:
    file = glb(shelves.folder / "crate.glb")
    shelves.look(1)
    assert not shelves.shelf.entries
    for number in range(3):
        file.write_bytes(file.read_bytes() + bytes(number))
        os.utime(file, ns=(number, number))
        shelves.look(1)
        assert not shelves.shelf.entries
    shelves.look(1)
    assert set(shelves.shelf.entries) == {entry_id("crate.glb")}


def test_the_index_may_be_written_at_any_moment(shelves: Shelves) -> None:
    """Also between two pieces of a file that is just being read."""
    for number in range(3):
        glb(shelves.folder / f"{number}.glb", boxes=number + 1)
    written(shelves.folder / "big.glb", bytes(3 * CHUNK_BYTES))
    for _ in range(2):
        shelves.clock.advance_to(shelves.clock.now_ns() + NS_PER_S)
        for _ in shelves.shelf.round(shelves.clock.now_ns()):
            shelves.shelf.write()
    assert len(shelves.shelf.entries) == 4
    assert all(len(entry.versions) == 1 for entry in shelves.shelf.entries.values())
    shelves.shelf.write()
    index = read_index(shelves.place)
    assert index is not None
    assert set(index.hashes) == {"0.glb", "1.glb", "2.glb", "big.glb"}


def test_a_start_reads_only_what_has_changed(shelves: Shelves, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        glb(shelves.folder / f"crate_{number}.glb", boxes=number + 1)
    shelves.look()
    shelves.shelf.write()
    shelves.made()
    glb(shelves.folder / "crate_2.glb", boxes=7)
    read: list[str] = []
    from controller.library import facts

    real = facts.read
    monkeypatch.setattr(facts, "read", lambda file, kind: (read.append(file.name), real(file, kind))[1])
    shelves.look()
    assert read == ["crate_2.glb"]
    assert shelves.entry("crate_2.glb").facts.triangles == 84
    assert len(shelves.entry("crate_2.glb").versions) == 2
    index = read_index(shelves.place)
    assert index is not None
    assert len(index.entries) == 4
    (shelves.place / "index.msgpack").write_bytes(b"rubbish")
    assert read_index(shelves.place) is None
    shelves.made()
    shelves.look()
    assert len(shelves.shelf.entries) == 4


def test_entries_are_found_by_words_tags_and_kind(shelves: Shelves) -> None:
    glb(shelves.folder / "props/oak table.glb")
    glb(shelves.folder / "props/chair.glb")
    written(shelves.folder / "broken.glb", b"no")
    write_tags(shelves.folder / "props/chair.glb", label="Throne", tags=["royal", "set_3"])
    shelves.look()
    entries = shelves.shelf.entries.values()
    assert [e.path for e in chosen(entries, search="TABLE props")] == ["props/oak table.glb"]
    assert [e.path for e in chosen(entries, search="throne")] == ["props/chair.glb"]
    assert [e.path for e in chosen(entries, tags=["royal", "set_3"])] == ["props/chair.glb"]
    assert chosen(entries, tags=["royal", "none"]) == []
    assert [e.path for e in chosen(entries, broken=True)] == ["broken.glb"]
    assert len(chosen(entries, kind="asset", broken=False)) == 2
    assert chosen(entries, kind="dome") == []


def test_tags_are_written_beside_the_file_checked_and_taken_away(tmp_path: Path) -> None:
    file = written(tmp_path / "a.glb", b"")
    assert read_tags(file)[0].tags == []
    write_tags(file, tags=["hero", "hero", "日本"])
    write_tags(file, label='say "hi": yes')
    told, problems = read_tags(file)
    assert (told.label, told.tags, problems) == ('say "hi": yes', ["hero", "日本"], ())
    for bad in ("two words", "", "a/b", "x" * 33):
        with pytest.raises(BadValue):
            write_tags(file, tags=[bad])
    write_tags(file, label="", tags=[])
    assert not tag_file(file).exists()
    written(tag_file(file), "tagz: [a]\n")
    assert read_tags(file)[1]


# --- the role -----------------------------------------------------------------------------------------------------


class House:
    """A librarian with a run directory, and a darkroom's and a service's letter box."""

    def __init__(self, run: RunDir, shelves: Shelves, **config: Any) -> None:
        self.run_dir, self.shelves, self.clock = run, shelves, shelves.clock
        self.configure(1, **config)
        self.darkroom, self.service = Post(run.darkroom_socket), Post(run.service_socket)
        self.librarian = Librarian(run=run, clock=self.clock)
        self.librarian.start()
        self.due_ns = 0

    def configure(self, version: int, **config: Any) -> None:
        library = LibraryConfig(folder=str(self.shelves.folder), **config).model_dump_json()
        told = {"library": library, "scene_cache": str(self.shelves.place / "scenes")}
        self.run_dir.write_snapshot(version, msgspec.msgpack.encode(told))
        self.run_dir.set_current_version(version)

    def go_on(self, seconds: float = 10.0) -> None:
        until_ns = self.clock.now_ns() + int(seconds * NS_PER_S)
        while self.due_ns < until_ns:
            self.clock.advance_to(max(self.clock.now_ns(), self.due_ns))
            self.due_ns = self.librarian.step(self.clock.now_ns())
            assert self.due_ns > self.clock.now_ns(), "it rests after each step"

    def close(self) -> None:
        self.librarian.stop()
        self.darkroom.close()
        self.service.close()


@pytest.fixture
def house(shelves: Shelves, shm: Path) -> Iterator[House]:
    made = House(RunDir.create("lib", root=shm), shelves)
    yield made
    made.close()


def test_a_thousand_files_are_indexed_a_little_at_a_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """No step does more than its few pieces, each of at most a megabyte or 64 files."""
    big = house.shelves.folder / "big.glb"
    for number in range(1000):
        written(house.shelves.folder / f"{number % 10}/{number}.glb", f"file {number}".encode())
    written(big, bytes(20 * CHUNK_BYTES))
    read: list[int] = []
    step = {"files": 0, "bytes": 0}
    from controller.library import contents, facts

    real = facts.read
    monkeypatch.setattr(facts, "read", lambda f, k: (step.update(files=step["files"] + 1), real(f, k))[1])
    real_hashing = contents.hashing

    def hashing(file: Path) -> Any:
        size = min(CHUNK_BYTES, file.stat().st_size)
        done = real_hashing(file)
        while True:
            step["bytes"] += size
            try:
                next(done)
            except StopIteration as end:
                return end.value
            yield

    monkeypatch.setattr("controller.library.shelf.hashing", hashing)
    shelf = house.librarian.shelf
    assert shelf is not None
    while len(shelf.entries) < 1001:
        step.update(files=0, bytes=0)
        house.clock.advance_to(max(house.clock.now_ns() + 1, house.due_ns))
        house.due_ns = house.librarian.step(house.clock.now_ns())
        read.append(step["files"])
        assert step["files"] <= MOST_SLICES
        assert step["bytes"] <= (MOST_SLICES + 1) * CHUNK_BYTES
        assert len(read) < 5000
    assert len(read) >= 1000 / MOST_SLICES
    assert FILES_A_SLICE <= 64


def test_thumbnails_are_asked_for_one_at_a_time_with_rests(house: House) -> None:
    for number in range(3):
        glb(house.shelves.folder / f"{number}.glb", boxes=number + 1)
    house.go_on(3)
    (first,) = house.darkroom.receive()
    assert isinstance(first, DrawThumbnail)
    assert (Path(first.file).name, first.kind) == ("0.glb", "asset")
    house.go_on(20)
    assert house.darkroom.receive() == [], "the next is asked for when this one is there"
    written(Path(first.out), b"picture")
    house.darkroom.send(house.run_dir.path / first.reply_to, ThumbnailDrawn(first.request, took_ms=1000.0))
    house.go_on(7)
    assert house.darkroom.receive() == [], "the darkroom rests eight times as long as it drew"
    house.go_on(4)
    (second,) = house.darkroom.receive()
    assert isinstance(second, DrawThumbnail)
    assert Path(second.file).name == "1.glb"
    # What turns out broken when it is drawn is listed with the reason.
    problem = Problem("renderer.asset_accessor", second.file + "#accessors[0]", "ends behind its buffer", None, "mend")
    house.darkroom.send(house.run_dir.path / second.reply_to, ThumbnailDrawn(second.request, 5.0, [problem]))
    house.go_on(3)
    index = read_index(house.shelves.place / "library")
    assert index is not None
    entries = {entry.path: entry for entry in index.entries}
    assert entries["0.glb"].thumbnail
    assert entries["0.glb"].problem == ""
    assert "ends behind its buffer" in entries["1.glb"].problem
    (third,) = house.darkroom.receive()
    # One that never comes holds up nothing.
    house.go_on(125)
    assert isinstance(third, DrawThumbnail)
    house.darkroom.send(house.run_dir.path / third.reply_to, ThumbnailDrawn(99))
    house.go_on(3)
    assert house.darkroom.receive() == []


def test_a_thumbnail_of_a_file_that_changed_meanwhile_is_made_again(house: House) -> None:
    file = glb(house.shelves.folder / "a.glb")
    house.go_on(3)
    (asked,) = house.darkroom.receive()
    assert isinstance(asked, DrawThumbnail)
    glb(file, boxes=2)
    written(Path(asked.out), b"of what?")
    house.darkroom.send(house.run_dir.path / asked.reply_to, ThumbnailDrawn(asked.request, 1.0))
    house.go_on(6)
    assert not Path(asked.out).exists()
    again = [m for m in house.darkroom.receive() if isinstance(m, DrawThumbnail)]
    assert again[-1].out != asked.out


def test_versions_and_tags_by_letter(house: House) -> None:
    file = glb(house.shelves.folder / "a.glb")
    first = file.read_bytes()
    house.go_on(3)
    glb(file, boxes=2)
    house.go_on(4)
    shelf = house.librarian.shelf
    assert shelf is not None
    entry = shelf.entries[entry_id("a.glb")]
    old = entry.versions[1].content
    box_ = house.run_dir.librarian_socket

    def asked(letter: Any) -> Any:
        assert house.service.send(box_, letter)
        house.go_on(1)
        (answer,) = house.service.receive()
        return answer

    assert isinstance(asked(RestoreVersion(entry.id, old, 1, "service.sock")), LibraryChanged)
    assert file.read_bytes() == first
    index = read_index(house.shelves.place / "library")
    assert index is not None
    assert index.entries[0].content == old
    assert isinstance(asked(TagEntry(entry.id, "Crate", ["wood"], 2, "service.sock")), LibraryChanged)
    assert (shelf.entries[entry.id].label, shelf.entries[entry.id].tags) == ("Crate", ["wood"])
    for letter in (
        RestoreVersion(entry.id, "f" * 32, 3, "service.sock"), RestoreVersion("nobody", old, 4, "service.sock"),
        TagEntry(entry.id, None, ["two words"], 5, "service.sock"),
    ):  # fmt: skip
        refused = asked(letter)
        assert isinstance(refused, LibraryRefused)
        assert refused.problems[0].detail


def test_another_configuration_is_followed(house: House) -> None:
    glb(house.shelves.folder / "a.glb")
    house.go_on(3)
    assert house.librarian.shelf is not None
    house.run_dir.write_snapshot(2, msgspec.msgpack.encode({"library": "", "scene_cache": ""}))
    house.run_dir.set_current_version(2)
    house.go_on(2)
    assert house.librarian.shelf is None
    house.configure(3, keep_mb=1.0)
    house.go_on(2)
    shelf = house.librarian.shelf
    assert shelf is not None
    assert shelf.keep_bytes == 1_000_000
    assert set(shelf.entries) == {entry_id("a.glb")}


def test_a_folder_that_is_not_there_is_told(shelves: Shelves) -> None:
    shelves.folder.rmdir()
    shelves.look()
    assert "no such folder" in shelves.shelf.index().problem
    shelves.folder.mkdir()
    glb(shelves.folder / "a.glb")
    shelves.look(3)
    assert shelves.shelf.index().problem == ""
    shelves.made(most_files=1)
    glb(shelves.folder / "b.glb")
    shelves.look(3)
    assert "more than 1 files" in shelves.shelf.index().problem
