"""An answer's head leaves with its body, whatever comes in between."""

from __future__ import annotations

import asyncio
from typing import Any

from controller.api.corked import Corked


class Wire(asyncio.Transport):
    """What was sent, packet by packet."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self.sent: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> None:
        self.sent.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True


HEAD, BODY = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", b"{}"


async def corked() -> tuple[Corked, Wire]:
    wire = Wire()
    return Corked(wire, asyncio.get_running_loop()), wire


async def turns() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_head_and_body_are_one_packet() -> None:
    cork, wire = await corked()
    cork.write(HEAD)
    assert wire.sent == []
    cork.write(BODY)
    cork.write(b"more")
    await turns()
    assert wire.sent == [HEAD + BODY, b"more"]


async def test_a_head_whose_body_takes_long_is_not_kept() -> None:
    cork, wire = await corked()
    cork.write(HEAD)
    await turns()
    assert wire.sent == [HEAD]
    cork.write(BODY)
    assert wire.sent == [HEAD, BODY]


async def test_what_is_held_is_sent_before_the_end_and_not_after_it() -> None:
    cork, wire = await corked()
    cork.write(HEAD)
    cork.close()
    assert (wire.sent, cork.is_closing()) == ([HEAD], True)
    other, gone = await corked()
    other.write(HEAD)
    other.abort()
    await turns()
    assert gone.sent == []
    third, lost = await corked()
    third.write(HEAD)
    lost.closed = True
    await turns()
    assert lost.sent == []
    assert third.get_extra_info("peername") == ("127.0.0.1", 1)
