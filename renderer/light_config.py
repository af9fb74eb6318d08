"""Configuration of lamps: light by light, in the units of lighting: lumens, candela, lux."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from renderer.config_types import Colour, SceneMetres
from stage.config import Degrees, Label, Section

Photometric = Annotated[float, Field(ge=0.0, le=100_000_000.0)]
ConeDegrees = Annotated[float, Field(ge=0.0, le=90.0)]
Place = tuple[SceneMetres, SceneMetres, SceneMetres]

_UNITS = {"point": ("candela", "lumens"), "spot": ("candela", "lumens"), "directional": ("lux",)}


class LightConfig(Section):
    """One light of a scene. A white matt surface under E lux shows E / pi nit, before the exposure."""

    label: Label = ""
    kind: Literal["point", "spot", "directional"]
    """`directional` light comes from infinitely far away; it casts no shadow (the scene's `sun` does)."""
    on: bool = True
    position_m: Place = (0.0, 0.0, 0.0)
    """Where it stands, in the scene."""
    aim_m: Place | None = None
    """The point it shines at; left out, `pan_deg` and `tilt_deg` say which way it shines."""
    pan_deg: Degrees = 0.0
    """0 shines along the scene's +Y, + to the left."""
    tilt_deg: Annotated[float, Field(ge=-90.0, le=90.0)] = -90.0
    """-90 shines straight down."""
    candela: Photometric | None = None
    """Intensity in the middle of its light (point, spot)."""
    lumens: Photometric | None = None
    """All the light that leaves it (point, spot); the cones of a spot say what its middle gets of it."""
    lux: Photometric | None = None
    """Illuminance of a surface that faces it (directional)."""
    colour: Colour | None = None
    """Linear Rec.709, multiplies the intensity."""
    temperature_k: Annotated[float, Field(ge=1_667.0, le=25_000.0)] | None = None
    """Colour of a black body; its luminance is the intensity's own."""
    range_m: Annotated[float, Field(gt=0.0, le=100_000.0)] | None = None
    """Where its light has faded to nothing. Left out: where it gives less than 0.05 lux, before the exposure. Ranges
    no longer than needed make scenes of many lights quick."""
    cones_deg: tuple[ConeDegrees, ConeDegrees] = (0.0, 45.0)
    """Of a spot, from its axis: where its light begins to fall off, and where it ends."""
    radius_m: Annotated[float, Field(ge=0.0, le=100.0)] = 0.0
    """Size of the lamp: highlights are as large, and nearer than this it gets no brighter."""
    shadow: bool | None = None
    """Left out: spots cast shadows, points do not (theirs cost six maps)."""

    @model_validator(mode="after")
    def _one_intensity_and_one_colour(self) -> LightConfig:
        given = [name for name in ("candela", "lumens", "lux") if getattr(self, name) is not None]
        wanted = _UNITS[self.kind]
        if len(given) != 1 or given[0] not in wanted:
            raise ValueError(f"a {self.kind} light takes {' or '.join(wanted)}, and one of them")
        if self.colour is not None and self.temperature_k is not None:
            raise ValueError("a light takes a colour or temperature_k, not both")
        if self.cones_deg[0] >= self.cones_deg[1]:
            raise ValueError("cones_deg: the inner cone must be smaller than the outer one")
        if self.shadow and self.kind == "directional":
            raise ValueError("a directional light casts no shadow; give the scene a sun for that")
        if self.aim_m is not None and self.aim_m == self.position_m:
            raise ValueError("aim_m must be another place than position_m")
        return self
