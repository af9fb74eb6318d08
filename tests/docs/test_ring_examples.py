"""The ring examples of docs/examples read what the product writes: C and Python, while a writer writes."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from runtime.ring import KIND_CANVAS, RingShape, RingWriter, fourcc

WIDTH, HEIGHT = 64, 33


@pytest.fixture(scope="module")
def reader(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler (apt: gcc libc6-dev)")
    out = tmp_path_factory.mktemp("ring") / "read_canvas"
    source = root / "docs/examples/ring/read_canvas.c"
    strict = ["-O2", "-std=gnu11", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([compiler, *strict, "-o", str(out), str(source)], check=True)
    return out


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
