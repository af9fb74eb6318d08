"""The process of the LED processors: under a clock that tests keep, with emulators behind their real protocols."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from configs import find
from controller.beginning import fresh_show, snapshot_of
from controller.config import compile_config, load_config_text
from controller.messages import ProcessorNotSet, ProcessorSet, RestoreProcessor, SetProcessor
from controller.post import Post
from controller.processors.alarms import rate_fits
from controller.processors.emulators.command import emulator_of
from controller.processors.emulators.device import Fault, Shown, Signal
from controller.processors.emulators.memory import memory_of, recall
from controller.processors.role import ProcessorsRole
from controller.processors.status import ProcessorsStatus, ProcessorStatus, decode_processors
from controller.rundir import RunDir
from controller.show import ActiveScene, encode_snapshot
from controller.show_lock import ShowLock
from controller.status import KIND_STATUS
from runtime.clock import NS_PER_S, VirtualClock
from runtime.ring import RingReader
from stage.compiled import encode_stage

CONTROL = """
      control:
        driver: {driver}
        address: emulated
        settings: {{ {settings} }}
"""
WISHES = {
    "tessera": "brightness_nits: 1500, gamma: 2.4",
    "helios": "brightness_percent: 100, colour_temperature_k: 6504",
}
MODELS = {"tessera": "brompton_tessera_sx40", "helios": "megapixel_helios"}


def config_text(driver: str = "tessera", settings: str = "", *, control: bool = True) -> str:
    text = Path(str(find("minimal"))).read_text()
    told = CONTROL.format(driver=driver, settings=settings or WISHES[driver]).rstrip() if control else ""
    return text.replace("brompton_tessera_sx40", MODELS[driver]).replace(
        "      simulated: true", f"      simulated: true{told}"
    )


class House:
    """The role, its clock, and the service's end of the wire."""

    def __init__(self, folder: Path) -> None:
        self.run = RunDir.create("t", root=folder)
        self.clock = VirtualClock(100 * NS_PER_S)
        self.post = Post(self.run.service_socket)
        self.role = self.new()
        self.requests = 0

    def new(self) -> ProcessorsRole:
        async def pause(_: float) -> None:
            return

        return ProcessorsRole(run=self.run, clock=self.clock, pause=pause)

    def write(
        self,
        text: str,
        version: int,
        *,
        scene: str | None = None,
        since: Any = None,
        config_version: int | None = None,
        lock: Any = "open",
    ) -> None:
        loaded = load_config_text(text, base_dir=Path())
        self.scenes = list(loaded.config.scenes)[:1]
        stage = compile_config(loaded)
        show = msgspec.structs.replace(
            fresh_show(loaded.config, stage), version=version, config_version=config_version or version
        )
        if scene is not None:
            show = msgspec.structs.replace(
                show,
                scenes=[ActiveScene(scene)] if scene else [],
                processor_settings=since or {},
                lock=ShowLock(lock),
            )
        self.run.write_snapshot(version, encode_snapshot(snapshot_of(show, loaded, encode_stage(stage))))
        self.run.set_current_version(version)

    def status(self) -> ProcessorsStatus:
        reader = RingReader.open(self.run.processors_status, kind=KIND_STATUS)
        slot = reader.latest()
        reader.close()
        assert slot is not None
        return decode_processors(slot.data)

    def led1(self) -> ProcessorStatus:
        return self.status().processors["led1"]

    def codes(self) -> list[str]:
        return sorted(alarm.code for alarm in self.status().alarms)

    def emulator(self) -> Any:
        return self.role._spoken["led1"].emulator

    async def pass_s(self, seconds: float) -> None:
        """Time goes on, a second at a time, and everything that is due is done."""
        for _ in range(round(seconds)):
            self.clock.sleep_until(self.clock.now_ns() + NS_PER_S)
            await self.role.turn()
            await self.role.settle()

    async def ask(self, letter: Callable[[int], SetProcessor | RestoreProcessor]) -> Any:
        self.requests += 1
        assert self.post.send(self.run.processors_socket, letter(self.requests))
        await self.role.turn()
        await self.role.settle()
        answer: Any
        (answer,) = self.post.receive()
        assert answer.request == self.requests
        return answer

    async def set(self, **settings: Any) -> Any:
        return await self.ask(lambda n: SetProcessor("led1", settings, n, "service.sock"))

    async def restore(self, *, dry_run: bool = False) -> Any:
        return await self.ask(lambda n: RestoreProcessor("led1", n, "service.sock", dry_run))


def played(folder: Path, scene: Callable[[House], Awaitable[None]], text: str) -> None:
    async def play() -> None:
        house = House(folder)
        house.write(text, 1)
        await house.role.start()
        try:
            await house.pass_s(3)
            await scene(house)
        finally:
            await house.role.stop()
            house.post.close()
        assert house.status().state == "stopped"

    asyncio.run(play())


@pytest.mark.parametrize("driver", ["tessera", "helios"])
def test_an_emulated_processor_is_as_the_show_wants_it(shm: Path, driver: str) -> None:
    async def scene(house: House) -> None:
        led1 = house.led1()
        assert (led1.link, led1.emulated, led1.drift, house.codes()) == ("ready", True, [], [])
        assert led1.address.startswith("127.0.0.1:")
        assert (led1.signal.present, led1.signal.width_px, led1.signal.height_px) == (True, 1408, 880)
        assert led1.signal.rate_hz == 24.0
        assert led1.identity is not None
        assert led1.shown == Shown()
        assert set(led1.desired) <= set(led1.settings)

    played(shm, scene, config_text(driver))


def test_what_is_set_is_read_back_and_is_what_the_show_wants_from_then_on(shm: Path) -> None:
    async def scene(house: House) -> None:
        answer = await house.set(brightness_nits=750, gamma=9.0, blackout=True)
        assert isinstance(answer, ProcessorSet)
        assert {r.name: r.outcome for r in answer.results} == {
            "brightness_nits": "applied", "gamma": "refused", "blackout": "applied",
        }  # fmt: skip
        led1 = house.led1()
        assert led1.settings["brightness_nits"] == 750
        assert led1.desired == {"brightness_nits": 750, "gamma": 2.4}
        assert led1.shown == Shown(0.5, blackout=True)
        assert [r.name for r in led1.results] == [r.name for r in answer.results]
        assert house.codes() == []
        house.emulator().faults.on.add("lying")
        answer = await house.set(brightness_nits=100)
        assert [(r.outcome, r.found) for r in answer.results] == [("ignored", 750)]
        assert house.led1().desired["brightness_nits"] == 750

    played(shm, scene, config_text())


def test_drift_is_an_alarm_until_it_is_restored_dry_first(shm: Path) -> None:
    async def scene(house: House) -> None:
        house.emulator().values["output/global-colour/brightness"] = 300
        await house.pass_s(3)
        (alarm,) = house.status().alarms
        assert (alarm.code, alarm.path) == ("processor.drift", "processors/led1/settings/brightness_nits")
        assert "restore" in alarm.mend
        began_ns = alarm.since_ns
        await house.pass_s(4)
        assert house.status().alarms[0].since_ns == began_ns
        answer = await house.restore(dry_run=True)
        assert [(r.name, r.wanted, r.found, r.outcome) for r in answer.results] == [
            ("brightness_nits", 1500, 300, "planned")
        ]
        assert house.codes() == ["processor.drift"]
        answer = await house.restore()
        assert [(r.name, r.outcome) for r in answer.results] == [("brightness_nits", "applied")]
        assert (house.codes(), house.led1().drift) == ([], [])
        assert (await house.restore()).results == []

    played(shm, scene, config_text())


@pytest.mark.parametrize(
    ("fault", "after_s", "alarm", "code"),
    [
        ("busy", 4, None, "controller.processor_busy"),
        ("busy", 12, "processor.busy", "controller.processor_busy"),
        ("locked", 3, "processor.locked", "controller.processor_locked"),
        ("no_signal", 3, "processor.no_signal", None),
        ("unplugged", 3, "processor.trouble", None),
    ],
)
def test_faults_are_alarms(shm: Path, fault: Fault, after_s: int, alarm: str | None, code: str | None) -> None:
    async def scene(house: House) -> None:
        house.emulator().faults.on.add(fault)
        await house.pass_s(after_s)
        found = house.status().alarms
        assert [a.code for a in found] == ([alarm] if alarm else [])
        assert all(a.path.startswith("processors/led1") and a.mend and a.detail for a in found)
        for answer in (await house.restore(), await house.set(gamma=2.2)):
            if code is None:
                assert isinstance(answer, ProcessorSet)
            else:
                assert isinstance(answer, ProcessorNotSet)
                assert answer.problems[0].code == code
        house.emulator().faults.on.clear()
        await house.pass_s(12)
        assert house.codes() == []

    played(shm, scene, config_text())


def test_one_that_does_not_answer_is_away_and_what_was_known_stays(shm: Path) -> None:
    async def scene(house: House) -> None:
        assert house.led1().link == "away"
        assert house.codes() == ["processor.away"]
        answer = await house.set(gamma=2.2)
        assert answer.problems[0].code == "controller.processor_unreachable"
        assert (await house.ask(lambda n: SetProcessor("led9", {}, n, "service.sock"))).problems[0].mend

    played(shm, scene, config_text().replace("address: emulated", "address: 127.0.0.1:9"))


def test_a_signal_at_another_rate_is_an_alarm(shm: Path) -> None:
    async def scene(house: House) -> None:
        house.emulator().signal = Signal(1408, 880, 50.0)
        await house.pass_s(3)
        assert house.codes() == ["processor.rate"]
        house.emulator().signal = Signal(1408, 880, 48.0)
        await house.pass_s(3)
        assert house.codes() == ["processor.latency"], "its two frames are those of 48 Hz now"

    played(shm, scene, config_text())


def test_a_new_process_finds_the_emulator_and_the_wishes_as_they_were(shm: Path) -> None:
    async def scene(house: House) -> None:
        await house.set(brightness_nits=300, freeze=True)
        await house.role.stop()
        house.role = house.new()
        await house.role.start()
        await house.pass_s(3)
        led1 = house.led1()
        assert led1.shown == Shown(0.2, freeze=True)
        assert (led1.desired["brightness_nits"], led1.drift) == (300, [])

    played(shm, scene, config_text())


def test_it_follows_the_configuration(shm: Path) -> None:
    async def scene(house: House) -> None:
        address = house.led1().address
        house.write(config_text(settings="brightness_nits: 1000"), 2)
        await house.pass_s(1)
        led1 = house.led1()
        assert (led1.address, led1.desired) == (address, {"brightness_nits": 1000}), "the same one, wanted otherwise"
        assert house.codes() == ["processor.drift"]
        house.write(config_text().replace("rate: 24", "rate: 50"), 3)
        await house.pass_s(3)
        assert house.led1().signal.rate_hz == 50.0
        house.write(config_text(control=False), 4)
        await house.pass_s(1)
        assert (house.status().processors, house.codes()) == ({}, [])

    played(shm, scene, config_text())


@pytest.mark.parametrize("model", ["tessera", "helios", "coex", "colorlight_v", "colorlight_z"])
def test_every_emulator_remembers(model: str) -> None:
    first, again = (emulator_of(model, signal_in=Signal()) for _ in range(2))
    if model == "tessera":
        first.values["output/global-colour/brightness"] = 150
    elif model == "helios":
        first.tree["dev"]["display"]["brightness"] = 10.0
    else:
        first.brightness = 0.1
    assert again.shown != first.shown
    recall(again, memory_of(first))
    assert again.shown == first.shown == Shown(0.1)
    with pytest.raises(msgspec.MsgspecError):
        recall(again, b"\xc1")


@pytest.mark.parametrize(
    ("found_hz", "wanted_hz", "fits"),
    [(24.0, 24000 / 1001, True), (48.0, 24.0, True), (59.9, 60000 / 1001, True), (50.0, 24.0, False),
     (25.0, 24.0, False), (12.0, 24.0, False)],
)  # fmt: skip
def test_rates_that_fit(found_hz: float, wanted_hz: float, fits: bool) -> None:
    assert rate_fits(found_hz, wanted_hz) == fits


def test_the_mode_it_is_in_is_told_and_a_delay_that_is_not_configured_is_an_alarm(shm: Path) -> None:
    async def scene(house: House) -> None:
        before = house.led1()
        assert before.delay is not None
        assert (before.delay.configured_frames, before.delay.real_frames) == (2.0, 2.0)
        assert before.capacity is not None
        assert before.capacity.over == ()
        await house.set(rate_multiplier=2, remapping_frames="colour 0 255 0, video 0 0", remapping=True)
        after = house.led1()
        assert after.delay is not None
        assert after.delay.real_frames == 2.5
        assert after.capacity is not None
        assert after.capacity.rate_hz == 2 * before.capacity.rate_hz
        assert house.codes() == ["processor.latency"]
        (alarm,) = house.status().alarms
        assert "2.5" in alarm.mend

    played(shm, scene, config_text())


def test_an_input_of_another_size_than_the_canvas_is_an_alarm(shm: Path) -> None:
    async def scene(house: House) -> None:
        house.emulator().signal.width_px += 16
        await house.pass_s(3)
        assert house.codes() == ["processor.size"]

    played(shm, scene, config_text())


def test_scenes_and_revisions_of_the_show_say_how_it_is_wanted(shm: Path) -> None:
    async def scene(house: House) -> None:
        (first,) = house.scenes

        async def on_air(version: int, scene: str, since: dict[str, Any]) -> ProcessorStatus:
            house.write(text, version, scene=scene, since=since, config_version=1)
            await house.pass_s(3)
            return house.led1()

        assert house.led1().desired == {"brightness_nits": 600, "gamma": 2.4}, "as its first scene has it"
        dry = await house.restore(dry_run=True)
        assert [(r.name, r.wanted, r.outcome) for r in dry.results] == [("brightness_nits", 600, "planned")]
        assert house.led1().settings["brightness_nits"] == 1500, "dry"
        assert (await on_air(2, "", {})).desired == {"brightness_nits": 1500, "gamma": 2.4}
        assert house.codes() == []
        since = await on_air(3, first, {"led1": {"gamma": 2.2}})
        assert since.desired == {"brightness_nits": 600, "gamma": 2.2}
        await house.restore()
        assert house.led1().settings["gamma"] == pytest.approx(2.2)
        assert house.led1().drift == []
        # Undone: as it was before, which is told until it is restored.
        assert [d.name for d in (await on_air(4, first, {})).drift] == ["gamma"]

    text = config_text("tessera", "brightness_nits: 1500, gamma: 2.4")
    loaded = load_config_text(text, base_dir=Path())
    (name,) = list(loaded.config.scenes)[:1]
    text = text.replace("settings: {", f"scenes: {{ {name}: {{ brightness_nits: 600 }} }}\n        settings: {{")
    played(shm, scene, text)


FOLLOWED = """settings: {{ brightness_nits: 1500, gamma: 2.4 }}
        scenes: {{ night: {{ brightness_nits: 600 }}, noon: {{ gamma: 2.0 }} }}
        follow_scenes: {follow}"""


def followed(follow: str) -> str:
    text = config_text("tessera", "brightness_nits: 1500, gamma: 2.4")
    text = text.replace("settings: { brightness_nits: 1500, gamma: 2.4 }", FOLLOWED.format(follow=follow))
    return text.replace("\nscenes:\n", "\nscenes:\n  night: {background: [0, 0, 0]}\n  noon: {background: [1, 1, 1]}\n")


def test_a_scene_that_comes_on_air_is_followed_but_never_in_a_take(shm: Path) -> None:
    async def scene(house: House) -> None:
        def brightness() -> Any:
            return house.led1().settings["brightness_nits"]

        await house.pass_s(4)
        assert brightness() == 600, "as the scene wants it that the show begins with"
        # Somebody turns a knob that no scene names: told, not touched.
        house.emulator().values["output/global-colour/colour-temperature"] = 3000
        # A take rolls: the next scene waits until it is over.
        house.write(text, 2, scene="noon", config_version=1, lock="rolling")
        await house.pass_s(6)
        assert brightness() == 600
        assert {d.name for d in house.led1().drift} == {"brightness_nits", "gamma"}
        house.write(text, 3, scene="noon", config_version=1)
        await house.pass_s(4)
        assert (brightness(), house.led1().settings["gamma"]) == (1500, 2.0)
        assert house.led1().settings["colour_temperature_k"] == 3000
        assert {r.name: r.outcome for r in house.led1().results} == {"brightness_nits": "applied", "gamma": "applied"}

        # One that is away follows once it is back.
        house.emulator().faults.on.add("rebooting")
        house.write(text, 4, scene="", config_version=1)
        await house.pass_s(4)
        assert house.led1().settings["gamma"] == 2.0
        house.emulator().faults.on.clear()
        await house.pass_s(6)
        assert house.led1().settings["gamma"] == 2.4

        # A process that comes new to a scene that is on air sets nothing.
        house.write(text, 5, scene="noon", config_version=1)
        await house.pass_s(4)
        assert house.led1().settings["gamma"] == 2.0
        house.emulator().values["output/global-colour/gamma"] = 3.0
        await house.pass_s(3)
        await house.role.stop()
        house.role = house.new()
        await house.role.start()
        await house.pass_s(4)
        assert house.led1().settings["gamma"] == 3.0

    text = followed("true")
    played(shm, scene, text)


def test_without_the_flag_a_scene_sets_nothing(shm: Path) -> None:
    async def scene(house: House) -> None:
        await house.pass_s(4)
        assert house.led1().settings["brightness_nits"] == 1500
        assert [d.name for d in house.led1().drift] == ["brightness_nits"]

    played(shm, scene, followed("false"))
