"""The typed client against the running house."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from controller.client import ApiError, Client

if TYPE_CHECKING:
    from tests.controller.conftest import RunningHouse


async def test_it_reads_changes_and_listens(house: RunningHouse) -> None:
    async with Client(house.url) as show:
        assert (await show.health()).name == "minimal"
        camera = await show.camera("a")
        assert camera == (await show.cameras())["a"] or camera.rev == (await show.cameras())["a"].rev
        async with aclosing(show.events("camera")) as events:
            first = await anext(events)
            assert set(first.data) == {"cameras/a"}
            outcome = await show.set("cameras/a", soft_edge_deg=1.25)
            async for event in events:
                if event.data["soft_edge_deg"] == 1.25:
                    assert event.rev == outcome.rev
                    break
        assert (await show.camera("a")).soft_edge_deg == 1.25
        with pytest.raises(ApiError) as error:
            await show.set("cameras/a", if_rev=camera.rev, soft_edge_deg=3)
        assert (error.value.status, error.value.problems[0].code) == (412, "controller.stale")
        await show.undo("cameras/a")
        assert (await show.camera("a")).soft_edge_deg == 0.5


async def test_it_lines_up(house: RunningHouse) -> None:
    async with Client(house.url) as show:
        await show.nudge("tracker", x_m=0.001)
        assert (await show.source("tracker")).nudge.x_m == 0.001
        await show.undo("sources/tracker")
        await show.pattern("eye_card", "main")
        assert (await show.show()).rev == (await show.pattern("eye_card", "main")).rev
        await show.undo()
        with pytest.raises(ApiError):
            await show.set_zero("tracker")


async def test_it_switches_scenes_and_configurations(house: RunningHouse) -> None:
    async with Client(house.url) as show:
        await show.activate_scene("hall")
        assert (await show.show()).position == "far"
        await show.activate_position("near")
        assert {scene.id for scene in (await show.scenes()).values() if scene.active} == {"hall"}
        config = await show.config()
        outcome = await show.put_config(config.text.replace("shutter_deg: 180.0", "shutter_deg: 90.0"), rev=config.rev)
        assert (await show.camera("a")).shutter_deg == 90.0
        # The scene and the position that were on air stay.
        assert (await show.show()).position == "near"
        with pytest.raises(ApiError) as error:
            await show.put_config(config.text, rev=config.rev)
        assert error.value.status == 412
        for _ in range(3):
            await show.undo()
        assert (await show.show()).scene == "grey"
        assert outcome.frame is not None


async def test_it_watches_and_orders(house: RunningHouse) -> None:
    async with Client(house.url) as show:
        assert (await show.nodes()).conductor is not None
        frames = await show.frames(window=20)
        assert frames.window == 20
        assert (await show.frame((await show.health()).frame - 3)).frame > 0
        assert isinstance((await show.alarms()).alarms, list)
        assert (await show.canvas_png("main")).startswith(b"\x89PNG")
        assert (await show.photo("a", width_px=320)).startswith(b"\xff\xd8")
        assert (await show.canvases())["main"].encoding.bits == 8
        assert (await show.order("hold")).action == "hold"
        assert (await show.order("none")).action == "none"
