"""BLACK, WORK LIGHT, SAFE PICTURE: stored pictures that need no drawing."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from renderer.actions import ActionPictures, slate_picture
from renderer.config import RenderConfig
from renderer.device import unpack_10bit
from stage.compiled import Encoding

CONFIG = RenderConfig(work_light_nits=100.0, safe_picture_nits=20.0)


def red_codes(codes: Any) -> Any:
    return (unpack_10bit(codes) if codes.dtype == np.uint32 else codes)[..., 0].astype(int)


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("flip", [False, True])
def test_the_slate_is_upright_on_every_tile(wallkit: ModuleType, rotate: int, flip: bool) -> None:
    wide, high = (90, 60) if rotate in (0, 180) else (60, 90)
    corners = wallkit.flat_corners((0, 4, 1), 0.6, 0.4)
    stage = wallkit.stage_of(
        [wallkit.cabinet(0, corners, (0, 0, 90, 60), (8, 16, wide, high), rotate=rotate, flip=flip)],
        size=(128, 128),
        encoding=Encoding("pq", 10000.0, 10, "rec2020"),
    )
    stage.walls["main"] = stage.walls["main"].__class__("main", "flat", 90, 60, 1000.0, 6.0, 0.6, 0.4, 1)
    got = red_codes(ActionPictures(stage, CONFIG).codes("safe", "c"))
    tile = got[16 : 16 + high, 8 : 8 + wide]
    # What the lit side shows: undo the clockwise turn, then the mirroring.
    seen = np.rot90(tile, rotate // 90)
    seen = seen[:, ::-1] if flip else seen
    plain = wallkit.stage_of(
        [wallkit.cabinet(0, corners, (0, 0, 90, 60), (0, 0, 90, 60))],
        size=(90, 60),
        encoding=Encoding("pq", 10000.0, 10, "rec2020"),
    )
    # Samples that fall on the edge of a slate pixel may take either neighbour.
    off = np.abs(seen - red_codes(ActionPictures(plain, CONFIG).codes("safe", "c")))
    assert (off > 2).mean() < 0.01
    outside = np.ones_like(got, dtype=bool)
    outside[16 : 16 + high, 8 : 8 + wide] = False
    assert np.all(got[outside] == 0)


def test_the_slate_is_dim_neutral_and_says_something() -> None:
    slate = slate_picture("Stage Five", "main", aspect=3.0)
    assert slate.shape[1] == pytest.approx(3 * slate.shape[0], rel=0.02)
    assert slate.min() > 0.1
    assert slate.max() <= 1.0
    text = slate[slate.shape[0] // 3 : slate.shape[0] * 4 // 5] > 0.8
    assert 0.005 < text.mean() < 0.5
    other = slate_picture("Stage Six", "main", aspect=3.0)
    assert not np.array_equal(slate, other)


def test_work_light_is_white_at_its_nits_but_never_over_the_peak(wallkit: ModuleType) -> None:
    for peak, nits, code in ((10000.0, 100.0, 520), (50.0, 100.0, 450)):
        stage = wallkit.flat_wall(2, 1, px=8, encoding=Encoding("pq", peak, 10, "rec709"))
        got = unpack_10bit(ActionPictures(stage, RenderConfig(work_light_nits=nits)).codes("work", "c"))
        assert np.all(got == code)


def test_eight_bit_pictures_have_the_canvas_form(wallkit: ModuleType) -> None:
    stage = wallkit.flat_wall(2, 1, px=8, encoding=Encoding("gamma24", 100.0, 8, "rec709", "legal"))
    pictures = ActionPictures(stage, CONFIG, scale=2)
    assert pictures.codes("black", "c").shape == (4, 8, 4)
    assert pictures.codes("black", "c").dtype == np.uint8
    assert np.all(pictures.codes("black", "c")[..., :3] == 16)
    assert np.all(pictures.codes("work", "c")[..., :3] == 235)
    assert np.all(pictures.codes("work", "c")[..., 3] == 255)
