"""The proof of the cue list: a show of forty cues gives the same canvases by GO over HTTP, by OSC and by time code, to
the code; and undo leads back to the first picture."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Way = Callable[[Any], Callable[[str], Awaitable[object]]]


def played(
    kit: ModuleType, housekit: ModuleType, folder: Path, cues: list[Any], way: Way | None, *, drawn: bool = True
) -> dict[str, Any]:
    """A whole show: canvases by frame, plans, and what undo leads back to."""
    folder.mkdir()
    virtual = kit.house(housekit, folder, cues, chase=way is None, drawn=drawn)
    player = kit.Player(virtual)
    goes = dict(kit.goes(cues))
    last = max(goes) + kit.EVERY

    async def run() -> dict[str, Any]:
        await player.run_to(3)
        kit.checked(player, cues)
        go, gone = way(player) if way is not None else None, dict[str, int]()

        async def at(frame: int) -> None:
            if go is not None and frame + 1 in goes:
                await go(goes[frame + 1])
                gone[goes[frame + 1]] = player.desk.show.version

        await player.run_to(last, at)
        assert player.hand.problem == ""
        steps = len(player.desk.show.cues_at.steps)
        if way is None:
            await player.hand.chase(False, who="test")
        while player.desk.made:
            await player.desk.undo()
            # The conductor takes its letters a few times a frame.
            player.pause()
        await player.settle()
        return {
            "begins": {
                number: next(frame for frame in sorted(virtual.plans) if virtual.plans[frame].show_version >= version)
                for number, version in gone.items()
            },
            "hashes": dict(player.hashes), "last": last, "steps": steps, "shown": virtual.outcome(),
            "plans": [virtual.plans[frame] for frame in range(last)],
            "back": player.hashes[max(player.hashes)] if drawn else b"",
        }  # fmt: skip

    try:
        return asyncio.run(run())
    finally:
        player.close()
        virtual.__exit__()


@pytest.mark.parametrize(
    "osc_drawn",
    [
        # Equal plans are equal pixels (tests/controller/test_same_pixels.py): OSC's are drawn in the long run only.
        pytest.param(False, id="osc by its plans"),
        pytest.param(True, id="all drawn", marks=pytest.mark.slow),
    ],
)
def test_forty_cues_by_http_by_osc_and_by_time_code_give_the_same_canvases(
    shm: Path, housekit: ModuleType, cuekit: ModuleType, osc_drawn: bool
) -> None:
    cues = cuekit.forty_cues()
    assert len([cue for cue in cues if cue.timecode]) == 40
    one = played(cuekit, housekit, shm / "http", cues, cuekit.by_http)
    # A GO that gives more to draw begins a frame later: time code lets go where GO did.
    chased = cuekit.relabelled(cues, one["begins"])
    runs = {
        "http": one,
        "osc": played(cuekit, housekit, shm / "osc", cues, cuekit.by_osc, drawn=osc_drawn),
        "timecode": played(cuekit, housekit, shm / "timecode", chased, None),
    }
    frames = range(one["last"])
    for name, run in runs.items():
        assert set(run["shown"].values()) == {(frame, "none") for frame in run["shown"]}, f"{name}: no slot lost"
        assert run["steps"] == one["steps"] >= 40
        if run["hashes"]:
            assert set(frames) <= set(run["hashes"]), f"{name}: every frame was drawn"
            # What leads back by undo is the very first picture.
            assert run["back"] == run["hashes"][3], name
    assert runs["osc"]["plans"] == one["plans"]
    for name, run in runs.items():
        if run["hashes"]:
            assert [frame for frame in frames if run["hashes"][frame] != one["hashes"][frame]] == [], name
    placed = {number: frame for frame, number in cuekit.goes(cues)}
    assert {one["begins"][number] - placed[number] for number in placed} == {0, 1}
    # What GOs do is seen on the walls, most at the very frame.
    firsts = [frame for frame, _ in cuekit.goes(cues)]
    seen = [frame for frame in firsts if one["hashes"][frame] != one["hashes"][frame - 1]]
    came = [frame for frame in firsts if one["hashes"][frame + cuekit.EVERY - 1] != one["hashes"][frame - 1]]
    assert len(seen) >= 15, f"changed at their frame: {seen}"
    assert len(came) >= 25, f"nothing came of {sorted(set(firsts) - set(came))}"


@pytest.mark.slow
def test_the_proof_finds_a_cue_that_comes_a_frame_late(shm: Path, housekit: ModuleType, cuekit: ModuleType) -> None:
    cues = [cue for cue in cuekit.forty_cues() if cue.number in ("1", "2", "3")]
    good = played(cuekit, housekit, shm / "good", cues, cuekit.by_http)

    def late(player: Any) -> Callable[[str], Awaitable[object]]:
        go = cuekit.by_http(player)

        async def go_late(number: str) -> None:
            await player.run_to(player._seen + 1)
            await go(number)

        return go_late

    bad = played(cuekit, housekit, shm / "bad", cues, late)
    assert [good["hashes"][n] == bad["hashes"][n] for n in (29, 30)] == [True, False]
    assert bad["back"] == good["back"]
