"""An engine: another program that draws for the walls from the frame plans (docs/outputs.md, Engines). numpy, msgspec.

    python engine.py /dev/shm/openvolume-<run> --camera a                              the camera's inner picture
    python engine.py /dev/shm/openvolume-<run> --camera a --canvas left --stage s.json  a whole canvas, seen from it
                                                       (s.json: openvolume check CONFIG --json)

It draws the stage's own coordinates: a floor with a line every metre of X and Y, and a plane 8 m ahead with a line
every metre of X and Z. On the walls they must stand still, whatever the camera does.
"""

import argparse
import json
import mmap
import os
import time
from pathlib import Path

import msgspec
import numpy as np

AHEAD_M, HALF_LINE_M = 8.0, 0.06
HEADER, DATA, PAGE, SLOTS = 4096, 64, 4096, 8


def mapped(path):
    """A ring's file as 64-bit words and as bytes."""
    with open(path, "r+b") as file:
        memory = mmap.mmap(file.fileno(), 0)
    return memoryview(memory).cast("Q"), memory


def plans(run):
    """Every newest plan with its hash, as they come."""
    words, memory = mapped(run / "plans.ring")
    seen = 0
    while True:
        n = words[5]
        at = (HEADER + (n - 1) % words[2] * words[3]) // 8
        if n > seen and words[at] == 2 * n:
            data, plan_hash = memory[at * 8 + DATA : at * 8 + DATA + words[at + 3]], words[at + 5]
            if words[at] == 2 * n:
                seen = n
                yield msgspec.msgpack.decode(data), plan_hash
                continue
        time.sleep(0.0005)


class Ring:
    """Writes pictures of one size: a sequence word, odd while it writes; whole when it is even again."""

    def __init__(self, path, kind, pixels, width, height, bytes_per_pixel):
        stride = -(-(DATA + width * height * bytes_per_pixel) // PAGE) * PAGE
        self.n, epoch = 0, 1
        if path.exists():  # whoever wrote before: go on from there
            before, _ = mapped(path)
            self.n, epoch = before[5], before[8] + 1
        head = [int.from_bytes(b"OVRING\0\1", "little"), fourcc(kind), SLOTS, stride, DATA, 0, 0, os.getpid(), epoch,
                width, height, width * bytes_per_pixel, fourcc(pixels)]  # fmt: skip
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        with open(partial, "wb") as file:
            file.write(np.array(head, "<u8").tobytes())
            file.truncate(HEADER + SLOTS * stride)
        os.rename(partial, path)  # nobody sees half a header
        self.words, self.memory = mapped(path)
        self.stride = stride

    def publish(self, plan, plan_hash, picture):
        """One picture, drawn from one plan."""
        start = HEADER + self.n % SLOTS * self.stride
        at, data = start // 8, picture.tobytes()
        self.words[at] = 2 * self.n + 1
        self.memory[start + DATA : start + DATA + len(data)] = data
        self.n += 1
        told = (plan["frame"], plan["t_present_ns"], len(data), plan["config_version"], plan_hash)
        for word, value in enumerate(told, at + 1):
            self.words[word] = value
        self.words[at] = 2 * self.n
        self.words[5] = self.n


def fourcc(text):
    """Four characters as a word."""
    return int.from_bytes(text.encode(), "little")


def world(origin, towards):
    """Linear light, [..., 3], of rays from a point in the stage along directions, [..., 3] (X right, Y ahead, Z up)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        floor, ahead = -origin[2] / towards[..., 2], (AHEAD_M - origin[1]) / towards[..., 1]
    on_floor = (floor > 0) & ~((ahead > 0) & (ahead < floor))
    far = np.where(on_floor, floor, np.where(ahead > 0, ahead, 0.0))
    at = origin + towards * far[..., None]
    lines = [at[..., 0], np.where(on_floor, at[..., 1], at[..., 2])]
    spread = max(0.01, 2.0 / towards.shape[-2])  # a pixel's own width softens the edges
    off = [np.abs(value - np.round(value)) for value in lines]
    ink = np.max([np.clip((HALF_LINE_M - one) / spread + 0.5, 0.0, 1.0) for one in off], axis=0) * (far > 0)
    paint = np.where(on_floor[..., None], (0.1, 0.8, 1.0), (1.0, 0.6, 0.1))
    paint = np.where((np.abs(at[..., 0]) < 0.5)[..., None], (1.0, 1.0, 1.0), paint)  # the middle line is white
    return 0.02 + ink[..., None] * paint


def inner(camera, width, height):
    """Directions, [h, w, 3], of the pixels of a camera's inner picture: its pinhole frame, widened by the overscan."""
    lens, (left, right, top, bottom) = camera["lens"], np.radians(camera["overscan_deg"])
    half_x = lens["sensor_width_mm"] * lens["squeeze"] / 2 / lens["focal_length_mm"]
    half_z = lens["sensor_height_mm"] / 2 / lens["focal_length_mm"]
    shift_x, shift_z = np.array(lens["projection_offset_mm"]) / lens["focal_length_mm"]
    x0, x1 = np.tan(np.arctan(-half_x - shift_x) - left), np.tan(np.arctan(half_x - shift_x) + right)
    z0, z1 = np.tan(np.arctan(-half_z + shift_z) - bottom), np.tan(np.arctan(half_z + shift_z) + top)
    x = x0 + (np.arange(width) + 0.5) / width * (x1 - x0)
    z = z1 + (np.arange(height) + 0.5) / height * (z0 - z1)  # row 0 is the top
    rays = np.stack(np.broadcast_arrays(x[None, :], 1.0, z[:, None]), axis=-1)
    return rays @ np.array(camera["stage_from_camera"]).reshape(4, 4)[:3, :3].T


def leds(stage, canvas, width, height):
    """Where every pixel of a canvas is in the stage, [h, w, 3] metres; NaN where no LED shows it."""
    out = np.full((height, width, 3), np.nan)
    scale = stage["canvases"][canvas]["width_px"] // width
    for cabinet in (one for one in stage["cabinets"] if one["canvas"] == canvas):
        x, y, w, h = (side // scale for side in cabinet["rect_px"])
        across, down = (h, w) if cabinet["rotate"] in (90, 270) else (w, h)
        u, v = (np.arange(across) + 0.5) / across, (np.arange(down)[:, None] + 0.5) / down
        low_left, low_right, up_left, _ = np.array(cabinet["corners_m"])
        seen = up_left + u[..., None] * (low_right - low_left) + v[..., None] * (low_left - up_left)
        seen = seen[:, ::-1] if cabinet["flip"] else seen
        out[y : y + h, x : x + w] = np.rot90(seen, -cabinet["rotate"] // 90)
    return out


def main():
    """Draw every newest plan."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--camera", required=True)
    parser.add_argument("--canvas")
    parser.add_argument("--stage", type=Path)
    parser.add_argument("--finer", type=float, default=1.0, help="inner: of the raster the plan asks for")
    given = parser.parse_args()
    ring = None
    for plan, plan_hash in plans(given.run):
        camera = next(one for one in plan["cameras"] if one["id"] == given.camera)
        pupil = np.array(camera["pupil_m"])
        if given.canvas:
            if ring is None:
                shape, _ = mapped(given.run / f"canvas-{given.canvas}.ring")
                width, height, ten_bits = shape[9], shape[10], shape[12] == fourcc("AB30")
                places = leds(json.loads(given.stage.read_text()), given.canvas, width, height)
                pixels = "AB30" if ten_bits else "AB24"
                ring = Ring(given.run / f"engine-canvas-{given.canvas}.ring", "CANV", pixels, width, height, 4)
            light = np.nan_to_num(world(pupil, places - pupil))
            # Half of full signal is enough to see; a real engine encodes light as stage.json says of the canvas.
            codes = (np.clip(light, 0, 1) ** (1 / 2.4) * (511 if ten_bits else 127)).astype("<u4")
            bits = 10 if ten_bits else 8
            picture = codes[..., 0] | codes[..., 1] << bits | codes[..., 2] << 2 * bits | np.uint32(3 << 30)
        else:
            if ring is None:
                width, height = (max(16, int(side * given.finer)) for side in camera["raster_px"])
                ring = Ring(given.run / f"engine-inner-{given.camera}.ring", "INNR", "AB4H", width, height, 8)
            picture = np.ones((height, width, 4), np.float16)
            picture[..., :3] = world(pupil, inner(camera, width, height))
        ring.publish(plan, plan_hash, picture)


if __name__ == "__main__":
    main()
