"""The `windows` section: which monitors of a graphics card's outputs are covered, and which display they belong to."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from stage.config import Id, Label, Pixels, Section

Text = Annotated[str, StringConstraints(max_length=64)]
Place = Annotated[int, Field(ge=0, le=65535)]
RectPx = tuple[Place, Place, Pixels, Pixels]


class MonitorConfig(Section):
    """One connector and what hangs on it. What is named by EDID is found wherever it is plugged in."""

    label: Label = ""
    connector: Text = ""
    """As RandR calls it, such as DP-1: `openvolume monitors` lists them."""
    vendor: Annotated[str, StringConstraints(pattern=r"^([A-Z]{3})?$")] = ""
    """EDID: three letters."""
    product: Text = ""
    """EDID: the model's name, or its code as four hex digits."""
    serial: Text = ""
    """EDID: the serial number."""
    mode_px: tuple[Pixels, Pixels] | None = None
    """Width and height it must run at; left out: as large as what it shows."""
    position_px: tuple[Place, Place] | None = None
    """Where it must lie on the display; left out: anywhere."""

    @model_validator(mode="after")
    def _named(self) -> MonitorConfig:
        if not (self.connector or self.vendor or self.product or self.serial):
            raise ValueError("name it: a connector, or vendor, product and serial (`openvolume monitors` lists them)")
        return self

    @property
    def by_edid(self) -> bool:
        """Whether it is known by what it says of itself."""
        return bool(self.vendor or self.product or self.serial)


class WindowConfig(Section):
    """One borderless window over monitors of one display: the outputs of one graphics card."""

    display: Annotated[str, StringConstraints(max_length=128)] = ""
    """X display, such as `:0` or `:0.1`; empty: that of the environment."""
    monitors: Annotated[dict[Id, MonitorConfig], Field(min_length=1, max_length=32)]
    swap_group: bool = True
    """Join NV_swap_group (and its barrier) where the driver has it."""


class OutputPart(Section):
    """A rectangle of a canvas on a monitor, pixel for pixel."""

    monitor: Id
    canvas_px: RectPx | None = None
    """Left, top, width, height on the canvas; left out: all of it."""
    at_px: tuple[Place, Place] = (0, 0)
    """Where its top left corner lies on the monitor."""
