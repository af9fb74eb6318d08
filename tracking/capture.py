"""Recordings of tracking: every datagram byte for byte, with its stamp and sender, in an MCAP file.

The file is not chunked: each datagram is a record of its own as soon as it is written, so that a file whose writer was
killed holds all but the last moments (`read_capture` reads it, `recover` mends it). One channel for each socket and
sender (topic `/tracking/<listen>`; `listen`, `protocol`, `sources`, `sender` in its metadata), no schema: a message is
the datagram. What else belongs to the show's log (its plans, its changes) lies in channels of other topics, which this
module keeps and knows nothing of. `log_time` and `publish_time` are both Unix ns of the kernel's stamp; the metadata
record `openvolume.recording` holds what leads back to CLOCK_MONOTONIC exactly. The show's configuration is attached.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from mcap.exceptions import McapError
from mcap.records import Attachment, Channel, DataEnd, Footer, Message, Metadata
from mcap.stream_reader import CRCValidationError, StreamReader
from mcap.writer import CompressionType, Writer

from stage.errors import Problem
from stage.rate import NS_PER_S
from tracking.errors import CaptureError
from tracking.tap import Batch, Datagram, LinkInfo

PROFILE: Final = "openvolume"
LIBRARY: Final = "openvolume"
RECORDING: Final = "openvolume.recording"
TRACKING: Final = "/tracking/"
"""What topics of datagrams begin with."""
MISSED: Final = "openvolume.missed"
CONFIG: Final = "config.yaml"
_MAGIC: Final = b"\x89MCAP0\r\n"
_RECORD: Final = struct.Struct("<BQ")
_LAST_OPCODE: Final = 0x0F
_RECORD_LIMIT: Final = 1 << 26
Data = bytes
"""As it is called where `bytes` means a size."""


@dataclass(frozen=True, slots=True)
class CaptureInfo:
    """What a recording is of. unix_minus_monotonic_ns, tai_minus_monotonic_ns: as they stood when it began."""

    unix_minus_monotonic_ns: int
    tai_minus_monotonic_ns: int
    show: str = ""
    run: str = ""
    config_text: str = ""
    """The configuration that ran, YAML; empty when it is not known."""
    base_dir: str = ""
    """Folder its file names are relative to."""


@dataclass(slots=True)
class Capture:
    """A recording that was read."""

    info: CaptureInfo
    links: tuple[LinkInfo, ...]
    datagrams: list[Datagram] = field(repr=False)
    """In order of their stamps; those of equal stamps as they were read."""
    notes: dict[str, list[tuple[int, bytes]]] = field(default_factory=dict, repr=False)
    """What else was kept, by topic: when (monotonic ns) and what, as written."""
    missed: int = 0
    """Batches that the recorder came too late for."""
    torn: bool = False
    """Whether its end is missing: the writer was killed, or the disk full."""
    damaged: bool = False
    """Whether its checksum is wrong."""

    @property
    def seconds(self) -> float:
        """From the first datagram to the last."""
        if not self.datagrams:
            return 0.0
        return (self.datagrams[-1].t_received_ns - self.datagrams[0].t_received_ns) / 1e9


class CaptureWriter:
    """Writes a recording. `sync` now and then; `close` gives the file its end.

    Raises
    ------
    OSError : from any call, when the disk will not take it; what was written stays readable.
    """

    def __init__(self, path: Path, info: CaptureInfo) -> None:
        self.path = path
        self.datagrams = 0
        """Written so far."""
        self._info = info
        self._file: IO[bytes] | None = path.open("xb")
        self._channels: dict[tuple[LinkInfo, str, int], int] = {}
        self._topics: dict[str, tuple[int, int]] = {}
        self._writer = Writer(self._file, compression=CompressionType.NONE, use_chunking=False, enable_data_crcs=True)
        self._writer.start(profile=PROFILE, library=LIBRARY)
        self._writer.add_metadata(
            RECORDING,
            {
                "version": "1",
                "show": info.show,
                "run": info.run,
                "base_dir": info.base_dir,
                "unix_minus_monotonic_ns": str(info.unix_minus_monotonic_ns),
                "tai_minus_monotonic_ns": str(info.tai_minus_monotonic_ns),
            },
        )
        if info.config_text:
            self._writer.add_attachment(0, 0, CONFIG, "application/yaml", info.config_text.encode())

    @property
    def bytes(self) -> int:
        """Size of the file so far."""
        return 0 if self._file is None else self._file.tell()

    def add(self, batch: Batch) -> None:
        """Everything in a batch."""
        offset_ns = self._info.unix_minus_monotonic_ns
        for datagram in batch.datagrams:
            key = (batch.links[datagram.link], datagram.host, datagram.port)
            channel = self._channels.get(key)
            if channel is None:
                channel = self._channels[key] = self._channel(*key)
            t_ns = datagram.t_received_ns + offset_ns
            self._writer.add_message(channel, t_ns, datagram.data, t_ns, self.datagrams & 0xFFFFFFFF)
            self.datagrams += 1

    def note(self, topic: str, t_ns: int, data: Data) -> None:
        """Something else of the show, at a monotonic time. Its topic does not begin as those of datagrams do."""
        channel, count = self._topics.get(topic) or (
            self._writer.register_channel(topic=topic, message_encoding="msgpack", schema_id=0), 0,
        )  # fmt: skip
        self._topics[topic] = channel, count + 1
        t_unix_ns = t_ns + self._info.unix_minus_monotonic_ns
        self._writer.add_message(channel, t_unix_ns, data, t_unix_ns, count & 0xFFFFFFFF)

    def missed(self, count: int) -> None:
        """Note that batches were overwritten before they could be written."""
        self._writer.add_metadata(MISSED, {"batches": str(count), "after_datagrams": str(self.datagrams)})

    def sync(self) -> None:
        """See everything on the disk."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Write the file's end. Twice is harmless."""
        if self._file is None:
            return
        file, self._file = self._file, None
        with file:
            self._writer.finish()  # type: ignore[no-untyped-call]
            file.flush()
            os.fsync(file.fileno())

    def abandon(self) -> None:
        """Let the file go without its end: the disk takes no more."""
        if self._file is None:
            return
        file, self._file = self._file, None
        try:
            file.close()
        except OSError:
            # What could not be flushed is lost; the descriptor is closed all the same.
            return

    def _channel(self, link: LinkInfo, host: str, port: int) -> int:
        return self._writer.register_channel(
            topic=f"{TRACKING}{link.listen}",
            message_encoding="",
            schema_id=0,
            metadata={
                "listen": link.listen,
                "protocol": link.protocol,
                "sources": ",".join(link.sources),
                "host": host,
                "port": str(port),
            },
        )


def read_capture(path: Path) -> Capture:
    """A recording, torn or whole.

    Raises
    ------
    CaptureError : the file cannot be read, or is no recording of tracking.
    """
    try:
        with path.open("rb") as file:
            return _read(path, file)
    except OSError as error:
        raise _error(path, f"cannot be read: {error.strerror}", "give a recorded .mcap file") from error


def recover(path: Path, out: Path) -> Capture:
    """Write what a torn recording holds as a whole one; what was found. The datagrams keep bytes, stamps and order.

    Raises
    ------
    CaptureError : the file is no recording, or `out` is there already.
    """
    capture = read_capture(path)
    try:
        writer = CaptureWriter(out, capture.info)
        if capture.missed:
            writer.missed(capture.missed)
        writer.add(Batch(capture.links, tuple(capture.datagrams)))
        for topic, notes in capture.notes.items():
            for t_ns, data in notes:
                writer.note(topic, t_ns, data)
        writer.close()
    except OSError as error:
        raise _error(out, f"cannot be written: {error.strerror}", "give another name, or free space there") from error
    return capture


def _read(path: Path, file: IO[bytes]) -> Capture:
    end, whole = _good_end(file)
    if end == 0:
        raise _error(path, "is no MCAP file", "give a recorded .mcap file")
    info: CaptureInfo | None = None
    config = ""
    links: dict[LinkInfo, int] = {}
    channels: dict[int, tuple[int, str, int]] = {}
    datagrams: list[Datagram] = []
    topics: dict[int, str] = {}
    notes: dict[str, list[tuple[int, bytes]]] = {}
    missed = 0
    damaged = False
    file.seek(0)
    try:
        for record in _records(file, end):
            if isinstance(record, Message):
                known = channels.get(record.channel_id)
                if known is None or info is None:
                    if info is not None and record.channel_id in topics:
                        at_ns = record.publish_time - info.unix_minus_monotonic_ns
                        notes.setdefault(topics[record.channel_id], []).append((at_ns, record.data))
                    continue
                link, host, port = known
                t_ns = record.publish_time - info.unix_minus_monotonic_ns
                datagrams.append(Datagram(link, t_ns, host, port, record.data))
            elif isinstance(record, Channel) and not record.topic.startswith(TRACKING):
                topics[record.id] = record.topic
            elif isinstance(record, Channel):
                said = record.metadata
                names = tuple(name for name in said.get("sources", "").split(",") if name)
                found = LinkInfo(said.get("listen", ""), said.get("protocol", ""), names)
                number = links.setdefault(found, len(links))
                channels[record.id] = (number, said.get("host", ""), int(said.get("port", "0")))
            elif isinstance(record, Metadata) and record.name == RECORDING:
                info = _info(record.metadata)
            elif isinstance(record, Metadata) and record.name == MISSED:
                missed += int(record.metadata.get("batches", "1"))
            elif isinstance(record, Attachment) and record.name == CONFIG:
                config = record.data.decode("utf-8", "replace")
            elif isinstance(record, DataEnd | Footer):
                break
    except CRCValidationError:
        damaged = True
    except (McapError, struct.error, ValueError, UnicodeDecodeError) as error:
        raise _error(path, f"holds a record that cannot be read: {error}", "try `openvolume recover`") from error
    if info is None:
        raise _error(path, "is no recording of tracking", "give a file made by OpenVolume's recorder")
    info = CaptureInfo(
        info.unix_minus_monotonic_ns, info.tai_minus_monotonic_ns, info.show, info.run, config, info.base_dir
    )
    if not whole and len(datagrams) > 1 and datagrams[-1].t_received_ns < datagrams[0].t_received_ns - NS_PER_S:
        del datagrams[-1]  # stamped by what a power cut left behind
    datagrams.sort(key=lambda datagram: datagram.t_received_ns)
    return Capture(info, tuple(links), datagrams, notes, missed, torn=not whole, damaged=damaged)


def _records(file: IO[bytes], end: int) -> Iterator[Any]:
    reader = StreamReader(_Until(file, end), validate_crcs=True, record_size_limit=_RECORD_LIMIT)  # type: ignore[arg-type]
    try:
        yield from reader.records
    except McapError:
        if file.tell() < end:
            raise


class _Until:
    """A file that ends where its last whole record does."""

    def __init__(self, file: IO[bytes], end: int) -> None:
        self._file, self._left = file, end

    def read(self, size: int) -> bytes:
        """At most `size` bytes."""
        data = self._file.read(min(size, self._left))
        self._left -= len(data)
        return data


def _good_end(file: IO[bytes]) -> tuple[int, bool]:
    """Where the last whole record ends, and whether the file's end is there; 0 when it is no MCAP file.

    What a power cut leaves behind the last bytes written may look like the end of the record they begin: before
    rubbish the last record is not believed.
    """
    size = os.fstat(file.fileno()).st_size
    if file.read(len(_MAGIC)) != _MAGIC:
        return 0, False
    at = before = len(_MAGIC)
    while True:
        head = file.read(_RECORD.size)
        if len(head) < _RECORD.size:
            return (before if head and not 1 <= head[0] <= _LAST_OPCODE else at), False
        opcode, length = _RECORD.unpack(head)
        after = at + _RECORD.size + length
        if not 1 <= opcode <= _LAST_OPCODE or length > _RECORD_LIMIT:
            return before, False
        if after > size:
            return at, False
        file.seek(length, os.SEEK_CUR)
        before, at = at, after
        if opcode == 0x02:  # the footer: only the closing magic follows
            return at + len(_MAGIC), file.read(len(_MAGIC)) == _MAGIC


def _info(said: dict[str, str]) -> CaptureInfo:
    return CaptureInfo(
        int(said["unix_minus_monotonic_ns"]),
        int(said["tai_minus_monotonic_ns"]),
        said.get("show", ""),
        said.get("run", ""),
        base_dir=said.get("base_dir", ""),
    )


def _error(path: Path, detail: str, mend: str) -> CaptureError:
    return CaptureError(Problem(CaptureError.code, str(path), detail, None, mend))
