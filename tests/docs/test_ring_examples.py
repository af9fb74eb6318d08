"""The ring examples of docs/examples read what the product writes: C and Python, while a writer writes."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from runtime.ring import KIND_CANVAS, KIND_PLANS, RingReader, RingShape, RingWriter, fourcc

WIDTH, HEIGHT = 64, 33


def built(root: Path, folder: Path, name: str) -> Path:
    """A program of docs/examples/ring."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler (apt: gcc libc6-dev)")
    source = root / f"docs/examples/ring/{name}.c"
    strict = ["-O2", "-std=gnu11", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([compiler, *strict, "-o", str(folder / name), str(source)], check=True)
    return folder / name


@pytest.fixture(scope="module")
def reader(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(root, tmp_path_factory.mktemp("ring"), "read_canvas")


def writer_of(path: Path, format_name: str) -> RingWriter:
    stride = WIDTH * (8 if format_name == "AB4C" else 4)
    shape = RingShape(KIND_CANVAS, 8, stride * HEIGHT, WIDTH, HEIGHT, stride, fourcc(format_name))
    return RingWriter.create(path, **shape._asdict())


def picture(frame: int, format_name: str) -> np.ndarray:
    """Every pixel says the frame: a torn canvas would hold two."""
    if format_name == "AB30":
        return np.full((HEIGHT, WIDTH), frame, dtype=np.uint32)
    if format_name == "AB4C":
        return np.full((HEIGHT, WIDTH, 4), frame & 4095, dtype=np.uint16)
    return np.broadcast_to(np.array(frame, "<u4").reshape(1, 1).view(np.uint8), (HEIGHT, WIDTH, 4)).copy()


@pytest.mark.parametrize("format_name", ["AB24", "AB30", "AB4C"])
def test_both_readers_see_whole_canvases(tmp_path: Path, root: Path, reader: Path, format_name: str) -> None:
    path = tmp_path / "canvas-left.ring"
    ring = writer_of(path, format_name)
    ring.publish(picture(1, format_name).data.cast("B"), frame=1, t_ns=5, config_version=1, plan_hash=9)
    done = threading.Event()

    def write() -> None:
        frame = 1
        while not done.is_set():
            frame += 1
            ring.publish(picture(frame, format_name).data.cast("B"), frame=frame, t_ns=frame)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(5):
            found = subprocess.run([str(reader), str(path)], capture_output=True, check=True)
            said = found.stderr.decode()
            deep = format_name == "AB4C"
            words = np.frombuffer(found.stdout, "<u2" if deep else "<u4")
            assert words.size == WIDTH * HEIGHT * (4 if deep else 1)
            assert (words == words[0]).all()
            assert said.startswith(f"{WIDTH} x {HEIGHT}, format {format_name}, frame ")
            assert words[0] == int(said.rsplit(" ", 1)[1]) & (4095 if deep else 0xFFFFFFFF)
        out = tmp_path / "canvas.npy"
        script = root / "docs/examples/ring/read_canvas.py"
        told = subprocess.run([sys.executable, str(script), str(path), str(out)], capture_output=True, check=True)
        canvas = np.load(out)
        assert canvas.shape[:2] == (HEIGHT, WIDTH)
        assert (canvas == canvas[0, 0]).all()
        assert told.stdout.decode().startswith("frame ")
    finally:
        done.set()
        thread.join()
        ring.close()


def test_what_is_no_ring_is_told(tmp_path: Path, reader: Path) -> None:
    path = tmp_path / "not.ring"
    path.write_bytes(bytes(8192))
    found = subprocess.run([str(reader), str(path)], capture_output=True, check=False)
    assert found.returncode == 2
    assert b"no ring" in found.stderr
    found = subprocess.run([str(reader), str(tmp_path / "none.ring")], capture_output=True, check=False)
    assert found.returncode == 2


@pytest.mark.parametrize("format_name", ["AB24", "AB30"])
def test_an_engine_in_c_answers_every_plan(tmp_path: Path, root: Path, format_name: str) -> None:
    engine = built(root, tmp_path, "write_canvas")
    canvas = writer_of(tmp_path / "canvas-left.ring", format_name)
    plans = RingWriter.create(tmp_path / "plans.ring", kind=KIND_PLANS, capacity=4096)
    out = tmp_path / "engine-canvas-left.ring"
    numbers = []
    for frame in (100, 101, 102, 200, 201):
        plans.publish(b"plan", frame=frame, t_ns=frame * 1000, config_version=3, plan_hash=frame + 7)
        # One picture a start: each goes on where the one before ended.
        subprocess.run([str(engine), str(tmp_path), "left", "1"], check=True, timeout=60)
        ring = RingReader.open(out, kind=KIND_CANVAS)
        slot = ring.latest()
        assert slot is not None
        assert ring.shape == canvas.shape
        numbers.append((slot.n, ring.epoch))
        told = (slot.frame, slot.t_ns, slot.config_version, slot.plan_hash)
        assert told == (frame, frame * 1000, 3, frame + 7)
        pixels = np.frombuffer(slot.data, "<u4", WIDTH * HEIGHT).reshape(HEIGHT, WIDTH)
        lit = (pixels & 0x3FF) > 0
        assert lit.sum() == 8 * HEIGHT
        assert lit[0, frame * 8 % WIDTH]
        ring.close()
    assert numbers == [(n, n) for n in range(1, 6)]
    # Plans that come while it runs: each that it saw has its picture, and the product's own writer takes the ring over.
    running = subprocess.Popen([str(engine), str(tmp_path), "left", "4"])
    try:
        frame = 300
        while running.poll() is None:
            frame += 1
            plans.publish(b"plan", frame=frame, t_ns=1, plan_hash=1)
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.wait(0.01)
    finally:
        running.kill()
        running.wait()
    assert running.returncode == 0
    after = writer_of(out, format_name)
    assert (after.n, after.epoch) == (9, 7)
    for ring_ in (after, plans, canvas):
        ring_.close()
    (tmp_path / "canvas-left.ring").unlink()
    refused = subprocess.run([str(engine), str(tmp_path), "left"], capture_output=True, check=False)
    assert (refused.returncode, b"no such ring" in refused.stderr) == (2, True)
