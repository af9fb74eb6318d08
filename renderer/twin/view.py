"""One photo's geometry: from photo pixels through the lens model to directions at the pupil, and back.

Tangents are [x/y, z/y] in camera axes (right and up over forward). Photo pixels: row 0 on top, centres at +0.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from stage.frames import Array
from stage.lens import D_U, U_D, frame_size_mm, has_distortion, image_of_tangents, tangents_of_image
from stage.plan import PlanCamera, PlanLens, transform_of

REPORT_WIDTH_PX = 3840
"""Every slip is told in pixels of a sensor this wide."""


@dataclass(frozen=True, slots=True)
class Tangents:
    """A rectangle of directions: left and bottom are usually negative."""

    left: float
    right: float
    bottom: float
    top: float


@dataclass(frozen=True, slots=True)
class PhotoView:
    """What one camera of a plan photographs, at a photo size of our choice."""

    camera: PlanCamera
    width_px: int
    height_px: int
    stage_from_camera: Array
    """[3, 3]  rotation."""
    pupil_m: Array
    """[3]"""

    @classmethod
    def of(cls, camera: PlanCamera, /, *, width_px: int) -> PhotoView:
        """The view of a plan's camera on a photo `width_px` wide; the height follows the (desqueezed) sensor."""
        width_mm, height_mm = frame_size_mm(camera.lens)
        return cls(
            camera,
            width_px,
            max(1, round(width_px * height_mm / width_mm)),
            transform_of(camera.stage_from_camera)[:3, :3],
            np.array(camera.pupil_m, dtype=np.float64),
        )

    @property
    def lens(self) -> PlanLens:
        return self.camera.lens

    @property
    def report_px_per_px(self) -> float:
        """Pixels of a 3840-wide sensor in one photo pixel."""
        return REPORT_WIDTH_PX / self.width_px

    def tangents_of_px(self, px: ArrayLike, /) -> Array:
        """Directions, [..., 2], seen at photo positions, [..., 2] px."""
        frame_mm = np.array(frame_size_mm(self.lens))
        image_mm = (np.asarray(px, dtype=np.float64) / (self.width_px, self.height_px) - 0.5) * frame_mm
        return tangents_of_image(self.lens, image_mm)

    def px_of_tangents(self, tangents: ArrayLike, /) -> Array:
        """Photo positions, [..., 2] px, of directions, [..., 2]."""
        image_mm = image_of_tangents(self.lens, tangents)
        return np.asarray((image_mm / frame_size_mm(self.lens) + 0.5) * (self.width_px, self.height_px))

    def camera_of_stage(self, points_m: ArrayLike, /) -> Array:
        """Stage points, [..., 3], in camera axes with the pupil as origin."""
        return np.asarray((np.asarray(points_m, dtype=np.float64) - self.pupil_m) @ self.stage_from_camera)

    def bounds(self, *, margin_px: float = 2.0) -> Tangents:
        """The smallest rectangle of directions that holds the whole photo with a margin around it."""
        x = np.linspace(-margin_px, self.width_px + margin_px, 97)
        y = np.linspace(-margin_px, self.height_px + margin_px, 97)
        seen = self.tangents_of_px(np.stack(np.meshgrid(x, y), axis=-1)).reshape(-1, 2)
        (left, bottom), (right, top) = seen.min(axis=0), seen.max(axis=0)
        return Tangents(float(left), float(right), float(bottom), float(top))

    def tangent_per_px(self) -> tuple[float, float]:
        """The smallest and the largest step of direction that one photo pixel makes anywhere in the photo."""
        x = np.linspace(0.5, self.width_px - 0.5, 49)
        y = np.linspace(0.5, self.height_px - 0.5, 49)
        px = np.stack(np.meshgrid(x, y), axis=-1)
        here = self.tangents_of_px(px)
        steps = np.stack(
            [np.linalg.norm(self.tangents_of_px(px + d) - here, axis=-1) for d in ((0.5, 0.0), (0.0, 0.5))]
        )
        return float(2 * steps.min()), float(2 * steps.max())

    def lens_uniforms(self) -> dict[str, float | int | tuple[float, ...]]:
        """The values that shaders/twin/lens.glsl takes: the lens with lengths in units of its focal length."""
        lens = self.lens
        f = lens.focal_length_mm
        width_mm, height_mm = frame_size_mm(lens)
        k, p = np.zeros(6), np.zeros(2)
        k[: len(lens.radial)] = lens.radial
        p[: len(lens.tangential)] = lens.tangential
        k *= f ** np.array([2.0, 2.0, 4.0, 4.0, 6.0, 6.0])
        shift = np.array(lens.projection_offset_mm) / f
        centre = shift + np.array(lens.distortion_offset_mm) / f
        kind = 0 if not has_distortion(lens) else 2 if lens.model == U_D else 1
        assert kind == 0 or lens.model in (U_D, D_U)
        return {
            "lens_kind": kind,
            "lens_frame": (width_mm / f, height_mm / f),
            "lens_shift": (float(shift[0]), float(shift[1])),
            "lens_centre": (float(centre[0]), float(centre[1])),
            "lens_k_up": (float(k[0]), float(k[2]), float(k[4])),
            "lens_k_down": (float(k[1]), float(k[3]), float(k[5])),
            "lens_p": (float(p[0] * f), float(p[1] * f)),
        }
