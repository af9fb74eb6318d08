"""Captured files: the very frames that were asked for, bit for bit, with their time code."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest

from renderer.twin.emulator import decode
from stage.timecode import timecode_at

av = pytest.importorskip("av")


def opened(path: Path) -> tuple[np.ndarray, Any]:
    file = oiio.ImageInput.open(str(path))
    assert file is not None, oiio.geterror()
    pixels = file.read_image(file.spec().format)
    spec = file.spec()
    file.close()
    return pixels, spec


def run_of(wall: Any, capturekit: ModuleType, form: str, path: Path, frames: int = 5, **fields: Any) -> Any:
    """Frames 2 to 2 + frames - 1 of a running wall."""
    first = capturekit.FIRST
    order = wall.order(path, form, first_frame=first + 2, last_frame=first + 1 + frames, **fields)
    wall.begin()
    for n in range(frames + 5):
        wall.show_frame(first + n)
        wall.step()
    wall.settle()
    return order


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("depth", [8, 16])
def test_png_holds_the_codes(
    shm: Path, housekit: ModuleType, capturekit: ModuleType, tmp_path: Path, bits: int, depth: int
) -> None:
    wall = capturekit.Wall(shm, housekit, bits=bits)
    order = run_of(wall, capturekit, "png", tmp_path / "a", bits=depth)
    names = sorted(path.name for path in tmp_path.glob("*.png"))
    first = capturekit.FIRST + 2
    assert names == [f"a.{frame:010d}.png" for frame in range(first, first + 5)]
    for frame in range(first, first + 5):
        pixels, spec = opened(tmp_path / f"a.{frame:010d}.png")
        shown = wall.codes(frame)
        if depth == 16:
            assert np.array_equal(pixels >> (16 - bits), shown), "bit for bit"
            full = {8: shown * 257, 10: shown << 6 | shown >> 4, 12: shown << 4 | shown >> 8}
            assert np.array_equal(pixels, full[bits])
        else:
            assert np.array_equal(pixels, shown >> (bits - 8))
        assert spec.getattribute("timecode") == timecode_at(wall.stage.rate, frame)
        assert (spec.getattribute("frame"), spec.getattribute("rate")) == (str(frame), "24/1")
    told = wall.told(order)
    assert (told.state, told.written, told.missing, told.gaps) == ("done", 5, 0, [])
    assert (told.first_frame, told.last_frame, told.first_timecode) == (first, first + 4, "00:00:00:02")
    wall.close()


def test_exr_holds_light_in_acescg_or_the_signal(wall: Any, capturekit: ModuleType, tmp_path: Path) -> None:
    first = capturekit.FIRST
    wall.order(tmp_path / "light", "exr", first_frame=first, last_frame=first)
    wall.order(tmp_path / "signal", "exr", first_frame=first, last_frame=first, light="signal")
    wall.begin()
    wall.show_frame(first)
    wall.settle()
    encoding = wall.stage.canvases["main"].encoding
    pixels, spec = opened(tmp_path / f"light.{first:010d}.exr")
    assert pixels.dtype == np.float16
    light = decode(encoding, wall.shown[first])
    assert np.allclose(pixels, light, rtol=1e-3, atol=1e-4)
    assert spec.getattribute("chromaticities") == pytest.approx(
        (0.713, 0.293, 0.165, 0.830, 0.128, 0.044, 0.32168, 0.33767)
    )
    assert spec.getattribute("FramesPerSecond") == (24, 1)
    assert spec.getattribute("smpte:TimeCode") == (0, 0)
    assert spec.getattribute("openvolume:frame") == str(first)
    assert spec.getattribute("whiteLuminance") == 100.0
    pixels, spec = opened(tmp_path / f"signal.{first:010d}.exr")
    assert np.array_equal(np.round(pixels.astype(np.float64) * 1023), wall.codes(first)), "every code comes back"
    assert spec.getattribute("chromaticities")[:2] == pytest.approx((0.640, 0.330))


def video_frames(path: Path) -> tuple[list[Any], dict[str, Any]]:
    """Decoded frames, and what the file tells of itself."""
    with av.open(str(path)) as file:
        frames = list(file.decode(video=0))
        video = file.streams.video[0]
        context = video.codec_context
        told = {
            "metadata": dict(video.metadata),
            "rate": video.average_rate,
            "tmcd": [stream.metadata["timecode"] for stream in file.streams if stream.type == "data"],
            "colour": (context.color_range, context.colorspace, context.color_primaries, context.color_trc),
        }
    return frames, told


def planes(frame: Any, dtype: Any = np.uint16) -> list[np.ndarray]:
    out = []
    for plane in frame.planes:
        rows = np.frombuffer(plane, dtype).reshape(plane.height, -1)
        out.append(rows[:, : plane.width if dtype == np.uint16 else plane.width * 4].copy())
    return out


def test_ffv1_holds_ten_bits_bit_for_bit(wall: Any, capturekit: ModuleType, tmp_path: Path) -> None:
    order = run_of(wall, capturekit, "ffv1", tmp_path / "a")
    frames, file = video_frames(tmp_path / "a.mkv")
    assert file["metadata"]["TIMECODE"] == "00:00:00:02"
    assert file["rate"] == 24
    assert len(frames) == 5
    for n, frame in enumerate(frames):
        assert frame.format.name == "gbrp10le"
        assert round(frame.time * 24) == n
        green, blue, red = planes(frame)
        assert np.array_equal(np.stack([red, green, blue], axis=-1), wall.codes(capturekit.FIRST + 2 + n))
        assert frame.color_range == 2, "full"
    assert wall.told(order).files == [str(tmp_path / "a.mkv")]


def test_ffv1_holds_twelve_bits_bit_for_bit(
    shm: Path, housekit: ModuleType, capturekit: ModuleType, tmp_path: Path
) -> None:
    wall = capturekit.Wall(shm, housekit, bits=12)
    run_of(wall, capturekit, "ffv1", tmp_path / "a")
    frames, _ = video_frames(tmp_path / "a.mkv")
    assert len(frames) == 5
    for n, frame in enumerate(frames):
        assert frame.format.name == "gbrp12le"
        green, blue, red = planes(frame)
        assert np.array_equal(np.stack([red, green, blue], axis=-1), wall.codes(capturekit.FIRST + 2 + n))
    wall.close()


def test_ffv1_holds_eight_bits_bit_for_bit(
    shm: Path, housekit: ModuleType, capturekit: ModuleType, tmp_path: Path
) -> None:
    wall = capturekit.Wall(shm, housekit, bits=8)
    run_of(wall, capturekit, "ffv1", tmp_path / "a")
    frames, _ = video_frames(tmp_path / "a.mkv")
    for n, frame in enumerate(frames):
        (words,) = planes(frame, np.uint8)
        pixels = words.reshape(words.shape[0], -1, 4)
        assert np.array_equal(pixels[..., 2::-1], wall.codes(capturekit.FIRST + 2 + n))
    wall.close()


def ramp(wall: Any) -> np.ndarray:
    """Smooth colours over the whole range: what ProRes keeps closely."""
    width, height = wall.size
    across, down = np.meshgrid(np.linspace(0, 1023, width), np.linspace(0, 1023, height))
    red, green, blue = (part.astype(np.uint32) for part in (across, down, (across + down) / 2))
    return np.asarray(red | green << 10 | blue << 20 | np.uint32(3 << 30), dtype=np.uint32)


@pytest.mark.parametrize("form", ["prores", "prores_hq"])
def test_prores_holds_the_colours_in_video_range(wall: Any, capturekit: ModuleType, tmp_path: Path, form: str) -> None:
    first = capturekit.FIRST + 24 * 3661 + 5
    wall.order(tmp_path / "a.mov", form, first_frame=first, last_frame=first + 2)
    wall.begin()
    for n in range(3):
        wall.show_frame(first + n, ramp(wall))
        wall.step()
    wall.settle()
    frames, file = video_frames(tmp_path / "a.mov")
    assert len(frames) == 3
    assert file["tmcd"] == ["01:01:01:05"]
    assert file["colour"] == (1, 1, 1, 13)
    assert [Fraction(frame.pts) * frame.time_base for frame in frames] == [Fraction(n, 24) for n in range(3)]
    # 4444 is decoded to 12 bits.
    share = 4.0 if "p12" in frames[1].format.name else 1.0
    luma, cb, cr = (plane / share for plane in planes(frames[1]))
    shown = wall.codes(first + 1) / 1023.0
    red, green, blue = np.moveaxis(shown, -1, 0)
    wanted = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    assert np.abs(luma - (64 + 876 * wanted)).max() <= 6
    assert np.abs(luma - (64 + 876 * wanted)).mean() <= 1.0
    if form == "prores":
        assert np.abs(cb - (512 + 448 * (blue - wanted) / 0.9278)).max() <= 8
        assert np.abs(cr - (512 + 448 * (red - wanted) / 0.7874)).max() <= 8
        # Back to the codes: the colours are the wall's, not only the numbers of our own arithmetic.
        back_red = (luma - 64) / 876 + (cr - 512) / 448 * 0.7874
        assert np.abs(back_red - red).mean() * 1023 <= 2
    rgb = frames[1].reformat(format="rgb24").to_ndarray() / 255.0
    assert np.abs(rgb - shown).mean() <= 0.01, "as a player shows it"


def test_every_kth_frame(wall: Any, capturekit: ModuleType, tmp_path: Path) -> None:
    first = capturekit.FIRST
    order = wall.order(tmp_path / "a", "png", bits=8, first_frame=first, last_frame=first + 8, every=3)
    wall.begin()
    for n in range(10):
        wall.show_frame(first + n)
        wall.step()
    wall.settle()
    assert [path.name[-10:-4] for path in sorted(tmp_path.glob("*.png"))] == [
        f"{first + n}"[-6:] for n in (0, 3, 6)
    ]  # fmt: skip
    assert wall.told(order).gaps == []
