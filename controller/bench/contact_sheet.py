"""The contact sheet: samples as the product draws them; beside each our compared picture, three.js's, and what differs.

`python -m controller.bench.contact_sheet ASSETS PICTURE.png`: ASSETS is the folder of glTF samples and their dome (see
`pictures.SUBJECTS`). The first column is drawn twice as fine, in ACEScg, with its dome behind it; the others are what
`pictures` compares. It needs Chromium and `scripts/peers`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from controller.bench.pictures import SUBJECTS, Drawn, OurStudio, Subject, demo, difference, encoded, studios
from renderer.device import Device
from renderer.working import AP1_FROM_REC709

TILE: Final = (400, 300)
COLUMNS: Final = ("OpenVolume", "OpenVolume, as compared", "three.js", "difference x 8")
_TOP, _GAP = 34, 6
_INK, _PAPER = (225, 225, 225), (24, 24, 26)


def sheet(assets: Path, subjects: Sequence[Subject] = SUBJECTS) -> tuple[Image.Image, dict[str, dict[str, float]]]:
    """The picture, and each subject's figures (see `pictures.difference`).

    Raises
    ------
    PeerMissingError, RuntimeError : no browser, or three.js failed.
    """
    width, height = TILE
    rows: list[tuple[Subject, list[Any]]] = []
    figures: dict[str, dict[str, float]] = {}
    with Device.create() as device:
        fine = OurStudio(assets, (2 * width, 2 * height), rec709=False, device=device)
        shown = [_shown(fine, subject) for subject in subjects]
        fine.close()
        with studios(assets, TILE, device) as (ours, three):
            for subject, first in zip(subjects, shown, strict=True):
                mine, theirs = ours.draw(subject), three.draw(subject)
                figures[subject.name] = difference(mine, theirs)
                apart = np.abs(encoded(mine.light) - encoded(theirs.light))
                rows.append((subject, [first, encoded(mine.light), encoded(theirs.light), apart * 8.0]))
    step = height + _TOP + _GAP
    out = Image.new("RGB", (len(COLUMNS) * (width + _GAP) + _GAP, len(rows) * step + _GAP), _PAPER)
    pen = ImageDraw.Draw(out)
    font = ImageFont.load_default(size=15)
    for i, (subject, tiles) in enumerate(rows):
        told = figures[subject.name]
        texts = [f"{subject.name}: {COLUMNS[0]}", *COLUMNS[1:3]]
        texts.append(f"{COLUMNS[3]}; mean {told['mean']:.1f}, p95 {told['p95']:.1f} of 255")
        for j, (tile, text) in enumerate(zip(tiles, texts, strict=True)):
            x, y = _GAP + j * (width + _GAP), i * step
            pen.text((x, y + 9), text, fill=_INK, font=font)
            out.paste(Image.fromarray(np.clip(tile + 0.5, 0, 255).astype(np.uint8)), (x, y + _TOP))
    return out, figures


def _shown(studio: OurStudio, subject: Subject) -> Any:
    """The product's own picture, twice as fine averaged to the tile, 0..255 sRGB."""
    drawn: Drawn = studio.draw(subject, background=True, shadow=True)
    light = drawn.light.reshape(TILE[1], 2, TILE[0], 2, 3).mean(axis=(1, 3))
    return encoded(light @ np.linalg.inv(AP1_FROM_REC709).T)


def main(arguments: Sequence[str]) -> int:
    """See the module."""
    from configs import find

    assets, file = (Path(a) for a in arguments)
    picture, figures = sheet(assets, (*SUBJECTS, demo(Path(str(find("demo"))).resolve().parent / "assets")))
    picture.save(file, optimize=True)
    for name, told in figures.items():
        sys.stdout.write(f"{name:<14} " + "  ".join(f"{key} {value}" for key, value in told.items()) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
