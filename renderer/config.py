"""The renderer's sections of a configuration file: scenes, stage positions, and how much picture is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from renderer.air_config import FogConfig, OcclusionConfig, SkyConfig
from renderer.config_types import Colour, Ev, FileName, Light, SceneMetres, Tag
from renderer.errors import RendererError
from renderer.light_config import LightConfig
from renderer.object_config import BindingConfig, ExposedConfig, ObjectConfig
from renderer.panoramas import ColourSpace
from stage.config import Degrees, Id, Label, Section
from stage.errors import Problem
from stage.frames import Array, inverse_pose, pose_from_pan_tilt_roll


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, str) else value


class SceneFileError(RendererError):
    """A file that a scene names does not exist."""

    code = "renderer.scene_file"


class DomeConfig(Section):
    """A picture all round: background and light."""

    file: FileName | Annotated[list[FileName], Field(min_length=6, max_length=6)]
    """HDR, EXR, PNG, JPEG or WebP, relative to the configuration's folder: equirectangular (2:1) or a cube as a cross
    (4:3, 3:4) or strip (6:1, 1:6). Or a cube's six files: right, left, up, down, front, back (px nx py ny pz nz)."""
    colour_space: ColourSpace = "auto"
    """What its numbers mean. `auto`: files of whole numbers are sRGB, files of floats linear, with the primaries the
    file names or else Rec.709."""
    yaw_deg: Degrees = 0.0
    """Pan of the picture's middle: 0 puts it at the scene's +Y, + turns it to the left."""
    exposure_ev: Ev = 0.0
    """Stops added to the picture; at 0 its linear 1.0 is 100 nit."""
    background: bool = True
    """Whether it is seen."""
    light: bool = True
    """Whether it lights the scene."""
    light_limit: Light | None = None
    """Brightest linear value that lights the scene, before exposure: takes the sun's disc out of the light."""

    @property
    def files(self) -> list[str]:
        """One file, or a cube's six."""
        return [self.file] if isinstance(self.file, str) else list(self.file)


class SunConfig(Section):
    """One directional light, with a shadow."""

    pan_deg: Degrees = 0.0
    """Where it stands: 0 over the scene's +Y, + to the left."""
    elevation_deg: Annotated[float, Field(ge=-90.0, le=90.0)] = 45.0
    illuminance: Light = 3.0
    """Linear light on a surface that faces it: a white matt one then shows `illuminance / pi`."""
    colour: Colour = (1.0, 1.0, 1.0)
    shadow: bool = True


class SceneConfig(Section):
    """A virtual world: glTF assets in one frame, a dome, a sun. Its frame is the stage's kind (Z up, metres)."""

    label: Label = ""
    tags: Annotated[list[Tag], Field(max_length=64, exclude=True)] = Field(default_factory=list)
    """Words it is found by in the library; they change nothing of how it looks."""
    file: FileName | None = None
    """A scene file: YAML with these same keys, file names in it relative to it. Beside it only `label` and
    `position` are given."""
    gltf: Annotated[list[FileName], BeforeValidator(_one_or_many, json_schema_input_type=FileName | list[FileName])] = (
        Field(default_factory=list)
    )
    """One asset or several that share their origin; relative to the configuration's folder. Each is an object named
    like its file."""
    objects: dict[Id, ObjectConfig] = Field(default_factory=dict)
    """Assets with places, variants and animations of their own."""
    bindings: dict[Id, BindingConfig] = Field(default_factory=dict)
    """What follows tracked subjects."""
    exposed: dict[Id, ExposedConfig] = Field(default_factory=dict)
    """What the director may move live."""
    dome: DomeConfig | None = None
    sun: SunConfig | None = None
    lights: dict[Id, LightConfig] = Field(default_factory=dict)
    """Lamps, beside those of the assets."""
    sky: SkyConfig | None = None
    """A physical sky with its own sun, in place of `dome` and `sun`."""
    fog: FogConfig | None = None
    occlusion: OcclusionConfig | None = None
    ambient: Colour = (0.0, 0.0, 0.0)
    """Even light from all sides, added to the dome's."""
    background: Colour = (0.0, 0.0, 0.0)
    """What is seen where nothing is, when there is no dome."""
    exposure_ev: Ev = 0.0
    position: Id | None = None
    """The stage position it opens with; left out, the stage's origin stands on the scene's."""
    shadow_range_m: Annotated[float, Field(gt=0.0, le=10_000.0)] = 60.0
    """How far from the stage the sun's shadows reach in a scene that is larger."""
    shadow_detail_m: Annotated[float, Field(gt=0.0, le=10_000.0)] = 6.0
    """How far from the stage they are finest."""
    shadow_cascades: Annotated[int, Field(ge=1, le=4)] = 3
    """Maps from the finest to the farthest: each is drawn once, and again when the sun, the stage or a thing in it
    moves."""
    lamp_shadow_px: Annotated[int, Field(ge=64, le=4096)] = 512
    """Side of a spot's shadow map; a point light that casts has six."""

    @model_validator(mode="after")
    def _has_one_sky(self) -> Self:
        for name in ("dome", "sun"):
            if self.sky is not None and getattr(self, name) is not None:
                raise ValueError(f"a scene with a sky has no {name} of its own: the sky brings all of it")
        return self


class PositionConfig(Section):
    """A named stage position: where in a scene the stage's origin stands, and which way its +Y looks."""

    label: Label = ""
    x_m: SceneMetres = 0.0
    y_m: SceneMetres = 0.0
    z_m: SceneMetres = 0.0
    pan_deg: Degrees = 0.0

    @property
    def scene_from_stage(self) -> Array:
        """[4, 4]"""
        return pose_from_pan_tilt_roll((self.x_m, self.y_m, self.z_m), pan_deg=self.pan_deg)

    @property
    def stage_from_scene(self) -> Array:
        """[4, 4]  what a plan's scene carries."""
        return inverse_pose(self.scene_from_stage)


class DynamicConfig(Section):
    """Coarser inner pictures while a node cannot draw them in time; finer again when it can.

    Off by default: sharpness that depends on a machine's load is somebody's decision.
    """

    enabled: bool = False
    floor_texels_per_led: Annotated[float, Field(ge=0.1, le=4.0)] = 0.625
    """Never fewer inner pixels for each LED than this; `texels_per_led` is the most."""
    budget_share: Annotated[float, Field(ge=0.1, le=1.0)] = 0.75
    """Share of a frame's period that drawing may take on a node (its p99)."""


class RenderConfig(Section):
    """How much picture is drawn."""

    scale: Annotated[int, Field(ge=1, le=64)] = 1
    """Canvases are drawn this many times smaller each way (for machines without a GPU); it must divide them."""
    texels_per_led: Annotated[float, Field(ge=0.25, le=4.0)] = 1.25
    """Inner pixels for each LED at the densest LED in view."""
    dynamic: DynamicConfig = Field(default_factory=DynamicConfig)
    max_inner_px: Annotated[int, Field(ge=64, le=16384)] = 4096
    """Longest side of an inner frustum's picture."""
    outer_px: Annotated[int, Field(ge=16, le=8192)] = 1024
    """Side of one face of the outer cube, at most: where `outer_texels_per_led` are had with less, less is drawn."""
    outer_texels_per_led: Annotated[float, Field(ge=0.1, le=16.0)] = 1.0
    """Outer texels for each canvas pixel; the walls outside the inner frusta are light and reflections."""
    outer_every_frames: Annotated[int, Field(ge=1, le=120)] = 1
    """The outer picture is drawn anew every so many frames (at once when scene, position or eye point change)."""
    shadow_px: Annotated[int, Field(ge=64, le=16384)] = 2048
    """Side of each of the sun's shadow maps."""
    scene_memory_mb: Annotated[int, Field(ge=64, le=1_000_000)] = 4096
    """What scenes may take on each node's GPU together; those used longest ago make room, never one on air or next."""
    supersample: Literal[1, 2, 3, 4] = 1
    """Inner pictures are drawn this many times finer each way and joined: calm fences, foliage and glints, at nearly
    the square of it in cost."""
    msaa: Literal[1, 2, 4, 8] = 1
    """Samples a pixel. 1 on machines without a GPU: 4 costs 2.5 times the picture there."""
    near_m: Annotated[float, Field(gt=0.0, le=10.0)] = 0.05
    far_m: Annotated[float, Field(ge=10.0, le=1_000_000.0)] = 20_000.0
    roll_off_knee: Annotated[float, Field(ge=0.1, le=1.0)] = 0.7
    """Share of a canvas' peak up to which light is shown as it is; 1 = clipped at the peak, no roll-off."""
    roll_off_content: Annotated[float, Field(ge=1.0, le=100.0)] = 2.0
    """Light, in multiples of the peak, that is shown as the peak; everything above is clipped."""
    dither: bool = True
    """Static blue-noise dither of the picture; patterns never have it."""
    work_light_nits: Annotated[float, Field(gt=0.0, le=10_000.0)] = 200.0
    """WORK LIGHT: plain white, never brighter than the canvas' peak."""
    safe_picture_nits: Annotated[float, Field(gt=0.0, le=10_000.0)] = 20.0
    """SAFE PICTURE: brightest part of the neutral slate."""


def asset_path(folder: Path, name: str, /, *, path: str = "scenes") -> Path:
    """The file a scene names: `name` under `folder` (the configuration's), or as it stands when absolute.

    `path` is the value's address, for the error.

    Raises
    ------
    SceneFileError
    """
    file = folder / name
    if not file.is_file():
        raise SceneFileError(
            Problem(
                "renderer.scene_file", path, f"there is no file {file}", name, "correct the name or put the file there"
            )
        )
    return file


def linear_from_ev(exposure_ev: float, /) -> float:
    """The factor that `exposure_ev` stops stand for."""
    return float(np.exp2(exposure_ev))
