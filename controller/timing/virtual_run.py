"""The main run under the virtual clock, with loads beside it and the rows of the fault matrix after it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from time import perf_counter
from typing import Any, Final

import numpy as np

from controller.timing.changes import Changer, Stretch, Wanted, reload_scenes, sliders, storm
from controller.timing.judging import Judge, p
from controller.timing.limits import Limits
from controller.timing.played import SETTLED_S
from controller.timing.recording import Recording
from controller.timing.result import Phase, Result, judge_phases, machine_facts, measure_cameras, phases_of
from controller.timing.rows import PLAYABLE, play_row
from controller.timing.settings import REAL_ONLY, Settings, configuration
from controller.timing.virtual import Cost, Plot, VirtualShow, usual_cost
from runtime.clock import NS_PER_MS, NS_PER_S

HOG_FACTOR: Final = 1.6
"""How much longer drawing takes while another program wants all processors."""
DISTURBED: Final = ("config_storm",)
CHUNKS: Final = 50
Told = Callable[[str], None]


def run_virtual(settings: Settings, limits: Limits, told: Told) -> Result:
    """Play the show and the rows asked for. Raises ConfigError, TimingError."""
    began = perf_counter()
    phases = phases_of(settings)
    loaded = configuration(settings)
    rate = loaded.config.rate
    plot = Plot(
        loaded,
        move=settings.move,
        seed=settings.seed,
        samples=settings.samples,
        protocol=settings.protocol,
        cost=_cost(settings, rate, phases),
    )
    with VirtualShow(plot) as show:
        changer = _changer(show, settings, phases)
        if changer is not None:
            show.house.add("changes", changer)
        _play(show, settings.seconds_s, told)
        result = _result(show, settings, limits, phases, loaded.name)
        if changer is not None:
            _judge_changes(result, changer)
        result.machine |= {"renderer": "virtual", "rt_class": 0}
        played_s = perf_counter() - began
        result.machine["virtual_seconds_per_second"] = (SETTLED_S + settings.seconds_s) / played_s
    for row in settings.faults:
        if row in REAL_ONLY or row not in PLAYABLE:
            result.notes.append(f"{row} needs real sockets: run it without --virtual")
            continue
        told(f"{row} ...")
        result.rows.append(play_row(row, settings, limits))
    result.took_s = perf_counter() - began
    return result


def _cost(settings: Settings, rate: Any, phases: tuple[Phase, ...]) -> Cost:
    usual = usual_cost(rate, settings.draw_ms, settings.seed)
    hogged = [phase for phase in phases if phase.name == "cpu_hog"]
    if not hogged:
        return usual
    (hog,) = hogged
    first, last = (int((SETTLED_S + t_s) * rate.hz) for t_s in (hog.begin_s, hog.end_s))
    # The scheduler takes its time to share: drawing slows down over two seconds, as it does on a real machine.
    slowly = 2.0 * rate.hz

    def cost(frame: int) -> int:
        if not first <= frame < last:
            return usual(frame)
        return int(usual(frame) * (1.0 + (HOG_FACTOR - 1.0) * min(1.0, (frame - first) / slowly)))

    return cost


def _changer(show: VirtualShow, settings: Settings, phases: tuple[Phase, ...]) -> Changer | None:
    """Makes the changes of every load at its time. What the API would do to the show is done by the same letters."""
    kinds: dict[str, tuple[Callable[[Changer], Wanted | None], float]] = {
        "flood": (sliders(settings.seed), 0.05),
        "slow_clients": (sliders(settings.seed + 1), 0.5),
        "config_storm": (storm(show, settings.seed), 0.1),
        "scene_reload": (reload_scenes, 0.4),
    }
    begin_ns = show.begin_ns + int(SETTLED_S * NS_PER_S)
    stretches = [
        Stretch(
            phase.name,
            begin_ns + int(phase.begin_s * NS_PER_S),
            begin_ns + int(phase.end_s * NS_PER_S),
            kinds[phase.name][0],
            _pauses(phase.name, settings.seed, kinds[phase.name][1]),
        )
        for phase in phases
        if phase.name in kinds
    ]
    return Changer(show, stretches) if stretches else None


def _pauses(name: str, seed: int, mean_s: float) -> Callable[[], int]:
    random = Random(f"pause:{name}:{seed}")
    return lambda: int(2.0 * random.random() * mean_s * NS_PER_S)


def _play(show: VirtualShow, seconds: float, told: Told) -> None:
    end_s = SETTLED_S + seconds
    for part in range(1, CHUNKS + 1):
        show.run_to(end_s * part / CHUNKS)
        if seconds >= 300.0 and part % 5 == 0:
            told(f"{part * 100 // CHUNKS} % of {seconds:g} virtual seconds")


def _result(show: VirtualShow, settings: Settings, limits: Limits, phases: tuple[Phase, ...], name: str) -> Result:
    begin_ns = show.begin_ns + int(SETTLED_S * NS_PER_S)
    end_ns = begin_ns + int(settings.seconds_s * NS_PER_S)
    whole = show.recording.slots()
    slots = whole.only(whole.between(begin_ns, end_ns))
    result = Result(
        settings=settings,
        mode="virtual",
        name=name,
        stage=show.stage,
        begin_ns=begin_ns,
        recording=show.recording,
        slots=slots,
        phases=phases,
        judge=Judge(limits),
        records=[r for r in show.ledger.latest(1 << 13) if begin_ns <= r.t_present_ns < end_ns],
        ledger=show.ledger.report(),
        machine=machine_facts(),
    )
    judge_phases(result, allowed_repeats=0)
    wrong = len(show.painter.wrong)
    words = "every picture on the walls was drawn from its own slot's plan"
    result.judge.holds("pictures_match", wrong == 0, "show", words, float(wrong))
    measure_cameras(result, {camera: true.poses for camera, true in show.cameras.items()}, disturbed=DISTURBED)
    return result


def _judge_changes(result: Result, changer: Changer) -> None:
    for name in dict.fromkeys(d.load for d in changer.done):
        done = [d for d in changer.done if d.load == name]
        took_ms = np.array([(d.answered_ns - d.asked_ns) / NS_PER_MS for d in done if d.frame is not None])
        where = f"load {name}"
        refused = sum(d.frame is None and not d.meant_to_be_refused for d in done)
        result.judge.limit("changes_refused", float(refused), where)
        result.judge.limit("change_p99_ms", p(took_ms, 99), where)
        kinds: dict[str, int] = {}
        for d in done:
            kinds[d.kind] = kinds.get(d.kind, 0) + 1
        result.loads[name] = {"changes": len(done), **kinds, "refused on purpose": sum(d.refused for d in done)}
    wrong = wrong_versions(result.recording, changer)
    wrong += sum(d.frame is not None and d.meant_to_be_refused for d in changer.done)
    words = "every plan carries the version that was committed for it, and none that was refused"
    result.judge.holds("versions", wrong == 0, "show", words, float(wrong))


def wrong_versions(recording: Recording, changer: Changer) -> int:
    """Plans that carry another version than the one last committed for their frame or an earlier one."""
    frames = np.array(recording.frame, dtype=np.int64)
    told = np.array(recording.show_version, dtype=np.int64)
    held = [(0, changer.first_version)]
    held += [(d.frame, d.version) for d in changer.done if d.frame is not None]
    starts = np.array([frame for frame, _ in held])
    versions = np.array([version for _, version in held])
    # Two versions committed for one frame: the later holds.
    at = np.searchsorted(starts, frames, side="right") - 1
    return int((told != versions[at]).sum())
