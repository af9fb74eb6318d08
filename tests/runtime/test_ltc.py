"""LTC out of audio: a third party's signal, every rate, speed, level and sample rate; broken twins are counted."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.references.ltc import BITS, LtcDecoder, LtcEncoder, LtcFrame, read_word, write_word
from stage.rate import RATES, Rate
from stage.timecode import LabelParts, drops, frame_of, frame_of_parts, frames_per_day, nominal_fps, parts_at

LTC_RATES = ["23.976", "24", "25", "29.97", "30"]


def third_party(reference: Path) -> tuple[np.ndarray, list[dict[str, str]]]:
    folder = reference / "tracking/timecode"
    told = json.loads((folder / "ltc_25_150347_02.json").read_text())
    with wave.open(str(folder / "ltc_25_150347_02.wav")) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.uint8)
        assert file.getframerate() == told["sample_rate"]
    return samples, told["frames"]


def decode(samples: np.ndarray, sample_rate: int = 48000, *, portion: int = 480) -> tuple[list[LtcFrame], LtcDecoder]:
    decoder = LtcDecoder(sample_rate)
    found: list[LtcFrame] = []
    for at in range(0, len(samples), portion):
        found += decoder.feed(samples[at : at + portion])
    return found, decoder


def word_at(rate: Rate, frame: int) -> int:
    return write_word(parts_at(rate, frame), labels_per_s=nominal_fps(rate), drop_frame=drops(rate) > 0)


def tape(rate: Rate, sample_rate: int, frames: list[int], **how: float) -> np.ndarray:
    encoder = LtcEncoder(rate, sample_rate, **how)
    return np.concatenate([encoder.frame(word_at(rate, frame)) for frame in frames])


def test_a_third_partys_signal(reference: Path) -> None:
    samples, told = third_party(reference)
    found, decoder = decode(samples)
    rate = RATES["25"]
    expected = [parts_at(rate, frame_of(rate, frame["tc"])) for frame in told]
    # The last frame's end is not in the file: a label is known when the next frame begins.
    assert [frame.parts for frame in found] == expected[:-1]
    assert decoder.refused == {}
    assert all(frame.parity and not frame.reverse and not frame.drop_frame for frame in found)
    starts = np.array([frame.start for frame in found])
    assert np.abs(starts - 1920.0 * np.arange(len(found))).max() < 0.5
    assert np.mean([frame.fps for frame in found]) == pytest.approx(25.0, abs=0.001)
    for frame, known in zip(found, told, strict=False):
        word = int.from_bytes(bytes.fromhex(known["bits_hex_lsb_first"]), "little")
        assert read_word(word)[0] == frame.parts
        assert write_word(frame.parts, labels_per_s=25) == word


def test_polarity_level_offset_and_kind_of_sample_do_not_matter(reference: Path) -> None:
    samples, _ = third_party(reference)
    expected = [frame.parts for frame in decode(samples)[0]]
    for other in (
        255 - samples,
        samples.astype(np.float32) * 1e-3 - 40.0,
        (samples.astype(np.int32) - 128) * 1000,
        np.repeat(samples, 2)[::2].astype(np.int16),
    ):
        assert [frame.parts for frame in decode(other)[0]] == expected


def test_the_same_signal_backwards(reference: Path) -> None:
    samples, _ = third_party(reference)
    found, _ = decode(samples[::-1])
    assert len(found) >= 48
    assert all(frame.reverse for frame in found)
    numbers = [frame_of_parts(RATES["25"], frame.parts) for frame in found]
    assert set(np.diff(numbers)) == {-1}


def test_broken_twins_are_counted_and_give_no_label(reference: Path) -> None:
    """A drop-out, one bit turned, an impossible digit: never a wrong label."""
    samples, told = third_party(reference)
    expected = {frame["tc"] for frame in told}
    rate = RATES["25"]

    def labels(broken: np.ndarray) -> tuple[set[str], LtcDecoder]:
        found, decoder = decode(broken)
        names = {f"{p.hours:02d}:{p.minutes:02d}:{p.seconds:02d}:{p.frames:02d}" for p in (f.parts for f in found)}
        return names, decoder

    silent = samples.astype(np.int16) - 128
    silent[40_000:43_000] = 0
    names, decoder = labels(silent)
    assert names < expected
    assert len(names) >= 46
    assert decoder.refused["gap"] >= 1
    # Frame 20 with one bit turned: its parity does not fit any more.
    encoder = LtcEncoder(rate, 48000)
    first = frame_of(rate, told[0]["tc"])
    turned = [word_at(rate, first + i) ^ ((1 << 24) if i == 20 else 0) for i in range(50)]
    names, decoder = labels(np.concatenate([encoder.frame(word) for word in turned]))
    assert names < expected
    assert decoder.refused == {"parity": 1}
    # Hours of 39.
    encoder = LtcEncoder(rate, 48000)
    wrong = [word_at(rate, first + i) | ((0b11 << 56) if i == 20 else 0) for i in range(50)]
    names, decoder = labels(np.concatenate([encoder.frame(word) for word in wrong]))
    assert names < expected
    assert decoder.refused == {"range": 1}


@pytest.mark.parametrize("name", LTC_RATES)
@pytest.mark.parametrize("sample_rate", [8000, 44100, 48000, 96000])
def test_every_rate_at_every_sample_rate(name: str, sample_rate: int) -> None:
    rate = RATES[name]
    frames = list(range(1795, 1835))
    found, decoder = decode(tape(rate, sample_rate, frames, rise_us=0.0), sample_rate, portion=sample_rate // 100)
    numbers = [frame_of_parts(rate, frame.parts, drop_frame=frame.drop_frame) for frame in found]
    assert numbers == frames[:-1]
    assert {frame.drop_frame for frame in found} == {drops(rate) > 0}
    exact = sample_rate * rate.den / rate.num
    assert max(abs(frame.start - i * exact) for i, frame in enumerate(found)) < 1.0
    assert np.mean([frame.fps for frame in found[3:]]) == pytest.approx(rate.hz, rel=2e-3)
    assert decoder.refused == {}


@pytest.mark.parametrize("speed", [0.1, 0.3, 0.97, 1.03, 2.5, 5.0, -0.3, -1.0, -4.0])
def test_a_tape_at_any_speed_is_followed_once_it_is_learned(speed: float) -> None:
    rate = RATES["25"]
    frames = list(range(1000, 1060)) if speed > 0 else list(range(1060, 1000, -1))
    found, _ = decode(tape(rate, 48000, frames, rise_us=20.0, speed=speed))
    numbers = [frame_of_parts(rate, frame.parts) for frame in found]
    assert len(numbers) > 50
    assert numbers == [n for n in frames if n in set(numbers)], "in order, and none that was not there"
    assert {frame.reverse for frame in found} == {speed < 0}
    assert found[-1].fps == pytest.approx(25.0 * abs(speed), rel=0.01)


@given(
    st.sampled_from(LTC_RATES),
    st.integers(0, 10**7),
    st.sampled_from([16000, 44100, 48000, 192000]),
    st.floats(1e-3, 30000.0),
    st.floats(-1.0, 1.0),
    st.integers(0, 2**32 - 1),
    st.integers(17, 3000),
)
def test_what_the_encoder_writes_the_decoder_reads(
    name: str, first: int, sample_rate: int, level: float, offset: float, user: int, portion: int
) -> None:
    rate = RATES[name]
    encoder = LtcEncoder(rate, sample_rate, level=level)
    count = nominal_fps(rate)
    drop = drops(rate) > 0
    words = [write_word(parts_at(rate, first + i), labels_per_s=count, drop_frame=drop, user=user) for i in range(6)]
    samples = np.concatenate([encoder.frame(word) for word in words])
    noise = np.random.default_rng(first).normal(0.0, level * 0.03, len(samples))
    found, _ = decode(samples + noise + offset * level, sample_rate, portion=portion)
    numbers = [frame_of_parts(rate, frame.parts, drop_frame=frame.drop_frame) for frame in found]
    day = frames_per_day(rate)
    expected = [(first + i) % day for i in range(5)]
    # In small portions the signal's swing is learned during the first frame.
    assert numbers[-3:] == expected[-3:]
    assert numbers == expected[len(expected) - len(numbers) :]
    assert all(frame.user == user and frame.parity for frame in found)


@given(st.lists(st.floats(-1.0, 1.0, allow_subnormal=False), max_size=4000), st.integers(1, 4000))
def test_anything_else_is_no_time_code(values: list[float], portion: int) -> None:
    found, decoder = decode(np.array(values, dtype=np.float32), 8000, portion=portion)
    assert found == []
    assert decoder.position == len(values)


def test_samples_that_are_no_numbers_do_no_harm() -> None:
    rate = RATES["30"]
    samples = tape(rate, 48000, list(range(40))).astype(np.float64)
    samples[5000] = np.nan
    samples[9000] = np.inf
    found, _ = decode(samples)
    assert len(found) > 30
    with pytest.raises(ValueError, match="too few"):
        LtcDecoder(4000)
    with pytest.raises(ValueError, match="stands still"):
        LtcEncoder(rate, 48000, speed=0.0)


@given(st.integers(0, 23), st.integers(0, 59), st.integers(0, 59), st.integers(0, 29), st.booleans(), st.booleans())
def test_words_come_back(hours: int, minutes: int, seconds: int, frames: int, drop: bool, colour: bool) -> None:
    parts = LabelParts(hours, minutes, seconds, frames)
    for labels_per_s in (24, 25, 30):
        word = write_word(parts, labels_per_s=labels_per_s, drop_frame=drop, colour=colour, user=0xDEADBEEF)
        assert read_word(word) == (parts, drop, colour, 0xDEADBEEF)
        assert word.bit_count() % 2 == 0
        assert word < 1 << BITS
