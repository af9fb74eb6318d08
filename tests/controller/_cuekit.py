"""Cue lists played in a virtual house that draws: by HTTP, by OSC, by time code; and a show of forty cues."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import httpx
import msgspec
from fastapi import FastAPI

from controller.api import problems
from controller.api.cues import CueHand
from controller.api.routes import cues as routes
from controller.beginning import surroundings
from controller.commands import apply, undo_of
from controller.cue_play import check_cue
from controller.cues import Cue, CuesAt
from controller.osc import Hands, OscControl, OscStatistics
from controller.painter import GLPainter
from controller.scene_book import write_states
from controller.show import Show
from controller.store import Change
from controller.surroundings import Surroundings
from controller.switching import Moment
from controller.transaction import Outcome
from runtime.ring import KIND_CANVAS, RingReader
from stage.rate import Rate
from stage.timecode import timecode_at
from tracking.protocols.osc import OscPacket

RATE = Rate(24)
FIRST = 30
EVERY = 6
"""Frames from GO to GO; the first shows at `FIRST`."""
SCENES = """scenes:
  grey:
    background: [0.18, 0.18, 0.18]
  dusk:
    background: [0.30, 0.10, 0.04]
    position: far
  night:
    background: [0.01, 0.02, 0.06]
    objects: {block: {gltf: block.glb, y_m: 5.0}}

positions:
  near: {label: Near, y_m: 1.0}
  far: {label: Far, y_m: 9.0, pan_deg: 30.0}

"""
GOES = 40


def forty_cues() -> list[Cue]:
    """Scenes, positions, looks, cards, keys and cameras: cut, moved, dissolved, together, one after the other."""
    card = {"pan_deg": 12.0, "tilt_deg": 4.0, "width_deg": 14.0, "height_deg": 10.0, "nits": 150.0}
    flag = {
        "kind": "flag",
        "shape": "ellipse",
        "pan_deg": -20.0,
        "exposure_ev": -3.0,
        "width_deg": 30.0,
        "feather": 0.5,
    }
    key = {"camera": "a", "nits": 60.0, "markers": "crosses"}
    moves: list[dict[str, Any]] = [
        {"changes": {"exposure_ev": -1.0}},
        {"changes": {"scenes/active": "dusk"}},
        {"changes": {"cards/fill": card}},
        {"changes": {"cards/fill/pan_deg": -5.0, "cards/fill/nits": 80.0}, "seconds": 2 / 24, "curve": "s_curve"},
        {"changes": {"cards/cut": flag}},
        {"changes": {"look/walls/main/exposure_ev": -0.5, "look/inner/saturation": 0.4}},
        {"changes": {"look/walls/main/exposure_ev": 0.5, "look/outer/temperature_k": 3200.0}, "seconds": 2 / 24},
        {"changes": {"chromakeys/green": key}},
        {"changes": {"chromakeys/green/nits": 90.0, "chromakeys/green/margin_deg": -2.0}, "seconds": 2 / 24},
        {"changes": {"chromakeys/green/visible": False}},
        {"changes": {"cameras/a/soft_edge_deg": 4.0, "cameras/a/overscan_margin_deg": 3.0}, "seconds": 2 / 24},
        {"changes": {"cameras/a/on_air": False}},
        {"changes": {"scenes/active": "night", "exposure_ev": 1.0}, "seconds": 2 / 24},
        {"changes": {"position": "near"}},
        {"changes": {"cameras/a/on_air": True, "cameras/a/enabled": False}},
        {"changes": {"cameras/a/enabled": True, "outer/eye_m": [0.4, -0.2, 1.5]}},
        {"changes": {"outer/eye_m": [0.0, 0.0, 1.7], "exposure_ev": 0.25}, "seconds": 2 / 24, "curve": "ease_in"},
        {"changes": {"cards/fill/in_camera": ["a"], "cards/fill/colour": [1.0, 0.5, 0.2]}},
        {"changes": {"patterns/inner_grid": True}},
        {"changes": {"patterns/inner_grid": False, "cards/fill": None}},
    ]
    cues = []
    for n in range(GOES):
        move = {**moves[n % len(moves)]}
        changes = dict(move["changes"])
        if n >= len(moves) and "exposure_ev" in changes:
            # The second round is no copy of the first.
            changes["exposure_ev"] = changes["exposure_ev"] - 0.4
        move["changes"] = changes
        cue = Cue(f"c{n + 1}", str(n + 1), **move, timecode=label(FIRST + n * EVERY), notes=f"page {n}")
        cues.append(cue)
        if n % 10 == 3:
            # One that goes along, and, at its own time, one after it.
            cues[-1] = msgspec.structs.replace(cue, follow="with")
            also = {"exposure_ev": n / 20.0 - 0.5}
            cues.append(Cue(f"c{n + 1}b", f"{n + 1}.5", changes=also, follow="after", follow_s=2 / 24))
            cues.append(Cue(f"c{n + 1}c", f"{n + 1}.7", changes={"cameras/a/rank": n % 7}, delay_s=1 / 24))
    return cues


def relabelled(cues: list[Cue], begins: dict[str, int]) -> list[Cue]:
    """The cues with the time code of the frames their GOs began at."""
    return [msgspec.structs.replace(cue, timecode=label(begins[cue.number])) if cue.timecode else cue for cue in cues]


def label(frame: int) -> str:
    """Time code of a virtual house's frame."""
    return timecode_at(RATE, frame)


def show_text(kit: ModuleType) -> str:
    """The minimal stage, very small, with three scenes and two positions."""
    text = str(kit.minimal_text()).replace("scale: 8", "scale: 16\n  outer_px: 64\n  max_inner_px: 128")
    # A longer lens: the outer picture and what lies on it are seen round the inner one.
    text = text.replace("focal_length_mm: 35.0", "focal_length_mm: 90.0")
    head, _, tail = text.partition("scenes:\n")
    return (
        head + SCENES.replace("    objects: {block: {gltf: block.glb, y_m: 5.0}}\n", "") + tail[tail.index("render:") :]
    )


class DrawnDesk:
    """A desk in virtual time: a change is prepared and committed before the next frame is latched."""

    def __init__(self, virtual: Any) -> None:
        self.virtual, self.stage = virtual, virtual.stage
        self.show: Show = virtual.first
        self.around = surroundings(virtual.loaded.config, virtual.stage)
        self.moment: Moment | None = None
        self.made: list[dict[str, Change]] = []

    @property
    def around_now(self) -> Surroundings:
        return replace(self.around, moment=self.moment)

    def rev_of(self, _: str) -> int:
        return self.show.version

    async def ready(self, _: object) -> None:
        return

    async def make(self, _: str, change: Callable[..., Awaitable[Any]], *, who: str = "", at_frame: Any = 0) -> Any:
        show, changes = await change(self.show, self.around_now)
        at_frame = at_frame() if callable(at_frame) else at_frame
        if not changes:
            return Outcome(self.show.version, None, {})
        self.made.append(changes)
        self.show = msgspec.structs.replace(show, version=self.show.version + 1)
        self.virtual.write(self.show)
        write_states(self.virtual.run, self.show)
        self.virtual.prepare(self.show)
        self.virtual.commit(self.show.version, at_frame)
        return Outcome(self.show.version, at_frame or None, changes)

    async def undo(self) -> None:
        """Take back the newest change, as the real desk does."""
        kept = msgspec.json.decode(msgspec.json.encode(self.made.pop()), type=dict[str, Change])

        async def change(show: Show, around: Surroundings) -> Any:
            return apply(show, undo_of(kept), around)

        await self.make("undo", change)
        self.made.pop()


class Player:
    """A virtual house that draws, its cue list, and everything it showed."""

    def __init__(self, virtual: Any) -> None:
        self.virtual = virtual
        self.desk = DrawnDesk(virtual)
        self.hand = CueHand(self.desk)  # type: ignore[arg-type]
        self.hashes: dict[int, bytes] = {}
        """Of all canvases of each frame."""
        self._seen = -1
        self._readers: dict[str, RingReader] = {}
        self._n: dict[str, int] = {}

    async def run_to(self, last: int, at: Callable[[int], Awaitable[object]] | None = None) -> None:
        """Let frames pass; `at` is called when the plan of each was seen."""
        while self._seen < last:
            self.virtual.run_for(0.004)
            plans = self.virtual.plans
            for frame in sorted(frame for frame in plans if frame > self._seen):
                plan, self._seen = plans[frame], frame
                self.desk.moment = Moment(frame, plan.t_present_ns, plan.scene_time_ns, Rate(*plan.rate))
                self.hand.seen(plan)
                if at is not None:
                    await at(frame)
            for _ in range(4):
                await asyncio.sleep(0)
            self._look()

    def pause(self) -> None:
        """Let a hundredth of a second pass."""
        self.virtual.run_for(0.01)
        self._look()

    async def settle(self) -> None:
        """Until the newest version of the show has been on the walls for some frames."""
        while self.virtual.plans[max(self.virtual.plans)].show_version < self.desk.show.version:
            await self.run_to(self._seen + 1)
        await self.run_to(self._seen + 6)

    def close(self) -> None:
        self.hand.stop()
        for reader in self._readers.values():
            reader.close()

    def _look(self) -> None:
        for name in self.virtual.stage.canvases:
            reader = self._readers.get(name) or RingReader.try_open(self.virtual.run.canvas(name), kind=KIND_CANVAS)
            if reader is None:
                continue
            self._readers[name] = reader
            batch = reader.read_since(self._n.get(name, 0))
            assert not (batch.missed and self._n.get(name))
            self._n[name] = batch.latest_n
            for slot in batch.slots:
                if slot.plan_hash:
                    told = self.hashes.get(slot.frame, b"") + name.encode() + slot.data
                    self.hashes[slot.frame] = blake2b(told, digest_size=16).digest()


def house(kit: ModuleType, folder: Path, cues: list[Cue], *, chase: bool = False, drawn: bool = True) -> Any:
    """A virtual house that begins with a cue list, and (drawn) draws all of it."""

    def real(show: Any) -> GLPainter:
        return GLPainter(run=show.run, clock=show.clock)

    def quick(show: Any) -> Any:
        # As the real one takes no virtual time, neither does this.
        painter = kit.TimedPainter(show.clock, usual_ms=0.0)
        painter.canvases, painter.slices = tuple(show.stage.canvases), 0
        return painter

    return kit.VirtualShow(
        folder,
        show_text(kit),
        tracker=False,
        painter=real if drawn else quick,
        first={"cues": cues, "cues_at": CuesAt(chase=chase)},
    )


def checked(player: Player, cues: list[Cue]) -> None:
    """Every cue is one that the API would take."""
    for cue in cues:
        check_cue(player.desk.show, cue, player.desk.around_now)


def goes(cues: list[Cue]) -> Iterator[tuple[int, str]]:
    """The frame each GO is to show at, and its number."""
    for n, cue in enumerate(cue for cue in cues if cue.timecode):
        yield FIRST + n * EVERY, cue.number


def by_http(player: Player) -> Callable[[str], Awaitable[object]]:
    """GO over the real routes."""
    app = FastAPI()
    app.include_router(routes.routes)
    problems.install(app)
    app.state.control = SimpleNamespace(cues=player.hand, desk=player.desk)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://show")

    async def go(number: str) -> None:
        # GO as the operator presses it, and now and then by number.
        told = {"json": {"number": number}} if int(number) % 3 == 0 else {}
        answer = await client.post("/api/v1/cues/go", **told)  # type: ignore[arg-type]
        assert answer.status_code == 200, answer.text

    return go


def by_osc(player: Player) -> Callable[[str], Awaitable[object]]:
    """GO as datagrams to the real listener."""

    async def nothing(*_: object) -> None:
        raise AssertionError("only cues were sent")

    hands = Hands(
        submit=nothing, undo=nothing, redo=nothing, zero=nothing, order=lambda _: None, jam=nothing,
        cue=player.hand.osc,
    )  # fmt: skip
    statistics = OscStatistics()
    control = OscControl(hands, statistics, clock=player.virtual.clock)

    async def go(number: str) -> None:
        address = f"/cues/{number}/go" if int(number) % 3 == 0 else "/cues/go"
        for pressed in (1, 0):
            control.datagram_received(bytes(OscPacket.build(address, (pressed,))), ("127.0.0.1", 9000))
        await asyncio.gather(*control._running)
        assert not statistics.refused, statistics.refused

    return go
