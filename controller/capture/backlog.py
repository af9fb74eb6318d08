"""Work that waits for a thread of its own: bounded, in order, and still there while it is worked on."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    """What waits."""

    @property
    def nbytes(self) -> int:
        """Memory it takes meanwhile."""


Item = TypeVar("Item", bound=Sized)


class Backlog(Generic[Item]):
    """A queue between the show and a thread: `offer` never waits.

    most : how many may wait; an empty backlog takes anything. `lock` is held while anything changes.
    """

    def __init__(self, limit_bytes: int, *, most: int | None = None) -> None:
        self.limit_bytes, self.most = limit_bytes, most
        self.lock = threading.Condition()
        self._items: deque[Item] = deque()
        self._bytes = 0
        self._ended = False

    def items(self) -> list[Item]:
        """What waits, or is worked on; oldest first."""
        return list(self._items)

    def offer(self, item: Item) -> bool:
        """Take something; False when there is no room, or no more is taken."""
        with self.lock:
            full = self.most is not None and len(self._items) >= self.most
            full = full or self._bytes + item.nbytes > self.limit_bytes
            if self._ended or (self._items and full):
                return False
            self._items.append(item)
            self._bytes += item.nbytes
            self.lock.notify()
        return True

    def first(self) -> Item | None:
        """The oldest, once there is one; None when no more comes. It stays until `drop`."""
        with self.lock:
            while not self._items and not self._ended:
                self.lock.wait()
            return self._items[0] if self._items else None

    def drop(self) -> None:
        """The oldest is done."""
        with self.lock:
            self._bytes -= self._items.popleft().nbytes

    def end(self) -> None:
        """No more comes."""
        with self.lock:
            self._ended = True
            self.lock.notify()
