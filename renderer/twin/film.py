"""Film: the photos a camera takes of the walls while a show runs, one a frame.

Every picture a processor was handed comes out on its LEDs after that processor's delay, and a photo is what stands on
all of them at the instant in the middle of its exposure. Nothing here knows which picture was meant for which photo.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from renderer.twin.camera import Photo, Picture, VirtualCamera
from renderer.twin.emulator import Codes, Processors
from stage.plan import FramePlan, PlanCamera
from stage.rate import Rate


class Film:
    """Takes pictures in as they are presented, and photos in the order of time."""

    def __init__(self, camera: VirtualCamera, /, *, name: str | None = None, width_px: int = 96, fine: int = 2) -> None:
        """`name` is the plans' camera that films (None: their first); photos are `width_px` wide, of `fine` sub-pixels
        a side."""
        self._camera, self._name, self._width_px, self._fine = camera, name, width_px, fine
        self._processors = Processors(camera.stage)

    def present(self, frame: int, canvases: Mapping[str, Codes], /) -> None:
        """The pictures that processors were handed in slot `frame`. Slots come in order; one in which nothing new was
        handed over leaves the last picture up."""
        self._processors.receive(frame, canvases, {})

    def photo(self, plan: FramePlan, /) -> Photo:
        """The exposure the camera makes for a plan's frame.

        Photos come in the order of their times, each after everything presented until then.
        """
        shown = self._processors.shown(self._slot(plan))
        chosen = self._chosen(plan)
        return self._camera.expose([shown], plan, width_px=self._width_px, camera=chosen.id, fine=self._fine)

    def roll(
        self, presented: Mapping[int, Mapping[str, Codes]], plans: Iterable[FramePlan], /
    ) -> Iterator[tuple[int, Photo]]:
        """Frame and photo of each plan in the order of time, while `presented` (by slot) is handed over."""
        waiting = sorted(presented)
        at = 0
        for plan in sorted(plans, key=self._slot):
            slot = self._slot(plan)
            while at < len(waiting) and waiting[at] <= slot:
                self.present(waiting[at], presented[waiting[at]])
                at += 1
            yield plan.frame, self.photo(plan)

    def _chosen(self, plan: FramePlan) -> PlanCamera:
        return next(camera for camera in plan.cameras if self._name in (None, camera.id))

    def _slot(self, plan: FramePlan) -> float:
        """When the photo is taken, in slots."""
        period_ns = Rate(*plan.rate).period_ns
        return plan.frame + (self._chosen(plan).t_photo_ns - plan.t_present_ns) / period_ns


def changes(photos: Mapping[int, Picture], /, *, least: float = 1e-3) -> list[int]:
    """The frames whose photo differs from that of the frame before it, anywhere by more than `least`: 1.0 = 100 nit."""
    return [
        frame
        for frame in sorted(photos)
        if frame - 1 in photos and float(np.abs(photos[frame] - photos[frame - 1]).max()) > least
    ]
