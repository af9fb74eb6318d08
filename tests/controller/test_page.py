"""The page: served whole, self-contained, and speaking only to resources that exist."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from controller.action import ACTIONS
from controller.api.app import create_app
from controller.api.routes.page import FILES, page_file
from controller.surroundings import PATTERNS

if TYPE_CHECKING:
    from tests.controller.conftest import RunningHouse

HTML = page_file("index.html").decode()
SCRIPT = "\n".join(page_file(name).decode() for name in FILES if name.endswith(".js"))
STYLE = page_file("page.css").decode()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.inline: list[str] = []
        self.actions: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        if told.get("id"):
            self.ids.append(str(told["id"]))
        if told.get("data-action"):
            self.actions.append(str(told["data-action"]))
        self.links += [str(told[name]) for name in ("href", "src") if told.get(name)]
        self.inline += [name for name in told if name == "style" or name.startswith("on")]


@pytest.fixture(scope="module")
def page() -> _Reader:
    reader = _Reader()
    reader.feed(HTML)
    return reader


def test_it_is_served_with_all_it_needs(house: RunningHouse, page: _Reader) -> None:
    answer = house.client.get("/plain")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == FILES["index.html"]
    assert answer.text == HTML
    for link in page.links:
        found = house.client.get(link)
        assert found.status_code == 200, link
        assert found.headers["content-type"] == FILES[link.removeprefix("/console/")]
    assert {link.removeprefix("/console/") for link in page.links} == set(FILES) - {"index.html"}


def test_it_needs_nothing_from_elsewhere() -> None:
    for text in (HTML, SCRIPT, STYLE):
        assert not re.search(r"https?://(?!www\.w3\.org/)", text)
    assert sum(len(page_file(name)) for name in FILES) < 60_000


def test_it_keeps_its_own_content_security_policy(page: _Reader) -> None:
    assert page.inline == []
    assert "<style" not in HTML
    assert not re.search(r"<script(?![^>]*src=)", HTML)
    assert "eval(" not in SCRIPT


def test_every_part_the_script_touches_is_there_once(page: _Reader) -> None:
    assert len(page.ids) == len(set(page.ids))
    touched = set(re.findall(r"""\$\("([\w-]+)"\)""", SCRIPT)) | set(re.findall(r"#([\w-]+)[ ,\"]", SCRIPT))
    assert touched <= set(page.ids)


def test_it_speaks_to_resources_that_exist() -> None:
    paths = [path.removeprefix("/api/v1") for path in create_app(version="0").openapi()["paths"]]
    patterns = [re.compile(re.sub(r"\{\w+\}", "[^/]+", path) + "$") for path in paths]
    called = re.findall(r"""(?:call|ask)\("(\w+)", [`"]([^`"]+)[`"]""", SCRIPT)
    assert len(called) >= 10
    for method, path in called:
        plain = re.sub(r"\$\{[^}]+\}", "x", path)
        assert any(pattern.match(plain) for pattern in patterns), f"{method} {path}"


def test_it_offers_every_action_and_line_up_picture(page: _Reader) -> None:
    assert sorted(page.actions) == sorted(ACTIONS)
    for pattern in PATTERNS:
        assert f"{pattern}:" in SCRIPT


def test_patterns_are_known_to_the_renderer() -> None:
    from renderer.patterns import KINDS

    assert set(PATTERNS) <= set(KINDS)
