"""Users on the page, in a real browser: the first administrator, out and in again, and the show lock."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from controller.access.secrets import new_code
from controller.bench.browser import PeerMissingError, chromium

if TYPE_CHECKING:
    from tests.controller.conftest import RunningHouse

pytestmark = pytest.mark.console
PASSWORD = "a long enough password"


@pytest.fixture(scope="module")
def browserkit() -> ModuleType:
    """The real browser (`_browserkit.py`)."""
    try:
        chromium()
    except PeerMissingError as missing:
        pytest.skip(str(missing))
    name = "controller_browserkit"
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("_browserkit.py"))
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fill(page: Any, **fields: str) -> None:
    page.wait("document.getElementById('access').open")
    for name, value in fields.items():
        page.write(f"#access-{name}", value)
    page.click("#access-go")


def told(page: Any, node: str) -> str:
    return str(page.run(f"document.getElementById('{node}').textContent"))


def test_somebody_sets_up_goes_and_comes_again(house: RunningHouse, browserkit: ModuleType) -> None:
    store = house.control.doorman.store
    assert store is not None
    code = new_code()
    store.keep_code(code)
    with browserkit.open_page(f"{house.url}/plain") as page:
        page.wait("document.getElementById('who').textContent === 'Set up users'")
        page.click("#who")
        fill(page, code=new_code(), name="boss", password=PASSWORD)
        page.wait("!document.getElementById('access-wrong').hidden")
        assert "not the code" in told(page, "access-wrong")
        assert page.run("document.getElementById('access').open")
        page.run("document.getElementById('access-code').value = ''")
        fill(page, code=code.lower())
        page.wait("document.getElementById('who').textContent === 'boss · admin'")

        page.click("#who")
        page.wait("document.getElementById('access').open")
        assert "manage" in told(page, "access-why")
        page.click("#access-go")
        page.wait("document.getElementById('who').textContent === 'Log in'")
        page.wait("document.querySelector('#patterns button')")
        page.click("#actions [data-action=black]")
        page.wait("document.getElementById('access').open")
        assert "Nothing was changed" in told(page, "access-why")
        assert house.get("action")["action"] == "none"
        page.press("b")
        page.press("Escape")
        assert house.get("action")["action"] == "none", "a key in the dialog gives no order"
        page.run("document.getElementById('access').close()")

        page.click("#who")
        fill(page, name="boss", password="not it at all")
        page.wait("!document.getElementById('access-wrong').hidden")
        page.run("document.getElementById('access-password').value = ''")
        fill(page, password=PASSWORD)
        page.wait("document.getElementById('who').textContent === 'boss · admin'")
        page.wait("document.querySelector('#patterns button')")
        page.click("#actions [data-action=black]")
        page.wait("document.querySelector('[data-action=black]').getAttribute('aria-pressed') === 'true'")
        page.press("Escape")
        page.wait("document.querySelector('[data-action=none]').getAttribute('aria-pressed') === 'true'")


def test_the_page_tells_who_holds_the_show(house: RunningHouse, browserkit: ModuleType) -> None:
    with (
        browserkit.open_page(f"{house.url}/plain") as page,
        httpx.Client(base_url=f"{house.url}/api/v1", timeout=20) as client,
    ):
        page.wait("!document.getElementById('who').hidden")
        client.headers["authorization"] = f"Bearer {house.control.doorman.local_key}"
        assert page.run("document.getElementById('lock').hidden")
        client.put("/lock", json={"state": "rolling", "take": "12A/3"})
        page.wait("document.getElementById('lock').textContent === 'rolling · 12A/3 · here'")
        client.put("/lock", json={"state": "open"})
        page.wait("document.getElementById('lock').hidden")
