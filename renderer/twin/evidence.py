"""Everything one camera's photo proves: canvases, photo, truth and the measures, from one plan.

The renderer is only asked for canvases, through the door its users have. For a test that must fail, it may be given
another plan or other worlds than the twin believes in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal, Protocol

import numpy as np
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
from renderer.twin.worlds import Fringes
from renderer.world import World
from stage.plan import FramePlan

FRINGE_LEVEL = 2.0
"""Light of the brightest fringe, 1.0 = 100 nit."""
LEDS_MEASURED = 150_000


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
    """Codes of the scene's canvases."""
    photo: Photo
    """First exposure the scene, second (if asked for) the fringes."""
    truth: Picture
    geometry: GeometryResult | None
    path: Slip | None
    picture: PictureResult
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
    truth_of: World,
    positions: World | None,
    width_px: int = 1920,
    scale: int = 1,
    fine: int = 4,
    fringes: bool = True,
    drawn_plan: FramePlan | None = None,
    disguise: Callable[[World], World] | None = None,
    through: Callable[[Mapping[str, Codes]], Mapping[str, Codes | None]] | None = None,
) -> Evidence:
    """Draw, photograph and measure.

    Parameters
    ----------
    scene : what the renderer draws (None: its own loaded scenes); truth_of : the same for the truth
    positions : the world that writes stage positions; None leaves the geometry measure out
    scale : stage pixels per canvas pixel that the renderer draws at
    fringes : whether the path is measured
    drawn_plan : what the renderer is given in place of `plan` (a mutant)
    disguise : what the renderer is given in place of each of the twin's own worlds (a mutant)
    through : what the processors make of canvases; default: emulators with the stage's delays, given time
    """
    asked = drawn_plan or plan
    faked = disguise or (lambda world: world)
    shown = through or (lambda canvases: settled(camera.stage, canvases))
    view = PhotoView.of(plan.cameras[0], width_px=width_px)
    seen = leds_in_view(camera, view, scale=scale, at_most=LEDS_MEASURED)
    q, texels = seen.q, seen.texels_per_led()
    canvases = {name: p.array.copy() for name, p in renderer.draw(asked, world=scene).items()}
    sets = [shown(canvases)]
    waves: Fringes | None = None
    if fringes and isfinite(q):
        period_px = fringe_period_px(q)
        waves = Fringes(
            camera.device, view, cycles_per_tangent=1.0 / (period_px * view.tangent_per_px()[1]), level=FRINGE_LEVEL
        )
        drawn = renderer.draw(asked, world=faked(waves))
        sets.append(shown({name: p.array.copy() for name, p in drawn.items()}))
    photo = camera.expose(sets, plan, width_px=width_px, fine=fine)
    found = None
    if positions is not None:
        data = {name: p.array for name, p in renderer.draw(asked, world=faked(positions), output="data").items()}
        found = geometry(camera.walls, data, seen, texels_per_led=texels)
    truth = Truth(camera.device)
    known = truth.picture(truth_of, plan, view)
    truth.release()
    slips = path(photo, waves, q, index=1) if waves is not None else None
    if waves is not None:
        waves.release()
    return Evidence(
        seen=seen,
        canvases=canvases,
        photo=photo,
        truth=known,
        geometry=found,
        path=slips,
        picture=picture(photo, known, q if np.isfinite(q) else 1.0),
        q=q,
        texels_per_led=texels,
        inner_coverage=inner_coverage(photo),
    )


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and not isfinite(value) else value
