"""What FFmpeg makes of our streams, told only our session description: the canvas' own codes."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from controller.st2110.pixels import Coding, octets_of
from controller.st2110.rfc4175 import Packing, VideoForm
from controller.st2110.sdp import Path as Way
from controller.st2110.sdp import session
from controller.st2110.stream import VideoStream
from runtime.clock import SystemClock
from stage.rate import Rate

av = pytest.importorskip("av")
RATE = Rate(50)


def free_port() -> int:
    """An even port, with the one above it free for RTCP."""
    while True:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
        ):
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
            try:
                other.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            if port % 2 == 0:
                return port


class Sending(threading.Thread):
    """Sends numbered pictures until it is ended."""

    def __init__(self, form: VideoForm, way: Way, packing: Packing, coding: Coding) -> None:
        super().__init__(daemon=True)
        self.clock = SystemClock()
        self.form, self.ended = form, threading.Event()
        self.stream = VideoStream(
            form, [way], period_ns=RATE.period_ns, ssrc=9, now_ns=self.clock.now_ns, packing=packing, coding=coding
        )
        base = np.random.default_rng(3).integers(0, 256, (form.height_px, form.width_px, 4), dtype=np.uint8)
        self.pictures = [base + np.uint8(n) for n in range(4)]

    def run(self) -> None:
        frame = 0
        start_ns = self.clock.now_ns()
        while not self.ended.is_set():
            due_ns: int | None = RATE.deadline_ns(start_ns, frame)
            assert due_ns is not None
            self.clock.sleep_until(due_ns)
            self.stream.begin(
                self.pictures[frame % 4], start_ns=due_ns, tai_ns=due_ns, sequence=frame * self.stream.packets
            )
            while (due_ns := self.stream.step(self.clock.now_ns())) is not None:
                self.clock.sleep_until(due_ns)
            frame += 1
        self.stream.close()


@pytest.fixture
def sending() -> Iterator[list[Sending]]:
    made: list[Sending] = []
    yield made
    for one in made:
        one.ended.set()
        one.join()


@pytest.mark.parametrize("packing", ["general", "rows", "block"])
@pytest.mark.parametrize(
    ("sampling", "bits"), [("RGB", 8), ("YCbCr-4:2:2", 8), ("YCbCr-4:2:2", 10)], ids=["rgb8", "422-8", "422-10"]
)
def test_ffmpeg_decodes_the_very_codes(
    tmp_path: Path, sending: list[Sending], sampling: Any, bits: int, packing: Packing
) -> None:
    form = VideoForm(320, 180, sampling, bits)
    coding = Coding() if sampling == "RGB" else Coding(wire="narrow")
    way = Way("127.0.0.1", free_port(), "127.0.0.1")
    described = tmp_path / "stream.sdp"
    described.write_bytes(session("left", form, RATE, (way,), session_id=1, packing=packing).encode())
    sender = Sending(form, way, packing, coding)
    sending.append(sender)
    # FFmpeg's socket is there before the first packet: what it hears first is a whole picture.
    options = {"protocol_whitelist": "file,udp,rtp", "analyzeduration": "0", "probesize": "32", "fflags": "nobuffer"}
    options["buffer_size"] = str(8 << 20)
    threading.Timer(0.2, sender.start).start()
    found: list[np.ndarray[Any, Any]] = []
    with av.open(str(described), format="sdp", options=options, timeout=20.0) as container:
        for frame in container.decode(video=0):
            found.append(octets_as_sent(frame, form))
            if len(found) == 8:
                break
    wanted = []
    for picture in sender.pictures:
        out = np.empty(form.octets, np.uint8)
        octets_of(picture, form, out, coding)
        wanted.append(out)
    which = [next((n for n, w in enumerate(wanted) if (w == octets).all()), None) for octets in found]
    # The first may have been on its way when FFmpeg began to listen.
    exact = which[1:]
    assert None not in exact
    assert [(b - a) % 4 for a, b in itertools.pairwise(exact)] == [1] * (len(exact) - 1)


def octets_as_sent(frame: Any, form: VideoForm) -> np.ndarray[Any, Any]:
    """A decoded picture as RFC 4175 packs it."""
    planes = [np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size) for plane in frame.planes]
    if form.sampling == "RGB":
        assert frame.format.name == "rgb24"
        return planes[0][:, : form.width_px * 3].reshape(-1)
    if form.bits == 8:
        assert frame.format.name == "uyvy422"
        return planes[0][:, : form.width_px * 2].reshape(-1)
    assert frame.format.name == "yuv422p10le"
    y, cb, cr = (
        plane.view("<u2")[:, :width].astype(np.uint64)
        for plane, width in zip(planes, (form.width_px, form.width_px // 2, form.width_px // 2), strict=True)
    )
    words = cb << np.uint64(30) | y[:, 0::2] << np.uint64(20) | cr << np.uint64(10) | y[:, 1::2]
    return (words << np.uint64(24)).astype(">u8").view(np.uint8).reshape(-1, 8)[:, :5].reshape(-1)
