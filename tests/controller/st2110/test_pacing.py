"""How close packets of a stream stand: never closer than a wide sender's may, while there is time."""

from __future__ import annotations

import socket
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.st2110.qdisc import Discipline, disciplines, holds_packets, parsed
from controller.st2110.rfc4175 import VideoForm
from controller.st2110.sdp import Path
from controller.st2110.stream import END_SHARE, LEAD_NS, VideoStream

PERIOD_NS = 40_000_000
FORM = VideoForm(960, 540, "RGB", 10)


class LateTime:
    """Sleeps end late by what the test says, sending takes its time."""

    def __init__(self, seed: int, *, often: float, late_ns: int, costs_ns: int = 20_000) -> None:
        self.ns, self._random = 0, np.random.default_rng(seed)
        self._often, self._late_ns, self._costs_ns = often, late_ns, costs_ns
        self.left_ns: list[int] = []

    def now(self) -> int:
        return self.ns

    def sleep_until(self, t_ns: int) -> None:
        late_ns = self._late_ns if self._random.random() < self._often else 5_000
        self.ns = max(self.ns, t_ns + late_ns)

    def sent(self, *told: Any) -> None:
        self.left_ns.append(max(self.ns, told[-1]))
        self.ns += self._costs_ns


@pytest.fixture
def ear() -> Any:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))
    yield made
    made.close()


def paced(
    ear: socket.socket, time: LateTime, monkeypatch: pytest.MonkeyPatch, *, held: bool = False
) -> tuple[VideoStream, list[int]]:
    """Four pictures; the bucket of each. held : the kernel holds what it is given until its time."""
    path = Path("127.0.0.1", ear.getsockname()[1], "127.0.0.1")
    stream = VideoStream(
        FORM, [path], period_ns=PERIOD_NS, ssrc=7, now_ns=time.now, packing="rows", holds_packets=lambda _: held
    )
    monkeypatch.setattr(stream, "_run", time.sent)
    picture = np.zeros((540, 960), np.uint32)
    buckets, late = [], []
    for frame in range(4):
        time.ns = max(time.ns, frame * PERIOD_NS)
        end_ns = frame * PERIOD_NS + int(PERIOD_NS * END_SHARE)
        stream.begin(picture, start_ns=time.ns, tai_ns=0, sequence=frame * stream.packets, end_ns=end_ns)
        while (due_ns := stream.step(time.now())) is not None:
            time.sleep_until(due_ns)
        buckets.append(stream.sent.bucket)
        late.append(max(0, time.ns - end_ns))
    stream.close()
    assert max(late) <= 7_000_000, "a sleep of six and its runs"
    return stream, buckets


def test_late_sleeps_are_not_made_up_for_in_bunches(ear: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    # One sleep in fifty ends 0.4 ms late: four runs are due at once by then.
    stream, buckets = paced(ear, LateTime(1, often=0.02, late_ns=400_000), monkeypatch)
    assert stream.bucket_limit == 16
    assert stream.packets > 1000
    assert max(buckets) <= stream.bucket_limit


def test_a_standstill_is_made_up_for_before_the_picture_is_too_late(
    ear: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, buckets = paced(ear, LateTime(2, often=0.004, late_ns=6_000_000), monkeypatch)
    assert max(buckets) > stream.bucket_limit, "what does not fit the time leaves faster, and is told"


def test_what_the_kernel_holds_leaves_evenly_through_standstills(
    ear: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = LateTime(2, often=0.02, late_ns=2_500_000)
    stream, buckets = paced(ear, time, monkeypatch, held=True)
    assert stream.lead_ns == LEAD_NS
    assert max(buckets) <= stream.bucket_limit
    assert stream.sent.late_most_ns < 1_000_000, "none but those at a picture's beginning, where nothing is ahead"
    _, unheld = paced(ear, LateTime(2, often=0.02, late_ns=2_500_000), monkeypatch)
    assert max(unheld) > stream.bucket_limit


def test_packets_carry_their_time_where_the_kernel_takes_it(ear: socket.socket) -> None:
    """Nothing holds packets on the loopback: the kernel takes the times, and every packet comes all the same."""
    form = VideoForm(96, 54, "RGB", 8)
    path = Path("127.0.0.1", ear.getsockname()[1], "127.0.0.1")
    now_ns = 1_000
    stream = VideoStream(form, [path], period_ns=PERIOD_NS, ssrc=7, now_ns=lambda: now_ns, holds_packets=lambda _: True)
    ear.setblocking(False)
    stream.begin(np.zeros((54, 96, 4), np.uint8), start_ns=now_ns, tai_ns=0, sequence=0)
    while (due_ns := stream.step(now_ns)) is not None:
        now_ns = max(now_ns, due_ns)
    assert (stream.counts[0].packets, stream.counts[0].refused) == (stream.packets, 0)
    assert all(len(ear.recv(2048)) > 20 for _ in range(stream.packets))
    assert stream.sent.late_most_ns == 0
    stream.close()


LO, CARD = 1, 4


@pytest.mark.parametrize(
    ("known", "held"),
    [
        ([Discipline(LO, True, "noqueue"), Discipline(CARD, True, "fq")], True),
        ([Discipline(CARD, True, "mq"), Discipline(CARD, False, "fq"), Discipline(CARD, False, "fq")], True),
        ([Discipline(CARD, True, "mq"), Discipline(CARD, False, "fq"), Discipline(CARD, False, "fq_codel")], False),
        ([Discipline(CARD, True, "fq_codel"), Discipline(LO, True, "fq")], False),
        ([Discipline(CARD, True, "fq"), Discipline(CARD, False, "clsact")], True),
        ([Discipline(CARD, True, "etf")], False),
        ([], False),
    ],
)
def test_only_a_queue_that_holds_everything_is_trusted(known: list[Discipline], held: bool) -> None:
    assert holds_packets(CARD, known) is held


def test_the_kernel_tells_its_disciplines() -> None:
    lo = socket.if_nametoindex("lo")
    assert all(one.kind for one in disciplines())
    here = [one.kind for one in disciplines() if one.interface == lo]
    assert here in ([], ["noqueue"]) or holds_packets(lo) == (here == ["fq"])


@given(st.binary(max_size=200))
def test_no_answer_breaks_it(data: bytes) -> None:
    parsed(data)
