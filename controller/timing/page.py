"""`report.html`: one file that an operator who has never seen it can read, the verdict first, in words."""

from __future__ import annotations

import html
from typing import Any, Final

from controller.ledger_record import STEP_WORDS, steps_ms
from controller.ledger_words import REASON_WORDS
from controller.timing import charts
from controller.timing.judging import SHOW, Check
from controller.timing.limits import LEAST, title
from controller.timing.result import Result, verdict_words
from controller.timing.settings import LOADS
from stage.plan import REASONS

STYLE: Final = """
:root { --ink: #22303c; --soft: #5d6b76; --line: #d8e0e6; --good: #1f7a54; --bad: #b3121d; --paper: #fff; }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; color: var(--ink);
  margin: 0; background: #eef2f5; }
main { max-width: 1120px; margin: 0 auto; padding: 24px 20px 60px; }
h1 { font-size: 22px; margin: 0 0 14px; font-weight: 650; }
h2 { font-size: 17px; margin: 0 0 6px; font-weight: 650; }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 8px; padding: 18px 20px;
  margin: 16px 0; }
p { margin: 6px 0 10px; max-width: 108ch; }
.soft { color: var(--soft); }
.verdict { border-left: 10px solid var(--good); }
.verdict.bad { border-left-color: var(--bad); }
.verdict > b { font-size: 26px; display: block; margin-bottom: 4px; color: var(--good); }
.verdict.bad > b { color: var(--bad); }
.verdict p { font-size: 16px; max-width: none; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 10px; margin-top: 14px; }
.fact { border-top: 2px solid var(--line); padding-top: 6px; }
.fact b { font-size: 20px; font-weight: 600; color: var(--ink); display: block; margin: 0; }
.fact span { color: var(--soft); font-size: 13px; line-height: 1.3; display: block; }
table { border-collapse: collapse; width: 100%; font-size: 14px; margin: 8px 0; }
th { text-align: left; font-weight: 600; color: var(--soft); border-bottom: 1px solid var(--line); padding: 4px 8px; }
td { border-bottom: 1px solid #edf1f4; padding: 5px 8px; vertical-align: top; }
td.n, th.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
tr.head td { background: #f5f8fa; font-weight: 600; }
code { white-space: nowrap; font: 12.5px ui-monospace, "SF Mono", Menlo, Consolas, monospace; color: var(--soft); }
.mark { display: inline-block; min-width: 62px; text-align: center; border-radius: 4px; padding: 1px 7px;
  font-size: 12.5px; font-weight: 600; color: #fff; background: var(--good); }
.mark.bad { background: var(--bad); }
.mark.none { background: #e3e9ee; color: var(--soft); }
svg { width: 100%; height: auto; display: block; margin: 8px 0 2px; }
svg text { font-family: system-ui, "Segoe UI", Roboto, Arial, sans-serif !important; }
details summary { cursor: pointer; padding: 5px 0; }
details table { margin: 2px 0 12px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 18px; margin: 6px 0; }
dt { font-weight: 600; } dd { margin: 0; }
.photos { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 14px; }
.photos img { width: 100%; border-radius: 4px; display: block; background: #000; }
.photos figure { margin: 0; } figcaption { font-size: 13px; color: var(--soft); margin-top: 4px; }
@media print { body { background: #fff; } section { break-inside: avoid; } }
"""
UNITS: Final = {
    "_ms": "ms", "_px": "px", "_mm": "mm", "_deg": "°", "_frames": "frames", "_m_s": "m/s", "_deg_s": "°/s",
    "_ppm": "ppm", "_mb": "MB", "_s": "s", "_ratio": "×",
}  # fmt: skip


WORDS: Final = {
    "slot": "the time of one frame. In each slot every wall shows one picture: its own, or (a repeat) the one before.",
    "plan": "everything that decides the pixels of a frame, published by the conductor at the latch.",
    "latch": "the moment after which no newer pose is taken for a frame. It is as late as the drawing allows.",
    "age at the photo": "from the tracker's measurement to the middle of the exposure that photographs its picture. "
    "OpenVolume predicts the camera over this time.",
    "slip": "how far something far behind the wall stands beside its right place in the photo, in pixels of a sensor "
    "3840 wide, because the camera was not quite where it was predicted. Below 1 px nobody sees it; some px show as "
    "swimming when the camera changes its mind.",
    "inner picture": "what the camera sees, drawn on the wall a little larger than its frame (overscan), so that its "
    "edge never comes into view.",
    "metronome": "a process that does nothing but sleep from slot to slot. What it loses, the machine took.",
}


def page(result: Result) -> str:
    """The whole page."""
    parts = [
        _verdict(result),
        _where_the_time_goes(result),
        _limits(result),
        *(_course(result, name) for name in result.cameras),
        _spread(result),
        _photos(result),
        _rows(result),
        _loads(result),
        _run(result),
        _words(),
    ]
    heading = f"Timing of {html.escape(result.name)}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{heading}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>\n'
        f"<body><main><h1>{heading}</h1>\n{''.join(parts)}</main></body></html>\n"
    )


def _verdict(result: Result) -> str:
    good = result.good
    repeats = int(result.slots.repeated.sum())
    facts = [(f"{len(result.slots)}", "frames measured"), (f"{repeats}", "slots repeated an older picture")]
    camera = next(iter(result.cameras.values()), None)
    if camera is not None:
        figures = camera.figures
        frames = figures["age_frames"]["p50"]
        facts.append((f"{figures['age_ms']['p50']:.0f} ms", f"age of the pose at the photo ({frames:.1f} frames)"))
        facts.append((f"{figures['slip_px']['p50']:.1f} px", "slip in the photo, middle"))
        facts.append((f"{figures['slip_px']['p99']:.1f} px", "slip in the photo, 99 of 100"))
    own = result.ledger.get("latency_ms", {}).get("own_share", {})
    if result.mode == "real" and own.get("p50"):
        facts.append((f"{own['p50']:.2f} ms", "the controller's own time in a frame, middle"))
    shown = "".join(f'<div class="fact"><b>{html.escape(a)}</b><span>{html.escape(b)}</span></div>' for a, b in facts)
    notes = "".join(f'<p class="soft">{html.escape(note)}</p>' for note in result.notes)
    words = html.escape(verdict_words(result))
    head = "Passed" if good else "Not within its limits"
    kind = "" if good else " bad"
    return (
        f'<section class="verdict{kind}"><b>{head}</b><p>{words}</p>{notes}<div class="facts">{shown}</div></section>\n'
    )


def _where_the_time_goes(result: Result) -> str:
    steps = [found for record in result.records if (found := steps_ms(record)) is not None]
    if not steps:
        return ""
    medians = {name: _median([getattr(step, name) for step in steps]) for name in STEP_WORDS}
    lines = {
        "wait": "A tracker's packet arrives some time before the conductor latches the frame. With more samples a "
        "second this gets shorter.",
        "plan": "The conductor predicts every camera to its own photo and writes the frame's plan.",
        "hand_over": "The node wakes up and reads the plan.",
        "draw": "The node draws every canvas. A lighter scene, a smaller picture or a faster GPU makes this shorter.",
        "hold": "The finished picture waits for its slot: the guard that keeps a slower frame from being late.",
    }
    most = max(medians, key=lambda name: medians[name])
    rows = "".join(
        f"<tr><td><b>{html.escape(STEP_WORDS[name])}</b></td><td class='n'>{medians[name]:.2f} ms</td>"
        f"<td>{html.escape(lines[name])}</td></tr>"
        for name in STEP_WORDS
    )
    lead = (
        f"From the tracker's packet to the wall a typical frame takes {sum(medians.values()):.1f} ms; most of it is: "
        f"{STEP_WORDS[most]} ({medians[most]:.1f} ms). After that come the LED processors and the camera's exposure, "
        "which OpenVolume knows and predicts for, but cannot shorten."
    )
    shorter = "" if len(result.records) >= len(result.slots) - 2 else (
        f"<p class='soft'>The newest {len(result.records)} frames of the run.</p>"
    )  # fmt: skip
    return (
        f"<section><h2>Where the time goes</h2><p>{html.escape(lead)}</p>{charts.typical(result)}"
        f"<table>{rows}</table>"
        "<p>The same for every frame of the run. 0 is the latch, the moment after which no newer pose is looked at; "
        "the black line is the slot: what is drawn above it came too late, and the picture before stayed up "
        f"(a triangle).</p>{shorter}{charts.budget(result)}</section>\n"
    )


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2] if values else 0.0


def _limits(result: Result) -> str:
    groups: dict[str, list[Check]] = {}
    for check in result.judge.checks:
        groups.setdefault(check.where, []).append(check)
    parts = "".join(_group(where, checks) for where, checks in groups.items())
    return (
        "<section><h2>Limits</h2><p>Each line is one thing the show must keep. Grey lines are shown and not judged. "
        f"Other limits: <code>--limits FILE.yaml</code>.</p>{parts}</section>\n"
    )


def _group(where: str, checks: list[Check]) -> str:
    """The checks of one place; loads that broke nothing stay folded."""
    rows = "".join(_row(check) for check in checks)
    head = "<tr><th>What</th><th class='n'>Measured</th><th class='n'>Limit</th><th></th></tr>"
    broken = sum(check.good is False for check in checks)
    kind, word = (" bad", "broken") if broken else ("", "good")
    opened = "" if where.startswith("load ") and not broken else " open"
    return (
        f"<details{opened}><summary><span class='mark{kind}'>{word}</span> <b>{html.escape(_place(where))}</b> "
        f"<span class='soft'>({len(checks)} checks)</span></summary><table>{head}{rows}</table></details>"
    )


def _place(where: str) -> str:
    if where == SHOW:
        return "The show alone"
    kind, _, name = where.partition(" ")
    if kind == "load":
        return f"Under load: {name.replace('_', ' ')} ({LOADS.get(name, '')})"
    return f"{kind.capitalize()} {name}"


def _row(check: Check) -> str:
    measured = "" if check.measured is None else number(check.name, check.measured)
    limit = ""
    if check.limit is not None:
        limit = f"{'≥' if check.name in LEAST else '≤'} {number(check.name, check.limit)}"
    kind, word = {True: ("", "good"), False: (" bad", "broken"), None: (" none", "–")}[check.good]
    return (
        f"<tr><td><b>{html.escape(title(check.name))}</b><br><span class='soft'>{html.escape(check.words)}</span></td>"
        f"<td class='n'>{measured}</td><td class='n'>{limit}</td>"
        f"<td class='n'><span class='mark{kind}'>{word}</span></td></tr>"
    )


def number(name: str, value: float) -> str:
    """A figure with its unit, as a person reads it."""
    if name.endswith("_share"):
        return f"{100.0 * value:.4g} %"
    unit = next((unit for end, unit in UNITS.items() if name.endswith(end)), "")
    shown = f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return f"{shown} {unit}".strip()


def _course(result: Result, camera: str) -> str:
    found = result.cameras[camera]
    figures = found.figures
    sides = figures["overscan_deg"]
    covered = figures["covered_share"]
    overscan = ""
    if sides is not None and covered is not None:
        overscan = (
            f"The inner picture reached {sum(sides) / 4:.1f}° beyond the camera's frame on average, and held the whole "
            f"photo in {100.0 * covered:.4g} % of them. "
        )
    loads = "Shaded stretches: a load ran beside the show. " if len(result.phases) > 1 else ""
    dots = "White dots: slip in photos that were really rendered, scene and all. " if result.rendered else ""
    words = (
        f"What the film camera photographs of the walls, for every frame, worked out from the published plans and "
        f"from where the simulated camera truly was. {overscan}{loads}{dots}Triangles: slots that repeated a picture."
    )
    return (
        f"<section><h2>What camera {html.escape(camera)} sees</h2><p>{html.escape(words)}</p>"
        f"{charts.course(result, camera)}</section>\n"
    )


def _spread(result: Result) -> str:
    reasons = {REASONS[int(i)] for i in result.slots.reason[result.slots.repeated]}
    why = "".join(f"<dt>{html.escape(r)}</dt><dd>{html.escape(_why(r))}</dd>" for r in REASONS if r in reasons)
    why = f"<dl>{why}</dl>" if why else ""
    return f"<section><h2>How the frames spread</h2>{charts.spread(result)}{why}</section>\n"


def _why(reason: str) -> str:
    mends = {
        "late_draw": "a lighter scene, a larger render.scale, a faster GPU; on shared processors, fewer other programs",
        "late_plan": "real-time rights for the conductor (see openvolume preflight)",
        "no_plan": "real-time rights for the conductor (see openvolume preflight)",
        "host_stall": "the machine did something else: other programs, power saving, a hypervisor",
        "switching": "a node that was away met a new configuration; it is ready again by itself",
        "held": "HOLD was ordered",
        "fenced": "a node was away",
        "late_engine": "the engine that draws for a canvas or camera: see its own log",
        "none": "a fault of OpenVolume: please report it",
    }
    return f"{REASON_WORDS[reason].capitalize()}. What helps: {mends[reason]}."


def _photos(result: Result) -> str:
    if not result.rendered:
        return ""
    figures: list[str] = []
    for photo in result.rendered:
        geometry, picture = photo.get("geometry"), photo.get("picture")
        said = [f"frame {photo['frame']} at {photo['t_s']:.1f} s ({photo['why']})"]
        if geometry and geometry.get("mean_px") is not None:
            shown_px, told_px = geometry["mean_px"], photo["slip_px"]
            said.append(f"slip of what is shown: mean {shown_px:.1f} px (far content, worked out: {told_px:.1f} px)")
        if picture and picture.get("mean_px") is not None:
            exact = photo.get("exact")
            exact_px = "" if not exact else f" ({exact['mean_px']:.1f} px had the pose been exact)"
            said.append(f"photo beside the truth: {picture['mean_px']:.1f} px{exact_px}")
        image = photo.get("image", "")
        shown = f'<img alt="photo" src="{image}">' if image else ""
        figures.append(f"<figure>{shown}<figcaption>{html.escape('; '.join(said))}</figcaption></figure>")
    return (
        "<section><h2>Photos that were rendered</h2><p>A few of the frames, drawn as they were planned, photographed "
        "by the simulated camera from where it truly was, and compared with the scene seen straight from there. What "
        "lies at the wall's distance slips less than what is far behind it.</p>"
        f"<div class='photos'>{''.join(figures)}</div></section>\n"
    )


def _rows(result: Result) -> str:
    if not result.rows:
        return ""
    out: list[str] = []
    for row in result.rows:
        kind = "" if row.good else " bad"
        word = "good" if row.good else "broken"
        checks = "".join(_row(check) for check in row.checks)
        opened = "" if row.good else " open"
        out.append(
            f"<details{opened}><summary><span class='mark{kind}'>{word}</span> <b>{row.row}</b> "
            f"{html.escape(row.title)} <span class='soft'>({row.mode}, {row.seconds:.0f} s, {len(row.checks)} checks)"
            f"</span></summary><table>{checks}</table></details>"
        )
    return (
        "<section><h2>Faults</h2><p>Things that go wrong on a stage, provoked on purpose; each with what must hold "
        f"all the same.</p>{''.join(out)}</section>\n"
    )


def _loads(result: Result) -> str:
    if not result.loads:
        return ""
    rows = "".join(
        f"<tr><td><b>{html.escape(name.replace('_', ' '))}</b><br><span class='soft'>{html.escape(LOADS.get(name, ''))}"
        f"</span></td><td>{html.escape(', '.join(f'{k} {_short(v)}' for k, v in told.items()))}</td></tr>"
        for name, told in result.loads.items()
    )
    return f"<section><h2>Loads</h2><table>{rows}</table></section>\n"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _run(result: Result) -> str:
    settings, machine, stage = result.settings, result.machine, result.stage
    facts: list[tuple[str, str]] = [
        ("Mode", "in real time, through real sockets" if result.mode == "real" else "under the virtual clock"),
        ("Rate", f"{result.stage.rate.hz:.5g} frames a second"),
        ("Tracker", f"{settings.move}, {settings.protocol or 'as configured'}, {settings.samples.hz:g} times a second"),
        ("Walls", f"{len(stage.walls)} walls, {len(stage.canvases)} canvases, scale 1 : {stage.scale}"),
        ("Processor", f"{machine.get('processor', '')}, {machine.get('cores', '?')} logical cores"),
        ("Renderer", str(machine.get("renderer", ""))),
        ("Real-time class", _rights(int(machine.get("rt_class", 0)), result.mode)),
        ("System", f"Linux {machine.get('kernel', '')}, Python {machine.get('python', '')}"),
    ]
    if result.mode == "virtual":
        facts.append(("Seed", f"{settings.seed}; plans {result.plans_hash} (the same again for the same seed)"))
        speed = machine.get("virtual_seconds_per_second")
        if speed:
            facts.append(("Speed", f"{speed:.0f} virtual seconds a second"))
    if result.metronome is not None:
        told = result.metronome
        words = (
            f"a process that only sleeps lost {told['host_stalls']} of {told['slots']} slots and took "
            f"{told['half_late']} over half a frame late; p99 {told['late_ms']['p99']:.2f} ms late"
        )
        if told.get("stolen_ms"):
            words += f"; the hypervisor took {told['stolen_ms']:.0f} ms"
        facts.append(("The machine itself", words))
    body = "".join(f"<dt>{html.escape(a)}</dt><dd>{html.escape(b)}</dd>" for a, b in facts)
    return f"<section><h2>What it was measured on</h2><dl>{body}</dl></section>\n"


def _rights(rt_class: int, mode: str) -> str:
    if mode == "virtual":
        return "does not matter under the virtual clock"
    if rt_class:
        return f"FIFO {rt_class}"
    return "none: other programs may hold up a frame (openvolume preflight tells how to grant it)"


def _words() -> str:
    body = "".join(f"<dt>{html.escape(a)}</dt><dd>{html.escape(b)}</dd>" for a, b in WORDS.items())
    return f"<section><h2>Words</h2><dl>{body}</dl></section>\n"
