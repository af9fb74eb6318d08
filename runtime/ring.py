"""The ring of a host: one writer, any number of readers, newest wins, never torn, never a copy too many.

Plans, packets, reports and canvases pass between processes through files under `/dev/shm/openvolume-<run>/`.
The layout is pinned (CONTRACTS, "Ring file"): a 4096-byte header of u64 words, then slots. Each slot has its own
sequence word: 2n-1 while message n is written, 2n when it is complete. A reader takes the newest complete slot,
uses it, and looks at the sequence again; with 8 slots it practically never has to retry.

Words are written through `memoryview.cast('Q')`, one 8-byte store each: `struct` writes byte by byte and was
measured to tear. Stores are seen in order on x86-64 only (`ORDERED_STORES`). The file is opened and mapped; it is
never attached as a named `SharedMemory`, which would delete it for everybody when one process ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from runtime.errors import HouseError, RingBusyError, RingFormatError, RingMemoryError, RingSlotError
from stage.errors import Problem

ORDERED_STORES: Final = platform.machine() in {"x86_64", "AMD64"}
"""Whether this processor keeps stores in order, which the ring relies on; preflight shows it."""

MAGIC: Final = int.from_bytes(b"OVRING\0\1", "little")
HEADER_BYTES: Final = 4096
DATA_OFFSET: Final = 64
PAGE: Final = 4096
ROOT: Final = Path("/dev/shm")  # noqa: S108 - the shared-memory mount, not a scratch folder

# Header words.
H_MAGIC, H_KIND, H_SLOTS, H_STRIDE, H_DATA, H_LATEST, H_HEARTBEAT, H_PID, H_EPOCH = range(9)
H_WIDTH, H_HEIGHT, H_ROW, H_PIXEL = range(9, 13)
# Ours, beyond the pinned words: the last number used under this name before this file was made.
H_BASE: Final = 13
# Slot words.
S_SEQ, S_FRAME, S_T_NS, S_LENGTH, S_CONFIG, S_HASH = range(6)

HEARTBEAT_OFFSET: Final = 8 * H_HEARTBEAT
"""Byte offset of the writer's heartbeat word in a ring file, for watchers that only read that."""

_RETRIES: Final = 64


def fourcc(text: str) -> int:
    """Four ASCII characters as a word: 'PLAN' is 0x4E414C50. Raises ValueError unless exactly four."""
    code = text.encode("ascii")
    if len(code) != 4:
        raise ValueError(f"a fourcc has four characters, not {text!r}")
    return int.from_bytes(code, "little")


def fourcc_text(word: int) -> str:
    """The four characters of a fourcc word."""
    return word.to_bytes(8, "little")[:4].decode("ascii", "replace")


KIND_PLANS: Final = fourcc("PLAN")
KIND_PACKETS: Final = fourcc("PACK")
KIND_REPORTS: Final = fourcc("REPT")
KIND_CANVAS: Final = fourcc("CANV")


class RingShape(NamedTuple):
    """Everything about a ring that stays the same while it lives.

    kind : fourcc; slots : power of two, at least 2; capacity : bytes of data one slot holds; width, height : pixels
    and row_stride : bytes (canvases, else 0); pixel_format : fourcc (canvases, else 0).
    """

    kind: int
    slots: int
    capacity: int
    width: int = 0
    height: int = 0
    row_stride: int = 0
    pixel_format: int = 0

    @property
    def stride(self) -> int:
        """Bytes from slot to slot: words and data, rounded up to whole pages."""
        return -(-(DATA_OFFSET + self.capacity) // PAGE) * PAGE

    @property
    def file_bytes(self) -> int:
        """Length of the whole file."""
        return HEADER_BYTES + self.slots * self.stride


class Slot(NamedTuple):
    """One whole message, copied out and checked. `data` is the reader's own."""

    n: int
    frame: int
    t_ns: int
    config_version: int
    plan_hash: int
    data: bytes


class Batch(NamedTuple):
    """What came since a reader last looked: slots in order, how many were overwritten unread, and where it is now."""

    slots: list[Slot]
    missed: int
    latest_n: int


@dataclass(frozen=True, slots=True)
class View:
    """One message in place: `data` is shared memory. Use it, then ask `intact()`; if False, throw the result away."""

    n: int
    frame: int
    t_ns: int
    config_version: int
    plan_hash: int
    data: memoryview
    intact: Callable[[], bool]


def run_directory(run_id: str, *, root: Path = ROOT) -> Path:
    """`/dev/shm/openvolume-<run>`, made if absent, readable by its owner alone. The supervisor removes it."""
    directory = root / f"openvolume-{run_id}"
    directory.mkdir(mode=0o700, parents=False, exist_ok=True)
    return directory


def ring_path(run_dir: Path, name: str) -> Path:
    """Where the ring `name` of a run lies."""
    return run_dir / f"{name}.ring"


class _Ring:
    """The mapping both ends share."""

    def __init__(self, path: Path, fd: int, *, writable: bool) -> None:
        self.path = path
        self._fd = fd
        try:
            size = os.fstat(fd).st_size
            if size < HEADER_BYTES:
                raise _format_error(path, f"{size} bytes are no ring", "let its writer make it again")
            access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
            self._map = mmap.mmap(fd, size, access=access)
            self._bytes = memoryview(self._map)
            self._header = self._bytes[:HEADER_BYTES].cast("Q")
            self.shape = _shape_of(path, self._header, size)
        except BaseException:
            os.close(fd)
            raise
        stride = self.shape.stride if self.shape.slots else PAGE
        starts = [HEADER_BYTES + i * stride for i in range(self.shape.slots)]
        self._words = [self._bytes[start : start + DATA_OFFSET].cast("Q") for start in starts]
        self._data = [self._bytes[start + DATA_OFFSET : start + stride] for start in starts]
        self._mask = self.shape.slots - 1
        self._capacity = stride - DATA_OFFSET

    @property
    def latest_n(self) -> int:
        """Number of the newest complete message; 0 before the first."""
        return self._header[H_LATEST]

    @property
    def epoch(self) -> int:
        """Which writer this is: 1 for the first, one more for each that took over."""
        return self._header[H_EPOCH]

    @property
    def writer_pid(self) -> int:
        """Process that writes (or wrote) it."""
        return self._header[H_PID]

    @property
    def heartbeat_ns(self) -> int:
        """Monotonic ns of the writer's last heartbeat; 0 before the first."""
        return self._header[H_HEARTBEAT]

    def close(self) -> None:
        """Unmap and close; the file stays. Views handed out must be gone or released by then to free the memory."""
        if self._fd < 0:
            return
        for view in (*self._words, *self._data, self._header, self._bytes):
            view.release()
        with contextlib.suppress(BufferError):  # somebody still holds a view: the map lives until that is dropped
            self._map.close()
        os.close(self._fd)
        self._fd = -1


class RingWriter(_Ring):
    """The one writer of a ring. `create` makes the file, or takes over what a writer before it left.

    Attributes
    ----------
    shape : RingShape
    n : int  number of the last message published; readers count with it through every take-over
    """

    def __init__(self, path: Path, fd: int, *, n: int) -> None:
        super().__init__(path, fd, writable=True)
        self.n = n
        self._open = False

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        kind: int,
        slots: int = 8,
        capacity: int,
        width: int = 0,
        height: int = 0,
        row_stride: int = 0,
        pixel_format: int = 0,
    ) -> RingWriter:
        """Make the ring, or go on with the one that is there: epoch + 1, next message n + 1.

        An existing ring of another shape is replaced by a new file under the same name with the numbers going on;
        readers learn of it through `RingReader.refresh`.

        Raises
        ------
        RingBusyError : another living process (or object) writes it.
        RingFormatError : `slots` is no power of two >= 2, or the file there is no ring.
        RingMemoryError : the shared-memory mount has no room.
        """
        shape = RingShape(kind, slots, capacity, width, height, row_stride, pixel_format)
        if slots < 2 or slots & (slots - 1):
            raise _format_error(path, f"{slots} slots", "use a power of two, at least 2")
        if capacity < 1:
            raise _format_error(path, f"slots of {capacity} bytes", "give room for the largest message")
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return cls._make(path, shape, n=0, epoch=1)
        try:
            _lock(path, fd)
        except BaseException:
            os.close(fd)
            raise
        before = cls(path, fd, n=0)
        n, epoch = before._last_complete(), before.epoch
        if before.shape == _on_disk(shape):
            before.n = n
            if n > before._header[H_BASE]:
                before._header[H_LATEST] = n
            before._take_over(epoch + 1)
            return before
        try:
            return cls._make(path, shape, n=n, epoch=epoch + 1)
        finally:
            before.close()

    @classmethod
    def _make(cls, path: Path, shape: RingShape, *, n: int, epoch: int) -> RingWriter:
        """A new file, whole before it gets its name: no reader ever sees half a header."""
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        fd = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            try:
                # Reserves the pages: without room a later store would end the process with SIGBUS.
                os.posix_fallocate(fd, 0, shape.file_bytes)
            except OSError as error:
                raise RingMemoryError(
                    Problem(
                        RingMemoryError.code,
                        str(path),
                        f"no room for {shape.file_bytes / 1e6:.1f} MB of shared memory: {error.strerror}",
                        shape.file_bytes,
                        "enlarge the shared-memory mount (container: --shm-size), or lower render.scale",
                    ),
                ) from error
            words = [0] * 14
            words[H_MAGIC], words[H_KIND], words[H_SLOTS] = MAGIC, shape.kind, shape.slots
            words[H_STRIDE], words[H_DATA] = shape.stride, DATA_OFFSET
            words[H_WIDTH], words[H_HEIGHT] = shape.width, shape.height
            words[H_ROW], words[H_PIXEL], words[H_BASE] = shape.row_stride, shape.pixel_format, n
            os.pwrite(fd, b"".join(word.to_bytes(8, "little") for word in words), 0)
            _lock(path, fd)
            ring = cls(path, os.dup(fd), n=n)
            ring._take_over(epoch)
            os.rename(partial, path)
            return ring
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(partial)
            raise
        finally:
            os.close(fd)

    def _take_over(self, epoch: int) -> None:
        self._header[H_PID] = os.getpid()
        self._header[H_HEARTBEAT] = 0
        self._header[H_EPOCH] = epoch

    def _last_complete(self) -> int:
        """The last number used, also when its writer died before it could say so in the header."""
        complete = [words[S_SEQ] // 2 for words in self._words if words[S_SEQ] % 2 == 0]
        return max(self._header[H_LATEST], self._header[H_BASE], *complete)

    def begin(self) -> memoryview:
        """The next slot's memory, all of it, to be filled in place; nobody reads it before `commit`.

        Beginning again before `commit` gives the same slot again.
        """
        at = self.n & self._mask
        self._words[at][S_SEQ] = 2 * self.n + 1
        self._open = True
        return self._data[at]

    def commit(self, length: int, *, frame: int, t_ns: int, config_version: int = 0, plan_hash: int = 0) -> int:
        """Publish the slot that was begun, with `length` bytes of data. Returns its number n.

        Raises
        ------
        RingSlotError : no slot was begun, or `length` is more than it holds.
        """
        if not self._open:
            raise RingSlotError(
                Problem(RingSlotError.code, str(self.path), "a commit without a begin", mend="call begin() first"),
            )
        if not 0 <= length <= self._capacity:
            raise self._too_long(length)
        n = self.n + 1
        words = self._words[self.n & self._mask]
        words[S_FRAME] = frame
        words[S_T_NS] = t_ns
        words[S_LENGTH] = length
        words[S_CONFIG] = config_version
        words[S_HASH] = plan_hash
        words[S_SEQ] = 2 * n
        self._header[H_LATEST] = n
        self.n = n
        self._open = False
        return n

    def publish(
        self,
        data: bytes | bytearray | memoryview,
        *,
        frame: int,
        t_ns: int,
        config_version: int = 0,
        plan_hash: int = 0,
    ) -> int:
        """Copy `data` (contiguous bytes) into the next slot and publish it. Returns its number n.

        Raises
        ------
        RingSlotError : more data than a slot holds; nothing was written.
        """
        source = data if isinstance(data, bytes | bytearray) else memoryview(data).cast("B")
        length = len(source)
        if length > self._capacity:
            raise self._too_long(length)
        self.begin()[:length] = source
        return self.commit(length, frame=frame, t_ns=t_ns, config_version=config_version, plan_hash=plan_hash)

    def newest(self) -> memoryview | None:
        """The data of the message published last, in place; None before the first. It stays for `slots - 1` more."""
        if self.n == 0:
            return None
        at = (self.n - 1) & self._mask
        return self._data[at][: self._words[at][S_LENGTH]]

    def heartbeat(self, now_ns: int) -> None:
        """Say that the writer lives."""
        self._header[H_HEARTBEAT] = now_ns

    def remove(self) -> None:
        """Close it and delete the file. Readers keep what they mapped."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        self.close()

    def _too_long(self, length: int) -> RingSlotError:
        return RingSlotError(
            Problem(
                RingSlotError.code,
                str(self.path),
                f"{length} bytes do not fit a slot of {self._capacity}",
                length,
                "make the ring with a larger capacity",
            ),
        )


class RingReader(_Ring):
    """One reader; any number may map the same ring. Reads never disturb the writer or each other.

    Attributes
    ----------
    shape : RingShape
    retries : int  reads begun again because the writer came by; near 0 unless the reader is over a ring behind
    """

    def __init__(self, path: Path, fd: int) -> None:
        super().__init__(path, fd, writable=False)
        self.retries = 0
        self._inode = os.fstat(fd).st_ino

    @classmethod
    def open(cls, path: Path, *, kind: int | None = None) -> RingReader:
        """Map an existing ring.

        Raises
        ------
        FileNotFoundError : its writer has not made it yet.
        RingFormatError : no ring, or not of this kind.
        """
        reader = cls(path, os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        if kind is not None and reader.shape.kind != kind:
            found = fourcc_text(reader.shape.kind)
            reader.close()
            raise _format_error(path, f"holds {found}, not {fourcc_text(kind)}", "open the ring of the right name")
        return reader

    @classmethod
    def try_open(cls, path: Path, *, kind: int | None = None) -> RingReader | None:
        """`open`, or None while the ring does not exist."""
        try:
            return cls.open(path, kind=kind)
        except FileNotFoundError:
            return None

    def refresh(self) -> bool:
        """Whether the name now means another file (a new shape); then that one is mapped, n going on.

        Costs one `stat`: call it when nothing new comes, or once a second, not for every read. Views taken before
        a refresh that returned True must not be used any more.
        """
        try:
            if os.stat(self.path).st_ino == self._inode:
                return False
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        retries = self.retries
        self.close()
        RingReader.__init__(self, self.path, fd)
        self.retries = retries
        return True

    def latest(self) -> Slot | None:
        """The newest message, copied and checked; None before the first one."""
        header = self._header
        for _ in range(_RETRIES):
            n = header[H_LATEST]
            if n == 0:
                return None
            slot = self.read(n)
            if slot is not None:
                return slot
            self.retries += 1
        return None

    def read(self, n: int) -> Slot | None:
        """Message `n`, copied and checked; None when it is not there yet or already overwritten."""
        at = (n - 1) & self._mask
        words = self._words[at]
        if n < 1 or words[S_SEQ] != 2 * n:
            return None
        slot = Slot(
            n,
            words[S_FRAME],
            words[S_T_NS],
            words[S_CONFIG],
            words[S_HASH],
            bytes(self._data[at][: words[S_LENGTH]]),
        )
        return slot if words[S_SEQ] == 2 * n else None

    def peek(self) -> View | None:
        """The newest message in place, for canvases; None before the first one.

        The writer needs `slots - 1` more messages before it touches this slot again; `intact()` after use proves
        that it has not.
        """
        header = self._header
        for _ in range(_RETRIES):
            n = header[H_LATEST]
            if n == 0:
                return None
            view = self.view(n)
            if view is not None:
                return view
            self.retries += 1
        return None

    def view(self, n: int) -> View | None:
        """Message `n` in place; None when it is not there yet or already overwritten. See `peek`."""
        at = (n - 1) & self._mask
        words = self._words[at]
        sequence = 2 * n
        if n < 1 or words[S_SEQ] != sequence:
            return None
        frame, t_ns, length, config_version, plan_hash = words[S_FRAME : S_HASH + 1].tolist()
        if words[S_SEQ] != sequence:
            return None
        return View(
            n,
            frame,
            t_ns,
            config_version,
            plan_hash,
            self._data[at][:length],
            lambda: words[S_SEQ] == sequence,
        )

    def read_since(self, n: int) -> Batch:
        """Every message after `n` that is still there, oldest first: a queue for readers that must miss none.

        `missed` counts those the writer overwrote first. Go on with `latest_n`. A reader that is ahead of the
        writer (the ring was deleted and made anew) starts over with what is there.
        """
        latest_n = self._header[H_LATEST]
        if latest_n == 0:
            return Batch([], 0, n)
        if n > latest_n:
            n = max(0, latest_n - self.shape.slots)
        first = max(n + 1, latest_n - self.shape.slots + 1)
        slots = [slot for slot in map(self.read, range(first, latest_n + 1)) if slot is not None]
        return Batch(slots, latest_n - n - len(slots), latest_n)


def _lock(path: Path, fd: int) -> None:
    """Be the one writer: the kernel drops the lock with the process, however it ends."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise RingBusyError(
            Problem(RingBusyError.code, str(path), "another process writes it", mend="end that process first"),
        ) from error


def _on_disk(shape: RingShape) -> RingShape:
    """The shape as a file tells it: the capacity is what the rounded stride leaves."""
    return shape._replace(capacity=shape.stride - DATA_OFFSET)


def _shape_of(path: Path, header: memoryview, size: int) -> RingShape:
    if header[H_MAGIC] != MAGIC:
        raise _format_error(path, "its first word is not a ring's", "let its writer make it again")
    slots, stride = header[H_SLOTS], header[H_STRIDE]
    wrong_slots = slots < 2 or slots & (slots - 1)
    if wrong_slots or stride < PAGE or stride % PAGE or header[H_DATA] != DATA_OFFSET:
        raise _format_error(path, f"{slots} slots of {stride} bytes", "let its writer make it again")
    if size < HEADER_BYTES + slots * stride:
        raise _format_error(path, f"{size} bytes are too short for its slots", "let its writer make it again")
    return RingShape(
        header[H_KIND],
        slots,
        stride - DATA_OFFSET,
        header[H_WIDTH],
        header[H_HEIGHT],
        header[H_ROW],
        header[H_PIXEL],
    )


def _format_error(path: Path, detail: str, mend: str) -> HouseError:
    return RingFormatError(Problem(RingFormatError.code, str(path), detail, mend=mend))
