"""LED processors: the library of real ones with their limits, and the load a canvas puts on one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from math import ceil
from typing import Annotated

from pydantic import Field

from stage.compiled import Processor
from stage.config import Bits, CanvasConfig, Label, Pixels, ProcessorConfig, Section
from stage.documents import join, read_yaml, validate
from stage.errors import ConfigError, Problem
from stage.panels import Confidence
from stage.rate import Rate

NOMINAL_HZ = 60
"""Makers state capacities at 60 frames a second. Below it they are not taken as larger."""

Limit = Annotated[int, Field(ge=1)]


class LibraryProcessor(Section):
    """A processor of the library. A limit that no source states is None and is not checked."""

    maker: Label
    model: Label
    max_px: Limit | None = None
    """Canvas pixels at 60 frames a second and below."""
    px_per_s: Limit | None = None
    """Canvas pixels a second."""
    max_width_px: Pixels | None = None
    max_height_px: Pixels | None = None
    line_px: Limit | None = None
    """Pixels of one data line at 8 bits and 60 frames a second and below."""
    latency_frames: Annotated[float, Field(ge=0.0)]
    latency_assumed: bool = False
    """No source states its latency."""
    """From input to light."""
    inputs: Label = ""
    outputs: Label = ""
    control: Label = ""
    confidence: Confidence
    note: Label = ""


class _Library(Section):
    processors: dict[str, LibraryProcessor]


@cache
def processor_library() -> Mapping[str, LibraryProcessor]:
    """The processors shipped with OpenVolume, by id. Read once."""
    document = read_yaml(resources.files("stage.library").joinpath("processors.yaml").read_bytes())
    wrapped = type(document)({"processors": document.data}, document.lines, document.problems)
    library, problems = validate(_Library, wrapped)
    if library is None:
        raise ConfigError(*problems)
    return library.processors


def line_capacity_px(model: LibraryProcessor, rate: Rate, bits: Bits) -> int | None:
    """Pixels one data line carries at a rate and depth, or None when no source states it.

    It falls in proportion above 60 frames a second and above 8 bits.
    """
    if model.line_px is None:
        return None
    return model.line_px * 8 * NOMINAL_HZ * rate.den // (bits * max(rate.num, NOMINAL_HZ * rate.den))


def pixel_limits(model: LibraryProcessor, rate: Rate) -> tuple[int | None, int | None]:
    """Canvas pixels and canvas pixels a second a processor takes at a rate; None where no source states it."""
    per_second = model.px_per_s
    if per_second is None and model.max_px is not None and rate.num > NOMINAL_HZ * rate.den:
        per_second = model.max_px * NOMINAL_HZ
    return model.max_px, per_second


def load_of(
    name: str,
    config: ProcessorConfig,
    model: LibraryProcessor,
    canvas: tuple[str, CanvasConfig],
    /,
    *,
    rate: Rate,
    panel_px: Mapping[int, int],
    delay_ms: float,
    problems: list[Problem],
) -> Processor:
    """What a canvas asks of its processor; each limit it breaks is added to `problems` with both numbers.

    panel_px: how many panels (value) of how many pixels (key) hang on its data lines; delay_ms: what the chain
    after the processor adds.
    """
    canvas_id, raster = canvas
    width, height = raster.width_px, raster.height_px
    path = join("stage/canvases", canvas_id)
    px = width * height
    px_per_s = px * rate.num / rate.den
    max_px, per_second = pixel_limits(model, rate)
    shares: dict[str, float] = {}
    told = f"{model.maker} {model.model}"

    def limit(key: str, where: str, asked: float, most: float | None, words: str, mend: str) -> None:
        if most is None:
            return
        shares[key] = asked / most
        if asked > most:
            detail = f"{words} {asked:,.0f} is over the {most:,.0f} of {told} ({name})"
            problems.append(Problem("stage.over_capacity", where, detail, None, mend))

    split = "give part of its tiles to another processor"
    limit("width", join(path, "width_px"), width, model.max_width_px, "canvas width", split)
    limit("height", join(path, "height_px"), height, model.max_height_px, "canvas height", split)
    limit("px", path, px, max_px, "canvas pixels", split)
    limit("px_per_s", path, px_per_s, per_second, f"pixels a second at {rate}", f"{split}, or run slower")

    load: dict[str, float] = {"px": float(px), "px_per_s": px_per_s}
    bits = config.line_bits or raster.encoding.bits
    line = line_capacity_px(model, rate, bits)
    if line is not None:
        lines = 0
        for pixels, count in panel_px.items():
            if pixels > line:
                detail = f"one panel of {pixels:,} px is over the {line:,} px a data line of {told} carries"
                problems.append(
                    Problem("stage.over_capacity", path, f"{detail} at {rate} and {bits} bits", None, split)
                )
            else:
                lines += ceil(count / (line // pixels))
        load["line_px"] = float(line)
        load["lines_used"] = float(lines)
        if config.data_lines is not None:
            load["lines_max"] = float(config.data_lines)
            limit(
                "lines", join("stage/processors", name, "data_lines"), lines, config.data_lines,
                f"data lines of {line:,} px needed:", "cable more lines, or " + split,
            )  # fmt: skip
    load["share"] = max(shares.values(), default=0.0)
    latency = model.latency_frames if config.latency_frames is None else config.latency_frames
    to_light = latency + delay_ms * rate.num / (rate.den * 1000.0)
    if to_light < 0.0:
        own_ms = latency * rate.den * 1000.0 / rate.num
        detail = f"it would reach the light before it is sent: {told} ({name}) takes {own_ms:.1f} ms"
        mend = f"not less than {-own_ms:.1f}"
        problems.append(Problem("stage.output_delay", join("outputs", canvas_id, "delay_ms"), detail, delay_ms, mend))
    return Processor(
        id=name,
        model=config.model,
        latency_frames=to_light,
        max_px=max_px,
        px_rate_limit=per_second,
        max_width_px=model.max_width_px,
        max_height_px=model.max_height_px,
        load=load,
    )
