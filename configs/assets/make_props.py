"""Makes what the demo's library offers: `python -m configs.assets.make_props` writes props/*.glb beside itself.

A column, a boulder and a bronze globe on its pedestal, of the same shapes as the demo's world but without its
textures: some kilobytes each. Written in stage axes (x right, y forward, z up, metres), standing on the origin.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from configs.assets.glb import Glb
from configs.assets.shapes import boulder, box, far_column, globe, joined

LIMESTONE: Final = [0.74, 0.66, 0.54, 1.0]
ROCK: Final = [0.42, 0.29, 0.22, 1.0]


def column_glb() -> bytes:
    """A column, 5.2 m high."""
    glb = Glb()
    stone = glb.material("limestone", baseColorFactor=LIMESTONE, metallicFactor=0.0, roughnessFactor=0.85)
    glb.node("column", glb.mesh("column", far_column(), stone))
    return glb.to_bytes()


def boulder_glb() -> bytes:
    """A boulder, about a metre across."""
    glb = Glb()
    rock = glb.material("rock", baseColorFactor=ROCK, metallicFactor=0.0, roughnessFactor=0.95)
    glb.node("boulder", glb.mesh("boulder", boulder(400, 12, 18), rock))
    return glb.to_bytes()


def globe_glb() -> bytes:
    """A bronze globe on a pedestal of three steps."""
    glb = Glb()
    stone = glb.material("limestone", baseColorFactor=LIMESTONE, metallicFactor=0.0, roughnessFactor=0.85)
    bronze = glb.material("bronze", baseColorFactor=[0.86, 0.58, 0.30, 1.0], metallicFactor=1.0, roughnessFactor=0.22)
    steps = joined([box((1.8 - 0.4 * k, 1.8 - 0.4 * k, 0.16), (0, 0, 0.16 * k)) for k in range(3)])
    glb.node("pedestal", glb.mesh("pedestal", joined([steps, box((0.9, 0.9, 0.9), (0, 0, 0.48))]), stone))
    glb.node("globe", glb.mesh("globe", globe(), bronze), (0, 0, 2.1))
    return glb.to_bytes()


PROPS: Final[dict[str, Callable[[], bytes]]] = {
    "column.glb": column_glb, "boulder.glb": boulder_glb, "globe.glb": globe_glb,
}  # fmt: skip


def main(folder: Path) -> None:
    """Write them."""
    folder.mkdir(exist_ok=True)
    for name, make in PROPS.items():
        (folder / name).write_bytes(make())


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "props")
