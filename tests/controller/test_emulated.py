"""What the darkroom makes of emulated processors' settings: read from their ring, frozen pictures kept."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import msgspec
import numpy as np

from controller.config import compile_config
from controller.emulated import EmulatedProcessors
from controller.processors.emulators.device import Shown
from controller.processors.status import ProcessorsStatus, ProcessorStatus
from controller.rundir import RunDir
from controller.status import KIND_STATUS
from renderer.twin.emulator import Codes
from runtime.ring import RingWriter


def test_photos_follow_what_emulated_processors_are_set_to(shm: Path, housekit: ModuleType) -> None:
    run = RunDir.create("t", root=shm)
    stage = compile_config(housekit.loaded_of(housekit.minimal_text()))
    (canvas,) = stage.canvases
    emulated = EmulatedProcessors(run)

    def picture(code: int) -> Codes:
        return np.full((4, 8, 4), code, dtype=np.uint8)

    def photo(code: int) -> Codes:
        emulated.look(stage, lambda _: picture(code))
        shown = emulated.shown(stage, {canvas: picture(code)})[canvas]
        assert shown is not None
        return shown

    assert (photo(200) == 200).all(), "no process speaks to processors"
    ring = RingWriter.create(run.processors_status, kind=KIND_STATUS, slots=4, capacity=4032)

    def set_(shown: Shown | None) -> None:
        one = ProcessorStatus("tessera", "", shown is not None, "ready", 0, shown=shown)
        ring.publish(msgspec.msgpack.encode(ProcessorsStatus(0, 0, "running", 1, {"led1": one})), frame=0, t_ns=0)

    set_(Shown(0.5))
    assert 0 < photo(200)[..., 0].max() < 200
    set_(Shown(freeze=True))
    emulated.look(stage, lambda _: picture(90))
    assert (photo(120)[..., 0] == 90).all(), "as it was when it was frozen"
    set_(Shown(freeze=True, blackout=True))
    assert not photo(130)[..., :3].any()
    set_(Shown())
    assert (photo(140)[..., 0] == 140).all()
    set_(Shown(freeze=True))
    assert (photo(150)[..., 0] == 150).all(), "frozen again, at another picture"
    set_(None)
    assert (photo(160)[..., 0] == 160).all(), "a real one: nothing is made up"
    assert emulated.shown(stage, {canvas: None}) == {canvas: None}
    ring.publish(b"nonsense", frame=0, t_ns=0)
    assert (photo(170)[..., 0] == 170).all()
    emulated.close()
    ring.close()
