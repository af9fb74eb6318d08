"""A whole run that sends its canvas: a receiver that stalls and a sender that is killed touch no wall, and are told."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from controller.ledger_file import read_segments, runs_in
from controller.ledger_words import SENT_WORDS, explain
from controller.st2110.receiver import Receiver
from controller.st2110.rfc4175 import VideoForm, packet_layout


def test_nobody_on_the_network_touches_a_wall(
    start: Callable[..., Any], config: Callable[..., Path], environment: dict[str, str]
) -> None:
    listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    # It is bound and never read: its buffer is full after a few packets.
    stalled = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    for ear in (listening, stalled):
        ear.bind(("127.0.0.1", 0))
        ear.setblocking(False)
    ports = [ear.getsockname()[1] for ear in (listening, stalled)]
    paths = "".join(f"        - {{destination: 127.0.0.1, port: {port}, source: lo}}\n" for port in ports)
    outputs = f"outputs:\n  main:\n    st2110:\n      paths:\n{paths}\nrender:"
    run = start(str(config((r"^render:$", outputs))), "--simulate", "--port", "0")
    run.running("conductor", "node-main", "service")
    run.reports()
    form = VideoForm(176, 110, "RGB", 8)
    receiver = Receiver(form, packet_layout(form).packets)

    def pictures() -> int:
        packets = []
        while True:
            try:
                packets.append(listening.recv(2048))
            except BlockingIOError:
                break
        return len(receiver.take(packets))

    with httpx.Client(base_url=run.url, timeout=20) as client:

        def stream() -> dict[str, Any]:
            told: dict[str, Any] = client.get("/api/v1/streams/main").json()
            return told

        run.until(lambda: stream()["state"] == "sending", "it is sent")
        run.until(pictures, "pictures arrive")
        before = {name: run.child(name)["pid"] for name in ("node-main", "conductor", "service")}
        frame = stream()["frame"]
        run.until(lambda: pictures() and stream()["frame"] > frame + 40, "it goes on beside a stalled receiver")
        told = stream()
        assert told["paths"][0]["packets"] == told["paths"][1]["packets"]
        assert client.get("/api/v1/streams/main/sdp").text.startswith("v=0")

        began, dead = run.node().frame, run.kill("sender")
        run.until(lambda: run.child("sender")["pid"] not in (0, dead), "the sender is restarted", 5.0)
        run.until(lambda: stream()["reasons"].get("away", 0) > 0, "it says what that cost")
        arrived = receiver.pictures
        run.until(lambda: pictures() and receiver.pictures > arrived + 10, "pictures arrive again")
        # The walls went on meanwhile, and nobody else was restarted.
        assert {name: run.child(name)["pid"] for name in before} == before
        until = run.node().frame
        reported = {report.frame for report in run.reports()}
        assert set(range(began, until - 10)) <= reported
        assert until - began > 20
    assert run.end(signal.SIGTERM) == 0
    for ear in (listening, stalled):
        ear.close()
    folder = Path(environment["XDG_STATE_HOME"]) / "openvolume/own/ledger"
    (segments,) = runs_in(folder).values()
    reading = read_segments(segments)
    ended = [event for event in reading.events if (event.what, event.name) == ("process_ended", "sender")]
    assert "SIGKILL" in ended[0].detail
    (not_sent,) = [event for event in reading.events if event.what == "not_sent" and event.detail.endswith(": away")]
    assert not_sent.name == "main"
    away = [record for record in reading.records if record.sent.get("main") == "away"]
    told_of = explain(away[-1], reading.records, notes=reading.notes, events=reading.events).details if away else []
    assert not away or f"On the network: {SENT_WORDS['away']} (canvas main)." in told_of
    # A repeat on the walls has a reason of its own, never the network's.
    assert all(record.reason != "none" for record in reading.records if record.presented is False)
