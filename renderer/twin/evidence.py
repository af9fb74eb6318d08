"""Everything one camera's photo proves: canvases, photo, truth and the measures, from one plan.

The renderer is only asked for canvases, through the door its users have. For a test that must fail, it may be given
another plan or other worlds than the twin believes in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal, Protocol

from numpy.typing import NDArray

from renderer.twin.camera import Photo, Picture, VirtualCamera
from renderer.twin.emulator import Codes, settled
from renderer.twin.measures import (
    GeometryResult,
    LedsInView,
    PictureResult,
    Slip,
    fringe_period_px,
    geometry,
    inner_coverage,
    leds_in_view,
    path,
    picture,
)
from renderer.twin.truth import Truth
from renderer.twin.view import PhotoView
from renderer.twin.worlds import Fringes, InnerOnly
from renderer.world import World
from stage.plan import FramePlan

FRINGE_LEVEL = 2.0
"""Light of the brightest fringe, 1.0 = 100 nit."""
LEDS_MEASURED = 150_000


def fine_for(q: float, /) -> int:
    """Sub-pixels per side that a photo needs when an LED takes `q` of its pixels."""
    return 4 if q < 1.5 else 3 if q < 3.0 else 2


def truth_fine(q: float, /) -> float:
    """Pixels of the truth's wide picture per photo pixel, per side: the photo's own, and no coarser than a good inner
    picture's texels.

    Worlds choose the detail of their textures by the size of a pixel, and edges have samples of their own: much finer
    would be another, sharper world than a camera could see on any wall.
    """
    return min(3.0, max(1.0, 1.4 / q))


class Pictured(Protocol):
    """One canvas as the renderer hands it out."""

    @property
    def array(self) -> NDArray[Any]:
        """Codes or floats, row 0 on top."""


class Draws(Protocol):
    """What is asked of a renderer."""

    def draw(
        self, plan: FramePlan, *, world: World | None = None, output: Literal["canvas", "data"] = "canvas"
    ) -> Mapping[str, Pictured]:
        """Canvases of a plan."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found for one camera of one plan. Measures that were not asked for are None."""

    seen: LedsInView
    canvases: dict[str, Codes]
    """Codes of the scene's canvases; of the fringes' when there is no scene."""
    photo: Photo
    """First exposure the scene, then the fringes, of those that were asked for."""
    truth: Picture | None
    geometry: GeometryResult | None
    path: Slip | None
    picture: PictureResult | None
    q: float
    texels_per_led: float
    inner_coverage: float

    def report(self) -> dict[str, Any]:
        """The figures as CONTRACTS names them; a figure that cannot be had (no wall in view) is None."""
        out: dict[str, Any] = {}
        if self.geometry is not None:
            slip = self.geometry.slip
            out["geometry"] = {"mean_px": slip.mean_px, "p99_px": slip.p99_px, "kept": self.geometry.kept}
        if self.path is not None:
            out["path"] = {"mean_px": self.path.mean_px, "p99_px": self.path.p99_px}
        if self.picture is not None:
            slip = self.picture.slip
            out["picture"] = {"mean_px": slip.mean_px, "p99_px": slip.p99_px, "psnr_db": self.picture.psnr_db}
        out["q"] = self.q
        out["texels_per_led"] = self.texels_per_led
        out["inner_coverage"] = self.inner_coverage
        return {key: _finite(value) for key, value in out.items()}


def gather(
    renderer: Draws,
    camera: VirtualCamera,
    plan: FramePlan,
    /,
    *,
    scene: World | None,
    positions: World | None,
    fringes: bool = True,
    width_px: int = 1920,
    scale: int = 1,
    fine: int | None = None,
    leds_at_most: int = LEDS_MEASURED,
    drawn_plan: FramePlan | None = None,
    disguise: Callable[[World], World] | None = None,
    through: Callable[[Mapping[str, Codes]], Mapping[str, Codes | None]] | None = None,
) -> Evidence:
    """Draw, photograph and measure.

    Parameters
    ----------
    scene : what canvases and truth are drawn of; None leaves the picture measure out
    positions : the same scene writing stage positions; None leaves the geometry measure out
    fringes : whether the path is measured (without a scene it always is)
    scale : stage pixels per canvas pixel that the renderer draws at
    fine : sub-pixels per side of the photo; default: as many as LEDs of this size need
    leds_at_most : about how many LEDs of all walls are looked at one by one
    drawn_plan : what the renderer is given in place of `plan` (a mutant)
    disguise : what the renderer is given in place of each world (a mutant)
    through : what the processors make of canvases; default: emulators with the stage's delays, given time
    """
    asked = drawn_plan or plan
    faked = disguise or (lambda world: world)
    shown = through or (lambda canvases: settled(camera.stage, canvases))
    view = PhotoView.of(plan.cameras[0], width_px=width_px)
    seen = leds_in_view(camera, view, scale=scale, at_most=leds_at_most)
    q, texels = seen.q, seen.texels_per_led()
    blur_q = q if isfinite(q) else 1.0

    def drawn(world: World) -> dict[str, Codes]:
        # The renderer draws its next canvases into the same memory.
        return {name: picture.array.copy() for name, picture in renderer.draw(asked, world=faked(world)).items()}

    exposures: list[dict[str, Codes]] = []
    if scene is not None:
        exposures.append(drawn(scene))
    inner_px = asked.cameras[0].raster_px
    waves: Fringes | None = None
    if (fringes and isfinite(q)) or scene is None:
        cycles = 1.0 / (fringe_period_px(blur_q) * view.tangent_per_px()[1])
        waves = Fringes(camera.device, view, cycles_per_tangent=cycles, level=FRINGE_LEVEL)
        exposures.append(drawn(InnerOnly(waves, inner_px)))
    photo = camera.expose(
        [shown(canvases) for canvases in exposures], plan, width_px=width_px, fine=fine or fine_for(blur_q)
    )
    found = None
    if positions is not None:
        data = {
            name: p.array
            for name, p in renderer.draw(asked, world=faked(InnerOnly(positions, inner_px)), output="data").items()
        }
        found = geometry(camera.walls, data, seen, texels_per_led=texels)
    known, likeness = None, None
    if scene is not None:
        truth = Truth(camera.device)
        known = truth.picture(scene, plan, view, fine=truth_fine(blur_q))
        truth.release()
        likeness = picture(photo, known, blur_q)
    slips = None
    if waves is not None:
        slips = path(photo, waves, blur_q, index=len(exposures) - 1)
        waves.release()
    return Evidence(
        seen=seen,
        canvases=exposures[0],
        photo=photo,
        truth=known,
        geometry=found,
        path=slips,
        picture=likeness,
        q=q,
        texels_per_led=texels,
        inner_coverage=inner_coverage(photo),
    )


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and not isfinite(value) else value
