"""What the mode a processor is really in means: how long it delays the picture, and how much it can carry.

The figures are the makers' (`stage/library/processors.yaml`) or the show's own measured ones; what is read of a
processor only moves them by what its documents state. What no document states is not guessed: the configured figure
stays, and `why` says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import ceil
from typing import Final

from msgspec import Struct

from controller.processors.model import Reading, Value
from stage.compiled import Canvas, CompiledStage
from stage.config import Bits, ProcessorConfig
from stage.processors import LibraryProcessor, line_capacity_px, pixel_limits
from stage.rate import Rate

_DEPTHS: Final[tuple[Bits, ...]] = (8, 10, 12)
NEAR_FRAMES: Final = 0.002
"""Delays this close are the same."""


class Delay(Struct, frozen=True):
    """From a processor's input to light, frames of the show's rate; without what the chain after it adds."""

    configured_frames: float
    """As the configuration has it, else the library's figure."""
    real_frames: float | None = None
    """In the mode it is in; None: nothing it tells says so, and the configured figure stands."""
    why: tuple[str, ...] = ()
    """What moved it, and what could not be told, in words."""

    @property
    def differs(self) -> bool:
        """Whether it is not as configured."""
        return self.real_frames is not None and abs(self.real_frames - self.configured_frames) > NEAR_FRAMES


class Capacity(Struct, frozen=True):
    """What is asked of a processor in the mode it is in, next to what it carries. None: no source states it."""

    rate_hz: float
    """At which its panels are fed: its input's rate times its multiplier."""
    bits: int
    """On its data lines."""
    px_per_s: float
    most_px_per_s: float | None = None
    line_px: int | None = None
    """Pixels one data line carries in this mode."""
    lines_used: int | None = None
    """Data lines its panels need in this mode."""
    over: tuple[str, ...] = ()
    """Limits that are broken, in words."""


def delay_of(
    config: ProcessorConfig, library: LibraryProcessor, reading: Reading | None, wished: Mapping[str, Value], rate: Rate
) -> Delay:
    """The delay of a processor as read. `wished`: settings the show wants; a measured figure is taken for them."""
    measured = config.latency_frames is not None
    configured = library.latency_frames if config.latency_frames is None else config.latency_frames
    if reading is None:
        return Delay(configured, None, ("it was not read yet",))
    why: list[str] = []
    told = False
    real = configured
    show_hz = rate.num / rate.den
    input_hz = reading.signal.rate_hz
    if reading.latency_frames is not None:
        # It says so itself, in frames of what arrives.
        real, told = reading.latency_frames * _share(show_hz, input_hz), True
        why.append(f"it tells {reading.latency_frames:g} frames")
    elif measured:
        why.append(f"it does not tell its latency: {configured:g} frames, as configured")
    elif library.latency_assumed:
        why.append(f"no document states its latency: {configured:g} frames are assumed, measure it")
    else:
        told = True
        share = _share(show_hz, input_hz)
        real = configured * share
        why.append(f"its documents state {configured:g} frames")
        if share != 1.0:
            why.append(f"of its input, which runs at {input_hz:g} Hz")
    later, words = _remapped(reading.settings, wished if measured and reading.latency_frames is None else {})
    added, more = _added(reading.settings, wished)
    real, told = real + later + added, told or bool(words or more)
    why += [*words, *more]
    if "low_latency" in reading.settings and reading.latency_frames is None:
        state = "on" if reading.settings["low_latency"] else "off"
        why.append(f"low latency is {state}; no document states what that is worth")
    return Delay(configured, round(real, 4) if told else None, tuple(why))


def capacity_of(
    config: ProcessorConfig,
    library: LibraryProcessor,
    reading: Reading,
    canvas: Canvas,
    panel_px: Mapping[int, int] | None = None,
) -> Capacity:
    """What a canvas asks of a processor in the mode that was read. `panel_px`: how many panels (value) of how many
    pixels (key) hang on its data lines."""
    input_hz = reading.signal.rate_hz or canvas.rate.num / canvas.rate.den
    multiplier = reading.settings.get("rate_multiplier", 1)
    rate_hz = input_hz * (multiplier if isinstance(multiplier, (int, float)) else 1)
    found = reading.settings.get("bit_depth", config.line_bits or canvas.encoding.bits)
    bits = int(found) if isinstance(found, (int, float)) else canvas.encoding.bits
    rate = Rate(max(1, round(rate_hz * 1000)), 1000)
    px = canvas.width_px * canvas.height_px
    px_per_s = px * rate_hz
    most = pixel_limits(library, rate)[1]
    line = next((line_capacity_px(library, rate, known) for known in _DEPTHS if known == bits), None)
    over: list[str] = []
    if most is not None and px_per_s > most:
        over.append(f"{px_per_s:,.0f} pixels a second at {rate_hz:g} Hz are over the {most:,.0f} it carries")
    lines = None
    if line is not None and panel_px:
        mode = f"at {rate_hz:g} Hz and {bits} bits"
        widest = max(panel_px)
        if widest > line:
            over.append(f"one panel of {widest:,} px is over the {line:,} px a data line carries {mode}")
        else:
            lines = sum(ceil(count / (line // pixels)) for pixels, count in panel_px.items())
            if config.data_lines is not None and lines > config.data_lines:
                over.append(f"its panels need {lines} data lines {mode}, {config.data_lines} are cabled")
    return Capacity(rate_hz, bits, px_per_s, None if most is None else float(most), line, lines, tuple(over))


def panels_of(stage: CompiledStage, canvas: str) -> Counter[int]:
    """How many panels of how many pixels each hang behind a canvas."""
    return Counter(c.wall_rect_px[2] * c.wall_rect_px[3] for c in stage.cabinets if c.canvas == canvas)


def size_fits(reading: Reading, canvas: Canvas) -> bool:
    """Whether what arrives is as large as the canvas: otherwise it is scaled, and no pixel is where it should be."""
    signal = reading.signal
    if not signal.present or signal.width_px is None or signal.height_px is None:
        return True
    return (signal.width_px, signal.height_px) == (canvas.width_px, canvas.height_px)


def _share(show_hz: float, input_hz: float | None) -> float:
    """Of the show's frame, how long a frame of a whole multiple of its rate is; 1 for any other."""
    if input_hz is None or input_hz <= 0.0:
        return 1.0
    times = round(input_hz / show_hz)
    return 1.0 / times if times >= 1 and abs(input_hz - times * show_hz) < 0.06 * times else 1.0


def _remapped(settings: Mapping[str, Value], wished: Mapping[str, Value]) -> tuple[float, list[str]]:
    """Frame remapping shows the input in parts of a frame: its first picture is so much later than the frame."""
    now, meant = _first_picture(settings), 0.0
    if "remapping_frames" in wished:
        # A figure that was measured was measured as the show wants it to be.
        meant = _first_picture({**settings, **wished})
    if now == meant:
        return 0.0, []
    return now - meant, [f"frame remapping shows the picture {now - meant:+.3g} frames later"]


def _first_picture(settings: Mapping[str, Value]) -> float:
    text, multiplier = settings.get("remapping_frames"), settings.get("rate_multiplier", 1)
    if settings.get("remapping") is not True or not isinstance(text, str) or not isinstance(multiplier, (int, float)):
        return 0.0
    parts = [part.split()[:1] for part in text.split(",")][: int(multiplier)]
    return next((n / multiplier for n, part in enumerate(parts) if part == ["video"]), 0.0)


def _added(settings: Mapping[str, Value], wished: Mapping[str, Value]) -> tuple[float, list[str]]:
    """Frames a processor is set to add, over those the show wants it to."""
    found, meant = settings.get("additional_frames"), wished.get("additional_frames", 0)
    if not isinstance(found, (int, float)) or not isinstance(meant, (int, float)) or found == meant:
        return 0.0, []
    return float(found - meant), [f"it is set to add {found:g} frames, the figure is for {meant:g}"]
