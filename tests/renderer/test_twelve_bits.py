"""Canvases of 12 bits: drawn to the code, through rings and pictures unchanged, and brought to light as they mean."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from renderer.colour.encode import canvas_colour
from renderer.config import RenderConfig
from renderer.device import Device
from renderer.renderer import Renderer, form_of_bits
from renderer.sinks.png import canvas_png
from renderer.sinks.ring import canvas_ring, codes_of, hand_over
from renderer.twin.emulator import channels, decode, packed_words, photo_encoding
from renderer.twin.override import Override
from runtime.ring import KIND_CANVAS, RingReader
from stage.compiled import Encoding

SMALL = RenderConfig(outer_px=32, work_light_nits=100.0, dither=False)
PQ = Encoding("pq", 10_000.0, 12, "rec2020")
LEGAL = Encoding("gamma24", 200.0, 12, "rec709", "legal")


@pytest.fixture
def renderer(gl: Device) -> Any:
    made = Renderer(gl)
    yield made
    made.release()


@pytest.mark.parametrize("encoding", [PQ, LEGAL], ids=["pq", "legal"])
def test_light_becomes_the_codes_of_the_reference(
    gl: Device, renderer: Renderer, wallkit: ModuleType, encoding: Encoding
) -> None:
    renderer.load_stage(wallkit.flat_wall(2, 1, px=8, encoding=encoding), render=SMALL)
    knee, content = SMALL.roll_off_knee, SMALL.roll_off_content
    reference = canvas_colour(encoding, knee=knee, content=content, dither=False)
    found = []
    for light in (0.0, 0.013, 0.18, 0.731, 1.0, 1.7):
        picture = renderer.draw(wallkit.plan(), world=wallkit.even_world(gl.ctx, light))["c"]
        assert (picture.format, picture.fourcc, picture.array.dtype) == ("rgba12", "AB4C", np.uint16)
        assert picture.array.shape == (8, 16, 4)
        assert (picture.array[..., 3] == 65_535).all()
        wanted = reference.codes([light] * 3)
        assert np.abs(picture.array[..., :3].astype(int) - wanted).max() <= 2, "the shader's fits: 1.7e-6 of signal"
        found.append(int(picture.array[0, 0, 0]))
    assert found[0] == (0 if encoding is PQ else 256), "black is black"
    assert len(set(found)) >= 5
    assert any(code % 4 for code in found), "finer than 10 bits"


def test_orders_are_obeyed(gl: Device, renderer: Renderer, wallkit: ModuleType) -> None:
    renderer.load_stage(wallkit.flat_wall(2, 1, px=16, encoding=PQ), render=SMALL)
    world = wallkit.even_world(gl.ctx, 10.0)
    assert (renderer.draw(wallkit.plan(actions=["black"]), world=world)["c"].array[..., :3] == 0).all()
    work = renderer.draw(wallkit.plan(actions=["work"]), world=world)["c"].array
    assert np.abs(work[..., :3].astype(int) - 2081).max() <= 1, "100 nit in PQ: 0.5081 of 4095"


def test_a_ring_and_a_png_hold_every_code(gl: Device, renderer: Renderer, wallkit: ModuleType, tmp_path: Path) -> None:
    import io

    import OpenImageIO as oiio

    renderer.load_stage(wallkit.flat_wall(2, 1, px=8, encoding=PQ), render=SMALL)
    plan = wallkit.plan()
    picture = renderer.draw(plan, world=wallkit.even_world(gl.ctx, 0.37))["c"]
    ring = canvas_ring(tmp_path / "c.ring", picture)
    hand_over(ring, picture, plan, 7)
    reader = RingReader.open(tmp_path / "c.ring", kind=KIND_CANVAS)
    slot = reader.latest()
    assert slot is not None
    assert np.array_equal(codes_of(reader.shape, slot.data), picture.array)
    reader.close()
    ring.close()
    buffer = io.BytesIO(canvas_png(picture)).getvalue()
    (tmp_path / "c.png").write_bytes(buffer)
    pixels = oiio.ImageBuf(str(tmp_path / "c.png")).get_pixels(oiio.UINT16)
    assert np.array_equal(pixels >> 4, picture.array[..., :3])


@pytest.mark.parametrize("encoding", [PQ, LEGAL], ids=["pq", "legal"])
def test_the_twin_brings_them_to_light(encoding: Encoding) -> None:
    low, high = (0, 4095) if encoding is PQ else (256, 3760)
    ramp = np.linspace(low, high, 600).round().astype(np.uint16)
    codes = np.repeat(np.repeat(ramp[None, :, None], 2, axis=0), 4, axis=-1)
    assert np.array_equal(channels(encoding, codes), codes[..., :3])
    light = decode(encoding, codes)
    # A photo is made of words of 10 bits a channel: nearest in signal, so within half a step of theirs.
    ten = photo_encoding(encoding)
    assert (ten.bits, form_of_bits(12)) == (10, "rgba12")
    rounded = channels(ten, packed_words(encoding, codes))
    share, full = (codes[..., :3].astype(float) - low) / (high - low), (1023, 0) if encoding is PQ else (876, 64)
    assert np.abs(rounded - (share * full[0] + full[1])).max() <= 0.5 + 1e-9
    assert light.max() == pytest.approx(encoding.peak_nits / 100.0, rel=0.1)


def test_a_processor_that_is_set_otherwise_shows_it() -> None:
    codes = np.full((2, 3, 4), 2000, dtype=np.uint16)
    black = Override(blackout=True).shown(PQ, codes)
    assert (black.dtype, black.shape) == (np.uint16, codes.shape)
    assert not black[..., :3].any()
    half = Override(brightness=0.5).shown(PQ, codes)
    assert np.allclose(decode(PQ, half), 0.5 * decode(PQ, codes), rtol=2e-3)
