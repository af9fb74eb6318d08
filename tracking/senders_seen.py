"""Who sends to a source: rate caps per sender, and one sender at a time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

SILENT_NS: Final = 500_000_000
"""A sender unheard for so long has left its source to others."""
MAX_SENDERS: Final = 256
ESTABLISHED: Final = 3
Sender = tuple[str, int]


class RateCap:
    """A token bucket for each sender, filled by arrival stamps: a backlog read late is not a flood."""

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._burst = max(32.0, rate_hz)
        self._buckets: dict[str | Sender, list[float]] = {}
        """Tokens, and when they were counted."""

    def lets_in(self, who: str | Sender, t_received_ns: int) -> bool:
        """Whether a datagram of that host, or of that one sender, received then, is within its rate."""
        bucket = self._buckets.get(who)
        if bucket is None:
            if len(self._buckets) >= MAX_SENDERS:
                self._buckets.pop(next(iter(self._buckets)))
            bucket = self._buckets[who] = [self._burst, t_received_ns]
        since_ns = t_received_ns - bucket[1]
        tokens = min(self._burst, bucket[0] + since_ns * 1e-9 * self._rate_hz) if since_ns > 0 else bucket[0]
        good = tokens >= 1.0
        bucket[0], bucket[1] = tokens - 1.0 if good else tokens, t_received_ns
        return good

    def lets_in_all(self, who: str | Sender, t_received_ns: Sequence[int]) -> bool:
        """Whether all of several datagrams are within its rate for certain; else nothing is counted, and they are to be
        asked for one by one."""
        bucket = self._buckets.get(who)
        if bucket is None or bucket[0] < len(t_received_ns):
            return False
        tokens, before_ns = bucket
        for t_ns in t_received_ns:
            if t_ns > before_ns:
                tokens = min(self._burst, tokens + (t_ns - before_ns) * 1e-9 * self._rate_hz)
            tokens -= 1.0
            before_ns = t_ns
        bucket[0], bucket[1] = tokens, before_ns
        return True


class SenderLock:
    """One sender at a time: the first keeps the source while it is heard.

    A port counts as a sender once it has sent three times: programs that open a socket for every datagram stay welcome.

    Attributes
    ----------
    holder : who feeds the source; None before the first.
    rival : who was refused last, while the holder was heard.
    """

    def __init__(self) -> None:
        self.holder: Sender | None = None
        self.rival: Sender | None = None
        self._heard_ns = 0
        self._rival_ns = 0
        self._established = False
        self._counts: OrderedDict[Sender, int] = OrderedDict()

    def lets_in(self, sender: Sender, t_received_ns: int) -> bool:
        """Whether a packet of `sender`, received then, may move the source's camera."""
        holder = self.holder
        if sender == holder:
            self._heard_ns = t_received_ns
            if not self._established:
                self._count(sender)
            return True
        heard = holder is not None and t_received_ns - self._heard_ns <= SILENT_NS
        if holder is not None and heard and (sender[0] != holder[0] or self._established):
            self.rival, self._rival_ns = sender, t_received_ns
            return False
        self.holder, self._heard_ns = sender, t_received_ns
        self._count(sender)
        if self.rival == sender:
            self.rival = None
        return True

    def heard(self, t_received_ns: int) -> None:
        """The holder, long established, has sent again."""
        self._heard_ns = t_received_ns

    @property
    def established(self) -> bool:
        """Whether the holder is known by its port too."""
        return self._established

    @property
    def sender(self) -> Sender | None:
        """Who feeds the source, with port 0 while it may send from any of its host; None before the first."""
        if self.holder is None:
            return None
        return self.holder if self._established else (self.holder[0], 0)

    def contested(self, now_ns: int) -> bool:
        """Whether a second sender was refused within the last second."""
        return self.rival is not None and now_ns - self._rival_ns < 2 * SILENT_NS

    def _count(self, sender: Sender) -> None:
        count = self._counts[sender] = self._counts.pop(sender, 0) + 1
        self._established = count >= ESTABLISHED
        if len(self._counts) > MAX_SENDERS:
            self._counts.popitem(last=False)
