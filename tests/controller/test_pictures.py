"""Pictures from rings: both canvas formats, strides, previews, and a writer that comes by while one reads."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from controller.api.pictures import RGB10A2, RGBA8, PictureError, canvas_rgb, encode_picture, photo_rgb
from controller.messages import KIND_PHOTO, PIXELS_RGB8
from runtime.ring import KIND_CANVAS, RingReader, RingWriter, fourcc


def a_ring(path: Path, *, pixel_format: int, width: int = 7, height: int = 5, row_stride: int = 32) -> RingWriter:
    return RingWriter.create(
        path, kind=KIND_CANVAS, slots=4, capacity=height * row_stride, width=width, height=height,
        row_stride=row_stride, pixel_format=pixel_format,
    )  # fmt: skip


def codes(width: int, height: int) -> NDArray[np.uint32]:
    """10-bit codes, [h, w, 3], all different."""
    return np.arange(width * height * 3, dtype=np.uint32).reshape(height, width, 3) * 9 % 1024


def publish_10bit(writer: RingWriter, values: NDArray[np.uint32], frame: int) -> None:
    height, width, _ = values.shape
    words = values[..., 0] | values[..., 1] << 10 | values[..., 2] << 20 | np.uint32(3 << 30)
    rows = np.zeros((height, writer.shape.row_stride // 4), dtype="<u4")
    rows[:, :width] = words
    writer.publish(rows.tobytes(), frame=frame, t_ns=1)


def test_ten_bits_show_their_high_eight(tmp_path: Path) -> None:
    writer = a_ring(tmp_path / "c.ring", pixel_format=RGB10A2)
    values = codes(7, 5)
    publish_10bit(writer, values, 42)
    rgb, frame, n = canvas_rgb(RingReader.open(tmp_path / "c.ring"))
    assert (frame, n) == (42, 1)
    assert np.array_equal(rgb, values >> 2)
    small, _, _ = canvas_rgb(RingReader.open(tmp_path / "c.ring"), max_width_px=4)
    assert np.array_equal(small, (values >> 2)[::2, ::2])


def test_eight_bits_are_shown_as_they_are(tmp_path: Path) -> None:
    writer = a_ring(tmp_path / "c.ring", pixel_format=RGBA8)
    rows = np.zeros((5, 8, 4), dtype=np.uint8)
    rows[:, :7, :3] = codes(7, 5) % 256
    writer.publish(rows.tobytes(), frame=1, t_ns=1)
    rgb, _, _ = canvas_rgb(RingReader.open(tmp_path / "c.ring"))
    assert np.array_equal(rgb, codes(7, 5) % 256)
    small, _, _ = canvas_rgb(RingReader.open(tmp_path / "c.ring"), max_width_px=3)
    assert np.array_equal(small, rows[::3, :7:3, :3])


def test_an_empty_ring_and_an_unknown_format_are_told(tmp_path: Path) -> None:
    a_ring(tmp_path / "empty.ring", pixel_format=RGB10A2)
    reader = RingReader.open(tmp_path / "empty.ring")
    with pytest.raises(PictureError, match="nothing was drawn yet"):
        canvas_rgb(reader)
    reader.close()
    a_ring(tmp_path / "odd.ring", pixel_format=fourcc("YUYV")).publish(b"x" * 160, frame=1, t_ns=1)
    reader = RingReader.open(tmp_path / "odd.ring")
    with pytest.raises(PictureError, match="YUYV"):
        canvas_rgb(reader)
    reader.close()


def test_no_picture_is_of_two_frames(tmp_path: Path) -> None:
    """Flat pictures written flat out: a picture read meanwhile is flat, and is the frame it says."""
    writer = a_ring(tmp_path / "c.ring", pixel_format=RGB10A2, width=320, height=180, row_stride=1280)
    done = threading.Event()

    def write() -> None:
        for frame in range(1, 1500):
            writer.publish(np.full((180, 320), frame % 1024 << 10, dtype="<u4").tobytes(), frame=frame, t_ns=1)
        done.set()

    publish_10bit(writer, np.zeros((180, 320, 3), dtype=np.uint32), 0)
    thread = threading.Thread(target=write)
    thread.start()
    reader = RingReader.open(tmp_path / "c.ring")
    seen = 0
    while not done.is_set() or not seen:
        try:
            rgb, frame, _ = canvas_rgb(reader)
        except PictureError:
            continue  # overtaken four times in a row: no picture is better than a torn one
        assert np.all(rgb[..., 1] == (frame % 1024) >> 2)
        seen += 1
    thread.join()


def test_a_photo_is_the_one_asked_for_or_the_newest(tmp_path: Path) -> None:
    writer = RingWriter.create(
        tmp_path / "p.ring", kind=KIND_PHOTO, slots=2, capacity=4 * 3 * 3, width=4, height=3, row_stride=12,
        pixel_format=PIXELS_RGB8,
    )  # fmt: skip
    for n in range(1, 5):
        writer.publish(bytes([n]) * 36, frame=10 * n, t_ns=1)
    reader = RingReader.open(tmp_path / "p.ring")
    assert photo_rgb(reader, 3)[1:] == (30, 3)
    picture, frame, n = photo_rgb(reader, 1)
    assert (picture[0, 0].tolist(), frame, n) == ([4, 4, 4], 40, 4)


def test_pictures_are_encoded_whole() -> None:
    rgb = (codes(64, 32) % 256).astype(np.uint8)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(encode_picture(rgb, "png")))), rgb)
    assert Image.open(io.BytesIO(encode_picture(rgb, "jpg"))).size == (64, 32)
