"""The air of a scene in a configuration file: a physical sky and fog."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from renderer.config_types import Colour, Ev, Light, Share
from stage.config import Degrees, Section

Elevation = Annotated[float, Field(ge=-90.0, le=90.0)]


class SkyConfig(Section):
    """A clear sky worked out from physics, and its sun: by date, time and place, or by hand.

    Its light is real: 1.0 is 100 nit, so daylight wants an `exposure_ev` of the scene of about -8.
    """

    when: str | None = None
    """Date and time with its offset from UTC, such as `2026-06-21T05:10:00+02:00`; with it comes the place."""
    latitude_deg: Annotated[float, Field(ge=-90.0, le=90.0)] | None = None
    longitude_deg: Annotated[float, Field(ge=-180.0, le=180.0)] | None = None
    """East is positive."""
    later_h: Annotated[float, Field(ge=-24.0, le=24.0)] = 0.0
    """Hours added to `when`: a day's course as one live value."""
    north_deg: Degrees = 0.0
    """Pan of geographic north in the scene: 0 puts it at +Y, + turns it to the left."""
    pan_deg: Degrees = 0.0
    """The sun by hand: 0 over the scene's +Y, + to the left."""
    elevation_deg: Elevation = 35.0
    """The sun by hand. From -18 down it is night."""
    haze: Annotated[float, Field(ge=0.0, le=20.0)] = 1.0
    """Aerosol, in multiples of clear country air: 0 pure air, 3 a hazy day, 10 a milky one."""
    ozone: Annotated[float, Field(ge=0.0, le=5.0)] = 1.0
    """Multiples of 300 Dobson units: what keeps twilight blue."""
    ground_albedo: tuple[Share, Share, Share] = (0.3, 0.3, 0.3)
    """Colour of the ground to the horizon, linear Rec.709: it lights the sky and, below, shows."""
    altitude_m: Annotated[float, Field(ge=0.0, le=20_000.0)] = 0.0
    """Height of the place above the sea."""
    night_nits: Light = 0.001
    """Dark blue light that never goes out: 0.0003 is a night without a moon, 0.02 one with a full moon."""
    exposure_ev: Ev = 0.0
    """Stops added to this sky and its sun alone."""
    background: bool = True
    """Whether it is seen."""
    disc: bool = True
    """Whether the sun's disc is seen."""
    stars: bool = True
    """Whether the brightest stars and the moon are seen once the sun is down; with a date, time and place."""
    light: bool = True
    """Whether the sky, without its sun, lights the scene."""
    sun: bool = True
    """Whether its sun lights the scene."""
    shadow: bool = True

    @field_validator("when")
    @classmethod
    def _is_a_time(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parsed = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError("write it like 2026-06-21T05:10:00+02:00") from None
        if parsed.tzinfo is None:
            raise ValueError("give the offset from UTC too, such as +02:00 or Z")
        return value

    @model_validator(mode="after")
    def _has_a_place(self) -> Self:
        given = [self.latitude_deg is not None, self.longitude_deg is not None]
        if any(given) != all(given) or (self.when is not None) != any(given):
            raise ValueError("a sun by date and time needs when, latitude_deg and longitude_deg, all three")
        return self

    @property
    def instant(self) -> datetime | None:
        """Its date and time; None where the sun is given by hand."""
        return None if self.when is None else datetime.fromisoformat(self.when) + timedelta(hours=self.later_h)

    @property
    def sun_pan_elevation_deg(self) -> tuple[float, float]:
        """Where the sun stands in the scene, whichever way it is given."""
        instant = self.instant
        if instant is None or self.latitude_deg is None or self.longitude_deg is None:
            return self.pan_deg, self.elevation_deg
        from renderer.sun_position import sun_azimuth_elevation_deg

        azimuth, elevation = sun_azimuth_elevation_deg(instant, self.latitude_deg, self.longitude_deg)
        return self.north_deg - azimuth, elevation


class FogConfig(Section):
    """Air that takes contrast with distance, denser near the ground: of a thing `d` metres away along the base,
    `exp(-3 d / distance_m)` of its own light is left, and fog's light fills the rest. It lies before the sky too."""

    distance_m: Annotated[float, Field(gt=0.0, le=1_000_000.0)]
    """Distance at which 5 % of a thing's own light is left, at the height of the base."""
    base_m: Annotated[float, Field(ge=-100_000.0, le=100_000.0)] = 0.0
    """Height in the scene at which `distance_m` holds."""
    falloff_m: Annotated[float, Field(gt=0.0, le=100_000.0)] | None = None
    """Every so many metres up, the fog is 2.7 times thinner; left out, it is even."""
    colour: Colour | None = None
    """Its light, linear Rec.709; left out, that of the sky or dome at the horizon, each way as it is there."""
    sun_glow: Share = 0.0
    """Share of the sun's light that the fog scatters towards whoever looks near the sun."""
    glow_forward: Annotated[float, Field(ge=0.0, le=0.95)] = 0.76
    """How narrow that glow is."""
    sky_distance_m: Annotated[float, Field(gt=0.0, le=1e9)] = 100_000.0
    """How far away sky, dome and background count as."""


class OcclusionConfig(Section):
    """Ambient occlusion: how much of the sky each place sees past what stands still, worked out when the scene is
    loaded. It dims the light of dome, sky and `ambient`, never that of the sun and lamps."""

    centre_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Middle of the box it is worked out in, in the scene; beyond it everything sees all of the sky."""
    reach_m: Annotated[float, Field(gt=0.0, le=10_000.0)] = 24.0
    """How far the box reaches from there, where there is anything."""
    cells: Annotated[int, Field(ge=8, le=192)] = 64
    """Cells along the box' longest side: nothing finer than one is told apart."""
    strength: Share = 1.0
    """0: none."""
    least: Share = 0.15
    """Share of the light that reaches the darkest corner, by ways that are not followed."""
