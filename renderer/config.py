"""The `render` section of a configuration: how finely and by which rules the walls are drawn."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stage.config import Section


class RenderConfig(Section):
    """How the walls are drawn. The defaults suit a GPU; software rendering wants a larger `scale`, smaller faces."""

    scale: Annotated[int, Field(ge=1, le=64)] = 1
    """Every canvas side is divided by it (previews, tests, machines without a GPU); 1 = every LED."""
    outer_face_px: Annotated[int, Field(ge=16, le=8192)] = 1024
    """Side of one face (90 degrees) of the outer cube."""
    texels_per_led: Annotated[float, Field(ge=0.25, le=4.0)] = 1.25
    """Inner picture: texels per LED at the densest LED in view."""
    inner_max_px: Annotated[int, Field(ge=64, le=16384)] = 4096
    """No inner picture's side grows beyond it."""
    roll_off_knee: Annotated[float, Field(ge=0.1, le=1.0)] = 0.7
    """Share of a canvas' peak up to which light is shown as it is; 1 = clip, no roll-off."""
    roll_off_content: Annotated[float, Field(ge=1.0, le=100.0)] = 2.0
    """Light, in multiples of the peak, that reaches the peak; everything above is clipped."""
    dither: bool = True
    """Static blue-noise dither of the scene (never of patterns)."""
    work_light_nits: Annotated[float, Field(gt=0.0, le=10000.0)] = 200.0
    """WORK LIGHT: plain white, no brighter than the canvas' peak."""
    safe_picture_nits: Annotated[float, Field(gt=0.0, le=10000.0)] = 20.0
    """SAFE PICTURE: brightest part of the neutral slate."""
