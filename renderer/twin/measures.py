"""The measures of truth: does the photo of the walls show what the camera would see of the world itself?

Slips are in pixels of a 3840-wide sensor. `q` is photo pixels per LED. Definitions and bars: docs/truth.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from renderer.twin.camera import Photo, Picture, VirtualCamera, inner_bounds
from renderer.twin.display import display_coded
from renderer.twin.phase import blurred, fringe_slips, patch_slips, psnr_db
from renderer.twin.view import PhotoView
from renderer.twin.walls import LedSamples, TwinWalls
from renderer.twin.worlds import Fringes
from stage.frames import Array

Data = Mapping[str, NDArray[np.float32]]
"""Canvases whose pixels are stage positions instead of light: id -> [h, w, 3 or 4]."""

GEOMETRY_MEAN_PX, GEOMETRY_P99_PX, GEOMETRY_KEPT = 0.02, 0.1, 0.8
PATH_MEAN_PX, PATH_P99_PX = 0.05, 0.15
PICTURE_MEAN_PX, PICTURE_P99_PX, PICTURE_PSNR_DB = 0.15, 0.5, 36.0
ABSOLUTE_PX = 0.1

DEPTH_EDGE = 0.08
"""Neighbouring LEDs whose shown points differ more than this in depth (relative) stand at a depth edge."""
GRAZING_COSINE = 0.2
"""LEDs seen flatter than this do not count for texels per LED: they would ask for any number."""


@dataclass(frozen=True, slots=True)
class Slip:
    """Size of slips in pixels of a 3840-wide sensor."""

    mean_px: float
    p99_px: float
    count: int

    @classmethod
    def of(cls, slips_px: Array, /) -> Slip:
        """From slip vectors, [n, 2], or sizes, [n]; nan when there are none."""
        sizes = np.hypot(slips_px[:, 0], slips_px[:, 1]) if slips_px.ndim == 2 else slips_px
        if not len(sizes):
            return cls(float("nan"), float("nan"), 0)
        return cls(float(np.mean(sizes)), float(np.percentile(sizes, 99)), len(sizes))

    def within(self, mean_px: float, p99_px: float, /) -> bool:
        """Whether both figures exist and keep their bars."""
        return self.mean_px <= mean_px and self.p99_px <= p99_px


@dataclass(frozen=True, slots=True)
class LedsInView:
    """The LEDs that count for one camera: in its photo, unhidden, on walls its inner shows on, at inner alpha 1."""

    leds: LedSamples
    px: Array
    """[n, 2]  where each stands in the photo, photo px."""
    step_across_px: Array
    step_along_px: Array
    """[n, 2]  one LED to the right and down, photo px."""
    view: PhotoView

    @property
    def q(self) -> float:
        """Photo pixels per LED: median over the LEDs of the root of the area one takes."""
        if not len(self.leds):
            return float("nan")
        a, b = self.step_across_px, self.step_along_px
        return float(np.median(np.sqrt(np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]))))

    def texels_per_led(self) -> float:
        """Inner texels per LED, along its shorter side, at the densest LED in view (grazing ones left out)."""
        camera, view = self.view.camera, self.view
        whole = inner_bounds(camera)
        across = camera.raster_px[0] / (whole.right - whole.left)
        up = camera.raster_px[1] / (whole.top - whole.bottom)
        to_pupil = view.pupil_m - self.leds.position_m
        cosine = np.einsum("ij,ij->i", self.leds.normal, to_pupil) / np.linalg.norm(to_pupil, axis=1)
        square = cosine > GRAZING_COSINE
        if not square.any():
            return float("nan")
        here = _tangents(view, self.leds.position_m)
        sizes = [
            np.hypot(*((_tangents(view, self.leds.position_m + step) - here) * (across, up)).T)[square]
            for step in (self.leds.across_m, self.leds.along_m)
        ]
        return float(min(size.min() for size in sizes))


@dataclass(frozen=True, slots=True)
class GeometryResult:
    """Each LED's shown point against its own position."""

    slip: Slip
    kept: float
    """Share of the LEDs that do not stand at a depth edge."""
    slips_px: Array
    """[n, 2]  px of a 3840-wide sensor, of the LEDs kept."""

    @property
    def good(self) -> bool:
        """Whether it keeps the bars."""
        return self.slip.within(GEOMETRY_MEAN_PX, GEOMETRY_P99_PX) and self.kept >= GEOMETRY_KEPT


@dataclass(frozen=True, slots=True)
class PictureResult:
    """The scene in the photo against the scene itself."""

    slip: Slip
    psnr_db: float
    photo: Picture
    truth: Picture
    """[h, w, 3]  blurred alike and display-coded, as they were compared."""


def _tangents(view: PhotoView, points_m: Array) -> Array:
    p = view.camera_of_stage(points_m)
    return np.asarray(p[..., [0, 2]] / p[..., 1:2])


def leds_in_view(camera: VirtualCamera, view: PhotoView, /, *, scale: int = 1, at_most: int = 200_000) -> LedsInView:
    """The LEDs (at most about `at_most` over all walls, on an even lattice) that count for the view's camera."""
    walls: TwinWalls = camera.walls
    leds = walls.sample_leds(scale=scale, at_most=at_most)
    leds = leds.where(walls.wall_mask(view.camera.walls)[leds.tile])
    leds = leds.where(camera.visible(leds, view))
    tangents = _tangents(view, leds.position_m)
    solid = inner_bounds(view.camera, inset_deg=view.camera.soft_edge_deg)
    inside = (tangents[:, 0] >= solid.left) & (tangents[:, 0] <= solid.right)
    inside &= (tangents[:, 1] >= solid.bottom) & (tangents[:, 1] <= solid.top)
    leds = leds.where(inside)
    px = view.px_of_tangents(tangents[inside])
    across = view.px_of_tangents(_tangents(view, leds.position_m + 0.5 * leds.across_m))
    along = view.px_of_tangents(_tangents(view, leds.position_m + 0.5 * leds.along_m))
    return LedsInView(leds, px, 2 * (across - px), 2 * (along - px), view)


def shown_points(walls: TwinWalls, data: Data, leds: LedSamples, /, *, dx: int = 0, dy: int = 0) -> Array:
    """What LEDs show, [n, 4]: stage point and 1, or (the sky) direction and 0; `dx`, `dy` canvas pixels beside them,
    kept within their tiles."""
    out = np.ones((len(leds), 4))
    scale = _scale(walls, data)
    for index, name in enumerate(walls.canvas_ids):
        chosen = np.flatnonzero(leds.canvas == index)
        if not len(chosen):
            continue
        picture = data[name]
        x, y = leds.x[chosen] + dx, leds.y[chosen] + dy
        if dx or dy:
            rects = np.array([tile.rect_px for tile in walls.tiles], dtype=np.int64)[leds.tile[chosen]] // scale
            x = np.clip(x, rects[:, 0], rects[:, 0] + rects[:, 2] - 1)
            y = np.clip(y, rects[:, 1], rects[:, 1] + rects[:, 3] - 1)
        out[chosen, : picture.shape[2]] = picture[y, x]
    return out


def _from_pupil(view: PhotoView, shown: Array) -> Array:
    """Homogeneous stage points, [n, 4], in camera axes from the pupil, [n, 3] (directions as they are)."""
    return np.asarray((shown[:, :3] - shown[:, 3:] * view.pupil_m) @ view.stage_from_camera)


def _scale(walls: TwinWalls, data: Data) -> int:
    name = walls.canvas_ids[0]
    return max(1, round(int(walls.stage.canvases[name].width_px) / int(data[name].shape[1])))


def geometry(walls: TwinWalls, data: Data, seen: LedsInView, /, *, texels_per_led: float = 1.0) -> GeometryResult:
    """Where LEDs show what lies behind them: shown point and own position, both through the camera.

    `data` are canvases of stage positions drawn through the whole chain. LEDs at depth edges are left out: within
    the reach of one texel, depth along the optical axis must not change by more than DEPTH_EDGE.
    """
    view, leds = seen.view, seen.leds
    if not len(leds):
        return GeometryResult(Slip.of(np.zeros((0, 2))), float("nan"), np.zeros((0, 2)))
    shown = _from_pupil(view, shown_points(walls, data, leds))
    reach = max(1, ceil(1.0 / max(texels_per_led, 0.1)))
    low, high = shown[:, 1].copy(), shown[:, 1].copy()
    for dx in (-reach, 0, reach):
        for dy in (-reach, 0, reach):
            if dx or dy:
                beside = _from_pupil(view, shown_points(walls, data, leds, dx=dx, dy=dy))[:, 1]
                low, high = np.minimum(low, beside), np.maximum(high, beside)
    smooth = (low > 0.01) & (high < (1.0 + DEPTH_EDGE) * low)
    kept = shown[smooth]
    slips = (view.px_of_tangents(kept[:, [0, 2]] / kept[:, 1:2]) - seen.px[smooth]) * view.report_px_per_px
    return GeometryResult(Slip.of(slips), float(smooth.mean()), slips)


def wall_slips(leds: LedSamples, shown: Array, pupil_m: Array, /) -> Array:
    """How many LEDs beside themselves LEDs show things, [n, 2] (right, down), as the pupil sees it.

    What an LED shows, [n, 4] (stage point and 1, or direction and 0), belongs where its ray from the pupil meets the
    plane of the LED: at an LED that shows what lies behind it, the slip is zero.
    """
    ray = shown[:, :3] - shown[:, 3:] * pupil_m
    to_led = leds.position_m - pupil_m
    normal = leds.normal
    reach = np.einsum("ij,ij->i", to_led, normal) / np.einsum("ij,ij->i", ray, normal)
    off = ray * reach[:, None] - to_led
    # The LED's own axes, which need not be square.
    aa = np.einsum("ij,ij->i", leds.across_m, leds.across_m)
    ab = np.einsum("ij,ij->i", leds.across_m, leds.along_m)
    bb = np.einsum("ij,ij->i", leds.along_m, leds.along_m)
    oa, ob = np.einsum("ij,ij->i", off, leds.across_m), np.einsum("ij,ij->i", off, leds.along_m)
    det = aa * bb - ab * ab
    return np.stack([(oa * bb - ob * ab) / det, (ob * aa - oa * ab) / det], axis=-1)


def blur_px(q: float, /) -> float:
    """Blur that photo and truth are given alike, photo px: the camera's optics in front of the LED grid."""
    return max(1.0, 0.6 * q)


def fringe_period_px(q: float, /) -> float:
    """Period of the measuring fringes, photo px: eight LEDs. Finer ones would measure the linear filter between inner
    texels, which bends the phase of a wave by the square of its frequency."""
    return max(16.0, 8.0 * q)


def photo_tangents(view: PhotoView, /) -> Array:
    """Directions, [h, w, 2], of the middles of all photo pixels."""
    y, x = np.mgrid[0 : view.height_px, 0 : view.width_px]
    return view.tangents_of_px(np.stack([x + 0.5, y + 0.5], axis=-1))


def path(photo: Photo, fringes: Fringes, q: float, /, *, index: int = 0) -> Slip:
    """Slip of measuring fringes that came through canvas, processor, LEDs and lens, against their formula.

    `index`: which of the photo's exposures shows the fringes.
    """
    view = photo.view
    mask = _mask(photo)
    tangents = photo_tangents(view)
    known = fringes.light(tangents).astype(np.float32)
    sigma_px = blur_px(q)
    seen = blurred(np.ascontiguousarray(photo.light[index][..., 1]), mask, sigma_px)
    known = blurred(known, mask, sigma_px)
    slips = fringe_slips(seen, known, mask, fringes.phases(tangents), period_px=fringe_period_px(q))
    return Slip.of(slips * view.report_px_per_px)


def picture(photo: Photo, truth: Picture, q: float, /, *, index: int = 0) -> PictureResult:
    """The scene in the photo against the truth, both blurred alike and display-coded (see twin/display.py).

    Slip: of 96 px patches with texture, by phase correlation of luma. PSNR: over all pixels at inner alpha 1, all
    three channels, peak 1.0.
    """
    mask = _mask(photo)
    sigma_px = blur_px(q)
    pair = [display_coded(blurred(light, mask, sigma_px)) for light in (photo.light[index], truth)]
    luma = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
    slips, _ = patch_slips(pair[0] @ luma, pair[1] @ luma, mask)
    return PictureResult(Slip.of(slips * photo.view.report_px_per_px), psnr_db(pair[0], pair[1], mask), *pair)


def inner_coverage(photo: Photo, /) -> float:
    """Share of the photo that lies on LEDs showing the inner picture at alpha 1."""
    return float(photo.inner.mean())


def _mask(photo: Photo) -> Picture:
    return (photo.inner > 0.999).astype(np.float32)
