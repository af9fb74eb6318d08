"""Objects of a scene: places, live edits, and what follows tracked subjects; figures' bounds and shadows."""

from __future__ import annotations

import math
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from renderer.addresses import EditValueError
from renderer.config import SceneConfig, SunConfig
from renderer.light_config import LightConfig
from renderer.object_config import BindingConfig, ObjectConfig
from renderer.scene import Scene
from renderer.scene_check import scene_problems
from stage.frames import STAGE_FROM_Y_UP, pose_from_pan_tilt_roll, quaternion_from_rotation
from stage.plan import PlanJoint, PlanSubject, matrix16

_KIT: Any = runpy.run_path(str(Path(__file__).with_name("_gltfkit.py")))
Build = _KIT["Build"]
SIZE = (48, 48)


class Stand:
    """Draws a scene from the stage's origin along +Y, 90 degrees wide."""

    def __init__(self, easel: Any, folder: Path) -> None:
        self.easel, self.device, self.scene_pass, self.folder = easel, easel.device, easel.scene_pass, folder

    def scene(self, build: Any, **config: Any) -> Scene:
        name = build.write(self.folder).name
        if "objects" not in config:
            config["objects"] = {"it": ObjectConfig(gltf=name)}
        made: Scene = self.easel.keep(Scene(self.device, SceneConfig(**config), self.folder))
        return made

    def draw(self, scene: Scene, time_s: float = 0.0, stage_from_scene: Any = None) -> Any:
        return self.easel.draw(
            scene,
            pose_from_pan_tilt_roll((0, 0, 0)),
            np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1.001, -0.1], [0, 0, -1, 0.0]]),
            stage_from_scene=np.eye(4) if stage_from_scene is None else stage_from_scene,
            scene_time_s=time_s,
        )[..., :3]

    def middle(self, scene: Scene, **options: Any) -> Any:
        """(x, y) of the lit pixels' middle, -1 to 1."""
        rows, columns = np.nonzero(self.draw(scene, **options).max(axis=2) > 0.3)
        return (columns.mean() + 0.5) / SIZE[0] * 2 - 1, 1 - (rows.mean() + 0.5) / SIZE[1] * 2


@pytest.fixture
def stand(easel: Any, tmp_path: Path) -> Stand:
    return Stand(easel(SIZE, shadow_px=128), tmp_path)


def quad(build: Any | None = None, **material: Any) -> Any:
    """A unit quad, nodes `Holder` > `Plate`, its middle 2 m in front and 0.5 m up."""
    build = build or Build()
    build.quad(material=build.unlit(**material))
    build.doc["nodes"] = [
        {"name": "Holder", "translation": [0, 0.5, 0], "children": [1]},
        {"name": "Plate", "mesh": 0, "translation": [0, 0, -2]},
    ]
    build.doc["scenes"] = [{"nodes": [0]}]
    return build


def subject(name: str, stage_from_subject: Any, **more: Any) -> PlanSubject:
    return PlanSubject(name, more.pop("kind", "prop"), 0, matrix16(stage_from_subject), **more)


# --- places and edits -----------------------------------------------------------------------------------------------


def test_an_asset_stands_twice_and_shares_its_vertices(stand: Stand) -> None:
    name = quad().write(stand.folder).name
    scene = stand.scene(
        quad(),
        objects={
            "left": ObjectConfig(gltf=name, x_m=-1.0, scale=0.5, z_m=-0.25),
            "right": ObjectConfig(gltf=name, x_m=2.0, y_m=2.0, z_m=-0.5),
        },
    )
    assert len({id(batch.geometry) for batch in scene.draws.batches}) == 1
    assert scene.geometries[0].vertices.size == 4 * 4 * (3 + 3)
    lit = stand.draw(scene)[..., 0] > 0.5
    # Half as large and half as far away as the other was meant: -1 +- 0.25 at 1 m, and 2 +- 0.5 at 4 m.
    columns = np.nonzero(lit.any(axis=0))[0]
    assert columns[0] == 0
    assert columns[-1] == round(SIZE[0] * (1 + 2.5 / 4) / 2) - 1


def test_node_edits_move_about_the_nodes_own_origin(stand: Stand) -> None:
    scene = stand.scene(quad())
    assert stand.middle(scene) == pytest.approx((0, 0.25), abs=0.03)
    scene.apply({"objects/it/nodes/plate/x_m": 1.0, "objects/it/nodes/plate/roll_deg": 30.0})
    assert stand.middle(scene) == pytest.approx((0.5, 0.25), abs=0.03)
    scene.apply({"objects/it/nodes/holder/z_m": -0.5, "objects/it/nodes/plate/scale": 0.5})
    assert stand.middle(scene) == pytest.approx((0, 0), abs=0.03)
    assert (stand.draw(scene)[..., 0] > 0.5).sum() == pytest.approx((SIZE[0] / 8) ** 2 * 4 / 4, abs=14)
    scene.apply({})
    assert stand.middle(scene) == pytest.approx((0, 0.25), abs=0.03)


def test_visibility_of_objects_and_nodes(stand: Stand) -> None:
    scene = stand.scene(quad())
    for address in ("objects/it/visible", "objects/it/nodes/holder/visible", "objects/it/nodes/plate/visible"):
        scene.apply({address: False})
        assert not stand.draw(scene).any()
        assert stand.scene_pass.statistics.draws == 0
    scene.apply({})
    assert stand.draw(scene).any()


def test_material_edits_change_colours_and_programs(stand: Stand) -> None:
    build = Build()
    build.quad(material=build.matt((1.0, 0.0, 0.0, 1.0), name="Paint"))
    scene = stand.scene(build, ambient=(1.0, 1.0, 1.0))
    plain = stand.draw(scene)
    red = plain[24, 24].copy()
    path = "objects/it/materials/paint"
    scene.apply({f"{path}/base_colour": (0.5, 0.0, 0.0, 1.0)})
    assert np.allclose(stand.draw(scene)[24, 24] - red * 0.5, 0, atol=0.06)
    before = scene.generation
    scene.apply({f"{path}/emissive": (0.0, 0.0, 4.0), f"{path}/metallic": 1.0})
    assert stand.draw(scene)[24, 24, 2] > 2.0
    assert scene.generation > before
    scene.apply({})
    assert np.array_equal(stand.draw(scene), plain)
    with pytest.raises(EditValueError):
        scene.apply({f"{path}/emissive": (0.0, 0.0)})
    assert np.array_equal(stand.draw(scene), plain)


def test_surroundings_are_edited_too(stand: Stand) -> None:
    build = Build()
    build.quad(material=build.matt())
    scene = stand.scene(
        build,
        sun=SunConfig(pan_deg=180.0, elevation_deg=0.0, shadow=False),
        lights={"key": LightConfig(kind="point", position_m=(0, 0, 0), candela=400.0)},
    )
    plain = stand.draw(scene)
    for edits, darker in (
        ({"sun/illuminance": 0.0}, True),
        ({"lights/key/on": False}, True),
        ({"exposure_ev": -1.0}, True),
        ({"ambient": (1.0, 1.0, 1.0)}, False),
    ):
        scene.apply(edits)
        assert (stand.draw(scene)[24, 24, 0] < plain[24, 24, 0]) == darker, edits
    scene.apply({})
    assert np.array_equal(stand.draw(scene), plain)


_EDITS: dict[str, st.SearchStrategy[Any]] = {
    "objects/it/x_m": st.floats(-1, 1),
    "objects/it/pan_deg": st.floats(-180, 180),
    "objects/it/nodes/plate/visible": st.booleans(),
    "objects/it/animation": st.sampled_from(["swing", "none", None]),
    "objects/it/animations/swing/speed": st.floats(-2, 2),
    "background": st.tuples(*[st.floats(0, 1)] * 3),
}


# One easel for all examples: what was drawn before may never matter.
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.fixed_dictionaries({}, optional=_EDITS), st.floats(0, 5)), min_size=2, max_size=4))
def test_what_came_before_never_matters(easel: Any, tmp_path_factory: pytest.TempPathFactory, steps: Any) -> None:
    stand = Stand(easel(SIZE, shadow_px=128), tmp_path_factory.mktemp("asset"))
    build = quad()
    build.animate(1, "translation", [0.0, 1.0, 2.0], [[0, 0, -2], [0.5, 0, -2], [0, 0, -2]], name="Swing")
    used, fresh = stand.scene(build), stand.scene(build)
    for edits, time_s in steps:
        used.apply(edits)
        picture = stand.draw(used, time_s)
    fresh.apply(steps[-1][0])
    assert np.array_equal(stand.draw(fresh, steps[-1][1]), picture)


# --- subjects -------------------------------------------------------------------------------------------------------


def test_objects_and_nodes_follow_props(stand: Stand) -> None:
    place = pose_from_pan_tilt_roll((100.0, 50.0, 3.0), pan_deg=90.0)
    stage_from_scene: Any = np.linalg.inv(place)
    for node in ("plate", None):
        binding = BindingConfig(subject="wand", object="it", node=node)
        build = quad()
        if binding.node is None:
            build.doc["nodes"] = [{"mesh": 0}]
            build.doc["scenes"] = [{"nodes": [0]}]
        scene = stand.scene(build, bindings={"b": binding}, exposure_ev=0.0)
        # Its +Y is the node's -Z: the quad faces whoever the subject turns its back to.
        scene.follow([subject("wand", pose_from_pan_tilt_roll((1.0, 4.0, -1.0)))], stage_from_scene)
        assert stand.middle(scene, stage_from_scene=stage_from_scene) == pytest.approx((0.25, -0.25), abs=0.03)
        scene.follow([subject("wand", pose_from_pan_tilt_roll((-1.0, 4.0, 1.0)))], stage_from_scene)
        assert stand.middle(scene, stage_from_scene=stage_from_scene) == pytest.approx((-0.25, 0.25), abs=0.03)


def test_without_the_subject_things_stand_where_they_were_put(stand: Stand) -> None:
    scene = stand.scene(quad(), bindings={"b": BindingConfig(subject="wand", object="it", node="plate")})
    alone = stand.draw(scene)
    scene.follow([subject("wand", pose_from_pan_tilt_roll((1.0, 4.0, -1.0)))], np.eye(4))
    assert not np.array_equal(stand.draw(scene), alone)
    scene.follow([], np.eye(4))
    assert np.array_equal(stand.draw(scene), alone)


def test_a_light_follows(stand: Stand) -> None:
    build = Build()
    build.quad(material=build.matt())
    lamp = LightConfig(kind="spot", candela=300.0, position_m=(50.0, 0.0, 0.0), cones_deg=(5.0, 20.0), shadow=False)
    scene = stand.scene(build, lights={"key": lamp}, bindings={"b": BindingConfig(subject="torch", light="key")})
    assert not stand.draw(scene).any()
    scene.follow([subject("torch", pose_from_pan_tilt_roll((0.0, 0.0, 0.0)), kind="light")], np.eye(4))
    lit = stand.draw(scene)
    assert lit[24, 24, 0] > 0.1
    version = scene.lights.version
    scene.follow([subject("torch", pose_from_pan_tilt_roll((0.0, 0.0, 0.0)), kind="light")], np.eye(4))
    assert scene.lights.version == version


def figure() -> Any:
    """A vertical strip on two joints, `Hips` and `Head`, 0.5 m apart; it stands at the origin and looks at +Z."""
    build = Build()
    primitive = build.quad(material=build.unlit())
    strip = np.array([[-0.1, 0, 0], [0.1, 0, 0], [0.1, 1, 0], [-0.1, 1, 0]], dtype="<f4")
    primitive["attributes"]["POSITION"] = build.accessor(strip)
    primitive["attributes"]["JOINTS_0"] = build.accessor(np.array([[0] * 4] * 2 + [[1] * 4] * 2, dtype="u1"))
    primitive["attributes"]["WEIGHTS_0"] = build.accessor(np.array([[1, 0, 0, 0]] * 4, dtype="<f4"))
    bind = np.tile(np.eye(4), (2, 1, 1))
    bind[1, 1, 3] = -0.5
    matrices = build.accessor(np.ascontiguousarray(bind.transpose(0, 2, 1)).reshape(2, 16).astype("<f4"))
    build.add("skins", joints=[1, 2], inverseBindMatrices=matrices)
    build.doc["nodes"] = [
        {"name": "Body", "mesh": 0, "skin": 0},
        {"name": "mixamorig:Hips", "children": [2]},
        {"name": "mixamorig:Head", "translation": [0, 0.5, 0]},
    ]
    build.doc["scenes"] = [{"nodes": [0, 1]}]
    build.doc["materials"][0]["doubleSided"] = True
    return build


def performer(head_roll_deg: float, at_m: Any = (0.5, 4.0, -0.5), pan_deg: float = 180.0) -> PlanSubject:
    def joint(name: str, parent: int, position: Any, roll_deg: float) -> PlanJoint:
        turn = pose_from_pan_tilt_roll((0, 0, 0), pan_deg=pan_deg, roll_deg=roll_deg)[:3, :3]
        x, y, z, w = (float(v) for v in quaternion_from_rotation(turn))
        px, py, pz = (float(v) for v in position)
        return PlanJoint(name, parent, (px, py, pz), (x, y, z, w))

    joints = [joint("Hips", -1, at_m, 0.0), joint("Head", 0, np.add(at_m, (0, 0, 0.5)), head_roll_deg)]
    return subject("dancer", pose_from_pan_tilt_roll(at_m, pan_deg=pan_deg), kind="performer", joints=joints)


@pytest.mark.parametrize("joints", [{}, {"mixamorig_hips": "Hips", "mixamorig_head": "Head"}])
def test_a_skin_follows_a_performer_joint_by_joint(stand: Stand, joints: dict[str, str]) -> None:
    binding = BindingConfig(subject="dancer", object="it", joints=joints)
    scene = stand.scene(figure(), bindings={"b": binding})
    scene.follow([performer(0.0)], np.eye(4))
    straight = stand.draw(scene)[..., 0] > 0.5
    rows, columns = np.nonzero(straight)
    # 1 m high, 4 m away, its foot at (0.5, -0.5).
    assert (rows.max() + 1) / SIZE[1] * 2 - 1 == pytest.approx(0.125, abs=0.05)
    assert 1 - rows.min() / SIZE[1] * 2 == pytest.approx(0.125, abs=0.05)
    assert (columns.mean() + 0.5) / SIZE[0] * 2 - 1 == pytest.approx(0.125, abs=0.03)
    # The performer looks at the camera (pan 180) and leans the head: its upper end goes to one side only.
    scene.follow([performer(40.0)], np.eye(4))
    one = np.nonzero((stand.draw(scene)[..., 0] > 0.5)[rows.min() : 24])[1].mean()
    scene.follow([performer(-40.0)], np.eye(4))
    other = np.nonzero((stand.draw(scene)[..., 0] > 0.5)[rows.min() : 24])[1].mean()
    assert one < columns.mean() - 0.5 < columns.mean() + 0.5 < other
    scene.follow([performer(0.0)], np.eye(4))
    assert np.array_equal(stand.draw(scene)[..., 0] > 0.5, straight)


# --- figures --------------------------------------------------------------------------------------------------------


def bending() -> Any:
    """The figure, its head turning round the hips' axis."""
    build = figure()
    turns = [[0, 0, math.sin(a / 2), math.cos(a / 2)] for a in np.linspace(0, 2 * np.pi, 9)]
    build.animate(2, "rotation", np.linspace(0, 4, 9), turns)
    return build


def smiling() -> Any:
    """A quad whose targets Smile and Blink A move it right and up; and another with Smile alone, on its own node."""
    build = Build()
    for n, names in enumerate((["Smile", "Blink A"], ["Smile"])):
        primitive = build.quad(material=build.unlit())
        ways = np.float32([[1, 0, 0], [0, 1, 0]])[: len(names)]
        primitive["targets"] = [{"POSITION": build.accessor(np.tile(way, (4, 1)))} for way in ways]
        build.doc["meshes"][n] |= {"extras": {"targetNames": names}, "weights": [0.0] * len(names)}
    build.doc["nodes"][1]["translation"] = [0, 0, 500]
    return build


def face(**shapes: float) -> PlanSubject:
    return PlanSubject("actor", "performer", 0, matrix16(np.eye(4)), blend_shapes=shapes)


def test_a_face_drives_the_morph_targets(stand: Stand) -> None:
    build = smiling()
    build.animate(0, "weights", [0.0, 1.0], [[0.0, 0.5], [0.0, 0.5]])
    scene = stand.scene(
        build,
        bindings={"face": BindingConfig(subject="actor", object="it", shapes={"smile": "Joy"})},
        objects={"it": ObjectConfig(gltf="asset.gltf")},
    )
    here = stand.middle(scene)
    for subject, moved in (
        (face(Joy=0.6), (0.6, 0.5)),  # Blink A is nobody's: the animation keeps it
        (face(Joy=-0.4, blink_a=0.0), (-0.4, 0.0)),  # named alike
        (face(), (0.0, 0.5)),
    ):
        scene.follow([subject], np.eye(4))
        scene.update(0.25)
        x, y = stand.middle(scene, time_s=0.25)
        still = np.array(here) - [0.0, 0.5 / 2]
        np.testing.assert_allclose([x, y], still + np.array(moved) / 2, atol=0.06)
    thing = scene.objects[0]
    scene.follow([face(Joy=0.3)], np.eye(4))
    assert [thing.shaped(node, np.zeros(n)).tolist() for node, n in ((0, 2), (1, 1))] == [[0.3, 0.0], [0.3]]
    scene.follow([], np.eye(4))
    assert thing.shaped(0, np.ones(2)).tolist() == [1.0, 1.0]


def test_faces_are_checked_by_name(stand: Stand) -> None:
    smiling().write(stand.folder)
    objects = {"it": ObjectConfig(gltf="asset.gltf")}
    for shapes, said in (({"smlie": "Joy"}, "smile"), ({}, None)):
        config = SceneConfig(
            objects=objects, bindings={"f": BindingConfig(subject="actor", object="it", shapes=shapes)}
        )
        problems = scene_problems(config, stand.folder, ["actor"])
        assert [problem.mend for problem in problems] == ([] if said is None else [f"did you mean `{said}`?"])
    plain = Build()
    plain.quad()
    plain.write(stand.folder)
    (problem,) = scene_problems(config, stand.folder, ["actor"])
    assert problem.path == "bindings/f/shapes"


def test_bounds_hold_the_bent_vertices(stand: Stand) -> None:
    scene = stand.scene(bending(), objects={"it": ObjectConfig(gltf="asset.gltf", x_m=3.0, scale=2.0)})
    swept, reach = scene.placement.swept
    for time_s in np.linspace(0.0, 4.0, 23):
        scene.update(float(time_s))
        layout = scene.geometries[0].layout
        vertices = np.frombuffer(scene.geometries[0].vertices.read(), np.float32).reshape(-1, layout.floats)[:, :3]
        scene_from_object = scene.placement.scene_from_objects[0]
        placed = vertices @ scene_from_object[:3, :3].T + scene_from_object[:3, 3]
        centres, radii = scene.placement.bounds()
        assert np.linalg.norm(placed - centres[0], axis=1).max() <= radii[0] + 1e-5
        assert np.linalg.norm(centres[0] - swept[0]) <= reach[0]


def test_figures_bend_as_finely_far_away(stand: Stand) -> None:
    scene = stand.scene(bending())
    near = [stand.draw(scene, t, pose_from_pan_tilt_roll((0.0, 2.0, -0.5))) for t in (0.3, 1.1)]
    scene.apply({"objects/it/x_m": 90_000.0})
    away = pose_from_pan_tilt_roll((-90_000.0, 2.0, -0.5))
    for picture, time_s in zip(near, (0.3, 1.1), strict=True):
        assert np.array_equal(stand.draw(scene, time_s, away), picture)


def test_the_figure_is_bent_once_for_all_views_and_casts_its_bent_shadow(stand: Stand) -> None:
    build = bending()
    build.quad(material=build.matt())
    build.doc["nodes"][-1] |= {"translation": [0, 0, -0.5], "scale": [6, 6, 1]}
    build.doc["scenes"] = [{"nodes": [0, 1, len(build.doc["nodes"]) - 1]}]
    scene = stand.scene(build, sun=SunConfig(pan_deg=150.0, elevation_deg=10.0, illuminance=3.0))
    where = pose_from_pan_tilt_roll((0.0, 3.0, -0.5))
    pictures: dict[float, Any] = {}
    for time_s in (0.0, 1.0, 3.0, 1.0, 0.0):
        count = scene.placement.deform_count
        picture = stand.draw(scene, time_s, where)
        stand.draw(scene, time_s, where)
        assert scene.placement.deform_count - count <= 1
        assert np.array_equal(pictures.setdefault(time_s, picture), picture)
    # Nothing but the sun lights the wall behind: where it does not reach, it is black.
    shadows = {t: p[8:40, 8:40, 0] < 1e-3 for t, p in pictures.items()}
    assert min(int(s.sum()) for s in shadows.values()) > 2
    assert not np.array_equal(shadows[1.0], shadows[3.0])


def test_stage_axes_of_the_kit() -> None:
    assert np.allclose(STAGE_FROM_Y_UP @ [0, 0, -1, 0], [0, 1, 0, 0])
