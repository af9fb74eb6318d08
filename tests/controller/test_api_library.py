"""The library over HTTP and from a shell: listed, filtered, tagged, looked at, and back to what it was."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from configs.assets.glb import Glb
from configs.assets.shapes import box
from controller import client
from controller.cli import main
from controller.config import load_config_text
from controller.library.librarian import Librarian
from runtime.clock import SystemClock

pytestmark = pytest.mark.timeout(60)


def crate(path: Path, boxes: int) -> bytes:
    glb = Glb()
    paint = glb.material("paint", metallicFactor=0.0)
    for n in range(boxes):
        glb.node(f"n{n}", glb.mesh(f"n{n}", box((1.0, 1.0, 1.0), (0.0, 3.0 + n, 0.0)), paint))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(glb.to_bytes())
    return path.read_bytes()


class LibrarianThread(threading.Thread):
    """The real one, beside the flat node."""

    def __init__(self, house: Any) -> None:
        super().__init__(daemon=True, name="librarian")
        self.role = Librarian(run=house.run, clock=SystemClock())
        self.ended = threading.Event()

    def run(self) -> None:
        self.role.start()
        while not self.ended.is_set():
            now_ns = SystemClock().now_ns()
            self.ended.wait(max(0.0, (self.role.step(now_ns) - now_ns) / 1e9))
        self.role.stop()


@pytest.fixture(scope="module")
def library(house: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A library of a crate, a broken file and a scene, indexed."""
    base = tmp_path_factory.mktemp("library")
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_STATE_HOME", str(base / "state"))
    folder = base / "lib"
    crate(folder / "props/crate.glb", 1)
    (folder / "broken.glb").write_bytes(b"glTF nothing")
    (folder / "yard.scene.yaml").write_text("label: Yard\nobjects:\n  crate: {gltf: props/crate.glb}\n")
    text = house.config_text + "\nlibrary: {folder: lib, look_s: 0.25}\n"
    text = text.replace("  hall:\n", "  yard:\n    file: lib/yard.scene.yaml\n  hall:\n")
    first = house.control.desk.rev
    house.wait(house.control.desk.replace_config(load_config_text(text, base_dir=base)))
    librarian = LibrarianThread(house)
    librarian.start()
    shelf = house.eventually(lambda: librarian.role.shelf)
    house.control.library_hand._place = shelf.place
    house.eventually(lambda: house.get("library")["total"] == 3)
    yield folder
    librarian.ended.set()
    librarian.join(5)
    house.wait(house.control.desk.roll_back(first))
    patch.undo()


def listed(house: Any, query: str = "") -> list[str]:
    return [entry["path"] for entry in house.get(f"library?{query}")["entries"]]


def entry_of(house: Any, path: str) -> Any:
    return next(entry for entry in house.get("library")["entries"] if entry["path"] == path)


def test_the_library_is_listed_searched_and_told_of(house: Any, library: Path) -> None:
    assert listed(house) == ["broken.glb", "props/crate.glb", "yard.scene.yaml"]
    assert listed(house, "search=crate") == ["props/crate.glb"]
    assert listed(house, "kind=scene") == ["yard.scene.yaml"]
    assert listed(house, "broken=true") == ["broken.glb"]
    assert listed(house, "broken=false&limit=1&offset=1") == ["yard.scene.yaml"]
    assert house.get("library?broken=false&limit=1")["total"] == 2
    found = entry_of(house, "props/crate.glb")
    assert found["facts"]["triangles"] == 12
    assert found["used_by"] == ["yard.scene.yaml"]
    assert found["scenes"] == ["yard"]
    assert found["file"] == "lib/props/crate.glb"
    assert house.get(f"library/{found['id']}") == found
    assert entry_of(house, "yard.scene.yaml")["scenes"] == ["yard"]
    assert entry_of(house, "broken.glb")["problem"]
    assert house.client.get("/api/v1/library/0123").status_code == 404
    assert house.client.get("/api/v1/library?limit=0").status_code == 422


def test_tags_are_set_found_and_refused(house: Any, library: Path) -> None:
    ident = entry_of(house, "props/crate.glb")["id"]
    answer = house.client.patch(f"/api/v1/library/{ident}", json={"label": "The crate", "tags": ["wood", "set_3"]})
    assert answer.status_code == 200, answer.text
    assert answer.json()["tags"] == ["wood", "set_3"]
    assert (library / "props/crate.glb.tags.yaml").exists()
    assert listed(house, "tag=wood&tag=set_3") == ["props/crate.glb"]
    assert listed(house, "tag=iron") == []
    assert house.get("library")["tags"] == {"set_3": 1, "wood": 1}
    for body, status in (({"tags": ["two words"]}, 409), ({"tags": "wood"}, 422), ({"colour": 1}, 422)):
        answer = house.client.patch(f"/api/v1/library/{ident}", json=body)
        assert answer.status_code == status, answer.text
        assert answer.json()["detail"]
    assert house.client.patch("/api/v1/library/nobody", json={"tags": []}).status_code == 404


def test_back_to_an_earlier_content_loads_the_scenes_that_read_it(house: Any, library: Path) -> None:
    file = library / "props/crate.glb"
    first = file.read_bytes()
    one = entry_of(house, "props/crate.glb")
    second = crate(file, 2)
    two = house.eventually(
        lambda: (e := entry_of(house, "props/crate.glb"))["content"] != one["content"] and e, timeout_s=20
    )
    assert two["facts"]["triangles"] == 24
    versions = house.get(f"library/{one['id']}/versions")["versions"]
    assert [(v["content"], v["present"]) for v in versions] == [(two["content"], True), (one["content"], False)]
    assert versions[0]["t_tai_ns"] > versions[1]["t_tai_ns"]
    house.node.compiled.clear()
    answer = house.client.post(f"/api/v1/library/{one['id']}/restore", json={"content": one["content"]})
    assert answer.status_code == 200, answer.text
    assert answer.json()["content"] == one["content"]
    assert file.read_bytes() == first != second
    house.eventually(lambda: "yard" in house.node.compiled)
    for body, status in (({"content": "f" * 32}, 409), ({}, 422), ({"content": "..", "x": 1}, 422)):
        assert house.client.post(f"/api/v1/library/{one['id']}/restore", json=body).status_code == status


def test_a_scene_file_that_changes_is_on_air_and_goes_back(house: Any, library: Path) -> None:
    file = library / "yard.scene.yaml"
    first = file.read_text()
    house.client.post("/api/v1/scenes/yard/activate")
    one = entry_of(house, "yard.scene.yaml")
    old = house.control.desk.loaded.config.scenes["yard"]
    file.write_text(first + "ambient: [0.3, 0.3, 0.3]\n")
    house.eventually(lambda: house.control.desk.loaded.config.scenes["yard"].ambient == (0.3, 0.3, 0.3))
    house.eventually(lambda: house.get("scenes/yard")["compiled"])
    house.eventually(lambda: entry_of(house, "yard.scene.yaml")["content"] != one["content"])
    # A broken one changes nothing but the alarms.
    file.write_text("objects: 3\n")
    house.eventually(lambda: any("scene file" in alarm["detail"] for alarm in house.get("alarms")["alarms"]))
    assert house.control.desk.loaded.config.scenes["yard"].ambient == (0.3, 0.3, 0.3)
    house.eventually(lambda: entry_of(house, "yard.scene.yaml")["problem"])
    answer = house.client.post(f"/api/v1/library/{one['id']}/restore", json={"content": one["content"]})
    assert answer.status_code == 200, answer.text
    assert file.read_text() == first
    house.eventually(lambda: house.control.desk.loaded.config.scenes["yard"] == old)
    house.eventually(lambda: not any("scene file" in alarm["detail"] for alarm in house.get("alarms")["alarms"]))


def test_thumbnails_are_sent_when_there_are_any(house: Any, library: Path) -> None:
    found = entry_of(house, "props/crate.glb")
    assert house.client.get(f"/api/v1/library/{found['id']}/thumbnail.jpg").status_code == 404
    place = house.control.library_hand.thumbnail(found["content"])
    place.write_bytes(b"\xff\xd8picture")
    answer = house.client.get(f"/api/v1/library/{found['id']}/thumbnail.jpg")
    assert (answer.status_code, answer.content) == (200, b"\xff\xd8picture")
    assert answer.headers["content-type"] == "image/jpeg"
    older = house.client.get(f"/api/v1/library/{found['id']}/thumbnail.jpg?content=../../x")
    assert older.status_code == 404


def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], house: Any) -> Callable[..., Any]:
    monkeypatch.setattr(client, "run_here", lambda _: house.run)

    def call(*words: str) -> Any:
        with pytest.raises(SystemExit) as left:
            main(["library", *words])
        return left.value.code, capsys.readouterr()

    return call


def test_from_a_shell(
    house: Any, library: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    import json

    told = {"host": "127.0.0.1", "port": house.service.port}
    house.run.service_address.write_text(json.dumps(told))
    house.run.local_key.write_text(house.control.doorman.local_key)
    call = shell(monkeypatch, capsys, house)
    code, said = call()
    assert code == 0
    assert "props/crate.glb  asset" in said.out
    assert "cannot be shown" in said.out
    assert f"3 in {library}" in said.out
    code, said = call("list", "--kind", "scene", "--json")
    assert [entry["path"] for entry in json.loads(said.out)["entries"]] == ["yard.scene.yaml"]
    assert "12 triangles" in call("show", "crate.glb")[1].out
    assert "(now)" in call("versions", "crate.glb")[1].out
    assert "[set_4]" in call("tag", "yard.scene.yaml", "+set_4")[1].out
    assert "[]" in call("tag", "yard.scene.yaml", "--label", "Court", "--", "-set_4")[1].out
    assert entry_of(house, "yard.scene.yaml")["label"] == "Court"
    assert call("show", "nobody")[0] == 2
    assert call("show", ".glb")[0] == 2
    assert call("fold", "crate.glb")[0] == 2
    code, said = call("restore", "crate.glb", "ffff")
    assert code == 2
    assert "names no one version" in said.err
