"""Processors over the API where none is spoken to, and the letters to the process that would."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from controller.api.processors import ProcessorHand
from controller.errors import ControllerError
from controller.messages import Message, ProcessorNotSet, ProcessorSet, RestoreProcessor, SetProcessor, TimeJammed
from controller.processors.driver import BusyError, LockedError, ProcessorError, UnreachableError
from controller.processors.keeper import SetResult
from stage.errors import Problem

if TYPE_CHECKING:
    from tests.controller.conftest import RunningHouse


def test_one_that_is_not_spoken_to_says_so(house: RunningHouse) -> None:
    led1 = house.get("processors/led1")
    assert (led1["driver"], led1["link"], led1["settings"], led1["desired"]) == (None, None, {}, {})
    assert house.get("processors")["led1"] == led1
    for path, status in (("led1", 409), ("led9", 404)):
        for answer in (
            house.client.patch(f"/api/v1/processors/{path}", json={"settings": {"gamma": 2.2}}),
            house.client.post(f"/api/v1/processors/{path}/restore"),
            house.client.post(f"/api/v1/processors/{path}/keep"),
        ):
            assert answer.status_code == status, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["path"] == f"processors/{path}"
            assert answer.json()["mend"]
    # All that are spoken to: none.
    answer = house.client.post("/api/v1/processors/restore")
    assert (answer.status_code, answer.json()) == (200, {"dry_run": False, "good": True, "processors": {}})


class Wire:
    """What is sent, and whether anybody is there."""

    def __init__(self, *, there: bool = True) -> None:
        self.there = there
        self.sent: list[tuple[str, Message]] = []

    def send(self, who: str, message: Message) -> bool:
        self.sent.append((who, message))
        return self.there


def test_answers_find_who_asked() -> None:
    async def play() -> None:
        wire = Wire()
        hand = ProcessorHand(wire, reply_to="service.sock")
        setting = asyncio.create_task(hand.set("led1", {"gamma": 2.2}))
        restoring = asyncio.create_task(hand.restore("led2", dry_run=True))
        await asyncio.sleep(0)
        assert wire.sent == [
            ("processors", SetProcessor("led1", {"gamma": 2.2}, 1, "service.sock")),
            ("processors", RestoreProcessor("led2", 2, "service.sock", True)),
        ]
        results = [SetResult("gamma", 2.2, 2.2, "applied")]
        assert not hand.on_message(TimeJammed(1, 5)), "not one of its letters"
        assert hand.on_message(ProcessorSet("led2", 2, []))
        assert hand.on_message(ProcessorSet("led1", 1, results))
        assert hand.on_message(ProcessorSet("led1", 1, [])), "what comes late is let go"
        assert (await setting, await restoring) == (results, [])

    asyncio.run(play())


def test_one_that_cannot_be_set_holds_up_no_other() -> None:
    async def play() -> None:
        wire = Wire()
        hand = ProcessorHand(wire, reply_to="service.sock")
        asked = asyncio.create_task(hand.restore_all(["led1", "led2"]))
        while len(wire.sent) < 2:  # noqa: ASYNC110  # tasks of one loop, each a turn
            await asyncio.sleep(0)
        assert hand.on_message(ProcessorNotSet("led1", 1, [Problem(LockedError.code, "processors/led1", "no")]))
        results = [SetResult("gamma", 2.2, 2.2, "applied")]
        assert hand.on_message(ProcessorSet("led2", 2, results))
        found = await asked
        assert isinstance(found["led1"], LockedError)
        assert found["led2"] == results

    asyncio.run(play())


@pytest.mark.parametrize("kind", [LockedError, BusyError, UnreachableError, ProcessorError])
def test_refusals_keep_their_kind(kind: type[ControllerError]) -> None:
    async def play() -> None:
        hand = ProcessorHand(Wire(), reply_to="service.sock")
        setting = asyncio.create_task(hand.set("led1", {"gamma": 2.2}))
        await asyncio.sleep(0)
        assert hand.on_message(ProcessorNotSet("led1", 1, [Problem(kind.code, "processors/led1", "no")]))
        with pytest.raises(kind) as caught:
            await setting
        assert type(caught.value) is kind
        with pytest.raises(UnreachableError):
            await ProcessorHand(Wire(there=False), reply_to="service.sock").restore("led1")

    asyncio.run(play())
