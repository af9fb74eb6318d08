"""Errors of the runtime package: what a process of the house cannot stand on."""

from __future__ import annotations

from stage.errors import OpenVolumeError


class HouseError(OpenVolumeError):
    """Base of the runtime package's errors."""

    code = "runtime.error"


class RingFormatError(HouseError):
    """A file that is no ring, or not the ring that was asked for."""

    code = "runtime.ring_format"


class RingBusyError(HouseError):
    """A ring that already has a living writer: two writers would tear every slot."""

    code = "runtime.ring_busy"


class RingMemoryError(HouseError):
    """Not enough shared memory for a ring."""

    code = "runtime.ring_memory"


class RingSlotError(HouseError):
    """A slot used out of turn: committed without being begun, or more data than it holds."""

    code = "runtime.ring_slot"


class VirtualTimeError(HouseError):
    """Virtual time asked to do what real time could not: run backwards, or sleep past its own waker."""

    code = "runtime.virtual_time"


class ReferenceOpenError(HouseError):
    """An outside time code that cannot be listened to: its port, FIFO or device is not to be had."""

    code = "runtime.timecode_source"
