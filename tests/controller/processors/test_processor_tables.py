"""3D tables for processors: read as files, given to those that take them, compared with what they answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.processors.coex import Coex
from controller.processors.colorlight import Colorlight
from controller.processors.driver import RefusedError
from controller.processors.emulators.coex import CABINETS, CoexEmulator
from controller.processors.emulators.helios import HeliosEmulator
from controller.processors.emulators.server import serving
from controller.processors.emulators.tessera import TesseraEmulator
from controller.processors.helios import Helios
from controller.processors.keeper import Keeper
from controller.processors.tables import Tables, parse_cube
from controller.processors.tessera import Tessera
from controller.processors.wishes import problems_of
from stage.config import ProcessorConfig, ProcessorControlConfig


def cube_text(side: int = 3, gain: float = 1.0) -> str:
    rows = [
        " ".join(f"{gain * c / (side - 1):.6f}" for c in (r, g, b))
        for b in range(side) for g in range(side) for r in range(side)
    ]  # fmt: skip
    return "# made for a test\n" + f"LUT_3D_SIZE {side}\nDOMAIN_MIN 0 0 0\n" + "\n".join(rows) + "\n"


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    (tmp_path / "night.cube").write_text(cube_text(gain=0.5))
    (tmp_path / "day.cube").write_text(cube_text())
    return Tables(tmp_path)


def keeper_of(driver: Any, **desired: Any) -> Keeper:
    async def pause(seconds: float) -> None:
        del seconds

    return Keeper("led1", driver, now_ns=lambda: 0, pause=pause, desired=desired)


@given(st.integers(2, 4), st.floats(0.1, 1.0))
def test_a_table_is_the_same_in_another_spelling(side: int, gain: float) -> None:
    text = cube_text(side, gain)
    again = 'TITLE "x"\n' + text.replace("0.000000", "0").replace("DOMAIN_MIN 0 0 0", "DOMAIN_MAX 1 1 1")
    assert parse_cube("x", text).digest == parse_cube("x", again).digest
    assert (
        parse_cube("x", text).digest
        != parse_cube("x", text.replace("LUT_3D_SIZE", "DOMAIN_MAX 2 2 2\nLUT_3D_SIZE")).digest
    )
    with pytest.raises(RefusedError):
        parse_cube("x", text.rsplit("\n", 2)[0])


@given(st.text(max_size=60))
def test_what_is_no_table_is_refused(text: str) -> None:
    with pytest.raises(RefusedError):
        parse_cube("x", text)


async def test_tessera_takes_a_table_and_gives_it_back(tables: Tables) -> None:
    emulator = TesseraEmulator()
    async with serving(emulator.app) as address:
        driver = Tessera(address, where="processors/led1", tables=tables)
        keeper = keeper_of(driver, lut_file="night.cube", lut=True)
        assert (await keeper.look()).reading is not None
        assert {d.name: d.found for d in keeper.kept.drift} == {"lut_file": "", "lut": False}
        assert [r.outcome for r in await keeper.restore()] == ["applied", "applied"]
        assert emulator.values["processing/3d-lut/data"] == (tables.folder / "night.cube").read_text()
        assert not keeper.kept.drift

        # Somebody loads another at the processor; then one that is none of ours.
        emulator.values["processing/3d-lut/data"] = cube_text()
        emulator.values["processing/3d-lut/filename"] = "theirs.cube"
        await keeper.look()
        assert keeper.kept.drift[0].found == f"theirs.cube ({parse_cube('', cube_text()).digest[:8]})"
        tables.wish(["day.cube"])
        await keeper.look()
        assert keeper.kept.drift[0].found == "day.cube"

        emulator.faults.on.add("lying")
        assert [r.outcome for r in await keeper.set({"lut_file": "night.cube"})] == ["ignored"]
        (result,) = await keeper.set({"lut_file": "dawn.cube"})
        assert result.outcome == "refused"
        assert "No such file" in result.detail
        await driver.close()

        # Another that speaks to it knows the table by its numbers, when that is what is wished.
        emulator.faults.on.clear()
        emulator.values["processing/3d-lut/data"] = cube_text(gain=0.5).replace("0.500000", "0.5")
        fresh = Tables(tables.folder)
        fresh.wish(["night.cube"])
        second = Tessera(address, where="processors/led1", tables=fresh)
        assert (await second.read()).settings["lut_file"] == "night.cube"
        await second.close()


async def test_coex_takes_a_table_and_cannot_give_it_back(tables: Tables) -> None:
    emulator = CoexEmulator()
    async with serving(emulator.app) as address:
        driver = Coex(address, where="processors/led1", tables=tables)
        keeper = keeper_of(driver, lut_file="night.cube")
        await keeper.look()
        assert [r.outcome for r in await keeper.restore()] == ["unchecked"]
        assert emulator.table == (tables.folder / "night.cube").read_text()
        assert not driver.abilities["lut_file"].readable
        await driver.close()


async def test_those_that_take_none_say_so(tables: Tables) -> None:
    async with serving(HeliosEmulator().app) as address:
        driver = Helios(address, where="processors/led1")
        with pytest.raises(RefusedError) as caught:
            await driver.write({"lut_file": "night.cube", "rate_multiplier": 2, "shutter_mode": "angle"})
        assert [problem.detail for problem in caught.value.problems] == ["it cannot do this"] * 3
        assert "no 3D tables" in caught.value.problems[0].mend
        await driver.close()
    with pytest.raises(RefusedError) as caught:
        await Colorlight("127.0.0.1:1", where="processors/led1").write({"lut_file": "night.cube"})
    assert "short command set" in caught.value.problems[0].mend


async def test_panels_show_which_they_are() -> None:
    coex, tessera = CoexEmulator(), TesseraEmulator()
    async with serving(coex.app) as address:
        driver = Coex(address, where="processors/led1")
        await driver.write({"identify": "103, 105"})
        assert coex.marked == [103, 105]
        await driver.write({"identify": "all", "test_pattern": "red"})
        assert (coex.marked, coex.shown.pattern) == (list(CABINETS), "red")
        await driver.write({"identify": "off", "test_pattern": "off"})
        assert (coex.marked, coex.shown.pattern) == ([], "off")
        with pytest.raises(RefusedError) as caught:
            await driver.write({"identify": "7"})
        assert "101" in caught.value.problems[0].mend
        await driver.close()
    async with serving(tessera.app) as address:
        second = Tessera(address, where="processors/led1")
        with pytest.raises(RefusedError) as caught:
            await second.write({"identify": "all"})
        assert "marks panels" in caught.value.problems[0].mend
        await second.close()


def test_a_configuration_that_names_a_table_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "good.cube").write_text(cube_text())
    (tmp_path / "bad.cube").write_text("LUT_3D_SIZE 9\n0 0 0\n")
    control = ProcessorControlConfig(
        driver="tessera", address="127.0.0.1:80", settings={"lut_file": "good.cube"},
        scenes={"a": {"lut_file": "bad.cube"}, "b": {"lut_file": "gone.cube"}},
    )  # fmt: skip
    config = {"led1": ProcessorConfig(model="brompton_tessera_sx40", control=control)}
    found = problems_of(config, ["a", "b"], tmp_path)
    assert [(p.code, p.path) for p in found] == [
        ("controller.processor_table", "stage/processors/led1/control/scenes/a/lut_file"),
        ("controller.processor_table", "stage/processors/led1/control/scenes/b/lut_file"),
    ]
