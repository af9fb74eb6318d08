"""The WebSocket client of the loads reads frames as the protocol has them, and answers pings."""

from __future__ import annotations

import socket

from controller.timing.loads import PING, PONG, TEXT, Reader


def frame(opcode: int, payload: bytes) -> bytes:
    """As a server sends it."""
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | opcode, size))
    elif size < 1 << 16:
        head = bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big")
    return head + payload


def test_frames_of_every_length_cut_anywhere() -> None:
    ours, theirs = socket.socketpair()
    reader = Reader(ours)
    data = b"".join(frame(TEXT, b"x" * size) for size in (0, 1, 125, 126, 70_000))
    heard = 0
    for start in range(0, len(data), 9000):
        theirs.sendall(data[start : start + 9000])
        heard += reader.read() or 0
    assert heard == 5
    theirs.sendall(data[:1])
    assert reader.read() == 0
    theirs.sendall(data[1:2])
    assert reader.read() == 1
    theirs.close()
    assert reader.read() is None
    ours.close()


def test_a_ping_is_answered_masked() -> None:
    ours, theirs = socket.socketpair()
    reader = Reader(ours)
    theirs.sendall(frame(PING, b"abcd") + frame(TEXT, b"{}"))
    assert reader.read() == 1
    answer = theirs.recv(100)
    assert answer[0] == 0x80 | PONG
    assert answer[1] == 0x80 | 4, "a client masks"
    mask = answer[2:6]
    assert bytes(b ^ mask[i % 4] for i, b in enumerate(answer[6:])) == b"abcd"
    ours.close()
    theirs.close()
