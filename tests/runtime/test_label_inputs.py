"""Where outside time code comes in: real UDP sockets, FIFOs and devices, and what is said when they are not there."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from runtime.clock import NS_PER_MS, NS_PER_S, SystemClock, VirtualClock
from runtime.config import ArtTimecodeConfig, LtcConfig, MtcConfig, TimecodeSource
from runtime.errors import ReferenceOpenError
from runtime.references.art_timecode import packet
from runtime.references.inputs import (
    FileWire,
    LtcInput,
    SampleTimes,
    UdpWire,
    address_of,
    label_input,
    open_wire,
)
from runtime.references.ltc import LtcEncoder, write_word
from runtime.references.mtc import quarter_frames
from stage.rate import RATES
from stage.timecode import LabelParts, parts_at


def ltc_bytes(first: int, count: int, *, channels: int = 1, channel: int = 1) -> bytes:
    rate = RATES["25"]
    encoder = LtcEncoder(rate, 48000)
    words = [write_word(parts_at(rate, first + i), labels_per_s=25) for i in range(count)]
    samples = np.concatenate([encoder.frame(word) for word in words])
    out = np.zeros((len(samples), channels), dtype="<i2")
    out[:, channel - 1] = (samples * 20000).astype("<i2")
    return out.tobytes()


def test_audio_of_several_channels_in_portions_of_any_size() -> None:
    """Each label's moment is its own first bit's, the configured delay taken off, whatever the portions."""
    config = LtcConfig(type="ltc", listen="127.0.0.1:0", channels=2, channel=2, delay_ms=5.0)
    source = LtcInput(config)
    data = ltc_bytes(500, 20, channels=2, channel=2)
    found = []
    for at in range(0, len(data), 1922):
        arrived = min(len(data), at + 1922) // 4
        # 7 ms on the way, sometimes more.
        t_ns = arrived * NS_PER_S // 48000 + 7 * NS_PER_MS + (at // 1922 % 3) * NS_PER_MS
        found += source.take(data[at : at + 1922], t_ns)
    assert [label.parts for label in found] == [parts_at(RATES["25"], 500 + i) for i in range(19)]
    late_ns = [label.t_ns - i * 40 * NS_PER_MS for i, label in enumerate(found)]
    assert max(abs(late - 2 * NS_PER_MS) for late in late_ns[1:]) < 100_000
    assert all(label.exact and label.labels_per_s == 0 for label in found)
    assert 0.30 < source.level < 0.31
    assert source.refused() == {}


def test_samples_that_were_lost_shift_what_follows() -> None:
    times = SampleTimes(48000)
    for i in range(100):
        times.arrived((i + 1) * 480, (i + 1) * 10 * NS_PER_MS + NS_PER_MS)
    assert times.at_ns(480.0) == 11 * NS_PER_MS
    # Three portions never came: from now on the same number of samples is 30 ms later.
    for i in range(103, 113):
        times.arrived((i - 2) * 480, (i + 1) * 10 * NS_PER_MS + NS_PER_MS)
    assert times.at_ns(480.0) == 41 * NS_PER_MS


@pytest.mark.parametrize(
    ("config", "datagrams", "expected"),
    [
        (ArtTimecodeConfig(type="art_timecode", listen="127.0.0.1:0"),
         [packet(LabelParts(1, 2, 3, 4), labels_per_s=25)], LabelParts(1, 2, 3, 4)),
        (LtcConfig(type="ltc", listen="127.0.0.1:0"),
         [ltc_bytes(500, 3)[i : i + 960] for i in range(0, 11520, 960)], parts_at(RATES["25"], 500)),
    ],
    ids=["art_timecode", "ltc"],
)  # fmt: skip
def test_udp(config: TimecodeSource, datagrams: list[bytes], expected: LabelParts) -> None:
    clock = SystemClock()
    wire = open_wire(config, clock)
    assert isinstance(wire, UdpWire)
    before_ns = clock.now_ns()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for datagram in datagrams:
            sender.sendto(datagram, ("127.0.0.1", wire.port))
    source = label_input(config)
    labels = []
    for data, t_ns, host in wire.read():
        assert before_ns <= t_ns <= clock.now_ns()
        labels += source.take(data, t_ns, host)
    assert labels[0].parts == expected
    assert wire.read() == []
    assert wire.fileno() >= 0
    wire.close()


def test_a_fifo_is_read_whoever_comes_and_goes(tmp_path: Path) -> None:
    path = tmp_path / "midi"
    os.mkfifo(path)
    config = MtcConfig(type="mtc", path=str(path))
    wire = open_wire(config, VirtualClock())
    assert isinstance(wire, FileWire)
    assert (wire.read(), wire.fileno()) == ([], -1), "nobody writes: it is polled, not waited for"
    source = label_input(config)
    parts = LabelParts(10, 20, 30, 12)
    for _ in range(2):
        writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        os.write(writer, b"".join(quarter_frames(parts, labels_per_s=30)))
        labels = [label for data, t_ns, _ in wire.read() for label in source.take(data, t_ns)]
        assert [label.parts for label in labels] == [parts]
        assert wire.fileno() >= 0
        os.close(writer)
        assert (wire.read(), wire.fileno()) == ([], -1)
    wire.close()


def test_what_cannot_be_opened_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"no device")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        monkeypatch.setitem(sys.modules, "sounddevice", None)
        cases: list[tuple[TimecodeSource, str, str]] = [
            (ArtTimecodeConfig(type="art_timecode", listen=taken), "time/timecode/listen", "another program"),
            (LtcConfig(type="ltc", path=str(tmp_path / "none")), "time/timecode/path", "mkfifo"),
            (MtcConfig(type="mtc", path=str(tmp_path / "file")), "time/timecode/path", "FIFO"),
            (LtcConfig(type="ltc", device="3"), "time/timecode/device", "openvolume[audio]"),
        ]
        for config, path, mend in cases:
            with pytest.raises(ReferenceOpenError) as caught:
                open_wire(config, VirtualClock())
            (problem,) = caught.value.problems
            assert problem.path == path
            assert mend in problem.mend
            assert address_of(config)


class FakeStream:
    """A sound card as `sounddevice` shows it."""

    def __init__(self, **asked: Any) -> None:
        self.asked = asked
        self.waiting = b""
        self.started = self.closed = False

    def start(self) -> None:
        self.started = True

    @property
    def read_available(self) -> int:
        return len(self.waiting) // 2

    def read(self, frames: int) -> tuple[memoryview, bool]:
        data, self.waiting = self.waiting[: 2 * frames], self.waiting[2 * frames :]
        return memoryview(data), False

    def close(self) -> None:
        self.closed = True


def test_a_sound_card_is_polled_without_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("sounddevice")
    streams: list[FakeStream] = []

    def stream(**asked: Any) -> FakeStream:
        if asked["device"] == 9:
            raise module.PortAudioError("no such device")
        streams.append(FakeStream(**asked))
        return streams[-1]

    module.RawInputStream = stream  # type: ignore[attr-defined]
    module.PortAudioError = type("PortAudioError", (Exception,), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    config = LtcConfig(type="ltc", device="3", sample_rate=48000)
    wire = open_wire(config, VirtualClock())
    (card,) = streams
    assert card.started
    assert (card.asked["device"], card.asked["dtype"], card.asked["samplerate"]) == (3, "int16", 48000)
    assert wire.fileno() == -1
    assert wire.read() == []
    card.waiting = ltc_bytes(77, 3)
    source = label_input(config)
    labels = [label for data, t_ns, _ in wire.read() for label in source.take(data, t_ns)]
    assert [label.parts.frames for label in labels] == [2, 3]
    wire.close()
    assert card.closed
    with pytest.raises(ReferenceOpenError, match="no such device"):
        open_wire(LtcConfig(type="ltc", device="9"), VirtualClock())
