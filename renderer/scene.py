"""A scene compiled for drawing: every asset's triangles, materials and movement, ready on the GPU.

All triangles of one vertex layout share one buffer; a draw is one indirect command. Per view the pass culls,
writes the visible commands and one row triple an object, and makes one call a material: no Python work a draw.
The scene's frame is the stage's kind: Z up, metres; glTF assets are turned into it once, here.

A scene has one truth at any moment: its configuration, with live edits laid over it (`apply`), the time (`update`)
and the tracked subjects (`follow`). What was shown before never matters.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import moderngl
import numpy as np
from numpy.typing import NDArray

from renderer.addresses import Address, EditValueError, UnknownAddressError, addresses, edited
from renderer.air_config import FogConfig, OcclusionConfig
from renderer.compile import Batch, Draws, Geometry, Layout, batches_alike
from renderer.config import DomeConfig, SceneConfig, SunConfig, asset_path, linear_from_ev
from renderer.device import Device
from renderer.domes import Dome
from renderer.fog import even, horizon_of, turned
from renderer.gltf.loader import load
from renderer.gltf.model import Asset, Light
from renderer.gltf.outline import ids_of
from renderer.lights import LINEAR_FROM_LUX, Follows, Lamp, Lights
from renderer.materials import BLOCK_BYTES, MaterialDraw, Textures, pack
from renderer.object_config import BindingConfig, ObjectConfig
from renderer.objects import SceneObject
from renderer.panoramas import load_picture
from renderer.placement import Placement
from renderer.scene_file import normal_form
from renderer.sky import Sky
from renderer.working import AP1, REC709, rgb_from_rgb
from stage.frames import inverse_pose, rotation_from_pan_tilt_roll
from stage.plan import PlanSubject, transform_of

if TYPE_CHECKING:
    from renderer.passes.occlusion import Occlusion

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

__all__ = ["F32", "F64", "WORKING_FROM_REC709", "Batch", "Draws", "Geometry", "Layout", "Scene", "Sun"]

WORKING_FROM_REC709: Final = rgb_from_rgb(AP1, REC709)


@dataclass(frozen=True, slots=True)
class Sun:
    """The directional light in the scene's frame."""

    direction: F64
    """[3]  to the sun, unit length."""
    light: F64
    """[3]  illuminance / pi, linear ACEScg."""
    shadow: bool


class Scene:
    """A compiled scene. `update(time)` moves it; `sun`, `dome`, `ambient`... are what the passes read."""

    def __init__(self, device: Device, config: SceneConfig, folder: Path, *, anisotropy: float | None = None) -> None:
        """Load and upload everything `config` names (paths relative to `folder`). Takes its time: never on air.

        Raises
        ------
        SceneFileError, AssetError (and its kinds)
        """
        config = normal_form(config)
        read: dict[Path, Asset] = {}
        assets = []
        for name, thing in config.objects.items():
            file = asset_path(folder, thing.gltf, path=f"objects/{name}/gltf")
            if file not in read:
                read[file] = load(file)
            assets.append(read[file])
        dome = None
        if config.dome is not None:
            files = [asset_path(folder, name, path="dome/file") for name in config.dome.files]
            picture = load_picture(files[0] if len(files) == 1 else files, colour_space=config.dome.colour_space)
            dome = Dome(device, picture, light_limit=config.dome.light_limit)
        self._build(device, config, assets, dome, anisotropy)

    @classmethod
    def from_assets(
        cls, device: Device, config: SceneConfig, assets: list[Asset], *, dome: Dome | None = None
    ) -> Scene:
        """A scene of assets already read (or made), without files; `config.gltf` and `config.dome.file` are unused.

        Each is the object of `config.objects` named like its file, or one that stands at the origin.
        """
        names = ids_of((asset.file.stem for asset in assets), "object")
        objects = {
            name: config.objects.get(name) or ObjectConfig(gltf=str(asset.file))
            for name, asset in zip(names, assets, strict=True)
        }
        self = cls.__new__(cls)
        self._build(device, config.model_copy(update={"gltf": [], "objects": objects}), assets, dome, None)
        return self

    def _build(
        self, device: Device, config: SceneConfig, assets: list[Asset], dome: Dome | None, anisotropy: float | None
    ) -> None:
        self.base = config
        """The configuration in its normal form, without edits."""
        self.config = config
        """The same with the edits that hold now."""
        self.assets = assets
        self.dome = dome
        self.notes: tuple[str, ...] = tuple(
            dict.fromkeys(f"{asset.file.name}: {note}" for asset in assets for note in asset.notes)
        )
        self.time_s = 0.0
        self.generation = 0
        """Counts changes after which materials need other programs: what was made to draw batches is made anew."""
        self.objects = [
            SceneObject(name, asset, thing, self._bindings(name))
            for (name, thing), asset in zip(config.objects.items(), assets, strict=True)
        ]
        self.notes += tuple(f"{o.asset.file.name}: {note}" for o in self.objects for note in o.notes())
        # Software GL pays for every tap; a GPU gives anisotropy away.
        taps = anisotropy if anisotropy is not None else (1.0 if device.capabilities.software else 8.0)
        made = {id(asset): Textures(device, asset, anisotropy=taps) for asset in assets}
        # By object, for an asset is another thing once it was written to a file and read: those of one asset share.
        self._textures = [made[id(asset)] for asset in assets]
        self._first_block: list[int] = []
        self._drawn: list[list[MaterialDraw]] = []
        self.painted = 0
        """Counts changes of materials: which draws are alike is looked up anew."""
        blocks: list[F32] = []
        self._blocks = blocks
        """Each object's materials as they lie on the GPU."""
        for number in range(len(self.objects)):
            self._first_block.append(sum(len(drawn) for drawn in self._drawn))
            drawn, packed = self._pack(number)
            self._drawn.append(drawn)
            blocks.append(packed)
        data = np.concatenate(blocks) if blocks else np.zeros((1, BLOCK_BYTES // 4), np.float32)
        self.material_blocks = device.ctx.buffer(data.tobytes())
        self.placement = Placement(device, self.objects, self._drawn)
        """Where everything stands."""
        self.draws, self.geometries = self.placement.draws, self.placement.geometries
        self._stale = False
        self._find_bound()
        self.commands = device.ctx.buffer(reserve=max(20, 20 * len(self.draws.commands)))
        self.rows = device.ctx.buffer(reserve=max(48, 48 * len(self.draws.commands)))
        self._hang_lights(device)
        self.sky = None if config.sky is None else Sky(device, config.sky)
        self._dome_horizon: F64 | None = None
        self._surroundings()
        self.occlusion = None if config.occlusion is None else self._occlusion(device, config.occlusion)
        self._known: dict[str, Address] | None = None
        self._edited, self._moving = config, dict[str, Any]()
        """The configuration with the edits that hold, and what stands otherwise at this frame."""

    def _bindings(self, name: str) -> list[BindingConfig]:
        return [binding for binding in self.config.bindings.values() if binding.object == name]

    def _pack(self, number: int) -> tuple[list[MaterialDraw], F32]:
        thing = self.objects[number]
        return pack(thing.materials(), self._textures[number], first=self._first_block[number])

    def _find_bound(self) -> None:
        """Whether anything follows a subject."""
        self._bound = any(thing.bound for thing in self.objects) or any(
            binding.light is not None for binding in self.config.bindings.values()
        )

    def _textures_once(self) -> list[Textures]:
        return list({id(textures): textures for textures in self._textures}.values())

    def batches_alike(self) -> NDArray[np.intp]:
        """[batches]  see `renderer.compile.batches_alike`; objects painted otherwise stand apart."""
        blocks = [block.tobytes() for packed in self._blocks for block in packed]
        return batches_alike(self.draws.batches, blocks)

    # --- surroundings -----------------------------------------------------------------------------------------

    def _surroundings(self) -> None:
        """All that is not objects: sun, lamps, dome, air. Everything is taken from the configuration as it is now."""
        config = self.config
        for name, light in config.lights.items():
            self.lights.configure(name, light)
        self._plain_lamps: dict[str, Lamp] = {name: self.lights.lamps[name] for name in config.lights}
        self.sun = _configured_sun(config.sun)
        self._place_sun()
        if self.sky is not None and config.sky is not None:
            self.sky.change(config.sky)
            shines = Sun(self.sky.direction, self.sky.illuminance / np.pi, config.sky.shadow)
            self.sun = shines if config.sky.sun else None
        self.dome_config = config.dome or DomeConfig(file="none")
        self.dome_light = linear_from_ev(self.dome_config.exposure_ev)
        self.ambient = WORKING_FROM_REC709 @ np.asarray(config.ambient, dtype=np.float64)
        self.background = WORKING_FROM_REC709 @ np.asarray(config.background, dtype=np.float64)
        self.sh = self._light()
        self.fog = config.fog
        self.fog_light = np.zeros((3, 3)) if config.fog is None else self._fog_light(config.fog)

    def _occlusion(self, device: Device, config: OcclusionConfig) -> Occlusion:
        # It draws casters of a scene, so that it cannot be imported before scenes are.
        from renderer.passes.occlusion import Occlusion

        return Occlusion(device, self, config)

    def _fog_light(self, config: FogConfig) -> F64:
        """[3, 3]  see `renderer.fog`."""
        if config.colour is not None:
            return even(WORKING_FROM_REC709 @ np.asarray(config.colour, dtype=np.float64))
        if self.sky is not None:
            return self.sky.horizon()
        if self.dome is None:
            return even(self.ambient + self.background)
        if self._dome_horizon is None:
            self._dome_horizon = horizon_of(self.dome.picture, light_limit=self.dome.light_limit)
        return turned(self._dome_horizon, self.dome_config.yaw_deg) * self.dome_light

    def _hang_lights(self, device: Device) -> None:
        """The lights of the configuration, and those that hang on the assets' nodes."""
        self._sun_node: tuple[Follows, Light] | None = None
        hanging: dict[str, tuple[Light, Follows]] = {}
        for a, thing in enumerate(self.objects):
            for index, _ in thing.tree.order:
                node = thing.asset.nodes[index]
                if node.light is None:
                    continue
                light, owner = thing.asset.lights[node.light], Follows(a, index)
                if light.kind == "directional" and not self._has_sun and self._sun_node is None:
                    self._sun_node = owner, light
                    continue
                name = f"{thing.name}/{node.name or index}"
                hanging[name if name not in hanging else f"{name}_{index}"] = light, owner
        self.lights = Lights(
            self.config.lights,
            [(name, *value) for name, value in hanging.items()],
            exposure_ev=self.config.exposure_ev,
            working_from_rec709=device.working_from_rec709,
        )
        self.notes += self.lights.notes
        self._place_lights()

    @property
    def _has_sun(self) -> bool:
        return self.config.sun is not None or self.config.sky is not None

    def _place_lights(self) -> None:
        """Lights of assets to where their nodes are; those of nodes that are not seen go out."""
        self.lights.follow(self._scene_from_node)
        for name, owner in self.lights.follows.items():
            thing = self.objects[owner.asset]
            on = thing.config.visible and owner.node not in thing.hidden
            self.lights.change(name, replace(self.lights.lamps[name], on=on))
        self._moving_lights = [
            name
            for name, owner in self.lights.follows.items()
            if self.objects[owner.asset].follows or owner.node in self.objects[owner.asset].tree.animated
        ]

    def _scene_from_node(self, owner: Follows) -> F64:
        thing = self.objects[owner.asset]
        return np.asarray(thing.scene_from_asset @ thing.tree.world_from_nodes(self.time_s)[owner.node])

    def _place_sun(self) -> None:
        """The first directional light of the assets is the sun where none is configured."""
        if self._sun_node is None:
            return
        owner, light = self._sun_node
        # It shines along the node's -Z; the sun stands the other way.
        to_sun = self._scene_from_node(owner)[:3, 2]
        colour = WORKING_FROM_REC709 @ np.asarray(light.colour, dtype=np.float64)
        self.sun = Sun(to_sun / np.linalg.norm(to_sun), colour * (light.intensity * LINEAR_FROM_LUX), shadow=True)

    def _light(self) -> F64:
        """[9, 4]  as the surface shader sums them (`Dome.light_block`)."""
        sh = np.zeros((9, 4))
        if self.sky is not None and self.sky.config.light:
            sh[:, :3] = self.sky.light_block()
        elif self.dome is not None and self.dome_config.light:
            sh = self.dome.light_block(self.dome_config.yaw_deg, self.dome_light)
        sh[0, :3] += self.ambient
        return sh

    # --- life -------------------------------------------------------------------------------------------------

    @property
    def triangles(self) -> int:
        return int(
            sum(
                self.draws.commands[batch.first : batch.first + batch.count, 0].sum() // 3
                for batch in self.draws.batches
                if batch.mode == moderngl.TRIANGLES
            )
        )

    @property
    def size_bytes(self) -> int:
        """Bytes held on the GPU."""
        held = self.placement.size_bytes + sum(textures.size_bytes for textures in self._textures_once())
        if self.dome is not None:
            held += self.dome.background.width * self.dome.background.height * 8 * 4 // 3
        if self.sky is not None:
            held += self.sky.size_bytes
        if self.occlusion is not None:
            held += self.occlusion.size_bytes
        return int(held)

    def addresses(self) -> dict[str, Address]:
        """Every value that can be changed live, as it is now."""
        return addresses(self.config, {thing.name: thing.outline for thing in self.objects})

    def edited(self, edits: Mapping[str, Any]) -> SceneConfig:
        """The configuration with `edits` laid over it: what `apply` would show. Raises as that."""
        if self._known is None:
            self._known = addresses(self.base, {thing.name: thing.outline for thing in self.objects})
        return edited(self.base, edits, self._known)

    def coming_materials(self, config: SceneConfig) -> dict[int, MaterialDraw]:
        """How materials will be drawn under another configuration of this scene, by index, those that differ; pictures
        that only they read are uploaded."""
        out: dict[int, MaterialDraw] = {}
        for number, thing in enumerate(self.objects):
            now = config.objects.get(thing.name)
            if now is None or now.materials == thing.config.materials:
                continue
            drawn, _ = pack(
                thing.materials(now), self._textures[number], first=self._first_block[number]
            )  # fmt: skip
            out.update({draw.index: draw for draw in drawn})
        return out

    def apply(self, edits: Mapping[str, Any]) -> None:
        """Lay `edits` (address within the scene -> value: all that hold, not only new ones) over the configuration.

        The same edits give the same picture, whatever was applied before; none give the scene as configured.

        Raises
        ------
        UnknownAddressError, EditValueError : nothing is changed then.
        """
        self._edited, self._moving = self.edited(edits), {}
        self._show(self._edited)

    def move(self, values: Mapping[str, Any]) -> None:
        """Let live values (address within the scene -> value) stand otherwise than the edits have them; none
        puts all back. Where the scene has no such address, or no room for a value, it stays as the edits say.

        The same edits and values give the same picture, whatever was shown before.
        """
        if values == self._moving:
            return
        self._moving = dict(values)
        if self._known is None:
            self.edited({})
        assert self._known is not None
        config = self._edited
        for address, value in values.items():
            with contextlib.suppress(UnknownAddressError, EditValueError):
                config = edited(config, {address: value}, self._known)
        self._show(config)

    def _show(self, config: SceneConfig) -> None:
        if config == self.config:
            return
        before, self.config = self.config, config
        moved = False
        for number, thing in enumerate(self.objects):
            now, was = config.objects[thing.name], thing.config
            if now == was:
                continue
            thing.configure(now, self._bindings(thing.name))
            if now.materials != was.materials:
                self._repaint(number)
            moved |= now.model_copy(update={"materials": was.materials}) != was
        if moved:
            self._stale = True
            self._find_bound()
            self.placement.arrange()
            self._place_lights()
            self._place_sun()
        if config.model_copy(update={"objects": before.objects}) != before:
            self._surroundings()

    def _repaint(self, number: int) -> None:
        """Materials of an object that was configured anew."""
        drawn, blocks = self._pack(number)
        before, self._drawn[number], self._blocks[number] = self._drawn[number], drawn, blocks
        self.painted += 1
        self.material_blocks.write(blocks.tobytes(), offset=self._first_block[number] * BLOCK_BYTES)
        new = {draw.index: draw for draw in drawn}
        for batch in self.draws.batches:
            batch.material = new.get(batch.material.index, batch.material)
        if any(a.defines != b.defines for a, b in zip(before, drawn, strict=True)):
            self.generation += 1

    def follow(self, subjects: Sequence[PlanSubject], stage_from_scene: F64) -> None:
        """Take over where a plan's tracked subjects are: what is bound to them goes there with the next `update`."""
        if not self._bound:
            return
        scene_from_stage = inverse_pose(stage_from_scene)
        known = {subject.id: subject for subject in subjects}
        for thing in self.objects:
            thing.follow(known, scene_from_stage)
        for binding in self.config.bindings.values():
            if binding.light is not None and binding.light in self.config.lights:
                self._follow_light(binding.light, known.get(binding.subject), scene_from_stage)
        self.placement.stand(scene_from_stage[:3, 3])
        self._stale = True

    def _follow_light(self, name: str, subject: PlanSubject | None, scene_from_stage: F64) -> None:
        lamp = self._plain_lamps[name]
        if subject is not None:
            placed = scene_from_stage @ np.asarray(transform_of(subject.stage_from_subject))
            x, y, z = placed[:3, 3].tolist()
            ax, ay, az = placed[:3, 1].tolist()
            lamp = replace(lamp, position_m=(x, y, z), axis=(ax, ay, az))
        self.lights.change(name, lamp)

    def update(self, time_s: float) -> None:
        """Move what is animated to `time_s`. The same time gives the same transforms, whatever came before."""
        if time_s == self.time_s and not self._stale:
            return
        self.time_s, self._stale = time_s, False
        self.placement.move(time_s)
        if self._moving_lights:
            self.lights.follow(self._scene_from_node, self._moving_lights)
        if self._sun_node is not None:
            owner = self._sun_node[0]
            if self.objects[owner.asset].follows or owner.node in self.objects[owner.asset].tree.animated:
                self._place_sun()

    def release(self) -> None:
        """Free all it holds on the GPU."""
        self.placement.release()
        for textures in self._textures_once():
            textures.release()
        for buffer in (self.material_blocks, self.commands, self.rows):
            buffer.release()
        if self.dome is not None:
            self.dome.release()
        if self.sky is not None:
            self.sky.release()
        if self.occlusion is not None:
            self.occlusion.release()


def _configured_sun(sun: SunConfig | None) -> Sun | None:
    if sun is None:
        return None
    turn = rotation_from_pan_tilt_roll(sun.pan_deg, sun.elevation_deg, 0.0)
    colour = WORKING_FROM_REC709 @ np.asarray(sun.colour, dtype=np.float64)
    return Sun(turn @ np.array([0.0, 1.0, 0.0]), colour * (sun.illuminance / np.pi), sun.shadow)
