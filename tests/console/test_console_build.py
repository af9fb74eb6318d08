"""The built console: what `web/` builds, byte for byte, small, self-contained and served as browsers want it."""

from __future__ import annotations

import gzip
import re
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from controller.action import ACTIONS
from controller.api.routes.page import TYPES, console_file, console_names, routes
from controller.surroundings import PATTERNS
from renderer.patterns import KINDS

pytestmark = pytest.mark.console
FIRST_LOAD_BYTES = 1_500_000


def test_it_is_what_the_sources_build(root: Path, node_modules: Path) -> None:
    result = subprocess.run(
        [root / "scripts/console", "--check"], capture_output=True, text=True, timeout=110, check=False
    )
    assert result.returncode == 0, result.stderr


def test_all_of_it_is_small_and_needs_nothing_from_elsewhere() -> None:
    zipped = {name: len(console_file(name).zipped) for name in console_names()}
    assert sum(zipped.values()) < FIRST_LOAD_BYTES, zipped
    html = console_file("index.html").plain.decode()
    links = re.findall(r'(?:src|href)="([^"]+)"', html)
    assert {link.removeprefix("/console/") for link in links} <= console_names()
    assert not re.search(r"<script(?![^>]*src=)|<style|style=|\son\w+=", html), "the security policy forbids it"
    for name in console_names() - {"three.js"}:
        assert not re.search(rb"https?://(?!www\.w3\.org/|svelte\.dev/)", console_file(name).plain), name


def test_every_order_and_test_picture_has_a_name(root: Path) -> None:
    """In both languages: the second half of the words has the type of the first."""
    named = (root / "web/src/pages/outputs/pattern_names.ts").read_text()
    assert set(PATTERNS) == {kind for kind in KINDS if "_<" not in kind}
    for pattern in PATTERNS:
        assert named.count(f"{pattern}:") == 2, pattern
    orders = (root / "web/src/shell/actions.ts").read_text()
    for action in ACTIONS:
        assert f'"{action}"' in orders, action


@pytest.fixture
async def client() -> Any:
    app = FastAPI()
    app.include_router(routes)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://console") as found:
        yield found


async def test_files_are_sent_packed_and_asked_for_again_in_a_few_bytes(client: httpx.AsyncClient) -> None:
    for name in sorted(console_names()):
        answer = await client.get("/" if name == "index.html" else f"/console/{name}")
        assert answer.status_code == 200
        assert answer.content == console_file(name).plain
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["content-type"] == TYPES[name.rpartition(".")[2]]
        assert answer.headers["cache-control"] == "no-cache"
        again = await client.get(f"/console/{name}", headers={"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        plain = await client.get(f"/console/{name}", headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.content == gzip.decompress(console_file(name).zipped)
