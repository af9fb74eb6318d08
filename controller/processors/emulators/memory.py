"""What an emulated processor keeps while it is off: real ones come back as they were set, and so does it."""

from __future__ import annotations

from typing import Any

import msgspec

_KEPT: dict[str, tuple[str, ...]] = {
    "TesseraEmulator": ("values",),
    "HeliosEmulator": ("tree",),
    "CoexEmulator": (
        "brightness", "colour_temperature", "gamma", "mode", "depth", "low_delay", "added_frames", "preset", "lut",
        "lut_strength", "table", "gamut", "hdr", "source", "pattern", "marked", "corrected",
    ),
    "ColorlightEmulator": ("brightness", "black", "pattern", "preset"),
}  # fmt: skip


def memory_of(emulator: Any) -> bytes:
    """Its memory as msgpack."""
    return msgspec.msgpack.encode({name: getattr(emulator, name) for name in _KEPT[type(emulator).__name__]})


def recall(emulator: Any, memory: bytes) -> None:
    """Put a memory back. Raises msgspec.MsgspecError when it is none."""
    kept = msgspec.msgpack.decode(memory, type=dict[str, Any])
    for name in _KEPT[type(emulator).__name__]:
        if name in kept:
            setattr(emulator, name, kept[name])
