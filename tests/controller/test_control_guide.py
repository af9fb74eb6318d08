"""docs/control.md against a running house: every OSC message, key, request and program it names is sent, and acts."""

from __future__ import annotations

import ast
import asyncio
import re
import shlex
import socket
import textwrap
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest
import yaml

from controller.api.surface_inputs import surfaces_of
from controller.config import ControlConfig, OscConfig
from controller.midi_config import MidiConfig
from tracking.protocols.osc import OscPacket, parse

if TYPE_CHECKING:
    from tests.controller.conftest import RunningHouse

HERE: Final = {"valley": "hall", "hill": "near"}
"""What the page calls scenes and positions, and what this house has for them."""
VALUES: Final[dict[str, tuple[Any, ...]]] = {
    "/cues/chase": (0,),
    "/scenes/hall/dissolve": (4,),
    "/exposure_ev": (-1.0,),
    "/cameras/a/soft_edge_deg": (1.5,),
    "/cameras/a/on_air": (1,),
    "/cards/fill/nits": (80.0,),
    "/cards/fill/pan_deg": (4.0,),
}
"""What is sent with an address that takes a value; others are buttons."""
NOT_OURS: Final = re.compile(r"/(api|dev|proc|metrics|location|HOST)\b.*")
SAID_TO_US: Final = re.compile(r"/feedback.*")


@pytest.fixture(scope="module")
def guide() -> str:
    return (Path(__file__).parents[2] / "docs/control.md").read_text()


def section(guide: str, title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", guide, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def named(text: str) -> list[str]:
    """The OSC addresses a text names, as this house has them."""
    found: list[str] = []
    for words in re.findall(r"`(/[a-z][^`\s]*)[^`]*`((?:, `[a-z]+`)*)", text):
        first, more = words
        if NOT_OURS.fullmatch(first) or SAID_TO_US.fullmatch(first):
            continue
        for old, new in HERE.items():
            first = first.replace(f"/{old}/", f"/{new}/")
        found.append(first)
        # `/actions/black`, `hold`, `safe`: the last word only.
        found += [f"{first.rpartition('/')[0]}/{word}" for word in re.findall(r"`([a-z]+)`", more)]
    return list(dict.fromkeys(found))


class Surface:
    """A socket that sends to the house, and is told what changes."""

    def __init__(self, house: RunningHouse) -> None:
        self.house = house
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(20)
        self.stack = AsyncExitStack()
        config = ControlConfig(osc=OscConfig(port=0))
        self.port = house.wait(self.stack.enter_async_context(surfaces_of(house.control, config)))
        self.lights: dict[str, tuple[Any, ...]] = {}

    def send(self, address: str, *arguments: Any) -> None:
        """Send it, and wait until it was done; nothing of it may be refused."""
        statistics = self.house.control.osc
        before, refused = statistics.messages, dict(statistics.refused)
        self.socket.sendto(bytes(OscPacket.build(address, arguments)), ("127.0.0.1", self.port))
        self.house.eventually(lambda: statistics.messages > before, timeout_s=20)
        self.house.wait(self._done())
        assert dict(statistics.refused) == refused, f"{address} {arguments}: refused"

    async def _done(self) -> None:
        mine = asyncio.current_task()
        doing = [task for task in asyncio.all_tasks() if task is not mine and "OscControl._do" in str(task.get_coro())]
        await asyncio.wait(doing, timeout=20) if doing else None

    def hear(self) -> None:
        self.socket.sendto(
            bytes(OscPacket.build("/feedback", (self.socket.getsockname()[1],))), ("127.0.0.1", self.port)
        )
        while "/health" not in self.lights or "/actions/none" not in self.lights:
            self._take()

    def told(self, address: str, *arguments: Any) -> None:
        """Wait until a light or label is so."""
        while self.lights.get(address) != arguments:
            self._take()

    def _take(self) -> None:
        for packet in parse(self.socket.recv(9216)):
            assert isinstance(packet, OscPacket)
            self.lights[packet.address] = packet.arguments

    def close(self) -> None:
        self.house.wait(self.stack.aclose())
        self.socket.close()


@pytest.fixture(scope="module")
def surface(house: RunningHouse) -> Iterator[Surface]:
    """With the cues and the card that the page speaks of."""
    client = house.client
    rev = house.get("show")["rev"]
    for number, label in (("12", "dusk"), ("12.5", "later"), ("13", "last")):
        body = {"number": number, "label": label, "changes": {"exposure_ev": -float(number) / 10.0}}
        assert client.put(f"/api/v1/cues/c{number.replace('.', '_')}", json=body).status_code == 200
    for card in ("fill",):
        assert client.put(f"/api/v1/cards/{card}", json={}).status_code == 200
    made = Surface(house)
    yield made
    made.close()
    client.post("/api/v1/actions/none")
    headers = {"if-match": f'"{house.get("show")["rev"]}"'}
    answer = client.post(f"/api/v1/config/revisions/{rev}/restore", headers=headers)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("title", ["OSC", "Bitfocus Companion", "QLab", "TouchOSC"])
def test_every_message_a_recipe_names_acts(guide: str, surface: Surface, title: str) -> None:
    surface.hear()
    addresses = named(section(guide, title))
    assert len(addresses) >= {"OSC": 20, "QLab": 1}.get(title, 4), "the page is read another way by now"
    told = {"/lock", "/health", *(address for address in surface.lights if address.startswith("/cues/"))}
    told -= {address for address in told if re.fullmatch(r"/cues/(chase|[0-9.]+/go)", address)}
    for address in addresses:
        if address in told:
            assert address in surface.lights, f"{address} is never told"
        else:
            # A key that is pressed, and let go.
            values = VALUES.get(address)
            for arguments in [values] if values is not None else [(1,), (0,)]:
                surface.send(address, *arguments)
    surface.send("/actions/none")


def test_what_it_names_does_what_it_says(surface: Surface) -> None:
    house = surface.house
    surface.send("/cues/12/go")
    house.eventually(lambda: house.get("cues")["current"] == "c12")
    surface.hear()
    surface.told("/cues/12/go", 1)
    surface.told("/cues/next/label", "later")
    surface.send("/cues/go")
    house.eventually(lambda: house.get("cues")["current"] == "c12_5")
    surface.send("/exposure_ev", -2.0)
    house.eventually(lambda: house.get("show")["exposure_ev"] == -2.0)
    surface.send("/cards/fill/nits", 60.0)
    house.eventually(lambda: house.get("cards/fill")["nits"] == 60.0)


def test_the_midi_example_is_a_configuration_whose_keys_act(guide: str, surface: Surface) -> None:
    text = re.search(r"```yaml\n(control:\n  midi:.*?)```", section(guide, "MIDI"), re.DOTALL)
    assert text
    midi = MidiConfig.model_validate(yaml.safe_load(text[1])["control"]["midi"])
    rows = [row for device in midi.inputs.values() for row in device.rows]
    assert len(rows) >= 6
    for row in rows:
        address = "/" + row.to
        surface.send(address, *VALUES.get(address, (0,)))


def test_the_requests_it_shows_are_answered(guide: str, surface: Surface) -> None:
    client, found = surface.house.client, 0
    for line in re.findall(r"^curl .*$", section(guide, "HTTP"), re.MULTILINE):
        words = shlex.split(line.replace("$KEY", "key"))
        method = words[words.index("-X") + 1]
        body = words[words.index("-d") + 1] if "-d" in words else None
        path = httpx.URL(words[-1]).path
        headers = {"content-type": "application/json"} if body else {}
        answer = client.request(method, path, content=body, headers=headers)
        assert answer.status_code == 200, f"{line}: {answer.text}"
        found += 1
    recipe = re.search(r"\*\*HTTP\*\*(.*)", section(guide, "Bitfocus Companion"))
    assert recipe
    posts = re.search(r"Actions \*POST\* ((?:`[^`]+`(?:, )?)+)", recipe[1])
    assert posts
    for path in re.findall(r"`([^`]+)`", posts[1]):
        assert client.post(f"/api/v1/{path}").status_code == 200, path
        found += 1
    assert client.get("/api/v1/cues").status_code == 200
    assert found >= 6


class EnoughSeen(Exception):
    """The program has printed what it would print for ever."""


async def test_the_python_program_runs_as_it_stands(guide: str, surface: Surface) -> None:
    text = re.search(r"```python\n(.*?)```", section(guide, "Programs"), re.DOTALL)
    assert text
    program = text[1].replace("http://127.0.0.1:7400", surface.house.url)
    source = "async def example():\n" + textwrap.indent(program, "    ")
    printed: list[Any] = []

    def note(value: Any) -> None:
        printed.append(value)
        if len(printed) == 2:
            raise EnoughSeen

    names: dict[str, Any] = {"print": note}
    exec(compile(ast.parse(source), "docs/control.md", "exec"), names)
    before = surface.house.client.delete("/api/v1/cues/c12")
    assert before.status_code == 200, "the program has a cue 12 of its own"
    with pytest.raises(EnoughSeen):
        await asyncio.wait_for(names["example"](), 30)
    assert {"exposure_ev"} <= printed[0].keys()
    assert isinstance(printed[1], str)
