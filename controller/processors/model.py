"""What a processor can be asked and set, in one vocabulary for every maker: settings, readings, and how each is told.

A driver maps its maker's names and units to these once. A setting that a processor does not have is simply not among
its `abilities`; nothing is made up for it.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Value = bool | int | float | str
"""What a setting holds. Composite ones (frame remapping) are text of their own, see `SETTINGS`."""

Kind = Literal["switch", "number", "choice", "text"]


class Setting(Struct, frozen=True):
    """One setting of the vocabulary. `unit` is as in field names: nits, percent, k, deg, hz, ms, px."""

    kind: Kind
    label: str
    unit: str = ""
    live: bool = False
    """An override of the moment (freeze, blackout, test picture): shown, never restored with a show."""


SETTINGS: dict[str, Setting] = {
    "brightness_nits": Setting("number", "Brightness", "nits"),
    "brightness_percent": Setting("number", "Brightness", "percent"),
    "colour_temperature_k": Setting("number", "White", "k"),
    "tint_duv": Setting("number", "Tint: distance of white from Planck's curve (Duv)"),
    "gain_percent": Setting("number", "Gain", "percent"),
    "gain_red_percent": Setting("number", "Gain of red", "percent"),
    "gain_green_percent": Setting("number", "Gain of green", "percent"),
    "gain_blue_percent": Setting("number", "Gain of blue", "percent"),
    "gamma": Setting("number", "Gamma"),
    "hdr_mode": Setting("choice", "Dynamic range of the input"),
    "colour_space": Setting("choice", "Primaries of the input"),
    "input": Setting("choice", "Input"),
    "bit_depth": Setting("number", "Bits on the data lines", "bits"),
    "low_latency": Setting("switch", "Low latency"),
    "additional_frames": Setting("number", "Frames it adds to its delay", "frames"),
    "genlock_source": Setting("choice", "Sync source"),
    "genlock_rate_hz": Setting("number", "Rate without a reference", "hz"),
    "genlock_phase_deg": Setting("number", "Sync phase", "deg"),
    "shutter_mode": Setting("choice", "Shutter sync"),
    "shutter_angle_deg": Setting("number", "Shutter angle", "deg"),
    "shutter_speed_hz": Setting("number", "Shutter speed", "hz"),
    "shutter_viewer": Setting("choice", "Shutter sync is made for (eye, camera)"),
    "shutter_sensor": Setting("choice", "Shutter of the camera's sensor"),
    "shutter_readout_ms": Setting("number", "Time the camera's sensor is read in", "ms"),
    "rate_multiplier": Setting("number", "Frames shown for each frame of the input"),
    "remapping": Setting("switch", "Frame remapping"),
    "remapping_frames": Setting("text", "Frame remapping: `video X Y` or `colour R G B` for each frame, by commas"),
    "gamut": Setting("choice", "Primaries of the panels"),
    "colour_correct": Setting("switch", "Its own colour correction"),
    "colour_replace": Setting("switch", "Its own replacement of a colour"),
    "curves": Setting("switch", "Its own curves"),
    "scaler": Setting("switch", "Scaling of the input"),
    "dark_magic": Setting("switch", "Dark Magic: finer steps in the dark"),
    "puretone": Setting("switch", "PureTone: greys without tint"),
    "extended_bit_depth": Setting("switch", "Extended bit depth"),
    "overdrive": Setting("switch", "Overdrive of colours"),
    "seam_correction": Setting("switch", "Correction of seams between panels"),
    "module_correction": Setting("switch", "Correction of modules"),
    "hidden_markers": Setting("switch", "Markers for trackers between the frames"),
    "startracker": Setting("switch", "Markers for a star tracker"),
    "project": Setting("text", "Project it has loaded"),
    "lut_file": Setting("text", "3D table it holds: a .cube file in the configuration's folder"),
    "lut": Setting("switch", "3D table"),
    "lut_strength_percent": Setting("number", "Strength of the 3D table", "percent"),
    "redundancy_mode": Setting("choice", "Redundancy"),
    "redundancy_role": Setting("choice", "Which of two it is"),
    "redundancy_state": Setting("choice", "Whether it feeds the panels", live=True),
    "preset": Setting("text", "Preset"),
    "blackout": Setting("switch", "Blackout", live=True),
    "freeze": Setting("switch", "Freeze", live=True),
    "test_pattern": Setting("choice", "Test picture", live=True),
    "identify": Setting("text", "Panels that show which they are: `all`, their ids by commas, or `off`", live=True),
}
"""Every setting by name, in the order they are shown and written."""

OFF = "off"
"""The test picture that is none."""


class Ability(Struct, frozen=True, omit_defaults=True):
    """How one processor takes one setting. Numbers outside `low..high` are refused before they are sent."""

    low: float | None = None
    high: float | None = None
    step: float | None = None
    """Values are rounded to multiples of it by the processor."""
    choices: tuple[str, ...] = ()
    writable: bool = True
    why_not: str = ""
    """Where it can only be read, or not even that: what stands in the way."""
    readable: bool = True
    """False: the protocol has no way to read it back, so what was written last is taken for it."""

    @property
    def none(self) -> bool:
        """Whether it can be neither read nor written: it is only there to say why."""
        return not self.writable and not self.readable


def without(**reasons: str) -> dict[str, Ability]:
    """What a processor is asked for by every show, and has not: with the reason."""
    return {name: Ability(writable=False, readable=False, why_not=why) for name, why in reasons.items()}


class Identity(Struct, frozen=True, omit_defaults=True):
    """Who answers."""

    maker: str
    model: str = ""
    name: str = ""
    serial: str = ""
    firmware: str = ""


class InputSignal(Struct, frozen=True, omit_defaults=True):
    """What arrives at the active input. None where the processor does not say."""

    present: bool | None = None
    port: str = ""
    width_px: int | None = None
    height_px: int | None = None
    rate_hz: float | None = None
    bits: int | None = None
    sampling: str = ""
    hdr_mode: str = ""


class Health(Struct, frozen=True, omit_defaults=True):
    """How it is. `troubles` are in words, the worst first; empty is well."""

    temperatures_c: dict[str, float] = {}
    fans_rpm: dict[str, float] = {}
    panels_online: int | None = None
    panels_expected: int | None = None
    panel_errors: int | None = None
    redundancy: str = ""
    troubles: tuple[str, ...] = ()


class Reading(Struct, frozen=True, omit_defaults=True):
    """All that one look at a processor gave."""

    identity: Identity
    settings: dict[str, Value]
    """Settings in force, by name of `SETTINGS`."""
    signal: InputSignal = InputSignal()
    health: Health = Health()
    latency_frames: float | None = None
    """From input to light in its present mode, where it says."""
    notes: tuple[str, ...] = ()
    """What it does not tell, or what was taken for it."""


def same(wanted: Value, found: Value, ability: Ability) -> bool:
    """Whether a setting that was read back is what was asked for, within what the processor rounds to."""
    if isinstance(wanted, bool) or isinstance(found, bool) or isinstance(wanted, str) or isinstance(found, str):
        return wanted == found
    allowed = 0.5 * ability.step if ability.step else 0.0
    return abs(wanted - found) <= allowed + 1e-4 * max(1.0, abs(wanted))
