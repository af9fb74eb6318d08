"""The pictures of BLACK, WORK LIGHT and SAFE PICTURE, and the card that tells outputs apart: codes made once from the
stage, before anybody needs them.

Nothing here draws or can fail while a show runs: whatever else breaks, these go out.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from renderer.colour.encode import CanvasColour, canvas_colour
from renderer.config import RenderConfig
from stage.compiled import Cabinet, CompiledStage, MeshTile

ActionPicture = Literal["black", "work", "safe", "identify"]
CARD_NITS = 100.0
"""As line-up pictures: seen from across the stage."""
_SLATE_PX = 384
_LONGEST_PX = 4096


class ActionPictures:
    """Codes of every canvas of a stage, as a processor takes them in: uint8 [h, w, 4], packed uint32 [h, w] or uint16
    [h, w, 4]."""

    def __init__(self, stage: CompiledStage, config: RenderConfig, /, *, scale: int | None = None) -> None:
        """`scale` None takes `render.scale`."""
        self._stage, self._config = stage, config
        self._scale = config.scale if scale is None else scale
        self._slates: dict[str, NDArray[np.float64]] = {}

    def codes(self, action: ActionPicture, canvas_id: str, /) -> NDArray[Any]:
        """The picture of an action on a canvas. Pixels that no LED shows are black."""
        canvas = self._stage.canvases[canvas_id]
        width, height = canvas.width_px // self._scale, canvas.height_px // self._scale
        colour = canvas_colour(canvas.encoding, knee=1.0, content=1.0, dither=False).plain()
        words = np.full((height, width), packed_greys(colour, 0.0), dtype=np.uint32)
        if action == "identify":
            told = f"{canvas.processor}  {canvas.width_px} x {canvas.height_px}"
            card = card_picture(canvas_id, told, (width, height))
            words[:] = packed_greys(colour, card * CARD_NITS)
        elif action != "black":
            white = packed_greys(colour, self._config.work_light_nits)
            tiles: list[Cabinet | MeshTile] = [*self._stage.cabinets, *self._stage.meshes]
            for tile in tiles:
                if tile.canvas != canvas_id:
                    continue
                x, y, w, h = tile.rect_px
                columns = _pixels(x, w, self._scale, width)
                rows = _pixels(y, h, self._scale, height)
                if action == "work":
                    words[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = white
                else:
                    words[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = self._slate_of(
                        tile, columns, rows, colour
                    )
        if canvas.encoding.bits == 12:
            wide = np.repeat(words.astype(np.uint16)[..., None], 4, axis=-1)
            wide[..., 3] = 65_535
            return wide
        return words if canvas.encoding.bits == 10 else words.view(np.uint8).reshape(height, width, 4)

    def _slate_of(
        self, tile: Cabinet | MeshTile, columns: NDArray[np.int64], rows: NDArray[np.int64], colour: CanvasColour
    ) -> NDArray[np.uint32]:
        """The part of its wall's slate that a tile shows, at canvas columns and rows."""
        slate = self._slates.get(tile.wall)
        if slate is None:
            wall = self._stage.walls[tile.wall]
            aspect = wall.width_px / max(1, wall.height_px)
            slate = self._slates[tile.wall] = slate_picture(self._stage.name, tile.wall, aspect=aspect)
        x, y, w, h = tile.rect_px
        across = ((columns + 0.5) * self._scale - x) / w
        down = ((rows + 0.5) * self._scale - y) / h
        # Canvas to picture: undo the clockwise turn, then the mirroring; each picture axis follows one canvas axis.
        turned = tile.rotate in (90, 270)
        u = {0: across, 90: down, 180: 1.0 - across, 270: 1.0 - down}[tile.rotate]
        v = {0: down, 90: 1.0 - across, 180: 1.0 - down, 270: across}[tile.rotate]
        if tile.flip:
            u = 1.0 - u
        wall = self._stage.walls[tile.wall]
        wall_x, wall_y, wall_w, wall_h = tile.wall_rect_px
        column = ((wall_x + u * wall_w) / wall.width_px * slate.shape[1]).astype(np.int64).clip(0, slate.shape[1] - 1)
        row = ((wall_y + v * wall_h) / wall.height_px * slate.shape[0]).astype(np.int64).clip(0, slate.shape[0] - 1)
        part = slate[np.ix_(row, column)]
        return packed_greys(colour, (part.T if turned else part) * self._config.safe_picture_nits)


def _pixels(start: int, length: int, scale: int, limit: int) -> NDArray[np.int64]:
    """Canvas pixels at `scale` whose middles lie in [start, start + length) of the canvas at scale 1."""
    first = int(np.ceil(start / scale - 0.5))
    last = int(np.ceil((start + length) / scale - 0.5))
    return np.arange(max(0, first), min(limit, max(last, first + 1)))


def packed_greys(colour: CanvasColour, nits: ArrayLike, /) -> NDArray[np.uint32]:
    """Pixels of neutral light, nits of the canvas' own white, as one word each: red lowest, alpha full; of 12 bits,
    which three do not fit into a word, the one code."""
    grey = np.asarray(nits, dtype=np.float64)[..., None] * np.ones(3) / 100.0
    codes = colour.codes(grey).astype(np.uint32)
    bits = colour.encoding.bits
    if bits == 12:
        return np.asarray(codes[..., 0], dtype=np.uint32)
    alpha = np.uint32(0xFF000000 if bits == 8 else 0xC0000000)
    return np.asarray(codes[..., 0] | codes[..., 1] << bits | codes[..., 2] << 2 * bits | alpha, dtype=np.uint32)


def card_picture(name: str, told: str, size: tuple[int, int], /) -> NDArray[np.float64]:
    """The card of an output, [h, w] linear light 0..1, row 0 on top: its name, what it goes to, and its whole raster's
    border and diagonals, so that a cut or turned raster shows."""
    width, height = size
    image = Image.new("L", (width, height), 0)
    draw = ImageDraw.Draw(image)
    draw.line((0, 0, width - 1, height - 1), fill=60, width=max(1, height // 200))
    draw.line((0, height - 1, width - 1, 0), fill=60, width=max(1, height // 200))
    draw.rectangle((0, 0, width - 1, height - 1), outline=255, width=max(1, height // 60))
    for text, most, place in ((name, height / 3.0, 0.45), (told, height / 12.0, 0.72)):
        size_px = max(6.0, min(most, 1.5 * width / max(1, len(text))))
        font = ImageFont.load_default(size=size_px)
        box = draw.textbbox((width / 2, height * place), text, font=font, anchor="mm")
        draw.rectangle(box, fill=0)
        draw.text((width / 2, height * place), text, fill=255, font=font, anchor="mm")
    # The way up: a bar along the top.
    draw.rectangle((width // 3, 0, 2 * width // 3, max(2, height // 30)), fill=255)
    return np.asarray(image, dtype=np.float64) / 255.0


def slate_picture(stage: str, wall: str, /, *, aspect: float) -> NDArray[np.float64]:
    """The slate of a wall, [h, w] linear light 0..1, row 0 on top: a soft gradient, a border, and two lines of text."""
    width = int(np.clip(_SLATE_PX * aspect, 64, _LONGEST_PX))
    height = int(np.clip(width / max(aspect, 1e-3), 16, _LONGEST_PX))
    gradient = np.linspace(0.30, 0.16, height)[:, None] * np.ones((1, width))
    image = Image.new("L", (width, height), 0)
    draw = ImageDraw.Draw(image)
    size = max(8, min(height // 5, int(1.2 * width / max(8, len(stage)))))
    for text, share, place in ((stage, 1.0, 0.45), (f"SAFE PICTURE  {wall}", 0.45, 0.68)):
        font = ImageFont.load_default(size=max(6.0, size * share))
        draw.text((width / 2, height * place), text, fill=255, font=font, anchor="mm")
    draw.rectangle((1, 1, width - 2, height - 2), outline=120, width=max(1, height // 100))
    ink = np.asarray(image, dtype=np.float64) / 255.0
    return np.asarray(gradient + (1.0 - gradient) * ink)
