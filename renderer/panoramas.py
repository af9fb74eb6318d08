"""Reading domes: equirectangular pictures and cube maps of any usual form, as linear ACEScg.

A cube's faces are seen from inside: right, left, up, down, front, back (the order px nx py ny pz nz of most tools,
front = pz). They come as six files, as a cross, lying (4:3) or standing (3:4), or as a strip of six, across or down;
a cube becomes equirectangular here, so that everything after knows one form.
Files of whole numbers enter through the sRGB curve, files of floats as linear light; Rec.709 unless the file names
its primaries or the scene does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from renderer.gltf.errors import AssetImageError, AssetMissingError
from renderer.working import AP1, REC709, Chromaticities, linear_from_srgb, rgb_from_rgb

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

HALF_MAX: Final = 60000.0
"""Brightest value kept: below the largest half float, so that filtering never meets an infinity."""
ColourSpace = Literal["auto", "srgb", "linear_rec709", "linear_p3d65", "linear_rec2020", "acescg", "aces2065_1"]
FACES: Final = ("right", "left", "up", "down", "front", "back")
_MOST_PX: Final = 16384
_PRIMARIES: Final[dict[str, Chromaticities]] = {
    "srgb": REC709,
    "linear_rec709": REC709,
    "linear_p3d65": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.3127, 0.3290)),
    "linear_rec2020": ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), (0.3127, 0.3290)),
    "acescg": AP1,
    "aces2065_1": ((0.7347, 0.2653), (0.0, 1.0), (0.0001, -0.077), (0.32168, 0.33767)),
}
# Where the faces lie in one picture: columns and rows, then (column, row) of each; a standing cross has its back
# below its ground, upside down.
_CROSSES: Final[tuple[tuple[tuple[int, int], tuple[tuple[int, int], ...], bool], ...]] = (
    ((4, 3), ((2, 1), (0, 1), (1, 0), (1, 2), (1, 1), (3, 1)), False),
    ((3, 4), ((2, 1), (0, 1), (1, 0), (1, 2), (1, 1), (1, 3)), True),
    ((6, 1), tuple((i, 0) for i in range(6)), False),
    ((1, 6), tuple((0, i) for i in range(6)), False),
)
# Each face's right, down and middle along the scene's axes, as seen from inside.
_AXES: Final = np.array(
    [
        [[0, -1, 0], [0, 0, -1], [1, 0, 0]],
        [[0, 1, 0], [0, 0, -1], [-1, 0, 0]],
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[1, 0, 0], [0, -1, 0], [0, 0, -1]],
        [[1, 0, 0], [0, 0, -1], [0, 1, 0]],
        [[-1, 0, 0], [0, 0, -1], [0, -1, 0]],
    ],
    dtype=np.float64,
)


@dataclass(frozen=True, slots=True)
class DomePicture:
    """A dome's picture, [height, width, 3] float32, linear ACEScg, row 0 the zenith."""

    pixels: F32

    @property
    def size_px(self) -> tuple[int, int]:
        return self.pixels.shape[1], self.pixels.shape[0]


def load_picture(files: Path | Sequence[Path], /, *, colour_space: ColourSpace = "auto") -> DomePicture:
    """Read a dome (.hdr, .exr, .png, .jpg, .webp...): one file, or six faces in the order of `FACES`.

    Raises
    ------
    AssetMissingError : there is no such file.
    AssetImageError : it cannot be decoded to its end, holds NaN, or its sides fit no dome.
    """
    if isinstance(files, Path):
        pixels = _read(files, colour_space)
        height, width = pixels.shape[:2]
        if width == 2 * height:
            _limit(files, width, height)
            return DomePicture(pixels)
        faces = _cut(pixels)
        if faces is None:
            raise AssetImageError(
                files,
                "",
                "a dome is equirectangular (twice as wide as high) or a cube: a cross (4:3, 3:4) or strip (6:1, 1:6)",
                value=f"{width}x{height}",
                mend="export it as a 2:1 panorama, or give a cube's six files",
            )
        named = [files] * 6
    else:
        named = list(files)
        if len(named) != 6:
            raise AssetImageError(
                named[0] if named else "dome", "", "a cube has six faces", value=len(named),
                mend=f"name six files: {', '.join(FACES)}",
            )  # fmt: skip
        faces = [_read(file, colour_space) for file in named]
    side = faces[0].shape[0]
    for file, face, name in zip(named, faces, FACES, strict=True):
        height, width = face.shape[:2]
        if (width, height) != (side, side):
            raise AssetImageError(
                file, name, f"a cube's faces are square and of one size ({side}x{side} here)",
                value=f"{width}x{height}", mend="export the six faces alike",
            )  # fmt: skip
        _limit(file, 4 * width, 2 * height)
    return DomePicture(equirectangular(np.stack(faces)))


def _limit(file: Path, width: int, height: int) -> None:
    if width > _MOST_PX:
        raise AssetImageError(
            file, "", f"a dome is at most {_MOST_PX} px wide", value=f"{width}x{height}", mend="export it smaller"
        )


def _read(file: Path, colour_space: ColourSpace) -> F32:
    # OpenImageIO is a large library: it is loaded when the first dome is.
    import OpenImageIO as oiio

    if not file.is_file():
        raise AssetMissingError(file, "", "there is no such dome", mend="correct the name or put the file there")
    buffer = oiio.ImageBuf(str(file))
    pixels = None if buffer.has_error else buffer.get_pixels(oiio.FLOAT)
    if buffer.has_error or pixels is None or pixels.ndim != 3 or pixels.size == 0:
        detail = str(buffer.geterror()).strip().splitlines()
        raise AssetImageError(
            file, "", f"cannot be decoded: {detail[0] if detail else 'no picture in it'}", mend="export the dome again"
        )
    if _ends_early(file):
        raise AssetImageError(
            file, "", "cannot be decoded: the file ends before its picture does", mend="copy or export the dome again"
        )
    rgb = pixels[..., :3] if pixels.shape[2] >= 3 else np.repeat(pixels[..., :1], 3, axis=2)
    broken = int(np.isnan(rgb).any(axis=2).sum())
    if broken:
        raise AssetImageError(
            file, "", "holds pixels that are not numbers (NaN)", value=broken, mend="repair the pixels and export again"
        )
    whole_numbers = str(buffer.spec().format) not in ("float", "half", "double")
    if colour_space == "srgb" or (colour_space == "auto" and whole_numbers and file.suffix.lower() != ".hdr"):
        rgb = linear_from_srgb(rgb)
    primaries = _tagged(buffer) if colour_space == "auto" else _PRIMARIES[colour_space]
    rgb = np.nan_to_num(rgb, posinf=HALF_MAX, neginf=0.0)
    return np.asarray(np.clip(rgb @ rgb_from_rgb(AP1, primaries).T, 0.0, HALF_MAX), dtype=np.float32)


def _tagged(buffer: Any) -> Chromaticities:
    """The primaries an EXR says it has; Rec.709 when it says nothing."""
    tag = buffer.spec().getattribute("chromaticities")
    if tag is None or len(tag) != 8:
        return REC709
    r, g, b, w = ((float(tag[i]), float(tag[i + 1])) for i in (0, 2, 4, 6))
    return (r, g, b, w)


def _ends_early(file: Path) -> bool:
    """Whether a JPEG lacks its end mark: its decoder fills the rest with grey and says nothing."""
    if file.suffix.lower() not in (".jpg", ".jpeg"):
        return False
    with file.open("rb") as opened:
        opened.seek(max(0, file.stat().st_size - 65536))
        return b"\xff\xd9" not in opened.read()


def _cut(pixels: F32) -> list[F32] | None:
    """The six faces of a cross or strip; None where the picture is none."""
    height, width = pixels.shape[:2]
    for (columns, rows), places, turned in _CROSSES:
        side = width // columns
        if side and (width, height) == (columns * side, rows * side):
            faces = [pixels[y * side : (y + 1) * side, x * side : (x + 1) * side] for x, y in places]
            if turned:
                faces[5] = faces[5][::-1, ::-1]
            return faces
    return None


def equirectangular(faces: F32) -> F32:
    """[2n, 4n, 3] of six faces, [6, n, n, 3], in the order of `FACES`; filtered bilinearly within each face."""
    side = faces.shape[1]
    height, width = 2 * side, 4 * side
    out = np.empty((height, width, 3), dtype=np.float32)
    pan = ((np.arange(width) + 0.5) / width - 0.5) * 2.0 * np.pi
    polar = (np.arange(height) + 0.5) / height * np.pi
    band = max(1, (1 << 20) // width)
    for top in range(0, height, band):
        rows = polar[top : top + band, None]
        d = np.stack(
            [np.sin(rows) * np.sin(pan), np.sin(rows) * np.cos(pan), np.broadcast_to(np.cos(rows), (len(rows), width))],
            axis=-1,
        )
        face = np.argmax(d @ _AXES[:, 2].T, axis=-1)
        axes = _AXES[face]
        depth = np.einsum("hwi,hwi->hw", d, axes[..., 2, :])
        at = [np.einsum("hwi,hwi->hw", d, axes[..., k, :]) / depth for k in range(2)]
        x, y = (np.clip((a * 0.5 + 0.5) * side - 0.5, 0.0, side - 1.0) for a in at)
        x0, y0 = np.minimum(x.astype(np.intp), max(0, side - 2)), np.minimum(y.astype(np.intp), max(0, side - 2))
        x1, y1 = np.minimum(x0 + 1, side - 1), np.minimum(y0 + 1, side - 1)
        u, v = (x - x0)[..., None], (y - y0)[..., None]
        upper = faces[face, y0, x0] * (1.0 - u) + faces[face, y0, x1] * u
        lower = faces[face, y1, x0] * (1.0 - u) + faces[face, y1, x1] * u
        out[top : top + band] = upper * (1.0 - v) + lower * v
    return out
