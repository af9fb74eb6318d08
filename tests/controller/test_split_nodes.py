"""A view on two canvases drawn by two nodes, each with a GL context of its own, is the view one node draws."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from configs.assets.glb import Glb
from configs.assets.shapes import box
from controller.beginning import fresh_show, snapshot_of
from controller.config import compile_config, load_config_text, nodes_of
from controller.painter import GLPainter, NodesError
from controller.planner import Planner
from controller.run import run_spec
from controller.rundir import RunDir
from controller.show import Snapshot
from controller.sources import inner_limits
from renderer.passes.target import ViewTarget
from renderer.sinks.ring import codes_of
from runtime.clock import VirtualClock
from runtime.ring import KIND_CANVAS, RingReader
from stage.compiled import encode_stage
from stage.errors import ConfigError
from stage.plan import FramePlan

WALL_PX = (1408, 880)
SEAM_PX = 528
"""Three of the wall's eight columns of panels are the left canvas'; the camera looks at both."""
CANVAS = """    {name}:
      processor: {processor}
      width_px: {width}
      height_px: 880
      encoding: {{transfer: srgb, bits: 8}}
      tiles:
        - {{wall: main, wall_px: [{left}, 0, {width}, 880], at_px: [0, 0]}}
"""
NODES = """
nodes:
  port: {canvases: [left]}
  starboard: {canvases: [right]}
"""
SCENE = """scenes:
  yard:
    gltf: yard.glb
    ambient: [0.1, 0.15, 0.2]
    background: [0.02, 0.05, 0.2]
    sun: {elevation_deg: 40.0, pan_deg: 30.0, illuminance: 4.0}
    shadow_cascades: 2
    fog: {distance_m: 60.0, falloff_m: 8.0, colour: [0.3, 0.3, 0.5]}
    occlusion: {cells: 8}
    lights:
      spot: {kind: spot, position_m: [3.0, 3.0, 5.0], aim_m: [0.0, 7.0, 0.0], lumens: 60000.0, colour: [1.0, 0.5, 0.2]}

"""
LENS = "    lens: {focal_length_mm: 35.0, entrance_pupil_m: 0.1, f_stop: 0.7, focus_distance_m: 2.5}\n"


def yard() -> bytes:
    """A floor, boxes that turn, a mirror, and panes of glass and of something half clear, all across the seam."""
    glb = Glb()
    stone = glb.material("stone", baseColorFactor=[0.6, 0.5, 0.4, 1.0], roughnessFactor=0.9, metallicFactor=0.0)
    steel = glb.material("steel", baseColorFactor=[0.8, 0.8, 0.9, 1.0], roughnessFactor=0.3, metallicFactor=1.0)
    clear = glb.material("clear", baseColorFactor=[0.9, 0.3, 0.2, 0.5], roughnessFactor=0.5, metallicFactor=0.0,
                         alphaMode="BLEND", doubleSided=True)  # fmt: skip
    glb.node("floor", glb.mesh("floor", box((30.0, 30.0, 0.2), (0.0, 0.0, 0.0)), stone), (0.0, 8.0, -0.2))
    for n in range(9):
        paint = (stone, steel, clear)[n % 3]
        shape = box((0.5, 0.5, 1.0 + 0.2 * n), (0.0, 0.0, 0.0))
        node = glb.node(f"box {n}", glb.mesh(f"box {n}", shape, paint), (0.55 * n - 2.6, 4.0 + 0.7 * (n % 4), 0.6))
        times = np.linspace(0.0, 1.0, 5)
        angle = times * np.pi / 2
        zero = np.zeros_like(angle)
        glb.turning(node, times, np.stack([zero, np.sin(angle), zero, np.cos(angle)], axis=-1))
    return glb.to_bytes()


def text_of(kit: ModuleType, *, split: bool, nodes: bool, render: str = "", camera: str = "") -> str:
    """The minimal stage with its wall on one canvas or on two."""
    text = kit.minimal_text()
    head, _, tail = text.partition("\n  canvases:\n")
    head += "\n"
    tail = tail[tail.index("\ncameras:") :]
    if split:
        canvases = CANVAS.format(name="left", processor="led1", left=0, width=SEAM_PX)
        canvases += CANVAS.format(name="right", processor="led2", left=SEAM_PX, width=WALL_PX[0] - SEAM_PX)
    else:
        canvases = CANVAS.format(name="main", processor="led1", left=0, width=WALL_PX[0])
    second = "    led2: {model: brompton_tessera_sx40, simulated: true}\n" if split else ""
    text = f"{head}{second}  canvases:\n{canvases}{tail}"
    head, _, tail = text.partition("scenes:\n")
    text = head + SCENE + tail[tail.index("render:") :]
    at, end = text.index("    lens:\n"), text.index("    # Where it stands")
    text = text[:at] + LENS + camera + text[end:]
    text = text.replace("scale: 8", f"scale: 8\n  outer_px: 96\n  shadow_px: 256\n  texels_per_led: 1.5\n{render}")
    return text + (NODES if nodes else "")


@dataclass
class Drawn:
    """What was drawn of some plans: codes by canvas, and how much of the inner pictures' texels."""

    codes: list[dict[str, NDArray[Any]]]
    share: float


class Stage:
    """One configuration in a run directory of its own."""

    def __init__(self, shm: Path, folder: Path, text: str) -> None:
        shm.mkdir(exist_ok=True)
        self.run = RunDir(shm)
        self.loaded = load_config_text(text, base_dir=folder)
        self.stage = compile_config(self.loaded)
        show = fresh_show(self.loaded.config, self.stage)
        self.show = msgspec.structs.replace(show, version=1, config_version=1, outer_mode="live")
        self.snapshot: Snapshot = snapshot_of(self.show, self.loaded, encode_stage(self.stage))

    def plans(self) -> list[FramePlan]:
        """Frames of a moving world."""
        planner = Planner(self.stage, inner_limits(self.loaded.config.render))
        rate = self.stage.rate
        return [planner.plan(self.show, {}, frame=n, t_present_ns=rate.deadline_ns(0, n)) for n in (5, 6, 17)]

    def draw(self, plans: list[FramePlan], node: str | None, monkeypatch: pytest.MonkeyPatch) -> Drawn:
        """A painter of its own draws them."""
        shares: list[float] = []
        only = ViewTarget.only

        def seen(self: ViewTarget, part: tuple[int, int, int, int] | None) -> Any:
            width, height = self.size
            shares.append(1.0 if part is None else part[2] * part[3] / (width * height))
            return only(self, part)

        monkeypatch.setattr(ViewTarget, "only", seen)
        painter = GLPainter(run=self.run, clock=VirtualClock(), node=node)
        codes = []
        try:
            for _ in painter.prepare(self.snapshot):
                pass
            shares.clear()
            for plan in plans:
                painter.draw(plan)
                painter.present(plan, 1, "none")
                frame = {}
                for name in painter.canvases:
                    ring = RingReader.open(self.run.canvas(name), kind=KIND_CANVAS)
                    slot = ring.latest()
                    assert slot is not None
                    assert slot.frame == plan.frame
                    frame[name] = codes_of(ring.shape, slot.data).astype(int)
                    ring.close()
                codes.append(frame)
        finally:
            painter.close()
            monkeypatch.setattr(ViewTarget, "only", only)
        return Drawn(codes, float(np.mean(shares)))


KINDS = {
    "dithered": ("", "", 2),
    "plain": ("  dither: false\n", "", 1),
    "fine": ("  dither: false\n  supersample: 2\n  msaa: 2\n", "", 1),
    "focus": ("  dither: false\n", "    focus_blur_deg: 0.8\n", 1),
}
"""What is on, and by how many codes two canvases and one may be apart: the dither begins anew on each canvas."""


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", KINDS)
def test_a_view_split_over_two_nodes_is_the_unsplit_one(
    kind: str, shm: Path, tmp_path: Path, housekit: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "yard.glb").write_bytes(yard())
    render, camera, most = KINDS[kind]
    words = {"render": render, "camera": camera}
    split = Stage(shm / "split", tmp_path, text_of(housekit, split=True, nodes=True, **words))
    whole = Stage(shm / "whole", tmp_path, text_of(housekit, split=False, nodes=False, **words))
    plans = split.plans()
    assert nodes_of(split.loaded.config) == {"port": ("left",), "starboard": ("right",)}
    port, starboard = (split.draw(plans, node, monkeypatch) for node in ("port", "starboard"))
    one = split.draw(plans, None, monkeypatch)
    unsplit = whole.draw(plans, None, monkeypatch)
    assert (one.share, unsplit.share) == (1.0, 1.0)
    # Each draws its part of the view and a rim, not all of it.
    assert port.share < 0.6
    assert starboard.share < 0.8
    columns = SEAM_PX // 8
    for number, (left, right, both, all_of_it) in enumerate(
        zip(port.codes, starboard.codes, one.codes, unsplit.codes, strict=True)
    ):
        assert set(left) == {"left"}
        assert set(right) == {"right"}
        assert np.array_equal(left["left"], both["left"]), f"plan {number}: left of two nodes and of one"
        assert np.array_equal(right["right"], both["right"]), f"plan {number}: right of two nodes and of one"
        joined = np.concatenate([left["left"], right["right"]], axis=1)
        assert np.abs(joined - all_of_it["main"]).max() <= most, f"plan {number}"
        # There is something to see, on both sides of the seam.
        for side in (joined[:, :columns], joined[:, columns:]):
            assert len(np.unique(side[..., :3].reshape(-1, 3), axis=0)) > 100
    assert not np.array_equal(one.codes[0]["left"], one.codes[2]["left"]), "it moves"


def test_a_run_has_a_process_for_every_node(shm: Path, tmp_path: Path, housekit: ModuleType) -> None:
    import socket

    (tmp_path / "yard.glb").write_bytes(yard())
    loaded = load_config_text(text_of(housekit, split=True, nodes=True), base_dir=tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        spec = run_spec(RunDir(shm), loaded=loaded, listener=listener)
    roles = {role.name: role for role in spec.roles}
    assert [name for name in roles if name.startswith("node-")] == ["node-port", "node-starboard"]
    assert roles["node-port"].argv[-1] == "port"
    assert roles["conductor"].argv[-2:] == ("--nodes", "port,starboard")


def test_every_canvas_has_one_node(tmp_path: Path, housekit: ModuleType) -> None:
    (tmp_path / "yard.glb").write_bytes(yard())
    good = text_of(housekit, split=True, nodes=True)
    for old, new, said in (
        ("[right]", "[right, left]", "drawn by `port` already"),
        ("  starboard: {canvases: [right]}\n", "", "nobody draws right"),
        ("[right]", "[rigth]", "right"),
    ):
        with pytest.raises(ConfigError, match=said):
            compile_config(load_config_text(good.replace(old, new), base_dir=tmp_path))


def test_nodes_stay_what_they_were_started_as(shm: Path, tmp_path: Path, housekit: ModuleType) -> None:
    (tmp_path / "yard.glb").write_bytes(yard())
    text = text_of(housekit, split=True, nodes=True)
    stage = Stage(shm / "a", tmp_path, text)
    painter = GLPainter(run=stage.run, clock=VirtualClock(), node="port")
    try:
        for _ in painter.prepare(stage.snapshot):
            pass
        crossed = text.replace("[left]", "[_]").replace("[right]", "[left]").replace("[_]", "[right]")
        for changed in (text.replace("starboard", "other"), crossed):
            later = msgspec.structs.replace(
                stage.snapshot, config_text=changed, show=msgspec.structs.replace(stage.show, config_version=2)
            )
            with pytest.raises(NodesError):
                list(painter.prepare(later))
            assert not painter.holds(2)
        painter.draw(stage.plans()[0])
    finally:
        painter.close()
