"""Configuration of what stands in a scene: assets with their places, what follows tracked subjects, what is exposed.

Names inside an asset (nodes, materials, animations, variants) are written as ids: lower case, everything but letters
and digits an underscore, `_2`, `_3`... after names that come again (`renderer.gltf.outline`).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from renderer.config_types import Colour, FileName, Light, SceneMetres, Share
from stage.config import Degrees, Id, Label, Section
from stage.frames import Array, pose_from_pan_tilt_roll

Scale = Annotated[float, Field(gt=0.0, le=100_000.0)]
Speed = Annotated[float, Field(ge=-100.0, le=100.0)]
Seconds = Annotated[float, Field(ge=-1_000_000.0, le=1_000_000.0)]


class PlaceConfig(Section):
    """Where something stands, which way it looks, and how large it is."""

    x_m: SceneMetres = 0.0
    y_m: SceneMetres = 0.0
    z_m: SceneMetres = 0.0
    pan_deg: Degrees = 0.0
    tilt_deg: Degrees = 0.0
    roll_deg: Degrees = 0.0
    scale: Scale = 1.0

    @property
    def moved(self) -> bool:
        """Whether it is anything but the identity."""
        return any((self.x_m, self.y_m, self.z_m, self.pan_deg, self.tilt_deg, self.roll_deg)) or self.scale != 1.0

    @property
    def transform(self) -> Array:
        """[4, 4]  outer from inner: scale, then turn, then move."""
        out = pose_from_pan_tilt_roll(
            (self.x_m, self.y_m, self.z_m), pan_deg=self.pan_deg, tilt_deg=self.tilt_deg, roll_deg=self.roll_deg
        )
        out[:3, :3] *= self.scale
        return out


class NodeConfig(PlaceConfig):
    """A node of an asset, changed: moved along its parent's axes (X right, Y forward, Z up), turned and scaled about
    its own origin, on top of whatever animations do to it."""

    visible: bool = True
    """Whether it and everything below it is seen."""


class MaterialConfig(Section):
    """A material of an asset, changed; what is left out stays as the asset has it."""

    base_colour: tuple[Share, Share, Share, Share] | None = None
    """Linear Rec.709 and alpha; the base texture is multiplied by it."""
    metallic: Share | None = None
    roughness: Share | None = None
    emissive: Colour | None = None
    """Emitted light, linear Rec.709, 1.0 = 100 nit, emissive strength included."""


class AnimationConfig(Section):
    """How an animation runs: at scene time t it stands at `time_s + speed * t`, round and round; when it does not
    play, at `time_s`."""

    on: bool | None = None
    """Whether it acts at all; left out, as `animation` of the object says."""
    play: bool = True
    time_s: Seconds = 0.0
    speed: Speed = 1.0


class ObjectConfig(PlaceConfig):
    """A glTF asset with its place in the scene."""

    gltf: FileName
    """A .gltf or .glb file, relative to the file that names it."""
    label: Label = ""
    visible: bool = True
    shadow: bool = True
    """Whether it casts shadows."""
    variant: Id | None = None
    """The variant of its materials (KHR_materials_variants); left out, the asset's own materials."""
    animation: Id | None = None
    """The one animation that runs; `none` for none. Left out: all that do not contradict one another, in the asset's
    order."""
    animations: dict[Id, AnimationConfig] = Field(default_factory=dict)
    nodes: dict[Id, NodeConfig] = Field(default_factory=dict)
    materials: dict[Id, MaterialConfig] = Field(default_factory=dict)


class BindingConfig(Section):
    """An object, one of its nodes, its skeleton, or a light follows a tracked subject. While the plan does not carry
    the subject, it stands where the configuration, the asset and the animations have it."""

    subject: Id
    """Of `tracking/subjects`."""
    object: Id | None = None
    """Of the scene's `objects`; this, or `light`."""
    node: Id | None = None
    """The node that follows; left out, the whole object."""
    light: Id | None = None
    """Of the scene's `lights`: it stands at the subject's origin and shines along its +Y."""
    joints: dict[Id, Annotated[str, Field(min_length=1, max_length=120)]] | None = None
    """For performers: node of the skeleton -> name of the subject's joint. Given (also empty, `{}`), the skeleton
    follows joint by joint; nodes named like a joint need not be written."""
    shapes: dict[Id, Annotated[str, Field(min_length=1, max_length=120)]] | None = None
    """For performers: named morph target of the asset -> name of the subject's facial shape. Given (also empty, `{}`),
    the weights of the targets are the shapes'; targets named like a shape need not be written."""
    turn_deg: Degrees = 180.0
    """Pan between the way the asset's figure looks at rest and the stage's +Y (a glTF figure looks at -Y)."""
    scale_to: Annotated[Light, Field(gt=0.0)] = 1.0
    """Multiplies the subject's way over the floor and height of the hips, for figures larger or smaller than life."""

    @model_validator(mode="after")
    def _one_follower(self) -> BindingConfig:
        if (self.object is None) == (self.light is None):
            raise ValueError("give `object` or `light`, and one of them")
        figure = self.joints is not None or self.shapes is not None
        if self.object is None and (self.node is not None or figure):
            raise ValueError("`node`, `joints` and `shapes` belong to an `object`")
        if self.node is not None and figure:
            raise ValueError("give `node`, or `joints` and `shapes`, not both")
        return self


class ExposedConfig(Section):
    """A value the director may move live."""

    address: Annotated[str, Field(min_length=1, max_length=300)]
    """Within the scene: `objects/statue/pan_deg`, `sun/elevation_deg`."""
    label: Label = ""
    unit: Annotated[str, Field(max_length=20)] = ""
    low: Annotated[float, Field(ge=-1e9, le=1e9)] | None = None
    """Lower end of its slider; left out, the value's own."""
    high: Annotated[float, Field(ge=-1e9, le=1e9)] | None = None

    @model_validator(mode="after")
    def _a_range(self) -> ExposedConfig:
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError("low must be below high")
        return self
