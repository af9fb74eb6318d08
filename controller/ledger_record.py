"""What is known of one frame slot: stamps, the packets behind it, standstills of the host, and what follows from them.

Plain values, written and read by everybody who keeps, stores, shows or explains the ledger. No numpy: the recorder
uses them too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from runtime.clock import NS_PER_MS, NS_PER_S
from stage.plan import Reason
from stage.rate import Rate

INTERVALS: Final = (
    "receive_to_latch", "latch_to_plan", "receive_to_plan", "plan_to_draw", "draw", "receive_to_present", "own_share",
)  # fmt: skip
"""`receive` is the kernel stamp of the newest datagram a camera's pose was made from, `latch` the moment the
conductor stopped listening for the frame, `plan` its publication, `draw` the node's drawing, `present` the moment
the canvas was handed over, or was on the monitors where windows show it. `own_share` is the controller's own time:
arrival to history plus latch to plan, without the wait for the latch."""

GRACE_SHARE: Final = 8
"""A picture ready within a period / GRACE_SHARE after its deadline still counts as that slot's."""
SCREENS: Final = "screens"
"""Who reports when frames were on the monitors, among the nodes of a record (controller.windows.presenter)."""
WAITED_NS: Final = NS_PER_S // 2
"""How far back the metronome's figures of waiting processes reach."""


class CameraStamps(Struct, frozen=True, omit_defaults=True):
    """Which packet made one camera's pose in a frame, and when."""

    source: str
    packet_id: int
    t_sampled_ns: int
    t_received_ns: int
    t_photo_ns: int
    quality: str = "ok"
    raster_px: tuple[int, int] = (0, 0)
    """Inner picture as planned, overscan included."""

    @property
    def age_ms(self) -> float:
        """From when the pose was sampled to the photo it was made for."""
        return (self.t_photo_ns - self.t_sampled_ns) / NS_PER_MS


class NodeStamps(Struct, frozen=True, omit_defaults=True):
    """When one node drew and presented a frame."""

    t_draw_started_ns: int
    t_drawn_ns: int
    t_presented_ns: int
    plan_hash: int
    canvases: dict[str, str]
    """Reason per canvas; `none`: its own frame, on time; `repeat:` before the reason an older picture stayed up for."""
    shown_frame: int = -1
    """The oldest frame on any of its canvases after the slot began; -1 when that is not known."""


class FrameRecord(Struct, omit_defaults=True):
    """One frame slot, as far as it is known. Stamps are CLOCK_MONOTONIC ns, 0 while unknown."""

    frame: int
    t_present_ns: int = 0
    """When it was to leave the node: as planned, or as it follows from other plans."""
    t_latched_ns: int = 0
    t_published_ns: int = 0
    plan_hash: int = 0
    show_version: int = 0
    config_version: int = 0
    cameras: dict[str, CameraStamps] = msgspec.field(default_factory=dict)
    nodes: dict[str, NodeStamps] = msgspec.field(default_factory=dict)
    presented: bool | None = None
    """None until every canvas has reported, or has been given up."""
    reason: Reason = "none"
    counted: bool = False
    planned: bool = False
    rate: tuple[int, int] = (0, 1)
    """Frames a second; (0, 1) while nobody knows."""
    outer_drawn: bool = False
    """Whether the plan asked for the outer picture to be drawn anew."""
    stall_ns: int = 0
    """The longest standstill of the host that touched the making of this frame, all of it: the metronome's figure."""
    waited_ns: dict[str, int] = msgspec.field(default_factory=dict)
    """How long each process waited for a processor in the half second about then, where that is worth a note."""
    sent: dict[str, str] = msgspec.field(default_factory=dict)
    """Canvases sent over the network whose picture of this slot did not leave as it should have, and why
    (controller.st2110.status)."""


class HostNote(Struct, frozen=True, omit_defaults=True):
    """What the metronome noticed: when a standstill ended, and once a second or oftener what else it saw."""

    frame: int
    t_slot_ns: int
    """Deadline of the slot that it was noticed in, or before."""
    stalls: list[tuple[int, int]] = []
    """When it should have woken, and when it did: the host did nothing for it between."""
    stolen_ns: int = 0
    """Processor time the hypervisor gave to others since the note before, over all cores."""
    waited_ns: dict[str, int] = {}
    """Time each process spent ready to run without a processor in the last half second, where it was worth a
    note."""
    tick_ns: int = 0
    """How long it had slept before: a standstill may have begun so much earlier."""


class Event(Struct, frozen=True, omit_defaults=True):
    """Something else that happened: a process ended, a configuration was switched to."""

    t_ns: int
    what: str
    """`process_ended`, `process_started`, `run_ending`, `not_sent`."""
    name: str
    detail: str = ""


class Steps(NamedTuple):
    """Where the time of one frame went, ms, in order; together they are `receive_to_present`."""

    wait: float
    """From the packet's arrival to the latch."""
    plan: float
    """From the latch to the plan's publication."""
    hand_over: float
    """From publication to the first stroke."""
    draw: float
    hold: float
    """From the finished picture to its hand-over, which waits for the slot; on monitors to its being seen there."""

    @property
    def total(self) -> float:
        """From arrival to hand-over."""
        return sum(self)


STEP_WORDS: Final = {
    "wait": "pose waits for the latch",
    "plan": "planning",
    "hand_over": "plan on its way to the node",
    "draw": "drawing",
    "hold": "picture waits for its slot",
}
"""What each step is called where people read it."""
STEP_PROCESS: Final = {"wait": "conductor", "plan": "conductor", "hand_over": "node", "draw": "node", "hold": "node"}
"""Whose time each step is."""


def presented_ns(record: FrameRecord, node: NodeStamps) -> int:
    """When a node's picture was presented: on the monitors where those tell, else when it was handed over."""
    screens = record.nodes.get(SCREENS)
    return screens.t_presented_ns if screens is not None and screens.plan_hash else node.t_presented_ns


def newest_camera(record: FrameRecord) -> str | None:
    """The camera whose packet came last; None when nothing was received."""
    received = {name: camera.t_received_ns for name, camera in record.cameras.items() if camera.t_received_ns}
    return max(received, key=received.__getitem__) if received else None


def last_node(record: FrameRecord) -> str | None:
    """The node that finished last with this very plan; None when none drew it."""
    drawn = {
        name: node.t_drawn_ns
        for name, node in record.nodes.items()
        if node.t_draw_started_ns and node.t_drawn_ns and node.plan_hash == record.plan_hash
    }
    return max(drawn, key=drawn.__getitem__) if drawn else None


def steps_ms(record: FrameRecord, camera: str | None = None) -> Steps | None:
    """Where a frame's time went, for one camera (by default the one whose packet is newest; without tracking the
    wait is 0); None when it was not drawn from its own plan."""
    node_name = last_node(record)
    if node_name is None or not record.t_latched_ns:
        return None
    node = record.nodes[node_name]
    name = camera or newest_camera(record)
    stamps = record.cameras.get(name) if name is not None else None
    received_ns = stamps.t_received_ns if stamps is not None else 0
    return Steps(
        (record.t_latched_ns - received_ns) / NS_PER_MS if received_ns else 0.0,
        (record.t_published_ns - record.t_latched_ns) / NS_PER_MS,
        (node.t_draw_started_ns - record.t_published_ns) / NS_PER_MS,
        (node.t_drawn_ns - node.t_draw_started_ns) / NS_PER_MS,
        (presented_ns(record, node) - node.t_drawn_ns) / NS_PER_MS,
    )


def intervals_ms(record: FrameRecord) -> dict[str, float]:
    """Every interval of CONTRACTS that one frame has stamps for, ms; those of poses for its newest packet."""
    found: dict[str, float] = {}
    steps = steps_ms(record)
    camera = newest_camera(record)
    if record.t_latched_ns and record.t_published_ns:
        found["latch_to_plan"] = (record.t_published_ns - record.t_latched_ns) / NS_PER_MS
        if camera is not None:
            received_ns = record.cameras[camera].t_received_ns
            found["receive_to_latch"] = (record.t_latched_ns - received_ns) / NS_PER_MS
            found["receive_to_plan"] = (record.t_published_ns - received_ns) / NS_PER_MS
    if steps is not None:
        found["plan_to_draw"] = steps.hand_over
        found["draw"] = steps.draw
        if camera is not None:
            found["receive_to_present"] = steps.total
    return {name: found[name] for name in INTERVALS if name in found}


def period_ns(record: FrameRecord, default: Rate | None = None) -> int:
    """Length of the record's slot; by `default` when no plan came for it; 0 when nobody knows."""
    if record.rate[0]:
        return Rate(*record.rate).period_ns
    return default.period_ns if default is not None else 0


def misses(records: Iterable[FrameRecord]) -> list[FrameRecord]:
    """The slots in which an older picture stayed up."""
    return [record for record in records if record.presented is False]
