"""Makes EDID blocks, the other way than they are read."""

from __future__ import annotations


def timing(width: int, height: int, h_blank: int, v_blank: int, clock_10khz: int, *, interlaced: bool = False) -> bytes:
    """A detailed timing of 18 bytes."""
    return bytes(
        [
            clock_10khz & 255, clock_10khz >> 8, width & 255, h_blank & 255, (width >> 8) << 4 | h_blank >> 8,
            height & 255, v_blank & 255, (height >> 8) << 4 | v_blank >> 8, 8, 8, 0x11, 0, 0, 0, 0, 0, 0,
            0x80 if interlaced else 0x18,
        ]
    )  # fmt: skip


def text(tag: int, words: str) -> bytes:
    """A descriptor that holds words."""
    return bytes([0, 0, 0, tag, 0]) + (words.encode("cp437")[:13] + (b"\n" if len(words) < 13 else b"")).ljust(13)


def edid(
    vendor: str = "BRO",
    product: int = 0x1234,
    number: int = 7,
    name: str = "SX40",
    serial: str = "",
    *,
    year: int = 2024,
    first: bytes | None = None,
) -> bytes:
    """A whole block with its check sum."""
    letters = 0
    for letter in vendor:
        letters = letters << 5 | ord(letter) - ord("A") + 1
    block = bytearray.fromhex("00ffffffffffff00") + letters.to_bytes(2, "big") + product.to_bytes(2, "little")
    block += number.to_bytes(4, "little") + bytes([1, year - 1990, 1, 4]) + bytes(34)
    descriptors = [first or timing(1920, 1080, 280, 45, 14850)]
    if name:
        descriptors.append(text(0xFC, name))
    if serial:
        descriptors.append(text(0xFF, serial))
    while len(descriptors) < 4:
        descriptors.append(bytes([0, 0, 0, 0x10]) + bytes(14))
    block += b"".join(descriptors) + bytes([0])
    block.append(-sum(block) & 255)
    return bytes(block)
