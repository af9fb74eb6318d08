"""Ledgers made up slot by slot, for everything that stores, draws or explains them."""

from __future__ import annotations

import random

from controller.ledger import Ledger
from controller.ledger_record import HostNote
from stage.plan import CanvasReport, FramePlan, FrameReport, PlanCamera, PlanLens, PlanOuter, Reason
from stage.rate import Rate

MS = 1_000_000
T0_NS = 5_000_000_000
DRAW_MS = 12.0
LEAD_MS = 16.0


def a_plan(
    frame: int, rate: Rate, *, lead_ms: float = LEAD_MS, wait_ms: float = 4.0, version: int = 1, quality: str = "ok"
) -> FramePlan:
    t_ns = rate.deadline_ns(T0_NS, frame)
    latched_ns = t_ns - round(lead_ms * MS)
    received_ns = latched_ns - round(wait_ms * MS)
    camera = PlanCamera(
        id="a",
        rank=0,
        on_air=True,
        slot=0,
        enabled=True,
        t_photo_ns=t_ns + 60 * MS,
        stage_from_camera=[float(i % 5 == 0) for i in range(16)],
        pupil_m=(0.0, 0.0, 0.0),
        lens=PlanLens(35.0, 36.0, 20.25),
        overscan_deg=(1.0, 1.0, 1.0, 1.0),
        raster_px=(640, 360),
        soft_edge_deg=0.5,
        walls=["main"],
        source="tracker",
        packet_id=5 * frame,
        t_sampled_ns=received_ns - 2 * MS,
        t_received_ns=received_ns,
        quality=quality,
    )
    return FramePlan(
        frame=frame,
        rate=(rate.num, rate.den),
        t_present_ns=t_ns,
        cameras=[camera],
        outer=PlanOuter("every", frame - frame % 4, (0.0, 0.0, 1.7)),
        scenes=[],
        t_latched_ns=latched_ns,
        show_version=version,
        config_version=1,
    )


def a_report(
    plan: FramePlan,
    *,
    published_ns: int,
    start_ms: float = 0.2,
    draw_ms: float = DRAW_MS,
    reason: Reason = "none",
    shown: int | None = None,
    drawn: bool = True,
    canvases: tuple[str, ...] = ("left", "right"),
) -> FrameReport:
    """What a node says of a plan; late by itself when the drawing took too long."""
    period_ns = Rate(*plan.rate).period_ns
    started_ns = published_ns + round(start_ms * MS)
    drawn_ns = started_ns + round(draw_ms * MS)
    late = drawn_ns > plan.t_present_ns + period_ns // 8
    if late and reason == "none":
        reason = "late_draw"
    if shown is None:
        shown = plan.frame - (reason not in ("none", "no_plan"))
    return FrameReport(
        frame=plan.frame,
        node="main",
        plan_hash=plan.frame + 7 if drawn else 0,
        canvases={name: CanvasReport(shown, reason) for name in canvases},
        t_draw_started_ns=started_ns if drawn else 0,
        t_drawn_ns=drawn_ns if drawn else 0,
        t_presented_ns=max(plan.t_present_ns, drawn_ns) + 60_000,
    )


def a_ledger(
    frames: int,
    *,
    rate: Rate | None = None,
    draws_ms: dict[int, float] | None = None,
    notes: dict[int, HostNote] | None = None,
    seed: int = 1,
) -> Ledger:
    """A run of so many slots, a little uneven; `draws_ms` and `notes` say what was special in which frame."""
    rate = rate or Rate(24)
    chance = random.Random(seed)
    ledger = Ledger(rate, ["left", "right"], keep=1 << 20)
    for frame in range(frames):
        plan = a_plan(frame, rate, wait_ms=chance.uniform(0.2, 8.4))
        published_ns = plan.t_latched_ns + round(chance.uniform(0.25, 0.5) * MS)
        ledger.add_plan(plan, t_published_ns=published_ns, plan_hash=frame + 7)
        draw_ms = (draws_ms or {}).get(frame, chance.gauss(DRAW_MS, 0.5))
        ledger.add_report(a_report(plan, published_ns=published_ns, draw_ms=draw_ms))
        if notes and frame in notes:
            ledger.add_host(notes[frame])
    return ledger
