"""Linear time code out of audio samples, and into them. Pure; any sample rate, level, offset and polarity.

80 bits a frame, biphase mark: the signal turns over at every bit's start, and once more in the middle of a 1. BCD
fields lie least significant bit first; bits 64-79 are the sync word, which tells where a frame begins and, played
backwards, that it runs backwards. The label names the frame that starts with bit 0, so it is known one frame late:
`LtcFrame.start` is where its bit 0 began.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import ceil
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from runtime.references.labels import Refusal, plausible
from stage.rate import Rate
from stage.timecode import LabelParts

BITS: Final = 80
SYNC_FORWARD: Final = 0b0011_1111_1111_1101
"""Bits 64 to 79 in the order they come."""
SYNC_REVERSE: Final = 0b1011_1111_1111_1100
"""Bits 79 to 64: what comes first when the tape runs backwards."""
PARITY_BIT: Final = {24: 27, 25: 59, 30: 27}
"""The bit that keeps the number of ones even, by labels a second."""

_USUAL_HZ: Final = 80 * 27
"""Bits a second to begin with: between 24 and 30 frames."""
_QUIETEST: Final = 1e-4
"""Half the swing below which there is no signal: -80 dB of full scale."""
_HYSTERESIS: Final = 0.3
"""Share of half the swing that a turn-over must pass, so that noise is none."""
_ENVELOPE_S: Final = 0.02
_PARITY_KEPT: Final = 12
"""Frames in a row whose parity fits before one that does not is refused: by chance, one run in 4096."""
_RELEARN: Final = 320
"""Turn-overs without a frame after which the speed is measured anew."""
_MASK: Final = (1 << BITS) - 1

Samples = NDArray[Any]


@dataclass(frozen=True, slots=True)
class LtcFrame:
    """One frame of time code.

    start, end : where it began and ended, in samples since the decoder's first (fractions count); user : 32 user
    bits; fps : frames a second as played; parity : whether its parity bit fits (many generators leave it out).
    """

    parts: LabelParts
    drop_frame: bool
    start: float
    end: float
    fps: float
    reverse: bool = False
    colour: bool = False
    user: int = 0
    parity: bool = True


class LtcDecoder:
    """Frames out of samples as they come, in any portions.

    Attributes
    ----------
    sample_rate : int; position : samples taken in so far
    refused : why frames were left aside, counted. A wrong parity counts only from a generator that has kept it.
    level : half the signal's swing, in the samples' own unit.
    """

    def __init__(self, sample_rate: int) -> None:
        if sample_rate < 8000:
            raise ValueError(f"{sample_rate} samples a second are too few for time code; use 8000 or more")
        self.sample_rate = sample_rate
        self.position = 0
        self.refused: Counter[Refusal] = Counter()
        self.level = 0.0
        self._bit = sample_rate / _USUAL_HZ
        self._swings: deque[tuple[int, float, float]] = deque()
        self._before = 0.0
        self._high: bool | None = None
        self._turned = 0.0
        self._half: float | None = None
        self._register = 0
        self._starts: deque[float] = deque(maxlen=BITS)
        self._reverse_left = 0
        self._gaps: deque[float] = deque(maxlen=160)
        self._since_frame = 0
        self._parity_kept = 0

    @property
    def bit_samples(self) -> float:
        """Samples of one bit, as measured now."""
        return self._bit

    def feed(self, samples: Samples) -> list[LtcFrame]:
        """Take in samples, [n] (integers or floats); the frames they complete.

        Portions of 5 to 100 ms are best: the signal's swing is followed from one to the next.
        """
        x = np.asarray(samples, dtype=np.float64).reshape(-1)
        found: list[LtcFrame] = []
        for at in range(0, len(x), self.sample_rate // 10):
            found += self._portion(x[at : at + self.sample_rate // 10])
        return found

    def _portion(self, x: NDArray[np.float64]) -> list[LtcFrame]:
        if not len(x):
            return []
        if not np.isfinite(x).all():
            x = np.nan_to_num(x, nan=0.0, posinf=0.0, neginf=0.0)
        turns = self._turns(x)
        self._before = float(x[-1])
        self.position += len(x)
        found: list[LtcFrame] = []
        for turn in turns:
            self._turn(turn, found)
        return found

    def _turns(self, x: NDArray[np.float64]) -> list[float]:
        """Where the signal turned over, in samples since the first."""
        swings = self._swings
        swings.append((self.position + len(x), float(x.min()), float(x.max())))
        while len(swings) > 1 and swings[1][0] <= self.position + len(x) - self.sample_rate * _ENVELOPE_S:
            swings.popleft()
        low, high = min(s[1] for s in swings), max(s[2] for s in swings)
        middle, self.level = (low + high) / 2.0, (high - low) / 2.0
        if self.level < _QUIETEST:
            self._high = None
            return []
        threshold = _HYSTERESIS * self.level
        x = np.concatenate([[self._before], x]) - middle
        # 1 above, -1 below, 0 in between: there the last side still counts.
        side = (x > threshold).astype(np.int8) - (x < -threshold).astype(np.int8)
        if self._high is not None:
            side[0] = 1 if self._high else -1
        told = np.flatnonzero(side)
        if not len(told):
            return []
        sides = side[told]
        changes = told[1:][sides[1:] != sides[:-1]]
        self._high = bool(sides[-1] > 0)
        # The threshold is passed between two samples; rising and falling are late by the same.
        limit = threshold * side[changes]
        step = x[changes] - x[changes - 1]
        share = np.divide(limit - x[changes - 1], step, out=np.ones_like(step), where=step != 0.0)
        turns: list[float] = (self.position - 1 + (changes - 1) + np.clip(share, 0.0, 1.0)).tolist()
        return turns

    def _turn(self, t: float, found: list[LtcFrame]) -> None:
        gap, self._turned = t - self._turned, t
        self._gaps.append(gap)
        self._since_frame += 1
        if self._since_frame > _RELEARN and len(self._gaps) == self._gaps.maxlen:
            # Another speed: of the newest gaps, the long ones are a bit. (Every frame has many, and few are longer.)
            self._bit = sorted(self._gaps)[len(self._gaps) * 9 // 10]
            self._since_frame = 0
            self._forget()
        bit = self._bit
        if gap > 1.6 * bit or gap < 0.2 * bit:
            if len(self._starts) > 1:
                self.refused["gap"] += 1
            self._forget()
            return
        if gap > 0.75 * bit:
            # A half bit that waits belonged to another bit: begin with this one.
            self._half = None
            self._add(0, t - gap, t, found)
            self._bit += (gap - bit) / 16.0
        elif self._half is None:
            self._half = gap
        else:
            whole, self._half = self._half + gap, None
            self._add(1, t - whole, t, found)
            self._bit += (whole - bit) / 16.0

    def _forget(self) -> None:
        self._register = self._reverse_left = 0
        self._half = None
        self._starts.clear()

    def _add(self, value: int, start: float, end: float, found: list[LtcFrame]) -> None:
        self._register = register = (self._register << 1 | value) & _MASK
        self._starts.append(start)
        if len(self._starts) < 16:
            return
        last = register & 0xFFFF
        if last == SYNC_FORWARD:
            self._reverse_left = 0
            if len(self._starts) == BITS:
                self._frame(int(f"{register:080b}"[::-1], 2), end, found, reverse=False)
        elif last == SYNC_REVERSE:
            self._reverse_left = BITS - 16
        elif self._reverse_left:
            self._reverse_left -= 1
            if not self._reverse_left:
                self._frame(register, end, found, reverse=True)

    def _frame(self, word: int, end: float, found: list[LtcFrame], *, reverse: bool) -> None:
        """`word` holds bit k of the frame at its bit k."""
        start = self._starts[0]
        self._since_frame = 0
        parts, drop, colour, user = read_word(word)
        if not plausible(parts, drop_frame=drop):
            self.refused["range"] += 1
            return
        parity = word.bit_count() % 2 == 0
        kept, self._parity_kept = self._parity_kept, self._parity_kept + 1 if parity else 0
        if not parity and kept >= _PARITY_KEPT:
            self.refused["parity"] += 1
            return
        fps = self.sample_rate / (end - start)
        found.append(LtcFrame(parts, drop, start, end, fps, reverse, colour, user, parity))


def _field(word: int, at: int, bits: int) -> int:
    return word >> at & (1 << bits) - 1


def read_word(word: int) -> tuple[LabelParts, bool, bool, int]:
    """Label, drop flag, colour flag and the 32 user bits of a frame; bit k of `word` is bit k of the frame.

    A decimal digit above 9 gives a field that is out of range.
    """
    fields = []
    for at, tens_bits in ((48, 2), (32, 3), (16, 3), (0, 2)):
        units, tens = _field(word, at, 4), _field(word, at + 8, tens_bits)
        fields.append(units + 10 * tens if units < 10 else 99)
    user = sum(_field(word, 4 + 8 * i, 4) << 4 * i for i in range(8))
    return LabelParts(*fields), bool(word >> 10 & 1), bool(word >> 11 & 1), user


def write_word(
    parts: LabelParts, *, labels_per_s: int = 30, drop_frame: bool = False, colour: bool = False, user: int = 0
) -> int:
    """The 80 bits of a frame, its parity bit set by `labels_per_s`: the inverse of `read_word`."""
    word = drop_frame << 10 | colour << 11
    for at, value in zip((48, 32, 16, 0), parts, strict=True):
        word |= value % 10 << at | value // 10 << at + 8
    for i in range(8):
        word |= (user >> 4 * i & 15) << 4 + 8 * i
    for i in range(16):
        word |= (SYNC_FORWARD >> 15 - i & 1) << 64 + i
    if word.bit_count() % 2:
        word |= 1 << PARITY_BIT[labels_per_s]
    return word


class LtcEncoder:
    """Samples of one frame after the other, as a generator on a stage would send them.

    rate : of the labels, exact; level : of the signal; rise_us : how long a turn-over takes (0: a square wave);
    speed : of the tape, below 0 backwards (frames are then to be given in falling order).
    """

    def __init__(
        self, rate: Rate, sample_rate: int, *, level: float = 0.5, rise_us: float = 40.0, speed: float = 1.0
    ) -> None:
        if not speed:
            raise ValueError("a tape that stands still gives no time code")
        self._bit = Fraction(rate.den * sample_rate, rate.num * BITS) / Fraction(abs(speed)).limit_denominator(10**6)
        self._level, self._rise, self._reverse = level, rise_us * 1e-6 * sample_rate, speed < 0
        self._bits = 0
        self._sample = 0
        self._sign = -1.0
        self._earlier = [(-1e9, -1.0)]

    def frame(self, word: int) -> NDArray[np.float32]:
        """Samples up to the end of the next frame, [n] float32."""
        turns: list[tuple[float, float]] = []
        for i in range(BITS):
            at = self._bits + i
            self._sign = -self._sign
            turns.append((float(at * self._bit), self._sign))
            if word >> (BITS - 1 - i if self._reverse else i) & 1:
                self._sign = -self._sign
                turns.append((float((at + Fraction(1, 2)) * self._bit), self._sign))
        self._bits += BITS
        end = ceil(self._bits * self._bit)
        # Edges are ramps around their moment; the last one of the frame before may still be rising.
        known = [*self._earlier, *turns]
        points: list[tuple[float, float]] = [(known[0][0], known[0][1])]
        half = max(self._rise / 2.0, 1e-6)
        for (_, before), (t, after) in pairwise(known):
            points += [(t - half, before), (t + half, after)]
        points.append((float(end) + 1e9, self._sign))
        times, values = np.array(points).T
        samples = np.interp(np.arange(self._sample, end), times, values)
        self._earlier = known[-2:]
        self._sample = end
        out: NDArray[np.float32] = (self._level * samples).astype(np.float32)
        return out
