"""Reads a run's newest canvas with nothing but numpy: `python read_canvas.py RING canvas.npy`.

The same as openvolume_ring.h, for those who write Python. The newest whole message is used where it lies; if its
sequence word changed meanwhile, the copy is thrown away.
"""

import mmap
import sys

import numpy as np

MAGIC = int.from_bytes(b"OVRING\0\1", "little")
SLOTS, STRIDE, DATA, LATEST, WIDTH, HEIGHT, PIXELS = 2, 3, 4, 5, 9, 10, 12


def newest(path: str) -> tuple[int, np.ndarray]:
    """Frame and canvas: uint8 [h, w, 4] (RGBA), packed uint32 [h, w] with red in the low 10 bits, or uint16 [h, w, 4]
    with codes of 12 bits."""
    with open(path, "rb") as file:
        memory = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    words = np.frombuffer(memory, "<u8")
    if words[0] != MAGIC:
        raise SystemExit(f"{path} is no ring")
    slots, stride, data = (int(words[index]) for index in (SLOTS, STRIDE, DATA))
    for _ in range(100_000):
        n = int(words[LATEST])
        slot = 4096 + (n - 1) % slots * stride
        sequence = slot // 8
        if n == 0 or int(words[sequence]) != 2 * n:
            continue
        frame, length = int(words[sequence + 1]), int(words[sequence + 3])
        octets = np.frombuffer(memory, np.uint8, length, slot + data).copy()
        if int(words[sequence]) == 2 * n:
            height, width = int(words[HEIGHT]), int(words[WIDTH])
            if int(words[PIXELS]).to_bytes(4, "little") == b"AB30":
                return frame, octets.view("<u4").reshape(height, width)
            if int(words[PIXELS]).to_bytes(4, "little") == b"AB4C":
                return frame, octets.view("<u2").reshape(height, width, 4)
            return frame, octets.reshape(height, width, 4)
    raise SystemExit(f"{path}: nothing is written")


if __name__ == "__main__":
    shown, canvas = newest(sys.argv[1])
    np.save(sys.argv[2], canvas)
    print(f"frame {shown}: {canvas.shape[1]} x {canvas.shape[0]}, {canvas.dtype}")
